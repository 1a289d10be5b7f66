/* What trials keep on a disk that is small: run.keep, `harness clean`, --disk-limit. */
#include <signal.h>

#include "mae/base/error.h"
#include "mae/model/safetensors.h"
#include "tests/suite.h"
#include "tests/sweep.h"

static const char tiny[] = "[model]\n"
                           "image_size = 16\npatch_size = 4\n"
                           "encoder = 32x2x2\ndecoder = 16x1x2\n"
                           "[train]\n"
                           "batch = 8\nsteps = 6\nprecision = bf16\n"
                           "[data]\ntrain_images = 16\n"
                           "[eval]\nimages = 8\nbatch = 8\n"
                           "[run]\n"
                           "device = cpu\nthreads = 1\nemulate = true\ncheckpoint_every = 2\n"
                           "[sweep]\nseeds = 1\n";

static void setup_tiny(void) {
  setup();
  scratch_write("exp.ini", tiny);
}

static void shell(const char *command) {
  ck_assert_msg(system(command) == 0, "%s", command);
}

#define RUN_REAL "run exp.ini --scale none --db r.db --out out"
#define STEP "out/exp/*/checkpoints/step-6/"

/* `mae` with words; its exit code. */
static int mae(const char *words) {
  char command[512];
  snprintf(command, sizeof command, REAL " %s > said 2>&1", words);
  int status = system(command);
  return WEXITSTATUS(status);
}

static void expect_said(int code, int wanted, const char *said) {
  char *text = scratch_read("said");
  ck_assert_msg(code == wanted && strstr(text, said), "exit code %d, expected %d and '%s':\n%s",
                code, wanted, said, text);
  free(text);
}

static const struct Kept {
  const char *policy, *files; /* in the last checkpoint */
  int features, whole;        /* exit codes of commands that need the encoder, and all */
} kept[] = {{"none", "", EXIT_DATA, EXIT_DATA},
            {"encoder", "encoder.safetensors ", 0, EXIT_DATA},
            {"weights", "model.safetensors ", 0, 0},
            {"auto", "model.safetensors ", 0, 0},
            {"checkpoints", "model.safetensors state.safetensors ", 0, 0}};

START_TEST(a_policy_keeps_what_it_says) {
  char words[256];
  snprintf(words, sizeof words, RUN_REAL " --set run.keep=%s", kept[_i].policy);
  expect_code(words, 0, "done");
  shell("ls out/exp/*/checkpoints > steps; ls " STEP " 2> /dev/null | tr '\\n' ' ' > files");
  char *files = scratch_read("files");
  ck_assert_str_eq(files, kept[_i].files);
  free(files);
  shell("ln -s $(dirname out/exp/*/trial.json) T");
  expect_said(mae("features --checkpoint T --split eval --out f.safetensors"), kept[_i].features,
              kept[_i].features ? "its weights were not kept (run.keep)" : "");
  expect_said(mae("export T --format timm --out t.safetensors"), kept[_i].features, "");
  expect_said(mae("eval --checkpoint T"), kept[_i].whole,
              !kept[_i].whole     ? ""
              : kept[_i].features ? "its weights were not kept (run.keep)"
                                  : "only the encoder was kept (run.keep)");
  expect_said(mae("export T --format hf --out h.safetensors"), kept[_i].whole, "");
  /* The bits are proved all the same, and the folder that proves them has the weights. */
  expect_code("verify 1 --db r.db --keep", 0, "trial 1: bitwise");
  ck_assert_int_eq(mae("eval --checkpoint T/verify-*Z"), 0);
}
END_TEST

static TensorFile opened(const char *path) {
  TensorFile file;
  Error e;
  ck_assert_msg(safetensors_open(&file, path, &e), "%s", e.message);
  return file;
}

/* The encoder's matrices are stored as training read them, so what it makes of images is the same
 * in every bit. */
START_TEST(features_of_the_encoder_alone_are_the_same) {
  expect_code(RUN_REAL " --set run.keep=weights", 0, "done");
  shell("ln -s $(dirname out/exp/*/trial.json) T");
  ck_assert_int_eq(mae("features --checkpoint T --split eval --out whole"), 0);
  shell("du -b " STEP "model.safetensors | cut -f1 > bytes");
  expect_code("clean --out out --db r.db --keep encoder", 0, "freed, 1 trial");
  shell("test $(du -b " STEP "encoder.safetensors | cut -f1) -lt $(($(cat bytes) * 6 / 10))");
  ck_assert_int_eq(mae("features --checkpoint T --split eval --out encoder"), 0);
  TensorFile whole = opened("whole"), encoder = opened("encoder");
  ck_assert_int_eq(whole.count, encoder.count);
  for (int i = 0; i < whole.count; i++)
    ck_assert_mem_eq(whole.tensors[i].data, encoder.tensors[i].data, whole.tensors[i].bytes);
  safetensors_close(&whole);
  safetensors_close(&encoder);
  expect_code("verify 1 --db r.db", 0, "encoder.safetensors was kept (run.keep = encoder)");
}
END_TEST

/* Removal by policy is told from loss and from change. */
START_TEST(what_no_policy_removed_is_damage) {
  expect_code(RUN_REAL " --set run.keep=checkpoints", 0, "done");
  shell("cp -r out whole && rm " STEP "state.safetensors");
  expect_code("verify 1 --db r.db", 3, "state.safetensors");
  shell("rm -r out && mv whole out");
  expect_code("clean --out out --db r.db --keep encoder", 0, "freed");
  shell("printf x | dd of=$(ls " STEP "encoder.safetensors) bs=1 seek=9000 conv=notrunc 2> dd");
  expect_code("verify 1 --db r.db", 3, "encoder.safetensors: the file was changed");
}
END_TEST

/* An encoder is made of recorded weights only. */
START_TEST(damaged_weights_are_left_as_they_are) {
  expect_code(RUN_REAL " --set run.keep=checkpoints", 0, "done");
  shell("printf x | dd of=$(ls " STEP "model.safetensors) bs=1 seek=9000 conv=notrunc 2> dd");
  expect_code("clean --out out --db r.db --keep encoder", 1, "model.safetensors is damaged");
  shell("ls " STEP "state.safetensors " STEP "model.safetensors > names");
}
END_TEST

START_TEST(clean_says_before_it_does) {
  expect_code(RUN_REAL " --set run.keep=checkpoints --set run.keep_checkpoints=3", 0, "done");
  shell("test $(ls out/exp/*/checkpoints | wc -l) = 3");
  shell("mkdir $(dirname out/exp/*/trial.json)/superseded-9 && dd if=/dev/zero of=big bs=1000 "
        "count=500 2> dd && "
        "mv big $(echo out/exp/*/superseded-9)/");
  shell("mkdir $(dirname out/exp/*/trial.json)/verify-20200101T000000Z");
  shell("find out -type f | xargs md5sum | sort > before");
  expect_code("clean --out out --db r.db --keep weights --dry-run", 0, "would be freed, 1 trial");
  shell("find out -type f | grep -v /lock | xargs md5sum | sort > after; "
        "grep -v /lock before | cmp - after");
  expect_code("clean --out out --db r.db", 0, "exp: 0 B freed, 1 trial");
  shell("test ! -e out/exp/*/verify-20200101T000000Z && test -e out/exp/*/superseded-9");
  expect_code("clean exp --out out --db r.db --keep weights", 0, "freed, 1 trial");
  shell("test $(ls out/exp/*/checkpoints) = step-6 && test $(ls " STEP ") = model.safetensors");
  expect_code("clean --out out --db r.db --superseded", 0, "exp: 500 kB freed");
  shell("test ! -e out/exp/*/superseded-9");
  expect_code("verify 1 --db r.db", 0, "trial 1: bitwise");
  expect_code("clean other --out out --db r.db", 2, "out has no experiment other; it has exp");
  expect_code("clean exp exp --out out --db r.db", 0, "exp: 0 B freed, 1 trial");
  expect_code("clean --keep much --out out --db r.db", 2, "--keep");
  expect_code("clean --out nowhere --db r.db", 4, "nowhere: there is no experiment in it");
}
END_TEST

/* A trial that is not done keeps its newest checkpoint; one that runs is left alone. */
START_TEST(clean_leaves_the_unfinished_what_they_need) {
  setenv("FAKE_TRAINER", "until:15:go", 1);
  scratch_write("exp.ini", experiment);
  pid_t child = start_harness(RUN_FAKE " --set sweep.seeds=1 --set train.mask_ratio=0.5");
  wait_for("grep -qs '\"step\":15,' out/exp/*/events.jsonl");
  ck_assert_int_eq(rename("log", "first"), 0);
  expect_code("clean --out out --db r.db", 0, "left alone: process");
  shell("test -e out/exp/*/checkpoints/step-10");
  kill(child, SIGINT);
  ck_assert_int_eq(scratch_wait(child), 128 + SIGINT);
  shell("ls out/exp/*/checkpoints | sort -t - -k 2 -n | tail -1 > newest");
  expect_code("clean --out out --db r.db", 0, "freed, 1 trial");
  shell("ls out/exp/*/checkpoints | cmp - newest");
  unsetenv("FAKE_TRAINER");
  expect_code(RUN_FAKE " --set sweep.seeds=1 --set train.mask_ratio=0.5", 0,
              "1 continue from their checkpoint");
}
END_TEST

START_TEST(a_hundred_base_models_fit_in_20_gb) {
  scratch_write("base.ini", "[model]\nimage_size = 224\npatch_size = 16\nencoder = vit_base\n"
                            "decoder = 512x8x16\n[train]\nsteps = 5000\nprecision = fp16\n"
                            "[run]\ncheckpoint_every = 500\n[sweep]\nseeds = 1..100\n");
#define PLAN "run base.ini --scale none --db r.db --out out --mae " FAKE " --dry-run"
  expect_code(PLAN " --jobs 1 --disk-limit 20GB", 0, "17.4 GB in the end");
  expect_code(PLAN " --jobs 2 --disk-limit 20GB", 0, "near --disk-limit fewer than 2 trials run");
  expect_code(PLAN " --json --set sweep.seeds=1", 0, "\"disk_kept_bytes\": 17");
  expect_code(PLAN " --jobs 1 --set run.keep=weights --disk-limit 40GB", EXIT_DISK,
              "base does not fit: it needs up to 47");
}
END_TEST

static const struct Limit {
  const char *text;
  int code;
  const char *said;
} limits[] = {{"20", EXIT_DISK, "exp does not fit"},
              {"1kB", EXIT_DISK, "--disk-limit allows 1.00 kB"},
              {"0.5 MiB", EXIT_DISK, "524 kB"},
              {"big", EXIT_CONFIG, "--disk-limit big: expected a size such as 20GB"},
              {"-3GB", EXIT_CONFIG, "--disk-limit -3GB"},
              {"5GX", EXIT_CONFIG, "--disk-limit 5GX"},
              {"0", EXIT_CONFIG, "--disk-limit 0"},
              {"nan", EXIT_CONFIG, "--disk-limit nan"}};

START_TEST(a_limit_that_nothing_fits_into) {
  const char *argv[] = {HARNESS, "run",          "exp.ini",       "--scale", "none",
                        "--db",  "r.db",         "--out",         "out",     "--mae",
                        FAKE,    "--disk-limit", limits[_i].text, NULL};
  int code = scratch_wait(scratch_start(argv, "log"));
  char *log = scratch_read("log");
  ck_assert_msg(code == limits[_i].code && strstr(log, limits[_i].said), "exit code %d:\n%s", code,
                log);
  free(log);
  shell("test ! -e out/exp");
}
END_TEST

/* Something else fills the folder while the sweep runs. */
START_TEST(no_trial_starts_without_room) {
  scratch_write("exp.ini", experiment);
  setenv("FAKE_TRAINER", "until:5:go", 1);
  pid_t child = start_harness(RUN_FAKE " --jobs 1 --disk-limit 120MB --set sweep.seeds=1");
  wait_for("ls out/exp/*/events.jsonl > names 2>&1");
  shell("truncate -s 100000000 out/exp/ballast && touch go");
  ck_assert_int_eq(scratch_wait(child), EXIT_DISK);
  char *log = scratch_read("log");
  ck_assert_ptr_nonnull(strstr(log, "is not started: it takes up to"));
  ck_assert_ptr_nonnull(strstr(log, "leaves no room for another trial (exit code 73)"));
  free(log);
  expect_rows("SELECT trial, status FROM trials ORDER BY trial", "1|done\n2|pending\n");
  shell("rm out/exp/ballast");
  expect_code(RUN_FAKE " --jobs 1 --disk-limit 120MB --set sweep.seeds=1", 0, "1 of 2 trials");
}
END_TEST

/* Room is lacking for a trial that somebody else works on: what is finished then needs none, what
 * is left ends the run. */
START_TEST(a_trial_of_others_without_room) {
#define ONE RUN_FAKE " --set sweep.seeds=1 --set train.mask_ratio=0.5"
  scratch_write("exp.ini", experiment);
  expect_code(ONE, 0, "done");
  shell("mkdir kept && mv out/exp/*/events.jsonl out/exp/*/checkpoints kept");
  hold("$(ls out/exp/*/lock)");
  pid_t child = start_harness(ONE " --disk-limit 120MB");
  wait_for("grep -q 'waiting for 1 trial ' log");
  shell("truncate -s 1000000000 out/exp/ballast");
  if (_i == 0) shell("mv kept/* $(dirname out/exp/*/trial.json)");
  shell("touch free");
  ck_assert_int_eq(scratch_wait(child), _i == 0 ? 0 : EXIT_DISK);
  shell(_i == 0 ? "grep -q 'was finished by another process' log"
                : "grep -q 'is not started: it takes up to' log");
}
END_TEST

/* What another harness works on will grow: a second trial beside it waits until that is done. */
START_TEST(a_trial_of_others_takes_room) {
  scratch_write("exp.ini", experiment);
  setenv("FAKE_TRAINER", "until:5:go", 1);
  pid_t other = start_harness("run exp.ini --scale none --db other.db --out out --mae " FAKE
                              " --set sweep.seeds=1 --set train.mask_ratio=0.5");
  wait_for("ls out/exp/*/events.jsonl > names 2>&1");
  ck_assert_int_eq(rename("log", "first"), 0);
  pid_t run = start_harness(RUN_FAKE " --jobs 1 --disk-limit 120MB --set sweep.seeds=1");
  wait_for("grep -q 'waiting for 1 trial ' log");
  shell("! grep -q starts log && touch go");
  ck_assert_int_eq(scratch_wait(other), 0);
  ck_assert_int_eq(scratch_wait(run), 0);
  expect_rows("SELECT trial, status FROM trials ORDER BY trial", "1|done\n2|done\n");
}
END_TEST

/* With [prune] a trial writes a checkpoint more at each of its steps. */
START_TEST(pruning_takes_room) {
#define PEAK(more)                                                                                 \
  "$(" HARNESS " " PLAN " --json " more                                                            \
  " | sed -n 's/.*peak_bytes\": \\([0-9]*\\).*/\\1/p' | head -1)"
  scratch_write("base.ini", "[train]\nsteps = 100\n[run]\nkeep_checkpoints = 3\n[sweep]\n"
                            "train.mask_ratio = 0.5, 0.75\n[prune]\nrule = halving\n"
                            "metric = train_loss\nsteps = 20, 40\n");
  shell("with=" PEAK("") " without=" PEAK("--no-prune") "; test $with -gt $without");
}
END_TEST

/* A packing that was cut short is gone on with as long as its options stay the same: it is taken
 * away when that is asked for, unless somebody works on it. */
START_TEST(unfinished_packs_go_when_asked) {
  scratch_write("exp.ini", experiment);
  shell("mkdir cache && cd cache && touch a-1.pack a-1.pack.verified c-3.pack && truncate -s 1000 "
        "a-1.pack.part b-2.pack.part b-2.pack.part.state b-2.pack.77.files.tmp d-4.pack.part");
  expect_code(RUN_FAKE " --set data.cache=cache --set sweep.seeds=1", 0, "done");
  hold("cache/d-4.pack.lock");
  shell("ls cache > before");
  expect_code("clean --out out --db r.db", 0, "freed");
  expect_code("clean --out out --db r.db --unfinished-packs --dry-run", 0,
              "/cache: 4.00 kB of unfinished packs would be freed");
  shell("ls cache | cmp - before");
  expect_code("clean --out out --db r.db --unfinished-packs", 0,
              "/cache: 4.00 kB of unfinished packs freed");
  shell("touch free && test \"$(echo $(ls cache))\" = 'a-1.pack a-1.pack.verified c-3.pack "
        "d-4.pack.lock d-4.pack.part'");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("keep");
  TCase *cases = tcase_create("keep");
  tcase_set_timeout(cases, 120);
  tcase_add_checked_fixture(cases, setup_tiny, scratch_teardown);
  tcase_add_loop_test(cases, a_policy_keeps_what_it_says, 0, sizeof kept / sizeof *kept);
  tcase_add_test(cases, features_of_the_encoder_alone_are_the_same);
  tcase_add_test(cases, what_no_policy_removed_is_damage);
  tcase_add_test(cases, damaged_weights_are_left_as_they_are);
  tcase_add_test(cases, clean_says_before_it_does);
  tcase_add_test(cases, clean_leaves_the_unfinished_what_they_need);
  tcase_add_test(cases, a_hundred_base_models_fit_in_20_gb);
  tcase_add_loop_test(cases, a_limit_that_nothing_fits_into, 0, sizeof limits / sizeof *limits);
  tcase_add_test(cases, no_trial_starts_without_room);
  tcase_add_test(cases, a_trial_of_others_takes_room);
  tcase_add_test(cases, pruning_takes_room);
  tcase_add_test(cases, unfinished_packs_go_when_asked);
  tcase_add_loop_test(cases, a_trial_of_others_without_room, 0, 2);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
