/* diff_steps.c - where the curves of two trials part. */
#include <math.h>
#include <string.h>

#include "harness/store/compare.h"
#include "harness/store/diff.h"

enum { COLUMN_STEP, COLUMN_LOSS, COLUMN_GRAD_NORM, COLUMN_LR, COLUMN_COUNT };
static const char *const quantities[COLUMN_COUNT] = {"step", "train_loss", "grad_norm", "lr"};
static const double apart = 0.01; /* of the losses, relative */

static const char steps_sql[] = "SELECT step, coalesce(loss, loss_kind), coalesce(grad_norm, "
                                "grad_norm_kind), lr FROM step WHERE trial = ? ORDER BY step";

static bool same_cell(sqlite3_stmt *a, sqlite3_stmt *b, int column) {
  int type = sqlite3_column_type(a, column);
  if (type != sqlite3_column_type(b, column)) return false;
  if (type == SQLITE_FLOAT)
    return sqlite3_column_double(a, column) == sqlite3_column_double(b, column);
  const char *x = (const char *)sqlite3_column_text(a, column);
  const char *y = (const char *)sqlite3_column_text(b, column);
  return x == y || (x && y && !strcmp(x, y));
}

static json_t *cell_json(sqlite3_stmt *row, int column) {
  if (sqlite3_column_type(row, column) == SQLITE_FLOAT)
    return json_real(sqlite3_column_double(row, column));
  const char *text = (const char *)sqlite3_column_text(row, column);
  return text ? json_string(text) : json_null();
}

typedef struct Parting {
  int64_t steps, first, apart, largest_step;
  double largest;
} Parting;

static void compare_step(Parting *parting, json_t *json, sqlite3_stmt *a, sqlite3_stmt *b) {
  int64_t step = sqlite3_column_int64(a, COLUMN_STEP);
  parting->steps++;
  for (int c = COLUMN_LOSS; c < COLUMN_COUNT && !parting->first; c++) {
    if (same_cell(a, b, c)) continue;
    parting->first = step;
    json_object_set_new(json, "quantity", json_string(quantities[c]));
    json_object_set_new(json, "a", cell_json(a, c));
    json_object_set_new(json, "b", cell_json(b, c));
  }
  double x = sqlite3_column_double(a, COLUMN_LOSS), y = sqlite3_column_double(b, COLUMN_LOSS);
  double far = fabs(x - y) / fmax(fmax(fabs(x), fabs(y)), 1e-300);
  if (far > apart && !parting->apart) parting->apart = step;
  if (far > parting->largest) {
    parting->largest = far;
    parting->largest_step = step;
  }
}

static json_t *step_or_null(int64_t step) {
  return step ? json_integer((json_int_t)step) : json_null();
}

bool diff_steps(Diff *diff, const DiffPair *pair, Error *e) {
  sqlite3_stmt *a = NULL, *b = NULL;
  Parting parting = {0};
  json_t *json =
      json_pack("{s:I,s:I}", "trial_a", (json_int_t)pair->a, "trial_b", (json_int_t)pair->b);
  /* Statements of their own: both sides may be one store. */
  bool ok = (sqlite3_prepare_v2(diff->a.store->db, steps_sql, -1, &a, NULL) == SQLITE_OK ||
             store_fail(diff->a.store, e)) &&
            (sqlite3_prepare_v2(diff->b.store->db, steps_sql, -1, &b, NULL) == SQLITE_OK ||
             store_fail(diff->b.store, e));
  bool row_a = false, row_b = false;
  if (ok) {
    sqlite3_bind_int64(a, 1, pair->a);
    sqlite3_bind_int64(b, 1, pair->b);
    ok = store_row(diff->a.store, e, a, &row_a) && store_row(diff->b.store, e, b, &row_b);
  }
  while (ok && row_a && row_b) {
    int64_t x = sqlite3_column_int64(a, COLUMN_STEP), y = sqlite3_column_int64(b, COLUMN_STEP);
    if (x == y) compare_step(&parting, json, a, b);
    if (x <= y) ok = store_row(diff->a.store, e, a, &row_a);
    if (ok && y <= x) ok = store_row(diff->b.store, e, b, &row_b);
  }
  sqlite3_finalize(a);
  sqlite3_finalize(b);
  json_object_set_new(json, "steps", json_integer((json_int_t)parting.steps));
  json_object_set_new(json, "first_step", step_or_null(parting.first));
  json_object_set_new(json, "apart_step", step_or_null(parting.apart));
  json_object_set_new(json, "largest", store_real_or_null(parting.largest));
  json_object_set_new(json, "largest_step", step_or_null(parting.largest_step));
  json_array_append_new(diff->steps, json);
  diff->steps_compared += parting.steps;
  if (parting.first) diff->steps_equal = false;
  return ok;
}
