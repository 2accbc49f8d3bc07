/*
 * villas/shm_memory.hpp: raw shared memory, part of <villas/shm.hpp>.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef VILLAS_SHM_MEMORY_HPP
#define VILLAS_SHM_MEMORY_HPP

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <villas/shm_ring.hpp>

namespace villas::shm {

/*
 * Shared memory of one size, /dev/shm/NAME, without any structure of this library. Its users agree
 * on what lies where, and on when each of them may write.
 *
 * The memory is zeroed when it is made, has mode 0600, and stays until it is unlinked. Any thread
 * may use the memory. open(), close(), moves and the destructor: one thread at a time.
 */
class SharedMemory {
public:
  /* A closed object for memory of `size` bytes. Throws std::overflow_error if that exceeds the
   * largest off_t less 4096. open() refuses a size of 0. */
  SharedMemory(std::string name, std::uint64_t size)
  : name_(std::move(name)), size_(detail::userSize(size, 1))
  {
  }

  /* Moves take the mapping along and leave `other` closed. */
  SharedMemory(SharedMemory &&other) noexcept
  : name_(std::move(other.name_)), size_(other.size_),
    address_(std::exchange(other.address_, nullptr))
  {
  }
  SharedMemory &operator=(SharedMemory &&other) noexcept
  {
    if (this != &other) {
      close();
      name_ = std::move(other.name_);
      size_ = other.size_;
      address_ = std::exchange(other.address_, nullptr);
    }
    return *this;
  }
  ~SharedMemory() { close(); }

  /*
   * Maps the memory, and makes it if no object has this name.
   *
   * Returns 0, or -1 with lastError:
   * - EALREADY: this object is open.
   * - EPROTO: the object has another size.
   * - EINVAL: the name is empty or too long, or the size is 0.
   * - ENOSPC: /dev/shm has too little room.
   * - EACCES and others: as the system says.
   */
  int open()
  {
    if (opened())
      return detail::fail(EALREADY, "this object is open already: close it first");
    const std::string bare = name_.substr(name_.compare(0, 1, "/") == 0 ? 1 : 0);
    if (bare.empty() || bare == "." || bare == ".." || bare.size() > NAME_MAX ||
        bare.find('/') != std::string::npos)
      return detail::fail(EINVAL, "\"%s\" is no name: 1 to %d bytes without a slash, not . or ..",
                          name_.c_str(), NAME_MAX);
    if (size_ == 0)
      return detail::fail(EINVAL, "the shared memory \"%s\" was asked for with 0 bytes",
                          bare.c_str());
    const int descriptor = find("/dev/shm/" + bare);
    if (descriptor < 0)
      return refused(bare, errno);
    const int result = map(bare, descriptor);
    ::close(descriptor);
    return result;
  }

  /* Whether this object is open. */
  bool opened() const noexcept { return address_ != nullptr; }

  /* Unmaps the memory: addresses in it become invalid. Does nothing to a closed object. */
  void close() noexcept
  {
    if (void *address = std::exchange(address_, nullptr))
      ::munmap(address, size_);
  }

  /* The name, as it was given to the constructor. */
  const std::string &name() const noexcept { return name_; }
  /* The size in bytes, as it was given to the constructor. */
  std::uint64_t size() const noexcept { return size_; }

  /* The address of byte `offset`, valid until close(); nullptr while closed. Throws
   * std::out_of_range if `offset` is size() or more, also while closed. */
  void *get(std::uint64_t offset = 0) { return at(offset); }
  const void *get(std::uint64_t offset = 0) const { return at(offset); }

  /* Removes the name, whatever it leads to, also a ring. Processes that have it open keep it.
   * Returns 0, also if there is no such name, or -1: EINVAL the name is bad; EACCES. */
  static int unlink(const std::string &name) noexcept
  {
    return detail::unlinked(shmem_ring_unlink(name.c_str()));
  }

private:
  /* A descriptor of the object. An object that it makes has its memory and its size before its
   * name. */
  int find(const std::string &path) const
  {
    for (;;) {
      const int there = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
      if (there >= 0 || errno != ENOENT)
        return there;
      const int fresh = ::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
      if (fresh < 0)
        return fresh;
      int error;
      do
        error = ::posix_fallocate(fresh, 0, static_cast<off_t>(size_));
      while (error == EINTR);
      char self[32]; /* no string, which could throw with the descriptor open */
      std::snprintf(self, sizeof self, "/proc/self/fd/%d", fresh);
      if (error == 0 &&
          ::linkat(AT_FDCWD, self, AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0)
        error = errno;
      if (error == 0)
        return fresh;
      ::close(fresh);
      errno = error;
      if (error != EEXIST)
        return -1;
    }
  }

  /* Maps the object. Returns as open() does. */
  int map(const std::string &bare, int descriptor)
  {
    struct stat status;
    if (::fstat(descriptor, &status) != 0)
      return refused(bare, errno);
    if (!S_ISREG(status.st_mode))
      return detail::fail(EPROTO, "/dev/shm/%s is no shared memory object", bare.c_str());
    if (static_cast<std::uint64_t>(status.st_size) != size_)
      return detail::fail(EPROTO, "the shared memory \"%s\" has %lld bytes, %llu were asked for",
                          bare.c_str(), static_cast<long long>(status.st_size),
                          static_cast<unsigned long long>(size_));
    void *address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (address == MAP_FAILED)
      return refused(bare, errno);
    address_ = address;
    return 0;
  }

  /* Keeps what the system said, and returns -1. */
  int refused(const std::string &bare, int number) const noexcept
  {
    return detail::fail(number, "cannot open the shared memory \"%s\" of %llu bytes: %s",
                        bare.c_str(), static_cast<unsigned long long>(size_),
                        shmem_strerror(number));
  }

  void *at(std::uint64_t offset) const
  {
    if (offset >= size_)
      throw std::out_of_range("villas::shm: the offset is beyond the shared memory");
    return address_ ? static_cast<std::byte *>(address_) + offset : nullptr;
  }

  std::string name_;
  std::uint64_t size_;
  void *address_ = nullptr;
};

} /* namespace villas::shm */

#endif
