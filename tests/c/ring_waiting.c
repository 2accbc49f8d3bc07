/* What ends a wait: a message, room, the close of the end, an interruption, a signal handler, a death; and what a fork inherits. */
#include "check.h"

static const int policies[] = {SHMEM_SPSC, SHMEM_MPSC, SHMEM_MPMC};

static struct shmem_ring *producer, *consumer;
static const char *name;

static void open_both(int policy, size_t capacity)
{
  name = check_name("ring");
  CHECK_HANDLE(producer = shmem_ring_open(name, policy, SHMEM_PRODUCER, 8, capacity));
  CHECK_HANDLE(consumer = shmem_ring_open(name, policy, SHMEM_CONSUMER, 8, capacity));
}

static void close_both(void)
{
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
  CHECK_EQ(shmem_ring_unlink(name), 0);
}

/* A thread that waits in a call, and what the call gave. */
struct waiter {
  pthread_t thread;
  bool pops;
  _Atomic pid_t tid;
  _Atomic bool done;
  int result, error;
  uint64_t element;
};

static void *wait_thread(void *arg)
{
  struct waiter *w = arg;
  atomic_store(&w->tid, (pid_t)syscall(SYS_gettid));
  w->result = w->pops ? shmem_ring_pop(consumer, &w->element) : shmem_ring_push(producer, &w->element);
  w->error = errno;
  w->done = true;
  return NULL;
}

static void begin_wait(struct waiter *w, bool pops)
{
  *w = (struct waiter){.pops = pops, .element = 77};
  CHECK_EQ(pthread_create(&w->thread, NULL, wait_thread, w), 0);
  WAIT_UNTIL(atomic_load(&w->tid) && check_asleep(getpid(), atomic_load(&w->tid)), 5);
}

static void wait_ended(struct waiter *w, int result, int error)
{
  WAIT_UNTIL(w->done, 2);
  CHECK_EQ(pthread_join(w->thread, NULL), 0);
  CHECK_EQ(w->result, result);
  if (result)
    CHECK_EQ(w->error, error);
}

static void a_sleeper_is_woken_by_a_message_and_by_room(void)
{
  for (int p = 0; p < 3; p++) {
    struct waiter w;
    uint64_t n = 5;

    open_both(policies[p], 1);
    for (int round = 0; round < 3; round++) {
      begin_wait(&w, true);
      CHECK_EQ(shmem_ring_push(producer, &n), 0);
      wait_ended(&w, 0, 0);
      CHECK_EQ(w.element, 5);
      CHECK_EQ(shmem_ring_push(producer, &n), 0);
      begin_wait(&w, false);
      CHECK_EQ(shmem_ring_pop(consumer, &n), 0);
      wait_ended(&w, 0, 0);
      CHECK_EQ(shmem_ring_pop(consumer, &n), 0);
      CHECK_EQ(n, 77);
      n = 5;
      /* In place, too. */
      begin_wait(&w, true);
      uint64_t *slot = shmem_ring_reserve(producer);
      CHECK(slot);
      *slot = 9;
      CHECK_EQ(shmem_ring_commit(producer, slot), 0);
      wait_ended(&w, 0, 0);
      CHECK_EQ(w.element, 9);
      CHECK_EQ(shmem_ring_push(producer, &n), 0);
      const uint64_t *message = shmem_ring_peek(consumer);
      CHECK(message && *message == 5);
      begin_wait(&w, false);
      CHECK_EQ(shmem_ring_release(consumer, message), 0);
      wait_ended(&w, 0, 0);
      CHECK_EQ(shmem_ring_pop(consumer, &n), 0);
      n = 5;
    }
    close_both();
  }
}

static void a_close_ends_the_waits_of_its_end(void)
{
  for (int p = 0; p < 3; p++) {
    struct waiter pops, pushes;
    uint64_t n = 1;

    open_both(policies[p], 1);
    begin_wait(&pops, true);
    CHECK_EQ(shmem_ring_close(consumer), 0);
    wait_ended(&pops, -1, EPIPE);
    CHECK_EQ(shmem_ring_push(producer, &n), 0);
    begin_wait(&pushes, false);
    CHECK_EQ(shmem_ring_close(producer), 0);
    wait_ended(&pushes, -1, EPIPE);
    /* And the places are free. */
    CHECK_HANDLE(producer = shmem_ring_open(name, policies[p], SHMEM_PRODUCER, 8, 1));
    CHECK_HANDLE(consumer = shmem_ring_open(name, policies[p], SHMEM_CONSUMER, 8, 1));
    CHECK_EQ(shmem_ring_pending(consumer), 1);
    close_both();
  }
}

static void an_interruption_ends_the_waits_that_have_begun_or_the_next_one(void)
{
  for (int p = 0; p < 3; p++) {
    struct waiter w;
    uint64_t n = 3;

    open_both(policies[p], 1);
    begin_wait(&w, true);
    CHECK_EQ(shmem_ring_interrupt(consumer), 0);
    wait_ended(&w, -1, EINTR);
    /* Before a wait it ends that one, and no other. */
    CHECK_EQ(shmem_ring_interrupt(consumer), 0);
    CHECK_GIVES(shmem_ring_try_pop(consumer, &n), -1, EAGAIN);
    CHECK_GIVES(shmem_ring_pop(consumer, &n), -1, EINTR);
    CHECK_GIVES(shmem_ring_timed_pop(consumer, &n, MS(1)), -1, ETIMEDOUT);
    CHECK_EQ(shmem_ring_push(producer, &n), 0);
    CHECK_EQ(shmem_ring_pop(consumer, &n), 0);
    CHECK_EQ(n, 3);
    close_both();
  }
}

static void on_signal(int number)
{
  int saved = errno;
  if (number == SIGUSR2)
    shmem_ring_close(consumer);
  errno = saved;
}

static void a_signal_handler_ends_a_wait_and_may_close_the_end(void)
{
  for (int p = 0; p < 3; p++) {
    struct waiter w;

    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    open_both(policies[p], 1);
    begin_wait(&w, true);
    /* Between two slices of its sleep a handler goes unnoticed. */
    WAIT_UNTIL((pthread_kill(w.thread, SIGUSR1), check_pause(), w.done), 2);
    wait_ended(&w, -1, EINTR);
    begin_wait(&w, true);
    CHECK_EQ(pthread_kill(w.thread, SIGUSR2), 0);
    wait_ended(&w, -1, EPIPE);
    CHECK_GIVES(shmem_ring_close(consumer), -1, EINVAL);
    CHECK_HANDLE(consumer = shmem_ring_open(name, policies[p], SHMEM_CONSUMER, 8, 1));
    close_both();
  }
}

/* ---- deaths ---- */

static _Atomic int *ready;

static void reserve_and_stay(void *arg)
{
  struct shmem_ring *ring;
  (void)arg;
  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 2));
  CHECK(shmem_ring_reserve(ring));
  atomic_store(ready, 1);
  for (;;)
    pause();
}

static void peek_and_stay(void *arg)
{
  struct shmem_ring *ring;
  (void)arg;
  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_MPMC, SHMEM_CONSUMER, 8, 2));
  CHECK(shmem_ring_peek(ring));
  atomic_store(ready, 1);
  for (;;)
    pause();
}

static void a_sleeper_learns_of_the_death_of_the_one_it_waits_for(void)
{
  for (int round = 0; round < 10; round++) {
    struct shmem_ring_stats stats = SHMEM_RING_STATS_INIT;
    struct waiter w;
    uint64_t n = 4;

    ready = check_shared(sizeof *ready);
    open_both(SHMEM_MPMC, 2);
    pid_t child = check_spawn(reserve_and_stay, NULL);
    WAIT_UNTIL(atomic_load(ready), 5);
    CHECK_EQ(shmem_ring_push(producer, &n), 0);
    CHECK_GIVES(shmem_ring_timed_pop(consumer, &n, MS(60)), -1, ETIMEDOUT); /* it lives: it is waited for */
    CHECK_EQ(kill(child, SIGSTOP), 0);
    CHECK_GIVES(shmem_ring_timed_pop(consumer, &n, MS(60)), -1, ETIMEDOUT); /* stopped, too */
    begin_wait(&w, true);
    check_kill(child);
    wait_ended(&w, 0, 0);
    CHECK_EQ(w.element, 4);

    CHECK_EQ(shmem_ring_push(producer, &n), 0);
    CHECK_EQ(shmem_ring_push(producer, &n), 0);
    atomic_store(ready, 0);
    child = check_spawn(peek_and_stay, NULL);
    WAIT_UNTIL(atomic_load(ready), 5);
    CHECK_EQ(shmem_ring_pop(consumer, &n), 0);
    CHECK_GIVES(shmem_ring_timed_push(producer, &n, MS(60)), -1, ETIMEDOUT);
    begin_wait(&w, false);
    check_kill(child);
    wait_ended(&w, 0, 0);
    CHECK_EQ(shmem_ring_pop(consumer, &n), 0);
    CHECK_EQ(n, 77);
    CHECK_EQ(shmem_ring_stats(consumer, &stats), 0);
    CHECK_EQ(stats.skipped, 1);
    CHECK_EQ(stats.lost, 1);
    close_both();
  }
}

/* Who never waits gets past the dead as well. */
static void tries_get_past_the_dead(void)
{
  uint64_t n = 4, got;

  ready = check_shared(sizeof *ready);
  open_both(SHMEM_MPMC, 2);
  pid_t child = check_spawn(reserve_and_stay, NULL);
  WAIT_UNTIL(atomic_load(ready), 5);
  CHECK_EQ(shmem_ring_try_push(producer, &n), 0);
  check_kill(child);
  WAIT_UNTIL(shmem_ring_try_pop(consumer, &got) == 0, 2);
  CHECK_EQ(got, 4);
  atomic_store(ready, 0);
  CHECK_EQ(shmem_ring_push_many(producer, &n, 1), 1);
  child = check_spawn(peek_and_stay, NULL);
  WAIT_UNTIL(atomic_load(ready), 5);
  CHECK_EQ(shmem_ring_try_push(producer, &n), 0);
  CHECK_GIVES(shmem_ring_try_push(producer, &n), -1, EAGAIN);
  check_kill(child);
  WAIT_UNTIL(shmem_ring_push_many(producer, &n, 1) == 1, 2);
  close_both();
}

/* A process that had many slots reserved, or many messages peeked at. */
enum { MANY = 4096 };

static void claim_many_and_stay(void *arg)
{
  const int *role = arg;
  struct shmem_ring *ring;

  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_MPMC, *role, 8, 2 * MANY));
  for (int i = 0; i < MANY; i++)
    CHECK(*role == SHMEM_PRODUCER ? shmem_ring_reserve(ring) : shmem_ring_peek(ring));
  atomic_store(ready, 1);
  for (;;)
    pause();
}

static void claim_many_and_die(int role)
{
  atomic_store(ready, 0);
  pid_t child = check_spawn(claim_many_and_stay, &role);
  WAIT_UNTIL(atomic_load(ready), 20);
  check_kill(child);
}

static int push_until_full(void)
{
  uint64_t n = 4;
  int pushed = 0;

  while (shmem_ring_try_push(producer, &n) == 0)
    pushed++;
  return pushed;
}

/* The time that a claim is given is not given to each of them. */
static void tries_get_past_many_claims_of_the_dead(void)
{
  uint64_t n = 4, got;
  int pushed = 0;

  ready = check_shared(sizeof *ready);
  open_both(SHMEM_MPMC, 2 * MANY);
  claim_many_and_die(SHMEM_PRODUCER);
  CHECK_EQ(shmem_ring_try_push(producer, &n), 0);
  WAIT_UNTIL(shmem_ring_try_pop(consumer, &got) == 0, 2);
  CHECK_EQ(got, 4);

  push_until_full();
  claim_many_and_die(SHMEM_CONSUMER);
  WAIT_UNTIL((pushed += push_until_full()) == MANY, 2);
  close_both();
}

/* ---- forks ---- */

static void use_the_parents(void *arg)
{
  struct shmem_ring *own;
  uint64_t n = 8;
  (void)arg;
  CHECK_GIVES(shmem_ring_push(producer, &n), -1, EPIPE);
  CHECK_GIVES(shmem_ring_pop(consumer, &n), -1, EPIPE);
  CHECK_GIVES(shmem_ring_close(producer), -1, EINVAL);
  CHECK_HANDLE(own = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 2));
  CHECK_EQ(shmem_ring_push(own, &n), 0);
  CHECK_EQ(shmem_ring_close(own), 0);
}

static void a_forked_child_opens_its_own(void)
{
  uint64_t got;

  open_both(SHMEM_MPMC, 2);
  pid_t child = check_spawn(use_the_parents, NULL);
  CHECK_CHILD_ENDS_WELL(child, 5);
  CHECK_EQ(shmem_ring_pop(consumer, &got), 0);
  CHECK_EQ(got, 8);
  close_both();
}

/* ---- threads that share an end ---- */

enum { THREADS = 4, EACH = 5000 };

static void *push_shared(void *arg)
{
  uint64_t first = (uint64_t)(intptr_t)arg * EACH;
  for (uint64_t n = first; n < first + check_scaled(EACH); n++)
    CHECK_EQ(shmem_ring_push(producer, &n), 0);
  return NULL;
}

static void threads_that_share_an_end_take_turns(void)
{
  for (int p = 0; p < 3; p++) {
    pthread_t threads[THREADS];
    uint64_t sum = 0, expected = 0, n;
    const uint64_t each = check_scaled(EACH);

    open_both(policies[p], 16);
    for (intptr_t i = 0; i < THREADS; i++)
      CHECK_EQ(pthread_create(&threads[i], NULL, push_shared, (void *)i), 0);
    for (uint64_t i = 0; i < THREADS * each; i++) {
      CHECK_EQ(shmem_ring_pop(consumer, &n), 0);
      sum += check_mix(n);
      expected += check_mix(i / each * EACH + i % each);
    }
    CHECK_EQ(sum, expected);
    for (int i = 0; i < THREADS; i++)
      pthread_join(threads[i], NULL);
    close_both();
  }
}

int main(void)
{
  check_begin();
  RUN(a_sleeper_is_woken_by_a_message_and_by_room);
  RUN(a_close_ends_the_waits_of_its_end);
  RUN(an_interruption_ends_the_waits_that_have_begun_or_the_next_one);
  RUN(a_signal_handler_ends_a_wait_and_may_close_the_end);
  RUN(a_sleeper_learns_of_the_death_of_the_one_it_waits_for);
  RUN(tries_get_past_the_dead);
  RUN(tries_get_past_many_claims_of_the_dead);
  RUN(a_forked_child_opens_its_own);
  RUN(threads_that_share_an_end_take_turns);
  return 0;
}
