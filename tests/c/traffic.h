/* Full traffic between two processes that may be killed, stopped, or leave at any moment, and the journal by which all
 * that crosses is checked: batches, references that are kept, samples that are sent back as they are.
 *
 * A sample says whose it is and its number, which nobody changes, and the place in the traffic of each leg of its way:
 *
 *   data[0]  check_mix of data[1]        data[2]  its serial from its origin to the peer
 *   data[1]  number << 1 | origin        data[3]  its serial on the way back, if it is sent back
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include "check.h"

enum side { NODE, PROGRAM };
enum { NUMBERS = 1 << 21, IN_HAND = 8 };

/* What became of a sample at the end of a leg; written by the process that has it. Of the KEPT a reference stayed here. */
enum progress { UNSEEN, SEEN, PUTTING, PUT, RETURNING, RETURNED, RETURNING_KEPT, RETURNED_KEPT };

/* What one side has given. */
struct direction {
  _Atomic uint64_t written;       /* numbers below are in the queue, or doubtful */
  _Atomic uint64_t tried;         /* numbers below may be in the queue */
  _Atomic uint64_t floor;         /* numbers below went with a region that was replaced */
  _Atomic uint64_t serial;        /* the last that was given, also to what is sent back */
  _Atomic uint64_t last_unmarked; /* the last that came unmarked */
  _Atomic bool writer_idle, drained;
  _Atomic unsigned char doubtful[NUMBERS]; /* which generation did not know, when it ended, whether the queue had it */
  _Atomic unsigned char progress[NUMBERS]; /* at the peer */
  _Atomic unsigned char back[NUMBERS];     /* at its origin again */
  _Atomic bool was_kept[NUMBERS];          /* sent back with a reference that stayed: may come again, and is not sent again */
};

struct journal {
  char region[CHECK_NAME_SIZE];
  int polling, queuelen, spare;
  unsigned int batch; /* 1 to IN_HAND */
  uint64_t seed;
  _Atomic bool finish, may_miss; /* may_miss: a program may find nothing to open */
  /* Of each side: its generations; the last that was attached, that was about to end, that the peer saw alive, and gone. */
  _Atomic uint64_t generation[2], born[2], dying[2], seen_alive[2], seen_dead[2];
  _Atomic uint64_t leave[2];   /* this generation is to close and end */
  _Atomic uint64_t nothing[2]; /* this generation found nothing to open */
  _Atomic uint64_t moved[2];   /* samples that it has received */
  _Atomic uint64_t again, echoes, counted;
  struct shmem_stats stats[2];
  struct direction from[2];
};

struct worker {
  struct journal *journal;
  enum side side;
};

struct item {
  struct sample *smp;
  uint64_t number;
  bool is_echo, is_kept;
};

/* One generation of a side. */
struct self {
  struct journal *journal;
  enum side side;
  uint64_t generation;
  struct shmem_shared *shm;
  struct direction *out, *in;
  struct item pending[IN_HAND]; /* to be written, in this order */
  struct item held[2 * IN_HAND]; /* received, oldest first; is_kept: sent back too */
  struct sample *kept[IN_HAND]; /* own ones that were written, a reference of which is here */
  unsigned int pending_count, held_count, kept_count;
  uint64_t last_marked, marked, maybe_marked, checked;
  bool has_unmarked, is_ending; /* nothing is sent back any more */
};

static uint64_t traffic_state;

/* From 0 to below - 1. */
static uint64_t pick(uint64_t below)
{
  traffic_state = check_mix(traffic_state);
  return traffic_state % below;
}

static struct shmem_shared *attach(const struct journal *journal, enum side side)
{
  struct shmem_conf conf = check_conf(journal->polling, journal->queuelen, 4, journal->spare);

  return side == NODE ? shmem_shared_create(journal->region, &conf) : shmem_shared_open(journal->region, NULL);
}

/* ---- what a sample says ---------------------------------------------------------------------- */

static void say(struct self *self, struct sample *smp, uint64_t number)
{
  const uint64_t tag = number << 1 | self->side;

  smp->sequence = number;
  smp->length = 4;
  smp->flags = SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_DATA;
  smp->data[0].i = (int64_t)check_mix(tag);
  smp->data[1].i = (int64_t)tag;
  smp->data[2].i = (int64_t)++self->out->serial;
  smp->data[3].i = 0;
}

/* Whole, and one that may be under way. */
static void check_whole(const struct self *self, const struct sample *smp)
{
  const uint64_t tag = (uint64_t)smp->data[1].i;
  const struct direction *home = &self->journal->from[tag & 1];

  CHECK_EQ(smp->data[0].i, (int64_t)check_mix(tag));
  CHECK_EQ(smp->sequence, tag >> 1);
  CHECK_EQ(smp->length, 4);
  CHECK(tag >> 1 < home->tried);
  if (tag >> 1 < home->floor)
    check_fail(__FILE__, __LINE__, "%llu comes from a region that was replaced", (unsigned long long)(tag >> 1));
}

static bool is_own(const struct self *self, const struct sample *smp)
{
  return (smp->data[1].i & 1) == (int64_t)self->side;
}

static _Atomic unsigned char *progress_of(struct self *self, const struct sample *smp)
{
  const uint64_t number = (uint64_t)smp->data[1].i >> 1;

  return is_own(self, smp) ? &self->out->back[number] : &self->in->progress[number];
}

/* ---- ends of a peer -------------------------------------------------------------------------- */

/* A call says that the peer of this generation (or one after it) is gone: so it must have been about to end. */
static void note_end(struct self *self, uint64_t born)
{
  const int peer = 1 - (int)self->side;

  if (errno != EPIPE)
    check_fail(__FILE__, __LINE__, "side %d, generation %llu", self->side, (unsigned long long)self->generation);
  if (self->journal->dying[peer] < born)
    check_fail(__FILE__, __LINE__, "generation %llu of side %d is alive, and was taken for dead", (unsigned long long)born, peer);
  self->journal->seen_dead[peer] = born;
}

/* A peer that was never seen alive is waited for, not told of. */
static void look_at_peer(struct self *self)
{
  const int peer = 1 - (int)self->side;
  const uint64_t born = self->journal->born[peer];
  int is_alive = shmem_shared_peer_alive(self->shm);

  CHECK(is_alive >= 0);
  if (!is_alive && self->journal->dying[peer] < born)
    check_fail(__FILE__, __LINE__, "generation %llu of side %d is alive, and is said to be dead", (unsigned long long)born, peer);
  if (is_alive)
    self->journal->seen_alive[peer] = born;
}

/* After the peer's end: all that it had written has been read. */
static void check_nothing_missing(struct self *self, uint64_t written)
{
  if (self->checked < self->in->floor)
    self->checked = self->in->floor;
  for (; self->checked < written; self->checked++)
    if (self->in->progress[self->checked] == UNSEEN && !self->in->doubtful[self->checked])
      check_fail(__FILE__, __LINE__, "the end came before %llu", (unsigned long long)self->checked);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void put_kept(struct self *self, unsigned int at)
{
  struct sample *smp = self->kept[at];

  check_whole(self, smp); /* as it was written: nobody else has had the block meanwhile */
  self->kept[at] = self->kept[--self->kept_count];
  CHECK(sample_put(smp) >= 0);
}

static void note_arrival(struct self *self, struct sample *smp)
{
  const bool comes_back = is_own(self, smp);

  check_whole(self, smp);
  _Atomic unsigned char *progress = progress_of(self, smp);
  const uint64_t number = smp->sequence, serial = (uint64_t)smp->data[comes_back ? 3 : 2].i;
  const unsigned char before = *progress;
  if (comes_back) {
    CHECK(self->out->progress[number] >= PUTTING);
    for (unsigned int i = self->kept_count; i-- > 0;)
      if (self->kept[i] == smp)
        put_kept(self, i);
  }
  if (smp->flags & SAMPLE_REDELIVERED && comes_back && self->out->was_kept[number]) {
    /* It is in two hands. When the peer that kept it has died, the mark that its successor sees is seen here too. */
    CHECK(before != PUT);
    self->maybe_marked++;
  } else if (smp->flags & SAMPLE_REDELIVERED) {
    self->journal->again++;
    self->marked++;
    CHECK(self->generation > 1);
    CHECK(!self->has_unmarked); /* these come first, in order */
    CHECK(serial > self->last_marked);
    CHECK(before != PUT && before != RETURNED);
    self->last_marked = serial;
  } else {
    if (before != UNSEEN || serial <= self->in->last_unmarked) /* twice, or out of order */
      check_fail(__FILE__, __LINE__, "unmarked: %llu of side %d, which was %d, serial %llu after %llu; side %d, generation %llu; "
                 "polling %d, queuelen %d, spare %d, was kept %d, first way %d", (unsigned long long)number,
                 comes_back ? (int)self->side : 1 - (int)self->side, before, (unsigned long long)serial,
                 (unsigned long long)self->in->last_unmarked, self->side, (unsigned long long)self->generation,
                 self->journal->polling, self->journal->queuelen, self->journal->spare,
                 comes_back && self->out->was_kept[number], comes_back ? self->out->progress[number] : -1);
    self->in->last_unmarked = serial;
    self->has_unmarked = true;
  }
  if (before != RETURNING_KEPT && before != RETURNED_KEPT)
    *progress = SEEN;
  self->held[self->held_count++] = (struct item){smp, number, comes_back, false};
  self->journal->echoes += comes_back;
  self->journal->moved[self->side]++;
}

/* Gives the oldest sample back, or on. */
static void settle_oldest(struct self *self)
{
  struct item item = self->held[0];
  _Atomic unsigned char *progress = progress_of(self, item.smp);

  check_whole(self, item.smp);
  memmove(self->held, self->held + 1, --self->held_count * sizeof *self->held);
  const bool may_return = !item.is_echo && !self->is_ending && !self->in->was_kept[item.number];
  if (*progress == SEEN && may_return && self->pending_count < IN_HAND && pick(3) == 0) {
    item.is_echo = true;
    item.is_kept = self->held_count < IN_HAND && pick(4) == 0;
    if (item.is_kept)
      CHECK(sample_get(item.smp) > 1);
    if (item.is_kept)
      self->in->was_kept[item.number] = true;
    *progress = item.is_kept ? RETURNING_KEPT : RETURNING;
    item.smp->flags &= ~SAMPLE_REDELIVERED; /* which it was for this side */
    item.smp->data[3].i = (int64_t)++self->out->serial;
    self->pending[self->pending_count++] = item;
    return;
  }
  if (pick(8) == 0) {
    CHECK_EQ(sample_get(item.smp), 2);
    CHECK_EQ(sample_put(item.smp), 1);
  }
  *progress = PUTTING;
  CHECK_EQ(sample_put(item.smp), 0);
  *progress = PUT;
}

static int read_some(struct self *self, bool is_sleepy)
{
  struct sample *smps[IN_HAND];
  const uint64_t written = self->in->written, born = self->journal->born[1 - self->side];

  while (self->held_count >= IN_HAND)
    settle_oldest(self);
  const unsigned int most = 1 + (unsigned int)pick(IN_HAND - self->held_count);
  int got = is_sleepy      ? shmem_shared_read(self->shm, smps, most)
            : pick(8) == 0 ? shmem_shared_timed_read(self->shm, smps, most, MS(2))
                           : shmem_shared_try_read(self->shm, smps, most);
  if (got < 0) {
    note_end(self, born);
    check_nothing_missing(self, written);
    if (shmem_shared_wait(self->shm, MS(20)) != 0)
      CHECK_EQ(errno, ETIMEDOUT);
  }
  for (int i = 0; i < got; i++)
    note_arrival(self, smps[i]);
  while (self->held_count > 0 && pick(3))
    settle_oldest(self);
  return got;
}

/* ---- giving ---------------------------------------------------------------------------------- */

static void fill(struct self *self)
{
  struct sample *smps[IN_HAND];
  const unsigned int most = self->journal->batch;
  const uint64_t born = self->journal->born[1 - self->side], first = self->out->tried;

  if (self->pending_count >= most || first + IN_HAND > NUMBERS)
    return;
  const unsigned int cnt = 1 + (unsigned int)pick(most - self->pending_count);
  int got = pick(16) ? sample_alloc(&self->shm->pool, smps, cnt) : shmem_shared_timed_alloc(self->shm, smps, cnt, MS(2));
  if (got < 0)
    note_end(self, born);
  if (got <= 0)
    return;
  self->out->tried = first + (uint64_t)got;
  for (int i = 0; i < got; i++) {
    say(self, smps[i], first + (uint64_t)i);
    self->pending[self->pending_count++] =
      (struct item){smps[i], first + (uint64_t)i, false, self->kept_count + self->pending_count < IN_HAND && pick(8) == 0};
    if (self->pending[self->pending_count - 1].is_kept)
      CHECK_EQ(sample_get(smps[i]), 2);
  }
}

static void write_some(struct self *self, bool more)
{
  struct sample *smps[IN_HAND];
  const uint64_t born = self->journal->born[1 - self->side];

  if (more)
    fill(self);
  for (unsigned int i = 0; i < self->pending_count; i++)
    smps[i] = self->pending[i].smp;
  int taken = pick(8) ? shmem_shared_write(self->shm, smps, self->pending_count)
                      : shmem_shared_timed_write(self->shm, smps, self->pending_count, MS(2));
  if (taken < 0)
    note_end(self, born);
  for (int i = 0; i < taken; i++) {
    struct item item = self->pending[i];
    if (!item.is_echo) {
      self->out->written++;
      if (item.is_kept)
        self->kept[self->kept_count++] = item.smp;
      continue;
    }
    self->in->progress[item.number] = item.is_kept ? RETURNED_KEPT : RETURNED;
    if (item.is_kept)
      self->held[self->held_count++] = item;
  }
  if (taken > 0) {
    self->pending_count -= (unsigned int)taken;
    memmove(self->pending, self->pending + taken, self->pending_count * sizeof *self->pending);
  }
}

/* ---- a life ---------------------------------------------------------------------------------- */

static void settle_all(struct self *self)
{
  while (self->held_count > 0)
    settle_oldest(self);
  while (self->kept_count > 0)
    put_kept(self, self->kept_count - 1);
}

/* What is in hand is put, or stays: then a successor gets it. */
static void leave(struct self *self)
{
  self->is_ending = true;
  self->journal->dying[self->side] = self->generation;
  if (pick(2)) {
    for (unsigned int i = 0; i < self->pending_count; i++) {
      struct item *item = &self->pending[i];
      if (item->is_kept)
        CHECK_EQ(sample_put(item->smp), 1);
      if (item->is_echo)
        self->in->progress[item->number] = PUTTING;
      CHECK_EQ(sample_put(item->smp), 0);
      if (item->is_echo)
        self->in->progress[item->number] = PUT;
    }
    self->pending_count = 0;
    settle_all(self);
  }
  CHECK_EQ(shmem_shared_close(self->shm, NULL), 0);
}

/* All blocks of this side are at home, each once, and the counters say so. */
static void check_blocks(struct self *self)
{
  static struct sample *smps[4096];
  struct shmem_stats stats = SHMEM_STATS_INIT;
  const int home = self->journal->queuelen + self->journal->spare;
  int count = 0, got;

  CHECK_EQ(shmem_shared_stats(self->shm, &stats), 0);
  CHECK_EQ(stats.held, 0);
  CHECK_EQ(stats.queued_in, 0);
  CHECK_EQ(stats.queued_out, 0);
  CHECK(stats.redelivered >= self->marked && stats.redelivered <= self->marked + self->maybe_marked);
  CHECK_EQ(stats.blocks, 2 * home);
  CHECK_EQ(stats.blocks_free, home);
  while ((got = sample_alloc(&self->shm->pool, smps + count, 7)) > 0)
    for (; got > 0; got--, count++)
      smps[count]->data[0].i = count;
  CHECK_EQ(count, home);
  for (int i = 0; i < count; i++)
    CHECK_EQ(smps[i]->data[0].i, i); /* no two are the same */
  for (int i = 0; i < count; i++)
    CHECK_EQ(sample_put(smps[i]), 0);
  self->journal->stats[self->side] = stats;
}

static void work(void *arg)
{
  const struct worker *worker = arg;
  struct journal *journal = worker->journal;
  struct self self = {
    .journal = journal,
    .side = worker->side,
    .generation = journal->generation[worker->side],
    .out = &journal->from[worker->side],
    .in = &journal->from[1 - worker->side],
  };

  traffic_state = check_mix(journal->seed ^ self.generation << 1 ^ self.side);
  /* What the one before was writing when it ended may or may not have arrived. */
  for (uint64_t number = self.out->written; number < self.out->tried; number++)
    self.out->doubtful[number] = (unsigned char)(self.generation % 255 + 1);
  self.out->written = self.out->tried;

  /* A node that stands still while it looks whether the region is anybody's is in a program's way. */
  while (!(self.shm = attach(journal, self.side)) && errno == EAGAIN)
    check_pause();
  if (!self.shm && errno == ENOENT && self.side == PROGRAM && journal->may_miss) {
    journal->nothing[self.side] = self.generation;
    return;
  }
  CHECK_HANDLE(self.shm);
  journal->born[self.side] = self.generation;
  while (!journal->finish) {
    if (journal->leave[self.side] == self.generation) {
      leave(&self);
      return;
    }
    write_some(&self, true);
    read_some(&self, pick(8) == 0);
    if (self.kept_count > 0 && pick(4) == 0)
      put_kept(&self, (unsigned int)pick(self.kept_count));
    if (pick(32) == 0)
      look_at_peer(&self);
  }

  self.is_ending = true;
  /* No more ends. All that is under way arrives; then all blocks are there. */
  while (!self.in->drained || !self.out->drained) {
    write_some(&self, false);
    self.out->writer_idle = self.pending_count == 0;
    bool last = self.in->writer_idle; /* before the read: what it finds not, will never come */
    int got = read_some(&self, false);
    settle_all(&self);
    if (last && got == 0)
      self.in->drained = true;
  }
  settle_all(&self);
  journal->counted++;
  WAIT_UNTIL(journal->counted >= 2, 10); /* the peer has put all, too */
  check_blocks(&self);
  journal->counted++;
  WAIT_UNTIL(journal->counted == 4, 10);
  CHECK_EQ(shmem_shared_close(self.shm, NULL), 0);
}

/* ---- accounts -------------------------------------------------------------------------------- */

/* Both sides are gone for good, or (is_final) have ended well: what `from` has given was had, in whole. */
static void check_arrived(const struct journal *journal, enum side from, bool is_final)
{
  const struct direction *out = &journal->from[from];
  unsigned char cut_off = 0;

  for (uint64_t number = out->floor; number < out->written; number++) {
    const unsigned char progress = out->progress[number], back = out->back[number], doubtful = out->doubtful[number];
    const bool is_on_its_way = progress == RETURNING || progress == RETURNED;
    if (progress == UNSEEN) {
      if (!doubtful)
        check_fail(__FILE__, __LINE__, "%llu from side %d is lost", (unsigned long long)number, from);
      cut_off = doubtful;
    } else if (doubtful && doubtful == cut_off) {
      check_fail(__FILE__, __LINE__, "%llu from side %d has come, what was before it not", (unsigned long long)number, from);
    }
    CHECK(progress == UNSEEN || progress >= PUTTING);
    if (is_final && is_on_its_way && back != PUT && back != PUTTING)
      check_fail(__FILE__, __LINE__, "%llu from side %d is lost on its way back", (unsigned long long)number, from);
    CHECK(!is_final || (progress != RETURNING_KEPT && progress != RETURNED_KEPT));
    CHECK(!is_final || back == UNSEEN || back == PUT || back == PUTTING);
  }
}

UNUSED static void check_journal(const struct journal *journal)
{
  check_arrived(journal, NODE, true);
  check_arrived(journal, PROGRAM, true);
  CHECK_EQ(journal->stats[NODE].written, journal->stats[PROGRAM].read);
  CHECK_EQ(journal->stats[PROGRAM].written, journal->stats[NODE].read);
}

#endif
