/* picture_png.c - PNG by libpng: read as Pillow reads it, and written. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "mae/base/io.h"
#include "mae/data/picture_rows.h"

/* libpng reports through callbacks; of an error they must not return, but jump back. */
typedef struct PngJob {
  jmp_buf back;
  char failure[128];
  png_structp png;
  png_infop info;
  const uint8_t *bytes; /* not read yet */
  size_t left;
  PictureRows *rows;
  uint8_t *whole; /* an interlaced picture */
} PngJob;

static void png_fail(png_structp png, png_const_charp message) {
  PngJob *job = png_get_error_ptr(png);
  snprintf(job->failure, sizeof job->failure, "%s", message);
  longjmp(job->back, 1);
}

static void png_warn(png_structp png, png_const_charp message) {
  PngJob *job = png_get_error_ptr(png);
  rows_oddity(job->rows, message);
}

static void png_take(png_structp png, png_bytep out, size_t size) {
  PngJob *job = png_get_io_ptr(png);
  if (size > job->left) png_error(png, "premature end of the file");
  memcpy(out, job->bytes, size);
  job->bytes += size;
  job->left -= size;
}

/* Whatever the file holds becomes [width, 3] bytes. */
static void ask_for_rgb(PngJob *job) {
  png_structp png = job->png;
  int colour = png_get_color_type(png, job->info), depth = png_get_bit_depth(png, job->info);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (!(colour & PNG_COLOR_MASK_COLOR)) {
    if (depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
  }
  if (depth == 16) png_set_strip_16(png);
  png_set_strip_alpha(png);
}

/* The part between setjmp and longjmp: what it changes lives behind pointers. */
static bool run(PngJob *job, Error *e) {
  png_structp png = job->png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, job, png_fail, png_warn);
  job->info = png ? png_create_info_struct(png) : NULL;
  if (!job->info) return error_set(e, EXIT_DEVICE, "%s: out of memory", job->rows->name);
  png_set_read_fn(png, job, png_take);
  /* Gamma, profiles, texts and transparency are of no use here, and neither is damage in them. */
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(png, job->info);
  size_t width = png_get_image_width(png, job->info), height = png_get_image_height(png, job->info);
  bool interlaced = png_get_interlace_type(png, job->info) != PNG_INTERLACE_NONE;
  size_t bytes = interlaced ? width * height * 3 : 0;
  if (!rows_begin(job->rows, width, height, bytes, e)) return false;
  if (interlaced && !(job->whole = io_buffer(bytes, job->rows->name, e))) return false;
  ask_for_rgb(job);
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, job->info);
  if (png_get_rowbytes(png, job->info) != width * 3) png_error(png, "rows of an unknown kind");
  for (int pass = 0; interlaced && pass < passes; pass++)
    for (size_t y = 0; y < height; y++) png_read_row(png, job->whole + y * width * 3, NULL);
  for (size_t y = 0; y < height && !rows_complete(job->rows); y++) {
    if (interlaced)
      memcpy(rows_place(job->rows), job->whole + y * width * 3, width * 3);
    else
      png_read_row(png, rows_place(job->rows), NULL);
    rows_placed(job->rows);
  }
  if (!rows_complete(job->rows)) png_read_end(png, NULL);
  return true;
}

static bool guarded(PngJob *job, Error *e) {
  if (setjmp(job->back))
    return error_set(e, EXIT_DATA, "%s: damaged PNG: %s", job->rows->name, job->failure);
  return run(job, e);
}

bool png_decode(PictureRows *rows, const void *bytes, size_t size, Error *e) {
  PngJob job = {.bytes = bytes, .left = size, .rows = rows};
  bool ok = guarded(&job, e);
  png_destroy_read_struct(&job.png, &job.info, NULL);
  free(job.whole);
  return ok;
}

bool picture_write_png(const char *path, const uint8_t *rgb, int width, int height, Error *e) {
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)width,
                     .height = (png_uint_32)height,
                     .format = PNG_FORMAT_RGB};
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  void *bytes = io_buffer(size, path, e);
  if (!bytes) return false;
  bool ok = png_image_write_to_memory(&image, bytes, &size, 0, rgb, 0, NULL);
  if (!ok) error_set(e, EXIT_DATA, "%s: cannot make a PNG: %s", path, image.message);
  int fd = ok ? io_create(path, e) : -1;
  ok = ok && fd >= 0 && io_write(fd, path, bytes, size, e);
  if (fd >= 0) ok = io_finish(fd, path, ok ? e : NULL) && ok;
  free(bytes);
  return ok;
}
