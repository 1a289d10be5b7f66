/* no_archives.c - in place of archives.c where libarchive was not there at build time. */
#include "mae/data/archives.h"

const char *archives_library(void) {
  return "";
}

Archives *archives_list(NameList *names, bool mounted, PassedOver *passed,
                        const ProgressListener *progress, Error *e) {
  (void)mounted;
  (void)passed;
  (void)progress;
  error_set(e, EXIT_DATA,
            "%s: this program was built without libarchive and reads no archives: unpack it, or "
            "install libarchive (Debian: libarchive-dev) and build again",
            names->names[0]);
  names_free(names);
  return NULL;
}

bool archives_unpack(Archives *all, const char *scratch, const ProgressListener *progress,
                     Error *e) {
  (void)all;
  (void)scratch;
  (void)progress;
  return error_set(e, EXIT_DATA, "this program was built without libarchive");
}
