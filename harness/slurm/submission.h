/* submission.h - a sweep that was handed to Slurm: its folder OUT/slurm/N and how far it is.
 *
 *   job.sh, import.sh   the scripts (script.h)
 *   *.ini, scales/      copies of the experiments' files and the scale: what the tasks run, so that
 *                       a file may be edited while they wait in the queue
 *   submission.json     what was submitted: "created", "experiments", "parts" (their number),
 *                       "tasks" (the parts that had something to do), "array" and "import", the
 *                       jobs' numbers in Slurm (null until submitted)
 *   part-K.state, import.state   what has happened to them
 *   part-K.log, import.log       what they printed
 */
#ifndef HARNESS_SLURM_SUBMISSION_H
#define HARNESS_SLURM_SUBMISSION_H

#include "harness/plan/plan.h"
#include "harness/slurm/script.h"

typedef struct Submission {
  StringList experiments; /* names of the experiments' folders */
  StringList files;       /* the INI files */
  const char *scale;      /* the scale's file; NULL: none */
  const char *out;
  bool *busy; /* [parts]: there is something to do in part k + 1 */
} Submission;

/* A new folder OUT/slurm/N; path is absolute. */
bool submission_folder(char path[CONFIG_PATH_MAX], const char *out, bool make, Error *);
/* The name of a file's copy within the folder; the caller frees. */
char *submission_copy_name(const char *folder, const char *file, bool scale);
/* "1-8", or what of it is busy: "1,3-8"; and at most so many at a time: "1-8%2". */
char *submission_array(const bool *busy, int parts, int at_once);

/* Writes the folder and submits both jobs. When Slurm refuses the array the folder is removed. When
 * it refuses the import the error says that the array is there. */
bool submission_submit(const Submission *, const SlurmScript *, const SlurmOptions *, Error *);

/* Prints the submissions in OUT/slurm that have not come to their end, of one experiment or of all
 * (NULL), with what Slurm says of them where it can be asked. */
void submissions_print(FILE *, const char *out, const char *experiment);
/* The job that an earlier submission of one of these experiments still has in the queue; the caller
 * frees it, or NULL. */
char *submission_still_queued(const char *out, const StringList *experiments);

#endif
