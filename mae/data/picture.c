/* Decoding JPEG (libjpeg) and PNG (libpng), and writing PNG. */
#include "mae/data/picture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jpeglib.h>
#include <png.h>

#include "mae/base/io.h"

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

static bool picture_allocate(Picture *p, const char *name, int width, int height, Error *e) {
  *p = (Picture){.width = width, .height = height};
  p->rgb = io_buffer((size_t)width * (size_t)height * 3, name, e);
  return p->rgb != NULL;
}

/* libjpeg reports through callbacks that must not return: they jump back to decode_jpeg. */
typedef struct JpegFailure {
  struct jpeg_error_mgr manager; /* first, so that the library's pointer is ours */
  jmp_buf back;
  char text[JMSG_LENGTH_MAX];
} JpegFailure;

static void jpeg_fail(j_common_ptr info) {
  JpegFailure *failure = (JpegFailure *)info->err;
  info->err->format_message(info, failure->text);
  longjmp(failure->back, 1);
}

/* Levels below zero are warnings, "premature end of file" and other damage among them: a picture
 * half grey is not training data, so they count as errors. Levels above are tracing. */
static void jpeg_message(j_common_ptr info, int level) {
  if (level < 0) jpeg_fail(info);
}

/* The part between setjmp and longjmp. Everything it changes lives behind pointers, so nothing is
 * lost in a register when it is left by a jump. */
static bool jpeg_run(struct jpeg_decompress_struct *info, Picture *p, const char *name,
                     const void *bytes, size_t size, Error *e) {
  jpeg_create_decompress(info);
  jpeg_mem_src(info, bytes, (unsigned long)size);
  jpeg_read_header(info, TRUE);
  if (!size_is_sane(name, info->image_width, info->image_height, e)) return false;
  bool ink = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
  if (ink) return error_set(e, EXIT_DATA, "%s: a CMYK JPEG; convert it to RGB", name);
  info->out_color_space = JCS_RGB; /* one-channel files are spread by the library */
  jpeg_start_decompress(info);
  if (!picture_allocate(p, name, (int)info->output_width, (int)info->output_height, e))
    return false;
  while (info->output_scanline < info->output_height) {
    JSAMPROW row = p->rgb + (size_t)info->output_scanline * info->output_width * 3;
    jpeg_read_scanlines(info, &row, 1);
  }
  jpeg_finish_decompress(info);
  return true;
}

static bool decode_jpeg(Picture *p, const char *name, const void *bytes, size_t size, Error *e) {
  struct jpeg_decompress_struct info;
  JpegFailure failure;
  memset(&info, 0, sizeof info); /* so that destroying it is right even before it was made */
  info.err = jpeg_std_error(&failure.manager);
  failure.manager.error_exit = jpeg_fail;
  failure.manager.emit_message = jpeg_message;
  bool ok = false;
  if (setjmp(failure.back))
    error_set(e, EXIT_DATA, "%s: damaged JPEG: %s", name, failure.text);
  else
    ok = jpeg_run(&info, p, name, bytes, size, e);
  jpeg_destroy_decompress(&info);
  if (!ok) picture_free(p);
  return ok;
}

static bool decode_png(Picture *p, const char *name, const void *bytes, size_t size, Error *e) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  bool ok = png_image_begin_read_from_memory(&image, bytes, size);
  if (!ok) {
    error_set(e, EXIT_DATA, "%s: damaged PNG: %s", name, image.message);
  } else {
    /* RGBA, then alpha dropped: the library's own removal would blend with a background. */
    uint8_t *rgba = NULL;
    ok = size_is_sane(name, image.width, image.height, e) &&
         picture_allocate(p, name, (int)image.width, (int)image.height, e);
    image.format = PNG_FORMAT_RGBA;
    image.flags = PNG_IMAGE_FLAG_16BIT_sRGB; /* 16-bit files without a gamma are not linear */
    if (ok) ok = (rgba = io_buffer(PNG_IMAGE_SIZE(image), name, e)) != NULL;
    if (ok && !png_image_finish_read(&image, NULL, rgba, 0, NULL))
      ok = error_set(e, EXIT_DATA, "%s: damaged PNG: %s", name, image.message);
    size_t pixels = ok ? (size_t)p->width * (size_t)p->height : 0;
    for (size_t i = 0; i < pixels; i++) memcpy(p->rgb + 3 * i, rgba + 4 * i, 3);
    free(rgba);
  }
  png_image_free(&image);
  if (!ok) picture_free(p);
  return ok;
}

bool picture_decode(Picture *p, const char *name, const void *bytes, size_t size, Error *e) {
  static const uint8_t jpeg_magic[] = {0xFF, 0xD8, 0xFF};
  static const uint8_t png_magic[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  *p = (Picture){0};
  if (size >= sizeof jpeg_magic && !memcmp(bytes, jpeg_magic, sizeof jpeg_magic))
    return decode_jpeg(p, name, bytes, size, e);
  if (size >= sizeof png_magic && !memcmp(bytes, png_magic, sizeof png_magic))
    return decode_png(p, name, bytes, size, e);
  return error_set(e, EXIT_DATA, "%s: %s", name,
                   size ? "neither a JPEG nor a PNG" : "the file is empty");
}

bool picture_read(Picture *p, const char *path, Error *e) {
  *p = (Picture){0};
  FILE *file = fopen(path, "rb");
  if (!file) return error_set(e, EXIT_DATA, "%s: cannot open: %s", path, strerror(errno));
  struct stat st;
  void *bytes = NULL;
  bool ok = true;
  if (fstat(fileno(file), &st) || !S_ISREG(st.st_mode))
    ok = error_set(e, EXIT_DATA, "%s: not a file", path);
  else if ((size_t)st.st_size > file_max)
    ok = error_set(e, EXIT_DATA, "%s: larger than 1 GiB", path);
  else if (!(bytes = io_buffer((size_t)st.st_size, path, e)))
    ok = false;
  else if (fread(bytes, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
    ok = error_set(e, EXIT_DATA, "%s: cannot read: %s", path, strerror(errno));
  if (ok) ok = picture_decode(p, path, bytes, (size_t)st.st_size, e);
  free(bytes);
  fclose(file);
  return ok;
}

void picture_free(Picture *p) {
  free(p->rgb);
  *p = (Picture){0};
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
