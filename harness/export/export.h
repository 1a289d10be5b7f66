/* export.h - results in the forms of other programs: `harness export`. */
#ifndef HARNESS_EXPORT_EXPORT_H
#define HARNESS_EXPORT_EXPORT_H

#include "harness/store/rows.h"

typedef enum ExportWhat {
  EXPORT_TRIALS, /* the view `trials`: a row per trial */
  EXPORT_CURVES, /* `curves`: a row per number with a step */
  EXPORT_POINTS, /* `points`: a row per setting and metric, over seeds */
} ExportWhat;

typedef struct Export {
  Store *store;
  const StringList *experiments;
  ExportWhat what;
} Export;

/* Rows of a view, all of its columns. Numbers have the fewest digits that read back as the same
 * double, and a REAL that is whole has a ".0".
 *   csv    RFC 4180, with a line of names; NULL is an empty field, an empty text is ""
 *   jsonl  an object per line; NULL is null, infinities are the strings "inf" and "-inf" */
bool export_csv(FILE *, const Export *, Error *);
bool export_jsonl(FILE *, const Export *, Error *);

/* A table per experiment, a row per setting of its newest plan: what was swept, and mean and
 * standard deviation over seeds of the headline metrics, the best mean in bold. */
bool export_latex(FILE *, const Export *, Error *);
bool export_markdown(FILE *, const Export *, Error *);

/* FOLDER/EXPERIMENT/TRIAL/: an event file of TensorBoard for each trial that has run: its curves,
 * its sheet.png where that is the recorded one, its swept settings as hparams. The time of a step
 * is its attempt's start and the seconds of the steps since; of an evaluation that of its step.
 * *files receives how many were written. */
bool export_tensorboard(const char *folder, const Export *, int *files, Error *);

#endif
