/* A build without MPI: processes that a launcher started cannot find each other. */
#include "mae/ranks/parts.h"

bool ranks_mpi_start(Ranks *ranks, const RankLaunch *launch, Error *e) {
  (void)ranks;
  return error_set(e, EXIT_CONFIG,
                   "%s started %d processes (%s), but this program was built without MPI, so that "
                   "each would train by itself into the same folder: build it with "
                   "-DMAEBENCH_MPI=ON; or start one process, which on one machine starts "
                   "train.ranks processes itself; or, for separate runs, unset %s",
                   launch->launcher, launch->count, launch->variable, launch->variable);
}

void ranks_mpi_library(char *text, size_t size) {
  if (size) *text = 0;
}
