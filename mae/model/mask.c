/* Mask strategies: one function per row of MASK_KINDS in mae/config/choices.h, named there. Each
 * fills masked[side * side] with 0 for the `keep` patches that stay visible and 1 for the others,
 * and takes every random choice from `draws`: a mask then depends on the seed, the stream, the
 * epoch and the sample alone. */
#include "mae/model/mask.h"

#include <string.h>

#include "kernels/scalar.h"

/* The random numbers of one sample, taken one after another. */
typedef struct Draws {
  uint64_t seed, sample;
  uint32_t stream, epoch, element;
} Draws;

/* Uniform over 0 .. n-1, by multiplying; the bias is below n / 2^32. */
static int draw_below(Draws *draws, int n) {
  uint32_t bits =
      random_bits(draws->seed, draws->stream, draws->epoch, draws->sample, draws->element++);
  return (int)((uint64_t)bits * (uint64_t)n >> 32);
}

static double draw_uniform(Draws *draws) {
  return random_uniform(draws->seed, draws->stream, draws->epoch, draws->sample, draws->element++);
}

/* Each set of `keep` patches is equally likely. Floyd's sampling without replacement (Bentley and
 * Floyd, CACM 30(9), 1987): a uniform subset from `keep` draws and no scratch memory. */
static void draw_random(uint8_t *masked, int side, int keep, Draws *draws) {
  int patches = side * side;
  memset(masked, 1, (size_t)patches);
  for (int last = patches - keep; last < patches; last++) {
    int candidate = draw_below(draws, last + 1);
    masked[masked[candidate] ? candidate : last] = 0;
  }
}

static int clamp(int value, int low, int high) {
  return value < low ? low : value > high ? high : value;
}

/* Hides rectangles of random shape and place until L - keep patches are hidden; the last rectangle
 * is cut short at that number. Rectangles lie inside the image, so its middle is hidden more often
 * than its corners. As BEiT draws them (Bao et al. 2021, algorithm 1): areas from 16 patches of 196
 * up to what is still to be hidden, aspect ratios log-uniform in 0.3 .. 1/0.3. */
static void draw_block(uint8_t *masked, int side, int keep, Draws *draws) {
  enum { RECTANGLES_MAX = 256 };
  const double log_aspect = log(1 / 0.3);
  int patches = side * side, left = patches - keep;
  int smallest = clamp(patches * 16 / 196, 1, patches);
  memset(masked, 0, (size_t)patches);
  for (int i = 0; i < RECTANGLES_MAX && left > 0; i++) {
    int spread = left > smallest ? left - smallest : 0;
    double area = smallest + spread * draw_uniform(draws);
    double aspect = exp(log_aspect * (2 * draw_uniform(draws) - 1));
    int height = clamp((int)lround(sqrt(area * aspect)), 1, side);
    int width = clamp((int)lround(sqrt(area / aspect)), 1, side);
    int top = draw_below(draws, side - height + 1);
    int start = draw_below(draws, side - width + 1);
    for (int y = top; y < top + height; y++)
      for (int x = start; x < start + width && left > 0; x++) {
        left -= !masked[y * side + x];
        masked[y * side + x] = 1;
      }
  }
  /* At extreme ratios rectangles may keep missing the last gaps: hide the rest one by one, each
   * visible patch equally likely. */
  int visible = keep + left;
  for (int i = 0; i < patches && left > 0; i++) {
    if (masked[i]) continue;
    if (draw_below(draws, visible--) < left) {
      masked[i] = 1;
      left--;
    }
  }
}

/* The visible patches are the first `keep` of an ordered-dither (Bayer) pattern at a random phase:
 * one of every 2x2 at ratio .75, a chequerboard at .5, evenly spread between. Walks the cells of a
 * 2^levels square in the order of Bayer's dither matrix: each base-4 digit of the rank, from the
 * most significant, sets one bit of x and y, from the least significant. */
static void draw_grid(uint8_t *masked, int side, int keep, Draws *draws) {
  int levels = 0;
  while (1 << levels < side) levels++;
  int square = 1 << levels;
  int phase_y = draw_below(draws, square), phase_x = draw_below(draws, square);
  memset(masked, 1, (size_t)(side * side));
  for (uint32_t rank = 0; keep > 0; rank++) {
    int x = 0, y = 0;
    for (int level = 0; level < levels; level++) {
      int digit = rank >> 2 * (levels - 1 - level) & 3;
      int low = digit & 1, high = digit >> 1;
      y |= low << level;
      x |= (high ^ low) << level;
    }
    y = (y + phase_y) % square;
    x = (x + phase_x) % square;
    if (y >= side || x >= side) continue;
    masked[y * side + x] = 0;
    keep--;
  }
}

void mask_draw(int32_t *visible, uint8_t *masked, int side, int keep, MaskKind kind, uint64_t seed,
               uint32_t stream, uint32_t epoch, uint64_t sample) {
#define DRAW(id, name, help, draw) [id] = draw,
  static void (*const strategies[])(uint8_t *, int, int, Draws *) = {MASK_KINDS(DRAW)};
  Draws draws = {.seed = seed, .sample = sample, .stream = stream, .epoch = epoch};
  strategies[kind](masked, side, keep, &draws);
  for (int32_t i = 0; i < side * side; i++)
    if (!masked[i]) *visible++ = i;
}
