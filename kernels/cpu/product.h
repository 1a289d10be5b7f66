/* product.h - dense matrix products through oneDNN's C API, versions 2.6 to 3.x. A primitive is
 * made the first time a shape is seen and kept; afterwards nothing is created or allocated. */
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

bool product_open(CpuDevice *, char *message, size_t size);
void product_close(CpuDevice *);
void product_run(CpuDevice *, const ProductShape *, void *c, const void *a, const void *b,
                 const float *bias);
/* "oneDNN 2.6.3, OpenMP 4.5", and the name of the instruction set oneDNN generates code for. */
void product_library(char *text, size_t size);
const char *product_instructions(void);

#endif
