/* linear.cuh - what the files of matrix products share. linear.cu describes a product to cuBLASLt,
 * chooses its algorithm by a rule and runs it; linear_table.cu writes algorithms down and finds
 * them again; linear_timing.cu chooses by timing. Included by these three only. */
#ifndef KERNELS_CUDA_LINEAR_CUH
#define KERNELS_CUDA_LINEAR_CUH

#include <cublasLt.h>

#include "kernels/cuda/cuda.cuh"

enum {
  ALIGNMENT = 16, /* what prepare() may promise of every operand; no access moves more bytes */
  ANSWERS = 8,    /* of the heuristic */
};

/* d[m,n] = op(a)[m,k] op(b)[k,n] (+ bias[m] to each column) (+ d), column-major. */
typedef struct ProductShape {
  size_t m, n, k;
  bool a_transposed, b_transposed, has_bias, accumulate;
  Dtype type, d_type;
  int alignment; /* of every operand, at most ALIGNMENT */
} ProductShape;

/* What the library is told an algorithm by: its configuration's attributes, in the order of
 * linear_words. -1: the library does not tell. */
enum { ALGORITHM_WORDS = 9, REDUCTION_WORD = ALGORITHM_WORDS - 1 };
typedef struct AlgorithmWords {
  int32_t word[ALGORITHM_WORDS];
} AlgorithmWords;

typedef struct AlgorithmWord {
  const char *name; /* in a table */
  cublasLtMatmulAlgoConfigAttributes_t attribute;
  size_t size; /* 4 or 2 bytes */
} AlgorithmWord;
extern const AlgorithmWord linear_words[ALGORITHM_WORDS];

typedef enum ProductChooser { BY_RULE, BY_TABLE, BY_TIMING } ProductChooser;

typedef struct Product {
  struct Product *next;
  ProductShape shape;
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t a, b, d;
  cublasLtMatmulAlgo_t algorithm;
  ProductChooser chooser;
  int answer;  /* by rule and timing: the heuristic's, from 1; 0: the first with its sum split here
                */
  float waves; /* below 1: this part of the device has work */
  /* By timing: whether the algorithm can be found again by its words; its time and that of the
   * rule's choice. */
  bool writable;
  float milliseconds, rule_milliseconds; /* the latter 0: it was left out */
} Product;

typedef struct TableRow {
  ProductShape shape;
  AlgorithmWords words;
  int line;
} TableRow;

struct CudaLinear {
  cublasLtHandle_t handle;
  void *workspace;
  Product *products, **end;
  bool timing; /* choose by timing */
  TableRow *table;
  size_t rows; /* of the table; 0: there is none */
  char table_name[256];
};

static inline cudaDataType_t linear_type(Dtype type) {
  return type == DTYPE_F32 ? CUDA_R_32F : type == DTYPE_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

static inline bool linear_same_shape(const ProductShape *a, const ProductShape *b) {
  return a->m == b->m && a->n == b->n && a->k == b->k && a->a_transposed == b->a_transposed &&
         a->b_transposed == b->b_transposed && a->has_bias == b->has_bias &&
         a->accumulate == b->accumulate && a->type == b->type && a->d_type == b->d_type &&
         a->alignment == b->alignment;
}

/* linear.cu */

/* found[count]: what the heuristic offers for a product that is described, in its order. */
cublasStatus_t linear_ask(const Product *, cublasLtHandle_t,
                          cublasLtMatmulHeuristicResult_t found[ANSWERS], int *count);
/* Chooses by the rule. */
cublasStatus_t linear_choose(Product *, cublasLtHandle_t);

/* linear_table.cu */

void linear_read_words(AlgorithmWords *, const cublasLtMatmulAlgo_t *);
/* The algorithm of these words for a product that is described; false when the library does not
 * have it, or not in this work space. */
bool linear_from_words(const Product *, cublasLtHandle_t, const AlgorithmWords *,
                       cublasLtMatmulHeuristicResult_t *);
/* The row of the table for a shape; NULL: none. */
const TableRow *linear_find_row(const CudaLinear *, const ProductShape *);

/* linear_timing.cu: chooses by timing, and keeps a failure of the device. */
cublasStatus_t linear_choose_by_timing(CudaDevice *, Product *);

#endif
