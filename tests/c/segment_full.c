/* A lack of memory is told at creation, never by SIGBUS: a full /dev/shm, and the limits of System V, in namespaces of
 * the test's own. */
#include "check_segment.h"

#include <sys/mount.h>

struct outcome {
  _Atomic bool ready;
  char why[100];
};

static bool lacks(struct outcome *outcome, const char *what)
{
  snprintf(outcome->why, sizeof outcome->why, "%s: %s", what, strerror(errno));
  return false;
}

static bool mount_small(struct outcome *outcome)
{
  if (unshare(CLONE_NEWNS) != 0)
    return lacks(outcome, "unshare");
  if (mount("none", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
      mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=256k,mode=1777") != 0)
    return lacks(outcome, "mount");
  return outcome->ready = true;
}

static void fill_dev_shm(void *arg)
{
  const char *name = "villas-check-full";
  struct shmem_segment *segment;

  if (!mount_small(arg))
    return;
  CHECK_REFUSED(shmem_segment_open(name, 300000, NEW, 0600), ENOSPC);
  CHECK_SAYS("300000");
  CHECK_EQ(access(check_path(name), F_OK), -1);
  /* Nothing of the attempt is left, and what is created is paid for to the last byte. */
  CHECK_HANDLE(segment = shmem_segment_open(name, 100000, NEW, 0600));
  int fd = open("/dev/shm/filler", O_RDWR | O_CREAT, 0600);
  CHECK(fd >= 0);
  static char page[4096];
  while (write(fd, page, sizeof page) > 0)
    ;
  CHECK_EQ(errno, ENOSPC);
  memset(shmem_segment_data(segment), 1, shmem_segment_size(segment));
  check_close(segment);
}

static bool limit(struct outcome *outcome, const char *path, const char *value)
{
  int fd = open(path, O_WRONLY);
  if (fd < 0 || write(fd, value, strlen(value)) < 0)
    return lacks(outcome, path);
  close(fd);
  return true;
}

static void exceed_the_limits(void *arg)
{
  struct outcome *outcome = arg;
  struct shmem_segment *segment;

  if (unshare(CLONE_NEWIPC) != 0) {
    lacks(outcome, "unshare");
    return;
  }
  if (!limit(outcome, "/proc/sys/kernel/shmmax", "1000000") || !limit(outcome, "/proc/sys/kernel/shmall", "100") ||
      !limit(outcome, "/proc/sys/kernel/shmmni", "2"))
    return;
  outcome->ready = true;
  int key = check_key();
  CHECK_REFUSED(shmem_segment_sysv(key, 1000001, NEW, 0600), EINVAL);
  CHECK_SAYS("shmmax");
  CHECK_REFUSED(shmem_segment_sysv(key, 500000, NEW, 0600), ENOSPC); /* 123 pages */
  CHECK_SAYS("shmall");
  CHECK_EQ(shmget(key, 0, 0), -1);
  segment = check_sysv(key, 4096, NEW, 0600);
  check_sysv(IPC_PRIVATE, 4096, CREATE, 0600);
  CHECK_REFUSED(shmem_segment_sysv(IPC_PRIVATE, 4096, CREATE, 0600), ENOSPC);
  memset(shmem_segment_data(segment), 1, 4096);
  check_close(segment);
}

static void run_in_a_namespace(void (*body)(void *))
{
  struct outcome *outcome = check_shared(sizeof *outcome);

  CHECK_CHILD_ENDS_WELL(check_spawn(body, outcome), 20);
  if (!outcome->ready)
    check_skip(outcome->why);
}

static void a_full_dev_shm_is_told_at_creation(void)
{
  run_in_a_namespace(fill_dev_shm);
}

static void the_limits_of_system_v_are_told_at_creation(void)
{
  run_in_a_namespace(exceed_the_limits);
}

int main(void)
{
  check_begin();
  if (geteuid() != 0)
    check_skip("namespaces are needed: run it as root");
  RUN(a_full_dev_shm_is_told_at_creation);
  RUN(the_limits_of_system_v_are_told_at_creation);
  return 0;
}
