/* Processes that an MPI launcher or Slurm started together, as their environment tells. */
#include <stdlib.h>
#include <string.h>

#include "mae/ranks/ranks.h"

/* The first whose `count` is set holds: mpirun within a job of Slurm starts its helpers by srun.
 * Only a step of srun has SLURM_STEP_NUM_TASKS: a batch script, which runs once, has not. */
static const struct {
  const char *launcher, *count, *rank;
} launchers[] = {
    {"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"}, /* Open MPI */
    {"mpirun", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},   /* MVAPICH2 */
    {"mpiexec", "PMI_SIZE", "PMI_RANK"}, /* MPICH and its descendants, srun --mpi=pmi2 */
    {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
};
enum { LAUNCHERS = sizeof launchers / sizeof *launchers };

RankLaunch ranks_launch(void) {
  for (int i = 0; i < LAUNCHERS; i++) {
    const char *count = getenv(launchers[i].count), *rank = getenv(launchers[i].rank);
    if (!count) continue;
    if (atoi(count) < 2) break;
    return (RankLaunch){.count = atoi(count),
                        .rank = rank ? atoi(rank) : 0,
                        .launcher = launchers[i].launcher,
                        .variable = launchers[i].count};
  }
  return (RankLaunch){.count = 1};
}

bool ranks_launch_variable(const char *entry) {
  for (int i = 0; i < LAUNCHERS; i++) {
    const char *const names[] = {launchers[i].count, launchers[i].rank};
    for (int n = 0; n < 2; n++) {
      size_t length = strlen(names[n]);
      if (!strncmp(entry, names[n], length) && entry[length] == '=') return true;
    }
  }
  return false;
}
