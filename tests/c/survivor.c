/* examples/survivor.c, as a user runs it, beside a node that is killed and started again under full
 * traffic, and so is it. Its path is in the environment variable SURVIVOR.
 *
 * The node numbers its samples. Each sample that it has written comes back: once, or again and
 * marked. Only what lay in a region whose name was removed may be missing. */
#include "check.h"

enum { NUMBERS = 1 << 22, VALUES = 66, PROGRESS = 300 };

struct journal {
  char region[CHECK_NAME_SIZE];
  _Atomic bool leave, finish;
  _Atomic uint64_t born;     /* generations of the node that have created or taken over a region */
  _Atomic uint64_t tried;    /* numbers below may be in the queue */
  _Atomic uint64_t written;  /* numbers below are in the queue, or excused */
  _Atomic uint64_t newest;   /* the number that came back last */
  _Atomic uint64_t marked;
  _Atomic unsigned char back[NUMBERS], excused[NUMBERS];
};

static struct journal *journal;
static const char *path;
static pid_t node, program;

/* ---- the node ------------------------------------------------------------------------------- */

static void receive(struct shmem_shared *shm)
{
  struct sample *smps[8];
  int count = shmem_shared_try_read(shm, smps, 8);

  for (int i = 0; i < count; i++) {
    const struct sample *smp = smps[i];
    const uint64_t number = smp->sequence;
    CHECK(number < journal->tried);
    CHECK_EQ(smp->length, VALUES);
    CHECK(smp->data[0].f >= 0.2 && smp->data[0].f <= 1); /* of a one, smoothed once */
    CHECK_EQ(smp->data[VALUES - 1].i, (int64_t)check_mix(number)); /* beyond what is smoothed */
    CHECK_EQ(smp->ts.origin.tv_nsec, (long)(number % 1000000000));
    if (smp->flags & SAMPLE_REDELIVERED)
      journal->marked++;
    else if (journal->back[number])
      check_fail(__FILE__, __LINE__, "%llu came again without a mark", (unsigned long long)number);
    journal->back[number] = 1;
    journal->newest = number;
  }
  if (count > 0)
    CHECK_EQ(sample_put_many(smps, (unsigned int)count), count);
}

static void send(struct shmem_shared *shm)
{
  struct sample *smp;
  const uint64_t number = journal->tried;

  if (sample_alloc(&shm->pool, &smp, 1) != 1)
    return;
  CHECK(number < NUMBERS);
  smp->length = VALUES;
  smp->sequence = number;
  smp->ts.origin.tv_nsec = (long)(number % 1000000000);
  smp->flags = SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_TS_ORIGIN | SAMPLE_HAS_DATA;
  for (int i = 0; i < VALUES; i++)
    smp->data[i].f = 1;
  smp->data[VALUES - 1].i = (int64_t)check_mix(number);
  journal->tried = number + 1;
  if (shmem_shared_timed_write(shm, &smp, 1, MS(1)) == 1)
    journal->written = number + 1;
  else {
    journal->tried = number;
    CHECK(errno == ETIMEDOUT || errno == EPIPE);
    CHECK_EQ(sample_put(smp), 0);
  }
}

static bool all_back(void)
{
  for (uint64_t number = 0; number < journal->written; number++)
    if (!journal->back[number] && !journal->excused[number])
      return false;
  return true;
}

static void run_node(void *unused)
{
  struct shmem_conf conf = check_conf(0, 32, VALUES, 32);
  struct shmem_shared *shm;

  (void)unused;
  CHECK_HANDLE(shm = shmem_shared_create(journal->region, &conf));
  if (journal->written != journal->tried) { /* the last generation was killed in a write */
    journal->excused[journal->written] = 1;
    journal->written = journal->tried;
  }
  journal->born++;
  while (!journal->leave) {
    receive(shm);
    if (!journal->finish)
      send(shm);
    else if (all_back())
      break;
  }
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);
}

static void start_node(void)
{
  const uint64_t before = journal->born;

  journal->leave = false;
  node = check_spawn(run_node, NULL);
  WAIT_UNTIL(journal->born > before || !check_running(node), 10);
  CHECK_EQ(journal->born, before + 1);
}

static void run_program(void *unused)
{
  (void)unused;
  execl(path, "survivor", journal->region, (char *)NULL);
  check_fail(__FILE__, __LINE__, "exec");
}

static void stop_program(int number)
{
  CHECK_EQ(kill(program, number), 0);
  CHECK_CHILD_ENDS_WELL(program, 10);
}

/* ---- the tests ------------------------------------------------------------------------------ */

static void begin(void)
{
  journal = check_shared(sizeof *journal);
  snprintf(journal->region, sizeof journal->region, "%s", check_name("survivor"));
}

/* Samples that are written from now on come back. */
static void await_progress(void)
{
  const uint64_t from = journal->tried;

  WAIT_UNTIL(journal->newest >= from + PROGRESS, 10);
}

static void finish(void)
{
  journal->finish = true;
  CHECK_CHILD_ENDS_WELL(node, 20);
  stop_program(SIGTERM);
  CHECK(all_back());
  if (getenv("CHECK_VERBOSE"))
    fprintf(stderr, "  %llu samples, %llu came marked\n", (unsigned long long)journal->written,
            (unsigned long long)journal->marked);
  CHECK_EQ(munmap(journal, sizeof *journal), 0);
}

static void it_loses_nothing_when_its_node_is_killed_or_closes(void)
{
  begin();
  program = check_spawn(run_program, NULL); /* it waits for the node */
  start_node();
  await_progress();
  for (uint64_t i = 0; i < check_scaled(100); i++) {
    if (i % 4 == 3) {
      journal->leave = true;
      CHECK_CHILD_ENDS_WELL(node, 10);
    } else {
      check_kill(node);
    }
    start_node();
    await_progress();
  }
  finish();
}

static void its_successor_goes_on_where_it_was_killed_or_stopped(void)
{
  begin();
  start_node();
  program = check_spawn(run_program, NULL);
  await_progress();
  for (uint64_t i = 0; i < check_scaled(500); i++) {
    if (i % 4 == 3)
      stop_program(i % 8 == 3 ? SIGTERM : SIGINT);
    else
      check_kill(program);
    program = check_spawn(run_program, NULL);
    await_progress();
  }
  finish();
}

/* Whether the program has the region, or one of that name that was removed. */
static bool is_mapped(void)
{
  char file[64], line[600];
  bool found = false;

  snprintf(file, sizeof file, "/proc/%d/maps", (int)program);
  FILE *maps = fopen(file, "re");
  CHECK(maps);
  while (fgets(line, sizeof line, maps))
    found = found || strstr(line, journal->region);
  fclose(maps);
  return found;
}

static void it_opens_again_when_the_region_was_removed_and_made_anew(void)
{
  begin();
  start_node();
  program = check_spawn(run_program, NULL);
  await_progress();
  for (uint64_t i = 0; i < check_scaled(4); i++) {
    check_kill(node);
    CHECK_EQ(shmem_shared_unlink(journal->region), 0);
    for (uint64_t number = 0; number < journal->tried; number++)
      journal->excused[number] = 1;
    if (i % 2) /* it gives the region up, and all samples back, before there is another one */
      WAIT_UNTIL(!is_mapped(), 10);
    start_node();
    await_progress();
  }
  finish();
}

static void a_signal_ends_it_while_it_waits_for_a_node(void)
{
  begin();
  program = check_spawn(run_program, NULL);
  WAIT_UNTIL(check_asleep(program, program), 10);
  stop_program(SIGTERM);
  CHECK_EQ(munmap(journal, sizeof *journal), 0);
}

int main(void)
{
  check_begin();
  path = getenv("SURVIVOR");
  if (!path)
    check_skip("SURVIVOR does not name the built example");
  RUN(a_signal_ends_it_while_it_waits_for_a_node);
  RUN(it_loses_nothing_when_its_node_is_killed_or_closes);
  RUN(its_successor_goes_on_where_it_was_killed_or_stopped);
  RUN(it_opens_again_when_the_region_was_removed_and_made_anew);
  return 0;
}
