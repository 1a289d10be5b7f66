/* mae import and mae export: names, shapes and bytes of the layouts that other programs load, and
 * the way there and back. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/half.h"
#include "mae/base/io.h"
#include "mae/model/weights.h"
#include "mae/record/checkpoint.h"
#include "tests/plain_device.h"
#include "tests/suite.h"

static char folder[64];
static Config config;
static Model model;

static void setup(void) {
  Error e = {0};
  strcpy(folder, "/tmp/test_interchange-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  plain_config(&config);
  ck_assert(plain_model_create(&model, &config, 1, &e));
  params_init(&model.table, model.params, &config);
  for (int i = 0; i < model.table.count; i++) {
    const Param *param = &model.table.list[i];
    for (size_t j = 0; param->trainable && j < param->count; j++)
      model.params[param->offset + j] += (float)(param->offset + j) * 1e-3f;
  }
  ck_assert_msg(checkpoint_save(folder, &model, &(StepState){.step = 4}, &e), "%s", e.message);
}

static void teardown(void) {
  Error e;
  plain_model_destroy(&model);
  ck_assert(io_remove(folder, &e));
}

static const char *at(const char *name) {
  static char paths[4][256];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

/* Runs mae with its output in files `stdout` and `stderr`; its exit code. */
static int mae(const char *arguments) {
  char command[2048];
  snprintf(command, sizeof command, "cd %s && %s/mae %s > stdout 2> stderr", folder, PROGRAM_DIR,
           arguments);
  return WEXITSTATUS(system(command));
}

static bool said(const char *file, const char *text) {
  char content[8192] = "";
  FILE *f = fopen(at(file), "rb");
  ck_assert_ptr_nonnull(f);
  content[fread(content, 1, sizeof content - 1, f)] = 0;
  fclose(f);
  if (!strstr(content, text)) fprintf(stderr, "%s: %s\n", file, content);
  return strstr(content, text) != NULL;
}

static void open_file(TensorFile *file, const char *name) {
  Error e = {0};
  ck_assert_msg(safetensors_open(file, at(name), &e), "%s", e.message);
}

/* The tensor must be rows [part/parts, (part+1)/parts) of a parameter of the model. */
static int want(const TensorFile *file, const char *name, const char *ours, int part, int parts) {
  const Tensor *tensor = safetensors_find(file, name);
  const Param *param = params_find(&model.table, ours);
  ck_assert_msg(tensor != NULL, "%s is not there", name);
  ck_assert_str_eq(tensor->dtype, "F32");
  ck_assert_int_eq(tensor->rank, param->rank);
  ck_assert_int_eq(tensor->shape[0] * parts, param->shape[0]);
  for (int i = 1; i < param->rank; i++) ck_assert_int_eq(tensor->shape[i], param->shape[i]);
  const char *bytes = (const char *)(model.params + param->offset);
  ck_assert_int_eq(tensor->bytes * parts, param->count * sizeof(float));
  ck_assert_msg(!memcmp(tensor->data, bytes + part * tensor->bytes, tensor->bytes), "%s", name);
  return 1;
}

static const char *const kinds[] = {"weight", "bias"};

START_TEST(timm_layout) {
  static const char *const block[] = {"norm1", "attn.qkv", "attn.proj",
                                      "norm2", "mlp.fc1",  "mlp.fc2"};
  ck_assert_int_eq(mae("export --encoder checkpoints/step-4 --format timm --out t"), 0);
  TensorFile file;
  open_file(&file, "t");
  int count = want(&file, "cls_token", "cls_token", 0, 1);
  count += want(&file, "pos_embed", "pos_embed", 0, 1);
  for (int k = 0; k < 2; k++) {
    char name[128];
    snprintf(name, sizeof name, "patch_embed.proj.%s", kinds[k]);
    count += want(&file, name, name, 0, 1);
    snprintf(name, sizeof name, "norm.%s", kinds[k]);
    count += want(&file, name, name, 0, 1);
    for (int i = 0; i < config.model.encoder.depth; i++)
      for (int j = 0; j < 6; j++) {
        snprintf(name, sizeof name, "blocks.%d.%s.%s", i, block[j], kinds[k]);
        count += want(&file, name, name, 0, 1);
      }
  }
  ck_assert_int_eq(file.count, count);
  ck_assert_str_eq(safetensors_metadata(&file, "format"), "pt");
  ck_assert_ptr_nonnull(strstr(safetensors_metadata(&file, "timm"), "embed_dim=16, depth=2"));
  safetensors_close(&file);
  /* Two statements, the first of which keeps the model. */
  ck_assert(said("stdout",
                 "\nmodel = timm.models.vision_transformer.VisionTransformer(img_size=16, "
                 "patch_size=8, embed_dim=16, depth=2, num_heads=2"));
  ck_assert(said("stdout", "\nmodel.load_state_dict(safetensors.torch.load_file(\"t\")"));
}
END_TEST

static int want_hf_blocks(const TensorFile *file, const char *theirs, const char *ours, int depth) {
  static const char *const plain[][2] = {{"layernorm_before", "norm1"},
                                         {"layernorm_after", "norm2"},
                                         {"attention.output.dense", "attn.proj"},
                                         {"intermediate.dense", "mlp.fc1"},
                                         {"output.dense", "mlp.fc2"}};
  static const char *const qkv[] = {"query", "key", "value"};
  char a[128], b[128];
  int count = 0;
  for (int i = 0; i < depth; i++)
    for (int k = 0; k < 2; k++) {
      for (int j = 0; j < 5; j++) {
        snprintf(a, sizeof a, "%s.%d.%s.%s", theirs, i, plain[j][0], kinds[k]);
        snprintf(b, sizeof b, "%s.%d.%s.%s", ours, i, plain[j][1], kinds[k]);
        count += want(file, a, b, 0, 1);
      }
      for (int j = 0; j < 3; j++) {
        snprintf(a, sizeof a, "%s.%d.attention.attention.%s.%s", theirs, i, qkv[j], kinds[k]);
        snprintf(b, sizeof b, "%s.%d.attn.qkv.%s", ours, i, kinds[k]);
        count += want(file, a, b, j, 3);
      }
    }
  return count;
}

static int want_hf_encoder(const TensorFile *file) {
  return want(file, "vit.embeddings.cls_token", "cls_token", 0, 1) +
         want(file, "vit.embeddings.position_embeddings", "pos_embed", 0, 1) +
         want(file, "vit.embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight",
              0, 1) +
         want(file, "vit.embeddings.patch_embeddings.projection.bias", "patch_embed.proj.bias", 0,
              1) +
         want(file, "vit.layernorm.weight", "norm.weight", 0, 1) +
         want(file, "vit.layernorm.bias", "norm.bias", 0, 1) +
         want_hf_blocks(file, "vit.encoder.layer", "blocks", config.model.encoder.depth);
}

START_TEST(hf_layout) {
  static const char *const decoder[] = {
      "mask_token",          "decoder_pos_embed", "decoder_embed.weight", "decoder_embed.bias",
      "decoder_norm.weight", "decoder_norm.bias", "decoder_pred.weight",  "decoder_pred.bias"};
  ck_assert_int_eq(mae("export checkpoints/step-4/model.safetensors --format hf --out h"), 0);
  TensorFile file;
  open_file(&file, "h");
  int count = want_hf_encoder(&file) + want_hf_blocks(&file, "decoder.decoder_layers",
                                                      "decoder_blocks", config.model.decoder.depth);
  for (int i = 0; i < 8; i++) {
    char name[128];
    snprintf(name, sizeof name, "decoder.%s", decoder[i]);
    count += want(&file, name, decoder[i], 0, 1);
  }
  ck_assert_int_eq(file.count, count);
  safetensors_close(&file);
  ck_assert(said("stdout", "\"ViTMAEForPreTraining\"") && said("stdout", "\"hidden_size\": 16") &&
            said("stdout", "\"decoder_intermediate_size\": 32") &&
            said("stdout", "\"layer_norm_eps\": 1e-6,") && said("stdout", "\"mask_ratio\": 0.75"));

  ck_assert_int_eq(mae("export --encoder checkpoints/step-4 --format hf --out e"), 0);
  open_file(&file, "e");
  ck_assert_int_eq(file.count, want_hf_encoder(&file));
  safetensors_close(&file);
}
END_TEST

static uint16_t to_half(float value, bool bf16) {
  return bf16 ? bf16_from_float(value) : f16_from_float(value);
}

/* By the definition of the types: sign, 5 or 8 bits of exponent, 10 or 7 of fraction. */
static float from_half(uint16_t half, bool bf16) {
  int fraction_bits = bf16 ? 7 : 10, bias = bf16 ? 127 : 15;
  int exponent = (half & 0x7fff) >> fraction_bits, fraction = half & ((1 << fraction_bits) - 1);
  if (exponent) fraction += 1 << fraction_bits;
  float value = ldexpf((float)fraction, (exponent ? exponent : 1) - bias - fraction_bits);
  return half & 0x8000 ? -value : value;
}

/* Makes every parameter, fixed tables too, a number that the type holds: what is imported from it
 * must be the model. */
static void round_model(bool bf16) {
  model.params[1] = -3e-6f; /* denormal in fp16 */
  model.params[2] = -0.0f;
  for (size_t i = 0; i < model.table.total; i++)
    model.params[i] = from_half(to_half(model.params[i], bf16), bf16);
}

typedef struct Saved {
  const char *prefix;
  const char *dtype; /* F32, F16, BF16 */
  bool (*rename)(char *theirs, const char *ours, int part);
  bool no_decoder;
  const char *more; /* name of one tensor more */
} Saved;

/* Writes `in` as another program's file of the model. rename says false for what it does not have
 * as a whole: then the three thirds are asked for. */
static void save(const Saved *saved) {
  enum { MOST = 256 };
  static char names[MOST][256];
  static uint16_t halves[MOST][8192];
  Tensor tensors[MOST] = {0};
  int count = 0;
  for (int i = 0; i < model.table.count; i++) {
    const Param *param = &model.table.list[i];
    if (saved->no_decoder &&
        (!strncmp(param->name, "decoder", 7) || !strcmp(param->name, "mask_token")))
      continue;
    char theirs[200];
    int parts = !saved->rename || saved->rename(theirs, param->name, -1) ? 1 : 3;
    for (int part = 0; part < parts; part++) {
      if (!saved->rename) strcpy(theirs, param->name);
      if (parts == 3) ck_assert_msg(saved->rename(theirs, param->name, part), "%s", param->name);
      Tensor *tensor = &tensors[count];
      *tensor = weights_tensor(param);
      size_t values = param->count / (size_t)parts;
      const float *from = model.params + param->offset + (size_t)part * values;
      tensor->shape[0] /= (uint64_t)parts;
      tensor->bytes = values * sizeof(float);
      tensor->data = from;
      snprintf(names[count], sizeof names[0], "%s%s", saved->prefix ? saved->prefix : "", theirs);
      tensor->name = names[count];
      if (saved->dtype && strcmp(saved->dtype, "F32")) {
        ck_assert_uint_le(values, 8192);
        for (size_t j = 0; j < values; j++)
          halves[count][j] = to_half(from[j], *saved->dtype == 'B');
        strcpy(tensor->dtype, saved->dtype);
        tensor->bytes = values * sizeof(uint16_t);
        tensor->data = halves[count];
      }
      ck_assert_int_lt(++count, MOST - 1);
    }
  }
  if (saved->more) {
    tensors[count] = tensors[0];
    tensors[count++].name = (char *)saved->more;
  }
  Error e = {0};
  ck_assert(safetensors_write(at("in"), tensors, count, NULL, 0, &e));
}

static const char heads[] = "--set model.encoder=16x2x2 --set model.decoder=8x1x2";

static int import(const char *more) {
  char arguments[512];
  snprintf(arguments, sizeof arguments, "import in --out out %s", more);
  return mae(arguments);
}

/* `out` holds the model's parameters, its decoder's too or not. */
static void same_model(bool decoder) {
  TensorFile file;
  open_file(&file, "out");
  ck_assert_int_eq(file.count, model.table.count);
  for (int i = 0; i < model.table.count; i++) {
    const char *name = model.table.list[i].name;
    if (decoder || (strncmp(name, "decoder", 7) && strcmp(name, "mask_token")))
      want(&file, name, name, 0, 1);
  }
  safetensors_close(&file);
}

/* Hugging Face's names, written down apart from the program's tables: transformers 4, transformers
 * 5 in memory, and what save_pretrained of transformers 5.24 makes of the decoder. */
static bool hugging_face(char *theirs, const char *ours, int part, int version) {
  static const char *const outside[][2] = {
      {"cls_token", "vit.embeddings.cls_token"},
      {"pos_embed", "vit.embeddings.position_embeddings"},
      {"patch_embed.proj.", "vit.embeddings.patch_embeddings.projection."},
      {"norm.", "vit.layernorm."},
      {"mask_token", "decoder.mask_token"}};
  static const char *const inside[][3] = {
      {"norm1.", "layernorm_before.", "layernorm_before."},
      {"norm2.", "layernorm_after.", "layernorm_after."},
      {"attn.proj.", "attention.output.dense.", "attention.o_proj."},
      {"mlp.fc1.", "intermediate.dense.", "mlp.fc1."},
      {"mlp.fc2.", "output.dense.", "mlp.fc2."}};
  static const char *const qkv[][2] = {{"attention.attention.query.", "attention.q_proj."},
                                       {"attention.attention.key.", "attention.k_proj."},
                                       {"attention.attention.value.", "attention.v_proj."}};
  int number, used = 0;
  bool decoder = sscanf(ours, "decoder_blocks.%d.%n", &number, &used) == 1 && used;
  if (decoder || (sscanf(ours, "blocks.%d.%n", &number, &used) == 1 && used)) {
    const char *tower =
        decoder        ? version == 6 ? "decoder.decoder_encoder.layer" : "decoder.decoder_layers"
        : version == 5 ? "vit.layers"
                       : "vit.encoder.layer";
    if (!strncmp(ours + used, "attn.qkv.", 9)) {
      if (part < 0) return false;
      sprintf(theirs, "%s.%d.%s%s", tower, number, qkv[part][version == 5], ours + used + 9);
      return true;
    }
    for (int i = 0; i < 5; i++) {
      size_t length = strlen(inside[i][0]);
      if (strncmp(ours + used, inside[i][0], length)) continue;
      sprintf(theirs, "%s.%d.%s%s", tower, number, inside[i][1 + (version == 5)],
              ours + used + length);
      return true;
    }
  }
  for (int i = 0; i < 5; i++) {
    size_t length = strlen(outside[i][0]);
    if (strncmp(ours, outside[i][0], length)) continue;
    sprintf(theirs, "%s%s", outside[i][1], ours + length);
    return true;
  }
  sprintf(theirs, "decoder.%s", ours);
  return true;
}

static bool transformers4(char *theirs, const char *ours, int part) {
  return hugging_face(theirs, ours, part, 4);
}

static bool transformers5(char *theirs, const char *ours, int part) {
  return hugging_face(theirs, ours, part, 5);
}

static bool transformers5_saved(char *theirs, const char *ours, int part) {
  return hugging_face(theirs, ours, part, 6);
}

/* As ViTMAEModel, without vit. */
static bool transformers5_encoder(char *theirs, const char *ours, int part) {
  char full[200];
  bool found = hugging_face(full, ours, part, 5);
  strcpy(theirs, full + 4);
  return found;
}

static const Saved accepted[] = {
    {.prefix = ""},
    {.prefix = "model."},
    {.prefix = "module."},
    {.prefix = "module.model."},
    {.prefix = "_orig_mod."},
    {.dtype = "F16"},
    {.dtype = "BF16"},
    {.rename = transformers4},
    {.rename = transformers5},
    {.rename = transformers5_saved},
    {.rename = transformers4, .dtype = "F16"},
    {.rename = transformers5, .dtype = "BF16", .prefix = "module."},
};
enum { ACCEPTED = sizeof accepted / sizeof *accepted };

START_TEST(import_takes_what_others_save) {
  const Saved *saved = &accepted[_i];
  if (saved->dtype) round_model(*saved->dtype == 'B');
  save(saved);
  ck_assert_int_eq(import(heads), 0);
  same_model(true);
  ck_assert(said("stdout", "model.image_size = 16") && said("stdout", "model.patch_size = 8") &&
            said("stdout", "model.pos_embed = sincos2d") &&
            said("stdout", "model.decoder_pos_embed = sincos2d"));
  /* And what was imported can be exported. */
  ck_assert_int_eq(mae("export out --format timm --out t"), 0);
}
END_TEST

START_TEST(import_reads_the_heads_beside_the_file) {
  /* Our own metadata: what export wrote needs no option. */
  ck_assert_int_eq(mae("export checkpoints/step-4 --format hf --out hf/"), 0);
  ck_assert_int_eq(mae("import hf/model.safetensors --out out"), 0);
  same_model(true);
  /* Hugging Face's config.json, for a file that has none. */
  save(&(Saved){.rename = transformers4});
  ck_assert_int_eq(mae("import in --out out"), EXIT_CONFIG);
  ck_assert(said("stderr", "how many heads model.encoder has") &&
            said("stderr", "--set model.encoder=16x2xHEADS"));
  ck_assert_int_eq(rename(at("in"), at("hf/model.safetensors")), 0);
  ck_assert_int_eq(mae("import hf --out out"), 0);
  same_model(true);
  ck_assert(said("stdout", "model.encoder = 16x2x2\n") &&
            said("stdout", "model.decoder = 8x1x2\n"));
  /* A config.json of another model. */
  ck_assert_int_eq(mae("export checkpoints/step-4 --format hf --out hf/"), 0);
  char command[256];
  save(&(Saved){.rename = transformers4});
  snprintf(command, sizeof command,
           "cd %s && mv in hf/model.safetensors && sed -i 's/: 16,/: 32,/' hf/config.json", folder);
  ck_assert_int_eq(system(command), 0);
  ck_assert_int_eq(mae("import hf --out out"), EXIT_DATA);
  ck_assert(said("stderr", "16x2") && said("stderr", "32x2"));
}
END_TEST

START_TEST(import_assumes_heads) {
  Error e = {0};
  const ConfigOrigin origin = {.file = "test"};
  plain_model_destroy(&model);
  ck_assert(config_set(&config, "model.encoder", "128x1x4", &origin, &e));
  ck_assert(config_set(&config, "model.decoder", "64x1x4", &origin, &e));
  ck_assert(plain_model_create(&model, &config, 1, &e));
  params_init(&model.table, model.params, &config);
  save(&(Saved){0});
  ck_assert_int_eq(import(""), 0);
  ck_assert(said("stdout", "model.encoder = 128x1x2  (the heads are assumed") &&
            said("stdout", "model.decoder = 64x1x2  (the heads are assumed"));
  ck_assert_int_eq(import("--set model.encoder=128x1x4"), 0);
  ck_assert(said("stdout", "model.encoder = 128x1x4\n"));
}
END_TEST

START_TEST(import_of_an_encoder_draws_a_decoder) {
  save(&(Saved){.no_decoder = true,
                .rename = _i == 1   ? transformers4
                          : _i == 2 ? transformers5_encoder
                                    : NULL});
  ck_assert_int_eq(import(heads), EXIT_DATA);
  ck_assert(said("stderr", "an encoder without a decoder; --encoder"));
  char arguments[256];
  snprintf(arguments, sizeof arguments, "--encoder --set run.seed=7 %s", heads);
  ck_assert_int_eq(import(arguments), 0);
  ck_assert(said("stdout", "untrained: drawn from run.seed = 7"));
  same_model(false);
  /* The decoder is the one that training from that seed starts with. */
  config.run.seed = 7;
  params_init(&model.table, model.params, &config);
  TensorFile file;
  open_file(&file, "out");
  for (int i = 0; i < model.table.count; i++) {
    const char *name = model.table.list[i].name;
    if (!strncmp(name, "decoder", 7) || !strcmp(name, "mask_token")) want(&file, name, name, 0, 1);
  }
  safetensors_close(&file);
}
END_TEST

START_TEST(import_leaves_out_what_encoder_asks_for) {
  char arguments[256];
  snprintf(arguments, sizeof arguments, "--encoder %s", heads);
  save(&(Saved){.more = "head.weight"});
  ck_assert_int_eq(import(heads), EXIT_DATA);
  ck_assert(said("stderr", "head.weight is no parameter") && said("stderr", "--encoder"));
  ck_assert_int_eq(import(arguments), 0);
  same_model(false);
  ck_assert(said("stdout", "of a decoder or a classifier are left out"));
  save(&(Saved){.more = "blocks.0.ls1.gamma"});
  ck_assert_int_eq(import(arguments), EXIT_DATA);
  ck_assert(said("stderr", "blocks.0.ls1.gamma is no parameter"));
}
END_TEST

START_TEST(import_refuses_another_model) {
  save(&(Saved){0});
  ck_assert_int_eq(import("--set model.encoder=16x3x2 --set model.decoder=8x1x2"), EXIT_DATA);
  ck_assert(said("stderr", "model.encoder = 16x3x2 contradicts in, whose tensors make it 16x2"));
  ck_assert_int_eq(import("--set model.encoder=16x2x2 --set model.decoder=16x1x2"), EXIT_DATA);
  ck_assert(said("stderr", "model.decoder = 16x1x2 contradicts in, whose tensors make it 8x1"));
  char arguments[256];
  static const char *const contradictions[][3] = {
      {"model.image_size", "32", "16"},        {"model.patch_size", "4", "8"},
      {"model.class_token", "false", "true"},  {"model.encoder_mask_tokens", "true", "false"},
      {"model.pos_embed", "none", "sincos2d"}, {"model.decoder_pos_embed", "none", "sincos2d"}};
  for (int i = 0; i < 6; i++) {
    char text[128];
    snprintf(arguments, sizeof arguments, "%s --set %s=%s", heads, contradictions[i][0],
             contradictions[i][1]);
    ck_assert_int_eq(import(arguments), EXIT_DATA);
    snprintf(text, sizeof text, "%s = %s contradicts in, whose tensors make it %s",
             contradictions[i][0], contradictions[i][1], contradictions[i][2]);
    ck_assert(said("stderr", text));
  }
  snprintf(arguments, sizeof arguments, "%s --set model.pos_embed=sincos1d", heads);
  ck_assert_int_eq(import(arguments), EXIT_DATA);
  ck_assert(said("stderr", "pos_embed is not the table") && said("stderr", "= learned"));
  snprintf(arguments, sizeof arguments, "%s --set model.pos_embed=learned", heads);
  ck_assert_int_eq(import(arguments), 0);
  ck_assert_int_ne(access(at("out.tmp"), F_OK), 0);
}
END_TEST

START_TEST(import_reads_the_kind_of_positions) {
  const Param *table = params_find(&model.table, "pos_embed");
  model.params[table->offset + 20] += 0.01f;
  save(&(Saved){0});
  ck_assert_int_eq(import(heads), 0);
  ck_assert(said("stdout", "model.pos_embed = learned") &&
            said("stdout", "model.decoder_pos_embed = sincos2d"));
  char arguments[256];
  snprintf(arguments, sizeof arguments, "%s --set model.pos_embed=sincos2d", heads);
  ck_assert_int_eq(import(arguments), EXIT_DATA);
  ck_assert(said("stderr", "one of its own"));
}
END_TEST

START_TEST(import_refuses_bad_files) {
  save(&(Saved){.more = "module.cls_token"});
  ck_assert_int_eq(import(heads), EXIT_DATA);
  ck_assert(said("stderr", "cls_token and ") && said("stderr", "the same parameter"));
  save(&(Saved){.rename = transformers4, .more = "vit.layers.0.attention.q_proj.weight"});
  ck_assert_int_eq(import(heads), EXIT_DATA);
  ck_assert(said("stderr", "vit.layers.0.attention.q_proj.weight") &&
            said("stderr", "vit.encoder.layer.0.attention.attention.query.weight"));
  /* A file of something else, and no safetensors file at all. */
  Error e = {0};
  float value = 0;
  Tensor other = {.name = (char *)"weight",
                  .dtype = "F32",
                  .rank = 1,
                  .shape = {1},
                  .data = &value,
                  .bytes = sizeof value};
  ck_assert(safetensors_write(at("in"), &other, 1, NULL, 0, &e));
  ck_assert_int_eq(import(heads), EXIT_DATA);
  ck_assert(said("stderr", "no patch_embed.proj.weight"));
  FILE *f = fopen(at("in"), "w");
  fputs("PK not safetensors, and longer than a header", f);
  fclose(f);
  ck_assert_int_eq(import(heads), EXIT_DATA);
  ck_assert(said("stderr", "--help` shows how"));
  ck_assert_int_eq(mae("import in --out ''"), EXIT_CONFIG);
}
END_TEST

START_TEST(export_takes_a_run_folder) {
  ck_assert_int_eq(mae("export . --format timm --out a"), 0);
  ck_assert_int_eq(mae("export checkpoints/step-4 --format timm --out b"), 0);
  char command[128];
  snprintf(command, sizeof command, "cd %s && cmp a b", folder);
  ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(export_names_the_published_model) {
  enum { MOST = 400 };
  static Tensor tensors[MOST];
  Error e = {0};
  const ConfigOrigin origin = {.file = "test"};
  ParamTable table;
  WeightsMetadata metadata;
  ck_assert(config_set(&config, "model.image_size", "224", &origin, &e));
  ck_assert(config_set(&config, "model.patch_size", "16", &origin, &e));
  ck_assert(config_set(&config, "model.encoder", "vit_base", &origin, &e));
  ck_assert(params_build(&table, &config, &e) && weights_metadata(&metadata, &config, -1, &e));
  ck_assert_int_lt(table.count, MOST);
  float *zeros = calloc(4 * 768 * 768, sizeof *zeros); /* mlp.fc1, the largest */
  for (int i = 0; i < table.count; i++) {
    tensors[i] = weights_tensor(&table.list[i]);
    tensors[i].data = zeros;
  }
  ck_assert(weights_write(at("in"), tensors, table.count, &metadata, &e));
  free(zeros);
  weights_metadata_free(&metadata);
  params_free(&table);
  ck_assert_int_eq(mae("export in --format timm --out t"), 0);
  ck_assert(said("stdout", "\nmodel = timm.create_model(\"vit_base_patch16_224.mae\", "
                           "num_classes=0)\nmodel.load_state_dict("));
}
END_TEST

START_TEST(hf_folder) {
  ck_assert_int_eq(mae("export checkpoints/step-4 --format hf --out h"), 0);
  ck_assert(said("stdout", "\"layer_norm_eps\": 1e-6,"));
  char command[256];
  snprintf(command, sizeof command, "cp %s/stdout %s/printed", folder, folder);
  ck_assert_int_eq(system(command), 0);
  ck_assert_int_eq(mae("export checkpoints/step-4 --format hf --out new/folder/"), 0);
  ck_assert(said("stdout", "model = transformers.ViTMAEForPreTraining.from_pretrained("
                           "\"new/folder/\")"));
  snprintf(command, sizeof command,
           "cd %s && cmp printed new/folder/config.json && cmp h new/folder/model.safetensors && "
           "test \"$(ls new/folder | wc -l)\" = 3",
           folder);
  ck_assert_int_eq(system(command), 0);
  ck_assert(said("new/folder/preprocessor_config.json",
                 "\"image_processor_type\": \"ViTImageProcessor\"") &&
            said("new/folder/preprocessor_config.json", "\"height\": 16"));
  /* An existing folder needs no slash; timm's layout is one file. */
  ck_assert_int_eq(mae("export checkpoints/step-4 --format hf --encoder --out new/folder"), 0);
  ck_assert(said("stdout", "transformers.ViTMAEModel."));
  ck_assert_int_eq(mae("export checkpoints/step-4 --format timm --out new/folder"), EXIT_CONFIG);
  ck_assert(said("stderr", "is a folder"));
}
END_TEST

START_TEST(usage_errors) {
  ck_assert_int_eq(mae("export checkpoints/step-4 --format timm"), EXIT_CONFIG);
  ck_assert(said("stderr", "--out"));
  ck_assert_int_eq(mae("export checkpoints/step-4 --format onnx --out x"), EXIT_CONFIG);
  ck_assert(said("stderr", "timm or hf"));
  ck_assert_int_eq(mae("export nowhere --format hf --out x"), EXIT_DATA);
  ck_assert(said("stderr", "nowhere"));
  ck_assert_int_eq(mae("import checkpoints/step-4/state.safetensors --out x"), EXIT_DATA);
  ck_assert_int_eq(mae("export checkpoints/step-4 --format hf --out nowhere/x"), EXIT_DATA);
  ck_assert(said("stderr", "nowhere/x"));
}
END_TEST

START_TEST(models_without_a_counterpart_are_refused) {
  static const struct {
    const char *key, *value;
    bool timm, hf, hf_encoder;
  } variants[] = {{"model.class_token", "false", false, false, false},
                  {"model.pos_embed", "none", false, false, false},
                  {"model.decoder_pos_embed", "none", true, false, true},
                  {"model.encoder_mask_tokens", "true", true, false, true},
                  {"model.pos_embed", "learned", true, true, true}};
  Error e = {0};
  ck_assert_msg(config_set(&config, variants[_i].key, variants[_i].value,
                           &(ConfigOrigin){.file = "test"}, &e),
                "%s", e.message);
  Model variant;
  ck_assert(plain_model_create(&variant, &config, 1, &e));
  ck_assert(checkpoint_save(folder, &variant, &(StepState){.step = 9}, &e));
  plain_model_destroy(&variant);
  ck_assert_int_eq(mae("export checkpoints/step-9 --format timm --out x"),
                   variants[_i].timm ? 0 : EXIT_CONFIG);
  ck_assert_int_eq(mae("export checkpoints/step-9 --format hf --out x"),
                   variants[_i].hf ? 0 : EXIT_CONFIG);
  if (!variants[_i].hf) ck_assert(said("stderr", variants[_i].key));
  ck_assert_int_eq(mae("export checkpoints/step-9 --format hf --encoder --out x"),
                   variants[_i].hf_encoder ? 0 : EXIT_CONFIG);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("interchange");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, timm_layout);
  tcase_add_test(tc, hf_layout);
  tcase_add_test(tc, hf_folder);
  tcase_add_test(tc, export_takes_a_run_folder);
  tcase_add_test(tc, export_names_the_published_model);
  tcase_add_loop_test(tc, import_takes_what_others_save, 0, ACCEPTED);
  tcase_add_test(tc, import_reads_the_heads_beside_the_file);
  tcase_add_test(tc, import_assumes_heads);
  tcase_add_loop_test(tc, import_of_an_encoder_draws_a_decoder, 0, 3);
  tcase_add_test(tc, import_leaves_out_what_encoder_asks_for);
  tcase_add_test(tc, import_refuses_another_model);
  tcase_add_test(tc, import_reads_the_kind_of_positions);
  tcase_add_test(tc, import_refuses_bad_files);
  tcase_add_test(tc, usage_errors);
  tcase_add_loop_test(tc, models_without_a_counterpart_are_refused, 0, 5);
  Suite *suite = suite_create("interchange");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
