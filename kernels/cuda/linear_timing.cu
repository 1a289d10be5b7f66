/* linear_timing.cu - the algorithm of a product by timing, for a table that later runs follow.
 *
 * Candidates are the rule's choice and the answers of the heuristic. Each is first made again from
 * the words that a table has for it: what is timed is what a table's reader will run. It must give
 * the same bits twice. Then all take turns, so that a change of the clock meets all alike, and the
 * least median wins; what is not faster than the rule's choice by more than a fiftieth, which is
 * less than such times differ from day to day, leaves it at that.
 *
 * Operands are made up: products of zeros take less power and time. Those of small products stay in
 * the cache from one repetition to the next, which favours no algorithm in particular. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/linear.cuh"
#include "kernels/cuda/numeric.cuh"

enum {
  THREADS = 256,
  SAMPLES = 9,
  REPETITIONS_MAX = 20, /* in a sample, so that it lasts SAMPLE_MILLISECONDS or more */
  PLACE = 256,          /* operands begin at multiples of it */
};
static const float SAMPLE_MILLISECONDS = 0.2f;
static const float TIE = 0.98f; /* of the time of the rule's choice */

typedef struct Candidate {
  cublasLtMatmulAlgo_t algorithm;
  AlgorithmWords words;
  float waves, samples[SAMPLES];
  int answer, repetitions;
  bool writable;
} Candidate;

typedef struct Trial {
  CudaDevice *device;
  Product *product;
  void *memory;
  unsigned char *a, *b, *d, *again, *bias;
  int *differs;
  size_t d_bytes;
  cudaEvent_t from, to;
  Candidate candidates[1 + ANSWERS]; /* the first is the rule's, while it is there */
  int count;
  bool has_rule;
} Trial;

template <class T> __global__ void __launch_bounds__(THREADS) make_up(T *x, size_t count) {
  size_t i = blockIdx.x * (size_t)THREADS + threadIdx.x;
  if (i >= count) return;
  uint32_t bits = (uint32_t)i * 2654435761u;
  bits = (bits ^ bits >> 15) * 0x2c1b3c6du;
  bits ^= bits >> 12;
  x[i] = from_float<T>((float)(int32_t)bits * 0x1p-31f);
}

/* Whoever finds a difference writes the same. */
__global__ void __launch_bounds__(THREADS)
    compare(int *differs, const uint16_t *x, const uint16_t *y, size_t count) {
  size_t i = blockIdx.x * (size_t)THREADS + threadIdx.x;
  if (i < count && x[i] != y[i]) *differs = 1;
}

static void fill(CudaDevice *d, void *x, Dtype type, size_t count) {
  WITH_TYPE(type, T,
            LAUNCH((make_up<T>), dim3(blocks_for(count, THREADS)), dim3(THREADS), 0, d->stream,
                   (T *)x, count));
  cuda_launched(d, "operands to time a matrix product with");
}

/* Memory for the operands, two results and what is beside them. */
static bool open_trial(Trial *t) {
  CudaDevice *d = t->device;
  const ProductShape *s = &t->product->shape;
  size_t counts[] = {s->m * s->k, s->n * s->k, s->m * s->n, s->m * s->n, s->has_bias ? s->m : 0, 1};
  Dtype types[] = {s->type, s->type, s->d_type, s->d_type, s->d_type, DTYPE_F32};
  enum { PARTS = sizeof counts / sizeof *counts };
  size_t offsets[PARTS], total = 0;
  for (int i = 0; i < PARTS; i++) {
    offsets[i] = total; /* and one alignment more, so that no operand is aligned better */
    total += (counts[i] * dtype_size(types[i]) + ALIGNMENT + PLACE - 1) / PLACE * PLACE;
  }
  if (!cuda_check(d, cudaMalloc(&t->memory, total), "memory to time matrix products") ||
      !cuda_check(d, cudaEventCreateWithFlags(&t->from, cudaEventDefault), "event") ||
      !cuda_check(d, cudaEventCreateWithFlags(&t->to, cudaEventDefault), "event"))
    return false;
  size_t off = s->alignment < ALIGNMENT ? (size_t)s->alignment : 0;
  unsigned char *parts[PARTS];
  for (int i = 0; i < PARTS; i++)
    parts[i] = static_cast<unsigned char *>(t->memory) + offsets[i] + (i < PARTS - 1 ? off : 0);
  t->a = parts[0];
  t->b = parts[1];
  t->d = parts[2];
  t->again = parts[3];
  /* One that is aligned better than it will be might be given other algorithms. */
  t->bias = s->has_bias ? parts[4] - off + s->alignment : NULL;
  t->differs = reinterpret_cast<int *>(parts[5]);
  t->d_bytes = counts[2] * dtype_size(s->d_type);
  fill(d, t->a, s->type, counts[0]);
  fill(d, t->b, s->type, counts[1]);
  if (t->bias) fill(d, t->bias, s->d_type, counts[4]);
  return !d->error[0];
}

static void close_trial(Trial *t) {
  if (t->from) cudaEventDestroy(t->from);
  if (t->to) cudaEventDestroy(t->to);
  cudaFree(t->memory);
}

/* Queues a product; false when the library refuses the algorithm. */
static bool run(const Trial *t, const Candidate *c, void *result) {
  const Product *p = t->product;
  const float one = 1, beta = p->shape.accumulate ? 1 : 0;
  return cublasLtMatmul(t->device->linear->handle, p->operation, &one, t->a, p->a, t->b, p->b,
                        &beta, result, p->d, result, p->d, &c->algorithm,
                        t->device->linear->workspace, CUDA_WORKSPACE_BYTES,
                        t->device->stream) == CUBLAS_STATUS_SUCCESS;
}

static bool clear(const Trial *t, void *memory, size_t bytes) {
  return cuda_check(t->device, cudaMemsetAsync(memory, 0, bytes, t->device->stream),
                    "timing matrix products");
}

/* Whether an algorithm runs, and to the same bits twice. */
static bool is_steady(Trial *t, const Candidate *c) {
  CudaDevice *d = t->device;
  size_t words = t->d_bytes / sizeof(uint16_t);
  int differs = 1;
  if (!clear(t, t->d, t->d_bytes) || !clear(t, t->again, t->d_bytes) ||
      !clear(t, t->differs, sizeof differs) || !run(t, c, t->d) || !run(t, c, t->again))
    return false;
  LAUNCH(compare, dim3(blocks_for(words, THREADS)), dim3(THREADS), 0, d->stream, t->differs,
         (const uint16_t *)t->d, (const uint16_t *)t->again, words);
  cuda_launched(d, "comparing matrix products");
  cuda_check(
      d, cudaMemcpyAsync(&differs, t->differs, sizeof differs, cudaMemcpyDeviceToHost, d->stream),
      "comparing matrix products");
  cuda_check(d, cudaStreamSynchronize(d->stream), "an operation failed on the device");
  return !d->error[0] && !differs;
}

/* Milliseconds of one of so many repetitions. */
static float time_of(Trial *t, const Candidate *c, int repetitions) {
  CudaDevice *d = t->device;
  float milliseconds = 0;
  cuda_check(d, cudaEventRecord(t->from, d->stream), "timing matrix products");
  for (int i = 0; i < repetitions; i++) run(t, c, t->d);
  cuda_check(d, cudaEventRecord(t->to, d->stream), "timing matrix products");
  if (cuda_check(d, cudaEventSynchronize(t->to), "an operation failed on the device"))
    cuda_check(d, cudaEventElapsedTime(&milliseconds, t->from, t->to), "timing matrix products");
  return milliseconds / (float)repetitions;
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Sorts every candidate's samples. */
static void time_all(Trial *t) {
  for (int i = 0; i < t->count; i++) {
    Candidate *c = &t->candidates[i];
    float once = time_of(t, c, 1), wanted = SAMPLE_MILLISECONDS / (once > 1e-3f ? once : 1e-3f);
    c->repetitions = wanted < 1 ? 1 : wanted > REPETITIONS_MAX ? REPETITIONS_MAX : (int)wanted;
  }
  for (int sample = 0; sample < SAMPLES; sample++)
    for (int i = 0; i < t->count; i++)
      t->candidates[i].samples[sample] =
          time_of(t, &t->candidates[i], t->candidates[i].repetitions);
  for (int i = 0; i < t->count; i++)
    qsort(t->candidates[i].samples, SAMPLES, sizeof(float), by_value);
}

static float median(const Candidate *c) {
  return c->samples[SAMPLES / 2];
}

/* Adds an algorithm unless it is there already, cannot be written down or is not steady. The rule's
 * choice is taken as it is when it has no words that make it again. */
static void add_candidate(Trial *t, const cublasLtMatmulAlgo_t *algorithm, float waves, int answer,
                          bool is_rule) {
  Candidate c = {};
  cublasLtMatmulHeuristicResult_t offer;
  linear_read_words(&c.words, algorithm);
  for (int i = 0; i < t->count; i++)
    if (!memcmp(&t->candidates[i].words, &c.words, sizeof c.words)) return;
  int32_t reduction = c.words.word[REDUCTION_WORD];
  c.writable = (reduction == CUBLASLT_REDUCTION_SCHEME_NONE ||
                reduction == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) &&
               linear_from_words(t->product, t->device->linear->handle, &c.words, &offer);
  if (!c.writable && !is_rule) return;
  c.algorithm = c.writable ? offer.algo : *algorithm;
  c.waves = c.writable ? offer.wavesCount : waves;
  c.answer = answer;
  if (!is_steady(t, &c)) return;
  t->candidates[t->count++] = c;
  t->has_rule |= is_rule;
}

static cublasStatus_t gather(Trial *t) {
  const Product *p = t->product;
  cublasLtMatmulHeuristicResult_t found[ANSWERS];
  int count = 0;
  cublasStatus_t status = linear_ask(p, t->device->linear->handle, found, &count);
  if (status) return status;
  add_candidate(t, &p->algorithm, p->waves, p->answer, true);
  for (int i = 0; i < count; i++)
    if (found[i].state == CUBLAS_STATUS_SUCCESS)
      add_candidate(t, &found[i].algo, found[i].wavesCount, i + 1, false);
  return t->count ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

static void take_best(Trial *t) {
  Product *p = t->product;
  const Candidate *best = &t->candidates[0];
  float rule = t->has_rule ? median(best) : 0;
  for (int i = 1; i < t->count; i++) {
    const Candidate *c = &t->candidates[i];
    if (median(c) < median(best) && (!t->has_rule || median(c) < TIE * rule)) best = c;
  }
  p->algorithm = best->algorithm;
  p->waves = best->waves;
  p->answer = best->answer;
  p->writable = best->writable;
  p->milliseconds = median(best);
  p->rule_milliseconds = rule;
  p->chooser = BY_TIMING;
}

static cublasStatus_t try_all(Trial *t) {
  Product *p = t->product;
  if (!open_trial(t)) return CUBLAS_STATUS_ALLOC_FAILED;
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (t->bias)
    status = cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                            &t->bias, sizeof t->bias);
  if (!status) status = gather(t);
  if (!status) time_all(t);
  if (!status && !t->device->error[0]) take_best(t);
  return status;
}

cublasStatus_t linear_choose_by_timing(CudaDevice *d, Product *p) {
  cublasStatus_t status = linear_choose(p, d->linear->handle);
  if (status) return status;
  Trial t = {};
  t.device = d;
  t.product = p;
  status = try_all(&t);
  close_trial(&t);
  return status;
}

bool cuda_products_time(Device *device, char *, size_t) {
  cuda_device(device)->linear->timing = true;
  return true;
}
