// The header as C++17: it stands alone, gives no warning, and every name in it has C linkage.
#include <villas/shmem.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <type_traits>

static_assert(offsetof(sample, sequence) == 0);
static_assert(offsetof(sample, length) == 8);
static_assert(offsetof(sample, capacity) == 12);
static_assert(offsetof(sample, flags) == 16);
static_assert(offsetof(sample, ts) == 56);
static_assert(offsetof(decltype(sample::ts), origin) == 0);
static_assert(offsetof(decltype(sample::ts), received) == 16);
static_assert(offsetof(sample, data) == 88);
static_assert(sizeof(sample) == 88);
static_assert(sizeof(signal_data) == 8);
static_assert(SAMPLE_DATA_OFFSET == 88);
static_assert(SAMPLE_DATA_LEN(3) == 24 && SAMPLE_DATA_LENGTH(3) == 24 && SAMPLE_LEN(3) == 112);
static_assert(SAMPLE_HAS_TS_ORIGIN + SAMPLE_HAS_TS_RECEIVED + SAMPLE_HAS_OFFSET +
                SAMPLE_HAS_SEQUENCE + SAMPLE_HAS_DATA ==
              31);
static_assert((SAMPLE_HAS_ALL & 31) == 31);
static_assert(SAMPLE_IS_FIRST == 1 << 16 && SAMPLE_IS_NEW_SIMULATION == 1 << 17);
static_assert(SAMPLE_REDELIVERED == 1 << 24);
static_assert(SHMEM_CONF_ANY_OWNER == 1);
static_assert(std::is_standard_layout_v<sample> && std::is_trivial_v<shmem_conf>);

namespace {

struct timespec milliseconds(long count)
{
  struct timespec time = {};

  time.tv_nsec = count * 1000000;
  return time;
}

int failures;

void check(bool condition, const char *what, int line)
{
  if (!condition) {
    std::fprintf(stderr, "%s:%d: not true: %s; \"%s\"\n", __FILE__, line, what, shmem_last_error());
    failures++;
  }
}

#define CHECK(condition) check((condition), #condition, __LINE__)

// Every function once, from C++: one sample goes there and back.
void there_and_back(const char *name)
{
  shmem_conf conf = SHMEM_CONF_INIT;
  conf.queuelen = 4;
  const struct timespec soon = milliseconds(500);
  void *base = nullptr;
  sample *one[1], *two[2];

  shmem_shared *node = shmem_shared_create(name, &conf);
  CHECK(node != nullptr);
  shmem_shared *program = shmem_shared_open(name, &base);
  CHECK(program != nullptr);
  if (!node || !program)
    return;
  CHECK(shmem_shared_timed_open("villas-check-nowhere", &base, &soon) == nullptr);
  CHECK(shmem_shared_wait(node, &soon) == 0);
  CHECK(shmem_shared_peer_alive(node) == 1);

  CHECK(sample_alloc(&node->pool, one, 1) == 1);
  one[0]->length = 1;
  one[0]->data[0].f = 0.25;
  CHECK(shmem_shared_write(node, one, 1) == 1);
  CHECK(shmem_shared_read(program, one, 1) == 1);
  CHECK(one[0]->data[0].f == 0.25);
  sample *clone = sample_clone(one[0]);
  CHECK(clone != nullptr && clone->data[0].f == 0.25);
  CHECK(sample_copy(clone, one[0]) == 0);
  CHECK(sample_get(clone) == 2);
  CHECK(sample_incref(clone) == 3);
  CHECK(sample_decref(clone) == 2);
  CHECK(sample_put(clone) == 1);
  CHECK(sample_put(clone) == 0);
  CHECK(shmem_shared_timed_write(program, one, 1, &soon) == 1);
  CHECK(shmem_shared_timed_read(node, one, 1, &soon) == 1);
  CHECK(sample_put(one[0]) == 0);
  CHECK(shmem_shared_try_read(node, one, 1) == 0);

  CHECK(sample_alloc_many(&program->pool, two, 1) == 1);
  CHECK(shmem_shared_timed_alloc(program, two + 1, 1, &soon) == 1);
  CHECK(sample_get_many(two, 2) == 2);
  CHECK(sample_incref_many(two, 2) == 2);
  CHECK(sample_decref_many(two, 2) == 2);
  CHECK(sample_put_many(two, 2) == 2);
  CHECK(sample_put_many(two, 2) == 2);

  shmem_stats stats = SHMEM_STATS_INIT;
  CHECK(shmem_shared_stats(node, &stats) == 0);
  CHECK(stats.written == 1 && stats.read == 1 && stats.queuelen == 4);
  CHECK(shmem_shared_interrupt(node) == 0);
  CHECK(shmem_shared_close(program, base) == 0);
  CHECK(shmem_shared_close(node, nullptr) == 0);
  CHECK(shmem_shared_unlink(name) == 0);
}

} // namespace

int main()
{
  const unsigned int version =
    SHMEM_VERSION_MAJOR << 16 | SHMEM_VERSION_MINOR << 8 | SHMEM_VERSION_PATCH;

  CHECK(shmem_version() == version);
  CHECK(std::strlen(shmem_strerror(0)) > 0);
  char name[64];
  std::snprintf(name, sizeof name, "villas-check-cpp-%p", static_cast<void *>(name));
  there_and_back(name);
  return failures ? 1 : 0;
}
