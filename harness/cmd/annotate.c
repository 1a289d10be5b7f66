/* annotate.c - the folder first, which is the truth, then the database. */
#include "harness/cmd/annotate.h"

/* The database takes in what the folder says now. */
static void enter_database(const char *db, const Target *target) {
  Store *store = NULL;
  Error later = {0};
  if (!store_open(&store, db, &later) || !store_note_target(store, target, &later))
    fprintf(stderr,
            "note: written to %s/" NOTES_FILE ", not yet to the database (%s); the next `harness "
            "run` of it or `harness import` takes it in\n",
            target->folder, later.message);
  store_close(store);
}

bool annotate(const char *db, const char *word, NotesChange change, void *context, Error *e) {
  Store *store = NULL;
  Notes notes = {0};
  Target target;
  bool ok = store_open_readonly(&store, db, e) && store_find_target(store, word, &target, e);
  store_close(store);
  if (ok && !*target.folder)
    ok = error_set(e, EXIT_DATA, "%s has no trials, so that its folder is not known",
                   target.experiment);
  int lock = ok ? notes_lock(target.folder, e) : -1;
  if (lock < 0) return false;
  ok = notes_read(&notes, target.folder, e) && change(&notes, &target, context, e) &&
       notes_write(&notes, target.folder, e);
  notes_free(&notes);
  /* Under the lock too: another who notes something of this trial is not turned away there. */
  if (ok) enter_database(db, &target);
  notes_unlock(lock, target.folder);
  return ok;
}
