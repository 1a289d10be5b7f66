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
 * multiprocessors, and of the library's two answers the first has tiles of 128 x 128, the second of
 * 128 x 64. */
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

int main(void) {
  Suite *suite = suite_create("simulated device");
  TCase *tests = tcase_create("device"), *queues = tcase_create("queues");
  tcase_set_timeout(tests, 300);
  tcase_add_loop_test(tests, a_model_computes_what_the_cpu_does, 0, CASES);
  tcase_add_loop_test(tests, steps_train_as_the_cpu_does, 0, CASES);
  tcase_add_test(tests, a_recording_refuses_transfers);
  tcase_add_test(tests, products_keep_the_device_busy);
  suite_add_tcase(suite, tests);
  tcase_set_timeout(queues, 300);
  tcase_add_loop_test(queues, recorded_steps_are_plain_steps, 0, SMALL_CASES);
  tcase_add_loop_test(queues, steps_queued_far_ahead_are_the_same_steps, 0, SMALL_CASES);
  tcase_add_loop_test(queues, steps_queued_far_ahead_are_the_same_steps, FP16_CASE, CASES);
  tcase_add_test(queues, large_transfers_arrive);
  suite_add_tcase(suite, queues);
  return suite_run(suite);
}
