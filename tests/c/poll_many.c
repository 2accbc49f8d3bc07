/* A hundred channels and a hundred rings in one epoll: few threads serve them, every message arrives, whichever of them is busy, and idle
 * ones cost little. Descriptors, threads and processor time are printed. */
#include "poll_ends.h"

#include <sys/resource.h>

enum { PAIRS = 200, THREADS = 4 /* for 200 words: see "Descriptors to poll" in the header */, QUIET = 40, EVENTS = 16 };

static struct poll_place places[PAIRS];
static struct poll_end givers[PAIRS], takers[PAIRS];
static uint64_t given[PAIRS], taken[PAIRS];
static int set, pairs;

static double processor_time(void)
{
  struct rusage usage;

  CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void say_idle(const char *what)
{
  const double begin = check_clock(), before = processor_time();

  nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
  printf("%s: %.2f %% of a processor\n", what, (processor_time() - before) / (check_clock() - begin) * 100);
}

/* Takes all that this event is for. */
static void take_from(uint32_t at)
{
  uint64_t numbers[POLL_BATCH];
  int got;

  while ((got = poll_take(&takers[at], numbers, POLL_BATCH)) > 0)
    for (int i = 0; i < got; i++)
      CHECK_EQ(numbers[i], ++taken[at]);
  CHECK_EQ(got, 0);
}

static void take_until_all_is_there(void)
{
  struct epoll_event events[EVENTS];

  for (int at = 0; at < pairs; at++)
    while (taken[at] != given[at])
      for (int i = 0, got = poll_await_many(set, events, EVENTS); i < got; i++)
        take_from(events[i].data.u32);
}

static void give(uint32_t at)
{
  while (poll_give(&givers[at], given[at] + 1) == 0)
    take_from(at);
  given[at]++;
}

static void two_hundred_share_four_threads(void)
{
  const int threads = poll_count_threads(), descriptors = poll_count_descriptors(NULL);

  pairs = check_valgrind() ? QUIET : PAIRS;
  set = poll_set();
  for (int at = 0; at < pairs; at++) {
    static const enum poll_kind kinds[] = {POLL_OWN, POLL_SPSC, POLL_OWN, POLL_MPMC};
    places[at] = poll_new_place(kinds[at % 4], 8);
    poll_open_both(&givers[at], &takers[at], &places[at]);
  }
  const int before = poll_count_descriptors(NULL);
  for (int at = 0; at < pairs; at++)
    poll_add(set, poll_fd(&takers[at], SHMEM_FD_READ), (uint32_t)at);
  printf("%d pairs: %d descriptors for their regions, %d to poll and for the helpers, %d threads\n", pairs, before - descriptors,
         poll_count_descriptors(NULL) - before, poll_count_threads() - threads);
  CHECK(poll_count_threads() - threads <= THREADS || !poll_has_futex_waitv()); /* then there is a thread for each word */
  take_until_all_is_there();
  for (int at = 0; at < pairs; at++)
    poll_rests_empty(&takers[at], poll_fd(&takers[at], SHMEM_FD_READ));
  say_idle("idle");
}

static void the_busy_one_and_the_quiet_ones_are_heard(void)
{
  const uint64_t count = check_scaled(60000);
  const double begin = check_clock();

  for (uint64_t i = 0; i < count; i++) {
    give((uint32_t)(i * 16 / count * 13 % (uint64_t)pairs)); /* another one is busy after a while */
    if (check_chance(50) == 0)
      give((uint32_t)check_chance((uint64_t)pairs));
    if (check_chance(4) == 0)
      take_until_all_is_there();
  }
  take_until_all_is_there();
  printf("%llu messages, of one at a time beside quiet ones: %.2f s\n", (unsigned long long)count, check_clock() - begin);
}

static void all_at_once_are_heard(void)
{
  for (uint64_t round = 0; round < check_scaled(200); round++) {
    for (int at = 0; at < pairs; at++)
      give((uint32_t)at);
    take_until_all_is_there();
  }
  for (int at = 0; at < pairs; at++)
    poll_rests_empty(&takers[at], poll_fd(&takers[at], SHMEM_FD_READ));
  CHECK(poll_count_threads() <= THREADS + 1 || !poll_has_futex_waitv());
  say_idle("idle again");
}

static void what_is_left_is_heard_after_most_are_closed(void)
{
  const int descriptors = poll_count_descriptors(NULL), left = QUIET / 2;

  for (int at = left; at < pairs; at++)
    poll_close_both(&givers[at], &takers[at]);
  CHECK(poll_count_descriptors(NULL) < descriptors);
  pairs = left;
  for (uint64_t round = 0; round < check_scaled(200); round++) {
    give((uint32_t)check_chance((uint64_t)pairs));
    take_until_all_is_there();
  }
  for (int at = 0; at < pairs; at++)
    poll_close_both(&givers[at], &takers[at]);
  say_idle("without any");
}

int main(void)
{
  check_begin();
  RUN(two_hundred_share_four_threads);
  RUN(the_busy_one_and_the_quiet_ones_are_heard);
  RUN(all_at_once_are_heard);
  RUN(what_is_left_is_heard_after_most_are_closed);
  return 0;
}
