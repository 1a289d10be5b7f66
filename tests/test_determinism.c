/* The reproducibility contract: the same configuration gives the same bits - of every weight,
 * moment and counter, and of every logged loss - whether it is trained again, killed and resumed,
 * shared by two processes, or computed by another number of threads. A planted one-bit fault shows
 * that these comparisons can fail. */
#include "tests/run_mae.h"

#include <sched.h>
#include <time.h>

#include "mae/model/device.h"
#include "mae/record/checkpoint.h"
#include "mae/record/run_folder.h"
#include "tests/suite.h"

#define TINY                                                                                       \
  "model.image_size=32 model.patch_size=8 model.encoder=32x2x2 model.decoder=16x1x2 "              \
  "train.batch=16 train.shards=2 train.blr=0.03 train.warmup_epochs=0 train.warmup_steps=4 "       \
  "train.clip=1 data.train_images=56 eval.images=4 run.device=cpu run.emulate=true "               \
  "run.checkpoint_every=5 train.steps=40 "

enum { STEPS = 40 };

/* What two equal runs have in common: every step's numbers, and the final state. */
typedef struct Trace {
  float loss[STEPS], grad_norm[STEPS], lr[STEPS], loss_scale[STEPS];
  char state[65];
} Trace;

/* Steps logged twice (after a kill and a resume) must be equal too. */
static void keep(float *slot, bool seen, const json_t *event, const char *key) {
  float value = (float)event_number(event, key);
  if (seen)
    ck_assert_msg(!memcmp(slot, &value, sizeof value), "step %d: %s was %.9g, then %.9g",
                  (int)event_number(event, "step"), key, *slot, value);
  *slot = value;
}

static void read_trace(Trace *trace, const char *name) {
  bool seen[STEPS] = {false};
  json_t *events = read_events(name), *event;
  size_t i;
  json_array_foreach(events, i, event) {
    if (strcmp(event_name(event), "step")) continue;
    int step = (int)event_number(event, "step") - 1;
    ck_assert(step >= 0 && step < STEPS);
    keep(&trace->loss[step], seen[step], event, "loss");
    keep(&trace->lr[step], seen[step], event, "lr");
    keep(&trace->loss_scale[step], seen[step], event, "loss_scale");
    /* An overflow's norm is infinite and written as text. */
    if (json_is_number(json_object_get(event, "grad_norm")))
      keep(&trace->grad_norm[step], seen[step], event, "grad_norm");
    else
      trace->grad_norm[step] = 0.0f;
    seen[step] = true;
  }
  for (int step = 0; step < STEPS; step++) ck_assert_msg(seen[step], "no step %d", step + 1);
  const json_t *end = last_event(events, "end", NULL);
  ck_assert_str_eq(event_text(end, "status"), "done");
  snprintf(trace->state, sizeof trace->state, "%s", event_text(end, "state_sha256"));
  json_decref(events);
}

/* The first step and number that differ, or NULL when all bits are equal. */
static const char *difference(const Trace *a, const Trace *b) {
  static char text[128];
  for (int i = 0; i < STEPS; i++) {
    const char *what = memcmp(&a->loss[i], &b->loss[i], 4)               ? "loss"
                       : memcmp(&a->grad_norm[i], &b->grad_norm[i], 4)   ? "grad_norm"
                       : memcmp(&a->lr[i], &b->lr[i], 4)                 ? "lr"
                       : memcmp(&a->loss_scale[i], &b->loss_scale[i], 4) ? "loss_scale"
                                                                         : NULL;
    if (!what) continue;
    snprintf(text, sizeof text, "step %d: %s (loss %.9g and %.9g)", i + 1, what, a->loss[i],
             b->loss[i]);
    return text;
  }
  return strcmp(a->state, b->state) ? "the final states" : NULL;
}

static void train_to_end(Trace *trace, const char *name, const char *settings) {
  char command[1024];
  snprintf(command, sizeof command, "train " TINY "%s --resume --quiet --out @/%s", settings, name);
  ck_assert_msg(run_mae(command) == 0, "%s: %s", command, mae_output());
  read_trace(trace, name);
}

static void assert_same(const Trace *a, const Trace *b, const char *what) {
  const char *text = difference(a, b);
  ck_assert_msg(text == NULL, "%s: %s", what, text);
}

static const char *const precisions[] = {"train.precision=fp32", "train.precision=bf16",
                                         "train.precision=fp16"};
enum { PRECISIONS = 3 };

static const char *const augments[] = {AUGMENTS(CHOICE_NAME)};

START_TEST(test_twice) {
  Trace first, second;
  train_to_end(&first, "first", precisions[_i]);
  train_to_end(&second, "second", precisions[_i]);
  assert_same(&first, &second, precisions[_i]);
  ck_assert(first.loss[STEPS - 1] < first.loss[0]);
}
END_TEST

START_TEST(test_seed_matters) {
  Trace first, second;
  train_to_end(&first, "first", "run.seed=1");
  train_to_end(&second, "second", "run.seed=2");
  ck_assert_ptr_nonnull(difference(&first, &second));
}
END_TEST

START_TEST(test_ranks) {
  Trace one, two;
  char settings[128];
  train_to_end(&one, "one", precisions[_i]);
  snprintf(settings, sizeof settings, "%s train.ranks=2", precisions[_i]);
  train_to_end(&two, "two", settings);
  assert_same(&one, &two, settings);
}
END_TEST

START_TEST(test_threads) {
  Trace one, more;
  char settings[128];
  snprintf(settings, sizeof settings, "%s run.threads=1", precisions[_i]);
  train_to_end(&one, "one", settings);
  for (int threads = 2; threads <= 3; threads++) {
    char name[32];
    snprintf(settings, sizeof settings, "%s run.threads=%d", precisions[_i], threads);
    snprintf(name, sizeof name, "threads-%d", threads);
    train_to_end(&more, name, settings);
    assert_same(&one, &more, settings);
  }
}
END_TEST

/* What a batch system or a user's shell may set, and one core for several threads. */
START_TEST(test_surroundings) {
  Trace plain, other;
  train_to_end(&plain, "plain", precisions[_i]);
  setenv("OMP_NUM_THREADS", "5", 1);
  setenv("OMP_DYNAMIC", "true", 1);
  setenv("OMP_SCHEDULE", "dynamic,1", 1);
  train_to_end(&other, "openmp", precisions[_i]);
  assert_same(&plain, &other, "OMP_NUM_THREADS=5 OMP_DYNAMIC=true OMP_SCHEDULE=dynamic,1");
  cpu_set_t all, first;
  ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
  int core = 0;
  while (!CPU_ISSET(core, &all)) core++;
  CPU_ZERO(&first);
  CPU_SET(core, &first);
  ck_assert_int_eq(sched_setaffinity(0, sizeof first, &first), 0);
  train_to_end(&other, "one-core", precisions[_i]);
  assert_same(&plain, &other, "on one core");
}
END_TEST

/* Seven images a step, a number that no vector or tile divides, in one shard. */
START_TEST(test_odd_batch) {
  Trace one, three;
  char settings[128];
  snprintf(settings, sizeof settings, "%s train.batch=7 train.shards=1 run.threads=1",
           precisions[_i]);
  train_to_end(&one, "one", settings);
  snprintf(settings, sizeof settings, "%s train.batch=7 train.shards=1 run.threads=3",
           precisions[_i]);
  train_to_end(&three, "three", settings);
  assert_same(&one, &three, settings);
}
END_TEST

/* Micro-batches and recomputation change the order of sums, so they are part of the configuration;
 * with them the contract holds as well. */
START_TEST(test_accumulate) {
  Trace one, two;
  const char *settings = "train.accumulate=2 train.recompute=true";
  train_to_end(&one, "one", settings);
  train_to_end(&two, "two", "train.accumulate=2 train.recompute=true train.ranks=2");
  assert_same(&one, &two, settings);
}
END_TEST

/* Every augmentation draws by sample and epoch: shared by processes and threads, and stopped in the
 * middle of an epoch; and each trains on other pixels than the one before it in the list. */
START_TEST(test_augment) {
  Trace whole, other;
  char settings[128], command[1024];
  snprintf(settings, sizeof settings, "train.augment=%s run.threads=1", augments[_i]);
  train_to_end(&whole, "whole", settings);
  snprintf(settings, sizeof settings, "train.augment=%s train.ranks=2", augments[_i]);
  train_to_end(&other, "ranks", settings);
  assert_same(&whole, &other, settings);
  snprintf(settings, sizeof settings, "train.augment=%s run.threads=3", augments[_i]);
  snprintf(command, sizeof command,
           "train " TINY "%s --stop-after 17 --resume --quiet --out @/pieces", settings);
  ck_assert_int_eq(run_mae(command), 128 + SIGINT);
  train_to_end(&other, "pieces", settings);
  assert_same(&whole, &other, settings);
  if (!_i) return;
  snprintf(settings, sizeof settings, "train.augment=%s", augments[_i - 1]);
  train_to_end(&other, "other", settings);
  ck_assert_ptr_nonnull(difference(&whole, &other));
}
END_TEST

static void kill_and_resume(const char *name, const char *settings, int64_t step) {
  char command[1024];
  snprintf(command, sizeof command, "train " TINY "%s --resume --quiet --out @/%s", settings, name);
  pid_t child = start_mae(command);
  bool running = wait_for_step(child, name, step);
  kill(child, SIGKILL);
  int code = wait_mae(child);
  ck_assert_msg(code == 1000 + SIGKILL || !running, "exit code %d: %s", code, mae_output());
}

START_TEST(test_kill_and_resume) {
  Trace whole, pieces;
  train_to_end(&whole, "whole", precisions[_i]);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  unsigned seed = (unsigned)now.tv_nsec;
  const char *given = getenv("MAEBENCH_TEST_SEED");
  if (given) seed = (unsigned)strtoul(given, NULL, 10);
  printf("kill -9: MAEBENCH_TEST_SEED=%u\n", seed);
  fflush(stdout);
  int64_t first = 1 + rand_r(&seed) % 15, second = 16 + rand_r(&seed) % 15;
  kill_and_resume("pieces", precisions[_i], first);
  kill_and_resume("pieces", precisions[_i], second);
  json_t *events = read_events("pieces");
  bool killed = last_event(events, "end", NULL) == NULL;
  json_decref(events);
  ck_assert_msg(killed, "the run ended before it was killed");
  train_to_end(&pieces, "pieces", precisions[_i]);
  assert_same(&whole, &pieces, "killed twice and resumed");
}
END_TEST

/* Stopping where the epoch is half over (3 steps of 16 from 56 images) and going on. */
START_TEST(test_stop_and_resume) {
  Trace whole, pieces;
  train_to_end(&whole, "whole", "");
  for (int step = 1; step < 12; step += 5) {
    char command[1024];
    snprintf(command, sizeof command,
             "train " TINY "--stop-after %d --resume --quiet --out @/pieces", step);
    ck_assert_int_eq(run_mae(command), 128 + SIGINT);
  }
  train_to_end(&pieces, "pieces", "");
  assert_same(&whole, &pieces, "stopped and resumed");
}
END_TEST

/* A checkpoint of `name` opened in this process. */
typedef struct Opened {
  Config config;
  Device *device;
  Model model;
  StepState state;
} Opened;

static void open_checkpoint(Opened *opened, const char *name) {
  char folder[PATH_SIZE], weights[CONFIG_PATH_MAX];
  bool found;
  Error e = {0};
  in_folder(folder, name);
  ck_assert_msg(run_folder_locate(weights, &opened->config, folder, &e), "%s", e.message);
  opened->device = device_open(&opened->config, 0, 1, &e);
  ck_assert_msg(opened->device != NULL, "%s", e.message);
  ck_assert_msg(model_create(&opened->model, &opened->config, opened->device, true, &e), "%s",
                e.message);
  ck_assert_msg(checkpoint_resume(folder, &opened->model, &opened->state, &found, &e), "%s",
                e.message);
  ck_assert(found);
}

static void close_checkpoint(Opened *opened) {
  model_destroy(&opened->model);
  opened->device->kernels->close(opened->device);
}

static void flip_low_bit(Device *device, float *value) {
  uint32_t bits;
  device->kernels->download(device, &bits, value, sizeof bits);
  bits ^= 1;
  device->kernels->upload(device, value, &bits, sizeof bits);
}

/* The lowest bit of one weight, of one moment, of a counter: each changes the state's hash, and a
 * run that goes on from it is told apart from the sound one. */
START_TEST(test_planted_fault) {
  Trace sound, faulty;
  Opened opened;
  char hash[65], sound_hash[65], folder[PATH_SIZE];
  Error e = {0};
  train_to_end(&sound, "sound", "");
  ck_assert_int_eq(run_mae("train " TINY "--stop-after 20 --quiet --out @/faulty"), 128 + SIGINT);
  open_checkpoint(&opened, "faulty");
  Model *model = &opened.model;
  ck_assert(checkpoint_state_hash(sound_hash, model, &opened.state, &e));
  json_t *events = read_events("faulty");
  ck_assert_str_eq(sound_hash, event_text(last_event(events, "end", NULL), "state_sha256"));
  json_decref(events);
  float *const places[] = {model->params,
                           model->m + params_find(&model->table, "norm.bias")->offset,
                           model->v + model->table.list[model->table.count / 2].offset};
  for (int i = 0; i < 3; i++) {
    flip_low_bit(opened.device, places[i]);
    ck_assert(checkpoint_state_hash(hash, model, &opened.state, &e));
    ck_assert_msg(strcmp(hash, sound_hash) != 0, "fault %d goes unnoticed", i);
    flip_low_bit(opened.device, places[i]);
  }
  opened.state.clean_steps ^= 1;
  ck_assert(checkpoint_state_hash(hash, model, &opened.state, &e));
  ck_assert_str_ne(hash, sound_hash);
  opened.state.clean_steps ^= 1;
  ck_assert(checkpoint_state_hash(hash, model, &opened.state, &e));
  ck_assert_str_eq(hash, sound_hash);

  const Param *weight = params_find(&model->table, "decoder_pred.weight");
  flip_low_bit(opened.device, model->params + weight->offset);
  ck_assert_msg(checkpoint_save(in_folder(folder, "faulty"), model, &opened.state, &e), "%s",
                e.message);
  close_checkpoint(&opened);
  train_to_end(&faulty, "faulty", "");
  ck_assert_ptr_nonnull(difference(&sound, &faulty));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("determinism");
  TCase *runs = tcase_create("runs");
  tcase_add_checked_fixture(runs, make_test_folder, remove_test_folder);
  tcase_set_timeout(runs, 180);
  tcase_add_loop_test(runs, test_twice, 0, PRECISIONS);
  tcase_add_test(runs, test_seed_matters);
  tcase_add_loop_test(runs, test_ranks, 0, PRECISIONS);
  tcase_add_loop_test(runs, test_threads, 0, PRECISIONS);
  tcase_add_loop_test(runs, test_surroundings, 0, PRECISIONS);
  tcase_add_loop_test(runs, test_odd_batch, 0, PRECISIONS);
  tcase_add_test(runs, test_accumulate);
  tcase_add_loop_test(runs, test_augment, 0, AUGMENT_COUNT);
  tcase_add_loop_test(runs, test_kill_and_resume, 0, PRECISIONS);
  tcase_add_test(runs, test_stop_and_resume);
  tcase_add_test(runs, test_planted_fault);
  suite_add_tcase(suite, runs);
  return suite_run(suite);
}
