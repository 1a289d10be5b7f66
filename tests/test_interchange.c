/* mae import and mae export: names, shapes and bytes of the layouts that other programs load, and
 * the way there and back. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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
  ck_assert(said("stdout", "img_size=16, patch_size=8, embed_dim=16, depth=2, num_heads=2"));
  safetensors_close(&file);
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

/* A file as the public reference's, with `prefix` before every name; returns what import says. */
static const char model_keys[] = "--set model.image_size=16 --set model.patch_size=8 "
                                 "--set model.encoder=16x2x2 --set model.decoder=8x1x2";

static int import_with(const char *prefix, const char *more) {
  enum { MOST = 128 };
  static char names[MOST][128];
  Tensor tensors[MOST];
  for (int i = 0; i < model.table.count; i++) {
    tensors[i] = weights_tensor(&model.table.list[i]);
    tensors[i].data = model.params + model.table.list[i].offset;
    snprintf(names[i], sizeof names[i], "%s%s", prefix, model.table.list[i].name);
    tensors[i].name = names[i];
  }
  Error e = {0};
  ck_assert(safetensors_write(at("in"), tensors, model.table.count, NULL, 0, &e));
  char arguments[512];
  snprintf(arguments, sizeof arguments, "import in --out out %s %s", model_keys, more);
  return mae(arguments);
}

START_TEST(import_takes_the_public_names) {
  ck_assert_int_eq(import_with(_i ? "model." : "", ""), 0);
  Error e = {0};
  Model other;
  ck_assert(plain_model_create(&other, &config, 9, &e));
  ck_assert_msg(checkpoint_load_weights(at("out"), &other, &e), "%s", e.message);
  for (int i = 0; i < model.table.count; i++) {
    const Param *param = &model.table.list[i];
    ck_assert(!memcmp(other.params + param->offset, model.params + param->offset,
                      param->count * sizeof(float)));
  }
  plain_model_destroy(&other);
  /* And what was imported can be exported. */
  ck_assert_int_eq(mae("export out --format timm --out t"), 0);
}
END_TEST

START_TEST(import_refuses_another_model) {
  ck_assert_int_eq(import_with("", "--set model.encoder=16x3x2"), EXIT_DATA);
  ck_assert(said("stderr", "in: parameter blocks.2.norm1.weight is missing"));
  ck_assert_int_eq(import_with("", "--set model.decoder=16x1x2"), EXIT_DATA);
  ck_assert(said("stderr", "is F32 [1, 1, 8]; the configuration makes it F32 [1, 1, 16]"));
  ck_assert_int_eq(import_with("", "--set model.pos_embed=none"), EXIT_DATA);
  ck_assert(said("stderr", "pos_embed is no parameter"));
  ck_assert_int_eq(import_with("", "--set model.pos_embed=sincos1d"), EXIT_DATA);
  ck_assert(said("stderr", "pos_embed is not the table") && said("stderr", "= learned"));
  ck_assert_int_eq(import_with("", "--set model.pos_embed=learned"), 0);
  ck_assert_int_ne(access(at("out.tmp"), F_OK), 0);
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
  tcase_add_loop_test(tc, import_takes_the_public_names, 0, 2);
  tcase_add_test(tc, import_refuses_another_model);
  tcase_add_test(tc, usage_errors);
  tcase_add_loop_test(tc, models_without_a_counterpart_are_refused, 0, 5);
  Suite *suite = suite_create("interchange");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
