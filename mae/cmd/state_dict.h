/* state_dict.h - another program's weights, looked up under our names: the input of `mae import`.
 *
 * The file may hold fp32, fp16 or bf16 (every value of which fp32 holds exactly), names of any
 * layout in layouts.h, and the encoder alone. */
#ifndef MAE_CMD_STATE_DICT_H
#define MAE_CMD_STATE_DICT_H

#include "mae/cmd/layouts.h"
#include "mae/config/config.h"
#include "mae/model/params.h"
#include "mae/model/safetensors.h"

typedef struct StateDict {
  char path[CONFIG_PATH_MAX]; /* of the safetensors file */
  TensorFile file;
  OurName *names;    /* of file.tensors */
  bool hugging_face; /* one of the names at least was Hugging Face's */
} StateDict;

/* path: the file, or a folder with a model.safetensors. Two tensors for one parameter are an error.
 */
bool state_dict_open(StateDict *, const char *path, Error *);
void state_dict_close(StateDict *);
/* NULL: not there. part as in OurName. */
const Tensor *state_dict_find(const StateDict *, const char *name, int part);
bool state_dict_has_decoder(const StateDict *);
/* Whether it is of one of the three types. */
bool state_dict_readable(const Tensor *);
/* The values of such a tensor as fp32. */
void state_dict_values(float *values, const Tensor *);
/* The parameter's values, from one tensor or from query, key and value. A tensor that is missing or
 * has another shape or type is an error that names it. */
bool state_dict_copy(float *values, const StateDict *, const Param *, Error *);

#endif
