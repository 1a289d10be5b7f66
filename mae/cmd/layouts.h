/* layouts.h - what other programs call the parameters of this model: read from all of them by
 * `mae import`, written for one by `mae export`.
 *
 * timm's VisionTransformer and the public reference use our own names (cls_token,
 * blocks.0.attn.qkv.weight), timm for the encoder only. Hugging Face's ViTMAE has a query, a key
 * and a value where we have qkv, and two sets of names: that of transformers 4 and of all files so
 * far (vit.encoder.layer.0.attention.attention.query.weight), and that of transformers 5
 * (vit.layers.0.attention.q_proj.weight). */
#ifndef MAE_CMD_LAYOUTS_H
#define MAE_CMD_LAYOUTS_H

#include <stdbool.h>
#include <stddef.h>

enum { LAYOUT_NAME_MAX = 256, LAYOUT_WHOLE = -1 };

/* A tensor of another program as a parameter of ours. */
typedef struct OurName {
  char name[LAYOUT_NAME_MAX]; /* "blocks.0.attn.qkv.weight" */
  int part;                   /* query, key, value: 0, 1, 2, a third of the rows; LAYOUT_WHOLE */
} OurName;

/* Prefixes of wrappers (module., model., _orig_mod.) are taken off, and Hugging Face's names are
 * translated; *hugging_face says whether it was one. Any other name stays as it is. */
void layout_ours(OurName *, bool *hugging_face, const char *theirs);
/* Hugging Face's name (transformers 4) of a parameter or a part of qkv; false: it has none. */
bool layout_hugging_face(char theirs[LAYOUT_NAME_MAX], const char *ours, int part);

/* Of our names: whether the parameter is of no use without a decoder. */
bool layout_is_decoder(const char *ours);
/* Whether layout_ours left the name of a classifier that timm or Hugging Face put behind the
 * encoder. */
bool layout_is_classifier(const char *ours);

#endif
