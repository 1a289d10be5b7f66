/* reference.h - the masked autoencoder of He et al. (2021) once more: plain double-precision loops,
 * written from the paper for readability, sharing nothing with the trainer but its parameter table.
 * One image at a time. */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mae/model/params.h"

typedef struct Reference {
  const Config *config;
  const ParamTable *table;
  const double *params; /* the parameter arena */
} Reference;

static const double *reference_param(const Reference *r, const char *prefix, const char *name) {
  char full[96];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  const Param *p = params_find(r->table, full);
  return p ? r->params + p->offset : NULL;
}

/* y[out] = W x + b for each of n rows; the map's name is prefix + name. */
static void reference_linear(const Reference *r, const char *prefix, const char *name, double *y,
                             const double *x, int n, int in, int out) {
  char weight[96], bias[96];
  snprintf(weight, sizeof weight, "%s.weight", name);
  snprintf(bias, sizeof bias, "%s.bias", name);
  const double *w = reference_param(r, prefix, weight), *b = reference_param(r, prefix, bias);
  for (int t = 0; t < n; t++)
    for (int o = 0; o < out; o++) {
      double sum = b[o];
      for (int i = 0; i < in; i++) sum += w[o * in + i] * x[t * in + i];
      y[t * out + o] = sum;
    }
}

static void reference_layernorm(const Reference *r, const char *prefix, const char *name, double *y,
                                const double *x, int n, int width) {
  char weight[96], bias[96];
  snprintf(weight, sizeof weight, "%s.weight", name);
  snprintf(bias, sizeof bias, "%s.bias", name);
  const double *w = reference_param(r, prefix, weight), *b = reference_param(r, prefix, bias);
  for (int t = 0; t < n; t++) {
    const double *row = x + t * width;
    double mean = 0, variance = 0;
    for (int i = 0; i < width; i++) mean += row[i] / width;
    for (int i = 0; i < width; i++) variance += (row[i] - mean) * (row[i] - mean) / width;
    for (int i = 0; i < width; i++)
      y[t * width + i] = (row[i] - mean) / sqrt(variance + 1e-6) * w[i] + b[i];
  }
}

static void reference_attention(double *out, const double *qkv, int n, int width, int heads) {
  int size = width / heads;
  double *p = malloc((size_t)n * sizeof *p);
  for (int h = 0; h < heads; h++)
    for (int t = 0; t < n; t++) {
      const double *q = qkv + t * 3 * width + h * size;
      double total = 0;
      for (int u = 0; u < n; u++) {
        const double *k = qkv + u * 3 * width + width + h * size;
        double score = 0;
        for (int i = 0; i < size; i++) score += q[i] * k[i];
        total += p[u] = exp(score / sqrt(size));
      }
      for (int i = 0; i < size; i++) {
        double sum = 0;
        for (int u = 0; u < n; u++)
          sum += p[u] / total * qkv[u * 3 * width + 2 * width + h * size + i];
        out[t * width + h * size + i] = sum;
      }
    }
  free(p);
}

/* x[n, width] through the blocks NAME.0, NAME.1, ... in place, then the final norm into y. */
static void reference_blocks(const Reference *r, const char *name, const char *norm, double *y,
                             double *x, int n, Tower tower) {
  int w = tower.width, count = n * w;
  double *a = malloc((size_t)count * 4 * sizeof *a), *b = malloc((size_t)count * sizeof *b);
  for (int layer = 0; layer < tower.depth; layer++) {
    char prefix[48];
    snprintf(prefix, sizeof prefix, "%s.%d.", name, layer);
    reference_layernorm(r, prefix, "norm1", b, x, n, w);
    reference_linear(r, prefix, "attn.qkv", a, b, n, w, 3 * w);
    reference_attention(b, a, n, w, tower.heads);
    reference_linear(r, prefix, "attn.proj", a, b, n, w, w);
    for (int i = 0; i < count; i++) x[i] += a[i];
    reference_layernorm(r, prefix, "norm2", b, x, n, w);
    reference_linear(r, prefix, "mlp.fc1", a, b, n, w, 4 * w);
    for (int i = 0; i < 4 * count; i++) a[i] *= 0.5 * (1 + erf(a[i] / sqrt(2)));
    reference_linear(r, prefix, "mlp.fc2", b, a, n, 4 * w, w);
    for (int i = 0; i < count; i++) x[i] += b[i];
  }
  reference_layernorm(r, "", norm, y, x, n, w);
  free(a);
  free(b);
}

/* Normalised pixel of patch l at (row, column) in the patch. */
static double reference_pixel(const Config *c, const uint8_t *image, int l, int row, int column,
                              int channel) {
  static const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
  int size = c->model.image_size, p = c->model.patch_size, side = size / p;
  int at = ((l / side * p + row) * size + l % side * p + column) * 3 + channel;
  return (image[at] / 255.0 - mean[channel]) / deviation[channel];
}

/* Mean squared error of patch l's prediction, given in (row, column, channel) order. */
static double reference_patch_loss(const Config *c, const uint8_t *image, int l,
                                   const double *pred) {
  int p = c->model.patch_size, n = 3 * p * p;
  double *target = malloc((size_t)n * sizeof *target), mean = 0, variance = 0, loss = 0;
  for (int i = 0; i < n; i++) target[i] = reference_pixel(c, image, l, i / 3 / p, i / 3 % p, i % 3);
  for (int i = 0; i < n; i++) mean += target[i] / n;
  for (int i = 0; i < n; i++) variance += (target[i] - mean) * (target[i] - mean) / (n - 1);
  for (int i = 0; i < n; i++) {
    double t = c->train.norm_pix ? (target[i] - mean) / sqrt(variance + 1e-6) : target[i];
    loss += (pred[i] - t) * (pred[i] - t) / n;
  }
  free(target);
  return loss;
}

/* The encoder on one image's visible patches: tokens, class token first, then patches in their
 * order (hidden ones too with encoder_mask_tokens). stream[tokens, d] before the final norm, y
 * after it; token[extra + L] = the token at a position, or -1. Returns how many tokens. */
static int reference_encode(const Reference *r, double *stream, double *y, int *token,
                            const uint8_t *image, const uint8_t *masked) {
  const Config *c = r->config;
  int d = c->model.encoder.width, p = c->model.patch_size, values = 3 * p * p, n = 0;
  int extra = c->model.class_token, all = extra + config_patches(c);
  bool symmetric = c->model.encoder_mask_tokens;
  const double *positions = reference_param(r, "", "pos_embed");
  double *patch = malloc((size_t)values * sizeof *patch);
  for (int position = 0; position < all; position++) {
    int l = position - extra;
    bool hidden = l >= 0 && masked[l];
    token[position] = hidden && !symmetric ? -1 : n;
    if (hidden && !symmetric) continue;
    double *row = stream + n++ * d;
    if (l < 0) {
      memcpy(row, reference_param(r, "", "cls_token"), (size_t)d * sizeof *row);
    } else if (hidden) {
      memcpy(row, reference_param(r, "", "encoder_mask_token"), (size_t)d * sizeof *row);
    } else {
      for (int i = 0; i < values; i++) /* the convolution reads (channel, row, column) */
        patch[i] = reference_pixel(c, image, l, i / p % p, i % p, i / (p * p));
      reference_linear(r, "", "patch_embed.proj", row, patch, 1, values, d);
    }
    for (int i = 0; positions && i < d; i++) row[i] += positions[position * d + i];
  }
  free(patch);
  reference_blocks(r, "blocks", "norm", y, stream, n, c->model.encoder);
  return n;
}

/* Predictions pred[L, 3pp] of one image, and the loss: mean over its counted patches. */
static double reference_forward(const Reference *r, double *pred, const uint8_t *image,
                                const uint8_t *masked) {
  const Config *c = r->config;
  int d = c->model.encoder.width, e = c->model.decoder.width, p = c->model.patch_size;
  int values = 3 * p * p, patches = config_patches(c), extra = c->model.class_token;
  int all = extra + patches;
  double *x = calloc((size_t)all * (size_t)(d > e ? d : e), sizeof *x);
  double *y = calloc((size_t)all * (size_t)d, sizeof *y);
  double *z = calloc((size_t)all * (size_t)e, sizeof *z);
  double *out = malloc((size_t)all * (size_t)values * sizeof *out);
  int *token = malloc((size_t)all * sizeof *token); /* a position's encoder token, or -1 */

  int n = reference_encode(r, x, y, token, image, masked);
  reference_linear(r, "", "decoder_embed", z, y, n, d, e);

  const double *positions = reference_param(r, "", "decoder_pos_embed");
  for (int position = 0; position < all; position++) {
    const double *source =
        token[position] >= 0 ? z + token[position] * e : reference_param(r, "", "mask_token");
    for (int i = 0; i < e; i++)
      x[position * e + i] = source[i] + (positions ? positions[position * e + i] : 0);
  }
  reference_blocks(r, "decoder_blocks", "decoder_norm", z, x, all, c->model.decoder);
  reference_linear(r, "", "decoder_pred", out, z, all, e, values);
  memcpy(pred, out + extra * values, (size_t)(patches * values) * sizeof *pred);

  double loss = 0;
  int counted = 0;
  for (int l = 0; l < patches; l++) {
    if (!masked[l] && c->train.loss == LOSS_MASKED) continue;
    loss += reference_patch_loss(c, image, l, pred + l * values);
    counted++;
  }
  free(x);
  free(y);
  free(z);
  free(out);
  free(token);
  return loss / counted;
}

#endif
