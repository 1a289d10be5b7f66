/* simt.cc - the fibers and the scheduler behind simt.h. x86-64 only, as the tests that use it. */
#include "simt.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <numeric>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
extern "C" {
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void *__tsan_get_current_fiber(void);
void __tsan_acquire(void *address);
void __tsan_release(void *address);
}
/* Switching fibers must not count as synchronisation: only the barriers do. */
enum { NO_SYNCHRONISATION = 1 };
#else
static inline void __tsan_acquire(void *) {}
static inline void __tsan_release(void *) {}
#endif
/* The scheduler's own data is touched by every fiber without synchronisation, by design. */
#define SCHEDULER __attribute__((no_sanitize("thread")))

/* What __shared__ names, between two symbols of the linker's; a program may have none. */
extern "C" unsigned char __start_simt_shared[] __attribute__((weak));
extern "C" unsigned char __stop_simt_shared[] __attribute__((weak));

namespace simt {
namespace {

enum { STACK_BYTES = 256 << 10, WARP = 32, THREADS_MAX = 1024 };
enum Waiting { READY, AT_BARRIER, AT_WARP, FINISHED };

struct Fiber {
  void *stack_pointer, *stack;
  Waiting waiting;
  uint64_t generation; /* of the barrier waited for */
  const char *where;
  dim3 thread;
  void *fake_stack; /* AddressSanitizer's */
  void *tsan;       /* ThreadSanitizer's fiber */
};

struct Warp {
  unsigned arrived;
  uint64_t generation;
  alignas(16) unsigned char slots[2][WARP][SLOT];
  int phase[WARP];
  char synchronisation[2]; /* see Block */
};

struct Block {
  dim3 index, size, grid;
  int threads, unfinished, arrived;
  uint64_t generation;
  const char *barrier; /* where the first thread waits */
  unsigned char *shared;
  /* Stand for synchronisation in ThreadSanitizer: by two for a block's beginning and end, as a
   * thread that ends is not ordered before one that has yet to begin; and by two in turn for
   * barriers, as one that reaches the next is not ordered before one that has yet to leave this. */
  char start, end, barrier_synchronisation[2];
};

/* Kept from launch to launch: making a fiber is dear under sanitizers. Arrays, because a library's
 * container would be watched by ThreadSanitizer. */
Fiber fibers[THREADS_MAX];
int fiber_count;
Warp warps[THREADS_MAX / WARP];
Block block;
int current;
const std::function<void()> *body;
Order order = ASCENDING;
uint64_t random_state = 1;
void *scheduler_stack;
#if defined(__SANITIZE_ADDRESS__)
void *scheduler_fake_stack;
const void *scheduler_bottom;
size_t scheduler_size;
#endif
#if defined(__SANITIZE_THREAD__)
void *scheduler_tsan;
#endif

extern "C" void simt_switch_stack(void **from, void *to);
asm(R"(.text
.type simt_switch_stack,@function
simt_switch_stack:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");

/* Without abort(): a test expects some of these messages, and no core file. */
[[noreturn]] SCHEDULER void stop_program() {
  fflush(stdout);
  _exit(3);
}

[[noreturn]] SCHEDULER void stop(const char *message, const char *where, const char *other) {
  fprintf(stderr, "simt: %s: %s%s%s (block %u,%u,%u thread %u)\n", where ? where : "?", message,
          other ? " " : "", other ? other : "", block.index.x, block.index.y, block.index.z,
          fibers[current].thread.x);
  stop_program();
}

SCHEDULER void switch_to_scheduler() {
  Fiber &fiber = fibers[current];
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fiber.fake_stack, scheduler_bottom, scheduler_size);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(scheduler_tsan, NO_SYNCHRONISATION);
#endif
  simt_switch_stack(&fiber.stack_pointer, scheduler_stack);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fibers[current].fake_stack, nullptr, nullptr);
#endif
}

SCHEDULER void switch_to_fiber(int index) {
  current = index;
  Fiber &fiber = fibers[index];
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber.stack, STACK_BYTES);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(fiber.tsan, NO_SYNCHRONISATION);
#endif
  simt_switch_stack(&scheduler_stack, fiber.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

/* A fiber's life: one thread of one block after another. */
SCHEDULER void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom, &scheduler_size);
#endif
  for (;;) {
    __tsan_acquire(&block.start);
    (*body)();
    __tsan_release(&block.end);
    fibers[current].waiting = FINISHED;
    block.unfinished--;
    switch_to_scheduler();
  }
}

SCHEDULER void add_fiber() {
  Fiber &fiber = fibers[fiber_count++];
  fiber.stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (fiber.stack == MAP_FAILED) {
    perror("simt: mmap");
    stop_program();
  }
  void **top = reinterpret_cast<void **>(static_cast<char *>(fiber.stack) + STACK_BYTES - 64);
  *--top = nullptr; /* return address of fiber_main, which never returns */
  *--top = reinterpret_cast<void *>(fiber_main);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  fiber.stack_pointer = top;
#if defined(__SANITIZE_THREAD__)
  fiber.tsan = __tsan_create_fiber(0);
#endif
}

SCHEDULER bool can_run(const Fiber &fiber, int index) {
  switch (fiber.waiting) {
  case READY:
    return true;
  case AT_BARRIER:
    return block.generation != fiber.generation;
  case AT_WARP:
    return warps[index / WARP].generation != fiber.generation;
  default:
    return false;
  }
}

SCHEDULER unsigned draw(unsigned below) {
  random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
  return static_cast<unsigned>(random_state >> 33) % below;
}

SCHEDULER int pick(int turn) {
  if (order == ASCENDING) return turn;
  if (order == DESCENDING) return block.threads - 1 - turn;
  return static_cast<int>(draw(static_cast<unsigned>(block.threads)));
}

SCHEDULER void report_deadlock() {
  for (current = 0; current < block.threads; current++)
    if (fibers[current].waiting != FINISHED) break;
  const Fiber &fiber = fibers[current];
  if (fiber.waiting == AT_BARRIER)
    stop("divergent barrier: some threads wait here, others have left the kernel or wait elsewhere",
         fiber.where, nullptr);
  stop("warp exchange not reached by every lane of its mask", fiber.where, nullptr);
}

/* By hand, as what lies between AddressSanitizer's guards is filled with them. */
SCHEDULER __attribute__((no_sanitize("address"))) void poison_named_shared() {
  volatile unsigned char *end = __stop_simt_shared;
  for (volatile unsigned char *at = __start_simt_shared; at < end; at++) *at = 0xff;
}

SCHEDULER void run_block() {
  block.unfinished = block.threads;
  block.arrived = 0;
  for (int w = 0; w < (block.threads + WARP - 1) / WARP; w++) {
    warps[w].arrived = 0;
    for (int lane = 0; lane < WARP; lane++) warps[w].phase[lane] = 0;
  }
  for (int i = 0; i < block.threads; i++) {
    unsigned n = static_cast<unsigned>(i);
    fibers[i].waiting = READY;
    fibers[i].thread =
        dim3(n % block.size.x, n / block.size.x % block.size.y, n / block.size.x / block.size.y);
  }
  __tsan_release(&block.start);
  int idle = 0;
  while (block.unfinished) {
    bool moved = false;
    for (int turn = 0; turn < block.threads; turn++) {
      int index = pick(turn);
      if (!can_run(fibers[index], index)) continue;
      fibers[index].waiting = READY;
      moved = true;
      switch_to_fiber(index);
    }
    /* A random order may miss the runnable fibers of a round, but hardly a thousand times. */
    idle = moved ? 0 : idle + 1;
    if (idle > (order == RANDOM ? 1000 : 0)) report_deadlock();
  }
  __tsan_acquire(&block.end);
}

} // namespace

Enqueue *enqueue = nullptr;

void set_order(Order new_order, uint64_t seed) {
  order = new_order;
  random_state = seed;
}

SCHEDULER dim3 thread_index() {
  return fibers[current].thread;
}
SCHEDULER dim3 block_index() {
  return block.index;
}
SCHEDULER dim3 block_size() {
  return block.size;
}
SCHEDULER dim3 grid_size() {
  return block.grid;
}
SCHEDULER int lane() {
  return current % WARP;
}
SCHEDULER void check_aligned(const void *p, size_t bytes, const char *where) {
  if (reinterpret_cast<uintptr_t>(p) % bytes) stop("misaligned address", where, nullptr);
}
SCHEDULER bool done_early() {
  return order == DESCENDING || (order == RANDOM && draw(2));
}
SCHEDULER void *dynamic_shared() {
  return block.shared;
}

SCHEDULER void sync_threads(const char *where) {
  Fiber &fiber = fibers[current];
  if (block.arrived == 0)
    block.barrier = where;
  else if (strcmp(block.barrier, where))
    stop("divergent barrier: other threads wait at", where, block.barrier);
  char *synchronisation = &block.barrier_synchronisation[block.generation % 2];
  __tsan_release(synchronisation);
  fiber.where = where;
  fiber.generation = block.generation;
  if (++block.arrived == block.threads) {
    block.arrived = 0;
    block.generation++;
  } else {
    fiber.waiting = AT_BARRIER;
    switch_to_scheduler();
  }
  __tsan_acquire(synchronisation);
}

SCHEDULER void sync_warp(unsigned mask, const char *where) {
  Fiber &fiber = fibers[current];
  Warp &warp = warps[current / WARP];
  int first = current / WARP * WARP;
  int size = block.threads - first < WARP ? block.threads - first : WARP;
  unsigned wanted = mask & (size == WARP ? ~0u : (1u << size) - 1);
  if (!(mask >> lane() & 1)) stop("a lane that is not in its own mask", where, nullptr);
  char *synchronisation = &warp.synchronisation[warp.generation % 2];
  __tsan_release(synchronisation);
  fiber.where = where;
  fiber.generation = warp.generation;
  warp.arrived |= 1u << lane();
  if ((warp.arrived & wanted) == wanted) {
    warp.arrived = 0;
    warp.generation++;
  } else {
    fiber.waiting = AT_WARP;
    switch_to_scheduler();
  }
  __tsan_acquire(synchronisation);
}

SCHEDULER const unsigned char (*exchange(unsigned mask, const void *value, size_t bytes,
                                         const char *where))[SLOT] {
  Warp &warp = warps[current / WARP];
  int phase = warp.phase[lane()] ^= 1;
  /* By hand: an intercepted memcpy would report the slots, which are the scheduler's own. */
  const unsigned char *from = static_cast<const unsigned char *>(value);
  for (size_t i = 0; i < bytes; i++) warp.slots[phase][lane()][i] = from[i];
  sync_warp(mask, where);
  return warp.slots[phase];
}

unsigned grid_limit = 65535;

/* The order of a launch's blocks: that of a block's threads. The n-th is first + n * stride, modulo
 * their number. */
struct BlockOrder {
  uint64_t blocks, first, stride;

  SCHEDULER explicit BlockOrder(dim3 grid) : blocks((uint64_t)grid.x * grid.y * grid.z) {
    first = order == DESCENDING ? blocks - 1 : 0;
    stride = order == DESCENDING ? blocks - 1 : 1;
    if (order != RANDOM || blocks > UINT32_MAX) return;
    first = draw((unsigned)blocks);
    do stride = 1 + draw((unsigned)blocks);
    while (std::gcd(stride, blocks) != 1);
  }
  SCHEDULER dim3 place(uint64_t n, dim3 grid) const {
    uint64_t i = (first + n * stride) % blocks;
    return dim3((unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y),
                (unsigned)(i / grid.x / grid.y));
  }
};

SCHEDULER void launch(dim3 grid, dim3 size, size_t shared_bytes,
                      const std::function<void()> &kernel) {
  block.size = size;
  block.grid = grid;
  block.threads = static_cast<int>(size.x * size.y * size.z);
  if (block.threads < 1 || block.threads > THREADS_MAX || grid.x < 1 || grid.y < 1 || grid.z < 1 ||
      grid.y > grid_limit || grid.z > grid_limit || shared_bytes > (227u << 10)) {
    fprintf(stderr,
            "simt: launch of %u,%u,%u blocks of %d threads, %zu bytes shared: a GPU refuses\n",
            grid.x, grid.y, grid.z, block.threads, shared_bytes);
    stop_program();
  }
#if defined(__SANITIZE_THREAD__)
  scheduler_tsan = __tsan_get_current_fiber();
#endif
  body = &kernel;
  poison_named_shared();
  while (fiber_count < block.threads) add_fiber();
  const BlockOrder blocks(grid);
  for (uint64_t n = 0; n < blocks.blocks; n++) {
    block.index = blocks.place(n, grid);
    /* A fresh allocation of the exact size lets AddressSanitizer guard its end; NaN poisons it. */
    unsigned char *shared = static_cast<unsigned char *>(malloc(shared_bytes ? shared_bytes : 1));
    memset(shared, 0xff, shared_bytes);
    block.shared = shared;
    run_block();
    free(shared);
  }
}

} // namespace simt
