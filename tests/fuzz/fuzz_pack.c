/* The reader of packed data sets. The input is a flag, a header, and what follows the header's
 * page. Checksums would stop nearly every input at the door, so unless bit 0 of the flag is set
 * they are made right first, as a hostile writer would. */
#include <string.h>

#include "mae/base/sha256.h"
#include "mae/data/pack.h"
#include "tests/fuzz/fuzz.h"

static void make_checksums_right(PackHeader *header, const uint8_t *pack, size_t size) {
  memcpy(header->magic, PACK_MAGIC, sizeof header->magic);
  header->version = header->version % 2 ? PACK_OF_PIXELS : PACK_OF_FILES;
  header->header_bytes = sizeof *header;
  header->file_bytes = size;
  size_t bytes = ((size_t)header->train_count + header->eval_count) * sizeof(PackImage);
  if (header->index_offset <= size && bytes <= size - header->index_offset) {
    char hex[65];
    sha256_bytes(hex, pack + header->index_offset, bytes);
    memcpy(header->index_sha256, hex, sizeof header->index_sha256);
  }
  pack_seal(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  PackHeader header;
  if (size < 1 + sizeof header) return 0;
  size_t rest = size - 1 - sizeof header, bytes = PACK_PIXELS_AT + rest;
  uint8_t *pack = calloc(1, bytes);
  memcpy(&header, data + 1, sizeof header);
  memcpy(pack + PACK_PIXELS_AT, data + 1 + sizeof header, rest);
  if (!(data[0] & 1)) make_checksums_right(&header, pack, bytes);
  memcpy(pack, &header, sizeof header);

  Dataset dataset;
  Error e = {0};
  bool ok = pack_parse(&dataset, "input", pack, bytes, &e);
  fuzz_check(ok, &e);
  if (ok) {
    for (int i = 0; i < dataset.train_count + dataset.eval_count; i++) {
      const PackImage *image = &dataset.train[i];
      size_t held = 3 * (size_t)image->width * (size_t)image->height;
      fuzz_touch(dataset.pixels + image->offset, dataset.encoded ? (size_t)image->bytes : held);
    }
    Error problem = {0};
    fuzz_check(pack_verify(&dataset, NULL, &problem), &problem);
  }
  free(pack);
  return 0;
}
