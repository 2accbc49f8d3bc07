/* What the two processes have agreed upon: a name, a size, and what lies where. */
#ifndef SHM_DEMO_H
#define SHM_DEMO_H

#include <villas/shmem.h>

#define DEMO_NAME "/shm-demo"
#define DEMO_SIZE 1024

/* The segment is zeroed when it appears, and zeroed events are events without signals. */
struct demo {
  struct shmem_event question_asked; /* A signals, B waits */
  struct shmem_event answer_given;   /* B signals, A waits */
  char question[240];
  char answer[240];
};

_Static_assert(sizeof(struct demo) <= DEMO_SIZE, "it fits into the segment");

#endif
