/* files.c - their names. */
#include "harness/trial/files.h"

const char *const trial_files[TRIAL_FILES] = {"attempts.jsonl", "launches.jsonl", "events.jsonl"};

const char *trial_status_name(TrialStatus status) {
  static const char *const names[] = {
      [TRIAL_PENDING] = "pending", [TRIAL_RUNNING] = "running", [TRIAL_INTERRUPTED] = "interrupted",
      [TRIAL_FAILED] = "failed",   [TRIAL_PRUNED] = "pruned",   [TRIAL_DONE] = "done"};
  return names[status];
}
