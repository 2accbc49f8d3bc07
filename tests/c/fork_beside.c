/* Forks at random moments, beside threads of the parent that open, close and queue for their turns.
 * No child has a descriptor, a lock or a mapping of its parent's channels and rings, and each opens
 * its own and uses them from threads. */
#include "check.h"

#include <dirent.h>
#include <sched.h>

/* Forks in each of two pid namespaces: half of FORKS in the environment. */
static uint64_t forks(void)
{
  const char *value = getenv("FORKS");
  return check_scaled(value ? strtoull(value, NULL, 0) / 2 : 1000);
}

/* Programs that are killed beside a fork. */
#define DEATHS check_scaled(300)

enum { NAMES = 3 };

struct scene {
  const char *names[NAMES]; /* what the openers open */
  const char *segment;      /* children inherit it */
  const char *wire[2];
  const char *contended, *own;
  struct shmem_shared *shared;
  _Atomic bool enough;
  _Atomic uint64_t opened, turns;
};

static void spin(uint64_t nanoseconds)
{
  const double end = check_clock() + (double)nanoseconds / 1e9;

  while (check_clock() < end)
    ;
}

/* ---- what the parent does meanwhile ---------------------------------------------------------- */

static void *open_and_close_channels(void *arg)
{
  struct scene *scene = arg;
  struct shmem_conf conf = check_conf(0, 4, 1, 4);

  while (!scene->enough) {
    struct shmem_shared *node, *program;
    CHECK_HANDLE(node = shmem_shared_create(scene->names[0], &conf));
    CHECK_HANDLE(program = shmem_shared_open(scene->names[0], NULL));
    CHECK_EQ(shmem_shared_close(program, NULL), 0);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    scene->opened++;
  }
  return NULL;
}

static void *open_and_close_rings(void *arg)
{
  struct scene *scene = arg;

  while (!scene->enough) {
    struct shmem_ring *ring;
    struct shmem_endpoint *endpoint;
    struct shmem_segment *segment;
    CHECK_HANDLE(ring = shmem_ring_open(scene->names[1], SHMEM_MPMC, SHMEM_PRODUCER, 8, 4));
    CHECK_HANDLE(endpoint = shmem_endpoint_open(scene->names[2], SHMEM_SPSC, 1, 8, 4));
    CHECK_HANDLE(segment = shmem_segment_open(scene->segment, 0, 0, 0));
    CHECK_EQ(shmem_segment_close(segment), 0);
    CHECK_EQ(shmem_endpoint_close(endpoint), 0);
    CHECK_EQ(shmem_ring_close(ring), 0);
    scene->opened++;
  }
  return NULL;
}

/* Each of the two may have gone before the other has found it, so an open that failed is made again. */
static void open_and_close_wire(struct scene *scene, int own)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 0);

  while (!scene->enough) {
    struct shmem_int shm;
    if (shmem_int_timed_open(scene->wire[own], scene->wire[!own], &shm, &conf, MS(20)) == 0) {
      CHECK_EQ(shmem_int_close(&shm), 0);
      scene->opened++;
    }
  }
}

static void *open_and_close_wire_of_a(void *arg)
{
  open_and_close_wire(arg, 0);
  return NULL;
}

static void *open_and_close_wire_of_b(void *arg)
{
  open_and_close_wire(arg, 1);
  return NULL;
}

static void *queue_for_turns(void *arg)
{
  struct scene *scene = arg;
  struct shmem_stats stats = SHMEM_STATS_INIT;

  for (; !scene->enough; scene->turns++)
    CHECK_EQ(shmem_shared_stats(scene->shared, &stats), 0);
  return NULL;
}

static void *(*const beside[])(void *) = {
  open_and_close_channels, open_and_close_rings, queue_for_turns,
  queue_for_turns,         open_and_close_wire_of_a, open_and_close_wire_of_b,
};
enum { BESIDE = sizeof beside / sizeof *beside };

/* ---- what a child finds and does ------------------------------------------------------------- */

static bool is_of_a_channel(const struct scene *scene, const char *path)
{
  return strstr(path, "/dev/shm/") && !strstr(path, scene->segment);
}

static void check_descriptors(const struct scene *scene)
{
  char path[64], target[512];
  DIR *directory = opendir("/proc/thread-self/fd");

  CHECK(directory);
  for (struct dirent *entry; (entry = readdir(directory));) {
    snprintf(path, sizeof path, "/proc/thread-self/fd/%.20s", entry->d_name);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0)
      continue;
    target[length] = '\0';
    if (is_of_a_channel(scene, target))
      check_fail(__FILE__, __LINE__, "the child has descriptor %.20s of %s", entry->d_name, target);
  }
  closedir(directory);
}

static void check_mappings(const struct scene *scene)
{
  char line[512];
  FILE *maps;

  /* Valgrind's mremap knows no old size of 0, by which a child tells a mapping of its parent's from
   * private memory (`unmap_shared` in src/sys/descriptors.rs). */
  if (check_valgrind())
    return;
  maps = fopen("/proc/thread-self/maps", "re");
  CHECK(maps);
  while (fgets(line, sizeof line, maps))
    if (is_of_a_channel(scene, line))
      check_fail(__FILE__, __LINE__, "the child has a mapping of its parent: %s", line);
  fclose(maps);
}

static void *take_turns(void *arg)
{
  struct sample *smp;

  for (int i = 0; i < 100; i++)
    if (sample_alloc(&((struct shmem_shared *)arg)->pool, &smp, 1) == 1)
      CHECK_EQ(sample_put(smp), 0);
  return NULL;
}

static void have_nothing_of_the_parent_and_open_ones_own(void *arg)
{
  const struct scene *scene = arg;
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct pair pair = {.name = scene->own};
  pthread_t threads[3];

  check_descriptors(scene);
  check_mappings(scene);
  CHECK_HANDLE(pair.node = shmem_shared_create(scene->own, &conf));
  CHECK_HANDLE(pair.program = shmem_shared_open(scene->own, &pair.base));
  for (int i = 0; i < 3; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, take_turns, pair.node), 0);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(pthread_join(threads[i], NULL), 0);
  check_works(&pair);
  check_close_pair(&pair);

  struct shmem_ring *ring;
  struct shmem_segment *segment;
  CHECK_HANDLE(ring = shmem_ring_open(scene->own, SHMEM_MPMC, SHMEM_PRODUCER, 8, 4));
  CHECK_EQ(shmem_ring_try_push(ring, &conf), 0);
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_EQ(shmem_ring_unlink(scene->own), 0);
  CHECK_HANDLE(segment = shmem_segment_open(scene->segment, 0, 0, 0));
  CHECK_EQ(shmem_segment_close(segment), 0);
}

static void fork_beside_all_that(void *arg)
{
  struct scene *scene = arg;
  pthread_t threads[BESIDE];

  for (int i = 0; i < BESIDE; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, beside[i], scene), 0);
  /* The first forks come amid the first opens, before anything is registered or made. */
  for (uint64_t round = 0; round < forks(); round++) {
    alarm(check_limit);
    spin(check_chance(100000));
    CHECK_CHILD_ENDS_WELL(check_spawn(have_nothing_of_the_parent_and_open_ones_own, scene), 60);
  }
  scene->enough = true;
  for (int i = 0; i < BESIDE; i++)
    CHECK_EQ(pthread_join(threads[i], NULL), 0);
  CHECK(scene->opened > 0 && scene->turns > 0);
}

static struct scene *begin(void)
{
  struct shmem_segment *segment;
  struct scene *scene = check_shared(sizeof *scene);
  struct shmem_conf conf = check_conf(0, 4, 1, 4);

  scene->names[0] = check_name("channel");
  scene->names[1] = check_name("ring");
  scene->names[2] = check_name("endpoint");
  scene->segment = check_name("segment");
  scene->wire[0] = check_name("a");
  scene->wire[1] = check_name("b");
  scene->contended = check_name("contended");
  scene->own = check_name("child");
  CHECK_HANDLE(segment = shmem_segment_open(scene->segment, 100, SHMEM_SEGMENT_CREATE, 0600));
  CHECK_EQ(shmem_segment_close(segment), 0);
  CHECK_HANDLE(scene->shared = shmem_shared_create(scene->contended, &conf));
  return scene;
}

static void end(struct scene *scene)
{
  if (scene->shared)
    CHECK_EQ(shmem_shared_close(scene->shared, NULL), 0);
  shmem_endpoint_unlink(scene->names[2]);
}

static void a_child_of_a_fork_at_any_moment_has_nothing_of_its_parent(void)
{
  struct scene *scene = begin();

  fork_beside_all_that(scene);
  end(scene);
}

/* ---- the first opens ------------------------------------------------------------------------- */

static void *open_for_the_first_time(void *arg)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 4);
  struct shmem_shared *node;

  CHECK_HANDLE(node = shmem_shared_create(((struct scene *)arg)->names[0], &conf));
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  return NULL;
}

static void fork_beside_the_first_open(void *arg)
{
  pthread_t thread;

  CHECK_EQ(pthread_create(&thread, NULL, open_for_the_first_time, arg), 0);
  spin(check_chance(200000));
  CHECK_CHILD_ENDS_WELL(check_spawn(have_nothing_of_the_parent_and_open_ones_own, arg), 60);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* To be run before this process has opened anything. */
static void a_fork_beside_the_first_open_of_a_process_harms_nobody(void)
{
  struct scene *scene = check_shared(sizeof *scene);

  scene->names[0] = check_name("first");
  scene->own = check_name("child");
  scene->segment = check_name("segment");
  /* Not by the library, which this process is not to have used. */
  FILE *file = fopen(check_path(scene->segment), "w");
  CHECK(file && fputs("segment", file) >= 0 && fclose(file) == 0);
  for (uint64_t round = 0; round < check_scaled(1000); round++) {
    alarm(check_limit);
    CHECK_CHILD_ENDS_WELL(check_spawn(fork_beside_the_first_open, scene), 60);
  }
}

/* ---- calls on what is closed ------------------------------------------------------------------ */

struct stale {
  struct shmem_ring *ring;
  _Atomic bool enough;
};

static void *go_on_calling(void *arg)
{
  struct stale *stale = arg;
  uint64_t message = 0;

  while (!stale->enough)
    CHECK_EQ(shmem_ring_try_push(stale->ring, &message), -1);
  return NULL;
}

/* So often that the handle of the closed ring has its turn (`REST` in src/memory/slab.rs). */
static void open_and_close_again_and_again(void *arg)
{
  for (int i = 0; i < 600; i++) {
    struct shmem_ring *ring;
    CHECK_HANDLE(ring = shmem_ring_open(arg, SHMEM_SPSC, SHMEM_PRODUCER, 8, 4));
    CHECK_EQ(shmem_ring_close(ring), 0);
  }
}

static void a_fork_beside_calls_on_a_closed_end_leaves_the_child_no_end_that_never_closes(void)
{
  const char *name = check_name("stale");
  struct stale stale = {.ring = shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 8, 4)};
  pthread_t thread;

  CHECK_HANDLE(stale.ring);
  CHECK_EQ(shmem_ring_close(stale.ring), 0);
  /* Not beside the thread: the handle could be opened again under its feet. */
  for (int i = 0; i < 200; i++) {
    struct shmem_ring *ring;
    CHECK_HANDLE(ring = shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 8, 4));
    CHECK_EQ(shmem_ring_close(ring), 0);
  }
  CHECK_EQ(pthread_create(&thread, NULL, go_on_calling, &stale), 0);
  for (uint64_t round = 0; round < check_scaled(100); round++)
    CHECK_CHILD_ENDS_WELL(check_spawn(open_and_close_again_and_again, (void *)name), 60);
  stale.enough = true;
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- another pid namespace ------------------------------------------------------------------- */

struct inner {
  struct scene *scene;
  void (*body)(void *);
  _Atomic bool refused;
};

static void enter_a_namespace(void *arg)
{
  struct inner *inner = arg;

  if (unshare(CLONE_NEWPID) != 0) {
    inner->refused = true;
    return;
  }
  pid_t init = fork(); /* its parent has no number in there */
  CHECK(init >= 0);
  if (init == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    check_owner = 0; /* its number may be that of a child in there, which must not clean up */
    inner->body(inner->scene);
    check_exit(0);
  }
  CHECK_CHILD_ENDS_WELL(init, 280);
}

/* Runs body(scene) in the first process of a pid namespace. */
static void run_in_a_namespace(void (*body)(void *), struct scene *scene)
{
  struct inner *inner = check_shared(sizeof *inner);

  inner->scene = scene;
  inner->body = body;
  pid_t pid = check_spawn(enter_a_namespace, inner);
  CHECK_CHILD_ENDS_WELL(pid, 285);
  if (inner->refused)
    check_skip("no pid namespace may be made here");
  CHECK_EQ(munmap(inner, sizeof *inner), 0);
}

static void open_and_fork_in_there(void *arg)
{
  struct scene *scene = arg;
  struct shmem_conf conf = check_conf(0, 4, 1, 4);

  /* That of its parent is no channel of this process. */
  CHECK_EQ(shmem_shared_unlink(scene->contended), 0);
  CHECK_HANDLE(scene->shared = shmem_shared_create(scene->contended, &conf));
  fork_beside_all_that(scene);
  CHECK_EQ(shmem_shared_close(scene->shared, NULL), 0);
  scene->shared = NULL;
}

static void the_same_holds_in_another_pid_namespace(void)
{
  struct scene *scene = begin();

  CHECK_EQ(shmem_shared_close(scene->shared, NULL), 0);
  run_in_a_namespace(open_and_fork_in_there, scene);
  end(scene);
}

/* A program opens its side in one thread while another forks; then it is killed, and its child lives. */
struct last {
  struct scene *scene;
  _Atomic bool is_open, is_forked, enough;
};
static struct last *last;

static void *open_a_side(void *arg)
{
  struct shmem_shared *program;

  CHECK_HANDLE(program = shmem_shared_open(arg, NULL));
  last->is_open = true;
  return NULL;
}

static void live_until_enough(void *arg)
{
  (void)arg;
  last->is_forked = true;
  WAIT_UNTIL(last->enough, 60);
}

static void open_beside_a_fork_and_be_killed(void *arg)
{
  struct scene *scene = arg;
  pthread_t thread;

  CHECK_EQ(pthread_create(&thread, NULL, open_a_side, (void *)scene->contended), 0);
  spin(check_chance(300000));
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    live_until_enough(NULL);
    _exit(0);
  }
  WAIT_UNTIL(last->is_open && last->is_forked, 60);
  kill(getpid(), SIGKILL);
}

static void be_killed_in_a_namespace(void *arg)
{
  CHECK_EQ(unshare(CLONE_NEWPID), 0);
  pid_t init = fork();
  CHECK(init >= 0);
  if (init == 0) {
    check_owner = 0;
    pid_t program = check_spawn(open_beside_a_fork_and_be_killed, arg);
    CHECK_EQ(check_wait(program, 120), SIGKILL); /* as `waitpid` says it */
    WAIT_UNTIL(last->enough, 120);               /* its end ends all in there */
    _exit(0);
  }
  CHECK_EQ(check_wait(init, 250), 0);
}

static void a_death_beside_a_fork_is_known_out_here(void)
{
  struct scene *scene = begin();
  struct sample *smp;

  for (uint64_t round = 0; round < DEATHS; round++) {
    alarm(check_limit);
    last = check_shared(sizeof *last);
    pid_t pid = check_spawn(be_killed_in_a_namespace, scene);
    WAIT_UNTIL(last->is_open && last->is_forked, 60);
    IN_TIME(20, CHECK_GIVES(shmem_shared_timed_read(scene->shared, &smp, 1, NULL), -1, EPIPE));
    last->enough = true;
    CHECK_CHILD_ENDS_WELL(pid, 60);
    CHECK_EQ(munmap(last, sizeof *last), 0);
  }
  end(scene);
}

int main(void)
{
  check_begin();
  RUN(a_fork_beside_the_first_open_of_a_process_harms_nobody);
  RUN(a_child_of_a_fork_at_any_moment_has_nothing_of_its_parent);
  RUN(a_fork_beside_calls_on_a_closed_end_leaves_the_child_no_end_that_never_closes);
  if (geteuid() != 0)
    check_skip("a pid namespace must be made: run it as root");
  RUN(the_same_holds_in_another_pid_namespace);
  RUN(a_death_beside_a_fork_is_known_out_here);
  return 0;
}
