/* room.c - what a pack will take, by a sample of its images. */
#include "mae/data/room.h"

#include <math.h>
#include <sys/stat.h>

#include "mae/base/io.h"
#include "mae/data/pack.h"
#include "mae/data/window.h"

typedef struct Sampling {
  const Source *source;
  double count, sum, squares; /* of the bytes of the images that were loaded */
} Sampling;

static int offered(const Source *source) {
  return source->count[SPLIT_TRAIN] + source->count[SPLIT_EVAL];
}

/* Image `index` of the sample, which is a source of its own. */
static bool load_specimen(const Source *sample, int split, int index, const PictureRoom *room,
                          Picture *p, int32_t *label, Error *e) {
  const Source *source = ((const Sampling *)sample->state)->source;
  size_t wanted = (size_t)sample->count[split], total = (size_t)offered(source);
  int at = (int)source_pick((size_t)index, wanted, total), train = source->count[SPLIT_TRAIN];
  return at < train ? source->load(source, SPLIT_TRAIN, at, room, p, label, e)
                    : source->load(source, SPLIT_EVAL, at - train, room, p, label, e);
}

static bool add_specimen(void *user, const WindowImage *image, Error *e) {
  Sampling *sampling = user;
  (void)e;
  if (!image->ok) return true;
  double bytes = (double)window_bytes(&image->picture);
  sampling->count++;
  sampling->sum += bytes;
  sampling->squares += bytes * bytes;
  return true;
}

/* The bytes of `total` images like those, and the least that it may be. */
static double estimate(const Sampling *s, double total, double *least) {
  double mean = s->sum / s->count, variance = fmax(s->squares / s->count - mean * mean, 0);
  double left_out = fmax(1 - s->count / total, 0); /* of a sample that is all nothing is unknown */
  double error = s->count > 1 ? sqrt(variance / (s->count - 1) * left_out) : mean;
  *least = total * fmax(mean - 3 * error, 0);
  return total * mean;
}

bool room_for_pack(const char *path, const Source *source, Error *e) {
  struct stat there;
  size_t room;
  int total = offered(source);
  Sampling sampling = {.source = source};
  const Source sample = {.count = {total < ROOM_SPECIMENS ? total : ROOM_SPECIMENS},
                         .load = load_specimen,
                         .state = &sampling};
  if (!io_room(path, &room)) return true;
  if (!stat(path, &there)) room += (size_t)there.st_size;
  if (!window_run(&sample, SPLIT_TRAIN, 0, add_specimen, &sampling, e)) return false;
  if (sampling.count == 0) return true;
  double index = (double)total * sizeof(PackImage), least;
  double needed = estimate(&sampling, total, &least) + index;
  if (least + index <= (double)room) return true;
  return error_set(e, EXIT_DATA,
                   "%s: packing %d images takes about %.3g GB, and %.3g GB are free there: make "
                   "room (packs of other data sets or settings stay until somebody removes them) "
                   "or set data.cache to another folder",
                   path, total, needed / 1e9, (double)room / 1e9);
}
