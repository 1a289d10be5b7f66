/* What a sweep's end asks for: the same command again, more room, or a look at the results. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cmd/cmd.h"
#include "harness/cmd/run.h"
#include "harness/plan/locate.h"
#include "mae/base/commands.h"

/* In the sources `make plots`; elsewhere the script that it calls, where that is installed. */
static void say_figures(const char *db) {
  char script[CONFIG_PATH_MAX], real[PATH_MAX];
  bool usual = !strcmp(db, DEFAULT_DB);
  locate_plots(script);
  if (!strcmp(script, "plots/draw.sh"))
    fprintf(stderr, "make plots%s%s; ", usual ? "" : " DB=", usual ? "" : db);
  else if (*script && realpath(script, real))
    fprintf(stderr, "sh %s %s figures; ", real, db);
}

static void say_results(const char *db) {
  bool usual = !strcmp(db, DEFAULT_DB);
  fprintf(stderr, "\nnext: harness status%s%s; ", usual ? "" : " --db ", usual ? "" : db);
  say_figures(db);
  fprintf(stderr,
          "or a line per point:\n"
          "  sqlite3 -box %s \"select experiment, settings, n,\n"
          "    round(mean, 2) as mean, round(sd, 2) as sd from points\n"
          "    where metric = 'psnr_masked' and planned\"\n",
          db);
}

void run_say_next(const RunCommand *run) {
  commands_flush_output(); /* in a log of both it stands behind the table */
  if (run->pruned)
    fprintf(stderr, "\n%d trial%s pruned: paused with %s, until the same command with --no-prune\n",
            run->pruned, run->pruned == 1 ? " is" : "s are",
            run->pruned == 1 ? "its checkpoint" : "their checkpoints");
  if (run->signal)
    fputs("\nstopped; the same command continues\n", stderr);
  else if (run->out_of_time)
    fprintf(stderr, "\nthe time is over; the same command continues (exit code %d)\n", EXIT_TIME);
  else if (run->out_of_disk)
    fprintf(stderr,
            "\n--disk-limit leaves no room for another trial (exit code %d): `harness clean`, or a "
            "higher limit; then the same command continues\n",
            EXIT_DISK);
  else if (run->failed)
    fprintf(stderr, "\n%d failed; the same command runs them again\n", run->failed);
  else if (run->left)
    fprintf(stderr,
            "\n%d stopped before the end, not by this command; the same command continues\n",
            run->left);
  else if (run->parts > 1)
    fprintf(stderr, "\nnext, when the other parts are done too: harness import --out %s\n",
            run->out);
  else
    say_results(run->db);
}
