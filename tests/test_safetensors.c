/* The safetensors reader against hostile files, and the writer against the reader, against exact
 * bytes, and against the public Python package where there is one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mae/base/io.h"
#include "mae/model/safetensors.h"
#include "tests/suite.h"

static char folder[64], path[128];

static void setup(void) {
  strcpy(folder, "/tmp/test_safetensors-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/x.safetensors", folder);
}

static void teardown(void) {
  Error e;
  ck_assert(io_remove(folder, &e));
}

/* A file's bytes: length, header and `data` zero bytes; exactly allocated, so that the address
 * sanitizer sees a read past the end. */
static char *make(const char *header, size_t data, size_t *size) {
  uint64_t length = strlen(header);
  *size = sizeof length + length + data;
  char *bytes = calloc(1, *size);
  memcpy(bytes, &length, sizeof length);
  memcpy(bytes + sizeof length, header, length);
  return bytes;
}

#define T(name, dtype, shape, from, to)                                                            \
  "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static const struct {
  const char *header;
  size_t data;
  const char *message; /* NULL: accepted */
} cases[] = {
    {"{}", 0, NULL},
    {"{}   ", 0, NULL},
    {"{" T("a", "F32", "[2,3]", "0", "24") "}", 24, NULL},
    {"{" T("b", "F32", "[1]", "8", "12") "," T("a", "U64", "[]", "0", "8") "}", 12, NULL},
    {"{" T("a", "F32", "[0,7]", "0", "0") "," T("b", "U8", "[1]", "0", "1") "}", 1, NULL},
    {"{\"__metadata__\":{\"k\":\"v\"}," T("a", "U8", "[1]", "0", "1") "}", 1, NULL},
    {"", 0, "header"},
    {"[]", 0, "not a JSON object"},
    {"7", 0, "header"},
    {"{", 0, "header"},
    {"{}x", 0, "header"},
    {"{" T("a", "U8", "[1]", "0", "1") "," T("a", "U8", "[1]", "1", "2") "}", 2, "duplicate"},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "duplicate"},
    {"{\"a\":3}", 0, "dtype"},
    {"{\"a\\nb\\u001b\":3}", 0, "tensor \"a?b?\": missing"}, /* a message is one plain line */
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "dtype"},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "shape"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "data_offsets"},
    {"{" T("a", "F99", "[1]", "0", "4") "}", 4, "dtype"},
    {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "at most 8"},
    {"{" T("a", "F32", "[-1]", "0", "4") "}", 4, "non-negative"},
    {"{" T("a", "F32", "[1.0]", "0", "4") "}", 4, "non-negative"},
    {"{" T("a", "F32", "[\"1\"]", "0", "4") "}", 4, "non-negative"},
    {"{" T("a", "F32", "[4611686018427387905]", "0", "4") "}", 4, "too large"},
    {"{" T("a", "F32", "[4294967296,4294967296]", "0", "0") "}", 0, "too large"},
    {"{" T("a", "F32", "[99999999999999999999]", "0", "4") "}", 4, "header"},
    {"{" T("a", "F32", "[2]", "0", "4") "}", 4, "need 8"},
    {"{" T("a", "F32", "[1]", "0", "8") "}", 8, "need 4"},
    {"{" T("a", "F32", "[1]", "4", "0") "}", 4, "leave the data"},
    {"{" T("a", "F32", "[1]", "0", "4") "}", 3, "leave the data"},
    {"{" T("a", "F32", "[1]", "9223372036854775803", "9223372036854775807") "}", 4,
     "leave the data"},
    {"{" T("a", "F32", "[1]", "-4", "0") "}", 4, "pair"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "pair"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, "pair"},
    {"{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[4]", "2", "6") "}", 6, "overlaps"},
    {"{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[4]", "0", "4") "}", 4, "overlaps"},
    {"{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[1]", "5", "6") "}", 6, "gap"},
    {"{" T("a", "U8", "[4]", "1", "5") "}", 5, "gap"},
    {"{" T("a", "U8", "[4]", "0", "4") "}", 6, "belong to no tensor"},
    {"{}", 1, "belong to no tensor"},
    {"{\"__metadata__\":[]}", 0, "__metadata__"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__"},
    {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "header"},
    {"{\"\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "header"},
};

START_TEST(header_cases) {
  size_t size;
  char *bytes = make(cases[_i].header, cases[_i].data, &size);
  TensorFile file;
  Error e = {0};
  bool ok = safetensors_parse(&file, bytes, size, &e);
  ck_assert_msg(ok == !cases[_i].message, "%s: %s", cases[_i].header, e.message);
  if (ok)
    safetensors_close(&file);
  else
    ck_assert_msg(strstr(e.message, cases[_i].message) && e.code == EXIT_DATA, "%s: %s",
                  cases[_i].header, e.message);
  free(bytes);
}
END_TEST

START_TEST(header_length_is_checked) {
  static const uint64_t lengths[] = {3, 100000001, UINT64_MAX, UINT64_MAX - 7, 1ull << 63};
  for (int i = 0; i < 5; i++) {
    char bytes[10] = "........{}";
    memcpy(bytes, &lengths[i], 8);
    TensorFile file;
    Error e = {0};
    ck_assert(!safetensors_parse(&file, bytes, sizeof bytes, &e));
    ck_assert_ptr_nonnull(strstr(e.message, "header of"));
  }
}
END_TEST

/* Every prefix of a good file is refused. */
START_TEST(every_truncation_is_an_error) {
  size_t size;
  char *whole = make("{" T("a", "F32", "[2,3]", "0", "24") "}", 24, &size);
  for (size_t n = 0; n < size; n++) {
    char *part = malloc(n + 1); /* + 1: malloc(0) may be NULL */
    memcpy(part + 1, whole, n);
    TensorFile file;
    Error e = {0};
    ck_assert(!safetensors_parse(&file, part + 1, n, &e));
    free(part);
  }
  free(whole);
}
END_TEST

START_TEST(too_many_tensors) {
  size_t capacity = 100ull * (TENSOR_COUNT_MAX + 1), n = 1, size;
  char *header = malloc(capacity);
  header[0] = '{';
  for (int i = 0; i <= TENSOR_COUNT_MAX; i++)
    n += (size_t)snprintf(header + n, capacity - n,
                          "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                          i ? "," : "", i);
  snprintf(header + n, capacity - n, "}");
  char *bytes = make(header, 0, &size);
  TensorFile file;
  Error e = {0};
  ck_assert(!safetensors_parse(&file, bytes, size, &e));
  ck_assert_ptr_nonnull(strstr(e.message, "at most 100000"));
  free(bytes);
  free(header);
}
END_TEST

static const float weights[2][3] = {{1, 2, 3}, {-4, 0.5f, 1e-30f}};
static const uint64_t counter = 1ull << 60;
static const char *const metadata[] = {"format", "pt", "odd \"key\"", "line\nfeed"};

static void write_sample(void) {
  const Tensor tensors[] = {{.name = "z.weight",
                             .dtype = "F32",
                             .rank = 2,
                             .shape = {2, 3},
                             .data = weights,
                             .bytes = sizeof weights},
                            {.name = "empty", .dtype = "F16", .rank = 1, .shape = {0}},
                            {.name = "counter", .dtype = "U64", .data = &counter, .bytes = 8}};
  Error e = {0};
  ck_assert_msg(safetensors_write(path, tensors, 3, metadata, 2, &e), "%s", e.message);
}

START_TEST(what_is_written_is_read) {
  write_sample();
  TensorFile file;
  Error e = {0};
  ck_assert_msg(safetensors_open(&file, path, &e), "%s", e.message);
  ck_assert_int_eq(file.count, 3);
  const Tensor *tensor = safetensors_find(&file, "z.weight");
  ck_assert(tensor && tensor->rank == 2 && tensor->shape[0] == 2 && tensor->shape[1] == 3);
  ck_assert(tensor->bytes == sizeof weights && !memcmp(tensor->data, weights, sizeof weights));
  ck_assert_int_eq((uintptr_t)tensor->data % 8, 0);
  char text[256];
  safetensors_describe(text, sizeof text, tensor);
  ck_assert_str_eq(text, "F32 [2, 3]");
  tensor = safetensors_find(&file, "counter");
  ck_assert(tensor && tensor->rank == 0 && !memcmp(tensor->data, &counter, 8));
  ck_assert(safetensors_find(&file, "empty") && !safetensors_find(&file, "weight"));
  ck_assert_str_eq(safetensors_metadata(&file, "format"), "pt");
  ck_assert_str_eq(safetensors_metadata(&file, "odd \"key\""), "line\nfeed");
  ck_assert_ptr_null(safetensors_metadata(&file, "pt"));
  safetensors_close(&file);
}
END_TEST

/* The exact bytes that the public implementation writes for one tensor: header padded to 8. */
START_TEST(layout_is_the_public_one) {
  static const char want[] = "\x38\0\0\0\0\0\0\0"
                             "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}"
                             "   "
                             "xyz";
  const Tensor tensor = {
      .name = "a", .dtype = "U8", .rank = 1, .shape = {3}, .data = "xyz", .bytes = 3};
  Error e = {0};
  ck_assert(safetensors_write(path, &tensor, 1, NULL, 0, &e));
  char got[256];
  FILE *f = fopen(path, "rb");
  size_t size = fread(got, 1, sizeof got, f);
  fclose(f);
  ck_assert_int_eq(size, sizeof want - 1);
  ck_assert(!memcmp(got, want, size));
}
END_TEST

/* With the Python package when it is installed, else with the format's definition in ten lines. */
START_TEST(python_reads_it) {
  write_sample();
  char command[2048];
  snprintf(command, sizeof command,
           "python3 - '%s' <<'EOF'\n"
           "import json, struct, sys\n"
           "data = open(sys.argv[1], 'rb').read()\n"
           "size = struct.unpack('<Q', data[:8])[0]\n"
           "header = json.loads(data[8:8 + size])\n"
           "assert size %% 8 == 0 and header.pop('__metadata__') == "
           "{'format': 'pt', 'odd \"key\"': 'line\\nfeed'}\n"
           "assert list(header) == ['z.weight', 'empty', 'counter']\n"
           "def get(name, code):\n"
           "  begin, end = header[name]['data_offsets']\n"
           "  return struct.unpack(code, data[8 + size + begin:8 + size + end])\n"
           "assert get('z.weight', '<6f')[:5] == (1, 2, 3, -4, 0.5)\n"
           "assert get('counter', '<Q') == (1 << 60,)\n"
           "try: from safetensors import safe_open\n"
           "except ImportError: sys.exit(0)\n"
           "with safe_open(sys.argv[1], 'numpy') as f:\n"
           "  assert sorted(f.keys()) == ['counter', 'empty', 'z.weight']\n"
           "  assert f.metadata()['format'] == 'pt'\n"
           "  assert f.get_tensor('z.weight')[0].tolist() == [1, 2, 3]\n"
           "EOF",
           path);
  if (system("python3 -c '' 2>/dev/null")) return;
  ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(open_names_the_file) {
  TensorFile file;
  Error e = {0};
  ck_assert(!safetensors_open(&file, path, &e));
  ck_assert_ptr_nonnull(strstr(e.message, path));
  ck_assert(!safetensors_open(&file, folder, &e));
  ck_assert_ptr_nonnull(strstr(e.message, "not a file"));
  FILE *f = fopen(path, "wb");
  fclose(f);
  ck_assert(!safetensors_open(&file, path, &e));
  ck_assert_ptr_nonnull(strstr(e.message, "empty"));
  f = fopen(path, "wb");
  fputs("GIF89a, not tensors", f);
  fclose(f);
  ck_assert(!safetensors_open(&file, path, &e));
  ck_assert(strstr(e.message, path) && strstr(e.message, "not a safetensors file"));
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("safetensors");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, header_cases, 0, sizeof cases / sizeof *cases);
  tcase_add_test(tc, header_length_is_checked);
  tcase_add_test(tc, every_truncation_is_an_error);
  tcase_add_test(tc, too_many_tensors);
  tcase_add_test(tc, what_is_written_is_read);
  tcase_add_test(tc, layout_is_the_public_one);
  tcase_add_test(tc, python_reads_it);
  tcase_add_test(tc, open_names_the_file);
  Suite *suite = suite_create("safetensors");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
