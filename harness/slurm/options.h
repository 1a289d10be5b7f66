/* options.h - what a user gives after --slurm: options of sbatch, of which a few are read or
 * refused here, because the job script depends on them. */
#ifndef HARNESS_SLURM_OPTIONS_H
#define HARNESS_SLURM_OPTIONS_H

#include "harness/base/strings.h"
#include "mae/base/command_line.h"

typedef struct SlurmOptions {
  StringList all; /* for the array, as given; --array is not among them */
  StringList
      import;      /* those that also hold for the job that imports: where, and on whose account */
  int parts;       /* of --array=1-PARTS%AT_ONCE; 0: not given */
  int at_once;     /* 0: any number */
  double seconds;  /* of --time, or SBATCH_TIMELIMIT; 0: not given; INFINITY: no limit */
  char *partition; /* of --partition, or SBATCH_PARTITION; NULL: not given */
  bool named, logged; /* --job-name, --output are given */
} SlurmOptions;

enum { SLURM_PARTS_MAX = 100000 };

/* own: the options of `harness run`, which must stand before --slurm. Errors are EXIT_CONFIG. */
bool slurm_options_read(SlurmOptions *, const CmdList *given, const CmdOption *own, int own_count,
                        Error *);
void slurm_options_free(SlurmOptions *);

/* Slurm's ways to write a time: "90" (minutes), "M:S", "H:M:S", "D-H", "D-H:M", "D-H:M:S",
 * UNLIMITED. False when it is none of them. */
bool slurm_time_parse(const char *text, double *seconds);

#endif
