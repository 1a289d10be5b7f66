/* Data: every source from files written here to the pack, and what a pack survives. */
#include <dirent.h>
#include <omp.h>
#include <stdio.h>
#include <sys/file.h>

#include "mae/base/io.h"
#include "mae/data/pack.h"
#include "mae/data/window.h"
#include "tests/data_sets.h"

/* How many files of the cache folder have a name that ends so. */
static int cache_count(const char *ending) {
  char path[PATH_SIZE];
  DIR *dir = opendir(in_folder(path, "cache"));
  int count = 0;
  if (!dir) return 0;
  for (struct dirent *entry; (entry = readdir(dir));) {
    const char *dot = strrchr(entry->d_name, '.');
    count += dot && !strcmp(dot, ending);
  }
  closedir(dir);
  return count;
}

/* Sources --------------------------------------------------------------------------------------*/

static void make_imagefolder(void) {
  set("data.source", "imagefolder");
  shell("mkdir -p images/train/%s images/train/dog images/val/dog", "cat");
  write_png("images/train/cat/a.png", 0, 9, 7);
  write_png("images/train/cat/b.png", 1, 16, 16);
  write_png("images/train/dog/a.png", 2, 5, 31);
  write_jpeg("images/train/dog/b.jpg", 200, 24, 1);
  write_png("images/val/dog/x.png", 4, 8, 8);
}

START_TEST(imagefolder_in_order_of_class_and_name) {
  make_imagefolder();
  shell("mkdir images/val/%s", "emu"); /* a class without training images */
  write_png("images/val/emu/x.png", 5, 8, 8);
  open_data();
  ck_assert_int_eq(data.train_count, 4);
  ck_assert_int_eq(data.eval_count, 2);
  expect_png(&data.train[0], 0, 9, 7, 0);
  expect_png(&data.train[1], 1, 16, 16, 0);
  expect_png(&data.train[2], 2, 5, 31, 1);
  expect_grey(&data.train[3], 200, 1);
  bool dog_first = data.eval[0].label == 1;
  expect_png(&data.eval[dog_first ? 0 : 1], 4, 8, 8, 1);
  expect_png(&data.eval[dog_first ? 1 : 0], 5, 8, 8, -1);
  ck_assert_msg(pack_verify(&data, NULL, &error), "%s", error.message);
}
END_TEST

static void make_tiny_imagenet(void) {
  set("data.source", "tiny-imagenet");
  shell("mkdir -p images/train/%s/images images/train/n02/images images/val/images", "n01");
  write_text("images/wnids.txt", "n02\nn01\n");
  write_jpeg("images/train/n01/images/n01_0.JPEG", 10, 64, 3);
  write_jpeg("images/train/n02/images/n02_0.JPEG", 60, 64, 1);
  write_jpeg("images/train/n02/images/n02_1.JPEG", 90, 64, 3);
  write_jpeg("images/val/images/val_0.JPEG", 120, 64, 1);
  write_jpeg("images/val/images/val_1.JPEG", 150, 64, 3);
  write_text("images/val/val_annotations.txt",
             "val_1.JPEG\tn02\t0\t0\t62\t62\nval_0.JPEG\tn01\t0\t0\t62\t62\n");
}

/* torchvision's ImageFolder: sorted(os.walk(class)), and in each folder the sorted names. */
START_TEST(folders_below_a_class_are_walked_as_torchvision_does) {
  make_imagefolder();
  shell("mkdir -p images/train/%s/b/deep images/train/cat/b-side images/train/cat/a.png.d", "cat");
  write_png("images/train/cat/b/z.PNG", 10, 8, 8);
  write_png("images/train/cat/b/deep/a.png", 11, 8, 8);
  write_png("images/train/cat/b-side/a.png", 12, 8, 8);
  write_png("images/train/cat/a.png.d/a.png", 13, 8, 8);
  shell("ln -s ../../cat images/train/cat/b/%s", "again"); /* a circle */
  open_data();
  ck_assert_int_eq(data.train_count, 8);
  static const int order[] = {0, 1, 13, 10, 12, 11};
  expect_png(&data.train[0], 0, 9, 7, 0);
  expect_png(&data.train[1], 1, 16, 16, 0);
  for (int i = 2; i < 6; i++) expect_png(&data.train[i], order[i], 8, 8, 0);
  ck_assert_str_eq(data.passed_over, "1 file passed over: 1 links in a circle");
}
END_TEST

static void keep_passed_over(void *user, const char *what, size_t done, size_t total) {
  (void)done;
  if (!total && strstr(what, "passed over")) snprintf(user, PASSED_TEXT, "%s", what);
}

START_TEST(what_is_passed_over_is_counted_and_told) {
  char told[PASSED_TEXT] = "";
  const ProgressListener listener = {keep_passed_over, told};
  make_imagefolder();
  shell("touch images/train/cat/%s images/train/cat/b.webp images/train/dog/c.WEBP", "a.webp");
  shell("touch images/train/cat/%s images/train/README images/val/dog/.hidden.png", "x.txt");
  shell("ln -s /nowhere images/train/%s", "emu"); /* a class that is not there */
  ck_assert_msg(data_open(&data, &config, &listener, &error), "%s", error.message);
  ck_assert_int_eq(data.train_count, 4);
  ck_assert_int_eq(data.eval_count, 1);
  ck_assert_str_eq(data.passed_over, told);
  ck_assert_msg(strstr(told, "7 files passed over: 3 .webp, 1 "), "%s", told);
  data_close(&data);
  shell("rm images/train/%s/*.png", "cat");
  expect_refusal("images/train/cat: no JPEG or PNG files in this folder (3 files passed over: "
                 "2 .webp, 1 .txt)");
  shell("rm -r images/train/%s images/train/dog", "cat");
  expect_refusal("images/train: no class folders in this folder (2 files passed over: ");
}
END_TEST

START_TEST(tiny_imagenet_with_one_channel_files) {
  make_tiny_imagenet();
  open_data();
  ck_assert_int_eq(data.train_count, 3);
  ck_assert_int_eq(data.eval_count, 2);
  expect_grey(&data.train[0], 10, 0);
  expect_grey(&data.train[1], 60, 1);
  expect_grey(&data.train[2], 90, 1);
  expect_grey(&data.eval[0], 150, 1); /* in the order of the annotations */
  expect_grey(&data.eval[1], 120, 0);
}
END_TEST

START_TEST(tiny_imagenet_refusals) {
  make_tiny_imagenet();
  write_text("images/val/val_annotations.txt", "val_1.JPEG\tn03\t0\t0\t62\t62\n");
  expect_refusal("val_annotations.txt:1: 'n03' is not in wnids.txt");
  shell("rm %s", "images/val/val_annotations.txt");
  expect_refusal("val: neither val_annotations.txt is there nor a folder for each class");
  set("data.path", "/nowhere");
  expect_refusal("data.path = /nowhere: no such folder");
}
END_TEST

START_TEST(cifar10_from_the_binary_batches) {
  make_cifar10();
  open_data();
  ck_assert_int_eq(data.train_count, 10);
  ck_assert_int_eq(data.eval_count, 3);
  for (int k = 0; k < 10; k++) expect_png(&data.train[k], k, 32, 32, k);
  for (int k = 0; k < 3; k++) expect_png(&data.eval[k], 10 + k, 32, 32, k);
}
END_TEST

static void make_cifar100(void) {
  static const int records[] = {4, 3};
  set("data.source", "cifar100");
  shell("mkdir -p %s", "images/below/cifar-100-binary");
  for (int split = 0; split < 2; split++) {
    char path[PATH_SIZE];
    const char *const names[] = {"images/below/cifar-100-binary/train.bin",
                                 "images/below/cifar-100-binary/test.bin"};
    FILE *file = fopen(in_folder(path, names[split]), "wb");
    ck_assert_ptr_nonnull(file);
    for (int k = 0; k < records[split]; k++) {
      fputc(k % 20, file);
      fputc(20 * k + split, file);
      for (int i = 0; i < 3 * 1024; i++) fputc(value_at(k, i % 32, i / 32 % 32, i / 1024), file);
    }
    fclose(file);
  }
}

START_TEST(cifar100_by_its_fine_labels) {
  make_cifar100();
  open_data();
  ck_assert_int_eq(data.train_count, 4);
  ck_assert_int_eq(data.eval_count, 3);
  for (int k = 0; k < 4; k++) expect_png(&data.train[k], k, 32, 32, 20 * k);
  for (int k = 0; k < 3; k++) expect_png(&data.eval[k], k, 32, 32, 20 * k + 1);
}
END_TEST

START_TEST(cifar10_refusals) {
  make_cifar10();
  shell("truncate -s 3000 %s", "images/cifar-10-batches-bin/data_batch_3.bin");
  expect_refusal("data_batch_3.bin: 3000 bytes are not a whole number");
  shell("rm %s", "images/cifar-10-batches-bin/data_batch_3.bin");
  expect_refusal("data_batch_3.bin: cannot open");
}
END_TEST

START_TEST(train_images_are_taken_evenly) {
  make_cifar10();
  set("train.batch", "1");
  set("data.train_images", "5");
  open_data();
  ck_assert_int_eq(data.train_count, 5);
  for (int k = 0; k < 5; k++) ck_assert_int_eq(data.train[k].label, 2 * k);
}
END_TEST

START_TEST(unpacked_shards) {
  make_webdataset();
  open_data();
  ck_assert_int_eq(data.train_count, 3);
  ck_assert_int_eq(data.eval_count, 1);
  for (int k = 0; k < 4; k++) expect_png(&data.train[k], k, 8 + k, 8, k % 2);
}
END_TEST

START_TEST(shard_refusals) {
  make_webdataset();
  write_text("images/set-train-000/1.cls", "cat");
  expect_refusal("images/set-train-000/1.png: its label 'cat' is not the number of a class");
  shell("rm images/set-train-000/1.%s", "cls");
  expect_refusal("images/set-train-000/1.png: its label is missing: no 1.cls beside it");
  shell("mv images/set-val-000 images/set-values-%s", "000");
  write_text("images/set-train-000/1.cls", "1");
  expect_refusal("no shard is held out");
  set("data.holdout", "0.25");
  open_data(); /* what is named otherwise trains */
  ck_assert_int_eq(data.train_count, 3);
  ck_assert_int_eq(data.eval_count, 1);
  data_close(&data);
  shell("rm -r images/set-%s*", "");
  write_text("images/0.png", "");
  expect_refusal("images: no shards in this folder (1 file passed over: 1 .png); data.path should");
}
END_TEST

static void make_shapes(void) {
  set("data.source", "shapes");
  set("train.batch", "1");
  set("data.train_images", "48");
}

/* A few images of every source of the list in choices.h. */
static void (*const makers[SOURCE_COUNT])(void) = {
    [SOURCE_SHAPES] = make_shapes,           [SOURCE_TINY_IMAGENET] = make_tiny_imagenet,
    [SOURCE_IMAGEFOLDER] = make_imagefolder, [SOURCE_CIFAR10] = make_cifar10,
    [SOURCE_CIFAR100] = make_cifar100,       [SOURCE_WEBDATASET] = make_webdataset,
};

/* Any source opens, packs both splits under its own name, gives the same bytes when it is packed
 * again, and heeds data.train_images. */
START_TEST(every_source_packs) {
  static const char *const names[] = {SOURCES(CHOICE_NAME)};
  char sha256[65], name[64];
  ck_assert_msg(makers[_i] != NULL,
                "data.source = %s: nothing here makes images for it: add a function to `makers`",
                names[_i]);
  makers[_i]();
  ck_assert_int_eq(config.data.source, _i);
  DataCounts before, after;
  ck_assert_msg(data_count(&config, &before, NULL, &error), "%s", error.message);
  open_data();
  ck_assert_str_eq(data.source, names[_i]);
  ck_assert(data_count(&config, &after, NULL, &error) && !memcmp(&before, &after, sizeof before));
  ck_assert_int_eq(before.train, data.train_count);
  ck_assert_int_eq(before.eval, data.eval_count);
  for (int i = 0; i < data.train_count; i++) ck_assert_int_lt(data.train[i].label, before.classes);
  ck_assert(data.train_count > 2 && data.eval_count > 0);
  ck_assert_msg(pack_verify(&data, NULL, &error), "%s", error.message);
  snprintf(name, sizeof name, "/%s-", names[_i]);
  ck_assert_msg(strstr(data.pack_path, name), "%s", data.pack_path);
  strcpy(sha256, data.sha256);
  data_close(&data);
  shell("rm cache/%s*.pack", names[_i]);
  open_data();
  ck_assert_str_eq(data.sha256, sha256);
  data_close(&data);
  config.data.train_images = 2;
  open_data();
  ck_assert_int_eq(data.train_count, 2);
  ck_assert_str_ne(data.sha256, sha256);
}
END_TEST

/* Without a folder every source that needs one says what should be in it. */
START_TEST(every_missing_folder_is_explained) {
#define ROW(id, name, holds, open, in_folder, ...) {holds, in_folder},
  static const struct {
    const char *holds;
    bool in_folder;
  } sources[] = {SOURCES(ROW)};
  if (!sources[_i].in_folder) return;
  char path[PATH_SIZE];
  config.data.source = (SourceKind)_i;
  expect_refusal("no such folder");
  shell("mkdir -p %s", "images");
  set("data.path", in_folder(path, "images"));
  expect_refusal(sources[_i].holds);
}
END_TEST

/* Damage --------------------------------------------------------------------------------------*/

START_TEST(bad_images_are_named_or_skipped) {
  make_imagefolder();
  shell("truncate -s -6 %s", "images/train/dog/b.jpg");
  expect_refusal("images/train/dog/b.jpg: damaged JPEG");
  ck_assert_int_eq(cache_count(".pack") + cache_count(".part"), 0);
  write_text("images/train/cat/b.png", "not an image");
  set("data.skip_bad", "true");
  open_data();
  ck_assert_int_eq(data.train_count, 2);
  ck_assert_int_eq(data.skipped, 2);
  expect_png(&data.train[0], 0, 9, 7, 0);
  expect_png(&data.train[1], 2, 5, 31, 1);
  data_close(&data);
  set("data.skip_bad", "false"); /* the pack that leaves images out is not taken silently */
  expect_refusal("2 images could not be read");
}
END_TEST

START_TEST(harmless_faults_are_counted) {
  char path[PATH_SIZE];
  make_imagefolder();
  FILE *file = fopen(in_folder(path, "images/train/dog/b.jpg"), "r+b");
  ck_assert_ptr_nonnull(file);
  fseek(file, 11, SEEK_SET);
  fputc(7, file); /* the JFIF revision */
  fclose(file);
  open_data();
  ck_assert_int_eq(data.train_count, 4);
  ck_assert_int_eq(data.odd, 1);
  ck_assert_int_eq(data.skipped, 0);
  data_close(&data);
  open_data(); /* the pack remembers */
  ck_assert_int_eq(data.odd, 1);
}
END_TEST

static void look_for_control_characters(void *user, const char *what, size_t done, size_t total) {
  (void)done;
  for (const char *c = what; !total && *c; c++) ck_assert_msg((unsigned char)*c >= ' ', "%s", what);
  *(int *)user += !total && strstr(what, "read all the same: ");
}

/* A file's name may hold what a terminal obeys. */
START_TEST(names_are_told_without_control_characters) {
  int told = 0;
  const ProgressListener listener = {look_for_control_characters, &told};
  make_imagefolder();
  shell("printf '\\7' | dd of=images/train/dog/b.jpg bs=1 seek=11 conv=notrunc status=none && "
        "mv images/train/dog/b.jpg \"images/train/dog/$(printf '%s')b.jpg\"",
        "\\033[2J");
  ck_assert_msg(data_open(&data, &config, &listener, &error), "%s", error.message);
  ck_assert_int_eq(told, 1);
}
END_TEST

START_TEST(a_fifo_among_the_images_is_named) {
  char path[PATH_SIZE];
  make_imagefolder();
  ck_assert_int_eq(mkfifo(in_folder(path, "images/train/cat/c.jpg"), 0600), 0);
  expect_refusal("images/train/cat/c.jpg: cannot open: not a file");
}
END_TEST

static void pack_path(char path[CONFIG_PATH_MAX]) {
  open_data();
  strcpy(path, data.pack_path);
  data_close(&data);
}

static void flip_bit(const char *path, long offset) {
  FILE *file = fopen(path, "r+b");
  ck_assert_ptr_nonnull(file);
  fseek(file, offset, SEEK_SET);
  int byte = fgetc(file);
  fseek(file, offset, SEEK_SET);
  fputc(byte ^ 4, file);
  fclose(file);
}

START_TEST(damaged_packs_are_refused) {
  char path[CONFIG_PATH_MAX];
  make_imagefolder();
  pack_path(path);
  flip_bit(path, 40); /* in the header */
  expect_refusal("delete");
  flip_bit(path, 40);
  flip_bit(path, PACK_PIXELS_AT + 100);
  expect_refusal("its images do not match their SHA-256; delete the file");
  flip_bit(path, PACK_PIXELS_AT + 100);
  open_data();
  data_close(&data);
  struct stat about;
  ck_assert_int_eq(stat(path, &about), 0);
  ck_assert_int_eq(truncate(path, about.st_size - 1), 0);
  expect_refusal("not as long as its header says");
  ck_assert_int_eq(truncate(path, 100), 0);
  expect_refusal(path);
}
END_TEST

START_TEST(a_changed_folder_packs_anew) {
  char sha256[65];
  make_imagefolder();
  open_data();
  strcpy(sha256, data.sha256);
  data_close(&data);
  open_data(); /* taken from the cache */
  ck_assert_str_eq(data.sha256, sha256);
  ck_assert_int_eq(cache_count(".pack"), 1);
  data_close(&data);
  write_png("images/train/cat/c.png", 9, 8, 8);
  open_data();
  ck_assert_int_eq(data.train_count, 5);
  ck_assert_str_ne(data.sha256, sha256);
}
END_TEST

static void count_verifying(void *user, const char *what, size_t done, size_t total) {
  if (!strcmp(what, "verifying") && done == total) ++*(int *)user;
}

/* The number of times that opening the pack reads its content. */
static int times_verified(void) {
  int times = 0;
  const ProgressListener listener = {count_verifying, &times};
  ck_assert_msg(data_open(&data, &config, &listener, &error), "%s", error.message);
  data_close(&data);
  return times;
}

START_TEST(content_is_verified_once_per_state_of_the_file) {
  char path[CONFIG_PATH_MAX], note[CONFIG_PATH_MAX + 16];
  make_imagefolder();
  ck_assert_int_eq(times_verified(), 0); /* just made of what was hashed */
  ck_assert_int_eq(times_verified(), 0);
  pack_path(path);
  struct stat about;
  ck_assert_int_eq(stat(path, &about), 0);
  flip_bit(path, PACK_PIXELS_AT + 5);
  struct timespec times[] = {about.st_atim, about.st_mtim};
  ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0); /* as if it had not been written to */
  expect_refusal("its images do not match their SHA-256");
  expect_refusal("its images do not match their SHA-256"); /* and not only once */
  flip_bit(path, PACK_PIXELS_AT + 5);
  ck_assert_int_eq(times_verified(), 1);
  ck_assert_int_eq(times_verified(), 0);
  snprintf(note, sizeof note, "%s.verified", path);
  ck_assert_int_eq(truncate(note, 10), 0);
  ck_assert_int_eq(times_verified(), 1);
  ck_assert_int_eq(unlink(note), 0);
  ck_assert_int_eq(times_verified(), 1);
  ck_assert_int_eq(times_verified(), 0);
}
END_TEST

START_TEST(a_file_rewritten_under_its_old_date_packs_anew) {
  char sha256[65], path[PATH_SIZE];
  struct stat about, now;
  make_imagefolder();
  shell("truncate -s 1000 %s", "images/train/cat/a.png"); /* what follows the picture is ignored */
  ck_assert_int_eq(stat(in_folder(path, "images/train/cat/a.png"), &about), 0);
  open_data();
  strcpy(sha256, data.sha256);
  data_close(&data);
  usleep(20000); /* the clock of file times ticks every few milliseconds */
  write_png("images/train/cat/a.png", 77, 9, 7);
  shell("truncate -s 1000 %s", "images/train/cat/a.png");
  struct timespec times[] = {about.st_atim, about.st_mtim};
  ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
  ck_assert_int_eq(stat(path, &now), 0);
  ck_assert(now.st_size == about.st_size && now.st_mtim.tv_nsec == about.st_mtim.tv_nsec);
  open_data();
  ck_assert_str_ne(data.sha256, sha256);
  expect_png(&data.train[0], 77, 9, 7, 0);
}
END_TEST

/* Interruption and concurrency ----------------------------------------------------------------*/

static void die_half_way(void *user, const char *what, size_t done, size_t total) {
  (void)user;
  (void)what;
  if (total && done > 0 && done < total) raise(SIGKILL);
}

START_TEST(a_killed_packer_leaves_no_pack) {
  make_shapes();
  pid_t child = fork();
  if (child == 0) {
    omp_set_num_threads(1);
    data_open(&data, &config, &(const ProgressListener){die_half_way, NULL}, &error);
    _exit(0);
  }
  ck_assert_int_eq(wait_mae(child), 1000 + SIGKILL);
  ck_assert_int_eq(cache_count(".pack"), 0);
  ck_assert_int_eq(cache_count(".part"), 1);
  open_data();
  ck_assert_int_eq(data.train_count, 48);
  ck_assert_int_eq(cache_count(".pack"), 1);
  ck_assert_int_eq(cache_count(".part") + cache_count(".lock"), 0);
  ck_assert_msg(pack_verify(&data, NULL, &error), "%s", error.message);
}
END_TEST

START_TEST(packers_at_once_make_one_pack) {
  enum { PACKERS = 4 };
  pid_t children[PACKERS];
  make_shapes();
  for (int i = 0; i < PACKERS; i++)
    if ((children[i] = fork()) == 0) {
      omp_set_num_threads(1);
      bool ok = data_open(&data, &config, NULL, &error);
      _exit(ok && data.train_count == 48 ? 0 : 1);
    }
  for (int i = 0; i < PACKERS; i++) ck_assert_int_eq(wait_mae(children[i]), 0);
  ck_assert_int_eq(cache_count(".pack"), 1);
  ck_assert_int_eq(cache_count(".tmp") + cache_count(".lock"), 0);
}
END_TEST

/* Who waits says so again and again, so that a harness does not take the silence for a hang. The
 * child that holds the lock lives until the second word of it. */
typedef struct Waiting {
  pid_t holder;
  int told;
} Waiting;

static void hear_waiting(void *user, const char *what, size_t done, size_t total) {
  Waiting *waiting = user;
  (void)done;
  if (strncmp(what, "waiting for another process", 27)) return;
  waiting->told += total == PROGRESS_UNKNOWN;
  if (waiting->told == 2 || total == 0) kill(waiting->holder, SIGKILL);
}

START_TEST(who_waits_for_a_packer_is_not_silent) {
  char path[CONFIG_PATH_MAX], lock[CONFIG_PATH_MAX + 8], ready;
  int ends[2];
  make_shapes();
  pack_path(path);
  ck_assert_int_eq(unlink(path), 0);
  snprintf(lock, sizeof lock, "%s.lock", path);
  ck_assert_int_eq(pipe(ends), 0);
  Waiting waiting = {.holder = fork()};
  if (waiting.holder == 0) {
    int fd = open(lock, O_RDWR | O_CREAT, 0644);
    if (fd < 0 || flock(fd, LOCK_EX) || write(ends[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  ck_assert_int_eq(read(ends[0], &ready, 1), 1);
  const ProgressListener listener = {hear_waiting, &waiting};
  ck_assert_msg(data_open(&data, &config, &listener, &error), "%s", error.message);
  ck_assert_int_ge(waiting.told, 2);
  ck_assert_int_eq(wait_mae(waiting.holder), 1000 + SIGKILL);
  ck_assert_int_eq(cache_count(".lock"), 0);
  close(ends[0]);
  close(ends[1]);
}
END_TEST

/* Room ---------------------------------------------------------------------------------------*/

static size_t bytes_free;

static int little_room(void *user, IoCall call, const char *path, size_t *size) {
  (void)user;
  (void)path;
  if (call == IO_ROOM) *size = bytes_free;
  return 0;
}

/* What would not fit is told before anything is written; what a packing left that was killed counts
 * as room. */
START_TEST(a_pack_that_does_not_fit_is_not_begun) {
  enum { SIZE = 32, IMAGES = 48 + 1024, BYTES = IMAGES * (SIZE * SIZE * 3 + sizeof(PackImage)) };
  char path[CONFIG_PATH_MAX], part[CONFIG_PATH_MAX + 8];
  make_shapes();
  config.model.image_size = SIZE;
  pack_path(path);
  ck_assert_int_eq(unlink(path), 0);
  io_set_fault(little_room, NULL);
  bytes_free = BYTES - 1;
  expect_refusal(".pack.part: packing 1072 images takes about 0.00332 GB, and 0.00332 GB are free");
  ck_assert_int_eq(cache_count(".part") + cache_count(".lock"), 0);
  snprintf(part, sizeof part, "%s.part", path);
  FILE *file = fopen(part, "w");
  fputs("x", file);
  fclose(file);
  open_data();
  io_set_fault(NULL, NULL);
  ck_assert_int_eq(data.train_count + data.eval_count, IMAGES);
}
END_TEST

/* Of many images of different sizes only a sample is known: what may fit is begun. */
START_TEST(a_pack_that_may_fit_is_begun) {
  char name[64];
  set("data.source", "imagefolder");
  shell("mkdir -p images/train/cat images/val/%s", "cat");
  for (int i = 0; i < 100; i++) {
    snprintf(name, sizeof name, "images/%s/cat/%02d.png", i < 90 ? "train" : "val", i);
    write_png(name, i, i % 3 ? 4 : 40, 10);
  }
  io_set_fault(little_room, NULL);
  bytes_free = 5000; /* it takes 50 kB */
  expect_refusal("packing 100 images takes about ");
  bytes_free = 48000;
  open_data();
  io_set_fault(NULL, NULL);
}
END_TEST

START_TEST(threads_do_not_change_a_pack) {
  char sha256[2][65], path[PATH_SIZE];
  make_shapes();
  for (int i = 0; i < 2; i++) {
    omp_set_num_threads(1 + 2 * i);
    set("data.cache", in_folder(path, i ? "cache3" : "cache1"));
    open_data();
    strcpy(sha256[i], data.sha256);
    data_close(&data);
  }
  ck_assert_str_eq(sha256[0], sha256[1]);
}
END_TEST

/* Images that take 100 MiB each while they are loaded. */
static int loading, most_loading;

static bool load_large(const Source *source, int split, int index, const PictureRoom *room,
                       Picture *p, int32_t *label, Error *e) {
  (void)source;
  (void)split;
  room->take(room->user, (size_t)1 << 20); /* in two pieces, as the file and its pixels are */
  room->take(room->user, (size_t)99 << 20);
  int now = __atomic_add_fetch(&loading, 1, __ATOMIC_SEQ_CST), most = most_loading;
  while (now > most && !__atomic_compare_exchange_n(&most_loading, &most, now, false,
                                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    continue;
  usleep(1000 * (unsigned)(1 + index % 3));
  *p = (Picture){.width = 1, .height = 1, .rgb = malloc(3)};
  *label = index;
  __atomic_sub_fetch(&loading, 1, __ATOMIC_SEQ_CST);
  return p->rgb || error_set(e, EXIT_DEVICE, "out of memory");
}

static bool take_next(void *user, const WindowImage *image, Error *e) {
  if (!image->ok || image->label != *(int *)user) return error_set(e, EXIT_DATA, "out of order");
  ++*(int *)user;
  return true;
}

START_TEST(loading_keeps_order_within_bounded_memory) {
  const Source source = {.name = "large", .count = {300, 0}, .load = load_large};
  int taken = 0;
  loading = most_loading = 0;
  omp_set_num_threads(8);
  ck_assert_msg(window_run(&source, SPLIT_TRAIN, 0, take_next, &taken, &error), "%s",
                error.message);
  ck_assert_int_eq(taken, 300);
  ck_assert_int_ge(most_loading, 2);
  ck_assert_int_le(most_loading, 3); /* two in 256 MiB, and the one that is next */
}
END_TEST

static bool take_ten(void *user, const WindowImage *image, Error *e) {
  if (!take_next(user, image, e)) return false;
  return *(int *)user < 10 || error_set(e, EXIT_DATA, "enough");
}

START_TEST(loading_ends_with_the_first_failure) {
  const Source source = {.name = "large", .count = {300, 0}, .load = load_large};
  int taken = 0;
  omp_set_num_threads(8);
  ck_assert(!window_run(&source, SPLIT_TRAIN, 0, take_ten, &taken, &error));
  ck_assert_str_eq(error.message, "enough");
  ck_assert_int_eq(taken, 10);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("data");
  TCase *cases = tcase_create("data");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_set_timeout(cases, 120);
  tcase_add_test(cases, imagefolder_in_order_of_class_and_name);
  tcase_add_test(cases, folders_below_a_class_are_walked_as_torchvision_does);
  tcase_add_test(cases, what_is_passed_over_is_counted_and_told);
  tcase_add_test(cases, tiny_imagenet_with_one_channel_files);
  tcase_add_test(cases, tiny_imagenet_refusals);
  tcase_add_test(cases, cifar10_from_the_binary_batches);
  tcase_add_test(cases, cifar100_by_its_fine_labels);
  tcase_add_test(cases, cifar10_refusals);
  tcase_add_test(cases, unpacked_shards);
  tcase_add_test(cases, shard_refusals);
  tcase_add_loop_test(cases, every_source_packs, 0, SOURCE_COUNT);
  tcase_add_loop_test(cases, every_missing_folder_is_explained, 0, SOURCE_COUNT);
  tcase_add_test(cases, train_images_are_taken_evenly);
  tcase_add_test(cases, bad_images_are_named_or_skipped);
  tcase_add_test(cases, harmless_faults_are_counted);
  tcase_add_test(cases, names_are_told_without_control_characters);
  tcase_add_test(cases, a_fifo_among_the_images_is_named);
  tcase_add_test(cases, damaged_packs_are_refused);
  tcase_add_test(cases, content_is_verified_once_per_state_of_the_file);
  tcase_add_test(cases, a_file_rewritten_under_its_old_date_packs_anew);
  tcase_add_test(cases, a_changed_folder_packs_anew);
  tcase_add_test(cases, a_killed_packer_leaves_no_pack);
  tcase_add_test(cases, packers_at_once_make_one_pack);
  tcase_add_test(cases, who_waits_for_a_packer_is_not_silent);
  tcase_add_test(cases, a_pack_that_does_not_fit_is_not_begun);
  tcase_add_test(cases, a_pack_that_may_fit_is_begun);
  tcase_add_test(cases, threads_do_not_change_a_pack);
  tcase_add_test(cases, loading_keeps_order_within_bounded_memory);
  tcase_add_test(cases, loading_ends_with_the_first_failure);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
