/* window.c - all threads load, and whichever finds the next image ready hands it over. */
#include "mae/data/window.h"

#include <pthread.h>
#include <stdlib.h>

#include "mae/base/io.h"

typedef struct Window Window;

typedef struct Slot {
  Window *window;
  int index; /* of the image in its split */
  bool loaded;
  size_t bytes; /* taken */
  WindowImage image;
} Slot;

struct Window {
  const Source *source;
  int split;
  WindowTake take;
  void *user;
  Error *error;
  pthread_mutex_t lock; /* of everything below */
  pthread_cond_t moved; /* `given` or `bytes` changed */
  int next, given;      /* the image to be loaded next, and to be handed over next */
  size_t bytes;         /* taken by all slots */
  bool giving, failed;
  Slot *slots; /* [WINDOW_IMAGES]: image i in slot i % WINDOW_IMAGES */
};

size_t window_bytes(const Picture *p) {
  return p->encoded ? p->encoded_size : (size_t)p->width * (size_t)p->height * 3;
}

static void take_room(void *user, size_t bytes) {
  Slot *slot = user;
  Window *w = slot->window;
  pthread_mutex_lock(&w->lock);
  while (w->bytes + bytes > WINDOW_BYTES && slot->index != w->given && !w->failed)
    pthread_cond_wait(&w->moved, &w->lock);
  w->bytes += bytes;
  slot->bytes += bytes;
  pthread_mutex_unlock(&w->lock);
}

/* The lock is held. */
static void give_room_back(Slot *slot, size_t kept) {
  slot->window->bytes -= slot->bytes - kept;
  slot->bytes = kept;
  pthread_cond_broadcast(&slot->window->moved);
}

/* Loads the next image into its slot; false when there is no more to do. */
static bool load_next(Window *w) {
  pthread_mutex_lock(&w->lock);
  while (!w->failed && w->next - w->given >= WINDOW_IMAGES) pthread_cond_wait(&w->moved, &w->lock);
  bool more = !w->failed && w->next < w->source->count[w->split];
  int index = w->next;
  Slot *slot = &w->slots[index % WINDOW_IMAGES];
  if (more) {
    *slot = (Slot){.window = w, .index = index};
    w->next++;
  }
  pthread_mutex_unlock(&w->lock);
  if (!more) return false;

  WindowImage *image = &slot->image;
  const PictureRoom room = {take_room, slot};
  image->ok = w->source->load(w->source, w->split, index, &room, &image->picture, &image->label,
                              &image->error);
  size_t kept = image->ok ? window_bytes(&image->picture) : 0;
  pthread_mutex_lock(&w->lock);
  slot->loaded = true;
  give_room_back(slot, kept < slot->bytes ? kept : slot->bytes);
  pthread_mutex_unlock(&w->lock);
  return true;
}

/* Hands over what is ready, unless another thread is doing it. */
static void give_ready(Window *w) {
  pthread_mutex_lock(&w->lock);
  bool mine = !w->giving;
  if (mine) w->giving = true;
  while (mine && !w->failed && w->given < w->next && w->slots[w->given % WINDOW_IMAGES].loaded) {
    Slot *slot = &w->slots[w->given % WINDOW_IMAGES];
    pthread_mutex_unlock(&w->lock);
    bool ok = w->take(w->user, &slot->image, w->error);
    if (slot->image.ok) picture_free(&slot->image.picture);
    pthread_mutex_lock(&w->lock);
    slot->loaded = false;
    w->failed = !ok;
    w->given++;
    give_room_back(slot, 0);
  }
  if (mine) w->giving = false;
  pthread_mutex_unlock(&w->lock);
}

bool window_run(const Source *source, int split, int first, WindowTake take, void *user, Error *e) {
  Window w = {.source = source,
              .split = split,
              .take = take,
              .user = user,
              .error = e,
              .next = first,
              .given = first};
  w.slots = io_buffer(WINDOW_IMAGES * sizeof *w.slots, "packing", e);
  if (!w.slots) return false;
  for (int i = 0; i < WINDOW_IMAGES; i++) w.slots[i] = (Slot){0};
  pthread_mutex_init(&w.lock, NULL);
  pthread_cond_init(&w.moved, NULL);
#pragma omp parallel
  while (load_next(&w)) give_ready(&w);
  for (int i = 0; i < WINDOW_IMAGES; i++)
    if (w.slots[i].loaded && w.slots[i].image.ok) picture_free(&w.slots[i].image.picture);
  pthread_cond_destroy(&w.moved);
  pthread_mutex_destroy(&w.lock);
  free(w.slots);
  return !w.failed;
}
