/* shmem_int_close in a signal handler, while it waits for a peer that is alive and has not opened this side's region: it does not touch the
 * heap, which the handler may have interrupted. */
#include "check.h"

#include <malloc.h>

struct scene {
  const char *mine, *theirs;
  _Atomic bool opened, ready;
};

static const struct shmem_conf CONF = {.queuelen = 4, .samplelen = 1};
static atomic_bool in_handler;
static struct shmem_int channel;
static atomic_int closed = 1;

extern void *__libc_malloc(size_t);
extern void __libc_free(void *);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static void not_in_handler(void)
{
  static const char text[] = "a signal handler uses the heap\n";
  ssize_t ignored UNUSED;

  if (atomic_load(&in_handler)) {
    ignored = write(STDERR_FILENO, text, sizeof text - 1);
    abort();
  }
}

void *malloc(size_t size)
{
  not_in_handler();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
  not_in_handler();
  return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
  not_in_handler();
  return __libc_realloc(old, size);
}

void free(void *memory)
{
  not_in_handler();
  __libc_free(memory);
}

/* Alive, but with nothing of the other's open. */
static void peer(void *arg)
{
  struct scene *scene = arg;
  struct shmem_int shm;
  struct stat theirs, found;

  CHECK_EQ(shmem_int_timed_open(scene->theirs, scene->mine, &shm, &CONF, PATIENT), 0);
  /* The other's handshake looks for who has its region open. */
  WAIT_UNTIL(scene->opened, 60);
  CHECK_EQ(stat(check_path(scene->mine), &theirs), 0);
  CHECK_EQ(munmap(shm.read.base, shm.read.len), 0);
  for (int fd = 3; fd < 64; fd++)
    if (fstat(fd, &found) == 0 && found.st_ino == theirs.st_ino && found.st_dev == theirs.st_dev)
      CHECK_EQ(close(fd), 0);
  scene->ready = true;
  for (;;)
    pause();
}

static void on_signal(int number)
{
  (void)number;
  in_handler = true;
  closed = shmem_int_close(&channel);
  in_handler = false;
}

static void close_in_a_handler_does_not_use_the_heap(void)
{
  struct scene *scene = check_shared(sizeof *scene);

  *scene = (struct scene){check_name("a"), check_name("b"), false, false};
  pid_t pid = check_spawn(peer, scene);
  CHECK_EQ(shmem_int_timed_open(scene->mine, scene->theirs, &channel, &CONF, PATIENT), 0);
  double opened = check_clock();
  scene->opened = true;
  WAIT_UNTIL(scene->ready, 10);
  /* Only then does the library look whether the peer's pid is another process's by now. */
  WAIT_UNTIL(check_clock() > opened + 1, 10);
  signal(SIGUSR1, on_signal);
  raise(SIGUSR1);
  CHECK_EQ(closed, 0);
  check_kill(pid);
}

int main(void)
{
  check_begin();
  RUN(close_in_a_handler_does_not_use_the_heap);
  return 0;
}
