/* attention.cu - multi-head self-attention on tensor cores, for 16-bit types and heads of 32 or 64.
 *
 * One block per (head, image). The forward pass holds the whole K and V of its head in shared
 * memory and gives each warp 16 queries at a time, with the softmax computed online over 64 keys.
 * The backward pass recomputes the probabilities from the stored log-sum-exp, in two passes that
 * each own what they write, so no sum depends on timing: dQ (K and V in shared memory, warps own
 * queries), then dK and dV (Q and dO in shared memory, warps own keys). Formulas: Dao et al.,
 * "FlashAttention", 2022, appendix B. Sequences whose heads do not fit take attention_general.cu.
 *
 * Names: T tokens; D head size; a row of qkv is 3*heads*D long, a row of out heads*D. */
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/mma.cuh"

#define LOG2_E 1.44269504f
#define LN_2 0.69314718f

enum { TILE = 16, CHUNK = 64, MAX_WARPS = 8 };

/* Rows in shared memory are 8 elements longer than D: 36 or 20 words apart, so that the 8 rows a
 * fragment touches fall into different banks. */
template <int D> __device__ constexpr int pitch() {
  return D + 8;
}

/* One head's view of an image: rows of D elements, `stride` apart. */
template <class T> struct HeadRows {
  const T *first;
  size_t stride;
};

template <class T>
__device__ inline HeadRows<T> head_rows(const T *qkv, int which, int tokens, int heads, int D) {
  size_t stride = (size_t)3 * heads * D;
  size_t start = blockIdx.y * (size_t)tokens * stride + ((size_t)which * heads + blockIdx.x) * D;
  return {qkv + start, stride};
}
template <class T>
__device__ inline HeadRows<T> out_rows(const T *out, int tokens, int heads, int D) {
  size_t stride = (size_t)heads * D;
  return {out + blockIdx.y * (size_t)tokens * stride + (size_t)blockIdx.x * D, stride};
}

/* Copies all rows to shared memory, 16 bytes an access; rows tokens..padded are zero. */
template <class T, int D>
__device__ inline void load_head(T *shared, HeadRows<T> rows, int tokens, int padded) {
  constexpr int ACCESSES = D / 8;
  for (int i = (int)threadIdx.x; i < padded * ACCESSES; i += (int)blockDim.x) {
    int row = i / ACCESSES, column = i % ACCESSES * 8;
    uint4 value = make_uint4(0, 0, 0, 0);
    if (row < tokens)
      value = *reinterpret_cast<const uint4 *>(rows.first + row * rows.stride + column);
    *reinterpret_cast<uint4 *>(shared + row * pitch<D>() + column) = value;
  }
}

/* The A fragments of 16 rows from `row` on; rows past the end are zero. */
template <class T, int D>
__device__ inline void load_tile(uint32_t a[D / 16][4], HeadRows<T> rows, int row, int tokens) {
  int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
  for (int half = 0; half < 2; half++) {
    int r = row + g + 8 * half;
    const T *p = rows.first + r * rows.stride + 2 * t;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
      a[k][half] = r < tokens ? load_pair(p + 16 * k) : 0;
      a[k][half + 2] = r < tokens ? load_pair(p + 16 * k + 8) : 0;
    }
  }
}

/* Stores a 16 x D accumulator, scaled by row factors, as rows of T. */
template <class T, int D>
__device__ inline void store_tile(T *first, size_t stride, int row, int tokens,
                                  const float x[D / 8][4], float scale0, float scale1) {
  int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
  uint32_t *low = reinterpret_cast<uint32_t *>(first + (row + g) * stride + 2 * t);
  uint32_t *high = reinterpret_cast<uint32_t *>(first + (row + g + 8) * stride + 2 * t);
#pragma unroll
  for (int n = 0; n < D / 8; n++) {
    if (row + g < tokens) low[4 * n] = pack_pair<T>(x[n][0] * scale0, x[n][1] * scale0);
    if (row + g + 8 < tokens) high[4 * n] = pack_pair<T>(x[n][2] * scale1, x[n][3] * scale1);
  }
}

/* s[16,8] = a[16,D] rows[8,D]^T, rows in shared memory. */
template <class T, int D>
__device__ inline void product_with_rows(float s[4], const uint32_t a[D / 16][4], const T *rows) {
  int lane = (int)threadIdx.x % 32;
  const T *row = rows + lane % 8 * pitch<D>() + lane / 8 * 8;
  s[0] = s[1] = s[2] = s[3] = 0;
#pragma unroll
  for (int k = 0; k < D / 16; k += 2) {
    uint32_t b[4];
    load_matrices<T>(b, row + 16 * k);
    mma_16x8x16<T>(s, a[k], b);
    mma_16x8x16<T>(s, a[k + 1], b + 2);
  }
}

/* x[16,D] += p[16,16] rows[16,D], p given as two neighbouring accumulators, rows in shared memory.
 */
template <class T, int D>
__device__ inline void accumulate_rows(float x[D / 8][4], const float p0[4], const float p1[4],
                                       const T *rows) {
  int lane = (int)threadIdx.x % 32;
  uint32_t a[4] = {pack_pair<T>(p0[0], p0[1]), pack_pair<T>(p0[2], p0[3]),
                   pack_pair<T>(p1[0], p1[1]), pack_pair<T>(p1[2], p1[3])};
  const T *row = rows + lane % 16 * pitch<D>() + lane / 16 * 8;
#pragma unroll
  for (int n = 0; n < D / 8; n += 2) {
    uint32_t b[4];
    load_transposed<T>(b, row + 8 * n);
    mma_16x8x16<T>(x[n], a, b);
    mma_16x8x16<T>(x[n + 1], a, b + 2);
  }
}

/* Maximum and sum over the four lanes that share an accumulator's row. */
__device__ static inline float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 1));
  return fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 2));
}
__device__ static inline float row_sum(float x) {
  x += __shfl_xor_sync(FULL_WARP, x, 1);
  return x + __shfl_xor_sync(FULL_WARP, x, 2);
}

template <class T, int D>
__global__ void __launch_bounds__(MAX_WARPS *WARP_SIZE, 1)
    attention_forward_tiles(T *out, float *lse, const T *qkv, int tokens, int heads) {
  DYNAMIC_SHARED(T, shared);
  int padded = (tokens + TILE - 1) / TILE * TILE;
  T *keys = shared, *values = shared + padded * pitch<D>();
  load_head<T, D>(keys, head_rows(qkv, 1, tokens, heads, D), tokens, padded);
  load_head<T, D>(values, head_rows(qkv, 2, tokens, heads, D), tokens, padded);
  __syncthreads();

  HeadRows<T> queries = head_rows(qkv, 0, tokens, heads, D);
  HeadRows<T> result = out_rows<T>(out, tokens, heads, D);
  const float scale = LOG2_E / sqrtf((float)D); /* scores in units of log2 */
  int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
  for (int row = (int)threadIdx.x / 32 * TILE; row < tokens; row += (int)blockDim.x / 32 * TILE) {
    uint32_t q[D / 16][4];
    load_tile<T, D>(q, queries, row, tokens);
    float o[D / 8][4] = {};
    float max0 = -INFINITY, max1 = -INFINITY, sum0 = 0, sum1 = 0;
    for (int start = 0; start < padded; start += CHUNK) {
      float s[CHUNK / 8][4];
      float new0 = max0, new1 = max1;
#pragma unroll
      for (int n = 0; n < CHUNK / 8; n++) {
        int key = start + 8 * n;
        if (key < padded) product_with_rows<T, D>(s[n], q, keys + key * pitch<D>());
#pragma unroll
        for (int i = 0; i < 4; i++)
          s[n][i] = key + 2 * t + i % 2 < tokens ? s[n][i] * scale : -INFINITY;
        new0 = fmaxf(new0, fmaxf(s[n][0], s[n][1]));
        new1 = fmaxf(new1, fmaxf(s[n][2], s[n][3]));
      }
      new0 = row_max(new0);
      new1 = row_max(new1);
      float shrink0 = exp2f(max0 - new0), shrink1 = exp2f(max1 - new1);
      max0 = new0;
      max1 = new1;
      sum0 *= shrink0;
      sum1 *= shrink1;
#pragma unroll
      for (int n = 0; n < D / 8; n++) {
        o[n][0] *= shrink0;
        o[n][1] *= shrink0;
        o[n][2] *= shrink1;
        o[n][3] *= shrink1;
      }
#pragma unroll
      for (int n = 0; n < CHUNK / 8; n++) {
        s[n][0] = exp2f(s[n][0] - max0);
        s[n][1] = exp2f(s[n][1] - max0);
        s[n][2] = exp2f(s[n][2] - max1);
        s[n][3] = exp2f(s[n][3] - max1);
        sum0 += s[n][0] + s[n][1];
        sum1 += s[n][2] + s[n][3];
      }
#pragma unroll
      for (int n = 0; n < CHUNK / 8; n += 2)
        if (start + 8 * n < padded)
          accumulate_rows<T, D>(o, s[n], s[n + 1], values + (start + 8 * n) * pitch<D>());
    }
    sum0 = row_sum(sum0);
    sum1 = row_sum(sum1);
    store_tile<T, D>(const_cast<T *>(result.first), result.stride, row, tokens, o, 1 / sum0,
                     1 / sum1);
    if (t == 0) {
      float *l = lse + (blockIdx.y * (size_t)heads + blockIdx.x) * tokens + row;
      if (row + g < tokens) l[g] = max0 * LN_2 + logf(sum0);
      if (row + g + 8 < tokens) l[g + 8] = max1 * LN_2 + logf(sum1);
    }
  }
}

template <class T, int D>
__global__ void __launch_bounds__(MAX_WARPS *WARP_SIZE, 1)
    attention_backward_queries(T *d_qkv, const T *d_out, const T *qkv, const T *out,
                               const float *lse, int tokens, int heads) {
  DYNAMIC_SHARED(T, shared);
  int padded = (tokens + TILE - 1) / TILE * TILE;
  T *keys = shared, *values = shared + padded * pitch<D>();
  load_head<T, D>(keys, head_rows(qkv, 1, tokens, heads, D), tokens, padded);
  load_head<T, D>(values, head_rows(qkv, 2, tokens, heads, D), tokens, padded);
  __syncthreads();

  HeadRows<T> queries = head_rows(qkv, 0, tokens, heads, D);
  HeadRows<T> d_queries = head_rows((const T *)d_qkv, 0, tokens, heads, D);
  HeadRows<T> outs = out_rows(out, tokens, heads, D), d_outs = out_rows(d_out, tokens, heads, D);
  const float *row_lse = lse + (blockIdx.y * (size_t)heads + blockIdx.x) * tokens;
  const float root = 1 / sqrtf((float)D), scale = LOG2_E * root;
  int g = (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;
  for (int row = (int)threadIdx.x / 32 * TILE; row < tokens; row += (int)blockDim.x / 32 * TILE) {
    uint32_t q[D / 16][4], d_o[D / 16][4];
    load_tile<T, D>(q, queries, row, tokens);
    load_tile<T, D>(d_o, d_outs, row, tokens);
    float delta[2] = {0, 0}, lse2[2]; /* delta = d_out . out of a row */
    {
      uint32_t o[D / 16][4];
      load_tile<T, D>(o, outs, row, tokens);
#pragma unroll
      for (int k = 0; k < D / 16; k++)
        for (int i = 0; i < 4; i++) {
          float2 x = unpack_pair<T>(o[k][i]), y = unpack_pair<T>(d_o[k][i]);
          delta[i % 2] += x.x * y.x + x.y * y.y;
        }
    }
    for (int half = 0; half < 2; half++) {
      delta[half] = row_sum(delta[half]);
      int r = row + g + 8 * half;
      lse2[half] = r < tokens ? row_lse[r] * LOG2_E : 0;
    }
    float d_q[D / 8][4] = {};
    for (int key = 0; key < padded; key += TILE) {
      float s[2][4], d_p[2][4];
#pragma unroll
      for (int n = 0; n < 2; n++) {
        product_with_rows<T, D>(s[n], q, keys + (key + 8 * n) * pitch<D>());
        product_with_rows<T, D>(d_p[n], d_o, values + (key + 8 * n) * pitch<D>());
#pragma unroll
        for (int i = 0; i < 4; i++) {
          bool inside = key + 8 * n + 2 * t + i % 2 < tokens;
          float p = inside ? exp2f(s[n][i] * scale - lse2[i / 2]) : 0;
          s[n][i] = p * (d_p[n][i] - delta[i / 2]);
        }
      }
      accumulate_rows<T, D>(d_q, s[0], s[1], keys + key * pitch<D>());
    }
    store_tile<T, D>(const_cast<T *>(d_queries.first), d_queries.stride, row, tokens, d_q, root,
                     root);
  }
}

template <class T, int D>
__global__ void __launch_bounds__(MAX_WARPS *WARP_SIZE, 1)
    attention_backward_keys(T *d_qkv, const T *d_out, const T *qkv, const T *out, const float *lse,
                            int tokens, int heads) {
  DYNAMIC_SHARED(T, shared);
  int padded = (tokens + TILE - 1) / TILE * TILE;
  T *queries = shared, *d_outs = shared + padded * pitch<D>();
  float *lse2 = reinterpret_cast<float *>(d_outs + padded * pitch<D>()), *delta = lse2 + padded;
  HeadRows<T> global_d_outs = out_rows(d_out, tokens, heads, D);
  load_head<T, D>(queries, head_rows(qkv, 0, tokens, heads, D), tokens, padded);
  load_head<T, D>(d_outs, global_d_outs, tokens, padded);
  HeadRows<T> outs = out_rows(out, tokens, heads, D);
  for (int row = (int)threadIdx.x / 32; row < padded; row += (int)blockDim.x / 32) {
    int lane = (int)threadIdx.x % 32;
    float sum = 0;
    if (row < tokens)
      for (int i = lane; i < D; i += 32)
        sum += to_float(outs.first[row * outs.stride + i]) *
               to_float(global_d_outs.first[row * global_d_outs.stride + i]);
    sum = warp_sum(sum);
    if (lane == 0) {
      const float *row_lse = lse + (blockIdx.y * (size_t)heads + blockIdx.x) * tokens;
      delta[row] = sum;
      lse2[row] = row < tokens ? row_lse[row] * LOG2_E : INFINITY; /* padding: probability 0 */
    }
  }
  __syncthreads();

  HeadRows<T> keys = head_rows(qkv, 1, tokens, heads, D);
  HeadRows<T> values = head_rows(qkv, 2, tokens, heads, D);
  HeadRows<T> d_keys = head_rows((const T *)d_qkv, 1, tokens, heads, D);
  HeadRows<T> d_values = head_rows((const T *)d_qkv, 2, tokens, heads, D);
  const float root = 1 / sqrtf((float)D), scale = LOG2_E * root;
  int t = (int)threadIdx.x % 4;
  for (int row = (int)threadIdx.x / 32 * TILE; row < tokens; row += (int)blockDim.x / 32 * TILE) {
    uint32_t k[D / 16][4], v[D / 16][4];
    load_tile<T, D>(k, keys, row, tokens);
    load_tile<T, D>(v, values, row, tokens);
    float d_k[D / 8][4] = {}, d_v[D / 8][4] = {};
    for (int query = 0; query < padded; query += TILE) {
      float p[2][4], d_s[2][4];
#pragma unroll
      for (int n = 0; n < 2; n++) {
        int first = query + 8 * n;
        product_with_rows<T, D>(p[n], k, queries + first * pitch<D>());
        product_with_rows<T, D>(d_s[n], v, d_outs + first * pitch<D>());
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int column = first + 2 * t + i % 2;
          p[n][i] = exp2f(p[n][i] * scale - lse2[column]);
          d_s[n][i] = p[n][i] * (d_s[n][i] - delta[column]);
        }
      }
      accumulate_rows<T, D>(d_v, p[0], p[1], d_outs + query * pitch<D>());
      accumulate_rows<T, D>(d_k, d_s[0], d_s[1], queries + query * pitch<D>());
    }
    store_tile<T, D>(const_cast<T *>(d_keys.first), d_keys.stride, row, tokens, d_k, root, root);
    store_tile<T, D>(const_cast<T *>(d_values.first), d_values.stride, row, tokens, d_v, 1, 1);
  }
}

/* Bytes of shared memory the larger of the kernels needs. */
size_t attention_shared_bytes(int tokens, int head_size) {
  size_t padded = (size_t)(tokens + TILE - 1) / TILE * TILE;
  return padded * (2 * (size_t)(head_size + 8) * 2 + 2 * sizeof(float));
}

/* As many warps as fill whole rounds of 16-row tiles: 4 for 50 tokens, 7 for 197. */
static unsigned block_threads(int tokens) {
  int tiles = (tokens + TILE - 1) / TILE, rounds = (tiles + MAX_WARPS - 1) / MAX_WARPS;
  return (unsigned)((tiles + rounds - 1) / rounds * WARP_SIZE);
}

template <class T, int D> static bool open(CudaDevice *d) {
  return allow_shared(d, attention_forward_tiles<T, D>) &&
         allow_shared(d, attention_backward_queries<T, D>) &&
         allow_shared(d, attention_backward_keys<T, D>);
}

bool attention_tiles_open(CudaDevice *d) {
  return open<Half, 32>(d) && open<Half, 64>(d) && open<Bfloat16, 32>(d) && open<Bfloat16, 64>(d);
}

template <class T, int D>
static void forward(cudaStream_t stream, void *out, float *lse, const void *qkv, int batch,
                    int tokens, int heads) {
  size_t shared = attention_shared_bytes(tokens, D);
  dim3 grid((unsigned)heads, (unsigned)batch), block(block_threads(tokens));
  LAUNCH((attention_forward_tiles<T, D>), grid, block, shared, stream, (T *)out, lse,
         (const T *)qkv, tokens, heads);
}

template <class T, int D>
static void backward(cudaStream_t stream, void *d_qkv, const void *d_out, const void *qkv,
                     const void *out, const float *lse, int batch, int tokens, int heads) {
  size_t shared = attention_shared_bytes(tokens, D);
  dim3 grid((unsigned)heads, (unsigned)batch), block(block_threads(tokens));
  LAUNCH((attention_backward_queries<T, D>), grid, block, shared, stream, (T *)d_qkv,
         (const T *)d_out, (const T *)qkv, (const T *)out, lse, tokens, heads);
  LAUNCH((attention_backward_keys<T, D>), grid, block, shared, stream, (T *)d_qkv, (const T *)d_out,
         (const T *)qkv, (const T *)out, lse, tokens, heads);
}

bool attention_tiles_fit(Dtype type, int tokens, int head_size, size_t shared_limit) {
  return type != DTYPE_F32 && (head_size == 32 || head_size == 64) &&
         attention_shared_bytes(tokens, head_size) <= shared_limit;
}

void attention_tiles_forward(cudaStream_t stream, void *out, float *lse, const void *qkv,
                             Dtype type, int batch, int tokens, int heads, int head_size) {
  auto run = type == DTYPE_F16 ? (head_size == 32 ? forward<Half, 32> : forward<Half, 64>)
                               : (head_size == 32 ? forward<Bfloat16, 32> : forward<Bfloat16, 64>);
  run(stream, out, lse, qkv, batch, tokens, heads);
}

void attention_tiles_backward(cudaStream_t stream, void *d_qkv, const void *d_out, const void *qkv,
                              const void *out, const float *lse, Dtype type, int batch, int tokens,
                              int heads, int head_size) {
  auto run = type == DTYPE_F16
                 ? (head_size == 32 ? backward<Half, 32> : backward<Half, 64>)
                 : (head_size == 32 ? backward<Bfloat16, 32> : backward<Bfloat16, 64>);
  run(stream, d_qkv, d_out, qkv, out, lse, batch, tokens, heads);
}
