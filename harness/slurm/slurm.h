/* slurm.h - what is asked of Slurm, by its own programs: scontrol, sbatch and squeue. */
#ifndef HARNESS_SLURM_SLURM_H
#define HARNESS_SLURM_SLURM_H

#include "harness/base/strings.h"
#include "mae/base/error.h"

/* Whether sbatch can be run. EXIT_DATA when not. */
bool slurm_there(Error *);

/* The time that a job gets which asks for none, in seconds; INFINITY: there is no limit. partition:
 * as given to sbatch ("a" or "a,b": the shortest), NULL: the default one. `what` says in words
 * where it is from. */
typedef struct SlurmLimit {
  double seconds;
  double most; /* MaxTime, which a --time beyond has to wait for ever */
  char what[256];
} SlurmLimit;
bool slurm_limit(SlurmLimit *, const char *partition, Error *);
/* The same of the text that `scontrol --oneliner show partition` prints. */
bool slurm_limit_read(SlurmLimit *, const char *text, const char *partition, Error *);

enum { SLURM_ID_MAX = 32 };
/* Submits with these options of sbatch in front of the script. What Slurm says when it refuses is
 * the error, EXIT_DATA. */
bool slurm_submit(char id[SLURM_ID_MAX], const StringList *options, const char *script, Error *);

/* What is in the queue of these jobs, an item a job or a task of an array, with the reason for
 * which it waits: "17_3 RUNNING None", "18 PENDING Dependency". False when Slurm cannot be asked.
 */
bool slurm_queue(StringList *jobs, const StringList *ids, Error *);

#endif
