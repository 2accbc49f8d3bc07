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

} // namespace

int main()
{
  RUN(an_echo_written_for_libvillas_works);
  RUN(an_exhausted_pool_gives_no_sample);
  return 0;
}
