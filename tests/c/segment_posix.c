/* POSIX segments: created, opened, shared between processes that are not related, unlinked. */
#include "check_segment.h"

static void a_new_segment_is_zeroed_and_has_exactly_its_size(void)
{
  const char *name = check_name("new");
  struct shmem_segment *segment;
  struct stat file;

  CHECK_HANDLE(segment = shmem_segment_open(name, 100000, NEW, 0600));
  CHECK_EQ(shmem_segment_size(segment), 100000);
  const char *data = shmem_segment_data(segment);
  CHECK_EQ((uintptr_t)data % 4096, 0);
  for (int i = 0; i < 100000; i++)
    CHECK_EQ(data[i], 0);
  CHECK_EQ(stat(check_path(name), &file), 0);
  CHECK_EQ(file.st_size, 100000);
  CHECK(file.st_blocks * 512 >= 100000); /* paid for */
  CHECK_EQ(file.st_mode & 07777, 0600);
  check_close(segment);
}

struct shared {
  int number;
  char text[32];
};

static void write_into(void *name)
{
  struct shmem_segment *segment;

  CHECK_HANDLE(segment = shmem_segment_open(name, sizeof(struct shared), 0, 0));
  struct shared *shared = shmem_segment_data(segment);
  CHECK_EQ(shared->number, 41);
  shared->number++;
  strcpy(shared->text, "written by another process");
  check_close(segment);
}

static void what_one_process_writes_the_other_reads(void)
{
  char *name = strdup(check_name("shared"));
  struct shmem_segment *segment;

  CHECK_HANDLE(segment = shmem_segment_open(name, sizeof(struct shared), NEW, 0600));
  struct shared *shared = shmem_segment_data(segment);
  shared->number = 41;
  CHECK_CHILD_ENDS_WELL(check_spawn(write_into, name), 10);
  CHECK_EQ(shared->number, 42);
  CHECK(strcmp(shared->text, "written by another process") == 0);
  check_close(segment);
  free(name);
}

static void create_opens_what_is_there_and_exclusive_refuses_it(void)
{
  const char *name = check_name("exclusive");
  struct shmem_segment *first, *second;

  CHECK_HANDLE(first = shmem_segment_open(name, 64, NEW, 0600));
  *(char *)shmem_segment_data(first) = 7;
  CHECK_REFUSED(shmem_segment_open(name, 64, NEW, 0600), EEXIST);
  CHECK_SAYS(name);
  /* The name in use is told before the lack of room. */
  CHECK_REFUSED(shmem_segment_open(name, (size_t)1 << 50, NEW, 0600), EEXIST);
  CHECK_HANDLE(second = shmem_segment_open(name, 64, CREATE, 0600));
  CHECK_EQ(*(char *)shmem_segment_data(second), 7);
  check_close(first);
  check_close(second);
}

static void a_missing_segment_is_told(void)
{
  CHECK_REFUSED(shmem_segment_open("villas-check-nowhere", 0, 0, 0), ENOENT);
  CHECK_SAYS("villas-check-nowhere");
  CHECK_REFUSED(shmem_segment_open("villas-check-nowhere", 0, READ_ONLY, 0), ENOENT);
  CHECK_GIVES(shmem_segment_unlink("villas-check-nowhere"), -1, ENOENT);
}

static void size_0_takes_it_as_it_is_and_a_larger_size_does_not_fit(void)
{
  const char *name = check_name("size");
  struct shmem_segment *segment, *again;

  CHECK_REFUSED(shmem_segment_open(name, 0, CREATE, 0600), EINVAL);
  CHECK_SAYS("size");
  CHECK_HANDLE(segment = shmem_segment_open(name, 5000, NEW, 0600));
  CHECK_HANDLE(again = shmem_segment_open(name, 0, 0, 0));
  CHECK_EQ(shmem_segment_size(again), 5000);
  check_close(again);
  CHECK_HANDLE(again = shmem_segment_open(name, 4999, 0, 0));
  CHECK_EQ(shmem_segment_size(again), 5000);
  check_close(again);
  CHECK_REFUSED(shmem_segment_open(name, 5001, 0, 0), EPROTO);
  CHECK_SAYS("5000");
  CHECK_SAYS("5001");
  CHECK_REFUSED(shmem_segment_open(name, 5001, CREATE, 0600), EPROTO);
  check_close(segment);
}

static void one_that_another_program_is_about_to_size_is_not_ready(void)
{
  const char *name = check_name("unsized");
  struct shmem_segment *segment;

  int fd = shm_open(name, O_RDWR | O_CREAT, 0600);
  CHECK(fd >= 0);
  CHECK_REFUSED(shmem_segment_open(name, 0, 0, 0), EAGAIN);
  CHECK_REFUSED(shmem_segment_open(name, 1024, CREATE, 0600), EAGAIN);
  CHECK_EQ(ftruncate(fd, 1024), 0);
  CHECK_HANDLE(segment = shmem_segment_open(name, 1024, 0, 0));
  strcpy(shmem_segment_data(segment), "hello");
  char text[6];
  CHECK_EQ(pread(fd, text, sizeof text, 0), 6);
  CHECK(strcmp(text, "hello") == 0);
  close(fd);
  check_close(segment);
}

static void a_read_only_segment_can_be_read_and_not_written(void)
{
  const char *name = check_name("read-only");
  struct shmem_segment *segment, *reader;

  CHECK_HANDLE(segment = shmem_segment_open(name, 64, NEW, 0600));
  CHECK_HANDLE(reader = shmem_segment_open(name, 0, READ_ONLY, 0));
  strcpy(shmem_segment_data(segment), "hello");
  CHECK(strcmp(shmem_segment_data(reader), "hello") == 0);
  check_dies_by(SIGSEGV, check_write_there, shmem_segment_data(reader));
  check_close(segment);
  check_close(reader);
}

static void an_unlinked_segment_stays_for_those_who_have_it(void)
{
  const char *name = check_name("unlinked");
  char slashed[80];
  struct shmem_segment *old, *fresh;

  CHECK_HANDLE(old = shmem_segment_open(name, 64, NEW, 0600));
  strcpy(shmem_segment_data(old), "old");
  CHECK_EQ(check_stat(old).removed, 0);
  CHECK_EQ(shmem_segment_unlink(name), 0); /* seed 003 opens "/shm-demo" and unlinks "shm-demo" */
  CHECK_EQ(check_stat(old).removed, 1);
  CHECK_REFUSED(shmem_segment_open(name, 0, 0, 0), ENOENT);
  snprintf(slashed, sizeof slashed, "/%s", name);
  CHECK_HANDLE(fresh = shmem_segment_open(slashed, 64, NEW, 0600));
  CHECK_EQ(*(char *)shmem_segment_data(fresh), 0);
  CHECK(strcmp(shmem_segment_data(old), "old") == 0);
  check_close(old);
  CHECK_EQ(shmem_segment_unlink(slashed), 0);
  check_close(fresh);
}

static void a_directory_or_a_link_is_not_a_segment(void)
{
  const char *name = check_name("directory");

  CHECK_EQ(mkdir(check_path(name), 0700), 0);
  CHECK_REFUSED(shmem_segment_open(name, 0, 0, 0), EBADMSG);
  CHECK_REFUSED(shmem_segment_open(name, 64, CREATE, 0600), EBADMSG);
  CHECK_EQ(rmdir(check_path(name)), 0);
  CHECK_EQ(symlink("/etc/passwd", check_path(name)), 0);
  CHECK_REFUSED(shmem_segment_open(name, 0, READ_ONLY, 0), EBADMSG);
}

static void create_often(void *arg)
{
  const char *name = arg;

  for (uint64_t i = check_scaled(500); i > 0; i--) {
    struct shmem_segment *segment;
    CHECK_HANDLE(segment = shmem_segment_open(name, 4096, CREATE, 0600));
    CHECK_EQ(shmem_segment_size(segment), 4096); /* never one that is half made */
    CHECK_EQ(shmem_segment_close(segment), 0);
    if (shmem_segment_unlink(name) != 0)
      CHECK_EQ(errno, ENOENT);
  }
}

static void processes_that_create_the_same_name_at_once_all_get_one(void)
{
  char *name = strdup(check_name("race"));
  pid_t pids[4];

  for (int i = 0; i < 4; i++)
    pids[i] = check_spawn(create_often, name);
  for (int i = 0; i < 4; i++)
    CHECK_CHILD_ENDS_WELL(pids[i], 30);
  free(name);
}

static void use_inherited(void *arg)
{
  struct shmem_segment *segment = arg;

  strcpy(shmem_segment_data(segment), "from the child");
  CHECK_EQ(check_stat(segment).bytes, 64);
  check_close(segment);
}

static void a_forked_child_inherits_it_and_closes_its_own(void)
{
  struct shmem_segment *segment;

  CHECK_HANDLE(segment = shmem_segment_open(check_name("fork"), 64, NEW, 0600));
  CHECK_CHILD_ENDS_WELL(check_spawn(use_inherited, segment), 10);
  CHECK(strcmp(shmem_segment_data(segment), "from the child") == 0);
  CHECK_EQ(check_stat(segment).bytes, 64);
  check_close(segment);
}

struct busy {
  struct shmem_segment *segment;
  _Atomic bool over;
  _Atomic long calls;
};

static void *ask_for_the_size(void *arg)
{
  struct busy *busy = arg;

  for (; !busy->over; busy->calls++)
    CHECK_EQ(shmem_segment_size(busy->segment), 64);
  return NULL;
}

static bool is_mapped(const void *address)
{
  FILE *maps = fopen("/proc/self/maps", "re");
  unsigned long start, end;
  char line[4096 + 256];
  bool found = false;

  CHECK(maps);
  while (fgets(line, sizeof line, maps))
    if (sscanf(line, "%lx-%lx", &start, &end) == 2)
      found |= (unsigned long)address >= start && (unsigned long)address < end;
  CHECK_EQ(fclose(maps), 0);
  return found;
}

static void use_and_open_another(void *arg)
{
  struct busy *busy = arg;
  struct shmem_segment *own;
  const char *data = shmem_segment_data(busy->segment);

  CHECK(is_mapped(data));
  CHECK_HANDLE(own = shmem_segment_open(check_name("childs"), 64, NEW, 0600));
  CHECK_EQ(shmem_segment_close(own), 0);
  CHECK(*shmem_strerror(EPROTO) != 0);
  CHECK_EQ(shmem_segment_close(busy->segment), 0);
  CHECK(!is_mapped(data));
}

static void a_child_that_is_forked_amid_calls_of_a_thread_uses_and_closes_its_own(void)
{
  struct busy busy = {0};
  pthread_t thread;

  CHECK_HANDLE(busy.segment = shmem_segment_open(check_name("busy"), 64, NEW, 0600));
  CHECK_EQ(pthread_create(&thread, NULL, ask_for_the_size, &busy), 0);
  for (int fork = 0; fork < (int)check_scaled(200); fork++) {
    long calls = busy.calls;
    WAIT_UNTIL(busy.calls > calls, 10);
    CHECK_CHILD_ENDS_WELL(check_spawn(use_and_open_another, &busy), 10);
    CHECK_EQ(shmem_segment_unlink(check_name("childs")), 0);
    check_name_count--;
  }
  busy.over = true;
  CHECK_EQ(pthread_join(thread, NULL), 0);
  check_close(busy.segment);
}

static void a_program_that_closes_all_descriptors_keeps_the_memory(void)
{
  struct shmem_segment *segment;
  struct shmem_segment_info stat = {.size = sizeof stat};

  CHECK_HANDLE(segment = shmem_segment_open(check_name("descriptors"), 64, NEW, 0600));
  for (int fd = 3; fd < 64; fd++)
    close(fd);
  int mine = open("/dev/null", O_RDONLY); /* gets a number that was the segment's */
  CHECK(mine >= 3);
  strcpy(shmem_segment_data(segment), "still here");
  CHECK_GIVES(shmem_segment_stat(segment, &stat), -1, EBADF);
  CHECK_GIVES(shmem_segment_set(segment, 0644, SHMEM_KEEP, SHMEM_KEEP), -1, EBADF);
  check_close(segment);
  CHECK_EQ(fcntl(mine, F_GETFD), 0);
  close(mine);
}

int main(void)
{
  check_begin();
  RUN(a_new_segment_is_zeroed_and_has_exactly_its_size);
  RUN(what_one_process_writes_the_other_reads);
  RUN(create_opens_what_is_there_and_exclusive_refuses_it);
  RUN(a_missing_segment_is_told);
  RUN(size_0_takes_it_as_it_is_and_a_larger_size_does_not_fit);
  RUN(one_that_another_program_is_about_to_size_is_not_ready);
  RUN(a_read_only_segment_can_be_read_and_not_written);
  RUN(an_unlinked_segment_stays_for_those_who_have_it);
  RUN(a_directory_or_a_link_is_not_a_segment);
  RUN(processes_that_create_the_same_name_at_once_all_get_one);
  RUN(a_forked_child_inherits_it_and_closes_its_own);
  RUN(a_child_that_is_forked_amid_calls_of_a_thread_uses_and_closes_its_own);
  RUN(a_program_that_closes_all_descriptors_keeps_the_memory);
  return 0;
}
