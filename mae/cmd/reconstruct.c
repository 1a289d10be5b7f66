/* mae reconstruct: a contact sheet of what a checkpoint makes of images. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "mae/base/progress.h"
#include "mae/cmd/cmd.h"
#include "mae/data/picture.h"
#include "mae/evaluate/sheet.h"
#include "mae/model/device.h"
#include "mae/record/checkpoint.h"
#include "mae/record/run_folder.h"

static const char about[] =
    "Draws original | masked | reconstruction | harmonic fill for each IMAGE (JPEG or\n"
    "PNG, its centre square), or for the first held-out images when none is given.\n"
    "Visible patches are pasted from the original; captions are psnr_composite. Below\n"
    "stands four times the distance from the original.";

enum { HELD_OUT_IMAGES = 8, IMAGES_MAX = 64 /* named on the command line */ };

/* Images that are named on the command line are read instead of the configuration's. */
static bool checkpoint_config(ConfigCommand *command, Error *e) {
  command->no_data = command->line.word_count > 0;
  return cmd_checkpoint_config(command, e);
}

/* The pictures' pixels one after another, and each one's centre square. */
typedef struct Album {
  uint8_t *pixels;
  size_t bytes, largest; /* of all, of the largest */
  Crop crops[IMAGES_MAX];
} Album;

static bool album_add(Album *album, int index, const char *path, Error *e) {
  Picture picture;
  if (!picture_read(&picture, path, NULL, e)) return false;
  size_t bytes = (size_t)picture.width * (size_t)picture.height * 3;
  uint8_t *pixels = realloc(album->pixels, album->bytes + bytes);
  if (pixels) {
    int side = picture.width < picture.height ? picture.width : picture.height;
    memcpy(pixels + album->bytes, picture.rgb, bytes);
    album->pixels = pixels;
    album->crops[index] = (Crop){.offset = album->bytes,
                                 .src_width = picture.width,
                                 .src_height = picture.height,
                                 .left = (picture.width - side) / 2,
                                 .top = (picture.height - side) / 2,
                                 .width = side,
                                 .height = side};
    album->bytes += bytes;
    if (bytes > album->largest) album->largest = bytes;
  }
  picture_free(&picture);
  return pixels || error_set(e, EXIT_DEVICE, "%s: out of memory", path);
}

static bool draw_files(const char *out, Model *model, const CommandLine *line, Error *e) {
  ProgressLine shown = {.terminal = isatty(STDERR_FILENO)};
  const ProgressListener briefly = progress_briefly_on(&shown);
  Album album = {0};
  ImagePool pool = {0};
  bool ok = true;
  for (int i = 0; ok && i < line->word_count; i++) ok = album_add(&album, i, line->words[i], e);
  ok = ok && pool_create(&pool, model->device, album.pixels, album.bytes, album.largest, e) &&
       sheet_write(out, model, &pool, album.crops, line->word_count, &briefly, e);
  progress_clear(&shown);
  pool_destroy(&pool);
  free(album.pixels);
  return ok;
}

static bool draw_held_out(const char *out, Model *model, const Config *config, Error *e) {
  ProgressLine line = {.terminal = isatty(STDERR_FILENO)};
  const ProgressListener progress = progress_on(&line), briefly = progress_briefly_on(&line);
  Dataset dataset;
  if (!data_open(&dataset, config, &progress, e)) return false;
  ImagePool pool = {0};
  bool ok = pool_open(&pool, model->device, &dataset, config, 1, e) &&
            sheet_write_held_out(out, model, &dataset, &pool, HELD_OUT_IMAGES, &briefly, e);
  progress_clear(&line);
  pool_destroy(&pool);
  data_close(&dataset);
  return ok;
}

static bool draw(const char *out, const ConfigCommand *command, Error *e) {
  const Config *config = &command->config;
  const CheckpointChoice *chosen = command->user;
  Model model;
  Device *device = device_open(config, 0, 1, e);
  if (!device) return false;
  bool ok = model_create(&model, config, device, false, e);
  if (ok) {
    ok = checkpoint_load_weights(chosen->weights, &model, e) &&
         (command->line.word_count > 0 ? draw_files(out, &model, &command->line, e)
                                       : draw_held_out(out, &model, config, e));
    model_destroy(&model);
  }
  device->kernels->close(device);
  return ok;
}

/* The sheet is a PNG whatever it is called: another ending would deceive whoever opens it. */
static bool check_name(const char *out, Error *e) {
  const char *slash = strrchr(out, '/'), *ending = strrchr(slash ? slash : out, '.');
  if (!ending || !strcasecmp(ending, ".png")) return true;
  return error_set(e, EXIT_CONFIG, "--out %s: the sheet is a PNG; call it %.*s.png", out,
                   (int)(ending - out), out);
}

int cmd_reconstruct(int argc, char **argv) {
  const char *out = "sheet.png";
  CheckpointChoice chosen = {0};
  const CmdOption options[] = {
      {"--checkpoint", CMD_TEXT, &chosen.path, "PATH", CHECKPOINT_HELP},
      {"--out", CMD_TEXT, &out, "FILE.png", "the sheet (default: sheet.png)"},
  };
  ConfigCommand command = {.line = {.name = "mae reconstruct",
                                    .about = about,
                                    .usage = "[IMAGE...]",
                                    .words_max = IMAGES_MAX,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options},
                           .base = checkpoint_config,
                           .user = &chosen};
  int code;
  Error e = {0};
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  if (!check_name(out, &e) || !draw(out, &command, &e)) return command_fail(command.line.name, &e);
  printf("%s\n", out);
  return EXIT_OK;
}
