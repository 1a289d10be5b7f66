/* cmd.h - the commands of the `harness` program; argv[0] is the command's name, each returns the
 * process's exit code: 0 all trials done, 1 some failed, 2 usage or configuration, 3 a verification
 * that does not match, 4 something is missing or Slurm refused, 73 no room within --disk-limit, 75
 * a time limit was reached, 128+N stopped by signal N. */
#ifndef HARNESS_CMD_CMD_H
#define HARNESS_CMD_CMD_H

enum { EXIT_SOME_FAILED = 1, EXIT_MISMATCH = 3 };

#define DEFAULT_DB "results/results.db"
#define DEFAULT_OUT "results"

int cmd_run(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_best(int argc, char **argv);
int cmd_tag(int argc, char **argv);
int cmd_note(int argc, char **argv);
int cmd_delete(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_clean(int argc, char **argv);
int cmd_export(int argc, char **argv);

#endif
