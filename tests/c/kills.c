/* SIGKILL of either side of a channel, or of both, at random moments of full traffic, by the thousand; SIGSTOP and clean
 * ends mixed in. What was written arrives, in order, once or marked; who is stopped counts as alive; no block is lost.
 *
 * From the environment:
 *   KILLS=100   so many in all
 *   TIME=N      no episode is begun after so many seconds
 *   SEED=N      of all choices; the clock's, if not given
 *   JOBS=2      episodes at a time, each with a channel of its own
 *   KILLS_LOG=F a line for each episode that has ended well; those of this seed that are in it already are not run again
 */
#include "traffic.h"

enum { EPISODE = 50 /* kills */ };

struct result {
  uint64_t kills, stops, leaves, replaced, samples, echoes, again;
};

/* What the jobs share. */
struct campaign {
  uint64_t seed, goal;
  double end;
  _Atomic uint64_t next; /* episode */
  _Atomic uint64_t done, kills, stops, leaves, replaced, samples, echoes, again;
  _Atomic uint64_t longest_end; /* of those that were told to close, in microseconds */
  int log;
  unsigned char finished[1 << 16]; /* episodes, by an earlier run */
};

static struct campaign *campaign;

/* ---- one episode ----------------------------------------------------------------------------- */

struct episode {
  struct journal *journal;
  struct worker workers[2];
  pid_t pids[2];
  int victims; /* a side, or 2: either */
  struct result result;
};

static struct episode current; /* of this job */

static void pause_up_to(uint64_t microseconds)
{
  uint64_t time = pick(microseconds);

  if (time > 60) /* the kernel's slack */
    nanosleep(&(struct timespec){.tv_nsec = (long)(time - 60) * 1000}, NULL);
  else
    for (double end = check_clock() + (double)time / 1e6; check_clock() < end;)
      ;
}

/* The episode watches over it, and takes it along when it ends: a survivor may live for as long as the episode does. */
static void live(void *arg)
{
  alarm(0);
  work(arg);
}

static void start(struct episode *episode, enum side side)
{
  episode->journal->generation[side]++;
  episode->pids[side] = check_spawn(live, &episode->workers[side]);
}

static void await_birth(struct episode *episode, enum side side)
{
  const struct journal *journal = episode->journal;

  WAIT_UNTIL(journal->born[side] == journal->generation[side] || !check_running(episode->pids[side]), 10);
  if (journal->born[side] != journal->generation[side])
    check_fail(__FILE__, __LINE__, "generation %llu of side %d has not come", (unsigned long long)journal->generation[side], side);
}

static void end_of(struct episode *episode, enum side side)
{
  struct journal *journal = episode->journal;

  journal->dying[side] = journal->generation[side];
  check_kill(episode->pids[side]);
  episode->result.kills++;
}

static void stop(struct episode *episode, enum side side)
{
  int status;

  CHECK_EQ(kill(episode->pids[side], SIGSTOP), 0);
  CHECK_EQ(waitpid(episode->pids[side], &status, WUNTRACED), episode->pids[side]);
  CHECK(WIFSTOPPED(status));
  episode->result.stops++;
  if (pick(20) == 0) { /* longer than the survivor's patience; nobody takes the place of who is stopped */
    pause_up_to(130000);
    CHECK(!attach(episode->journal, side));
    CHECK_EQ(errno, EBUSY);
  } else {
    pause_up_to(1000);
  }
}

static void go_on(struct episode *episode, enum side side)
{
  CHECK_EQ(kill(episode->pids[side], SIGCONT), 0);
}

static ino_t region_of(const struct episode *episode)
{
  struct stat status;

  CHECK_EQ(stat(check_path(episode->journal->region), &status), 0);
  return status.st_ino;
}

/* Waits for the program. `false`: it has found nothing to open. */
static bool has_come(struct episode *episode)
{
  const struct journal *journal = episode->journal;

  WAIT_UNTIL(journal->born[PROGRAM] == journal->generation[PROGRAM] || !check_running(episode->pids[PROGRAM]), 10);
  CHECK(journal->born[PROGRAM] == journal->generation[PROGRAM] || journal->nothing[PROGRAM] == journal->generation[PROGRAM]);
  return journal->born[PROGRAM] == journal->generation[PROGRAM];
}

/* Both die. A node makes a new region; a program that comes before it gets what is left for it. */
static void both_end(struct episode *episode)
{
  struct journal *journal = episode->journal;
  const enum side first = (enum side)pick(2);
  const ino_t region = region_of(episode);
  bool has_program = false;

  end_of(episode, first);
  if (pick(2))
    pause_up_to(200);
  end_of(episode, 1 - first);
  const uint64_t tried[2] = {journal->from[0].tried, journal->from[1].tried};
  switch (pick(4)) {
  case 0: /* at the same time */
    journal->may_miss = true;
    start(episode, PROGRAM);
    pause_up_to(1000);
    start(episode, NODE);
    await_birth(episode, NODE);
    has_program = has_come(episode);
    break;
  case 1: /* the program first */
    journal->may_miss = true;
    start(episode, PROGRAM);
    has_program = has_come(episode);
    if (!has_program)
      check_arrived(journal, NODE, false);
    start(episode, NODE);
    await_birth(episode, NODE);
    break;
  default:
    for (int side = 0; side < 2; side++)
      journal->from[side].floor = tried[side];
    start(episode, NODE);
    await_birth(episode, NODE);
    CHECK(region_of(episode) != region);
  }
  if (region_of(episode) != region) {
    for (int side = 0; side < 2; side++)
      journal->from[side].floor = tried[side];
    episode->result.replaced++;
  }
  journal->may_miss = false;
  if (!has_program) {
    start(episode, PROGRAM);
    await_birth(episode, PROGRAM);
  }
}

/* For people: where both stand. */
static void say_state(const struct episode *episode)
{
  const struct journal *journal = episode->journal;

  fprintf(stderr, "polling %d, queuelen %d, spare %d, batch %u\n", journal->polling, journal->queuelen, journal->spare, journal->batch);
  for (int side = 0; side < 2; side++) {
    const struct direction *from = &journal->from[side];
    char path[64], text[400] = "";
    for (size_t file = 0; file < 4; file++) {
      static const char *const files[] = {"wchan", "syscall", "stat", "schedstat"};
      snprintf(path, sizeof path, "/proc/%d/%s", (int)episode->pids[side], files[file]);
      int fd = open(path, O_RDONLY | O_CLOEXEC);
      ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
      fprintf(stderr, "%s: %.*s\n", path, got > 0 ? (int)got : 0, text);
      close(fd);
    }
    fprintf(stderr, "side %d: generation %llu, born %llu, dying %llu, seen alive %llu, seen dead %llu; tried %llu, written %llu, "
            "floor %llu, received %llu; running %d, asleep %d\n", side, (unsigned long long)journal->generation[side],
            (unsigned long long)journal->born[side], (unsigned long long)journal->dying[side],
            (unsigned long long)journal->seen_alive[side], (unsigned long long)journal->seen_dead[side],
            (unsigned long long)from->tried, (unsigned long long)from->written, (unsigned long long)from->floor,
            (unsigned long long)journal->moved[side], check_running(episode->pids[side]),
            check_asleep(episode->pids[side], episode->pids[side]));
  }
}

/* One that was told to close and end does. */
static void await_end(const struct episode *episode, enum side side)
{
  struct check_deadline deadline = check_within(10);
  const double begin = check_clock();
  int status = 0;

  for (; waitpid(episode->pids[side], &status, WNOHANG) == 0; check_pause())
    if (check_is_over(&deadline)) {
      say_state(episode);
      check_fail(__FILE__, __LINE__, "side %d does not end; by the clock, %.1f s", side, check_clock() - begin);
    }
  CHECK_EQ(status, 0);
  const uint64_t time = (uint64_t)((check_clock() - begin) * 1e6);
  for (uint64_t longest = campaign->longest_end; time > longest;)
    if (atomic_compare_exchange_weak(&campaign->longest_end, &longest, time))
      break;
}

static void one_ends(struct episode *episode, enum side victim)
{
  struct journal *journal = episode->journal;
  const enum side other = 1 - victim;
  const bool was_seen = journal->seen_alive[victim] == journal->generation[victim];
  const uint64_t what = pick(40);

  if (what < 4) { /* it closes and ends */
    journal->leave[victim] = journal->generation[victim];
    await_end(episode, victim);
    episode->result.leaves++;
  } else if (what < 8) { /* stopped when it dies */
    stop(episode, victim);
    end_of(episode, victim);
  } else if (what < 12) { /* while the survivor is stopped */
    stop(episode, other);
    end_of(episode, victim);
    if (pick(2))
      pause_up_to(500);
    go_on(episode, other);
  } else {
    end_of(episode, victim);
  }
  if (pick(16) == 0 && was_seen)
    WAIT_UNTIL(journal->seen_dead[victim] == journal->generation[victim], 10);
  start(episode, victim);
  while (pick(4) == 0) { /* while it attaches and repairs */
    pause_up_to(600);
    end_of(episode, victim);
    start(episode, victim);
  }
  await_birth(episode, victim);
}

/* Samples cross, both ways. */
static void await_progress(const struct episode *episode)
{
  const struct journal *journal = episode->journal;
  const uint64_t moved[2] = {journal->moved[0], journal->moved[1]};

  struct check_deadline deadline = check_within(10);
  for (; journal->moved[0] == moved[0] || journal->moved[1] == moved[1]; check_pause())
    if (check_is_over(&deadline)) {
      say_state(episode);
      check_fail(__FILE__, __LINE__, "nothing crosses any more");
    }
}

static void round_of(struct episode *episode)
{
  const enum side victim = episode->victims == 2 ? (enum side)pick(2) : (enum side)episode->victims;

  pause_up_to(1500);
  if (pick(16) == 0) {
    const enum side side = (enum side)pick(2);
    stop(episode, side);
    go_on(episode, side);
  }
  if (pick(12) == 0)
    both_end(episode);
  else
    one_ends(episode, victim);
  if (pick(8) == 0)
    await_progress(episode);
}

static void run_episode(uint64_t number, struct result *result)
{
  struct episode *const episode = &current;
  struct journal *journal = check_shared(sizeof *journal);
  static const int lengths[] = {1, 2, 3, 8, 32, 200}, spares[] = {1, 3, 16};

  *episode = (struct episode){.journal = journal};
  traffic_state = check_mix(campaign->seed ^ number << 16);
  alarm(600); /* by the clock, however little of it there is for this process; what is awaited has deadlines */
  snprintf(journal->region, sizeof journal->region, "%s", check_name("kills"));
  journal->seed = pick(UINT64_MAX);
  journal->polling = (int)(number & 1);
  journal->queuelen = lengths[pick(6)];
  journal->spare = spares[pick(3)];
  journal->batch = pick(4) ? 1 + (unsigned int)pick(IN_HAND) : 1;
  episode->victims = (int)pick(3);
  for (enum side side = NODE; side <= PROGRAM; side++) {
    episode->workers[side] = (struct worker){journal, side};
    start(episode, side);
    await_birth(episode, side);
  }
  const uint64_t goal = campaign->goal < EPISODE ? campaign->goal : EPISODE;
  while (episode->result.kills < goal && journal->from[0].tried < NUMBERS / 8 * 7 && journal->from[1].tried < NUMBERS / 8 * 7)
    round_of(episode);
  journal->finish = true;
  for (int side = 0; side < 2; side++)
    CHECK_CHILD_ENDS_WELL(episode->pids[side], 20);
  check_journal(journal);
  CHECK_EQ(shmem_shared_unlink(journal->region), 0);
  check_name_count = 0;
  *result = episode->result;
  result->samples = journal->from[0].written + journal->from[1].written;
  result->echoes = journal->echoes;
  result->again = journal->again;
  munmap(journal, sizeof *journal);
}

/* ---- the campaign ---------------------------------------------------------------------------- */

#define FIELDS(r) (unsigned long long)(r).kills, (unsigned long long)(r).stops, (unsigned long long)(r).leaves, \
                  (unsigned long long)(r).replaced, (unsigned long long)(r).samples, (unsigned long long)(r).echoes, \
                  (unsigned long long)(r).again

static void add(const struct result *result)
{
  campaign->done++;
  campaign->kills += result->kills;
  campaign->stops += result->stops;
  campaign->leaves += result->leaves;
  campaign->replaced += result->replaced;
  campaign->samples += result->samples;
  campaign->echoes += result->echoes;
  campaign->again += result->again;
}

/* When a job fails: those that could still make its region go first. */
static void end_workers(void)
{
  char path[CHECK_NAME_SIZE + 16] = "/dev/shm/";

  for (int side = 0; side < 2; side++)
    if (current.pids[side] > 0 && kill(current.pids[side], SIGKILL) == 0)
      waitpid(current.pids[side], NULL, 0);
  strcat(path, check_names[0]);
  unlink(path);
}

static void run_episodes(void *arg)
{
  (void)arg;
  check_owner = getpid(); /* removes its regions when it fails */
  check_cleanup_more = end_workers;
  while (campaign->kills < campaign->goal && check_clock() < campaign->end) {
    const uint64_t number = campaign->next++;
    struct result result;

    if (number < sizeof campaign->finished && campaign->finished[number])
      continue;
    run_episode(number, &result);
    add(&result);
    if (campaign->log >= 0)
      dprintf(campaign->log, "%llu %llu  %llu %llu %llu %llu %llu %llu %llu\n", (unsigned long long)campaign->seed,
              (unsigned long long)number, FIELDS(result));
  }
}

/* Episodes of this seed that earlier runs have done. */
static uint64_t resume(const char *path)
{
  FILE *file = fopen(path, "r");
  unsigned long long seed, number, f[7];
  char line[256];

  while (file && fgets(line, sizeof line, file)) {
    if (sscanf(line, "%llu %llu %llu %llu %llu %llu %llu %llu %llu", &seed, &number, f, f + 1, f + 2, f + 3, f + 4, f + 5, f + 6) != 9 ||
        seed != campaign->seed || number >= sizeof campaign->finished)
      continue;
    campaign->finished[number] = 1;
    add(&(struct result){f[0], f[1], f[2], f[3], f[4], f[5], f[6]});
  }
  if (file)
    fclose(file);
  return campaign->kills;
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
  const char *value = getenv(variable);

  return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

int main(void)
{
  pid_t jobs[64];
  int count;

  check_begin();
  check_test = "what is killed at random loses nothing";
  campaign = check_shared(sizeof *campaign);
  campaign->goal = check_scaled(number_of("KILLS", 100));
  campaign->seed = number_of("SEED", (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32);
  const uint64_t time_limit = number_of("TIME", 0);
  const double begin = check_clock();
  campaign->end = time_limit ? begin + (double)time_limit : 1e300;
  count = (int)number_of("JOBS", 2);
  CHECK(count > 0 && count <= 64);
  const char *path = getenv("KILLS_LOG");
  campaign->log = -1;
  uint64_t earlier = 0;
  if (path && *path) {
    earlier = resume(path);
    CHECK((campaign->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) >= 0);
  }
  printf("random kills of channels: SEED=%llu, %llu wanted, %llu done earlier\n", (unsigned long long)campaign->seed,
         (unsigned long long)campaign->goal, (unsigned long long)earlier);
  signal(SIGTERM, check_on_alarm);
  signal(SIGINT, check_on_alarm);
  alarm(0);
  for (int i = 0; i < count; i++)
    jobs[i] = check_spawn(run_episodes, NULL);
  for (int i = 0; i < count; i++) {
    int status;
    CHECK_EQ(waitpid(-1, &status, 0) > 0, 1);
    if (status != 0) {
      for (int job = 0; job < count; job++)
        kill(jobs[job], SIGTERM);
      check_fail(__FILE__, __LINE__, "an episode has failed: see above; SEED=%llu", (unsigned long long)campaign->seed);
    }
  }
  const double seconds = check_clock() - begin;
  printf("%llu kills in %llu episodes, %llu stops, %llu clean ends, %llu regions replaced; %llu samples, %llu sent back, "
         "%llu came again marked; the longest end took %.2f s; %.1f s, %.0f kills/s\n",
         (unsigned long long)campaign->kills, (unsigned long long)campaign->done, (unsigned long long)campaign->stops,
         (unsigned long long)campaign->leaves, (unsigned long long)campaign->replaced, (unsigned long long)campaign->samples,
         (unsigned long long)campaign->echoes, (unsigned long long)campaign->again, (double)campaign->longest_end / 1e6, seconds,
         (double)(campaign->kills - earlier) / seconds);
  CHECK(time_limit || campaign->kills >= campaign->goal);
  return 0;
}
