/* SIGKILL of the peer at random moments, while this process waits in epoll and nowhere else: each death is an event, what was written
 * before it is read, and the same descriptor serves the next peer. How long events took after a kill is printed, not judged.
 *
 * From the environment: POLL_KILLS=120 */
#include "poll_ends.h"

enum { LENGTH = 16, LANES = 6 };

static struct scene {
  struct poll_place place;
  bool is_idle, gives;
  _Atomic uint64_t given, taken, born, generation;
} *scene;

static struct poll_end end; /* this process's */
static double *times;
static uint64_t kills, time_count;

static int by_value(const void *one, const void *other)
{
  const double difference = *(const double *)one - *(const double *)other;
  return difference < 0 ? -1 : difference > 0;
}

static void say_times(const char *what)
{
  qsort(times, time_count, sizeof *times, by_value);
  if (time_count)
    printf("%s: %llu deaths, from SIGKILL to the end %.0f us at least, %.0f us in the middle, %.0f us at most\n", what,
           (unsigned long long)time_count, times[0] * 1e6, times[time_count / 2] * 1e6, times[time_count - 1] * 1e6);
  time_count = 0;
}

/* ---- the victim ------------------------------------------------------------------------------ */

/* Gives or takes until it is killed, led by events. */
static void work(void *arg)
{
  struct epoll_event event;
  struct poll_end mine;
  uint64_t numbers[POLL_BATCH];
  const int set = poll_set();

  (void)arg;
  poll_open(&mine, &scene->place, scene->gives && scene->place.kind != POLL_OWN); /* whose node survives */
  poll_add(set, poll_fd(&mine, scene->gives ? SHMEM_FD_WRITE : SHMEM_FD_READ), 0);
  scene->born = scene->generation;
  while (scene->is_idle)
    pause();
  for (;;) {
    int got;
    while (epoll_wait(set, &event, 1, -1) != 1)
      ;
    for (int i = 0; i < 40; i++) {
      if (scene->gives) {
        got = poll_give(&mine, scene->given + 1);
        scene->given += got == 1;
      } else {
        got = poll_take(&mine, numbers, 1 + (unsigned int)check_chance(POLL_BATCH));
        scene->taken += got > 0 ? (uint64_t)got : 0;
      }
      if (got <= 0)
        break;
    }
    CHECK(got >= 0);
  }
}

/* ---- the survivor ---------------------------------------------------------------------------- */

struct killer {
  pid_t pid;
  uint64_t delay; /* microseconds */
  double at;
};

static void *kill_later(void *arg)
{
  struct killer *killer = arg;

  nanosleep(&(struct timespec){.tv_nsec = (long)killer->delay * 1000}, NULL);
  killer->at = check_clock();
  check_kill(killer->pid);
  return NULL;
}

static void begin_victim(struct killer *killer)
{
  scene->generation++;
  *killer = (struct killer){check_spawn(work, NULL), check_chance(check_chance(3) ? 3000 : 200), 0};
}

/* Reads, or writes, as epoll says, until the end is there. */
static void go_on_until_the_end(int set, uint64_t *next)
{
  struct epoll_event event;
  uint64_t numbers[POLL_BATCH];
  int got = 1;

  while (got >= 0) {
    CHECK_EQ(poll_await_many(set, &event, 1), 1);
    for (int i = 0, most = check_chance(3) ? 1000 : 1; i < most; i++) {
      got = scene->gives ? poll_take(&end, numbers, POLL_BATCH) : poll_give(&end, *next);
      for (int at = 0; at < got && scene->gives; at++) {
        CHECK(numbers[at] == *next || numbers[at] == *next - 1); /* what the one before was writing, its successor has completed */
        *next = numbers[at] + 1;
      }
      if (got == 1 && !scene->gives)
        ++*next;
      if (got <= 0)
        break;
    }
  }
  CHECK_EQ(errno, EPIPE);
}

/* What the victim of the last round gave is had, except that it may have been killed between a gift and its note. */
static void await_death(struct killer *killer, int set, uint64_t *next)
{
  struct epoll_event event;
  pthread_t thread;

  WAIT_UNTIL(scene->born == scene->generation, 20);
  CHECK_EQ(pthread_create(&thread, NULL, kill_later, killer), 0);
  go_on_until_the_end(set, next);
  const double seen = check_clock();
  CHECK_EQ(pthread_join(thread, NULL), 0);
  times[time_count++] = seen - killer->at;
  CHECK(!scene->gives || *next - 1 == scene->given || *next - 1 == scene->given + 1);
  scene->given = *next - 1;
  for (int i = 0; i < 2; i++)
    CHECK_EQ(epoll_wait(set, &event, 1, 0), 1); /* it stays */
}

/* Each victim has a channel of its own. */
static void survive(bool gives, bool is_idle, uint64_t count)
{
  scene->place = poll_new_place(POLL_WIRE, LENGTH);
  scene->gives = gives;
  scene->is_idle = is_idle;
  for (uint64_t round = 0; round < count; round++) {
    struct killer killer;
    uint64_t next = 1;
    const int set = poll_set();
    scene->given = 0;
    begin_victim(&killer);
    poll_open(&end, &scene->place, !gives);
    poll_add(set, poll_fd(&end, gives ? SHMEM_FD_READ : SHMEM_FD_WRITE), 0);
    await_death(&killer, set, &next);
    poll_close(&end);
    CHECK_EQ(close(set), 0);
  }
  say_times(is_idle ? "wire, an idle peer" : gives ? "wire, a peer that writes" : "wire, a peer that reads");
}

/* One descriptor, one epoll, and one program after the other. */
static void one_descriptor_serves_all_programs(bool gives, bool is_idle, uint64_t count)
{
  const int set = poll_set();
  uint64_t next = 1;

  scene->place = poll_new_place(POLL_OWN, LENGTH);
  scene->gives = gives;
  scene->is_idle = is_idle;
  scene->given = 0;
  poll_open(&end, &scene->place, true);
  poll_add(set, poll_fd(&end, gives ? SHMEM_FD_READ : SHMEM_FD_WRITE), 0);
  for (uint64_t round = 0; round < count; round++) {
    struct killer killer;
    begin_victim(&killer);
    await_death(&killer, set, &next);
  }
  poll_close(&end);
  CHECK_EQ(shmem_shared_unlink(scene->place.names[0]), 0);
  CHECK_EQ(close(set), 0);
  say_times(is_idle ? "own, an idle program" : gives ? "own, a program that writes" : "own, a program that reads");
}

static void idle_programs_are_killed(void)
{
  one_descriptor_serves_all_programs(true, true, kills / LANES);
}

static void busy_programs_are_killed(void)
{
  one_descriptor_serves_all_programs(true, false, kills / LANES);
  one_descriptor_serves_all_programs(false, false, kills / LANES);
}

static void peers_of_the_other_layout_are_killed(void)
{
  survive(true, true, kills / LANES);
  survive(true, false, kills / LANES);
  survive(false, false, kills / LANES);
}

/* A ring tells of no death. Its next producer goes on, and so does the survivor, past what the dead one had claimed. */
static void producers_of_a_ring_are_killed(void)
{
  struct epoll_event event;
  const int set = poll_set();
  uint64_t numbers[POLL_BATCH], last = 0;

  scene->place = poll_new_place(POLL_MPMC, 3);
  scene->gives = true;
  scene->is_idle = false;
  scene->given = 0;
  poll_open(&end, &scene->place, false);
  poll_add(set, poll_fd(&end, SHMEM_FD_READ), 0);
  for (uint64_t round = 0; round < kills; round++) {
    struct killer killer;
    const uint64_t goal = last + 1 + check_chance(50);
    begin_victim(&killer);
    for (bool is_killed = false; !is_killed;) {
      CHECK_EQ(poll_await_many(set, &event, 1), 1);
      const int got = poll_take(&end, numbers, POLL_BATCH);
      for (int i = 0; i < got; i++) {
        CHECK(numbers[i] == last + 1 || numbers[i] == last);
        last = numbers[i];
      }
      CHECK(got >= 0);
      if (last >= goal) {
        check_kill(killer.pid);
        is_killed = true;
      }
    }
  }
  poll_close(&end);
  CHECK_EQ(shmem_ring_unlink(scene->place.names[0]), 0);
  CHECK_EQ(close(set), 0);
}

int main(void)
{
  const char *value = getenv("POLL_KILLS");

  check_begin();
  kills = check_scaled(value ? strtoull(value, NULL, 0) : 120);
  if (kills < LANES)
    kills = LANES;
  times = calloc(kills, sizeof *times);
  CHECK(times);
  scene = check_shared(sizeof *scene);
  RUN(idle_programs_are_killed);
  RUN(busy_programs_are_killed);
  RUN(peers_of_the_other_layout_are_killed);
  RUN(producers_of_a_ring_are_killed);
  return 0;
}
