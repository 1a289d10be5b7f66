/* energy.h - a meter of what the device that trains takes: a GPU's counter or its power, by NVML,
 * or the processor packages, by RAPL. It only reads, in a thread of its own: nothing that is
 * computed depends on it. */
#ifndef MAE_MACHINE_ENERGY_H
#define MAE_MACHINE_ENERGY_H

#include <pthread.h>

#include "mae/machine/nvml.h"
#include "mae/machine/rapl.h"

/* Where to look. Tests have other places, through this struct or the environment. */
typedef struct EnergyPlaces {
  const char *powercap; /* /sys/class/powercap */
  const char *stat;     /* /proc/stat */
  const char *nvml;     /* libnvidia-ml.so.1 */
  double period;        /* seconds between readings; 0: as the source needs */
} EnergyPlaces;
/* This machine's; MAEBENCH_POWERCAP, MAEBENCH_PROC_STAT and MAEBENCH_NVML name others. */
EnergyPlaces energy_places(void);

typedef enum EnergySource {
  ENERGY_NONE,         /* nothing can be read */
  ENERGY_NVML_COUNTER, /* the GPU's own counter */
  ENERGY_NVML_POWER,   /* its power, integrated by trapezoids */
  ENERGY_RAPL,         /* the packages' counters, and their memory's */
  ENERGY_ELSEWHERE,    /* counted by another process of this machine: 0 J */
} EnergySource;
/* "nvml-counter", "nvml-power", "rapl"; "" for the others. */
const char *energy_source_name(EnergySource);

typedef struct EnergySpent {
  double joules;      /* since the meter was opened */
  double step_joules; /* of these, while steps were counted */
  double own_seconds; /* processor time of this process, all threads, of ... */
  double all_seconds; /* ... that of everything on the machine; 0 unless the source is RAPL */
  int others;         /* on a GPU: the most other processes seen computing there */
} EnergySpent;

typedef struct EnergyMeter {
  EnergySource source; /* does not change once open */
  char problem[512];   /* why there is nothing to read, or not any more */
  EnergyPlaces places;
  Nvml *nvml;
  NvmlGpu *gpu;
  Rapl rapl;
  double level, level_at; /* NVML: the last reading, J or W, and its clock */
  double own_from, all_from;
  EnergySpent spent;
  bool open, steps, failed, stopping, watched; /* watched: the thread runs */
  pthread_t thread;
  pthread_mutex_t lock; /* of all above but open, source, places */
  pthread_cond_t stop;
} EnergyMeter;

/* bus: DeviceInfo.bus of the GPU that trains; "": the processor does. counts: whether this process
 * counts its machine's packages, as one of those that train together there does. Never fails: a
 * meter that can read nothing says so. The meter stays where it is until it is closed. */
void energy_open(EnergyMeter *, const EnergyPlaces *, const char *bus, bool counts);
void energy_close(EnergyMeter *); /* one that was not opened is fine */
/* From now on training steps are computed, or not. */
void energy_steps(EnergyMeter *, bool steps);
/* Reads once more. False, and meter->problem says why, when nothing can be read, or could not be
 * at some time since the meter was opened: what is missing then is unknown. */
bool energy_read(EnergyMeter *, EnergySpent *);

#endif
