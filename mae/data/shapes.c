/* shapes.c - the embedded data set: the scenes of scene.h, labelled with the form of the largest
 * object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/data/scene.h"
#include "mae/data/source.h"

enum { EVAL_IMAGES = 1024 };
static const char generator[] = "shapes 2"; /* part of the fingerprint: change it with any scene */

static bool shapes_load(const Source *source, int split, int index, const PictureRoom *room,
                        Picture *p, int32_t *label, Error *e) {
  int size = *(const int *)source->state;
  size_t pixels = (size_t)size * (size_t)size;
  room->take(room->user, pixels * (3 + sizeof(Colour)));
  *p = (Picture){.width = size, .height = size, .rgb = io_buffer(pixels * 3, "a scene", e)};
  Colour *work = p->rgb ? io_buffer(pixels * sizeof *work, "a scene", e) : NULL;
  if (!work) {
    picture_free(p);
    return false;
  }
  Scene scene;
  scene_draw(&scene, (uint32_t)split, (uint64_t)index);
  scene_render(p->rgb, work, size, &scene);
  free(work);
  *label = (int32_t)scene.objects[scene.largest].form;
  return true;
}

static void shapes_close(Source *source) {
  free(source->state);
}

bool source_shapes_open(Source *source, const Config *config, const ProgressListener *progress,
                        Error *e) {
  (void)progress; /* nothing to list */
  *source = (Source){.name = "shapes",
                     .count = {config_train_images(config), EVAL_IMAGES},
                     .classes = FORMS,
                     .load = shapes_load,
                     .close = shapes_close,
                     .state = io_buffer(sizeof(int), "the source", e)};
  if (!source->state) return false;
  *(int *)source->state = config->model.image_size;
  char text[128];
  int n = snprintf(text, sizeof text, "%s, %d px, %d + %d images", generator,
                   config->model.image_size, source->count[SPLIT_TRAIN], EVAL_IMAGES);
  sha256_bytes(source->fingerprint, text, (size_t)n);
  return true;
}
