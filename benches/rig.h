/* The measuring rig: two processes, each pinned to a processor of its own.
 *
 * The node (parent, cpu 0) and the program (forked child, cpu 1) live as long as the run.
 * Yardsticks and contenders are tasks: a part for each of the two, run by the same two processes,
 * slice by slice. Whatever waits here waits under an alarm, which also ends a library call that
 * never returns. */
#ifndef BENCHES_RIG_H
#define BENCHES_RIG_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NODE_CPU = 0, PROGRAM_CPU = 1, DEADLINE_S = 10, MAX_OBJECTS = 8 };
#define SETTLE_NS 50e3 /* from falling asleep to the next turn: lets the virtual core halt */

struct channel;

/* What both processes do in a slice of `count` items. Tasks are static objects, at one address in
 * both processes. */
struct task {
  const char *name;
  double (*node)(const struct task *, uint64_t count);  /* ns for all; NULL: program_result() */
  void (*program)(const struct task *, uint64_t count); /* NULL: nothing to do */
  struct channel *channel;
  unsigned int batch;
};

/* Shared by the two processes; each word has one writer. */
struct rig_words {
  _Alignas(128) _Atomic(const struct task *) task; /* node: NULL ends the program */
  _Atomic uint64_t count;
  _Atomic uint64_t ordered;
  _Alignas(128) _Atomic uint64_t started; /* program: the order that it works on */
  _Alignas(128) _Atomic uint64_t finished;
  _Atomic double result;
};

static struct {
  struct rig_words *words;
  pid_t program; /* in the program itself: 0 */
  uint64_t order;
  int peer_stat; /* /proc/PID/stat of the other process */
  const char *volatile doing;
  char objects[MAX_OBJECTS][64]; /* paths that must not outlive the run */
} rig;

static inline double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Async-signal-safe. */
static inline _Noreturn void rig_abandon(void) {
  if (rig.program > 0) {
    for (int i = 0; i < MAX_OBJECTS; i++)
      if (rig.objects[i][0])
        unlink(rig.objects[i]);
    signal(SIGCHLD, SIG_DFL); /* its end is no news */
    kill(rig.program, SIGKILL);
    waitpid(rig.program, NULL, 0);
  }
  _exit(1);
}

__attribute__((format(printf, 1, 2))) static inline _Noreturn void fail(const char *format, ...) {
  int error = errno; /* for %m */
  va_list args;
  fprintf(stderr, "bench: %s: ", rig.program ? "node" : "program");
  errno = error;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  rig_abandon();
}

/* The line is written as a whole: the other process may speak at the same time. */
static inline void rig_on_signal(int sig) {
  char line[160] = "bench: ";
  strcat(line, rig.program ? "node: " : "program: ");
  if (sig == SIGALRM) {
    strcat(line, "no end within 10 s");
  } else if (sig == SIGCHLD) {
    strcat(line, "the program ended early");
  } else {
    strcat(line, "SIG");
    strcat(line, sigabbrev_np(sig));
  }
  strcat(line, ", during: ");
  strncat(line, rig.doing ? rig.doing : "start", 80);
  strcat(line, "\n");
  ssize_t unused = write(STDERR_FILENO, line, strlen(line));
  (void)unused;
  rig_abandon();
}

/* Registers an object in /dev/shm for removal when the run fails; returns its path. */
static inline const char *rig_object(const char *name) {
  char path[sizeof rig.objects[0]];
  snprintf(path, sizeof path, "/dev/shm/%s", name);
  for (int i = 0; i < MAX_OBJECTS; i++) {
    if (!rig.objects[i][0])
      strcpy(rig.objects[i], path);
    if (!strcmp(rig.objects[i], path))
      return rig.objects[i];
  }
  fail("more than %d objects", MAX_OBJECTS);
}

static inline void rig_pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set))
    fail("cannot run on cpu %d: %m (two processors are needed)", cpu);
}

static inline void rig_watch_peer(pid_t peer) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)peer);
  rig.peer_stat = open(path, O_RDONLY | O_CLOEXEC);
  if (rig.peer_stat < 0)
    fail("%s: %m", path);
}

static inline _Noreturn void rig_program(pid_t node) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  rig_pin(PROGRAM_CPU);
  rig_watch_peer(node);
  for (uint64_t order = 1;; order++) {
    while (atomic_load_explicit(&rig.words->ordered, memory_order_acquire) != order)
      ;
    const struct task *task = rig.words->task;
    if (!task)
      _exit(0);
    rig.doing = task->name;
    alarm(DEADLINE_S);
    atomic_store_explicit(&rig.words->started, order, memory_order_release);
    if (task->program)
      task->program(task, rig.words->count);
    atomic_store_explicit(&rig.words->finished, order, memory_order_release);
  }
}

/* Forks the program. Whatever the two share afterwards, they open each for itself. */
static inline void rig_start(void) {
  rig.words =
      mmap(NULL, sizeof *rig.words, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (rig.words == MAP_FAILED)
    fail("mmap: %m");
  const int ends[] = {SIGALRM, SIGTERM, SIGHUP, SIGPIPE, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    signal(ends[i], rig_on_signal);
  signal(SIGINT, SIG_IGN); /* in the program: a terminal's ^C is the node's business */
  pid_t node = getpid();
  pid_t program = fork();
  if (program < 0)
    fail("fork: %m");
  if (program == 0)
    rig_program(node);
  rig.program = program;
  signal(SIGCHLD, rig_on_signal);
  signal(SIGINT, rig_on_signal);
  rig_pin(NODE_CPU);
  rig_watch_peer(program);
}

static inline void rig_order(const struct task *task, uint64_t count) {
  rig.words->task = task;
  rig.words->count = count;
  atomic_store_explicit(&rig.words->ordered, ++rig.order, memory_order_release);
}

static inline void rig_stop(void) {
  alarm(DEADLINE_S);
  rig.doing = "stop";
  signal(SIGCHLD, SIG_DFL);
  rig_order(NULL, 0);
  waitpid(rig.program, NULL, 0);
  alarm(0);
}

/* For the node's part of a task: the program's part is over. */
static inline void await_program(void) {
  while (atomic_load_explicit(&rig.words->finished, memory_order_acquire) != rig.order)
    ;
}

static inline double program_result(void) {
  await_program();
  return rig.words->result;
}

/* Runs one slice; ns per item. */
static inline double rig_run(const struct task *task, uint64_t count) {
  rig.doing = task->name;
  alarm(DEADLINE_S);
  rig_order(task, count);
  while (atomic_load_explicit(&rig.words->started, memory_order_acquire) != rig.order)
    ;
  double ns = task->node ? task->node(task, count) : program_result();
  await_program();
  return ns / (double)count;
}

/* Returns when the other process sleeps, and has slept for SETTLE_NS. The kernel is asked (the
 * state in /proc/PID/stat), so that no knowledge of how long a contender spins is needed. */
static inline void await_peer_asleep(void) {
  char stat[256];
  const char *state;
  do {
    ssize_t n = pread(rig.peer_stat, stat, sizeof stat - 1, 0);
    if (n <= 0)
      fail("the other process is gone");
    stat[n] = 0;
    state = strrchr(stat, ')'); /* ends the command name; " S" follows a sleeper's */
  } while (!state || state[2] != 'S');
  for (double end = now_ns() + SETTLE_NS; now_ns() < end;)
    ;
}

#endif
