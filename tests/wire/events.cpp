// What the peer says, and the signals that it hears.
#include "peer.hpp"

#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <ctime>

void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  flockfile(stdout);
  std::vprintf(format, arguments);
  std::putchar('\n');
  std::fflush(stdout);
  funlockfile(stdout);
  va_end(arguments);
}

volatile std::sig_atomic_t stopped = 0;

namespace {

volatile std::sig_atomic_t begun = 0;

void on_signal(int number) {
  if (number == SIGUSR2)
    begun = 1;
  else if (number != SIGUSR1)
    stopped = 1;
}

} // namespace

void catch_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal; // without SA_RESTART: waits are interrupted where the system allows it
  for (int number : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2})
    sigaction(number, &action, nullptr);
}

void stay_until_signal(bool begin) {
  sigset_t mask, before;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGUSR2);
  sigprocmask(SIG_BLOCK, &mask, &before);
  say("ready");
  while (!stopped && !(begin && begun))
    sigsuspend(&before);
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

void pause_shortly() {
  timespec time = {0, 1000000};
  nanosleep(&time, nullptr);
}
