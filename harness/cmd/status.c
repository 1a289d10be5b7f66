/* harness status: how far every experiment is. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/slurm/submission.h"
#include "harness/store/rows.h"
#include "harness/store/store.h"
#include "mae/base/commands.h"

static const char about[] =
    "One line per experiment: its trials by status, the range of scores, the time spent. With an\n"
    "EXPERIMENT (as it stands in the first column, or its name without the scale: then those of\n"
    "every scale), one line per trial. Of a sweep that was handed to Slurm also a line for each "
    "state\n"
    "of its parts, with the jobs. With --watch it is drawn again every two seconds, until "
    "Ctrl-C.";

/* A number for a table; programs, which read JSON, get all of its digits. The caller frees. */
static char *number_sql(const char *sql, int digits, bool json) {
  return json ? string_copy(sql) : string_format("round(%s, %d)", sql, digits);
}

/* A line per experiment. */
static char *experiments_sql(bool json) {
  char *low = number_sql("min(psnr_masked)", 2, json);
  char *high = number_sql("max(psnr_masked)", 2, json);
  char *minutes = number_sql("sum(wall_seconds) / 60", 1, json);
  char *sql = string_format(
      "SELECT experiment, count(*) AS trials, sum(status = 'done') AS done, "
      "sum(status = 'running') AS running, sum(status = 'interrupted') AS interrupted, "
      "sum(status = 'pruned') AS pruned, sum(status = 'failed') AS failed, "
      "sum(status = 'pending') AS pending, %s AS psnr_masked_min, %s AS psnr_masked_max, "
      "%s AS minutes FROM trials WHERE planned GROUP BY experiment ORDER BY experiment",
      low, high, minutes);
  free(low);
  free(high);
  free(minutes);
  return sql;
}

/* Headline metrics, the leaky ones where there are any. */
static const char shown[] = "headline AND (needs <> 'leaky' OR name IN (SELECT metric FROM scores "
                            "WHERE value IS NOT NULL))";

/* The minutes that a running trial needs for the rest at the mean pace of its last 50 steps
 * (evaluations are not in it). */
static const char minutes_left[] =
    "(steps - (SELECT max(step) FROM step WHERE step.trial = trials.trial)) / 60.0 * (SELECT "
    "avg(seconds) FROM step WHERE step.trial = trials.trial AND step.step > (SELECT max(step) - 50 "
    "FROM step WHERE step.trial = trials.trial))";

/* A line per trial. */
static char *trials_sql(Store *store, const char *name, bool json, Error *e) {
  StringList found = {0};
  char *metrics = NULL, *list = NULL, *sql = NULL;
  char *minutes = number_sql(minutes_left, 1, json);
  char *speed = number_sql("images_per_second", 0, json);
  if (store_find_experiments(store, name, &found, e) &&
      store_columns(store, &metrics, shown, !json, e)) {
    list = sql_list(&found);
    sql = string_format(
        "SELECT %strial, status, (SELECT max(step) FROM step WHERE step.trial = trials.trial) AS "
        "step, steps, CASE status WHEN 'running' THEN %s END AS minutes_left, swept, "
        "%s%s AS images_per_second, attempts, error FROM trials WHERE experiment IN (%s) "
        "ORDER BY experiment, trial",
        found.count > 1 ? "experiment, " : "", minutes, metrics, speed, list);
  }
  strings_free(&found);
  free(metrics);
  free(list);
  free(minutes);
  free(speed);
  return sql;
}

typedef struct StatusCommand {
  const char *db, *experiment; /* NULL: all */
  bool json, watch;
} StatusCommand;

/* What was handed to Slurm, from wherever the database's experiments lie. */
static void print_submissions(Store *store, const StatusCommand *command, FILE *out) {
  StringList experiments = {0}, folders = {0};
  bool ok = store_name_experiments(store, &experiments, NULL, 0, NULL);
  char *here = getcwd(NULL, 0);
  size_t length = here ? strlen(here) : 0;
  for (int i = 0; ok && i < experiments.count; i++) {
    Target target;
    if (!store_find_target(store, experiments.items[i], &target, NULL) || !*target.folder) continue;
    char *slash = strrchr(target.folder, '/');
    if (slash) *slash = 0;
    bool below = here && !strncmp(target.folder, here, length) && target.folder[length] == '/';
    const char *folder = target.folder + (below ? length + 1 : 0);
    if (strings_find(&folders, folder) < 0) strings_add(&folders, string_copy(folder));
  }
  for (int i = 0; i < folders.count; i++)
    submissions_print(out, folders.items[i], command->experiment);
  free(here);
  strings_free(&experiments);
  strings_free(&folders);
}

static bool print_status(const StatusCommand *command, FILE *out, Error *e) {
  Store *store = NULL;
  char *sql = NULL;
  bool cut = false, ok = store_open_readonly(&store, command->db, e);
  ok = ok && store_import_cut(store, &cut, e);
  if (cut)
    fprintf(stderr,
            "note: an import into %s is under way or was cut short: not all trials are in "
            "it; `harness import` completes it\n",
            command->db);
  if (ok)
    sql = command->experiment ? trials_sql(store, command->experiment, command->json, e)
                              : experiments_sql(command->json);
  ok = sql && store_print(store, out, sql, command->json, e);
  if (ok && !command->json) print_submissions(store, command, out);
  free(sql);
  store_close(store);
  return ok;
}

static volatile sig_atomic_t stopped;

static void stop(int signal) {
  stopped = signal;
}

static int count_lines(const char *text) {
  int count = 0;
  for (; *text; text++) count += *text == '\n';
  return count;
}

/* Lines of a table that a screen has room for, with two left for what stands below it; all where
 * the size of the screen is not known. */
static int room_for_lines(void) {
  struct winsize screen;
  bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &screen) == 0 && screen.ws_row > 4;
  return known ? screen.ws_row - 2 : INT_MAX;
}

/* Over the last picture, from the top left corner. What a screen has no room for would scroll the
 * head of the table away: it is counted instead. */
static void draw_text(const char *text) {
  int room = room_for_lines(), lines = count_lines(text);
  int drawn = lines <= room ? lines : room - 1;
  printf("\033[H");
  for (int i = 0; i < drawn; i++) {
    int length = (int)strcspn(text, "\n");
    printf("%.*s\033[K\n", length, text);
    text += length + 1;
  }
  if (drawn < lines) printf("... and %d lines more\033[K\n", lines - drawn);
}

/* Each picture is made whole before the first of it is written. */
static bool draw(const StatusCommand *command, Error *e) {
  char *text = NULL, now[32];
  size_t size;
  time_t seconds = time(NULL);
  struct tm local;
  FILE *out = need(open_memstream(&text, &size));
  bool ok = print_status(command, out, e);
  fclose(out);
  strftime(now, sizeof now, "%H:%M:%S", localtime_r(&seconds, &local));
  if (ok) {
    draw_text(need(text));
    printf("\n%s, every 2 s; Ctrl-C ends it\033[K\033[J", now);
    commands_flush_output();
  }
  free(text);
  return ok;
}

/* On the terminal's second screen, so that the first is as it was afterwards. */
static bool watch(const StatusCommand *command, Error *e) {
  struct sigaction action = {.sa_handler = stop};
  if (!isatty(STDOUT_FILENO) || command->json)
    return error_set(e, EXIT_CONFIG,
                     "--watch draws on a terminal; without it the state is printed once");
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  printf("\033[?1049h\033[?7l"); /* long lines end at the edge */
  bool ok = true;
  while (ok && !stopped) {
    ok = draw(command, e);
    if (ok && !stopped) sleep(2); /* a signal ends it early */
  }
  printf("\033[?7h\033[?1049l");
  commands_flush_output();
  return ok;
}

int cmd_status(int argc, char **argv) {
  StatusCommand command = {.db = DEFAULT_DB};
  const CmdOption options[] = {
      {"--watch", CMD_FLAG, &command.watch, NULL, "draw it again every two seconds"},
      OPTION_JSON(&command.json),
      OPTION_DB(&command.db),
  };
  CommandLine line = {.name = "harness status",
                      .usage = "[EXPERIMENT]",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_max = 1};
  int code;
  Error e = {0};
  if (!command_line_read(&line, argc, argv, &code)) return code;
  if (line.word_count) command.experiment = line.words[0];
  bool ok = command.watch ? watch(&command, &e) : print_status(&command, stdout, &e);
  return command_end(&line, NULL, ok, &e);
}
