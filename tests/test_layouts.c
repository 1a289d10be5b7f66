/* Layouts: TinyImageNet as people pass it on has the images and the order of the published one;
 * held-out folders by other names; a held-out share that is drawn. */
#include "tests/data_sets.h"

#define NO_ANNOTATIONS "rm images/val/val_annotations.txt"
#define FLAT_TRAIN "for c in images/train/*; do mv $c/images/* $c/ && rmdir $c/images; done"
#define DUST "for d in $(find images -type d); do touch $d/.DS_Store $d/._val_0.JPEG; done"

/* What is done to the published layout, one shell command after another. "sort" moves the held-out
 * images into class folders; the word after it is what comes below a class. */
static const char *const layouts[][5] = {
    {"sort", "/images"},
    {"sort", ""},
    {"sort", "/images", NO_ANNOTATIONS},
    {"sort", "", NO_ANNOTATIONS},
    {FLAT_TRAIN},
    {"rm images/wnids.txt"},
    {"rm images/wnids.txt images/words.txt", FLAT_TRAIN, "sort", "", NO_ANNOTATIONS},
    {"mv images/val images/valid"},
    {"sort", "", NO_ANNOTATIONS, "mv images/val images/validation"},
    {"sort", "", NO_ANNOTATIONS, "rm -r images/test && mv images/val images/test"},
    {"mkdir -p a/tiny-imagenet-200 && mv images a/tiny-imagenet-200/tiny-imagenet-200 && mv a "
     "images"},
    {"mkdir a && mv images 'a/Bilder für alle ☃' && mv a images"},
    {"mkdir -p a/__MACOSX && cp -r images a/__MACOSX/x && mv images a/$(printf 'long%060d' 1) && "
     "mv "
     "a images"},
    {DUST},
    {"mv images/val/images/* images/val/ && rmdir images/val/images"},
};

static void apply(const char *const *commands) {
  char text[1024];
  for (int i = 0; i < 5 && commands[i]; i++) {
    bool sort = !strcmp(commands[i], "sort");
    const char *below = sort ? commands[i + 1] : "";
    snprintf(text, sizeof text, "cd '%s' && ", test_folder);
    size_t used = strlen(text);
    if (sort)
      snprintf(text + used, sizeof text - used,
               "cd images/val && while read name wnid rest; do mkdir -p $wnid%s && mv images/$name "
               "$wnid%s/; done < val_annotations.txt && rmdir images",
               below, below);
    else
      snprintf(text + used, sizeof text - used, "%s", commands[i]);
    ck_assert_msg(system(text) == 0, "%s", text);
    i += sort;
  }
}

START_TEST(every_layout_has_the_published_content) {
  char published[65], now[65];
  make_published();
  open_data();
  ck_assert_int_eq(data.train_count, 6);
  ck_assert_int_eq(data.eval_count, 12);
  for (int k = 0; k < 6; k++) expect_png(&data.train[k], k, 8, 8, k / 2);
  for (int k = 0; k < 12; k++) expect_png(&data.eval[k], 20 + k, 8, 8, k * 2 % 3);
  data_close(&data);
  content_hash(published);
  apply(layouts[_i]);
  content_hash(now);
  ck_assert_str_eq(now, published);
}
END_TEST

START_TEST(classes_that_wnids_does_not_list_are_told) {
  make_published();
  shell("mkdir -p images/train/%s/images", "n99999999");
  write_png("images/train/n99999999/images/a.JPEG", 1, 8, 8);
  open_data();
  ck_assert_int_eq(data.train_count, 6);
  ck_assert_str_eq(data.passed_over, "1 file passed over: 1 unlisted folders");
  data_close(&data);
  shell("rm %s", "images/wnids.txt"); /* now the folders are the classes */
  open_data();
  ck_assert_int_eq(data.train_count, 7);
}
END_TEST

START_TEST(what_is_ambiguous_or_missing_is_named) {
  char path[PATH_SIZE];
  make_published();
  shell("cp -r images %s", "copy && mkdir both && mv copy images both");
  set("data.path", in_folder(path, "both"));
  expect_refusal("both/copy and ");
  expect_refusal("both/images are both data sets: set data.path to one of them");
  set("data.path", in_folder(path, "both/images"));
  shell("rm -r both/images/val both/images/%s", "test");
  expect_refusal("both/images: no held-out images: none of val, valid, validation and test is a "
                 "folder of classes there; data.holdout = 0.1 draws");
  shell("mkdir -p both/images/val/%s", "n00000001");
  expect_refusal("both/images/val/n00000001: this class is not in wnids.txt");
  set("data.path", in_folder(path, "both/copy"));
  shell("truncate -s +1 both/copy/val/%s", "val_annotations.txt");
  expect_refusal("val/val_annotations.txt: damaged: a text file with a byte 0 at ");
}
END_TEST

/* Folders of classes by other names -----------------------------------------------------------*/

START_TEST(imagefolder_finds_its_folders) {
  static const char *const names[] = {"val", "valid", "validation", "test"};
  char sha256[65], now[65];
  set("data.source", "imagefolder");
  shell("mkdir -p images/train/%s images/train/dog images/val/cat", "cat");
  write_png("images/train/cat/a.png", 0, 9, 7);
  write_png("images/train/dog/a.png", 1, 9, 7);
  write_png("images/val/cat/a.png", 2, 9, 7);
  content_hash(sha256);
  for (int i = 1; i < 4; i++) {
    char command[64];
    snprintf(command, sizeof command, "mv images/%s images/%s", names[i - 1], names[i]);
    shell("%s", command);
    content_hash(now);
    ck_assert_str_eq(now, sha256);
  }
  shell("mkdir -p a/%s && mv images a/b/images && mv a images", "b");
  content_hash(now);
  ck_assert_str_eq(now, sha256);
}
END_TEST

/* A drawn share -------------------------------------------------------------------------------*/

static void make_classes(void) {
  set("data.source", "imagefolder");
  for (int k = 0; k < 40; k++) {
    char name[64];
    snprintf(name, sizeof name, "images/train/%c", 'a' + k / 10);
    shell("mkdir -p %s", name);
    snprintf(name, sizeof name, "images/train/%c/%d.png", 'a' + k / 10, k % 10);
    write_png(name, k, 4, 4);
  }
}

static int number_of(const PackImage *image) {
  int k = 0;
  while (value_at(k, 0, 0, 0) != data.pixels[image->offset]) k++;
  return k;
}

START_TEST(a_drawn_share_is_held_out) {
  int held[8], seen[40] = {0};
  make_classes();
  expect_refusal("no held-out images");
  set("data.holdout", "0.2");
  open_data();
  ck_assert_int_eq(data.train_count, 32);
  ck_assert_int_eq(data.eval_count, 8);
  for (int i = 0; i < 40; i++) {
    const PackImage *image = &data.train[i]; /* the held-out ones follow */
    int k = number_of(image);
    ck_assert_int_eq(image->label, k / 10);
    seen[k]++;
    if (i > 0 && i < 32) ck_assert_int_gt(k, number_of(image - 1));
    if (i >= 32) held[i - 32] = k;
  }
  for (int k = 0; k < 40; k++) ck_assert_int_eq(seen[k], 1);
  data_close(&data);
  /* Neither a run's seed nor the number of training images changes them; nor is a held-out folder
   * of use. */
  set("run.seed", "77");
  config.data.train_images = 10;
  shell("mkdir -p images/%s/a && cp images/train/a/0.png images/val/a/", "val");
  open_data();
  ck_assert_int_eq(data.train_count, 10);
  ck_assert_int_eq(data.eval_count, 8);
  for (int i = 0; i < 8; i++) ck_assert_int_eq(number_of(&data.eval[i]), held[i]);
  data_close(&data);
  set("data.holdout", "0.4");
  open_data();
  ck_assert_int_eq(data.eval_count, 16);
}
END_TEST

START_TEST(a_share_of_cifar_is_held_out) {
  char name[64];
  int seen[13] = {0};
  set("data.source", "cifar10");
  set("data.holdout", "0.3");
  shell("mkdir -p %s", "images");
  for (int b = 0; b < 5; b++) {
    snprintf(name, sizeof name, "images/data_batch_%d.bin", b + 1);
    write_cifar(name, 2, 2 * b);
  }
  write_cifar("images/test_batch.bin", 3, 10);
  open_data();
  ck_assert_int_eq(data.train_count, 7);
  ck_assert_int_eq(data.eval_count, 3);
  for (int i = 0; i < 10; i++) {
    int k = data.train[i].label;
    expect_png(&data.train[i], k, 32, 32, k);
    seen[k]++;
  }
  for (int k = 0; k < 10; k++) ck_assert_int_eq(seen[k], 1);
}
END_TEST

START_TEST(a_share_counts_in_the_hash_where_it_is_set) {
  char before[65], after[65];
  Config plain;
  config_init(&plain);
  config_hash(&plain, before);
  ck_assert(config_set(&plain, "data.holdout", "0", NULL, &error));
  config_hash(&plain, after);
  ck_assert_str_eq(before, after);
  ck_assert(config_set(&plain, "data.holdout", "0.1", NULL, &error));
  config_hash(&plain, after);
  ck_assert_str_ne(before, after);
  ck_assert(!config_validate(&plain, &error)); /* shapes */
  ck_assert_int_eq(error.code, EXIT_CONFIG);
  ck_assert_msg(strstr(error.message, "data.holdout is for"), "%s", error.message);
}
END_TEST

/* mae data info -------------------------------------------------------------------------------*/

static char *info(const char *options) {
  char command[256], path[PATH_SIZE];
  static char text[8192];
  snprintf(command, sizeof command, "data info data.source=tiny-imagenet data.path=@/images %s",
           options);
  int code = run_mae(command);
  FILE *file = fopen(in_folder(path, "output"), "r");
  ck_assert_ptr_nonnull(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  ck_assert_msg(code == 0, "%s", text);
  return text;
}

static void expect_words(const char *text, const char *words) {
  ck_assert_msg(strstr(text, words) != NULL, "'%s' is not in %s", words, text);
}

START_TEST(info_counts_by_class_and_knows_a_modified_copy) {
  make_published();
  expect_words(info(""), "classes       3, each with 2 training and 4 held-out images\n");
  expect_words(info(""),
               "modified      not TinyImageNet as published: 3 classes, 6 training and 12 "
               "held-out\n");
  expect_words(info("--classes"), "n01629819                  2       4\n");
  shell("rm images/train/%s/images/*_1.JPEG", "n01629819");
  expect_words(info(""), "3, each with 1 to 2 training and 4 held-out images\n");
  json_error_t problem;
  json_t *object = json_loads(info("--json"), 0, &problem);
  ck_assert_ptr_nonnull(object);
  json_t *class = json_array_get(json_object_get(object, "classes"), 1);
  ck_assert_str_eq(json_string_value(json_object_get(class, "name")), "n01629819");
  ck_assert_int_eq(json_integer_value(json_object_get(class, "train_images")), 1);
  ck_assert_int_eq(json_integer_value(json_object_get(class, "eval_images")), 4);
  ck_assert(json_is_false(json_object_get(object, "as_published")));
  ck_assert_int_eq(json_integer_value(json_object_get(object, "found_train_images")), 5);
  json_decref(object);
}
END_TEST

START_TEST(info_tells_of_names_that_are_no_utf8) {
  set("data.source", "imagefolder");
  shell("mkdir -p 'images/train/caf%s' images/val/dog", "\351");
  write_png("images/train/caf\351/a.png", 0, 9, 7);
  write_png("images/val/dog/x.png", 4, 8, 8);
  open_data(); /* so that info has no packing to tell of */
  json_error_t problem;
  json_t *object = json_loads(info("--json data.source=imagefolder"), 0, &problem);
  ck_assert_ptr_nonnull(object);
  json_t *class = json_array_get(json_object_get(object, "classes"), 0);
  ck_assert_str_eq(json_string_value(json_object_get(class, "name")), "caf\uFFFD");
  ck_assert_int_eq(json_integer_value(json_object_get(object, "eval_images_of_other_classes")), 1);
  json_decref(object);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("layouts");
  TCase *cases = tcase_create("layouts");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_set_timeout(cases, 120);
  tcase_add_loop_test(cases, every_layout_has_the_published_content, 0,
                      sizeof layouts / sizeof *layouts);
  tcase_add_test(cases, classes_that_wnids_does_not_list_are_told);
  tcase_add_test(cases, what_is_ambiguous_or_missing_is_named);
  tcase_add_test(cases, imagefolder_finds_its_folders);
  tcase_add_test(cases, a_drawn_share_is_held_out);
  tcase_add_test(cases, a_share_of_cifar_is_held_out);
  tcase_add_test(cases, a_share_counts_in_the_hash_where_it_is_set);
  tcase_add_test(cases, info_counts_by_class_and_knows_a_modified_copy);
  tcase_add_test(cases, info_tells_of_names_that_are_no_utf8);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
