/* ENOSPC: a /dev/shm that is too small is known when a region is created, never by SIGBUS. */
#include "check.h"

#include <sched.h>
#include <sys/mount.h>

struct outcome {
  _Atomic bool mounted;
  char why[100];
};

/* A /dev/shm of our own, in a mount namespace of our own. */
static bool mount_small(struct outcome *outcome)
{
  if (unshare(CLONE_NEWNS) != 0) {
    snprintf(outcome->why, sizeof outcome->why, "unshare: %s", strerror(errno));
    return false;
  }
  if (mount("none", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
      mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=256k,mode=1777") != 0) {
    snprintf(outcome->why, sizeof outcome->why, "mount: %s", strerror(errno));
    return false;
  }
  outcome->mounted = true;
  return true;
}

static void create_where_there_is_no_room(void *arg)
{
  struct shmem_conf large = check_conf(0, 512, 64, 64), small = check_conf(0, 8, 8, 8);
  const char *name = "villas-check-small";

  if (!mount_small(arg))
    return;
  CHECK_REFUSED(shmem_shared_create(name, &large), ENOSPC);
  CHECK_EQ(access(check_path(name), F_OK), -1);
  /* Nothing of the attempt is left: the room is there for a region that fits. */
  struct pair pair = {.name = name};
  CHECK_HANDLE(pair.node = shmem_shared_create(name, &small));
  CHECK_REFUSED(shmem_shared_create("villas-check-second", &large), ENOSPC);

  /* Nor does an endpoint leave a ring, if there is room for one of its two. */
  CHECK_REFUSED(shmem_endpoint_open("villas-check-rings", SHMEM_SPSC, SHMEM_SIDE_A, 1024, 150), ENOSPC);
  CHECK_EQ(access(check_path("villas-check-rings_AB"), F_OK), -1);
  /* What dead processes have left makes room for the next, where there is none for both. */
  struct shmem_conf most = check_conf(0, 64, 64, 32);
  struct shmem_shared *first, *second;
  CHECK_HANDLE(first = shmem_shared_create("villas-check-most", &most));
  CHECK_REFUSED(shmem_shared_create("villas-check-second", &most), ENOSPC);
  CHECK_EQ(shmem_shared_close(first, NULL), 0);
  CHECK_HANDLE(second = shmem_shared_create("villas-check-most", &most));
  CHECK_EQ(shmem_shared_close(second, NULL), 0);
  CHECK_EQ(shmem_shared_unlink("villas-check-most"), 0);

  /* All other room is taken: what was created is paid for, to the last block. */
  int fd = open("/dev/shm/filler", O_RDWR | O_CREAT, 0600);
  CHECK(fd >= 0);
  static char page[4096];
  while (write(fd, page, sizeof page) > 0)
    ;
  CHECK_EQ(errno, ENOSPC);
  CHECK_HANDLE(pair.program = shmem_shared_open(name, &pair.base));
  CHECK_EQ(check_count_free(pair.node), 16);
  CHECK_EQ(check_count_free(pair.program), 16);
  for (uint64_t number = 1; number <= 100; number++) {
    check_send(pair.node, number, number);
    check_send(pair.program, number, number);
    check_receive(pair.program, number, number);
    check_receive(pair.node, number, number);
  }
  check_close_pair(&pair);
}

int main(void)
{
  check_begin();
  if (geteuid() != 0)
    check_skip("a small /dev/shm must be mounted: run it as root");
  check_test = "a_full_dev_shm_is_told_at_creation";

  struct outcome *outcome = check_shared(sizeof *outcome);
  pid_t pid = check_spawn(create_where_there_is_no_room, outcome);
  CHECK_CHILD_ENDS_WELL(pid, 20);
  if (!outcome->mounted)
    check_skip(outcome->why);
  return 0;
}
