// A model of the `shmem` side of VILLASnode 1.2.0, written from measurements of its memory and of
// its behaviour, not from its source, so that this library can be tested against something that
// does not share its code. It keeps VILLASnode's weaknesses on purpose: no time limits, no checks
// of what the peer writes, the results of the pthread calls not looked at, nothing cleaned up
// after a failure.
//
// Functions that fail throw std::runtime_error, and leave behind what they had made.
#pragma once

#include "layout.hpp"

#include <functional>
#include <semaphore.h>
#include <string>

namespace villasnode {

struct Config {
  std::size_t queuelen = 512; // samples, at least 1
  std::size_t samplelen = 64; // values, at least 1
  bool polling = false;
};

std::size_t block_size(std::size_t samplelen);

// The length of the object. Too small for some lengths that are not powers of two.
std::size_t total_size(const Config &config);

// ---- queue.cpp: queues of places in the same region ---------------------------------------------

// Takes the next free cell for a producer; publish() makes it visible. `*claimed` is its position.
// 1, or 0 when the queue is full, or -1 when it has been stopped.
int claim(CQueue &queue, std::uint64_t *claimed);
void publish(CQueue &queue, std::uint64_t claimed, void *item);

// 1, or 0 (full, empty), or -1 at once when the queue has been stopped, whatever it still holds.
int push(CQueue &queue, void *item);
int pull(CQueue &queue, void **item);

// How many of `count` were pushed, or -1. Wakes who waits in `pthread` mode.
int push_many(CQueueSignalled &queue, Sample *const samples[], int count);

// Waits for the first; 1 to `count`, or -1. `waiting` becomes true when there is nothing: with the
// mutex held, so that who then gets the mutex knows that this reader is in the condition variable.
int pull_many(CQueueSignalled &queue, Sample *samples[], int count, std::atomic<bool> &waiting);

void stop(CQueueSignalled &queue);

// ---- region.cpp: a region and what lies in it ---------------------------------------------------

// A mapping of a shared memory object; the object stays when this goes.
class Region {
public:
  static Region create(const std::string &name, const Config &config);
  static Region open(const std::string &name);
  Region() = default;
  Region(Region &&other) noexcept;
  Region &operator=(Region &&other) noexcept;
  ~Region() { unmap(); }

  explicit operator bool() const { return start != nullptr; }
  ShmemShared &shared() const { return *reinterpret_cast<ShmemShared *>(start + SHARED_AT); }
  const char *bytes() const { return start; }
  std::size_t size() const { return length; }
  void unmap();

private:
  char *start = nullptr;
  std::size_t length = 0;
};

// The samples of a pool: how many of `count` there were, each with one reference.
int alloc_samples(Pool &pool, Sample *samples[], int count);

// The references left; with none, the sample goes back to the pool that it says it is from.
int decref_sample(Sample *sample);

// ---- node.cpp: the two regions of a connection --------------------------------------------------

class Node {
public:
  Node(std::string wname, std::string rname) : wname(std::move(wname)), rname(std::move(rname)) {}

  // The handshake; says each of its steps to `report` before it may block.
  void open(const Config &config, const std::function<void(const std::string &)> &report);

  int read(Sample *samples[], int count) { return pull_many(in.shared().queue, samples, count, waiting); }
  int write(Sample *const samples[], int count) { return push_many(out.shared().queue, samples, count); }
  int alloc(Sample *samples[], int count) { return alloc_samples(out.shared().pool, samples, count); }
  void close();

  CQueueSignalled &read_queue() const { return in.shared().queue; }
  CQueueSignalled &write_queue() const { return out.shared().queue; }

  std::atomic<bool> waiting{false};

private:
  std::string wname, rname;
  Region out, in;
};

} // namespace villasnode
