// A region: the object, the managed memory in it, and the pool of samples.
#include "villasnode.hpp"

#include <cerrno>
#include <fcntl.h>
#include <new>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace villasnode {

static std::size_t round_up(std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

static std::uint64_t power_of_two(std::uint64_t n) {
  std::uint64_t power = 1;
  while (power < n)
    power *= 2;
  return power;
}

std::size_t block_size(std::size_t samplelen) {
  return round_up(sizeof(Sample) + samplelen * sizeof(SignalData), BLOCK_ALIGNMENT);
}

std::size_t total_size(const Config &config) {
  // 2 x 16 bytes for the cells of each sample, although the cells are rounded up.
  return sizeof(Type) + sizeof(ShmemShared) + config.queuelen * (2 * sizeof(Cell) + block_size(config.samplelen)) +
         4 * sizeof(Block) + 1024;
}

// ---- managed memory -----------------------------------------------------------------------------

// Takes the first unused block that has room, and splits off what is left over.
static void *managed_alloc(Type *type, std::size_t length, std::size_t alignment) {
  for (Block *block = type->first; block; block = block->next) {
    char *start = reinterpret_cast<char *>(block + 1);
    std::size_t gap = -reinterpret_cast<std::uintptr_t>(start) % alignment;
    if (block->used || gap + length > block->length)
      continue;
    std::size_t rest = block->length - gap - length;
    if (rest > sizeof(Block)) {
      block->next = new (start + gap + length) Block{block, block->next, rest - sizeof(Block), false};
      block->length = gap + length;
    }
    block->used = true;
    return start + gap;
  }
  return nullptr;
}

static int managed_free(Type *, Block *block) {
  block->used = false;
  return 0;
}

static Type *manage(char *start, std::size_t length) {
  auto *block = new (start + sizeof(Type)) Block{nullptr, nullptr, length - SHARED_AT, false};
  return new (start) Type{"managed", 0, 1, managed_alloc, managed_free, block};
}

static void *must_alloc(Type *type, std::size_t length, std::size_t alignment) {
  void *place = managed_alloc(type, length, alignment);
  if (!place)
    throw std::runtime_error("the region is too small for its queue and pool, as VILLASnode computes its length: "
                             "take a power of two as queue length");
  return place;
}

// ---- what lies in the region --------------------------------------------------------------------

// The memory of an object that was just made is zero: only what differs is stored.
static void init_queue(CQueue &queue, std::size_t length, Type *memory) {
  std::uint64_t cells = power_of_two(length);
  auto *first = static_cast<Cell *>(must_alloc(memory, cells * sizeof(Cell), alignof(Cell)));
  for (std::uint64_t i = 0; i < cells; i++)
    first[i].sequence.store(i, std::memory_order_relaxed);
  queue.buffer_mask = cells - 1;
  queue.buffer_off = reinterpret_cast<char *>(first) - reinterpret_cast<char *>(&queue);
  queue.state = STATE_INITIALIZED;
}

static void init_signalled(CQueueSignalled &queue, const Config &config, Type *memory) {
  init_queue(queue.queue, config.queuelen, memory);
  queue.mode = config.polling ? MODE_POLLING : MODE_PTHREAD;
  if (config.polling)
    return;
  pthread_mutexattr_t mutex;
  pthread_mutexattr_init(&mutex);
  pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&queue.mutex, &mutex);
  pthread_mutexattr_destroy(&mutex);
  pthread_condattr_t ready;
  pthread_condattr_init(&ready);
  pthread_condattr_setpshared(&ready, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&queue.ready, &ready);
  pthread_condattr_destroy(&ready);
}

static void init_pool(Pool &pool, const Config &config, Type *memory) {
  pool.alignment = BLOCK_ALIGNMENT;
  pool.blocksz = block_size(config.samplelen);
  pool.len = config.queuelen * pool.blocksz;
  auto *buffer = static_cast<char *>(must_alloc(memory, pool.len, pool.alignment));
  pool.buffer_off = buffer - reinterpret_cast<char *>(&pool);
  init_queue(pool.queue, config.queuelen, memory);
  for (std::size_t i = 0; i < config.queuelen; i++)
    push(pool.queue, buffer + i * pool.blocksz);
  pool.state = STATE_INITIALIZED;
}

int alloc_samples(Pool &pool, Sample *samples[], int count) {
  int got = 0;
  void *block;
  for (; got < count && pull(pool.queue, &block) == 1; got++) {
    auto *sample = samples[got] = static_cast<Sample *>(block);
    sample->capacity = static_cast<std::uint32_t>((pool.blocksz - sizeof(Sample)) / sizeof(SignalData));
    sample->pool_off = reinterpret_cast<char *>(&pool) - reinterpret_cast<char *>(sample);
    sample->refcnt = 1;
  }
  return got;
}

int decref_sample(Sample *sample) {
  int left = sample->refcnt.fetch_sub(1) - 1;
  if (left == 0) {
    auto *pool = reinterpret_cast<Pool *>(reinterpret_cast<char *>(sample) + sample->pool_off);
    push(pool->queue, sample);
  }
  return left;
}

// ---- the object ---------------------------------------------------------------------------------

static std::system_error failed(const char *call, const std::string &name) {
  return {errno, std::generic_category(), std::string(call) + " of " + name};
}

static char *map(int fd, std::size_t length, const std::string &name) {
  void *start = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (start == MAP_FAILED)
    throw failed("mmap", name);
  return static_cast<char *>(start);
}

Region Region::create(const std::string &name, const Config &config) {
  int fd;
  while ((fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600)) < 0)
    if (errno != EEXIST || (shm_unlink(name.c_str()) != 0 && errno != ENOENT))
      throw failed("shm_open", name);
  Region region;
  std::size_t length = total_size(config);
  if (ftruncate(fd, static_cast<off_t>(length)) != 0) {
    auto failure = failed("ftruncate", name);
    ::close(fd);
    throw failure;
  }
  region.start = map(fd, length, name);
  region.length = length;

  Type *memory = manage(region.start, length);
  auto *shared = static_cast<ShmemShared *>(must_alloc(memory, sizeof(ShmemShared), alignof(ShmemShared)));
  shared->polling = config.polling;
  init_signalled(shared->queue, config, memory);
  init_pool(shared->pool, config, memory);
  return region;
}

Region Region::open(const std::string &name) {
  int fd = shm_open(name.c_str(), O_RDWR, 0);
  if (fd < 0)
    throw failed("shm_open", name);
  struct stat facts;
  if (fstat(fd, &facts) != 0) {
    auto failure = failed("fstat", name);
    ::close(fd);
    throw failure;
  }
  Region region;
  region.start = map(fd, static_cast<std::size_t>(facts.st_size), name);
  region.length = static_cast<std::size_t>(facts.st_size);
  return region;
}

Region::Region(Region &&other) noexcept
    : start(std::exchange(other.start, nullptr)), length(std::exchange(other.length, 0)) {}

Region &Region::operator=(Region &&other) noexcept {
  std::swap(start, other.start);
  std::swap(length, other.length);
  return *this;
}

void Region::unmap() {
  if (start)
    munmap(start, length);
  start = nullptr;
}

} // namespace villasnode
