/* run_folder.h - what a run folder holds already, and finding the weights a user points at. */
#ifndef MAE_RECORD_RUN_FOLDER_H
#define MAE_RECORD_RUN_FOLDER_H

#include "mae/config/config.h"

typedef struct RunFolder {
  bool started;                             /* events.jsonl has a start event */
  bool finished;                            /* ... and an end event with status done */
  char config_hash[65], dataset_sha256[65]; /* of the last start event; the latter also "" */
  char products_sha256[65];                 /* of the table that it follows; "": none */
  char *config; /* the configuration's full text, NULL when not started; owned */
} RunFolder;

/* Reads events.jsonl of a folder; one that is missing or has no start event is not an error. */
bool run_folder_read(RunFolder *, const char *folder, Error *);
void run_folder_free(RunFolder *);
/* Whether a run of this configuration may begin (or, with resume, continue) there; if not, the
 * error says what to do. */
bool run_folder_admit(const RunFolder *, const char *folder, const Config *, bool resume, Error *);

/* Whether it may go on with these images: those of the recorded run and no others. Told apart from
 * run_folder_admit, because the images are known later. */
bool run_folder_admit_images(const RunFolder *, const char *folder, const char *sha256,
                             const char *path, Error *);

/* Whether the run follows a table of products, PRODUCTS_FILE in the folder: that which it began
 * with, or, when it begins, a copy of `table` (""; none). Resuming with another, or without the
 * copy, is an error. A file of that name in the folder of a run that follows none is not its own,
 * and is left alone. */
bool run_folder_admit_products(const RunFolder *, const char *folder, const char *table,
                               bool *follows, Error *);

/* From what the user calls a checkpoint - a run folder (its newest checkpoint is taken), a
 * checkpoint folder, or a weights file - to the weights' path and the configuration they were
 * trained with: the run folder's, or, for a file that lies in none, what its metadata holds.
 * run.products names the run folder's own copy of the table, or nothing. */
bool run_folder_locate(char weights[CONFIG_PATH_MAX], Config *config, const char *checkpoint,
                       Error *e);

#endif
