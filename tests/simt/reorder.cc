/* The simulator's part of kernel_cases: repetitions run the threads of a block in ascending,
 * descending and random order. */
#include "simt.h"

extern "C" {
#include "tests/kernels/cases.h"
}

void cases_reorder(int repeat) {
  simt::set_order(static_cast<simt::Order>(repeat % 3));
}
