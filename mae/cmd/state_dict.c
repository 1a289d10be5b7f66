/* state_dict.c - opening another program's weights, and reading a parameter from them. */
#include "mae/cmd/state_dict.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernels/half.h"
#include "mae/base/io.h"
#include "mae/model/weights.h"

static int by_name(const void *a, const void *b) {
  const OurName *const *x = a, *const *y = b;
  int order = strcmp((*x)->name, (*y)->name);
  return order ? order : ((*x)->part > (*y)->part) - ((*x)->part < (*y)->part);
}

/* No parameter, and no part of one, is there under two names. */
static bool check_twins(const StateDict *dict, Error *e) {
  int count = dict->file.count;
  const OurName **sorted = calloc((size_t)count + 1, sizeof *sorted);
  if (!sorted) return error_set(e, EXIT_DEVICE, "out of memory");
  for (int i = 0; i < count; i++) sorted[i] = &dict->names[i];
  qsort(sorted, (size_t)count, sizeof *sorted, by_name);
  bool ok = true;
  for (int i = 1; ok && i < count; i++)
    if (!by_name(&sorted[i - 1], &sorted[i]))
      ok = error_set(e, EXIT_DATA, "%s: %.100s and %.100s are the same parameter", dict->path,
                     dict->file.tensors[sorted[i - 1] - dict->names].name,
                     dict->file.tensors[sorted[i] - dict->names].name);
  free(sorted);
  return ok;
}

static bool find_file(char *file, const char *path, Error *e) {
  struct stat status;
  if (!stat(path, &status) && S_ISDIR(status.st_mode))
    return io_join(file, CONFIG_PATH_MAX, path, "model.safetensors", e);
  if (strlen(path) >= CONFIG_PATH_MAX)
    return error_set(e, EXIT_DATA, "%.64s...: path too long", path);
  snprintf(file, CONFIG_PATH_MAX, "%s", path);
  return true;
}

bool state_dict_open(StateDict *dict, const char *path, Error *e) {
  *dict = (StateDict){0};
  if (!find_file(dict->path, path, e)) return false;
  if (!weights_open(&dict->file, dict->path, e))
    return error_suffix(e, "`mae import --help` shows how a .pth or .bin file is converted");
  dict->names = calloc((size_t)dict->file.count + 1, sizeof *dict->names);
  bool ok = dict->names || error_set(e, EXIT_DEVICE, "out of memory");
  for (int i = 0; ok && i < dict->file.count; i++) {
    bool hugging_face;
    layout_ours(&dict->names[i], &hugging_face, dict->file.tensors[i].name);
    dict->hugging_face |= hugging_face;
  }
  ok = ok && check_twins(dict, e);
  if (!ok) state_dict_close(dict);
  return ok;
}

void state_dict_close(StateDict *dict) {
  free(dict->names);
  safetensors_close(&dict->file);
  *dict = (StateDict){0};
}

const Tensor *state_dict_find(const StateDict *dict, const char *name, int part) {
  for (int i = 0; i < dict->file.count; i++)
    if (dict->names[i].part == part && !strcmp(dict->names[i].name, name))
      return &dict->file.tensors[i];
  return NULL;
}

bool state_dict_has_decoder(const StateDict *dict) {
  for (int i = 0; i < dict->file.count; i++)
    if (layout_is_decoder(dict->names[i].name)) return true;
  return false;
}

bool state_dict_readable(const Tensor *tensor) {
  return !strcmp(tensor->dtype, "F32") || !strcmp(tensor->dtype, "F16") ||
         !strcmp(tensor->dtype, "BF16");
}

/* A tensor's data may lie at any address. */
void state_dict_values(float *values, const Tensor *tensor) {
  bool whole = !strcmp(tensor->dtype, "F32"), bf16 = !strcmp(tensor->dtype, "BF16");
  const unsigned char *data = tensor->data;
  size_t count = tensor->bytes / safetensors_element_size(tensor->dtype);
  if (whole) memcpy(values, data, tensor->bytes);
  for (size_t i = 0; !whole && i < count; i++) {
    uint16_t half;
    memcpy(&half, data + i * sizeof half, sizeof half);
    values[i] = bf16 ? bf16_to_float(half) : f16_to_float(half);
  }
}

static bool check_tensor(const Tensor *tensor, const Param *param, int parts, Error *e) {
  char have[256], want[256];
  Tensor wanted = weights_tensor(param);
  wanted.shape[0] /= (uint64_t)parts;
  bool type = state_dict_readable(tensor);
  if (type && tensor->rank == wanted.rank &&
      !memcmp(tensor->shape, wanted.shape, (size_t)wanted.rank * sizeof *wanted.shape))
    return true;
  safetensors_describe(have, sizeof have, tensor);
  safetensors_describe(want, sizeof want, &wanted);
  return error_set(e, EXIT_DATA, "parameter %.100s is %s; the configuration makes it %s%s",
                   tensor->name, have, want, type ? "" : ", and F16 and BF16 are read too");
}

static bool missing(const StateDict *dict, const char *name, int part, Error *e) {
  char theirs[LAYOUT_NAME_MAX];
  if (dict->hugging_face &&
      (layout_hugging_face(theirs, name, part) || layout_hugging_face(theirs, name, LAYOUT_WHOLE)))
    return error_set(e, EXIT_DATA, "parameter %s is missing (%s)", name, theirs);
  return error_set(e, EXIT_DATA, "parameter %s is missing", name);
}

bool state_dict_copy(float *values, const StateDict *dict, const Param *param, Error *e) {
  const Tensor *whole = state_dict_find(dict, param->name, LAYOUT_WHOLE);
  if (whole) {
    if (!check_tensor(whole, param, 1, e)) return false;
    state_dict_values(values, whole);
    return true;
  }
  for (int part = 0; part < 3; part++) {
    const Tensor *third = state_dict_find(dict, param->name, part);
    if (!third) return missing(dict, param->name, part, e);
    if (!check_tensor(third, param, 3, e)) return false;
    state_dict_values(values + (size_t)part * (param->count / 3), third);
  }
  return true;
}
