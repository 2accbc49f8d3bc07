/* A limit of the process that is in the way of an open is an errno and a sentence that names it,
 * never a signal, and never taken for "not yet". And where permissions are in the way: whose the
 * object is. */
#include "wire.h"

#include <sys/resource.h>

enum { USER = 65534, OTHER = 65533, KINDS = 7 };

static const char *name, *there, *left; /* a region is there by the second name, and left by the third */
static struct shmem_conf conf;
static struct shmem_int wire;
static int fd;

/* What creates something of more than 100 KiB. */
static void *create_kind(int kind)
{
  switch (kind) {
  case 0: return shmem_shared_create(name, &conf);
  case 1: return shmem_shared_create_fd(&conf, &fd);
  case 2: return shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 1000, 200);
  case 3: return shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, 1000, 200);
  case 4: return shmem_segment_open(name, 200000, SHMEM_SEGMENT_CREATE, 0600);
  case 5: return shmem_int_open(name, name, &wire, &conf) == 0 ? &wire : NULL;
  default: return shmem_int_timed_open(name, there, &wire, &conf, NULL) == 0 ? &wire : NULL;
  }
}

/* Neither the name, nor those of rings and semaphores. */
static bool nothing_is_left(void)
{
  char path[300];

  snprintf(path, sizeof path, "%s_AB", name);
  if (access(check_path(path), F_OK) == 0)
    return false;
  snprintf(path, sizeof path, "%s_BA", name);
  return access(check_path(path), F_OK) != 0 && wire_nothing_left(name);
}

static void check_refused(int kind, int error, const char *word)
{
  errno = 0;
  CHECK(!create_kind(kind));
  if (errno != error || !strstr(shmem_last_error(), word) || !nothing_is_left())
    check_fail(__FILE__, __LINE__, "kind %d: errno %d, \"%s\"", kind, errno, shmem_last_error());
}

static void in_a_child(void (*body)(void *))
{
  CHECK_CHILD_ENDS_WELL(check_spawn(body, NULL), 30);
}

static void set_limit(int resource, rlim_t most)
{
  struct rlimit limit;

  CHECK_EQ(getrlimit(resource, &limit), 0);
  limit.rlim_cur = most;
  CHECK_EQ(setrlimit(resource, &limit), 0);
}

static void create_beyond_the_file_size(void *arg)
{
  (void)arg;
  struct shmem_shared *program;
  set_limit(RLIMIT_FSIZE, 100 << 10);
  for (int kind = 0; kind < KINDS; kind++)
    check_refused(kind, EFBIG, "ulimit -f");
  CHECK(strstr(shmem_last_error(), "102400"));
  /* What is there is not made larger. */
  CHECK_HANDLE(program = shmem_shared_open(there, NULL));
  CHECK_EQ(shmem_shared_close(program, NULL), 0);
  /* Not even a semaphore can be had. */
  set_limit(RLIMIT_FSIZE, 8);
  check_refused(6, EFBIG, "ulimit -f");
}

static void the_file_size_ends_no_process(void)
{
  in_a_child(create_beyond_the_file_size);
}

static void open_without_descriptors(void *arg)
{
  (void)arg;
  int next = dup(0);

  CHECK(next > 0);
  CHECK_EQ(close(next), 0);
  set_limit(RLIMIT_NOFILE, (rlim_t)next);
  for (int kind = 0; kind < KINDS; kind++)
    check_refused(kind, EMFILE, "ulimit -n");
  CHECK_REFUSED(shmem_shared_open(there, NULL), EMFILE);
  CHECK_REFUSED(shmem_shared_timed_open(there, NULL, NULL), EMFILE);
  CHECK(strstr(shmem_last_error(), "ulimit -n"));
  /* One is enough for the first ring of an endpoint, not for both. */
  set_limit(RLIMIT_NOFILE, (rlim_t)next + 1);
  check_refused(3, EMFILE, "ulimit -n");
}

static void no_descriptor_is_left(void)
{
  in_a_child(open_without_descriptors);
}

/* Bytes of addresses that this process has. */
static rlim_t addresses(void)
{
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");

  CHECK(file && fscanf(file, "%lu", &pages) == 1);
  CHECK_EQ(fclose(file), 0);
  return (rlim_t)pages * 4096;
}

static void open_without_addresses(void *arg)
{
  struct shmem_shared *node, *program;
  struct stat before, after;

  (void)arg;
  /* What a node has left stays where no next region can be made. */
  CHECK_HANDLE(node = shmem_shared_create(left, &conf));
  CHECK_HANDLE(program = shmem_shared_open(left, NULL));
  check_send(node, 1, 1);
  CHECK_EQ(shmem_shared_close(program, NULL), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(stat(check_path(left), &before), 0);
  set_limit(RLIMIT_AS, addresses() + 150000);
  for (int kind = 0; kind < KINDS; kind++)
    check_refused(kind, ENOMEM, "ulimit -v");
  CHECK_REFUSED(shmem_shared_open(there, NULL), ENOMEM);
  CHECK_REFUSED(shmem_shared_timed_open(there, NULL, NULL), ENOMEM);
  CHECK(strstr(shmem_last_error(), "ulimit -v"));
  CHECK_REFUSED(shmem_shared_create(left, &conf), ENOMEM);
  CHECK_EQ(stat(check_path(left), &after), 0);
  CHECK_EQ(after.st_ino, before.st_ino);
}

static void no_addresses_are_left(void)
{
  in_a_child(open_without_addresses);
}

/* As real-time programs of ordinary users do. */
static void open_where_all_is_locked(void *arg)
{
  (void)arg;
  struct rlimit limit = {8 << 20, 8 << 20};
  CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  if (geteuid() == 0)
    CHECK_EQ(setuid(USER), 0);
  struct shmem_shared *node;
  name = check_name("locked");
  CHECK_HANDLE(node = shmem_shared_create(name, &conf));
  if (mlockall(MCL_FUTURE) != 0)
    check_fail(__FILE__, __LINE__, "mlockall");
  size_t rest = 8 << 20;
  /* Until no page more can be had. */
  for (; rest >= 4096; rest /= 2)
    while (mmap(NULL, rest, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
      ;
  CHECK_REFUSED(shmem_shared_open(name, NULL), ENOMEM);
  CHECK_REFUSED(shmem_shared_timed_open(name, NULL, NULL), ENOMEM);
  CHECK(strstr(shmem_last_error(), "ulimit -l"));
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(name), 0);
  for (int kind = 0; kind < KINDS - 1; kind++)
    check_refused(kind, ENOMEM, "ulimit -l");
}

static void too_much_is_locked(void)
{
  in_a_child(open_where_all_is_locked);
}

/* A slot that is reserved in a ring for many needs no more memory to lock than the open took. */
static void reserve_without_memory_to_lock(void *arg)
{
  (void)arg;
  struct rlimit limit = {8 << 20, 8 << 20};
  struct shmem_ring *ring;
  CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  if (geteuid() == 0)
    CHECK_EQ(setuid(USER), 0);
  name = check_name("ring");
  CHECK_EQ(setenv("SHMEM_LOCK", "1", 1), 0);
  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 10));
  limit = (struct rlimit){0, 0};
  CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  void *slot = shmem_ring_reserve(ring);
  CHECK_HANDLE(slot);
  CHECK_EQ(shmem_ring_commit(ring, slot), 0);
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_EQ(shmem_ring_unlink(name), 0);
}

static void all_is_locked_by_the_open(void)
{
  in_a_child(reserve_without_memory_to_lock);
}

static void open_anothers(void *arg)
{
  const char *of = arg, *why;
  char user[40];

  CHECK_EQ(setuid(OTHER), 0);
  snprintf(user, sizeof user, "user %d", USER);
  CHECK_REFUSED(shmem_shared_open(of, NULL), EACCES);
  CHECK(strstr(why = shmem_last_error(), user) && strstr(why, "600") && strstr(why, "65533"));
  CHECK_REFUSED(shmem_shared_create(of, NULL), EACCES);
  CHECK(strstr(shmem_last_error(), user));
  CHECK_REFUSED(shmem_shared_timed_open(of, NULL, NULL), EACCES);
  CHECK(strstr(shmem_last_error(), user));
  CHECK_REFUSED(shmem_ring_open(of, SHMEM_SPSC, SHMEM_PRODUCER, 8, 8), EACCES);
  CHECK(strstr(shmem_last_error(), user));
  CHECK_REFUSED(shmem_segment_open(of, 0, 0, 0), EACCES);
  CHECK(strstr(shmem_last_error(), user));
  CHECK_GIVES(shmem_int_open(of, of, &wire, NULL), -1, EACCES);
  CHECK(strstr(shmem_last_error(), user));
  CHECK_EQ(shmem_shared_unlink(of), -1);
  CHECK(strstr(shmem_last_error(), user));
}

static void make_ours(void *arg)
{
  struct shmem_shared *node;

  CHECK_EQ(setuid(USER), 0);
  CHECK_HANDLE(node = shmem_shared_create(arg, &conf));
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

static void the_owner_of_what_may_not_be_opened_is_named(void)
{
  const char *of = check_name("owner");

  if (geteuid() != 0)
    return; /* only root can be two users */
  CHECK_CHILD_ENDS_WELL(check_spawn(make_ours, (void *)of), 30);
  CHECK_CHILD_ENDS_WELL(check_spawn(open_anothers, (void *)of), 30);
}

int main(void)
{
  check_begin();
  conf = check_conf(0, 512, 64, 64);
  name = wire_name("made");
  there = wire_name("there");
  left = check_name("left");
  struct shmem_shared *node;
  CHECK_HANDLE(node = shmem_shared_create(there, &conf));
  RUN(the_file_size_ends_no_process);
  RUN(no_descriptor_is_left);
  /* Valgrind itself does not go on without memory. */
  if (!check_valgrind()) {
    RUN(no_addresses_are_left);
    RUN(too_much_is_locked);
  }
  RUN(all_is_locked_by_the_open);
  RUN(the_owner_of_what_may_not_be_opened_is_named);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  return 0;
}
