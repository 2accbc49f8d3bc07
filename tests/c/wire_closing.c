/* Closing a channel of the wire layout beside other threads, in a signal handler, with samples out, and in a fork. */
#include "wire.h"

#include <sched.h>

static struct shmem_conf conf_of(int polling)
{
  return check_conf(polling, 16, 4, 0);
}

/* ---- another thread is inside ---------------------------------------------------------------- */

struct worker {
  struct shmem_int *shm;
  bool write;
  _Atomic uint64_t count;
  _Atomic pid_t tid;
};

static void *work_until_the_end(void *arg)
{
  struct worker *worker = arg;
  struct sample *smps[4];
  int got, why = 0;

  worker->tid = (pid_t)syscall(SYS_gettid);
  for (;;) {
    if (worker->write) {
      got = shmem_int_alloc(worker->shm, smps, 1);
      if (got == 1) {
        smps[0]->length = 1;
        got = shmem_int_write(worker->shm, smps, 1);
        why = errno;
        if (got != 1)
          CHECK_EQ(sample_put(smps[0]), 0);
      } else {
        why = errno;
      }
    } else {
      got = shmem_int_timed_read(worker->shm, smps, 4, NULL);
      why = errno;
      if (got > 0)
        CHECK_EQ(sample_put_many(smps, (unsigned int)got), got);
    }
    if (got < 0)
      break;
    worker->count += (uint64_t)got;
  }
  CHECK_EQ(why, EPIPE);
  return NULL;
}

static void a_close_ends_the_calls_of_other_threads(void)
{
  for (uint64_t round = 0; round < check_scaled(30); round++) {
    struct wire_pair pair;
    pthread_t threads[4];
    struct worker workers[4] = {{0}};

    wire_open_pair(&pair, "threads", conf_of((int)(round & 1)), conf_of((int)(round >> 1 & 1)));
    for (int i = 0; i < 4; i++) {
      workers[i].shm = &pair.ends[i & 1];
      workers[i].write = i >> 1;
      CHECK_EQ(pthread_create(&threads[i], NULL, work_until_the_end, &workers[i]), 0);
    }
    WAIT_UNTIL(workers[0].count > 20 && workers[1].count > 20, 20);
    CHECK_EQ(shmem_int_close(&pair.ends[round & 1]), 0);
    /* Those of the other end learn that the peer has closed. */
    for (int i = 0; i < 4; i++)
      CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(shmem_int_close(&pair.ends[~round & 1]), 0);
    CHECK(wire_nothing_left(pair.names[0]) && wire_nothing_left(pair.names[1]));
    check_name_count -= 4;
  }
}

static void a_close_wakes_a_reader_that_sleeps(void)
{
  struct wire_pair pair;
  pthread_t thread;

  wire_open_pair(&pair, "asleep", conf_of(0), conf_of(0));
  struct worker worker = {.shm = &pair.ends[0]};
  CHECK_EQ(pthread_create(&thread, NULL, work_until_the_end, &worker), 0);
  WAIT_UNTIL(worker.tid != 0 && check_asleep(getpid(), worker.tid), 10);
  CHECK_EQ(shmem_int_close(&pair.ends[0]), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(shmem_int_close(&pair.ends[1]), 0);
  CHECK(wire_nothing_left(pair.names[0]) && wire_nothing_left(pair.names[1]));
}

/* Also between its last look and its sleep, when it is counted among those who sleep. */
static void a_close_ends_a_wait_at_any_moment(void)
{
  for (uint64_t round = 0; round < check_scaled(1500); round++) {
    struct wire_pair pair;
    struct worker worker = {.shm = &pair.ends[0]};
    pthread_t thread;

    wire_open_loop(&pair, "moment", check_conf(0, 2, 1, 0));
    CHECK_EQ(pthread_create(&thread, NULL, work_until_the_end, &worker), 0);
    while (worker.tid == 0)
      sched_yield();
    double until = check_clock() + (double)check_chance(80) / 1e6;
    while (check_clock() < until)
      ;
    CHECK_EQ(shmem_int_close(&pair.ends[0]), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    check_name_count -= 2;
  }
}

/* Of several that close at once one succeeds. */
static void *close_once(void *arg)
{
  return shmem_int_close(arg) == 0 ? arg : NULL;
}

static void a_channel_is_closed_once(void)
{
  for (uint64_t round = 0; round < check_scaled(50); round++) {
    struct wire_pair pair;
    pthread_t threads[3];
    void *closed;
    int count = 0;

    wire_open_loop(&pair, "once", conf_of(0));
    for (int i = 0; i < 3; i++)
      CHECK_EQ(pthread_create(&threads[i], NULL, close_once, &pair.ends[0]), 0);
    for (int i = 0; i < 3; i++) {
      CHECK_EQ(pthread_join(threads[i], &closed), 0);
      count += closed != NULL;
    }
    CHECK_EQ(count, 1);
    CHECK(wire_nothing_left(pair.names[0]));
    check_name_count -= 2;
  }
}

/* ---- samples are still out ------------------------------------------------------------------- */

static void samples_outlive_the_channel(void)
{
  struct wire_pair pair;
  struct sample *received, *own, *kept;

  wire_open_pair(&pair, "outlive", conf_of(0), conf_of(0));
  wire_send(&pair.ends[1], 9, 9);
  CHECK_EQ(shmem_int_timed_read(&pair.ends[0], &received, 1, PATIENT), 1);
  own = wire_make(&pair.ends[0], 10);
  kept = own;
  CHECK_EQ(sample_get(own), 2);
  CHECK_EQ(shmem_int_close(&pair.ends[0]), 0);
  CHECK(wire_nothing_left(pair.names[0]));
  check_is(received, 9);
  check_is(own, 10);
  CHECK_EQ(sample_get(received), 2);
  CHECK_EQ(sample_put(received), 1);
  CHECK_EQ(wire_stats(&pair.ends[1]).blocks_free, 15);
  CHECK_EQ(sample_put(received), 0);
  CHECK_EQ(wire_stats(&pair.ends[1]).blocks_free, 16); /* given back to who lives on */
  CHECK_EQ(shmem_int_close(&pair.ends[1]), 0);
  CHECK_EQ(sample_put(own), 1);
  CHECK_EQ(sample_put(kept), 0);
  CHECK_GIVES(sample_put(kept), -1, EINVAL); /* unmapped by now */
  CHECK_GIVES(sample_put(received), -1, EINVAL);
}

/* Many channels, one after the other: nothing piles up. */
static void opening_and_closing_leaks_nothing(void)
{
  int before = -1;

  for (uint64_t round = 0; round < check_scaled(200); round++) {
    struct wire_pair pair;
    wire_open_pair(&pair, "again", conf_of(0), conf_of(1));
    wire_send(&pair.ends[0], round, round);
    wire_receive(&pair.ends[1], round, round);
    wire_close_pair(&pair);
    check_name_count -= 4;
    int fd = dup(0);
    CHECK(fd >= 0);
    CHECK_EQ(close(fd), 0);
    CHECK(before < 0 || fd == before);
    before = fd;
  }
}

/* ---- a signal handler ------------------------------------------------------------------------ */

static struct shmem_int *handled;
static volatile sig_atomic_t closed;

static void close_it(int number)
{
  int before = errno;

  (void)number;
  if (shmem_int_close(handled) == 0)
    closed++;
  errno = before;
}

struct target {
  pthread_t thread;
  _Atomic bool stop;
};

static void *keep_signalling(void *arg)
{
  struct target *target = arg;

  while (!target->stop) {
    pthread_kill(target->thread, SIGUSR1);
    check_pause();
  }
  return NULL;
}

/* At any moment of a write, a read, an allocation: the handler runs in the very thread that is inside. */
static void a_signal_handler_may_close_the_channel(void)
{
  signal(SIGUSR1, close_it);
  for (uint64_t round = 0; round < check_scaled(150); round++) {
    struct wire_pair pair;
    struct sample *smp;
    struct target target = {.thread = pthread_self()};
    pthread_t thread;
    bool sleeps = round % 3 == 0;

    wire_open_loop(&pair, "handler", conf_of((int)(round & 1)));
    handled = &pair.ends[0];
    closed = 0;
    CHECK_EQ(pthread_create(&thread, NULL, keep_signalling, &target), 0);
    for (;;) {
      if (sleeps ? shmem_int_read(handled, &smp, 1) < 0 : shmem_int_alloc(handled, &smp, 1) < 0)
        break;
      if (sleeps)
        continue;
      smp->length = 1;
      if (shmem_int_write(handled, &smp, 1) != 1) {
        CHECK_EQ(sample_put(smp), 0);
        break;
      }
      int got = shmem_int_read(handled, &smp, 1);
      if (got < 0)
        break;
      if (got == 1)
        CHECK_EQ(sample_put(smp), 0);
    }
    target.stop = true;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(closed, 1);
    CHECK(wire_nothing_left(pair.names[0]));
    check_name_count -= 2;
  }
  signal(SIGUSR1, SIG_IGN);
}

/* ---- forks ----------------------------------------------------------------------------------- */

struct forked {
  struct wire_pair *pair;
  struct sample *smp;
  _Atomic bool go;
};

static void use_the_parents(void *arg)
{
  struct forked *forked = arg;
  struct shmem_int *shm = &forked->pair->ends[0];
  struct sample *smp;

  CHECK_GIVES(shmem_int_read(shm, &smp, 1), -1, EPIPE);
  CHECK_GIVES(shmem_int_alloc(shm, &smp, 1), -1, EPIPE);
  CHECK_GIVES(sample_put(forked->smp), -1, EINVAL);
  shmem_int_close(shm); /* the parent's goes on */
  /* A channel of its own. */
  struct wire_pair own;
  wire_open_loop(&own, "child", conf_of(0));
  wire_send(&own.ends[0], 1, 3);
  wire_receive(&own.ends[0], 1, 3);
  CHECK_EQ(shmem_int_close(&own.ends[0]), 0);
}

static void a_forked_child_cannot_use_the_channel_and_does_not_disturb_it(void)
{
  struct wire_pair pair;

  wire_open_pair(&pair, "fork", conf_of(0), conf_of(1));
  struct forked forked = {.pair = &pair, .smp = wire_make(&pair.ends[0], 1)};
  CHECK_CHILD_ENDS_WELL(check_spawn(use_the_parents, &forked), 20);
  CHECK(wire_exists(pair.names[0]) && wire_exists(pair.names[1]));
  CHECK_EQ(shmem_int_peer_alive(&pair.ends[0]), 1);
  CHECK_EQ(shmem_int_write(&pair.ends[0], &forked.smp, 1), 1);
  wire_receive(&pair.ends[1], 1, 1);
  wire_send(&pair.ends[1], 2, 4);
  wire_receive(&pair.ends[0], 2, 4);
  wire_close_pair(&pair);
}

static void wait_for_it(void *arg)
{
  _Atomic bool *go = arg;
  WAIT_UNTIL(*go, 30);
}

struct parent {
  const char *names[2];
  _Atomic bool go;
  _Atomic pid_t child;
};

static void open_and_fork(void *arg)
{
  struct parent *parent = arg;
  struct shmem_conf conf = conf_of(0);
  struct shmem_int shm;

  if (shmem_int_timed_open(parent->names[1], parent->names[0], &shm, &conf, PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    wait_for_it(&parent->go);
    _exit(0);
  }
  parent->child = child;
  for (;;)
    pause();
}

/* The child inherits neither the lock nor the mapping: it does not keep its dead parent alive. */
static void a_child_that_outlives_its_parent_does_not_stand_for_it(void)
{
  struct parent *parent = check_shared(sizeof *parent);
  struct shmem_conf conf = conf_of(0);
  struct shmem_int shm;
  struct sample *smp;

  parent->names[0] = wire_name("survivor");
  parent->names[1] = wire_name("parent");
  pid_t pid = check_spawn(open_and_fork, parent);
  if (shmem_int_timed_open(parent->names[0], parent->names[1], &shm, &conf, PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
  WAIT_UNTIL(parent->child != 0, 10);
  CHECK_EQ(shmem_int_peer_alive(&shm), 1);
  check_kill(pid);
  CHECK_GIVES(shmem_int_timed_read(&shm, &smp, 1, PATIENT), -1, EPIPE);
  CHECK_EQ(kill(parent->child, 0), 0); /* it is still there */
  parent->go = true;
  CHECK_EQ(shmem_int_close(&shm), 0);
}

int main(void)
{
  check_begin();
  RUN(a_close_ends_the_calls_of_other_threads);
  RUN(a_close_wakes_a_reader_that_sleeps);
  RUN(a_close_ends_a_wait_at_any_moment);
  RUN(a_channel_is_closed_once);
  RUN(samples_outlive_the_channel);
  RUN(opening_and_closing_leaks_nothing);
  RUN(a_signal_handler_may_close_the_channel);
  RUN(a_forked_child_cannot_use_the_channel_and_does_not_disturb_it);
  RUN(a_child_that_outlives_its_parent_does_not_stand_for_it);
  return 0;
}
