/* scene.h - procedural scenes of shaded, textured, overlapping objects with soft shadows, before a
 * sky, a wall or a floor. Internal to the data module and its tests.
 *
 * A scene is drawn from Philox counters of (DATA_SEED, split, image), so it is the same on every
 * machine: the arithmetic is only + - * / sqrt, floor and comparisons, which IEEE 754 rounds alike
 * everywhere (no sin, cos, exp or pow), and nothing is fused. Lengths are shares of the image's
 * side, so a scene looks the same at any size. Edges are smoothed by their distance to the pixel
 * centre.
 *
 * The form of the largest object is the scene's class. It is drawn first, every form as likely as
 * any other, and nothing else depends on it: colours, texture, place, orientation, area and
 * backdrop have the same distribution in every class. Objects of one size have the same area
 * whatever their form. What is left to tell classes apart is the outline, and for a ball the
 * shading that makes it one. */
#ifndef MAE_DATA_SCENE_H
#define MAE_DATA_SCENE_H

#include <stdint.h>

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

/* The classes, in the order of their labels. */
typedef enum Form {
  ELLIPSE,
  BALL,
  BOX,
  RING,
  FRAME,
  CROSS,
  CRESCENT,
  TRIANGLE,
  PENTAGON,
  STAR,
  FORMS
} Form;

enum { OBJECTS_MAX = 28, CORNERS_MAX = 10 };

typedef struct Object {
  Form form;
  Vec center, axis; /* axis: unit vector of the local x */
  Vec half;         /* half extents */
  float detail;     /* BOX: radius of the corners; RING: half its breadth; FRAME: its breadth; */
                    /* CROSS: breadth of the arms, a share of its extents */
  int corners;      /* TRIANGLE, PENTAGON, STAR: how many, and where, around the center */
  Vec corner[CORNERS_MAX];
  float reach; /* of the outline, from the center */
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
  Object objects[OBJECTS_MAX]; /* from back to front */
  int count, largest;          /* largest: its place among them */
} Scene;

void scene_draw(Scene *, uint32_t split, uint64_t image);
/* rgb[size, size, 3]; work[size, size]. */
void scene_render(uint8_t *rgb, Colour *work, int size, const Scene *);
/* Distance of an image point from an object's outline, negative inside; near the outline exact
 * enough to smooth it. */
float object_distance(const Object *, Vec point);

#endif
