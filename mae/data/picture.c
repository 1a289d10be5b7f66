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

/* Whether a file is kept as it is: then its rows go nowhere. */
static bool stays_encoded(const PictureRows *rows, size_t width, size_t height) {
  const PictureKeep *keep = rows->options->keep;
  size_t longer = width > height ? width : height;
  return keep && (!keep->side || longer <= (size_t)keep->side);
}

/* How many times the rows are reduced here. */
static size_t row_factor(const PictureRows *rows, size_t width, size_t height) {
  size_t shorter = width < height ? width : height, side = (size_t)rows->options->side;
  if (rows->box) return rows->decoder_reduces ? 1 : (size_t)rows->box->reduction;
  return side && shorter / side > 1 ? shorter / side : 1;
}

static bool box_fits(const PictureRows *rows, Error *e) {
  const PictureBox *box = rows->box;
  if (box->left >= 0 && box->top >= 0 && box->width > 0 && box->height > 0 &&
      box->left <= rows->width - box->width && box->top <= rows->height - box->height)
    return true;
  return error_set(e, EXIT_DATA, "%s: no box of %dx%d pixels at (%d, %d) in %dx%d", rows->name,
                   box->width, box->height, box->left, box->top, rows->width, rows->height);
}

bool rows_begin(PictureRows *rows, size_t width, size_t height, size_t more, Error *e) {
  if (!size_is_sane(rows->name, width, height, e)) return false;
  size_t factor = row_factor(rows, width, height);
  size_t row = width / factor * 3, bytes = row * (height / factor);
  bool direct = !rows->box && !stays_encoded(rows, width, height);
  rows->factor = (int)factor;
  rows->width = (int)(width / factor);
  rows->height = (int)(height / factor);
  if (rows->box && !box_fits(rows, e)) return false;
  take(rows->options, (direct ? bytes : width * 3) + more);
  rows->picture->width = rows->width;
  rows->picture->height = rows->height;
  if (direct && !(rows->picture->rgb = io_buffer(bytes, rows->name, e))) return false;
  if (direct && factor == 1) return true;
  rows->whole = io_buffer(width * 3, rows->name, e);
  if (!rows->whole || factor == 1) return rows->whole != NULL;
  rows->sums = io_buffer(row * sizeof *rows->sums, rows->name, e);
  return rows->sums != NULL;
}

uint8_t *rows_place(PictureRows *rows) {
  if (rows->whole) return rows->whole;
  return rows->picture->rgb + (size_t)rows->row * (size_t)rows->width * 3;
}

bool rows_complete(const PictureRows *rows) {
  return rows->box && rows->row / rows->factor >= rows->box->top + rows->box->height;
}

/* Adds the row to its block's; true when the block is complete: `whole` then begins with the
 * block's averages. */
static bool average(PictureRows *rows, size_t y, size_t in_block) {
  size_t factor = (size_t)rows->factor, values = (size_t)rows->width * 3;
  if (y >= (size_t)rows->height) return false;
  uint32_t area = (uint32_t)(factor * factor);
  for (size_t i = 0; i < values; i++) {
    const uint8_t *from = rows->whole + i / 3 * factor * 3 + i % 3;
    uint32_t sum = in_block ? rows->sums[i] : area / 2;
    for (size_t dx = 0; dx < factor; dx++) sum += from[dx * 3];
    rows->sums[i] = sum;
  }
  if (in_block + 1 < factor) return false;
  for (size_t i = 0; i < values; i++) rows->whole[i] = (uint8_t)(rows->sums[i] / area);
  return true;
}

void rows_placed(PictureRows *rows) {
  size_t factor = (size_t)rows->factor, y = (size_t)rows->row / factor;
  size_t in_block = (size_t)rows->row++ - y * factor, width = (size_t)rows->width;
  if (!rows->whole || (factor > 1 && !average(rows, y, in_block))) return;
  const PictureBox *box = rows->box;
  if (!box) {
    if (rows->picture->rgb) memcpy(rows->picture->rgb + y * width * 3, rows->whole, width * 3);
  } else if (y >= (size_t)box->top && y - (size_t)box->top < (size_t)box->height) {
    size_t bytes = (size_t)box->width * 3;
    memcpy(rows->rgb + (y - (size_t)box->top) * bytes, rows->whole + (size_t)box->left * 3, bytes);
  }
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

/* By content, not by name. */
static bool decode_rows(PictureRows *rows, const void *bytes, size_t size, Error *e) {
  static const uint8_t jpeg_magic[] = {0xFF, 0xD8, 0xFF};
  static const uint8_t png_magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  bool ok;
  if (size >= sizeof jpeg_magic && !memcmp(bytes, jpeg_magic, sizeof jpeg_magic))
    ok = jpeg_decode(rows, bytes, size, e);
  else if (size >= sizeof png_magic && !memcmp(bytes, png_magic, sizeof png_magic))
    ok = png_decode(rows, bytes, size, e);
  else
    ok = refuse(rows->name, bytes, size, e);
  rows_end(rows);
  return ok;
}

static bool keep_bytes(Picture *p, const char *name, const void *bytes, size_t size, Error *e) {
  p->encoded = io_buffer(size, name, e);
  if (!p->encoded) return false;
  memcpy(p->encoded, bytes, size);
  p->encoded_size = size;
  return true;
}

bool picture_decode(Picture *p, const char *name, const void *bytes, size_t size,
                    const PictureOptions *options, Error *e) {
  PictureRows rows = {
      .picture = p, .name = name, .options = options ? options : &(PictureOptions){0}};
  const PictureKeep *keep = rows.options->keep;
  *p = (Picture){0};
  bool ok = decode_rows(&rows, bytes, size, e);
  if (ok && keep)
    ok = p->rgb ? picture_encode(p, name, keep, e) : keep_bytes(p, name, bytes, size, e);
  if (!ok) picture_free(p);
  return ok;
}

bool picture_decode_box(uint8_t *rgb, const char *name, const void *bytes, size_t size,
                        const PictureBox *box, Error *e) {
  Picture about = {0};
  PictureRows rows = {
      .picture = &about, .name = name, .options = &(PictureOptions){0}, .box = box, .rgb = rgb};
  return decode_rows(&rows, bytes, size, e);
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
  free(p->encoded);
  *p = (Picture){0};
}
