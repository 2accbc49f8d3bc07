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
 * A ring whose messages are of type T. Errors, waits and threads are those of BasicProducer and BasicConsumer.
 *
 *   struct Measurement { std::uint64_t id; double volts; };
 *   Ring<Measurement>::Producer producer("measurements", 64);
 *   if (producer.open() == 0)
 *     producer.push({42, 230.1});
 *
 * The other end may be another program and another language: T has the same bytes in both, and any bytes can come from there, so a bool or
 * an enumeration needs a look before it is trusted.
 */
template <typename T, typename Policy = Spsc> struct Ring {
  static_assert(std::is_trivially_copyable_v<T>, "messages are copied byte by byte to another process");
  static_assert(!std::is_pointer_v<T>, "a pointer means nothing in another process");
  static_assert(alignof(T) <= (sizeof(T) <= 8 ? 16 : 32), "slots are aligned to 32 bytes, those of up to 8 bytes to 16");

  class Producer : public BasicProducer<Policy> {
    using Base = BasicProducer<Policy>;
    struct Abort {
      shmem_ring *ring;
      void operator()(T *slot) const noexcept { shmem_ring_abort(ring, slot); }
    };

  public:
    /* A reserved slot, whose contents are what was there before. Destroyed, it is given up, also after the ring was closed. */
    using Slot = std::unique_ptr<T, Abort>;

    explicit Producer(std::string name, std::uint64_t capacity = defaultCapacity) : Base(std::move(name), sizeof(T), capacity, true) {}

    int tryPush(const T &message) noexcept { return Base::tryPush(&message); }
    int push(const T &message) noexcept { return Base::push(&message); }
    template <typename Rep, typename Period> int timedPush(const T &message, std::chrono::duration<Rep, Period> timeout) noexcept
    {
      return Base::timedPush(&message, timeout);
    }
    /* As many of `count` messages as fit; does not wait. How many: 0 EAGAIN full. */
    int pushMany(const T *messages, std::size_t count) noexcept { return Base::pushMany(messages, count); }

    /* A slot for a message that is made in place; does not wait. Empty: EAGAIN full. SPSC: one at a time. */
    Slot reserve() noexcept { return held(shmem_ring_reserve); }
    template <typename Rep, typename Period> Slot timedReserve(std::chrono::duration<Rep, Period> timeout) noexcept
    {
      return held(shmem_ring_timed_reserve, detail::Timeout(timeout).get());
    }
    /* Publishes the message. EINVAL an empty slot. */
    int commit(Slot slot) noexcept
    {
      shmem_ring *ring = slot.get_deleter().ring;
      return detail::checked(shmem_ring_commit(ring, slot.release()));
    }

  private:
    template <typename Function, typename... Arguments> Slot held(Function function, Arguments... arguments) noexcept
    {
      shmem_ring *ring = nullptr;
      void *at = this->pointer([&](shmem_ring *open) { return function(ring = open, arguments...); });
      return Slot(static_cast<T *>(at), Abort{ring});
    }
  };

  class Consumer : public BasicConsumer<Policy> {
    using Base = BasicConsumer<Policy>;
    struct Release {
      shmem_ring *ring;
      void operator()(const T *message) const noexcept { shmem_ring_release(ring, message); }
    };

  public:
    /* A message where it lies. Destroyed, its slot is given back, also after the ring was closed. */
    using Message = std::unique_ptr<const T, Release>;

    explicit Consumer(std::string name, std::uint64_t capacity = defaultCapacity) : Base(std::move(name), sizeof(T), capacity, true) {}

    int tryPop(T &message) noexcept { return Base::tryPop(&message); }
    int pop(T &message) noexcept { return Base::pop(&message); }
    template <typename Rep, typename Period> int timedPop(T &message, std::chrono::duration<Rep, Period> timeout) noexcept
    {
      return Base::timedPop(&message, timeout);
    }
    /* Up to `count` messages, as many as there are; does not wait. How many: 0 EAGAIN empty. */
    int popMany(T *messages, std::size_t count) noexcept { return Base::popMany(messages, count); }

    /* The oldest message where it lies; does not wait. Empty: EAGAIN there is none. SPSC: one at a time. */
    Message peek() noexcept { return held(shmem_ring_peek); }
    template <typename Rep, typename Period> Message timedPeek(std::chrono::duration<Rep, Period> timeout) noexcept
    {
      return held(shmem_ring_timed_peek, detail::Timeout(timeout).get());
    }

  private:
    template <typename Function, typename... Arguments> Message held(Function function, Arguments... arguments) noexcept
    {
      shmem_ring *ring = nullptr;
      const void *at = this->pointer([&](shmem_ring *open) { return function(ring = open, arguments...); });
      return Message(static_cast<const T *>(at), Release{ring});
    }
  };
};

} /* namespace villas::shm */

#endif
