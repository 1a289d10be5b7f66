/* Ranks that mpirun started: the bits of forked ranks and of one process, and every way to lose a
 * rank or to start the wrong ones. */
#include "tests/run_mae.h"

#include "tests/suite.h"

#define TINY                                                                                       \
  "model.image_size=32 model.patch_size=8 model.encoder=32x2x2 model.decoder=16x1x2 "              \
  "train.blr=0.03 train.warmup_epochs=0 train.warmup_steps=4 train.clip=1 data.train_images=56 "   \
  "eval.images=4 run.device=cpu run.emulate=true run.threads=1 run.checkpoint_every=5 "
#define TWO TINY "train.batch=16 train.shards=2 "

#define MPIRUN MPIEXEC " -n "

static void begin(void) {
  make_test_folder();
  /* Open MPI asks to be told that more processes than cores, and root, are meant. */
  setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
  setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe", 1);
  setenv("OMPI_MCA_orte_tmpdir_base", test_folder, 1); /* another mpirun removes the common one */
  setenv("OMPI_MCA_pml", "ob1", 1);                    /* no trial of the networks there might be */
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  launch_words = "";
}

/* The numbers of every step and the final state, as text. */
static char *trained(const char *launch, const char *name, const char *settings) {
  char command[2048];
  launch_words = launch;
  snprintf(command, sizeof command, "train %s train.steps=20 --resume --quiet --out @/%s", settings,
           name);
  int code = run_mae(command);
  ck_assert_msg(code == 0, "%s%s: exit code %d: %s", launch, settings, code, mae_output());
  json_t *events = read_events(name), *event, *trace = json_array();
  size_t i;
  json_array_foreach(events, i, event) {
    if (strcmp(event_name(event), "step")) continue;
    json_array_append(trace, json_object_get(event, "step"));
    json_array_append(trace, json_object_get(event, "loss"));
    json_array_append(trace, json_object_get(event, "grad_norm"));
  }
  json_array_append(trace, json_object_get(last_event(events, "end", NULL), "state_sha256"));
  ck_assert_uint_eq(json_array_size(trace), 3 * 20 + 1);
  char *text = json_dumps(trace, 0);
  json_decref(trace);
  json_decref(events);
  return text;
}

static void assert_same(char *a, char *b) {
  ck_assert_str_eq(a, b);
  free(a);
  free(b);
}

static const char *const precisions[] = {"train.precision=fp32", "train.precision=bf16",
                                         "train.precision=fp16"};

START_TEST(two_ranks_have_the_bits_of_one) {
  char settings[1024];
  snprintf(settings, sizeof settings, TWO "%s", precisions[_i]);
  char *one = trained("", "one", settings);
  snprintf(settings, sizeof settings, TWO "%s train.ranks=2", precisions[_i]);
  char *forked = trained("", "forked", settings);
  char *two = trained(MPIRUN "2 ", "two", settings);
  ck_assert_str_eq(one, two);
  assert_same(forked, two);
  free(one);
}
END_TEST

/* Parts of unequal size, added up in rank order by either way. */
START_TEST(three_ranks_have_the_bits_of_three) {
  const char *settings = TINY "train.batch=15 train.shards=3 train.ranks=3";
  char *forked = trained("", "forked", settings);
  assert_same(forked, trained(MPIRUN "3 ", "three", settings));
}
END_TEST

static int occurrences(const char *text, const char *of) {
  int count = 0;
  for (; (text = strstr(text, of)); text++) count++;
  return count;
}

/* Ends with this code, and says so once. */
static void assert_refused(const char *launch, const char *command, int code, const char *said) {
  launch_words = launch;
  int got = run_mae(command);
  ck_assert_msg(got == code && occurrences(mae_output(), said) == 1,
                "exit code %d, not %d, or not once '%s' in: %s", got, code, said, mae_output());
}

#ifdef MAE_SIMT
/* A simulated GPU for each rank, and NCCL, whose identifier MPI brings to the other rank. */
START_TEST(gpus_have_the_bits_of_one) {
  const char *settings = "model.image_size=16 model.patch_size=4 model.encoder=16x2x2 "
                         "model.decoder=16x1x2 train.batch=4 train.shards=2 train.warmup_epochs=0 "
                         "data.train_images=20 eval.images=4 run.device=cuda:0";
  char more[1024];
  mae_program = MAE_SIMT;
  setenv("SIMT_DEVICES", "2", 1);
  snprintf(more, sizeof more, "%s train.ranks=2", settings);
  char *one = trained("", "one", settings);
  assert_same(one, trained(MPIRUN "2 ", "two", more));
}
END_TEST

/* It is known to one rank alone; the other one's device waits for ever. */
START_TEST(an_error_of_nccl) {
  mae_program = MAE_SIMT;
  setenv("SIMT_DEVICES", "2", 1);
  setenv("SIMT_NCCL_FAIL", _i ? "1:60:6" : "0:60:6", 1);
  assert_refused(MPIRUN "2 ",
                 "train model.image_size=16 model.patch_size=4 model.encoder=16x2x2 "
                 "model.decoder=16x1x2 train.batch=4 train.shards=2 train.ranks=2 "
                 "train.warmup_epochs=0 train.steps=1000 run.checkpoint_every=2 "
                 "data.train_images=20 eval.images=4 run.device=cuda:0 --quiet --out @/run",
                 3, "NCCL: a collective operation failed: remote process exited");
  launch_words = "";
  ck_assert_msg(run_mae("eval --checkpoint @/run run.device=cuda:0") == 0, "%s", mae_output());
}
END_TEST
#endif

START_TEST(the_provenance_tells) {
  free(trained(MPIRUN "2 ", "run", TWO "train.ranks=2"));
  json_t *events = read_events("run");
  const json_t *facts = json_object_get(last_event(events, "start", NULL), "provenance");
  const char *text = json_string_value(json_object_get(facts, "started_by"));
  ck_assert_msg(text && strstr(text, "2 ranks on 1 node, by mpirun"), "%s", text);
  json_decref(events);
}
END_TEST

START_TEST(stopped_and_resumed) {
  char *whole = trained("", "whole", TWO);
  launch_words = MPIRUN "2 ";
  int code =
      run_mae("train " TWO "train.steps=20 train.ranks=2 --stop-after 7 --quiet --out @/run");
  ck_assert_msg(code == 128 + SIGINT, "exit code %d: %s", code, mae_output());
  assert_same(whole, trained(MPIRUN "2 ", "run", TWO "train.ranks=2"));
}
END_TEST

START_TEST(refusals) {
  assert_refused(MPIRUN "3 ", "train " TWO "train.ranks=2 --out @/run", 2,
                 "mpirun started 3 processes (OMPI_COMM_WORLD_SIZE) and train.ranks = 2");
  assert_refused(MPIRUN "2 ", "train " TWO "train.rank=2 --out @/run", 2,
                 "no such option; did you mean train.ranks?");
  assert_refused(MPIRUN "2 ", "train " TWO "train.ranks=2", 2, "--out DIR is missing");
  free(trained("", "run", TWO));
  assert_refused(MPIRUN "2 ", "train " TWO "train.ranks=2 --out @/run", 2,
                 "holds a run of another configuration");
}
END_TEST

/* One command line for each rank. */
#define RANK "train " TWO "train.ranks=2 train.steps=20 data.cache=@/cache --quiet --resume "
#define OTHER " : -n 1 " PROGRAM_DIR "/mae " RANK

START_TEST(ranks_that_do_not_fit_together) {
  assert_refused(MPIRUN "1 ", RANK "--out @/run" OTHER "--out @/run run.seed=2", 2,
                 "the configurations of ranks 0 and 1 differ");
  launch_words = "";
  int code = run_mae("train " TWO "train.steps=20 --stop-after 7 --quiet --out @/run");
  ck_assert_msg(code == 128 + SIGINT, "exit code %d: %s", code, mae_output());
  assert_refused(
      MPIRUN "1 ", RANK "--out @/run" OTHER "--out @/another", 4,
      "the checkpoints' steps of ranks 0 and 1 differ (7 and 0): --out must be a folder");
}
END_TEST

/* Rank 0 reports it. */
START_TEST(an_error_of_another_rank) {
  assert_refused(MPIRUN "1 ", RANK "--out @/run" OTHER "--out @/run run.device=cuda:900", 3,
                 "mae train: rank 1 on ");
}
END_TEST

#define ENDLESS "train " TWO "train.steps=100000 train.ranks=2 --quiet --out @/run "

/* The process of a rank; mpirun is its parent. */
static pid_t process_of(pid_t mpirun, int rank) {
  char path[64];
  int first = 0, second = 0;
  json_t *events = read_events("run");
  int rank0 = (int)event_number(last_event(events, "start", NULL), "pid");
  json_decref(events);
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)mpirun, (int)mpirun);
  FILE *file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fscanf(file, "%d %d", &first, &second), 2);
  fclose(file);
  ck_assert(first == rank0 || second == rank0);
  return rank == 0 ? rank0 : first == rank0 ? second : first;
}

static pid_t start_endless(const char *command) {
  launch_words = MPIRUN "2 ";
  pid_t mpirun = start_mae(command);
  ck_assert_msg(wait_for_step(mpirun, "run", 6), "%s", mae_output());
  return mpirun;
}

static void assert_good_checkpoint(void) {
  launch_words = "";
  ck_assert_msg(run_mae("eval --checkpoint @/run") == 0, "%s", mae_output());
}

START_TEST(a_killed_rank) {
  pid_t mpirun = start_endless(ENDLESS);
  ck_assert_int_eq(kill(process_of(mpirun, _i), SIGKILL), 0);
  ck_assert_int_ne(wait_mae(mpirun), 0);
  assert_good_checkpoint();
}
END_TEST

START_TEST(a_rank_that_hangs) {
  pid_t mpirun = start_endless(ENDLESS "train.rank_timeout=3");
  ck_assert_int_eq(kill(process_of(mpirun, _i), SIGSTOP), 0);
  ck_assert_int_eq(wait_mae(mpirun), 3);
  ck_assert_msg(strstr(mae_output(), "a rank has not answered for 3 s (train.rank_timeout); the "
                                     "last checkpoint is good"),
                "%s", mae_output());
  assert_good_checkpoint();
}
END_TEST

/* Whoever hears of it: either rank, or mpirun, which tells all and has an exit code of its own. */
START_TEST(a_signal_to_stop) {
  pid_t mpirun = start_endless(ENDLESS);
  ck_assert_int_eq(kill(_i == 2 ? mpirun : process_of(mpirun, _i), SIGTERM), 0);
  int code = wait_mae(mpirun);
  ck_assert_msg(_i == 2 ? code != 0 : code == 128 + SIGTERM, "exit code %d: %s", code,
                mae_output());
  json_t *events = read_events("run");
  const json_t *end = last_event(events, "end", NULL);
  ck_assert_str_eq(event_text(end, "status"), "interrupted");
  ck_assert_str_eq(event_text(end, "state_sha256"),
                   event_text(last_event(events, "checkpoint", NULL), "state_sha256"));
  json_decref(events);
  assert_good_checkpoint();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mpi");
  TCase *ranks = tcase_create("ranks");
  tcase_add_checked_fixture(ranks, begin, remove_test_folder);
  tcase_set_timeout(ranks, 120);
  tcase_add_loop_test(ranks, two_ranks_have_the_bits_of_one, 0, 3);
  tcase_add_test(ranks, three_ranks_have_the_bits_of_three);
#ifdef MAE_SIMT
  tcase_add_test(ranks, gpus_have_the_bits_of_one);
  tcase_add_loop_test(ranks, an_error_of_nccl, 0, 2);
#endif
  tcase_add_test(ranks, the_provenance_tells);
  tcase_add_test(ranks, stopped_and_resumed);
  tcase_add_test(ranks, refusals);
  tcase_add_test(ranks, ranks_that_do_not_fit_together);
  tcase_add_test(ranks, an_error_of_another_rank);
  tcase_add_loop_test(ranks, a_killed_rank, 0, 2);
  tcase_add_loop_test(ranks, a_rank_that_hangs, 0, 2);
  tcase_add_loop_test(ranks, a_signal_to_stop, 0, 3);
  suite_add_tcase(suite, ranks);
  return suite_run(suite);
}
