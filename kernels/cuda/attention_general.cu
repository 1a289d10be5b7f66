/* attention_general.cu - which way attention is computed, and the way that takes every case: all
 * types, heads of up to 128, any number of tokens.
 *
 * A block owns OWNED rows of one head, a warp four of them, and the rows on the other side of the
 * scores pass through shared memory in chunks of 32, one per lane. The forward pass owns queries
 * and streams K and V, with the softmax computed online; the backward pass is two passes that each
 * own what they write, so that no sum depends on timing: dQ (owns queries, streams K and V), then
 * dK and dV (owns keys, streams Q and dO). Everything in fp32. A lane's share of a row of D is
 * elements lane, lane + 32, ...; see attention.cu for the formulas. */
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"

enum {
  WARPS = 4,
  THREADS = WARPS * WARP_SIZE,
  WARP_ROWS = 4,
  OWNED = WARPS * WARP_ROWS,
  CHUNK = WARP_SIZE,
  SHARE = 4, /* elements of a row per lane, at most */
  HEAD_SIZE_MAX = SHARE * WARP_SIZE,
};

/* Rows of one head in [batch, tokens, parts, heads, D], `stride` elements apart. */
template <class T> struct HeadPart {
  T *first;
  size_t stride;
};

template <class T>
__device__ inline HeadPart<T> head_part(T *data, int parts, int part, int tokens, int D) {
  int heads = (int)gridDim.y, head = (int)blockIdx.y;
  size_t stride = (size_t)parts * heads * D;
  size_t start = blockIdx.z * (size_t)tokens * stride + ((size_t)part * heads + head) * D;
  return {data + start, stride};
}

/* Rows first..first+count as fp32 in shared memory, `pitch` apart; zero past the end. */
template <class T>
__device__ inline void load_rows(float *shared, int pitch, HeadPart<const T> rows, int first,
                                 int count, int tokens, int D) {
  for (int i = (int)threadIdx.x; i < count * D; i += THREADS) {
    int row = i / D, column = i % D;
    shared[row * pitch + column] =
        first + row < tokens ? to_float(rows.first[(first + row) * rows.stride + column]) : 0;
  }
}

__device__ static inline float dot(const float *x, const float *y, int D) {
  float sum = 0;
  for (int i = 0; i < D; i++) sum += x[i] * y[i];
  return sum;
}

__device__ static inline int lane_index() {
  return (int)threadIdx.x % WARP_SIZE;
}

/* share += sum over the chunk's rows of weight * row, where each lane holds its row's weight. */
__device__ static inline void add_rows(float share[SHARE], float weight, const float *rows,
                                       int pitch, int D) {
  int lane = lane_index();
  for (int row = 0; row < CHUNK; row++) {
    float w = __shfl_sync(FULL_WARP, weight, row);
#pragma unroll
    for (int j = 0; j < SHARE; j++)
      if (lane + j * WARP_SIZE < D) share[j] += w * rows[row * pitch + lane + j * WARP_SIZE];
  }
}

template <class T>
__device__ inline void store_share(HeadPart<T> rows, int row, const float share[SHARE], float scale,
                                   int D) {
#pragma unroll
  for (int j = 0; j < SHARE; j++) {
    int column = lane_index() + j * WARP_SIZE;
    if (column < D) rows.first[row * rows.stride + column] = from_float<T>(share[j] * scale);
  }
}

/* A row's d_out . out, which every lane gets; 0 past the end. */
template <class T>
__device__ inline float row_delta(HeadPart<const T> d_outs, HeadPart<const T> outs, int row,
                                  int tokens, int D) {
  float sum = 0;
  if (row < tokens)
    for (int i = lane_index(); i < D; i += WARP_SIZE)
      sum += to_float(d_outs.first[row * d_outs.stride + i]) *
             to_float(outs.first[row * outs.stride + i]);
  return warp_sum(sum);
}

__device__ static inline const float *head_lse(const float *lse, int tokens) {
  return lse + (blockIdx.z * (size_t)gridDim.y + blockIdx.y) * tokens;
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    attention_forward_general(T *out, float *lse, const T *qkv, int tokens, int D) {
  DYNAMIC_SHARED(float, shared);
  int pitch = D + 1; /* odd for even D: 32 lanes, each in its own row, read 32 banks */
  float *keys = shared, *values = keys + CHUNK * pitch, *queries = values + CHUNK * pitch;
  int lane = lane_index(), warp = (int)threadIdx.x / WARP_SIZE;
  int first = (int)blockIdx.x * OWNED;
  const float root = 1 / sqrtf((float)D);
  load_rows(queries, D, head_part(qkv, 3, 0, tokens, D), first, OWNED, tokens, D);
  float o[WARP_ROWS][SHARE] = {}, max[WARP_ROWS], sum[WARP_ROWS] = {};
#pragma unroll
  for (int r = 0; r < WARP_ROWS; r++) max[r] = -INFINITY;
  for (int start = 0; start < tokens; start += CHUNK) {
    __syncthreads();
    load_rows(keys, pitch, head_part(qkv, 3, 1, tokens, D), start, CHUNK, tokens, D);
    load_rows(values, pitch, head_part(qkv, 3, 2, tokens, D), start, CHUNK, tokens, D);
    __syncthreads();
#pragma unroll
    for (int r = 0; r < WARP_ROWS; r++) {
      float score = dot(queries + (warp * WARP_ROWS + r) * D, keys + lane * pitch, D) * root;
      if (start + lane >= tokens) score = -INFINITY;
      float largest = fmaxf(max[r], warp_max(score)), shrink = expf(max[r] - largest);
      float p = expf(score - largest);
      max[r] = largest;
      sum[r] = sum[r] * shrink + warp_sum(p);
#pragma unroll
      for (int j = 0; j < SHARE; j++) o[r][j] *= shrink;
      add_rows(o[r], p, values, pitch, D);
    }
  }
  float *row_lse = lse + (blockIdx.z * (size_t)gridDim.y + blockIdx.y) * tokens;
#pragma unroll
  for (int r = 0; r < WARP_ROWS; r++) {
    int row = first + warp * WARP_ROWS + r;
    if (row >= tokens) continue;
    store_share(head_part(out, 1, 0, tokens, D), row, o[r], 1 / sum[r], D);
    if (lane == 0) row_lse[row] = max[r] + logf(sum[r]);
  }
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    attention_backward_queries_general(T *d_qkv, const T *d_out, const T *qkv, const T *out,
                                       const float *lse, int tokens, int D) {
  DYNAMIC_SHARED(float, shared);
  int pitch = D + 1;
  float *keys = shared, *values = keys + CHUNK * pitch;
  float *queries = values + CHUNK * pitch, *d_outs = queries + OWNED * D;
  int lane = lane_index(), warp = (int)threadIdx.x / WARP_SIZE;
  int first = (int)blockIdx.x * OWNED;
  const float root = 1 / sqrtf((float)D);
  HeadPart<const T> out_rows = head_part(out, 1, 0, tokens, D);
  HeadPart<const T> d_out_rows = head_part(d_out, 1, 0, tokens, D);
  load_rows(queries, D, head_part(qkv, 3, 0, tokens, D), first, OWNED, tokens, D);
  load_rows(d_outs, D, d_out_rows, first, OWNED, tokens, D);
  float d_q[WARP_ROWS][SHARE] = {}, delta[WARP_ROWS], own_lse[WARP_ROWS];
#pragma unroll
  for (int r = 0; r < WARP_ROWS; r++) {
    int row = first + warp * WARP_ROWS + r;
    delta[r] = row_delta(d_out_rows, out_rows, row, tokens, D);
    own_lse[r] = row < tokens ? head_lse(lse, tokens)[row] : 0;
  }
  for (int start = 0; start < tokens; start += CHUNK) {
    __syncthreads();
    load_rows(keys, pitch, head_part(qkv, 3, 1, tokens, D), start, CHUNK, tokens, D);
    load_rows(values, pitch, head_part(qkv, 3, 2, tokens, D), start, CHUNK, tokens, D);
    __syncthreads();
#pragma unroll
    for (int r = 0; r < WARP_ROWS; r++) {
      int own = (warp * WARP_ROWS + r) * D;
      float score = dot(queries + own, keys + lane * pitch, D) * root;
      float d_p = dot(d_outs + own, values + lane * pitch, D);
      float p = start + lane < tokens ? expf(score - own_lse[r]) : 0;
      add_rows(d_q[r], p * (d_p - delta[r]), keys, pitch, D);
    }
  }
#pragma unroll
  for (int r = 0; r < WARP_ROWS; r++) {
    int row = first + warp * WARP_ROWS + r;
    if (row < tokens) store_share(head_part(d_qkv, 3, 0, tokens, D), row, d_q[r], root, D);
  }
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    attention_backward_keys_general(T *d_qkv, const T *d_out, const T *qkv, const T *out,
                                    const float *lse, int tokens, int D) {
  DYNAMIC_SHARED(float, shared);
  int pitch = D + 1;
  float *queries = shared, *d_outs = queries + CHUNK * pitch;
  float *keys = d_outs + CHUNK * pitch, *values = keys + OWNED * D;
  float *chunk_lse = values + OWNED * D, *delta = chunk_lse + CHUNK;
  int lane = lane_index(), warp = (int)threadIdx.x / WARP_SIZE;
  int first = (int)blockIdx.x * OWNED;
  const float root = 1 / sqrtf((float)D);
  HeadPart<const T> out_rows = head_part(out, 1, 0, tokens, D);
  HeadPart<const T> d_out_rows = head_part(d_out, 1, 0, tokens, D);
  load_rows(keys, D, head_part(qkv, 3, 1, tokens, D), first, OWNED, tokens, D);
  load_rows(values, D, head_part(qkv, 3, 2, tokens, D), first, OWNED, tokens, D);
  float d_k[WARP_ROWS][SHARE] = {}, d_v[WARP_ROWS][SHARE] = {};
  for (int start = 0; start < tokens; start += CHUNK) {
    __syncthreads();
    load_rows(queries, pitch, head_part(qkv, 3, 0, tokens, D), start, CHUNK, tokens, D);
    load_rows(d_outs, pitch, d_out_rows, start, CHUNK, tokens, D);
    for (int i = warp; i < CHUNK; i += WARPS) {
      float row_sum = row_delta(d_out_rows, out_rows, start + i, tokens, D);
      if (lane == 0) {
        delta[i] = row_sum;
        chunk_lse[i] = start + i < tokens ? head_lse(lse, tokens)[start + i] : 0;
      }
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < WARP_ROWS; r++) {
      int own = (warp * WARP_ROWS + r) * D;
      float score = dot(keys + own, queries + lane * pitch, D) * root;
      float d_p = dot(values + own, d_outs + lane * pitch, D);
      float p = start + lane < tokens ? expf(score - chunk_lse[lane]) : 0;
      add_rows(d_v[r], p, d_outs, pitch, D);
      add_rows(d_k[r], p * (d_p - delta[lane]), queries, pitch, D);
    }
  }
#pragma unroll
  for (int r = 0; r < WARP_ROWS; r++) {
    int row = first + warp * WARP_ROWS + r;
    if (row >= tokens) continue;
    store_share(head_part(d_qkv, 3, 1, tokens, D), row, d_k[r], root, D);
    store_share(head_part(d_qkv, 3, 2, tokens, D), row, d_v[r], 1, D);
  }
}

/* Of the kernel that needs most: at a head size of 128 a little more than every device grants
 * without being asked. */
static size_t block_shared_bytes(int D) {
  return (2 * CHUNK * (size_t)(D + 1) + 2 * OWNED * (size_t)D + 2 * CHUNK) * sizeof(float);
}

template <class T> static bool open(CudaDevice *d) {
  return allow_shared(d, attention_forward_general<T>) &&
         allow_shared(d, attention_backward_queries_general<T>) &&
         allow_shared(d, attention_backward_keys_general<T>);
}

bool attention_open(CudaDevice *d) {
  return open<float>(d) && open<Half>(d) && open<Bfloat16>(d) && attention_tiles_open(d) &&
         attention_whole_open(d);
}

/* False, and the device has failed, when no kernel here takes heads of this size. */
static bool head_size_fits(CudaDevice *d, int head_size) {
  if (head_size > HEAD_SIZE_MAX)
    cuda_fail(d, "cuda:%d: attention takes heads of up to %d, not %d", d->ordinal, HEAD_SIZE_MAX,
              head_size);
  return head_size <= HEAD_SIZE_MAX;
}

static dim3 general_grid(int images, int tokens, int heads) {
  return dim3(blocks_for((size_t)tokens, OWNED), (unsigned)heads, (unsigned)images);
}

template <class T>
static void forward(CudaDevice *d, T *out, float *lse, const T *qkv, int batch, int tokens,
                    int heads, int head_size) {
  for (int first = 0, images; first < batch; first += images) {
    images = launch_images(d, batch - first);
    size_t rows = (size_t)first * heads * tokens, elements = rows * head_size;
    LAUNCH(attention_forward_general<T>, general_grid(images, tokens, heads), dim3(THREADS),
           block_shared_bytes(head_size), d->stream, out + elements, lse + rows, qkv + 3 * elements,
           tokens, head_size);
  }
}

template <class T>
static void backward(CudaDevice *d, T *d_qkv, const T *d_out, const T *qkv, const T *out,
                     const float *lse, int batch, int tokens, int heads, int head_size) {
  size_t shared = block_shared_bytes(head_size);
  for (int first = 0, images; first < batch; first += images) {
    images = launch_images(d, batch - first);
    size_t rows = (size_t)first * heads * tokens, elements = rows * head_size;
    dim3 grid = general_grid(images, tokens, heads);
    LAUNCH(attention_backward_queries_general<T>, grid, dim3(THREADS), shared, d->stream,
           d_qkv + 3 * elements, d_out + elements, qkv + 3 * elements, out + elements, lse + rows,
           tokens, head_size);
    LAUNCH(attention_backward_keys_general<T>, grid, dim3(THREADS), shared, d->stream,
           d_qkv + 3 * elements, d_out + elements, qkv + 3 * elements, out + elements, lse + rows,
           tokens, head_size);
  }
}

void cuda_attention_forward(Device *device, void *out, float *lse, const void *qkv, Dtype type,
                            int batch, int tokens, int heads, int head_size) {
  CudaDevice *d = cuda_device(device);
  if (attention_tiles_fit(type, tokens, heads, head_size)) {
    attention_tiles_forward(d, out, lse, qkv, type, batch, tokens, heads, head_size);
  } else if (head_size_fits(d, head_size)) {
    WITH_TYPE(type, T,
              forward<T>(d, (T *)out, lse, (const T *)qkv, batch, tokens, heads, head_size));
  }
  cuda_launched(d, "attention forward");
}

void cuda_attention_backward(Device *device, void *d_qkv, float *d_bias, const void *d_out,
                             const void *qkv, const void *out, const float *lse, Dtype type,
                             int batch, int tokens, int heads, int head_size, bool accumulate) {
  CudaDevice *d = cuda_device(device);
  if (attention_tiles_fit(type, tokens, heads, head_size)) {
    if (!attention_whole_backward(d, d_qkv, d_bias, d_out, qkv, out, lse, type, batch, tokens,
                                  heads, head_size, accumulate))
      attention_tiles_backward(d, d_qkv, d_bias, d_out, qkv, out, lse, type, batch, tokens, heads,
                               head_size, accumulate);
  } else if (head_size_fits(d, head_size)) {
    WITH_TYPE(type, T,
              backward<T>(d, (T *)d_qkv, (const T *)d_out, (const T *)qkv, (const T *)out, lse,
                          batch, tokens, heads, head_size));
    cuda_column_sums(d, d_bias, d_qkv, type, (size_t)batch * tokens, 3 * heads * head_size,
                     accumulate);
  }
  cuda_launched(d, "attention backward");
}
