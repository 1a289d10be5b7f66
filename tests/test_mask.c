/* Masks: what holds for every strategy of the list in choices.h (exact counts, the same draw every
 * time, no patch left out), and for each strategy the property that makes it the one it is. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/model/mask.h"
#include "tests/suite.h"

enum { SIDE_MAX = 32, PATCHES_MAX = SIDE_MAX * SIDE_MAX };

/* keep = floor(L (1 - ratio)) worked out by hand in decimals. */
static const struct {
  int patches;
  double ratio;
  int keep;
} counts[] = {
    {196, .25, 147},   {196, .5, 98}, {196, .6, 78},  {196, .75, 49},  {196, .8, 39},
    {196, .85, 29},    {196, .9, 19}, {196, .95, 9},  {100, .8, 20},   {225, .8, 45},
    {100, .9, 10},     {100, .7, 30}, {100, .99, 1},  {100, .995, 0},  {64, .75, 16},
    {64, .9, 6},       {64, .1, 57},  {49, .75, 12},  {49, .5, 24},    {16, .75, 4},
    {4, .75, 1},       {4, .76, 0},   {256, .75, 64}, {1024, .9, 102}, {225, .6, 90},
    {1000, .001, 999},
};

START_TEST(keeps_as_decimal_arithmetic_says) {
  ck_assert_int_eq(config_keep_count(counts[_i].patches, counts[_i].ratio), counts[_i].keep);
}
END_TEST

/* Every count against integer arithmetic: ratio = percent / 100 exactly. */
START_TEST(keeps_exactly_for_every_percentage) {
  int bad = 0;
  for (int side = 1; side <= 64; side++)
    for (int percent = 0; percent <= 100; percent++)
      bad += config_keep_count(side * side, percent / 100.0) != side * side * (100 - percent) / 100;
  ck_assert_int_eq(bad, 0);
}
END_TEST

static const struct {
  int side, keep;
} shapes[] = {{14, 49}, {14, 9}, {14, 147}, {10, 20}, {15, 45}, {8, 16},   {8, 1},  {8, 63},
              {7, 12},  {1, 0},  {2, 1},    {4, 4},   {3, 8},   {32, 102}, {5, 24}, {14, 195}};

/* For every kind and many samples: `keep` visible patches, ascending, none twice, and masked[] says
 * the same; nothing is written past either array. */
START_TEST(counts_are_exact_and_both_outputs_agree) {
  int side = shapes[_i].side, keep = shapes[_i].keep, patches = side * side;
  for (int kind = 0; kind < MASK_KIND_COUNT; kind++)
    for (uint64_t sample = 0; sample < 200; sample++) {
      int32_t visible[PATCHES_MAX + 1];
      uint8_t masked[PATCHES_MAX + 1];
      memset(visible, 0x55, sizeof visible);
      memset(masked, 0x55, sizeof masked);
      mask_draw(visible, masked, side, keep, (MaskKind)kind, 7, STREAM_MASK, 3, sample);
      int hidden = 0, bad = 0;
      for (int i = 0; i < patches; i++) {
        bad += masked[i] > 1;
        hidden += masked[i];
      }
      for (int i = 0; i < keep; i++) {
        bad += visible[i] < 0 || visible[i] >= patches || masked[visible[i]];
        bad += i > 0 && visible[i - 1] >= visible[i];
      }
      ck_assert_int_eq(bad, 0);
      ck_assert_int_eq(hidden, patches - keep);
      ck_assert_int_eq(visible[keep], 0x55555555);
      ck_assert_int_eq(masked[patches], 0x55);
    }
}
END_TEST

/* The same coordinates give the same mask, whatever is drawn before; changing any one of them gives
 * another mask in at least half of the pairs. (Not in all: a grid has four phases at this ratio.)
 */
START_TEST(draws_depend_on_their_coordinates_alone) {
  enum { L = 196, KEEP = 49 };
  struct {
    uint64_t seed;
    uint32_t stream, epoch;
    uint64_t sample;
  } at[] = {{1, STREAM_MASK, 0, 0},         {2, STREAM_MASK, 0, 0}, {1ull << 40, STREAM_MASK, 0, 0},
            {1, STREAM_EVAL_MASK, 0, 0},    {1, STREAM_MASK, 1, 0}, {1, STREAM_MASK, 0, 1},
            {1, STREAM_MASK, 0, 1ull << 33}};
  enum { N = sizeof at / sizeof *at };
  uint8_t masked[N][L], again[L];
  int32_t visible[L];
  for (int i = 0; i < N; i++)
    mask_draw(visible, masked[i], 14, KEEP, (MaskKind)_i, at[i].seed, at[i].stream, at[i].epoch,
              at[i].sample);
  for (int i = N - 1; i >= 0; i--) {
    mask_draw(visible, again, 14, KEEP, (MaskKind)_i, at[i].seed, at[i].stream, at[i].epoch,
              at[i].sample);
    ck_assert_mem_eq(again, masked[i], L);
  }
  int differ = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < i; j++) differ += memcmp(masked[i], masked[j], L) != 0;
  ck_assert_int_ge(2 * differ, N * (N - 1) / 2);
  if (_i == MASK_RANDOM || _i == MASK_BLOCK) ck_assert_int_eq(differ, N * (N - 1) / 2);
}
END_TEST

/* At a ratio of one half every patch is sometimes visible and sometimes hidden. */
START_TEST(every_patch_is_hidden_and_seen) {
  enum { L = 196, DRAWS = 2000 };
  int hidden[L] = {0};
  for (uint64_t sample = 0; sample < DRAWS; sample++) {
    int32_t visible[L];
    uint8_t masked[L];
    mask_draw(visible, masked, 14, L / 2, (MaskKind)_i, 1, STREAM_MASK, 0, sample);
    for (int i = 0; i < L; i++) hidden[i] += masked[i];
  }
  for (int i = 0; i < L; i++)
    ck_assert_msg(hidden[i] > 0.03 * DRAWS && hidden[i] < 0.97 * DRAWS, "patch %d: %d of %d", i,
                  hidden[i], DRAWS);
}
END_TEST

/* Pearson's statistic over counts that each have the same expectation. */
static double chi_square(const int *count, int cells, double expected) {
  double sum = 0;
  for (int i = 0; i < cells; i++) sum += (count[i] - expected) * (count[i] - expected) / expected;
  return sum;
}

/* Random masks: each patch is visible equally often, and each pair of neighbours too. Single counts
 * have variance p(1-p) per draw where Pearson's statistic assumes p, and sum to a constant, so the
 * statistic's mean is (1-p) L; bounds are five standard deviations wide. The draws are fixed. */
static void random_masks_are_uniform(void) {
  enum { SIDE = 14, L = SIDE * SIDE, KEEP = 49, DRAWS = 20000 };
  static int count[L], pairs[L - 1];
  memset(count, 0, sizeof count);
  memset(pairs, 0, sizeof pairs);
  for (uint64_t sample = 0; sample < DRAWS; sample++) {
    int32_t visible[KEEP];
    uint8_t masked[L];
    mask_draw(visible, masked, SIDE, KEEP, MASK_RANDOM, 11, STREAM_MASK, 0, sample);
    for (int i = 0; i < L; i++) count[i] += !masked[i];
    for (int i = 0; i + 1 < L; i++) pairs[i] += !masked[i] && !masked[i + 1];
  }
  double p = (double)KEEP / L, pair = p * (KEEP - 1) / (L - 1);
  double degrees = L - 1;
  double single_statistic = chi_square(count, L, DRAWS * p) / (1 - p) * (L - 1) / L;
  ck_assert_double_lt(fabs(single_statistic - degrees), 5 * sqrt(2 * degrees));
  /* Neighbouring pairs overlap, which widens the statistic's spread: twice the width. */
  double pair_statistic = chi_square(pairs, L - 1, DRAWS * pair) / (1 - pair);
  ck_assert_double_lt(fabs(pair_statistic - degrees), 10 * sqrt(2 * degrees));
}

/* All 6 subsets of 2 of 4 patches, and all 4 of 1 of 4, come equally often. */
static void every_subset_is_equally_likely(void) {
  enum { DRAWS = 60000 };
  int count[16] = {0}, used[6], n = 0;
  for (uint64_t sample = 0; sample < DRAWS; sample++) {
    int32_t visible[2];
    uint8_t masked[4];
    mask_draw(visible, masked, 2, 2, MASK_RANDOM, 5, STREAM_MASK, 0, sample);
    count[1 << visible[0] | 1 << visible[1]]++;
  }
  for (int set = 0; set < 16; set++)
    if (count[set]) used[n++] = count[set];
  ck_assert_int_eq(n, 6);
  ck_assert_double_lt(chi_square(used, 6, DRAWS / 6.0), 5 + 5 * sqrt(10));
}

/* At 75% a grid shows one patch of every 2x2, at 50% a chequerboard. */
static void grids_are_lattices(void) {
  int32_t visible[196];
  uint8_t masked[196];
  bool phases[4] = {false};
  for (uint64_t sample = 0; sample < 64; sample++) {
    mask_draw(visible, masked, 14, 49, MASK_GRID, 1, STREAM_MASK, 0, sample);
    int phase = visible[0] / 14 * 2 + visible[0] % 14;
    ck_assert(phase >= 0 && phase < 4);
    phases[phase] = true;
    int bad = 0;
    for (int i = 0; i < 196; i++)
      bad += masked[i] != !(i / 14 % 2 == phase / 2 && i % 2 == phase % 2);
    mask_draw(visible, masked, 14, 98, MASK_GRID, 1, STREAM_MASK, 0, sample);
    for (int i = 1; i < 196; i++) bad += i % 14 && masked[i] == masked[i - 1];
    ck_assert_int_eq(bad, 0);
  }
  for (int i = 0; i < 4; i++) ck_assert(phases[i]);
}

/* Hidden blocks hang together: far fewer changes between neighbours than a random mask has. */
static void blocks_hang_together(void) {
  int changes[2] = {0};
  for (uint64_t sample = 0; sample < 500; sample++)
    for (int kind = 0; kind < 2; kind++) {
      int32_t visible[196];
      uint8_t masked[196];
      mask_draw(visible, masked, 14, 98, kind ? MASK_BLOCK : MASK_RANDOM, 1, STREAM_MASK, 0,
                sample);
      for (int i = 1; i < 196; i++)
        if (i % 14) changes[kind] += masked[i] != masked[i - 1];
    }
  ck_assert_int_lt(3 * changes[1], changes[0]);
}

/* What makes each strategy the one it is. */
static void (*const properties[MASK_KIND_COUNT][2])(void) = {
    [MASK_RANDOM] = {random_masks_are_uniform, every_subset_is_equally_likely},
    [MASK_BLOCK] = {blocks_hang_together},
    [MASK_GRID] = {grids_are_lattices},
};

START_TEST(every_kind_has_its_property) {
  static const char *const names[] = {MASK_KINDS(CHOICE_NAME)};
  ck_assert_msg(properties[_i][0] != NULL,
                "train.mask = %s: nothing here says how its masks differ from the other ones: add "
                "a function to `properties`",
                names[_i]);
  for (int k = 0; k < 2 && properties[_i][k]; k++) properties[_i][k]();
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("mask");
  tcase_set_timeout(tc, 120);
  tcase_add_loop_test(tc, keeps_as_decimal_arithmetic_says, 0, sizeof counts / sizeof *counts);
  tcase_add_test(tc, keeps_exactly_for_every_percentage);
  tcase_add_loop_test(tc, counts_are_exact_and_both_outputs_agree, 0,
                      sizeof shapes / sizeof *shapes);
  tcase_add_loop_test(tc, draws_depend_on_their_coordinates_alone, 0, MASK_KIND_COUNT);
  tcase_add_loop_test(tc, every_patch_is_hidden_and_seen, 0, MASK_KIND_COUNT);
  tcase_add_loop_test(tc, every_kind_has_its_property, 0, MASK_KIND_COUNT);
  Suite *suite = suite_create("mask");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
