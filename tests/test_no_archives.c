/* A build without libarchive: no_archives.c is linked in place of archives.c here. */
#include "tests/data_sets.h"

START_TEST(an_archive_is_refused_with_the_reason) {
  char path[PATH_SIZE];
  set("data.source", "tiny-imagenet");
  write_text("x.zip", "PK");
  set("data.path", in_folder(path, "x.zip"));
  expect_refusal("x.zip: this program was built without libarchive and reads no archives: unpack "
                 "it, or install libarchive (Debian: libarchive-dev) and build again");
}
END_TEST

START_TEST(folders_are_read_as_ever) {
  make_published();
  open_data();
  ck_assert_int_eq(data.eval_count, 12);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("no_archives");
  TCase *cases = tcase_create("no_archives");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, an_archive_is_refused_with_the_reason);
  tcase_add_test(cases, folders_are_read_as_ever);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
