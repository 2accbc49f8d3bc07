/* Objects that go while a slot is reserved or peeked at: others go on at once, and the place is free. */
#include "ring_check.hpp"

#include <stdexcept>

namespace {

constexpr uint64_t size = sizeof(uint64_t);

template <typename Policy> using Producer = typename Policy::Producer;
template <typename Policy> using Consumer = typename Policy::Consumer;
template <typename Policy> using Endpoint = typename Policy::Endpoint;

/* A slot that holds up those behind it, with rubbish in it. */
template <typename End> void *reserved(End &end)
{
  auto *slot = static_cast<uint64_t *>(end.reserve());
  CHECK(slot != nullptr);
  *slot = 666;
  return slot;
}

/* Another producer's message arrives, and nothing before it; the place of the one that has gone is free for it. */
template <typename Policy> void others_go_on(const std::string &name)
{
  Producer<Policy> producer(name, size, 4);
  Consumer<Policy> consumer(name, size, 4);
  uint64_t number = 7, got = 0;
  CHECK(producer.open() == 0 && consumer.open() == 0);
  CHECK_EQ(producer.push(&number), 0);
  CHECK(consumer.timedPop(&got, 20s) == 0 && got == 7);
  CHECK(producer.available() == 4 && consumer.pending() == 0);
}

template <typename Policy> void a_producer_that_is_closed_gives_its_slots_back()
{
  const Name name("close");
  Producer<Policy> producer(name, size, 4);
  CHECK_EQ(producer.open(), 0);
  void *slot = reserved(producer);
  if (!std::is_same_v<Policy, Spsc>)
    reserved(producer);
  producer.close();
  FAILS(producer.commit(slot), EPIPE);
  FAILS(producer.abort(slot), EPIPE);
  others_go_on<Policy>(name);
  CHECK_EQ(producer.open(), 0);
  CHECK_EQ(producer.available(), 4);
}

template <typename Policy> void a_producer_that_an_exception_destroys_gives_its_slots_back()
{
  const Name name("throw");
  THROWS(
      [&name] {
        Producer<Policy> producer(name, size, 4);
        CHECK_EQ(producer.open(), 0);
        reserved(producer);
        throw std::runtime_error("in between");
      }(),
      std::runtime_error);
  others_go_on<Policy>(name);
}

template <typename Policy> void slots_move_with_their_producer()
{
  const Name name("move"), other("other");
  Producer<Policy> producer(name, size, 4), replaced(other, size, 4);
  CHECK(producer.open() == 0 && replaced.open() == 0);
  reserved(replaced);
  void *slot = reserved(producer);
  *static_cast<uint64_t *>(slot) = 5;
  replaced = std::move(producer); /* which gives back what it had, and takes over the rest */
  others_go_on<Policy>(other);
  producer.close();
  FAILS(producer.commit(slot), EPIPE);
  CHECK_EQ(replaced.commit(slot), 0);
  Consumer<Policy> consumer(name, size, 4);
  uint64_t got = 0;
  CHECK(consumer.open() == 0 && consumer.timedPop(&got, 20s) == 0 && got == 5);
}

template <typename Policy> void a_consumer_that_goes_gives_back_what_it_peeks_at()
{
  const Name name("peek");
  Producer<Policy> producer(name, size, 2);
  CHECK_EQ(producer.open(), 0);
  uint64_t numbers[2] = {1, 2}, got = 0;
  CHECK_EQ(producer.pushMany(numbers, 2), 2);
  const bool stays = std::is_same_v<Policy, Spsc>;
  {
    Consumer<Policy> consumer(name, size, 2);
    CHECK(consumer.open() == 0 && consumer.peek() != nullptr);
  }
  CHECK_EQ(producer.available(), stays ? 0 : 1);
  Consumer<Policy> next(name, size, 2);
  CHECK_EQ(next.open(), 0);
  CHECK(!stays || (next.tryPop(&got) == 0 && got == 1));
  CHECK(next.tryPop(&got) == 0 && got == 2);
  FAILS(next.tryPop(&got), EAGAIN);
}

template <typename Policy> void a_side_of_an_endpoint_gives_back_both_ways()
{
  const Name name("side");
  Endpoint<Policy> b(Endpoint<Policy>::B, name, size, 2);
  CHECK_EQ(b.open(), 0);
  uint64_t number = 3, got = 0;
  CHECK_EQ(b.send(&number), 0);
  {
    Endpoint<Policy> a(Endpoint<Policy>::A, name, size, 2);
    CHECK(a.open() == 0 && a.peek() != nullptr);
    void *slot = reserved(a);
    a.close();
    FAILS(a.commit(slot), EPIPE);
  }
  Endpoint<Policy> a(Endpoint<Policy>::A, name, size, 2);
  CHECK_EQ(a.open(), 0);
  CHECK_EQ(a.pending(), (std::is_same_v<Policy, Spsc>) ? 1 : 0);
  CHECK(a.send(&number) == 0 && b.timedReceive(&got, 20s) == 0 && got == 3);
}

template <typename Policy> void a_guard_keeps_its_slot_when_the_object_is_closed()
{
  const Name name("guard");
  using Typed = Ring<uint64_t, Policy>;
  typename Typed::Producer producer(name, 4);
  CHECK_EQ(producer.open(), 0);
  auto slot = producer.reserve();
  CHECK(slot);
  typename Typed::Producer moved(std::move(producer));
  moved.close();
  *slot = 666; /* the memory is there */
  slot.reset();
  others_go_on<Policy>(name);
}

} // namespace

int main()
{
  RUN_EACH(a_producer_that_is_closed_gives_its_slots_back);
  RUN_EACH(a_producer_that_an_exception_destroys_gives_its_slots_back);
  RUN_EACH(slots_move_with_their_producer);
  RUN_EACH(a_consumer_that_goes_gives_back_what_it_peeks_at);
  RUN_EACH(a_side_of_an_endpoint_gives_back_both_ways);
  RUN_EACH(a_guard_keeps_its_slot_when_the_object_is_closed);
  return 0;
}
