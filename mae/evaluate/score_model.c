/* score_model.c - the model itself: what it makes of the masked images. */
#include "mae/evaluate/scorers.h"

static bool reconstruct(Evaluator *ev, int count, void *user, Error *e) {
  (void)user, (void)e;
  Batch batch = batch_view(&ev->input, 0, count);
  evaluator_reconstruct(ev, count);
  model_loss(ev->model, &batch, 0, 1.0f, NULL, false);
  ev->device->kernels->download(ev->device, ev->losses, ev->model->image_loss,
                                (size_t)count * sizeof *ev->losses);
  return true;
}

static bool score(Metrics *metrics, Evaluator *ev, Error *e) {
  /* A norm_pix model predicts normalised patches: its pictures need the target's statistics. */
  unsigned pictures = ev->config->train.norm_pix ? OFFERS_LEAKY : OFFERS_HIDDEN | OFFERS_FULL;
  return evaluate_pictures(metrics, ev, OFFERS_LOSS | pictures, reconstruct, NULL, e);
}

const Scorer scorer_model = {.name = "model", .title = "model", .run = score};
