/* page.h - the results of experiments as one HTML file that needs nothing else: `harness report`.
 * It is made of the database alone, and of the trials' sheet.png; the same ones give the same
 * bytes. */
#ifndef HARNESS_PAGE_PAGE_H
#define HARNESS_PAGE_PAGE_H

#include "harness/store/store.h"

/* All experiments, in their order, of a store that store_open_readonly gave. */
bool page_write(FILE *, Store *, const StringList *experiments, Error *);

#endif
