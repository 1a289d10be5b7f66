/* picture_encode.c - pictures made smaller and written as JPEG, for packs of encoded images. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "mae/base/io.h"
#include "mae/data/picture_rows.h"

/* ---- Averaging down ---- */

/* Pixel i of n covers [i m, (i + 1) m) of n m, and each of the m pixels that come of them n: what
 * of it lies in pixel `to`. */
static uint64_t overlap(size_t from, size_t n, size_t to, size_t m) {
  size_t begin = from * m > to * n ? from * m : to * n;
  size_t end = (from + 1) * m < (to + 1) * n ? (from + 1) * m : (to + 1) * n;
  return end > begin ? end - begin : 0;
}

/* sums[m, 3] += weight x the row of n pixels averaged over n / m of them each, times n. */
static void add_row(uint64_t *sums, const uint8_t *row, size_t n, size_t m, uint64_t weight) {
  for (size_t to = 0; to < m; to++)
    for (size_t from = to * n / m; from * m < (to + 1) * n; from++) {
      uint64_t share = weight * overlap(from, n, to, m);
      for (size_t c = 0; c < 3; c++) sums[3 * to + c] += share * row[3 * from + c];
    }
}

/* Each pixel is the mean over the area that it covers, rounded to the nearest value: whole numbers
 * throughout, and so the same everywhere. */
static bool average_down(Picture *p, const char *name, size_t width, size_t height, Error *e) {
  size_t old_width = (size_t)p->width, old_height = (size_t)p->height, row = width * 3;
  uint64_t *sums = io_buffer(row * sizeof *sums, name, e), area = old_width * old_height;
  uint8_t *out = sums ? io_buffer(row * height, name, e) : NULL;
  for (size_t to = 0; out && to < height; to++) {
    memset(sums, 0, row * sizeof *sums);
    for (size_t from = to * old_height / height; from * height < (to + 1) * old_height; from++)
      add_row(sums, p->rgb + from * old_width * 3, old_width, width,
              overlap(from, old_height, to, height));
    for (size_t i = 0; i < row; i++) out[to * row + i] = (uint8_t)((sums[i] + area / 2) / area);
  }
  free(sums);
  if (!out) return false;
  free(p->rgb);
  p->rgb = out;
  p->width = (int)width;
  p->height = (int)height;
  return true;
}

/* ---- Writing ---- */

typedef struct EncodeJob {
  struct jpeg_error_mgr manager; /* first, so that the library's pointer is ours */
  jmp_buf back;
  char failure[JMSG_LENGTH_MAX];
  struct jpeg_compress_struct info;
  unsigned char *bytes;
  unsigned long size;
} EncodeJob;

static void encode_fail(j_common_ptr info) {
  EncodeJob *job = (EncodeJob *)info->err;
  info->err->format_message(info, job->failure);
  longjmp(job->back, 1);
}

/* The part between setjmp and longjmp: what it changes lives behind pointers. */
static void write_rows(EncodeJob *job, const Picture *p, int quality) {
  struct jpeg_compress_struct *info = &job->info;
  jpeg_create_compress(info);
  jpeg_mem_dest(info, &job->bytes, &job->size);
  info->image_width = (JDIMENSION)p->width;
  info->image_height = (JDIMENSION)p->height;
  info->input_components = 3;
  info->in_color_space = JCS_RGB;
  jpeg_set_defaults(info);
  jpeg_set_quality(info, quality, TRUE);
  jpeg_start_compress(info, TRUE);
  while (info->next_scanline < info->image_height) {
    JSAMPROW row = p->rgb + (size_t)info->next_scanline * (size_t)p->width * 3;
    jpeg_write_scanlines(info, &row, 1);
  }
  jpeg_finish_compress(info);
}

static bool guarded(EncodeJob *job, const Picture *p, const char *name, int quality, Error *e) {
  if (setjmp(job->back))
    return error_set(e, EXIT_DEVICE, "%s: cannot be made a JPEG: %s", name, job->failure);
  write_rows(job, p, quality);
  return true;
}

/* A side of `longer` pixels becomes one of `limit`; this is what becomes of the other one. */
static size_t scaled(int side, int longer, int limit) {
  size_t to = ((size_t)side * (size_t)limit + (size_t)longer / 2) / (size_t)longer;
  return to ? to : 1;
}

bool picture_encode(Picture *p, const char *name, const PictureKeep *keep, Error *e) {
  int longer = p->width > p->height ? p->width : p->height;
  if (!average_down(p, name, scaled(p->width, longer, keep->side),
                    scaled(p->height, longer, keep->side), e))
    return false;
  EncodeJob job = {.bytes = NULL};
  job.info.err = jpeg_std_error(&job.manager);
  job.manager.error_exit = encode_fail;
  bool ok = guarded(&job, p, name, keep->quality, e);
  jpeg_destroy_compress(&job.info);
  free(p->rgb);
  p->rgb = NULL;
  if (ok) { /* else the pointer may be to a buffer that was too small, which the library freed */
    p->encoded = job.bytes;
    p->encoded_size = job.size;
  }
  return ok;
}
