/* mae export: weights in the layouts of timm's VisionTransformer and Hugging Face's ViTMAE. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/text.h"
#include "mae/cmd/cmd.h"
#include "mae/cmd/layouts.h"
#include "mae/model/weights.h"
#include "mae/record/checkpoint.h"
#include "mae/record/kept.h"
#include "mae/record/run_folder.h"

/* ImageNet's, as in kernels/scalar.h. */
#define MEAN 0.485, 0.456, 0.406
#define STD 0.229, 0.224, 0.225

static const char about[] =
    "Writes weights for another program, and prints on standard output what that\n"
    "program must be told. CHECKPOINT is a run folder (its newest checkpoint is\n"
    "taken), a checkpoint's folder or a weights file.\n"
    "\n"
    "  --format timm   the encoder as timm's VisionTransformer with num_classes=0\n"
    "                  names it: cls_token, pos_embed, patch_embed.proj.*,\n"
    "                  blocks.N.*, norm.*. Prints the Python lines that leave it in\n"
    "                  `model`; at He et al.'s sizes that is\n"
    "                  vit_base_patch16_224.mae (vit_large_patch16_224.mae,\n"
    "                  vit_huge_patch14_224.mae), whose data config has the mean and\n"
    "                  std that images need.\n"
    "  --format hf     encoder and decoder as Hugging Face's ViTMAEForPreTraining of\n"
    "                  transformers 4 names them: vit.embeddings.*,\n"
    "                  vit.encoder.layer.N.*, vit.layernorm.*, decoder.*; qkv is\n"
    "                  split in query, key and value. from_pretrained of\n"
    "                  transformers 5 makes its new names of these; a strict\n"
    "                  load_state_dict there does not. With --encoder without the\n"
    "                  decoder, as ViTMAEModel and ViTModel need it.\n"
    "                  --out DIR/ writes model.safetensors, config.json and\n"
    "                  preprocessor_config.json into a folder, for\n"
    "                  from_pretrained(DIR), and prints the Python lines; --out FILE\n"
    "                  writes the weights alone and prints config.json.\n"
    "\n"
    "Traps. LayerNorm's eps is 1e-6 here and in timm; the default of ViTMAEConfig is\n"
    "1e-12: keep layer_norm_eps of config.json. Images are normalised with the\n"
    "ImageNet mean and std; timm's data config of vit_base_patch16_224 without .mae\n"
    "says 0.5. Hugging Face's image processor squeezes a picture to the model's\n"
    "square; here the largest square in its middle is taken. The position tables\n"
    "hold the class token's row first and are stored even where they are fixed. timm\n"
    "with global_pool='avg' replaces norm by fc_norm: leave it at 'token'.\n"
    "ViTMAEModel masks at inference as well, at random: set mask_ratio=0 for\n"
    "features.";

/* The tensors to be written; their data stays in the opened file. */
typedef struct Layout {
  Tensor *tensors;
  char (*names)[LAYOUT_NAME_MAX];
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

/* Third `part` (0 to 2) of a tensor's rows under a new name, or all of it for LAYOUT_WHOLE. */
static void add(Layout *layout, const Tensor *source, int part, const char *name) {
  char *copy = layout->names[layout->count];
  Tensor *tensor = &layout->tensors[layout->count++];
  snprintf(copy, LAYOUT_NAME_MAX, "%s", name);
  *tensor = *source;
  tensor->name = copy;
  if (part == LAYOUT_WHOLE) return;
  tensor->shape[0] /= 3;
  tensor->bytes /= 3;
  tensor->data = (const char *)source->data + (size_t)part * tensor->bytes;
}

/* Under Hugging Face's name; qkv as three. */
static bool add_hf(Layout *layout, const Tensor *tensor, Error *e) {
  char name[LAYOUT_NAME_MAX];
  if (layout_hugging_face(name, tensor->name, LAYOUT_WHOLE)) {
    add(layout, tensor, LAYOUT_WHOLE, name);
    return true;
  }
  for (int part = 0; part < 3; part++) {
    if (!layout_hugging_face(name, tensor->name, part))
      return error_set(e, EXIT_CONFIG, "Hugging Face's ViTMAE has no place for %s", tensor->name);
    add(layout, tensor, part, name);
  }
  return true;
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

/* Appends a JSON value and frees it. NULL, for which there was no memory, fails the text. */
static void add_json(Text *text, json_t *json, size_t flags) {
  char *bytes = json ? json_dumps(json, flags) : NULL;
  if (bytes)
    text_add(text, bytes, strlen(bytes));
  else
    text->failed = true;
  free(bytes);
  json_decref(json);
}

/* The config.json that Hugging Face's transformers read beside the weights. */
static void hf_config(Text *text, const Config *config, bool encoder) {
  const Tower *enc = &config->model.encoder, *dec = &config->model.decoder;
  json_t *json = json_pack(
      "{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:f, s:b, "
      "s:f, s:b, s:f, s:s}",
      "architectures", encoder ? "ViTMAEModel" : "ViTMAEForPreTraining", "model_type", "vit_mae",
      "hidden_size", enc->width, "num_hidden_layers", enc->depth, "num_attention_heads", enc->heads,
      "intermediate_size", 4 * enc->width, "decoder_hidden_size", dec->width,
      "decoder_num_hidden_layers", dec->depth, "decoder_num_attention_heads", dec->heads,
      "decoder_intermediate_size", 4 * dec->width, "image_size", config->model.image_size,
      "patch_size", config->model.patch_size, "num_channels", 3, "hidden_act", "gelu",
      "hidden_dropout_prob", 0.0, "attention_probs_dropout_prob", 0.0, "qkv_bias", true,
      "layer_norm_eps", 1e-6, "norm_pix_loss", (int)config->train.norm_pix, "mask_ratio",
      config->train.mask_ratio, "torch_dtype", "float32");
  add_json(text, json, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
  text_format(text, "\n");
}

/* The preprocessor_config.json that AutoImageProcessor reads. */
static void hf_preprocessor(Text *text, const Config *config) {
  enum { BICUBIC = 3 /* Pillow's number */ };
  int size = config->model.image_size;
  json_t *json =
      json_pack("{s:s, s:b, s:{s:i, s:i}, s:i, s:b, s:f, s:b, s:[f, f, f], s:[f, f, f]}",
                "image_processor_type", "ViTImageProcessor", "do_resize", true, "size", "height",
                size, "width", size, "resample", BICUBIC, "do_rescale", true, "rescale_factor",
                1.0 / 255, "do_normalize", true, "image_mean", MEAN, "image_std", STD);
  add_json(text, json, JSON_INDENT(2));
  text_format(text, "\n");
}

/* Python; a JSON string is one of its strings too. */
static void hf_lines(Text *text, const char *folder, bool encoder) {
  const char *model = encoder ? "ViTMAEModel" : "ViTMAEForPreTraining";
  text_format(text, "import transformers\nmodel = transformers.%s.from_pretrained(", model);
  text_json_string(text, folder);
  text_format(text, ")\nprocessor = transformers.AutoImageProcessor.from_pretrained(");
  text_json_string(text, folder);
  text_format(text, ")\n");
}

/* The model of timm that He et al.'s weights have, if this is one of their sizes; NULL if not. */
static const char *timm_name(const Config *config) {
  static const struct {
    Tower encoder;
    int patch_size;
    const char *name;
  } published[] = {{{768, 12, 12}, 16, "vit_base_patch16_224.mae"},
                   {{1024, 24, 16}, 16, "vit_large_patch16_224.mae"},
                   {{1280, 32, 16}, 14, "vit_huge_patch14_224.mae"}};
  const Tower *encoder = &config->model.encoder;
  for (size_t i = 0; i < sizeof published / sizeof *published; i++)
    if (encoder->width == published[i].encoder.width &&
        encoder->depth == published[i].encoder.depth &&
        encoder->heads == published[i].encoder.heads &&
        config->model.patch_size == published[i].patch_size && config->model.image_size == 224)
      return published[i].name;
  return NULL;
}

static void timm_lines(Text *text, const Config *config, const char *file) {
  const Tower *enc = &config->model.encoder;
  const char *name = timm_name(config);
  text_format(text, "import safetensors.torch, timm\n");
  if (name)
    text_format(text, "model = timm.create_model(\"%s\", num_classes=0)\n", name);
  else
    text_format(text,
                "model = timm.models.vision_transformer.VisionTransformer(img_size=%d, "
                "patch_size=%d, embed_dim=%d, depth=%d, num_heads=%d, num_classes=0, "
                "global_pool='token')\n",
                config->model.image_size, config->model.patch_size, enc->width, enc->depth,
                enc->heads);
  text_format(text, "model.load_state_dict(safetensors.torch.load_file(");
  text_json_string(text, file);
  text_format(text, "), strict=True)\n# images: mean [%g, %g, %g], std [%g, %g, %g]\n", MEAN, STD);
}

/* What is asked for: the command line, and where its parts are written. */
typedef struct Export {
  const char *checkpoint, *format, *out;
  bool hf, encoder;
  bool folder; /* out is a folder, for Hugging Face */
} Export;

static bool build_layout(Layout *layout, const ParamTable *table, const TensorFile *file,
                         const Export *export, Error *e) {
  if (!layout_create(layout, table, e)) return false;
  for (int i = 0; i < table->count; i++) {
    const char *name = table->list[i].name;
    if (layout_is_decoder(name) && (!export->hf || export->encoder)) continue;
    const Tensor *tensor = safetensors_find(file, name);
    if (!export->hf)
      add(layout, tensor, LAYOUT_WHOLE, tensor->name);
    else if (!add_hf(layout, tensor, e))
      return false;
  }
  return true;
}

/* A small file of a folder, whole or not at all. */
static bool write_text(const char *folder, const char *name, const Text *text, Error *e) {
  char path[CONFIG_PATH_MAX], temporary[CONFIG_PATH_MAX + 8];
  if (!io_join(path, sizeof path, folder, name, e)) return false;
  snprintf(temporary, sizeof temporary, "%s.tmp", path);
  int fd = io_create(temporary, e);
  if (fd < 0) return false;
  bool ok = io_write(fd, temporary, text->bytes, text->length, e);
  if (ok)
    ok = io_finish(fd, temporary, e);
  else
    close(fd);
  if (ok && io_rename(temporary, path, e)) return true;
  io_remove(temporary, NULL);
  return false;
}

/* What is said of the weights beside them. */
typedef struct Told {
  Text metadata;     /* in the weights file: config.json, or timm's lines for some FILE */
  Text preprocessor; /* preprocessor_config.json, for a folder */
  Text lines;        /* Python that loads what was written */
} Told;

static bool tell(Told *told, const Export *export, const Config *config, Error *e) {
  if (export->hf) {
    hf_config(&told->metadata, config, export->encoder);
    hf_preprocessor(&told->preprocessor, config);
    hf_lines(&told->lines, export->out, export->encoder);
  } else {
    timm_lines(&told->metadata, config, "FILE");
    timm_lines(&told->lines, config, export->out);
  }
  return (!told->metadata.failed && !told->preprocessor.failed && !told->lines.failed) ||
         error_set(e, EXIT_DEVICE, "out of memory");
}

static void told_free(Told *told) {
  text_free(&told->metadata);
  text_free(&told->preprocessor);
  text_free(&told->lines);
}

/* The weights come last: a folder that has them is complete. */
static bool write_all(const Export *export, const Layout *layout, const Told *told,
                      const Config *config, Error *e) {
  WeightsMetadata metadata = {0};
  char path[CONFIG_PATH_MAX];
  char *text = strndup(told->metadata.bytes, told->metadata.length);
  bool ok = (text || error_set(e, EXIT_DEVICE, "out of memory")) &&
            weights_metadata(&metadata, config, -1, e);
  snprintf(path, sizeof path, "%s", export->out);
  if (ok && export->folder)
    ok = io_make_folders(export->out, e) &&
         io_join(path, sizeof path, export->out, "model.safetensors", e) &&
         write_text(export->out, "config.json", &told->metadata, e) &&
         write_text(export->out, "preprocessor_config.json", &told->preprocessor, e);
  if (ok) {
    weights_metadata_add(&metadata, export->hf ? "hf_config" : "timm", text);
    weights_metadata_add(&metadata, "normalization", "ImageNet mean and std");
    ok = weights_write(path, layout->tensors, layout->count, &metadata, e);
  }
  weights_metadata_free(&metadata);
  free(text);
  return ok;
}

static bool export_weights(const Export *export, Error *e) {
  TensorFile file = {0};
  ParamTable table = {0};
  Layout layout = {0};
  Told told = {0};
  Config config;
  float *values = NULL;
  char path[CONFIG_PATH_MAX];
  if (!run_folder_locate(path, &config, export->checkpoint, e) ||
      !checkpoint_open_weights(&file, path, e))
    return false;
  bool kept = kept_is_encoder(&file);
  bool ok = params_build(&table, &config, e) || error_prefix(e, "%s", path);
  if (kept) kept_table(&table);
  ok = ok && (!kept || !export->hf || export->encoder || kept_refuse(path, e)) &&
       (!kept || kept_widen(&file, &values, e)) &&
       ((weights_check(&table, &file, "", e) &&
         check_model(&config, export->hf, export->encoder, e)) ||
        error_prefix(e, "%s", path)) &&
       build_layout(&layout, &table, &file, export, e) && tell(&told, export, &config, e) &&
       write_all(export, &layout, &told, &config, e);
  if (ok) {
    const Text *print = export->hf && !export->folder ? &told.metadata : &told.lines;
    fwrite(print->bytes, 1, print->length, stdout);
  }
  told_free(&told);
  layout_free(&layout);
  free(values);
  params_free(&table);
  safetensors_close(&file);
  return ok;
}

static bool is_folder(const char *path) {
  struct stat status;
  size_t length = strlen(path);
  return path[length - 1] == '/' || (!stat(path, &status) && S_ISDIR(status.st_mode));
}

static bool check_line(Export *export, Error *e) {
  bool timm = export->format && !strcmp(export->format, "timm");
  export->hf = export->format && !strcmp(export->format, "hf");
  if (!export->out || !*export->out) return error_set(e, EXIT_CONFIG, "--out FILE is missing");
  if (!timm && !export->hf) return error_set(e, EXIT_CONFIG, "--format must be timm or hf");
  export->folder = is_folder(export->out);
  if (export->folder && timm)
    return error_set(e, EXIT_CONFIG, "--out %.200s is a folder: --format timm writes one file",
                     export->out);
  return true;
}

int cmd_export(int argc, char **argv) {
  Export export = {0};
  const CmdOption options[] = {
      {"--format", CMD_TEXT, &export.format, "timm|hf", "whose layout"},
      {"--out", CMD_TEXT, &export.out, "PATH", "safetensors file to write, or (hf) a folder"},
      {"--encoder", CMD_FLAG, &export.encoder, NULL, "the encoder only (timm: always)"},
  };
  ConfigCommand command = {.line = {.name = "mae export",
                                    .about = about,
                                    .usage = "CHECKPOINT --format timm|hf --out PATH",
                                    .words_min = 1,
                                    .words_max = 1,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options},
                           .no_data = true};
  int code;
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  Error e = {0};
  export.checkpoint = command.line.words[0];
  if (check_line(&export, &e) && export_weights(&export, &e)) return EXIT_OK;
  return command_fail(command.line.name, &e);
}
