/* Prints the measurements that a producer gives to the ring, a line for each, read where they lie.
 *
 * usage: consumer NAME COUNT
 *
 * Built by: cc consumer.c -lvillas_shm. Goes with any producer in this directory, whichever begins first. */
#include "measurement.h"

#include <stdio.h>
#include <stdlib.h>
#include <villas/shmem.h>

int main(int argc, char **argv)
{
  if (argc != 3)
    return fprintf(stderr, "usage: %s NAME COUNT\n", argv[0]), 2;
  uint64_t count = strtoull(argv[2], NULL, 10);

  struct shmem_ring *ring =
      shmem_ring_open(argv[1], SHMEM_MPMC, SHMEM_CONSUMER, sizeof(struct measurement), MEASUREMENTS_IN_RING);
  if (!ring)
    return fprintf(stderr, "%s: %s\n", argv[0], shmem_last_error()), 1;
  for (uint64_t i = 0; i < count; i++) {
    const struct measurement *m = shmem_ring_timed_peek(ring, NULL);
    if (!m) {
      perror("shmem_ring_timed_peek");
      return 1;
    }
    printf("%llu %.4f %.6f %.6f %.6f\n", (unsigned long long)m->number, m->time, m->volts[0], m->volts[1], m->volts[2]);
    shmem_ring_release(ring, m);
  }
  return shmem_ring_close(ring) ? 1 : 0;
}
