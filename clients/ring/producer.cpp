/* Gives measurements of a three-phase voltage to whoever consumes the ring, each made where it goes.
 *
 * usage: producer NAME COUNT
 *
 * Built by: c++ -std=c++17 producer.cpp -lvillas_shm. Goes with any consumer in this directory, whichever begins first. */
#include "measurement.h"

#include <chrono>
#include <cmath>
#include <iostream>
#include <string>
#include <villas/shm.hpp>

namespace shm = villas::shm;

static void measure(measurement &m, std::uint64_t number)
{
  constexpr double pi = 3.141592653589793;

  m.number = number;
  m.time = static_cast<double>(number) * 1e-4;
  for (int phase = 0; phase < 3; phase++)
    m.volts[phase] = 325.0 * std::sin(2 * pi * (50 * m.time - phase / 3.0));
}

int main(int argc, char **argv)
{
  if (argc != 3)
    return std::cerr << "usage: " << argv[0] << " NAME COUNT\n", 2;
  const std::uint64_t count = std::stoull(argv[2]);

  shm::Ring<measurement, shm::Mpmc>::Producer producer(argv[1], MEASUREMENTS_IN_RING);
  if (producer.open() == -1)
    return std::cerr << argv[0] << ": " << shm::lastError.message() << "\n", 1;
  for (std::uint64_t number = 0; number < count; number++) {
    auto slot = producer.timedReserve(std::chrono::hours::max()); /* without limit */
    if (!slot)
      return std::cerr << argv[0] << ": " << shm::lastError.message() << "\n", 1;
    measure(*slot, number);
    producer.commit(std::move(slot));
  }
  return 0;
}
