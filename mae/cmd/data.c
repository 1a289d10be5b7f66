/* mae data: packing a source ahead of training, and saying what a pack holds. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/progress.h"
#include "mae/cmd/cmd.h"
#include "mae/data/pack.h"

static const char about[] =
    "pack: packs the images of data.source into the cache, unless that was done\n"
    "before. info: the same, and prints what the pack holds.";

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

static bool print_json(const Dataset *data, bool verified, Error *e) {
  Sizes s = find_sizes(data);
  json_t *object =
      json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:i, s:s, s:I, s:i, s:i, s:i, s:i}", "source",
                data->source, "path", data->pack_path, "sha256", data->sha256, "verified", verified,
                "train_images", data->train_count, "eval_images", data->eval_count, "skipped",
                data->skipped, "odd", data->odd, "passed_over", data->passed_over, "file_bytes",
                (json_int_t)data->map_size, "width_min", s.width_min, "width_max", s.width_max,
                "height_min", s.height_min, "height_max", s.height_max);
  return cmd_print_json(object, 0, e);
}

static void print_text(const Dataset *data, bool verified) {
  Sizes s = find_sizes(data);
  printf("source        %s\n", data->source);
  printf("training      %d images\n", data->train_count);
  printf("held out      %d images\n", data->eval_count);
  if (data->skipped) printf("skipped       %d unreadable images\n", data->skipped);
  if (data->odd) printf("odd           %d images read past a harmless fault\n", data->odd);
  if (*data->passed_over) printf("not images    %s\n", data->passed_over);
  if (s.width_min == s.width_max && s.height_min == s.height_max)
    printf("size          %dx%d pixels\n", s.width_min, s.height_min);
  else
    printf("size          %d-%d x %d-%d pixels\n", s.width_min, s.width_max, s.height_min,
           s.height_max);
  printf("pack          %s (%.1f MB)\n", data->pack_path, (double)data->map_size / 1e6);
  printf("sha256        %s%s\n", data->sha256, verified ? " (verified)" : "");
}

int cmd_data(int argc, char **argv) {
  bool json = false, verify = false;
  const CmdOption options[] = {
      {"--json", CMD_FLAG, &json, NULL, "print one JSON object"},
      {"--verify", CMD_FLAG, &verify, NULL, "read all pixels and compare their SHA-256"},
  };
  ConfigCommand command = {.line = {.name = "mae data",
                                    .about = about,
                                    .usage = "pack|info",
                                    .words_min = 1,
                                    .words_max = 1,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options}};
  int code;
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  Error e = {0};
  bool info = !strcmp(command.line.words[0], "info");
  if (!info && strcmp(command.line.words[0], "pack")) {
    error_set(&e, EXIT_CONFIG, "'%s' is neither pack nor info", command.line.words[0]);
    return command_fail(command.line.name, &e);
  }
  ProgressLine line = {.terminal = isatty(STDERR_FILENO)};
  const ProgressListener progress = progress_on(&line);
  Dataset data;
  bool ok = data_open(&data, &command.config, &progress, &e);
  bool opened = ok;
  if (ok && verify && !data.verified) ok = pack_verify(&data, &progress, &e);
  progress_clear(&line);
  if (ok && json)
    ok = print_json(&data, verify, &e);
  else if (ok && info)
    print_text(&data, verify);
  else if (ok)
    printf("%s\n", data.pack_path);
  if (opened) data_close(&data);
  return ok ? EXIT_OK : command_fail(command.line.name, &e);
}
