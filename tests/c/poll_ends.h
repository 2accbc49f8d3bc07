/* What the tests of descriptors to poll share, besides wire.h, which it includes: one kind of end for channels, rings and endpoints,
 * which gives or takes numbers and never waits, and epoll with a deadline, as a lost event shows as a wait that does not end. */
#ifndef POLL_ENDS_H
#define POLL_ENDS_H

#include "wire.h"

#include <dirent.h>
#include <poll.h>
#include <sys/epoll.h>

enum poll_kind { POLL_OWN, POLL_OWN_POLLING, POLL_WIRE, POLL_SPSC, POLL_MPSC, POLL_MPMC, POLL_ENDPOINT, POLL_KINDS };
enum { POLL_BATCH = 16 };

static const char *const poll_words[POLL_KINDS] = {"own", "own-polling", "wire", "spsc", "mpsc", "mpmc", "endpoint"};

/* Where two ends meet. */
struct poll_place {
  enum poll_kind kind;
  int length;
  const char *names[2];
};

struct poll_end {
  const struct poll_place *place;
  struct shmem_shared *shm;
  struct shmem_int wire;
  struct shmem_ring *ring;
  struct shmem_endpoint *endpoint;
};

UNUSED static struct poll_place poll_new_place(enum poll_kind kind, int length)
{
  struct poll_place place = {.kind = kind, .length = length, .names = {wire_name(poll_words[kind]), NULL}};

  if (kind == POLL_WIRE)
    place.names[1] = wire_name("wire");
  if (kind == POLL_ENDPOINT) {
    CHECK(check_name_count + 2 <= CHECK_NAMES);
    snprintf(check_names[check_name_count++], CHECK_NAME_SIZE, "%s_AB", place.names[0]);
    snprintf(check_names[check_name_count++], CHECK_NAME_SIZE, "%s_BA", place.names[0]);
  }
  return place;
}

/* The giver of a channel is its node, which comes first; in VILLASnode's layout both wait for each other. */
UNUSED static void poll_open(struct poll_end *end, const struct poll_place *place, bool gives)
{
  static const int policies[POLL_KINDS] = {[POLL_SPSC] = SHMEM_SPSC, [POLL_MPSC] = SHMEM_MPSC, [POLL_MPMC] = SHMEM_MPMC};
  struct shmem_conf conf = check_conf(place->kind == POLL_OWN_POLLING, place->length, 1, 0);

  *end = (struct poll_end){.place = place};
  switch (place->kind) {
  case POLL_OWN:
  case POLL_OWN_POLLING:
    CHECK_HANDLE(end->shm = gives ? shmem_shared_create(place->names[0], &conf) : shmem_shared_timed_open(place->names[0], NULL, PATIENT));
    break;
  case POLL_WIRE:
    if (shmem_int_timed_open(place->names[!gives], place->names[gives], &end->wire, &conf, PATIENT) != 0)
      check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
    break;
  case POLL_ENDPOINT:
    CHECK_HANDLE(end->endpoint = shmem_endpoint_open(place->names[0], SHMEM_SPSC, gives ? SHMEM_SIDE_A : SHMEM_SIDE_B, 8,
                                                     (size_t)place->length));
    break;
  default:
    CHECK_HANDLE(end->ring = shmem_ring_open(place->names[0], policies[place->kind], gives ? SHMEM_PRODUCER : SHMEM_CONSUMER, 8,
                                             (size_t)place->length));
  }
}

struct poll_opening {
  struct poll_end *end;
  const struct poll_place *place;
};

UNUSED static void *poll_open_taker(void *arg)
{
  struct poll_opening *opening = arg;

  poll_open(opening->end, opening->place, false);
  return NULL;
}

/* Both ends in this process. */
UNUSED static void poll_open_both(struct poll_end *giver, struct poll_end *taker, const struct poll_place *place)
{
  struct poll_opening opening = {taker, place};
  pthread_t thread;

  if (place->kind != POLL_WIRE) {
    poll_open(giver, place, true);
    poll_open(taker, place, false);
    return;
  }
  CHECK_EQ(pthread_create(&thread, NULL, poll_open_taker, &opening), 0);
  poll_open(giver, place, true);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

UNUSED static void poll_close(struct poll_end *end)
{
  if (end->shm)
    CHECK_EQ(shmem_shared_close(end->shm, NULL), 0);
  else if (end->ring)
    CHECK_EQ(shmem_ring_close(end->ring), 0);
  else if (end->endpoint)
    CHECK_EQ(shmem_endpoint_close(end->endpoint), 0);
  else
    CHECK_EQ(shmem_int_close(&end->wire), 0);
}

UNUSED static void poll_close_both(struct poll_end *giver, struct poll_end *taker)
{
  const struct poll_place *place = giver->place;

  poll_close(giver);
  poll_close(taker);
  if (place->kind == POLL_ENDPOINT)
    CHECK_EQ(shmem_endpoint_unlink(place->names[0]), 0);
  else if (place->kind != POLL_WIRE)
    CHECK_EQ(shmem_shared_unlink(place->names[0]), 0);
}

static int poll_try_fd(struct poll_end *end, int which)
{
  return end->shm        ? shmem_shared_fd(end->shm, which)
         : end->ring     ? shmem_ring_fd(end->ring)
         : end->endpoint ? shmem_endpoint_fd(end->endpoint, which)
                         : shmem_int_fd(&end->wire, which);
}

UNUSED static int poll_fd(struct poll_end *end, int which)
{
  const int fd = poll_try_fd(end, which);

  if (fd < 0)
    check_fail(__FILE__, __LINE__, "%s: no descriptor: \"%s\"", poll_words[end->place->kind], shmem_last_error());
  return fd;
}

/* Gives a number. 1: given; 0: no room; -1: the end. */
UNUSED static int poll_give(struct poll_end *end, uint64_t number)
{
  struct sample *smp = NULL;
  int got;

  errno = 0;
  if (end->ring || end->endpoint) {
    got = end->ring ? shmem_ring_try_push(end->ring, &number) : shmem_endpoint_try_send(end->endpoint, &number);
    return got == 0 ? 1 : errno == EAGAIN ? 0 : -1;
  }
  got = end->shm ? sample_alloc(&end->shm->pool, &smp, 1) : shmem_int_alloc(&end->wire, &smp, 1);
  if (got == 1) {
    smp->sequence = number;
    smp->length = 1;
    smp->flags = SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_DATA;
    smp->data[0].i = (int64_t)check_mix(number);
    got = end->shm ? shmem_shared_write(end->shm, &smp, 1) : shmem_int_write(&end->wire, &smp, 1);
    const int err = errno;
    if (got != 1)
      CHECK(sample_put(smp) >= 0);
    errno = err;
  }
  if (got == 0)
    CHECK_EQ(errno, EAGAIN);
  return got;
}

/* Takes up to this many numbers. 0: there is none; -1: the end. */
UNUSED static int poll_take(struct poll_end *end, uint64_t *numbers, unsigned int most)
{
  struct sample *smps[POLL_BATCH];
  int got;

  CHECK(most <= POLL_BATCH);
  errno = 0;
  if (end->ring || end->endpoint) {
    got = end->ring ? shmem_ring_pop_many(end->ring, numbers, most) : shmem_endpoint_receive_many(end->endpoint, numbers, most);
  } else {
    got = end->shm ? shmem_shared_try_read(end->shm, smps, most) : shmem_int_try_read(&end->wire, smps, most);
    for (int i = 0; i < got; i++) {
      numbers[i] = smps[i]->sequence;
      check_is(smps[i], numbers[i]);
      CHECK_EQ(sample_put(smps[i]), 0);
    }
  }
  if (got == 0)
    CHECK_EQ(errno, EAGAIN);
  return got;
}

/* ---- events ---------------------------------------------------------------------------------- */

UNUSED static bool poll_is_readable(int fd)
{
  struct pollfd polled = {.fd = fd, .events = POLLIN};

  CHECK(poll(&polled, 1, 0) >= 0);
  CHECK((polled.revents & ~POLLIN) == 0);
  return polled.revents;
}

UNUSED static int poll_set(void)
{
  int set = epoll_create1(EPOLL_CLOEXEC);

  CHECK(set >= 0);
  return set;
}

UNUSED static void poll_add(int set, int fd, uint32_t tag)
{
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};

  CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
}

/* Waits for events. None within ten seconds of this process's time is a lost one. Gives how many. */
UNUSED static int poll_await_many(int set, struct epoll_event *events, int most)
{
  struct check_deadline deadline = check_within(10);
  int got;

  while ((got = epoll_wait(set, events, most, 5)) <= 0) {
    CHECK(got == 0 || errno == EINTR); /* it was stopped */
    if (check_is_over(&deadline))
      check_fail(__FILE__, __LINE__, "no event");
  }
  return got;
}

UNUSED static void poll_await(int fd)
{
  WAIT_UNTIL(poll_is_readable(fd), 10);
}

/* The end finds nothing, and its descriptor rests. What was raised meanwhile by chance goes, too. */
UNUSED static void poll_rests_empty(struct poll_end *end, int fd)
{
  uint64_t number;

  WAIT_UNTIL(poll_take(end, &number, 1) == 0 && !poll_is_readable(fd), 10);
}

/* Gives numbers from *next on, until there is no room and the descriptor rests. */
UNUSED static void poll_rests_full(struct poll_end *end, int fd, uint64_t *next)
{
  struct check_deadline deadline = check_within(10);

  for (;;) {
    const int given = poll_give(end, *next);
    CHECK(given >= 0);
    if (given == 0 && !poll_is_readable(fd))
      return;
    *next += (uint64_t)given;
    if (given == 0) {
      CHECK(!check_is_over(&deadline));
      check_pause();
    }
  }
}

/* ---- what a process has ---------------------------------------------------------------------- */

UNUSED static int poll_count_threads(void)
{
  DIR *entries = opendir("/proc/self/task");
  int count = 0;

  CHECK(entries);
  for (struct dirent *entry; (entry = readdir(entries));)
    count += entry->d_name[0] != '.';
  CHECK_EQ(closedir(entries), 0);
  return count;
}

/* Whether one thread can wait for many words; valgrind and qemu do not know how. */
UNUSED static bool poll_has_futex_waitv(void)
{
  enum { FUTEX_WAITV = 449 };

  return syscall(FUTEX_WAITV, NULL, 0, 0, NULL, 0) == 0 || errno != ENOSYS;
}

/* Descriptors whose target has this word, or (NULL) all but pidfds, which come and go by themselves, with the one that looks. */
UNUSED static int poll_count_descriptors(const char *word)
{
  DIR *entries = opendir("/proc/self/fd");
  char path[300], target[256];
  int count = 0;

  CHECK(entries);
  for (struct dirent *entry; (entry = readdir(entries));) {
    snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
    const ssize_t size = readlink(path, target, sizeof target - 1);
    if (entry->d_name[0] == '.' || size < 0)
      continue;
    target[size] = '\0';
    count += word ? strstr(target, word) != NULL : !strstr(target, "pidfd");
  }
  CHECK_EQ(closedir(entries), 0);
  return count;
}

#endif
