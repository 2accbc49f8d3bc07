/* The bare yardsticks: what the two processes could do without a library. */
#ifndef BENCHES_YARDSTICKS_H
#define BENCHES_YARDSTICKS_H
#include "rig.h"
#include <linux/futex.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { STREAM_ITEMS = 1024, STREAM_WORDS = 19 /* a sample of eight values: 152 bytes */ };

/* Words of different writers are 128 bytes apart, because lines are prefetched in pairs. */
struct yard_words {
  _Alignas(128) _Atomic uint64_t ping;
  _Alignas(128) _Atomic uint64_t pong;
  _Alignas(128) _Atomic uint32_t bell_ping;
  _Alignas(128) _Atomic uint32_t bell_pong;
  _Alignas(128) _Atomic uint64_t head;
  _Alignas(128) _Atomic uint64_t tail;
  _Alignas(4096) uint64_t ping_payload[12];
  _Alignas(4096) uint64_t pong_payload[12];
  _Alignas(4096) uint64_t stream[STREAM_ITEMS * STREAM_WORDS];
};

static struct yard_words *yard;

/* The object that the bare life-cycle calls work on. */
static char bare_name[48];
static size_t bare_size; /* known to the node only */

/* Called before the fork. Positions go on from slice to slice, counted by each process: in a local
 * variable within a slice, or the compiler would store them to memory in each turn. */
static inline void yard_map(void) {
  yard = mmap(NULL, sizeof *yard, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
              -1, 0);
  if (yard == MAP_FAILED)
    fail("mmap: %m");
  snprintf(bare_name, sizeof bare_name, "villas-bench-%d-bare", (int)getpid());
}

/* ---- 96 bytes and an index line in each direction ---- */

static inline double ping_pong_node(const struct task *task, uint64_t count) {
  static uint64_t done;
  const uint64_t end = done + count;
  uint64_t turn = done, payload[12] = {turn};
  (void)task;
  double start = now_ns();
  while (turn < end) {
    turn++;
    memcpy(yard->ping_payload, payload, sizeof payload);
    atomic_store_explicit(&yard->ping, turn, memory_order_release);
    while (atomic_load_explicit(&yard->pong, memory_order_acquire) != turn)
      ;
    memcpy(payload, yard->pong_payload, sizeof payload);
  }
  done = end;
  return now_ns() - start;
}

static inline void ping_pong_program(const struct task *task, uint64_t count) {
  static uint64_t done;
  const uint64_t end = done + count;
  uint64_t turn = done, payload[12];
  (void)task;
  while (turn < end) {
    turn++;
    while (atomic_load_explicit(&yard->ping, memory_order_acquire) != turn)
      ;
    memcpy(payload, yard->ping_payload, sizeof payload);
    memcpy(yard->pong_payload, payload, sizeof payload);
    atomic_store_explicit(&yard->pong, turn, memory_order_release);
  }
  done = end;
}

static const struct task yard_ping_pong = {
    .name = "96-byte ping-pong", .node = ping_pong_node, .program = ping_pong_program};

/* ---- the futex ping-pong: each turn finds the other side asleep ---- */

static inline void ring_bell(_Atomic uint32_t *bell, uint32_t turn) {
  atomic_store(bell, turn);
  syscall(SYS_futex, bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void await_bell(_Atomic uint32_t *bell, uint32_t turn) {
  while (atomic_load(bell) != turn)
    syscall(SYS_futex, bell, FUTEX_WAIT, turn - 1, NULL, NULL, 0);
}

/* The program reports for how long it kept its turns waiting until the node slept; that is not part
 * of the round trips. */
static inline double futex_node(const struct task *task, uint64_t count) {
  static uint32_t turn;
  double ns = 0;
  (void)task;
  for (uint32_t end = turn + (uint32_t)count; turn != end;) {
    turn++;
    await_peer_asleep();
    double start = now_ns();
    ring_bell(&yard->bell_ping, turn);
    await_bell(&yard->bell_pong, turn);
    ns += now_ns() - start;
  }
  return ns - program_result();
}

static inline void futex_program(const struct task *task, uint64_t count) {
  static uint32_t turn;
  double kept = 0;
  (void)task;
  for (uint32_t end = turn + (uint32_t)count; turn != end;) {
    turn++;
    await_bell(&yard->bell_ping, turn);
    double start = now_ns();
    await_peer_asleep();
    kept += now_ns() - start;
    ring_bell(&yard->bell_pong, turn);
  }
  rig.words->result = kept;
}

static const struct task yard_futex = {
    .name = "futex ping-pong", .node = futex_node, .program = futex_program};

/* ---- a stream of 152-byte items, its index published once per batch ---- */

static inline double stream_node(const struct task *task, uint64_t count) {
  static uint64_t sent, tail;
  const uint64_t batch = task->batch, end = sent + count;
  uint64_t i = sent, seen = tail;
  double start = now_ns();
  while (i < end) {
    uint64_t batch_end = i + batch < end ? i + batch : end;
    while (batch_end - seen > STREAM_ITEMS)
      seen = atomic_load_explicit(&yard->tail, memory_order_acquire);
    for (; i < batch_end; i++) {
      uint64_t *item = yard->stream + i % STREAM_ITEMS * STREAM_WORDS;
      for (int k = 0; k < STREAM_WORDS; k++)
        item[k] = i;
    }
    atomic_store_explicit(&yard->head, i, memory_order_release);
  }
  await_program();
  sent = i;
  tail = seen;
  return now_ns() - start;
}

static inline void stream_program(const struct task *task, uint64_t count) {
  static uint64_t received;
  const uint64_t end = received + count;
  /* Item i holds i in each word. */
  const uint64_t expected = STREAM_WORDS * (count * received + count * (count - 1) / 2);
  uint64_t i = received, head, sum = 0;
  while (i < end) {
    while ((head = atomic_load_explicit(&yard->head, memory_order_acquire)) == i)
      ;
    for (; i < head; i++) {
      const uint64_t *item = yard->stream + i % STREAM_ITEMS * STREAM_WORDS;
      for (int k = 0; k < STREAM_WORDS; k++)
        sum += item[k];
    }
    atomic_store_explicit(&yard->tail, i, memory_order_release);
  }
  received = i;
  if (sum != expected)
    fail("%s: the values do not add up", task->name);
}

static const struct task yard_stream_64 = {
    .name = "bare stream, batch 64", .node = stream_node, .program = stream_program, .batch = 64};
static const struct task yard_stream_1 = {
    .name = "bare stream, batch 1", .node = stream_node, .program = stream_program, .batch = 1};

/* ---- the life cycle of a region, in bare calls ---- */

/* An object that appears under its name only when its memory is paid for, as a region does. */
static inline void bare_create(void) {
  char link[32];
  int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0)
    fail("O_TMPFILE: %m");
  int error = posix_fallocate(fd, 0, (off_t)bare_size);
  if (error)
    fail("posix_fallocate: %s", strerror(error));
  char *base = mmap(NULL, bare_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED)
    fail("mmap: %m");
  base[0] = 1;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  if (linkat(AT_FDCWD, link, AT_FDCWD, rig_object(bare_name), AT_SYMLINK_FOLLOW))
    fail("linkat: %m");
  munmap(base, bare_size);
  close(fd);
}

static inline void bare_remove(void) { unlink(rig_object(bare_name)); }

static inline double bare_create_node(const struct task *task, uint64_t count) {
  (void)task;
  double start = now_ns();
  for (uint64_t i = 0; i < count; i++) {
    bare_create();
    bare_remove();
  }
  return now_ns() - start;
}

static inline void bare_open_program(const struct task *task, uint64_t count) {
  const char *path = rig_object(bare_name);
  double start = now_ns();
  for (uint64_t i = 0; i < count; i++) {
    struct stat stat;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat))
      fail("%s: %s: %m", task->name, path);
    char *base = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
      fail("mmap: %m");
    base[0] = 2;
    munmap(base, (size_t)stat.st_size);
    close(fd);
  }
  rig.words->result = now_ns() - start;
}

static const struct task yard_create = {.name = "bare creation", .node = bare_create_node};
static const struct task yard_open = {.name = "bare open and close", .program = bare_open_program};

#endif
