/* config.h - every option of a training run: one struct, filled through one option table.
 *
 * The table in table.c holds for each option its key (section.name), type, default, range or
 * choices, help, offset in Config and whether it belongs to the config hash. Parsing, validation,
 * did-you-mean, `mae config --help KEY`, the canonical dump and the hash all come from it. Both
 * programs link it, so the harness can refuse a bad trial before the first one starts.
 */
#ifndef MAE_CONFIG_CONFIG_H
#define MAE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "kernels/backend.h"
#include "mae/base/error.h"
#include "mae/config/choices.h"
#include "mae/config/ini.h"

/* A transformer's size, written WIDTHxDEPTHxHEADS or by a preset's name. */
typedef struct Tower {
  int width, depth, heads;
} Tower;

enum { CONFIG_PATH_MAX = 1024 };

typedef struct Config {
  struct {
    int image_size, patch_size;
    Tower encoder, decoder;
    PosEmbed pos_embed, decoder_pos_embed;
    bool class_token;
    bool encoder_mask_tokens; /* mask tokens inside the encoder: the symmetric design */
  } model;
  struct {
    double mask_ratio;
    MaskKind mask;
    LossKind loss;
    bool norm_pix;
    Precision precision;
    int batch;     /* images per step, over all ranks */
    double epochs; /* used when steps is 0 */
    int64_t steps;
    double blr; /* lr = blr * batch / 256 */
    double min_lr, weight_decay, beta1, beta2, eps;
    double warmup_epochs;
    int64_t warmup_steps; /* wins over warmup_epochs when > 0 */
    double clip;          /* gradient norm; 0: off */
    Augment augment;
    double crop_min;  /* smallest share of the area a random resized crop keeps */
    int shards;       /* 1 or 2: groups whose gradients are summed apart, then added */
    int accumulate;   /* micro-batches per shard */
    bool recompute;   /* recompute GELU and layernorm outputs in the backward pass */
    int ranks;        /* processes: 1, or as many as shards */
    int rank_timeout; /* seconds */
  } train;
  struct {
    SourceKind source;
    char path[CONFIG_PATH_MAX];  /* a folder or an archive */
    char cache[CONFIG_PATH_MAX]; /* empty: $XDG_CACHE_HOME/maebench or ~/.cache/maebench */
    PackKind pack;
    int pack_side, pack_quality; /* of JPEGs written for a pack; side 0: files as they are */
    bool skip_bad;
    double holdout;   /* share of the training images that is held out; 0: the held-out folder */
    int train_images; /* shapes: how many to draw; others: at most so many; 0: all (shapes: see
                         choices.h) */
  } data;
  struct {
    int images; /* of the held-out split, the first so many; fewer when there are fewer */
    int batch;
    int64_t every; /* steps between evaluations; 0: only at the end */
    uint64_t seed; /* of the evaluation masks */
  } eval;
  struct {
    ProbeMethod method;
    ProbeFeatures features;
    int train_images, eval_images; /* at most so many of each split, evenly spaced; 0: all */
    int64_t every;                 /* steps between probes; 0: only at the end */
  } probe;
  struct {
    uint64_t seed;
    char device[32];                /* auto, cpu, cuda, cuda:N */
    int threads;                    /* 0: see device_threads */
    bool emulate;                   /* allow 16-bit types on a CPU without them, slowly */
    char products[CONFIG_PATH_MAX]; /* a table of algorithms for a GPU; empty: the rule */
    int64_t checkpoint_every;       /* steps; 0: only at the end and when stopped */
    int keep_checkpoints;
    Keep keep; /* for the harness, of a trial that is done */
  } run;
  struct {
    int gpus_per_trial, jobs_per_gpu;
    char launcher[CONFIG_PATH_MAX]; /* words before the trainer's command; empty: none */
  } resources;
} Config;

/* Where a value came from, for messages: a file with line and column, or "--set". */
typedef struct ConfigOrigin {
  const char *file;
  int line, column;
} ConfigOrigin;

/* All defaults. */
void config_init(Config *);
/* Sets one option ("section.name") from text. False: unknown key (with a suggestion), not a value
 * of its type, or out of range; the message begins with the origin. */
bool config_set(Config *, const char *key, const char *value, const ConfigOrigin *, Error *);
/* Reads an INI file (see ini.h) over the defaults. Sections [experiment], [sweep],
 * [paper] and [prune] are the harness's and are refused here. */
bool config_load(Config *, const char *path, Error *);
/* Checks between options: heads divide widths, patches divide the image, the mask keeps and hides
 * at least one patch, shards divide the batch, ranks, 16-bit widths, data path present... */
bool config_validate(const Config *, Error *);

/* Whether a message of config_validate names the key: it knows values, not where they were written,
 * and callers who do put the place in front. */
bool config_mentions(const char *message, const char *key);

/* Writes "key = value" lines of every option, grouped in [section]s, canonical number formats; what
 * config_load reads back to the same struct. hashed_only leaves out what cannot change a result
 * (paths, devices, threads, resources), and younger options (Option.younger) at their default. */
void config_dump(const Config *, FILE *, bool hashed_only);
/* SHA-256 of the hashed_only dump, 64 lower-case hex digits and a NUL. */
void config_hash(const Config *, char hex[65]);
/* The hash that a file written by config_dump has, by its own text: of any version of this program,
 * whatever options that one had. A key that is not known here counts. */
void config_hash_file(const IniFile *, char hex[65]);
/* The canonical text of one option's value, or NULL for an unknown key. The buffer is the
 * caller's. */
const char *config_get(const Config *, const char *key, char *buffer, size_t size);
/* True when the option takes part in the hash; false too for unknown keys. */
bool config_is_hashed(const char *key);
/* Nearest known key, or NULL. */
const char *config_suggest(const char *key);
/* Help of one option (key), of a section ("train") or of all (NULL): type, default, range, text.
 * False when there is no such key. */
bool config_help(FILE *, const char *key, Error *);
/* Every key in table order; NULL past the end. */
const char *config_key(int index);

/* What follows from the options and several modules need (derived.c). */

/* Visible patches = floor(L (1 - ratio)) as decimal arithmetic gives it: 196 at .75 -> 49, 100 at
 * .8 -> 20, 225 at .8 -> 45 (a plain double product says 19 and 44). */
int config_keep_count(int patches, double ratio);
int config_patches(const Config *);         /* L */
int config_kept(const Config *);            /* visible patches: see config_keep_count */
bool config_counts_visible(const Config *); /* whether train.loss counts visible patches too */
int config_counted(const Config *);         /* patches of an image whose error train.loss counts */
bool config_probes_neighbours(const Config *); /* what probe.method asks for */
bool config_probes_linear(const Config *);
bool config_probes_cls(const Config *); /* what probe.features asks for and the model has */
bool config_probes_mean(const Config *);
Dtype config_dtype(const Config *);      /* compute type of train.precision */
float config_loss_scale(const Config *); /* of the first step: 1 but in fp16 */
bool config_jitters(const Config *);     /* whether train.augment changes colours */
/* Whether data.pack keeps image files encoded. */
bool config_packs_files(const Config *);
/* Whether data.source reads data.path. */
bool config_reads_path(const Config *);
/* What is to be said where data.path is set and not read: "" elsewhere. */
const char *config_idle_path(const Config *);
/* Training images as far as they are known before any is read; 0: not. */
int config_train_images(const Config *);

#endif
