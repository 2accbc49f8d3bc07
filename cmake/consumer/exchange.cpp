// The same as exchange.c in C++, with both sides in threads of one process.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <unistd.h>
#include <villas/shmem.h>

namespace {

constexpr unsigned samples = 1000, values = 4;
constexpr timespec patience{10, 0};

struct Close {
  void operator()(shmem_shared *shm) const { shmem_shared_close(shm, nullptr); }
};
struct Put {
  void operator()(sample *smp) const { sample_put(smp); }
};
using Channel = std::unique_ptr<shmem_shared, Close>;
using Sample = std::unique_ptr<sample, Put>;

void require(bool fine, const char *what) {
  if (!fine)
    throw std::runtime_error(std::string(what) + ": " + shmem_last_error());
}

Sample receive(const Channel &channel) {
  sample *smp = nullptr;
  require(shmem_shared_timed_read(channel.get(), &smp, 1, &patience) == 1, "read");
  return Sample(smp);
}

void send(const Channel &channel, Sample smp) {
  sample *raw = smp.get();
  require(shmem_shared_timed_write(channel.get(), &raw, 1, &patience) == 1, "write");
  (void)smp.release(); // the reader's now
}

void program(const Channel &channel) {
  for (unsigned number = 0; number < samples; number++) {
    Sample smp = receive(channel);
    for (unsigned i = 0; i < smp->length; i++)
      smp->data[i].f *= 2;
    send(channel, std::move(smp));
  }
}

void node(const Channel &channel) {
  for (unsigned number = 0; number < samples; number++) {
    sample *raw = nullptr;
    require(sample_alloc(&channel->pool, &raw, 1) == 1, "alloc");
    Sample smp(raw);
    smp->sequence = number;
    smp->length = values;
    for (unsigned i = 0; i < values; i++)
      smp->data[i].f = number + i / 8.0;
    send(channel, std::move(smp));
    smp = receive(channel);
    if (smp->sequence != number || smp->length != values)
      throw std::runtime_error("another sample came back");
    for (unsigned i = 0; i < values; i++)
      if (smp->data[i].f != 2 * (number + i / 8.0))
        throw std::runtime_error("another value came back");
  }
}

} // namespace

int main() {
  const std::string name = "villas-exchange-cpp-" + std::to_string(getpid());
  int status = 0;
  try {
    Channel ours(shmem_shared_create(name.c_str(), nullptr));
    require(ours != nullptr, "create");
    Channel theirs(shmem_shared_open(name.c_str(), nullptr));
    require(theirs != nullptr, "open");
    std::thread other([&theirs] {
      try {
        program(theirs);
      } catch (const std::exception &error) {
        std::fprintf(stderr, "program: %s\n", error.what());
      }
      theirs.reset(); // so that the node does not wait in vain
    });
    try {
      node(ours);
    } catch (const std::exception &error) {
      std::fprintf(stderr, "node: %s\n", error.what());
      status = 1;
    }
    ours.reset();
    other.join();
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    status = 1;
  }
  shmem_shared_unlink(name.c_str());
  if (status == 0)
    std::printf("%u samples went to the other thread and came back doubled\n", samples);
  return status;
}
