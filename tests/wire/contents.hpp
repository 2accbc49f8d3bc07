// What the samples of the tests hold, so that the receiver can tell what was lost or garbled.
//
// Sample k, from 0: sequence 1000 + k; data[v].f = k + v / 10; origin 1700000000 + k s 123456789 ns;
// received 0. Over a connection its length is 1 + k % samplelen.
#pragma once

#include "villasnode.hpp"

#include <cstring>
#include <stdexcept>
#include <string>

namespace contents {

constexpr int FLAGS = villasnode::HAS_TS_ORIGIN | villasnode::HAS_SEQUENCE | villasnode::HAS_DATA;

inline std::uint32_t length(std::uint64_t k, std::size_t samplelen) {
  return static_cast<std::uint32_t>(1 + k % samplelen);
}

inline double value(std::uint64_t k, std::uint32_t v) { return static_cast<double>(k) + v / 10.0; }

inline timespec origin(std::uint64_t k) { return {static_cast<time_t>(1700000000 + k), 123456789}; }

inline void fill(villasnode::Sample &sample, std::uint64_t k, std::uint32_t length, int flags) {
  sample.sequence = 1000 + k;
  sample.length = length;
  sample.flags = flags;
  sample.origin = origin(k);
  sample.received = {};
  for (std::uint32_t v = 0; v < length; v++)
    sample.data()[v].f = value(k, v);
}

template <typename T> void must_be(std::uint64_t k, const char *field, T found, T wanted) {
  if (std::memcmp(&found, &wanted, sizeof(T)) != 0)
    throw std::runtime_error("sample " + std::to_string(k) + ": " + field + " is " + std::to_string(found) + ", not " +
                             std::to_string(wanted));
}

// `flags` < 0: any. The sequence number is checked first: it tells a lost sample from a garbled one.
inline void check(villasnode::Sample &sample, std::uint64_t k, std::uint32_t length, int flags) {
  must_be<std::uint64_t>(k, "sequence", sample.sequence, 1000 + k);
  must_be<std::uint32_t>(k, "length", sample.length, length);
  if (flags >= 0)
    must_be<int>(k, "flags", sample.flags, flags);
  must_be<long>(k, "origin.tv_sec", sample.origin.tv_sec, origin(k).tv_sec);
  must_be<long>(k, "origin.tv_nsec", sample.origin.tv_nsec, origin(k).tv_nsec);
  must_be<bool>(k, "signals set", sample.signals[0] || sample.signals[1], false);
  for (std::uint32_t v = 0; v < length; v++)
    must_be<double>(k, ("data[" + std::to_string(v) + "]").c_str(), sample.data()[v].f, value(k, v));
}

} // namespace contents
