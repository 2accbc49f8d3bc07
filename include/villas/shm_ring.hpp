/*
 * villas/shm_ring.hpp: rings and endpoints, part of <villas/shm.hpp>.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Spsc, Mpsc and Mpmc, each with ::Producer, ::Consumer and ::Endpoint, as they are described in docs/rings.md. Their names are those of the
 * join framework's shared memory; so programs that were written for that compile.
 *
 * An object is made closed and opened by open(). Its destructor closes it. What is in a ring stays there until it is unlinked. Any thread
 * may call any member, but for construction, moves and destruction; threads that share an object take turns. A close() by one thread ends
 * the calls of others; until these have returned, nothing is to be opened by this process that they could mistake for what was closed.
 *
 * An object that is closed, destroyed or assigned to, also by an exception, gives back all slots
 * that it has reserved or peeked at. Pointers to these slots are not valid any more: no other thread
 * may be at one. A signal handler must not close an object, as that may wait for a turn; it may call
 * interrupt(). What becomes of the slots:
 * - No message comes of a slot that was reserved.
 * - A message that was peeked at stays for the next consumer of an SPSC ring. Of another ring it is
 *   gone, as if released.
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

/* Bytes of a message and messages of a ring, where nothing else is said. */
inline constexpr std::uint64_t defaultElementSize = 1472;
inline constexpr std::uint64_t defaultCapacity = 144;

namespace detail {

/* What the C library has open for an object, or nothing. */
template <typename Handle> class Owner {
public:
  Owner(Owner &&other) noexcept : hasGuards_(other.hasGuards_), handle_(other.handle_.exchange(nullptr)) {}
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

  /* Whether open() has succeeded, and close() was not called since. */
  bool opened() const noexcept { return handle_.load(std::memory_order_acquire) != nullptr; }

  /* Closes in this process; a wait of another thread ends with EPIPE. Of a closed object: nothing happens. */
  void close() noexcept
  {
    if (Handle *handle = handle_.exchange(nullptr))
      release(handle);
  }

protected:
  /* hasGuards: slots that were reserved or peeked at have guards, which give them back also after close(). */
  explicit Owner(bool hasGuards = false) noexcept : hasGuards_(hasGuards) {}

  /* function(handle, arguments...), or EPIPE while closed. */
  template <typename Function, typename... Arguments> int call(Function function, Arguments... arguments) const noexcept
  {
    Handle *open = handle_.load(std::memory_order_acquire);
    return open ? checked(function(open, arguments...)) : closed();
  }

  /* The same for a function that a signal handler may call: it has no sentence. */
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

  /* A call that moves up to `count` elements; to have moved none of some is EAGAIN. */
  template <typename Function, typename Elements>
  int callMany(Function function, Elements elements, std::size_t count) const noexcept
  {
    const int moved = call(function, elements, static_cast<unsigned>(std::min<std::size_t>(count, INT_MAX)));
    if (moved == 0 && count > 0)
      failed();
    return moved;
  }

  /* Keeps what `function` opens; EALREADY if there is something. */
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
    release(fresh); /* another thread was faster */
    return openAlready();
  }

private:
  static int openAlready() noexcept { return fail(EALREADY, "this object is open already: close it first"); }
  void release(shmem_ring *ring) const noexcept { hasGuards_ ? shmem_ring_close(ring) : shmem_ring_abandon(ring); }
  void release(shmem_endpoint *endpoint) const noexcept { shmem_endpoint_abandon(endpoint); }
  void release(shmem_shared *shared) const noexcept { shmem_shared_close(shared, nullptr); }

  bool hasGuards_;
  std::atomic<Handle *> handle_{nullptr};
};

/* The product, if an object could have that size, less a page. */
inline std::uint64_t userSize(std::uint64_t elementSize, std::uint64_t capacity)
{
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()) - 4096;
  if (elementSize != 0 && capacity > most / elementSize)
    throw std::overflow_error("villas::shm: the element size times the capacity is too large");
  return elementSize * capacity;
}

/* What rings and endpoints have in common. */
template <typename Handle> class Elements : public Owner<Handle> {
public:
  /* As it was given. */
  const std::string &name() const noexcept { return name_; }
  /* Bytes of a message. */
  std::uint64_t elementSize() const noexcept { return elementSize_; }
  /* Messages that fit into a ring. */
  std::uint64_t capacity() const noexcept { return capacity_; }
  /* Bytes of all messages that fit into a ring. */
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

  /* A fill level; a closed object has no room and no messages. */
  template <typename Function> std::uint64_t level(Function function) const noexcept
  {
    return static_cast<std::uint64_t>(std::max(0, this->call(function)));
  }

private:
  std::string name_;
  std::uint64_t elementSize_, capacity_;
};

} /* namespace detail */

/* A ring: what its two ends have in common. */
template <typename Policy> class BasicQueue : public detail::Elements<shmem_ring> {
public:
  /*
   * Opens this end; creates the ring if there is none of this name. Either end may be first.
   *
   * 0. -1: EALREADY this object is open; EBUSY a live process has the role of which there is one, or all 256 places are taken; EPROTO the
   * ring has another policy, element size or capacity; EINVAL an empty or over-long name, sizes of 0, or more than 2^20; EBADMSG, EACCES,
   * ENOSPC as shmem_ring_open.
   */
  int open()
  {
    return this->keep([this] { return shmem_ring_open(name().c_str(), Policy::policy, role_, elementSize(), capacity()); });
  }

  /* Messages that fit: from capacity() down to 0. Exact while nobody else is at work. 0 while closed. */
  std::uint64_t available() const noexcept { return level(shmem_ring_available); }
  /* Messages that can be taken. 0 while closed. */
  std::uint64_t pending() const noexcept { return level(shmem_ring_pending); }
  /* No message fits. */
  bool full() const noexcept { return available() == 0; }
  /* No message can be taken. */
  bool empty() const noexcept { return pending() == 0; }

  /*
   * Where byte `offset` of the messages is, as if they stood one behind the other from the first slot on: for a look at the memory, whatever is
   * in it. Bytes of different messages are not contiguous. nullptr while closed; the address is valid until close().
   *
   * Throws std::out_of_range from size() on, also while closed.
   */
  void *get(std::uint64_t offset = 0) { return at(offset); }
  const void *get(std::uint64_t offset = 0) const { return at(offset); }

  /* Ends the waits of this end that have begun, or else the next one, with EINTR.
   * Async-signal-safe. 0, or -1: EPIPE closed. */
  int interrupt() noexcept { return callInHandler(shmem_ring_interrupt); }

  /* Counters and fill levels. 0, or -1: EPIPE closed. */
  int stats(struct shmem_ring_stats &stats) const noexcept
  {
    stats.size = sizeof stats;
    return call(shmem_ring_stats, &stats);
  }

  /* Removes the name; who has the ring open keeps it. 0, also when there is none. -1: EINVAL name; EACCES. */
  static int unlink(const std::string &name) noexcept { return detail::unlinked(shmem_ring_unlink(name.c_str())); }

protected:
  BasicQueue(int role, std::string name, std::uint64_t elementSize, std::uint64_t capacity, bool hasGuards)
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
 * What can fail gives 0, or -1 with lastError: EPIPE closed; EINVAL a null pointer, or an SPSC ring one slot of which is reserved; EBADMSG
 * the ring is corrupt; ESTALE the place was taken over: close and open again; and what is said of each.
 */
template <typename Policy> class BasicProducer : public BasicQueue<Policy> {
public:
  /* Throws std::overflow_error when elementSize × capacity exceeds the largest off_t less 4096. Other sizes fail in open(). */
  explicit BasicProducer(std::string name, std::uint64_t elementSize = defaultElementSize, std::uint64_t capacity = defaultCapacity)
  : BasicQueue<Policy>(SHMEM_PRODUCER, std::move(name), elementSize, capacity, false)
  {
  }

  /* Publishes a message of elementSize() bytes, which are copied; does not wait: EAGAIN full. */
  int tryPush(const void *element) noexcept { return this->call(shmem_ring_try_push, element); }
  /* The same; waits for room without limit: EINTR a signal handler ran, or interrupt(). */
  int push(const void *element) noexcept { return this->call(shmem_ring_push, element); }
  /* The same; waits for so long: ETIMEDOUT. */
  template <typename Rep, typename Period>
  int timedPush(const void *element, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return this->call(shmem_ring_timed_push, element, detail::Timeout(timeout).get());
  }
  /* As many of `count` messages, one behind the other, as fit; does not wait. How many: 0 EAGAIN full. */
  int pushMany(const void *elements, std::size_t count) noexcept
  {
    return this->callMany(shmem_ring_push_many, elements, count);
  }

  /* A slot of elementSize() bytes for a message that is made in place, until commit(), abort() or close(). nullptr: EAGAIN full. SPSC: one at a time. */
  void *reserve() noexcept { return this->pointer(shmem_ring_reserve); }
  /* The same; waits for so long: ETIMEDOUT, EINTR. */
  template <typename Rep, typename Period> void *timedReserve(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return this->pointer(shmem_ring_timed_reserve, detail::Timeout(timeout).get());
  }
  /* Publishes the message in a reserved slot. EINVAL not a reserved slot. */
  int commit(void *slot) noexcept { return this->call(shmem_ring_commit, slot); }
  /* Gives up a reserved slot: no message comes of it. */
  int abort(void *slot) noexcept { return this->call(shmem_ring_abort, slot); }

protected:
  BasicProducer(std::string name, std::uint64_t elementSize, std::uint64_t capacity, bool hasGuards)
  : BasicQueue<Policy>(SHMEM_PRODUCER, std::move(name), elementSize, capacity, hasGuards)
  {
  }
};

/*
 * The end of a ring that takes messages. Waits also when there is no producer: one may come.
 *
 * Errors as of BasicProducer; EINVAL also an SPSC ring one message of which is peeked at.
 */
template <typename Policy> class BasicConsumer : public BasicQueue<Policy> {
public:
  /* As for BasicProducer. */
  explicit BasicConsumer(std::string name, std::uint64_t elementSize = defaultElementSize, std::uint64_t capacity = defaultCapacity)
  : BasicQueue<Policy>(SHMEM_CONSUMER, std::move(name), elementSize, capacity, false)
  {
  }

  /* Takes the oldest message, elementSize() bytes, which are copied; does not wait: EAGAIN empty. */
  int tryPop(void *element) noexcept { return this->call(shmem_ring_try_pop, element); }
  /* The same; waits for a message without limit: EINTR a signal handler ran, or interrupt(). */
  int pop(void *element) noexcept { return this->call(shmem_ring_pop, element); }
  /* The same; waits for so long: ETIMEDOUT. */
  template <typename Rep, typename Period> int timedPop(void *element, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return this->call(shmem_ring_timed_pop, element, detail::Timeout(timeout).get());
  }
  /* Up to `count` messages, as many as there are; does not wait. How many: 0 EAGAIN empty. */
  int popMany(void *elements, std::size_t count) noexcept { return this->callMany(shmem_ring_pop_many, elements, count); }

  /* The oldest message where it lies, until release() or close(). nullptr: EAGAIN empty. SPSC: one at a time. */
  const void *peek() noexcept { return this->pointer(shmem_ring_peek); }
  /* The same; waits for so long: ETIMEDOUT, EINTR. */
  template <typename Rep, typename Period> const void *timedPeek(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return this->pointer(shmem_ring_timed_peek, detail::Timeout(timeout).get());
  }
  /* Gives a message back that was peeked at. EINVAL not such a message. */
  int release(const void *message) noexcept { return this->call(shmem_ring_release, message); }

protected:
  BasicConsumer(std::string name, std::uint64_t elementSize, std::uint64_t capacity, bool hasGuards)
  : BasicQueue<Policy>(SHMEM_CONSUMER, std::move(name), elementSize, capacity, hasGuards)
  {
  }
};

/*
 * One side of a duplex connection: it sends by one ring, NAME_AB or NAME_BA, and receives by the other. Errors as of BasicProducer and
 * BasicConsumer.
 */
template <typename Policy> class BasicEndpoint : public detail::Elements<shmem_endpoint> {
public:
  /* A sends by NAME_AB and receives by NAME_BA, B the other way round. */
  enum Side { A = SHMEM_SIDE_A, B = SHMEM_SIDE_B };

  /* As for BasicProducer. */
  BasicEndpoint(Side which, std::string name, std::uint64_t elementSize = defaultElementSize, std::uint64_t capacity = defaultCapacity)
  : detail::Elements<shmem_endpoint>(std::move(name), elementSize, capacity, false), side_(which)
  {
  }

  /* Opens this side; creates the rings if there are none. Either side may be first. As BasicQueue::open. */
  int open()
  {
    return this->keep([this] { return shmem_endpoint_open(name().c_str(), Policy::policy, side_, elementSize(), capacity()); });
  }

  Side side() const noexcept { return side_; }

  /* Sends a message; does not wait: EAGAIN full. */
  int trySend(const void *element) noexcept { return call(shmem_endpoint_try_send, element); }
  /* The same; waits for room without limit: EINTR. */
  int send(const void *element) noexcept { return call(shmem_endpoint_send, element); }
  /* The same; waits for so long: ETIMEDOUT. */
  template <typename Rep, typename Period>
  int timedSend(const void *element, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return call(shmem_endpoint_timed_send, element, detail::Timeout(timeout).get());
  }
  /* As BasicProducer::pushMany. */
  int sendMany(const void *elements, std::size_t count) noexcept { return callMany(shmem_endpoint_send_many, elements, count); }

  /* Receives the oldest message; does not wait: EAGAIN empty. */
  int tryReceive(void *element) noexcept { return call(shmem_endpoint_try_receive, element); }
  /* The same; waits for a message without limit: EINTR. */
  int receive(void *element) noexcept { return call(shmem_endpoint_receive, element); }
  /* The same; waits for so long: ETIMEDOUT. */
  template <typename Rep, typename Period> int timedReceive(void *element, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return call(shmem_endpoint_timed_receive, element, detail::Timeout(timeout).get());
  }
  /* As BasicConsumer::popMany. */
  int receiveMany(void *elements, std::size_t count) noexcept { return callMany(shmem_endpoint_receive_many, elements, count); }

  /* Messages that are made and read in place: as of BasicProducer, in the ring that this side sends by, ... */
  void *reserve() noexcept { return pointer(sending(shmem_ring_reserve)); }
  template <typename Rep, typename Period> void *timedReserve(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return pointer(sending(shmem_ring_timed_reserve), detail::Timeout(timeout).get());
  }
  int commit(void *slot) noexcept { return call(sending(shmem_ring_commit), slot); }
  int abort(void *slot) noexcept { return call(sending(shmem_ring_abort), slot); }
  /* ... and as of BasicConsumer, in the other. */
  const void *peek() noexcept { return pointer(receiving(shmem_ring_peek)); }
  template <typename Rep, typename Period> const void *timedPeek(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return pointer(receiving(shmem_ring_timed_peek), detail::Timeout(timeout).get());
  }
  int release(const void *message) noexcept { return call(receiving(shmem_ring_release), message); }

  /* Messages that can be sent without waiting. 0 while closed. */
  std::uint64_t available() const noexcept { return level(shmem_endpoint_available); }
  /* Messages that can be received without waiting. 0 while closed. */
  std::uint64_t pending() const noexcept { return level(shmem_endpoint_pending); }
  /* A message to be sent would have to wait. */
  bool full() const noexcept { return available() == 0; }
  /* There is nothing to receive. */
  bool empty() const noexcept { return pending() == 0; }

  /* Ends the waits of this side that have begun, in each direction those, or else the next one, with
   * EINTR. Async-signal-safe. 0, or -1: EPIPE closed. */
  int interrupt() noexcept { return callInHandler(shmem_endpoint_interrupt); }

  /* Removes the names of both rings. 0, also when there are none. -1: EINVAL name; EACCES. */
  static int unlink(const std::string &name) noexcept { return detail::unlinked(shmem_endpoint_unlink(name.c_str())); }

private:
  /* A call on a ring as a call on the endpoint. */
  template <typename Function> static auto sending(Function function) noexcept
  {
    return [function](shmem_endpoint *endpoint, auto... arguments) { return function(shmem_endpoint_outgoing(endpoint), arguments...); };
  }
  template <typename Function> static auto receiving(Function function) noexcept
  {
    return [function](shmem_endpoint *endpoint, auto... arguments) { return function(shmem_endpoint_incoming(endpoint), arguments...); };
  }

  Side side_;
};

/* One producer, one consumer: the fastest. A second one: EBUSY. */
struct Spsc {
  static constexpr int policy = SHMEM_SPSC;
  using Producer = BasicProducer<Spsc>;
  using Consumer = BasicConsumer<Spsc>;
  using Endpoint = BasicEndpoint<Spsc>;
};

/* Many producers, one consumer. */
struct Mpsc {
  static constexpr int policy = SHMEM_MPSC;
  using Producer = BasicProducer<Mpsc>;
  using Consumer = BasicConsumer<Mpsc>;
  using Endpoint = BasicEndpoint<Mpsc>;
};

/* Many producers, many consumers. */
struct Mpmc {
  static constexpr int policy = SHMEM_MPMC;
  using Producer = BasicProducer<Mpmc>;
  using Consumer = BasicConsumer<Mpmc>;
  using Endpoint = BasicEndpoint<Mpmc>;
};

} /* namespace villas::shm */

#endif
