/* eager_trainer: the program `mae` that says of every part of a long job that it is done, where the
 * program says so after half a minute of silence. The variable is set before main begins. */
#include "mae/train/report.h"

__attribute__((constructor)) static void be_eager(void) {
  report_work_seconds = 0.0;
}
