/* The header as C11: it stands alone, gives no warning, and every name in it compiles and links. */
#include <villas/shmem.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

static_assert(offsetof(struct sample, sequence) == 0, "VILLASnode's layout");
static_assert(offsetof(struct sample, length) == 8, "VILLASnode's layout");
static_assert(offsetof(struct sample, capacity) == 12, "VILLASnode's layout");
static_assert(offsetof(struct sample, flags) == 16, "VILLASnode's layout");
static_assert(offsetof(struct sample, ts.origin) == 56, "VILLASnode's layout");
static_assert(offsetof(struct sample, ts.received) == 72, "VILLASnode's layout");
static_assert(offsetof(struct sample, data) == 88, "VILLASnode's layout");
static_assert(sizeof(struct sample) == 88, "VILLASnode's layout");
static_assert(sizeof(union signal_data) == 8, "a value is eight bytes");
static_assert(sizeof(((struct sample *)0)->sequence) == 8, "VILLASnode's layout");
static_assert(sizeof(((struct sample *)0)->flags) == 4, "VILLASnode's layout");
static_assert(sizeof(((union signal_data *)0)->z) == 8, "two floats");
static_assert(SAMPLE_DATA_OFFSET == 88, "");
static_assert(SAMPLE_DATA_LEN(3) == 24 && SAMPLE_DATA_LENGTH(3) == 24 && SAMPLE_LEN(3) == 112, "");
static_assert(SAMPLE_DATA_LEN(1 + 1) == 16 && SAMPLE_LEN(1 + 1) == 104, "arguments in parentheses");
static_assert(SAMPLE_HAS_TS_ORIGIN == 1 && SAMPLE_HAS_TS_RECEIVED == 2 && SAMPLE_HAS_OFFSET == 4 &&
                SAMPLE_HAS_SEQUENCE == 8 && SAMPLE_HAS_DATA == 16,
              "VILLASnode's flags");
static_assert((SAMPLE_HAS_ALL & 31) == 31, "all of them");
static_assert(SAMPLE_IS_FIRST == 1 << 16, "VILLASnode's flags");
static_assert(SAMPLE_IS_NEW_SIMULATION == 1 << 17, "VILLASnode's flags");
static_assert(SAMPLE_REDELIVERED == 1 << 24, "ours");
static_assert(offsetof(struct shmem_conf, polling) == 0, "as in libvillas");
static_assert(offsetof(struct shmem_conf, queuelen) == 4, "as in libvillas");
static_assert(offsetof(struct shmem_conf, samplelen) == 8, "as in libvillas");
static_assert(offsetof(struct shmem_conf, size) == 16, "the rest begins with the size");
static_assert(offsetof(struct shmem_stats, size) == 0, "");
static_assert(SHMEM_CONF_ANY_OWNER == 1, "part of the ABI");

/* Each function with the type that design section 4 gives it. */
static unsigned int (*const version)(void) = shmem_version;
static const char *(*const words[])(void) = {shmem_last_error};
static const char *(*const errno_words[])(int) = {shmem_strerror};
static int (*const alloc[])(struct pool *, struct sample *[], unsigned int) = {sample_alloc,
                                                                               sample_alloc_many};
static int (*const count[])(struct sample *) = {sample_put, sample_get, sample_decref,
                                                sample_incref};
static int (*const count_many[])(struct sample *[], unsigned int) = {
  sample_put_many, sample_get_many, sample_decref_many, sample_incref_many};
static int (*const copy)(struct sample *, const struct sample *) = sample_copy;
static struct sample *(*const clone)(struct sample *) = sample_clone;
static struct shmem_shared *(*const create)(const char *, const struct shmem_conf *) =
  shmem_shared_create;
static struct shmem_shared *(*const open_)(const char *, void **) = shmem_shared_open;
static struct shmem_shared *(*const timed_open)(const char *, void **, const struct timespec *) =
  shmem_shared_timed_open;
static int (*const wait_)(struct shmem_shared *, const struct timespec *) = shmem_shared_wait;
static int (*const transfer[])(struct shmem_shared *, struct sample *[], unsigned int) = {
  shmem_shared_read, shmem_shared_try_read, shmem_shared_write};
static int (*const timed[])(struct shmem_shared *, struct sample *[], unsigned int,
                            const struct timespec *) = {
  shmem_shared_timed_read, shmem_shared_timed_write, shmem_shared_timed_alloc};
static int (*const ask[])(struct shmem_shared *) = {shmem_shared_interrupt,
                                                    shmem_shared_peer_alive};
static int (*const stats)(struct shmem_shared *, struct shmem_stats *) = shmem_shared_stats;
static int (*const close_)(struct shmem_shared *, void *) = shmem_shared_close;
static int (*const unlink_)(const char *) = shmem_shared_unlink;

#define FAIL_UNLESS(condition)                                                                    \
  do {                                                                                            \
    if (!(condition)) {                                                                           \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                   \
      return 1;                                                                                   \
    }                                                                                             \
  } while (0)

int main(void)
{
  const struct shmem_conf conf = SHMEM_CONF_INIT, named = {.size = sizeof named, .queuelen = 8};
  const struct shmem_stats fresh = SHMEM_STATS_INIT;
  const struct shmem_ring_stats ring_stats = SHMEM_RING_STATS_INIT;
  const struct shmem_segment_info segment_stat = SHMEM_SEGMENT_INFO_INIT;
  union signal_data value = {.f = 1.5};
  struct shmem_shared shared;
  struct pool *pool = &shared.pool;

  FAIL_UNLESS(version() ==
              (SHMEM_VERSION_MAJOR << 16 | SHMEM_VERSION_MINOR << 8 | SHMEM_VERSION_PATCH));
  FAIL_UNLESS(conf.size == sizeof(struct shmem_conf) && named.size == conf.size);
  FAIL_UNLESS(conf.polling == 0 && conf.queuelen == 0 && conf.samplelen == 0 && conf.spare == 0);
  FAIL_UNLESS(conf.permissions == 0 && conf.flags == 0);
  FAIL_UNLESS(fresh.size == sizeof fresh && fresh.written == 0 && fresh.polling == 0);
  FAIL_UNLESS(ring_stats.size == sizeof ring_stats && ring_stats.pending == 0 && ring_stats.role == 0);
  FAIL_UNLESS(segment_stat.size == sizeof segment_stat && segment_stat.created_at.tv_nsec == 0);
  FAIL_UNLESS(words[0]() && errno_words[0](0));
  FAIL_UNLESS(alloc[0] && alloc[1] && copy && clone && create && open_ && timed_open);
  FAIL_UNLESS(wait_ && stats && close_ && unlink_ && pool);
  for (int i = 0; i < 4; i++)
    FAIL_UNLESS(count[i] && count_many[i]);
  for (int i = 0; i < 3; i++)
    FAIL_UNLESS(transfer[i] && timed[i]);
  FAIL_UNLESS(ask[0] && ask[1]);
  value.i = 1;
  FAIL_UNLESS(value.b);
  value.z[0] = value.z[1] = 0.5f;
  FAIL_UNLESS(value.z[1] == 0.5f);
  return 0;
}
