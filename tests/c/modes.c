/* A node sends, a program in another process sends back, by copy or as it is: both modes, batches,
 * queue lengths and sample lengths; what returns is the same to the bit, in order, all of it. */
#include "check.h"

#include <sys/statvfs.h>

enum { MAX_BATCH = 64 };

struct setup {
  const char *name;
  struct shmem_conf conf;
  unsigned int vectorize;
  bool copy;
  uint64_t count;
};

/* ---- the program ----------------------------------------------------------------------------- */

static void copy_by_hand(struct sample *to, const struct sample *from)
{
  to->sequence = from->sequence;
  to->length = from->length;
  to->flags = from->flags;
  to->ts.origin = from->ts.origin;
  to->ts.received = from->ts.received;
  memcpy(to->data, from->data, SAMPLE_DATA_LEN(from->length));
}

static void echo(void *arg)
{
  const struct setup *setup = arg;
  struct sample *in[MAX_BATCH], *out[MAX_BATCH];
  struct shmem_shared *shm;
  uint64_t count = 0;
  void *base;
  int got;

  CHECK_HANDLE(shm = shmem_shared_open(setup->name, &base));
  CHECK_EQ(shm->polling, setup->conf.polling);
  while ((got = shmem_shared_read(shm, in, setup->vectorize)) >= 0) {
    const unsigned int cnt = (unsigned int)got;
    CHECK(cnt <= setup->vectorize);
    if (setup->copy) {
      CHECK_EQ(shmem_shared_timed_alloc(shm, out, cnt, NULL), got);
      for (int i = 0; i < got; i++) {
        if (i % 2)
          copy_by_hand(out[i], in[i]);
        else
          CHECK_EQ(sample_copy(out[i], in[i]), 0);
      }
      CHECK_EQ(sample_put_many(in, cnt), got);
    }
    CHECK_EQ(shmem_shared_timed_write(shm, setup->copy ? out : in, cnt, NULL), got);
    count += cnt;
  }
  CHECK_EQ(errno, EPIPE);
  CHECK_EQ(count, setup->count);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

/* ---- the node -------------------------------------------------------------------------------- */

static unsigned int length_of(uint64_t number, unsigned int capacity)
{
  return number % 5 == 0 ? capacity : (unsigned int)(check_mix(number) % (capacity + 1));
}

/* Any bits: not-a-numbers too. */
static int64_t value_of(uint64_t number, unsigned int i)
{
  return (int64_t)((check_mix(number) | 1) * (i + 0x9e3779b97f4a7c15u));
}

static int flags_of(uint64_t number)
{
  return (int)(check_mix(number) & (SAMPLE_HAS_ALL | SAMPLE_IS_FIRST | SAMPLE_IS_NEW_SIMULATION));
}

static struct timespec time_of(uint64_t number)
{
  return (struct timespec){(time_t)(1700000000 + number), (long)(number % 1000000000)};
}

static void fill(struct sample *smp, uint64_t number, unsigned int samplelen)
{
  smp->sequence = check_mix(number);
  smp->length = length_of(number, samplelen);
  smp->flags = flags_of(number);
  smp->ts.origin = time_of(number);
  smp->ts.received = time_of(number + 7);
  for (unsigned int i = 0; i < smp->length; i++)
    smp->data[i].i = value_of(number, i);
}

static bool same_time(struct timespec a, struct timespec b)
{
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void compare(const struct sample *smp, uint64_t number, unsigned int samplelen)
{
  CHECK_EQ(smp->sequence, check_mix(number));
  CHECK_EQ(smp->length, length_of(number, samplelen));
  CHECK_EQ(smp->flags, flags_of(number));
  CHECK(same_time(smp->ts.origin, time_of(number)));
  CHECK(same_time(smp->ts.received, time_of(number + 7)));
  for (unsigned int i = 0; i < smp->length; i++) {
    if (smp->data[i].i != value_of(number, i))
      CHECK_EQ(smp->data[i].i, value_of(number, i));
  }
}

static void send_and_compare(struct shmem_shared *shm, const struct setup *setup)
{
  struct sample *out[MAX_BATCH], *in[MAX_BATCH];
  const unsigned int samplelen = (unsigned int)setup->conf.samplelen;
  uint64_t made = 0, back = 0;
  unsigned int at = 0, end = 0; /* out[at] to out[end - 1] are filled and not yet written */

  while (back < setup->count) {
    int moved = 0;
    if (at == end && made < setup->count) {
      uint64_t left = setup->count - made;
      int got = sample_alloc(&shm->pool, out,
                             left < setup->vectorize ? (unsigned int)left : setup->vectorize);
      CHECK(got >= 0);
      at = 0;
      end = (unsigned int)got;
      for (unsigned int i = 0; i < end; i++)
        fill(out[i], made++, samplelen);
    }
    if (at < end) {
      moved = shmem_shared_write(shm, out + at, end - at);
      CHECK(moved >= 0);
      at += (unsigned int)moved;
    }
    int got = moved ? shmem_shared_try_read(shm, in, setup->vectorize)
                    : shmem_shared_read(shm, in, setup->vectorize);
    CHECK(got >= 0);
    for (int i = 0; i < got; i++)
      compare(in[i], back++, samplelen);
    CHECK_EQ(sample_put_many(in, (unsigned int)got), got);
  }
  CHECK_GIVES(shmem_shared_try_read(shm, in, 1), 0, EAGAIN);
}

/* Around the ring some times; where both sides spin, few turns, for the sake of busy machines, on
 * which each turn lasts as long as the scheduler likes. */
static uint64_t samples_for(int polling, int queuelen, int samplelen)
{
  if (samplelen > 1000)
    return check_scaled(24);
  return check_scaled((polling ? 40 : 300) + 2 * (uint64_t)queuelen);
}

static void round_trip(int polling, unsigned int vectorize, int queuelen, int samplelen, bool copy)
{
  static char test[120];
  struct setup setup = {
    .name = check_name("trip"),
    .conf = check_conf(polling, queuelen, samplelen, samplelen > 1000 ? 8 : 64),
    .vectorize = vectorize,
    .copy = copy,
    .count = samples_for(polling, queuelen, samplelen),
  };
  struct shmem_shared *node;

  snprintf(test, sizeof test, "%s, vectorize %u, queue length %d, sample length %d, %s",
           polling ? "polling" : "pthread", vectorize, queuelen, samplelen,
           copy ? "copied" : "as it is");
  check_test = test;
  alarm(check_limit);
  CHECK_HANDLE(node = shmem_shared_create(setup.name, &setup.conf));
  pid_t pid = check_spawn(echo, &setup);
  send_and_compare(node, &setup);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_CHILD_ENDS_WELL(pid, 10);
  CHECK_EQ(shmem_shared_unlink(setup.name), 0);
}

static bool room_for_a_large_one(void)
{
  struct statvfs shm;

  return statvfs("/dev/shm", &shm) == 0 && (uint64_t)shm.f_bavail * shm.f_frsize > (4u << 30) / 2;
}

int main(void)
{
  static const unsigned int vectorize[] = {1, 5, 64};
  static const int queuelens[] = {1, 2, 7, 512, 600, 1000}, samplelens[] = {1, 8, 64, 65536};

  check_begin();
  for (int polling = 0; polling < 2; polling++)
    for (int v = 0; v < 3; v++)
      for (int q = 0; q < 6; q++)
        for (int s = 0; s < 4; s++)
          for (int copy = 0; copy < 2; copy++) {
            if (queuelens[q] > 100 && samplelens[s] > 1000)
              continue; /* half a gigabyte each: one of them below */
            if (check_valgrind() && (q + v + s) % 8 != 0)
              continue;
            check_name_count = 0; /* the one before has been removed */
            round_trip(polling, vectorize[v], queuelens[q], samplelens[s], copy);
          }
  if (room_for_a_large_one() && !check_valgrind())
    round_trip(0, 64, 600, 65536, false);
  return 0;
}
