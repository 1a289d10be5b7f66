/* The option table: defaults, parsing, messages, canonical text, hash and the conditions between
 * options; and the `mae` program's command line. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mae/base/suggest.h"
#include "mae/config/config.h"
#include "tests/suite.h"

static Config config;
static Error e;

static void setup(void) {
  memset(&e, 0, sizeof e);
  memset(&config, 0xA5, sizeof config);
  config_init(&config);
}

static void set(const char *key, const char *value) {
  ck_assert_msg(config_set(&config, key, value, NULL, &e), "%s", e.message);
}

static char *dump(const Config *c, bool hashed_only) {
  char *text;
  size_t size;
  FILE *file = open_memstream(&text, &size);
  config_dump(c, file, hashed_only);
  fclose(file);
  return text;
}

START_TEST(defaults_are_valid_and_in_place) {
  ck_assert_msg(config_validate(&config, &e), "%s", e.message);
  ck_assert_int_eq(config.model.image_size, 64);
  ck_assert_int_eq(config.model.encoder.width, 192);
  ck_assert_int_eq(config.model.decoder.depth, 2);
  ck_assert(config.model.class_token && !config.train.norm_pix);
  ck_assert_double_eq(config.train.mask_ratio, .75);
  ck_assert_double_eq(config.train.beta2, .95);
  ck_assert_double_eq(config.train.blr, 1.5e-4);
  ck_assert_int_eq(config.train.augment, AUGMENT_CROP_FLIP);
  ck_assert_str_eq(config.run.device, "auto");
  ck_assert_int_eq(config_patches(&config), 64);
  ck_assert_int_eq(config_kept(&config), 16);
  ck_assert_int_eq(config_dtype(&config), DTYPE_F32);
}
END_TEST

/* Every member of Config belongs to one option and no two options overlap: setting an option
 * changes its own text and no other's. */
static const struct {
  const char *key, *value;
} others[] = {{"model.image_size", "96"},
              {"model.patch_size", "16"},
              {"model.encoder", "768x12x12"},
              {"model.decoder", "384x12x6"},
              {"model.pos_embed", "learned"},
              {"model.decoder_pos_embed", "none"},
              {"model.class_token", "false"},
              {"model.encoder_mask_tokens", "true"},
              {"train.mask_ratio", "0.6"},
              {"train.mask", "grid"},
              {"train.loss", "all"},
              {"train.norm_pix", "true"},
              {"train.precision", "bf16"},
              {"train.batch", "64"},
              {"train.epochs", "1.5"},
              {"train.steps", "1000000000"},
              {"train.blr", "0.001"},
              {"train.min_lr", "1e-06"},
              {"train.weight_decay", "0.3"},
              {"train.beta1", "0.8"},
              {"train.beta2", "0.999"},
              {"train.eps", "1e-06"},
              {"train.warmup_epochs", "0.1"},
              {"train.warmup_steps", "10"},
              {"train.clip", "1"},
              {"train.augment", "none"},
              {"train.crop_min", "0.08"},
              {"train.shards", "2"},
              {"train.accumulate", "4"},
              {"train.recompute", "true"},
              {"train.ranks", "2"},
              {"train.rank_timeout", "60"},
              {"data.source", "tiny-imagenet"},
              {"data.path", "/a b/\"c\"; d\\#e"},
              {"data.cache", " x "},
              {"data.pack", "jpeg"},
              {"data.pack_side", "256"},
              {"data.pack_quality", "80"},
              {"data.skip_bad", "true"},
              {"data.holdout", "0.25"},
              {"data.train_images", "4096"},
              {"eval.images", "100"},
              {"eval.batch", "32"},
              {"eval.every", "500"},
              {"eval.seed", "7"},
              {"probe.method", "knn"},
              {"probe.features", "mean"},
              {"probe.train_images", "5000"},
              {"probe.eval_images", "1000"},
              {"probe.every", "100"},
              {"run.seed", "9007199254740991"},
              {"run.device", "cuda:1"},
              {"run.threads", "2"},
              {"run.emulate", "true"},
              {"run.products", "h100.txt"},
              {"run.checkpoint_every", "250"},
              {"run.keep_checkpoints", "3"},
              {"run.keep", "encoder"},
              {"resources.gpus_per_trial", "2"},
              {"resources.jobs_per_gpu", "4"},
              {"resources.launcher", "srun -n 4"}};
enum { OTHERS = sizeof others / sizeof *others };

START_TEST(an_option_changes_itself_alone) {
  Config before = config;
  set(others[_i].key, others[_i].value);
  for (int i = 0; config_key(i); i++) {
    char old[CONFIG_PATH_MAX], new[CONFIG_PATH_MAX];
    config_get(&before, config_key(i), old, sizeof old);
    ck_assert_ptr_nonnull(config_get(&config, config_key(i), new, sizeof new));
    if (strcmp(config_key(i), others[_i].key)) {
      ck_assert_str_eq(old, new);
    } else {
      ck_assert_str_ne(old, new);
      ck_assert_str_eq(new, others[_i].value);
    }
  }
  char hash[65], old_hash[65];
  config_hash(&before, old_hash);
  config_hash(&config, hash);
  ck_assert_int_eq(strcmp(hash, old_hash) != 0, config_is_hashed(others[_i].key));
}
END_TEST

/* What was recorded before there were probes keeps its hash: that of this text. */
START_TEST(younger_options_at_their_default_are_not_in_the_hash) {
  char *text = dump(&config, true), hash[65], file_hash[65];
  ck_assert_ptr_null(strstr(text, "probe"));
  free(text);
  set("probe.method", "knn");
  text = dump(&config, true);
  ck_assert_ptr_nonnull(strstr(text, "[probe]\nmethod = knn\n"));
  ck_assert_ptr_null(strstr(text, "probe.every"));
  free(text);
  /* A file that holds every option has the same hash. */
  IniFile ini;
  text = dump(&config, false);
  ck_assert_msg(ini_parse(&ini, "config.ini", text, strlen(text), &e), "%s", e.message);
  config_hash(&config, hash);
  config_hash_file(&ini, file_hash);
  ck_assert_str_eq(hash, file_hash);
  ini_free(&ini);
  free(text);
}
END_TEST

START_TEST(the_list_above_is_complete) {
  ck_assert_ptr_nonnull(config_key(OTHERS - 1));
  ck_assert_ptr_null(config_key(OTHERS));
  ck_assert_ptr_null(config_key(-1));
  for (int i = 0; i < OTHERS; i++) ck_assert_str_eq(config_key(i), others[i].key);
}
END_TEST

static char folder[64];

static void make_folder(void) {
  setup();
  strcpy(folder, "/tmp/maebench-config-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  ck_assert_int_eq(system(command), 0);
}

static const char *write_file(const char *name, const char *text) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
  return path;
}

START_TEST(a_dump_reads_back_to_the_same_bytes) {
  for (int i = 0; i < OTHERS; i++) set(others[i].key, others[i].value);
  char *text = dump(&config, false);
  Config read;
  config_init(&read);
  ck_assert_msg(config_load(&read, write_file("dump.ini", text), &e), "%s", e.message);
  ck_assert_mem_eq(&read, &config, sizeof config);
  char *again = dump(&read, false);
  ck_assert_str_eq(again, text);
  free(text);
  free(again);
}
END_TEST

/* Awkward doubles keep every bit through their shortest text. */
START_TEST(numbers_keep_their_bits) {
  static const double values[] = {0.1,  0.1 + 0.2, 1.0 / 3,    1e-16, 0.7500000000000001,
                                  0.05, 5e-324,    0.99999995, 1,     0};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    char text[64];
    config.train.weight_decay = values[i];
    config_get(&config, "train.weight_decay", text, sizeof text);
    config.train.weight_decay = -1;
    set("train.weight_decay", text);
    ck_assert(config.train.weight_decay == values[i]);
  }
}
END_TEST

START_TEST(the_hash_ignores_spelling) {
  char a[65], b[65];
  set("model.encoder", "vit_base");
  set("train.mask_ratio", ".5");
  set("train.eps", "0.00000001");
  config_hash(&config, a);
  set("model.encoder", "768x12x12");
  set("train.mask_ratio", "5e-1");
  set("train.eps", "1e-8");
  config_hash(&config, b);
  ck_assert_str_eq(a, b);
  ck_assert_int_eq(strspn(a, "0123456789abcdef"), 64);
}
END_TEST

START_TEST(presets_are_the_published_sizes) {
  static const struct {
    const char *name;
    Tower tower;
  } presets[] = {{"vit_tiny", {192, 12, 3}},
                 {"vit_small", {384, 12, 6}},
                 {"vit_base", {768, 12, 12}},
                 {"vit_large", {1024, 24, 16}}};
  for (int i = 0; i < 4; i++) {
    set("model.encoder", presets[i].name);
    ck_assert_mem_eq(&config.model.encoder, &presets[i].tower, sizeof(Tower));
  }
}
END_TEST

/* A bad value: the whole message, and the option keeps what it had. */
static const struct {
  const char *key, *value, *message;
} refused[] = {
    {"train.batch", "abc", "train.batch: 'abc' is not a whole number from 1 to 65536"},
    {"train.batch", "", "train.batch: '' is not a whole number from 1 to 65536"},
    {"train.batch", "0", "train.batch: '0' is not a whole number from 1 to 65536"},
    {"train.batch", "65537", "train.batch: '65537' is not a whole number from 1 to 65536"},
    {"train.batch", "12.5", "train.batch: '12.5' is not a whole number from 1 to 65536"},
    {"train.batch", "1e3", "train.batch: '1e3' is not a whole number from 1 to 65536"},
    {"train.batch", "+1", "train.batch: '+1' is not a whole number from 1 to 65536"},
    {"train.batch", "-1", "train.batch: '-1' is not a whole number from 1 to 65536"},
    {"train.batch", "128 ", "train.batch: '128 ' is not a whole number from 1 to 65536"},
    {"train.batch", "99999999999999999999999",
     "train.batch: '99999999999999999999999' is not a whole number from 1 to 65536"},
    {"run.seed", "9007199254740992",
     "run.seed: '9007199254740992' is not a whole number from 0 to 9007199254740991"},
    {"train.mask_ratio", "75%", "train.mask_ratio: '75%' is not a number from 0 to 1"},
    {"train.mask_ratio", "75", "train.mask_ratio: '75' is not a number from 0 to 1"},
    {"train.mask_ratio", "nan", "train.mask_ratio: 'nan' is not a number from 0 to 1"},
    {"train.mask_ratio", "0x1p-1", "train.mask_ratio: '0x1p-1' is not a number from 0 to 1"},
    {"train.mask_ratio", "1e", "train.mask_ratio: '1e' is not a number from 0 to 1"},
    {"train.mask_ratio", "-", "train.mask_ratio: '-' is not a number from 0 to 1"},
    {"train.clip", "1e999", "train.clip: '1e999' is not a number from 0 to 1000000"},
    {"train.norm_pix", "yes", "train.norm_pix: 'yes' is not true or false"},
    {"train.loss", "maskd", "train.loss: 'maskd' is not one of masked, all; did you mean masked?"},
    {"data.pack", "jpg", "data.pack: 'jpg' is not one of pixels, jpeg; did you mean jpeg?"},
    {"train.loss", "1", "train.loss: '1' is not one of masked, all"},
    {"model.encoder", "192x6x5",
     "model.encoder: width 192 is not divisible by 5 heads in '192x6x5'"},
    {"model.encoder", "192x6",
     "model.encoder: '192x6' is not WIDTHxDEPTHxHEADS (at most 8192x128x128) or one of vit_tiny, "
     "vit_small, vit_base, vit_large"},
    {"model.encoder", "0x0x0",
     "model.encoder: '0x0x0' is not WIDTHxDEPTHxHEADS (at most 8192x128x128) or one of vit_tiny, "
     "vit_small, vit_base, vit_large"},
    {"run.device", "gpu", "run.device: 'gpu' is not one of auto, cpu, cuda, cuda:N"},
    {"run.device", "cuda:", "run.device: 'cuda:' is not one of auto, cpu, cuda, cuda:N"},
    {"run.device", "cuda:-1", "run.device: 'cuda:-1' is not one of auto, cpu, cuda, cuda:N"},
    {"data.path", "a\nb",
     "data.path: 'a?b' is not text of at most 1023 bytes without control characters"},
    {"train.bacth", "3", "train.bacth: no such option; did you mean train.batch?"},
    {"mask_ratio", "3", "mask_ratio: no such option; did you mean train.mask_ratio?"},
    {"train.patch_size", "3", "train.patch_size: no such option; did you mean model.patch_size?"},
    {"patchsize", "3", "patchsize: no such option; did you mean model.patch_size?"},
    {"zzzzzzzz.q", "3", "zzzzzzzz.q: no such option; `mae config --help` lists them all"},
    {"", "3", ": no such option; `mae config --help` lists them all"},
};

START_TEST(bad_values_are_refused) {
  Config before = config;
  ck_assert(!config_set(&config, refused[_i].key, refused[_i].value, NULL, &e));
  ck_assert_int_eq(e.code, EXIT_CONFIG);
  ck_assert_str_eq(e.message, refused[_i].message);
  ck_assert_mem_eq(&config, &before, sizeof config);
}
END_TEST

START_TEST(long_values_are_refused_with_a_short_message) {
  char value[5000];
  memset(value, 'x', sizeof value - 1);
  value[sizeof value - 1] = 0;
  for (int i = 0; config_key(i); i++) {
    ck_assert(!config_set(&config, config_key(i), value, NULL, &e));
    ck_assert_uint_lt(strlen(e.message), 400);
  }
  ck_assert(!config_set(&config, value, "1", NULL, &e));
}
END_TEST

START_TEST(messages_begin_with_the_origin) {
  ConfigOrigin file = {"dir/a.ini", 3, 14}, option = {.file = "--set"};
  config_set(&config, "train.batch", "x", &file, &e);
  ck_assert_ptr_eq(strstr(e.message, "dir/a.ini:3:14: train.batch: 'x'"), e.message);
  config_set(&config, "train.batch", "x", &option, &e);
  ck_assert_ptr_eq(strstr(e.message, "--set: train.batch: 'x'"), e.message);
  const char *path = write_file("bad.ini", "[train]\nbatch = 1\n\nmask_ratoi = 0.5\n");
  ck_assert(!config_load(&config, path, &e));
  ck_assert_msg(strstr(e.message, "bad.ini:4:14: train.mask_ratoi: no such option; did you mean "
                                  "train.mask_ratio?"),
                "%s", e.message);
  path = write_file("sweep.ini", "[sweep]\ntrain.batch = 1, 2\n");
  ck_assert(!config_load(&config, path, &e));
  ck_assert_msg(strstr(e.message, "sweep.ini:2:15: sweep.train.batch: section [sweep] is for"),
                "%s", e.message);
}
END_TEST

/* Settings that only together are wrong, separated by spaces, and part of the message. */
static const struct {
  const char *settings, *message;
} conflicts[] = {
    {"model.image_size=60", "model.image_size = 60 is not a multiple of model.patch_size = 8"},
    {"model.image_size=1024 model.patch_size=2", "makes 262144 patches; at most 16384"},
    {"train.mask_ratio=1", "train.mask_ratio = 1 keeps none of the 64 patches; at most 0.9844"},
    {"train.mask_ratio=0.99", "train.mask_ratio = 0.99 keeps none"},
    {"train.mask_ratio=0", "train.mask_ratio = 0 hides none of the 64 patches"},
    {"model.encoder=6x1x1", "model.encoder = 6x1x1: model.pos_embed = sincos2d needs a width "
                            "divisible by 4, not 6"},
    {"model.encoder=9x1x1 model.pos_embed=sincos1d",
     "sincos1d needs a width divisible by 2, not 9"},
    {"model.decoder=6x1x1", "model.decoder = 6x1x1: model.decoder_pos_embed = sincos2d needs"},
    {"model.decoder=60x2x3 train.precision=bf16",
     "model.decoder = 60x2x3: train.precision = bf16 needs heads of a size divisible by 8"},
    {"train.batch=30 train.accumulate=4",
     "train.batch = 30 is not a multiple of train.shards x train.accumulate = 1 x 4"},
    {"train.batch=31 train.shards=2", "train.shards x train.accumulate = 2 x 1"},
    {"train.ranks=2", "train.ranks = 2 needs train.shards = 2"},
    {"train.ranks=2 train.shards=4", "train.ranks = 2 needs train.shards = 2"},
    {"resources.gpus_per_trial=2", "resources.gpus_per_trial = 2 needs train.shards = 2"},
    {"resources.launcher=mpirun resources.jobs_per_gpu=2",
     "resources.launcher = mpirun: the launcher places trials on GPUs"},
    {"resources.gpus_per_trial=2 train.shards=2 resources.jobs_per_gpu=2",
     "resources.jobs_per_gpu = 2 lets trials of one GPU share it"},
    {"train.epochs=0", "nothing to train"},
    {"train.steps=10 train.warmup_steps=10", "leaves none of train.steps = 10"},
    {"train.epochs=1", "train.warmup_epochs = 1 leaves nothing of train.epochs = 1"},
    {"train.min_lr=0.1", "train.min_lr = 0.1 is above the peak rate"},
    {"data.source=cifar10", "data.path is not set; data.source = cifar10 needs"},
    {"data.holdout=0.1", "data.holdout is for data.source other than shapes"},
    {"data.pack=jpeg", "data.pack = jpeg is for image files; data.source = shapes has none"},
    {"data.pack=jpeg data.source=cifar10 data.path=x", "data.source = cifar10 has none"},
    {"data.pack_side=256", "data.pack_side = 256 is for data.pack = jpeg"},
    {"data.train_images=100", "data.train_images = 100 is less than train.batch = 128"},
    /* And near misses that are fine. */
    {"model.image_size=72", NULL},
    {"train.mask_ratio=0.984", NULL},
    {"train.mask_ratio=0.016", NULL},
    {"model.encoder=6x1x1 model.pos_embed=learned", NULL},
    {"model.encoder=9x1x1 model.pos_embed=none", NULL},
    {"model.decoder=6x1x1 model.decoder_pos_embed=sincos1d", NULL},
    {"model.decoder=60x2x3", NULL},
    {"train.ranks=2 train.shards=2 resources.gpus_per_trial=2", NULL},
    {"train.ranks=4 train.shards=4", NULL},
    {"train.shards=4", NULL},
    {"train.shards=2 resources.gpus_per_trial=2", NULL},
    {"train.epochs=0 train.steps=5", NULL},
    {"train.epochs=1 train.warmup_steps=3", NULL},
    {"data.source=cifar10 data.path=x", NULL},
    {"data.source=webdataset data.path=x data.pack=jpeg data.pack_side=256", NULL},
    {"model.encoder=vit_large model.decoder=512x8x16 train.precision=fp16", NULL},
};

START_TEST(conflicts_are_named) {
  char settings[256];
  strcpy(settings, conflicts[_i].settings);
  for (char *key = strtok(settings, " "); key; key = strtok(NULL, " ")) {
    char *equals = strchr(key, '=');
    *equals = 0;
    set(key, equals + 1);
  }
  bool valid = config_validate(&config, &e);
  if (!conflicts[_i].message) {
    ck_assert_msg(valid, "%s", e.message);
    return;
  }
  ck_assert(!valid);
  ck_assert_int_eq(e.code, EXIT_CONFIG);
  ck_assert_msg(strstr(e.message, conflicts[_i].message), "%s", e.message);
}
END_TEST

/* Every word of an option that is a choice reads back as itself and is explained. */
static void check_choice(const char *key, const char *const *words, int count) {
  char value[64], *help;
  size_t size;
  FILE *file = open_memstream(&help, &size);
  ck_assert(config_help(file, key, &e));
  fclose(file);
  for (char *c = help; *c; c++) *c = *c == '\n' ? ' ' : *c;
  for (int i = 0; i < count; i++) {
    char explained[64];
    set(key, words[i]);
    ck_assert_str_eq(config_get(&config, key, value, sizeof value), words[i]);
    snprintf(explained, sizeof explained, " %s: ", words[i]);
    ck_assert_msg(strstr(help, explained), "%s = %s", key, words[i]);
  }
  free(help);
}

START_TEST(every_choice_is_read_and_explained) {
#define CHECK(key, list, count) check_choice(key, (const char *const[]){list(CHOICE_NAME)}, count)
  CHECK("train.mask", MASK_KINDS, MASK_KIND_COUNT);
  CHECK("model.pos_embed", POS_EMBEDS, POS_EMBED_COUNT);
  CHECK("train.loss", LOSS_KINDS, LOSS_KIND_COUNT);
  CHECK("train.precision", PRECISIONS, PRECISION_COUNT);
  CHECK("train.augment", AUGMENTS, AUGMENT_COUNT);
  CHECK("data.source", SOURCES, SOURCE_COUNT);
}
END_TEST

/* What follows from a choice: the values that the first step, the loss and the plan start from. */
START_TEST(choices_have_their_consequences) {
  set("train.mask_ratio", "0.75");
  ck_assert_int_eq(config_counted(&config), 48);
  set("train.loss", "all");
  ck_assert_int_eq(config_counted(&config), 64);
  ck_assert_float_eq(config_loss_scale(&config), 1);
  set("train.precision", "bf16");
  ck_assert_int_eq(config_dtype(&config), DTYPE_BF16);
  ck_assert_float_eq(config_loss_scale(&config), 1);
  set("train.precision", "fp16");
  ck_assert_int_eq(config_dtype(&config), DTYPE_F16);
  ck_assert_float_eq(config_loss_scale(&config), 65536);
  ck_assert_int_eq(config_train_images(&config), 8192);
  set("data.source", "cifar10");
  ck_assert_int_eq(config_train_images(&config), 50000);
  set("data.holdout", "0.1");
  ck_assert_int_eq(config_train_images(&config), 45000);
  set("data.source", "imagefolder");
  ck_assert_int_eq(config_train_images(&config), 0);
  set("data.train_images", "300");
  ck_assert_int_eq(config_train_images(&config), 300);
}
END_TEST

START_TEST(every_option_is_explained) {
  for (int i = 0; config_key(i); i++) {
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    ck_assert(config_help(file, config_key(i), &e));
    fclose(file);
    ck_assert_ptr_eq(strstr(text, config_key(i)), text);
    ck_assert_uint_gt(size, 100);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
      ck_assert_uint_le(strcspn(line, "\n"), 80);
    free(text);
  }
  FILE *nowhere = fopen("/dev/null", "w");
  ck_assert(config_help(nowhere, "train", &e));
  ck_assert(config_help(nowhere, NULL, &e));
  ck_assert(!config_help(nowhere, "trian", &e));
  ck_assert(!config_help(nowhere, "", &e));
  ck_assert(!config_help(nowhere, "train.", &e));
  fclose(nowhere);
}
END_TEST

START_TEST(edit_distances) {
  ck_assert_int_eq(edit_distance("", ""), 0);
  ck_assert_int_eq(edit_distance("", "abc"), 3);
  ck_assert_int_eq(edit_distance("abc", ""), 3);
  ck_assert_int_eq(edit_distance("abc", "abc"), 0);
  ck_assert_int_eq(edit_distance("abc", "acb"), 1);
  ck_assert_int_eq(edit_distance("kitten", "sitting"), 3);
  ck_assert_int_eq(edit_distance("batch", "btach"), 1);
  ck_assert_int_eq(edit_distance("ca", "abc"), 3);
}
END_TEST

/* A slip of the pen, else what a word begins; one letter begins too much. */
START_TEST(the_word_that_was_meant_is_suggested) {
  static const char *const words[] = {
      "cpu-hour", "cpu", NULL, "t4x2", "train.mask", "train.warmup_epochs", "train.warmup_steps"};
  static const struct {
    const char *word;
    int index;
  } cases[] = {{"cpux", 1},  {"cp", 1},      {"cpu-ho", 0},    {"t4", 3},  {"train.warm", 5},
               {"CPU", 1},   {"Train.W", 5}, {"train.msk", 4}, {"4x2", 3}, {"c", -1},
               {"h200", -1}, {"t4y", 3},     {"", -1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    ck_assert_msg(suggest_index(cases[i].word, words, 7) == cases[i].index, "%s", cases[i].word);
}
END_TEST

START_TEST(a_path_that_is_not_read_is_told) {
  ck_assert_str_eq(config_idle_path(&config), "");
  set("data.path", "images");
  ck_assert_ptr_nonnull(strstr(config_idle_path(&config), "data.path is set and not read"));
  set("data.source", "imagefolder");
  ck_assert_str_eq(config_idle_path(&config), "");
}
END_TEST

/* The scales that ship with the project, given a folder of images. */
START_TEST(scales_are_valid) {
  static const char *const scales[] = {"cpu", "t4x2", "h200"};
  char path[256];
  snprintf(path, sizeof path, "%s/experiments/scales/%s.ini", SOURCE_DIR, scales[_i]);
  ck_assert_msg(config_load(&config, path, &e), "%s", e.message);
  set("data.path", "somewhere");
  ck_assert_msg(config_validate(&config, &e), "%s", e.message);
}
END_TEST

/* Command lines, the exit code and a part of the combined output. */
static const struct {
  const char *arguments;
  int code;
  const char *output;
} commands[] = {
    {"", 2, "usage: mae COMMAND"},
    {"--help", 0, "usage: mae COMMAND"},
    {"--version", 0, "maebench "},
    {"--version", 0, "\nmatrix products on the CPU: "},
    {"confg", 2, "mae: no command 'confg'; did you mean config?"},
    {"--versoin", 2, "mae: no command '--versoin'; did you mean --version?"},
    {"qqqqqqqqqq", 2, "mae: no command 'qqqqqqqqqq'; `mae --help` lists them"},
    {"config", 0, "[train]\nmask_ratio = 0.75\n"},
    {"config --version", 0, "maebench "},
    {"config --set train.mask_ratio=0.5", 0, "mask_ratio = 0.5\n"},
    {"config --set=train.mask_ratio=0.5", 0, "mask_ratio = 0.5\n"},
    {"config --set train.mask_ratio", 2, "--set train.mask_ratio: expected section.key=value"},
    {"config --set", 2, "--set needs a value"},
    {"config --sett x", 2, "no option --sett; did you mean --set?"},
    {"config --hash=1", 2, "--hash takes no value"},
    {"config word", 2, "unexpected argument 'word'"},
    {"config --help train.mask_ratio", 0, "train.mask_ratio = 0.75\n"},
    {"config --help mask_ratio", 2, "did you mean train.mask_ratio?"},
    {"config --set train.mask_ratio=1", 2, "keeps none of the 64 patches"},
    {"config --set train.mask=grid --set train.mask_ratio=1", 2,
     "config: --set: train.mask_ratio = 1 keeps none"},
    {"config gone.ini", 2, "cannot open gone.ini"},
    {"config --set data.source=cifar10", 0, "source = cifar10\n"},
};

START_TEST(command_lines) {
  char command[512], output[16384];
  snprintf(command, sizeof command, "%s/mae %s 2>&1", PROGRAM_DIR, commands[_i].arguments);
  FILE *pipe = popen(command, "r");
  ck_assert_ptr_nonnull(pipe);
  size_t size = fread(output, 1, sizeof output - 1, pipe);
  output[size] = 0;
  int status = pclose(pipe);
  ck_assert(WIFEXITED(status));
  ck_assert_msg(WEXITSTATUS(status) == commands[_i].code, "exit %d: %s", WEXITSTATUS(status),
                output);
  ck_assert_msg(strstr(output, commands[_i].output), "%s", output);
}
END_TEST

/* What only the whole configuration shows is reported at the value that was given last. */
START_TEST(conflicts_are_placed) {
  char path[] = "/tmp/maebench-config-XXXXXX.ini", command[512], expected[128], output[1024];
  int fd = mkstemps(path, 4);
  ck_assert_int_ge(fd, 0);
  static const char text[] = "[model]\nimage_size = 64\npatch_size = 7\n";
  ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  close(fd);
  snprintf(command, sizeof command, "%s/mae config %s 2>&1", PROGRAM_DIR, path);
  snprintf(expected, sizeof expected, "mae config: %s:3:14: model.image_size = 64 is not", path);
  FILE *pipe = popen(command, "r");
  ck_assert_ptr_nonnull(pipe);
  output[fread(output, 1, sizeof output - 1, pipe)] = 0;
  ck_assert_int_eq(WEXITSTATUS(pclose(pipe)), 2);
  unlink(path);
  ck_assert_msg(strstr(output, expected), "%s", output);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("config");
  TCase *tc = tcase_create("options");
  tcase_add_checked_fixture(tc, setup, NULL);
  tcase_add_test(tc, defaults_are_valid_and_in_place);
  tcase_add_loop_test(tc, an_option_changes_itself_alone, 0, OTHERS);
  tcase_add_test(tc, the_list_above_is_complete);
  tcase_add_test(tc, numbers_keep_their_bits);
  tcase_add_test(tc, the_hash_ignores_spelling);
  tcase_add_test(tc, younger_options_at_their_default_are_not_in_the_hash);
  tcase_add_test(tc, presets_are_the_published_sizes);
  tcase_add_loop_test(tc, bad_values_are_refused, 0, sizeof refused / sizeof *refused);
  tcase_add_test(tc, long_values_are_refused_with_a_short_message);
  tcase_add_test(tc, conflicts_are_placed);
  tcase_add_loop_test(tc, conflicts_are_named, 0, sizeof conflicts / sizeof *conflicts);
  tcase_add_test(tc, every_option_is_explained);
  tcase_add_test(tc, every_choice_is_read_and_explained);
  tcase_add_test(tc, choices_have_their_consequences);
  tcase_add_test(tc, edit_distances);
  tcase_add_test(tc, the_word_that_was_meant_is_suggested);
  tcase_add_test(tc, a_path_that_is_not_read_is_told);
  tcase_add_loop_test(tc, scales_are_valid, 0, 3);
  tcase_add_loop_test(tc, command_lines, 0, sizeof commands / sizeof *commands);
  suite_add_tcase(suite, tc);
  tc = tcase_create("files");
  tcase_add_checked_fixture(tc, make_folder, remove_folder);
  tcase_add_test(tc, a_dump_reads_back_to_the_same_bytes);
  tcase_add_test(tc, messages_begin_with_the_origin);
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
