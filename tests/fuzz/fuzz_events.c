/* Lines of a trial's event files into the database: whatever they hold, a line is taken or refused
 * with a message, and the database stays usable. The first byte says which file the lines are of;
 * what they did is rolled back after each input. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/store/internal.h"
#include "mae/base/io.h"
#include "tests/fuzz/fuzz.h"

static char folder[] = "/tmp/fuzz_events-XXXXXX";
static Store *store;
static int64_t trial;

static void require(bool ok, const Error *e) {
  if (ok) return;
  fprintf(stderr, "%s\n", e->message);
  abort();
}

static void clean_up(void) {
  Error e;
  store_close(store);
  io_remove(folder, &e);
}

static void put(const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "wb");
  fputs(text, f);
  fclose(f);
}

static void create_store(void) {
  char path[256];
  Error e = {0};
  int64_t sweep;
  if (!mkdtemp(folder)) abort();
  snprintf(path, sizeof path, "%s/sweep/trial", folder);
  require(io_make_folders(path, &e), &e);
  put("sweep/sweep.json",
      "{\"format\":1,\"experiment\":\"sweep\",\"name\":\"n\",\"scale\":\"\",\"question\":\"\","
      "\"expected\":\"\",\"source\":\"\",\"x\":\"\",\"ini\":\"\",\"created\":1.5,\"trials\":[]}");
  put("sweep/trial/trial.json",
      "{\"format\":1,\"id\":1,\"experiment\":\"sweep\",\"config_hash\":"
      "\"7e470bdfd4905f3b2b9dfb6c02e3fc448b64291ace1d044782de9807f165dfd6\",\"seed\":1,"
      "\"created\":1.5,\"swept\":{}}");
  put("sweep/trial/config.ini", "[run]\nseed = 1\n");
  snprintf(path, sizeof path, "%s/results.db", folder);
  require(store_open(&store, path, &e), &e);
  snprintf(path, sizeof path, "%s/sweep", folder);
  require(store_add_sweep(store, path, &sweep, &e), &e);
  snprintf(path, sizeof path, "%s/sweep/trial", folder);
  require(store_add_trial(store, sweep, path, &trial, &e), &e);
  /* The corpus has starts of a configuration "h". */
  if (sqlite3_exec(store->db, "UPDATE trial SET config_hash = 'h'", NULL, NULL, NULL)) abort();
  atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const files[] = {"events.jsonl", "launches.jsonl", "verify-1.jsonl"};
  if (!store) create_store();
  if (!size) return 0;
  const char *file = files[data[0] % 3], *text = (const char *)data;
  Error e = {0};
  require(store_begin(store, &e), &e);
  for (size_t at = 1; at < size;) {
    const char *end = memchr(text + at, '\n', size - at);
    size_t length = end ? (size_t)(end - text) - at : size - at;
    Error problem = {0};
    fuzz_check(store_ingest(store, trial, file, at, text + at, length, &problem), &problem);
    at += length + 1;
  }
  if (sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK) abort();
  return 0;
}
