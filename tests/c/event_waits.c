/* Events: what each call returns, and when; between threads and processes, in segments of both kinds. */
#include "check_segment.h"

/* Two cache lines in shared memory. */
struct board {
  struct shmem_event event, answer;
  atomic_int tid, step;
  int value;
};

static void zeroed_memory_is_an_event_without_signals(void)
{
  struct board *board = check_shared(sizeof *board);
  uint64_t seen = 0;

  CHECK_EQ(sizeof(struct shmem_event), 8);
  CHECK_EQ(shmem_event_count(&board->event), 0);
  CHECK_GIVES(shmem_event_try_wait(&board->event, &seen), 0, EAGAIN);
  CHECK_GIVES(shmem_event_timed_wait(&board->event, &seen, MS(1)), 0, ETIMEDOUT);
  CHECK_GIVES(shmem_event_timed_wait(&board->event, &seen, MS(0)), 0, ETIMEDOUT);
  CHECK_GIVES(shmem_event_wait(&board->event, &seen), 0, EAGAIN); /* so that a loop on a flag ends */
  CHECK_EQ(seen, 0);
}

static void each_waiter_gets_each_signal_once(void)
{
  struct board *board = check_shared(sizeof *board);
  uint64_t one = 0, two = 0, late;

  for (int i = 0; i < 3; i++)
    CHECK_EQ(shmem_event_signal(&board->event), 0);
  CHECK_EQ(shmem_event_try_wait(&board->event, &one), 3);
  CHECK_GIVES(shmem_event_try_wait(&board->event, &one), 0, EAGAIN);
  CHECK_EQ(shmem_event_wait(&board->event, &two), 3);
  late = shmem_event_count(&board->event); /* wants only what comes from now on */
  CHECK_EQ(late, 3);
  CHECK_EQ(shmem_event_signal(&board->event), 0);
  CHECK_EQ(shmem_event_timed_wait(&board->event, &one, NULL), 1);
  CHECK_EQ(shmem_event_timed_wait(&board->event, &late, MS(0)), 1);
  CHECK_EQ(one, 4);
  CHECK_EQ(late, 4);
}

static void numbers_go_on_where_they_wrap(void)
{
  struct board *board = check_shared(sizeof *board);
  uint64_t seen;

  memset(&board->event, 0xfe, 1); /* 0x…fe and ffs: 2^63 - 1 signals, nobody asleep */
  memset((char *)&board->event + 1, 0xff, 7);
  seen = shmem_event_count(&board->event);
  CHECK_EQ(seen, INT64_MAX);
  CHECK_EQ(shmem_event_signal(&board->event), 0);
  CHECK_EQ(shmem_event_count(&board->event), 0);
  CHECK_EQ(shmem_event_try_wait(&board->event, &seen), 1);
  seen = 77; /* a number that is not of this event: there are news, and it is set right */
  CHECK(shmem_event_try_wait(&board->event, &seen) > 0);
  CHECK_EQ(seen, 0);
}

/* ---- asleep ---------------------------------------------------------------------------------- */

static void wait_asleep(void *arg)
{
  struct board *board = arg;
  uint64_t seen = 0;

  board->tid = getpid();
  CHECK_EQ(shmem_event_timed_wait(&board->event, &seen, NULL), 1);
  CHECK_EQ(board->value, 42); /* what was written before the signal is there */
  board->value = 43;
  CHECK_EQ(shmem_event_signal(&board->answer), 0);
}

static void wake_one(struct board *board)
{
  uint64_t seen = 0;
  pid_t pid = check_spawn(wait_asleep, board);

  WAIT_UNTIL(board->tid == pid && check_asleep(pid, pid), 10);
  board->value = 42;
  CHECK_EQ(shmem_event_signal(&board->event), 0);
  CHECK_EQ(shmem_event_timed_wait(&board->answer, &seen, PATIENT), 1);
  CHECK_EQ(board->value, 43);
  CHECK_CHILD_ENDS_WELL(pid, 10);
}

static void a_sleeping_process_is_woken_in_either_kind_of_segment(void)
{
  struct shmem_segment *posix, *sysv = check_sysv(IPC_PRIVATE, 4096, CREATE, 0600);

  CHECK_HANDLE(posix = shmem_segment_open(check_name("event"), 4096, NEW, 0600));
  wake_one(shmem_segment_data(posix));
  wake_one(shmem_segment_data(sysv));
  CHECK_EQ(shmem_segment_unlink_id(check_stat(sysv).id), 0);
  check_close(posix);
  check_close(sysv);
}

static void just_wait(void *arg)
{
  struct board *board = arg;
  uint64_t seen = 0;

  board->tid = getpid();
  CHECK_EQ(shmem_event_timed_wait(&board->event, &seen, NULL), 1);
}

static void one_signal_ends_the_wait_of_all(void)
{
  struct board *board = check_shared(sizeof *board);
  enum { WAITERS = 4 };
  pid_t pids[WAITERS];

  for (int i = 0; i < WAITERS; i++) {
    pids[i] = check_spawn(just_wait, board);
    WAIT_UNTIL(board->tid == pids[i] && check_asleep(pids[i], pids[i]), 10);
  }
  CHECK_EQ(shmem_event_signal(&board->event), 0);
  for (int i = 0; i < WAITERS; i++)
    CHECK_CHILD_ENDS_WELL(pids[i], 10);
}

static void on_signal(int number)
{
  (void)number;
}

static void wait_for_a_handler(void *arg)
{
  struct board *board = arg;
  uint64_t seen = 0;

  signal(SIGUSR1, on_signal); /* which restarts system calls */
  board->tid = getpid();
  CHECK_GIVES(shmem_event_timed_wait(&board->event, &seen, NULL), 0, EINTR);
}

static void a_signal_handler_ends_the_wait(void)
{
  struct board *board = check_shared(sizeof *board);
  pid_t pid = check_spawn(wait_for_a_handler, board);

  WAIT_UNTIL(board->tid == pid && check_asleep(pid, pid), 10);
  /* Between two slices it is awake for a moment: again, until it is hit. */
  int status = 0;
  WAIT_UNTIL((kill(pid, SIGUSR1), waitpid(pid, &status, WNOHANG)) == pid, 10);
  CHECK_EQ(status, 0);
}

static struct board *board_of_the_handler;

static void signal_the_event(int number)
{
  (void)number;
  shmem_event_signal(&board_of_the_handler->event);
}

static void a_signal_handler_may_signal_an_event(void)
{
  struct board *board = board_of_the_handler = check_shared(sizeof *board);
  uint64_t seen = 0;

  signal(SIGUSR1, signal_the_event);
  CHECK_EQ(raise(SIGUSR1), 0);
  CHECK_EQ(shmem_event_wait(&board->event, &seen), 1);
  signal(SIGUSR1, SIG_DFL);
}

static void who_may_only_read_can_still_look(void)
{
  const char *name = check_name("look");
  struct shmem_segment *segment, *reader;
  uint64_t seen = 0;

  CHECK_HANDLE(segment = shmem_segment_open(name, 4096, NEW, 0600));
  CHECK_HANDLE(reader = shmem_segment_open(name, 4096, READ_ONLY, 0));
  CHECK_GIVES(shmem_event_try_wait(shmem_segment_data(reader), &seen), 0, EAGAIN);
  CHECK_EQ(shmem_event_signal(shmem_segment_data(segment)), 0);
  CHECK_EQ(shmem_event_count(shmem_segment_data(reader)), 1);
  CHECK_EQ(shmem_event_try_wait(shmem_segment_data(reader), &seen), 1);
  check_close(segment);
  check_close(reader);
}

int main(void)
{
  check_begin();
  check_own_ipc();
  RUN(zeroed_memory_is_an_event_without_signals);
  RUN(each_waiter_gets_each_signal_once);
  RUN(numbers_go_on_where_they_wrap);
  RUN(a_sleeping_process_is_woken_in_either_kind_of_segment);
  RUN(one_signal_ends_the_wait_of_all);
  RUN(a_signal_handler_ends_the_wait);
  RUN(a_signal_handler_may_signal_an_event);
  RUN(who_may_only_read_can_still_look);
  return 0;
}
