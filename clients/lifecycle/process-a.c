/* Process A: creates the segment, asks, waits for the answer, and removes the segment.
 *
 *     cc -std=c11 process-a.c -lvillas_shm -o process-a
 *     ./process-a [NAME]
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm-demo.h"

static int failed(const char *name)
{
  fprintf(stderr, "A: %s\n", shmem_last_error());
  shmem_segment_unlink(name);
  return 1;
}

int main(int argc, char *argv[])
{
  const char *name = argc > 1 ? argv[1] : DEMO_NAME;
  const struct timespec patience = {.tv_sec = 10};
  uint64_t answers = 0; /* that A has seen */

  /* shm_open, ftruncate and mmap in one step: the segment has its size and its memory before B can find its name.
   * 0600 is S_IRUSR | S_IWUSR. */
  struct shmem_segment *segment = shmem_segment_open(
    name, DEMO_SIZE, SHMEM_SEGMENT_CREATE | SHMEM_SEGMENT_EXCLUSIVE, 0600);
  if (!segment)
    return fprintf(stderr, "A: %s\n", shmem_last_error()), 1;
  struct demo *demo = shmem_segment_data(segment);
  printf("A: created %s of %zu bytes\n", name, shmem_segment_size(segment));
  fflush(stdout); /* B may be started now */

  /* What is written before the signal is there for who has seen the signal. */
  strcpy(demo->question, "is the mind meld active?");
  if (shmem_event_signal(&demo->question_asked) != 0)
    return failed(name);
  printf("A: asked \"%s\"\n", demo->question);

  int news = shmem_event_timed_wait(&demo->answer_given, &answers, &patience);
  if (news < 0)
    return failed(name);
  if (news == 0) {
    fprintf(stderr, "A: no answer: %s\n", shmem_strerror(errno));
    shmem_segment_unlink(name);
    return 1;
  }
  printf("A: got \"%s\"\n", demo->answer);

  /* munmap and close; one of the two removes the name, with or without the slash. */
  if (shmem_segment_close(segment) != 0 || shmem_segment_unlink(name) != 0)
    return failed(name);
  printf("A: removed %s\n", name);
  return 0;
}
