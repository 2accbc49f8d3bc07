/* SIGKILL of either side amid traffic, again and again: what was written arrives, what arrives
 * twice says so, no block is lost. */
#include "check.h"

enum side { NODE, PROGRAM };

static const int queuelen = 32, spare = 16;

static struct shmem_shared *attach(const char *name, enum side side, int polling)
{
  struct shmem_conf conf = check_conf(polling, queuelen, 4, spare);
  struct shmem_shared *shm;
  void *base;

  if (side == NODE)
    shm = shmem_shared_create(name, &conf);
  else
    shm = shmem_shared_open(name, &base);
  CHECK_HANDLE(shm);
  return shm;
}

/* ---- amid traffic ---------------------------------------------------------------------------- */

/* What the processes have done, in memory that outlives them. Each side sends the numbers from 0
 * on. A number is doubtful when its writer was killed before it knew that it had been taken. */
enum { NUMBERS = 1 << 23, IN_HAND = 8 };
enum progress { UNSEEN, SEEN, PUTTING, PUT };

struct direction {
  _Atomic uint64_t written; /* numbers below are in the queue, or doubtful */
  _Atomic uint64_t tried;   /* numbers below may be in the queue */
  _Atomic int64_t last_unmarked;
  _Atomic bool writer_idle, drained;
  _Atomic unsigned char doubtful[NUMBERS];
  _Atomic unsigned char progress[NUMBERS];
};

struct journal {
  const char *name;
  int polling;
  _Atomic bool finish;
  _Atomic uint64_t attached[2], counted, again;
  struct direction from[2];
};

struct worker {
  struct journal *journal;
  enum side side;
};

/* One incarnation of a side. */
struct self {
  struct journal *journal;
  enum side side;
  struct shmem_shared *shm;
  struct direction *out, *in;
  struct sample *pending[IN_HAND]; /* filled and not yet taken by the queue */
  unsigned int pending_count;
  struct sample *held[IN_HAND]; /* read and not yet put, oldest first */
  unsigned int held_count;
  int64_t last_marked;
  bool unmarked_seen;
};

static void put_oldest(struct self *self)
{
  struct sample *smp = self->held[0];
  uint64_t number = smp->sequence;

  memmove(self->held, self->held + 1, --self->held_count * sizeof *self->held);
  self->in->progress[number] = PUTTING;
  CHECK_EQ(sample_put(smp), 0);
  self->in->progress[number] = PUT;
}

static void note_arrival(struct self *self, struct sample *smp)
{
  struct direction *in = self->in;
  uint64_t number = smp->sequence;

  CHECK(number < in->tried);
  check_is(smp, number);
  unsigned char before = in->progress[number];
  if (smp->flags & SAMPLE_REDELIVERED) {
    self->journal->again++;
    CHECK(!self->unmarked_seen); /* these come first, in order */
    CHECK((int64_t)number > self->last_marked);
    CHECK(before != PUT);
    self->last_marked = (int64_t)number;
  } else {
    CHECK_EQ(before, UNSEEN); /* nothing twice unmarked */
    CHECK((int64_t)number > in->last_unmarked);
    in->last_unmarked = (int64_t)number;
    self->unmarked_seen = true;
  }
  in->progress[number] = SEEN;
}

/* The peer is gone: waits a little for another. */
static void await_peer(struct self *self)
{
  CHECK_EQ(errno, EPIPE);
  if (shmem_shared_wait(self->shm, MS(100)) != 0)
    CHECK_EQ(errno, ETIMEDOUT);
}

static int read_some(struct self *self, bool sleepy)
{
  struct sample *smps[IN_HAND];
  unsigned int room = IN_HAND - self->held_count;

  if (room == 0) {
    put_oldest(self);
    room = 1;
  }
  unsigned int cnt = 1 + (unsigned int)check_chance(room);
  int got = (sleepy ? shmem_shared_read : shmem_shared_tryread)(self->shm, smps, cnt);
  if (got < 0)
    await_peer(self);
  for (int i = 0; i < got; i++) {
    note_arrival(self, smps[i]);
    self->held[self->held_count++] = smps[i];
  }
  while (self->held_count > 0 && check_chance(3))
    put_oldest(self);
  return got;
}

static void write_some(struct self *self, bool more)
{
  struct direction *out = self->out;

  if (self->pending_count == 0 && more && out->tried + IN_HAND < NUMBERS) {
    unsigned int cnt = 1 + (unsigned int)check_chance(IN_HAND);
    int got = sample_alloc(&self->shm->pool, self->pending, cnt);
    CHECK(got >= 0);
    for (int i = 0; i < got; i++) {
      struct sample *smp = self->pending[i];
      smp->sequence = out->written + (uint64_t)i;
      smp->length = 1;
      smp->data[0].i = (int64_t)check_mix(smp->sequence);
    }
    self->pending_count = (unsigned int)got;
    out->tried = out->written + (uint64_t)got;
  }
  int taken = shmem_shared_write(self->shm, self->pending, self->pending_count);
  if (taken < 0) {
    await_peer(self);
    return;
  }
  out->written += (uint64_t)taken;
  self->pending_count -= (unsigned int)taken;
  memmove(self->pending, self->pending + taken, self->pending_count * sizeof *self->pending);
}

static void work(void *arg)
{
  struct worker *worker = arg;
  struct journal *journal = worker->journal;
  struct self self = {
    .journal = journal,
    .side = worker->side,
    .out = &journal->from[worker->side],
    .in = &journal->from[1 - worker->side],
    .last_marked = -1,
  };

  /* What the one before was writing when it was killed may or may not have arrived. */
  for (uint64_t number = self.out->written; number < self.out->tried; number++)
    self.out->doubtful[number] = 1;
  self.out->written = self.out->tried;

  self.shm = attach(journal->name, self.side, journal->polling);
  journal->attached[self.side]++;
  while (!journal->finish) {
    write_some(&self, true);
    read_some(&self, check_chance(8) == 0);
  }

  /* No more deaths. All that is under way arrives; then all blocks are there. */
  while (!self.in->drained || !self.out->drained) {
    write_some(&self, false);
    self.out->writer_idle = self.pending_count == 0;
    bool last = self.in->writer_idle; /* before the read: what it finds not, will never come */
    int got = read_some(&self, false);
    while (self.held_count > 0)
      put_oldest(&self);
    if (last && got == 0)
      self.in->drained = true;
  }
  CHECK_EQ(check_count_free(self.shm), queuelen + spare);
  journal->counted++;
  WAIT_UNTIL(journal->counted == 2, 10);
  CHECK_EQ(shmem_shared_close(self.shm, NULL), 0);
}

static void check_all_arrived(struct direction *direction)
{
  for (uint64_t number = 0; number < direction->written; number++) {
    if (!direction->doubtful[number] || direction->progress[number] != UNSEEN)
      CHECK(direction->progress[number] >= PUTTING);
  }
}

/* Kills the victims in turn (or the one, when both are the same) and starts them anew. */
static void kill_amid_traffic(uint64_t rounds, enum side first, enum side second, int polling)
{
  struct journal *journal = check_shared(sizeof *journal);
  struct worker workers[2] = {{journal, NODE}, {journal, PROGRAM}};
  pid_t pids[2];

  journal->name = check_name("traffic");
  journal->polling = polling;
  journal->from[NODE].last_unmarked = journal->from[PROGRAM].last_unmarked = -1;
  pids[NODE] = check_spawn(work, &workers[NODE]);
  WAIT_UNTIL(journal->attached[NODE] == 1, 5);
  pids[PROGRAM] = check_spawn(work, &workers[PROGRAM]);
  WAIT_UNTIL(journal->attached[PROGRAM] == 1, 5);

  for (uint64_t round = 0; round < rounds; round++) {
    enum side victim = round % 2 ? second : first;
    uint64_t attached = journal->attached[victim];

    CHECK(check_running(pids[1 - victim]));
    nanosleep(&(struct timespec){.tv_nsec = (long)check_chance(1500000)}, NULL);
    check_kill(pids[victim]);
    pids[victim] = check_spawn(work, &workers[victim]);
    if (check_chance(4) == 0) { /* killed again while it attaches */
      nanosleep(&(struct timespec){.tv_nsec = (long)check_chance(500000)}, NULL);
      check_kill(pids[victim]);
      attached = journal->attached[victim];
      pids[victim] = check_spawn(work, &workers[victim]);
    }
    WAIT_UNTIL(journal->attached[victim] > attached || !check_running(pids[victim]), 5);
    CHECK(journal->attached[victim] > attached);
  }
  journal->finish = true;
  CHECK_CHILD_ENDS_WELL(pids[NODE], 20);
  CHECK_CHILD_ENDS_WELL(pids[PROGRAM], 20);
  check_all_arrived(&journal->from[NODE]);
  check_all_arrived(&journal->from[PROGRAM]);
  if (getenv("CHECK_VERBOSE"))
    fprintf(stderr, "  %llu from the node, %llu from the program, %llu again\n",
            (unsigned long long)journal->from[NODE].written,
            (unsigned long long)journal->from[PROGRAM].written,
            (unsigned long long)journal->again);
  CHECK_EQ(shmem_shared_unlink(journal->name), 0);
  munmap(journal, sizeof *journal);
}

static void the_program_is_killed_amid_traffic(void)
{
  kill_amid_traffic(check_scaled(250), PROGRAM, PROGRAM, 0);
  kill_amid_traffic(check_scaled(150), PROGRAM, PROGRAM, 1);
}

static void the_node_is_killed_amid_traffic(void)
{
  kill_amid_traffic(check_scaled(250), NODE, NODE, 0);
  kill_amid_traffic(check_scaled(150), NODE, NODE, 1);
}

static void both_are_killed_in_turn_amid_traffic(void)
{
  kill_amid_traffic(check_scaled(250), NODE, PROGRAM, 0);
  kill_amid_traffic(check_scaled(150), NODE, PROGRAM, 1);
}

/* ---- an echo that is killed ------------------------------------------------------------------ */

static void echo(void *arg)
{
  struct worker *worker = arg;
  struct shmem_shared *shm = attach(worker->journal->name, PROGRAM, 0);
  struct sample *smps[IN_HAND];
  int got;

  worker->journal->attached[PROGRAM]++;
  while ((got = shmem_shared_read(shm, smps, 1 + (unsigned int)check_chance(IN_HAND))) >= 0)
    CHECK_EQ(shmem_shared_timedwrite(shm, smps, (unsigned int)got, NULL), got);
  CHECK_EQ(errno, EPIPE);
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

/* The node's end of an echo: how far it has come. */
struct feed {
  struct shmem_shared *node;
  uint64_t sent, back, marked;
};

static void feed_one(struct feed *feed)
{
  struct sample *smp;

  if (sample_alloc(&feed->node->pool, &smp, 1) != 1)
    return;
  smp->sequence = feed->sent;
  smp->length = 1;
  smp->data[0].i = (int64_t)check_mix(feed->sent);
  if (shmem_shared_write(feed->node, &smp, 1) == 1)
    feed->sent++;
  else
    CHECK_EQ(sample_put(smp), 0); /* full, or the death before is noticed only now */
}

static void take_back(struct feed *feed)
{
  struct sample *smps[IN_HAND];
  int got = shmem_shared_tryread(feed->node, smps, IN_HAND);

  CHECK(got >= 0 || errno == EPIPE);
  for (int i = 0; i < got; i++) {
    check_is(smps[i], feed->back++);
    feed->marked += (smps[i]->flags & SAMPLE_REDELIVERED) != 0;
    CHECK_EQ(sample_put(smps[i]), 0);
  }
}

/* The block of a sample is either still the program's, or on its way back: each comes back once. */
static void an_echo_is_killed_and_each_sample_comes_back_once(void)
{
  struct journal *journal = check_shared(sizeof *journal);
  struct worker worker = {journal, PROGRAM};
  struct feed feed = {0};

  journal->name = check_name("echo");
  feed.node = attach(journal->name, NODE, 0);
  for (uint64_t rounds = check_scaled(300); rounds > 0; rounds--) {
    uint64_t attached = journal->attached[PROGRAM];
    pid_t pid = check_spawn(echo, &worker);
    WAIT_UNTIL(journal->attached[PROGRAM] > attached || !check_running(pid), 5);
    for (const uint64_t goal = feed.back + check_chance(200); feed.back < goal;) {
      feed_one(&feed);
      take_back(&feed);
    }
    for (uint64_t more = check_chance(30); more > 0; more--)
      feed_one(&feed); /* it is busy with these when it is killed */
    check_kill(pid);
  }

  uint64_t attached = journal->attached[PROGRAM];
  pid_t pid = check_spawn(echo, &worker);
  WAIT_UNTIL(journal->attached[PROGRAM] > attached, 5);
  WAIT_UNTIL((take_back(&feed), feed.back == feed.sent), 5);
  CHECK_EQ(check_count_free(feed.node), queuelen + spare);
  CHECK_EQ(shmem_shared_close(feed.node, NULL), 0);
  CHECK_CHILD_ENDS_WELL(pid, 5);
  CHECK(feed.marked > 0 || check_valgrind());
  if (getenv("CHECK_VERBOSE"))
    fprintf(stderr, "  %llu echoed, %llu of them marked\n", (unsigned long long)feed.back,
            (unsigned long long)feed.marked);
  munmap(journal, sizeof *journal);
}

int main(void)
{
  check_begin();
  RUN(the_program_is_killed_amid_traffic);
  RUN(the_node_is_killed_amid_traffic);
  RUN(both_are_killed_in_turn_amid_traffic);
  RUN(an_echo_is_killed_and_each_sample_comes_back_once);
  return 0;
}
