/* mma_simt.h - the tensor-core operations of kernels/cuda/mma.cuh on the CPU: every lane shows its
 * fragment to the warp and computes its part of the result from the documented layout. */
#ifndef MMA_SIMT_H
#define MMA_SIMT_H

#include <vector>

struct MmaFragments {
  uint32_t a[4], b[2];
};

template <class T> void mma_16x8x16(float d[4], const uint32_t a[4], const uint32_t b[2]) {
  MmaFragments own = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const unsigned char(*slots)[simt::SLOT] = simt::exchange(~0u, &own, sizeof own, SIMT_HERE);
  MmaFragments all[32];
  for (int lane = 0; lane < 32; lane++) memcpy(&all[lane], slots[lane], sizeof own);
  int g = simt::lane() / 4, t = simt::lane() % 4;
  for (int i = 0; i < 4; i++) {
    int row = g + i / 2 * 8, column = 2 * t + i % 2;
    for (int k = 0; k < 16; k++) {
      float2 x = unpack_pair<T>(all[row % 8 * 4 + k % 8 / 2].a[k / 8 * 2 + row / 8]);
      float2 y = unpack_pair<T>(all[column * 4 + k % 8 / 2].b[k / 8]);
      d[i] += k % 2 ? x.y * y.y : x.x * y.x;
    }
  }
}

template <class T> void load_matrices(uint32_t words[4], const T *row) {
  simt::check_aligned(row, 16, SIMT_HERE);
  const unsigned char(*slots)[simt::SLOT] = simt::exchange(~0u, &row, sizeof row, SIMT_HERE);
  int g = simt::lane() / 4, t = simt::lane() % 4;
  for (int matrix = 0; matrix < 4; matrix++) {
    const T *named;
    memcpy(&named, slots[matrix * 8 + g], sizeof named);
    words[matrix] = load_pair(named + 2 * t);
  }
}

template <class T> void load_transposed(uint32_t words[4], const T *row) {
  simt::check_aligned(row, 16, SIMT_HERE);
  const unsigned char(*slots)[simt::SLOT] = simt::exchange(~0u, &row, sizeof row, SIMT_HERE);
  int g = simt::lane() / 4, t = simt::lane() % 4;
  for (int matrix = 0; matrix < 4; matrix++) {
    const T *rows[2];
    for (int i = 0; i < 2; i++) memcpy(&rows[i], slots[matrix * 8 + 2 * t + i], sizeof rows[i]);
    Pack<T, 2> pair = {{rows[0][g], rows[1][g]}};
    memcpy(&words[matrix], &pair, sizeof pair);
  }
}

/* Copies of 16 bytes that each thread of a block has started. A GPU makes them at any time until
 * they are waited for: here at once, which shows in what is still read, or then and no sooner,
 * which shows a missing wait. */
struct StartedCopy {
  void *to;
  const void *from; /* NULL: zeros */

  void make() const {
    static const unsigned char zeros[16] = {0};
    memcpy(to, from ? from : zeros, 16);
  }
};
static inline std::vector<StartedCopy> &started_copies() {
  static std::vector<StartedCopy> of_thread[1024];
  return of_thread[threadIdx.x];
}
static inline void copy_async_16(void *shared, const void *global, bool inside) {
  const StartedCopy copy = {shared, inside ? global : NULL};
  simt::check_aligned(copy.to, 16, SIMT_HERE);
  simt::check_aligned(copy.from, 16, SIMT_HERE);
  if (simt::done_early())
    copy.make();
  else
    started_copies().push_back(copy);
}
static inline void copies_done() {
  for (const StartedCopy &copy : started_copies()) copy.make();
  started_copies().clear();
}

static inline unsigned worked_out_here(unsigned x) {
  return x;
}

#endif
