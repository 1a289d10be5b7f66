/* cublaslt.cc - matrix products as cuBLASLt describes them, by plain loops. Types, layouts,
 * transpositions, epilogues, alignments and work space are taken at their word and checked, an
 * algorithm runs only the product that it was chosen for, and a split sum is added part by part.
 *
 * Each algorithm of `kinds` adds in an order of its own, and says of itself that it took a time of
 * its own: an algorithm with one attribute other than was asked for gives other bits. */
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

enum { WORKSPACE = 1 << 20 };

/* How the terms of a sum are added. */
enum Order { ASCENDING, DESCENDING, EVEN_AND_ODD, EIGHTS, FOURS, CHANGING };

/* An algorithm as its attributes describe it. */
struct Attributes {
  int32_t id, tile, stages, parts; /* parts of a split sum */
  uint32_t reduction, swizzle, custom;
  uint16_t inner, cluster;
};

/* The heuristic's answers, in its order. The last is the fastest and gives other bits each time. */
static const struct Kind {
  Attributes attributes;
  size_t tile_rows, tile_columns;
  int alignment; /* of addresses, that it needs */
  Order order;
  double seconds;
} kinds[] = {
    {{66, 20, 5, 1, 0, 0, 0, 0, 0}, 128, 128, 2, ASCENDING, 1.0},
    {{67, 18, 5, 1, 0, 0, 0, 0, 0}, 128, 64, 2, EVEN_AND_ODD, 1.1},
    {{70, 24, 4, 1, 0, 1, 3, 2, 5}, 256, 128, 16, DESCENDING, 0.7},
    {{70, 24, 4, 1, 0, 1, 0, 2, 5}, 256, 128, 16, EIGHTS, 0.8},
    {{72, 26, 3, 1, 0, 0, 0, 0, 0}, 256, 256, 2, CHANGING, 0.5},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* What cublasLtMatmulAlgo_t holds here. */
struct Algorithm {
  uint64_t product; /* fingerprint of what it was chosen for; 0: made from its attributes */
  uint32_t types;   /* fingerprint of the types */
  uint32_t alignment, bias_alignment; /* that were promised of addresses */
  uint32_t workspace;
  Attributes attributes;
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

/* The kind with these attributes, but for the split; NULL: one that no test knows. */
static const Kind *kind_of(const Attributes &a) {
  for (const Kind &kind : kinds) {
    const Attributes &b = kind.attributes;
    if (a.id == b.id && a.tile == b.tile && a.stages == b.stages && a.swizzle == b.swizzle &&
        a.custom == b.custom && a.inner == b.inner && a.cluster == b.cluster)
      return &kind;
  }
  return nullptr;
}

/* The first kind of this algorithm and tile, of which the attributes are another variant. */
static const Kind *kin_of(const Attributes &a) {
  for (const Kind &kind : kinds)
    if (a.id == kind.attributes.id && a.tile == kind.attributes.tile) return &kind;
  return nullptr;
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
  Order order;
};

/* The terms of a sum in so many sums, taken in turn, which are then added. */
template <size_t LANES> static float sum_lanes(const float *x, const float *y, size_t count) {
  float sums[LANES] = {}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (size_t lane = 0; lane < LANES; lane++) sums[lane] += x[i + lane] * y[i + lane];
  for (size_t lane = 0; i < count; i++, lane++) sums[lane] += x[i] * y[i];
  for (float part : sums) sum += part;
  return sum;
}

/* x[0] y[0] + ..., in an order. */
static float sum_terms(const float *x, const float *y, size_t count, Order order) {
  float sum = 0;
  switch (order) {
  case EVEN_AND_ODD:
    return sum_lanes<2>(x, y, count);
  case FOURS:
    return sum_lanes<4>(x, y, count);
  case EIGHTS:
    return sum_lanes<8>(x, y, count);
  case DESCENDING:
    for (size_t i = count; i > 0; i--) sum += x[i - 1] * y[i - 1];
    return sum;
  default:
    return sum_lanes<1>(x, y, count);
  }
}

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
        size_t from = k * part / o.parts, to = k * (part + 1) / o.parts;
        sum += sum_terms(x + from, y + from, to - from, o.order);
      }
      sum *= o.alpha;
      if (o.beta != 0) sum += o.beta * load(o.c_data, o.c.type, i + j * o.c.leading);
      if (o.operation.epilogue == CUBLASLT_EPILOGUE_BIAS)
        sum += load(o.operation.bias, o.operation.bias_type, i);
      store(o.d_data, o.d.type, i + j * o.d.leading, sum);
    }
}

/* What runs when work is done, and the time that it says it took. */
static void run(Operands o, double seconds) {
  static bool turn;
  if (o.order == CHANGING) o.order = (turn = !turn) ? DESCENDING : EIGHTS;
  multiply(o);
  simt::pretend(seconds);
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

/* Early devices have none, and the library does not tell of the attribute there. */
static bool has_clusters() {
  return simt::capability() >= 80;
}

static uint32_t types_of(cublasComputeType_t compute, cudaDataType_t a, cudaDataType_t b,
                         cudaDataType_t c, cudaDataType_t d) {
  uint32_t types = (uint32_t)compute;
  for (cudaDataType_t type : {a, b, c, d}) types = types << 4 | (uint32_t)type;
  return types;
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
  size_t parts = (size_t)algorithm.attributes.parts, bytes = parts * d.rows * d.columns * 4;
  return parts > 1 && bytes > algorithm.workspace ? bytes : algorithm.workspace;
}

/* Work space and waves: tiles and parts against multiprocessors. */
static void judge(const Algorithm &algorithm, const SimtLayout &d,
                  cublasLtMatmulHeuristicResult_t *result) {
  const Kind *kin = kin_of(algorithm.attributes);
  size_t tiles = ((d.rows + kin->tile_rows - 1) / kin->tile_rows) *
                 ((d.columns + kin->tile_columns - 1) / kin->tile_columns);
  result->workspaceSize = workspace_of(algorithm, d);
  result->wavesCount = (float)(tiles * (size_t)algorithm.attributes.parts) / simt::MULTIPROCESSORS;
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
  uint32_t alignment = 256;
  for (uint32_t own : preference->alignment) alignment = own < alignment ? own : alignment;
  for (int i = 0; i < KINDS && *found < wanted; i++) {
    if ((uint32_t)kinds[i].alignment > alignment) continue;
    if (kinds[i].attributes.cluster && !has_clusters()) continue;
    Algorithm algorithm = {};
    algorithm.product = fingerprint(*operation, layouts);
    algorithm.types = types_of(operation->compute, a->type, b->type, c->type, d->type);
    algorithm.workspace = preference->workspace < WORKSPACE ? 0 : WORKSPACE;
    algorithm.alignment = alignment;
    algorithm.bias_alignment = 256;
    while ((uintptr_t)operation->bias % algorithm.bias_alignment) algorithm.bias_alignment /= 2;
    algorithm.attributes = kinds[i].attributes;
    results[*found] = {};
    write(results[*found].algo, algorithm);
    judge(algorithm, *d, &results[*found]);
    ++*found;
  }
  return CUBLAS_STATUS_SUCCESS;
}

/* Without a tile, and for any product of these types. */
cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t compute,
                                      cudaDataType_t scale, cudaDataType_t a, cudaDataType_t b,
                                      cudaDataType_t c, cudaDataType_t d, int id,
                                      cublasLtMatmulAlgo_t *made) {
  if (scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (const Kind &kind : kinds)
    if (kind.attributes.id == id) {
      Algorithm algorithm = {};
      algorithm.types = types_of(compute, a, b, c, d);
      algorithm.workspace = WORKSPACE;
      algorithm.alignment = algorithm.bias_alignment = (uint32_t)kind.alignment;
      algorithm.attributes.id = id;
      algorithm.attributes.parts = 1;
      *made = {};
      write(*made, algorithm);
      return CUBLAS_STATUS_SUCCESS;
    }
  return CUBLAS_STATUS_INVALID_VALUE;
}

/* Whether an algorithm runs this product. */
static cublasStatus_t fits(const Algorithm &algorithm, const SimtMatmul &operation,
                           const SimtLayout *const layouts[4]) {
  const Attributes &own = algorithm.attributes;
  bool split = own.parts > 1;
  if (algorithm.product && algorithm.product != fingerprint(operation, layouts))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (algorithm.types != types_of(operation.compute, layouts[0]->type, layouts[1]->type,
                                  layouts[2]->type, layouts[3]->type) ||
      !kin_of(own) || own.parts < 1 ||
      split != (own.reduction == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *checked,
                                       cublasLtMatmulHeuristicResult_t *result) {
  const SimtLayout *const layouts[4] = {a, b, c, d};
  Algorithm algorithm = read(*checked);
  cublasStatus_t status = fits(algorithm, *operation, layouts);
  if (!status) judge(algorithm, *d, result);
  return status;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t *changed,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void *value, size_t size) {
  Algorithm algorithm = read(*changed);
  Attributes &own = algorithm.attributes;
  cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE; /* as for the id, which only init sets */
  if (attribute == CUBLASLT_ALGO_CONFIG_TILE_ID) status = take(own.tile, value, size);
  if (attribute == CUBLASLT_ALGO_CONFIG_STAGES_ID) status = take(own.stages, value, size);
  if (attribute == CUBLASLT_ALGO_CONFIG_SPLITK_NUM) status = take(own.parts, value, size);
  if (attribute == CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) status = take(own.reduction, value, size);
  if (attribute == CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING) status = take(own.swizzle, value, size);
  if (attribute == CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION) status = take(own.custom, value, size);
  if (attribute == CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID) status = take(own.inner, value, size);
  if (attribute == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID && has_clusters())
    status = take(own.cluster, value, size);
  write(*changed, algorithm);
  return status;
}

template <class T> static cublasStatus_t give(void *value, size_t size, size_t *written, T from) {
  *written = sizeof from;
  if (size != sizeof from) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(value, &from, sizeof from);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *asked,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void *value, size_t size, size_t *written) {
  const Attributes own = read(*asked).attributes;
  switch (attribute) {
  case CUBLASLT_ALGO_CONFIG_ID:
    return give(value, size, written, own.id);
  case CUBLASLT_ALGO_CONFIG_TILE_ID:
    return give(value, size, written, own.tile);
  case CUBLASLT_ALGO_CONFIG_STAGES_ID:
    return give(value, size, written, own.stages);
  case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
    return give(value, size, written, own.parts);
  case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
    return give(value, size, written, own.reduction);
  case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING:
    return give(value, size, written, own.swizzle);
  case CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION:
    return give(value, size, written, own.custom);
  case CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID:
    return give(value, size, written, own.inner);
  case CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID:
    return has_clusters() ? give(value, size, written, own.cluster) : CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
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
  if (cublasStatus_t status = fits(algorithm, *operation, layouts)) return status;
  if (workspace_bytes < workspace_of(algorithm, *d) || !workspace)
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const void *address : data)
    if ((uintptr_t)address % algorithm.alignment) return CUBLAS_STATUS_INVALID_VALUE;
  if (operation->epilogue == CUBLASLT_EPILOGUE_BIAS &&
      (uintptr_t)operation->bias % algorithm.bias_alignment)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!supported(*operation, *a, *b, *c, *d)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (load_kernel(library, fingerprint(*operation, layouts))) return CUBLAS_STATUS_ALLOC_FAILED;
  const Kind *kind = kind_of(algorithm.attributes);
  Operands o = {*operation,
                *a,
                *b,
                *c,
                *d,
                a_data,
                b_data,
                c_data,
                d_data,
                0,
                0,
                (size_t)algorithm.attributes.parts,
                kind ? kind->order : FOURS};
  memcpy(&o.alpha, alpha, sizeof o.alpha);
  memcpy(&o.beta, beta, sizeof o.beta);
  double seconds = kind ? kind->seconds : 2;
  simt::enqueue_work(stream, [o, seconds] { run(o, seconds); });
  return CUBLAS_STATUS_SUCCESS;
}
