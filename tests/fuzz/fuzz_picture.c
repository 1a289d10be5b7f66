/* The JPEG and PNG decoders, by content, as the file stores the picture and reduced. */
#include "mae/data/picture.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const PictureOptions reduced = {.side = 4};
  for (int i = 0; i < 2; i++) {
    Picture picture;
    Error e = {0};
    bool ok = picture_decode(&picture, "input", data, size, i ? &reduced : NULL, &e);
    fuzz_check(ok, &e);
    if (!ok) return 0;
    fuzz_touch(picture.rgb, 3 * (size_t)picture.width * (size_t)picture.height);
    picture_free(&picture);
  }
  return 0;
}
