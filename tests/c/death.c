/* SIGKILL of either side at a known moment: blocked in read or write, with samples in hand; the
 * survivor knows soon, a successor goes on, nothing is lost, no block leaks. */
#include "check.h"

enum side { NODE, PROGRAM };

static const int queuelen = 32, spare = 16;

static struct shmem_shared *attach(const char *name, enum side side, int polling)
{
  struct shmem_conf conf = check_conf(polling, queuelen, 4, spare);
  struct shmem_shared *shm;
  void *base;

  if (side == NODE)
    shm = shmem_shared_create(name, &conf);
  else
    shm = shmem_shared_open(name, &base);
  CHECK_HANDLE(shm);
  return shm;
}

struct scene {
  const char *name;
  enum side side;
  int polling;
  uint64_t reads, writes; /* what it does first: reads without putting, writes */
  enum { PAUSE, READ, TIMEDREAD, TIMEDWRITE } then;
  bool with_child; /* that inherits all and lives on */
  _Atomic pid_t child;
  _Atomic bool ready;
};

static void play(void *arg)
{
  struct scene *scene = arg;
  struct shmem_shared *shm = attach(scene->name, scene->side, scene->polling);
  struct sample *smp;

  for (uint64_t i = 0; i < scene->reads; i++)
    CHECK_EQ(shmem_shared_timed_read(shm, &smp, 1, PATIENT), 1);
  if (scene->writes)
    check_send(shm, 1, scene->writes);
  if (scene->with_child) {
    pid_t child = fork();
    if (child == 0) {
      alarm(check_limit - 10);
      for (;;)
        pause();
    }
    scene->child = child;
  }
  if (scene->then == TIMEDWRITE)
    smp = check_make(shm, scene->writes + 1);
  scene->ready = true;
  for (;;) {
    switch (scene->then) {
    case PAUSE:
      pause();
      break;
    case READ:
      CHECK_EQ(shmem_shared_read(shm, &smp, 1), 0);
      break;
    case TIMEDREAD:
      shmem_shared_timed_read(shm, &smp, 1, NULL);
      check_fail(__FILE__, __LINE__, "an endless read has ended");
    case TIMEDWRITE:
      shmem_shared_timed_write(shm, &smp, 1, NULL);
      check_fail(__FILE__, __LINE__, "an endless write has ended");
    }
  }
}

static struct scene *new_scene(const char *word, int polling)
{
  struct scene *scene = check_shared(sizeof *scene);

  scene->name = check_name(word);
  scene->polling = polling;
  return scene;
}

static pid_t begin(struct scene *scene, enum side side)
{
  scene->side = side;
  scene->ready = false;
  pid_t pid = check_spawn(play, scene);
  WAIT_UNTIL(scene->ready || !check_running(pid), 5);
  CHECK(scene->ready);
  if (scene->then != PAUSE && !scene->polling)
    WAIT_UNTIL(check_asleep(pid, pid), 5);
  return pid;
}

/* This side's blocked read must learn of the death, also of one that is still a zombie. */
static void learn_of_death(struct shmem_shared *shm, pid_t victim)
{
  struct sample *smp;

  CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0); /* it has seen the victim alive */
  CHECK_EQ(kill(victim, SIGKILL), 0);
  IN_TIME(2, CHECK_GIVES(shmem_shared_timed_read(shm, &smp, 1, NULL), -1, EPIPE));
  CHECK_GIVES(shmem_shared_read(shm, &smp, 1), -1, EPIPE);
  CHECK_EQ(shmem_shared_peer_alive(shm), 0);
  CHECK_EQ(waitpid(victim, NULL, 0), victim);
}

static void one_that_sits_in_read_is_killed(void)
{
  for (uint64_t round = 0; round < check_scaled(40); round++) {
    enum side victim = round & 1 ? NODE : PROGRAM, survivor = round & 1 ? PROGRAM : NODE;
    struct scene *scene = new_scene("read", round & 4 ? 1 : 0);
    struct shmem_shared *shm = NULL;

    /* Whoever survives was first, or second; the node is always there first. */
    scene->then = round & 2 ? READ : TIMEDREAD;
    if (survivor == NODE)
      shm = attach(scene->name, NODE, scene->polling);
    pid_t pid = begin(scene, victim);
    if (survivor == PROGRAM)
      shm = attach(scene->name, PROGRAM, scene->polling);
    learn_of_death(shm, pid);

    /* A successor; it is found, and all blocks are. */
    scene->then = PAUSE;
    pid = begin(scene, victim);
    CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0);
    CHECK_EQ(shmem_shared_peer_alive(shm), 1);
    check_send(shm, 1, (uint64_t)queuelen);
    check_kill(pid);
    scene->reads = (uint64_t)queuelen;
    pid = begin(scene, victim);
    CHECK_EQ(check_count_free(shm), spare);
    check_kill(pid);
    struct shmem_shared *last = attach(scene->name, victim, scene->polling);
    check_receive_marked(last, 1, (uint64_t)queuelen, true);
    CHECK_EQ(check_count_free(last), queuelen + spare);
    CHECK_EQ(check_count_free(shm), queuelen + spare);
    CHECK_EQ(shmem_shared_close(last, NULL), 0);
    CHECK_EQ(shmem_shared_close(shm, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(scene->name), 0);
  }
}

static void one_that_holds_samples_is_killed(void)
{
  for (uint64_t round = 0; round < check_scaled(100); round++) {
    enum side victim = round & 1 ? NODE : PROGRAM, survivor = round & 1 ? PROGRAM : NODE;
    struct scene *scene = new_scene("hold", round & 2 ? 1 : 0);
    const uint64_t held = 1 + check_chance(10), queued = check_chance(10);
    struct shmem_shared *node = attach(scene->name, NODE, scene->polling);
    struct shmem_shared *program = attach(scene->name, PROGRAM, scene->polling);
    struct shmem_shared *shm = survivor == NODE ? node : program;

    CHECK_EQ(shmem_shared_close(survivor == NODE ? program : node, NULL), 0);
    scene->reads = 0;
    pid_t pid = begin(scene, victim);
    check_send(shm, 1, held + queued);
    check_kill(pid);

    /* Two generations die with the same samples in hand. */
    for (int generation = 0; generation < 2; generation++) {
      scene->reads = held;
      pid = begin(scene, victim);
      check_kill(pid);
    }
    struct shmem_shared *last = attach(scene->name, victim, scene->polling);
    check_receive_marked(last, 1, held, true);
    if (queued)
      check_receive_marked(last, held + 1, held + queued, false);
    struct sample *none;
    CHECK_GIVES(shmem_shared_try_read(last, &none, 1), 0, EAGAIN);
    CHECK_EQ(check_count_free(last), queuelen + spare);
    CHECK_EQ(check_count_free(shm), queuelen + spare);
    check_send(last, 1, 5);
    check_receive(shm, 1, 5);
    CHECK_EQ(shmem_shared_close(last, NULL), 0);
    CHECK_EQ(shmem_shared_close(shm, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(scene->name), 0);
    check_name_count--;
  }
}

static void one_that_waits_for_room_is_killed(void)
{
  for (uint64_t round = 0; round < check_scaled(20); round++) {
    struct scene *scene = new_scene("room", round & 1 ? 1 : 0);
    enum side victim = round & 2 ? NODE : PROGRAM;
    struct shmem_shared *shm = NULL;
    struct sample *none;

    scene->writes = (uint64_t)queuelen;
    scene->then = TIMEDWRITE;
    if (victim == PROGRAM)
      shm = attach(scene->name, NODE, scene->polling);
    pid_t pid = begin(scene, victim);
    if (victim == NODE)
      shm = attach(scene->name, PROGRAM, scene->polling);
    CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0);
    check_kill(pid);
    check_receive(shm, 1, (uint64_t)queuelen);
    CHECK_GIVES(shmem_shared_timed_read(shm, &none, 1, NULL), -1, EPIPE);
    struct shmem_shared *last = attach(scene->name, victim, scene->polling);
    CHECK_EQ(check_count_free(last), queuelen + spare);
    CHECK_EQ(shmem_shared_close(last, NULL), 0);
    CHECK_EQ(shmem_shared_close(shm, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(scene->name), 0);
  }
}

/* A child that a process forked has its descriptors, and outlives it: dead is dead. */
static void a_forked_child_does_not_keep_its_parent_alive(void)
{
  for (int round = 0; round < 4; round++) {
    struct scene *scene = new_scene("fork", round & 1);
    enum side victim = round & 2 ? NODE : PROGRAM;
    struct shmem_shared *shm = NULL;

    scene->with_child = true;
    if (victim == PROGRAM)
      shm = attach(scene->name, NODE, scene->polling);
    pid_t pid = begin(scene, victim);
    if (victim == NODE)
      shm = attach(scene->name, PROGRAM, scene->polling);
    CHECK_EQ(shmem_shared_peer_alive(shm), 1);
    learn_of_death(shm, pid);

    struct shmem_shared *last = attach(scene->name, victim, scene->polling);
    check_send(last, 1, 3);
    check_receive(shm, 1, 3);
    CHECK_EQ(kill(scene->child, SIGKILL), 0);
    CHECK_EQ(shmem_shared_peer_alive(shm), 1);
    CHECK_EQ(shmem_shared_close(last, NULL), 0);
    CHECK_EQ(shmem_shared_close(shm, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(scene->name), 0);
  }
}

static void both_are_killed_and_nobody_has_to_clean_up(void)
{
  for (uint64_t round = 0; round < check_scaled(20); round++) {
    struct scene *node = new_scene("both", 0);
    struct scene *program = check_shared(sizeof *program);

    program->name = node->name;
    node->writes = 5;
    pid_t pid = begin(node, NODE);
    pid_t other = begin(program, PROGRAM);
    check_kill(pid);
    check_kill(other);
    struct shmem_shared *shm = attach(node->name, NODE, 0);
    struct shmem_shared *peer = attach(node->name, PROGRAM, 0);
    struct sample *none;
    CHECK_GIVES(shmem_shared_try_read(peer, &none, 1), 0, EAGAIN); /* another region */
    CHECK_EQ(check_count_free(shm), queuelen + spare);
    CHECK_EQ(check_count_free(peer), queuelen + spare);
    CHECK_EQ(shmem_shared_close(peer, NULL), 0);
    CHECK_EQ(shmem_shared_close(shm, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(node->name), 0);
    check_name_count--;
  }
}

int main(void)
{
  check_begin();
  RUN(one_that_sits_in_read_is_killed);
  RUN(one_that_holds_samples_is_killed);
  RUN(one_that_waits_for_room_is_killed);
  RUN(a_forked_child_does_not_keep_its_parent_alive);
  RUN(both_are_killed_and_nobody_has_to_clean_up);
  return 0;
}
