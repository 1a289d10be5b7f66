/* The edit distance behind "did you mean" (a swap of neighbours counts as one edit). */
#include "mae/base/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { WORD_MAX = 63, PREFIX_MIN = 2 /* one letter begins too many words */ };

static int smaller(int a, int b) {
  return a < b ? a : b;
}

static bool is_same(char a, char b) {
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* The optimal string alignment distance by dynamic programming, of whose table only the three rows
 * in use are kept. */
int edit_distance(const char *a, const char *b) {
  int m = (int)strnlen(a, WORD_MAX), n = (int)strnlen(b, WORD_MAX);
  int rows[3][WORD_MAX + 1];
  int *before = rows[0], *above = rows[1], *row = rows[2];
  for (int j = 0; j <= n; j++) above[j] = j;
  for (int i = 1; i <= m; i++) {
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int best = smaller(above[j], row[j - 1]) + 1;
      best = smaller(best, above[j - 1] + !is_same(a[i - 1], b[j - 1]));
      if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1]))
        best = smaller(best, before[j - 2] + 1);
      row[j] = best;
    }
    int *spare = before;
    before = above;
    above = row;
    row = spare;
  }
  return above[n];
}

/* A single slip of the pen comes before an abbreviation ("cp" is "cpu" and not "cpu-hour"), which
 * comes before several ("train.warm" is not "train.mask"). */
int suggest_index(const char *word, const char *const *words, int count) {
  size_t length = strnlen(word, WORD_MAX);
  int limit = 1 + (int)length / 3;
  int nearest = -1, nearest_distance = limit + 1;
  int begun = -1;
  for (int i = 0; i < count; i++) {
    if (!words[i]) continue;
    int distance = edit_distance(word, words[i]);
    if (distance < nearest_distance) {
      nearest = i;
      nearest_distance = distance;
    }
    if (begun < 0 && length >= PREFIX_MIN && !strncasecmp(words[i], word, length)) begun = i;
  }
  return begun >= 0 && nearest_distance > 1 ? begun : nearest;
}
