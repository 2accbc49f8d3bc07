// A process that is the VILLASnode at the other end: for tests of the wire layout. See --help.
#include "peer.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <getopt.h>
#include <sys/mman.h>

using namespace villasnode;

std::uint64_t number(const std::string &text, const char *what, std::uint64_t least, std::uint64_t most) {
  char *end;
  errno = 0;
  unsigned long long n = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || text[0] < '0' || text[0] > '9' || *end || errno || n < least || n > most)
    throw UsageError(std::string(what) + " is \"" + text + "\", not a number from " + std::to_string(least) + " to " +
                     std::to_string(most));
  return n;
}

namespace {

const char HELP[] = R"(usage: villasnode-peer WNAME RNAME [OPTION]... COMMAND [ARGUMENT]...

Behaves at a pair of shared memory regions as VILLASnode 1.2.0 does, with its weaknesses. It writes to
WNAME, which it creates, and reads from RNAME, which the other creates. What happens is said on standard
output, a line for each event; errors on standard error, with exit status 1 (2: wrong usage).

Commands that open the connection:
  echo               write back what is read, until the other closes
  send N             write N samples
  receive N|all      read N samples, or until the other closes; fail on a difference or a loss
  send-receive N     write N samples and read them back; fail on a difference or a loss
  open-only          no more than that
  wait               read one sample; "waiting" is printed once it waits in the condition variable
  hold N             read N samples, keep them, print "ready", and stay until SIGTERM
  hold-mutex [write] lock the mutex of the queue that is read (or written), print "ready", and stay until SIGTERM
  claim N            write N samples, claim a cell and never publish it, write N more, print "ready", and stay
Commands that only make a region, named WNAME, and remove it:
  image STATE FILE   save it; STATE: fresh, 5-queued, 3-queued-1-held, closed (the last after the one before)
  dump FILE          the same as image fresh FILE

  -q, --queuelen N   samples in a queue [512]; with some that are not powers of two, creating fails
  -s, --samplelen N  values in a sample [64]
  -p, --polling      the region WNAME is in polling mode
  -f, --flags N      of the samples that are written [25; echo: 0, as VILLASnode's own client]
  -e, --expect N     of the samples that are read [25]; "any"
  -k, --from K       the number of the first sample of send, receive, send-receive [0]
  -t, --try          send, echo: stop when there is no room, instead of trying again
  -b, --begin        once open, print "ready" and begin the command on SIGUSR2
  -c, --close WHEN   when the command is done, close at once ("now", the default), when the other has taken all
                     that is queued or on SIGTERM ("taken"), on SIGTERM ("signal"), or never ("never": end as in
                     a crash, all left behind)
  -h, --help         this text

Sample k has sequence 1000 + k, length 1 + k % samplelen, values k + v / 10, and origin 1700000000 + k s
123456789 ns.

A read that finds the queue closed fails at once: what is still queued is lost. SIGTERM and SIGINT are looked
at between calls only: a read that waits, a lock and the handshake go on. SIGUSR1 has a handler that does
nothing. A signal handler that runs in the handshake's wait makes it fail, if the other's region is not there,
and what was made is left behind. "waits for" is printed just before that wait begins: send the signal again
until the process ends.
)";

// ---- images -------------------------------------------------------------------------------------

void bring_to_state(Region &region, const std::string &state) {
  auto &shared = region.shared();
  Sample *samples[5];
  if (alloc_samples(shared.pool, samples, 5) != 5)
    throw std::runtime_error("an image needs a queue length of 5 or more");
  for (std::uint32_t k = 0; k < 5; k++) {
    if (samples[k]->capacity < k + 1)
      throw std::runtime_error("an image needs samples of 5 values or more");
    contents::fill(*samples[k], k, k + 1, contents::FLAGS | (k == 4 ? NEW_FRAME : 0));
  }
  push_many(shared.queue, samples, 5);
  if (state == "5-queued")
    return;
  std::atomic<bool> waiting;
  pull_many(shared.queue, samples, 2, waiting);
  decref_sample(samples[0]);
  if (state == "closed")
    stop(shared.queue);
}

void save_image(const Options &options, const std::string &state, const std::string &file) {
  if (state != "fresh" && state != "5-queued" && state != "3-queued-1-held" && state != "closed")
    throw UsageError("no such state: " + state);
  Region region = Region::create(options.wname, options.config);
  shm_unlink(options.wname.c_str());
  if (state != "fresh")
    bring_to_state(region, state);
  std::ofstream out(file, std::ios::binary);
  out.write(region.bytes(), static_cast<std::streamsize>(region.size()));
  out.close();
  if (!out)
    throw std::runtime_error("cannot write " + file);
  say("saved %zu bytes", region.size());
}

// ---- the run ------------------------------------------------------------------------------------

void finish(Node &node, const Options &options) {
  if (options.close == "never") {
    say("left open");
    std::_Exit(0);
  }
  if (options.close == "signal")
    stay_until_signal();
  auto &queue = node.write_queue().queue;
  while (options.close == "taken" && queue.head < queue.tail && !stopped)
    pause_shortly();
  say("closes");
  node.close();
  say("closed");
}

void run(const Command &command, const Options &options) {
  if (command.name == std::string("image"))
    return save_image(options, options.arguments[0], options.arguments[1]);
  if (command.name == std::string("dump"))
    return save_image(options, "fresh", options.arguments[0]);
  catch_signals();
  Node node(options.wname, options.rname);
  node.open(options.config, [](const std::string &event) { say("%s", event.c_str()); });
  if (options.begin)
    stay_until_signal(true);
  command.run(node, options);
  finish(node, options);
}

// ---- options ------------------------------------------------------------------------------------

const option LONG_OPTIONS[] = {
    {"queuelen", required_argument, nullptr, 'q'}, {"samplelen", required_argument, nullptr, 's'},
    {"polling", no_argument, nullptr, 'p'},        {"flags", required_argument, nullptr, 'f'},
    {"expect", required_argument, nullptr, 'e'},   {"from", required_argument, nullptr, 'k'},
    {"try", no_argument, nullptr, 't'},            {"close", required_argument, nullptr, 'c'},
    {"begin", no_argument, nullptr, 'b'},          {"help", no_argument, nullptr, 'h'},
    {},
};

void parse_option(Options &options, int letter) {
  std::string text = optarg ? optarg : "";
  switch (letter) {
  case 'q': options.config.queuelen = number(text, "the queue length", 1, 1 << 20); break;
  case 's': options.config.samplelen = number(text, "the sample length", 1, 1 << 16); break;
  case 'p': options.config.polling = true; break;
  case 'f': options.flags = static_cast<int>(number(text, "--flags", 0, INT32_MAX)); break;
  case 'e': options.expect = text == "any" ? -1 : static_cast<int>(number(text, "--expect", 0, INT32_MAX)); break;
  case 'k': options.from = number(text, "--from", 0, UINT32_MAX); break;
  case 't': options.only_try = true; break;
  case 'b': options.begin = true; break;
  case 'c':
    if (text != "now" && text != "taken" && text != "signal" && text != "never")
      throw UsageError("--close is \"" + text + "\", not now, taken, signal or never");
    options.close = text;
    break;
  case 'h':
    std::fputs(HELP, stdout);
    std::exit(0);
  default: throw UsageError("see --help");
  }
}

const Command &parse(Options &options, int argc, char *argv[]) {
  for (int letter; (letter = getopt_long(argc, argv, "q:s:pf:e:k:tbc:h", LONG_OPTIONS, nullptr)) != -1;)
    parse_option(options, letter);
  if (argc - optind < 3)
    throw UsageError("two names and a command are needed; see --help");
  options.wname = argv[optind];
  options.rname = argv[optind + 1];
  options.arguments.assign(argv + optind + 3, argv + argc);
  for (const Command &command : COMMANDS)
    if (argv[optind + 2] == std::string(command.name)) {
      check_arguments(command, options);
      return command;
    }
  throw UsageError(std::string("no such command: ") + argv[optind + 2]);
}

} // namespace

int main(int argc, char *argv[]) {
  try {
    Options options;
    const Command &command = parse(options, argc, argv);
    run(command, options);
  } catch (const UsageError &error) {
    std::fprintf(stderr, "villasnode-peer: %s\n", error.what());
    return 2;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "villasnode-peer: %s\n", error.what());
    return 1;
  }
}
