/* Descriptors to poll of a program that closes their numbers and uses them again, and of one at a limit of descriptors or threads. */
#include "poll_both.h"

#include <dlfcn.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

enum { FILES = 24 };

/* This program's pthread_create stands before the C library's: the n-th call from now on fails, 0: none. */
static _Atomic int failing_create;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
  static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

  if (failing_create && --failing_create == 0)
    return EAGAIN;
  if (!real)
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
  return real(thread, attributes, run, arg);
}

/* ---- numbers that the program closes and uses again ------------------------------------------ */

static int files[FILES];

static void close_all_and_use_the_numbers(void)
{
  char byte = 7;

  CHECK_EQ(syscall(SYS_close_range, 3, ~0u, 0), 0);
  for (int i = 0; i < FILES; i++) {
    files[i] = i % 3 ? memfd_create("villas-check", 0) : eventfd(0, EFD_NONBLOCK);
    CHECK(files[i] >= 3); /* a helper may have been first with a number */
    if (i % 3)
      CHECK_EQ(write(files[i], &byte, 1), 1);
  }
}

static void the_files_are_whole(void)
{
  struct stat status;
  uint64_t count;
  char byte;

  for (int i = 0; i < FILES; i++) {
    if (i % 3 == 0) {
      CHECK_GIVES(read(files[i], &count, sizeof count), -1, EAGAIN);
      continue;
    }
    CHECK_EQ(fstat(files[i], &status), 0);
    CHECK_EQ(status.st_size, 1);
    CHECK_EQ(lseek(files[i], 0, SEEK_CUR), 1);
    CHECK(pread(files[i], &byte, 1, 0) == 1 && byte == 7);
  }
}

static void reuse_numbers(void *arg)
{
  struct both boths[SETS];
  uint64_t numbers[POLL_BATCH];

  (void)arg;
  own_names();
  for (int i = 0; i < SETS; i++)
    open_both(&boths[i], set_kinds[i]);
  for (int i = 0; i < SETS; i++)
    cross(&boths[i]);
  close_all_and_use_the_numbers();
  for (uint64_t round = 1; round < 300; round++) {
    for (int i = 0; i < SETS; i++) {
      CHECK(poll_give(&boths[i].giver, boths[i].next++) >= 0);
      CHECK(poll_take(&boths[i].taker, numbers, 1 + (unsigned int)check_chance(4)) >= 0);
    }
    if (round % 100 == 0)
      nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL); /* the helpers come by */
  }
  the_files_are_whole();
  for (int i = 0; i < SETS; i++)
    poll_close(&boths[i].giver);
  for (int i = 0; i < SETS; i++)
    poll_close(&boths[i].taker);
  the_files_are_whole();
  see_a_death(); /* also of a channel that comes after that */
  open_both(&boths[0], POLL_OWN);
  cross(&boths[0]);
  close_both(&boths[0]);
  the_files_are_whole();
}

static void numbers_used_again_are_left_alone(void)
{
  for (uint64_t round = 0; round < check_scaled(3); round++)
    CHECK_CHILD_ENDS_WELL(check_spawn(reuse_numbers, NULL), 60);
}

/* The helper that looks after peers sleeps without a limit when its number is closed. */
static void close_all_while_the_helper_sleeps(void *arg)
{
  struct both both;

  (void)arg;
  own_names();
  open_both(&both, POLL_OWN);
  close_both(&both);
  WAIT_UNTIL(for_each_helper("villas-shm-peer", note_helper) == 1, 10);
  /* It has found that nothing is left: its last two sleeps have ended. */
  const unsigned long long sleeps = status_of(a_helper, "\nvoluntary_ctxt_switches:", 10);
  struct check_deadline deadline = check_within(1.5);
  while (status_of(a_helper, "\nvoluntary_ctxt_switches:", 10) < sleeps + 3 && !check_is_over(&deadline))
    check_pause();
  CHECK_EQ(syscall(SYS_close_range, 3, ~0u, 0), 0);
  see_a_death();
}

static void a_helper_without_its_descriptor_hears_of_new_channels(void)
{
  CHECK_CHILD_ENDS_WELL(check_spawn(close_all_while_the_helper_sleeps, NULL), 60);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void limit_descriptors(int count)
{
  struct rlimit limit;

  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = (rlim_t)count;
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The next number to be given. */
static int next_number(void)
{
  const int fd = dup(STDERR_FILENO);

  CHECK(fd >= 0);
  CHECK_EQ(close(fd), 0);
  return fd;
}

static void reach_the_limit(void *arg)
{
  struct shmem_conf conf = check_conf(0, 4, 1, 0);
  struct shmem_shared *shm;
  int left, last = -1;

  (void)arg;
  own_names();
  CHECK_HANDLE(shm = shmem_shared_create(check_name("limit"), &conf));
  for (left = 0; last < 0; left++) {
    const int count = poll_count_descriptors(NULL);
    CHECK(left < 4);
    limit_descriptors(next_number() + left);
    for (int i = 0; i < 20 && last < 0; i++) {
      errno = 0;
      last = shmem_shared_fd(shm, SHMEM_FD_READ);
      CHECK(last >= 0 || (errno == EMFILE && strlen(shmem_last_error()) > 8));
    }
    limit_descriptors(1000);
    if (last < 0) /* all but the helper's own are gone again */
      CHECK(poll_count_descriptors(NULL) <= count + 1);
  }
  CHECK_EQ(left, 3); /* none, one for the helper, and one for this channel */
  CHECK_EQ(shmem_shared_close(shm, NULL), 0);

  see_a_death();
}

static void live_despite_the_limit(void *place)
{
  limit_descriptors(1000);
  live_until_killed(place);
}

/* No room for a pidfd: probes tell. */
static void see_a_death_at_the_limit(void *arg)
{
  struct poll_place place = poll_new_place(POLL_OWN, 4);
  struct poll_end giver;
  uint64_t number;

  (void)arg;
  own_names();
  poll_open(&giver, &place, true);
  const int reads = poll_fd(&giver, SHMEM_FD_READ);
  WAIT_UNTIL(for_each_helper("villas-shm-peer", NULL) == 1, 10);
  limit_descriptors(3);
  pid_t pid = check_spawn(live_despite_the_limit, &place);
  CHECK_EQ(shmem_shared_wait(giver.shm, PATIENT), 0);
  poll_rests_empty(&giver, reads);
  check_kill(pid);
  do
    poll_await(reads);
  while (poll_take(&giver, &number, 1) == 0);
  CHECK_EQ(errno, EPIPE);
  poll_close(&giver);
  CHECK_EQ(shmem_shared_unlink(place.names[0]), 0);
}

static void a_limit_of_descriptors_is_told_and_leaves_nothing(void)
{
  CHECK_CHILD_ENDS_WELL(check_spawn(reach_the_limit, NULL), 60);
  CHECK_CHILD_ENDS_WELL(check_spawn(see_a_death_at_the_limit, NULL), 60);
}

/* The first helper cannot be made, then the second. */
static void create_no_thread(void *arg)
{
  struct both both = {.place = poll_new_place(POLL_WIRE, 4), .next = 1};

  (void)arg;
  own_names();
  poll_open_both(&both.giver, &both.taker, &both.place);
  for (int made = 0; made < 2; made++) {
    const int count = poll_count_descriptors(NULL);
    for (int i = 0; i < 30; i++) {
      failing_create = 1;
      CHECK_GIVES(poll_try_fd(&both.taker, SHMEM_FD_READ), -1, EAGAIN);
      CHECK(strstr(shmem_last_error(), "thread"));
      CHECK_EQ(poll_count_descriptors(NULL), count);
      WAIT_UNTIL(poll_count_threads() == 1 + made, 10);
    }
    failing_create = 2;
    CHECK(made || poll_try_fd(&both.taker, SHMEM_FD_READ) == -1);
    failing_create = 0;
  }
  both.reads = poll_fd(&both.taker, SHMEM_FD_READ);
  both.writes = poll_fd(&both.giver, SHMEM_FD_WRITE);
  cross(&both);
  see_a_death();
  close_both(&both);
}

static void a_thread_that_cannot_be_made_is_told_and_leaves_nothing(void)
{
  CHECK_CHILD_ENDS_WELL(check_spawn(create_no_thread, NULL), 60);
}
int main(void)
{
  check_begin();
  RUN(numbers_used_again_are_left_alone);
  RUN(a_helper_without_its_descriptor_hears_of_new_channels);
  RUN(a_limit_of_descriptors_is_told_and_leaves_nothing);
  RUN(a_thread_that_cannot_be_made_is_told_and_leaves_nothing);
  return 0;
}
