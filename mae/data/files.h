/* files.h - what the sources made of image files in folders have in common: the files of each
 * split, fingerprint, loading. Internal to the data module. */
#ifndef MAE_DATA_FILES_H
#define MAE_DATA_FILES_H

#include "mae/data/names.h"
#include "mae/data/source.h"
#include "mae/data/tree.h"

/* Image files of one tree; the Source's state. */
typedef struct SourceFiles {
  Tree tree;
  struct {
    NameList paths; /* in the tree */
    int32_t *labels;
    size_t label_capacity;
  } split[SPLIT_COUNT];
  PassedOver passed;
  NameList classes;                 /* their names, by label */
  bool encoded;                     /* data.pack = jpeg, */
  PictureKeep keep;                 /* which asks for these */
  const ProgressListener *progress; /* of the opening; NULL: nobody listens */
} SourceFiles;

/* Opens data.path. */
SourceFiles *files_new(const Config *, const ProgressListener *, Error *);
/* Tells how many images have been found so far. */
void files_tell_listed(const SourceFiles *);
bool files_add(SourceFiles *, int split, const char *path, int32_t label, Error *);
/* The images of a folder of the tree, and of the folders in it. */
bool files_add_folder(SourceFiles *, int split, const char *folder, int32_t label, Error *);
/* Completes a source over the files: takes the files over, also when it fails. data.holdout first
 * moves its share of the training images to the other split (source_hold_out). data.train_images
 * keeps that many training images, evenly spaced through the list, so that every class keeps its
 * share. The fingerprint covers every name, size, modification time and change time: the last also
 * moves when a file is written anew under its old size and date. */
bool files_source(Source *, const char *name, SourceFiles *, const Config *, Error *);
void files_free(SourceFiles *);

#endif
