/* What the tests of segments share. Include it in place of check.h. System V segments outlive their processes, so none
 * may be left behind: where that is permitted the test runs in an IPC namespace of its own, which takes its
 * segments with it, and in any case those that were noted are removed at the end. */
#ifndef CHECK_SEGMENT_H
#define CHECK_SEGMENT_H

#include "check.h"

#include <grp.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/shm.h>

enum {
  NOBODY = 65534,
  CREATE = SHMEM_SEGMENT_CREATE,
  NEW = SHMEM_SEGMENT_CREATE | SHMEM_SEGMENT_EXCLUSIVE,
  READ_ONLY = SHMEM_SEGMENT_READ_ONLY,
  CHECK_IDS = 64,
};

static int check_ids[CHECK_IDS], check_id_count;

static void check_remove_ids(void)
{
  for (int i = 0; i < check_id_count; i++)
    shmctl(check_ids[i], IPC_RMID, NULL);
}

/* Called after check_begin; false: the namespace is the host's. */
UNUSED static bool check_own_ipc(void)
{
  check_cleanup_more = check_remove_ids;
  return unshare(CLONE_NEWIPC) == 0;
}

/* A key that no segment has. */
UNUSED static int check_key(void)
{
  int key;

  do
    key = (int)(check_mix((uint64_t)getpid() << 32 | check_chance(1u << 31)) & 0x7fffffff) | 1;
  while (shmget(key, 0, 0) != -1);
  return key;
}

UNUSED static struct shmem_segment_info check_stat(struct shmem_segment *segment)
{
  struct shmem_segment_info stat = {.size = sizeof stat};

  CHECK_EQ(shmem_segment_stat(segment, &stat), 0);
  return stat;
}

/* Has the segment removed at the end of the test. */
UNUSED static void check_note(int id)
{
  CHECK(check_id_count < CHECK_IDS);
  check_ids[check_id_count++] = id;
}

UNUSED static struct shmem_segment *check_noted(struct shmem_segment *segment)
{
  if (segment)
    check_note(check_stat(segment).id);
  return segment;
}

UNUSED static struct shmem_segment *check_sysv(int key, size_t size, unsigned int flags,
                                               unsigned int mode)
{
  struct shmem_segment *segment;

  CHECK_HANDLE(segment = check_noted(shmem_segment_sysv(key, size, flags, mode)));
  return segment;
}

/* The sentence of the last error says this. */
#define CHECK_SAYS(word)                                                                          \
  do {                                                                                            \
    if (!strstr(shmem_last_error(), word))                                                        \
      check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", shmem_last_error(), word);     \
  } while (0)

UNUSED static void check_become_nobody(void)
{
  CHECK_EQ(setgroups(0, NULL), 0);
  CHECK_EQ(setresgid(NOBODY, NOBODY, NOBODY), 0);
  CHECK_EQ(setresuid(NOBODY, NOBODY, NOBODY), 0);
}

UNUSED static void check_close(struct shmem_segment *segment)
{
  CHECK_EQ(shmem_segment_close(segment), 0);
}

/* The body ends by this signal. */
UNUSED static void check_dies_by(int signal_number, void (*body)(void *), void *arg)
{
  int status = check_wait(check_spawn(body, arg), 10);

  CHECK(WIFSIGNALED(status));
  CHECK_EQ(WTERMSIG(status), signal_number);
}

UNUSED static void check_write_there(void *memory)
{
  prctl(PR_SET_DUMPABLE, 0);
  *(volatile char *)memory = 1;
}

#endif
