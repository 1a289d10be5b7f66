/* cublaslt.cc - matrix products as cuBLASLt describes them, by plain loops. Types, layouts,
 * transpositions, epilogues, alignments and work space are taken at their word and checked, an
 * algorithm runs only the product that it was chosen for, and a split sum is added part by part. */
#include "include/cublasLt.h"

#include <set>
#include <vector>

#include "include/cuda_bf16.h"
#include "include/cuda_fp16.h"
#include "runtime.h"

struct SimtBlas {
  std::set<uint64_t> loaded; /* products whose kernel is on the device */
};
struct SimtMatmul {
  cublasComputeType_t compute;
  cudaDataType_t bias_type;
  cublasOperation_t a, b;
  cublasLtEpilogue_t epilogue;
  const void *bias;
};
struct SimtLayout {
  cudaDataType_t type;
  uint64_t rows, columns, leading;
};
struct SimtPreference {
  uint64_t workspace;
  uint32_t reduction, alignment[4];
};

enum { STAGES = 5, WORKSPACE = 1 << 20 };
/* The heuristic's answers, in its order. */
static const struct {
  int algorithm, tile;
  size_t tile_rows, tile_columns;
} answers[] = {{66, 20, 128, 128}, {67, 18, 128, 64}};
enum { ANSWERS = sizeof answers / sizeof *answers };

/* What cublasLtMatmulAlgo_t holds here. */
struct Algorithm {
  uint64_t product; /* fingerprint of what it was chosen for */
  uint64_t workspace;
  uint32_t alignment[4];
  int32_t answer, parts; /* index of `answers`; parts of a split sum */
  uint32_t reduction;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t), "an algorithm is 64 bytes");

static Algorithm read(const cublasLtMatmulAlgo_t &from) {
  Algorithm algorithm;
  memcpy(&algorithm, &from, sizeof algorithm);
  return algorithm;
}

static void write(cublasLtMatmulAlgo_t &to, const Algorithm &algorithm) {
  memcpy(&to, &algorithm, sizeof algorithm);
}
/* What the library takes for itself with its first product, and with each new one. */
enum { FIRST_BYTES = 80 << 20, PRODUCT_BYTES = 256 << 10 };

static float load(const void *p, cudaDataType_t type, size_t i) {
  if (type == CUDA_R_16F) return __half2float(static_cast<const __half *>(p)[i]);
  if (type == CUDA_R_16BF) return __bfloat162float(static_cast<const __nv_bfloat16 *>(p)[i]);
  return static_cast<const float *>(p)[i];
}

static void store(void *p, cudaDataType_t type, size_t i, float x) {
  if (type == CUDA_R_16F)
    static_cast<__half *>(p)[i] = __float2half_rn(x);
  else if (type == CUDA_R_16BF)
    static_cast<__nv_bfloat16 *>(p)[i] = __float2bfloat16_rn(x);
  else
    static_cast<float *>(p)[i] = x;
}

/* op(matrix) as rows of fp32; tf32: with 10 bits of fraction. */
static std::vector<float> rows_of(const void *p, const SimtLayout &layout, bool transpose,
                                  bool tf32) {
  size_t rows = transpose ? layout.columns : layout.rows;
  size_t columns = transpose ? layout.rows : layout.columns;
  std::vector<float> out(rows * columns);
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < columns; c++) {
      float x = load(p, layout.type, transpose ? c + r * layout.leading : r + c * layout.leading);
      uint32_t bits;
      memcpy(&bits, &x, sizeof bits);
      if (tf32) bits &= 0xffffe000u;
      memcpy(&out[r * columns + c], &bits, sizeof bits);
    }
  return out;
}

struct Operands {
  SimtMatmul operation;
  SimtLayout a, b, c, d;
  const void *a_data, *b_data, *c_data;
  void *d_data;
  float alpha, beta;
  size_t parts;
};

static void multiply(const Operands &o) {
  bool tf32 = o.operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  std::vector<float> a = rows_of(o.a_data, o.a, o.operation.a == CUBLAS_OP_T, tf32);
  /* The transpose of op(b), so that the sum runs along both rows. */
  std::vector<float> b = rows_of(o.b_data, o.b, o.operation.b == CUBLAS_OP_N, tf32);
  size_t m = o.d.rows, n = o.d.columns, k = a.size() / m;
  for (size_t j = 0; j < n; j++)
    for (size_t i = 0; i < m; i++) {
      const float *x = &a[i * k], *y = &b[j * k];
      float sum = 0;
      for (size_t part = 0; part < o.parts; part++) {
        float own = 0;
        for (size_t l = k * part / o.parts; l < k * (part + 1) / o.parts; l++) own += x[l] * y[l];
        sum += own;
      }
      sum *= o.alpha;
      if (o.beta != 0) sum += o.beta * load(o.c_data, o.c.type, i + j * o.c.leading);
      if (o.operation.epilogue == CUBLASLT_EPILOGUE_BIAS)
        sum += load(o.operation.bias, o.operation.bias_type, i);
      store(o.d_data, o.d.type, i + j * o.d.leading, sum);
    }
}

static void mix(uint64_t &hash, uint64_t value) {
  hash = (hash ^ value) * 0x100000001b3ull;
}

/* What an algorithm is chosen for. */
static uint64_t fingerprint(const SimtMatmul &o, const SimtLayout *const layouts[4]) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (uint64_t value : {(uint64_t)o.compute, (uint64_t)o.a, (uint64_t)o.b, (uint64_t)o.epilogue})
    mix(hash, value);
  for (int i = 0; i < 4; i++)
    for (uint64_t value :
         {(uint64_t)layouts[i]->type, layouts[i]->rows, layouts[i]->columns, layouts[i]->leading})
      mix(hash, value);
  return hash;
}

static bool supported(const SimtMatmul &o, const SimtLayout &a, const SimtLayout &b,
                      const SimtLayout &c, const SimtLayout &d) {
  uint64_t m = o.a == CUBLAS_OP_T ? a.columns : a.rows, k = o.a == CUBLAS_OP_T ? a.rows : a.columns;
  uint64_t n = o.b == CUBLAS_OP_T ? b.rows : b.columns;
  uint64_t b_k = o.b == CUBLAS_OP_T ? b.columns : b.rows;
  if (m != d.rows || n != d.columns || k != b_k || c.rows != m || c.columns != n) return false;
  for (const SimtLayout *l : {&a, &b, &c, &d})
    if (l->leading < l->rows || !l->rows || !l->columns) return false;
  bool bf16 = a.type == CUDA_R_16BF;
  return a.type == b.type && c.type == d.type && (d.type == a.type || d.type == CUDA_R_32F) &&
         (o.epilogue != CUBLASLT_EPILOGUE_BIAS || o.bias_type == d.type) &&
         (!bf16 || simt::capability() >= 80);
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  if (simt::enter("cublasLtCreate")) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new SimtBlas();
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion() {
  return 130000;
}
const char *cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
  case CUBLAS_STATUS_SUCCESS:
    return "success";
  case CUBLAS_STATUS_NOT_INITIALIZED:
    return "the library was not initialized";
  case CUBLAS_STATUS_ALLOC_FAILED:
    return "the resource allocation failed";
  case CUBLAS_STATUS_INVALID_VALUE:
    return "an invalid value was passed";
  case CUBLAS_STATUS_EXECUTION_FAILED:
    return "the program failed to execute";
  case CUBLAS_STATUS_NOT_SUPPORTED:
    return "the functionality is not supported";
  }
  return "an unknown status";
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  if (scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  *out = new SimtMatmul{compute, CUDA_R_32F, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT,
                        nullptr};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  delete operation;
  return CUBLAS_STATUS_SUCCESS;
}

template <class T> static cublasStatus_t take(T &to, const void *value, size_t size) {
  if (size != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(&to, value, size);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t size) {
  switch (attribute) {
  case CUBLASLT_MATMUL_DESC_TRANSA:
    return take(operation->a, value, size);
  case CUBLASLT_MATMUL_DESC_TRANSB:
    return take(operation->b, value, size);
  case CUBLASLT_MATMUL_DESC_EPILOGUE:
    return take(operation->epilogue, value, size);
  case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
    return take(operation->bias, value, size);
  case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
    return take(operation->bias_type, value, size);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type,
                                          uint64_t rows, uint64_t columns, int64_t leading) {
  *layout = new SimtLayout{type, rows, columns, (uint64_t)leading};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
  *preference = new SimtPreference{0, 7, {256, 256, 256, 256}};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t size) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
    return take(preference->workspace, value, size);
  if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
    return take(preference->reduction, value, size);
  return take(preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value,
              size);
}

/* Parts of a split sum lie in the work space. */
static size_t workspace_of(const Algorithm &algorithm, const SimtLayout &d) {
  size_t parts = algorithm.parts > 1 ? (size_t)algorithm.parts * d.rows * d.columns * 4 : 0;
  return parts > algorithm.workspace ? parts : algorithm.workspace;
}

/* Work space and waves: tiles and parts against multiprocessors. */
static void judge(const Algorithm &algorithm, const SimtLayout &d,
                  cublasLtMatmulHeuristicResult_t *result) {
  const auto &answer = answers[algorithm.answer];
  size_t tiles = ((d.rows + answer.tile_rows - 1) / answer.tile_rows) *
                 ((d.columns + answer.tile_columns - 1) / answer.tile_columns);
  result->workspaceSize = workspace_of(algorithm, d);
  result->wavesCount = (float)(tiles * (size_t)algorithm.parts) / simt::MULTIPROCESSORS;
  result->state = CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results,
                                              int *found) {
  *found = 0;
  if (simt::enter("cublasLtMatmulAlgoGetHeuristic")) return CUBLAS_STATUS_NOT_SUPPORTED;
  /* Sums that meet in an order of their own are what this project must not get. */
  bool ordered = !(preference->reduction & CUBLASLT_REDUCTION_SCHEME_INPLACE);
  if (!ordered || !supported(*operation, *a, *b, *c, *d)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (operation->epilogue == CUBLASLT_EPILOGUE_BIAS && !operation->bias)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  const SimtLayout *const layouts[4] = {a, b, c, d};
  for (; *found < wanted && *found < ANSWERS; ++*found) {
    Algorithm algorithm = {};
    algorithm.product = fingerprint(*operation, layouts);
    algorithm.workspace = preference->workspace < WORKSPACE ? 0 : WORKSPACE;
    memcpy(algorithm.alignment, preference->alignment, sizeof algorithm.alignment);
    algorithm.answer = *found;
    algorithm.parts = 1;
    results[*found] = {};
    write(results[*found].algo, algorithm);
    judge(algorithm, *d, &results[*found]);
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *checked,
                                       cublasLtMatmulHeuristicResult_t *result) {
  const SimtLayout *const layouts[4] = {a, b, c, d};
  Algorithm algorithm = read(*checked);
  if (algorithm.product != fingerprint(*operation, layouts)) return CUBLAS_STATUS_INVALID_VALUE;
  bool split = algorithm.parts > 1;
  if (split != (algorithm.reduction == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  judge(algorithm, *d, result);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t *changed,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void *value, size_t size) {
  Algorithm algorithm = read(*changed);
  cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE;
  if (attribute == CUBLASLT_ALGO_CONFIG_SPLITK_NUM) status = take(algorithm.parts, value, size);
  if (attribute == CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME)
    status = take(algorithm.reduction, value, size);
  write(*changed, algorithm);
  return status;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *asked,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void *value, size_t size, size_t *written) {
  bool half = attribute == CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID ||
              attribute == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID;
  Algorithm algorithm = read(*asked);
  int number = attribute == CUBLASLT_ALGO_CONFIG_ID           ? answers[algorithm.answer].algorithm
               : attribute == CUBLASLT_ALGO_CONFIG_TILE_ID    ? answers[algorithm.answer].tile
               : attribute == CUBLASLT_ALGO_CONFIG_STAGES_ID  ? STAGES
               : attribute == CUBLASLT_ALGO_CONFIG_SPLITK_NUM ? algorithm.parts
                                                              : 0;
  uint16_t short_number = (uint16_t)number;
  *written = half ? sizeof short_number : sizeof number;
  if (size < *written) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(value, half ? (const void *)&short_number : &number, *written);
  return CUBLAS_STATUS_SUCCESS;
}

/* The device's code for a product, when it is run for the first time. */
static cudaError_t load_kernel(SimtBlas *library, uint64_t product) {
  size_t first = library->loaded.empty() ? FIRST_BYTES : 0;
  return library->loaded.insert(product).second ? simt::charge(first + PRODUCT_BYTES) : cudaSuccess;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t library, cublasLtMatmulDesc_t operation,
                              const void *alpha, const void *a_data, cublasLtMatrixLayout_t a,
                              const void *b_data, cublasLtMatrixLayout_t b, const void *beta,
                              const void *c_data, cublasLtMatrixLayout_t c, void *d_data,
                              cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t *chosen,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream) {
  if (simt::enter("cublasLtMatmul")) return CUBLAS_STATUS_EXECUTION_FAILED;
  const SimtLayout *const layouts[4] = {a, b, c, d};
  const void *const data[4] = {a_data, b_data, c_data, d_data};
  if (!chosen) return CUBLAS_STATUS_INVALID_VALUE;
  Algorithm algorithm = read(*chosen);
  if (algorithm.product != fingerprint(*operation, layouts)) return CUBLAS_STATUS_INVALID_VALUE;
  if (workspace_bytes < workspace_of(algorithm, *d) || !workspace)
    return CUBLAS_STATUS_INVALID_VALUE;
  for (int i = 0; i < 4; i++)
    if ((uintptr_t)data[i] % algorithm.alignment[i]) return CUBLAS_STATUS_INVALID_VALUE;
  if (!supported(*operation, *a, *b, *c, *d)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (load_kernel(library, algorithm.product)) return CUBLAS_STATUS_ALLOC_FAILED;
  Operands o = {*operation, *a,     *b,     *c, *d, a_data,
                b_data,     c_data, d_data, 0,  0,  (size_t)algorithm.parts};
  memcpy(&o.alpha, alpha, sizeof o.alpha);
  memcpy(&o.beta, beta, sizeof o.beta);
  simt::enqueue_work(stream, [o] { multiply(o); });
  return CUBLAS_STATUS_SUCCESS;
}
