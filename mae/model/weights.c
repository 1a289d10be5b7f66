/* weights.c - parameters as tensors of a weights file, and the metadata beside them. */
#include "mae/model/weights.h"

#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/base/text.h"
#include "mae/config/ini.h"

Tensor weights_tensor(const Param *param) {
  Tensor tensor = {.name = (char *)param->name,
                   .dtype = "F32",
                   .rank = param->rank,
                   .bytes = param->count * sizeof(float)};
  for (int i = 0; i < param->rank; i++) tensor.shape[i] = (uint64_t)param->shape[i];
  return tensor;
}

static bool same_shape(const Tensor *a, const Tensor *b) {
  return !strcmp(a->dtype, b->dtype) && a->rank == b->rank &&
         !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
}

static bool check_tensor(const Param *param, const TensorFile *file, const char *prefix, Error *e) {
  char name[128], have[256], want[256];
  snprintf(name, sizeof name, "%s%s", prefix, param->name);
  const Tensor *found = safetensors_find(file, name), wanted = weights_tensor(param);
  if (!found) return error_set(e, EXIT_DATA, "parameter %s is missing", name);
  if (same_shape(found, &wanted)) return true;
  safetensors_describe(have, sizeof have, found);
  safetensors_describe(want, sizeof want, &wanted);
  return error_set(e, EXIT_DATA, "parameter %s is %s; the configuration makes it %s", name, have,
                   want);
}

bool weights_check(const ParamTable *table, const TensorFile *file, const char *prefix, Error *e) {
  for (int i = 0; i < table->count; i++)
    if (!check_tensor(&table->list[i], file, prefix, e)) return false;
  if (file->count == table->count) return true;
  size_t length = strlen(prefix);
  for (int i = 0; i < file->count; i++) {
    const char *name = file->tensors[i].name;
    if (strncmp(name, prefix, length) || !params_find(table, name + length))
      return error_set(e, EXIT_DATA, "tensor %.100s is no parameter of the configured model", name);
  }
  return true;
}

void weights_metadata_add(WeightsMetadata *metadata, const char *key, const char *value) {
  metadata->pairs[2 * metadata->count] = key;
  metadata->pairs[2 * metadata->count++ + 1] = value;
}

bool weights_metadata(WeightsMetadata *metadata, const Config *config, int64_t step, Error *e) {
  *metadata = (WeightsMetadata){0};
  size_t size;
  FILE *f = open_memstream(&metadata->config, &size);
  if (!f) return error_set(e, EXIT_DEVICE, "out of memory for metadata");
  config_dump(config, f, true);
  if (fclose(f)) {
    weights_metadata_free(metadata);
    return error_set(e, EXIT_DEVICE, "out of memory for metadata");
  }
  config_hash(config, metadata->config_hash);
  weights_metadata_add(metadata, "format", "pt");
  weights_metadata_add(metadata, "producer", "maebench");
  weights_metadata_add(metadata, "config", metadata->config);
  weights_metadata_add(metadata, "config_hash", metadata->config_hash);
  if (step >= 0) {
    snprintf(metadata->step, sizeof metadata->step, "%lld", (long long)step);
    weights_metadata_add(metadata, "step", metadata->step);
  }
  return true;
}

void weights_metadata_free(WeightsMetadata *metadata) {
  free(metadata->config);
  *metadata = (WeightsMetadata){0};
}

static void hash_tensors(char hex[65], const Tensor *tensors, int count) {
  char text[256];
  Sha256 *hash = sha256_new();
  for (int i = 0; i < count; i++) {
    safetensors_describe(text, sizeof text, &tensors[i]);
    sha256_add(hash, tensors[i].name, strlen(tensors[i].name) + 1);
    sha256_add(hash, text, strlen(text) + 1);
    sha256_add(hash, tensors[i].data, tensors[i].bytes);
  }
  sha256_finish(hash, hex);
}

bool weights_open(TensorFile *file, const char *path, Error *e) {
  char hex[65];
  if (!safetensors_open(file, path, e)) return false;
  const char *recorded = safetensors_metadata(file, "tensors_sha256");
  if (!recorded) return true;
  hash_tensors(hex, file->tensors, file->count);
  if (!strcmp(hex, recorded)) return true;
  safetensors_close(file);
  return error_set(e, EXIT_DATA, "%s is damaged: its tensors do not match the SHA-256 in it", path);
}

bool weights_write(const char *path, const Tensor *tensors, int count, WeightsMetadata *metadata,
                   Error *e) {
  hash_tensors(metadata->tensors_sha256, tensors, count);
  weights_metadata_add(metadata, "tensors_sha256", metadata->tensors_sha256);
  char temporary[CONFIG_PATH_MAX];
  int n = snprintf(temporary, sizeof temporary, "%s.tmp", path);
  if (n < 0 || (size_t)n >= sizeof temporary)
    return error_set(e, EXIT_DATA, "%.64s...: path too long", path);
  if (safetensors_write(temporary, tensors, count, metadata->pairs, metadata->count, e) &&
      io_rename(temporary, path, e))
    return true;
  io_remove(temporary, NULL);
  return false;
}

bool weights_config(const TensorFile *file, Config *config, Error *e) {
  const char *text = safetensors_metadata(file, "config");
  if (!text)
    return error_set(e, EXIT_DATA,
                     "there is no configuration in the file's metadata; it was not "
                     "written by this program");
  IniFile ini;
  if (!ini_parse(&ini, "metadata", text, strlen(text), e)) return false;
  config_init(config);
  bool ok = true;
  for (int i = 0; ok && i < ini.count; i++) {
    const IniEntry *entry = &ini.entries[i];
    const ConfigOrigin origin = {"metadata", entry->line, entry->column};
    char key[128];
    snprintf(key, sizeof key, "%s.%s", entry->section, entry->key);
    ok = config_set(config, key, entry->value, &origin, e);
  }
  ini_free(&ini);
  return ok;
}
