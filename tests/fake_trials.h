/* fake_trials.h - folders of made-up trials as the harness and the trainer write them, and a look
 * into the database that took them in. Included by test programs only. */
#ifndef TESTS_FAKE_TRIALS_H
#define TESTS_FAKE_TRIALS_H

#include <math.h>
#include <sqlite3.h>

#include "harness/store/internal.h"
#include "mae/config/config.h"
#include "tests/scratch.h"

/* Folders as the harness and the trainer write them ---------------------------------------------*/

__attribute__((format(printf, 1, 2))) static inline const char *at(const char *format, ...) {
  static char paths[8][512];
  static int next;
  char *path = paths[next++ % 8];
  va_list args;
  va_start(args, format);
  int n = snprintf(path, sizeof *paths, "%s/", scratch);
  vsnprintf(path + n, sizeof *paths - (size_t)n, format, args);
  va_end(args);
  return path;
}

__attribute__((format(printf, 2, 3))) static inline void write_file(const char *path,
                                                                    const char *format, ...) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  va_list args;
  va_start(args, format);
  vfprintf(file, format, args);
  va_end(args);
  fclose(file);
}

typedef struct Fake { /* a trial of a made-up experiment */
  int id;
  double ratio;
  int seed;
  double psnr;
} Fake;

/* config.ini of a trial, as far as the store reads it. */
static inline const char *fake_config(const Fake *fake) {
  static char text[512];
  snprintf(text, sizeof text,
           "[model]\nencoder = 192x6x3\ndecoder = 96x2x3\npos_embed = sincos2d\n"
           "[train]\nmask_ratio = %g\nmask = random\nprecision = fp32\n"
           "[eval]\nseed = 1\n[run]\nseed = %d\ndevice = auto\n",
           fake->ratio, fake->seed);
  return text;
}

static inline const char *fake_hash(const Fake *fake) {
  static char hash[65];
  const char *text = fake_config(fake);
  IniFile ini;
  Error e = {0};
  ck_assert_msg(ini_parse(&ini, "config.ini", text, strlen(text), &e), "%s", e.message);
  config_hash_file(&ini, hash);
  ini_free(&ini);
  return hash;
}

static inline const char *fake_folder(const char *experiment, const Fake *fake) {
  return at("results/%s/r%g-s%d", experiment, fake->ratio, fake->seed);
}

static inline void write_sweep(const char *experiment, double created, const Fake *fakes,
                               int count) {
  mkdir(at("results"), 0777);
  mkdir(at("results/%s", experiment), 0777);
  FILE *file = fopen(at("results/%s/sweep.json", experiment), "w");
  fprintf(file,
          "{\"format\":1,\"experiment\":\"%s\",\"name\":\"mask_ratio\",\"scale\":\"cpu\","
          "\"question\":\"Which?\",\"expected\":\"This.\",\"source\":\"There.\","
          "\"x\":\"train.mask_ratio\",\"ini\":\"[sweep]\\n\",\"created\":%.3f,\"trials\":[",
          experiment, created);
  for (int i = 0; i < count; i++) fprintf(file, "%s\"%s\"", i ? "," : "", fake_hash(&fakes[i]));
  fprintf(file, "]}\n");
  fclose(file);
}

static inline void write_trial(const char *experiment, const Fake *fake) {
  const char *to = fake_folder(experiment, fake);
  mkdir(to, 0777);
  write_file(at("%s/trial.json", to + strlen(scratch) + 1),
             "{\"format\":1,\"id\":%d,\"experiment\":\"%s\",\"config_hash\":\"%s\",\"seed\":%d,"
             "\"created\":%d.5,\"swept\":{\"train.mask_ratio\":\"%g\",\"run.seed\":\"%d\"}}\n",
             fake->id, experiment, fake_hash(fake), fake->seed, 1000 + fake->id, fake->ratio,
             fake->seed);
  write_file(at("%s/config.ini", to + strlen(scratch) + 1), "%s", fake_config(fake));
}

/* One event line into the file and, when a store is given, into the database. */
__attribute__((format(printf, 5, 6))) static inline void
event(Store *store, int64_t trial, const char *to, const char *name, const char *format, ...) {
  char path[600], line[4096];
  snprintf(path, sizeof path, "%s/%s", to, name);
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  FILE *file = fopen(path, "a");
  ck_assert_ptr_nonnull(file);
  fseek(file, 0, SEEK_END);
  uint64_t offset = (uint64_t)ftell(file);
  fprintf(file, "%s\n", line);
  fclose(file);
  Error e = {0};
  if (store)
    ck_assert_msg(store_ingest(store, trial, name, offset, line, strlen(line), &e), "%s",
                  e.message);
}

#define EVENTS "events.jsonl"
#define LAUNCHES "launches.jsonl"

/* The hash that the folder's trial.json names; "c" without one. */
static inline const char *hash_in(const char *to) {
  static char hash[65];
  char path[600], text[2048] = "";
  snprintf(path, sizeof path, "%s/trial.json", to);
  FILE *file = fopen(path, "r");
  if (file) {
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
  }
  const char *found = strstr(text, "\"config_hash\":\"");
  if (!found || sscanf(found, "\"config_hash\":\"%64[^\"]", hash) != 1) strcpy(hash, "c");
  return hash;
}

/* What a start event has beside what each has: ",\"name\":value". */
static const char *fake_start_more = "";

static inline void start(Store *store, int64_t trial, const char *to, int attempt, int resumed) {
  event(store, trial, to, LAUNCHES,
        "{\"event\":\"launch\",\"time\":%d,\"launch\":%d,\"pid\":%d,\"device\":\"cpu\","
        "\"host\":\"here\"}",
        2000 + attempt, attempt, 40 + attempt);
  event(store, trial, to, EVENTS,
        "{\"event\":\"start\",\"time\":%d,\"format\":1,\"provenance\":{\"version\":\"1\","
        "\"cpu\":\"Test\",\"gpu\":null,\"threads\":2},\"config\":\"\",\"config_hash\":\"%s\","
        "\"binary_sha256\":\"b%d\",\"steps\":4,\"steps_per_epoch\":2.5,\"resumed_from\":%d,"
        "\"params_encoder\":100,\"params_decoder\":20,\"gflops_per_image\":0.25,\"dataset\":"
        "{\"source\":\"shapes\",\"sha256\":\"d\",\"train_images\":9,\"eval_images\":4,"
        "\"skipped\":0},\"memory_planned_bytes\":4096,\"pid\":%d,\"attempt\":%d%s}",
        2000 + attempt, hash_in(to), attempt, resumed, 40 + attempt, attempt, fake_start_more);
}

static inline void step(Store *store, int64_t trial, const char *to, int step, const char *loss) {
  event(store, trial, to, EVENTS,
        "{\"event\":\"step\",\"time\":%d.25,\"step\":%d,\"epoch\":0.4,\"loss\":%s,\"lr\":0.001,"
        "\"grad_norm\":1.5,\"loss_scale\":1,\"seconds\":0.1,\"images_per_second\":320}",
        2100 + step, step, loss);
}

static inline void eval(Store *store, int64_t trial, const char *to, int step, double psnr) {
  char number[40];
  snprintf(number, sizeof number, isnan(psnr) ? "\"nan\"" : "%.17g", psnr);
  event(store, trial, to, EVENTS,
        "{\"event\":\"eval\",\"time\":2200,\"step\":%d,\"images\":4,\"loss\":0.5,"
        "\"psnr_masked\":%s,\"psnr_masked_pooled\":17,\"psnr_composite\":19,"
        "\"psnr_composite_pooled\":18,\"psnr_full\":17,\"psnr_full_pooled\":16,"
        "\"ssim_composite\":0.7,\"ssim_full\":0.6,\"perfect\":0}",
        step, number);
}

static inline void finish(Store *store, int64_t trial, const char *to, int attempt,
                          const char *status) {
  event(store, trial, to, EVENTS,
        "{\"event\":\"end\",\"time\":2300,\"status\":\"%s\",\"step\":4,\"code\":0,"
        "\"wall_seconds\":12.5,\"state_sha256\":\"s\"}",
        status);
  event(store, trial, to, LAUNCHES,
        "{\"event\":\"exit\",\"time\":2301,\"launch\":%d,\"code\":0,\"signal\":null,"
        "\"status\":\"%s\",\"error\":\"\"}",
        attempt, status);
}

/* A whole trial that went well. */
static inline void run_trial(Store *store, int64_t trial, const char *to, const Fake *fake) {
  start(store, trial, to, 1, 0);
  event(store, trial, to, EVENTS,
        "{\"event\":\"baseline\",\"time\":2050,\"name\":\"fill_mean\",\"images\":4,"
        "\"psnr_masked\":12.5,\"psnr_composite\":13.75,\"ssim_composite\":0.4}");
  for (int i = 1; i <= 4; i++) step(store, trial, to, i, "0.75");
  eval(store, trial, to, 4, fake->psnr);
  event(store, trial, to, EVENTS,
        "{\"event\":\"artifact\",\"time\":2240,\"kind\":\"sheet\",\"path\":\"sheet.png\","
        "\"sha256\":\"s\",\"bytes\":99}");
  event(store, trial, to, EVENTS,
        "{\"event\":\"throughput\",\"time\":2250,\"images_per_second\":%d,"
        "\"step_seconds_median\":0.1,\"step_seconds_p10\":0.09,\"step_seconds_p90\":0.2,"
        "\"gflops_per_second\":110,\"steps\":3,\"warmup_steps\":1,"
        "\"peak_memory_bytes\":2097152}",
        300 + fake->seed);
  finish(store, trial, to, 1, "done");
}

/* Looking into the database ---------------------------------------------------------------------*/

static inline Store *open_db(const char *path) {
  Store *store = NULL;
  Error e = {0};
  ck_assert_msg(store_open(&store, path, &e), "%s", e.message);
  return store;
}

/* The rows of a query, values separated by | and rows by newlines. */
static inline char *rows(sqlite3 *db, const char *sql) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  sqlite3_stmt *statement = NULL;
  ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql,
                sqlite3_errmsg(db));
  while (sqlite3_step(statement) == SQLITE_ROW)
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
      const char *cell = (const char *)sqlite3_column_text(statement, i);
      fprintf(out, "%s%s", i ? "|" : ftell(out) ? "\n" : "", cell ? cell : "NULL");
    }
  sqlite3_finalize(statement);
  fclose(out);
  return text;
}

static inline void expect(Store *store, const char *sql, const char *wanted) {
  char *got = rows(store->db, sql);
  ck_assert_str_eq(got, wanted);
  free(got);
}

/* Every row of every table, in the order of the primary key. */
static inline char *dump(Store *store) {
  char *names = rows(store->db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1");
  char *text = NULL, *save = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT * FROM %s", name);
    char *content = rows(store->db, sql);
    fprintf(out, "%s\n%s\n", name, content);
    free(content);
  }
  free(names);
  fclose(out);
  return text;
}

static const Fake fakes[] = {{1, 0.5, 1, 21.0},  {2, 0.5, 2, 21.5},   {3, 0.5, 3, 22.25},
                             {4, 0.75, 1, 18.0}, {5, 0.75, 2, 18.75}, {6, 0.75, 3, 19.0}};
enum { FAKES = sizeof fakes / sizeof *fakes };

/* A database with the sweep added and no event yet; ids in trial[]. */
static inline Store *open_sweep(int64_t trial[FAKES]) {
  Error e = {0};
  int64_t sweep = 0;
  write_sweep("m-cpu", 900, fakes, FAKES);
  Store *store = open_db(at("results/results.db"));
  ck_assert_msg(store_add_sweep(store, at("results/m-cpu"), &sweep, &e), "%s", e.message);
  for (int i = 0; i < FAKES; i++) {
    write_trial("m-cpu", &fakes[i]);
    ck_assert_msg(store_add_trial(store, sweep, fake_folder("m-cpu", &fakes[i]), &trial[i], &e),
                  "%s", e.message);
    ck_assert_int_eq(trial[i], fakes[i].id);
  }
  return store;
}

static inline Store *open_finished_sweep(int64_t trial[FAKES]) {
  Store *store = open_sweep(trial);
  for (int i = 0; i < FAKES; i++)
    run_trial(store, trial[i], fake_folder("m-cpu", &fakes[i]), &fakes[i]);
  return store;
}

static inline Store *import_into(const char *path, int *trials) {
  Error e = {0};
  Store *store = open_db(path);
  ck_assert_msg(store_import(store, at("results"), trials, &e), "%s", e.message);
  return store;
}

#endif
