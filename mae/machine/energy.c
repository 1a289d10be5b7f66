/* energy.c - chooses what can be read, reads it now and then, and adds up. */
#include "mae/machine/energy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "mae/base/clock.h"

/* Power changes within a second; counters only must not go round unnoticed, nor processes that come
 * and go. */
static const double power_period = 0.5, counter_period = 10;

const char *energy_source_name(EnergySource source) {
  static const char *const names[] = {[ENERGY_NONE] = "",
                                      [ENERGY_NVML_COUNTER] = "nvml-counter",
                                      [ENERGY_NVML_POWER] = "nvml-power",
                                      [ENERGY_RAPL] = "rapl",
                                      [ENERGY_ELSEWHERE] = ""};
  return names[source];
}

static const char *place(const char *variable, const char *usual) {
  const char *other = getenv(variable);
  return other && *other ? other : usual;
}

EnergyPlaces energy_places(void) {
  return (EnergyPlaces){.powercap = place("MAEBENCH_POWERCAP", "/sys/class/powercap"),
                        .stat = place("MAEBENCH_PROC_STAT", "/proc/stat"),
                        .nvml = place(NVML_VARIABLE, NVML_LIBRARY)};
}

/* Processor time -------------------------------------------------------------------------------*/

static double own_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Of all processors, not idle, since the machine was started; 0 when it cannot be read. */
static double all_seconds(const char *stat) {
  unsigned long long user = 0, nice = 0, system = 0, idle, wait, irq = 0, soft_irq = 0;
  FILE *file = fopen(stat, "re");
  if (!file) return 0;
  if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait,
             &irq, &soft_irq) != 7)
    user = nice = system = irq = soft_irq = 0;
  fclose(file);
  return (double)(user + nice + system + irq + soft_irq) / (double)sysconf(_SC_CLK_TCK);
}

/* Reading --------------------------------------------------------------------------------------*/

/* Joules since the last reading. */
static bool read_nvml(EnergyMeter *m, double now, double *joules) {
  bool counter = m->source == ENERGY_NVML_COUNTER;
  double level, before = m->level;
  char *why = m->problem;
  if (counter ? !nvml_energy(m->nvml, m->gpu, &level, why, sizeof m->problem)
              : !nvml_power(m->nvml, m->gpu, &level, why, sizeof m->problem))
    return false;
  if (counter && level < before) {
    snprintf(why, sizeof m->problem, "NVML: the GPU's energy counter was reset");
    return false;
  }
  *joules = counter ? level - before : (level + before) / 2 * (now - m->level_at);
  m->level = level;
  m->level_at = now;
  int others = nvml_processes(m->nvml, m->gpu) - 1;
  if (others > m->spent.others) m->spent.others = others;
  return true;
}

/* With the lock. */
static void update(EnergyMeter *m) {
  double joules = 0, now = clock_seconds();
  bool ok = true;
  if (m->failed) return;
  if (m->source == ENERGY_RAPL)
    ok = rapl_read(&m->rapl, now, &joules, m->problem, sizeof m->problem);
  else if (m->source != ENERGY_ELSEWHERE)
    ok = read_nvml(m, now, &joules);
  m->failed = !ok;
  if (!ok) return;
  m->spent.joules += joules;
  if (m->steps) m->spent.step_joules += joules;
}

static void *watch(void *user) {
  EnergyMeter *m = user;
  double period = m->places.period;
  if (period == 0) period = m->source == ENERGY_NVML_POWER ? power_period : counter_period;
  pthread_mutex_lock(&m->lock);
  while (!m->stopping) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    double at = (double)until.tv_sec + 1e-9 * (double)until.tv_nsec + period;
    until.tv_sec = (time_t)at;
    until.tv_nsec = (long)(1e9 * (at - (double)until.tv_sec));
    pthread_cond_timedwait(&m->stop, &m->lock, &until);
    if (!m->stopping) update(m);
  }
  pthread_mutex_unlock(&m->lock);
  return NULL;
}

/* Signals are for the threads that train. */
static bool start_thread(EnergyMeter *m) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool ok = pthread_create(&m->thread, NULL, watch, m) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return ok;
}

/* Opening --------------------------------------------------------------------------------------*/

static EnergySource open_gpu(EnergyMeter *m, const char *bus) {
  size_t size = sizeof m->problem;
  m->nvml = nvml_open(m->places.nvml, m->problem, size);
  if (!m->nvml) return ENERGY_NONE;
  m->gpu = nvml_find(m->nvml, bus, m->problem, size);
  m->level_at = clock_seconds();
  if (!m->gpu) return ENERGY_NONE;
  if (nvml_energy(m->nvml, m->gpu, &m->level, m->problem, size)) return ENERGY_NVML_COUNTER;
  if (nvml_power(m->nvml, m->gpu, &m->level, m->problem, size)) return ENERGY_NVML_POWER;
  return ENERGY_NONE;
}

void energy_open(EnergyMeter *m, const EnergyPlaces *places, const char *bus, bool counts) {
  pthread_condattr_t clock;
  *m = (EnergyMeter){.places = *places, .open = true};
  if (*bus)
    m->source = open_gpu(m, bus);
  else if (!counts)
    m->source = ENERGY_ELSEWHERE;
  else if (rapl_open(&m->rapl, places->powercap, clock_seconds(), m->problem, sizeof m->problem))
    m->source = ENERGY_RAPL;
  if (m->source != ENERGY_NONE) *m->problem = '\0'; /* of what was tried before */
  m->own_from = own_seconds();
  if (m->source == ENERGY_RAPL) m->all_from = all_seconds(places->stat);
  pthread_mutex_init(&m->lock, NULL);
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_cond_init(&m->stop, &clock);
  pthread_condattr_destroy(&clock);
  if (m->source == ENERGY_NONE || m->source == ENERGY_ELSEWHERE) return;
  m->watched = start_thread(m);
  if (m->watched) return;
  m->source = ENERGY_NONE;
  snprintf(m->problem, sizeof m->problem, "no thread could be started");
}

void energy_close(EnergyMeter *m) {
  if (!m->open) return;
  if (m->watched) {
    pthread_mutex_lock(&m->lock);
    m->stopping = true;
    pthread_cond_signal(&m->stop);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
  }
  nvml_close(m->nvml);
  pthread_cond_destroy(&m->stop);
  pthread_mutex_destroy(&m->lock);
  *m = (EnergyMeter){.source = ENERGY_NONE};
}

void energy_steps(EnergyMeter *m, bool steps) {
  if (m->source == ENERGY_NONE) return;
  pthread_mutex_lock(&m->lock);
  if (steps != m->steps) update(m);
  m->steps = steps;
  pthread_mutex_unlock(&m->lock);
}

bool energy_read(EnergyMeter *m, EnergySpent *spent) {
  if (m->source == ENERGY_NONE) return false;
  pthread_mutex_lock(&m->lock);
  update(m);
  m->spent.own_seconds = own_seconds() - m->own_from;
  if (m->source == ENERGY_RAPL) m->spent.all_seconds = all_seconds(m->places.stat) - m->all_from;
  *spent = m->spent;
  bool ok = !m->failed;
  pthread_mutex_unlock(&m->lock);
  return ok;
}
