/* An end of each kind in a process of its own that does something odd, and what the one at the other end must see of it: that it
 * is alive, or that it is dead. */
#ifndef ODD_PEER_H
#define ODD_PEER_H

#include "wire.h"

#include <sched.h>

/* Which end the odd process has. The test has the other one. */
enum kind { NODE, PROGRAM, PRODUCER, TAKER, WIRE, KINDS };

struct end {
  enum kind kind;
  const char *name, *other; /* of the wire layout the names of what the odd one and the test write */
  struct shmem_shared *shm;
  struct shmem_ring *ring;
  struct shmem_int wire;
};

/* What the odd process and the test share. */
struct scene {
  struct end odd; /* as the odd process has it; names are set before it begins */
  void (*oddity)(struct scene *);
  bool apart;         /* the odd process is in a pid namespace of its own */
  _Atomic bool has_passed, has_begun;
  _Atomic int stage;  /* how far the odd process is */
  _Atomic int go;     /* how far it may go */
  _Atomic pid_t pids[2];
};

UNUSED static void await_stage(struct scene *scene, int stage)
{
  WAIT_UNTIL(scene->stage >= stage, 20);
}

UNUSED static void await_go(struct scene *scene, int go)
{
  WAIT_UNTIL(scene->go >= go, 20);
}

static void open_wire(struct end *end, const char *own, const char *theirs)
{
  struct shmem_conf conf = check_conf(0, 16, 1, 0);

  if (shmem_int_timed_open(own, theirs, &end->wire, &conf, PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
}

/* Opens the odd end, or tries to: false with errno. */
static bool try_open_odd(struct end *end)
{
  struct shmem_conf conf = check_conf(0, 8, 1, 8);

  switch (end->kind) {
  case NODE:
    end->shm = shmem_shared_create(end->name, &conf);
    return end->shm != NULL;
  case PROGRAM:
    end->shm = shmem_shared_open(end->name, NULL);
    return end->shm != NULL;
  case PRODUCER:
  case TAKER:
    end->ring = shmem_ring_open(end->name, SHMEM_SPSC, end->kind == PRODUCER ? SHMEM_PRODUCER : SHMEM_CONSUMER, 8, 8);
    return end->ring != NULL;
  default:
    open_wire(end, end->name, end->other);
    return true;
  }
}

static void open_odd(struct end *end)
{
  if (!try_open_odd(end))
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
}

static int close_odd(struct end *end)
{
  switch (end->kind) {
  case NODE:
  case PROGRAM:
    return shmem_shared_close(end->shm, NULL);
  case PRODUCER:
  case TAKER:
    return shmem_ring_close(end->ring);
  default:
    return shmem_int_close(&end->wire);
  }
}

/* The odd process gives, or takes, one message that the test takes, or gives. */
UNUSED static void odd_passes(struct end *end, uint64_t number)
{
  uint64_t got = 0;

  switch (end->kind) {
  case NODE:
  case PROGRAM:
    check_send(end->shm, number, number);
    break;
  case PRODUCER:
    CHECK_EQ(shmem_ring_timed_push(end->ring, &number, PATIENT), 0);
    break;
  case TAKER:
    CHECK_EQ(shmem_ring_timed_pop(end->ring, &got, PATIENT), 0);
    CHECK_EQ(got, number);
    break;
  default:
    wire_send(&end->wire, number, number);
  }
}

UNUSED static void test_passes(struct end *mine, uint64_t number)
{
  uint64_t got = 0;

  switch (mine->kind) {
  case NODE:
  case PROGRAM:
    check_receive(mine->shm, number, number);
    break;
  case PRODUCER:
    CHECK_EQ(shmem_ring_timed_pop(mine->ring, &got, PATIENT), 0);
    CHECK_EQ(got, number);
    break;
  case TAKER:
    CHECK_EQ(shmem_ring_timed_push(mine->ring, &number, PATIENT), 0);
    break;
  default:
    wire_receive(&mine->wire, number, number);
  }
}

/* The error of a call on an end that is the parent's. */
UNUSED static void check_is_the_parents(struct end *end)
{
  struct sample *smp;
  uint64_t n = 0;

  switch (end->kind) {
  case NODE:
  case PROGRAM:
    CHECK_GIVES(shmem_shared_timed_read(end->shm, &smp, 1, NULL), -1, EPIPE);
    break;
  case PRODUCER:
    CHECK_GIVES(shmem_ring_push(end->ring, &n), -1, EPIPE);
    break;
  case TAKER:
    CHECK_GIVES(shmem_ring_pop(end->ring, &n), -1, EPIPE);
    break;
  default:
    CHECK_GIVES(shmem_int_timed_read(&end->wire, &smp, 1, NULL), -1, EPIPE);
  }
}

static void run_odd(void *arg)
{
  struct scene *scene = arg;

  if (scene->apart) {
    CHECK_EQ(unshare(CLONE_NEWPID), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    while (pid > 0) /* does not reap */
      pause();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  open_odd(&scene->odd);
  odd_passes(&scene->odd, 1);
  scene->has_passed = true;
  WAIT_UNTIL(scene->has_begun, 20);
  scene->oddity(scene);
}

/* Begins the odd process and has one message pass. `mine` becomes the other end. */
static pid_t begin_at(struct scene *scene, struct end *mine, enum kind kind, void (*oddity)(struct scene *), bool apart)
{
  struct shmem_conf conf = check_conf(0, 8, 1, 8);
  pid_t pid;

  *scene = (struct scene){.oddity = oddity, .apart = apart};
  scene->odd.kind = kind;
  scene->odd.name = kind == WIRE ? wire_name("odd") : check_name("odd");
  scene->odd.other = kind == WIRE ? wire_name("other") : NULL;
  *mine = (struct end){.kind = kind, .name = scene->odd.name};
  if (kind == PROGRAM)
    CHECK_HANDLE(mine->shm = shmem_shared_create(mine->name, &conf));
  pid = check_spawn(run_odd, scene);
  switch (kind) {
  case NODE:
    CHECK_HANDLE(mine->shm = shmem_shared_timed_open(mine->name, NULL, PATIENT));
    break;
  case PROGRAM:
    break;
  case PRODUCER:
  case TAKER:
    CHECK_HANDLE(mine->ring = shmem_ring_open(mine->name, SHMEM_SPSC, kind == PRODUCER ? SHMEM_CONSUMER : SHMEM_PRODUCER, 8, 8));
    break;
  default:
    open_wire(mine, scene->odd.other, scene->odd.name);
  }
  test_passes(mine, 1);
  WAIT_UNTIL(scene->has_passed, 20);
  scene->has_begun = true;
  return pid;
}

UNUSED static pid_t begin(struct scene *scene, struct end *mine, enum kind kind, void (*oddity)(struct scene *))
{
  return begin_at(scene, mine, kind, oddity, false);
}

/* The same in a pid namespace of its own; the child that is given is the parent of the odd process. */
UNUSED static pid_t begin_in_namespace(struct scene *scene, struct end *mine, enum kind kind, void (*oddity)(struct scene *))
{
  return begin_at(scene, mine, kind, oddity, true);
}

/* The odd one is alive, also after thorough looks, which are made once a second; so its place is held. */
UNUSED static void check_alive(struct end *mine)
{
  const double end = check_clock() + 1.2;
  struct sample *smp;

  do {
    switch (mine->kind) {
    case NODE:
    case PROGRAM:
      CHECK_GIVES(shmem_shared_timed_read(mine->shm, &smp, 1, MS(100)), 0, ETIMEDOUT);
      CHECK_EQ(shmem_shared_peer_alive(mine->shm), 1);
      break;
    case PRODUCER:
    case TAKER: {
      struct end rival = {.kind = mine->kind, .name = mine->name};
      CHECK(!try_open_odd(&rival));
      CHECK_EQ(errno, EBUSY);
      break;
    }
    default:
      CHECK_GIVES(shmem_int_timed_read(&mine->wire, &smp, 1, MS(100)), 0, ETIMEDOUT);
      CHECK_EQ(shmem_int_peer_alive(&mine->wire), 1);
    }
  } while (check_clock() < end);
  if (mine->kind == NODE || mine->kind == PROGRAM) {
    struct end rival = {.kind = mine->kind, .name = mine->name};
    CHECK(!try_open_odd(&rival));
    CHECK_EQ(errno, EBUSY);
  }
}

/* The odd one is known to be dead within so many seconds, and a successor takes its place. */
UNUSED static void check_dead(struct end *mine, double seconds)
{
  struct end next = {.kind = mine->kind, .name = mine->name};
  struct sample *smp;

  switch (mine->kind) {
  case NODE:
  case PROGRAM:
    IN_TIME(seconds, CHECK_GIVES(shmem_shared_timed_read(mine->shm, &smp, 1, NULL), -1, EPIPE));
    CHECK_EQ(shmem_shared_peer_alive(mine->shm), 0);
    break;
  case PRODUCER:
  case TAKER:
    WAIT_UNTIL(try_open_odd(&next), seconds);
    break;
  default:
    IN_TIME(seconds, CHECK_GIVES(shmem_int_timed_read(&mine->wire, &smp, 1, NULL), -1, EPIPE));
    CHECK_EQ(shmem_int_peer_alive(&mine->wire), 0);
  }
  if (mine->kind == WIRE) /* both ends must open anew */
    return;
  if (!next.ring)
    open_odd(&next);
  if (mine->kind == TAKER)
    test_passes(mine, 2);
  odd_passes(&next, 2);
  if (mine->kind != TAKER)
    test_passes(mine, 2);
  CHECK_EQ(close_odd(&next), 0);
}

UNUSED static void end_scene(struct end *mine)
{
  CHECK_EQ(close_odd(mine), 0);
  if (mine->kind != WIRE) {
    CHECK_EQ(shmem_shared_unlink(mine->name), 0);
    check_name_count--;
  } /* of the wire layout the dead one's name is left */
}

static const char *const kind_names[] = {"node", "program", "producer", "consumer", "wire"};
static char kind_text[128];

/* One run for each kind of end (under valgrind for every second), and the kind in what a failing check says. */
#define FOR_EACH_KIND(kind)                                                                       \
  for (enum kind kind = NODE; kind < KINDS && odd_note(kind); kind += check_valgrind() ? 2 : 1)

UNUSED static bool odd_note(enum kind kind)
{
  static char sentence[100];

  if (kind == NODE)
    snprintf(sentence, sizeof sentence, "%s", check_test);
  snprintf(kind_text, sizeof kind_text, "%s (%s)", sentence, kind_names[kind]);
  check_test = kind_text;
  return true;
}

#endif
