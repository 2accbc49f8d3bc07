/* Producers and consumers: every member, and what each says when it fails. */
#include "ring_check.hpp"

#include <limits>
#include <vector>

namespace {

constexpr auto uint64Max = std::numeric_limits<uint64_t>::max();
constexpr auto offMax = static_cast<uint64_t>(std::numeric_limits<off_t>::max());

template <typename Policy> void sizes_and_names_are_those_given()
{
  const typename Policy::Producer given("/a name", 64, 8), defaults("x");
  const typename Policy::Consumer consumer("y");
  CHECK(given.name() == "/a name" && given.elementSize() == 64 && given.capacity() == 8 && given.size() == 512);
  CHECK(defaults.elementSize() == 1472 && defaults.capacity() == 144);
  CHECK(consumer.elementSize() == 1472 && consumer.capacity() == 144 && consumer.size() == 1472 * 144);
}

template <typename Policy> void only_impossible_sizes_throw()
{
  using Consumer = typename Policy::Consumer;
  using Producer = typename Policy::Producer;
  THROWS(Consumer("n", 128, uint64Max), std::overflow_error);
  THROWS(Producer("n", uint64Max, 2), std::overflow_error);
  THROWS(Consumer("n", 1, offMax), std::overflow_error);
  THROWS(Producer("n", 1, offMax - 4095), std::overflow_error);
  THROWS(typename Policy::Endpoint(Policy::Endpoint::A, "n", 2, offMax), std::overflow_error);
  const Name name("large");
  Producer large(name, 1, offMax - 4096), noSize(name, 0, 8), noRoom(name, 8, 0), manyBytes(name, (1 << 20) + 1, 1);
  for (Producer *producer : {&large, &noSize, &noRoom, &manyBytes}) {
    FAILS(producer->open(), EINVAL);
    CHECK(!producer->opened());
  }
}

template <typename Policy> void bad_names_fail_in_open()
{
  for (const std::string &bad : {std::string(), std::string("/"), std::string("a/b"), std::string(300, 'n')}) {
    typename Policy::Producer producer(bad, 64, 8);
    FAILS(producer.open(), EINVAL);
    CHECK(lastError == Errc::InvalidParam);
  }
}

template <typename Policy> void an_object_opens_once_and_again_after_a_close()
{
  const Name name("open");
  typename Policy::Producer producer(name, 64, 8);
  CHECK(!producer.opened());
  producer.close();
  CHECK_EQ(producer.open(), 0);
  CHECK(producer.opened());
  FAILS(producer.open(), EALREADY);
  CHECK(lastError == Errc::InUse && producer.opened());
  producer.close();
  CHECK(!producer.opened());
  CHECK_EQ(producer.open(), 0);
}

template <typename Policy> void other_parameters_are_a_mismatch()
{
  const Name name("mismatch");
  typename Policy::Producer producer(name, 64, 8), wider(name, 128, 8);
  typename Policy::Consumer longer("/" + name, 64, 9);
  CHECK_EQ(producer.open(), 0);
  FAILS(wider.open(), EPROTO);
  CHECK(lastError == Errc::InvalidParam);
  CHECK(std::strstr(shmem_last_error(), "64") && std::strstr(shmem_last_error(), "128"));
  FAILS(longer.open(), EPROTO);
  using Other = std::conditional_t<std::is_same_v<Policy, Mpsc>, Mpmc, Mpsc>;
  typename Other::Consumer other(name, 64, 8);
  FAILS(other.open(), EPROTO);
}

void a_second_of_one_role_is_busy_until_the_first_closes()
{
  const Name spsc("spsc"), mpsc("mpsc");
  Spsc::Producer producer(spsc), second(spsc);
  Mpsc::Consumer consumer(mpsc), rival(mpsc);
  CHECK(producer.open() == 0 && consumer.open() == 0);
  FAILS(second.open(), EBUSY);
  CHECK(lastError == Errc::InUse);
  FAILS(rival.open(), EBUSY);
  producer.close();
  consumer.close();
  CHECK_EQ(second.open(), 0);
  CHECK_EQ(rival.open(), 0);
}

template <typename Policy> void the_capacity_is_exact()
{
  const Name name("capacity");
  for (const uint64_t capacity : {1, 3, 144}) {
    typename Policy::Producer producer(name, 5, capacity);
    typename Policy::Consumer consumer(name, 5, capacity);
    CHECK(consumer.open() == 0 && producer.open() == 0);
    for (int lap = 0; lap < 3; lap++) {
      for (uint64_t i = 0; i < capacity; i++) {
        CHECK(producer.available() == capacity - i && producer.pending() == i && !producer.full());
        CHECK_EQ(producer.tryPush("text"), 0);
        CHECK(consumer.pending() == i + 1 && !consumer.empty());
      }
      CHECK(producer.full() && producer.available() == 0);
      char text[5];
      for (uint64_t i = 0; i < capacity; i++)
        CHECK(consumer.tryPop(text) == 0 && std::strcmp(text, "text") == 0);
      CHECK(consumer.empty() && consumer.available() == capacity);
    }
    CHECK_EQ(BasicQueue<Policy>::unlink(name), 0);
  }
}

template <typename Policy> void full_and_empty_are_said_by_each_call()
{
  const Name name("full");
  typename Policy::Producer producer(name, 8, 2);
  typename Policy::Consumer consumer(name, 8, 2);
  CHECK(producer.open() == 0 && consumer.open() == 0);
  uint64_t number = 1, got = 0;
  FAILS(consumer.tryPop(&got), EAGAIN);
  CHECK(lastError == Errc::TemporaryError);
  FAILS(consumer.timedPop(&got, 2ms), ETIMEDOUT);
  CHECK(lastError == Errc::TimedOut);
  FAILS(consumer.timedPop(&got, -1s), ETIMEDOUT);
  CHECK(consumer.peek() == nullptr && lastError == Errc::TemporaryError);
  CHECK(consumer.timedPeek(1ms) == nullptr && lastError == Errc::TimedOut);
  CHECK_EQ(producer.push(&number), 0);
  number = 2;
  CHECK_EQ(producer.timedPush(&number, std::chrono::hours::max()), 0);
  FAILS(producer.tryPush(&number), EAGAIN);
  FAILS(producer.timedPush(&number, 2ms), ETIMEDOUT);
  FAILS(producer.timedPush(&number, std::chrono::duration<float>(0.001f)), ETIMEDOUT);
  CHECK(producer.reserve() == nullptr && lastError == Errc::TemporaryError);
  CHECK(producer.timedReserve(1ms) == nullptr && lastError == Errc::TimedOut);
  CHECK(consumer.pop(&got) == 0 && got == 1);
  CHECK(consumer.timedPop(&got, 1h) == 0 && got == 2);
}

template <typename Policy> void null_pointers_are_refused()
{
  const Name name("null");
  typename Policy::Producer producer(name, 8, 2);
  typename Policy::Consumer consumer(name, 8, 2);
  CHECK(producer.open() == 0 && consumer.open() == 0);
  FAILS(producer.tryPush(nullptr), EINVAL);
  FAILS(producer.push(nullptr), EINVAL);
  FAILS(producer.timedPush(nullptr, 5ms), EINVAL);
  FAILS(producer.pushMany(nullptr, 1), EINVAL);
  FAILS(producer.commit(nullptr), EINVAL);
  FAILS(producer.abort(nullptr), EINVAL);
  FAILS(consumer.tryPop(nullptr), EINVAL);
  FAILS(consumer.pop(nullptr), EINVAL);
  FAILS(consumer.timedPop(nullptr, 5ms), EINVAL);
  FAILS(consumer.popMany(nullptr, 1), EINVAL);
  FAILS(consumer.release(nullptr), EINVAL);
  CHECK(lastError == Errc::InvalidParam);
  CHECK_EQ(producer.pushMany(nullptr, 0), 0);
}

template <typename Policy> void a_closed_object_does_nothing()
{
  typename Policy::Producer producer("closed", 8, 2);
  typename Policy::Consumer consumer("closed", 8, 2);
  uint64_t number = 0;
  FAILS(producer.tryPush(&number), EPIPE);
  FAILS(producer.push(&number), EPIPE);
  FAILS(producer.timedPush(&number, 5ms), EPIPE);
  FAILS(producer.pushMany(&number, 1), EPIPE);
  FAILS(producer.commit(&number), EPIPE);
  FAILS(producer.abort(&number), EPIPE);
  FAILS(producer.interrupt(), EPIPE);
  FAILS(producer.fd(), EPIPE);
  FAILS(consumer.tryPop(&number), EPIPE);
  FAILS(consumer.pop(&number), EPIPE);
  FAILS(consumer.timedPop(&number, 5ms), EPIPE);
  FAILS(consumer.popMany(&number, 1), EPIPE);
  FAILS(consumer.release(&number), EPIPE);
  struct shmem_ring_stats counters;
  FAILS(consumer.stats(counters), EPIPE);
  lastError.clear();
  CHECK(producer.reserve() == nullptr && lastError == std::errc::broken_pipe);
  lastError.clear();
  CHECK(consumer.peek() == nullptr && lastError == std::errc::broken_pipe);
  CHECK(producer.available() == 0 && producer.full() && consumer.pending() == 0 && consumer.empty());
}

template <typename Policy> void get_checks_the_range_first()
{
  const Name name("get");
  typename Policy::Producer producer(name, 24, 3);
  typename Policy::Consumer consumer(name, 24, 3);
  const auto &constant = producer;
  for (int pass = 0; pass < 2; pass++) {
    THROWS(producer.get(72), std::out_of_range);
    THROWS(producer.get(uint64Max), std::out_of_range);
    THROWS(constant.get(uint64Max), std::out_of_range);
    CHECK(pass == 1 || (producer.get() == nullptr && constant.get(71) == nullptr));
    CHECK_EQ(producer.open(), pass == 0 ? 0 : -1);
  }
  CHECK_EQ(consumer.open(), 0);
  static_assert(std::is_same_v<decltype(constant.get()), const void *> && std::is_same_v<decltype(producer.get()), void *>);
  for (int i = 0; i < 3; i++) {
    char text[24];
    std::snprintf(text, sizeof text, "message %d", i);
    CHECK_EQ(producer.push(text), 0);
  }
  for (uint64_t i = 0; i < 3; i++) {
    CHECK_EQ(static_cast<const char *>(consumer.get(24 * i + 8))[0], '0' + static_cast<int>(i));
    CHECK_EQ(std::memcmp(constant.get(24 * i), "message ", 8), 0);
  }
}

template <typename Policy> void many_move_as_many_as_fit()
{
  const Name name("many");
  typename Policy::Producer producer(name, 8, 5);
  typename Policy::Consumer consumer(name, 8, 5);
  CHECK(producer.open() == 0 && consumer.open() == 0);
  std::vector<uint64_t> out(8), in(8);
  uint64_t next = 0, expected = 0;
  for (int lap = 0; lap < 4; lap++) {
    for (auto &number : out)
      number = next++;
    CHECK_EQ(producer.pushMany(out.data(), out.size()), 5);
    next -= 3;
    lastError.clear();
    CHECK(producer.pushMany(out.data(), 1) == 0 && lastError == Errc::TemporaryError);
    CHECK_EQ(consumer.popMany(in.data(), 2), 2);
    CHECK_EQ(consumer.popMany(in.data() + 2, std::numeric_limits<size_t>::max()), 3);
    for (int i = 0; i < 5; i++)
      CHECK_EQ(in[static_cast<size_t>(i)], expected++);
    lastError.clear();
    CHECK(consumer.popMany(in.data(), 1) == 0 && lastError == Errc::TemporaryError);
  }
}

template <typename Policy> void messages_are_made_and_read_in_place()
{
  const Name name("place");
  typename Policy::Producer producer(name, 8, 2);
  typename Policy::Consumer consumer(name, 8, 2);
  CHECK(producer.open() == 0 && consumer.open() == 0);
  uint64_t got = 0;
  for (uint64_t i = 0; i < 5; i++) {
    auto *slot = static_cast<uint64_t *>(i % 2 ? producer.reserve() : producer.timedReserve(1s));
    CHECK(slot != nullptr);
    *slot = i;
    CHECK_EQ(producer.abort(slot), 0);
    FAILS(producer.commit(slot), EINVAL);
    slot = static_cast<uint64_t *>(producer.reserve());
    *slot = 100 + i;
    CHECK(consumer.empty());
    CHECK_EQ(producer.commit(slot), 0);
    auto *message = static_cast<const uint64_t *>(i % 2 ? consumer.peek() : consumer.timedPeek(1s));
    CHECK(message != nullptr && *message == 100 + i);
    CHECK_EQ(consumer.release(message), 0);
    FAILS(consumer.release(message), EINVAL);
    CHECK_EQ(consumer.tryPop(&got), -1);
  }
}

template <typename Policy> void messages_outlive_the_producer()
{
  const Name name("outlive");
  int number = 7;
  {
    typename Policy::Producer producer(name, sizeof number, 4);
    CHECK(producer.open() == 0 && producer.push(&number) == 0);
  }
  typename Policy::Consumer consumer(name, sizeof number, 4);
  number = 0;
  CHECK(consumer.open() == 0 && consumer.pop(&number) == 0 && number == 7);
}

template <typename Policy> void a_move_takes_the_open_end_along()
{
  const Name name("move");
  typename Policy::Producer first(name, 8, 4);
  CHECK_EQ(first.open(), 0);
  typename Policy::Producer second(std::move(first));
  CHECK(second.opened() && second.name() == name && !first.opened());
  FAILS(first.tryPush("1234567"), EPIPE);
  CHECK_EQ(second.tryPush("1234567"), 0);
  std::vector<typename Policy::Producer> ends;
  ends.push_back(std::move(second));
  typename Policy::Producer other("other", 8, 4);
  other = std::move(ends[0]);
  CHECK(other.name() == name && other.available() == 3);
  auto &self = other;
  other = std::move(self);
  CHECK(other.opened());
}

template <typename Policy> void stats_and_interrupt()
{
  const Name name("stats");
  typename Policy::Consumer consumer(name, 8, 4);
  CHECK_EQ(consumer.open(), 0);
  struct shmem_ring_stats counters;
  CHECK_EQ(consumer.stats(counters), 0);
  CHECK(counters.capacity == 4 && counters.element_size == 8 && counters.policy == Policy::policy && counters.consumers == 1);
  std::atomic<bool> done{false};
  std::thread waiter([&] {
    uint64_t number;
    FAILS(consumer.pop(&number), EINTR);
    done = true;
  });
  until([&] { return consumer.interrupt() == 0 && done; });
  waiter.join();
}

template <typename Policy> void a_descriptor_is_readable_while_a_call_would_not_wait()
{
  const Name name("poll");
  typename Policy::Producer producer(name, 8, 1);
  typename Policy::Consumer consumer(name, 8, 1);
  CHECK(producer.open() == 0 && consumer.open() == 0);
  const int room = producer.fd(), messages = consumer.fd();
  CHECK(room >= 0 && messages >= 0 && room == producer.fd() && room != messages);
  for (uint64_t i = 0, got = 1; i < 10; i++) {
    rests(messages, [&] { consumer.tryPop(&got); });
    CHECK_EQ(producer.tryPush(&i), 0);
    CHECK(readable(messages));
    rests(room, [&] { producer.tryPush(&i); });
    CHECK(consumer.tryPop(&got) == 0 && got == i && readable(room));
  }
}

template <typename Policy> void what_does_not_exist_is_unlinked_with_success()
{
  const Name name("unlink");
  CHECK_EQ(BasicQueue<Policy>::unlink(name), 0);
  typename Policy::Producer producer(name);
  CHECK_EQ(producer.open(), 0);
  CHECK_EQ(Policy::Producer::unlink("/" + name), 0);
  CHECK_EQ(access(("/dev/shm/" + name).c_str(), F_OK), -1);
  CHECK_EQ(producer.available(), 144);
  FAILS(BasicQueue<Policy>::unlink(""), EINVAL);
}

} // namespace

int main()
{
  RUN_EACH(sizes_and_names_are_those_given);
  RUN_EACH(only_impossible_sizes_throw);
  RUN_EACH(bad_names_fail_in_open);
  RUN_EACH(an_object_opens_once_and_again_after_a_close);
  RUN_EACH(other_parameters_are_a_mismatch);
  RUN(a_second_of_one_role_is_busy_until_the_first_closes);
  RUN_EACH(the_capacity_is_exact);
  RUN_EACH(full_and_empty_are_said_by_each_call);
  RUN_EACH(null_pointers_are_refused);
  RUN_EACH(a_closed_object_does_nothing);
  RUN_EACH(get_checks_the_range_first);
  RUN_EACH(many_move_as_many_as_fit);
  RUN_EACH(messages_are_made_and_read_in_place);
  RUN_EACH(messages_outlive_the_producer);
  RUN_EACH(a_move_takes_the_open_end_along);
  RUN_EACH(stats_and_interrupt);
  RUN_EACH(a_descriptor_is_readable_while_a_call_would_not_wait);
  RUN_EACH(what_does_not_exist_is_unlinked_with_success);
  return 0;
}
