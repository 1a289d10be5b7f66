/* part.h - a pack while it is written, so that packing that was killed goes on where it was.
 * Internal to the data module.
 *
 * Beside the file PATH lies PATH.state, written anew under a temporary name and renamed, once the
 * images that it speaks of are on the disk:
 *
 *   PartState | PackImage index[count] | SHA-256 of all before, 64 hex digits
 *
 * It is written as often as costs a fiftieth of the time, and no oftener than every second. To go
 * on, what it speaks of is read and compared with its SHA-256, and whatever follows in PATH cut
 * off. A state or a file that is not right, or of another source, is as good as none. */
#ifndef MAE_DATA_PART_H
#define MAE_DATA_PART_H

#include "mae/base/sha256.h"
#include "mae/data/pack.h"

#define PART_MAGIC "MAEPART\n"
enum { PART_PATH_MAX = CONFIG_PATH_MAX + 32 };

/* What has been written. All numbers are little-endian. */
typedef struct PartState {
  char magic[8];
  char fingerprint[64];         /* of the source */
  char content_sha256[64];      /* of the images so far */
  uint64_t loaded;              /* images of the source, training ones first: packed or skipped */
  uint64_t count, pixel_bytes;  /* packed */
  uint32_t train_count;         /* of them, once loaded is past the training images */
  uint32_t skipped, odd, saved; /* saved: how often this was */
} PartState;

typedef struct PackPart {
  int fd; /* -1: not open */
  char path[PART_PATH_MAX], state_path[PART_PATH_MAX + 8];
  PartState state;
  PackImage *index; /* [all that the source offers] */
  Sha256 *content;
  double saved_at, save_took; /* seconds, on clock_seconds */
} PackPart;

/* Opens the part at a path where a packing left it, or a new one. skip_bad: whether one that left
 * images out will do. On failure too, part_close follows. */
bool part_open(PackPart *, const char *path, const Source *, bool skip_bad,
               const ProgressListener *, Error *);
/* Writes at the end, without counting it as an image. */
bool part_put(PackPart *, const void *bytes, size_t size, Error *);
/* An image; offset is filled in here. */
bool part_append(PackPart *, const PackImage *, const void *bytes, size_t size, Error *);
/* Notes how far it is; part_save_sometimes: when it is time to. */
bool part_save(PackPart *, Error *);
bool part_save_sometimes(PackPart *, Error *);
/* Closes the file, fsynced. */
bool part_close(PackPart *, Error *);
/* Removes a part, or only its state. */
void part_remove(const char *path);
void part_remove_state(const char *path);

#endif
