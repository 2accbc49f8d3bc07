/* Who may open a ring, in which order, and what stays when they go. */
#include "check.h"

static const int policies[] = {SHMEM_SPSC, SHMEM_MPSC, SHMEM_MPMC};

struct signals {
  _Atomic int ready, stop;
};

struct holder {
  const char *name;
  int policy, role;
  struct signals *signals;
};

/* A process that has an end open until it is told to stop. */
static void hold(void *arg)
{
  struct holder *h = arg;
  struct shmem_ring *ring;

  CHECK_HANDLE(ring = shmem_ring_open(h->name, h->policy, h->role, 8, 4));
  atomic_fetch_add(&h->signals->ready, 1);
  WAIT_UNTIL(atomic_load(&h->signals->stop), 30);
  CHECK_EQ(shmem_ring_close(ring), 0);
}

static void messages_outlive_their_producer(void)
{
  for (int p = 0; p < 3; p++) {
    const char *name = check_name("ring");
    uint64_t n, got;
    struct shmem_ring *ring;

    CHECK_HANDLE(ring = shmem_ring_open(name, policies[p], SHMEM_PRODUCER, 8, 4));
    for (n = 1; n <= 3; n++)
      CHECK_EQ(shmem_ring_push(ring, &n), 0);
    CHECK_EQ(shmem_ring_close(ring), 0);
    CHECK_HANDLE(ring = shmem_ring_open(name, policies[p], SHMEM_CONSUMER, 8, 4));
    CHECK_EQ(shmem_ring_pending(ring), 3);
    for (n = 1; n <= 2; n++) {
      CHECK_EQ(shmem_ring_pop(ring, &got), 0);
      CHECK_EQ(got, n);
    }
    CHECK_EQ(shmem_ring_close(ring), 0);
    CHECK_HANDLE(ring = shmem_ring_open(name, policies[p], SHMEM_CONSUMER, 8, 4));
    CHECK_EQ(shmem_ring_pop(ring, &got), 0);
    CHECK_EQ(got, 3);
    CHECK_GIVES(shmem_ring_try_pop(ring, &got), -1, EAGAIN);
    CHECK_EQ(shmem_ring_close(ring), 0);
    CHECK_EQ(shmem_ring_unlink(name), 0);
    CHECK_GIVES(shmem_ring_unlink(name), -1, ENOENT);
  }
}

static void names_with_and_without_a_slash_are_the_same_ring(void)
{
  const char *name = check_name("ring");
  char slashed[CHECK_NAME_SIZE + 1];
  struct shmem_ring *producer, *consumer;
  char message = 'x', got;

  sprintf(slashed, "/%s", name);
  CHECK_HANDLE(producer = shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 1, 1));
  CHECK_HANDLE(consumer = shmem_ring_open(slashed, SHMEM_SPSC, SHMEM_CONSUMER, 1, 1));
  CHECK_EQ(shmem_ring_push(producer, &message), 0);
  CHECK_EQ(shmem_ring_pop(consumer, &got), 0);
  CHECK_EQ(got, 'x');
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
  CHECK_EQ(shmem_ring_unlink(slashed), 0);
  CHECK_GIVES(shmem_ring_unlink(name), -1, ENOENT);
}

static void says(const char *first, const char *second)
{
  if (!strstr(shmem_last_error(), first) || !strstr(shmem_last_error(), second))
    check_fail(__FILE__, __LINE__, "\"%s\" does not say %s and %s", shmem_last_error(), first, second);
}

static void other_parameters_are_refused_and_both_are_named(void)
{
  const char *name = check_name("ring");
  struct shmem_ring *ring;

  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 1024, 64));
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_CONSUMER, 1000, 64), EPROTO);
  says("1024", "1000");
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_CONSUMER, 1024, 65), EPROTO);
  says("64", "65");
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_MPMC, SHMEM_CONSUMER, 1024, 64), EPROTO);
  says("SPSC", "MPMC");
  /* Said before EBUSY. */
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 1000, 64), EPROTO);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 1024, 64), EBUSY);
  CHECK_EQ(shmem_ring_close(ring), 0);
  /* Nobody has it open, and it is still what it was. */
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 1000, 64), EPROTO);
  CHECK_EQ(shmem_ring_unlink(name), 0);
  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 1000, 64));
  CHECK_EQ(shmem_ring_close(ring), 0);
}

static void a_role_of_one_is_given_once_and_free_after_its_holders_death_or_close(void)
{
  const struct {
    int policy, role;
  } sole[] = {{SHMEM_SPSC, SHMEM_PRODUCER}, {SHMEM_SPSC, SHMEM_CONSUMER}, {SHMEM_MPSC, SHMEM_CONSUMER}};

  for (int i = 0; i < 3; i++) {
    for (int dies = 0; dies < 2; dies++) {
      struct holder h = {check_name("ring"), sole[i].policy, sole[i].role, check_shared(sizeof *h.signals)};
      struct shmem_ring *ring;
      char pid[16];

      pid_t child = check_spawn(hold, &h);
      WAIT_UNTIL(atomic_load(&h.signals->ready), 5);
      CHECK_REFUSED(shmem_ring_open(h.name, h.policy, h.role, 8, 4), EBUSY);
      sprintf(pid, "%d", (int)child);
      says(pid, h.name);
      CHECK_EQ(kill(child, SIGSTOP), 0); /* who is stopped is alive */
      CHECK_REFUSED(shmem_ring_open(h.name, h.policy, h.role, 8, 4), EBUSY);
      CHECK_EQ(kill(child, SIGCONT), 0);
      if (dies) {
        check_kill(child);
      } else {
        atomic_store(&h.signals->stop, 1);
        CHECK_CHILD_ENDS_WELL(child, 5);
      }
      CHECK_HANDLE(ring = shmem_ring_open(h.name, h.policy, h.role, 8, 4));
      CHECK_REFUSED(shmem_ring_open(h.name, h.policy, h.role, 8, 4), EBUSY); /* by this process too */
      CHECK_EQ(shmem_ring_close(ring), 0);
      CHECK_EQ(shmem_ring_unlink(h.name), 0);
    }
  }
}

static void a_shared_role_has_room_for_256(void)
{
  enum { MOST = 256 };
  const char *name = check_name("ring");
  struct shmem_ring *ends[MOST], *consumer, *ring;
  struct shmem_ring_stats stats = SHMEM_RING_STATS_INIT;
  uint64_t got;

  CHECK_HANDLE(consumer = shmem_ring_open(name, SHMEM_MPSC, SHMEM_CONSUMER, 8, MOST));
  for (uint64_t i = 0; i < MOST; i++) {
    CHECK_HANDLE(ends[i] = shmem_ring_open(name, SHMEM_MPSC, SHMEM_PRODUCER, 8, MOST));
    CHECK_EQ(shmem_ring_push(ends[i], &i), 0);
  }
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_MPSC, SHMEM_PRODUCER, 8, MOST), EBUSY);
  CHECK_EQ(shmem_ring_stats(consumer, &stats), 0);
  CHECK_EQ(stats.producers, MOST);
  CHECK_EQ(stats.consumers, 1);
  for (uint64_t i = 0; i < MOST; i++) {
    CHECK_EQ(shmem_ring_try_pop(consumer, &got), 0);
    CHECK_EQ(got, i);
  }
  CHECK_EQ(shmem_ring_close(ends[100]), 0);
  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_MPSC, SHMEM_PRODUCER, 8, MOST));
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_MPSC, SHMEM_PRODUCER, 8, MOST), EBUSY);
  CHECK_EQ(shmem_ring_close(ring), 0);
  for (int i = 0; i < MOST; i++)
    if (i != 100)
      CHECK_EQ(shmem_ring_close(ends[i]), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
  CHECK_EQ(shmem_ring_unlink(name), 0);
}

static void a_ring_that_is_unlinked_goes_on_for_those_who_have_it(void)
{
  const char *name = check_name("ring");
  struct shmem_ring *producer, *consumer, *other;
  uint64_t n = 5, got;

  CHECK_HANDLE(producer = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 4));
  CHECK_HANDLE(consumer = shmem_ring_open(name, SHMEM_MPMC, SHMEM_CONSUMER, 8, 4));
  CHECK_EQ(shmem_shared_unlink(name), 0); /* any unlink removes any kind */
  CHECK_HANDLE(other = shmem_ring_open(name, SHMEM_SPSC, SHMEM_CONSUMER, 4, 1));
  CHECK_EQ(shmem_ring_push(producer, &n), 0);
  CHECK_EQ(shmem_ring_pop(consumer, &got), 0);
  CHECK_EQ(got, 5);
  CHECK_GIVES(shmem_ring_try_pop(other, &got), -1, EAGAIN);
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
  CHECK_EQ(shmem_ring_close(other), 0);
}

/* Many processes open a ring of one name at the same time: it is made once. */
static void open_and_push(void *arg)
{
  struct holder *h = arg;
  struct shmem_ring *ring;
  uint64_t n = 1;

  atomic_fetch_add(&h->signals->ready, 1);
  while (!atomic_load(&h->signals->stop))
    ;
  CHECK_HANDLE(ring = shmem_ring_open(h->name, h->policy, SHMEM_PRODUCER, 8, 64));
  CHECK_EQ(shmem_ring_try_push(ring, &n), 0);
  CHECK_EQ(shmem_ring_close(ring), 0);
}

static void those_who_open_it_at_once_get_the_same_ring(void)
{
  for (int round = 0; round < (int)check_scaled(20); round++) {
    struct holder h = {check_name("ring"), SHMEM_MPMC, 0, check_shared(sizeof *h.signals)};
    struct shmem_ring *ring;
    pid_t pids[8];

    for (int i = 0; i < 8; i++)
      pids[i] = check_spawn(open_and_push, &h);
    WAIT_UNTIL(atomic_load(&h.signals->ready) == 8, 10);
    atomic_store(&h.signals->stop, 1);
    for (int i = 0; i < 8; i++)
      CHECK_CHILD_ENDS_WELL(pids[i], 10);
    CHECK_HANDLE(ring = shmem_ring_open(h.name, SHMEM_MPMC, SHMEM_CONSUMER, 8, 64));
    CHECK_EQ(shmem_ring_pending(ring), 8);
    CHECK_EQ(shmem_ring_close(ring), 0);
    CHECK_EQ(shmem_ring_unlink(h.name), 0);
  }
}

/* Who goes on calling with one finds it closed, and does not use a ring that was opened later. */
static void a_ring_that_was_closed_is_not_the_next_one(void)
{
  const char *name = check_name("closed"), *other = check_name("next");
  struct shmem_ring *closed, *next;
  char message[8] = "message";

  CHECK_HANDLE(closed = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 4));
  CHECK_EQ(shmem_ring_close(closed), 0);
  for (int opened = 0; opened < 256; opened++) {
    CHECK_HANDLE(next = shmem_ring_open(other, SHMEM_MPMC, SHMEM_PRODUCER, 1024, 4));
    CHECK_GIVES(shmem_ring_try_push(closed, message), -1, EPIPE);
    CHECK_GIVES(shmem_ring_close(closed), -1, EINVAL);
    CHECK_EQ(shmem_ring_pending(next), 0);
    CHECK_EQ(shmem_ring_close(next), 0);
  }
  CHECK_EQ(shmem_ring_unlink(name), 0);
  CHECK_EQ(shmem_ring_unlink(other), 0);
}

int main(void)
{
  check_begin();
  RUN(messages_outlive_their_producer);
  RUN(names_with_and_without_a_slash_are_the_same_ring);
  RUN(other_parameters_are_refused_and_both_are_named);
  RUN(a_role_of_one_is_given_once_and_free_after_its_holders_death_or_close);
  RUN(a_shared_role_has_room_for_256);
  RUN(a_ring_that_is_unlinked_goes_on_for_those_who_have_it);
  RUN(those_who_open_it_at_once_get_the_same_ring);
  RUN(a_ring_that_was_closed_is_not_the_next_one);
  return 0;
}
