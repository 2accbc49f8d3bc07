/* Descriptors to poll, each rule by itself: readable while a call would not wait, whatever the kind of end; what no doorbell tells of
 * counts as readable; the end stays readable; a close, a second call, wrong arguments, and ends that can have none. */
#include "poll_ends.h"

static void for_each_kind(void (*work)(enum poll_kind))
{
  for (enum poll_kind kind = 0; kind < POLL_KINDS; kind++)
    work(kind);
}

static void goes_with_what_is_there(enum poll_kind kind)
{
  const struct poll_place place = poll_new_place(kind, 4);
  struct poll_end giver, taker;
  uint64_t next = 1, number, taken = 0;

  poll_open_both(&giver, &taker, &place);
  const int reads = poll_fd(&taker, SHMEM_FD_READ), writes = poll_fd(&giver, SHMEM_FD_WRITE);
  CHECK(poll_is_readable(reads) && poll_is_readable(writes));
  for (int round = 0; round < 20; round++) {
    poll_rests_empty(&taker, reads);
    CHECK_EQ(poll_give(&giver, next++), 1);
    poll_await(reads);
    CHECK_EQ(poll_give(&giver, next++), 1);
    CHECK_EQ(poll_take(&taker, &number, 1), 1);
    CHECK_EQ(number, ++taken);
    CHECK(poll_is_readable(reads)); /* there is one more */
    poll_rests_full(&giver, writes, &next);
    CHECK_EQ(poll_take(&taker, &number, 1), 1);
    CHECK_EQ(number, ++taken);
    poll_await(writes);
    CHECK(poll_is_readable(reads));
    while (taken + 1 < next) {
      poll_await(reads);
      CHECK_EQ(poll_take(&taker, &number, 1), 1);
      CHECK_EQ(number, ++taken);
    }
  }
  poll_close_both(&giver, &taker);
}

static void a_descriptor_is_readable_while_a_call_would_not_wait(void)
{
  for_each_kind(goes_with_what_is_there);
}

/* A channel has two of its four ends' descriptors on each side. */
static void both_directions_have_their_own(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  struct pair pair = check_open_pair("both", &conf);
  struct shmem_shared *sides[] = {pair.node, pair.program};
  struct wire_pair wires;
  struct sample *smp;

  wire_open_pair(&wires, "both", conf, conf);
  for (int side = 0; side < 2; side++) {
    const int reads = shmem_shared_fd(sides[side], SHMEM_FD_READ), wire_reads = shmem_int_fd(&wires.ends[side], SHMEM_FD_READ);
    CHECK(reads >= 0 && wire_reads >= 0);
    WAIT_UNTIL(shmem_shared_try_read(sides[side], &smp, 1) == 0 && !poll_is_readable(reads), 10);
    check_send(sides[!side], 1, 1);
    poll_await(reads);
    check_receive(sides[side], 1, 1);
    WAIT_UNTIL(shmem_int_try_read(&wires.ends[side], &smp, 1) == 0 && !poll_is_readable(wire_reads), 10);
    wire_send(&wires.ends[!side], 1, 1);
    poll_await(wire_reads);
    wire_receive(&wires.ends[side], 1, 1);
    CHECK(shmem_shared_fd(sides[side], SHMEM_FD_WRITE) != reads);
    CHECK(shmem_int_fd(&wires.ends[side], SHMEM_FD_WRITE) != wire_reads);
  }
  wire_close_pair(&wires);
  check_close_pair(&pair);
}

static void gives_the_same_number(enum poll_kind kind)
{
  const struct poll_place place = poll_new_place(kind, 4);
  struct poll_end giver, taker;

  poll_open_both(&giver, &taker, &place);
  const int fd = poll_fd(&taker, SHMEM_FD_READ);
  CHECK_EQ(poll_fd(&taker, SHMEM_FD_READ), fd);
  CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  const int threads = poll_count_threads(), descriptors = poll_count_descriptors(NULL);
  for (int i = 0; i < 50; i++)
    CHECK_EQ(poll_fd(&taker, SHMEM_FD_READ), fd);
  CHECK(poll_count_threads() <= threads);
  CHECK(poll_count_descriptors(NULL) <= descriptors);
  poll_close_both(&giver, &taker);
  WAIT_UNTIL(fcntl(fd, F_GETFD) < 0, 10); /* a helper may be the last to leave */
}

static void a_second_call_gives_the_same_number(void)
{
  for_each_kind(gives_the_same_number);
}

static void refuses_what_is_wrong(enum poll_kind kind)
{
  const struct poll_place place = poll_new_place(kind, 4);
  struct poll_end giver, taker;

  poll_open_both(&giver, &taker, &place);
  for (int which = -1; which < 6 && !taker.ring; which++)
    if (which != SHMEM_FD_READ && which != SHMEM_FD_WRITE)
      CHECK_GIVES(poll_try_fd(&taker, which), -1, EINVAL);
  poll_close_both(&giver, &taker);
  if (kind != POLL_WIRE && kind != POLL_ENDPOINT)
    CHECK_GIVES(poll_try_fd(&taker, SHMEM_FD_READ), -1, EPIPE);
}

static void wrong_arguments_and_closed_handles_are_refused(void)
{
  struct shmem_int never = {0};

  for_each_kind(refuses_what_is_wrong);
  CHECK_GIVES(shmem_shared_fd(NULL, SHMEM_FD_READ), -1, EINVAL);
  CHECK_GIVES(shmem_ring_fd(NULL), -1, EINVAL);
  CHECK_GIVES(shmem_endpoint_fd(NULL, SHMEM_FD_WRITE), -1, EINVAL);
  CHECK_GIVES(shmem_int_fd(NULL, SHMEM_FD_READ), -1, EINVAL);
  CHECK_GIVES(shmem_int_fd(&never, SHMEM_FD_READ), -1, EINVAL);
}

static void writers_that_wake_nobody_allow_no_descriptor(void)
{
  struct wire_pair pair;

  wire_open_pair(&pair, "polling", check_conf(1, 4, 1, 0), check_conf(0, 4, 1, 0));
  for (int which = SHMEM_FD_READ; which <= SHMEM_FD_WRITE; which++) {
    CHECK_GIVES(shmem_int_fd(&pair.ends[1], which), -1, ENOTSUP); /* it reads what the first has made */
    CHECK(strstr(shmem_last_error(), "polling"));
    CHECK(shmem_int_fd(&pair.ends[0], which) >= 0);
  }
  wire_close_pair(&pair);
}

/* ---- what no doorbell tells of --------------------------------------------------------------- */

static void a_message_peeked_at_keeps_it_readable(void)
{
  const struct poll_place place = poll_new_place(POLL_SPSC, 4);
  struct poll_end giver, taker;
  uint64_t number;
  const void *message;

  poll_open_both(&giver, &taker, &place);
  const int reads = poll_fd(&taker, SHMEM_FD_READ);
  poll_rests_empty(&taker, reads);
  CHECK_EQ(poll_give(&giver, 1), 1);
  poll_await(reads);
  CHECK(message = shmem_ring_peek(taker.ring));
  CHECK_GIVES(shmem_ring_try_pop(taker.ring, &number), -1, EINVAL);
  CHECK(poll_is_readable(reads));
  CHECK_EQ(shmem_ring_release(taker.ring, message), 0);
  poll_rests_empty(&taker, reads);
  poll_close_both(&giver, &taker);
}

static void goes_with_reserved_slots(enum poll_kind kind)
{
  const struct poll_place place = poll_new_place(kind, 2);
  struct poll_end giver, taker;
  void *slots[2] = {0};
  uint64_t number;

  if (kind < POLL_MPSC || kind == POLL_ENDPOINT)
    return;
  poll_open_both(&giver, &taker, &place);
  const int reads = poll_fd(&taker, SHMEM_FD_READ), writes = poll_fd(&giver, SHMEM_FD_WRITE);
  for (int i = 0; i < 2; i++)
    CHECK(slots[i] = shmem_ring_reserve(giver.ring));
  WAIT_UNTIL(poll_give(&giver, 9) == 0 && !poll_is_readable(writes), 10);
  poll_rests_empty(&taker, reads);
  *(uint64_t *)slots[1] = 2;
  CHECK_EQ(shmem_ring_commit(giver.ring, slots[1]), 0); /* behind one that is not published */
  CHECK_EQ(shmem_ring_abort(giver.ring, slots[0]), 0);
  do
    poll_await(reads);
  while (poll_take(&taker, &number, 1) == 0);
  CHECK_EQ(number, 2);
  poll_await(writes);
  CHECK_EQ(poll_give(&giver, 3), 1);
  poll_close_both(&giver, &taker);
}

static void a_reserved_slot_given_up_is_an_event(void)
{
  for_each_kind(goes_with_reserved_slots);
}

static void hold_two_and_die(void *arg)
{
  struct shmem_shared *shm;
  struct sample *smps[2];

  CHECK_HANDLE(shm = shmem_shared_open(arg, NULL));
  CHECK_EQ(shmem_shared_timed_read(shm, smps, 2, PATIENT), 2);
  raise(SIGKILL);
}

static void redelivered_samples_are_readable(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  struct pair pair = {.name = check_name("again")};
  char name[CHECK_NAME_SIZE];

  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
  check_send(pair.node, 1, 2);
  snprintf(name, sizeof name, "%s", pair.name);
  CHECK(WIFSIGNALED(check_wait(check_spawn(hold_two_and_die, name), 20)));
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  const int reads = shmem_shared_fd(pair.program, SHMEM_FD_READ);
  for (uint64_t number = 1; number <= 2; number++) {
    poll_await(reads);
    check_receive_marked(pair.program, number, number, true);
  }
  struct sample *smp;
  WAIT_UNTIL(shmem_shared_try_read(pair.program, &smp, 1) == 0 && !poll_is_readable(reads), 10);
  check_close_pair(&pair);
}

static void a_sample_put_unsent_makes_room(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 1);
  struct pair pair = check_open_pair("unsent", &conf);
  struct sample *smps[64];
  const int writes = shmem_shared_fd(pair.node, SHMEM_FD_WRITE);
  int count = 0;

  WAIT_UNTIL((count += sample_alloc(&pair.node->pool, smps + count, 1)) > 0 && !poll_is_readable(writes), 10);
  for (int round = 0; round < 20; round++) {
    CHECK_EQ(sample_put(smps[--count]), 0);
    poll_await(writes);
    WAIT_UNTIL((count += sample_alloc(&pair.node->pool, smps + count, 1)) > 0 && !poll_is_readable(writes), 10);
  }
  CHECK_EQ(sample_put_many(smps, (unsigned int)count), count);
  check_close_pair(&pair);
}

static void every_consumer_wakes_and_one_finds_the_message(void)
{
  const struct poll_place place = poll_new_place(POLL_MPMC, 4);
  struct poll_end giver, takers[3];
  int reads[3];
  uint64_t number;

  poll_open(&giver, &place, true);
  for (int i = 0; i < 3; i++) {
    poll_open(&takers[i], &place, false);
    reads[i] = poll_fd(&takers[i], SHMEM_FD_READ);
    CHECK(i == 0 || reads[i] != reads[i - 1]);
  }
  for (uint64_t round = 1; round <= 20; round++) {
    for (int i = 0; i < 3; i++)
      poll_rests_empty(&takers[i], reads[i]);
    CHECK_EQ(poll_give(&giver, round), 1);
    for (int i = 0; i < 3; i++)
      poll_await(reads[i]);
    int found = 0;
    for (int i = 0; i < 3; i++)
      found += poll_take(&takers[i], &number, 1);
    CHECK_EQ(found, 1);
  }
  for (int i = 1; i < 3; i++)
    poll_close(&takers[i]);
  poll_close_both(&giver, &takers[0]);
}

/* ---- claims of the dead ---------------------------------------------------------------------- */

static void claim_and_die(void *arg)
{
  const struct poll_place *place = arg;
  struct poll_end giver, taker;

  poll_open(&giver, place, true);
  CHECK(shmem_ring_reserve(giver.ring));
  if (place->kind == POLL_MPMC) {
    poll_open(&taker, place, false);
    CHECK(shmem_ring_peek(taker.ring));
  }
  raise(SIGKILL);
}

/* One slot is the dead producer's, and one the dead consumer's. Events alone lead past both. */
static void comes_past_the_dead(enum poll_kind kind)
{
  struct poll_place place = poll_new_place(kind, 2);
  struct poll_end giver, taker;
  uint64_t number = 0, next = 7;

  poll_open_both(&giver, &taker, &place);
  const int reads = poll_fd(&taker, SHMEM_FD_READ), writes = poll_fd(&giver, SHMEM_FD_WRITE);
  if (kind == POLL_MPMC) {
    CHECK_EQ(poll_give(&giver, 6), 1);
  }
  CHECK(WIFSIGNALED(check_wait(check_spawn(claim_and_die, &place), 20)));
  while (next < 20) {
    do
      poll_await(writes);
    while (poll_give(&giver, next) == 0);
    do
      poll_await(reads);
    while (poll_take(&taker, &number, 1) == 0);
    CHECK_EQ(number, next++);
  }
  poll_close_both(&giver, &taker);
}

static void events_lead_past_the_claims_of_the_dead(void)
{
  comes_past_the_dead(POLL_MPSC);
  comes_past_the_dead(POLL_MPMC);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void the_end_stays_readable_until_a_new_peer_comes(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  struct pair pair = check_open_pair("end", &conf);
  const int reads = shmem_shared_fd(pair.node, SHMEM_FD_READ), writes = shmem_shared_fd(pair.node, SHMEM_FD_WRITE);
  struct sample *smp;

  for (int round = 0; round < 3; round++) {
    WAIT_UNTIL(shmem_shared_try_read(pair.node, &smp, 1) == 0 && !poll_is_readable(reads), 10);
    check_send(pair.program, 1, 1);
    CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
    poll_await(reads);
    check_receive(pair.node, 1, 1);
    for (int i = 0; i < 3; i++) {
      poll_await(reads);
      CHECK_GIVES(shmem_shared_try_read(pair.node, &smp, 1), -1, EPIPE);
      CHECK(poll_is_readable(reads));
    }
    CHECK(poll_is_readable(writes));
    CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  }
  check_close_pair(&pair);
}

static void closes_in_both_layouts_are_events(void)
{
  struct wire_pair pair;
  struct sample *smp;

  wire_open_pair(&pair, "end", check_conf(0, 4, 1, 0), check_conf(0, 4, 1, 0));
  const int reads = shmem_int_fd(&pair.ends[0], SHMEM_FD_READ);
  WAIT_UNTIL(shmem_int_try_read(&pair.ends[0], &smp, 1) == 0 && !poll_is_readable(reads), 10);
  CHECK_EQ(shmem_int_close(&pair.ends[1]), 0);
  do
    poll_await(reads);
  while (shmem_int_try_read(&pair.ends[0], &smp, 1) == 0);
  CHECK_EQ(errno, EPIPE);
  CHECK(poll_is_readable(reads));
  CHECK_EQ(shmem_int_close(&pair.ends[0]), 0);
}

/* Takes the lock away by which a side is held, as nobody does who means well; a third takes the place over. */
static void a_side_taken_over_is_an_event(void)
{
  struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  struct pair pair = {.name = check_name("stale")};
  struct shmem_shared *lost;
  struct sample *smp;

  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
  const int fd = dup(STDERR_FILENO); /* the next number */
  CHECK_EQ(close(fd), 0);
  CHECK_HANDLE(lost = shmem_shared_open(pair.name, NULL));
  const int reads = shmem_shared_fd(lost, SHMEM_FD_READ);
  WAIT_UNTIL(shmem_shared_try_read(lost, &smp, 1) == 0 && !poll_is_readable(reads), 10);
  CHECK_EQ(fcntl(fd, F_OFD_SETLK, &all), 0);
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  do
    poll_await(reads);
  while (shmem_shared_try_read(lost, &smp, 1) == 0);
  CHECK_EQ(errno, ESTALE);
  CHECK(poll_is_readable(reads));
  CHECK_GIVES(shmem_shared_fd(lost, SHMEM_FD_READ), -1, ESTALE);
  CHECK_EQ(shmem_shared_close(lost, NULL), 0);
  check_close_pair(&pair);
}

static void a_close_is_readable_and_the_number_stays_while_a_sample_is_held(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  struct pair pair = check_open_pair("close", &conf);
  struct epoll_event event;
  struct sample *smp;
  const int reads = shmem_shared_fd(pair.program, SHMEM_FD_READ), set = poll_set();

  check_send(pair.node, 1, 1);
  CHECK_EQ(shmem_shared_timed_read(pair.program, &smp, 1, PATIENT), 1);
  struct sample *none;
  WAIT_UNTIL(shmem_shared_try_read(pair.program, &none, 1) == 0 && !poll_is_readable(reads), 10);
  poll_add(set, reads, 1);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_EQ(epoll_wait(set, &event, 1, 0), 1);
  CHECK(poll_is_readable(reads));
  CHECK_GIVES(shmem_shared_try_read(pair.program, &none, 1), -1, EPIPE);
  CHECK_EQ(sample_put(smp), 0);
  WAIT_UNTIL(fcntl(reads, F_GETFD) < 0, 10);
  CHECK_EQ(epoll_wait(set, &event, 1, 0), 0);
  CHECK_EQ(close(set), 0);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(pair.name), 0);
}

static void a_helpers_sleeps_are_no_waits_of_the_channel(void)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  struct pair pair = check_open_pair("waits", &conf);
  const int reads = shmem_shared_fd(pair.program, SHMEM_FD_READ);
  struct shmem_stats stats = SHMEM_STATS_INIT;
  struct sample *smp;

  for (uint64_t round = 1; round <= 20; round++) {
    WAIT_UNTIL(shmem_shared_try_read(pair.program, &smp, 1) == 0 && !poll_is_readable(reads), 10);
    check_send(pair.node, round, round);
    poll_await(reads);
    CHECK_EQ(shmem_shared_try_read(pair.program, &smp, 1), 1);
    CHECK_EQ(sample_put(smp), 0);
  }
  CHECK_EQ(shmem_shared_stats(pair.program, &stats), 0);
  CHECK_EQ(stats.waits, 0);
  check_close_pair(&pair);
}

int main(void)
{
  check_begin();
  RUN(a_descriptor_is_readable_while_a_call_would_not_wait);
  RUN(both_directions_have_their_own);
  RUN(a_second_call_gives_the_same_number);
  RUN(wrong_arguments_and_closed_handles_are_refused);
  RUN(writers_that_wake_nobody_allow_no_descriptor);
  RUN(a_message_peeked_at_keeps_it_readable);
  RUN(a_reserved_slot_given_up_is_an_event);
  RUN(redelivered_samples_are_readable);
  RUN(a_sample_put_unsent_makes_room);
  RUN(every_consumer_wakes_and_one_finds_the_message);
  RUN(events_lead_past_the_claims_of_the_dead);
  RUN(the_end_stays_readable_until_a_new_peer_comes);
  RUN(closes_in_both_layouts_are_events);
  RUN(a_side_taken_over_is_an_event);
  RUN(a_close_is_readable_and_the_number_stays_while_a_sample_is_held);
  RUN(a_helpers_sleeps_are_no_waits_of_the_channel);
  return 0;
}
