/* choices.h - the options whose value is one of a few words: one list per option, one row per word.
 *
 * A row is X(enumerator, "word in a configuration", "help text", ...); what follows the help text
 * is said above each list. From the rows come the enumeration and its count here, the words and the
 * help in table.c, the functions called for each word, and what the tests run through. A new word
 * is therefore one row and the function that the row names; without it the build fails, and without
 * a test of what is peculiar to it the tests do. */
#ifndef MAE_CONFIG_CHOICES_H
#define MAE_CONFIG_CHOICES_H

/* train.mask; then the function that draws it (mae/model/mask.c). */
#define MASK_KINDS(X)                                                                              \
  X(MASK_RANDOM, "random", "uniformly", draw_random)                                               \
  X(MASK_BLOCK, "block", "rectangles of random shape", draw_block)                                 \
  X(MASK_GRID, "grid", "the visible patches form a regular lattice with a random phase", draw_grid)

/* model.pos_embed and model.decoder_pos_embed; then the number that must divide the width, and how
 * the table is filled (ParamInit in mae/model/params.h; unused where there is no table). */
#define POS_EMBEDS(X)                                                                              \
  X(POS_SINCOS2D, "sincos2d",                                                                      \
    "fixed, half of the channels for the column and half for the row (the width is a "             \
    "multiple of 4)",                                                                              \
    4, INIT_SINCOS2D)                                                                              \
  X(POS_SINCOS1D, "sincos1d", "fixed, over the patch number (the width is even)", 2,               \
    INIT_SINCOS1D)                                                                                 \
  X(POS_LEARNED, "learned", "trained from N(0, 0.02)", 1, INIT_NORMAL)                             \
  X(POS_NONE, "none", "patches do not know where they are", 1, INIT_ZERO)

/* train.loss; then whether visible patches count. */
#define LOSS_KINDS(X)                                                                              \
  X(LOSS_MASKED, "masked", "those hidden from the encoder", false)                                 \
  X(LOSS_ALL, "all", "hidden and visible ones", true)

/* train.precision; then the type (kernels/backend.h), and the first loss scale: above 1 it is
 * dynamic, and 2^16 is where PyTorch's GradScaler starts too. */
#define PRECISIONS(X)                                                                              \
  X(PRECISION_FP32, "fp32", "no rounding of the inputs", DTYPE_F32, 1.0f)                          \
  X(PRECISION_BF16, "bf16", "8 significant bits and the range of fp32", DTYPE_BF16, 1.0f)          \
  X(PRECISION_FP16, "fp16", "11 significant bits, with a dynamic loss scale", DTYPE_F16, 65536.0f)

/* train.augment; then the function that draws the crop's box (mae/data/dataset.c; NULL: the centre
 * square), whether it flips, and whether it changes colours (data_train_jitter). */
#define AUGMENTS(X)                                                                                \
  X(AUGMENT_NONE, "none", "the centre square", NULL, false, false)                                 \
  X(AUGMENT_FLIP, "flip", "a horizontal flip with probability one half", NULL, true, false)        \
  X(AUGMENT_CROP, "crop", "a random resized crop", random_box, false, false)                       \
  X(AUGMENT_CROP_FLIP, "crop_flip", "both", random_box, true, false)                               \
  X(AUGMENT_FIXED_CROP_FLIP, "fixed_crop_flip",                                                    \
    "a square of 7/8 of the shorter side at a random place, and the flip", fixed_box, true, false) \
  X(AUGMENT_CROP_FLIP_JITTER, "crop_flip_jitter",                                                  \
    "as crop_flip, then brightness, contrast and saturation each times 0.6 to 1.4, in random "     \
    "order",                                                                                       \
    random_box, true, true)

/* probe.method; then whether neighbours vote, and whether a linear classifier is fitted. */
#define PROBE_METHODS(X)                                                                           \
  X(PROBE_OFF, "off", "nothing", false, false)                                                     \
  X(PROBE_KNN, "knn", "a vote of the nearest training images", true, false)                        \
  X(PROBE_LINEAR, "linear", "a softmax regression fitted on the training images", false, true)     \
  X(PROBE_BOTH, "both", "either", true, true)

/* probe.features; then whether the class token is looked at, and the mean of the patch tokens. */
#define PROBE_FEATURES(X)                                                                          \
  X(PROBE_ALL, "all", "either", true, true)                                                        \
  X(PROBE_CLS, "cls", "the class token", true, false)                                              \
  X(PROBE_MEAN, "mean", "the mean of the patch tokens", false, true)

/* data.source; then the function that opens it (mae/data), whether it reads the folder data.path,
 * whether each image is a file there (which data.pack = jpeg asks for), and its number of training
 * images where that is known before anything is read, else 0. The help text of a source that reads
 * a folder says what is in there. */
#define SOURCES(X)                                                                                 \
  X(SOURCE_SHAPES, "shapes", "drawn by the program; the class is the form of the largest object",  \
    source_shapes_open, false, false, 8192)                                                        \
  X(SOURCE_TINY_IMAGENET, "tiny-imagenet",                                                         \
    "train/WNID/ and val/ of TinyImageNet, in any of the layouts that go round",                   \
    source_tiny_imagenet_open, true, true, 0)                                                      \
  X(SOURCE_IMAGEFOLDER, "imagefolder", "train/ and val/, in each a folder per class",              \
    source_imagefolder_open, true, true, 0)                                                        \
  X(SOURCE_CIFAR10, "cifar10", "data_batch_1.bin to data_batch_5.bin and test_batch.bin",          \
    source_cifar10_open, true, false, 50000)                                                       \
  X(SOURCE_CIFAR100, "cifar100", "train.bin and test.bin", source_cifar100_open, true, false,      \
    50000)                                                                                         \
  X(SOURCE_WEBDATASET, "webdataset",                                                               \
    "shards, tar files of NAME.jpg with NAME.cls, their names with the word train or val",         \
    source_webdataset_open, true, true, 0)

/* data.pack; then whether the pack holds encoded files. */
#define PACKS(X)                                                                                   \
  X(PACK_PIXELS, "pixels", "decoded, three bytes a pixel", false)                                  \
  X(PACK_JPEG, "jpeg",                                                                             \
    "the files as they are, decoded anew for every crop: for photographs by the million", true)

/* run.keep; then whether the optimiser's state stays. */
#define KEEPS(X)                                                                                   \
  X(KEEP_AUTO, "auto", "weights where they take up to 200 MB, else encoder", false)                \
  X(KEEP_NONE, "none", "no weights", false)                                                        \
  X(KEEP_ENCODER, "encoder",                                                                       \
    "the encoder's final weights, matrices in train.precision: all that features need", false)     \
  X(KEEP_WEIGHTS, "weights", "the final weights", false)                                           \
  X(KEEP_CHECKPOINTS, "checkpoints",                                                               \
    "its checkpoints, with the optimiser's state, which training longer needs", true)

/* What is made of a row wherever a list is used. */
#define CHOICE_ID(id, ...) id,
#define CHOICE_ONE(...) +1
#define CHOICE_NAME(id, name, ...) name,
#define CHOICE_HELP(id, name, help, ...) " " name ": " help "."

typedef enum { MASK_KINDS(CHOICE_ID) } MaskKind;
typedef enum { POS_EMBEDS(CHOICE_ID) } PosEmbed;
typedef enum { LOSS_KINDS(CHOICE_ID) } LossKind;
typedef enum { PRECISIONS(CHOICE_ID) } Precision;
typedef enum { AUGMENTS(CHOICE_ID) } Augment;
typedef enum { SOURCES(CHOICE_ID) } SourceKind;
typedef enum { PACKS(CHOICE_ID) } PackKind;
typedef enum { PROBE_METHODS(CHOICE_ID) } ProbeMethod;
typedef enum { PROBE_FEATURES(CHOICE_ID) } ProbeFeatures;
typedef enum { KEEPS(CHOICE_ID) } Keep;

enum {
  MASK_KIND_COUNT = 0 MASK_KINDS(CHOICE_ONE),
  POS_EMBED_COUNT = 0 POS_EMBEDS(CHOICE_ONE),
  LOSS_KIND_COUNT = 0 LOSS_KINDS(CHOICE_ONE),
  PRECISION_COUNT = 0 PRECISIONS(CHOICE_ONE),
  AUGMENT_COUNT = 0 AUGMENTS(CHOICE_ONE),
  SOURCE_COUNT = 0 SOURCES(CHOICE_ONE),
  PROBE_METHOD_COUNT = 0 PROBE_METHODS(CHOICE_ONE),
  PROBE_FEATURES_COUNT = 0 PROBE_FEATURES(CHOICE_ONE),
  KEEP_COUNT = 0 KEEPS(CHOICE_ONE),
};

#endif
