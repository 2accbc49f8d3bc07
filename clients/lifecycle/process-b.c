/* Process B: opens the segment that A has created, and answers.
 *
 *     cc -std=c11 process-b.c -lvillas_shm -o process-b
 *     ./process-b [NAME]
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm-demo.h"

int main(int argc, char *argv[])
{
  const char *name = argc > 1 ? argv[1] : DEMO_NAME;
  const struct timespec patience = {.tv_sec = 10};
  uint64_t questions = 0; /* that B has seen: none, so it gets also one that was asked before B came */

  /* A has sized the segment. B says how many bytes it needs, and gets no smaller one. */
  struct shmem_segment *segment = shmem_segment_open(name, DEMO_SIZE, 0, 0);
  if (!segment)
    return fprintf(stderr, "B: %s\n", shmem_last_error()), 1;
  struct demo *demo = shmem_segment_data(segment);
  printf("B: opened %s of %zu bytes\n", name, shmem_segment_size(segment));

  if (shmem_event_timed_wait(&demo->question_asked, &questions, &patience) <= 0)
    return fprintf(stderr, "B: no question: %s\n", shmem_strerror(errno)), 1;
  printf("B: was asked \"%s\"\n", demo->question);
  strcpy(demo->answer, "it is");
  if (shmem_event_signal(&demo->answer_given) != 0 || shmem_segment_close(segment) != 0)
    return fprintf(stderr, "B: %s\n", shmem_last_error()), 1;
  printf("B: answered, and detached the segment\n");
  return 0;
}
