/* A handle that is given to a function of another kind is refused (EINVAL) and not touched, and so
 * are other pointers; a closed one says so. Every exported function that takes a handle is in the
 * table, with every wrong kind. */
#include "wire.h"

enum kind { CHANNEL, WIRE, POOL, RING, ENDPOINT, SEGMENT, SAMPLE, EVENT, KINDS };

static const char *const words[KINDS] = {"a channel of one region", "a struct shmem_int", "the pool of a struct shmem_int",
                                         "a ring", "an endpoint", "a segment", "a sample", "an event"};

static struct sample *smps[2];
static char element[8];
static uint64_t seen;
static struct shmem_stats stats = SHMEM_STATS_INIT;
static struct shmem_ring_stats counters = SHMEM_RING_STATS_INIT;
static struct shmem_segment_info info;
static struct sample *live; /* of the channel */

/* Its kind, its name, what it gives when it fails, and how it is called with p. */
#define CALLS(X)                                                                                  \
  X(CHANNEL, wait, -1, shmem_shared_wait(p, MS(1)))                                               \
  X(CHANNEL, read, -1, shmem_shared_read(p, smps, 1))                                             \
  X(CHANNEL, try_read, -1, shmem_shared_try_read(p, smps, 1))                                       \
  X(CHANNEL, timed_read, -1, shmem_shared_timed_read(p, smps, 1, MS(1)))                            \
  X(CHANNEL, write, -1, shmem_shared_write(p, &live, 1))                                          \
  X(CHANNEL, timed_write, -1, shmem_shared_timed_write(p, &live, 1, MS(1)))                         \
  X(CHANNEL, timedalloc, -1, shmem_shared_timed_alloc(p, smps, 1, MS(1)))                          \
  X(CHANNEL, interrupt, -1, shmem_shared_interrupt(p))                                            \
  X(CHANNEL, peer_alive, -1, shmem_shared_peer_alive(p))                                          \
  X(CHANNEL, stats, -1, shmem_shared_stats(p, &stats))                                            \
  X(CHANNEL, close, -1, shmem_shared_close(p, NULL))                                              \
  X(POOL, sample_alloc, -1, sample_alloc(p, smps, 1))                                             \
  X(POOL, sample_alloc_many, -1, sample_alloc_many(p, smps, 1))                                   \
  X(SAMPLE, sample_put, -1, sample_put(p))                                                        \
  X(SAMPLE, sample_get, -1, sample_get(p))                                                        \
  X(SAMPLE, sample_decref, -1, sample_decref(p))                                                  \
  X(SAMPLE, sample_incref, -1, sample_incref(p))                                                  \
  X(SAMPLE, sample_put_many, -1, sample_put_many((struct sample *[]){p}, 1))                      \
  X(SAMPLE, sample_get_many, -1, sample_get_many((struct sample *[]){p}, 1))                      \
  X(SAMPLE, sample_decref_many, -1, sample_decref_many((struct sample *[]){p}, 1))                \
  X(SAMPLE, sample_incref_many, -1, sample_incref_many((struct sample *[]){p}, 1))                \
  X(SAMPLE, sample_copy_to, -1, sample_copy(p, live))                                             \
  X(SAMPLE, sample_copy_from, -1, sample_copy(live, p))                                           \
  X(SAMPLE, sample_clone, 0, sample_clone(p))                                                     \
  X(WIRE, int_read, -1, shmem_int_read(p, smps, 1))                                               \
  X(WIRE, int_try_read, -1, shmem_int_try_read(p, smps, 1))                                         \
  X(WIRE, int_timed_read, -1, shmem_int_timed_read(p, smps, 1, MS(1)))                              \
  X(WIRE, int_write, -1, shmem_int_write(p, &live, 1))                                            \
  X(WIRE, int_timed_write, -1, shmem_int_timed_write(p, &live, 1, MS(1)))                           \
  X(WIRE, int_alloc, -1, shmem_int_alloc(p, smps, 1))                                             \
  X(WIRE, int_interrupt, -1, shmem_int_interrupt(p))                                              \
  X(WIRE, int_peer_alive, -1, shmem_int_peer_alive(p))                                            \
  X(WIRE, int_stats, -1, shmem_int_stats(p, &stats))                                              \
  X(WIRE, int_close, -1, shmem_int_close(p))                                                      \
  X(RING, ring_push, -1, shmem_ring_push(p, element))                                             \
  X(RING, ring_try_push, -1, shmem_ring_try_push(p, element))                                     \
  X(RING, ring_timed_push, -1, shmem_ring_timed_push(p, element, MS(1)))                          \
  X(RING, ring_push_many, -1, shmem_ring_push_many(p, element, 1))                                \
  X(RING, ring_pop, -1, shmem_ring_pop(p, element))                                               \
  X(RING, ring_try_pop, -1, shmem_ring_try_pop(p, element))                                       \
  X(RING, ring_timed_pop, -1, shmem_ring_timed_pop(p, element, MS(1)))                            \
  X(RING, ring_pop_many, -1, shmem_ring_pop_many(p, element, 1))                                  \
  X(RING, ring_reserve, 0, shmem_ring_reserve(p))                                                 \
  X(RING, ring_timed_reserve, 0, shmem_ring_timed_reserve(p, MS(1)))                              \
  X(RING, ring_commit, -1, shmem_ring_commit(p, element))                                         \
  X(RING, ring_abort, -1, shmem_ring_abort(p, element))                                           \
  X(RING, ring_peek, 0, shmem_ring_peek(p))                                                       \
  X(RING, ring_timed_peek, 0, shmem_ring_timed_peek(p, MS(1)))                                    \
  X(RING, ring_release, -1, shmem_ring_release(p, element))                                       \
  X(RING, ring_available, -1, shmem_ring_available(p))                                            \
  X(RING, ring_pending, -1, shmem_ring_pending(p))                                                \
  X(RING, ring_full, -1, shmem_ring_full(p))                                                      \
  X(RING, ring_empty, -1, shmem_ring_empty(p))                                                    \
  X(RING, ring_element_size, -1, shmem_ring_element_size(p))                                      \
  X(RING, ring_capacity, -1, shmem_ring_capacity(p))                                              \
  X(RING, ring_at, 0, shmem_ring_at(p, 0))                                                        \
  X(RING, ring_set, -1, shmem_ring_set(p, 0600, SHMEM_KEEP, SHMEM_KEEP))          \
  X(RING, ring_interrupt, -1, shmem_ring_interrupt(p))                                            \
  X(RING, ring_stats, -1, shmem_ring_stats(p, &counters))                                         \
  X(RING, ring_close, -1, shmem_ring_close(p))                                                    \
  X(ENDPOINT, endpoint_outgoing, 0, shmem_endpoint_outgoing(p))                                   \
  X(ENDPOINT, endpoint_incoming, 0, shmem_endpoint_incoming(p))                                   \
  X(ENDPOINT, endpoint_send, -1, shmem_endpoint_send(p, element))                                 \
  X(ENDPOINT, endpoint_try_send, -1, shmem_endpoint_try_send(p, element))                         \
  X(ENDPOINT, endpoint_timed_send, -1, shmem_endpoint_timed_send(p, element, MS(1)))              \
  X(ENDPOINT, endpoint_send_many, -1, shmem_endpoint_send_many(p, element, 1))                    \
  X(ENDPOINT, endpoint_receive, -1, shmem_endpoint_receive(p, element))                           \
  X(ENDPOINT, endpoint_try_receive, -1, shmem_endpoint_try_receive(p, element))                   \
  X(ENDPOINT, endpoint_timed_receive, -1, shmem_endpoint_timed_receive(p, element, MS(1)))        \
  X(ENDPOINT, endpoint_receive_many, -1, shmem_endpoint_receive_many(p, element, 1))              \
  X(ENDPOINT, endpoint_available, -1, shmem_endpoint_available(p))                                \
  X(ENDPOINT, endpoint_pending, -1, shmem_endpoint_pending(p))                                    \
  X(ENDPOINT, endpoint_full, -1, shmem_endpoint_full(p))                                          \
  X(ENDPOINT, endpoint_empty, -1, shmem_endpoint_empty(p))                                        \
  X(ENDPOINT, endpoint_interrupt, -1, shmem_endpoint_interrupt(p))                                \
  X(ENDPOINT, endpoint_close, -1, shmem_endpoint_close(p))                                        \
  X(SEGMENT, segment_data, 0, shmem_segment_data(p))                                              \
  X(SEGMENT, segment_size, 0, shmem_segment_size(p))                                              \
  X(SEGMENT, segment_stat, -1, shmem_segment_stat(p, &info))                                      \
  X(SEGMENT, segment_set, -1, shmem_segment_set(p, 0600, SHMEM_KEEP, SHMEM_KEEP)) \
  X(SEGMENT, segment_close, -1, shmem_segment_close(p))                                           \
  X(EVENT, event_signal, -1, shmem_event_signal(p))                                               \
  X(EVENT, event_count, 0, shmem_event_count(p))                                                  \
  X(EVENT, event_wait, -1, shmem_event_wait(p, &seen))                                            \
  X(EVENT, event_try_wait, -1, shmem_event_try_wait(p, &seen))                                      \
  X(EVENT, event_timed_wait, -1, shmem_event_timed_wait(p, &seen, MS(1)))

#define DEFINE(kind, name, failure, call)                                                         \
  static intptr_t call_##name(void *p)                                                            \
  {                                                                                               \
    return (intptr_t)(call);                                                                      \
  }
CALLS(DEFINE)

static const struct call {
  enum kind kind;
  const char *name;
  intptr_t failure;
  intptr_t (*on)(void *);
} calls[] = {
#define ENTRY(kind, name, failure, call) {kind, #name, failure, call_##name},
  CALLS(ENTRY)};

static struct shmem_int wire;
static struct sample *wires;
static void *handles[KINDS];

static void open_all(void)
{
  struct pair pair = check_open_pair("kinds", NULL);
  const char *name = wire_name("kinds-wire");

  live = check_make(pair.node, 1);
  handles[CHANNEL] = pair.node;
  handles[SAMPLE] = live;
  CHECK_EQ(shmem_int_open(name, name, &wire, NULL), 0);
  CHECK_EQ(shmem_int_alloc(&wire, &wires, 1), 1);
  handles[WIRE] = &wire;
  handles[POOL] = &wire.write.shared->pool;
  CHECK_HANDLE(handles[RING] = shmem_ring_open(check_name("kinds-ring"), SHMEM_SPSC, SHMEM_PRODUCER, 8, 8));
  name = check_name("kinds-endpoint");
  CHECK_HANDLE(handles[ENDPOINT] = shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, 8, 8));
  CHECK_EQ(shmem_endpoint_unlink(name), 0);
  name = check_name("kinds-segment");
  CHECK_HANDLE(handles[SEGMENT] = shmem_segment_open(name, 8, SHMEM_SEGMENT_CREATE, 0600));
  /* The last 8 bytes before memory that cannot be read: more than that must not be looked at. */
  char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED);
  CHECK_EQ(mprotect(pages + 4096, 4096, PROT_NONE), 0);
  handles[EVENT] = pages + 4096 - 8;
}

static void all_work(void)
{
  struct sample *one;

  CHECK_EQ(sample_alloc(&((struct shmem_shared *)handles[CHANNEL])->pool, &one, 1), 1);
  CHECK_EQ(shmem_shared_write(handles[CHANNEL], &one, 1), 1);
  CHECK_EQ(shmem_int_alloc(&wire, &one, 1), 1);
  CHECK_EQ(shmem_int_write(&wire, &one, 1), 1);
  CHECK_EQ(shmem_ring_try_push(handles[RING], element), 0);
  CHECK_EQ(shmem_endpoint_try_send(handles[ENDPOINT], element), 0);
  CHECK_EQ(shmem_segment_size(handles[SEGMENT]), 8);
  CHECK_EQ(shmem_event_count(handles[EVENT]), 0);
  check_is(live, 1);
}

static void refuses(const struct call *call, void *handle, const char *word)
{
  errno = 0;
  intptr_t given = call->on(handle);
  if (given != call->failure || errno != EINVAL)
    check_fail(__FILE__, __LINE__, "%s of %s gives %ld", call->name, word, (long)given);
}

/* An event is any memory; a pool also that of a channel of one region, whose address is the
 * channel's. */
static bool is_right(enum kind wanted, enum kind given)
{
  return given == wanted || (wanted == POOL && given == CHANNEL) ||
         (wanted == EVENT && (given == SAMPLE || given == WIRE));
}

static void each_function_refuses_each_other_kind(void)
{
  open_all();
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    for (enum kind kind = 0; kind < KINDS; kind++)
      if (!is_right(calls[i].kind, kind))
        refuses(&calls[i], handles[kind], words[kind]);
  all_work();
}

static void each_function_refuses_what_is_no_handle(void)
{
  void *zeros = handles[EVENT];

  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    refuses(&calls[i], NULL, "a null pointer");
    refuses(&calls[i], (char *)handles[RING] + 1, "an odd address");
    if (calls[i].kind != EVENT)
      refuses(&calls[i], zeros, "zeros");
  }
  all_work();
}

/* Neither a channel takes the samples of another, nor a ring another's slots. */
static void what_belongs_to_another_is_refused(void)
{
  struct pair other = check_open_pair("kinds-other", NULL);
  struct sample *foreign = check_make(other.node, 1);
  struct shmem_ring *ring;

  CHECK_GIVES(shmem_shared_write(handles[CHANNEL], &foreign, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_write(handles[CHANNEL], &wires, 1), -1, EINVAL);
  CHECK_GIVES(shmem_shared_timed_write(handles[CHANNEL], &wires, 1, MS(1)), -1, EINVAL);
  CHECK_GIVES(shmem_int_write(&wire, &foreign, 1), -1, EINVAL);
  CHECK_GIVES(shmem_int_timed_write(&wire, &foreign, 1, MS(1)), -1, EINVAL);
  CHECK_HANDLE(ring = shmem_ring_open(check_name("kinds-other-ring"), SHMEM_SPSC, SHMEM_PRODUCER, 8, 8));
  void *slot = shmem_ring_reserve(ring);
  CHECK(slot);
  CHECK_GIVES(shmem_ring_commit(handles[RING], slot), -1, EINVAL);
  CHECK_GIVES(shmem_ring_abort(handles[RING], slot), -1, EINVAL);
  CHECK_EQ(shmem_ring_commit(ring, slot), 0);
  check_is(foreign, 1);
  all_work();
}

/* A call says EPIPE where it is documented for a closed handle, else EINVAL; and the other kinds
 * know it no better than before. */
static void a_closed_handle_is_refused_by_all(void)
{
  CHECK_EQ(sample_put(live), 0);
  CHECK_EQ(sample_put(wires), 0);
  CHECK_EQ(shmem_shared_close(handles[CHANNEL], NULL), 0);
  CHECK_EQ(shmem_int_close(&wire), 0);
  CHECK_EQ(shmem_ring_close(handles[RING]), 0);
  CHECK_EQ(shmem_endpoint_close(handles[ENDPOINT]), 0);
  CHECK_EQ(shmem_segment_close(handles[SEGMENT]), 0);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    for (enum kind kind = 0; kind < KINDS; kind++) {
      const struct call *call = &calls[i];
      if ((call->kind == EVENT && is_right(EVENT, kind)) || (kind == SAMPLE && call->kind != SAMPLE))
        continue; /* an event has no end, and the sample's memory is gone */
      if (!is_right(call->kind, kind) || kind == SEGMENT || kind == SAMPLE) {
        refuses(call, handles[kind], words[kind]);
        continue;
      }
      errno = 0;
      intptr_t given = call->on(handles[kind]);
      if (given != call->failure || (errno != EPIPE && errno != EINVAL))
        check_fail(__FILE__, __LINE__, "%s of %s that is closed gives %ld", call->name, words[kind], (long)given);
    }
}

int main(void)
{
  check_begin();
  RUN(each_function_refuses_each_other_kind);
  RUN(each_function_refuses_what_is_no_handle);
  RUN(what_belongs_to_another_is_refused);
  RUN(a_closed_handle_is_refused_by_all);
  return 0;
}
