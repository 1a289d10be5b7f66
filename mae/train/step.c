/* step.c - a step's operations in their order, and the two buffers that let the next one begin. */
#include "mae/train/step.h"

#include "mae/model/device.h"

/* What is read back of a step. */
struct StepResult {
  StepState state;
  float losses[]; /* [train.batch] */
};

/* Marks of a slot: its input is there; its input has been read; its result is there. */
enum { MARK_FILLED = 0, MARK_READ = STEP_SLOTS, MARK_RESULT = 2 * STEP_SLOTS };
_Static_assert(3 * STEP_SLOTS <= DEVICE_MARKS, "a device has too few marks");

static int slots_on(bool gpu) {
  return gpu ? STEP_SLOTS : 1;
}

size_t step_memory(const Config *config, bool gpu) {
  int held = config->train.batch / config->train.ranks;
  return (size_t)(slots_on(gpu) - 1) * batch_memory(config, held, config_kept(config));
}

bool step_create(TrainStep *s, Model *m, int first_shard, int shards, const float *rates,
                 size_t rate_count, Error *e) {
  const Config *config = m->config;
  int per_shard = config->train.batch / config->train.shards;
  *s = (TrainStep){.config = config,
                   .model = m,
                   .device = m->device,
                   .first_shard = first_shard,
                   .shards = shards,
                   .first_image = first_shard * per_shard,
                   .images = shards * per_shard,
                   .slots = slots_on(!m->device->kernels->host_memory)};
  const Kernels *k = s->device->kernels;
  bool ok = true;
  for (int i = 0; ok && i < s->slots; i++)
    ok = batch_create(&s->inputs[i], config, s->device, s->images, config_kept(config), e);
  if (ok) ok = (s->state = device_alloc(s->device, sizeof *s->state, "step state", e));
  if (ok)
    ok = (s->rate_table = device_alloc(s->device, rate_count * sizeof *rates, "learning rates", e));
  size_t bytes = sizeof(struct StepResult) + (size_t)config->train.batch * sizeof(float);
  for (int i = 0; ok && i < STEP_SLOTS; i++)
    if (!(s->results[i] = k->host_alloc(s->device, bytes)))
      ok = error_set(e, EXIT_DEVICE, "out of memory for the losses of %d images",
                     config->train.batch);
  if (!ok) {
    step_destroy(s);
    return false;
  }
  k->upload(s->device, s->rate_table, rates, rate_count * sizeof *rates);
  StepState start = {.loss_scale = config_loss_scale(config)};
  step_set_state(s, &start);
  return true;
}

void step_destroy(TrainStep *s) {
  if (!s->device) return;
  const Kernels *k = s->device->kernels;
  for (int i = 0; i < STEP_SLOTS; i++) {
    k->forget(s->device, &s->recordings[i]);
    if (s->inputs[i].arena) batch_destroy(&s->inputs[i]);
    if (s->results[i]) k->host_free(s->device, s->results[i]);
  }
  if (s->state) k->free(s->device, s->state);
  if (s->rate_table) k->free(s->device, s->rate_table);
  *s = (TrainStep){0};
}

void step_set_state(TrainStep *s, const StepState *state) {
  s->device->kernels->upload(s->device, s->state, state, sizeof *state);
}

static void compute_gradients(TrainStep *s) {
  const Config *config = s->config;
  int micro = model_micro_batch(config), done = 0;
  float factor = (float)(1.0 / ((double)config->train.batch * config_counted(config)));
  for (int shard = 0; shard < s->shards; shard++)
    for (int i = 0; i < config->train.accumulate; i++, done += micro) {
      s->model->ready = done + micro == s->images ? s->exchange.ready : NULL;
      s->model->ready_user = s->exchange.user;
      Batch batch = batch_view_training(&s->inputs[s->slot], done, micro);
      model_forward(s->model, &batch);
      model_loss(s->model, &batch, s->first_image + done, factor, s->state, true);
      model_backward(s->model, &batch, shard > 0, i > 0 || shard > 1);
    }
}

static void update_weights(TrainStep *s) {
  const Config *config = s->config;
  Model *m = s->model;
  const Kernels *k = s->device->kernels;
  k->gradient_norm(s->device, s->state, m->grads[0], m->grads[1], m->table.trainable);
  k->adamw(s->device, &(AdamW){
                          .param = m->params,
                          .m = m->m,
                          .v = m->v,
                          .param16 = m->params16,
                          .type = config_dtype(config),
                          .grad_a = m->grads[0],
                          .grad_b = m->grads[1],
                          .count = m->table.trainable,
                          .decayed = m->table.decayed,
                          .state = s->state,
                          .rate_table = s->rate_table,
                          .beta1 = (float)config->train.beta1,
                          .beta2 = (float)config->train.beta2,
                          .epsilon = (float)config->train.eps,
                          .weight_decay = (float)config->train.weight_decay,
                          .clip = (float)config->train.clip,
                          .dynamic_scale = config_loss_scale(config) > 1,
                      });
}

static void compute(void *user) {
  TrainStep *s = user;
  compute_gradients(s);
  if (s->exchange.run) s->exchange.run(s->exchange.user, s->model);
  update_weights(s);
}

BatchBuffers *step_input(TrainStep *s) {
  const Kernels *k = s->device->kernels;
  if (!s->filling) {
    s->slot = (s->slot + 1) % s->slots;
    s->filling = true;
    k->use_queue(s->device, QUEUE_INPUT);
    k->wait_mark(s->device, MARK_READ + s->slot);
  }
  return &s->inputs[s->slot];
}

void step_run(TrainStep *s) {
  const Kernels *k = s->device->kernels;
  if (s->filling) {
    s->filling = false;
    k->mark(s->device, MARK_FILLED + s->slot);
    k->use_queue(s->device, QUEUE_COMPUTE);
    k->wait_mark(s->device, MARK_FILLED + s->slot);
  }
  /* An exchange through the host cannot be captured in a CUDA graph. */
  if (s->exchange.run && !s->exchange.only_queues)
    compute(s);
  else
    k->repeat(s->device, &s->recordings[s->slot], compute, s);
  k->mark(s->device, MARK_READ + s->slot);
  int turn = (int)(s->queued++ % STEP_SLOTS);
  struct StepResult *result = s->results[turn];
  k->download_later(s->device, &result->state, s->state, sizeof result->state);
  k->download_later(s->device, result->losses, s->model->image_loss,
                    (size_t)s->config->train.batch * sizeof *result->losses);
  k->mark(s->device, MARK_RESULT + turn);
}

bool step_result(TrainStep *s, int back, StepState *state, double *loss, Error *e) {
  const Config *config = s->config;
  char message[512];
  int turn = (int)((s->queued - 1 - (uint64_t)back) % STEP_SLOTS);
  const struct StepResult *result = s->results[turn];
  if (!s->device->kernels->reach_mark(s->device, MARK_RESULT + turn, message, sizeof message))
    return error_set(e, EXIT_DEVICE, "%s", message);
  double sum = 0;
  for (int i = 0; i < config->train.batch; i++) sum += result->losses[i];
  *state = result->state;
  *loss = sum / ((double)config->train.batch * config_counted(config));
  return true;
}
