/* Without /proc: channels, rings and segments with a name work and see deaths, as locks tell who lives. What cannot be done says so. */
#include "check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>

static _Atomic bool *is_hidden;

static bool hide_proc(void)
{
  *is_hidden = unshare(CLONE_NEWNS) == 0 && mount("none", "/", "", MS_REC | MS_PRIVATE, "") == 0 &&
               mount("tmpfs", "/proc", "tmpfs", 0, "size=64k") == 0;
  check_owner = getpid(); /* its names are its own */
  return *is_hidden;
}

/* From now on linkat(2) with AT_EMPTY_PATH fails, as before Linux 6.10 without privileges. */
static void forbid_links_of_descriptors(void)
{
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[4])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AT_EMPTY_PATH, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOENT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

  CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void go(void (*body)(void *))
{
  *is_hidden = false;
  CHECK_CHILD_ENDS_WELL(check_spawn(body, NULL), 30);
  if (!*is_hidden)
    check_skip("/proc cannot be hidden here");
}

/* ---- channels -------------------------------------------------------------------------------- */

static void attach_and_wait(void *name)
{
  struct shmem_shared *shm = shmem_shared_timed_open(name, NULL, PATIENT);

  CHECK_HANDLE(shm);
  check_send(shm, 1, 3);
  for (;;)
    pause();
}

static void see_a_death(void *arg)
{
  struct shmem_conf conf = check_conf(0, 8, 1, 8);
  struct shmem_shared *node;
  struct sample *smp;
  const char *name = check_name("died");
  int n;

  (void)arg;
  if (!hide_proc())
    return;
  for (int i = 0; i < 2; i++) { /* the second one has the place of a dead one */
    pid_t pid;
    CHECK_HANDLE(node = shmem_shared_create(name, &conf));
    pid = check_spawn(attach_and_wait, (void *)name);
    CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
    check_receive(node, 1, 3);
    CHECK_REFUSED(shmem_shared_create(name, &conf), EBUSY);
    CHECK(!strstr(shmem_last_error(), "()"));
    check_kill(pid);
    struct check_deadline deadline = check_within(20);
    while ((n = shmem_shared_read(node, &smp, 1)) == 0)
      CHECK(!check_is_over(&deadline));
    CHECK(n == -1 && errno == EPIPE);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
  }
}

static void the_death_of_a_peer_is_seen(void)
{
  go(see_a_death);
}

/* ---- everything else ------------------------------------------------------------------------- */

static void use_names(void *arg)
{
  const char *name = check_name("named");
  struct shmem_segment *segment;
  struct shmem_ring *in, *out;
  char message[8] = "hello";

  (void)arg;
  if (!hide_proc())
    return;
  CHECK_HANDLE(out = shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, sizeof message, 4));
  CHECK_HANDLE(in = shmem_ring_open(name, SHMEM_MPMC, SHMEM_CONSUMER, sizeof message, 4));
  CHECK_EQ(shmem_ring_push(out, message), 0);
  CHECK_EQ(shmem_ring_timed_pop(in, message, PATIENT), 0);
  CHECK(shmem_ring_close(in) == 0 && shmem_ring_close(out) == 0 && shmem_ring_unlink(name) == 0);
  CHECK_HANDLE(segment = shmem_segment_open(name, 4096, SHMEM_SEGMENT_CREATE, 0600));
  CHECK_EQ(shmem_segment_close(segment), 0);
  CHECK_REFUSED(shmem_segment_open(name, 4096, SHMEM_SEGMENT_CREATE | SHMEM_SEGMENT_EXCLUSIVE, 0600), EEXIST);
  CHECK_EQ(shmem_segment_unlink(name), 0);
}

static void rings_and_segments_work(void)
{
  go(use_names);
}

static void ask_for_more(void *arg)
{
  const char *name = check_name("refused");
  struct shmem_segment *segment;

  (void)arg;
  if (!hide_proc())
    return;
  CHECK_REFUSED(shmem_segment_sysv(SHMEM_SEGMENT_PRIVATE, 4096, SHMEM_SEGMENT_CREATE, 0600), ENOTSUP);
  CHECK(strstr(shmem_last_error(), "without /proc"));
  CHECK_HANDLE(segment = shmem_segment_open(name, 4096, SHMEM_SEGMENT_CREATE, 0600));
  CHECK(shmem_segment_close(segment) == 0 && shmem_segment_unlink(name) == 0);
  forbid_links_of_descriptors();
  CHECK_REFUSED(shmem_shared_create(name, NULL), ENOTSUP);
  CHECK(strstr(shmem_last_error(), "without /proc"));
  CHECK_REFUSED(shmem_ring_open(name, SHMEM_MPMC, SHMEM_PRODUCER, 8, 4), ENOTSUP);
  CHECK_REFUSED(shmem_segment_open(name, 4096, SHMEM_SEGMENT_CREATE, 0600), ENOTSUP);
  CHECK_EQ(access(check_path(name), F_OK), -1);
}

static void what_cannot_be_done_is_refused_at_once(void)
{
  go(ask_for_more);
}

int main(void)
{
  check_begin();
  if (geteuid() != 0)
    check_skip("needs root, to hide /proc");
  if (check_valgrind())
    check_skip("valgrind needs /proc");
  is_hidden = check_shared(sizeof *is_hidden);
  RUN(the_death_of_a_peer_is_seen);
  RUN(rings_and_segments_work);
  RUN(what_cannot_be_done_is_refused_at_once);
  return 0;
}
