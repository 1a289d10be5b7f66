/* A build without NCCL: gradients of GPUs go through the host's memory. */
#include "mae/ranks/parts.h"

bool ranks_nccl_open(Ranks *ranks, Device *device, Error *e) {
  (void)ranks, (void)device, (void)e;
  return true;
}

void ranks_nccl_library(char *text, size_t size) {
  if (size) *text = 0;
}

void ranks_nccl_close(Ranks *ranks, bool failed) {
  (void)ranks, (void)failed;
}

void ranks_nccl_ready(Ranks *ranks, Model *model, size_t decayed_from, size_t rest_from) {
  (void)ranks, (void)model, (void)decayed_from, (void)rest_from;
}

void ranks_nccl_exchange(Ranks *ranks, Model *model) {
  (void)ranks, (void)model;
}
