/* verify.h - a trial's rows against the files they were made of. */
#ifndef HARNESS_STORE_VERIFY_H
#define HARNESS_STORE_VERIFY_H

#include "harness/base/strings.h"
#include "harness/store/store.h"

/* Takes the trial's folder into a database of its own and compares every row of every table with
 * the store's. What differs is added to `faults`: table, row, column and both values. */
bool store_verify_trial(Store *, int64_t trial, const char *trial_folder, StringList *faults,
                        Error *);

#endif
