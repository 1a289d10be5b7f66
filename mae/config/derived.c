/* derived.c - what follows from the options. */
#include <math.h>

#include "mae/config/config.h"

int config_keep_count(int patches, double ratio) {
  /* A decimal ratio is off by up to 2^-54 as a double, which a product of at most 2^18 patches
   * turns into less than 1e-10; a true fraction that close below an integer needs a ratio of more
   * than nine digits. */
  return (int)floor(patches * (1 - ratio) + 1e-9);
}

int config_patches(const Config *config) {
  int side = config->model.image_size / config->model.patch_size;
  return side * side;
}

int config_kept(const Config *config) {
  return config_keep_count(config_patches(config), config->train.mask_ratio);
}

Dtype config_dtype(const Config *config) {
  switch (config->train.precision) {
  case PRECISION_BF16:
    return DTYPE_BF16;
  case PRECISION_FP16:
    return DTYPE_F16;
  case PRECISION_FP32:
    break;
  }
  return DTYPE_F32;
}
