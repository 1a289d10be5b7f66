/* memory.c - adds up what each part says it takes, and looks for the setting that would fit. */
#include "mae/train/memory.h"

#include <stdio.h>

#include "mae/data/pool.h"
#include "mae/evaluate/evaluate.h"
#include "mae/model/device.h"
#include "mae/probe/probe.h"
#include "mae/train/step.h"

static int fewer(int wanted, int there) {
  return wanted > 0 && (wanted < there || there == 0) ? wanted : there;
}

static size_t probe_share(const Config *config, const Dataset *dataset, bool gpu) {
  int train = dataset ? dataset->train_count : config_train_images(config);
  int eval = dataset ? dataset->eval_count : 0, classes = 0;
  for (int i = 0; dataset && i < dataset->train_count; i++)
    if (dataset->train[i].label >= classes) classes = dataset->train[i].label + 1;
  ProbeMemory memory = probe_memory(config, fewer(config->probe.train_images, train),
                                    fewer(config->probe.eval_images, eval), classes);
  return memory.device + (gpu ? 0 : memory.host);
}

MemoryPlan memory_plan(const Config *config, const Dataset *dataset) {
  bool gpu = device_is_gpu(config);
  MemoryPlan p = {
      .model = model_memory(config, true),
      .input = step_memory(config, gpu),
      .evaluation = evaluator_memory(config),
      .probe = probe_share(config, dataset, gpu),
      .images = gpu || config_packs_files(config) ? POOL_STAGE_BYTES : 0,
      .own = gpu ? backend_own_memory("cuda") : 0,
      .later = gpu ? backend_later_memory("cuda") : 0,
  };
  p.total = p.model.total + p.input + p.evaluation + p.probe + p.images + p.own + p.later;
  return p;
}

static void advise(char *advice, size_t size, const Config *config, const Dataset *dataset,
                   size_t available) {
  Config smaller = *config;
  MemoryPlan plan = memory_plan(config, dataset);
  if (plan.total - plan.probe <= available) {
    for (int images = 1 << 20; images >= 256; images /= 2) {
      smaller.probe.train_images = images;
      if (memory_plan(&smaller, dataset).total > available) continue;
      snprintf(advice, size, "probe.train_images = %d would fit", images);
      return;
    }
    snprintf(advice, size, "probe.method = off would fit");
    return;
  }
  int per_shard = config->train.batch / config->train.shards;
  for (int parts = config->train.accumulate + 1; parts <= per_shard; parts++) {
    if (per_shard % parts) continue;
    smaller.train.accumulate = parts;
    if (memory_plan(&smaller, dataset).total > available) continue;
    snprintf(advice, size, "train.accumulate = %d would fit", parts);
    return;
  }
  smaller.train.accumulate = 1;
  for (int batch = config->train.batch / 2; batch >= config->train.shards; batch /= 2) {
    smaller.train.batch = batch - batch % config->train.shards;
    if (memory_plan(&smaller, dataset).total > available) continue;
    snprintf(advice, size, "train.batch = %d would fit", smaller.train.batch);
    return;
  }
  snprintf(advice, size, "the model itself is too large for this device");
}

bool memory_check(const Config *config, const Dataset *dataset, Device *device, Error *e) {
  DeviceInfo info;
  char advice[128];
  MemoryPlan plan = memory_plan(config, dataset);
  device->kernels->info(device, &info);
  if (info.memory_free == 0) return true;
  size_t available = info.memory_free + plan.own; /* an open device has its own already */
  if (plan.total <= available) return true;
  advise(advice, sizeof advice, config, dataset, available);
  return error_set(e, EXIT_DEVICE, "this run needs %.0f MiB and %.0f MiB are free (%s); %s",
                   (double)plan.total / 0x1p20, (double)available / 0x1p20, info.name, advice);
}
