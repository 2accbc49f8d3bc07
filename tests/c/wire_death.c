/* SIGKILL at any moment, between two processes of this library over the wire layout: the survivor reads what was written, is
 * told of the death, opens again beside a successor, and nothing is lost that was published, garbled or out of order. */
#include "wire.h"

enum { QUEUELEN = 16, MOST = 7 };

struct run {
  const char *names[2];
  int polling[2];
  uint64_t batch;                 /* of the victim that writes */
  _Atomic uint64_t written, read; /* by the victim */
  _Atomic bool opened;
};

static struct run *run;

static void open_end(struct shmem_int *shm, int end)
{
  struct shmem_conf conf = check_conf(run->polling[end], QUEUELEN, 3, 0);

  if (shmem_int_timed_open(run->names[end], run->names[!end], shm, &conf, PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
}

static void write_for_ever(void *arg)
{
  struct shmem_int shm;

  (void)arg;
  open_end(&shm, 1);
  run->opened = true;
  for (uint64_t number = 1;; number += run->batch) {
    struct sample *smps[MOST];
    for (uint64_t i = 0; i < run->batch; i++)
      smps[i] = wire_make(&shm, number + i);
    CHECK_EQ(shmem_int_timed_write(&shm, smps, (unsigned int)run->batch, NULL), (int)run->batch);
    run->written = number + run->batch - 1;
  }
}

static void read_for_ever(void *arg)
{
  struct shmem_int shm;
  struct sample *smps[5];

  (void)arg;
  open_end(&shm, 1);
  run->opened = true;
  for (;;) {
    int got = shmem_int_timed_read(&shm, smps, 5, NULL);
    CHECK(got > 0);
    CHECK_EQ(sample_put_many(smps, (unsigned int)got), got);
    run->read += (uint64_t)got;
  }
}

static void echo_for_ever(void *arg)
{
  struct shmem_int shm;
  struct sample *smps[5];

  (void)arg;
  open_end(&shm, 1);
  run->opened = true;
  for (;;) {
    int got = shmem_int_timed_read(&shm, smps, 5, NULL);
    CHECK(got > 0);
    for (int i = 0; i < got; i++)
      CHECK_EQ(shmem_int_timed_write(&shm, &smps[i], 1, NULL), 1);
    run->read += (uint64_t)got;
  }
}

static void pause_up_to(uint64_t microseconds)
{
  nanosleep(&(struct timespec){.tv_nsec = (long)check_chance(microseconds) * 1000}, NULL);
}

/* After a death: the end, in each call, and within a time; then nothing is left of this side. */
static void see_the_end(struct shmem_int *shm)
{
  struct sample *smp;

  CHECK_GIVES(shmem_int_timed_read(shm, &smp, 1, PATIENT), -1, EPIPE);
  CHECK_EQ(shmem_int_peer_alive(shm), 0);
  CHECK_EQ(shmem_int_close(shm), 0);
}

static void the_writer_is_killed(void)
{
  struct shmem_int shm;
  uint64_t number = 0, published;
  pid_t pid = check_spawn(write_for_ever, NULL);

  open_end(&shm, 0);
  wire_receive(&shm, 1, number = 1 + check_chance(200));
  pause_up_to(300);
  check_kill(pid);
  published = run->written;
  for (;;) {
    struct sample *smp;
    int got = shmem_int_timed_read(&shm, &smp, 1, PATIENT);
    if (got < 0)
      break;
    CHECK_EQ(got, 1);
    check_is(smp, ++number);
    CHECK_EQ(sample_put(smp), 0);
  }
  CHECK_EQ(errno, EPIPE);
  /* Killed during a write, or between the write and its note. */
  CHECK(number >= published && number <= published + run->batch);
  see_the_end(&shm);
}

static void the_reader_is_killed(void)
{
  struct shmem_int shm;
  struct sample *smp;
  uint64_t number = 0;
  int got;
  pid_t pid = check_spawn(read_for_ever, NULL);

  open_end(&shm, 0);
  wire_send(&shm, 1, number = 1 + check_chance(200));
  WAIT_UNTIL(run->read > 0, 20);
  if (check_chance(2))
    pause_up_to(3000); /* it sleeps */
  check_kill(pid);
  CHECK(run->read <= number);
  struct check_deadline deadline = check_within(20);
  do {
    got = shmem_int_alloc(&shm, &smp, 1);
    if (got == 1) {
      smp->length = 1;
      got = shmem_int_timed_write(&shm, &smp, 1, NULL);
      if (got < 0)
        CHECK_EQ(sample_put(smp), 0);
    }
    CHECK(!check_is_over(&deadline));
  } while (got >= 0);
  see_the_end(&shm);
}

static void the_echo_is_killed(void)
{
  struct shmem_int shm;
  struct sample *smps[4];
  uint64_t sent = 0, back = 0, least = check_chance(100);
  pid_t pid = check_spawn(echo_for_ever, NULL);
  bool killed = false;

  open_end(&shm, 0);
  for (;;) {
    int got = 0;
    if (sent - back < 8 && !killed && (got = shmem_int_alloc(&shm, smps, 1)) == 1) {
      smps[0]->sequence = ++sent;
      smps[0]->length = 1;
      smps[0]->data[0].i = (int64_t)check_mix(sent);
      CHECK_EQ(shmem_int_write(&shm, smps, 1), 1);
    }
    got = shmem_int_timed_read(&shm, smps, 4, killed ? PATIENT : MS(0));
    if (got < 0)
      break;
    for (int i = 0; i < got; i++) {
      check_is(smps[i], ++back);
      CHECK_EQ(sample_put(smps[i]), 0);
    }
    if (back > least && !killed) {
      pause_up_to(200);
      check_kill(pid);
      killed = true;
    }
  }
  CHECK(killed && back <= sent);
  see_the_end(&shm);
}

static void repeat(void (*death)(void), uint64_t rounds)
{
  run->names[0] = wire_name("survivor");
  run->names[1] = wire_name("victim");
  /* The same names again and again: each round begins with what the one before has left. */
  for (uint64_t round = 0; round < check_scaled(rounds); round++) {
    run->polling[0] = (int)(round & 1);
    run->polling[1] = (int)(round >> 1 & 1);
    run->batch = round >> 2 & 1 ? MOST : 1;
    run->opened = false;
    run->written = run->read = 0;
    death();
    CHECK(!wire_exists(run->names[0]));
  }
}

static void writers_are_killed(void)
{
  repeat(the_writer_is_killed, 24);
}

static void readers_are_killed(void)
{
  repeat(the_reader_is_killed, 24);
}

static void echoes_are_killed(void)
{
  repeat(the_echo_is_killed, 24);
}

/* Neither end gets any further than the handshake allows. */
static void open_it(void *arg)
{
  struct shmem_int shm;

  open_end(&shm, *(int *)arg);
  run->opened = true;
  for (;;)
    pause();
}

static void a_kill_during_the_handshake_holds_up_nobody(void)
{
  int ends[2] = {0, 1};

  run->names[0] = wire_name("one");
  run->names[1] = wire_name("other");
  run->polling[0] = run->polling[1] = 0;
  for (uint64_t round = 0; round < check_scaled(24); round++) {
    struct shmem_int shm;
    struct sample *smp;
    pid_t first = check_spawn(open_it, &ends[0]), second = check_spawn(open_it, &ends[1]);

    pause_up_to(1500);
    check_kill(first);
    check_kill(second);
    run->written = 0;
    run->batch = 1;
    pid_t writer = check_spawn(write_for_ever, NULL);
    open_end(&shm, 0);
    wire_receive(&shm, 1, 20);
    check_kill(writer);
    while (shmem_int_timed_read(&shm, &smp, 1, PATIENT) == 1)
      CHECK_EQ(sample_put(smp), 0);
    see_the_end(&shm);
  }
}

int main(void)
{
  check_begin();
  run = check_shared(sizeof *run);
  RUN(writers_are_killed);
  RUN(readers_are_killed);
  RUN(echoes_are_killed);
  RUN(a_kill_during_the_handshake_holds_up_nobody);
  return 0;
}
