/* A real device orders its threads as it likes. */
#include "tests/kernels/cases.h"

void cases_reorder(int repeat) {
  (void)repeat;
}
