/* jpeg.c - writing JPEG by libjpeg into memory. */
#include "harness/page/jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h> /* after stdio.h, which it needs */

typedef struct Writer {
  struct jpeg_error_mgr manager; /* first, so that the library's pointer is ours */
  jmp_buf failed;
  struct jpeg_compress_struct info;
  unsigned char *bytes;
  unsigned long size;
} Writer;

/* libjpeg must not be returned to after an error. */
static void on_error(j_common_ptr info) {
  longjmp(((Writer *)info->err)->failed, 1);
}

static bool fail(Writer *writer, Error *e) {
  char message[JMSG_LENGTH_MAX];
  writer->manager.format_message((j_common_ptr)&writer->info, message);
  jpeg_destroy_compress(&writer->info);
  free(writer->bytes);
  return error_set(e, EXIT_DATA, "cannot make a JPEG: %s", message);
}

bool jpeg_encode(unsigned char **bytes, size_t *size, const uint8_t *rgb, int width, int height,
                 int quality, Error *e) {
  Writer writer = {.bytes = NULL};
  writer.info.err = jpeg_std_error(&writer.manager);
  writer.manager.error_exit = on_error;
  if (setjmp(writer.failed)) return fail(&writer, e);
  jpeg_create_compress(&writer.info);
  jpeg_mem_dest(&writer.info, &writer.bytes, &writer.size);
  writer.info.image_width = (JDIMENSION)width;
  writer.info.image_height = (JDIMENSION)height;
  writer.info.input_components = 3;
  writer.info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&writer.info);
  jpeg_set_quality(&writer.info, quality, TRUE);
  jpeg_start_compress(&writer.info, TRUE);
  while (writer.info.next_scanline < writer.info.image_height) {
    /* libjpeg reads from it only, but its type does not say so. */
    JSAMPROW row =
        (JSAMPROW)(uintptr_t)(rgb + (size_t)writer.info.next_scanline * (size_t)width * 3);
    jpeg_write_scanlines(&writer.info, &row, 1);
  }
  jpeg_finish_compress(&writer.info);
  jpeg_destroy_compress(&writer.info);
  *bytes = writer.bytes;
  *size = writer.size;
  return true;
}
