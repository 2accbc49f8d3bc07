/* A node that replaces what others have left takes both sides of it for a moment. Where it stands still just then, a program that waits for a
 * region goes on waiting, for the one that comes. */
#include "check.h"

struct scene {
  const char *name;
  _Atomic bool in_unlink, go_on;
};

/* The library's; the node stops here, with both sides claimed. */
static struct scene *stops_in_unlink;

int unlink(const char *path)
{
  if (stops_in_unlink) {
    stops_in_unlink->in_unlink = true;
    WAIT_UNTIL(stops_in_unlink->go_on, 20);
    stops_in_unlink = NULL;
  }
  return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

/* As a node that dies with something to read in its region. */
static void leave(void *name)
{
  struct shmem_shared *shm;

  CHECK_HANDLE(shm = shmem_shared_create(name, NULL));
  check_send(shm, 1, 1);
  _exit(0);
}

static void replace(void *arg)
{
  struct scene *scene = arg;
  struct shmem_shared *shm;

  stops_in_unlink = scene;
  CHECK_HANDLE(shm = shmem_shared_create(scene->name, NULL));
  check_send(shm, 7, 7);
  CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0);
  check_receive(shm, 8, 8);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

struct opener {
  const char *name;
  struct shmem_shared *shm;
};

static void *open_in_time(void *arg)
{
  struct opener *opener = arg;

  opener->shm = shmem_shared_timed_open(opener->name, NULL, PATIENT);
  return NULL;
}

static void a_program_waits_for_a_node_that_stands_still_while_it_replaces_a_region(void)
{
  struct scene *scene = check_shared(sizeof *scene);
  struct opener opener = {.name = scene->name = check_name("replaced")};
  pthread_t thread;

  CHECK_CHILD_ENDS_WELL(check_spawn(leave, (void *)scene->name), 10);
  pid_t pid = check_spawn(replace, scene);
  WAIT_UNTIL(scene->in_unlink, 10);
  CHECK_REFUSED(shmem_shared_open(scene->name, NULL), EAGAIN);
  CHECK_GIVES(shmem_shared_timed_open(scene->name, NULL, MS(10)) != NULL, 0, ETIMEDOUT);
  CHECK_EQ(pthread_create(&thread, NULL, open_in_time, &opener), 0);
  scene->go_on = true;
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_HANDLE(opener.shm);
  check_receive(opener.shm, 7, 7);
  check_send(opener.shm, 8, 8);
  CHECK_CHILD_ENDS_WELL(pid, 10);
  CHECK_EQ(shmem_shared_close(opener.shm, NULL), 0);
}

/* It is asked for more than there is. */
static void what_a_node_has_left_stays_where_the_next_cannot_be_made(void)
{
  const char *name = check_name("left");
  struct shmem_conf most = check_conf(0, 1 << 20, 12000, 4); /* 190 GiB */
  struct shmem_shared *program;

  CHECK_CHILD_ENDS_WELL(check_spawn(leave, (void *)name), 10);
  CHECK_REFUSED(shmem_shared_create(name, &most), ENOSPC);
  CHECK_HANDLE(program = shmem_shared_open(name, NULL));
  check_receive(program, 1, 1);
  CHECK_EQ(shmem_shared_close(program, NULL), 0);
}

int main(void)
{
  check_begin();
  RUN(a_program_waits_for_a_node_that_stands_still_while_it_replaces_a_region);
  RUN(what_a_node_has_left_stays_where_the_next_cannot_be_made);
  return 0;
}
