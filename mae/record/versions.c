/* versions.c - asks every part of the build who it is. */
#include "mae/record/versions.h"

#include <stdio.h>
#include <string.h>

#include "build_info.h"
#include "kernels/backend.h"
#include "mae/data/archives.h"
#include "mae/machine/gpus_seen.h"
#include "mae/ranks/ranks.h"
#include "mae/record/provenance.h"

static void print_build(void) {
  const char *commit = BUILD_GIT_COMMIT;
  bool known = *commit && strcmp(commit, "unknown") != 0;
  printf("build: %s%.12s%s; %s; %s\n", known ? "commit " : "commit not known", known ? commit : "",
         BUILD_GIT_DIRTY ? ", with changes" : "", BUILD_COMPILER, BUILD_FLAGS);
}

static void print_libraries(const char *more) {
  char cuda[128], ranks[256], common[256];
  backend_cuda_libraries(cuda, sizeof cuda);
  ranks_libraries(ranks, sizeof ranks);
  provenance_libraries(common, sizeof common);
  const char *const lists[] = {common, archives_library(), more, cuda, ranks};
  const char *between = "";
  fputs("libraries: ", stdout);
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    if (!*lists[i]) continue;
    printf("%s%s", between, lists[i]);
    between = ", ";
  }
  putchar('\n');
}

void versions_print(const char *more) {
  char gpus[GPUS_SEEN_MAX];
  print_build();
  print_libraries(more);
  gpus_seen(gpus);
  printf("GPUs: %s\n", gpus);
}
