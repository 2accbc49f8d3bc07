/* Messages that are made and read in the ring itself. */
#include "check.h"

static const int policies[] = {SHMEM_SPSC, SHMEM_MPSC, SHMEM_MPMC};

static struct shmem_ring *producer, *consumer;
static const char *name;

static void open_both(int policy, size_t capacity)
{
  name = check_name("ring");
  CHECK_HANDLE(producer = shmem_ring_open(name, policy, SHMEM_PRODUCER, 12, capacity));
  CHECK_HANDLE(consumer = shmem_ring_open(name, policy, SHMEM_CONSUMER, 12, capacity));
}

static void close_both(void)
{
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
  CHECK_EQ(shmem_ring_unlink(name), 0);
}

static void a_message_is_visible_when_it_is_committed(void)
{
  for (int p = 0; p < 3; p++) {
    open_both(policies[p], 2);
    for (int i = 0; i < 5; i++) {
      char *slot = shmem_ring_reserve(producer);
      CHECK(slot && (uintptr_t)slot % 32 == 0);
      CHECK_EQ(shmem_ring_available(producer), 1);
      CHECK_EQ(shmem_ring_pending(producer), 0);
      memcpy(slot, "hello world", 12);
      CHECK_GIVES(shmem_ring_peek(consumer) != NULL, 0, EAGAIN);
      CHECK_EQ(shmem_ring_commit(producer, slot), 0);
      CHECK_EQ(shmem_ring_pending(consumer), 1);
      const char *message = shmem_ring_peek(consumer);
      CHECK(message && strcmp(message, "hello world") == 0);
      CHECK_EQ(shmem_ring_pending(consumer), 0);
      CHECK_EQ(shmem_ring_available(consumer), 1);
      CHECK_EQ(shmem_ring_release(consumer, message), 0);
      CHECK_EQ(shmem_ring_available(consumer), 2);
    }
    close_both();
  }
}

static void a_place_that_is_given_up_is_passed_over(void)
{
  for (int p = 0; p < 3; p++) {
    char message[12] = "after", got[12];
    open_both(policies[p], 3);
    for (int i = 0; i < 7; i++) {
      void *slot = shmem_ring_reserve(producer);
      CHECK(slot);
      CHECK_EQ(shmem_ring_abort(producer, slot), 0);
      CHECK_EQ(shmem_ring_available(producer), 3);
      CHECK_EQ(shmem_ring_pending(producer), 0);
      CHECK_GIVES(shmem_ring_try_pop(consumer, got), -1, EAGAIN);
      CHECK_EQ(shmem_ring_push(producer, message), 0);
      CHECK_EQ(shmem_ring_try_pop(consumer, got), 0);
      CHECK(strcmp(got, "after") == 0);
    }
    close_both();
  }
}

static void of_a_shared_ring_several_slots_can_be_out_at_a_time(void)
{
  for (int p = 1; p < 3; p++) {
    char *slots[4], got[12];
    const char *held[4];

    open_both(policies[p], 4);
    for (int i = 0; i < 4; i++) {
      CHECK(slots[i] = shmem_ring_reserve(producer));
      sprintf(slots[i], "m%d", i);
    }
    CHECK_GIVES(shmem_ring_reserve(producer) != NULL, 0, EAGAIN);
    CHECK_EQ(shmem_ring_commit(producer, slots[2]), 0);
    CHECK_EQ(shmem_ring_commit(producer, slots[1]), 0);
    CHECK_GIVES(shmem_ring_try_pop(consumer, got), -1, EAGAIN); /* the first is still being written */
    CHECK_EQ(shmem_ring_abort(producer, slots[0]), 0);
    CHECK_EQ(shmem_ring_commit(producer, slots[3]), 0);
    for (int i = 1; i < 4; i++) {
      CHECK(held[i] = shmem_ring_peek(consumer));
      sprintf(got, "m%d", i);
      CHECK(strcmp(held[i], got) == 0);
    }
    CHECK_GIVES(shmem_ring_peek(consumer) != NULL, 0, EAGAIN);
    CHECK_EQ(shmem_ring_release(consumer, held[3]), 0);
    CHECK_EQ(shmem_ring_release(consumer, held[1]), 0);
    CHECK_EQ(shmem_ring_release(consumer, held[2]), 0);
    CHECK_EQ(shmem_ring_available(producer), 4);
    close_both();
  }
}

static void of_an_spsc_ring_one_slot_is_out_at_a_time(void)
{
  char message[12] = "x";

  open_both(SHMEM_SPSC, 4);
  void *slot = shmem_ring_reserve(producer);
  CHECK(slot);
  CHECK_REFUSED(shmem_ring_reserve(producer), EINVAL);
  CHECK_GIVES(shmem_ring_try_push(producer, message), -1, EINVAL);
  CHECK_GIVES(shmem_ring_push_many(producer, message, 1), -1, EINVAL);
  memcpy(slot, message, 12);
  CHECK_EQ(shmem_ring_commit(producer, slot), 0);
  const void *held = shmem_ring_peek(consumer);
  CHECK(held);
  CHECK_REFUSED(shmem_ring_peek(consumer), EINVAL);
  CHECK_GIVES(shmem_ring_try_pop(consumer, message), -1, EINVAL);
  CHECK_GIVES(shmem_ring_pop_many(consumer, message, 1), -1, EINVAL);
  CHECK_EQ(shmem_ring_release(consumer, held), 0);
  close_both();
}

static void only_what_is_out_can_be_given_back_and_once(void)
{
  for (int p = 0; p < 3; p++) {
    char local[12];
    open_both(policies[p], 4);
    char *slot = shmem_ring_reserve(producer);
    CHECK(slot);
    CHECK_GIVES(shmem_ring_commit(producer, NULL), -1, EINVAL);
    CHECK_GIVES(shmem_ring_commit(producer, local), -1, EINVAL);
    CHECK_GIVES(shmem_ring_commit(producer, slot + 1), -1, EINVAL);
    CHECK_GIVES(shmem_ring_commit(producer, slot + 32), -1, EINVAL);
    CHECK_GIVES(shmem_ring_release(producer, slot), -1, EINVAL);
    CHECK_GIVES(shmem_ring_commit(consumer, slot), -1, EINVAL);
    CHECK_EQ(shmem_ring_commit(producer, slot), 0);
    CHECK_GIVES(shmem_ring_commit(producer, slot), -1, EINVAL);
    CHECK_GIVES(shmem_ring_abort(producer, slot), -1, EINVAL);
    const char *held = shmem_ring_peek(consumer);
    CHECK(held);
    CHECK_GIVES(shmem_ring_release(consumer, held + 1), -1, EINVAL);
    CHECK_GIVES(shmem_ring_abort(consumer, (void *)(uintptr_t)held), -1, EINVAL);
    CHECK_EQ(shmem_ring_release(consumer, held), 0);
    CHECK_GIVES(shmem_ring_release(consumer, held), -1, EINVAL);
    close_both();
  }
}

static void what_is_out_can_be_given_back_after_the_close(void)
{
  for (int p = 0; p < 3; p++) {
    char got[12];
    open_both(policies[p], 2);
    char *slot = shmem_ring_reserve(producer);
    CHECK(slot);
    CHECK_EQ(shmem_ring_close(producer), 0);
    strcpy(slot, "late"); /* the memory is there */
    CHECK_GIVES(shmem_ring_reserve(producer) != NULL, 0, EPIPE);
    CHECK_EQ(shmem_ring_commit(producer, slot), 0);
    CHECK_GIVES(shmem_ring_commit(producer, slot), -1, EPIPE);
    const char *held = shmem_ring_peek(consumer);
    CHECK(held && strcmp(held, "late") == 0);
    CHECK_EQ(shmem_ring_close(consumer), 0);
    CHECK(strcmp(held, "late") == 0);
    if (policies[p] != SHMEM_MPMC)
      CHECK_REFUSED(shmem_ring_open(name, policies[p], SHMEM_CONSUMER, 12, 2), EBUSY);
    CHECK_EQ(shmem_ring_release(consumer, held), 0);
    CHECK_HANDLE(consumer = shmem_ring_open(name, policies[p], SHMEM_CONSUMER, 12, 2));
    CHECK_GIVES(shmem_ring_try_pop(consumer, got), -1, EAGAIN);
    CHECK_EQ(shmem_ring_available(consumer), 2);
    CHECK_EQ(shmem_ring_close(consumer), 0);
    CHECK_EQ(shmem_ring_unlink(name), 0);
  }
}

static void an_end_that_is_abandoned_gives_back_what_is_out(void)
{
  for (int p = 0; p < 3; p++) {
    const bool is_spsc = policies[p] == SHMEM_SPSC;
    char got[12];
    open_both(policies[p], 4);
    CHECK_EQ(shmem_ring_push(producer, "first\0\0\0\0\0\0"), 0);
    CHECK_EQ(shmem_ring_push(producer, "second\0\0\0\0\0"), 0);
    void *slot = shmem_ring_reserve(producer);
    CHECK(slot && (is_spsc || shmem_ring_reserve(producer)));
    const char *held = shmem_ring_peek(consumer);
    CHECK(held && strcmp(held, "first") == 0);
    CHECK_EQ(shmem_ring_abandon(producer), 0);
    CHECK_EQ(shmem_ring_abandon(consumer), 0);
    CHECK_GIVES(shmem_ring_abandon(producer), -1, EINVAL);
    CHECK_GIVES(shmem_ring_close(producer), -1, EINVAL);
    CHECK_GIVES(shmem_ring_commit(producer, slot), -1, EPIPE);
    CHECK_GIVES(shmem_ring_release(consumer, held), -1, EPIPE);

    /* The places are free, nothing holds up what comes, and only what was peeked at in a shared ring is gone. */
    CHECK_HANDLE(producer = shmem_ring_open(name, policies[p], SHMEM_PRODUCER, 12, 4));
    CHECK_HANDLE(consumer = shmem_ring_open(name, policies[p], SHMEM_CONSUMER, 12, 4));
    CHECK_EQ(shmem_ring_push(producer, "third\0\0\0\0\0\0"), 0);
    for (int i = is_spsc ? 0 : 1; i < 3; i++) {
      CHECK_EQ(shmem_ring_try_pop(consumer, got), 0);
      CHECK(strcmp(got, (const char *[]){"first", "second", "third"}[i]) == 0);
    }
    CHECK_GIVES(shmem_ring_try_pop(consumer, got), -1, EAGAIN);
    CHECK_EQ(shmem_ring_available(producer), 4);
    close_both();
  }
}

static void abandon_and_close_refuse_the_same(void)
{
  CHECK_GIVES(shmem_ring_abandon(NULL), -1, EINVAL);
  CHECK_GIVES(shmem_endpoint_abandon(NULL), -1, EINVAL);
  name = check_name("pair");
  struct shmem_endpoint *end;
  CHECK_HANDLE(end = shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, 12, 2));
  CHECK_GIVES(shmem_ring_abandon(shmem_endpoint_outgoing(end)), -1, EINVAL);
  CHECK(shmem_ring_reserve(shmem_endpoint_outgoing(end)));
  CHECK_EQ(shmem_endpoint_abandon(end), 0);
  CHECK_GIVES(shmem_endpoint_abandon(end), -1, EINVAL);
  CHECK_HANDLE(end = shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, 12, 2));
  CHECK_EQ(shmem_endpoint_close(end), 0);
  CHECK_EQ(shmem_endpoint_unlink(name), 0);
}

/* ---- an end that is abandoned beside calls ----------------------------------------------------- */

struct shared_end {
  _Atomic(struct shmem_ring *) ring; /* NULL: abandoned */
  _Atomic int ready;
};

static void *reserve_and_abort(void *arg)
{
  struct shared_end *end = arg;
  struct shmem_ring *ring;

  end->ready++;
  while ((ring = end->ring)) {
    void *slot = shmem_ring_reserve(ring);
    if (!slot)
      CHECK(errno == EAGAIN || errno == EPIPE || errno == EINVAL);
    else if ((ring = end->ring))
      shmem_ring_abort(ring, slot); /* else it is given back by who abandons the end */
  }
  return NULL;
}

static void what_is_reserved_beside_an_abandon_holds_nobody_up(void)
{
  const char *name = check_name("beside");
  struct shmem_ring *consumer, *other;
  uint64_t message = 0;

  CHECK_HANDLE(consumer = shmem_ring_open(name, SHMEM_MPMC, SHMEM_CONSUMER, 8, 64));
  for (uint64_t round = 0; round < check_scaled(500); round++) {
    struct shared_end end = {.ring = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 64)};
    struct shmem_ring *ring = end.ring;
    pthread_t threads[3];
    CHECK_HANDLE(ring);
    for (int i = 0; i < 3; i++)
      CHECK_EQ(pthread_create(&threads[i], NULL, reserve_and_abort, &end), 0);
    WAIT_UNTIL(end.ready == 3, 20);
    end.ring = NULL;
    CHECK_EQ(shmem_ring_abandon(ring), 0);
    for (int i = 0; i < 3; i++)
      CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_HANDLE(other = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 64));
    CHECK_EQ(shmem_ring_try_push(other, &round), 0);
    CHECK_EQ(shmem_ring_timed_pop(consumer, &message, PATIENT), 0);
    CHECK_EQ(message, round);
    CHECK_EQ(shmem_ring_close(other), 0);
  }
  CHECK_EQ(shmem_ring_close(consumer), 0);
}

int main(void)
{
  check_begin();
  RUN(a_message_is_visible_when_it_is_committed);
  RUN(a_place_that_is_given_up_is_passed_over);
  RUN(of_a_shared_ring_several_slots_can_be_out_at_a_time);
  RUN(of_an_spsc_ring_one_slot_is_out_at_a_time);
  RUN(only_what_is_out_can_be_given_back_and_once);
  RUN(what_is_out_can_be_given_back_after_the_close);
  RUN(an_end_that_is_abandoned_gives_back_what_is_out);
  RUN(abandon_and_close_refuse_the_same);
  RUN(what_is_reserved_beside_an_abandon_holds_nobody_up);
  return 0;
}
