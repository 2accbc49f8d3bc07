/* Who may have what this library makes, and whose objects it takes: channels, rings, endpoints, segments, the wire layout and its semaphores. */
#include "wire.h"

#include <grp.h>

enum { NOBODY = 65534, GROUP = 4242, ELEMENT = 16, CAPACITY = 4 };

/* ---- what is made ---------------------------------------------------------------------------- */

struct made {
  const char *channel, *ring, *end, *segment, *wire, *halves[2];
  char semaphore[CHECK_NAME_SIZE + 4];
};

static struct made name_all(void)
{
  struct made made = {.channel = check_name("channel"), .ring = check_name("ring"), .segment = check_name("segment")};

  made.end = check_name("end");
  for (int i = 0; i < 2; i++) {
    char *half = check_names[check_name_count++];
    snprintf(half, CHECK_NAME_SIZE, "%.40s%s", made.end, i ? "_BA" : "_AB");
    made.halves[i] = half;
  }
  made.wire = wire_name("wire");
  snprintf(made.semaphore, sizeof made.semaphore, "sem.%s", made.wire);
  return made;
}

static void expect(const char *name, unsigned int mode, gid_t group)
{
  struct stat file;

  if (lstat(check_path(name), &file) != 0)
    check_fail(__FILE__, __LINE__, "there is no %s", name);
  if ((file.st_mode & 07777) != mode || file.st_gid != group || file.st_uid != geteuid())
    check_fail(__FILE__, __LINE__, "%s has mode %o, user %d and group %d, expected %o, %d, %d", name, file.st_mode & 07777, (int)file.st_uid,
               (int)file.st_gid, mode, (int)geteuid(), (int)group);
}

struct knock {
  const char *own, *other;
  struct shmem_conf conf;
  int result, error;
  _Atomic bool done;
};

static void on_usr1(int number)
{
  (void)number;
}

/* Opens a wire channel whose other side never comes, so that region and semaphores can be looked at, until it is interrupted. */
static void *knock_in_vain(void *arg)
{
  struct knock *knock = arg;
  struct shmem_int end;

  knock->result = shmem_int_open(knock->own, knock->other, &end, &knock->conf);
  knock->error = errno;
  knock->done = true;
  return NULL;
}

static void expect_wire(const struct made *made, struct shmem_conf conf, unsigned int mode, gid_t group)
{
  struct knock knock = {.own = made->wire, .other = check_name("never"), .conf = conf};
  char theirs[CHECK_NAME_SIZE + 4];
  pthread_t thread;

  snprintf(theirs, sizeof theirs, "sem.%s", knock.other);
  signal(SIGUSR1, on_usr1);
  CHECK_EQ(pthread_create(&thread, NULL, knock_in_vain, &knock), 0);
  WAIT_UNTIL(knock.done || (wire_exists(made->wire) && wire_exists(made->semaphore) && wire_exists(theirs)), 10);
  CHECK(!knock.done);
  expect(made->wire, mode, group);
  expect(made->semaphore, mode, group);
  expect(theirs, mode, group);
  WAIT_UNTIL((pthread_kill(thread, SIGUSR1), check_pause(), knock.done), 10);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(knock.result, -1);
  CHECK_EQ(knock.error, EINTR);
}

static void all_is_0600_unless_asked_for_otherwise(void)
{
  const struct shmem_conf conf = SHMEM_CONF_INIT;
  struct made made = name_all();
  struct shmem_endpoint *end;
  struct shmem_shared *shm;
  struct shmem_ring *ring;
  gid_t group = getegid();

  CHECK_HANDLE(shm = shmem_shared_create(made.channel, NULL));
  expect(made.channel, 0600, group);
  CHECK_HANDLE(ring = shmem_ring_open(made.ring, SHMEM_MPMC, SHMEM_PRODUCER, ELEMENT, CAPACITY));
  expect(made.ring, 0600, group);
  CHECK_HANDLE(end = shmem_endpoint_open(made.end, SHMEM_SPSC, SHMEM_SIDE_A, ELEMENT, CAPACITY));
  expect(made.halves[0], 0600, group);
  expect(made.halves[1], 0600, group);
  expect_wire(&made, conf, 0600, group);
  CHECK_EQ(shmem_endpoint_close(end), 0);
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

static void mode_and_group_are_as_asked_for(void)
{
  const unsigned int keep = SHMEM_KEEP;
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct made made = name_all();
  struct shmem_segment *segment;
  struct shmem_endpoint *end;
  struct shmem_shared *shm;
  struct shmem_ring *ring;
  gid_t group = geteuid() == 0 ? GROUP : getegid();

  conf.permissions = 0660;
  conf.flags = SHMEM_CONF_GROUP;
  conf.group = group;
  CHECK_HANDLE(shm = shmem_shared_create(made.channel, &conf));
  expect(made.channel, 0660, group);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  expect_wire(&made, conf, 0660, group);
  CHECK_HANDLE(ring = shmem_ring_open(made.ring, SHMEM_SPSC, SHMEM_PRODUCER, ELEMENT, CAPACITY));
  CHECK_EQ(shmem_ring_set(ring, 0660, keep, group), 0);
  expect(made.ring, 0660, group);
  CHECK_EQ(shmem_ring_set(ring, keep, keep, keep), 0);
  CHECK_GIVES(shmem_ring_set(ring, 01777, keep, keep), -1, EINVAL);
  CHECK_GIVES(shmem_ring_set(NULL, 0600, keep, keep), -1, EINVAL);
  expect(made.ring, 0660, group);
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_HANDLE(end = shmem_endpoint_open(made.end, SHMEM_SPSC, SHMEM_SIDE_A, ELEMENT, CAPACITY));
  CHECK_EQ(shmem_ring_set(shmem_endpoint_outgoing(end), 0640, keep, group), 0);
  CHECK_EQ(shmem_ring_set(shmem_endpoint_incoming(end), 0640, keep, group), 0);
  expect(made.halves[0], 0640, group);
  expect(made.halves[1], 0640, group);
  CHECK_EQ(shmem_endpoint_close(end), 0);
  CHECK_HANDLE(segment = shmem_segment_open(made.segment, 4096, SHMEM_SEGMENT_CREATE, 0640));
  CHECK_EQ(shmem_segment_set(segment, keep, keep, group), 0);
  expect(made.segment, 0640, group);
  CHECK_EQ(shmem_segment_close(segment), 0);
}

static void become_nobody(gid_t group)
{
  CHECK_EQ(setgroups(0, NULL), 0);
  CHECK_EQ(setresgid(group, group, group), 0);
  CHECK_EQ(setresuid(NOBODY, NOBODY, NOBODY), 0);
}

static void ask_for_a_foreign_group(void *arg)
{
  const struct made *made = arg;
  struct shmem_conf conf = SHMEM_CONF_INIT;
  int fd;

  become_nobody(NOBODY);
  conf.flags = SHMEM_CONF_GROUP;
  conf.group = GROUP;
  CHECK_REFUSED(shmem_shared_create(made->channel, &conf), EPERM);
  CHECK_REFUSED(shmem_shared_create_fd(&conf, &fd), EPERM);
  CHECK(!wire_exists(made->channel));
}

static void who_is_not_in_the_group_cannot_give_to_it(void)
{
  struct made made = name_all();

  CHECK_CHILD_ENDS_WELL(check_spawn(ask_for_a_foreign_group, &made), 10);
}

/* ---- at every instant ------------------------------------------------------------------------ */

struct watch {
  const struct made *made;
  mode_t most;
  gid_t group;
  _Atomic uint64_t seen;
  _Atomic bool over;
};

static void look_at_all(void *arg)
{
  struct watch *watch = arg;
  const char *names[] = {watch->made->channel, watch->made->ring, watch->made->wire, watch->made->semaphore, watch->made->segment};

  while (!watch->over)
    for (int i = 0; i < 5; i++) {
      struct stat file;
      if (lstat(check_path(names[i]), &file) != 0)
        continue;
      watch->seen++;
      if (file.st_mode & 07777 & ~watch->most || (i != 1 && i != 4 && file.st_gid != watch->group))
        check_fail(__FILE__, __LINE__, "%s was seen with mode %o and group %d", names[i], file.st_mode & 07777, (int)file.st_gid);
    }
}

static void nothing_has_more_permissions_at_any_instant(void)
{
  const uint64_t rounds = check_scaled(400);
  struct made made = name_all();
  struct watch *watch = check_shared(sizeof *watch);
  struct shmem_conf conf = SHMEM_CONF_INIT;

  conf.permissions = 0640;
  conf.flags = SHMEM_CONF_GROUP;
  conf.group = geteuid() == 0 ? GROUP : getegid();
  *watch = (struct watch){.made = &made, .most = 0640, .group = conf.group};
  pid_t pid = check_spawn(look_at_all, watch);
  /* Until something was seen: the other may have been without a processor so far. */
  for (uint64_t round = 0; round < rounds || (watch->seen == 0 && check_running(pid)); round++) {
    struct shmem_segment *segment;
    struct shmem_shared *shm;
    struct shmem_ring *ring;
    struct shmem_int end;

    CHECK_HANDLE(shm = shmem_shared_create(made.channel, &conf));
    CHECK_HANDLE(ring = shmem_ring_open(made.ring, SHMEM_SPSC, SHMEM_CONSUMER, ELEMENT, CAPACITY));
    CHECK_HANDLE(segment = shmem_segment_open(made.segment, 4096, SHMEM_SEGMENT_CREATE, 0600));
    CHECK_GIVES(shmem_int_timed_open(made.wire, "villas-check-never", &end, &conf, MS(0)), -1, ETIMEDOUT);
    CHECK_EQ(shmem_segment_close(segment), 0);
    CHECK_EQ(shmem_ring_close(ring), 0);
    CHECK_EQ(shmem_shared_close(shm, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(made.channel), 0);
    CHECK_EQ(shmem_ring_unlink(made.ring), 0);
    CHECK_EQ(shmem_segment_unlink(made.segment), 0);
  }
  watch->over = true;
  CHECK_CHILD_ENDS_WELL(pid, 10);
}

/* ---- links, and what is no object ------------------------------------------------------------ */

static void all_refuse(const struct made *made, int error)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_int end;
  void *base;

  CHECK_REFUSED(shmem_shared_open(made->channel, &base), error);
  CHECK_REFUSED(shmem_shared_create(made->channel, &conf), error);
  CHECK_REFUSED(shmem_ring_open(made->ring, SHMEM_SPSC, SHMEM_PRODUCER, ELEMENT, CAPACITY), error);
  CHECK_REFUSED(shmem_endpoint_open(made->end, SHMEM_SPSC, SHMEM_SIDE_A, ELEMENT, CAPACITY), error);
  CHECK_GIVES(shmem_int_timed_open(made->wire, "villas-check-never", &end, &conf, MS(1)), -1, error);
}

static void for_each_name(const struct made *made, void (*work)(const char *name, const void *), const void *more)
{
  const char *names[] = {made->channel, made->ring, made->halves[0], made->halves[1], made->segment, made->wire};

  for (int i = 0; i < 6; i++) {
    unlink(check_path(names[i]));
    work(names[i], more);
  }
}

static void make_link(const char *name, const void *target)
{
  CHECK_EQ(symlink(target, check_path(name)), 0);
}

static void links_are_not_followed(void)
{
  struct made made = name_all();
  struct shmem_shared *shm;
  struct stat before, after;
  const char *real = check_name("real"), *absent = check_name("absent");
  char target[600], nowhere[600];

  CHECK_HANDLE(shm = shmem_shared_create(real, NULL));
  snprintf(target, sizeof target, "%s", check_path(real));
  snprintf(nowhere, sizeof nowhere, "%s", check_path(absent));
  CHECK_EQ(stat(target, &before), 0);
  for_each_name(&made, make_link, target);
  all_refuse(&made, EBADMSG);
  CHECK_REFUSED(shmem_segment_open(made.segment, 0, 0, 0), EBADMSG);
  for_each_name(&made, make_link, nowhere);
  all_refuse(&made, EBADMSG);
  CHECK_REFUSED(shmem_segment_open(made.segment, 4096, SHMEM_SEGMENT_CREATE, 0600), EBADMSG);
  CHECK_EQ(access(nowhere, F_OK), -1);
  CHECK_EQ(stat(target, &after), 0);
  CHECK_EQ(before.st_ino, after.st_ino);
  CHECK_EQ(after.st_nlink, 1);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

static void a_semaphore_is_no_link_and_no_pipe(void)
{
  struct made made = name_all();
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_int end;
  const char *absent = check_name("absent");
  char target[600];

  snprintf(target, sizeof target, "%s", check_path(absent));
  make_link(made.semaphore, target);
  CHECK_GIVES(shmem_int_timed_open(made.wire, "villas-check-never", &end, &conf, MS(1)), -1, EBADMSG);
  CHECK_EQ(access(target, F_OK), -1);
  CHECK_EQ(unlink(check_path(made.semaphore)), 0);
  CHECK_EQ(mkfifo(check_path(made.semaphore), 0600), 0);
  CHECK_GIVES(shmem_int_timed_open(made.wire, "villas-check-never", &end, &conf, MS(1)), -1, EBADMSG);
  CHECK(!wire_exists(made.wire));
  /* One without memory behind it is paid for before it is looked at. */
  CHECK_EQ(unlink(check_path(made.semaphore)), 0);
  int fd = open(check_path(made.semaphore), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  CHECK_EQ(ftruncate(fd, sizeof(sem_t)), 0);
  CHECK_GIVES(shmem_int_timed_open(made.wire, "villas-check-never", &end, &conf, MS(1)), -1, ETIMEDOUT);
  CHECK_EQ(close(fd), 0);
}

static void make_pipe(const char *name, const void *unused)
{
  (void)unused;
  CHECK_EQ(mkfifo(check_path(name), 0600), 0);
}

static void what_is_no_object_is_refused(void)
{
  struct made made = name_all();

  for_each_name(&made, make_pipe, NULL);
  all_refuse(&made, EBADMSG);
  CHECK_REFUSED(shmem_segment_open(made.segment, 0, 0, 0), EBADMSG);
}

/* ---- close-on-exec --------------------------------------------------------------------------- */

static void every_descriptor_is_closed_by_exec(void)
{
  struct made made = name_all();
  struct wire_pair pair;
  struct shmem_endpoint *end;
  struct shmem_segment *segment;
  struct shmem_shared *shm, *sealed;
  struct shmem_ring *ring;
  int before[256], fd, count = 0;

  for (int i = 0; i < 256; i++)
    before[i] = fcntl(i, F_GETFD);
  CHECK_HANDLE(shm = shmem_shared_create(made.channel, NULL));
  CHECK_HANDLE(sealed = shmem_shared_create_fd(NULL, &fd));
  CHECK_HANDLE(ring = shmem_ring_open(made.ring, SHMEM_MPMC, SHMEM_PRODUCER, ELEMENT, CAPACITY));
  CHECK_HANDLE(end = shmem_endpoint_open(made.end, SHMEM_SPSC, SHMEM_SIDE_A, ELEMENT, CAPACITY));
  CHECK_HANDLE(segment = shmem_segment_open(made.segment, 4096, SHMEM_SEGMENT_CREATE, 0600));
  wire_open_pair(&pair, "exec", check_conf(0, 4, 4, 0), check_conf(0, 4, 4, 0));
  for (int i = 0; i < 256; i++) {
    int flags = fcntl(i, F_GETFD);
    if (flags == -1 || before[i] != -1)
      continue;
    count++;
    if (!(flags & FD_CLOEXEC))
      check_fail(__FILE__, __LINE__, "descriptor %d is not close-on-exec", i);
  }
  CHECK(count >= 10); /* channel, two of the sealed one, ring, two rings, segment, four of the wire */
  wire_close_pair(&pair);
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(shmem_segment_close(segment), 0);
  CHECK_EQ(shmem_endpoint_close(end), 0);
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_EQ(shmem_shared_close(sealed, NULL), 0);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

/* ---- another user ---------------------------------------------------------------------------- */

static void make_all_as_nobody(void *arg)
{
  const struct made *made = arg;
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_int end;

  become_nobody(NOBODY);
  umask(0);
  conf.permissions = 0666;
  CHECK_HANDLE(shmem_shared_create(made->channel, &conf));
  CHECK_HANDLE(shmem_ring_open(made->ring, SHMEM_SPSC, SHMEM_PRODUCER, ELEMENT, CAPACITY));
  CHECK_HANDLE(shmem_endpoint_open(made->end, SHMEM_SPSC, SHMEM_SIDE_B, ELEMENT, CAPACITY));
  CHECK_EQ(shmem_int_timed_open(made->wire, made->wire, &end, &conf, MS(1)), 0);
  /* A semaphore of this user, of the name that root will want. */
  int fd = open(check_path(made->semaphore), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  CHECK(fd >= 0);
  CHECK_EQ(ftruncate(fd, sizeof(sem_t)), 0);
  _exit(0); /* as if it had died */
}

static void objects_of_another_user_are_refused_unless_asked_for(void)
{
  struct made made = name_all();
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_endpoint *end;
  struct shmem_ring *ring;
  struct shmem_int wire;

  CHECK_CHILD_ENDS_WELL(check_spawn(make_all_as_nobody, &made), 10);
  all_refuse(&made, EACCES);
  CHECK_EQ(unlink(check_path(made.wire)), 0);
  CHECK_GIVES(shmem_int_timed_open(made.wire, "villas-check-never", &wire, &conf, MS(1)), -1, EACCES); /* the semaphore */
  CHECK(strstr(shmem_last_error(), "semaphore"));
  CHECK(!wire_exists(made.wire));
  conf.flags = SHMEM_CONF_ANY_OWNER;
  CHECK_GIVES(shmem_int_timed_open(made.wire, "villas-check-never", &wire, &conf, MS(1)), -1, ETIMEDOUT);
  CHECK_EQ(setenv("SHMEM_ANY_OWNER", "1", 1), 0);
  CHECK_HANDLE(ring = shmem_ring_open(made.ring, SHMEM_SPSC, SHMEM_PRODUCER, ELEMENT, CAPACITY));
  CHECK_HANDLE(end = shmem_endpoint_open(made.end, SHMEM_SPSC, SHMEM_SIDE_A, ELEMENT, CAPACITY));
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_EQ(shmem_endpoint_close(end), 0);
  CHECK_EQ(unsetenv("SHMEM_ANY_OWNER"), 0);
}

struct visit {
  const struct made *made;
  gid_t group;
  int expected;
};

static void visit_as_nobody(void *arg)
{
  const struct visit *visit = arg;
  struct shmem_shared *shm;
  struct shmem_ring *ring;
  void *base;

  become_nobody(visit->group);
  CHECK_EQ(setenv("SHMEM_ANY_OWNER", "1", 1), 0);
  if (visit->expected) {
    CHECK_REFUSED(shmem_shared_open(visit->made->channel, &base), visit->expected);
    CHECK_REFUSED(shmem_ring_open(visit->made->ring, SHMEM_SPSC, SHMEM_CONSUMER, ELEMENT, CAPACITY), visit->expected);
    return;
  }
  CHECK_HANDLE(shm = shmem_shared_open(visit->made->channel, &base));
  CHECK_HANDLE(ring = shmem_ring_open(visit->made->ring, SHMEM_SPSC, SHMEM_CONSUMER, ELEMENT, CAPACITY));
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

static void the_group_may_and_others_may_not(void)
{
  struct made made = name_all();
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_shared *shm;
  struct shmem_ring *ring;

  conf.permissions = 0660;
  conf.flags = SHMEM_CONF_GROUP;
  conf.group = GROUP;
  CHECK_HANDLE(shm = shmem_shared_create(made.channel, &conf));
  CHECK_HANDLE(ring = shmem_ring_open(made.ring, SHMEM_SPSC, SHMEM_PRODUCER, ELEMENT, CAPACITY));
  CHECK_EQ(shmem_ring_set(ring, 0660, SHMEM_KEEP, GROUP), 0);
  struct visit visits[] = {{&made, NOBODY, EACCES}, {&made, GROUP, 0}};
  for (int i = 0; i < 2; i++)
    CHECK_CHILD_ENDS_WELL(check_spawn(visit_as_nobody, &visits[i]), 10);
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

int main(void)
{
  check_begin();
  umask(0);
  RUN(all_is_0600_unless_asked_for_otherwise);
  RUN(mode_and_group_are_as_asked_for);
  RUN(nothing_has_more_permissions_at_any_instant);
  RUN(links_are_not_followed);
  RUN(a_semaphore_is_no_link_and_no_pipe);
  RUN(what_is_no_object_is_refused);
  RUN(every_descriptor_is_closed_by_exec);
  if (geteuid() != 0)
    check_skip("the rest needs another user: run it as root");
  RUN(who_is_not_in_the_group_cannot_give_to_it);
  RUN(objects_of_another_user_are_refused_unless_asked_for);
  RUN(the_group_may_and_others_may_not);
  return 0;
}
