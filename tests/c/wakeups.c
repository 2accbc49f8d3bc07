/* What ends a wait: a close, an interrupt, a signal; and that who sleeps is woken. */
#include "check.h"

/* ---- close while another thread waits -------------------------------------------------------- */

struct call {
  int (*body)(struct shmem_shared *, struct sample *[]);
  struct shmem_shared *shm;
  struct sample *smp;
  int result, error;
  _Atomic pid_t tid;
  double ended, delay; /* when; and for how long in all the thread has waited for a processor */
  _Atomic bool done;
};

static int plain_read(struct shmem_shared *shm, struct sample *smps[])
{
  int result;

  while ((result = shmem_shared_read(shm, smps, 1)) == 0)
    ;
  return result;
}

static int long_read(struct shmem_shared *shm, struct sample *smps[])
{
  return shmem_shared_timed_read(shm, smps, 1, MS(40000));
}

static int endless_read(struct shmem_shared *shm, struct sample *smps[])
{
  return shmem_shared_timed_read(shm, smps, 1, NULL);
}

static int endless_write(struct shmem_shared *shm, struct sample *smps[])
{
  return shmem_shared_timed_write(shm, smps, 1, NULL);
}

static int endless_alloc(struct shmem_shared *shm, struct sample *smps[])
{
  return shmem_shared_timed_alloc(shm, smps, 1, NULL);
}

static int endless_wait(struct shmem_shared *shm, struct sample *smps[])
{
  (void)smps;
  return shmem_shared_wait(shm, NULL);
}

/* For so long, in seconds, a thread that could run has waited for a processor; 0 where the kernel does not say. */
static double run_delay(pid_t tid)
{
  char path[64];
  unsigned long long delay = 0;

  snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", (int)tid);
  FILE *file = fopen(path, "re");
  if (!file)
    return 0;
  if (fscanf(file, "%*u %llu", &delay) != 1)
    delay = 0;
  fclose(file);
  return (double)delay / 1e9;
}

static void *make_call(void *arg)
{
  struct call *call = arg;

  call->tid = (pid_t)syscall(SYS_gettid);
  call->result = call->body(call->shm, &call->smp);
  call->error = errno;
  call->ended = check_clock();
  call->delay = run_delay(call->tid);
  call->done = true;
  return NULL;
}

static pthread_t start_call(struct call *call)
{
  pthread_t thread;

  call->tid = 0;
  call->done = false;
  CHECK_EQ(pthread_create(&thread, NULL, make_call, call), 0);
  WAIT_UNTIL(call->tid && (call->shm->polling || check_asleep(getpid(), call->tid)), 5);
  CHECK(!call->done);
  return thread;
}

static void end_call(struct call *call, pthread_t thread)
{
  WAIT_UNTIL(call->done, 2);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void a_close_ends_what_another_thread_waits_for(void)
{
  static const struct {
    int (*body)(struct shmem_shared *, struct sample *[]);
    bool full, alone; /* queue full and pool used up; no peer */
  } waits[] = {
    {plain_read, false, false},   {endless_read, false, false}, {endless_read, false, true},
    {endless_write, true, false}, {endless_alloc, true, false}, {endless_wait, false, true},
  };

  for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
    for (int round = 0; round < 10; round++) {
      struct shmem_conf conf = check_conf(round % 2, 2, 1, 1);
      struct pair pair = check_open_pair("close", &conf);
      struct call call = {.body = waits[i].body, .shm = pair.node};

      if (waits[i].alone) {
        CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
        CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
        CHECK_HANDLE(call.shm = pair.node = shmem_shared_create(pair.name, &conf));
      }
      if (waits[i].full) {
        check_send(pair.node, 1, 2);
        call.smp = check_make(pair.node, 3);
      }
      struct sample *unwritten = call.smp;
      pthread_t thread = start_call(&call);
      CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
      end_call(&call, thread);
      CHECK_EQ(call.result, -1);
      CHECK_EQ(call.error, EPIPE);
      if (unwritten)
        CHECK_EQ(sample_put(unwritten), 0);
      if (!waits[i].alone)
        CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);

      /* The side is free for another. */
      CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
      CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
      CHECK_EQ(shmem_shared_unlink(pair.name), 0);
    }
  }
}

/* ---- being woken ----------------------------------------------------------------------------- */

struct sleep {
  const char *what;
  int (*body)(struct shmem_shared *, struct sample *[]);
  void (*act)(struct pair *, struct sample *);
  bool full;
  int result;
};

static void act_write(struct pair *pair, struct sample *held)
{
  (void)held;
  check_send(pair->program, 1, 1);
}

static void act_read(struct pair *pair, struct sample *held)
{
  struct sample *smp;

  (void)held;
  CHECK_EQ(shmem_shared_try_read(pair->program, &smp, 1), 1);
}

static void act_put(struct pair *pair, struct sample *held)
{
  (void)pair;
  CHECK_EQ(sample_put(held), 0);
}

static void act_close(struct pair *pair, struct sample *held)
{
  (void)held;
  CHECK_EQ(shmem_shared_close(pair->program, pair->base), 0);
}

static void act_open(struct pair *pair, struct sample *held)
{
  (void)held;
  CHECK_HANDLE(pair->program = shmem_shared_open(pair->name, &pair->base));
}

/* A sleeper looks by itself, every 40 ms or so; who is woken does not need that. Most must be quick, not counting the time in
 * which they could run and had no processor: on a machine that stands still now and then not all are. */
static void who_sleeps_is_woken(void)
{
  static const struct sleep sleeps[] = {
    {"a reader, by a write", long_read, act_write, false, 1},
    {"a writer, by a read", endless_write, act_read, true, 1},
    {"one who wants a block, by a put", endless_alloc, act_put, true, 1},
    {"a reader, by the peer's close", long_read, act_close, false, -1},
    {"a writer, by the peer's close", endless_write, act_close, true, -1},
    {"one who waits for the peer, by its coming", endless_wait, act_open, false, 0},
  };
  enum { ROUNDS = 20 };

  for (size_t i = 0; i < sizeof sleeps / sizeof *sleeps; i++) {
    const struct sleep *kind = &sleeps[i];
    int quick = 0;

    for (int round = 0; round < ROUNDS; round++) {
      struct shmem_conf conf = check_conf(0, 2, 1, 1);
      struct pair pair = {.name = check_name("woken")};
      struct call call = {.body = kind->body};
      struct sample *held = NULL;

      CHECK_HANDLE(call.shm = pair.node = shmem_shared_create(pair.name, &conf));
      if (kind->act != act_open)
        CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
      if (kind->full) {
        check_send(pair.node, 1, 2);
        call.smp = held = check_make(pair.node, 3);
      }
      pthread_t thread = start_call(&call);
      const double delay = run_delay(call.tid);
      kind->act(&pair, held);
      const double acted = check_clock();
      end_call(&call, thread);
      quick += call.ended - acted - (call.delay - delay) < 0.01;
      CHECK_EQ(call.result, kind->result);
      if (kind->act != act_close)
        CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
      CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
      CHECK_EQ(shmem_shared_unlink(pair.name), 0);
      check_name_count--;
    }
    if (quick < ROUNDS * 7 / 10 && !check_valgrind())
      check_fail(__FILE__, __LINE__, "%s: only %d of %d were woken within 10 ms", kind->what, quick,
                 ROUNDS);
  }
}

/* ---- interrupt ------------------------------------------------------------------------------- */

/* Once is enough, wherever the thread stands: it may look asleep before it waits, or be awake and
 * spin. */
static void interrupt(struct call *call)
{
  CHECK_EQ(shmem_shared_interrupt(call->shm), 0);
  WAIT_UNTIL(call->done, 10);
}

static void an_interrupt_ends_what_another_thread_waits_for(void)
{
  static const struct {
    int (*body)(struct shmem_shared *, struct sample *[]);
    bool full;
    int result;
  } waits[] = {{long_read, false, 0},
               {endless_read, false, 0},
               {endless_write, true, 0},
               {endless_alloc, true, 0},
               {endless_wait, false, -1}};

  for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
    for (int round = 0; round < 20; round++) {
      const bool alone = waits[i].body == endless_wait;
      struct shmem_conf conf = check_conf(round % 2, 2, 1, 1);
      struct pair pair = {.name = check_name("interrupt")};
      struct call call = {.body = waits[i].body};

      CHECK_HANDLE(call.shm = pair.node = shmem_shared_create(pair.name, &conf));
      if (!alone)
        CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
      if (waits[i].full) {
        check_send(pair.node, 1, 2);
        call.smp = check_make(pair.node, 3);
      }
      struct sample *mine = call.smp;
      pthread_t thread = start_call(&call);
      interrupt(&call);
      end_call(&call, thread);
      CHECK_EQ(call.result, waits[i].result);
      CHECK_EQ(call.error, EINTR);

      /* Nothing was lost by it. */
      if (mine) {
        check_receive(pair.program, 1, 2);
        CHECK_EQ(shmem_shared_write(pair.node, &mine, 1), 1);
        check_receive(pair.program, 3, 3);
      }
      if (alone)
        CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
      check_send(pair.program, 1, 2);
      check_receive(pair.node, 1, 2);
      check_close_pair(&pair);
    }
  }
}

/* What does not wait neither ends by it nor uses it up. */
static void an_interrupt_while_nobody_waits_ends_the_next_wait_and_only_that(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct shmem_conf conf = check_conf(polling, 2, 1, 1);
    struct pair pair = check_open_pair("sticky", &conf);
    struct sample *smps[3];

    for (int round = 0; round < 20; round++) {
      CHECK_EQ(shmem_shared_interrupt(pair.node), 0);
      CHECK_EQ(shmem_shared_interrupt(pair.node), 0); /* before one wait: one */
      CHECK_GIVES(shmem_shared_try_read(pair.node, smps, 1), 0, EAGAIN);
      check_send(pair.program, 1, 1);
      check_receive(pair.node, 1, 1);
      CHECK_EQ(shmem_shared_wait(pair.node, NULL), 0);
      switch (round % 3) {
      case 0:
        CHECK_GIVES(shmem_shared_read(pair.node, smps, 1), 0, EINTR);
        break;
      case 1:
        CHECK_GIVES(shmem_shared_timed_read(pair.node, smps, 1, NULL), 0, EINTR);
        break;
      default:
        CHECK_EQ(sample_alloc(&pair.node->pool, smps, 3), 3);
        CHECK_EQ(shmem_shared_timed_write(pair.node, smps, 3, NULL), 2);
        CHECK_EQ(errno, EINTR);
        CHECK_EQ(sample_put(smps[2]), 0);
        CHECK_EQ(shmem_shared_try_read(pair.program, smps, 3), 2);
        CHECK_EQ(sample_put_many(smps, 2), 2);
      }
      CHECK_GIVES(shmem_shared_timed_read(pair.node, smps, 1, MS(1)), 0, ETIMEDOUT);
    }
    CHECK_EQ(shmem_shared_interrupt(pair.program), 0);
    CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
    CHECK_GIVES(shmem_shared_wait(pair.program, NULL), -1, EINTR);
    CHECK_GIVES(shmem_shared_wait(pair.program, MS(1)), -1, ETIMEDOUT);
    CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
    CHECK_EQ(shmem_shared_unlink(pair.name), 0);
  }
}

static void an_interrupt_ends_the_waits_of_all_threads(void)
{
  enum { THREADS = 4 };
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("all", &conf);
  struct call calls[THREADS];
  pthread_t threads[THREADS];

  for (int i = 0; i < THREADS; i++) {
    calls[i] = (struct call){.body = long_read, .shm = pair.node};
    threads[i] = start_call(&calls[i]);
  }
  /* Once is enough for all that wait. One that only looks asleep may find it answered by the
   * others. */
  for (int i = 0; i < THREADS; i++) {
    WAIT_UNTIL(calls[i].done || shmem_shared_interrupt(pair.node) != 0, 10);
    end_call(&calls[i], threads[i]);
    CHECK_EQ(calls[i].error, EINTR);
  }
  check_close_pair(&pair);
}

static void an_interrupt_ends_no_wait_of_the_peer(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("own", &conf);
  struct call near = {.body = long_read, .shm = pair.node};
  struct call far = {.body = long_read, .shm = pair.program};
  pthread_t near_thread = start_call(&near), far_thread = start_call(&far);

  interrupt(&near);
  end_call(&near, near_thread);
  CHECK_EQ(near.error, EINTR);
  CHECK(!far.done);
  check_send(pair.node, 1, 1);
  end_call(&far, far_thread);
  CHECK_EQ(far.result, 1);
  check_is(far.smp, 1);
  CHECK_EQ(sample_put(far.smp), 0);
  check_close_pair(&pair);
}

/* ---- signals --------------------------------------------------------------------------------- */

static struct shmem_shared *handler_shm;
static _Atomic int handled;

static void interrupt_in_handler(int number)
{
  (void)number;
  if (handler_shm)
    shmem_shared_interrupt(handler_shm);
  handled++;
}

static void only_count(int number)
{
  (void)number;
  handled++;
}

/* Sends signals to a waiting thread until its call has ended: one may fall between two sleeps. */
static void signal_call(struct call *call, pthread_t thread)
{
  while (!call->done) {
    pthread_kill(thread, SIGUSR1); /* it may have ended meanwhile */
    nanosleep(MS(2), NULL);
  }
}

static void set_handler(void (*handler)(int), bool plain)
{
  if (plain) {
    CHECK(signal(SIGUSR1, handler) != SIG_ERR);
  } else {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  }
}

static void a_signal_handler_ends_a_sleeping_read(void)
{
  for (int round = 0; round < 20; round++) {
    struct shmem_conf conf = check_conf(0, 2, 1, 1);
    struct pair pair = check_open_pair("handler", &conf);
    struct call call = {.body = round & 2 ? long_read : endless_read, .shm = pair.program};

    handled = 0;
    set_handler(only_count, round & 1);
    pthread_t thread = start_call(&call);
    signal_call(&call, thread);
    end_call(&call, thread);
    CHECK(handled > 0);
    CHECK_EQ(call.result, 0);
    CHECK_EQ(call.error, EINTR);
    signal(SIGUSR1, SIG_DFL);
    check_send(pair.node, 1, 1);
    check_receive(pair.program, 1, 1);
    check_close_pair(&pair);
  }
}

static void an_interrupt_in_a_signal_handler_ends_a_read(void)
{
  for (int round = 0; round < 40; round++) {
    struct shmem_conf conf = check_conf(round & 1, 2, 1, 1);
    struct pair pair = check_open_pair("in-handler", &conf);
    struct call call = {.body = endless_read, .shm = pair.program};

    handler_shm = pair.program;
    set_handler(interrupt_in_handler, round & 2);
    pthread_t thread = start_call(&call);
    signal_call(&call, thread);
    end_call(&call, thread);
    CHECK_EQ(call.result, 0);
    CHECK_EQ(call.error, EINTR);
    signal(SIGUSR1, SIG_DFL);
    handler_shm = NULL;
    check_send(pair.node, 1, 1);
    check_receive(pair.program, 1, 1);
    check_close_pair(&pair);
  }
}

/* A loop on a flag ends, in both modes, though nothing but the flag says so. */
static void *loop_on_flag(void *arg)
{
  struct call *call = arg;
  struct sample *smp;

  while (!handled)
    CHECK_EQ(shmem_shared_read(call->shm, &smp, 1), 0);
  call->done = true;
  return NULL;
}

static void a_loop_on_a_flag_always_ends(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct shmem_conf conf = check_conf(polling, 2, 1, 1);
    struct pair pair = check_open_pair("flag", &conf);
    struct call call = {.shm = pair.program};
    pthread_t thread;

    handled = 0;
    CHECK_EQ(pthread_create(&thread, NULL, loop_on_flag, &call), 0);
    handled = 1;
    WAIT_UNTIL(call.done, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    check_close_pair(&pair);
  }
}

int main(void)
{
  check_begin();
  RUN(a_close_ends_what_another_thread_waits_for);
  RUN(who_sleeps_is_woken);
  RUN(an_interrupt_ends_what_another_thread_waits_for);
  RUN(an_interrupt_while_nobody_waits_ends_the_next_wait_and_only_that);
  RUN(an_interrupt_ends_the_waits_of_all_threads);
  RUN(an_interrupt_ends_no_wait_of_the_peer);
  RUN(a_signal_handler_ends_a_sleeping_read);
  RUN(an_interrupt_in_a_signal_handler_ends_a_read);
  RUN(a_loop_on_a_flag_always_ends);
  return 0;
}
