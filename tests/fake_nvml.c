/* Takes the place of libnvidia-ml.so.1 where MAEBENCH_NVML names it: two GPUs, as FAKE_NVML says at
 * every call: counter, power (no counter), none (neither), lost (no such GPU any more), absent (no
 * driver), hang, crash. FAKE_NVML_WATTS is what each takes (default 100), FAKE_NVML_JOULES what the
 * counter shows (default: so many watts since the library was loaded), FAKE_NVML_PROCESSES who
 * computes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct nvmlDevice_st Gpu;

int nvmlInit_v2(void);
int nvmlShutdown(void);
const char *nvmlErrorString(int);
int nvmlSystemGetDriverVersion(char *, unsigned);
int nvmlDeviceGetCount_v2(unsigned *);
int nvmlDeviceGetHandleByIndex_v2(unsigned, Gpu **);
int nvmlDeviceGetHandleByPciBusId_v2(const char *, Gpu **);
int nvmlDeviceGetName(Gpu *, char *, unsigned);
int nvmlDeviceGetMemoryInfo(Gpu *, unsigned long long *);
int nvmlDeviceGetTotalEnergyConsumption(Gpu *, unsigned long long *);
int nvmlDeviceGetPowerUsage(Gpu *, unsigned *);
int nvmlDeviceGetComputeRunningProcesses_v3(Gpu *, unsigned *, void *);

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, NO_DRIVER = 9, LOST = 15 };

static char gpus[2];
static struct timespec loaded;

static int is(const char *word) {
  const char *mode = getenv("FAKE_NVML");
  return !strcmp(mode ? mode : "counter", word);
}

static double number(const char *variable, double usual) {
  const char *text = getenv(variable);
  return text ? atof(text) : usual;
}

int nvmlInit_v2(void) {
  clock_gettime(CLOCK_MONOTONIC, &loaded);
  while (is("hang")) pause();
  if (is("crash")) abort();
  return is("absent") ? NO_DRIVER : SUCCESS;
}

int nvmlShutdown(void) {
  return SUCCESS;
}

const char *nvmlErrorString(int result) {
  return result == NO_DRIVER       ? "Driver Not Loaded"
         : result == LOST          ? "GPU is lost"
         : result == NOT_SUPPORTED ? "Not Supported"
                                   : "Not Found";
}

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
  snprintf(text, size, "999.10.20");
  return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
  *count = is("none") ? 0 : 2;
  return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Gpu **gpu) {
  if (index >= 2) return NOT_FOUND;
  *gpu = (Gpu *)&gpus[index];
  return SUCCESS;
}

/* GPUs of tests/simt are at bus 1 and up. */
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, Gpu **gpu) {
  return nvmlDeviceGetHandleByIndex_v2(strstr(bus, ":01:") ? 0 : strstr(bus, ":02:") ? 1 : 9, gpu);
}

int nvmlDeviceGetName(Gpu *gpu, char *text, unsigned size) {
  snprintf(text, size, "Fake T%d", 4 * (1 + (int)((char *)gpu - gpus)));
  return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(Gpu *gpu, unsigned long long *total_free_used) {
  (void)gpu;
  total_free_used[0] = 15ull << 30;
  total_free_used[1] = 14ull << 30;
  total_free_used[2] = 1ull << 30;
  return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(Gpu *gpu, unsigned long long *millijoules) {
  (void)gpu;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double seconds =
      (double)(now.tv_sec - loaded.tv_sec) + 1e-9 * (double)(now.tv_nsec - loaded.tv_nsec);
  double joules = number("FAKE_NVML_JOULES", 1000 + number("FAKE_NVML_WATTS", 100) * seconds);
  *millijoules = (unsigned long long)(1e3 * joules);
  return is("counter") ? SUCCESS : is("lost") ? LOST : NOT_SUPPORTED;
}

int nvmlDeviceGetPowerUsage(Gpu *gpu, unsigned *milliwatts) {
  (void)gpu;
  *milliwatts = (unsigned)(1e3 * number("FAKE_NVML_WATTS", 100));
  return is("power") ? SUCCESS : is("lost") ? LOST : NOT_SUPPORTED;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Gpu *gpu, unsigned *count, void *records) {
  (void)gpu, (void)records;
  *count = (unsigned)number("FAKE_NVML_PROCESSES", 1);
  return *count ? TOO_SMALL : SUCCESS;
}
