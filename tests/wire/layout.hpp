// What a region of VILLASnode's `shmem` node-type holds, byte for byte (glibc). The figures are those of x86-64. On aarch64 the
// mutex has 8 bytes more, and so has all that holds it.
//
//      0  Type            48   the memory's manager
//     48  Block           32   each managed piece is preceded by a Block
//     80  ShmemShared    736   mode, queue, pool
//    816  Block           32
//    848  Cell        16 x N   the queue's cells, N = queuelen rounded up to a power of two
//         Block, gap           the gap belongs to the piece: its length is gap + pool buffer
//         pool buffer          queuelen blocks of blocksz bytes, the first at a multiple of 64
//         Block           32
//         Cell        16 x N   the cells of the pool's queue
//         Block, rest          what is left over, not used
//
// Offsets (`*_off`) count from the struct that holds them, a cell's from its CQueue. Pointers are
// addresses of the process that made the region.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <pthread.h>
#include <sys/types.h>

namespace villasnode {

struct Block {
  Block *prev;
  Block *next;
  std::size_t length; // without this header
  bool used;
};

struct Type {
  const char *name;
  int flags;
  std::size_t alignment;
  void *(*alloc)(Type *, std::size_t, std::size_t);
  int (*free)(Type *, Block *);
  Block *first; // `_vd`
};

enum : int { STATE_INITIALIZED = 1, STATE_STOPPED = 5 };
enum : int { MODE_PTHREAD = 1, MODE_POLLING = 2 };

struct Cell {
  std::atomic<std::uint64_t> sequence;
  std::int64_t data_off;
};

struct CQueue {
  std::atomic<int> state;
  char pad0[68];
  std::uint64_t buffer_mask;
  std::int64_t buffer_off;
  char pad1[64];
  std::atomic<std::uint64_t> tail; // producers
  char pad2[64];
  std::atomic<std::uint64_t> head; // consumers
  char pad3[64];
};

struct CQueueSignalled {
  CQueue queue;
  int mode;
  int flags;
  pthread_cond_t ready;  // all zero in polling mode
  pthread_mutex_t mutex; // all zero in polling mode
};

struct Pool {
  std::atomic<int> state;
  std::int64_t buffer_off;
  std::size_t len;
  std::size_t blocksz;
  std::size_t alignment;
  CQueue queue; // of the free blocks
};

struct ShmemShared {
  int polling;
  CQueueSignalled queue;
  Pool pool;
};

union SignalData {
  double f;
  std::int64_t i;
  bool b;
  float z[2];
};

enum : int { HAS_TS_ORIGIN = 1, HAS_SEQUENCE = 8, HAS_DATA = 16, NEW_FRAME = 1 << 16 };

struct Sample {
  std::uint64_t sequence;
  std::uint32_t length;
  std::uint32_t capacity;
  int flags;
  void *signals[2]; // a shared_ptr of the process that wrote; zero over this wire
  std::atomic<int> refcnt;
  std::int64_t pool_off; // negative: the pool lies before its blocks
  timespec origin;
  timespec received;

  SignalData *data() { return reinterpret_cast<SignalData *>(this + 1); }
};

constexpr std::size_t SHARED_AT = sizeof(Type) + sizeof(Block);
constexpr std::size_t BLOCK_ALIGNMENT = 64;
#if defined(__aarch64__)
constexpr std::size_t MUTEX = 48;
#elif defined(__x86_64__)
constexpr std::size_t MUTEX = 40;
#endif

static_assert(sizeof(Block) == 32 && offsetof(Block, length) == 16 && offsetof(Block, used) == 24);
static_assert(sizeof(Type) == 48 && offsetof(Type, flags) == 8 && offsetof(Type, alignment) == 16);
static_assert(offsetof(Type, alloc) == 24 && offsetof(Type, free) == 32 && offsetof(Type, first) == 40);
static_assert(sizeof(Cell) == 16 && offsetof(Cell, data_off) == 8);
static_assert(sizeof(CQueue) == 296 && offsetof(CQueue, buffer_mask) == 72 && offsetof(CQueue, buffer_off) == 80);
static_assert(offsetof(CQueue, tail) == 152 && offsetof(CQueue, head) == 224);
static_assert(sizeof(CQueueSignalled) == 352 + MUTEX && offsetof(CQueueSignalled, mode) == 296);
static_assert(offsetof(CQueueSignalled, flags) == 300 && offsetof(CQueueSignalled, ready) == 304);
static_assert(sizeof(pthread_cond_t) == 48 && sizeof(pthread_mutex_t) == MUTEX);
static_assert(offsetof(CQueueSignalled, mutex) == 352);
static_assert(sizeof(Pool) == 336 && offsetof(Pool, buffer_off) == 8 && offsetof(Pool, len) == 16);
static_assert(offsetof(Pool, blocksz) == 24 && offsetof(Pool, alignment) == 32 && offsetof(Pool, queue) == 40);
static_assert(sizeof(ShmemShared) == 696 + MUTEX && offsetof(ShmemShared, queue) == 8);
static_assert(offsetof(ShmemShared, pool) == 360 + MUTEX);
static_assert(SHARED_AT == 80 && sizeof(SignalData) == 8);
static_assert(sizeof(Sample) == 88 && offsetof(Sample, length) == 8 && offsetof(Sample, capacity) == 12);
static_assert(offsetof(Sample, flags) == 16 && offsetof(Sample, signals) == 24 && offsetof(Sample, refcnt) == 40);
static_assert(offsetof(Sample, pool_off) == 48 && offsetof(Sample, origin) == 56 && offsetof(Sample, received) == 72);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && sizeof(std::atomic<std::uint64_t>) == 8);
static_assert(std::atomic<int>::is_always_lock_free && sizeof(std::atomic<int>) == 4);

} // namespace villasnode
