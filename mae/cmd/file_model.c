/* file_model.c - sizes from shapes, positions from tables, heads from what lies beside them. */
#include "mae/cmd/file_model.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/config/table.h"
#include "mae/model/weights.h"

/* config_set with a printf-style value; a message begins with the file's path. */
static bool set(Config *config, const StateDict *dict, Error *e, const char *key,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

static bool set(Config *config, const StateDict *dict, Error *e, const char *key,
                const char *format, ...) {
  char value[64];
  va_list args;
  va_start(args, format);
  vsnprintf(value, sizeof value, format, args);
  va_end(args);
  return config_set(config, key, value, &(ConfigOrigin){.file = dict->path}, e);
}

/* A tensor of some rank; the sizes in it are used only after this. */
static const Tensor *need(const StateDict *dict, const char *name, int rank, Error *e) {
  char text[256];
  const Tensor *tensor = state_dict_find(dict, name, LAYOUT_WHOLE);
  if (!tensor) {
    error_set(e, EXIT_DATA,
              "%s: no %s: these are not the weights of a masked autoencoder, or of its encoder, "
              "under the names of the public reference, of Hugging Face or of timm",
              dict->path, name);
    return NULL;
  }
  if (tensor->rank == rank) return tensor;
  safetensors_describe(text, sizeof text, tensor);
  error_set(e, EXIT_DATA, "%s: %.100s is %s; it should have %d dimensions", dict->path,
            tensor->name, text, rank);
  return NULL;
}

/* One more than the largest N of the names START N. */
static int depth_of(const StateDict *dict, const char *start) {
  int depth = 0;
  size_t length = strlen(start);
  for (int i = 0; i < dict->file.count; i++) {
    const char *number = dict->names[i].name + length;
    if (strncmp(dict->names[i].name, start, length) || *number < '0' || *number > '9') continue;
    long n = strtol(number, NULL, 10);
    if (n >= depth) depth = n < TOWER_DEPTH_MAX ? (int)n + 1 : TOWER_DEPTH_MAX + 1;
  }
  return depth;
}

/* `told` holds what metadata or config.json say, or zeros. */
static bool set_tower(Tower *tower, FileModel *model, const StateDict *dict, const char *key,
                      uint64_t width, int depth, Tower told, int head_size, Error *e) {
  if (!set(&model->config, dict, e, key, "%llux%dx1", (unsigned long long)width, depth))
    return false;
  if (told.heads && (told.width != tower->width || told.depth != tower->depth))
    return error_set(e, EXIT_DATA,
                     "%s: the shapes make %s %dx%d (width x depth), but the configuration that "
                     "comes with the file says %dx%d",
                     dict->path, key, tower->width, tower->depth, told.width, told.depth);
  if (told.heads)
    tower->heads = told.heads;
  else
    tower->heads = tower->width % head_size ? HEADS_UNKNOWN : tower->width / head_size;
  return true;
}

typedef struct Told {
  Tower encoder, decoder;
} Told;

static bool json_tower(Tower *tower, const StateDict *dict, const json_t *root, const char *prefix,
                       Error *e) {
  static const char *const keys[] = {"hidden_size", "num_hidden_layers", "num_attention_heads"};
  int *const sizes[] = {&tower->width, &tower->depth, &tower->heads};
  for (int i = 0; i < 3; i++) {
    char key[64];
    snprintf(key, sizeof key, "%s%s", prefix, keys[i]);
    const json_t *value = json_object_get(root, key);
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > TOWER_WIDTH_MAX)
      return error_set(e, EXIT_DATA, "config.json beside %s: %s is missing or no size", dict->path,
                       key);
    *sizes[i] = (int)json_integer_value(value);
  }
  if (tower->width % tower->heads)
    return error_set(e, EXIT_DATA, "config.json beside %s: %shidden_size %d is not divisible by %d",
                     dict->path, prefix, tower->width, tower->heads);
  return true;
}

/* What Hugging Face's config.json says that shapes do not. It is that of some ViT, or of a masked
 * autoencoder with what belongs to its decoder and training. */
static bool read_json(Told *told, FileModel *model, const StateDict *dict, const json_t *root,
                      Error *e) {
  const char *type = json_string_value(json_object_get(root, "model_type"));
  const char *activation = json_string_value(json_object_get(root, "hidden_act"));
  bool mae = type && !strcmp(type, "vit_mae");
  if (!type || strncmp(type, "vit", 3))
    return error_set(e, EXIT_DATA, "config.json beside %s: its model_type is %.40s, not vit_mae",
                     dict->path, type ? type : "missing");
  if (activation && strcmp(activation, "gelu"))
    return error_set(e, EXIT_DATA, "config.json beside %s: hidden_act is %.40s; only gelu is known",
                     dict->path, activation);
  if (!json_tower(&told->encoder, dict, root, "", e)) return false;
  model->encoder_heads_told = true;
  if (!mae) return true;
  const json_t *ratio = json_object_get(root, "mask_ratio");
  const json_t *norm_pix = json_object_get(root, "norm_pix_loss");
  if (json_is_number(ratio) &&
      !set(&model->config, dict, e, "train.mask_ratio", "%.17g", json_number_value(ratio)))
    return false;
  if (json_is_boolean(norm_pix)) model->config.train.norm_pix = json_is_true(norm_pix);
  if (!model->has_decoder) return true;
  model->decoder_heads_told = true;
  return json_tower(&told->decoder, dict, root, "decoder_", e);
}

static bool read_config_json(Told *told, FileModel *model, const StateDict *dict, Error *e) {
  char path[CONFIG_PATH_MAX];
  const char *slash = strrchr(dict->path, '/');
  int n = snprintf(path, sizeof path, "%.*sconfig.json", slash ? (int)(slash + 1 - dict->path) : 0,
                   dict->path);
  if (n < 0 || (size_t)n >= sizeof path || (access(path, F_OK) && errno == ENOENT)) return true;
  json_error_t problem;
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
  if (!root)
    return error_set(e, EXIT_DATA, "%s:%d:%d: %s", path, problem.line, problem.column,
                     problem.text);
  bool ok = read_json(told, model, dict, root, e);
  json_decref(root);
  return ok;
}

/* What comes with the tensors: our own metadata, or Hugging Face's config.json. */
static bool read_told(Told *told, FileModel *model, const StateDict *dict, Error *e) {
  const char *producer = safetensors_metadata(&dict->file, "producer");
  *told = (Told){0};
  config_init(&model->config);
  if (producer && !strcmp(producer, "maebench")) {
    if (!weights_config(&dict->file, &model->config, e)) return error_prefix(e, "%s", dict->path);
    model->encoder_heads_told = true;
    model->decoder_heads_told = model->has_decoder;
    told->encoder = model->config.model.encoder;
    if (model->has_decoder) told->decoder = model->config.model.decoder;
    return true;
  }
  return !dict->hugging_face || read_config_json(told, model, dict, e);
}

/* Half a unit in the last place of the type at 1, over what tables computed in fp32 differ by. */
static float table_tolerance(const Tensor *table) {
  const float computed = 1e-4f;
  if (!strcmp(table->dtype, "F16")) return computed + 0x1p-12f;
  if (!strcmp(table->dtype, "BF16")) return computed + 0x1p-9f;
  return computed;
}

/* Whether the table is the fixed one that `init` makes; `made` is room for one. */
static bool is_table(const float *values, float *made, const Tensor *table, ParamInit init,
                     const Config *config) {
  int rows = (int)table->shape[1], width = (int)table->shape[2];
  Param param = {.name = "pos_embed",
                 .rank = 3,
                 .shape = {1, rows, width},
                 .count = (size_t)rows * (size_t)width,
                 .init = init};
  if (width % (init == INIT_SINCOS2D ? 4 : 2)) return false;
  params_init(&(ParamTable){.list = &param, .count = 1, .total = param.count}, made, config);
  float tolerance = table_tolerance(table);
  for (size_t i = 0; i < param.count; i++)
    if (!(fabsf(values[i] - made[i]) < tolerance)) return false; /* a NaN too */
  return true;
}

/* The kind of positions of a table, and from its rows the image's size. */
static bool read_positions(PosEmbed *kind, FileModel *model, const StateDict *dict,
                           const char *name, Error *e) {
  Config *config = &model->config;
  *kind = POS_NONE;
  if (!state_dict_find(dict, name, LAYOUT_WHOLE)) return true;
  const Tensor *table = need(dict, name, 3, e);
  if (!table) return false;
  if (table->shape[0] != 1 || table->shape[2] > TOWER_WIDTH_MAX || !state_dict_readable(table)) {
    char text[256];
    safetensors_describe(text, sizeof text, table);
    return error_set(e, EXIT_DATA, "%s: %.100s is %s, which is no position table", dict->path,
                     table->name, text);
  }
  uint64_t rows = table->shape[1], side = (uint64_t)sqrt((double)rows);
  if (side * side + config->model.class_token != rows || !side || rows > 1 << 20)
    return error_set(e, EXIT_DATA,
                     "%s: %.100s has %llu rows, which is no square of patches%s: only square "
                     "images are known",
                     dict->path, table->name, (unsigned long long)rows,
                     config->model.class_token ? " and a class token" : "");
  model->has_image_size = true;
  if (!set(config, dict, e, "model.image_size", "%llu",
           (unsigned long long)side * (unsigned long long)config->model.patch_size))
    return false;
  size_t count = table->bytes / safetensors_element_size(table->dtype);
  float *values = io_buffer(2 * count * sizeof *values, "the position tables", e);
  if (!values) return false;
  state_dict_values(values, table);
  *kind = is_table(values, values + count, table, INIT_SINCOS2D, config)   ? POS_SINCOS2D
          : is_table(values, values + count, table, INIT_SINCOS1D, config) ? POS_SINCOS1D
                                                                           : POS_LEARNED;
  free(values);
  return true;
}

static bool read_decoder(FileModel *model, const StateDict *dict, Tower told, Error *e) {
  enum { REFERENCE_HEAD = 32 }; /* 512 / 16 */
  Config *config = &model->config;
  const Tensor *embed = need(dict, "decoder_embed.weight", 2, e);
  config->model.encoder_mask_tokens = state_dict_find(dict, "encoder_mask_token", LAYOUT_WHOLE);
  return embed &&
         set_tower(&config->model.decoder, model, dict, "model.decoder", embed->shape[0],
                   depth_of(dict, "decoder_blocks."), told, REFERENCE_HEAD, e) &&
         read_positions(&config->model.decoder_pos_embed, model, dict, "decoder_pos_embed", e);
}

bool file_model_read(FileModel *model, const StateDict *dict, Error *e) {
  enum { HEAD = 64, HUGE_WIDTH = 1280, HUGE_HEAD = 80 };
  *model = (FileModel){.has_decoder = state_dict_has_decoder(dict)};
  Config *config = &model->config;
  Told told;
  const Tensor *patches = need(dict, "patch_embed.proj.weight", 4, e);
  if (!patches || !read_told(&told, model, dict, e)) return false;
  int head = patches->shape[0] == HUGE_WIDTH ? HUGE_HEAD : HEAD;
  config->model.class_token = state_dict_find(dict, "cls_token", LAYOUT_WHOLE);
  return set(config, dict, e, "model.patch_size", "%llu", (unsigned long long)patches->shape[2]) &&
         set_tower(&config->model.encoder, model, dict, "model.encoder", patches->shape[0],
                   depth_of(dict, "blocks."), told.encoder, head, e) &&
         read_positions(&config->model.pos_embed, model, dict, "pos_embed", e) &&
         (!model->has_decoder || read_decoder(model, dict, told.decoder, e));
}

static bool same(const FileModel *model, const StateDict *dict, const Config *config,
                 const char *key, Error *e) {
  char file[64], given[64];
  if (!config_get(&model->config, key, file, sizeof file) ||
      !config_get(config, key, given, sizeof given) || !strcmp(file, given))
    return true;
  return error_set(e, EXIT_DATA, "%s = %s contradicts %s, whose tensors make it %s", key, given,
                   dict->path, file);
}

static bool has_heads(Tower tower, const StateDict *dict, const char *key, Error *e) {
  if (tower.heads != HEADS_UNKNOWN) return true;
  return error_set(e, EXIT_CONFIG,
                   "%s does not tell how many heads %s has, and a width of %d suggests no number: "
                   "--set %s=%dx%dxHEADS",
                   dict->path, key, tower.width, key, tower.width, tower.depth);
}

static bool same_tower(Tower file, Tower given, const StateDict *dict, const char *key, Error *e) {
  if (given.width != file.width || given.depth != file.depth)
    return error_set(e, EXIT_DATA,
                     "%s = %dx%dx%d contradicts %s, whose tensors make it %dx%d and any number of "
                     "heads",
                     key, given.width, given.depth, given.heads, dict->path, file.width,
                     file.depth);
  return true;
}

/* The model would be evaluated with other positions than its configuration says. */
static bool same_positions(PosEmbed file, PosEmbed given, const char *name, const StateDict *dict,
                           const Config *config, const FileModel *model, Error *e) {
  char key[64], have[32], want[32];
  if (given == file || (given == POS_LEARNED && file != POS_NONE)) return true;
  snprintf(key, sizeof key, "model.%s", name);
  if (given == POS_NONE || file == POS_NONE) return same(model, dict, config, key, e);
  config_get(&model->config, key, have, sizeof have);
  config_get(config, key, want, sizeof want);
  return error_set(e, EXIT_DATA,
                   "%s: %s is not the table of %s = %s but %s; %s = learned keeps any table",
                   dict->path, name, key, want, file == POS_LEARNED ? "one of its own" : have, key);
}

bool file_model_agrees(const FileModel *model, const StateDict *dict, const Config *config,
                       bool decoder, Error *e) {
  const Config *file = &model->config;
  if (!same(model, dict, config, "model.patch_size", e) ||
      (model->has_image_size && !same(model, dict, config, "model.image_size", e)) ||
      !same(model, dict, config, "model.class_token", e) ||
      !same_tower(file->model.encoder, config->model.encoder, dict, "model.encoder", e) ||
      !same_positions(file->model.pos_embed, config->model.pos_embed, "pos_embed", dict, config,
                      model, e) ||
      !has_heads(config->model.encoder, dict, "model.encoder", e) ||
      !has_heads(config->model.decoder, dict, "model.decoder", e))
    return false;
  return !decoder ||
         (same(model, dict, config, "model.encoder_mask_tokens", e) &&
          same_tower(file->model.decoder, config->model.decoder, dict, "model.decoder", e) &&
          same_positions(file->model.decoder_pos_embed, config->model.decoder_pos_embed,
                         "decoder_pos_embed", dict, config, model, e));
}
