/* glibc's broadcast waits without limit for waiters that hold a reference to the group before: those of a stopped or killed reader with
 * several threads do. The library's write does not wait for them. */
#include "check.h"

/* Where VILLASnode's layout has its condition variable, and glibc's words in it. */
enum { CONDITION = 392, GROUP_REFERENCES = 16, WAITING = 36 };

struct scene {
  const char *mine, *theirs;
  _Atomic bool ready;
};

static const struct shmem_conf CONF = {.queuelen = 64, .samplelen = 1};

/* Leaves the condition of the region that it reads as a killed process does: one thread woken that did not run any more, and one
 * that has begun to wait since. */
static void reader(void *arg)
{
  struct scene *scene = arg;
  struct shmem_int shm;

  CHECK_EQ(shmem_int_timed_open(scene->theirs, scene->mine, &shm, &CONF, PATIENT), 0);
  char *condition = (char *)shm.read.base + CONDITION;
  uint64_t waiters = atomic_fetch_add((_Atomic uint64_t *)condition, 2);
  unsigned int group = waiters & 1;
  atomic_fetch_add((_Atomic uint32_t *)(condition + WAITING), 16);
  atomic_fetch_add((_Atomic uint32_t *)(condition + GROUP_REFERENCES + 4 * (group ^ 1)), 2);
  scene->ready = true;
  for (;;)
    pause();
}

static void a_write_does_not_wait_for_a_reader_that_is_not_running(void)
{
  struct scene *scene = check_shared(sizeof *scene);
  struct shmem_int shm;
  struct sample *smp;

  *scene = (struct scene){check_name("a"), check_name("b"), false};
  pid_t pid = check_spawn(reader, scene);
  CHECK_EQ(shmem_int_timed_open(scene->mine, scene->theirs, &shm, &CONF, PATIENT), 0);
  WAIT_UNTIL(scene->ready, 10);
  CHECK_EQ(shmem_int_alloc(&shm, &smp, 1), 1);
  CHECK_EQ(shmem_int_write(&shm, &smp, 1), 1);
  check_kill(pid);
  WAIT_UNTIL(shmem_int_peer_alive(&shm) == 0, 10);
  CHECK_EQ(shmem_int_alloc(&shm, &smp, 1), 1);
  CHECK_GIVES(shmem_int_write(&shm, &smp, 1), -1, EPIPE);
  CHECK_EQ(sample_put(smp), 0);
  CHECK_EQ(shmem_int_close(&shm), 0);
}

int main(void)
{
  check_begin();
  RUN(a_write_does_not_wait_for_a_reader_that_is_not_running);
  return 0;
}
