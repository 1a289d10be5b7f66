/* annotate.c - the folder first, which is the truth, then the database. */
#include "harness/cmd/annotate.h"

bool annotate(const char *db, const char *word, NotesChange change, void *context, Error *e) {
  Store *store = NULL;
  Notes notes = {0};
  Target target;
  Error later = {0};
  bool ok = store_open_readonly(&store, db, e) && store_find_target(store, word, &target, e);
  store_close(store);
  ok = ok && notes_read(&notes, target.folder, e) && change(&notes, &target, context, e) &&
       notes_write(&notes, target.folder, e);
  notes_free(&notes);
  if (!ok) return false;
  if (!store_open(&store, db, &later) || !store_note_target(store, &target, &later))
    fprintf(stderr,
            "note: written to %s/" NOTES_FILE ", not yet to the database (%s); the next `harness "
            "run` of it or `harness import` takes it in\n",
            target.folder, later.message);
  store_close(store);
  return true;
}
