/* Processes of other pid namespaces, and a pid that is given to another process: for the kernel's locks numbers mean nothing, and where a lock is in the
 * hands of a child that the dead one left, its start time tells it from who has its number now. */
#include "odd_peer.h"

#include <sched.h>
#include <sys/mount.h>

static struct scene *scene;
static struct end mine;

__attribute__((noreturn)) static void stay(void)
{
  for (;;)
    pause();
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

/* ---- a number that is used again ------------------------------------------------------------- */

/* Gives the number of the process, in clock ticks since boot. */
static unsigned long long start_of(pid_t pid)
{
  char path[64], line[1024];
  unsigned long long start = 0;

  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "re");
  CHECK(file && fgets(line, sizeof line, file));
  CHECK_EQ(fclose(file), 0);
  const char *rest = strrchr(line, ')');
  CHECK(rest);
  for (int field = 2; field < 22; field++)
    CHECK(rest = strchr(rest + 1, ' '));
  CHECK_EQ(sscanf(rest, "%llu", &start), 1);
  return start;
}

/* A process with this number, which is free: the next one after what the kernel is told was the last. */
static pid_t fork_with_number(pid_t number)
{
  for (int attempt = 0; attempt < 100; attempt++) {
    FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "we");

    if (!last)
      check_skip("the kernel does not let us choose a pid (ns_last_pid)");
    CHECK(fprintf(last, "%d", (int)number - 1) > 0);
    CHECK_EQ(fclose(last), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      stay();
    }
    if (pid == number)
      return pid;
    check_kill(pid);
  }
  check_fail(__FILE__, __LINE__, "no process got the number %d", (int)number);
}

/* In a pid namespace of its own, with its own /proc: the dead one's locks are in the hands of a hidden child, and another process has its number.
 * Only the start time tells that it is another. */
static void reuse_numbers(void)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin(scene, &mine, kind, leave_a_hidden_child);
    await_stage(scene, 1);
    check_alive(&mine); /* longer than a clock tick, so that start times differ */
    unsigned long long start = start_of(pid);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    pid_t other = fork_with_number(pid);
    CHECK(start_of(other) != start);
    check_dead(&mine, 4);
    check_kill(other);
    CHECK_EQ(kill(scene->pids[0], SIGKILL), 0);
    end_scene(&mine);
  }
}

struct apart {
  void (*body)(void);
  _Atomic bool refused;
};

/* The first process of a pid namespace of its own, with the same /dev/shm. */
static void run_apart(void *arg)
{
  struct apart *apart = arg;

  if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
    apart->refused = true;
    return;
  }
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(check_limit - 10);
    if (mount("proc", "/proc", "proc", 0, NULL) != 0)
      apart->refused = true;
    else
      apart->body();
    check_owner = getpid(); /* the names that it used in there */
    check_exit(0);
  }
  CHECK_CHILD_ENDS_WELL(pid, 45);
}

static void a_number_that_is_used_again_is_no_life(void)
{
  struct apart *apart = check_shared(sizeof *apart);

  apart->body = reuse_numbers;
  pid_t pid = check_spawn(run_apart, apart);
  CHECK_CHILD_ENDS_WELL(pid, 50);
  if (apart->refused)
    check_skip("no pid namespace with a /proc of its own may be made here");
}

/* ---- another namespace ----------------------------------------------------------------------- */

/* Its number out here: /proc is still that of this namespace. */
static pid_t number_out_here(void)
{
  char text[32];
  ssize_t size = readlink("/proc/self", text, sizeof text - 1);

  CHECK(size > 0);
  text[size] = '\0';
  return (pid_t)atoi(text);
}

static void stay_there(struct scene *s)
{
  s->pids[0] = number_out_here();
  s->stage = 1;
  stay();
}

/* It is seen alive, and its death too, while it is a zombie. */
static void life_and_death_in_another_namespace_are_known(void)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin_in_namespace(scene, &mine, kind, stay_there);

    await_stage(scene, 1);
    check_alive(&mine);
    CHECK_EQ(kill(scene->pids[0], SIGKILL), 0);
    check_dead(&mine, 2);
    check_kill(pid);
    end_scene(&mine);
  }
}

int main(void)
{
  check_begin();
  if (geteuid() != 0)
    check_skip("a pid namespace must be made: run it as root");
  if (check_valgrind())
    check_skip("valgrind needs the /proc that it began with");
  scene = check_shared(sizeof *scene);
  RUN(life_and_death_in_another_namespace_are_known);
  RUN(a_number_that_is_used_again_is_no_life);
  return 0;
}
