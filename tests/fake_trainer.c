/* fake_trainer: has mae's command line and event file, and misbehaves on request, so that the
 * harness can be tested against every way a trainer ends. FAKE_TRAINER names the behaviour:
 *
 *   (empty)        trains: 20 steps, checkpoints at 10 and 20, evaluation, end; exit 0
 *   exit:N         an error event, exit code N
 *   silent:N       exit code N with a line on standard error and no event at all
 *   noend          exit 0 without the end event
 *   hang           stops after 5 steps and says nothing more; obeys SIGTERM
 *   until:N:FILE   says after N steps how far it is with something else, until there is the FILE or
 *                  it is told to stop; then goes on
 *   stubborn       the same, and ignores SIGTERM and SIGINT
 *   crash          SIGSEGV after 5 steps
 *   killed         SIGKILL after 5 steps
 *   garbage        text and broken JSON between good events, then a good end
 *   late           SIGKILL after the end event of a finished run
 *   half           ends in the middle of a line
 *   nan            NaN losses and metrics, exit 5
 *   slow[:STEPS]   20 ms a step, 100 steps: time to interrupt it
 *
 * FAKE_ONLY=TEXT restricts the behaviour to trials whose config.ini contains TEXT. FAKE_PLACES=FILE
 * receives a line at its start and, unless it dies, at its end: "+" or "-", process,
 * CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER (- when not set), and all that --set gave. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mae/base/sha256.h"
#include "mae/config/config.h"
#include "mae/record/events.h"
#include "mae/record/provenance.h"
#include "mae/record/run_folder.h"

static volatile sig_atomic_t stop_signal;

static void on_signal(int number) {
  stop_signal = number;
}

typedef struct Fake {
  const char *config_path, *out, *mode;
  char settings[256];
  bool resume;
  int64_t stop_after, steps;
  Config config;
  EventLog log;
  Error error;
} Fake;

static void emit(Fake *fake) {
  if (!event_end(&fake->log, &fake->error)) exit(EXIT_DATA);
}

static void sleep_ms(long ms) {
  struct timespec pause = {.tv_nsec = ms * 1000000};
  nanosleep(&pause, NULL);
}

/* One write, so that lines of several trainers do not mix. */
static void note_place(const Fake *fake, char what) {
  const char *path = getenv("FAKE_PLACES"), *gpus = getenv("CUDA_VISIBLE_DEVICES");
  const char *order = getenv("CUDA_DEVICE_ORDER");
  char line[512];
  if (!path) return;
  int length = snprintf(line, sizeof line, "%c %d %s %s%s\n", what, (int)getpid(),
                        gpus ? gpus : "-", order ? order : "-", fake->settings);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (fd < 0 || write(fd, line, (size_t)length) != length) exit(EXIT_DATA);
  close(fd);
}

static bool only_others(const Fake *fake, const char *needle) {
  static char text[1 << 16];
  if (!needle || !*needle) return false;
  FILE *file = fopen(fake->config_path, "r");
  size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
  if (file) fclose(file);
  text[size] = 0;
  return strstr(text, needle) == NULL;
}

static char *checkpoint_path(const Fake *fake, int64_t step) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/checkpoints/step-%lld", fake->out, (long long)step);
  return path;
}

static void checkpoint(Fake *fake, int64_t step) {
  char folder[4096], state[65];
  snprintf(folder, sizeof folder, "%s/checkpoints", fake->out);
  mkdir(folder, 0755);
  mkdir(checkpoint_path(fake, step), 0755);
  sha256_bytes(state, &step, sizeof step);
  event_begin(&fake->log, "checkpoint");
  event_int(&fake->log, "step", step);
  event_string(&fake->log, "path", checkpoint_path(fake, step));
  event_string(&fake->log, "state_sha256", state);
  emit(fake);
}

static int64_t newest_checkpoint(const Fake *fake) {
  struct stat info;
  for (int64_t step = fake->steps; fake->resume && step > 0; step--)
    if (stat(checkpoint_path(fake, step), &info) == 0) return step;
  return 0;
}

static void start(Fake *fake, int64_t resumed_from) {
  char *text = NULL, hash[65], binary[65], data[65];
  size_t size;
  FILE *out = open_memstream(&text, &size);
  config_dump(&fake->config, out, false);
  fclose(out);
  config_hash(&fake->config, hash);
  provenance_binary_hash(binary, &fake->error);
  sha256_bytes(data, "shapes", 6);
  event_begin(&fake->log, "start");
  event_int(&fake->log, "format", 1);
  event_object(&fake->log, "provenance");
  event_string(&fake->log, "version", "fake");
  event_object_end(&fake->log);
  event_string(&fake->log, "config", text);
  event_string(&fake->log, "config_hash", hash);
  event_string(&fake->log, "binary_sha256", binary);
  event_int(&fake->log, "steps", fake->steps);
  event_double(&fake->log, "steps_per_epoch", 10);
  event_int(&fake->log, "resumed_from", resumed_from);
  event_int(&fake->log, "params_encoder", 1000);
  event_int(&fake->log, "params_decoder", 100);
  event_double(&fake->log, "gflops_per_image", 0.5);
  event_object(&fake->log, "dataset");
  event_string(&fake->log, "source", "shapes");
  event_string(&fake->log, "sha256", data);
  event_int(&fake->log, "train_images", 80);
  event_int(&fake->log, "eval_images", 8);
  event_int(&fake->log, "skipped", 0);
  event_object_end(&fake->log);
  event_int(&fake->log, "memory_planned_bytes", 1 << 20);
  const char *pid = getenv("MAEBENCH_PID");
  event_int(&fake->log, "pid", pid ? atoi(pid) : getpid());
  event_int(&fake->log, "attempt", fake->log.attempt);
  emit(fake);
  free(text);
}

/* The loss is a function of the seed and the step, so that two runs agree. */
static void step(Fake *fake, int64_t number, bool nan) {
  float loss = 1.0f / (float)(number + 1) + 0.001f * (float)fake->config.run.seed;
  event_begin(&fake->log, "step");
  event_int(&fake->log, "step", number);
  event_float(&fake->log, "epoch", (float)number / 10);
  event_float(&fake->log, "loss", nan ? 0.0f / (loss - loss) : loss);
  event_float(&fake->log, "lr", 1e-3f);
  event_float(&fake->log, "grad_norm", 0.5f);
  event_float(&fake->log, "loss_scale", 1);
  event_float(&fake->log, "seconds", 0.01f);
  event_float(&fake->log, "images_per_second", 1600);
  emit(fake);
}

static void scores(Fake *fake, bool nan) {
  double psnr = 20 - 4 * fake->config.train.mask_ratio + 0.01 * (double)fake->config.run.seed;
  event_begin(&fake->log, "baseline");
  event_string(&fake->log, "name", "fill_mean");
  event_int(&fake->log, "images", 8);
  event_double(&fake->log, "psnr_masked", 14.5);
  event_double(&fake->log, "psnr_composite", 15.5);
  event_double(&fake->log, "ssim_composite", 0.4);
  emit(fake);
  event_begin(&fake->log, "throughput");
  event_double(&fake->log, "images_per_second", 1600);
  event_double(&fake->log, "step_seconds_median", 0.01);
  event_double(&fake->log, "step_seconds_p10", 0.009);
  event_double(&fake->log, "step_seconds_p90", 0.011);
  event_double(&fake->log, "gflops_per_second", 100);
  event_int(&fake->log, "steps", fake->steps);
  event_int(&fake->log, "warmup_steps", 1);
  event_int(&fake->log, "peak_memory_bytes", 1 << 20);
  emit(fake);
  event_begin(&fake->log, "eval");
  event_int(&fake->log, "step", fake->steps);
  event_int(&fake->log, "images", 8);
  event_double(&fake->log, "loss", nan ? 0.0 / (psnr - psnr) : 0.1);
  event_double(&fake->log, "psnr_masked", nan ? 0.0 / (psnr - psnr) : psnr);
  event_double(&fake->log, "psnr_composite", psnr + 1.249);
  event_double(&fake->log, "ssim_composite", 0.7);
  emit(fake);
}

static int finish(Fake *fake, const char *status, int64_t number, int code) {
  char state[65];
  sha256_bytes(state, &number, sizeof number);
  if (code == EXIT_DATA || code == EXIT_DEVICE || code == EXIT_CONFIG || code == EXIT_NONFINITE) {
    event_begin(&fake->log, "error");
    event_int(&fake->log, "code", code);
    event_string(&fake->log, "message", "the fake trainer was told to fail");
    emit(fake);
  }
  event_begin(&fake->log, "end");
  event_string(&fake->log, "status", status);
  event_int(&fake->log, "step", number);
  event_int(&fake->log, "code", code);
  event_double(&fake->log, "wall_seconds", 0.1);
  event_string(&fake->log, "state_sha256", state);
  emit(fake);
  return code;
}

static void work_until(Fake *fake, const char *file) {
  for (int i = 1; access(file, F_OK) != 0 && !stop_signal; i++) {
    event_begin(&fake->log, "work");
    event_string(&fake->log, "what", "a long job");
    event_int(&fake->log, "done", i);
    event_int(&fake->log, "total", 1000000);
    emit(fake);
    sleep_ms(20);
  }
}

/* Bytes that are no event, straight into the event file. */
static void scribble(Fake *fake, const char *text) {
  ssize_t n = write(fake->log.fd, text, strlen(text));
  if (n < 0) exit(EXIT_DATA);
}

/* Ways to go wrong in the middle of a run; returns only when it goes on. */
static void misbehave(Fake *fake) {
  const char *mode = fake->mode;
  if (!strncmp(mode, "exit:", 5)) {
    note_place(fake, '-');
    exit(finish(fake, "failed", 5, atoi(mode + 5)));
  }
  if (!strcmp(mode, "noend")) exit(0);
  if (!strcmp(mode, "crash")) {
    signal(SIGSEGV, SIG_DFL); /* also where a sanitizer would report it and exit */
    raise(SIGSEGV);
  }
  if (!strcmp(mode, "killed")) raise(SIGKILL);
  if (!strcmp(mode, "half")) {
    scribble(fake, "{\"event\":\"step\",\"time\":1.0,\"st");
    raise(SIGKILL);
  }
  if (!strcmp(mode, "garbage")) {
    scribble(fake, "Segmentation fault (core dumped)\n{\"event\":\"step\",\n\n{\"event\":7}\n");
    scribble(fake, "{\"event\":\"step\",\"time\":1.0}\n");
  }
  if (!strcmp(mode, "stubborn")) {
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    for (;;) pause();
  }
  if (!strcmp(mode, "hang"))
    while (!stop_signal) sleep_ms(10);
}

static int train(Fake *fake) {
  bool nan = !strcmp(fake->mode, "nan"), slow = !strncmp(fake->mode, "slow", 4);
  int until = 0, file = 0;
  sscanf(fake->mode, "until:%d:%n", &until, &file);
  fake->steps = !slow ? 20 : fake->mode[4] ? atoi(fake->mode + 5) : 100;
  int64_t number = newest_checkpoint(fake);
  start(fake, number);
  while (number < fake->steps) {
    step(fake, ++number, nan);
    if (number == 5) misbehave(fake);
    if (number == until) work_until(fake, fake->mode + file);
    if (slow) sleep_ms(20);
    if (stop_signal || number == fake->stop_after) {
      checkpoint(fake, number);
      return finish(fake, "interrupted", number, stop_signal ? 128 + stop_signal : 0);
    }
    if (number % 10 == 0) checkpoint(fake, number);
  }
  scores(fake, nan);
  if (!strcmp(fake->mode, "late")) {
    finish(fake, "done", number, 0);
    raise(SIGKILL);
  }
  return nan ? finish(fake, "failed", number, EXIT_NONFINITE) : finish(fake, "done", number, 0);
}

/* As the real trainer: no finished folder, and none of another configuration. */
static bool admit(Fake *fake) {
  RunFolder folder;
  if (!run_folder_read(&folder, fake->out, &fake->error)) return false;
  bool ok = run_folder_admit(&folder, fake->out, &fake->config, fake->resume, &fake->error);
  run_folder_free(&folder);
  return ok;
}

int main(int argc, char **argv) {
  Fake fake = {.mode = getenv("FAKE_TRAINER")};
  char events[4096];
  if (!fake.mode) fake.mode = "";
  for (int i = 2; i < argc; i++) {
    if (!strcmp(argv[i], "--out"))
      fake.out = argv[++i];
    else if (!strcmp(argv[i], "--resume"))
      fake.resume = true;
    else if (!strcmp(argv[i], "--stop-after"))
      fake.stop_after = atoll(argv[++i]);
    else if (!strcmp(argv[i], "--set"))
      snprintf(fake.settings + strlen(fake.settings), sizeof fake.settings - strlen(fake.settings),
               " %s", argv[++i]);
    else if (argv[i][0] != '-')
      fake.config_path = argv[i];
  }
  if (argc < 3 || strcmp(argv[1], "train") || !fake.out || !fake.config_path) return EXIT_CONFIG;
  if (only_others(&fake, getenv("FAKE_ONLY"))) fake.mode = "";
  if (!strncmp(fake.mode, "silent:", 7)) {
    fprintf(stderr, "a word on standard error\n");
    return atoi(fake.mode + 7);
  }
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  snprintf(events, sizeof events, "%s/events.jsonl", fake.out);
  if (!config_load(&fake.config, fake.config_path, &fake.error) || !admit(&fake) ||
      !events_open(&fake.log, events, &fake.error)) {
    fprintf(stderr, "%s\n", fake.error.message);
    return fake.error.code;
  }
  note_place(&fake, '+');
  int code = train(&fake);
  note_place(&fake, '-');
  Error ignored;
  events_close(&fake.log, &ignored);
  return code;
}
