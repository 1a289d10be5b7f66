/* The embedded data set: its classes are balanced, are what they say, can be seen and cannot be
 * read off the pixels' colours; its bytes are the same on every machine. */
#include <math.h>
#include <string.h>

#include "mae/base/sha256.h"
#include "mae/data/scene.h"
#include "tests/suite.h"

enum { SIZE = 64, SCENES = 1000 };

static Scene scene;
static Colour work[SIZE * SIZE];

static Form draw(uint32_t split, int image) {
  scene_draw(&scene, split, (uint64_t)image);
  return scene.objects[scene.largest].form;
}

static Vec pixel_centre(int i) {
  return (Vec){((float)(i % SIZE) + 0.5f) / SIZE, ((float)(i / SIZE) + 0.5f) / SIZE};
}

START_TEST(forms_are_equally_likely) {
  enum { DRAWS = 20000, EXPECTED = DRAWS / FORMS };
  int count[FORMS] = {0};
  double chi2 = 0;
  for (int i = 0; i < DRAWS; i++) count[draw(0, i)]++;
  for (int f = 0; f < FORMS; f++) chi2 += pow(count[f] - EXPECTED, 2) / EXPECTED;
  ck_assert_double_lt(chi2, 27.9); /* 9 degrees of freedom: one in a thousand is larger */
}
END_TEST

/* What is seen of an object is where it is the frontmost. */
START_TEST(the_largest_object_is_seen_to_be) {
  double whole = 0;
  for (int i = 0; i < SCENES; i++) {
    int seen[OBJECTS_MAX] = {0}, in_image = 0;
    draw(0, i);
    ck_assert_int_le(scene.count, OBJECTS_MAX);
    for (int k = 0; k < SIZE * SIZE; k++) {
      Vec p = pixel_centre(k);
      in_image += object_distance(scene.objects + scene.largest, p) < 0;
      for (int o = scene.count - 1; o >= 0; o--)
        if (object_distance(scene.objects + o, p) < 0) {
          seen[o]++;
          break;
        }
    }
    int largest = seen[scene.largest];
    for (int o = 0; o < scene.count; o++)
      ck_assert_msg(o == scene.largest || seen[o] < 0.6 * largest,
                    "scene %d: object %d shows %d pixels, the largest %d", i, o, seen[o], largest);
    ck_assert_msg(largest > 0.6 * in_image, "scene %d: %d of %d pixels are seen", i, largest,
                  in_image);
    whole += (double)largest / in_image;
  }
  ck_assert_double_gt(whole / SCENES, 0.95);
}
END_TEST

/* Any form covers the same share of the image, which no border cuts much. */
START_TEST(area_and_place_do_not_depend_on_the_form) {
  double area[FORMS] = {0}, x[FORMS] = {0}, y[FORMS] = {0};
  int count[FORMS] = {0};
  for (int i = 0; i < 4 * SCENES; i++) {
    Form form = draw(0, i);
    count[form]++;
    for (int k = 0; k < SIZE * SIZE; k++)
      area[form] += object_distance(scene.objects + scene.largest, pixel_centre(k)) < 0;
    x[form] += scene.objects[scene.largest].center.x;
    y[form] += scene.objects[scene.largest].center.y;
  }
  /* The mean of 4 size^2 over sizes from 0.14 to 0.2, in pixels. */
  double expected = 4 * (0.2 * 0.2 * 0.2 - 0.14 * 0.14 * 0.14) / (3 * 0.06) * SIZE * SIZE;
  for (int f = 0; f < FORMS; f++) {
    ck_assert_double_eq_tol(area[f] / count[f] / expected, 1, 0.08);
    ck_assert_double_eq_tol(x[f] / count[f], 0.5, 0.03);
    ck_assert_double_eq_tol(y[f] / count[f], 0.51, 0.03); /* lower before a horizon */
  }
}
END_TEST

/* The share of the circle around its outline that an object fills. */
static double compactness(const Object *o) {
  int inside = 0, around = 0;
  for (int k = 0; k < SIZE * SIZE; k++) {
    Vec p = {(pixel_centre(k).x * 2 - 1) * o->reach + o->center.x,
             (pixel_centre(k).y * 2 - 1) * o->reach + o->center.y};
    float x = p.x - o->center.x, y = p.y - o->center.y;
    around += x * x + y * y < o->reach * o->reach;
    inside += object_distance(o, p) < 0;
  }
  return (double)inside / around;
}

START_TEST(forms_differ_in_their_outline) {
  for (int i = 0; i < SCENES; i++) {
    Form form = draw(0, i);
    const Object *o = scene.objects + scene.largest;
    double share = compactness(o);
    bool hole = object_distance(o, o->center) > 0;
    ck_assert_msg(share > 0 && share < 1.02, "scene %d, form %d: %g", i, (int)form, share);
    if (form == BALL) ck_assert_double_gt(share, 0.98);
    if (form == ELLIPSE) ck_assert(share > 0.62);
    if (form == STAR) ck_assert_double_lt(share, 0.55);
    if (form == TRIANGLE) ck_assert_double_lt(share, 0.55);
    ck_assert_msg(hole == (form == RING || form == FRAME || form == CRESCENT),
                  "scene %d, form %d: the center is %s", i, (int)form, hole ? "free" : "filled");
  }
}
END_TEST

/* The nearest neighbour among images of 16x16 pixels, by the cosine of what is left without the
 * mean, knows hardly more than chance: the class is no matter of colours and places. */
START_TEST(pixels_do_not_give_the_form_away) {
  enum { SMALL = 16, VALUES = SMALL * SMALL * 3, TRAIN = 3000, HELD_OUT = 1000 };
  static float images[TRAIN][VALUES];
  static Form forms[TRAIN];
  static uint8_t rgb[VALUES];
  float image[VALUES];
  int right = 0;
  for (int i = 0; i < TRAIN + HELD_OUT; i++) {
    bool train = i < TRAIN;
    Form form = draw(train ? 0 : 1, i);
    scene_render(rgb, work, SMALL, &scene);
    float mean = 0, norm = 0;
    for (int k = 0; k < VALUES; k++) mean += rgb[k] / (float)VALUES;
    for (int k = 0; k < VALUES; k++) norm += (rgb[k] - mean) * (rgb[k] - mean);
    for (int k = 0; k < VALUES; k++) image[k] = (rgb[k] - mean) / sqrtf(norm);
    if (train) {
      memcpy(images[i], image, sizeof image);
      forms[i] = form;
      continue;
    }
    float best = -2;
    int nearest = 0;
    for (int t = 0; t < TRAIN; t++) {
      float cosine = 0;
      for (int k = 0; k < VALUES; k++) cosine += image[k] * images[t][k];
      if (cosine > best) best = cosine, nearest = t;
    }
    right += forms[nearest] == form;
  }
  /* 100 are chance; where the form decides on the backdrop, twice as many are right. */
  ck_assert_int_lt(right, 160);
}
END_TEST

/* Whoever changes a scene gives shapes.c's `generator` a new number, and this a new hash. */
START_TEST(scenes_are_the_same_bytes_everywhere) {
  enum { IMAGES = 64 };
  static uint8_t rgb[IMAGES][SIZE * SIZE * 3];
  char hash[65];
  for (int i = 0; i < IMAGES; i++) {
    draw(0, i);
    scene_render(rgb[i], work, SIZE, &scene);
  }
  sha256_bytes(hash, rgb, sizeof rgb);
  ck_assert_str_eq(hash, "5de705e65db52695bc40d96941368fec53d4b030d857e6c41ea4a7d1a62e9171");
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("scene");
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, forms_are_equally_likely);
  tcase_add_test(tc, the_largest_object_is_seen_to_be);
  tcase_add_test(tc, area_and_place_do_not_depend_on_the_form);
  tcase_add_test(tc, forms_differ_in_their_outline);
  tcase_add_test(tc, pixels_do_not_give_the_form_away);
  tcase_add_test(tc, scenes_are_the_same_bytes_everywhere);
  Suite *suite = suite_create("scene");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
