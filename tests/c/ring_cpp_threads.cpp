/* The C++ rings between threads and processes: nothing torn, lost or doubled; objects shared by threads; a close beside waits. */
#include "ring_check.hpp"

#include <vector>

namespace {

const uint64_t perProducer = std::getenv("VALGRIND") ? 500 : 20000;

/* 152 bytes, each of which follows from the number. */
struct Message {
  uint64_t words[19];

  explicit Message(uint64_t number = 0)
  {
    for (uint64_t i = 0; i < 19; i++)
      words[i] = number * 0x9e3779b97f4a7c15u + i;
  }
  bool is(uint64_t number) const
  {
    const Message expected(number);
    return std::memcmp(this, &expected, sizeof *this) == 0;
  }
  uint64_t number() const { return words[0] * 0xf1de83e19937733du; } /* the inverse */
};

template <typename Policy> struct Load {
  using Typed = Ring<Message, Policy>;
  static constexpr bool manyIn = !std::is_same_v<Policy, Spsc>, manyOut = std::is_same_v<Policy, Mpmc>;
  static constexpr uint64_t producers = manyIn ? 4 : 1, consumers = manyOut ? 4 : 1;
  static inline const uint64_t total = producers * perProducer;

  static void produce(const std::string &name, uint64_t first)
  {
    typename Typed::Producer producer(name, 64);
    CHECK_EQ(producer.open(), 0);
    for (uint64_t i = first; i < first + perProducer; i++)
      if (i % 3 == 0) {
        auto slot = producer.timedReserve(20s);
        CHECK(slot);
        *slot = Message(i);
        CHECK_EQ(producer.commit(std::move(slot)), 0);
      } else if (i % 3 == 1) {
        const Message message(i);
        until([&] { return producer.pushMany(&message, 1) == 1; });
      } else {
        CHECK_EQ(producer.push(Message(i)), 0);
      }
  }

  /* Counts each message that it takes, until all are taken by somebody. */
  static void consume(const std::string &name, std::vector<std::atomic<int>> &seen, std::atomic<uint64_t> &taken)
  {
    typename Typed::Consumer consumer(name, 64);
    CHECK_EQ(consumer.open(), 0);
    std::vector<uint64_t> last(producers, 0);
    const auto count = [&](const Message &message) {
      const uint64_t number = message.number();
      CHECK(number < total && message.is(number));
      uint64_t &before = last[number / perProducer];
      CHECK(before <= number); /* each producer's come in its order */
      before = number;
      seen[number]++;
      taken++;
    };
    while (taken < total) {
      Message batch[5];
      const int many = consumer.popMany(batch, 5);
      CHECK(many >= 0);
      std::for_each(batch, batch + many, count);
      if (const auto message = consumer.timedPeek(1ms))
        count(*message);
    }
  }
};

template <typename Policy> void each_message_comes_once_and_whole()
{
  const Name name("load");
  using L = Load<Policy>;
  std::vector<std::atomic<int>> seen(L::total);
  std::atomic<uint64_t> taken{0};
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < L::consumers; i++)
    threads.emplace_back([&] { L::consume(name, seen, taken); });
  for (uint64_t i = 0; i < L::producers; i++)
    threads.emplace_back([&, i] { L::produce(name, i * perProducer); });
  for (auto &thread : threads)
    thread.join();
  for (const auto &count : seen)
    CHECK_EQ(count, 1);
}

template <typename Policy> void each_message_of_other_processes_comes_once_and_whole()
{
  const Name name("processes");
  using L = Load<Policy>;
  std::vector<std::atomic<int>> seen(L::total);
  std::atomic<uint64_t> taken{0};
  std::vector<pid_t> children;
  for (uint64_t i = 0; i < L::producers; i++) {
    children.push_back(fork());
    CHECK(children.back() >= 0);
    if (children.back() == 0) {
      L::produce(name, i * perProducer);
      _exit(0);
    }
  }
  L::consume(name, seen, taken);
  for (const pid_t child : children) {
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
  for (const auto &count : seen)
    CHECK_EQ(count, 1);
}

template <typename Policy> void threads_share_the_objects()
{
  const Name name("shared");
  constexpr uint64_t threads = 3;
  const uint64_t each = perProducer / 4;
  typename Policy::Endpoint a(Policy::Endpoint::A, name, 8, 16), b(Policy::Endpoint::B, name, 8, 16);
  CHECK(a.open() == 0 && b.open() == 0);
  std::atomic<uint64_t> sum{0};
  std::vector<std::thread> all;
  for (uint64_t t = 0; t < threads; t++) {
    all.emplace_back([&, t] {
      for (uint64_t i = 0; i < each; i++) {
        const uint64_t number = t * each + i;
        CHECK_EQ(a.send(&number), 0);
      }
    });
    all.emplace_back([&] {
      for (uint64_t i = 0; i < each; i++) {
        uint64_t number;
        CHECK_EQ(b.receive(&number), 0);
        sum += number;
      }
    });
  }
  for (auto &thread : all)
    thread.join();
  CHECK_EQ(sum, threads * each * (threads * each - 1) / 2);
}

template <typename Policy> void a_close_ends_the_waits_of_other_threads()
{
  const Name name("close");
  for (int round = 0; round < 20; round++) {
    typename Policy::Consumer consumer(name, 8, 4);
    CHECK_EQ(consumer.open(), 0);
    std::atomic<int> waiting{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++)
      threads.emplace_back([&] {
        uint64_t number;
        waiting++;
        FAILS(consumer.pop(&number), EPIPE);
      });
    until([&] { return waiting == 3; });
    consumer.close();
    for (auto &thread : threads)
      thread.join();
  }
}

template <typename Policy> void of_threads_that_open_one_object_one_succeeds()
{
  const Name name("open");
  typename Policy::Producer producer(name, 8, 4);
  std::atomic<int> opened{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++)
    threads.emplace_back([&] {
      if (producer.open() == 0)
        opened++;
      else
        CHECK(lastError == Errc::InUse);
    });
  for (auto &thread : threads)
    thread.join();
  CHECK_EQ(opened, 1);
  CHECK_EQ(producer.push("1234567"), 0);
}

} // namespace

int main()
{
  RUN_EACH(each_message_of_other_processes_comes_once_and_whole);
  RUN_EACH(each_message_comes_once_and_whole);
  RUN_EACH(threads_share_the_objects);
  RUN_EACH(a_close_ends_the_waits_of_other_threads);
  RUN_EACH(of_threads_that_open_one_object_one_succeeds);
  return 0;
}
