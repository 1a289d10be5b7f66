/* product.h - dense matrix products. A build has one of two files behind this header:
 * product_onednn.c calls oneDNN's C API, versions 2.0 to 3.x: a primitive is made the first time a
 * shape is seen and kept; afterwards nothing is created or allocated. product_plain.c has loops of
 * its own, for where there is no oneDNN, and knows fp32 only. Their bits differ. */
#ifndef KERNELS_CPU_PRODUCT_H
#define KERNELS_CPU_PRODUCT_H

#include "kernels/cpu/cpu.h"

/* c[m,n] (c_type) = op(a)[m,k] op(b)[k,n] (both in type) + bias[n] (+ c). op(a) is a[m,k], or the
 * transpose of a[k,m] when a_transposed; op(b) is b[k,n], or the transpose of b[n,k]. All dense and
 * row-major. The same description gives the same bits whatever the number of threads. */
typedef struct ProductShape {
  size_t m, n, k;
  Dtype type, c_type;
  bool a_transposed, b_transposed, has_bias, accumulate;
} ProductShape;

/* Sets has_bf16: whether `type` may be bf16. */
bool product_open(CpuDevice *, char *message, size_t size);
void product_close(CpuDevice *);
void product_run(CpuDevice *, const ProductShape *, void *c, const void *a, const void *b,
                 const float *bias);
/* "oneDNN 2.6.3" or "plain loops (no oneDNN, slow)". */
void product_library(char *text, size_t size);
/* The instruction set that oneDNN generates code for; NULL where the compiler chose it. */
const char *product_instructions(void);

#endif
