/* What a ring holds: exactly its capacity, of messages of any size, in order. */
#include "check.h"

enum { POLICIES = 3 };

static const int policies[POLICIES] = {SHMEM_SPSC, SHMEM_MPSC, SHMEM_MPMC};

struct ends {
  const char *name;
  struct shmem_ring *producer, *consumer;
};

static struct ends open_ends(int policy, size_t size, size_t capacity)
{
  struct ends e = {.name = check_name("ring")};

  CHECK_HANDLE(e.producer = shmem_ring_open(e.name, policy, SHMEM_PRODUCER, size, capacity));
  CHECK_HANDLE(e.consumer = shmem_ring_open(e.name, policy, SHMEM_CONSUMER, size, capacity));
  return e;
}

static void close_ends(struct ends *e)
{
  CHECK_EQ(shmem_ring_close(e->producer), 0);
  CHECK_EQ(shmem_ring_close(e->consumer), 0);
  CHECK_EQ(shmem_ring_unlink(e->name), 0);
}

static void fill(unsigned char *message, size_t size, uint64_t number)
{
  for (size_t i = 0; i < size; i++)
    message[i] = (unsigned char)(check_mix(number) + i);
}

static void state_is(struct ends *e, int pending, int capacity)
{
  CHECK_EQ(shmem_ring_pending(e->consumer), pending);
  CHECK_EQ(shmem_ring_pending(e->producer), pending);
  CHECK_EQ(shmem_ring_available(e->producer), capacity - pending);
  CHECK_EQ(shmem_ring_available(e->consumer), capacity - pending);
  CHECK_EQ(shmem_ring_empty(e->consumer), pending == 0);
  CHECK_EQ(shmem_ring_full(e->producer), pending == capacity);
}

/* Fills and empties it, beginning at any slot. */
static void holds_exactly(int policy, size_t size, int capacity, int rounds)
{
  struct ends e = open_ends(policy, size, (size_t)capacity);
  unsigned char *message = malloc(size), *expected = malloc(size);
  uint64_t given = 0, taken = 0;

  CHECK(message && expected);
  CHECK_EQ(shmem_ring_element_size(e.producer), size);
  CHECK_EQ(shmem_ring_capacity(e.consumer), capacity);
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < capacity; i++) {
      state_is(&e, i, capacity);
      fill(message, size, given++);
      CHECK_EQ(shmem_ring_try_push(e.producer, message), 0);
    }
    state_is(&e, capacity, capacity);
    CHECK_GIVES(shmem_ring_try_push(e.producer, message), -1, EAGAIN);
    for (int i = 0; i < capacity; i++) {
      fill(expected, size, taken++);
      CHECK_EQ(shmem_ring_try_pop(e.consumer, message), 0);
      CHECK(memcmp(message, expected, size) == 0);
      state_is(&e, capacity - 1 - i, capacity);
    }
    CHECK_GIVES(shmem_ring_try_pop(e.consumer, message), -1, EAGAIN);
    /* The next round begins at the next slot. */
    fill(message, size, given++);
    CHECK_EQ(shmem_ring_try_push(e.producer, message), 0);
    CHECK_EQ(shmem_ring_try_pop(e.consumer, message), 0);
    taken++;
  }
  free(message);
  free(expected);
  close_ends(&e);
}

static void any_capacity_is_kept_exactly(void)
{
  for (int p = 0; p < POLICIES; p++)
    for (int capacity = 1; capacity <= 20; capacity++)
      holds_exactly(policies[p], 16, capacity, 3 + capacity);
  for (int p = 0; p < POLICIES; p++) {
    holds_exactly(policies[p], 8, 127, 2);
    holds_exactly(policies[p], 8, 144, 2);
    holds_exactly(policies[p], 8, 1025, 1);
  }
}

static void any_element_size_is_kept(void)
{
  const size_t sizes[] = {1, 2, 7, 8, 9, 15, 24, 25, 56, 57, 64, 96, 152, 1472, 4096, 65537, 1 << 20};

  for (int p = 0; p < POLICIES; p++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      holds_exactly(policies[p], sizes[i], 3, 2);
}

static void a_million_elements_fit(void)
{
  const int most = 1 << 20;

  for (int p = 0; p < POLICIES; p++) {
    struct ends e = open_ends(policies[p], 4, (size_t)most);
    int count = check_valgrind() ? 1000 : most;
    for (int i = 0; i < count; i++)
      CHECK_EQ(shmem_ring_try_push(e.producer, &i), 0);
    CHECK_EQ(shmem_ring_available(e.producer), most - count);
    for (int i = 0, got; i < count; i++) {
      CHECK_EQ(shmem_ring_try_pop(e.consumer, &got), 0);
      CHECK_EQ(got, i);
    }
    close_ends(&e);
  }
}

static void zero_means_the_defaults(void)
{
  struct ends e = open_ends(SHMEM_SPSC, 0, 0);
  CHECK_EQ(shmem_ring_element_size(e.producer), 1472);
  CHECK_EQ(shmem_ring_capacity(e.producer), 144);
  close_ends(&e);
}

/* Message size times capacity, and what docs/rings.md says. */
static void the_overhead_is_the_documented_one(void)
{
  for (int p = 0; p < POLICIES; p++) {
    struct ends e = open_ends(policies[p], 1472, 144);
    struct shmem_ring_stats stats = SHMEM_RING_STATS_INIT;
    struct stat object;
    const uint64_t head = policies[p] == SHMEM_SPSC ? 1152 : 17536;

    CHECK_EQ(shmem_ring_stats(e.producer, &stats), 0);
    CHECK_EQ(stats.region_size, 1472 * 144 + head + 144 * 32);
    CHECK_EQ(stat(check_path(e.name), &object), 0);
    CHECK_EQ(object.st_size, stats.region_size);
    CHECK_EQ(stats.policy, policies[p]);
    CHECK_EQ(stats.role, SHMEM_PRODUCER);
    CHECK_EQ(stats.producers, 1);
    CHECK_EQ(stats.consumers, 1);
    CHECK_EQ(stats.capacity, 144);
    CHECK_EQ(stats.element_size, 1472);
    close_ends(&e);
  }
}

static void batches_move_as_many_as_fit(void)
{
  for (int p = 0; p < POLICIES; p++) {
    struct ends e = open_ends(policies[p], sizeof(uint32_t), 10);
    uint32_t out[16], in[16], given = 0, taken = 0;

    for (int round = 0; round < 30; round++) {
      unsigned int want = 1 + (unsigned int)round % 16, room = (unsigned int)shmem_ring_available(e.producer);
      for (uint32_t i = 0; i < want; i++)
        out[i] = given + i;
      int moved = shmem_ring_push_many(e.producer, out, want);
      CHECK_EQ(moved, want < room ? want : room);
      given += (uint32_t)moved;
      unsigned int most = 1 + (unsigned int)(7 * round) % 13, there = given - taken;
      int got = shmem_ring_pop_many(e.consumer, in, most);
      CHECK_EQ(got, most < there ? most : there);
      for (int i = 0; i < got; i++)
        CHECK_EQ(in[i], taken++);
    }
    while (shmem_ring_try_pop(e.consumer, in) == 0)
      taken++;
    CHECK_EQ(taken, given);
    CHECK_GIVES(shmem_ring_pop_many(e.consumer, in, 4), 0, EAGAIN);
    CHECK_EQ(shmem_ring_push_many(e.producer, out, 16), 10);
    CHECK_GIVES(shmem_ring_push_many(e.producer, out, 1), 0, EAGAIN);
    CHECK_GIVES(shmem_ring_push_many(e.producer, NULL, 0), 0, 0);
    CHECK_GIVES(shmem_ring_pop_many(e.consumer, NULL, 0), 0, 0);
    close_ends(&e);
  }
}

static void timed_calls_end_in_time(void)
{
  for (int p = 0; p < POLICIES; p++) {
    struct ends e = open_ends(policies[p], 4, 1);
    uint32_t n = 7, got;
    double begin = check_clock();

    CHECK_GIVES(shmem_ring_timed_pop(e.consumer, &got, MS(20)), -1, ETIMEDOUT);
    CHECK_GIVES(shmem_ring_timed_pop(e.consumer, &got, MS(0)), -1, ETIMEDOUT);
    CHECK_GIVES(shmem_ring_timed_peek(e.consumer, MS(1)) != NULL, 0, ETIMEDOUT);
    CHECK(check_clock() - begin >= 0.021);
    CHECK_EQ(shmem_ring_timed_push(e.producer, &n, MS(0)), 0);
    CHECK_GIVES(shmem_ring_timed_push(e.producer, &n, MS(20)), -1, ETIMEDOUT);
    CHECK_GIVES(shmem_ring_timed_reserve(e.producer, MS(1)) != NULL, 0, ETIMEDOUT);
    CHECK_EQ(shmem_ring_timed_pop(e.consumer, &got, MS(0)), 0);
    CHECK_EQ(got, 7);
    close_ends(&e);
  }
}

static void each_byte_of_the_memory_can_be_looked_at(void)
{
  struct ends e = open_ends(SHMEM_SPSC, 100, 3);
  unsigned char message[100];

  for (int i = 0; i < 3; i++) {
    memset(message, i + 1, sizeof message);
    CHECK_EQ(shmem_ring_push(e.producer, message), 0);
  }
  for (size_t offset = 0; offset < 300; offset++) {
    unsigned char *at = shmem_ring_at(e.consumer, offset);
    CHECK(at && *at == offset / 100 + 1);
  }
  CHECK_REFUSED(shmem_ring_at(e.consumer, 300), EINVAL);
  CHECK_REFUSED(shmem_ring_at(e.consumer, SIZE_MAX), EINVAL);
  close_ends(&e);
}

int main(void)
{
  check_begin();
  RUN(any_capacity_is_kept_exactly);
  RUN(any_element_size_is_kept);
  RUN(a_million_elements_fit);
  RUN(zero_means_the_defaults);
  RUN(the_overhead_is_the_documented_one);
  RUN(batches_move_as_many_as_fit);
  RUN(timed_calls_end_in_time);
  RUN(each_byte_of_the_memory_can_be_looked_at);
  return 0;
}
