/* harness: sweeps of trials, each trained by a `mae` process, recorded in SQLite. Each command is
 * in harness/cmd/NAME.c. */
#include "harness/cmd/cmd.h"
#include "harness/store/store.h"
#include "mae/base/commands.h"
#include "mae/record/versions.h"

static const Command commands[] = {
    {"run", cmd_run, "run the trials of an experiment; continue where it stopped"},
    {"status", cmd_status, "how far every experiment is"},
    {"show", cmd_show, "one trial: configuration, results, attempts, provenance"},
    {"list", cmd_list, "the trials that a condition picks, with the columns you want"},
    {"best", cmd_best, "the best point by a metric, and those that may be as good"},
    {"compare", cmd_compare, "the difference between two points, and whether the seeds support it"},
    {"diff", cmd_diff, "what differs between two trials, points, experiments or databases"},
    {"report", cmd_report, "results as one HTML file: figures, tables, pictures, provenance"},
    {"export", cmd_export, "results as csv, jsonl, latex ...; or a sweep, to continue elsewhere"},
    {"verify", cmd_verify, "train a recorded trial again and compare, bit for bit"},
    {"tag", cmd_tag, "mark a trial with words"},
    {"note", cmd_note, "say something of a trial or an experiment"},
    {"delete", cmd_delete, "move a trial or an experiment into the bin; restore; empty"},
    {"import", cmd_import, "rebuild the database from the trial folders"},
    {"clean", cmd_clean, "free the room of what trials no longer need"},
};

static const char after_list[] =
    "`harness COMMAND --help` explains a command; `harness --version` prints version, build,\n"
    "libraries and GPUs. To begin:\n\n"
    "  harness run ablations/mask_ratio.ini --dry-run\n\n"
    "Exit codes: 0 all trials done or pruned, 1 some failed, 2 usage or configuration,\n"
    "3 a verification that does not match, 4 something is missing or Slurm refused, 73 no room\n"
    "within --disk-limit, 75 stopped by a time limit (the same command continues), 128+N stopped "
    "by\n"
    "signal N.\n";

static void print_parts(void) {
  versions_print(store_library());
}

static const Program program = {"harness",  "sweeps of masked autoencoders, recorded in SQLite",
                                commands,   sizeof commands / sizeof *commands,
                                after_list, print_parts};

int main(int argc, char **argv) {
  return commands_run(&program, argc, argv);
}
