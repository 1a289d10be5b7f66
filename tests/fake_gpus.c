/* Takes the place of harness/plan/gpus.c: FAKE_GPUS="COUNT" or "COUNT GIBIBYTES" or "COUNT
 * GIBIBYTES bf16", less what a CUDA_VISIBLE_DEVICES hides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan/gpus.h"

const Gpus *gpus_find(void) {
  static Gpus gpus;
  const char *fake = getenv("FAKE_GPUS"), *visible = getenv("CUDA_VISIBLE_DEVICES");
  double gibibytes = 0;
  if (fake && sscanf(fake, "%d %lf", &gpus.count, &gibibytes) >= 1)
    snprintf(gpus.name, sizeof gpus.name, "Fake T%d", gpus.count);
  gpus.memory_total = (size_t)(gibibytes * 0x1p30);
  gpus.has_bf16 = fake && strstr(fake, "bf16");
  if (visible) {
    int named = *visible != 0;
    for (const char *c = visible; *c; c++) named += *c == ',';
    if (named < gpus.count) gpus.count = named;
  }
  return &gpus;
}
