/* cases.c - describing, running and judging one case, of any operation: what cases.h promises. */
#include "tests/kernels/cases.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/half.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

enum { GUARD = 256, DIRECTIONS = 2, SEED = 2021 };

static size_t kind_size(Kind kind) {
  static const size_t size[] = {[KIND_F32] = 4, [KIND_BF16] = 2, [KIND_F16] = 2,  [KIND_F64] = 8,
                                [KIND_I32] = 4, [KIND_U8] = 1,   [KIND_BYTES] = 1};
  return size[kind];
}

static size_t buffer_bytes(const Buffer *b) {
  return b->count * kind_size(b->kind);
}

static void *get(size_t bytes) {
  void *p = malloc(bytes ? bytes : 1);
  if (!p) {
    fprintf(stderr, "kernel_cases: no memory for %zu bytes\n", bytes);
    exit(2);
  }
  return p;
}

static void store(unsigned char *bytes, Kind kind, const double *value, size_t count) {
  for (size_t i = 0; i < count; i++) {
    double x = value[i];
    union {
      float f;
      uint16_t h;
      int32_t i;
      uint8_t u;
      double d;
    } e;
    switch (kind) {
    case KIND_F32:
      e.f = (float)x;
      break;
    case KIND_BF16:
      e.h = bf16_from_float((float)x);
      break;
    case KIND_F16:
      e.h = f16_from_float((float)x);
      break;
    case KIND_F64:
      e.d = x;
      break;
    case KIND_I32:
      e.i = (int32_t)x;
      break;
    default:
      e.u = (uint8_t)x;
    }
    memcpy(bytes + i * kind_size(kind), &e, kind_size(kind));
  }
}

static void load(double *value, Kind kind, const unsigned char *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    union {
      float f;
      uint16_t h;
      int32_t i;
      uint8_t u;
      double d;
    } e;
    memcpy(&e, bytes + i * kind_size(kind), kind_size(kind));
    switch (kind) {
    case KIND_F32:
      value[i] = e.f;
      break;
    case KIND_BF16:
      value[i] = bf16_to_float(e.h);
      break;
    case KIND_F16:
      value[i] = f16_to_float(e.h);
      break;
    case KIND_F64:
      value[i] = e.d;
      break;
    case KIND_I32:
      value[i] = e.i;
      break;
    default:
      value[i] = e.u;
    }
  }
}

/* Brings value and bytes in step: value becomes what the device will see. */
static void settle(Buffer *b) {
  if (b->kind == KIND_BYTES) return;
  store(b->bytes, b->kind, b->value, b->count);
  load(b->value, b->kind, b->bytes, b->count);
}

static int declare(Case *c, const char *name, Kind kind, Role role, size_t count) {
  if (c->buffers == CASE_BUFFERS) {
    fprintf(stderr, "kernel_cases: %s has more than %d buffers\n", c->op->name, CASE_BUFFERS);
    exit(2);
  }
  Buffer *b = &c->buffer[c->buffers];
  *b = (Buffer){.name = name, .kind = kind, .role = role, .count = count};
  b->bytes = get(buffer_bytes(b));
  if (kind == KIND_BYTES) return c->buffers++;
  b->value = get(count * sizeof *b->value);
  for (size_t i = 0; i < count; i++) b->value[i] = 0;
  return c->buffers++;
}

double case_uniform(const Case *c, uint32_t stream, uint32_t i) {
  (void)c;
  return random_uniform(SEED, stream, 1, 0, i);
}

int case_in(Case *c, const char *name, Kind kind, size_t count, double mean, double deviation) {
  int index = declare(c, name, kind, ROLE_IN, count);
  for (size_t i = 0; i < count; i++)
    c->buffer[index].value[i] = mean + deviation * random_normal(SEED, (uint32_t)index, 0, i >> 20,
                                                                 (uint32_t)(i & 0xfffff));
  return index;
}

int case_inout(Case *c, const char *name, Kind kind, size_t count, double mean, double deviation,
               double tolerance) {
  int index = case_in(c, name, kind, count, mean, deviation);
  c->buffer[index].role = ROLE_INOUT;
  c->buffer[index].tolerance = tolerance;
  return index;
}

int case_out(Case *c, const char *name, Kind kind, size_t count, double tolerance) {
  int index = declare(c, name, kind, ROLE_OUT, count);
  c->buffer[index].tolerance = tolerance;
  return index;
}

int case_integers(Case *c, const char *name, Kind kind, size_t count, int low, int high) {
  int index = declare(c, name, kind, ROLE_IN, count);
  for (size_t i = 0; i < count; i++)
    c->buffer[index].value[i] =
        low + floor(random_uniform(SEED, (uint32_t)index, 2, 0, (uint32_t)i) * (high - low + 1.0));
  return index;
}

int case_bytes(Case *c, const char *name, Role role, const void *contents, size_t size) {
  int index = declare(c, name, KIND_BYTES, role, size);
  memcpy(c->buffer[index].bytes, contents, size);
  return index;
}

void case_gradient(Case *c, int gradient, int variable) {
  c->gradient[c->gradients].gradient = gradient;
  c->gradient[c->gradients++].variable = variable;
}

double case_tolerance(Dtype type, double ulps) {
  return ulps * (type == DTYPE_BF16 ? 0x1p-8 : type == DTYPE_F16 ? 0x1p-11 : 0x1p-21);
}

void case_title(const Case *c, char *text, size_t size) {
  size_t used = (size_t)snprintf(text, size, "%s", c->op->name);
  if (!c->op->fp32_only)
    used += (size_t)snprintf(text + used, size - used, " %s", dtype_name(c->type));
  const char *name = c->op->size_names;
  for (int i = 0; *name && used < size; i++) {
    size_t length = strcspn(name, " ");
    used += (size_t)snprintf(text + used, size - used, " %.*s=%d", (int)length, name, c->size[i]);
    name += length + strspn(name + length, " ");
  }
}

/* The buffers as doubles, to be worked on; freed by release_values(). */
static void copy_values(const Case *c, double *value[CASE_BUFFERS]) {
  for (int i = 0; i < c->buffers; i++) {
    const Buffer *b = &c->buffer[i];
    value[i] = b->value ? get(b->count * sizeof(double)) : NULL;
    if (b->value) memcpy(value[i], b->value, b->count * sizeof(double));
  }
}

static void release_values(const Case *c, double *value[CASE_BUFFERS]) {
  for (int i = 0; i < c->buffers; i++) free(value[i]);
}

void case_open(Case *c, const Operation *op, Dtype type, const int *size) {
  *c = (Case){.op = op, .type = type, .size = size};
  op->describe(c);
  for (int i = 0; i < c->buffers; i++) settle(&c->buffer[i]);
}

/* The inputs that depend on others: not for cases that are only listed. */
static void prepare(Case *c) {
  double *value[CASE_BUFFERS];
  if (!c->op->prepare) return;
  for (int i = 0; i < c->buffers; i++) value[i] = c->buffer[i].value;
  c->op->prepare(value, c);
  for (int i = 0; i < c->buffers; i++) settle(&c->buffer[i]);
}

void case_close(Case *c) {
  for (int i = 0; i < c->buffers; i++) {
    free(c->buffer[i].value);
    free(c->buffer[i].bytes);
  }
}

double case_bytes_moved(const Case *c) {
  double sum = 0;
  for (int i = 0; i < c->buffers; i++)
    sum += (double)buffer_bytes(&c->buffer[i]) * (c->buffer[i].role == ROLE_INOUT ? 2 : 1);
  return sum;
}

/* Copies of a case's buffers on a device, each between guards. */
typedef struct Placed {
  unsigned char *whole[CASE_BUFFERS]; /* on the device */
  void *start[CASE_BUFFERS];
} Placed;

/* NaN in every real kind; for integers something else than the largest value. */
static int guard_byte(const Buffer *b) {
  return b->kind <= KIND_F64 ? 0xff : 0xa5;
}

static bool place(const Case *c, Device *device, Placed *p) {
  for (int i = 0; i < c->buffers; i++) {
    p->whole[i] = device->kernels->alloc(device, buffer_bytes(&c->buffer[i]) + 2 * GUARD);
    if (!p->whole[i]) return false;
    p->start[i] = p->whole[i] + GUARD;
  }
  return true;
}

static void unplace(const Case *c, Device *device, Placed *p) {
  for (int i = 0; i < c->buffers; i++) device->kernels->free(device, p->whole[i]);
}

/* Guards, inputs, and `before` in every byte of the outputs. */
static void fill(const Case *c, Device *device, const Placed *p, int before) {
  for (int i = 0; i < c->buffers; i++) {
    const Buffer *b = &c->buffer[i];
    size_t bytes = buffer_bytes(b);
    unsigned char *image = get(bytes + 2 * GUARD);
    memset(image, guard_byte(b), bytes + 2 * GUARD);
    if (b->role == ROLE_OUT)
      memset(image + GUARD, before, bytes);
    else
      memcpy(image + GUARD, b->bytes, bytes);
    device->kernels->upload(device, p->whole[i], image, bytes + 2 * GUARD);
    free(image);
  }
}

/* Lets AddressSanitizer report what touches the guards of memory the CPU works on. */
static void hide_guards(const Case *c, const Placed *p, bool hide) {
#if defined(__SANITIZE_ADDRESS__)
  for (int i = 0; i < c->buffers; i++) {
    size_t bytes = buffer_bytes(&c->buffer[i]);
    if (hide) {
      ASAN_POISON_MEMORY_REGION(p->whole[i], GUARD);
      ASAN_POISON_MEMORY_REGION(p->whole[i] + GUARD + bytes, GUARD);
    } else {
      ASAN_UNPOISON_MEMORY_REGION(p->whole[i], bytes + 2 * GUARD);
    }
  }
#else
  (void)c, (void)p, (void)hide;
#endif
}

typedef struct Judge {
  const Case *c;
  CaseResult *result;
} Judge;

__attribute__((format(printf, 2, 3))) static void fail(const Judge *j, const char *format, ...) {
  if (j->result->failure[0]) return;
  va_list args;
  va_start(args, format);
  vsnprintf(j->result->failure, sizeof j->result->failure, format, args);
  va_end(args);
}

/* Runs the case once; contents[] receives each buffer's bytes, to be freed. */
static void run_once(const Judge *j, Device *device, int repeat, Plant plant,
                     unsigned char *contents[CASE_BUFFERS]) {
  const Case *c = j->c;
  Placed p = {{0}, {0}};
  char message[256];
  for (int i = 0; i < c->buffers; i++) contents[i] = NULL;
  if (!place(c, device, &p)) {
    fail(j, "no device memory");
    unplace(c, device, &p);
    return;
  }
  fill(c, device, &p, repeat == 1 ? 0x00 : 0xff);
  if (!device->kernels->synchronize(device, message, sizeof message)) fail(j, "%s", message);
  hide_guards(c, &p, true);
  c->op->call(device, p.start, c);
  if (!device->kernels->synchronize(device, message, sizeof message)) fail(j, "%s", message);
  hide_guards(c, &p, false);
  for (int i = 0; i < c->buffers; i++) {
    const Buffer *b = &c->buffer[i];
    size_t bytes = buffer_bytes(b), whole = bytes + 2 * GUARD;
    unsigned char *image = get(whole);
    device->kernels->download(device, image, p.whole[i], whole);
    if (plant == PLANT_GUARD && i == c->buffers - 1) image[GUARD + bytes] ^= 1;
    if (plant == PLANT_INPUT && b->role == ROLE_IN) image[GUARD] ^= 1;
    for (size_t k = 0; k < whole; k++)
      if ((k < GUARD || k >= GUARD + bytes) && image[k] != guard_byte(b)) {
        fail(j, "%s: the byte %zd from its %s was overwritten", b->name,
             k < GUARD ? (ssize_t)k - GUARD : (ssize_t)(k - GUARD - bytes),
             k < GUARD ? "start" : "end");
        break;
      }
    memmove(image, image + GUARD, bytes);
    if (b->role == ROLE_IN && memcmp(image, b->bytes, bytes))
      fail(j, "%s: an input was changed", b->name);
    contents[i] = image;
  }
  unplace(c, device, &p);
}

static void free_contents(const Case *c, unsigned char *contents[CASE_BUFFERS]) {
  for (int i = 0; i < c->buffers; i++) free(contents[i]);
}

static double rms(const double *x, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++)
    if (!isnan(x[i])) sum += x[i] * x[i];
  return count ? sqrt(sum / (double)count) : 0;
}

static void compare(const Judge *j, const Buffer *b, const double *is, const double *expected,
                    const char *whose) {
  double typical = rms(expected, b->count), worst = 0;
  for (size_t i = 0; i < b->count; i++) {
    if (b->undefined && isnan(expected[i]) && isnan(is[i])) continue;
    double allowed = b->tolerance * (fabs(expected[i]) + typical);
    double error = fabs(is[i] - expected[i]);
    if (!isfinite(is[i]) || !isfinite(expected[i]) || !(error <= allowed)) {
      fail(j, "%s[%zu] is %.9g, %s %.9g, allowed %.2g", b->name, i, is[i], whose, expected[i],
           allowed);
      return;
    }
    if (allowed > 0 && error / allowed > worst) worst = error / allowed;
  }
  if (worst > j->result->worst) j->result->worst = worst;
}

/* Central differences along +-1 in every element of the variable: the component of the gradient
 * along that direction, in which an error of any element shows. */
static void check_gradient(const Judge *j, int which, double *const is[CASE_BUFFERS]) {
  const Case *c = j->c;
  int g = c->gradient[which].gradient, x = c->gradient[which].variable;
  const Buffer *gradient = &c->buffer[g], *variable = &c->buffer[x];
  const double h = 1e-5;
  double *value[CASE_BUFFERS];
  copy_values(c, value);
  for (uint32_t direction = 0; direction < DIRECTIONS; direction++) {
    double along = 0, norm = 0, end[2];
    for (int side = 0; side < 2; side++) {
      for (size_t i = 0; i < variable->count; i++) {
        bool up = random_bits(SEED, 3, direction, (uint64_t)which, (uint32_t)i) & 1;
        value[x][i] = variable->value[i] + (up == (side == 0) ? h : -h);
        if (side) continue;
        double d = is[g][i] - (gradient->role == ROLE_INOUT ? gradient->value[i] : 0);
        along += up ? d : -d;
        norm += d * d;
      }
      end[side] = c->op->objective(value, c);
    }
    double quotient = (end[0] - end[1]) / (2 * h), error = fabs(along - quotient);
    double allowed = 2 * gradient->tolerance * sqrt(norm) + 1e-8;
    if (!isfinite(along) || !(error <= allowed))
      fail(j, "%s: %.9g along a direction, difference quotient %.9g, allowed %.2g", gradient->name,
           along, quotient, allowed);
    else if (error / allowed > j->result->worst)
      j->result->worst = error / allowed;
  }
  release_values(c, value);
}

static void plant_in_output(const Case *c, Plant plant, double *is[CASE_BUFFERS]) {
  for (int i = 0; i < c->buffers; i++) {
    const Buffer *b = &c->buffer[i];
    if (b->role == ROLE_IN || !b->value || !b->count) continue;
    size_t at = b->count - 1;
    if (plant == PLANT_VALUE)
      is[i][at] += 4 * b->tolerance * (fabs(is[i][at]) + rms(is[i], b->count));
    if (plant == PLANT_NAN) is[i][at] = NAN;
    return;
  }
}

bool case_check(Case *c, Device *device, Device *cpu, int runs, Plant plant, CaseResult *result) {
  *result = (CaseResult){0};
  Judge j = {c, result};
  unsigned char *contents[CASE_BUFFERS], *other[CASE_BUFFERS];
  double *is[CASE_BUFFERS], *expected[CASE_BUFFERS], *table[CASE_BUFFERS];
  prepare(c);
  cases_reorder(0);
  run_once(&j, device, 0, plant, contents);
  for (int repeat = 1; repeat < runs && !result->failure[0]; repeat++) {
    cases_reorder(repeat);
    run_once(&j, device, repeat, PLANT_NONE, other);
    for (int i = 0; i < c->buffers; i++)
      if (memcmp(contents[i], other[i], buffer_bytes(&c->buffer[i])))
        fail(&j, "%s: repetition %d gave other bits", c->buffer[i].name, repeat);
    free_contents(c, other);
  }
  if (result->failure[0]) {
    free_contents(c, contents);
    return false;
  }

  copy_values(c, is);
  for (int i = 0; i < c->buffers; i++)
    if (c->buffer[i].value) load(is[i], c->buffer[i].kind, contents[i], c->buffer[i].count);
  plant_in_output(c, plant, is);

  copy_values(c, expected);
  if (c->op->reference) {
    c->op->reference(expected, c);
    for (int i = 0; i < c->buffers; i++)
      if (c->buffer[i].role != ROLE_IN && c->buffer[i].value)
        compare(&j, &c->buffer[i], is[i], expected[i], "a plain loop gives");
  }
  /* Two values rounded to 16 bits, each correctly, are a whole step apart when the exact one lies
   * half way: where that is known both are held to it, not to each other. */
  run_once(&j, cpu, 0, PLANT_NONE, other);
  copy_values(c, table);
  for (int i = 0; i < c->buffers && !result->failure[0]; i++) {
    const Buffer *b = &c->buffer[i];
    if (b->role == ROLE_IN) continue;
    if (!b->value) {
      if (memcmp(contents[i], other[i], b->count))
        fail(&j, "%s: not the bytes of the CPU table", b->name);
      continue;
    }
    load(table[i], b->kind, other[i], b->count);
    if (c->op->reference && (b->kind == KIND_F16 || b->kind == KIND_BF16))
      compare(&j, b, table[i], expected[i], "in the CPU table; a plain loop gives");
    else
      compare(&j, b, is[i], table[i], "the CPU table has");
  }
  for (int g = 0; g < c->gradients && !result->failure[0]; g++) check_gradient(&j, g, is);
  release_values(c, is);
  release_values(c, expected);
  release_values(c, table);
  free_contents(c, contents);
  free_contents(c, other);
  return !result->failure[0];
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Warm-up, then as many calls as fill a fifth of a second, between two waits. */
bool case_time(Case *c, Device *device, CaseResult *result) {
  *result = (CaseResult){0};
  Judge j = {c, result};
  Placed p = {{0}, {0}};
  char message[256];
  prepare(c);
  if (!place(c, device, &p)) {
    fail(&j, "no device memory");
  } else {
    fill(c, device, &p, 0);
    int calls = 1;
    for (double seconds = 0; seconds < 0.2 && !result->failure[0]; calls *= 4) {
      double start = now();
      for (int i = 0; i < calls; i++) c->op->call(device, p.start, c);
      if (!device->kernels->synchronize(device, message, sizeof message)) fail(&j, "%s", message);
      seconds = now() - start;
      result->seconds = seconds / calls;
    }
  }
  unplace(c, device, &p);
  return !result->failure[0];
}
