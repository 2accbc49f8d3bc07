/* EINVAL: each argument that cannot be is refused, and changes nothing. */
#include "check.h"

#include <limits.h>

static void einval_for_null_pointers(void)
{
  struct pair pair = check_open_pair("null", NULL);
  struct sample *smps[1] = {NULL};
  struct shmem_stats stats = SHMEM_STATS_INIT;
  struct shmem_conf conf = SHMEM_CONF_INIT;

  CHECK_REFUSED(shmem_shared_create(NULL, &conf), EINVAL);
  CHECK_REFUSED(shmem_shared_open(NULL, &pair.base), EINVAL);
  CHECK_REFUSED(shmem_shared_timed_open(NULL, &pair.base, MS(10)), EINVAL);
  CHECK_GIVES(shmem_shared_unlink(NULL), -1, EINVAL);

  CHECK_GIVES(shmem_shared_wait(NULL, MS(10)), -1, EINVAL);
  CHECK_GIVES(shmem_shared_read(NULL, smps, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_try_read(NULL, smps, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_read(NULL, smps, 1, MS(10)), -1, EINVAL);
  CHECK_GIVES(shmem_shared_write(NULL, smps, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_write(NULL, smps, 1, MS(10)), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_alloc(NULL, smps, 1, MS(10)), -1, EINVAL);
  CHECK_GIVES(shmem_shared_interrupt(NULL), -1, EINVAL);
  CHECK_GIVES(shmem_shared_peer_alive(NULL), -1, EINVAL);
  CHECK_GIVES(shmem_shared_stats(NULL, &stats), -1, EINVAL);
  CHECK_GIVES(shmem_shared_close(NULL, NULL), -1, EINVAL);

  CHECK_GIVES(shmem_shared_read(pair.node, NULL, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_try_read(pair.node, NULL, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_read(pair.node, NULL, 1, MS(10)), -1, EINVAL);
  CHECK_GIVES(shmem_shared_write(pair.node, NULL, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_write(pair.node, NULL, 1, MS(10)), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_alloc(pair.node, NULL, 1, MS(10)), -1, EINVAL);
  CHECK_GIVES(shmem_shared_stats(pair.node, NULL), -1, EINVAL);
  CHECK_GIVES(shmem_shared_write(pair.node, smps, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_write(pair.node, smps, 1, MS(10)), -1, EINVAL);

  CHECK_GIVES(sample_alloc(NULL, smps, 1), -1, EINVAL);
  CHECK_GIVES(sample_alloc(&pair.node->pool, NULL, 1), -1, EINVAL);
  CHECK_GIVES(sample_alloc_many(NULL, smps, 1), -1, EINVAL);
  CHECK_GIVES(sample_alloc_many(&pair.node->pool, NULL, 1), -1, EINVAL);
  CHECK_GIVES(sample_put(NULL), -1, EINVAL);
  CHECK_GIVES(sample_get(NULL), -1, EINVAL);
  CHECK_GIVES(sample_decref(NULL), -1, EINVAL);
  CHECK_GIVES(sample_incref(NULL), -1, EINVAL);
  CHECK_GIVES(sample_put_many(NULL, 1), -1, EINVAL);
  CHECK_GIVES(sample_get_many(NULL, 1), -1, EINVAL);
  CHECK_GIVES(sample_decref_many(NULL, 1), -1, EINVAL);
  CHECK_GIVES(sample_incref_many(NULL, 1), -1, EINVAL);
  CHECK_GIVES(sample_put_many(smps, 1), -1, EINVAL);

  struct sample *smp = check_make(pair.node, 1);
  CHECK_GIVES(sample_copy(NULL, smp), -1, EINVAL);
  CHECK_GIVES(sample_copy(smp, NULL), -1, EINVAL);
  CHECK_GIVES((intptr_t)sample_clone(NULL), 0, EINVAL);
  check_is(smp, 1);
  CHECK_EQ(sample_put(smp), 0);

  check_works(&pair);
  check_close_pair(&pair);
}

static void a_count_of_zero_gives_zero_and_is_no_error(void)
{
  struct pair pair = check_open_pair("zero", NULL);
  struct sample *smps[1];

  CHECK_EQ(sample_alloc(&pair.node->pool, smps, 0), 0);
  CHECK_EQ(sample_alloc_many(&pair.node->pool, smps, 0), 0);
  CHECK_EQ(sample_put_many(smps, 0), 0);
  CHECK_EQ(sample_get_many(smps, 0), 0);
  CHECK_EQ(sample_decref_many(smps, 0), 0);
  CHECK_EQ(sample_incref_many(smps, 0), 0);
  CHECK_EQ(shmem_shared_read(pair.node, smps, 0), 0);
  CHECK_EQ(shmem_shared_try_read(pair.node, smps, 0), 0);
  CHECK_EQ(shmem_shared_timed_read(pair.node, smps, 0, NULL), 0);
  CHECK_EQ(shmem_shared_write(pair.node, smps, 0), 0);
  CHECK_EQ(shmem_shared_timed_write(pair.node, smps, 0, NULL), 0);
  CHECK_EQ(shmem_shared_timed_alloc(pair.node, smps, 0, NULL), 0);
  CHECK_EQ(shmem_shared_read(pair.node, NULL, 0), 0);
  CHECK_EQ(shmem_shared_write(pair.node, NULL, 0), 0);
  CHECK_EQ(sample_alloc(&pair.node->pool, NULL, 0), 0);

  check_works(&pair);
  check_close_pair(&pair);
}

/* Nothing is wanted, so nothing is wrong: not that nobody is there, nor that it is full. */
static void a_count_of_zero_gives_zero_without_a_peer_and_without_room(void)
{
  struct shmem_conf conf = check_conf(0, 1, 1, 1);
  struct pair pair = check_open_pair("nobody", &conf);
  struct sample *smps[2];

  check_send(pair.node, 1, 1);
  CHECK_EQ(sample_alloc(&pair.node->pool, smps, 2), 1);
  for (int round = 0; round < 2; round++) {
    for (int given = 0; given < 2; given++) {
      struct sample **array = given ? smps : NULL;
      CHECK_EQ(shmem_shared_read(pair.node, array, 0), 0);
      CHECK_EQ(shmem_shared_try_read(pair.node, array, 0), 0);
      CHECK_EQ(shmem_shared_timed_read(pair.node, array, 0, NULL), 0);
      CHECK_EQ(shmem_shared_write(pair.node, array, 0), 0);
      CHECK_EQ(shmem_shared_timed_write(pair.node, array, 0, NULL), 0);
      CHECK_EQ(sample_alloc(&pair.node->pool, array, 0), 0);
      CHECK_EQ(shmem_shared_timed_alloc(pair.node, array, 0, NULL), 0);
    }
    if (round == 0)
      CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  }
  CHECK_GIVES(shmem_shared_write(pair.node, smps, 1), -1, EPIPE); /* one is wrong */
  CHECK_EQ(sample_put(smps[0]), 0);
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_receive(pair.program, 1, 1);
  check_works(&pair);
  check_close_pair(&pair);
}

static void einval_for_a_count_beyond_int_max(void)
{
  struct pair pair = check_open_pair("count", NULL);
  struct sample *smps[1] = {NULL};
  const unsigned int many = (unsigned int)INT_MAX + 1;

  CHECK_GIVES(sample_alloc(&pair.node->pool, smps, many), -1, EINVAL);
  CHECK_GIVES(sample_put_many(smps, many), -1, EINVAL);
  CHECK_GIVES(sample_get_many(smps, many), -1, EINVAL);
  CHECK_GIVES(shmem_shared_read(pair.node, smps, many), -1, EINVAL);
  CHECK_GIVES(shmem_shared_try_read(pair.node, smps, many), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_read(pair.node, smps, UINT_MAX, MS(10)), -1, EINVAL);
  CHECK_GIVES(shmem_shared_write(pair.node, smps, UINT_MAX), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_write(pair.node, smps, many, MS(10)), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_alloc(pair.node, smps, many, MS(10)), -1, EINVAL);

  check_works(&pair);
  check_close_pair(&pair);
}

static void einval_for_names_that_cannot_be(void)
{
  static char too_long[4096];
  char longest[256];
  struct shmem_conf conf = SHMEM_CONF_INIT;
  void *base;
  const char *const bad[] = {"", "/", "///", "a/b", "/a/b", "//a/b", "a/", "..//a", too_long};

  memset(too_long, 'n', 256);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_REFUSED(shmem_shared_create(bad[i], &conf), EINVAL);
    CHECK_REFUSED(shmem_shared_open(bad[i], &base), EINVAL);
    CHECK_REFUSED(shmem_shared_timed_open(bad[i], &base, MS(2000)), EINVAL);
    CHECK_GIVES(shmem_shared_unlink(bad[i]), -1, EINVAL);
  }
  memset(too_long, 'n', sizeof too_long - 1);
  CHECK_REFUSED(shmem_shared_create(too_long, &conf), EINVAL);
  CHECK_REFUSED(shmem_shared_open(too_long, &base), EINVAL);

  /* Directories: no name for an object, whatever the errno. */
  CHECK(!shmem_shared_create(".", &conf) && !shmem_shared_create("..", &conf));
  CHECK(!shmem_shared_open(".", &base) && !shmem_shared_open("/..", &base));
  CHECK_EQ(shmem_shared_unlink(".."), -1);

  /* The longest name that a file may have. */
  memset(longest, 'n', 255);
  longest[255] = '\0';
  memcpy(longest, check_name(""), strlen(check_name("")));
  struct shmem_shared *node;
  CHECK_HANDLE(node = shmem_shared_create(longest, &conf));
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(longest), 0);
}

static void a_leading_slash_makes_no_difference(void)
{
  const char *name = check_name("slash");
  char slashed[80];
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_shared *node, *program;
  void *base;

  snprintf(slashed, sizeof slashed, "/%s", name);
  CHECK_HANDLE(node = shmem_shared_create(slashed, &conf));
  CHECK_EQ(access(check_path(name), F_OK), 0);
  CHECK_HANDLE(program = shmem_shared_open(name, &base));
  CHECK_EQ(shmem_shared_close(program, base), 0);
  CHECK_HANDLE(program = shmem_shared_open(slashed, &base));
  CHECK_EQ(shmem_shared_close(program, base), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(slashed), 0);
  CHECK_EQ(access(check_path(name), F_OK), -1);
}

static void einval_for_sizes_that_cannot_be(void)
{
  const char *name = check_name("sizes");
  const struct {
    int queuelen, samplelen, spare;
  } bad[] = {
    {-1, 0, 0},       {INT_MIN, 0, 0},        {(1 << 20) + 1, 0, 0}, {INT_MAX, 0, 0},
    {0, -1, 0},       {0, INT_MIN, 0},        {0, 65537, 0},         {0, INT_MAX, 0},
    {0, 0, -1},       {0, 0, INT_MIN},        {0, 0, (1 << 20) + 1}, {INT_MAX, INT_MAX, INT_MAX},
  };

  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct shmem_conf conf = check_conf(0, bad[i].queuelen, bad[i].samplelen, bad[i].spare);
    CHECK_REFUSED(shmem_shared_create(name, &conf), EINVAL);
    CHECK_EQ(access(check_path(name), F_OK), -1);
  }

  for (int i = 0; i < 3; i++) {
    struct shmem_conf conf = SHMEM_CONF_INIT;
    conf.history = (int[]){-1, (1 << 20) + 1, INT_MAX}[i];
    CHECK_REFUSED(shmem_shared_create(name, &conf), EINVAL);
  }

  struct shmem_conf conf = SHMEM_CONF_INIT;
  conf.size = 5; /* shorter than any version */
  CHECK_REFUSED(shmem_shared_create(name, &conf), EINVAL);

  /* The largest and the smallest that can be. */
  conf = check_conf(0, 1, 65536, 1);
  struct shmem_shared *node;
  CHECK_HANDLE(node = shmem_shared_create(name, &conf));
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  conf = check_conf(0, 1 << 20, 1, 1);
  CHECK_HANDLE(node = shmem_shared_create(name, &conf));
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(name), 0);
}

static void zeroed_fields_mean_the_defaults(void)
{
  struct shmem_conf zeroed;
  struct shmem_stats stats = SHMEM_STATS_INIT;
  struct stat file;

  memset(&zeroed, 0, sizeof zeroed);
  struct pair pair = check_open_pair("zeroed", &zeroed);
  CHECK_EQ(shmem_shared_stats(pair.program, &stats), 0);
  CHECK_EQ(stats.queuelen, 512);
  CHECK_EQ(stats.samplelen, 64);
  CHECK_EQ(stats.spare, 64);
  CHECK_EQ(pair.program->polling, 0);
  CHECK_EQ(stat(check_path(pair.name), &file), 0);
  CHECK_EQ(file.st_mode & 07777, 0600);
  CHECK_EQ(stats.region_size, file.st_size);
  check_works(&pair);
  check_close_pair(&pair);
}

static void einval_for_a_time_that_is_none(void)
{
  struct pair pair = check_open_pair("time", NULL);
  struct sample *smps[1];
  const struct timespec bad[] = {{.tv_nsec = 1000000000}, {.tv_nsec = -1}};

  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_GIVES(shmem_shared_timed_read(pair.node, smps, 1, &bad[i]), -1, EINVAL);
    CHECK_GIVES(shmem_shared_wait(pair.node, &bad[i]), -1, EINVAL);
    CHECK_REFUSED(shmem_shared_timed_open("villas-check-nowhere", &pair.base, &bad[i]), EINVAL);
  }
  check_works(&pair);
  check_close_pair(&pair);
}

static void einval_for_pointers_that_are_no_samples(void)
{
  struct pair pair = check_open_pair("pointers", NULL);
  struct pair other = check_open_pair("other", NULL);
  static _Alignas(64) char memory[4096];
  struct sample *held = check_make(pair.node, 7);
  struct sample *elsewhere = check_make(other.node, 8);
  struct sample *bad[] = {
    (struct sample *)memory,
    (struct sample *)((char *)held + 8),
    (struct sample *)((char *)held + 64),
    (struct sample *)((char *)held - 64),
    (struct sample *)((char *)held + 4096 * 64 * 64),
    (struct sample *)(uintptr_t)64,
    (struct sample *)(uintptr_t)-64,
  };

  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct sample *smp = bad[i];
    CHECK_GIVES(sample_put(smp), -1, EINVAL);
    CHECK_GIVES(sample_get(smp), -1, EINVAL);
    CHECK_GIVES(sample_decref(smp), -1, EINVAL);
    CHECK_GIVES(sample_incref(smp), -1, EINVAL);
    CHECK_GIVES(sample_copy(smp, held), -1, EINVAL);
    CHECK_GIVES((intptr_t)sample_clone(smp), 0, EINVAL);
    CHECK_GIVES(shmem_shared_write(pair.node, &smp, 1), -1, EINVAL);
    CHECK_GIVES(shmem_shared_timed_write(pair.node, &smp, 1, MS(1000)), -1, EINVAL);
  }
  /* Live, but of another channel: it can be put, not written here. */
  CHECK_GIVES(shmem_shared_write(pair.node, &elsewhere, 1), -1, EINVAL);
  check_is(elsewhere, 8);
  CHECK_EQ(sample_put(elsewhere), 0);

  check_is(held, 7);
  CHECK_EQ(shmem_shared_write(pair.node, &held, 1), 1);
  check_receive(pair.program, 7, 7);
  check_works(&pair);
  check_works(&other);
  check_close_pair(&other);
  check_close_pair(&pair);
}

static void einval_for_a_double_put(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("double", &conf);
  struct sample *smp = check_make(pair.node, 1);

  CHECK_EQ(sample_put(smp), 0);
  CHECK_GIVES(sample_put(smp), -1, EINVAL);
  CHECK_GIVES(sample_get(smp), -1, EINVAL);
  CHECK_GIVES(shmem_shared_write(pair.node, &smp, 1), -1, EINVAL);

  /* A sample that was read and put; a sample that was written away. */
  smp = check_make(pair.node, 2);
  CHECK_EQ(shmem_shared_write(pair.node, &smp, 1), 1);
  CHECK_GIVES(sample_put(smp), -1, EINVAL);
  CHECK_EQ(shmem_shared_timed_read(pair.program, &smp, 1, MS(1000)), 1);
  CHECK_EQ(sample_put(smp), 0);
  CHECK_GIVES(sample_put(smp), -1, EINVAL);
  CHECK_GIVES(shmem_shared_write(pair.program, &smp, 1), -1, EINVAL);

  /* In one call with others: those before it are put. */
  struct sample *three[3] = {check_make(pair.node, 1), NULL, check_make(pair.node, 3)};
  three[1] = three[0];
  CHECK_EQ(sample_put_many(three, 3), 1);
  CHECK_EQ(sample_put(three[2]), 0);

  CHECK_EQ(check_count_free(pair.node), 3);
  CHECK_EQ(check_count_free(pair.program), 3);
  check_works(&pair);
  check_close_pair(&pair);
}

static void einval_for_a_length_beyond_the_capacity(void)
{
  struct shmem_conf conf = check_conf(0, 4, 8, 4);
  struct pair pair = check_open_pair("length", &conf);
  struct sample *smp = check_make(pair.node, 5);
  unsigned int capacity = smp->capacity;

  CHECK(capacity >= 8);
  smp->length = capacity + 1;
  CHECK_GIVES(shmem_shared_write(pair.node, &smp, 1), -1, EINVAL);
  smp->length = UINT_MAX;
  CHECK_GIVES(shmem_shared_write(pair.node, &smp, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_write(pair.node, &smp, 1, NULL), -1, EINVAL);

  smp->length = capacity;
  smp->data[capacity - 1].i = 42;
  CHECK_EQ(shmem_shared_write(pair.node, &smp, 1), 1);
  CHECK_EQ(shmem_shared_timed_read(pair.program, &smp, 1, MS(1000)), 1);
  CHECK_EQ(smp->length, capacity);
  CHECK_EQ(smp->capacity, capacity);
  CHECK_EQ(smp->data[capacity - 1].i, 42);
  CHECK_EQ(sample_put(smp), 0);
  check_works(&pair);
  check_close_pair(&pair);
}

static void those_before_an_invalid_sample_are_written(void)
{
  struct pair pair = check_open_pair("before", NULL);
  struct sample *smps[5] = {check_make(pair.node, 1), check_make(pair.node, 2), NULL,
                            check_make(pair.node, 4), check_make(pair.node, 5)};

  CHECK_EQ(shmem_shared_write(pair.node, smps, 5), 2);
  CHECK_GIVES(shmem_shared_write(pair.node, smps + 2, 3), -1, EINVAL);
  CHECK_EQ(shmem_shared_write(pair.node, smps + 3, 2), 2);
  check_receive(pair.program, 1, 2);
  check_receive(pair.program, 4, 5);

  /* The same sample twice in one call: it is out after the first. */
  smps[0] = smps[1] = check_make(pair.node, 6);
  CHECK_EQ(shmem_shared_write(pair.node, smps, 2), 1);
  check_receive(pair.program, 6, 6);
  CHECK_GIVES(shmem_shared_try_read(pair.program, smps, 1), 0, EAGAIN);
  check_works(&pair);
  check_close_pair(&pair);
}

static void einval_for_a_sample_that_is_still_out(void)
{
  struct pair pair = check_open_pair("out", NULL);
  struct sample *smp = check_make(pair.node, 1), *got;

  CHECK_EQ(sample_get(smp), 2);
  CHECK_EQ(shmem_shared_write(pair.node, &smp, 1), 1);
  CHECK_GIVES(shmem_shared_write(pair.node, &smp, 1), -1, EINVAL);
  CHECK_EQ(shmem_shared_timed_read(pair.program, &got, 1, MS(1000)), 1);
  CHECK_GIVES(shmem_shared_write(pair.node, &smp, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_write(pair.node, &smp, 1, MS(1000)), -1, EINVAL);
  check_is(got, 1);
  CHECK_EQ(sample_put(got), 0);

  CHECK_EQ(shmem_shared_write(pair.node, &smp, 1), 1);
  check_receive(pair.program, 1, 1);
  CHECK_GIVES(shmem_shared_try_read(pair.program, &got, 1), 0, EAGAIN);
  check_works(&pair);
  check_close_pair(&pair);
}

static void einval_for_a_second_close(void)
{
  struct pair pair = check_open_pair("twice", NULL);

  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_GIVES(shmem_shared_close(pair.program, pair.base), -1, EINVAL);
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, NULL)); /* base is optional */
  check_works(&pair);
  CHECK_EQ(shmem_shared_close(pair.program, NULL), 0);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  CHECK_GIVES(shmem_shared_close(pair.node, NULL), -1, EINVAL);
  CHECK_EQ(shmem_shared_unlink(pair.name), 0);
}

int main(void)
{
  check_begin();
  RUN(einval_for_null_pointers);
  RUN(a_count_of_zero_gives_zero_and_is_no_error);
  RUN(a_count_of_zero_gives_zero_without_a_peer_and_without_room);
  RUN(einval_for_a_count_beyond_int_max);
  RUN(einval_for_names_that_cannot_be);
  RUN(a_leading_slash_makes_no_difference);
  RUN(einval_for_sizes_that_cannot_be);
  RUN(zeroed_fields_mean_the_defaults);
  RUN(einval_for_a_time_that_is_none);
  RUN(einval_for_pointers_that_are_no_samples);
  RUN(einval_for_a_double_put);
  RUN(einval_for_a_length_beyond_the_capacity);
  RUN(those_before_an_invalid_sample_are_written);
  RUN(einval_for_a_sample_that_is_still_out);
  RUN(einval_for_a_second_close);
  return 0;
}
