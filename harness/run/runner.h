/* runner.h - one trainer process: started, followed through its event file, stopped, and judged.
 *
 * A trainer leads a process group of its own, so that a terminal's Ctrl-C reaches it only through
 * its harness, and receives SIGTERM from the kernel when its harness dies, so that it writes a
 * checkpoint and ends. It has the trial folder's lock as an open file and standard output and error
 * in stderr.log. */
#ifndef HARNESS_RUN_RUNNER_H
#define HARNESS_RUN_RUNNER_H

#include <sys/types.h>

#include "harness/base/tail.h"
#include "harness/trial/facts.h"
#include "harness/trial/folder.h"
#include "mae/base/progress.h"

typedef struct TrainerStart {
  const char *program;      /* mae */
  const char *launcher;     /* resources.launcher */
  const char *folder;       /* with config.ini in it */
  bool resume;              /* from the newest checkpoint, when there is one */
  int threads;              /* CPU threads; 0: as configured */
  int ranks;                /* train.ranks; 0: as configured */
  const char *cuda_devices; /* CUDA_VISIBLE_DEVICES for it; NULL: as it is */
  int64_t stop_after;       /* stop after so many steps; 0: never */
  int lock;                 /* of folder_lock; -1: none */
  double timeout;           /* seconds without an event that count as a hang; grows to 20 times the
                             * longest pause between two events */
} TrainerStart;

/* Told of each complete line; taken is false for one that is no event. */
typedef void (*TrainerLine)(void *user, const char *line, size_t length, uint64_t offset,
                            bool taken);

typedef struct Trainer {
  pid_t pid; /* 0: none */
  char folder[CONFIG_PATH_MAX];
  Facts facts;
  Tail events;
  TrainerLine take;
  void *user;
  int starts_before;              /* start events of earlier attempts */
  bool live;                      /* lines read now are this attempt's */
  double started, heard, longest; /* monotonic seconds; longest pause between events */
  double polled;                  /* when trainer_poll() looked last */
  double timeout;
  double kill_at; /* when SIGKILL follows a signal to stop; 0: not asked to stop */
  bool hung;
} Trainer;

/* Reads the events of earlier attempts (through take too), then starts the process. */
bool trainer_start(Trainer *, const TrainerStart *, TrainerLine take, void *user, Error *);
/* Reads what is new; false once the process has ended, with its outcome. */
bool trainer_poll(Trainer *, Outcome *);
/* Asks it to checkpoint and end, and kills it when it has not after `grace` seconds. */
void trainer_stop(Trainer *, int signal, double grace);
void trainer_close(Trainer *);
/* A note on standard error when so short a timeout takes a trainer for one that hangs that is at a
 * long job, of which it tells every REPORT_WORK_SECONDS. */
void trainer_check_timeout(double timeout);

/* SIGINT, SIGTERM, SIGHUP (unless it is ignored, as under nohup) and SIGCHLD are blocked in a
 * process that runs trainers (they get an empty mask), and waited for here: the number of one that
 * asks to stop, or 0 after a child's end or so many seconds. */
void runner_block_signals(void);
int runner_wait_signal(double seconds);
/* Ends this process as one of them would that asks to stop, when it has come. For long work while
 * no trainer runs, in which nothing is lost by it; from any thread. */
void runner_obey_signal(void);
/* Obeys, and passes on to `shown`, which must outlive it, what it hears. */
ProgressListener runner_listener(const ProgressListener *shown);

#endif
