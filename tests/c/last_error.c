/* shmem_last_error() after a call that found nothing, or no room, in time, that a signal handler or
 * an interruption ended, or whose peer is gone: a sentence of that call, not the one of an older
 * failure. */
#include "wire.h"

static char old[400];

/* An older failure, in every case another one than that of the call. */
static void fail_before(void)
{
  CHECK_REFUSED(shmem_shared_open("a/b", NULL), EINVAL);
  snprintf(old, sizeof old, "%s", shmem_last_error());
  errno = 0;
}

/* The call gives this value and errno, and the sentence has this word. */
#define SAYS(call, value, error, word)                                                             \
  do {                                                                                             \
    fail_before();                                                                                 \
    CHECK_GIVES(call, value, error);                                                               \
    const char *now = shmem_last_error();                                                          \
    if (strcmp(now, old) == 0 || !strstr(now, word))                                               \
      check_fail(__FILE__, __LINE__, "after %s: \"%s\" does not say \"%s\"", #call, now, word);    \
  } while (0)

static void on_usr1(int number)
{
  (void)number;
}

static struct shmem_shared *near, *far;

static void channel_calls(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("channel", &conf);
  struct sample *smps[4], *held[3];

  near = pair.node;
  far = pair.program;
  SAYS(shmem_shared_read(near, smps, 1), 0, EAGAIN, "no sample");
  SAYS(shmem_shared_try_read(near, smps, 1), 0, EAGAIN, "no sample");
  SAYS(shmem_shared_timed_read(near, smps, 1, MS(1)), 0, ETIMEDOUT, "within the time");
  CHECK_EQ(shmem_shared_interrupt(near), 0);
  SAYS(shmem_shared_timed_read(near, smps, 1, NULL), 0, EINTR, "interrupted");
  CHECK_EQ(sample_alloc(&near->pool, held, 3), 3);
  SAYS(sample_alloc(&near->pool, smps, 1), 0, EAGAIN, "in use");
  SAYS(shmem_shared_timed_alloc(near, smps, 1, MS(1)), 0, ETIMEDOUT, "blocks");
  CHECK_EQ(shmem_shared_interrupt(near), 0);
  SAYS(shmem_shared_timed_alloc(near, smps, 1, NULL), 0, EINTR, "blocks");
  CHECK_EQ(sample_put(held[0]), 0);
  SAYS(shmem_shared_write(near, (struct sample *[]){held[1], held[0]}, 2), 1, EINVAL, "cannot be sent");
  CHECK_EQ(sample_alloc(&near->pool, held, 1), 1);
  CHECK_EQ(shmem_shared_write(near, &held[2], 1), 1);
  SAYS(shmem_shared_write(near, held, 1), 0, EAGAIN, "full");
  SAYS(shmem_shared_timed_write(near, held, 1, MS(1)), 0, ETIMEDOUT, "full");
  CHECK_EQ(shmem_shared_interrupt(near), 0);
  SAYS(shmem_shared_timed_write(near, held, 1, NULL), 0, EINTR, "interrupted");
  SAYS(shmem_shared_write(near, smps, (unsigned int)-1), -1, EINVAL, "count");
  SAYS(shmem_shared_wait(far, (const struct timespec[]){{.tv_nsec = -1}}), -1, EINVAL, "timeout");
  CHECK_EQ(shmem_shared_close(far, pair.base), 0);
  SAYS(shmem_shared_timed_alloc(near, smps, 1, NULL), -1, EPIPE, "peer");
  SAYS(shmem_shared_read(near, smps, 1), -1, EPIPE, "peer");
  SAYS(shmem_shared_write(near, held, 1), -1, EPIPE, "peer");
  SAYS(shmem_shared_wait(near, MS(1)), -1, ETIMEDOUT, "no peer");
  CHECK_EQ(shmem_shared_interrupt(near), 0);
  SAYS(shmem_shared_wait(near, NULL), -1, EINTR, "interrupted");
  CHECK_EQ(sample_put(held[0]), 0);
  CHECK_EQ(shmem_shared_close(near, NULL), 0);
  SAYS(shmem_shared_read(near, smps, 1), -1, EPIPE, "closed");
}

/* Some are taken, then the channel ends. */
static void *close_when_full(void *arg)
{
  struct shmem_stats stats = SHMEM_STATS_INIT;

  WAIT_UNTIL(shmem_shared_stats(near, &stats) == 0 && stats.queued_out == 2, 20);
  CHECK_EQ(shmem_shared_close(far, arg), 0);
  return NULL;
}

static void channel_calls_of_which_a_part_was_done(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("part", &conf);
  struct sample *smps[3];
  pthread_t thread;

  near = pair.node;
  far = pair.program;
  CHECK_EQ(sample_alloc(&near->pool, smps, 3), 3);
  CHECK_EQ(pthread_create(&thread, NULL, close_when_full, pair.base), 0);
  SAYS(shmem_shared_timed_write(near, smps, 3, NULL), 2, EPIPE, "peer");
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(sample_put(smps[2]), 0);
  SAYS(shmem_shared_timed_alloc(near, smps, 3, NULL), 1, EPIPE, "peer");
  CHECK_EQ(sample_put(smps[0]), 0);
  CHECK_EQ(shmem_shared_close(near, NULL), 0);
}

static void calls_of_the_wire_layout(void)
{
  struct wire_pair pair;
  struct sample *smps[9];

  wire_open_pair(&pair, "wire", check_conf(0, 4, 2, 0), check_conf(0, 4, 2, 0));
  struct shmem_int *shm = &pair.ends[0];
  SAYS(shmem_int_read(shm, smps, 1), 0, EAGAIN, "no sample");
  SAYS(shmem_int_try_read(shm, smps, 1), 0, EAGAIN, "no sample");
  SAYS(shmem_int_timed_read(shm, smps, 1, MS(1)), 0, ETIMEDOUT, "within the time");
  CHECK_EQ(shmem_int_interrupt(shm), 0);
  SAYS(shmem_int_timed_read(shm, smps, 1, NULL), 0, EINTR, "interrupted");
  int count = shmem_int_alloc(shm, smps, 8);
  CHECK(count > 0 && count < 8);
  SAYS(shmem_int_alloc(shm, smps + count, 1), 0, EAGAIN, "in use");
  for (int i = 0; i < count; i++)
    CHECK_EQ(sample_put(smps[i]), 0);
  CHECK_EQ(shmem_int_close(&pair.ends[1]), 0);
  SAYS(shmem_int_read(shm, smps, 1), -1, EPIPE, "peer");
  CHECK_EQ(shmem_int_close(shm), 0);
}

static void ring_calls(void)
{
  static const int policies[] = {SHMEM_SPSC, SHMEM_MPSC, SHMEM_MPMC};

  for (int p = 0; p < 3; p++) {
    const char *name = check_name("ring");
    struct shmem_ring *in, *out;
    uint64_t n = 1;

    CHECK_HANDLE(in = shmem_ring_open(name, policies[p], SHMEM_PRODUCER, 8, 1));
    CHECK_HANDLE(out = shmem_ring_open(name, policies[p], SHMEM_CONSUMER, 8, 1));
    SAYS(shmem_ring_try_pop(out, &n), -1, EAGAIN, "empty");
    SAYS(shmem_ring_timed_pop(out, &n, MS(1)), -1, ETIMEDOUT, "no message");
    SAYS((intptr_t)shmem_ring_peek(out), 0, EAGAIN, "empty");
    SAYS((intptr_t)shmem_ring_timed_peek(out, MS(1)), 0, ETIMEDOUT, "no message");
    SAYS(shmem_ring_pop_many(out, &n, 1), 0, EAGAIN, "empty");
    CHECK_EQ(shmem_ring_interrupt(out), 0);
    SAYS(shmem_ring_pop(out, &n), -1, EINTR, "interrupted");
    CHECK_EQ(shmem_ring_push(in, &n), 0);
    SAYS(shmem_ring_try_push(in, &n), -1, EAGAIN, "full");
    SAYS(shmem_ring_timed_push(in, &n, MS(1)), -1, ETIMEDOUT, "full");
    SAYS((intptr_t)shmem_ring_reserve(in), 0, EAGAIN, "full");
    SAYS((intptr_t)shmem_ring_timed_reserve(in, MS(1)), 0, ETIMEDOUT, "full");
    SAYS(shmem_ring_push_many(in, &n, 1), 0, EAGAIN, "full");
    CHECK_EQ(shmem_ring_interrupt(in), 0);
    SAYS(shmem_ring_push(in, &n), -1, EINTR, "interrupted");
    SAYS(shmem_ring_push(out, &n), -1, EINVAL, "consumer");
    CHECK_EQ(shmem_ring_close(in), 0);
    CHECK_EQ(shmem_ring_close(out), 0);
    SAYS(shmem_ring_try_pop(out, &n), -1, EPIPE, "closed");
    SAYS(shmem_ring_push(in, &n), -1, EPIPE, "closed");
  }
}

static void endpoint_calls(void)
{
  const char *name = check_name("endpoint");
  struct shmem_endpoint *a;
  uint64_t n = 1;

  CHECK_HANDLE(a = shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, 8, 1));
  CHECK_EQ(shmem_endpoint_unlink(name), 0);
  SAYS(shmem_endpoint_try_receive(a, &n), -1, EAGAIN, "empty");
  SAYS(shmem_endpoint_timed_receive(a, &n, MS(1)), -1, ETIMEDOUT, "no message");
  SAYS(shmem_endpoint_receive_many(a, &n, 1), 0, EAGAIN, "empty");
  CHECK_EQ(shmem_endpoint_send(a, &n), 0);
  SAYS(shmem_endpoint_try_send(a, &n), -1, EAGAIN, "full");
  SAYS(shmem_endpoint_timed_send(a, &n, MS(1)), -1, ETIMEDOUT, "full");
  SAYS(shmem_endpoint_send_many(a, &n, 1), 0, EAGAIN, "full");
  CHECK_EQ(shmem_endpoint_interrupt(a), 0);
  SAYS(shmem_endpoint_receive(a, &n), -1, EINTR, "interrupted");
  SAYS(shmem_endpoint_send(a, &n), -1, EINTR, "interrupted");
  CHECK_EQ(shmem_endpoint_close(a), 0);
  SAYS(shmem_endpoint_send(a, &n), -1, EPIPE, "closed");
}

struct sleeper {
  struct shmem_event event;
  _Atomic pid_t tid;
  _Atomic bool done;
};

static void *wait_for_event(void *arg)
{
  struct sleeper *sleeper = arg;
  uint64_t seen = 0;

  sleeper->tid = (pid_t)syscall(SYS_gettid);
  SAYS(shmem_event_timed_wait(&sleeper->event, &seen, NULL), 0, EINTR, "signal handler");
  sleeper->done = true;
  return NULL;
}

static void event_calls(void)
{
  struct sleeper sleeper = {.tid = 0};
  struct sigaction action = {.sa_handler = on_usr1};
  pthread_t thread;
  uint64_t seen = 0;

  SAYS(shmem_event_wait(&sleeper.event, &seen), 0, EAGAIN, "no signal");
  SAYS(shmem_event_try_wait(&sleeper.event, &seen), 0, EAGAIN, "no signal");
  SAYS(shmem_event_timed_wait(&sleeper.event, &seen, MS(1)), 0, ETIMEDOUT, "within the time");
  sigaction(SIGUSR1, &action, NULL);
  CHECK_EQ(pthread_create(&thread, NULL, wait_for_event, &sleeper), 0);
  WAIT_UNTIL(sleeper.tid && (sleeper.done || pthread_kill(thread, SIGUSR1) == 0) && sleeper.done, 20);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* A call that succeeds leaves it; the next failure has its own again. */
static void the_next_failure_replaces_it(void)
{
  struct pair pair = check_open_pair("next", NULL);
  struct sample *smp;

  CHECK_GIVES(shmem_shared_try_read(pair.node, &smp, 1), 0, EAGAIN);
  check_send(pair.program, 1, 1);
  check_receive(pair.node, 1, 1);
  CHECK(strstr(shmem_last_error(), "no sample"));
  CHECK_REFUSED(shmem_shared_open("a/b", NULL), EINVAL);
  CHECK(strstr(shmem_last_error(), "a/b"));
  check_close_pair(&pair);
}

int main(void)
{
  check_begin();
  RUN(channel_calls);
  RUN(channel_calls_of_which_a_part_was_done);
  RUN(calls_of_the_wire_layout);
  RUN(ring_calls);
  RUN(endpoint_calls);
  RUN(event_calls);
  RUN(the_next_failure_replaces_it);
  return 0;
}
