/* Runs a fuzz target over the files of the folders given, and over every beginning of each small
 * file: the check of the seed corpus where there is no libFuzzer. */
#include <dirent.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { PREFIXES_BELOW = 4096 };

/* An exact copy, so that the address sanitizer sees a read past the end. */
static void run(const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  memcpy(copy, bytes, size);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

static int replay_file(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) {
    perror(path);
    exit(4);
  }
  static uint8_t bytes[1 << 20];
  size_t size = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  int runs = 1;
  run(bytes, size);
  for (size_t n = 0; size < PREFIXES_BELOW && n < size; n++, runs++) run(bytes, n);
  return runs;
}

int main(int argc, char **argv) {
  int files = 0, runs = 0;
  for (int i = 1; i < argc; i++) {
    DIR *dir = opendir(argv[i]);
    if (!dir) {
      perror(argv[i]);
      return 4;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
      if (entry->d_name[0] == '.') continue;
      char path[4096];
      snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
      runs += replay_file(path);
      files++;
    }
    closedir(dir);
  }
  printf("%d inputs from %d files\n", runs, files);
  return files ? 0 : 4; /* an empty corpus tests nothing */
}
