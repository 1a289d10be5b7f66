/* params.c - the parameter table of a configuration, and how each is first drawn. */
#include "mae/model/params.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"

enum { ALIGN = 16 /* elements: 64 bytes in fp32, 32 in a 16-bit type */ };

typedef struct Builder {
  ParamTable *table;
  int capacity;
  bool failed;
} Builder;

/* Adds a parameter named by a printf-style format. shape: up to four sizes, ended by 0. */
static Param *add(Builder *b, const int shape[4], ParamInit init, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static Param *add(Builder *b, const int shape[4], ParamInit init, const char *format, ...) {
  static Param discarded;
  ParamTable *t = b->table;
  if (t->count == b->capacity && !b->failed) {
    int capacity = b->capacity ? 2 * b->capacity : 256;
    Param *list = realloc(t->list, (size_t)capacity * sizeof *list);
    if (list) {
      t->list = list;
      b->capacity = capacity;
    } else {
      b->failed = true;
    }
  }
  Param *p = b->failed ? &discarded : &t->list[t->count++];
  *p = (Param){.count = 1, .init = init};
  va_list args;
  va_start(args, format);
  vsnprintf(p->name, sizeof p->name, format, args);
  va_end(args);
  for (int i = 0; i < 4 && shape[i]; i++) {
    p->shape[p->rank++] = shape[i];
    p->count *= (size_t)shape[i];
  }
  p->trainable = init != INIT_SINCOS2D && init != INIT_SINCOS1D;
  p->decays = p->trainable && p->rank >= 2;
  return p;
}

static void add_vector(Builder *b, int size, ParamInit init, const char *prefix, const char *name) {
  add(b, (int[4]){size}, init, "%s%s", prefix, name);
}

static void add_layernorm(Builder *b, int width, const char *prefix, const char *name) {
  char full[48];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  add_vector(b, width, INIT_ONE, full, ".weight");
  add_vector(b, width, INIT_ZERO, full, ".bias");
}

static void add_linear(Builder *b, int in, int out, const char *prefix, const char *name) {
  char full[48];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  add(b, (int[4]){out, in}, INIT_XAVIER, "%s.weight", full);
  add_vector(b, out, INIT_ZERO, full, ".bias");
}

static void add_blocks(Builder *b, Tower tower, const char *name) {
  int w = tower.width;
  for (int i = 0; i < tower.depth; i++) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s.%d.", name, i);
    add_layernorm(b, w, prefix, "norm1");
    add_linear(b, w, 3 * w, prefix, "attn.qkv");
    add_linear(b, w, w, prefix, "attn.proj");
    add_layernorm(b, w, prefix, "norm2");
    add_linear(b, w, 4 * w, prefix, "mlp.fc1");
    add_linear(b, 4 * w, w, prefix, "mlp.fc2");
  }
}

static void add_positions(Builder *b, PosEmbed kind, int rows, int width, const char *name) {
#define POSITION_INIT(id, name, help, divisor, init) [id] = init,
  static const ParamInit inits[] = {POS_EMBEDS(POSITION_INIT)};
  if (kind != POS_NONE) add(b, (int[4]){1, rows, width}, inits[kind], "%s", name);
}

/* Offsets of one part of the arena, appended in list order. */
static size_t place(ParamTable *t, size_t offset, bool decays, bool trainable) {
  for (int i = 0; i < t->count; i++) {
    Param *p = &t->list[i];
    if (p->decays != decays || p->trainable != trainable) continue;
    p->offset = offset;
    offset += (p->count + ALIGN - 1) / ALIGN * ALIGN;
  }
  return offset;
}

bool params_build(ParamTable *t, const Config *config, Error *e) {
  *t = (ParamTable){0};
  Builder b = {.table = t};
  int d = config->model.encoder.width, w = config->model.decoder.width,
      p = config->model.patch_size;
  int pixels = 3 * p * p, rows = config_patches(config) + config->model.class_token;

  if (config->model.class_token) add(&b, (int[4]){1, 1, d}, INIT_NORMAL, "cls_token");
  add_positions(&b, config->model.pos_embed, rows, d, "pos_embed");
  /* With mask tokens inside the encoder the decoder receives a token for every patch. */
  if (config->model.encoder_mask_tokens)
    add(&b, (int[4]){1, 1, d}, INIT_NORMAL, "encoder_mask_token");
  else
    add(&b, (int[4]){1, 1, w}, INIT_NORMAL, "mask_token");
  add_positions(&b, config->model.decoder_pos_embed, rows, w, "decoder_pos_embed");
  add(&b, (int[4]){d, 3, p, p}, INIT_XAVIER, "patch_embed.proj.weight");
  add(&b, (int[4]){d}, INIT_CONV_BIAS, "patch_embed.proj.bias")->fan = pixels;
  add_blocks(&b, config->model.encoder, "blocks");
  add_layernorm(&b, d, "", "norm");
  add_linear(&b, d, w, "", "decoder_embed");
  add_blocks(&b, config->model.decoder, "decoder_blocks");
  add_layernorm(&b, w, "", "decoder_norm");
  add_linear(&b, w, pixels, "", "decoder_pred");
  if (b.failed) {
    params_free(t);
    return error_set(e, EXIT_DEVICE, "out of memory for the parameter table");
  }
  t->decayed = place(t, 0, true, true);
  t->trainable = place(t, t->decayed, false, true);
  t->total = place(t, t->trainable, false, false);
  return true;
}

void params_free(ParamTable *t) {
  free(t->list);
  *t = (ParamTable){0};
}

const Param *params_find(const ParamTable *t, const char *name) {
  for (int i = 0; i < t->count; i++)
    if (!strcmp(t->list[i].name, name)) return &t->list[i];
  return NULL;
}

/* FNV-1a of the name, cut to the 56 bits of a sample number: a parameter's draws depend on its name
 * alone, neither on its place nor on which other parameters there are. */
static uint64_t name_number(const char *name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
  return hash & 0xffffffffffffffu;
}

static void fill_uniform(float *out, size_t count, double limit, uint64_t seed, uint64_t number) {
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < count; i++) {
    float u = random_uniform(seed, STREAM_INIT, 0, number, (uint32_t)i);
    out[i] = (float)(limit * (2.0 * u - 1.0));
  }
}

static void fill_normal(float *out, size_t count, double deviation, uint64_t seed,
                        uint64_t number) {
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < count; i++)
    out[i] = (float)(deviation * random_normal(seed, STREAM_INIT, 0, number, (uint32_t)i));
}

/* out[0..size) = sin of position * omega_i, then cos of the same; omega_i = 10000^(-i/(size/2)). */
static void sincos_row(float *out, int size, double position) {
  int half = size / 2;
  for (int i = 0; i < half; i++) {
    double angle = position * pow(10000.0, -(double)i / half);
    out[i] = (float)sin(angle);
    out[half + i] = (float)cos(angle);
  }
}

/* Rows of patches in order; a class token's row in front of them stays zero. */
static void fill_sincos(float *out, const Param *p, bool two_dimensional, int side) {
  int rows = p->shape[1], width = p->shape[2], extra = rows - side * side;
  memset(out, 0, p->count * sizeof *out);
  for (int l = 0; l < side * side; l++) {
    float *row = out + (size_t)(extra + l) * width;
    if (two_dimensional) {
      sincos_row(row, width / 2, l % side);
      sincos_row(row + width / 2, width / 2, l / side);
    } else {
      sincos_row(row, width, l);
    }
  }
}

void params_init(const ParamTable *t, float *arena, const Config *config) {
  int side = config->model.image_size / config->model.patch_size;
  memset(arena, 0, t->total * sizeof *arena);
  for (int i = 0; i < t->count; i++) {
    const Param *p = &t->list[i];
    float *out = arena + p->offset;
    uint64_t number = name_number(p->name);
    switch (p->init) {
    case INIT_ZERO:
      break;
    case INIT_ONE:
      for (size_t k = 0; k < p->count; k++) out[k] = 1;
      break;
    case INIT_NORMAL:
      fill_normal(out, p->count, 0.02, config->run.seed, number);
      break;
    case INIT_XAVIER: {
      double columns = (double)(p->count / (size_t)p->shape[0]);
      fill_uniform(out, p->count, sqrt(6.0 / (p->shape[0] + columns)), config->run.seed, number);
      break;
    }
    case INIT_CONV_BIAS:
      fill_uniform(out, p->count, 1.0 / sqrt(p->fan), config->run.seed, number);
      break;
    case INIT_SINCOS2D:
    case INIT_SINCOS1D:
      fill_sincos(out, p, p->init == INIT_SINCOS2D, side);
      break;
    }
  }
}

bool params_in_decoder(const Param *p) {
  return !strncmp(p->name, "decoder_", 8) || !strcmp(p->name, "mask_token");
}

static size_t count_trainable(const ParamTable *t, bool decoder) {
  size_t count = 0;
  for (int i = 0; i < t->count; i++)
    if (t->list[i].trainable && params_in_decoder(&t->list[i]) == decoder)
      count += t->list[i].count;
  return count;
}

size_t params_count_encoder(const ParamTable *t) {
  return count_trainable(t, false);
}

size_t params_count_decoder(const ParamTable *t) {
  return count_trainable(t, true);
}
