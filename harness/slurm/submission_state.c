/* submission_state.c - how far submissions are: what their tasks noted, and what Slurm's queue
 * says. Either alone will do: a task that has not begun has noted nothing, and one that has ended
 * is not in the queue. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "harness/slurm/slurm.h"
#include "harness/slurm/submission.h"
#include "harness/trial/found.h"
#include "mae/base/clock.h"
#include "mae/record/event_line.h"

/* In the order in which they are printed. */
typedef enum State {
  STATE_RUNNING,
  STATE_QUEUED,
  STATE_REQUEUED, /* its time was over; it waits again */
  STATE_DONE,
  STATE_ENDED,   /* with another exit code than 0 */
  STATE_STOPPED, /* it was told to end: scancel, or another job took the place */
  STATE_GONE,    /* it has not ended, and Slurm does not know it any more */
  STATES
} State;

static const char *const state_names[STATES] = {"running", "queued",  "requeued", "done",
                                                "failed",  "stopped", "gone"};

typedef struct Found {
  json_t *record;
  char *folder, *name;        /* "results/slurm/3", "3" */
  const char *array, *import; /* "": not submitted */
  int *parts, count;
  State *states, import_state;
  const char *reasons[STATES], *import_reason; /* why the first of them waits; NULL: it does not */
  bool queued;                                 /* something of it is in the queue */
} Found;

typedef struct SlurmQueue {
  bool known;
  StringList jobs; /* slurm_queue */
} SlurmQueue;

/* ---- One job ---- */

/* What the job's last line says; false when it has not begun. */
static bool read_note(const char *folder, const char *name, State *state) {
  char line[256], word[32] = "", *path = string_format("%s/%s.state", folder, name);
  int code = 0;
  FILE *file = fopen(path, "r");
  free(path);
  while (file && fgets(line, sizeof line, file)) sscanf(line, "%*s %*s %31s %d", word, &code);
  if (file) fclose(file);
  *state = !strcmp(word, "running")    ? STATE_RUNNING
           : !strcmp(word, "requeued") ? STATE_REQUEUED
           : !strcmp(word, "stopped")  ? STATE_STOPPED
           : code                      ? STATE_ENDED
                                       : STATE_DONE;
  return *word;
}

/* Slurm's word for it; "" when it is not in the queue. */
static const char *queue_word(const SlurmQueue *queue, const char *job) {
  size_t length = strlen(job);
  for (int i = 0; i < queue->jobs.count; i++)
    if (!strncmp(queue->jobs.items[i], job, length) && queue->jobs.items[i][length] == ' ')
      return queue->jobs.items[i] + length + 1;
  return "";
}

static State judge(Found *found, const char *name, const char *job, const SlurmQueue *queue,
                   const char **reason) {
  static const char pending[] = "PENDING ";
  State noted;
  bool begun = read_note(found->folder, name, &noted);
  const char *word = queue_word(queue, job);
  bool waits = !strncmp(word, pending, sizeof pending - 1);
  *reason = waits ? word + sizeof pending - 1 : NULL;
  found->queued |= *word != 0;
  if (begun && (noted == STATE_DONE || noted == STATE_ENDED)) return noted;
  if (!queue->known) return begun ? noted : STATE_QUEUED;
  if (waits) return begun ? STATE_REQUEUED : STATE_QUEUED;
  if (*word) return noted == STATE_STOPPED && begun ? noted : STATE_RUNNING;
  return begun && noted == STATE_STOPPED ? noted : STATE_GONE;
}

static void judge_all(Found *found, const SlurmQueue *queue) {
  for (int i = 0; i < found->count; i++) {
    char *job = string_format("%s_%d", found->array, found->parts[i]);
    char *name = string_format("part-%d", found->parts[i]);
    const char *reason;
    State state = found->states[i] = judge(found, name, job, queue, &reason);
    if (!found->reasons[state]) found->reasons[state] = reason;
    free(name);
    free(job);
  }
  found->import_state = judge(found, "import", found->import, queue, &found->import_reason);
}

/* ---- Reading ---- */

/* Numbers of parts, from 1. */
static bool are_parts(const json_t *tasks) {
  size_t i;
  json_t *part;
  json_array_foreach(tasks, i, part) {
    json_int_t number = json_integer_value(part);
    if (number < 1 || number > SLURM_PARTS_MAX) return false;
  }
  return json_is_array(tasks);
}

static bool read_found(Found *found, const char *out, const char *name) {
  json_error_t problem;
  char *path = string_format("%s/slurm/%s/submission.json", out, name);
  *found = (Found){.record = json_load_file(path, 0, &problem)};
  free(path);
  json_t *tasks = json_object_get(found->record, "tasks");
  if (!are_parts(tasks)) {
    json_decref(found->record);
    return false;
  }
  const char *array = member_text(found->record, "array");
  const char *import = member_text(found->record, "import");
  found->folder = string_format("%s/slurm/%s", out, name);
  found->name = string_copy(name);
  found->array = array ? array : "";
  found->import = import ? import : "";
  found->count = (int)json_array_size(tasks);
  found->parts = need(calloc((size_t)found->count + 1, sizeof *found->parts));
  found->states = need(calloc((size_t)found->count + 1, sizeof *found->states));
  for (int i = 0; i < found->count; i++)
    found->parts[i] = (int)json_integer_value(json_array_get(tasks, (size_t)i));
  return true;
}

static void free_found(Found *found) {
  json_decref(found->record);
  free(found->folder);
  free(found->name);
  free(found->parts);
  free(found->states);
}

/* any_scale: also without its scale, as `harness status` takes names. */
static bool is_of(const Found *found, const char *experiment, bool any_scale) {
  json_t *names = json_object_get(found->record, "experiments"), *name;
  size_t i, length = strlen(experiment);
  json_array_foreach(names, i, name) {
    const char *text = json_string_value(name);
    if (text && !strncmp(text, experiment, length) &&
        (!text[length] || (any_scale && text[length] == '-')))
      return true;
  }
  return false;
}

static int by_number(const void *a, const void *b) {
  return atoi(*(char *const *)a) - atoi(*(char *const *)b);
}

/* All submissions of an --out, in order. */
static int read_all(Found **list, const char *out) {
  StringList names = {0};
  char *folder = string_format("%s/slurm", out);
  int count = 0;
  found_entries(&names, folder, "");
  free(folder);
  if (names.count) qsort(names.items, (size_t)names.count, sizeof *names.items, by_number);
  *list = need(calloc((size_t)names.count + 1, sizeof **list));
  for (int i = 0; i < names.count; i++)
    if (read_found(&(*list)[count], out, names.items[i])) count++;
  strings_free(&names);
  return count;
}

static void free_all(Found *list, int count) {
  for (int i = 0; i < count; i++) free_found(&list[i]);
  free(list);
}

/* Over as far as the folder tells, so that Slurm need not be asked. */
static bool has_come_to_its_end(const Found *found) {
  State state;
  return *found->import && read_note(found->folder, "import", &state) && state == STATE_DONE;
}

static bool ask(SlurmQueue *queue, const Found *list, int count, Error *e) {
  StringList ids = {0};
  *queue = (SlurmQueue){0};
  for (int i = 0; i < count; i++) {
    if (has_come_to_its_end(&list[i]) || !*list[i].array) continue;
    strings_add(&ids, string_copy(list[i].array));
    if (*list[i].import) strings_add(&ids, string_copy(list[i].import));
  }
  queue->known = ids.count == 0 || slurm_queue(&queue->jobs, &ids, e);
  strings_free(&ids);
  return queue->known;
}

/* ---- What is asked of it ---- */

static void add_row(Table *table, const Found *found, const char *state, const char *parts,
                    const char *jobs, const char *reason) {
  json_t *names = json_object_get(found->record, "experiments");
  const char *first = json_string_value(json_array_get(names, 0));
  table_cell(table, "%s", found->folder);
  table_cell(table, "%s%s", first ? first : "?", json_array_size(names) > 1 ? ", ..." : "");
  table_cell(table, "%s", state);
  table_cell(table, "%s", parts);
  table_cell(table, "%s", jobs);
  table_cell(table, "%s", reason ? reason : "-");
}

static void add_rows(Table *table, const Found *found) {
  int most = 0;
  for (int i = 0; i < found->count; i++) most = found->parts[i] > most ? found->parts[i] : most;
  bool *these = need(calloc((size_t)most + 1, sizeof *these));
  for (int s = 0; s < STATES; s++) {
    int count = 0;
    for (int i = 0; i < found->count; i++) {
      these[found->parts[i] - 1] = found->states[i] == (State)s;
      count += found->states[i] == (State)s;
    }
    if (!count) continue;
    char *ranges = submission_array(these, most, 0), *number = string_format("%d", count);
    char *jobs = string_format(strpbrk(ranges, ",-") ? "%s_[%s]" : "%s_%s",
                               *found->array ? found->array : "?", ranges);
    add_row(table, found, state_names[s], number, jobs, found->reasons[s]);
    free(jobs);
    free(ranges);
    free(number);
  }
  free(these);
  if (*found->import)
    add_row(table, found, state_names[found->import_state], "import", found->import,
            found->import_reason);
}

/* What ended otherwise than well and that nobody has submitted again is worth a line. */
static bool is_shown(const Found *found, const SlurmQueue *queue, bool newest) {
  bool well = true;
  for (int i = 0; i < found->count; i++) well &= found->states[i] == STATE_DONE;
  if (has_come_to_its_end(found) && well) return false;
  if (has_come_to_its_end(found) || (queue->known && !found->queued)) return newest;
  return true;
}

void submissions_print(FILE *out, const char *results, const char *experiment) {
  /* --watch draws every two seconds; Slurm is asked less often, for others' sake. */
  static SlurmQueue queue;
  static double asked;
  static Error problem;
  static char *asked_of;
  Found *list;
  int count = read_all(&list, results), shown = 0;
  bool left = false;
  if (count && (!asked_of || strcmp(asked_of, results) != 0 || clock_seconds() > asked + 10)) {
    strings_free(&queue.jobs);
    free(asked_of);
    asked_of = string_copy(results);
    problem = (Error){0};
    ask(&queue, list, count, &problem);
    asked = clock_seconds();
  }
  Table table = {.columns = 6};
  static const char *const headings[] = {"slurm", "experiment", "state",
                                         "parts", "jobs",       "waits for"};
  for (int i = 0; i < table.columns; i++) table_cell(&table, "%s", headings[i]);
  for (int i = 0; i < count; i++) {
    Found *found = &list[i];
    judge_all(found, &queue);
    if ((experiment && !is_of(found, experiment, true)) || !is_shown(found, &queue, i == count - 1))
      continue;
    add_rows(&table, found);
    for (int p = 0; p < found->count; p++) left |= found->states[p] >= STATE_ENDED;
    shown++;
  }
  if (shown) {
    fputc('\n', out);
    table_print(&table, out);
    if (!queue.known)
      fprintf(out, "Slurm cannot be asked (%s); this is what the tasks noted\n", problem.message);
    if (left)
      fputs(
          "failed, stopped or gone: the part's log in that folder says more; the same `harness run "
          "--slurm` submits what is left\n",
          out);
  }
  table_free(&table);
  free_all(list, count);
}

char *submission_still_queued(const char *out, const StringList *experiments) {
  Found *list;
  SlurmQueue queue;
  char *job = NULL;
  int count = read_all(&list, out);
  ask(&queue, list, count, NULL);
  for (int i = 0; i < count && !job; i++) {
    bool same = false;
    for (int n = 0; n < experiments->count; n++)
      same |= is_of(&list[i], experiments->items[n], false);
    judge_all(&list[i], &queue);
    bool waits = false;
    for (int p = 0; p < list[i].count; p++) waits |= list[i].states[p] <= STATE_REQUEUED;
    if (same && waits && list[i].queued) job = string_copy(list[i].array);
  }
  strings_free(&queue.jobs);
  free_all(list, count);
  return job;
}
