/* rapl.c - finds the counters of packages and their memory, and adds up how far they went. */
#include "mae/machine/rapl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than any zone takes: a counter that seems to have begun anew and would have taken more was
 * reset instead. A counter moves about every millisecond, also between two readings that follow
 * each other at once. */
static const double watts_max = 5000, tick_max = 0.01;

/* A file of one line, without its end. */
static bool read_line(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
  int problem = errno;
  if (fd >= 0) close(fd);
  text[n > 0 ? n : 0] = 0;
  text[strcspn(text, "\n")] = 0;
  errno = problem;
  return n >= 0;
}

static bool read_number(const char *path, uint64_t *value, char *problem, size_t size) {
  char text[64], *end = text;
  if (!read_line(path, text, sizeof text)) {
    snprintf(problem, size, "%s: %s", path, strerror(errno));
    return false;
  }
  *value = strtoull(text, &end, 10);
  if (end != text && !*end && *text != '-') return true;
  snprintf(problem, size, "%s: no number", path);
  return false;
}

/* "intel-rapl:N" is a package, or "psys", which holds them all; "intel-rapl:N:M" a part of one. AMD
 * has the same names. What else there is ("intel-rapl-mmio:N") shows the same counters again. */
static bool is_counted(const char *root, const char *entry) {
  char path[RAPL_PATH_MAX], name[64];
  int package, part, end = 0;
  bool whole = sscanf(entry, "intel-rapl:%d%n", &package, &end) == 1 && !entry[end];
  if (!whole && (sscanf(entry, "intel-rapl:%d:%d%n", &package, &part, &end) != 2 || entry[end]))
    return false;
  if ((size_t)snprintf(path, sizeof path, "%s/%s/name", root, entry) >= sizeof path) return false;
  if (!read_line(path, name, sizeof name)) return false;
  return whole ? !strncmp(name, "package", 7) : !strcmp(name, "dram");
}

static bool add_zone(Rapl *rapl, const char *root, const char *entry, char *problem, size_t size) {
  RaplZone *zone = &rapl->zones[rapl->count];
  size_t room = sizeof zone->path;
  if (rapl->count == RAPL_ZONES_MAX) {
    snprintf(problem, size, "%s: more than %d zones", root, RAPL_ZONES_MAX);
    return false;
  }
  if ((size_t)snprintf(zone->path, room, "%s/%s/max_energy_range_uj", root, entry) >= room ||
      !read_number(zone->path, &zone->range, problem, size))
    return false;
  if ((size_t)snprintf(zone->path, room, "%s/%s/energy_uj", root, entry) >= room ||
      !read_number(zone->path, &zone->last, problem, size))
    return false;
  rapl->count++;
  return true;
}

bool rapl_open(Rapl *rapl, const char *root, double now, char *problem, size_t size) {
  struct dirent *entry;
  bool ok = true;
  rapl->count = 0;
  rapl->read = now;
  snprintf(problem, size, "%s has no processor's counter (intel-rapl:N)", root);
  DIR *folder = opendir(root);
  if (!folder) return false;
  while (ok && (entry = readdir(folder)))
    if (is_counted(root, entry->d_name)) ok = add_zone(rapl, root, entry->d_name, problem, size);
  closedir(folder);
  return ok && rapl->count > 0;
}

bool rapl_read(Rapl *rapl, double now, double *joules, char *problem, size_t size) {
  double sum = 0;
  for (int i = 0; i < rapl->count; i++) {
    RaplZone *zone = &rapl->zones[i];
    uint64_t value;
    if (!read_number(zone->path, &value, problem, size)) return false;
    bool anew = value < zone->last;
    double taken = anew ? (double)zone->range - (double)zone->last + (double)value
                        : (double)(value - zone->last);
    if (anew && (taken < 0 || taken * 1e-6 > watts_max * (now - rapl->read + tick_max))) {
      snprintf(problem, size, "%s: the counter was reset", zone->path);
      return false;
    }
    zone->last = value;
    sum += taken * 1e-6;
  }
  rapl->read = now;
  *joules = sum;
  return true;
}
