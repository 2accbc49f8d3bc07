/* The stack that a call needs: at most 8 KiB beyond what a thread has that does nothing, and so a
 * thread of the smallest stack will do. Each call is made in a thread of its own, on a stack that
 * was painted before. */
#include "wire.h"

#include <limits.h>

enum { STACK = 256 << 10, MOST = 8 << 10, PAINT = 0xa5, LINES = 400 };

static const char *name, *there, *other, *rings, *absent = "villas-check-no-such-region";
enum { SIGNALS = 300 };
static char signal_names[SIGNALS][16];
static struct shmem_signal signals[SIGNALS];
static size_t count_of_signals;
static struct shmem_conf conf;
static const struct timespec moment = {.tv_nsec = 1000000};
static struct shmem_shared *node, *program, *opened, *joined;
static struct sample *smps[8];
static struct shmem_ring *producer, *consumer;
static struct shmem_endpoint *a, *b;
static struct shmem_segment *segment;
static struct shmem_int wire;
static struct shmem_event *event;
static uint64_t seen;
static void *slot;
static int fd, result;
static char message[1 << 10], many[8][64];
static struct shmem_stats stats = SHMEM_STATS_INIT;
static struct shmem_ring_stats counters = SHMEM_RING_STATS_INIT;
static struct shmem_segment_info info = {.size = sizeof info};

static pthread_t peer;

/* The other side of the channel in VILLASnode's layout: sends back what it gets. */
static void *be_peer(void *arg)
{
  struct shmem_int shm;
  struct sample *smp;

  (void)arg;
  CHECK_EQ(shmem_int_timed_open(other, name, &shm, &conf, PATIENT), 0);
  CHECK_EQ(shmem_int_timed_read(&shm, &smp, 1, PATIENT), 1);
  CHECK_EQ(shmem_int_write(&shm, &smp, 1), 1);
  while (shmem_int_peer_alive(&shm) == 1)
    check_pause();
  CHECK_EQ(shmem_int_close(&shm), 0);
  return NULL;
}

/* Makes the call of this line: what it is, or NULL if there is none. `result` is 0 if it has
 * worked; one that fails also makes a sentence. */
static bool is_failing;

static const char *make_call(int line)
{
#define CALL(...)                                                                                           \
  case __LINE__:                                                                                            \
    is_failing = false;                                                                                     \
    __VA_ARGS__;                                                                                            \
    return #__VA_ARGS__
#define FAILING_CALL(...)                                                                                   \
  case __LINE__:                                                                                            \
    is_failing = true;                                                                                      \
    __VA_ARGS__;                                                                                            \
    return #__VA_ARGS__
  switch (line) {
    CALL(result = 0);
    CALL(opened = shmem_shared_create(name, &conf); result = !opened);
    FAILING_CALL(result = !shmem_shared_create(name, NULL));
    CALL(joined = shmem_shared_open(name, NULL); result = !joined);
    FAILING_CALL(result = !shmem_shared_open(name, NULL));
    CALL(result = shmem_shared_close(joined, NULL));
    CALL(joined = shmem_shared_timed_open(name, NULL, PATIENT); result = !joined);
    CALL(result = !shmem_shared_signals(opened, SHMEM_OUT, &count_of_signals));
    CALL(result = shmem_shared_signal_index(opened, SHMEM_OUT, "signal 7") - 7);
    FAILING_CALL(result = shmem_shared_signal_index(opened, SHMEM_OUT, "signal"));
    FAILING_CALL(result = shmem_shared_expect_signals(opened, SHMEM_OUT, signals + 1, 5));
    CALL(result = shmem_shared_close(opened, NULL));
    CALL(opened = shmem_shared_create(name, &conf); result = !opened); /* beside the program */
    CALL(result = shmem_shared_close(opened, NULL));
    CALL(result = shmem_shared_close(joined, NULL));
    CALL(opened = shmem_shared_create(name, NULL); result = !opened); /* over what is left */
    CALL(result = shmem_shared_close(opened, NULL));
    CALL(result = shmem_shared_unlink(name));
    FAILING_CALL(result = shmem_shared_unlink(name));
    FAILING_CALL(result = !shmem_shared_open(absent, NULL));
    FAILING_CALL(result = !shmem_shared_timed_open(absent, NULL, &moment));
    CALL(opened = shmem_shared_create_fd(&conf, &fd); result = !opened);
    CALL(joined = shmem_shared_open_fd(fd, NULL); result = !joined);
    CALL(result = shmem_shared_close(opened, NULL));
    CALL(opened = shmem_shared_recreate_fd(fd, &conf); result = !opened);
    CALL(result = shmem_shared_close(opened, NULL) | shmem_shared_close(joined, NULL) | close(fd));
    CALL(result = shmem_shared_wait(node, PATIENT));
    CALL(result = sample_alloc(&node->pool, smps, 2) - 2);
    CALL(result = shmem_shared_write(node, smps, 1) - 1);
    CALL(result = shmem_shared_timed_write(node, smps + 1, 1, PATIENT) - 1);
    CALL(result = shmem_shared_read(program, smps, 1) - 1);
    CALL(result = shmem_shared_timed_read(program, smps + 1, 1, PATIENT) - 1);
    CALL(result = sample_put(smps[0]) | sample_put(smps[1]));
    CALL(result = shmem_shared_try_read(program, smps, 1));
    CALL(result = shmem_shared_timed_read(program, smps, 1, &moment));
    CALL(result = shmem_shared_read(program, smps, 1));
    CALL(result = shmem_shared_timed_alloc(node, smps, 1, PATIENT) - 1);
    CALL(result = sample_put(smps[0]));
    CALL(result = shmem_shared_stats(node, &stats));
    CALL(result = shmem_shared_peer_alive(node) - 1);
    CALL(producer = shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 64, 8); result = !producer);
    CALL(consumer = shmem_ring_open(name, SHMEM_SPSC, SHMEM_CONSUMER, 64, 8); result = !consumer);
    FAILING_CALL(result = !shmem_ring_open(name, SHMEM_MPMC, SHMEM_CONSUMER, 63, 9));
    FAILING_CALL(result = !shmem_ring_open(there, SHMEM_SPSC, SHMEM_CONSUMER, 64, 8));
    CALL(result = shmem_ring_push(producer, message));
    CALL(result = shmem_ring_timed_push(producer, message, PATIENT));
    CALL(result = shmem_ring_pop(consumer, message));
    CALL(result = shmem_ring_timed_pop(consumer, message, PATIENT));
    FAILING_CALL(result = shmem_ring_timed_pop(consumer, message, &moment));
    CALL(result = shmem_ring_close(producer) | shmem_ring_close(consumer) | shmem_ring_unlink(name));
    CALL(producer = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 64, 8); result = !producer);
    CALL(consumer = shmem_ring_open(name, SHMEM_MPMC, SHMEM_CONSUMER, 64, 8); result = !consumer);
    CALL(result = shmem_ring_push_many(producer, many, 2) - 2);
    CALL(result = shmem_ring_pop_many(consumer, many, 2) - 2);
    CALL(slot = shmem_ring_reserve(producer); result = !slot);
    CALL(result = shmem_ring_commit(producer, slot));
    CALL(slot = (void *)shmem_ring_peek(consumer); result = !slot);
    CALL(result = shmem_ring_release(consumer, slot));
    CALL(result = shmem_ring_stats(consumer, &counters));
    CALL(result = shmem_ring_close(producer) | shmem_ring_close(consumer) | shmem_ring_unlink(name));
    CALL(a = shmem_endpoint_open(rings, SHMEM_MPMC, SHMEM_SIDE_A, 64, 8); result = !a);
    CALL(b = shmem_endpoint_open(rings, SHMEM_MPMC, SHMEM_SIDE_B, 64, 8); result = !b);
    FAILING_CALL(result = !shmem_endpoint_open(rings, SHMEM_MPMC, SHMEM_SIDE_A, 64, 9));
    CALL(result = shmem_endpoint_send(a, message));
    CALL(result = shmem_endpoint_receive(b, message));
    CALL(result = shmem_endpoint_close(a) | shmem_endpoint_close(b) | shmem_endpoint_unlink(rings));
    CALL(segment = shmem_segment_open(name, 5000, SHMEM_SEGMENT_CREATE, 0600); result = !segment);
    FAILING_CALL(result = !shmem_segment_open(name, 9000, 0, 0));
    CALL(result = shmem_segment_stat(segment, &info));
    CALL(result = shmem_segment_set(segment, 0640, SHMEM_KEEP, SHMEM_KEEP));
    CALL(seen = 0; event = shmem_segment_data(segment); result = shmem_event_signal(event));
    CALL(result = shmem_event_timed_wait(event, &seen, PATIENT) - 1);
    CALL(result = shmem_segment_close(segment) | shmem_segment_unlink(name));
    CALL(segment = shmem_segment_sysv(0, 5000, SHMEM_SEGMENT_CREATE, 0600); result = !segment);
    CALL(result = shmem_segment_stat(segment, &info) | shmem_segment_unlink_id(info.id));
    CALL(result = shmem_segment_close(segment));
    FAILING_CALL(result = shmem_int_timed_open(name, absent, &wire, &conf, &moment));
    CALL(result = shmem_int_open(name, name, &wire, &conf));
    FAILING_CALL(result = shmem_int_open(name, name, &wire, &conf));
    CALL(result = shmem_int_close(&wire));
    CALL(result = pthread_create(&peer, NULL, be_peer, NULL));
    CALL(result = shmem_int_open(name, other, &wire, &conf));
    CALL(result = shmem_int_alloc(&wire, smps, 1) - 1);
    CALL(result = shmem_int_write(&wire, smps, 1) - 1);
    CALL(result = shmem_int_timed_read(&wire, smps, 1, PATIENT) - 1);
    CALL(result = sample_put(smps[0]));
    CALL(result = shmem_int_timed_read(&wire, smps, 1, &moment));
    CALL(result = shmem_int_close(&wire));
  default: return NULL;
  }
}

/* ---- the stack -------------------------------------------------------------------------------- */

static const char *made;

static void *make_call_of(void *line)
{
  made = make_call(*(int *)line);
  return NULL;
}

/* Makes one call in a thread with so much stack, which is painted; how much of it was used, -1:
 * there is no such call. */
static long use_of(int line, size_t size)
{
  static unsigned char *stack;
  size_t left = 0;
  pthread_attr_t attributes;
  pthread_t thread;

  if (!stack)
    CHECK_EQ(posix_memalign((void **)&stack, 4096, STACK), 0);
  memset(stack, PAINT, STACK);
  CHECK_EQ(pthread_attr_init(&attributes), 0);
  CHECK_EQ(pthread_attr_setstack(&attributes, stack + STACK - size, size), 0);
  CHECK_EQ(pthread_create(&thread, &attributes, make_call_of, &line), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(pthread_attr_destroy(&attributes), 0);
  if (!made)
    return -1;
  if ((result != 0) != is_failing)
    check_fail(__FILE__, __LINE__, "%s: %d, \"%s\"", made, result, shmem_last_error());
  while (left < STACK && stack[left] == PAINT)
    left++;
  return (long)(STACK - left);
}

static void make_all_calls(size_t size)
{
  long nothing = 0;
  int count = 0;

  for (int line = 1; line < LINES; line++) {
    long used = use_of(line, size);
    if (used < 0)
      continue;
    if (count++ == 0)
      nothing = used;
    if (getenv("CHECK_VERBOSE"))
      fprintf(stderr, "    %5ld %s\n", used - nothing, made);
    CHECK(used <= (long)size);
    if (used - nothing > MOST)
      check_fail(__FILE__, __LINE__, "%ld bytes of stack: %s", used - nothing, made);
  }
  CHECK(count > 80);
  CHECK_EQ(pthread_join(peer, NULL), 0);
}

static void no_call_needs_more_than_8_kib_of_stack(void)
{
  make_all_calls(STACK);
}

/* What a call writes below the thread's stack counts as used, too. */
static void the_smallest_thread_can_make_all_calls(void)
{
  make_all_calls((size_t)PTHREAD_STACK_MIN);
}

int main(int argc, char **argv)
{
  /* What looks a function up when it is first called needs stack, too; it is not the library's. */
  if (!getenv("LD_BIND_NOW")) {
    setenv("LD_BIND_NOW", "1", 1);
    execv(argv[0], argv);
    return argc; /* not reached */
  }
  check_begin();
  if (check_valgrind())
    check_skip("valgrind forbids a look at what is left of a thread's stack");
  conf = check_conf(0, 8, SIGNALS, 8);
  for (int i = 0; i < SIGNALS; i++) {
    snprintf(signal_names[i], sizeof signal_names[i], "signal %d", i);
    signals[i] = (struct shmem_signal){signal_names[i], "V", SHMEM_SIGNAL_FLOAT};
  }
  conf.in_signals = conf.out_signals = signals;
  conf.in_count = conf.out_count = SIGNALS;
  name = wire_name("stack");
  other = wire_name("peer");
  rings = check_name("rings");
  there = check_name("there");
  CHECK_HANDLE(node = shmem_shared_create(there, NULL));
  CHECK_HANDLE(program = shmem_shared_open(there, NULL));
  RUN(no_call_needs_more_than_8_kib_of_stack);
  RUN(the_smallest_thread_can_make_all_calls);
  CHECK_EQ(shmem_shared_close(program, NULL), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(there), 0);
  return 0;
}
