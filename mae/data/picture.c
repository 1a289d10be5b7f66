/* picture.c - what the decoders share: which one reads a file, limits, and rows on their way. */
#include "mae/data/picture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/data/picture_rows.h"

/* A decompression bomb declares far more pixels than its bytes can hold; a real photograph stays
 * below these. */
static const size_t pixels_max = (size_t)1 << 27; /* 128 megapixels */
static const size_t file_max = (size_t)1 << 30;

static bool size_is_sane(const char *name, size_t width, size_t height, Error *e) {
  if (width >= 1 && height >= 1 && width <= PICTURE_SIDE_MAX && height <= PICTURE_SIDE_MAX &&
      width * height <= pixels_max)
    return true;
  return error_set(e, EXIT_DATA, "%s: %zux%zu pixels; at most %d a side and %zu in all are read",
                   name, width, height, PICTURE_SIDE_MAX, pixels_max);
}

static void take(const PictureOptions *options, size_t bytes) {
  if (options->room) options->room->take(options->room->user, bytes);
}

/* ---- Rows ---- */

bool rows_begin(PictureRows *rows, size_t width, size_t height, size_t more, Error *e) {
  if (!size_is_sane(rows->name, width, height, e)) return false;
  size_t shorter = width < height ? width : height, side = (size_t)rows->options->side;
  size_t factor = side && shorter / side > 1 ? shorter / side : 1;
  size_t row = width / factor * 3, bytes = row * (height / factor);
  take(rows->options, bytes + more);
  rows->factor = (int)factor;
  rows->picture->width = (int)(width / factor);
  rows->picture->height = (int)(height / factor);
  rows->picture->rgb = io_buffer(bytes, rows->name, e);
  if (!rows->picture->rgb || factor == 1) return rows->picture->rgb != NULL;
  rows->whole = io_buffer(width * 3, rows->name, e);
  rows->sums = rows->whole ? io_buffer(row * sizeof *rows->sums, rows->name, e) : NULL;
  return rows->sums != NULL;
}

uint8_t *rows_place(PictureRows *rows) {
  if (rows->whole) return rows->whole;
  return rows->picture->rgb + (size_t)rows->row * (size_t)rows->picture->width * 3;
}

void rows_placed(PictureRows *rows) {
  size_t factor = (size_t)rows->factor, width = (size_t)rows->picture->width;
  size_t y = (size_t)rows->row++ / factor, in_block = (size_t)rows->row - 1 - y * factor;
  if (factor == 1 || y >= (size_t)rows->picture->height) return;
  uint32_t area = (uint32_t)(factor * factor);
  for (size_t i = 0; i < width * 3; i++) {
    const uint8_t *from = rows->whole + i / 3 * factor * 3 + i % 3;
    uint32_t sum = in_block ? rows->sums[i] : area / 2;
    for (size_t dx = 0; dx < factor; dx++) sum += from[dx * 3];
    rows->sums[i] = sum;
  }
  if (in_block + 1 < factor) return;
  uint8_t *out = rows->picture->rgb + y * width * 3;
  for (size_t i = 0; i < width * 3; i++) out[i] = (uint8_t)(rows->sums[i] / area);
}

void rows_end(PictureRows *rows) {
  free(rows->whole);
  free(rows->sums);
  rows->whole = NULL;
  rows->sums = NULL;
}

void rows_oddity(PictureRows *rows, const char *what) {
  Picture *p = rows->picture;
  if (!*p->oddity) snprintf(p->oddity, sizeof p->oddity, "%s: %s", rows->name, what);
}

/* ---- Files ---- */

/* What a file is that web sites and telephones pass on under the name of a JPEG. */
static const char *other_format(const uint8_t *bytes, size_t size) {
  static const struct {
    const char *name, *magic;
    size_t at, length;
  } formats[] = {{"a WebP", "WEBP", 8, 4},      {"a GIF", "GIF8", 0, 4},
                 {"an AVIF", "ftypavif", 4, 8}, {"a HEIC", "ftyphei", 4, 7},
                 {"a TIFF", "II*\0", 0, 4},     {"a TIFF", "MM\0*", 0, 4},
                 {"a BMP", "BM", 0, 2},         {"an HTML page", "<!DOCTYPE", 0, 9}};
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (size >= formats[i].at + formats[i].length &&
        !memcmp(bytes + formats[i].at, formats[i].magic, formats[i].length))
      return formats[i].name;
  return NULL;
}

static bool refuse(const char *name, const void *bytes, size_t size, Error *e) {
  if (!size) return error_set(e, EXIT_DATA, "%s: the file is empty", name);
  const char *other = other_format(bytes, size);
  return error_set(e, EXIT_DATA, "%s: neither a JPEG nor a PNG%s%s", name, other ? ", but " : "",
                   other ? other : "");
}

bool picture_decode(Picture *p, const char *name, const void *bytes, size_t size,
                    const PictureOptions *options, Error *e) {
  static const uint8_t jpeg_magic[] = {0xFF, 0xD8, 0xFF};
  static const uint8_t png_magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  PictureRows rows = {
      .picture = p, .name = name, .options = options ? options : &(PictureOptions){0}};
  bool ok;
  *p = (Picture){0};
  if (size >= sizeof jpeg_magic && !memcmp(bytes, jpeg_magic, sizeof jpeg_magic))
    ok = jpeg_decode(&rows, bytes, size, e);
  else if (size >= sizeof png_magic && !memcmp(bytes, png_magic, sizeof png_magic))
    ok = png_decode(&rows, bytes, size, e);
  else
    ok = refuse(name, bytes, size, e);
  rows_end(&rows);
  if (!ok) picture_free(p);
  return ok;
}

bool picture_read(Picture *p, const char *path, const PictureOptions *options, Error *e) {
  size_t size;
  *p = (Picture){0};
  int fd = io_open(path, &size, e);
  if (fd < 0) return false;
  uint8_t *bytes = NULL;
  bool ok = size <= file_max || error_set(e, EXIT_DATA, "%s: larger than 1 GiB", path);
  if (ok && options) take(options, size);
  ok = ok && (bytes = io_buffer(size, path, e)) && io_read(fd, path, bytes, size, e);
  close(fd);
  ok = ok && picture_decode(p, path, bytes, size, options, e);
  free(bytes);
  return ok;
}

void picture_free(Picture *p) {
  free(p->rgb);
  *p = (Picture){0};
}
