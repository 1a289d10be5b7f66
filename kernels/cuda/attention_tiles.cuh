/* attention_tiles.cuh - what the tensor-core kernels of attention share: where a head's rows lie,
 * and fragments of 16 of them (mma.cuh). Names: T tokens; D head size; a row of qkv is 3*heads*D
 * long, a row of out heads*D; blockIdx.x is the head, blockIdx.y the image. */
#ifndef KERNELS_CUDA_ATTENTION_TILES_CUH
#define KERNELS_CUDA_ATTENTION_TILES_CUH

#include "kernels/cuda/mma.cuh"

#define LOG2_E 1.44269504f

enum { TILE = 16 };

/* Queries, keys or values of [batch, tokens, 3, heads, D], or all of [batch, tokens, 1, heads, D].
 */
template <class T> struct Part {
  T *data;
  int parts, which;
};
/* One head's view of an image: rows of D elements, `stride` apart. Worked out where it is needed:
 * kept for later it would cost registers that the products need. */
template <class T> struct HeadRows {
  T *first;
  unsigned stride;

  /* 32 bits are enough inside an image: attention_tiles_fit. */
  __device__ T *row(int r) const {
    return first + (unsigned)r * stride;
  }
};
template <class T>
__device__ inline HeadRows<T> head_rows(Part<T> x, int tokens, int heads, int D) {
  unsigned head = worked_out_here(blockIdx.x), image_row = worked_out_here(blockIdx.y) * tokens;
  unsigned stride = (unsigned)(x.parts * heads * D);
  return {x.data + (size_t)image_row * stride + (x.which * heads + head) * D, stride};
}

/* Where the numbers of a head's rows begin in [batch, heads, tokens]. */
__device__ static inline size_t head_start(int tokens, int heads) {
  unsigned head = worked_out_here(blockIdx.y) * heads + worked_out_here(blockIdx.x);
  return (size_t)head * (unsigned)tokens;
}

/* A lane's row and pair of columns in a fragment: mma.cuh's g and t. */
__device__ static inline int lane_row() {
  return (int)(worked_out_here(threadIdx.x) % 32 / 4);
}
__device__ static inline int lane_column() {
  return (int)(worked_out_here(threadIdx.x) % 4 * 2);
}

/* What the pass over keys needs of two neighbouring queries: what the accumulators of their columns
 * begin with, so that a product plus the one is the logarithm of a probability, over the scale of
 * scores, and a product plus the other d_probability - delta, where delta = d_out . out. */
struct alignas(16) QueryPair {
  float minus_lse[2], minus_delta[2];
};

/* The A fragments of 16 rows from `row` on; rows past the end are zero. */
template <class T, int D>
__device__ inline void load_tile(uint32_t a[D / 16][4], Part<const T> part, int row, int tokens,
                                 int heads) {
  HeadRows<const T> rows = head_rows(part, tokens, heads, D);
  row += lane_row();
#pragma unroll
  for (int half = 0; half < 2; half++) {
    int r = row + 8 * half;
    const T *p = rows.row(r) + lane_column();
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
      a[k][half] = r < tokens ? load_pair(p + 16 * k) : 0;
      a[k][half + 2] = r < tokens ? load_pair(p + 16 * k + 8) : 0;
    }
  }
}

/* sum += the products of two A fragments' elements, of the lane's two rows. */
template <class T>
__device__ inline void add_products(float sum[2], const uint32_t a[4], const uint32_t b[4]) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    float2 x = unpack_pair<T>(a[i]), y = unpack_pair<T>(b[i]);
    sum[i % 2] += x.x * y.x + x.y * y.y;
  }
}

/* Stores a 16 x COLUMNS accumulator, scaled by row factors, as rows of T from `column` on. */
template <class T, int D, int COLUMNS = D>
__device__ inline void store_tile(Part<T> part, int row, int tokens, int heads,
                                  const float x[COLUMNS / 8][4], float scale0, float scale1,
                                  int column = 0) {
  HeadRows<T> rows = head_rows(part, tokens, heads, D);
  row += lane_row();
  column += lane_column();
  uint32_t *low = reinterpret_cast<uint32_t *>(rows.row(row) + column);
  uint32_t *high = reinterpret_cast<uint32_t *>(rows.row(row + 8) + column);
#pragma unroll
  for (int n = 0; n < COLUMNS / 8; n++) {
    if (row < tokens) low[4 * n] = pack_pair<T>(x[n][0] * scale0, x[n][1] * scale0);
    if (row + 8 < tokens) high[4 * n] = pack_pair<T>(x[n][2] * scale1, x[n][3] * scale1);
  }
}

/* Where a lane begins to read 16 rows in shared memory, of four 8x8 matrices, so that a B fragment
 * is two neighbouring words. For products with rows: two matrices beside each other, then the two
 * below; for sums of rows: two below each other, then the two to the right. */
__device__ static inline int lane_of_product(int pitch) {
  unsigned lane = worked_out_here(threadIdx.x) % 32;
  return (int)((lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 8);
}
template <class T, int PITCH> __device__ inline const T *lane_of_product(const T *rows) {
  return rows + lane_of_product(PITCH);
}
template <class T, int PITCH> __device__ inline const T *lane_of_sum(const T *rows) {
  unsigned lane = worked_out_here(threadIdx.x) % 32;
  return rows + lane % 16 * PITCH + lane / 16 * 8;
}

/* sum += the columns of a 16 x 8N accumulator whose rows begin at `row`, of rows that are tokens:
 * this lane's part, two columns of each 8. */
template <int N>
__device__ inline void add_columns(float sum[N][2], const float x[N][4], int row, int tokens) {
  row += lane_row();
#pragma unroll
  for (int n = 0; n < N; n++)
#pragma unroll
    for (int i = 0; i < 2; i++)
      sum[n][i] += (row < tokens ? x[n][i] : 0) + (row + 8 < tokens ? x[n][i + 2] : 0);
}

/* to[8N] = scale times the lanes' parts, added up; or added to what is there. Lanes 16, 8 and 4
 * apart have the same columns: of two, each takes over half of what is left of them, if it can be
 * halved. */
template <int N>
__device__ inline void store_columns(float *to, float sum[N][2], float scale, bool add) {
  unsigned lane = worked_out_here(threadIdx.x) % 32;
#pragma unroll
  for (int step = 0; step < 3; step++) {
    const unsigned bit = 16u >> step;
    const int half = N >> (step + 1);
    bool upper = lane & bit;
    if (half > 0) {
#pragma unroll
      for (int n = 0; n < half; n++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
          float given = upper ? sum[n][i] : sum[half + n][i];
          float kept = upper ? sum[half + n][i] : sum[n][i];
          sum[n][i] = kept + __shfl_xor_sync(FULL_WARP, given, bit);
        }
    } else {
#pragma unroll
      for (int i = 0; i < 2; i++) sum[0][i] += __shfl_xor_sync(FULL_WARP, sum[0][i], bit);
    }
  }
  constexpr int SAME = 8 / N; /* lanes' rows that end with the same columns */
  if (lane_row() % SAME) return;
  to += lane_row() / SAME * 8 + lane_column();
#pragma unroll
  for (int i = 0; i < 2; i++) to[i] = sum[0][i] * scale + (add ? to[i] : 0);
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

#endif
