// What the peer does over an open connection.
#include "peer.hpp"

#include <algorithm>
#include <sched.h>
#include <thread>

using namespace villasnode;

namespace {

// ---- samples ------------------------------------------------------------------------------------

constexpr int BATCH = 16;

// Allocates, fills and writes one sample; false when there is no room for it.
template <typename Fill> bool write_one(Node &node, Fill fill) {
  Sample *sample;
  if (node.alloc(&sample, 1) != 1)
    return false;
  fill(*sample);
  if (node.write(&sample, 1) == 1)
    return true;
  decref_sample(sample);
  return false;
}

// Tries until there is room; false when it gave up.
template <typename Fill> bool write_until_taken(Node &node, const Options &options, Fill fill) {
  while (!write_one(node, fill)) {
    if (options.only_try || stopped)
      return false;
    sched_yield();
  }
  return true;
}

bool write_numbered(Node &node, const Options &options, std::uint64_t k) {
  int flags = options.flags < 0 ? contents::FLAGS : options.flags;
  auto fill = [&](Sample &sample) {
    contents::fill(sample, k, contents::length(k, options.config.samplelen), flags);
  };
  if (write_one(node, fill))
    return true;
  static bool said = false;
  if (!said)
    say("no room for sample %llu", static_cast<unsigned long long>(k));
  said = true;
  return write_until_taken(node, options, fill);
}

// Reads and checks the samples from the k-th on; how many, or -1 when the other has closed.
int read_numbered(Node &node, const Options &options, std::uint64_t k, std::uint64_t most) {
  Sample *samples[BATCH];
  int got = node.read(samples, static_cast<int>(std::min<std::uint64_t>(most, BATCH)));
  for (int i = 0; i < got; i++, k++) {
    contents::check(*samples[i], k, contents::length(k, options.config.samplelen), options.expect);
    if (k == options.from)
      say("received the first");
    decref_sample(samples[i]);
  }
  if (got < 0)
    say("the other has closed");
  return got;
}

// ---- commands -----------------------------------------------------------------------------------

std::uint64_t count(const Options &options) {
  return number(options.arguments.at(0), "the number of samples", 0, UINT32_MAX);
}

void send(Node &node, const Options &options) {
  std::uint64_t sent = 0, n = count(options);
  while (sent < n && !stopped && write_numbered(node, options, options.from + sent))
    sent++;
  say("sent %llu", static_cast<unsigned long long>(sent));
}

void receive(Node &node, const Options &options) {
  bool all = options.arguments.at(0) == "all";
  std::uint64_t received = 0, n = all ? UINT64_MAX : count(options);
  while (received < n && !stopped) {
    int got = read_numbered(node, options, options.from + received, n - received);
    if (got < 0)
      break;
    received += static_cast<std::uint64_t>(got);
  }
  say("received %llu", static_cast<unsigned long long>(received));
  if (!all && !stopped && received < n)
    throw std::runtime_error("only " + std::to_string(received) + " of " + std::to_string(n) + " samples came");
}

void send_receive(Node &node, const Options &options) {
  std::uint64_t sent = 0, received = 0, n = count(options);
  while (received < n && !stopped) {
    std::uint64_t window = std::min<std::uint64_t>({BATCH, options.config.queuelen, n - sent});
    for (; window > 0 && write_numbered(node, options, options.from + sent); window--)
      sent++;
    if (window > 0)
      break;
    while (received < sent) {
      int got = read_numbered(node, options, options.from + received, sent - received);
      if (got < 0)
        throw std::runtime_error("only " + std::to_string(received) + " of " + std::to_string(n) + " samples came back");
      received += static_cast<std::uint64_t>(got);
    }
  }
  say("sent and received %llu", static_cast<unsigned long long>(received));
  if (!stopped && received < n)
    throw std::runtime_error("no room after " + std::to_string(sent) + " of " + std::to_string(n) + " samples");
}

void echo_one(Sample &sample, const Sample &from, const Options &options) {
  sample.sequence = from.sequence;
  sample.length = std::min(from.length, sample.capacity);
  sample.flags = options.flags < 0 ? 0 : options.flags;
  sample.origin = from.origin;
  sample.received = from.received;
  std::memcpy(sample.data(), const_cast<Sample &>(from).data(), sample.length * sizeof(SignalData));
}

void echo(Node &node, const Options &options) {
  Sample *samples[BATCH];
  unsigned long long echoed = 0;
  bool room = true;
  for (int got; room && !stopped && (got = node.read(samples, BATCH)) >= 0;) {
    for (int i = 0; i < got; i++) {
      room = room && write_until_taken(node, options, [&](Sample &sample) { echo_one(sample, *samples[i], options); });
      decref_sample(samples[i]);
      if (room && echoed++ == 0)
        say("echoed the first");
    }
  }
  say(!room ? "no room" : stopped ? "stopped" : "the other has closed");
  say("echoed %llu", echoed);
}

void wait(Node &node, const Options &) {
  auto &queue = node.read_queue();
  std::atomic<bool> done{false};
  std::thread watcher([&] {
    while (!node.waiting && !done)
      pause_shortly();
    if (done)
      return;
    if (queue.mode == MODE_PTHREAD) { // once the mutex is free the reader has given it up to wait
      pthread_mutex_lock(&queue.mutex);
      pthread_mutex_unlock(&queue.mutex);
    }
    say("waiting");
  });
  Sample *sample;
  int got = node.read(&sample, 1);
  done = true;
  watcher.join();
  if (got < 0)
    return say("the other has closed");
  say("received sequence %llu", static_cast<unsigned long long>(sample->sequence));
  decref_sample(sample);
}

void hold(Node &node, const Options &options) {
  std::uint64_t n = count(options);
  for (std::uint64_t held = 0; held < n; held++) {
    Sample *sample;
    if (node.read(&sample, 1) < 0)
      throw std::runtime_error("the other has closed after " + std::to_string(held) + " samples");
  }
  say("holds %llu", static_cast<unsigned long long>(n));
  stay_until_signal();
}

void hold_mutex(Node &node, const Options &options) {
  bool write = !options.arguments.empty();
  auto &queue = write ? node.write_queue() : node.read_queue();
  if (queue.mode != MODE_PTHREAD)
    throw std::runtime_error("a region in polling mode has no mutex");
  pthread_mutex_lock(&queue.mutex);
  stay_until_signal();
  pthread_mutex_unlock(&queue.mutex);
}

void claim_and_stay(Node &node, const Options &options) {
  std::uint64_t n = count(options), claimed;
  auto write = [&](std::uint64_t k) {
    if (!write_numbered(node, options, options.from + k))
      throw std::runtime_error("no room for sample " + std::to_string(k));
  };
  for (std::uint64_t k = 0; k < n; k++)
    write(k);
  if (claim(node.write_queue().queue, &claimed) != 1)
    throw std::runtime_error("no room for the cell to claim");
  for (std::uint64_t k = n; k < 2 * n; k++)
    write(k);
  say("claimed cell %llu", static_cast<unsigned long long>(claimed));
  stay_until_signal();
}

void open_only(Node &, const Options &) {}

} // namespace

void check_arguments(const Command &command, const Options &options) {
  std::string name = command.name;
  std::size_t given = options.arguments.size();
  if (given < command.least || given > command.most)
    throw UsageError(name + " has the wrong number of arguments; see --help");
  if (command.run == hold_mutex) {
    if (given == 1 && options.arguments[0] != "write")
      throw UsageError("hold-mutex takes nothing or \"write\", not \"" + options.arguments[0] + "\"");
  } else if (command.run && given == 1 && !(command.run == receive && options.arguments[0] == "all")) {
    count(options);
  }
}

const std::vector<Command> COMMANDS = {
    {"echo", 0, 0, echo},
    {"send", 1, 1, send},
    {"receive", 1, 1, receive},
    {"send-receive", 1, 1, send_receive},
    {"open-only", 0, 0, open_only},
    {"wait", 0, 0, wait},
    {"hold", 1, 1, hold},
    {"hold-mutex", 0, 1, hold_mutex},
    {"claim", 1, 1, claim_and_stay},
    {"image", 2, 2, nullptr},
    {"dump", 1, 1, nullptr},
};
