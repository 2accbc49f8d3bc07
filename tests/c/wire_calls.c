/* Each function of the group "channel, wire layout": what it returns, and with which errno. */
#include "wire.h"

static void total_size_is_that_of_villasnode_and_the_trailer(void)
{
  CHECK_EQ(shmem_total_size(512, 64), 345960 + WIRE_MUTEX + 128);
  CHECK_EQ(shmem_total_size(0, 0), 345960 + WIRE_MUTEX + 128);
  CHECK_EQ(shmem_total_size(8, 4), 3176 + WIRE_MUTEX + 128);
  CHECK_EQ(shmem_total_size(64, 7), 16232 + WIRE_MUTEX + 128);
  CHECK(shmem_total_size(600, 64) > 346000 * 600 / 512); /* VILLASnode's own sum is too small */
  CHECK(shmem_total_size(1, 1) > 0);
  CHECK_GIVES(shmem_total_size(-1, 64), 0, EINVAL);
  CHECK_GIVES(shmem_total_size(512, -1), 0, EINVAL);
  CHECK_GIVES(shmem_total_size((1 << 20) + 1, 1), 0, EINVAL);
  CHECK_GIVES(shmem_total_size(1, 65537), 0, EINVAL);
  CHECK_GIVES(shmem_total_size(1 << 20, 65536), 0, EINVAL);

  struct wire_pair pair;
  struct stat file;
  wire_open_loop(&pair, "size", check_conf(0, 600, 5, 0));
  CHECK_EQ(stat(check_path(pair.names[0]), &file), 0);
  CHECK_EQ(file.st_size, shmem_total_size(600, 5));
  CHECK_EQ(file.st_mode & 0777, 0600);
  CHECK_EQ(pair.ends[0].write.len, shmem_total_size(600, 5));
  CHECK(pair.ends[0].write.base == pair.ends[0].read.base);
  wire_close_pair(&pair);
}

static void open_refuses_what_it_cannot_use(void)
{
  const char *name = wire_name("bad"), *other = wire_name("other");
  const struct timespec negative = {.tv_sec = -1}, much = {.tv_nsec = 1000000000};
  struct shmem_conf conf = SHMEM_CONF_INIT;
  struct shmem_int shm;
  char longest[300];

  memset(&shm, 0x5a, sizeof shm);
  memset(longest, 'x', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  CHECK_GIVES(shmem_int_open(NULL, other, &shm, &conf), -1, EINVAL);
  CHECK_GIVES(shmem_int_open(name, NULL, &shm, &conf), -1, EINVAL);
  CHECK_GIVES(shmem_int_open(name, name, NULL, &conf), -1, EINVAL);
  CHECK_GIVES(shmem_int_timed_open(name, name, NULL, &conf, MS(1)), -1, EINVAL);
  CHECK_GIVES(shmem_int_open("", other, &shm, &conf), -1, EINVAL);
  CHECK_GIVES(shmem_int_open(name, "", &shm, &conf), -1, EINVAL);
  CHECK_GIVES(shmem_int_open("/", other, &shm, &conf), -1, EINVAL);
  CHECK_GIVES(shmem_int_open("a/b", other, &shm, &conf), -1, EINVAL);
  CHECK_GIVES(shmem_int_open(name, "..", &shm, &conf), -1, EINVAL);
  CHECK_GIVES(shmem_int_open(longest, other, &shm, &conf), -1, EINVAL);
  CHECK_GIVES(shmem_int_timed_open(name, other, &shm, &conf, &negative), -1, EINVAL);
  CHECK_GIVES(shmem_int_timed_open(name, other, &shm, &conf, &much), -1, EINVAL);
  conf.queuelen = -1;
  CHECK_GIVES(shmem_int_open(name, name, &shm, &conf), -1, EINVAL);
  conf.queuelen = (1 << 20) + 1;
  CHECK_GIVES(shmem_int_open(name, name, &shm, &conf), -1, EINVAL);
  conf = (struct shmem_conf)SHMEM_CONF_INIT;
  conf.samplelen = 65537;
  CHECK_GIVES(shmem_int_open(name, name, &shm, &conf), -1, EINVAL);
  CHECK(strstr(shmem_last_error(), "65537") != NULL);
  conf = (struct shmem_conf)SHMEM_CONF_INIT;
  conf.permissions = 01000;
  CHECK_GIVES(shmem_int_open(name, name, &shm, &conf), -1, EINVAL);
  /* Nothing was made, and the struct is as it was. */
  CHECK(wire_nothing_left(name) && wire_nothing_left(other));
  for (size_t i = 0; i < sizeof shm; i++)
    CHECK_EQ(((unsigned char *)&shm)[i], 0x5a);
}

static void open_waits_as_long_as_it_may(void)
{
  const char *name = wire_name("alone"), *other = wire_name("nobody");
  struct shmem_int shm;

  CHECK_GIVES(shmem_int_timed_open(name, other, &shm, NULL, MS(0)), -1, ETIMEDOUT);
  double begin = check_clock();
  CHECK_GIVES(shmem_int_timed_open(name, other, &shm, NULL, MS(150)), -1, ETIMEDOUT);
  CHECK(check_clock() - begin >= 0.15);
  CHECK(strstr(shmem_last_error(), other) != NULL);
  CHECK(wire_nothing_left(name) && wire_nothing_left(other));
}

/* Every function with this struct. */
static void refused(struct shmem_int *shm, int error)
{
  struct sample *smp = NULL;
  struct shmem_stats stats = SHMEM_STATS_INIT;

  CHECK_GIVES(shmem_int_read(shm, &smp, 1), -1, error);
  CHECK_GIVES(shmem_int_try_read(shm, &smp, 1), -1, error);
  CHECK_GIVES(shmem_int_timed_read(shm, &smp, 1, MS(1)), -1, error);
  CHECK_GIVES(shmem_int_write(shm, &smp, 1), -1, error);
  CHECK_GIVES(shmem_int_timed_write(shm, &smp, 1, MS(1)), -1, error);
  CHECK_GIVES(shmem_int_alloc(shm, &smp, 1), -1, error);
  CHECK_GIVES(shmem_int_interrupt(shm), -1, error);
  CHECK_GIVES(shmem_int_peer_alive(shm), -1, error);
  CHECK_GIVES(shmem_int_stats(shm, &stats), -1, error);
}

static void a_struct_that_is_no_open_channel_is_refused(void)
{
  struct shmem_int shm;

  refused(NULL, EINVAL);
  CHECK_GIVES(shmem_int_close(NULL), -1, EINVAL);
  for (int byte = 0; byte < 256; byte += 5) {
    memset(&shm, byte, sizeof shm);
    refused(&shm, EINVAL);
    CHECK_GIVES(shmem_int_close(&shm), -1, EINVAL);
  }
}

static void a_closed_channel_says_so(void)
{
  struct wire_pair pair;

  wire_open_loop(&pair, "closed", check_conf(0, 4, 2, 0));
  struct shmem_int copy = pair.ends[0]; /* the same channel */
  CHECK_EQ(shmem_int_close(&copy), 0);
  refused(&pair.ends[0], EPIPE);
  CHECK_GIVES(shmem_int_close(&pair.ends[0]), -1, EINVAL);
  CHECK_GIVES(shmem_int_close(&copy), -1, EINVAL);
  CHECK(wire_nothing_left(pair.names[0]));
}

static void null_arrays_and_timeouts_are_refused(void)
{
  const struct timespec negative = {.tv_sec = -1}, much = {.tv_nsec = 1000000000};
  struct wire_pair pair;
  struct sample *smp = NULL;

  wire_open_loop(&pair, "null", check_conf(0, 4, 2, 0));
  struct shmem_int *shm = &pair.ends[0];
  CHECK_GIVES(shmem_int_read(shm, NULL, 1), -1, EINVAL);
  CHECK_GIVES(shmem_int_write(shm, NULL, 1), -1, EINVAL);
  CHECK_GIVES(shmem_int_alloc(shm, NULL, 1), -1, EINVAL);
  CHECK_GIVES(shmem_int_write(shm, &smp, 1), -1, EINVAL);
  CHECK_GIVES(shmem_int_stats(shm, NULL), -1, EINVAL);
  CHECK_GIVES(shmem_int_timed_read(shm, &smp, 1, &negative), -1, EINVAL);
  CHECK_GIVES(shmem_int_timed_read(shm, &smp, 1, &much), -1, EINVAL);
  CHECK_GIVES(shmem_int_timed_write(shm, &smp, 1, &negative), -1, EINVAL);
  struct shmem_stats small = {.size = 4};
  CHECK_GIVES(shmem_int_stats(shm, &small), -1, EINVAL);
  wire_close_pair(&pair);
}

static void nothing_asked_for_gives_nothing(void)
{
  struct wire_pair pair;

  wire_open_loop(&pair, "zero", check_conf(0, 4, 2, 0));
  struct shmem_int *shm = &pair.ends[0];
  CHECK_GIVES(shmem_int_read(shm, NULL, 0), 0, 0);
  CHECK_GIVES(shmem_int_try_read(shm, NULL, 0), 0, 0);
  CHECK_GIVES(shmem_int_timed_read(shm, NULL, 0, NULL), 0, 0);
  CHECK_GIVES(shmem_int_write(shm, NULL, 0), 0, 0);
  CHECK_GIVES(shmem_int_timed_write(shm, NULL, 0, NULL), 0, 0);
  CHECK_GIVES(shmem_int_alloc(shm, NULL, 0), 0, 0);
  wire_close_pair(&pair);
}

static void an_empty_queue_and_a_full_one_say_so(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct wire_pair pair;
    struct sample *smps[5];

    wire_open_pair(&pair, "full", check_conf(polling, 4, 2, 0), check_conf(!polling, 8, 2, 0));
    struct shmem_int *one = &pair.ends[0], *other = &pair.ends[1];
    CHECK_GIVES(shmem_int_read(one, smps, 1), 0, EAGAIN); /* after 100 ms */
    CHECK_GIVES(shmem_int_try_read(one, smps, 1), 0, EAGAIN);
    CHECK_GIVES(shmem_int_timed_read(one, smps, 1, MS(10)), 0, ETIMEDOUT);
    CHECK_GIVES(shmem_int_timed_read(one, smps, 1, MS(0)), 0, ETIMEDOUT);

    CHECK_GIVES(shmem_int_alloc(one, smps, 5), 4, EAGAIN);
    CHECK_GIVES(shmem_int_alloc(one, smps + 4, 1), 0, EAGAIN);
    for (int i = 0; i < 4; i++)
      smps[i]->length = 1;
    CHECK_GIVES(shmem_int_write(one, smps, 4), 4, 0);
    /* Full: a copy of what was received finds no block. */
    wire_send(other, 1, 1);
    struct sample *received;
    CHECK_EQ(shmem_int_timed_read(one, &received, 1, PATIENT), 1);
    CHECK_GIVES(shmem_int_write(one, &received, 1), 0, EAGAIN);
    CHECK_GIVES(shmem_int_timed_write(one, &received, 1, MS(10)), 0, ETIMEDOUT);
    check_is(received, 1); /* it is still here */
    CHECK_EQ(shmem_int_timed_read(other, smps, 1, PATIENT), 1);
    CHECK_EQ(sample_put(smps[0]), 0);
    CHECK_EQ(shmem_int_timed_write(one, &received, 1, PATIENT), 1);
    wire_close_pair(&pair);
  }
}

static void samples_that_cannot_be_sent_are_refused(void)
{
  struct wire_pair pair, foreign;
  struct sample *smps[3], *strange;

  wire_open_pair(&pair, "refused", check_conf(0, 4, 3, 0), check_conf(0, 4, 20, 0));
  wire_open_loop(&foreign, "foreign", check_conf(0, 4, 3, 0));
  struct shmem_int *one = &pair.ends[0], *other = &pair.ends[1];
  CHECK_EQ(shmem_int_alloc(&foreign.ends[0], &strange, 1), 1);
  CHECK_GIVES(shmem_int_write(one, &strange, 1), -1, EINVAL);
  CHECK_EQ(sample_put(strange), 0);

  CHECK_EQ(shmem_int_alloc(one, smps, 2), 2);
  smps[2] = smps[0]; /* comes a second time */
  CHECK_GIVES(shmem_int_write(one, smps, 3), 2, EINVAL);
  CHECK_GIVES(shmem_int_write(one, smps, 1), -1, EINVAL);
  CHECK_GIVES(sample_put(smps[0]), -1, EINVAL);

  struct sample *smp = wire_make(one, 7);
  unsigned int capacity = smp->capacity;
  smp->length = capacity + 1;
  CHECK_GIVES(shmem_int_write(one, &smp, 1), -1, EINVAL);
  smp->capacity = smp->length;
  CHECK_GIVES(shmem_int_write(one, &smp, 1), -1, EINVAL);
  smp->capacity = capacity;
  smp->length = capacity;
  CHECK_EQ(shmem_int_write(one, &smp, 1), 1);

  /* Longer than the samples of the other direction: it cannot be copied, and stays here. */
  smp = wire_make(other, 8);
  smp->length = smp->capacity;
  CHECK(smp->length > capacity);
  CHECK_EQ(shmem_int_write(other, &smp, 1), 1);
  CHECK_EQ(shmem_int_timed_read(one, &smp, 1, PATIENT), 1);
  CHECK_GIVES(shmem_int_write(one, &smp, 1), -1, EINVAL);
  CHECK_EQ(wire_stats(one).blocks_free, 1); /* of 4, 3 were sent: none was lost with the copy */
  CHECK_EQ(sample_put(smp), 0);
  wire_close_pair(&foreign);
  wire_close_pair(&pair);
}

static void the_end_of_the_peer_is_told_after_what_it_wrote(void)
{
  struct wire_pair pair;
  struct sample *smp;

  wire_open_pair(&pair, "end", check_conf(0, 4, 2, 0), check_conf(1, 4, 2, 0));
  wire_send(&pair.ends[0], 1, 3);
  CHECK_EQ(shmem_int_peer_alive(&pair.ends[1]), 1);
  CHECK_EQ(shmem_int_close(&pair.ends[0]), 0);
  CHECK_EQ(shmem_int_peer_alive(&pair.ends[1]), 0);
  wire_receive(&pair.ends[1], 1, 3);
  for (int i = 0; i < 3; i++) {
    CHECK_GIVES(shmem_int_read(&pair.ends[1], &smp, 1), -1, EPIPE);
    CHECK_GIVES(shmem_int_try_read(&pair.ends[1], &smp, 1), -1, EPIPE);
    CHECK_GIVES(shmem_int_timed_read(&pair.ends[1], &smp, 1, NULL), -1, EPIPE);
  }
  /* It can still allocate; it cannot write. */
  struct sample *smps[5];
  CHECK_GIVES(shmem_int_alloc(&pair.ends[1], smps, 5), 4, EPIPE);
  CHECK_GIVES(shmem_int_alloc(&pair.ends[1], smps + 4, 1), -1, EPIPE);
  CHECK_GIVES(shmem_int_write(&pair.ends[1], smps, 4), -1, EPIPE);
  CHECK_GIVES(shmem_int_timed_write(&pair.ends[1], smps, 4, NULL), -1, EPIPE);
  for (int i = 0; i < 4; i++)
    CHECK_EQ(sample_put(smps[i]), 0);
  CHECK_EQ(shmem_int_close(&pair.ends[1]), 0);
  CHECK(wire_nothing_left(pair.names[0]) && wire_nothing_left(pair.names[1]));
}

static void the_counters_say_what_happened(void)
{
  struct wire_pair pair;
  struct sample *smp;

  wire_open_pair(&pair, "stats", check_conf(0, 4, 2, 0), check_conf(0, 6, 2, 0));
  wire_send(&pair.ends[0], 1, 3);
  struct shmem_stats one = wire_stats(&pair.ends[0]), other = wire_stats(&pair.ends[1]);
  CHECK_EQ(one.written, 3);
  CHECK_EQ(one.queued_out, 3);
  CHECK_EQ(other.queued_in, 3);
  CHECK_EQ(one.blocks, 4 + 6);
  CHECK_EQ(one.blocks_free, 1);
  CHECK_EQ(other.blocks_free, 6);
  CHECK_EQ(one.region_size, shmem_total_size(4, 2));
  CHECK_EQ(other.region_size, shmem_total_size(6, 2));
  CHECK_EQ(shmem_int_timed_read(&pair.ends[1], &smp, 1, PATIENT), 1);
  other = wire_stats(&pair.ends[1]);
  CHECK_EQ(other.read, 1);
  CHECK_EQ(other.held, 1);
  CHECK_EQ(other.queued_in, 2);
  CHECK_EQ(sample_put(smp), 0);
  CHECK_EQ(wire_stats(&pair.ends[1]).held, 0);
  CHECK_EQ(wire_stats(&pair.ends[0]).blocks_free, 2);
  do { /* the time may be over before it sleeps */
    CHECK_GIVES(shmem_int_timed_read(&pair.ends[0], &smp, 1, MS(20)), 0, ETIMEDOUT);
  } while (wire_stats(&pair.ends[0]).waits == 0);
  wire_close_pair(&pair);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

struct waiter {
  struct shmem_int *shm;
  _Atomic pid_t tid;
  _Atomic bool done;
  int result, error;
};

static void *wait_long(void *arg)
{
  struct waiter *waiter = arg;
  struct sample *smp = NULL;

  waiter->tid = (pid_t)syscall(SYS_gettid);
  errno = 0;
  waiter->result = shmem_int_timed_read(waiter->shm, &smp, 1, NULL);
  waiter->error = errno;
  waiter->done = true;
  return NULL;
}

static void an_interrupt_ends_a_wait(void)
{
  for (int polling = 0; polling < 2; polling++) {
    struct wire_pair pair;
    struct sample *smp;

    wire_open_pair(&pair, "interrupt", check_conf(0, 4, 2, 0), check_conf(polling, 4, 2, 0));
    struct waiter waiter = {.shm = &pair.ends[0]};
    pthread_t thread;
    CHECK_EQ(shmem_int_interrupt(&pair.ends[0]), 0); /* nobody waits: the next wait ends by it, and no other */
    CHECK_GIVES(shmem_int_timed_read(&pair.ends[0], &smp, 1, NULL), 0, EINTR);
    CHECK_GIVES(shmem_int_timed_read(&pair.ends[0], &smp, 1, MS(20)), 0, ETIMEDOUT);
    CHECK_EQ(pthread_create(&thread, NULL, wait_long, &waiter), 0);
    WAIT_UNTIL(waiter.tid != 0 && (polling || check_asleep(getpid(), waiter.tid)), 10);
    CHECK_EQ(shmem_int_interrupt(&pair.ends[0]), 0);
    WAIT_UNTIL(waiter.done, 10);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(waiter.result, 0);
    CHECK_EQ(waiter.error, EINTR);
    wire_send(&pair.ends[1], 1, 3);
    wire_receive(&pair.ends[0], 1, 3);
    wire_close_pair(&pair);
  }
}

static void on_usr1(int number)
{
  (void)number;
}

static void a_signal_handler_ends_a_wait_whether_or_not_calls_restart(void)
{
  for (int restart = 0; restart < 2; restart++) {
    struct sigaction action = {.sa_handler = on_usr1, .sa_flags = restart ? SA_RESTART : 0};
    struct wire_pair pair;
    struct waiter waiter = {.shm = &pair.ends[0]};
    pthread_t thread;

    sigaction(SIGUSR1, &action, NULL);
    wire_open_pair(&pair, "signal", check_conf(0, 4, 2, 0), check_conf(0, 4, 2, 0));
    CHECK_EQ(pthread_create(&thread, NULL, wait_long, &waiter), 0);
    WAIT_UNTIL(waiter.tid != 0 && check_asleep(getpid(), waiter.tid), 10);
    /* Between two slices of its sleep a handler goes unnoticed. */
    WAIT_UNTIL((pthread_kill(thread, SIGUSR1), check_pause(), waiter.done), 10);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(waiter.result, 0);
    CHECK_EQ(waiter.error, EINTR);
    wire_close_pair(&pair);
  }
}

int main(void)
{
  check_begin();
  RUN(total_size_is_that_of_villasnode_and_the_trailer);
  RUN(open_refuses_what_it_cannot_use);
  RUN(open_waits_as_long_as_it_may);
  RUN(a_struct_that_is_no_open_channel_is_refused);
  RUN(a_closed_channel_says_so);
  RUN(null_arrays_and_timeouts_are_refused);
  RUN(nothing_asked_for_gives_nothing);
  RUN(an_empty_queue_and_a_full_one_say_so);
  RUN(samples_that_cannot_be_sent_are_refused);
  RUN(the_end_of_the_peer_is_told_after_what_it_wrote);
  RUN(the_counters_say_what_happened);
  RUN(an_interrupt_ends_a_wait);
  RUN(a_signal_handler_ends_a_wait_whether_or_not_calls_restart);
  return 0;
}
