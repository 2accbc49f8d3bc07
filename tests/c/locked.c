/* SHMEM_LOCK=1 keeps regions and rings in RAM, or says why it cannot. */
#include "check.h"

#include <sys/resource.h>

enum { USER = 65534 };

/* What of this process is kept in RAM, in bytes. */
static size_t locked(void)
{
  char line[128];
  size_t kib = 0;
  bool found = false;
  FILE *file = fopen("/proc/self/status", "r");

  CHECK(file);
  while (!found && fgets(line, sizeof line, file))
    found = sscanf(line, "VmLck: %zu kB", &kib) == 1;
  CHECK(found);
  CHECK_EQ(fclose(file), 0);
  return kib * 1024;
}

static size_t region_size(struct shmem_shared *shm)
{
  struct shmem_stats stats = {.size = sizeof stats};

  CHECK_EQ(shmem_shared_stats(shm, &stats), 0);
  return stats.region_size;
}

static void nothing_is_locked_unasked(void)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct pair pair = check_open_pair("unlocked", &conf);

  CHECK_EQ(locked(), 0);
  check_close_pair(&pair);
}

static void a_region_stays_in_memory(void)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_ring *ring;
  const char *name = check_name("ring");
  struct rlimit limit;

  CHECK_EQ(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
  if (geteuid() != 0 && limit.rlim_cur < 4 << 20)
    check_skip("this user may lock less than 4 MiB");
  CHECK_EQ(setenv("SHMEM_LOCK", "1", 1), 0);
  struct pair pair = check_open_pair("locked", &conf);
  /* Both sides map it here, each with what it keeps for itself. */
  CHECK(locked() > 2 * region_size(pair.node));
  check_send(pair.node, 1, 1);
  check_receive(pair.program, 1, 1);
  check_close_pair(&pair);
  CHECK_EQ(locked(), 0);
  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 96, 1000));
  CHECK(locked() >= 96 * 1000);
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_EQ(shmem_ring_unlink(name), 0);
  CHECK_EQ(locked(), 0);
  CHECK_EQ(unsetenv("SHMEM_LOCK"), 0);
}

static void lock_beyond_the_limit(void *arg)
{
  struct rlimit limit = {4096, 4096};
  struct shmem_conf conf = SHMEM_CONF_INIT;

  CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  if (geteuid() == 0)
    CHECK_EQ(setuid(USER), 0); /* root may lock all */
  CHECK_EQ(setenv("SHMEM_LOCK", "1", 1), 0);
  errno = 0;
  CHECK(!shmem_shared_create(arg, &conf));
  CHECK_EQ(errno, ENOMEM);
  CHECK(strstr(shmem_last_error(), "ulimit -l") && strstr(shmem_last_error(), "4096"));
  CHECK_EQ(unsetenv("SHMEM_LOCK"), 0);
  struct shmem_shared *shm;
  CHECK_HANDLE(shm = shmem_shared_create(arg, &conf)); /* nothing was left */
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(arg), 0);
}

static void a_limit_that_is_too_low_is_named(void)
{
  CHECK_CHILD_ENDS_WELL(check_spawn(lock_beyond_the_limit, (void *)check_name("limit")), 20);
}

int main(void)
{
  check_begin();
  RUN(nothing_is_locked_unasked);
  RUN(a_region_stays_in_memory);
  RUN(a_limit_that_is_too_low_is_named);
  return 0;
}
