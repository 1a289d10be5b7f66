/* tokens.cu - rows to token sequences, and their gradients back; rows chosen, and put back. A warp
 * moves a row, four columns a lane. Each row of an output belongs to one warp, which looks up where
 * its values come from: no two warps write or add to the same row, so no atomics are needed. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"
#include "kernels/cuda/reduce.cuh"

enum {
  WARPS = 8,
  THREADS = WARPS * WARP_SIZE,
  VECTOR = 4,
  COLUMNS = WARP_SIZE * VECTOR, /* of a block that adds up rows */
  ROWS_AT_ONCE = 4,             /* loads such a warp has under way */
};

__device__ static inline int warp_index() {
  return (int)threadIdx.x / WARP_SIZE;
}
__device__ static inline int lane_index() {
  return (int)threadIdx.x % WARP_SIZE;
}

/* Block (image, group of tokens). */
template <class T>
__global__ void __launch_bounds__(THREADS)
    assemble_tokens(float *out, const T *src, const float *class_token, const float *mask_token,
                    const float *positions, TokenMap map, int width, bool aligned) {
  int t = (int)blockIdx.y * WARPS + warp_index();
  if (t >= map.tokens) return;
  size_t image = blockIdx.x, token = image * map.tokens + t;
  int source = map.source[token];
  const T *row = src + (image * map.sources + (source < 0 ? 0 : source)) * width;
  const float *fixed = source == TOKEN_CLASS ? class_token : mask_token;
  const float *position = positions ? positions + (size_t)map.position[token] * width : NULL;
  for (int column = lane_index() * VECTOR; column < width; column += COLUMNS) {
    int left = width - column;
    float x[VECTOR], p[VECTOR] = {};
    if (source < 0)
      load_floats<VECTOR>(x, fixed + column, left, aligned);
    else
      load_floats<VECTOR>(x, row + column, left, aligned);
    if (position) load_floats<VECTOR>(p, position + column, left, aligned);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) x[i] += p[i];
    store_floats<VECTOR>(out + token * width + column, x, left, aligned);
  }
}

/* The token of an image that source row `row` went to, or -1; the same in every lane. */
__device__ static inline int find_token(const int32_t *source, int tokens, int row) {
  int found = -1;
  for (int t = lane_index(); t < tokens; t += WARP_SIZE)
    if (source[t] == row) found = t;
  for (int bits = WARP_SIZE / 2; bits; bits >>= 1)
    found = max(found, __shfl_xor_sync(FULL_WARP, found, bits));
  return found;
}

/* Block (image, group of source rows): each row is a token's gradient, or zero. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    gather_source_gradients(T *d_src, const float *d_out, TokenMap map, int width, bool aligned) {
  int s = (int)blockIdx.y * WARPS + warp_index();
  if (s >= map.sources) return;
  size_t image = blockIdx.x;
  int token = find_token(map.source + image * map.tokens, map.tokens, s);
  T *row = d_src + (image * map.sources + s) * width;
  const float *from = d_out + (image * map.tokens + (token < 0 ? 0 : token)) * width;
  for (int column = lane_index() * VECTOR; column < width; column += COLUMNS) {
    float x[VECTOR] = {};
    if (token >= 0) load_floats<VECTOR>(x, from + column, width - column, aligned);
    store_floats<VECTOR>(row + column, x, width - column, aligned);
  }
}

/* The sums of a block's warps in warp order, in the columns of warp 0's lanes. */
__device__ static inline void add_warps(float sum[VECTOR], float (*shared)[COLUMNS]) {
  for (int i = 0; i < VECTOR; i++) shared[warp_index()][lane_index() * VECTOR + i] = sum[i];
  __syncthreads();
  if (warp_index()) return;
  for (int i = 0; i < VECTOR; i++)
    for (int w = 1; w < WARPS; w++) sum[i] += shared[w][lane_index() * VECTOR + i];
}

/* Block (chunk of tokens, 128 columns): its part of the gradients of the class and the mask token.
 * Rows of other tokens are not read. */
__global__ void __launch_bounds__(THREADS)
    sum_fixed_tokens(float *partial, const float *d_out, const int32_t *source, size_t tokens,
                     int width, bool aligned) {
  __shared__ float shared[2][WARPS][COLUMNS];
  int column = (int)blockIdx.y * COLUMNS + lane_index() * VECTOR, left = width - column;
  size_t per_chunk = (tokens + gridDim.x - 1) / gridDim.x, first = blockIdx.x * per_chunk;
  size_t end = first + per_chunk < tokens ? first + per_chunk : tokens;
  float class_sum[VECTOR] = {}, mask_sum[VECTOR] = {};
  for (size_t token = first + warp_index(); token < end; token += WARPS * ROWS_AT_ONCE) {
    int kind[ROWS_AT_ONCE];
    float x[ROWS_AT_ONCE][VECTOR];
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++)
      kind[u] = token + u * WARPS < end ? source[token + u * WARPS] : 0;
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++)
      load_floats<VECTOR>(x[u], d_out + (token + u * WARPS) * width + column,
                          kind[u] < 0 ? left : 0, aligned);
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++)
#pragma unroll
      for (int i = 0; i < VECTOR; i++)
        if (kind[u] == TOKEN_CLASS)
          class_sum[i] += x[u][i];
        else
          mask_sum[i] += x[u][i];
  }
  add_warps(class_sum, shared[0]);
  add_warps(mask_sum, shared[1]);
  if (warp_index()) return;
  float *own = partial + blockIdx.x * (size_t)(2 * width) + column;
  store_floats<VECTOR>(own, class_sum, left, aligned);
  store_floats<VECTOR>(own + width, mask_sum, left, aligned);
}

/* Block (position, 128 columns): the sum over images of the gradient of the token there. */
__global__ void __launch_bounds__(THREADS)
    sum_positions(float *d_positions, const float *d_out, TokenMap map, int width, bool accumulate,
                  bool aligned) {
  __shared__ float shared[WARPS][COLUMNS];
  size_t position = blockIdx.x;
  int column = (int)blockIdx.y * COLUMNS + lane_index() * VECTOR, left = width - column;
  float sum[VECTOR] = {};
  for (int image = warp_index(); image < map.batch; image += WARPS * ROWS_AT_ONCE) {
    int token[ROWS_AT_ONCE];
    float x[ROWS_AT_ONCE][VECTOR];
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++) {
      size_t b = image + u * WARPS;
      token[u] = b < (size_t)map.batch ? map.token_at[b * map.positions + position] : -1;
    }
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++) {
      size_t row = (size_t)(image + u * WARPS) * map.tokens + (token[u] < 0 ? 0 : token[u]);
      load_floats<VECTOR>(x[u], d_out + row * width + column, token[u] < 0 ? 0 : left, aligned);
    }
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++)
#pragma unroll
      for (int i = 0; i < VECTOR; i++) sum[i] += x[u][i];
  }
  add_warps(sum, shared);
  if (warp_index() || column >= width) return;
  float *out = d_positions + position * width + column;
  if (accumulate) {
    float old[VECTOR];
    load_floats<VECTOR>(old, out, left, aligned);
    for (int i = 0; i < VECTOR; i++) sum[i] += old[i];
  }
  store_floats<VECTOR>(out, sum, left, aligned);
}

/* Block (image, 128 columns): the image's first row, and the mean of the rows from `extra` on. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    pool_tokens(float *first, float *mean, const T *tokens, int count, int extra, int width,
                bool aligned) {
  __shared__ float shared[WARPS][COLUMNS];
  int column = (int)blockIdx.y * COLUMNS + lane_index() * VECTOR, left = width - column;
  const T *rows = tokens + blockIdx.x * (size_t)count * width + column;
  float sum[VECTOR] = {};
  for (int t = extra + warp_index(); t < count; t += WARPS) {
    float x[VECTOR];
    load_floats<VECTOR>(x, rows + (size_t)t * width, left, aligned);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) sum[i] += x[i];
  }
  add_warps(sum, shared);
  if (warp_index() || left <= 0) return;
  size_t out = blockIdx.x * (size_t)width + column;
#pragma unroll
  for (int i = 0; i < VECTOR; i++) sum[i] /= (float)(count - extra);
  store_floats<VECTOR>(mean + out, sum, left, aligned);
  if (!first) return;
  float x[VECTOR];
  load_floats<VECTOR>(x, rows, left, aligned);
  store_floats<VECTOR>(first + out, x, left, aligned);
}

/* Rows move as 16-bit words, N at once, whatever their type. Block (image, group of chosen rows).
 */
template <int N>
__global__ void __launch_bounds__(THREADS)
    gather_rows(uint16_t *out, const uint16_t *src, RowChoice choice, int words) {
  int i = (int)blockIdx.y * WARPS + warp_index();
  if (i >= choice.chosen) return;
  size_t chosen = blockIdx.x * (size_t)choice.chosen + i;
  size_t row = blockIdx.x * (size_t)choice.rows + choice.first + choice.ids[chosen];
  for (int at = lane_index() * N; at < words; at += WARP_SIZE * N)
    store_pack(out + chosen * words + at, load_pack<uint16_t, N>(src + row * words + at));
}

/* Block (image, group of rows): each row is a chosen one's, or zero. */
template <int N>
__global__ void __launch_bounds__(THREADS)
    scatter_rows(uint16_t *out, const uint16_t *src, RowChoice choice, int words) {
  int row = (int)blockIdx.y * WARPS + warp_index();
  if (row >= choice.rows) return;
  size_t chosen = blockIdx.x * (size_t)choice.chosen;
  int i = find_token(choice.ids + chosen, choice.chosen, row - choice.first);
  const uint16_t *from = src + (chosen + (i < 0 ? 0 : i)) * words;
  uint16_t *to = out + (blockIdx.x * (size_t)choice.rows + row) * words;
  for (int at = lane_index() * N; at < words; at += WARP_SIZE * N) {
    Pack<uint16_t, N> pack = {};
    if (i >= 0) pack = load_pack<uint16_t, N>(from + at);
    store_pack(to + at, pack);
  }
}

/* Starts KERNEL<N> for `rows` rows of an image, with 16 bytes a lane where rows are aligned. */
#define MOVE_ROWS(KERNEL, rows)                                                                    \
  do {                                                                                             \
    dim3 grid((unsigned)choice->batch, blocks_for((size_t)(rows), WARPS));                         \
    int words = width * (int)(dtype_size(type) / sizeof(uint16_t));                                \
    if (rows_aligned<uint16_t, 8>(src, words) && (rows_aligned<uint16_t, 8>(out, words)))          \
      LAUNCH((KERNEL<8>), grid, dim3(THREADS), 0, d->stream, (uint16_t *)out,                      \
             (const uint16_t *)src, *choice, words);                                               \
    else                                                                                           \
      LAUNCH((KERNEL<1>), grid, dim3(THREADS), 0, d->stream, (uint16_t *)out,                      \
             (const uint16_t *)src, *choice, words);                                               \
  } while (0)

void cuda_rows_gather(Device *device, void *out, const void *src, Dtype type,
                      const RowChoice *choice, int width) {
  CudaDevice *d = cuda_device(device);
  MOVE_ROWS(gather_rows, choice->chosen);
  cuda_launched(d, "rows gather");
}

void cuda_rows_scatter(Device *device, void *out, const void *src, Dtype type,
                       const RowChoice *choice, int width) {
  CudaDevice *d = cuda_device(device);
  MOVE_ROWS(scatter_rows, choice->rows);
  cuda_launched(d, "rows scatter");
}

void cuda_tokens_pool(Device *device, float *first, float *mean, const void *tokens, Dtype type,
                      int batch, int count, int extra, int width) {
  CudaDevice *d = cuda_device(device);
  dim3 grid((unsigned)batch, blocks_for((size_t)width, COLUMNS));
  WITH_TYPE(type, T, {
    bool aligned = rows_aligned<T, VECTOR>(tokens, width) &&
                   rows_aligned<float, VECTOR>(first, width) &&
                   rows_aligned<float, VECTOR>(mean, width);
    LAUNCH((pool_tokens<T>), grid, dim3(THREADS), 0, d->stream, first, mean, (const T *)tokens,
           count, extra, width, aligned);
  });
  cuda_launched(d, "tokens pool");
}

void cuda_tokens_forward(Device *device, float *out, const void *src, Dtype type,
                         const float *class_token, const float *mask_token, const float *positions,
                         const TokenMap *map, int width) {
  CudaDevice *d = cuda_device(device);
  dim3 grid((unsigned)map->batch, blocks_for((size_t)map->tokens, WARPS));
  WITH_TYPE(type, T, {
    bool aligned = rows_aligned<T, VECTOR>(src, width) && rows_aligned<float, VECTOR>(out, width) &&
                   rows_aligned<float, VECTOR>(class_token, width) &&
                   rows_aligned<float, VECTOR>(mask_token, width) &&
                   rows_aligned<float, VECTOR>(positions, width);
    LAUNCH((assemble_tokens<T>), grid, dim3(THREADS), 0, d->stream, out, (const T *)src,
           class_token, mask_token, positions, *map, width, aligned);
  });
  cuda_launched(d, "tokens forward");
}

void cuda_tokens_backward(Device *device, void *d_src, Dtype type, float *d_class_token,
                          float *d_mask_token, float *d_positions, const float *d_out,
                          const TokenMap *map, int width, bool accumulate) {
  CudaDevice *d = cuda_device(device);
  bool aligned = rows_aligned<float, VECTOR>(d_out, width);
  dim3 grid((unsigned)map->batch, blocks_for((size_t)map->sources, WARPS));
  WITH_TYPE(type, T,
            LAUNCH((gather_source_gradients<T>), grid, dim3(THREADS), 0, d->stream, (T *)d_src,
                   d_out, *map, width, aligned && (rows_aligned<T, VECTOR>(d_src, width))));
  unsigned columns = blocks_for((size_t)width, COLUMNS);
  if (d_class_token || d_mask_token) {
    size_t tokens = (size_t)map->batch * map->tokens;
    int chunks = reduce_chunk_count(tokens, 2 * (size_t)width);
    LAUNCH(sum_fixed_tokens, dim3((unsigned)chunks, columns), dim3(THREADS), 0, d->stream,
           (float *)d->scratch, d_out, map->source, tokens, width, aligned);
    reduce_chunks(d, {d_class_token, d_mask_token}, chunks, 2, width, accumulate);
  }
  if (d_positions)
    LAUNCH(sum_positions, dim3((unsigned)map->positions, columns), dim3(THREADS), 0, d->stream,
           d_positions, d_out, *map, width, accumulate,
           aligned && (rows_aligned<float, VECTOR>(d_positions, width)));
  cuda_launched(d, "tokens backward");
}
