/* probe.c - what probes of an encoder's features need: the largest values of rows, and the softmax
 * regression's loss. */
#include <math.h>
#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/scalar.h"

/* The k-th largest of a row by its digits, the highest first: how often each occurs tells which one
 * the k-th largest has, and only values with that digit count for the next. */
enum { DIGITS = 3, DIGIT_MAX = 2048 };
static const int digit_shift[DIGITS] = {21, 10, 0}, digit_bits[DIGITS] = {11, 11, 10};

static float kth_largest(uint32_t *often, const float *row, int columns, int k) {
  uint32_t known = 0, mask = 0;
  for (int d = 0; d < DIGITS; d++) {
    uint32_t low = (1u << digit_bits[d]) - 1, digit = low;
    memset(often, 0, DIGIT_MAX * sizeof *often);
    for (int i = 0; i < columns; i++) {
      uint32_t order = scalar_order(row[i]);
      if ((order & mask) == known) often[order >> digit_shift[d] & low]++;
    }
    for (; often[digit] < (uint32_t)k; digit--) k -= (int)often[digit];
    known |= digit << digit_shift[d];
    mask |= low << digit_shift[d];
  }
  return scalar_from_order(known);
}

void cpu_largest_in_rows(Device *device, int32_t *chosen, int32_t *counts, const float *values,
                         size_t rows, int columns, int k, float margin, int capacity) {
  CpuDevice *cpu = cpu_device(device);
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, 0, DIGIT_MAX);
  if (!base) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t r = 0; r < rows; r++) {
    uint32_t *often = (uint32_t *)cpu_part(base, 0, DIGIT_MAX, omp_get_thread_num());
    const float *row = values + r * (size_t)columns;
    float least = kth_largest(often, row, columns, k) - margin;
    int32_t *out = chosen + r * (size_t)capacity;
    int count = 0;
    for (int i = 0; i < columns; i++)
      if (row[i] >= least) {
        if (count < capacity) out[count] = i;
        count++;
      }
    counts[r] = count;
    for (; count < capacity; count++) out[count] = -1;
  }
}

void cpu_softmax_loss(Device *device, float *losses, float *logits, const int32_t *labels,
                      size_t rows, int classes, float factor) {
  CpuDevice *cpu = cpu_device(device);
  if (cpu->failed) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t r = 0; r < rows; r++) {
    float *row = logits + r * (size_t)classes, most = row[0];
    double sum = 0.0;
    for (int c = 1; c < classes; c++) most = row[c] > most ? row[c] : most;
    float at_label = row[labels[r]] - most;
#pragma omp simd
    for (int c = 0; c < classes; c++) row[c] = scalar_exp(row[c] - most);
    for (int c = 0; c < classes; c++) sum += row[c];
    losses[r] = (float)(log(sum) - at_label);
    float share = (float)(factor / sum);
    for (int c = 0; c < classes; c++) row[c] *= share;
    row[labels[r]] -= factor;
  }
}
