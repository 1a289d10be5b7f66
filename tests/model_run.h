/* model_run.h - single training steps on given images and masks, on any device: what the comparison
 * with PyTorch (parity_tool) and the one between devices (gpu/model_check) have in common. */
#ifndef TESTS_MODEL_RUN_H
#define TESTS_MODEL_RUN_H

#include "mae/train/step.h"

typedef struct ModelRun {
  Config config;
  Device *device;
  Model model;
  TrainStep step;
  uint8_t *masked; /* [batch, L] */
} ModelRun;

/* Defaults, but the CPU, and then "section.key=value" each. */
bool model_run_settings(Config *, int count, char **settings, Error *);
/* Opens run.device and allocates; rates as in step_create. With one shard and no accumulation the
 * whole batch is one micro-batch, so that all can be predicted at once. */
bool model_run_open(ModelRun *, const Config *, const float *rates, size_t steps, Error *);
void model_run_close(ModelRun *);

/* One step on images [batch, size, size, 3] and the visible patches [batch, keep]. */
bool model_run_step(ModelRun *, const uint8_t *images, const int32_t *visible, StepState *after,
                    double *loss, Error *);
/* [batch, L, 3pp], every patch of the last step's images as the weights that it left predict them
 * (its own are those of the patches in the loss); and how many values that is. */
void model_run_prediction(ModelRun *, float *prediction);
size_t model_run_prediction_count(const ModelRun *);

#endif
