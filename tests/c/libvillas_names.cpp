/* A C++ program as it is written for libvillas: its names, from <villas/shm.hpp>, and nothing else. */
#include <atomic>
#include <stdexcept>
#include <thread>

#include <villas/shm.hpp>

#include "check.hpp"

using namespace villas::node;

namespace {

/* As the programs do it: reads, copies into samples of its own region, gives back, writes. */
class Echo {
  ShmemInterface shm;

public:
  Echo(const std::string &wname, const std::string &rname, ShmemConfig conf)
  {
    if (shmem_int_open(wname.c_str(), rname.c_str(), &shm, &conf) < 0)
      throw std::runtime_error("Failed to open shared-memory interface");
  }

  int run()
  {
    constexpr unsigned vectorize = 4;
    Sample *in[vectorize], *out[vectorize];
    int total = 0;

    for (;;) {
      int readcnt = shmem_int_read(&shm, in, vectorize);
      if (readcnt == -1)
        break;
      int avail = shmem_int_alloc(&shm, out, static_cast<unsigned>(readcnt));
      for (int i = 0; i < avail; i++) {
        out[i]->sequence = in[i]->sequence;
        out[i]->ts = in[i]->ts;
        unsigned len = in[i]->length < out[i]->capacity ? in[i]->length : out[i]->capacity;
        std::memcpy(out[i]->data, in[i]->data, SAMPLE_DATA_LENGTH(len));
        out[i]->length = len;
      }
      for (int i = 0; i < readcnt; i++)
        sample_decref(in[i]);
      total += shmem_int_write(&shm, out, static_cast<unsigned>(avail));
    }
    if (shmem_int_close(&shm))
      throw std::runtime_error("Failed to close shared-memory interface");
    return total;
  }
};

void an_echo_written_for_libvillas_works(void)
{
  const std::string in = check::name("in"), out = check::name("out");
  ShmemConfig conf = {};
  conf.queuelen = DEFAULT_SHMEM_QUEUELEN;
  conf.samplelen = DEFAULT_SHMEM_SAMPLELEN;
  std::atomic<int> total{-1};
  std::thread program([&] { total = Echo(in, out, conf).run(); });

  ShmemInterface node;
  CHECK_EQ(shmem_int_open(out.c_str(), in.c_str(), &node, &conf), 0);
  for (unsigned number = 0; number < 1000; number++) {
    Sample *smp = sample_alloc(&node.write.shared->pool);
    CHECK(smp != nullptr);
    CHECK(smp->capacity >= DEFAULT_SHMEM_SAMPLELEN);
    smp->sequence = number;
    smp->ts.origin.tv_sec = 7;
    smp->length = 2;
    smp->data[0].f = number;
    smp->data[1].i = -1;
    const Sample *const constant[] = {smp};
    CHECK_EQ(shmem_int_write(&node, constant, 1), 1);

    Sample *back;
    int got;
    while ((got = shmem_int_read(&node, &back, 1)) == 0) {
    }
    CHECK_EQ(got, 1);
    CHECK_EQ(back->sequence, number);
    CHECK_EQ(back->ts.origin.tv_sec, 7);
    CHECK(back->data[0].f == number && back->data[1].i == -1);
    CHECK_EQ(sample_incref(back), 2);
    CHECK_EQ(sample_decref(back), 1);
    CHECK_EQ(sample_decref(back), 0);
  }
  CHECK_EQ(shmem_int_close(&node), 0);
  program.join();
  CHECK_EQ(total.load(), 1000);
}

void an_exhausted_pool_gives_no_sample(void)
{
  const std::string name = check::name("loop");
  ShmemConfig conf = {};
  conf.queuelen = 3;
  ShmemInterface shm;
  CHECK_EQ(shmem_int_open(name.c_str(), name.c_str(), &shm, &conf), 0);
  Sample *smps[3];
  for (auto &smp : smps)
    CHECK((smp = sample_alloc(&shm.write.shared->pool)) != nullptr);
  CHECK(sample_alloc(&shm.write.shared->pool) == nullptr);
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(sample_decref_many(smps, 3), 3);
  CHECK_EQ(shmem_int_close(&shm), 0);
  CHECK(shmem_total_size(3, 64) == shm.write.len);
}

/* As a simulator does that keeps its last sample, to send it again when it is late. */
void a_sample_that_was_just_written_can_be_copied(void)
{
  const std::string in = check::name("in"), out = check::name("out");
  ShmemConfig conf = {};
  conf.queuelen = 4;
  ShmemInterface node, program;
  std::thread opener([&] { CHECK_EQ(shmem_int_open(in.c_str(), out.c_str(), &program, &conf), 0); });
  CHECK_EQ(shmem_int_open(out.c_str(), in.c_str(), &node, &conf), 0);
  opener.join();
  Sample *last = nullptr, *smp = nullptr, *got = nullptr;
  CHECK_EQ(shmem_int_alloc(&node, &last, 1), 1);
  std::memset(&last->data, 0, last->capacity * sizeof(float));
  for (unsigned number = 1; number < 20; number++) {
    CHECK_EQ(shmem_int_alloc(&node, &smp, 1), 1);
    smp->length = 1;
    smp->sequence = number;
    smp->data[0].f = 2 * number;
    smp->flags |= (int)SampleFlags::HAS_DATA;
    CHECK_EQ(shmem_int_write(&node, &smp, 1), 1);
    if (number % 2) { /* the reader has given it back, or it is still on its way */
      CHECK_EQ(shmem_int_read(&program, &got, 1), 1);
      CHECK_EQ(got->flags, SAMPLE_HAS_DATA);
      CHECK_EQ(sample_decref(got), 0);
    }
    CHECK_EQ(sample_copy(last, smp), 0);
    CHECK(last->sequence == number && last->length == 1 && last->data[0].f == 2 * number && last->flags == SAMPLE_HAS_DATA);
    if (number % 2 == 0) {
      CHECK_EQ(shmem_int_read(&program, &got, 1), 1);
      CHECK(got->sequence == number && sample_decref(got) == 0);
    }
  }

  /* It is the reader's all the same; and what was put, or handed out again, is none that was written. */
  CHECK(sample_incref(smp) == -1 && errno == EINVAL);
  CHECK(sample_decref(smp) == -1 && errno == EINVAL);
  CHECK(sample_clone(smp) == nullptr && errno == EINVAL);
  CHECK(shmem_int_write(&node, &smp, 1) == -1 && errno == EINVAL);
  CHECK(sample_copy(smp, last) == -1 && errno == EINVAL);
  Sample *all[3];
  for (auto &one : all)
    CHECK((one = sample_alloc(&node.write.shared->pool)) != nullptr);
  CHECK_EQ(sample_decref_many(all, 3), 3);
  CHECK(sample_copy(last, all[0]) == -1 && errno == EINVAL);
  CHECK(sample_copy(last, smp) == -1 && errno == EINVAL);
  CHECK_EQ(last->sequence, 19);
  CHECK(std::strstr(shmem_last_error(), "copy what is to be kept before the write") != nullptr);

  CHECK_EQ(sample_decref(last), 0);
  CHECK_EQ(shmem_int_close(&node), 0);
  CHECK_EQ(shmem_int_close(&program), 0);
}

/* Both names are one region: what is written is received at the same address. */
void a_sample_that_came_back_by_a_loopback_is_no_longer_written(void)
{
  const std::string name = check::name("loop");
  ShmemConfig conf = {};
  conf.queuelen = 3;
  ShmemInterface shm;
  CHECK_EQ(shmem_int_open(name.c_str(), name.c_str(), &shm, &conf), 0);
  Sample *smp = sample_alloc(&shm.write.shared->pool), *keep = sample_alloc(&shm.write.shared->pool), *got = nullptr;
  CHECK(smp && keep);
  smp->sequence = 5;
  CHECK_EQ(shmem_int_write(&shm, &smp, 1), 1);
  CHECK(sample_copy(keep, smp) == 0 && keep->sequence == 5);
  CHECK_EQ(shmem_int_read(&shm, &got, 1), 1);
  CHECK(got == smp && sample_copy(keep, got) == 0);
  CHECK_EQ(sample_decref(got), 0);
  CHECK(sample_copy(keep, smp) == -1 && errno == EINVAL);
  const Sample *const from[] = {keep, smp};
  Sample *const to[] = {keep, keep};
  CHECK(sample_copy_many(to, from, 2) == 1 && errno == EINVAL);
  CHECK_EQ(sample_decref(keep), 0);
  CHECK_EQ(shmem_int_close(&shm), 0);
}

void flags_have_libvillas_values(void)
{
  static_assert((int)SampleFlags::HAS_TS_ORIGIN == 1 && (int)SampleFlags::HAS_TS_RECEIVED == 2 && (int)SampleFlags::HAS_OFFSET == 4);
  static_assert((int)SampleFlags::HAS_SEQUENCE == 8 && (int)SampleFlags::HAS_DATA == 16 && (int)SampleFlags::HAS_TS == 3);
  static_assert((int)SampleFlags::NEW_FRAME == 1 << 16 && (int)SampleFlags::NEW_SIMULATION == 1 << 17 && (int)SampleFlags::ALL == -1);
  static_assert(sizeof(SignalData) == 8);
}

} // namespace

int main()
{
  RUN(an_echo_written_for_libvillas_works);
  RUN(an_exhausted_pool_gives_no_sample);
  RUN(a_sample_that_was_just_written_can_be_copied);
  RUN(a_sample_that_came_back_by_a_loopback_is_no_longer_written);
  RUN(flags_have_libvillas_values);
  return 0;
}
