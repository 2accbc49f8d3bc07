/* The yardstick of the benchmark: what its Python processes do, in C. peer.c WHAT SIDE REGION */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <villas/shmem.h>

enum { VALUES = 8, BATCH = 64, CHUNK = 8, MOST = 1 << 20 };

static struct shmem_shared *shm;
static double rows[BATCH][VALUES];
static uint64_t sequence[BATCH];
static struct timespec origin[BATCH];

static double times[MOST]; /* of a chunk each */

static int order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Private arrays into samples, and back: values, sequence and time, as Python's batches have. */
static int send(void) {
  struct sample *smps[BATCH];
  for (int done = 0; done < BATCH;) {
    int got = shmem_shared_timed_alloc(shm, smps, (unsigned)(BATCH - done), NULL);
    if (got <= 0)
      return -1;
    for (int i = 0; i < got; i++) {
      memcpy(smps[i]->data, rows[done + i], sizeof rows[0]);
      smps[i]->length = VALUES;
      smps[i]->sequence = sequence[done + i];
      smps[i]->ts.origin = origin[done + i];
      smps[i]->flags = SAMPLE_HAS_DATA | SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_TS_ORIGIN;
    }
    if (shmem_shared_timed_write(shm, smps, (unsigned)got, NULL) != got)
      return -1;
    done += got;
  }
  return 0;
}

static int receive(void) {
  struct sample *smps[BATCH];
  int got = shmem_shared_timed_read(shm, smps, BATCH, NULL);
  for (int i = 0; i < got; i++) {
    memcpy(rows[i], smps[i]->data, smps[i]->length * sizeof rows[0][0]);
    sequence[i] = smps[i]->sequence;
    origin[i] = smps[i]->ts.origin;
  }
  if (got > 0)
    sample_put_many(smps, (unsigned)got);
  return got;
}

static int pass(void) { /* one sample, by polling: read it, write it back */
  struct sample *smp;
  int got;
  while ((got = shmem_shared_read(shm, &smp, 1)) == 0)
    ;
  return got == 1 && shmem_shared_write(shm, &smp, 1) == 1 ? 0 : -1;
}

int main(int argc, char **argv) {
  if (argc != 4)
    return 2;
  int is_stream = !strcmp(argv[1], "stream"), is_driver = !strcmp(argv[2], "driver");
  struct shmem_conf conf = SHMEM_CONF_INIT;
  conf.samplelen = VALUES;
  conf.polling = !is_stream;
  shm = is_driver ? shmem_shared_timed_open(argv[3], NULL, NULL) : shmem_shared_create(argv[3], &conf);
  if (!shm)
    return fprintf(stderr, "%s\n", shmem_last_error()), 1;
  struct sample *smp;
  if (is_driver && !is_stream) { /* the one sample that goes round */
    if (shmem_shared_timed_alloc(shm, &smp, 1, NULL) != 1)
      return 1;
    smp->length = VALUES;
    memset(smp->data, 0, sizeof rows[0]);
    if (shmem_shared_write(shm, &smp, 1) != 1)
      return 1;
  }
  puts("ready");
  fflush(stdout);
  if (!is_driver)
    while (is_stream ? receive() >= 0 : pass() == 0)
      ;
  for (double seconds; is_driver && scanf("%lf", &seconds) == 1;) {
    double begin = now(), before = begin, at = begin;
    size_t chunks = 0;
    for (; at < begin + seconds && chunks < MOST; before = at) {
      for (int i = 0; i < CHUNK; i++)
        if (is_stream ? send() : pass())
          return 1;
      at = now();
      times[chunks++] = at - before;
    }
    qsort(times, chunks, sizeof times[0], order);
    printf("%.17g\n", is_stream ? (double)chunks * CHUNK / (at - begin) : CHUNK / times[chunks / 2]);
    fflush(stdout);
  }
  return 0;
}
