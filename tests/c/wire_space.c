/* A region of VILLASnode's layout that another program made is paid for only when it is one, and only when there is room; one
 * that is just to be replaced needs none. */
#include "check.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

static const struct shmem_conf CONF = {.queuelen = 4, .samplelen = 1}, LARGE = {.queuelen = 1024, .samplelen = 64};
static const char *const MINE = "villas-check-mine", *const THEIRS = "villas-check-theirs";

struct outcome {
  _Atomic bool mounted;
  char why[100];
};

static bool mount_small(struct outcome *outcome)
{
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
      mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1m,mode=1777") != 0) {
    snprintf(outcome->why, sizeof outcome->why, "no /dev/shm of its own: %s", strerror(errno));
    return false;
  }
  outcome->mounted = true;
  return true;
}

static unsigned long long room(void)
{
  struct statvfs facts;

  CHECK_EQ(statvfs("/dev/shm", &facts), 0);
  return (unsigned long long)facts.f_bavail * facts.f_frsize;
}

/* An object of this size, with a copy of the first page of another. */
static void make_sparse(const char *name, off_t size, const char *first_page)
{
  int fd = open(check_path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

  CHECK(fd >= 0);
  CHECK_EQ(ftruncate(fd, size), 0);
  if (first_page)
    CHECK_EQ(pwrite(fd, first_page, 4096, 0), 4096);
  CHECK_EQ(close(fd), 0);
}

static void sparse_objects(void *outcome)
{
  static char page[4096];
  struct shmem_int shm;

  if (!mount_small(outcome))
    return;
  /* Valgrind has no room for a mapping of a terabyte. */
  make_sparse(THEIRS, (off_t)1 << (check_valgrind() ? 32 : 40), NULL);
  unsigned long long before = room();
  CHECK_GIVES(shmem_int_timed_open(MINE, THEIRS, &shm, &CONF, MS(50)), -1, ETIMEDOUT);
  CHECK(room() + 65536 > before);

  /* A plausible one, for which there is no room. */
  CHECK_EQ(shmem_int_open(MINE, MINE, &shm, &LARGE), 0);
  memcpy(page, shm.write.base, sizeof page);
  off_t size = (off_t)shm.write.len - 128; /* without the library's trailer, as VILLASnode makes it */
  CHECK_EQ(shmem_int_close(&shm), 0);
  make_sparse(THEIRS, size, page);
  CHECK_EQ(shmem_int_open(MINE, MINE, &shm, &CONF), 0);
  make_sparse("filler", 0, NULL);
  int fd = open(check_path("filler"), O_RDWR);
  CHECK_EQ(posix_fallocate(fd, 0, (off_t)room() - 65536), 0);
  CHECK_EQ(shmem_int_close(&shm), 0);
  before = room();
  CHECK_GIVES(shmem_int_timed_open(MINE, THEIRS, &shm, &CONF, MS(50)), -1, ENOSPC);
  CHECK(room() + 65536 > before);

  /* The same under this side's own name is what VILLASnode left: replaced. */
  CHECK_EQ(shmem_int_open(THEIRS, THEIRS, &shm, &CONF), 0);
  CHECK_EQ(shmem_int_close(&shm), 0);
}

int main(void)
{
  check_begin();
  if (geteuid() != 0)
    check_skip("a small /dev/shm must be mounted: run it as root");
  check_test = "sparse_objects";

  struct outcome *outcome = check_shared(sizeof *outcome);
  CHECK_CHILD_ENDS_WELL(check_spawn(sparse_objects, outcome), 20);
  if (!outcome->mounted)
    check_skip(outcome->why);
  return 0;
}
