/* System V segments, beside programs that call shmget, shmat, shmdt and shmctl themselves. */
#include "check_segment.h"

static void a_segment_of_shmget_is_ours_and_the_other_way_round(void)
{
  int key = check_key();
  struct shmem_segment *segment;

  segment = check_sysv(key, 1000, NEW, 0600);
  CHECK_EQ(shmem_segment_size(segment), 1000);
  strcpy(shmem_segment_data(segment), "ours");
  int id = shmget(key, 1000, 0600);
  CHECK_EQ(id, check_stat(segment).id);
  char *theirs = shmat(id, NULL, 0);
  CHECK(theirs != (void *)-1);
  CHECK(strcmp(theirs, "ours") == 0);
  strcpy(theirs, "theirs");
  CHECK(strcmp(shmem_segment_data(segment), "theirs") == 0);
  CHECK_EQ(shmdt(theirs), 0);
  check_close(segment);
  CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);

  id = shmget(key, 2000, IPC_CREAT | IPC_EXCL | 0600);
  CHECK(id >= 0);
  CHECK_HANDLE(segment = check_noted(shmem_segment_sysv(key, 0, 0, 0)));
  CHECK_EQ(check_stat(segment).id, id);
  CHECK_EQ(shmem_segment_size(segment), 2000);
  check_close(segment);
  CHECK_EQ(shmem_segment_unlink_key(key), 0);
  CHECK_EQ(shmget(key, 0, 0), -1);
}

static void create_opens_what_is_there_and_exclusive_refuses_it(void)
{
  int key = check_key();
  struct shmem_segment *first = check_sysv(key, 64, NEW, 0600), *second;

  *(char *)shmem_segment_data(first) = 7;
  CHECK_REFUSED(shmem_segment_sysv(key, 64, NEW, 0600), EEXIST);
  CHECK_HANDLE(second = shmem_segment_sysv(key, 64, CREATE, 0600));
  CHECK_EQ(*(char *)shmem_segment_data(second), 7);
  check_close(first);
  check_close(second);
  CHECK_EQ(shmem_segment_unlink_key(key), 0);
}

static void missing_segments_are_told(void)
{
  int key = check_key();

  CHECK_REFUSED(shmem_segment_sysv(key, 64, 0, 0), ENOENT);
  CHECK_REFUSED(shmem_segment_attach(0x7fffffff, 0), ENOENT);
  CHECK_SAYS("shmat");
  CHECK_REFUSED(shmem_segment_attach(-1, 0), ENOENT);
  CHECK_GIVES(shmem_segment_unlink_key(key), -1, ENOENT);
  CHECK_SAYS("shmget");
  CHECK_GIVES(shmem_segment_unlink_id(0x7fffffff), -1, ENOENT);
  CHECK_SAYS("shmctl");
}

static void size_0_takes_it_as_it_is_and_a_larger_size_does_not_fit(void)
{
  int key = check_key();
  struct shmem_segment *segment, *again;

  CHECK_REFUSED(shmem_segment_sysv(key, 0, CREATE, 0600), EINVAL);
  segment = check_sysv(key, 5000, NEW, 0600);
  CHECK_HANDLE(again = shmem_segment_sysv(key, 0, 0, 0));
  CHECK_EQ(shmem_segment_size(again), 5000);
  check_close(again);
  CHECK_HANDLE(again = shmem_segment_sysv(key, 4999, 0, 0));
  CHECK_EQ(shmem_segment_size(again), 5000);
  check_close(again);
  CHECK_REFUSED(shmem_segment_sysv(key, 5001, 0, 0), EPROTO);
  CHECK_SAYS("5000");
  CHECK_SAYS("5001");
  CHECK_EQ(check_stat(segment).attached, 1); /* the refused one was detached */
  check_close(segment);
  CHECK_EQ(shmem_segment_unlink_key(key), 0);
}

static void attach_by_id(void *arg)
{
  struct shmem_segment *segment;

  CHECK_HANDLE(segment = shmem_segment_attach(*(int *)arg, 0));
  strcpy(shmem_segment_data(segment), "by its id");
  check_close(segment);
}

static void a_private_segment_is_new_each_time_and_attached_by_its_id(void)
{
  struct shmem_segment *one = check_sysv(SHMEM_SEGMENT_PRIVATE, 64, CREATE, 0600);
  struct shmem_segment *two = check_sysv(IPC_PRIVATE, 64, CREATE, 0600);
  int id = check_stat(one).id;

  CHECK(id != check_stat(two).id);
  CHECK_EQ(check_stat(one).key, 0);
  CHECK_CHILD_ENDS_WELL(check_spawn(attach_by_id, &id), 10);
  CHECK(strcmp(shmem_segment_data(one), "by its id") == 0);
  CHECK_REFUSED(shmem_segment_sysv(IPC_PRIVATE, 64, 0, 0), EINVAL);
  CHECK_GIVES(shmem_segment_unlink_key(IPC_PRIVATE), -1, EINVAL);
  CHECK_REFUSED(shmem_segment_attach(id, CREATE), EINVAL);
  CHECK_EQ(shmem_segment_unlink_id(id), 0);
  CHECK_EQ(shmem_segment_unlink_id(check_stat(two).id), 0);
  check_close(one);
  check_close(two);
  CHECK_REFUSED(shmem_segment_attach(id, 0), ENOENT);
}

static void a_removed_segment_goes_with_its_last_user(void)
{
  int key = check_key();
  struct shmem_segment *old = check_sysv(key, 64, NEW, 0600), *fresh;
  struct shmid_ds ds;
  int id = check_stat(old).id;

  strcpy(shmem_segment_data(old), "old");
  CHECK_EQ(shmem_segment_unlink_key(key), 0);
  CHECK_EQ(check_stat(old).removed, 1);
  CHECK_EQ(check_stat(old).key, 0);
  fresh = check_sysv(key, 64, NEW, 0600); /* the key is free at once */
  CHECK_EQ(*(char *)shmem_segment_data(fresh), 0);
  CHECK(strcmp(shmem_segment_data(old), "old") == 0);
  CHECK_EQ(shmctl(id, IPC_STAT, &ds), 0);
  check_close(old);
  CHECK_EQ(shmctl(id, IPC_STAT, &ds), -1);
  CHECK_EQ(shmem_segment_unlink_id(check_stat(fresh).id), 0);
  check_close(fresh);
}

static void a_read_only_segment_can_be_read_and_not_written(void)
{
  int key = check_key();
  struct shmem_segment *segment = check_sysv(key, 64, NEW, 0600), *reader, *fresh;

  CHECK_HANDLE(reader = shmem_segment_sysv(key, 0, READ_ONLY, 0));
  strcpy(shmem_segment_data(segment), "hello");
  CHECK(strcmp(shmem_segment_data(reader), "hello") == 0);
  check_dies_by(SIGSEGV, check_write_there, shmem_segment_data(reader));
  check_close(segment);
  check_close(reader);
  CHECK_EQ(shmem_segment_unlink_key(key), 0);

  fresh = check_sysv(key, 64, NEW | READ_ONLY, 0600);
  CHECK_EQ(check_stat(fresh).attached, 1);
  CHECK_EQ(*(char *)shmem_segment_data(fresh), 0);
  check_dies_by(SIGSEGV, check_write_there, shmem_segment_data(fresh));
  CHECK_EQ(shmem_segment_unlink_key(key), 0);
  check_close(fresh);
}

static void use_inherited(void *segment)
{
  strcpy(shmem_segment_data(segment), "from the child");
  check_close(segment);
}

static void a_forked_child_inherits_it_and_closes_its_own(void)
{
  struct shmem_segment *segment = check_sysv(IPC_PRIVATE, 64, CREATE, 0600);

  CHECK_CHILD_ENDS_WELL(check_spawn(use_inherited, segment), 10);
  CHECK(strcmp(shmem_segment_data(segment), "from the child") == 0);
  CHECK_EQ(check_stat(segment).attached, 1);
  CHECK_EQ(shmem_segment_unlink_id(check_stat(segment).id), 0);
  check_close(segment);
}

static void create_often(void *arg)
{
  int key = *(int *)arg;

  for (uint64_t i = check_scaled(500); i > 0; i--) {
    struct shmem_segment *segment;
    CHECK_HANDLE(segment = shmem_segment_sysv(key, 4096, CREATE, 0600));
    CHECK_EQ(shmem_segment_size(segment), 4096);
    CHECK_EQ(shmem_segment_close(segment), 0);
    if (shmem_segment_unlink_key(key) != 0)
      CHECK_EQ(errno, ENOENT);
  }
}

static void processes_that_create_the_same_key_at_once_all_get_one(void)
{
  int key = check_key();
  pid_t pids[4];

  for (int i = 0; i < 4; i++)
    pids[i] = check_spawn(create_often, &key);
  for (int i = 0; i < 4; i++)
    CHECK_CHILD_ENDS_WELL(pids[i], 30);
  CHECK_EQ(shmget(key, 0, 0), -1);
}

static void the_memory_is_there_before_it_is_touched(void)
{
  enum { SIZE = 1 << 20, PAGES = SIZE / 4096 };
  struct shmem_segment *segment = check_sysv(IPC_PRIVATE, SIZE, CREATE, 0600);
  static unsigned char resident[PAGES];
  char *data = shmem_segment_data(segment);

  CHECK_EQ(shmem_segment_unlink_id(check_stat(segment).id), 0);
  /* Where the kernel is older than 5.14 that cannot be had. */
  bool can = madvise(data, 4096, 23 /* MADV_POPULATE_WRITE */) == 0;
  CHECK_EQ(mincore(data, SIZE, resident), 0);
  for (int i = 0; can && i < PAGES; i++)
    CHECK(resident[i] & 1);
  check_close(segment);
}

int main(void)
{
  check_begin();
  check_own_ipc();
  RUN(a_segment_of_shmget_is_ours_and_the_other_way_round);
  RUN(create_opens_what_is_there_and_exclusive_refuses_it);
  RUN(missing_segments_are_told);
  RUN(size_0_takes_it_as_it_is_and_a_larger_size_does_not_fit);
  RUN(a_private_segment_is_new_each_time_and_attached_by_its_id);
  RUN(a_removed_segment_goes_with_its_last_user);
  RUN(a_read_only_segment_can_be_read_and_not_written);
  RUN(a_forked_child_inherits_it_and_closes_its_own);
  RUN(processes_that_create_the_same_key_at_once_all_get_one);
  RUN(the_memory_is_there_before_it_is_touched);
  return 0;
}
