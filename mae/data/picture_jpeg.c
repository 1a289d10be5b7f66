/* picture_jpeg.c - JPEG by libjpeg, read as Pillow reads it. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "mae/base/io.h"
#include "mae/data/picture_rows.h"

/* A progressive picture has about ten scans. Each costs a pass over the whole picture and a few
 * bytes of the file, which could say the same one for hours. libjpeg-turbo's authors stop at as
 * many in their own tools. */
enum { SCANS_MAX = 500 };

/* libjpeg reports through callbacks; of an error they must not return, but jump back. */
typedef struct JpegJob {
  struct jpeg_error_mgr manager; /* first, so that the library's pointer is ours */
  jmp_buf back;
  char failure[JMSG_LENGTH_MAX];
  struct jpeg_progress_mgr progress;
  struct jpeg_decompress_struct info;
  PictureRows *rows;
  uint8_t *ink; /* [width, 4]: a row of a CMYK picture */
} JpegJob;

static void jpeg_fail(j_common_ptr info) {
  JpegJob *job = (JpegJob *)info->err;
  info->err->format_message(info, job->failure);
  longjmp(job->back, 1);
}

/* Warnings that lose nothing of the picture. Cameras and editors write such files by the million,
 * and every other program reads them. */
static bool is_harmless(int code) {
  return code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM ||
         code == JWRN_NOT_SEQUENTIAL || code == JWRN_BOGUS_ICC;
}

/* Levels below zero are warnings, those above are tracing. A picture half grey is not training
 * data, so a warning that is not known to be harmless counts as an error. */
static void jpeg_message(j_common_ptr info, int level) {
  JpegJob *job = (JpegJob *)info->err;
  char text[JMSG_LENGTH_MAX];
  if (level >= 0) return;
  if (!is_harmless(info->err->msg_code)) jpeg_fail(info);
  info->err->format_message(info, text);
  rows_oddity(job->rows, text);
}

/* Called while the scans are read. */
static void jpeg_progress(j_common_ptr info) {
  JpegJob *job = (JpegJob *)info->err;
  if (job->info.input_scan_number <= SCANS_MAX) return;
  snprintf(job->failure, sizeof job->failure, "more than %d scans", SCANS_MAX);
  longjmp(job->back, 1);
}

/* The coefficients that the library keeps of a picture that comes in several scans. */
static size_t coefficient_bytes(struct jpeg_decompress_struct *info) {
  size_t bytes = 0;
  if (!jpeg_has_multiple_scans(info)) return 0;
  for (int i = 0; i < info->num_components; i++)
    bytes += (size_t)info->comp_info[i].width_in_blocks * info->comp_info[i].height_in_blocks *
             sizeof(JBLOCK);
  return bytes;
}

/* a * b / 255, rounded, for bytes. */
static unsigned times(unsigned a, unsigned b) {
  unsigned product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/* Adobe stores inks inverted, 255 for none; every writer of such files followed. */
static void ink_to_rgb(uint8_t *rgb, const uint8_t *ink, size_t pixels) {
  for (size_t i = 0; i < pixels; i++, rgb += 3, ink += 4)
    for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)(ink[3] - times(255 - ink[c], ink[3]));
}

/* The part between setjmp and longjmp. Everything it changes lives behind pointers, so nothing is
 * lost in a register when it is left by a jump. */
static bool run(JpegJob *job, const void *bytes, size_t size, Error *e) {
  struct jpeg_decompress_struct *info = &job->info;
  jpeg_create_decompress(info);
  info->progress = &job->progress;
  jpeg_mem_src(info, bytes, (unsigned long)size);
  jpeg_read_header(info, TRUE);
  bool inked = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
  if (job->rows->box) {
    info->scale_denom = (unsigned)job->rows->box->reduction;
    job->rows->decoder_reduces = true;
  }
  jpeg_calc_output_dimensions(info);
  size_t width = info->output_width;
  if (!rows_begin(job->rows, width, info->output_height, coefficient_bytes(info), e)) return false;
  if (inked && !(job->ink = io_buffer(width * 4, job->rows->name, e))) return false;
  info->out_color_space = inked ? JCS_CMYK : JCS_RGB; /* one channel is spread by the library */
  jpeg_start_decompress(info);
  while (info->output_scanline < info->output_height && !rows_complete(job->rows)) {
    uint8_t *place = rows_place(job->rows);
    JSAMPROW row = inked ? job->ink : place;
    jpeg_read_scanlines(info, &row, 1);
    if (inked) ink_to_rgb(place, job->ink, width);
    rows_placed(job->rows);
  }
  /* What is below a box stays unread: its file was read whole when it was packed. */
  if (info->output_scanline == info->output_height) jpeg_finish_decompress(info);
  return true;
}

static bool guarded(JpegJob *job, const void *bytes, size_t size, Error *e) {
  if (setjmp(job->back))
    return error_set(e, EXIT_DATA, "%s: damaged JPEG: %s", job->rows->name, job->failure);
  return run(job, bytes, size, e);
}

bool jpeg_decode(PictureRows *rows, const void *bytes, size_t size, Error *e) {
  JpegJob job = {.rows = rows};
  job.info.err = jpeg_std_error(&job.manager);
  job.manager.error_exit = jpeg_fail;
  job.manager.emit_message = jpeg_message;
  job.progress.progress_monitor = jpeg_progress;
  bool ok = guarded(&job, bytes, size, e);
  jpeg_destroy_decompress(&job.info);
  free(job.ink);
  return ok;
}
