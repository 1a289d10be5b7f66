/* images.c - which images a plan's trials would be trained on now. */
#include "harness/run/images.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/run/runner.h"
#include "mae/data/dataset.h"

/* What is there was trained or is to be continued, on images that may have changed since. */
static bool has_images(const Job *job) {
  return *job->facts.dataset_sha256 && job->trial->config.data.source != SOURCE_SHAPES &&
         (job->action == JOB_SKIP || job->starts_at_checkpoint);
}

static bool same_source(const Config *a, const Config *b) {
  return !memcmp(&a->data, &b->data, sizeof a->data);
}

/* The images of one source, into every job that uses it. */
static void note_images(Job *jobs, int first, int count) {
  const Config *config = &jobs[first].trial->config;
  Dataset dataset;
  Error problem = {0};
  char sha256[65] = "";
  ProgressLine line = {.terminal = isatty(STDERR_FILENO)};
  const ProgressListener shown = progress_on(&line), progress = runner_listener(&shown);
  bool opened = data_open(&dataset, config, &progress, &problem); /* packs what is not packed */
  progress_clear(&line);
  if (opened) {
    snprintf(sha256, sizeof sha256, "%s", dataset.sha256);
    data_close(&dataset);
  } else {
    fprintf(stderr, "warning: %s; whether its trials were trained on these images is not known\n",
            problem.message);
  }
  for (int i = first; i < count; i++)
    if (has_images(&jobs[i]) && same_source(config, &jobs[i].trial->config)) {
      snprintf(jobs[i].images_sha256, sizeof jobs[i].images_sha256, "%s", sha256);
      jobs[i].images_known = true;
    }
}

void jobs_compare_images(Job *jobs, int count, const JobBuild *build) {
  for (int i = 0; i < count; i++)
    if (has_images(&jobs[i]) && !jobs[i].images_known) note_images(jobs, i, count);
  for (int i = 0; i < count; i++) {
    Job *job = &jobs[i];
    if (!*job->images_sha256 || !strcmp(job->images_sha256, job->facts.dataset_sha256)) continue;
    fprintf(stderr, "%s: trained on images %.12s, and %s holds %.12s now\n", job->label,
            job->facts.dataset_sha256, job->trial->config.data.path, job->images_sha256);
    if (job->action != JOB_ELSEWHERE) job_look(job, build);
  }
}
