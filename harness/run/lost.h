/* lost.h - what a harness that was killed left behind: a launch whose end nobody wrote down, and,
 * when its trainer went on to the end of the trial, checkpoints that run.keep does not keep. */
#ifndef HARNESS_RUN_LOST_H
#define HARNESS_RUN_LOST_H

#include "harness/run/job.h"
#include "harness/store/store.h"

/* Writes how the newest launch ended when the harness that made it was killed before it could.
 * *launch: the number of the next one. The caller has the folder's lock. */
bool lost_close(Job *, int *launch, Error *);
/* Of the trials that are done puts both right, in the folders and in the database, unless another
 * process works there. What cannot be put right is said on standard error and left for the next
 * time. */
void lost_settle(Job *, int count, const JobBuild *, Store *);

#endif
