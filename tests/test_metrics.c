/* PSNR and SSIM against scikit-image, the identities between the metrics, and the trivial fills. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/backend.h"
#include "kernels/scalar.h"
#include "mae/metrics.h"

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

/* Noise against noise, or a smooth picture with an edge against a distorted copy of it. */
static void draw_pair(float *picture, uint8_t *image, int size, bool natural, uint64_t seed) {
  for (int y = 0; y < size; y++)
    for (int x = 0; x < size; x++)
      for (int c = 0; c < 3; c++) {
        uint32_t at = (uint32_t)((y * size + x) * 3 + c);
        float noise = random_uniform(seed, TEST_STREAM, 0, 0, at);
        float base =
            natural ? 0.5f + 0.3f * sinf(0.11f * (float)x + (float)c) * cosf(0.07f * (float)y) +
                          (x > y ? 0.15f : 0)
                    : random_uniform(seed, TEST_STREAM, 1, 0, at);
        image[at] = (uint8_t)lrintf(255.0f * fminf(fmaxf(base + 0.02f * noise, 0.0f), 1.0f));
        float distorted = natural ? 0.9f * base + 0.1f * noise : noise;
        picture[at] = fminf(fmaxf(distorted, 0.0f), 1.0f);
      }
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

static void write_file(const char *folder, const char *name, const void *bytes, size_t size) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  ck_assert_ptr_nonnull(file);
  ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

static void remove_folder(const char *folder) {
  char command[512];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  ck_assert_int_eq(system(command), 0);
}

START_TEST(test_scikit_image) {
  static const int sizes[] = {11, 16, 33, 64, 96};
  char folder[] = "/tmp/maebench-metrics-XXXXXX", name[64], command[1024];
  ck_assert_ptr_nonnull(mkdtemp(folder));
  double expected[10][2];
  for (int i = 0; i < 10; i++) {
    int size = sizes[i / 2];
    size_t values = (size_t)size * size * 3;
    float *picture = malloc(values * sizeof *picture);
    uint8_t *image = malloc(values);
    draw_pair(picture, image, size, i % 2, (uint64_t)i);
    score(expected[i], picture, image, size);
    expected[i][0] /= (double)values;
    snprintf(name, sizeof name, "%d.%d.picture", i, size);
    write_file(folder, name, picture, values * sizeof *picture);
    snprintf(name, sizeof name, "%d.%d.image", i, size);
    write_file(folder, name, image, values);
    free(picture);
    free(image);
  }
  snprintf(command, sizeof command, "/usr/bin/python3 %s/tests/oracle/metrics_oracle.py %s",
           SOURCE_DIR, folder);
  unsetenv("LD_PRELOAD");
  FILE *oracle = popen(command, "r");
  ck_assert_ptr_nonnull(oracle);
  int lines = 0, index;
  double mse, psnr, ssim;
  while (fscanf(oracle, "%d %lf %lf %lf", &index, &mse, &psnr, &ssim) == 4) {
    ck_assert_int_lt(index, 10);
    ck_assert_double_eq_tol(expected[index][0], mse, 1e-9);
    ck_assert_double_eq_tol(psnr_from_mse(expected[index][0]), psnr, 1e-6);
    ck_assert_double_eq_tol(expected[index][1], ssim, 1e-6);
    lines++;
  }
  int status = pclose(oracle);
  remove_folder(folder);
  if (WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127)) {
    fprintf(stderr, "scikit-image is not here: only the committed values were compared\n");
    return;
  }
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(lines, 10);
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
  metrics_add(&sums, 0.5, 12.0, 0.8, 20.0, 0.7, 900.0, 1200.0);
  Metrics one = metrics_finish(&sums);
  ck_assert_double_eq_tol(one.psnr_composite, one.psnr_masked + 10.0 * log10(4.0 / 3.0), 1e-12);
  ck_assert_double_eq_tol(one.psnr_masked, one.psnr_masked_pooled, 1e-12);
  ck_assert_double_eq_tol(one.psnr_full, -10.0 * log10(20.0 / 1200.0), 1e-12);
  metrics_add(&sums, 1.5, 120.0, 0.4, 200.0, 0.3, 900.0, 1200.0);
  Metrics two = metrics_finish(&sums);
  ck_assert_double_eq_tol(two.psnr_masked, one.psnr_masked - 5.0, 1e-12);
  ck_assert_double_eq_tol(two.psnr_masked_pooled, -10.0 * log10(132.0 / 1800.0), 1e-12);
  ck_assert_double_eq_tol(two.psnr_full_pooled, -10.0 * log10(220.0 / 2400.0), 1e-12);
  ck_assert_double_eq_tol(two.ssim_composite, 0.6, 1e-12);
  ck_assert_double_eq_tol(two.ssim_full, 0.5, 1e-12);
  ck_assert_double_eq_tol(two.loss, 1.0, 1e-12);
  ck_assert_int_eq(two.perfect, 0);
  metrics_add(&sums, 0.0, 0.0, 1.0, 0.0, 1.0, 900.0, 1200.0);
  Metrics three = metrics_finish(&sums);
  ck_assert_int_eq(three.perfect, 1);
  ck_assert_int_eq(three.images, 3);
  ck_assert(isfinite(three.psnr_masked));
  ck_assert(isnan(psnr_from_mse(NAN)));
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
  tcase_add_test(sums, test_fill_mean);
  tcase_add_test(sums, test_fill_harmonic);
  tcase_add_test(sums, test_fill_harmonic_ramp);
  suite_add_tcase(suite, sums);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
