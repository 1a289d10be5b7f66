/* Full disks, failing fsync and rename, and no memory, at every single call of a checkpoint, of an
 * event and of packing a data set: nothing recorded before is lost, nothing half-done stays, the
 * message says what to do. The database's faults are in test_store_faults.c. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/data/pack.h"
#include "mae/record/checkpoint.h"
#include "mae/record/events.h"
#include "tests/plain_device.h"
#include "tests/suite.h"

static char folder[64];
static Config config;
static Model first, second, loaded;

/* Fails the `countdown`-th call of one kind. */
typedef struct Plan {
  IoCall call;
  int code, countdown;
  size_t most; /* bytes written by one call at most; 0: no limit */
} Plan;

static int follow(void *user, IoCall call, const char *path, size_t *size) {
  (void)path;
  Plan *plan = user;
  if (call == IO_WRITE && plan->most && *size > plan->most) *size = plan->most;
  if (call != plan->call) return 0;
  return --plan->countdown == 0 ? plan->code : 0;
}

static void setup(void) {
  Error e = {0};
  strcpy(folder, "/tmp/test_faults-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  plain_config(&config);
  ck_assert(plain_model_create(&first, &config, 1, &e));
  ck_assert(plain_model_create(&second, &config, 2, &e));
  ck_assert(plain_model_create(&loaded, &config, 3, &e));
}

static void teardown(void) {
  Error e;
  io_set_fault(NULL, NULL);
  plain_model_destroy(&first);
  plain_model_destroy(&second);
  plain_model_destroy(&loaded);
  ck_assert(io_remove(folder, &e));
}

static bool save(const Model *model, uint64_t step, Error *e) {
  return checkpoint_save(folder, model, &(StepState){.step = step, .loss_scale = 1}, e);
}

/* Step of the checkpoint that resuming finds; its content must be what was saved at that step. */
static int resume(void) {
  StepState state;
  Error e = {0};
  bool found;
  ck_assert_msg(checkpoint_resume(folder, &loaded, &state, &found, &e), "%s", e.message);
  ck_assert(found);
  ck_assert(plain_model_same(&loaded, state.step == 1 ? &first : &second));
  return (int)state.step;
}

static int count_entries(const char *path) {
  DIR *dir = opendir(path);
  ck_assert_ptr_nonnull(dir);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
  closedir(dir);
  return count;
}

static const struct {
  IoCall call;
  int code;
} faults[] = {{IO_OPEN, ENOSPC},   {IO_OPEN, EROFS},   {IO_WRITE, ENOSPC}, {IO_WRITE, EDQUOT},
              {IO_WRITE, EIO},     {IO_FSYNC, EIO},    {IO_FSYNC, ENOSPC}, {IO_RENAME, ENOSPC},
              {IO_RENAME, EACCES}, {IO_MKDIR, ENOSPC}, {IO_MALLOC, ENOMEM}};

START_TEST(checkpoint_survives_every_fault) {
  Error e = {0};
  ck_assert_msg(save(&first, 1, &e), "%s", e.message);
  char checkpoints[128];
  snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", folder);
  int failed = 0;
  for (;; failed++) {
    Plan plan = {faults[_i].call, faults[_i].code, failed + 1, 0};
    io_set_fault(follow, &plan);
    bool ok = save(&second, 2, &e);
    io_set_fault(NULL, NULL);
    if (ok) break;
    ck_assert_msg(e.code == EXIT_DATA || faults[_i].call == IO_MALLOC, "%s", e.message);
    ck_assert_msg(strstr(e.message, "MB in ") && strstr(e.message, "make room") &&
                      strstr(e.message, "intact"),
                  "%s", e.message);
    if (faults[_i].code == ENOSPC && faults[_i].call != IO_MALLOC)
      ck_assert_msg(strstr(e.message, "MB left there"), "%s", e.message);
    int step = resume();
    /* Only the fsync of the parent folder can fail after the rename. */
    ck_assert(step == 1 || (faults[_i].call == IO_FSYNC && failed >= 3));
    ck_assert_int_eq(count_entries(checkpoints), step == 1 ? 1 : 2);
    ck_assert(failed < 10000);
  }
  ck_assert_int_gt(failed, 0);
  ck_assert_int_eq(resume(), 2);
}
END_TEST

START_TEST(checkpoint_survives_short_writes) {
  Error e = {0};
  Plan plan = {.call = IO_OPEN, .countdown = -1, .most = 37};
  io_set_fault(follow, &plan);
  ck_assert_msg(save(&first, 1, &e), "%s", e.message);
  io_set_fault(NULL, NULL);
  ck_assert_int_eq(resume(), 1);
}
END_TEST

/* The kernel's own refusal, without any hook: a limit on the size of files. */
START_TEST(checkpoint_survives_a_real_limit) {
  Error e = {0};
  ck_assert(save(&first, 1, &e));
  pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){20000, 20000});
    bool ok = save(&second, 2, &e);
    _exit(!ok && strstr(e.message, "File too large") && strstr(e.message, "make room") ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(resume(), 1);
}
END_TEST

/* Losing the old checkpoint must not happen before the new one is safe: rotation that fails leaves
 * both. */
START_TEST(rotation_that_fails_loses_nothing) {
  config.run.keep_checkpoints = 1;
  Error e = {0};
  ck_assert(save(&first, 1, &e));
  Plan plan = {IO_RENAME, EACCES, 2, 0}; /* the first rename puts the new one in place */
  io_set_fault(follow, &plan);
  ck_assert(!save(&second, 2, &e));
  io_set_fault(NULL, NULL);
  ck_assert_int_eq(resume(), 2);
  ck_assert(save(&second, 2, &e));
  char path[128];
  snprintf(path, sizeof path, "%s/checkpoints/step-1", folder);
  ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

static int count_events(const char *path) {
  FILE *f = fopen(path, "rb");
  ck_assert_ptr_nonnull(f);
  char *line = NULL;
  size_t capacity = 0;
  ssize_t size;
  int count = 0;
  while ((size = getline(&line, &capacity, f)) > 0) {
    json_t *event = json_loadb(line, (size_t)size, 0, NULL);
    ck_assert_msg(event && line[size - 1] == '\n', "%s", line);
    ck_assert_int_eq(json_integer_value(json_object_get(event, "n")), count++);
    json_decref(event);
  }
  free(line);
  fclose(f);
  return count;
}

static bool put_event(EventLog *log, int n, Error *e) {
  event_begin(log, "eval");
  event_int(log, "n", n);
  event_string(log, "padding", "so that a short write ends in the middle of the line");
  return event_end(log, e);
}

/* Writes three events, fails in the `_i`-th call of the fourth (each write takes 20 bytes), and
 * goes on in a new process's log. */
START_TEST(events_survive_a_full_disk) {
  char path[128];
  snprintf(path, sizeof path, "%s/events.jsonl", folder);
  EventLog log;
  Error e = {0};
  ck_assert(events_open(&log, path, &e));
  for (int n = 0; n < 3; n++) ck_assert(put_event(&log, n, &e));
  Plan plan = {IO_WRITE, ENOSPC, _i + 1, 20};
  if (_i == 5) plan = (Plan){IO_FSYNC, EIO, 1, 20};
  io_set_fault(follow, &plan);
  ck_assert(!put_event(&log, 3, &e));
  io_set_fault(NULL, NULL);
  ck_assert_int_eq(e.code, EXIT_DATA);
  ck_assert_msg(strstr(e.message, path) && strstr(e.message, "make room"), "%s", e.message);
  ck_assert(!put_event(&log, 4, &e)); /* nothing may follow a lost event */
  ck_assert(!events_close(&log, &e));
  int kept = count_events(path);
  ck_assert_int_eq(kept, _i == 5 ? 4 : 3);

  ck_assert(events_open(&log, path, &e));
  ck_assert(put_event(&log, kept, &e) && events_close(&log, &e));
  ck_assert_int_eq(count_events(path), kept + 1);
}
END_TEST

START_TEST(events_survive_no_memory) {
  char path[128];
  snprintf(path, sizeof path, "%s/events.jsonl", folder);
  EventLog log;
  Error e = {0};
  ck_assert(events_open(&log, path, &e));
  ck_assert(put_event(&log, 0, &e));
  Plan plan = {IO_MALLOC, ENOMEM, 1, 0};
  io_set_fault(follow, &plan);
  event_begin(&log, "start");
  for (int i = 0; i < 100; i++) event_string(&log, "long", "text that makes the line grow");
  ck_assert(!event_end(&log, &e));
  io_set_fault(NULL, NULL);
  ck_assert_int_eq(e.code, EXIT_DEVICE);
  ck_assert_ptr_nonnull(strstr(e.message, "out of memory"));
  ck_assert(!events_close(&log, &e));
  ck_assert_int_eq(count_events(path), 1);
}
END_TEST

/* A source of five small images, each of one colour. */
static bool load_plain(const Source *source, int split, int index, const PictureRoom *room,
                       Picture *picture, int32_t *label, Error *e) {
  (void)source;
  (void)room;
  *picture = (Picture){.width = 4, .height = 3, .rgb = malloc(4 * 3 * 3)};
  *label = index;
  if (!picture->rgb) return error_set(e, EXIT_DEVICE, "out of memory");
  memset(picture->rgb, 10 * split + index, 4 * 3 * 3);
  return true;
}

static const Source plain_source = {
    .name = "plain", .fingerprint = "f", .count = {3, 2}, .load = load_plain};

static bool pack_is_whole(const char *path) {
  Dataset data;
  Error e = {0};
  ck_assert_msg(data_open_pack(&data, path, &e) && pack_verify(&data, NULL, &e), "%s", e.message);
  bool ok = data.train_count == 3 && data.eval_count == 2 && data.pixels[data.eval->offset] == 10;
  data_close(&data);
  return ok;
}

START_TEST(packing_survives_every_fault) {
  if (faults[_i].call == IO_RENAME || faults[_i].call == IO_MKDIR) return; /* those are below */
  char path[128];
  snprintf(path, sizeof path, "%s/x.pack", folder);
  int failed = 0;
  for (;; failed++) {
    Plan plan = {faults[_i].call, faults[_i].code, failed + 1, 13};
    Error e = {0};
    io_set_fault(follow, &plan);
    bool ok = pack_write(path, &plain_source, false, NULL, &e);
    io_set_fault(NULL, NULL);
    if (ok) break;
    ck_assert_int_ne(access(path, F_OK), 0);
    if (faults[_i].call == IO_MALLOC)
      ck_assert_msg(e.code == EXIT_DEVICE && strstr(e.message, "out of memory"), "%s", e.message);
    else
      ck_assert_msg(e.code == EXIT_DATA && strstr(e.message, path) &&
                        strstr(e.message, "make room there or set data.cache"),
                    "%s", e.message);
    ck_assert(failed < 10000);
  }
  ck_assert_int_gt(failed, 0);
  ck_assert(pack_is_whole(path));
}
END_TEST

/* The whole way, from an empty cache: no fault leaves a file behind that a later run would take for
 * the data, and the run after it packs. */
START_TEST(the_cache_survives_faults) {
  static const Plan plans[] = {{IO_WRITE, ENOSPC, 700, 0},
                               {IO_FSYNC, EIO, 1, 0},
                               {IO_RENAME, EACCES, 1, 0},
                               {IO_MKDIR, ENOSPC, 1, 0}};
  Dataset data;
  Error e = {0};
  config.data.source = SOURCE_SHAPES;
  config.data.train_images = 64;
  config.train.batch = 16;
  snprintf(config.data.cache, sizeof config.data.cache, "%s/cache", folder);
  Plan plan = plans[_i];
  io_set_fault(follow, &plan);
  ck_assert(!data_open(&data, &config, NULL, &e));
  io_set_fault(NULL, NULL);
  ck_assert_msg(e.code == EXIT_DATA && strstr(e.message, config.data.cache), "%s", e.message);
  if (!access(config.data.cache, F_OK)) ck_assert_int_eq(count_entries(config.data.cache), 0);
  ck_assert_msg(data_open(&data, &config, NULL, &e), "%s", e.message);
  ck_assert_msg(pack_verify(&data, NULL, &e), "%s", e.message);
  data_close(&data);
  ck_assert_int_eq(count_entries(config.data.cache), 2); /* the pack, and that it is whole */
}
END_TEST

START_TEST(a_missing_folder_is_named) {
  Error e = {0};
  ck_assert(io_create("/nonexistent/x", &e) < 0);
  ck_assert(strstr(e.message, "/nonexistent/x") && e.code == EXIT_DATA);
  ck_assert(!io_make_folders("/proc/x/y", &e));
  ck_assert_ptr_nonnull(strstr(e.message, "/proc/x"));
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("faults");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 120);
  tcase_add_loop_test(tc, checkpoint_survives_every_fault, 0, sizeof faults / sizeof *faults);
  tcase_add_test(tc, checkpoint_survives_short_writes);
  tcase_add_test(tc, checkpoint_survives_a_real_limit);
  tcase_add_test(tc, rotation_that_fails_loses_nothing);
  tcase_add_loop_test(tc, events_survive_a_full_disk, 0, 6);
  tcase_add_test(tc, events_survive_no_memory);
  tcase_add_loop_test(tc, packing_survives_every_fault, 0, sizeof faults / sizeof *faults);
  tcase_add_loop_test(tc, the_cache_survives_faults, 0, 4);
  tcase_add_test(tc, a_missing_folder_is_named);
  Suite *suite = suite_create("faults");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
