/* Packing that is killed, or fails late, and goes on. */
#include <omp.h>

#include "mae/base/io.h"
#include "mae/base/progress.h"
#include "mae/data/part.h"
#include "tests/data_sets.h"

enum {
  TRAIN = 260,
  EVAL = 40,
  SIDE = 16,
  SLOW_AT = 150, /* takes so long that the state is saved behind it, if it was not before */
  STOP_AT = 170, /* where a packing that is going to be killed waits for that */
};
static int loads, bad_at = -1;
static int stopped[2] = {-1, -1}; /* of a packing that is going to be killed: a pipe that it stops
                                   * at STOP_AT by; else -1 */

/* A picture of its own for every image. */
static bool load_numbered(const Source *source, int split, int index, const PictureRoom *room,
                          Picture *p, int32_t *label, Error *e) {
  (void)source;
  (void)room;
  int number = split == SPLIT_EVAL ? TRAIN + index : index;
  loads++;
  if (number == SLOW_AT) usleep(1100000);
  if (number == STOP_AT && stopped[1] >= 0) {
    if (write(stopped[1], "x", 1) != 1) _exit(2);
    for (;;) pause();
  }
  *p = (Picture){.width = SIDE, .height = SIDE};
  *label = number % 7;
  if (number == bad_at) return error_set(e, EXIT_DATA, "image %d is bad", number);
  size_t bytes = SIDE * SIDE * 3;
  p->rgb = malloc(bytes);
  if (!p->rgb) return error_set(e, EXIT_DEVICE, "out of memory");
  for (size_t i = 0; i < bytes; i++) p->rgb[i] = (uint8_t)((int)i * 7 + number * 13);
  return true;
}

static const Source numbered = {
    .name = "numbered", .fingerprint = "f", .count = {TRAIN, EVAL}, .load = load_numbered};

static char part[PATH_SIZE], state[PATH_SIZE + 16];

static void name_files(void) {
  in_folder(part, "x.pack.part");
  snprintf(state, sizeof state, "%s.state", part);
}

static bool pack(bool skip_bad) {
  loads = 0;
  omp_set_num_threads(1);
  return pack_write(part, &numbered, skip_bad, NULL, &error);
}

/* The pack that an undisturbed packing makes. */
static Bytes pack_undisturbed(bool skip_bad) {
  name_files();
  ck_assert_msg(pack(skip_bad), "%s", error.message);
  ck_assert_int_eq(loads, TRAIN + EVAL);
  Bytes bytes = read_bytes("x.pack.part");
  part_remove(part);
  return bytes;
}

static void expect_pack(const Bytes *expected) {
  Bytes bytes = read_bytes("x.pack.part");
  ck_assert_uint_eq(bytes.size, expected->size);
  ck_assert_mem_eq(bytes.bytes, expected->bytes, bytes.size);
  free(bytes.bytes);
}

/* Packs in another process, which is killed behind the last image that it noted. Returns how many
 * of the source's images it noted. */
static int pack_and_kill(bool skip_bad) {
  char reached;
  name_files();
  ck_assert_int_eq(pipe(stopped), 0);
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) _exit(!pack(skip_bad));
  ck_assert_int_eq(close(stopped[1]), 0);
  stopped[1] = -1;
  ck_assert_int_eq(read(stopped[0], &reached, 1), 1);
  ck_assert_int_eq(kill(child, SIGKILL), 0);
  ck_assert_int_eq(waitpid(child, NULL, 0), child);
  ck_assert_int_eq(close(stopped[0]), 0);
  Bytes noted = read_bytes("x.pack.part.state");
  PartState at;
  ck_assert_uint_ge(noted.size, sizeof at);
  memcpy(&at, noted.bytes, sizeof at);
  free(noted.bytes);
  ck_assert(at.loaded > 0 && at.loaded <= STOP_AT);
  return (int)at.loaded;
}

START_TEST(killed_packing_goes_on) {
  Bytes expected = pack_undisturbed(false);
  int noted = pack_and_kill(false);
  ck_assert_msg(pack(false), "%s", error.message);
  ck_assert_int_eq(loads, TRAIN + EVAL - noted); /* not again what was noted */
  expect_pack(&expected);
  free(expected.bytes);
}
END_TEST

/* Nothing is taken up that is not what was written: half a state, a part that is shorter or was
 * changed, another source's. */
START_TEST(what_is_not_right_is_not_gone_on_with) {
  Bytes expected = pack_undisturbed(false);
  pack_and_kill(false);
  char command[4 * PATH_SIZE];
  static const char *const damages[] = {
      "truncate -s -1 '%s.state'", "truncate -s 4500 '%s'",
      "printf xyz | dd of='%s' bs=1 seek=4200 conv=notrunc status=none",
      "printf other | dd of='%s.state' bs=1 seek=8 conv=notrunc status=none"};
  snprintf(command, sizeof command, damages[_i], part);
  ck_assert_int_eq(system(command), 0);
  ck_assert_msg(pack(false), "%s", error.message);
  ck_assert_int_eq(loads, TRAIN + EVAL);
  expect_pack(&expected);
  free(expected.bytes);
}
END_TEST

/* An image late in the set that cannot be read costs nothing of what was packed: with
 * data.skip_bad it goes on there, to the pack that skips it from the beginning. */
START_TEST(a_bad_image_does_not_cost_what_was_packed) {
  bad_at = TRAIN + 20;
  Bytes expected = pack_undisturbed(true);
  ck_assert(!pack(false));
  ck_assert_msg(strstr(error.message, "is bad (data.skip_bad = true leaves such images out and "
                                      "goes on from here)"),
                "%s", error.message);
  ck_assert_msg(pack(true), "%s", error.message);
  ck_assert_int_eq(loads, TRAIN + EVAL - bad_at);
  expect_pack(&expected);
  free(expected.bytes);
}
END_TEST

/* What left images out is not gone on with by a packing that must not. */
START_TEST(what_left_images_out_is_begun_anew) {
  bad_at = 0; /* before anything is noted, however slow this is */
  pack_and_kill(true);
  ck_assert(!pack(false));
  ck_assert_int_eq(loads, bad_at + 1);
  ck_assert(access(part, F_OK) && access(state, F_OK)); /* too little to be kept */
}
END_TEST

static int full_disk(void *user, IoCall call, const char *path, size_t *size) {
  (void)user;
  (void)size;
  return call == IO_WRITE && strstr(path, ".state.tmp") ? ENOSPC : 0;
}

START_TEST(a_full_disk_leaves_nothing) {
  name_files();
  io_set_fault(full_disk, NULL);
  ck_assert(!pack(false));
  io_set_fault(NULL, NULL);
  ck_assert_int_eq(error.code, EXIT_DATA);
  ck_assert_msg(strstr(error.message, "make room there or set data.cache"), "%s", error.message);
  ck_assert(access(part, F_OK) && access(state, F_OK));
  strcat(state, ".tmp");
  ck_assert_int_ne(access(state, F_OK), 0);
}
END_TEST

/* At the pace since the job was heard of, which may be in its middle. */
START_TEST(the_time_left_is_told) {
  char text[32];
  progress_time_left(text, sizeof text, 10, 1000, 1500, 2000);
  ck_assert_str_eq(text, ", 10 s left");
  progress_time_left(text, sizeof text, 60, 0, 1, 21);
  ck_assert_str_eq(text, ", 20 min left");
  progress_time_left(text, sizeof text, 3600, 0, 10, 35);
  ck_assert_str_eq(text, ", 2.5 h left");
  static const size_t silent[][4] = {
      {1, 0, 5, 10}, {60, 5, 5, 10}, {60, 0, 10, 10}, {60, 0, 5, PROGRESS_UNKNOWN}};
  for (int i = 0; i < 4; i++) {
    progress_time_left(text, sizeof text, (double)silent[i][0], silent[i][1], silent[i][2],
                       silent[i][3]);
    ck_assert_str_eq(text, "");
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("packing");
  TCase *cases = tcase_create("packing");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_set_timeout(cases, 240);
  tcase_add_test(cases, killed_packing_goes_on);
  tcase_add_loop_test(cases, what_is_not_right_is_not_gone_on_with, 0, 4);
  tcase_add_test(cases, a_bad_image_does_not_cost_what_was_packed);
  tcase_add_test(cases, what_left_images_out_is_begun_anew);
  tcase_add_test(cases, a_full_disk_leaves_nothing);
  tcase_add_test(cases, the_time_left_is_told);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
