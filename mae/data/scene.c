/* scene.c - random draws, forms and materials, the composition of a scene, its pixels. */
#include "mae/data/scene.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/scalar.h"
#include "mae/data/source.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

enum { COLOURS = 6 };
static const float PI = 3.14159265f;
/* CRESCENT: an ellipse less a smaller one, shifted along its axis; shares of its half extents. The
 * area is of half extents 1: pi less the lens that two circles of radius 1 and 0.8 share whose
 * centres are 0.5 apart. */
static const float BITE_SIZE = 0.8f, BITE_PLACE = 0.5f, CRESCENT_AREA = 1.5295f;

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

/* An implicit curve's value over the length of its gradient. */
static float ellipse_distance(Vec p, Vec half) {
  float x = p.x / half.x, y = p.y / half.y, k = sqrtf(x * x + y * y);
  float gx = x / half.x, gy = y / half.y, slope = sqrtf(gx * gx + gy * gy);
  return slope > 0.0f ? k * (k - 1.0f) / slope : -half.x;
}

static float box_distance(Vec p, Vec half, float corner) {
  float x = fabsf(p.x) - half.x + corner, y = fabsf(p.y) - half.y + corner;
  float outside_x = x > 0.0f ? x : 0.0f, outside_y = y > 0.0f ? y : 0.0f;
  float inside = x > y ? x : y;
  return sqrtf(outside_x * outside_x + outside_y * outside_y) + (inside < 0.0f ? inside : 0.0f) -
         corner;
}

/* The nearest of the sides; inside is where a ray to the right crosses an odd number of them. */
static float polygon_distance(const Object *o, Vec p) {
  float nearest = 16.0f;
  bool inside = false;
  for (int i = 0; i < o->corners; i++) {
    Vec a = o->corner[i], b = o->corner[(i + 1) % o->corners];
    Vec side = {b.x - a.x, b.y - a.y}, from_a = {p.x - a.x, p.y - a.y};
    float t = clamp01(dot(from_a, side) / dot(side, side));
    Vec away = {from_a.x - side.x * t, from_a.y - side.y * t};
    float d = dot(away, away);
    if (d < nearest) nearest = d;
    if ((a.y <= p.y) != (b.y <= p.y) && from_a.x < from_a.y / side.y * side.x) inside = !inside;
  }
  return inside ? -sqrtf(nearest) : sqrtf(nearest);
}

static float larger(float a, float b) {
  return a > b ? a : b;
}

static float local_distance(const Object *o, Vec p) {
  Vec half = o->half;
  switch (o->form) {
  case BOX:
    return box_distance(p, half, o->detail);
  case RING:
    return fabsf(ellipse_distance(p, half)) - o->detail;
  case FRAME: {
    Vec hole = {half.x - o->detail, half.y - o->detail};
    return larger(box_distance(p, half, 0.0f), -box_distance(p, hole, 0.0f));
  }
  case CROSS: {
    Vec across = {half.x, half.y * o->detail}, along = {half.x * o->detail, half.y};
    float a = box_distance(p, across, 0.0f), b = box_distance(p, along, 0.0f);
    return a < b ? a : b;
  }
  case CRESCENT: {
    Vec bite = {p.x - BITE_PLACE * half.x, p.y};
    Vec bite_half = {BITE_SIZE * half.x, BITE_SIZE * half.y};
    return larger(ellipse_distance(p, half), -ellipse_distance(bite, bite_half));
  }
  case TRIANGLE:
  case PENTAGON:
  case STAR:
    return polygon_distance(o, p);
  default:
    return ellipse_distance(p, half);
  }
}

float object_distance(const Object *o, Vec point) {
  return local_distance(o, to_local((Vec){point.x - o->center.x, point.y - o->center.y}, o->axis));
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

/* The corners on an ellipse, those of a star in turn on it and on a smaller one. */
static void corners_draw(Dice *dice, Object *o) {
  o->corners = o->form == TRIANGLE ? 3 : o->form == PENTAGON ? 5 : 10;
  float inner = o->form == STAR ? roll(dice, 0.42f, 0.5f) : 1.0f;
  for (int i = 0; i < o->corners; i++) {
    Vec d = direction(((float)i + roll(dice, -0.12f, 0.12f)) / (float)o->corners);
    float radius = i % 2 && o->form == STAR ? inner : 1.0f;
    o->corner[i] = (Vec){d.x * radius * o->half.x, d.y * radius * o->half.y};
  }
}

static float polygon_area(const Object *o) {
  float twice = 0.0f;
  for (int i = 0; i < o->corners; i++) {
    Vec a = o->corner[i], b = o->corner[(i + 1) % o->corners];
    twice += a.x * b.y - a.y * b.x;
  }
  return 0.5f * twice;
}

/* Draws what a form leaves open, for half extents as they are. Returns the area. */
static float outline_draw(Dice *dice, Object *o) {
  float x = o->half.x, y = o->half.y;
  switch (o->form) {
  case BOX:
    o->detail = roll(dice, 0.0f, 0.3f) * y;
    return 4.0f * x * y - (4.0f - PI) * o->detail * o->detail;
  case RING:
    o->detail = roll(dice, 0.26f, 0.38f) * y;
    return 2.0f * PI * o->detail * (x + y);
  case FRAME:
    o->detail = roll(dice, 0.36f, 0.46f) * y;
    return 4.0f * (x * y - (x - o->detail) * (y - o->detail));
  case CROSS:
    o->detail = roll(dice, 0.3f, 0.4f);
    return 4.0f * x * y * (2.0f - o->detail) * o->detail;
  case CRESCENT:
    return CRESCENT_AREA * x * y;
  case TRIANGLE:
  case PENTAGON:
  case STAR:
    corners_draw(dice, o);
    return polygon_area(o);
  default:
    return PI * x * y;
  }
}

static float outline_reach(const Object *o) {
  float diagonal = sqrtf(dot(o->half, o->half)), farthest = 0.0f;
  switch (o->form) {
  case BOX:
  case FRAME:
  case CROSS:
    return diagonal;
  case RING:
    return o->half.x + o->detail;
  case TRIANGLE:
  case PENTAGON:
  case STAR:
    for (int i = 0; i < o->corners; i++)
      farthest = larger(farthest, sqrtf(dot(o->corner[i], o->corner[i])));
    return farthest;
  default:
    return o->half.x;
  }
}

/* Fills in the outline of an object of o->form, with the area of a square of half side `size`. */
static void form_draw(Dice *dice, Object *o, float size) {
  float aspect = roll(dice, 0.65f, 1.0f);
  o->half = (Vec){1.0f, o->form == BALL ? 1.0f : aspect};
  float k = 2.0f * size / sqrtf(outline_draw(dice, o));
  o->half = (Vec){k * o->half.x, k * o->half.y};
  if (o->form != CROSS) o->detail *= k;
  for (int i = 0; i < o->corners; i++) o->corner[i] = (Vec){k * o->corner[i].x, k * o->corner[i].y};
  o->reach = outline_reach(o);
}

static Object object_draw(Dice *dice, Form form, const Scene *scene, const Colour *palette,
                          float size) {
  Object o = {.form = form};
  o.center = (Vec){roll(dice, 0.02f, 0.98f), roll(dice, 0.02f, 0.98f)};
  if (scene->backdrop == HORIZON && o.center.y < scene->horizon - 0.05f)
    o.center.y = scene->horizon + 0.4f * (scene->horizon - o.center.y);
  o.axis = roll(dice, 0.0f, 1.0f) < 0.35f ? (Vec){1.0f, 0.0f} : direction(roll(dice, 0.0f, 1.0f));
  form_draw(dice, &o, size);
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

/* Calmer than objects: the two colours lie closer together. */
static void backdrop_draw(Dice *dice, Scene *scene, const Colour *palette) {
  scene->far = material_draw(dice, palette);
  scene->near = material_draw(dice, palette);
  scene->far.b = mix(scene->far.a, scene->far.b, roll(dice, 0.3f, 0.8f));
  scene->near.b = mix(scene->near.a, scene->near.b, roll(dice, 0.25f, 0.6f));
  scene->axis = direction(roll(dice, 0.0f, 1.0f));
  scene->horizon = roll(dice, 0.25f, 0.65f);
  switch (scene->backdrop) {
  case FADED:
    scene->far.pattern = FADE;
    scene->far.frequency = roll(dice, 1.5f, 4.0f);
    break;
  case CLOUDED:
    scene->far.pattern = CLOUDS;
    break;
  case HORIZON:
    scene->far.pattern = roll(dice, 0.0f, 1.0f) < 0.5f ? FADE : CLOUDS;
    scene->far.frequency = roll(dice, 1.5f, 5.0f);
    break;
  default:
    scene->far.pattern = (Pattern)(STRIPES + roll_below(dice, 3));
    break;
  }
}

static float material_contrast(const Material *m, const Material *behind) {
  Colour a = m->pattern == PLAIN ? m->a : mix(m->a, m->b, 0.5f);
  Colour b = behind->pattern == PLAIN ? behind->a : mix(behind->a, behind->b, 0.5f);
  return fabsf(a.r - b.r) + fabsf(a.g - b.g) + fabsf(a.b - b.b);
}

/* Whole but for its tips, and of a material that stands out. */
static Object largest_draw(Dice *dice, Form form, const Scene *scene, const Colour *palette,
                           float size) {
  Object o = object_draw(dice, form, scene, palette, size);
  float play = 0.5f - 1.6f * size;
  o.center = (Vec){0.5f + roll(dice, -play, play), 0.5f + roll(dice, -play, play)};
  if (scene->backdrop == HORIZON && o.center.y < scene->horizon - 0.05f)
    o.center.y = scene->horizon - 0.05f;
  for (int tries = 0; tries < 16; tries++) {
    float contrast = material_contrast(&o.material, &scene->far);
    if (scene->backdrop == HORIZON) {
      float ground = material_contrast(&o.material, &scene->near);
      if (ground < contrast) contrast = ground;
    }
    if (contrast > 0.6f) break;
    o.material = material_draw(dice, palette);
  }
  return o;
}

/* The smaller objects, some in rows of three of a kind. Returns how many. */
static int smaller_draw(Dice *dice, Object *objects, const Scene *scene, const Colour *palette,
                        float largest) {
  int wanted = 3 + roll_below(dice, 6), count = 0;
  for (int i = 0; i < wanted; i++) {
    Form form = (Form)roll_below(dice, FORMS);
    Object o = object_draw(dice, form, scene, palette, roll(dice, 0.25f, 0.65f) * largest);
    int copies = roll(dice, 0.0f, 1.0f) < 0.25f ? 3 : 1;
    Vec along = direction(roll(dice, 0.0f, 1.0f));
    float step = roll(dice, 1.4f, 2.4f) * o.reach;
    for (int c = 0; c < copies && count < OBJECTS_MAX - 1; c++) {
      objects[count++] = o;
      o.center = (Vec){o.center.x + along.x * step, o.center.y + along.y * step};
    }
  }
  return count;
}

/* Whether an object leaves most of the largest one to be seen when it stands in front. */
static bool stands_clear(const Object *o, const Object *largest) {
  Vec between = {o->center.x - largest->center.x, o->center.y - largest->center.y};
  return sqrtf(dot(between, between)) > 0.8f * largest->reach + 0.6f * o->reach;
}

void scene_draw(Scene *scene, uint32_t split, uint64_t image) {
  Dice dice = {.split = split, .image = image};
  Form form = (Form)roll_below(&dice, FORMS);
  Colour palette[COLOURS];
  palette_draw(&dice, palette);
  *scene = (Scene){.backdrop = (Backdrop)roll_below(&dice, BACKDROPS)};
  backdrop_draw(&dice, scene, palette);
  scene->light = direction(roll(&dice, 0.5f, 1.0f)); /* from above: y grows downwards */
  scene->ambient = roll(&dice, 0.2f, 0.5f);
  scene->shadow = roll(&dice, 0.3f, 0.65f);

  float size = roll(&dice, 0.14f, 0.2f);
  Object largest = largest_draw(&dice, form, scene, palette, size);
  Object smaller[OBJECTS_MAX - 1];
  int count = smaller_draw(&dice, smaller, scene, palette, size);
  for (int i = 0; i < count; i++)
    if (!stands_clear(smaller + i, &largest)) scene->objects[scene->count++] = smaller[i];
  scene->largest = scene->count;
  scene->objects[scene->count++] = largest;
  for (int i = 0; i < count; i++)
    if (stands_clear(smaller + i, &largest)) scene->objects[scene->count++] = smaller[i];
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
  float reach = o->reach + o->lift * 1.5f + pixel; /* the shadow's soft edge included */
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
      float dark = clamp01(0.5f - local_distance(o, to_local(behind, o->axis)) / o->lift);
      Vec local = to_local(p, o->axis);
      float cover = clamp01(0.5f - local_distance(o, local) / pixel);
      if (dark > 0.0f) *at = scale(*at, 1.0f - scene->shadow * smooth(dark));
      if (cover > 0.0f) *at = mix(*at, object_colour(o, scene, local, pixel), cover);
    }
}

static uint8_t to_byte(float x) {
  return (uint8_t)(255.0f * clamp01(x) + 0.5f);
}

void scene_render(uint8_t *rgb, Colour *work, int size, const Scene *scene) {
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
