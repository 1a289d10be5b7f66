/* What a run takes: RAPL's counters, NVML's counter and power by a library of the tests
 * (fake_nvml.c), and what a training run tells of it. */
#include <errno.h>
#include <math.h>

#include "mae/base/io.h"
#include "mae/machine/energy.h"
#include "tests/run_mae.h"
#include "tests/suite.h"

static char why[512];

static void setup(void) {
  make_test_folder();
  *why = 0;
}

/* A file of FOLDER, written beside and moved there: a reader never sees half of it. */
static void put(const char *name, const char *text) {
  char path[PATH_SIZE], whole[PATH_SIZE + 8];
  in_folder(path, name);
  snprintf(whole, sizeof whole, "%s.new", path);
  FILE *file = fopen(whole, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
  ck_assert_int_eq(rename(whole, path), 0);
}

static void put_zone(const char *zone, const char *name, const char *microjoules) {
  char path[PATH_SIZE], file[128];
  Error e;
  snprintf(file, sizeof file, "powercap/%s", zone);
  ck_assert(io_make_folders(in_folder(path, file), &e));
  snprintf(file, sizeof file, "powercap/%s/name", zone);
  put(file, name);
  snprintf(file, sizeof file, "powercap/%s/max_energy_range_uj", zone);
  put(file, "262143328850\n");
  snprintf(file, sizeof file, "powercap/%s/energy_uj", zone);
  put(file, microjoules);
}

static void set_counter(const char *microjoules) {
  put("powercap/intel-rapl:0/energy_uj", microjoules);
}

static const char *powercap(void) {
  static char path[PATH_SIZE];
  return in_folder(path, "powercap");
}

/* RAPL -----------------------------------------------------------------------------------------*/

START_TEST(packages_and_their_memory_are_counted_once) {
  Rapl rapl;
  double joules = 0;
  put_zone("intel-rapl:0", "package-0\n", "1000000\n");
  put_zone("intel-rapl:0:0", "core\n", "1000000\n");
  put_zone("intel-rapl:0:1", "dram\n", "1000000\n");
  put_zone("intel-rapl:1", "package-1\n", "1000000\n");
  put_zone("intel-rapl:2", "psys\n", "1000000\n");
  put_zone("intel-rapl-mmio:0", "package-0\n", "1000000\n");
  ck_assert_msg(rapl_open(&rapl, powercap(), 100, why, sizeof why), "%s", why);
  ck_assert_int_eq(rapl.count, 3);
  static const char *const zones[] = {"intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1",
                                      "intel-rapl:1", "intel-rapl:2",   "intel-rapl-mmio:0"};
  for (int i = 0; i < 6; i++) put_zone(zones[i], i == 2 ? "dram\n" : "package-0\n", "3500000\n");
  ck_assert_msg(rapl_read(&rapl, 101, &joules, why, sizeof why), "%s", why);
  ck_assert_double_eq_tol(joules, 3 * 2.5, 1e-12);
  ck_assert(rapl_read(&rapl, 102, &joules, why, sizeof why));
  ck_assert_double_eq(joules, 0);
}
END_TEST

START_TEST(a_counter_that_begins_anew_goes_on) {
  Rapl rapl;
  double joules = 0;
  put_zone("intel-rapl:0", "package-0\n", "262143000000\n");
  ck_assert(rapl_open(&rapl, powercap(), 100, why, sizeof why));
  set_counter("671150\n");
  ck_assert_msg(rapl_read(&rapl, 101, &joules, why, sizeof why), "%s", why);
  ck_assert_double_eq_tol(joules, 1.0, 1e-9); /* 0.328850 J to the end of the range and 0.67115 */
}
END_TEST

/* Between two readings that follow each other at once it may move by a millisecond's energy. */
START_TEST(a_counter_may_begin_anew_between_two_quick_readings) {
  Rapl rapl;
  double joules = 0;
  put_zone("intel-rapl:0", "package-0\n", "262143328850\n");
  ck_assert(rapl_open(&rapl, powercap(), 100, why, sizeof why));
  set_counter("200000\n");
  ck_assert_msg(rapl_read(&rapl, 100, &joules, why, sizeof why), "%s", why);
  ck_assert_double_eq_tol(joules, 0.2, 1e-9);
}
END_TEST

/* 200 kJ in a second: no processor takes that. */
START_TEST(a_counter_that_was_reset_is_no_wrap) {
  Rapl rapl;
  double joules = 0;
  put_zone("intel-rapl:0", "package-0\n", "62143000000\n");
  ck_assert(rapl_open(&rapl, powercap(), 100, why, sizeof why));
  set_counter("0\n");
  ck_assert(!rapl_read(&rapl, 101, &joules, why, sizeof why));
  ck_assert_msg(strstr(why, "reset") != NULL, "%s", why);
}
END_TEST

START_TEST(what_cannot_be_read_is_named) {
  Rapl rapl;
  char path[PATH_SIZE];
  double joules;
  ck_assert(!rapl_open(&rapl, powercap(), 0, why, sizeof why));
  ck_assert_msg(strstr(why, "powercap has no processor's counter"), "%s", why);
  put_zone("intel-rapl:0", "package-0\n", "12x\n");
  ck_assert(!rapl_open(&rapl, powercap(), 0, why, sizeof why));
  ck_assert_msg(strstr(why, "energy_uj: no number"), "%s", why);
  set_counter("12\n");
  ck_assert(rapl_open(&rapl, powercap(), 0, why, sizeof why));
  in_folder(path, "powercap/intel-rapl:0/energy_uj");
  ck_assert_int_eq(unlink(path), 0);
  ck_assert(!rapl_read(&rapl, 1, &joules, why, sizeof why));
  ck_assert_msg(strstr(why, "energy_uj: No such file"), "%s", why);
  ck_assert(!rapl_open(&rapl, powercap(), 0, why, sizeof why));
  set_counter("12\n");
  in_folder(path, "powercap/intel-rapl:0/max_energy_range_uj");
  ck_assert_int_eq(unlink(path), 0);
  ck_assert(!rapl_open(&rapl, powercap(), 0, why, sizeof why));
  ck_assert_msg(strstr(why, "max_energy_range_uj: No such file"), "%s", why);
}
END_TEST

/* What is told when another rank's machine has none. */
START_TEST(a_meter_that_reads_has_no_problem) {
  EnergyMeter meter;
  const EnergyPlaces places = {.powercap = powercap(), .stat = "/nowhere", .nvml = "/nowhere"};
  put_zone("intel-rapl:0", "package-0\n", "12\n");
  energy_open(&meter, &places, "", true);
  ck_assert_str_eq(energy_source_name(meter.source), "rapl");
  ck_assert_str_eq(meter.problem, "");
  energy_close(&meter);
}
END_TEST

/* As most systems have it. Root may read anything, so a child takes another identity. */
START_TEST(a_counter_of_root_alone_is_not_read) {
  char path[PATH_SIZE];
  put_zone("intel-rapl:0", "package-0\n", "12\n");
  ck_assert_int_eq(chmod(in_folder(path, "powercap/intel-rapl:0/energy_uj"), 0), 0);
  ck_assert_int_eq(chmod(test_folder, 0755), 0);
  pid_t child = fork();
  if (child == 0) {
    Rapl rapl;
    if (geteuid() == 0 && seteuid(65534)) _exit(9);
    if (rapl_open(&rapl, powercap(), 0, why, sizeof why)) _exit(1);
    _exit(strstr(why, "energy_uj: Permission denied") ? 0 : 2);
  }
  ck_assert_int_eq(wait_mae(child), 0);
}
END_TEST

/* NVML -----------------------------------------------------------------------------------------*/

static const EnergyPlaces fake_gpu = {
    .powercap = "/nowhere", .stat = "/nowhere", .nvml = FAKE_NVML_LIBRARY, .period = 0.005};
static const char bus[] = "0000:01:00.0";

START_TEST(a_gpus_counter_is_read) {
  EnergyMeter meter;
  EnergySpent spent;
  setenv("FAKE_NVML_JOULES", "1000", 1);
  setenv("FAKE_NVML_PROCESSES", "1", 1);
  energy_open(&meter, &fake_gpu, bus, true);
  ck_assert_str_eq(energy_source_name(meter.source), "nvml-counter");
  setenv("FAKE_NVML_JOULES", "1010", 1);
  energy_steps(&meter, true);
  setenv("FAKE_NVML_JOULES", "1050", 1);
  setenv("FAKE_NVML_PROCESSES", "3", 1);
  energy_steps(&meter, false);
  setenv("FAKE_NVML_JOULES", "1052", 1);
  setenv("FAKE_NVML_PROCESSES", "0", 1); /* the container hides them */
  ck_assert(energy_read(&meter, &spent));
  ck_assert_double_eq_tol(spent.joules, 52, 1e-9);
  ck_assert_double_eq_tol(spent.step_joules, 40, 1e-9);
  ck_assert_int_eq(spent.others, 2);
  energy_close(&meter);
  energy_close(&meter);
}
END_TEST

/* 100 W, then 300 W: between two readings the mean of both counts. */
START_TEST(power_is_integrated) {
  EnergyMeter meter;
  EnergySpent before, between, after;
  EnergyPlaces places = fake_gpu;
  places.period = 1000; /* no reading but those here */
  setenv("FAKE_NVML", "power", 1);
  setenv("FAKE_NVML_WATTS", "100", 1);
  energy_open(&meter, &places, bus, true);
  ck_assert_str_eq(energy_source_name(meter.source), "nvml-power");
  ck_assert_str_eq(meter.problem, ""); /* that there is no counter is none */
  double began = meter.level_at;
  usleep(20000);
  ck_assert(energy_read(&meter, &before));
  double middle = meter.level_at;
  ck_assert_double_eq_tol(before.joules, 100 * (middle - began), 1e-9);
  setenv("FAKE_NVML_WATTS", "300", 1);
  usleep(20000);
  ck_assert(energy_read(&meter, &between));
  ck_assert_double_eq_tol(between.joules - before.joules, 200 * (meter.level_at - middle), 1e-9);
  middle = meter.level_at;
  usleep(20000);
  ck_assert(energy_read(&meter, &after));
  ck_assert_double_eq_tol(after.joules - between.joules, 300 * (meter.level_at - middle), 1e-9);
  energy_close(&meter);
}
END_TEST

/* Between two questions the thread reads: a peak in between is seen. */
START_TEST(power_is_watched) {
  EnergyMeter meter;
  EnergySpent spent = {0};
  setenv("FAKE_NVML", "power", 1);
  setenv("FAKE_NVML_WATTS", "0", 1);
  energy_open(&meter, &fake_gpu, bus, true);
  setenv("FAKE_NVML_WATTS", "1000", 1);
  for (double level = 0; level < 1000; usleep(1000)) {
    pthread_mutex_lock(&meter.lock);
    level = meter.level;
    pthread_mutex_unlock(&meter.lock);
  }
  setenv("FAKE_NVML_WATTS", "0", 1);
  ck_assert(energy_read(&meter, &spent));
  ck_assert_double_gt(spent.joules, 0);
  energy_close(&meter);
}
END_TEST

/* How a GPU's energy is not to be had, and what is said. */
static const struct {
  const char *nvml, *mode, *bus, *problem;
} absences[] = {
    {"/nowhere/libnvidia-ml.so.1", "counter", "0000:01:00.0", "cannot open shared object file"},
    {FAKE_NVML_LIBRARY, "absent", "0000:01:00.0", "NVML: Driver Not Loaded"},
    {FAKE_NVML_LIBRARY, "none", "0000:01:00.0", "NVML: Not Supported"},
    {FAKE_NVML_LIBRARY, "counter", "0000:77:00.0", "NVML: Not Found"},
    {"libm.so.6", "counter", "0000:01:00.0", "libm.so.6: too old"},
};

START_TEST(a_gpu_without_a_reading_has_a_reason) {
  EnergyMeter meter;
  EnergySpent spent;
  EnergyPlaces places = fake_gpu;
  places.nvml = absences[_i].nvml;
  setenv("FAKE_NVML", absences[_i].mode, 1);
  energy_open(&meter, &places, absences[_i].bus, true);
  ck_assert_int_eq(meter.source, ENERGY_NONE);
  ck_assert_msg(strstr(meter.problem, absences[_i].problem), "%s", meter.problem);
  energy_steps(&meter, true);
  ck_assert(!energy_read(&meter, &spent));
  energy_close(&meter);
}
END_TEST

/* Once a reading has failed the sum is unknown, and stays so. */
START_TEST(a_reading_that_fails_once_is_not_forgotten) {
  EnergyMeter meter;
  EnergySpent spent;
  setenv("FAKE_NVML", _i ? "power" : "counter", 1);
  energy_open(&meter, &fake_gpu, bus, true);
  ck_assert(energy_read(&meter, &spent));
  setenv("FAKE_NVML", "lost", 1);
  ck_assert(!energy_read(&meter, &spent));
  setenv("FAKE_NVML", _i ? "power" : "counter", 1);
  ck_assert(!energy_read(&meter, &spent));
  ck_assert_str_eq(meter.problem, "NVML: GPU is lost");
  energy_close(&meter);
}
END_TEST

START_TEST(a_gpus_counter_that_goes_back_was_reset) {
  EnergyMeter meter;
  EnergySpent spent;
  setenv("FAKE_NVML_JOULES", "1000", 1);
  energy_open(&meter, &fake_gpu, bus, true);
  setenv("FAKE_NVML_JOULES", "10", 1);
  ck_assert(!energy_read(&meter, &spent));
  ck_assert_msg(strstr(meter.problem, "reset"), "%s", meter.problem);
  energy_close(&meter);
}
END_TEST

/* Runs -----------------------------------------------------------------------------------------*/

#define TINY                                                                                       \
  "train model.image_size=32 model.patch_size=8 model.encoder=32x2x2 model.decoder=16x1x2 "        \
  "train.batch=16 train.blr=0.03 train.warmup_epochs=0 train.warmup_steps=4 train.steps=400 "      \
  "run.checkpoint_every=40 data.train_images=64 eval.images=8 run.device=cpu run.threads=1 "       \
  "probe.method=off "

/* A machine with one package, whose processors have been busy for 1000 s. */
static void make_machine(void) {
  char path[PATH_SIZE];
  put_zone("intel-rapl:0", "package-0\n", "1000000\n");
  put("stat", "cpu  50000 0 50000 7 7 0 0 0 0 0\n");
  setenv("MAEBENCH_POWERCAP", powercap(), 1);
  setenv("MAEBENCH_PROC_STAT", in_folder(path, "stat"), 1);
}

/* Makes the package's counter a pipe, a new one for each reading: the trainer waits at every
 * reading until it is answered, so that nothing depends on how fast it is. */
static void make_counter_a_pipe(void) {
  char path[PATH_SIZE], new[PATH_SIZE];
  in_folder(new, "powercap/intel-rapl:0/next");
  ck_assert_int_eq(mkfifo(new, 0600), 0);
  ck_assert_int_eq(rename(new, in_folder(path, "powercap/intel-rapl:0/energy_uj")), 0);
}

/* The pipe, when the trainer waits there for an answer; else -1. */
static int reading(void) {
  char path[PATH_SIZE];
  int pipe = open(in_folder(path, "powercap/intel-rapl:0/energy_uj"), O_WRONLY | O_NONBLOCK);
  ck_assert(pipe >= 0 || errno == ENXIO);
  return pipe;
}

static void answer(int pipe, const char *microjoules) {
  ck_assert_int_eq(write(pipe, microjoules, strlen(microjoules)), (ssize_t)strlen(microjoules));
  close(pipe);
}

/* Whether so many start events are there and a step after the last of them. */
static bool is_under_way(int starts) {
  size_t i;
  int seen = 0;
  bool steps = false;
  json_t *event, *events = read_events("run");
  json_array_foreach(events, i, event) {
    seen += !strcmp(event_name(event), "start");
    steps |= seen == starts && !strcmp(event_name(event), "step");
  }
  json_decref(events);
  return steps;
}

static bool has_ended(pid_t child) {
  siginfo_t info = {0};
  ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
  return info.si_pid != 0;
}

/* The energy event so far: whether there is one. */
static bool has_told(void) {
  json_t *events = read_events("run");
  bool told = last_event(events, "energy", NULL) != NULL;
  json_decref(events);
  return told;
}

/* Answers with `before` until attempt `starts` has made a step, and then with `after`: until it has
 * ended, or, with `until_told`, an energy event is there. */
static void answer_attempt(pid_t child, int starts, const char *before, const char *after,
                           bool until_told) {
  for (; !has_ended(child) && !(until_told && has_told()); usleep(1000)) {
    int pipe = reading();
    if (pipe < 0) continue;
    bool steps = is_under_way(starts);
    if (steps) put("stat", "cpu  1050000 0 50000 7 7 0 0 0 0 0\n");
    make_counter_a_pipe(); /* for the next reading */
    answer(pipe, steps ? after : before);
  }
}

static json_t *last_energy(json_t **events) {
  *events = read_events("run");
  json_t *energy = last_event(*events, "energy", NULL);
  ck_assert_msg(energy != NULL, "no energy event");
  return energy;
}

/* 5 J between the first step and the end, by one rank or two: the package is counted once. Measured
 * or not, the final state is the same. Ranks of a busy machine wait for each other: fewer steps. */
static const struct {
  const char *arguments, *said;
  int steps;
} ranks[] = {{"train.shards=2 ", "1.39e-06 kWh, 0.000781 J per image in steps (rapl); only ", 400},
             {"train.steps=100 train.ranks=2 train.shards=2 ",
              "1.39e-06 kWh, 0.00313 J per image in steps (rapl); only ", 100}};

START_TEST(a_run_tells_what_it_took) {
  char state[65], command[1024];
  json_t *events;
  snprintf(command, sizeof command, "%s%s--out @/run", TINY, ranks[_i].arguments);
  make_machine();
  make_counter_a_pipe();
  pid_t child = start_mae(command);
  answer_attempt(child, 1, "1000000\n", "6000000\n", false);
  ck_assert_int_eq(wait_mae(child), 0);
  ck_assert_msg(strstr(mae_output(), "energy: rapl\n"), "%s", mae_output());
  ck_assert_msg(strstr(mae_output(), ranks[_i].said), "%s", mae_output());
  json_t *energy = last_energy(&events);
  ck_assert_str_eq(event_text(last_event(events, "start", NULL), "energy_source"), "rapl");
  ck_assert_double_eq(event_number(energy, "joules"), 5);
  ck_assert_double_eq(event_number(energy, "step_joules"), 5);
  ck_assert_int_eq((int)event_number(energy, "images"), ranks[_i].steps * 16);
  ck_assert_double_gt(event_number(energy, "own_share"), 0);
  ck_assert_double_lt(event_number(energy, "own_share"), 0.1);
  ck_assert_ptr_null(json_object_get(energy, "others"));
  strcpy(state, event_text(last_event(events, "end", NULL), "state_sha256"));
  json_decref(events);

  setenv("MAEBENCH_POWERCAP", "/nowhere", 1);
  snprintf(command, sizeof command, "%s%s--out @/unmeasured", TINY, ranks[_i].arguments);
  ck_assert_int_eq(run_mae(command), 0);
  ck_assert_msg(strstr(mae_output(), "energy: not measured: /nowhere has no processor's counter"),
                "%s", mae_output());
  events = read_events("unmeasured");
  ck_assert_ptr_null(last_event(events, "energy", NULL));
  ck_assert_ptr_null(json_object_get(last_event(events, "start", NULL), "energy_source"));
  ck_assert_str_eq(event_text(last_event(events, "end", NULL), "state_sha256"), state);
  json_decref(events);
}
END_TEST

/* Killed after it took 5 J, and continued with 7 J more: each attempt tells its own. */
START_TEST(a_killed_run_has_told_and_the_next_counts_on) {
  json_t *events;
  make_machine();
  make_counter_a_pipe();
  pid_t child = start_mae(TINY "--out @/run");
  answer_attempt(child, 1, "1000000\n", "6000000\n", true);
  ck_assert_double_eq(event_number(last_energy(&events), "joules"), 5);
  json_decref(events);
  ck_assert_int_eq(kill(child, SIGKILL), 0);
  ck_assert_int_eq(wait_mae(child), 1000 + SIGKILL);
  child = start_mae(TINY "--resume --out @/run");
  answer_attempt(child, 2, "6000000\n", "13000000\n", false);
  ck_assert_int_eq(wait_mae(child), 0);
  ck_assert_double_eq(event_number(last_energy(&events), "joules"), 7);
  json_decref(events);
}
END_TEST

START_TEST(a_counter_that_goes_missing_makes_it_unknown) {
  json_t *events;
  int warnings;
  char path[PATH_SIZE];
  make_machine();
  make_counter_a_pipe();
  pid_t child = start_mae(TINY "--out @/run");
  for (bool gone = false; !gone; usleep(1000)) {
    int pipe = reading();
    ck_assert_msg(!has_ended(child), "%s", mae_output());
    if (pipe < 0) continue;
    gone = is_under_way(1);
    make_counter_a_pipe();
    if (gone) ck_assert_int_eq(unlink(in_folder(path, "powercap/intel-rapl:0/energy_uj")), 0);
    answer(pipe, "1000000\n"); /* to a reading that had begun */
  }
  ck_assert_int_eq(wait_mae(child), 0);
  json_t *energy = last_energy(&events);
  ck_assert_ptr_null(json_object_get(energy, "joules"));
  ck_assert_ptr_nonnull(strstr(event_text(energy, "problem"), "energy_uj: No such file"));
  json_t *warning = last_event(events, "warning", &warnings);
  ck_assert_int_eq(warnings, 1);
  ck_assert_ptr_nonnull(strstr(event_text(warning, "message"), "energy: not counted: "));
  json_decref(events);
}
END_TEST

/* A virtual machine's counters may be there and stand still: that is no 0 J. */
START_TEST(a_counter_that_stands_still_measures_nothing) {
  make_machine();
  ck_assert_int_eq(run_mae(TINY "--out @/run"), 0);
  json_t *events = read_events("run");
  ck_assert_ptr_null(last_event(events, "energy", NULL));
  json_decref(events);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("energy");
  TCase *units = tcase_create("meters"), *runs = tcase_create("runs");
  tcase_add_checked_fixture(units, setup, remove_test_folder);
  tcase_add_test(units, packages_and_their_memory_are_counted_once);
  tcase_add_test(units, a_counter_that_begins_anew_goes_on);
  tcase_add_test(units, a_counter_may_begin_anew_between_two_quick_readings);
  tcase_add_test(units, a_counter_that_was_reset_is_no_wrap);
  tcase_add_test(units, what_cannot_be_read_is_named);
  tcase_add_test(units, a_meter_that_reads_has_no_problem);
  tcase_add_test(units, a_counter_of_root_alone_is_not_read);
  tcase_add_test(units, a_gpus_counter_is_read);
  tcase_add_test(units, power_is_integrated);
  tcase_add_test(units, power_is_watched);
  tcase_add_loop_test(units, a_gpu_without_a_reading_has_a_reason, 0,
                      sizeof absences / sizeof *absences);
  tcase_add_loop_test(units, a_reading_that_fails_once_is_not_forgotten, 0, 2);
  tcase_add_test(units, a_gpus_counter_that_goes_back_was_reset);
  suite_add_tcase(suite, units);
  tcase_set_timeout(runs, 120);
  tcase_add_checked_fixture(runs, setup, remove_test_folder);
  tcase_add_loop_test(runs, a_run_tells_what_it_took, 0, sizeof ranks / sizeof *ranks);
  tcase_add_test(runs, a_killed_run_has_told_and_the_next_counts_on);
  tcase_add_test(runs, a_counter_that_goes_missing_makes_it_unknown);
  tcase_add_test(runs, a_counter_that_stands_still_measures_nothing);
  suite_add_tcase(suite, runs);
  return suite_run(suite);
}
