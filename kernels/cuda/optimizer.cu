/* optimizer.cu - the gradient's norm and the AdamW update, with everything that changes from step
 * to step on the device: StepState is read and written by one thread, and no step waits for the
 * host.
 *
 * Memory traffic decides the time: 4 or 8 bytes per parameter for the norm; for the update 28 to
 * 34, of which 12 to 14 are written. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"
#include "kernels/scalar.h"

enum {
  THREADS = 256,
  WARPS = THREADS / WARP_SIZE,
  VECTOR = 4,
  PARTS_MAX = 1024, /* of the gradient, each summed by one block */
  LOADS = 2,        /* vectors a thread has under way */
};

/* What one update has in common for all elements; lives in the scratch memory between two kernels.
 */
typedef struct Update {
  AdamwStep step;
  bool skip;
} Update;

static_assert(PARTS_MAX * sizeof(double) <= SCRATCH_BYTES && sizeof(Update) <= SCRATCH_BYTES,
              "the optimiser's scratch memory");

__device__ static inline double square(float a, float b) {
  double g = a + b; /* added in fp32, as the update adds them; squared where no square overflows */
  return g * g;
}

/* Part blockIdx.x: a run of vectors, of which the last may not be full. How many parts there are
 * depends on the count alone, so the order of the sum is the same on every device. */
__global__ void __launch_bounds__(THREADS)
    square_sums(double *sums, const float *grad_a, const float *grad_b, size_t count,
                bool aligned) {
  __shared__ double partial[WARPS];
  size_t vectors = (count + VECTOR - 1) / VECTOR, per_part = (vectors + gridDim.x - 1) / gridDim.x;
  size_t first = blockIdx.x * per_part;
  size_t end = first + per_part < vectors ? first + per_part : vectors;
  double sum = 0;
  for (size_t v = first + threadIdx.x; v < end; v += THREADS * LOADS) {
    float a[LOADS][VECTOR], b[LOADS][VECTOR];
#pragma unroll
    for (int u = 0; u < LOADS; u++) {
      size_t at = (v + u * THREADS) * VECTOR;
      int left = v + u * THREADS < end ? (count - at < VECTOR ? (int)(count - at) : VECTOR) : 0;
      bool whole = aligned && left % VECTOR == 0;
      load_floats<VECTOR>(a[u], grad_a + at, left, whole);
      load_floats<VECTOR>(b[u], grad_b + at, grad_b ? left : 0, whole);
    }
#pragma unroll
    for (int u = 0; u < LOADS; u++)
#pragma unroll
      for (int i = 0; i < VECTOR; i++) sum += square(a[u][i], b[u][i]);
  }
  sum = block_sum(sum, partial, WARPS);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(THREADS)
    finish_norm(StepState *state, const double *sums, int parts) {
  __shared__ double partial[WARPS];
  double sum = 0;
  for (int i = (int)threadIdx.x; i < parts; i += THREADS) sum += sums[i];
  sum = block_sum(sum, partial, WARPS);
  if (threadIdx.x) return;
  state->grad_norm = (float)(sqrt(sum) / state->loss_scale);
  state->overflow = !isfinite(sum);
}

/* One thread: decides what the update does, and moves state on to the next step. */
__global__ void prepare_update(Update *update, AdamW a) {
  update->skip = a.state->overflow;
  if (!update->skip) update->step = adamw_step(&a, a.state);
  step_state_advance(a.state, a.rate_table, a.dynamic_scale);
}

/* Four elements a thread. T is the type of param16. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    update_elements(AdamW a, const Update *update, bool aligned) {
  if (update->skip) return;
  AdamwStep step = update->step;
  size_t first = (blockIdx.x * (size_t)THREADS + threadIdx.x) * VECTOR;
  if (first >= a.count) return;
  int left = a.count - first < VECTOR ? (int)(a.count - first) : VECTOR;
  aligned = aligned && left == VECTOR;
  float param[VECTOR], m[VECTOR], v[VECTOR], grad_a[VECTOR], grad_b[VECTOR];
  load_floats<VECTOR>(param, a.param + first, left, aligned);
  load_floats<VECTOR>(m, a.m + first, left, aligned);
  load_floats<VECTOR>(v, a.v + first, left, aligned);
  load_floats<VECTOR>(grad_a, a.grad_a + first, left, aligned);
  load_floats<VECTOR>(grad_b, a.grad_b + first, a.grad_b ? left : 0, aligned);
#pragma unroll
  for (int i = 0; i < VECTOR; i++)
    adamw_element(&param[i], &m[i], &v[i], grad_a[i] + grad_b[i],
                  first + i < a.decayed ? step.decay : 0.0f, &step);
  store_floats<VECTOR>(a.param + first, param, left, aligned);
  store_floats<VECTOR>(a.m + first, m, left, aligned);
  store_floats<VECTOR>(a.v + first, v, left, aligned);
  if (a.param16) store_floats<VECTOR>((T *)a.param16 + first, param, left, aligned);
}

static bool aligned_floats(const float *p) {
  return (uintptr_t)p % (VECTOR * sizeof(float)) == 0;
}

void cuda_gradient_norm(Device *device, StepState *state, const float *grad_a, const float *grad_b,
                        size_t count) {
  CudaDevice *d = cuda_device(device);
  double *sums = (double *)d->scratch;
  unsigned parts = blocks_for(count, THREADS * LOADS * VECTOR);
  if (parts > PARTS_MAX) parts = PARTS_MAX;
  if (parts)
    LAUNCH(square_sums, dim3(parts), dim3(THREADS), 0, d->stream, sums, grad_a, grad_b, count,
           aligned_floats(grad_a) && aligned_floats(grad_b));
  LAUNCH(finish_norm, dim3(1), dim3(THREADS), 0, d->stream, state, sums, (int)parts);
  cuda_launched(d, "gradient norm");
}

void cuda_adamw(Device *device, const AdamW *a) {
  CudaDevice *d = cuda_device(device);
  Update *update = (Update *)d->scratch;
  LAUNCH(prepare_update, dim3(1), dim3(1), 0, d->stream, update, *a);
  if (a->count)
    WITH_TYPE(a->type, T, {
      bool aligned = aligned_floats(a->param) && aligned_floats(a->m) && aligned_floats(a->v) &&
                     aligned_floats(a->grad_a) && aligned_floats(a->grad_b) &&
                     (uintptr_t)a->param16 % (VECTOR * sizeof(T)) == 0;
      LAUNCH((update_elements<T>), dim3(blocks_for(a->count, THREADS * VECTOR)), dim3(THREADS), 0,
             d->stream, *a, update, aligned);
    });
  cuda_launched(d, "AdamW");
}
