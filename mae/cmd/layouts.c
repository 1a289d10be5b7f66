/* layouts.c - the tables of names, and reading them in both directions. */
#include "mae/cmd/layouts.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* In front of every name: of torch's DataParallel, of a Lightning module, of torch.compile. */
static const char *const wrappers[] = {"module.", "model.", "_orig_mod."};
static const char vit[] = "vit."; /* the encoder inside ViTMAEForPreTraining; not in ViTMAEModel */

typedef struct Name {
  const char *ours, *theirs;
} Name;

static const Name outside_blocks[] = {
    {"cls_token", "vit.embeddings.cls_token"},
    {"pos_embed", "vit.embeddings.position_embeddings"},
    {"patch_embed.proj.weight", "vit.embeddings.patch_embeddings.projection.weight"},
    {"patch_embed.proj.bias", "vit.embeddings.patch_embeddings.projection.bias"},
    {"norm.weight", "vit.layernorm.weight"},
    {"norm.bias", "vit.layernorm.bias"},
    {"mask_token", "decoder.mask_token"},
    {"decoder_pos_embed", "decoder.decoder_pos_embed"},
    {"decoder_embed.weight", "decoder.decoder_embed.weight"},
    {"decoder_embed.bias", "decoder.decoder_embed.bias"},
    {"decoder_norm.weight", "decoder.decoder_norm.weight"},
    {"decoder_norm.bias", "decoder.decoder_norm.bias"},
    {"decoder_pred.weight", "decoder.decoder_pred.weight"},
    {"decoder_pred.bias", "decoder.decoder_pred.bias"},
};

/* In front of a block's number. The first of each of ours is the one that is written. */
static const Name towers[] = {
    {"blocks.", "vit.encoder.layer."},
    {"blocks.", "vit.layers."},
    {"decoder_blocks.", "decoder.decoder_layers."},
    {"decoder_blocks.", "decoder.decoder_encoder.layer."}, /* saved by transformers 5.24 */
};

/* Behind a block's number; weight or bias follows. The first of each is written, as above. */
static const struct {
  const char *ours, *theirs;
  int part;
} inside_blocks[] = {
    {"norm1.", "layernorm_before.", LAYOUT_WHOLE},
    {"norm2.", "layernorm_after.", LAYOUT_WHOLE},
    {"attn.qkv.", "attention.attention.query.", 0},
    {"attn.qkv.", "attention.attention.key.", 1},
    {"attn.qkv.", "attention.attention.value.", 2},
    {"attn.proj.", "attention.output.dense.", LAYOUT_WHOLE},
    {"mlp.fc1.", "intermediate.dense.", LAYOUT_WHOLE},
    {"mlp.fc2.", "output.dense.", LAYOUT_WHOLE},
    {"attn.qkv.", "attention.q_proj.", 0},
    {"attn.qkv.", "attention.k_proj.", 1},
    {"attn.qkv.", "attention.v_proj.", 2},
    {"attn.proj.", "attention.o_proj.", LAYOUT_WHOLE},
    {"mlp.fc1.", "mlp.fc1.", LAYOUT_WHOLE},
    {"mlp.fc2.", "mlp.fc2.", LAYOUT_WHOLE},
};

/* What follows `start` in text; NULL when text starts with something else. */
static const char *behind(const char *text, const char *start) {
  size_t length = strlen(start);
  return strncmp(text, start, length) ? NULL : text + length;
}

/* The same for a name of Hugging Face's, in which vit. may be missing. */
static const char *behind_theirs(const char *text, const char *start) {
  const char *rest = behind(text, start), *inner = behind(start, vit);
  return rest || !inner ? rest : behind(text, inner);
}

static const char *without_wrappers(const char *name) {
  for (size_t i = 0; i < COUNT(wrappers); i++) {
    const char *rest = behind(name, wrappers[i]);
    if (rest) return without_wrappers(rest);
  }
  return name;
}

/* N.REST, the inside of a block, as our REST and a part. */
static bool read_block(OurName *ours, const char *tower, const char *inside) {
  size_t digits = strspn(inside, "0123456789");
  if (!digits || inside[digits] != '.') return false;
  for (size_t i = 0; i < COUNT(inside_blocks); i++) {
    const char *rest = behind(inside + digits + 1, inside_blocks[i].theirs);
    if (!rest) continue;
    snprintf(ours->name, sizeof ours->name, "%s%.*s.%s%.100s", tower, (int)digits, inside,
             inside_blocks[i].ours, rest);
    ours->part = inside_blocks[i].part;
    return true;
  }
  return false;
}

void layout_ours(OurName *ours, bool *hugging_face, const char *theirs) {
  theirs = without_wrappers(theirs);
  *hugging_face = true;
  ours->part = LAYOUT_WHOLE;
  for (size_t i = 0; i < COUNT(outside_blocks); i++) {
    const char *rest = behind_theirs(theirs, outside_blocks[i].theirs);
    if (!rest || *rest) continue;
    snprintf(ours->name, sizeof ours->name, "%s", outside_blocks[i].ours);
    return;
  }
  for (size_t i = 0; i < COUNT(towers); i++) {
    const char *rest = behind_theirs(theirs, towers[i].theirs);
    if (rest && read_block(ours, towers[i].ours, rest)) return;
  }
  *hugging_face = false;
  snprintf(ours->name, sizeof ours->name, "%s", theirs);
}

bool layout_hugging_face(char theirs[LAYOUT_NAME_MAX], const char *ours, int part) {
  for (size_t i = 0; i < COUNT(outside_blocks); i++)
    if (!strcmp(ours, outside_blocks[i].ours)) {
      snprintf(theirs, LAYOUT_NAME_MAX, "%s", outside_blocks[i].theirs);
      return true;
    }
  for (size_t t = 0; t < COUNT(towers); t++) {
    const char *number = behind(ours, towers[t].ours);
    const char *dot = number ? strchr(number, '.') : NULL;
    for (size_t i = 0; dot && i < COUNT(inside_blocks); i++) {
      const char *rest = behind(dot + 1, inside_blocks[i].ours);
      if (!rest || inside_blocks[i].part != part) continue;
      snprintf(theirs, LAYOUT_NAME_MAX, "%s%.*s%s%s", towers[t].theirs, (int)(dot + 1 - number),
               number, inside_blocks[i].theirs, rest);
      return true;
    }
  }
  return false;
}

bool layout_is_decoder(const char *ours) {
  return behind(ours, "decoder_") || !strcmp(ours, "mask_token") ||
         !strcmp(ours, "encoder_mask_token");
}

bool layout_is_classifier(const char *ours) {
  static const char *const starts[] = {"head.", "fc_norm.", "classifier.", "pooler.",
                                       "vit.pooler."};
  for (size_t i = 0; i < COUNT(starts); i++)
    if (behind(ours, starts[i])) return true;
  return false;
}
