/* spent.c - asks the meters of all ranks at moments in which they meet, and tells the sum. */
#include "mae/train/spent.h"

#include <math.h>
#include <string.h>

#include "mae/base/clock.h"

static const double period = 30; /* seconds: what a run that is killed has taken untold, at most */

/* What the ranks add up. */
enum { MISSING, JOULES, STEP_JOULES, OWN_SECONDS, ALL_SECONDS, OTHERS, SUMS };
_Static_assert(SUMS <= sizeof((Spent *)0)->rest / sizeof(double), "room for all");

void spent_open(Spent *spent, Device *device, const Ranks *ranks) {
  DeviceInfo info;
  EnergyPlaces places = energy_places();
  device->kernels->info(device, &info);
  energy_open(&spent->meter, &places, info.bus, ranks->node_rank == 0);
  spent->told = clock_seconds();
}

void spent_close(Spent *spent) {
  energy_close(&spent->meter);
}

bool spent_agree(Spent *spent, Ranks *ranks, Error *e) {
  double missing = spent->meter.source == ENERGY_NONE;
  if (!ranks_sum(ranks, &missing, 1, e)) return false;
  spent->source = missing > 0 ? "" : energy_source_name(spent->meter.source);
  /* Its packages are counted by another rank of this machine: this one writes nothing. */
  if (missing == 0 && spent->meter.source == ENERGY_ELSEWHERE)
    spent->source = energy_source_name(ENERGY_RAPL);
  spent->met = ranks->count == 1;
  return true;
}

bool spent_is_due(const Spent *spent) {
  return *spent->source && !spent->told_problem && clock_seconds() - spent->told >= period;
}

static bool tell_problem(Spent *spent, Report *report, Error *e) {
  const char *problem = spent->meter.problem;
  if (!*problem) problem = "another rank's meter failed";
  if (spent->told_problem) return true;
  spent->told_problem = true;
  if (!report->active) return true;
  return report_energy_problem(report, problem, e);
}

static void read_own(Spent *spent, double own[SUMS]) {
  EnergySpent read = {0};
  bool ok = energy_read(&spent->meter, &read);
  own[MISSING] = !ok;
  own[JOULES] = read.joules;
  own[STEP_JOULES] = read.step_joules;
  own[OWN_SECONDS] = read.own_seconds;
  own[ALL_SECONDS] = read.all_seconds;
  own[OTHERS] = read.others;
}

static bool tell(Spent *spent, Report *report, const double sums[SUMS], bool last, Error *e) {
  spent->told = clock_seconds();
  if (sums[MISSING] > 0) return tell_problem(spent, report, e);
  /* Counters that stand still measure nothing. */
  if (!report->active || !(sums[JOULES] > 0)) return true;
  ReportEnergy energy = {.source = spent->source,
                         .joules = sums[JOULES],
                         .step_joules = sums[STEP_JOULES],
                         .own_share = NAN,
                         .others = -1};
  if (strcmp(spent->source, energy_source_name(ENERGY_RAPL)))
    energy.others = (int)sums[OTHERS];
  else if (sums[ALL_SECONDS] > 0)
    energy.own_share = fmin(sums[OWN_SECONDS] / sums[ALL_SECONDS], 1);
  return report_energy(report, &energy, last, e);
}

bool spent_tell(Spent *spent, Ranks *ranks, Report *report, Error *e) {
  double own[SUMS], sums[SUMS];
  if (!*spent->source) return true;
  read_own(spent, own);
  memcpy(sums, own, sizeof sums);
  if (!ranks_sum(ranks, sums, SUMS, e)) return false;
  for (int i = 0; i < SUMS; i++) spent->rest[i] = sums[i] - own[i];
  spent->met = true;
  return tell(spent, report, sums, false, e);
}

void spent_tell_last(Spent *spent, Report *report) {
  double sums[SUMS];
  if (!spent->source || !*spent->source || !spent->met || spent->told_problem) return;
  read_own(spent, sums);
  for (int i = 0; i < SUMS; i++) sums[i] += spent->rest[i];
  tell(spent, report, sums, true, NULL);
}
