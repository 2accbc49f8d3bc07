/* What the tests of <villas/shm.hpp> share. */
#pragma once

#include <villas/shm.hpp>

#include "check.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include <poll.h>
#include <sys/wait.h>

using namespace villas::shm;
using namespace std::chrono_literals;

/* The call gives -1, for this reason. */
#define FAILS(call, number)                                                                        \
  do {                                                                                             \
    lastError.clear();                                                                             \
    CHECK_EQ(call, -1);                                                                            \
    CHECK_EQ(lastError.value(), number);                                                           \
  } while (0)

/* It throws that. */
#define THROWS(expression, exception)                                                              \
  do {                                                                                             \
    bool thrown = false;                                                                           \
    try {                                                                                          \
      static_cast<void>(expression);                                                               \
    } catch (const exception &) {                                                                  \
      thrown = true;                                                                               \
    }                                                                                              \
    CHECK(thrown && #expression);                                                                  \
  } while (0)

/* A name that is removed at the end, as a ring's and as an endpoint's. */
struct Name : std::string {
  explicit Name(const char *word) : std::string(check::name(word)) {}
  ~Name()
  {
    SharedMemory::unlink(*this);
    Spsc::Endpoint::unlink(*this);
  }
};

/* Waits, with a deadline, until something holds. Of each step between two looks no more than five milliseconds count, however long the machine
 * or this process has stood still. */
template <typename Condition> void until(Condition condition)
{
  std::chrono::nanoseconds left = 20s;
  for (auto last = std::chrono::steady_clock::now(); !condition();) {
    const auto now = std::chrono::steady_clock::now();
    left -= std::min<std::chrono::nanoseconds>(now - last, 5ms);
    last = now;
    CHECK(left > 0s);
    std::this_thread::yield();
  }
}

/* Whether a descriptor is readable, or becomes so in time. */
inline bool readable(int fd, std::chrono::milliseconds limit = 20s)
{
  pollfd polled = {fd, POLLIN, 0};
  return poll(&polled, 1, static_cast<int>(limit.count())) == 1;
}

/* Makes a call that finds nothing until that has had its effect on the descriptor: the library's thread may be about to tell of something that
 * has just been found. */
template <typename Call> void rests(int fd, Call call)
{
  until([&] {
    lastError.clear();
    call();
    CHECK(lastError == Errc::TemporaryError);
    return !readable(fd, 1ms);
  });
}

/* The same for each policy. */
#define RUN_EACH(test)                                                                             \
  do {                                                                                             \
    RUN(test<Spsc>);                                                                               \
    RUN(test<Mpsc>);                                                                               \
    RUN(test<Mpmc>);                                                                               \
  } while (0)
