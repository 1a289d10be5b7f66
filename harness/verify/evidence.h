/* evidence.h - is what was recorded of a trial still what its programs wrote? Nothing is trained
 * for this: files are compared with their recorded hashes and with each other. */
#ifndef HARNESS_VERIFY_EVIDENCE_H
#define HARNESS_VERIFY_EVIDENCE_H

#include "harness/base/strings.h"
#include "harness/store/store.h"
#include "harness/trial/record.h"
#include "mae/config/config.h"

typedef struct Evidence {
  StringList faults; /* what does not fit, each with its file and its line, key or number */
  StringList notes;  /* what could not be checked, and why */
  bool unsealed;     /* the event file has lines of a version that did not seal them */
} Evidence;

typedef struct EvidenceOf {
  Store *store; /* that has the trial */
  int64_t trial;
  const char *folder;      /* of the trial */
  const RunRecord *record; /* of its event file */
  const Config *config;    /* of its newest start event */
} EvidenceOf;

/* The seals of the event files; stored files and checkpoints against their hashes; config.ini,
 * trial.json and the folder's name against the start event; the database's rows against the event
 * files; the packed images against their hash (packed first where they are not). False: it cannot
 * be checked, such as when the images are not on this machine. */
bool evidence_check(Evidence *, const EvidenceOf *, Error *);
void evidence_free(Evidence *);

/* Whether the lines of an event file follow from each other; if not, *line is the first that does
 * not. *unsealed (or NULL) receives whether some lines have no seal. */
bool evidence_sealed(const char *path, int64_t *line, bool *unsealed);

#endif
