/* mae: trains and examines masked autoencoders. Each command is in mae/cmd/NAME.c. */
#include "mae/base/commands.h"
#include "mae/cmd/cmd.h"
#include "mae/record/versions.h"

static const Command commands[] = {
    {"train", cmd_train, "train a model into a run folder"},
    {"eval", cmd_eval, "score a checkpoint on the held-out images"},
    {"features", cmd_features, "write what a checkpoint's encoder makes of images"},
    {"reconstruct", cmd_reconstruct, "draw what a checkpoint makes of images"},
    {"bench", cmd_bench, "time training steps and the matrix products that bound them"},
    {"config", cmd_config, "print, hash or explain a configuration"},
    {"import", cmd_import, "weights of the public reference into a weights file"},
    {"export", cmd_export, "weights as timm or Hugging Face load them"},
    {"data", cmd_data, "pack images, say what a pack holds, or time crops of it"},
};

static const char after_list[] =
    "`mae COMMAND --help` explains a command; `mae --version` prints version, build, libraries\n"
    "and GPUs.\n"
    "Exit codes: 0 done, 2 usage or configuration, 3 device or memory, 4 data or files,\n"
    "5 a loss that is not finite, 75 stopped by a time limit, 128+N stopped by signal N.\n";

static void print_parts(void) {
  versions_print("");
}

static const Program program = {"mae",      "trains and examines masked autoencoders",
                                commands,   sizeof commands / sizeof *commands,
                                after_list, print_parts};

int main(int argc, char **argv) {
  return commands_run(&program, argc, argv);
}
