/* sheet.c - pictures and labels into one PNG; letters come from a small bitmap font of its own. */
#include "mae/evaluate/sheet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/data/picture.h"
#include "mae/evaluate/evaluate.h"
#include "mae/evaluate/fills.h"
#include "mae/model/device.h"

/* Pixels, but for the letters' dots. A cell is a picture with a line of text below it. */
enum {
  DOT = 2, /* a letter's */
  GLYPH_WIDTH = 5,
  GLYPH_HEIGHT = 7,
  GAP = 8 * DOT,
  LINE = (GLYPH_HEIGHT + 6) * DOT,
  PICTURE_MIN = 256
};

/* Letters of 5x7 dots, a byte per row, the leftmost dot in bit 4. */
static const struct Glyph {
  char letter;
  uint8_t rows[GLYPH_HEIGHT];
} glyphs[] = {
    {'A', {0x0E, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11}},
    {'B', {0x1E, 0x11, 0x11, 0x1E, 0x11, 0x11, 0x1E}},
    {'C', {0x0E, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0E}},
    {'D', {0x1E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1E}},
    {'E', {0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x1F}},
    {'F', {0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x10}},
    {'G', {0x0E, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0F}},
    {'H', {0x11, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11}},
    {'I', {0x0E, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0E}},
    {'K', {0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11}},
    {'L', {0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1F}},
    {'M', {0x11, 0x1B, 0x15, 0x15, 0x11, 0x11, 0x11}},
    {'N', {0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11}},
    {'O', {0x0E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0E}},
    {'R', {0x1E, 0x11, 0x11, 0x1E, 0x14, 0x12, 0x11}},
    {'S', {0x0F, 0x10, 0x10, 0x0E, 0x01, 0x01, 0x1E}},
    {'T', {0x1F, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04}},
    {'U', {0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0E}},
    {'X', {0x11, 0x11, 0x0A, 0x04, 0x0A, 0x11, 0x11}},
    {'Y', {0x11, 0x11, 0x0A, 0x04, 0x04, 0x04, 0x04}},
    {'d', {0x01, 0x01, 0x0D, 0x13, 0x11, 0x13, 0x0D}},
    {'0', {0x0E, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0E}},
    {'1', {0x04, 0x0C, 0x04, 0x04, 0x04, 0x04, 0x0E}},
    {'2', {0x0E, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1F}},
    {'3', {0x1F, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0E}},
    {'4', {0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02}},
    {'5', {0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E}},
    {'6', {0x06, 0x08, 0x10, 0x1E, 0x11, 0x11, 0x0E}},
    {'7', {0x1F, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08}},
    {'8', {0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E}},
    {'9', {0x0E, 0x11, 0x11, 0x0F, 0x01, 0x02, 0x0C}},
    {'.', {0x00, 0x00, 0x00, 0x00, 0x00, 0x0C, 0x0C}},
};

static int cell_pixels(const Sheet *sheet) {
  return sheet->picture_size * sheet->scale;
}

bool sheet_create(Sheet *sheet, int rows, int columns, int picture_size, Error *e) {
  *sheet = (Sheet){.columns = columns, .rows = rows, .picture_size = picture_size};
  /* Even, so that a sheet is twice as large as one of a version before differences were shown, and
   * is told from it by that (plots/draw.sh). */
  sheet->scale = 2 * ((PICTURE_MIN / 2 + picture_size - 1) / picture_size);
  sheet->width = GAP + columns * (cell_pixels(sheet) + GAP);
  sheet->height = GAP + LINE + rows * (cell_pixels(sheet) + LINE);
  size_t bytes = (size_t)sheet->width * sheet->height * 3;
  sheet->rgb = malloc(bytes);
  if (!sheet->rgb)
    return error_set(e, EXIT_DEVICE, "out of memory for a contact sheet of %zu bytes", bytes);
  memset(sheet->rgb, 255, bytes);
  return true;
}

void sheet_destroy(Sheet *sheet) {
  free(sheet->rgb);
  *sheet = (Sheet){0};
}

static void draw_text(Sheet *sheet, int left, int top, const char *text) {
  for (; *text; text++, left += (GLYPH_WIDTH + 1) * DOT)
    for (size_t g = 0; g < sizeof glyphs / sizeof *glyphs; g++) {
      if (glyphs[g].letter != *text || left + GLYPH_WIDTH * DOT > sheet->width) continue;
      for (int y = 0; y < GLYPH_HEIGHT * DOT; y++)
        for (int x = 0; x < GLYPH_WIDTH * DOT; x++)
          if (glyphs[g].rows[y / DOT] >> (GLYPH_WIDTH - 1 - x / DOT) & 1)
            memset(sheet->rgb + ((size_t)(top + y) * sheet->width + left + x) * 3, 0, 3);
    }
}

static int column_left(const Sheet *sheet, int column) {
  return GAP + column * (cell_pixels(sheet) + GAP);
}

void sheet_label(Sheet *sheet, int column, const char *text) {
  draw_text(sheet, column_left(sheet, column), GAP, text);
}

void sheet_place(Sheet *sheet, int row, int column, const float *picture, const char *caption) {
  int pixels = cell_pixels(sheet), size = sheet->picture_size;
  int left = column_left(sheet, column), top = GAP + LINE + row * (pixels + LINE);
  for (int y = 0; y < pixels; y++)
    for (int x = 0; x < pixels; x++) {
      const float *from = picture + ((size_t)(y / sheet->scale) * size + x / sheet->scale) * 3;
      uint8_t *to = sheet->rgb + ((size_t)(top + y) * sheet->width + left + x) * 3;
      for (int c = 0; c < 3; c++) to[c] = (uint8_t)lrintf(255.0f * from[c]);
    }
  if (caption) draw_text(sheet, left, top + pixels + 3 * DOT, caption);
}

enum { ORIGINAL, MASKED, RECONSTRUCTION, HARMONIC, COLUMNS };
static const char *const labels[COLUMNS] = {"ORIGINAL", "MASKED", "RECONSTRUCTION",
                                            "HARMONIC FILL"};

/* Over and under the pictures of a norm_pix model, which are un-normalised with the hidden patches'
 * own statistics: no number of theirs compares with the fill's. */
static const char leaky_label[] = "LEAKY RECONSTRUCTION", leaky_caption[] = "LEAKY";

/* psnr_composite of a picture as the sheet's caption. */
static void describe(char *text, size_t size, const float *picture, const uint8_t *image,
                     size_t values) {
  double sum = 0.0;
  for (size_t i = 0; i < values; i++) sum += pow((double)picture[i] - pixel_unit(image[i]), 2);
  snprintf(text, size, "%.2f dB", psnr_from_mse(sum / (double)values));
}

/* Rows of the sheet for an image: the pictures, and below them what is wrong with them. */
enum { PICTURES, DIFFERENCES, IMAGE_ROWS };

/* Turns a picture into its distance from the image, a colour at a time: black where they are equal.
 * Enlarged, for at a third of the range a picture is ruined. */
enum { DIFFERENCE_GAIN = 4 };
static const char difference_caption[] = "DIFFERENCE X4";
static void subtract(float *picture, const uint8_t *image, size_t values) {
  for (size_t i = 0; i < values; i++) {
    float distance = DIFFERENCE_GAIN * fabsf(picture[i] - pixel_unit(image[i]));
    picture[i] = distance < 1.0f ? distance : 1.0f;
  }
}

/* One image, `composite` its reconstruction; `picture` is scratch. */
static bool place_image(Sheet *sheet, int index, const Config *config, const uint8_t *image,
                        const uint8_t *masked, float *composite, float *picture, Error *e) {
  int row = index * IMAGE_ROWS + PICTURES, below = index * IMAGE_ROWS + DIFFERENCES;
  int size = config->model.image_size, patch = config->model.patch_size;
  size_t values = (size_t)size * size * 3;
  char caption[32];
  bool leaky = config->train.norm_pix;
  for (size_t i = 0; i < values; i++) picture[i] = pixel_unit(image[i]);
  sheet_place(sheet, row, ORIGINAL, picture, NULL);
  for (size_t i = 0; i < values; i++) {
    int y = (int)(i / 3) / size, x = (int)(i / 3) % size;
    if (fill_hides(masked, y, x, size, patch)) picture[i] = 0.5f;
  }
  sheet_place(sheet, row, MASKED, picture, NULL);
  describe(caption, sizeof caption, composite, image, values);
  sheet_place(sheet, row, RECONSTRUCTION, composite, leaky ? leaky_caption : caption);
  subtract(composite, image, values);
  sheet_place(sheet, below, RECONSTRUCTION, composite, leaky ? leaky_caption : difference_caption);
  if (!fill_harmonic(picture, image, masked, size, patch))
    return error_set(e, EXIT_DEVICE, "out of memory for the harmonic fill");
  describe(caption, sizeof caption, picture, image, values);
  sheet_place(sheet, row, HARMONIC, picture, caption);
  subtract(picture, image, values);
  sheet_place(sheet, below, HARMONIC, picture, difference_caption);
  return true;
}

/* Images first .. first+count, reconstructed together. composite and images: host scratch. */
static bool place_images(Sheet *sheet, Evaluator *ev, int first, int count, float *composite,
                         uint8_t *images, Error *e) {
  const Kernels *k = ev->device->kernels;
  size_t values = (size_t)sheet->picture_size * sheet->picture_size * 3;
  size_t patches = (size_t)config_patches(ev->config);
  if (!evaluator_load(ev, first, count, e)) return false;
  evaluator_reconstruct(ev, count);
  k->download(ev->device, composite, ev->composite, (size_t)count * values * sizeof *composite);
  k->download(ev->device, images, ev->input.images, (size_t)count * values);
  if (!device_synchronize(ev->device, e)) return false;
  float *scratch = composite + (size_t)ev->capacity * values;
  for (int i = 0; i < count; i++)
    if (!place_image(sheet, first + i, ev->config, images + (size_t)i * values,
                     ev->masked + (size_t)i * patches, composite + (size_t)i * values, scratch, e))
      return false;
  return true;
}

bool sheet_write(const char *path, Model *model, const ImagePool *pool, const Crop *crops,
                 int count, const ProgressListener *progress, Error *e) {
  const Config *config = model->config;
  int size = config->model.image_size, capacity = model->batch < count ? model->batch : count;
  size_t values = (size_t)size * size * 3;
  Sheet sheet;
  Evaluator ev;
  if (!sheet_create(&sheet, count * IMAGE_ROWS, COLUMNS, size, e)) return false;
  if (!evaluator_create(&ev, model, pool, capacity, e)) {
    sheet_destroy(&sheet);
    return false;
  }
  for (int column = 0; column < COLUMNS; column++)
    sheet_label(&sheet, column,
                column == RECONSTRUCTION && config->train.norm_pix ? leaky_label : labels[column]);
  float *composite = malloc(((size_t)capacity + 1) * values * sizeof *composite);
  uint8_t *images = malloc((size_t)capacity * values);
  bool ok = composite && images;
  if (!ok) error_set(e, EXIT_DEVICE, "out of memory for a contact sheet of %d images", count);
  for (int first = 0; ok && first < count; first += capacity) {
    int rows = count - first < capacity ? count - first : capacity;
    memcpy(ev.crops, crops + first, (size_t)rows * sizeof *crops);
    ok = place_images(&sheet, &ev, first, rows, composite, images, e);
    progress_tell(progress, "sheet", (size_t)first + (size_t)rows, (size_t)count);
  }
  if (ok) ok = picture_write_png(path, sheet.rgb, sheet.width, sheet.height, e);
  free(composite);
  free(images);
  evaluator_destroy(&ev);
  sheet_destroy(&sheet);
  return ok;
}

bool sheet_write_held_out(const char *path, Model *model, const Dataset *dataset,
                          const ImagePool *pool, int count, const ProgressListener *progress,
                          Error *e) {
  if (count > dataset->eval_count) count = dataset->eval_count;
  Crop *crops = malloc((size_t)count * sizeof *crops);
  if (!crops) return error_set(e, EXIT_DEVICE, "out of memory for %d crops", count);
  for (int i = 0; i < count; i++) data_eval_crop(&crops[i], dataset, i);
  bool ok = sheet_write(path, model, pool, crops, count, progress, e);
  free(crops);
  return ok;
}
