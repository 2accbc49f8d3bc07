// The bounded queue of many producers and consumers that Dmitry Vyukov published (1024cores.net),
// and the waiting around it.
//
// A cell's sequence number says whose turn it is: `pos` a producer's, `pos` + 1 a consumer's. Each
// release store of it pairs with the acquire load of whoever takes the cell next. `tail` and `head`
// only share out positions, so relaxed is enough for them.
#include "villasnode.hpp"

namespace villasnode {

static Cell &cell(CQueue &queue, std::uint64_t pos) {
  auto *cells = reinterpret_cast<Cell *>(reinterpret_cast<char *>(&queue) + queue.buffer_off);
  return cells[pos & queue.buffer_mask];
}

// Takes the next position of `end` (tail or head) once its cell's sequence number is `pos` + `turn`.
static int take(CQueue &queue, std::atomic<std::uint64_t> &end, std::uint64_t turn, std::uint64_t *taken) {
  if (queue.state.load() == STATE_STOPPED)
    return -1;
  std::uint64_t pos = end.load(std::memory_order_relaxed);
  for (;;) {
    auto sequence = cell(queue, pos).sequence.load(std::memory_order_acquire);
    auto ahead = static_cast<std::int64_t>(sequence - (pos + turn));
    if (ahead < 0)
      return 0;
    if (ahead > 0)
      pos = end.load(std::memory_order_relaxed);
    else if (end.compare_exchange_weak(pos, pos + 1, std::memory_order_relaxed)) {
      *taken = pos;
      return 1;
    }
  }
}

int claim(CQueue &queue, std::uint64_t *claimed) { return take(queue, queue.tail, 0, claimed); }

void publish(CQueue &queue, std::uint64_t claimed, void *item) {
  Cell &place = cell(queue, claimed);
  place.data_off = static_cast<char *>(item) - reinterpret_cast<char *>(&queue);
  place.sequence.store(claimed + 1, std::memory_order_release);
}

int push(CQueue &queue, void *item) {
  std::uint64_t pos;
  int got = claim(queue, &pos);
  if (got == 1)
    publish(queue, pos, item);
  return got;
}

int pull(CQueue &queue, void **item) {
  std::uint64_t pos;
  int got = take(queue, queue.head, 1, &pos);
  if (got == 1) {
    Cell &place = cell(queue, pos);
    *item = reinterpret_cast<char *>(&queue) + place.data_off;
    place.sequence.store(pos + queue.buffer_mask + 1, std::memory_order_release);
  }
  return got;
}

int push_many(CQueueSignalled &queue, Sample *const samples[], int count) {
  int pushed = 0, result = 1;
  while (pushed < count && (result = push(queue.queue, samples[pushed])) == 1)
    pushed++;
  if (pushed == 0)
    return result < 0 ? -1 : 0;
  if (queue.mode == MODE_PTHREAD) {
    pthread_mutex_lock(&queue.mutex);
    pthread_cond_broadcast(&queue.ready);
    pthread_mutex_unlock(&queue.mutex);
  }
  return pushed;
}

static int pull_some(CQueue &queue, Sample *samples[], int count) {
  int pulled = 0, result = 1;
  void *item;
  while (pulled < count && (result = pull(queue, &item)) == 1)
    samples[pulled++] = static_cast<Sample *>(item);
  return pulled > 0 ? pulled : result < 0 ? -1 : 0;
}

int pull_many(CQueueSignalled &queue, Sample *samples[], int count, std::atomic<bool> &waiting) {
  if (count == 0)
    return 0;
  int pulled;
  if (queue.mode == MODE_PTHREAD) {
    pthread_mutex_lock(&queue.mutex);
    while ((pulled = pull_some(queue.queue, samples, count)) == 0) {
      waiting = true;
      pthread_cond_wait(&queue.ready, &queue.mutex);
    }
    pthread_mutex_unlock(&queue.mutex);
  } else {
    while ((pulled = pull_some(queue.queue, samples, count)) == 0)
      waiting = true;
  }
  waiting = false;
  return pulled;
}

void stop(CQueueSignalled &queue) {
  if (queue.mode == MODE_PTHREAD)
    pthread_mutex_lock(&queue.mutex);
  queue.queue.state.store(STATE_STOPPED);
  if (queue.mode == MODE_PTHREAD) {
    pthread_cond_broadcast(&queue.ready);
    pthread_mutex_unlock(&queue.mutex);
  }
}

} // namespace villasnode
