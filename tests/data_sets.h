/* data_sets.h - small data sets written into the test's folder, and opening them: what the tests of
 * sources share. Paths are relative to the folder; the images lie in images/, packs in cache/. */
#ifndef TESTS_DATA_SETS_H
#define TESTS_DATA_SETS_H

#include <stdio.h>

#include <jpeglib.h>

#include "mae/data/dataset.h"
#include "mae/data/picture.h"
#include "run_mae.h"
#include "tests/suite.h"

static Config config;
static Dataset data;
static Error error;

static inline void set(const char *key, const char *value) {
  ck_assert_msg(config_set(&config, key, value, NULL, &error), "%s", error.message);
}

static inline void setup(void) {
  char path[PATH_SIZE];
  make_test_folder();
  config_init(&config);
  error = (Error){0};
  set("data.path", in_folder(path, "images"));
  set("data.cache", in_folder(path, "cache"));
}

static inline void teardown(void) {
  data_close(&data);
  remove_test_folder();
}

static inline void shell(const char *format, const char *name) {
  char command[2 * PATH_SIZE], inner[PATH_SIZE];
  snprintf(inner, sizeof inner, format, name);
  snprintf(command, sizeof command, "cd '%s' && %s", test_folder, inner);
  ck_assert_int_eq(system(command), 0);
}

/* Value of channel c at (x, y) of the image numbered k: all images differ. */
static inline uint8_t value_at(int k, int x, int y, int c) {
  return (uint8_t)(k * 37 + x * 5 + y * 11 + c * 71);
}

static inline void write_png(const char *name, int k, int width, int height) {
  char path[PATH_SIZE];
  uint8_t *rgb = malloc((size_t)(width * height * 3));
  for (int i = 0; i < width * height * 3; i++)
    rgb[i] = value_at(k, i / 3 % width, i / 3 / width, i % 3);
  bool ok = picture_write_png(in_folder(path, name), rgb, width, height, &error);
  free(rgb);
  ck_assert_msg(ok, "%s", error.message);
}

/* A JPEG of one value everywhere; channels: 1 (greyscale) or 3. */
static inline void write_jpeg(const char *name, int value, int side, int channels) {
  char path[PATH_SIZE];
  FILE *file = fopen(in_folder(path, name), "wb");
  ck_assert_ptr_nonnull(file);
  struct jpeg_error_mgr manager;
  struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&manager)};
  jpeg_create_compress(&jpeg);
  jpeg_stdio_dest(&jpeg, file);
  jpeg.image_width = jpeg.image_height = (JDIMENSION)side;
  jpeg.input_components = channels;
  jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  uint8_t row[3 * 256];
  memset(row, value, sizeof row);
  JSAMPROW rows[] = {row};
  while (jpeg.next_scanline < jpeg.image_height) jpeg_write_scanlines(&jpeg, rows, 1);
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  fclose(file);
}

static inline void open_data(void) {
  ck_assert_msg(data_open(&data, &config, NULL, &error), "%s", error.message);
}

static inline void expect_refusal(const char *words) {
  error = (Error){0};
  ck_assert(!data_open(&data, &config, NULL, &error));
  ck_assert_int_eq(error.code, EXIT_DATA);
  ck_assert_msg(strstr(error.message, words), "%s", error.message);
}

static inline void expect_png(const PackImage *image, int k, int width, int height, int label) {
  ck_assert_int_eq(image->width, width);
  ck_assert_int_eq(image->height, height);
  ck_assert_int_eq(image->label, label);
  for (int i = 0; i < width * height * 3; i++)
    ck_assert_int_eq(data.pixels[image->offset + (size_t)i],
                     value_at(k, i / 3 % width, i / 3 / width, i % 3));
}

static inline void expect_grey(const PackImage *image, int value, int label) {
  ck_assert_int_eq(image->label, label);
  for (int i = 0; i < image->width * image->height * 3; i++)
    ck_assert_int_le(abs(data.pixels[image->offset + (size_t)i] - value), 1);
}

static inline void write_text(const char *name, const char *text) {
  char path[PATH_SIZE];
  FILE *file = fopen(in_folder(path, name), "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
}

static inline void write_cifar(const char *name, int records, int first) {
  char path[PATH_SIZE];
  FILE *file = fopen(in_folder(path, name), "wb");
  ck_assert_ptr_nonnull(file);
  for (int k = first; k < first + records; k++) {
    fputc(k % 10, file);
    for (int i = 0; i < 3 * 1024; i++) fputc(value_at(k, i % 32, i / 32 % 32, i / 1024), file);
  }
  fclose(file);
}

/* A file of the test's folder. */
typedef struct Bytes {
  uint8_t *bytes;
  size_t size;
} Bytes;

static inline Bytes read_bytes(const char *name) {
  char path[PATH_SIZE];
  Bytes b = {.bytes = NULL};
  FILE *file = fopen(in_folder(path, name), "rb");
  ck_assert_ptr_nonnull(file);
  fseek(file, 0, SEEK_END);
  b.size = (size_t)ftell(file);
  rewind(file);
  b.bytes = malloc(b.size);
  ck_assert_uint_eq(fread(b.bytes, 1, b.size, file), b.size);
  fclose(file);
  return b;
}

/* A small TinyImageNet as it is published: three classes, two training and four held-out images of
 * each (PNGs under the names of JPEGs), val_0 to val_11, and what lies about beside them. */
static inline void make_published(void) {
  static const char *const wnids[] = {"n01443537", "n01629819", "n04067472"};
  char name[128], line[64], annotations[1024] = "";
  set("data.source", "tiny-imagenet");
  shell("mkdir -p images/val/images images/test/%s", "images");
  for (int c = 0; c < 3; c++) {
    shell("mkdir -p images/train/%s/images", wnids[c]);
    for (int k = 0; k < 2; k++) {
      snprintf(name, sizeof name, "images/train/%s/images/%s_%d.JPEG", wnids[c], wnids[c], k);
      write_png(name, 2 * c + k, 8, 8);
    }
    snprintf(name, sizeof name, "images/train/%s/%s_boxes.txt", wnids[c], wnids[c]);
    write_text(name, "x.JPEG\t0\t10\t63\t58\n");
  }
  for (int k = 0; k < 12; k++) {
    snprintf(name, sizeof name, "images/val/images/val_%d.JPEG", k);
    write_png(name, 20 + k, 8, 8);
    snprintf(line, sizeof line, "val_%d.JPEG\t%s\t0\t32\t44\t62\n", k, wnids[k * 2 % 3]);
    strcat(annotations, line);
  }
  write_png("images/test/images/test_0.JPEG", 50, 8, 8);
  write_text("images/val/val_annotations.txt", annotations);
  write_text("images/wnids.txt", "n04067472\nn01443537\nn01629819\n");
  write_text("images/words.txt", "n01443537\tgoldfish\n");
}

static inline void make_cifar10(void) {
  char name[64];
  set("data.source", "cifar10");
  shell("mkdir -p %s", "images/cifar-10-batches-bin");
  for (int b = 0; b < 5; b++) {
    snprintf(name, sizeof name, "images/cifar-10-batches-bin/data_batch_%d.bin", b + 1);
    write_cifar(name, 2, 2 * b);
  }
  write_cifar("images/cifar-10-batches-bin/test_batch.bin", 3, 10);
}

static inline void make_webdataset(void) {
  set("data.source", "webdataset");
  shell("mkdir -p images/set-train-%s images/set-train-001 images/set-val-000", "000");
  static const char *const names[] = {"images/set-train-000/0", "images/set-train-000/1",
                                      "images/set-train-001/0", "images/set-val-000/0"};
  for (int k = 0; k < 4; k++) {
    char name[64], label[8];
    snprintf(name, sizeof name, "%s.png", names[k]);
    write_png(name, k, 8 + k, 8);
    snprintf(name, sizeof name, "%s.cls", names[k]);
    snprintf(label, sizeof label, "%d\n", k % 2);
    write_text(name, label);
  }
}

/* The content hash of the data set, packed anew. */
static inline void content_hash(char sha256[65]) {
  open_data();
  strcpy(sha256, data.sha256);
  data_close(&data);
}

#endif
