/* The handshake of VILLASnode's layout: with those that die in it, and while the wall clock is put back. */
#include "check.h"

#include <semaphore.h>

static const struct shmem_conf CONF = {.queuelen = 4, .samplelen = 1};

struct scene {
  const char *mine, *theirs;
};

/* Of CLOCK_REALTIME, in seconds, before it is put back. */
static _Atomic long ahead;

int clock_gettime(clockid_t clock, struct timespec *now)
{
  int result = (int)syscall(SYS_clock_gettime, clock, now);

  if (clock == CLOCK_REALTIME)
    now->tv_sec += ahead;
  return result;
}

static sem_t *semaphore(const char *name)
{
  char slashed[CHECK_NAME_SIZE + 1];

  snprintf(slashed, sizeof slashed, "/%s", name);
  sem_t *sem = sem_open(slashed, O_CREAT, 0600, 0);
  CHECK(sem != SEM_FAILED);
  return sem;
}

static void remove_semaphore(const char *name, sem_t *sem)
{
  char slashed[CHECK_NAME_SIZE + 1];

  CHECK_EQ(sem_close(sem), 0);
  snprintf(slashed, sizeof slashed, "/%s", name);
  CHECK_EQ(sem_unlink(slashed), 0);
}

static void opener(void *arg)
{
  struct scene *scene = arg;
  struct shmem_int shm;

  shmem_int_open(scene->mine, scene->theirs, &shm, &CONF);
}

/* Makes a region of this name, and lives. */
static void maker(void *name)
{
  struct shmem_int shm;

  CHECK_EQ(shmem_int_open(name, name, &shm, &CONF), 0);
  for (;;)
    pause();
}

static void each_that_comes_finds_a_post(void)
{
  struct scene scene = {check_name("a"), check_name("b")};
  sem_t *mine = semaphore(scene.mine), *theirs = semaphore(scene.theirs);
  pid_t pid = check_spawn(opener, &scene);

  /* Each takes the post, as VILLASnode does, which waits for it without limit, and dies then. */
  for (int i = 0; i < 3; i++) {
    pid_t peer = check_spawn(maker, (void *)scene.theirs);
    WAIT_UNTIL(sem_trywait(mine) == 0, 5);
    check_kill(peer);
  }
  check_kill(pid);
  remove_semaphore(scene.mine, mine);
  remove_semaphore(scene.theirs, theirs);
}

static void who_is_killed_while_nobody_has_come_leaves_no_post(void)
{
  struct scene scene = {check_name("e"), check_name("f")};
  pid_t pid = check_spawn(opener, &scene);

  WAIT_UNTIL(access(check_path(scene.mine), F_OK) == 0 && check_asleep(pid, pid), 10);
  check_kill(pid);
  sem_t *mine = semaphore(scene.mine), *theirs = semaphore(scene.theirs);
  CHECK_GIVES(sem_trywait(mine), -1, EAGAIN);
  remove_semaphore(scene.mine, mine);
  remove_semaphore(scene.theirs, theirs);
}

static void a_wall_clock_that_is_put_back_does_not_prolong_an_open(void)
{
  struct shmem_int shm;
  double begin = check_clock();

  ahead = 3600;
  CHECK_GIVES(shmem_int_timed_open(check_name("c"), check_name("d"), &shm, &CONF, MS(50)), -1, ETIMEDOUT);
  ahead = 0;
  CHECK(check_clock() < begin + 20);
}

int main(void)
{
  check_begin();
  RUN(each_that_comes_finds_a_post);
  RUN(who_is_killed_while_nobody_has_come_leaves_no_post);
  RUN(a_wall_clock_that_is_put_back_does_not_prolong_an_open);
  return 0;
}
