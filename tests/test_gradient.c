/* The whole model against a plain double-precision statement of it: loss, every prediction, and the
 * gradient of every parameter, for every positional embedding, mask, loss and design variant. */
#include "tests/reference.h"
#include "tests/suite.h"
#include "tests/tiny.h"

static int counted_patches(const Config *c) {
  return c->train.loss == LOSS_ALL ? config_patches(c) : config_patches(c) - config_kept(c);
}

/* One pass over the whole batch into model->pred, image_loss and grads[0]. */
static void run_batch(Tiny *t, Batch batch) {
  float factor = 1.0f / (float)(t->config.train.batch * counted_patches(&t->config));
  model_forward(&t->model, &batch);
  model_loss(&t->model, &batch, 0, factor, NULL, true);
  model_backward(&t->model, &batch, 0, false);
}
/* As a training step does it: predictions of the patches in the loss alone. */
static void run_training(Tiny *t) {
  run_batch(t, batch_view_training(&t->input, 0, t->config.train.batch));
}
/* Predictions of every patch. */
static void run_whole(Tiny *t) {
  run_batch(t, batch_view(&t->input, 0, t->config.train.batch));
}

static double model_mean_loss(const Tiny *t) {
  int n = t->config.train.batch;
  float *losses = tiny_download(t, t->model.image_loss, (size_t)n);
  double sum = 0;
  for (int i = 0; i < n; i++) sum += losses[i];
  free(losses);
  return sum / n / counted_patches(&t->config);
}

static size_t pred_values(const Tiny *t) {
  size_t p = (size_t)t->config.model.patch_size;
  return (size_t)config_patches(&t->config) * 3 * p * p;
}

/* Mean loss of the batch, and every image's predictions unless pred is NULL. */
static double reference_batch(const Tiny *t, const double *params, double *pred) {
  const Config *c = &t->config;
  Reference r = {c, &t->model.table, params};
  size_t values = pred_values(t), patches = (size_t)config_patches(c);
  size_t pixels = (size_t)c->model.image_size * (size_t)c->model.image_size * 3;
  double *scratch = malloc(values * sizeof *scratch), sum = 0;
  for (size_t i = 0; i < (size_t)c->train.batch; i++)
    sum += reference_forward(&r, pred ? pred + i * values : scratch, t->images + i * pixels,
                             t->masked + i * patches);
  free(scratch);
  return sum / c->train.batch;
}

static double *reference_params(const Tiny *t) {
  double *params = malloc(t->model.table.total * sizeof *params);
  for (size_t i = 0; i < t->model.table.total; i++) params[i] = t->params[i];
  return params;
}

static void check_forward(const Tiny *t, const double *params, double tolerance) {
  size_t values = pred_values(t), rows = (size_t)decoder_tokens(&t->config);
  size_t n = (size_t)t->config.train.batch, patch = values / (size_t)config_patches(&t->config);
  double *expected = malloc(n * values * sizeof *expected);
  double loss = reference_batch(t, params, expected);
  ck_assert_double_eq_tol(model_mean_loss(t), loss, tolerance * loss);
  float *pred = tiny_download(t, t->model.pred, n * rows * patch);
  double error = 0, size = 0;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < values; k++) {
      double is = pred[(i * rows + (size_t)t->model.extra) * patch + k];
      error += (is - expected[i * values + k]) * (is - expected[i * values + k]);
      size += expected[i * values + k] * expected[i * values + k];
    }
  ck_assert_double_le(sqrt(error / size), tolerance);
  free(pred);
  free(expected);
}

/* Central difference of the reference along a direction of +-1 in every element of a parameter,
 * which must be the gradient's component along it; an error in any element shows. */
static void check_direction(const Tiny *t, double *params, const float *grads, const Param *p,
                            uint32_t draw, double tolerance) {
  const double h = 1e-5;
  double along = 0, norm = 0, loss[2];
  for (int end = 0; end < 2; end++) {
    for (size_t k = 0; k < p->count; k++) {
      bool up = random_bits(5, STREAM_INIT, draw, p->offset, (uint32_t)k) & 1;
      params[p->offset + k] = t->params[p->offset + k] + (up == (end == 0) ? h : -h);
      if (end) continue;
      along += up ? grads[p->offset + k] : -grads[p->offset + k];
      norm += (double)grads[p->offset + k] * grads[p->offset + k];
    }
    loss[end] = reference_batch(t, params, NULL);
  }
  for (size_t k = 0; k < p->count; k++) params[p->offset + k] = t->params[p->offset + k];
  double difference = (loss[0] - loss[1]) / (2 * h);
  ck_assert_msg(isfinite(along) && fabs(along - difference) <= tolerance * sqrt(norm) + 1e-8,
                "%s: gradient %.9g along the direction, difference quotient %.9g, norm %.3g",
                p->name, along, difference, sqrt(norm));
}

/* ||a - b|| / ||b|| */
static double distance(const float *a, const float *b, size_t count) {
  double error = 0, size = 0;
  for (size_t i = 0; i < count; i++) {
    error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    size += (double)b[i] * b[i];
  }
  return sqrt(error / size);
}

/* The training step's predictions, gradients and losses against those of the pass that predicts
 * every patch, which is the last that was run: each of its sums has the same terms that are not
 * zero, in another order. */
static void check_compact(const Tiny *t, const float *pred, const float *grads,
                          const float *losses) {
  const Config *c = &t->config;
  size_t n = (size_t)c->train.batch, patch = pred_values(t) / (size_t)config_patches(c);
  size_t tokens = (size_t)decoder_tokens(c);
  float *whole = tiny_download(t, t->model.pred, n * tokens * patch);
  Batch batch = batch_view_training(&t->input, 0, c->train.batch);
  ck_assert_int_eq(batch.compact, c->train.loss == LOSS_MASKED);
  ck_assert_int_eq(batch.rows, batch.compact ? counted_patches(c) : decoder_tokens(c));
  for (size_t r = 0; r < n * (size_t)batch.rows; r++) {
    if (batch.patch_of[r] < 0) continue;
    size_t at = r / (size_t)batch.rows * tokens + (size_t)(t->model.extra + batch.patch_of[r]);
    ck_assert(
        t->masked[r / (size_t)batch.rows * (size_t)config_patches(c) + (size_t)batch.patch_of[r]] ||
        c->train.loss == LOSS_ALL);
    ck_assert_double_le(distance(pred + r * patch, whole + at * patch, patch), 2e-6);
  }
  free(whole);
  whole = tiny_download(t, t->model.image_loss, n);
  ck_assert_double_le(distance(losses, whole, n), 1e-6);
  free(whole);
  whole = tiny_download(t, t->model.grads[0], t->model.table.trainable);
  for (int i = 0; i < t->model.table.count; i++) {
    const Param *p = &t->model.table.list[i];
    if (!p->trainable) continue;
    double apart = distance(grads + p->offset, whole + p->offset, p->count);
    ck_assert_msg(apart <= 5e-6, "%s: gradients %g apart", p->name, apart);
  }
  free(whole);
}

static void check_settings(const char *settings) {
  Tiny *t = tiny_open(settings, true);
  size_t n = (size_t)t->config.train.batch;
  run_training(t);
  double *params = reference_params(t);
  float *grads = tiny_download(t, t->model.grads[0], t->model.table.trainable);
  float *losses = tiny_download(t, t->model.image_loss, n);
  float *pred = tiny_download(t, t->model.pred,
                              n * (pred_values(t) / (size_t)config_patches(&t->config)) *
                                  (size_t)batch_view_training(&t->input, 0, 1).rows);
  for (int i = 0; i < t->model.table.count; i++)
    if (t->model.table.list[i].trainable)
      check_direction(t, params, grads, &t->model.table.list[i], 0, 2e-5);
  run_whole(t);
  check_compact(t, pred, grads, losses);
  check_forward(t, params, 2e-6);
  free(params);
  free(grads);
  free(losses);
  free(pred);
  tiny_close(t);
}

static const char *const positions[] = {POS_EMBEDS(CHOICE_NAME)};
static const char *const masks[] = {MASK_KINDS(CHOICE_NAME)};
static const char *const losses[] = {LOSS_KINDS(CHOICE_NAME)};
static const char *const truth[] = {"false", "true"};

enum { POSITION_PAIRS = POS_EMBED_COUNT * POS_EMBED_COUNT };

/* All pairs of positional embeddings by all masks; the loss and the four switches run through their
 * 32 combinations along the way. */
START_TEST(every_variant_matches_the_reference) {
  int bits = (7 * _i + _i / POS_EMBED_COUNT * 3 + _i / POSITION_PAIRS) % 32;
  char settings[512];
  snprintf(settings, sizeof settings,
           "model.pos_embed=%s model.decoder_pos_embed=%s train.mask=%s train.loss=%s "
           "train.norm_pix=%s model.class_token=%s model.encoder_mask_tokens=%s "
           "train.recompute=%s",
           positions[_i % POS_EMBED_COUNT], positions[_i / POS_EMBED_COUNT % POS_EMBED_COUNT],
           masks[_i / POSITION_PAIRS], losses[bits % LOSS_KIND_COUNT], truth[bits >> 1 & 1],
           truth[bits >> 2 & 1], truth[bits >> 3 & 1], truth[bits >> 4 & 1]);
  check_settings(settings);
}
END_TEST

/* Sizes that divide no vector: 9 patches of 3x3 pixels, odd head sizes, one head. */
START_TEST(awkward_sizes_match_the_reference) {
  static const char *const sizes[] = {
      "model.image_size=9 model.patch_size=3 model.encoder=20x1x4 model.decoder=12x2x1 "
      "train.mask_ratio=0.5 train.batch=3",
      "model.image_size=16 model.patch_size=4 model.encoder=36x1x3 model.decoder=20x1x2 "
      "train.mask_ratio=0.9 train.batch=5",
      "model.image_size=8 model.patch_size=4 model.encoder=8x3x1 model.decoder=8x1x2 "
      "train.mask_ratio=0.25 train.batch=1",
  };
  check_settings(sizes[_i]);
}
END_TEST

/* Single elements of every parameter, not only directions through all of them. */
START_TEST(single_elements_match_the_reference) {
  const double h = 1e-5;
  Tiny *t = tiny_open("model.pos_embed=learned model.decoder_pos_embed=learned", true);
  run_training(t);
  double *params = reference_params(t);
  float *grads = tiny_download(t, t->model.grads[0], t->model.table.trainable);
  for (int i = 0; i < t->model.table.count; i++) {
    const Param *p = &t->model.table.list[i];
    double largest = 0;
    for (size_t k = 0; k < p->count; k++)
      largest = fmax(largest, fabs((double)grads[p->offset + k]));
    for (size_t draw = 0; draw < 4; draw++) {
      size_t k = p->offset + (draw * p->count / 3 - (draw == 3)) % p->count;
      params[k] = t->params[k] + h;
      double up = reference_batch(t, params, NULL);
      params[k] = t->params[k] - h;
      double down = reference_batch(t, params, NULL);
      params[k] = t->params[k];
      ck_assert_msg(fabs((up - down) / (2 * h) - grads[k]) <= 1e-5 * largest + 1e-9,
                    "%s[%zu]: gradient %.9g, difference quotient %.9g", p->name, k - p->offset,
                    grads[k], (up - down) / (2 * h));
    }
  }
  free(params);
  free(grads);
  tiny_close(t);
}
END_TEST

START_TEST(recomputation_changes_no_bit) {
  char settings[2][128];
  Tiny *t[2];
  float *grads[2];
  for (int i = 0; i < 2; i++) {
    snprintf(settings[i], sizeof settings[i], "train.recompute=%s train.precision=%s", truth[i],
             _i == 0 ? "fp32" : "bf16 run.emulate=true");
    t[i] = tiny_open(settings[i], true);
    run_training(t[i]);
    grads[i] = tiny_download(t[i], t[i]->model.grads[0], t[i]->model.table.trainable);
  }
  ck_assert(!memcmp(grads[0], grads[1], t[0]->model.table.trainable * sizeof(float)));
  for (int i = 0; i < 2; i++) {
    free(grads[i]);
    tiny_close(t[i]);
  }
}
END_TEST

/* 16-bit products: 8 (bf16) or 11 (fp16) bits of mantissa per operand. The gradients of fp32 are
 * the reference here, themselves checked above. */
START_TEST(half_precision_stays_close) {
  static const struct {
    const char *precision;
    double forward, gradient;
  } cases[] = {{"bf16", 2e-2, 4e-2}, {"fp16", 2e-3, 5e-3}};
  char settings[128];
  snprintf(settings, sizeof settings, "train.precision=%s run.emulate=true", cases[_i].precision);
  Tiny *exact = tiny_open("", true), *half = tiny_open(settings, true);
  run_training(exact);
  run_training(half);
  double *params = reference_params(half);
  size_t n = exact->model.table.trainable;
  float *a = tiny_download(half, half->model.grads[0], n);
  float *b = tiny_download(exact, exact->model.grads[0], n);
  for (int i = 0; i < exact->model.table.count; i++) {
    const Param *p = &exact->model.table.list[i];
    if (!p->trainable) continue;
    double apart = distance(a + p->offset, b + p->offset, p->count);
    ck_assert_msg(apart <= cases[_i].gradient, "%s: relative error %.3g", p->name, apart);
  }
  run_whole(half);
  check_forward(half, params, cases[_i].forward);
  free(a);
  free(b);
  free(params);
  tiny_close(exact);
  tiny_close(half);
}
END_TEST

static const char *const whole_settings[] = {
    "", "model.class_token=false", "model.encoder_mask_tokens=true", "train.mask_ratio=0.5"};

/* A model that was made for masked images runs its encoder on whole ones, in its own memory. */
START_TEST(the_encoder_sees_whole_images) {
  Tiny *t = tiny_open(whole_settings[_i], false);
  const Config *c = &t->config;
  int patches = config_patches(c), d = c->model.encoder.width, extra = c->model.class_token;
  int count = model_capacity(&t->model, patches), tokens = extra + patches;
  ck_assert_int_ge(count, 1);
  ck_assert_int_lt(count, t->model.batch);
  ck_assert_int_eq(model_capacity(&t->model, config_kept(c)), t->model.batch);
  int32_t visible[4 * 16];
  uint8_t masked[4 * 16] = {0};
  for (int i = 0; i < count * patches; i++) visible[i] = i % patches;
  BatchBuffers whole;
  Error e = {0};
  ck_assert(batch_create(&whole, c, t->device, count, patches, &e));
  batch_set_images(&whole, t->images, count);
  batch_set_masks(&whole, visible, masked, count);
  Batch batch = batch_view(&whole, 0, count);
  const float *stream;
  const void *normed;
  model_encode(&t->model, &batch, &stream, &normed);
  size_t values = (size_t)tokens * (size_t)d;
  float *got[2] = {tiny_download(t, stream, (size_t)count * values),
                   tiny_download(t, normed, (size_t)count * values)};

  size_t total = t->model.table.total;
  double *params = malloc(total * sizeof *params), *want[2];
  for (size_t i = 0; i < total; i++) params[i] = t->params[i];
  for (int k = 0; k < 2; k++) want[k] = malloc(values * sizeof *want[k]);
  Reference reference = {c, &t->model.table, params};
  size_t bytes = (size_t)c->model.image_size * (size_t)c->model.image_size * 3;
  for (int b = 0; b < count; b++) {
    int token[17];
    ck_assert_int_eq(
        reference_encode(&reference, want[0], want[1], token, t->images + b * bytes, masked),
        tokens);
    for (int k = 0; k < 2; k++)
      for (size_t i = 0; i < values; i++)
        ck_assert_double_eq_tol(got[k][b * values + i], want[k][i], 1e-4);
  }
  for (int k = 0; k < 2; k++) {
    free(got[k]);
    free(want[k]);
  }
  free(params);
  batch_destroy(&whole);
  tiny_close(t);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("gradient");
  tcase_set_timeout(tc, 300);
  tcase_add_loop_test(tc, every_variant_matches_the_reference, 0, POSITION_PAIRS * MASK_KIND_COUNT);
  tcase_add_loop_test(tc, awkward_sizes_match_the_reference, 0, 3);
  tcase_add_test(tc, single_elements_match_the_reference);
  tcase_add_loop_test(tc, recomputation_changes_no_bit, 0, 2);
  tcase_add_loop_test(tc, half_precision_stays_close, 0, 2);
  tcase_add_loop_test(tc, the_encoder_sees_whole_images, 0, 4);
  Suite *suite = suite_create("gradient");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
