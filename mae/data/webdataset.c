/* webdataset.c - WebDataset shards: tar files of samples, NAME.jpg (or .jpeg, .png) with NAME.cls,
 * the number of its class as text. data.path is a folder of shards, one shard, or a folder that
 * holds a folder of unpacked files in place of each shard: the images are the same.
 *
 * A word of a shard's name says which split it belongs to: train or training; val, valid or
 * validation; test, where there is no other held-out shard. Shards come in the order of their
 * names, and in each the images in that of theirs. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"
#include "mae/data/files.h"
#include "mae/data/layout.h"

enum { CLASS_MAX = 1 << 20 };

typedef enum { SHARD_UNNAMED, SHARD_TRAIN, SHARD_VAL, SHARD_TEST, SHARD_KINDS } ShardKind;

static ShardKind shard_kind(const char *name) {
  static const struct {
    const char *word;
    ShardKind kind;
  } words[] = {{"train", SHARD_TRAIN}, {"training", SHARD_TRAIN}, {"val", SHARD_VAL},
               {"valid", SHARD_VAL},   {"validation", SHARD_VAL}, {"test", SHARD_TEST}};
  for (const char *at = name; *at;) {
    size_t length = 0;
    while (isalpha((unsigned char)at[length])) length++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
      if (length == strlen(words[i].word) && !strncmp(at, words[i].word, length))
        return words[i].kind;
    at += length + (at[length] != '\0');
  }
  return SHARD_UNNAMED;
}

/* The label of an image from the .cls beside it. */
static bool read_label(const Tree *tree, const char *image, int32_t *label, Error *e) {
  char path[CONFIG_PATH_MAX], name[TREE_NAME_MAX];
  int stem = (int)(strrchr(image, '.') - image);
  int n = snprintf(path, sizeof path, "%.*s.cls", stem, image);
  tree_name(name, tree, image);
  if (n < 0 || n >= CONFIG_PATH_MAX)
    return error_set(e, EXIT_DATA, "%.600s: the name is too long", name);
  if (tree_kind(tree, path) != ENTRY_FILE)
    return error_set(e, EXIT_DATA, "%.600s: its label is missing: no %.100s beside it", name,
                     strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
  char *text = tree_text(tree, path, e), *end = text;
  if (!text) return false;
  errno = 0;
  long value = strtol(text, &end, 10);
  bool ok =
      end != text && !errno && !end[strspn(end, " \r\n\t")] && value >= 0 && value < CLASS_MAX;
  if (ok)
    *label = (int32_t)value;
  else
    error_set(e, EXIT_DATA, "%.600s: its label '%.40s' is not the number of a class", name, text);
  free(text);
  return ok;
}

static bool add_shard(SourceFiles *files, int split, const char *shard, Error *e) {
  NameList images;
  int32_t label;
  bool ok = layout_images(&images, &files->tree, shard, &files->passed, e);
  for (size_t i = 0; ok && i < images.count; i++)
    ok = read_label(&files->tree, images.names[i], &label, e) &&
         files_add(files, split, images.names[i], label, e);
  files_tell_listed(files);
  names_free(&images);
  return ok;
}

/* Shards whose names say nothing are for training. */
static bool belongs(ShardKind kind, int split, ShardKind held_out) {
  if (split == SPLIT_EVAL) return kind == held_out;
  return kind == SHARD_TRAIN || kind == SHARD_UNNAMED;
}

static bool add_shards(SourceFiles *files, const NameList *shards, const Config *config, Error *e) {
  bool there[SHARD_KINDS] = {0}, ok = true, draws = config->data.holdout > 0;
  for (size_t i = 0; i < shards->count; i++) there[shard_kind(shards->names[i])] = true;
  ShardKind held_out = there[SHARD_VAL] ? SHARD_VAL : SHARD_TEST;
  if (!there[SHARD_TRAIN] && !there[SHARD_UNNAMED])
    return error_set(e, EXIT_DATA, "%.600s: no shard is for training, by the words in their names",
                     files->tree.root);
  if (!draws && !there[held_out])
    return error_set(e, EXIT_DATA,
                     "%.600s: no shard is held out: none has val, valid, validation or test as a "
                     "word of its name; data.holdout = 0.1 draws a tenth of the training images "
                     "instead",
                     files->tree.root);
  for (int split = 0; split < SPLIT_COUNT; split++)
    for (size_t i = 0; ok && i < shards->count; i++)
      if (belongs(shard_kind(shards->names[i]), split, held_out) && !(draws && split == SPLIT_EVAL))
        ok = add_shard(files, split, shards->names[i], e);
  return ok;
}

bool source_webdataset_open(Source *source, const Config *config, const ProgressListener *progress,
                            Error *e) {
  NameList shards = {0};
  SourceFiles *files = files_new(config, progress, e);
  bool ok = files && layout_folders(&shards, &files->tree, "", "shards", &files->passed, e) &&
            add_shards(files, &shards, config, e);
  names_free(&shards);
  if (ok) return files_source(source, "webdataset", files, config, e);
  files_free(files);
  return false;
}
