/* The products that this build computes with: right in several tiles, the last ones cut, and the
 * same bits from any number of threads. */
#include "tests/products.h"
#include "tests/suite.h"

/* Where rows lie apart by a multiple of 2 KiB, parts of operands are copied: of one, of both, and
 * in stretches. */
static const size_t layers[][3] = {{300, 270, 530}, {300, 512, 1536}, {130, 512, 1024}};

START_TEST(several_tiles) {
  threads_make_no_difference(layers[_i][0], layers[_i][1], layers[_i][2]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("product");
  TCase *cases = tcase_create("product");
  tcase_set_timeout(cases, 300);
  tcase_add_loop_test(cases, several_tiles, 0, sizeof layers / sizeof *layers);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
