/* make bench: the channel, through its C interface, beside the bare yardsticks.
 *
 * usage: channel [--quick]
 *
 * One line per row: the ratio to the yardstick (median and spread over the slices that counted),
 * the same for near and far placements of the two cores where the yardstick shows both, and the
 * absolute medians. Ratios of round trips and of life cycles are times (less is better), ratios of
 * streams are rates (more is better). A goal that is missed is printed as missed; a lost, reordered
 * or changed sample, an unexpected result or a wait of 10 s ends the run with exit status 1. */
#include "compare.h"
#include "rig.h"
#include "yardsticks.h"
#include <sys/resource.h>
#include <villas/shmem.h>

enum { STREAM_VALUES = 8, MAX_BATCH = 64, IDLE_S = 2 };

/* A channel as one process sees it. */
struct channel {
  const char *what;
  struct shmem_conf conf;
  char name[48];
  struct shmem_shared *shm;
  void *base;
  uint64_t sequence;          /* of the next sample; each process counts for itself */
  struct task attach, detach; /* the program's open and close */
};

static struct channel polling = {.what = "polling",
                                 .conf = {.polling = 1, .size = sizeof(struct shmem_conf)}};
static struct channel pthread = {.what = "pthread", .conf = SHMEM_CONF_INIT};
static struct channel stream = {.what = "stream",
                                .conf = {.polling = 1,
                                         .queuelen = 1024,
                                         .samplelen = STREAM_VALUES,
                                         .size = sizeof(struct shmem_conf),
                                         .spare = 64}};
static struct channel lone = {.what = "lone", .conf = SHMEM_CONF_INIT}; /* opened in slices only */

/* `got` is what a call returned that leaves errno. */
static _Noreturn void fail_call(const struct channel *ch, const char *call, int got) {
  fail("%s: %s: %s gave %d (%s), sequence %llu", rig.doing, ch->what, call, got,
       shmem_strerror(errno), (unsigned long long)ch->sequence);
}

/* ---- samples ---- */

static inline void fill(struct sample *smp, uint64_t sequence, unsigned int length) {
  smp->sequence = sequence;
  smp->flags = SAMPLE_HAS_TS_ORIGIN | SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_DATA;
  smp->ts.origin.tv_sec = (time_t)sequence;
  smp->ts.origin.tv_nsec = 0;
  smp->length = length;
  for (unsigned int i = 0; i < length; i++)
    smp->data[i].i = (int64_t)(sequence + i);
}

/* In a ping-pong the queue is never full and the pool never empty, so nothing is tried twice. */
static inline struct sample *alloc_one(struct channel *ch) {
  struct sample *smp;
  int got = sample_alloc(&ch->shm->pool, &smp, 1);
  if (got != 1)
    fail_call(ch, "sample_alloc", got);
  return smp;
}

static inline void write_one(struct channel *ch, struct sample *smp) {
  int got = shmem_shared_write(ch->shm, &smp, 1);
  if (got != 1)
    fail_call(ch, "shmem_shared_write", got);
}

static inline void put_one(struct channel *ch, struct sample *smp) {
  int left = sample_put(smp);
  if (left != 0)
    fail_call(ch, "sample_put", left);
}

/* Reads the sample whose turn it is. */
static inline struct sample *read_one(struct channel *ch) {
  struct sample *smp;
  int got;
  while ((got = shmem_shared_read(ch->shm, &smp, 1)) == 0)
    ; /* 100 ms without a sample; the rig's alarm ends this */
  if (got != 1)
    fail_call(ch, "shmem_shared_read", got);
  if (smp->sequence != ch->sequence || smp->length != 1 || smp->data[0].i != (int64_t)ch->sequence)
    fail("%s: %s: sample %llu with %u values came where %llu with one value was due", rig.doing,
         ch->what, (unsigned long long)smp->sequence, smp->length,
         (unsigned long long)ch->sequence);
  ch->sequence++;
  return smp;
}

/* ---- round trips ---- */

static inline struct sample *exchange(struct channel *ch) {
  struct sample *smp = alloc_one(ch);
  fill(smp, ch->sequence, 1);
  write_one(ch, smp);
  return read_one(ch);
}

static inline void reply(struct channel *ch, struct sample *in) {
  struct sample *out = alloc_one(ch);
  out->sequence = in->sequence;
  out->flags = in->flags;
  out->ts.origin = in->ts.origin;
  out->length = in->length;
  memcpy(out->data, in->data, SAMPLE_DATA_LEN(in->length));
  put_one(ch, in);
  write_one(ch, out);
}

static double trip_node(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  double start = now_ns();
  for (uint64_t i = 0; i < count; i++)
    put_one(ch, exchange(ch));
  return now_ns() - start;
}

static void trip_program(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  for (uint64_t i = 0; i < count; i++)
    reply(ch, read_one(ch));
}

static void zero_copy_program(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  for (uint64_t i = 0; i < count; i++)
    write_one(ch, read_one(ch));
}

/* As in the futex yardstick: each side acts only when it has seen the other one asleep, and the
 * time that it waited for that is not part of the round trip. */
static double asleep_node(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  double ns = 0;
  for (uint64_t i = 0; i < count; i++) {
    await_peer_asleep();
    double start = now_ns();
    struct sample *smp = exchange(ch);
    ns += now_ns() - start;
    put_one(ch, smp);
  }
  return ns - program_result();
}

static void asleep_program(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  double kept = 0;
  for (uint64_t i = 0; i < count; i++) {
    struct sample *smp = read_one(ch);
    double start = now_ns();
    await_peer_asleep();
    kept += now_ns() - start;
    reply(ch, smp);
  }
  rig.words->result = kept;
}

static const struct task polling_trip = {"round trip, polling", trip_node, trip_program, &polling,
                                         1};
static const struct task pthread_trip = {"round trip, pthread", trip_node, trip_program, &pthread,
                                         1};
static const struct task zero_copy_trip = {"round trip, zero copy", trip_node, zero_copy_program,
                                           &polling, 1};
static const struct task asleep_trip = {"round trip, both asleep", asleep_node, asleep_program,
                                        &pthread, 1};

/* ---- streams ---- */

static double send_node(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  struct sample *smps[MAX_BATCH];
  double start = now_ns();
  for (uint64_t end = ch->sequence + count; ch->sequence < end;) {
    uint64_t left = end - ch->sequence;
    int got = sample_alloc(&ch->shm->pool, smps, left < task->batch ? (unsigned)left : task->batch);
    if (got < 0 || (got == 0 && errno != EAGAIN))
      fail_call(ch, "sample_alloc", got);
    for (int i = 0; i < got; i++)
      fill(smps[i], ch->sequence++, STREAM_VALUES);
    for (int sent = 0; sent < got;) {
      int taken = shmem_shared_write(ch->shm, smps + sent, (unsigned)(got - sent));
      if (taken < 0 || (taken == 0 && errno != EAGAIN))
        fail_call(ch, "shmem_shared_write", taken);
      sent += taken;
    }
  }
  await_program();
  return now_ns() - start;
}

/* Each sequence number is compared, the values are added up as in the yardstick and compared once.
 */
static void receive_program(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  struct sample *smps[MAX_BATCH];
  uint64_t sum = 0, expected = STREAM_VALUES * (count * ch->sequence + count * (count - 1) / 2) +
                               count * (STREAM_VALUES * (STREAM_VALUES - 1) / 2);
  for (uint64_t end = ch->sequence + count; ch->sequence < end;) {
    int got = shmem_shared_read(ch->shm, smps, task->batch);
    if (got < 0)
      fail_call(ch, "shmem_shared_read", got);
    for (int i = 0; i < got; i++) {
      const struct sample *smp = smps[i];
      if (smp->sequence != ch->sequence || smp->length != STREAM_VALUES)
        fail("%s: sample %llu with %u values came where %llu with %d was due", task->name,
             (unsigned long long)smp->sequence, smp->length, (unsigned long long)ch->sequence,
             STREAM_VALUES);
      for (int k = 0; k < STREAM_VALUES; k++)
        sum += (uint64_t)smp->data[k].i;
      ch->sequence++;
    }
    int put = sample_put_many(smps, (unsigned int)got);
    if (put != got)
      fail_call(ch, "sample_put_many", put);
  }
  if (sum != expected)
    fail("%s: the values do not add up", task->name);
}

static const struct task stream_64 = {"stream, batch 64", send_node, receive_program, &stream, 64};
static const struct task stream_1 = {"stream, batch 1", send_node, receive_program, &stream, 1};

/* ---- life cycle ---- */

static void create(struct channel *ch) {
  const char *path = rig_object(ch->name);
  ch->sequence = 0;
  ch->shm = shmem_shared_create(ch->name, &ch->conf);
  if (!ch->shm)
    fail("%s: shmem_shared_create %s: %m: %s", rig.doing, path, shmem_last_error());
}

static void remove_region(struct channel *ch) {
  if (shmem_shared_close(ch->shm, NULL))
    fail("%s: shmem_shared_close: %m", ch->what);
  if (shmem_shared_unlink(ch->name))
    fail("%s: shmem_shared_unlink: %m", ch->what);
}

static void open_program(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  (void)count;
  ch->sequence = 0;
  ch->shm = shmem_shared_open(ch->name, &ch->base);
  if (!ch->shm)
    fail("%s: shmem_shared_open %s: %m: %s", task->name, ch->name, shmem_last_error());
}

static void close_program(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  (void)count;
  if (shmem_shared_close(ch->shm, ch->base))
    fail("%s: shmem_shared_close: %m", ch->what);
}

/* The node creates the region, then the program opens it: both after the fork. */
static void connect_both(struct channel *ch) {
  const struct timespec limit = {DEADLINE_S, 0};
  rig.doing = "create";
  create(ch);
  rig_run(&ch->attach, 1);
  if (shmem_shared_wait(ch->shm, &limit))
    fail("%s: shmem_shared_wait: %m, though the program has opened the region", ch->what);
}

static void disconnect_both(struct channel *ch) {
  rig_run(&ch->detach, 1);
  rig.doing = "close";
  remove_region(ch);
}

static double create_node(const struct task *task, uint64_t count) {
  double start = now_ns();
  for (uint64_t i = 0; i < count; i++) {
    create(task->channel);
    remove_region(task->channel);
  }
  return now_ns() - start;
}

static void open_close_program(const struct task *task, uint64_t count) {
  double start = now_ns();
  for (uint64_t i = 0; i < count; i++) {
    open_program(task, 1);
    close_program(task, 1);
  }
  rig.words->result = now_ns() - start;
}

static const struct task creation = {.name = "creation", .node = create_node, .channel = &lone};
static const struct task open_close = {
    .name = "open and close", .program = open_close_program, .channel = &lone};

/* ---- idling ---- */

static double cpu_ns(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return 1e9 * (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         1e3 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

/* The result is the part of the time that the process (with all its threads) was on a processor. */
static void idle_program(const struct task *task, uint64_t count) {
  struct channel *ch = task->channel;
  struct sample *smp;
  double start = now_ns(), cpu = cpu_ns(), ns;
  do {
    int got = shmem_shared_read(ch->shm, &smp, 1);
    if (got != 0)
      fail_call(ch, "shmem_shared_read", got);
  } while ((ns = now_ns() - start) < (double)count * IDLE_S * 1e9);
  rig.words->result = (cpu_ns() - cpu) / ns;
}

static const struct task idle = {
    .name = "idle reader", .program = idle_program, .channel = &pthread};

static void report_idle(double limit) {
  char share[24], aim[48];
  double part = rig_run(&idle, 1);
  snprintf(share, sizeof share, "%.3f %%", 100 * part);
  snprintf(aim, sizeof aim, "< %.1f %% %s", 100 * limit, verdict(part < limit));
  table_line("idle reader, pthread: CPU", "-", "1/1", "-", "-", "-", share, aim);
}

/* ---- the rows ---- */

/* Before the fork, so that both processes know the names. */
static void prepare(struct channel *ch) {
  snprintf(ch->name, sizeof ch->name, "villas-bench-%d-%s", (int)getpid(), ch->what);
  ch->attach = (struct task){.name = "open", .program = open_program, .channel = ch};
  ch->detach = (struct task){.name = "close", .program = close_program, .channel = ch};
}

static void round_trips(int slices) {
  const struct goal none = {NO_GOAL, 0};
  connect_both(&polling);
  compare("round trip, polling / ping-pong", &yard_ping_pong, &polling_trip,
          (struct goal){TIME_AT_MOST, 1.25}, slices);
  compare("zero-copy echo, polling / ping-pong", &yard_ping_pong, &zero_copy_trip, none, slices);
  disconnect_both(&polling);

  connect_both(&pthread);
  compare("round trip, pthread / ping-pong", &yard_ping_pong, &pthread_trip, none, slices);
  connect_both(&polling);
  compare("round trip, pthread / polling", &polling_trip, &pthread_trip,
          (struct goal){TIME_AT_MOST, 1.2}, slices);
  disconnect_both(&polling);
  disconnect_both(&pthread);
}

static void streams(int slices) {
  connect_both(&stream);
  compare("stream, batch 64 / bare stream", &yard_stream_64, &stream_64,
          (struct goal){RATE_AT_LEAST, 0.75}, slices);
  compare("stream, batch 1 / bare stream", &yard_stream_1, &stream_1,
          (struct goal){RATE_AT_LEAST, 0.5}, slices);
  disconnect_both(&stream);
}

static void sleepers(int slices) {
  connect_both(&pthread);
  compare("round trip, both asleep / futex", &yard_futex, &asleep_trip,
          (struct goal){TIME_AT_MOST, 1.15}, slices);
  report_idle(0.001);
  disconnect_both(&pthread);
}

static void life_cycles(int slices) {
  struct stat stat_of_region;
  rig.doing = "create";
  create(&lone);
  if (stat(rig_object(lone.name), &stat_of_region))
    fail("%s: %m", rig_object(lone.name));
  bare_size = (size_t)stat_of_region.st_size;
  bare_create();
  compare("program's open + close / bare calls", &yard_open, &open_close,
          (struct goal){NS_AT_MOST, 200e3}, slices);
  bare_remove();
  remove_region(&lone);
  compare("creation, default region / bare calls", &yard_create, &creation,
          (struct goal){TIME_AT_MOST, 1.2}, slices);
}

int main(int argc, char **argv) {
  bool quick = argc == 2 && !strcmp(argv[1], "--quick");
  if (argc > 2 || (argc == 2 && !quick)) {
    fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
    return 2;
  }
  int slices = quick ? 25 : 120;
  setvbuf(stdout, NULL, _IOLBF, 0); /* a failure keeps the rows before it */
  struct channel *const channels[] = {&polling, &pthread, &stream, &lone};
  for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
    prepare(channels[i]);
  yard_map();
  rig_start();

  unsigned int version = shmem_version();
  printf(
      "villas-shm %u.%u.%u, %d slices of some ten ms per row; counted: the yardsticks before and "
      "after agree within %.0f %%\n",
      version >> 16, version >> 8 & 255, version & 255, slices, 100 * TOLERANCE);
  table_heading();
  round_trips(slices);
  streams(slices);
  sleepers(slices);
  life_cycles(slices);
  rig_stop();

  struct rusage node, program;
  getrusage(RUSAGE_SELF, &node);
  getrusage(RUSAGE_CHILDREN, &program);
  printf("%d goals missed; other work took the processor from the node %ld times, from the program "
         "%ld times\n",
         goals_missed, node.ru_nivcsw, program.ru_nivcsw);
  return 0;
}
