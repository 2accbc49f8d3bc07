/* Descriptors to poll through the life of a process: fork, exec, closes at any moment, signals and priority of the helper threads, the
 * library unloaded. */
#include "poll_both.h"

#include <dlfcn.h>
#include <sched.h>

/* ---- fork and exec --------------------------------------------------------------------------- */

static struct both sets[SETS];

static int count_polled(void)
{
  return poll_count_descriptors("eventfd") + poll_count_descriptors("pidfd");
}

static void open_its_own(void *arg)
{
  struct both own;

  (void)arg;
  own_names();
  CHECK_EQ(count_polled(), 0);
  CHECK_EQ(poll_count_threads(), 1);
  CHECK_GIVES(poll_try_fd(&sets[0].taker, SHMEM_FD_READ), -1, EPIPE);
  CHECK_GIVES(poll_try_fd(&sets[2].taker, SHMEM_FD_READ), -1, EPIPE);
  for (int i = 0; i < SETS; i++) {
    open_both(&own, set_kinds[i]);
    for (int round = 0; round < 3; round++)
      cross(&own);
    close_both(&own);
  }
}

static void a_child_has_no_descriptor_and_makes_its_own(void)
{
  for (int i = 0; i < SETS; i++)
    open_both(&sets[i], set_kinds[i]);
  for (uint64_t round = 0; round < check_scaled(25); round++) {
    pid_t pid = check_spawn(open_its_own, NULL);
    while (check_running(pid))
      for (int i = 0; i < SETS; i++)
        cross(&sets[i]);
  }
  for (int i = 0; i < SETS; i++)
    cross(&sets[i]);
  for (int i = 0; i < SETS; i++)
    close_both(&sets[i]);
}

static _Atomic bool is_enough;

static void *cross_meanwhile(void *both)
{
  while (!is_enough)
    cross(both);
  return NULL;
}

static void forks_beside_traffic_leave_children_nothing(void)
{
  pthread_t threads[SETS];

  is_enough = false;
  for (int i = 0; i < SETS; i++) {
    open_both(&sets[i], set_kinds[i]);
    CHECK_EQ(pthread_create(&threads[i], NULL, cross_meanwhile, &sets[i]), 0);
  }
  for (uint64_t round = 0; round < check_scaled(40); round++)
    CHECK_CHILD_ENDS_WELL(check_spawn(open_its_own, NULL), 60);
  is_enough = true;
  for (int i = 0; i < SETS; i++) {
    CHECK_EQ(pthread_join(threads[i], NULL), 0);
    close_both(&sets[i]);
  }
}

static const char *program;

static void become_another(void *arg)
{
  struct both both;

  (void)arg;
  open_both(&both, POLL_OWN);
  cross(&both);
  execl(program, program, "after exec", (char *)NULL);
  _exit(99);
}

static void another_program_inherits_none(void)
{
  CHECK_CHILD_ENDS_WELL(check_spawn(become_another, NULL), 20);
}

/* ---- closes ---------------------------------------------------------------------------------- */

static void *read_until_closed(void *arg)
{
  struct both *both = arg;
  uint64_t number;
  int got;

  do {
    struct pollfd polled = {.fd = both->reads, .events = POLLIN};
    poll(&polled, 1, 5); /* its number may be another's already */
    got = poll_take(&both->taker, &number, 1);
  } while (got >= 0);
  CHECK(errno == EPIPE || errno == EINVAL);
  return NULL;
}

static void a_thread_closes_what_another_polls(void)
{
  int descriptors = 0;

  for (uint64_t round = 0; round < check_scaled(300); round++) {
    struct both both = {.place = poll_new_place(round % 2 ? POLL_OWN : POLL_MPMC, 4)};
    pthread_t reader;
    open_place(&both);
    CHECK_EQ(pthread_create(&reader, NULL, read_until_closed, &both), 0);
    for (uint64_t i = check_chance(20); i > 0; i--)
      CHECK(poll_give(&both.giver, i) >= 0);
    poll_close(&both.taker);
    CHECK_EQ(pthread_join(reader, NULL), 0);
    poll_close(&both.giver);
    CHECK_EQ(shmem_shared_unlink(both.place.names[0]), 0);
    check_name_count = 0;
    if (round == 0) /* from then on the process has its helpers */
      descriptors = poll_count_descriptors(NULL);
  }
  WAIT_UNTIL(poll_count_descriptors(NULL) <= descriptors, 10);
}

static struct shmem_shared *volatile victim;
static _Atomic int closes;

static void close_the_victim(int number)
{
  const int err = errno;

  (void)number;
  if (victim && shmem_shared_close(victim, NULL) == 0)
    closes++;
  victim = NULL;
  errno = err;
}

/* The handler may interrupt the making of the descriptor, a read that lets it rest, or anything between. */
static void a_signal_handler_closes_at_any_moment(void)
{
  const char *name = check_name("handler");
  const int descriptors = poll_count_descriptors(NULL);
  struct sigaction action = {.sa_handler = close_the_victim};
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  const uint64_t rounds = check_scaled(1000);

  CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  timer_t timer;
  CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  closes = 0;
  for (uint64_t round = 0; round < rounds; round++) {
    struct shmem_shared *shm;
    struct sample *smp;
    int got = 0;
    CHECK_HANDLE(shm = shmem_shared_create(name, &conf));
    victim = shm;
    struct itimerspec soon = {.it_value.tv_nsec = 1 + (long)check_chance(check_chance(2) ? 60000 : 8000)};
    CHECK_EQ(timer_settime(timer, 0, &soon, NULL), 0);
    const int fd = shmem_shared_fd(shm, SHMEM_FD_READ);
    CHECK(fd >= 0 || errno == EPIPE);
    while (got >= 0)
      if ((got = shmem_shared_try_read(shm, &smp, 1)) == 1)
        CHECK_EQ(sample_put(smp), 0);
    CHECK_EQ(errno, EPIPE);
    if (fd >= 0) /* a helper may be the last to leave */
      WAIT_UNTIL(fcntl(fd, F_GETFD) < 0, 10);
  }
  CHECK_EQ(timer_delete(timer), 0);
  CHECK_EQ(closes, rounds);
  CHECK_EQ(shmem_shared_unlink(name), 0);
  WAIT_UNTIL(poll_count_descriptors(NULL) <= descriptors, 10);
}

static void a_name_is_free_at_once_after_a_close(void)
{
  const char *name = check_name("again");
  struct shmem_conf conf = check_conf(0, 4, 1, 0);

  for (uint64_t round = 0; round < check_scaled(3000); round++) {
    struct shmem_shared *node, *program_side;
    struct sample *smp;
    CHECK_HANDLE(node = shmem_shared_create(name, &conf));
    CHECK_HANDLE(program_side = shmem_shared_open(name, NULL));
    CHECK(shmem_shared_fd(node, SHMEM_FD_READ) >= 0 && shmem_shared_fd(program_side, SHMEM_FD_READ) >= 0);
    if (check_chance(2)) {
      check_send(node, 1, 1);
      check_receive(program_side, 1, 1);
      CHECK_GIVES(shmem_shared_try_read(program_side, &smp, 1), 0, EAGAIN);
    }
    CHECK_EQ(shmem_shared_close(program_side, NULL), 0);
    CHECK_HANDLE(program_side = shmem_shared_open(name, NULL));
    CHECK(shmem_shared_fd(program_side, SHMEM_FD_WRITE) >= 0);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_EQ(shmem_shared_close(program_side, NULL), 0);
  }
  CHECK_EQ(shmem_shared_unlink(name), 0);
}

static void opens_and_closes_leave_nothing(void)
{
  struct both both;
  int threads = 0, descriptors = 0;

  for (uint64_t round = 0; round < check_scaled(2000) + 20; round++) {
    both = (struct both){.place = poll_new_place(round % 3 == 0 ? POLL_OWN : round % 3 == 1 ? POLL_MPMC : POLL_SPSC, 4)};
    open_place(&both);
    if (round % 8 == 0)
      cross(&both);
    close_both(&both);
    check_name_count = 0;
    if (round == 20) {
      threads = poll_count_threads();
      descriptors = poll_count_descriptors(NULL);
    }
  }
  CHECK(poll_count_threads() <= threads + 1 || !poll_has_futex_waitv()); /* closed words stay with a helper for a slice */
  WAIT_UNTIL(poll_count_descriptors(NULL) <= descriptors, 10);
}
/* ---- helper threads -------------------------------------------------------------------------- */

static void blocks_all(pid_t tid)
{
  /* All but SIGKILL, SIGSTOP, and the two of the C library. Valgrind's own masks come and go. */
  const unsigned long long none = 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) | 3ull << 31;

  if (!check_valgrind())
    CHECK_EQ(status_of(tid, "\nSigBlk:", 16) | none, ~0ull);
}

static void helpers_block_all_signals(void)
{
  struct both both;
  sigset_t before, after;

  CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
  open_both(&both, POLL_OWN);
  WAIT_UNTIL(for_each_helper("villas-shm-", blocks_all) >= 2, 10);
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
  for (int number = 1; number < 32; number++)
    CHECK_EQ(sigismember(&before, number), sigismember(&after, number));
  close_both(&both);
}

static void has_real_time_priority(pid_t tid)
{
  struct sched_param param;

  CHECK_EQ(sched_getscheduler(tid), SCHED_FIFO);
  CHECK_EQ(sched_getparam(tid, &param), 0);
  CHECK_EQ(param.sched_priority, 1);
}

static void be_urgent(void *is_permitted)
{
  struct both both;

  own_names();
  *(_Atomic bool *)is_permitted = sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) == 0;
  if (!*(_Atomic bool *)is_permitted)
    return;
  open_both(&both, POLL_OWN);
  WAIT_UNTIL(for_each_helper("villas-shm-", has_real_time_priority) >= 2, 10);
  for (int i = 0; i < 20; i++)
    cross(&both);
  close_both(&both);
}

static void helpers_inherit_the_priority_of_the_first_caller(void)
{
  _Atomic bool *is_permitted = check_shared(sizeof *is_permitted);

  CHECK_CHILD_ENDS_WELL(check_spawn(be_urgent, (void *)is_permitted), 20);
  if (!*is_permitted)
    printf("real-time priority is not permitted: not looked at\n");
}

/* ---- the library unloaded -------------------------------------------------------------------- */

/* A copy of the library, which this program is not linked to. Its helpers outlive the last dlclose. */
static void load_and_unload(void *arg)
{
  struct shmem_shared *(*create)(const char *, const struct shmem_conf *);
  int (*get_fd)(struct shmem_shared *, int);
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  struct shmem_shared *shm;
  void *loaded;

  (void)arg;
  own_names();
  CHECK(loaded = dlopen(getenv("POLL_COPY"), RTLD_NOW | RTLD_LOCAL));
  *(void **)&create = dlsym(loaded, "shmem_shared_create");
  *(void **)&get_fd = dlsym(loaded, "shmem_shared_fd");
  CHECK(create != shmem_shared_create && get_fd);
  CHECK_HANDLE(shm = create(check_name("unloaded"), &conf));
  CHECK(get_fd(shm, SHMEM_FD_READ) >= 0);
  WAIT_UNTIL(for_each_helper("villas-shm-poll", note_helper) == 1, 10);
  CHECK_EQ(dlclose(loaded), 0);
  const unsigned long long sleeps = status_of(a_helper, "\nvoluntary_ctxt_switches:", 10);
  WAIT_UNTIL(status_of(a_helper, "\nvoluntary_ctxt_switches:", 10) > sleeps + 2, 10);
  CHECK(get_fd(shm, SHMEM_FD_WRITE) >= 0);
}

static void helpers_outlive_the_last_dlclose(void)
{
  const char *lib = getenv("LIB");
  char from[512], copy[64], bytes[1 << 16];
  ssize_t got;

  if (!lib) {
    printf("LIB is not set: not unloaded\n");
    return;
  }
  snprintf(from, sizeof from, "%s/libvillas_shm.so", lib);
  snprintf(copy, sizeof copy, "/dev/shm/%s", check_name("copy.so"));
  const int in = open(from, O_RDONLY | O_CLOEXEC), out = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
  CHECK(in >= 0 && out >= 0);
  while ((got = read(in, bytes, sizeof bytes)) > 0)
    CHECK_EQ(write(out, bytes, (size_t)got), got);
  CHECK(got == 0 && close(in) == 0 && close(out) == 0);
  CHECK_EQ(setenv("POLL_COPY", copy, 1), 0);
  CHECK_CHILD_ENDS_WELL(check_spawn(load_and_unload, NULL), 20);
}

int main(int argc, char **argv)
{
  if (argc > 1)
    return count_polled() != 0;
  check_begin();
  program = argv[0];
  RUN(a_child_has_no_descriptor_and_makes_its_own);
  RUN(forks_beside_traffic_leave_children_nothing);
  RUN(another_program_inherits_none);
  RUN(a_thread_closes_what_another_polls);
  RUN(a_signal_handler_closes_at_any_moment);
  RUN(a_name_is_free_at_once_after_a_close);
  RUN(opens_and_closes_leave_nothing);
  RUN(helpers_block_all_signals);
  RUN(helpers_inherit_the_priority_of_the_first_caller);
  RUN(helpers_outlive_the_last_dlclose);
  return 0;
}
