// What the server writes and the clients read: values of several types, each at an offset that suits its type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <villas/shmem.h>

struct Message {
  shmem_event written;     // by the server, when all of the following is there
  shmem_event read;        // by each client
  char text[24];           // a string
  std::int32_t numerator;  // an integer
  char slash;              // a char
  std::int32_t denominator;
  char equals[2]; // chars without an end
  double quotient;
  char farewell[8];
};

// The same for every compiler that may have built the other process: plain data without addresses, each value at a multiple of its
// alignment, and no byte elsewhere than here.
static_assert(std::is_trivially_copyable<Message>::value && std::is_standard_layout<Message>::value, "plain data");
static_assert(alignof(Message) == 8 && sizeof(Message) == 72, "no other padding than that below");
static_assert(offsetof(Message, written) == 0 && offsetof(Message, read) == 8, "events: multiples of 8");
static_assert(offsetof(Message, text) == 16, "a string: anywhere");
static_assert(offsetof(Message, numerator) == 40 && offsetof(Message, numerator) % alignof(std::int32_t) == 0, "after text");
static_assert(offsetof(Message, slash) == 44, "a char: anywhere; three bytes of padding follow");
static_assert(offsetof(Message, denominator) == 48 && offsetof(Message, denominator) % alignof(std::int32_t) == 0, "padded to 4");
static_assert(offsetof(Message, equals) == 52, "two chars; two bytes of padding follow");
static_assert(offsetof(Message, quotient) == 56 && offsetof(Message, quotient) % alignof(double) == 0, "padded to 8");
static_assert(offsetof(Message, farewell) == 64, "a string: anywhere");
