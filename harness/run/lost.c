/* lost.c - ends what a killed harness could not end. */
#include "harness/run/lost.h"

#include <unistd.h>

#include "harness/run/retain.h"

bool lost_close(Job *job, int *launch, Error *e) {
  Launches launches;
  folder_launches(&launches, job->folder);
  *launch = launches.count + 1;
  if (!launches.open) return true;
  Outcome lost = {.status = TRIAL_INTERRUPTED, .code = -1};
  snprintf(lost.error, sizeof lost.error, "the harness was killed while it ran");
  if (job->status == TRIAL_DONE) lost = (Outcome){.status = TRIAL_DONE, .code = 0};
  return folder_append_exit(job->folder, launches.count, &lost, e);
}

/* The launch's end comes last: as long as it is missing, the rest may be. */
static bool settle_held(Job *job, Store *store, Error *e) {
  int64_t freed = 0;
  int launch;
  FileReport report;
  return retain_finished(job->folder, &job->trial->config, false, &freed, e) &&
         lost_close(job, &launch, e) &&
         store_take_file(store, job->id, job->folder, trial_files[TRIAL_LAUNCH_FILES - 1], &report,
                         e);
}

static bool settle(Job *job, const JobBuild *build, Store *store, Error *e) {
  char holder[FOLDER_HOLDER_MAX];
  int lock;
  if (!folder_lock(&lock, job->folder, holder, e)) return false;
  if (*holder) return true;
  job_look(job, build); /* nobody writes there any more */
  bool ok = job->action != JOB_SKIP || !job->is_open || settle_held(job, store, e);
  close(lock);
  return ok;
}

void lost_settle(Job *jobs, int count, const JobBuild *build, Store *store) {
  for (int i = 0; i < count; i++) {
    Error e = {0};
    bool lost = jobs[i].action == JOB_SKIP && jobs[i].is_open && !jobs[i].from;
    if (lost && !settle(&jobs[i], build, store, &e))
      fprintf(stderr, "warning: %s: %s\n", jobs[i].folder, e.message);
  }
}
