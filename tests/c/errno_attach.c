/* The errnos of create, open and unlink, and of a region that was replaced; each leaves everything
 * as it was, and a sentence that says both values. */
#include "check.h"

static void write_file(const char *name, const void *bytes, size_t size)
{
  int fd = open(check_path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

  CHECK(fd >= 0);
  CHECK_EQ(write(fd, bytes, size), (ssize_t)size);
  CHECK_EQ(close(fd), 0);
}

static unsigned char *read_file(const char *name, size_t *size)
{
  int fd = open(check_path(name), O_RDONLY);
  struct stat stat;

  CHECK(fd >= 0);
  CHECK_EQ(fstat(fd, &stat), 0);
  *size = (size_t)stat.st_size;
  unsigned char *bytes = malloc(*size);
  CHECK(bytes);
  CHECK_EQ(read(fd, bytes, *size), stat.st_size);
  CHECK_EQ(close(fd), 0);
  return bytes;
}

static void patch_file(const char *name, off_t offset, const void *bytes, size_t size)
{
  int fd = open(check_path(name), O_RDWR);

  CHECK(fd >= 0);
  CHECK_EQ(pwrite(fd, bytes, size, offset), (ssize_t)size);
  CHECK_EQ(close(fd), 0);
}

/* ---- a holder in another process ------------------------------------------------------------- */

enum holder_side { HOLDS_NODE, HOLDS_PROGRAM };

struct holder {
  const char *name;
  enum holder_side side;
  struct shmem_conf conf;
  unsigned int writes; /* samples that it queues */
  _Atomic bool ready;
};

static void hold(void *arg)
{
  struct holder *holder = arg;
  struct shmem_shared *shm;
  void *base;

  if (holder->side == HOLDS_NODE)
    shm = shmem_shared_create(holder->name, &holder->conf);
  else
    shm = shmem_shared_open(holder->name, &base);
  CHECK_HANDLE(shm);
  if (holder->writes)
    check_send(shm, 1, holder->writes);
  holder->ready = true;
  for (;;)
    pause();
}

static pid_t start_holder(struct holder *holder)
{
  holder->ready = false;
  pid_t pid = check_spawn(hold, holder);
  WAIT_UNTIL(holder->ready || !check_running(pid), 5);
  CHECK(holder->ready);
  return pid;
}

static struct holder *new_holder(const char *name, enum holder_side side, int queuelen)
{
  struct holder *holder = check_shared(sizeof *holder);

  holder->name = name;
  holder->side = side;
  holder->conf = check_conf(0, queuelen, 8, 8);
  return holder;
}

static void eagain_for_an_object_that_is_not_ready(void)
{
  const char *name = check_name("unready");
  void *base;

  write_file(name, "", 0);
  CHECK_REFUSED(shmem_shared_open(name, &base), EAGAIN);
  CHECK_EQ(access(check_path(name), F_OK), 0);
  CHECK_EQ(shmem_shared_unlink(name), 0);
}

/* ---- EBUSY, ENOENT, EPROTO ------------------------------------------------------------------- */

static void ebusy_names_the_process_that_holds_the_side(void)
{
  const char *name = check_name("busy");
  struct holder *holder = new_holder(name, HOLDS_NODE, 16);
  char number[32];
  struct pair pair = {.name = name};

  pid_t pid = start_holder(holder);
  snprintf(number, sizeof number, "%d", (int)pid);
  CHECK_REFUSED(shmem_shared_create(name, &holder->conf), EBUSY);
  CHECK(strstr(shmem_last_error(), number));

  /* Other parameters are said first, with both values. */
  struct shmem_conf other = check_conf(0, 77, 8, 8);
  CHECK_REFUSED(shmem_shared_create(name, &other), EPROTO);
  CHECK(strstr(shmem_last_error(), "77") && strstr(shmem_last_error(), "16"));

  CHECK_HANDLE(pair.program = shmem_shared_open(name, &pair.base));
  CHECK_EQ(shmem_shared_peer_alive(pair.program), 1);
  check_kill(pid);
  CHECK_HANDLE(pair.node = shmem_shared_create(name, &holder->conf));
  check_works(&pair);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);

  holder->side = HOLDS_PROGRAM;
  pid = start_holder(holder);
  snprintf(number, sizeof number, "%d", (int)pid);
  CHECK_REFUSED(shmem_shared_open(name, &pair.base), EBUSY);
  CHECK(strstr(shmem_last_error(), number));
  CHECK_REFUSED(shmem_shared_create(name, &holder->conf), EBUSY);
  check_kill(pid);
  CHECK_HANDLE(pair.program = shmem_shared_open(name, &pair.base));
  check_works(&pair);

  /* This very process holds both sides now. */
  snprintf(number, sizeof number, "%d", (int)getpid());
  CHECK_REFUSED(shmem_shared_create(name, &holder->conf), EBUSY);
  CHECK(strstr(shmem_last_error(), number));
  CHECK_REFUSED(shmem_shared_open(name, &(void *){NULL}), EBUSY);
  CHECK(strstr(shmem_last_error(), number));
  check_works(&pair);
  check_close_pair(&pair);
}

static void enoent_for_a_region_that_is_not_there(void)
{
  const char *name = check_name("missing");
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_shared *node;
  void *base;

  CHECK_REFUSED(shmem_shared_open(name, &base), ENOENT);
  CHECK(strstr(shmem_last_error(), name));
  CHECK_GIVES(shmem_shared_unlink(name), -1, ENOENT);

  /* The node has closed and left nothing to read. */
  CHECK_HANDLE(node = shmem_shared_create(name, &conf));
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_REFUSED(shmem_shared_open(name, &base), ENOENT);

  /* The node was killed and left nothing to read. */
  struct holder *holder = new_holder(name, HOLDS_NODE, 16);
  check_kill(start_holder(holder));
  CHECK_REFUSED(shmem_shared_open(name, &base), ENOENT);

  CHECK_EQ(shmem_shared_unlink(name), 0);
  CHECK_GIVES(shmem_shared_unlink(name), -1, ENOENT);
}

static void eproto_for_parameters_that_differ(void)
{
  const char *name = check_name("params");
  struct holder *holder = new_holder(name, HOLDS_NODE, 16);
  struct pair pair = {.name = name};

  pid_t pid = start_holder(holder);
  CHECK_HANDLE(pair.program = shmem_shared_open(name, &pair.base));
  check_kill(pid);

  const struct {
    int polling, queuelen, samplelen, spare;
  } other[] = {{0, 17, 8, 8}, {0, 16, 300, 8}, {0, 16, 8, 9}};
  for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
    struct shmem_conf conf =
      check_conf(other[i].polling, other[i].queuelen, other[i].samplelen, other[i].spare);
    CHECK_REFUSED(shmem_shared_create(name, &conf), EPROTO);
  }
  struct shmem_conf conf = check_conf(0, 600, 8, 8);
  CHECK_REFUSED(shmem_shared_create(name, &conf), EPROTO);
  CHECK(strstr(shmem_last_error(), "600") && strstr(shmem_last_error(), "16"));

  CHECK_HANDLE(pair.node = shmem_shared_create(name, &holder->conf));
  check_works(&pair);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);

  /* Nobody is left: the region is replaced, and nobody had to remove it. */
  CHECK_HANDLE(pair.node = shmem_shared_create(name, &conf));
  CHECK_HANDLE(pair.program = shmem_shared_open(name, &pair.base));
  struct shmem_stats stats = SHMEM_STATS_INIT;
  CHECK_EQ(shmem_shared_stats(pair.program, &stats), 0);
  CHECK_EQ(stats.queuelen, 600);
  check_works(&pair);
  check_close_pair(&pair);
}

static void eproto_for_another_layout_version(void)
{
  struct pair pair = check_open_pair("version", NULL);
  size_t size;
  unsigned char *bytes = read_file(pair.name, &size);
  uint32_t version, later;
  char ours[16], theirs[16];

  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  memcpy(&version, bytes + 8, sizeof version);
  later = version + 41;
  snprintf(ours, sizeof ours, "%u", version);
  snprintf(theirs, sizeof theirs, "%u", later);
  patch_file(pair.name, 8, &later, sizeof later);
  CHECK_REFUSED(shmem_shared_open(pair.name, &pair.base), EPROTO);
  CHECK(strstr(shmem_last_error(), ours) && strstr(shmem_last_error(), theirs));

  patch_file(pair.name, 8, &version, sizeof version);
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_works(&pair);
  free(bytes);
  check_close_pair(&pair);
}

/* ---- EBADMSG --------------------------------------------------------------------------------- */

static void check_untouched(const char *name, const unsigned char *bytes, size_t size)
{
  size_t size_now;
  unsigned char *now = read_file(name, &size_now);

  CHECK_EQ(size_now, size);
  CHECK_EQ(memcmp(now, bytes, size), 0);
  free(now);
}

static void refuse_to_open(const char *name, const unsigned char *bytes, size_t size)
{
  void *base;

  write_file(name, bytes, size);
  CHECK_REFUSED(shmem_shared_open(name, &base), EBADMSG);
  check_untouched(name, bytes, size);
}

/* It is not ours: a node does not replace it, either. */
static void refuse_to_replace(const char *name, const unsigned char *bytes, size_t size)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;

  write_file(name, bytes, size);
  CHECK_REFUSED(shmem_shared_create(name, &conf), EBADMSG);
  check_untouched(name, bytes, size);
  refuse_to_open(name, bytes, size);
}

static void ebadmsg_for_objects_that_are_no_region(void)
{
  const char *name = check_name("foreign");
  const size_t sizes[] = {1, 7, 8, 12, 100, 4096, 5000, 1 << 20};
  unsigned char *bytes = calloc(1, 1 << 20);

  CHECK(bytes);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    refuse_to_replace(name, bytes, sizes[i]);
  for (size_t at = 0; at < 1 << 20; at++)
    bytes[at] = (unsigned char)check_chance(256);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    refuse_to_replace(name, bytes, sizes[i]);
  free(bytes);
  CHECK_EQ(shmem_shared_unlink(name), 0);
}

static void ebadmsg_for_a_region_that_was_cut_or_has_another_magic(void)
{
  struct pair pair = check_open_pair("whole", NULL);
  const char *name = check_name("cut");
  size_t size;
  unsigned char *bytes = read_file(pair.name, &size);
  const size_t cuts[] = {1, 8, 12, 64, 1000, 4096, size / 2, size - 4096};

  for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
    refuse_to_open(name, bytes, cuts[i]);
  bytes[3] ^= 0x20;
  refuse_to_replace(name, bytes, size);
  CHECK_EQ(shmem_shared_unlink(name), 0);

  check_works(&pair);
  free(bytes);
  check_close_pair(&pair);
}

/* ---- ESTALE ---------------------------------------------------------------------------------- */

static void estale_when_the_name_leads_to_another_region(void)
{
  const char *name = check_name("stale");
  struct holder *holder = new_holder(name, HOLDS_NODE, 16);
  struct pair fresh = {.name = name};
  struct shmem_shared *stale;
  struct sample *smp, *unsent;
  void *base;

  holder->writes = 2;
  pid_t pid = start_holder(holder);
  CHECK_HANDLE(stale = shmem_shared_open(name, &base));
  unsent = check_make(stale, 1);
  check_kill(pid);
  CHECK_EQ(shmem_shared_unlink(name), 0);
  CHECK_HANDLE(fresh.node = shmem_shared_create(name, &holder->conf));

  /* What the dead node wrote comes first. */
  check_receive(stale, 1, 2);
  WAIT_UNTIL(shmem_shared_read(stale, &smp, 1) == -1 && errno == ESTALE, 2);
  CHECK_GIVES(shmem_shared_read(stale, &smp, 1), -1, ESTALE);
  CHECK_GIVES(shmem_shared_try_read(stale, &smp, 1), -1, ESTALE);
  CHECK_GIVES(shmem_shared_write(stale, &unsent, 1), -1, ESTALE);
  CHECK_EQ(sample_put(unsent), 0);

  /* As the message says: open again. */
  CHECK_EQ(shmem_shared_close(stale, base), 0);
  CHECK_HANDLE(fresh.program = shmem_shared_open(name, &fresh.base));
  check_works(&fresh);
  check_close_pair(&fresh);
}

static void *read_last_error(void *arg)
{
  const char *why = shmem_last_error();

  *(bool *)arg = !why || !strstr(why, "villas-check-nowhere");
  return NULL;
}

static void the_last_error_belongs_to_its_thread(void)
{
  pthread_t thread;
  bool apart = false;

  CHECK_REFUSED(shmem_shared_open("villas-check-nowhere", &(void *){NULL}), ENOENT);
  CHECK_EQ(pthread_create(&thread, NULL, read_last_error, &apart), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK(apart);
  CHECK(strstr(shmem_last_error(), "villas-check-nowhere"));
}

int main(void)
{
  check_begin();
  RUN(eagain_for_an_object_that_is_not_ready);
  RUN(ebusy_names_the_process_that_holds_the_side);
  RUN(enoent_for_a_region_that_is_not_there);
  RUN(eproto_for_parameters_that_differ);
  RUN(eproto_for_another_layout_version);
  RUN(ebadmsg_for_objects_that_are_no_region);
  RUN(ebadmsg_for_a_region_that_was_cut_or_has_another_magic);
  RUN(estale_when_the_name_leads_to_another_region);
  RUN(the_last_error_belongs_to_its_thread);
  return 0;
}
