/* suggest.h - "did you mean": the nearest of some known words. */
#ifndef MAE_BASE_SUGGEST_H
#define MAE_BASE_SUGGEST_H

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b, capitals being as
 * good as small letters. Words longer than 63 bytes are compared by their first 63. */
int edit_distance(const char *a, const char *b);
/* The index of the word among words[count] that was probably meant by `word`, or -1: one slip of
 * the pen away, else the first that begins with it ("t4" for "t4x2"), else the nearest (about
 * one edit in three letters). NULL entries are skipped. */
int suggest_index(const char *word, const char *const *words, int count);

#endif
