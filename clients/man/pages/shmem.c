#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <villas/shmem.h>

static const struct timespec limit = {.tv_sec = 5};

static void fail(const char *what)
{
  fprintf(stderr, "cannot %s: %s\n", what, shmem_last_error());
  exit(EXIT_FAILURE);
}

/* The program's side: doubles one value in place, and sends it back. */
static void double_one(void)
{
  struct shmem_shared *shm;
  struct sample *smp;

  shm = shmem_shared_timed_open("manual", NULL, &limit);
  if (!shm)
    fail("open");
  if (shmem_shared_timed_read(shm, &smp, 1, &limit) != 1)
    fail("read");
  smp->data[0].f *= 2;
  if (shmem_shared_write(shm, &smp, 1) != 1)
    fail("write");
  shmem_shared_close(shm, NULL);
}

int main(void)
{
  pid_t child = fork();
  if (child < 0) {
    perror("fork");
    return EXIT_FAILURE;
  }
  if (child == 0) {
    double_one();
    return EXIT_SUCCESS;
  }

  /* The node's side: creates the region, sends, and receives. */
  struct shmem_shared *shm = shmem_shared_create("manual", NULL);
  struct sample *smp;

  if (!shm)
    fail("create");
  if (sample_alloc(&shm->pool, &smp, 1) != 1)
    fail("allocate");
  smp->length = 1;
  smp->data[0].f = 115.25;
  if (shmem_shared_write(shm, &smp, 1) != 1)
    fail("write");
  if (shmem_shared_timed_read(shm, &smp, 1, &limit) != 1)
    fail("read");
  printf("%g V\n", smp->data[0].f);
  sample_put(smp);
  shmem_shared_close(shm, NULL);
  shmem_shared_unlink("manual");
  waitpid(child, NULL, 0);
  return EXIT_SUCCESS;
}
