/* A fork of a process with open channels: the child has none of them and may open its own, and the
 * parent keeps all, and can close and open again whatever the child does. */
#include "check.h"

enum { FILES = 16 };

static void check_own_channel_works(const char *name)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct pair pair = {.name = name};

  CHECK_HANDLE(pair.node = shmem_shared_create(name, &conf));
  CHECK_HANDLE(pair.program = shmem_shared_open(name, &pair.base));
  CHECK_EQ(check_count_free(pair.node), 8);
  check_works(&pair);
  check_close_pair(&pair);
}

/* ---- what the child has ---------------------------------------------------------------------- */

struct legacy {
  struct pair pair;
  struct sample *held;
  const char *own; /* a name for the child's channel */
};

static void use_what_is_the_parents(void *arg)
{
  struct legacy *legacy = arg;
  struct shmem_shared *const shms[] = {legacy->pair.node, legacy->pair.program};
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct shmem_stats stats = SHMEM_STATS_INIT;
  struct sample *smps[1] = {legacy->held};

  for (int i = 0; i < 2; i++) {
    CHECK_GIVES(shmem_shared_read(shms[i], smps, 1), -1, EPIPE);
    CHECK_GIVES(shmem_shared_try_read(shms[i], smps, 1), -1, EPIPE);
    CHECK_GIVES(shmem_shared_timed_read(shms[i], smps, 1, NULL), -1, EPIPE);
    CHECK_GIVES(shmem_shared_write(shms[i], smps, 1), -1, EPIPE);
    CHECK_GIVES(shmem_shared_timed_write(shms[i], smps, 1, NULL), -1, EPIPE);
    CHECK_GIVES(sample_alloc(&shms[i]->pool, smps, 1), -1, EPIPE);
    CHECK_GIVES(shmem_shared_timed_alloc(shms[i], smps, 1, NULL), -1, EPIPE);
    CHECK_GIVES(shmem_shared_wait(shms[i], NULL), -1, EPIPE);
    CHECK_GIVES(shmem_shared_interrupt(shms[i]), -1, EPIPE);
    CHECK_GIVES(shmem_shared_peer_alive(shms[i]), -1, EPIPE);
    CHECK_GIVES(shmem_shared_stats(shms[i], &stats), -1, EPIPE);
  }
  CHECK_EQ(sample_put(legacy->held), -1); /* not a sample of this process */
  CHECK_EQ(sample_get(legacy->held), -1);
  CHECK(!sample_clone(legacy->held));
  for (int i = 0; i < 2; i++)
    CHECK_EQ(shmem_shared_close(shms[i], NULL), -1);
  CHECK_REFUSED(shmem_shared_create(legacy->pair.name, &conf), EBUSY); /* its parent has it */
  CHECK_REFUSED(shmem_shared_open(legacy->pair.name, NULL), EBUSY);
  check_own_channel_works(legacy->own);
}

static void calls_of_a_child_fail_and_it_opens_a_channel_of_its_own(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct legacy legacy = {.pair = check_open_pair("parent", &conf), .own = check_name("child")};

  legacy.held = check_make(legacy.pair.program, 7);
  check_send(legacy.pair.node, 1, 2);
  CHECK_CHILD_ENDS_WELL(check_spawn(use_what_is_the_parents, &legacy), 20);

  /* The parent has noticed nothing. */
  check_is(legacy.held, 7);
  CHECK_EQ(sample_put(legacy.held), 0);
  check_receive(legacy.pair.program, 1, 2);
  CHECK_EQ(shmem_shared_peer_alive(legacy.pair.node), 1);
  CHECK_EQ(shmem_shared_peer_alive(legacy.pair.program), 1);
  CHECK_EQ(check_count_free(legacy.pair.node), 8);
  CHECK_EQ(check_count_free(legacy.pair.program), 8);
  check_works(&legacy.pair);
  check_close_pair(&legacy.pair);
}

static void have_a_channel_and_a_child(void *arg)
{
  struct legacy *legacy = arg;
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct legacy own = {.pair.name = legacy->own, .own = legacy[1].own};

  CHECK_HANDLE(own.pair.node = shmem_shared_create(own.pair.name, &conf));
  CHECK_HANDLE(own.pair.program = shmem_shared_open(own.pair.name, &own.pair.base));
  own.held = check_make(own.pair.program, 7);
  CHECK_CHILD_ENDS_WELL(check_spawn(use_what_is_the_parents, &own), 20);
  CHECK_EQ(sample_put(own.held), 0);
  check_works(&own.pair);
  check_close_pair(&own.pair);
}

static void the_child_of_a_child_has_no_channel_of_theirs(void)
{
  struct pair pair = check_open_pair("grandparent", NULL);
  struct legacy legacy[2] = {{.own = check_name("child")}, {.own = check_name("grandchild")}};

  CHECK_CHILD_ENDS_WELL(check_spawn(have_a_channel_and_a_child, legacy), 20);
  check_works(&pair);
  check_close_pair(&pair);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static void use_files(void *arg)
{
  const int *fds = arg;

  for (int i = 0; i < FILES; i++)
    CHECK_EQ(write(fds[i], "x", 1), 1);
}

/* The numbers of the parent's descriptors are free in the child; its child must not close them. */
static void open_files_and_fork(void *arg)
{
  int fds[FILES];

  (void)arg;
  for (int i = 0; i < FILES; i++) {
    fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(fds[i] >= 0);
  }
  CHECK_CHILD_ENDS_WELL(check_spawn(use_files, fds), 10);
  use_files(fds);
}

static void the_child_of_a_child_keeps_the_files_that_it_inherits(void)
{
  struct pair pair = check_open_pair("files", NULL);

  CHECK_CHILD_ENDS_WELL(check_spawn(open_files_and_fork, NULL), 20);
  check_works(&pair);
  check_close_pair(&pair);
}

/* ---- a child that lives while its parent closes ---------------------------------------------- */

static void wait_for_the_end_of_a_pipe(void *arg)
{
  const int *ends = arg;
  char byte;

  CHECK_EQ(close(ends[1]), 0);
  CHECK_EQ(read(ends[0], &byte, 1), 0);
}

static void a_child_that_lives_does_not_keep_what_its_parent_has_closed(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct pair pair = check_open_pair("lives", &conf);
  int ends[2];

  CHECK_EQ(pipe(ends), 0);
  pid_t pid = check_spawn(wait_for_the_end_of_a_pipe, ends);
  CHECK_EQ(close(ends[0]), 0);

  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_works(&pair);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
  check_works(&pair);
  check_close_pair(&pair);
  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(pair.name), 0);

  CHECK(check_running(pid));
  CHECK_EQ(close(ends[1]), 0);
  CHECK_CHILD_ENDS_WELL(pid, 10);
}

static void end(void *arg)
{
  (void)arg;
  _exit(0);
}

static void a_side_can_be_opened_again_right_after_fork_and_close(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct pair pair = check_open_pair("again", &conf);

  for (uint64_t round = 0; round < check_scaled(300); round++) {
    pid_t pid = check_spawn(end, NULL);
    if (round % 2) {
      CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
      CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
    } else {
      CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
      CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
    }
    check_works(&pair);
    CHECK_CHILD_ENDS_WELL(pid, 10);
  }
  check_close_pair(&pair);
}

/* ---- a fork amid traffic --------------------------------------------------------------------- */

struct traffic {
  struct pair pair;
  _Atomic uint64_t progress;
  _Atomic bool enough;
};

static void *send_and_receive(void *arg)
{
  struct traffic *traffic = arg;

  for (uint64_t number = 1; !traffic->enough; number++) {
    check_send(traffic->pair.node, number, number);
    check_receive(traffic->pair.program, number, number);
    traffic->progress = number;
    if (check_valgrind()) /* it runs one thread at a time, and this one would keep the other out */
      check_pause();
  }
  return NULL;
}

static void have_a_channel(void *arg)
{
  check_own_channel_works(arg);
}

static void a_fork_amid_traffic_harms_neither_parent_nor_child(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct traffic traffic = {.pair = check_open_pair("traffic", &conf)};
  char *own = (char *)check_name("amid");
  pthread_t thread;

  CHECK_EQ(pthread_create(&thread, NULL, send_and_receive, &traffic), 0);
  for (uint64_t round = 0; round < check_scaled(100); round++) {
    uint64_t before = traffic.progress;
    WAIT_UNTIL(traffic.progress > before, 10);
    CHECK_CHILD_ENDS_WELL(check_spawn(have_a_channel, own), 20);
  }
  traffic.enough = true;
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(check_count_free(traffic.pair.node), 8);
  CHECK_EQ(check_count_free(traffic.pair.program), 8);
  check_works(&traffic.pair);
  check_close_pair(&traffic.pair);
}

int main(void)
{
  check_begin();
  RUN(calls_of_a_child_fail_and_it_opens_a_channel_of_its_own);
  RUN(the_child_of_a_child_has_no_channel_of_theirs);
  RUN(the_child_of_a_child_keeps_the_files_that_it_inherits);
  RUN(a_child_that_lives_does_not_keep_what_its_parent_has_closed);
  RUN(a_side_can_be_opened_again_right_after_fork_and_close);
  RUN(a_fork_amid_traffic_harms_neither_parent_nor_child);
  return 0;
}
