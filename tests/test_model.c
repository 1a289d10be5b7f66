/* What holds a model together around its mathematics: token maps, memory, shards and ranks, the
 * training step, and the work it is credited with. */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>

#include "mae/train/memory.h"
#include "mae/train/step.h"
#include "tests/suite.h"
#include "tests/tiny.h"

/* Allocations that the code under test asks for itself, told from the matrix library's by the
 * caller's address: the test program is linked with the former and loads the latter. The sanitizers
 * bring allocators of their own, so there the count stays zero and only device memory is watched.
 */
static atomic_size_t allocations;

#ifndef MAEBENCH_SANITIZED
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern char __executable_start, etext;

static void count_allocation(const char *caller) {
  if (caller >= &__executable_start && caller < &etext) atomic_fetch_add(&allocations, 1);
}

void *malloc(size_t bytes) {
  count_allocation(__builtin_return_address(0));
  return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size) {
  count_allocation(__builtin_return_address(0));
  return __libc_calloc(count, size);
}

void *realloc(void *old, size_t bytes) {
  count_allocation(__builtin_return_address(0));
  return __libc_realloc(old, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes) {
  count_allocation(__builtin_return_address(0));
  *out = __libc_memalign(alignment, bytes);
  return *out ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  count_allocation(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
#endif

/* A device whose allocations are counted, and fail from a chosen one on. */
static struct {
  const Kernels *inner;
  Kernels table;
  size_t bytes;
  int calls, fail_at; /* fail_at 0: never */
} counter;

static void *counting_alloc(Device *d, size_t bytes) {
  counter.calls++;
  if (counter.fail_at && counter.calls >= counter.fail_at) return NULL;
  counter.bytes += bytes;
  return counter.inner->alloc(d, bytes);
}

static void count_device_memory(Device *d) {
  if (d->kernels != &counter.table) counter.inner = d->kernels;
  counter.table = *counter.inner;
  counter.table.alloc = counting_alloc;
  counter.bytes = 0;
  counter.calls = counter.fail_at = 0;
  d->kernels = &counter.table;
}

START_TEST(work_per_image_is_the_published_one) {
  static const struct {
    const char *decoder, *ratio;
    double gflops;
  } cases[] = {{"384x12x6", "0.75", 53.6}, {"512x8x16", "0.75", 58.1}, {"384x12x6", "0.5", 79.5},
               {"512x8x16", "0.5", 84.1},  {"384x12x6", "0.9", 37.9},  {"512x8x16", "0.9", 42.4}};
  char settings[256];
  snprintf(settings, sizeof settings,
           "model.image_size=224 model.patch_size=16 model.encoder=vit_base model.decoder=%s "
           "train.mask_ratio=%s",
           cases[_i].decoder, cases[_i].ratio);
  Config c = tiny_config(settings);
  /* The published numbers are of steps that predict every patch. */
  tiny_set(&c, "train.loss=all");
  double whole = model_gflops_per_image(&c, true), forward = model_gflops_per_image(&c, false);
  ck_assert_double_eq_tol(whole, cases[_i].gflops, 0.05);
  ck_assert_double_eq_tol(whole, 3 * forward, 0.002 * cases[_i].gflops);
  /* Of the others (the class token too) only the hidden ones go through the last projection, MLP
   * and prediction. */
  double w = c.model.decoder.width, left_out = config_kept(&c) + 1;
  double saved = 2e-9 * 3 * left_out * (9 * w * w + 768 * w);
  double decoder = model_gflops_decoder_per_image(&c);
  tiny_set(&c, "train.loss=masked");
  ck_assert_double_eq_tol(model_gflops_per_image(&c, true), whole - saved, 1e-9 * whole);
  ck_assert_double_eq_tol(model_gflops_decoder_per_image(&c), decoder - saved, 1e-9 * whole);
  ck_assert_double_eq(model_gflops_per_image(&c, false), forward);
}
END_TEST

START_TEST(maps_put_every_token_in_its_place) {
  bool class_token = _i & 1, symmetric = _i & 2;
  char settings[128];
  snprintf(settings, sizeof settings, "model.class_token=%s model.encoder_mask_tokens=%s",
           class_token ? "true" : "false", symmetric ? "true" : "false");
  Config c = tiny_config(settings);
  ck_assert_int_eq(config_kept(&c), 4);
  const int32_t visible[4] = {9, 0, 15, 2};
  int extra = class_token, seen = encoder_tokens(&c, config_kept(&c)), all = decoder_tokens(&c);
  ck_assert_int_eq(all, extra + 16);
  ck_assert_int_eq(seen, symmetric ? extra + 16 : extra + 4);
  int32_t source[2][17], position[2][17], token_at[2][17];
  encoder_map(source[0], position[0], token_at[0], &c, visible, config_kept(&c));
  decoder_map(source[1], position[1], token_at[1], &c, visible, config_kept(&c));

  for (int p = 0; p < all; p++) {
    int shown = -1;
    for (int i = 0; i < 4; i++)
      if (visible[i] == p - extra) shown = i;
    int t = token_at[0][p]; /* the encoder's token at this position */
    if (p < extra) {
      ck_assert_int_eq(t, 0);
      ck_assert_int_eq(source[0][t], TOKEN_CLASS);
    } else if (shown >= 0) {
      ck_assert_int_eq(source[0][t], shown);
    } else if (symmetric) {
      ck_assert_int_eq(source[0][t], TOKEN_MASK);
    } else {
      ck_assert_int_eq(t, -1);
    }
    if (t >= 0) ck_assert_int_eq(position[0][t], p);
    /* The decoder's token there is the encoder's, or the mask token. */
    ck_assert_int_eq(token_at[1][p], p);
    ck_assert_int_eq(position[1][p], p);
    ck_assert_int_eq(source[1][p], t >= 0 ? t : TOKEN_MASK);
  }
}
END_TEST

static const char *const memory_settings[] = {
    "", "train.recompute=true", "train.shards=2 train.accumulate=2",
    "train.precision=bf16 run.emulate=true", "model.encoder_mask_tokens=true eval.batch=2"};

START_TEST(planned_memory_is_what_is_allocated) {
  bool trains = _i % 2;
  Config c = tiny_config(memory_settings[_i / 2]);
  Device *device = tiny_device(&c);
  count_device_memory(device);
  Model model;
  BatchBuffers input;
  Error e = {0};
  ck_assert_msg(model_create(&model, &c, device, trains, &e), "%s", e.message);
  ck_assert(
      batch_create(&input, &c, device, trains ? c.train.batch : model.batch, config_kept(&c), &e));
  ck_assert_uint_eq(model_memory(&c, trains).total, counter.bytes);
  batch_destroy(&input);
  model_destroy(&model);
  device->kernels->close(device);
}
END_TEST

START_TEST(vit_base_fits) {
  Config c = tiny_config("model.image_size=224 model.patch_size=16 model.encoder=vit_base "
                         "model.decoder=384x12x6 train.batch=8 train.shards=2");
  size_t total = model_memory(&c, true).total;
  ck_assert_uint_lt(total, (size_t)5 << 30);
  c.train.recompute = true;
  ck_assert_uint_lt(model_memory(&c, true).activations, total / 8);
  /* Evaluation keeps one layer's buffers. */
  ModelMemory evaluation = model_memory(&c, false);
  ck_assert_uint_eq(evaluation.gradients + evaluation.moments, 0);
  ck_assert_uint_lt(evaluation.activations, (size_t)100 << 20);
}
END_TEST

/* 256 images of the T4's model at once on one card of 16 GB, of which 14.5 GiB can be used. */
START_TEST(batch_256_fits_a_t4) {
  Config c = tiny_config("model.image_size=224 model.patch_size=16 model.encoder=vit_base "
                         "model.decoder=384x12x6 train.batch=256 train.precision=fp16 "
                         "train.recompute=true run.device=cuda eval.batch=64");
  MemoryPlan plan = memory_plan(&c, NULL);
  ck_assert_uint_eq(plan.total, plan.model.total + plan.input + plan.evaluation + plan.images +
                                    plan.own + plan.later);
  ck_assert_uint_lt(plan.total, (size_t)14848 << 20);
  ck_assert_uint_gt(plan.input, (size_t)256 * 224 * 224 * 3);
  ck_assert_uint_gt(plan.own, (size_t)32 << 20);
  size_t with = plan.model.activations;
  c.train.recompute = false;
  ck_assert_uint_gt(memory_plan(&c, NULL).model.activations, with + with / 3);
}
END_TEST

START_TEST(failed_allocations_are_errors) {
  Config c = tiny_config("train.shards=2");
  Device *device = tiny_device(&c);
  Error e = {0};
  int calls = 1;
  for (int i = 1; i <= calls; i++) {
    Model model;
    count_device_memory(device);
    counter.fail_at = i;
    ck_assert(!model_create(&model, &c, device, true, &e));
    ck_assert_int_eq(e.code, EXIT_DEVICE);
    ck_assert_msg(strstr(e.message, "out of memory") && strstr(e.message, "MiB"), "%s", e.message);
    counter.fail_at = 0;
    counter.calls = 0;
    ck_assert(model_create(&model, &c, device, true, &e));
    calls = counter.calls;
    counter.fail_at = calls + 1; /* step_create's first, second and third */
    for (int k = 0; k < 3; k++, counter.fail_at++) {
      TrainStep step;
      float rate = 0;
      counter.calls = calls;
      ck_assert(!step_create(&step, &model, 0, 2, &rate, 1, &e));
      ck_assert_int_eq(e.code, EXIT_DEVICE);
    }
    model_destroy(&model);
  }
  ck_assert_int_ge(calls, 5);
  device->kernels->close(device);
}
END_TEST

/* The evaluation model works in place and in shared buffers; its predictions are the same bits. */
START_TEST(evaluation_predicts_the_same_bits) {
  const char *settings = _i ? "train.precision=bf16 run.emulate=true" : "";
  float *pred[2];
  size_t count = 0;
  for (int trains = 0; trains < 2; trains++) {
    Tiny *t = tiny_open(settings, trains);
    ck_assert_int_eq(t->model.batch, 4);
    Batch batch = batch_view(&t->input, 0, 4);
    model_forward(&t->model, &batch);
    count = 4 * (size_t)decoder_tokens(&t->config) * 12;
    pred[trains] = tiny_download(t, t->model.pred, count);
    tiny_close(t);
  }
  ck_assert(!memcmp(pred[0], pred[1], count * sizeof(float)));
  free(pred[0]);
  free(pred[1]);
}
END_TEST

static void open_step(TrainStep *s, Tiny *t, int first_shard, int shards) {
  static const float rates[] = {1e-3f, 2e-3f, 3e-3f, 3e-3f, 3e-3f, 3e-3f, 3e-3f, 3e-3f};
  Error e = {0};
  bool ok = step_create(s, &t->model, first_shard, shards, rates, sizeof rates / sizeof *rates, &e);
  ck_assert_msg(ok, "%s", e.message);
  size_t pixels = (size_t)t->config.model.image_size * (size_t)t->config.model.image_size * 3;
  size_t first = (size_t)s->first_image;
  batch_set_images(step_input(s), t->images + first * pixels, s->images);
  batch_set_masks(step_input(s), t->visible + first * (size_t)config_kept(&t->config),
                  t->masked + first * (size_t)config_patches(&t->config), s->images);
}

/* Runs steps and returns the final parameters; the caller frees them. */
static float *train(const char *settings, int steps, double *loss, StepState *state) {
  Tiny *t = tiny_open(settings, true);
  TrainStep s;
  Error e = {0};
  open_step(&s, t, 0, t->config.train.shards);
  for (int i = 0; i < steps; i++) step_run(&s);
  ck_assert_msg(step_result(&s, 0, state, loss, &e), "%s", e.message);
  float *params = tiny_download(t, t->model.params, t->model.table.total);
  step_destroy(&s);
  tiny_close(t);
  return params;
}

static double relative_difference(const float *a, const float *b, size_t count) {
  double error = 0, size = 0;
  for (size_t i = 0; i < count; i++) {
    error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    size += (double)b[i] * b[i];
  }
  return sqrt(error / size);
}

/* Shards and micro-batches split the same sum. */
START_TEST(splitting_a_step_changes_rounding_only) {
  static const char *const split[] = {
      "train.batch=8 train.shards=2", "train.batch=8 train.accumulate=4",
      "train.batch=8 train.shards=2 train.accumulate=2 train.loss=all"};
  double loss[2];
  StepState state[2];
  char whole[64];
  snprintf(whole, sizeof whole, "train.batch=8 train.loss=%s", _i == 2 ? "all" : "masked");
  Config c = tiny_config(whole);
  ParamTable table;
  Error e;
  ck_assert(params_build(&table, &c, &e));
  float *a = train(split[_i], 1, &loss[0], &state[0]);
  float *b = train(whole, 1, &loss[1], &state[1]);
  ck_assert_double_eq_tol(loss[0], loss[1], 1e-6 * loss[1]);
  ck_assert_double_eq_tol(state[0].grad_norm, state[1].grad_norm, 1e-5 * state[1].grad_norm);
  ck_assert_double_le(relative_difference(a, b, table.total), 1e-4);
  params_free(&table);
  free(a);
  free(b);
}
END_TEST

/* Two ranks in one process, taking turns: what the other rank computed is brought by exchange. */
typedef struct Peer {
  Tiny *tiny;
  TrainStep step;
  float *grads, *losses; /* what this rank will bring to the other */
  struct Peer *other;
} Peer;

static void bring(void *user, Model *m) {
  Peer *self = user;
  int other = self->other->step.first_shard, half = self->tiny->config.train.batch / 2;
  const Kernels *k = self->tiny->device->kernels;
  size_t count = m->table.trainable;
  float *sum = tiny_download(self->tiny, m->grads[0], count);
  for (size_t i = 0; i < count; i++) sum[i] += self->other->grads[i];
  k->upload(self->tiny->device, m->grads[0], sum, count * sizeof *sum);
  free(sum);
  k->upload(self->tiny->device, m->image_loss + other * half, self->other->losses,
            (size_t)half * sizeof(float));
}

/* What the rank brings, computed once before the step proper; its losses are then wiped out, so
 * that the step must put them in their places itself. */
static void compute_half(Peer *p) {
  Model *m = &p->tiny->model;
  Batch batch = batch_view_training(step_input(&p->step), 0, p->step.images);
  int patches = config_patches(&p->tiny->config), hidden = patches - config_kept(&p->tiny->config);
  float factor = (float)(1.0 / ((double)p->tiny->config.train.batch * hidden));
  model_forward(m, &batch);
  model_loss(m, &batch, p->step.first_image, factor, p->step.state, true);
  model_backward(m, &batch, 0, false);
  free(p->grads);
  free(p->losses);
  p->grads = tiny_download(p->tiny, m->grads[0], m->table.trainable);
  p->losses = tiny_download(p->tiny, m->image_loss + p->step.first_image, (size_t)p->step.images);
  p->tiny->device->kernels->zero(p->tiny->device, m->image_loss,
                                 (size_t)p->tiny->config.train.batch * sizeof *p->losses);
}

START_TEST(two_ranks_are_one_process_bit_for_bit) {
  enum { STEPS = 3 };
  double loss[3];
  StepState state[3];
  float *alone = train("train.batch=8 train.shards=2", STEPS, &loss[2], &state[2]);
  Peer peers[2] = {{.other = &peers[1]}, {.other = &peers[0]}};
  for (int r = 0; r < 2; r++) {
    peers[r].tiny = tiny_open("train.batch=8 train.shards=2 train.ranks=2", true);
    open_step(&peers[r].step, peers[r].tiny, r, 1);
    peers[r].step.exchange = (GradientExchange){.run = bring, .user = &peers[r]};
  }
  for (int i = 0; i < STEPS; i++) {
    for (int r = 0; r < 2; r++) compute_half(&peers[r]);
    for (int r = 0; r < 2; r++) step_run(&peers[r].step);
  }
  for (int r = 0; r < 2; r++) {
    Error e = {0};
    size_t total = peers[r].tiny->model.table.total;
    ck_assert(step_result(&peers[r].step, 0, &state[r], &loss[r], &e));
    float *params = tiny_download(peers[r].tiny, peers[r].tiny->model.params, total);
    ck_assert(!memcmp(params, alone, total * sizeof *params));
    ck_assert(!memcmp(&state[r], &state[2], sizeof state[r]));
    ck_assert(loss[r] == loss[2]);
    free(params);
    free(peers[r].grads);
    free(peers[r].losses);
    step_destroy(&peers[r].step);
    tiny_close(peers[r].tiny);
  }
  free(alone);
}
END_TEST

START_TEST(steps_learn_and_leave_the_rest_alone) {
  static const char *const settings[] = {"", "train.precision=bf16 run.emulate=true",
                                         "train.precision=fp16 run.emulate=true",
                                         "train.clip=0.5 train.recompute=true"};
  Tiny *t = tiny_open(settings[_i], true);
  TrainStep s;
  StepState state;
  Error e = {0};
  double first, last;
  open_step(&s, t, 0, 1);
  step_run(&s);
  ck_assert(step_result(&s, 0, &state, &first, &e));
  ck_assert_uint_eq(state.step, 1);
  for (int i = 1; i < 8; i++) step_run(&s);
  ck_assert(step_result(&s, 0, &state, &last, &e));
  ck_assert_uint_eq(state.step, 8);
  ck_assert_uint_eq(state.updates, 8);
  ck_assert_msg(last < 0.95 * first, "loss went from %g to %g", first, last);

  /* Only trainable parameters moved, all of them did, and padding is still zero. */
  const ParamTable *table = &t->model.table;
  float *params = tiny_download(t, t->model.params, table->total);
  for (int i = 0; i < table->count; i++) {
    const Param *p = &table->list[i];
    bool same = !memcmp(params + p->offset, t->params + p->offset, p->count * sizeof *params);
    ck_assert_msg(same != p->trainable, "%s", p->name);
    memset(params + p->offset, 0, p->count * sizeof *params);
  }
  for (size_t i = 0; i < table->total; i++) ck_assert_float_eq(params[i], 0);
  free(params);
  step_destroy(&s);
  tiny_close(t);
}
END_TEST

/* Ready-made loss scale of fp16: gradients carry it, the gradient norm and the update do not. */
START_TEST(loss_scale_cancels) {
  StepState state[2];
  double loss[2];
  float *a = train("train.precision=fp16 run.emulate=true", 1, &loss[0], &state[0]);
  float *b = train("", 1, &loss[1], &state[1]);
  ck_assert_float_eq(state[0].loss_scale, 65536);
  ck_assert_double_eq_tol(state[0].grad_norm, state[1].grad_norm, 0.01 * state[1].grad_norm);
  ck_assert_double_eq_tol(loss[0], loss[1], 0.01 * loss[1]);
  free(a);
  free(b);
}
END_TEST

/* Once the buffers have grown to their sizes, a step takes nothing from the device or the heap. */
START_TEST(steps_allocate_nothing) {
  static const char *const settings[] = {"train.shards=2",
                                         "train.recompute=true train.accumulate=2",
                                         "train.precision=bf16 run.emulate=true"};
  Tiny *t = tiny_open(settings[_i], true);
  TrainStep s;
  StepState state;
  Error e = {0};
  double loss;
  open_step(&s, t, 0, t->config.train.shards);
#ifndef MAEBENCH_SANITIZED
  ck_assert_uint_gt(allocations, 0);
#endif
  for (int i = 0; i < 2; i++) step_run(&s);
  count_device_memory(t->device);
  size_t before = allocations;
  batch_set_images(step_input(&s), t->images, 4);
  batch_set_masks(step_input(&s), t->visible, t->masked, 4);
  step_run(&s);
  bool ok = step_result(&s, 0, &state, &loss, &e);
  size_t after = allocations; /* the assertions below allocate */
  ck_assert_msg(ok, "%s", e.message);
  ck_assert_uint_eq(after, before);
  ck_assert_int_eq(counter.calls, 0);
  step_destroy(&s);
  tiny_close(t);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("model");
  tcase_set_timeout(tc, 120);
  tcase_add_loop_test(tc, work_per_image_is_the_published_one, 0, 6);
  tcase_add_loop_test(tc, maps_put_every_token_in_its_place, 0, 4);
  tcase_add_loop_test(tc, planned_memory_is_what_is_allocated, 0, 10);
  tcase_add_test(tc, vit_base_fits);
  tcase_add_test(tc, batch_256_fits_a_t4);
  tcase_add_test(tc, failed_allocations_are_errors);
  tcase_add_loop_test(tc, evaluation_predicts_the_same_bits, 0, 2);
  tcase_add_loop_test(tc, splitting_a_step_changes_rounding_only, 0, 3);
  tcase_add_test(tc, two_ranks_are_one_process_bit_for_bit);
  tcase_add_loop_test(tc, steps_learn_and_leave_the_rest_alone, 0, 4);
  tcase_add_test(tc, loss_scale_cancels);
  tcase_add_loop_test(tc, steps_allocate_nothing, 0, 3);
  Suite *suite = suite_create("model");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
