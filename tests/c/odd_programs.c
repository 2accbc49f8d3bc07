/* Programs that are run in odd ways: without standard descriptors, with more rights than their caller, with threads of real-time priority. */
#include "check.h"

#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

enum { CALLER = 65533, OTHER = 65534, NO_RIGHTS = 200 };

/* ---- no standard descriptors ------------------------------------------------------------------ */

static void create_without_descriptors_and_print(void *arg)
{
  const char *const *names = arg;
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct pair pair = {.name = names[0]};
  int handed;

  for (int fd = 0; fd < 3; fd++)
    close(fd);
  if (!(pair.node = shmem_shared_create(pair.name, &conf)))
    _exit(1);
  struct shmem_shared *unnamed = shmem_shared_create_fd(&conf, &handed);
  struct shmem_ring *ring = shmem_ring_open(names[1], SHMEM_SPSC, SHMEM_PRODUCER, 8, 4);
  struct shmem_segment *segment = shmem_segment_open(names[2], 4096, SHMEM_SEGMENT_CREATE, 0600);
  if (!unnamed || !ring || !segment || handed < 3)
    _exit(2);
  for (int fd = 0; fd < 3; fd++)
    if (write(fd, "the node is ready\n", 18) != -1 || errno != EBADF)
      _exit(3 + fd);
  if (!(pair.program = shmem_shared_open(pair.name, &pair.base)))
    _exit(6);
  check_works(&pair);
  check_close_pair(&pair);
  _exit(0);
}

static void what_a_program_without_standard_descriptors_prints_is_not_in_a_region(void)
{
  const char *names[] = {check_name("no-descriptors"), check_name("no-descriptors-ring"), check_name("no-descriptors-segment")};
  pid_t pid = check_spawn(create_without_descriptors_and_print, names);

  CHECK_CHILD_ENDS_WELL(pid, 20);
}

/* ---- more rights than the caller -------------------------------------------------------------- */

struct privileged {
  const char *name, *path;
};

static void run_as_caller(void *arg)
{
  const struct privileged *privileged = arg;

  CHECK_EQ(setenv("SHMEM_ANY_OWNER", "1", 1), 0);
  CHECK_EQ(setgroups(0, NULL), 0);
  CHECK_EQ(setresgid(CALLER, CALLER, CALLER), 0);
  CHECK_EQ(setresuid(CALLER, CALLER, CALLER), 0);
  execl(privileged->path, privileged->path, "open", privileged->name, (char *)NULL);
  perror(privileged->path);
  _exit(1);
}

static void copy_self(const char *path)
{
  char bytes[65536];
  int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

  CHECK(from >= 0 && to >= 0);
  for (ssize_t length; (length = read(from, bytes, sizeof bytes)) > 0;)
    CHECK_EQ(write(to, bytes, (size_t)length), length);
  CHECK_EQ(close(from) | close(to), 0);
}

static void create_as_other(void *arg)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct shmem_shared *shm;

  CHECK_EQ(setresgid(OTHER, OTHER, OTHER), 0);
  CHECK_EQ(setresuid(OTHER, OTHER, OTHER), 0);
  CHECK_HANDLE(shm = shmem_shared_create(arg, &conf));
  check_send(shm, 1, 1);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

/* The rights are those of the file's owner, 0, and the environment is that of the caller, who could so have it open any region. */
static void a_set_user_id_program_does_not_ask_the_environment(void)
{
  char own[3000] = "", path[4096];
  struct privileged privileged = {check_name("privileged"), path};

  CHECK(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
  snprintf(path, sizeof path, "%s.set-user-id-%d", own, (int)getpid());
  copy_self(path);
  CHECK_EQ(chown(path, 0, 0), 0);
  CHECK_EQ(chmod(path, 04755), 0);
  CHECK_CHILD_ENDS_WELL(check_spawn(create_as_other, (void *)privileged.name), 20);
  pid_t pid = check_spawn(run_as_caller, &privileged);
  int status = check_wait(pid, 20);
  CHECK_EQ(unlink(path), 0);
  CHECK(WIFEXITED(status));
  if (WEXITSTATUS(status) == NO_RIGHTS)
    check_skip("the file system of the tests knows no set-user-ID programs");
  CHECK_EQ(WEXITSTATUS(status), EACCES);
}

/* The set-user-ID program itself: the errno of an open. */
static int open_with_rights(const char *name)
{
  struct shmem_shared *shm;
  void *base;

  if (geteuid() != 0)
    return NO_RIGHTS;
  if (!(shm = shmem_shared_open(name, &base)))
    return errno;
  shmem_shared_close(shm, base);
  return 0;
}

/* ---- real-time priority ----------------------------------------------------------------------- */

struct turn {
  struct shmem_shared *shm;
  _Atomic bool over;
  _Atomic long allocated;
};

static void *take_turns(void *arg)
{
  struct turn *turn = arg;
  struct sample *smp;

  while (!turn->over)
    if (sample_alloc(&turn->shm->pool, &smp, 1) == 1) {
      sample_put(smp);
      turn->allocated++;
    }
  return NULL;
}

static double processor_time(void)
{
  struct timespec now;

  CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct urgent {
  struct turn turn;
  double longest; /* seconds of processor time of a call */
  bool may;       /* it was given the priority */
};

static void *call_now_and_then(void *arg)
{
  struct urgent *urgent = arg;
  struct sample *smp;

  urgent->may = pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){.sched_priority = 10}) == 0;
  if (!urgent->may)
    return NULL;
  nanosleep(&(struct timespec){.tv_nsec = 1300000}, NULL); /* wakes up in the midst of the other's work, mostly in its turn */
  double before = processor_time();
  if (sample_alloc(&urgent->turn.shm->pool, &smp, 1) == 1)
    sample_put(smp);
  urgent->longest = processor_time() - before;
  return NULL;
}

/* It takes the processor from an ordinary thread in its turn, and must then let it have it. In vain it would spin until the kernel throttles it, after 0.95 s. */
static void a_real_time_thread_lets_an_ordinary_one_end_its_turn(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  const char *name = check_name("real-time");
  cpu_set_t all, one;
  int first = 0;

  CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  while (!CPU_ISSET(first, &all))
    first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  for (int round = 0; round < 40; round++) {
    struct urgent urgent = {0};
    pthread_t low, high;
    CHECK_HANDLE(urgent.turn.shm = shmem_shared_create(name, &conf));
    CHECK_EQ(pthread_create(&low, NULL, take_turns, &urgent.turn), 0);
    WAIT_UNTIL(urgent.turn.allocated > 0, 10);
    CHECK_EQ(pthread_create(&high, NULL, call_now_and_then, &urgent), 0);
    CHECK_EQ(pthread_join(high, NULL), 0);
    urgent.turn.over = true;
    CHECK_EQ(pthread_join(low, NULL), 0);
    CHECK_EQ(shmem_shared_close(urgent.turn.shm, NULL), 0);
    if (!urgent.may)
      check_skip("a thread must be given real-time priority: run it as root, outside a group that has no real-time budget");
    CHECK(urgent.longest < 0.3);
  }
  CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
}

int main(int argc, char **argv)
{
  if (argc == 3)
    return open_with_rights(argv[2]);
  check_begin();
  RUN(what_a_program_without_standard_descriptors_prints_is_not_in_a_region);
  if (geteuid() != 0)
    check_skip("another user's program, and real-time priority: run it as root");
  if (!check_valgrind()) /* which is not run for set-user-ID programs, and schedules threads itself */
  {
    RUN(a_real_time_thread_lets_an_ordinary_one_end_its_turn);
    RUN(a_set_user_id_program_does_not_ask_the_environment);
  }
  return 0;
}
