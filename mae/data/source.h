/* source.h - where images come from: what every source offers to the packer (pack.c).
 * Internal to the data module. */
#ifndef MAE_DATA_SOURCE_H
#define MAE_DATA_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "mae/base/error.h"
#include "mae/base/progress.h"
#include "mae/config/config.h"
#include "mae/data/names.h"
#include "mae/data/picture.h"

enum { SPLIT_TRAIN, SPLIT_EVAL, SPLIT_COUNT };

/* The constant behind every random choice about data itself (procedural scenes, the order of
 * held-out images): all run seeds train and are scored on the same data set. */
#define DATA_SEED 20211111u

/* How pictures are decoded: part of every fingerprint of files, so that a pack made otherwise is
 * made anew. */
#define SOURCE_DECODING "pictures 2"

typedef struct Source Source;
struct Source {
  const char *name;              /* as in data.source */
  char fingerprint[65];          /* changes when what would be packed may change */
  char passed_over[PASSED_TEXT]; /* files that are not offered; see names.h */
  int count[SPLIT_COUNT];        /* images offered */
  int found[SPLIT_COUNT];        /* before data.train_images took its part; 0: not known */
  int classes;                   /* labels of training images are below it */
  const NameList *class_names;   /* by label; NULL: they have none */
  bool encoded;                  /* its pictures come encoded (Picture) */
  /* Called once before the first load, with the name of a file that may be made and must be gone
   * when the source is closed. NULL: nothing to do. */
  bool (*prepare)(Source *, const char *scratch, const ProgressListener *, Error *);
  /* Makes image `index` of a split. Called from many threads at once, in any order. */
  bool (*load)(const Source *, int split, int index, const PictureRoom *, Picture *, int32_t *label,
               Error *);
  void (*close)(Source *);
  void *state;
};

/* One function per row of SOURCES in choices.h, each in a file of its own:
 * bool source_shapes_open(Source *, const Config *, const ProgressListener *, Error *), ... */
#define SOURCE_PROTOTYPE(id, name, help, open, ...)                                                \
  bool open(Source *, const Config *, const ProgressListener *, Error *);
SOURCES(SOURCE_PROTOTYPE)

/* Opens the source that data.source names. The listener hears how far the listing of archives and
 * folders is, which may take many minutes. */
bool source_open(Source *, const Config *, const ProgressListener *, Error *);
/* The fingerprint of a source in archives, which takes no reading of them; "" where data.path is no
 * archive. */
bool source_archived_fingerprint(char hex[65], const Config *, Error *);
void source_close(Source *);

/* The training images that data.holdout takes from `total`: order[held], in a random order, so that
 * an evaluation of the first N sees every class. Which ones depends on the count and the share
 * alone, never on a run's seed or data.train_images. */
typedef struct SourceDraw {
  int32_t *order;
  bool *is_held; /* [total] */
  int held;
} SourceDraw;
bool source_hold_out(SourceDraw *, int total, double share, Error *);
void source_draw_free(SourceDraw *);

/* The image that comes k-th when `wanted` are taken from `total`, evenly spaced. */
static inline size_t source_pick(size_t k, size_t wanted, size_t total) {
  return k * total / wanted;
}

#endif
