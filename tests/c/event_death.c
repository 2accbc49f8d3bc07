/* Events under traffic, and when processes are killed that wait or signal: an event has no owner, so nothing needs repair
 * and nobody hangs. */
#include "check_segment.h"

struct board {
  struct shmem_event event, answer;
  uint64_t value, checked;
  _Atomic uint64_t done; /* signals that have returned */
  atomic_int tid;
};

/* ---- traffic --------------------------------------------------------------------------------- */

enum { ROUNDS = 20000 };

static void answer_each(void *arg)
{
  struct board *board = arg;
  uint64_t seen = 0, rounds = check_scaled(ROUNDS);

  for (uint64_t i = 1; i <= rounds; i++) {
    while (shmem_event_timed_wait(&board->event, &seen, NULL) == 0)
      ;
    CHECK_EQ(seen, i);
    CHECK_EQ(board->value, check_mix(i));
    board->checked = i;
    CHECK_EQ(shmem_event_signal(&board->answer), 0);
  }
}

static void two_processes_take_turns(void)
{
  struct board *board = check_shared(sizeof *board);
  uint64_t seen = 0, rounds = check_scaled(ROUNDS);
  pid_t pid = check_spawn(answer_each, board);

  for (uint64_t i = 1; i <= rounds; i++) {
    if (i % 1000 == 0)
      WAIT_UNTIL(check_asleep(pid, pid), 10);
    board->value = check_mix(i);
    CHECK_EQ(shmem_event_signal(&board->event), 0);
    while (shmem_event_timed_wait(&board->answer, &seen, NULL) == 0)
      ;
    CHECK_EQ(board->checked, i);
  }
  CHECK_CHILD_ENDS_WELL(pid, 10);
}

enum { SIGNALLERS = 3, WAITERS = 3, SIGNALS = 30000 };

static void signal_many(void *arg)
{
  struct board *board = arg;

  for (uint64_t i = check_scaled(SIGNALS); i > 0; i--) {
    CHECK_EQ(shmem_event_signal(&board->event), 0);
    if (check_chance(200) == 0)
      check_pause(); /* so that waiters sleep */
  }
}

static void receive_all(void *arg)
{
  struct board *board = arg;
  uint64_t seen = 0, sum = 0, all = SIGNALLERS * check_scaled(SIGNALS);

  while (sum < all) {
    int fresh = shmem_event_timed_wait(&board->event, &seen, PATIENT);
    CHECK(fresh > 0);
    sum += (uint64_t)fresh;
    CHECK_EQ(sum, seen);
  }
  CHECK_EQ(sum, all);
}

static void many_signallers_and_many_waiters_lose_nothing(void)
{
  struct board *board = check_shared(sizeof *board);
  pid_t pids[SIGNALLERS + WAITERS];

  for (int i = 0; i < WAITERS; i++)
    pids[i] = check_spawn(receive_all, board);
  for (int i = 0; i < SIGNALLERS; i++)
    pids[WAITERS + i] = check_spawn(signal_many, board);
  for (int i = 0; i < SIGNALLERS + WAITERS; i++)
    CHECK_CHILD_ENDS_WELL(pids[i], 40);
}

/* ---- death ----------------------------------------------------------------------------------- */

static void wait_for_ever(void *arg)
{
  struct board *board = arg;
  uint64_t seen = shmem_event_count(&board->event);

  board->tid = getpid();
  for (;;)
    shmem_event_timed_wait(&board->event, &seen, NULL);
}

static void killed_waiters_leave_nothing_behind(void)
{
  struct board *board = check_shared(sizeof *board);
  uint64_t seen = 0, signals = 0;

  for (uint64_t round = check_scaled(200); round > 0; round--) {
    pid_t pid = check_spawn(wait_for_ever, board);
    WAIT_UNTIL(board->tid == pid, 10);
    if (round % 2)
      WAIT_UNTIL(check_asleep(pid, pid), 10);
    for (uint64_t i = check_chance(20); i > 0; i--, signals++)
      CHECK_EQ(shmem_event_signal(&board->event), 0);
    check_kill(pid);
    CHECK_EQ(shmem_event_count(&board->event), signals);
  }
  /* The event is as good as new. */
  CHECK_EQ(shmem_event_signal(&board->event), 0);
  CHECK_EQ(shmem_event_wait(&board->event, &seen), (int)signals + 1);
}

static void signal_for_ever(void *arg)
{
  struct board *board = arg;

  for (;;) {
    CHECK_EQ(shmem_event_signal(&board->event), 0);
    board->done++;
    if (check_chance(50) == 0)
      check_pause();
  }
}

static void count_until_told(void *arg)
{
  struct board *board = arg;
  uint64_t seen = 0, last = 0;

  while (shmem_event_count(&board->answer) == 0) {
    shmem_event_wait(&board->event, &seen);
    CHECK(seen >= last);
    last = seen;
  }
  shmem_event_try_wait(&board->event, &seen);
  board->checked = seen;
}

static void a_killed_signaller_has_signalled_or_has_not(void)
{
  struct board *board = check_shared(sizeof *board);
  pid_t waiter = check_spawn(count_until_told, board);
  uint64_t kills = check_scaled(300);

  for (uint64_t round = kills; round > 0; round--) {
    uint64_t before = board->done;
    pid_t pid = check_spawn(signal_for_ever, board);
    WAIT_UNTIL(board->done > before + check_chance(200), 10);
    check_kill(pid);
    CHECK(check_running(waiter));
  }
  CHECK_EQ(shmem_event_signal(&board->answer), 0);
  CHECK_CHILD_ENDS_WELL(waiter, 10); /* also if the last one was killed before it could wake */
  /* Each of the dead may have been killed between its signal and its note of it. */
  CHECK(board->checked >= board->done);
  CHECK(board->checked <= board->done + kills);
}

int main(void)
{
  check_begin();
  RUN(two_processes_take_turns);
  RUN(many_signallers_and_many_waiters_lose_nothing);
  RUN(killed_waiters_leave_nothing_behind);
  RUN(a_killed_signaller_has_signalled_or_has_not);
  return 0;
}
