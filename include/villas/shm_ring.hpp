/*
 * villas/shm_ring.hpp: rings and endpoints, part of <villas/shm.hpp>.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Spsc, Mpsc and Mpmc each have ::Producer, ::Consumer and ::Endpoint. docs/rings.md describes
 * them. Programs that were written for the join framework's shared memory compile, because the
 * names are the same.
 *
 * Lifetime. A constructor makes a closed object, open() opens it, and the destructor closes it. A
 * ring stays in /dev/shm, with its messages, until it is unlinked.
 *
 * Threads. Any thread may call any member, except constructors, moves and the destructor. Threads
 * that share an object take turns. A close() in one thread ends the calls of the others with EPIPE.
 * Until these have returned, do not open anything in this process: a late call could reach it.
 *
 * Slots in hand. An object that is closed, destroyed or assigned to, also by an exception, gives
 * back all slots that it has reserved or peeked at. Pointers to them become invalid, so no other
 * thread may use one. A reserved slot yields no message. A message that was peeked at stays for the
 * next consumer of an SPSC ring; in the other rings it is gone, as if released.
 *
 * Signal handlers. A handler may call interrupt(). It must not close an object, because that may
 * wait for a turn.
 */
#ifndef VILLAS_SHM_RING_HPP
#define VILLAS_SHM_RING_HPP

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <sys/types.h>

#include <villas/shm_error.hpp>

namespace villas::shm {

/* The default size of a message, in bytes. */
inline constexpr std::uint64_t defaultElementSize = 1472;
/* The default number of messages that a ring holds. */
inline constexpr std::uint64_t defaultCapacity = 144;

namespace detail {

/* An object that has a handle of the C library while it is open. */
template <typename Handle> class Owner {
public:
  /* Moves take what is open along and leave `other` closed. */
  Owner(Owner &&other) noexcept
  : hasGuards_(other.hasGuards_), handle_(other.handle_.exchange(nullptr))
  {
  }
  Owner &operator=(Owner &&other) noexcept
  {
    if (this != &other) {
      close();
      hasGuards_ = other.hasGuards_;
      handle_.store(other.handle_.exchange(nullptr));
    }
    return *this;
  }
  ~Owner() { close(); }

  /* Whether this object is open: open() has succeeded, and close() was not called since. */
  bool opened() const noexcept { return handle_.load(std::memory_order_acquire) != nullptr; }

  /* Closes this object, in this process only. A call that waits in another thread ends with EPIPE.
   * Does nothing to a closed object. */
  void close() noexcept
  {
    if (Handle *handle = handle_.exchange(nullptr))
      release(handle);
  }

protected:
  /* hasGuards: each slot in hand has a guard, which gives it back, also after close(). */
  explicit Owner(bool hasGuards = false) noexcept : hasGuards_(hasGuards) {}

  /* function(handle, arguments...), or EPIPE while closed. */
  template <typename Function, typename... Arguments>
  int call(Function function, Arguments... arguments) const noexcept
  {
    Handle *open = handle_.load(std::memory_order_acquire);
    return open ? checked(function(open, arguments...)) : closed();
  }

  /* function(handle) in a signal handler, so without a sentence; EPIPE while closed. */
  template <typename Function> int callInHandler(Function function) const noexcept
  {
    Handle *open = handle_.load(std::memory_order_acquire);
    if (open && function(open) == 0)
      return 0;
    return failBriefly(open ? errno : EPIPE);
  }

  /* function(handle, arguments...), which returns a pointer; EPIPE while closed. */
  template <typename Function, typename... Arguments>
  auto pointer(Function function, Arguments... arguments) const noexcept
  {
    Handle *open = handle_.load(std::memory_order_acquire);
    if (open)
      return checked(function(open, arguments...));
    closed();
    return decltype(function(open, arguments...))(nullptr);
  }

  /* A call that moves up to `count` elements. If it moved none, lastError says why. */
  template <typename Function, typename Elements>
  int callMany(Function function, Elements elements, std::size_t count) const noexcept
  {
    const auto most = static_cast<unsigned>(std::min<std::size_t>(count, INT_MAX));
    const int moved = call(function, elements, most);
    if (moved == 0 && count > 0)
      failed();
    return moved;
  }

  /* Keeps what `function` opens; EALREADY if this object is open. */
  template <typename Function> int keep(Function function)
  {
    if (opened())
      return openAlready();
    Handle *fresh = function();
    if (!fresh)
      return failed();
    Handle *none = nullptr;
    if (handle_.compare_exchange_strong(none, fresh))
      return 0;
    release(fresh); /* another thread has opened this object meanwhile */
    return openAlready();
  }

private:
  static int openAlready() noexcept
  {
    return fail(EALREADY, "this object is open already: close it first");
  }

  void release(shmem_ring *ring) const noexcept
  {
    hasGuards_ ? shmem_ring_close(ring) : shmem_ring_abandon(ring);
  }
  void release(shmem_endpoint *endpoint) const noexcept { shmem_endpoint_abandon(endpoint); }
  void release(shmem_shared *shared) const noexcept { shmem_shared_close(shared, nullptr); }

  bool hasGuards_;
  std::atomic<Handle *> handle_{nullptr};
};

/* The product, if an object with a page more could have that size. */
inline std::uint64_t userSize(std::uint64_t elementSize, std::uint64_t capacity)
{
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()) - 4096;
  if (elementSize != 0 && capacity > most / elementSize)
    throw std::overflow_error("villas::shm: element size times capacity is too large");
  return elementSize * capacity;
}

/* The common part of rings and endpoints. */
template <typename Handle> class Elements : public Owner<Handle> {
public:
  /* The name, as it was given to the constructor. */
  const std::string &name() const noexcept { return name_; }
  /* The size of a message, in bytes. */
  std::uint64_t elementSize() const noexcept { return elementSize_; }
  /* The number of messages that a ring holds. */
  std::uint64_t capacity() const noexcept { return capacity_; }
  /* elementSize() × capacity(): the bytes of all messages of a ring. */
  std::uint64_t size() const noexcept { return elementSize_ * capacity_; }

protected:
  Elements(std::string name, std::uint64_t elementSize, std::uint64_t capacity, bool hasGuards)
  : Owner<Handle>(hasGuards), name_(std::move(name)), elementSize_(elementSize), capacity_(capacity)
  {
    userSize(elementSize, capacity);
  }

  template <typename Function> int keep(Function function)
  {
    if (elementSize_ > 0 && capacity_ > 0)
      return Owner<Handle>::keep(function);
    /* To the C interface 0 is the default. */
    return fail(EINVAL,
                "\"%s\" was asked for with an element size of %llu bytes and a capacity of %llu "
                "messages: neither can be 0",
                name_.c_str(), static_cast<unsigned long long>(elementSize_),
                static_cast<unsigned long long>(capacity_));
  }

  /* A fill level: 0 while closed. */
  template <typename Function> std::uint64_t level(Function function) const noexcept
  {
    return static_cast<std::uint64_t>(std::max(0, this->call(function)));
  }

private:
  std::string name_;
  std::uint64_t elementSize_, capacity_;
};

} /* namespace detail */

/* The common part of a ring's two ends. */
template <typename Policy> class BasicQueue : public detail::Elements<shmem_ring> {
public:
  /*
   * Opens this end, and creates the ring if no object has this name. Either end may come first.
   *
   * Returns 0, or -1 with lastError:
   * - EALREADY: this object is open.
   * - EBUSY: a live process has the role that only one can have, or all 256 places are taken.
   * - EPROTO: the ring has another policy, element size or capacity.
   * - EINVAL: the name is empty or too long, or a size is 0 or above 2^20.
   * - EBADMSG, EACCES, ENOSPC and others: as shmem_ring_open.
   */
  int open()
  {
    return this->keep([this] {
      return shmem_ring_open(name().c_str(), Policy::policy, role_, elementSize(), capacity());
    });
  }

  /* How many messages fit, from 0 to capacity(). Exact while no other participant is at work. 0
   * while closed. */
  std::uint64_t available() const noexcept { return level(shmem_ring_available); }
  /* How many messages can be taken. 0 while closed. */
  std::uint64_t pending() const noexcept { return level(shmem_ring_pending); }
  /* Whether no message fits. */
  bool full() const noexcept { return available() == 0; }
  /* Whether no message can be taken. */
  bool empty() const noexcept { return pending() == 0; }

  /*
   * The address of byte `offset` of the ring's memory, counted as if all slots were contiguous. For
   * tools that inspect the memory, whatever it holds. In the mapping, slots are not contiguous, so
   * do not run over the end of one. The address is valid until close(); nullptr while closed.
   *
   * Throws std::out_of_range if `offset` is size() or more, also while closed.
   */
  void *get(std::uint64_t offset = 0) { return at(offset); }
  const void *get(std::uint64_t offset = 0) const { return at(offset); }

  /* Ends the waits of this end that have begun, or else the next one: they return with EINTR.
   * Async-signal-safe. Returns 0, or -1: EPIPE while closed. */
  int interrupt() noexcept { return callInHandler(shmem_ring_interrupt); }
  /* A descriptor for an event loop, which the library owns: of a consumer readable while a pop would
   * not wait, of a producer while a push would not. Level-triggered, and closed with this object. It
   * may be readable without a reason, so use calls that do not wait; one that finds nothing makes it
   * not readable. -1: EPIPE while closed; EMFILE, ENOMEM, EAGAIN a limit. */
  int fd() const noexcept { return this->call(shmem_ring_fd); }

  /* Fills `stats` with counters and fill levels; sets its size itself. Asks the kernel for each
   * participant, so it is not for a hot loop. Returns 0, or -1: EPIPE while closed. */
  int stats(struct shmem_ring_stats &stats) const noexcept
  {
    stats.size = sizeof stats;
    return call(shmem_ring_stats, &stats);
  }

  /* Removes the name. Processes that have the ring open keep it. Returns 0, also if there is no
   * such name, or -1: EINVAL the name is bad; EACCES. */
  static int unlink(const std::string &name) noexcept
  {
    return detail::unlinked(shmem_ring_unlink(name.c_str()));
  }

protected:
  BasicQueue(int role, std::string name, std::uint64_t elementSize, std::uint64_t capacity,
             bool hasGuards)
  : detail::Elements<shmem_ring>(std::move(name), elementSize, capacity, hasGuards), role_(role)
  {
  }

private:
  void *at(std::uint64_t offset) const
  {
    if (offset >= size())
      throw std::out_of_range("villas::shm: the offset is beyond the messages of the ring");
    return pointer(shmem_ring_at, offset);
  }

  int role_;
};

/*
 * The end of a ring that writes messages.
 *
 * A call returns 0, or -1 with lastError. Each call can fail with these, besides what its comment
 * says:
 * - EPIPE: this object is closed.
 * - EINVAL: a null pointer; or a slot of this SPSC ring is reserved.
 * - EBADMSG: the ring is corrupt.
 * - ESTALE: another process has taken over this place. Close the object and open it again.
 */
template <typename Policy> class BasicProducer : public BasicQueue<Policy> {
public:
  /* A closed object for a ring of `capacity` messages of `elementSize` bytes. Throws
   * std::overflow_error if the product exceeds the largest off_t less 4096. open() refuses other
   * bad sizes. */
  explicit BasicProducer(std::string name, std::uint64_t elementSize = defaultElementSize,
                         std::uint64_t capacity = defaultCapacity)
  : BasicQueue<Policy>(SHMEM_PRODUCER, std::move(name), elementSize, capacity, false)
  {
  }

  /* Copies a message of elementSize() bytes into the ring. Never waits. EAGAIN: the ring is
   * full. */
  int tryPush(const void *element) noexcept { return this->call(shmem_ring_try_push, element); }
  /* Copies a message of elementSize() bytes into the ring. Waits for room without limit. EINTR: a
   * signal handler ran, or interrupt() was called. */
  int push(const void *element) noexcept { return this->call(shmem_ring_push, element); }
  /* Copies a message of elementSize() bytes into the ring. Waits for room for `timeout` at most.
   * ETIMEDOUT: the ring was full all the time. EINTR as for push(). */
  template <typename Rep, typename Period>
  int timedPush(const void *element, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return this->call(shmem_ring_timed_push, element, detail::Timeout(timeout).get());
  }
  /* Copies as many of `count` contiguous messages into the ring as fit. Never waits. Returns how
   * many; 0 with EAGAIN: the ring is full. */
  int pushMany(const void *elements, std::size_t count) noexcept
  {
    return this->callMany(shmem_ring_push_many, elements, count);
  }

  /* Reserves a slot of elementSize() bytes, in which the caller makes a message. Never waits. The
   * slot is the caller's until commit(), abort() or close(). It blocks the messages behind it
   * meanwhile. An SPSC ring gives one slot at a time. nullptr with EAGAIN: the ring is full. */
  void *reserve() noexcept { return this->pointer(shmem_ring_reserve); }
  /* Reserves a slot as reserve() does. Waits for room for `timeout` at most. nullptr with
   * ETIMEDOUT, or with EINTR as for push(). */
  template <typename Rep, typename Period>
  void *timedReserve(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return this->pointer(shmem_ring_timed_reserve, detail::Timeout(timeout).get());
  }
  /* Publishes the message in a reserved slot, which is the ring's then. EINVAL: not a slot that
   * this object has reserved. */
  int commit(void *slot) noexcept { return this->call(shmem_ring_commit, slot); }
  /* Gives a reserved slot back without a message. EINVAL: not a slot that this object has
   * reserved. */
  int abort(void *slot) noexcept { return this->call(shmem_ring_abort, slot); }

protected:
  BasicProducer(std::string name, std::uint64_t elementSize, std::uint64_t capacity,
                bool hasGuards)
  : BasicQueue<Policy>(SHMEM_PRODUCER, std::move(name), elementSize, capacity, hasGuards)
  {
  }
};

/*
 * The end of a ring that takes messages. It waits also without a producer, because one may come.
 *
 * A call fails as those of BasicProducer do. EINVAL also means that a message of this SPSC ring is
 * peeked at.
 */
template <typename Policy> class BasicConsumer : public BasicQueue<Policy> {
public:
  /* A closed object, with the parameters and the exception of BasicProducer's constructor. */
  explicit BasicConsumer(std::string name, std::uint64_t elementSize = defaultElementSize,
                         std::uint64_t capacity = defaultCapacity)
  : BasicQueue<Policy>(SHMEM_CONSUMER, std::move(name), elementSize, capacity, false)
  {
  }

  /* Takes the oldest message and copies its elementSize() bytes to `element`. Never waits. EAGAIN:
   * the ring is empty. */
  int tryPop(void *element) noexcept { return this->call(shmem_ring_try_pop, element); }
  /* Takes the oldest message as tryPop() does. Waits for one without limit. EINTR: a signal handler
   * ran, or interrupt() was called. */
  int pop(void *element) noexcept { return this->call(shmem_ring_pop, element); }
  /* Takes the oldest message as tryPop() does. Waits for one for `timeout` at most. ETIMEDOUT: none
   * came. EINTR as for pop(). */
  template <typename Rep, typename Period>
  int timedPop(void *element, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return this->call(shmem_ring_timed_pop, element, detail::Timeout(timeout).get());
  }
  /* Takes up to `count` messages and copies them to contiguous memory. Never waits. Returns how
   * many; 0 with EAGAIN: the ring is empty. */
  int popMany(void *elements, std::size_t count) noexcept
  {
    return this->callMany(shmem_ring_pop_many, elements, count);
  }

  /* The oldest message in the ring itself, to be read there. Never waits. It is the caller's until
   * release() or close(); its slot is not free meanwhile. An SPSC ring gives one message at a time.
   * nullptr with EAGAIN: the ring is empty. */
  const void *peek() noexcept { return this->pointer(shmem_ring_peek); }
  /* The oldest message as peek() gives it. Waits for one for `timeout` at most. nullptr with
   * ETIMEDOUT, or with EINTR as for pop(). */
  template <typename Rep, typename Period>
  const void *timedPeek(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return this->pointer(shmem_ring_timed_peek, detail::Timeout(timeout).get());
  }
  /* Takes a message that was peeked at out of the ring, and frees its slot. EINVAL: not a message
   * that this object has peeked at. */
  int release(const void *message) noexcept { return this->call(shmem_ring_release, message); }

protected:
  BasicConsumer(std::string name, std::uint64_t elementSize, std::uint64_t capacity,
                bool hasGuards)
  : BasicQueue<Policy>(SHMEM_CONSUMER, std::move(name), elementSize, capacity, hasGuards)
  {
  }
};

/*
 * One side of a duplex connection of two rings, NAME_AB and NAME_BA. It is the producer of one and
 * the consumer of the other. A call fails as those of BasicProducer and BasicConsumer do.
 */
template <typename Policy> class BasicEndpoint : public detail::Elements<shmem_endpoint> {
public:
  /* A sends by NAME_AB and receives by NAME_BA. B sends by NAME_BA and receives by NAME_AB. */
  enum Side { A = SHMEM_SIDE_A, B = SHMEM_SIDE_B };

  /* A closed object for two rings of `capacity` messages of `elementSize` bytes each. Throws as
   * BasicProducer's constructor does. */
  BasicEndpoint(Side which, std::string name, std::uint64_t elementSize = defaultElementSize,
                std::uint64_t capacity = defaultCapacity)
  : detail::Elements<shmem_endpoint>(std::move(name), elementSize, capacity, false), side_(which)
  {
  }

  /* Opens this side, and creates the rings that do not exist. Either side may come first. Returns
   * 0, or -1 with an error as of BasicQueue::open(). */
  int open()
  {
    return this->keep([this] {
      return shmem_endpoint_open(name().c_str(), Policy::policy, side_, elementSize(), capacity());
    });
  }

  /* The side, as it was given to the constructor. */
  Side side() const noexcept { return side_; }

  /* Sends a message of elementSize() bytes, which are copied. Never waits. EAGAIN: the ring is
   * full. */
  int trySend(const void *element) noexcept { return call(shmem_endpoint_try_send, element); }
  /* Sends a message of elementSize() bytes, which are copied. Waits for room without limit. EINTR:
   * a signal handler ran, or interrupt() was called. */
  int send(const void *element) noexcept { return call(shmem_endpoint_send, element); }
  /* Sends a message of elementSize() bytes, which are copied. Waits for room for `timeout` at most.
   * ETIMEDOUT: the ring was full all the time. EINTR as for send(). */
  template <typename Rep, typename Period>
  int timedSend(const void *element, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return call(shmem_endpoint_timed_send, element, detail::Timeout(timeout).get());
  }
  /* Sends as many of `count` contiguous messages as fit. Never waits. Returns how many; 0 with
   * EAGAIN: the ring is full. */
  int sendMany(const void *elements, std::size_t count) noexcept
  {
    return callMany(shmem_endpoint_send_many, elements, count);
  }

  /* Receives the oldest message: copies its elementSize() bytes to `element`. Never waits. EAGAIN:
   * the ring is empty. */
  int tryReceive(void *element) noexcept { return call(shmem_endpoint_try_receive, element); }
  /* Receives the oldest message as tryReceive() does. Waits for one without limit. EINTR: a signal
   * handler ran, or interrupt() was called. */
  int receive(void *element) noexcept { return call(shmem_endpoint_receive, element); }
  /* Receives the oldest message as tryReceive() does. Waits for one for `timeout` at most.
   * ETIMEDOUT: none came. EINTR as for receive(). */
  template <typename Rep, typename Period>
  int timedReceive(void *element, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return call(shmem_endpoint_timed_receive, element, detail::Timeout(timeout).get());
  }
  /* Receives up to `count` messages into contiguous memory. Never waits. Returns how many; 0 with
   * EAGAIN: the ring is empty. */
  int receiveMany(void *elements, std::size_t count) noexcept
  {
    return callMany(shmem_endpoint_receive_many, elements, count);
  }

  /* Reserves a slot in the ring that this side sends by, as BasicProducer::reserve(). */
  void *reserve() noexcept { return pointer(sending(shmem_ring_reserve)); }
  /* Reserves such a slot and waits for it, as BasicProducer::timedReserve(). */
  template <typename Rep, typename Period>
  void *timedReserve(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return pointer(sending(shmem_ring_timed_reserve), detail::Timeout(timeout).get());
  }
  /* Sends the message in a reserved slot, as BasicProducer::commit(). */
  int commit(void *slot) noexcept { return call(sending(shmem_ring_commit), slot); }
  /* Gives a reserved slot back without a message, as BasicProducer::abort(). */
  int abort(void *slot) noexcept { return call(sending(shmem_ring_abort), slot); }
  /* The oldest message in the ring that this side receives by, as BasicConsumer::peek(). */
  const void *peek() noexcept { return pointer(receiving(shmem_ring_peek)); }
  /* Such a message, for which it waits, as BasicConsumer::timedPeek(). */
  template <typename Rep, typename Period>
  const void *timedPeek(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return pointer(receiving(shmem_ring_timed_peek), detail::Timeout(timeout).get());
  }
  /* Takes a message that was peeked at out of its ring, as BasicConsumer::release(). */
  int release(const void *message) noexcept
  {
    return call(receiving(shmem_ring_release), message);
  }

  /* How many messages can be sent without a wait. 0 while closed. */
  std::uint64_t available() const noexcept { return level(shmem_endpoint_available); }
  /* How many messages can be received without a wait. 0 while closed. */
  std::uint64_t pending() const noexcept { return level(shmem_endpoint_pending); }
  /* Whether a message to be sent would have to wait. */
  bool full() const noexcept { return available() == 0; }
  /* Whether there is nothing to receive. */
  bool empty() const noexcept { return pending() == 0; }

  /* Ends the waits of this side that have begun, or else the next one, in each direction: they
   * return with EINTR. Async-signal-safe. Returns 0, or -1: EPIPE while closed. */
  int interrupt() noexcept { return callInHandler(shmem_endpoint_interrupt); }
  /* A descriptor for an event loop, as that of a queue: readable while a receive (SHMEM_FD_READ), or
   * a send (SHMEM_FD_WRITE), would not wait. */
  int fd(int which = SHMEM_FD_READ) const noexcept { return this->call(shmem_endpoint_fd, which); }

  /* Removes the names of both rings. Processes that have them open keep them. Returns 0, also if
   * there are no such names, or -1: EINVAL the name is bad; EACCES. */
  static int unlink(const std::string &name) noexcept
  {
    return detail::unlinked(shmem_endpoint_unlink(name.c_str()));
  }

private:
  /* A function of a ring as a function of the endpoint that has it. */
  template <typename Function> static auto sending(Function function) noexcept
  {
    return [function](shmem_endpoint *endpoint, auto... arguments) {
      return function(shmem_endpoint_outgoing(endpoint), arguments...);
    };
  }
  template <typename Function> static auto receiving(Function function) noexcept
  {
    return [function](shmem_endpoint *endpoint, auto... arguments) {
      return function(shmem_endpoint_incoming(endpoint), arguments...);
    };
  }

  Side side_;
};

/* One producer and one consumer: the fastest. open() refuses a second one with EBUSY. */
struct Spsc {
  static constexpr int policy = SHMEM_SPSC;
  using Producer = BasicProducer<Spsc>;
  using Consumer = BasicConsumer<Spsc>;
  using Endpoint = BasicEndpoint<Spsc>;
};

/* Many producers and one consumer. open() refuses a second consumer with EBUSY. */
struct Mpsc {
  static constexpr int policy = SHMEM_MPSC;
  using Producer = BasicProducer<Mpsc>;
  using Consumer = BasicConsumer<Mpsc>;
  using Endpoint = BasicEndpoint<Mpsc>;
};

/* Many producers and many consumers. */
struct Mpmc {
  static constexpr int policy = SHMEM_MPMC;
  using Producer = BasicProducer<Mpmc>;
  using Consumer = BasicConsumer<Mpmc>;
  using Endpoint = BasicEndpoint<Mpmc>;
};

} /* namespace villas::shm */

#endif
