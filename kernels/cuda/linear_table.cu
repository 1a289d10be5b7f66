/* linear_table.cu - algorithms of matrix products as text, so that a later run takes the same ones:
 *
 *   maebench products 1
 *   device = NVIDIA H100 80GB HBM3
 *   capability = 9.0
 *   multiprocessors = 132
 *   library = cuBLASLt 13.0.2
 *   384x50432x1536 tn bf16 bf16 16 bias: id=66 tile=20 stages=5 split=1 ... # 0.1 ms; rule 0.12 ms
 *   end = 1
 *
 * A row is m x n x k of d[m,n] = op(a) op(b), whether a and b are transposed (t) or not (n), the
 * types of the operands and of the result, the alignment of their addresses in bytes, what happens
 * to the result (plain, bias, or add: it is added to what is there), and the algorithm, with -1 for
 * an attribute that the library does not tell. What comes after # is for people. An algorithm is
 * found again with cublasLtMatmulAlgoInit() and its attributes, and means the same only for the
 * same device and version of the library, so a table of others is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/linear.cuh"

enum { HEADER_LINES = 5, LINE_MAX_BYTES = 512, DIMENSION_MAX = 1 << 30 };

const AlgorithmWord linear_words[ALGORITHM_WORDS] = {
    {"id", CUBLASLT_ALGO_CONFIG_ID, sizeof(int32_t)},
    {"tile", CUBLASLT_ALGO_CONFIG_TILE_ID, sizeof(int32_t)},
    {"stages", CUBLASLT_ALGO_CONFIG_STAGES_ID, sizeof(int32_t)},
    {"split", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, sizeof(int32_t)},
    {"swizzle", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, sizeof(int32_t)},
    {"custom", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, sizeof(int32_t)},
    {"inner", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, sizeof(uint16_t)},
    {"cluster", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, sizeof(uint16_t)},
    {"reduction", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, sizeof(int32_t)},
};

/* Algorithms as words --------------------------------------------------------------------------*/

static int32_t read_word(const cublasLtMatmulAlgo_t *algorithm, int i) {
  union {
    int32_t word;
    uint16_t half;
  } value = {0};
  const AlgorithmWord *w = &linear_words[i];
  size_t written = 0;
  if (cublasLtMatmulAlgoConfigGetAttribute(algorithm, w->attribute, &value, w->size, &written) !=
          CUBLAS_STATUS_SUCCESS ||
      written != w->size)
    return -1;
  return w->size == sizeof value.half ? value.half : value.word;
}

void linear_read_words(AlgorithmWords *words, const cublasLtMatmulAlgo_t *algorithm) {
  for (int i = 0; i < ALGORITHM_WORDS; i++) words->word[i] = read_word(algorithm, i);
}

/* What is as wanted is left alone: an algorithm need not have every attribute. */
static cublasStatus_t set_word(cublasLtMatmulAlgo_t *algorithm, int i, int32_t wanted) {
  const AlgorithmWord *w = &linear_words[i];
  uint16_t half = (uint16_t)wanted;
  if (read_word(algorithm, i) == wanted) return CUBLAS_STATUS_SUCCESS;
  return cublasLtMatmulAlgoConfigSetAttribute(
      algorithm, w->attribute, w->size == sizeof half ? (const void *)&half : (const void *)&wanted,
      w->size);
}

bool linear_from_words(const Product *p, cublasLtHandle_t handle, const AlgorithmWords *words,
                       cublasLtMatmulHeuristicResult_t *offer) {
  cudaDataType_t type = linear_type(p->shape.type), d_type = linear_type(p->shape.d_type);
  cublasLtMatmulAlgo_t algorithm;
  cublasStatus_t status = cublasLtMatmulAlgoInit(handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, type, type,
                                                 d_type, d_type, words->word[0], &algorithm);
  for (int i = 1; i < ALGORITHM_WORDS && !status; i++)
    status = set_word(&algorithm, i, words->word[i]);
  if (!status)
    status =
        cublasLtMatmulAlgoCheck(handle, p->operation, p->a, p->b, p->d, p->d, &algorithm, offer);
  if (status) return false;
  offer->algo = algorithm;
  return offer->workspaceSize <= CUDA_WORKSPACE_BYTES;
}

/* Writing --------------------------------------------------------------------------------------*/

/* The i-th line that a table of this device begins with. */
static void header_line(const CudaDevice *d, int i, char *text, size_t size) {
  const cudaDeviceProp *p = &d->properties;
  char library[64];
  linear_library(library, sizeof library);
  switch (i) {
  case 0:
    snprintf(text, size, "maebench products 1");
    break;
  case 1:
    snprintf(text, size, "device = %.200s", p->name);
    break;
  case 2:
    snprintf(text, size, "capability = %d.%d", p->major, p->minor);
    break;
  case 3:
    snprintf(text, size, "multiprocessors = %d", p->multiProcessorCount);
    break;
  default:
    snprintf(text, size, "library = %s", library);
  }
}

static const char *result_word(const ProductShape *s) {
  return s->has_bias ? "bias" : s->accumulate ? "add" : "plain";
}

static void write_row(FILE *out, const Product *p) {
  const ProductShape *s = &p->shape;
  AlgorithmWords words;
  if (!p->writable) fprintf(out, "# by the rule, for want of words for its algorithm: ");
  fprintf(out, "%zux%zux%zu %c%c %s %s %d %s:", s->m, s->n, s->k, s->a_transposed ? 't' : 'n',
          s->b_transposed ? 't' : 'n', dtype_name(s->type), dtype_name(s->d_type), s->alignment,
          result_word(s));
  linear_read_words(&words, &p->algorithm);
  for (int i = 0; i < ALGORITHM_WORDS; i++)
    fprintf(out, " %s=%d", linear_words[i].name, words.word[i]);
  fprintf(out, " # %.4g ms", (double)p->milliseconds);
  if (p->rule_milliseconds > 0) fprintf(out, "; rule %.4g ms", (double)p->rule_milliseconds);
  fputc('\n', out);
}

void cuda_products_write(Device *device, FILE *out) {
  const CudaDevice *d = cuda_device(device);
  char line[LINE_MAX_BYTES];
  int rows = 0;
  for (int i = 0; i < HEADER_LINES; i++) {
    header_line(d, i, line, sizeof line);
    fprintf(out, "%s\n", line);
  }
  for (const Product *p = d->linear->products; p; p = p->next)
    if (p->chooser == BY_TIMING) {
      write_row(out, p);
      rows += p->writable;
    }
  fprintf(out, "end = %d\n", rows);
}

/* Reading --------------------------------------------------------------------------------------*/

typedef struct Reader {
  CudaDevice *device;
  const char *name, *at, *end; /* of the file, and what is not read yet */
  int line;                    /* the one read last, from 1 */
  size_t capacity;             /* rows that there is memory for */
  char *message;
  size_t message_size;
} Reader;

static bool refuse(const Reader *r, const char *what) {
  snprintf(r->message, r->message_size, "%s:%d: %s", r->name, r->line, what);
  return false;
}

/* The next line without its end, its comment and the blanks before that. */
static bool next_line(Reader *r, char line[LINE_MAX_BYTES]) {
  r->line++;
  if (r->at == r->end) return refuse(r, "the table is cut short: it has no line 'end = N'");
  size_t length = 0;
  while (r->at + length < r->end && r->at[length] != '\n') length++;
  if (length >= LINE_MAX_BYTES || memchr(r->at, 0, length))
    return refuse(r, "not a line of a table of products");
  memcpy(line, r->at, length);
  line[length] = 0;
  r->at += length + (r->at + length < r->end);
  line[strcspn(line, "#\r")] = 0;
  for (size_t n = strlen(line); n && line[n - 1] == ' '; n--) line[n - 1] = 0;
  return true;
}

/* A line of the head: that of this device and library. */
static bool read_header(Reader *r, int i) {
  char line[LINE_MAX_BYTES], wanted[LINE_MAX_BYTES], what[3 * LINE_MAX_BYTES];
  header_line(r->device, i, wanted, sizeof wanted);
  if (!next_line(r, line)) return false;
  if (!strcmp(line, wanted)) return true;
  size_t key = strcspn(wanted, "=");
  if (i == 0 || strncmp(line, wanted, key))
    snprintf(what, sizeof what, "expected '%s': this is no table of products", wanted);
  else
    snprintf(what, sizeof what,
             "the table was made with %.200s, and here it is %.200s: make one here (mae bench "
             "--products FILE), or leave run.products empty",
             line, wanted + key + 2);
  return refuse(r, what);
}

static bool read_type(Dtype *type, const char *name) {
  for (int t = DTYPE_F32; t <= DTYPE_F16; t++)
    if (!strcmp(name, dtype_name((Dtype)t))) {
      *type = (Dtype)t;
      return true;
    }
  return false;
}

/* What stands before the colon; *used: its length and the colon's. */
static bool read_shape(ProductShape *s, const char *line, int *used) {
  long long m, n, k;
  char a, b, type[8], d_type[8], result[8];
  *s = ProductShape();
  *used = 0;
  if (sscanf(line, "%lldx%lldx%lld %c%c %7s %7s %d %7[a-z]:%n", &m, &n, &k, &a, &b, type, d_type,
             &s->alignment, result, used) != 9 ||
      !*used)
    return false;
  s->m = (size_t)m;
  s->n = (size_t)n;
  s->k = (size_t)k;
  s->a_transposed = a == 't';
  s->b_transposed = b == 't';
  s->has_bias = !strcmp(result, "bias");
  s->accumulate = !strcmp(result, "add");
  return m > 0 && n > 0 && k > 0 && m <= DIMENSION_MAX && n <= DIMENSION_MAX &&
         k <= DIMENSION_MAX && strchr("nt", a) && strchr("nt", b) && read_type(&s->type, type) &&
         read_type(&s->d_type, d_type) && s->alignment > 0 && s->alignment <= ALIGNMENT &&
         !strcmp(result, result_word(s));
}

static bool read_words(AlgorithmWords *words, const char *text) {
  for (int i = 0; i < ALGORITHM_WORDS; i++) {
    size_t length = strlen(linear_words[i].name);
    int used = 0;
    if (*text++ != ' ' || strncmp(text, linear_words[i].name, length)) return false;
    text += length;
    if (sscanf(text, "=%d%n", &words->word[i], &used) != 1 || words->word[i] < (i ? -1 : 0))
      return false;
    text += used;
  }
  return !*text;
}

static bool read_row(Reader *r, const char *line) {
  CudaLinear *l = r->device->linear;
  TableRow row;
  int used;
  row.line = r->line;
  if (!read_shape(&row.shape, line, &used) || !read_words(&row.words, line + used))
    return refuse(r, "expected a product and its algorithm: MxNxK nn type type alignment "
                     "plain|bias|add: id=... to reduction=...");
  int32_t reduction = row.words.word[REDUCTION_WORD];
  if (reduction != CUBLASLT_REDUCTION_SCHEME_NONE &&
      reduction != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
    return refuse(r, "this reduction adds in another order each time, or rounds what it adds: "
                     "only 0 and 2 may stand here");
  if (linear_find_row(l, &row.shape)) return refuse(r, "this product has a row already");
  if (l->rows == r->capacity) {
    size_t capacity = r->capacity ? 2 * r->capacity : 64;
    TableRow *grown = static_cast<TableRow *>(realloc(l->table, capacity * sizeof *grown));
    if (!grown) return refuse(r, "out of memory");
    l->table = grown;
    r->capacity = capacity;
  }
  l->table[l->rows++] = row;
  return true;
}

/* Rows until "end = N", which must be the number of them and the last line. */
static bool read_rows(Reader *r) {
  char line[LINE_MAX_BYTES], wanted[64];
  for (;;) {
    if (!next_line(r, line)) return false;
    if (!strncmp(line, "end", 3)) break;
    if (*line && !read_row(r, line)) return false;
  }
  snprintf(wanted, sizeof wanted, "end = %zu", r->device->linear->rows);
  if (strcmp(line, wanted)) return refuse(r, "rows are missing, or too many");
  r->line++;
  return r->at == r->end || refuse(r, "something follows the end of the table");
}

bool cuda_products_read(Device *device, const char *name, const char *text, size_t size,
                        char *message, size_t message_size) {
  CudaDevice *d = cuda_device(device);
  Reader r = {d, name, text, text + size, 0, 0, message, message_size};
  snprintf(d->linear->table_name, sizeof d->linear->table_name, "%s", name);
  for (int i = 0; i < HEADER_LINES; i++)
    if (!read_header(&r, i)) return false;
  return read_rows(&r);
}

const TableRow *linear_find_row(const CudaLinear *l, const ProductShape *shape) {
  for (size_t i = 0; i < l->rows; i++)
    if (linear_same_shape(&l->table[i].shape, shape)) return &l->table[i];
  return NULL;
}
