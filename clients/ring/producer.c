/* Gives measurements of a three-phase voltage to whoever consumes the ring.
 *
 * usage: producer NAME COUNT
 *
 * Built by: cc producer.c -lvillas_shm -lm. Goes with any consumer in this directory, whichever begins first. */
#include "measurement.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <villas/shmem.h>

static struct measurement measure(uint64_t number)
{
  const double pi = 3.141592653589793, time = (double)number * 1e-4;
  struct measurement m = {.number = number, .time = time};

  for (int phase = 0; phase < 3; phase++)
    m.volts[phase] = 325.0 * sin(2 * pi * (50 * time - phase / 3.0));
  return m;
}

int main(int argc, char **argv)
{
  if (argc != 3)
    return fprintf(stderr, "usage: %s NAME COUNT\n", argv[0]), 2;
  uint64_t count = strtoull(argv[2], NULL, 10);

  struct shmem_ring *ring =
      shmem_ring_open(argv[1], SHMEM_MPMC, SHMEM_PRODUCER, sizeof(struct measurement), MEASUREMENTS_IN_RING);
  if (!ring)
    return fprintf(stderr, "%s: %s\n", argv[0], shmem_last_error()), 1;
  for (uint64_t number = 0; number < count; number++) {
    struct measurement m = measure(number);
    if (shmem_ring_push(ring, &m)) {
      perror("shmem_ring_push");
      return 1;
    }
  }
  return shmem_ring_close(ring) ? 1 : 0;
}
