/* notes.c - tags and notes: from notes.json into the tables. */
#include "harness/trial/notes.h"
#include "harness/store/internal.h"

/* Replaces the rows of a trial, or of an experiment itself (trial 0). */
static bool put_notes(Store *store, int64_t sweep, int64_t trial, const Notes *notes, Error *e) {
  if (!store_run(store, e, "DELETE FROM note WHERE sweep = ?1 AND trial IS nullif(?2, 0)", "ii",
                 sweep, trial) ||
      !store_run(store, e, "DELETE FROM tag WHERE trial = ?", "i", trial))
    return false;
  for (int i = 0; i < notes->count; i++)
    if (!store_run(store, e,
                   "INSERT INTO note (sweep, trial, position, time, text) "
                   "VALUES (?, nullif(?, 0), ?, ?, ?)",
                   "iiirt", sweep, trial, (int64_t)i + 1, notes->notes[i].time,
                   notes->notes[i].text))
      return false;
  for (int i = 0; trial && i < notes->tags.count; i++)
    if (!store_run(store, e, "INSERT OR IGNORE INTO tag (trial, tag) VALUES (?, ?)", "it", trial,
                   notes->tags.items[i]))
      return false;
  return true;
}

bool store_take_notes(Store *store, int64_t sweep, int64_t trial, const char *folder, Error *e) {
  Notes notes;
  Error problem = {0};
  if (!notes_read(&notes, folder, &problem)) fprintf(stderr, "left out: %s\n", problem.message);
  bool ok = put_notes(store, sweep, trial, &notes, e);
  notes_free(&notes);
  return ok;
}

bool store_note_target(Store *store, const Target *target, Error *e) {
  int64_t sweep = 0;
  bool found = false;
  return store_int(store, e, &sweep, &found, "SELECT sweep FROM sweep WHERE experiment = ?", "t",
                   target->experiment) &&
         (!found || store_take_notes(store, sweep, target->trial, target->folder, e));
}
