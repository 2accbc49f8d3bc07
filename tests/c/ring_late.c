/* Claims in rings where several may be, of a participant that was taken for dead while it goes on, and claims in the name of one that it
 * has not made: nobody's message is published half written, and the ring goes on. */
#include "check.h"

enum { TAIL = 0x100, SLOTS = 17536, LAP_AT = 18, STATE_AT = 9, TAKEN = 4 };

static const char *name;
static _Atomic uint64_t *words; /* of the region */

static struct shmem_ring *open_as(int role, size_t capacity)
{
  struct shmem_ring *ring;

  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_MPMC, role, 8, capacity));
  return ring;
}

/* Makes a ring, and a producer's and a consumer's end of it. */
static void open_ring(size_t capacity, struct shmem_ring **producer, struct shmem_ring **consumer)
{
  name = check_name("late");
  *consumer = open_as(SHMEM_CONSUMER, capacity);
  *producer = open_as(SHMEM_PRODUCER, capacity);
  const int fd = open(check_path(name), O_RDWR);
  CHECK(fd >= 0);
  words = mmap(NULL, SLOTS + 16 * capacity, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(words != MAP_FAILED);
  CHECK_EQ(close(fd), 0);
}

/* The word of a slot, whose message has 8 bytes. */
static _Atomic uint64_t *word(int slot)
{
  return &words[(SLOTS + 16 * slot + 8) / 8];
}

static uint64_t skipped_and_lost(struct shmem_ring *ring)
{
  struct shmem_ring_stats stats = SHMEM_RING_STATS_INIT;

  CHECK_EQ(shmem_ring_stats(ring, &stats), 0);
  return stats.skipped * 100 + stats.lost;
}

/* As many messages fit as ever, and come out whole. */
static void check_whole(struct shmem_ring *producer, struct shmem_ring *consumer, uint64_t capacity)
{
  uint64_t got = 0;

  for (uint64_t i = 0; i < capacity; i++)
    CHECK_EQ(shmem_ring_timed_push(producer, &i, PATIENT), 0);
  CHECK_GIVES(shmem_ring_try_push(producer, &got), -1, EAGAIN);
  for (uint64_t i = 0; i < capacity; i++) {
    CHECK_EQ(shmem_ring_timed_pop(consumer, &got, PATIENT), 0);
    CHECK_EQ(got, i);
  }
  CHECK_GIVES(shmem_ring_try_pop(consumer, &got), -1, EAGAIN);
}

/* Takes the lock away by which a place is held, as nobody does who means well. */
static struct shmem_ring *open_and_lose(int role, size_t capacity)
{
  struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  struct stat object, file;

  const int fd = dup(STDERR_FILENO); /* the next number */
  CHECK(fd >= 0);
  CHECK_EQ(close(fd), 0);
  struct shmem_ring *ring = open_as(role, capacity);
  CHECK_EQ(stat(check_path(name), &object), 0);
  CHECK_EQ(fstat(fd, &file), 0);
  CHECK(file.st_ino == object.st_ino && file.st_dev == object.st_dev);
  CHECK_EQ(fcntl(fd, F_OFD_SETLK, &all), 0);
  return ring;
}

static void who_reserves_a_slot_that_others_took_from_it_is_told(void)
{
  struct shmem_ring *producer, *consumer;
  uint64_t got;

  open_ring(1, &producer, &consumer);
  struct shmem_ring *lost = open_and_lose(SHMEM_PRODUCER, 1);
  void *slot = shmem_ring_reserve(lost);
  CHECK(slot);
  WAIT_UNTIL(shmem_ring_timed_pop(consumer, &got, MS(20)) == -1 && skipped_and_lost(consumer) == 100, 10); /* gives the slot up */
  CHECK_REFUSED(shmem_ring_reserve(lost), ESTALE); /* it would be the same */
  CHECK_GIVES(shmem_ring_try_pop(consumer, &got), -1, EAGAIN);
  CHECK_GIVES(shmem_ring_commit(lost, slot), -1, ESTALE);
  CHECK_GIVES(shmem_ring_commit(lost, slot), -1, EINVAL);
  CHECK_EQ(skipped_and_lost(consumer), 200);
  CHECK_GIVES(shmem_ring_try_pop(consumer, &got), -1, EAGAIN);
  check_whole(producer, consumer, 1);
  CHECK_EQ(shmem_ring_close(lost), 0);
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
}

static void who_peeks_at_a_slot_that_others_took_from_it_is_told(void)
{
  struct shmem_ring *producer, *consumer;
  uint64_t message = 1, got;

  open_ring(1, &producer, &consumer);
  struct shmem_ring *lost = open_and_lose(SHMEM_CONSUMER, 1);
  CHECK_EQ(shmem_ring_push(producer, &message), 0);
  const void *slot = shmem_ring_peek(lost);
  CHECK(slot);
  CHECK_EQ(shmem_ring_timed_push(producer, &message, PATIENT), 0); /* gives the slot up */
  CHECK_EQ(skipped_and_lost(producer), 1);
  CHECK_REFUSED(shmem_ring_peek(lost), ESTALE);
  CHECK_GIVES(shmem_ring_release(lost, slot), -1, ESTALE);
  CHECK_GIVES(shmem_ring_release(lost, slot), -1, EINVAL);
  CHECK_GIVES(shmem_ring_try_pop(consumer, &got), -1, EAGAIN);
  CHECK_EQ(skipped_and_lost(producer), 2);
  check_whole(producer, consumer, 1);
  CHECK_EQ(shmem_ring_close(lost), 0);
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
}

/* The word is as if the slot had been given up, and claimed again under the same number, a lap later. */
static void a_late_end_of_a_claim_leaves_a_later_claim_under_the_same_number(void)
{
  for (int way = 0; way < 4; way++) {
    struct shmem_ring *producer, *consumer;
    uint64_t message = 1;
    void *slot;

    open_ring(3, &producer, &consumer);
    if (way == 1)
      CHECK_EQ(shmem_ring_push(producer, &message), 0);
    CHECK(slot = way == 1 ? (void *)shmem_ring_peek(consumer) : shmem_ring_reserve(producer));
    const uint64_t later = atomic_fetch_add(word(0), (uint64_t)1 << LAP_AT) + ((uint64_t)1 << LAP_AT);
    if (way == 0)
      CHECK_GIVES(shmem_ring_commit(producer, slot), -1, ESTALE);
    else if (way == 1)
      CHECK_GIVES(shmem_ring_release(consumer, slot), -1, ESTALE);
    else if (way == 2)
      CHECK_GIVES(shmem_ring_abort(producer, slot), -1, ESTALE);
    else
      CHECK_EQ(shmem_ring_abandon(producer), 0);
    CHECK_EQ(atomic_load(word(0)), later);
    if (way != 3)
      CHECK_EQ(shmem_ring_close(producer), 0);
    CHECK_EQ(shmem_ring_close(consumer), 0);
  }
}

/* So it is when a predecessor has claimed after this end had come, and was killed then. */
static void a_claim_in_its_name_that_an_end_has_not_made_is_given_up(void)
{
  struct shmem_ring *producer, *consumer;
  uint64_t message = 7, got;

  open_ring(2, &producer, &consumer);
  void *slot = shmem_ring_reserve(producer);
  CHECK(slot);
  /* Its own claim stays. */
  atomic_store(word(1), atomic_load(word(0)));
  CHECK_GIVES(shmem_ring_timed_push(producer, &message, MS(50)), -1, ETIMEDOUT);
  CHECK_EQ(skipped_and_lost(producer), 0);
  *(uint64_t *)slot = 6;
  CHECK_EQ(shmem_ring_commit(producer, slot), 0);
  CHECK_EQ(shmem_ring_timed_pop(consumer, &got, PATIENT), 0);
  CHECK_EQ(got, 6);
  /* What follows is the other's, and in the way of the last slot. */
  CHECK_EQ(shmem_ring_timed_push(producer, &message, PATIENT), 0);
  CHECK_EQ(shmem_ring_timed_push(producer, &message, PATIENT), 0);
  CHECK_EQ(skipped_and_lost(producer), 100);
  const void *peeked = shmem_ring_timed_peek(consumer, PATIENT);
  CHECK(peeked);
  const uint64_t taken = atomic_load(word(0));
  CHECK_EQ(taken >> STATE_AT & 7, TAKEN);
  CHECK_EQ(shmem_ring_release(consumer, peeked), 0);
  CHECK_EQ(shmem_ring_timed_pop(consumer, &got, PATIENT), 0);
  check_whole(producer, consumer, 2);

  /* Of a consumer: it finds the last lap's message still taken. */
  atomic_store(word(0), (atomic_load(word(0)) & ~(uint64_t)0xfff) - ((uint64_t)1 << LAP_AT) + (taken & 0xfff));
  WAIT_UNTIL(shmem_ring_timed_pop(consumer, &got, MS(20)) == -1 && skipped_and_lost(consumer) == 101, 10);
  check_whole(producer, consumer, 2);
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
}

/* A producer that is killed between its claim and the store of the tail leaves this. */
static void a_claim_beyond_the_tail_takes_room(void)
{
  struct shmem_ring *producer, *consumer;

  open_ring(3, &producer, &consumer);
  const uint64_t tail = atomic_load(&words[TAIL / 8]);
  void *slot = shmem_ring_reserve(producer);
  CHECK(slot);
  atomic_store(&words[TAIL / 8], tail);
  CHECK_EQ(shmem_ring_available(consumer), 2);
  CHECK_EQ(shmem_ring_pending(consumer), 0);
  atomic_store(&words[TAIL / 8], tail);
  CHECK_EQ(shmem_ring_available(producer), 2);
  CHECK_EQ(shmem_ring_commit(producer, slot), 0);
  atomic_store(&words[TAIL / 8], tail);
  CHECK_EQ(shmem_ring_pending(consumer), 1);
  CHECK_EQ(shmem_ring_available(producer), 2);
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
}

int main(void)
{
  check_begin();
  RUN(who_reserves_a_slot_that_others_took_from_it_is_told);
  RUN(who_peeks_at_a_slot_that_others_took_from_it_is_told);
  RUN(a_late_end_of_a_claim_leaves_a_later_claim_under_the_same_number);
  RUN(a_claim_in_its_name_that_an_end_has_not_made_is_given_up);
  RUN(a_claim_beyond_the_tail_takes_room);
  return 0;
}
