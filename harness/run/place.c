/* place.c - shares GPUs or the processor out among trials that run side by side. */
#include "harness/run/place.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "mae/model/device.h"

static int at_most(int count, int limit) {
  return limit > 0 && limit < count ? limit : count;
}

static void share_threads(Places *places, const Config *config) {
  int share = device_threads(config, places->count);
  for (int p = 0; places->count > 1 && p < places->count; p++) places->list[p].threads = share;
}

static void make_list(Places *places, int count) {
  places->count = count;
  places->list = need(calloc((size_t)count, sizeof *places->list));
}

/* "0,1": the GPUs of a place. */
static char *join(const StringList *names, int first, int count) {
  char *list = string_copy(names->items[first]);
  for (int i = 1; i < count; i++) {
    char *longer = string_format("%s,%s", list, names->items[first + i]);
    free(list);
    list = longer;
  }
  return list;
}

static void name_gpus(StringList *names, int count) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  if (visible) strings_split(names, visible, ",");
  while (names->count < count) strings_add(names, string_format("%d", names->count));
}

static bool check_memory(const Config *config, size_t memory, const Gpus *gpus, Error *e) {
  double need = (double)memory * config->resources.jobs_per_gpu, there = (double)gpus->memory_total;
  if (there == 0 || need <= there) return true;
  return error_set(e, EXIT_DATA,
                   "resources.jobs_per_gpu = %d: so many trials of %.1f GiB do not fit on %s with "
                   "%.1f GiB",
                   config->resources.jobs_per_gpu, (double)memory / 0x1p30, gpus->name,
                   there / 0x1p30);
}

static bool make_on_gpus(Places *places, const Config *config, size_t memory, int jobs,
                         const Gpus *gpus, Error *e) {
  int each = config->resources.gpus_per_trial, shared = config->resources.jobs_per_gpu;
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  if (each > gpus->count)
    return error_set(e, EXIT_DATA,
                     "resources.gpus_per_trial = %d, but this machine has %d usable "
                     "GPU%s%s%s%s",
                     each, gpus->count, gpus->count == 1 ? "" : "s",
                     visible ? " with CUDA_VISIBLE_DEVICES=" : "", visible ? visible : "",
                     gpus->count == 1 ? "; --set resources.gpus_per_trial=1 trains on one" : "");
  if (shared > 1 && !check_memory(config, memory, gpus, e)) return false;
  StringList names = {0};
  name_gpus(&names, gpus->count);
  int most = each > 1 ? gpus->count / each : gpus->count * shared;
  make_list(places, at_most(most, jobs));
  for (int p = 0; p < places->count; p++) {
    /* The first of the shared places lie on different GPUs. */
    places->list[p].gpus =
        each > 1 ? join(&names, p * each, each) : string_copy(names.items[p % gpus->count]);
    places->list[p].ranks = each;
  }
  strings_free(&names);
  return true;
}

/* run.device = cuda:N: the user has chosen the GPU. */
static bool make_on_chosen(Places *places, const Config *config, size_t memory, int jobs,
                           const Gpus *gpus, int first, Error *e) {
  int each = config->resources.gpus_per_trial, shared = config->resources.jobs_per_gpu;
  if (first + each > gpus->count)
    return error_set(e, EXIT_DATA,
                     "run.device = %s with resources.gpus_per_trial = %d, but this machine has %d "
                     "usable GPU%s",
                     config->run.device, each, gpus->count, gpus->count == 1 ? "" : "s");
  if (shared > 1 && !check_memory(config, memory, gpus, e)) return false;
  make_list(places, at_most(shared, jobs));
  for (int p = 0; p < places->count; p++) places->list[p].ranks = each;
  return true;
}

bool places_make(Places *places, const Config *config, size_t memory, int jobs, const Gpus *gpus,
                 Error *e) {
  const char *device = config->run.device;
  int first;
  *places = (Places){0};
  bool chosen = sscanf(device, "cuda:%d", &first) == 1, any = !strcmp(device, "cuda");
  if (*config->resources.launcher) {
    make_list(places, jobs > 0 ? jobs : 1);
    places->elsewhere = true;
    return true;
  }
  if ((chosen || any) && gpus->count == 0)
    return error_set(e, EXIT_DATA, "run.device = %s, but there is no usable GPU here%s%s", device,
                     *gpus->problem ? ": " : "", gpus->problem);
  if (!strcmp(device, "cpu") || gpus->count == 0) {
    make_list(places, jobs > 0 ? jobs : 1);
  } else {
    bool ok = chosen ? make_on_chosen(places, config, memory, jobs, gpus, first, e)
                     : make_on_gpus(places, config, memory, jobs, gpus, e);
    if (!ok) return false;
  }
  share_threads(places, config);
  return true;
}

bool places_accept(const Config *config, const Gpus *gpus, Error *e) {
  if (config_dtype(config) == DTYPE_F32 || *config->resources.launcher) return true;
  if (strcmp(config->run.device, "cpu") && gpus->count > 0) {
    DeviceInfo info = {.has_f16 = true, .has_bf16 = gpus->has_bf16};
    memcpy(info.name, gpus->name, sizeof gpus->name);
    return device_accepts(config, "cuda:0", &info, e);
  }
  if (!strncmp(config->run.device, "cuda", 4)) return true;
  Device *device = device_open(config, 0, 1, e);
  if (device) device->kernels->close(device);
  return device != NULL;
}

void places_free(Places *places) {
  for (int p = 0; p < places->count; p++) free(places->list[p].gpus);
  free(places->list);
  *places = (Places){0};
}

void places_describe(const Places *places, char *text, size_t size) {
  size_t used = 0;
  const Place *first = &places->list[0];
  if (places->elsewhere)
    snprintf(text, size, "what resources.launcher chooses, %d at a time", places->count);
  else if (!first->gpus && places->count == 1)
    snprintf(text, size, "%s", first->ranks ? "the chosen GPU" : "the CPU");
  else if (!first->gpus)
    snprintf(text, size, "%d places of %d threads", places->count, first->threads);
  for (int p = 0; first->gpus && p < places->count && used < size; p++)
    used += (size_t)snprintf(text + used, size - used, "%sGPU %s", p ? " | " : "",
                             places->list[p].gpus);
}
