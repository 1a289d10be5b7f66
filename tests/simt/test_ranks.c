/* Two ranks on two simulated GPUs, through the code that calls NCCL: the bits of one rank, steps
 * that are recorded all the same, and every way to lose a rank. */
#include "tests/simt/spoil.h"
#include "tests/suite.h"

#define TINY                                                                                       \
  "model.image_size=16 model.patch_size=4 model.encoder=16x2x2 model.decoder=16x1x2 "              \
  "train.batch=4 train.shards=2 train.blr=0.03 train.warmup_epochs=0 train.warmup_steps=2 "        \
  "data.train_images=20 eval.images=4 run.device=cuda:0 "

static void begin(void) {
  make_test_folder();
  unsetenv("SIMT_NCCL_FAIL");
  unsetenv("SIMT_STREAMS");
  unsetenv("SIMT_REPORT");
  unsetenv("SIMT_MEMORY");
  setenv("SIMT_DEVICES", "2", 1);
}

/* The losses and the final state of a run of six steps. */
static json_t *trained(const char *name, const char *settings) {
  char command[2048];
  snprintf(command, sizeof command,
           "train " TINY "train.steps=6 run.checkpoint_every=4 %s --quiet --out @/%s", settings,
           name);
  int code = run_mae(command);
  ck_assert_msg(code == 0, "%s: exit code %d: %s", settings, code, mae_output());
  json_t *events = read_events(name), *event, *trace = json_array();
  size_t i;
  json_array_foreach(events, i, event) {
    if (!strcmp(event_name(event), "step")) {
      json_array_append(trace, json_object_get(event, "loss"));
      json_array_append(trace, json_object_get(event, "grad_norm"));
    }
    if (!strcmp(event_name(event), "checkpoint"))
      json_array_append(trace, json_object_get(event, "state_sha256"));
  }
  json_array_append(trace, json_object_get(last_event(events, "end", NULL), "state_sha256"));
  ck_assert_uint_ge(json_array_size(trace), 14);
  json_decref(events);
  return trace;
}

static const char *const variants[] = {
    "train.precision=fp32",
    "train.precision=fp16",
    "train.precision=bf16 model.pos_embed=learned model.decoder_pos_embed=learned",
    "train.precision=fp32 train.batch=8 train.accumulate=2 model.class_token=false",
};
enum { VARIANTS = sizeof variants / sizeof *variants };
/* Not at random moments: the simulated device works only while its own process waits for it, so two
 * of them must do the same at the same calls. */
static const char *const orders[] = {"lazy", "eager", "lazy", "eager"};

START_TEST(two_ranks_have_the_bits_of_one) {
  char settings[256];
  json_t *one = trained("one", variants[_i]);
  snprintf(settings, sizeof settings, "%s train.ranks=2", variants[_i]);
  setenv("SIMT_STREAMS", orders[_i], 1);
  json_t *two = trained("two", settings);
  char *first = json_dumps(one, 0), *second = json_dumps(two, 0);
  ck_assert_str_eq(first, second);
  free(first);
  free(second);
  json_decref(one);
  json_decref(two);
}
END_TEST

/* Both slots' steps are recorded in both ranks, and then replayed. */
START_TEST(steps_are_recorded) {
  char path[PATH_SIZE];
  setenv("SIMT_REPORT", in_folder(path, "report"), 1);
  json_decref(trained("run", "train.ranks=2"));
  FILE *file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  json_t *report = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL);
  ck_assert_ptr_nonnull(report);
  ck_assert_int_eq((int)event_number(report, "captured"), 2);
  ck_assert_int_ge((int)event_number(report, "replays"), 4);
  json_decref(report);
  fclose(file);
}
END_TEST

/* Of three ranks' numbers the order matters in which they are added: it is the same in the two
 * steps that are not recorded after a start as in those that are. */
START_TEST(three_ranks_resumed_have_the_bits_of_the_whole_run) {
  static const char three[] = "train.ranks=3 train.shards=3 train.batch=3 run.checkpoint_every=3";
  char settings[1024];
  setenv("SIMT_DEVICES", "3", 1);
  json_t *whole = trained("whole", three);
  snprintf(settings, sizeof settings,
           "train " TINY "train.steps=6 %s --stop-after 3 --quiet --out @/parts", three);
  ck_assert_int_eq(run_mae(settings), 128 + SIGINT);
  snprintf(settings, sizeof settings, "%s --resume", three);
  json_t *parts = trained("parts", settings);
  char *first = json_dumps(whole, 0), *second = json_dumps(parts, 0);
  ck_assert_str_eq(first, second);
  free(first);
  free(second);
  json_decref(whole);
  json_decref(parts);
}
END_TEST

#define ENDLESS                                                                                    \
  "train " TINY "train.steps=100000 train.ranks=2 run.checkpoint_every=2 --quiet --out @/run "

static pid_t child_of(pid_t parent) {
  char path[64], text[32] = "";
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
  FILE *file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
  fclose(file);
  ck_assert_int_gt(atoi(text), 1);
  return atoi(text);
}

static void assert_lost(pid_t process, const char *said) {
  ck_assert_int_eq(wait_mae(process), 3);
  ck_assert_msg(strstr(mae_output(), said) && strstr(mae_output(), "the last checkpoint is good"),
                "no '%s' in: %s", said, mae_output());
  json_t *events = read_events("run");
  ck_assert_str_eq(event_text(last_event(events, "end", NULL), "status"), "failed");
  json_decref(events);
  ck_assert_msg(run_mae("eval --checkpoint @/run run.device=cuda:0") == 0, "%s", mae_output());
}

START_TEST(a_killed_rank) {
  pid_t process = start_mae(ENDLESS);
  ck_assert(wait_for_step(process, "run", 5));
  ck_assert_int_eq(kill(child_of(process), SIGKILL), 0);
  assert_lost(process, "was killed by signal 9");
}
END_TEST

/* A busy machine must not take as long for a step. */
START_TEST(a_rank_that_hangs) {
  pid_t process = start_mae(ENDLESS "train.rank_timeout=8");
  ck_assert(wait_for_step(process, "run", 5));
  ck_assert_int_eq(kill(child_of(process), SIGSTOP), 0);
  assert_lost(process, "(train.rank_timeout)");
}
END_TEST

/* In either rank, in a replayed step: the collective fails and never ends. */
START_TEST(an_error_of_nccl) {
  setenv("SIMT_NCCL_FAIL", _i ? "1:60:6" : "0:60:6", 1);
  pid_t process = start_mae(ENDLESS);
  ck_assert(wait_for_step(process, "run", 2));
  assert_lost(process, _i ? "rank 1: NCCL: a collective operation failed: remote process exited"
                          : "NCCL: a collective operation failed: remote process exited");
}
END_TEST

/* Both ranks fail with a step under way, whose collectives will never end: the run does. */
START_TEST(a_loss_that_is_not_finite) {
  ck_assert_int_eq(run_mae("train " TINY "train.steps=9 --stop-after 1 --quiet --out @/run"),
                   128 + SIGINT);
  spoil_checkpoint("run", 1e30f, 1);
  ck_assert_int_eq(
      run_mae("train " TINY "train.steps=9 train.ranks=2 --resume --quiet --out @/run"),
      EXIT_NONFINITE);
  json_t *events = read_events("run");
  ck_assert_str_eq(event_text(last_event(events, "end", NULL), "status"), "failed");
  json_decref(events);
}
END_TEST

/* NCCL takes its memory before the plan is held against what is free. */
START_TEST(a_gpu_with_too_little_memory_for_nccl) {
  setenv("SIMT_MEMORY", "270", 1);
  ck_assert_msg(run_mae("train " TINY "train.steps=3 --quiet --out @/one") == 0, "%s",
                mae_output());
  ck_assert_int_eq(run_mae("train " TINY "train.steps=3 train.ranks=2 --quiet --out @/run"), 3);
  ck_assert_msg(strstr(mae_output(), "this run needs"), "%s", mae_output());
}
END_TEST

START_TEST(nccl_fails_at_its_start) {
  setenv("SIMT_NCCL_FAIL", "1:1:6", 1);
  ck_assert_int_eq(run_mae("train " TINY "train.steps=3 train.ranks=2 --quiet --out @/run"), 3);
  ck_assert_msg(strstr(mae_output(), "rank 1: NCCL: a collective operation failed"), "%s",
                mae_output());
}
END_TEST

START_TEST(a_gpu_too_few) {
  setenv("SIMT_DEVICES", "1", 1);
  ck_assert_int_eq(run_mae("train " TINY "train.steps=6 train.ranks=2 --quiet --out @/run"), 3);
  ck_assert_msg(strstr(mae_output(), "there is no cuda:1"), "%s", mae_output());
}
END_TEST

int main(void) {
  Suite *suite = suite_create("simt_ranks");
  TCase *ranks = tcase_create("ranks");
  tcase_add_checked_fixture(ranks, begin, remove_test_folder);
  tcase_set_timeout(ranks, 60);
  tcase_add_loop_test(ranks, two_ranks_have_the_bits_of_one, 0, VARIANTS);
  tcase_add_test(ranks, three_ranks_resumed_have_the_bits_of_the_whole_run);
  tcase_add_test(ranks, steps_are_recorded);
  tcase_add_test(ranks, a_killed_rank);
  tcase_add_test(ranks, a_rank_that_hangs);
  tcase_add_loop_test(ranks, an_error_of_nccl, 0, 2);
  tcase_add_test(ranks, a_loss_that_is_not_finite);
  tcase_add_test(ranks, a_gpu_with_too_little_memory_for_nccl);
  tcase_add_test(ranks, nccl_fails_at_its_start);
  tcase_add_test(ranks, a_gpu_too_few);
  suite_add_tcase(suite, ranks);
  return suite_run(suite);
}
