/* make bench: rings, through their C interface, beside the bare yardsticks and beside a ring behind a mutex.
 *
 * usage: ring [--quick]
 *
 * Rows and goals are printed as in channel.c. A lost, reordered or changed message or a wait of 10 s ends the run with status 1. */
#include "compare.h"
#include "rig.h"
#include "yardsticks.h"
#include <pthread.h>
#include <villas/shmem.h>

enum { TRIP_WORDS = 12, MAX_BATCH = 64, THREADS = 4, SHARED_CAPACITY = 1024 };
enum { LOCKED = 0 }; /* in place of a batch: the ring behind the mutex */

struct item {
  uint64_t word[STREAM_WORDS];
};

/* Rings as one process sees them; each process opens its ends after the fork. */
static char trip_name[48], stream_name[48], shared_name[48];
static struct shmem_endpoint *trip;
static struct shmem_ring *stream_end, *shared_ends[THREADS];

static void *opened(void *end, const char *what) {
  if (!end)
    fail("%s: %m: %s", what, shmem_last_error());
  return end;
}

static _Noreturn void fail_call(const char *call) {
  fail("%s: %s: %s", rig.doing, call, shmem_strerror(errno));
}

/* ---- round trip of 96 bytes ---- */

static double trip_node(const struct task *task, uint64_t count) {
  uint64_t out[TRIP_WORDS] = {0}, in[TRIP_WORDS];
  (void)task;
  double start = now_ns();
  for (uint64_t i = 1; i <= count; i++) {
    out[0] = i;
    if (shmem_endpoint_send(trip, out) || shmem_endpoint_receive(trip, in))
      fail_call("send or receive");
    if (in[0] != i)
      fail("%s: %llu came where %llu was due", task->name, (unsigned long long)in[0], (unsigned long long)i);
  }
  return now_ns() - start;
}

static void trip_program(const struct task *task, uint64_t count) {
  uint64_t message[TRIP_WORDS];
  (void)task;
  for (uint64_t i = 0; i < count; i++)
    if (shmem_endpoint_receive(trip, message) || shmem_endpoint_send(trip, message))
      fail_call("receive or send");
}

/* The same in place: nothing is copied but from slot to slot. */
static double place_node(const struct task *task, uint64_t count) {
  struct shmem_ring *out = shmem_endpoint_outgoing(trip), *in = shmem_endpoint_incoming(trip);
  double start = now_ns();
  for (uint64_t i = 1; i <= count; i++) {
    uint64_t *slot = shmem_ring_timed_reserve(out, NULL);
    for (int k = 0; k < TRIP_WORDS; k++)
      slot[k] = i;
    shmem_ring_commit(out, slot);
    const uint64_t *back = shmem_ring_timed_peek(in, NULL);
    if (back[0] != i || back[TRIP_WORDS - 1] != i)
      fail("%s: %llu came where %llu was due", task->name, (unsigned long long)back[0], (unsigned long long)i);
    shmem_ring_release(in, back);
  }
  return now_ns() - start;
}

static void place_program(const struct task *task, uint64_t count) {
  struct shmem_ring *out = shmem_endpoint_outgoing(trip), *in = shmem_endpoint_incoming(trip);
  (void)task;
  for (uint64_t i = 0; i < count; i++) {
    const uint64_t *message = shmem_ring_timed_peek(in, NULL);
    uint64_t *slot = shmem_ring_timed_reserve(out, NULL);
    memcpy(slot, message, TRIP_WORDS * sizeof *slot);
    shmem_ring_release(in, message);
    shmem_ring_commit(out, slot);
  }
}

static const struct task trip_task = {.name = "SPSC round trip", .node = trip_node, .program = trip_program};
static const struct task place_task = {
    .name = "SPSC round trip in place", .node = place_node, .program = place_program};

/* ---- a stream of 152 bytes ---- */

static void fill(struct item *item, uint64_t number) {
  for (int k = 0; k < STREAM_WORDS; k++)
    item->word[k] = number;
}

static uint64_t sum_of(const struct item *item) {
  uint64_t sum = 0;
  for (int k = 0; k < STREAM_WORDS; k++)
    sum += item->word[k];
  return sum;
}

static void check_sum(const struct task *task, uint64_t count, uint64_t sum) {
  if (sum != STREAM_WORDS * (count * (count - 1) / 2))
    fail("%s: the values do not add up", task->name);
}

static double stream_send(const struct task *task, uint64_t count) {
  struct item items[MAX_BATCH];
  const unsigned int batch = (unsigned int)task->batch;
  double start = now_ns();
  for (uint64_t i = 0; i < count;) {
    if (batch == 1) {
      fill(items, i++);
      if (shmem_ring_push(stream_end, items))
        fail_call("shmem_ring_push");
      continue;
    }
    unsigned int want = count - i < batch ? (unsigned int)(count - i) : batch;
    for (unsigned int k = 0; k < want; k++)
      fill(&items[k], i + k);
    for (unsigned int sent = 0; sent < want;) {
      int moved = shmem_ring_push_many(stream_end, items + sent, want - sent);
      if (moved < 0)
        fail_call("shmem_ring_push_many");
      sent += (unsigned int)moved;
    }
    i += want;
  }
  await_program();
  return now_ns() - start;
}

static void stream_receive(const struct task *task, uint64_t count) {
  struct item items[MAX_BATCH];
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count;) {
    int got = 1;
    if (task->batch == 1) {
      if (shmem_ring_pop(stream_end, items))
        fail_call("shmem_ring_pop");
    } else if ((got = shmem_ring_pop_many(stream_end, items, (unsigned int)task->batch)) < 0) {
      fail_call("shmem_ring_pop_many");
    }
    for (int k = 0; k < got; k++)
      sum += sum_of(&items[k]);
    i += (uint64_t)got;
  }
  check_sum(task, count, sum);
}

/* In place, as the yardstick does it. */
static double stream_send_in_place(const struct task *task, uint64_t count) {
  (void)task;
  double start = now_ns();
  for (uint64_t i = 0; i < count; i++) {
    struct item *slot = shmem_ring_timed_reserve(stream_end, NULL);
    if (!slot)
      fail_call("shmem_ring_timed_reserve");
    fill(slot, i);
    shmem_ring_commit(stream_end, slot);
  }
  await_program();
  return now_ns() - start;
}

static void stream_receive_in_place(const struct task *task, uint64_t count) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; i++) {
    const struct item *slot = shmem_ring_timed_peek(stream_end, NULL);
    if (!slot)
      fail_call("shmem_ring_timed_peek");
    sum += sum_of(slot);
    shmem_ring_release(stream_end, slot);
  }
  check_sum(task, count, sum);
}

static const struct task stream_64 = {"SPSC stream, batch 64", stream_send, stream_receive, NULL, 64};
static const struct task stream_1 = {"SPSC stream, batch 1", stream_send, stream_receive, NULL, 1};
static const struct task stream_in_place = {"SPSC stream in place", stream_send_in_place,
                                            stream_receive_in_place, NULL, 1};

/* ---- four producers and four consumers ---- */

/* The yardstick: a ring in shared memory behind one mutex, with a condition for each side. */
struct locked_ring {
  pthread_mutex_t mutex;
  pthread_cond_t data, room;
  uint64_t head, tail;
  struct item items[SHARED_CAPACITY];
};

static struct locked_ring *locked;

static void locked_map(void) {
  pthread_mutexattr_t mutex;
  pthread_condattr_t cond;
  locked = mmap(NULL, sizeof *locked, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (locked == MAP_FAILED)
    fail("mmap: %m");
  pthread_mutexattr_init(&mutex);
  pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
  pthread_condattr_init(&cond);
  pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&locked->mutex, &mutex);
  pthread_cond_init(&locked->data, &cond);
  pthread_cond_init(&locked->room, &cond);
}

static void locked_push(const struct item *item) {
  pthread_mutex_lock(&locked->mutex);
  while (locked->tail - locked->head == SHARED_CAPACITY)
    pthread_cond_wait(&locked->room, &locked->mutex);
  locked->items[locked->tail++ % SHARED_CAPACITY] = *item;
  pthread_cond_signal(&locked->data);
  pthread_mutex_unlock(&locked->mutex);
}

static void locked_pop(struct item *item) {
  pthread_mutex_lock(&locked->mutex);
  while (locked->tail == locked->head)
    pthread_cond_wait(&locked->data, &locked->mutex);
  *item = locked->items[locked->head++ % SHARED_CAPACITY];
  pthread_cond_signal(&locked->room);
  pthread_mutex_unlock(&locked->mutex);
}

struct worker {
  int number; /* of the end; -1: the locked ring */
  uint64_t first, last, sum;
};

static void *give(void *arg) {
  struct worker *w = arg;
  struct item item;
  for (uint64_t i = w->first; i < w->last; i++) {
    fill(&item, i);
    if (w->number < 0)
      locked_push(&item);
    else if (shmem_ring_push(shared_ends[w->number], &item))
      fail_call("shmem_ring_push");
  }
  return NULL;
}

static void *take(void *arg) {
  struct worker *w = arg;
  struct item item;
  for (uint64_t i = w->first; i < w->last; i++) {
    if (w->number < 0)
      locked_pop(&item);
    else if (shmem_ring_pop(shared_ends[w->number], &item))
      fail_call("shmem_ring_pop");
    w->sum += sum_of(&item);
  }
  return NULL;
}

/* Four threads of this process each do their quarter; the sum of what they took. */
static uint64_t quarters(void *(*work)(void *), bool is_locked, uint64_t count) {
  pthread_t threads[THREADS];
  struct worker workers[THREADS];
  uint64_t sum = 0;
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){is_locked ? -1 : i, count * (uint64_t)i / THREADS,
                                 count * (uint64_t)(i + 1) / THREADS, 0};
    if (pthread_create(&threads[i], NULL, work, &workers[i]))
      fail("pthread_create");
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    sum += workers[i].sum;
  }
  return sum;
}

static double many_send(const struct task *task, uint64_t count) {
  double start = now_ns();
  quarters(give, task->batch == LOCKED, count);
  await_program();
  return now_ns() - start;
}

static void many_receive(const struct task *task, uint64_t count) {
  check_sum(task, count, quarters(take, task->batch == LOCKED, count));
}

static const struct task locked_task = {"ring behind a mutex, 4 + 4", many_send, many_receive, NULL, LOCKED};
static const struct task shared_task = {"MPMC, 4 + 4", many_send, many_receive, NULL, 1};

/* ---- opening ---- */

static void open_ends(bool is_node) {
  const int role = is_node ? SHMEM_PRODUCER : SHMEM_CONSUMER;
  const size_t size = sizeof(struct item);
  trip = opened(shmem_endpoint_open(is_node ? SHMEM_SIDE_A : SHMEM_SIDE_B, trip_name,
                                    TRIP_WORDS * sizeof(uint64_t), 0, SHMEM_SPSC),
                trip_name);
  stream_end = opened(shmem_ring_open(stream_name, SHMEM_SPSC, role, size, STREAM_ITEMS), stream_name);
  for (int i = 0; i < THREADS; i++)
    shared_ends[i] =
        opened(shmem_ring_open(shared_name, SHMEM_MPMC, role, size, SHARED_CAPACITY), shared_name);
}

static void open_program(const struct task *task, uint64_t count) {
  (void)task, (void)count;
  open_ends(false);
}

static double open_node(const struct task *task, uint64_t count) {
  (void)task, (void)count;
  open_ends(true);
  return 0;
}

static const struct task open_task = {.name = "open", .node = open_node, .program = open_program};

int main(int argc, char **argv) {
  bool quick = argc == 2 && !strcmp(argv[1], "--quick");
  if (argc > 2 || (argc == 2 && !quick)) {
    fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
    return 2;
  }
  int slices = quick ? 25 : 120;
  setvbuf(stdout, NULL, _IOLBF, 0);
  snprintf(trip_name, sizeof trip_name, "villas-bench-%d-trip", (int)getpid());
  snprintf(stream_name, sizeof stream_name, "villas-bench-%d-ring", (int)getpid());
  snprintf(shared_name, sizeof shared_name, "villas-bench-%d-many", (int)getpid());
  yard_map();
  locked_map();
  rig_start();
  rig_run(&open_task, 1);
  /* Both have them open: no name stays behind, however this ends. */
  if (shmem_endpoint_unlink(trip_name) || shmem_ring_unlink(stream_name) || shmem_ring_unlink(shared_name))
    fail("unlink: %m");

  printf("rings, %d slices of some ten ms per row; counted: the yardsticks before and after agree within "
         "%.0f %%\n",
         slices, 100 * TOLERANCE);
  table_heading();
  compare("SPSC round trip, 96 bytes / ping-pong", &yard_ping_pong, &trip_task,
          (struct goal){TIME_AT_MOST, 1.0}, slices);
  compare("the same in place / ping-pong", &yard_ping_pong, &place_task, (struct goal){NO_GOAL, 0}, slices);
  compare("SPSC stream, batch 64 / bare, batch 64", &yard_stream_64, &stream_64,
          (struct goal){RATE_AT_LEAST, 1.0}, slices);
  compare("SPSC stream, batch 1 / bare, batch 1", &yard_stream_1, &stream_1,
          (struct goal){RATE_AT_LEAST, 0.6}, slices);
  compare("SPSC stream, batch 1 / bare, batch 64", &yard_stream_64, &stream_1,
          (struct goal){RATE_AT_LEAST, 0.6}, slices);
  compare("SPSC stream in place / bare, batch 64", &yard_stream_64, &stream_in_place,
          (struct goal){RATE_AT_LEAST, 0.6}, slices);
  compare("MPMC, 4 + 4 threads / behind a mutex", &locked_task, &shared_task,
          (struct goal){RATE_AT_LEAST, 1.0}, slices);
  rig_stop();
  printf("%d goals missed\n", goals_missed);
  return 0;
}
