/* Blocks that were put go back to their pool in runs. No peer depends on those that are kept: they are only as long as the next
 * sample is there to be read, and a side that closes gives them back before it says so. */
#include "wire.h"

enum { BLOCKS = 64, KEPT = 7 }; /* at most one in eight, and one less */

static const struct shmem_conf CONF = {.size = sizeof CONF, .queuelen = BLOCKS, .samplelen = 1};

/* Of side 0: what its writer could still allocate. */
static uint64_t free_blocks(struct wire_pair *pair)
{
  struct shmem_stats stats = SHMEM_STATS_INIT;

  CHECK_EQ(shmem_int_stats(&pair->ends[0], &stats), 0);
  return stats.blocks_free;
}

static void read_one(struct wire_pair *pair, struct sample **smp)
{
  CHECK_EQ(shmem_int_timed_read(&pair->ends[1], smp, 1, PATIENT), 1);
}

static void a_reader_that_calls_nothing_more_keeps_nothing(void)
{
  struct sample *smps[BLOCKS];
  struct wire_pair pair;

  wire_open_pair(&pair, "nothing", CONF, CONF);
  for (uint64_t count = 1; count <= 20; count++) {
    wire_send(&pair.ends[0], 1, count);
    wire_receive(&pair.ends[1], 1, count);
    CHECK_EQ(free_blocks(&pair), BLOCKS);
  }
  /* Put after a read that found nothing, as an event loop does. */
  wire_send(&pair.ends[0], 1, BLOCKS - 1);
  for (int i = 0; i < BLOCKS - 1; i++)
    read_one(&pair, &smps[i]);
  CHECK_GIVES(shmem_int_try_read(&pair.ends[1], &smps[BLOCKS - 1], 1), 0, EAGAIN);
  for (uint64_t i = 0; i < BLOCKS - 1; i++) {
    CHECK_EQ(sample_put(smps[i]), 0);
    CHECK_EQ(free_blocks(&pair), i + 2);
  }
  wire_close_pair(&pair);
}

static void what_is_kept_comes_back_with_the_last_sample(void)
{
  uint64_t most = 0, missing;
  struct sample *smp, *last;
  struct wire_pair pair;

  wire_open_pair(&pair, "last", CONF, CONF);
  wire_send(&pair.ends[0], 1, 40);
  for (uint64_t put = 1; put < 40; put++) {
    read_one(&pair, &smp);
    CHECK_EQ(sample_put(smp), 0);
    missing = BLOCKS - 40 + put - free_blocks(&pair);
    CHECK(missing <= KEPT);
    most = missing > most ? missing : most;
  }
  CHECK_EQ(most, KEPT); /* else this test says nothing */
  read_one(&pair, &last);
  CHECK_EQ(free_blocks(&pair), BLOCKS - 1); /* the program holds the last one */
  CHECK_EQ(sample_put(last), 0);
  wire_close_pair(&pair);
}

static void a_copy_that_is_sent_keeps_no_block_of_the_peer(void)
{
  struct wire_pair pair;
  struct sample *smp;

  wire_open_pair(&pair, "copy", CONF, CONF);
  for (uint64_t number = 1; number <= 20; number++) {
    wire_send(&pair.ends[0], number, number);
    read_one(&pair, &smp);
    CHECK_EQ(shmem_int_write(&pair.ends[1], &smp, 1), 1);
    CHECK_EQ(free_blocks(&pair), BLOCKS);
    wire_receive(&pair.ends[0], number, number);
  }
  wire_close_pair(&pair);
}

/* ---- closing --------------------------------------------------------------------------------- */

static void *close_reader(void *arg)
{
  struct wire_pair *pair = arg;

  CHECK_EQ(shmem_int_close(&pair->ends[1]), 0);
  return NULL;
}

static void a_side_that_closes_gives_back_before_it_says_so(void)
{
  for (uint64_t round = 0; round < check_scaled(100); round++) {
    struct sample *smp, *held;
    struct wire_pair pair;
    pthread_t thread;

    wire_open_pair(&pair, "closes", CONF, CONF);
    wire_send(&pair.ends[0], 1, 12);
    read_one(&pair, &held);
    for (int i = 0; i < KEPT; i++) {
      read_one(&pair, &smp);
      CHECK_EQ(sample_put(smp), 0);
    }
    CHECK_EQ(free_blocks(&pair), BLOCKS - 12);
    CHECK_EQ(pthread_create(&thread, NULL, close_reader, &pair), 0);
    while (shmem_int_timed_read(&pair.ends[0], &smp, 1, PATIENT) == 0) {
    }
    CHECK_EQ(errno, EPIPE);
    CHECK_EQ(free_blocks(&pair), BLOCKS - 12 + KEPT);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    if (round % 2)
      CHECK_EQ(sample_put(held), 0);
    CHECK_EQ(shmem_int_close(&pair.ends[0]), 0);
    if (!(round % 2))
      CHECK_EQ(sample_put(held), 0);
    check_name_count -= 4;
  }
}

int main(void)
{
  check_begin();
  RUN(a_reader_that_calls_nothing_more_keeps_nothing);
  RUN(what_is_kept_comes_back_with_the_last_sample);
  RUN(a_copy_that_is_sent_keeps_no_block_of_the_peer);
  RUN(a_side_that_closes_gives_back_before_it_says_so);
  return 0;
}
