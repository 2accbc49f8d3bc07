/* Endpoints: every member, and what each says when it fails. */
#include "ring_check.hpp"

namespace {

template <typename Policy> using Endpoint = typename Policy::Endpoint;

template <typename Policy> void both_spellings_name_a_side()
{
  static_assert(Endpoint<Policy>::A == Endpoint<Policy>::Side::A && Endpoint<Policy>::B == Endpoint<Policy>::Side::B);
  const Endpoint<Policy> a(Endpoint<Policy>::A, "ends"), b(Endpoint<Policy>::Side::B, "ends", 64, 8);
  CHECK(a.side() == Endpoint<Policy>::Side::A && b.side() == Endpoint<Policy>::B && a.name() == "ends");
  CHECK(a.elementSize() == 1472 && a.capacity() == 144 && b.elementSize() == 64 && b.capacity() == 8 && b.size() == 512);
}

template <typename Policy> void each_direction_has_a_ring_of_its_own()
{
  const Name name("duplex");
  Endpoint<Policy> a(Endpoint<Policy>::A, name, 8, 4), b(Endpoint<Policy>::B, "/" + name, 8, 4);
  CHECK(b.open() == 0 && a.open() == 0 && a.opened());
  uint64_t number = 1;
  for (uint64_t i = 0; i < 4; i++) {
    CHECK(a.available() == 4 - i && !a.full() && b.pending() == i);
    CHECK_EQ(i % 2 ? a.send(&number) : a.timedSend(&number, 1s), 0);
    number++;
  }
  CHECK(a.full() && a.pending() == 0 && b.available() == 4 && !b.empty());
  FAILS(a.trySend(&number), EAGAIN);
  FAILS(a.timedSend(&number, 2ms), ETIMEDOUT);
  for (uint64_t i = 1; i <= 4; i++) {
    number = 0;
    CHECK_EQ(i == 1 ? b.receive(&number) : i == 2 ? b.tryReceive(&number) : b.timedReceive(&number, 1s), 0);
    CHECK_EQ(number, i);
  }
  FAILS(b.tryReceive(&number), EAGAIN);
  FAILS(b.timedReceive(&number, 2ms), ETIMEDOUT);
  CHECK(b.empty());
  CHECK_EQ(b.trySend(&number), 0);
  CHECK(a.pending() == 1 && b.pending() == 0);
}

template <typename Policy> void many_go_at_once()
{
  const Name name("many");
  Endpoint<Policy> a(Endpoint<Policy>::A, name, 4, 3), b(Endpoint<Policy>::B, name, 4, 3);
  CHECK(a.open() == 0 && b.open() == 0);
  const int out[] = {1, 2, 3, 4};
  int in[4] = {};
  CHECK_EQ(a.sendMany(out, 4), 3);
  lastError.clear();
  CHECK(a.sendMany(out, 4) == 0 && lastError == Errc::TemporaryError);
  CHECK_EQ(b.receiveMany(in, 4), 3);
  CHECK(in[0] == 1 && in[1] == 2 && in[2] == 3);
  lastError.clear();
  CHECK(b.receiveMany(in, 4) == 0 && lastError == Errc::TemporaryError);
}

template <typename Policy> void mismatches_and_second_openings_fail()
{
  const Name name("busy");
  Endpoint<Policy> a(Endpoint<Policy>::A, name, 64, 8), other(Endpoint<Policy>::A, name, 64, 9), second(Endpoint<Policy>::A, name, 64, 8);
  CHECK_EQ(a.open(), 0);
  FAILS(a.open(), EALREADY);
  FAILS(other.open(), EPROTO);
  if constexpr (std::is_same_v<Policy, Mpmc>)
    CHECK_EQ(second.open(), 0);
  else
    FAILS(second.open(), EBUSY);
  Endpoint<Policy> nameless(Endpoint<Policy>::A, "", 64, 8), nothing(Endpoint<Policy>::A, name, 0, 8);
  FAILS(nameless.open(), EINVAL);
  FAILS(nothing.open(), EINVAL);
}

template <typename Policy> void closed_objects_and_null_pointers_are_refused()
{
  const Name name("closed");
  Endpoint<Policy> end(Endpoint<Policy>::B, name, 8, 8);
  uint64_t number = 0;
  for (const auto &[expected, data] : {std::pair(EPIPE, &number), std::pair(EINVAL, static_cast<uint64_t *>(nullptr))}) {
    FAILS(end.send(data), expected);
    FAILS(end.trySend(data), expected);
    FAILS(end.timedSend(data, 5ms), expected);
    FAILS(end.sendMany(data, 1), expected);
    FAILS(end.receive(data), expected);
    FAILS(end.tryReceive(data), expected);
    FAILS(end.timedReceive(data, 5ms), expected);
    FAILS(end.receiveMany(data, 1), expected);
    if (expected == EPIPE) {
      FAILS(end.interrupt(), EPIPE);
      FAILS(end.fd(), EPIPE);
      CHECK(end.available() == 0 && end.full() && end.pending() == 0 && end.empty() && !end.opened());
      CHECK_EQ(end.open(), 0);
    }
  }
  end.close();
  FAILS(end.send(&number), EPIPE);
}

template <typename Policy> void messages_are_made_and_read_in_place()
{
  const Name name("place");
  Endpoint<Policy> a(Endpoint<Policy>::A, name, sizeof(uint64_t), 2), b(Endpoint<Policy>::B, name, sizeof(uint64_t), 2);
  CHECK(a.reserve() == nullptr && b.peek() == nullptr);
  CHECK(a.open() == 0 && b.open() == 0);
  void *slot = a.timedReserve(1s);
  CHECK(slot != nullptr);
  *static_cast<uint64_t *>(slot) = 7;
  CHECK(b.peek() == nullptr);
  CHECK_EQ(a.commit(slot), 0);
  FAILS(a.commit(slot), EINVAL);
  const void *message = b.timedPeek(1s);
  CHECK(message != nullptr && *static_cast<const uint64_t *>(message) == 7);
  CHECK_EQ(b.release(message), 0);
  slot = b.reserve();
  CHECK(slot != nullptr);
  CHECK_EQ(b.abort(slot), 0);
  CHECK(a.peek() == nullptr && b.pending() == 0);
}

template <typename Policy> void each_direction_has_a_descriptor_of_its_own()
{
  const Name name("poll");
  Endpoint<Policy> a(Endpoint<Policy>::A, name, 8, 1), b(Endpoint<Policy>::B, name, 8, 1);
  CHECK(a.open() == 0 && b.open() == 0);
  const int messages = a.fd(), room = a.fd(SHMEM_FD_WRITE);
  CHECK(messages >= 0 && room >= 0 && messages != room && messages == a.fd(SHMEM_FD_READ));
  FAILS(a.fd(3), EINVAL);
  uint64_t number = 1;
  rests(messages, [&] { a.tryReceive(&number); });
  CHECK(b.trySend(&number) == 0 && readable(messages) && a.trySend(&number) == 0);
  rests(room, [&] { a.trySend(&number); });
  CHECK(b.tryReceive(&number) == 0 && readable(room));
}

template <typename Policy> void unlink_removes_both_rings()
{
  const Name name("unlink");
  CHECK_EQ(Endpoint<Policy>::unlink(name), 0);
  Endpoint<Policy> end(Endpoint<Policy>::A, name);
  CHECK_EQ(end.open(), 0);
  CHECK_EQ(BasicQueue<Policy>::unlink(name + "_AB"), 0);
  CHECK_EQ(access(("/dev/shm/" + name + "_AB").c_str(), F_OK), -1);
  CHECK_EQ(access(("/dev/shm/" + name + "_BA").c_str(), F_OK), 0);
  CHECK_EQ(Endpoint<Policy>::unlink("/" + name), 0);
  CHECK_EQ(access(("/dev/shm/" + name + "_BA").c_str(), F_OK), -1);
  FAILS(Endpoint<Policy>::unlink(""), EINVAL);
}

void a_ring_of_an_endpoint_can_be_opened_by_itself()
{
  const Name name("half");
  Spsc::Endpoint a(Spsc::Endpoint::A, name, 8, 4);
  Spsc::Consumer consumer(name + "_AB", 8, 4);
  uint64_t number = 5, got = 0;
  CHECK(a.open() == 0 && consumer.open() == 0 && a.send(&number) == 0 && consumer.pop(&got) == 0 && got == 5);
  Spsc::Endpoint moved = std::move(a);
  CHECK(moved.opened() && !a.opened() && moved.side() == Spsc::Endpoint::A);
}

} // namespace

int main()
{
  RUN_EACH(both_spellings_name_a_side);
  RUN_EACH(each_direction_has_a_ring_of_its_own);
  RUN_EACH(many_go_at_once);
  RUN_EACH(mismatches_and_second_openings_fail);
  RUN_EACH(closed_objects_and_null_pointers_are_refused);
  RUN_EACH(messages_are_made_and_read_in_place);
  RUN_EACH(each_direction_has_a_descriptor_of_its_own);
  RUN_EACH(unlink_removes_both_rings);
  RUN(a_ring_of_an_endpoint_can_be_opened_by_itself);
  return 0;
}
