/* The results database rebuilt from the trial folders, and what is computed from its rows. */
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

#include "harness/base/stats.h"
#include "tests/fake_trials.h"
#include "tests/suite.h"

/* What an import gives --------------------------------------------------------------------------*/

START_TEST(import_gives_the_same_rows) {
  int64_t trial[FAKES];
  Error e = {0};
  Store *store = open_sweep(trial);
  ck_assert(store_begin(store, &e));
  for (int i = FAKES - 1; i >= 0; i--) { /* in another order than the import's */
    const char *to = fake_folder("m-cpu", &fakes[i]);
    if (i == 2) {
      start(store, trial[i], to, 1, 0);
      step(store, trial[i], to, 1, "2");
    } else {
      run_trial(store, trial[i], to, &fakes[i]);
    }
  }
  ck_assert(store_commit(store, &e));
  event(store, 1, fake_folder("m-cpu", &fakes[0]), "verify-2.jsonl",
        "{\"event\":\"verification\",\"time\":5,\"class\":\"bitwise\",\"asked\":\"bitwise\","
        "\"outcome\":\"match\",\"steps\":4,\"detail\":\"\"}");
  ck_assert(store_recover(store, &e));
  ck_assert_msg(store_judge_points(store, "m-cpu", &e), "%s", e.message);
  char *live = dump(store);
  store_close(store);
  int trials = 0;
  store = import_into(at("results/rebuilt.db"), &trials);
  ck_assert_int_eq(trials, FAKES);
  char *rebuilt = dump(store);
  ck_assert_str_eq(live, rebuilt);
  ck_assert_msg(store_import(store, at("results"), &trials, &e), "%s", e.message); /* again */
  char *again = dump(store);
  ck_assert_str_eq(live, again);
  free(live);
  free(rebuilt);
  free(again);
  store_close(store);
}
END_TEST

/* results_schema_1.sql is what the harness of schema 1 made of these folders. */
START_TEST(an_old_database_is_brought_up_to_date) {
  int trials = 0;
  sqlite3 *db = NULL;
  int64_t trial[FAKES];
  store_close(open_finished_sweep(trial));
  for (int i = 0; i < FAKES; i++) {
    const char *folder = fake_folder("m-cpu", &fakes[i]) + strlen(scratch) + 1;
    ck_assert_int_eq(rename(at("%s/launches.jsonl", folder), at("%s/attempts.jsonl", folder)), 0);
  }
  char *sql = scratch_read(SOURCE_DIR "/tests/results_schema_1.sql"), *problem = NULL;
  sqlite3_open(at("results/old.db"), &db);
  ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &problem) == SQLITE_OK, "%s", problem);
  sqlite3_close(db);
  free(sql);
  Store *fresh = import_into(at("results/fresh.db"), &trials), *old = NULL;
  ck_assert_int_eq(trials, FAKES);
  /* A reader brings it up to date as a writer does. */
  Error e = {0};
  ck_assert_msg(store_open_readonly(&old, at("results/old.db"), &e), "%s", e.message);
  expect(old, "PRAGMA user_version", "7");
  /* What was read by the old program has no mark, and is read once more by the next run, whose end
   * computes the interquartile means. */
  sqlite3_exec(fresh->db, "UPDATE file_read SET line_at = 0, mark = ''; DELETE FROM point_iqm",
               NULL, NULL, NULL);
  char *a = dump(fresh), *b = dump(old);
  ck_assert_msg(!strcmp(a, b), "the old database differs from a fresh import");
  ck_assert_ptr_nonnull(strstr(b, "attempts.jsonl"));
  free(a);
  free(b);
  static const char *const views[] = {"trials", "baselines", "points", "curves", "attempts"};
  for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
    char query[64];
    snprintf(query, sizeof query, "SELECT * FROM %s ORDER BY 1, 2, 3", views[i]);
    a = rows(fresh->db, query);
    expect(old, query, a);
    free(a);
  }
  store_close(old);
  store_close(fresh);
}
END_TEST

/* Schema 3 had no place for the time of probes. */
START_TEST(a_database_of_before_probes_takes_them_in) {
  static const char back[] =
      "DROP VIEW points; DROP VIEW scores; DROP VIEW experiments; DROP VIEW baselines; "
      "DROP VIEW curves; DROP VIEW attempts; DROP VIEW trials; "
      "ALTER TABLE attempt DROP COLUMN probe_seconds; ALTER TABLE attempt DROP COLUMN "
      "energy_source; ALTER TABLE attempt DROP COLUMN energy_joules; ALTER TABLE attempt DROP "
      "COLUMN "
      "energy_step_joules; ALTER TABLE attempt DROP COLUMN energy_images; ALTER TABLE attempt DROP "
      "COLUMN energy_own_share; ALTER TABLE attempt DROP COLUMN energy_others; DROP TABLE import; "
      "PRAGMA user_version = 3";
  int64_t trial[FAKES];
  char *problem = NULL;
  Store *store = open_finished_sweep(trial);
  char *before = dump(store);
  ck_assert_msg(sqlite3_exec(store->db, back, NULL, NULL, &problem) == SQLITE_OK, "%s", problem);
  store_close(store);
  store = open_db(at("results/results.db"));
  expect(store, "PRAGMA user_version", "7");
  char *after = dump(store);
  ck_assert_msg(!strcmp(after, before), "the database differs from what it was");
  expect(store, "SELECT count(probe_seconds), count(knn_mean) FROM trials", "0|0");
  const char *to = fake_folder("m-cpu", &fakes[0]);
  for (int i = 1; i <= 2; i++)
    event(store, trial[0], to, EVENTS,
          "{\"event\":\"eval\",\"time\":2210,\"step\":%d,\"scorer\":\"probe\",\"images\":4,"
          "\"knn_mean\":%d,\"train_images\":9,\"classes\":3,\"seconds\":1.25}",
          2 * i, 40 + i);
  event(store, trial[0], to, EVENTS,
        "{\"event\":\"baseline\",\"time\":2220,\"name\":\"random\",\"images\":4,"
        "\"knn_mean\":30,\"train_images\":9,\"classes\":3,\"seconds\":0.5}");
  expect(store, "SELECT trial, knn_mean, probe_seconds FROM trials WHERE knn_mean IS NOT NULL",
         "1|42.0|3.0");
  expect(store, "SELECT step, value FROM curves WHERE quantity = 'eval_knn_mean' AND trial = 1",
         "2|41.0\n4|42.0");
  expect(store, "SELECT fill, knn_mean FROM baselines WHERE trial = 1 ORDER BY fill",
         "fill_mean|NULL\nrandom|30.0");
  free(before);
  free(after);
  store_close(store);
}
END_TEST

START_TEST(import_passes_over_damage) {
  int64_t trial[FAKES];
  Error e = {0};
  store_close(open_finished_sweep(trial));
  FILE *file = fopen(at("results/m-cpu/r0.5-s1/events.jsonl"), "a");
  fprintf(file, "garbage\n{\"event\":\"st");
  fclose(file);
  write_file(at("results/m-cpu/r0.5-s2/trial.json"), "{\"format\":1,");
  int trials = 0;
  Store *store = import_into(at("results/rebuilt.db"), &trials);
  ck_assert_int_eq(trials, FAKES - 1);
  expect(store, "SELECT count(*) FROM trials WHERE status = 'done'", "5");
  store_close(store);
  store = open_db(at("empty.db"));
  mkdir(at("empty"), 0777);
  ck_assert_msg(store_import(store, at("empty"), &trials, &e), "%s", e.message);
  ck_assert_int_eq(trials, 0);
  store_close(store);
}
END_TEST

/* The second piece of an import is the last thing that its process writes. */
static int commits;

static int die_at_the_third(void *unused) {
  (void)unused;
  if (++commits == 3) kill(getpid(), SIGKILL);
  return 0;
}

/* What is committed while an import goes on is whole trials, and marked as not all of them. */
START_TEST(a_killed_import_leaves_whole_trials) {
  int64_t trial[FAKES];
  Error e = {0};
  store_close(open_finished_sweep(trial));
  const char *path = at("results/rebuilt.db");
  int trials = 0;
  Store *store = import_into(at("results/whole.db"), &trials);
  char *whole = dump(store);
  store_close(store);
  pid_t child = fork();
  if (child == 0) {
    store = open_db(path);
    store->piece_rows = 1;
    sqlite3_commit_hook(store->db, die_at_the_third, NULL);
    store_import(store, at("results"), &trials, &e);
    _exit(0);
  }
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  bool cut = false;
  store = open_db(path);
  ck_assert(store_import_cut(store, &cut, &e) && cut);
  expect(store, "SELECT count(DISTINCT trial) FROM attempt", "2");
  expect(store, "SELECT count(*) FROM attempt WHERE status IS NULL", "0");
  ck_assert_msg(store_import(store, at("results"), &trials, &e), "%s", e.message);
  char *completed = dump(store);
  ck_assert_str_eq(completed, whole);
  ck_assert(store_import_cut(store, &cut, &e) && !cut);
  store_close(store);
  free(whole);
  free(completed);
}
END_TEST

/* Two machines gave out ids 1 and 2; the later created trials move, the same way every time. */
START_TEST(import_renumbers_clashing_ids) {
  const Fake here[] = {{1, 0.5, 1, 20}, {2, 0.5, 2, 20}},
             there[] = {{1, 0.6, 1, 19}, {3, 0.6, 2, 19}};
  write_sweep("a-cpu", 100, here, 2);
  write_sweep("b-cpu", 200, there, 2);
  for (int i = 0; i < 2; i++) {
    write_trial("a-cpu", &here[i]);
    write_trial("b-cpu", &there[i]);
    run_trial(NULL, 0, fake_folder("a-cpu", &here[i]), &here[i]);
    run_trial(NULL, 0, fake_folder("b-cpu", &there[i]), &there[i]);
  }
  int trials = 0;
  Store *store = import_into(at("results/first.db"), &trials);
  expect(store, "SELECT trial, experiment, seed, status FROM trials ORDER BY trial",
         "1|a-cpu|1|done\n2|a-cpu|2|done\n3|b-cpu|2|done\n4|b-cpu|1|done");
  char *first = dump(store);
  store_close(store);
  store = import_into(at("results/second.db"), &trials);
  char *second = dump(store);
  ck_assert_str_eq(first, second);
  free(first);
  free(second);
  store_close(store);
}
END_TEST

START_TEST(an_edited_plan_leaves_old_trials_out) {
  int64_t trial[FAKES], sweep = 0;
  Error e = {0};
  Store *store = open_finished_sweep(trial);
  write_sweep("m-cpu", 900, fakes, 3);
  ck_assert(store_add_sweep(store, at("results/m-cpu"), &sweep, &e));
  expect(store, "SELECT count(*), sum(planned) FROM trials", "6|3");
  /* Of a point whose plan has fewer seeds now, whichever of them has the lowest score. */
  write_sweep("m-cpu", 900, fakes + 1, 4);
  ck_assert(store_add_sweep(store, at("results/m-cpu"), &sweep, &e));
  expect(store,
         "SELECT mask_ratio, n, planned FROM points WHERE metric IN ('psnr_masked', "
         "'images_per_second') ORDER BY 1",
         "0.5|3|1\n0.5|3|1\n0.75|3|1\n0.75|3|1");
  write_sweep("m-cpu", 900, fakes, 3);
  ck_assert(store_add_sweep(store, at("results/m-cpu"), &sweep, &e));
  write_file(at("results/m-cpu/sweep.json"), "{\"format\":1,\"experiment\":\"m-cpu\"}");
  ck_assert(!store_add_sweep(store, at("results/m-cpu"), &sweep, &e));
  ck_assert_ptr_nonnull(strstr(e.message, "\"name\""));
  expect(store, "SELECT sum(planned) FROM trials", "3");
  store_close(store);
}
END_TEST

/* Statistics and printing -----------------------------------------------------------------------*/

START_TEST(points_agree_with_stats) {
  int64_t trial[FAKES];
  Store *store = open_finished_sweep(trial);
  sqlite3_stmt *statement = NULL;
  sqlite3_prepare_v2(store->db,
                     "SELECT n, mean, sd, low, high, settings, least, most FROM points "
                     "WHERE metric = 'psnr_masked' ORDER BY mask_ratio",
                     -1, &statement, NULL);
  for (int half = 0; half < 2; half++) {
    double values[3];
    for (int i = 0; i < 3; i++) values[i] = fakes[3 * half + i].psnr;
    Summary s = stats_summary(values, 3);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_column_int(statement, 0), 3);
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 1), s.mean, 1e-12);
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 2), s.sd, 1e-12);
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 3), s.mean - s.half, 1e-7);
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 4), s.mean + s.half, 1e-7);
    ck_assert_str_eq((const char *)sqlite3_column_text(statement, 5),
                     half ? "train.mask_ratio=0.75" : "train.mask_ratio=0.5");
    ck_assert(sqlite3_column_double(statement, 6) == values[0]);
    ck_assert(sqlite3_column_double(statement, 7) == values[2]);
  }
  ck_assert_int_eq(sqlite3_step(statement), SQLITE_DONE);
  sqlite3_finalize(statement);
  sqlite3_prepare_v2(store->db, "SELECT df, t975 FROM t_quantile", -1, &statement, NULL);
  int count = 0;
  for (; sqlite3_step(statement) == SQLITE_ROW; count++) {
    double t = stats_t_quantile(0.975, sqlite3_column_double(statement, 0));
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 1) / t, 1, 1e-8);
  }
  ck_assert_int_eq(count, 100);
  sqlite3_finalize(statement);
  store_close(store);
}
END_TEST

static char *compare(Store *store, const char *a, const char *b, const char *metric, bool json,
                     Error *e) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  bool ok = store_compare(store, out, a, b, metric, json, e);
  fclose(out);
  if (ok) return text;
  free(text);
  return NULL;
}

/* Of three seeds, of those that are done; forgotten when the sweep is planned anew. */
START_TEST(points_have_an_interquartile_mean) {
  static const char query[] = "SELECT mask_ratio, n, round(iqm, 4), iqm_low, iqm_high FROM points "
                              "WHERE metric = 'psnr_masked' ORDER BY 1";
  int64_t trial[FAKES], sweep;
  Error e = {0};
  Store *store = open_sweep(trial);
  for (int i = 0; i < FAKES - 1; i++)
    run_trial(store, trial[i], fake_folder("m-cpu", &fakes[i]), &fakes[i]);
  expect(store, query, "0.5|3|NULL|NULL|NULL\n0.75|2|NULL|NULL|NULL");
  ck_assert_msg(store_judge_points(store, "m-cpu", &e), "%s", e.message);
  expect(store, query, "0.5|3|21.5833|21.0|22.25\n0.75|2|NULL|NULL|NULL");
  expect(store, "SELECT count(*) FROM point_iqm WHERE metric = 'psnr_leaky' OR iqm IS NULL", "0");
  ck_assert(store_add_sweep(store, at("results/m-cpu"), &sweep, &e));
  expect(store, query, "0.5|3|NULL|NULL|NULL\n0.75|2|NULL|NULL|NULL");
  store_close(store);
}
END_TEST

START_TEST(compare_pairs_by_seed) {
  int64_t trial[FAKES];
  Error e = {0};
  Store *store = open_finished_sweep(trial);
  char *text = compare(store, "train.mask_ratio=.5", "m-cpu:train.mask_ratio=0.75", NULL, true, &e);
  ck_assert_msg(text != NULL, "%s", e.message);
  json_t *json = json_loads(text, 0, NULL);
  const double differences[] = {3, 2.75, 3.25};
  Summary s = stats_summary(differences, 3);
  ck_assert_double_eq_tol(json_real_value(json_object_get(json, "difference")), s.mean, 1e-12);
  ck_assert_double_eq_tol(json_real_value(json_object_get(json, "low")), s.mean - s.half, 1e-12);
  ck_assert(json_is_true(json_object_get(json, "paired")));
  ck_assert_double_eq_tol(json_real_value(json_object_get(json, "p")), 0.002306808147352133, 1e-9);
  ck_assert_double_eq(json_real_value(json_object_get(json, "iqm")), 3);
  ck_assert_double_eq(json_real_value(json_object_get(json, "iqm_low")), 2.75);
  ck_assert_double_eq_tol(json_real_value(json_object_get(json, "smallest_difference")),
                          5.6534892716012415 * 0.25 / sqrt(3), 1e-5);
  ck_assert_int_eq(json_integer_value(json_object_get(json, "seeds_needed")), 2);
  ck_assert(json_is_false(json_object_get(json, "same_masks")));
  json_decref(json);
  free(text);
  text = compare(store, "train.mask_ratio=0.5", "train.mask_ratio=0.75", NULL, false, &e);
  ck_assert_msg(strstr(text, "the seeds support it") && strstr(text, "A is higher than B by 3 dB"),
                "%s", text);
  free(text);
  /* images_per_second are 301, 302, 303 at both points: no difference at all. */
  text = compare(store, "train.mask_ratio=0.5", "train.mask_ratio=0.75", "images_per_second", false,
                 &e);
  ck_assert_msg(strstr(text, "A and B are equal for every seed") != NULL, "%s", text);
  free(text);
  text = compare(store, "1", "4", NULL, false, &e);
  ck_assert_msg(strstr(text, "Run more seeds") != NULL, "%s", text);
  ck_assert_msg(strstr(text, "in common") == NULL, "%s", text);
  free(text);
  /* A's mean is over three seeds, the difference over one: both means are said. */
  text = compare(store, "train.mask_ratio=0.5", "4", NULL, false, &e);
  char common[128];
  snprintf(common, sizeof common,
           "psnr_masked = %.5g dB over the 1 seed that A and B have in common", fakes[0].psnr);
  ck_assert_msg(strstr(text, common) && strstr(text, ", n = 3 ("), "%s", text);
  free(text);
  store_close(store);
}
END_TEST

/* Every pair differs by the same: no spread, so nothing that a t test could say. */
START_TEST(compare_needs_a_spread) {
  static const Fake even[] = {{1, 0.5, 1, 21}, {2, 0.5, 2, 22}, {3, 0.75, 1, 20}, {4, 0.75, 2, 21}};
  int trials;
  Error e = {0};
  write_sweep("m-cpu", 900, even, 4);
  for (int i = 0; i < 4; i++) {
    write_trial("m-cpu", &even[i]);
    run_trial(NULL, even[i].id, fake_folder("m-cpu", &even[i]), &even[i]);
  }
  Store *store = import_into(at("results/results.db"), &trials);
  char *text = compare(store, "train.mask_ratio=0.5", "train.mask_ratio=0.75", NULL, false, &e);
  ck_assert_msg(strstr(text, "All seeds differ by exactly 1 dB") && !strstr(text, "support it"),
                "%s", text);
  ck_assert_msg(!strstr(text, "interval 1") && !strstr(text, "power"), "%s", text);
  free(text);
  store_close(store);
}
END_TEST

/* A metric without a spread does not count among the comparisons. A seed whose psnr is NaN on one
 * side is left out. */
START_TEST(many_comparisons_are_corrected) {
  int64_t trial[FAKES];
  Error e = {0};
  Store *store = open_sweep(trial);
  for (int i = 0; i < FAKES; i++) {
    Fake fake = fakes[i];
    if (i == 5) fake.psnr = NAN;
    run_trial(store, trial[i], fake_folder("m-cpu", &fakes[i]), &fake);
  }
  char *text = compare(store, "train.mask_ratio=0.5", "train.mask_ratio=0.75",
                       "psnr_masked, ssim_composite", true, &e);
  ck_assert_msg(text != NULL, "%s", e.message);
  json_t *json = json_loads(text, 0, NULL), *first = json_array_get(json, 0);
  ck_assert_int_eq(json_array_size(json), 2);
  ck_assert_int_eq(json_integer_value(json_object_get(first, "n")), 2);
  ck_assert_int_eq(json_integer_value(json_object_get(first, "comparisons")), 1);
  ck_assert(json_is_null(json_object_get(json_array_get(json, 1), "p")));
  json_decref(json);
  free(text);
  text = compare(store, "train.mask_ratio=0.5", "train.mask_ratio=0.75", "all", false, &e);
  ck_assert_msg(
      strstr(text, "comparisons at once: 95% intervals of each alone; p corrected by Holm"), "%s",
      text);
  free(text);
  store_close(store);
}
END_TEST

/* Three points of an experiment are three comparisons: the smallest p counts threefold. */
START_TEST(points_of_an_experiment_are_compared) {
  static const Fake more[] = {{7, 0.9, 1, 20.9}, {8, 0.9, 2, 21.55}, {9, 0.9, 3, 22.2}};
  Fake all[FAKES + 3];
  int trials;
  Error e = {0};
  memcpy(all, fakes, sizeof fakes);
  memcpy(all + FAKES, more, sizeof more);
  write_sweep("m-cpu", 900, all, FAKES + 3);
  for (int i = 0; i < FAKES + 3; i++) {
    write_trial("m-cpu", &all[i]);
    run_trial(NULL, all[i].id, fake_folder("m-cpu", &all[i]), &all[i]);
  }
  Store *store = import_into(at("results/results.db"), &trials);
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  ck_assert_msg(store_compare_points(store, out, "m-cpu", NULL, true, &e), "%s", e.message);
  fclose(out);
  json_t *json = json_loads(text, 0, NULL), *list = json_object_get(json, "comparisons");
  ck_assert_int_eq(json_array_size(list), 3);
  json_t *first = json_array_get(list, 0);
  double smallest = json_real_value(json_object_get(json_array_get(list, 2), "p"));
  ck_assert_double_lt(smallest, json_real_value(json_object_get(first, "p")));
  ck_assert_double_eq_tol(json_real_value(json_object_get(json_array_get(list, 2), "p_holm")),
                          3 * smallest, 1e-12);
  /* Twice the second smallest would be less than that. */
  ck_assert_double_eq_tol(json_real_value(json_object_get(first, "p_holm")), 3 * smallest, 1e-12);
  ck_assert(json_is_true(json_object_get(first, "supported")));
  ck_assert(json_is_false(json_object_get(json_array_get(list, 1), "supported")));
  json_decref(json);
  free(text);
  store_close(store);
}
END_TEST

START_TEST(compare_refuses_what_is_unclear) {
  static const struct {
    const char *a, *metric, *words;
  } cases[] = {{"train.mask_ratio=0.9", NULL, "no trial"},
               {"run.device=auto", NULL, "fits 2 points"},
               {"seventeen", NULL, "neither a trial id nor settings"},
               {"train.mask_ratio=", NULL, "neither a trial id nor settings"},
               {"99", NULL, "no trial"},
               {"';DROP-TABLE-trial;--=1", NULL, "no trial"},
               {"1", "psnr", "no metric"},
               {"1", "psnr_leaky", "no finite psnr_leaky"}};
  int64_t trial[FAKES];
  Store *store = open_finished_sweep(trial);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Error e = {0};
    ck_assert_ptr_null(compare(store, cases[i].a, "1", cases[i].metric, false, &e));
    ck_assert_int_eq(e.code, EXIT_CONFIG);
    ck_assert_msg(strstr(e.message, cases[i].words) != NULL, "%s", e.message);
  }
  Error e = {0};
  ck_assert_ptr_null(compare(store, "99", "1", "all", false, &e));
  ck_assert_ptr_null(compare(store, "1", "99", "all", false, &e));
  ck_assert_int_eq(e.code, EXIT_CONFIG);
  ck_assert_msg(strstr(e.message, "\"99\": no trial") != NULL, "%s", e.message);
  store_close(store);
}
END_TEST

START_TEST(print_tables_and_json) {
  int64_t trial[FAKES];
  Error e = {0};
  Store *store = open_finished_sweep(trial);
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  ck_assert(
      store_print(store, out, "SELECT trial, psnr_masked, error FROM trials LIMIT 2", true, &e));
  fclose(out);
  json_t *json = json_loads(text, 0, NULL);
  ck_assert_int_eq(json_array_size(json), 2);
  ck_assert(json_number_value(json_object_get(json_array_get(json, 0), "psnr_masked")) == 21.0);
  json_decref(json);
  free(text);
  out = open_memstream(&text, &size);
  ck_assert(
      store_print(store, out, "SELECT trial, psnr_masked, error FROM trials LIMIT 1", false, &e));
  ck_assert(!store_print(store, out, "DELETE FROM step", false, &e));
  ck_assert(!store_print(store, out, "SELECT no_such_column FROM trials", false, &e));
  fclose(out);
  ck_assert_msg(strstr(text, "psnr_masked") && strstr(text, "21") && strstr(text, "-"), "%s", text);
  free(text);
  expect(store, "SELECT count(*) FROM step", "24");
  store_close(store);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_import");
  TCase *tests = tcase_create("store_import");
  tcase_add_checked_fixture(tests, scratch_setup, scratch_teardown);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, import_gives_the_same_rows);
  tcase_add_test(tests, an_old_database_is_brought_up_to_date);
  tcase_add_test(tests, a_database_of_before_probes_takes_them_in);
  tcase_add_test(tests, import_passes_over_damage);
  tcase_add_test(tests, a_killed_import_leaves_whole_trials);
  tcase_add_test(tests, import_renumbers_clashing_ids);
  tcase_add_test(tests, an_edited_plan_leaves_old_trials_out);
  tcase_add_test(tests, points_agree_with_stats);
  tcase_add_test(tests, compare_pairs_by_seed);
  tcase_add_test(tests, points_have_an_interquartile_mean);
  tcase_add_test(tests, compare_needs_a_spread);
  tcase_add_test(tests, many_comparisons_are_corrected);
  tcase_add_test(tests, points_of_an_experiment_are_compared);
  tcase_add_test(tests, compare_refuses_what_is_unclear);
  tcase_add_test(tests, print_tables_and_json);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
