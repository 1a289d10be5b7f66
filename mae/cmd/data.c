/* mae data: packing a source ahead of training, saying what the source and its pack hold, and how
 * fast crops come from it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/progress.h"
#include "mae/base/text.h"
#include "mae/cmd/cmd.h"
#include "mae/cmd/data_speed.h"
#include "mae/data/pack.h"
#include "mae/data/source.h"

static const char about[] =
    "pack: packs the images of data.source into the cache, unless that was done\n"
    "before. info: the same, and prints what the pack holds, in each class too.\n"
    "speed: the same, and times making training crops of it on this machine's CPUs.";

typedef struct Sizes {
  int width_min, width_max, height_min, height_max;
} Sizes;

static Sizes find_sizes(const Dataset *data) {
  Sizes s = {data->train->width, data->train->width, data->train->height, data->train->height};
  for (int i = 0; i < data->train_count + data->eval_count; i++) {
    const PackImage *image = data->train + i;
    if (image->width < s.width_min) s.width_min = image->width;
    if (image->width > s.width_max) s.width_max = image->width;
    if (image->height < s.height_min) s.height_min = image->height;
    if (image->height > s.height_max) s.height_max = image->height;
  }
  return s;
}

/* ---- Classes ---- */

typedef struct ClassCounts {
  int count;     /* of classes */
  int *train;    /* [count] */
  int *eval;     /* [count]: of held-out images */
  int strangers; /* held-out images of classes that have no training images */
} ClassCounts;

static bool count_classes(ClassCounts *classes, const Source *source, const Dataset *data,
                          Error *e) {
  int count = source->classes;
  if (source->class_names && (int)source->class_names->count > count)
    count = (int)source->class_names->count;
  *classes = (ClassCounts){.count = count};
  classes->train = calloc((size_t)count + 1, sizeof *classes->train);
  classes->eval = calloc((size_t)count + 1, sizeof *classes->eval);
  if (!classes->train || !classes->eval)
    return error_set(e, EXIT_DEVICE, "out of memory for %d classes", count);
  for (int i = 0; i < data->train_count; i++) {
    int label = data->train[i].label;
    if (label >= 0 && label < count) classes->train[label]++;
  }
  for (int i = 0; i < data->eval_count; i++) {
    int label = data->eval[i].label;
    if (label >= 0 && label < count)
      classes->eval[label]++;
    else
      classes->strangers++;
  }
  return true;
}

static void free_classes(ClassCounts *classes) {
  free(classes->train);
  free(classes->eval);
}

static const char *class_name(const Source *source, int label, char buffer[16]) {
  const NameList *names = source->class_names;
  if (names && label < (int)names->count) return names->names[label];
  snprintf(buffer, 16, "%d", label);
  return buffer;
}

/* "500" or "450 to 550". */
static void spread(char text[32], const int *counts, int count) {
  int least = count ? counts[0] : 0, most = least;
  for (int i = 1; i < count; i++) {
    if (counts[i] < least) least = counts[i];
    if (counts[i] > most) most = counts[i];
  }
  if (least == most)
    snprintf(text, 32, "%d", least);
  else
    snprintf(text, 32, "%d to %d", least, most);
}

/* ---- TinyImageNet as it was published ---- */

enum { PUBLISHED_CLASSES = 200, PUBLISHED_TRAIN = 100000, PUBLISHED_EVAL = 10000 };

static bool is_tiny_imagenet(const Source *source) {
  return !strcmp(source->name, "tiny-imagenet");
}

/* By its numbers, whatever share of the training images is held out. */
static bool is_as_published(const Source *source, const Config *config) {
  int train = source->found[SPLIT_TRAIN], eval = source->found[SPLIT_EVAL];
  if (!source->class_names || source->class_names->count != PUBLISHED_CLASSES) return false;
  if (config->data.holdout > 0) return train + eval == PUBLISHED_TRAIN;
  return train == PUBLISHED_TRAIN && eval == PUBLISHED_EVAL;
}

/* ---- Printing ---- */

typedef struct Told {
  const Config *config;
  const Source *source;
  const Dataset *data;
  const ClassCounts *classes;
  bool verified, all_classes;
} Told;

/* A name from a file system is bytes; what is not UTF-8 in it becomes U+FFFD. */
static json_t *name_json(const char *name) {
  Text text = {0};
  text_json_string(&text, name);
  json_t *value = text.failed ? NULL : json_loadb(text.bytes, text.length, JSON_DECODE_ANY, NULL);
  text_free(&text);
  return value;
}

static json_t *classes_json(const Told *told) {
  json_t *list = json_array();
  for (int i = 0; i < told->classes->count; i++) {
    char buffer[16];
    json_t *name = name_json(class_name(told->source, i, buffer));
    json_array_append_new(list, json_pack("{s:o, s:i, s:i}", "name", name, "train_images",
                                          told->classes->train[i], "eval_images",
                                          told->classes->eval[i]));
  }
  return list;
}

static bool print_json(const Told *told, Error *e) {
  const Dataset *data = told->data;
  Sizes s = find_sizes(data);
  json_t *object = json_pack(
      "{s:s, s:o, s:s, s:s, s:b, s:s, s:i, s:i, s:i, s:i, s:o, s:I, s:i, s:i, s:i, s:i, s:i, s:i, "
      "s:i, s:o}",
      "source", data->source, "path", name_json(data->pack_path), "sha256", data->sha256,
      "content_sha256", data->content_sha256, "verified", told->verified, "holds",
      data->encoded ? "files" : "pixels", "train_images", data->train_count, "eval_images",
      data->eval_count, "skipped", data->skipped, "odd", data->odd, "passed_over",
      name_json(told->source->passed_over), "file_bytes", (json_int_t)data->map_size, "width_min",
      s.width_min, "width_max", s.width_max, "height_min", s.height_min, "height_max", s.height_max,
      "found_train_images", told->source->found[SPLIT_TRAIN], "found_eval_images",
      told->source->found[SPLIT_EVAL], "eval_images_of_other_classes", told->classes->strangers,
      "classes", classes_json(told));
  if (is_tiny_imagenet(told->source))
    json_object_set_new(object, "as_published",
                        json_boolean(is_as_published(told->source, told->config)));
  return cmd_print_json(object, 0, e);
}

static void print_classes(const Told *told) {
  char train[32], eval[32];
  const ClassCounts *classes = told->classes;
  spread(train, classes->train, classes->count);
  spread(eval, classes->eval, classes->count);
  printf("classes       %d, each with %s training and %s held-out images\n", classes->count, train,
         eval);
  if (classes->strangers)
    printf("              %d held-out images are of classes without training images\n",
           classes->strangers);
  for (int i = 0; told->all_classes && i < classes->count; i++) {
    char buffer[16];
    Error shown; /* a folder's name without control characters */
    error_set(&shown, EXIT_OK, "%s", class_name(told->source, i, buffer));
    printf("  %-20s %7d %7d\n", shown.message, classes->train[i], classes->eval[i]);
  }
}

static void print_text(const Told *told) {
  const Dataset *data = told->data;
  const Source *source = told->source;
  Sizes s = find_sizes(data);
  printf("source        %s\n", data->source);
  printf("training      %d images\n", data->train_count);
  printf("held out      %d images\n", data->eval_count);
  if (data->skipped) printf("skipped       %d unreadable images\n", data->skipped);
  if (data->odd) printf("odd           %d images read past a harmless fault\n", data->odd);
  if (*source->passed_over) printf("not images    %s\n", source->passed_over);
  print_classes(told);
  if (is_tiny_imagenet(source) && !is_as_published(source, told->config))
    printf("modified      not TinyImageNet as published: %zu classes, %d training and %d held-out\n"
           "              images are there, and not %d, %d and %d\n",
           source->class_names->count, source->found[SPLIT_TRAIN], source->found[SPLIT_EVAL],
           PUBLISHED_CLASSES, PUBLISHED_TRAIN, PUBLISHED_EVAL);
  if (s.width_min == s.width_max && s.height_min == s.height_max)
    printf("size          %dx%d pixels\n", s.width_min, s.height_min);
  else
    printf("size          %d-%d x %d-%d pixels\n", s.width_min, s.width_max, s.height_min,
           s.height_max);
  printf("pack          %s (%.1f MB of %s)\n", data->pack_path, (double)data->map_size / 1e6,
         data->encoded ? "files" : "pixels");
  printf("sha256        %s%s\n", data->sha256, told->verified ? " (verified)" : "");
  if (data->encoded) printf("of the files  %s\n", data->content_sha256);
}

/* What is in the source beside what the pack tells. */
static bool tell(Told *told, bool json, Error *e) {
  Source source;
  ClassCounts classes = {0};
  ProgressLine line = {.terminal = isatty(STDERR_FILENO)};
  const ProgressListener progress = progress_on(&line);
  bool opened = source_open(&source, told->config, &progress, e);
  progress_clear(&line);
  if (!opened) return false;
  told->source = &source;
  told->classes = &classes;
  bool ok = count_classes(&classes, &source, told->data, e);
  if (ok && json)
    ok = print_json(told, e);
  else if (ok)
    print_text(told);
  free_classes(&classes);
  source_close(&source);
  return ok;
}

/* What is asked of a data set that is open. */
static bool answer(const char *wanted, const Config *config, const Dataset *data, Told *told,
                   int64_t crops, bool json, Error *e) {
  DataSpeed speed;
  if (!strcmp(wanted, "speed")) {
    if (!data_speed(&speed, config, data, crops, e)) return false;
    data_speed_print(&speed, config);
    return true;
  }
  if (json || !strcmp(wanted, "info")) return tell(told, json, e);
  printf("%s\n", data->pack_path);
  return true;
}

int cmd_data(int argc, char **argv) {
  bool json = false, verify = false, all_classes = false;
  int64_t crops = 4000;
  const CmdOption options[] = {
      {"--json", CMD_FLAG, &json, NULL, "print one JSON object"},
      {"--classes", CMD_FLAG, &all_classes, NULL, "list the images of every class"},
      {"--crops", CMD_COUNT, &crops, "N", "crops that speed makes, at least (default: 4000)"},
      {"--verify", CMD_FLAG, &verify, NULL, "read all images and compare their SHA-256"},
  };
  ConfigCommand command = {.line = {.name = "mae data",
                                    .about = about,
                                    .usage = "pack|info|speed",
                                    .words_min = 1,
                                    .words_max = 1,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options}};
  int code;
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  Error e = {0};
  const char *wanted = command.line.words[0];
  if (strcmp(wanted, "info") && strcmp(wanted, "pack") && strcmp(wanted, "speed")) {
    error_set(&e, EXIT_CONFIG, "'%s' is neither pack, info nor speed", wanted);
    return command_fail(command.line.name, &e);
  }
  if (*config_idle_path(&command.config))
    fprintf(stderr, "warning: %s\n", config_idle_path(&command.config));
  ProgressLine line = {.terminal = isatty(STDERR_FILENO)};
  const ProgressListener progress = progress_on(&line);
  Dataset data;
  bool ok = data_open(&data, &command.config, &progress, &e);
  bool opened = ok;
  if (ok && verify && !data.verified) ok = pack_verify(&data, &progress, &e);
  progress_clear(&line);
  Told told = {
      .config = &command.config, .data = &data, .verified = verify, .all_classes = all_classes};
  ok = ok && answer(wanted, &command.config, &data, &told, crops, json, &e);
  if (opened) data_close(&data);
  return ok ? EXIT_OK : command_fail(command.line.name, &e);
}
