/* attention_whole.cu - attention's backward pass in one go, for heads that shared memory holds as a
 * whole: 16-bit types, heads of 32 or 64, up to 256 tokens.
 *
 * A block works on one head of one image. Q, dO and K lie in shared memory, V in the registers of
 * the warps, each of which owns one or two tiles of 16 keys and their dK and dV. The queries are
 * gone through in chunks: first every warp takes the chunk's queries tile by tile, for its own
 * keys, and leaves the gradient of the scores (dS) in shared memory in 16 bits; then the warps
 * share the chunk's dQ = dS K among them. So scores and probabilities are computed once: 5 products
 * for the 7 of two passes (attention.cu), and 8 rows of a head per token read or written for 12.
 * Each sum has one owner and the order of its terms. */
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

/* A row of Q, dO and K lies side by side, and 16 bytes behind it: 52 or 100 words apart, so that
 * the 8 rows that a fragment touches fall into different banks. A QueryPair is behind the first of
 * its two rows. */
template <int D> __device__ constexpr int pitch() {
  return 3 * D + 8;
}
/* dS of a chunk is [chunk / TILE, held, TILE]: for each tile of queries a row for each key, whose
 * two halves change places in every second four of keys, so that again 8 rows fall into different
 * banks. Where half `half` of key `key`'s row is: */
__device__ static inline int score_half(int key, int half) {
  return key * TILE + (key / 4 % 2 ^ half) * 8;
}

/* Tiles of keys that a warp owns: OWN. With two the fragments of Q and dO, which each warp reads
 * for itself, serve two products each: a block that is alone on its multiprocessor is bound by what
 * shared memory gives. Warps of a block at most, and blocks that then share a multiprocessor's
 * registers, which are given out to 4 warps at a time: 168 a thread with 3 blocks of 4 warps, 128
 * with 2 of 7, 255 with one of 8. Before compute capability 8.0 shared memory has room for 3 of the
 * 7 only, which may have more. */
template <int D, int OWN> struct Form {
  static constexpr int WARPS = OWN == 1 ? 4 : D == 64 ? 8 : 7;
  static constexpr int BLOCKS = OWN == 1 ? 3 : D == 64 ? 1 : 2;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  static constexpr int BOUND = OWN == 1 ? 3 : 1;
#else
  static constexpr int BOUND = BLOCKS;
#endif
};

/* Tiles of keys whose dS is computed at a time: as many as registers allow. */
template <int D, int OWN> __device__ constexpr int score_group() {
#if __CUDA_ARCH__ >= 800
  return D == 64 ? OWN : 1;
#else
  return 1;
#endif
}

/* Rows of a head, in whole tiles; what is past the last token is zero. Such numbers are worked out
 * where they are needed, as registers are short. */
__device__ static inline int held_rows(int tokens) {
  return (int)((worked_out_here((unsigned)tokens) + TILE - 1) / TILE * TILE);
}
/* Those of the chunk that begins at row `start`. */
__device__ static inline int chunk_rows(int start, int tokens, int chunk) {
  return min(held_rows(tokens) - start, chunk);
}
/* The first row of the warp's tiles, and where the rows of all warps' tiles end. */
template <int OWN> __device__ inline int first_row() {
  return (int)(worked_out_here(threadIdx.x) / WARP_SIZE * (OWN * TILE));
}
template <int OWN> __device__ inline int end_row() {
  return (int)(worked_out_here(blockDim.x) / WARP_SIZE * (OWN * TILE));
}

/* Where dS of a chunk begins, from the first row on: a multiple of 16 elements. */
template <int D, int OWN> __device__ inline int scores_begin() {
  return end_row<OWN>() * pitch<D>();
}

/* What dQ is divided into: tiles of queries, and columns. */
enum { COLUMNS = 32 };

/* The head's rows on their way into shared memory, with zeros up to the end of the warps' tiles. */
template <class T, int D, int OWN>
__device__ inline void load_head(T *rows, const T *d_out, const T *qkv, int tokens, int heads) {
  constexpr int ACCESSES = D / 8;
  const Part<const T> sets[3] = {{qkv, 3, 0}, {d_out, 1, 0}, {qkv, 3, 1}};
  unsigned access = worked_out_here(threadIdx.x) % ACCESSES * 8;
#pragma unroll
  for (int set = 0; set < 3; set++) {
    HeadRows<const T> from = head_rows(sets[set], tokens, heads, D);
#pragma unroll 2
    for (int row = (int)(worked_out_here(threadIdx.x) / ACCESSES); row < end_row<OWN>();
         row += (int)(blockDim.x / ACCESSES))
      copy_async_16(rows + row * pitch<D>() + set * D + access, from.row(row) + access,
                    row < tokens);
  }
}

/* Keys past the last token have no dS, in any chunk: what their probabilities would be may even be
 * infinite. */
template <class T> __device__ inline void clear_past_end(T *d_scores, int tokens, int chunk) {
  int rows = held_rows(tokens) - tokens; /* of each tile of queries */
  for (int i = (int)threadIdx.x; i < chunk * rows; i += (int)blockDim.x) {
    int tile = i / (rows * TILE), within = i % (rows * TILE);
    d_scores[(tile * held_rows(tokens) + tokens) * TILE + within] = from_float<T>(0);
  }
}

/* The pairs of a tile of queries, whose rows of out are `o`; dO is present. */
template <class T, int D>
__device__ inline void leave_pairs(T *rows, const uint32_t o[D / 16][4], const float *lse, int row,
                                   int tokens, int heads) {
  const T *d_outs = lane_of_sum<T, pitch<D>()>(rows + row * pitch<D>() + D);
  float delta[2] = {0, 0};
#pragma unroll
  for (int k = 0; k < D / 16; k++) {
    uint32_t d_o[4];
    load_matrices<T>(d_o, d_outs + 16 * k);
    add_products<T>(delta, o[k], d_o);
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    int r = row + lane_row() + 8 * half;
    float sum = row_sum(delta[half]);
    if (lane_column() > 0) continue;
    QueryPair *pair = reinterpret_cast<QueryPair *>(rows + r / 2 * 2 * pitch<D>() + 3 * D);
    pair->minus_lse[r % 2] =
        r < tokens ? -lse[head_start(tokens, heads) + r] * sqrtf((float)D) : -INFINITY;
    pair->minus_delta[r % 2] = -sum;
  }
}

/* What a warp owns: dK and dV of its keys, and their values. */
template <int D, int OWN> struct Owned {
  float d_k[OWN][D / 8][4], d_v[OWN][D / 8][4];
  uint32_t v[OWN][D / 16][4];
};

/* Where a lane finds and leaves what it needs of a tile of queries; the next tile's is next to it.
 */
template <class T, int D> struct LaneOfTile {
  const T *queries, *query_sum, *pair;
  int d_scores; /* from the first row on: dS of the lane's key and pair of queries; with ^ 8, of the
                 * pair 8 queries on */

  __device__ LaneOfTile(const T *rows, int chunk_scores, int key)
      : queries(lane_of_product<T, pitch<D>()>(rows)), query_sum(lane_of_sum<T, pitch<D>()>(rows)),
        pair(rows + lane_column() * pitch<D>() + 3 * D),
        d_scores(chunk_scores + score_half(key, 0) + lane_column()) {}
  __device__ void advance(int tokens) {
    queries += TILE * pitch<D>();
    query_sum += TILE * pitch<D>();
    pair += TILE * pitch<D>();
    d_scores += held_rows(tokens) * TILE;
  }
};

/* Takes in 16 queries. keys: the lane's place in the warp's tiles of keys, by lane_of_sum; of the
 * lane's 2*OWN keys, each 8 rows further, the first `there` are tokens: dS of others stays zero. */
template <class T, int D, int OWN>
__device__ __forceinline__ void query_tile(Owned<D, OWN> &own, const LaneOfTile<T, D> &at, T *rows,
                                           const T *keys, int there, float scale) {
  constexpr int GROUP = score_group<D, OWN>();
  uint32_t p16[OWN][4], d_s16[OWN][4];
#pragma unroll
  for (int g = 0; g < OWN; g += GROUP) {
    QueryPair of[2] = {*reinterpret_cast<const QueryPair *>(at.pair),
                       *reinterpret_cast<const QueryPair *>(at.pair + 8 * pitch<D>())};
    float p[GROUP][2][4], d_s[GROUP][2][4];
#pragma unroll
    for (int i = 0; i < 8 * GROUP; i++) {
      p[i / 8][i / 4 % 2][i % 4] = of[i / 4 % 2].minus_lse[i % 2];
      d_s[i / 8][i / 4 % 2][i % 4] = of[i / 4 % 2].minus_delta[i % 2];
    }
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
      uint32_t a[4], b[4];
      load_matrices<T>(b, at.queries + 16 * k);
#pragma unroll
      for (int o = 0; o < GROUP; o++) {
        load_matrices<T>(a, keys + (g + o) * TILE * pitch<D>() + 16 * k);
        mma_16x8x16<T>(p[o][0], a, b);
        mma_16x8x16<T>(p[o][1], a, b + 2);
      }
      load_matrices<T>(b, at.queries + D + 16 * k);
#pragma unroll
      for (int o = 0; o < GROUP; o++) {
        mma_16x8x16<T>(d_s[o][0], own.v[g + o][k], b);
        mma_16x8x16<T>(d_s[o][1], own.v[g + o][k], b + 2);
      }
    }
#pragma unroll
    for (int i = 0; i < 4 * GROUP; i++) { /* as A fragments: two columns of a row */
      int o = g + i / 4, half = i % 2, n = i / 2 % 2;
      float *two = &p[i / 4][n][half * 2], *d_two = &d_s[i / 4][n][half * 2];
      two[0] = exp2_approximate(two[0] * scale);
      two[1] = exp2_approximate(two[1] * scale);
      p16[o][i % 4] = pack_pair<T>(two[0], two[1]);
      d_s16[o][i % 4] = pack_pair<T>(d_two[0] * two[0], d_two[1] * two[1]);
      if (2 * o + half < there)
        *reinterpret_cast<uint32_t *>(rows + (at.d_scores ^ 8 * n) + (2 * o + half) * 8 * TILE) =
            d_s16[o][i % 4];
    }
  }
#pragma unroll
  for (int n = 0; n < D / 8; n += 2) {
    uint32_t b[4];
    load_transposed<T>(b, at.query_sum + D + 8 * n);
#pragma unroll
    for (int o = 0; o < OWN; o++) {
      mma_16x8x16<T>(own.d_v[o][n], p16[o], b);
      mma_16x8x16<T>(own.d_v[o][n + 1], p16[o], b + 2);
    }
    load_transposed<T>(b, at.query_sum + 8 * n);
#pragma unroll
    for (int o = 0; o < OWN; o++) {
      mma_16x8x16<T>(own.d_k[o][n], d_s16[o], b);
      mma_16x8x16<T>(own.d_k[o][n + 1], d_s16[o], b + 2);
    }
  }
}

/* Where the sums of a tile's columns are left, [D]: in the place of row `row` of Q and dO, when
 * nobody needs these any more. */
template <class T, int D> __device__ inline float *sums_at(T *rows, int row) {
  return reinterpret_cast<float *>(rows + row * pitch<D>());
}

/* dQ of 16 queries from `row` on, COLUMNS of it from `column` on, and their sums; d_scores: their
 * dS. */
template <class T, int D>
__device__ inline void query_gradient(T *d_qkv, T *rows, const T *d_scores, int row, int column,
                                      int tokens, int heads) {
  unsigned lane = worked_out_here(threadIdx.x) % 32; /* as lane_of_product, of dS transposed */
  const T *scores = d_scores + score_half((int)(lane % 8 + lane / 16 * 8), (int)(lane / 8 % 2));
  const T *keys = lane_of_sum<T, pitch<D>()>(rows + 2 * D + column);
  float d_q[COLUMNS / 8][4] = {};
#pragma unroll 2
  for (int key = 0; key < held_rows(tokens); key += TILE) {
    uint32_t a[4], b[4];
    load_transposed<T>(a, scores + key * TILE);
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; n += 2) {
      load_transposed<T>(b, keys + 8 * n);
      mma_16x8x16<T>(d_q[n], a, b);
      mma_16x8x16<T>(d_q[n + 1], a, b + 2);
    }
    keys += TILE * pitch<D>();
  }
  const float root = 1 / sqrtf((float)D);
  store_tile<T, D, COLUMNS>({d_qkv, 3, 0}, row, tokens, heads, d_q, root, root, column);
  float sum[COLUMNS / 8][2] = {};
  add_columns<COLUMNS / 8>(sum, d_q, row, tokens);
  store_columns<COLUMNS / 8>(sums_at<T, D>(rows, row) + column, sum, root, false);
}

/* dK and dV of the warp's keys, and their sums, in rows 1 and 2 of the first of its tiles. */
template <class T, int D, int OWN>
__device__ inline void store_owned(T *d_qkv, T *rows, const Owned<D, OWN> &own, int tokens,
                                   int heads) {
  const float root = 1 / sqrtf((float)D);
  float sum[2][D / 8][2] = {};
#pragma unroll
  for (int o = 0; o < OWN; o++) {
    int row = first_row<OWN>() + o * TILE;
    store_tile<T, D>({d_qkv, 3, 1}, row, tokens, heads, own.d_k[o], root, root);
    store_tile<T, D>({d_qkv, 3, 2}, row, tokens, heads, own.d_v[o], 1, 1);
    add_columns<D / 8>(sum[0], own.d_k[o], row, tokens);
    add_columns<D / 8>(sum[1], own.d_v[o], row, tokens);
  }
  store_columns<D / 8>(sums_at<T, D>(rows, first_row<OWN>() + 1), sum[0], root, false);
  store_columns<D / 8>(sums_at<T, D>(rows, first_row<OWN>() + 2), sum[1], 1, false);
}

/* Adds the tiles' sums in their order, into partial[images, 3, heads, D]. */
template <class T, int D, int OWN>
__device__ inline void add_tiles(float *partial, T *rows, int tokens, int heads) {
  partial += (size_t)blockIdx.y * (3 * heads * D) + blockIdx.x * D;
  for (int i = (int)threadIdx.x; i < 3 * D; i += (int)blockDim.x) {
    int part = i / D, column = i % D;
    float total = 0;
    for (int row = part; row < held_rows(tokens); row += part ? OWN * TILE : (int)TILE)
      total += sums_at<T, D>(rows, row)[column];
    partial[part * heads * D + column] = total;
  }
}

/* Grid: heads, images. chunk: queries of which dS is held, a multiple of TILE. */
template <class T, int D, int OWN>
__global__ void __launch_bounds__((Form<D, OWN>::WARPS) * WARP_SIZE, (Form<D, OWN>::BOUND))
    attention_backward_whole(T *d_qkv, float *partial, const T *d_out, const T *qkv, const T *out,
                             const float *lse, int tokens, int heads, int chunk) {
  DYNAMIC_SHARED(T, rows); /* [end_row, pitch], then dS of a chunk */
  load_head<T, D, OWN>(rows, d_out, qkv, tokens, heads);
  Owned<D, OWN> own = {};
  uint32_t o[OWN][D / 16][4];
#pragma unroll
  for (int i = 0; i < OWN; i++) {
    load_tile<T, D>(own.v[i], {qkv, 3, 2}, first_row<OWN>() + i * TILE, tokens, heads);
    load_tile<T, D>(o[i], {out, 1, 0}, first_row<OWN>() + i * TILE, tokens, heads);
  }
  clear_past_end(rows + scores_begin<D, OWN>(), tokens, chunk);
  copies_done();
  __syncthreads();
#pragma unroll
  for (int i = 0; i < OWN; i++)
    if (first_row<OWN>() + i * TILE < held_rows(tokens))
      leave_pairs<T, D>(rows, o[i], lse, first_row<OWN>() + i * TILE, tokens, heads);
  __syncthreads();

  const T *keys = lane_of_sum<T, pitch<D>()>(rows + first_row<OWN>() * pitch<D>() + 2 * D);
  const float scale = LOG2_E / sqrtf((float)D);
  for (int start = 0; start < tokens; start += chunk) {
    const int key = first_row<OWN>() + lane_row(); /* the lane's first */
    LaneOfTile<T, D> at(rows + start * pitch<D>(), scores_begin<D, OWN>(), key);
#pragma unroll 1
    for (int left = chunk_rows(start, tokens, chunk); left > 0; left -= TILE) {
      query_tile<T, D, OWN>(own, at, rows, keys, (tokens - key + 7) / 8, scale);
      at.advance(tokens);
    }
    __syncthreads();
#pragma unroll 1
    for (int unit = (int)(worked_out_here(threadIdx.x) / WARP_SIZE);
         unit < chunk_rows(start, tokens, chunk) / TILE * (D / COLUMNS);
         unit += (int)(blockDim.x / WARP_SIZE)) {
      int tile = unit / (D / COLUMNS), column = unit % (D / COLUMNS) * COLUMNS;
      query_gradient<T, D>(d_qkv, rows,
                           rows + scores_begin<D, OWN>() + tile * held_rows(tokens) * TILE,
                           start + tile * TILE, column, tokens, heads);
    }
    if (start + chunk < tokens) __syncthreads();
  }
  store_owned<T, D, OWN>(d_qkv, rows, own, tokens, heads);
  __syncthreads();
  add_tiles<T, D, OWN>(partial, rows, tokens, heads);
}

/* How a head is divided. */
struct Division {
  int own, chunk; /* chunk 0: it is not */
  unsigned threads;
  size_t shared;
};

/* Chunks as large as leave room for the blocks that a multiprocessor is to have, all of one size.
 * With more than CHUNKS of them too many warps would wait for dQ's few tiles. */
template <int D, int OWN> static Division divide_by(const CudaDevice *d, int tokens) {
  enum { CHUNKS = 3 };
  typedef Form<D, OWN> Of;
  int tiles = (int)blocks_for((size_t)tokens, TILE), warps = (tiles + OWN - 1) / OWN;
  size_t rows = (size_t)(warps * OWN * TILE * pitch<D>()) * 2; /* bytes of them */
  size_t scores = (size_t)(tiles * TILE * TILE) * 2;           /* of dS of a tile of queries */
  /* Two blocks of few warps, although registers may allow three. */
  size_t room = attention_shared_room(d, (size_t)min(Of::BLOCKS, 2));
  int most = room > rows ? (int)((room - rows) / scores) : 0; /* tiles of a chunk */
  if (warps > Of::WARPS || most < 1 || tiles > CHUNKS * most) return {OWN, 0, 0, 0};
  int chunks = (tiles + most - 1) / most, chunk = (tiles + chunks - 1) / chunks;
  return {OWN, chunk * TILE, (unsigned)warps * WARP_SIZE, rows + (size_t)chunk * scores};
}

template <int D> static Division divide(const CudaDevice *d, int tokens) {
  Division one = divide_by<D, 1>(d, tokens);
  return one.chunk ? one : divide_by<D, 2>(d, tokens);
}

template <class T, int D> static bool open(CudaDevice *d) {
  return allow_shared(d, attention_backward_whole<T, D, 1>) &&
         allow_shared(d, attention_backward_whole<T, D, 2>);
}

bool attention_whole_open(CudaDevice *d) {
  return open<Half, 32>(d) && open<Half, 64>(d) && open<Bfloat16, 32>(d) && open<Bfloat16, 64>(d);
}

/* As many images at a time as a launch takes and scratch memory has room for sums. */
template <class T, int D>
static bool backward(CudaDevice *d, void *d_qkv, float *d_bias, const void *d_out, const void *qkv,
                     const void *out, const float *lse, int batch, int tokens, int heads,
                     bool accumulate) {
  Division v = divide<D>(d, tokens);
  if (!v.chunk) return false;
  auto kernel = v.own == 1 ? attention_backward_whole<T, D, 1> : attention_backward_whole<T, D, 2>;
  int width = 3 * heads * D;
  int most = (int)min(SCRATCH_BYTES / (width * sizeof(float)), (size_t)launch_images(d, batch));
  for (int first = 0; first < batch; first += most) {
    int images = min(most, batch - first);
    size_t rows = (size_t)first * heads * tokens;
    LAUNCH(kernel, dim3((unsigned)heads, (unsigned)images), dim3(v.threads), v.shared, d->stream,
           (T *)d_qkv + 3 * rows * D, (float *)d->scratch, (const T *)d_out + rows * D,
           (const T *)qkv + 3 * rows * D, (const T *)out + rows * D, lse + rows, tokens, heads,
           v.chunk);
    reduce_chunks(d, {d_bias}, images, 1, width, accumulate || first > 0);
  }
  return true;
}

bool attention_whole_backward(CudaDevice *d, void *d_qkv, float *d_bias, const void *d_out,
                              const void *qkv, const void *out, const float *lse, Dtype type,
                              int batch, int tokens, int heads, int head_size, bool accumulate) {
  auto run = type == DTYPE_F16
                 ? (head_size == 32 ? backward<Half, 32> : backward<Half, 64>)
                 : (head_size == 32 ? backward<Bfloat16, 32> : backward<Bfloat16, 64>);
  return run(d, d_qkv, d_bias, d_out, qkv, out, lse, batch, tokens, heads, accumulate);
}
