/*
 * villas/shm_error.hpp: how the classes of <villas/shm.hpp> report errors. Included by it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A call returns 0 on success. On failure it returns -1 and leaves the reason in lastError. Only
 * constructors and get() throw, and their comments say what. Any call that allocates private memory
 * can throw std::bad_alloc.
 */
#ifndef VILLAS_SHM_ERROR_HPP
#define VILLAS_SHM_ERROR_HPP

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <system_error>
#include <type_traits>

#include <villas/shmem.h>

namespace villas::shm {

namespace detail {

int failBriefly(int number) noexcept;
int fail(int number, const char *format, ...) noexcept __attribute__((format(printf, 2, 3)));
int failed() noexcept;

} /* namespace detail */

/*
 * A std::error_code with a sentence for people: what was wrong, with both values, and what to do.
 *
 * The code is an errno, which docs/errors.md lists. It compares with Errc and with std::errc. A
 * copy keeps code and sentence when later calls fail. One thread at a time may use an object.
 */
class LastError : public std::error_code {
public:
  /* No error. */
  LastError() noexcept = default;
  /* A code without a sentence. */
  LastError(const std::error_code &code) noexcept : std::error_code(code) {}
  LastError(const LastError &other) noexcept : std::error_code(other) { copy(other); }
  LastError &operator=(const LastError &other) noexcept
  {
    if (this != &other) {
      std::error_code::operator=(other);
      copy(other);
    }
    return *this;
  }

  /* The code alone. It refers to this object. */
  const std::error_code &code() const noexcept { return *this; }

  /* The sentence of the call that failed, as shmem_last_error() gives it in C. The name of the
   * errno if the code came without a sentence, as that of interrupt() does. */
  std::string message() const
  {
    const char *known = sentence();
    return *known ? known : code().message();
  }

private:
  friend int detail::failBriefly(int number) noexcept;
  friend int detail::fail(int number, const char *format, ...) noexcept;
  friend int detail::failed() noexcept;

  /* That of this code, or an empty one. */
  const char *sentence() const noexcept
  {
    if (code() != told_)
      return "";
    return isInLibrary_ ? shmem_last_error() : sentence_;
  }

  /* Takes over a code, without a sentence yet. */
  void begin(const std::error_code &code) noexcept
  {
    assign(code.value(), code.category());
    told_ = code;
    isInLibrary_ = false;
    sentence_[0] = '\0';
  }

  void copy(const LastError &other) noexcept
  {
    begin(other.code());
    keep(other.sentence());
  }

  void keep(const char *sentence) noexcept
  {
    const std::size_t length = std::min(std::strlen(sentence), sizeof sentence_ - 1);
    std::memmove(sentence_, sentence, length);
    sentence_[length] = '\0';
  }

  std::error_code told_;     /* the code that the sentence belongs to */
  bool isInLibrary_ = false; /* the sentence was not fetched, for the sake of speed */
  char sentence_[1024] = ""; /* a longer one is cut */
};

/*
 * Why the last call of this thread failed, or moved fewer elements than it was asked for. A call
 * that succeeds leaves it alone. Each thread has its own.
 *
 * The sentence for EAGAIN is fetched when it is asked for. Until then, a C function of the library
 * that fails in this thread replaces it.
 *
 *   if (producer.tryPush(&msg) == -1 && lastError != Errc::TemporaryError)
 *     std::cerr << lastError.message() << "\n";
 */
inline thread_local LastError lastError;

/* The kinds of errors that a program handles. Each stands for more than one errno. */
enum class Errc {
  /* This object is open already (EALREADY). A live process has the other, or no place is left
   * (EBUSY). */
  InUse = 1,
  /* A null pointer, a bad name or size (EINVAL). Or the object has other parameters (EPROTO). */
  InvalidParam,
  /* The time is over (ETIMEDOUT). */
  TimedOut,
  /* Full, empty, or not ready yet (EAGAIN): try again. */
  TemporaryError,
};

namespace detail {

class CodeCategory final : public std::error_category {
public:
  const char *name() const noexcept override { return "villas-shm"; }
  std::string message(int number) const override { return shmem_strerror(number); }
  std::error_condition default_error_condition(int number) const noexcept override
  {
    return {number, std::generic_category()};
  }
};

inline const std::error_category &codes() noexcept
{
  static const CodeCategory category;
  return category;
}

class ErrcCategory final : public std::error_category {
public:
  const char *name() const noexcept override { return "villas-shm kind"; }

  std::string message(int kind) const override
  {
    switch (static_cast<Errc>(kind)) {
    case Errc::InUse:
      return "already in use";
    case Errc::InvalidParam:
      return "invalid or mismatched parameters";
    case Errc::TimedOut:
      return "the time is over";
    case Errc::TemporaryError:
      return "temporary error: try again";
    }
    return "unknown";
  }

  bool equivalent(const std::error_code &code, int kind) const noexcept override
  {
    const auto is = [&code](std::errc number) { return code == std::make_error_condition(number); };
    switch (static_cast<Errc>(kind)) {
    case Errc::InUse:
      return is(std::errc::connection_already_in_progress) ||
             is(std::errc::device_or_resource_busy);
    case Errc::InvalidParam:
      return is(std::errc::invalid_argument) || is(std::errc::protocol_error);
    case Errc::TimedOut:
      return is(std::errc::timed_out);
    case Errc::TemporaryError:
      return is(std::errc::resource_unavailable_try_again);
    }
    return false;
  }
};

inline const std::error_category &kinds() noexcept
{
  static const ErrcCategory category;
  return category;
}

/* Keeps an errno without a sentence, and returns -1. Async-signal-safe. */
inline int failBriefly(int number) noexcept
{
  lastError.begin({number, codes()});
  return -1;
}

/* Keeps an errno with a sentence of this header, and returns -1. */
inline int fail(int number, const char *format, ...) noexcept
{
  LastError &last = lastError;
  std::va_list arguments;
  va_start(arguments, format);
  last.begin({number, codes()});
  std::vsnprintf(last.sentence_, sizeof last.sentence_, format, arguments);
  va_end(arguments);
  return -1;
}

/* Keeps the errno and the sentence of a C function that has just failed, and returns -1. A program
 * that polls gets EAGAIN all the time, so its sentence stays in the library until it is asked
 * for. */
inline int failed() noexcept
{
  const int number = errno;
  LastError &last = lastError; /* once, as each access costs a call */
  last.begin({number, codes()});
  last.isInLibrary_ = number == EAGAIN;
  if (!last.isInLibrary_)
    last.keep(shmem_last_error());
  return -1;
}

inline int closed() noexcept { return fail(EPIPE, "this object is closed: open it first"); }

/* Passes on the result of a C function, and keeps the reason if it is a failure. */
inline int checked(int result) noexcept { return result < 0 ? failed() : result; }

template <typename T> T *checked(T *result) noexcept
{
  if (!result)
    failed();
  return result;
}

/* A relative time for the C interface. A negative time is over; more than 30 years is no limit. */
class Timeout {
public:
  template <typename Rep, typename Period>
  explicit Timeout(std::chrono::duration<Rep, Period> time) noexcept
  {
    const double seconds = std::chrono::duration<double>(time).count();
    isForever_ = seconds > 1e9;
    if (isForever_ || !(seconds > 0))
      return;
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
    time_.tv_sec = static_cast<std::time_t>(whole.count());
    const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(time - whole);
    time_.tv_nsec = static_cast<long>(rest.count());
  }

  const timespec *get() const noexcept { return isForever_ ? nullptr : &time_; }

private:
  timespec time_{};
  bool isForever_;
};

/* The result of a shmem_…_unlink, except that ENOENT is success. */
inline int unlinked(int result) noexcept
{
  return result < 0 && errno == ENOENT ? 0 : checked(result);
}

} /* namespace detail */

/* For comparisons with std::error_code. */
inline std::error_condition make_error_condition(Errc kind) noexcept
{
  return {static_cast<int>(kind), detail::kinds()};
}

} /* namespace villas::shm */

template <> struct std::is_error_condition_enum<villas::shm::Errc> : std::true_type {};

#endif
