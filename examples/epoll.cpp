/* epoll: forwards the samples of one node to another, in one thread, without a wait in any call. It
 * listens for room only while it has something to send, and for samples only while it has nothing.
 * It survives every restart of a node, and ends after SIGINT or SIGTERM.
 *
 *     c++ -std=c++17 epoll.cpp -lvillas_shm -o epoll && ./epoll FROM TO
 */
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <villas/shm.hpp>

using namespace villas::shm;

namespace {

int checked(int result, const std::string &what)
{
  if (result == -1)
    throw std::system_error(errno, std::generic_category(), what);
  return result;
}

void poll_in(int epoll, int change, int fd)
{
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = fd;
  checked(epoll_ctl(epoll, change, fd, &event), "epoll_ctl");
}

/* One channel in the loop. */
class End {
public:
  Channel channel;

  End(int epoll, std::string name, int which)
  : channel(std::move(name)), epoll_(epoll), which_(which)
  {
  }

  bool connected() const { return connected_; }

  /* Looks for the node. Does not wait. */
  void connect()
  {
    if (connected_)
      return;
    if ((channel.opened() ? channel.wait(std::chrono::seconds(0)) : channel.open()) == 0) {
      connected_ = true;
      std::cout << channel.name() << ": connected" << std::endl;
    } else if (lastError != Errc::TemporaryError && lastError != Errc::TimedOut &&
               lastError != std::errc::no_such_file_or_directory) {
      rest();
    }
  }

  /* After a call that failed. */
  void rest()
  {
    connected_ = false;
    if (lastError == std::errc::broken_pipe) { /* goes on when the next node attaches */
      std::cout << channel.name() << ": the node has gone" << std::endl;
    } else if (lastError.value() == ESTALE) { /* nobody can come to that region any more */
      std::cout << channel.name() << ": the region has gone" << std::endl;
      listen(false);
      channel.close();
    } else {
      throw std::runtime_error(channel.name() + ": " + lastError.message());
    }
  }

  /* A descriptor that nobody wants to hear of stays readable, so it leaves the loop. */
  void listen(bool wanted)
  {
    if (wanted == listens_)
      return;
    if (wanted && (fd_ = channel.fd(which_)) == -1)
      return rest();
    poll_in(epoll_, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd_); /* in: also for room */
    listens_ = wanted;
  }

private:
  const int epoll_, which_;
  int fd_ = -1;
  bool connected_ = false, listens_ = false;
};

/* Sends until `batch` is empty, or there is no room. */
void send(End &to, Samples &batch)
{
  std::size_t sent = 0;
  while (sent < batch.size()) {
    Sample copy = to.channel.alloc(); /* gives itself back if it is not sent */
    if (copy && sample_copy(copy.get(), batch[sent].get()) == -1)
      throw std::runtime_error(shmem_last_error());
    if (!copy || to.channel.write(copy) == -1) {
      if (lastError != Errc::TemporaryError)
        to.rest();
      break;
    }
    sent++;
  }
  batch.erase(batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(sent));
}

int run(const char *source, const char *target)
{
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  const int stop = checked(signalfd(-1, &ends, SFD_CLOEXEC), "signalfd");
  const int epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  poll_in(epoll, EPOLL_CTL_ADD, stop);

  End from(epoll, source, SHMEM_FD_READ), to(epoll, target, SHMEM_FD_WRITE);
  Samples batch; /* what is still to be sent */
  for (;;) {
    from.connect();
    to.connect();
    if (batch.empty() && from.connected() && from.channel.tryRead(batch) == -1)
      from.rest();
    if (!batch.empty() && to.connected())
      send(to, batch);
    from.listen(from.connected() && batch.empty());
    to.listen(to.connected() && !batch.empty());
    /* A node that is not there is looked for once a second. */
    const int limit = from.connected() && to.connected() ? -1 : 1000;
    epoll_event event;
    if (epoll_wait(epoll, &event, 1, limit) == 1 && event.data.fd == stop)
      break;
  }
  for (Sample &smp : batch)
    smp.release(); /* the next ./epoll gets what was not put */
  return 0;
}

} // namespace

int main(int argc, char **argv)
try {
  if (argc != 3)
    return std::cerr << "usage: epoll FROM TO\n", 1;
  return run(argv[1], argv[2]);
} catch (const std::exception &e) {
  return std::cerr << "epoll: " << e.what() << "\n", 1;
}
