/* Messages of 152 bytes with checked contents, through rings of each policy, between threads and between processes: none torn, lost or
 * doubled, each producer's in its order to each consumer.
 *
 * RING_STRESS=N in the environment: N messages per run in place of 200 000 ("make stress": 20 million). */
#include "check.h"

enum { WORDS = 19, MAX_ENDS = 4, BATCH = 64 };

struct message {
  uint64_t producer, number, body[WORDS - 2];
};

_Static_assert(sizeof(struct message) == 152, "152 bytes");

/* What all ends of one run see. */
struct run {
  const char *name;
  int policy;
  int producers, consumers;
  unsigned int batch; /* 0: zero copy */
  uint64_t count;     /* messages of each producer */
  _Atomic uint64_t received;
  uint64_t (*seen)[MAX_ENDS]; /* one bit for each message: of producer p, bit n of seen[n / 64][p] */
};

struct end {
  struct run *run;
  int number;
};

static void fill(struct message *m, uint64_t producer, uint64_t number)
{
  m->producer = producer;
  m->number = number;
  uint64_t x = check_mix(producer << 48 | number);
  for (int i = 0; i < WORDS - 2; i++)
    m->body[i] = x + (uint64_t)i;
}

static void produce(void *arg)
{
  struct end *end = arg;
  struct run *run = end->run;
  struct message out[BATCH];
  struct shmem_ring *ring;

  CHECK_HANDLE(ring = shmem_ring_open(run->name, run->policy, SHMEM_PRODUCER, sizeof *out, 100));
  for (uint64_t n = 0; n < run->count;) {
    if (run->batch == 0) {
      struct message *slot = shmem_ring_timed_reserve(ring, PATIENT);
      CHECK(slot);
      fill(slot, (uint64_t)end->number, n);
      CHECK_EQ(shmem_ring_commit(ring, slot), 0);
      n++;
    } else if (run->batch == 1) {
      fill(out, (uint64_t)end->number, n);
      CHECK_EQ(shmem_ring_push(ring, out), 0);
      n++;
    } else {
      unsigned int want = run->count - n < run->batch ? (unsigned int)(run->count - n) : run->batch;
      for (unsigned int i = 0; i < want; i++)
        fill(&out[i], (uint64_t)end->number, n + i);
      for (unsigned int sent = 0; sent < want;) {
        int moved = shmem_ring_push_many(ring, out + sent, want - sent);
        CHECK(moved >= 0);
        sent += (unsigned int)moved;
        if (moved == 0) { /* full: wait as a user would */
          CHECK_EQ(shmem_ring_push(ring, out + sent), 0);
          sent++;
        }
      }
      n += want;
    }
  }
  CHECK_EQ(shmem_ring_close(ring), 0);
}

static void check_message(struct run *run, const struct message *m, uint64_t *last)
{
  struct message expected;

  CHECK(m->producer < (uint64_t)run->producers && m->number < run->count);
  fill(&expected, m->producer, m->number);
  if (memcmp(m, &expected, sizeof expected))
    check_fail(__FILE__, __LINE__, "message %llu of producer %llu is torn",
               (unsigned long long)m->number, (unsigned long long)m->producer);
  if (m->number < last[m->producer])
    check_fail(__FILE__, __LINE__, "message %llu of producer %llu came out of order",
               (unsigned long long)m->number, (unsigned long long)m->producer);
  last[m->producer] = m->number + 1;
  uint64_t bit = (uint64_t)1 << (m->number % 64);
  uint64_t before = __atomic_fetch_or(&run->seen[m->number / 64][m->producer], bit, __ATOMIC_RELAXED);
  if (before & bit)
    check_fail(__FILE__, __LINE__, "message %llu of producer %llu came twice",
               (unsigned long long)m->number, (unsigned long long)m->producer);
}

static void consume(void *arg)
{
  struct end *end = arg;
  struct run *run = end->run;
  const uint64_t total = run->count * (uint64_t)run->producers;
  struct message in[BATCH];
  uint64_t last[MAX_ENDS] = {0};
  struct shmem_ring *ring;

  CHECK_HANDLE(ring = shmem_ring_open(run->name, run->policy, SHMEM_CONSUMER, sizeof *in, 100));
  while (atomic_load(&run->received) < total) {
    int got = 0;
    if (run->batch == 0) {
      const struct message *slot = shmem_ring_timed_peek(ring, MS(20));
      if (slot) {
        check_message(run, slot, last);
        CHECK_EQ(shmem_ring_release(ring, slot), 0);
        atomic_fetch_add(&run->received, 1);
        continue;
      }
      CHECK_EQ(errno, ETIMEDOUT);
    } else {
      if (run->batch > 1)
        got = shmem_ring_pop_many(ring, in, run->batch);
      if (got == 0 && shmem_ring_timed_pop(ring, in, MS(20)) == 0)
        got = 1;
      CHECK(got > 0 || errno == ETIMEDOUT);
    }
    for (int i = 0; i < got; i++)
      check_message(run, &in[i], last);
    atomic_fetch_add(&run->received, (uint64_t)got);
  }
  CHECK_EQ(shmem_ring_close(ring), 0);
}

static void *produce_thread(void *arg)
{
  produce(arg);
  return NULL;
}

static void *consume_thread(void *arg)
{
  consume(arg);
  return NULL;
}

static uint64_t messages(void)
{
  const char *text = getenv("RING_STRESS");
  return text ? strtoull(text, NULL, 0) : check_scaled(200000);
}

static void traffic(int policy, int producers, int consumers, unsigned int batch, bool processes)
{
  struct end ends[2 * MAX_ENDS];
  pthread_t threads[2 * MAX_ENDS];
  pid_t pids[2 * MAX_ENDS];
  int all = producers + consumers;
  struct run *run = check_shared(sizeof *run);

  *run = (struct run){.name = check_name("stress"), .policy = policy, .producers = producers, .consumers = consumers,
                      .batch = batch, .count = messages() / (uint64_t)producers};
  size_t bytes = (run->count / 64 + 1) * sizeof *run->seen;
  run->seen = check_shared(bytes);
  double begin = check_clock();
  for (int i = 0; i < all; i++) {
    ends[i] = (struct end){run, i < producers ? i : i - producers};
    if (processes)
      pids[i] = check_spawn(i < producers ? produce : consume, &ends[i]);
    else
      CHECK_EQ(pthread_create(&threads[i], NULL, i < producers ? produce_thread : consume_thread, &ends[i]), 0);
  }
  for (int i = 0; i < all; i++) {
    if (processes)
      CHECK_CHILD_ENDS_WELL(pids[i], 600);
    else
      CHECK_EQ(pthread_join(threads[i], NULL), 0);
  }
  CHECK_EQ(atomic_load(&run->received), run->count * (uint64_t)producers);
  for (uint64_t n = 0; n < run->count; n++)
    for (int p = 0; p < producers; p++)
      if (!(run->seen[n / 64][p] >> (n % 64) & 1))
        check_fail(__FILE__, __LINE__, "message %llu of producer %d is lost", (unsigned long long)n, p);
  if (getenv("RING_STRESS") || getenv("CHECK_VERBOSE"))
    printf("policy %d, %d + %d %s, batch %u: %llu messages, %.2f s\n", policy, producers, consumers,
           processes ? "processes" : "threads", batch, (unsigned long long)(run->count * (uint64_t)producers),
           check_clock() - begin);
  CHECK_EQ(shmem_ring_unlink(run->name), 0);
  munmap(run->seen, bytes);
  munmap(run, sizeof *run);
}

static void between(bool processes)
{
  const unsigned int batches[] = {1, BATCH, 0};

  for (int i = 0; i < 3; i++) {
    traffic(SHMEM_SPSC, 1, 1, batches[i], processes);
    traffic(SHMEM_MPSC, 1, 1, batches[i], processes);
    traffic(SHMEM_MPSC, 4, 1, batches[i], processes);
    traffic(SHMEM_MPMC, 1, 1, batches[i], processes);
    traffic(SHMEM_MPMC, 1, 4, batches[i], processes);
    traffic(SHMEM_MPMC, 4, 1, batches[i], processes);
    traffic(SHMEM_MPMC, 4, 4, batches[i], processes);
  }
}

static void messages_between_threads_are_whole_and_come_once_and_in_order(void) { between(false); }

static void messages_between_processes_are_whole_and_come_once_and_in_order(void) { between(true); }

int main(void)
{
  check_begin();
  if (getenv("RING_STRESS"))
    check_limit = 3600;
  RUN(messages_between_threads_are_whole_and_come_once_and_in_order);
  RUN(messages_between_processes_are_whole_and_come_once_and_in_order);
  return 0;
}
