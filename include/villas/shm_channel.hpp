/*
 * villas/shm_channel.hpp: channels and samples, part of <villas/shm.hpp>.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef VILLAS_SHM_CHANNEL_HPP
#define VILLAS_SHM_CHANNEL_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <villas/shm_ring.hpp>

namespace villas::shm {

/*
 * One reference to a sample, or none. The destructor puts it, also after the channel was closed;
 * with the last reference, the sample goes back to its pool. A written sample belongs to the
 * reader, so the object is empty then. Any thread may use an object, one at a time.
 */
class Sample {
public:
  /* An empty object. */
  Sample() noexcept = default;
  /* Takes over one reference that the C interface gave. */
  explicit Sample(::sample *reference) noexcept : sample_(reference) {}
  /* Moves take the reference along and leave `other` empty. */
  Sample(Sample &&other) noexcept : sample_(other.release()) {}
  Sample &operator=(Sample &&other) noexcept
  {
    if (this != &other)
      reset(other.release());
    return *this;
  }
  ~Sample() { reset(); }

  /* Another reference to the same sample. A writer that keeps a sample takes one before the write.
   * The result is empty with EINVAL if this object is. */
  Sample share() const noexcept
  {
    return Sample(detail::checked(::sample_get(sample_)) < 0 ? nullptr : sample_);
  }
  /* A new sample of the same channel with the same contents. The result is empty on failure.
   * EAGAIN: no block is free. EINVAL: this object is empty. EPIPE: the channel is closed. ESTALE:
   * another process has taken over this side. */
  Sample clone() const noexcept { return Sample(detail::checked(::sample_clone(sample_))); }

  /* Whether this object holds a sample. */
  explicit operator bool() const noexcept { return sample_ != nullptr; }
  /* The sample, which stays this object's; nullptr if it is empty. */
  ::sample *get() const noexcept { return sample_; }
  /* The members of the sample. This object must not be empty. */
  ::sample &operator*() const noexcept { return *sample_; }
  ::sample *operator->() const noexcept { return sample_; }

  /* The range of the values, which are `length` many; an empty range if this object is empty. */
  signal_data *begin() const noexcept { return sample_ ? sample_->data : nullptr; }
  signal_data *end() const noexcept
  {
    return sample_ ? sample_->data + std::min(sample_->length, sample_->capacity) : nullptr;
  }
  /* Value `i`, which must be below `capacity`. This object must not be empty. */
  signal_data &operator[](std::size_t i) const noexcept { return sample_->data[i]; }

  /* Hands the reference to the caller, to be put or written. This object is empty then. */
  ::sample *release() noexcept { return std::exchange(sample_, nullptr); }
  /* Puts the reference, and takes over another. */
  void reset(::sample *reference = nullptr) noexcept
  {
    if (::sample *old = std::exchange(sample_, reference))
      ::sample_put(old);
  }

private:
  ::sample *sample_ = nullptr;
};

/* Samples that were read together. Its destructor puts those that were neither moved away nor
 * written. */
using Samples = std::vector<Sample>;

/* A direction of a channel, as its end sees it: what a node writes, its program reads. */
enum class Direction { In = SHMEM_IN, Out = SHMEM_OUT };

/* What the values of a signal are: which member of signal_data. */
enum class SignalType {
  Float = SHMEM_SIGNAL_FLOAT,
  Integer = SHMEM_SIGNAL_INTEGER,
  Boolean = SHMEM_SIGNAL_BOOLEAN,
  Complex = SHMEM_SIGNAL_COMPLEX
};

/* What a value of a sample is. Its texts are UTF-8 and belong to the channel, until that is
 * closed. */
class Signal {
public:
  explicit Signal(const shmem_signal &signal) noexcept : signal_(&signal) {}

  std::string_view name() const noexcept { return signal_->name; }
  /* Empty: it has none. */
  std::string_view unit() const noexcept { return signal_->unit; }
  SignalType type() const noexcept { return static_cast<SignalType>(signal_->type); }

private:
  const shmem_signal *signal_;
};

/* The signals of a direction. They belong to the channel, until that is closed. */
class SignalRange {
public:
  class Iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Signal;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Signal;

    explicit Iterator(const shmem_signal *at) noexcept : at_(at) {}
    Signal operator*() const noexcept { return Signal(*at_); }
    Iterator &operator++() noexcept
    {
      ++at_;
      return *this;
    }
    Iterator operator++(int) noexcept { return Iterator(at_++); }
    friend bool operator==(Iterator a, Iterator b) noexcept { return a.at_ == b.at_; }
    friend bool operator!=(Iterator a, Iterator b) noexcept { return a.at_ != b.at_; }

  private:
    const shmem_signal *at_;
  };

  SignalRange(const shmem_signal *first, std::size_t size) noexcept : first_(first), size_(size) {}

  Iterator begin() const noexcept { return Iterator(first_); }
  Iterator end() const noexcept { return Iterator(first_ + size_); }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  /* Signal `i`, which must be below size(). */
  Signal operator[](std::size_t i) const noexcept { return Signal(first_[i]); }

private:
  const shmem_signal *first_;
  std::size_t size_;
};

/*
 * One end of a channel. The destructor closes it. Any thread may call any member, except
 * constructors, moves and the destructor.
 *
 *   Channel channel("doubler");
 *   if (channel.timedOpen(std::chrono::seconds(10)) == -1)
 *     return std::cerr << lastError.message() << "\n", 1;
 *   for (Samples &batch : channel.batches(64)) // until the node has gone
 *     for (Sample &smp : batch) {
 *       for (signal_data &value : smp)
 *         value.f *= 2;
 *       channel.timedWrite(smp, std::chrono::seconds(1));
 *     }
 *
 * A call that fails returns -1 with lastError. Each call can fail with EPIPE while the object is
 * closed, and as the C function of its name does.
 */
class Channel : public detail::Owner<shmem_shared> {
public:
  /* A closed object for the region of this name. Regions without a name are opened by
   * descriptor. */
  explicit Channel(std::string name = {}) : name_(std::move(name)) {}

  /* The name, as it was given to the constructor. */
  const std::string &name() const noexcept { return name_; }

  /* Creates the region and takes its node side, as shmem_shared_create. nullptr: the default
   * parameters. Returns 0, or -1: EALREADY this object is open; EBUSY a live process is the node;
   * EPROTO the region is in use with other parameters; and others. */
  int create(const shmem_conf *conf = nullptr)
  {
    return keep([&] { return shmem_shared_create(name_.c_str(), conf); });
  }
  /* Opens the region and takes its program side, as shmem_shared_open. Never waits. Returns 0, or
   * -1: EALREADY this object is open; ENOENT no node has created it; EBUSY a live process is the
   * program; and others. */
  int open()
  {
    return keep([&] { return shmem_shared_open(name_.c_str(), nullptr); });
  }
  /* Opens the region as open() does. Waits for it to appear for `timeout` at most. ETIMEDOUT: it
   * did not. EINTR: a signal handler ran. */
  template <typename Rep, typename Period> int timedOpen(std::chrono::duration<Rep, Period> timeout)
  {
    const detail::Timeout limit(timeout);
    return keep([&] { return shmem_shared_timed_open(name_.c_str(), nullptr, limit.get()); });
  }
  /* Creates a region of a sealed size without a name, and takes its node side, as
   * shmem_shared_create_fd. Sets `fd` to a descriptor to hand over, which the caller closes.
   * Returns 0, or -1: EALREADY this object is open; and others. `fd` is unchanged then. */
  int createFd(int &fd, const shmem_conf *conf = nullptr)
  {
    return keep([&] { return shmem_shared_create_fd(conf, &fd); });
  }
  /* Takes the node side of a region without a name whose node has gone, as
   * shmem_shared_recreate_fd. `fd` stays the caller's. Returns 0, or -1: EALREADY this object is
   * open; EBUSY the node lives; and others. */
  int recreateFd(int fd, const shmem_conf *conf = nullptr)
  {
    return keep([&] { return shmem_shared_recreate_fd(fd, conf); });
  }
  /* Opens a region without a name and takes its program side, as shmem_shared_open_fd. `fd` stays
   * the caller's. Returns 0, or -1: EALREADY this object is open; EBUSY a live process is the
   * program; and others. */
  int openFd(int fd)
  {
    return keep([&] { return shmem_shared_open_fd(fd, nullptr); });
  }
  /* Waits for a live peer for `timeout` at most. Returns 0, or -1: ETIMEDOUT; EINTR a signal
   * handler ran, or interrupt() was called; ESTALE no peer can come any more. */
  template <typename Rep, typename Period>
  int wait(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return call(shmem_shared_wait, detail::Timeout(timeout).get());
  }

  /* What the values of a direction's samples are: value 0 is that of signal 0. Empty if the node
   * named none, or with EPIPE while closed. */
  SignalRange signals(Direction direction) const noexcept
  {
    std::size_t count = 0;
    const shmem_signal *const first =
      pointer(shmem_shared_signals, static_cast<int>(direction), &count);
    return SignalRange(first, count);
  }
  /* The place of the signal of this name among the values of a sample. Returns -1 on failure.
   * ENOENT: no signal has it; lastError has those that there are. */
  int signalIndex(Direction direction, const std::string &name) const noexcept
  {
    return call(shmem_shared_signal_index, static_cast<int>(direction), name.c_str());
  }
  /* Compares the signals with those of a vector or an array of shmem_signal, in which a unit of
   * nullptr and a type of 0 stand for any. Returns 0, or -1: EPROTO they differ; lastError has the
   * first difference. */
  template <typename List>
  int expectSignals(Direction direction, const List &expected) const noexcept
  {
    return call(shmem_shared_expect_signals, static_cast<int>(direction), std::data(expected),
                std::size(expected));
  }

  /* Allocates an empty sample. Never waits. The result is empty on failure. EAGAIN: all blocks of
   * this side are in use. */
  Sample alloc() noexcept
  {
    ::sample *one = nullptr;
    const int count =
      call([&](shmem_shared *shared) { return ::sample_alloc(&shared->pool, &one, 1); });
    return Sample(late(count, 1) == 1 ? one : nullptr);
  }

  /* Sends a sample. Never waits. Returns 0: it belongs to the reader, and `smp` is empty. Or -1,
   * and `smp` still holds it: EAGAIN the queue is full; EINVAL it cannot be sent; EPIPE the peer
   * has gone. */
  int write(Sample &smp) noexcept
  {
    return written(smp, [](shmem_shared *shared, ::sample **one) {
      return shmem_shared_write(shared, one, 1);
    });
  }
  /* Sends a sample as write() does. Waits for room for `timeout` at most. ETIMEDOUT: the queue was
   * full all the time. EINTR: a signal handler ran, or interrupt() was called. */
  template <typename Rep, typename Period>
  int timedWrite(Sample &smp, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    const detail::Timeout limit(timeout);
    return written(smp, [&](shmem_shared *shared, ::sample **one) {
      return shmem_shared_timed_write(shared, one, 1, limit.get());
    });
  }
  /* Sends samples from the front, in order. Never waits. Returns how many; those are empty then,
   * and `samples` keeps the others. Fewer than all: EAGAIN the queue is full; EINVAL the next one
   * cannot be sent; EPIPE the peer has gone. -1: the first one already could not be sent, except
   * for EAGAIN. */
  int write(Samples &samples) noexcept
  {
    std::size_t total = 0;
    while (total < samples.size()) {
      ::sample *raw[chunk];
      const std::size_t wanted = std::min(samples.size() - total, chunk);
      Sample *const first = &samples[total];
      std::transform(first, first + wanted, raw, [](const Sample &smp) { return smp.get(); });
      const int count = late(call(shmem_shared_write, raw, static_cast<unsigned>(wanted)), wanted);
      if (count < 0)
        return total > 0 ? static_cast<int>(total) : -1;
      std::for_each(first, first + count, [](Sample &smp) { smp.release(); });
      total += static_cast<std::size_t>(count);
      if (static_cast<std::size_t>(count) < wanted)
        break;
    }
    return static_cast<int>(total);
  }

  /*
   * Receives up to `most` samples, at most 256, as soon as there is one. They replace those in
   * `samples`, which are put.
   *
   * Returns how many. 0: none yet, call again. EAGAIN: 100 ms are over. EINTR: a signal handler
   * ran, or interrupt() was called. -1: EPIPE the peer has gone, and all that it wrote has been
   * read; if another one attaches, calls work again. ESTALE: close this object and open it again.
   */
  int read(Samples &samples, std::size_t most = 64)
  {
    return received(samples, most, shmem_shared_read);
  }
  /* Receives samples as read() does. Never waits. 0 with EAGAIN: there is none. */
  int tryRead(Samples &samples, std::size_t most = 64)
  {
    return received(samples, most, shmem_shared_try_read);
  }
  /* Receives samples as read() does. Waits for `timeout` at most. 0 with ETIMEDOUT: none came. */
  template <typename Rep, typename Period>
  int timedRead(Samples &samples, std::size_t most, std::chrono::duration<Rep, Period> timeout)
  {
    const detail::Timeout limit(timeout);
    return received(samples, most, [&](shmem_shared *shared, ::sample **raw, unsigned count) {
      return shmem_shared_timed_read(shared, raw, count, limit.get());
    });
  }

  class Batches;
  /*
   * A range for a loop over what read() receives, as in the program above. A batch is empty if
   * nothing came within 100 ms, or after interrupt(), so that the loop can look at a flag. The loop
   * ends when read() returns -1; lastError says why: EPIPE if the peer has gone, or if this object
   * was closed. The range refers to this object.
   */
  Batches batches(std::size_t most = 64);

  /* Ends the waits that have begun, or else the next one: they return with EINTR.
   * Async-signal-safe. Returns 0, or -1: EPIPE while closed. */
  int interrupt() noexcept { return callInHandler(shmem_shared_interrupt); }
  /* A descriptor for an event loop, which the library owns: readable while a read (SHMEM_FD_READ), or
   * a write and an allocation (SHMEM_FD_WRITE), would not wait. Level-triggered, and closed with the
   * channel. It may be readable without a reason, so use calls that do not wait; one that finds
   * nothing makes it not readable. -1: EPIPE while closed; EMFILE, ENOMEM, EAGAIN a limit. */
  int fd(int which = SHMEM_FD_READ) const noexcept { return call(shmem_shared_fd, which); }
  /* Whether the process at the other end lives. If that cannot be known, true. */
  bool peerAlive() const noexcept { return call(shmem_shared_peer_alive) == 1; }
  /* Fills `stats` with counters and fill levels; sets its size itself. Looks at every block of this
   * side, so it is not for a hot loop. Returns 0, or -1: EPIPE while closed. */
  int stats(shmem_stats &stats) const noexcept
  {
    stats.size = sizeof stats;
    return call(shmem_shared_stats, &stats);
  }

  /* Removes the name. Processes that have the region open keep it. Returns 0, also if there is no
   * such name, or -1: EINVAL the name is bad; EACCES. */
  static int unlink(const std::string &name) noexcept
  {
    return detail::unlinked(shmem_shared_unlink(name.c_str()));
  }

private:
  /* Keeps the reason of a call that moved fewer samples than it was asked for. */
  static int late(int count, std::size_t wanted) noexcept
  {
    if (count >= 0 && static_cast<std::size_t>(count) < wanted)
      detail::failed();
    return count;
  }

  template <typename Function> int written(Sample &smp, Function function) noexcept
  {
    ::sample *one = smp.get();
    if (late(call(function, &one), 1) < 1)
      return -1;
    smp.release();
    return 0;
  }

  template <typename Function> int received(Samples &samples, std::size_t most, Function function)
  {
    ::sample *raw[chunk];
    samples.clear();
    samples.reserve(most = std::min(most, chunk)); /* before the read: nothing can fail after it */
    const int count = call(function, raw, static_cast<unsigned>(most));
    if (count == 0 && most > 0)
      detail::failed();
    for (int i = 0; i < count; i++)
      samples.emplace_back(raw[i]);
    return count;
  }

  /* The most samples in one call of the C interface. */
  static constexpr std::size_t chunk = 256;

  std::string name_;
};

/* The batches of a channel, as an input range: begin() may be called once. One thread uses it. */
class Channel::Batches {
public:
  class Iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Samples;
    using difference_type = std::ptrdiff_t;
    using pointer = Samples *;
    using reference = Samples &;

    /* The batch, which the range owns. Samples may be moved out of it. */
    Samples &operator*() const noexcept { return range_->samples_; }
    Samples *operator->() const noexcept { return &range_->samples_; }
    /* Puts what is left of the batch, and reads the next one. */
    Iterator &operator++()
    {
      if (range_->channel_.read(range_->samples_, range_->most_) < 0)
        range_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator &a, const Iterator &b) noexcept
    {
      return a.range_ == b.range_;
    }
    friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return !(a == b); }

  private:
    friend Batches;
    explicit Iterator(Batches *range) noexcept : range_(range) {}
    Batches *range_;
  };

  /* Reads the first batch, and waits for it as read() does. */
  Iterator begin() { return ++Iterator(this); }
  Iterator end() noexcept { return Iterator(nullptr); }

private:
  friend Channel;
  Batches(Channel &channel, std::size_t most) noexcept : channel_(channel), most_(most) {}

  Channel &channel_;
  std::size_t most_;
  Samples samples_;
};

inline Channel::Batches Channel::batches(std::size_t most)
{
  return Batches(*this, most);
}

} /* namespace villas::shm */

#endif
