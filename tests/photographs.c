/* photographs.c - writes JPEGs that are as hard to decode as photographs, for measuring:
 *
 *     photographs DIR COUNT [WIDTH HEIGHT QUALITY]
 *
 * makes DIR/train/CLASS/N.jpg in ten classes and a tenth as many in DIR/val; by default 500x375 at
 * quality 90, about 110 kB each, as the files of ImageNet are. A picture is noise of all scales,
 * the amplitude of each in proportion to its wavelength, which is the spectrum of photographs
 * (Field 1987), with a colour that changes more slowly than its light, and edges. The same number
 * is the same picture everywhere. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jpeglib.h>

#include "kernels/scalar.h"

enum { CLASSES = 10, FINEST = 1, COARSEST = 256 };

static float corner(int picture, int layer, int x, int y) {
  return random_uniform(7, STREAM_SHAPES, (uint32_t)picture,
                        (uint64_t)layer << 32 | (uint32_t)(y * 4096 + x), 0) -
         0.5f;
}

/* Adds noise of one wavelength: values at the corners of a grid, and between them blended. */
static void add_noise(float *plane, int width, int height, int picture, int layer, int grid,
                      float amplitude) {
  int columns = width / grid + 2, rows = height / grid + 2;
  float *corners = malloc((size_t)(columns * rows) * sizeof *corners);
  if (!corners) abort();
  for (int i = 0; i < columns * rows; i++)
    corners[i] = amplitude * corner(picture, layer, i % columns, i / columns);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      const float *c = corners + y / grid * columns + x / grid;
      float u = (float)(x % grid) / (float)grid, v = (float)(y % grid) / (float)grid;
      float above = c[0] + u * (c[1] - c[0]),
            below = c[columns] + u * (c[columns + 1] - c[columns]);
      plane[y * width + x] += above + v * (below - above);
    }
  free(corners);
}

static uint8_t byte(float value) {
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* [height, width, 3] YCbCr. */
static void draw(uint8_t *out, float *plane, int width, int height, int picture) {
  int pixels = width * height;
  for (int channel = 0; channel < 3; channel++) {
    for (int i = 0; i < pixels; i++) plane[i] = 0;
    for (int grid = channel ? 8 : FINEST; grid <= COARSEST; grid *= 2)
      add_noise(plane, width, height, picture, 16 * channel + (int)log2(grid), grid,
                channel ? 20.0f : 60.0f);
    /* Light has edges: where the coarse noise crosses zero a surface ends. */
    for (int i = 0; i < pixels; i++) {
      float edge = channel == 0 && plane[i] > 0 ? 40.0f : 0.0f;
      out[3 * i + channel] = byte(110.0f + 18.0f * (channel > 0) + 0.55f * plane[i] + edge);
    }
  }
}

static void write_jpeg(const char *path, const uint8_t *rows, int width, int height, int quality) {
  struct jpeg_error_mgr manager;
  struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&manager)};
  FILE *file = fopen(path, "wb");
  if (!file) {
    perror(path);
    exit(1);
  }
  jpeg_create_compress(&jpeg);
  jpeg_stdio_dest(&jpeg, file);
  jpeg.image_width = (JDIMENSION)width;
  jpeg.image_height = (JDIMENSION)height;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_YCbCr;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = (JSAMPROW)(rows + (size_t)jpeg.next_scanline * (size_t)width * 3);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  if (fclose(file)) {
    perror(path);
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "photographs DIR COUNT [WIDTH HEIGHT QUALITY]\n");
    return 2;
  }
  int count = atoi(argv[2]), width = argc > 3 ? atoi(argv[3]) : 500;
  int height = argc > 4 ? atoi(argv[4]) : 375, quality = argc > 5 ? atoi(argv[5]) : 90;
  uint8_t *rows = malloc((size_t)(width * height) * 3);
  float *plane = malloc((size_t)(width * height) * sizeof *plane);
  if (!rows || !plane) abort();
  mkdir(argv[1], 0777);
  for (int i = 0; i < count + (count + 9) / 10; i++) {
    char path[1024];
    const char *split = i < count ? "train" : "val";
    snprintf(path, sizeof path, "%.900s/%s", argv[1], split);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%.900s/%s/class_%d", argv[1], split, i % CLASSES);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%.900s/%s/class_%d/%06d.jpg", argv[1], split, i % CLASSES, i);
    draw(rows, plane, width, height, i);
    write_jpeg(path, rows, width, height, quality);
  }
  free(rows);
  free(plane);
  return 0;
}
