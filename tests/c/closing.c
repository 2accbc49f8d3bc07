/* A close while other threads are at work: no call that has begun is disturbed, what is held stays
 * mapped, and with the last put all is gone. */
#include "check.h"

#include <dirent.h>
#include <sys/sysmacros.h>

/* Valgrind runs one thread at a time; one that never sleeps may keep the others out for long. */
static void give_way(void)
{
  if (check_valgrind())
    check_pause();
}

static struct stat inode_of(const char *name)
{
  struct stat file;

  CHECK_EQ(stat(check_path(name), &file), 0);
  return file;
}

/* How often this process has an object mapped. */
static int count_mappings(const struct stat *object)
{
  FILE *maps = fopen("/proc/self/maps", "re");
  unsigned int major_number, minor_number;
  unsigned long inode;
  char line[4096 + 256];
  int count = 0;

  CHECK(maps);
  while (fgets(line, sizeof line, maps)) {
    if (sscanf(line, "%*s %*s %*s %x:%x %lu", &major_number, &minor_number, &inode) == 3)
      count += inode == object->st_ino && major_number == major(object->st_dev) &&
               minor_number == minor(object->st_dev);
  }
  CHECK_EQ(fclose(maps), 0);
  return count;
}

static int count_descriptors(const struct stat *object)
{
  DIR *fds = opendir("/proc/self/fd");
  struct dirent *entry;
  struct stat file;
  int count = 0;

  CHECK(fds);
  while ((entry = readdir(fds)))
    count += fstatat(dirfd(fds), entry->d_name, &file, 0) == 0 && file.st_ino == object->st_ino &&
             file.st_dev == object->st_dev;
  CHECK_EQ(closedir(fds), 0);
  return count;
}

static void check_nothing_is_left(const struct stat *object)
{
  CHECK_EQ(count_mappings(object), 0);
  CHECK_EQ(count_descriptors(object), 0);
}

static uint64_t count_all_free(struct shmem_shared *shm)
{
  struct shmem_stats stats = SHMEM_STATS_INIT;

  CHECK_EQ(shmem_shared_stats(shm, &stats), 0);
  CHECK_EQ(stats.held, 0);
  return stats.blocks_free;
}

/* ---- a close in the middle of one long call -------------------------------------------------- */

enum { OTHERS = 500, MINE = 5000 };

/* The main thread is the first that has used the channel, and in a call that takes its time; in the
 * middle of it another thread closes the channel, and puts the samples that it has. */
struct race {
  struct pair pair;
  struct stat object;
  unsigned int others_count, mine_count; /* of the two arrays */
  unsigned int trigger;                  /* the other thread begins when main is so far */
  struct sample **others, **mine;
  _Atomic unsigned int progress;
};

static struct race race_begin(unsigned int part)
{
  struct race race = {
      .others_count = (unsigned int)check_scaled(OTHERS / part),
      .mine_count = (unsigned int)check_scaled(MINE / part),
  };
  struct shmem_conf conf = check_conf(0, (int)race.mine_count, 1, (int)race.others_count);

  race.pair = check_open_pair("race", &conf);
  race.object = inode_of(race.pair.name);
  race.trigger = race.mine_count / 16;
  race.mine = calloc(race.mine_count, sizeof *race.mine);
  race.others = calloc(race.others_count, sizeof *race.others);
  CHECK(race.mine && race.others);
  CHECK_EQ(sample_alloc(&race.pair.node->pool, race.others, race.others_count), race.others_count);
  return race;
}

/* The node is closed and has put all: nothing of it is there any more, another takes its place. */
static void race_end(struct race *race)
{
  struct shmem_conf conf = check_conf(0, (int)race->mine_count, 1, (int)race->others_count);
  struct pair *pair = &race->pair;

  CHECK_EQ(count_mappings(&race->object), 1); /* the program's */
  CHECK_EQ(count_descriptors(&race->object), 1);
  CHECK_HANDLE(pair->node = shmem_shared_create(pair->name, &conf));
  CHECK_EQ(count_all_free(pair->node), race->others_count + race->mine_count);
  check_works(pair);
  check_close_pair(pair);
  check_nothing_is_left(&race->object);
  check_name_count--;
  free(race->mine);
  free(race->others);
}

static void put_the_others(struct race *race)
{
  for (unsigned int i = 0; i < race->others_count; i++)
    CHECK_EQ(sample_put(race->others[i]), 0);
}

/* The call writes its pointers one by one, so a late one tells where it is. */
static void *close_amid_an_allocation(void *arg)
{
  struct race *race = arg;

  while (!__atomic_load_n(&race->mine[race->trigger], __ATOMIC_RELAXED))
    give_way();
  CHECK_EQ(shmem_shared_close(race->pair.node, NULL), 0);
  put_the_others(race);
  return NULL;
}

/* Gives how many were allocated. */
static unsigned int race_an_allocation(struct race *race)
{
  pthread_t thread;

  CHECK_EQ(pthread_create(&thread, NULL, close_amid_an_allocation, race), 0);
  int got = sample_alloc(&race->pair.node->pool, race->mine, race->mine_count);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK(got > (int)race->trigger); /* it had begun before the close */
  return (unsigned int)got;
}

static void puts_after_a_close_wait_for_an_allocation(void)
{
  for (uint64_t round = 0; round < check_scaled(80); round++) {
    struct race race = race_begin(1);
    unsigned int got = race_an_allocation(&race);

    for (unsigned int i = 0; i < got; i++)
      CHECK_EQ(sample_put(race.mine[i]), 0);
    race_end(&race);
  }
}

static void what_is_held_stays_mapped_after_a_close_amid_an_allocation(void)
{
  for (uint64_t round = 0; round < check_scaled(80); round++) {
    struct race race = race_begin(1);
    unsigned int got = race_an_allocation(&race);

    CHECK_EQ(count_mappings(&race.object), 2);
    for (unsigned int i = 0; i < got; i++) {
      CHECK_EQ(race.mine[i]->sequence, 0); /* nobody else has it */
      race.mine[i]->sequence = i + 1;
    }
    for (unsigned int i = 0; i + 1 < got; i++) {
      CHECK_EQ(race.mine[i]->sequence, i + 1);
      CHECK_EQ(sample_put(race.mine[i]), 0);
    }
    CHECK_EQ(count_mappings(&race.object), 2);
    CHECK_EQ(sample_put(race.mine[got - 1]), 0);
    race_end(&race);
  }
}

/* The program receives the first of them while the call goes on. */
static void *close_amid_a_write(void *arg)
{
  struct race *race = arg;

  check_receive(race->pair.program, 0, 0);
  CHECK_EQ(shmem_shared_close(race->pair.node, NULL), 0);
  put_the_others(race);
  return NULL;
}

static void puts_after_a_close_wait_for_a_write(void)
{
  for (uint64_t round = 0; round < check_scaled(80); round++) {
    struct race race = race_begin(1);
    struct sample *smp;
    pthread_t thread;

    int got = sample_alloc(&race.pair.node->pool, race.mine, race.mine_count);
    CHECK_EQ(got, race.mine_count);
    for (unsigned int i = 0; i < race.mine_count; i++) {
      race.mine[i]->sequence = i;
      race.mine[i]->length = 1;
      race.mine[i]->data[0].i = (int64_t)check_mix(i);
    }
    CHECK_EQ(pthread_create(&thread, NULL, close_amid_a_write, &race), 0);
    int written = shmem_shared_write(race.pair.node, race.mine, race.mine_count);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(written > 0);
    for (unsigned int i = (unsigned int)written; i < race.mine_count; i++)
      CHECK_EQ(sample_put(race.mine[i]), 0);
    check_receive(race.pair.program, 1, (uint64_t)written - 1); /* what was written arrives */
    CHECK_GIVES(shmem_shared_timed_read(race.pair.program, &smp, 1, NULL), -1, EPIPE);
    race_end(&race);
  }
}

/* ---- a close between puts -------------------------------------------------------------------- */

static void *close_amid_puts(void *arg)
{
  struct race *race = arg;

  while (race->progress < race->trigger)
    give_way();
  CHECK_EQ(shmem_shared_close(race->pair.node, NULL), 0);
  put_the_others(race);
  return NULL;
}

/* Whoever comes last, one of the two unmaps. */
static void the_last_of_two_threads_that_put_leaves_nothing(void)
{
  for (uint64_t round = 0; round < check_scaled(80); round++) {
    struct race race = race_begin(10);
    pthread_t thread;

    int got = sample_alloc(&race.pair.node->pool, race.mine, race.mine_count);
    CHECK_EQ(got, race.mine_count);
    CHECK_EQ(pthread_create(&thread, NULL, close_amid_puts, &race), 0);
    for (unsigned int i = 0; i < race.mine_count; i++) {
      CHECK_EQ(sample_put(race.mine[i]), 0);
      race.progress = i + 1;
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    race_end(&race);
  }
}

/* One sample each, the close in a third thread: all orders of three. */
struct last {
  struct shmem_shared *shm;
  pthread_barrier_t *barrier;
  struct sample *smp; /* NULL: close */
};

static void *end_at_once(void *arg)
{
  struct last *last = arg;

  pthread_barrier_wait(last->barrier);
  for (uint64_t n = check_chance(200); n > 0; n--)
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* a little sooner or later */
  CHECK_EQ(last->smp ? sample_put(last->smp) : shmem_shared_close(last->shm, NULL), 0);
  return NULL;
}

static void two_last_puts_and_a_close_at_once_leave_nothing(void)
{
  struct shmem_conf conf = check_conf(0, 2, 1, 2);

  for (uint64_t round = 0; round < check_scaled(2000); round++) {
    const char *name = check_name("last");
    struct shmem_shared *shm;
    pthread_barrier_t barrier;
    pthread_t threads[3];
    struct last lasts[3];

    CHECK_HANDLE(shm = shmem_shared_create(name, &conf));
    struct stat object = inode_of(name);
    CHECK_EQ(pthread_barrier_init(&barrier, NULL, 3), 0);
    for (uint64_t i = 0; i < 3; i++) {
      lasts[i] = (struct last){shm, &barrier, i < 2 ? check_make(shm, i) : NULL};
      CHECK_EQ(pthread_create(&threads[i], NULL, end_at_once, &lasts[i]), 0);
    }
    for (int i = 0; i < 3; i++)
      CHECK_EQ(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&barrier);
    check_nothing_is_left(&object);
    CHECK_HANDLE(shm = shmem_shared_create(name, &conf));
    CHECK_EQ(shmem_shared_close(shm, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(check_names[--check_name_count]), 0);
  }
}

/* ---- a close amid many threads --------------------------------------------------------------- */

enum { WORKERS = 3, IN_HAND = 5 };

struct worker {
  struct shmem_shared *shm;
  _Atomic uint64_t *progress; /* of all */
  uint64_t written;
};

/* Allocates, writes, puts, until the channel is closed; then gives back what it holds. */
static void *work_until_closed(void *arg)
{
  struct worker *worker = arg;
  struct sample *smps[IN_HAND];
  bool closed = false;

  while (!closed) {
    int got = sample_alloc(&worker->shm->pool, smps, 1 + (unsigned int)check_chance(IN_HAND));
    if (got < 0)
      CHECK_EQ(errno, EPIPE);
    closed = got < 0;
    for (int i = 0; i < got; i++) {
      CHECK_EQ(smps[i]->sequence, 0);
      smps[i]->sequence = 1;
    }
    int done = 0;
    if (got > 0 && check_chance(2)) {
      done = shmem_shared_write(worker->shm, smps, (unsigned int)got);
      if (done < 0)
        CHECK_EQ(errno, EPIPE);
      done = done < 0 ? 0 : done;
      worker->written += (uint64_t)done;
    }
    for (int i = done; i < got; i++)
      CHECK_EQ(sample_put(smps[i]), 0);
    atomic_fetch_add(worker->progress, 1);
    give_way();
  }
  return NULL;
}

struct drain {
  struct shmem_shared *shm;
  uint64_t count;
};

static void *receive_until_closed(void *arg)
{
  struct drain *drain = arg;
  struct sample *smps[IN_HAND];
  int got;

  while ((got = shmem_shared_timed_read(drain->shm, smps, IN_HAND, NULL)) > 0) {
    CHECK_EQ(sample_put_many(smps, (unsigned int)got), got);
    drain->count += (uint64_t)got;
  }
  CHECK_EQ(errno, EPIPE);
  return NULL;
}

static void a_close_amid_threads_that_allocate_write_and_put_leaves_nothing(void)
{
  for (uint64_t round = 0; round < check_scaled(300); round++) {
    struct shmem_conf conf = check_conf((int)(round % 2), 16, 1, 16);
    struct pair pair = check_open_pair("amid", &conf);
    struct stat object = inode_of(pair.name);
    struct drain drain = {.shm = pair.program};
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS], drainer;
    _Atomic uint64_t progress = 0;
    const uint64_t enough = check_chance(500);
    uint64_t written = 0;

    CHECK_EQ(pthread_create(&drainer, NULL, receive_until_closed, &drain), 0);
    for (int i = 0; i < WORKERS; i++) {
      workers[i] = (struct worker){.shm = pair.node, .progress = &progress};
      CHECK_EQ(pthread_create(&threads[i], NULL, work_until_closed, &workers[i]), 0);
    }
    WAIT_UNTIL(progress >= enough, 10);
    CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
    for (int i = 0; i < WORKERS; i++) {
      CHECK_EQ(pthread_join(threads[i], NULL), 0);
      written += workers[i].written;
    }
    CHECK_EQ(pthread_join(drainer, NULL), 0);
    CHECK_EQ(drain.count, written);
    CHECK_EQ(count_mappings(&object), 1);
    CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
    CHECK_EQ(count_all_free(pair.node), 32);
    check_works(&pair);
    check_close_pair(&pair);
    check_nothing_is_left(&object);
    check_name_count--;
  }
}

/* Who goes on calling with one finds it closed, and does not use a channel that was opened later. */
static void a_channel_that_was_closed_is_not_the_next_one(void)
{
  const struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct pair pair = {.name = check_name("next")};
  struct shmem_shared *closed;
  struct sample *smp;

  CHECK_HANDLE(closed = shmem_shared_create(check_name("closed"), &conf));
  CHECK_EQ(shmem_shared_close(closed, NULL), 0);
  for (int opened = 0; opened < 100; opened++) {
    CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
    CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
    check_send(pair.node, 1, 1);
    CHECK_GIVES(shmem_shared_try_read(closed, &smp, 1), -1, EPIPE);
    CHECK_GIVES(sample_alloc(&closed->pool, &smp, 1), -1, EPIPE);
    CHECK_GIVES(shmem_shared_close(closed, NULL), -1, EINVAL);
    check_receive(pair.program, 1, 1);
    check_close_pair(&pair);
  }
}

int main(void)
{
  check_begin();
  RUN(puts_after_a_close_wait_for_an_allocation);
  RUN(what_is_held_stays_mapped_after_a_close_amid_an_allocation);
  RUN(puts_after_a_close_wait_for_a_write);
  RUN(the_last_of_two_threads_that_put_leaves_nothing);
  RUN(two_last_puts_and_a_close_at_once_leave_nothing);
  RUN(a_close_amid_threads_that_allocate_write_and_put_leaves_nothing);
  RUN(a_channel_that_was_closed_is_not_the_next_one);
  return 0;
}
