/* The CUDA backend against the CPU's, both on this CPU: a whole model's loss, predictions and every
 * gradient, then optimiser steps; recorded steps against plain ones. */
#include <math.h>

#include "mae/train/step.h"
#include "tests/suite.h"
#include "tests/tiny.h"

static float factor_of(const Config *c) {
  int counted = c->train.loss == LOSS_ALL ? config_patches(c) : config_patches(c) - config_kept(c);
  return (float)(1.0 / ((double)c->train.batch * counted));
}

/* As a training step does it. */
static void run_model(Tiny *t, const StepState *state) {
  Batch batch = batch_view_training(&t->input, 0, t->config.train.batch);
  model_forward(&t->model, &batch);
  model_loss(&t->model, &batch, 0, factor_of(&t->config), state, true);
  model_backward(&t->model, &batch, 0, false);
}

/* ||a - b|| / ||b|| */
static double difference(const float *a, const float *b, size_t count) {
  double error = 0, size = 0;
  for (size_t i = 0; i < count; i++) {
    error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    size += (double)b[i] * b[i];
  }
  return size > 0 ? sqrt(error / size) : sqrt(error);
}

static void compare(const Tiny *gpu, const float *on_gpu, const Tiny *cpu, const float *on_cpu,
                    size_t count, double tolerance, const char *what) {
  float *a = tiny_download(gpu, on_gpu, count), *b = tiny_download(cpu, on_cpu, count);
  double d = difference(a, b, count);
  ck_assert_msg(d <= tolerance, "%s: %g apart, allowed are %g", what, d, tolerance);
  free(a);
  free(b);
}

static void open_both(Tiny *pair[2], const char *settings) {
  char text[1024];
  for (int i = 0; i < 2; i++) {
    snprintf(text, sizeof text, "%s run.device=%s", settings, i ? "cpu" : "cuda:0");
    pair[i] = tiny_open(text, true);
  }
}

typedef struct Case {
  const char *settings;
  double
      tolerance; /* of predictions and gradients; weights after some steps may be 5 times as far */
} Case;

/* fp32 sums differ in their order; 16-bit results also where a sum falls on the other side of a
 * rounding. */
static const Case cases[] = {
    {"", 2e-5},
    {"train.norm_pix=true train.loss=all model.pos_embed=learned model.class_token=false", 2e-5},
    {"model.encoder_mask_tokens=true train.recompute=true model.decoder_pos_embed=learned", 2e-5},
    {"train.shards=2 train.accumulate=2 train.clip=0.01", 2e-5},
    /* 50 tokens in the decoder, heads of 32 and 64: the tensor-core kernels. */
    {"model.image_size=28 model.patch_size=4 model.encoder=64x1x2 model.decoder=64x1x1 "
     "train.batch=2",
     2e-5},
    {"model.image_size=28 model.patch_size=4 model.encoder=64x1x2 model.decoder=64x1x1 "
     "train.batch=2 train.precision=bf16",
     2e-2},
    /* The same head size, and so the same kernels, for 13 tokens and for 50 in one recording. */
    {"model.image_size=28 model.patch_size=4 model.encoder=64x1x1 model.decoder=64x1x1 "
     "train.batch=2 train.precision=fp16",
     5e-3},
    {"train.precision=bf16 train.recompute=true", 2e-2},
    {"train.precision=fp16 train.shards=2", 5e-3},
};
enum { CASES = sizeof cases / sizeof *cases, SMALL_CASES = 4, FP16_CASE = CASES - 1 };

START_TEST(a_model_computes_what_the_cpu_does) {
  Tiny *pair[2];
  const Case *c = &cases[_i];
  open_both(pair, c->settings);
  const Config *config = &pair[0]->config;
  if (config->train.shards == 1 && config->train.accumulate == 1) {
    for (int i = 0; i < 2; i++) run_model(pair[i], NULL);
    size_t n = (size_t)config->train.batch, patch = (size_t)config->model.patch_size;
    const Model *gpu = &pair[0]->model, *cpu = &pair[1]->model;
    compare(pair[0], gpu->image_loss, pair[1], cpu->image_loss, n, c->tolerance, "loss");
    for (int i = 0; i < gpu->table.count; i++) {
      const Param *p = &gpu->table.list[i];
      if (p->trainable)
        compare(pair[0], gpu->grads[0] + p->offset, pair[1], cpu->grads[0] + p->offset, p->count,
                c->tolerance, p->name);
    }
    for (int i = 0; i < 2; i++) { /* of every patch */
      Batch batch = batch_view(&pair[i]->input, 0, config->train.batch);
      model_forward(&pair[i]->model, &batch);
    }
    compare(pair[0], gpu->pred, pair[1], cpu->pred,
            n * (size_t)decoder_tokens(config) * 3 * patch * patch, c->tolerance, "predictions");
  }
  tiny_close(pair[0]);
  tiny_close(pair[1]);
}
END_TEST

enum { STEPS = 7 };

static void open_step(TrainStep *step, Tiny *t) {
  const float rates[STEPS] = {1e-4f, 2e-4f, 3e-4f, 2e-4f, 1e-4f, 1e-4f, 1e-4f};
  Error e = {0};
  ck_assert_msg(step_create(step, &t->model, 0, t->config.train.shards, rates, STEPS, &e), "%s",
                e.message);
}

/* Queues step i, whose images are its own. */
static void queue_step(TrainStep *step, Tiny *t, int i) {
  const Config *c = &t->config;
  size_t bytes =
      (size_t)c->train.batch * (size_t)c->model.image_size * (size_t)c->model.image_size * 3;
  for (size_t k = 0; k < bytes; k++)
    t->images[k] = (uint8_t)random_bits(3, STREAM_SHAPES, (uint32_t)i, 0, (uint32_t)k);
  batch_set_images(step_input(step), t->images, c->train.batch);
  batch_set_masks(step_input(step), t->visible, t->masked, c->train.batch);
  step_run(step);
}

static double read_loss(TrainStep *step, int back, StepState *state) {
  Error e = {0};
  double loss = 0;
  ck_assert_msg(step_result(step, back, state, &loss, &e), "%s", e.message);
  ck_assert_uint_eq(state->step, step->queued - (uint64_t)back);
  return loss;
}

/* Steps queued one ahead of the results read. */
static void run_steps(Tiny *t, double *losses, StepState *state) {
  TrainStep step;
  open_step(&step, t);
  for (int i = 0; i <= STEPS; i++) {
    if (i < STEPS) queue_step(&step, t, i);
    if (i > 0) losses[i - 1] = read_loss(&step, i < STEPS, state);
  }
  step_destroy(&step);
}

START_TEST(steps_train_as_the_cpu_does) {
  Tiny *pair[2];
  double losses[2][STEPS];
  StepState state[2];
  const Case *c = &cases[_i];
  open_both(pair, c->settings);
  for (int i = 0; i < 2; i++) run_steps(pair[i], losses[i], &state[i]);
  for (int i = 0; i < STEPS; i++)
    ck_assert_double_eq_tol(losses[0][i], losses[1][i], 5 * c->tolerance * losses[1][i]);
  ck_assert_uint_eq(state[0].updates, state[1].updates);
  ck_assert_uint_eq(state[0].skipped, state[1].skipped);
  ck_assert(state[0].loss_scale == state[1].loss_scale);
  ck_assert(state[0].learning_rate == state[1].learning_rate);
  compare(pair[0], pair[0]->model.params, pair[1], pair[1]->model.params,
          pair[0]->model.table.total, 5 * c->tolerance, "weights");
  tiny_close(pair[0]);
  tiny_close(pair[1]);
}
END_TEST

static void run_plainly(Device *d, Recording **recording, void (*work)(void *user), void *user) {
  (void)d, (void)recording;
  work(user);
}

/* A replayed step is the step that was recorded, with what has changed in device memory since. */
START_TEST(recorded_steps_are_plain_steps) {
  float *params[2];
  size_t total = 0;
  double losses[2][STEPS];
  StepState state[2];
  for (int plain = 0; plain < 2; plain++) {
    char settings[256];
    snprintf(settings, sizeof settings, "%s run.device=cuda:0", cases[_i].settings);
    Tiny *t = tiny_open(settings, true);
    Kernels table = *t->device->kernels;
    const Kernels *own = t->device->kernels;
    table.repeat = run_plainly;
    if (plain) t->device->kernels = &table;
    run_steps(t, losses[plain], &state[plain]);
    total = t->model.table.total;
    params[plain] = tiny_download(t, t->model.params, total);
    t->device->kernels = own;
    tiny_close(t);
  }
  ck_assert(!memcmp(losses[0], losses[1], sizeof losses[0]));
  ck_assert(!memcmp(&state[0], &state[1], sizeof state[0]));
  ck_assert(!memcmp(params[0], params[1], total * sizeof(float)));
  ck_assert(losses[0][STEPS - 1] != losses[0][0]);
  free(params[0]);
  free(params[1]);
}
END_TEST

/* The host may be many steps ahead of the device before it asks for a result: what it brings for a
 * step must not reach the ones that still wait. Only the last two results can be asked for then. */
START_TEST(steps_queued_far_ahead_are_the_same_steps) {
  float *params[2];
  size_t bytes = 0;
  double losses[2][STEPS];
  StepState states[2][STEPS];
  for (int far = 0; far < 2; far++) {
    char settings[256];
    snprintf(settings, sizeof settings, "%s run.device=cuda:0", cases[_i].settings);
    Tiny *t = tiny_open(settings, true);
    TrainStep step;
    open_step(&step, t);
    for (int i = 0; i < STEPS; i++) {
      queue_step(&step, t, i);
      if (!far) losses[far][i] = read_loss(&step, 0, &states[far][i]);
    }
    for (int back = 1; far && back >= 0; back--)
      losses[far][STEPS - 1 - back] = read_loss(&step, back, &states[far][STEPS - 1 - back]);
    step_destroy(&step);
    bytes = t->model.table.total * sizeof(float);
    params[far] = tiny_download(t, t->model.params, t->model.table.total);
    tiny_close(t);
  }
  for (int i = STEPS - 2; i < STEPS; i++) {
    ck_assert(!memcmp(&losses[0][i], &losses[1][i], sizeof losses[0][i]));
    ck_assert(!memcmp(&states[0][i], &states[1][i], sizeof states[0][i]));
  }
  ck_assert(losses[0][STEPS - 1] != losses[0][STEPS - 2]);
  ck_assert(!memcmp(params[0], params[1], bytes));
  free(params[0]);
  free(params[1]);
}
END_TEST

/* What is recorded may not talk to the host: said at the first attempt, not found out later. */
static void upload_something(void *user) {
  Tiny *t = user;
  t->device->kernels->upload(t->device, t->model.params, t->params, sizeof(float));
}

START_TEST(a_recording_refuses_transfers) {
  Tiny *t = tiny_open("run.device=cuda:0", false);
  const Kernels *k = t->device->kernels;
  Recording *recording = NULL;
  char message[512] = "";
  k->repeat(t->device, &recording, upload_something, t);
  ck_assert(k->synchronize(t->device, message, sizeof message));
  k->repeat(t->device, &recording, upload_something, t);
  ck_assert(!k->synchronize(t->device, message, sizeof message));
  ck_assert_msg(strstr(message, "upload while recording") != NULL, "%s", message);
  k->forget(t->device, &recording);
  batch_destroy(&t->input);
  model_destroy(&t->model);
  k->close(t->device);
  free(t->params);
  free(t->images);
  free(t->masked);
  free(t->visible);
  free(t);
}
END_TEST

typedef struct Marked {
  Device *device;
  void *memory;
} Marked;

static void mark_something(void *user) {
  Marked *m = user;
  m->device->kernels->zero(m->device, m->memory, 64);
  m->device->kernels->mark(m->device, DEVICE_MARKS - 1);
}

/* A mark that was put in a recording is none outside of it until it is put again. */
START_TEST(marks_of_a_recording_stay_in_it) {
  char message[512] = "";
  Device *device = backend_open("cuda:0", 1, false, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
  const Kernels *k = device->kernels;
  Marked marked = {device, k->alloc(device, 64)};
  Recording *recording = NULL;
  k->repeat(device, &recording, mark_something, &marked);
  k->wait_mark(device, DEVICE_MARKS - 1);
  k->repeat(device, &recording, mark_something, &marked);
  k->mark(device, DEVICE_MARKS - 1);
  k->wait_mark(device, DEVICE_MARKS - 1);
  ck_assert_msg(k->synchronize(device, message, sizeof message), "%s", message);
  k->forget(device, &recording);
  k->repeat(device, &recording, mark_something, &marked);
  k->repeat(device, &recording, mark_something, &marked);
  k->wait_mark(device, DEVICE_MARKS - 1);
  ck_assert(!k->synchronize(device, message, sizeof message));
  ck_assert_msg(strstr(message, "last recorded in a capturing stream") != NULL, "%s", message);
  k->forget(device, &recording);
  k->close(device);
}
END_TEST

/* More than the staging memory holds, there and back, in every queue. */
START_TEST(large_transfers_arrive) {
  size_t count = (size_t)6 << 20;
  char message[512] = "";
  Device *device = backend_open("cuda:0", 1, false, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
  const Kernels *k = device->kernels;
  uint32_t *host = malloc(count * sizeof *host), *back = malloc(count * sizeof *back);
  uint32_t *there[QUEUES];
  for (int q = 0; q < QUEUES; q++) {
    there[q] = k->alloc(device, count * sizeof *host);
    ck_assert_ptr_nonnull(there[q]);
    for (size_t i = 0; i < count; i++) host[i] = (uint32_t)(i * 2654435761u) + (uint32_t)q;
    k->use_queue(device, (Queue)q);
    k->upload(device, there[q], host, count * sizeof *host);
    memset(host, 0, count * sizeof *host); /* the source is free at once */
  }
  for (int q = 0; q < QUEUES; q++) {
    k->use_queue(device, (Queue)q);
    k->download(device, back, there[q], count * sizeof *back);
    for (size_t i = 0; i < count; i++)
      ck_assert_uint_eq(back[i], (uint32_t)(i * 2654435761u) + (uint32_t)q);
  }
  free(host);
  free(back);
  k->close(device);
}
END_TEST

static void assert_product(Device *device, const char *expected) {
  DeviceInfo info;
  device->kernels->info(device, &info);
  ck_assert_msg(strstr(info.features, expected) != NULL, "no '%s' in: %s", expected, info.features);
}

/* Which algorithm a product takes, as the provenance tells it. A simulated device has 40
 * multiprocessors, and of the library's answers the first has tiles of 128 x 128, the second of
 * 128 x 64, the others larger ones. */
START_TEST(products_keep_the_device_busy) {
  char message[512] = "";
  Device *device = backend_open("cuda:0", 1, false, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
  const Kernels *k = device->kernels;
  k->linear_prepare(device, DTYPE_F16, DTYPE_F16, 50432, 384, 384, true);
  k->linear_prepare(device, DTYPE_F16, DTYPE_F16, 50432, 512, 512, true);
  /* Many tiles: the first answer. 9 tiles and 18: the first answer with a split sum. 16 and 32: the
   * second answer. */
  assert_product(device, " 384x50432x384tn:66.20.5.1.0.0.0.0/1/29.55");
  assert_product(device, " 384x384x50432nt:66.20.5.4.0.0.0.0/0/0.90");
  assert_product(device, " 512x512x50432nt:67.18.5.1.0.0.0.0/2/0.80");
  /* What cannot be split any further: parts of 1024 rows. */
  enum { ROWS = 4096, WIDTH = 16 };
  static float ones[ROWS * WIDTH], sums[WIDTH * WIDTH];
  for (int i = 0; i < ROWS * WIDTH; i++) ones[i] = 1;
  float *x = k->alloc(device, sizeof ones), *d_w = k->alloc(device, sizeof sums);
  ck_assert(x && d_w);
  k->upload(device, x, ones, sizeof ones);
  k->linear_backward_weight(device, d_w, NULL, x, x, DTYPE_F32, ROWS, WIDTH, WIDTH, false);
  k->download(device, sums, d_w, sizeof sums);
  assert_product(device, " 16x16x4096nt:66.20.5.4.0.0.0.0/0/0.10");
  for (int i = 0; i < WIDTH * WIDTH; i++) ck_assert(sums[i] == ROWS);
  k->close(device);
}
END_TEST

/* Tables of products ---------------------------------------------------------------------------*/

enum { TABLE_ROWS = 40, TABLE_IN = 48, TABLE_OUT = 24 };

/* One layer's products, forward and back, and whatever a test looks at. */
typedef struct Layer {
  float y[TABLE_ROWS * TABLE_OUT], d_x[TABLE_ROWS * TABLE_IN], d_w[TABLE_IN * TABLE_OUT];
  char features[4096], message[512];
} Layer;

static Device *open_gpu(void) {
  char message[512] = "";
  Device *device = backend_open("cuda:0", 1, false, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
  return device;
}

static float *upload_noise(Device *device, size_t count, uint32_t stream) {
  float *there = device->kernels->alloc(device, count * sizeof(float));
  float *host = malloc(count * sizeof *host);
  for (size_t i = 0; i < count; i++)
    host[i] = random_uniform(9, STREAM_INIT, stream, 0, (uint32_t)i) - 0.5f;
  device->kernels->upload(device, there, host, count * sizeof *host);
  free(host);
  return there;
}

/* With the source rows `off` floats behind where a pack of 16 bytes may begin. */
static bool run_layer(Layer *layer, Device *device, size_t off) {
  const Kernels *k = device->kernels;
  float *x = upload_noise(device, TABLE_ROWS * TABLE_IN + 4, 1) + off;
  float *w = upload_noise(device, TABLE_IN * TABLE_OUT, 2);
  float *d_y = upload_noise(device, TABLE_ROWS * TABLE_OUT, 3);
  float *y = k->alloc(device, sizeof layer->y), *d_x = k->alloc(device, sizeof layer->d_x);
  float *d_w = k->alloc(device, sizeof layer->d_w);
  *layer = (Layer){.message = ""};
  k->linear_forward(device, y, DTYPE_F32, x, w, d_y, DTYPE_F32, TABLE_ROWS, TABLE_IN, TABLE_OUT);
  k->linear_backward_input(device, d_x, d_y, w, DTYPE_F32, TABLE_ROWS, TABLE_IN, TABLE_OUT);
  for (int times = 0; times < 2; times++)
    k->linear_backward_weight(device, d_w, NULL, d_y, x, DTYPE_F32, TABLE_ROWS, TABLE_IN, TABLE_OUT,
                              times > 0);
  k->download(device, layer->y, y, sizeof layer->y);
  k->download(device, layer->d_x, d_x, sizeof layer->d_x);
  k->download(device, layer->d_w, d_w, sizeof layer->d_w);
  DeviceInfo info;
  k->info(device, &info);
  snprintf(layer->features, sizeof layer->features, "%s", info.features);
  return k->synchronize(device, layer->message, sizeof layer->message);
}

/* A table, and what its products gave while it was made. */
static char *make_table(Layer *layer, size_t off) {
  char message[256], *text = NULL;
  size_t size;
  Device *device = open_gpu();
  ck_assert(device->kernels->products_time(device, message, sizeof message));
  ck_assert_msg(run_layer(layer, device, off), "%s", layer->message);
  FILE *out = open_memstream(&text, &size);
  device->kernels->products_write(device, out);
  fclose(out);
  device->kernels->close(device);
  return text;
}

/* Reads "t.txt"; the message of a refusal, or of a product that could not be computed. */
static bool follow_table(Layer *layer, const char *text) {
  Device *device = open_gpu();
  char message[512];
  bool ok =
      device->kernels->products_read(device, "t.txt", text, strlen(text), message, sizeof message);
  if (ok)
    ok = run_layer(layer, device, 0);
  else
    snprintf(layer->message, sizeof layer->message, "%s", message);
  device->kernels->close(device);
  return ok;
}

static bool same_results(const Layer *a, const Layer *b) {
  return !memcmp(a->y, b->y, sizeof a->y) && !memcmp(a->d_x, b->d_x, sizeof a->d_x) &&
         !memcmp(a->d_w, b->d_w, sizeof a->d_w);
}

/* `text` with every `from` made `to`; to be freed. */
static char *replaced(const char *text, const char *from, const char *to) {
  char *out = calloc(1, 16384), *end = out;
  ck_assert_msg(strstr(text, from) != NULL, "no '%s' in %s", from, text);
  for (const char *at; (at = strstr(text, from)); text = at + strlen(from))
    end += sprintf(end, "%.*s%s", (int)(at - text), text, to);
  strcpy(end, text);
  return out;
}

/* The simulated library's algorithms: 66 is what the rule takes, 70 the fastest that gives the same
 * bits twice, 72 faster and not so. */
START_TEST(a_table_gives_the_bits_of_its_making) {
  Layer made, followed, ruled, other;
  char *table = make_table(&made, 0);
  static const char best[] =
      "id=70 tile=24 stages=4 split=1 swizzle=1 custom=3 inner=2 cluster=5 reduction=0 #";
  ck_assert_msg(strstr(table, best) != NULL, "%s", table);
  ck_assert_ptr_nonnull(strstr(table, "\n24x40x48 tn fp32 fp32 16 bias: id=70"));
  ck_assert_ptr_nonnull(strstr(table, "\n48x24x40 nt fp32 fp32 16 add: id=70"));
  ck_assert_ptr_null(strstr(table, "id=72"));
  ck_assert_ptr_nonnull(strstr(table, "\nend = 4\n"));
  ck_assert_msg(follow_table(&followed, table), "%s", followed.message);
  ck_assert_ptr_nonnull(strstr(followed.features, " 24x40x48tn:70.24.4.1.1.3.2.5/table/"));
  ck_assert(same_results(&made, &followed));
  Device *device = open_gpu();
  ck_assert(run_layer(&ruled, device, 0));
  device->kernels->close(device);
  ck_assert(!same_results(&made, &ruled));
  /* Every word counts. */
  static const char *const words[][2] = {
      {"id=70 tile=24", "id=66 tile=20"},
      {"stages=4", "stages=3"},
      {"swizzle=1", "swizzle=0"},
      {"custom=3", "custom=0"},
      {"inner=2", "inner=1"},
      {"cluster=5", "cluster=0"},
      {"split=1 swizzle=1 custom=3 inner=2 cluster=5 reduction=0",
       "split=2 swizzle=1 custom=3 inner=2 cluster=5 reduction=2"}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    char *changed = replaced(table, words[i][0], words[i][1]);
    ck_assert_msg(follow_table(&other, changed), "%s: %s", words[i][1], other.message);
    ck_assert_msg(!same_results(&made, &other), "%s makes no difference", words[i][1]);
    free(changed);
  }
  free(table);
}
END_TEST

/* Where addresses promise less, fewer algorithms are there; the rule's is not left for one that is
 * not faster. */
START_TEST(a_table_keeps_the_rules_choice_where_it_is_best) {
  Layer made;
  char *table = make_table(&made, 1);
  ck_assert_ptr_nonnull(strstr(table, "\n24x40x48 tn fp32 fp32 4 bias: id=66 tile=20"));
  ck_assert_ptr_nonnull(strstr(table, "\n48x40x24 nn fp32 fp32 16 plain: id=70"));
  free(table);
}
END_TEST

/* The first row is the table's sixth line. */
#define ROW "24x40x48 tn fp32 fp32 16 bias: id=70"
static const struct {
  const char *from, *to, *message;
} damages[] = {
    {"maebench products 1", "maebench products 2", "t.txt:1: expected 'maebench products 1'"},
    {"device = simulated", "device = another",
     "t.txt:2: the table was made with device = another GPU, and here it is simulated GPU"},
    {"capability = 8.0", "capability = 9.0",
     "t.txt:3: the table was made with capability = 9.0, and here it is 8.0"},
    {"multiprocessors = 40", "multiprocessors = 132", "t.txt:4: the table was made with"},
    {"cuBLASLt 13.0.0", "cuBLASLt 12.8.4",
     "t.txt:5: the table was made with library = cuBLASLt 12.8.4, and here it is cuBLASLt 13.0.0"},
    {"library =", "libraries =", "t.txt:5: expected 'library = cuBLASLt 13.0.0'"},
    {ROW, "24x40 tn fp32 fp32 16 bias: id=70", "t.txt:6: expected a product"},
    {ROW, "24x-40x48 tn fp32 fp32 16 bias: id=70", "t.txt:6: expected a product"},
    {ROW, "24x40x48 tx fp32 fp32 16 bias: id=70", "t.txt:6: expected a product"},
    {ROW, "24x40x48 tn fp64 fp32 16 bias: id=70", "t.txt:6: expected a product"},
    {ROW, "24x40x48 tn fp32 fp32 16 gelu: id=70", "t.txt:6: expected a product"},
    {ROW, "24x40x48 tn fp32 fp32 32 bias: id=70", "t.txt:6: expected a product"},
    {ROW, "24x40x48 tn fp32 fp32 16 bias: id=", "t.txt:6: expected a product"},
    {ROW, "24x40x48 tn fp32 fp32 16 bias: id=-1", "t.txt:6: expected a product"},
    {"reduction=0 #", "reduction=0 more #", "t.txt:6: expected a product"},
    {"reduction=0 #", "reduction=1 #", "t.txt:6: this reduction adds in another order"},
    {"48x40x24 nn fp32 fp32 16 plain", "24x40x48 tn fp32 fp32 16 bias",
     "t.txt:7: this product has a row already"},
    {"end = 4", "end = 5", "t.txt:10: rows are missing"},
    {"end = 4\n", "", "t.txt:10: the table is cut short"},
    {"end = 4\n", "end = 4\nmore\n", "t.txt:11: something follows"},
    /* A library of the same version has every algorithm that it had. */
    {ROW, "24x40x48 tn fp32 fp32 16 bias: id=99",
     "t.txt:6: cuBLASLt has no such algorithm for this product"},
};
enum { DAMAGES = sizeof damages / sizeof *damages };

START_TEST(a_damaged_table_is_refused_with_its_line) {
  Layer layer;
  char *table = make_table(&layer, 0);
  for (int i = 0; i < DAMAGES; i++) {
    char *changed = replaced(table, damages[i].from, damages[i].to);
    bool ok = follow_table(&layer, changed);
    ck_assert_msg(!ok && strstr(layer.message, damages[i].message), "%s: %s", damages[i].to,
                  ok ? "taken" : layer.message);
    free(changed);
  }
  free(table);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("simulated device");
  TCase *tests = tcase_create("device"), *queues = tcase_create("queues");
  TCase *products = tcase_create("products");
  tcase_set_timeout(tests, 300);
  tcase_add_loop_test(tests, a_model_computes_what_the_cpu_does, 0, CASES);
  tcase_add_loop_test(tests, steps_train_as_the_cpu_does, 0, CASES);
  tcase_add_test(tests, a_recording_refuses_transfers);
  tcase_add_test(tests, marks_of_a_recording_stay_in_it);
  tcase_add_test(products, products_keep_the_device_busy);
  tcase_add_test(products, a_table_gives_the_bits_of_its_making);
  tcase_add_test(products, a_table_keeps_the_rules_choice_where_it_is_best);
  tcase_add_test(products, a_damaged_table_is_refused_with_its_line);
  suite_add_tcase(suite, products);
  suite_add_tcase(suite, tests);
  tcase_set_timeout(queues, 300);
  tcase_add_loop_test(queues, recorded_steps_are_plain_steps, 0, SMALL_CASES);
  tcase_add_loop_test(queues, steps_queued_far_ahead_are_the_same_steps, 0, SMALL_CASES);
  tcase_add_loop_test(queues, steps_queued_far_ahead_are_the_same_steps, FP16_CASE, CASES);
  tcase_add_test(queues, large_transfers_arrive);
  suite_add_tcase(suite, queues);
  return suite_run(suite);
}
