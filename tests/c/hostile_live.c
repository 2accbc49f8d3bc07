/* A peer that writes anything at any time into what is in use: calls give errors and garbage values, and end in time; nothing crashes, nothing
 * leads outside, nothing is left in this process, and when the attacker is gone and the objects are replaced, all goes on. */
#include "attacker.h"
#include "wire.h"

enum { SAMPLELEN = 8, ELEMENT = 40, CAPACITY = 12 };

/* The longest that a call may take which was told to wait for some milliseconds, in seconds in which it could go on: against hanging. */
static const double call_limit = 10;

static const char *_Atomic call_name;
static _Atomic uint64_t turns; /* odd: in a call */
static uint64_t calls, errors;
static volatile uint64_t sink; /* what is read is used */

/* One call that must end in time, and say something that it may say. */
static bool allowed(int error, const int *list)
{
  for (; *list; list++)
    if (error == *list)
      return true;
  return false;
}

#define ANY_OF(...) ((const int[]){__VA_ARGS__, 0})

static void *watch_calls(void *arg)
{
  struct check_deadline deadline = check_within(call_limit);
  uint64_t seen = 0;

  (void)arg;
  for (;; check_pause()) {
    const uint64_t now = turns;
    if (now == seen && now % 2 == 1) {
      if (check_is_over(&deadline))
        check_fail(__FILE__, __LINE__, "no end within %g s: %s", call_limit, call_name);
    } else {
      deadline = check_within(call_limit);
    }
    seen = now;
  }
}

static void begin_call(const char *name)
{
  call_name = name;
  turns++;
  errno = 0;
}

static long end_call(long result, bool is_error, const int *errors_allowed)
{
  int error = errno;

  turns++;
  calls++;
  if (is_error) {
    errors++;
    if (!allowed(error, errors_allowed)) {
      errno = error;
      check_fail(__FILE__, __LINE__, "%s gave %ld; \"%s\"", (const char *)call_name, result, shmem_last_error());
    }
  }
  return result;
}

/* A call that gives -1 or a count. */
#define INT_CALL(call, ...) (begin_call(#call), end_int(call, ANY_OF(__VA_ARGS__)))
/* A call that gives NULL or a pointer. */
#define POINTER_CALL(call, ...) (begin_call(#call), end_pointer((void *)(call), ANY_OF(__VA_ARGS__)))

static int end_int(int result, const int *errors_allowed)
{
  return (int)end_call(result, result < 0, errors_allowed);
}

static void *end_pointer(void *result, const int *errors_allowed)
{
  end_call(0, result == NULL, errors_allowed);
  return result;
}

/* ---- what must be left when it is over ------------------------------------------------------- */

static int count_descriptors(void)
{
  int count = 0;

  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD) != -1;
  return count;
}

/* Mappings of objects of this test. */
static int count_mappings(void)
{
  char line[512];
  int count = 0;
  FILE *maps = fopen("/proc/self/maps", "re");

  CHECK(maps);
  while (fgets(line, sizeof line, maps))
    count += strstr(line, "villas-check-") || strstr(line, "memfd:villas-shm");
  fclose(maps);
  return count;
}

/* ---- a fight --------------------------------------------------------------------------------- */

struct fight {
  struct attacker *attacker;
  void (*use)(struct fight *);
  double end;
  void *more;
};

static bool goes_on(const struct fight *fight)
{
  return check_clock() < fight->end;
}

/* However little of the time there was for this process: not before something could be opened. */
static bool goes_on_until_opened(const struct fight *fight, int opened)
{
  return goes_on(fight) || (opened == 0 && !check_valgrind());
}

static void idle(void *arg)
{
  (void)arg;
  for (;;)
    pause();
}

/* Uses the objects with and against an attacker, for each plan. */
static void fight_all(struct attacker form, void (*use)(struct fight *), void *more)
{
  const double time = check_valgrind() ? 0.5 : 0.25;
  int descriptors = count_descriptors(), mappings = count_mappings();
  pid_t bystander = check_spawn(idle, NULL);

  for (int plan = 0; plan < PLANS; plan++) {
    struct attacker *attacker = check_shared(sizeof *attacker);
    *attacker = form;
    attacker->plan = (enum plan)plan;
    attacker->bystander = bystander;
    struct fight fight = {.attacker = attacker, .use = use, .more = more};
    pid_t pid = check_spawn(attacker_run, attacker);
    WAIT_UNTIL(attacker->stores > 0, 10);
    uint64_t before = attacker->stores;
    fight.end = check_clock() + time;
    use(&fight);
    WAIT_UNTIL(attacker->stores > before, 10);
    check_kill(pid);
    munmap(attacker, sizeof *attacker);
    for (int i = 0; i < form.count; i++)
      unlink(check_path(form.names[i]));
    CHECK_EQ(count_descriptors(), descriptors);
    CHECK_EQ(count_mappings(), mappings);
  }
  check_kill(bystander); /* until now nobody had */
}

/* ---- signals --------------------------------------------------------------------------------- */

static const struct shmem_signal SIGNALS[] = {{"a", "V", 1}, {"ab", "", 2}, {"abc", "A", 3}, {"b", NULL, 4}};
enum { SIGNALS_SIZE = 2 * (4 * 16 + 9) };

static void name_signals(struct shmem_conf *conf)
{
  conf->in_signals = conf->out_signals = SIGNALS;
  conf->in_count = conf->out_count = 4;
}

/* What was checked once stays as it was, whatever is in the region by now. */
static void use_signals(const struct shmem_signal *list, size_t count, int (*index)(void *, const char *), void *shm)
{
  uint64_t sums[2] = {0};

  CHECK(list && count <= SAMPLELEN);
  for (int look = 0; look < 2; look++)
    for (size_t i = 0; i < count; i++) {
      CHECK(list[i].type >= 1 && list[i].type <= 4);
      CHECK(strlen(list[i].name) >= 1 && strlen(list[i].name) <= 255 && strlen(list[i].unit) <= 63);
      for (const char *text = list[i].name; *text; text++)
        sums[look] = check_mix(sums[look] + (unsigned char)*text);
      for (const char *text = list[i].unit; *text; text++)
        sums[look] = check_mix(sums[look] + (unsigned char)*text);
      CHECK_EQ(index(shm, list[i].name), (int)i);
    }
  CHECK_EQ(sums[0], sums[1]);
}

static int index_of_shared(void *shm, const char *name)
{
  return shmem_shared_signal_index(shm, SHMEM_IN, name);
}

static int index_of_int(void *shm, const char *name)
{
  return shmem_int_signal_index(shm, SHMEM_IN, name);
}

/* ---- channels -------------------------------------------------------------------------------- */

static const uint16_t channel_bells[] = {0x300, 0x380, 0x500, 0x580, 0}, channel_slots[] = {0x100, 0x180, 0};

static void use_side(struct shmem_shared *shm)
{
  struct sample *smps[4];
  struct shmem_stats stats = SHMEM_STATS_INIT;
  double value = 0;
  size_t count;
  const struct shmem_signal *list = shmem_shared_signals(shm, SHMEM_IN, &count);

  use_signals(list, count, index_of_shared, shm);

  for (int i = 0; i < 40; i++) {
    int got = i % 8 ? INT_CALL(shmem_shared_try_read(shm, smps, 4), EBADMSG, EPIPE, ESTALE)
                    : INT_CALL(shmem_shared_timed_read(shm, smps, 4, MS(2)), EBADMSG, EPIPE, ESTALE);
    for (int k = 0; k < got; k++) {
      for (int at = 0; at < SAMPLELEN; at++)
        value += smps[k]->data[at].f;
      struct sample *copy = POINTER_CALL(sample_clone(smps[k]), EAGAIN, EINVAL, EPIPE, ESTALE, EBADMSG);
      if (copy)
        INT_CALL(sample_put(copy), EINVAL);
      if (k % 2 == 0 || INT_CALL(shmem_shared_write(shm, &smps[k], 1), EINVAL, EPIPE, ESTALE, EBADMSG) != 1)
        INT_CALL(sample_put(smps[k]), EINVAL);
    }
    int alloced = INT_CALL(sample_alloc(&shm->pool, smps, 2), ESTALE, EPIPE);
    for (int k = 0; k < alloced; k++) {
      smps[k]->length = SAMPLELEN;
      for (int at = 0; at < SAMPLELEN; at++)
        smps[k]->data[at].f = value;
      int sent = i % 8 ? INT_CALL(shmem_shared_write(shm, &smps[k], 1), EINVAL, EPIPE, ESTALE)
                       : INT_CALL(shmem_shared_timed_write(shm, &smps[k], 1, MS(2)), EINVAL, EPIPE, ESTALE);
      if (sent != 1)
        INT_CALL(sample_put(smps[k]), EINVAL);
    }
  }
  int alloced = INT_CALL(shmem_shared_timed_alloc(shm, smps, 3, MS(2)), EPIPE, ESTALE);
  for (int k = 0; k < alloced; k++)
    INT_CALL(sample_put(smps[k]), EINVAL);
  INT_CALL(shmem_shared_peer_alive(shm), EPIPE);
  INT_CALL(shmem_shared_stats(shm, &stats), EPIPE);
  INT_CALL(shmem_shared_wait(shm, MS(2)), ETIMEDOUT, EINTR, ESTALE, EPIPE);
  INT_CALL(shmem_shared_interrupt(shm), EPIPE);
}

static void use_channel(struct fight *fight)
{
  const struct shmem_conf *conf = fight->more;
  const char *name = fight->attacker->names[0];
  int opened = 0;

  while (goes_on_until_opened(fight, opened)) {
    struct shmem_shared *program;
    void *base;
    struct shmem_shared *node = POINTER_CALL(shmem_shared_create(name, conf), EBADMSG, EBUSY, EPROTO, EAGAIN);
    if (!node) {
      /* As an administrator would. */
      unlink(check_path(name));
      continue;
    }
    for (int round = 0; round < 5; round++) {
      program = POINTER_CALL(shmem_shared_open(name, &base), EBADMSG, EBUSY, EPROTO, EAGAIN, ENOENT);
      use_side(node);
      if (program) {
        opened++;
        use_side(program);
        CHECK_EQ(shmem_shared_close(program, base), 0);
      }
    }
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
  }
}

static void a_channel_is_used_under_attack(void)
{
  for (int polling = 0; polling <= 1; polling++) {
    struct shmem_conf conf = check_conf(polling, 16, SAMPLELEN, 8);
    struct attacker form = {.names = {check_name("channel")}, .count = 1, .head = 0x600, .bells = channel_bells, .slots = channel_slots, .table = SIGNALS_SIZE};
    name_signals(&conf);
    struct pair pair = {.name = form.names[0]};

    fight_all(form, use_channel, &conf);
    CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
    CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
    check_works(&pair);
    CHECK_EQ(check_count_free(pair.node), 24);
    check_close_pair(&pair);
  }
}

/* ---- rings ----------------------------------------------------------------------------------- */

static const uint16_t ring_bells[] = {0x200, 0x280, 0}, ring_slots[] = {0x400, 0x440, 0x480, 0x4c0, 0x500, 0};

static void use_producer(struct shmem_ring *ring)
{
  unsigned char elements[4 * ELEMENT] = {1};
  struct shmem_ring_stats stats = SHMEM_RING_STATS_INIT;

  for (int i = 0; i < 40; i++) {
    INT_CALL(shmem_ring_try_push(ring, elements), EBADMSG, ESTALE, EAGAIN);
    INT_CALL(shmem_ring_push_many(ring, elements, 4), EBADMSG, ESTALE, EAGAIN);
    unsigned char *slot = POINTER_CALL(shmem_ring_timed_reserve(ring, MS(1)), EBADMSG, ESTALE, ETIMEDOUT, EAGAIN);
    if (slot) {
      memset(slot, 7, ELEMENT);
      /* A claim that the attacker has taken away cannot be committed, nor aborted. */
      if (i % 2 == 0 || INT_CALL(shmem_ring_commit(ring, slot), EINVAL, ESTALE, EBADMSG) < 0)
        INT_CALL(shmem_ring_abort(ring, slot), EINVAL, ESTALE, EBADMSG);
    }
  }
  INT_CALL(shmem_ring_timed_push(ring, elements, MS(2)), EBADMSG, ESTALE, ETIMEDOUT);
  INT_CALL(shmem_ring_available(ring), EBADMSG, ESTALE);
  INT_CALL(shmem_ring_pending(ring), EBADMSG, ESTALE);
  INT_CALL(shmem_ring_stats(ring, &stats), EBADMSG, ESTALE);
  INT_CALL(shmem_ring_interrupt(ring), EPIPE);
}

static void use_consumer(struct shmem_ring *ring)
{
  unsigned char elements[4 * ELEMENT];

  for (int i = 0; i < 40; i++) {
    INT_CALL(shmem_ring_try_pop(ring, elements), EBADMSG, ESTALE, EAGAIN);
    INT_CALL(shmem_ring_pop_many(ring, elements, 4), EBADMSG, ESTALE, EAGAIN);
    const unsigned char *slot = POINTER_CALL(shmem_ring_timed_peek(ring, MS(1)), EBADMSG, ESTALE, ETIMEDOUT, EAGAIN);
    if (slot) {
      for (int at = 0; at < ELEMENT; at++)
        sink += slot[at];
      INT_CALL(shmem_ring_release(ring, (void *)(uintptr_t)slot), EINVAL, ESTALE, EBADMSG);
    }
  }
  INT_CALL(shmem_ring_timed_pop(ring, elements, MS(2)), EBADMSG, ESTALE, ETIMEDOUT);
  INT_CALL(shmem_ring_full(ring), EBADMSG, ESTALE);
  INT_CALL(shmem_ring_empty(ring), EBADMSG, ESTALE);
}

static void use_ring(struct fight *fight)
{
  const int policy = *(const int *)fight->more;
  const char *name = fight->attacker->names[0];
  int opened = 0;

  while (goes_on_until_opened(fight, opened)) {
    struct shmem_ring *producer = POINTER_CALL(shmem_ring_open(name, policy, SHMEM_PRODUCER, ELEMENT, CAPACITY), EBADMSG, EBUSY, EPROTO, EAGAIN);
    struct shmem_ring *consumer = POINTER_CALL(shmem_ring_open(name, policy, SHMEM_CONSUMER, ELEMENT, CAPACITY), EBADMSG, EBUSY, EPROTO, EAGAIN);
    if (producer) {
      opened++;
      use_producer(producer);
    }
    if (consumer) {
      use_consumer(consumer);
      CHECK_EQ(shmem_ring_close(consumer), 0);
    }
    if (producer)
      CHECK_EQ(shmem_ring_close(producer), 0);
    if (!producer || !consumer)
      unlink(check_path(name));
  }
}

static void check_ring_works(const char *name, int policy)
{
  struct shmem_ring *producer, *consumer;
  unsigned char element[ELEMENT] = {42}, got[ELEMENT];

  CHECK_HANDLE(producer = shmem_ring_open(name, policy, SHMEM_PRODUCER, ELEMENT, CAPACITY));
  CHECK_HANDLE(consumer = shmem_ring_open(name, policy, SHMEM_CONSUMER, ELEMENT, CAPACITY));
  for (int i = 0; i < 3 * CAPACITY; i++) {
    CHECK_EQ(shmem_ring_try_push(producer, element), 0);
    CHECK_EQ(shmem_ring_try_pop(consumer, got), 0);
    CHECK_EQ(memcmp(element, got, ELEMENT), 0);
  }
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
  CHECK_EQ(shmem_ring_unlink(name), 0);
}

static void rings_of_each_policy_are_used_under_attack(void)
{
  for (int policy = SHMEM_SPSC; policy <= SHMEM_MPMC; policy++) {
    struct attacker form = {.names = {check_name("ring")}, .count = 1, .head = 0x480, .bells = ring_bells, .slots = ring_slots};

    fight_all(form, use_ring, &policy);
    check_ring_works(form.names[0], policy);
  }
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static void use_endpoint(struct fight *fight)
{
  const char *name = fight->more;
  unsigned char element[ELEMENT] = {3};

  do {
    struct shmem_endpoint *a = POINTER_CALL(shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, ELEMENT, CAPACITY), EBADMSG, EBUSY, EPROTO, EAGAIN);
    struct shmem_endpoint *b = POINTER_CALL(shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_B, ELEMENT, CAPACITY), EBADMSG, EBUSY, EPROTO, EAGAIN);
    for (int i = 0; i < 30; i++) {
      if (a) {
        INT_CALL(shmem_endpoint_timed_send(a, element, MS(1)), EBADMSG, ESTALE, ETIMEDOUT);
        INT_CALL(shmem_endpoint_try_receive(a, element), EBADMSG, ESTALE, EAGAIN);
      }
      if (b) {
        INT_CALL(shmem_endpoint_timed_receive(b, element, MS(1)), EBADMSG, ESTALE, ETIMEDOUT);
        INT_CALL(shmem_endpoint_try_send(b, element), EBADMSG, ESTALE, EAGAIN);
        INT_CALL(shmem_endpoint_pending(b), EBADMSG, ESTALE);
      }
    }
    if (a)
      CHECK_EQ(shmem_endpoint_close(a), 0);
    if (b)
      CHECK_EQ(shmem_endpoint_close(b), 0);
    if (!a || !b)
      shmem_endpoint_unlink(name);
  } while (goes_on(fight));
}

static void endpoints_are_used_under_attack(void)
{
  char name[CHECK_NAME_SIZE];
  struct attacker form = {.count = 2, .head = 0x480, .bells = ring_bells, .slots = ring_slots};

  snprintf(name, sizeof name, "%s", check_name("end"));
  for (int i = 0; i < 2; i++) {
    char *half = check_names[check_name_count++];
    snprintf(half, CHECK_NAME_SIZE, "%.40s%s", name, i ? "_BA" : "_AB");
    form.names[i] = half;
  }
  fight_all(form, use_endpoint, name);
  use_endpoint(&(struct fight){.more = name});
  CHECK_EQ(shmem_endpoint_unlink(name), 0);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void use_event(struct fight *fight)
{
  struct shmem_segment *segment;
  uint64_t seen = 0;

  CHECK_HANDLE(segment = shmem_segment_open(fight->attacker->names[0], 4096, SHMEM_SEGMENT_CREATE, 0600));
  while (goes_on(fight)) {
    struct shmem_event *event = (struct shmem_event *)((char *)shmem_segment_data(segment) + 8 * check_chance(512));
    INT_CALL(shmem_event_timed_wait(event, &seen, MS(2)), EINVAL);
    INT_CALL(shmem_event_wait(event, &seen), EINVAL);
    INT_CALL(shmem_event_try_wait(event, &seen), EINVAL);
    INT_CALL(shmem_event_signal(event), EINVAL);
    shmem_event_count(event);
  }
  CHECK_EQ(shmem_segment_close(segment), 0);
}

static void events_are_used_under_attack(void)
{
  static const uint16_t words[] = {8, 16, 64, 512, 2048, 0};
  struct attacker form = {.names = {check_name("event")}, .count = 1, .head = 2048, .bells = words, .slots = words};

  fight_all(form, use_event, NULL);
}

/* ---- VILLASnode's layout --------------------------------------------------------------------- */

static const uint16_t wire_bells[] = {392, 396, 416, 428, 432, 440, 444, 0}, wire_slots[] = {88, 240, 312, WIRE_POOL, WIRE_POOL + 112, WIRE_POOL + 192, 0};
/* The condition's references and inner lock, for which glibc's broadcast waits without limit: with these the peer is trusted
 * (docs/villasnode.md, "What this layout cannot give"). */
static const uint16_t wire_trusted[] = {408, 412, 424, 0};

static void use_wire_end(const struct fight *fight, struct shmem_int *end)
{
  struct sample *smps[4];
  struct shmem_stats stats = SHMEM_STATS_INIT;
  double value = 0;
  size_t count;
  const struct shmem_signal *list = shmem_int_signals(end, SHMEM_IN, &count);

  use_signals(list, count, index_of_int, end);

  for (int i = 0; i < 20 && goes_on(fight); i++) {
    int got = i % 8 ? INT_CALL(shmem_int_try_read(end, smps, 4), EBADMSG, EPIPE) : INT_CALL(shmem_int_timed_read(end, smps, 4, MS(2)), EBADMSG, EPIPE);
    for (int k = 0; k < got; k++) {
      for (int at = 0; at < SAMPLELEN; at++)
        value += smps[k]->data[at].f;
      if (k % 2 == 0 || INT_CALL(shmem_int_write(end, &smps[k], 1), EINVAL, EPIPE, EBADMSG) != 1)
        INT_CALL(sample_put(smps[k]), EINVAL);
    }
    int alloced = INT_CALL(shmem_int_alloc(end, smps, 2), EPIPE, EBADMSG);
    for (int k = 0; k < alloced; k++) {
      smps[k]->length = 1;
      smps[k]->data[0].f = value;
      if (INT_CALL(shmem_int_timed_write(end, &smps[k], 1, MS(2)), EINVAL, EPIPE, EBADMSG) != 1)
        INT_CALL(sample_put(smps[k]), EINVAL);
    }
  }
  INT_CALL(shmem_int_peer_alive(end), EPIPE);
  INT_CALL(shmem_int_stats(end, &stats), EPIPE);
}

struct wire_fight {
  struct shmem_conf conf;
  const char *names[2];
};

static void *open_far(void *arg)
{
  struct wire_fight *wire = arg;
  static struct shmem_int end;

  return shmem_int_timed_open(wire->names[1], wire->names[0], &end, &wire->conf, MS(300)) == 0 ? &end : NULL;
}

static void use_wire(struct fight *fight)
{
  struct wire_fight *wire = fight->more;

  while (goes_on(fight)) {
    pthread_t thread;
    struct shmem_int near;
    void *far;
    CHECK_EQ(pthread_create(&thread, NULL, open_far, wire), 0);
    int opened = INT_CALL(shmem_int_timed_open(wire->names[0], wire->names[1], &near, &wire->conf, MS(300)), EBADMSG, EBUSY, EPROTO, EAGAIN, ETIMEDOUT,
                          EOVERFLOW, EINVAL);
    CHECK_EQ(pthread_join(thread, &far), 0);
    for (int round = 0; round < 3; round++) {
      if (opened == 0)
        use_wire_end(fight, &near);
      if (far)
        use_wire_end(fight, far);
    }
    if (opened == 0)
      INT_CALL(shmem_int_close(&near), EINVAL);
    if (far)
      INT_CALL(shmem_int_close(far), EINVAL);
    for (int i = 0; i < fight->attacker->count; i++)
      unlink(check_path(fight->attacker->names[i]));
  }
}

static void the_wire_layout_is_used_under_attack(void)
{
  for (int polling = 0; polling <= 1; polling++) {
    struct wire_fight wire = {.conf = check_conf(polling, 8, SAMPLELEN, 0)};
    struct attacker form = {.count = 4, .head = WIRE_CELLS, .bells = wire_bells, .slots = wire_slots, .spared = wire_trusted, .table = 128 + SIGNALS_SIZE / 2};
    name_signals(&wire.conf);

    for (int i = 0; i < 2; i++) {
      wire.names[i] = form.names[2 * i] = wire_name("wire");
      form.names[2 * i + 1] = check_names[check_name_count - 1];
    }
    fight_all(form, use_wire, &wire);
    struct wire_pair pair;
    wire_open_pair(&pair, "after", wire.conf, wire.conf);
    wire_close_pair(&pair);
  }
}

int main(void)
{
  pthread_t watcher;

  check_begin();
  CHECK_EQ(pthread_create(&watcher, NULL, watch_calls, NULL), 0);
  RUN(a_channel_is_used_under_attack);
  RUN(rings_of_each_policy_are_used_under_attack);
  RUN(endpoints_are_used_under_attack);
  RUN(events_are_used_under_attack);
  RUN(the_wire_layout_is_used_under_attack);
  if (getenv("CHECK_VERBOSE"))
    fprintf(stderr, "  %llu calls, %llu errors\n", (unsigned long long)calls, (unsigned long long)errors);
  return 0;
}
