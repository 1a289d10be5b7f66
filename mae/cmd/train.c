/* mae train: one training run. */
#include <unistd.h>

#include "mae/cmd/cmd.h"
#include "mae/ranks/ranks.h"
#include "mae/train/train.h"

static const char about[] =
    "Trains one model. The run folder receives events.jsonl (every step, score and\n"
    "fact of the run), checkpoints/step-N/ and sheet.png. Ctrl-C and SIGTERM write a\n"
    "checkpoint and stop; a second one stops at once. --resume continues to the same\n"
    "bits as a run that was never stopped. So does a run that --time-limit stopped\n"
    "(exit code 75): repeat the command with --resume until it is 0.";

/* Of ranks that a launcher started together only rank 0 says what is wrong with the command line.
 * The launcher ends all of them when one has ended: the others wait a second, so that rank 0 has
 * said it by then. */
static int leave(const ConfigCommand *command, int code) {
  if (command->line.silent && code) sleep(1);
  return code;
}

int cmd_train(int argc, char **argv) {
  TrainOptions train = {0};
  const CmdOption options[] = {
      {"--out", CMD_TEXT, &train.out, "DIR", "run folder, created when missing (required)"},
      {"--resume", CMD_FLAG, &train.resume, NULL, "continue from the newest checkpoint, if any"},
      {"--stop-after", CMD_COUNT, &train.stop_after, "N",
       "stop after N steps in total as Ctrl-C would (exit code 130)"},
      {"--time-limit", CMD_TIME, &train.time_limit, "TIME",
       "write a checkpoint and stop before so much time is over: 11h30m, 90m, 45s"},
      {"--quiet", CMD_FLAG, &train.quiet, NULL, "no progress on standard error"},
  };
  ConfigCommand command = {.line = {.name = "mae train",
                                    .about = about,
                                    .silent = ranks_launch().rank > 0,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options}};
  int code;
  Error e = {0};
  if (!cmd_parse(&command, argc, argv, &code)) return leave(&command, code);
  if (!train.out) {
    error_set(&e, EXIT_CONFIG, "--out DIR is missing: the folder for checkpoints and events");
    return leave(&command, command.line.silent ? e.code : command_fail(command.line.name, &e));
  }
  return leave(&command, train_run(&command.config, &train, &e));
}
