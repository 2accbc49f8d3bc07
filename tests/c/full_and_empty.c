/* Bounds: what a queue and a pool hold, and who waits for room in them. */
#include "check.h"

static const int queuelens[] = {1, 2, 3, 7, 8, 100, 512, 600, 1000};
enum { QUEUELENS = sizeof queuelens / sizeof *queuelens, SPARE = 5 };

/* Reads without waiting until nothing is left; checks and puts; gives how many there were. */
static uint64_t drain(struct shmem_shared *shm, uint64_t first)
{
  static struct sample *smps[1024];
  uint64_t count = 0;
  int got;

  while ((got = shmem_shared_try_read(shm, smps, 1024)) > 0) {
    for (int i = 0; i < got; i++)
      check_is(smps[i], first + count++);
    CHECK_EQ(sample_put_many(smps, (unsigned int)got), got);
  }
  CHECK_EQ(got, 0);
  CHECK_EQ(errno, EAGAIN);
  return count;
}

/* ---- exact bounds ---------------------------------------------------------------------------- */

static void a_queue_takes_exactly_its_length(void)
{
  static struct sample *smps[1024];

  for (int i = 0; i < QUEUELENS; i++) {
    const int length = queuelens[i];
    struct shmem_conf conf = check_conf(i % 2, length, 1, SPARE);
    struct pair pair = check_open_pair("exact", &conf);
    struct shmem_shared *const from[2] = {pair.node, pair.program};
    uint64_t sent = 0;

    /* Both ways, several times: the bounds hold wherever the ring begins. */
    for (int round = 0; round < 14; round++) {
      struct shmem_shared *writer = from[round % 2], *reader = from[1 - round % 2];
      const int batch = length + SPARE;
      for (int k = 0; k < batch; k++)
        smps[k] = check_make(writer, sent + (uint64_t)k);
      CHECK_EQ(shmem_shared_write(writer, smps, (unsigned int)batch), length);
      CHECK_GIVES(shmem_shared_write(writer, smps + length, SPARE), 0, EAGAIN);

      /* One taken makes room for one. */
      struct sample *one;
      CHECK_EQ(shmem_shared_try_read(reader, &one, 1), 1);
      check_is(one, sent);
      CHECK_EQ(shmem_shared_write(writer, smps + length, 2), 1);
      CHECK_EQ(sample_put(one), 0);
      CHECK_GIVES(shmem_shared_write(writer, smps + length + 1, 1), 0, EAGAIN);
      CHECK_EQ(drain(reader, sent + 1), length);
      CHECK_EQ(sample_put_many(smps + length + 1, SPARE - 1), SPARE - 1);
      sent += (uint64_t)length + 1;
    }
    check_close_pair(&pair);
  }
}

static void a_queue_takes_its_length_before_anyone_reads(void)
{
  for (int i = 0; i < QUEUELENS; i++) {
    const uint64_t length = (uint64_t)queuelens[i];
    struct shmem_conf conf = check_conf(0, queuelens[i], 4, SPARE);
    struct shmem_shared *node, *program;
    const char *name = check_name("before");
    void *base;

    CHECK_HANDLE(node = shmem_shared_create(name, &conf));
    check_send(node, 1, length);
    struct sample *extra = check_make(node, length + 1);
    CHECK_GIVES(shmem_shared_write(node, &extra, 1), 0, EAGAIN);
    CHECK_EQ(sample_put(extra), 0);
    CHECK_HANDLE(program = shmem_shared_open(name, &base));
    CHECK_EQ(drain(program, 1), length);
    CHECK_EQ(shmem_shared_close(program, base), 0);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(name), 0);
  }
}

static void a_read_gives_no_more_than_asked_for(void)
{
  struct shmem_conf conf = check_conf(0, 10, 1, 1);
  struct pair pair = check_open_pair("asked", &conf);
  struct sample *smps[4] = {NULL};

  check_send(pair.node, 1, 10);
  for (uint64_t next = 1; next <= 10;) {
    int got = shmem_shared_read(pair.program, smps, 3);
    CHECK(got >= 1 && got <= 3);
    CHECK(smps[3] == NULL);
    for (int i = 0; i < got; i++)
      check_is(smps[i], next++);
    CHECK_EQ(sample_put_many(smps, (unsigned int)got), got);
  }
  check_close_pair(&pair);
}

static void a_pool_is_exhausted_at_queue_length_plus_spare(void)
{
  static struct sample *smps[1200], *more;
  const int spares[] = {1, 2, SPARE, 64, 100};

  for (int i = 0; i < QUEUELENS; i++) {
    for (size_t k = 0; k < sizeof spares / sizeof *spares; k++) {
      const int blocks = queuelens[i] + spares[k];
      struct shmem_conf conf = check_conf(0, queuelens[i], 1, spares[k]);
      struct pair pair = check_open_pair("pool", &conf);
      struct shmem_stats stats = SHMEM_STATS_INIT;

      CHECK_EQ(check_count_free(pair.node), blocks);
      CHECK_EQ(check_count_free(pair.program), blocks);
      CHECK_EQ(shmem_shared_stats(pair.node, &stats), 0);
      CHECK_EQ(stats.blocks, 2 * blocks);
      CHECK_EQ(stats.blocks_free, blocks);
      CHECK_EQ(stats.held, 0);

      CHECK_GIVES(sample_alloc(&pair.node->pool, smps, (unsigned int)blocks + 1), blocks, EAGAIN);
      CHECK_GIVES(sample_alloc(&pair.node->pool, &more, 1), 0, EAGAIN);
      CHECK_EQ(shmem_shared_stats(pair.node, &stats), 0);
      CHECK_EQ(stats.blocks_free, 0);
      CHECK_EQ(stats.held, blocks);
      for (int n = 0; n < blocks; n++) { /* no two are the same, nor overlap */
        smps[n]->length = smps[n]->capacity;
        memset(smps[n]->data, n & 255, SAMPLE_DATA_LEN(smps[n]->capacity));
        smps[n]->sequence = (uint64_t)n;
      }
      for (int n = 0; n < blocks; n++) {
        CHECK_EQ(smps[n]->sequence, n);
        CHECK_EQ(((unsigned char *)smps[n]->data)[0], n & 255);
        CHECK_EQ((uintptr_t)smps[n] % 64, 0);
      }

      /* Any one that is given back is found, wherever it lies. */
      for (int n = 0; n < blocks; n += 1 + blocks / 16) {
        CHECK_EQ(sample_put(smps[n]), 0);
        CHECK_EQ(sample_alloc(&pair.node->pool, &more, 1), 1);
        CHECK(more == smps[n]);
      }
      CHECK_EQ(sample_put_many(smps, (unsigned int)blocks), blocks);
      CHECK_EQ(check_count_free(pair.node), blocks);
      check_close_pair(&pair);
    }
  }
}

static void a_whole_queue_and_the_spare_ones_can_be_out_at_once(void)
{
  struct shmem_conf conf = check_conf(0, 7, 1, 3);
  struct pair pair = check_open_pair("out", &conf);
  struct sample *smps[10], *more;

  /* The program has three in hand, seven are queued: ten, as promised. */
  check_send(pair.node, 1, 7);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(shmem_shared_timed_read(pair.program, &smps[i], 1, MS(1000)), 1);
  check_send(pair.node, 8, 10);
  CHECK_GIVES(sample_alloc(&pair.node->pool, &more, 1), 0, EAGAIN);
  CHECK_EQ(sample_put(smps[1]), 0);
  CHECK_EQ(sample_alloc(&pair.node->pool, &more, 1), 1);
  CHECK_GIVES(shmem_shared_write(pair.node, &more, 1), 0, EAGAIN);
  CHECK_EQ(sample_put(more), 0);
  check_is(smps[0], 1);
  check_is(smps[2], 3);
  CHECK_EQ(drain(pair.program, 4), 7);
  CHECK_EQ(sample_put(smps[0]), 0);
  CHECK_EQ(sample_put(smps[2]), 0);
  CHECK_EQ(check_count_free(pair.node), 10);
  check_close_pair(&pair);
}

/* ---- one held long --------------------------------------------------------------------------- */

static void one_is_held_and_a_million_others_pass(void)
{
  const uint64_t others = check_scaled(1000000);
  struct shmem_conf conf = check_conf(1, 8, 8, 4);
  struct pair pair = check_open_pair("held", &conf);
  struct sample *smps[8], *read_one, *own_one;

  check_send(pair.node, 0, 0);
  CHECK_EQ(shmem_shared_timed_read(pair.program, &read_one, 1, MS(1000)), 1);
  own_one = check_make(pair.node, 77);

  /* Ten blocks are left for eight places: never short. */
  for (uint64_t passed = 0, batch; passed < others; passed += batch) {
    batch = 1 + passed % 8;
    CHECK_EQ(sample_alloc(&pair.node->pool, smps, (unsigned int)batch), (int)batch);
    for (uint64_t i = 0; i < batch; i++) {
      smps[i]->sequence = passed + i;
      smps[i]->length = 1;
      smps[i]->data[0].i = (int64_t)check_mix(passed + i);
    }
    CHECK_EQ(shmem_shared_write(pair.node, smps, (unsigned int)batch), (int)batch);
    for (uint64_t seen = 0; seen < batch;) {
      int got = shmem_shared_try_read(pair.program, smps, 8);
      CHECK(got > 0);
      for (int i = 0; i < got; i++, seen++) {
        CHECK_EQ(smps[i]->sequence, passed + seen);
        CHECK_EQ(smps[i]->data[0].i, (int64_t)check_mix(passed + seen));
        CHECK_EQ(sample_put(smps[i]), 0);
      }
    }
  }

  check_is(read_one, 0);
  check_is(own_one, 77);
  CHECK_EQ(check_count_free(pair.node), 10);
  CHECK_EQ(sample_put(read_one), 0);
  CHECK_EQ(sample_put(own_one), 0);
  CHECK_EQ(check_count_free(pair.node), 12);
  check_close_pair(&pair);
}

/* ---- waiting for room and for blocks --------------------------------------------------------- */

struct waiter {
  struct shmem_shared *shm;
  struct sample *smps[8];
  unsigned int cnt;
  const struct timespec *timeout;
  int result;
  _Atomic pid_t tid;
  _Atomic bool done;
};

static void *wait_for_room(void *arg)
{
  struct waiter *waiter = arg;

  waiter->tid = (pid_t)syscall(SYS_gettid);
  waiter->result =
    shmem_shared_timed_write(waiter->shm, waiter->smps, waiter->cnt, waiter->timeout);
  waiter->done = true;
  return NULL;
}

static void *wait_for_blocks(void *arg)
{
  struct waiter *waiter = arg;

  waiter->tid = (pid_t)syscall(SYS_gettid);
  waiter->result =
    shmem_shared_timed_alloc(waiter->shm, waiter->smps, waiter->cnt, waiter->timeout);
  waiter->done = true;
  return NULL;
}

static pthread_t start_waiting(void *(*body)(void *), struct waiter *waiter)
{
  pthread_t thread;

  waiter->tid = 0;
  waiter->done = false;
  CHECK_EQ(pthread_create(&thread, NULL, body, waiter), 0);
  WAIT_UNTIL(waiter->tid && (waiter->shm->polling || check_asleep(getpid(), waiter->tid)), 5);
  CHECK(!waiter->done);
  return thread;
}

static void timedwrite_goes_on_as_the_peer_takes(void)
{
  for (int polling = 0; polling < 2; polling++) {
    for (int forever = 0; forever < 2; forever++) {
      struct shmem_conf conf = check_conf(polling, 2, 1, 6);
      struct pair pair = check_open_pair("room", &conf);
      struct waiter waiter = {.shm = pair.node, .cnt = 5, .timeout = forever ? NULL : PATIENT};

      check_send(pair.node, 1, 2);
      for (uint64_t i = 0; i < 5; i++)
        waiter.smps[i] = check_make(pair.node, 3 + i);
      pthread_t thread = start_waiting(wait_for_room, &waiter);
      for (uint64_t number = 1; number <= 4; number++)
        check_receive(pair.program, number, number);
      CHECK(!waiter.done); /* four were taken, five are wanted */
      check_receive(pair.program, 5, 5);
      WAIT_UNTIL(waiter.done, 5);
      CHECK_EQ(pthread_join(thread, NULL), 0);
      CHECK_EQ(waiter.result, 5);
      check_receive(pair.program, 6, 7);
      CHECK_EQ(check_count_free(pair.node), 8);
      check_close_pair(&pair);
    }
  }
}

struct taker {
  const char *name;
  uint64_t last;
  _Atomic bool go;
};

/* Another process that takes the numbers 1 to last, one by one, once it may. */
static void take(void *arg)
{
  struct taker *taker = arg;
  struct shmem_shared *shm;
  void *base;

  CHECK_HANDLE(shm = shmem_shared_open(taker->name, &base));
  WAIT_UNTIL(taker->go, 20);
  check_receive(shm, 1, taker->last);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

static void timedwrite_goes_on_as_another_process_takes(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct shmem_conf conf = check_conf(polling, 2, 1, 6);
    struct taker *taker = check_shared(sizeof *taker);
    struct waiter waiter = {.cnt = 5};

    taker->name = check_name("taker");
    taker->last = 7;
    CHECK_HANDLE(waiter.shm = shmem_shared_create(taker->name, &conf));
    pid_t pid = check_spawn(take, taker);
    CHECK_EQ(shmem_shared_wait(waiter.shm, PATIENT), 0);
    check_send(waiter.shm, 1, 2);
    for (uint64_t i = 0; i < 5; i++)
      waiter.smps[i] = check_make(waiter.shm, 3 + i);
    pthread_t thread = start_waiting(wait_for_room, &waiter);
    taker->go = true;
    WAIT_UNTIL(waiter.done, 5);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(waiter.result, 5);
    CHECK_CHILD_ENDS_WELL(pid, 10);
    CHECK_EQ(check_count_free(waiter.shm), 8);
    CHECK_EQ(shmem_shared_close(waiter.shm, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(taker->name), 0);
  }
}

static void timedwrite_counts_what_was_taken_before_the_peer_went(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 6);
  struct pair pair = check_open_pair("gone", &conf);
  struct waiter waiter = {.shm = pair.node, .cnt = 5};

  for (uint64_t i = 0; i < 5; i++)
    waiter.smps[i] = check_make(pair.node, 1 + i);
  pthread_t thread = start_waiting(wait_for_room, &waiter);
  check_receive(pair.program, 1, 1);
  struct shmem_stats stats = SHMEM_STATS_INIT;
  WAIT_UNTIL(shmem_shared_stats(pair.node, &stats) == 0 && stats.written == 3, 5);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  WAIT_UNTIL(waiter.done, 5);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(waiter.result, 3);
  CHECK_GIVES(shmem_shared_timed_write(pair.node, waiter.smps + 3, 2, NULL), -1, EPIPE);
  CHECK_EQ(sample_put_many(waiter.smps + 3, 2), 2);

  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_receive(pair.program, 2, 3);
  check_close_pair(&pair);
}

static void timedalloc_goes_on_as_blocks_come_back(void)
{
  for (int polling = 0; polling < 2; polling++) {
    for (int from_peer = 0; from_peer < 2; from_peer++) {
      struct shmem_conf conf = check_conf(polling, 3, 1, 2);
      struct pair pair = check_open_pair("block", &conf);
      struct waiter waiter = {.shm = pair.node, .cnt = 3};
      struct sample *held[5], *given[5];

      CHECK_EQ(sample_alloc(&pair.node->pool, held, 5), 5);
      memcpy(given, held, sizeof given);
      if (from_peer) {
        CHECK_EQ(shmem_shared_write(pair.node, held, 3), 3);
        for (int i = 0; i < 3; i++)
          CHECK_EQ(shmem_shared_timed_read(pair.program, &given[i], 1, MS(1000)), 1);
      }
      pthread_t thread = start_waiting(wait_for_blocks, &waiter);
      CHECK_EQ(sample_put(given[1]), 0);
      CHECK_EQ(sample_put(given[0]), 0);
      CHECK(!waiter.done);
      CHECK_EQ(sample_put(given[2]), 0);
      WAIT_UNTIL(waiter.done, 5);
      CHECK_EQ(pthread_join(thread, NULL), 0);
      CHECK_EQ(waiter.result, 3);
      CHECK_EQ(sample_put_many(waiter.smps, 3), 3);
      CHECK_EQ(sample_put_many(held + 3, 2), 2);
      CHECK_EQ(check_count_free(pair.node), 5);
      check_close_pair(&pair);
    }
  }
}

static void timedalloc_goes_on_as_another_process_puts(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct shmem_conf conf = check_conf(polling, 4, 1, 1);
    struct taker *taker = check_shared(sizeof *taker);
    struct waiter waiter = {.cnt = 4};
    struct sample *rest;

    taker->name = check_name("putter");
    taker->last = 4;
    CHECK_HANDLE(waiter.shm = shmem_shared_create(taker->name, &conf));
    pid_t pid = check_spawn(take, taker);
    CHECK_EQ(shmem_shared_wait(waiter.shm, PATIENT), 0);
    check_send(waiter.shm, 1, 4);
    CHECK_EQ(sample_alloc(&waiter.shm->pool, &rest, 1), 1);
    pthread_t thread = start_waiting(wait_for_blocks, &waiter);
    taker->go = true;
    WAIT_UNTIL(waiter.done, 5);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(waiter.result, 4);
    CHECK_EQ(sample_put_many(waiter.smps, 4), 4);
    CHECK_EQ(sample_put(rest), 0);
    CHECK_CHILD_ENDS_WELL(pid, 10);
    CHECK_EQ(shmem_shared_close(waiter.shm, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(taker->name), 0);
  }
}

/* On one processor the waiter is stopped somewhere between two instructions while the peer puts and closes: also
 * between its look at the pool and its look at the peer. */
static void timedalloc_has_what_came_back_before_the_peer_went(void)
{
  const uint64_t rounds = check_scaled(5000);
  struct shmem_conf conf = check_conf(1, 2, 1, 1);
  struct pair pair = check_open_pair("last", &conf);
  struct waiter waiter = {.shm = pair.node, .cnt = 2};
  struct sample *given[2], *rest;

  cpu_set_t before, one;

  CHECK_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  for (size_t cpu = 0; CPU_COUNT(&one) == 0; cpu++)
    if (CPU_ISSET(cpu, &before))
      CPU_SET(cpu, &one);
  CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  CHECK_EQ(sample_alloc(&pair.node->pool, &rest, 1), 1);
  for (uint64_t round = 0; round < rounds; round++) {
    check_send(pair.node, 1, 2);
    for (int i = 0; i < 2; i++)
      CHECK_EQ(shmem_shared_timed_read(pair.program, &given[i], 1, MS(1000)), 1);
    pthread_t thread = start_waiting(wait_for_blocks, &waiter);
    const struct timespec moment = {.tv_nsec = 20000 + (long)(check_mix(round) % 50000)};
    nanosleep(&moment, NULL);
    CHECK_EQ(sample_put_many(given, 2), 2);
    CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(waiter.result, 2);
    CHECK_EQ(sample_put_many(waiter.smps, 2), 2);
    CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  }
  CHECK_EQ(sample_put(rest), 0);
  CHECK_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  check_close_pair(&pair);
}

int main(void)
{
  check_begin();
  RUN(a_queue_takes_exactly_its_length);
  RUN(a_queue_takes_its_length_before_anyone_reads);
  RUN(a_read_gives_no_more_than_asked_for);
  RUN(a_pool_is_exhausted_at_queue_length_plus_spare);
  RUN(a_whole_queue_and_the_spare_ones_can_be_out_at_once);
  RUN(one_is_held_and_a_million_others_pass);
  RUN(timedwrite_goes_on_as_the_peer_takes);
  RUN(timedwrite_goes_on_as_another_process_takes);
  RUN(timedwrite_counts_what_was_taken_before_the_peer_went);
  RUN(timedalloc_goes_on_as_blocks_come_back);
  RUN(timedalloc_goes_on_as_another_process_puts);
  RUN(timedalloc_has_what_came_back_before_the_peer_went);
  return 0;
}
