// Boost.Interprocess' message_queue for the benchmark, with C linkage. A failure ends the process: there is nothing to measure then.
#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

using boost::interprocess::message_queue;

namespace {
template <class Body>
auto guarded(Body body) {
  try {
    return body();
  } catch (const std::exception &e) {
    std::fprintf(stderr, "bench: Boost: %s\n", e.what());
    std::_Exit(1);
  }
}
} // namespace

extern "C" {
void *bench_open(const char *name, size_t messages, size_t bytes) {
  return guarded([&] { return new message_queue(boost::interprocess::open_or_create, name, messages, bytes); });
}

// 1: done; 0: there is no room, and the call shall not wait.
int bench_send(void *queue, const void *message, size_t bytes, int waits) {
  auto *q = static_cast<message_queue *>(queue);
  return guarded([&] {
    if (!waits)
      return q->try_send(message, bytes, 0) ? 1 : 0;
    q->send(message, bytes, 0);
    return 1;
  });
}

int bench_receive(void *queue, void *message, size_t bytes, int waits) {
  auto *q = static_cast<message_queue *>(queue);
  return guarded([&] {
    size_t received = 0;
    unsigned int priority = 0;
    if (!waits)
      return q->try_receive(message, bytes, received, priority) ? 1 : 0;
    q->receive(message, bytes, received, priority);
    return 1;
  });
}

void bench_close(void *queue) { delete static_cast<message_queue *>(queue); }

void bench_remove(const char *name) { message_queue::remove(name); }
}
