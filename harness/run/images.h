/* images.h - the images are part of what makes a trial finished or fit to be continued: the same
 * configuration on other files is another result. */
#ifndef HARNESS_RUN_IMAGES_H
#define HARNESS_RUN_IMAGES_H

#include "harness/run/job.h"

/* Opens the images that trials with a result or a checkpoint are about, packing them when there is
 * no pack, and compares their hash with the recorded one. Trials of other images are trained anew;
 * the hashes of both are told on standard error. A source that cannot be read is warned of. */
void jobs_compare_images(Job *, int count, const JobBuild *);

#endif
