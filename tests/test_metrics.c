/* PSNR and SSIM against scikit-image, the identities between the metrics, and the trivial fills. */
#include <math.h>

#include "kernels/backend.h"
#include "kernels/scalar.h"
#include "mae/evaluate/fills.h"
#include "mae/evaluate/metrics.h"
#include "mae/evaluate/ssim.h"
#include "tests/oracle.h"
#include "tests/suite.h"

enum { TEST_STREAM = 99 };

static Device *device;

static void open_device(void) {
  char message[256];
  device = backend_open("cpu", 2, false, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
}

static void close_device(void) {
  device->kernels->close(device);
}

static void score(double *scores, const float *picture, const uint8_t *image, int size) {
  device->kernels->image_scores(device, scores, picture, image, 1, size);
  char message[256];
  ck_assert(device->kernels->synchronize(device, message, sizeof message));
}

/* The values below were computed by scikit-image 0.19 from these very pictures. */
START_TEST(test_committed_values) {
  enum { SIZE = 16 };
  static uint8_t image[SIZE * SIZE * 3];
  static float picture[SIZE * SIZE * 3];
  for (int i = 0; i < SIZE * SIZE * 3; i++) {
    image[i] = (uint8_t)(random_bits(7, TEST_STREAM, 0, 0, (uint32_t)i) >> 24);
    picture[i] = (float)((i * 37) % 256) / 256.0f;
  }
  double scores[2];
  score(scores, picture, image, SIZE);
  ck_assert_double_eq_tol(scores[0] / (SIZE * SIZE * 3), 0.16298912841296267, 1e-9);
  ck_assert_double_eq_tol(scores[1], -0.015232931800169526, 1e-9);
}
END_TEST

START_TEST(test_scikit_image) {
  enum { PAIRS = 16 };
  struct {
    int name, size;
    double mse, psnr, ssim, uniform, global;
  } pairs[PAIRS];
  Oracle oracle;
  oracle_open(&oracle, "metrics_oracle.py");
  int count = 0;
  while (count < PAIRS &&
         fscanf(oracle.lines, "%d %d %lf %lf %lf %lf %lf", &pairs[count].name, &pairs[count].size,
                &pairs[count].mse, &pairs[count].psnr, &pairs[count].ssim, &pairs[count].uniform,
                &pairs[count].global) == 7)
    count++;
  for (int i = 0; i < count; i++) {
    char name[32];
    double scores[2], values = 3.0 * pairs[i].size * pairs[i].size;
    snprintf(name, sizeof name, "%d.picture", pairs[i].name);
    float *picture = oracle_file(&oracle, name, (size_t)values * sizeof *picture);
    snprintf(name, sizeof name, "%d.image", pairs[i].name);
    uint8_t *image = oracle_file(&oracle, name, (size_t)values);
    score(scores, picture, image, pairs[i].size);
    ck_assert_double_eq_tol(scores[0] / values, pairs[i].mse, 1e-9);
    ck_assert_double_eq_tol(psnr_from_mse(scores[0] / values), pairs[i].psnr, 1e-6);
    ck_assert_double_eq_tol(scores[1], pairs[i].ssim, 1e-6);
    ck_assert_double_eq_tol(ssim_uniform(picture, image, pairs[i].size), pairs[i].uniform, 1e-6);
    ck_assert_double_eq_tol(ssim_global(picture, image, pairs[i].size), pairs[i].global, 1e-9);
    free(picture);
    free(image);
  }
  if (oracle_close(&oracle)) ck_assert_int_eq(count, PAIRS);
}
END_TEST

START_TEST(test_too_small_for_the_window) {
  uint8_t image[10 * 10 * 3] = {0};
  float picture[10 * 10 * 3] = {0};
  double scores[2];
  score(scores, picture, image, 10);
  ck_assert(scores[0] == 0.0);
  ck_assert(isnan(scores[1]));
}
END_TEST

/* The definition, pixel by pixel, in double. */
START_TEST(test_reconstruct) {
  enum { SIZE = 12, PATCH = 4, EXTRA = 1, BATCH = 2, SIDE = SIZE / PATCH, L = SIDE * SIDE };
  enum { PIXELS = SIZE * SIZE * 3, VALUES = PATCH * PATCH * 3 };
  static const double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225};
  static uint8_t images[BATCH * PIXELS], masked[BATCH * L];
  static float pred[BATCH * (EXTRA + L) * VALUES];
  static float full[BATCH * PIXELS + 1], composite[BATCH * PIXELS + 1];
  for (int i = 0; i < BATCH * PIXELS; i++)
    images[i] = (uint8_t)(random_bits(3, TEST_STREAM, 0, 0, (uint32_t)i) >> 24);
  for (int i = 0; i < BATCH * L; i++) masked[i] = (uint8_t)(i % 3 != 0);
  for (int i = 0; i < BATCH * (EXTRA + L) * VALUES; i++)
    pred[i] = 4.0f * random_uniform(4, TEST_STREAM, 0, 0, (uint32_t)i) - 2.0f;
  for (int norm = 0; norm < 2; norm++) {
    PatchGrid grid = {BATCH, SIZE, PATCH, norm};
    full[BATCH * PIXELS] = composite[BATCH * PIXELS] = -7.0f;
    device->kernels->reconstruct(device, full, composite, pred, EXTRA, images, masked, &grid);
    char message[256];
    ck_assert(device->kernels->synchronize(device, message, sizeof message));
    ck_assert(full[BATCH * PIXELS] == -7.0f && composite[BATCH * PIXELS] == -7.0f);
    for (int b = 0; b < BATCH; b++)
      for (int l = 0; l < L; l++) {
        double sum = 0.0, squares = 0.0, target[VALUES];
        int at[VALUES];
        for (int i = 0; i < VALUES; i++) {
          int y = l / SIDE * PATCH + i / (PATCH * 3), x = l % SIDE * PATCH + i / 3 % PATCH;
          at[i] = b * PIXELS + (y * SIZE + x) * 3 + i % 3;
          target[i] = (images[at[i]] / 255.0 - mean[i % 3]) / std[i % 3];
          sum += target[i];
        }
        for (int i = 0; i < VALUES; i++) squares += pow(target[i] - sum / VALUES, 2);
        double deviation = sqrt(squares / (VALUES - 1) + 1e-6);
        for (int i = 0; i < VALUES; i++) {
          double value = pred[(b * (EXTRA + L) + EXTRA + l) * VALUES + i];
          if (norm) value = value * deviation + sum / VALUES;
          double pixel = fmin(fmax(value * std[i % 3] + mean[i % 3], 0.0), 1.0);
          ck_assert_double_eq_tol(full[at[i]], pixel, 1e-6);
          if (masked[b * L + l])
            ck_assert(composite[at[i]] == full[at[i]]);
          else
            ck_assert(composite[at[i]] == pixel_unit(images[at[i]]));
        }
      }
  }
}
END_TEST

START_TEST(test_identities) {
  MetricSums sums;
  metrics_reset(&sums);
  metrics_add(&sums, &(ImageScore){0.5, {12.0, 0.8}, {20.0, 0.7}, 900.0, 1200.0});
  Metrics one = metrics_finish(&sums, OFFERS_LOSS | OFFERS_HIDDEN | OFFERS_FULL);
  ck_assert_double_eq_tol(metrics_get(&one, "psnr_composite"),
                          metrics_get(&one, "psnr_masked") + 10.0 * log10(4.0 / 3.0), 1e-12);
  ck_assert_double_eq_tol(metrics_get(&one, "psnr_masked"), metrics_get(&one, "psnr_masked_pooled"),
                          1e-12);
  ck_assert_double_eq_tol(metrics_get(&one, "psnr_full"), -10.0 * log10(20.0 / 1200.0), 1e-12);
  metrics_add(&sums, &(ImageScore){1.5, {120.0, 0.4}, {200.0, 0.3}, 900.0, 1200.0});
  Metrics two = metrics_finish(&sums, OFFERS_LOSS | OFFERS_HIDDEN | OFFERS_FULL);
  ck_assert_double_eq_tol(metrics_get(&two, "psnr_masked"), metrics_get(&one, "psnr_masked") - 5.0,
                          1e-12);
  ck_assert_double_eq_tol(metrics_get(&two, "psnr_masked_pooled"), -10.0 * log10(132.0 / 1800.0),
                          1e-12);
  ck_assert_double_eq_tol(metrics_get(&two, "psnr_full_pooled"), -10.0 * log10(220.0 / 2400.0),
                          1e-12);
  ck_assert_double_eq_tol(metrics_get(&two, "ssim_composite"), 0.6, 1e-12);
  ck_assert_double_eq_tol(metrics_get(&two, "ssim_full"), 0.5, 1e-12);
  ck_assert_double_eq_tol(metrics_get(&two, "loss"), 1.0, 1e-12);
  ck_assert_int_eq(two.perfect, 0);
  metrics_add(&sums, &(ImageScore){0.0, {0.0, 1.0}, {0.0, 1.0}, 900.0, 1200.0});
  Metrics three = metrics_finish(&sums, OFFERS_LOSS | OFFERS_HIDDEN | OFFERS_FULL);
  ck_assert_int_eq(three.perfect, 1);
  ck_assert_int_eq(three.images, 3);
  ck_assert(isfinite(metrics_get(&three, "psnr_masked")));
  ck_assert(isnan(psnr_from_mse(NAN)));
}
END_TEST

/* What is said of each number holds, and a number is published for those alone who offer all that
 * it needs. */
START_TEST(test_every_metric_of_the_list) {
  MetricSums sums;
  metrics_reset(&sums);
  metrics_add(&sums, &(ImageScore){0.5, {12.0, 0.8}, {20.0, 0.7}, 900.0, 1200.0});
  MetricSums worse = {0};
  metrics_add(&worse, &(ImageScore){1.5, {120.0, 0.4}, {200.0, 0.3}, 900.0, 1200.0});
  Metrics good = metrics_finish(&sums, 15), bad = metrics_finish(&worse, 15);
  for (int i = 0; i < metric_count; i++) {
    const Metric *metric = &metric_list[i];
    ck_assert(metric_find(metric->name) == metric);
    ck_assert(*metric->meaning && metric->digits > 0 && metric->needs);
    if (metric->needs == OFFERS_PROBE) {
      ck_assert(!metric->of_image && !metric->of_sums &&
                isnan(metrics_finish(&sums, 15).values[i]));
      continue;
    }
    ck_assert((metric->of_image != NULL) != (metric->of_sums != NULL));
    ck_assert_msg(metric->better * good.values[i] > metric->better * bad.values[i],
                  "%s: the better one is not better", metric->name);
    for (unsigned offers = 0; offers < 16; offers++) {
      Metrics part = metrics_finish(&sums, offers);
      ck_assert(metrics_has(&part, i) == ((metric->needs & offers) == metric->needs));
      ck_assert(isnan(part.values[i]) == !metrics_has(&part, i));
    }
  }
}
END_TEST

enum { FILL_SIZE = 24, FILL_PATCH = 4, FILL_SIDE = FILL_SIZE / FILL_PATCH };

static void draw_fill_case(uint8_t *image, uint8_t *masked) {
  for (int i = 0; i < FILL_SIZE * FILL_SIZE * 3; i++)
    image[i] = (uint8_t)(random_bits(11, TEST_STREAM, 0, 0, (uint32_t)i) >> 24);
  for (int l = 0; l < FILL_SIDE * FILL_SIDE; l++)
    masked[l] = random_bits(12, TEST_STREAM, 0, 0, (uint32_t)l) % 4 != 0;
}

static bool hidden_at(const uint8_t *masked, int y, int x) {
  return masked[y / FILL_PATCH * FILL_SIDE + x / FILL_PATCH];
}

START_TEST(test_fill_mean) {
  static uint8_t image[FILL_SIZE * FILL_SIZE * 3], masked[FILL_SIDE * FILL_SIDE];
  static float picture[FILL_SIZE * FILL_SIZE * 3];
  draw_fill_case(image, masked);
  fill_mean(picture, image, masked, FILL_SIZE, FILL_PATCH);
  for (int c = 0; c < 3; c++) {
    double sum = 0.0;
    int count = 0;
    for (int i = 0; i < FILL_SIZE * FILL_SIZE; i++)
      if (!hidden_at(masked, i / FILL_SIZE, i % FILL_SIZE)) {
        sum += image[i * 3 + c];
        count++;
      }
    for (int i = 0; i < FILL_SIZE * FILL_SIZE; i++)
      ck_assert_double_eq_tol(picture[i * 3 + c],
                              hidden_at(masked, i / FILL_SIZE, i % FILL_SIZE)
                                  ? sum / count / 255.0
                                  : image[i * 3 + c] / 255.0,
                              1e-6);
  }
}
END_TEST

/* Against relaxation run until nothing moves. */
START_TEST(test_fill_harmonic) {
  static uint8_t image[FILL_SIZE * FILL_SIZE * 3], masked[FILL_SIDE * FILL_SIDE];
  static float picture[FILL_SIZE * FILL_SIZE * 3];
  draw_fill_case(image, masked);
  ck_assert(fill_harmonic(picture, image, masked, FILL_SIZE, FILL_PATCH));
  for (int c = 0; c < 3; c++) {
    static double u[FILL_SIZE][FILL_SIZE];
    for (int y = 0; y < FILL_SIZE; y++)
      for (int x = 0; x < FILL_SIZE; x++)
        u[y][x] = hidden_at(masked, y, x) ? 0.5 : image[(y * FILL_SIZE + x) * 3 + c] / 255.0;
    double moved = 1.0;
    for (int sweep = 0; sweep < 20000 && moved > 1e-10; sweep++) {
      moved = 0.0;
      for (int y = 0; y < FILL_SIZE; y++)
        for (int x = 0; x < FILL_SIZE; x++) {
          if (!hidden_at(masked, y, x)) continue;
          double sum = 0.0;
          int count = 0;
          if (y > 0) sum += u[y - 1][x], count++;
          if (y + 1 < FILL_SIZE) sum += u[y + 1][x], count++;
          if (x > 0) sum += u[y][x - 1], count++;
          if (x + 1 < FILL_SIZE) sum += u[y][x + 1], count++;
          moved = fmax(moved, fabs(sum / count - u[y][x]));
          u[y][x] = sum / count;
        }
    }
    ck_assert(moved <= 1e-10);
    for (int y = 0; y < FILL_SIZE; y++)
      for (int x = 0; x < FILL_SIZE; x++)
        ck_assert_double_eq_tol(picture[(y * FILL_SIZE + x) * 3 + c], u[y][x], 1e-5);
  }
}
END_TEST

/* A linear ramp with a hidden interior is its own harmonic continuation. */
START_TEST(test_fill_harmonic_ramp) {
  static uint8_t image[FILL_SIZE * FILL_SIZE * 3], masked[FILL_SIDE * FILL_SIDE];
  static float picture[FILL_SIZE * FILL_SIZE * 3];
  for (int y = 0; y < FILL_SIZE; y++)
    for (int x = 0; x < FILL_SIZE; x++)
      for (int c = 0; c < 3; c++)
        image[(y * FILL_SIZE + x) * 3 + c] = (uint8_t)(20 + 5 * x + 3 * y + c);
  for (int l = 0; l < FILL_SIDE * FILL_SIDE; l++) {
    int row = l / FILL_SIDE, column = l % FILL_SIDE;
    masked[l] = row > 0 && row < FILL_SIDE - 1 && column > 0 && column < FILL_SIDE - 1;
  }
  ck_assert(fill_harmonic(picture, image, masked, FILL_SIZE, FILL_PATCH));
  for (int i = 0; i < FILL_SIZE * FILL_SIZE * 3; i++)
    ck_assert_double_eq_tol(picture[i], image[i] / 255.0, 1e-5);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("metrics");
  TCase *scores = tcase_create("scores");
  tcase_add_checked_fixture(scores, open_device, close_device);
  tcase_set_timeout(scores, 120);
  tcase_add_test(scores, test_committed_values);
  tcase_add_test(scores, test_scikit_image);
  tcase_add_test(scores, test_too_small_for_the_window);
  tcase_add_test(scores, test_reconstruct);
  suite_add_tcase(suite, scores);
  TCase *sums = tcase_create("sums");
  tcase_add_test(sums, test_identities);
  tcase_add_test(sums, test_every_metric_of_the_list);
  tcase_add_test(sums, test_fill_mean);
  tcase_add_test(sums, test_fill_harmonic);
  tcase_add_test(sums, test_fill_harmonic_ramp);
  suite_add_tcase(suite, sums);
  return suite_run(suite);
}
