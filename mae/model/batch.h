/* batch.h - the input of a number of images on the device: pixels, masks, and how the encoder's and
 * the decoder's tokens are put together. One arena, carved at creation; filling it allocates
 * nothing. The trainer fills one for the images of a step, the evaluator one for its batches. */
#ifndef MAE_MODEL_BATCH_H
#define MAE_MODEL_BATCH_H

#include "mae/model/model.h"

typedef struct BatchBuffers {
  const Config *config;
  Device *device;
  int capacity; /* images */
  int kept;     /* patches of each image that the encoder sees */
  void *arena;  /* device; the pointers below lie in it */
  uint8_t *images;
  int32_t *visible;
  uint8_t *masked;
  Crop *crops;
  Jitter *jitters; /* NULL unless train.augment changes colours */
  int32_t *maps;   /* encoder's and decoder's source, position and token_at; judged, hidden */
  int32_t *judged; /* [capacity, extra + L] Batch.patch_of of every decoder token */
  int32_t *hidden; /* [capacity, L - kept] the hidden patches, ascending */
  TokenMap encoder, decoder;
  int32_t *staging;   /* host copy of maps while they are made */
  Crop *staged_crops; /* host, [capacity]: see pool_fill_batch */
} BatchBuffers;

/* kept: visible patches of each image, config_kept() in training; up to all of them for what looks
 * at whole images. */
bool batch_create(BatchBuffers *, const Config *, Device *, int capacity, int kept, Error *);
void batch_destroy(BatchBuffers *);
size_t batch_memory(const Config *, int capacity, int kept); /* bytes on the device */

/* Host arrays of the first `count` images; all may be reused as soon as the call returns.
 * (pool_fill_batch cuts the images out of a data set's instead.) */
void batch_set_images(BatchBuffers *, const uint8_t *images,
                      int count); /* [count, size, size, 3] */
/* visible [count, kept] and masked [count, L] as mask_draw wrote them; also makes the maps. */
void batch_set_masks(BatchBuffers *, const int32_t *visible, const uint8_t *masked, int count);

/* Images first .. first+count as the model reads them; every patch is predicted. */
Batch batch_view(const BatchBuffers *, int first, int count);
/* The same for a training step: compact where train.loss counts the hidden patches only. */
Batch batch_view_training(const BatchBuffers *, int first, int count);

/* Tokens an image has in the encoder and in the decoder. */
int encoder_tokens(const Config *,
                   int kept);       /* class token + kept patches, or + all with mask tokens */
int decoder_tokens(const Config *); /* class token + all patches */

/* Host-side arrays of one image. source and position [tokens], token_at [positions]; see TokenMap.
 * Encoder: class token first, then the visible patches in the order of `visible` (with
 * encoder_mask_tokens: every patch in its place, TOKEN_MASK where hidden). Source rows are the
 * visible patches' embeddings. Decoder: class token, then every patch in its place; source rows are
 * the encoder's tokens. */
void encoder_map(int32_t *source, int32_t *position, int32_t *token_at, const Config *,
                 const int32_t *visible, int kept);
void decoder_map(int32_t *source, int32_t *position, int32_t *token_at, const Config *,
                 const int32_t *visible, int kept);

#endif
