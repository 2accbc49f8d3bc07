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
#include <utility>
#include <vector>

#include <villas/shm_ring.hpp>

namespace villas::shm {

/*
 * One reference to a sample, or none. The last reference that goes gives the sample back, also after its channel was closed. A sample that was
 * written belongs to the reader: the object is empty then. Any thread, but one at a time.
 */
class Sample {
public:
  Sample() noexcept = default;
  /* Takes over one reference, as the C interface gives it. */
  explicit Sample(::sample *reference) noexcept : sample_(reference) {}
  Sample(Sample &&other) noexcept : sample_(other.release()) {}
  Sample &operator=(Sample &&other) noexcept
  {
    if (this != &other)
      reset(other.release());
    return *this;
  }
  ~Sample() { reset(); }

  /* Another reference to the same sample: who writes it and wants to keep it takes one before. Empty: EINVAL. */
  Sample share() const noexcept { return Sample(detail::checked(::sample_get(sample_)) < 0 ? nullptr : sample_); }
  /* A new sample of the same channel with the same contents. Empty: EAGAIN no block is free; EINVAL; EPIPE. */
  Sample clone() const noexcept { return Sample(detail::checked(::sample_clone(sample_))); }

  explicit operator bool() const noexcept { return sample_ != nullptr; }
  ::sample *get() const noexcept { return sample_; }
  ::sample &operator*() const noexcept { return *sample_; }
  ::sample *operator->() const noexcept { return sample_; }

  /* The values: length of them. */
  signal_data *begin() const noexcept { return sample_ ? sample_->data : nullptr; }
  signal_data *end() const noexcept { return sample_ ? sample_->data + std::min(sample_->length, sample_->capacity) : nullptr; }
  /* Value i, which must be below capacity. */
  signal_data &operator[](std::size_t i) const noexcept { return sample_->data[i]; }

  /* Gives the reference to the caller. */
  ::sample *release() noexcept { return std::exchange(sample_, nullptr); }
  /* Puts the reference and takes over another. */
  void reset(::sample *reference = nullptr) noexcept
  {
    if (::sample *old = std::exchange(sample_, reference))
      ::sample_put(old);
  }

private:
  ::sample *sample_ = nullptr;
};

/* Samples that were read together. Those that are not moved away or written are put with it. */
using Samples = std::vector<Sample>;

/*
 * One end of a channel, closed by its destructor. Any thread may call any member, but for construction, moves and destruction.
 *
 *   Channel channel("doubler");
 *   if (channel.timedOpen(std::chrono::seconds(10)) == -1)
 *     return std::cerr << shmem_last_error() << "\n", 1;
 *   for (Samples &batch : channel.batches(64)) // until the node is gone
 *     for (Sample &smp : batch) {
 *       for (signal_data &value : smp)
 *         value.f *= 2;
 *       channel.write(smp);
 *     }
 *
 * What can fail gives -1 with lastError; the errors are those of the C functions, and EPIPE while closed.
 */
class Channel : public detail::Owner<shmem_shared> {
public:
  /* A region without a name is opened by its descriptor. */
  explicit Channel(std::string name = {}) : name_(std::move(name)) {}

  const std::string &name() const noexcept { return name_; }

  /* Creates the region and takes its node side, as shmem_shared_create. 0, or -1: also EALREADY. */
  int create(const shmem_conf *conf = nullptr)
  {
    return keep([&] { return shmem_shared_create(name_.c_str(), conf); });
  }
  /* Opens a region and takes its program side, as shmem_shared_open. 0, or -1: also EALREADY. */
  int open()
  {
    return keep([&] { return shmem_shared_open(name_.c_str(), nullptr); });
  }
  /* The same; waits for so long until there is one: ETIMEDOUT. */
  template <typename Rep, typename Period> int timedOpen(std::chrono::duration<Rep, Period> timeout)
  {
    return keep([&] { return shmem_shared_timed_open(name_.c_str(), nullptr, detail::Timeout(timeout).get()); });
  }
  /* Creates a region of a sealed size without a name and takes its node side, as shmem_shared_create_fd. `fd` is a descriptor to hand over, which
   * is the caller's to close. 0, or -1: also EALREADY. */
  int createFd(int &fd, const shmem_conf *conf = nullptr)
  {
    return keep([&] { return shmem_shared_create_fd(conf, &fd); });
  }
  /* Takes the node side of such a region whose node is gone, as shmem_shared_recreate_fd. 0, or -1: also EALREADY. */
  int recreateFd(int fd, const shmem_conf *conf = nullptr)
  {
    return keep([&] { return shmem_shared_recreate_fd(fd, conf); });
  }
  /* Opens such a region and takes its program side, as shmem_shared_open_fd; `fd` stays the caller's. 0, or -1: also EALREADY. */
  int openFd(int fd)
  {
    return keep([&] { return shmem_shared_open_fd(fd, nullptr); });
  }
  /* Waits for so long until a live peer is attached. 0, or -1: ETIMEDOUT, EINTR. */
  template <typename Rep, typename Period> int wait(std::chrono::duration<Rep, Period> timeout) noexcept
  {
    return call(shmem_shared_wait, detail::Timeout(timeout).get());
  }

  /* An empty sample. None: EAGAIN all blocks of this side are in use. */
  Sample alloc() noexcept
  {
    ::sample *one = nullptr;
    const int count = call([&](shmem_shared *shared) { return ::sample_alloc(&shared->pool, &one, 1); });
    return Sample(late(count, 1) == 1 ? one : nullptr);
  }

  /* Sends a sample; does not wait. 0: it is the reader's now, `smp` is empty. -1: EAGAIN full; it is still here. */
  int write(Sample &smp) noexcept
  {
    return written(smp, [](shmem_shared *shared, ::sample **one) { return shmem_shared_write(shared, one, 1); });
  }
  /* The same; waits for room for so long: ETIMEDOUT, EINTR. */
  template <typename Rep, typename Period> int timedWrite(Sample &smp, std::chrono::duration<Rep, Period> timeout) noexcept
  {
    const detail::Timeout limit(timeout);
    return written(smp, [&](shmem_shared *shared, ::sample **one) { return shmem_shared_timed_write(shared, one, 1, limit.get()); });
  }
  /* Sends samples from the front, in order; does not wait. How many: those are empty now. Fewer than all: EAGAIN full, EINVAL the next cannot be sent. */
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
   * Receives up to `most` samples (and 256), which replace those in `samples`, as soon as there is one. How many. 0: nothing yet, call again: EAGAIN
   * 100 ms are over, EINTR a signal handler or interrupt(). -1: EPIPE the peer is gone and all that it wrote was read.
   */
  int read(Samples &samples, std::size_t most = 64) { return received(samples, most, shmem_shared_read); }
  /* The same; does not wait. */
  int tryRead(Samples &samples, std::size_t most = 64) { return received(samples, most, shmem_shared_try_read); }
  /* The same; waits for so long: 0 with ETIMEDOUT. */
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
   * What read() gives, for a loop; see above. A batch is empty when nothing has come for 100 ms, or after interrupt(), so that a loop can
   * look at a flag. The loop ends when read() gives -1: lastError is EPIPE when the peer is gone, or this channel was closed.
   */
  Batches batches(std::size_t most = 64);

  /* Ends the waits that have begun, or else the next one. Async-signal-safe. 0, or -1: EPIPE
   * closed. */
  int interrupt() noexcept { return callInHandler(shmem_shared_interrupt); }
  /* Whether the process at the other end is alive, as far as can be known. */
  bool peerAlive() const noexcept { return call(shmem_shared_peer_alive) == 1; }
  /* Counters and fill levels. 0, or -1: EPIPE closed. */
  int stats(shmem_stats &stats) const noexcept
  {
    stats.size = sizeof stats;
    return call(shmem_shared_stats, &stats);
  }

  /* Removes the name; who has the region open keeps it. 0, also when there is none. -1: EINVAL name; EACCES. */
  static int unlink(const std::string &name) noexcept { return detail::unlinked(shmem_shared_unlink(name.c_str())); }

private:
  /* To have moved fewer than were asked for has a reason too. */
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
    samples.reserve(most = std::min(most, chunk)); /* nothing can fail once they are here */
    const int count = call(function, raw, static_cast<unsigned>(most));
    if (count == 0 && most > 0)
      detail::failed();
    for (int i = 0; i < count; i++)
      samples.emplace_back(raw[i]);
    return count;
  }

  /* Samples that pass the C interface at once. */
  static constexpr std::size_t chunk = 256;

  std::string name_;
};

/* A range of batches, to be gone through once. */
class Channel::Batches {
public:
  class Iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Samples;
    using difference_type = std::ptrdiff_t;
    using pointer = Samples *;
    using reference = Samples &;

    Samples &operator*() const noexcept { return range_->samples_; }
    Samples *operator->() const noexcept { return &range_->samples_; }
    Iterator &operator++()
    {
      if (range_->channel_.read(range_->samples_, range_->most_) < 0)
        range_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator &a, const Iterator &b) noexcept { return a.range_ == b.range_; }
    friend bool operator!=(const Iterator &a, const Iterator &b) noexcept { return a.range_ != b.range_; }

  private:
    friend Batches;
    explicit Iterator(Batches *range) noexcept : range_(range) {}
    Batches *range_;
  };

  /* Reads the first batch. */
  Iterator begin() { return ++Iterator(this); }
  Iterator end() noexcept { return Iterator(nullptr); }

private:
  friend Channel;
  Batches(Channel &channel, std::size_t most) noexcept : channel_(channel), most_(most) {}

  Channel &channel_;
  std::size_t most_;
  Samples samples_;
};

inline Channel::Batches Channel::batches(std::size_t most) { return Batches(*this, most); }

} /* namespace villas::shm */

#endif
