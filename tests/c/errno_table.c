/* The errnos of reading, writing, allocating and waiting, each given for the reason in its table;
 * each leaves everything as it was. Of the arguments: errno_einval.c. Of create and open:
 * errno_attach.c. EACCES: no_permission.c. ENOSPC: full_dev_shm.c. */
#include "check.h"

#include <limits.h>

static void fill_queue(struct shmem_shared *shm, uint64_t queuelen)
{
  check_send(shm, 1, queuelen);
}

/* ---- EAGAIN, ETIMEDOUT, EINTR ---------------------------------------------------------------- */

static void eagain_when_full_empty_or_the_pool_is_used_up(void)
{
  struct shmem_conf conf = check_conf(0, 3, 1, 2);
  struct pair pair = check_open_pair("again", &conf);
  struct sample *smps[8], *more;

  CHECK_GIVES(shmem_shared_try_read(pair.program, smps, 8), 0, EAGAIN);
  double begin = check_clock();
  CHECK_GIVES(shmem_shared_read(pair.program, smps, 8), 0, EAGAIN);
  CHECK(check_clock() - begin > 0.08);

  CHECK_GIVES(sample_alloc(&pair.node->pool, smps, 8), 5, EAGAIN);
  CHECK_GIVES(sample_alloc(&pair.node->pool, &more, 1), 0, EAGAIN);
  CHECK_GIVES(sample_alloc_many(&pair.node->pool, &more, 1), 0, EAGAIN);
  CHECK_GIVES((intptr_t)sample_clone(smps[0]), 0, EAGAIN);

  CHECK_EQ(shmem_shared_write(pair.node, smps, 5), 3);
  CHECK_GIVES(shmem_shared_write(pair.node, smps + 3, 2), 0, EAGAIN);
  CHECK_EQ(sample_put_many(smps + 3, 2), 2);
  for (int left = 3; left > 0;) {
    int got = shmem_shared_try_read(pair.program, smps, 8);
    CHECK(got > 0 && got <= left);
    CHECK_EQ(sample_put_many(smps, (unsigned int)got), got);
    left -= got;
  }
  check_works(&pair);
  check_close_pair(&pair);
}

static void etimedout_when_the_time_is_over(void)
{
  struct shmem_conf conf = check_conf(0, 3, 1, 2);
  const char *name = check_name("alone");
  struct shmem_shared *alone;
  CHECK_HANDLE(alone = shmem_shared_create(name, &conf));
  struct pair pair = check_open_pair("late", &conf);
  struct sample *smps[8];
  void *base;

#define CHECK_TIMES_OUT(call, value, ms)                                                          \
  do {                                                                                            \
    double check_from = check_clock();                                                            \
    IN_TIME((ms) / 1e3 + 1, CHECK_GIVES(call, value, ETIMEDOUT));                                 \
    CHECK(check_clock() - check_from >= (ms) / 1e3 - 0.002);                                      \
  } while (0)

  CHECK_TIMES_OUT(shmem_shared_timed_read(pair.program, smps, 1, MS(30)), 0, 30);
  CHECK_TIMES_OUT(shmem_shared_timed_read(pair.program, smps, 1, MS(250)), 0, 250);
  CHECK_TIMES_OUT(shmem_shared_timed_read(pair.program, smps, 1, MS(0)), 0, 0);
  CHECK_TIMES_OUT(shmem_shared_wait(alone, MS(30)), -1, 30);
  CHECK_TIMES_OUT(shmem_shared_wait(alone, MS(0)), -1, 0);
  CHECK_EQ(shmem_shared_wait(pair.node, MS(0)), 0);

  CHECK_EQ(sample_alloc(&pair.node->pool, smps, 5), 5);
  CHECK_TIMES_OUT(shmem_shared_timed_alloc(pair.node, smps + 5, 1, MS(30)), 0, 30);
  CHECK_EQ(sample_put(smps[4]), 0);
  CHECK_EQ(shmem_shared_timed_alloc(pair.node, smps + 4, 2, MS(30)), 1);

  CHECK_EQ(shmem_shared_timed_write(pair.node, smps, 5, MS(30)), 3);
  CHECK_TIMES_OUT(shmem_shared_timed_write(pair.node, smps + 3, 2, MS(30)), 0, 30);
  CHECK_TIMES_OUT(shmem_shared_timed_write(pair.node, smps + 3, 2, MS(0)), 0, 0);
  CHECK_EQ(sample_put_many(smps + 3, 2), 2);

  double begin = check_clock();
  IN_TIME(1.5, CHECK_REFUSED(shmem_shared_timed_open("villas-check-nowhere", &base, MS(60)), ETIMEDOUT));
  CHECK(check_clock() - begin >= 0.058);

  CHECK_EQ(shmem_shared_timed_read(pair.program, smps, 1, MS(1000)), 1);
  CHECK_EQ(sample_put(smps[0]), 0);
  CHECK_EQ(shmem_shared_timed_read(pair.program, smps, 1, MS(1000)), 1);
  CHECK_EQ(sample_put(smps[0]), 0);
  CHECK_EQ(shmem_shared_timed_read(pair.program, smps, 1, MS(1000)), 1);
  CHECK_EQ(sample_put(smps[0]), 0);
  check_works(&pair);
  check_close_pair(&pair);
  CHECK_EQ(shmem_shared_close(alone, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(name), 0);
}

static void on_signal(int number)
{
  (void)number;
}

/* Sends signals until the main thread's call has ended: one may fall between two sleeps. */
struct sender {
  pthread_t target;
  _Atomic bool enough;
};

static void *send_signals(void *arg)
{
  struct sender *sender = arg;

  while (!sender->enough) {
    nanosleep(MS(5), NULL);
    pthread_kill(sender->target, SIGUSR1);
  }
  return NULL;
}

static void eintr_when_a_signal_handler_ran_during_a_wait(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("signal", &conf);
  const char *name = check_name("signal-alone");
  struct shmem_shared *alone;
  struct sample *smps[8];
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
  struct sender sender = {.target = pthread_self()};
  pthread_t thread;
  void *base;

  CHECK_HANDLE(alone = shmem_shared_create(name, &conf));
  fill_queue(pair.node, 2);
  CHECK_EQ(sample_alloc(&pair.node->pool, smps, 8), 1);
  CHECK_EQ(sigaction(SIGUSR1, &action, &before), 0);
  CHECK_EQ(pthread_create(&thread, NULL, send_signals, &sender), 0);

  CHECK_GIVES(shmem_shared_timed_read(pair.node, smps + 1, 1, NULL), 0, EINTR);
  CHECK_GIVES(shmem_shared_timed_read(pair.node, smps + 1, 1, MS(30000)), 0, EINTR);
  CHECK_GIVES(shmem_shared_timed_write(pair.node, smps, 1, MS(30000)), 0, EINTR);
  CHECK_GIVES(shmem_shared_timed_write(pair.node, smps, 1, NULL), 0, EINTR);
  CHECK_GIVES(shmem_shared_timed_alloc(pair.node, smps + 1, 1, MS(30000)), 0, EINTR);
  CHECK_GIVES(shmem_shared_timed_alloc(pair.node, smps + 1, 1, NULL), 0, EINTR);
  CHECK_GIVES(shmem_shared_wait(alone, MS(30000)), -1, EINTR);
  CHECK_GIVES(shmem_shared_wait(alone, NULL), -1, EINTR);
  CHECK_REFUSED(shmem_shared_timed_open("villas-check-nowhere", &base, MS(30000)), EINTR);
  CHECK_REFUSED(shmem_shared_timed_open("villas-check-nowhere", &base, NULL), EINTR);

  sender.enough = true;
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(sigaction(SIGUSR1, &before, NULL), 0);
  CHECK_EQ(sample_put(smps[0]), 0);
  check_receive(pair.program, 1, 2);
  check_works(&pair);
  check_close_pair(&pair);
  CHECK_EQ(shmem_shared_close(alone, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(name), 0);
}

/* ---- EPIPE ----------------------------------------------------------------------------------- */

static void check_all_say_epipe(struct shmem_shared *shm)
{
  struct sample *smps[1];

  CHECK_GIVES(shmem_shared_read(shm, smps, 1), -1, EPIPE);
  CHECK_GIVES(shmem_shared_try_read(shm, smps, 1), -1, EPIPE);
  CHECK_GIVES(shmem_shared_timed_read(shm, smps, 1, MS(1000)), -1, EPIPE);
  CHECK_GIVES(shmem_shared_timed_read(shm, smps, 1, NULL), -1, EPIPE);
}

static void epipe_when_the_peer_has_closed(void)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct pair pair = check_open_pair("pipe", &conf);
  struct sample *smp = check_make(pair.program, 1);

  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  check_all_say_epipe(pair.program);
  CHECK_GIVES(shmem_shared_write(pair.program, &smp, 1), -1, EPIPE);
  CHECK_GIVES(shmem_shared_timed_write(pair.program, &smp, 1, NULL), -1, EPIPE);
  CHECK_EQ(shmem_shared_peer_alive(pair.program), 0);
  check_is(smp, 1); /* still the caller's */
  CHECK_EQ(sample_put(smp), 0);

  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
  check_works(&pair);

  smp = check_make(pair.node, 1);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  check_all_say_epipe(pair.node);
  CHECK_GIVES(shmem_shared_write(pair.node, &smp, 1), -1, EPIPE);
  CHECK_EQ(sample_put(smp), 0);
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_works(&pair);
  check_close_pair(&pair);
}

static void epipe_on_a_handle_that_is_closed(void)
{
  struct pair pair = check_open_pair("closed", NULL);
  struct sample *held = check_make(pair.program, 3), *smps[1] = {held};
  struct shmem_shared *closed[2] = {pair.program, pair.node};

  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  for (int i = 0; i < 2; i++) {
    check_all_say_epipe(closed[i]);
    CHECK_GIVES(shmem_shared_write(closed[i], smps, 1), -1, EPIPE);
    CHECK_GIVES(shmem_shared_timed_write(closed[i], smps, 1, NULL), -1, EPIPE);
    CHECK_GIVES(shmem_shared_wait(closed[i], NULL), -1, EPIPE);
  }
  CHECK_EQ(sample_put(held), 0); /* puts after the close are legal */
  CHECK_EQ(shmem_shared_unlink(pair.name), 0);
}

/* ---- words ----------------------------------------------------------------------------------- */

static void each_errno_has_words(void)
{
  const int errnos[] = {EINVAL, EAGAIN, ETIMEDOUT, EBUSY,  EALREADY, ENOENT, EPROTO, EBADMSG,
                        EINTR,  ENOTSUP, EPIPE,    ESTALE, EACCES,   ENOSPC, ENAMETOOLONG};
  const size_t count = sizeof errnos / sizeof *errnos;

  for (size_t i = 0; i < count; i++) {
    const char *words = shmem_strerror(errnos[i]);
    CHECK(words && strlen(words) > 3);
    char *copy = strdup(words);
    for (size_t k = 0; k < i; k++)
      CHECK(strcmp(copy, shmem_strerror(errnos[k])) != 0);
    free(copy);
  }
  CHECK(shmem_strerror(0) && shmem_strerror(-1) && shmem_strerror(INT_MAX));
  CHECK(strcmp(shmem_strerror(EPIPE), strerror(EPIPE)) != 0); /* our own words, not the system's */
}

int main(void)
{
  check_begin();
  RUN(eagain_when_full_empty_or_the_pool_is_used_up);
  RUN(etimedout_when_the_time_is_over);
  RUN(eintr_when_a_signal_handler_ran_during_a_wait);
  RUN(epipe_when_the_peer_has_closed);
  RUN(epipe_on_a_handle_that_is_closed);
  RUN(each_errno_has_words);
  return 0;
}
