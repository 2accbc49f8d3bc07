/* Whose a descriptor is, and who holds a side: in programs that close descriptors which are not
 * theirs, so that numbers are used again, and beside rivals that stand still. The living are never
 * taken for dead, and the dead are never named as alive. */
#include "check.h"

static void close_all_descriptors(void)
{
  CHECK_EQ(syscall(SYS_close_range, 3, ~0u, 0), 0);
}

static void take_the_place_of_the_consumer(void *arg)
{
  CHECK_REFUSED(shmem_ring_open(arg, SHMEM_SPSC, SHMEM_CONSUMER, 8, 8), EBUSY);
}

static void a_consumer_that_has_its_producers_number_keeps_its_place(void)
{
  const char *name = check_name("ring");
  struct shmem_ring *producer, *consumer;
  uint64_t message = 7;

  CHECK_HANDLE(producer = shmem_ring_open(name, SHMEM_SPSC, SHMEM_PRODUCER, 8, 8));
  CHECK_EQ(shmem_ring_push(producer, &message), 0);
  close_all_descriptors();
  CHECK_HANDLE(consumer = shmem_ring_open(name, SHMEM_SPSC, SHMEM_CONSUMER, 8, 8));
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_CHILD_ENDS_WELL(check_spawn(take_the_place_of_the_consumer, (void *)name), 20);
  CHECK_EQ(shmem_ring_try_pop(consumer, &message), 0);
  CHECK_EQ(message, 7);
  CHECK_EQ(shmem_ring_close(consumer), 0);
}

static void a_peer_that_has_the_sides_number_is_alive(void)
{
  struct pair pair = {.name = check_name("peer")};
  struct sample *smp;

  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, NULL));
  close_all_descriptors();
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  CHECK_EQ(shmem_shared_peer_alive(pair.node), 1);
  CHECK_GIVES(shmem_shared_timed_read(pair.node, &smp, 1, MS(200)), 0, ETIMEDOUT);
  check_works(&pair);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_GIVES(shmem_shared_timed_read(pair.node, &smp, 1, PATIENT), -1, EPIPE);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
}

static void open_and_wait(void *arg)
{
  CHECK_HANDLE(shmem_shared_open(arg, NULL));
  for (;;)
    pause();
}

static void a_side_without_a_descriptor_hears_of_a_death(void)
{
  const char *name = check_name("deaf");
  struct shmem_shared *node;
  struct sample *smp;

  CHECK_HANDLE(node = shmem_shared_create(name, NULL));
  close_all_descriptors();
  pid_t pid = check_spawn(open_and_wait, (void *)name);
  CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
  CHECK_EQ(shmem_shared_peer_alive(node), 1);
  check_kill(pid);
  CHECK_GIVES(shmem_shared_timed_read(node, &smp, 1, PATIENT), -1, EPIPE);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

static void a_file_of_the_programs_own_with_the_number_is_left_alone(void)
{
  const char *name = check_name("own");
  struct shmem_shared *node;

  CHECK_HANDLE(node = shmem_shared_create(name, NULL));
  close_all_descriptors();
  int own = open(check_path(name), O_RDWR | O_CLOEXEC);
  CHECK(own >= 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK(fcntl(own, F_GETFD) >= 0);
  CHECK_EQ(close(own), 0);
}

static void a_segment_does_not_close_the_number_of_another(void)
{
  const char *name = check_name("segment");
  struct shmem_segment *first, *second;
  struct shmem_segment_info info = {.size = sizeof info};

  CHECK_HANDLE(first = shmem_segment_open(name, 100, SHMEM_SEGMENT_CREATE, 0600));
  close_all_descriptors();
  CHECK_HANDLE(second = shmem_segment_open(name, 0, 0, 0));
  CHECK_EQ(shmem_segment_close(first), 0);
  CHECK_EQ(shmem_segment_stat(second, &info), 0);
  CHECK_EQ(info.bytes, 100);
  CHECK_EQ(shmem_segment_close(second), 0);
}

/* ---- rivals that stand still ----------------------------------------------------------------- */

static void create_and_die(void *arg)
{
  CHECK_HANDLE(shmem_shared_create(arg, NULL));
  kill(getpid(), SIGKILL);
}

/* As a creator that has locked the next byte of the node side, and is stopped. */
static void lock_and_stand_still(void *arg)
{
  struct flock next = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1LL << 60 | 2, .l_len = 1};
  int fd = open(check_path(arg), O_RDWR | O_CLOEXEC);

  CHECK(fd >= 0);
  CHECK_EQ(fcntl(fd, F_OFD_SETLK, &next), 0);
  raise(SIGSTOP);
}

static void a_message_names_no_dead_process_where_a_rival_stands_still(void)
{
  const char *name = check_name("rival");
  char number[16];
  int status;

  pid_t dead = check_spawn(create_and_die, (void *)name);
  CHECK_EQ(check_wait(dead, 20), SIGKILL);
  pid_t rival = check_spawn(lock_and_stand_still, (void *)name);
  CHECK_EQ(waitpid(rival, &status, WUNTRACED), rival);
  CHECK(WIFSTOPPED(status));
  snprintf(number, sizeof number, " %d ", (int)dead);
  CHECK_REFUSED(shmem_shared_create(name, NULL), EBUSY);
  CHECK(!strstr(shmem_last_error(), number));
  CHECK(strstr(shmem_last_error(), "stands still"));
  check_kill(rival);
  struct shmem_shared *node;
  CHECK_HANDLE(node = shmem_shared_create(name, NULL));
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

int main(void)
{
  check_begin();
  RUN(a_consumer_that_has_its_producers_number_keeps_its_place);
  RUN(a_peer_that_has_the_sides_number_is_alive);
  RUN(a_side_without_a_descriptor_hears_of_a_death);
  RUN(a_file_of_the_programs_own_with_the_number_is_left_alone);
  RUN(a_segment_does_not_close_the_number_of_another);
  RUN(a_message_names_no_dead_process_where_a_rival_stands_still);
  return 0;
}
