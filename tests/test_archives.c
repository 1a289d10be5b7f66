/* Archives: what is in a zip or tar file has the content of the folder it was made of, and one that
 * is damaged or means harm is named and refused. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>

#include "mae/base/io.h"
#include "mae/data/archives.h"
#include "tests/data_sets.h"
#include "tests/oracle.h"

/* Writing archives ----------------------------------------------------------------------------*/

typedef struct archive Writer;

/* By the ending of its name: .zip, .tar or .tar.gz. */
static Writer *begin_archive(const char *name) {
  char path[PATH_SIZE];
  Writer *writer = archive_write_new();
  if (strstr(name, ".zip")) {
    archive_write_set_format_zip(writer);
  } else {
    archive_write_set_format_pax_restricted(writer);
    archive_write_set_bytes_in_last_block(writer, 1);
  }
  if (strstr(name, ".gz")) archive_write_add_filter_gzip(writer);
  ck_assert_msg(archive_write_open_filename(writer, in_folder(path, name)) == ARCHIVE_OK, "%s",
                archive_error_string(writer));
  return writer;
}

static void add_entry(Writer *writer, const char *name, const void *bytes, size_t size) {
  struct archive_entry *entry = archive_entry_new();
  archive_entry_set_pathname(entry, name);
  archive_entry_set_size(entry, (la_int64_t)size);
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  ck_assert_msg(archive_write_header(writer, entry) >= ARCHIVE_WARN, "%s",
                archive_error_string(writer));
  for (size_t at = 0; bytes && at < size;) {
    la_ssize_t n = archive_write_data(writer, (const char *)bytes + at, size - at);
    ck_assert_int_gt(n, 0);
    at += (size_t)n;
  }
  archive_entry_free(entry);
}

static void end_archive(Writer *writer) {
  ck_assert_int_eq(archive_write_close(writer), ARCHIVE_OK);
  archive_write_free(writer);
}

/* Adds the files below the test's FOLDER under PREFIX, in the order of the disk. */
static void add_folder(Writer *writer, const char *folder, const char *prefix) {
  char full[2 * PATH_SIZE + 64], path[PATH_SIZE + 256], name[2 * PATH_SIZE];
  snprintf(full, sizeof full, "%s/%s", test_folder, folder);
  DIR *dir = opendir(full);
  ck_assert_ptr_nonnull(dir);
  for (struct dirent *entry; (entry = readdir(dir));) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    snprintf(name, sizeof name, "%s%s", prefix, entry->d_name);
    if (entry->d_type == DT_DIR) {
      strcat(name, "/");
      add_folder(writer, path, name);
      continue;
    }
    static char bytes[1 << 20];
    snprintf(full, sizeof full, "%s/%s", test_folder, path);
    FILE *file = fopen(full, "rb");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    add_entry(writer, name, bytes, size);
  }
  closedir(dir);
}

static void archive_folder(const char *archive, const char *folder, const char *prefix) {
  Writer *writer = begin_archive(archive);
  add_folder(writer, folder, prefix);
  end_archive(writer);
}

static void set_path(const char *name) {
  char path[PATH_SIZE];
  set("data.path", in_folder(path, name));
}

/* What packing leaves in the cache beside packs. */
static int leftovers(void) {
  char path[PATH_SIZE];
  int count = 0;
  DIR *dir = opendir(in_folder(path, "cache"));
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    count += strstr(entry->d_name, ".tmp") || strstr(entry->d_name, ".lock");
  if (dir) closedir(dir);
  return count;
}

/* The same content ----------------------------------------------------------------------------*/

static const char *const kinds[] = {"x.zip", "x.tar", "x.tar.gz"};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Files as they are encoded, too. */
START_TEST(encoded_files_of_an_archive) {
  char folder[65], archived[65], files[65];
  make_published();
  set("data.pack", "jpeg");
  open_data();
  ck_assert(data.encoded);
  strcpy(files, data.content_sha256);
  data_close(&data);
  content_hash(folder);
  archive_folder(kinds[_i], "images", "tiny-imagenet-200/");
  set_path(kinds[_i]);
  content_hash(archived);
  ck_assert_str_eq(archived, folder);
  open_data();
  ck_assert_str_eq(data.content_sha256, files);
}
END_TEST

START_TEST(tiny_imagenet_in_an_archive) {
  char folder[65], archived[65];
  make_published();
  shell("touch images/train/.DS_Store images/val/images/%s", "._val_0.JPEG");
  content_hash(folder);
  archive_folder(kinds[_i], "images", "tiny-imagenet-200/");
  set_path(kinds[_i]);
  content_hash(archived);
  ck_assert_str_eq(archived, folder);
  ck_assert_int_eq(leftovers(), 0);
  shell("rm -r %s", "images"); /* the pack serves; counting does not read the archive either */
  DataCounts counts;
  ck_assert_msg(data_count(&config, &counts, NULL, &error), "%s", error.message);
  ck_assert_int_eq(counts.train, 6);
  ck_assert_int_eq(counts.eval, 12);
  ck_assert_int_eq(counts.classes, 3);
  content_hash(archived);
  ck_assert_str_eq(archived, folder);
}
END_TEST

START_TEST(counts_are_those_of_the_folder) {
  DataCounts folder, archived;
  make_published();
  ck_assert_msg(data_count(&config, &folder, NULL, &error), "%s", error.message);
  archive_folder(kinds[_i], "images", "");
  set_path(kinds[_i]);
  ck_assert_msg(data_count(&config, &archived, NULL, &error), "%s", error.message);
  ck_assert_mem_eq(&archived, &folder, sizeof folder);
}
END_TEST

static size_t told; /* how often the listing was */

static void hear_listing(void *user, const char *what, size_t done, size_t total) {
  (void)user;
  if (strcmp(what, "listing archives, bytes") != 0) return;
  ck_assert_uint_lt(done, total);
  told++;
}

/* Of a large archive that takes long, before a byte is packed. */
START_TEST(listing_is_told) {
  DataCounts counts;
  const ProgressListener listener = {hear_listing, NULL};
  make_published();
  archive_folder(kinds[_i], "images", "");
  set_path(kinds[_i]);
  told = 0;
  ck_assert_msg(data_count(&config, &counts, &listener, &error), "%s", error.message);
  ck_assert_uint_ge(told, (size_t)(counts.train + counts.eval));
}
END_TEST

START_TEST(imagefolder_in_an_archive_with_names_of_all_kinds) {
  char folder[65], archived[65], name[300];
  set("data.source", "imagefolder");
  shell("mkdir -p 'images/train/Kätzchen ☃' images/train/dog/a images/val/%s", "dog");
  write_png("images/train/Kätzchen ☃/ä b.png", 0, 9, 7);
  snprintf(name, sizeof name, "images/train/dog/%0200d.png", 1);
  write_png(name, 1, 16, 16);
  write_png("images/train/dog/a/a.png", 2, 5, 31);
  write_png("images/train/dog/c.png", 3, 5, 31);
  write_text("images/train/dog/d.webp", "");
  write_png("images/val/dog/x.png", 4, 8, 8);
  write_png("images/val/dog/y.png", 5, 8, 8);
  open_data();
  char passed[PASSED_TEXT];
  strcpy(passed, data.passed_over);
  data_close(&data);
  content_hash(folder);
  archive_folder(kinds[_i], "images", "./");
  set_path(kinds[_i]);
  open_data();
  ck_assert_str_eq(data.sha256, folder);
  ck_assert_str_eq(data.passed_over, passed);
  data_close(&data);
  set("data.holdout", "0.5");
  content_hash(archived);
  set_path("images");
  content_hash(folder);
  ck_assert_str_eq(archived, folder);
}
END_TEST

/* Sets the flag that says that names are UTF-8, as most programs do. */
static void flag_names_as_utf8(const char *name) {
  static unsigned char bytes[1 << 20];
  char path[PATH_SIZE];
  FILE *file = fopen(in_folder(path, name), "r+b");
  ck_assert_ptr_nonnull(file);
  size_t size = fread(bytes, 1, sizeof bytes, file);
  for (size_t i = 0; i + 10 < size; i++) {
    if (!memcmp(bytes + i, "PK\3\4", 4)) bytes[i + 7] |= 8;
    if (!memcmp(bytes + i, "PK\1\2", 4)) bytes[i + 9] |= 8;
  }
  rewind(file);
  ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

START_TEST(a_zip_that_says_its_names_are_utf8) {
  char folder[65], archived[65];
  set("data.source", "imagefolder");
  shell("mkdir -p 'images/train/Kätzchen ☃' images/val/%s", "dog");
  write_png("images/train/Kätzchen ☃/ä b.png", 0, 9, 7);
  write_png("images/val/dog/x.png", 4, 8, 8);
  content_hash(folder);
  archive_folder("x.zip", "images", "");
  flag_names_as_utf8("x.zip");
  set_path("x.zip");
  content_hash(archived);
  ck_assert_str_eq(archived, folder);
}
END_TEST

START_TEST(cifar_in_an_archive) {
  char folder[65], archived[65];
  make_cifar10();
  content_hash(folder);
  archive_folder(kinds[_i], "images", "");
  set_path(kinds[_i]);
  content_hash(archived);
  ck_assert_str_eq(archived, folder);
}
END_TEST

/* Shards, in one folder and alone, and what they are when unpacked. */
START_TEST(shards_are_what_they_unpack_to) {
  char folder[65], archived[65];
  make_webdataset();
  content_hash(folder);
  shell("mkdir -p %s", "shards");
  archive_folder("shards/set-train-000.tar", "images/set-train-000", "");
  archive_folder("shards/set-train-001.tar", "images/set-train-001", "");
  archive_folder("shards/set-val-000.tar", "images/set-val-000", "");
  write_text("shards/README.md", "");
  set_path("shards");
  content_hash(archived);
  ck_assert_str_eq(archived, folder);
  set("data.holdout", "0.5");
  set_path("shards/set-train-000.tar");
  open_data();
  ck_assert_int_eq(data.train_count, 1);
  ck_assert_int_eq(data.eval_count, 1);
}
END_TEST

/* Under other names, as hard links have them, the same files are another data set. */
START_TEST(names_of_shards_say_what_they_are_for) {
  make_webdataset();
  shell("mkdir -p shards %s", "swapped");
  archive_folder("shards/a-train.tar", "images/set-train-000", "");
  archive_folder("shards/b-val.tar", "images/set-val-000", "");
  shell("ln shards/a-train.tar swapped/a-val.tar && ln shards/b-val.tar swapped/%s", "b-train.tar");
  set_path("shards");
  open_data();
  int train = data.train_count, eval = data.eval_count;
  ck_assert_int_ne(train, eval);
  data_close(&data);
  set_path("swapped");
  open_data();
  ck_assert_int_eq(data.train_count, eval);
  ck_assert_int_eq(data.eval_count, train);
}
END_TEST

START_TEST(the_later_of_two_files_counts) {
  char folder[65], archived[65];
  make_published();
  content_hash(folder);
  Writer *writer = begin_archive("x.tar");
  add_entry(writer, "train/n01443537/images/n01443537_0.JPEG", "old", 3);
  add_folder(writer, "images", "");
  end_archive(writer);
  set_path("x.tar");
  content_hash(archived);
  ck_assert_str_eq(archived, folder);
}
END_TEST

static void add_link(Writer *writer, const char *name, const char *to, bool hard) {
  struct archive_entry *entry = archive_entry_new();
  archive_entry_set_pathname(entry, name);
  if (hard)
    archive_entry_set_hardlink(entry, to);
  else
    archive_entry_set_symlink(entry, to);
  archive_entry_set_filetype(entry, hard ? AE_IFREG : AE_IFLNK);
  ck_assert_int_eq(archive_write_header(writer, entry), ARCHIVE_OK);
  archive_entry_free(entry);
}

START_TEST(hard_links_are_files) {
  char folder[65];
  make_published();
  shell("cd images/train/n01443537/images && cp n01443537_0.JPEG %s.JPEG", "n01443537_00");
  content_hash(folder);
  shell("rm images/train/n01443537/images/%s.JPEG", "n01443537_00");
  Writer *writer = begin_archive("x.tar");
  add_folder(writer, "images", "");
  add_link(writer, "train/n01443537/images/n01443537_00.JPEG",
           "./train/n01443537/images/n01443537_0.JPEG", true);
  add_link(writer, "train/n01443537/images/s.JPEG", "n01443537_0.JPEG", false);
  end_archive(writer);
  set_path("x.tar");
  open_data();
  ck_assert_str_eq(data.sha256, folder);
  ck_assert_msg(strstr(data.passed_over, "1 links in an archive") != NULL, "%s", data.passed_over);
  data_close(&data);
  writer = begin_archive("x.tar");
  add_folder(writer, "images", "");
  add_link(writer, "train/n01443537/images/a.JPEG", "nowhere", true);
  end_archive(writer);
  expect_refusal("x.tar: train/n01443537/images/a.JPEG: a link to nowhere, which is no file there");
}
END_TEST

START_TEST(a_changed_archive_packs_anew) {
  char before[65], after[65];
  make_published();
  archive_folder("x.zip", "images", "");
  set_path("x.zip");
  content_hash(before);
  write_png("images/val/images/val_3.JPEG", 99, 8, 8);
  usleep(20000); /* the clock of file times ticks every few milliseconds */
  archive_folder("x.zip", "images", "");
  content_hash(after);
  ck_assert_str_ne(before, after);
}
END_TEST

/* Damage and malice ---------------------------------------------------------------------------*/

/* Bytes cut off the end at any place are noticed, and leave nothing. */
START_TEST(an_archive_that_is_cut_short) {
  char path[PATH_SIZE], command[64];
  struct stat about;
  make_published();
  archive_folder(kinds[_i], "images", "");
  ck_assert_int_eq(stat(in_folder(path, kinds[_i]), &about), 0);
  set_path(kinds[_i]);
  snprintf(command, sizeof command, "cp %s whole", kinds[_i]);
  shell("%s", command);
  long step = (long)about.st_size / 12 + 1;
  for (long size = (long)about.st_size - 1025; size > 0; size -= step) {
    snprintf(command, sizeof command, "cp whole %s && truncate -s %ld %s", kinds[_i], size,
             kinds[_i]);
    shell("%s", command);
    expect_refusal(kinds[_i]);
    ck_assert_int_eq(leftovers(), 0);
  }
}
END_TEST

START_TEST(a_tar_cut_between_two_files) {
  char path[PATH_SIZE];
  struct stat about;
  make_published();
  archive_folder("x.tar", "images", "");
  ck_assert_int_eq(stat(in_folder(path, "x.tar"), &about), 0);
  ck_assert_int_eq(truncate(path, about.st_size - 1024), 0);
  set_path("x.tar");
  expect_refusal("x.tar: cut short: the zeros that end a tar archive are not there");
}
END_TEST

START_TEST(names_that_lead_out) {
  static const char *const names[] = {"../x.png", "/etc/x.png", "train/../../x.png", "train/.."};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    for (int kind = 0; kind < 2; kind++) {
      char words[128];
      make_published();
      Writer *writer = begin_archive(kinds[kind]);
      add_folder(writer, "images", "");
      add_entry(writer, names[i], "x", 1);
      end_archive(writer);
      set_path(kinds[kind]);
      snprintf(words, sizeof words, "%s: %s: a name that leads out of the archive", kinds[kind],
               names[i]);
      expect_refusal(words);
    }
}
END_TEST

/* A zip of a few hundred kilobytes that unpacks to more than one file may have. */
START_TEST(bombs) {
  static char zeros[1 << 20];
  make_published();
  Writer *writer = begin_archive("x.zip");
  add_folder(writer, "images", "");
  struct archive_entry *entry = archive_entry_new();
  archive_entry_set_pathname(entry, "train/n01443537/images/bomb.JPEG");
  archive_entry_set_size(entry, (la_int64_t)ARCHIVED_FILE_MAX + (1 << 20));
  archive_entry_set_filetype(entry, AE_IFREG);
  ck_assert_int_eq(archive_write_header(writer, entry), ARCHIVE_OK);
  for (int i = 0; i <= ARCHIVED_FILE_MAX >> 20; i++)
    ck_assert_int_eq(archive_write_data(writer, zeros, sizeof zeros), sizeof zeros);
  archive_entry_free(entry);
  end_archive(writer);
  set_path("x.zip");
  expect_refusal("x.zip: train/n01443537/images/bomb.JPEG: 257 MiB unpacked; at most 256 are taken "
                 "of one file");
}
END_TEST

/* A small zip of texts, which are read when it is listed: what they may take in memory is bounded.
 */
START_TEST(a_bomb_of_texts) {
  static char zeros[ARCHIVED_TEXT_MAX];
  enum { TEXTS = (ARCHIVED_TEXTS_MAX >> 20) + 4 };
  char name[32], path[PATH_SIZE];
  size_t kept = 0;
  NameList names = {0};
  PassedOver passed = {0};
  Writer *writer = begin_archive("x.zip");
  for (int i = 0; i < TEXTS; i++) {
    snprintf(name, sizeof name, "%03d.txt", i);
    add_entry(writer, name, zeros, sizeof zeros);
  }
  end_archive(writer);
  ck_assert(names_add(&names, in_folder(path, "x.zip"), &error));
  Archives *all = archives_list(&names, false, &passed, NULL, &error);
  ck_assert_msg(all != NULL, "%s", error.message);
  ck_assert_uint_eq(all->count, TEXTS);
  for (size_t i = 0; i < all->count; i++) kept += all->files[i].text ? all->files[i].size : 0;
  ck_assert_uint_eq(kept, ARCHIVED_TEXTS_MAX);
  archives_free(all);
}
END_TEST

START_TEST(a_bad_image_is_named_with_its_archive) {
  make_published();
  write_text("images/train/n01443537/images/n01443537_1.JPEG", "nothing");
  archive_folder(kinds[_i], "images", "");
  set_path(kinds[_i]);
  char words[128];
  snprintf(words, sizeof words, "%s: train/n01443537/images/n01443537_1.JPEG: neither a JPEG nor",
           kinds[_i]);
  expect_refusal(words);
  set("data.skip_bad", "true");
  open_data();
  ck_assert_int_eq(data.skipped, 1);
  ck_assert_int_eq(data.train_count, 5);
}
END_TEST

START_TEST(a_byte_that_changed) {
  char path[PATH_SIZE];
  make_published();
  archive_folder("x.zip", "images", "");
  FILE *file = fopen(in_folder(path, "x.zip"), "r+b");
  fseek(file, 200, SEEK_SET); /* in the first file's data or name */
  fputs("xxxxxxxxxxxxxxxx", file);
  fclose(file);
  set_path("x.zip");
  expect_refusal("x.zip: ");
}
END_TEST

START_TEST(a_shard_without_a_label) {
  make_webdataset();
  shell("rm images/set-train-001/0.%s && mkdir shards", "cls");
  archive_folder("shards/set-train-001.tar", "images/set-train-001", "");
  archive_folder("shards/set-val-000.tar", "images/set-val-000", "");
  set_path("shards");
  expect_refusal("shards/set-train-001.tar: 0.png: its label is missing: no 0.cls beside it");
}
END_TEST

START_TEST(what_is_no_archive) {
  write_text("x.zip", "hello");
  set("data.source", "imagefolder");
  set_path("x.zip");
  expect_refusal("x.zip: ");
  expect_refusal("zip and tar archives are read");
  write_text("x.tar", "");
  set_path("x.tar");
  expect_refusal("x.tar: ");
  write_text("x.parquet", "PAR1");
  set_path("x.parquet");
  expect_refusal("x.parquet: parquet files are read as the shards that parquet_to_shards.py makes");
}
END_TEST

/* The files of the archive take room beside the pack while that is made. */
static int no_room(void *user, IoCall call, const char *path, size_t *size) {
  (void)user;
  (void)size;
  return call == IO_WRITE && strstr(path, ".files.tmp") ? ENOSPC : 0;
}

static int little_room(void *user, IoCall call, const char *path, size_t *size) {
  (void)user;
  if (call == IO_ROOM && strstr(path, ".files.tmp")) *size = 1000;
  return 0;
}

START_TEST(an_archive_that_does_not_fit_is_not_unpacked) {
  make_published();
  archive_folder("x.zip", "images", "");
  set_path("x.zip");
  io_set_fault(little_room, NULL);
  expect_refusal(".files.tmp: ");
  io_set_fault(NULL, NULL);
  ck_assert_msg(strstr(error.message,
                       " GB are needed, and 1e-06 GB are free there; the files of an "
                       "archive are unpacked there"),
                "%s", error.message);
  ck_assert_int_eq(leftovers(), 0);
}
END_TEST

START_TEST(a_full_disk_while_unpacking) {
  make_published();
  archive_folder("x.zip", "images", "");
  set_path("x.zip");
  io_set_fault(no_room, NULL);
  expect_refusal("make room or set data.cache to another folder");
  io_set_fault(NULL, NULL);
  ck_assert_int_eq(leftovers(), 0);
  open_data();
}
END_TEST

START_TEST(the_program_exits_with_4) {
  char path[PATH_SIZE], text[1024];
  make_published();
  archive_folder("x.zip", "images", "");
  ck_assert_int_eq(truncate(in_folder(path, "x.zip"), 1000), 0);
  ck_assert_int_eq(run_mae("data info data.source=tiny-imagenet data.path=@/x.zip"), 4);
  FILE *file = fopen(in_folder(path, "output"), "r");
  ck_assert_ptr_nonnull(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  ck_assert_msg(strstr(text, "x.zip: Unrecognized archive format; ") != NULL, "%s", text);
  ck_assert_msg(strchr(text, '\n') == text + strlen(text) - 1, "more than one line: %s", text);
}
END_TEST

/* Parquet --------------------------------------------------------------------------------------*/

START_TEST(parquet_files_turned_into_shards) {
  Oracle oracle;
  char path[PATH_SIZE], text[512], folder[65], shards[65];
  oracle_open(&oracle, "parquet_oracle.py");
  size_t length = fread(text, 1, sizeof text - 1, oracle.lines);
  text[length] = '\0';
  if (oracle.code == 0) {
    set("data.source", "webdataset");
    snprintf(path, sizeof path, "%s/files", oracle.folder);
    set("data.path", path);
    content_hash(folder);
    snprintf(path, sizeof path, "%s/shards", oracle.folder);
    set("data.path", path);
    open_data();
    strcpy(shards, data.sha256);
    ck_assert_int_eq(data.train_count, 320);
    ck_assert_int_eq(data.eval_count, 30);
    ck_assert_str_eq(shards, folder);
    ck_assert_msg(strstr(text, "no column 'label'; there are image, class\n") != NULL, "%s", text);
    ck_assert_msg(text[0] == '4' && strstr(text, "\n4 parquet_to_shards: "), "%s", text);
  }
  oracle_close(&oracle);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("archives");
  TCase *cases = tcase_create("archives");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_set_timeout(cases, 120);
  tcase_add_loop_test(cases, encoded_files_of_an_archive, 0, KINDS);
  tcase_add_loop_test(cases, tiny_imagenet_in_an_archive, 0, KINDS);
  tcase_add_loop_test(cases, counts_are_those_of_the_folder, 0, KINDS);
  tcase_add_loop_test(cases, listing_is_told, 0, KINDS);
  tcase_add_loop_test(cases, imagefolder_in_an_archive_with_names_of_all_kinds, 0, KINDS);
  tcase_add_test(cases, a_zip_that_says_its_names_are_utf8);
  tcase_add_loop_test(cases, cifar_in_an_archive, 0, KINDS);
  tcase_add_test(cases, shards_are_what_they_unpack_to);
  tcase_add_test(cases, names_of_shards_say_what_they_are_for);
  tcase_add_test(cases, the_later_of_two_files_counts);
  tcase_add_test(cases, hard_links_are_files);
  tcase_add_test(cases, a_changed_archive_packs_anew);
  tcase_add_loop_test(cases, an_archive_that_is_cut_short, 0, KINDS);
  tcase_add_test(cases, a_tar_cut_between_two_files);
  tcase_add_test(cases, names_that_lead_out);
  tcase_add_test(cases, bombs);
  tcase_add_test(cases, a_bomb_of_texts);
  tcase_add_loop_test(cases, a_bad_image_is_named_with_its_archive, 0, KINDS);
  tcase_add_test(cases, a_byte_that_changed);
  tcase_add_test(cases, a_shard_without_a_label);
  tcase_add_test(cases, what_is_no_archive);
  tcase_add_test(cases, an_archive_that_does_not_fit_is_not_unpacked);
  tcase_add_test(cases, a_full_disk_while_unpacking);
  tcase_add_test(cases, the_program_exits_with_4);
  tcase_add_test(cases, parquet_files_turned_into_shards);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
