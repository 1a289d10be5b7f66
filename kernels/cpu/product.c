#include "kernels/cpu/product.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ProductEngine {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
} ProductEngine;

enum { A, B, BIAS, C, OPERANDS };

typedef struct Product {
  struct Product *next;
  ProductShape shape;
  dnnl_primitive_t primitive;
  dnnl_memory_t memory[OPERANDS]; /* their data pointers are set before each run */
} Product;

/* The two generations of the library differ in what a memory description is and in how an operation
 * is described; everything below this block is common. */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t Layout;

static dnnl_status_t layout_make(Layout *l, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 const dnnl_dims_t strides) {
  return dnnl_memory_desc_create_with_strides(l, 2, dims, type, strides);
}
static void layout_free(Layout *l) {
  if (*l) dnnl_memory_desc_destroy(*l);
}
static dnnl_status_t layout_memory(dnnl_memory_t *m, const Layout *l, dnnl_engine_t engine) {
  return dnnl_memory_create(m, *l, engine, DNNL_MEMORY_NONE);
}
static dnnl_status_t matmul_describe(dnnl_primitive_desc_t *pd, const Layout l[OPERANDS],
                                     bool has_bias, dnnl_primitive_attr_t attr,
                                     dnnl_engine_t engine) {
  return dnnl_matmul_primitive_desc_create(pd, engine, l[A], l[B], has_bias ? l[BIAS] : NULL, l[C],
                                           attr);
}
static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
  return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}
#else
typedef dnnl_memory_desc_t Layout;

static dnnl_status_t layout_make(Layout *l, const dnnl_dims_t dims, dnnl_data_type_t type,
                                 const dnnl_dims_t strides) {
  return dnnl_memory_desc_init_by_strides(l, 2, dims, type, strides);
}
static void layout_free(Layout *l) {
  (void)l;
}
static dnnl_status_t layout_memory(dnnl_memory_t *m, const Layout *l, dnnl_engine_t engine) {
  return dnnl_memory_create(m, l, engine, DNNL_MEMORY_NONE);
}
static dnnl_status_t matmul_describe(dnnl_primitive_desc_t *pd, const Layout l[OPERANDS],
                                     bool has_bias, dnnl_primitive_attr_t attr,
                                     dnnl_engine_t engine) {
  dnnl_matmul_desc_t desc;
  dnnl_status_t s = dnnl_matmul_desc_init(&desc, &l[A], &l[B], has_bias ? &l[BIAS] : NULL, &l[C]);
  return s ? s : dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL);
}
static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
  return dnnl_post_ops_append_sum(ops, 1.0f);
}
#endif

static dnnl_data_type_t library_type(Dtype type) {
  return type == DTYPE_F32 ? dnnl_f32 : type == DTYPE_BF16 ? dnnl_bf16 : dnnl_f16;
}

static bool has_fast_bf16(void) {
  dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  /* Each x86 set of the library's list contains the bits of those before it. */
  return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

bool product_open(CpuDevice *cpu, char *message, size_t size) {
  ProductEngine *e = calloc(1, sizeof *e);
  if (e && !dnnl_engine_create(&e->engine, dnnl_cpu, 0) &&
      !dnnl_stream_create(&e->stream, e->engine, dnnl_stream_default_flags)) {
    cpu->dnn = e;
    cpu->has_bf16 = has_fast_bf16();
    return true;
  }
  snprintf(message, size, "cpu: oneDNN does not start");
  if (e && e->engine) dnnl_engine_destroy(e->engine);
  free(e);
  return false;
}

static void product_free(Product *p) {
  if (p->primitive) dnnl_primitive_destroy(p->primitive);
  for (int i = 0; i < OPERANDS; i++)
    if (p->memory[i]) dnnl_memory_destroy(p->memory[i]);
  free(p);
}

void product_close(CpuDevice *cpu) {
  for (Product *p = cpu->products, *next; p; p = next) {
    next = p->next;
    product_free(p);
  }
  dnnl_stream_destroy(cpu->dnn->stream);
  dnnl_engine_destroy(cpu->dnn->engine);
  free(cpu->dnn);
}

static Product *product_make(CpuDevice *cpu, const ProductShape *s) {
  dnnl_dim_t m = (dnnl_dim_t)s->m, n = (dnnl_dim_t)s->n, k = (dnnl_dim_t)s->k;
  Layout layout[OPERANDS];
  memset(layout, 0, sizeof layout);
  dnnl_primitive_desc_t pd = NULL;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_post_ops_t ops = NULL;
  Product *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->shape = *s;
  dnnl_dim_t a_row = s->a_transposed ? 1 : k, a_column = s->a_transposed ? m : 1;
  dnnl_dim_t b_row = s->b_transposed ? 1 : n, b_column = s->b_transposed ? k : 1;
  dnnl_data_type_t type = library_type(s->type);
  dnnl_status_t status =
      layout_make(&layout[A], (dnnl_dims_t){m, k}, type, (dnnl_dims_t){a_row, a_column});
  if (!status)
    status = layout_make(&layout[B], (dnnl_dims_t){k, n}, type, (dnnl_dims_t){b_row, b_column});
  if (!status)
    status = layout_make(&layout[BIAS], (dnnl_dims_t){1, n}, dnnl_f32, (dnnl_dims_t){n, 1});
  if (!status)
    status =
        layout_make(&layout[C], (dnnl_dims_t){m, n}, library_type(s->c_type), (dnnl_dims_t){n, 1});
  if (!status) status = dnnl_primitive_attr_create(&attr);
  if (!status && s->accumulate) {
    status = dnnl_post_ops_create(&ops);
    if (!status) status = append_sum(ops);
    if (!status) status = dnnl_primitive_attr_set_post_ops(attr, ops);
  }
  if (!status) status = matmul_describe(&pd, layout, s->has_bias, attr, cpu->dnn->engine);
  if (!status) status = dnnl_primitive_create(&p->primitive, pd);
  for (int i = 0; i < OPERANDS && !status; i++)
    status = layout_memory(&p->memory[i], &layout[i], cpu->dnn->engine);
  if (ops) dnnl_post_ops_destroy(ops);
  if (attr) dnnl_primitive_attr_destroy(attr);
  if (pd) dnnl_primitive_desc_destroy(pd);
  for (int i = 0; i < OPERANDS; i++) layout_free(&layout[i]);
  if (status) {
    cpu_fail(cpu, "oneDNN has no %s product of %zu x %zu x %zu (status %d)", dtype_name(s->type),
             s->m, s->n, s->k, (int)status);
    product_free(p);
    return NULL;
  }
  p->next = cpu->products;
  cpu->products = p;
  return p;
}

static bool same_shape(const ProductShape *x, const ProductShape *y) {
  return x->m == y->m && x->n == y->n && x->k == y->k && x->type == y->type &&
         x->c_type == y->c_type && x->a_transposed == y->a_transposed &&
         x->b_transposed == y->b_transposed && x->has_bias == y->has_bias &&
         x->accumulate == y->accumulate;
}

void product_run(CpuDevice *cpu, const ProductShape *shape, void *c, const void *a, const void *b,
                 const float *bias) {
  /* The library reads the calling thread's setting, both when it makes and when it runs. */
  omp_set_num_threads(cpu->threads);
  Product *p = cpu->products;
  while (p && !same_shape(&p->shape, shape)) p = p->next;
  if (!p) p = product_make(cpu, shape);
  if (!p) return;
  dnnl_memory_set_data_handle(p->memory[A], (void *)a);
  dnnl_memory_set_data_handle(p->memory[B], (void *)b);
  dnnl_memory_set_data_handle(p->memory[BIAS], (void *)bias);
  dnnl_memory_set_data_handle(p->memory[C], c);
  dnnl_exec_arg_t args[OPERANDS] = {{DNNL_ARG_SRC, p->memory[A]},
                                    {DNNL_ARG_WEIGHTS, p->memory[B]},
                                    {DNNL_ARG_DST, p->memory[C]},
                                    {DNNL_ARG_BIAS, p->memory[BIAS]}};
  int count = shape->has_bias ? 4 : 3;
  dnnl_status_t status = dnnl_primitive_execute(p->primitive, cpu->dnn->stream, count, args);
  if (!status) status = dnnl_stream_wait(cpu->dnn->stream);
  if (status) cpu_fail(cpu, "oneDNN: a matrix product failed (status %d)", (int)status);
}

void product_library(char *text, size_t size) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(text, size, "oneDNN %d.%d.%d, OpenMP %d", v->major, v->minor, v->patch, _OPENMP);
}

const char *product_instructions(void) {
  switch ((int)dnnl_get_effective_cpu_isa()) {
  case dnnl_cpu_isa_sse41:
    return "SSE4.1";
  case dnnl_cpu_isa_avx:
    return "AVX";
  case dnnl_cpu_isa_avx2:
    return "AVX2";
  case dnnl_cpu_isa_avx512_core:
    return "AVX-512";
  case dnnl_cpu_isa_avx512_core_vnni:
    return "AVX-512 VNNI";
  case dnnl_cpu_isa_avx512_core_bf16:
    return "AVX-512 BF16";
  default:
    return has_fast_bf16() ? "AVX-512 BF16 and later" : "its own choice of instructions";
  }
}
