/* delete.c - takes trials and experiments out of the tables; their folders are elsewhere by
 * then. */
#include <stdlib.h>

#include "harness/store/internal.h"

bool store_remove_trial(Store *store, int64_t trial, Error *e) {
  return store_forget_trial(store, trial, e) &&
         store_run(store, e, "DELETE FROM note WHERE trial = ?", "i", trial) &&
         store_run(store, e, "DELETE FROM tag WHERE trial = ?", "i", trial) &&
         store_run(store, e, "DELETE FROM param WHERE trial = ?", "i", trial) &&
         store_run(store, e, "DELETE FROM trial WHERE trial = ?", "i", trial);
}

static bool remove_trials(Store *store, int64_t sweep, Error *e) {
  for (;;) {
    int64_t trial;
    bool found = false;
    if (!store_int(store, e, &trial, &found,
                   "SELECT min(trial) FROM trial WHERE sweep = ? "
                   "GROUP BY sweep",
                   "i", sweep))
      return false;
    if (!found) return true;
    if (!store_remove_trial(store, trial, e)) return false;
  }
}

bool store_remove_sweep(Store *store, int64_t sweep, Error *e) {
  static const char *const tables[] = {
      "DELETE FROM planned WHERE sweep = ?",      "DELETE FROM paper_verdict WHERE sweep = ?",
      "DELETE FROM paper_value WHERE sweep = ?",  "DELETE FROM paper_number WHERE sweep = ?",
      "DELETE FROM paper_source WHERE sweep = ?", "DELETE FROM point_iqm WHERE sweep = ?",
      "DELETE FROM note WHERE sweep = ?",         "DELETE FROM sweep WHERE sweep = ?"};
  bool ok = remove_trials(store, sweep, e);
  for (size_t i = 0; ok && i < sizeof tables / sizeof *tables; i++)
    ok = store_run(store, e, tables[i], "i", sweep);
  return ok;
}

static bool remove_experiment(Store *store, const char *experiment, Error *e) {
  int64_t sweep;
  bool found = false;
  return store_int(store, e, &sweep, &found, "SELECT sweep FROM sweep WHERE experiment = ?", "t",
                   experiment) &&
         (!found || store_remove_sweep(store, sweep, e));
}

bool store_remove(Store *store, const Target *target, Error *e) {
  char *verdict = NULL;
  if (!store_begin(store, e)) return false;
  bool ok = target->trial ? store_remove_trial(store, target->trial, e) &&
                                store_judge_points(store, target->experiment, e) &&
                                store_judge_paper(store, target->experiment, &verdict, e)
                          : remove_experiment(store, target->experiment, e);
  free(verdict);
  if (ok) return store_commit(store, e);
  sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
  return false;
}
