/* Image files of a tree, which the sources that read files share: holding out, thinning out,
 * fingerprint and loading. */
#include "mae/data/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/data/layout.h"

/* The shorter side from which on photographs are packed reduced; see PictureOptions. */
enum { REDUCED_SIDE = 512 };

/* Files that are looked at before it is told how many have been. */
enum { TOLD_FILES = 10000 };

static const char decoding[] = SOURCE_DECODING;

SourceFiles *files_new(const Config *config, const ProgressListener *progress, Error *e) {
  SourceFiles *files = calloc(1, sizeof *files);
  if (!files) {
    error_set(e, EXIT_DEVICE, "out of memory for a list of files");
    return NULL;
  }
  files->progress = progress;
  files->encoded = config_packs_files(config);
  files->keep = (PictureKeep){config->data.pack_side, config->data.pack_quality};
  if (tree_open(&files->tree, config, &files->passed, progress, e)) return files;
  files_free(files);
  return NULL;
}

void files_free(SourceFiles *files) {
  if (!files) return;
  for (int split = 0; split < SPLIT_COUNT; split++) {
    names_free(&files->split[split].paths);
    free(files->split[split].labels);
  }
  names_free(&files->classes);
  tree_close(&files->tree);
  free(files);
}

bool files_add(SourceFiles *files, int split, const char *path, int32_t label, Error *e) {
  size_t count = files->split[split].paths.count;
  void *labels = files->split[split].labels;
  bool ok = names_grow(&labels, &files->split[split].label_capacity, count, sizeof label, e);
  files->split[split].labels = labels;
  if (!ok || !names_add(&files->split[split].paths, path, e)) return false;
  files->split[split].labels[count] = label;
  return true;
}

bool files_add_folder(SourceFiles *files, int split, const char *folder, int32_t label, Error *e) {
  NameList images;
  bool ok = layout_images(&images, &files->tree, folder, &files->passed, e);
  for (size_t i = 0; ok && i < images.count; i++)
    ok = files_add(files, split, images.names[i], label, e);
  names_free(&images);
  files_tell_listed(files);
  return ok;
}

void files_tell_listed(const SourceFiles *files) {
  size_t count = files->split[SPLIT_TRAIN].paths.count + files->split[SPLIT_EVAL].paths.count;
  progress_tell(files->progress, "listing images", count, PROGRESS_UNKNOWN);
}

/* Moves the drawn share of the training images into the empty other split. */
static bool hold_out(SourceFiles *files, double share, Error *e) {
  NameList *paths = &files->split[SPLIT_TRAIN].paths;
  int32_t *labels = files->split[SPLIT_TRAIN].labels;
  int total = (int)paths->count, left = 0;
  SourceDraw draw;
  if (!source_hold_out(&draw, total, share, e)) return false;
  bool ok = true;
  for (int k = 0; ok && k < draw.held; k++)
    ok = files_add(files, SPLIT_EVAL, paths->names[draw.order[k]], labels[draw.order[k]], e);
  for (int i = 0; ok && i < total; i++) {
    if (draw.is_held[i]) {
      free(paths->names[i]);
    } else {
      paths->names[left] = paths->names[i];
      labels[left++] = labels[i];
    }
  }
  if (ok) paths->count = (size_t)left;
  source_draw_free(&draw);
  return ok;
}

static void keep_evenly(SourceFiles *files, size_t wanted) {
  NameList *paths = &files->split[SPLIT_TRAIN].paths;
  int32_t *labels = files->split[SPLIT_TRAIN].labels;
  size_t total = paths->count, kept = 0;
  if (!wanted || wanted >= total) return;
  for (size_t i = 0; i < total; i++) {
    if (kept < wanted && i == source_pick(kept, wanted, total)) {
      paths->names[kept] = paths->names[i];
      labels[kept++] = labels[i];
    } else {
      free(paths->names[i]);
    }
  }
  paths->count = kept;
}

static bool files_load(const Source *source, int split, int index, const PictureRoom *room,
                       Picture *p, int32_t *label, Error *e) {
  const SourceFiles *files = source->state;
  PictureOptions options = {.room = room};
  if (files->encoded)
    options.keep = &files->keep;
  else
    options.side = REDUCED_SIDE;
  *label = files->split[split].labels[index];
  return tree_picture(&files->tree, files->split[split].paths.names[index], &options, p, e);
}

static bool files_prepare(Source *source, const char *scratch, const ProgressListener *progress,
                          Error *e) {
  const SourceFiles *files = source->state;
  for (int split = 0; split < SPLIT_COUNT; split++)
    for (size_t i = 0; i < files->split[split].paths.count; i++)
      tree_want(&files->tree, files->split[split].paths.names[i]);
  return tree_unpack(&files->tree, scratch, progress, e);
}

static void files_close(Source *source) {
  files_free(source->state);
}

/* What is known of a file without reading it. Filled in parallel: on a network file system each
 * call may take a millisecond. */
static void describe_file(struct stat *st, const SourceFiles *files, const char *name) {
  char path[TREE_NAME_MAX];
  tree_name(path, &files->tree, name);
  if (stat(path, st))
    memset(st, 0, sizeof *st); /* a file that vanished is reported when it is loaded */
}

static bool fingerprint_split(Sha256 *hash, const SourceFiles *files, int split, Error *e) {
  const NameList *paths = &files->split[split].paths;
  struct stat *stats = io_buffer(paths->count * sizeof *stats, "the state of every file", e);
  if (!stats) return false;
  for (size_t at = 0; at < paths->count; at += TOLD_FILES) {
    size_t end = at + TOLD_FILES < paths->count ? at + TOLD_FILES : paths->count;
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = at; i < end; i++) describe_file(stats + i, files, paths->names[i]);
    if (end < paths->count) progress_tell(files->progress, "looking at files", end, paths->count);
  }
  for (size_t i = 0; i < paths->count; i++) {
    char text[128];
    int n = snprintf(text, sizeof text, "%lld %lld.%09ld %lld.%09ld %d",
                     (long long)stats[i].st_size, (long long)stats[i].st_mtim.tv_sec,
                     stats[i].st_mtim.tv_nsec, (long long)stats[i].st_ctim.tv_sec,
                     stats[i].st_ctim.tv_nsec, files->split[split].labels[i]);
    sha256_add(hash, paths->names[i], strlen(paths->names[i]) + 1);
    sha256_add(hash, text, (size_t)n + 1);
  }
  sha256_add(hash, "", 1);
  free(stats);
  return true;
}

/* Of the folder's files; that of archives is made before they are listed (source_open). */
static bool fingerprint(Source *source, const SourceFiles *files, Error *e) {
  Sha256 *hash = sha256_new();
  bool ok = hash || error_set(e, EXIT_DEVICE, "out of memory for hashing");
  if (ok) sha256_add(hash, source->name, strlen(source->name) + 1);
  if (ok) sha256_add(hash, decoding, sizeof decoding);
  for (int split = 0; ok && split < SPLIT_COUNT; split++)
    ok = fingerprint_split(hash, files, split, e);
  if (hash) sha256_finish(hash, source->fingerprint);
  return ok;
}

bool files_source(Source *source, const char *name, SourceFiles *files, const Config *config,
                  Error *e) {
  *source = (Source){.name = name,
                     .class_names = &files->classes,
                     .encoded = files->encoded,
                     .load = files_load,
                     .prepare = files->tree.archives ? files_prepare : NULL,
                     .close = files_close,
                     .state = files};
  if (config->data.holdout > 0 && !hold_out(files, config->data.holdout, e)) {
    files_free(files);
    return false;
  }
  for (int split = 0; split < SPLIT_COUNT; split++)
    source->found[split] = (int)files->split[split].paths.count;
  keep_evenly(files, (size_t)config->data.train_images);
  for (int split = 0; split < SPLIT_COUNT; split++)
    source->count[split] = (int)files->split[split].paths.count;
  for (int i = 0; i < source->count[SPLIT_TRAIN]; i++)
    if (files->split[SPLIT_TRAIN].labels[i] >= source->classes)
      source->classes = files->split[SPLIT_TRAIN].labels[i] + 1;
  passed_describe(source->passed_over, &files->passed);
  bool ok = files->tree.archives || fingerprint(source, files, e);
  files->progress = NULL; /* heard of the opening; the source lives on */
  if (!ok) files_free(files);
  return ok;
}
