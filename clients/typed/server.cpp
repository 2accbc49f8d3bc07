// The server: creates a segment, writes typed values into it, and removes it when so many clients have read them.
//
//     typed-server NAME CLIENTS
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "message.hpp"

static int failed(const char *name, const char *why)
{
  std::cerr << "typed-server: " << why << '\n';
  if (name)
    shmem_segment_unlink(name);
  return EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
  if (argc != 3 || std::atoi(argv[2]) < 1)
    return failed(nullptr, "usage: typed-server NAME CLIENTS");
  const char *name = argv[1];
  const auto clients = static_cast<std::uint64_t>(std::atoi(argv[2]));

  shmem_segment *segment = shmem_segment_open(name, sizeof(Message), SHMEM_SEGMENT_CREATE | SHMEM_SEGMENT_EXCLUSIVE, 0600);
  if (!segment)
    return failed(nullptr, shmem_last_error());
  // Zeroed memory is a Message whose events have no signals.
  auto *message = static_cast<Message *>(shmem_segment_data(segment));
  std::cout << "typed-server: created " << name << std::endl; // clients may be started now

  std::strcpy(message->text, "PI is defined as: ");
  message->numerator = 22;
  message->slash = '/';
  message->denominator = 7;
  std::memcpy(message->equals, "==", sizeof message->equals);
  message->quotient = 22.0 / 7;
  std::strcpy(message->farewell, "goodbye");
  if (shmem_event_signal(&message->written) != 0)
    return failed(name, shmem_last_error());

  const timespec patience = {20, 0}; // for each client
  for (std::uint64_t readers = 0; readers < clients;)
    if (shmem_event_timed_wait(&message->read, &readers, &patience) <= 0)
      return failed(name, "not all clients have come");
  if (shmem_segment_close(segment) != 0 || shmem_segment_unlink(name) != 0)
    return failed(nullptr, shmem_last_error());
  return EXIT_SUCCESS;
}
