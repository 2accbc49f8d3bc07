// The handshake by which two sides find each other's region, and the end.
#include "villasnode.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <system_error>

namespace villasnode {

static sem_t *open_semaphore(const std::string &name) {
  sem_t *semaphore = sem_open(name.c_str(), O_CREAT, 0600, 0);
  if (semaphore == SEM_FAILED)
    throw std::system_error(errno, std::generic_category(), "sem_open of " + name);
  return semaphore;
}

void Node::open(const Config &config, const std::function<void(const std::string &)> &report) {
  sem_t *own = open_semaphore(wname);
  sem_t *other = open_semaphore(rname);
  out = Region::create(wname, config);
  report("created " + wname + " of " + std::to_string(out.size()) + " bytes");
  sem_post(own);
  report("waits for " + rname);
  // Without limit; and that a signal handler ran is taken for the post.
  sem_wait(other);
  in = Region::open(rname);
  sem_unlink(wname.c_str());
  report("opened " + rname + " of " + std::to_string(in.size()) + " bytes, " +
         (in.shared().queue.mode == MODE_POLLING ? "polling" : "pthread"));
  sem_close(own);
  sem_close(other);
}

void Node::close() {
  stop(out.shared().queue);
  shm_unlink(wname.c_str());
  out.unmap();
  in.unmap();
}

} // namespace villasnode
