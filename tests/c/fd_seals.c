/* What is no region of a sealed size is refused, whatever descriptor it is; and what a peer can do to one that is. */
#include "check_descriptor.h"

#include <grp.h>
#include <linux/falloc.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>

#ifndef MFD_HUGETLB
#define MFD_HUGETLB 4U
#endif

enum { NOBODY = 65534, PAGE = 4096 };

static void refused(int fd, int error, const char *why)
{
  void *base;

  if (fd < 0)
    check_fail(__FILE__, __LINE__, "no descriptor for the test of \"%s\"", why);
  CHECK_REFUSED(shmem_shared_open_fd(fd, &base), error);
  if (!strstr(shmem_last_error(), why))
    check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", shmem_last_error(), why);
  CHECK_REFUSED(shmem_shared_recreate_fd(fd, NULL), error);
  CHECK(fcntl(fd, F_GETFD) != -1); /* the caller's, also then */
  CHECK_EQ(close(fd), 0);
}

static void what_is_no_memory_file_is_refused(void)
{
  int pair[2], file;
  void *base;
  struct shmem_shared *shm;
  struct shmem_conf conf = SHMEM_CONF_INIT;
  const char *name = check_name("by-name"), *fifo = check_name("fifo");

  CHECK_REFUSED(shmem_shared_open_fd(-1, &base), EBADF);
  CHECK_REFUSED(shmem_shared_open_fd(1000000, &base), EBADF);
  CHECK_REFUSED(shmem_shared_open_fd(INT32_MIN, &base), EBADF);
  CHECK_REFUSED(shmem_shared_recreate_fd(-1, NULL), EBADF);
  CHECK_REFUSED(shmem_shared_create_fd(NULL, NULL), EINVAL);
  refused(open("/dev/null", O_RDWR), EBADMSG, "memory file");
  refused(open("/dev/zero", O_RDWR), EBADMSG, "memory file");
  refused(open("/tmp", O_RDWR | O_TMPFILE, 0600), EBADMSG, "mem");
  refused(open("/tmp", O_RDONLY | O_DIRECTORY), EACCES, "reading and writing");
  refused(open("/tmp", O_PATH), EACCES, "reading and writing");
  refused(eventfd(0, 0), EBADMSG, "memory file");
  refused(epoll_create1(0), EBADMSG, "memory file");
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  refused(pair[0], EBADMSG, "memory file");
  close(pair[1]);
  CHECK_EQ(pipe(pair), 0);
  refused(pair[0], EACCES, "reading and writing");
  refused(pair[1], EACCES, "reading and writing");
  CHECK_EQ(mkfifo(check_path(fifo), 0600), 0);
  refused(open(check_path(fifo), O_RDWR), EBADMSG, "memory file");
  /* A region with a name: whoever may write it may cut it short. */
  CHECK_HANDLE(shm = shmem_shared_create(name, &conf));
  refused(open(check_path(name), O_RDWR), EBADMSG, "not sealed");
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  file = (int)syscall(SYS_memfd_create, "huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
  if (file >= 0) {
    CHECK_EQ(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    refused(file, EBADMSG, "huge");
  }
}

static int memory_file(off_t size, int seals)
{
  int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  CHECK(fd >= 0);
  CHECK_EQ(fchmod(fd, 0600), 0);
  if (size)
    CHECK_EQ(posix_fallocate(fd, 0, size), 0);
  if (seals)
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
  return fd;
}

enum { ALL = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static void a_memory_file_without_all_seals_is_refused(void)
{
  const int seals[] = {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL};

  refused(memory_file(65536, 0), EBADMSG, "not sealed");
  for (int i = 0; i < 3; i++) {
    refused(memory_file(65536, seals[i]), EBADMSG, "not sealed");
    refused(memory_file(65536, ALL & ~seals[i]), EBADMSG, "not sealed");
  }
  refused(memory_file(65536, ALL | F_SEAL_WRITE), EBADMSG, "against writing");
  refused(memory_file(65536, ALL | F_SEAL_FUTURE_WRITE), EBADMSG, "against writing");
  refused(memfd_create("sealing is not allowed", MFD_CLOEXEC), EBADMSG, "not sealed");
}

static void a_sealed_memory_file_that_is_no_region_is_refused(void)
{
  int fd;

  refused(memory_file(0, ALL), EAGAIN, "not ready");
  refused(memory_file(1, ALL), EBADMSG, "not a region");
  refused(memory_file(PAGE - 1, ALL), EBADMSG, "cut short");
  refused(memory_file(65536, ALL), EBADMSG, "another program");
  fd = memory_file(65536, 0);
  CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096), 0);
  CHECK_EQ(fcntl(fd, F_ADD_SEALS, ALL), 0);
  refused(fd, EBADMSG, "no memory behind");
  for (int round = 0; round < 50; round++) {
    unsigned char bytes[PAGE];
    fd = memory_file(65536, ALL);
    for (size_t at = 0; at < PAGE; at++)
      bytes[at] = (unsigned char)check_chance(256);
    if (round % 2)
      memcpy(bytes, "VILLASHM\3\0\0\0", 12);
    CHECK_EQ(pwrite(fd, bytes, PAGE, 0), PAGE);
    refused(fd, EBADMSG, "");
  }
}

static void a_descriptor_that_is_not_for_both_is_refused(void)
{
  struct shmem_shared *node;
  char path[64];
  int fd;

  CHECK_HANDLE(node = shmem_shared_create_fd(NULL, &fd));
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  refused(open(path, O_RDONLY | O_CLOEXEC), EACCES, "reading and writing");
  refused(open(path, O_WRONLY | O_CLOEXEC), EACCES, "reading and writing");
  refused(open(path, O_PATH | O_CLOEXEC), EACCES, "reading and writing");
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

/* ---- a peer that has the descriptor ---------------------------------------------------------- */

static void attack_the_size(void *arg)
{
  struct shmem_shared *shm;
  struct stat file;
  void *base;
  int fd = check_take_fd(*(int *)arg);

  CHECK_HANDLE(shm = shmem_shared_open_fd(fd, &base));
  CHECK_EQ(fstat(fd, &file), 0);
  CHECK_GIVES(ftruncate(fd, 0), -1, EPERM);
  CHECK_GIVES(ftruncate(fd, file.st_size - 1), -1, EPERM);
  CHECK_GIVES(ftruncate(fd, file.st_size + 1), -1, EPERM);
  CHECK_GIVES(fallocate(fd, 0, file.st_size, PAGE), -1, EPERM);
  CHECK_GIVES(pwrite(fd, "x", 1, file.st_size + PAGE), -1, EPERM);
  CHECK_GIVES(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1, EPERM);
  CHECK_GIVES(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1, EPERM);
  check_receive(shm, 1, 3);
  /* What no seal forbids to who may write: all of it becomes zeros. */
  CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, file.st_size), 0);
  _exit(0);
}

static void a_peer_can_neither_cut_the_region_short_nor_make_it_deadly(void)
{
  for (int polling = 0; polling <= 1; polling++) {
    struct shmem_conf conf = check_conf(polling, 16, 8, 8);
    struct shmem_shared *node;
    struct sample *smps[4];
    int fd, ends[2];

    check_sockets(ends);
    CHECK_HANDLE(node = shmem_shared_create_fd(&conf, &fd));
    check_send(node, 1, 10);
    pid_t pid = check_spawn(attack_the_size, &ends[1]);
    check_give_fd(ends[0], fd);
    CHECK_CHILD_ENDS_WELL(pid, 10);
    /* The holes read as zeros: there is nobody, and the side is not ours any more. */
    CHECK_GIVES(shmem_shared_try_read(node, smps, 4), -1, ESTALE);
    CHECK_GIVES(shmem_shared_timed_read(node, smps, 4, MS(10)), -1, ESTALE);
    CHECK_GIVES(sample_alloc(&node->pool, smps, 4), -1, ESTALE);
    CHECK_GIVES(shmem_shared_wait(node, MS(10)), -1, ESTALE);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    void *base;
    CHECK_REFUSED(shmem_shared_open_fd(fd, &base), EBADMSG);
    CHECK_EQ(close(fd), 0);
    close(ends[0]);
    close(ends[1]);
  }
}

/* ---- users and groups ------------------------------------------------------------------------ */

struct attempt {
  int fd, expected;
  bool any_owner;
  gid_t group;
};

static void open_as_another(void *arg)
{
  const struct attempt *attempt = arg;
  struct shmem_shared *shm;
  void *base;

  CHECK_EQ(setgroups(0, NULL), 0);
  CHECK_EQ(setresgid(attempt->group, attempt->group, attempt->group), 0);
  CHECK_EQ(setresuid(NOBODY, NOBODY, NOBODY), 0);
  if (attempt->any_owner)
    CHECK_EQ(setenv("SHMEM_ANY_OWNER", "1", 1), 0);
  if (attempt->expected) {
    CHECK_REFUSED(shmem_shared_open_fd(attempt->fd, &base), attempt->expected);
    return;
  }
  CHECK_HANDLE(shm = shmem_shared_open_fd(attempt->fd, &base));
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

static void another_gets(int fd, gid_t group, bool any_owner, int expected)
{
  struct attempt attempt = {fd, expected, any_owner, group};

  CHECK_CHILD_ENDS_WELL(check_spawn(open_as_another, &attempt), 10);
}

static void the_mode_decides_also_for_who_has_the_descriptor(void)
{
  const struct { unsigned int mode; mode_t mask; unsigned int expected; } cases[] = {
    {0, 0, 0600}, {0600, 0, 0600}, {0666, 0, 0666}, {0666, 027, 0640}, {0777, 0, 0666}, {0660, 0, 0660},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct shmem_conf conf = SHMEM_CONF_INIT;
    struct shmem_shared *node;
    struct stat file;
    int fd;

    conf.permissions = cases[i].mode;
    mode_t before = umask(cases[i].mask);
    CHECK_HANDLE(node = shmem_shared_create_fd(&conf, &fd));
    umask(before);
    CHECK_EQ(fstat(fd, &file), 0);
    CHECK_EQ(file.st_mode & 07777, cases[i].expected);
    CHECK_EQ(file.st_uid, geteuid());
    if (geteuid() == 0) {
      another_gets(fd, NOBODY, true, cases[i].expected & 2 ? 0 : EACCES);
      another_gets(fd, NOBODY, false, EACCES);
    }
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
  }
}

static void a_region_can_be_given_to_a_group(void)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_shared *node;
  struct stat file;
  int fd;

  if (geteuid() != 0)
    return; /* no group but one's own can be counted on */
  conf.permissions = 0660;
  conf.flags = SHMEM_CONF_GROUP;
  conf.group = 4242;
  CHECK_HANDLE(node = shmem_shared_create_fd(&conf, &fd));
  CHECK_EQ(fstat(fd, &file), 0);
  CHECK_EQ(file.st_gid, 4242);
  CHECK_EQ(file.st_mode & 07777, 0660);
  another_gets(fd, NOBODY, true, EACCES);
  another_gets(fd, 4242, true, 0);
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

/* ---- without /proc --------------------------------------------------------------------------- */

static void without_proc(void *arg)
{
  _Atomic bool *hidden = arg;
  struct shmem_shared *node;
  void *base;
  int fd, kept = -17;

  CHECK_HANDLE(node = shmem_shared_create_fd(NULL, &fd));
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
      mount("tmpfs", "/proc", "tmpfs", 0, "size=64k") != 0)
    return;
  *hidden = true;
  CHECK_REFUSED(shmem_shared_open_fd(fd, &base), ENOTSUP);
  CHECK(strstr(shmem_last_error(), "/proc"));
  CHECK_REFUSED(shmem_shared_create_fd(NULL, &kept), ENOTSUP);
  CHECK_EQ(kept, -17);
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

static void without_proc_nothing_can_be_opened_by_descriptor(void)
{
  _Atomic bool *hidden = check_shared(sizeof *hidden);

  if (geteuid() != 0)
    return; /* /proc cannot be hidden */
  CHECK_CHILD_ENDS_WELL(check_spawn(without_proc, (void *)hidden), 20);
  if (!*hidden)
    printf("/proc cannot be hidden here\n");
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static void more_memory_than_there_is_is_refused_at_once(void)
{
  struct shmem_conf conf = check_conf(0, 1 << 20, 16000, 1);
  int fd = -17;

  errno = 0;
  CHECK_REFUSED(shmem_shared_create_fd(&conf, &fd), ENOMEM);
  CHECK_EQ(fd, -17);
}

static int count_descriptors(void)
{
  int count = 0;

  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD) != -1;
  return count;
}

static void no_descriptor_is_left_by_a_refusal(void)
{
  struct shmem_conf bad = check_conf(2, 8, 4, 4);
  int before = count_descriptors(), fd = -17;

  CHECK_REFUSED(shmem_shared_create_fd(&bad, &fd), EINVAL);
  CHECK_EQ(fd, -17);
  bad = check_conf(0, 8, 4, 4);
  bad.group = 7;
  CHECK_REFUSED(shmem_shared_create_fd(&bad, &fd), EINVAL);
  bad.flags = SHMEM_CONF_GROUP;
  bad.group = (unsigned int)-1;
  CHECK_REFUSED(shmem_shared_create_fd(&bad, &fd), EINVAL);
  CHECK_EQ(count_descriptors(), before);
}

int main(void)
{
  check_begin();
  umask(0);
  RUN(no_descriptor_is_left_by_a_refusal);
  RUN(what_is_no_memory_file_is_refused);
  RUN(a_memory_file_without_all_seals_is_refused);
  RUN(a_sealed_memory_file_that_is_no_region_is_refused);
  RUN(a_descriptor_that_is_not_for_both_is_refused);
  RUN(a_peer_can_neither_cut_the_region_short_nor_make_it_deadly);
  RUN(the_mode_decides_also_for_who_has_the_descriptor);
  RUN(a_region_can_be_given_to_a_group);
  RUN(without_proc_nothing_can_be_opened_by_descriptor);
  RUN(more_memory_than_there_is_is_refused_at_once);
  return 0;
}
