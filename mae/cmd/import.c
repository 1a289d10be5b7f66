/* mae import: the public reference's weights into a weights file of this program. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"
#include "mae/cmd/cmd.h"
#include "mae/model/weights.h"

static const char about[] =
    "Reads the state dict of the public MAE reference, converted to safetensors\n"
    "(names as cls_token, blocks.0.attn.qkv.weight; a `model.` in front is taken\n"
    "off), checks every name and shape against the configured model, and writes a\n"
    "weights file for `mae eval`, `mae reconstruct` and `mae export`. Encoder and\n"
    "decoder must both be there: the published mae_visualize_vit_*.pth have both,\n"
    "mae_pretrain_vit_*.pth only the encoder. To convert one:\n"
    "\n"
    "  python3 -c \"import torch; from safetensors.torch import save_file\n"
    "  save_file(torch.load('mae_visualize_vit_base.pth')['model'], 'in.safetensors')\"\n"
    "  mae import in.safetensors --out mae.safetensors --set model.image_size=224 \\\n"
    "    --set model.patch_size=16 --set model.encoder=vit_base --set model.decoder=512x8x16\n"
    "\n"
    "Fixed position tables must be the sin-cos tables that the configuration asks\n"
    "for; model.pos_embed=learned keeps any table.";

static const char *prefix_of(const TensorFile *file) {
  return safetensors_find(file, "model.patch_embed.proj.weight") ? "model." : "";
}

/* Refuses a fixed position table that is not the one which the configuration makes: with it the
 * model would be evaluated with other positions than its configuration says. Tables computed in
 * fp32 differ from ours by rounding only. */
static bool check_fixed_tables(const ParamTable *table, const TensorFile *file, const char *prefix,
                               const Config *config, Error *e) {
  float *arena = io_buffer(table->total * sizeof *arena, "the position tables", e);
  if (!arena) return false;
  params_init(table, arena, config);
  bool ok = true;
  for (int i = 0; ok && i < table->count; i++) {
    const Param *param = &table->list[i];
    if (param->trainable) continue;
    char name[128];
    snprintf(name, sizeof name, "%s%s", prefix, param->name);
    const unsigned char *data = safetensors_find(file, name)->data;
    float worst = 0;
    for (size_t j = 0; j < param->count; j++) {
      float value;
      memcpy(&value, data + j * sizeof value, sizeof value);
      float off = fabsf(value - arena[param->offset + j]);
      if (!(off <= worst)) worst = off; /* a NaN too */
    }
    if (!(worst < 1e-4f))
      ok = error_set(e, EXIT_DATA,
                     "%s is not the table that the configuration makes (off by up to %g); set "
                     "model.%s = learned to keep the file's",
                     name, (double)worst, param->name);
  }
  free(arena);
  return ok;
}

static bool import(const char *in, const char *out, const Config *config, Error *e) {
  TensorFile file = {0};
  ParamTable table = {0};
  WeightsMetadata metadata = {0};
  Tensor *tensors = NULL;
  bool ok = weights_open(&file, in, e);
  if (!ok) return false;
  const char *prefix = prefix_of(&file);
  ok = params_build(&table, config, e) &&
       ((weights_check(&table, &file, prefix, e) &&
         check_fixed_tables(&table, &file, prefix, config, e)) ||
        error_prefix(e, "%s", in)) &&
       weights_metadata(&metadata, config, -1, e);
  if (ok) {
    tensors = calloc((size_t)table.count, sizeof *tensors);
    ok = tensors || error_set(e, EXIT_DEVICE, "out of memory");
  }
  for (int i = 0; ok && i < table.count; i++) {
    char name[128];
    snprintf(name, sizeof name, "%s%s", prefix, table.list[i].name);
    tensors[i] = weights_tensor(&table.list[i]);
    tensors[i].data = safetensors_find(&file, name)->data;
  }
  ok = ok && weights_write(out, tensors, table.count, &metadata, e);
  if (ok)
    printf("%s: %d parameters, %zu in the encoder and %zu in the decoder trainable\n", out,
           table.count, params_count_encoder(&table), params_count_decoder(&table));
  free(tensors);
  weights_metadata_free(&metadata);
  params_free(&table);
  safetensors_close(&file);
  return ok;
}

int cmd_import(int argc, char **argv) {
  const char *out = NULL;
  const CmdOption options[] = {{"--out", CMD_TEXT, &out, "FILE", "weights file to write"}};
  ConfigCommand command = {.line = {.name = "mae import",
                                    .about = about,
                                    .usage = "FILE.safetensors --out FILE",
                                    .words_min = 1,
                                    .words_max = 1,
                                    .options = options,
                                    .option_count = 1},
                           .no_data = true};
  int code;
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  Error e = {0};
  if (!out) error_set(&e, EXIT_CONFIG, "--out FILE is missing");
  if (out && import(command.line.words[0], out, &command.config, &e)) return EXIT_OK;
  return command_fail(command.line.name, &e);
}
