/* Ranks that wait for each other. */
#include "mae/ranks/ranks.h"
#include "tests/scratch.h"
#include "tests/suite.h"

static void hear(void *user, const char *what, size_t done, size_t total) {
  (void)user, (void)done, (void)total;
  scratch_write("told", what);
}

static void set(Config *config, const char *key, const char *value) {
  Error e = {0};
  ck_assert_msg(config_set(config, key, value, &(ConfigOrigin){.file = "test"}, &e), "%s",
                e.message);
}

/* One that comes late, as it does whose machine packs more images: whoever waits says so, and is
 * not taken for one that hangs. Rank 1 comes once it has been said. */
START_TEST(a_rank_that_waits_says_so) {
  Config config;
  Ranks ranks;
  Error e = {0};
  const ProgressListener listener = {hear, NULL};
  config_init(&config);
  set(&config, "train.ranks", "2");
  set(&config, "train.rank_timeout", "20");
  ck_assert_msg(ranks_start(&ranks, &config, &e), "%s", e.message);
  while (ranks.rank == 1 && access("told", F_OK) != 0) usleep(1000);
  if (ranks.rank == 0) ranks.waiting = &listener;
  bool met = ranks_barrier(&ranks, &e);
  ranks_stop(&ranks, 0, &e); /* only rank 0 returns */
  ck_assert_msg(met, "%s", e.message);
  char *said = scratch_read("told");
  ck_assert_str_eq(said, "waiting for other ranks, seconds");
  free(said);
  ranks_close(&ranks, &e);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ranks");
  TCase *cases = tcase_create("ranks");
  tcase_add_checked_fixture(cases, scratch_setup, scratch_teardown);
  tcase_add_test(cases, a_rank_that_waits_says_so);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
