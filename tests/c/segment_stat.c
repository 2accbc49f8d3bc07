/* shmem_segment_stat says what the system says, and ftok's keys are the system's. */
#include "check_segment.h"

#include <limits.h>

static void attach_and_wait(void *arg)
{
  struct shmem_segment *segment;
  atomic_int *step = arg;

  CHECK_HANDLE(segment = shmem_segment_attach(step[1], 0));
  step[0] = 1;
  WAIT_UNTIL(step[0] == 2, 10);
  check_close(segment);
}

static void a_system_v_segment_tells_all_that_shmctl_does(void)
{
  int key = check_key();
  struct shmem_segment *segment = check_sysv(key, 12345, NEW, 0640);
  struct shmem_segment_info stat = check_stat(segment);
  struct shmid_ds ds;

  CHECK_EQ(shmctl(stat.id, IPC_STAT, &ds), 0);
  CHECK_EQ(stat.size, sizeof stat);
  CHECK_EQ(stat.bytes, 12345);
  CHECK_EQ(stat.attached, 1);
  CHECK_EQ(stat.key, key);
  CHECK_EQ(stat.permissions, 0640);
  CHECK_EQ(stat.uid, geteuid());
  CHECK_EQ(stat.gid, getegid());
  CHECK_EQ(stat.creator_uid, geteuid());
  CHECK_EQ(stat.creator_gid, getegid());
  CHECK_EQ(stat.creator_pid, getpid());
  CHECK_EQ(stat.last_pid, getpid());
  CHECK_EQ(stat.removed, 0);
  CHECK_EQ(stat.changed_at.tv_sec, ds.shm_ctime);
  CHECK(labs((long)(time(NULL) - stat.changed_at.tv_sec)) < 60);
  CHECK_EQ(stat.attached_at.tv_sec, ds.shm_atime);
  CHECK(stat.attached_at.tv_sec > 0);
  CHECK_EQ(stat.created_at.tv_sec, 0);

  atomic_int *step = check_shared(2 * sizeof *step);
  step[1] = stat.id;
  pid_t pid = check_spawn(attach_and_wait, step);
  WAIT_UNTIL(step[0] == 1, 10);
  stat = check_stat(segment);
  CHECK_EQ(stat.attached, 3); /* here, inherited by the child, attached by the child */
  CHECK_EQ(stat.last_pid, pid);
  step[0] = 2;
  CHECK_CHILD_ENDS_WELL(pid, 10);
  stat = check_stat(segment);
  CHECK_EQ(stat.attached, 1);
  CHECK(stat.detached_at.tv_sec > 0);
  CHECK_EQ(shmem_segment_unlink_id(stat.id), 0);
  check_close(segment);
}

static void a_posix_segment_tells_what_fstat_does(void)
{
  const char *name = check_name("stat");
  struct shmem_segment *segment;
  struct shmem_segment_info stat;
  struct stat file;

  CHECK_HANDLE(segment = shmem_segment_open(name, 12345, NEW, 0640));
  stat = check_stat(segment);
  CHECK_EQ(lstat(check_path(name), &file), 0);
  CHECK_EQ(stat.bytes, 12345);
  CHECK_EQ(stat.attached, -1);
  CHECK_EQ(stat.id, -1);
  CHECK_EQ(stat.key, 0);
  CHECK_EQ(stat.permissions, 0640);
  CHECK_EQ(stat.uid, geteuid());
  CHECK_EQ(stat.gid, getegid());
  CHECK_EQ(stat.creator_uid, (unsigned int)-1);
  CHECK_EQ(stat.creator_pid, 0);
  CHECK_EQ(stat.changed_at.tv_sec, file.st_ctim.tv_sec);
  CHECK_EQ(stat.changed_at.tv_nsec, file.st_ctim.tv_nsec);
  if (stat.created_at.tv_sec != 0) /* by the kernel */
    CHECK(labs((long)(time(NULL) - stat.created_at.tv_sec)) < 60);

  /* Another program makes it larger: told, and not used. */
  CHECK_EQ(truncate(check_path(name), 20000), 0);
  CHECK_EQ(check_stat(segment).bytes, 20000);
  CHECK_EQ(shmem_segment_size(segment), 12345);
  check_close(segment);
}

static void keys_are_those_of_ftok(void)
{
  const char *paths[] = {"/", "/dev/shm", "/etc/passwd", "/proc/self/exe"};
  const int projects[] = {1, 'R', 255, 0x1234, -1, INT_MIN + 1};

  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 6; j++)
      CHECK_EQ(shmem_segment_key(paths[i], projects[j]), ftok(paths[i], projects[j]));
  CHECK_GIVES(shmem_segment_key("/", 0), -1, EINVAL);
  CHECK_GIVES(shmem_segment_key("/", 0x100), -1, EINVAL);
  CHECK_GIVES(shmem_segment_key(NULL, 1), -1, EINVAL);
  CHECK_GIVES(shmem_segment_key("/nowhere/at/all", 1), -1, ENOENT);
  CHECK_SAYS("/nowhere/at/all");
}

static void use_as_if_unrelated(void *path)
{
  struct shmem_segment *segment;

  CHECK_HANDLE(segment = shmem_segment_sysv(shmem_segment_key(path, 'R'), 0, 0, 0));
  strcpy(shmem_segment_data(segment), "found by its path");
  check_close(segment);
}

static void two_processes_find_each_other_by_a_path(void)
{
  char path[] = "/tmp/villas-check-XXXXXX";
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  struct shmem_segment *segment = check_sysv(shmem_segment_key(path, 'R'), 1024, CREATE, 0600);

  CHECK_CHILD_ENDS_WELL(check_spawn(use_as_if_unrelated, path), 10);
  CHECK(strcmp(shmem_segment_data(segment), "found by its path") == 0);
  CHECK_EQ(shmem_segment_unlink_key(shmem_segment_key(path, 'R')), 0);
  check_close(segment);
  close(fd);
  unlink(path);
}

int main(void)
{
  check_begin();
  check_own_ipc();
  umask(0);
  RUN(a_system_v_segment_tells_all_that_shmctl_does);
  RUN(a_posix_segment_tells_what_fstat_does);
  RUN(keys_are_those_of_ftok);
  RUN(two_processes_find_each_other_by_a_path);
  return 0;
}
