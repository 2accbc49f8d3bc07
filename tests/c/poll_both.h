/* What the tests of the life of descriptors to poll share: both ends in one process, deaths, the library's helper threads. */
#ifndef POLL_BOTH_H
#define POLL_BOTH_H

#include "poll_ends.h"

enum { SETS = 3 };
UNUSED static const enum poll_kind set_kinds[SETS] = {POLL_OWN, POLL_WIRE, POLL_MPMC};

/* In a child: it names objects of its own, and removes only those. */
UNUSED static void own_names(void)
{
  check_owner = getpid();
  check_name_count = 0;
}

/* Calls `look` with the number of each helper thread whose name begins so; gives how many there are. A thread names itself. */
UNUSED static int for_each_helper(const char *called, void (*look)(pid_t))
{
  DIR *tasks = opendir("/proc/self/task");
  int count = 0;

  CHECK(tasks);
  for (struct dirent *entry; (entry = readdir(tasks));) {
    char path[300], name[32] = "";
    if (entry->d_name[0] == '.')
      continue;
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd < 0 || (read(fd, name, sizeof name - 1) >= -1 && close(fd) == 0)); /* it may have ended */
    if (strncmp(name, called, strlen(called)) != 0)
      continue;
    count++;
    if (look)
      look((pid_t)atoi(entry->d_name));
  }
  CHECK_EQ(closedir(tasks), 0);
  return count;
}

UNUSED static pid_t a_helper;

UNUSED static void note_helper(pid_t tid)
{
  a_helper = tid;
}

/* A line of a helper's status, as a number. */
UNUSED static unsigned long long status_of(pid_t tid, const char *field, int base)
{
  char path[64], text[4096];

  snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0);
  const ssize_t size = read(fd, text, sizeof text - 1);
  CHECK(size > 0);
  CHECK_EQ(close(fd), 0);
  text[size] = '\0';
  const char *line = strstr(text, field);
  CHECK(line);
  return strtoull(line + strlen(field), NULL, base);
}

/* ---- both ends in this process --------------------------------------------------------------- */

struct both {
  struct poll_place place;
  struct poll_end giver, taker;
  int reads, writes;
  uint64_t next;
};

UNUSED static void open_place(struct both *both)
{
  poll_open_both(&both->giver, &both->taker, &both->place);
  both->reads = poll_fd(&both->taker, SHMEM_FD_READ);
  both->writes = poll_fd(&both->giver, SHMEM_FD_WRITE);
  both->next = 1;
}

UNUSED static void open_both(struct both *both, enum poll_kind kind)
{
  *both = (struct both){.place = poll_new_place(kind, 4)};
  open_place(both);
}

UNUSED static void close_both(struct both *both)
{
  poll_close_both(&both->giver, &both->taker);
}

/* A number crosses, led by events. */
UNUSED static void cross(struct both *both)
{
  uint64_t number;

  poll_rests_empty(&both->taker, both->reads);
  do
    poll_await(both->writes);
  while (poll_give(&both->giver, both->next) == 0);
  do
    poll_await(both->reads);
  while (poll_take(&both->taker, &number, 1) == 0);
  CHECK_EQ(number, both->next++);
}

UNUSED static void live_until_killed(void *place)
{
  struct poll_end taker;

  poll_open(&taker, place, false);
  for (;;)
    pause();
}

/* A peer of this end comes, and dies: an event tells. */
UNUSED static void see_a_death(void)
{
  struct poll_place place = poll_new_place(POLL_OWN, 4);
  struct poll_end giver;
  uint64_t number;

  poll_open(&giver, &place, true);
  pid_t pid = check_spawn(live_until_killed, &place);
  CHECK_EQ(shmem_shared_wait(giver.shm, PATIENT), 0);
  const int reads = poll_fd(&giver, SHMEM_FD_READ);
  poll_rests_empty(&giver, reads);
  check_kill(pid);
  do
    poll_await(reads);
  while (poll_take(&giver, &number, 1) == 0);
  CHECK_EQ(errno, EPIPE);
  poll_close(&giver);
  CHECK_EQ(shmem_shared_unlink(place.names[0]), 0);
}

#endif
