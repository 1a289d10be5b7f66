/* backend.h - every numeric operation of the trainer, behind one table of functions.
 *
 * Two implementations fill the table: kernels/cpu/ (always) and kernels/cuda/ (where nvcc was
 * found). Plain pointers, sizes and a dtype: no tensor objects and no graph. Nothing here knows
 * what a model, an option or a data set is.
 *
 * Each function of the table has a type, which says what it computes, and a row in one of the two
 * lists at the end; from the lists come the table, both backends' prototypes and fillings, and the
 * profiler's. To add an operation: its type and its row here, cpu_NAME in cpu/, cuda_NAME in cuda/,
 * its flops and bytes in mae/train/profile.c, its cases in tests/kernels/. Without cases the test
 * kernel_cases fails, without any of the others the build does.
 *
 * Conventions, for every operation:
 *  - Buffers are row-major and dense, on the device, at least 16-byte aligned at the start of each
 *    arena. `type` is the compute type of the 16-bit capable operands (void *); float * operands
 *    are always fp32. A d_ prefix marks a gradient.
 *  - Operations run in call order and may be asynchronous; download() and synchronize() wait.
 *    Queues run beside each other, ordered by marks alone.
 *  - The first failure is kept in the Device and reported by synchronize(); later calls do nothing.
 *  - Results do not depend on the number of threads, nor on timing: every sum has a fixed order.
 */
#ifndef KERNELS_BACKEND_H
#define KERNELS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum Dtype { DTYPE_F32, DTYPE_BF16, DTYPE_F16 } Dtype;

static inline size_t dtype_size(Dtype type) {
  return type == DTYPE_F32 ? 4 : 2;
}
static inline const char *dtype_name(Dtype type) {
  return type == DTYPE_F32 ? "fp32" : type == DTYPE_BF16 ? "bf16" : "fp16";
}

typedef struct Kernels Kernels;

/* An opened device: queue, library handles and scratch of one backend. Each backend's own struct
 * begins with this one. */
typedef struct Device {
  const Kernels *kernels;
} Device;

typedef struct DeviceInfo {
  char name[128];      /* "AMD EPYC ..." or "NVIDIA H200" */
  char libraries[256]; /* "oneDNN 2.6.3, OpenMP 201511" */
  char features[4096]; /* instruction set or compute capability, driver, pinned algorithms */
  char bus[32];        /* of a GPU: where it is plugged in, "0000:3b:00.0"; empty on a CPU */
  size_t memory_total; /* bytes; 0 when unknown */
  size_t memory_free;
  size_t memory_peak; /* most bytes this process held: allocated on a GPU, resident on a CPU */
  int threads;        /* CPU threads used; 0 on a GPU */
  bool has_bf16;      /* the type runs at full speed here */
  bool has_f16;
} DeviceInfo;

/* In CUDA's words a queue is a stream, a mark an event, a stamp an event that takes the time, and a
 * recording a graph.
 *
 * A device has queues of operations: one computes while another brings the next input and a third
 * exchanges gradients with other devices. A mark is a place in a queue, to be waited for by another
 * queue or by the host; a stamp is a place whose time is taken. A recording is a sequence of
 * operations that the device repeats by itself. A CPU has done every operation when its call
 * returns, so there only stamps mean anything. */
typedef enum Queue { QUEUE_COMPUTE, QUEUE_INPUT, QUEUE_EXCHANGE, QUEUES } Queue;
enum { DEVICE_MARKS = 10, DEVICE_STAMPS = 1024 };
typedef struct Recording Recording; /* see DeviceRepeat */

/* How the tokens of a sequence are put together from source rows, and where each came from. A
 * source row is used by at most one token. All index arrays are int32 on the device. */
enum { TOKEN_CLASS = -1, TOKEN_MASK = -2 };
typedef struct TokenMap {
  const int32_t *source;   /* [batch, tokens]: source row of the same image, or TOKEN_CLASS/_MASK */
  const int32_t *position; /* [batch, tokens]: row of the position table to add */
  const int32_t *token_at; /* [batch, positions]: the token at a position, or -1: the inverse */
  int batch, tokens, sources, positions;
} TokenMap;

/* Rows chosen from those of each image: the i-th of image b is its row first + ids[b, i]. Each at
 * most once. */
typedef struct RowChoice {
  const int32_t *ids; /* [batch, chosen] on the device */
  int batch, rows, chosen, first;
} RowChoice;

/* Geometry and targets of a batch of images. Pixels are uint8 [batch, size, size, 3]; the network
 * sees (pixel/255 - mean)/std with the ImageNet mean and std (scalar.h). Patches are numbered row
 * by row; a patch vector is (row in patch, column in patch, channel), channel fastest. */
typedef struct PatchGrid {
  int batch, image_size, patch_size; /* patches per image L = (image_size/patch_size)^2 */
  bool norm_pix; /* target = (t - mean_patch)/sqrt(var_patch + 1e-6), unbiased */
} PatchGrid;

/* One training crop: box (left, top, width, height) in whole pixels of a source image of
 * src_width x src_height, whose uint8 RGB rows start at `offset` bytes into the pool; bicubic with
 * antialiasing as Pillow does; then mirrored when flip is set. */
typedef struct Crop {
  uint64_t offset;
  int32_t src_width, src_height, left, top, width, height;
  int32_t flip;
} Crop;

/* How one image's colours change: three steps in the given order, each a blend with an image that
 * has none of what it is named for (jitter_blend in scalar.h): black, grey of the mean luma, and
 * every pixel's own luma. A factor of JITTER_ONE changes nothing. */
typedef enum JitterStep {
  JITTER_BRIGHTNESS,
  JITTER_CONTRAST,
  JITTER_SATURATION,
  JITTER_STEPS
} JitterStep;
enum { JITTER_ONE = 1 << 14 };
typedef struct Jitter {
  int32_t factor[JITTER_STEPS]; /* by JitterStep, in units of 1/JITTER_ONE, 0 to 2 JITTER_ONE */
  int32_t order[JITTER_STEPS];  /* JitterStep: first, second, third; each once */
} Jitter;

/* The part of the optimiser that changes every step; lives on the device so that a step needs no
 * round trip, and is part of a checkpoint. */
typedef struct StepState {
  uint64_t step;        /* training steps attempted so far = index into the learning-rate table */
  uint64_t updates;     /* steps that changed the weights: AdamW's t */
  float loss_scale;     /* 1 unless fp16 */
  uint32_t clean_steps; /* since the loss scale last changed */
  uint32_t overflow;    /* 1: the current gradient is not finite */
  float grad_norm;      /* of the current gradient, unscaled */
  float learning_rate;  /* used by the last adamw() */
  uint32_t skipped;     /* steps skipped because of overflow, in total */
} StepState;

typedef struct AdamW {
  float *param, *m, *v; /* [count]; the first `decayed` elements are subject to weight decay */
  void *param16;        /* [count] copy in `type` for the matrix products; NULL when fp32 */
  Dtype type;           /* of param16 */
  const float *grad_a;  /* [count] */
  const float *grad_b;  /* [count] or NULL: the gradient is (grad_a + grad_b) / loss_scale */
  size_t count, decayed;
  StepState *state;        /* device */
  const float *rate_table; /* device, [steps]: learning rate of each step */
  float beta1, beta2, epsilon, weight_decay;
  float clip;         /* scale the gradient down to this norm; 0: never */
  bool dynamic_scale; /* fp16: double the scale after 2000 clean steps, halve on overflow */
} AdamW;

/* What a device offers besides arithmetic ------------------------------------------------------*/

typedef void DeviceClose(Device *);
typedef void DeviceInform(Device *, DeviceInfo *);

/* Memory. Zeroed bytes, 64-byte aligned, or NULL when there are not enough. */
typedef void *DeviceAlloc(Device *, size_t bytes);
typedef void DeviceFree(Device *, void *memory);
/* host_src may be changed as soon as the call returns. */
typedef void DeviceUpload(Device *, void *dst, const void *host_src, size_t bytes);
typedef void DeviceDownload(Device *, void *host_dst, const void *src, size_t bytes);
/* Page-locked host memory: bytes copied without the host waiting. NULL when there is none. */
typedef void *DeviceHostAlloc(Device *, size_t bytes);
typedef void DeviceHostFree(Device *, void *memory);
/* As DeviceDownload, but host_dst (from DeviceHostAlloc) holds the bytes only when a later mark of
 * the current queue is reached. */
typedef void DeviceDownloadLater(Device *, void *host_dst, const void *src, size_t bytes);
typedef void DeviceZero(Device *, void *dst, size_t bytes);

/* Operations go to this queue from now on; QUEUE_COMPUTE at first. */
typedef void DeviceUseQueue(Device *, Queue);
/* The current queue as libraries know it (cudaStream_t): for operations that are not in this
 * table, which come in call order with those that are. NULL on a CPU. */
typedef void *DeviceStream(Device *);
/* Puts mark number 0..DEVICE_MARKS-1 at the end of the current queue. */
typedef void DeviceMark(Device *, int mark);
/* What is queued in the current queue from now on waits until the mark is reached; at once when it
 * was never put. */
typedef void DeviceWaitMark(Device *, int mark);
/* The host waits until the mark is reached; false and a message as DeviceSynchronize. */
typedef bool DeviceReachMark(Device *, int mark, char *message, size_t size);

/* For measuring: notes the time at which the current queue reaches this place, by the device's own
 * clock, as stamp number 0..DEVICE_STAMPS-1. */
typedef void DeviceStamp(Device *, int stamp);
/* Waits for two stamps of one queue, and gives the seconds between them. */
typedef double DeviceStampSeconds(Device *, int from, int to);

/* Queues what work(user) queues. *recording is NULL at first; a GPU runs work the first time,
 * records what it queues the second time, and from then on replays that without calling work. So
 * work must queue the same operations with the same arguments each time, and neither transfer from
 * or to the host nor wait. One recording serves one queue. Marks that work puts are for work alone:
 * whoever else waited for one that is recorded would fail. */
typedef void DeviceRepeat(Device *, Recording **recording, void (*work)(void *user), void *user);
typedef void DeviceForget(Device *, Recording **recording);

/* Waits for everything; false and a message when anything failed since the device was opened. */
typedef bool DeviceSynchronize(Device *, char *message, size_t size);

/* Chooses, once and for all, how LinearForward of this shape will be computed, and with trains its
 * two backward products: the choice is then part of info(). Products of other shapes choose when
 * they are first run. */
typedef void LinearPrepare(Device *, Dtype y_type, Dtype type, size_t rows, int in, int out,
                           bool trains);

/* Which of its library's algorithms a GPU multiplies with follows a rule, or a table that was made
 * by timing and says which for each shape. A CPU has no choice: false, with a message.
 *
 * Products follow the table text[text_size], which products_write made, from now on; those that it
 * lacks follow the rule. To be called before any product is prepared. `name` is the table's file. A
 * table of another device or library, or a damaged one, is false and a message with its line. */
typedef bool ProductsRead(Device *, const char *name, const char *text, size_t text_size,
                          char *message, size_t size);
/* Every product is timed from now on, with memory of its own, when it is prepared or first run. */
typedef bool ProductsTime(Device *, char *message, size_t size);
/* The table of the products that were timed. */
typedef void ProductsWrite(Device *, FILE *);

/* Operations -----------------------------------------------------------------------------------*/

/* dst[count] (type) = src[count] (fp32), round to nearest even. */
typedef void Convert(Device *, void *dst, Dtype type, const float *src, size_t count);

/* y[rows,out] (y_type) = x[rows,in] w[out,in]^T + bias[out] (y_type; NULL: none); x and w in type,
 * fp32 accumulation. y_type is type or fp32. */
typedef void LinearForward(Device *, void *y, Dtype y_type, const void *x, const void *w,
                           const void *bias, Dtype type, size_t rows, int in, int out);
/* d_x[rows,in] (type) = d_y[rows,out] (type) w[out,in] (type). */
typedef void LinearBackwardInput(Device *, void *d_x, const void *d_y, const void *w, Dtype type,
                                 size_t rows, int in, int out);
/* d_w[out,in] (fp32) = d_y^T x, d_bias[out] = column sums of d_y (NULL: none); added to what is
 * there when accumulate is set. */
typedef void LinearBackwardWeight(Device *, float *d_w, float *d_bias, const void *d_y,
                                  const void *x, Dtype type, size_t rows, int in, int out,
                                  bool accumulate);

/* sum[rows,width] = x + branch (branch in type; NULL: sum = x, and sum itself may be NULL then);
 * y (type) = (sum - mean)/sqrt(var + 1e-6) * weight + bias; mean and rstd [rows] for the backward
 * pass. sum may be x itself. */
typedef void LayernormForward(Device *, void *y, Dtype type, float *sum, float *mean, float *rstd,
                              const float *x, const void *branch, const float *weight,
                              const float *bias, size_t rows, int width);
/* d_x[rows,width] = d_residual (NULL: 0; may be d_x) + gradient of the layernorm at x; d_x16
 * receives the same in type (NULL: not wanted). x, mean, rstd are forward's sum, mean, rstd; d_y in
 * type. d_x_sums[width] = the column sums of d_x (NULL: not wanted): the gradient of the bias of a
 * linear map whose output is x or was added to it. d_weight, d_bias and d_x_sums are added to when
 * accumulate is set. */
typedef void LayernormBackward(Device *, float *d_x, void *d_x16, Dtype type, float *d_weight,
                               float *d_bias, float *d_x_sums, const float *d_residual,
                               const void *d_y, const float *x, const float *mean,
                               const float *rstd, const float *weight, size_t rows, int width,
                               bool accumulate);
/* y (type) = layernorm of x from the stored mean and rstd: recomputation of forward's y. */
typedef void LayernormApply(Device *, void *y, Dtype type, const float *x, const float *mean,
                            const float *rstd, const float *weight, const float *bias, size_t rows,
                            int width);

/* Multi-head self-attention of every image. qkv: [batch, tokens, {q,k,v}, heads, head_size];
 * out: [batch, tokens, heads, head_size]; both in type. Scores scaled by head_size^-1/2.
 * lse: [batch, heads, tokens] log-sum-exp of the scaled scores, for the backward pass. Scores of at
 * most one head per thread or block exist at a time. */
typedef void AttentionForward(Device *, void *out, float *lse, const void *qkv, Dtype type,
                              int batch, int tokens, int heads, int head_size);
/* d_bias[3*heads*head_size] = the column sums of d_qkv: the gradient of the bias that was added to
 * make qkv; added to what is there when accumulate is set. */
typedef void AttentionBackward(Device *, void *d_qkv, float *d_bias, const void *d_out,
                               const void *qkv, const void *out, const float *lse, Dtype type,
                               int batch, int tokens, int heads, int head_size, bool accumulate);

/* Exact GELU, x Phi(x). */
typedef void GeluForward(Device *, void *y, const void *x, Dtype type, size_t count);
/* d_x[rows,width] = d_y times the slope at x; d_x may be d_y. d_bias[width] = the column sums of
 * d_x before it is rounded to type: the gradient of the bias that was added to make x; added to
 * what is there when accumulate is set. */
typedef void GeluBackward(Device *, void *d_x, float *d_bias, const void *d_y, const void *x,
                          Dtype type, size_t rows, int width, bool accumulate);

/* out[batch*chosen, 3*p*p] (type): normalised patches in the convolution weight's order (channel,
 * row, column). patch_ids [batch, chosen] int32 patch numbers. */
typedef void PatchGather(Device *, void *out, Dtype type, const uint8_t *images,
                         const int32_t *patch_ids, int chosen, const PatchGrid *);

/* out[b,t,:] = (source row | class_token | mask_token) + positions[position[b,t],:].
 * src: [batch, sources, width] (type); out: [batch, tokens, width] fp32. class_token, mask_token
 * [width] and positions [positions, width] may be NULL when the map does not refer to them
 * (positions NULL: none are added). */
typedef void TokensForward(Device *, float *out, const void *src, Dtype type,
                           const float *class_token, const float *mask_token,
                           const float *positions, const TokenMap *, int width);
/* d_src (type): the gradient of every source row. A source row feeds at most one token; rows that
 * feed none get a zero gradient. d_class_token, d_mask_token, d_positions may be NULL: not wanted;
 * they, not d_src, are added to when accumulate is set. */
typedef void TokensBackward(Device *, void *d_src, Dtype type, float *d_class_token,
                            float *d_mask_token, float *d_positions, const float *d_out,
                            const TokenMap *, int width, bool accumulate);

/* What the tokens of each image say of the whole image: first[batch,width] = the first token's row
 * (NULL: not wanted), mean[batch,width] = the mean of the rows from `extra` on. tokens: [batch,
 * count, width] in type. */
typedef void TokensPool(Device *, float *first, float *mean, const void *tokens, Dtype type,
                        int batch, int count, int extra, int width);

/* out[batch, chosen, width] = the chosen rows of src[batch, rows, width], bit by bit; both in type.
 */
typedef void RowsGather(Device *, void *out, const void *src, Dtype type, const RowChoice *,
                        int width);
/* The way back: out[batch, rows, width] has src[batch, chosen, width] in its chosen rows and zero
 * in the others. */
typedef void RowsScatter(Device *, void *out, const void *src, Dtype type, const RowChoice *,
                         int width);

/* pred: [batch, rows, 3*p*p] fp32. patch_of: [batch, rows] int32, the patch that a row predicts, or
 * -1 where the row is not in the loss; each patch of an image at most once. image_loss[b] = sum
 * over the rows in the loss of the mean squared error of the patch. d_pred (type; NULL: not wanted)
 * = d(sum of image_loss)/d_pred * factor * state->loss_scale (state NULL: 1); zero in rows that are
 * not in the loss. */
typedef void MaskedLoss(Device *, float *image_loss, void *d_pred, Dtype type, const float *pred,
                        const int32_t *patch_of, int rows, const uint8_t *images, float factor,
                        const StepState *state, const PatchGrid *);

/* Pictures in [0,1], fp32 [batch, size, size, 3], un-normalised and clamped: `full` from every
 * prediction (pred: [batch, extra + L, 3*p*p], of which an image's first `extra` rows carry no
 * patch), `composite` with the unmasked patches (masked[b,l] == 0) taken from the input.
 * norm_pix predictions are un-normalised with the mean and deviation of the original patch, which
 * no model could know: only the psnr_leaky and ssim_leaky metrics use that. */
typedef void Reconstruct(Device *, float *full, float *composite, const float *pred, int extra,
                         const uint8_t *images, const uint8_t *masked, const PatchGrid *);
/* scores: [batch, PICTURE_SCORES] of pictures [batch, size, size, 3] in [0,1] against images/255.
 * SSIM: 11x11 Gaussian window, sigma 1.5, K .01 and .03, population covariance, mean over channels
 * and over the pixels at least 5 from the border (Wang et al. 2004). */
typedef enum PictureScore {
  SCORE_ERROR, /* sum of squared errors over all values */
  SCORE_SSIM,  /* NaN for a picture smaller than the window */
  PICTURE_SCORES
} PictureScore;
typedef void ImageScores(Device *, double *scores, const float *pictures, const uint8_t *images,
                         int batch, int image_size);

/* out[batch, size, size, 3] uint8: crops of the images in pool. */
typedef void CropResize(Device *, uint8_t *out, const uint8_t *pool, const Crop *crops, int batch,
                        int size);

/* For each row of values[rows, columns], all finite, the columns whose value is at least the row's
 * k-th largest less `margin`: chosen[rows, capacity] holds the first `capacity` of them in
 * ascending order and -1 behind them, counts[rows] says how many there are. 1 <= k <= columns. */
typedef void LargestInRows(Device *, int32_t *chosen, int32_t *counts, const float *values,
                           size_t rows, int columns, int k, float margin, int capacity);
/* Cross entropy of the softmax of each row: losses[rows] = -log p[label], and logits[rows,classes]
 * become the gradient of the sum of the losses times `factor`: factor * (p - 1 at the label). */
typedef void SoftmaxLoss(Device *, float *losses, float *logits, const int32_t *labels, size_t rows,
                         int classes, float factor);
/* Changes images[batch, size, size, 3] in place, each by its jitters[batch]: the bytes of Pillow's
 * ImageEnhance Brightness, Contrast and Color one after another, and so of torchvision's
 * ColorJitter without hue. */
typedef void ColorJitter(Device *, uint8_t *images, const Jitter *jitters, int batch, int size);

/* Sets state->grad_norm and state->overflow from (grad_a + grad_b)/loss_scale. */
typedef void GradientNorm(Device *, StepState *state, const float *grad_a, const float *grad_b,
                          size_t count);
/* One AdamW update, skipped on overflow; then advances the counters and the loss scale in state. */
typedef void AdamWUpdate(Device *, const AdamW *);

/* The table ------------------------------------------------------------------------------------*/

/* Each row is the name in the table and the type. A backend's function is cpu_NAME or cuda_NAME. */
#define KERNEL_SERVICES(X)                                                                         \
  X(close, DeviceClose)                                                                            \
  X(info, DeviceInform)                                                                            \
  X(alloc, DeviceAlloc)                                                                            \
  X(free, DeviceFree)                                                                              \
  X(upload, DeviceUpload)                                                                          \
  X(download, DeviceDownload)                                                                      \
  X(host_alloc, DeviceHostAlloc)                                                                   \
  X(host_free, DeviceHostFree)                                                                     \
  X(download_later, DeviceDownloadLater)                                                           \
  X(zero, DeviceZero)                                                                              \
  X(use_queue, DeviceUseQueue)                                                                     \
  X(stream, DeviceStream)                                                                          \
  X(mark, DeviceMark)                                                                              \
  X(wait_mark, DeviceWaitMark)                                                                     \
  X(reach_mark, DeviceReachMark)                                                                   \
  X(stamp, DeviceStamp)                                                                            \
  X(stamp_seconds, DeviceStampSeconds)                                                             \
  X(repeat, DeviceRepeat)                                                                          \
  X(forget, DeviceForget)                                                                          \
  X(synchronize, DeviceSynchronize)                                                                \
  X(linear_prepare, LinearPrepare)                                                                 \
  X(products_read, ProductsRead)                                                                   \
  X(products_time, ProductsTime)                                                                   \
  X(products_write, ProductsWrite)

#define KERNEL_OPERATIONS(X)                                                                       \
  X(convert, Convert)                                                                              \
  X(linear_forward, LinearForward)                                                                 \
  X(linear_backward_input, LinearBackwardInput)                                                    \
  X(linear_backward_weight, LinearBackwardWeight)                                                  \
  X(layernorm_forward, LayernormForward)                                                           \
  X(layernorm_backward, LayernormBackward)                                                         \
  X(layernorm_apply, LayernormApply)                                                               \
  X(attention_forward, AttentionForward)                                                           \
  X(attention_backward, AttentionBackward)                                                         \
  X(gelu_forward, GeluForward)                                                                     \
  X(gelu_backward, GeluBackward)                                                                   \
  X(patch_gather, PatchGather)                                                                     \
  X(tokens_forward, TokensForward)                                                                 \
  X(tokens_backward, TokensBackward)                                                               \
  X(tokens_pool, TokensPool)                                                                       \
  X(rows_gather, RowsGather)                                                                       \
  X(rows_scatter, RowsScatter)                                                                     \
  X(masked_loss, MaskedLoss)                                                                       \
  X(reconstruct, Reconstruct)                                                                      \
  X(image_scores, ImageScores)                                                                     \
  X(crop_resize, CropResize)                                                                       \
  X(largest_in_rows, LargestInRows)                                                                \
  X(softmax_loss, SoftmaxLoss)                                                                     \
  X(color_jitter, ColorJitter)                                                                     \
  X(gradient_norm, GradientNorm)                                                                   \
  X(adamw, AdamWUpdate)

#define KERNEL_MEMBER(name, Type) Type *name;
struct Kernels {
  const char *name; /* "cpu" or "cuda" */
  /* Device memory is ordinary memory, and the host's pointers serve as the device's. */
  bool host_memory;
  KERNEL_SERVICES(KERNEL_MEMBER)
  KERNEL_OPERATIONS(KERNEL_MEMBER)
};
#undef KERNEL_MEMBER

/* Opens "cpu" or "cuda:N". threads: CPU threads to use, 0 for all. emulate: take 16-bit types on a
 * CPU without them, by widening to fp32 around each product (for checking, not for speed). NULL and
 * a message when the device is not there. */
Device *backend_open(const char *device, int threads, bool emulate, char *message, size_t size);

/* What multiplies matrices on the CPU in this build: "oneDNN 2.6.3" or "plain loops (no oneDNN,
 * slow)". Another library or version of it gives other bits. */
void backend_cpu_products(char *text, size_t size);

/* "CUDA 12.8, cuBLASLt 12.8.4": libraries of a build with CUDA, "" of others. Needs no driver. */
void backend_cuda_libraries(char *text, size_t size);

/* Number of usable CUDA devices; 0 where the build has no CUDA or the machine no driver. */
int backend_cuda_count(void);

/* Bytes of device memory that an open device of this name holds for its own work. */
size_t backend_own_memory(const char *device);
/* Bytes that it takes besides while the first steps run, and keeps. */
size_t backend_later_memory(const char *device);

#ifdef __cplusplus
}
#endif
#endif
