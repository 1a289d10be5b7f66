/* Crops and resizes against Pillow: on fresh noise and photos, shrunk and stretched, where Pillow
 * is installed, and on values stored from it everywhere. */
#include "kernels/backend.h"
#include "tests/oracle.h"
#include "tests/suite.h"

static Device *device;

static void open_device(void) {
  char message[256];
  device = backend_open("cpu", 2, false, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
}

static void close_device(void) {
  device->kernels->close(device);
}

/* The largest difference of one crop, which is written between sentinels, from what is expected. */
static int largest_difference(const uint8_t *pool, const Crop *crop, int size,
                              const uint8_t *expected) {
  enum { SENTINEL = 0xA5 };
  size_t bytes = (size_t)size * size * 3;
  uint8_t *out = malloc(bytes + 2);
  out[0] = out[bytes + 1] = SENTINEL;
  device->kernels->crop_resize(device, out + 1, pool, crop, 1, size);
  ck_assert(out[0] == SENTINEL && out[bytes + 1] == SENTINEL);
  int worst = 0;
  for (size_t i = 0; i < bytes; i++) {
    int difference = abs(out[1 + i] - expected[i]);
    if (difference > worst) worst = difference;
  }
  free(out);
  return worst;
}

/* From Pillow 9.4: Image.crop(box).resize((size, size), BICUBIC) of the picture drawn below. */
static const uint8_t shrunk[4 * 4 * 3] = {
    164, 153, 97,  163, 135, 133, 164, 100, 174, 130, 124, 106, 123, 115, 113, 141,
    101, 138, 141, 96,  159, 99,  163, 150, 133, 134, 135, 109, 139, 114, 136, 110,
    137, 158, 129, 115, 148, 115, 146, 139, 123, 110, 116, 121, 140, 93,  147, 156};
static const uint8_t stretched[5 * 5 * 3] = {
    91,  160, 255, 130, 235, 92,  212, 138, 50,  190, 42,  137, 34,  116, 205, 105, 179, 163, 164,
    166, 79,  178, 96,  85,  128, 77,  130, 66,  155, 121, 132, 213, 16,  198, 66,  64,  116, 42,
    144, 42,  130, 128, 123, 193, 0,   169, 242, 34,  103, 92,  96,  57,  87,  187, 93,  132, 173,
    177, 73,  39,  191, 255, 62,  36,  121, 119, 26,  124, 209, 137, 128, 203, 206, 0,   79};

START_TEST(test_stored_values) {
  enum { WIDTH = 16, HEIGHT = 12 };
  uint8_t image[HEIGHT * WIDTH * 3];
  for (int i = 0; i < HEIGHT * WIDTH * 3; i++) {
    int y = i / (WIDTH * 3), x = i / 3 % WIDTH, c = i % 3;
    image[i] = (uint8_t)(x * x * 5 + y * y * 3 + x * y * 11 + c * 70);
  }
  Crop down = {0, WIDTH, HEIGHT, 3, 2, 11, 9, 0}, up = {0, WIDTH, HEIGHT, 1, 4, 4, 3, 0};
  ck_assert_int_le(largest_difference(image, &down, 4, shrunk), 1);
  ck_assert_int_le(largest_difference(image, &up, 5, stretched), 1);
}
END_TEST

START_TEST(test_pillow) {
  enum { CASES = 60 };
  struct {
    Crop crop;
    int size;
  } cases[CASES];
  Oracle oracle;
  oracle_open(&oracle, "crop_oracle.py");
  int count = 0;
  size_t offset;
  Crop c;
  for (int size; count < CASES && fscanf(oracle.lines, "%zu %d %d %d %d %d %d %d %d", &offset,
                                         &c.src_width, &c.src_height, &c.left, &c.top, &c.width,
                                         &c.height, &c.flip, &size) == 9;) {
    c.offset = offset;
    cases[count].crop = c;
    cases[count++].size = size;
  }
  if (count == CASES) {
    uint8_t *pool = oracle_file(&oracle, "pool", 0);
    uint8_t *expected = oracle_file(&oracle, "expected", 0), *at = expected;
    int exact = 0;
    for (int i = 0; i < CASES; i++) {
      c = cases[i].crop;
      int worst = largest_difference(pool, &c, cases[i].size, at);
      ck_assert_msg(worst <= 1, "%dx%d from %dx%d to %d: off by %d", c.width, c.height, c.src_width,
                    c.src_height, cases[i].size, worst);
      exact += worst == 0;
      at += (size_t)cases[i].size * cases[i].size * 3;
    }
    printf("%d of %d crops equal Pillow's in every byte\n", exact, CASES);
    free(expected);
    free(pool);
  }
  if (oracle_close(&oracle)) ck_assert_int_eq(count, CASES);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("crop");
  TCase *tc = tcase_create("crop");
  tcase_add_checked_fixture(tc, open_device, close_device);
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, test_stored_values);
  tcase_add_test(tc, test_pillow);
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
