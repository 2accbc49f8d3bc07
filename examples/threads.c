/* threads: two threads on one channel. One reads what a node sends, as fast as it comes. The other
 * writes 100 samples a second: the mean of what came since the last one, and how many that were.
 *
 *     cc -pthread threads.c -lvillas_shm -o threads && ./threads NAME
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <villas/shmem.h>

static struct shmem_shared *volatile shm; /* open from before the second thread until after it */
static atomic_bool stopped;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double sum; /* of the first values that came since the last sample was written, under lock */
static int64_t count;

static void on_signal(int number)
{
  int saved = errno;

  (void)number;
  stopped = true;
  if (shm)
    shmem_shared_interrupt(shm); /* ends the waits of both threads */
  errno = saved;
}

static void fill(struct sample *smp, uint64_t sequence)
{
  pthread_mutex_lock(&lock);
  smp->length = 2;
  smp->data[0].f = count ? sum / (double)count : 0;
  smp->data[1].f = (double)count;
  sum = 0;
  count = 0;
  pthread_mutex_unlock(&lock);
  smp->sequence = sequence;
  clock_gettime(CLOCK_REALTIME, &smp->ts.origin);
  smp->flags = SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_TS_ORIGIN | SAMPLE_HAS_DATA;
}

static void *write_means(void *unused)
{
  struct sample *smp;
  struct timespec due;

  clock_gettime(CLOCK_MONOTONIC, &due);
  for (uint64_t sequence = 0; !stopped; sequence++) {
    if ((due.tv_nsec += 10000000) >= 1000000000) {
      due.tv_nsec -= 1000000000;
      due.tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    if (sample_alloc(&shm->pool, &smp, 1) != 1)
      continue; /* all are with the node: this one is left out */
    fill(smp, sequence);
    if (shmem_shared_write(shm, &smp, 1) != 1)
      sample_put(smp); /* no room, or no node */
  }
  return unused;
}

int main(int argc, char *argv[])
{
  struct sigaction action = {.sa_handler = on_signal};
  struct sample *smps[64];
  pthread_t writer;
  int got;

  if (argc != 2)
    return fprintf(stderr, "usage: threads NAME\n"), 1;
  shm = shmem_shared_timed_open(argv[1], NULL, NULL); /* waits for the node; Ctrl-C ends that */
  if (!shm)
    return fprintf(stderr, "threads: %s\n", shmem_last_error()), 1;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  if (pthread_create(&writer, NULL, write_means, NULL))
    return fprintf(stderr, "threads: cannot start a thread\n"), 1;
  while (!stopped && (got = shmem_shared_read(shm, smps, 64)) >= 0) { /* -1: the node has gone */
    pthread_mutex_lock(&lock);
    for (int i = 0; i < got; i++)
      sum += smps[i]->length ? smps[i]->data[0].f : 0;
    count += got;
    pthread_mutex_unlock(&lock);
    if (got > 0)
      sample_put_many(smps, (unsigned int)got);
  }
  stopped = true; /* also when the node has gone: the writer ends, too */
  pthread_join(writer, NULL);
  struct shmem_shared *closing = shm;
  shm = NULL; /* the handler leaves it alone from here on */
  return shmem_shared_close(closing, NULL) ? 1 : 0;
}
