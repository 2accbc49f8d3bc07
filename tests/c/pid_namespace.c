/* A peer in another pid namespace, with the same /dev/shm, as in a container: its number means
 * nothing here, and yet its death is known, and its life too. */
#include "check.h"

#include <sched.h>

struct scene {
  const char *name;
  bool is_node;
  bool with_child; /* a child of the victim lives on, and has inherited all */
  _Atomic pid_t victim, child; /* their numbers out here */
  _Atomic bool ready, refused;
};

/* /proc is that of our own namespace, here and there. */
static pid_t number_out_here(void)
{
  char text[32];
  ssize_t size = readlink("/proc/self", text, sizeof text - 1);

  CHECK(size > 0);
  text[size] = '\0';
  return (pid_t)atoi(text);
}

static void victim(struct scene *scene)
{
  struct shmem_conf conf = check_conf(0, 8, 1, 8);
  struct shmem_shared *shm;
  void *base;

  if (scene->is_node)
    shm = shmem_shared_create(scene->name, &conf);
  else
    shm = shmem_shared_open(scene->name, &base);
  CHECK_HANDLE(shm);
  check_send(shm, 1, 3);
  if (scene->with_child && fork() == 0) {
    scene->child = number_out_here();
    scene->ready = true;
    for (;;)
      pause();
  }
  scene->victim = number_out_here();
  if (!scene->with_child)
    scene->ready = true;
  for (;;)
    pause();
}

/* The first process of the namespace; when it dies, all in there do. */
static void init(void *arg)
{
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (fork() == 0)
    victim(arg);
  for (;;)
    pause(); /* does not reap: the victim stays a zombie */
}

static void enter_namespace(void *arg)
{
  struct scene *scene = arg;

  if (unshare(CLONE_NEWPID) != 0) {
    scene->refused = true;
    return;
  }
  if (fork() == 0)
    init(scene);
  for (;;)
    pause();
}

static pid_t begin(struct scene *scene)
{
  pid_t pid = check_spawn(enter_namespace, scene);

  WAIT_UNTIL((scene->ready && scene->victim) || scene->refused || !check_running(pid), 5);
  if (scene->refused)
    check_skip("no pid namespace may be made here");
  CHECK(scene->ready);
  return pid;
}

static void die_in_there(bool is_node, bool with_child)
{
  struct scene *scene = check_shared(sizeof *scene);
  struct shmem_conf conf = check_conf(0, 8, 1, 8);
  struct shmem_shared *shm, *last;
  struct sample *smp;
  pid_t pid;
  void *base;

  scene->name = check_name("namespace");
  scene->is_node = is_node;
  scene->with_child = with_child;
  if (is_node) {
    pid = begin(scene);
    CHECK_HANDLE(shm = shmem_shared_open(scene->name, &base));
  } else {
    CHECK_HANDLE(shm = shmem_shared_create(scene->name, &conf));
    pid = begin(scene);
  }
  CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0);
  CHECK_EQ(shmem_shared_peer_alive(shm), 1);
  check_receive(shm, 1, 3);
  CHECK_GIVES(shmem_shared_timed_read(shm, &smp, 1, MS(300)), 0, ETIMEDOUT); /* it lives */
  if (is_node)
    CHECK_REFUSED(shmem_shared_create(scene->name, &conf), EBUSY);
  else
    CHECK_REFUSED(shmem_shared_open(scene->name, &base), EBUSY);

  CHECK_EQ(kill(scene->victim, SIGKILL), 0);
  IN_TIME(2, CHECK_GIVES(shmem_shared_timed_read(shm, &smp, 1, NULL), -1, EPIPE));
  CHECK_EQ(shmem_shared_peer_alive(shm), 0);

  last = is_node ? shmem_shared_create(scene->name, &conf) : shmem_shared_open(scene->name, &base);
  CHECK_HANDLE(last);
  check_send(last, 1, 3);
  check_receive(shm, 1, 3);
  check_kill(pid);
  CHECK_EQ(shmem_shared_close(last, NULL), 0);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

static void the_death_of_a_node_in_another_namespace_is_known(void)
{
  die_in_there(true, false);
}

static void the_death_of_a_program_in_another_namespace_is_known(void)
{
  die_in_there(false, false);
}

static void a_forked_child_in_there_does_not_keep_its_parent_alive(void)
{
  die_in_there(true, true);
  die_in_there(false, true);
}

int main(void)
{
  check_begin();
  if (geteuid() != 0)
    check_skip("a pid namespace must be made: run it as root");
  RUN(the_death_of_a_node_in_another_namespace_is_known);
  RUN(the_death_of_a_program_in_another_namespace_is_known);
  RUN(a_forked_child_in_there_does_not_keep_its_parent_alive);
  return 0;
}
