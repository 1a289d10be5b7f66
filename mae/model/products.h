/* products.h - files with the algorithms that a GPU multiplies matrices with (run.products), made
 * by `mae bench --products`: see kernels/cuda/linear_table.cu for what is in them. */
#ifndef MAE_MODEL_PRODUCTS_H
#define MAE_MODEL_PRODUCTS_H

#include "kernels/backend.h"
#include "mae/base/error.h"

/* In a run folder: a copy of the table that the run follows. */
#define PRODUCTS_FILE "products.txt"

/* The device follows the table `path` from now on; messages call it `name`. sha256 (or NULL)
 * receives the hash of what was read. A table that cannot be read, is damaged, or was made with
 * another device or library is an EXIT_DATA. Before any product is prepared. */
bool products_follow(Device *, const char *path, const char *name, char sha256[65], Error *);
/* The device times every product from now on. */
bool products_time(Device *, Error *);
/* Writes the table of what was timed. */
bool products_save(Device *, const char *path, Error *);
/* Copies a table; the copy is whole or is not there. */
bool products_copy(const char *from, const char *to, Error *);

#endif
