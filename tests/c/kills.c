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

static void pause_up_to(uint64_t microseconds)
{
  uint64_t time = pick(microseconds);

  if (time > 60) /* the kernel's slack */
    nanosleep(&(struct timespec){.tv_nsec = (long)(time - 60) * 1000}, NULL);
  else
    for (double end = check_clock() + (double)time / 1e6; check_clock() < end;)
      ;
}

static void start(struct episode *episode, enum side side)
{
  episode->journal->generation[side]++;
  episode->pids[side] = check_spawn(work, &episode->workers[side]);
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

/* Both die. A node makes a new region; a program that comes before it gets what is left for it. */
static void both_end(struct episode *episode)
{
  struct journal *journal = episode->journal;
  const enum side first = (enum side)pick(2);

  end_of(episode, first);
  if (pick(2))
    pause_up_to(200);
  end_of(episode, 1 - first);
  if (pick(2)) {
    start(episode, PROGRAM);
    WAIT_UNTIL(journal->born[PROGRAM] == journal->generation[PROGRAM] || !check_running(episode->pids[PROGRAM]), 10);
    if (journal->born[PROGRAM] == journal->generation[PROGRAM]) {
      start(episode, NODE);
      await_birth(episode, NODE);
      return;
    }
    CHECK_EQ(journal->nothing[PROGRAM], journal->generation[PROGRAM]);
    check_arrived(journal, NODE, false);
  }
  for (int side = 0; side < 2; side++)
    journal->from[side].floor = journal->from[side].tried;
  episode->result.replaced++;
  start(episode, NODE);
  await_birth(episode, NODE);
  start(episode, PROGRAM);
  await_birth(episode, PROGRAM);
}

static void one_ends(struct episode *episode, enum side victim)
{
  struct journal *journal = episode->journal;
  const enum side other = 1 - victim;
  const bool was_seen = journal->seen_alive[victim] == journal->generation[victim];
  const uint64_t what = pick(40);
  int status;

  if (what < 4) { /* it closes and ends */
    journal->leave[victim] = journal->generation[victim];
    WAIT_UNTIL((status = -1, waitpid(episode->pids[victim], &status, WNOHANG)) == episode->pids[victim], 10);
    CHECK_EQ(status, 0);
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

static void round_of(struct episode *episode)
{
  struct journal *journal = episode->journal;
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
  if (pick(8) == 0) { /* nobody hangs */
    const uint64_t moved[2] = {journal->moved[0], journal->moved[1]};
    WAIT_UNTIL(journal->moved[0] > moved[0] && journal->moved[1] > moved[1], 10);
  }
}

static void run_episode(uint64_t number, struct result *result)
{
  struct episode episode = {0};
  struct journal *journal = check_shared(sizeof *journal);
  static const int lengths[] = {1, 2, 3, 8, 32, 200}, spares[] = {1, 3, 16};

  traffic_state = check_mix(campaign->seed ^ number << 16);
  alarm(100);
  journal->name = check_name("kills");
  journal->seed = pick(UINT64_MAX);
  journal->polling = (int)(number & 1);
  journal->queuelen = lengths[pick(6)];
  journal->spare = spares[pick(3)];
  journal->batch = pick(4) ? 1 + (unsigned int)pick(IN_HAND) : 1;
  episode.journal = journal;
  episode.victims = (int)pick(3);
  for (enum side side = NODE; side <= PROGRAM; side++) {
    episode.workers[side] = (struct worker){journal, side};
    start(&episode, side);
    await_birth(&episode, side);
  }
  const uint64_t goal = campaign->goal < EPISODE ? campaign->goal : EPISODE;
  while (episode.result.kills < goal && journal->from[0].tried < NUMBERS / 8 * 7 && journal->from[1].tried < NUMBERS / 8 * 7)
    round_of(&episode);
  journal->finish = true;
  for (int side = 0; side < 2; side++)
    CHECK_CHILD_ENDS_WELL(episode.pids[side], 20);
  check_journal(journal);
  CHECK_EQ(shmem_shared_unlink(journal->name), 0);
  check_name_count = 0;
  *result = episode.result;
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

static void run_episodes(void *arg)
{
  (void)arg;
  check_owner = getpid(); /* removes its regions when it fails */
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
         "%llu came again marked; %.1f s, %.0f kills/s\n",
         (unsigned long long)campaign->kills, (unsigned long long)campaign->done, (unsigned long long)campaign->stops,
         (unsigned long long)campaign->leaves, (unsigned long long)campaign->replaced, (unsigned long long)campaign->samples,
         (unsigned long long)campaign->echoes, (unsigned long long)campaign->again, seconds,
         (double)(campaign->kills - earlier) / seconds);
  CHECK(time_limit || campaign->kills >= campaign->goal);
  return 0;
}
