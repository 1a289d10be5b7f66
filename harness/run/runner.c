/* runner.c - starts a trainer, reads what it writes, and says how it ended. */
#include "harness/run/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "mae/base/clock.h"
#include "mae/base/io.h"
#include "mae/ranks/ranks.h"
#include "mae/train/report.h"

enum { HANG_GRACE_SECONDS = 10, PAUSE_FACTOR = 20, AWAY_SECONDS = 5, PID_DIGITS = 10 };

static void take_line(void *user, const char *line, size_t length, uint64_t offset) {
  Trainer *trainer = user;
  bool taken = facts_take(&trainer->facts, line, length);
  if (taken && trainer->live) {
    double now = clock_seconds();
    if (now - trainer->heard > trainer->longest) trainer->longest = now - trainer->heard;
    trainer->heard = now;
  }
  if (trainer->take) trainer->take(trainer->user, line, length, offset, taken);
}

/* The child's side of fork(): only async-signal-safe calls. Reports errno through the pipe when the
 * program cannot be started. */
_Noreturn static void become_trainer(char *const *argv, char *const *environment, char *pid_digits,
                                     int log, int lock, pid_t parent, int report) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  /* A shell's script ignores SIGINT in what it starts with &, and that would go on to the trainer,
   * which would miss being asked to stop until it has handlers. */
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  int null = open("/dev/null", O_RDONLY);
  bool ok = getppid() == parent && dup2(null, 0) >= 0 && dup2(log, 1) >= 0 && dup2(log, 2) >= 0;
  if (lock >= 0) ok = ok && fcntl(lock, F_SETFD, 0) == 0;
  long pid = getpid();
  for (int i = PID_DIGITS; pid_digits && i-- > 0; pid /= 10) pid_digits[i] = (char)('0' + pid % 10);
  if (ok) execvpe(argv[0], argv, environment);
  int problem = errno;
  ssize_t ignored = write(report, &problem, sizeof problem);
  (void)ignored;
  _exit(127);
}

static void make_command(StringList *command, const TrainerStart *start) {
  const char *word = start->launcher ? start->launcher : "";
  while (*(word += strspn(word, " "))) {
    size_t length = strcspn(word, " ");
    strings_add(command, string_format("%.*s", (int)length, word));
    word += length;
  }
  strings_add(command, string_copy(start->program));
  strings_add(command, string_copy("train"));
  strings_add(command, string_format("%s/config.ini", start->folder));
  strings_add(command, string_copy("--out"));
  strings_add(command, string_copy(start->folder));
  strings_add(command, string_copy("--quiet"));
  if (start->resume) strings_add(command, string_copy("--resume"));
  if (start->threads > 0) {
    strings_add(command, string_copy("--set"));
    strings_add(command, string_format("run.threads=%d", start->threads));
  }
  if (start->ranks > 0) {
    strings_add(command, string_copy("--set"));
    strings_add(command, string_format("train.ranks=%d", start->ranks));
  }
  if (start->stop_after > 0) {
    strings_add(command, string_copy("--stop-after"));
    strings_add(command, string_format("%lld", (long long)start->stop_after));
  }
  strings_add(command, NULL);
}

/* This process's environment with CUDA_VISIBLE_DEVICES replaced, and without what a launcher told
 * this process about itself. Numbers that this harness chose count the GPUs as nvidia-smi does, not
 * by speed. */
static void make_environment(StringList *environment, const char *cuda_devices) {
  static const char name[] = "CUDA_VISIBLE_DEVICES=";
  for (char **entry = environ; *entry; entry++)
    if ((!cuda_devices || strncmp(*entry, name, sizeof name - 1) != 0) &&
        !ranks_launch_variable(*entry))
      strings_add(environment, string_copy(*entry));
  if (cuda_devices) strings_add(environment, string_format("%s%s", name, cuda_devices));
  if (cuda_devices && !getenv("CUDA_VISIBLE_DEVICES") && !getenv("CUDA_DEVICE_ORDER"))
    strings_add(environment, string_copy("CUDA_DEVICE_ORDER=PCI_BUS_ID"));
  strings_add(environment, NULL);
}

/* Forks and waits until the program has been loaded or could not be. */
static bool launch(Trainer *trainer, const TrainerStart *start, int log, Error *e) {
  StringList command = {0}, environment = {0};
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0)
    return error_set(e, EXIT_DATA, "cannot make a pipe: %s", strerror(errno));
  make_command(&command, start);
  /* Behind a launcher the trainer is another process than the one that is recorded. */
  char *pid_digits = NULL;
  if (start->launcher && *start->launcher) {
    strings_add(&environment, string_format("%s=%0*d", REPORT_PID_VARIABLE, PID_DIGITS, 0));
    pid_digits = environment.items[0] + strlen(REPORT_PID_VARIABLE) + 1;
  }
  make_environment(&environment, start->cuda_devices);
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0)
    become_trainer(command.items, environment.items, pid_digits, log, start->lock, parent,
                   report[1]);
  int problem = errno;
  close(report[1]);
  bool ok = child > 0;
  if (ok) {
    setpgid(child, child); /* in parent and child, so that the group exists whichever runs first */
    ssize_t n;
    while ((n = read(report[0], &problem, sizeof problem)) < 0 && errno == EINTR) {
    }
    ok = n == 0;
    if (!ok) waitpid(child, NULL, 0);
  }
  close(report[0]);
  if (!ok) error_set(e, EXIT_DATA, "cannot start %s: %s", command.items[0], strerror(problem));
  if (ok) trainer->pid = child;
  strings_free(&command);
  strings_free(&environment);
  return ok;
}

bool trainer_start(Trainer *trainer, const TrainerStart *start, TrainerLine take, void *user,
                   Error *e) {
  *trainer = (Trainer){.take = take, .user = user, .timeout = start->timeout};
  snprintf(trainer->folder, sizeof trainer->folder, "%s", start->folder);
  facts_init(&trainer->facts);
  char path[CONFIG_PATH_MAX];
  if (!io_join(path, sizeof path, start->folder, "events.jsonl", e)) return false;
  tail_open(&trainer->events, path);
  tail_read(&trainer->events, take_line, trainer);
  trainer->starts_before = trainer->facts.starts;
  if (!io_join(path, sizeof path, start->folder, "stderr.log", e)) goto fail;
  int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) {
    error_set(e, EXIT_DATA, "%s: cannot open for writing: %s", path, strerror(errno));
    goto fail;
  }
  bool ok = launch(trainer, start, log, e);
  close(log);
  if (!ok) goto fail;
  trainer->live = true;
  trainer->started = trainer->heard = trainer->polled = clock_seconds();
  return true;

fail:
  tail_close(&trainer->events);
  return false;
}

/* The last line of stderr.log that says something. */
static void last_words(char *out, size_t size, const char *folder) {
  char tail[2048];
  char *path = string_format("%s/stderr.log", folder);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  free(path);
  ssize_t n = 0;
  if (fd >= 0) {
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof tail - 1 ? end - (off_t)sizeof tail + 1 : 0;
    n = pread(fd, tail, sizeof tail - 1, from);
    close(fd);
  }
  tail[n > 0 ? n : 0] = 0;
  StringList lines = {0};
  strings_split(&lines, tail, "\n");
  const char *last = "";
  for (int i = 0; i < lines.count; i++)
    if (*lines.items[i]) last = lines.items[i];
  snprintf(out, size, "%s", last);
  strings_free(&lines);
}

static const char *code_meaning(int code) {
  switch (code) {
  case EXIT_CONFIG:
    return "configuration";
  case EXIT_DEVICE:
    return "device or memory";
  case EXIT_DATA:
    return "data or files";
  case EXIT_NONFINITE:
    return "the loss is not finite";
  default:
    return "unknown exit code";
  }
}

/* Why a trial failed: the trainer's own words when it had any. */
static void explain(Outcome *outcome, const Trainer *trainer, bool started) {
  char words[sizeof trainer->facts.error] = "";
  if (started) snprintf(words, sizeof words, "%s", trainer->facts.error);
  if (!*words && outcome->code != 0) last_words(words, sizeof words, trainer->folder);
  const char *colon = *words ? ": " : "";
  if (trainer->hung)
    snprintf(outcome->error, sizeof outcome->error,
             "hang: no event for %.0f s; stopped (a longer --timeout waits longer)",
             fmax(trainer->timeout, PAUSE_FACTOR * trainer->longest));
  else if (outcome->signal == SIGKILL && trainer->kill_at == 0)
    snprintf(outcome->error, sizeof outcome->error,
             "killed by SIGKILL: by hand, or by the system for want of memory");
  else if (outcome->signal)
    snprintf(outcome->error, sizeof outcome->error, "died of signal %d (%s)%s%s", outcome->signal,
             strsignal(outcome->signal), colon, words);
  else if (outcome->code == 0)
    snprintf(outcome->error, sizeof outcome->error,
             "exit code 0 without the end event of a finished run");
  else
    snprintf(outcome->error, sizeof outcome->error, "exit code %d (%s)%s%s", outcome->code,
             code_meaning(outcome->code), colon, words);
}

static void judge(Outcome *outcome, const Trainer *trainer, int status) {
  bool started = trainer->facts.starts > trainer->starts_before;
  const char *end = started ? trainer->facts.end : "";
  *outcome = (Outcome){.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                       .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0};
  bool told_to_stop = trainer->kill_at > 0 && !trainer->hung;
  if (!strcmp(end, "done")) { /* whatever became of the process after that */
    outcome->status = TRIAL_DONE;
  } else if (!trainer->hung && !strcmp(end, "interrupted")) {
    outcome->status = TRIAL_INTERRUPTED;
    snprintf(outcome->error, sizeof outcome->error, "stopped at step %lld",
             (long long)trainer->facts.step);
  } else if (told_to_stop && (outcome->signal || outcome->code > 128)) {
    outcome->status = TRIAL_INTERRUPTED;
    snprintf(outcome->error, sizeof outcome->error, "stopped before it could write a checkpoint");
  } else {
    outcome->status = TRIAL_FAILED;
    explain(outcome, trainer, started);
  }
}

/* A batch system that suspends a job stops this process and the trainer for as long as it likes:
 * that is neither the trainer's silence nor its time to stop. */
static void leave_out_absence(Trainer *trainer) {
  double now = clock_seconds(), away = now - trainer->polled;
  trainer->polled = now;
  if (away < AWAY_SECONDS) return;
  trainer->heard += away;
  if (trainer->kill_at > 0) trainer->kill_at += away;
}

bool trainer_poll(Trainer *trainer, Outcome *outcome) {
  int status;
  leave_out_absence(trainer);
  pid_t ended = waitpid(trainer->pid, &status, WNOHANG);
  if (ended != 0) trainer->events.seen = 0; /* look at the file's end whatever its size */
  tail_read(&trainer->events, take_line, trainer);
  double now = clock_seconds();
  if (ended != 0) {
    kill(-trainer->pid, SIGKILL); /* ranks it may have left behind */
    judge(outcome, trainer, ended > 0 ? status : 0);
    trainer->pid = 0;
    return false;
  }
  double patience = fmax(trainer->timeout, PAUSE_FACTOR * trainer->longest);
  if (trainer->kill_at == 0 && now - trainer->heard > patience) {
    trainer->hung = true;
    trainer_stop(trainer, SIGTERM, HANG_GRACE_SECONDS);
  }
  if (trainer->kill_at > 0 && now > trainer->kill_at) kill(-trainer->pid, SIGKILL);
  return true;
}

void trainer_stop(Trainer *trainer, int signal, double grace) {
  if (trainer->pid == 0) return;
  kill(trainer->pid, signal);
  trainer->kill_at = clock_seconds() + grace;
}

void trainer_check_timeout(double timeout) {
  if (timeout >= 2 * REPORT_WORK_SECONDS) return;
  fprintf(stderr,
          "note: --timeout %g: at a long job (packing, a probe) a trainer tells every %g s that it "
          "works; with less than %g one that works may be stopped\n",
          timeout, REPORT_WORK_SECONDS, 2 * REPORT_WORK_SECONDS);
}

void trainer_close(Trainer *trainer) {
  tail_close(&trainer->events);
}

static void stop_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
  /* Under nohup SIGHUP is ignored; blocked, it would be waited for all the same. */
  struct sigaction hangup;
  if (sigaction(SIGHUP, NULL, &hangup) || hangup.sa_handler != SIG_IGN) sigaddset(set, SIGHUP);
  sigaddset(set, SIGCHLD);
}

void runner_block_signals(void) {
  sigset_t set;
  stop_signals(&set);
  sigprocmask(SIG_BLOCK, &set, NULL);
}

int runner_wait_signal(double seconds) {
  sigset_t set;
  stop_signals(&set);
  const struct timespec pause = {.tv_sec = (time_t)seconds,
                                 .tv_nsec = (long)(1e9 * (seconds - floor(seconds)))};
  int signal = sigtimedwait(&set, NULL, &pause);
  return signal > 0 && signal != SIGCHLD ? signal : 0;
}

void runner_obey_signal(void) {
  int number = runner_wait_signal(0);
  if (number == 0) return;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  signal(number, SIG_DFL);
  raise(number);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void obey_and_show(void *shown, const char *what, size_t done, size_t total) {
  runner_obey_signal();
  progress_tell(shown, what, done, total);
}

ProgressListener runner_listener(const ProgressListener *shown) {
  return (ProgressListener){obey_and_show, (void *)shown};
}
