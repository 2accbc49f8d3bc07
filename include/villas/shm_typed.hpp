/*
 * villas/shm_typed.hpp: rings of one type of message, part of <villas/shm.hpp>.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef VILLAS_SHM_TYPED_HPP
#define VILLAS_SHM_TYPED_HPP

#include <memory>

#include <villas/shm_ring.hpp>

namespace villas::shm {

/*
 * A ring whose messages are of type T. Errors, waits, ownership and threads are those of
 * BasicProducer and BasicConsumer, except where a comment says otherwise.
 *
 *   struct Measurement { std::uint64_t id; double volts; };
 *   Ring<Measurement>::Producer producer("measurements", 64);
 *   if (producer.open() == 0)
 *     producer.push({42, 230.1});
 *
 * The other end may be another program in another language, so T must have the same bytes in both.
 * Any bytes can come from there: check a bool or an enumeration before you use it.
 */
template <typename T, typename Policy = Spsc> struct Ring {
  static_assert(std::is_trivially_copyable_v<T>,
                "messages are copied byte by byte to another process");
  static_assert(!std::is_pointer_v<T>, "a pointer means nothing in another process");
  static_assert(alignof(T) <= (sizeof(T) <= 8 ? 16 : 32),
                "slots are aligned to 32 bytes, those of up to 8 bytes to 16");

  /* The end that writes messages. */
  class Producer : public BasicProducer<Policy> {
    using Base = BasicProducer<Policy>;
    struct Abort {
      shmem_ring *ring;
      void operator()(T *slot) const noexcept { shmem_ring_abort(ring, slot); }
    };

  public:
    /* A reserved slot. It holds what was there before. Its destructor gives it back without a
     * message, also after the ring was closed. */
    using Slot = std::unique_ptr<T, Abort>;

    /* A closed object for a ring of `capacity` messages. Throws as BasicProducer's constructor
     * does. */
    explicit Producer(std::string name, std::uint64_t capacity = defaultCapacity)
    : Base(std::move(name), sizeof(T), capacity, true)
    {
    }

    /* Copies a message into the ring. Never waits. EAGAIN: the ring is full. */
    int tryPush(const T &message) noexcept { return Base::tryPush(&message); }
    /* Copies a message into the ring. Waits for room without limit. EINTR. */
    int push(const T &message) noexcept { return Base::push(&message); }
    /* Copies a message into the ring. Waits for room for `timeout` at most. ETIMEDOUT, EINTR. */
    template <typename Rep, typename Period>
    int timedPush(const T &message, std::chrono::duration<Rep, Period> timeout) noexcept
    {
      return Base::timedPush(&message, timeout);
    }
    /* Copies as many of `count` messages into the ring as fit. Never waits. Returns how many; 0
     * with EAGAIN: the ring is full. */
    int pushMany(const T *messages, std::size_t count) noexcept
    {
      return Base::pushMany(messages, count);
    }

    /* Reserves a slot, in which the caller makes a message. Never waits. An SPSC ring gives one at
     * a time. The result is empty with EAGAIN if the ring is full. */
    Slot reserve() noexcept { return held(shmem_ring_reserve); }
    /* Reserves a slot as reserve() does. Waits for room for `timeout` at most. ETIMEDOUT, EINTR. */
    template <typename Rep, typename Period>
    Slot timedReserve(std::chrono::duration<Rep, Period> timeout) noexcept
    {
      return held(shmem_ring_timed_reserve, detail::Timeout(timeout).get());
    }
    /* Publishes the message in a slot. EINVAL: the slot is empty. */
    int commit(Slot slot) noexcept
    {
      shmem_ring *ring = slot.get_deleter().ring;
      return detail::checked(shmem_ring_commit(ring, slot.release()));
    }

  private:
    template <typename Function, typename... Arguments>
    Slot held(Function function, Arguments... arguments) noexcept
    {
      shmem_ring *ring = nullptr;
      void *at = this->pointer(
        [&](shmem_ring *open) { return function(ring = open, arguments...); });
      return Slot(static_cast<T *>(at), Abort{ring});
    }
  };

  /* The end that takes messages. */
  class Consumer : public BasicConsumer<Policy> {
    using Base = BasicConsumer<Policy>;
    struct Release {
      shmem_ring *ring;
      void operator()(const T *message) const noexcept { shmem_ring_release(ring, message); }
    };

  public:
    /* A message in the ring itself. Its destructor takes it out of the ring and frees the slot,
     * also after the ring was closed. */
    using Message = std::unique_ptr<const T, Release>;

    /* A closed object for a ring of `capacity` messages. Throws as BasicProducer's constructor
     * does. */
    explicit Consumer(std::string name, std::uint64_t capacity = defaultCapacity)
    : Base(std::move(name), sizeof(T), capacity, true)
    {
    }

    /* Takes the oldest message. Never waits. EAGAIN: the ring is empty. */
    int tryPop(T &message) noexcept { return Base::tryPop(&message); }
    /* Takes the oldest message. Waits for one without limit. EINTR. */
    int pop(T &message) noexcept { return Base::pop(&message); }
    /* Takes the oldest message. Waits for one for `timeout` at most. ETIMEDOUT, EINTR. */
    template <typename Rep, typename Period>
    int timedPop(T &message, std::chrono::duration<Rep, Period> timeout) noexcept
    {
      return Base::timedPop(&message, timeout);
    }
    /* Takes up to `count` messages. Never waits. Returns how many; 0 with EAGAIN: the ring is
     * empty. */
    int popMany(T *messages, std::size_t count) noexcept { return Base::popMany(messages, count); }

    /* The oldest message in the ring itself. Never waits. An SPSC ring gives one at a time. The
     * result is empty with EAGAIN if the ring is. */
    Message peek() noexcept { return held(shmem_ring_peek); }
    /* The oldest message as peek() gives it. Waits for one for `timeout` at most. ETIMEDOUT,
     * EINTR. */
    template <typename Rep, typename Period>
    Message timedPeek(std::chrono::duration<Rep, Period> timeout) noexcept
    {
      return held(shmem_ring_timed_peek, detail::Timeout(timeout).get());
    }

  private:
    template <typename Function, typename... Arguments>
    Message held(Function function, Arguments... arguments) noexcept
    {
      shmem_ring *ring = nullptr;
      const void *at = this->pointer(
        [&](shmem_ring *open) { return function(ring = open, arguments...); });
      return Message(static_cast<const T *>(at), Release{ring});
    }
  };
};

} /* namespace villas::shm */

#endif
