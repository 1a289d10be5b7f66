/* internal.h - what the parts of the page share. Not for anyone else. */
#ifndef HARNESS_PAGE_INTERNAL_H
#define HARNESS_PAGE_INTERNAL_H

#include "harness/page/page.h"
#include "harness/store/rows.h"

/* Bytes that all pictures together may take, as text; the rest of the page stays below the other
 * half of 5 MB. */
enum { PAGE_PICTURE_BYTES = 2600000 };

typedef struct Page {
  Store *store;
  FILE *out;
  const char *experiment; /* the one that is being written */
  int number;             /* of it, from 1 */
  int panels;             /* of it so far: their ids */
  size_t picture_share;   /* bytes of one picture, as text */
} Page;

/* Parameters of the queries about the experiment, and about one of its figures. */
#define PAGE_BINDINGS(page, figure)                                                                \
  ((const char *const[]){"@experiment", (page)->experiment, "@figure", figure, NULL})

typedef struct PageTable {
  const char *caption; /* or NULL */
  bool sortable;
  bool headed;      /* the first column names the row */
  bool named_above; /* the caption is for screen readers: a heading says it already */
} PageTable;

/* The rows of a query as a table; *count (or NULL) receives how many. Nothing for no rows. */
bool page_table(Page *, const char *sql, const char *figure, PageTable, int *count, Error *);
/* Temporary tables that the queries of plots/ read (plots/common.sql). */
bool page_common(Page *, const char *figure, Error *);

/* Parts of an experiment's section, each with its heading; nothing where there is nothing. */
bool page_figures(Page *, Error *);
bool page_sheets(Page *, Error *);
bool page_trials(Page *, Error *);
bool page_settings(Page *, Error *);
bool page_provenance(Page *, Error *);
bool page_failures(Page *, Error *);
bool page_reproduce(Page *, Error *);

#endif
