/* What the C tests share: checks, deadlines, child processes, and a few words to speak over a
 * channel. Include it first. A check that fails ends the process at once with status 1; the
 * program that began the test removes the objects it named, however it ends. */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <villas/shmem.h>

#define UNUSED __attribute__((unused))

enum { CHECK_SKIP = 77, CHECK_NAMES = 512, CHECK_NAME_SIZE = 64 };

static pid_t check_owner;            /* the process that began the test */
static const char *check_test = "?"; /* the sentence that is being checked */
static unsigned int check_limit;     /* seconds by the clock that one of its sentences may take: against hanging where no deadline watches */
static char check_names[CHECK_NAMES][CHECK_NAME_SIZE];
static int check_name_count;
static void (*check_cleanup_more)(void); /* async-signal-safe; what a test's own objects need */

/* ---- ends ------------------------------------------------------------------------------------ */

/* Async-signal-safe. */
static void check_cleanup(void)
{
  char path[CHECK_NAME_SIZE + 16];

  if (getpid() != check_owner)
    return;
  for (int i = 0; i < check_name_count; i++) {
    strcpy(path, "/dev/shm/");
    strcat(path, check_names[i]);
    unlink(path);
  }
  if (check_cleanup_more)
    check_cleanup_more();
}

__attribute__((noreturn)) static void check_exit(int status)
{
  fflush(NULL);
  check_cleanup();
  _exit(status);
}

__attribute__((noreturn, format(printf, 3, 4))) static void check_fail(const char *file, int line,
                                                                       const char *format, ...)
{
  int err = errno;
  va_list args;
  char text[600];

  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "%s:%d: %s: %s (errno %d, %s)\n", file, line, check_test, text, err,
          strerror(err));
  check_exit(1);
}

__attribute__((noreturn)) UNUSED static void check_skip(const char *why)
{
  printf("skipped: %s\n", why);
  check_exit(CHECK_SKIP);
}

static bool check_valgrind(void)
{
  const char *value = getenv("VALGRIND");
  return value && *value && strcmp(value, "0") != 0;
}

/* Runs under something that takes much longer: deadlines are later. */
static bool check_slow(void)
{
  return check_valgrind() || getenv("CHECK_SLOW");
}

/* A repetition count: valgrind is some fifty times slower, and "make check" wants each thing done, not often. */
UNUSED static uint64_t check_scaled(uint64_t count)
{
  uint64_t small = count / 50;
  return check_valgrind() || getenv("CHECK_QUICK") ? (small > 3 ? small : count < 3 ? count : 3) : count;
}

static void check_on_alarm(int number)
{
  static const char text[] = ": the deadline has passed\n";
  ssize_t ignored UNUSED;

  (void)number;
  ignored = write(STDERR_FILENO, check_test, strlen(check_test));
  ignored = write(STDERR_FILENO, text, sizeof text - 1);
  check_cleanup();
  _exit(1);
}

/* Called first in main. Children set their own deadline in check_spawn. */
static void check_begin(void)
{
  check_owner = getpid();
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGALRM, check_on_alarm);
  signal(SIGPIPE, SIG_IGN);
  check_limit = check_slow() ? 580 : 290;
  alarm(check_limit);
  atexit(check_cleanup);
}

static double check_clock(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether CHECK_OMIT, words between spaces, has this one. */
static bool check_is_omitted(const char *name)
{
  const char *words = getenv("CHECK_OMIT");
  char word[100];

  snprintf(word, sizeof word, " %s ", name);
  return words && strstr(words, word);
}

UNUSED static void check_run(const char *name, void (*test)(void))
{
  double begin = check_clock();

  if (check_is_omitted(name))
    return;
  check_test = name;
  alarm(check_limit);
  test();
  if (getenv("CHECK_VERBOSE"))
    fprintf(stderr, "  %-60s %7.3f s\n", name, check_clock() - begin);
}

#define RUN(test) check_run(#test, test)

/* ---- checks ---------------------------------------------------------------------------------- */

#define CHECK(condition)                                                                          \
  do {                                                                                            \
    if (!(condition))                                                                             \
      check_fail(__FILE__, __LINE__, "not true: %s", #condition);                                 \
  } while (0)

#define CHECK_EQ(actual, expected)                                                                \
  do {                                                                                            \
    long long check_actual = (long long)(actual);                                                 \
    long long check_expected = (long long)(expected);                                             \
    if (check_actual != check_expected)                                                           \
      check_fail(__FILE__, __LINE__, "%s is %lld, expected %s = %lld", #actual, check_actual,      \
                 #expected, check_expected);                                                      \
  } while (0)

/* The call gives this value and leaves this errno. */
#define CHECK_GIVES(call, value, error)                                                           \
  do {                                                                                            \
    errno = 0;                                                                                    \
    long long check_actual = (long long)(call);                                                   \
    int check_errno = errno;                                                                      \
    if (check_actual != (value) || check_errno != (error)) {                                      \
      check_fail(__FILE__, __LINE__, "%s gave %lld with errno %d, expected %lld with %s", #call,   \
                 check_actual, check_errno, (long long)(value), #error);                          \
    }                                                                                             \
  } while (0)

/* The call gives a null pointer, leaves this errno, and a sentence for people. */
#define CHECK_REFUSED(call, error)                                                                \
  do {                                                                                            \
    errno = 0;                                                                                    \
    bool check_null = (call) == NULL;                                                             \
    int check_errno = errno;                                                                      \
    const char *check_why = shmem_last_error();                                                   \
    if (!check_null || check_errno != (error)) {                                                  \
      check_fail(__FILE__, __LINE__, "%s gave %s with errno %d, expected NULL with %s; \"%s\"",    \
                 #call, check_null ? "NULL" : "a handle", check_errno, #error, check_why);        \
    }                                                                                             \
    if (!check_why || strlen(check_why) < 8)                                                      \
      check_fail(__FILE__, __LINE__, "%s left no sentence in shmem_last_error()", #call);         \
  } while (0)

#define CHECK_HANDLE(call)                                                                        \
  do {                                                                                            \
    if ((call) == NULL)                                                                           \
      check_fail(__FILE__, __LINE__, "%s gave NULL: \"%s\"", #call, shmem_last_error());           \
  } while (0)

/* A deadline in time in which something could happen. Where more processes want to run than there are processors, or the machine itself
 * stands still for a while, this process and those that it waits for get little of the clock's time: of each step between two looks,
 * which takes a third of a millisecond, no more than five milliseconds count. */
struct check_deadline {
  double left, last;
};

UNUSED static struct check_deadline check_within(double seconds)
{
  return (struct check_deadline){seconds * (check_slow() ? 10 : 1), check_clock()};
}

/* At each look. */
UNUSED static bool check_is_over(struct check_deadline *deadline)
{
  const double now = check_clock(), step = now - deadline->last;

  deadline->last = now;
  deadline->left -= step < 5e-3 ? step : 5e-3;
  return deadline->left < 0;
}

/* Waits for the condition, not for luck; fails when it did not come true in time. */
#define WAIT_UNTIL(condition, seconds)                                                            \
  do {                                                                                            \
    struct check_deadline check_deadline = check_within(seconds);                                 \
    while (!(condition)) {                                                                        \
      if (check_is_over(&check_deadline))                                                         \
        check_fail(__FILE__, __LINE__, "not within %g s: %s", (double)(seconds), #condition);     \
      check_pause();                                                                              \
    }                                                                                             \
  } while (0)

static void check_pause(void)
{
  nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

struct check_watch {
  const char *file, *what;
  int line;
  double seconds;
  _Atomic bool is_over;
};

static void *check_watch_run(void *arg)
{
  struct check_watch *watch = arg;
  struct check_deadline deadline = check_within(watch->seconds);

  for (; !watch->is_over; check_pause())
    if (check_is_over(&deadline))
      check_fail(watch->file, watch->line, "not within %g s: %s", watch->seconds, watch->what);
  return NULL;
}

/* No handler runs in the thread that watches: it would end nobody's wait. */
UNUSED static pthread_t check_watch_begin(struct check_watch *watch)
{
  sigset_t all, before;
  pthread_t thread;

  sigfillset(&all);
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
  CHECK_EQ(pthread_create(&thread, NULL, check_watch_run, watch), 0);
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  return thread;
}

/* A statement that may block, and must not for longer than this; the time counts as that of WAIT_UNTIL. */
#define IN_TIME(limit, statement)                                                                 \
  do {                                                                                            \
    struct check_watch check_watch = {__FILE__, #statement, __LINE__, limit, false};              \
    pthread_t check_watcher = check_watch_begin(&check_watch);                                    \
    statement;                                                                                    \
    check_watch.is_over = true;                                                                   \
    CHECK_EQ(pthread_join(check_watcher, NULL), 0);                                               \
  } while (0)

#define MS(n) (&(struct timespec){.tv_sec = (n) / 1000, .tv_nsec = (n) % 1000 * 1000000L})
/* For what comes for certain, however long the machine stands still. */
#define PATIENT MS(60000)

/* ---- names, memory, chance ------------------------------------------------------------------- */

/* A region name of this test alone; removed at its end. */
UNUSED static const char *check_name(const char *word)
{
  char *name = check_names[check_name_count];

  if (check_name_count == CHECK_NAMES)
    check_fail(__FILE__, __LINE__, "too many names");
  snprintf(name, CHECK_NAME_SIZE, "villas-check-%d-%d-%.24s", (int)check_owner, check_name_count,
           word);
  check_name_count++;
  return name;
}

UNUSED static const char *check_path(const char *name)
{
  static char path[512];

  snprintf(path, sizeof path, "/dev/shm/%s", name);
  return path;
}

/* Zeroed memory that forked children share. */
UNUSED static void *check_shared(size_t size)
{
  const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
  CHECK(memory != MAP_FAILED);
  return memory;
}

UNUSED static uint64_t check_mix(uint64_t x)
{
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* Pseudo-random, from 0 to below - 1; CHECK_SEED in the environment changes the sequence. */
UNUSED static uint64_t check_chance(uint64_t below)
{
  static _Thread_local uint64_t state;
  static _Thread_local pid_t seeded; /* a forked child gets a sequence of its own */

  if (seeded != getpid()) {
    seeded = getpid();
    const char *seed = getenv("CHECK_SEED");
    state = check_mix((seed ? strtoull(seed, NULL, 0) : 1) ^ ((uint64_t)getpid() << 32) ^
                      (uint64_t)syscall(SYS_gettid));
  }
  state = check_mix(state);
  return below ? state % below : 0;
}

/* ---- processes ------------------------------------------------------------------------------- */

/* Forks a child that runs body(arg) and exits with status 0. It dies when the test dies. */
UNUSED static pid_t check_spawn(void (*body)(void *), void *arg)
{
  pid_t parent = getpid();

  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
      _exit(1);
    alarm(check_limit - 10);
    body(arg);
    check_exit(0);
  }
  return pid;
}

/* Waits for the child's end; gives its wait status. */
UNUSED static int check_wait(pid_t pid, double seconds)
{
  int status = 0;
  pid_t ended = 0;

  WAIT_UNTIL((ended = waitpid(pid, &status, WNOHANG)) != 0, seconds);
  CHECK_EQ(ended, pid);
  return status;
}

/* The child ends by itself with status 0. */
#define CHECK_CHILD_ENDS_WELL(pid, seconds)                                                       \
  do {                                                                                            \
    int check_status = check_wait(pid, seconds);                                                  \
    if (check_status != 0)                                                                        \
      check_fail(__FILE__, __LINE__, "the child ended by %s %d",                                  \
                 WIFSIGNALED(check_status) ? "signal" : "status",                                 \
                 WIFSIGNALED(check_status) ? WTERMSIG(check_status) : WEXITSTATUS(check_status)); \
  } while (0)

/* Kills the child, which must have been running until then. */
UNUSED static void check_kill(pid_t pid)
{
  int status;

  CHECK_EQ(kill(pid, SIGKILL), 0);
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
    check_fail(__FILE__, __LINE__, "the child had ended before, with wait status %#x", status);
}

UNUSED static bool check_running(pid_t pid)
{
  return waitpid(pid, NULL, WNOHANG) == 0;
}

/* Whether this thread (or the process, when tid is its pid) sleeps in the kernel. */
UNUSED static bool check_asleep(pid_t pid, pid_t tid)
{
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)tid);

  int fd = open(path, O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0);
  ssize_t size = read(fd, line, sizeof line - 1);
  close(fd);
  CHECK(size > 0);
  line[size] = '\0';

  const char *end = strrchr(line, ')');
  return end && end[1] == ' ' && end[2] == 'S';
}

/* ---- a channel and its words ----------------------------------------------------------------- */

/* Both sides of one channel in this process. */
struct pair {
  const char *name;
  struct shmem_shared *node;
  struct shmem_shared *program;
  void *base;
};

UNUSED static struct shmem_conf check_conf(int polling, int queuelen, int samplelen, int spare)
{
  struct shmem_conf conf = SHMEM_CONF_INIT;

  conf.polling = polling;
  conf.queuelen = queuelen;
  conf.samplelen = samplelen;
  conf.spare = spare;
  return conf;
}

UNUSED static struct pair check_open_pair(const char *word, const struct shmem_conf *conf)
{
  const struct shmem_conf defaults = SHMEM_CONF_INIT;
  struct pair pair = {.name = check_name(word)};

  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, conf ? conf : &defaults));
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  return pair;
}

UNUSED static void check_close_pair(struct pair *pair)
{
  CHECK_EQ(shmem_shared_close(pair->program, pair->base), 0);
  CHECK_EQ(shmem_shared_close(pair->node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(pair->name), 0);
}

/* Allocates one sample that says this number. */
UNUSED static struct sample *check_make(struct shmem_shared *shm, uint64_t number)
{
  struct sample *smp = NULL;

  CHECK_EQ(sample_alloc(&shm->pool, &smp, 1), 1);
  smp->sequence = number;
  smp->length = 1;
  smp->flags = SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_DATA;
  smp->data[0].i = (int64_t)check_mix(number);
  return smp;
}

UNUSED static void check_is(const struct sample *smp, uint64_t number)
{
  CHECK_EQ(smp->sequence, number);
  CHECK_EQ(smp->length, 1);
  CHECK_EQ(smp->data[0].i, (int64_t)check_mix(number));
}

/* Sends the numbers from first to last, one by one. */
UNUSED static void check_send(struct shmem_shared *shm, uint64_t first, uint64_t last)
{
  for (uint64_t number = first; number <= last; number++) {
    struct sample *smp = check_make(shm, number);
    CHECK_EQ(shmem_shared_timed_write(shm, &smp, 1, PATIENT), 1);
  }
}

/* Receives exactly these numbers, all unmarked (or all marked), and puts them. */
UNUSED static void check_receive_marked(struct shmem_shared *shm, uint64_t first, uint64_t last,
                                        bool marked)
{
  for (uint64_t number = first; number <= last; number++) {
    struct sample *smp = NULL;
    CHECK_EQ(shmem_shared_timed_read(shm, &smp, 1, PATIENT), 1);
    check_is(smp, number);
    CHECK_EQ((smp->flags & SAMPLE_REDELIVERED) != 0, marked);
    CHECK_EQ(sample_put(smp), 0);
  }
}

UNUSED static void check_receive(struct shmem_shared *shm, uint64_t first, uint64_t last)
{
  check_receive_marked(shm, first, last, false);
}

/* Samples still cross, both ways. */
UNUSED static void check_works(struct pair *pair)
{
  static uint64_t number;

  number++;
  check_send(pair->node, number, number);
  check_receive(pair->program, number, number);
  check_send(pair->program, number, number);
  check_receive(pair->node, number, number);
}

/* Allocates all that this side can, counts, gives all back. */
UNUSED static unsigned int check_count_free(struct shmem_shared *shm)
{
  enum { MOST = 8192 };
  struct sample **smps = calloc(MOST, sizeof *smps); /* not of the thread, whose stack that would be */
  unsigned int count = 0;
  int got;

  CHECK(smps);
  do {
    unsigned int room = MOST - count;
    got = sample_alloc(&shm->pool, smps + count, room < 100 ? room : 100);
    CHECK(got >= 0);
    count += (unsigned int)got;
  } while (got > 0);
  for (unsigned int i = 0; i < count; i++)
    CHECK_EQ(sample_put(smps[i]), 0);
  free(smps);
  return count;
}

#endif
