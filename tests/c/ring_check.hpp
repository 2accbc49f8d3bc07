/* What the tests of <villas/shm.hpp> share. */
#pragma once

#include <villas/shm.hpp>

#include "check.hpp"

#include <thread>

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

/* Waits, with a deadline, until something holds. */
template <typename Condition> void until(Condition condition)
{
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    CHECK(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }
}

/* The same for each policy. */
#define RUN_EACH(test)                                                                             \
  do {                                                                                             \
    RUN(test<Spsc>);                                                                               \
    RUN(test<Mpsc>);                                                                               \
    RUN(test<Mpmc>);                                                                               \
  } while (0)
