/* `harness verify` with the real trainer: an intact trial is proved, and every kind of damage is
 * found and named. */
#include <glob.h>
#include <sqlite3.h>

#include "tests/scratch.h"
#include "tests/suite.h"

#define HARNESS PROGRAM_DIR "/harness"
#define EAGER PROGRAM_DIR "/../tests/eager_trainer"

static const char experiment[] = "[experiment]\n"
                                 "question = Is it found?\n"
                                 "[model]\n"
                                 "image_size = 16\n"
                                 "patch_size = 4\n"
                                 "encoder = 16x2x2\n"
                                 "decoder = 24x1x3\n"
                                 "[train]\n"
                                 "batch = 8\n"
                                 "steps = 6\n"
                                 "warmup_steps = 2\n"
                                 "[data]\n"
                                 "train_images = 16\n"
                                 "[eval]\n"
                                 "images = 8\n"
                                 "batch = 8\n"
                                 "every = 3\n"
                                 "[run]\n"
                                 "device = cpu\n"
                                 "threads = 1\n"
                                 "checkpoint_every = 3\n"
                                 "keep_checkpoints = 2\n"
                                 "keep = checkpoints\n"
                                 "[sweep]\n"
                                 "seeds = 1, 2\n";

/* Starts `harness` with words separated by spaces; output goes to the file `log`. */
static pid_t start(const char *words) {
  const char *argv[32] = {HARNESS};
  char text[512];
  int count = 1;
  snprintf(text, sizeof text, "%s", words);
  for (char *word = strtok(text, " "); word && count < 31; word = strtok(NULL, " "))
    argv[count++] = word;
  return scratch_start(argv, "log");
}

static void expect_code(const char *words, int code, const char *said) {
  int got = scratch_wait(start(words));
  char *log = scratch_read("log");
  ck_assert_msg(got == code, "%s: exit code %d, expected %d:\n%s", words, got, code, log);
  ck_assert_msg(strstr(log, said) != NULL, "%s: expected to read '%s' in:\n%s", words, said, log);
  free(log);
}

static void shell(const char *command) {
  ck_assert_msg(system(command) == 0, "%s", command);
}

static void change_db(const char *sql) {
  sqlite3 *db;
  ck_assert_int_eq(sqlite3_open_v2("r.db", &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
  ck_assert_msg(sqlite3_total_changes(db) > 0, "%s changes nothing", sql);
  sqlite3_close(db);
}

/* The first column of a query's first row. */
static void read_row(char text[256], const char *sql) {
  sqlite3 *db;
  sqlite3_stmt *row;
  ck_assert_int_eq(sqlite3_open_v2("r.db", &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
  ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
  snprintf(text, 256, "%s", (const char *)sqlite3_column_text(row, 0));
  sqlite3_finalize(row);
  sqlite3_close(db);
}

static void expect_row(const char *sql, const char *wanted) {
  char got[256];
  read_row(got, sql);
  ck_assert_str_eq(got, wanted);
}

/* One bit of a file, `from_end` bytes before its end. */
static void flip_bit(const char *pattern, long from_end) {
  glob_t found;
  ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
  FILE *file = fopen(found.gl_pathv[0], "r+b");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fseek(file, -from_end, SEEK_END), 0);
  int byte = fgetc(file);
  ck_assert_int_eq(fseek(file, -1, SEEK_CUR), 0);
  fputc(byte ^ 4, file);
  ck_assert_int_eq(fclose(file), 0);
  globfree(&found);
}

/* T becomes the folder of trial 1, whatever its name; trial 2's is U. */
static void run_sweep(const char *set) {
  char words[256];
  snprintf(words, sizeof words, "run exp.ini --scale none --db r.db --out out%s", set);
  expect_code(words, 0, "done");
  shell("ln -s $(dirname $(grep -l '\"id\": 1,' out/exp/*/trial.json)) T && "
        "ln -s $(dirname $(grep -l '\"id\": 2,' out/exp/*/trial.json)) U");
}

static void setup(void) {
  scratch_setup();
  unsetenv("MAE");
  char cache[128];
  snprintf(cache, sizeof cache, "%s/cache", scratch);
  setenv("XDG_CACHE_HOME", cache, 1);
  scratch_write("exp.ini", experiment);
  run_sweep("");
}

#define VERIFY "verify 1 --db r.db"
/* As versions before the seals wrote it; the database is of the file as it is now. */
#define UNSEAL "sed -i 's/,\"seal\":\"[0-9a-f]*\"}$/}/' T/*.jsonl"
static void unsealed(const char *edit) {
  shell(UNSEAL);
  shell(edit);
  shell("rm r.db*");
  expect_code("import --db r.db --out out", 0, "trials of out");
}

START_TEST(intact_trials_pass) {
  expect_code(VERIFY, 0, "trial 1: bitwise. The numbers of 6 steps, 36 scores and the training");
  expect_code(VERIFY " --steps 4", 0, "no state was recorded at that step");
  expect_code(VERIFY " --steps 3", 0, "The numbers of 3 steps, ");
  expect_code(VERIFY " --class numerical", 0, "bitwise");
  expect_row("SELECT group_concat(asked || ' ' || class || ' ' || outcome || ' ' || steps, ', ') "
             "FROM (SELECT * FROM verification ORDER BY time)",
             "bitwise bitwise match 6, bitwise bitwise match 4, bitwise bitwise match 3, "
             "numerical bitwise match 6");
  /* Nothing of it stays but the outcomes, and they are no damage. */
  shell("test $(ls T/ | grep -c verify-) = 4 && test $(ls T/verify-*.jsonl | wc -l) = 4");
  unsealed("true");
  expect_code(VERIFY, 0, "the event file is unsealed");
  expect_row("SELECT detail FROM verification ORDER BY time DESC", "unsealed event file");
  /* What is not there any more is said, and is no damage. */
  shell("rm -r T/checkpoints T/sheet.png");
  expect_code(VERIFY, 0, "checkpoints/step-6 is not there: not checked");
  expect_code(VERIFY, 0, "sheet.png is not there: not compared");
}
END_TEST

/* Each has a folder and an outcome of its own, also when both begin in one second. */
START_TEST(two_verifications_at_once) {
  shell(HARNESS " " VERIFY " > a 2>&1 & first=$!; " HARNESS " " VERIFY " > b 2>&1; wait $first; "
                "grep -q 'trial 1: bitwise' a && grep -q 'trial 1: bitwise' b");
  shell("test $(ls T/verify-*.jsonl | wc -l) = 2");
}
END_TEST

/* A run that was interrupted and went on has more files and lines than one that was not. */
#define SHORT_RUN "run exp.ini --scale none --db j.db --out j --set sweep.seeds=1"
START_TEST(a_resumed_trial_passes) {
  scratch_write("stopper", "#!/bin/sh\nexec \"$@\" --stop-after 4\n");
  shell("chmod +x stopper");
  expect_code(SHORT_RUN " --set resources.launcher=./stopper", 1, "interrupted: stopped at step 4");
  expect_code(SHORT_RUN, 0, "done");
  expect_code("verify 1 --db j.db", 0, "trial 1: bitwise. The numbers of 6 steps, ");
}
END_TEST

/* Each is found before anything is trained. */
static const struct Damage {
  const char *file; /* a bit of it is flipped */
  long from_end;
  const char *command, *sql; /* or one of these is done */
  const char *said;
} damages[] = {
    {"T/checkpoints/step-6/model.safetensors", 9, NULL, NULL, "model.safetensors: the file was"},
    {"T/checkpoints/step-6/state.safetensors", 99, NULL, NULL, "step-6 is damaged"},
    {"T/checkpoints/step-3/state.safetensors", 9, NULL, NULL, "step-3 is damaged"},
    {"T/sheet.png", 20, NULL, NULL, "sheet.png: the file was changed: its SHA-256 is"},
    {"cache/maebench/*.pack", 5000, NULL, NULL, ".pack"},
#define EVENT(event, key, said)                                                                    \
  {                                                                                                \
    NULL, 0,                                                                                       \
        "sed -i '/\"event\":\"" event "\"/s/\"" key "\":[0-9.e-]*/\"" key                          \
        "\":0.125/' T/events.jsonl",                                                               \
        NULL, said                                                                                 \
  }
    EVENT("eval", "psnr_composite", "events.jsonl:5: the line does not follow"),
    EVENT("baseline", "psnr_masked", "events.jsonl:14: the line does not follow"),
    EVENT("step", "images_per_second", "events.jsonl:2: the line does not follow"),
    EVENT("step", "lr", "step 1: lr is 0.0, its files say 0.125"),
    EVENT("step", "grad_norm", "events.jsonl:2: the line does not follow"),
    EVENT("step", "loss", "events.jsonl:2: the line does not follow"),
#undef EVENT
    {NULL, 0, "sed -i '/\"event\":\"end\"/s/state_sha256\":\"./state_sha256\":\"Z/' T/events.jsonl",
     NULL, "the end event has state_sha256 Z"},
    {NULL, 0, "truncate -s -200 T/events.jsonl", NULL, "events.jsonl was cut, emptied or lost"},
    {NULL, 0, ": > T/events.jsonl", NULL, "events.jsonl was cut, emptied or lost"},
    {NULL, 0, "sed -i '/\"step\":2,/d' T/events.jsonl", NULL, "events.jsonl:3: the line does not"},
    {NULL, 0, "sed -i 's/\"pid\":[0-9]*/\"pid\":1/' T/launches.jsonl", NULL, "launches.jsonl:1: "},
    {NULL, 0, "sed -i 's/^blr = .*/blr = 0.03/' T/config.ini", NULL,
     "config.ini: train.blr = 0.03, the run was started with"},
    {NULL, 0, ": > T/config.ini", NULL, "config.ini: model.image_size = "},
    {NULL, 0, "sed -i 's/\"config_hash\": \"./\"config_hash\": \"Z/' T/trial.json", NULL,
     "trial.json: config_hash is Z"},
    {NULL, 0, "sed -i 's/\"run.seed\": \"1\"/\"run.seed\": \"7\"/' T/trial.json", NULL,
     "trial.json: swept \"run.seed\" is 7, the run was started with 1"},
    {NULL, 0, "cp U/events.jsonl T/events.jsonl", NULL, "config.ini: run.seed = 1"},
    {NULL, 0, NULL, "UPDATE metric SET value = 31.5 WHERE trial = 1 AND name = 'psnr_masked'",
     "metric fill_mean 0 psnr_masked: value is 31.5, its files say"},
    {NULL, 0, NULL, "UPDATE step SET loss = 31.5 WHERE trial = 1 AND step = 2",
     "r.db: step 2: loss is 31.5, its files say"},
    {NULL, 0, NULL, "UPDATE step SET grad_norm = 31.5 WHERE trial = 1 AND step = 2",
     "r.db: step 2: grad_norm is 31.5, its files say"},
    {NULL, 0, NULL, "DELETE FROM step WHERE trial = 1 AND step = 2",
     "r.db: step 2: the row is missing"},
    {NULL, 0, NULL, "INSERT INTO metric VALUES (1, 'model', 6, 'psnr_better', 1, 99.0, 'finite')",
     "r.db: metric model 6 psnr_better: a row that its files do not have"},
    {NULL, 0, NULL, "UPDATE attempt SET state_sha256 = 'Z' WHERE trial = 1",
     "r.db: attempt 1: state_sha256 is Z, its files say"},
    {NULL, 0, NULL, "UPDATE attempt SET status = 'failed' WHERE trial = 1",
     "r.db: attempt 1: status is failed, its files say done"},
    {NULL, 0, NULL, "UPDATE launch SET status = 'failed' WHERE trial = 1",
     "r.db: launch 1: status is failed, its files say done"},
    {NULL, 0, NULL, "UPDATE param SET value = '0.9' WHERE trial = 1 AND key = 'train.mask_ratio'",
     "r.db: param train.mask_ratio: value is 0.9, its files say 0.75"},
    {NULL, 0, NULL, "UPDATE trial SET point = 'Z' WHERE trial = 1", "r.db: trial: point is Z"},
};

START_TEST(damage_is_found_and_named) {
  const struct Damage *damage = &damages[_i];
  if (damage->file) flip_bit(damage->file, damage->from_end);
  if (damage->command) shell(damage->command);
  if (damage->sql) change_db(damage->sql);
  expect_code(VERIFY, 3, damage->said);
  expect_code(VERIFY " --class statistical", 3, damage->said);
  expect_code(VERIFY " --class numerical", 3, "was recorded is damaged, and it was not trained");
  expect_row("SELECT DISTINCT class || outcome || substr(detail, 1, 9) FROM verification",
             "mismatchdamaged: ");
  /* Another trial of the sweep is as good as before, unless its images are damaged. */
  if (!damage->file || strncmp(damage->file, "cache", 5))
    expect_code("verify 2 --db r.db", 0, "trial 2: bitwise");
}
END_TEST

/* Numbers that no seal protects are found when they are computed again. */
static const struct {
  const char *edit, *said;
  int numerical; /* exit code of --class numerical */
} recomputed[] = {
#define EVENT(event, key, value, said, numerical)                                                  \
  {                                                                                                \
    "sed -i '/\"event\":\"" event "\"/s/\"" key "\":[0-9.e-]*/\"" key "\":" value "/' "            \
    "T/events.jsonl",                                                                              \
        said, numerical                                                                            \
  }
    EVENT("step", "loss", "0.125", "loss of step 1: 0.125 recorded", 3),
    EVENT("step", "lr", "0.125", "lr of step 1: 0.125 recorded", 3),
    EVENT("step", "grad_norm", "0.125", "grad_norm of step 1: 0.125 recorded", 3),
    EVENT("step", "loss_scale", "2", "loss_scale of step 1: 2 recorded, 1 now", 3),
    EVENT("step", "epoch", "2", "epoch of step 1: 2 recorded, 0.5 now", 3),
    EVENT("eval", "psnr_composite", "31.5", "psnr_composite of model at step 3: 31.5 recorded", 3),
    EVENT("eval", "ssim_full", "0.9", "ssim_full of model at step 3: 0.9 recorded", 3),
    EVENT("baseline", "psnr_masked", "31.5", "psnr_masked of fill_mean: 31.5 recorded", 3),
#undef EVENT
    {"sed -i '/\"step\":4,/s/\"grad_norm\":\\([0-9.]*\\)[0-9]/\"grad_norm\":\\1/' T/events.jsonl",
     "step 4 is the first that differs\n  grad_norm of step 4: ", 0},
    {"sed -i '/\"step\":6,/s/\\(\"psnr_masked\":[0-9.]*\\)[0-9]/\\1/' T/events.jsonl",
     "psnr_masked of model at step 6: ", 0},
    {"sed -i 's/\"kind\":\"sheet\",\\(.*\\)\"sha256\":\"./\"kind\":\"sheet\",\\1\"sha256\":\"Z/' "
     "T/events.jsonl; rm T/sheet.png",
     "sheet.png has SHA-256 Z", 0},
    {"sed -i 's/state_sha256\":\"./state_sha256\":\"Z/' T/events.jsonl; rm -r T/checkpoints",
     "the training state (weights, moments, counters) has SHA-256 Z", 0},
};

START_TEST(other_numbers_are_found_and_named) {
  unsealed(recomputed[_i].edit);
  expect_code(VERIFY, 3, recomputed[_i].said);
  expect_code(VERIFY " --class numerical", recomputed[_i].numerical,
              "What was recorded fits together; training again gave other numbers");
}
END_TEST

/* Probes
 * -----------------------------------------------------------------------------------------*/

static void setup_probed(void) {
  scratch_setup();
  unsetenv("MAE");
  char cache[128];
  snprintf(cache, sizeof cache, "%s/cache", scratch);
  setenv("XDG_CACHE_HOME", cache, 1);
  scratch_write("exp.ini", experiment);
  run_sweep(" --set data.train_images=32 --set probe.method=knn --set probe.every=3"
            " --set probe.features=mean --set probe.eval_images=60");
}

/* Whether a query's only number is 1. */
#define EXPECT_TRUE(sql) expect_row("SELECT " sql, "1")

START_TEST(probes_are_taken_in) {
  EXPECT_TRUE("count(*) = 2 AND min(knn_mean) >= 0 AND max(knn_mean) <= 100 AND "
              "count(knn_mean_prenorm) = 2 AND count(linear_mean) + count(knn_cls) = 0 FROM trials "
              "WHERE status = 'done'");
  EXPECT_TRUE("count(*) = 2 AND min(probe_seconds) > 0 AND "
              "max(probe_seconds < wall_seconds) = 1 FROM trials");
  expect_row("SELECT group_concat(fill || ' ' || (knn_mean IS NOT NULL) || ' ' || "
             "(psnr_masked IS NOT NULL), ', ') FROM (SELECT * FROM baselines WHERE trial = 1 "
             "ORDER BY fill)",
             "chance 1 0, fill_harmonic 0 1, fill_mean 0 1, pixels 1 0, random 1 0");
  EXPECT_TRUE("n = 2 AND least <= mean AND mean <= most AND low <= mean FROM points "
              "WHERE metric = 'knn_mean'");
  EXPECT_TRUE("abs(mean - (SELECT avg(knn_mean) FROM trials)) < 1e-9 FROM points "
              "WHERE metric = 'knn_mean'");
  expect_row("SELECT group_concat(trial || ':' || step, ' ') FROM (SELECT * FROM curves WHERE "
             "quantity = 'eval_knn_mean' AND kind = 'finite' ORDER BY trial, step)",
             "1:3 1:6 2:3 2:6");
  /* The last of a curve is the trial's number. */
  EXPECT_TRUE("count(*) = 2 FROM curves JOIN trials USING (trial) WHERE step = 6 AND "
              "quantity = 'eval_knn_mean' AND value = knn_mean");
}
END_TEST

/* The same files read once more, or anew, say the same. */
START_TEST(probes_are_counted_once) {
  const char *sql = "SELECT group_concat(printf('%d %.9f %.9f', trial, probe_seconds, knn_mean), "
                    "', ') FROM (SELECT * FROM trials ORDER BY trial)";
  char before[256];
  read_row(before, sql);
  change_db("UPDATE file_read SET line_at = 0, mark = ''");
  expect_code("import --db r.db --out out", 0, "trials of out");
  expect_row(sql, before);
  shell("rm r.db*");
  expect_code("import --db r.db --out out", 0, "trials of out");
  expect_row(sql, before);
}
END_TEST

/* A probe is proved as any score is; its time is not. */
START_TEST(probes_are_verified) {
  expect_code(VERIFY, 0, "trial 1: bitwise");
  unsealed("sed -i 's/\"seconds\":[0-9.e-]*/\"seconds\":9.5/' T/events.jsonl");
  expect_code(VERIFY, 0, "trial 1: bitwise");
  static const struct {
    const char *edit, *said;
  } edits[] = {{"/\"scorer\":\"probe\"/s/\"knn_mean\":[0-9.e-]*/\"knn_mean\":77.5/",
                "knn_mean of probe at step 3: 77.5 recorded"},
               {"/\"name\":\"pixels\"/s/\"knn_mean_prenorm\":[0-9.e-]*/\"knn_mean_prenorm\":77.5/",
                "knn_mean_prenorm of pixels: 77.5 recorded"},
               {"/\"name\":\"random\"/s/\"knn_mean\":[0-9.e-]*/\"knn_mean\":77.5/",
                "knn_mean of random: 77.5 recorded"}};
  shell("cp T/events.jsonl kept.jsonl");
  for (int i = 0; i < 3; i++) {
    char edit[256];
    snprintf(edit, sizeof edit, "cp kept.jsonl T/events.jsonl && sed -i '%s' T/events.jsonl",
             edits[i].edit);
    unsealed(edit);
    expect_code(VERIFY, 3, edits[i].said);
  }
}
END_TEST

#define WORKS(folder) "grep -c '\"event\":\"work\"' " folder "/events.jsonl"

/* A trainer that said how far its long jobs were made the same result as one that said nothing, and
 * the database has all of it. */
START_TEST(work_is_no_part_of_the_result) {
  shell("rm T U");
  run_sweep(" --set sweep.seeds=3,4 --set data.train_images=32 --set probe.method=knn"
            " --set probe.features=mean --set probe.eval_images=60 --mae " EAGER);
  shell("! grep -q 'left out' log && rm -f T");
  shell("ln -s $(dirname $(grep -l '\"seed\": 3,' out/exp/*/trial.json)) T");
  shell("test $(" WORKS("T") ") -gt 10");
  char trial[256], words[1024];
  read_row(trial, "SELECT trial FROM trials WHERE seed = 3");
  static const char *const by[] = {EAGER, PROGRAM_DIR "/mae"};
  for (int i = 0; i < 2; i++) {
    snprintf(words, sizeof words, "verify %s --db r.db --mae %s", trial, by[i]);
    expect_code(words, 0, ": bitwise");
  }
  /* Read anew, the files say the same. */
  const char *sql = "SELECT group_concat(trial || ' ' || status || ' ' || knn_mean, ', ') FROM "
                    "(SELECT * FROM trials ORDER BY trial)";
  char before[256];
  read_row(before, sql);
  shell("rm r.db*");
  expect_code("import --db r.db --out out", 0, "trials of out");
  shell("! grep -q 'left out' log");
  expect_row(sql, before);
}
END_TEST

START_TEST(an_edited_probe_breaks_its_seal) {
  shell("sed -i '/\"scorer\":\"probe\"/s/\"knn_mean\":[0-9.e-]*/\"knn_mean\":77.5/' "
        "T/events.jsonl");
  expect_code(VERIFY, 3, "damaged");
  change_db("UPDATE metric SET value = 77.5 WHERE trial = 2 AND name = 'knn_mean' AND step = 6");
  expect_code("verify 2 --db r.db", 3, "knn_mean");
}
END_TEST

/* A whole checkpoint of another trial is sound in itself. */
START_TEST(another_trials_checkpoint_is_found) {
  shell("mv T/checkpoints kept && cp -r U/checkpoints T/checkpoints");
  expect_code(VERIFY, 3, "step-6: its state has SHA-256");
  shell("rm -r T/checkpoints && mv kept T/checkpoints");
  expect_code(VERIFY, 0, "bitwise");
}
END_TEST

START_TEST(few_seeds_support_no_statistics) {
  expect_code(VERIFY " --class statistical", 2,
              "needs at least 3 other finished seeds of this point to know how far seeds lie "
              "apart, and there are 1");
  expect_code(VERIFY " --class statistical --steps 3", 2, "without --steps");
  shell("test -z \"$(ls T/ | grep verify-)\""); /* nothing was trained */
  /* A score of +10 dB and a class that two seeds cannot prove. */
  unsealed("sed -i '/\"step\":6,/s/\"psnr_masked\":[0-9.]*/\"psnr_masked\":21.5/' T/events.jsonl");
  expect_code(VERIFY, 3, "that takes 3 other finished seeds, and there are 1");
  expect_code(VERIFY " --class statistical", 2, "run 2 more");
  shell("rm T U");
  run_sweep(" --set sweep.seeds=1..4");
  expect_code(VERIFY " --class statistical", 3, "(21.500 dB recorded) lies outside");
  /* Within what other seeds give it is proved, and no more than that. */
  char mean[256], edit[256], said[512];
  read_row(mean, "SELECT printf('%.3f', avg(psnr_masked)) FROM trials WHERE trial > 1");
  snprintf(edit, sizeof edit,
           "sed -i '/\"step\":6,/s/\"psnr_masked\":[0-9.]*/\"psnr_masked\":%.16s/' "
           "T/events.jsonl",
           mean);
  snprintf(said, sizeof said, "(%s dB recorded) lies within", mean);
  unsealed(edit);
  expect_code(VERIFY " --class statistical", 0, said);
  expect_code(VERIFY, 3, "not bitwise; statistical");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("verify");
  TCase *cases = tcase_create("verify");
  tcase_set_timeout(cases, 120);
  tcase_add_checked_fixture(cases, setup, scratch_teardown);
  tcase_add_test(cases, intact_trials_pass);
  tcase_add_test(cases, two_verifications_at_once);
  tcase_add_test(cases, a_resumed_trial_passes);
  tcase_add_loop_test(cases, damage_is_found_and_named, 0, sizeof damages / sizeof *damages);
  tcase_add_loop_test(cases, other_numbers_are_found_and_named, 0,
                      sizeof recomputed / sizeof *recomputed);
  tcase_add_test(cases, another_trials_checkpoint_is_found);
  tcase_add_test(cases, few_seeds_support_no_statistics);
  suite_add_tcase(suite, cases);
  TCase *probes = tcase_create("probes");
  tcase_set_timeout(probes, 120);
  tcase_add_checked_fixture(probes, setup_probed, scratch_teardown);
  tcase_add_test(probes, probes_are_taken_in);
  tcase_add_test(probes, probes_are_counted_once);
  tcase_add_test(probes, probes_are_verified);
  tcase_add_test(probes, work_is_no_part_of_the_result);
  tcase_add_test(probes, an_edited_probe_breaks_its_seal);
  suite_add_tcase(suite, probes);
  return suite_run(suite);
}
