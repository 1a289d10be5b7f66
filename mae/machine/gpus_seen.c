/* gpus_seen.c - asks NVML, which takes no memory on a GPU, and CUDA for what NVML cannot say. */
#include "mae/machine/gpus_seen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernels/backend.h"
#include "mae/base/clock.h"
#include "mae/machine/energy.h"

static const double patience = 5; /* seconds */

/* False when NVML knows of none. */
static bool list_by_nvml(FILE *out) {
  char problem[256], name[96], driver[96];
  double bytes = 0;
  Nvml *nvml = nvml_open(energy_places().nvml, problem, sizeof problem);
  int count = nvml ? nvml_count(nvml) : 0;
  if (count <= 0) return false;
  for (int i = 0; i < count; i++) {
    bool known = nvml_describe(nvml, i, name, sizeof name, &bytes);
    fprintf(out, "%d: %s", i, known ? name : "not known");
    if (known && bytes > 0) fprintf(out, ", %.1f GiB", bytes / 0x1p30);
    fputs("; ", out);
  }
  nvml_driver(nvml, driver, sizeof driver);
  fprintf(out, "driver %s", *driver ? driver : "not known");
  return true;
}

/* Where the driver is there without NVML, as in some containers. */
static void list_by_cuda(FILE *out, int count) {
  char problem[512];
  DeviceInfo info;
  Device *device = backend_open("cuda:0", 0, false, problem, sizeof problem);
  if (!device) {
    fprintf(out, "%d, but cuda:0 cannot be used: %s", count, problem);
    return;
  }
  device->kernels->info(device, &info);
  fprintf(out, "0: %s, %.1f GiB", info.name, (double)info.memory_total / 0x1p30);
  if (count > 1) fprintf(out, "; and %d more", count - 1);
}

static void look(FILE *out) {
  char problem[512] = "";
  bool listed = list_by_nvml(out);
  int usable = backend_cuda_count();
  if (usable > 0) {
    if (!listed) list_by_cuda(out, usable);
    return;
  }
  backend_open("cuda:0", 0, false, problem, sizeof problem);
  fprintf(out, "%s%s", listed ? "; not used here: " : "no GPU: ", problem);
}

/* Reads until the child closes its end; false when the time is over. */
static bool receive(int from, char text[GPUS_SEEN_MAX]) {
  size_t length = 0;
  double until = clock_seconds() + patience;
  for (;;) {
    struct pollfd wait = {.fd = from, .events = POLLIN};
    double left = until - clock_seconds();
    if (left <= 0) return false;
    int ready = poll(&wait, 1, (int)(1000 * left) + 1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) continue; /* and the time is over */
    ssize_t n = read(from, text + length, GPUS_SEEN_MAX - 1 - length);
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) length += (size_t)n;
    text[length] = 0;
    if (n <= 0 || length == GPUS_SEEN_MAX - 1) return true;
  }
}

/* It has none of this program's streams: were it to hang for good, who reads them would wait for
 * their end. */
_Noreturn static void become_looker(int to) {
  int null = open("/dev/null", O_RDWR);
  for (int stream = 0; stream < 3; stream++) dup2(null, stream);
  alarm(60); /* when nobody is left to end it */
  FILE *out = fdopen(to, "w");
  if (out) {
    look(out);
    fclose(out);
  }
  _exit(0);
}

void gpus_seen(char text[GPUS_SEEN_MAX]) {
  int ends[2];
  snprintf(text, GPUS_SEEN_MAX, "not known: no process could be started to look");
  if (pipe(ends) != 0) return;
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    become_looker(ends[1]);
  }
  close(ends[1]);
  bool answered = child > 0 && receive(ends[0], text);
  close(ends[0]);
  if (child < 0) return;
  if (!answered)
    snprintf(text, GPUS_SEEN_MAX, "no GPU: the driver has not answered for %.0f s", patience);
  else if (!*text)
    snprintf(text, GPUS_SEEN_MAX, "no GPU: the driver crashed when it was asked");
  /* One that hangs inside the driver may not end, and is not waited for. */
  if (!answered) kill(child, SIGKILL);
  waitpid(child, NULL, WNOHANG);
}
