/* Two processes exchange samples: the node sends, the program doubles and sends back, the node checks. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <villas/shmem.h>

enum { SAMPLES = 1000, VALUES = 4 };

static const struct timespec patience = {.tv_sec = 10};

static int failed(const char *what)
{
  fprintf(stderr, "%s: %s\n", what, shmem_last_error());
  return 1;
}

static int program(const char *name)
{
  struct shmem_shared *shm = shmem_shared_timed_open(name, NULL, &patience);
  struct sample *smp;
  int n;

  if (!shm)
    return failed("open");
  while ((n = shmem_shared_read(shm, &smp, 1)) >= 0) { /* -1: the node has closed */
    if (n == 0)
      continue;
    for (unsigned int i = 0; i < smp->length; i++)
      smp->data[i].f *= 2;
    if (shmem_shared_timed_write(shm, &smp, 1, &patience) != 1)
      return failed("the program's write");
  }
  return shmem_shared_close(shm, NULL);
}

static int exchange(struct shmem_shared *shm, unsigned int number)
{
  struct sample *smp;

  if (sample_alloc(&shm->pool, &smp, 1) != 1)
    return failed("alloc");
  smp->sequence = number;
  smp->flags = SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_DATA;
  smp->length = VALUES;
  for (unsigned int i = 0; i < VALUES; i++)
    smp->data[i].f = number + i / 8.0;
  if (shmem_shared_write(shm, &smp, 1) != 1)
    return failed("the node's write");
  if (shmem_shared_timed_read(shm, &smp, 1, &patience) != 1)
    return failed("the node's read");
  if (smp->sequence != number || smp->length != VALUES) {
    fprintf(stderr, "sample %u came back as %llu, with %u values\n", number, (unsigned long long)smp->sequence, smp->length);
    return 1;
  }
  for (unsigned int i = 0; i < VALUES; i++) {
    if (smp->data[i].f != 2 * (number + i / 8.0)) {
      fprintf(stderr, "value %u of sample %u came back as %g\n", i, number, smp->data[i].f);
      return 1;
    }
  }
  return sample_put(smp);
}

int main(void)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_shared *shm;
  char name[64];
  int status = 0, ended;
  pid_t child;

  snprintf(name, sizeof(name), "villas-exchange-%ld", (long)getpid());
  child = fork();
  if (child == 0)
    return program(name);
  conf.samplelen = VALUES;
  shm = shmem_shared_create(name, &conf);
  if (!shm)
    return failed("create");
  for (unsigned int number = 0; number < SAMPLES && status == 0; number++)
    status = exchange(shm, number);
  shmem_shared_close(shm, NULL);
  if (waitpid(child, &ended, 0) != child || ended != 0)
    status = 1;
  shmem_shared_unlink(name);
  if (status == 0)
    printf("%d samples went to the other process and came back doubled\n", SAMPLES);
  return status;
}
