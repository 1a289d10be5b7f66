/* attention.cu - multi-head self-attention on tensor cores, for 16-bit types and heads of 32 or 64.
 *
 * A block works on one head of one image, and each of its warps owns 16 rows of one side of the
 * scores at a time. The rows of the other side are in shared memory: all of them, or chunks of 64
 * that follow each other (Stream). The order of every sum is the same either way.
 * Forward: warps own queries, K and V are streamed, the softmax is computed online, 64 keys at a
 * time (Milakov and Gimelshein 2018). Backward, where attention_whole.cu does not take a head in
 * one go: the probabilities are recomputed from the stored log-sum-exp, in two passes that each own
 * what they write, so no sum depends on timing: dQ (warps own queries, K and V are streamed), then
 * dK and dV (warps own keys, Q and dO are streamed). Formulas: Dao et al., "FlashAttention", 2022,
 * appendix B. What a row of scores needs in both passes, the first leaves for the second in scratch
 * memory. Column sums: each warp adds up what it owns, a block its warps, reduce_chunks the blocks.
 *
 * Names: T tokens; D head size; a row of qkv is 3*heads*D long, a row of out heads*D. */
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

#define LN_2 0.69314718f

/* Two blocks fit a multiprocessor's 65,536 registers, which are given out to 4 warps at a time: 12
 * warps may have 168 a thread, 16 may have 128, and nothing lies between. Blocks of 7 warps, which
 * do 197 tokens in two rounds, have 128; blocks of 6 have 168, which the pass over keys needs for
 * its two sums of heads of 64. */
enum { CHUNK = 64, BLOCKS = 2, QUERIES_WARPS = 7, KEYS_WARPS_OF_64 = 6, KEYS_WARPS_OF_32 = 7 };
#define TILES_KERNEL(warps) __global__ void __launch_bounds__((warps)*WARP_SIZE, BLOCKS)

__host__ __device__ static constexpr unsigned keys_warps(int head_size) {
  return head_size == 64 ? KEYS_WARPS_OF_64 : KEYS_WARPS_OF_32;
}

/* Two rows of D elements lie side by side in shared memory, of the two sets that are streamed, and
 * 16 bytes behind them, so that they are 68 or 36 words apart and the 8 rows that a fragment
 * touches fall into different banks. A QueryPair is in the 16 bytes behind the first of its rows.
 */
template <int D> __device__ constexpr int pitch() {
  return 2 * D + 8;
}

/* Where those of a head begin in [batch, heads, pairs]. */
__device__ static inline size_t head_pairs(int tokens, int heads) {
  unsigned head = worked_out_here(blockIdx.y) * heads + worked_out_here(blockIdx.x);
  return (size_t)head * (((unsigned)tokens + 1) / 2);
}

/* A round: the block's warps own TILE rows each, round_rows() together. */
__device__ static inline int round_rows() {
  return (int)(blockDim.x / WARP_SIZE * TILE);
}
__device__ static inline int first_round() {
  return (int)blockIdx.z * round_rows();
}
/* The first row of this warp in the round that begins at row `round`. */
__device__ static inline int own_row(int round) {
  return round + (int)(worked_out_here(threadIdx.x) / WARP_SIZE * TILE);
}

#if __CUDA_ARCH__ >= 800
constexpr int LOADS = 1; /* the copies are on their way together anyway */
#else
constexpr int LOADS = 4;
#endif

/* Two sets of a head's rows, and the pairs of each two rows if there are any, on their way through
 * shared memory. `held` rows have room: all, padded to a multiple of TILE; or CHUNK or 2 CHUNK,
 * when the chunks take turns. Past the last token rows are zero, and probabilities too. */
template <class T, int D> struct Stream {
  T *shared; /* [held, pitch]: a row of each set, a pair */
  Part<const T> sets[2];
  const QueryPair *pairs; /* NULL: none */
  int tokens, heads, held;

  __device__ bool holds_all() const {
    return held >= tokens;
  }
  /* Where row `row` is, when it is there. */
  __device__ T *place(int row) const {
    return shared + (holds_all() ? row : row & (held - 1)) * pitch<D>();
  }
  /* Starts the copies of `count` rows from `first` on, 16 bytes each. */
  __device__ void load(int first, int count) const {
    constexpr int ACCESSES = D / 8;
    unsigned thread = worked_out_here(threadIdx.x), access = thread % (2 * ACCESSES);
    HeadRows<const T> from = access < ACCESSES ? head_rows(sets[0], tokens, heads, D)
                                               : head_rows(sets[1], tokens, heads, D);
    from.first += access % ACCESSES * 8;
    T *to = place(first) + access * 8;
#pragma unroll LOADS
    for (int row = (int)(thread / (2 * ACCESSES)); row < count;
         row += (int)(blockDim.x / (2 * ACCESSES)))
      copy_async_16(to + row * pitch<D>(), from.row(first + row), first + row < tokens);
    if (pairs)
      for (int row = 2 * (int)thread; row < count; row += 2 * (int)blockDim.x) {
        T *target = place(first) + row * pitch<D>() + 2 * D;
        if (first + row < tokens)
          copy_async_16(target, pairs + head_pairs(tokens, heads) + (first + row) / 2, true);
        else
          *reinterpret_cast<QueryPair *>(target) = {{-INFINITY, -INFINITY}, {0, 0}};
      }
  }

  /* Starts the first copies. */
  __device__ void begin() const {
    load(0, holds_all() ? held : (int)CHUNK);
  }
  /* Makes the chunk that begins at row `start` present; all threads call it, for each chunk in
   * turn. With room for two the next one is on its way meanwhile: into the rows that nobody has
   * needed since the barrier. first_round: false when the block has been through all chunks before.
   */
  __device__ void turn(int start, bool first_round) const {
    if (holds_all() && (start > 0 || !first_round)) return;
    if (held == CHUNK && start > 0) {
      __syncthreads();
      load(start, CHUNK);
    }
    copies_done();
    __syncthreads();
    if (!holds_all() && held == 2 * CHUNK && start + CHUNK < tokens) load(start + CHUNK, CHUNK);
  }
};

/* s[16,16] += a[16,D] rows[16,D]^T, as two neighbouring accumulators; rows by lane_of_product. */
template <class T, int D>
__device__ inline void product_with_rows(float s[2][4], const uint32_t a[D / 16][4],
                                         const T *rows) {
#pragma unroll
  for (int k = 0; k < D / 16; k++) {
    uint32_t b[4];
    load_matrices<T>(b, rows + 16 * k);
    mma_16x8x16<T>(s[0], a[k], b);
    mma_16x8x16<T>(s[1], a[k], b + 2);
  }
}

/* x[16,D] += p[16,16] rows[16,D], p as two neighbouring accumulators; rows by lane_of_sum. */
template <class T, int D>
__device__ inline void accumulate_rows(float x[D / 8][4], const float p[2][4], const T *rows) {
  uint32_t a[4] = {pack_pair<T>(p[0][0], p[0][1]), pack_pair<T>(p[0][2], p[0][3]),
                   pack_pair<T>(p[1][0], p[1][1]), pack_pair<T>(p[1][2], p[1][3])};
#pragma unroll
  for (int n = 0; n < D / 8; n += 2) {
    uint32_t b[4];
    load_transposed<T>(b, rows + 8 * n);
    mma_16x8x16<T>(x[n], a, b);
    mma_16x8x16<T>(x[n + 1], a, b + 2);
  }
}

/* The online softmax over the scores of a warp's 16 queries; halves as in a fragment's rows. */
template <int D> struct Softmax {
  float o[D / 8][4]; /* sum of probability * value, over 2^max */
  float max[2];      /* of the scores, in units of log2 */
  float sum[2];      /* of the probabilities of this lane's columns, over 2^max */
};

/* Takes in a chunk of keys with their values, of which `count` are tokens. PARTIAL: fewer than
 * CHUNK. */
template <class T, int D, bool PARTIAL>
__device__ __forceinline__ void softmax_chunk(Softmax<D> &x, const uint32_t q[D / 16][4],
                                              const T *rows, int count, float scale) {
  const T *keys = lane_of_product<T, pitch<D>()>(rows),
          *values = lane_of_sum<T, pitch<D>()>(rows + D);
  float s[CHUNK / TILE][2][4] = {}, max[2] = {-INFINITY, -INFINITY};
#pragma unroll
  for (int n = 0; n < CHUNK / TILE; n++) {
    if (!PARTIAL || n * TILE < count)
      product_with_rows<T, D>(s[n], q, keys + n * TILE * pitch<D>());
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float *p = &s[n][i / 4][i % 4];
      if (PARTIAL && n * TILE + i / 4 * 8 + lane_column() + i % 2 >= count) *p = -INFINITY;
      max[i % 4 / 2] = fmaxf(max[i % 4 / 2], *p);
    }
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float before = x.max[half];
    x.max[half] = fmaxf(before, row_max(max[half]) * scale);
    float shrink = exp2_approximate(before - x.max[half]);
    x.sum[half] *= shrink;
#pragma unroll
    for (int n = 0; n < D / 8; n++) {
      x.o[n][2 * half] *= shrink;
      x.o[n][2 * half + 1] *= shrink;
    }
  }
#pragma unroll
  for (int n = 0; n < CHUNK / TILE; n++) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
      float *p = &s[n][i / 4][i % 4];
      *p = exp2_approximate(*p * scale - x.max[i % 4 / 2]);
      x.sum[i % 4 / 2] += *p;
    }
    if (!PARTIAL || n * TILE < count)
      accumulate_rows<T, D>(x.o, s[n], values + n * TILE * pitch<D>());
  }
}

/* Grid: heads, images, and parts of the queries; one round of the block's warps a part unless all
 * of K and V is held. So in the other kernels, with keys for queries in the last. */
template <class T, int D>
TILES_KERNEL(QUERIES_WARPS)
attention_forward_tiles(T *out, float *lse, const T *qkv, int tokens, int heads, int held) {
  DYNAMIC_SHARED(T, shared);
  Stream<T, D> stream = {shared, {{qkv, 3, 1}, {qkv, 3, 2}}, NULL, tokens, heads, held};
  stream.begin();
  const float scale = LOG2_E / sqrtf((float)D); /* scores in units of log2 */
  for (int round = first_round(); round < tokens; round += (int)gridDim.z * round_rows()) {
    uint32_t q[D / 16][4];
    load_tile<T, D>(q, {qkv, 3, 0}, own_row(round), tokens, heads);
    Softmax<D> x = {{}, {-INFINITY, -INFINITY}, {0, 0}};
    for (int start = 0; start < tokens; start += CHUNK) {
      stream.turn(start, round == first_round());
      if (own_row(round) >= tokens) continue;
      int count = tokens - start;
      const T *rows = stream.place(start);
      if (count >= CHUNK)
        softmax_chunk<T, D, false>(x, q, rows, count, scale);
      else
        softmax_chunk<T, D, true>(x, q, rows, count, scale);
    }
    if (own_row(round) >= tokens) continue;
    float sum[2] = {row_sum(x.sum[0]), row_sum(x.sum[1])};
    store_tile<T, D>({out, 1, 0}, own_row(round), tokens, heads, x.o, 1 / sum[0], 1 / sum[1]);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int r = own_row(round) + lane_row() + 8 * half;
      if (lane_column() == 0 && r < tokens)
        lse[head_start(tokens, heads) + r] = x.max[half] * LN_2 + logf(sum[half]);
    }
  }
}

/* A row's log-sum-exp, in units of log2, and delta, as its lanes in the pass over queries have it.
 */
struct QueryNumbers {
  float lse2, delta;
};

/* d_q += what 16 keys give: d_score * key; keys by lane_of_product, with their values beside
 * them, key_sum by lane_of_sum. PARTIAL: only `count` of them are tokens. */
template <class T, int D, bool PARTIAL>
__device__ __forceinline__ void
queries_step(float d_q[D / 8][4], const uint32_t q[D / 16][4], const uint32_t d_o[D / 16][4],
             const T *keys, const T *key_sum, const QueryNumbers own[2], float scale, int count) {
  float s[2][4] = {}, d_s[2][4] = {};
  product_with_rows<T, D>(s, q, keys);
  product_with_rows<T, D>(d_s, d_o, keys + D);
#pragma unroll
  for (int i = 0; i < 8; i++) {
    QueryNumbers of = own[i % 4 / 2];
    float p = exp2_approximate(s[i / 4][i % 4] * scale - of.lse2);
    bool inside = !PARTIAL || i / 4 * 8 + lane_column() + i % 2 < count;
    d_s[i / 4][i % 4] = inside ? p * (d_s[i / 4][i % 4] - of.delta) : 0;
  }
  accumulate_rows<T, D>(d_q, d_s, key_sum);
}

/* Of this lane's two rows of a tile; they also go into the pairs, and with an odd number of tokens
 * a row behind them, of which all probabilities are 0. */
template <class T, int D>
__device__ inline void query_numbers(QueryNumbers own[2], QueryPair *pairs, const float *lse,
                                     Part<const T> outs, const uint32_t d_o[D / 16][4], int row,
                                     int tokens, int heads) {
  uint32_t o[D / 16][4];
  load_tile<T, D>(o, outs, row, tokens, heads);
  float delta[2] = {0, 0};
#pragma unroll
  for (int k = 0; k < D / 16; k++) add_products<T>(delta, o[k], d_o[k]);
#pragma unroll
  for (int half = 0; half < 2; half++) {
    int r = row + lane_row() + 8 * half;
    float row_lse = r < tokens ? lse[head_start(tokens, heads) + r] : INFINITY;
    own[half] = {row_lse * LOG2_E, row_sum(delta[half])};
    if (lane_column() == 0 && r / 2 * 2 < tokens) {
      QueryPair *pair = pairs + head_pairs(tokens, heads) + r / 2;
      pair->minus_lse[r % 2] = -row_lse * sqrtf((float)D);
      pair->minus_delta[r % 2] = -own[half].delta;
    }
  }
}

/* The sums of the columns of what a warp owns, of `planes` matrices, behind the streamed rows. */
template <class T, int D>
__device__ inline float *own_sums(const Stream<T, D> &stream, int planes) {
  float *sums = reinterpret_cast<float *>(stream.shared + stream.held * pitch<D>());
  return sums + worked_out_here(threadIdx.x) / WARP_SIZE * (planes * D);
}
/* Adds the warps' sums in warp order, into partial[image and part of its rows, planes, heads, D].
 * All threads call it. */
template <class T, int D>
__device__ inline void add_warps(float *partial, const Stream<T, D> &stream, int planes) {
  const float *sums = reinterpret_cast<const float *>(stream.shared + stream.held * pitch<D>());
  int warps = (int)(blockDim.x / WARP_SIZE);
  partial += ((size_t)blockIdx.y * gridDim.z + blockIdx.z) * planes * (stream.heads * D);
  __syncthreads();
  for (int i = (int)threadIdx.x; i < planes * D; i += (int)blockDim.x) {
    float total = 0;
    for (int w = 0; w < warps; w++) total += sums[w * planes * D + i];
    partial[(i / D * stream.heads + (int)blockIdx.x) * D + i % D] = total;
  }
}

template <class T, int D>
TILES_KERNEL(QUERIES_WARPS)
attention_backward_queries(T *d_qkv, float *partial, QueryPair *pairs, const T *d_out, const T *qkv,
                           const T *out, const float *lse, int tokens, int heads, int held) {
  DYNAMIC_SHARED(T, shared);
  Stream<T, D> stream = {shared, {{qkv, 3, 1}, {qkv, 3, 2}}, NULL, tokens, heads, held};
  stream.begin();
  const float root = 1 / sqrtf((float)D), scale = LOG2_E * root;
  for (int round = first_round(); round < tokens; round += (int)gridDim.z * round_rows()) {
    uint32_t q[D / 16][4], d_o[D / 16][4];
    load_tile<T, D>(q, {qkv, 3, 0}, own_row(round), tokens, heads);
    load_tile<T, D>(d_o, {d_out, 1, 0}, own_row(round), tokens, heads);
    QueryNumbers own[2];
    query_numbers<T, D>(own, pairs, lse, {out, 1, 0}, d_o, own_row(round), tokens, heads);
    float d_q[D / 8][4] = {};
    for (int start = 0; start < tokens; start += CHUNK) {
      stream.turn(start, round == first_round());
      if (own_row(round) >= tokens) continue;
      const T *keys = lane_of_product<T, pitch<D>()>(stream.place(start));
      const T *key_sum = lane_of_sum<T, pitch<D>()>(stream.place(start));
      int count = min(tokens - start, (int)CHUNK);
#pragma unroll 1
      for (; count >= TILE; count -= TILE) {
        queries_step<T, D, false>(d_q, q, d_o, keys, key_sum, own, scale, TILE);
        keys += TILE * pitch<D>();
        key_sum += TILE * pitch<D>();
      }
      if (count > 0) queries_step<T, D, true>(d_q, q, d_o, keys, key_sum, own, scale, count);
    }
    if (own_row(round) < tokens)
      store_tile<T, D>({d_qkv, 3, 0}, own_row(round), tokens, heads, d_q, root, root);
    float columns[D / 8][2] = {};
    add_columns<D / 8>(columns, d_q, own_row(round), tokens);
    store_columns<D / 8>(own_sums(stream, 1), columns, root, round != first_round());
  }
  add_warps(partial, stream, 1);
}

template <class T, int D>
TILES_KERNEL(keys_warps(D))
attention_backward_keys(T *d_qkv, float *partial, const QueryPair *pairs, const T *d_out,
                        const T *qkv, int tokens, int heads, int held) {
  DYNAMIC_SHARED(T, shared);
  Stream<T, D> stream = {shared, {{qkv, 3, 0}, {d_out, 1, 0}}, pairs, tokens, heads, held};
  stream.begin();
  const float root = 1 / sqrtf((float)D), scale = LOG2_E * root;
  for (int round = first_round(); round < tokens; round += (int)gridDim.z * round_rows()) {
    uint32_t k[D / 16][4], v[D / 16][4];
    load_tile<T, D>(k, {qkv, 3, 1}, own_row(round), tokens, heads);
    load_tile<T, D>(v, {qkv, 3, 2}, own_row(round), tokens, heads);
    float d_k[D / 8][4] = {}, d_v[D / 8][4] = {};
    for (int start = 0; start < tokens; start += CHUNK) {
      stream.turn(start, round == first_round());
      if (own_row(round) >= tokens) continue;
      const T *queries = lane_of_product<T, pitch<D>()>(stream.place(start));
      const T *query_sum = lane_of_sum<T, pitch<D>()>(stream.place(start));
      const T *pair = stream.place(start) + lane_column() * pitch<D>() + 2 * D;
#pragma unroll 1
      for (int count = min(tokens - start, (int)CHUNK); count > 0; count -= TILE) {
        float p[2][4], d_s[2][4];
#pragma unroll
        for (int n = 0; n < 2; n++)
#pragma unroll
          for (int i = 0; i < 4; i += 2) {
            const float2 *of = reinterpret_cast<const float2 *>(pair + 8 * n * pitch<D>());
            p[n][i] = of[0].x, p[n][i + 1] = of[0].y;
            d_s[n][i] = of[1].x, d_s[n][i + 1] = of[1].y;
          }
        product_with_rows<T, D>(p, k, queries);
        product_with_rows<T, D>(d_s, v, queries + D);
#pragma unroll
        for (int i = 0; i < 8; i++) {
          p[i / 4][i % 4] = exp2_approximate(p[i / 4][i % 4] * scale);
          d_s[i / 4][i % 4] *= p[i / 4][i % 4];
        }
        accumulate_rows<T, D>(d_v, p, query_sum + D);
        accumulate_rows<T, D>(d_k, d_s, query_sum);
        queries += TILE * pitch<D>();
        query_sum += TILE * pitch<D>();
        pair += TILE * pitch<D>();
      }
    }
    if (own_row(round) < tokens) {
      store_tile<T, D>({d_qkv, 3, 1}, own_row(round), tokens, heads, d_k, root, root);
      store_tile<T, D>({d_qkv, 3, 2}, own_row(round), tokens, heads, d_v, 1, 1);
    }
    float columns[2][D / 8][2] = {};
    add_columns<D / 8>(columns[0], d_k, own_row(round), tokens);
    add_columns<D / 8>(columns[1], d_v, own_row(round), tokens);
    store_columns<D / 8>(own_sums(stream, 2), columns[0], root, round != first_round());
    store_columns<D / 8>(own_sums(stream, 2) + D, columns[1], 1, round != first_round());
  }
  add_warps(partial, stream, 2);
}

/* How a head is divided: `held` rows in shared memory, `parts` blocks of `threads`. */
struct Division {
  int held;
  unsigned parts, threads;
  size_t shared;
};

static size_t division_bytes(const Division &v, int head_size, int planes) {
  size_t sums = v.threads / WARP_SIZE * (size_t)planes * head_size * sizeof(float);
  return (size_t)v.held * (2 * head_size + 8) * 2 + sums;
}

/* All rows are held where that leaves room for BLOCKS on a multiprocessor. A block then goes over
 * them in as many rounds as its warps need. Otherwise chunks: two where copies are asynchronous. As
 * many warps as fill whole rounds of tiles, at most `warps`: of 7, 4 for 50 tokens and 7 for 197.
 * planes: of what the warps own, how many matrices' columns are summed. */
static Division divide(const CudaDevice *d, int tokens, int head_size, unsigned warps, int planes) {
  unsigned tiles = blocks_for((size_t)tokens, TILE), rounds = blocks_for(tiles, warps);
  Division v = {(int)tiles * TILE, 1, blocks_for(tiles, rounds) * WARP_SIZE, 0};
  v.shared = division_bytes(v, head_size, planes);
  if (v.shared <= attention_shared_room(d, BLOCKS)) return v;
  v.held = d->properties.major < 8 ? CHUNK : 2 * CHUNK;
  v.parts = rounds;
  v.shared = division_bytes(v, head_size, planes);
  return v;
}

/* What the backward passes need of scratch memory for each image: the two planes of dK and dV are
 * the larger sums. */
struct ImageScratch {
  size_t sums, pairs; /* bytes */
};
static ImageScratch image_scratch(int tokens, int heads, int head_size) {
  size_t parts = blocks_for(blocks_for((size_t)tokens, TILE), keys_warps(head_size));
  return {parts * 2 * heads * head_size * sizeof(float),
          (size_t)heads * blocks_for((size_t)tokens, 2) * sizeof(QueryPair)};
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
static void forward(CudaDevice *d, void *out, float *lse, const void *qkv, int batch, int tokens,
                    int heads) {
  Division v = divide(d, tokens, D, QUERIES_WARPS, 0);
  for (int first = 0, images; first < batch; first += images) {
    images = launch_images(d, batch - first);
    size_t rows = (size_t)first * heads * tokens;
    LAUNCH((attention_forward_tiles<T, D>), dim3((unsigned)heads, (unsigned)images, v.parts),
           dim3(v.threads), v.shared, d->stream, (T *)out + rows * D, lse + rows,
           (const T *)qkv + 3 * rows * D, tokens, heads, v.held);
  }
}

/* As many images at a time as scratch memory and a launch take: nearly always all. */
template <class T, int D>
static void backward(CudaDevice *d, void *d_qkv, float *d_bias, const void *d_out, const void *qkv,
                     const void *out, const float *lse, int batch, int tokens, int heads,
                     bool accumulate) {
  Division by_query = divide(d, tokens, D, QUERIES_WARPS, 1);
  Division by_key = divide(d, tokens, D, keys_warps(D), 2);
  ImageScratch each = image_scratch(tokens, heads, D);
  int most = (int)min(SCRATCH_BYTES / (each.sums + each.pairs), (size_t)launch_images(d, batch));
  int w = heads * D;
  float *partial = (float *)d->scratch;
  QueryPair *pairs = (QueryPair *)((unsigned char *)d->scratch + most * each.sums);
  for (int first = 0; first < batch; first += most) {
    unsigned images = (unsigned)min(most, batch - first);
    size_t rows = (size_t)first * heads * tokens;
    const T *q = (const T *)qkv + 3 * rows * D, *o = (const T *)out + rows * D;
    const T *d_o = (const T *)d_out + rows * D;
    T *d_q = (T *)d_qkv + 3 * rows * D;
    bool add = accumulate || first > 0;
    LAUNCH((attention_backward_queries<T, D>), dim3((unsigned)heads, images, by_query.parts),
           dim3(by_query.threads), by_query.shared, d->stream, d_q, partial, pairs, d_o, q, o,
           lse + rows, tokens, heads, by_query.held);
    reduce_chunks(d, {d_bias}, (int)(images * by_query.parts), 1, w, add);
    LAUNCH((attention_backward_keys<T, D>), dim3((unsigned)heads, images, by_key.parts),
           dim3(by_key.threads), by_key.shared, d->stream, d_q, partial, (const QueryPair *)pairs,
           d_o, q, tokens, heads, by_key.held);
    reduce_chunks(d, {d_bias + w, d_bias + 2 * w}, (int)(images * by_key.parts), 2, w, add);
  }
}

bool attention_tiles_fit(Dtype type, int tokens, int heads, int head_size) {
  if (type == DTYPE_F32 || (head_size != 32 && head_size != 64)) return false;
  ImageScratch each = image_scratch(tokens, heads, head_size);
  return each.sums + each.pairs <= SCRATCH_BYTES;
}

void attention_tiles_forward(CudaDevice *d, void *out, float *lse, const void *qkv, Dtype type,
                             int batch, int tokens, int heads, int head_size) {
  auto run = type == DTYPE_F16 ? (head_size == 32 ? forward<Half, 32> : forward<Half, 64>)
                               : (head_size == 32 ? forward<Bfloat16, 32> : forward<Bfloat16, 64>);
  run(d, out, lse, qkv, batch, tokens, heads);
}

void attention_tiles_backward(CudaDevice *d, void *d_qkv, float *d_bias, const void *d_out,
                              const void *qkv, const void *out, const float *lse, Dtype type,
                              int batch, int tokens, int heads, int head_size, bool accumulate) {
  auto run = type == DTYPE_F16
                 ? (head_size == 32 ? backward<Half, 32> : backward<Half, 64>)
                 : (head_size == 32 ? backward<Bfloat16, 32> : backward<Bfloat16, 64>);
  run(d, d_qkv, d_bias, d_out, qkv, out, lse, batch, tokens, heads, accumulate);
}
