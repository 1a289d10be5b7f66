/* linear.cu - linear layers through cuBLASLt.
 *
 * cuBLASLt thinks in columns: a row-major matrix [r,c] is for it a column-major one [c,r] with
 * leading dimension c. So y = x w^T is computed as y^T[out,rows] = w x^T, with w given as its
 * transpose, and likewise the two backward products; see the three callers of product() below.
 *
 * An algorithm is chosen the first time a product of some shape is prepared. Where a table says
 * which (linear_table.cu), by that; while a table is made, by timing (linear_timing.cu); otherwise
 * by a rule that looks at the shape and the device and measures nothing, so the same build on the
 * same device model always takes the same one: of the answers of the library's heuristic, which
 * come in the order of the time that it expects, the first that keeps half of the device busy; if
 * none does, the first answer with its sum split into 2, 4, ... parts, as few as keep half of the
 * device busy; if that is not to be had either, of all these the one that keeps most of it busy. It
 * is the gradients of small weights that need it: a 384 x 384 result has 9 tiles of 128 x 128, for
 * the 132 multiprocessors of an H200, and sums over 50,000 rows. Split sums that meet through
 * atomics are excluded; those that meet in the work space, in a fixed order, are not. */
#include "kernels/cuda/linear.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  SPLITS_MAX = 32,
  SPLIT_LENGTH = 1024, /* terms in a part of a split sum, at the least */
};
static const float busy = 0.5f; /* waves, the library's word for the part of the device in use */

bool linear_open(CudaDevice *d, char *message, size_t size) {
  CudaLinear *l = d->linear = static_cast<CudaLinear *>(calloc(1, sizeof *l));
  if (!l) {
    snprintf(message, size, "out of memory");
    return false;
  }
  l->end = &l->products;
  cublasStatus_t status = cublasLtCreate(&l->handle);
  if (status != CUBLAS_STATUS_SUCCESS) {
    l->handle = NULL;
    snprintf(message, size, "cuda:%d: cuBLASLt does not start: %s", d->ordinal,
             cublasLtGetStatusString(status));
    return false;
  }
  if (cuda_check(d, cudaMalloc(&l->workspace, CUDA_WORKSPACE_BYTES), "memory for matrix products"))
    return true;
  snprintf(message, size, "%s", d->error);
  return false;
}

static void product_free(Product *p) {
  if (p->operation) cublasLtMatmulDescDestroy(p->operation);
  if (p->a) cublasLtMatrixLayoutDestroy(p->a);
  if (p->b) cublasLtMatrixLayoutDestroy(p->b);
  if (p->d) cublasLtMatrixLayoutDestroy(p->d);
  free(p);
}

void linear_close(CudaDevice *d) {
  CudaLinear *l = d->linear;
  for (Product *p = l->products, *next; p; p = next) {
    next = p->next;
    product_free(p);
  }
  cudaFree(l->workspace);
  free(l->table);
  if (l->handle) cublasLtDestroy(l->handle);
  free(l);
  d->linear = NULL;
}

void linear_library(char *text, size_t size) {
  size_t version = cublasLtGetVersion(); /* 130002: 13.0.2 */
  snprintf(text, size, "cuBLASLt %zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
}

/* "products m x n x k types:algorithm.tile.stages.split.swizzle.custom.inner.cluster/answer/waves
 * ...", where "table" stands for an answer that a table gave. */
void linear_describe(const CudaDevice *d, char *text, size_t size) {
  size_t used = (size_t)snprintf(text, size, "products");
  for (const Product *p = d->linear->products; p; p = p->next) {
    const ProductShape *s = &p->shape;
    AlgorithmWords words;
    char line[192];
    int length = snprintf(line, sizeof line, " %zux%zux%zu%c%c", s->m, s->n, s->k,
                          s->a_transposed ? 't' : 'n', s->b_transposed ? 't' : 'n');
    linear_read_words(&words, &p->algorithm);
    for (int i = 0; i < REDUCTION_WORD; i++)
      length += snprintf(line + length, sizeof line - (size_t)length, "%c%d", i ? '.' : ':',
                         words.word[i]);
    if (p->chooser == BY_TABLE)
      length += snprintf(line + length, sizeof line - (size_t)length, "/table");
    else
      length += snprintf(line + length, sizeof line - (size_t)length, "/%d", p->answer);
    length += snprintf(line + length, sizeof line - (size_t)length, "/%.2f", (double)p->waves);
    if (used + (size_t)length >= size) return;
    memcpy(text + used, line, (size_t)length + 1);
    used += (size_t)length;
  }
}

/* Keeps a failure of the library; true when there was none. */
static bool check(CudaDevice *d, cublasStatus_t status, const ProductShape *s, const char *what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    cuda_fail(d, "cuda:%d: %s of a %zu x %zu x %zu matrix product in %s: %s", d->ordinal, what,
              s->m, s->n, s->k, dtype_name(s->type), cublasLtGetStatusString(status));
  return !d->error[0];
}

/* memory: any of the device's. What the library may expect of a bias's address it sees from one. */
static cublasStatus_t describe_operation(Product *p, void *memory) {
  const ProductShape *s = &p->shape;
  const void *bias = static_cast<char *>(memory) + s->alignment; /* aligned to that and no more */
  /* True fp32 for fp32 operands: not TF32, which keeps 10 bits. */
  cublasStatus_t status = cublasLtMatmulDescCreate(&p->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  int32_t a = s->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  int32_t b = s->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  /* Never the library's GELU, which is the approximation by tanh and so another function. */
  uint32_t epilogue = s->has_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  /* The library takes a bias of the result's own type only. */
  int32_t bias_type = linear_type(s->d_type);
  if (!status)
    status =
        cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a);
  if (!status)
    status =
        cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b);
  if (!status)
    status = cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                            sizeof epilogue);
  if (!status && s->has_bias)
    status = cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
                                            &bias_type, sizeof bias_type);
  if (!status && s->has_bias)
    status = cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                            sizeof bias);
  return status;
}

static cublasStatus_t describe_operands(Product *p) {
  const ProductShape *s = &p->shape;
  cudaDataType_t type = linear_type(s->type);
  size_t a_rows = s->a_transposed ? s->k : s->m, a_columns = s->a_transposed ? s->m : s->k;
  size_t b_rows = s->b_transposed ? s->n : s->k, b_columns = s->b_transposed ? s->k : s->n;
  cublasStatus_t status =
      cublasLtMatrixLayoutCreate(&p->a, type, a_rows, a_columns, (int64_t)a_rows);
  if (!status) status = cublasLtMatrixLayoutCreate(&p->b, type, b_rows, b_columns, (int64_t)b_rows);
  if (!status)
    status = cublasLtMatrixLayoutCreate(&p->d, linear_type(s->d_type), s->m, s->n, (int64_t)s->m);
  return status;
}

cublasStatus_t linear_ask(const Product *p, cublasLtHandle_t handle,
                          cublasLtMatmulHeuristicResult_t found[ANSWERS], int *count) {
  static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
  cublasLtMatmulPreference_t preference = NULL;
  uint64_t workspace = CUDA_WORKSPACE_BYTES;
  uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  uint32_t alignment = (uint32_t)p->shape.alignment;
  cublasStatus_t status = cublasLtMatmulPreferenceCreate(&preference);
  if (!status)
    status = cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
  if (!status)
    status = cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction);
  for (int i = 0; i < 4 && !status; i++)
    status = cublasLtMatmulPreferenceSetAttribute(preference, alignments[i], &alignment,
                                                  sizeof alignment);
  if (!status)
    status = cublasLtMatmulAlgoGetHeuristic(handle, p->operation, p->a, p->b, p->d, p->d,
                                            preference, ANSWERS, found, count);
  if (preference) cublasLtMatmulPreferenceDestroy(preference);
  return status;
}

/* Takes what is better than all before; true when there is no need to look further. */
static bool consider(Product *p, const cublasLtMatmulHeuristicResult_t *offer, int answer) {
  if (p->answer < 0 || offer->wavesCount > p->waves) {
    p->algorithm = offer->algo;
    p->waves = offer->wavesCount;
    p->answer = answer;
  }
  return p->waves >= busy;
}

/* The same algorithm with its sum in so many parts, which are added in order; false when the
 * library does not have that, or not in this work space. */
static bool split_sum(const Product *p, cublasLtHandle_t handle, int32_t parts,
                      cublasLtMatmulHeuristicResult_t *offer) {
  uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  cublasLtMatmulAlgo_t algorithm = offer->algo;
  cublasStatus_t status = cublasLtMatmulAlgoConfigSetAttribute(
      &algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts);
  if (!status)
    status = cublasLtMatmulAlgoConfigSetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                                  &reduction, sizeof reduction);
  if (!status)
    status =
        cublasLtMatmulAlgoCheck(handle, p->operation, p->a, p->b, p->d, p->d, &algorithm, offer);
  offer->algo = algorithm;
  return !status && offer->workspaceSize <= CUDA_WORKSPACE_BYTES;
}

cublasStatus_t linear_choose(Product *p, cublasLtHandle_t handle) {
  cublasLtMatmulHeuristicResult_t found[ANSWERS], first = {};
  int count = 0;
  cublasStatus_t status = linear_ask(p, handle, found, &count);
  if (status) return status;
  p->answer = -1;
  for (int i = 0; i < count; i++) {
    if (found[i].state != CUBLAS_STATUS_SUCCESS) continue;
    if (p->answer < 0) first = found[i];
    if (consider(p, &found[i], i + 1)) return CUBLAS_STATUS_SUCCESS;
  }
  if (p->answer < 0) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (int parts = 2; parts <= SPLITS_MAX && p->shape.k / parts >= SPLIT_LENGTH; parts *= 2) {
    cublasLtMatmulHeuristicResult_t offer = first;
    if (split_sum(p, handle, parts, &offer) && consider(p, &offer, 0)) break;
  }
  return CUBLAS_STATUS_SUCCESS;
}

/* By the table's row for it. */
static cublasStatus_t choose_by_row(CudaDevice *d, Product *p, const TableRow *row) {
  const CudaLinear *l = d->linear;
  cublasLtMatmulHeuristicResult_t offer;
  if (!linear_from_words(p, l->handle, &row->words, &offer)) {
    cuda_fail(d, "%s:%d: cuBLASLt has no such algorithm for this product: make the table anew",
              l->table_name, row->line);
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  p->algorithm = offer.algo;
  p->waves = offer.wavesCount;
  p->chooser = BY_TABLE;
  return CUBLAS_STATUS_SUCCESS;
}

/* Nothing is timed while a step is recorded: it has run once before, so all its products are there.
 */
static cublasStatus_t choose_algorithm(CudaDevice *d, Product *p) {
  const TableRow *row = linear_find_row(d->linear, &p->shape);
  if (row) return choose_by_row(d, p, row);
  if (d->linear->timing && !d->recording) return linear_choose_by_timing(d, p);
  return linear_choose(p, d->linear->handle);
}

/* The product of this shape, made when it is new; NULL when the library cannot compute it. */
static Product *product_find(CudaDevice *d, const ProductShape *shape) {
  CudaLinear *l = d->linear;
  for (Product *p = l->products; p; p = p->next)
    if (linear_same_shape(&p->shape, shape)) return p;
  Product *p = static_cast<Product *>(calloc(1, sizeof *p));
  if (!p) {
    cuda_fail(d, "out of memory for a matrix product's description");
    return NULL;
  }
  p->shape = *shape;
  cublasStatus_t status = describe_operation(p, d->scratch);
  if (!status) status = describe_operands(p);
  if (!status) status = choose_algorithm(d, p);
  if (!check(d, status, shape, "no algorithm")) {
    product_free(p);
    return NULL;
  }
  *l->end = p;
  l->end = &p->next;
  return p;
}

static int common_alignment(const void *a, const void *b, const void *d, const void *bias) {
  uintptr_t bits = (uintptr_t)a | (uintptr_t)b | (uintptr_t)d | (uintptr_t)bias | ALIGNMENT;
  return (int)(bits & -bits);
}

static void product_run(CudaDevice *d, ProductShape *shape, void *result, const void *a,
                        const void *b, const void *bias) {
  shape->alignment = common_alignment(a, b, result, bias);
  Product *p = product_find(d, shape);
  if (!p) return;
  const float one = 1, beta = shape->accumulate ? 1 : 0;
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (bias)
    status = cublasLtMatmulDescSetAttribute(p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                            sizeof bias);
  if (!status)
    status = cublasLtMatmul(d->linear->handle, p->operation, &one, a, p->a, b, p->b, &beta, result,
                            p->d, result, p->d, &p->algorithm, d->linear->workspace,
                            CUDA_WORKSPACE_BYTES, d->stream);
  check(d, status, shape, "failure");
}

static ProductShape forward_shape(Dtype y_type, Dtype type, size_t rows, int in, int out,
                                  bool has_bias) {
  ProductShape s = {};
  s.m = (size_t)out;
  s.n = rows;
  s.k = (size_t)in;
  s.a_transposed = true;
  s.has_bias = has_bias;
  s.type = type;
  s.d_type = y_type;
  s.alignment = ALIGNMENT;
  return s;
}

static ProductShape input_shape(Dtype type, size_t rows, int in, int out) {
  ProductShape s = {};
  s.m = (size_t)in;
  s.n = rows;
  s.k = (size_t)out;
  s.type = s.d_type = type;
  s.alignment = ALIGNMENT;
  return s;
}

static ProductShape weight_shape(Dtype type, size_t rows, int in, int out, bool accumulate) {
  ProductShape s = {};
  s.m = (size_t)in;
  s.n = (size_t)out;
  s.k = rows;
  s.b_transposed = true;
  s.accumulate = accumulate;
  s.type = type;
  s.d_type = DTYPE_F32;
  s.alignment = ALIGNMENT;
  return s;
}

void cuda_linear_prepare(Device *device, Dtype y_type, Dtype type, size_t rows, int in, int out,
                         bool trains) {
  CudaDevice *d = cuda_device(device);
  ProductShape shape = forward_shape(y_type, type, rows, in, out, true);
  if (d->error[0] || !product_find(d, &shape) || !trains) return;
  shape = input_shape(type, rows, in, out);
  if (!product_find(d, &shape)) return;
  shape = weight_shape(type, rows, in, out, false);
  product_find(d, &shape);
}

void cuda_linear_forward(Device *device, void *y, Dtype y_type, const void *x, const void *w,
                         const void *bias, Dtype type, size_t rows, int in, int out) {
  CudaDevice *d = cuda_device(device);
  if (d->error[0] || !rows) return;
  ProductShape shape = forward_shape(y_type, type, rows, in, out, bias != NULL);
  product_run(d, &shape, y, w, x, bias);
}

void cuda_linear_backward_input(Device *device, void *d_x, const void *d_y, const void *w,
                                Dtype type, size_t rows, int in, int out) {
  CudaDevice *d = cuda_device(device);
  if (d->error[0] || !rows) return;
  ProductShape shape = input_shape(type, rows, in, out);
  product_run(d, &shape, d_x, w, d_y, NULL);
}

void cuda_linear_backward_weight(Device *device, float *d_w, float *d_bias, const void *d_y,
                                 const void *x, Dtype type, size_t rows, int in, int out,
                                 bool accumulate) {
  CudaDevice *d = cuda_device(device);
  if (d->error[0] || !rows) return;
  ProductShape shape = weight_shape(type, rows, in, out, accumulate);
  product_run(d, &shape, d_w, x, d_y, NULL);
  if (d_bias) cuda_column_sums(d, d_bias, d_y, type, rows, out, accumulate);
}
