/* sheets.c - the reconstruction sheet of each setting's first seed, within the page's size. */
#include <stdlib.h>
#include <string.h>

#include "harness/page/html.h"
#include "harness/page/internal.h"
#include "harness/page/jpeg.h"
#include "harness/store/artifact.h"
#include "mae/data/picture.h"
#include "page_sql.h"

enum { QUALITY = 85 };

typedef struct Sheet {
  const char *setting, *keys, *sha256, *folder, *path;
  bool leaky;
  int cell; /* pixels of a picture's side at size 1 */
} Sheet;

/* A sheet is a head over strips of four cells with a line of text below (mae/evaluate/sheet.c). At
 * size 2 all of it is twice as large, and every other strip is of differences; at size 1, of
 * earlier versions, there are none. */
static int size_of(int width, int cell) {
  return width >= 2 * (4 * cell + 5 * 8) ? 2 : 1;
}
static int height_of(int images, int cell, int size) {
  return size * (8 + 13 + images * size * (cell + 13));
}

static size_t as_text(size_t bytes) {
  return (bytes + 2) / 3 * 4;
}

static void write_image(Page *page, const Sheet *sheet, const char *type, const void *bytes,
                        size_t size, int width, int height) {
  html_put(
      page->out,
      "<figure class=\"sheet\"><figcaption>%s%s</figcaption>\n<img width=\"%d\" height=\"%d\" "
      "alt=\"Held-out images of the setting %s, a row each: the original, what "
      "the model sees, its reconstruction%s and harmonic inpainting, with their PSNR%s\" src=\"",
      sheet->setting,
      sheet->leaky ? " (LEAKY: un-normalised with the hidden patches' own "
                     "statistics; compares with nothing else)"
                   : "",
      width, height, sheet->setting, sheet->leaky ? " (leaky)" : "",
      size_of(width, sheet->cell) > 1 ? "; below them how they differ from the original" : "");
  fprintf(page->out, "data:%s;base64,", type);
  html_base64(page->out, bytes, size);
  fputs("\"></figure>\n", page->out);
}

static void leave_out(Page *page, const Sheet *sheet, const char *why) {
  html_put(page->out, "<p class=\"left-out\">%s: no picture here, because %s (%s/%s).</p>\n",
           sheet->setting, why, sheet->folder, sheet->path);
}

/* As many images as there is room for. */
static bool write_smaller(Page *page, const Sheet *sheet, const void *bytes, size_t size,
                          Error *e) {
  Picture picture = {0};
  Error unreadable = {0};
  if (!picture_decode(&picture, sheet->path, bytes, size, NULL, &unreadable)) {
    leave_out(page, sheet, unreadable.message);
    return true;
  }
  bool written = false, ok = true;
  int scale = size_of(picture.width, sheet->cell), images = 1;
  while (height_of(images + 1, sheet->cell, scale) <= picture.height) images++;
  for (; ok && !written && images >= 1; images = images > 2 ? images / 2 : images - 1) {
    unsigned char *jpeg = NULL;
    size_t length = 0;
    int height = height_of(images, sheet->cell, scale);
    if (height > picture.height) height = picture.height;
    ok = jpeg_encode(&jpeg, &length, picture.rgb, picture.width, height, QUALITY, e);
    if (ok && as_text(length) <= page->picture_share) {
      write_image(page, sheet, "image/jpeg", jpeg, length, picture.width, height);
      written = true;
    }
    if (ok) free(jpeg);
  }
  if (ok && !written) leave_out(page, sheet, "there are too many for one page");
  picture_free(&picture);
  return ok;
}

static bool write_sheet(Page *page, const Sheet *sheet, Error *e) {
  unsigned char *bytes = NULL;
  size_t size = 0;
  int width = 0, height = 0;
  Error why = {0};
  if (!artifact_read(&bytes, &size, page->store, sheet->folder, sheet->path, sheet->sha256, &why)) {
    leave_out(page, sheet, why.message);
    return true;
  }
  bool ok = true;
  if (as_text(size) <= page->picture_share && png_sides(bytes, size, &width, &height))
    write_image(page, sheet, "image/png", bytes, size, width, height);
  else
    ok = write_smaller(page, sheet, bytes, size, e);
  free(bytes);
  return ok;
}

bool page_sheets(Page *page, Error *e) {
  if (!page_common(page, "sheet", e)) return false;
  Rows *rows = rows_open(page->store, sheet_sql, PAGE_BINDINGS(page, "sheet"));
  bool ok = true, any = false;
  for (int n = 0; ok && rows_next(rows); n++) {
    Sheet sheet = {.setting = rows_text(rows, 0),
                   .cell = (int)rows_int(rows, 1),
                   .keys = rows_text(rows, 2),
                   .leaky = !strcmp(rows_text(rows, 3), "LEAKY"),
                   .sha256 = rows_text(rows, 4),
                   .folder = rows_text(rows, 5),
                   .path = rows_text(rows, 6)};
    if (n == 0)
      html_put(
          page->out,
          "<h3>Reconstructions</h3>\n<p>The first held-out images, of each setting's first "
          "seed (%s). Where the page would get too large, a sheet is cut to its first images and "
          "stored as JPEG.</p>\n<div class=\"sheets\">\n",
          sheet.keys);
    ok = write_sheet(page, &sheet, e);
    any = true;
  }
  if (any) fputs("</div>\n", page->out);
  return rows_close(rows, ok ? e : NULL) && ok;
}
