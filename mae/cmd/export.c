/* mae export: weights in the layouts of timm's VisionTransformer and Hugging Face's ViTMAE. */
#include <stdlib.h>
#include <string.h>

#include "mae/base/text.h"
#include "mae/cmd/cmd.h"
#include "mae/model/weights.h"
#include "mae/record/checkpoint.h"

static const char about[] =
    "Writes the weights of CHECKPOINT (a checkpoint's folder or a weights file) for\n"
    "another program, and prints on standard output what that program must be told.\n"
    "\n"
    "  --format timm   the encoder as timm's VisionTransformer with num_classes=0\n"
    "                  names it (vit_base_patch16_224 for ViT-Base at 224 px):\n"
    "                  cls_token, pos_embed, patch_embed.proj.*, blocks.N.*, norm.*.\n"
    "                  Prints the Python line that loads it.\n"
    "  --format hf     encoder and decoder as Hugging Face's ViTMAEForPreTraining\n"
    "                  (transformers 4) names them: vit.embeddings.*,\n"
    "                  vit.encoder.layer.N.*, vit.layernorm.*, decoder.*; qkv is split\n"
    "                  in query, key and value. Prints config.json:\n"
    "                    mae export CKPT --format hf --out DIR/model.safetensors \\\n"
    "                      > DIR/config.json\n"
    "                  With --encoder without the decoder, as ViTMAEModel and ViTModel\n"
    "                  need it.\n"
    "\n"
    "Traps. LayerNorm's eps is 1e-6 here and in timm; the default of ViTMAEConfig is\n"
    "1e-12: keep layer_norm_eps of the printed config.json. Images are normalised\n"
    "with the ImageNet mean and std; timm's data config of vit_base_patch16_224 says\n"
    "0.5. The position tables hold the class token's row first and are stored even\n"
    "where they are fixed. timm with global_pool='avg' replaces norm by fc_norm:\n"
    "leave it at 'token'. ViTMAEModel masks at inference as well, at random: set\n"
    "mask_ratio=0 for features.";

/* The tensors to be written; their data stays in the opened file. */
typedef struct Layout {
  Tensor *tensors;
  char (*names)[256];
  int count;
} Layout;

static bool layout_create(Layout *layout, const ParamTable *table, Error *e) {
  size_t most = 3 * (size_t)table->count; /* qkv becomes three */
  layout->tensors = calloc(most, sizeof *layout->tensors);
  layout->names = calloc(most, sizeof *layout->names);
  return (layout->tensors && layout->names) || error_set(e, EXIT_DEVICE, "out of memory");
}

static void layout_free(Layout *layout) {
  free(layout->tensors);
  free(layout->names);
}

/* Adds a tensor under a new name, `before` and `after` joined: for part 0, 1 or 2 that third of its
 * rows, for part -1 all of it. */
static void add(Layout *layout, const Tensor *source, int part, const char *before,
                const char *after) {
  char *name = layout->names[layout->count];
  Tensor *tensor = &layout->tensors[layout->count++];
  snprintf(name, sizeof *layout->names, "%s%s", before, after);
  *tensor = *source;
  tensor->name = name;
  if (part < 0) return;
  tensor->shape[0] /= 3;
  tensor->bytes /= 3;
  tensor->data = (const char *)source->data + (size_t)part * tensor->bytes;
}

static bool is_decoder(const char *name) {
  return !strncmp(name, "decoder_", 8) || !strcmp(name, "mask_token") ||
         !strcmp(name, "encoder_mask_token");
}

static const struct {
  const char *ours, *theirs;
} hf_names[] = {
    {"cls_token", "vit.embeddings.cls_token"},
    {"pos_embed", "vit.embeddings.position_embeddings"},
    {"patch_embed.proj.weight", "vit.embeddings.patch_embeddings.projection.weight"},
    {"patch_embed.proj.bias", "vit.embeddings.patch_embeddings.projection.bias"},
    {"norm.weight", "vit.layernorm.weight"},
    {"norm.bias", "vit.layernorm.bias"},
    {"mask_token", "decoder.mask_token"},
    {"decoder_pos_embed", "decoder.decoder_pos_embed"},
    {"decoder_embed.weight", "decoder.decoder_embed.weight"},
    {"decoder_embed.bias", "decoder.decoder_embed.bias"},
    {"decoder_norm.weight", "decoder.decoder_norm.weight"},
    {"decoder_norm.bias", "decoder.decoder_norm.bias"},
    {"decoder_pred.weight", "decoder.decoder_pred.weight"},
    {"decoder_pred.bias", "decoder.decoder_pred.bias"},
};

static const struct {
  const char *ours, *theirs;
} hf_block_names[] = {
    {"norm1.", "layernorm_before."},
    {"norm2.", "layernorm_after."},
    {"attn.proj.", "attention.output.dense."},
    {"mlp.fc1.", "intermediate.dense."},
    {"mlp.fc2.", "output.dense."},
};

/* blocks.N.REST or decoder_blocks.N.REST. */
static bool add_hf_block(Layout *layout, const Tensor *tensor) {
  bool decoder = !strncmp(tensor->name, "decoder_blocks.", 15);
  const char *number = tensor->name + (decoder ? 15 : strlen("blocks."));
  const char *rest = strchr(number, '.') + 1;
  char before[64], name[128];
  snprintf(before, sizeof before, "%s%.*s",
           decoder ? "decoder.decoder_layers." : "vit.encoder.layer.", (int)(rest - number),
           number);
  if (!strncmp(rest, "attn.qkv.", 9)) {
    static const char *const parts[] = {"query", "key", "value"};
    for (int i = 0; i < 3; i++) {
      snprintf(name, sizeof name, "attention.attention.%s.%s", parts[i], rest + 9);
      add(layout, tensor, i, before, name);
    }
    return true;
  }
  for (size_t i = 0; i < sizeof hf_block_names / sizeof *hf_block_names; i++) {
    size_t length = strlen(hf_block_names[i].ours);
    if (strncmp(rest, hf_block_names[i].ours, length)) continue;
    snprintf(name, sizeof name, "%s%s", hf_block_names[i].theirs, rest + length);
    add(layout, tensor, -1, before, name);
    return true;
  }
  return false;
}

static bool add_hf(Layout *layout, const Tensor *tensor, Error *e) {
  for (size_t i = 0; i < sizeof hf_names / sizeof *hf_names; i++)
    if (!strcmp(tensor->name, hf_names[i].ours)) {
      add(layout, tensor, -1, hf_names[i].theirs, "");
      return true;
    }
  if (!strncmp(tensor->name, "blocks.", 7) || !strncmp(tensor->name, "decoder_blocks.", 15))
    if (add_hf_block(layout, tensor)) return true;
  return error_set(e, EXIT_CONFIG, "Hugging Face's ViTMAE has no place for %s", tensor->name);
}

/* Refuses models that the other program cannot express. */
static bool check_model(const Config *config, bool hf, bool encoder, Error *e) {
  if (!config->model.class_token)
    return error_set(e, EXIT_CONFIG, "model.class_token = false: both formats need a class token");
  if (config->model.pos_embed == POS_NONE)
    return error_set(e, EXIT_CONFIG, "model.pos_embed = none: both formats need a position table");
  if (hf && !encoder && config->model.decoder_pos_embed == POS_NONE)
    return error_set(e, EXIT_CONFIG,
                     "model.decoder_pos_embed = none: this format needs a position table; "
                     "--encoder leaves the decoder out");
  if (hf && !encoder && config->model.encoder_mask_tokens)
    return error_set(e, EXIT_CONFIG,
                     "model.encoder_mask_tokens = true: this format has no mask tokens in the "
                     "encoder; --encoder leaves the decoder out");
  return true;
}

/* The config.json that Hugging Face's transformers read beside the weights. */
static bool hf_config(Text *text, const Config *config, bool encoder) {
  const Tower *enc = &config->model.encoder, *dec = &config->model.decoder;
  json_t *json = json_pack(
      "{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:f, s:b, "
      "s:f, "
      "s:b, s:f, s:s}",
      "architectures", encoder ? "ViTMAEModel" : "ViTMAEForPreTraining", "model_type", "vit_mae",
      "hidden_size", enc->width, "num_hidden_layers", enc->depth, "num_attention_heads", enc->heads,
      "intermediate_size", 4 * enc->width, "decoder_hidden_size", dec->width,
      "decoder_num_hidden_layers", dec->depth, "decoder_num_attention_heads", dec->heads,
      "decoder_intermediate_size", 4 * dec->width, "image_size", config->model.image_size,
      "patch_size", config->model.patch_size, "num_channels", 3, "hidden_act", "gelu",
      "hidden_dropout_prob", 0.0, "attention_probs_dropout_prob", 0.0, "qkv_bias", true,
      "layer_norm_eps", 1e-6, "norm_pix_loss", (int)config->train.norm_pix, "mask_ratio",
      config->train.mask_ratio, "torch_dtype", "float32");
  char *bytes = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
  if (bytes) text_format(text, "%s\n", bytes);
  free(bytes);
  json_decref(json);
  return bytes != NULL;
}

static void timm_line(Text *text, const Config *config) {
  const Tower *enc = &config->model.encoder;
  text_format(text,
              "timm.models.vision_transformer.VisionTransformer(img_size=%d, patch_size=%d, "
              "embed_dim=%d, depth=%d, num_heads=%d, num_classes=0, global_pool='token')"
              ".load_state_dict(safetensors.torch.load_file(FILE), strict=True)\n",
              config->model.image_size, config->model.patch_size, enc->width, enc->depth,
              enc->heads);
}

static bool build_layout(Layout *layout, const ParamTable *table, const TensorFile *file, bool hf,
                         bool encoder, Error *e) {
  if (!layout_create(layout, table, e)) return false;
  for (int i = 0; i < table->count; i++) {
    const Tensor *tensor = safetensors_find(file, table->list[i].name);
    if (is_decoder(tensor->name) && (!hf || encoder)) continue;
    if (!hf)
      add(layout, tensor, -1, tensor->name, "");
    else if (!add_hf(layout, tensor, e))
      return false;
  }
  return true;
}

static bool export(const char *path, const char *out, bool hf, bool encoder, Error *e) {
  TensorFile file = {0};
  ParamTable table = {0};
  WeightsMetadata metadata = {0};
  Layout layout = {0};
  Text told = {0};
  Config config;
  if (!checkpoint_open_weights(&file, path, e)) return false;
  bool ok = (weights_config(&file, &config, e) && params_build(&table, &config, e) &&
             weights_check(&table, &file, "", e) && check_model(&config, hf, encoder, e)) ||
            error_prefix(e, "%s", path);
  ok = ok && build_layout(&layout, &table, &file, hf, encoder, e) &&
       weights_metadata(&metadata, &config, -1, e);
  if (ok) {
    bool made = !hf || hf_config(&told, &config, encoder);
    if (!hf) timm_line(&told, &config);
    text_add(&told, "", 1);
    ok = (made && !told.failed) || error_set(e, EXIT_DEVICE, "out of memory");
  }
  if (ok) {
    weights_metadata_add(&metadata, hf ? "hf_config" : "timm", told.bytes);
    weights_metadata_add(&metadata, "normalization", "ImageNet mean and std");
    ok = weights_write(out, layout.tensors, layout.count, &metadata, e);
  }
  if (ok) fputs(told.bytes, stdout);
  text_free(&told);
  layout_free(&layout);
  weights_metadata_free(&metadata);
  params_free(&table);
  safetensors_close(&file);
  return ok;
}

int cmd_export(int argc, char **argv) {
  const char *out = NULL, *format = NULL;
  bool encoder = false;
  const CmdOption options[] = {
      {"--format", CMD_TEXT, &format, "timm|hf", "whose layout"},
      {"--out", CMD_TEXT, &out, "FILE", "safetensors file to write"},
      {"--encoder", CMD_FLAG, &encoder, NULL, "the encoder only (timm: always)"},
  };
  ConfigCommand command = {.line = {.name = "mae export",
                                    .about = about,
                                    .usage = "CHECKPOINT --format timm|hf --out FILE",
                                    .words_min = 1,
                                    .words_max = 1,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options},
                           .no_data = true};
  int code;
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  Error e = {0};
  bool timm = format && !strcmp(format, "timm"), hf = format && !strcmp(format, "hf");
  if (!out)
    error_set(&e, EXIT_CONFIG, "--out FILE is missing");
  else if (!timm && !hf)
    error_set(&e, EXIT_CONFIG, "--format must be timm or hf");
  else if (export(command.line.words[0], out, hf, encoder, &e))
    return EXIT_OK;
  return command_fail(command.line.name, &e);
}
