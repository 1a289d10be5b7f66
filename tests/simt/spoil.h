/* spoil.h - a run whose next step cannot be computed: weights of its newest checkpoint are replaced
 * by numbers too large. */
#ifndef TESTS_SIMT_SPOIL_H
#define TESTS_SIMT_SPOIL_H

#include "mae/model/device.h"
#include "mae/record/checkpoint.h"
#include "mae/record/run_folder.h"
#include "tests/run_mae.h"

/* Every weight of the decoder's last layer becomes `weight`; and the loss scale is set. */
static inline void spoil_checkpoint(const char *name, float weight, float loss_scale) {
  char folder[PATH_SIZE], weights[CONFIG_PATH_MAX];
  Config config;
  Model model;
  StepState state;
  bool found;
  Error e = {0};
  in_folder(folder, name);
  ck_assert_msg(run_folder_locate(weights, &config, folder, &e), "%s", e.message);
  strcpy(config.run.device, "cpu");
  config.run.emulate = true;
  Device *device = device_open(&config, 0, 1, &e);
  ck_assert_msg(device != NULL, "%s", e.message);
  ck_assert_msg(model_create(&model, &config, device, true, &e), "%s", e.message);
  ck_assert_msg(checkpoint_resume(folder, &model, &state, &found, &e), "%s", e.message);
  ck_assert(found);
  const Param *p = params_find(&model.table, "decoder_pred.weight");
  for (size_t i = 0; i < p->count; i++) model.params[p->offset + i] = weight;
  state.loss_scale = loss_scale;
  ck_assert_msg(checkpoint_save(folder, &model, &state, &e), "%s", e.message);
  model_destroy(&model);
  device->kernels->close(device);
}

#endif
