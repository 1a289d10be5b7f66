/* script.h - the two job scripts of a sweep on Slurm: the array, whose tasks run the parts,
 * and the import when all of them have ended. They can be read, changed and submitted by hand.
 *
 * A task notes what happens to it in FOLDER/part-K.state, the import in FOLDER/import.state, a line
 * each time: the time (UTC), the job, and "running HOST", "requeued", "requeued idle" (no trial got
 * to a new checkpoint), "stopped" (it was told to end, or could not be queued again) or "ended
 * CODE". */
#ifndef HARNESS_SLURM_SCRIPT_H
#define HARNESS_SLURM_SCRIPT_H

#include "harness/slurm/options.h"

typedef struct SlurmScript {
  const char *name;          /* of the job */
  const char *here, *folder; /* where it was submitted; the submission's folder; both absolute */
  const char *harness;       /* the program, absolute */
  StringList command;        /* what follows it, but for --part, --db and --time-limit */
  StringList sweeps;         /* folders of the experiments */
  const char *out, *db;      /* for the import */
  char *array;               /* "1-8" or "1,3-8%2" */
  int parts;
  double seconds;    /* the time limit that Slurm is asked for; INFINITY: none */
  double time_limit; /* that the harness is given; INFINITY: none */
} SlurmScript;

/* Tasks end by themselves before Slurm ends them, which is exact to half a minute: so many seconds
 * are left to the script of a time limit. */
double slurm_script_margin(double seconds);

/* What sbatch is given, in the script and before it on its command line, which also wins over the
 * variables SBATCH_*. */
void slurm_script_options(StringList *, const SlurmScript *, const SlurmOptions *);
void slurm_import_options(StringList *, const SlurmScript *, const SlurmOptions *);
/* The scripts' texts; the caller frees. */
char *slurm_script_text(const SlurmScript *, const SlurmOptions *);
char *slurm_import_text(const SlurmScript *, const SlurmOptions *);

void slurm_script_free(SlurmScript *);

#endif
