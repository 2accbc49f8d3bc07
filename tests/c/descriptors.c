/* A program that closes all descriptors it does not know, as one does that becomes a daemon: it may
 * lose its side to another, which it is told; it is never told that a living peer is dead. Who has
 * lost its side disturbs nobody any more. And who waits for a region has no descriptors. */
#include "check.h"

#include <dirent.h>

enum { FILES = 16 };

struct scene {
  const char *name;
  bool reuse; /* the numbers, for files of its own */
  _Atomic bool closed, tried, taken_over;
};

static void close_all(void *arg)
{
  struct scene *scene = arg;
  struct shmem_shared *shm;
  struct sample *smp;
  void *base;

  CHECK_HANDLE(shm = shmem_shared_open(scene->name, &base));
  check_receive(shm, 1, 1);
  CHECK_EQ(syscall(SYS_close_range, 3, ~0u, 0), 0);
  for (int i = 0; scene->reuse && i < FILES; i++)
    CHECK_EQ(open("/dev/null", O_RDWR), 3 + i);
  scene->closed = true;
  WAIT_UNTIL(scene->tried, 10);
  if (scene->taken_over) {
    CHECK_GIVES(shmem_shared_try_read(shm, &smp, 1), -1, ESTALE);
    CHECK_GIVES(shmem_shared_timed_read(shm, &smp, 1, NULL), -1, ESTALE);
    CHECK_GIVES(sample_alloc(&shm->pool, &smp, 1), -1, ESTALE);
  } else {
    CHECK_EQ(shmem_shared_peer_alive(shm), 1);
    CHECK_GIVES(shmem_shared_timed_read(shm, &smp, 1, MS(200)), 0, ETIMEDOUT);
    CHECK_EQ(shmem_shared_wait(shm, MS(0)), 0);
    check_send(shm, 1, 1);
    check_receive(shm, 2, 2);
  }
  CHECK_EQ(shmem_shared_close(shm, base), 0);
  for (int i = 0; scene->reuse && i < FILES; i++)
    CHECK(fcntl(3 + i, F_GETFD) >= 0); /* the close has taken none of them for its own */
}

static void go_through(bool reuse)
{
  struct scene *scene = check_shared(sizeof *scene);
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct pair pair = {.name = check_name("descriptors")};

  scene->name = pair.name;
  scene->reuse = reuse;
  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
  check_send(pair.node, 1, 1);
  pid_t pid = check_spawn(close_all, scene);
  WAIT_UNTIL(scene->closed || !check_running(pid), 5);

  errno = 0;
  pair.program = shmem_shared_open(pair.name, &pair.base);
  CHECK(pair.program || errno == EBUSY);
  scene->taken_over = pair.program;
  scene->tried = true;
  if (!pair.program) {
    check_receive(pair.node, 1, 1);
    check_send(pair.node, 2, 2);
  }
  CHECK_CHILD_ENDS_WELL(pid, 10);
  if (!pair.program)
    CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_send(pair.node, 3, 4);
  check_receive(pair.program, 3, 4);
  CHECK_EQ(shmem_shared_peer_alive(pair.node), 1);
  check_close_pair(&pair);
}

static void a_program_without_its_descriptors_goes_on_or_is_told(void)
{
  go_through(false);
}

static void the_numbers_of_its_descriptors_may_serve_other_files(void)
{
  go_through(true);
}

/* Takes the lock away by which a side is held, as nobody does who means well. */
static struct shmem_shared *open_and_lose(const char *name)
{
  struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  struct stat object, file;
  struct shmem_shared *shm;

  int fd = dup(STDERR_FILENO); /* the next number */
  CHECK(fd >= 0);
  CHECK_EQ(close(fd), 0);
  CHECK_HANDLE(shm = shmem_shared_open(name, NULL));
  CHECK_EQ(stat(check_path(name), &object), 0);
  CHECK_EQ(fstat(fd, &file), 0);
  CHECK(file.st_ino == object.st_ino && file.st_dev == object.st_dev);
  CHECK_EQ(fcntl(fd, F_OFD_SETLK, &all), 0);
  return shm;
}

static uint64_t count_node_free(struct pair *pair)
{
  struct shmem_stats stats = SHMEM_STATS_INIT;

  CHECK_EQ(shmem_shared_stats(pair->node, &stats), 0);
  return stats.blocks_free;
}

static void who_has_lost_its_side_puts_without_a_trace(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 2);
  struct pair pair = {.name = check_name("stale")};
  struct shmem_shared *lost;
  struct sample *smps[2], *own, *smp;

  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
  lost = open_and_lose(pair.name);
  check_send(pair.node, 1, 2);
  CHECK_EQ(shmem_shared_timed_read(lost, smps, 2, MS(1000)), 2);
  own = check_make(lost, 3);
  CHECK_EQ(sample_get(smps[1]), 2);

  /* Another takes its place, is given its samples once more, and is through with them; the node has
   * used the blocks again since. */
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_receive_marked(pair.program, 1, 2, true);
  CHECK_EQ(count_node_free(&pair), 4);
  for (uint64_t number = 3; number < 11; number++) {
    check_send(pair.node, number, number);
    check_receive(pair.program, number, number);
  }
  CHECK_EQ(count_node_free(&pair), 4);

  CHECK_GIVES(shmem_shared_try_read(lost, &smp, 1), -1, ESTALE);
  CHECK_GIVES(shmem_shared_write(lost, &own, 1), -1, ESTALE);
  CHECK_EQ(sample_put(smps[0]), 0);
  CHECK_EQ(sample_put(smps[1]), 1);
  CHECK_EQ(sample_put(smps[1]), 0);
  CHECK_EQ(sample_put(own), 0);
  CHECK_GIVES(sample_put(smps[0]), -1, EINVAL);
  CHECK_GIVES(sample_put(own), -1, EINVAL);
  CHECK_EQ(shmem_shared_close(lost, NULL), 0);

  CHECK_EQ(count_node_free(&pair), 4);
  CHECK_EQ(shmem_shared_peer_alive(pair.node), 1);
  CHECK_EQ(check_count_free(pair.program), 4);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  CHECK_GIVES(shmem_shared_try_read(pair.program, &smp, 1), 0, EAGAIN); /* nothing comes again */
  CHECK_EQ(check_count_free(pair.node), 4);
  check_works(&pair);
  check_close_pair(&pair);
}

/* ---- a fork after that ---- */

static void has_files(void *arg)
{
  (void)arg;
  for (int i = 0; i < FILES; i++)
    CHECK(fcntl(3 + i, F_GETFD) >= 0);
}

static void reuse_and_fork(void *arg)
{
  const char *const *names = arg;

  CHECK_HANDLE(shmem_shared_open(names[0], NULL));
  CHECK_HANDLE(shmem_ring_open(names[1], SHMEM_MPMC, SHMEM_PRODUCER, 8, 4));
  CHECK_EQ(syscall(SYS_close_range, 3, ~0u, 0), 0);
  for (int i = 0; i < FILES; i++)
    CHECK_EQ(open("/dev/null", O_RDWR), 3 + i);
  CHECK_CHILD_ENDS_WELL(check_spawn(has_files, NULL), 10);
}

/* The child of a fork lets go of the descriptors that it inherits, but not of files that have their numbers now. */
static void a_child_keeps_the_files_that_have_their_numbers(void)
{
  const char *names[2];
  struct pair pair;

  pair = check_open_pair("fork", NULL);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  names[0] = pair.name;
  names[1] = check_name("ring");
  CHECK_CHILD_ENDS_WELL(check_spawn(reuse_and_fork, names), 20);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
}

static void open_what_never_comes(void *is_about_to)
{
  *(_Atomic bool *)is_about_to = true;
  shmem_shared_timed_open("villas-check-nowhere", NULL, MS(20000));
}

static int count_descriptors(pid_t pid)
{
  char path[64];
  int count = 0;

  snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  DIR *directory = opendir(path);
  CHECK(directory != NULL);
  while (readdir(directory))
    count++;
  closedir(directory);
  return count;
}

/* What it would hold it must close before it returns, and that can take long: with an inotify descriptor up to 400 ms were measured. */
static void a_program_that_waits_for_a_region_holds_no_descriptor(void)
{
  _Atomic bool *is_about_to = check_shared(sizeof *is_about_to);
  const int before = count_descriptors(getpid());

  pid_t pid = check_spawn(open_what_never_comes, (void *)is_about_to);
  WAIT_UNTIL(*is_about_to && check_asleep(pid, pid), 10);
  for (int i = 0; i < 20; i++, check_pause())
    CHECK_EQ(count_descriptors(pid), before - 1); /* the one that counts is the parent's */
  check_kill(pid);
}

int main(void)
{
  check_begin();
  RUN(a_program_without_its_descriptors_goes_on_or_is_told);
  RUN(the_numbers_of_its_descriptors_may_serve_other_files);
  RUN(who_has_lost_its_side_puts_without_a_trace);
  RUN(a_child_keeps_the_files_that_have_their_numbers);
  RUN(a_program_that_waits_for_a_region_holds_no_descriptor);
  return 0;
}
