/* Who may attach, change and remove a segment: as the mode says, less the umask, for both kinds alike. */
#include "check_segment.h"

enum kind { POSIX, SYSV, KINDS };

static char posix_name[64];
static int sysv_key;

static struct shmem_segment *open_kind(enum kind kind, size_t size, unsigned int flags, unsigned int mode)
{
  return kind == POSIX ? shmem_segment_open(posix_name, size, flags, mode)
                       : shmem_segment_sysv(sysv_key, size, flags, mode);
}

static int unlink_kind(enum kind kind)
{
  return kind == POSIX ? shmem_segment_unlink(posix_name) : shmem_segment_unlink_key(sysv_key);
}

static struct shmem_segment *create(enum kind kind, unsigned int mode)
{
  struct shmem_segment *segment;

  CHECK_HANDLE(segment = open_kind(kind, 4096, NEW, mode));
  if (kind == SYSV)
    check_note(shmget(sysv_key, 0, 0));
  return segment;
}

static void destroy(enum kind kind, struct shmem_segment *segment)
{
  CHECK_EQ(unlink_kind(kind), 0);
  check_close(segment);
}

static void the_umask_applies_to_both_kinds_alike(void)
{
  const struct { mode_t mask; unsigned int mode, expected; } cases[] = {
    {0, 0666, 0666}, {022, 0666, 0644}, {077, 0666, 0600}, {027, 0777, 0750}, {0, 0400, 0400}, {0277, 0666, 0400}, {0, 0, 0},
  };

  for (enum kind kind = 0; kind < KINDS; kind++) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      if (kind == SYSV && !(cases[i].expected & 0400) && geteuid() != 0)
        continue; /* nobody but root could look at it */
      mode_t before = umask(cases[i].mask);
      struct shmem_segment *segment = create(kind, cases[i].mode);
      CHECK_EQ(umask(before), cases[i].mask); /* as it was */
      CHECK_EQ(check_stat(segment).permissions, cases[i].expected);
      destroy(kind, segment);
    }
  }
}

static void a_mode_with_more_than_permission_bits_is_refused(void)
{
  for (enum kind kind = 0; kind < KINDS; kind++) {
    CHECK_REFUSED(open_kind(kind, 4096, NEW, 01777), EINVAL);
    CHECK_REFUSED(open_kind(kind, 4096, NEW, (unsigned int)-1), EINVAL);
    struct shmem_segment *segment = create(kind, 0600);
    CHECK_GIVES(shmem_segment_set(segment, 02644, SHMEM_KEEP, SHMEM_KEEP), -1, EINVAL);
    CHECK_EQ(check_stat(segment).permissions, 0600);
    destroy(kind, segment);
  }
}

static void set_changes_mode_and_owner(void)
{
  const unsigned int keep = SHMEM_KEEP;

  for (enum kind kind = 0; kind < KINDS; kind++) {
    struct shmem_segment *segment = create(kind, 0600);
    struct shmem_segment_info before = check_stat(segment), after;
    mode_t mask = umask(077);
    CHECK_EQ(shmem_segment_set(segment, 0666, keep, keep), 0); /* no umask here */
    umask(mask);
    after = check_stat(segment);
    CHECK_EQ(after.permissions, 0666);
    CHECK_EQ(after.uid, before.uid);
    CHECK_EQ(after.gid, before.gid);
    CHECK_EQ(shmem_segment_set(segment, keep, keep, keep), 0);
    CHECK_EQ(check_stat(segment).permissions, 0666);
    if (geteuid() == 0) {
      CHECK_EQ(shmem_segment_set(segment, 0640, NOBODY, 7), 0);
      after = check_stat(segment);
      CHECK_EQ(after.permissions, 0640);
      CHECK_EQ(after.uid, NOBODY);
      CHECK_EQ(after.gid, 7);
      if (kind == SYSV)
        CHECK_EQ(after.creator_uid, 0);
    }
    destroy(kind, segment);
  }
}

/* ---- another user ---------------------------------------------------------------------------- */

struct attempt {
  enum kind kind;
  unsigned int flags;
  int expected; /* errno, 0: the open succeeds */
};

static void try_as_nobody(void *arg)
{
  const struct attempt *attempt = arg;
  struct shmem_segment *segment;

  check_become_nobody();
  if (attempt->expected) {
    CHECK_REFUSED(open_kind(attempt->kind, 0, attempt->flags, 0600), attempt->expected);
    if (attempt->kind == SYSV)
      CHECK_SAYS("shmat");
    return;
  }
  CHECK_HANDLE(segment = open_kind(attempt->kind, 0, attempt->flags, 0600));
  CHECK_EQ(*(char *)shmem_segment_data(segment), 7);
  check_close(segment);
}

static void nobody_gets(enum kind kind, unsigned int flags, int expected)
{
  struct attempt attempt = {kind, flags, expected};

  CHECK_CHILD_ENDS_WELL(check_spawn(try_as_nobody, &attempt), 10);
}

static void the_mode_decides_what_another_user_may(void)
{
  for (enum kind kind = 0; kind < KINDS; kind++) {
    struct shmem_segment *segment = create(kind, 0600);
    *(char *)shmem_segment_data(segment) = 7;
    nobody_gets(kind, 0, EACCES);
    nobody_gets(kind, READ_ONLY, EACCES);
    nobody_gets(kind, CREATE, EACCES);
    CHECK_EQ(shmem_segment_set(segment, 0644, SHMEM_KEEP, SHMEM_KEEP), 0);
    nobody_gets(kind, 0, EACCES);
    nobody_gets(kind, READ_ONLY, 0);
    CHECK_EQ(shmem_segment_set(segment, 0666, SHMEM_KEEP, SHMEM_KEEP), 0);
    nobody_gets(kind, 0, 0);
    nobody_gets(kind, CREATE, 0);
    CHECK_EQ(shmem_segment_set(segment, 0600, NOBODY, SHMEM_KEEP), 0);
    nobody_gets(kind, 0, 0);
    destroy(kind, segment);
  }
}

static void change_as_nobody(void *arg)
{
  enum kind kind = *(enum kind *)arg;
  const unsigned int keep = SHMEM_KEEP;
  struct shmem_segment *segment;

  check_become_nobody();
  CHECK_HANDLE(segment = open_kind(kind, 0, 0, 0));
  CHECK_GIVES(shmem_segment_set(segment, 0600, keep, keep), -1, EPERM);
  CHECK_SAYS(kind == POSIX ? "fchmod" : "IPC_SET");
  CHECK_GIVES(shmem_segment_set(segment, 0600, NOBODY, keep), -1, EPERM);
  CHECK_SAYS(kind == POSIX ? "fchown" : "IPC_SET");
  errno = 0;
  CHECK_EQ(unlink_kind(kind), -1);
  CHECK(errno == EPERM || errno == EACCES); /* as the system says: /dev/shm is sticky */
  check_close(segment);
}

static void another_user_can_neither_change_nor_remove_it(void)
{
  for (enum kind kind = 0; kind < KINDS; kind++) {
    struct shmem_segment *segment = create(kind, 0666);
    CHECK_CHILD_ENDS_WELL(check_spawn(change_as_nobody, &kind), 10);
    struct shmem_segment_info stat = check_stat(segment);
    CHECK_EQ(stat.permissions, 0666);
    CHECK_EQ(stat.uid, 0);
    CHECK_EQ(stat.removed, 0);
    destroy(kind, segment);
  }
}

static void create_as_nobody(void *arg)
{
  enum kind kind = *(enum kind *)arg;
  const unsigned int modes[] = {0400, 0200, 0};

  check_become_nobody();
  for (int i = 0; i < 3; i++) {
    struct shmem_segment *segment = create(kind, modes[i]);
    strcpy(shmem_segment_data(segment), "mine");
    if (kind == POSIX || modes[i] & 0400)
      CHECK_EQ(check_stat(segment).permissions, modes[i]);
    CHECK_REFUSED(open_kind(kind, 0, 0, 0), EACCES); /* a second time the mode decides */
    destroy(kind, segment);
  }
}

static void the_creator_may_write_whatever_the_mode_says(void)
{
  for (enum kind kind = 0; kind < KINDS; kind++)
    CHECK_CHILD_ENDS_WELL(check_spawn(create_as_nobody, &kind), 10);
}

int main(void)
{
  check_begin();
  check_own_ipc();
  umask(0);
  snprintf(posix_name, sizeof posix_name, "%s", check_name("permissions"));
  sysv_key = check_key();
  RUN(the_umask_applies_to_both_kinds_alike);
  RUN(a_mode_with_more_than_permission_bits_is_refused);
  RUN(set_changes_mode_and_owner);
  if (geteuid() != 0)
    check_skip("the rest needs another user: run it as root");
  RUN(the_mode_decides_what_another_user_may);
  RUN(another_user_can_neither_change_nor_remove_it);
  RUN(the_creator_may_write_whatever_the_mode_says);
  return 0;
}
