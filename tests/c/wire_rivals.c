/* Opening in VILLASnode's layout beside a process that just then probes the object by a lease, and beside another that opens the same name. */
#include "check.h"

static const struct shmem_conf CONF = {.queuelen = 4, .samplelen = 1};

/* What a crash leaves under this name. */
static void leave(void *name)
{
  struct shmem_int shm;

  CHECK_EQ(shmem_int_open(name, name, &shm, &CONF), 0);
  _exit(0);
}

struct scene {
  const char *name;
  _Atomic bool leased, go, done;
  _Atomic int opened, refused;
};

static void lessor(void *arg)
{
  struct scene *scene = arg;
  int fd = open(check_path(scene->name), O_RDWR | O_CLOEXEC);

  CHECK(fd >= 0);
  CHECK_EQ(fcntl(fd, F_SETSIG, SIGURG), 0);
  CHECK_EQ(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
  scene->leased = true;
  /* Somebody wants to open it. */
  WAIT_UNTIL(scene->go && fcntl(fd, F_GETLEASE) != F_WRLCK, 10);
  CHECK_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
}

static void a_lease_is_waited_for(void)
{
  struct scene *scene = check_shared(sizeof *scene);
  struct shmem_int shm;

  scene->name = check_name("leased");
  CHECK_CHILD_ENDS_WELL(check_spawn(leave, (void *)scene->name), 10);
  pid_t pid = check_spawn(lessor, scene);
  WAIT_UNTIL(scene->leased, 10);
  scene->go = true;
  if (shmem_int_open(scene->name, scene->name, &shm, &CONF) != 0)
    check_fail(__FILE__, __LINE__, "%s", shmem_last_error());
  CHECK_CHILD_ENDS_WELL(pid, 10);
  CHECK_EQ(shmem_int_close(&shm), 0);
}

/* The library's; the first of the two stops here, before it removes the leftover. */
static struct scene *stops_in_unlink;

int unlink(const char *path)
{
  if (stops_in_unlink) {
    stops_in_unlink->go = true;
    WAIT_UNTIL(stops_in_unlink->opened + stops_in_unlink->refused == 1, 10);
    stops_in_unlink = NULL;
  }
  return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static void racer(void *arg)
{
  struct scene *scene = arg;
  struct shmem_int shm;

  if (shmem_int_open(scene->name, scene->name, &shm, &CONF) == 0) {
    scene->opened++;
  } else {
    CHECK_EQ(errno, EBUSY);
    scene->refused++;
  }
  WAIT_UNTIL(scene->done, 10);
}

static void first_racer(void *arg)
{
  stops_in_unlink = arg;
  racer(arg);
}

static void of_two_that_find_a_leftover_one_gets_the_name(void)
{
  struct scene *scene = check_shared(sizeof *scene);

  scene->name = check_name("race");
  CHECK_CHILD_ENDS_WELL(check_spawn(leave, (void *)scene->name), 10);
  pid_t first = check_spawn(first_racer, scene);
  WAIT_UNTIL(scene->go, 10);
  pid_t second = check_spawn(racer, scene);
  WAIT_UNTIL(scene->opened + scene->refused == 2, 10);
  CHECK_EQ(scene->opened, 1);
  scene->done = true;
  CHECK_CHILD_ENDS_WELL(first, 10);
  CHECK_CHILD_ENDS_WELL(second, 10);
}

int main(void)
{
  check_begin();
  RUN(a_lease_is_waited_for);
  RUN(of_two_that_find_a_leftover_one_gets_the_name);
  return 0;
}
