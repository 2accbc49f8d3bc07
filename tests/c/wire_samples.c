/* Every function of the group "samples", on samples of the wire layout. */
#include "wire.h"

enum { QUEUELEN = 8, SAMPLELEN = 7 };

static void open_plain(struct wire_pair *pair, const char *word)
{
  wire_open_pair(pair, word, check_conf(0, QUEUELEN, SAMPLELEN, 0), check_conf(0, QUEUELEN, SAMPLELEN, 0));
}

static uint64_t free_blocks(struct wire_pair *pair, int end)
{
  return wire_stats(&pair->ends[end]).blocks_free;
}

static void references_are_counted_and_the_last_one_gives_the_block_back(void)
{
  struct wire_pair pair;

  open_plain(&pair, "references");
  for (int round = 0; round < 3 * QUEUELEN; round++) {
    struct sample *smp = wire_make(&pair.ends[0], 1);
    CHECK_EQ(sample_get(smp), 2);
    CHECK_EQ(sample_incref(smp), 3);
    CHECK_EQ(sample_put(smp), 2);
    CHECK_EQ(sample_decref(smp), 1);
    CHECK_EQ(free_blocks(&pair, 0), QUEUELEN - 1);
    CHECK_EQ(sample_put(smp), 0);
    CHECK_EQ(free_blocks(&pair, 0), QUEUELEN);
    CHECK_GIVES(sample_put(smp), -1, EINVAL);
    CHECK_GIVES(sample_get(smp), -1, EINVAL);
    CHECK_GIVES(sample_decref(smp), -1, EINVAL);
  }
  CHECK_EQ(free_blocks(&pair, 0), QUEUELEN);
  wire_close_pair(&pair);
}

static void many_at_once_are_allocated_referenced_and_put(void)
{
  struct wire_pair pair;
  struct sample *smps[QUEUELEN + 1];

  open_plain(&pair, "many");
  struct pool *pool = &pair.ends[0].write.shared->pool;
  CHECK_GIVES(sample_alloc(pool, smps, QUEUELEN + 1), QUEUELEN, EAGAIN);
  CHECK_EQ(sample_get_many(smps, QUEUELEN), QUEUELEN);
  CHECK_EQ(sample_incref_many(smps, QUEUELEN), QUEUELEN);
  CHECK_EQ(sample_put_many(smps, QUEUELEN), QUEUELEN);
  CHECK_EQ(sample_decref_many(smps, QUEUELEN), QUEUELEN);
  CHECK_EQ(free_blocks(&pair, 0), 0);
  CHECK_EQ(sample_put_many(smps, QUEUELEN), QUEUELEN);
  CHECK_EQ(free_blocks(&pair, 0), QUEUELEN);
  CHECK_GIVES(sample_put_many(smps, 1), -1, EINVAL);
  CHECK_GIVES(sample_get_many(smps, 1), -1, EINVAL);
  CHECK_EQ(sample_alloc_many(pool, smps, 3), 3);
  smps[3] = smps[0]; /* put already when its turn comes */
  CHECK_GIVES(sample_put_many(smps, 4), 3, EINVAL);
  CHECK_EQ(free_blocks(&pair, 0), QUEUELEN);
  wire_close_pair(&pair);
}

static void fill_whole(struct sample *smp)
{
  smp->sequence = 123456789012;
  smp->flags = SAMPLE_HAS_ALL | SAMPLE_IS_FIRST;
  smp->ts.origin = (struct timespec){.tv_sec = 1700000000, .tv_nsec = 999999999};
  smp->ts.received = (struct timespec){.tv_sec = 1700000001, .tv_nsec = 5};
  smp->length = smp->capacity;
  for (unsigned int v = 0; v < smp->length; v++)
    smp->data[v].f = v * 1.5;
}

static void check_whole(const struct sample *smp, unsigned int length)
{
  CHECK_EQ(smp->sequence, 123456789012);
  CHECK_EQ(smp->flags, SAMPLE_HAS_ALL | SAMPLE_IS_FIRST);
  CHECK(smp->ts.origin.tv_sec == 1700000000 && smp->ts.origin.tv_nsec == 999999999);
  CHECK(smp->ts.received.tv_sec == 1700000001 && smp->ts.received.tv_nsec == 5);
  CHECK_EQ(smp->length, length);
  for (unsigned int v = 0; v < length; v++)
    CHECK(smp->data[v].f == v * 1.5);
}

static void a_sample_says_the_same_at_the_other_end(void)
{
  struct wire_pair pair;
  struct sample *smp, *got;

  open_plain(&pair, "whole");
  CHECK_EQ(shmem_int_alloc(&pair.ends[0], &smp, 1), 1);
  CHECK_EQ(smp->capacity, 13); /* 7 values take as much room as 13 do */
  fill_whole(smp);
  CHECK_EQ(shmem_int_write(&pair.ends[0], &smp, 1), 1);
  CHECK_EQ(shmem_int_timed_read(&pair.ends[1], &got, 1, PATIENT), 1);
  check_whole(got, 13);
  /* And back, as a copy, which takes the original along. */
  CHECK_EQ(shmem_int_write(&pair.ends[1], &got, 1), 1);
  CHECK_EQ(free_blocks(&pair, 0), QUEUELEN);
  CHECK_EQ(free_blocks(&pair, 1), QUEUELEN - 1);
  CHECK_EQ(shmem_int_timed_read(&pair.ends[0], &smp, 1, PATIENT), 1);
  check_whole(smp, 13);
  CHECK_EQ(sample_put(smp), 0);
  CHECK_EQ(free_blocks(&pair, 1), QUEUELEN);
  wire_close_pair(&pair);
}

static void a_sample_that_is_kept_over_its_write_comes_back_when_both_have_put_it(void)
{
  struct wire_pair pair;

  open_plain(&pair, "kept");
  for (int reader_first = 0; reader_first < 2; reader_first++) {
    struct sample *smp = wire_make(&pair.ends[0], 5), *kept = smp, *got;
    CHECK_EQ(sample_get(smp), 2);
    CHECK_EQ(shmem_int_write(&pair.ends[0], &smp, 1), 1);
    CHECK_EQ(shmem_int_timed_read(&pair.ends[1], &got, 1, PATIENT), 1);
    check_is(kept, 5);
    check_is(got, 5);
    CHECK_EQ(sample_put(reader_first ? got : kept), 0);
    CHECK_EQ(free_blocks(&pair, 0), QUEUELEN - 1);
    CHECK_EQ(sample_put(reader_first ? kept : got), 0);
    CHECK_EQ(free_blocks(&pair, 0), QUEUELEN);
  }
  wire_close_pair(&pair);
}

static void a_received_sample_that_is_kept_over_its_echo_stays(void)
{
  struct wire_pair pair;
  struct sample *got, *kept;

  open_plain(&pair, "echo");
  wire_send(&pair.ends[0], 3, 3);
  CHECK_EQ(shmem_int_timed_read(&pair.ends[1], &got, 1, PATIENT), 1);
  kept = got;
  CHECK_EQ(sample_get(got), 2);
  CHECK_EQ(shmem_int_write(&pair.ends[1], &got, 1), 1);
  check_is(kept, 3);
  wire_receive(&pair.ends[0], 3, 3);
  CHECK_EQ(free_blocks(&pair, 0), QUEUELEN - 1);
  CHECK_EQ(sample_put(kept), 0);
  CHECK_EQ(free_blocks(&pair, 0), QUEUELEN);
  wire_close_pair(&pair);
}

static void samples_are_copied_and_cloned_also_between_layouts(void)
{
  struct wire_pair pair;
  struct shmem_conf conf = check_conf(0, 4, 20, 4);
  struct pair native = check_open_pair("native", &conf);
  struct sample *smp, *clone, *there = check_make(native.node, 1);

  open_plain(&pair, "copy");
  CHECK_EQ(shmem_int_alloc(&pair.ends[0], &smp, 1), 1);
  fill_whole(smp);
  clone = sample_clone(smp);
  CHECK(clone && clone != smp);
  check_whole(clone, 13);
  CHECK_EQ(sample_copy(there, smp), 0);
  check_whole(there, 13);
  there->length = 14; /* more than fits */
  CHECK_GIVES(sample_copy(smp, there), -1, EINVAL);
  check_whole(smp, 13);
  there->length = 2;
  CHECK_EQ(sample_copy(smp, there), 0);
  check_whole(smp, 2);
  CHECK_EQ(sample_put(there), 0);
  CHECK_EQ(sample_put(clone), 0);
  CHECK_EQ(sample_put(smp), 0);
  CHECK_GIVES(sample_copy(smp, clone), -1, EINVAL);
  CHECK_GIVES(sample_clone(smp) == NULL, 1, EINVAL);
  CHECK_EQ(free_blocks(&pair, 0), QUEUELEN);

  /* A clone of what was received lies in the region that this side writes. */
  wire_send(&pair.ends[1], 4, 4);
  CHECK_EQ(shmem_int_timed_read(&pair.ends[0], &smp, 1, PATIENT), 1);
  CHECK((clone = sample_clone(smp)) != NULL);
  CHECK_EQ(free_blocks(&pair, 0), QUEUELEN - 1);
  CHECK_EQ(sample_put(smp), 0);
  check_is(clone, 4);
  CHECK_EQ(shmem_int_write(&pair.ends[0], &clone, 1), 1);
  wire_receive(&pair.ends[1], 4, 4);

  struct sample *all[QUEUELEN];
  CHECK_EQ(shmem_int_alloc(&pair.ends[0], all, QUEUELEN), QUEUELEN);
  CHECK_GIVES(sample_clone(all[0]) == NULL, 1, EAGAIN);
  CHECK_EQ(sample_put_many(all, QUEUELEN), QUEUELEN);
  wire_close_pair(&pair);
  check_close_pair(&native);
}

static void pointers_that_lead_to_no_sample_are_refused(void)
{
  struct wire_pair pair;

  open_plain(&pair, "pointers");
  struct sample *smp = wire_make(&pair.ends[0], 1);
  char *base = pair.ends[0].write.base;
  for (size_t at = 0; at < pair.ends[0].write.len; at += 8) {
    if (base + at != (char *)smp) {
      CHECK_GIVES(sample_put((struct sample *)(void *)(base + at)), -1, EINVAL);
      CHECK_GIVES(sample_get((struct sample *)(void *)(base + at)), -1, EINVAL);
    }
  }
  CHECK_GIVES(sample_put(NULL), -1, EINVAL);
  CHECK_GIVES(sample_put((struct sample *)(void *)(base + pair.ends[0].write.len)), -1, EINVAL);
  check_is(smp, 1);
  CHECK_EQ(sample_put(smp), 0);
  wire_close_pair(&pair);
}

/* What lies between the header that C sees: as VILLASnode expects it. */
static void what_is_sent_names_no_signals_and_its_own_pool(void)
{
  struct wire_pair pair;

  open_plain(&pair, "hidden");
  struct sample *smp = wire_make(&pair.ends[0], 1), *sent = smp;
  memset((char *)smp + 24, 0x77, 16); /* a program's own mistake */
  CHECK_EQ(shmem_int_write(&pair.ends[0], &smp, 1), 1);
  CHECK_EQ(shmem_int_timed_read(&pair.ends[1], &smp, 1, PATIENT), 1);
  uint64_t signals[2];
  int32_t references;
  int64_t pool;
  memcpy(signals, (char *)smp + 24, sizeof signals);
  memcpy(&references, (char *)smp + 40, sizeof references);
  memcpy(&pool, (char *)smp + 48, sizeof pool);
  CHECK(signals[0] == 0 && signals[1] == 0);
  CHECK_EQ(references, 1);
  CHECK_EQ((char *)sent + pool - (char *)pair.ends[0].write.base, WIRE_POOL);
  CHECK_EQ(sample_put(smp), 0);
  wire_close_pair(&pair);
}

int main(void)
{
  check_begin();
  RUN(references_are_counted_and_the_last_one_gives_the_block_back);
  RUN(many_at_once_are_allocated_referenced_and_put);
  RUN(a_sample_says_the_same_at_the_other_end);
  RUN(a_sample_that_is_kept_over_its_write_comes_back_when_both_have_put_it);
  RUN(a_received_sample_that_is_kept_over_its_echo_stays);
  RUN(samples_are_copied_and_cloned_also_between_layouts);
  RUN(pointers_that_lead_to_no_sample_are_refused);
  RUN(what_is_sent_names_no_signals_and_its_own_pool);
  return 0;
}
