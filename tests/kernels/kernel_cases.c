/* kernel_cases - runs the list of cases.h on a device.
 *
 *   kernel_cases [--device cuda:0] [--only TEXT] [--below MFLOP] [--once] [--speed] [--list]
 *     [--plant value|nan|guard|input]
 *
 * --only: the cases with this in their title, which --list prints: "attention_forward bf16".
 * Exit 0 when every case passed, 1 when one failed, 2 when the list could not be run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/kernels/cases.h"

static const Operation *const lists[] = {
    elementwise_operations, layernorm_operations, attention_operations,
    linear_operations,      tokens_operations,    patches_operations,
    pictures_operations,    optimizer_operations, probe_operations};

enum { RUNS = 3 }; /* of a case; --once: one */

typedef struct Options {
  const char *device, *only;
  double below; /* Mflop; 0: no limit */
  bool once, speed, list;
  Plant plant;
} Options;

typedef struct Tally {
  int cases, failed;
  double worst, seconds;
} Tally;

static bool parse(Options *o, int argc, char **argv) {
  static const char *const plants[] = {"none", "value", "nan", "guard", "input"};
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (!strcmp(argv[i], "--once")) {
      o->once = true;
    } else if (!strcmp(argv[i], "--speed")) {
      o->speed = true;
    } else if (!strcmp(argv[i], "--list")) {
      o->list = true;
    } else if (value && !strcmp(argv[i], "--device")) {
      o->device = argv[++i];
    } else if (value && !strcmp(argv[i], "--only")) {
      o->only = argv[++i];
    } else if (value && !strcmp(argv[i], "--below")) {
      o->below = atof(argv[++i]);
    } else if (value && !strcmp(argv[i], "--plant")) {
      int found = -1;
      for (int p = 0; p < CASE_COUNT(plants); p++)
        if (!strcmp(value, plants[p])) found = p;
      if (found < 0) return false;
      o->plant = (Plant)found;
      i++;
    } else {
      return false;
    }
  }
  return true;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_case(const Options *o, Device *device, Device *cpu, Case *c, Tally *tally) {
  char title[256];
  case_title(c, title, sizeof title);
  if (o->below > 0 && c->flops > o->below * 1e6) return;
  tally->cases++;
  if (o->list) {
    printf("%s\n", title);
    return;
  }
  CaseResult result;
  bool passed = o->speed ? case_time(c, device, &result)
                         : case_check(c, device, cpu, o->once ? 1 : RUNS, o->plant, &result);
  if (!passed) {
    tally->failed++;
    printf("FAIL %s: %s\n", title, result.failure);
  } else if (o->speed) {
    printf("%-70s %10.1f us %8.1f GB/s %9.1f GFLOP/s\n", title, result.seconds * 1e6,
           case_bytes_moved(c) / result.seconds * 1e-9, c->flops / result.seconds * 1e-9);
  }
  if (result.worst > tally->worst) tally->worst = result.worst;
}

static bool asked_for(const Options *o, const Operation *op, Dtype type, const int *size) {
  char title[256];
  case_title(&(Case){.op = op, .type = type, .size = size}, title, sizeof title);
  return !o->only || strstr(title, o->only);
}

/* bf16 is not there below compute capability 8.0; the CPU widens it. */
static bool has_type(Device *device, Dtype type) {
  DeviceInfo info;
  device->kernels->info(device, &info);
  return type != DTYPE_BF16 || info.has_bf16 || !strcmp(device->kernels->name, "cpu");
}

static void run_operation(const Options *o, Device *device, Device *cpu, const Operation *op,
                          Tally *tally) {
  static const Dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
  double start = now();
  const int(*sizes)[CASE_SIZES] = o->speed ? op->speed_sizes : op->sizes;
  int count = o->speed ? op->speed_count : op->size_count;
  for (int t = 0; t < (op->fp32_only ? 1 : CASE_COUNT(types)); t++) {
    if (device && !has_type(device, types[t])) continue;
    for (int s = 0; s < count; s++) {
      Case c;
      if (!asked_for(o, op, types[t], sizes[s])) continue;
      case_open(&c, op, types[t], sizes[s]);
      run_case(o, device, cpu, &c, tally);
      case_close(&c);
      fflush(stdout);
    }
  }
  tally->seconds = now() - start;
}

/* Every operation of backend.h has cases here: a new one without them fails every run. */
static int count_operations_without_cases(void) {
#define NAME(name, Type) #name,
  static const char *const names[] = {KERNEL_OPERATIONS(NAME)};
#undef NAME
  int missing = 0;
  for (int n = 0; n < CASE_COUNT(names); n++) {
    size_t length = strlen(names[n]);
    bool found = false;
    for (int l = 0; l < CASE_COUNT(lists); l++)
      for (const Operation *op = lists[l]; op->name; op++)
        found = found || (!strncmp(op->name, names[n], length) && strchr(" ", op->name[length]));
    if (found) continue;
    missing++;
    printf("FAIL %s: no case of it in tests/kernels\n", names[n]);
  }
  return missing;
}

/* ThreadSanitizer does not know OpenMP's barriers. */
#if defined(__SANITIZE_THREAD__)
enum { CPU_THREADS = 1 };
#else
enum { CPU_THREADS = 0 }; /* all */
#endif

int main(int argc, char **argv) {
  Options o = {.device = "cuda:0"};
  if (!parse(&o, argc, argv)) {
    fprintf(stderr, "usage: kernel_cases [--device cpu|cuda:N] [--only TEXT] [--below MFLOP] "
                    "[--once] [--speed] [--list] [--plant value|nan|guard|input]\n");
    return 2;
  }
  char message[256];
  Device *device = NULL, *cpu = NULL;
  if (!o.list) {
    device = backend_open(o.device, CPU_THREADS, true, message, sizeof message);
    cpu = device ? backend_open("cpu", CPU_THREADS, true, message, sizeof message) : NULL;
    if (!device || !cpu) {
      fprintf(stderr, "kernel_cases: %s\n", message);
      return 2;
    }
  }
  Tally all = {.failed = count_operations_without_cases()};
  if (!o.list && !o.speed) printf("%-34s cases  worst/allowed  seconds\n", "operation");
  for (int l = 0; l < CASE_COUNT(lists); l++)
    for (const Operation *op = lists[l]; op->name; op++) {
      Tally tally = {0};
      run_operation(&o, device, cpu, op, &tally);
      all.cases += tally.cases;
      all.failed += tally.failed;
      all.seconds += tally.seconds;
      if (!o.list && !o.speed && (tally.cases || !o.only))
        printf("%-34s %5d %14.3f %8.2f\n", op->name, tally.cases, tally.worst, tally.seconds);
    }
  printf("%d cases, %d failed, %.1f s\n", all.cases, all.failed, all.seconds);
  if (device) device->kernels->close(device);
  if (cpu) cpu->kernels->close(cpu);
  return all.failed ? 1 : all.cases ? 0 : 2;
}
