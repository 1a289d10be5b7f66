/* cases.h - one list of kernel cases for three purposes: comparison of a device with the CPU table
 * and with plain double-precision loops, finite differences of backward operations, and speed.
 *
 * A case is an operation, a type and sizes. describe() declares its buffers, filled from a seed,
 * and each output's tolerance; call() runs it on any device. What is then checked, three times with
 * outputs that held something else before (--once: one time):
 *  - every output against the CPU table, and against reference() where there is one; infinity
 *    never passes, a NaN only in a buffer that says so, where reference() has one;
 *  - inputs, and 256 guard bytes on both sides of every buffer, are unchanged; guards around
 *    inputs are NaN, so that a stray read shows; under AddressSanitizer it is reported;
 *  - the three results agree in every bit;
 *  - gradients against difference quotients of objective(), in double, along random directions.
 * Operations live in cases_SUBJECT.c, in arrays ended by a zero name and listed in kernel_cases.c.
 */
#ifndef TESTS_KERNELS_CASES_H
#define TESTS_KERNELS_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/backend.h"

/* The first three are Dtype's. KIND_BYTES: a struct, compared bit by bit. */
typedef enum Kind {
  KIND_F32 = DTYPE_F32,
  KIND_BF16 = DTYPE_BF16,
  KIND_F16 = DTYPE_F16,
  KIND_F64,
  KIND_I32,
  KIND_U8,
  KIND_BYTES
} Kind;
typedef enum Role { ROLE_IN, ROLE_OUT, ROLE_INOUT } Role;

enum { CASE_BUFFERS = 16, CASE_SIZES = 6, CASE_GRADIENTS = 6 };

typedef struct Buffer {
  const char *name;
  Kind kind;
  Role role;
  size_t count;         /* elements; bytes of KIND_BYTES */
  double *value;        /* [count] contents before the call; NULL for KIND_BYTES */
  unsigned char *bytes; /* the same as the device holds it; describe() fills it for KIND_BYTES */
  double tolerance;     /* |is - expected| <= tolerance * (|expected| + rms of all expected) */
  bool undefined;       /* an element may be NaN: there is no such number */
} Buffer;

typedef struct Operation Operation;

typedef struct Case {
  const Operation *op;
  Dtype type;
  const int *size;
  Buffer buffer[CASE_BUFFERS];
  int buffers;
  struct {
    int gradient, variable; /* buffers: gradient of the objective with respect to variable */
  } gradient[CASE_GRADIENTS];
  int gradients;
  double flops; /* of one call, for --speed and --below; bytes moved are the buffers' */
} Case;

struct Operation {
  const char *name;       /* the slot's; after a space, which variant */
  const char *size_names; /* "rows width": names of size[], in order */
  const int (*sizes)[CASE_SIZES];
  int size_count;
  const int (*speed_sizes)[CASE_SIZES]; /* for --speed */
  int speed_count;
  bool fp32_only; /* the operation has no type */
  void (*describe)(Case *);
  /* Computes input buffers that depend on others (log-sum-exp, statistics); may be NULL. */
  void (*prepare)(double *const *buffer, const Case *);
  void (*call)(Device *, void *const *buffer, const Case *);
  /* Fills the outputs; may be NULL. INOUT buffers hold what was there before. */
  void (*reference)(double *const *buffer, const Case *);
  /* The function whose gradients a backward operation computes; NULL: no gradients. */
  double (*objective)(double *const *buffer, const Case *);
};

#define CASE_COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* Declare buffers, in the order call() and reference() index them; each returns its index. Inputs
 * and inouts are drawn from N(mean, deviation) and rounded to the kind. */
int case_in(Case *, const char *name, Kind, size_t count, double mean, double deviation);
int case_inout(Case *, const char *name, Kind, size_t count, double mean, double deviation,
               double tolerance);
int case_out(Case *, const char *name, Kind, size_t count, double tolerance);
/* Integers, uniform in [low, high]. */
int case_integers(Case *, const char *name, Kind, size_t count, int low, int high);
/* `size` bytes of a struct that lives on the device, for ROLE_IN or ROLE_INOUT; an INOUT must come
 * out equal in every bit to the CPU table's. */
int case_bytes(Case *, const char *name, Role, const void *contents, size_t size);
void case_gradient(Case *, int gradient, int variable);

/* Relative error of one rounding to the type, times `ulps`, never below what fp32 sums need. */
double case_tolerance(Dtype type, double ulps);
/* Element i of stream `stream` of a case, uniform in [0, 1). */
double case_uniform(const Case *, uint32_t stream, uint32_t i);

/* The lists. */
extern const Operation elementwise_operations[], layernorm_operations[], attention_operations[],
    linear_operations[], tokens_operations[], patches_operations[], pictures_operations[],
    optimizer_operations[], probe_operations[];

/* Before repetition `repeat` of a case: puts the threads of a simulated device in another order. */
void cases_reorder(int repeat);

typedef enum Plant { PLANT_NONE, PLANT_VALUE, PLANT_NAN, PLANT_GUARD, PLANT_INPUT } Plant;
typedef struct CaseResult {
  double worst;      /* largest error as a share of what is allowed; a gradient's too */
  double seconds;    /* of one call, measured on request */
  char failure[256]; /* empty: passed */
} CaseResult;

/* "attention_forward fp16 batch=1 tokens=197 ...". */
void case_title(const Case *, char *text, size_t size);
void case_open(Case *, const Operation *, Dtype, const int *size);
void case_close(Case *);
double case_bytes_moved(const Case *);
/* Runs it `runs` times on the device. */
bool case_check(Case *, Device *device, Device *cpu, int runs, Plant, CaseResult *);
bool case_time(Case *, Device *device, CaseResult *);

#endif
