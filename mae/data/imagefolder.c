/* imagefolder.c - train/CLASS/IMAGE and val/CLASS/IMAGE; JPEG and PNG of any size, also in folders
 * below a class. What is neither is counted and told. */
#include <stdlib.h>

#include "mae/base/io.h"
#include "mae/data/dataset.h"
#include "mae/data/files.h"

/* Adds the images below ROOT/SPLIT/CLASS, class after class. A held-out class that has no
 * training images is labelled -1. */
static bool add_split(SourceFiles *files, int split, const char *split_name,
                      const NameList *train_classes, const NameList *classes, Error *e) {
  bool ok = true;
  for (size_t c = 0; ok && c < classes->count; c++) {
    char folder[CONFIG_PATH_MAX];
    int32_t label = names_find_sorted(train_classes, classes->names[c]);
    ok = io_join(folder, sizeof folder, split_name, classes->names[c], e) &&
         files_add_folder(files, split, folder, label, e);
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

bool source_imagefolder_open(Source *source, const Config *config, Error *e) {
  char train[CONFIG_PATH_MAX], val[CONFIG_PATH_MAX];
  NameList train_classes = {0}, val_classes = {0};
  SourceFiles *files = files_new(config, e);
  bool ok = files && io_join(train, sizeof train, files->root, "train", e) &&
            io_join(val, sizeof val, files->root, "val", e) &&
            names_list_folders(&train_classes, train, &files->passed, e) &&
            names_list_folders(&val_classes, val, &files->passed, e) &&
            add_split(files, SPLIT_TRAIN, "train", &train_classes, &train_classes, e) &&
            add_split(files, SPLIT_EVAL, "val", &train_classes, &val_classes, e) &&
            shuffle_eval(files, e);
  names_free(&train_classes);
  names_free(&val_classes);
  if (ok) return files_source(source, "imagefolder", files, config, e);
  files_free(files);
  return false;
}
