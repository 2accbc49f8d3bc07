/* The largest queue, and a region of more than 4 GiB (that only with CHECK_LARGE=1): each sample lies in a place of its own. */
#include "check.h"

#include <sys/statvfs.h>

enum { MOST = 1 << 20, BATCH = 64 };

/* Both what the file system may still hold, and what the machine has. */
static bool has_memory(uint64_t bytes)
{
  struct statvfs shm;
  FILE *file = fopen("/proc/meminfo", "re");
  unsigned long long available = 0;
  char line[128];

  CHECK(file);
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "MemAvailable: %llu", &available) == 1)
      break;
  fclose(file);
  return available * 1024 > 2 * bytes && statvfs("/dev/shm", &shm) == 0 && (uint64_t)shm.f_bavail * shm.f_frsize > bytes;
}

static void fill_queue(struct shmem_shared *shm, uint64_t salt)
{
  struct sample *smps[BATCH];

  for (uint64_t number = 0; number < MOST; number += BATCH) {
    for (uint64_t i = 0; i < BATCH; i++)
      smps[i] = check_make(shm, number + i + salt);
    CHECK_EQ(shmem_shared_write(shm, smps, BATCH), BATCH);
  }
  struct sample *one_more = check_make(shm, MOST);
  CHECK_GIVES(shmem_shared_write(shm, &one_more, 1), 0, EAGAIN);
  CHECK_EQ(sample_put(one_more), 0);
}

static void empty_queue(struct shmem_shared *shm, uint64_t salt)
{
  struct sample *smps[BATCH];

  for (uint64_t number = 0; number < MOST;) {
    const int got = shmem_shared_try_read(shm, smps, BATCH);
    CHECK(got > 0);
    for (int i = 0; i < got; i++)
      check_is(smps[i], number++ + salt);
    CHECK_EQ(sample_put_many(smps, (unsigned int)got), got);
  }
  CHECK_GIVES(shmem_shared_try_read(shm, smps, 1), 0, EAGAIN);
}

static void a_queue_of_a_million_samples_can_be_filled_and_emptied_in_each_direction(void)
{
  const struct shmem_conf conf = check_conf(0, MOST, 1, 1);

  if (check_valgrind() || !has_memory(500u << 20))
    return;
  struct pair pair = check_open_pair("longest", &conf);
  fill_queue(pair.node, 0);
  empty_queue(pair.program, 0);
  fill_queue(pair.program, MOST);
  empty_queue(pair.node, MOST);
  check_close_pair(&pair);
}

enum { SAMPLELEN = 1 << 16, QUEUELEN = 8500 };

/* A queue full, each filled, sent and seen at the other side as it was; how far apart the first and the last lie. */
static uint64_t send_all(struct shmem_shared *from, struct shmem_shared *to)
{
  struct sample *smps[BATCH];
  uint64_t number = 0, compared = 0;
  uintptr_t low = UINTPTR_MAX, high = 0;
  int got;

  while (number < QUEUELEN) {
    got = sample_alloc(&from->pool, smps, QUEUELEN - number < BATCH ? (unsigned int)(QUEUELEN - number) : BATCH);
    CHECK(got > 0);
    for (int i = 0; i < got; i++, number++) {
      smps[i]->sequence = number;
      smps[i]->length = SAMPLELEN;
      smps[i]->data[0].i = (int64_t)check_mix(number);
      smps[i]->data[SAMPLELEN - 1].i = (int64_t)check_mix(~number);
      low = (uintptr_t)smps[i] < low ? (uintptr_t)smps[i] : low;
      high = (uintptr_t)smps[i] > high ? (uintptr_t)smps[i] : high;
    }
    CHECK_EQ(shmem_shared_write(from, smps, (unsigned int)got), got);
  }
  while ((got = shmem_shared_try_read(to, smps, BATCH)) > 0) {
    for (int i = 0; i < got; i++, compared++) {
      CHECK_EQ(smps[i]->sequence, compared);
      CHECK_EQ(smps[i]->length, SAMPLELEN);
      CHECK_EQ(smps[i]->data[0].i, (int64_t)check_mix(compared));
      CHECK_EQ(smps[i]->data[SAMPLELEN - 1].i, (int64_t)check_mix(~compared));
    }
    CHECK_EQ(sample_put_many(smps, (unsigned int)got), got);
  }
  CHECK_EQ(compared, QUEUELEN);
  return high - low;
}

static void samples_beyond_four_gibibytes_are_as_any_other(void)
{
  const struct shmem_conf conf = check_conf(0, QUEUELEN, SAMPLELEN, 1);

  if (!getenv("CHECK_LARGE") || !has_memory(9000ull << 20))
    return;
  struct pair pair = check_open_pair("largest", &conf);
  CHECK(send_all(pair.node, pair.program) > UINT32_MAX);
  CHECK(send_all(pair.program, pair.node) > UINT32_MAX);
  check_close_pair(&pair);
}

int main(void)
{
  check_begin();
  RUN(a_queue_of_a_million_samples_can_be_filled_and_emptied_in_each_direction);
  RUN(samples_beyond_four_gibibytes_are_as_any_other);
  return 0;
}
