/* Descriptors to poll where the kernel lacks what they are made of, or forbids it: futex_waitv, pidfd_open, membarrier, one by one and all
 * together. All of it works; deaths are seen by probes. */
#include "poll_ends.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

enum { ROUNDS = 100, DEATHS = 3, MANY = 12, MOST_FORBIDDEN = 3 };

struct lack {
  const char *what;
  int error;
  long calls[MOST_FORBIDDEN]; /* up to the first 0 */
};

/* From now on these calls fail, in this process and its children. */
static void forbid(const struct lack *lack)
{
  struct sock_filter filter[2 * MOST_FORBIDDEN + 2];
  unsigned short count = 0;

  filter[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0 /* the number */);
  for (int i = 0; i < MOST_FORBIDDEN && lack->calls[i]; i++) {
    filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)lack->calls[i], 0, 1);
    filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)lack->error);
  }
  filter[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {count, filter};
  CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
  for (int i = 0; i < MOST_FORBIDDEN && lack->calls[i]; i++)
    CHECK_GIVES(syscall(lack->calls[i], 0, 0, 0, 0, 0, 0), -1, lack->error);
}

/* ---- what works nevertheless ----------------------------------------------------------------- */

static void cross(enum poll_kind kind)
{
  const struct poll_place place = poll_new_place(kind, 2);
  struct poll_end giver, taker;
  uint64_t number;

  poll_open_both(&giver, &taker, &place);
  const int reads = poll_fd(&taker, SHMEM_FD_READ), writes = poll_fd(&giver, SHMEM_FD_WRITE);
  for (uint64_t next = 1; next <= check_scaled(ROUNDS); next++) {
    poll_rests_empty(&taker, reads);
    do
      poll_await(writes);
    while (poll_give(&giver, next) == 0);
    do
      poll_await(reads);
    while (poll_take(&taker, &number, 1) == 0);
    CHECK_EQ(number, next);
  }
  poll_close_both(&giver, &taker);
}

static _Atomic bool *is_born;

static void live(void *place)
{
  struct poll_end taker;

  poll_open(&taker, place, false);
  *is_born = true;
  pause();
}

/* Gives the time from a kill to the event. */
static double see_a_death(enum poll_kind kind)
{
  struct poll_place place = poll_new_place(kind, 2);
  struct poll_end giver;
  uint64_t number;

  *is_born = false;
  pid_t pid = check_spawn(live, &place);
  poll_open(&giver, &place, true);
  WAIT_UNTIL(*is_born, 20);
  const int reads = poll_fd(&giver, SHMEM_FD_READ);
  poll_rests_empty(&giver, reads);
  const double begin = check_clock();
  check_kill(pid);
  do
    poll_await(reads);
  while (poll_take(&giver, &number, 1) == 0);
  CHECK_EQ(errno, EPIPE);
  const double time = check_clock() - begin;
  poll_close(&giver);
  shmem_shared_unlink(place.names[0]);
  return time;
}

/* More words than one thread may listen to at first. */
static void hear_all_of_many(void)
{
  struct poll_place places[MANY];
  struct poll_end givers[MANY], takers[MANY];
  const int set = poll_set();
  uint64_t number;

  for (uint32_t i = 0; i < MANY; i++) {
    places[i] = poll_new_place(i % 2 ? POLL_OWN : POLL_MPMC, 2);
    poll_open_both(&givers[i], &takers[i], &places[i]);
    poll_add(set, poll_fd(&takers[i], SHMEM_FD_READ), i);
    poll_rests_empty(&takers[i], poll_fd(&takers[i], SHMEM_FD_READ));
  }
  for (uint64_t next = 1; next <= check_scaled(ROUNDS); next++) {
    const uint32_t at = (uint32_t)check_chance(MANY);
    struct epoll_event event;
    CHECK_EQ(poll_give(&givers[at], next), 1);
    do
      CHECK_EQ(poll_await_many(set, &event, 1), 1);
    while (poll_take(&takers[event.data.u32], &number, 1) == 0);
    CHECK(event.data.u32 == at && number == next);
  }
  for (int i = 0; i < MANY; i++)
    poll_close_both(&givers[i], &takers[i]);
}

static void go_without(void *arg)
{
  const struct lack *lack = arg;
  double longest[2] = {0};

  check_owner = getpid(); /* its names are its own */
  forbid(lack);
  for (enum poll_kind kind = 0; kind < POLL_KINDS; kind++)
    cross(kind);
  hear_all_of_many();
  for (uint64_t i = 0; i < check_scaled(DEATHS); i++) {
    for (int wire = 0; wire < 2; wire++) {
      const double time = see_a_death(wire ? POLL_WIRE : POLL_OWN);
      if (time > longest[wire])
        longest[wire] = time;
    }
  }
  printf("without %s: %d threads; from SIGKILL to the end at most %.1f ms, in VILLASnode's layout %.1f ms\n", lack->what,
         poll_count_threads(), longest[0] * 1e3, longest[1] * 1e3);
}

#define WITHOUT(name, words, error, ...)                                                          \
  static void name(void)                                                                          \
  {                                                                                               \
    static struct lack lack = {words, error, {__VA_ARGS__}};                                      \
    CHECK_CHILD_ENDS_WELL(check_spawn(go_without, &lack), 60);                                    \
  }

WITHOUT(nothing_is_missed, "what exists nowhere", ENOSYS, 0)
WITHOUT(one_thread_listens_to_each_word, "futex_waitv", ENOSYS, SYS_futex_waitv)
WITHOUT(a_filter_may_forbid_futex_waitv, "permission for futex_waitv", EPERM, SYS_futex_waitv)
WITHOUT(probes_see_deaths_without_pidfds, "pidfd_open", ENOSYS, SYS_pidfd_open)
WITHOUT(a_filter_may_forbid_pidfds, "permission for pidfd_open", EPERM, SYS_pidfd_open)
WITHOUT(flags_rise_by_themselves_without_membarrier, "membarrier", ENOSYS, SYS_membarrier)
WITHOUT(all_of_it_may_be_missing, "any of them", ENOSYS, SYS_futex_waitv, SYS_pidfd_open, SYS_membarrier)

int main(void)
{
  check_begin();
  if (check_valgrind())
    check_skip("valgrind makes system calls of its own");
  is_born = check_shared(sizeof *is_born);
  RUN(nothing_is_missed);
  RUN(one_thread_listens_to_each_word);
  RUN(a_filter_may_forbid_futex_waitv);
  RUN(probes_see_deaths_without_pidfds);
  RUN(a_filter_may_forbid_pidfds);
  RUN(flags_rise_by_themselves_without_membarrier);
  RUN(all_of_it_may_be_missing);
  return 0;
}
