/* At VILLASnode's layout a program that only writes learns that its reader has died, or closed, although the pool is as large as the queue:
 * it finds no block before it finds the queue full. */
#include "check.h"

struct scene {
  const char *mine, *theirs;
  bool closes;
  _Atomic bool open, writer_open;
};

static const struct shmem_conf CONF = {.queuelen = 4, .samplelen = 1};

static void reader(void *arg)
{
  struct scene *scene = arg;
  struct shmem_int shm;

  CHECK_EQ(shmem_int_timed_open(scene->theirs, scene->mine, &shm, &CONF, PATIENT), 0);
  scene->open = true;
  if (scene->closes) {
    /* It can be open, and gone again, before the writer has looked for it: the writer then waits for the next. */
    WAIT_UNTIL(scene->writer_open, 10);
    CHECK_EQ(shmem_int_close(&shm), 0);
    return;
  }
  for (;;)
    pause();
}

/* Allocates one sample and writes it, as VILLASnode's client does; the result that it ends with. */
static int step(struct shmem_int *shm)
{
  struct sample *smp;
  int got = shmem_int_alloc(shm, &smp, 1);

  return got == 1 ? shmem_int_write(shm, &smp, 1) : got;
}

static void reader_ends(bool closes)
{
  struct scene *scene = check_shared(sizeof *scene);
  struct shmem_int shm;

  *scene = (struct scene){check_name("a"), check_name("b"), closes, false, false};
  pid_t pid = check_spawn(reader, scene);
  CHECK_EQ(shmem_int_timed_open(scene->mine, scene->theirs, &shm, &CONF, PATIENT), 0);
  scene->writer_open = true;
  WAIT_UNTIL(scene->open, 10);
  if (closes) {
    CHECK_CHILD_ENDS_WELL(pid, 10);
  } else {
    for (int i = 0; i < 4; i++)
      CHECK_EQ(step(&shm), 1);
    CHECK_GIVES(step(&shm), 0, EAGAIN);
    check_kill(pid);
  }
  WAIT_UNTIL(step(&shm) == -1, 10);
  CHECK_GIVES(step(&shm), -1, EPIPE);
  CHECK_EQ(shmem_int_close(&shm), 0);
}

static void the_reader_is_killed(void)
{
  reader_ends(false);
}

static void the_reader_closes(void)
{
  reader_ends(true);
}

int main(void)
{
  check_begin();
  RUN(the_reader_is_killed);
  RUN(the_reader_closes);
  return 0;
}
