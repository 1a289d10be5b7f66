/* dataset.h - images: sources, the packed file, and what one training or evaluation sample is.
 *
 * A source is packed once into one memory-mapped file under the cache folder: header, uint8 RGB
 * pixels or (data.pack = jpeg) encoded files, per-image index, checksums (pack.h). The pack's name
 * carries a fingerprint of the source (names, sizes and times of its files, or of its archive), so
 * that a changed one packs anew; it is written under a temporary name and renamed when complete.
 * Packing that was killed goes on where it was (part.h). Processes that need the same pack at once
 * wait for the one that makes it.
 *
 * The packed pixels are those that a result is recorded for: whoever opens a pack that was changed
 * since it was last verified reads it whole and compares its SHA-256 first, about a second for each
 * gigabyte. While the file stays as it is that costs nothing (pack.h).
 *
 * Which pixels a pack of encoded files gives depends on libjpeg too. So the data set's SHA-256 is
 * there that of the content's and of some of its images as they are decoded here. */
#ifndef MAE_DATA_DATASET_H
#define MAE_DATA_DATASET_H

#include <stdint.h>

#include "mae/base/io.h"
#include "mae/base/progress.h"
#include "mae/config/config.h"
#include "mae/data/names.h"

typedef struct PackImage {
  uint64_t offset; /* bytes from `pixels` */
  int32_t width, height;
  int32_t label;
  int32_t bytes; /* of the encoded file; 0 in a pack of pixels */
} PackImage;

typedef struct Dataset {
  char pack_path[CONFIG_PATH_MAX];
  char sha256[65];         /* of the images: the content's, unless the pack is encoded */
  char content_sha256[65]; /* of the packed content */
  char source[32];
  int train_count, eval_count;
  int skipped;                   /* unreadable images left out because of data.skip_bad */
  int odd;                       /* images read past a harmless fault (picture.h) */
  char passed_over[PASSED_TEXT]; /* files of the source that are no images for it; see names.h */
  const PackImage *train, *eval;
  bool encoded;          /* `pixels` are files */
  const uint8_t *pixels; /* [height, width, 3] uint8 of every image, or its file, JPEG or PNG */
  size_t pixel_bytes;
  void *map; /* the mapping behind all of the above */
  size_t map_size;
  char identity[IO_IDENTITY_MAX]; /* of the file: changes when it is written to */
  bool verified;                  /* its content was read and compared now */
} Dataset;

/* Opens the pack of config->data, packing first when there is none. Checks every length and offset
 * before use; a damaged pack is an error that names the file and says to delete it. The listener
 * hears of images packed, of bytes verified, and of files that are passed over. */
bool data_open(Dataset *, const Config *, const ProgressListener *, Error *);
void data_close(Dataset *);
/* For plans, without packing: whether data.path is there for a source that has one, and what is in
 * it: images of the pack when there is one, else as many as the source lists; and its classes. */
typedef struct DataCounts {
  int train, eval, classes;
} DataCounts;
bool data_check_path(const Config *, Error *);
bool data_count(const Config *, DataCounts *, const ProgressListener *, Error *);
/* The folder of packs: data.cache, else $XDG_CACHE_HOME/maebench, else ~/.cache/maebench. */
bool data_cache_folder(char *out, size_t size, const Config *, Error *);

/* The fixed evaluation crop and the training crop of a sample, and its change of colours where
 * train.augment makes one (config_jitters); see Crop and Jitter in backend.h. The training order,
 * every crop and every change of colours are drawn from (seed, epoch, sample). */
void data_eval_crop(Crop *, const Dataset *, int index);
/* The evaluation's crop of an image of either split. */
void data_whole_crop(Crop *, const Dataset *, bool training, int index);
void data_train_crop(Crop *, const Dataset *, const Config *, uint32_t epoch, int sample);
void data_train_jitter(Jitter *, const Config *, uint32_t epoch, int sample);
/* order[train_count]: the epoch's permutation of the training samples. */
void data_shuffle(int32_t *order, int count, uint64_t seed, uint32_t epoch);
/* A permutation of 0..count-1, drawn from one of kernels/scalar.h's streams (Fisher and Yates). */
void data_permute(int32_t *order, int count, uint64_t seed, uint32_t stream, uint32_t epoch);

#endif
