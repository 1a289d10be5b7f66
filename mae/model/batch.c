/* batch.c - carves a batch's input and makes the maps by which tokens are put together. */
#include "mae/model/batch.h"

#include <stdlib.h>

#include "mae/base/carve.h"
#include "mae/model/device.h"

int encoder_tokens(const Config *config, int kept) {
  return config->model.class_token +
         (config->model.encoder_mask_tokens ? config_patches(config) : kept);
}

int decoder_tokens(const Config *config) {
  return config->model.class_token + config_patches(config);
}

void encoder_map(int32_t *source, int32_t *position, int32_t *token_at, const Config *config,
                 const int32_t *visible, int kept) {
  int extra = config->model.class_token, patches = config_patches(config);
  for (int p = 0; p < extra + patches; p++) token_at[p] = -1;
  if (extra) {
    source[0] = TOKEN_CLASS;
    position[0] = 0;
    token_at[0] = 0;
  }
  if (config->model.encoder_mask_tokens) {
    for (int p = extra; p < extra + patches; p++) {
      source[p] = TOKEN_MASK;
      position[p] = p;
      token_at[p] = p;
    }
    for (int i = 0; i < kept; i++) source[extra + visible[i]] = i;
  } else {
    for (int i = 0; i < kept; i++) {
      source[extra + i] = i;
      position[extra + i] = extra + visible[i];
      token_at[extra + visible[i]] = extra + i;
    }
  }
}

void decoder_map(int32_t *source, int32_t *position, int32_t *token_at, const Config *config,
                 const int32_t *visible, int kept) {
  int extra = config->model.class_token, patches = config_patches(config);
  for (int t = 0; t < extra + patches; t++) {
    source[t] = config->model.encoder_mask_tokens || t < extra ? t : TOKEN_MASK;
    position[t] = t;
    token_at[t] = t;
  }
  if (!config->model.encoder_mask_tokens)
    for (int i = 0; i < kept; i++) source[extra + visible[i]] = extra + i;
}

/* The int32 arrays of all images' maps, one after another. */
typedef struct MapArrays {
  int32_t *source[2], *position[2], *token_at[2]; /* encoder's, decoder's */
  int32_t *judged, *hidden;
} MapArrays;

static size_t map_count(const Config *config, int capacity, int kept) {
  size_t seen = (size_t)encoder_tokens(config, kept), all = (size_t)decoder_tokens(config);
  size_t hidden = (size_t)(config_patches(config) - kept);
  return (size_t)capacity * ((2 * seen + all) + (2 * all + all) + all + hidden);
}

static MapArrays map_arrays(int32_t *base, const Config *config, int capacity, int kept) {
  MapArrays m;
  size_t positions = (size_t)capacity * (size_t)decoder_tokens(config);
  for (int i = 0; i < 2; i++) {
    size_t tokens =
        (size_t)capacity * (size_t)(i ? decoder_tokens(config) : encoder_tokens(config, kept));
    m.source[i] = base;
    m.position[i] = base + tokens;
    m.token_at[i] = base + 2 * tokens;
    base += 2 * tokens + positions;
  }
  m.judged = base;
  m.hidden = base + positions;
  return m;
}

static size_t carve_batch(BatchBuffers *b, const Config *config, int capacity, int kept,
                          void *arena) {
  Carve carve = {.base = arena};
  size_t n = (size_t)capacity, size = (size_t)config->model.image_size;
  b->images = carve_bytes(&carve, n * size * size * 3);
  b->visible = carve_bytes(&carve, n * (size_t)kept * sizeof *b->visible);
  b->masked = carve_bytes(&carve, n * (size_t)config_patches(config));
  b->crops = carve_bytes(&carve, n * sizeof *b->crops);
  b->jitters = config_jitters(config) ? carve_bytes(&carve, n * sizeof *b->jitters) : NULL;
  b->maps = carve_bytes(&carve, map_count(config, capacity, kept) * sizeof *b->maps);
  return carve.used;
}

size_t batch_memory(const Config *config, int capacity, int kept) {
  BatchBuffers measured;
  return carve_batch(&measured, config, capacity, kept, NULL);
}

bool batch_create(BatchBuffers *b, const Config *config, Device *device, int capacity, int kept,
                  Error *e) {
  *b = (BatchBuffers){.config = config, .device = device, .capacity = capacity, .kept = kept};
  size_t bytes = batch_memory(config, capacity, kept);
  size_t count = map_count(config, capacity, kept);
  b->arena = device_alloc(device, bytes, "a batch's input", e);
  if (!b->arena) return false;
  carve_batch(b, config, capacity, kept, b->arena);
  b->staging = calloc(count, sizeof *b->staging);
  b->staged_crops = calloc((size_t)capacity, sizeof *b->staged_crops);
  if (!b->staging || !b->staged_crops) {
    batch_destroy(b);
    return error_set(e, EXIT_DEVICE, "out of memory for the token maps of %d images", capacity);
  }
  MapArrays m = map_arrays(b->maps, config, capacity, kept);
  TokenMap map = {.batch = capacity, .positions = decoder_tokens(config)};
  b->encoder = b->decoder = map;
  b->encoder.source = m.source[0];
  b->encoder.position = m.position[0];
  b->encoder.token_at = m.token_at[0];
  b->encoder.tokens = encoder_tokens(config, kept);
  b->encoder.sources = kept;
  b->decoder.source = m.source[1];
  b->decoder.position = m.position[1];
  b->decoder.token_at = m.token_at[1];
  b->decoder.tokens = decoder_tokens(config);
  b->decoder.sources = encoder_tokens(config, kept);
  b->judged = m.judged;
  b->hidden = m.hidden;
  return true;
}

void batch_destroy(BatchBuffers *b) {
  if (b->arena) b->device->kernels->free(b->device, b->arena);
  free(b->staging);
  free(b->staged_crops);
  *b = (BatchBuffers){0};
}

void batch_set_images(BatchBuffers *b, const uint8_t *images, int count) {
  size_t size = (size_t)b->config->model.image_size;
  b->device->kernels->upload(b->device, b->images, images, (size_t)count * size * size * 3);
}

/* judged [extra + L] and hidden [L - kept] of one image. */
static void list_patches(int32_t *judged, int32_t *hidden, const Config *config,
                         const uint8_t *masked) {
  int extra = config->model.class_token, patches = config_patches(config);
  for (int t = 0; t < extra; t++) judged[t] = -1;
  for (int l = 0; l < patches; l++) {
    judged[extra + l] = masked[l] || config_counts_visible(config) ? l : -1;
    if (masked[l]) *hidden++ = l;
  }
}

void batch_set_masks(BatchBuffers *b, const int32_t *visible, const uint8_t *masked, int count) {
  const Config *config = b->config;
  const Kernels *k = b->device->kernels;
  size_t n = (size_t)count, kept = (size_t)b->kept, patches = (size_t)config_patches(config);
  size_t seen = (size_t)encoder_tokens(config, b->kept), all = (size_t)decoder_tokens(config);
  k->upload(b->device, b->visible, visible, n * kept * sizeof *visible);
  k->upload(b->device, b->masked, masked, n * patches);
  MapArrays m = map_arrays(b->staging, config, b->capacity, b->kept);
  for (size_t i = 0; i < n; i++) {
    encoder_map(m.source[0] + i * seen, m.position[0] + i * seen, m.token_at[0] + i * all, config,
                visible + i * kept, b->kept);
    decoder_map(m.source[1] + i * all, m.position[1] + i * all, m.token_at[1] + i * all, config,
                visible + i * kept, b->kept);
    list_patches(m.judged + i * all, m.hidden + i * (patches - kept), config, masked + i * patches);
  }
  /* Images past count are uploaded with whatever an earlier call left: nobody reads them. */
  k->upload(b->device, b->maps, b->staging,
            map_count(config, b->capacity, b->kept) * sizeof *b->maps);
}

static TokenMap map_view(TokenMap map, int first, int count) {
  size_t f = (size_t)first;
  map.source += f * (size_t)map.tokens;
  map.position += f * (size_t)map.tokens;
  map.token_at += f * (size_t)map.positions;
  map.batch = count;
  return map;
}

Batch batch_view(const BatchBuffers *b, int first, int count) {
  const Config *config = b->config;
  size_t f = (size_t)first, size = (size_t)config->model.image_size;
  return (Batch){
      .count = count,
      .kept = b->kept,
      .images = b->images + f * size * size * 3,
      .visible = b->visible + f * (size_t)b->kept,
      .masked = b->masked + f * (size_t)config_patches(config),
      .encoder = map_view(b->encoder, first, count),
      .decoder = map_view(b->decoder, first, count),
      .rows = decoder_tokens(config),
      .patch_of = b->judged + f * (size_t)decoder_tokens(config),
  };
}

Batch batch_view_training(const BatchBuffers *b, int first, int count) {
  Batch batch = batch_view(b, first, count);
  if (config_counts_visible(b->config)) return batch;
  batch.compact = true;
  batch.rows = config_patches(b->config) - b->kept;
  batch.patch_of = b->hidden + (size_t)first * (size_t)batch.rows;
  return batch;
}
