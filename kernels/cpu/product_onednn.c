/* product_onednn.c - matrix products: one oneDNN primitive per shape of a tile, tiles shared among
 * threads. How a product is cut depends on its shape alone, and each tile is one thread's, so that
 * the result does not depend on the number of threads. */
#include "kernels/cpu/product.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ProductEngine {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  /* Work space of the thread t: scratch_each bytes from t * scratch_each on. The library's own
   * would be shared by all threads that run a primitive. */
  CpuBuffer scratch;
  size_t scratch_each;
  bool copies;    /* see lies_badly() */
  CpuBuffer copy; /* of each thread: its tile's operands */
} ProductEngine;

enum { A, B, BIAS, C, SCRATCH, OPERANDS };
enum { SCRATCH_UNIT = 4096 }; /* the library aligns its work space to pages at most */

/* A tile, or a stretch of its sums: m, n and k are its own, and *_step are the distances between
 * rows in memory. */
typedef struct TileShape {
  ProductShape product;
  size_t a_step, b_step, c_step;
} TileShape;

/* A primitive that computes a tile. */
typedef struct Product {
  struct Product *next;
  TileShape shape;
  dnnl_primitive_t primitive;
  /* [threads][OPERANDS]; their data pointers are set before each run. SCRATCH is NULL where the
   * primitive needs no work space. */
  dnnl_memory_t *memory;
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
    e->copies =
        (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) != dnnl_cpu_isa_avx512_core;
    return true;
  }
  snprintf(message, size, "cpu: oneDNN does not start");
  if (e && e->engine) dnnl_engine_destroy(e->engine);
  free(e);
  return false;
}

static void product_free(CpuDevice *cpu, Product *p) {
  if (p->primitive) dnnl_primitive_destroy(p->primitive);
  for (int i = 0; p->memory && i < OPERANDS * cpu->threads; i++)
    if (p->memory[i]) dnnl_memory_destroy(p->memory[i]);
  free(p->memory);
  free(p);
}

void product_close(CpuDevice *cpu) {
  for (Product *p = cpu->products, *next; p; p = next) {
    next = p->next;
    product_free(cpu, p);
  }
  dnnl_stream_destroy(cpu->dnn->stream);
  dnnl_engine_destroy(cpu->dnn->engine);
  free(cpu->dnn->scratch.data);
  free(cpu->dnn->copy.data);
  free(cpu->dnn);
}

/* Makes the work space of each thread at least `bytes`. */
static dnnl_status_t reserve_scratch(CpuDevice *cpu, size_t bytes) {
  ProductEngine *e = cpu->dnn;
  size_t each = cpu_round_up(bytes, SCRATCH_UNIT);
  if (each <= e->scratch_each) return dnnl_success;
  if (!cpu_grow(cpu, &e->scratch, each * (size_t)cpu->threads)) return dnnl_out_of_memory;
  e->scratch_each = each;
  return dnnl_success;
}

static Product *product_make(CpuDevice *cpu, const TileShape *tile) {
  const ProductShape *s = &tile->product;
  dnnl_dim_t m = (dnnl_dim_t)s->m, n = (dnnl_dim_t)s->n, k = (dnnl_dim_t)s->k;
  Layout layout[OPERANDS];
  memset(layout, 0, sizeof layout);
  dnnl_primitive_desc_t pd = NULL;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_post_ops_t ops = NULL;
  size_t scratch;
  Product *p = calloc(1, sizeof *p);
  if (!p || !(p->memory = calloc((size_t)cpu->threads * OPERANDS, sizeof(dnnl_memory_t)))) {
    cpu_fail(cpu, "out of memory for a matrix product");
    free(p);
    return NULL;
  }
  p->shape = *tile;
  dnnl_dim_t a_step = (dnnl_dim_t)tile->a_step, b_step = (dnnl_dim_t)tile->b_step;
  dnnl_dim_t a_row = s->a_transposed ? 1 : a_step, a_column = s->a_transposed ? a_step : 1;
  dnnl_dim_t b_row = s->b_transposed ? 1 : b_step, b_column = s->b_transposed ? b_step : 1;
  dnnl_data_type_t type = library_type(s->type);
  dnnl_status_t status =
      layout_make(&layout[A], (dnnl_dims_t){m, k}, type, (dnnl_dims_t){a_row, a_column});
  if (!status)
    status = layout_make(&layout[B], (dnnl_dims_t){k, n}, type, (dnnl_dims_t){b_row, b_column});
  if (!status)
    status = layout_make(&layout[BIAS], (dnnl_dims_t){1, n}, dnnl_f32, (dnnl_dims_t){n, 1});
  if (!status)
    status = layout_make(&layout[C], (dnnl_dims_t){m, n}, library_type(s->c_type),
                         (dnnl_dims_t){(dnnl_dim_t)tile->c_step, 1});
  if (!status) status = dnnl_primitive_attr_create(&attr);
  if (!status && s->accumulate) {
    status = dnnl_post_ops_create(&ops);
    if (!status) status = append_sum(ops);
    if (!status) status = dnnl_primitive_attr_set_post_ops(attr, ops);
  }
  if (!status) status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
  if (!status) status = matmul_describe(&pd, layout, s->has_bias, attr, cpu->dnn->engine);
  if (!status) status = dnnl_primitive_create(&p->primitive, pd);
  /* A description of the work space is a pointer in 2.x and a handle in 3.x; either generation's
   * functions take what its own query returns, so these calls read the same in both. */
  scratch = status ? 0
                   : dnnl_memory_desc_get_size(
                         dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
  if (!status) status = reserve_scratch(cpu, scratch);
  for (int i = 0; i < OPERANDS * cpu->threads && !status; i++)
    if (i % OPERANDS != SCRATCH)
      status = layout_memory(&p->memory[i], &layout[i % OPERANDS], cpu->dnn->engine);
    else if (scratch)
      status = dnnl_memory_create(&p->memory[i],
                                  dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0),
                                  cpu->dnn->engine, DNNL_MEMORY_NONE);
  if (ops) dnnl_post_ops_destroy(ops);
  if (attr) dnnl_primitive_attr_destroy(attr);
  if (pd) dnnl_primitive_desc_destroy(pd);
  for (int i = 0; i < OPERANDS; i++) layout_free(&layout[i]);
  if (status) {
    cpu_fail(cpu, "oneDNN has no %s product of %zu x %zu x %zu (status %d)", dtype_name(s->type),
             s->m, s->n, s->k, (int)status);
    product_free(cpu, p);
    return NULL;
  }
  p->next = cpu->products;
  cpu->products = p;
  return p;
}

static bool same_shape(const TileShape *s, const TileShape *t) {
  const ProductShape *x = &s->product, *y = &t->product;
  return x->m == y->m && x->n == y->n && x->k == y->k && x->type == y->type &&
         x->c_type == y->c_type && x->a_transposed == y->a_transposed &&
         x->b_transposed == y->b_transposed && x->has_bias == y->has_bias &&
         x->accumulate == y->accumulate && s->a_step == t->a_step && s->b_step == t->b_step &&
         s->c_step == t->c_step;
}

static const Product *product_find(CpuDevice *cpu, const TileShape *shape) {
  for (const Product *p = cpu->products; p; p = p->next)
    if (same_shape(&p->shape, shape)) return p;
  return product_make(cpu, shape);
}

/* How a product is cut, which depends on its shape alone. Each tile is computed by one thread, so
 * the library, which orders its sums by the number of threads it is given, is always given one. */
typedef struct Tiling {
  size_t m, n, k;                   /* of a tile that is not at the edge; k of its sums at a time */
  size_t m_count, n_count, k_count; /* tiles down and across, stretches of their sums */
  bool copies_a, copies_b;          /* each thread copies its tile's part of the operand */
} Tiling;

/* Two tiles keep two threads busy; more are cut while each keeps enough work to be worth packing
 * its operands for. A transposed operand costs more to pack (measured on Zen 3: 78 instead of 155
 * GFLOP/s for 3072 x 768 x 400 in tiles of 40 million multiply-adds). */
enum { TILE_UNIT = 16, TILE_EDGE = 128, TILES_MAX = 256 };
static const size_t tile_work = 16 << 20, tile_work_transposed = 256 << 20;

static void cut_tiles(Tiling *t, const ProductShape *s, size_t work) {
  t->m = s->m;
  t->n = s->n;
  for (int tiles = 1; tiles < TILES_MAX; tiles *= 2) {
    size_t *length = t->m >= t->n ? &t->m : &t->n;
    bool worth = *length >= 2 * TILE_EDGE && t->m * t->n * s->k >= 2 * work;
    if (*length < 2 * TILE_UNIT || (tiles > 1 && !worth)) break;
    *length = cpu_round_up((*length + 1) / 2, TILE_UNIT);
  }
  t->m_count = (s->m + t->m - 1) / t->m;
  t->n_count = (s->n + t->n - 1) / t->n;
}

/* With AVX2 the library reads the operands of small tiles where they lie, row after row. Rows that
 * lie apart by a multiple of 2 KiB share a few sets of the first-level cache and push each other
 * out (measured on Zen 3: 72 instead of 155 GFLOP/s for 400 x 3072 x 768). */
static bool lies_badly(size_t columns, Dtype type) {
  enum { BAD_STEP = 2048 };
  return columns * dtype_size(type) % BAD_STEP == 0;
}
static bool reads_in_place(size_t m, size_t n) {
  return 1.0 / (double)m + 1.0 / (double)n >= 0.0038; /* the library's own rule */
}

/* Sums run over at most so many rows of copied operands at a time: two pieces of a megabyte. */
enum { COPIED_ROWS = 1024 };

static Tiling product_tiles(const CpuDevice *cpu, const ProductShape *s) {
  Tiling t = {.k = s->k, .k_count = 1};
  bool bad_a = s->a_transposed && lies_badly(s->m, s->type);
  bool bad_b = !s->b_transposed && lies_badly(s->n, s->type);
  bool may_copy = cpu->dnn->copies && s->type == DTYPE_F32 && s->c_type == DTYPE_F32;
  cut_tiles(&t, s, s->a_transposed ? tile_work_transposed : tile_work);
  if (!may_copy || !(bad_a || bad_b) || !reads_in_place(t.m, t.n)) return t;
  cut_tiles(&t, s, tile_work);
  t.copies_a = bad_a;
  t.copies_b = bad_b;
  size_t stretches = (s->k + COPIED_ROWS - 1) / COPIED_ROWS;
  t.k = (s->k + stretches - 1) / stretches;
  t.k_count = (s->k + t.k - 1) / t.k;
  return t;
}

static dnnl_status_t tile_run(CpuDevice *cpu, const Product *p, void *c, const void *a,
                              const void *b, const float *bias) {
  size_t thread = (size_t)omp_get_thread_num();
  const dnnl_memory_t *memory = p->memory + thread * OPERANDS;
  dnnl_memory_set_data_handle(memory[A], (void *)a);
  dnnl_memory_set_data_handle(memory[B], (void *)b);
  dnnl_memory_set_data_handle(memory[BIAS], (void *)bias);
  dnnl_memory_set_data_handle(memory[C], c);
  dnnl_exec_arg_t args[OPERANDS] = {
      {DNNL_ARG_SRC, memory[A]}, {DNNL_ARG_WEIGHTS, memory[B]}, {DNNL_ARG_DST, memory[C]}};
  int count = 3;
  if (p->shape.product.has_bias) args[count++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, memory[BIAS]};
  if (memory[SCRATCH]) {
    dnnl_memory_set_data_handle(memory[SCRATCH],
                                (char *)cpu->dnn->scratch.data + thread * cpu->dnn->scratch_each);
    args[count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, memory[SCRATCH]};
  }
  return dnnl_primitive_execute(p->primitive, cpu->dnn->stream, count, args);
}

/* out[rows, step] = columns of in[rows, from_step] */
static void copy_columns(float *out, size_t step, const float *in, size_t from_step, size_t rows,
                         size_t columns) {
  for (size_t r = 0; r < rows; r++)
    memcpy(out + r * step, in + r * from_step, columns * sizeof *out);
}

static size_t copy_step(size_t columns) {
  return columns + (lies_badly(columns, DTYPE_F32) ? TILE_UNIT : 0);
}

enum { FIRST, MIDDLE, LAST, STRETCHES };

/* A product on its way. */
typedef struct Run {
  const ProductShape *shape;
  Tiling tiling;
  size_t a_step, b_step, copy_a, copy_b; /* floats of a thread's copies */
  /* Of tiles that are not in the last row of tiles or are, in the last column or not. */
  const Product *products[2][2][STRETCHES];
} Run;

static const Product *find_stretch(CpuDevice *cpu, const Run *run, size_t m, size_t n,
                                   int stretch) {
  const Tiling *t = &run->tiling;
  TileShape tile = {*run->shape, run->a_step, run->b_step, run->shape->n};
  tile.product.m = m;
  tile.product.n = n;
  tile.product.k = stretch == LAST ? run->shape->k - (t->k_count - 1) * t->k : t->k;
  if (stretch != FIRST) {
    tile.product.accumulate = true;
    tile.product.has_bias = false;
  }
  return product_find(cpu, &tile);
}

static void run_open(CpuDevice *cpu, Run *run, const ProductShape *s) {
  Tiling t = product_tiles(cpu, s);
  *run = (Run){.shape = s, .tiling = t};
  run->a_step = s->a_transposed ? s->m : s->k;
  run->b_step = s->b_transposed ? s->k : s->n;
  if (t.copies_a) run->copy_a = t.k * (run->a_step = copy_step(t.m));
  if (t.copies_b) run->copy_b = t.k * (run->b_step = copy_step(t.n));
  for (int row = 0; row < 2; row++)
    for (int column = 0; column < 2; column++)
      for (int stretch = 0; stretch < STRETCHES; stretch++)
        if (stretch == FIRST || (stretch == LAST ? t.k_count > 1 : t.k_count > 2))
          run->products[row][column][stretch] =
              find_stretch(cpu, run, row ? s->m - (t.m_count - 1) * t.m : t.m,
                           column ? s->n - (t.n_count - 1) * t.n : t.n, stretch);
  size_t each = run->copy_a + run->copy_b;
  if (each) cpu_grow(cpu, &cpu->dnn->copy, each * (size_t)cpu->threads * sizeof(float));
}

/* One stretch of a tile's sums; 0: done. */
static int run_stretch(CpuDevice *cpu, const Run *run, size_t tile, size_t stretch, void *c,
                       const void *a, const void *b, const float *bias) {
  const ProductShape *s = run->shape;
  const Tiling *t = &run->tiling;
  size_t row = tile / t->n_count, column = tile % t->n_count;
  size_t m0 = row * t->m, n0 = column * t->n, k0 = stretch * t->k, size = dtype_size(s->type);
  int kind = stretch == 0 ? FIRST : stretch + 1 == t->k_count ? LAST : MIDDLE;
  const Product *p = run->products[row + 1 == t->m_count][column + 1 == t->n_count][kind];
  const char *left = (const char *)a + (s->a_transposed ? k0 * s->m + m0 : m0 * s->k + k0) * size;
  const char *right = (const char *)b + (s->b_transposed ? n0 * s->k + k0 : k0 * s->n + n0) * size;
  float *copy_a =
      (float *)cpu->dnn->copy.data + (size_t)omp_get_thread_num() * (run->copy_a + run->copy_b);
  float *copy_b = copy_a + run->copy_a;
  const ProductShape *part = &p->shape.product;
  if (t->copies_a) {
    copy_columns(copy_a, run->a_step, (const float *)left, s->m, part->k, part->m);
    left = (const char *)copy_a;
  }
  if (t->copies_b) {
    copy_columns(copy_b, run->b_step, (const float *)right, s->n, part->k, part->n);
    right = (const char *)copy_b;
  }
  return tile_run(cpu, p, (char *)c + (m0 * s->n + n0) * dtype_size(s->c_type), left, right,
                  bias && kind == FIRST ? bias + n0 : NULL) != dnnl_success;
}

void product_run(CpuDevice *cpu, const ProductShape *s, void *c, const void *a, const void *b,
                 const float *bias) {
  Run run;
  int failed = 0, before = omp_get_max_threads();
  /* The library reads the calling thread's setting, both when it makes and when it runs. */
  omp_set_num_threads(1);
  run_open(cpu, &run, s);
  size_t tiles = cpu->failed ? 0 : run.tiling.m_count * run.tiling.n_count;
#pragma omp parallel for num_threads(cpu->threads) schedule(dynamic) reduction(+ : failed)
  for (size_t i = 0; i < tiles; i++)
    for (size_t j = 0; j < run.tiling.k_count; j++)
      failed += run_stretch(cpu, &run, i, j, c, a, b, bias);
  omp_set_num_threads(before);
  if (failed) cpu_fail(cpu, "oneDNN: a matrix product failed");
}

void product_library(char *text, size_t size) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(text, size, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
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
