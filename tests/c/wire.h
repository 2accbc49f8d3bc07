/* What the C tests of the wire layout share, besides check.h, which it includes. */
#ifndef WIRE_H
#define WIRE_H

#include "check.h"

#include <pthread.h>
#include <semaphore.h>

/* Where the layout's parts begin: all that lies behind the mutex depends on its size. */
enum {
  WIRE_MUTEX = sizeof(pthread_mutex_t),
  WIRE_POOL = 440 + WIRE_MUTEX,
  WIRE_CELLS = 808 + WIRE_MUTEX,
};

/* Both ends of one channel in this process. */
struct wire_pair {
  const char *names[2];
  struct shmem_int ends[2]; /* ends[0] writes names[0] and reads names[1] */
  struct shmem_conf confs[2];
};

/* A name whose region and semaphore are removed at the end of the test. */
UNUSED static const char *wire_name(const char *word)
{
  const char *name = check_name(word);

  CHECK(check_name_count < CHECK_NAMES);
  snprintf(check_names[check_name_count++], CHECK_NAME_SIZE, "sem.%s", name);
  return name;
}

UNUSED static bool wire_exists(const char *name)
{
  return access(check_path(name), F_OK) == 0;
}

/* Neither region nor semaphore of this name is there. */
UNUSED static bool wire_nothing_left(const char *name)
{
  char semaphore[CHECK_NAME_SIZE + 4];

  snprintf(semaphore, sizeof semaphore, "sem.%s", name);
  return !wire_exists(name) && !wire_exists(semaphore);
}

UNUSED static void *wire_open_other(void *arg)
{
  struct wire_pair *pair = arg;

  if (shmem_int_timed_open(pair->names[1], pair->names[0], &pair->ends[1], &pair->confs[1],
                          PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
  return NULL;
}

UNUSED static void wire_open_pair(struct wire_pair *pair, const char *word, struct shmem_conf one,
                                  struct shmem_conf other)
{
  pthread_t thread;

  *pair = (struct wire_pair){.confs = {one, other}};
  pair->names[0] = wire_name(word);
  pair->names[1] = wire_name(word);
  CHECK_EQ(pthread_create(&thread, NULL, wire_open_other, pair), 0);
  if (shmem_int_timed_open(pair->names[0], pair->names[1], &pair->ends[0], &pair->confs[0],
                          PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* A loopback: what it writes it reads. */
UNUSED static void wire_open_loop(struct wire_pair *pair, const char *word, struct shmem_conf conf)
{
  *pair = (struct wire_pair){.confs = {conf, conf}};
  pair->names[0] = pair->names[1] = wire_name(word);
  if (shmem_int_open(pair->names[0], pair->names[0], &pair->ends[0], &conf) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
}

UNUSED static void wire_close_pair(struct wire_pair *pair)
{
  CHECK_EQ(shmem_int_close(&pair->ends[0]), 0);
  if (pair->names[1] != pair->names[0])
    CHECK_EQ(shmem_int_close(&pair->ends[1]), 0);
  CHECK(wire_nothing_left(pair->names[0]) && wire_nothing_left(pair->names[1]));
}

/* ---- numbered samples ------------------------------------------------------------------------ */

UNUSED static struct sample *wire_make(struct shmem_int *shm, uint64_t number)
{
  struct sample *smp = NULL;

  WAIT_UNTIL(shmem_int_alloc(shm, &smp, 1) == 1, 10);
  CHECK(smp->sequence == 0 && smp->length == 0 && smp->flags == 0 && smp->ts.origin.tv_sec == 0);
  smp->sequence = number;
  smp->length = 1;
  smp->flags = SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_DATA;
  smp->data[0].i = (int64_t)check_mix(number);
  return smp;
}

UNUSED static void wire_send(struct shmem_int *shm, uint64_t first, uint64_t last)
{
  for (uint64_t number = first; number <= last; number++) {
    struct sample *smp = wire_make(shm, number);
    CHECK_EQ(shmem_int_timed_write(shm, &smp, 1, PATIENT), 1);
  }
}

UNUSED static void wire_receive(struct shmem_int *shm, uint64_t first, uint64_t last)
{
  for (uint64_t number = first; number <= last; number++) {
    struct sample *smp = NULL;
    CHECK_EQ(shmem_int_timed_read(shm, &smp, 1, PATIENT), 1);
    check_is(smp, number);
    CHECK_EQ(sample_put(smp), 0);
  }
}

UNUSED static struct shmem_stats wire_stats(struct shmem_int *shm)
{
  struct shmem_stats stats = SHMEM_STATS_INIT;

  CHECK_EQ(shmem_int_stats(shm, &stats), 0);
  return stats;
}

#endif
