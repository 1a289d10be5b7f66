/* Tokens put together from rows, and their gradients taken apart again; rows chosen and put back.
 */
#include <math.h>
#include <stdlib.h>

#include "tests/kernels/cases.h"

/* The maps of the model's stacks. ENCODER: class token, then the kept patches in any order, each at
 * its place; DECODER: every place, sources are the encoder's tokens, mask tokens in the gaps;
 * FILLED: every place, sources are the kept patches, mask tokens in the gaps; HALF: as ENCODER, but
 * of every second source row only. */
enum { ENCODER, DECODER, FILLED, HALF };

/* One row; widths that are no multiple of four, and more than a block's columns; batches and rows
 * that fill no block; more tokens than a chunk of rows. */
static const int sizes[][CASE_SIZES] = {
    {1, 1, 2, 4, ENCODER},    {3, 12, 49, 96, ENCODER}, {2, 12, 49, 130, ENCODER},
    {2, 12, 49, 33, DECODER}, {1, 49, 196, 8, DECODER}, {1, 4, 16, 260, DECODER},
    {3, 16, 64, 12, FILLED},  {2, 7, 9, 7, FILLED},     {2, 20, 49, 64, HALF},
    {70, 1, 4, 12, DECODER},
};
static const int speed_sizes[][CASE_SIZES] = {{256, 49, 196, 768, ENCODER},
                                              {256, 49, 196, 384, DECODER}};

typedef struct Shape {
  int batch, kept, patches, width, kind;
  int tokens, sources, positions;
} Shape;

static Shape shape_of(const Case *c) {
  const int *n = c->size;
  Shape s = {n[0], n[1], n[2], n[3], n[4], 0, 0, n[2] + 1};
  s.tokens = s.kind == ENCODER ? 1 + s.kept : s.kind == HALF ? 1 + s.kept / 2 : 1 + s.patches;
  s.sources = s.kind == DECODER ? 1 + s.kept : s.kept;
  return s;
}

enum { SOURCE, POSITION, TOKEN_AT, MAPS };

/* Fills the three index buffers, which begin at buffer `first`. */
static void draw_maps(Case *c, int first) {
  Shape s = shape_of(c);
  int *place = malloc((size_t)s.patches * sizeof *place);
  for (int b = 0; b < s.batch; b++) {
    double *source = c->buffer[first + SOURCE].value + (size_t)b * s.tokens;
    double *position = c->buffer[first + POSITION].value + (size_t)b * s.tokens;
    double *token_at = c->buffer[first + TOKEN_AT].value + (size_t)b * s.positions;
    for (int i = 0; i < s.patches; i++) { /* a shuffle: place[i] is where kept patch i lies */
      uint32_t at = (uint32_t)(b * s.patches + i);
      int j = (int)(case_uniform(c, 40, at) * (i + 1));
      place[i] = place[j];
      place[j] = i;
    }
    bool whole = s.kind == DECODER || s.kind == FILLED;
    for (int p = 0; p < s.positions; p++) token_at[p] = whole ? p : -1;
    for (int t = 0; t < s.tokens; t++) {
      source[t] = TOKEN_MASK;
      position[t] = t;
    }
    source[0] = s.kind == DECODER ? 0 : TOKEN_CLASS;
    token_at[0] = 0;
    for (int i = 0; i < s.kept; i++) {
      int row = s.kind == HALF ? 2 * i : i, t = whole ? 1 + place[i] : 1 + i;
      if (t >= s.tokens) break;
      source[t] = s.kind == DECODER ? 1 + row : row;
      position[t] = 1 + place[i];
      token_at[1 + place[i]] = t;
    }
  }
  free(place);
}

static void declare_maps(Case *c) {
  Shape s = shape_of(c);
  int first = case_in(c, "source", KIND_I32, (size_t)s.batch * s.tokens, 0, 0);
  case_in(c, "position", KIND_I32, (size_t)s.batch * s.tokens, 0, 0);
  case_in(c, "token_at", KIND_I32, (size_t)s.batch * s.positions, 0, 0);
  draw_maps(c, first);
}

static TokenMap token_map(void *const *maps, const Shape *s) {
  return (TokenMap){maps[SOURCE], maps[POSITION], maps[TOKEN_AT], s->batch,
                    s->tokens,    s->sources,     s->positions};
}

enum { F_OUT, F_SRC, F_CLASS, F_MASK, F_POSITIONS, F_MAPS };

static void forward_describe(Case *c) {
  Shape s = shape_of(c);
  size_t width = (size_t)s.width;
  case_out(c, "out", KIND_F32, (size_t)s.batch * s.tokens * width, case_tolerance(DTYPE_F32, 1));
  case_in(c, "src", (Kind)c->type, (size_t)s.batch * s.sources * width, 0, 1);
  case_in(c, "class_token", KIND_F32, width, 0, 1);
  case_in(c, "mask_token", KIND_F32, width, 0, 1);
  case_in(c, "positions", KIND_F32, (size_t)s.positions * width, 0, 1);
  declare_maps(c);
  c->flops = (double)s.batch * s.tokens * s.width;
}
static void forward_call(Device *d, void *const *b, const Case *c) {
  Shape s = shape_of(c);
  TokenMap map = token_map(b + F_MAPS, &s);
  d->kernels->tokens_forward(d, b[F_OUT], b[F_SRC], c->type, b[F_CLASS], b[F_MASK], b[F_POSITIONS],
                             &map, s.width);
}
static void assemble(double *const *b, const Case *c, bool positions) {
  Shape s = shape_of(c);
  for (int i = 0; i < s.batch; i++)
    for (int t = 0; t < s.tokens; t++)
      for (int k = 0; k < s.width; k++) {
        size_t token = (size_t)i * s.tokens + t;
        int source = (int)b[F_MAPS + SOURCE][token], at = (int)b[F_MAPS + POSITION][token];
        double x = source == TOKEN_CLASS ? b[F_CLASS][k]
                   : source == TOKEN_MASK
                       ? b[F_MASK][k]
                       : b[F_SRC][((size_t)i * s.sources + source) * s.width + k];
        b[F_OUT][token * s.width + k] = x + (positions ? b[F_POSITIONS][at * s.width + k] : 0);
      }
}
static void forward_reference(double *const *b, const Case *c) {
  assemble(b, c, true);
}

/* No table of positions, and no token the map does not refer to. */
static void bare_call(Device *d, void *const *b, const Case *c) {
  Shape s = shape_of(c);
  TokenMap map = token_map(b + F_MAPS, &s);
  bool decoder = s.kind == DECODER, gaps = decoder || s.kind == FILLED;
  d->kernels->tokens_forward(d, b[F_OUT], b[F_SRC], c->type, decoder ? NULL : b[F_CLASS],
                             gaps ? b[F_MASK] : NULL, NULL, &map, s.width);
}
static void bare_reference(double *const *b, const Case *c) {
  assemble(b, c, false);
}

enum { B_SRC, B_CLASS, B_MASK, B_POSITIONS, B_OUT, B_MAPS };

static void backward_describe(Case *c) {
  Shape s = shape_of(c);
  size_t width = (size_t)s.width;
  double tolerance = case_tolerance(DTYPE_F32, 16);
  case_out(c, "d_src", (Kind)c->type, (size_t)s.batch * s.sources * width,
           case_tolerance(c->type, 1));
  case_out(c, "d_class_token", KIND_F32, width, tolerance);
  case_out(c, "d_mask_token", KIND_F32, width, tolerance);
  case_out(c, "d_positions", KIND_F32, (size_t)s.positions * width, tolerance);
  case_in(c, "d_out", KIND_F32, (size_t)s.batch * s.tokens * width, 0, 1);
  declare_maps(c);
  c->flops = 2.0 * s.batch * s.tokens * s.width;
}
static void backward_call(Device *d, void *const *b, const Case *c) {
  Shape s = shape_of(c);
  TokenMap map = token_map(b + B_MAPS, &s);
  d->kernels->tokens_backward(d, b[B_SRC], c->type, b[B_CLASS], b[B_MASK], b[B_POSITIONS], b[B_OUT],
                              &map, s.width, false);
}
/* Adds to what is in the fp32 outputs. */
static void take_apart(double *const *b, const Case *c) {
  Shape s = shape_of(c);
  for (size_t i = 0; i < (size_t)s.batch * s.sources * s.width; i++) b[B_SRC][i] = 0;
  for (int i = 0; i < s.batch; i++)
    for (int t = 0; t < s.tokens; t++)
      for (int k = 0; k < s.width; k++) {
        size_t token = (size_t)i * s.tokens + t;
        int source = (int)b[B_MAPS + SOURCE][token], at = (int)b[B_MAPS + POSITION][token];
        double d = b[B_OUT][token * s.width + k];
        b[B_POSITIONS][at * s.width + k] += d;
        if (source == TOKEN_CLASS)
          b[B_CLASS][k] += d;
        else if (source == TOKEN_MASK)
          b[B_MASK][k] += d;
        else
          b[B_SRC][((size_t)i * s.sources + source) * s.width + k] = d;
      }
}
static void backward_reference(double *const *b, const Case *c) {
  take_apart(b, c);
}

static void accumulate_describe(Case *c) {
  backward_describe(c);
  for (int i = B_CLASS; i <= B_POSITIONS; i++) {
    Buffer *sum = &c->buffer[i];
    sum->role = ROLE_INOUT;
    for (size_t k = 0; k < sum->count; k++) sum->value[k] = case_uniform(c, 50, (uint32_t)k) - 0.5;
  }
}
static void accumulate_call(Device *d, void *const *b, const Case *c) {
  Shape s = shape_of(c);
  TokenMap map = token_map(b + B_MAPS, &s);
  d->kernels->tokens_backward(d, b[B_SRC], c->type, b[B_CLASS], b[B_MASK], b[B_POSITIONS], b[B_OUT],
                              &map, s.width, true);
}

/* Only the mask token's gradient is wanted. */
static void mask_describe(Case *c) {
  backward_describe(c);
  c->buffer[B_CLASS].role = c->buffer[B_POSITIONS].role = ROLE_IN; /* not handed over */
}
static void mask_call(Device *d, void *const *b, const Case *c) {
  Shape s = shape_of(c);
  TokenMap map = token_map(b + B_MAPS, &s);
  d->kernels->tokens_backward(d, b[B_SRC], c->type, NULL, b[B_MASK], NULL, b[B_OUT], &map, s.width,
                              false);
}

/* "batch tokens extra width": widths that are no multiple of four, more than a block's columns. */
static const int pool_sizes[][CASE_SIZES] = {
    {1, 2, 1, 4}, {3, 65, 1, 96}, {2, 17, 1, 130}, {2, 9, 0, 33}, {1, 50, 1, 7}};
static const int pool_speed_sizes[][CASE_SIZES] = {{256, 197, 1, 768}};

enum { P_FIRST, P_MEAN, P_TOKENS };

static void pool_describe(Case *c) {
  size_t images = (size_t)c->size[0], width = (size_t)c->size[3];
  case_out(c, "first", KIND_F32, images * width, 0);
  case_out(c, "mean", KIND_F32, images * width, case_tolerance(DTYPE_F32, 16));
  case_in(c, "tokens", (Kind)c->type, images * (size_t)c->size[1] * width, 0, 1);
  if (!c->size[2]) c->buffer[P_FIRST].role = ROLE_IN; /* not handed over */
  c->flops = (double)images * c->size[1] * (double)width;
}
static void pool_call(Device *d, void *const *b, const Case *c) {
  d->kernels->tokens_pool(d, c->size[2] ? b[P_FIRST] : NULL, b[P_MEAN], b[P_TOKENS], c->type,
                          c->size[0], c->size[1], c->size[2], c->size[3]);
}
static void pool_reference(double *const *b, const Case *c) {
  int tokens = c->size[1], extra = c->size[2], width = c->size[3];
  for (int at = 0; at < c->size[0] * width; at++) {
    const double *column = b[P_TOKENS] + (size_t)(at / width) * tokens * width + at % width;
    double sum = 0;
    for (int t = extra; t < tokens; t++) sum += column[(size_t)t * width];
    b[P_MEAN][at] = sum / (tokens - extra);
    if (extra) b[P_FIRST][at] = column[0];
  }
}

/* "batch rows chosen first width": all rows and one; a chosen row at either end; widths that are no
 * multiple of 16 bytes, and more than a warp moves at once. */
static const int choice_sizes[][CASE_SIZES] = {{1, 1, 1, 0, 4},   {3, 65, 48, 1, 96},
                                               {2, 17, 16, 1, 7}, {2, 9, 1, 0, 300},
                                               {1, 50, 40, 2, 2}, {5, 12, 3, 1, 33}};
static const int choice_speed_sizes[][CASE_SIZES] = {{256, 197, 147, 1, 384}};

enum { C_OUT, C_SRC, C_IDS };

/* Distinct rows of each image, in any order. */
static void choice_describe(Case *c, bool gathers) {
  int batch = c->size[0], rows = c->size[1], chosen = c->size[2], count = rows - c->size[3];
  size_t width = (size_t)c->size[4], all = (size_t)batch * rows * width;
  size_t some = (size_t)batch * chosen * width;
  case_out(c, "out", (Kind)c->type, gathers ? some : all, 0);
  case_in(c, "src", (Kind)c->type, gathers ? all : some, 0, 1);
  case_in(c, "ids", KIND_I32, (size_t)batch * chosen, 0, 0);
  int *shuffled = malloc((size_t)count * sizeof *shuffled);
  for (int b = 0; b < batch; b++) {
    for (int i = 0; i < count; i++) {
      int j = (int)(case_uniform(c, 60, (uint32_t)(b * count + i)) * (i + 1));
      shuffled[i] = shuffled[j];
      shuffled[j] = i;
    }
    for (int i = 0; i < chosen; i++) c->buffer[C_IDS].value[b * chosen + i] = shuffled[i];
  }
  free(shuffled);
  c->flops = (double)some;
}
static RowChoice choice_of(void *const *b, const Case *c) {
  return (RowChoice){b[C_IDS], c->size[0], c->size[1], c->size[2], c->size[3]};
}
/* Element i of the chosen rows among all rows. */
static size_t chosen_at(double *const *b, const Case *c, size_t i) {
  size_t width = (size_t)c->size[4], r = i / width, image = r / (size_t)c->size[2];
  return (image * (size_t)c->size[1] + (size_t)(c->size[3] + b[C_IDS][r])) * width + i % width;
}

static void gather_describe(Case *c) {
  choice_describe(c, true);
}
static void gather_call(Device *d, void *const *b, const Case *c) {
  RowChoice choice = choice_of(b, c);
  d->kernels->rows_gather(d, b[C_OUT], b[C_SRC], c->type, &choice, c->size[4]);
}
static void gather_reference(double *const *b, const Case *c) {
  for (size_t i = 0; i < c->buffer[C_OUT].count; i++) b[C_OUT][i] = b[C_SRC][chosen_at(b, c, i)];
}

static void scatter_describe(Case *c) {
  choice_describe(c, false);
}
static void scatter_call(Device *d, void *const *b, const Case *c) {
  RowChoice choice = choice_of(b, c);
  d->kernels->rows_scatter(d, b[C_OUT], b[C_SRC], c->type, &choice, c->size[4]);
}
static void scatter_reference(double *const *b, const Case *c) {
  for (size_t i = 0; i < c->buffer[C_OUT].count; i++) b[C_OUT][i] = 0;
  for (size_t i = 0; i < c->buffer[C_SRC].count; i++) b[C_OUT][chosen_at(b, c, i)] = b[C_SRC][i];
}

#define SIZES                                                                                      \
  .size_names = "batch kept patches width map", .sizes = sizes, .size_count = CASE_COUNT(sizes)
#define SPEED .speed_sizes = speed_sizes, .speed_count = CASE_COUNT(speed_sizes)
#define CHOICE_SIZES                                                                               \
  .size_names = "batch rows chosen first width", .sizes = choice_sizes,                            \
  .size_count = CASE_COUNT(choice_sizes), .speed_sizes = choice_speed_sizes,                       \
  .speed_count = CASE_COUNT(choice_speed_sizes)

const Operation tokens_operations[] = {
    {.name = "tokens_forward",
     SIZES,
     SPEED,
     .describe = forward_describe,
     .call = forward_call,
     .reference = forward_reference},
    {.name = "tokens_forward bare",
     SIZES,
     .describe = forward_describe,
     .call = bare_call,
     .reference = bare_reference},
    {.name = "tokens_backward",
     SIZES,
     SPEED,
     .describe = backward_describe,
     .call = backward_call,
     .reference = backward_reference},
    {.name = "tokens_backward accumulate",
     SIZES,
     .describe = accumulate_describe,
     .call = accumulate_call,
     .reference = backward_reference},
    {.name = "tokens_backward mask only",
     SIZES,
     .describe = mask_describe,
     .call = mask_call,
     .reference = backward_reference},
    {.name = "tokens_pool",
     .size_names = "batch tokens extra width",
     .sizes = pool_sizes,
     .size_count = CASE_COUNT(pool_sizes),
     .speed_sizes = pool_speed_sizes,
     .speed_count = CASE_COUNT(pool_speed_sizes),
     .describe = pool_describe,
     .call = pool_call,
     .reference = pool_reference},
    {.name = "rows_gather",
     CHOICE_SIZES,
     .describe = gather_describe,
     .call = gather_call,
     .reference = gather_reference},
    {.name = "rows_scatter",
     CHOICE_SIZES,
     .describe = scatter_describe,
     .call = scatter_call,
     .reference = scatter_reference},
    {0},
};
