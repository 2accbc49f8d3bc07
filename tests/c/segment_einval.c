/* Whatever pointer, name, flag or size comes, the answer is EINVAL and a sentence. */
#include "check_segment.h"

static void bad_names_flags_and_sizes_are_refused(void)
{
  char long_name[300];

  memset(long_name, 'x', sizeof long_name - 1);
  long_name[sizeof long_name - 1] = '\0';
  const char *names[] = {NULL, "", "/", "//", "a/b", "//a/b", "a//", ".", "..", long_name};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    CHECK_REFUSED(shmem_segment_open(names[i], 64, CREATE, 0600), EINVAL);
    CHECK_GIVES(shmem_segment_unlink(names[i]), -1, EINVAL);
  }
  const char *name = check_name("einval");
  CHECK_REFUSED(shmem_segment_open(name, 64, 8 | CREATE, 0600), EINVAL);
  CHECK_REFUSED(shmem_segment_open(name, 64, SHMEM_SEGMENT_EXCLUSIVE, 0600), EINVAL);
  CHECK_REFUSED(shmem_segment_open(name, SIZE_MAX, CREATE, 0600), EINVAL);
  CHECK_REFUSED(shmem_segment_sysv(check_key(), SIZE_MAX, CREATE, 0600), EINVAL);
  CHECK_REFUSED(shmem_segment_sysv(check_key(), 64, 8 | CREATE, 0600), EINVAL);
  CHECK_REFUSED(shmem_segment_attach(0, 8), EINVAL);
  CHECK_EQ(access(check_path(name), F_OK), -1);
}

static void no_pointer_but_that_of_an_open_segment_is_taken(void)
{
  struct shmem_segment *closed;
  struct shmem_segment_info stat = {.size = sizeof stat};
  int on_the_stack = 0;

  CHECK_HANDLE(closed = shmem_segment_open(check_name("closed"), 64, NEW, 0600));
  void *data = shmem_segment_data(closed);
  CHECK_EQ(shmem_segment_close(closed), 0);
  void *pointers[] = {NULL, closed, data, &on_the_stack, (char *)closed + 1, (void *)8};
  for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
    struct shmem_segment *segment = pointers[i];
    CHECK_REFUSED(shmem_segment_data(segment), EINVAL);
    CHECK_GIVES(shmem_segment_size(segment), 0, EINVAL);
    CHECK_GIVES(shmem_segment_stat(segment, &stat), -1, EINVAL);
    CHECK_GIVES(shmem_segment_set(segment, 0600, SHMEM_KEEP, SHMEM_KEEP), -1, EINVAL);
    CHECK_GIVES(shmem_segment_close(segment), -1, EINVAL);
  }
}

static void a_stat_struct_of_another_size_is_not_written_beyond(void)
{
  struct { struct shmem_segment_info stat; char more[64]; } larger;
  struct shmem_segment *segment;

  CHECK_HANDLE(segment = shmem_segment_open(check_name("stat"), 64, NEW, 0600));
  CHECK_GIVES(shmem_segment_stat(segment, NULL), -1, EINVAL);
  larger.stat.size = sizeof larger.stat - 1;
  CHECK_GIVES(shmem_segment_stat(segment, &larger.stat), -1, EINVAL);
  memset(&larger, 0x55, sizeof larger);
  larger.stat.size = sizeof larger; /* a program of a later version */
  CHECK_EQ(shmem_segment_stat(segment, &larger.stat), 0);
  CHECK_EQ(larger.stat.size, sizeof larger.stat);
  CHECK_EQ(larger.stat.bytes, 64);
  for (size_t i = 0; i < sizeof larger.more; i++)
    CHECK_EQ(larger.more[i], 0x55);
  check_close(segment);
}

static void events_want_an_aligned_address_and_a_number(void)
{
  struct shmem_event *event = check_shared(64);
  struct shmem_event *askew = (void *)((char *)event + 4);
  struct timespec negative = {-1, 0}, overfull = {0, 1000000000};
  uint64_t seen = 0;

  CHECK_GIVES(shmem_event_signal(NULL), -1, EINVAL);
  CHECK_GIVES(shmem_event_signal(askew), -1, EINVAL);
  CHECK_GIVES(shmem_event_count(NULL), 0, EINVAL);
  CHECK_GIVES(shmem_event_wait(NULL, &seen), -1, EINVAL);
  CHECK_GIVES(shmem_event_wait(askew, &seen), -1, EINVAL);
  CHECK_GIVES(shmem_event_wait(event, NULL), -1, EINVAL);
  CHECK_GIVES(shmem_event_try_wait(event, NULL), -1, EINVAL);
  CHECK_GIVES(shmem_event_timed_wait(event, &seen, &negative), -1, EINVAL);
  CHECK_GIVES(shmem_event_timed_wait(event, &seen, &overfull), -1, EINVAL);
  CHECK_EQ(shmem_event_count(event), 0);
}

int main(void)
{
  check_begin();
  check_own_ipc();
  RUN(bad_names_flags_and_sizes_are_refused);
  RUN(no_pointer_but_that_of_an_open_segment_is_taken);
  RUN(a_stat_struct_of_another_size_is_not_written_beyond);
  RUN(events_want_an_aligned_address_and_a_number);
  return 0;
}
