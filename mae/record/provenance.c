/* provenance.c - asks the build, the libraries, the kernel and the device who they are. */
#include "mae/record/provenance.h"
#include "mae/base/sha256.h"

#include <ctype.h>
#include <gnu/libc-version.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
/* jpeglib.h needs <stdio.h> and jansson.h brings it. */
#include <jpeglib.h>
#include <openssl/crypto.h>
#include <png.h>

#include "build_info.h"

bool provenance_binary_hash(char hex[65], Error *e) {
  return sha256_file(hex, "/proc/self/exe", e);
}

/* The value of the first "name : value" line of a /proc file; empty when there is none. */
static void proc_value(Text *text, const char *path, const char *name) {
  FILE *f = fopen(path, "r");
  char *line = NULL;
  size_t capacity = 0, length = strlen(name);
  while (f && !text->length && getline(&line, &capacity, f) > 0) {
    char *colon = strchr(line, ':');
    if (!colon || strncmp(line, name, length) || isalnum((unsigned char)line[length])) continue;
    char *value = colon + 1 + strspn(colon + 1, " \t");
    text_add(text, value, strcspn(value, "\n"));
  }
  free(line);
  if (f) fclose(f);
  text_add(text, "", 1);
}

/* The instruction sets on which the numeric libraries choose their code paths. */
static const char *const cpu_features[] = {
    "sse4_2",      "avx",      "f16c",     "fma",      "avx2",        "avx512f",
    "avx512bw",    "avx512dq", "avx512vl", "avx_vnni", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "sha_ni",      "asimd",
    "asimdhp",     "bf16",     "sve",      "sve2"};

static void write_cpu(EventLog *log) {
  Text model = {0}, flags = {0}, kept = {0};
  proc_value(&model, "/proc/cpuinfo", "model name");
  proc_value(&flags, "/proc/cpuinfo", "flags");
  if (flags.length < 2) { /* as ARM calls them */
    flags.length = 0;
    proc_value(&flags, "/proc/cpuinfo", "Features");
  }
  char *rest = flags.bytes;
  for (char *flag; rest && (flag = strsep(&rest, " "));)
    for (size_t i = 0; i < sizeof cpu_features / sizeof *cpu_features; i++)
      if (!strcmp(flag, cpu_features[i])) text_format(&kept, "%s%s", kept.length ? " " : "", flag);
  text_add(&kept, "", 1);
  event_string(log, "cpu", model.failed ? "" : model.bytes);
  event_string(log, "cpu_features", kept.failed ? "" : kept.bytes);
  text_free(&model);
  text_free(&flags);
  text_free(&kept);
}

void provenance_libraries(char *text, size_t size) {
  snprintf(text, size, "libjpeg-turbo %d.%d.%d, libpng %s, OpenSSL %s, jansson %s, glibc %s",
           LIBJPEG_TURBO_VERSION_NUMBER / 1000000, LIBJPEG_TURBO_VERSION_NUMBER / 1000 % 1000,
           LIBJPEG_TURBO_VERSION_NUMBER % 1000, png_get_libpng_ver(NULL),
           OpenSSL_version(OPENSSL_VERSION_STRING), jansson_version_str(), gnu_get_libc_version());
}

static void write_libraries(EventLog *log, const DeviceInfo *info) {
  char libraries[256], text[sizeof info->libraries + sizeof libraries + 2];
  provenance_libraries(libraries, sizeof libraries);
  snprintf(text, sizeof text, "%s, %s", info->libraries, libraries);
  event_string(log, "libraries", text);
}

static bool env_matters(const char *entry) {
  static const char *const prefixes[] = {"OMP_",
                                         "GOMP_",
                                         "KMP_",
                                         "CUDA_",
                                         "NVIDIA_",
                                         "NCCL_",
                                         "ONEDNN_",
                                         "DNNL_",
                                         "CUBLAS",
                                         "MKL_",
                                         "MALLOC_",
                                         "LD_PRELOAD=",
                                         "LD_LIBRARY_PATH=",
                                         "GLIBC_TUNABLES="};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    if (!strncmp(entry, prefixes[i], strlen(prefixes[i]))) return strchr(entry, '=') != NULL;
  return false;
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted by name, so that equal environments are equal text. */
static void write_environment(EventLog *log) {
  size_t count = 0;
  while (environ[count]) count++;
  char **kept = calloc(count + 1, sizeof *kept);
  if (!kept) return;
  size_t n = 0;
  for (size_t i = 0; i < count; i++)
    if (env_matters(environ[i])) kept[n++] = environ[i];
  qsort(kept, n, sizeof *kept, by_text);
  event_object(log, "env");
  for (size_t i = 0; i < n; i++) {
    char name[128];
    size_t length = (size_t)(strchr(kept[i], '=') - kept[i]);
    snprintf(name, sizeof name, "%.*s", (int)(length < 127 ? length : 127), kept[i]);
    event_string(log, name, kept[i] + length + 1);
  }
  event_object_end(log);
  free(kept);
}

void provenance_write(EventLog *log, const Config *config, Device *device) {
  event_string(log, "version", BUILD_VERSION);
  event_string(log, "git_commit", BUILD_GIT_COMMIT);
  event_bool(log, "git_dirty", BUILD_GIT_DIRTY);
  event_string(log, "git_diff_sha256", BUILD_GIT_DIFF_SHA256);
  event_string(log, "compiler", BUILD_COMPILER);
  event_string(log, "flags", BUILD_FLAGS);

  DeviceInfo info = {0};
  device->kernels->info(device, &info);
  write_libraries(log, &info);
  write_cpu(log);
  struct utsname os;
  char kernel[256] = "";
  if (!uname(&os))
    snprintf(kernel, sizeof kernel, "%.60s %.100s %.60s", os.sysname, os.release, os.machine);
  event_string(log, "kernel", kernel);
  char hostname[256] = "";
  gethostname(hostname, sizeof hostname - 1);
  event_string(log, "hostname", hostname);

  bool gpu = strcmp(device->kernels->name, "cpu") != 0;
  Text driver = {0};
  if (gpu) proc_value(&driver, "/proc/driver/nvidia/version", "NVRM version");
  event_string(log, "device", device->kernels->name);
  event_string(log, "device_features", info.features);
  event_string(log, "gpu", gpu ? info.name : "");
  event_string(log, "driver", gpu && !driver.failed ? driver.bytes : "");
  text_free(&driver);
  event_int(log, "threads", info.threads);
  event_int(log, "ranks", config->train.ranks);
  write_environment(log);
}
