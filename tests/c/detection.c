/* How soon a survivor learns of a death: from SIGKILL to the return of its call, blocked in each call that can be, in both
 * modes, for small regions and one of 2^17 blocks; as a table and a histogram. Asserted is that the median of each row is
 * below 100 ms, less the time in which those that take part could have run and got no processor; and that no death takes
 * seconds, against hanging. The printed figures are the clock's.
 *
 *   DEATHS=6   of each kind, from the environment
 */
#include "check.h"

enum { SMALL = 1 << 6, LARGE = 1 << 17, MOST = 4000 };
enum { PROMISED = 100, ENOUGH = 5 }; /* ms; deaths whose median says something */

struct scene {
  const char *name;
  int polling, blocks;
  _Atomic bool is_ready; /* the victim is where it is to die */
  _Atomic pid_t blocked; /* the survivor is about to call */
  _Atomic double killed, returned;
  _Atomic double restarted; /* the node that comes next calls create */
  _Atomic double unserved;  /* the survivor's, when it returns */
};

static struct scene *scene;

/* The library's: it locks bytes of a region, and nothing else here locks. A victim stops with so many locks in its hands. */
static int stops_with_locks;

int fcntl(int fd, int command, ...)
{
  va_list args;

  va_start(args, command);
  const int result = (int)syscall(SYS_fcntl, fd, command, va_arg(args, void *));
  va_end(args);
  if (command == F_OFD_SETLK && result == 0 && stops_with_locks && --stops_with_locks == 0) {
    scene->is_ready = true;
    for (;;)
      pause();
  }
  return result;
}

static double all[2][MOST];
static int all_count[2];

static struct shmem_conf conf_of(void)
{
  return check_conf(scene->polling, scene->blocks / 2 - 16, 1, 16);
}

static struct shmem_shared *node(void)
{
  struct shmem_conf conf = conf_of();
  struct shmem_shared *shm;

  CHECK_HANDLE(shm = shmem_shared_create(scene->name, &conf));
  return shm;
}

static struct shmem_shared *program(void)
{
  struct shmem_shared *shm;

  CHECK_HANDLE(shm = shmem_shared_timed_open(scene->name, NULL, PATIENT));
  return shm;
}

static void hold_on(void)
{
  scene->is_ready = true;
  for (;;)
    pause();
}

/* Seconds in which a process could have run and got no processor, so far. 0 where the kernel does not count them. */
static double unserved(pid_t pid)
{
  char path[64];
  unsigned long long ran, waited = 0;

  snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
  FILE *file = fopen(path, "re");
  if (!file)
    return 0;
  if (fscanf(file, "%llu %llu", &ran, &waited) != 2)
    waited = 0;
  fclose(file);
  return (double)waited / 1e9;
}

static void returned(void)
{
  scene->returned = check_clock();
  scene->unserved = unserved(getpid());
}

/* ---- channels: the program dies, the node is blocked ------------------------------------------ */

static void idle_program(void *arg)
{
  (void)arg;
  program();
  hold_on();
}

static void reading_node(void *arg)
{
  struct shmem_shared *shm = node();
  struct sample *smp;

  (void)arg;
  CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0);
  scene->blocked = getpid();
  CHECK_GIVES(shmem_shared_timed_read(shm, &smp, 1, NULL), -1, EPIPE);
  returned();
}

static void fill_queue(struct shmem_shared *shm)
{
  for (int i = 0; i < scene->blocks / 2 - 16; i++)
    check_send(shm, 1, 1);
}

static struct shmem_shared *full_node(void)
{
  struct shmem_shared *shm = node();

  CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0);
  fill_queue(shm);
  return shm;
}

static void writing_node(void *arg)
{
  struct shmem_shared *shm = full_node();
  struct sample *smp = check_make(shm, 1);

  (void)arg;
  scene->blocked = getpid();
  CHECK_GIVES(shmem_shared_timed_write(shm, &smp, 1, NULL), -1, EPIPE);
  returned();
}

static void allocating_node(void *arg)
{
  struct shmem_shared *shm = full_node();
  struct sample *smps[17];

  (void)arg;
  CHECK_EQ(sample_alloc(&shm->pool, smps, 16), 16);
  scene->blocked = getpid();
  CHECK_GIVES(shmem_shared_timed_alloc(shm, smps, 1, NULL), -1, EPIPE);
  returned();
}

/* ---- channels: a peer dies as it comes ---------------------------------------------------------- */

/* Who waits for a peer waits on, for the next; and that one is blocked in its open, as the dead has claimed the side. */
static void coming_program(void *arg)
{
  (void)arg;
  stops_with_locks = 1;
  program();
}

static void next_program(void *arg)
{
  (void)arg;
  program();
  hold_on();
}

static void waiting_node(void *arg)
{
  struct shmem_shared *shm = node();

  (void)arg;
  scene->blocked = getpid();
  CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0);
  returned();
}

/* It dies with both sides claimed of a region in which a dead node has left something to read, after that of its own new one. */
static void replacing_node(void *arg)
{
  (void)arg;
  stops_with_locks = 3;
  node();
}

static void leaving_node(void *arg)
{
  (void)arg;
  check_send(node(), 1, 1);
  _exit(0);
}

static void opening_program(void *arg)
{
  (void)arg;
  scene->blocked = getpid();
  check_receive(program(), 1, 1);
  returned();
}

/* ---- channels: the node dies, and another comes at once ----------------------------------------- */

static void idle_node(void *arg)
{
  (void)arg;
  scene->restarted = check_clock();
  node();
  hold_on();
}

/* A wait with a live node returns at once: it begins when that is dead. */
static void rejoining_program(void *arg)
{
  struct shmem_shared *shm = program();

  (void)arg;
  scene->blocked = getpid();
  WAIT_UNTIL(scene->killed > 0, 10);
  CHECK_EQ(shmem_shared_wait(shm, PATIENT), 0);
  returned();
}

/* So does an open. What a dead node has left is no region to open, if there is nothing to read in it. */
static void reopening_program(void *arg)
{
  (void)arg;
  scene->blocked = getpid();
  WAIT_UNTIL(scene->killed > 0, 10);
  program();
  returned();
}

/* ---- rings -------------------------------------------------------------------------------------- */

static struct shmem_ring *ring(int role)
{
  struct shmem_ring *ring;

  CHECK_HANDLE(ring = shmem_ring_open(scene->name, SHMEM_MPMC, role, 8, (size_t)scene->blocks));
  return ring;
}

/* It dies with the first slot claimed; behind that is a message. */
static void reserving_producer(void *arg)
{
  (void)arg;
  CHECK(shmem_ring_reserve(ring(SHMEM_PRODUCER)) != NULL);
  hold_on();
}

static void popping_consumer(void *arg)
{
  struct shmem_ring *producer = ring(SHMEM_PRODUCER), *consumer = ring(SHMEM_CONSUMER);
  uint64_t message = 7;

  (void)arg;
  WAIT_UNTIL(scene->is_ready, 10);
  CHECK_EQ(shmem_ring_push(producer, &message), 0);
  scene->blocked = getpid();
  CHECK_EQ(shmem_ring_timed_pop(consumer, &message, NULL), 0);
  returned();
}

/* It dies with the oldest message in hand, the ring is full. */
static void peeking_consumer(void *arg)
{
  struct shmem_ring *producer = ring(SHMEM_PRODUCER), *consumer = ring(SHMEM_CONSUMER);
  uint64_t message = 7;

  (void)arg;
  for (int i = 0; i < scene->blocks; i++)
    CHECK_EQ(shmem_ring_try_push(producer, &message), 0);
  CHECK(shmem_ring_peek(consumer) != NULL);
  hold_on();
}

static void pushing_producer(void *arg)
{
  struct shmem_ring *producer = ring(SHMEM_PRODUCER);
  uint64_t message = 7;

  (void)arg;
  WAIT_UNTIL(scene->is_ready, 10);
  scene->blocked = getpid();
  CHECK_EQ(shmem_ring_timed_push(producer, &message, NULL), 0);
  returned();
}

/* ---- figures ------------------------------------------------------------------------------------ */

static int ascending(const void *one, const void *other)
{
  const double a = *(const double *)one, b = *(const double *)other;

  return (a > b) - (a < b);
}

static double at(const double *sorted, int count, double share)
{
  int index = (int)(share * count);

  return sorted[index < count ? index : count - 1];
}

static void histogram(const char *what, double *times, int count)
{
  static const double edges[] = {0.1, 0.3, 1, 3, 10, 20, 30, 40, 50, 60, 80, 100, 1e9};
  double from = 0;

  qsort(times, (size_t)count, sizeof *times, ascending);
  printf("%s: %d deaths, p50 %.2f ms, p90 %.2f, p99 %.2f, max %.2f\n", what, count, at(times, count, 0.5),
         at(times, count, 0.9), at(times, count, 0.99), times[count - 1]);
  for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
    int in = 0;
    for (int k = 0; k < count; k++)
      in += times[k] >= from && times[k] < edges[i];
    if (edges[i] < 1e9)
      printf("  %6.1f to %6.1f ms %6d ", from, edges[i], in);
    else
      printf("  above     %6.1f ms %6d ", from, in);
    for (int k = 0; k < (in * 50 + count - 1) / count; k++)
      putchar('#');
    putchar('\n');
    from = edges[i];
  }
}

struct blocked_call {
  const char *call;
  void (*survivor)(void *), (*victim)(void *);
  void (*before)(void *); /* ends by itself, before all others */
  void (*next)(void *);   /* blocked in its open when the victim is killed; what the survivor waits for */
  bool victim_first, is_restart, is_ring;
};

static const struct blocked_call calls[] = {
  {"timed_read", reading_node, idle_program, NULL, NULL, false, false, false},
  {"timed_write, full", writing_node, idle_program, NULL, NULL, false, false, false},
  {"timedalloc", allocating_node, idle_program, NULL, NULL, false, false, false},
  {"wait", waiting_node, coming_program, NULL, next_program, false, false, false},
  {"timed_open", opening_program, replacing_node, leaving_node, NULL, true, false, false},
  {"ring pop, claimed", popping_consumer, reserving_producer, NULL, NULL, true, false, true},
  {"ring push, full", pushing_producer, peeking_consumer, NULL, NULL, true, false, true},
  {"restart, wait", rejoining_program, idle_node, NULL, NULL, true, true, false},
  {"restart, timed_open", reopening_program, idle_node, NULL, NULL, true, true, false},
};

/* In ms. */
struct took {
  double all, served;
};

static struct took one_death(const struct blocked_call *kind, int polling, int blocks)
{
  scene->polling = polling;
  scene->blocks = blocks;
  scene->is_ready = false;
  scene->blocked = 0;
  scene->killed = scene->returned = scene->restarted = 0;
  pid_t victim = 0, next = 0;

  if (kind->before)
    CHECK_CHILD_ENDS_WELL(check_spawn(kind->before, NULL), 20);
  if (kind->victim_first) {
    victim = check_spawn(kind->victim, NULL);
    WAIT_UNTIL(scene->is_ready, 20);
  }
  pid_t survivor = check_spawn(kind->survivor, NULL);
  if (!kind->victim_first)
    victim = check_spawn(kind->victim, NULL);
  WAIT_UNTIL(scene->is_ready && scene->blocked, 20);
  if (kind->next) {
    next = check_spawn(kind->next, NULL);
    WAIT_UNTIL(check_asleep(next, next), 10);
  }
  if ((!polling || kind->before) && !kind->is_restart)
    WAIT_UNTIL(check_asleep(survivor, survivor), 10);
  /* At any moment of the longest turn of looking and sleeping, which is that of an open. */
  nanosleep(&(struct timespec){.tv_nsec = 1000 * (long)check_chance(140000)}, NULL);
  CHECK(scene->returned == 0);
  double before = unserved(survivor) + unserved(victim) + (next ? unserved(next) : 0);
  double killed = check_clock();
  CHECK_EQ(kill(victim, SIGKILL), 0);
  CHECK_EQ(waitid(P_PID, (id_t)victim, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
  double after = unserved(victim);
  check_kill(victim);
  scene->killed = killed;
  if (kind->is_restart)
    next = check_spawn(kind->victim, NULL);
  CHECK_CHILD_ENDS_WELL(survivor, 5); /* of seconds: against hanging */
  after += scene->unserved + (next ? unserved(next) : 0);
  if (next)
    check_kill(next);
  CHECK_EQ(kind->is_ring ? shmem_ring_unlink(scene->name) : shmem_shared_unlink(scene->name), 0);
  const double all = scene->returned - (kind->is_restart ? scene->restarted : killed);
  const double served = all - (after - before);
  return (struct took){1e3 * all, served > 0 ? 1e3 * served : 0};
}

/* What a restart costs: a successor that finds the queue full. */
static void print_repairs(int deaths)
{
  for (int blocks = 1 << 8; blocks <= 1 << 20; blocks <<= 4) {
    double times[2][100];

    for (int i = 0; i < deaths; i++) {
      scene->polling = 0;
      scene->blocks = blocks;
      struct shmem_shared *shm = node(), *other;
      fill_queue(shm);
      double begin = check_clock();
      CHECK_HANDLE(other = shmem_shared_open(scene->name, NULL));
      times[0][i] = 1e3 * (check_clock() - begin);
      CHECK_EQ(shmem_shared_close(shm, NULL), 0);
      begin = check_clock();
      shm = node();
      times[1][i] = 1e3 * (check_clock() - begin);
      CHECK_EQ(shmem_shared_close(other, NULL), 0);
      CHECK_EQ(shmem_shared_close(shm, NULL), 0);
      CHECK_EQ(shmem_shared_unlink(scene->name), 0);
    }
    for (int which = 0; which < 2; which++)
      qsort(times[which], (size_t)deaths, sizeof **times, ascending);
    printf("  %8d blocks, %8d queued: program %8.3f ms (max %8.3f), node %8.3f ms (max %8.3f)\n", blocks, blocks / 2 - 16,
           at(times[0], deaths, 0.5), times[0][deaths - 1], at(times[1], deaths, 0.5), times[1][deaths - 1]);
  }
}

static int deaths;

static void a_death_is_noticed(void)
{
  double times[1000], served[1000];

  printf("from SIGKILL to the survivor's return, in ms; after a restart, from the next node's create; served: the p50 with a processor at hand\n");
  printf("  %-18s %-8s %7s %8s %8s %8s %8s %8s\n", "blocked in", "mode", "blocks", "p50", "p90", "p99", "max", "served");
  for (size_t kind = 0; kind < sizeof calls / sizeof *calls; kind++)
    for (int polling = 0; polling < (calls[kind].is_ring ? 1 : 2); polling++)
      for (int blocks = SMALL; blocks <= LARGE; blocks *= LARGE / SMALL) {
        const int count = blocks == SMALL ? deaths : (deaths + 3) / 4;
        for (int i = 0; i < count; i++) {
          const struct took took = one_death(&calls[kind], polling, blocks);
          times[i] = took.all;
          served[i] = took.served;
          if (all_count[calls[kind].is_restart] < MOST)
            all[calls[kind].is_restart][all_count[calls[kind].is_restart]++] = times[i];
        }
        qsort(times, (size_t)count, sizeof *times, ascending);
        qsort(served, (size_t)count, sizeof *served, ascending);
        printf("  %-18s %-8s %7d %8.2f %8.2f %8.2f %8.2f %8.2f\n", calls[kind].call, calls[kind].is_ring ? "ring" : polling ? "polling" : "pthread",
               blocks, at(times, count, 0.5), at(times, count, 0.9), at(times, count, 0.99), times[count - 1], at(served, count, 0.5));
        if (count >= ENOUGH && at(served, count, 0.5) >= PROMISED)
          check_fail(__FILE__, __LINE__, "blocked in %s: half of the deaths are noticed after more than %d ms with a processor at hand",
                     calls[kind].call, PROMISED);
      }
  histogram("all blocked at the death", all[0], all_count[0]);
  histogram("all restarts, from the next node's create", all[1], all_count[1]);
}

static void a_successor_repairs(void)
{
  printf("to attach to a side with the queue full: median (max)\n");
  print_repairs(deaths < 8 ? 3 : 8);
}

int main(void)
{
  const char *value = getenv("DEATHS");

  check_begin();
  if (check_valgrind())
    check_skip("times under valgrind tell nothing");
  deaths = value && *value ? atoi(value) : (int)check_scaled(6);
  CHECK(deaths > 0 && deaths <= 1000);
  check_limit = value ? 3000 : 300; /* one that hangs is found by the deadlines of its parts */
  scene = check_shared(sizeof *scene);
  scene->name = check_name("detection");
  RUN(a_death_is_noticed);
  RUN(a_successor_repairs);
  return 0;
}
