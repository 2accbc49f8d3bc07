/* System calls of the library that fail on demand: this program's own functions of these names
 * stand before the C library's. Include it in place of check.h. While a thread is armed, its calls
 * count; one of them fails with an errno that such a call can have, or it and all later ones of the
 * same function do. */
#ifndef FAILING_H
#define FAILING_H

#include "check.h"

#include <dlfcn.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

enum { FAILING_ERRNOS = 6 };

/* Only what a caller cannot wait out is here: not EAGAIN of fcntl and open, where somebody else has
 * a lock or a lease. What cannot fail on an open descriptor of a memory file (fstat, close) does
 * not; nor do those fail that give back (munmap, unlink). */
static const struct failing {
  const char *function;
  int errnos[FAILING_ERRNOS]; /* up to the first 0 */
} failing_table[] = {
    {"open", {EMFILE, ENFILE, ENOMEM, EPERM, EACCES}},
    {"fcntl", {ENOLCK, ENOMEM, EINVAL}},
    {"stat", {ENOMEM, EACCES}},
    {"fstatvfs", {ENOMEM, EIO}},
    {"ftruncate", {ENOMEM, EPERM}},
    {"posix_fallocate", {ENOSPC, ENOMEM, EFBIG}},
    {"linkat", {ENOSPC, ENOMEM, EPERM}},
    {"mmap", {ENOMEM, EAGAIN, EPERM, ENFILE}},
    {"madvise", {ENOMEM, EAGAIN}},
    {"mlock", {ENOMEM, EAGAIN, EPERM}},
    {"fchmod", {EPERM}},
    {"read", {EIO, ENOMEM}},
    {"nanosleep", {EINTR}},
    {"shmget", {ENOMEM, ENOSPC, EACCES}},
    {"shmat", {ENOMEM, EACCES, EMFILE}},
    {"shmctl", {ENOMEM, EPERM}},
    {"syscall", {ENOSYS, EMFILE, ENOMEM}},
};

static _Thread_local struct {
  bool is_armed, for_ever;
  int count, at, variant;
  const struct failing *hit; /* NULL: none has failed so far */
  int error;
} failing;

/* A function that is not made to fail for ever; NULL: all are. */
static const char *failing_recovers;

/* The n-th call from now on (from 1) fails with the errno of this number in its list. */
UNUSED static void failing_arm(int n, int variant, bool for_ever)
{
  memset(&failing, 0, sizeof failing);
  failing.at = n;
  failing.variant = variant;
  failing.for_ever = for_ever;
  failing.is_armed = true;
}

UNUSED static int failing_variants(void)
{
  int count = 0;

  while (count < FAILING_ERRNOS && failing.hit->errnos[count])
    count++;
  return count;
}

/* The errno with which this call fails; 0: it does not. */
static int failing_errno(const char *function)
{
  if (!failing.is_armed)
    return 0;
  failing.count++;
  if (failing.hit)
    return failing.for_ever && strcmp(function, failing.hit->function) == 0 ? failing.error : 0;
  if (failing.count != failing.at)
    return 0;
  if (failing.for_ever && failing_recovers && strcmp(function, failing_recovers) == 0)
    return 0;
  for (size_t i = 0; i < sizeof failing_table / sizeof *failing_table; i++) {
    if (strcmp(function, failing_table[i].function) == 0) {
      failing.hit = &failing_table[i];
      failing.error = failing.hit->errnos[failing.variant];
      return failing.error;
    }
  }
  return 0;
}

/* Bytes that the library has mapped and not unmapped, by any thread. */
static _Atomic long failing_mapped;

static size_t failing_pages(size_t length)
{
  return (length + 4095) & ~(size_t)4095;
}

/* The C library's function of this name. */
static void *failing_real(const char *name)
{
  void *found = dlsym(RTLD_NEXT, name);

  if (!found)
    _exit(99);
  return found;
}

/* Goes on to the C library's function, or fails. */
#define FAILING(function, name, type, failure, ...)                                               \
  do {                                                                                            \
    static type real;                                                                             \
    int error = failing_errno(function);                                                          \
    if (error) {                                                                                  \
      errno = error;                                                                              \
      return failure;                                                                             \
    }                                                                                             \
    if (!real)                                                                                    \
      *(void **)&real = failing_real(name);                                                       \
    return real(__VA_ARGS__);                                                                     \
  } while (0)

static int failing_tmpfile; /* what a file system says that does not know it; 0: it does */

typedef int (*failing_open_type)(const char *, int, mode_t);
typedef int (*failing_fcntl_type)(int, int, long);
typedef int (*failing_stat_type)(const char *, struct stat *);
typedef int (*failing_stat64_type)(const char *, struct stat64 *);
typedef int (*failing_statvfs_type)(int, struct statvfs *);
typedef int (*failing_ftruncate_type)(int, off_t);
typedef int (*failing_fallocate_type)(int, off_t, off_t);
typedef int (*failing_linkat_type)(int, const char *, int, const char *, int);
typedef void *(*failing_mmap_type)(void *, size_t, int, int, int, off_t);
typedef int (*failing_munmap_type)(void *, size_t);
typedef int (*failing_madvise_type)(void *, size_t, int);
typedef int (*failing_mlock_type)(const void *, size_t);
typedef int (*failing_fchmod_type)(int, mode_t);
typedef ssize_t (*failing_read_type)(int, void *, size_t);
typedef ssize_t (*failing_pread_type)(int, void *, size_t, off_t);
typedef int (*failing_nanosleep_type)(const struct timespec *, struct timespec *);
typedef int (*failing_shmget_type)(key_t, size_t, int);
typedef void *(*failing_shmat_type)(int, const void *, int);
typedef int (*failing_shmctl_type)(int, int, struct shmid_ds *);
typedef long (*failing_syscall_type)(long, long, long, long, long, long, long);

#define FAILING_OPEN(name)                                                                        \
  int name(const char *path, int flags, ...)                                                      \
  {                                                                                               \
    va_list args;                                                                                 \
    va_start(args, flags);                                                                        \
    mode_t mode = (mode_t)va_arg(args, int); /* there or not: only passed on */                   \
    va_end(args);                                                                                 \
    if (failing_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {                                    \
      errno = failing_tmpfile;                                                                    \
      return -1;                                                                                  \
    }                                                                                             \
    FAILING("open", #name, failing_open_type, -1, path, flags, mode);                             \
  }

FAILING_OPEN(open)
FAILING_OPEN(open64)

int fcntl(int fd, int command, ...)
{
  va_list args;

  va_start(args, command);
  long argument = va_arg(args, long);
  va_end(args);
  FAILING("fcntl", "fcntl", failing_fcntl_type, -1, fd, command, argument);
}

int lstat(const char *path, struct stat *status)
{
  FAILING("stat", "lstat", failing_stat_type, -1, path, status);
}

int stat(const char *path, struct stat *status)
{
  FAILING("stat", "stat", failing_stat_type, -1, path, status);
}

int stat64(const char *path, struct stat64 *status)
{
  FAILING("stat", "stat64", failing_stat64_type, -1, path, status);
}

int fstatvfs(int fd, struct statvfs *status)
{
  FAILING("fstatvfs", "fstatvfs", failing_statvfs_type, -1, fd, status);
}

int ftruncate(int fd, off_t length)
{
  FAILING("ftruncate", "ftruncate", failing_ftruncate_type, -1, fd, length);
}

/* It returns the errno. */
int posix_fallocate(int fd, off_t offset, off_t length)
{
  int error = failing_errno("posix_fallocate");
  failing_fallocate_type real;

  if (error)
    return error;
  *(void **)&real = failing_real("posix_fallocate");
  return real(fd, offset, length);
}

int linkat(int from, const char *path, int to, const char *name, int flags)
{
  FAILING("linkat", "linkat", failing_linkat_type, -1, from, path, to, name, flags);
}

#define FAILING_MMAP(name)                                                                        \
  static void *failing_##name(void *at, size_t length, int access, int flags, int fd, off_t offset) \
  {                                                                                               \
    FAILING("mmap", #name, failing_mmap_type, MAP_FAILED, at, length, access, flags, fd, offset); \
  }                                                                                               \
  void *name(void *at, size_t length, int access, int flags, int fd, off_t offset)                \
  {                                                                                               \
    void *mapped = failing_##name(at, length, access, flags, fd, offset);                         \
    if (mapped != MAP_FAILED && !(flags & MAP_FIXED)) /* else it takes the place of what is counted */ \
      failing_mapped += (long)failing_pages(length);                                              \
    return mapped;                                                                                \
  }

FAILING_MMAP(mmap)
FAILING_MMAP(mmap64)

int munmap(void *at, size_t length)
{
  failing_munmap_type real;

  *(void **)&real = failing_real("munmap");
  failing_mapped -= (long)failing_pages(length);
  return real(at, length);
}

int madvise(void *at, size_t length, int advice)
{
  FAILING("madvise", "madvise", failing_madvise_type, -1, at, length, advice);
}

int mlock(const void *at, size_t length)
{
  FAILING("mlock", "mlock", failing_mlock_type, -1, at, length);
}

int fchmod(int fd, mode_t mode)
{
  FAILING("fchmod", "fchmod", failing_fchmod_type, -1, fd, mode);
}

ssize_t read(int fd, void *to, size_t count)
{
  FAILING("read", "read", failing_read_type, -1, fd, to, count);
}

ssize_t pread(int fd, void *to, size_t count, off_t offset)
{
  FAILING("read", "pread", failing_pread_type, -1, fd, to, count, offset);
}

ssize_t pread64(int fd, void *to, size_t count, off_t offset)
{
  FAILING("read", "pread64", failing_pread_type, -1, fd, to, count, offset);
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
  FAILING("nanosleep", "nanosleep", failing_nanosleep_type, -1, time, left);
}

int shmget(key_t key, size_t size, int flags)
{
  FAILING("shmget", "shmget", failing_shmget_type, -1, key, size, flags);
}

void *shmat(int id, const void *at, int flags)
{
  FAILING("shmat", "shmat", failing_shmat_type, (void *)-1, id, at, flags);
}

int shmctl(int id, int command, struct shmid_ds *status)
{
  FAILING("shmctl", "shmctl", failing_shmctl_type, -1, id, command, status);
}

/* Six arguments, there or not: only passed on. A futex is not meant to fail. */
long syscall(long number, ...)
{
  va_list args;
  long a[6];

  va_start(args, number);
  for (int i = 0; i < 6; i++)
    a[i] = va_arg(args, long);
  va_end(args);
  FAILING(number == SYS_futex ? "futex" : "syscall", "syscall", failing_syscall_type, -1, number, a[0], a[1], a[2], a[3], a[4],
          a[5]);
}

#endif
