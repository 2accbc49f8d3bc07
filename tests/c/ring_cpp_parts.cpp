/* Of <villas/shm.hpp>: lastError and Errc, SharedMemory, typed rings. */
#include "ring_check.hpp"

#include <array>
#include <limits>
#include <vector>

namespace {

void each_errno_is_of_its_kind_and_of_no_other()
{
  static_assert(std::is_error_condition_enum<Errc>::value && !std::is_error_code_enum<Errc>::value);
  const std::pair<int, Errc> kinds[] = {{EINVAL, Errc::InvalidParam}, {EPROTO, Errc::InvalidParam}, {EAGAIN, Errc::TemporaryError},
                                        {ETIMEDOUT, Errc::TimedOut},  {EALREADY, Errc::InUse},      {EBUSY, Errc::InUse}};
  for (const auto &[number, kind] : kinds) {
    for (const std::error_category *category : {&detail::codes(), &std::generic_category(), &std::system_category()}) {
      const std::error_code code(number, *category);
      for (Errc other : {Errc::InUse, Errc::InvalidParam, Errc::TimedOut, Errc::TemporaryError}) {
        CHECK((code == other) == (other == kind));
        CHECK((other == code) == (other == kind));
        CHECK((code != other) == (other != kind));
        CHECK((other != code) == (other != kind));
      }
    }
    CHECK(!make_error_condition(kind).message().empty());
  }
  for (int number : {0, EPIPE, ENOENT, EBADMSG, ESTALE})
    for (Errc kind : {Errc::InUse, Errc::InvalidParam, Errc::TimedOut, Errc::TemporaryError})
      CHECK(std::error_code(number, detail::codes()) != kind);
}

void last_error_is_each_threads_own_and_has_a_message()
{
  FAILS(SharedMemory("", 1).open(), EINVAL);
  std::thread([] { CHECK(!lastError); }).join();
  CHECK(lastError == std::errc::invalid_argument);
  Spsc::Producer producer("closed");
  CHECK_EQ(producer.available(), 0);
  CHECK(lastError == std::errc::broken_pipe);
}

/* The message of a failed call names all of these. */
#define TELLS(call, number, ...)                                                                   \
  do {                                                                                             \
    FAILS(call, number);                                                                           \
    for (const char *part : {__VA_ARGS__})                                                         \
      if (lastError.message().find(part) == std::string::npos)                                     \
        check::fail(__FILE__, __LINE__, (lastError.message() + " lacks " + part).c_str());         \
  } while (0)

void the_message_has_both_values_and_is_that_of_the_c_interface()
{
  const Name name("both");
  Spsc::Producer producer(name, 64, 16), larger(name, 128, 16), deeper(name, 64, 17);
  Spsc::Consumer second(name, 64, 16), first(name, 64, 16);
  CHECK(producer.open() == 0 && first.open() == 0);
  TELLS(larger.open(), EPROTO, "64", "128", name.c_str());
  CHECK(lastError.message() == shmem_last_error());
  TELLS(deeper.open(), EPROTO, "16", "17", name.c_str());
  const std::string self = std::to_string(getpid());
  TELLS(second.open(), EBUSY, self.c_str());
  Ring<double>::Producer other(name, 16);
  TELLS(other.open(), EPROTO, "64", "8");
  double message;
  TELLS(first.tryPop(&message), EAGAIN, "empty");
  TELLS(first.timedPop(&message, 1ms), ETIMEDOUT, "within the time");
  CHECK(first.popMany(&message, 1) == 0 && lastError.message() == shmem_last_error());
}

void the_message_of_this_headers_own_errors_says_what_to_do()
{
  const Name name("own");
  Spsc::Producer producer(name, 64, 16), empty(name, 0, 16);
  TELLS(producer.tryPush(&producer), EPIPE, "closed", "open it");
  CHECK(!producer.reserve() && lastError == std::errc::broken_pipe);
  TELLS(empty.open(), EINVAL, name.c_str(), " 0 bytes", "16");
  CHECK_EQ(producer.open(), 0);
  TELLS(producer.open(), EALREADY, "open already", "close it");
  CHECK_EQ(SharedMemory::unlink(name), 0);
  SharedMemory memory(name, 100), larger(name, 200);
  CHECK_EQ(memory.open(), 0);
  TELLS(larger.open(), EPROTO, name.c_str(), "100", "200");
  TELLS(memory.open(), EALREADY, "open already");
  TELLS(SharedMemory("", 1).open(), EINVAL, "name");
  TELLS(SharedMemory(name, 0).open(), EINVAL, name.c_str(), " 0 bytes");
}

void a_kept_error_is_a_copy_and_an_error_code()
{
  const Name name("kept");
  Spsc::Producer producer(name, 64, 16), larger(name, 128, 16);
  CHECK_EQ(producer.open(), 0);
  FAILS(larger.open(), EPROTO);
  const LastError kept = lastError;
  const std::string sentence = kept.message();
  const std::error_code code = kept; /* as before: the code alone */
  FAILS(larger.tryPush(&larger), EPIPE);
  CHECK(kept.message() == sentence && kept == Errc::InvalidParam && kept != lastError);
  CHECK(code == kept.code() && code.value() == EPROTO && code.message() == shmem_strerror(EPROTO));
  CHECK(std::system_error(kept, "open").code() == kept);

  /* An error without a sentence of its own does not keep that of another. */
  CHECK_EQ(larger.interrupt(), -1);
  CHECK(lastError == std::errc::broken_pipe && lastError.message() == shmem_strerror(EPIPE));
  lastError = std::make_error_code(std::errc::no_lock_available);
  CHECK(lastError == std::errc::no_lock_available && lastError.message() == std::generic_category().message(ENOLCK));
  lastError.clear();
  CHECK(!lastError);
  /* A sentence of any length. */
  CHECK(SharedMemory(std::string(5000, 'n'), 1).open() == -1 && lastError.message().size() == 1023);
}

void shared_memory_is_the_same_bytes_for_all_who_open_it()
{
  const Name name("memory");
  constexpr auto most = std::numeric_limits<uint64_t>::max();
  SharedMemory one(name, 5000), two("/" + name, 5000), smaller(name, 4999);
  const SharedMemory &constant = one;
  THROWS(SharedMemory(name, most), std::overflow_error);
  THROWS(SharedMemory(name, static_cast<uint64_t>(std::numeric_limits<off_t>::max()) - 4095), std::overflow_error);
  for (int pass = 0; pass < 2; pass++) {
    THROWS(one.get(5000), std::out_of_range);
    THROWS(constant.get(most), std::out_of_range);
    CHECK(one.size() == 5000 && one.name() == name && one.opened() == (pass == 1));
    CHECK((constant.get(4999) == nullptr) == (pass == 0));
    if (pass == 0)
      CHECK_EQ(one.open(), 0);
  }
  FAILS(one.open(), EALREADY);
  FAILS(smaller.open(), EPROTO);
  CHECK_EQ(two.open(), 0);
  for (uint64_t i = 0; i < 5000; i++)
    CHECK_EQ(*static_cast<char *>(one.get(i)), 0);
  *static_cast<char *>(one.get(4999)) = 'x';
  CHECK_EQ(*static_cast<const char *>(two.get(4999)), 'x');
  SharedMemory moved(std::move(one));
  CHECK(!one.opened() && *static_cast<char *>(moved.get(4999)) == 'x');
  two = std::move(moved);
  CHECK(two.opened() && !moved.opened() && two.name() == name);
  two.close();
  CHECK(!two.opened() && two.get() == nullptr);
  CHECK(SharedMemory::unlink(name) == 0 && SharedMemory::unlink(name) == 0);
}

void shared_memory_of_bad_name_or_size_does_not_open()
{
  for (const std::string &bad : {std::string(), std::string("/"), std::string("a/b"), std::string(".."), std::string(300, 'n')}) {
    SharedMemory memory(bad, 16);
    FAILS(memory.open(), EINVAL);
    CHECK(!memory.opened());
  }
  const Name name("sizes");
  SharedMemory none(name, 0), all(name, static_cast<uint64_t>(std::numeric_limits<off_t>::max()) - 4096);
  FAILS(none.open(), EINVAL);
  CHECK(all.open() == -1 && (lastError == std::errc::no_space_on_device || lastError == std::errc::file_too_large));
  CHECK_EQ(access(("/dev/shm/" + name).c_str(), F_OK), -1);
  FAILS(SharedMemory::unlink(""), EINVAL);
}

void four_who_open_at_once_have_the_same_memory()
{
  const Name name("race");
  for (int round = 0; round < 20; round++) {
    std::atomic<int> there{0};
    std::array<std::thread, 4> threads;
    for (auto &thread : threads)
      thread = std::thread([&] {
        SharedMemory memory(name, 64);
        there++;
        until([&] { return there == 4; });
        CHECK_EQ(memory.open(), 0);
        ++*static_cast<std::atomic<int> *>(memory.get());
      });
    for (auto &thread : threads)
      thread.join();
    SharedMemory memory(name, 64);
    CHECK_EQ(memory.open(), 0);
    CHECK_EQ(*static_cast<std::atomic<int> *>(memory.get()), 4);
    CHECK_EQ(SharedMemory::unlink(name), 0);
  }
}

struct Measurement {
  uint64_t id;
  double volts[3];
};

template <typename Policy> void typed_messages_pass_by_value_in_batches_and_in_place()
{
  const Name name("typed");
  using Typed = Ring<Measurement, Policy>;
  typename Typed::Producer producer(name, 4);
  typename Typed::Consumer consumer(name, 4);
  CHECK(producer.elementSize() == sizeof(Measurement) && consumer.capacity() == 4);
  CHECK(!producer.reserve() && lastError == std::errc::broken_pipe);
  CHECK(producer.open() == 0 && consumer.open() == 0);

  Measurement got = {};
  CHECK_EQ(producer.push({1, {1.5, 2, 3}}), 0);
  CHECK_EQ(producer.tryPush({2, {}}), 0);
  CHECK_EQ(producer.timedPush({3, {}}, 1s), 0);
  CHECK(consumer.pop(got) == 0 && got.id == 1 && got.volts[0] == 1.5);
  CHECK(consumer.tryPop(got) == 0 && got.id == 2);
  CHECK(consumer.timedPop(got, 1s) == 0 && got.id == 3);
  FAILS(consumer.tryPop(got), EAGAIN);

  std::vector<Measurement> out = {{4, {}}, {5, {}}, {6, {}}}, in(3);
  CHECK_EQ(producer.pushMany(out.data(), out.size()), 3);
  CHECK_EQ(consumer.popMany(in.data(), in.size()), 3);
  CHECK(in[0].id == 4 && in[2].id == 6);

  if (auto slot = producer.reserve())
    slot->id = 666; /* given up */
  auto slot = producer.timedReserve(1s);
  CHECK(slot);
  slot->id = 7;
  CHECK_EQ(producer.commit(std::move(slot)), 0);
  CHECK(!slot);
  FAILS(producer.commit(std::move(slot)), EINVAL);
  {
    const auto message = consumer.peek();
    CHECK(message && message->id == 7);
    static_assert(std::is_const_v<std::remove_reference_t<decltype(*message)>>);
  }
  CHECK(!consumer.peek() && lastError == Errc::TemporaryError);
  CHECK(!consumer.timedPeek(1ms) && lastError == Errc::TimedOut);
  CHECK_EQ(producer.available(), 4);
}

template <typename Policy> void what_is_held_may_outlive_the_objects()
{
  const Name name("held");
  using Typed = Ring<uint64_t, Policy>;
  typename Typed::Producer::Slot slot;
  typename Typed::Consumer::Message message;
  {
    typename Typed::Producer producer(name, 4);
    typename Typed::Consumer consumer(name, 4);
    CHECK(producer.open() == 0 && consumer.open() == 0 && producer.push(8) == 0);
    message = consumer.peek();
    slot = producer.reserve();
    CHECK(message && slot);
  }
  CHECK_EQ(*message, 8);
  *slot = 9;
  typename Typed::Producer closed(name, 4);
  CHECK_EQ(closed.commit(std::move(slot)), 0); /* a slot knows its ring */
  message.reset();
  typename Typed::Consumer consumer(name, 4);
  uint64_t number = 0;
  CHECK(consumer.open() == 0 && consumer.pop(number) == 0 && number == 9 && consumer.available() == 4);
}

} // namespace

int main()
{
  RUN(each_errno_is_of_its_kind_and_of_no_other);
  RUN(last_error_is_each_threads_own_and_has_a_message);
  RUN(the_message_has_both_values_and_is_that_of_the_c_interface);
  RUN(the_message_of_this_headers_own_errors_says_what_to_do);
  RUN(a_kept_error_is_a_copy_and_an_error_code);
  RUN(shared_memory_is_the_same_bytes_for_all_who_open_it);
  RUN(shared_memory_of_bad_name_or_size_does_not_open);
  RUN(four_who_open_at_once_have_the_same_memory);
  RUN_EACH(typed_messages_pass_by_value_in_batches_and_in_place);
  RUN_EACH(what_is_held_may_outlive_the_objects);
  return 0;
}
