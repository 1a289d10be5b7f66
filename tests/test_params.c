/* The parameter table: public names and shapes, counts, arena layout, and initial values against
 * plain double-precision statements of the rules. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mae/model/params.h"
#include "tests/suite.h"

static void set(Config *c, const char *key, const char *value) {
  Error e = {0};
  ck_assert_msg(config_set(c, key, value, NULL, &e), "%s", e.message);
}

static Config vit_base(const char *decoder) {
  Config c;
  config_init(&c);
  set(&c, "model.image_size", "224");
  set(&c, "model.patch_size", "16");
  set(&c, "model.encoder", "vit_base");
  set(&c, "model.decoder", decoder);
  return c;
}

static ParamTable build(const Config *c) {
  ParamTable t;
  Error e = {0};
  ck_assert_msg(params_build(&t, c, &e), "%s", e.message);
  return t;
}

START_TEST(counts_are_the_published_ones) {
  static const struct {
    const char *decoder;
    size_t count;
  } cases[] = {{"512x8x16", 26008320}, {"384x12x6", 21885696}};
  Config c = vit_base(cases[_i].decoder);
  ParamTable t = build(&c);
  ck_assert_uint_eq(params_count_encoder(&t), 85647360);
  ck_assert_uint_eq(params_count_decoder(&t), cases[_i].count);
  params_free(&t);
}
END_TEST

START_TEST(names_and_shapes_are_the_public_checkpoints) {
  static const struct {
    const char *name;
    int shape[4];
    bool decays, trainable;
  } expected[] = {
      {"cls_token", {1, 1, 768}, true, true},
      {"pos_embed", {1, 197, 768}, false, false},
      {"mask_token", {1, 1, 512}, true, true},
      {"decoder_pos_embed", {1, 197, 512}, false, false},
      {"patch_embed.proj.weight", {768, 3, 16, 16}, true, true},
      {"patch_embed.proj.bias", {768}, false, true},
      {"blocks.0.norm1.weight", {768}, false, true},
      {"blocks.0.norm1.bias", {768}, false, true},
      {"blocks.0.attn.qkv.weight", {2304, 768}, true, true},
      {"blocks.0.attn.qkv.bias", {2304}, false, true},
      {"blocks.0.attn.proj.weight", {768, 768}, true, true},
      {"blocks.0.attn.proj.bias", {768}, false, true},
      {"blocks.0.norm2.weight", {768}, false, true},
      {"blocks.0.norm2.bias", {768}, false, true},
      {"blocks.0.mlp.fc1.weight", {3072, 768}, true, true},
      {"blocks.0.mlp.fc1.bias", {3072}, false, true},
      {"blocks.0.mlp.fc2.weight", {768, 3072}, true, true},
      {"blocks.0.mlp.fc2.bias", {768}, false, true},
      {"norm.weight", {768}, false, true},
      {"decoder_embed.weight", {512, 768}, true, true},
      {"decoder_embed.bias", {512}, false, true},
      {"decoder_blocks.7.mlp.fc2.weight", {512, 2048}, true, true},
      {"decoder_norm.bias", {512}, false, true},
      {"decoder_pred.weight", {768, 512}, true, true},
      {"decoder_pred.bias", {768}, false, true},
  };
  Config c = vit_base("512x8x16");
  ParamTable t = build(&c);
  ck_assert_int_eq(t.count, 4 + 2 + 12 * 12 + 2 + 2 + 8 * 12 + 2 + 2);
  int last = -1;
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    const Param *p = params_find(&t, expected[i].name);
    ck_assert_msg(p != NULL, "%s is missing", expected[i].name);
    ck_assert_msg(!memcmp(p->shape, expected[i].shape, sizeof p->shape), "%s", p->name);
    ck_assert_msg(p->decays == expected[i].decays, "%s", p->name);
    ck_assert_msg(p->trainable == expected[i].trainable, "%s", p->name);
    ck_assert_msg(p - t.list > last, "%s is out of order", p->name);
    last = (int)(p - t.list);
  }
  params_free(&t);
}
END_TEST

static void without_class_token(Config *c) {
  set(c, "model.class_token", "false");
}
static void learned(Config *c) {
  set(c, "model.pos_embed", "learned");
  set(c, "model.decoder_pos_embed", "learned");
}
static void no_positions(Config *c) {
  set(c, "model.pos_embed", "none");
  set(c, "model.decoder_pos_embed", "none");
}
static void symmetric(Config *c) {
  set(c, "model.encoder_mask_tokens", "true");
}
static void plain(Config *c) {
  (void)c;
}

START_TEST(variants_have_the_tables_they_need) {
  static const struct {
    void (*vary)(Config *);
    int cls, pos_rows, decays, mask, encoder_mask; /* pos_rows 0: no table */
  } cases[] = {
      {plain, 1, 65, 0, 1, 0},     {without_class_token, 0, 64, 0, 1, 0},
      {learned, 1, 65, 1, 1, 0},   {no_positions, 1, 0, 0, 1, 0},
      {symmetric, 1, 65, 0, 0, 1},
  };
  Config c;
  config_init(&c);
  cases[_i].vary(&c);
  ParamTable t = build(&c);
  const Param *pos = params_find(&t, "pos_embed");
  ck_assert_int_eq(params_find(&t, "cls_token") != NULL, cases[_i].cls);
  ck_assert_int_eq(params_find(&t, "mask_token") != NULL, cases[_i].mask);
  ck_assert_int_eq(params_find(&t, "encoder_mask_token") != NULL, cases[_i].encoder_mask);
  ck_assert_int_eq(pos ? pos->shape[1] : 0, cases[_i].pos_rows);
  if (pos) ck_assert_int_eq(pos->decays && pos->trainable, cases[_i].decays);
  params_free(&t);
}
END_TEST

/* Every element of the arena belongs to one parameter or is padding, and each part of the arena
 * holds the parameters it says. */
START_TEST(arena_parts_hold_what_they_say) {
  Config c;
  config_init(&c);
  set(&c, "model.pos_embed", "learned");
  ParamTable t = build(&c);
  char *owned = calloc(t.total, 1);
  for (int i = 0; i < t.count; i++) {
    const Param *p = &t.list[i];
    ck_assert_uint_eq(p->offset % 16, 0);
    size_t end = p->offset + p->count;
    ck_assert(end <= t.total);
    ck_assert_msg(p->decays == (end <= t.decayed), "%s", p->name);
    ck_assert_msg(p->trainable == (end <= t.trainable), "%s", p->name);
    ck_assert(p->offset >= t.decayed || end <= t.decayed);
    ck_assert_msg(!memchr(owned + p->offset, 1, p->count), "%s overlaps another", p->name);
    memset(owned + p->offset, 1, p->count);
  }
  free(owned);
  params_free(&t);
}
END_TEST

static double largest(const float *x, size_t n) {
  double most = 0;
  for (size_t i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
  return most;
}

static double deviation(const float *x, size_t n) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += x[i], squares += (double)x[i] * x[i];
  return sqrt(squares / (double)n - sum * sum / ((double)n * (double)n));
}

START_TEST(initial_values_follow_the_rules) {
  Config c;
  config_init(&c);
  set(&c, "model.decoder_pos_embed", "learned");
  ParamTable t = build(&c);
  float *arena = malloc(t.total * sizeof *arena);
  memset(arena, 0xff, t.total * sizeof *arena);
  params_init(&t, arena, &c);
#define VALUES(name) (arena + params_find(&t, name)->offset)
  double qkv = sqrt(6.0 / (3 * 192 + 192)), patch = sqrt(6.0 / (192 + 192));
  ck_assert_double_eq_tol(largest(VALUES("blocks.3.attn.qkv.weight"), 3 * 192 * 192), qkv, 1e-4);
  ck_assert_double_eq_tol(deviation(VALUES("blocks.3.attn.qkv.weight"), 3 * 192 * 192),
                          qkv / sqrt(3), 0.01 * qkv);
  ck_assert_double_eq_tol(largest(VALUES("patch_embed.proj.weight"), 192 * 192), patch, 1e-4);
  ck_assert_double_le(largest(VALUES("patch_embed.proj.bias"), 192), 1 / sqrt(192));
  ck_assert_double_eq_tol(deviation(VALUES("patch_embed.proj.bias"), 192), 1 / sqrt(3 * 192),
                          0.1 / sqrt(3 * 192));
  ck_assert_double_eq_tol(deviation(VALUES("decoder_pos_embed"), 65 * 96), 0.02, 0.001);
  ck_assert_double_eq_tol(deviation(VALUES("cls_token"), 192), 0.02, 0.004);
  ck_assert_double_eq(largest(VALUES("blocks.3.attn.qkv.bias"), 3 * 192), 0);
  for (int i = 0; i < 192; i++) ck_assert_float_eq(VALUES("norm.weight")[i], 1);
  ck_assert(memcmp(VALUES("blocks.0.attn.proj.weight"), VALUES("blocks.1.attn.proj.weight"), 4096));
  /* Padding is zero: what is left when every parameter is taken out. */
  for (int i = 0; i < t.count; i++)
    memset(arena + t.list[i].offset, 0, t.list[i].count * sizeof *arena);
  ck_assert_double_eq(largest(arena, t.total), 0);
  free(arena);
  params_free(&t);
}
END_TEST

/* Checks of a positional table of 1 + 8 x 8 rows of 192, the first the class token's, at its
 * initial values; NULL when there is none. */
static void check_fixed(const Param *param, const float *table, bool two_dimensional) {
  ck_assert(param && !param->trainable && !param->decays);
  for (int j = 0; j < 192; j++) ck_assert_float_eq(table[j], 0);
  for (int l = 0; l < 64; l++)
    for (int j = 0; j < 192; j++) {
      int half = two_dimensional ? 96 : 192, quarter = half / 2, i = j % half;
      double position = !two_dimensional ? l : j < half ? l % 8 : l / 8;
      double angle = position * pow(10000, -(i % quarter) / (double)quarter);
      double value = i < quarter ? sin(angle) : cos(angle);
      ck_assert_float_eq(table[(1 + l) * 192 + j], (float)value);
    }
}

static void check_sincos2d(const Param *param, const float *table) {
  check_fixed(param, table, true);
}

static void check_sincos1d(const Param *param, const float *table) {
  check_fixed(param, table, false);
}

static void check_learned(const Param *param, const float *table) {
  ck_assert(param && param->trainable && param->decays);
  ck_assert_double_eq_tol(deviation(table, param->count), 0.02, 0.001);
}

static void check_none(const Param *param, const float *table) {
  ck_assert(param == NULL && table == NULL);
}

static void (*const position_checks[POS_EMBED_COUNT])(const Param *, const float *) = {
    [POS_SINCOS2D] = check_sincos2d,
    [POS_SINCOS1D] = check_sincos1d,
    [POS_LEARNED] = check_learned,
    [POS_NONE] = check_none,
};

START_TEST(position_tables_are_what_their_names_say) {
  static const char *const names[] = {POS_EMBEDS(CHOICE_NAME)};
  ck_assert_msg(position_checks[_i] != NULL,
                "model.pos_embed = %s: nothing checks its table: add a function to "
                "`position_checks`",
                names[_i]);
  Config c;
  config_init(&c);
  set(&c, "model.pos_embed", names[_i]);
  ParamTable t = build(&c);
  float *arena = malloc(t.total * sizeof *arena);
  params_init(&t, arena, &c);
  const Param *param = params_find(&t, "pos_embed");
  position_checks[_i](param, param ? arena + param->offset : NULL);
  free(arena);
  params_free(&t);
}
END_TEST

/* A parameter's draws depend on the seed and its name alone. */
START_TEST(draws_do_not_depend_on_other_parameters) {
  Config a, b;
  config_init(&a);
  config_init(&b);
  set(&b, "model.class_token", "false");
  set(&b, "model.decoder", "96x1x3");
  ParamTable ta = build(&a), tb = build(&b);
  float *xa = malloc(ta.total * sizeof *xa), *xb = malloc(tb.total * sizeof *xb);
  params_init(&ta, xa, &a);
  params_init(&tb, xb, &b);
  int compared = 0;
  for (int i = 0; i < tb.count; i++) {
    const Param *p = &tb.list[i], *q = params_find(&ta, p->name);
    if (!p->trainable) continue;
    ck_assert_msg(!memcmp(xb + p->offset, xa + q->offset, p->count * sizeof *xa), "%s", p->name);
    compared++;
  }
  ck_assert_int_gt(compared, 80);
  set(&b, "run.seed", "12345");
  params_init(&tb, xb, &b);
  const Param *p = params_find(&tb, "decoder_pred.weight");
  const Param *q = params_find(&ta, "decoder_pred.weight");
  ck_assert(memcmp(xb + p->offset, xa + q->offset, p->count * sizeof *xa));
  free(xa);
  free(xb);
  params_free(&ta);
  params_free(&tb);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("params");
  tcase_set_timeout(tc, 120);
  tcase_add_loop_test(tc, counts_are_the_published_ones, 0, 2);
  tcase_add_test(tc, names_and_shapes_are_the_public_checkpoints);
  tcase_add_loop_test(tc, variants_have_the_tables_they_need, 0, 5);
  tcase_add_test(tc, arena_parts_hold_what_they_say);
  tcase_add_test(tc, initial_values_follow_the_rules);
  tcase_add_loop_test(tc, position_tables_are_what_their_names_say, 0, POS_EMBED_COUNT);
  tcase_add_test(tc, draws_do_not_depend_on_other_parameters);
  Suite *suite = suite_create("params");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
