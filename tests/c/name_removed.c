/* A side that waits alone in a region whose name is removed is told (ESTALE), as nobody can come
 * any more: systemd-logind, Python's resource tracker and containers remove names under live processes.
 * Nobody else is told. */
#include "wire.h"

/* Longer than a side is alone before it is told. */
enum { LONG = 1500 };

static bool says(const char *word)
{
  return strstr(shmem_last_error(), word) != NULL;
}

static void a_side_that_waits_alone_is_told_by_each_call_that_waits(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct shmem_conf conf = check_conf(polling, 2, 1, 1);
    const char *name = check_name("alone");
    struct shmem_shared *shm;
    struct sample *smps[2], *smp;

    CHECK_HANDLE(shm = shmem_shared_create(name, &conf));
    CHECK_GIVES(shmem_shared_timed_read(shm, &smp, 1, MS(1)), 0, ETIMEDOUT);
    CHECK_EQ(shmem_shared_unlink(name), 0);
    switch (polling) {
    case 0:
      CHECK_GIVES(shmem_shared_wait(shm, NULL), -1, ESTALE);
      break;
    default:
      CHECK_GIVES(shmem_shared_timed_read(shm, &smp, 1, NULL), -1, ESTALE);
    }
    CHECK(says(name) && says("removed") && says("RemoveIPC"));
    CHECK_GIVES(shmem_shared_read(shm, &smp, 1), -1, ESTALE);
    CHECK_GIVES(shmem_shared_try_read(shm, &smp, 1), -1, ESTALE);
    CHECK_GIVES(shmem_shared_wait(shm, MS(1)), -1, ESTALE);
    /* What need not wait is done. */
    CHECK_EQ(sample_alloc(&shm->pool, smps, 2), 2);
    CHECK_EQ(shmem_shared_write(shm, smps, 2), 2);
    CHECK_EQ(sample_alloc(&shm->pool, &smp, 1), 1);
    CHECK_GIVES(shmem_shared_timed_write(shm, &smp, 1, NULL), -1, ESTALE);
    CHECK_GIVES(shmem_shared_timed_alloc(shm, smps, 1, NULL), -1, ESTALE);
    CHECK_EQ(sample_put(smp), 0);
    CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  }
}

static void short_reads_and_tries_are_told_too(void)
{
  for (int tries = 0; tries < 2; tries++) {
    struct shmem_shared *shm;
    struct sample *smp;
    const char *name = check_name("short");
    int count = 0;

    CHECK_HANDLE(shm = shmem_shared_create(name, NULL));
    CHECK_EQ(shmem_shared_unlink(name), 0);
    WAIT_UNTIL((count = tries ? shmem_shared_try_read(shm, &smp, 1) : shmem_shared_read(shm, &smp, 1)) != 0, 30);
    CHECK_EQ(count, -1);
    CHECK_EQ(errno, ESTALE);
    CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  }
}

static void first_comes_what_is_unread_then_the_end_then_the_loss(void)
{
  for (int node = 0; node < 2; node++) {
    struct pair pair = check_open_pair("unread", NULL);
    struct shmem_shared *stays = node ? pair.node : pair.program, *goes = node ? pair.program : pair.node;
    struct sample *smp;

    CHECK_EQ(shmem_shared_unlink(pair.name), 0);
    check_send(goes, 1, 3);
    CHECK_EQ(shmem_shared_close(goes, NULL), 0);
    CHECK_GIVES(shmem_shared_wait(stays, NULL), -1, ESTALE);
    check_receive(stays, 1, 3);
    CHECK_GIVES(shmem_shared_read(stays, &smp, 1), -1, ESTALE);
    CHECK_EQ(shmem_shared_close(stays, NULL), 0);
  }
  struct pair pair = check_open_pair("end", NULL);
  struct sample *smp;
  CHECK_EQ(shmem_shared_unlink(pair.name), 0);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_GIVES(shmem_shared_read(pair.node, &smp, 1), -1, EPIPE);
  WAIT_UNTIL(shmem_shared_read(pair.node, &smp, 1) == -1 && errno == ESTALE, 30);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
}

/* For long, nothing comes and nothing is wrong. */
static void waits_on(struct shmem_shared *shm)
{
  struct sample *smp;

  CHECK_GIVES(shmem_shared_timed_read(shm, &smp, 1, MS(LONG)), 0, ETIMEDOUT);
}

static void nobody_is_told_while_the_peer_lives(void)
{
  struct pair pair = check_open_pair("both", NULL);

  CHECK_EQ(shmem_shared_unlink(pair.name), 0);
  waits_on(pair.node);
  waits_on(pair.program);
  check_send(pair.node, 1, 2);
  check_receive(pair.program, 1, 2);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
}

static void nobody_is_told_whose_name_is_there_or_who_has_none(void)
{
  struct shmem_shared *shm;
  const char *name = check_name("there");
  int fd;

  CHECK_HANDLE(shm = shmem_shared_create(name, NULL));
  waits_on(shm);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  CHECK_HANDLE(shm = shmem_shared_create_fd(NULL, &fd));
  waits_on(shm);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
  CHECK_EQ(close(fd), 0);
}

/* It has another name, by which a program comes; its own leads elsewhere. */
static void calls_go_on_when_somebody_comes_all_the_same(void)
{
  const char *name = check_name("moved");
  char from[CHECK_NAME_SIZE + 16], to[CHECK_NAME_SIZE + 16];
  struct shmem_shared *shm, *program, *next;
  struct sample *smp;

  strcpy(from, check_path(name));
  const char *other = check_name("elsewhere");
  strcpy(to, check_path(other));
  CHECK_HANDLE(shm = shmem_shared_create(name, NULL));
  CHECK_EQ(rename(from, to), 0);
  CHECK_HANDLE(next = shmem_shared_create(name, NULL));
  CHECK_GIVES(shmem_shared_wait(shm, NULL), -1, ESTALE);
  WAIT_UNTIL(shmem_shared_try_read(shm, &smp, 1) == -1 && errno == ESTALE, 30);
  CHECK_HANDLE(program = shmem_shared_open(other, NULL));
  CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0);
  waits_on(shm);
  check_send(program, 1, 2);
  check_receive(shm, 1, 2);
  CHECK_EQ(shmem_shared_close(program, NULL), 0);
  CHECK_EQ(shmem_shared_close(next, NULL), 0);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

struct opener {
  const char *mine, *other;
  int result, error;
  char text[400];
};

static void *open_wire(void *arg)
{
  struct opener *opener = arg;
  static struct shmem_int shm;

  opener->result = shmem_int_open(opener->mine, opener->other, &shm, NULL);
  opener->error = errno;
  snprintf(opener->text, sizeof opener->text, "%s", shmem_last_error());
  return NULL;
}

static void an_open_of_the_wire_layout_is_told_while_it_waits(void)
{
  struct opener opener = {.mine = wire_name("wire"), .other = wire_name("wire")};
  pthread_t thread;

  CHECK_EQ(pthread_create(&thread, NULL, open_wire, &opener), 0);
  WAIT_UNTIL(wire_exists(opener.mine), 10);
  CHECK_EQ(shmem_shared_unlink(opener.mine), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(opener.result, -1);
  CHECK_EQ(opener.error, ESTALE);
  CHECK(strstr(opener.text, opener.mine) && strstr(opener.text, "removed"));
  CHECK(wire_nothing_left(opener.mine) && wire_nothing_left(opener.other));
}

int main(void)
{
  check_begin();
  RUN(a_side_that_waits_alone_is_told_by_each_call_that_waits);
  RUN(short_reads_and_tries_are_told_too);
  RUN(first_comes_what_is_unread_then_the_end_then_the_loss);
  RUN(nobody_is_told_while_the_peer_lives);
  RUN(nobody_is_told_whose_name_is_there_or_who_has_none);
  RUN(calls_go_on_when_somebody_comes_all_the_same);
  RUN(an_open_of_the_wire_layout_is_told_while_it_waits);
  return 0;
}
