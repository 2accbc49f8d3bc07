/*
 * villas/shm_error.hpp: how the classes of <villas/shm.hpp> report errors. Included by it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A call gives 0 on success and -1 otherwise, and leaves the reason in lastError. Constructors and get() throw, where it is said; nothing
 * else does, but for memory that is not there.
 */
#ifndef VILLAS_SHM_ERROR_HPP
#define VILLAS_SHM_ERROR_HPP

#include <cerrno>
#include <chrono>
#include <ctime>
#include <string>
#include <system_error>
#include <type_traits>

#include <villas/shmem.h>

namespace villas::shm {

/*
 * Why the last call of this thread failed: an errno of the table in <villas/shmem.h>. Successful calls leave it alone.
 *
 *   if (producer.tryPush(&msg) == -1 && lastError != Errc::TemporaryError)
 *     std::cerr << lastError.message() << "\n";
 *
 * It compares with Errc and with std::errc. shmem_last_error() has a longer sentence, with names and numbers, unless the reason was that
 * something is full, empty, late or closed.
 */
inline thread_local std::error_code lastError;

/* The kinds of errors that a program deals with, whatever the errno. */
enum class Errc {
  InUse = 1,      /* opened already (EALREADY); held by a live process, or no place is left (EBUSY) */
  InvalidParam,   /* null pointer, bad name or size (EINVAL); not the parameters that the object has (EPROTO) */
  TimedOut,       /* the time is over (ETIMEDOUT) */
  TemporaryError, /* full, empty, or not ready yet: try again (EAGAIN) */
};

namespace detail {

class CodeCategory final : public std::error_category {
public:
  const char *name() const noexcept override { return "villas-shm"; }
  std::string message(int number) const override { return shmem_strerror(number); }
  std::error_condition default_error_condition(int number) const noexcept override { return {number, std::generic_category()}; }
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
      return is(std::errc::connection_already_in_progress) || is(std::errc::device_or_resource_busy);
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

inline int fail(int number) noexcept
{
  lastError.assign(number, codes());
  return -1;
}

/* A result of the C interface as it is; the reason is kept if it is a failure. */
inline int checked(int result) noexcept { return result < 0 ? fail(errno) : result; }

template <typename T> T *checked(T *result) noexcept
{
  if (!result)
    fail(errno);
  return result;
}

/* A relative time for the C interface: what is negative is over, what exceeds 30 years is no limit. */
class Timeout {
public:
  template <typename Rep, typename Period> explicit Timeout(std::chrono::duration<Rep, Period> time) noexcept
  {
    const double seconds = std::chrono::duration<double>(time).count();
    isForever_ = seconds > 1e9;
    if (isForever_ || !(seconds > 0))
      return;
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
    time_.tv_sec = static_cast<std::time_t>(whole.count());
    time_.tv_nsec = static_cast<long>(std::chrono::duration_cast<std::chrono::nanoseconds>(time - whole).count());
  }

  const timespec *get() const noexcept { return isForever_ ? nullptr : &time_; }

private:
  timespec time_{};
  bool isForever_;
};

/* shmem_…_unlink, except that what does not exist is success. */
inline int unlinked(int result) noexcept { return result < 0 && errno == ENOENT ? 0 : checked(result); }

} /* namespace detail */

inline std::error_condition make_error_condition(Errc kind) noexcept { return {static_cast<int>(kind), detail::kinds()}; }

} /* namespace villas::shm */

template <> struct std::is_error_condition_enum<villas::shm::Errc> : std::true_type {};

#endif
