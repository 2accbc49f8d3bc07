/* Who owns a sample: references, copies, echoes, and samples that outlive their channel. */
#include "check.h"

static void a_fresh_sample_is_blank_and_has_one_reference(void)
{
  struct shmem_conf conf = check_conf(0, 2, 8, 1);
  struct pair pair = check_open_pair("blank", &conf);
  struct sample *smps[3];

  for (int round = 0; round < 3; round++) {
    CHECK_EQ((round % 2 ? sample_alloc_many : sample_alloc)(&pair.node->pool, smps, 3), 3);
    for (int i = 0; i < 3; i++) {
      CHECK_EQ(smps[i]->length, 0);
      CHECK_EQ(smps[i]->flags, 0);
      CHECK_EQ(smps[i]->sequence, 0);
      CHECK_EQ(smps[i]->ts.origin.tv_sec, 0);
      CHECK_EQ(smps[i]->ts.origin.tv_nsec, 0);
      CHECK_EQ(smps[i]->ts.received.tv_sec, 0);
      CHECK_EQ(smps[i]->ts.received.tv_nsec, 0);
      CHECK(smps[i]->capacity >= 8);
      CHECK_EQ(sample_get(smps[i]), 2);
      CHECK_EQ(sample_put(smps[i]), 1);
      smps[i]->length = 8;
      smps[i]->flags = SAMPLE_HAS_ALL;
      smps[i]->sequence = 99;
      smps[i]->ts.origin = smps[i]->ts.received = (struct timespec){12, 34};
    }
    CHECK_EQ(sample_put_many(smps, 3), 3);
  }
  check_close_pair(&pair);
}

static void references_are_counted(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("count", &conf);
  struct sample *smps[2] = {check_make(pair.node, 1), check_make(pair.node, 2)};

  CHECK_EQ(sample_get(smps[0]), 2);
  CHECK_EQ(sample_incref(smps[0]), 3);
  CHECK_EQ(sample_get_many(smps, 2), 2);
  CHECK_EQ(sample_incref_many(smps, 2), 2);
  CHECK_EQ(sample_put(smps[0]), 4);
  CHECK_EQ(sample_decref(smps[0]), 3);
  CHECK_EQ(sample_put_many(smps, 2), 2);
  CHECK_EQ(sample_decref_many(smps, 2), 2);
  CHECK_EQ(check_count_free(pair.node), 1);
  CHECK_EQ(sample_put(smps[0]), 0);
  CHECK_EQ(sample_put(smps[1]), 0);
  CHECK_EQ(check_count_free(pair.node), 3);

  /* Many references, on either side. */
  check_send(pair.node, 5, 5);
  CHECK_EQ(shmem_shared_timed_read(pair.program, smps, 1, MS(1000)), 1);
  for (int n = 2; n <= 1000; n++)
    CHECK_EQ(sample_get(smps[0]), n);
  for (int n = 999; n >= 0; n--) {
    CHECK_EQ(check_count_free(pair.node), 2);
    CHECK_EQ(sample_put(smps[0]), n);
  }
  CHECK_EQ(check_count_free(pair.node), 3);
  check_close_pair(&pair);
}

static void a_writer_keeps_what_it_took_a_reference_to(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("keep", &conf);
  struct sample *smp = check_make(pair.node, 9), *got;

  CHECK_EQ(sample_get(smp), 2);
  CHECK_EQ(shmem_shared_write(pair.node, &smp, 1), 1);
  check_is(smp, 9);
  CHECK_EQ(check_count_free(pair.node), 2);
  check_receive(pair.program, 9, 9);
  check_is(smp, 9);
  CHECK_EQ(check_count_free(pair.node), 2); /* the peer is through with it, the writer is not */
  CHECK_EQ(shmem_shared_write(pair.node, &smp, 1), 1);
  check_receive(pair.program, 9, 9);
  CHECK_EQ(check_count_free(pair.node), 3);

  /* The writer puts first, then the reader. */
  smp = check_make(pair.node, 10);
  CHECK_EQ(sample_get(smp), 2);
  CHECK_EQ(shmem_shared_write(pair.node, &smp, 1), 1);
  CHECK_EQ(sample_put(smp), 0);
  CHECK_EQ(check_count_free(pair.node), 2);
  CHECK_EQ(shmem_shared_timed_read(pair.program, &got, 1, MS(1000)), 1);
  CHECK_EQ(check_count_free(pair.node), 2);
  CHECK_EQ(sample_put(got), 0);
  CHECK_EQ(check_count_free(pair.node), 3);
  check_close_pair(&pair);
}

static void a_sample_goes_back_and_forth_as_it_is(void)
{
  struct shmem_conf conf = check_conf(1, 2, 4, 1);
  struct pair pair = check_open_pair("echo", &conf);
  struct sample *made = check_make(pair.node, 1), *smp = made, *far = NULL;

  for (uint64_t round = 0; round < check_scaled(100000); round++) {
    smp->length = 3;
    smp->data[2].i = (int64_t)round;
    CHECK_EQ(shmem_shared_write(pair.node, &smp, 1), 1);
    CHECK_EQ(shmem_shared_timed_read(pair.program, &smp, 1, MS(1000)), 1);
    CHECK(!far || smp == far); /* no copy: the same block, seen through the program's mapping */
    far = smp;
    CHECK_EQ(smp->data[2].i, (int64_t)round);
    smp->data[1].i = -(int64_t)round;
    CHECK_EQ(shmem_shared_write(pair.program, &smp, 1), 1);
    CHECK_EQ(shmem_shared_timed_read(pair.node, &smp, 1, MS(1000)), 1);
    CHECK(smp == made);
    CHECK_EQ(smp->data[1].i, -(int64_t)round);
  }
  CHECK_EQ(check_count_free(pair.node), 2);
  CHECK_EQ(check_count_free(pair.program), 3);
  CHECK_EQ(sample_put(smp), 0);
  CHECK_EQ(check_count_free(pair.node), 3);
  check_close_pair(&pair);
}

static void an_echo_may_be_kept_by_both(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("both", &conf);
  struct sample *made = check_make(pair.node, 4), *far, *back;

  CHECK_EQ(sample_get(made), 2);
  CHECK_EQ(shmem_shared_write(pair.node, &made, 1), 1);
  CHECK_EQ(shmem_shared_timed_read(pair.program, &far, 1, MS(1000)), 1);
  CHECK_EQ(sample_get(far), 2);
  CHECK_EQ(shmem_shared_write(pair.program, &far, 1), 1);
  CHECK_EQ(shmem_shared_timed_read(pair.node, &back, 1, MS(1000)), 1);
  CHECK(back == made);
  CHECK_EQ(check_count_free(pair.node), 2);
  CHECK_EQ(sample_put(far), 0);
  CHECK_EQ(check_count_free(pair.node), 2);
  CHECK_EQ(sample_put(back), 1); /* one by the read, one kept since the write */
  CHECK_EQ(check_count_free(pair.node), 2);
  CHECK_EQ(sample_put(made), 0);
  CHECK_EQ(check_count_free(pair.node), 3);
  check_close_pair(&pair);
}

static void a_copy_has_header_and_values(void)
{
  struct shmem_conf conf = check_conf(0, 2, 4, 2), longer = check_conf(0, 2, 100, 2);
  struct pair pair = check_open_pair("copy", &conf), wide = check_open_pair("wide", &longer);
  struct sample *from = check_make(pair.node, 3), *to, *clone, *large;

  from->length = 4;
  from->ts.origin = (struct timespec){1, 2};
  from->ts.received = (struct timespec){3, 4};
  for (int i = 1; i < 4; i++)
    from->data[i].f = 0.1 * i;

  CHECK_EQ(sample_alloc(&pair.node->pool, &to, 1), 1);
  unsigned int capacity = to->capacity;
  CHECK_EQ(sample_copy(to, from), 0);
  CHECK((clone = sample_clone(from)) != NULL);
  struct sample *const same[2] = {to, clone};
  for (int i = 0; i < 2; i++) {
    CHECK(same[i] != from);
    CHECK_EQ(same[i]->sequence, 3);
    CHECK_EQ(same[i]->length, 4);
    CHECK_EQ(same[i]->capacity, capacity);
    CHECK_EQ(same[i]->flags, from->flags);
    CHECK_EQ(memcmp(&same[i]->ts, &from->ts, sizeof from->ts), 0);
    CHECK_EQ(memcmp(same[i]->data, from->data, SAMPLE_DATA_LEN(4)), 0);
    CHECK_EQ(sample_get(same[i]), 2); /* references are not copied */
    CHECK_EQ(sample_put(same[i]), 1);
    CHECK_EQ(sample_put(same[i]), 0);
  }

  /* What was written is the reader's, who may change it: it is not copied any more. */
  struct sample *sent = check_make(pair.node, 9);
  CHECK_EQ(shmem_shared_write(pair.node, &sent, 1), 1);
  CHECK_GIVES(sample_copy(from, sent), -1, EINVAL);
  CHECK(strstr(shmem_last_error(), "copy what is to be kept before the write"));
  CHECK_EQ(from->sequence, 3);
  CHECK_EQ(shmem_shared_read(pair.program, &sent, 1), 1);
  CHECK_EQ(sample_put(sent), 0);

  /* Between channels: what fits is copied, what does not is refused and changes nothing. */
  large = check_make(wide.program, 8);
  CHECK_EQ(sample_copy(large, from), 0);
  CHECK_EQ(large->length, 4);
  CHECK_EQ(memcmp(large->data, from->data, SAMPLE_DATA_LEN(4)), 0);
  CHECK(large->capacity >= 100);
  large->length = 100;
  CHECK_GIVES(sample_copy(from, large), -1, EINVAL);
  CHECK_EQ(from->length, 4);
  CHECK_EQ(from->sequence, 3);
  CHECK_EQ(sample_put(large), 0);
  CHECK_EQ(sample_put(from), 0);
  CHECK_EQ(check_count_free(pair.node), 4);
  CHECK_EQ(check_count_free(wide.program), 4);
  check_close_pair(&wide);
  check_close_pair(&pair);
}

static void closing_with_samples_in_hand_is_no_trap(void)
{
  struct shmem_conf conf = check_conf(0, 4, 4, 2);
  struct pair pair = check_open_pair("in-hand", &conf);
  struct sample *own = check_make(pair.program, 1), *got;

  check_send(pair.node, 2, 2);
  CHECK_EQ(shmem_shared_timed_read(pair.program, &got, 1, MS(1000)), 1);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  check_is(own, 1); /* mapped as long as one is held */
  check_is(got, 2);
  CHECK_EQ(sample_get(got), 2);
  CHECK_EQ(sample_put(got), 1);
  CHECK_EQ(sample_put(got), 0);
  CHECK_EQ(sample_put(own), 0);
  CHECK_EQ(check_count_free(pair.node), 6);

  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  CHECK_EQ(check_count_free(pair.program), 6);
  check_send(pair.program, 1, 4);
  check_receive(pair.node, 1, 4);
  check_close_pair(&pair);
}

int main(void)
{
  check_begin();
  RUN(a_fresh_sample_is_blank_and_has_one_reference);
  RUN(references_are_counted);
  RUN(a_writer_keeps_what_it_took_a_reference_to);
  RUN(a_sample_goes_back_and_forth_as_it_is);
  RUN(an_echo_may_be_kept_by_both);
  RUN(a_copy_has_header_and_values);
  RUN(closing_with_samples_in_hand_is_no_trap);
  return 0;
}
