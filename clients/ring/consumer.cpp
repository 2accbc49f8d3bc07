/* Prints the measurements that a producer gives to the ring, a line for each.
 *
 * usage: consumer NAME COUNT
 *
 * Built by: c++ -std=c++17 consumer.cpp -lvillas_shm. Goes with any producer in this directory, whichever begins first. */
#include "measurement.h"

#include <cstdio>
#include <iostream>
#include <string>
#include <villas/shm.hpp>

namespace shm = villas::shm;

int main(int argc, char **argv)
{
  if (argc != 3)
    return std::cerr << "usage: " << argv[0] << " NAME COUNT\n", 2;
  const std::uint64_t count = std::stoull(argv[2]);

  shm::Ring<measurement, shm::Mpmc>::Consumer consumer(argv[1], MEASUREMENTS_IN_RING);
  if (consumer.open() == -1)
    return std::cerr << argv[0] << ": " << shm::lastError.message() << "\n", 1;
  measurement m;
  for (std::uint64_t i = 0; i < count; i++) {
    if (consumer.pop(m) == -1)
      return std::cerr << argv[0] << ": " << shm::lastError.message() << "\n", 1;
    std::printf("%llu %.4f %.6f %.6f %.6f\n", static_cast<unsigned long long>(m.number), m.time, m.volts[0], m.volts[1], m.volts[2]);
  }
  return 0;
}
