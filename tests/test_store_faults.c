/* The results database on a disk that fails: every single write, sync, truncation and allocation of
 * a recording is made to fail in turn. What was recorded before stays, the database stays sound, no
 * later line gets in before an earlier one, and offering the files again completes it. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/store/internal.h"
#include "tests/scratch.h"
#include "tests/suite.h"

/* A file system of SQLite's that passes everything on to the ordinary one, until a call of the kind
 * chosen comes up for the `countdown`-th time: that one and all later ones of the kind fail. */
typedef enum Fault { FAULT_WRITE, FAULT_SHORT_WRITE, FAULT_SYNC, FAULT_TRUNCATE, FAULT_OPEN } Fault;

static struct {
  Fault fault;
  int code, countdown; /* countdown 0: nothing fails */
  bool fired;
} plan;

static bool strikes(Fault fault) {
  bool hit = fault == plan.fault && plan.countdown && (plan.fired || --plan.countdown == 0);
  if (hit) plan.countdown = 1;
  plan.fired |= hit;
  return hit;
}

typedef struct FaultyFile {
  sqlite3_file base;
  sqlite3_file real[]; /* the ordinary file system's, of its own size */
} FaultyFile;

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *file) {
  return ((FaultyFile *)file)->real;
}

#define PASS_ON(name, parameters, arguments)                                                       \
  static int name parameters {                                                                     \
    return real_of(file)->pMethods->name arguments;                                                \
  }
PASS_ON(xClose, (sqlite3_file * file), (real_of(file)))
PASS_ON(xRead, (sqlite3_file * file, void *to, int size, sqlite3_int64 at),
        (real_of(file), to, size, at))
PASS_ON(xFileSize, (sqlite3_file * file, sqlite3_int64 *size), (real_of(file), size))
PASS_ON(xLock, (sqlite3_file * file, int level), (real_of(file), level))
PASS_ON(xUnlock, (sqlite3_file * file, int level), (real_of(file), level))
PASS_ON(xCheckReservedLock, (sqlite3_file * file, int *held), (real_of(file), held))
PASS_ON(xFileControl, (sqlite3_file * file, int what, void *argument),
        (real_of(file), what, argument))
PASS_ON(xSectorSize, (sqlite3_file * file), (real_of(file)))
PASS_ON(xDeviceCharacteristics, (sqlite3_file * file), (real_of(file)))
PASS_ON(xShmMap, (sqlite3_file * file, int page, int size, int extend, void volatile **memory),
        (real_of(file), page, size, extend, memory))
PASS_ON(xShmLock, (sqlite3_file * file, int at, int count, int flags),
        (real_of(file), at, count, flags))
PASS_ON(xShmUnmap, (sqlite3_file * file, int delete), (real_of(file), delete))

static void xShmBarrier(sqlite3_file *file) {
  real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int xWrite(sqlite3_file *file, const void *from, int size, sqlite3_int64 at) {
  sqlite3_file *real = real_of(file);
  if (strikes(FAULT_WRITE)) return plan.code;
  if (!strikes(FAULT_SHORT_WRITE)) return real->pMethods->xWrite(real, from, size, at);
  real->pMethods->xWrite(real, from, size / 2, at); /* half of it reaches the disk */
  return plan.code;
}

static int xSync(sqlite3_file *file, int flags) {
  return strikes(FAULT_SYNC) ? plan.code : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int xTruncate(sqlite3_file *file, sqlite3_int64 size) {
  return strikes(FAULT_TRUNCATE) ? plan.code
                                 : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static const sqlite3_io_methods faulty_methods = {.iVersion = 2,
                                                  .xClose = xClose,
                                                  .xRead = xRead,
                                                  .xWrite = xWrite,
                                                  .xTruncate = xTruncate,
                                                  .xSync = xSync,
                                                  .xFileSize = xFileSize,
                                                  .xLock = xLock,
                                                  .xUnlock = xUnlock,
                                                  .xCheckReservedLock = xCheckReservedLock,
                                                  .xFileControl = xFileControl,
                                                  .xSectorSize = xSectorSize,
                                                  .xDeviceCharacteristics = xDeviceCharacteristics,
                                                  .xShmMap = xShmMap,
                                                  .xShmLock = xShmLock,
                                                  .xShmBarrier = xShmBarrier,
                                                  .xShmUnmap = xShmUnmap};

static int faulty_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                       int *out) {
  (void)vfs;
  file->pMethods = NULL;
  if (strikes(FAULT_OPEN)) return plan.code;
  int code = real_vfs->xOpen(real_vfs, name, real_of(file), flags, out);
  if (code == SQLITE_OK) file->pMethods = &faulty_methods;
  return code;
}

static void install_vfs(void) {
  static sqlite3_vfs vfs;
  real_vfs = sqlite3_vfs_find(NULL);
  vfs = *real_vfs;
  vfs.zName = "faulty";
  vfs.pNext = NULL;
  vfs.szOsFile = (int)sizeof(FaultyFile) + real_vfs->szOsFile;
  vfs.xOpen = faulty_open;
  ck_assert_int_eq(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* Memory: allocations fail from the `countdown`-th on. */
static sqlite3_mem_methods real_memory;
static int allocations_left = -1; /* -1: no limit */

static bool no_memory(void) {
  if (allocations_left > 0) allocations_left--;
  return allocations_left == 0;
}

static void *scarce_malloc(int size) {
  return no_memory() ? NULL : real_memory.xMalloc(size);
}

static void *scarce_realloc(void *memory, int size) {
  return no_memory() ? NULL : real_memory.xRealloc(memory, size);
}

static void install_memory(void) {
  static sqlite3_mem_methods scarce;
  ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
  scarce = real_memory;
  scarce.xMalloc = scarce_malloc;
  scarce.xRealloc = scarce_realloc;
  ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &scarce), SQLITE_OK);
  ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
}

/* A trial whose events are offered line by line -------------------------------------------------*/

/* Of the config.ini below. */
#define TRIAL_HASH "7e470bdfd4905f3b2b9dfb6c02e3fc448b64291ace1d044782de9807f165dfd6"

#define STEP(n, loss)                                                                              \
  "{\"event\":\"step\",\"time\":2,\"step\":" n ",\"epoch\":0.4,\"loss\":" loss                     \
  ",\"lr\":0.001,\"grad_norm\":1.5,\"loss_scale\":1,\"seconds\":0.1,\"images_per_second\":320}"
static const char *const lines[] = {
    "{\"event\":\"start\",\"time\":1,\"format\":1,\"provenance\":{\"version\":\"1\",\"cpu\":\"c\"},"
    "\"config\":\"\",\"config_hash\":\"" TRIAL_HASH
    "\",\"binary_sha256\":\"b\",\"steps\":4,\"steps_per_epoch\":"
    "2.5,"
    "\"resumed_from\":0,\"params_encoder\":1,\"params_decoder\":2,\"gflops_per_image\":0.5,"
    "\"dataset\":{\"source\":\"shapes\",\"sha256\":\"d\",\"train_images\":9,\"eval_images\":4,"
    "\"skipped\":0},\"memory_planned_bytes\":5,\"pid\":7,\"attempt\":1}",
    STEP("1", "0.9"),
    STEP("2", "0.8"),
    STEP("3", "0.7"),
    STEP("4", "0.6"),
    "{\"event\":\"eval\",\"time\":3,\"step\":4,\"images\":4,\"loss\":0.5,\"psnr_masked\":17}",
};
enum { LINES = sizeof lines / sizeof *lines, BEFORE = 3 };

static int64_t trial;

static void make_trial_folder(void) {
  install_memory();
  install_vfs();
  scratch_setup();
  ck_assert_int_eq(mkdir("sweep", 0777) | mkdir("sweep/trial", 0777), 0);
  scratch_write("sweep/sweep.json",
                "{\"format\":1,\"experiment\":\"sweep\",\"name\":\"n\",\"scale\":\"\","
                "\"question\":\"\",\"expected\":\"\",\"source\":\"\",\"x\":\"\",\"ini\":\"\","
                "\"created\":1.5,\"trials\":[]}");
  scratch_write("sweep/trial/trial.json",
                "{\"format\":1,\"id\":1,\"experiment\":\"sweep\",\"config_hash\":\"" TRIAL_HASH
                "\",\"seed\":1,"
                "\"created\":1.5,\"swept\":{}}");
  scratch_write("sweep/trial/config.ini", "[run]\nseed = 1\n");
}

static Store *open_store(void) {
  Store *store;
  int64_t sweep;
  Error e = {0};
  ck_assert_msg(store_open(&store, "results.db", &e), "%s", e.message);
  ck_assert_msg(store_add_sweep(store, "sweep", &sweep, &e) &&
                    store_add_trial(store, sweep, "sweep/trial", &trial, &e),
                "%s", e.message);
  return store;
}

/* Offers lines [from, to) with the offsets that they have in the file; how many were refused. */
static int offer(Store *store, int from, int to, Error *first) {
  uint64_t offset = 0;
  int refused = 0;
  for (int i = 0; i < to; i++) {
    Error e = {0};
    if (i >= from &&
        !store_ingest(store, trial, "events.jsonl", offset, lines[i], strlen(lines[i]), &e) &&
        refused++ == 0)
      *first = e;
    offset += strlen(lines[i]) + 1;
  }
  return refused;
}

static void ask(Store *store, const char *sql, char *answer, size_t size) {
  sqlite3_stmt *statement;
  ck_assert_int_eq(sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
  snprintf(answer, size, "%s", (const char *)sqlite3_column_text(statement, 0));
  sqlite3_finalize(statement);
}

/* The database as a new process finds it: sound, holding the first lines and nothing beyond a gap;
 * how many steps it has. */
static int check_recorded(Store *store, int at_least) {
  char answer[256];
  ask(store, "PRAGMA integrity_check", answer, sizeof answer);
  ck_assert_str_eq(answer, "ok");
  ask(store, "SELECT count(*) || ' ' || coalesce(max(step), 0) FROM step", answer, sizeof answer);
  int count, last;
  ck_assert_int_eq(sscanf(answer, "%d %d", &count, &last), 2);
  ck_assert_msg(count == last, "%d steps are recorded, up to step %d", count, last);
  ck_assert_int_ge(count, at_least);
  return count;
}

static void check_message(const Error *e, int code) {
  ck_assert_msg(strstr(e->message, "results.db") != NULL, "%s", e->message);
  ck_assert_msg(strstr(e->message, "`harness import` adds it") != NULL, "%s", e->message);
  ck_assert_int_eq(e->code, code == SQLITE_NOMEM ? EXIT_DEVICE : EXIT_DATA);
}

/* One recording with a fault at its n-th chance; false when the fault had no chance to strike. */
static bool record_with_fault(int n, bool grouped, int code, void (*begin)(int n),
                              bool (*end)(void)) {
  Error e = {0}, other = {0};
  ck_assert_int_eq(system("rm -f results.db*"), 0);
  Store *store = open_store();
  ck_assert_int_eq(offer(store, 0, BEFORE, &e), 0);
  begin(n);
  bool ok = !grouped || store_begin(store, &e);
  int refused = ok ? offer(store, BEFORE, BEFORE + 1, &e) : 1;
  if (grouped && ok && !store_commit(store, refused ? &other : &e)) refused = 1;
  bool struck = end();
  /* The disk works again: that alone must not let later lines in before the one that failed. */
  int later = offer(store, BEFORE + 1, LINES, &other);
  if (refused) {
    ck_assert(store_broken(store));
    check_message(&e, code);
    ck_assert_int_eq(later, LINES - BEFORE - 1);
  }
  /* As the harness does after a while ... */
  if (n % 2) {
    store_retry(store);
    ck_assert_msg(offer(store, 0, LINES, &e) == 0, "%s", e.message);
  }
  store_close(store);
  /* ... and as `harness import` does in another process. */
  store = open_store();
  check_recorded(store, BEFORE - 1);
  ck_assert_msg(offer(store, 0, LINES, &e) == 0, "%s", e.message);
  ck_assert_int_eq(check_recorded(store, LINES - 2), LINES - 2);
  store_close(store);
  return struck;
}

static const struct {
  Fault fault;
  int code;
} faults[] = {{FAULT_WRITE, SQLITE_FULL},
              {FAULT_WRITE, SQLITE_IOERR_WRITE},
              {FAULT_SHORT_WRITE, SQLITE_FULL},
              {FAULT_SYNC, SQLITE_IOERR_FSYNC}};

static void begin_fault(int n) {
  plan.countdown = n;
  plan.fired = false;
}

static bool end_fault(void) {
  plan.countdown = 0;
  return plan.fired;
}

START_TEST(test_disk) {
  plan.fault = faults[_i / 2].fault;
  plan.code = faults[_i / 2].code;
  int n = 1;
  while (record_with_fault(n, _i % 2, plan.code, begin_fault, end_fault)) n++;
  /* In WAL mode with synchronous = NORMAL a recording that makes no checkpoint never syncs. */
  if (plan.fault != FAULT_SYNC) ck_assert_int_gt(n, 2);
}
END_TEST

static void begin_scarcity(int n) {
  allocations_left = n;
}

static bool end_scarcity(void) {
  bool struck = allocations_left == 0;
  allocations_left = -1;
  return struck;
}

START_TEST(test_memory) {
  int n = 1;
  while (record_with_fault(n, _i, SQLITE_NOMEM, begin_scarcity, end_scarcity)) n++;
  ck_assert_int_gt(n, 10);
}
END_TEST

/* Creating the database, and folding the log into it when it is closed, syncs and truncates. */
START_TEST(test_open_and_close) {
  Error e = {0};
  plan.fault = (Fault)_i;
  plan.code = _i == FAULT_OPEN   ? SQLITE_CANTOPEN
              : _i == FAULT_SYNC ? SQLITE_IOERR_FSYNC
                                 : SQLITE_FULL;
  for (int n = 1, struck = 1; struck; n++) {
    ck_assert_int_eq(system("rm -f results.db*"), 0);
    Store *store;
    begin_fault(n);
    bool ok = store_open(&store, "results.db", &e);
    struck = end_fault();
    ck_assert_msg(ok || strstr(e.message, "results.db"), "%s", e.message);
    store_close(store);
    store = open_store();
    ck_assert_int_eq(offer(store, 0, LINES, &e), 0);
    begin_fault(n);
    store_close(store);
    struck |= end_fault();
    store = open_store();
    ck_assert_int_eq(check_recorded(store, LINES - 2), LINES - 2);
    store_close(store);
  }
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("faults");
  tcase_add_checked_fixture(tc, make_trial_folder, scratch_teardown);
  tcase_set_timeout(tc, 300);
  tcase_add_loop_test(tc, test_disk, 0, 2 * sizeof faults / sizeof *faults);
  tcase_add_loop_test(tc, test_memory, 0, 2);
  tcase_add_loop_test(tc, test_open_and_close, 0, FAULT_OPEN + 1);
  Suite *suite = suite_create("store faults");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
