/* Who comes first, late, never, or leaves in the middle; what is found, and what a wait says. */
#include "check.h"

struct client {
  const char *name;
  uint64_t first, last; /* the numbers that it reads and puts */
  uint64_t keep;        /* how many more it reads and does not put */
  bool die;             /* ends without closing */
  bool wait;            /* for the region to appear */
  _Atomic bool ready, done;
  _Atomic pid_t tid;
};

static struct client *new_client(const char *name, uint64_t first, uint64_t last)
{
  struct client *client = check_shared(sizeof *client);

  client->name = name;
  client->first = first;
  client->last = last;
  return client;
}

static void run_client(void *arg)
{
  struct client *client = arg;
  struct shmem_shared *shm;
  struct sample *kept[16];
  void *base;

  client->ready = true;
  if (client->wait)
    shm = shmem_shared_timed_open(client->name, &base, PATIENT);
  else
    shm = shmem_shared_open(client->name, &base);
  CHECK_HANDLE(shm);
  if (client->first <= client->last)
    check_receive(shm, client->first, client->last);
  for (uint64_t i = 0; i < client->keep; i++) {
    CHECK_EQ(shmem_shared_timed_read(shm, &kept[i], 1, PATIENT), 1);
    check_is(kept[i], client->last + 1 + i);
  }
  client->done = true;
  if (client->die)
    _exit(0);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

static struct shmem_shared *create(const char *name, int polling)
{
  struct shmem_conf conf = check_conf(polling, 16, 8, 8);
  struct shmem_shared *shm;

  CHECK_HANDLE(shm = shmem_shared_create(name, &conf));
  return shm;
}

static void finish(struct shmem_shared *node, const char *name)
{
  CHECK_EQ(check_count_free(node), 24);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(name), 0);
}

/* ---- the program ----------------------------------------------------------------------------- */

static void a_program_waits_for_the_node(void)
{
  for (int round = 0; round < 10; round++) {
    struct client *client = new_client(check_name("early"), 1, 10);

    client->wait = true;
    pid_t pid = check_spawn(run_client, client);
    WAIT_UNTIL(client->ready && check_asleep(pid, pid), 5);
    CHECK(check_running(pid));
    struct shmem_shared *node = create(client->name, round % 2);
    check_send(node, 1, 10);
    WAIT_UNTIL(client->done, 2);
    CHECK_CHILD_ENDS_WELL(pid, 5);
    finish(node, client->name);
  }
}

static void *open_without_limit(void *arg)
{
  struct client *client = arg;
  struct shmem_shared *shm;
  void *base;

  client->tid = (pid_t)syscall(SYS_gettid);
  CHECK_HANDLE(shm = shmem_shared_timed_open(client->name, &base, NULL));
  check_receive(shm, 1, 1);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
  return NULL;
}

static void a_program_waits_without_limit_past_what_is_not_ready(void)
{
  struct client *client = new_client(check_name("unready"), 1, 1);
  pthread_t thread;

  /* An empty object, then none, then a region: only that is opened. */
  int fd = open(check_path(client->name), O_RDWR | O_CREAT, 0600);
  CHECK(fd >= 0 && close(fd) == 0);
  CHECK_EQ(pthread_create(&thread, NULL, open_without_limit, client), 0);
  WAIT_UNTIL(client->tid && check_asleep(getpid(), client->tid), 5);
  CHECK_EQ(shmem_shared_unlink(client->name), 0);
  struct shmem_shared *node = create(client->name, 0);
  check_send(node, 1, 1);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  finish(node, client->name);
}

static void a_program_that_comes_late_finds_what_was_queued(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct client *client = new_client(check_name("late"), 1, 16);
    struct shmem_shared *node = create(client->name, polling);

    check_send(node, 1, 16);
    CHECK_CHILD_ENDS_WELL(check_spawn(run_client, client), 5);
    finish(node, client->name);
  }
}

static void a_program_that_never_comes_keeps_nobody(void)
{
  for (int polling = 0; polling < 2; polling++) {
    const char *name = check_name("never");
    struct shmem_shared *node = create(name, polling);
    struct sample *smp;

    CHECK_EQ(shmem_shared_peer_alive(node), 0);
    for (int i = 0; i < 3; i++) {
      double begin = check_clock();
      IN_TIME(0.5, CHECK_GIVES(shmem_shared_read(node, &smp, 1), 0, EAGAIN));
      CHECK(check_clock() - begin > 0.09);
    }
    check_send(node, 1, 16);
    smp = check_make(node, 17);
    CHECK_GIVES(shmem_shared_write(node, &smp, 1), 0, EAGAIN);
    CHECK_GIVES(shmem_shared_timed_write(node, &smp, 1, MS(20)), 0, ETIMEDOUT);
    CHECK_EQ(sample_put(smp), 0);
    CHECK_GIVES(shmem_shared_try_read(node, &smp, 1), 0, EAGAIN);
    CHECK_GIVES(shmem_shared_wait(node, MS(20)), -1, ETIMEDOUT);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(name), 0);
  }
}

static void what_a_program_left_is_read_by_the_next(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct client *client = new_client(check_name("left"), 1, 5);
    struct shmem_shared *node = create(client->name, polling);
    struct sample *smp;

    check_send(node, 1, 12);
    CHECK_CHILD_ENDS_WELL(check_spawn(run_client, client), 5);
    CHECK_EQ(shmem_shared_peer_alive(node), 0);
    CHECK_GIVES(shmem_shared_read(node, &smp, 1), -1, EPIPE);
    smp = check_make(node, 13);
    CHECK_GIVES(shmem_shared_write(node, &smp, 1), -1, EPIPE);

    /* The second one; the node's refused sample goes out when somebody is there. */
    client->first = 6;
    client->last = 13;
    pid_t pid = check_spawn(run_client, client);
    CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
    CHECK_EQ(shmem_shared_timed_write(node, &smp, 1, NULL), 1);
    CHECK_CHILD_ENDS_WELL(pid, 5);
    finish(node, client->name);
  }
}

static void what_a_program_had_in_hand_is_delivered_again_marked(void)
{
  for (int round = 0; round < 4; round++) {
    struct client *client = new_client(check_name("in-hand"), 1, 2);
    struct shmem_shared *node = create(client->name, round % 2), *program;
    void *base;

    client->keep = 3;
    client->die = round & 2;
    check_send(node, 1, 8);
    CHECK_CHILD_ENDS_WELL(check_spawn(run_client, client), 5);
    CHECK_HANDLE(program = shmem_shared_open(client->name, &base));
    check_receive_marked(program, 3, 5, true);
    check_receive_marked(program, 6, 8, false);
    struct shmem_stats stats = SHMEM_STATS_INIT;
    CHECK_EQ(shmem_shared_stats(program, &stats), 0);
    CHECK_EQ(stats.redelivered, 3);
    CHECK_EQ(shmem_shared_close(program, base), 0);
    finish(node, client->name);
  }
}

/* ---- the node -------------------------------------------------------------------------------- */

static void what_a_node_left_is_drained_then_epipe(void)
{
  for (int polling = 0; polling < 2; polling++) {
    const char *name = check_name("drain");
    struct shmem_shared *node = create(name, polling), *program;
    struct sample *smp;
    void *base;

    CHECK_HANDLE(program = shmem_shared_open(name, &base));
    check_send(node, 1, 9);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    check_receive(program, 1, 9);
    for (int i = 0; i < 3; i++) {
      CHECK_GIVES(shmem_shared_read(program, &smp, 1), -1, EPIPE);
      CHECK_GIVES(shmem_shared_try_read(program, &smp, 1), -1, EPIPE);
      CHECK_GIVES(shmem_shared_timed_read(program, &smp, 1, NULL), -1, EPIPE);
    }
    CHECK_GIVES(shmem_shared_wait(program, MS(20)), -1, ETIMEDOUT);

    /* A successor: the same region, and on it goes, both ways. */
    node = create(name, polling);
    CHECK_EQ(shmem_shared_wait(program, NULL), 0);
    CHECK_EQ(shmem_shared_peer_alive(program), 1);
    CHECK_GIVES(shmem_shared_try_read(program, &smp, 1), 0, EAGAIN);
    check_send(node, 10, 12);
    check_receive(program, 10, 12);
    check_send(program, 1, 16);
    check_receive(node, 1, 16);
    CHECK_EQ(shmem_shared_close(program, base), 0);
    CHECK_GIVES(shmem_shared_read(node, &smp, 1), -1, EPIPE);
    finish(node, name);
  }
}

static void what_a_program_wrote_is_drained_then_epipe(void)
{
  const char *name = check_name("drain-node");
  struct shmem_shared *node = create(name, 0), *program;
  struct sample *smp;
  void *base;

  for (uint64_t round = 0; round < 3; round++) {
    CHECK_HANDLE(program = shmem_shared_open(name, &base));
    check_send(program, 10 * round, 10 * round + 7);
    CHECK_EQ(shmem_shared_close(program, base), 0);
    check_receive(node, 10 * round, 10 * round + 7);
    for (int i = 0; i < 3; i++)
      CHECK_GIVES(shmem_shared_read(node, &smp, 1), -1, EPIPE);
  }
  finish(node, name);
}

static void a_program_opens_what_a_node_left_and_drains_it(void)
{
  for (int polling = 0; polling < 2; polling++) {
    const char *name = check_name("posthumous");
    struct shmem_shared *node = create(name, polling), *program;
    struct sample *smp;
    void *base;

    check_send(node, 1, 3);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_HANDLE(program = shmem_shared_open(name, &base));
    check_receive(program, 1, 3);
    CHECK_GIVES(shmem_shared_read(program, &smp, 1), -1, EPIPE);
    CHECK_EQ(shmem_shared_close(program, base), 0);
    CHECK_REFUSED(shmem_shared_open(name, &base), ENOENT);
  }
}

static void a_name_that_was_unlinked_serves_those_who_have_it_open(void)
{
  const char *name = check_name("unlinked");
  struct shmem_shared *node = create(name, 0), *program;
  void *base;

  CHECK_HANDLE(program = shmem_shared_open(name, &base));
  CHECK_EQ(shmem_shared_unlink(name), 0);
  check_send(node, 1, 4);
  check_receive(program, 1, 4);
  CHECK_REFUSED(shmem_shared_open(name, &base), ENOENT);

  /* Another region of that name is another region. */
  struct shmem_shared *second = create(name, 0), *reader;
  check_send(second, 7, 7);
  CHECK_HANDLE(reader = shmem_shared_open(name, &base));
  check_receive(reader, 7, 7);
  CHECK_EQ(shmem_shared_close(reader, NULL), 0);
  CHECK_EQ(shmem_shared_close(program, NULL), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  finish(second, name);
}

/* ---- waiting for the peer -------------------------------------------------------------------- */

struct late {
  const char *name;
  _Atomic bool go, leave;
};

static void come_when_told(void *arg)
{
  struct late *late = arg;
  struct shmem_shared *shm;
  void *base;

  WAIT_UNTIL(late->go, 20);
  CHECK_HANDLE(shm = shmem_shared_open(late->name, &base));
  WAIT_UNTIL(late->leave, 20);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

struct attendance {
  struct shmem_shared *shm;
  int result;
  _Atomic pid_t tid;
  _Atomic bool done;
};

static void *await_peer(void *arg)
{
  struct attendance *attendance = arg;

  attendance->tid = (pid_t)syscall(SYS_gettid);
  attendance->result = shmem_shared_wait(attendance->shm, NULL);
  attendance->done = true;
  return NULL;
}

static void a_wait_ends_as_the_peer_attaches(void)
{
  for (int round = 0; round < 10; round++) {
    struct late *late = check_shared(sizeof *late);
    struct attendance attendance = {0};
    pthread_t thread;

    late->name = check_name("attend");
    attendance.shm = create(late->name, round % 2);
    pid_t pid = check_spawn(come_when_told, late);
    CHECK_EQ(pthread_create(&thread, NULL, await_peer, &attendance), 0);
    WAIT_UNTIL(attendance.tid && (round % 2 || check_asleep(getpid(), attendance.tid)), 5);
    CHECK(!attendance.done);
    late->go = true;
    WAIT_UNTIL(attendance.done, 2);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(attendance.result, 0);
    CHECK_EQ(shmem_shared_peer_alive(attendance.shm), 1);
    CHECK_EQ(shmem_shared_wait(attendance.shm, MS(0)), 0);
    late->leave = true;
    CHECK_CHILD_ENDS_WELL(pid, 5);
    CHECK_EQ(shmem_shared_peer_alive(attendance.shm), 0);
    CHECK_GIVES(shmem_shared_wait(attendance.shm, MS(10)), -1, ETIMEDOUT);
    finish(attendance.shm, late->name);
  }
}

int main(void)
{
  check_begin();
  RUN(a_program_waits_for_the_node);
  RUN(a_program_waits_without_limit_past_what_is_not_ready);
  RUN(a_program_that_comes_late_finds_what_was_queued);
  RUN(a_program_that_never_comes_keeps_nobody);
  RUN(what_a_program_left_is_read_by_the_next);
  RUN(what_a_program_had_in_hand_is_delivered_again_marked);
  RUN(what_a_node_left_is_drained_then_epipe);
  RUN(what_a_program_wrote_is_drained_then_epipe);
  RUN(a_program_opens_what_a_node_left_and_drains_it);
  RUN(a_name_that_was_unlinked_serves_those_who_have_it_open);
  RUN(a_wait_ends_as_the_peer_attaches);
  return 0;
}
