/* The JPEG and PNG decoders, by content: as the file stores the picture, averaged down, kept as it
 * is and written anew smaller, and the crops of what is kept. */
#include "mae/data/picture.h"
#include "tests/fuzz/fuzz.h"

/* A file that is kept decodes whole, so every box of it does, at every reduction. */
static void check_boxes(const uint8_t *data, size_t size, int width, int height) {
  uint8_t *rgb = malloc(3 * (size_t)width * (size_t)height);
  for (int reduction = 1; reduction <= 8; reduction *= 2) {
    PictureBox box = {reduction, 0, 0, width / reduction, height / reduction};
    Error e = {0};
    if (!box.width || !box.height) break;
    box.left = box.width / 3;
    box.width -= box.left;
    box.height -= box.height / 4;
    bool ok = picture_decode_box(rgb, "input", data, size, &box, &e);
    fuzz_check(ok, &e);
    if (!ok) abort();
    fuzz_touch(rgb, 3 * (size_t)box.width * (size_t)box.height);
  }
  free(rgb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const PictureKeep whole = {.side = 0}, smaller = {.side = 4, .quality = 80};
  const PictureOptions options[] = {{.side = 0}, {.side = 4}, {.keep = &whole}, {.keep = &smaller}};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    Picture picture;
    Error e = {0};
    bool ok = picture_decode(&picture, "input", data, size, &options[i], &e);
    fuzz_check(ok, &e);
    if (!ok) return 0;
    if (picture.rgb) fuzz_touch(picture.rgb, 3 * (size_t)picture.width * (size_t)picture.height);
    if (picture.encoded) {
      fuzz_touch(picture.encoded, picture.encoded_size);
      check_boxes(picture.encoded, picture.encoded_size, picture.width, picture.height);
    }
    picture_free(&picture);
  }
  return 0;
}
