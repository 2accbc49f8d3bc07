/* Which names an open in VILLASnode's layout makes in /dev/shm: a process that is killed at any moment leaves none that nobody will look for. */
#include "wire.h"

#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>

struct outcome {
  _Atomic bool ready;
};

/* In a /dev/shm of its own, so that all names are those of the calls. */
static void open_and_list(void *arg)
{
  struct outcome *outcome = arg;
  struct wire_pair pair;
  _Alignas(struct inotify_event) char events[16384];

  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
      mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=4m,mode=1777") != 0)
    return;
  outcome->ready = true;
  int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  CHECK(watch >= 0);
  CHECK(inotify_add_watch(watch, "/dev/shm", IN_CREATE | IN_MOVED_TO) >= 0);
  for (int round = 0; round < 2; round++) {
    wire_open_pair(&pair, "names", check_conf(0, 4, 1, 0), check_conf(0, 4, 1, 0));
    wire_send(&pair.ends[0], 1, 2);
    wire_receive(&pair.ends[1], 1, 2);
    wire_close_pair(&pair);
  }
  ssize_t size = read(watch, events, sizeof events);
  CHECK(size > 0);
  int regions = 0, semaphores = 0;
  for (char *at = events; at < events + size;) {
    struct inotify_event *event = (struct inotify_event *)at;
    const char *rest = strstr(event->name, "villas-check-");

    if (!rest || (rest != event->name && strncmp(event->name, "sem.villas-check-", 17) != 0))
      check_fail(__FILE__, __LINE__, "the name \"%s\" was made", event->name);
    regions += rest == event->name;
    semaphores += rest != event->name;
    at += sizeof *event + event->len;
  }
  CHECK_EQ(regions, 4);
  CHECK(semaphores >= 4);
  CHECK_EQ(close(watch), 0);
}

static void only_names_of_the_channel_are_made(void)
{
  struct outcome *outcome = check_shared(sizeof *outcome);
  pid_t pid = check_spawn(open_and_list, outcome);

  CHECK_CHILD_ENDS_WELL(pid, 30);
  if (!outcome->ready)
    check_skip("no mount namespace may be made here: run it as root");
}

static void wait_for_nobody(void *arg)
{
  const char *const *names = arg;
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  struct shmem_int shm;

  shmem_int_open(names[0], names[2], &shm, &conf);
}

/* What this library makes is a semaphore for the C library, of the permissions that it would have given. */
static void its_semaphore_is_one_of_the_c_librarys(void)
{
  const char *names[3] = {wire_name("ours"), wire_name("theirs"), wire_name("nobody")};
  char slashed[CHECK_NAME_SIZE + 1], file[CHECK_NAME_SIZE + 4];
  struct stat stats[2];
  int value = -1;
  pid_t pid = check_spawn(wait_for_nobody, names);

  for (int i = 0; i < 2; i++) {
    snprintf(slashed, sizeof slashed, "/%s", names[i]);
    snprintf(file, sizeof file, "sem.%s", names[i]);
    WAIT_UNTIL(i == 1 || access(check_path(file), F_OK) == 0, 10);
    sem_t *sem = sem_open(slashed, i == 0 ? 0 : O_CREAT, 0600, 0);
    CHECK(sem != SEM_FAILED);
    CHECK_EQ(sem_getvalue(sem, &value), 0);
    CHECK_EQ(value, 0);
    CHECK_EQ(sem_post(sem), 0);
    CHECK_EQ(sem_wait(sem), 0);
    CHECK_EQ(stat(check_path(file), &stats[i]), 0);
    CHECK_EQ(sem_close(sem), 0);
  }
  CHECK_EQ(stats[0].st_size, stats[1].st_size);
  CHECK_EQ(stats[0].st_mode, stats[1].st_mode);
  check_kill(pid);
}

int main(void)
{
  check_begin();
  RUN(its_semaphore_is_one_of_the_c_librarys);
  RUN(only_names_of_the_channel_are_made);
  return 0;
}
