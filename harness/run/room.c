/* room.c - what a plan needs beside what there is. */
#include "harness/run/room.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "mae/base/io.h"

bool room_writable(const char *out, Error *e) {
  char *probe = string_format("%s/.writable-%d", out, (int)getpid());
  bool ok = io_make_folders(out, e);
  int fd = ok ? io_create(probe, e) : -1;
  if (fd >= 0) {
    close(fd);
    unlink(probe);
  }
  free(probe);
  return fd >= 0 ||
         error_suffix(e,
                      "--out must be a folder that can be written to; results that lie where "
                      "nothing can be written are continued with --from DIR, in another --out and "
                      "--db");
}

void room_plan(Room *room, const struct Job *jobs, int count, const char *sweep_folder,
               int at_once) {
  *room = (Room){.at_once = at_once > 0 ? at_once : 1};
  disk_plan(&room->plan, jobs, count, sweep_folder, 1);
  room->least = room->plan.peak;
  if (room->at_once > 1) disk_plan(&room->plan, jobs, count, sweep_folder, room->at_once);
}

void room_say(FILE *out, const Room *room) {
  char there[DISK_TEXT_MAX], peak[DISK_TEXT_MAX], least[DISK_TEXT_MAX], kept[DISK_TEXT_MAX];
  const DiskPlan *plan = &room->plan;
  fprintf(out, "disk: %s there now, at most %s on the way with %d trial%s at a time",
          disk_text(there, plan->there), disk_text(peak, plan->peak), room->at_once,
          room->at_once == 1 ? "" : "s");
  if (room->at_once > 1) fprintf(out, " (%s with one)", disk_text(least, room->least));
  fprintf(out, ", %s in the end\n", disk_text(kept, plan->kept));
}

static const char advice[] =
    "`harness clean` frees room, run.keep (encoder, none) keeps less of a trial";

bool room_check(const Room *room, const char *experiment, const char *out, double limit, Error *e) {
  char need[DISK_TEXT_MAX], have[DISK_TEXT_MAX], there[DISK_TEXT_MAX], kept[DISK_TEXT_MAX];
  const DiskPlan *plan = &room->plan;
  double available = disk_free(out), most = limit > 0 ? room->least : plan->peak;
  if (limit > 0 && room->least > limit)
    return error_set(e, EXIT_DISK,
                     "%s does not fit: it needs up to %s (%s in the end), --disk-limit allows %s, "
                     "and %s of that is there already; %s",
                     experiment, disk_text(need, room->least), disk_text(kept, plan->kept),
                     disk_text(have, limit), disk_text(there, plan->there), advice);
  if (limit > 0 && plan->peak > limit)
    fprintf(stderr, "note: near --disk-limit fewer than %d trials run at a time\n", room->at_once);
  if (!isnan(available) && most - plan->there > available)
    fprintf(stderr, "warning: %s needs up to %s more on the disk of %s, which has %s free; %s\n",
            experiment, disk_text(need, most - plan->there), out, disk_text(have, available),
            advice);
  return true;
}
