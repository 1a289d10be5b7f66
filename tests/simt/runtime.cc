/* runtime.cc - see runtime.h. One thread is served: the trainer's. */
#include "runtime.h"

#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CAN_GUARD = 0 };
#else
enum { CAN_GUARD = 1 };
#endif

namespace {

/* A place in a stream: reached when `completed` is at least the number it was given. */
struct EventState {
  uint64_t recorded, completed;
  double reached; /* when it was completed, seconds */
  bool timed;
  SimtStream *stream;
  struct Capture *capture; /* recorded into this one, which goes on */
  size_t capture_position; /* work of `stream` in the capture by then */
  bool captured;           /* last recorded into one that has ended: it can only be recorded anew */
};

struct Work {
  std::function<void()> run;
  std::shared_ptr<EventState> awaited; /* run when it has reached `number` */
  uint64_t number;
};

struct Node {
  std::function<void()> run;
  const void *kernel; /* NULL: no kernel */
  size_t shared_bytes;
};

struct Capture {
  SimtStream *origin;
  std::vector<Node> work;
  std::vector<std::shared_ptr<EventState>> events; /* recorded into it */
  bool broken;
};

} // namespace

struct SimtStream {
  std::deque<Work> queue;
  Capture *capture;
  size_t captured, joined; /* work captured here; as much of it as the origin waits for */
};
struct SimtEvent {
  std::shared_ptr<EventState> state;
};
struct SimtGraph {
  std::vector<Node> work;
};
struct SimtGraphExec {
  size_t bytes;
  std::shared_ptr<const std::vector<Node>> work; /* a launch under way holds it, too */
};

namespace {

struct Failure {
  std::string name;
  uint64_t call;
  cudaError_t error;
};

struct Runtime {
  int devices = 1, capability = 80, driver = 13000;
  size_t memory = (size_t)16 << 30, used = 0;
  size_t shared_limit = 0; /* bytes of shared memory a block may have, when it asks */
  std::vector<Failure> failures;
  std::map<std::string, uint64_t> calls;
  cudaError_t last = cudaSuccess, sticky = cudaSuccess;
  enum { LAZY, EAGER, RANDOM } policy = LAZY;
  uint64_t random = 1;
  std::vector<SimtStream *> streams;
  std::map<char *, size_t> device_memory, host_memory;
  std::map<const void *, size_t> shared_allowed;
  std::set<const void *> loaded; /* kernels whose code is on the device */
  Capture *capture = nullptr;
  simt::Counters counters = {};
  size_t allocations_pending = 0, waits_pending = 0;
  const char *report = nullptr;
  char *arena = nullptr;
  size_t arena_used = 0;
  bool guarded = CAN_GUARD; /* the host cannot touch device memory */
  int unlocked = 0;

  Runtime();
  ~Runtime();
};

enum { RUNTIME_VERSION = 13000 };
/* How much of new memory is made NaN. Pages never touched cost nothing when protection changes. */
const size_t POISONED = (size_t)1 << 20;
const size_t ARENA_BYTES = (size_t)1 << 38;
enum { KERNEL_BYTES = 64 << 10, NODE_BYTES = 8 << 10 }; /* code; a node of an instantiated graph */
const size_t SHARED_DEFAULT = (size_t)48 << 10;         /* of a kernel that nothing was asked for */

long number(const char *name, long initial) {
  const char *text = getenv(name);
  return text && *text ? atol(text) : initial;
}

/* KiB of shared memory that a block may ask for: NVIDIA's table of compute capabilities. */
long shared_of(int capability) {
  if (capability < 80) return 64;
  if (capability == 86 || capability == 89 || capability >= 120) return 99;
  return capability < 90 ? 163 : 227;
}

void enqueue_kernel(SimtStream *, const void *, size_t, const std::function<void()> &);

Runtime::Runtime() {
  devices = (int)number("SIMT_DEVICES", 1);
  driver = (int)number("SIMT_DRIVER", RUNTIME_VERSION);
  memory = (size_t)number("SIMT_MEMORY", 16384) << 20;
  report = getenv("SIMT_REPORT");
  int major = 0, minor = 0;
  const char *text = getenv("SIMT_CAPABILITY");
  if (text && sscanf(text, "%d.%d", &major, &minor) == 2) capability = 10 * major + minor;
  text = getenv("SIMT_STREAMS");
  if (text && !strcmp(text, "eager")) policy = EAGER;
  unsigned long seed;
  if (text && sscanf(text, "random:%lu", &seed) == 1) {
    policy = RANDOM;
    random = seed;
  }
  shared_limit = (size_t)number("SIMT_SHARED", shared_of(capability)) << 10;
  simt::grid_limit = (unsigned)number("SIMT_GRID", simt::grid_limit);
  for (text = getenv("SIMT_FAIL"); text && *text;
       text += strcspn(text, ","), text += *text == ',') {
    char name[64];
    unsigned long call;
    int code;
    if (sscanf(text, "%63[^:]:%lu:%d", name, &call, &code) == 3)
      failures.push_back({name, call, (cudaError_t)code});
  }
  guarded = CAN_GUARD && number("SIMT_GUARD", 1);
  if (guarded) {
    void *pages =
        mmap(nullptr, ARENA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) {
      perror("simt: mmap");
      abort();
    }
    arena = static_cast<char *>(pages);
  }
  simt::enqueue = enqueue_kernel;
}

Runtime::~Runtime() {
  /* What an error that stays kept from being freed goes with the process, and is no leak. */
  if (sticky && !guarded)
    for (const auto &range : device_memory) free(range.first);
  if (sticky)
    for (const auto &range : host_memory) free(range.first);
  FILE *file = report ? fopen(report, "a") : nullptr;
  if (!file) return;
  fprintf(file,
          "{\"allocations\": %zu, \"allocations_between_replays\": %zu, \"waits\": %zu, "
          "\"waits_between_replays\": %zu, \"captured\": %zu, \"replays\": %zu, \"kernels\": %zu, "
          "\"peak_bytes\": %zu}\n",
          counters.allocations, counters.allocations_between_replays, counters.waits,
          counters.waits_between_replays, counters.captured, counters.replays, counters.kernels,
          counters.peak_bytes);
  fclose(file);
}

Runtime runtime;

/* While one lives, device memory can be touched. */
struct Unlocked {
  Unlocked() {
    if (!runtime.unlocked++) protect(PROT_READ | PROT_WRITE);
  }
  ~Unlocked() {
    if (!--runtime.unlocked) protect(PROT_NONE);
  }
  static void protect(int protection) {
    if (runtime.guarded && runtime.arena_used)
      mprotect(runtime.arena, runtime.arena_used, protection);
  }
};

uint32_t draw() {
  runtime.random = runtime.random * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(runtime.random >> 33);
}

void run_first(SimtStream *stream) {
  Work work = stream->queue.front();
  stream->queue.pop_front();
  while (work.awaited && work.awaited->completed < work.number) run_first(work.awaited->stream);
  if (work.run) work.run(); /* what the device has failed at is not run: see device_work() */
}

void drain(SimtStream *stream) {
  Unlocked unlocked;
  while (!stream->queue.empty()) run_first(stream);
}

void drain_all() {
  for (SimtStream *stream : runtime.streams) drain(stream);
}

/* After something was queued. */
void after_queueing(SimtStream *stream) {
  if (runtime.policy == Runtime::EAGER) drain(stream);
  if (runtime.policy != Runtime::RANDOM) return;
  Unlocked unlocked;
  for (uint32_t turns = draw() % 4; turns; turns--) {
    SimtStream *other = runtime.streams[draw() % runtime.streams.size()];
    if (!other->queue.empty()) run_first(other);
  }
}

cudaError_t fail(cudaError_t error) {
  return runtime.last = error;
}

/* A call that a capturing thread must not make. */
cudaError_t forbid_capture() {
  if (!runtime.capture) return cudaSuccess;
  runtime.capture->broken = true;
  return fail(cudaErrorStreamCaptureUnsupported);
}

bool inside(const std::map<char *, size_t> &ranges, const void *p, size_t bytes) {
  char *at = static_cast<char *>(const_cast<void *>(p));
  auto range = ranges.upper_bound(at);
  if (range == ranges.begin()) return false;
  --range;
  return at + bytes <= range->first + range->second;
}

/* Whether a kernel may have that much shared memory now. */
bool may_share(const void *kernel, size_t bytes) {
  auto allowed = runtime.shared_allowed.find(kernel);
  return bytes <= (allowed == runtime.shared_allowed.end() ? SHARED_DEFAULT : allowed->second);
}

/* Work of a stream, or of the graph that it is captured into. */
void queue_node(SimtStream *stream, const Node &node) {
  auto guarded = [run = node.run] {
    if (!runtime.sticky) run();
  };
  if (stream->capture) {
    stream->capture->work.push_back({guarded, node.kernel, node.shared_bytes});
    stream->captured++;
    return;
  }
  stream->queue.push_back({guarded, nullptr, 0});
  after_queueing(stream);
}

void enqueue_kernel(SimtStream *stream, const void *kernel, size_t shared_bytes,
                    const std::function<void()> &run) {
  if (simt::enter("launch")) return;
  if (runtime.loaded.insert(kernel).second && simt::charge(KERNEL_BYTES)) return;
  if (!may_share(kernel, shared_bytes)) {
    fail(cudaErrorInvalidValue);
    return;
  }
  auto counted = [run] {
    cudaError_t error = simt::enter("kernel");
    if (error) {
      runtime.sticky = error;
      return;
    }
    runtime.counters.kernels++;
    run();
  };
  queue_node(stream, {counted, kernel, shared_bytes});
}

void count_wait() {
  runtime.counters.waits++;
  runtime.waits_pending++;
}

} // namespace

const simt::Counters &simt::counters() {
  return runtime.counters;
}

int simt::capability() {
  return runtime.capability;
}

cudaError_t simt::enter(const char *name) {
  if (runtime.sticky) return fail(runtime.sticky);
  uint64_t call = ++runtime.calls[name];
  for (const Failure &failure : runtime.failures)
    if (failure.call == call && failure.name == name) return fail(failure.error);
  return cudaSuccess;
}

cudaError_t simt::charge(size_t bytes) {
  if (bytes > runtime.memory - runtime.used) return fail(cudaErrorMemoryAllocation);
  runtime.used += bytes;
  if (runtime.used > runtime.counters.peak_bytes) runtime.counters.peak_bytes = runtime.used;
  return cudaSuccess;
}

void simt::enqueue_work(SimtStream *stream, const std::function<void()> &run) {
  queue_node(stream, {run, nullptr, 0});
}

/* Errors ---------------------------------------------------------------------------------------*/

cudaError_t cudaGetLastError() {
  cudaError_t error = runtime.sticky ? runtime.sticky : runtime.last;
  runtime.last = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() {
  return runtime.sticky ? runtime.sticky : runtime.last;
}

static const struct {
  cudaError_t error;
  const char *name, *text;
} error_texts[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
};

const char *cudaGetErrorString(cudaError_t error) {
  for (const auto &entry : error_texts)
    if (entry.error == error) return entry.text;
  return "unrecognized error code";
}
const char *cudaGetErrorName(cudaError_t error) {
  for (const auto &entry : error_texts)
    if (entry.error == error) return entry.name;
  return "unrecognized error code";
}

/* Devices --------------------------------------------------------------------------------------*/

cudaError_t cudaDriverGetVersion(int *version) {
  *version = runtime.driver;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = RUNTIME_VERSION;
  return cudaSuccess;
}

/* What every call that needs a device answers without one, and in a process that was forked after
 * the first such call. */
static cudaError_t need_device() {
  if (runtime.driver < RUNTIME_VERSION / 1000 * 1000) return fail(cudaErrorInsufficientDriver);
  if (runtime.devices == 0) return fail(cudaErrorNoDevice);
  static pid_t process;
  if (!process) process = getpid();
  return process == getpid() ? cudaSuccess : fail(cudaErrorInitializationError);
}

#define ENTER(name)                                                                                \
  do {                                                                                             \
    cudaError_t entered = need_device();                                                           \
    if (!entered) entered = simt::enter(name);                                                     \
    if (entered) return entered;                                                                   \
  } while (0)

cudaError_t cudaGetDeviceCount(int *count) {
  *count = 0;
  ENTER("cudaGetDeviceCount");
  *count = runtime.devices;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int *device) {
  ENTER("cudaGetDevice");
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  ENTER("cudaSetDevice");
  return device >= 0 && device < runtime.devices ? cudaSuccess : fail(cudaErrorInvalidDevice);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  ENTER("cudaGetDeviceProperties");
  if (device < 0 || device >= runtime.devices) return fail(cudaErrorInvalidDevice);
  *properties = {};
  snprintf(properties->name, sizeof properties->name, "simulated GPU");
  properties->totalGlobalMem = runtime.memory;
  properties->sharedMemPerBlock = SHARED_DEFAULT;
  properties->sharedMemPerBlockOptin = runtime.shared_limit;
  properties->major = runtime.capability / 10;
  properties->minor = runtime.capability % 10;
  properties->multiProcessorCount = simt::MULTIPROCESSORS;
  properties->pciBusID = device + 1;
  properties->maxGridSize[0] = INT_MAX;
  properties->maxGridSize[1] = properties->maxGridSize[2] = (int)simt::grid_limit;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  ENTER("cudaDeviceSynchronize");
  if (cudaError_t error = forbid_capture()) return error;
  count_wait();
  drain_all();
  return runtime.sticky;
}

/* Memory ---------------------------------------------------------------------------------------*/

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
  ENTER("cudaMemGetInfo");
  *total = runtime.memory;
  *free = runtime.memory - runtime.used;
  return cudaSuccess;
}

static size_t round_up(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  ENTER("cudaMalloc");
  if (cudaError_t error = forbid_capture()) return error;
  *memory = nullptr;
  void *p = nullptr;
  if (cudaError_t error = simt::charge(round_up(bytes, 512))) return error;
  if (runtime.guarded) {
    if (round_up(bytes, 4096) + 4096 > ARENA_BYTES - runtime.arena_used)
      return fail(cudaErrorMemoryAllocation);
    p = runtime.arena + runtime.arena_used;
    runtime.arena_used += round_up(bytes, 4096) + 4096;
  } else if (posix_memalign(&p, 256, bytes)) {
    return fail(cudaErrorMemoryAllocation);
  }
  {
    Unlocked unlocked;
    memset(p, 0xff, bytes < POISONED ? bytes : POISONED);
  }
  runtime.device_memory[static_cast<char *>(p)] = bytes;
  runtime.counters.allocations++;
  runtime.allocations_pending++;
  *memory = p;
  return cudaSuccess;
}

cudaError_t cudaFree(void *memory) {
  if (!memory) return cudaSuccess;
  ENTER("cudaFree");
  if (cudaError_t error = forbid_capture()) return error;
  auto range = runtime.device_memory.find(static_cast<char *>(memory));
  if (range == runtime.device_memory.end()) return fail(cudaErrorInvalidValue);
  drain_all();
  runtime.used -= round_up(range->second, 512);
  if (runtime.guarded)
    madvise(memory, round_up(range->second, 4096), MADV_DONTNEED);
  else
    free(memory);
  runtime.device_memory.erase(range);
  return runtime.sticky;
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned) {
  ENTER("cudaHostAlloc");
  if (cudaError_t error = forbid_capture()) return error;
  *memory = malloc(bytes);
  if (!*memory) return fail(cudaErrorMemoryAllocation);
  memset(*memory, 0xff, bytes);
  runtime.host_memory[static_cast<char *>(*memory)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory) {
  ENTER("cudaFreeHost");
  if (cudaError_t error = forbid_capture()) return error;
  if (!runtime.host_memory.erase(static_cast<char *>(memory))) return fail(cudaErrorInvalidValue);
  drain_all();
  free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  ENTER("cudaMemcpyAsync");
  bool to_device = kind != cudaMemcpyDeviceToHost, from_device = kind != cudaMemcpyHostToDevice;
  if (to_device != inside(runtime.device_memory, to, bytes) ||
      from_device != inside(runtime.device_memory, from, bytes))
    return fail(cudaErrorInvalidValue);
  bool pageable = (!to_device && !inside(runtime.host_memory, to, bytes)) ||
                  (!from_device && !inside(runtime.host_memory, from, bytes));
  if (pageable && stream->capture) return forbid_capture();
  if (pageable && to_device) { /* the driver takes a copy before it returns */
    const char *bytes_now = static_cast<const char *>(from);
    auto copy = std::make_shared<std::vector<char>>(bytes_now, bytes_now + bytes);
    simt::enqueue_work(stream, [=] { memcpy(to, copy->data(), bytes); });
    return cudaSuccess;
  }
  simt::enqueue_work(stream, [=] { memcpy(to, from, bytes); });
  if (pageable) drain(stream);
  return runtime.sticky;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  ENTER("cudaMemsetAsync");
  if (!inside(runtime.device_memory, to, bytes)) return fail(cudaErrorInvalidValue);
  simt::enqueue_work(stream, [=] { memset(to, value, bytes); });
  return cudaSuccess;
}

/* Streams and events ---------------------------------------------------------------------------*/

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  ENTER("cudaDeviceGetStreamPriorityRange");
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned, int) {
  ENTER("cudaStreamCreateWithPriority");
  *stream = new SimtStream();
  runtime.streams.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  drain(stream);
  for (size_t i = 0; i < runtime.streams.size(); i++)
    if (runtime.streams[i] == stream) runtime.streams.erase(runtime.streams.begin() + (long)i);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  ENTER("cudaStreamSynchronize");
  if (stream->capture) return forbid_capture();
  count_wait();
  drain(stream);
  return runtime.sticky;
}

static double pretended; /* seconds that work is said to have taken, in total */

void simt::pretend(double seconds) {
  pretended += seconds;
}

static double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec + pretended;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  ENTER("cudaEventCreateWithFlags");
  *event = new SimtEvent{std::make_shared<EventState>()};
  (*event)->state->timed = !(flags & cudaEventDisableTiming);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event; /* what is queued shares its state */
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  ENTER("cudaEventRecord");
  std::shared_ptr<EventState> state = event->state;
  state->stream = stream;
  state->capture = stream->capture;
  state->captured = false;
  if (stream->capture) {
    state->capture_position = stream->captured;
    stream->capture->events.push_back(state);
    return cudaSuccess;
  }
  uint64_t now = ++state->recorded;
  auto complete = [state, now] {
    state->completed = now;
    if (state->timed) state->reached = seconds();
  };
  stream->queue.push_back({complete, nullptr, 0});
  after_queueing(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  ENTER("cudaStreamWaitEvent");
  EventState &state = *event->state;
  if (state.capture) {
    if (stream == state.capture->origin)
      state.stream->joined = state.capture_position;
    else if (!stream->capture)
      stream->capture = state.capture;
    return cudaSuccess;
  }
  if (stream->capture) {
    stream->capture->broken = true;
    return fail(cudaErrorStreamCaptureIsolation);
  }
  if (state.captured) return fail(cudaErrorCapturedEvent);
  if (state.recorded) stream->queue.push_back({nullptr, event->state, state.recorded});
  after_queueing(stream);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  ENTER("cudaEventSynchronize");
  EventState &state = *event->state;
  if (state.capture) return forbid_capture();
  if (state.captured) return fail(cudaErrorCapturedEvent);
  Unlocked unlocked;
  for (uint64_t wanted = state.recorded; state.completed < wanted;) run_first(state.stream);
  return runtime.sticky;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  ENTER("cudaEventQuery");
  if (event->state->capture || event->state->captured) return fail(cudaErrorCapturedEvent);
  return event->state->completed < event->state->recorded ? cudaErrorNotReady : runtime.sticky;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to) {
  ENTER("cudaEventElapsedTime");
  const EventState &a = *from->state, &b = *to->state;
  if (a.capture || a.captured || b.capture || b.captured) return fail(cudaErrorCapturedEvent);
  if (!a.timed || !b.timed || !a.recorded || !b.recorded) return fail(cudaErrorInvalidValue);
  if (a.completed < a.recorded || b.completed < b.recorded) return cudaErrorNotReady;
  *milliseconds = (float)(1e3 * (b.reached - a.reached));
  return runtime.sticky;
}

/* Graphs ---------------------------------------------------------------------------------------*/

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  ENTER("cudaStreamBeginCapture");
  if (runtime.capture) return forbid_capture();
  stream->capture = runtime.capture = new Capture{stream, {}, {}, false};
  for (SimtStream *each : runtime.streams) each->captured = each->joined = 0;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  ENTER("cudaStreamEndCapture");
  *graph = nullptr;
  Capture *capture = stream->capture;
  if (!capture || capture->origin != stream) return fail(cudaErrorInvalidValue);
  bool unjoined = false;
  for (SimtStream *each : runtime.streams) {
    if (each->capture == capture && each != stream) unjoined |= each->joined < each->captured;
    each->capture = nullptr;
  }
  runtime.capture = nullptr;
  for (const std::shared_ptr<EventState> &event : capture->events)
    if (event->capture == capture) {
      event->capture = nullptr;
      event->captured = true;
    }
  bool broken = capture->broken;
  if (!broken && !unjoined) *graph = new SimtGraph{capture->work};
  delete capture;
  if (unjoined) return fail(cudaErrorStreamCaptureUnjoined);
  return broken ? fail(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
  ENTER("cudaStreamIsCapturing");
  *status = stream->capture ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

/* A kernel's limit is the one of now, whatever it was when the kernel was captured. */
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph,
                                          unsigned long long) {
  ENTER("cudaGraphInstantiateWithFlags");
  for (const Node &node : graph->work)
    if (node.kernel && !may_share(node.kernel, node.shared_bytes))
      return fail(cudaErrorInvalidValue);
  size_t bytes = graph->work.size() * NODE_BYTES;
  if (cudaError_t error = simt::charge(bytes)) return error;
  *exec = new SimtGraphExec{bytes, std::make_shared<const std::vector<Node>>(graph->work)};
  runtime.counters.captured++;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  ENTER("cudaGraphLaunch");
  if (runtime.counters.replays++) {
    runtime.counters.allocations_between_replays += runtime.allocations_pending;
    runtime.counters.waits_between_replays += runtime.waits_pending;
  }
  runtime.allocations_pending = runtime.waits_pending = 0;
  simt::enqueue_work(stream, [work = exec->work] {
    for (const Node &node : *work) node.run();
  });
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
/* One that is running is freed when it has ended. */
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  runtime.used -= exec->bytes;
  delete exec;
  return cudaSuccess;
}

/* Kernels --------------------------------------------------------------------------------------*/

/* What the compiler counts as a kernel's own shared memory, of one that names none: of those for
 * compute capability 9.0 the 1 KiB that the system keeps (cuobjdump --dump-resource-usage). */
static size_t own_shared() {
  return runtime.capability >= 90 ? 1024 : 0;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *) {
  ENTER("cudaFuncGetAttributes");
  attributes->sharedSizeBytes = own_shared();
  attributes->maxThreadsPerBlock = 1024;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute, int value) {
  ENTER("cudaFuncSetAttribute");
  if ((size_t)value + own_shared() > runtime.shared_limit) return fail(cudaErrorInvalidValue);
  runtime.shared_allowed[kernel] = (size_t)value;
  return cudaSuccess;
}
