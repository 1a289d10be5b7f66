/* A kernel with more sums than its launch bounds leave registers: the build must report it, see
 * CMakeLists.txt. */
enum { SUMS = 128, THREADS = 1024 };

__global__ void __launch_bounds__(THREADS) spilling_sums(float *sums, const float *x, int rows) {
  float total[SUMS] = {};
  for (int row = 0; row < rows; row++)
#pragma unroll
    for (int i = 0; i < SUMS; i++) total[i] += x[(row * SUMS + i) * THREADS + threadIdx.x];
#pragma unroll
  for (int i = 0; i < SUMS; i++) sums[i * THREADS + threadIdx.x] = total[i];
}
