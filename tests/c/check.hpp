/* What the C++ tests need: checks that say where they failed, names that no other test has, an end when something hangs. */
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition))                                                                              \
      check::fail(__FILE__, __LINE__, #condition);                                                 \
  } while (0)

#define CHECK_EQ(actual, expected)                                                                 \
  do {                                                                                             \
    const auto check_actual = static_cast<long long>(actual);                                      \
    const auto check_expected = static_cast<long long>(expected);                                  \
    if (check_actual != check_expected) {                                                          \
      std::fprintf(stderr, "%lld, expected %lld: ", check_actual, check_expected);                 \
      check::fail(__FILE__, __LINE__, #actual " == " #expected);                                   \
    }                                                                                              \
  } while (0)

#define RUN(test)                                                                                  \
  do {                                                                                             \
    if (std::getenv("CHECK_VERBOSE"))                                                              \
      std::fprintf(stderr, "  %s\n", #test);                                                       \
    alarm(60);                                                                                     \
    test();                                                                                        \
  } while (0)

namespace check {

[[noreturn]] inline void fail(const char *file, int line, const char *what)
{
  const int number = errno;
  std::fprintf(stderr, "%s:%d: %s does not hold (errno %d, %s)\n", file, line, what, number, std::strerror(number));
  std::exit(1);
}

inline std::string name(const char *word)
{
  static int count;
  return "villas-check-" + std::to_string(getpid()) + "-" + std::to_string(count++) + "-" + word;
}

} // namespace check
