/* The safetensors reader: every byte it hands out must be there. */
#include <string.h>

#include "mae/model/weights.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  TensorFile file;
  Error e = {0};
  bool ok = safetensors_parse(&file, data, size, &e);
  fuzz_check(ok, &e);
  if (!ok) return 0;
  for (int i = 0; i < file.count; i++) {
    const Tensor *tensor = &file.tensors[i];
    fuzz_touch(tensor->data, tensor->bytes);
    char text[256];
    safetensors_describe(text, sizeof text, tensor);
    if (strcmp(safetensors_find(&file, tensor->name)->name, tensor->name)) abort();
  }
  Config config;
  Error problem = {0};
  fuzz_check(weights_config(&file, &config, &problem), &problem);
  safetensors_close(&file);
  return 0;
}
