/* rows.h - the rows of a query, one after the other, for those who write them in a form of
 * their own: the page of results and the exports. */
#ifndef HARNESS_STORE_ROWS_H
#define HARNESS_STORE_ROWS_H

#include <jansson.h>
#include <stdint.h>

#include "harness/store/store.h"

typedef enum CellType { CELL_NULL, CELL_INTEGER, CELL_REAL, CELL_TEXT } CellType;

/* bindings: names and texts of the query's parameters in turn ("@experiment", "mask_ratio-cpu"),
 * ended by NULL; those that the query does not have are passed over. NULL: none. A query that
 * fails gives no rows; rows_close says why:
 *
 *   Rows *rows = rows_open(store, sql, bindings);
 *   while (rows_next(rows)) ... rows_text(rows, 0) ...
 *   return rows_close(rows, e); */
typedef struct Rows Rows;
Rows *rows_open(Store *, const char *sql, const char *const *bindings);
bool rows_next(Rows *);
bool rows_close(Rows *, Error *);

int rows_columns(const Rows *);
const char *rows_name(const Rows *, int column);
/* The column of this name; -1: there is none. */
int rows_column(const Rows *, const char *name);

/* A text is valid until the next row. NULL reads as "", 0 and NAN. */
CellType rows_type(const Rows *, int column);
const char *rows_text(const Rows *, int column);
int64_t rows_int(const Rows *, int column);
double rows_real(const Rows *, int column);

/* The row as an object, in the order of its columns; a number that is not finite is "inf" or
 * "-inf". NULL: a text is not UTF-8, which is an error of code EXIT_DATA. */
json_t *rows_object(const Rows *, Error *);

/* Runs statements that make temporary tables of a reader; `bindings` as above. */
bool rows_script(Store *, const char *sql, const char *const *bindings, Error *);
/* The first column of the first row as text, "" when there is none; the caller frees. NULL: it
 * failed. */
char *rows_first(Store *, const char *sql, const char *const *bindings, Error *);

/* Text as SQL: 'it''s' between single quotes, a name between double ones. The caller frees. */
char *sql_quoted(const char *text, char quote);
/* 'a', 'b': texts for IN (...). The caller frees. */
char *sql_list(const StringList *texts);

#endif
