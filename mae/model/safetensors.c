/* safetensors.c - the format: a length, a JSON header, then the tensors' bytes. */
#include "mae/model/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data is little-endian");

/* The format's own limit on the JSON header. */
static const uint64_t header_max = 100000000;

static const struct {
  const char *name;
  size_t bytes;
} dtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2},    {"I64", 8},
              {"I32", 4}, {"I16", 2}, {"I8", 1},   {"U64", 8},     {"U32", 4},
              {"U16", 2}, {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

size_t safetensors_element_size(const char *dtype) {
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
    if (!strcmp(dtype, dtypes[i].name)) return dtypes[i].bytes;
  return 0;
}

void safetensors_describe(char *out, size_t size, const Tensor *tensor) {
  int n = snprintf(out, size, "%s [", tensor->dtype);
  for (int i = 0; i < tensor->rank && n > 0 && (size_t)n < size; i++)
    n += snprintf(out + n, size - (size_t)n, "%s%llu", i ? ", " : "",
                  (unsigned long long)tensor->shape[i]);
  if (n > 0 && (size_t)n < size) snprintf(out + n, size - (size_t)n, "]");
}

/* A non-negative JSON integer. Larger ones than an int64 are refused by jansson itself. */
static bool read_size(const json_t *value, uint64_t *size) {
  if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
  *size = (uint64_t)json_integer_value(value);
  return true;
}

/* One member of the header into a Tensor; its range into the data section is checked against the
 * section's size and against dtype x shape. */
static bool read_tensor(Tensor *tensor, const char *name, const json_t *info,
                        const unsigned char *data, uint64_t data_size, Error *e) {
  const json_t *dtype = json_object_get(info, "dtype");
  const json_t *shape = json_object_get(info, "shape");
  const json_t *range = json_object_get(info, "data_offsets");
  size_t element = json_is_string(dtype) ? safetensors_element_size(json_string_value(dtype)) : 0;
  if (!element) return error_set(e, EXIT_DATA, "tensor \"%.100s\": missing or unknown dtype", name);
  if (!json_is_array(shape) || json_array_size(shape) > TENSOR_RANK_MAX)
    return error_set(e, EXIT_DATA, "tensor \"%.100s\": the shape is not a list of at most %d sizes",
                     name, TENSOR_RANK_MAX);
  uint64_t bytes = element;
  tensor->rank = (int)json_array_size(shape);
  for (int i = 0; i < tensor->rank; i++) {
    if (!read_size(json_array_get(shape, (size_t)i), &tensor->shape[i]))
      return error_set(e, EXIT_DATA, "tensor \"%.100s\": size %d is not a non-negative integer",
                       name, i);
    if (__builtin_mul_overflow(bytes, tensor->shape[i], &bytes))
      return error_set(e, EXIT_DATA, "tensor \"%.100s\": the shape is too large", name);
  }
  uint64_t begin, end;
  if (json_array_size(range) != 2 || !read_size(json_array_get(range, 0), &begin) ||
      !read_size(json_array_get(range, 1), &end))
    return error_set(e, EXIT_DATA,
                     "tensor \"%.100s\": data_offsets is not a pair of non-negative integers",
                     name);
  if (begin > end || end > data_size)
    return error_set(e, EXIT_DATA,
                     "tensor \"%.100s\": data_offsets %llu to %llu leave the data section of %llu "
                     "bytes",
                     name, (unsigned long long)begin, (unsigned long long)end,
                     (unsigned long long)data_size);
  if (end - begin != bytes)
    return error_set(e, EXIT_DATA,
                     "tensor \"%.100s\": data_offsets hold %llu bytes, dtype and shape need %llu",
                     name, (unsigned long long)(end - begin), (unsigned long long)bytes);
  tensor->name = strdup(name);
  if (!tensor->name) return error_set(e, EXIT_DEVICE, "out of memory");
  snprintf(tensor->dtype, sizeof tensor->dtype, "%s", json_string_value(dtype));
  tensor->data = data + begin;
  tensor->bytes = (size_t)bytes;
  return true;
}

static bool read_metadata(TensorFile *file, json_t *metadata, Error *e) {
  if (!json_is_object(metadata))
    return error_set(e, EXIT_DATA, "__metadata__ is not an object of strings");
  file->metadata = calloc(2 * json_object_size(metadata) + 1, sizeof *file->metadata);
  if (!file->metadata) return error_set(e, EXIT_DEVICE, "out of memory");
  const char *key;
  json_t *value;
  json_object_foreach(metadata, key, value) {
    if (!json_is_string(value))
      return error_set(e, EXIT_DATA, "__metadata__ \"%.100s\" is not a string", key);
    char **pair = file->metadata + 2 * file->metadata_count++;
    pair[0] = strdup(key);
    pair[1] = strdup(json_string_value(value));
    if (!pair[0] || !pair[1]) return error_set(e, EXIT_DEVICE, "out of memory");
  }
  return true;
}

static int by_data(const void *a, const void *b) {
  const Tensor *x = a, *y = b;
  if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
  return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones first */
}

/* Sorts the tensors and requires that they cover the data section exactly once. */
static bool check_cover(TensorFile *file, const unsigned char *data, uint64_t data_size, Error *e) {
  if (file->count) qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_data);
  const unsigned char *at = data;
  for (int i = 0; i < file->count; i++) {
    const Tensor *tensor = &file->tensors[i];
    if ((const unsigned char *)tensor->data != at)
      return error_set(e, EXIT_DATA, "tensor \"%.100s\" %s", tensor->name,
                       (const unsigned char *)tensor->data < at
                           ? "overlaps the one before it"
                           : "leaves a gap before it in the data section");
    at += tensor->bytes;
  }
  if (at != data + data_size)
    return error_set(e, EXIT_DATA, "%llu bytes of the data section belong to no tensor",
                     (unsigned long long)(data + data_size - at));
  return true;
}

static bool read_header(TensorFile *file, json_t *root, const unsigned char *data,
                        uint64_t data_size, Error *e) {
  size_t members = json_object_size(root);
  if (!json_is_object(root)) return error_set(e, EXIT_DATA, "the header is not a JSON object");
  if (members > TENSOR_COUNT_MAX)
    return error_set(e, EXIT_DATA, "%zu tensors; at most %d are read", members, TENSOR_COUNT_MAX);
  file->tensors = calloc(members + 1, sizeof *file->tensors);
  if (!file->tensors) return error_set(e, EXIT_DEVICE, "out of memory");
  const char *name;
  json_t *value;
  json_object_foreach(root, name, value) {
    if (!strcmp(name, "__metadata__")) {
      if (!read_metadata(file, value, e)) return false;
      continue;
    }
    if (!read_tensor(&file->tensors[file->count++], name, value, data, data_size, e)) return false;
  }
  return check_cover(file, data, data_size, e);
}

bool safetensors_parse(TensorFile *file, const void *bytes, size_t size, Error *e) {
  *file = (TensorFile){0};
  const unsigned char *start = bytes;
  uint64_t header = 0;
  if (size < sizeof header)
    return error_set(e, EXIT_DATA, "not a safetensors file: only %zu bytes", size);
  memcpy(&header, start, sizeof header);
  if (header > header_max || header > size - sizeof header)
    return error_set(e, EXIT_DATA,
                     "not a safetensors file, or cut off: a header of %llu bytes in a file of %zu",
                     (unsigned long long)header, size);
  json_error_t json_error;
  json_t *root = json_loadb((const char *)start + sizeof header, (size_t)header,
                            JSON_REJECT_DUPLICATES, &json_error);
  if (!root)
    return error_set(e, EXIT_DATA, "not a safetensors file: header, byte %d: %s",
                     json_error.position, json_error.text);
  bool ok =
      read_header(file, root, start + sizeof header + header, size - sizeof header - header, e);
  json_decref(root);
  if (!ok) safetensors_close(file);
  return ok;
}

bool safetensors_open(TensorFile *file, const char *path, Error *e) {
  *file = (TensorFile){0};
  void *map = MAP_FAILED;
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st)) {
    error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
    goto done;
  }
  if (!S_ISREG(st.st_mode) || st.st_size == 0) {
    error_set(e, EXIT_DATA, "%s: %s", path, S_ISREG(st.st_mode) ? "empty file" : "not a file");
    goto done;
  }
  map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED) {
    error_set(e, EXIT_DATA, "%s: cannot map: %s", path, strerror(errno));
  } else if (!safetensors_parse(file, map, (size_t)st.st_size, e)) {
    error_prefix(e, "%s", path);
    munmap(map, (size_t)st.st_size);
    map = MAP_FAILED;
  } else {
    file->map = map;
    file->map_size = (size_t)st.st_size;
  }
done:
  if (fd >= 0) close(fd);
  return map != MAP_FAILED;
}

const Tensor *safetensors_find(const TensorFile *file, const char *name) {
  for (int i = 0; i < file->count; i++)
    if (!strcmp(file->tensors[i].name, name)) return &file->tensors[i];
  return NULL;
}

const char *safetensors_metadata(const TensorFile *file, const char *key) {
  for (int i = 0; i < file->metadata_count; i++)
    if (!strcmp(file->metadata[2 * i], key)) return file->metadata[2 * i + 1];
  return NULL;
}

void safetensors_close(TensorFile *file) {
  for (int i = 0; i < file->count; i++) free(file->tensors[i].name);
  for (int i = 0; i < 2 * file->metadata_count; i++) free(file->metadata[i]);
  free(file->tensors);
  free(file->metadata);
  if (file->map) munmap(file->map, file->map_size);
  *file = (TensorFile){0};
}

bool safetensors_write_header(int fd, const char *path, const Tensor *tensors, int count,
                              const char *const *metadata, int metadata_count, Error *e) {
  Text text = {0};
  uint64_t size = 0, offset = 0;
  text_add(&text, (const char *)&size, sizeof size); /* filled in below */
  text_add(&text, "{", 1);
  if (metadata_count) text_format(&text, "\"__metadata__\":{");
  for (int i = 0; i < metadata_count; i++) {
    if (i) text_add(&text, ",", 1);
    text_json_string(&text, metadata[2 * i]);
    text_add(&text, ":", 1);
    text_json_string(&text, metadata[2 * i + 1]);
  }
  if (metadata_count) text_format(&text, count ? "}," : "}");
  for (int i = 0; i < count; i++) {
    const Tensor *tensor = &tensors[i];
    if (i) text_add(&text, ",", 1);
    text_json_string(&text, tensor->name);
    text_format(&text, ":{\"dtype\":\"%s\",\"shape\":[", tensor->dtype);
    for (int j = 0; j < tensor->rank; j++)
      text_format(&text, "%s%llu", j ? "," : "", (unsigned long long)tensor->shape[j]);
    text_format(&text, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                (unsigned long long)(offset + tensor->bytes));
    offset += tensor->bytes;
  }
  text_add(&text, "}", 1);
  while (text.length % 8 && !text.failed) text_add(&text, " ", 1);
  bool ok = !text.failed || error_set(e, EXIT_DEVICE, "%s: out of memory for the header", path);
  if (ok) {
    size = text.length - sizeof size;
    memcpy(text.bytes, &size, sizeof size);
    ok = io_write(fd, path, text.bytes, text.length, e);
  }
  text_free(&text);
  return ok;
}

bool safetensors_write(const char *path, const Tensor *tensors, int count,
                       const char *const *metadata, int metadata_count, Error *e) {
  int fd = io_create(path, e);
  if (fd < 0) return false;
  bool ok = safetensors_write_header(fd, path, tensors, count, metadata, metadata_count, e);
  for (int i = 0; ok && i < count; i++)
    ok = io_write(fd, path, tensors[i].data, tensors[i].bytes, e);
  return io_finish(fd, path, ok ? e : NULL) && ok;
}
