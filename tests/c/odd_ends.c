/* The odd ways in which a process ends, or seems to: each is known for what it is, whoever is left behind with the dead one's memory, number or
 * descriptors. */
#include "odd_peer.h"

#include <dirent.h>
#include <spawn.h>

static struct scene *scene;
static struct end mine;

__attribute__((noreturn)) static void stay(void)
{
  for (;;)
    pause();
}

static void stay_there(struct scene *s)
{
  s->stage = 1;
  stay();
}

/* It has ended, and is a zombie. */
static void await_zombie(pid_t pid)
{
  siginfo_t info = {0};

  WAIT_UNTIL(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == pid, 20);
}

static void reap(pid_t pid)
{
  CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

/* ---- nobody is left -------------------------------------------------------------------------- */

static void a_zombie_is_dead(void)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin(scene, &mine, kind, stay_there);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    check_dead(&mine, 2);
    CHECK_EQ(kill(pid, 0), 0); /* it is there still */
    reap(pid);
    end_scene(&mine);
  }
}

/* The node has read what it wrote, and has not yet had a reason to ask whether it lives. */
static void a_program_that_dies_before_anybody_has_asked_for_it_is_dead(void)
{
  pid_t pid = begin(scene, &mine, PROGRAM, stay_there);

  check_kill(pid);
  check_dead(&mine, 2);
  end_scene(&mine);
}

static void leave_by_exit(struct scene *s)
{
  (void)s;
  check_exit(0);
}

static void who_exits_without_a_close_is_dead(void)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin(scene, &mine, kind, leave_by_exit);
    await_zombie(pid);
    check_dead(&mine, 2);
    CHECK_CHILD_ENDS_WELL(pid, 10);
    end_scene(&mine);
  }
}

static void leave_by_abort(struct scene *s)
{
  (void)s;
  abort();
}

/* The core is allowed; where one is written, death is when it is complete. */
static void who_aborts_is_dead(void)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin(scene, &mine, kind, leave_by_abort);
    await_zombie(pid);
    check_dead(&mine, 2);
    int status = check_wait(pid, 10);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    end_scene(&mine);
  }
}

/* ---- somebody is left ------------------------------------------------------------------------ */

static void become_another_program(struct scene *s)
{
  s->stage = 1;
  execlp("sleep", "sleep", "50", (char *)NULL);
  _exit(1);
}

static bool has_open(pid_t pid, const char *name)
{
  char path[64], target[256], wanted[256];
  struct dirent *entry;
  bool found = false;

  snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  snprintf(wanted, sizeof wanted, "%s", check_path(name));
  DIR *fds = opendir(path);
  CHECK(fds);
  while ((entry = readdir(fds))) {
    ssize_t size = readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);
    target[size > 0 ? size : 0] = '\0';
    found |= strcmp(target, wanted) == 0;
  }
  CHECK_EQ(closedir(fds), 0);
  return found;
}

/* Descriptors are close-on-exec, and the mapping goes: the end dies, though the process lives. */
static void who_becomes_another_program_is_dead(void)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin(scene, &mine, kind, become_another_program);
    check_dead(&mine, 10);
    CHECK(check_running(pid));
    WAIT_UNTIL(!has_open(pid, mine.name), 10); /* the first to be closed tells of the death */
    check_kill(pid);
    end_scene(&mine);
  }
}

static void leave_a_child(struct scene *s)
{
  pid_t child = fork();

  if (child == 0)
    stay();
  s->pids[0] = child;
  s->stage = 1;
  stay();
}

/* What it leaves behind lives on, and is ended by the test. */
static void die_and_leave(void (*oddity)(struct scene *), bool is_seen)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin(scene, &mine, kind, oddity);
    await_stage(scene, 1);
    if (is_seen)
      check_alive(&mine);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    reap(pid);
    check_dead(&mine, 3);
    CHECK_EQ(kill(scene->pids[0], 0), 0); /* what it has left lives */
    if (kind != WIRE) {
      struct end successor = {.kind = kind, .name = mine.name};
      open_odd(&successor); /* the place is free */
      CHECK_EQ(close_odd(&successor), 0);
    }
    CHECK_EQ(kill(scene->pids[0], SIGKILL), 0);
    end_scene(&mine);
  }
}

static void a_forked_child_does_not_stand_for_its_parent(void)
{
  die_and_leave(leave_a_child, false);
}

/* Without the C library's knowledge: no handler runs, so that the descriptors, and with them the locks, are the child's too. */
static void leave_a_hidden_child(struct scene *s)
{
  pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

  if (child == 0)
    stay();
  CHECK(child > 0);
  s->pids[0] = child;
  s->stage = 1;
  stay();
}

static void a_child_that_was_cloned_behind_our_back_does_not_stand_for_its_parent(void)
{
  die_and_leave(leave_a_hidden_child, false);
}

/* The child has the parent's memory, mapping and locks, and keeps them when the parent is killed. */
static void leave_a_child_in_vfork(struct scene *s)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  if (vfork() == 0) {
#pragma GCC diagnostic pop
    s->pids[0] = (pid_t)syscall(SYS_getpid);
    s->stage = 1;
    for (;;)
      syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
  }
  check_fail(__FILE__, __LINE__, "vfork returned to the parent");
}

static void a_child_in_vfork_does_not_stand_for_its_parent(void)
{
  if (check_valgrind())
    return; /* which makes a fork of it */
  die_and_leave(leave_a_child_in_vfork, false);
}

static void start_a_program(struct scene *s)
{
  char *const arguments[] = {"sleep", "50", NULL};
  char *const environment[] = {NULL};
  pid_t child;

  CHECK_EQ(posix_spawnp(&child, "sleep", NULL, NULL, arguments, environment), 0);
  s->pids[0] = child;
  s->stage = 1;
  stay();
}

static void a_program_that_it_started_does_not_stand_for_it(void)
{
  die_and_leave(start_a_program, true);
}

/* ---- the parent goes, the child goes on ------------------------------------------------------ */

static void become_a_daemon(struct scene *s)
{
  pid_t child = fork();

  CHECK(child >= 0);
  if (child > 0)
    _exit(0);
  alarm(check_limit - 10);
  s->pids[0] = getpid();
  check_is_the_parents(&s->odd);
  s->stage = 1;
  await_go(s, 1);
  open_odd(&s->odd);
  odd_passes(&s->odd, 2);
  s->stage = 2;
  await_go(s, 2);
  close_odd(&s->odd);
  s->stage = 3;
  _exit(0);
}

/* `daemon(3)` comes before the opening: what was open is the parent's, and dies with it. The child may open it anew. */
static void a_daemon_has_lost_what_it_had_opened_and_may_open_it_anew(void)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin(scene, &mine, kind, become_a_daemon);
    struct sample *smp;

    await_stage(scene, 1);
    CHECK_CHILD_ENDS_WELL(pid, 10);
    if (kind == NODE || kind == PROGRAM)
      CHECK_GIVES(shmem_shared_timed_read(mine.shm, &smp, 1, NULL), -1, EPIPE);
    if (kind == WIRE) {
      CHECK_GIVES(shmem_int_timed_read(&mine.wire, &smp, 1, NULL), -1, EPIPE);
      CHECK_EQ(shmem_int_close(&mine.wire), 0);
    }
    scene->go = 1;
    if (kind == NODE || kind == PROGRAM)
      CHECK_EQ(shmem_shared_wait(mine.shm, PATIENT), 0);
    if (kind == WIRE)
      open_wire(&mine, scene->odd.other, scene->odd.name);
    test_passes(&mine, 2);
    await_stage(scene, 2);
    scene->go = 2;
    await_stage(scene, 3);
    end_scene(&mine);
  }
}

int main(void)
{
  check_begin();
  scene = check_shared(sizeof *scene);
  RUN(a_zombie_is_dead);
  RUN(a_program_that_dies_before_anybody_has_asked_for_it_is_dead);
  RUN(who_exits_without_a_close_is_dead);
  RUN(who_aborts_is_dead);
  RUN(who_becomes_another_program_is_dead);
  RUN(a_forked_child_does_not_stand_for_its_parent);
  RUN(a_child_that_was_cloned_behind_our_back_does_not_stand_for_its_parent);
  RUN(a_child_in_vfork_does_not_stand_for_its_parent);
  RUN(a_program_that_it_started_does_not_stand_for_it);
  RUN(a_daemon_has_lost_what_it_had_opened_and_may_open_it_anew);
  return 0;
}
