/* pack_write.c - packing a source, by all threads, into one file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/data/pack.h"
#include "mae/data/part.h"
#include "mae/data/window.h"

/* Images with faults that are named; the others are only counted. */
enum { BAD_NAMED = 5 };

typedef struct Packer {
  const Source *source;
  bool skip_bad;
  const ProgressListener *progress;
  PackPart part;
  size_t offered;
  bool unreadable; /* an image was, and ended it */
} Packer;

/* Names the first few images with a fault of a kind; `count` is how many there were. As an error's
 * the text has no control characters, which a file's name may have. */
static void name_fault(const Packer *p, uint32_t count, const char *what, const char *fault) {
  Error told;
  if (count <= BAD_NAMED)
    error_set(&told, EXIT_DATA, "%s: %s", what, fault);
  else
    error_set(&told, EXIT_DATA, "%s: more images; they are counted", what);
  if (count <= BAD_NAMED + 1) progress_tell(p->progress, told.message, 0, 0);
}

/* An image that cannot be read: an error, or counted. */
static bool skip(Packer *p, const Error *why, Error *e) {
  if (p->skip_bad && why->code == EXIT_DATA) {
    name_fault(p, ++p->part.state.skipped, "skipped", why->message);
    return true;
  }
  *e = *why;
  if (why->code == EXIT_DATA) {
    size_t used = strlen(e->message);
    p->unreadable = true;
    snprintf(e->message + used, sizeof e->message - used,
             " (data.skip_bad = true leaves such images out%s)",
             p->part.state.saved ? " and goes on from here" : "");
  }
  return false;
}

static bool append(Packer *p, const WindowImage *image, Error *e) {
  const Picture *picture = &image->picture;
  PackImage entry = {.width = picture->width,
                     .height = picture->height,
                     .label = image->label,
                     .bytes = (int32_t)picture->encoded_size};
  const void *bytes = picture->encoded ? picture->encoded : picture->rgb;
  if (!part_append(&p->part, &entry, bytes, window_bytes(picture), e)) return false;
  if (*picture->oddity) name_fault(p, ++p->part.state.odd, "read all the same", picture->oddity);
  return true;
}

static bool take_image(void *user, const WindowImage *image, Error *e) {
  Packer *p = user;
  if (!(image->ok ? append(p, image, e) : skip(p, &image->error, e))) return false;
  progress_tell(p->progress, "packing", ++p->part.state.loaded, p->offered);
  return part_save_sometimes(&p->part, e);
}

static bool pack_images(Packer *p, Error *e) {
  const Source *source = p->source;
  PartState *state = &p->part.state;
  uint64_t training = (uint64_t)source->count[SPLIT_TRAIN];
  if (state->loaded <= training) {
    if (!window_run(source, SPLIT_TRAIN, (int)state->loaded, take_image, p, e)) return false;
    state->train_count = (uint32_t)state->count;
  }
  return window_run(source, SPLIT_EVAL, (int)(state->loaded - training), take_image, p, e);
}

/* The index, and then the header in its place. */
static bool complete(Packer *p, Error *e) {
  static const char zeros[PACK_ALIGN];
  const Source *source = p->source;
  PackPart *part = &p->part;
  const PartState *state = &part->state;
  PackHeader header = {.magic = PACK_MAGIC,
                       .version = source->encoded ? PACK_OF_FILES : PACK_OF_PIXELS,
                       .header_bytes = sizeof header,
                       .train_count = state->train_count,
                       .eval_count = (uint32_t)state->count - state->train_count,
                       .skipped = state->skipped,
                       .odd = state->odd,
                       .pixel_bytes = state->pixel_bytes,
                       .index_offset = pack_index_offset(state->pixel_bytes)};
  if (!header.train_count || !header.eval_count)
    return error_set(e, EXIT_DATA, "%s: none of the %d %s images can be read", source->name,
                     source->count[header.train_count ? SPLIT_EVAL : SPLIT_TRAIN],
                     header.train_count ? "held-out" : "training");
  size_t index_bytes = state->count * sizeof *part->index;
  memcpy(header.fingerprint, source->fingerprint, sizeof header.fingerprint);
  snprintf(header.source, sizeof header.source, "%s", source->name);
  header.file_bytes = header.index_offset + index_bytes;
  pack_hash_field(header.index_sha256, part->index, index_bytes);
  sha256_add(part->content, part->index, index_bytes);
  sha256_add(part->content, &header.train_count, sizeof header.train_count);
  sha256_add(part->content, &header.eval_count, sizeof header.eval_count);
  char hex[65];
  sha256_so_far(part->content, hex);
  memcpy(header.content_sha256, hex, sizeof header.content_sha256);
  pack_seal(&header);

  size_t gap = header.index_offset - PACK_PIXELS_AT - state->pixel_bytes;
  if (!part_put(part, zeros, gap, e) || !part_put(part, part->index, index_bytes, e)) return false;
  if (lseek(part->fd, 0, SEEK_SET) != 0)
    return error_set(e, EXIT_DATA, "%s: cannot seek: %s", part->path, strerror(errno));
  return part_put(part, &header, sizeof header, e);
}

bool pack_write(const char *path, const Source *source, bool skip_bad,
                const ProgressListener *progress, Error *e) {
  Packer p = {.source = source,
              .skip_bad = skip_bad,
              .progress = progress,
              .offered = (size_t)source->count[SPLIT_TRAIN] + (size_t)source->count[SPLIT_EVAL]};
  if (*source->passed_over) progress_tell(progress, source->passed_over, 0, 0);
  bool ok = part_open(&p.part, path, source, skip_bad, progress, e) && pack_images(&p, e) &&
            complete(&p, e);
  /* An hour's work is not lost to one bad image; what fails later says nothing new. */
  bool kept = !ok && p.unreadable && p.part.state.saved && part_save(&p.part, NULL);
  ok = part_close(&p.part, ok ? e : NULL) && ok;
  if (!ok && !kept) part_remove(path);
  return ok;
}
