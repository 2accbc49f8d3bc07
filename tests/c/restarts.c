/* The node, the program, both in turn, started anew a hundred times with data flowing: each process is a program of its own
 * (exec), and ends by SIGKILL or by itself. Nobody cleans up between; nothing that the survivor wrote is lost; at the end
 * nothing is left in /dev/shm. */
#include "traffic.h"

#include <dirent.h>

enum { RESTARTS = 100, JOURNAL_FD = 100 };

static struct journal *journal;
static pid_t pids[2];

static struct journal *map_journal(void)
{
  struct journal *mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, JOURNAL_FD, 0);

  CHECK(mapped != MAP_FAILED);
  return mapped;
}

static void run_side(void *arg)
{
  execl("/proc/self/exe", "restarts", arg, (char *)NULL);
  check_fail(__FILE__, __LINE__, "exec");
}

static void start(enum side side)
{
  journal->generation[side]++;
  pids[side] = check_spawn(run_side, side == NODE ? "node" : "program");
  WAIT_UNTIL(journal->born[side] == journal->generation[side] || !check_running(pids[side]), 10);
  CHECK_EQ(journal->born[side], journal->generation[side]);
}

static void await_progress(void)
{
  const uint64_t moved[2] = {journal->moved[0], journal->moved[1]};

  WAIT_UNTIL(journal->moved[0] > moved[0] + 20 && journal->moved[1] > moved[1] + 20, 10);
}

static void restart(enum side side, bool by_itself)
{
  if (by_itself) {
    journal->leave[side] = journal->generation[side];
    CHECK_CHILD_ENDS_WELL(pids[side], 10);
  } else {
    journal->dying[side] = journal->generation[side];
    check_kill(pids[side]);
  }
  start(side);
  await_progress();
}

static bool is_left(const char *name)
{
  DIR *directory = opendir("/dev/shm");
  struct dirent *entry;
  bool found = false;

  CHECK(directory);
  while ((entry = readdir(directory)))
    found = found || strstr(entry->d_name, name);
  closedir(directory);
  return found;
}

static void restart_a_hundred_times(int polling)
{
  int fd = memfd_create("journal", 0);

  CHECK_EQ(dup2(fd, JOURNAL_FD), JOURNAL_FD);
  close(fd);
  CHECK_EQ(ftruncate(JOURNAL_FD, sizeof *journal), 0);
  journal = map_journal();
  snprintf(journal->region, sizeof journal->region, "%s", check_name("restarts"));
  journal->polling = polling;
  journal->queuelen = 16;
  journal->spare = 8;
  journal->batch = IN_HAND;
  journal->seed = 1 + (uint64_t)polling;
  start(NODE);
  start(PROGRAM);
  await_progress();
  for (uint64_t i = 0; i < check_scaled(RESTARTS); i++) {
    /* The node alone, the program alone, both in turn; killed, or by themselves. */
    const bool by_itself = i / 4 % 2;
    restart(i % 4 == 0 || i % 4 == 2 ? NODE : PROGRAM, by_itself);
    if (i % 4 >= 2)
      restart(i % 4 == 2 ? PROGRAM : NODE, !by_itself);
  }
  journal->finish = true;
  CHECK_CHILD_ENDS_WELL(pids[NODE], 20);
  CHECK_CHILD_ENDS_WELL(pids[PROGRAM], 20);
  check_journal(journal);
  CHECK_EQ(journal->from[0].floor, 0); /* the region was never replaced */
  CHECK_EQ(shmem_shared_unlink(journal->region), 0);
  CHECK(!is_left(journal->region));
  if (getenv("CHECK_VERBOSE"))
    fprintf(stderr, "  %llu samples, %llu came again marked\n",
            (unsigned long long)(journal->from[0].written + journal->from[1].written), (unsigned long long)journal->again);
  munmap(journal, sizeof *journal);
  close(JOURNAL_FD);
}

static void a_hundred_restarts_lose_nothing_in_pthread_mode(void)
{
  restart_a_hundred_times(0);
}

static void a_hundred_restarts_lose_nothing_in_polling_mode(void)
{
  restart_a_hundred_times(1);
}

int main(int argc, char **argv)
{
  check_begin();
  if (argc > 1) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    check_owner = 0; /* the names are the parent's */
    check_test = argv[1];
    work(&(struct worker){map_journal(), strcmp(argv[1], "node") == 0 ? NODE : PROGRAM});
    check_exit(0);
  }
  if (check_valgrind())
    check_skip("the programs that it starts anew cannot be loaded under valgrind on each machine");
  RUN(a_hundred_restarts_lose_nothing_in_pthread_mode);
  RUN(a_hundred_restarts_lose_nothing_in_polling_mode);
  return 0;
}
