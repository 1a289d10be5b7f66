/* score_random.c - classes told from the features of this very encoder with its initial weights:
 * what the architecture alone gives. */
#include <stdlib.h>

#include "mae/base/io.h"
#include "mae/evaluate/probes.h"
#include "mae/evaluate/scorers.h"
#include "mae/model/device.h"

/* The model lends its memory: its weights wait on the host meanwhile. */
static bool look(ProbeScores *scores, Probe *probe, Evaluator *ev, Error *e) {
  Model *model = ev->model;
  const Kernels *k = ev->device->kernels;
  size_t bytes = model->table.total * sizeof(float);
  float *weights = io_buffer(bytes, "weights", e);
  if (!weights) return false;
  k->download(ev->device, weights, model->params, bytes);
  bool ok = device_synchronize(ev->device, e) && model_init_weights(model, e) &&
            probe_model(scores, probe, model, ev->pool, e);
  k->upload(ev->device, model->params, weights, bytes);
  model_sync_weights(model);
  free(weights);
  return ok;
}

static bool score(Metrics *metrics, Evaluator *ev, Error *e) {
  return probe_score(metrics, ev, look, e);
}

const Scorer scorer_random = {
    .name = "random", .title = "untrained encoder", .baseline = true, .probes = true, .run = score};
