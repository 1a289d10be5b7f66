/* safetensors.h - reading and writing safetensors files (u64 little-endian header length, JSON
 * header, raw data). The reader trusts nothing: header length, JSON, duplicate names, dtype x shape
 * against the byte range, ranges that overlap, leave gaps or pass the end, and the number of
 * tensors are all checked before the first use. */
#ifndef MAE_MODEL_SAFETENSORS_H
#define MAE_MODEL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "mae/base/error.h"

enum { TENSOR_RANK_MAX = 8, TENSOR_COUNT_MAX = 100000 };

typedef struct Tensor {
  char *name;
  char dtype[8]; /* "F32", "F16", "BF16", "U64", "U8", ... */
  int rank;
  uint64_t shape[TENSOR_RANK_MAX];
  const void *data; /* into the mapping when read; the caller's when writing */
  size_t bytes;
} Tensor;

typedef struct TensorFile {
  Tensor *tensors; /* in data order */
  int count;
  char **metadata;    /* key, value, key, value ... of __metadata__ */
  int metadata_count; /* pairs */
  void *map;
  size_t map_size;
} TensorFile;

bool safetensors_open(TensorFile *, const char *path, Error *);
/* The same checks on bytes in memory, which must outlive the TensorFile; for tests and fuzzing.
 * Tensor data may lie at any address: headers need not be padded. */
bool safetensors_parse(TensorFile *, const void *bytes, size_t size, Error *);
const Tensor *safetensors_find(const TensorFile *, const char *name);
const char *safetensors_metadata(const TensorFile *, const char *key);
void safetensors_close(TensorFile *);
/* "F32 [3, 16]" into a buffer of 256 bytes, for messages. */
void safetensors_describe(char *out, size_t size, const Tensor *);

/* Writes and fsyncs path; short writes, ENOSPC and a failing fsync are errors that name the file.
 * Tensors lie in the given order; metadata is key, value, key, value... */
bool safetensors_write(const char *path, const Tensor *, int count, const char *const *metadata,
                       int metadata_count, Error *);
/* Only the length and the header, padded with spaces to 8 bytes, of a file whose data the caller
 * writes next (Tensor.data is not read): for tensors that are not all in memory at once. */
bool safetensors_write_header(int fd, const char *path, const Tensor *, int count,
                              const char *const *metadata, int metadata_count, Error *);

/* Bytes of one element of a dtype; 0 for an unknown one. */
size_t safetensors_element_size(const char *dtype);

#endif
