#include "harness/facts.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/strings.h"

enum { LINE_MAX_BYTES = 4 << 20 };

void facts_init(Facts *facts) {
  *facts = (Facts){.loss = NAN,
                   .epoch = NAN,
                   .speed = NAN,
                   .gflops_per_image = NAN,
                   .gflops_per_second = NAN,
                   .images_per_second = NAN,
                   .psnr_masked = NAN,
                   .psnr_leaky = NAN,
                   .ssim_composite = NAN,
                   .fill_mean = NAN,
                   .fill_harmonic = NAN};
}

/* A number, or the strings that stand for non-finite ones (all count as NAN here). */
static double number(const json_t *event, const char *key) {
  const json_t *value = json_object_get(event, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static int64_t integer(const json_t *event, const char *key, int64_t missing) {
  const json_t *value = json_object_get(event, key);
  return json_is_integer(value) ? json_integer_value(value) : missing;
}

static void copy_text(char *out, size_t size, const json_t *event, const char *key) {
  const char *text = json_string_value(json_object_get(event, key));
  snprintf(out, size, "%s", text ? text : "");
}

static void take_start(Facts *facts, const json_t *event) {
  facts->starts++;
  facts->steps = integer(event, "steps", 0);
  facts->step = integer(event, "resumed_from", 0);
  facts->gflops_per_image = number(event, "gflops_per_image");
  copy_text(facts->binary_sha256, sizeof facts->binary_sha256, event, "binary_sha256");
  facts->end[0] = facts->error[0] = facts->warning[0] = facts->state_sha256[0] = 0;
  facts->end_code = 0;
}

static void take_baseline(Facts *facts, const json_t *event) {
  const char *name = json_string_value(json_object_get(event, "name"));
  if (name && !strcmp(name, "fill_mean")) facts->fill_mean = number(event, "psnr_masked");
  if (name && !strcmp(name, "fill_harmonic")) facts->fill_harmonic = number(event, "psnr_masked");
}

static void take_end(Facts *facts, const json_t *event) {
  copy_text(facts->end, sizeof facts->end, event, "status");
  copy_text(facts->state_sha256, sizeof facts->state_sha256, event, "state_sha256");
  facts->step = integer(event, "step", facts->step);
  facts->end_code = (int)integer(event, "code", 0);
}

static void take_event(Facts *facts, const char *name, const json_t *event) {
  if (!strcmp(name, "start")) {
    take_start(facts, event);
  } else if (!strcmp(name, "step")) {
    facts->step = integer(event, "step", facts->step);
    facts->epoch = number(event, "epoch");
    facts->loss = number(event, "loss");
    facts->speed = number(event, "images_per_second");
  } else if (!strcmp(name, "eval")) {
    facts->psnr_masked = number(event, "psnr_masked");
    facts->psnr_leaky = number(event, "psnr_leaky");
    facts->ssim_composite = number(event, "ssim_composite");
  } else if (!strcmp(name, "baseline")) {
    take_baseline(facts, event);
  } else if (!strcmp(name, "throughput")) {
    facts->images_per_second = number(event, "images_per_second");
    facts->gflops_per_second = number(event, "gflops_per_second");
  } else if (!strcmp(name, "warning")) {
    copy_text(facts->warning, sizeof facts->warning, event, "message");
  } else if (!strcmp(name, "error")) {
    copy_text(facts->error, sizeof facts->error, event, "message");
  } else if (!strcmp(name, "end")) {
    take_end(facts, event);
  }
}

bool facts_take(Facts *facts, const char *line, size_t length) {
  json_error_t problem;
  json_t *event = json_loadb(line, length, JSON_REJECT_DUPLICATES, &problem);
  const char *name = json_string_value(json_object_get(event, "event"));
  if (name) take_event(facts, name, event);
  json_decref(event);
  return name != NULL;
}

static void take_line(void *user, const char *line, size_t length, uint64_t offset) {
  (void)offset;
  facts_take(user, line, length);
}

void facts_read(Facts *facts, const char *path) {
  Tail tail;
  facts_init(facts);
  tail_open(&tail, path);
  tail_read(&tail, take_line, facts);
  tail_close(&tail);
}

void tail_open(Tail *tail, const char *path) {
  *tail = (Tail){.path = string_copy(path)};
}

void tail_close(Tail *tail) {
  free(tail->path);
  *tail = (Tail){0};
}

/* Hands out the complete lines of bytes[0..length); returns how many bytes that was. */
static size_t hand_out(Tail *tail, const char *bytes, size_t length, TailLine take, void *user,
                       int *lines) {
  size_t at = 0;
  for (;;) {
    const char *end = memchr(bytes + at, '\n', length - at);
    if (!end) break;
    size_t size = (size_t)(end - bytes) - at;
    take(user, bytes + at, size, tail->offset + at);
    ++*lines;
    at += size + 1;
  }
  if (at == 0 && length == LINE_MAX_BYTES) {
    take(user, bytes, length, tail->offset);
    ++*lines;
    at = length;
  }
  return at;
}

int tail_read(Tail *tail, TailLine take, void *user) {
  int lines = 0;
  int fd = open(tail->path, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0 || (uint64_t)info.st_size == tail->seen) goto done;
  tail->seen = (uint64_t)info.st_size;
  char *bytes = need(malloc(LINE_MAX_BYTES));
  for (;;) {
    size_t length = 0;
    ssize_t n = 0;
    while (length < LINE_MAX_BYTES && (n = pread(fd, bytes + length, LINE_MAX_BYTES - length,
                                                 (off_t)(tail->offset + length))) > 0)
      length += (size_t)n;
    size_t taken = hand_out(tail, bytes, length, take, user, &lines);
    tail->offset += taken;
    if (taken == 0 || length < LINE_MAX_BYTES) break;
  }
  free(bytes);
done:
  if (fd >= 0) close(fd);
  return lines;
}
