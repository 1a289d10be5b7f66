/* suggest.h - "did you mean": the nearest of some known words. */
#ifndef MAE_BASE_SUGGEST_H
#define MAE_BASE_SUGGEST_H

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b. Words longer than
 * 63 bytes are compared by their first 63. */
int edit_distance(const char *a, const char *b);
/* The index of the word nearest to `word` among words[count]: a slip of the pen away (about one
 * edit in three letters), else the shortest that begins with it ("t4" for "t4x2"), else -1. NULL
 * entries are skipped. */
int suggest_index(const char *word, const char *const *words, int count);

#endif
