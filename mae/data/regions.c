/* regions.c - which part of an encoded image a crop needs, and decoding it. */
#include "mae/data/regions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"

enum { REDUCTION_MAX = 8 };

static size_t region_bytes(const PictureBox *box) {
  return (size_t)box->width * (size_t)box->height * 3;
}

/* Where an edge at x lies after a reduction to `length` pixels. */
static int reduced_edge(int x, int reduction, int length) {
  int at = (x + reduction / 2) / reduction;
  return at < length ? at : length;
}

static PictureBox reduced_box(const Crop *crop, int reduction) {
  int width = crop->src_width / reduction, height = crop->src_height / reduction;
  PictureBox box = {.reduction = reduction,
                    .left = reduced_edge(crop->left, reduction, width),
                    .top = reduced_edge(crop->top, reduction, height)};
  box.width = reduced_edge(crop->left + crop->width, reduction, width) - box.left;
  box.height = reduced_edge(crop->top + crop->height, reduction, height) - box.top;
  return box;
}

void region_box(PictureBox *box, const Crop *crop, int size) {
  for (int reduction = REDUCTION_MAX; reduction > 1; reduction /= 2) {
    *box = reduced_box(crop, reduction);
    if (box->width >= size && box->height >= size) return;
  }
  *box = reduced_box(crop, 1);
}

/* Of an image of any shape. A box that is reduced less than 8 times has a shorter side of less than
 * 2 size + 2 pixels then, or it would have been reduced more. */
static size_t largest_of(const PackImage *image, int size) {
  size_t whole = (size_t)image->width * (size_t)image->height * 3;
  size_t shorter = 2 * (size_t)size + 2, longer = shorter * 4 / 3 + 2, usual = shorter * longer * 3;
  size_t most = whole / (REDUCTION_MAX * REDUCTION_MAX);
  if (most < usual) most = usual;
  return most < whole ? most : whole;
}

size_t regions_largest(const Dataset *data, int size) {
  size_t largest = 0;
  for (int i = 0; i < data->train_count + data->eval_count; i++) {
    size_t bytes = largest_of(data->train + i, size);
    if (bytes > largest) largest = bytes;
  }
  return largest;
}

int regions_fit(const Crop *crops, int count, int size, size_t room) {
  size_t used = 0;
  for (int n = 0; n < count; n++) {
    PictureBox box;
    region_box(&box, crops + n, size);
    used += region_bytes(&box);
    if (used > room) return n;
  }
  return count;
}

/* The image whose file begins there: the index lists them by their offsets. */
static const PackImage *image_at(const Dataset *data, uint64_t offset) {
  size_t low = 0, high = (size_t)data->train_count + (size_t)data->eval_count;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (data->train[middle].offset <= offset)
      low = middle;
    else
      high = middle;
  }
  return data->train + low;
}

/* Lets the disk begin to bring a file that is going to be decoded. */
static void fetch(const Dataset *data, const PackImage *image) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  uintptr_t begin = (uintptr_t)(data->pixels + image->offset), first = begin / page * page;
  if (data->map) madvise((void *)first, begin - first + (size_t)image->bytes, MADV_WILLNEED);
}

static bool decode(uint8_t *rgb, const Dataset *data, const PackImage *image, const PictureBox *box,
                   Error *e) {
  char name[CONFIG_PATH_MAX + 64];
  snprintf(name, sizeof name, "%s: image %td", data->pack_path, image - data->train);
  return picture_decode_box(rgb, name, data->pixels + image->offset, (size_t)image->bytes, box, e);
}

size_t regions_decode(uint8_t *rgb, Crop *placed, const Dataset *data, const Crop *crops, int count,
                      int size, int threads, Error *e) {
  size_t used = 0;
  bool failed = false;
  for (int i = 0; i < count; i++) {
    PictureBox box;
    region_box(&box, crops + i, size);
    placed[i] = (Crop){.offset = used,
                       .src_width = box.width,
                       .src_height = box.height,
                       .width = box.width,
                       .height = box.height,
                       .flip = crops[i].flip};
    used += region_bytes(&box);
    fetch(data, image_at(data, crops[i].offset));
  }
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int i = 0; i < count; i++) {
    PictureBox box;
    Error problem = {0};
    region_box(&box, crops + i, size);
    if (decode(rgb + placed[i].offset, data, image_at(data, crops[i].offset), &box, &problem))
      continue;
#pragma omp critical
    {
      if (!failed) *e = problem;
      failed = true;
    }
  }
  return failed ? 0 : used;
}

/* ---- What libjpeg makes of the images ---- */

enum { SPECIMENS = 8, SPECIMEN_SIDE = 128 };

/* Adds the middle of an image, at every reduction that leaves something of it. */
static bool add_specimen(Sha256 *hash, uint8_t *rgb, const Dataset *data, const PackImage *image,
                         Error *e) {
  for (int reduction = 1; reduction <= REDUCTION_MAX; reduction *= 2) {
    int width = image->width / reduction, height = image->height / reduction;
    PictureBox box = {.reduction = reduction,
                      .width = width < SPECIMEN_SIDE ? width : SPECIMEN_SIDE,
                      .height = height < SPECIMEN_SIDE ? height : SPECIMEN_SIDE};
    if (!width || !height) break;
    box.left = (width - box.width) / 2;
    box.top = (height - box.height) / 2;
    if (!decode(rgb, data, image, &box, e)) return false;
    sha256_add(hash, rgb, region_bytes(&box));
  }
  return true;
}

bool regions_identify(Dataset *data, Error *e) {
  static const char rule[] = "crops of encoded images 1"; /* change it with their bytes */
  uint8_t *rgb = io_buffer(SPECIMEN_SIDE * SPECIMEN_SIDE * 3, "a decoded image", e);
  if (!rgb) return false;
  Sha256 *hash = sha256_new();
  sha256_add(hash, rule, sizeof rule);
  sha256_add(hash, data->content_sha256, 64);
  bool ok = true;
  for (size_t k = 0; ok && k < SPECIMENS && k < (size_t)data->train_count; k++)
    ok = add_specimen(hash, rgb, data, data->train + k * (size_t)data->train_count / SPECIMENS, e);
  sha256_finish(hash, data->sha256);
  free(rgb);
  return ok;
}
