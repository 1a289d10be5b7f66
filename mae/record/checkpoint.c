/* checkpoint.c - streams parameters and moments from the device into files and into the state's
 * hash, and back. */
#include "mae/record/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/model/device.h"
#include "mae/model/weights.h"
#include "mae/record/kept.h"
#include "mae/record/step_folders.h"

static const char state_format[] = "maebench-state-1";
static const char hash_tensor[] = "state_sha256"; /* the hexadecimal digits, at the end */
enum { HASH_BYTES = 64 };
enum { CHUNK = 16 << 20 }; /* bytes staged at a time between device and file */

/* A piece of the training state. One list of these, in one order, is what is hashed, written and
 * read: parameters, StepState, first moments, second moments. */
typedef struct Part {
  char name[80];
  Tensor tensor;
  void *device; /* where it lives: device memory, or else */
  void *host;
} Part;

typedef struct PartList {
  Part *parts;
  int count, params; /* the first `params` make model.safetensors, the rest state.safetensors */
  size_t bytes;
} PartList;

static const struct {
  const char *name, *dtype;
  size_t offset;
} state_fields[] = {
    {"state.step", "U64", offsetof(StepState, step)},
    {"state.updates", "U64", offsetof(StepState, updates)},
    {"state.loss_scale", "F32", offsetof(StepState, loss_scale)},
    {"state.clean_steps", "U32", offsetof(StepState, clean_steps)},
    {"state.overflow", "U32", offsetof(StepState, overflow)},
    {"state.grad_norm", "F32", offsetof(StepState, grad_norm)},
    {"state.learning_rate", "F32", offsetof(StepState, learning_rate)},
    {"state.skipped", "U32", offsetof(StepState, skipped)},
};
enum { STATE_FIELDS = sizeof state_fields / sizeof *state_fields };

static Part *add_part(PartList *list, const char *prefix, const char *name, Tensor tensor) {
  Part *part = &list->parts[list->count++];
  snprintf(part->name, sizeof part->name, "%s%s", prefix, name);
  part->tensor = tensor;
  part->tensor.name = part->name;
  list->bytes += tensor.bytes;
  return part;
}

static void add_moments(PartList *list, const Model *model, const char *prefix, float *arena) {
  for (int i = 0; arena && i < model->table.count; i++) {
    const Param *param = &model->table.list[i];
    if (!param->trainable) continue;
    add_part(list, prefix, param->name, weights_tensor(param))->device = arena + param->offset;
  }
}

static bool list_parts(PartList *list, const Model *model, StepState *state, Error *e) {
  size_t most = 3 * (size_t)model->table.count + STATE_FIELDS;
  *list = (PartList){.parts = calloc(most, sizeof *list->parts)};
  if (!list->parts) return error_set(e, EXIT_DEVICE, "out of memory");
  for (int i = 0; i < model->table.count; i++) {
    const Param *param = &model->table.list[i];
    add_part(list, "", param->name, weights_tensor(param))->device = model->params + param->offset;
  }
  list->params = list->count;
  for (int i = 0; i < STATE_FIELDS; i++) {
    Tensor scalar = {.bytes = safetensors_element_size(state_fields[i].dtype)};
    snprintf(scalar.dtype, sizeof scalar.dtype, "%s", state_fields[i].dtype);
    add_part(list, "", state_fields[i].name, scalar)->host = (char *)state + state_fields[i].offset;
  }
  add_moments(list, model, "m.", model->m);
  add_moments(list, model, "v.", model->v);
  return true;
}

static void hash_header(Sha256 *hash, const Tensor *tensor) {
  char text[256];
  safetensors_describe(text, sizeof text, tensor);
  sha256_add(hash, tensor->name, strlen(tensor->name) + 1);
  sha256_add(hash, text, strlen(text) + 1);
}

/* Where parts go on their way from the device: into a hash and, when fd is not -1, a file. */
typedef struct Stream {
  const Model *model;
  Sha256 *hash;
  void *buffer; /* [CHUNK] */
  int fd;
  const char *path;
} Stream;

static bool stream_open(Stream *stream, const Model *model, Error *e) {
  *stream = (Stream){.model = model, .fd = -1};
  stream->buffer = io_buffer(CHUNK, "reading the training state", e);
  if (stream->buffer) stream->hash = sha256_new();
  return stream->buffer != NULL;
}

static void stream_close(Stream *stream, char hex[65]) {
  if (stream->hash) sha256_finish(stream->hash, hex);
  free(stream->buffer);
}

static bool stream_part(Stream *stream, const Part *part, Error *e) {
  Device *device = stream->model->device;
  hash_header(stream->hash, &part->tensor);
  for (size_t done = 0; done < part->tensor.bytes;) {
    size_t size = part->tensor.bytes - done < CHUNK ? part->tensor.bytes - done : CHUNK;
    const void *bytes = part->host;
    if (part->device) {
      device->kernels->download(device, stream->buffer, (char *)part->device + done, size);
      if (!device_synchronize(stream->model->device, e)) return false;
      bytes = stream->buffer;
    }
    sha256_add(stream->hash, bytes, size);
    if (stream->fd >= 0 && !io_write(stream->fd, stream->path, bytes, size, e)) return false;
    done += size;
  }
  return true;
}

bool checkpoint_state_hash(char hex[65], const Model *model, const StepState *state, Error *e) {
  StepState copy = *state;
  PartList list;
  Stream stream;
  if (!list_parts(&list, model, &copy, e)) return false;
  bool ok = stream_open(&stream, model, e);
  for (int i = 0; ok && i < list.count; i++) ok = stream_part(&stream, &list.parts[i], e);
  stream_close(&stream, hex);
  free(list.parts);
  return ok;
}

/* --- saving ------------------------------------------------------------------------------- */

/* `count` parts into a file. The last file of a checkpoint ends with the hash of all parts. */
static bool write_file(Stream *stream, const char *path, const Part *parts, int count,
                       const char *const *metadata, int pairs, bool last, Error *e) {
  Tensor *tensors = calloc((size_t)count + 1, sizeof *tensors);
  if (!tensors) return error_set(e, EXIT_DEVICE, "out of memory");
  for (int i = 0; i < count; i++) tensors[i] = parts[i].tensor;
  tensors[count] = (Tensor){.name = (char *)hash_tensor,
                            .dtype = "U8",
                            .rank = 1,
                            .shape = {HASH_BYTES},
                            .bytes = HASH_BYTES};
  stream->path = path;
  stream->fd = io_create(path, e);
  bool ok = stream->fd >= 0 &&
            safetensors_write_header(stream->fd, path, tensors, count + last, metadata, pairs, e);
  for (int i = 0; ok && i < count; i++) ok = stream_part(stream, &parts[i], e);
  if (ok && last) {
    char hex[HASH_BYTES + 1];
    sha256_finish(stream->hash, hex);
    stream->hash = NULL;
    ok = io_write(stream->fd, path, hex, HASH_BYTES, e);
  }
  if (stream->fd >= 0) ok = io_finish(stream->fd, path, ok ? e : NULL) && ok;
  free(tensors);
  return ok;
}

static bool write_checkpoint(const char *folder, const Model *model, const PartList *list,
                             const StepState *state, Error *e) {
  char model_path[CONFIG_PATH_MAX], state_path[CONFIG_PATH_MAX], seed[24], unused[65];
  WeightsMetadata metadata;
  if (!io_join(model_path, sizeof model_path, folder, "model.safetensors", e) ||
      !io_join(state_path, sizeof state_path, folder, "state.safetensors", e) ||
      !weights_metadata(&metadata, model->config, (int64_t)state->step, e))
    return false;
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)model->config->run.seed);
  const char *const state_metadata[] = {"format",      state_format,
                                        "config",      metadata.config,
                                        "config_hash", metadata.config_hash,
                                        "step",        metadata.step,
                                        "seed",        seed,
                                        "precision",   dtype_name(config_dtype(model->config))};
  Stream stream;
  bool ok = stream_open(&stream, model, e) && io_make_folders(folder, e) &&
            write_file(&stream, model_path, list->parts, list->params, metadata.pairs,
                       metadata.count, false, e) &&
            write_file(&stream, state_path, list->parts + list->params, list->count - list->params,
                       state_metadata, 6, true, e) &&
            io_sync_folder(folder, e);
  stream_close(&stream, unused);
  weights_metadata_free(&metadata);
  return ok;
}

bool checkpoint_save(const char *run_folder, const Model *model, const StepState *state, Error *e) {
  char temporary[CONFIG_PATH_MAX], final[CONFIG_PATH_MAX];
  int64_t step = (int64_t)state->step;
  StepState copy = *state;
  PartList list;
  if (!step_folder_temporary(temporary, run_folder, step, e) ||
      !step_folder_path(final, run_folder, step, e) || !list_parts(&list, model, &copy, e))
    return false;
  bool ok = step_folders_clean(run_folder, e) &&
            write_checkpoint(temporary, model, &list, state, e) && io_rename(temporary, final, e);
  if (!ok) {
    io_remove(temporary, NULL);
    error_suffix(e,
                 "a checkpoint takes %.1f MB in %s/checkpoints; what was saved before is intact: "
                 "make room, then continue (mae train --resume; harness run: the same command)",
                 (double)list.bytes / 1e6, run_folder);
  }
  free(list.parts);
  int keep = model->config->run.keep_checkpoints;
  return ok && step_folders_rotate(run_folder, step, keep > 1 ? keep : 1, e);
}

/* --- loading ------------------------------------------------------------------------------ */

typedef struct CheckpointFiles {
  TensorFile model, state;
} CheckpointFiles;

static void close_files(CheckpointFiles *files) {
  safetensors_close(&files->model);
  safetensors_close(&files->state);
}

static bool open_files(CheckpointFiles *files, const char *folder, Error *e) {
  char path[CONFIG_PATH_MAX];
  *files = (CheckpointFiles){0};
  bool ok = io_join(path, sizeof path, folder, "model.safetensors", e) &&
            safetensors_open(&files->model, path, e) &&
            io_join(path, sizeof path, folder, "state.safetensors", e) &&
            safetensors_open(&files->state, path, e);
  if (!ok) close_files(files);
  return ok;
}

static const Tensor *part_in_files(const CheckpointFiles *files, const PartList *list, int i) {
  const TensorFile *file = i < list->params ? &files->model : &files->state;
  return safetensors_find(file, list->parts[i].name);
}

/* What differs between the configuration a checkpoint was made with and the present one, up to a
 * few options, as "key = a there, b now". */
static void describe_difference(char *out, size_t size, const TensorFile *state,
                                const Config *config) {
  Config saved;
  Error e;
  out[0] = 0;
  if (!weights_config(state, &saved, &e)) {
    snprintf(out, size, "its configuration cannot be read: %.200s", e.message);
    return;
  }
  const char *key;
  for (int i = 0, shown = 0; (key = config_key(i)) && shown < 4; i++) {
    char before[256], now[256];
    if (!config_is_hashed(key)) continue;
    const char *a = config_get(&saved, key, before, sizeof before);
    const char *b = config_get(config, key, now, sizeof now);
    if (!a || !b || !strcmp(a, b)) continue;
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s = %.60s there, %.60s now", shown++ ? "; " : "", key, a,
             b);
  }
}

static bool check_metadata(const CheckpointFiles *files, const Config *config, Error *e) {
  char now[65], difference[640];
  config_hash(config, now);
  const char *format = safetensors_metadata(&files->state, "format");
  const char *precision = safetensors_metadata(&files->state, "precision");
  const char *hash = safetensors_metadata(&files->state, "config_hash");
  if (!format || strcmp(format, state_format) || !precision || !hash)
    return error_set(e, EXIT_CONFIG, "its format is \"%.40s\"; this program reads \"%s\"",
                     format ? format : "", state_format);
  if (strcmp(precision, dtype_name(config_dtype(config))))
    return error_set(e, EXIT_CONFIG, "it was trained in %.8s, and train.precision is %s now",
                     precision, dtype_name(config_dtype(config)));
  if (!strcmp(hash, now)) return true;
  describe_difference(difference, sizeof difference, &files->state, config);
  return error_set(e, EXIT_CONFIG, "it was made with another configuration: %s", difference);
}

static bool check_parts(const CheckpointFiles *files, const PartList *list, Error *e) {
  for (int i = 0; i < list->count; i++) {
    const Tensor *want = &list->parts[i].tensor, *have = part_in_files(files, list, i);
    if (!have) return error_set(e, EXIT_DATA, "tensor %s is missing", want->name);
    if (have->rank == want->rank && !strcmp(have->dtype, want->dtype) &&
        !memcmp(have->shape, want->shape, (size_t)want->rank * sizeof *want->shape))
      continue;
    char a[256], b[256];
    safetensors_describe(a, sizeof a, have);
    safetensors_describe(b, sizeof b, want);
    return error_set(e, EXIT_DATA, "tensor %s is %s there, %s now", want->name, a, b);
  }
  if (files->model.count != list->params || files->state.count != list->count - list->params + 1)
    return error_set(e, EXIT_DATA, "it holds tensors that are not part of the training state");
  return true;
}

static void hash_tensors(Sha256 *hash, const TensorFile *file) {
  for (int i = 0; i < file->count; i++) {
    const Tensor *tensor = &file->tensors[i];
    if (!strcmp(tensor->name, hash_tensor)) continue;
    hash_header(hash, tensor);
    sha256_add(hash, tensor->data, tensor->bytes);
  }
}

/* Compares the content with the hash that was taken when it was written: in the files the parts lie
 * in the list's order. */
static bool check_content(const CheckpointFiles *files, Error *e) {
  const Tensor *recorded = safetensors_find(&files->state, hash_tensor);
  char hex[65];
  Sha256 *hash = sha256_new();
  hash_tensors(hash, &files->model);
  hash_tensors(hash, &files->state);
  sha256_finish(hash, hex);
  if (!recorded || recorded->bytes != HASH_BYTES || memcmp(hex, recorded->data, HASH_BYTES))
    return error_set(e, EXIT_DATA, "its content does not match the SHA-256 in it");
  return true;
}

/* Opens and checks a checkpoint against the model: EXIT_CONFIG when it is of another
 * configuration, EXIT_DATA when it is damaged. */
static bool open_checkpoint(CheckpointFiles *files, const char *folder, const Model *model,
                            const PartList *list, Error *e) {
  if (!open_files(files, folder, e)) return false;
  bool ok = check_metadata(files, model->config, e) && check_parts(files, list, e) &&
            check_content(files, e);
  if (!ok) close_files(files);
  return ok;
}

/* After the newest checkpoint was found damaged: names the newest sound one before it. */
static void advise_older(const char *run_folder, const int64_t *steps, int count,
                         const Model *model, const PartList *list, Error *e) {
  for (int i = 1; i < count; i++) {
    char path[CONFIG_PATH_MAX];
    CheckpointFiles files;
    if (!step_folder_path(path, run_folder, steps[i], NULL) ||
        !open_checkpoint(&files, path, model, list, NULL))
      continue;
    close_files(&files);
    error_suffix(e, "step-%lld is complete: remove step-%lld to continue from there",
                 (long long)steps[i], (long long)steps[0]);
    return;
  }
  error_suffix(e, "no older one is complete: remove %s/checkpoints to start over", run_folder);
}

static bool load_parts(const CheckpointFiles *files, const PartList *list, Model *model, Error *e) {
  for (int i = 0; i < list->count; i++) {
    const Tensor *tensor = part_in_files(files, list, i);
    const Part *part = &list->parts[i];
    if (part->host)
      memcpy(part->host, tensor->data, tensor->bytes);
    else
      model->device->kernels->upload(model->device, part->device, tensor->data, tensor->bytes);
  }
  model_sync_weights(model);
  return device_synchronize(model->device, e);
}

bool checkpoint_resume(const char *run_folder, Model *model, StepState *state, bool *found,
                       Error *e) {
  char path[CONFIG_PATH_MAX];
  int64_t *steps;
  int count;
  StepState loaded;
  PartList list;
  *found = false;
  if (!step_folders_list(run_folder, &steps, &count, e)) return false;
  if (!count) return true;
  if (!list_parts(&list, model, &loaded, e)) {
    free(steps);
    return false;
  }
  CheckpointFiles files;
  bool ok = step_folder_path(path, run_folder, steps[0], e);
  if (ok && open_checkpoint(&files, path, model, &list, e)) {
    ok = load_parts(&files, &list, model, e);
    close_files(&files);
  } else if (ok) {
    bool damaged = e->code == EXIT_DATA;
    ok = error_prefix(e, damaged ? "checkpoint %s is damaged" : "checkpoint %s", path);
    if (damaged) advise_older(run_folder, steps, count, model, &list, e);
  }
  if (ok) {
    *state = loaded;
    *found = true;
  }
  free(list.parts);
  free(steps);
  return ok;
}

/* A folder's model.safetensors, or the path as it is. */
static bool weights_path(char out[CONFIG_PATH_MAX], const char *path, Error *e) {
  struct stat status;
  if (!stat(path, &status) && S_ISDIR(status.st_mode))
    return io_join(out, CONFIG_PATH_MAX, path, "model.safetensors", e);
  if (strlen(path) >= CONFIG_PATH_MAX)
    return error_set(e, EXIT_DATA, "%.64s...: path too long", path);
  strcpy(out, path);
  return true;
}

/* The folder of a weights file, when it is a checkpoint's. */
static bool checkpoint_of(char folder[CONFIG_PATH_MAX], const char *weights) {
  struct stat status;
  char state[CONFIG_PATH_MAX];
  snprintf(folder, CONFIG_PATH_MAX, "%s", weights);
  char *slash = strrchr(folder, '/');
  if (strcmp(slash ? slash + 1 : folder, "model.safetensors")) return false;
  snprintf(slash ? slash : folder, 2, "%s", slash ? "" : ".");
  return io_join(state, sizeof state, folder, "state.safetensors", NULL) && !stat(state, &status);
}

bool checkpoint_open_weights(TensorFile *file, const char *path, Error *e) {
  char weights[CONFIG_PATH_MAX], folder[CONFIG_PATH_MAX];
  if (!weights_path(weights, path, e)) return false;
  if (!checkpoint_of(folder, weights)) return weights_open(file, weights, e);
  CheckpointFiles files;
  if (!open_files(&files, folder, e)) return false;
  bool ok = check_content(&files, e) || error_prefix(e, "checkpoint %s is damaged", folder);
  safetensors_close(&files.state);
  if (ok)
    *file = files.model;
  else
    safetensors_close(&files.model);
  return ok;
}

bool checkpoint_load_weights(const char *path, Model *model, Error *e) {
  TensorFile file;
  if (!checkpoint_open_weights(&file, path, e)) return false;
  bool ok = !kept_is_encoder(&file) || kept_refuse(path, e);
  ok = ok && (weights_check(&model->table, &file, "", e) || error_prefix(e, "%s", path));
  for (int i = 0; ok && i < model->table.count; i++) {
    const Param *param = &model->table.list[i];
    const Tensor *tensor = safetensors_find(&file, param->name);
    model->device->kernels->upload(model->device, model->params + param->offset, tensor->data,
                                   tensor->bytes);
  }
  if (ok) {
    model_sync_weights(model);
    ok = device_synchronize(model->device, e);
  }
  safetensors_close(&file);
  return ok;
}
