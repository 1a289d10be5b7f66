/* kept.c - the encoder of a finished run, written, measured and loaded. */
#include "mae/record/kept.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"
#include "mae/base/io.h"
#include "mae/model/device.h"
#include "mae/model/weights.h"
#include "mae/record/checkpoint.h"

/* Of run.keep = auto: a hundred trials of this size take 20 GB. */
static const size_t auto_bytes = 200u * 1000 * 1000;

/* A header has about so many bytes for a tensor, beside the configuration. */
enum { HEADER_TENSOR = 120, HEADER_REST = 4096 };

static const char metadata_key[] = "kept", metadata_value[] = "encoder";

const char *kept_name(Keep keep) {
  static const char *const names[] = {KEEPS(CHOICE_NAME)};
  return names[keep];
}

#define STATE(id, name, help, state) state,
bool kept_state(Keep keep) {
  static const bool states[] = {KEEPS(STATE)};
  return states[keep];
}

/* What matrix products read in 16 bits when train.precision has so many (model_weight). */
static bool is_matrix(const Param *param) {
  size_t length = strlen(param->name);
  return param->rank >= 2 && param->trainable && length > 7 &&
         !strcmp(param->name + length - 7, ".weight");
}

static size_t encoder_element(const Param *param, Dtype type) {
  return is_matrix(param) ? dtype_size(type) : sizeof(float);
}

bool kept_sizes(KeptSizes *sizes, const Config *config, Error *e) {
  ParamTable table;
  if (!params_build(&table, config, e)) return false;
  *sizes = (KeptSizes){.weights = HEADER_REST, .encoder = HEADER_REST, .checkpoint = HEADER_REST};
  for (int i = 0; i < table.count; i++) {
    const Param *param = &table.list[i];
    size_t bytes = param->count * sizeof(float);
    sizes->weights += bytes + HEADER_TENSOR;
    if (!params_in_decoder(param))
      sizes->encoder += param->count * encoder_element(param, config_dtype(config)) + HEADER_TENSOR;
    if (param->trainable) sizes->checkpoint += 2 * (bytes + HEADER_TENSOR);
  }
  sizes->checkpoint += sizes->weights;
  params_free(&table);
  return true;
}

Keep kept_choice(const Config *config, const KeptSizes *sizes) {
  if (config->run.keep != KEEP_AUTO) return config->run.keep;
  return sizes->weights <= auto_bytes ? KEEP_WEIGHTS : KEEP_ENCODER;
}

void kept_table(ParamTable *table) {
  int count = 0;
  for (int i = 0; i < table->count; i++)
    if (!params_in_decoder(&table->list[i])) table->list[count++] = table->list[i];
  table->count = count;
}

bool kept_is_encoder(const TensorFile *file) {
  const char *kept = safetensors_metadata(file, metadata_key);
  return kept && !strcmp(kept, metadata_value);
}

bool kept_refuse(const char *path, Error *e) {
  return error_set(e, EXIT_DATA,
                   "%s: only the encoder was kept (run.keep), and this needs the decoder too: "
                   "`harness verify TRIAL --keep` trains it again into a folder that has both, or "
                   "run it anew with run.keep = weights",
                   path);
}

/* Writing ---------------------------------------------------------------------------------------*/

static void narrow(uint16_t *out, const Tensor *tensor, Dtype type) {
  for (size_t i = 0; i < tensor->bytes / sizeof(float); i++) {
    float value;
    memcpy(&value, (const char *)tensor->data + i * sizeof value, sizeof value);
    out[i] = type == DTYPE_BF16 ? bf16_from_float(value) : f16_from_float(value);
  }
}

/* The tensors to write; those that become 16 bits wide lie in *halves, which the caller frees. */
static bool choose_tensors(Tensor *tensors, uint16_t **halves, const ParamTable *table,
                           const TensorFile *file, Dtype type, Error *e) {
  size_t used = 0;
  *halves = io_buffer(table->total * sizeof **halves, "the encoder's weights", e);
  for (int i = 0; *halves && i < table->count; i++) {
    const Param *param = &table->list[i];
    tensors[i] = *safetensors_find(file, param->name);
    if (encoder_element(param, type) == sizeof(float)) continue;
    narrow(*halves + used, &tensors[i], type);
    tensors[i].data = *halves + used;
    tensors[i].bytes /= 2;
    snprintf(tensors[i].dtype, sizeof tensors[i].dtype, "%s", type == DTYPE_BF16 ? "BF16" : "F16");
    used += param->count;
  }
  return *halves != NULL;
}

bool kept_write_encoder(const char *step_folder, const Config *config, int64_t step, Error *e) {
  char to[CONFIG_PATH_MAX];
  TensorFile file = {0};
  ParamTable table = {0};
  WeightsMetadata metadata = {0};
  uint16_t *halves = NULL;
  if (!io_join(to, sizeof to, step_folder, KEPT_ENCODER, e) ||
      !checkpoint_open_weights(&file, step_folder, e))
    return false;
  bool ok = params_build(&table, config, e) &&
            (weights_check(&table, &file, "", e) || error_prefix(e, "%s", step_folder));
  if (ok) kept_table(&table);
  Tensor *tensors = ok ? calloc((size_t)table.count + 1, sizeof *tensors) : NULL;
  if (ok && !tensors) ok = error_set(e, EXIT_DEVICE, "out of memory");
  ok = ok && choose_tensors(tensors, &halves, &table, &file, config_dtype(config), e) &&
       weights_metadata(&metadata, config, step, e);
  if (ok) {
    weights_metadata_add(&metadata, metadata_key, metadata_value);
    ok = weights_write(to, tensors, table.count, &metadata, e);
  }
  weights_metadata_free(&metadata);
  free(halves);
  free(tensors);
  params_free(&table);
  safetensors_close(&file);
  return ok;
}

/* Loading ---------------------------------------------------------------------------------------*/

static void widen(float *out, const Tensor *tensor) {
  bool bf16 = !strcmp(tensor->dtype, "BF16");
  for (size_t i = 0; i < tensor->bytes / sizeof(uint16_t); i++) {
    uint16_t half;
    memcpy(&half, (const char *)tensor->data + i * sizeof half, sizeof half);
    out[i] = bf16 ? bf16_to_float(half) : f16_to_float(half);
  }
}

static bool is_half(const Tensor *tensor) {
  return !strcmp(tensor->dtype, "BF16") || !strcmp(tensor->dtype, "F16");
}

bool kept_widen(TensorFile *file, float **values, Error *e) {
  size_t count = 1, used = 0;
  for (int i = 0; i < file->count; i++)
    if (is_half(&file->tensors[i])) count += file->tensors[i].bytes / sizeof(uint16_t);
  *values = io_buffer(count * sizeof **values, "the encoder's weights", e);
  for (int i = 0; *values && i < file->count; i++) {
    Tensor *tensor = &file->tensors[i];
    if (!is_half(tensor)) continue;
    widen(*values + used, tensor);
    tensor->data = *values + used;
    tensor->bytes *= 2;
    snprintf(tensor->dtype, sizeof tensor->dtype, "F32");
    used += tensor->bytes / sizeof(float);
  }
  return *values != NULL;
}

/* Every parameter, from the file or zeros, in the model's arena. */
static bool upload(Model *model, const ParamTable *encoder, const TensorFile *file, Error *e) {
  float *arena = calloc(model->table.total, sizeof *arena);
  if (!arena) return error_set(e, EXIT_DEVICE, "out of memory for the encoder's weights");
  for (int i = 0; i < encoder->count; i++) {
    const Tensor *tensor = safetensors_find(file, encoder->list[i].name);
    memcpy(arena + encoder->list[i].offset, tensor->data, tensor->bytes);
  }
  model->device->kernels->upload(model->device, model->params, arena,
                                 model->table.total * sizeof *arena);
  model_sync_weights(model);
  bool ok = device_synchronize(model->device, e);
  free(arena);
  return ok;
}

bool kept_load_encoder(const char *path, Model *model, Error *e) {
  const char *slash = strrchr(path, '/');
  if (strcmp(slash ? slash + 1 : path, KEPT_ENCODER) != 0)
    return checkpoint_load_weights(path, model, e);
  TensorFile file;
  ParamTable encoder = {0};
  float *values = NULL;
  if (!weights_open(&file, path, e)) return false;
  bool ok = params_build(&encoder, model->config, e) && kept_widen(&file, &values, e);
  if (ok) kept_table(&encoder);
  ok = ok && (weights_check(&encoder, &file, "", e) || error_prefix(e, "%s", path)) &&
       upload(model, &encoder, &file, e);
  free(values);
  params_free(&encoder);
  safetensors_close(&file);
  return ok;
}
