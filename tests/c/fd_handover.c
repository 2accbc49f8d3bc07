/* Regions without a name, handed from process to process as descriptors: by SCM_RIGHTS, by inheritance; their life and death. */
#include "check_descriptor.h"

static const char *self; /* this program; under valgrind /proc/self/exe is another */

static int open_descriptors(void)
{
  int count = 0;

  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD) != -1;
  return count;
}

/* ---- handing over ---------------------------------------------------------------------------- */

static void echo(void *arg)
{
  struct sample *smp;
  struct shmem_shared *shm;
  void *base;
  int fd = check_take_fd(*(int *)arg);

  CHECK_HANDLE(shm = shmem_shared_open_fd(fd, &base));
  CHECK_EQ(close(fd), 0); /* at once: the channel does not need it */
  for (;;) {
    int got = shmem_shared_read(shm, &smp, 1);
    if (got == -1)
      break;
    if (got == 1)
      CHECK_EQ(shmem_shared_write(shm, &smp, 1), 1);
  }
  CHECK_EQ(errno, EPIPE);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

static void samples_cross_a_region_that_was_handed_over(void)
{
  for (int polling = 0; polling <= 1; polling++) {
    struct shmem_conf conf = check_conf(polling, 16, 8, 8);
    struct shmem_shared *node;
    int before = open_descriptors(), fd = -1, ends[2];

    check_sockets(ends);
    pid_t pid = check_spawn(echo, &ends[1]);
    CHECK_HANDLE(node = shmem_shared_create_fd(&conf, &fd));
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    check_give_fd(ends[0], fd);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
    for (uint64_t number = 1; number <= 2000; number++) {
      check_send(node, number, number);
      check_receive(node, number, number);
    }
    CHECK_EQ(shmem_shared_peer_alive(node), 1);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_CHILD_ENDS_WELL(pid, 10);
    close(ends[0]);
    close(ends[1]);
    CHECK_EQ(open_descriptors(), before);
  }
}

static void run_inheritor(int fd)
{
  struct shmem_shared *shm;
  void *base;

  check_begin();
  CHECK_HANDLE(shm = shmem_shared_open_fd(fd, &base));
  check_receive(shm, 1, 3);
  check_send(shm, 4, 4);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
  exit(0);
}

static void a_program_that_was_started_with_the_descriptor_opens_it(void)
{
  struct shmem_shared *node;
  int fd, status;

  CHECK_HANDLE(node = shmem_shared_create_fd(NULL, &fd));
  check_send(node, 1, 3);
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    char number[16];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(number, sizeof number, "%d", fd);
    fcntl(fd, F_SETFD, 0);
    execl(self, self, number, (char *)NULL);
    _exit(1);
  }
  check_receive(node, 4, 4);
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

/* ---- who has a side -------------------------------------------------------------------------- */

static void a_side_is_held_once(void)
{
  struct shmem_conf conf = check_conf(0, 8, 4, 4), other = check_conf(0, 16, 4, 4);
  struct shmem_shared *node, *program;
  void *base;
  int fd;

  CHECK_HANDLE(node = shmem_shared_create_fd(&conf, &fd));
  CHECK_HANDLE(program = shmem_shared_open_fd(fd, &base));
  CHECK_REFUSED(shmem_shared_open_fd(fd, &base), EBUSY);
  CHECK(strstr(shmem_last_error(), "program side"));
  CHECK_REFUSED(shmem_shared_recreate_fd(fd, &conf), EBUSY);
  CHECK(strstr(shmem_last_error(), "node side"));
  CHECK_REFUSED(shmem_shared_recreate_fd(fd, &other), EPROTO);
  CHECK(strstr(shmem_last_error(), "queuelen is 8 there, 16"));
  CHECK_EQ(shmem_shared_close(program, base), 0);
  CHECK_HANDLE(program = shmem_shared_open_fd(fd, &base));
  check_send(node, 1, 1);
  check_receive(program, 1, 1);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_shared_close(program, base), 0);
  CHECK_REFUSED(shmem_shared_open_fd(fd, &base), ENOENT); /* nothing left to read */
  CHECK_EQ(close(fd), 0);
}

static void the_descriptor_that_was_handed_over_keeps_no_dead_process_alive(void)
{
  struct shmem_shared *node;
  void *base;
  int fd;

  CHECK_HANDLE(node = shmem_shared_create_fd(NULL, &fd));
  for (int round = 0; round < 5; round++) {
    int ends[2], report[2];

    check_sockets(ends);
    CHECK_EQ(pipe(report), 0);
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      /* Opens it, tells, and waits for its end: with its own copy of the very description open. */
      struct shmem_shared *shm = shmem_shared_open_fd(check_take_fd(ends[1]), &base);
      CHECK(shm && write(report[1], "x", 1) == 1);
      for (;;)
        pause();
    }
    char byte;
    check_give_fd(ends[0], fd);
    CHECK_EQ(read(report[0], &byte, 1), 1);
    CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
    CHECK_REFUSED(shmem_shared_open_fd(fd, &base), EBUSY);
    check_kill(pid);
    WAIT_UNTIL(shmem_shared_peer_alive(node) == 0, 5);
    for (int i = 0; i < 2; i++) {
      close(ends[i]);
      close(report[i]);
    }
  }
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

/* ---- kills and restarts ---------------------------------------------------------------------- */

struct relay {
  int socket;
  _Atomic uint64_t sent, received, put;
  _Atomic bool done;
};

/* Numbers on without a gap, from where the last incarnation stopped: what it had written is there. */
static void node_that_is_killed(void *arg)
{
  struct relay *relay = arg;
  struct shmem_conf conf = check_conf(0, 16, 4, 8);
  struct shmem_shared *node;
  struct shmem_stats stats = SHMEM_STATS_INIT;
  int fd = check_take_fd(relay->socket);

  CHECK_HANDLE(node = shmem_shared_recreate_fd(fd, &conf));
  CHECK_EQ(shmem_shared_stats(node, &stats), 0);
  for (uint64_t number = stats.written + 1;; number++) {
    struct sample *smp = check_make(node, number);
    CHECK_EQ(shmem_shared_timed_write(node, &smp, 1, PATIENT), 1);
    relay->sent = number;
  }
}

static void program_of_killed_nodes(void *arg)
{
  struct relay *relay = arg;
  struct shmem_shared *shm;
  struct sample *smp;
  void *base;
  uint64_t next = 1;

  CHECK_HANDLE(shm = shmem_shared_open_fd(check_take_fd(relay->socket), &base));
  while (!relay->done) {
    int got = shmem_shared_read(shm, &smp, 1);
    if (got != 1) {
      CHECK(got == 0 || errno == EPIPE); /* until the next node */
      continue;
    }
    check_is(smp, next);
    relay->received = next++;
    CHECK_EQ(sample_put(smp), 0);
  }
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

static void a_killed_node_is_started_again_and_nothing_is_lost(void)
{
  const uint64_t kills = check_scaled(100);
  struct shmem_conf conf = check_conf(0, 16, 4, 8);
  struct relay *relay = check_shared(sizeof *relay);
  struct shmem_shared *first;
  int fd, ends[2];

  check_sockets(ends);
  relay->socket = ends[1];
  CHECK_HANDLE(first = shmem_shared_create_fd(&conf, &fd));
  CHECK_EQ(shmem_shared_close(first, NULL), 0);
  check_give_fd(ends[0], fd);
  pid_t node = check_spawn(node_that_is_killed, relay);
  WAIT_UNTIL(relay->sent > 0, 10);
  check_give_fd(ends[0], fd);
  pid_t program = check_spawn(program_of_killed_nodes, relay);
  for (uint64_t kill = 0; kill < kills; kill++) {
    uint64_t before = relay->received;
    WAIT_UNTIL(relay->received > before + check_chance(200) || !check_running(program), 10);
    check_kill(node);
    check_give_fd(ends[0], fd);
    node = check_spawn(node_that_is_killed, relay);
  }
  uint64_t sent = relay->sent;
  WAIT_UNTIL(relay->received >= sent, 10);
  check_kill(node);
  relay->done = true;
  CHECK_CHILD_ENDS_WELL(program, 10);
  close(ends[0]);
  close(ends[1]);
  CHECK_EQ(close(fd), 0);
}

static void program_that_is_killed(void *arg)
{
  struct relay *relay = arg;
  struct shmem_shared *shm;
  struct sample *smps[3];
  void *base;

  CHECK_HANDLE(shm = shmem_shared_open_fd(check_take_fd(relay->socket), &base));
  for (;;) {
    int got = shmem_shared_timed_read(shm, smps, 3, PATIENT);
    CHECK(got > 0);
    for (int i = 0; i < got; i++) {
      uint64_t number = smps[i]->sequence;
      CHECK(number == relay->received + 1 || (smps[i]->flags & SAMPLE_REDELIVERED && number <= relay->received + 1));
      check_is(smps[i], number);
      if (number > relay->received)
        relay->received = number;
      CHECK_EQ(sample_put(smps[i]), 0);
      relay->put = number;
    }
  }
}

static void a_killed_program_is_followed_by_another(void)
{
  const uint64_t kills = check_scaled(100);
  struct shmem_conf conf = check_conf(0, 16, 4, 8);
  struct relay *relay = check_shared(sizeof *relay);
  struct shmem_shared *node;
  uint64_t number = 0;
  int fd, ends[2];

  check_sockets(ends);
  relay->socket = ends[1];
  CHECK_HANDLE(node = shmem_shared_create_fd(&conf, &fd));
  for (uint64_t kill = 0; kill < kills; kill++) {
    check_give_fd(ends[0], fd);
    pid_t program = check_spawn(program_that_is_killed, relay);
    CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
    for (uint64_t end = number + 5 + check_chance(100); number < end;) {
      struct sample *smp = check_make(node, number + 1);
      CHECK_EQ(shmem_shared_timed_write(node, &smp, 1, PATIENT), 1);
      number++;
    }
    check_kill(program);
    WAIT_UNTIL(shmem_shared_peer_alive(node) == 0, 5);
  }
  check_give_fd(ends[0], fd);
  pid_t program = check_spawn(program_that_is_killed, relay);
  WAIT_UNTIL(relay->put == number || !check_running(program), 10);
  check_kill(program);
  CHECK_EQ(check_count_free(node), 24); /* nothing leaked */
  close(ends[0]);
  close(ends[1]);
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

static void node_that_ends(void *arg)
{
  struct shmem_shared *node;

  CHECK_HANDLE(node = shmem_shared_recreate_fd(*(int *)arg, NULL));
  check_send(node, 1, 5);
  _exit(0); /* as if it had died */
}

static void what_a_dead_node_has_written_can_still_be_read(void)
{
  struct shmem_shared *shm;
  void *base;
  int fd;

  CHECK_HANDLE(shm = shmem_shared_create_fd(NULL, &fd));
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  CHECK_CHILD_ENDS_WELL(check_spawn(node_that_ends, &fd), 10);
  CHECK_HANDLE(shm = shmem_shared_open_fd(fd, &base));
  check_receive(shm, 1, 5);
  struct sample *smp;
  CHECK_GIVES(shmem_shared_read(shm, &smp, 1), -1, EPIPE);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
  CHECK_EQ(close(fd), 0);
}

/* A child of a fork has the caller's descriptor, and nothing of the channel. */
static void idle(void *arg)
{
  (void)arg;
  for (;;)
    pause();
}

static void dying_node(void *arg)
{
  int *ends = arg, fd;
  struct shmem_shared *node;

  CHECK_HANDLE(node = shmem_shared_create_fd(NULL, &fd));
  check_give_fd(ends[0], fd);
  pid_t child = fork();
  if (child == 0) {
    alarm(100); /* it outlives its parent, and no failed test for long */
    idle(NULL);
  }
  CHECK_EQ(write(ends[0], &child, sizeof child), (ssize_t)sizeof child);
  idle(NULL);
}

static void a_forked_child_does_not_keep_its_dead_parent_alive(void)
{
  struct shmem_shared *shm;
  void *base;
  int ends[2];
  pid_t child;

  check_sockets(ends);
  pid_t pid = check_spawn(dying_node, ends);
  int fd = check_take_fd(ends[1]);
  CHECK_EQ(read(ends[1], &child, sizeof child), (ssize_t)sizeof child);
  CHECK_HANDLE(shm = shmem_shared_open_fd(fd, &base));
  CHECK_EQ(shmem_shared_peer_alive(shm), 1);
  check_kill(pid);
  WAIT_UNTIL(shmem_shared_peer_alive(shm) == 0, 5);
  struct shmem_shared *node;
  CHECK_HANDLE(node = shmem_shared_recreate_fd(fd, NULL));
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
  CHECK_EQ(kill(child, SIGKILL), 0);
  close(fd);
  close(ends[0]);
  close(ends[1]);
}

int main(int argc, char **argv)
{
  self = argv[0];
  if (argc > 1)
    run_inheritor(atoi(argv[1]));
  check_begin();
  RUN(samples_cross_a_region_that_was_handed_over);
  RUN(a_program_that_was_started_with_the_descriptor_opens_it);
  RUN(a_side_is_held_once);
  RUN(the_descriptor_that_was_handed_over_keeps_no_dead_process_alive);
  RUN(a_killed_node_is_started_again_and_nothing_is_lost);
  RUN(a_killed_program_is_followed_by_another);
  RUN(what_a_dead_node_has_written_can_still_be_read);
  RUN(a_forked_child_does_not_keep_its_dead_parent_alive);
  return 0;
}
