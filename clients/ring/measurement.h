/* What the example programs exchange: the same bytes as `Measurement` in measurement.rs. */
#ifndef MEASUREMENT_H
#define MEASUREMENT_H

#include <stdint.h>

/* One measurement of a three-phase voltage. No padding: 40 bytes. */
struct measurement {
  uint64_t number; /* counts up */
  double time;     /* in seconds */
  double volts[3]; /* phase to neutral */
};

enum { MEASUREMENTS_IN_RING = 144 };

#endif
