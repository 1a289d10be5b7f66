/* imagefolder.c - train/CLASS/IMAGE and val/CLASS/IMAGE (or valid, validation, test); JPEG and PNG
 * of any size, also in folders below a class. What is neither is counted and told. */
#include <stdlib.h>

#include "mae/base/io.h"
#include "mae/data/dataset.h"
#include "mae/data/files.h"
#include "mae/data/layout.h"

/* Adds the images below FOLDER/CLASS, class after class. A held-out class that has no training
 * images is labelled -1. */
static bool add_split(SourceFiles *files, int split, const char *folder, const NameList *classes,
                      Error *e) {
  bool ok = true;
  for (size_t c = 0; ok && c < classes->count; c++) {
    char class[CONFIG_PATH_MAX];
    int32_t label = names_find_sorted(&files->classes, classes->names[c]);
    ok = io_join(class, sizeof class, folder, classes->names[c], e) &&
         files_add_folder(files, split, class, label, e);
  }
  return ok;
}

/* Puts the held-out images in a fixed random order: an evaluation of the first N then sees every
 * class. */
static bool shuffle_eval(SourceFiles *files, Error *e) {
  NameList *paths = &files->split[SPLIT_EVAL].paths;
  size_t count = paths->count;
  int32_t *order = io_buffer(count * sizeof *order, "an order of images", e);
  char **names = io_buffer(count * sizeof *names, "an order of images", e);
  int32_t *labels = io_buffer(count * sizeof *labels, "an order of images", e);
  bool ok = order && names && labels;
  if (ok) {
    data_shuffle(order, (int)count, DATA_SEED, 0);
    for (size_t i = 0; i < count; i++) {
      names[i] = paths->names[order[i]];
      labels[i] = files->split[SPLIT_EVAL].labels[order[i]];
    }
    for (size_t i = 0; i < count; i++) {
      paths->names[i] = names[i];
      files->split[SPLIT_EVAL].labels[i] = labels[i];
    }
  }
  free(order);
  free(names);
  free(labels);
  return ok;
}

static bool is_top(const Tree *tree, const char *folder) {
  return layout_has_folder(tree, folder, "train");
}

static bool add_held_out(SourceFiles *files, Error *e) {
  NameList classes = {0};
  const char *folder = layout_held_out(&files->tree, NULL, e);
  bool ok = folder &&
            layout_folders(&classes, &files->tree, folder, "class folders", &files->passed, e) &&
            add_split(files, SPLIT_EVAL, folder, &classes, e) && shuffle_eval(files, e);
  names_free(&classes);
  return ok;
}

bool source_imagefolder_open(Source *source, const Config *config, const ProgressListener *progress,
                             Error *e) {
  SourceFiles *files = files_new(config, progress, e);
  bool ok =
      files && layout_enter(&files->tree, is_top, e) &&
      layout_folders(&files->classes, &files->tree, "train", "class folders", &files->passed, e) &&
      add_split(files, SPLIT_TRAIN, "train", &files->classes, e) &&
      (config->data.holdout > 0 || add_held_out(files, e));
  if (ok) return files_source(source, "imagefolder", files, config, e);
  files_free(files);
  return false;
}
