/* harness compare: the difference between two points of a sweep, or an experiment beside a paper.
 */
#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/store/store.h"

static const char about[] =
    "A and B are each a trial's number or the settings of a point, within an experiment or not:\n"
    "  harness compare train.mask_ratio=0.5 train.mask_ratio=0.75\n"
    "  harness compare 'decoder_size-cpu:model.decoder=96x2x3' "
    "'decoder_size-cpu:model.decoder=48x1x3'\n"
    "Prints A - B with a 95% interval, paired by seed, whether the seeds support it, the smallest\n"
    "difference that so many seeds find, and how many find this one. Several metrics are "
    "corrected\n"
    "by Holm.\n"
    "\n"
    "EXPERIMENT alone, one whose INI file has published numbers ([paper]):\n"
    "  harness compare decoder_depth\n"
    "prints ours beside them and says whether the seeds support that both put the settings in the\n"
    "same order: agrees, contradicts, or too few seeds to tell. Without published numbers, or "
    "with\n"
    "--points, every two points of it are compared, corrected by Holm.";

int cmd_compare(int argc, char **argv) {
  const char *db = DEFAULT_DB, *metric = NULL;
  bool json = false, points = false;
  const CmdOption options[] = {
      OPTION_DB(&db),
      {"--metric", CMD_TEXT, &metric, "NAME",
       "column of `trials` (psnr_masked; with EXPERIMENT what its\n[paper] says); of A and B "
       "also several: NAME,NAME or all"},
      {"--points", CMD_FLAG, &points, NULL, "every two points of EXPERIMENT"},
      {"--json", CMD_FLAG, &json, NULL, "print JSON; a list when EXPERIMENT has several scales"},
  };
  CommandLine line = {.name = "harness compare",
                      .usage = "A B | EXPERIMENT",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_min = 1,
                      .words_max = 2};
  int code;
  Error e = {0};
  Store *store = NULL;
  if (!command_line_read(&line, argc, argv, &code)) return code;
  bool ok = store_open_readonly(&store, db, &e);
  if (ok && points && line.word_count == 2)
    ok = error_set(&e, EXIT_CONFIG, "--points takes an EXPERIMENT, not A and B");
  else if (ok && points)
    ok = store_compare_points(store, stdout, line.words[0], metric, json, &e);
  else if (ok && line.word_count == 1)
    ok = store_compare_paper(store, stdout, line.words[0], metric, json, &e);
  else if (ok)
    ok = store_compare(store, stdout, line.words[0], line.words[1], metric, json, &e);
  return command_end(&line, store, ok, &e);
}
