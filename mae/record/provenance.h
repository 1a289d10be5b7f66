/* provenance.h - what a result came from: binary, source, compiler, libraries, machine, settings.
 */
#ifndef MAE_RECORD_PROVENANCE_H
#define MAE_RECORD_PROVENANCE_H

#include "mae/config/config.h"
#include "mae/record/events.h"

/* SHA-256 of the running executable (/proc/self/exe). */
bool provenance_binary_hash(char hex[65], Error *);
/* "libjpeg-turbo 2.1.5, libpng 1.6.39, ...": those that every build has, as they are loaded. */
void provenance_libraries(char *text, size_t size);
/* Writes the members of the provenance object into the open event: version, git_commit, git_dirty,
 * git_diff_sha256 (of the trainer's own sources: see build_info.cmake), compiler, flags, libraries,
 * cpu, cpu_features, kernel, hostname, device, device_features, gpu, driver ("" without one),
 * threads, ranks, env{OMP_*, CUDA_*, NCCL_*, ONEDNN_*, DNNL_*, MKL_*, ...: what is set}. */
void provenance_write(EventLog *, const Config *, Device *);

#endif
