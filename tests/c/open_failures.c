/* Each system call of every kind of open fails in turn: a clear error, nothing left in /dev/shm, no
 * descriptor and no mapping more, and the next open works. No open waits for what does not pass by
 * itself. */
#include "failing.h"

#include <dirent.h>
#include <sched.h>

enum { MOST_CALLS = 2000 };

static const char *name, *other; /* of the region, and of the peer's in VILLASnode's layout */
static struct shmem_conf conf;
static void *handle;
static struct shmem_int wire;
static int fd, key;

/* A kind of open. */
struct kind {
  const char *what;
  void (*before)(void); /* what is there when it begins */
  bool (*open)(void);
  void (*close)(void); /* after an open that worked */
  void (*after)(void); /* removes what `before` has made, and what an open that worked leaves */
  bool has_peer;       /* who is at work meanwhile, and leaves traces of its own until it ends */
};

/* ---- what is there ---------------------------------------------------------------------------- */

static bool create(void);

struct traces {
  int descriptors, names, segments;
  long mapped;
};

static int entries(const char *path, const char *with)
{
  DIR *directory = opendir(path);
  int count = 0;

  CHECK(directory);
  for (struct dirent *entry; (entry = readdir(directory));)
    count += !with || strstr(entry->d_name, with);
  closedir(directory);
  return count;
}

static struct traces look(void)
{
  char ours[40], temporary[40];
  struct shm_info info;
  struct traces traces = {.mapped = failing_mapped};

  snprintf(ours, sizeof ours, "villas-check-%d-", (int)getpid());
  snprintf(temporary, sizeof temporary, ".villas-shm-%d-", (int)getpid());
  traces.descriptors = entries("/proc/self/fd", NULL);
  traces.names = entries("/dev/shm", ours) + entries("/dev/shm", temporary);
  CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)&info) >= 0);
  traces.segments = info.used_ids;
  return traces;
}

/* Others may make and remove System V segments on this host, too: that number is looked at where
 * there is a namespace of this test's own. */
static bool own_ipc;

static void check_traces(const struct kind *kind, struct traces now, struct traces before)
{
  /* Where the kernel refuses the name that it has taken from the old region a moment ago. */
  if (kind->open == create && before.names == 1 && failing.hit && strcmp(failing.hit->function, "linkat") == 0)
    now.names = before.names;
  if (now.descriptors == before.descriptors && now.names == before.names && now.mapped == before.mapped &&
      (!own_ipc || now.segments == before.segments))
    return;
  check_fail(__FILE__, __LINE__,
             "%s, call %d, %s failing with %s: %d descriptors, %d names, %ld bytes mapped, %d segments; before it %d, %d, %ld, %d; \"%s\"",
             kind->what, failing.at, failing.hit ? failing.hit->function : "none", strerror(failing.error), now.descriptors, now.names,
             now.mapped, now.segments, before.descriptors, before.names, before.mapped, before.segments, shmem_last_error());
}

/* ---- one kind --------------------------------------------------------------------------------- */

static bool open_failing(const struct kind *kind, int n, int variant, bool for_ever)
{
  bool opened;

  /* Without any fcntl a side does not see its peer come, and waits for a post that it may have
   * taken already; no system is like that. Which call is the n-th depends on the peer's speed. */
  failing_recovers = kind->has_peer ? "fcntl" : NULL;
  errno = 0;
  failing_arm(n, variant, for_ever);
  opened = kind->open();
  failing.is_armed = false;
  return opened;
}

/* What it says is of this failure, and its errno is the one of the call, with two exceptions: `mmap`
 * and its like say EAGAIN of a limit, and a file that knows no seals (EINVAL) is no region. */
static void check_error(const struct kind *kind, int error, const char *stale)
{
  const int expected = failing.error == EAGAIN ? ENOMEM : failing.error;
  const bool is_right = error == expected || (failing.error == EINVAL && error == EBADMSG && strstr(shmem_last_error(), "memfd"));

  if (!is_right || strlen(shmem_last_error()) < 20 || strcmp(shmem_last_error(), stale) == 0)
    check_fail(__FILE__, __LINE__, "%s, call %d, %s failing with %d: errno %d, \"%s\"", kind->what, failing.at, failing.hit->function,
               failing.error, error, shmem_last_error());
}

/* Whether there is an n-th call. */
static bool fail_call(const struct kind *kind, int n, int variant, bool for_ever, int *variants, struct traces begin)
{
  char stale[200];

  kind->before();
  CHECK(!shmem_segment_open("", 0, 0, 0));
  snprintf(stale, sizeof stale, "%s", shmem_last_error());
  const struct traces before = look();
  const bool opened = open_failing(kind, n, variant, for_ever);
  const int error = errno;
  const bool hit = failing.hit;
  *variants = hit ? failing_variants() : 0;
  if (!opened) {
    CHECK(hit || failing.count >= n); /* a call that is not made to fail */
    if (hit)
      check_error(kind, error, stale);
    /* Where a function fails for ever, what is done to clean up fails, too. */
    if (!for_ever && kind->has_peer)
      CHECK_EQ(access(check_path(name), F_OK), -1);
    else if (!for_ever)
      check_traces(kind, look(), before);
    if (!kind->open())
      check_fail(__FILE__, __LINE__, "%s, after call %d, %s failing with %s: the next open gives \"%s\"", kind->what, n,
                 hit ? failing.hit->function : "none", strerror(failing.error), shmem_last_error());
  }
  kind->close();
  kind->after();
  check_traces(kind, look(), begin);
  return failing.count >= n;
}

static void fail_each_call(const struct kind *kind)
{
  /* A handshake takes a quarter of a second. */
  const int stride = check_valgrind() ? (kind->has_peer ? 20 : 5) : kind->has_peer && conf.polling ? 3 : 1;
  struct traces begin = look();
  int variants, unused, calls;
  bool is_there = true;

  for (calls = 1; is_there && calls < MOST_CALLS; calls += stride) {
    IN_TIME(60, is_there = fail_call(kind, calls, 0, false, &variants, begin));
    for (int variant = 1; variant < variants && !kind->has_peer; variant++)
      IN_TIME(60, fail_call(kind, calls, variant, false, &unused, begin));
    if (variants)
      IN_TIME(60, fail_call(kind, calls, calls % variants, true, &unused, begin));
  }
  if (getenv("CHECK_VERBOSE"))
    fprintf(stderr, "    %s: %d calls\n", kind->what, calls);
}

/* ---- the kinds -------------------------------------------------------------------------------- */

static void nothing(void) {}

static void unlink_name(void)
{
  shmem_shared_unlink(name);
}

static bool create(void)
{
  return (handle = shmem_shared_create(name, &conf));
}

static void close_channel(void)
{
  CHECK_EQ(shmem_shared_close(handle, NULL), 0);
}

static struct shmem_shared *made, *joined;

static void make(void)
{
  CHECK_HANDLE(made = shmem_shared_create(name, &conf));
}

static void unmake(void)
{
  CHECK_EQ(shmem_shared_close(made, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(name), 0);
}

static void leave_behind(void)
{
  make();
  CHECK_EQ(shmem_shared_close(made, NULL), 0);
}

static void leave_with_a_program(void)
{
  make();
  CHECK_HANDLE(joined = shmem_shared_open(name, NULL));
  CHECK_EQ(shmem_shared_close(made, NULL), 0);
}

static void end_the_program(void)
{
  CHECK_EQ(shmem_shared_close(joined, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(name), 0);
}

static bool open_channel(void)
{
  return (handle = shmem_shared_open(name, NULL));
}

static bool wait_for_channel(void)
{
  return (handle = shmem_shared_timed_open(name, NULL, NULL));
}

static bool create_fd(void)
{
  return (handle = shmem_shared_create_fd(&conf, &fd));
}

static void close_both(void)
{
  close_channel();
  CHECK_EQ(close(fd), 0);
}

static void make_fd(void)
{
  CHECK_HANDLE(made = shmem_shared_create_fd(&conf, &fd));
}

static void unmake_fd(void)
{
  CHECK_EQ(shmem_shared_close(made, NULL), 0);
  CHECK_EQ(close(fd), 0);
}

static bool open_fd(void)
{
  return (handle = shmem_shared_open_fd(fd, NULL));
}

static void leave_fd(void)
{
  make_fd();
  CHECK_EQ(shmem_shared_close(made, NULL), 0);
}

static void drop_fd(void)
{
  CHECK_EQ(close(fd), 0);
}

static bool recreate_fd(void)
{
  return (handle = shmem_shared_recreate_fd(fd, &conf));
}

static int policy, role;
static struct shmem_ring *ring;

static bool open_ring(void)
{
  return (handle = shmem_ring_open(name, policy, role, 16, 64));
}

static void close_ring(void)
{
  CHECK_EQ(shmem_ring_close(handle), 0);
}

static void unlink_ring(void)
{
  CHECK_EQ(shmem_ring_unlink(name), 0);
}

static void make_ring(void)
{
  CHECK_HANDLE(ring = shmem_ring_open(name, policy, SHMEM_PRODUCER + SHMEM_CONSUMER - role, 16, 64));
}

static void unmake_ring(void)
{
  CHECK_EQ(shmem_ring_close(ring), 0);
  unlink_ring();
}

static struct shmem_endpoint *endpoint;

static bool open_endpoint(void)
{
  return (handle = shmem_endpoint_open(name, policy, SHMEM_SIDE_A, 16, 64));
}

static void close_endpoint(void)
{
  CHECK_EQ(shmem_endpoint_close(handle), 0);
}

static void unlink_endpoint(void)
{
  CHECK_EQ(shmem_endpoint_unlink(name), 0);
}

static void make_endpoint(void)
{
  CHECK_HANDLE(endpoint = shmem_endpoint_open(name, policy, SHMEM_SIDE_B, 16, 64));
}

static void unmake_endpoint(void)
{
  CHECK_EQ(shmem_endpoint_close(endpoint), 0);
  unlink_endpoint();
}

static bool create_segment(void)
{
  return (handle = shmem_segment_open(name, 5000, SHMEM_SEGMENT_CREATE, 0640));
}

static bool create_segment_anew(void)
{
  return (handle = shmem_segment_open(name, 5000, SHMEM_SEGMENT_CREATE | SHMEM_SEGMENT_EXCLUSIVE, 0640));
}

static void close_segment(void)
{
  CHECK_EQ(shmem_segment_close(handle), 0);
}

static void unlink_segment(void)
{
  CHECK_EQ(shmem_segment_unlink(name), 0);
}

static struct shmem_segment *segment;

static void make_segment(void)
{
  CHECK_HANDLE(segment = shmem_segment_open(name, 5000, SHMEM_SEGMENT_CREATE, 0600));
}

static void unmake_segment(void)
{
  CHECK_EQ(shmem_segment_close(segment), 0);
  unlink_segment();
}

static bool open_segment(void)
{
  return (handle = shmem_segment_open(name, 0, 0, 0));
}

static bool sysv(void)
{
  return (handle = shmem_segment_sysv(key, 5000, SHMEM_SEGMENT_CREATE, 0440));
}

static void unlink_sysv(void)
{
  CHECK_EQ(shmem_segment_unlink_key(key), 0);
}

static void make_sysv(void)
{
  CHECK_HANDLE(segment = shmem_segment_sysv(key, 5000, SHMEM_SEGMENT_CREATE, 0600));
}

static void unmake_sysv(void)
{
  CHECK_EQ(shmem_segment_close(segment), 0);
  unlink_sysv();
}

static bool open_loop(void)
{
  return shmem_int_open(name, name, &wire, &conf) == 0;
}

static void close_wire(void)
{
  CHECK_EQ(shmem_int_close(&wire), 0);
}

/* The other side: opens until it is told to stop, and again where its peer has gone. */
static pthread_t peer;
static _Atomic bool peer_stops;

static void on_signal(int number)
{
  (void)number;
}

static void *be_peer(void *arg)
{
  struct shmem_int shm;

  (void)arg;
  while (!peer_stops) {
    if (shmem_int_open(other, name, &shm, &conf) != 0) {
      if (errno != EINTR)
        check_fail(__FILE__, __LINE__, "the peer's open gave \"%s\"", shmem_last_error());
      continue;
    }
    while (!peer_stops && shmem_int_peer_alive(&shm) == 1)
      check_pause();
    CHECK_EQ(shmem_int_close(&shm), 0);
  }
  return NULL;
}

static void begin_peer(void)
{
  peer_stops = false;
  CHECK_EQ(pthread_create(&peer, NULL, be_peer, NULL), 0);
}

static void end_peer(void)
{
  peer_stops = true;
  WAIT_UNTIL(pthread_kill(peer, SIGUSR1) == 0 && pthread_tryjoin_np(peer, NULL) == 0, 20);
}

static bool open_wire(void)
{
  return shmem_int_open(name, other, &wire, &conf) == 0;
}

static void fail_a_wire(const char *what)
{
  const struct kind loop = {what, nothing, open_loop, close_wire, nothing, false};

  fail_each_call(&loop);
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void a_channel(void)
{
  static const struct kind kinds[] = {
      {"create", nothing, create, close_channel, unlink_name, false},
      {"create over what is left", leave_behind, create, close_channel, unlink_name, false},
      {"create beside a program", leave_with_a_program, create, close_channel, end_the_program, false},
      {"open", make, open_channel, close_channel, unmake, false},
      {"timed_open", make, wait_for_channel, close_channel, unmake, false},
      {"create_fd", nothing, create_fd, close_both, nothing, false},
      {"open_fd", make_fd, open_fd, close_channel, unmake_fd, false},
      {"recreate_fd", leave_fd, recreate_fd, close_channel, drop_fd, false},
  };

  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    fail_each_call(&kinds[i]);
}

static void a_ring(void)
{
  static const struct kind kinds[] = {
      {"ring", nothing, open_ring, close_ring, unlink_ring, false},
      {"join a ring", make_ring, open_ring, close_ring, unmake_ring, false},
  };

  for (policy = SHMEM_SPSC; policy <= SHMEM_MPMC; policy++)
    for (role = SHMEM_PRODUCER; role <= SHMEM_CONSUMER; role++)
      for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        fail_each_call(&kinds[i]);
}

static void an_endpoint(void)
{
  static const struct kind kinds[] = {
      {"endpoint", nothing, open_endpoint, close_endpoint, unlink_endpoint, false},
      {"join an endpoint", make_endpoint, open_endpoint, close_endpoint, unmake_endpoint, false},
  };

  for (policy = SHMEM_SPSC; policy <= SHMEM_MPMC; policy += 2)
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
      fail_each_call(&kinds[i]);
}

static void a_segment(void)
{
  static const struct kind kinds[] = {
      {"segment", nothing, create_segment, close_segment, unlink_segment, false},
      {"new segment", nothing, create_segment_anew, close_segment, unlink_segment, false},
      {"open a segment", make_segment, open_segment, close_segment, unmake_segment, false},
      {"System V segment", nothing, sysv, close_segment, unlink_sysv, false},
      {"attach a System V segment", make_sysv, sysv, close_segment, unmake_sysv, false},
  };

  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    fail_each_call(&kinds[i]);
}

static void a_channel_in_villasnodes_layout(void)
{
  static const struct kind pair = {"int_open", begin_peer, open_wire, close_wire, end_peer, true};

  for (conf.polling = 0; conf.polling <= 1; conf.polling++) {
    fail_a_wire("int_open, one name");
    fail_each_call(&pair);
  }
  conf.polling = 0;
}

static void opens_where_memory_is_locked(void)
{
  CHECK_EQ(setenv("SHMEM_LOCK", "1", 1), 0);
  a_channel();
  a_ring();
  an_endpoint();
  a_segment();
  fail_a_wire("int_open, one name");
  CHECK_EQ(unsetenv("SHMEM_LOCK"), 0);
}

static void opens_where_files_without_a_name_are_unknown(void)
{
  static const struct kind kinds[] = {
      {"create", nothing, create, close_channel, unlink_name, false},
      {"create over what is left", leave_behind, create, close_channel, unlink_name, false},
      {"segment", nothing, create_segment, close_segment, unlink_segment, false},
      {"endpoint", nothing, open_endpoint, close_endpoint, unlink_endpoint, false},
  };

  static const int errors[] = {EOPNOTSUPP, EISDIR, ENOENT, EINVAL};

  policy = SHMEM_SPSC;
  for (size_t error = 0; error < sizeof errors / sizeof *errors; error++) {
    failing_tmpfile = errors[error];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
      fail_each_call(&kinds[i]);
    fail_a_wire("int_open, one name");
  }
  failing_tmpfile = 0;
}

int main(void)
{
  check_begin();
  own_ipc = unshare(CLONE_NEWIPC) == 0;
  CHECK(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL) == 0);
  conf = check_conf(0, 4, 2, 2);
  name = check_name("a");
  other = check_name("b");
  key = (int)(0x40000000u | (unsigned int)getpid());
  RUN(a_channel);
  RUN(a_ring);
  RUN(an_endpoint);
  RUN(a_segment);
  RUN(a_channel_in_villasnodes_layout);
  RUN(opens_where_memory_is_locked);
  RUN(opens_where_files_without_a_name_are_unknown);
  return 0;
}
