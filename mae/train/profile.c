/* profile.c - a table of shims in front of a device's own: each takes the time of its operation and
 * adds up the flops it does and the bytes it cannot do without. */
#include "mae/train/profile.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct Entry {
  const char *operation;
  char shape[48];
  size_t calls;
  double seconds, flops, bytes;
} Entry;

enum { ENTRIES_MAX = 256, PENDING_MAX = DEVICE_STAMPS / 2 };

static struct {
  const Kernels *inner;
  bool counts_only;
  Entry entries[ENTRIES_MAX];
  int count;
  int pending[PENDING_MAX]; /* entries of the calls whose times are not read yet, -1: none; call i
                             * lies between stamps 2 i and 2 i + 1 */
  int pending_count;
} profile;

/* Operations are only queued, with a stamp on either side, so that a GPU is kept busy and its times
 * hold no waiting for the host; they are read when the stamps have run out. */
static void read_times(Device *d) {
  for (int i = 0; i < profile.pending_count; i++)
    if (profile.pending[i] >= 0)
      profile.entries[profile.pending[i]].seconds +=
          profile.inner->stamp_seconds(d, 2 * i, 2 * i + 1);
  profile.pending_count = 0;
}

/* Begins a call; false: it is counted and not made. */
static bool start(Device *d) {
  if (profile.counts_only) return false;
  if (profile.pending_count == PENDING_MAX) read_times(d);
  profile.inner->stamp(d, 2 * profile.pending_count);
  return true;
}

static int find_entry(const char *operation, const char *shape) {
  int i = 0;
  while (i < profile.count && (strcmp(profile.entries[i].operation, operation) != 0 ||
                               strcmp(profile.entries[i].shape, shape) != 0))
    i++;
  if (i == ENTRIES_MAX) return -1;
  if (i == profile.count) {
    profile.entries[profile.count++] = (Entry){.operation = operation};
    strcpy(profile.entries[i].shape, shape);
  }
  return i;
}

/* Ends what start began: the operation did `flops` and has to move `bytes`, its operands once. */
__attribute__((format(printf, 5, 6))) static void
stop(Device *d, const char *operation, double flops, double bytes, const char *shape, ...) {
  char text[sizeof profile.entries[0].shape];
  va_list args;
  va_start(args, shape);
  vsnprintf(text, sizeof text, shape, args);
  va_end(args);
  int i = find_entry(operation, text);
  if (!profile.counts_only) {
    profile.inner->stamp(d, 2 * profile.pending_count + 1);
    profile.pending[profile.pending_count++] = i;
  }
  if (i < 0) return;
  Entry *entry = &profile.entries[i];
  entry->calls++;
  entry->flops += flops;
  entry->bytes += bytes;
}

/* One shim for every operation of backend.h, so that a new one without a shim does not compile; and
 * for what else a step does in a queue. Shims are named as what they stand for. */
#define SHIM_PROTOTYPE(name, Type) static Type name;
KERNEL_OPERATIONS(SHIM_PROTOTYPE)
static DeviceUpload upload;
static DeviceDownload download;
static DeviceZero zero;
static DeviceRepeat repeat;

static void upload(Device *d, void *dst, const void *src, size_t bytes) {
  if (start(d)) profile.inner->upload(d, dst, src, bytes);
  stop(d, "upload", 0, (double)bytes, "%zu", bytes);
}

static void download(Device *d, void *dst, const void *src, size_t bytes) {
  if (start(d)) profile.inner->download(d, dst, src, bytes);
  stop(d, "download", 0, (double)bytes, "%zu", bytes);
}

static void zero(Device *d, void *dst, size_t bytes) {
  if (start(d)) profile.inner->zero(d, dst, bytes);
  stop(d, "zero", 0, (double)bytes, "%zu", bytes);
}

static void convert(Device *d, void *dst, Dtype type, const float *src, size_t count) {
  if (start(d)) profile.inner->convert(d, dst, type, src, count);
  stop(d, "convert", 0, (double)(count * (4 + dtype_size(type))), "%zu", count);
}

static void linear_forward(Device *d, void *y, Dtype y_type, const void *x, const void *w,
                           const void *bias, Dtype type, size_t rows, int in, int out) {
  if (start(d)) profile.inner->linear_forward(d, y, y_type, x, w, bias, type, rows, in, out);
  double inputs = (double)rows * in + (double)in * out, outputs = (double)rows * out;
  stop(d, "linear_forward", 2.0 * (double)rows * in * out,
       (double)dtype_size(type) * inputs + (double)dtype_size(y_type) * outputs, "%zu x %d -> %d",
       rows, in, out);
}

static void linear_backward_input(Device *d, void *d_x, const void *d_y, const void *w, Dtype type,
                                  size_t rows, int in, int out) {
  if (start(d)) profile.inner->linear_backward_input(d, d_x, d_y, w, type, rows, in, out);
  stop(d, "linear_backward_input", 2.0 * (double)rows * in * out,
       (double)dtype_size(type) * ((double)rows * in + (double)rows * out + (double)in * out),
       "%zu x %d <- %d", rows, in, out);
}

static void linear_backward_weight(Device *d, float *d_w, float *d_bias, const void *d_y,
                                   const void *x, Dtype type, size_t rows, int in, int out,
                                   bool accumulate) {
  if (start(d))
    profile.inner->linear_backward_weight(d, d_w, d_bias, d_y, x, type, rows, in, out, accumulate);
  double inputs = (double)rows * in + (double)rows * out, outputs = (double)in * out;
  stop(d, "linear_backward_weight", 2.0 * (double)rows * in * out,
       (double)dtype_size(type) * inputs + (accumulate ? 8 : 4) * outputs, "%d x %d over %zu", out,
       in, rows);
}

static void layernorm_forward(Device *d, void *y, Dtype type, float *sum, float *mean, float *rstd,
                              const float *x, const void *branch, const float *weight,
                              const float *bias, size_t rows, int width) {
  if (start(d))
    profile.inner->layernorm_forward(d, y, type, sum, mean, rstd, x, branch, weight, bias, rows,
                                     width);
  size_t element = 4 + dtype_size(type) + (branch ? 4 + dtype_size(type) : 0);
  stop(d, "layernorm_forward", 0, (double)(rows * (size_t)width * element), "%zu x %d", rows,
       width);
}

static void layernorm_backward(Device *d, float *d_x, void *d_x16, Dtype type, float *d_weight,
                               float *d_bias, float *d_x_sums, const float *d_residual,
                               const void *d_y, const float *x, const float *mean,
                               const float *rstd, const float *weight, size_t rows, int width,
                               bool accumulate) {
  if (start(d))
    profile.inner->layernorm_backward(d, d_x, d_x16, type, d_weight, d_bias, d_x_sums, d_residual,
                                      d_y, x, mean, rstd, weight, rows, width, accumulate);
  size_t element = 8 + dtype_size(type) + (d_residual ? 4 : 0) + (d_x16 ? dtype_size(type) : 0);
  stop(d, "layernorm_backward", 0, (double)(rows * (size_t)width * element), "%zu x %d", rows,
       width);
}

static void layernorm_apply(Device *d, void *y, Dtype type, const float *x, const float *mean,
                            const float *rstd, const float *weight, const float *bias, size_t rows,
                            int width) {
  if (start(d))
    profile.inner->layernorm_apply(d, y, type, x, mean, rstd, weight, bias, rows, width);
  stop(d, "layernorm_apply", 0, (double)(rows * (size_t)width * (4 + dtype_size(type))), "%zu x %d",
       rows, width);
}

static void attention_forward(Device *d, void *out, float *lse, const void *qkv, Dtype type,
                              int batch, int tokens, int heads, int head_size) {
  if (start(d))
    profile.inner->attention_forward(d, out, lse, qkv, type, batch, tokens, heads, head_size);
  double product = 2.0 * batch * heads * tokens * tokens * head_size;
  stop(d, "attention_forward", 2 * product,
       4.0 * (double)dtype_size(type) * batch * tokens * heads * head_size, "%d x %d x %d x %d",
       batch, tokens, heads, head_size);
}

static void attention_backward(Device *d, void *d_qkv, float *d_bias, const void *d_out,
                               const void *qkv, const void *out, const float *lse, Dtype type,
                               int batch, int tokens, int heads, int head_size, bool accumulate) {
  if (start(d))
    profile.inner->attention_backward(d, d_qkv, d_bias, d_out, qkv, out, lse, type, batch, tokens,
                                      heads, head_size, accumulate);
  double product = 2.0 * batch * heads * tokens * tokens * head_size;
  stop(d, "attention_backward", 4 * product,
       8.0 * (double)dtype_size(type) * batch * tokens * heads * head_size, "%d x %d x %d x %d",
       batch, tokens, heads, head_size);
}

static void gelu_forward(Device *d, void *y, const void *x, Dtype type, size_t count) {
  if (start(d)) profile.inner->gelu_forward(d, y, x, type, count);
  stop(d, "gelu_forward", 0, (double)(2 * count * dtype_size(type)), "%zu", count);
}

static void gelu_backward(Device *d, void *d_x, float *d_bias, const void *d_y, const void *x,
                          Dtype type, size_t rows, int width, bool accumulate) {
  if (start(d)) profile.inner->gelu_backward(d, d_x, d_bias, d_y, x, type, rows, width, accumulate);
  stop(d, "gelu_backward", 0, 3.0 * (double)dtype_size(type) * (double)rows * width, "%zu x %d",
       rows, width);
}

static void patch_gather(Device *d, void *out, Dtype type, const uint8_t *images,
                         const int32_t *patch_ids, int chosen, const PatchGrid *grid) {
  if (start(d)) profile.inner->patch_gather(d, out, type, images, patch_ids, chosen, grid);
  double values = 3.0 * grid->batch * chosen * grid->patch_size * grid->patch_size;
  stop(d, "patch_gather", 0, values * (1 + (double)dtype_size(type)), "%d x %d", grid->batch,
       chosen);
}

static void tokens_forward(Device *d, float *out, const void *src, Dtype type,
                           const float *class_token, const float *mask_token,
                           const float *positions, const TokenMap *map, int width) {
  if (start(d))
    profile.inner->tokens_forward(d, out, src, type, class_token, mask_token, positions, map,
                                  width);
  double rows = (double)map->batch * map->tokens, sources = (double)map->batch * map->sources;
  stop(d, "tokens_forward", 0, width * (4 * rows + (double)dtype_size(type) * sources),
       "%d x %d x %d", map->batch, map->tokens, width);
}

static void tokens_backward(Device *d, void *d_src, Dtype type, float *d_class_token,
                            float *d_mask_token, float *d_positions, const float *d_out,
                            const TokenMap *map, int width, bool accumulate) {
  if (start(d))
    profile.inner->tokens_backward(d, d_src, type, d_class_token, d_mask_token, d_positions, d_out,
                                   map, width, accumulate);
  double rows = (double)map->batch * map->tokens, sources = (double)map->batch * map->sources;
  stop(d, "tokens_backward", 0, width * (4 * rows + (double)dtype_size(type) * sources),
       "%d x %d x %d", map->batch, map->tokens, width);
}

/* As many bytes as if every row were in the loss. */
static void masked_loss(Device *d, float *image_loss, void *d_pred, Dtype type, const float *pred,
                        const int32_t *patch_of, int rows, const uint8_t *images, float factor,
                        const StepState *state, const PatchGrid *grid) {
  if (start(d))
    profile.inner->masked_loss(d, image_loss, d_pred, type, pred, patch_of, rows, images, factor,
                               state, grid);
  double values = 3.0 * grid->batch * rows * grid->patch_size * grid->patch_size;
  stop(d, "masked_loss", 0, values * (5 + (d_pred ? (double)dtype_size(type) : 0)), "%d x %d",
       grid->batch, rows);
}

static void rows_gather(Device *d, void *out, const void *src, Dtype type, const RowChoice *choice,
                        int width) {
  if (start(d)) profile.inner->rows_gather(d, out, src, type, choice, width);
  double values = 2.0 * choice->batch * choice->chosen * width;
  stop(d, "rows_gather", 0, values * (double)dtype_size(type), "%d x %d of %d x %d", choice->batch,
       choice->chosen, choice->rows, width);
}

static void rows_scatter(Device *d, void *out, const void *src, Dtype type, const RowChoice *choice,
                         int width) {
  if (start(d)) profile.inner->rows_scatter(d, out, src, type, choice, width);
  double values = (double)choice->batch * (choice->chosen + choice->rows) * width;
  stop(d, "rows_scatter", 0, values * (double)dtype_size(type), "%d x %d of %d x %d", choice->batch,
       choice->chosen, choice->rows, width);
}

static void tokens_pool(Device *d, float *first, float *mean, const void *tokens, Dtype type,
                        int batch, int count, int extra, int width) {
  if (start(d))
    profile.inner->tokens_pool(d, first, mean, tokens, type, batch, count, extra, width);
  double rows = (double)batch * count;
  stop(d, "tokens_pool", rows * width, (rows * (double)dtype_size(type) + 8.0 * batch) * width,
       "%d x %d x %d", batch, count, width);
}

static void largest_in_rows(Device *d, int32_t *chosen, int32_t *counts, const float *values,
                            size_t rows, int columns, int k, float margin, int capacity) {
  if (start(d))
    profile.inner->largest_in_rows(d, chosen, counts, values, rows, columns, k, margin, capacity);
  stop(d, "largest_in_rows", 0, 4.0 * (double)rows * (columns + k), "%d of %zu x %d", k, rows,
       columns);
}

static void softmax_loss(Device *d, float *losses, float *logits, const int32_t *labels,
                         size_t rows, int classes, float factor) {
  if (start(d)) profile.inner->softmax_loss(d, losses, logits, labels, rows, classes, factor);
  double values = (double)rows * classes;
  stop(d, "softmax_loss", 20 * values, 8 * (values + (double)rows), "%zu x %d", rows, classes);
}

static void reconstruct(Device *d, float *full, float *composite, const float *pred, int extra,
                        const uint8_t *images, const uint8_t *masked, const PatchGrid *grid) {
  if (start(d)) profile.inner->reconstruct(d, full, composite, pred, extra, images, masked, grid);
  double values = 3.0 * grid->batch * grid->image_size * grid->image_size;
  stop(d, "reconstruct", 0, values * 13, "%d", grid->batch);
}

static void image_scores(Device *d, double *scores, const float *pictures, const uint8_t *images,
                         int batch, int image_size) {
  if (start(d)) profile.inner->image_scores(d, scores, pictures, images, batch, image_size);
  stop(d, "image_scores", 0, 15.0 * batch * image_size * image_size, "%d x %d", batch, image_size);
}

static void crop_resize(Device *d, uint8_t *out, const uint8_t *pool, const Crop *crops, int batch,
                        int size) {
  if (start(d)) profile.inner->crop_resize(d, out, pool, crops, batch, size);
  stop(d, "crop_resize", 0, 6.0 * batch * size * size, "%d x %d", batch, size);
}

static void color_jitter(Device *d, uint8_t *images, const Jitter *jitters, int batch, int size) {
  if (start(d)) profile.inner->color_jitter(d, images, jitters, batch, size);
  stop(d, "color_jitter", 0, 6.0 * batch * size * size, "%d x %d", batch, size);
}

static void gradient_norm(Device *d, StepState *state, const float *grad_a, const float *grad_b,
                          size_t count) {
  if (start(d)) profile.inner->gradient_norm(d, state, grad_a, grad_b, count);
  stop(d, "gradient_norm", 0, (double)(count * (grad_b ? 8 : 4)), "%zu", count);
}

static void adamw(Device *d, const AdamW *a) {
  if (start(d)) profile.inner->adamw(d, a);
  size_t element = 24 + (a->grad_b ? 8 : 4) + (a->param16 ? dtype_size(a->type) : 0);
  stop(d, "adamw", 0, (double)(a->count * element), "%zu", a->count);
}

/* Nothing is replayed here: a replay could not be timed by operation. */
static void repeat(Device *d, Recording **recording, void (*work)(void *user), void *user) {
  (void)d, (void)recording;
  work(user);
}

/* Addresses without memory behind them, for operations that are counted and not run. */
static void *reserve(Device *d, size_t bytes) {
  (void)d;
  void *p = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

static void keep(Device *d, void *memory) {
  (void)d, (void)memory; /* until the process ends */
}

void profile_attach(Device *device, bool counts_only) {
  static Kernels shims;
  profile.inner = device->kernels;
  profile.counts_only = counts_only;
  shims = *device->kernels; /* what is not set below is passed on, not timed */
  if (counts_only) {
    shims.alloc = reserve;
    shims.free = keep;
  }
  shims.repeat = repeat;
  shims.upload = upload;
  shims.download = download;
  shims.zero = zero;
#define SHIM_SET(name, Type) shims.name = name;
  KERNEL_OPERATIONS(SHIM_SET)
  device->kernels = &shims;
  profile_reset();
}

void profile_detach(Device *device) {
  read_times(device);
  device->kernels = profile.inner;
}

void profile_reset(void) {
  profile.count = profile.pending_count = 0;
}

/* Seconds that the calls of an entry take at the least. */
static double floor_seconds(const Entry *entry, const ProfilePeaks *peaks) {
  double products = entry->flops / peaks->flops_per_second;
  double memory = entry->bytes / peaks->bytes_per_second;
  return products > memory ? products : memory;
}

/* The order of the table: most time first, or most of the floor where no time was taken. */
static const ProfilePeaks *order_peaks;
static double weight(const Entry *entry) {
  return profile.counts_only ? floor_seconds(entry, order_peaks) : entry->seconds;
}
static int heavier(const void *a, const void *b) {
  double x = weight(a), y = weight(b);
  return (x < y) - (x > y);
}

static void print_entry(FILE *file, const Entry *entry, const ProfilePeaks *peaks, int steps,
                        double total) {
  double floor = floor_seconds(entry, peaks);
  bool products = entry->flops / peaks->flops_per_second >= entry->bytes / peaks->bytes_per_second;
  fprintf(file, "%-22s %-24s %6.0f ", entry->operation, entry->shape, (double)entry->calls / steps);
  if (profile.counts_only)
    fprintf(file, "%9.4f %5.1f%%", 1e3 * floor / steps, 100 * floor / total);
  else
    fprintf(file, "%9.4f %5.1f%% %9.4f %4.0f%%", 1e3 * entry->seconds / steps,
            100 * entry->seconds / total, 1e3 * floor / steps,
            entry->seconds > 0 ? 100 * floor / entry->seconds : 0.0);
  fprintf(file, " %-8s %9.3f %9.2f\n", products ? "products" : "memory",
          1e-9 * entry->flops / steps, 1e-6 * entry->bytes / steps);
}

double profile_print(FILE *file, int steps, const ProfilePeaks *peaks) {
  double total = 0, floor = 0, flops = 0, bytes = 0;
  for (int i = 0; i < profile.count; i++) {
    const Entry *entry = &profile.entries[i];
    total += entry->seconds;
    floor += floor_seconds(entry, peaks);
    flops += entry->flops;
    bytes += entry->bytes;
  }
  order_peaks = peaks;
  qsort(profile.entries, (size_t)profile.count, sizeof *profile.entries, heavier);
  if (profile.counts_only) {
    total = floor;
    fprintf(file, "%-22s %-24s %6s %9s %6s %-8s %9s %9s\n", "operation", "shape", "calls",
            "floor ms", "share", "by", "GFLOP", "MB");
  } else {
    fprintf(file, "%-22s %-24s %6s %9s %6s %9s %5s %-8s %9s %9s\n", "operation", "shape", "calls",
            "ms", "share", "floor ms", "eff.", "by", "GFLOP", "MB");
  }
  for (int i = 0; i < profile.count; i++)
    print_entry(file, &profile.entries[i], peaks, steps, total);
  fprintf(file, "%-22s %-24s %6s %9.4f ", "all", "", "", 1e3 * total / steps);
  if (!profile.counts_only)
    fprintf(file, "%6s %9.4f %4.0f%%", "", 1e3 * floor / steps, 100 * floor / total);
  else
    fprintf(file, "%6s", "");
  fprintf(file, " %-8s %9.1f %9.0f\n", "", 1e-9 * flops / steps, 1e-6 * bytes / steps);
  return floor / steps;
}
