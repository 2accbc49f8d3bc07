/* Threads that end: the one that opened, the first of the process, one that is cancelled inside a call; and what several openings in one process are
 * to each other. */
#include "odd_peer.h"

#include <sys/resource.h>

static struct scene *scene;
static struct end mine;

__attribute__((noreturn)) static void stay(void)
{
  for (;;)
    pause();
}

/* ---- the first thread ends ------------------------------------------------------------------- */

static struct scene *of_thread;

static void *go_on_alone(void *arg)
{
  struct scene *s = of_thread;
  char path[64], line[256] = "";
  struct end more = {.kind = NODE, .name = (const char *)arg};

  snprintf(path, sizeof path, "/proc/%d/stat", (int)getpid());
  do { /* until the first thread is a zombie */
    FILE *file = fopen(path, "re");
    CHECK(file && fgets(line, sizeof line, file));
    CHECK_EQ(fclose(file), 0);
  } while (!strstr(line, ") Z"));
  s->stage = 1;
  await_go(s, 1);
  odd_passes(&s->odd, 2);
  /* It can still open: a channel, and both ends of a ring. */
  open_odd(&more);
  CHECK_EQ(close_odd(&more), 0);
  CHECK_EQ(shmem_shared_unlink(more.name), 0);
  for (more.kind = PRODUCER; more.kind <= TAKER; more.kind++) {
    open_odd(&more);
    CHECK_EQ(close_odd(&more), 0);
  }
  CHECK_EQ(shmem_shared_unlink(more.name), 0);
  s->stage = 2;
  stay();
}

static void end_the_first_thread(struct scene *s)
{
  static char name[CHECK_NAME_SIZE + 8];
  pthread_t thread;

  snprintf(name, sizeof name, "%s-more", s->odd.name);
  of_thread = s;
  CHECK_EQ(pthread_create(&thread, NULL, go_on_alone, name), 0);
  pthread_exit(NULL);
}

/* The process seems to be a zombie then, and lives. */
static void a_process_whose_first_thread_has_ended_is_alive_until_the_last_ends(void)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin(scene, &mine, kind, end_the_first_thread);

    await_stage(scene, 1);
    check_alive(&mine);
    scene->go = 1;
    test_passes(&mine, 2);
    await_stage(scene, 2);
    CHECK_EQ(kill(pid, SIGKILL), 0);
    check_dead(&mine, 2);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    end_scene(&mine);
  }
}

/* ---- a thread ends outside a call ------------------------------------------------------------ */

struct pass {
  struct end *end;
  uint64_t number;
};

static void *pass_and_end(void *arg)
{
  struct pass *pass = arg;

  odd_passes(pass->end, pass->number);
  pthread_exit(NULL);
}

static void *open_pass_and_end(void *arg)
{
  struct pass *pass = arg;

  open_odd(pass->end);
  return pass_and_end(pass);
}

/* The end was opened, and used first, by a thread that is gone; each message is passed by another thread, the last one by this. */
static void pass_by_many(struct scene *s)
{
  for (uint64_t number = 2; number <= 20; number++) {
    struct pass pass = {&s->odd, number};
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, pass_and_end, &pass), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
  odd_passes(&s->odd, 21);
  s->stage = 1;
  stay();
}

static void threads_that_end_outside_a_call_leave_the_end_to_others(void)
{
  FOR_EACH_KIND(kind)
  {
    pid_t pid = begin(scene, &mine, kind, pass_by_many);

    for (uint64_t number = 2; number <= 21; number++)
      test_passes(&mine, number);
    await_stage(scene, 1);
    check_kill(pid);
    check_dead(&mine, 2);
    end_scene(&mine);
  }
}

static void the_thread_that_opened_may_end(void)
{
  struct shmem_conf conf = check_conf(0, 8, 1, 8);
  struct end program = {.kind = PROGRAM, .name = check_name("opener")};
  struct end node = {.kind = PROGRAM, .name = program.name};
  struct pass pass = {&program, 1};
  pthread_t thread;

  CHECK_HANDLE(node.shm = shmem_shared_create(node.name, &conf));
  CHECK_EQ(pthread_create(&thread, NULL, open_pass_and_end, &pass), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  test_passes(&node, 1);
  CHECK_EQ(shmem_shared_peer_alive(node.shm), 1);
  odd_passes(&program, 2);
  test_passes(&node, 2);
  CHECK_EQ(close_odd(&program), 0);
  CHECK_EQ(close_odd(&node), 0);
}

/* ---- a thread is cancelled inside a call ----------------------------------------------------- */

/* No function of the library is a cancellation point: the call ends as if nothing had been asked, and the thread at the next point behind it. */
struct cancelled {
  int (*call)(struct cancelled *); /* waits for the end of `wait` */
  struct end mine;                 /* the end that waits */
  const char *name;
  struct shmem_event event;
  struct shmem_shared *opened;
  struct sample *smp;
  uint64_t number;
  _Atomic pid_t tid;
  _Atomic int result, error;
  _Atomic bool returned, went_on;
};

static int read_channel(struct cancelled *c)
{
  return shmem_shared_timed_read(c->mine.shm, &c->smp, 1, NULL);
}

static int read_wire(struct cancelled *c)
{
  return shmem_int_timed_read(&c->mine.wire, &c->smp, 1, NULL);
}

static int pop_ring(struct cancelled *c)
{
  return shmem_ring_pop(c->mine.ring, &c->number);
}

static int open_channel(struct cancelled *c)
{
  c->opened = shmem_shared_timed_open(c->name, NULL, NULL);
  return c->opened ? 1 : -1;
}

static int wait_for_event(struct cancelled *c)
{
  uint64_t seen = 0;
  return shmem_event_timed_wait(&c->event, &seen, NULL);
}

static void *call_and_be_cancelled(void *arg)
{
  struct cancelled *c = arg;

  c->tid = (pid_t)syscall(SYS_gettid);
  errno = 0;
  c->result = c->call(c);
  c->error = errno;
  c->returned = true;
  pthread_testcancel();
  c->went_on = true;
  return NULL;
}

static void cancel(struct cancelled *c, pthread_t *thread)
{
  CHECK_EQ(pthread_create(thread, NULL, call_and_be_cancelled, c), 0);
  WAIT_UNTIL(c->tid && check_asleep(getpid(), c->tid), 10);
  CHECK_EQ(pthread_cancel(*thread), 0);
  /* Several slices, with looks at the peer, which are made of system calls that are cancellation points. */
  for (double end = check_clock() + 0.3; check_clock() < end;)
    check_pause();
}

static void check_cancelled(struct cancelled *c, pthread_t thread, int result, int error)
{
  void *value = NULL;

  CHECK_EQ(pthread_join(thread, &value), 0);
  CHECK(value == PTHREAD_CANCELED);
  CHECK(c->returned && !c->went_on);
  CHECK_EQ(c->result, result);
  if (result <= 0)
    CHECK_EQ(c->error, error);
}

static void a_thread_that_is_cancelled_in_a_read_ends_behind_it(void)
{
  struct pair pair = check_open_pair("cancel", NULL);
  struct cancelled c = {.call = read_channel, .mine.shm = pair.node};
  pthread_t thread;

  cancel(&c, &thread);
  CHECK(!c.returned);
  check_send(pair.program, 1, 1);
  check_cancelled(&c, thread, 1, 0);
  CHECK_EQ(sample_put(c.smp), 0);
  check_works(&pair); /* the turn was given back */
  check_close_pair(&pair);
}

static void a_thread_that_is_cancelled_in_a_read_of_the_wire_ends_behind_it(void)
{
  struct wire_pair pair;
  struct cancelled c = {.call = read_wire};
  pthread_t thread;

  wire_open_pair(&pair, "cancel", check_conf(0, 8, 1, 0), check_conf(0, 8, 1, 0));
  c.mine.wire = pair.ends[0];
  cancel(&c, &thread);
  CHECK(!c.returned);
  wire_send(&pair.ends[1], 1, 1);
  check_cancelled(&c, thread, 1, 0);
  CHECK_EQ(sample_put(c.smp), 0);
  wire_send(&pair.ends[1], 2, 2);
  wire_receive(&pair.ends[0], 2, 2);
  wire_close_pair(&pair);
}

static void a_thread_that_is_cancelled_in_a_pop_ends_behind_it(void)
{
  const char *name = check_name("cancel");
  struct cancelled c = {.call = pop_ring};
  struct shmem_ring *producer;
  uint64_t number = 5;
  pthread_t thread;

  CHECK_HANDLE(producer = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 4));
  CHECK_HANDLE(c.mine.ring = shmem_ring_open(name, SHMEM_MPMC, SHMEM_CONSUMER, 8, 4));
  CHECK(shmem_ring_reserve(producer)); /* in the way: its owner is asked for */
  cancel(&c, &thread);
  CHECK(!c.returned);
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_HANDLE(producer = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 4));
  CHECK_EQ(shmem_ring_interrupt(c.mine.ring), 0);
  check_cancelled(&c, thread, -1, EINTR);
  (void)number;
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(c.mine.ring), 0);
}

static void a_thread_that_is_cancelled_in_an_open_ends_behind_it(void)
{
  struct cancelled c = {.call = open_channel, .name = check_name("cancel")};
  struct pair pair = {.name = c.name};
  pthread_t thread;

  cancel(&c, &thread);
  CHECK(!c.returned);
  CHECK_HANDLE(pair.node = shmem_shared_create(c.name, NULL));
  check_cancelled(&c, thread, 1, 0);
  CHECK_HANDLE(pair.program = c.opened);
  check_works(&pair);
  check_close_pair(&pair);
}

static void a_thread_that_is_cancelled_in_a_wait_for_an_event_ends_behind_it(void)
{
  struct cancelled c = {.call = wait_for_event};
  pthread_t thread;

  cancel(&c, &thread);
  CHECK(!c.returned);
  CHECK_EQ(shmem_event_signal(&c.event), 0);
  check_cancelled(&c, thread, 1, 0);
}

static void *close_and_be_cancelled(void *arg)
{
  CHECK_EQ(pthread_cancel(pthread_self()), 0);
  CHECK_EQ(shmem_shared_close(arg, NULL), 0);
  pthread_testcancel();
  return NULL;
}

/* A request that waits already: also for a close, which closes descriptors. */
static void a_cancelled_thread_closes_wholly(void)
{
  struct pair pair = check_open_pair("cancel", NULL);
  void *value;
  pthread_t thread;

  CHECK_EQ(pthread_create(&thread, NULL, close_and_be_cancelled, pair.program), 0);
  CHECK_EQ(pthread_join(thread, &value), 0);
  CHECK(value == PTHREAD_CANCELED);
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_works(&pair);
  check_close_pair(&pair);
}

/* ---- several openings in one process --------------------------------------------------------- */

static void says_own_pid(void)
{
  char pid[16];

  snprintf(pid, sizeof pid, "%d", (int)getpid());
  if (!strstr(shmem_last_error(), pid))
    check_fail(__FILE__, __LINE__, "\"%s\" does not name process %s", shmem_last_error(), pid);
}

/* As if another process had tried. */
static void a_side_is_opened_once_also_by_one_process(void)
{
  const struct shmem_conf defaults = SHMEM_CONF_INIT;
  struct pair pair = check_open_pair("twice", NULL);

  CHECK_REFUSED(shmem_shared_create(pair.name, &defaults), EBUSY);
  says_own_pid();
  CHECK_REFUSED(shmem_shared_open(pair.name, NULL), EBUSY);
  says_own_pid();
  check_works(&pair);
  check_close_pair(&pair);
}

static void both_sides_may_be_opened_by_one_process(void)
{
  struct pair pair = check_open_pair("both", NULL);

  CHECK_EQ(shmem_shared_peer_alive(pair.node), 1);
  CHECK_EQ(shmem_shared_peer_alive(pair.program), 1);
  check_works(&pair);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_EQ(shmem_shared_peer_alive(pair.node), 0);
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_works(&pair);
  check_close_pair(&pair);
}

static void touch_a_sample(void *arg)
{
  volatile struct sample *smp = arg;

  signal(SIGSEGV, SIG_DFL);
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  smp->sequence = 9;
}

/* The mapping is not inherited, as it would keep the parent's locks: the child ends by SIGSEGV, the parent notices nothing. */
static void a_forked_child_that_touches_the_mapping_ends(void)
{
  struct pair pair = check_open_pair("touch", NULL);
  struct sample *smp = check_make(pair.node, 7);

  int status = check_wait(check_spawn(touch_a_sample, smp), 10);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  check_is(smp, 7);
  CHECK_EQ(shmem_shared_write(pair.node, &smp, 1), 1);
  check_receive(pair.program, 7, 7);
  check_works(&pair);
  check_close_pair(&pair);
}

int main(void)
{
  check_begin();
  scene = check_shared(sizeof *scene);
  RUN(a_process_whose_first_thread_has_ended_is_alive_until_the_last_ends);
  RUN(threads_that_end_outside_a_call_leave_the_end_to_others);
  RUN(the_thread_that_opened_may_end);
  RUN(a_thread_that_is_cancelled_in_a_read_ends_behind_it);
  RUN(a_thread_that_is_cancelled_in_a_read_of_the_wire_ends_behind_it);
  RUN(a_thread_that_is_cancelled_in_a_pop_ends_behind_it);
  RUN(a_thread_that_is_cancelled_in_an_open_ends_behind_it);
  RUN(a_thread_that_is_cancelled_in_a_wait_for_an_event_ends_behind_it);
  RUN(a_cancelled_thread_closes_wholly);
  RUN(a_side_is_opened_once_also_by_one_process);
  RUN(both_sides_may_be_opened_by_one_process);
  RUN(a_forked_child_that_touches_the_mapping_ends);
  return 0;
}
