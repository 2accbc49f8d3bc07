/* What is refused, with which errno, and that random bytes crash nobody. */
#include "check.h"

static const int policies[] = {SHMEM_SPSC, SHMEM_MPSC, SHMEM_MPMC};

static void bad_parameters_are_refused_at_open(void)
{
  const char *name = check_name("ring");
  char longest[300];

  memset(longest, 'n', sizeof longest);
  longest[256] = '\0';
  CHECK_REFUSED(shmem_ring_open(NULL, SHMEM_SPSC, SHMEM_PRODUCER, 8, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open("", SHMEM_SPSC, SHMEM_PRODUCER, 8, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open("/", SHMEM_SPSC, SHMEM_PRODUCER, 8, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open("a/b", SHMEM_SPSC, SHMEM_PRODUCER, 8, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open(longest, SHMEM_SPSC, SHMEM_PRODUCER, 8, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open(name, 0, SHMEM_PRODUCER, 8, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open(name, 4, SHMEM_PRODUCER, 8, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, 0, 8, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, 3, 8, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, (1 << 20) + 1, 8), EINVAL);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 8, (1 << 20) + 1), EINVAL);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, SIZE_MAX, SIZE_MAX), EINVAL);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 1 << 20, 1 << 20), ENOSPC); /* 1 TiB */
  CHECK_GIVES(shmem_ring_unlink(name), -1, ENOENT);
  CHECK_GIVES(shmem_ring_unlink(NULL), -1, EINVAL);
}

static void bad_pointers_are_refused(void)
{
  uint64_t element[4] = {0};
  struct shmem_ring_stats stats = SHMEM_RING_STATS_INIT;
  struct shmem_ring *none[] = {NULL, (struct shmem_ring *)element, (struct shmem_ring *)((char *)element + 1)};

  for (int i = 0; i < 3; i++) {
    struct shmem_ring *ring = none[i];
    CHECK_GIVES(shmem_ring_push(ring, element), -1, EINVAL);
    CHECK_GIVES(shmem_ring_try_push(ring, element), -1, EINVAL);
    CHECK_GIVES(shmem_ring_timed_push(ring, element, MS(1)), -1, EINVAL);
    CHECK_GIVES(shmem_ring_push_many(ring, element, 1), -1, EINVAL);
    CHECK_GIVES(shmem_ring_pop(ring, element), -1, EINVAL);
    CHECK_GIVES(shmem_ring_try_pop(ring, element), -1, EINVAL);
    CHECK_GIVES(shmem_ring_timed_pop(ring, element, MS(1)), -1, EINVAL);
    CHECK_GIVES(shmem_ring_pop_many(ring, element, 1), -1, EINVAL);
    CHECK_REFUSED(shmem_ring_reserve(ring), EINVAL);
    CHECK_REFUSED(shmem_ring_peek(ring), EINVAL);
    CHECK_GIVES(shmem_ring_commit(ring, element), -1, EINVAL);
    CHECK_GIVES(shmem_ring_abort(ring, element), -1, EINVAL);
    CHECK_GIVES(shmem_ring_release(ring, element), -1, EINVAL);
    CHECK_GIVES(shmem_ring_available(ring), -1, EINVAL);
    CHECK_GIVES(shmem_ring_pending(ring), -1, EINVAL);
    CHECK_GIVES(shmem_ring_full(ring), -1, EINVAL);
    CHECK_GIVES(shmem_ring_empty(ring), -1, EINVAL);
    CHECK_GIVES(shmem_ring_element_size(ring), -1, EINVAL);
    CHECK_GIVES(shmem_ring_capacity(ring), -1, EINVAL);
    CHECK_REFUSED(shmem_ring_at(ring, 0), EINVAL);
    CHECK_GIVES(shmem_ring_interrupt(ring), -1, EINVAL);
    CHECK_GIVES(shmem_ring_stats(ring, &stats), -1, EINVAL);
    CHECK_GIVES(shmem_ring_close(ring), -1, EINVAL);
  }
}

static void the_wrong_role_bad_arguments_and_closed_ends_are_refused(void)
{
  for (int p = 0; p < 3; p++) {
    const char *name = check_name("ring");
    const struct timespec negative = {.tv_sec = -1};
    struct shmem_ring_stats stats = {.size = 8};
    struct shmem_ring *producer, *consumer;
    uint64_t element = 0;

    CHECK_HANDLE(producer = shmem_ring_open(name, policies[p], SHMEM_PRODUCER, 8, 2));
    CHECK_HANDLE(consumer = shmem_ring_open(name, policies[p], SHMEM_CONSUMER, 8, 2));
    CHECK_GIVES(shmem_ring_push(consumer, &element), -1, EINVAL);
    CHECK_GIVES(shmem_ring_push_many(consumer, &element, 1), -1, EINVAL);
    CHECK_REFUSED(shmem_ring_reserve(consumer), EINVAL);
    CHECK_GIVES(shmem_ring_pop(producer, &element), -1, EINVAL);
    CHECK_GIVES(shmem_ring_pop_many(producer, &element, 1), -1, EINVAL);
    CHECK_REFUSED(shmem_ring_peek(producer), EINVAL);
    CHECK_GIVES(shmem_ring_push(producer, NULL), -1, EINVAL);
    CHECK_GIVES(shmem_ring_pop(consumer, NULL), -1, EINVAL);
    CHECK_GIVES(shmem_ring_push_many(producer, NULL, 1), -1, EINVAL);
    CHECK_GIVES(shmem_ring_push_many(producer, &element, (unsigned int)-1), -1, EINVAL);
    CHECK_GIVES(shmem_ring_timed_pop(consumer, &element, &negative), -1, EINVAL);
    CHECK_GIVES(shmem_ring_stats(producer, &stats), -1, EINVAL);
    CHECK_GIVES(shmem_ring_stats(producer, NULL), -1, EINVAL);
    CHECK_EQ(shmem_ring_pending(consumer), 0);
    CHECK_EQ(shmem_ring_close(producer), 0);
    CHECK_EQ(shmem_ring_close(consumer), 0);
    CHECK_GIVES(shmem_ring_close(producer), -1, EINVAL);
    CHECK_GIVES(shmem_ring_push(producer, &element), -1, EPIPE);
    CHECK_GIVES(shmem_ring_pop(consumer, &element), -1, EPIPE);
    CHECK_REFUSED(shmem_ring_reserve(producer), EPIPE);
    CHECK_REFUSED(shmem_ring_peek(consumer), EPIPE);
    CHECK_GIVES(shmem_ring_available(producer), -1, EPIPE);
    CHECK_GIVES(shmem_ring_interrupt(producer), -1, EPIPE);
    CHECK_EQ(shmem_ring_unlink(name), 0);
  }
}

static void make_object(const char *name, const void *bytes, size_t size)
{
  int fd = open(check_path(name), O_CREAT | O_RDWR | O_TRUNC, 0600);
  CHECK(fd >= 0);
  CHECK_EQ(pwrite(fd, bytes, size, 0), size);
  close(fd);
}

static void what_is_no_ring_is_refused(void)
{
  const char *name = check_name("ring");
  unsigned char bytes[8192];
  struct shmem_conf conf = check_conf(0, 8, 8, 8);
  struct shmem_shared *node;

  make_object(name, bytes, 0);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 8, 2), EBADMSG); /* rings appear whole */
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)check_chance(256);
  make_object(name, bytes, 100);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 8, 2), EBADMSG);
  make_object(name, bytes, sizeof bytes);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 8, 2), EBADMSG);
  CHECK_EQ(shmem_ring_unlink(name), 0);
  CHECK_HANDLE(node = shmem_shared_create(name, &conf));
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 8, 2), EBADMSG);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_ring_unlink(name), 0);
}

/* Any errno but those that mean success; no crash, and every call ends. */
static void use(struct shmem_ring *producer, struct shmem_ring *consumer)
{
  uint64_t element[2] = {0}, many[8 * 2];

  for (int i = 0; i < 6; i++) {
    if (producer) {
      shmem_ring_try_push(producer, element);
      shmem_ring_timed_push(producer, element, MS(1));
      shmem_ring_push_many(producer, many, 8);
      void *slot = shmem_ring_reserve(producer);
      if (slot)
        i % 2 ? shmem_ring_commit(producer, slot) : shmem_ring_abort(producer, slot);
      int available = shmem_ring_available(producer);
      CHECK(available >= -1 && available <= 3);
    }
    if (consumer) {
      shmem_ring_try_pop(consumer, element);
      shmem_ring_timed_pop(consumer, element, MS(1));
      shmem_ring_pop_many(consumer, many, 8);
      const void *slot = shmem_ring_peek(consumer);
      if (slot)
        shmem_ring_release(consumer, slot);
      int pending = shmem_ring_pending(consumer);
      CHECK(pending >= -1 && pending <= 3);
    }
  }
}

/* Random bytes, and random small changes, over any part of a ring but its head, before and after it is opened. */
static void a_ring_full_of_garbage_crashes_nobody(void)
{
  int refused = 0;

  for (int round = 0; round < (int)check_scaled(600); round++) {
    const char *name = check_name("ring");
    const int policy = policies[round % 3];
    struct shmem_ring *producer = NULL, *consumer = NULL;
    struct stat object;

    CHECK_HANDLE(producer = shmem_ring_open(name, policy, SHMEM_PRODUCER, 16, 3));
    if (round % 2) {
      CHECK_EQ(shmem_ring_close(producer), 0);
      producer = NULL;
    } else {
      CHECK_HANDLE(consumer = shmem_ring_open(name, policy, SHMEM_CONSUMER, 16, 3));
      use(producer, consumer);
    }
    int fd = open(check_path(name), O_RDWR);
    CHECK(fd >= 0 && fstat(fd, &object) == 0);
    size_t size = (size_t)object.st_size;
    unsigned char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bytes != MAP_FAILED);
    close(fd);
    uint64_t *words = (uint64_t *)bytes;
    size_t slots = size - 3 * 32, places = 0x400;
    switch (round / 3 % 4) {
    case 0: /* everything */
      for (size_t i = 0x100; i < size; i++)
        bytes[i] = (unsigned char)check_chance(256);
      break;
    case 1: /* the indices */
      words[0x100 / 8] = check_chance(2) ? check_chance(16) : check_mix((uint64_t)round);
      words[0x180 / 8] = check_chance(2) ? check_chance(16) : check_mix((uint64_t)round + 1);
      break;
    case 2: /* the slots' words: every state, near laps, any owner */
      for (int i = 0; i < 3; i++)
        words[(slots + 32 * (size_t)i + 16) / 8] = check_chance(3) << 13 | check_chance(8) << 10 | check_chance(1024);
      break;
    default: /* who takes part */
      for (size_t i = places; i < slots; i++)
        bytes[i] = (unsigned char)check_chance(256);
    }
    use(producer, consumer);
    if (producer) {
      CHECK_EQ(shmem_ring_close(producer), 0);
      CHECK_EQ(shmem_ring_close(consumer), 0);
    }
    producer = shmem_ring_open(name, policy, SHMEM_PRODUCER, 16, 3);
    refused += producer == NULL;
    consumer = shmem_ring_open(name, policy, SHMEM_CONSUMER, 16, 3);
    refused += consumer == NULL;
    use(producer, consumer);
    if (producer)
      CHECK_EQ(shmem_ring_close(producer), 0);
    if (consumer)
      CHECK_EQ(shmem_ring_close(consumer), 0);
    munmap(bytes, size);
    CHECK_EQ(shmem_ring_unlink(name), 0);
    check_name_count--; /* the name is free again */
  }
  CHECK(check_valgrind() || refused > 0);
}

/* Facts that do not fit together, or the object's size. */
static void a_head_that_is_inconsistent_is_refused(void)
{
  const char *name = check_name("ring");
  struct shmem_ring *ring;

  CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 16, 3));
  CHECK_EQ(shmem_ring_close(ring), 0);
  for (int at = 0; at < 56; at += 4) {
    uint32_t before, changed;
    int fd = open(check_path(name), O_RDWR);
    CHECK(fd >= 0 && pread(fd, &before, 4, at) == 4);
    changed = before + 1;
    CHECK_EQ(pwrite(fd, &changed, 4, at), 4);
    CHECK(shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 16, 3) == NULL || at >= 48); /* 48: when it was made */
    CHECK(at >= 48 || errno == EBADMSG || errno == EPROTO);
    CHECK_EQ(pwrite(fd, &before, 4, at), 4);
    close(fd);
  }
  CHECK_EQ(truncate(check_path(name), 17536), 0);
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 16, 3), EBADMSG);
  CHECK_EQ(shmem_ring_unlink(name), 0);
}

int main(void)
{
  check_begin();
  RUN(bad_parameters_are_refused_at_open);
  RUN(bad_pointers_are_refused);
  RUN(the_wrong_role_bad_arguments_and_closed_ends_are_refused);
  RUN(what_is_no_ring_is_refused);
  RUN(a_ring_full_of_garbage_crashes_nobody);
  RUN(a_head_that_is_inconsistent_is_refused);
  return 0;
}
