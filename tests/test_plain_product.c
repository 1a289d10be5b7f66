/* The products of a build without oneDNN, which this program has whatever the build: right beyond a
 * tile's edges and a part's end, and the same bits from any number of threads. Their other shapes
 * are in the test kernel_cases_plain. */
#include "tests/products.h"
#include "tests/suite.h"

/* Several tiles and parts of each operand, the last ones cut. */
START_TEST(several_parts) {
  threads_make_no_difference(300, 270, 530);
}
END_TEST

START_TEST(the_build_says_so) {
  char products[128];
  backend_cpu_products(products, sizeof products);
  ck_assert_str_eq(products, "plain loops (no oneDNN, slow)");
  DeviceInfo info;
  open_cpu(1);
  device->kernels->info(device, &info);
  close_cpu();
  ck_assert_msg(!strncmp(info.libraries, "plain loops", 11), "%s", info.libraries);
  ck_assert_ptr_null(strstr(info.features, "oneDNN"));
  ck_assert(!info.has_bf16);
}
END_TEST

START_TEST(bf16_needs_emulation) {
  open_cpu(1);
  uint16_t x[8] = {0}, w[8] = {0}, y[1];
  device->kernels->linear_forward(device, y, DTYPE_BF16, x, w, NULL, DTYPE_BF16, 1, 8, 1);
  char message[256];
  ck_assert(!device->kernels->synchronize(device, message, sizeof message));
  ck_assert_ptr_nonnull(strstr(message, "no fast bf16 products; run.emulate = true"));
  device->kernels->close(device);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("plain_product");
  TCase *cases = tcase_create("plain_product");
  tcase_set_timeout(cases, 120);
  tcase_add_test(cases, several_parts);
  tcase_add_test(cases, the_build_says_so);
  tcase_add_test(cases, bf16_needs_emulation);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
