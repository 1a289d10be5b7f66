/* shapes.c - the embedded data set: procedural scenes of shaded, textured, overlapping
 * objects with soft shadows, before a sky, a wall or a floor.
 *
 * A scene is drawn from Philox counters of (DATA_SEED, split, image), so it is the same on every
 * machine: the arithmetic below is only + - * / sqrt, floor and comparisons, which IEEE 754 rounds
 * alike everywhere (no sin, cos, exp or pow), and nothing is fused. Lengths are shares of the
 * image's side, so a scene looks the same at any size. Edges are smoothed by their distance to the
 * pixel centre. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/data/source.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

enum { EVAL_IMAGES = 1024, OBJECTS_MAX = 24, SIDES_MAX = 6, COLOURS = 6 };
static const char generator[] = "shapes 1"; /* part of the fingerprint: change it with any scene */

typedef struct Vec {
  float x, y;
} Vec;

typedef struct Colour {
  float r, g, b;
} Colour;

typedef enum Pattern { PLAIN, FADE, STRIPES, CHECKER, DOTS, CLOUDS, PATTERNS } Pattern;

/* A surface: two colours and how they alternate along the local axes. */
typedef struct Material {
  Pattern pattern;
  Colour a, b;
  float frequency; /* periods per image side */
  float share;     /* of a period taken by b */
  uint32_t noise;  /* seed of CLOUDS */
} Material;

typedef enum Form { ELLIPSE, BALL, BOX, POLYGON, RING, FORMS } Form;

typedef struct Object {
  Form form;
  Vec center, axis; /* axis: unit vector of the local x */
  Vec half;         /* half extents */
  float corner;     /* BOX: radius of the corners; RING: half thickness */
  int sides;
  Vec normal[SIDES_MAX]; /* POLYGON: outward, unit; distance of each side from the center */
  float distance[SIDES_MAX];
  Material material;
  float lift; /* how far its shadow falls */
} Object;

typedef enum Backdrop { FADED, CLOUDED, HORIZON, WALL, BACKDROPS } Backdrop;

typedef struct Scene {
  Backdrop backdrop;
  Material far, near; /* near: the ground below the horizon */
  Vec axis;
  float horizon;
  Vec light; /* unit vector towards the light, in the image plane */
  float ambient, shadow;
  Object objects[OBJECTS_MAX];
  int count;
} Scene;

/* ---- Random draws ---- */

typedef struct Dice {
  uint32_t split, next;
  uint64_t image;
} Dice;

static float roll(Dice *dice, float low, float high) {
  float u = random_uniform(DATA_SEED, STREAM_SHAPES, dice->split, dice->image, dice->next++);
  return low + (high - low) * u;
}

static int roll_below(Dice *dice, int n) {
  return (int)roll(dice, 0.0f, (float)n);
}

/* The unit vector at `turn` of a full circle, by the rational parametrisation of each quadrant:
 * angles are slightly unequal, which does not matter here, and need no trigonometry. */
static Vec direction(float turn) {
  float quarter = (turn - floorf(turn)) * 4.0f, f = quarter - floorf(quarter);
  float x = (1.0f - f * f) / (1.0f + f * f), y = 2.0f * f / (1.0f + f * f);
  switch ((int)quarter) {
  case 0:
    return (Vec){x, y};
  case 1:
    return (Vec){-y, x};
  case 2:
    return (Vec){-x, -y};
  default:
    return (Vec){y, -x};
  }
}

/* ---- Small mathematics ---- */

static float clamp01(float x) {
  return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
}

static float smooth(float x) {
  return x * x * (3.0f - 2.0f * x);
}

static float dot(Vec a, Vec b) {
  return a.x * b.x + a.y * b.y;
}

/* p in the frame whose x axis is `axis`. */
static Vec to_local(Vec p, Vec axis) {
  return (Vec){p.x * axis.x + p.y * axis.y, p.y * axis.x - p.x * axis.y};
}

static Colour mix(Colour a, Colour b, float t) {
  return (Colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

static Colour scale(Colour c, float s) {
  return (Colour){c.r * s, c.g * s, c.b * s};
}

/* Hue, saturation and value in [0,1]. */
static Colour from_hsv(float h, float s, float v) {
  float channel[3];
  for (int i = 0; i < 3; i++) {
    float t = h + (float)(3 - i) / 3.0f;
    float wave = fabsf((t - floorf(t)) * 6.0f - 3.0f) - 1.0f;
    channel[i] = v * (1.0f - s * (1.0f - clamp01(wave)));
  }
  return (Colour){channel[0], channel[1], channel[2]};
}

/* ---- Textures ---- */

static float lattice(uint32_t seed, int x, int y) {
  uint32_t h = seed ^ (uint32_t)x * 0x9E3779B1u ^ (uint32_t)y * 0x85EBCA77u;
  h = (h ^ h >> 15) * 0x2C1B3C6Du;
  h = (h ^ h >> 12) * 0x297A2D39u;
  return (float)((h ^ h >> 15) >> 8) * 0x1p-24f;
}

static float value_noise(uint32_t seed, Vec p) {
  float fx = floorf(p.x), fy = floorf(p.y);
  int x = (int)fx, y = (int)fy;
  float u = smooth(p.x - fx), v = smooth(p.y - fy);
  float top = lattice(seed, x, y) * (1.0f - u) + lattice(seed, x + 1, y) * u;
  float bottom = lattice(seed, x, y + 1) * (1.0f - u) + lattice(seed, x + 1, y + 1) * u;
  return top * (1.0f - v) + bottom * v;
}

/* Three octaves, stretched to use most of [0,1]. */
static float cloud_noise(uint32_t seed, Vec p) {
  float sum = 0.571f * value_noise(seed, p);
  sum += 0.286f * value_noise(seed + 1, (Vec){p.x * 2.0f, p.y * 2.0f});
  sum += 0.143f * value_noise(seed + 2, (Vec){p.x * 4.0f, p.y * 4.0f});
  return clamp01((sum - 0.5f) * 1.7f + 0.5f);
}

/* Share of b at phase t (in periods) of an alternation, smoothed over `blur` periods. */
static float alternate(float t, float share, float blur) {
  float from_middle = fabsf(t - floorf(t) - 0.5f); /* 0 in the middle of b's band */
  return clamp01(0.5f + (share * 0.5f - from_middle) / blur);
}

/* Colour of a material at a local point; `pixel` is the side of a pixel there. */
static Colour material_colour(const Material *m, Vec p, float pixel) {
  float blur = pixel * m->frequency, share = 0.0f;
  switch (m->pattern) {
  case FADE:
    share = clamp01(p.y * m->frequency * 0.35f + 0.5f);
    break;
  case STRIPES:
    share = alternate(p.x * m->frequency, m->share, blur);
    break;
  case CHECKER: {
    float x = alternate(p.x * m->frequency * 0.7f, 0.5f, blur * 0.7f);
    float y = alternate(p.y * m->frequency * 0.7f, 0.5f, blur * 0.7f);
    share = x + y - 2.0f * x * y;
    break;
  }
  case DOTS: {
    float x = p.x * m->frequency, y = p.y * m->frequency;
    x -= floorf(x) + 0.5f;
    y -= floorf(y) + 0.5f;
    share = clamp01(0.5f + (0.22f + 0.16f * m->share - sqrtf(x * x + y * y)) / blur);
    break;
  }
  case CLOUDS:
    share = cloud_noise(m->noise, (Vec){p.x * m->frequency * 0.6f, p.y * m->frequency * 0.6f});
    break;
  default:
    break;
  }
  return mix(m->a, m->b, share);
}

/* ---- Objects ---- */

/* Distance from an object's outline, negative inside; near the outline exact enough to smooth
 * it. */
static float object_distance(const Object *o, Vec local) {
  switch (o->form) {
  case BOX: {
    float x = fabsf(local.x) - o->half.x + o->corner, y = fabsf(local.y) - o->half.y + o->corner;
    float outside_x = x > 0.0f ? x : 0.0f, outside_y = y > 0.0f ? y : 0.0f;
    float inside = x > y ? x : y;
    return sqrtf(outside_x * outside_x + outside_y * outside_y) + (inside < 0.0f ? inside : 0.0f) -
           o->corner;
  }
  case POLYGON: {
    float most = dot(local, o->normal[0]) - o->distance[0];
    for (int i = 1; i < o->sides; i++) {
      float d = dot(local, o->normal[i]) - o->distance[i];
      if (d > most) most = d;
    }
    return most;
  }
  default: {
    /* An implicit curve's value over the length of its gradient. */
    float x = local.x / o->half.x, y = local.y / o->half.y, k = sqrtf(x * x + y * y);
    float gx = x / o->half.x, gy = y / o->half.y, slope = sqrtf(gx * gx + gy * gy);
    float d = slope > 0.0f ? k * (k - 1.0f) / slope : -o->half.x;
    return o->form == RING ? fabsf(d) - o->corner : d;
  }
  }
}

/* Colour of an object's surface in the light. Balls are lit as spheres; flat forms brighten
 * towards the light. */
static Colour object_colour(const Object *o, const Scene *scene, Vec local, float pixel) {
  Colour colour = material_colour(&o->material, local, pixel);
  Vec light = to_local(scene->light, o->axis);
  float x = local.x / o->half.x, y = local.y / o->half.y;
  if (o->form != BALL) {
    float slope = 0.5f * (x * light.x + y * light.y);
    return scale(colour, 0.88f + 0.22f * (slope < -1.0f ? -1.0f : slope > 1.0f ? 1.0f : slope));
  }
  float flat = x * x + y * y, z = flat < 1.0f ? sqrtf(1.0f - flat) : 0.0f;
  float lit = 0.7f * (x * light.x + y * light.y) + 0.714f * z; /* light from 45 degrees above */
  lit = lit > 0.0f ? lit : 0.0f;
  float shine = lit * lit;
  shine *= shine;
  shine *= shine;
  shine *= shine;
  shine *= 0.55f * shine; /* lit^32 */
  colour = scale(colour, scene->ambient + (1.05f - scene->ambient) * lit);
  return mix(colour, (Colour){1.0f, 1.0f, 1.0f}, shine);
}

/* ---- Drawing a scene's contents ---- */

static Material material_draw(Dice *dice, const Colour *palette) {
  Material m = {.pattern = (Pattern)roll_below(dice, PATTERNS)};
  int first = roll_below(dice, COLOURS), second = roll_below(dice, COLOURS - 1);
  m.a = palette[first];
  m.b = palette[(first + 1 + second) % COLOURS];
  m.frequency = roll(dice, 3.5f, 11.0f);
  m.share = roll(dice, 0.25f, 0.75f);
  m.noise = (uint32_t)roll_below(dice, 1 << 24);
  return m;
}

/* A convex polygon around the center, from corners in order on an ellipse. */
static void polygon_draw(Dice *dice, Object *o) {
  o->sides = 3 + roll_below(dice, SIDES_MAX - 2);
  Vec corner[SIDES_MAX];
  for (int i = 0; i < o->sides; i++) {
    Vec d = direction(((float)i + roll(dice, -0.28f, 0.28f)) / (float)o->sides);
    corner[i] = (Vec){d.x * o->half.x, d.y * o->half.y};
  }
  for (int i = 0; i < o->sides; i++) {
    Vec a = corner[i], b = corner[(i + 1) % o->sides];
    Vec normal = {b.y - a.y, a.x - b.x};
    float length = sqrtf(dot(normal, normal));
    if (length < 1e-6f) length = 1e-6f;
    o->normal[i] = (Vec){normal.x / length, normal.y / length};
    o->distance[i] = dot(o->normal[i], a);
  }
}

static Object object_draw(Dice *dice, const Scene *scene, const Colour *palette, float size) {
  Object o = {.form = (Form)roll_below(dice, FORMS)};
  o.center = (Vec){roll(dice, 0.02f, 0.98f), roll(dice, 0.02f, 0.98f)};
  if (scene->backdrop == HORIZON && o.center.y < scene->horizon - 0.05f)
    o.center.y = scene->horizon + 0.4f * (scene->horizon - o.center.y);
  o.axis = roll(dice, 0.0f, 1.0f) < 0.35f ? (Vec){1.0f, 0.0f} : direction(roll(dice, 0.0f, 1.0f));
  float aspect = o.form == BALL ? 1.0f : roll(dice, 0.4f, 1.0f);
  o.half = (Vec){size, size * aspect};
  o.corner = o.form == RING ? roll(dice, 0.12f, 0.3f) * o.half.y
                            : roll(dice, 0.0f, 1.0f) * roll(dice, 0.0f, 1.0f) * o.half.y;
  if (o.form == POLYGON) polygon_draw(dice, &o);
  o.material = material_draw(dice, palette);
  o.lift = roll(dice, 0.02f, 0.07f);
  return o;
}

/* Six colours around one, two or three hues, from dark to light. */
static void palette_draw(Dice *dice, Colour *palette) {
  float hue = roll(dice, 0.0f, 1.0f), spread = roll(dice, 0.03f, 0.14f);
  int hues = 1 + roll_below(dice, 3);
  float strength = roll(dice, 0.25f, 1.0f);
  for (int i = 0; i < COLOURS; i++) {
    float h = hue + (float)(i % hues) / (float)(hues == 3 ? 3 : 2) + roll(dice, -spread, spread);
    float value = 0.22f + 0.78f * ((float)i + roll(dice, 0.0f, 1.0f)) / COLOURS;
    palette[i] = from_hsv(h - floorf(h), strength * roll(dice, 0.25f, 0.95f), value);
  }
}

static void scene_draw(Scene *scene, uint32_t split, uint64_t image) {
  Dice dice = {.split = split, .image = image};
  Colour palette[COLOURS];
  palette_draw(&dice, palette);
  *scene = (Scene){.backdrop = (Backdrop)roll_below(&dice, BACKDROPS)};
  scene->far = material_draw(&dice, palette);
  scene->near = material_draw(&dice, palette);
  /* Backdrops are calmer than objects: their two colours lie closer together. */
  scene->far.b = mix(scene->far.a, scene->far.b, roll(&dice, 0.3f, 0.8f));
  scene->near.b = mix(scene->near.a, scene->near.b, roll(&dice, 0.25f, 0.6f));
  scene->axis = direction(roll(&dice, 0.0f, 1.0f));
  scene->horizon = roll(&dice, 0.25f, 0.65f);
  scene->light = direction(roll(&dice, 0.5f, 1.0f)); /* from above: y grows downwards */
  scene->ambient = roll(&dice, 0.2f, 0.5f);
  scene->shadow = roll(&dice, 0.3f, 0.65f);
  switch (scene->backdrop) {
  case FADED:
    scene->far.pattern = FADE;
    scene->far.frequency = roll(&dice, 1.5f, 4.0f);
    break;
  case CLOUDED:
    scene->far.pattern = CLOUDS;
    break;
  case HORIZON:
    scene->far.pattern = roll(&dice, 0.0f, 1.0f) < 0.5f ? FADE : CLOUDS;
    scene->far.frequency = roll(&dice, 1.5f, 5.0f);
    break;
  default:
    scene->far.pattern = (Pattern)(STRIPES + roll_below(&dice, 3));
    break;
  }
  int wanted = 2 + roll_below(&dice, 6);
  for (int i = 0; i < wanted; i++) {
    float size = roll(&dice, 0.08f, 0.3f - 0.02f * (float)i);
    Object o = object_draw(&dice, scene, palette, size);
    /* One in four stands in a row of its like. */
    int copies = roll(&dice, 0.0f, 1.0f) < 0.25f ? 3 : 1;
    Vec along = direction(roll(&dice, 0.0f, 1.0f));
    float step = roll(&dice, 1.6f, 2.6f) * size;
    for (int c = 0; c < copies && scene->count < OBJECTS_MAX; c++) {
      scene->objects[scene->count++] = o;
      o.center = (Vec){o.center.x + along.x * step, o.center.y + along.y * step};
    }
  }
}

/* ---- Rendering ---- */

static Colour backdrop_colour(const Scene *scene, Vec p, float pixel) {
  Vec centered = {p.x - 0.5f, p.y - 0.5f};
  if (scene->backdrop != HORIZON)
    return material_colour(&scene->far, to_local(centered, scene->axis), pixel);
  float below = p.y - scene->horizon;
  float depth = 0.3f / ((below > 0.0f ? below : 0.0f) + 0.06f); /* a floor in perspective */
  Vec floor_point = {centered.x * depth, depth};
  Colour ground = material_colour(&scene->near, floor_point, pixel * depth * (1.0f + depth));
  ground = scale(ground, 0.75f + 0.35f * clamp01(below * 2.0f));
  Colour sky = material_colour(&scene->far, centered, pixel);
  return mix(sky, ground, clamp01(0.5f + below / pixel));
}

/* Blends one object, after its shadow, into the pixels it can reach. */
static void object_render(Colour *image, int size, const Object *o, const Scene *scene) {
  float pixel = 1.0f / (float)size;
  float reach = o->half.x + o->half.y + o->lift * 2.5f;
  Vec drop = {-scene->light.x * o->lift, -scene->light.y * o->lift};
  int left = (int)floorf((o->center.x - reach) * (float)size);
  int right = (int)floorf((o->center.x + reach) * (float)size) + 1;
  int top = (int)floorf((o->center.y - reach) * (float)size);
  int bottom = (int)floorf((o->center.y + reach) * (float)size) + 1;
  left = left < 0 ? 0 : left;
  top = top < 0 ? 0 : top;
  right = right > size ? size : right;
  bottom = bottom > size ? size : bottom;
  for (int y = top; y < bottom; y++)
    for (int x = left; x < right; x++) {
      Vec p = {((float)x + 0.5f) * pixel - o->center.x, ((float)y + 0.5f) * pixel - o->center.y};
      Colour *at = image + (size_t)y * (size_t)size + (size_t)x;
      Vec behind = {p.x - drop.x, p.y - drop.y};
      float dark = clamp01(0.5f - object_distance(o, to_local(behind, o->axis)) / o->lift);
      Vec local = to_local(p, o->axis);
      float cover = clamp01(0.5f - object_distance(o, local) / pixel);
      if (dark > 0.0f) *at = scale(*at, 1.0f - scene->shadow * smooth(dark));
      if (cover > 0.0f) *at = mix(*at, object_colour(o, scene, local, pixel), cover);
    }
}

static uint8_t to_byte(float x) {
  return (uint8_t)(255.0f * clamp01(x) + 0.5f);
}

/* rgb[size, size, 3]; work[size, size]. */
static void scene_render(uint8_t *rgb, Colour *work, int size, const Scene *scene) {
  float pixel = 1.0f / (float)size;
  for (int y = 0; y < size; y++)
    for (int x = 0; x < size; x++) {
      Vec p = {((float)x + 0.5f) * pixel, ((float)y + 0.5f) * pixel};
      /* The backdrop darkens away from the light. */
      Vec from_middle = {p.x - 0.5f, p.y - 0.5f};
      float lit = 0.92f + 0.28f * dot(from_middle, scene->light);
      work[(size_t)y * (size_t)size + (size_t)x] = scale(backdrop_colour(scene, p, pixel), lit);
    }
  for (int i = 0; i < scene->count; i++) object_render(work, size, scene->objects + i, scene);
  size_t pixels = (size_t)size * (size_t)size;
  for (size_t i = 0; i < pixels; i++) {
    rgb[3 * i] = to_byte(work[i].r);
    rgb[3 * i + 1] = to_byte(work[i].g);
    rgb[3 * i + 2] = to_byte(work[i].b);
  }
}

/* ---- The source ---- */

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
  *label = scene.backdrop;
  return true;
}

static void shapes_close(Source *source) {
  free(source->state);
}

bool source_shapes_open(Source *source, const Config *config, Error *e) {
  *source = (Source){.name = "shapes",
                     .count = {config_train_images(config), EVAL_IMAGES},
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
