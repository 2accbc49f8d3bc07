/* Producers and consumers killed by SIGKILL at random moments under load, 300 times for each policy, and begun anew: every message is
 * delivered once or counted with the consumer that died with it, no survivor is stuck for 2 s, no slot is lost. In every third round one is
 * stopped (SIGSTOP) when it or another is killed, now and then with a slot in its hands and for longer than others have patience: who is
 * stopped is alive, so what it has claimed stays its own, and its place too. */
#include "check.h"

enum { KILLS = 300, SLOTS = 3, CAPACITY = 7, NUMBERS = 1 << 25, RUN = 3 /* the most messages at once */ };

struct message {
  uint64_t producer, number, mix;
};

/* Each word has one writer at a time: the process that has this slot. */
struct accounts {
  _Atomic uint64_t begun[SLOTS];     /* pushes that were begun */
  _Atomic uint64_t open_push[SLOTS]; /* RUN times 1 + the number of the push that is going on, and its messages less one; 0 none */
  _Atomic uint64_t received;
  _Atomic int stop;
  _Atomic int halt[2][SLOTS]; /* it is to stop, with a slot in its hands */
  _Atomic uint8_t unsure[SLOTS][NUMBERS]; /* its producer died in the push */
  _Atomic uint8_t seen[SLOTS][NUMBERS];   /* how often it was received */
};

static struct accounts *accounts;
static const char *name;
static int policy;

/* With a slot in hand. */
static void halt_if_told(int role, int slot)
{
  if (atomic_exchange(&accounts->halt[role][slot], 0))
    CHECK_EQ(raise(SIGSTOP), 0);
}

static void produce(void *arg)
{
  const int slot = (int)(intptr_t)arg;
  struct shmem_ring *ring;

  CHECK_HANDLE(ring = shmem_ring_open(name, policy, SHMEM_PRODUCER, sizeof(struct message), CAPACITY));
  while (!atomic_load(&accounts->stop)) {
    uint64_t number = atomic_load(&accounts->begun[slot]);
    unsigned int count = number % 3 == 1 ? 1 + (unsigned int)(number / 3 % RUN) : 1;
    struct message m[RUN];
    for (unsigned int i = 0; i < count; i++)
      m[i] = (struct message){(uint64_t)slot, number + i, check_mix((number + i) << 8 | (uint64_t)slot)};
    CHECK(number < NUMBERS - RUN);
    atomic_store(&accounts->open_push[slot], RUN * (number + 1) + count - 1);
    atomic_store(&accounts->begun[slot], number + count);
    if (number % 3 == 0) {
      struct message *place = shmem_ring_timed_reserve(ring, PATIENT);
      CHECK(place);
      *place = m[0];
      halt_if_told(0, slot);
      if (number % 9 == 0) {
        CHECK_EQ(shmem_ring_abort(ring, place), 0);
        atomic_store(&accounts->unsure[slot][number], 2); /* never to be seen */
      } else {
        CHECK_EQ(shmem_ring_commit(ring, place), 0);
      }
    } else {
      for (unsigned int given = 0; given < count;) {
        int more = shmem_ring_push_many(ring, m + given, count - given);
        CHECK(more >= 0);
        given += (unsigned int)more;
        if (more == 0) {
          CHECK_EQ(shmem_ring_timed_push(ring, m + given, PATIENT), 0);
          given++;
        }
      }
    }
    atomic_store(&accounts->open_push[slot], 0);
  }
  CHECK_EQ(shmem_ring_close(ring), 0);
}

static void receive(const struct message *m)
{
  CHECK(m->producer < SLOTS && m->number < NUMBERS);
  CHECK(m->mix == check_mix(m->number << 8 | m->producer));
  CHECK(m->number < atomic_load(&accounts->begun[m->producer]));
  atomic_fetch_add(&accounts->seen[m->producer][m->number], 1);
  atomic_fetch_add(&accounts->received, 1);
}

static void consume(void *arg)
{
  struct shmem_ring *ring;
  const struct message *m;
  struct message got[RUN];
  const int slot = (int)(intptr_t)arg;

  CHECK_HANDLE(ring = shmem_ring_open(name, policy, SHMEM_CONSUMER, sizeof(struct message), CAPACITY));
  while (!atomic_load(&accounts->stop)) {
    /* Of an SPSC ring nothing is lost, and what such a pop gave to a process that is killed then would be. */
    int many = policy == SHMEM_SPSC ? 0 : shmem_ring_pop_many(ring, got, 1 + (unsigned int)check_chance(RUN));
    CHECK(many >= 0);
    for (int i = 0; i < many; i++)
      receive(&got[i]);
    m = shmem_ring_timed_peek(ring, MS(100));
    if (m) {
      receive(m);
      halt_if_told(1, slot);
      CHECK_EQ(shmem_ring_release(ring, m), 0);
    } else {
      CHECK_EQ(errno, ETIMEDOUT);
    }
  }
  CHECK_EQ(shmem_ring_close(ring), 0);
}

/* Its producer was killed: nobody knows whether the messages of its last push will come. */
static void doubt(int slot)
{
  uint64_t open_push = atomic_exchange(&accounts->open_push[slot], 0);

  for (uint64_t i = 0; open_push && i <= open_push % RUN; i++)
    atomic_store(&accounts->unsure[slot][open_push / RUN - 1 + i], 1);
}

/* The survivors go on: each slot can be used several times over. */
static void await_progress(void)
{
  uint64_t from = atomic_load(&accounts->received);
  WAIT_UNTIL(atomic_load(&accounts->received) > from + 4 * CAPACITY, 2);
}

/* All slots can be filled and emptied; takes what is left first. */
static void drain(struct shmem_ring_stats *stats)
{
  struct shmem_ring *producer, *consumer;
  struct message m = {.producer = SLOTS}, got;

  CHECK_HANDLE(producer = shmem_ring_open(name, policy, SHMEM_PRODUCER, sizeof m, CAPACITY));
  CHECK_HANDLE(consumer = shmem_ring_open(name, policy, SHMEM_CONSUMER, sizeof m, CAPACITY));
  while (shmem_ring_timed_pop(consumer, &got, MS(100)) == 0)
    receive(&got);
  CHECK_EQ(errno, ETIMEDOUT);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < CAPACITY; i++)
      CHECK_EQ(shmem_ring_timed_push(producer, &m, MS(2000)), 0);
    CHECK_GIVES(shmem_ring_try_push(producer, &m), -1, EAGAIN);
    for (int i = 0; i < CAPACITY; i++)
      CHECK_EQ(shmem_ring_try_pop(consumer, &got), 0);
    CHECK_GIVES(shmem_ring_try_pop(consumer, &got), -1, EAGAIN);
    CHECK_EQ(shmem_ring_available(producer), CAPACITY);
  }
  stats->size = sizeof *stats;
  CHECK_EQ(shmem_ring_stats(consumer, stats), 0);
  CHECK_EQ(stats->producers, 1);
  CHECK_EQ(stats->consumers, 1);
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
}

/* Stops a process, wherever it is; or (is_long) with a slot in its hands, for longer than those who wait for that go without asking
 * whether its owner lives. */
static void stop(pid_t pid, int role, int slot, bool is_long, bool is_sole)
{
  int status;

  if (is_long)
    atomic_store(&accounts->halt[role][slot], 1);
  else
    CHECK_EQ(kill(pid, SIGSTOP), 0);
  WAIT_UNTIL(waitpid(pid, &status, WUNTRACED | WNOHANG) == pid, 10);
  CHECK(WIFSTOPPED(status)); /* and not ended, as it would be whose place another has taken */
  const double end = check_clock() + (is_long ? 0.13 : (double)check_chance(1000) / 1e6);
  while (check_clock() < end)
    check_pause();
  if (is_sole)
    CHECK_REFUSED(shmem_ring_open(name, policy, role ? SHMEM_CONSUMER : SHMEM_PRODUCER, sizeof(struct message), CAPACITY), EBUSY);
}

static void kill_at_random(int the_policy)
{
  pid_t pids[2][SLOTS];
  int count[2] = {the_policy == SHMEM_SPSC ? 1 : SLOTS, the_policy == SHMEM_MPMC ? SLOTS : 1};
  void (*const bodies[2])(void *) = {produce, consume};
  uint64_t kills[2] = {0, 0}, missing = 0, twice = 0, given = 0, stops = 0;
  struct shmem_ring_stats stats;
  const int most = (int)check_scaled(KILLS);
  double begin = check_clock(), longest = 0;

  policy = the_policy;
  name = check_name("death");
  accounts = check_shared(sizeof *accounts);
  for (int role = 0; role < 2; role++)
    for (int slot = 0; slot < count[role]; slot++)
      pids[role][slot] = check_spawn(bodies[role], (void *)(intptr_t)slot);
  await_progress();
  for (int i = 0; i < most; i++) {
    int role = (int)check_chance(2), slot = (int)check_chance((uint64_t)count[role]);
    for (double end = check_clock() + (double)check_chance(2000) / 1e6; check_clock() < end;)
      ;
    pid_t stopped = 0;
    if (i % 3 == 0) {
      int which = (int)check_chance(2), at = (int)check_chance((uint64_t)count[which]);
      stopped = pids[which][at];
      stop(stopped, which, at, i % 24 == 0, count[which] == 1);
      stops++;
    }
    check_kill(pids[role][slot]);
    kills[role]++;
    if (stopped && stopped != pids[role][slot])
      CHECK_EQ(kill(stopped, SIGCONT), 0);
    if (role == 0)
      doubt(slot);
    double killed = check_clock();
    if (count[role] > 1)
      await_progress();
    longest = check_clock() - killed > longest ? check_clock() - killed : longest;
    pids[role][slot] = check_spawn(bodies[role], (void *)(intptr_t)slot);
    await_progress();
  }
  atomic_store(&accounts->stop, 1);
  for (int role = 1; role >= 0; role--)
    for (int slot = 0; slot < count[role]; slot++) {
      if (role == 0) /* it has ended, or waits for room when all consumers have gone */
        kill(pids[role][slot], SIGKILL);
      int status = check_wait(pids[role][slot], 5);
      CHECK(status == 0 || (role == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    }
  kills[0] += (uint64_t)count[0];
  for (int slot = 0; slot < count[0]; slot++)
    doubt(slot);
  drain(&stats);
  for (int slot = 0; slot < count[0]; slot++)
    for (uint64_t n = 0; n < atomic_load(&accounts->begun[slot]); n++) {
      int seen = atomic_load(&accounts->seen[slot][n]), unsure = atomic_load(&accounts->unsure[slot][n]);
      CHECK(unsure != 2 || seen == 0);
      missing += seen == 0 && unsure == 0;
      twice += seen > 1 ? (uint64_t)seen - 1 : 0;
      given++;
    }
  if (getenv("CHECK_VERBOSE"))
    printf("policy %d: %d kills, %llu stops, %llu messages, %llu died with consumers, %llu counted; %llu places counted as dead producers'; "
           "%llu twice; longest standstill %.1f ms; %.1f s\n",
           policy, most, (unsigned long long)stops, (unsigned long long)given, (unsigned long long)missing, (unsigned long long)stats.lost,
           (unsigned long long)stats.skipped, (unsigned long long)twice, 1e3 * longest, check_clock() - begin);
  /* Each died with the consumer that had it in hand; of an SPSC ring the successor gets it. */
  CHECK(missing <= (policy == SHMEM_SPSC ? 0 : RUN * kills[1]));
  /* What a consumer had recorded and not released is counted too. Whoever is killed when it has given a claim up, and before it has counted
   * that, leaves the count one short. */
  CHECK(missing <= stats.lost + RUN * (kills[0] + kills[1]) && stats.lost <= RUN * kills[1]);
  CHECK(stats.skipped <= RUN * kills[0]);
  /* Of an SPSC ring the successor gets what the dead had not released. */
  CHECK(twice <= (policy == SHMEM_SPSC ? kills[1] : 0));
  CHECK_EQ(shmem_ring_unlink(name), 0);
  munmap(accounts, sizeof *accounts);
}

static void a_death_loses_at_most_what_the_dead_had_in_hand_spsc(void) { kill_at_random(SHMEM_SPSC); }
static void a_death_loses_at_most_what_the_dead_had_in_hand_mpsc(void) { kill_at_random(SHMEM_MPSC); }
static void a_death_loses_at_most_what_the_dead_had_in_hand_mpmc(void) { kill_at_random(SHMEM_MPMC); }

int main(void)
{
  check_begin();
  RUN(a_death_loses_at_most_what_the_dead_had_in_hand_spsc);
  RUN(a_death_loses_at_most_what_the_dead_had_in_hand_mpsc);
  RUN(a_death_loses_at_most_what_the_dead_had_in_hand_mpmc);
  return 0;
}
