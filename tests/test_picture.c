/* Pictures: the pixels that Pillow reads, harmless faults read past, damage refused, reduction. */
#include <stdio.h>
#include <sys/stat.h>

#include <jpeglib.h>

#include "kernels/scalar.h"
#include "mae/base/sha256.h"
#include "mae/data/picture.h"
#include "tests/oracle.h"
#include "tests/suite.h"

static Error error;

typedef struct Bytes {
  uint8_t at[1 << 16];
  size_t size;
} Bytes;

static void read_corpus(Bytes *bytes, const char *name) {
  char path[256];
  snprintf(path, sizeof path, "%s/tests/fuzz/corpus/picture/%s", SOURCE_DIR, name);
  FILE *file = fopen(path, "rb");
  ck_assert_msg(file != NULL, "%s is not there", path);
  bytes->size = fread(bytes->at, 1, sizeof bytes->at, file);
  fclose(file);
}

static bool decode(Picture *p, const Bytes *bytes) {
  error = (Error){0};
  return picture_decode(p, "x", bytes->at, bytes->size, NULL, &error);
}

static size_t rgb_bytes(const Picture *p) {
  return (size_t)p->width * (size_t)p->height * 3;
}

/* From Pillow 9.4 with libjpeg-turbo 2.1.5: SHA-256 of Image.open(name).convert("RGB"), and for
 * gray16.png, which Pillow clips, of the samples' high bytes. */
static const struct {
  const char *name, *sha256;
} stored[] = {
    {"cmyk.jpg", "6de32be2eb3a53c34ca2ef2a96cb294c212ecf727d24a4af02dec43b2f8cb596"},
    {"sub444.jpg", "cd77662c4e3f8cf7aac786d20bf5837131e189163bd4822429af5b6295aaeaf1"},
    {"gray.jpg", "e3824c69222cd2e744c01682ed4abebea7d97e1ffbd9988c71816286e04e26a7"},
    {"la.png", "57e8fbb882c561a1c6e56e3638b8b8ecd9d51f5f7ad990af2aa9c7ff00547e14"},
    {"palette_trns.png", "4dd657f1f31787f3a16af98440f7167b2c1b460e1d7950f2f36f59ec95be9d2f"},
    {"interlaced.png", "6cb68b7c6fabcf2234fcf1c8f56fee64fc23ce91b7b67d39501c7fbf2a937095"},
    {"bit.png", "62460fc4f2e1fa62b7a50d26fd84ac42b4189aa9e62ba3d4c06d73bb02b94db5"},
    {"gray16.png", "d38ca497606f01eb4ae92f8bdbcadb6da0219c6501eb4e28b8120c6ea1a12a98"},
};

START_TEST(stored_pictures_are_read_as_pillow_does) {
  static Bytes bytes;
  Picture p;
  char hex[65];
  read_corpus(&bytes, stored[_i].name);
  ck_assert_msg(decode(&p, &bytes), "%s", error.message);
  sha256_bytes(hex, p.rgb, rgb_bytes(&p));
  ck_assert_msg(!strcmp(hex, stored[_i].sha256), "%s: %s", stored[_i].name, hex);
  ck_assert_str_eq(p.oddity, "");
  picture_free(&p);
}
END_TEST

START_TEST(fresh_pictures_are_read_as_pillow_does) {
  Oracle oracle;
  oracle_open(&oracle, "picture_oracle.py");
  int count = 0, width, height, odd = 0;
  char name[32];
  uint8_t *expected = NULL, *at = NULL;
  while (fscanf(oracle.lines, "%31s %d %d", name, &width, &height) == 3) {
    char path[128];
    Picture p;
    if (!expected) at = expected = oracle_file(&oracle, "expected", 0);
    snprintf(path, sizeof path, "%s/%s", oracle.folder, name);
    ck_assert_msg(picture_read(&p, path, NULL, &error), "%s", error.message);
    ck_assert_int_eq(p.width, width);
    ck_assert_int_eq(p.height, height);
    ck_assert_msg(!memcmp(p.rgb, at, rgb_bytes(&p)), "%s differs from Pillow's", name);
    at += rgb_bytes(&p);
    odd += *p.oddity != 0;
    count++;
    picture_free(&p);
  }
  free(expected);
  if (!oracle_close(&oracle)) return;
  ck_assert_int_eq(count, 77);
  ck_assert_int_eq(odd, 5); /* padding (2), a strange revision or transform, odd scan parameters */
}
END_TEST

/* Harmless faults -----------------------------------------------------------------------------*/

static void insert(Bytes *bytes, size_t place, const char *text, size_t size) {
  memmove(bytes->at + place + size, bytes->at + place, bytes->size - place);
  memcpy(bytes->at + place, text, size);
  bytes->size += size;
}

static size_t find(const Bytes *bytes, const char *text, size_t size) {
  for (size_t i = 0; i + size <= bytes->size; i++)
    if (!memcmp(bytes->at + i, text, size)) return i;
  ck_abort_msg("not there");
  return 0;
}

static void pad_end(Bytes *b) {
  static const char padding[40]; /* more than the library reads ahead */
  insert(b, b->size - 2, padding, sizeof padding);
}
static void pad_tables(Bytes *b) {
  insert(b, find(b, "\xFF\xDB", 2), "padding", 7);
}
static void bump_revision(Bytes *b) {
  b->at[find(b, "JFIF", 4) + 5] = 9;
}
static void change_scan(Bytes *b) {
  b->at[find(b, "\xFF\xDA", 2) + 12] = 0;
}

static const struct {
  void (*damage)(Bytes *);
  const char *words;
} harmless[] = {
    {pad_end, "extraneous bytes before marker 0xd9"},
    {pad_tables, "x: Corrupt JPEG data: 7 extraneous bytes before marker 0xdb"},
    {bump_revision, "x: Warning: unknown JFIF revision number 9.01"},
    {change_scan, "x: Invalid SOS parameters for sequential JPEG"},
};

START_TEST(harmless_faults_are_read_past_and_told) {
  static Bytes bytes;
  Picture clean, p;
  read_corpus(&bytes, "rgb.jpg");
  ck_assert_msg(decode(&clean, &bytes), "%s", error.message);
  harmless[_i].damage(&bytes);
  ck_assert_msg(decode(&p, &bytes), "%s", error.message);
  ck_assert_msg(strstr(p.oddity, harmless[_i].words) != NULL, "%s", p.oddity);
  ck_assert_mem_eq(p.rgb, clean.rgb, rgb_bytes(&clean));
  picture_free(&p);
  picture_free(&clean);
}
END_TEST

START_TEST(bytes_after_the_end_are_no_matter) {
  static Bytes bytes;
  Picture p;
  read_corpus(&bytes, "rgb.jpg");
  insert(&bytes, bytes.size, "trailer", 7);
  ck_assert_msg(decode(&p, &bytes), "%s", error.message);
  ck_assert_str_eq(p.oddity, "");
  picture_free(&p);
}
END_TEST

/* Damage --------------------------------------------------------------------------------------*/

/* Noise with a restart marker after every row of blocks. */
static void make_jpeg(Bytes *bytes) {
  enum { SIDE = 64 };
  struct jpeg_error_mgr manager;
  struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&manager)};
  unsigned char *out = bytes->at;
  unsigned long size = sizeof bytes->at;
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &out, &size);
  jpeg.image_width = jpeg.image_height = SIDE;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg.restart_in_rows = 1;
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < SIDE; y++) {
    uint8_t row[SIDE * 3];
    JSAMPROW rows[] = {row};
    for (int i = 0; i < SIDE * 3; i++)
      row[i] = (uint8_t)random_bits(1, 0, 0, (uint64_t)y, (uint32_t)i);
    jpeg_write_scanlines(&jpeg, rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  ck_assert_ptr_eq(out, bytes->at); /* it was large enough */
  bytes->size = size;
}

static void expect_damage(const Bytes *bytes, const char *words) {
  Picture p;
  ck_assert(!decode(&p, bytes));
  ck_assert_int_eq(error.code, EXIT_DATA);
  ck_assert_ptr_null(p.rgb);
  ck_assert_msg(strstr(error.message, words), "%s", error.message);
}

START_TEST(lost_picture_data_is_an_error) {
  static Bytes bytes, whole;
  make_jpeg(&whole);
  Picture p;
  ck_assert_msg(decode(&p, &whole), "%s", error.message);
  picture_free(&p);
  for (size_t cut = 1; cut < whole.size - 700; cut += 97) {
    bytes = whole;
    bytes.size -= cut;
    expect_damage(&bytes, "x: damaged JPEG: Premature end of JPEG file");
  }
  bytes = whole; /* a restart that is missing */
  size_t restart = find(&bytes, "\xFF\xD1", 2);
  memmove(bytes.at + restart, bytes.at + restart + 2, bytes.size - restart - 2);
  bytes.size -= 2;
  expect_damage(&bytes, "x: damaged JPEG: Corrupt JPEG data");
  bytes = whole; /* ones only are in no Huffman table */
  size_t scan = find(&bytes, "\xFF\xDA", 2) + 14;
  for (size_t i = scan; i < scan + 40; i += 2) memcpy(bytes.at + i, "\xFF", 2);
  expect_damage(&bytes, "x: damaged JPEG: Corrupt JPEG data: bad Huffman code");
  bytes = whole; /* half of the data of a row of blocks */
  size_t row = find(&bytes, "\xFF\xD1", 2), next = find(&bytes, "\xFF\xD2", 2);
  size_t half = row + 2 + (next - row) / 2;
  memmove(bytes.at + half, bytes.at + next, bytes.size - next);
  bytes.size -= next - half;
  expect_damage(&bytes, "x: damaged JPEG: Corrupt JPEG data: premature end of data segment");
}
END_TEST

/* A picture whose last scan comes so many times: each time the library goes over all of it. */
static void make_scans(Bytes *bytes, int scans) {
  static const jpeg_scan_info script[] = {{1, {0}, 0, 0, 0, 0}, {1, {0}, 1, 63, 0, 0}};
  struct jpeg_error_mgr manager;
  struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&manager)};
  unsigned char *out = bytes->at;
  unsigned long size = sizeof bytes->at;
  JSAMPLE row[8] = {0, 255, 0, 255};
  JSAMPROW rows[] = {row};
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &out, &size);
  jpeg.image_width = jpeg.image_height = 8;
  jpeg.input_components = 1;
  jpeg.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&jpeg);
  jpeg.scan_info = script;
  jpeg.num_scans = 2;
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < 8; y++) jpeg_write_scanlines(&jpeg, rows, 1);
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  bytes->size = size;
  size_t last = bytes->size - 2, end = last; /* the end marker follows it */
  while (memcmp(bytes->at + last, "\xFF\xDA", 2) != 0) last--;
  char scan[64];
  ck_assert_uint_le(end - last, sizeof scan);
  memcpy(scan, bytes->at + last, end - last);
  for (int i = 2; i < scans; i++) insert(bytes, end, scan, end - last);
}

START_TEST(endless_scans_are_refused) {
  static Bytes bytes;
  Picture p;
  make_scans(&bytes, 500);
  ck_assert_msg(decode(&p, &bytes), "%s", error.message);
  picture_free(&p);
  make_scans(&bytes, 501);
  expect_damage(&bytes, "x: damaged JPEG: more than 500 scans");
}
END_TEST

START_TEST(damaged_pngs_are_refused) {
  static Bytes bytes;
  read_corpus(&bytes, "rgb.png");
  for (size_t size = 8; size < bytes.size; size++) {
    Bytes cut = bytes;
    cut.size = size;
    expect_damage(&cut, "x: damaged PNG: ");
  }
  bytes.at[find(&bytes, "IDAT", 4) + 9] ^= 4;
  expect_damage(&bytes, "x: damaged PNG: ");
}
END_TEST

START_TEST(other_formats_are_named) {
  static Bytes bytes = {"RIFF\x10\0\0\0WEBPVP8 ", 16};
  expect_damage(&bytes, "x: neither a JPEG nor a PNG, but a WebP");
  bytes.size = 11;
  expect_damage(&bytes, "x: neither a JPEG nor a PNG");
  ck_assert_ptr_null(strstr(error.message, "but"));
  bytes.size = 0;
  expect_damage(&bytes, "x: the file is empty");
}
END_TEST

START_TEST(what_is_no_file_is_refused_at_once) {
  char folder[] = "/tmp/maebench-test-XXXXXX", path[64];
  Picture p;
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/a.jpg", folder);
  ck_assert_int_eq(mkfifo(path, 0600), 0);
  ck_assert(!picture_read(&p, path, NULL, &error)); /* and does not wait for a writer */
  ck_assert_int_eq(error.code, EXIT_DATA);
  ck_assert_msg(strstr(error.message, "a.jpg: cannot open: not a file"), "%s", error.message);
  unlink(path);
  ck_assert(!picture_read(&p, folder, NULL, &error));
  ck_assert(!picture_read(&p, "/dev/zero", NULL, &error));
  rmdir(folder);
}
END_TEST

/* Reduction -----------------------------------------------------------------------------------*/

static void count_bytes(void *user, size_t bytes) {
  *(size_t *)user += bytes;
}

/* Against the definition: the mean of each f x f block, halves rounded up. */
START_TEST(reduction_averages_blocks) {
  static const int sizes[][3] = {{20, 13, 5}, {13, 20, 4}, {64, 65, 8}, {9, 40, 9}, {31, 31, 2}};
  int width = sizes[_i][0], height = sizes[_i][1], side = sizes[_i][2];
  int f = (width < height ? width : height) / side;
  char folder[] = "/tmp/maebench-test-XXXXXX", path[64];
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/a.png", folder);
  uint8_t *rgb = malloc((size_t)(width * height * 3));
  for (int i = 0; i < width * height * 3; i++)
    rgb[i] = (uint8_t)random_bits(2, 0, 0, (uint64_t)_i, (uint32_t)i);
  ck_assert_msg(picture_write_png(path, rgb, width, height, &error), "%s", error.message);
  Picture p;
  size_t taken = 0;
  const PictureRoom room = {count_bytes, &taken};
  ck_assert_msg(picture_read(&p, path, &(PictureOptions){.side = side, .room = &room}, &error),
                "%s", error.message);
  ck_assert_int_eq(p.width, width / f);
  ck_assert_int_eq(p.height, height / f);
  ck_assert_uint_gt(taken, rgb_bytes(&p)); /* it, and the file */
  for (int y = 0; y < p.height; y++)
    for (int i = 0; i < p.width * 3; i++) {
      int sum = 0;
      for (int k = 0; k < f * f; k++)
        sum += rgb[((y * f + k / f) * width + i / 3 * f + k % f) * 3 + i % 3];
      ck_assert_int_eq(p.rgb[y * p.width * 3 + i], (2 * sum + f * f) / (2 * f * f));
    }
  picture_free(&p);
  free(rgb);
  unlink(path);
  rmdir(folder);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("picture");
  TCase *cases = tcase_create("picture");
  tcase_set_timeout(cases, 60);
  tcase_add_loop_test(cases, stored_pictures_are_read_as_pillow_does, 0,
                      sizeof stored / sizeof *stored);
  tcase_add_test(cases, fresh_pictures_are_read_as_pillow_does);
  tcase_add_loop_test(cases, harmless_faults_are_read_past_and_told, 0,
                      sizeof harmless / sizeof *harmless);
  tcase_add_test(cases, bytes_after_the_end_are_no_matter);
  tcase_add_test(cases, lost_picture_data_is_an_error);
  tcase_add_test(cases, damaged_pngs_are_refused);
  tcase_add_test(cases, endless_scans_are_refused);
  tcase_add_test(cases, other_formats_are_named);
  tcase_add_test(cases, what_is_no_file_is_refused_at_once);
  tcase_add_loop_test(cases, reduction_averages_blocks, 0, 5);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
