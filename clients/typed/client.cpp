// A client: waits until the server has written its values, and prints them.
//
//     typed-client NAME
#include <cerrno>
#include <cstdlib>
#include <iostream>

#include "message.hpp"

static int failed(const char *why)
{
  std::cerr << "typed-client: " << why << '\n';
  return EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
  if (argc != 2)
    return failed("usage: typed-client NAME");
  shmem_segment *segment = shmem_segment_open(argv[1], sizeof(Message), 0, 0);
  if (!segment)
    return failed(shmem_last_error());
  auto *message = static_cast<Message *>(shmem_segment_data(segment));

  std::uint64_t seen = 0; // none: a client that comes late finds the signal there
  const timespec patience = {20, 0};
  if (shmem_event_timed_wait(&message->written, &seen, &patience) <= 0)
    return failed(shmem_strerror(errno));
  std::cout << message->text << message->numerator << message->slash << message->denominator;
  std::cout.write(message->equals, sizeof message->equals);
  std::cout << message->quotient << '\n' << message->farewell << '\n';

  if (shmem_event_signal(&message->read) != 0 || shmem_segment_close(segment) != 0)
    return failed(shmem_last_error());
  return EXIT_SUCCESS;
}
