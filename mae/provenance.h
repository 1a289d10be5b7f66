/* provenance.h - what a result came from: binary, source, compiler, libraries, machine, settings.
 */
#ifndef MAE_PROVENANCE_H
#define MAE_PROVENANCE_H

#include "mae/config.h"
#include "mae/events.h"

/* SHA-256 of bytes, and of a file's content; lower-case hex. */
void sha256_bytes(char hex[65], const void *bytes, size_t size);
bool sha256_file(char hex[65], const char *path, Error *);
/* Incremental. */
typedef struct Sha256 Sha256;
Sha256 *sha256_new(void);
void sha256_add(Sha256 *, const void *bytes, size_t size);
void sha256_finish(Sha256 *, char hex[65]); /* frees */

/* SHA-256 of the running executable (/proc/self/exe). */
bool provenance_binary_hash(char hex[65], Error *);
/* Writes the members of the provenance object into the open event: version, git_commit, git_dirty,
 * git_diff_sha256 (of the trainer's own sources: see build_info.cmake), compiler, flags, libraries,
 * cpu, cpu_features, kernel, hostname, device, device_features, gpu, driver ("" without one),
 * threads, ranks, env{OMP_*, CUDA_*, NCCL_*, ONEDNN_*, DNNL_*, MKL_*, ...: what is set}. */
void provenance_write(EventLog *, const Config *, Device *);

#endif
