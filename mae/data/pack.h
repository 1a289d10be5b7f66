/* pack.h - the packed file of a data set. Internal to the data module, its tests and fuzzing.
 *
 *   PackHeader, zeros up to PACK_PIXELS_AT | images | zeros to a multiple of 64 | PackImage index
 *
 * All numbers are little-endian. Format 1 holds of each image its pixels, uint8 [height, width, 3],
 * format 2 (data.pack = jpeg) its file, JPEG or PNG, of PackImage.bytes bytes. The index lists the
 * training images, then the held-out ones; images lie one behind the other without gaps, in that
 * order. The header is sealed by its own SHA-256 and holds those of the index and of the content
 * (images, index, then both counts as 32-bit numbers), which is the same wherever the images came
 * from. Opening checks the first two and every number.
 *
 * The content, which may be hundreds of gigabytes, is read in full once for every state of the
 * file, when it is next used: NAME.pack.verified notes its size, times and number on the disk, and
 * while those are the same it is not read again. What changes bytes below the file system alone is
 * found by `mae data info --verify`, which always reads. */
#ifndef MAE_DATA_PACK_H
#define MAE_DATA_PACK_H

#include "mae/data/dataset.h"
#include "mae/data/source.h"

#define PACK_MAGIC "MAEPACK\n"
enum { PACK_OF_PIXELS = 1, PACK_OF_FILES = 2 }; /* formats */
enum { PACK_PIXELS_AT = 4096, PACK_ALIGN = 64 };

typedef struct PackHeader {
  char magic[8];
  uint32_t version, header_bytes;
  char source[32];      /* NUL-terminated */
  char fingerprint[64]; /* hex, as all hashes here; of the source */
  char content_sha256[64], index_sha256[64];
  uint32_t train_count, eval_count, skipped;
  uint32_t odd;         /* images read past a harmless fault; 0 in packs of before */
  uint64_t pixel_bytes; /* of all images, as they are stored */
  uint64_t index_offset, file_bytes;
  char header_sha256[64]; /* of everything above */
} PackHeader;

/* Fills in header_sha256, and any such field. */
void pack_seal(PackHeader *);
void pack_hash_field(char field[64], const void *bytes, size_t size);
size_t pack_index_offset(size_t pixel_bytes);

/* Packs a source into the file `path`, fsynced. What is written does not depend on the number of
 * threads. A file and its state (part.h) that are there are gone on with. When this fails they are
 * removed, unless it was an image that could not be read and much had been packed. */
bool pack_write(const char *path, const Source *, bool skip_bad, const ProgressListener *, Error *);

/* Checks bytes in memory, which must outlive the Dataset, as data_open_pack does a file's. */
bool pack_parse(Dataset *, const char *name, const void *bytes, size_t size, Error *);
/* Maps and checks a pack. */
bool data_open_pack(Dataset *, const char *path, Error *);
/* Reads all of the content and compares its SHA-256. */
bool pack_verify(const Dataset *, const ProgressListener *, Error *);
/* The same, unless it is noted that this very file was verified; notes it. */
bool pack_verify_once(Dataset *, const ProgressListener *, Error *);
/* Notes it of a file that was just made from the bytes that were hashed. */
void pack_note_verified(const Dataset *);

#endif
