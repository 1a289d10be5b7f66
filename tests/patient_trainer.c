/* patient_trainer: the program `mae` that takes its time over every line of events, so that a short
 * training lasts several sessions on any machine. Its numbers are those of `mae`. */
#include <string.h>
#include <unistd.h>

#include "mae/base/io.h"

static int wait_a_little(void *user, IoCall call, const char *path, size_t *size) {
  static const char name[] = "events.jsonl";
  size_t length = strlen(path);
  (void)user, (void)size;
  if (call == IO_WRITE && length > sizeof name && !strcmp(path + length - sizeof name + 1, name))
    usleep(30000);
  return 0;
}

__attribute__((constructor)) static void be_patient(void) {
  io_set_fault(wait_a_little, NULL);
}
