/* Numbers from one process to another, both led by epoll alone: each arrives, once and in order, whatever pauses, batches and stops there
 * are, and whether or not an event is followed by calls until nothing is found. Other threads of the taker read beside the loop.
 *
 * From the environment: POLL_SAMPLES=200000, through a channel of one region; a part of that through each other kind */
#include "poll_ends.h"

enum { READERS = 2, EVENTS = 8 };

static struct run {
  struct poll_place place;
  uint64_t count;
  bool are_others_reading, is_taker_stopped;
  _Atomic uint64_t given, taken, events, empty;
  _Atomic uint64_t longest; /* wait for an event, in microseconds */
  _Atomic bool is_over;
  unsigned char seen[1 << 22]; /* where several threads take, in any order */
} *run;

static struct poll_end taker; /* of the process that takes */

static void pause_up_to(uint64_t microseconds)
{
  nanosleep(&(struct timespec){.tv_nsec = (long)check_chance(microseconds) * 1000}, NULL);
}

/* ---- the giver ------------------------------------------------------------------------------- */

static void give_all(void *arg)
{
  struct epoll_event events[EVENTS];
  struct poll_end giver;
  const int set = poll_set();

  (void)arg;
  poll_open(&giver, &run->place, true);
  poll_add(set, poll_fd(&giver, SHMEM_FD_WRITE), 0);
  while (run->given < run->count) {
    CHECK_EQ(poll_await_many(set, events, EVENTS), 1);
    const uint64_t most = check_chance(8) ? UINT64_MAX : 1 + check_chance(20);
    for (uint64_t i = 0; i < most && run->given < run->count; i++) {
      const int given = poll_give(&giver, run->given + 1);
      CHECK(given >= 0);
      if (given == 0)
        break;
      run->given++;
      if (check_chance(400) == 0)
        pause_up_to(300);
    }
  }
  while (run->taken < run->count)
    check_pause();
  poll_close(&giver);
}

/* ---- the taker ------------------------------------------------------------------------------- */

static void note(const uint64_t *numbers, int count)
{
  for (int i = 0; i < count; i++) {
    CHECK(numbers[i] >= 1 && numbers[i] <= run->count);
    if (run->are_others_reading)
      CHECK_EQ(__atomic_fetch_add(&run->seen[numbers[i]], 1, __ATOMIC_RELAXED), 0);
    else
      CHECK_EQ(numbers[i], run->taken + 1 + (uint64_t)i);
  }
  run->taken += (uint64_t)count;
}

static void *read_beside(void *arg)
{
  (void)arg;
  while (run->taken < run->count) {
    struct sample *smp;
    uint64_t number;
    bool has;
    if (taker.ring) {
      has = shmem_ring_timed_pop(taker.ring, &number, MS(3)) == 0;
    } else {
      has = (taker.shm ? shmem_shared_timed_read(taker.shm, &smp, 1, MS(3)) : shmem_int_timed_read(&taker.wire, &smp, 1, MS(3))) == 1;
      number = has ? smp->sequence : 0;
      CHECK(!has || sample_put(smp) == 0);
    }
    if (has)
      note(&number, 1);
    if (check_chance(20) == 0)
      pause_up_to(2000);
  }
  return NULL;
}

/* With others, an event may be for what they have taken. */
static void await_event(int set)
{
  struct epoll_event events[EVENTS];
  struct check_deadline deadline = check_within(10);
  const double begin = check_clock();
  uint64_t taken = run->taken;

  while (epoll_wait(set, events, EVENTS, 5) <= 0 && run->taken < run->count) {
    if (run->taken != taken) {
      taken = run->taken;
      deadline = check_within(10);
    }
    if (check_is_over(&deadline))
      check_fail(__FILE__, __LINE__, "%s: no event: %llu given, %llu taken of %llu", poll_words[run->place.kind],
                 (unsigned long long)run->given, (unsigned long long)run->taken, (unsigned long long)run->count);
  }
  const uint64_t time = (uint64_t)((check_clock() - begin) * 1e6);
  if (time > run->longest)
    run->longest = time;
}

static void take_all(void *arg)
{
  pthread_t readers[READERS];
  uint64_t numbers[POLL_BATCH];
  const int set = poll_set();

  (void)arg;
  poll_open(&taker, &run->place, false);
  poll_add(set, poll_fd(&taker, SHMEM_FD_READ), 0);
  for (int i = 0; i < READERS && run->are_others_reading; i++)
    CHECK_EQ(pthread_create(&readers[i], NULL, read_beside, NULL), 0);
  while (run->taken < run->count) {
    await_event(set);
    run->events++;
    const uint64_t most = check_chance(4) ? UINT64_MAX : check_chance(5);
    for (uint64_t i = 0; i < most && run->taken < run->count; i++) {
      const int got = poll_take(&taker, numbers, 1 + (unsigned int)check_chance(POLL_BATCH));
      if (got < 0) { /* another reader has the last number, and has not noted it yet */
        CHECK(run->are_others_reading && errno == EPIPE);
        break;
      }
      note(numbers, got);
      if (got == 0) {
        run->empty++;
        break;
      }
      if (check_chance(400) == 0)
        pause_up_to(300);
    }
  }
  for (int i = 0; i < READERS && run->are_others_reading; i++)
    CHECK_EQ(pthread_join(readers[i], NULL), 0);
  for (uint64_t number = 1; number <= run->count && run->are_others_reading; number++)
    CHECK_EQ(run->seen[number], 1);
  poll_close(&taker);
}

/* ---- both ------------------------------------------------------------------------------------ */

static void *stop_now_and_then(void *pid)
{
  while (!run->is_over) {
    pause_up_to(8000);
    kill(*(pid_t *)pid, SIGSTOP);
    pause_up_to(3000);
    kill(*(pid_t *)pid, SIGCONT);
  }
  return NULL;
}

/* Half of the numbers each way, through a queue of this length. */
static void cross(enum poll_kind kind, int length, uint64_t count, bool are_others_reading)
{
  for (int child_takes = 0; child_takes < 2; child_takes++) {
    const double begin = check_clock();
    pthread_t stopper;

    run->place = poll_new_place(kind, length);
    run->count = check_scaled(count / 2);
    CHECK(run->count < sizeof run->seen);
    run->are_others_reading = are_others_reading;
    run->given = run->taken = run->events = run->empty = run->longest = 0;
    run->is_over = false;
    memset(run->seen, 0, run->count + 1);
    pid_t pid = check_spawn(child_takes ? take_all : give_all, NULL);
    CHECK_EQ(pthread_create(&stopper, NULL, stop_now_and_then, &pid), 0);
    if (child_takes)
      give_all(NULL);
    else
      take_all(NULL);
    run->is_over = true;
    CHECK_EQ(pthread_join(stopper, NULL), 0);
    CHECK_CHILD_ENDS_WELL(pid, 20);
    shmem_shared_unlink(run->place.names[0]);
    printf("%s%s, length %d: %llu numbers, %llu events, %llu empty reads, the longest wait %llu us, %.2f s\n", poll_words[kind],
           are_others_reading ? " beside other readers" : "", length, (unsigned long long)run->count, (unsigned long long)run->events,
           (unsigned long long)run->empty, (unsigned long long)run->longest, check_clock() - begin);
  }
}

static uint64_t samples;

static void nothing_is_lost_through_a_channel(void)
{
  cross(POLL_OWN, 64, samples / 2, false);
  cross(POLL_OWN, 3, samples / 2, false);
  cross(POLL_OWN, 1, samples / 16, false);
  cross(POLL_OWN_POLLING, 3, samples / 4, false);
}

static void nothing_is_lost_in_the_other_layout(void)
{
  cross(POLL_WIRE, 64, samples / 8, false);
  cross(POLL_WIRE, 2, samples / 256, false);
}

static void nothing_is_lost_through_rings(void)
{
  cross(POLL_SPSC, 3, samples / 8, false);
  cross(POLL_MPSC, 64, samples / 8, false);
  cross(POLL_MPMC, 3, samples / 8, false);
  cross(POLL_ENDPOINT, 8, samples / 8, false);
}

static void nothing_is_lost_beside_other_readers(void)
{
  cross(POLL_OWN, 3, samples / 8, true);
  cross(POLL_WIRE, 16, samples / 64, true);
  cross(POLL_SPSC, 3, samples / 8, true);
  cross(POLL_MPMC, 3, samples / 8, true);
}

int main(void)
{
  const char *value = getenv("POLL_SAMPLES");

  check_begin();
  samples = value ? strtoull(value, NULL, 0) : 200000;
  run = check_shared(sizeof *run);
  RUN(nothing_is_lost_through_a_channel);
  RUN(nothing_is_lost_in_the_other_layout);
  RUN(nothing_is_lost_through_rings);
  RUN(nothing_is_lost_beside_other_readers);
  return 0;
}
