/* optimizer.c - the gradient's norm, and the AdamW update of all parameters in one pass. What one
 * element and one step do is scalar.h's, the GPU's too. */
#include <math.h>
#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"

/* PIECE: elements that a thread takes at a time. Sums of squares over pieces are added in order. */
enum { PIECE = 16384, LANES = 8 };

/* Sum of (a + b)^2 in double: it overflows only when an element is not finite. */
static double piece_square_sum(const float *a, const float *b, size_t count) {
  double lane[LANES] = {0}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (size_t j = 0; j < LANES; j++) {
      double g = b ? a[i + j] + b[i + j] : a[i + j];
      lane[j] += g * g;
    }
  for (; i < count; i++) {
    double g = b ? a[i] + b[i] : a[i];
    sum += g * g;
  }
  for (int j = 0; j < LANES; j++) sum += lane[j];
  return sum;
}

void cpu_gradient_norm(Device *device, StepState *state, const float *grad_a, const float *grad_b,
                       size_t count) {
  CpuDevice *cpu = cpu_device(device);
  size_t pieces = (count + PIECE - 1) / PIECE;
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, 2 * pieces, 0);
  if (!base) return;
  double *sums = (double *)base;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t p = 0; p < pieces; p++) {
    size_t first = p * PIECE, size = count - first < PIECE ? count - first : PIECE;
    sums[p] = piece_square_sum(grad_a + first, grad_b ? grad_b + first : NULL, size);
  }
  double total = 0;
  for (size_t p = 0; p < pieces; p++) total += sums[p];
  state->grad_norm = (float)(sqrt(total) / state->loss_scale);
  state->overflow = !isfinite(total);
}

/* Elements first..last-1; decay is their share of weight decay in this step, 0 for biases and
 * norms. */
static void update_span(const AdamW *a, const AdamwStep *step, size_t first, size_t last,
                        float decay) {
  float *restrict param = a->param, *restrict m = a->m, *restrict v = a->v;
  const float *grad_a = a->grad_a, *grad_b = a->grad_b;
  AdamwStep s = *step;
  if (grad_b) {
#pragma omp simd
    for (size_t i = first; i < last; i++)
      adamw_element(&param[i], &m[i], &v[i], grad_a[i] + grad_b[i], decay, &s);
  } else {
#pragma omp simd
    for (size_t i = first; i < last; i++)
      adamw_element(&param[i], &m[i], &v[i], grad_a[i], decay, &s);
  }
  if (a->param16) row_narrow(a->param16, a->type, first, param + first, last - first);
}

void cpu_adamw(Device *device, const AdamW *a) {
  CpuDevice *cpu = cpu_device(device);
  if (cpu->failed) return;
  if (!a->state->overflow) {
    AdamwStep step = adamw_step(a, a->state);
    size_t pieces = (a->count + PIECE - 1) / PIECE;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
    for (size_t p = 0; p < pieces; p++) {
      size_t first = p * PIECE, last = a->count - first < PIECE ? a->count : first + PIECE;
      size_t turn = a->decayed < first ? first : a->decayed < last ? a->decayed : last;
      update_span(a, &step, first, turn, step.decay);
      update_span(a, &step, turn, last, 0.0f);
    }
  }
  step_state_advance(a->state, a->rate_table, a->dynamic_scale);
}
