/* The JPEG and PNG decoders, by content. */
#include "mae/data/picture.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Picture picture;
  Error e = {0};
  bool ok = picture_decode(&picture, "input", data, size, &e);
  fuzz_check(ok, &e);
  if (!ok) return 0;
  fuzz_touch(picture.rgb, 3 * (size_t)picture.width * (size_t)picture.height);
  picture_free(&picture);
  return 0;
}
