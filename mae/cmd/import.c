/* mae import: another program's weights into a weights file of this program. */
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"
#include "mae/cmd/cmd.h"
#include "mae/cmd/file_model.h"
#include "mae/model/weights.h"

static const char about[] =
    "Reads weights in a safetensors file, or in a folder with a model.safetensors,\n"
    "and writes a weights file for `mae eval`, `mae reconstruct` and `mae export`.\n"
    "\n"
    "  names     of the public MAE reference (blocks.0.attn.qkv.weight), of timm's\n"
    "            VisionTransformer (the same, encoder only), and of Hugging Face's\n"
    "            ViTMAE, as transformers 4 and 5 have them, with query, key and value\n"
    "            joined. module., model. and _orig_mod. in front are taken off.\n"
    "  values    fp32, fp16 or bf16; stored as fp32, every value exactly.\n"
    "  sizes     image, patches, widths, depths and kinds of position table are read\n"
    "            from the file; a --set that contradicts them is an error.\n"
    "  heads     are in no shape. Hugging Face's config.json is read when it lies\n"
    "            beside the file; else 64 channels per head are assumed in the\n"
    "            encoder (80 at a width of 1280: ViT-Huge) and 32 in the decoder, as\n"
    "            in He et al.; --set model.encoder=768x12x12 says otherwise.\n"
    "  decoder   must be there; with --encoder only the encoder is taken, from any\n"
    "            file, a classifier's tensors are left out, and a decoder as\n"
    "            model.decoder says is drawn from run.seed, untrained.\n"
    "\n"
    "The published mae_visualize_vit_*.pth have encoder and decoder,\n"
    "mae_pretrain_vit_*.pth and timm's vit_base_patch16_224.mae only the encoder. A\n"
    ".pth or .bin is converted by\n"
    "\n"
    "  python3 -c \"import torch; from safetensors.torch import save_file; save_file(\n"
    "    torch.load('mae_visualize_vit_base.pth')['model'], 'in.safetensors')\"\n"
    "  mae import in.safetensors --out mae.safetensors\n"
    "\n"
    "LayerNorm's eps is 1e-6 here, as in the reference, whatever a config.json says.";

/* What the command line and the file say. */
typedef struct Import {
  const char *out;
  bool encoder; /* take no decoder from the file */
  StateDict dict;
  FileModel model;
  const Config *config; /* the file's, and over it the options */
} Import;

/* The configuration that the file's tensors make, over which the options are read. */
static bool file_config(ConfigCommand *command, Error *e) {
  Import *import = command->user;
  if (!import->out || !*import->out) return error_set(e, EXIT_CONFIG, "--out FILE is missing");
  if (!state_dict_open(&import->dict, command->line.words[0], e) ||
      !file_model_read(&import->model, &import->dict, e))
    return false;
  command->config = import->model.config;
  if (import->model.has_decoder || import->encoder) return true;
  return error_set(e, EXIT_DATA,
                   "%s holds an encoder without a decoder; --encoder takes it and draws a decoder "
                   "from run.seed",
                   import->dict.path);
}

/* Whether a tensor of this name is passed over. */
static bool left_out(const Import *import, const char *name) {
  return import->encoder && (layout_is_decoder(name) || layout_is_classifier(name));
}

static bool check_strangers(const Import *import, const ParamTable *table, Error *e) {
  for (int i = 0; i < import->dict.file.count; i++) {
    const char *name = import->dict.names[i].name;
    if (left_out(import, name) || params_find(table, name)) continue;
    return error_set(e, EXIT_DATA, "tensor %.100s is no parameter of the configured model%s",
                     import->dict.file.tensors[i].name,
                     layout_is_classifier(name) ? "; --encoder leaves classifiers out" : "");
  }
  return true;
}

/* Fills the arena: with --encoder the decoder is drawn as for a new run, which takes a parameter's
 * numbers from the seed and its name alone. */
static bool fill(float *arena, const Import *import, const ParamTable *table, Error *e) {
  const Config *config = import->config;
  ParamTable drawn = {.total = table->total};
  drawn.list = calloc((size_t)table->count, sizeof *drawn.list);
  if (!drawn.list) return error_set(e, EXIT_DEVICE, "out of memory");
  for (int i = 0; i < table->count; i++)
    if (import->encoder && layout_is_decoder(table->list[i].name))
      drawn.list[drawn.count++] = table->list[i];
  params_init(&drawn, arena, config);
  free(drawn.list);
  for (int i = 0; i < table->count; i++) {
    const Param *param = &table->list[i];
    if (import->encoder && layout_is_decoder(param->name)) continue;
    if (!state_dict_copy(arena + param->offset, &import->dict, param, e)) return false;
  }
  return true;
}

static bool write(const Import *import, const ParamTable *table, const float *arena, Error *e) {
  WeightsMetadata metadata = {0};
  Tensor *tensors = calloc((size_t)table->count, sizeof *tensors);
  bool ok = (tensors || error_set(e, EXIT_DEVICE, "out of memory")) &&
            weights_metadata(&metadata, import->config, -1, e);
  for (int i = 0; ok && i < table->count; i++) {
    tensors[i] = weights_tensor(&table->list[i]);
    tensors[i].data = arena + table->list[i].offset;
  }
  ok = ok && weights_write(import->out, tensors, table->count, &metadata, e);
  weights_metadata_free(&metadata);
  free(tensors);
  return ok;
}

static void print_tower(const Config *config, const char *key, Tower file, bool told) {
  char text[64];
  const Tower *tower =
      !strcmp(key, "model.encoder") ? &config->model.encoder : &config->model.decoder;
  bool assumed = !told && tower->heads == file.heads;
  printf("  %s = %s%s\n", key, config_get(config, key, text, sizeof text),
         assumed ? "  (the heads are assumed, not read)" : "");
}

static void print_result(const Import *import, const ParamTable *table) {
  static const char *const keys[] = {"model.image_size", "model.patch_size", "model.pos_embed",
                                     "model.decoder_pos_embed"};
  const Config *config = import->config;
  const Tower *file = &import->model.config.model.encoder;
  char text[64];
  int passed = 0;
  printf("%s: %d parameters, %zu in the encoder and %zu in the decoder trainable\n", import->out,
         table->count, params_count_encoder(table), params_count_decoder(table));
  for (int i = 0; i < 4; i++)
    printf("  %s = %s\n", keys[i], config_get(config, keys[i], text, sizeof text));
  print_tower(config, "model.encoder", *file, import->model.encoder_heads_told);
  if (!import->encoder)
    print_tower(config, "model.decoder", import->model.config.model.decoder,
                import->model.decoder_heads_told);
  else
    printf("  model.decoder = %s  (untrained: drawn from run.seed = %llu)\n",
           config_get(config, "model.decoder", text, sizeof text),
           (unsigned long long)config->run.seed);
  for (int i = 0; i < import->dict.file.count; i++)
    if (left_out(import, import->dict.names[i].name)) passed++;
  if (passed) printf("  %d tensors of a decoder or a classifier are left out\n", passed);
}

static bool import_weights(const Import *import, Error *e) {
  const Config *config = import->config;
  ParamTable table = {0};
  bool ok = file_model_agrees(&import->model, &import->dict, config, !import->encoder, e) &&
            params_build(&table, config, e);
  float *arena = ok ? io_buffer(table.total * sizeof *arena, "the parameters", e) : NULL;
  ok = arena && ((check_strangers(import, &table, e) && fill(arena, import, &table, e)) ||
                 error_prefix(e, "%s", import->dict.path));
  ok = ok && write(import, &table, arena, e);
  if (ok) print_result(import, &table);
  free(arena);
  params_free(&table);
  return ok;
}

int cmd_import(int argc, char **argv) {
  Import import = {0};
  const CmdOption options[] = {
      {"--out", CMD_TEXT, &import.out, "FILE", "weights file to write"},
      {"--encoder", CMD_FLAG, &import.encoder, NULL, "the encoder only, with a new decoder"},
  };
  ConfigCommand command = {.line = {.name = "mae import",
                                    .about = about,
                                    .usage = "FILE.safetensors|FOLDER --out FILE",
                                    .words_min = 1,
                                    .words_max = 1,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options},
                           .no_data = true,
                           .base = file_config,
                           .user = &import};
  int code = EXIT_OK;
  Error e = {0};
  import.config = &command.config;
  if (cmd_parse(&command, argc, argv, &code) && !import_weights(&import, &e))
    code = command_fail(command.line.name, &e);
  state_dict_close(&import.dict);
  return code;
}
