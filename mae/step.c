#include "mae/step.h"

#include <stdlib.h>

#include "mae/carve.h"

static int counted_patches(const Config *c) {
  int patches = config_patches(c);
  return c->train.loss == LOSS_ALL ? patches : patches - config_kept(c);
}

bool step_create(TrainStep *s, Model *m, int first_shard, int shards, const float *rates,
                 size_t rate_count, Error *e) {
  const Config *c = m->config;
  int per_shard = c->train.batch / c->train.shards;
  *s = (TrainStep){.config = c,
                   .model = m,
                   .device = m->device,
                   .first_shard = first_shard,
                   .shards = shards,
                   .first_image = first_shard * per_shard,
                   .images = shards * per_shard};
  const Kernels *k = s->device->kernels;
  bool ok = batch_create(&s->input, c, s->device, s->images, e);
  if (ok) ok = (s->state = carve_alloc(s->device, sizeof *s->state, "step state", e));
  if (ok)
    ok = (s->rate_table = carve_alloc(s->device, rate_count * sizeof *rates, "learning rates", e));
  if (ok && !(s->losses = malloc((size_t)c->train.batch * sizeof *s->losses)))
    ok = error_set(e, EXIT_DEVICE, "out of memory for the losses of %d images", c->train.batch);
  if (!ok) {
    step_destroy(s);
    return false;
  }
  k->upload(s->device, s->rate_table, rates, rate_count * sizeof *rates);
  StepState start = {.loss_scale = c->train.precision == PRECISION_FP16 ? 65536.0f : 1.0f};
  step_set_state(s, &start);
  return true;
}

void step_destroy(TrainStep *s) {
  if (!s->device) return;
  batch_destroy(&s->input);
  if (s->state) s->device->kernels->free(s->device, s->state);
  if (s->rate_table) s->device->kernels->free(s->device, s->rate_table);
  free(s->losses);
  *s = (TrainStep){0};
}

void step_set_state(TrainStep *s, const StepState *state) {
  s->device->kernels->upload(s->device, s->state, state, sizeof *state);
}

static void compute_gradients(TrainStep *s) {
  const Config *c = s->config;
  int micro = model_micro_batch(c), done = 0;
  float factor = (float)(1.0 / ((double)c->train.batch * counted_patches(c)));
  for (int shard = 0; shard < s->shards; shard++)
    for (int i = 0; i < c->train.accumulate; i++, done += micro) {
      s->model->ready = done + micro == s->images ? s->ready : NULL;
      s->model->ready_user = s->user;
      Batch batch = batch_view(&s->input, done, micro);
      model_forward(s->model, &batch);
      model_loss(s->model, &batch, s->first_image + done, factor, s->state, true);
      model_backward(s->model, &batch, shard > 0, i > 0 || shard > 1);
    }
}

static void update_weights(TrainStep *s) {
  const Config *c = s->config;
  Model *m = s->model;
  const Kernels *k = s->device->kernels;
  k->gradient_norm(s->device, s->state, m->grads[0], m->grads[1], m->table.trainable);
  k->adamw(s->device, &(AdamW){
                          .param = m->params,
                          .m = m->m,
                          .v = m->v,
                          .param16 = m->params16,
                          .type = config_dtype(c),
                          .grad_a = m->grads[0],
                          .grad_b = m->grads[1],
                          .count = m->table.trainable,
                          .decayed = m->table.decayed,
                          .state = s->state,
                          .rate_table = s->rate_table,
                          .beta1 = (float)c->train.beta1,
                          .beta2 = (float)c->train.beta2,
                          .epsilon = (float)c->train.eps,
                          .weight_decay = (float)c->train.weight_decay,
                          .clip = (float)c->train.clip,
                          .dynamic_scale = c->train.precision == PRECISION_FP16,
                      });
}

void step_run(TrainStep *s) {
  compute_gradients(s);
  if (s->exchange) s->exchange(s->user, s->model);
  update_weights(s);
}

bool step_result(TrainStep *s, StepState *state, double *loss, Error *e) {
  const Config *c = s->config;
  const Kernels *k = s->device->kernels;
  char message[512];
  k->download(s->device, state, s->state, sizeof *state);
  k->download(s->device, s->losses, s->model->image_loss,
              (size_t)c->train.batch * sizeof *s->losses);
  if (!k->synchronize(s->device, message, sizeof message))
    return error_set(e, EXIT_DEVICE, "%s", message);
  double sum = 0;
  for (int i = 0; i < c->train.batch; i++) sum += s->losses[i];
  *loss = sum / ((double)c->train.batch * counted_patches(c));
  return true;
}
