/* retain.h - what a trial keeps on the disk (run.keep), and taking the rest away. The caller holds
 * the folder's lock (folder_lock).
 *
 * Before a file of a finished trial's last checkpoint goes, launches.jsonl says so in a `kept`
 * line: `harness verify` then does not take it for damage, and proves the trial by the hashes that
 * stay. */
#ifndef HARNESS_RUN_RETAIN_H
#define HARNESS_RUN_RETAIN_H

#include "mae/config/config.h"

/* Of a trial that is done: leaves what config->run.keep says. *freed grows by the bytes that are
 * freed, or, with dry, would be. */
bool retain_finished(const char *trial_folder, const Config *, bool dry, int64_t *freed, Error *);
/* Of a trial that is not done and not running: leaves its newest checkpoint. */
bool retain_unfinished(const char *trial_folder, bool dry, int64_t *freed, Error *);

#endif
