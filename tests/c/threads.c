/* Many threads on each side of a channel at once. */
#include "check.h"

#include <sched.h>

/* ---- many threads on each side --------------------------------------------------------------- */

enum { THREADS = 4, BATCH = 7 };

struct crowd {
  struct shmem_shared *shm;
  uint64_t each;                  /* samples per writer, on either side */
  _Atomic uint64_t arrived;       /* on this side, of THREADS * each */
  _Atomic unsigned char *seen;    /* one per number of the other side */
};

struct member {
  struct crowd *crowd;
  uint64_t index;
};

/* Writes its numbers in order, in batches of all sizes, and lets others take part: it also takes
 * references and allocates what it does not write. */
static void *write_numbers(void *arg)
{
  struct member *member = arg;
  struct crowd *crowd = member->crowd;
  struct shmem_shared *shm = crowd->shm;
  struct sample *smps[BATCH], *unused;

  for (uint64_t next = 0; next < crowd->each;) {
    unsigned int batch = 1 + (unsigned int)check_chance(BATCH);
    if (batch > crowd->each - next)
      batch = (unsigned int)(crowd->each - next);
    CHECK_EQ(shmem_shared_timed_alloc(shm, smps, batch, NULL), (int)batch);
    for (unsigned int i = 0; i < batch; i++) {
      smps[i]->sequence = member->index << 32 | (next + i);
      smps[i]->length = 2;
      smps[i]->data[0].i = (int64_t)check_mix(smps[i]->sequence);
      smps[i]->data[1].i = ~smps[i]->data[0].i;
    }
    bool keep = check_chance(8) == 0;
    if (keep)
      CHECK_EQ(sample_get(smps[0]), 2);
    CHECK_EQ(shmem_shared_timed_write(shm, smps, batch, NULL), (int)batch);
    if (keep)
      CHECK_EQ(sample_put(smps[0]), 0);
    if (check_chance(8) == 0 && sample_alloc(&shm->pool, &unused, 1) == 1)
      CHECK_EQ(sample_put(unused), 0);
    next += batch;
  }
  return NULL;
}

/* Reads until all have arrived; keeps some in hand for a while. */
static void *read_numbers(void *arg)
{
  struct crowd *crowd = ((struct member *)arg)->crowd;
  const uint64_t all = THREADS * crowd->each;
  uint64_t least[THREADS] = {0}; /* per writer: the next number must not be below */
  struct sample *smps[BATCH], *kept = NULL;

  while (crowd->arrived < all) {
    int got = shmem_shared_read(crowd->shm, smps, 1 + (unsigned int)check_chance(BATCH));
    if (got < 0) {
      CHECK_EQ(errno, EPIPE);
      WAIT_UNTIL(crowd->arrived == all, 10); /* another thread has the last ones in hand */
    }
    for (int i = 0; i < got; i++) {
      uint64_t writer = smps[i]->sequence >> 32, number = smps[i]->sequence & 0xffffffff;
      CHECK(writer < THREADS && number < crowd->each);
      CHECK(number >= least[writer]);
      least[writer] = number + 1;
      CHECK_EQ(smps[i]->length, 2);
      CHECK_EQ(smps[i]->data[0].i, (int64_t)check_mix(smps[i]->sequence));
      CHECK_EQ(smps[i]->data[1].i, ~smps[i]->data[0].i);
      CHECK_EQ(atomic_exchange(&crowd->seen[writer * crowd->each + number], 1), 0);
      if (check_chance(16) == 0) {
        if (kept)
          CHECK_EQ(sample_put(kept), 0);
        kept = smps[i];
      } else {
        CHECK_EQ(sample_put(smps[i]), 0);
      }
      atomic_fetch_add(&crowd->arrived, 1);
    }
  }
  if (kept)
    CHECK_EQ(sample_put(kept), 0);
  return NULL;
}

static void run_crowd(struct shmem_shared *shm, uint64_t each)
{
  struct crowd crowd = {.shm = shm, .each = each, .seen = calloc(THREADS, each)};
  struct member members[THREADS];
  pthread_t writers[THREADS], readers[THREADS];

  CHECK(crowd.seen);
  for (uint64_t i = 0; i < THREADS; i++) {
    members[i] = (struct member){&crowd, i};
    CHECK_EQ(pthread_create(&writers[i], NULL, write_numbers, &members[i]), 0);
    CHECK_EQ(pthread_create(&readers[i], NULL, read_numbers, &members[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    CHECK_EQ(pthread_join(writers[i], NULL), 0);
    CHECK_EQ(pthread_join(readers[i], NULL), 0);
  }
  CHECK_EQ(crowd.arrived, THREADS * each);
  free((void *)crowd.seen);
}

struct crowd_child {
  const char *name;
  uint64_t each;
};

static void run_program_crowd(void *arg)
{
  struct crowd_child *child = arg;
  struct shmem_shared *shm;
  void *base;

  CHECK_HANDLE(shm = shmem_shared_open(child->name, &base));
  run_crowd(shm, child->each);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

static void four_writers_and_four_readers_on_each_side(void)
{
  for (int polling = 0; polling < 2; polling++) {
    for (int queuelen = 3; queuelen < 1000; queuelen *= 9) {
      const int spare = 2 * THREADS * (BATCH + 1); /* in hand: at most these */
      struct shmem_conf conf = check_conf(polling, queuelen, 2, spare);
      struct crowd_child child = {check_name("crowd"), check_scaled(queuelen < 9 ? 500 : 8000)};
      struct shmem_shared *shm;

      CHECK_HANDLE(shm = shmem_shared_create(child.name, &conf));
      pid_t pid = check_spawn(run_program_crowd, &child);
      run_crowd(shm, child.each);
      CHECK_CHILD_ENDS_WELL(pid, 20);
      CHECK_EQ(check_count_free(shm), queuelen + spare);
      CHECK_EQ(shmem_shared_close(shm, NULL), 0);
      CHECK_EQ(shmem_shared_unlink(child.name), 0);
    }
  }
}

/* Threads that hand one another's samples back. */
static void *churn(void *arg)
{
  struct shmem_shared *shm = arg;
  struct sample *smps[3];

  for (uint64_t n = check_scaled(20000); n > 0; n--) {
    int got = sample_alloc(&shm->pool, smps, 3);
    CHECK(got >= 0);
    for (int i = 0; i < got; i++) {
      CHECK_EQ(smps[i]->sequence, 0); /* nobody else has it */
      smps[i]->sequence = n;
      CHECK_EQ(sample_get(smps[i]), 2);
    }
    for (int i = 0; i < got; i++) {
      CHECK_EQ(smps[i]->sequence, n);
      CHECK_EQ(sample_put(smps[i]), 1);
      CHECK_EQ(sample_put(smps[i]), 0);
    }
  }
  return NULL;
}

static void threads_that_allocate_never_share_a_block(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 4); /* eight blocks for twelve wishes */
  struct pair pair = check_open_pair("churn", &conf);
  pthread_t threads[4];

  for (int i = 0; i < 4; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, churn, pair.node), 0);
  for (int i = 0; i < 4; i++)
    CHECK_EQ(pthread_join(threads[i], NULL), 0);
  CHECK_EQ(check_count_free(pair.node), 8);
  check_close_pair(&pair);
}

/* ---- several wait for the same --------------------------------------------------------------- */

enum { WAITERS = 3 };

struct queue_up {
  struct shmem_shared *shm;
  _Atomic int received;
};

struct waiter {
  struct queue_up *queue_up;
  pthread_t thread;
  _Atomic pid_t tid;
};

/* On one processor, so that all but one sleep when an entry comes, and may look for it too late. */
static void *receive_one(void *arg)
{
  struct waiter *waiter = arg;
  struct sample *smp;
  cpu_set_t cpus, one;

  CHECK_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++) {
    if (CPU_ISSET(cpu, &cpus))
      CPU_SET(cpu, &one);
  }
  CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  waiter->tid = (pid_t)syscall(SYS_gettid);
  CHECK_EQ(shmem_shared_timed_read(waiter->queue_up->shm, &smp, 1, PATIENT), 1);
  CHECK_EQ(sample_put(smp), 0);
  waiter->queue_up->received++;
  return NULL;
}

static double used_time(pthread_t thread)
{
  struct timespec used;
  clockid_t clock;

  CHECK_EQ(pthread_getcpuclockid(thread, &clock), 0);
  CHECK_EQ(clock_gettime(clock, &used), 0);
  return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* It sleeps, or has been spinning for a while. */
static bool is_waiting(struct waiter *waiter, bool polling, double spun)
{
  if (!waiter->tid)
    return false;
  return polling ? used_time(waiter->thread) > spun : check_asleep(getpid(), waiter->tid);
}

/* With a queue of one, each sample takes the place of the last: who missed that must not wait for
 * what is over. */
static void no_sample_lies_there_while_readers_wait(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct shmem_conf conf = check_conf(polling, 1, 1, 8);
    struct pair pair = check_open_pair("waiters", &conf);

    for (uint64_t round = 0; round < check_scaled(100); round++) {
      struct queue_up queue_up = {.shm = pair.program};
      struct waiter waiters[WAITERS];

      for (int i = 0; i < WAITERS; i++) {
        waiters[i].queue_up = &queue_up;
        waiters[i].tid = 0;
        CHECK_EQ(pthread_create(&waiters[i].thread, NULL, receive_one, &waiters[i]), 0);
      }
      for (int i = 0; i < WAITERS; i++)
        WAIT_UNTIL(is_waiting(&waiters[i], polling, 0.001), 10);
      for (int i = 0; i < WAITERS; i++) {
        struct sample *smp = check_make(pair.node, round);
        IN_TIME(2, CHECK_EQ(shmem_shared_timed_write(pair.node, &smp, 1, NULL), 1));
      }
      WAIT_UNTIL(queue_up.received == WAITERS, 2);
      for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(pthread_join(waiters[i].thread, NULL), 0);
    }
    check_works(&pair);
    check_close_pair(&pair);
  }
}

/* ---- a close amid them ----------------------------------------------------------------------- */

struct reader {
  struct shmem_shared *shm;
  int error;
};

static void *read_until_closed(void *arg)
{
  struct reader *reader = arg;
  struct sample *smps[3];
  int got;

  while ((got = shmem_shared_read(reader->shm, smps, 3)) >= 0) {
    if (got > 0)
      CHECK_EQ(sample_put_many(smps, (unsigned int)got), got);
  }
  reader->error = errno;
  return NULL;
}

static void a_close_amid_traffic_ends_all_threads(void)
{
  for (uint64_t round = 0; round < check_scaled(100); round++) {
    struct shmem_conf conf = check_conf((int)(round % 2), 8, 1, 32);
    struct pair pair = check_open_pair("amid", &conf);
    struct reader readers[3];
    pthread_t threads[3];
    struct sample *smp = NULL;

    for (int i = 0; i < 3; i++) {
      readers[i] = (struct reader){.shm = pair.program};
      CHECK_EQ(pthread_create(&threads[i], NULL, read_until_closed, &readers[i]), 0);
    }
    for (uint64_t n = check_chance(200); n > 0; n--) {
      smp = check_make(pair.node, n);
      CHECK_EQ(shmem_shared_timed_write(pair.node, &smp, 1, NULL), 1);
    }
    CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
    for (int i = 0; i < 3; i++) {
      CHECK_EQ(pthread_join(threads[i], NULL), 0);
      CHECK_EQ(readers[i].error, EPIPE);
    }
    CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(pair.name), 0);
  }
}

int main(void)
{
  check_begin();
  RUN(four_writers_and_four_readers_on_each_side);
  RUN(threads_that_allocate_never_share_a_block);
  RUN(no_sample_lies_there_while_readers_wait);
  RUN(a_close_amid_traffic_ends_all_threads);
  return 0;
}
