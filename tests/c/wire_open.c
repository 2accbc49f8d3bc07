/* Opening a channel in the wire layout: whatever crashes have left under its names, it is not let through early, it is not
 * held up, and it cleans up. */
#include "wire.h"

static const char *image = "tests/wire/images/pthread-q8-s4-5-queued.img";

static struct shmem_conf small(void)
{
  return check_conf(0, 8, 4, 0);
}

static int semaphore_value(const char *name)
{
  char path[CHECK_NAME_SIZE + 1];
  int value = -1;

  snprintf(path, sizeof path, "/%s", name);
  sem_t *semaphore = sem_open(path, 0);
  if (semaphore == SEM_FAILED)
    return -1;
  CHECK_EQ(sem_getvalue(semaphore, &value), 0);
  CHECK_EQ(sem_close(semaphore), 0);
  return value;
}

/* As crashes leave it, with posts that nobody has taken. */
static void leave_semaphore(const char *name, unsigned int posts)
{
  char path[CHECK_NAME_SIZE + 1];

  snprintf(path, sizeof path, "/%s", name);
  sem_t *semaphore = sem_open(path, O_CREAT, 0600, 0);
  CHECK(semaphore != SEM_FAILED);
  for (unsigned int i = 0; i < posts; i++)
    CHECK_EQ(sem_post(semaphore), 0);
  CHECK_EQ(sem_close(semaphore), 0);
}

/* An object of this name with the first `size` bytes of the image; zeros after its end. */
static void leave_object(const char *name, size_t size)
{
  char bytes[4096] = {0};
  int from = open(image, O_RDONLY), to = open(check_path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

  CHECK(from >= 0 && to >= 0 && size <= sizeof bytes);
  CHECK(read(from, bytes, sizeof bytes) == 3216);
  CHECK_EQ(write(to, bytes, size), (ssize_t)size);
  CHECK_EQ(close(from), 0);
  CHECK_EQ(close(to), 0);
}

struct opener {
  const char *wname, *rname;
  struct shmem_int shm;
  _Atomic bool done;
};

static void *open_it(void *arg)
{
  struct opener *opener = arg;
  struct shmem_conf conf = small();

  if (shmem_int_timed_open(opener->wname, opener->rname, &opener->shm, &conf, PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
  opener->done = true;
  return NULL;
}

/* Opens one end, sees that it waits for longer than it takes to look, then opens the other: they talk, and clean up. */
static void opens_only_when_the_other_comes(const char *one, const char *other)
{
  struct opener openers[2] = {{.wname = one, .rname = other}, {.wname = other, .rname = one}};
  pthread_t threads[2];
  struct timespec until = {.tv_nsec = 100000000};

  CHECK_EQ(pthread_create(&threads[0], NULL, open_it, &openers[0]), 0);
  WAIT_UNTIL(wire_exists(one), 10);
  nanosleep(&until, NULL); /* several looks */
  CHECK(!openers[0].done);
  CHECK_EQ(pthread_create(&threads[1], NULL, open_it, &openers[1]), 0);
  for (int i = 0; i < 2; i++)
    CHECK_EQ(pthread_join(threads[i], NULL), 0);
  wire_send(&openers[0].shm, 1, 8);
  wire_receive(&openers[1].shm, 1, 8);
  wire_send(&openers[1].shm, 9, 12);
  wire_receive(&openers[0].shm, 9, 12);
  CHECK_EQ(shmem_int_close(&openers[0].shm), 0);
  CHECK_EQ(shmem_int_close(&openers[1].shm), 0);
  CHECK(wire_nothing_left(one));
  CHECK(wire_nothing_left(other));
}

static void semaphores_that_are_left_let_nobody_through(void)
{
  for (unsigned int posts = 0; posts < 9; posts++) {
    const char *one = wire_name("sem"), *other = wire_name("sem");
    leave_semaphore(one, posts % 3);
    leave_semaphore(other, posts / 3);
    opens_only_when_the_other_comes(one, other);
  }
}

/* 0, or what stops in the middle of an initialisation, or a whole region: of VILLASnode, with nobody at it. */
static void regions_that_are_left_let_nobody_through_and_are_replaced(void)
{
  static const size_t sizes[] = {0, 3216};

  for (size_t i = 0; i < 2; i++) {
    for (int posts = 0; posts < 2; posts++) {
      const char *one = wire_name("region"), *other = wire_name("region");
      leave_object(one, sizes[i]);
      leave_object(other, sizes[i]);
      leave_semaphore(one, (unsigned int)posts);
      leave_semaphore(other, (unsigned int)posts);
      /* That of its own name has been replaced, which `opens_only` waits for by its size. */
      CHECK_EQ(unlink(check_path(one)), 0);
      opens_only_when_the_other_comes(one, other);
      leave_object(one, sizes[i]);
      leave_object(other, sizes[i]);
      struct shmem_conf conf = small();
      struct shmem_int shm;
      CHECK_GIVES(shmem_int_timed_open(one, other, &shm, &conf, MS(30)), -1, ETIMEDOUT);
      CHECK(!wire_exists(one) && wire_exists(other)); /* the other's is not this side's to remove */
      CHECK(semaphore_value(one) == -1 && semaphore_value(other) == -1);
    }
  }
}

struct victim {
  const char *wname, *rname;
  _Atomic bool opened;
};

static void open_and_stay(void *arg)
{
  struct victim *victim = arg;
  struct shmem_conf conf = small();
  struct shmem_int shm;

  if (shmem_int_timed_open(victim->wname, victim->rname, &shm, &conf, PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
  victim->opened = true;
  for (;;)
    pause();
}

static void what_this_library_leaves_when_it_is_killed_lets_nobody_through(void)
{
  struct victim *victims = check_shared(2 * sizeof *victims);

  for (uint64_t round = 0; round < check_scaled(10); round++) {
    const char *one = wire_name("killed"), *other = wire_name("killed");
    bool alone = round % 2;
    victims[0] = (struct victim){.wname = one, .rname = other};
    victims[1] = (struct victim){.wname = other, .rname = one};
    pid_t pids[2];
    pids[0] = check_spawn(open_and_stay, &victims[0]);
    if (alone) {
      WAIT_UNTIL(wire_exists(one) && semaphore_value(one) >= 0, 10); /* it waits */
    } else {
      pids[1] = check_spawn(open_and_stay, &victims[1]);
      WAIT_UNTIL(victims[0].opened && victims[1].opened, 10);
      check_kill(pids[1]);
    }
    check_kill(pids[0]);
    CHECK(wire_exists(one)); /* else this shows nothing */
    if (round % 4 < 2)
      CHECK_EQ(unlink(check_path(one)), 0); /* so that the wait below sees the new one */
    opens_only_when_the_other_comes(round % 4 < 2 ? one : other, round % 4 < 2 ? other : one);
  }
}

static void a_name_that_is_held_is_busy_and_stays_what_it_is(void)
{
  struct wire_pair pair;
  struct shmem_conf conf = small();
  struct shmem_int shm;
  char pid[32];

  wire_open_pair(&pair, "held", conf, conf);
  for (int i = 0; i < 2; i++) {
    CHECK_GIVES(shmem_int_timed_open(pair.names[i], pair.names[!i], &shm, &conf, MS(5000)), -1, EBUSY);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    CHECK(strstr(shmem_last_error(), pid) != NULL);
    CHECK_GIVES(shmem_int_open(pair.names[i], pair.names[i], &shm, &conf), -1, EBUSY);
  }
  wire_send(&pair.ends[0], 1, 5);
  wire_receive(&pair.ends[1], 1, 5);
  wire_close_pair(&pair);
}

/* A third one that would like to read what another reads. */
static void a_region_that_has_its_reader_is_not_taken_by_a_third(void)
{
  struct wire_pair pair;
  struct shmem_conf conf = small();
  struct shmem_int shm;
  const char *third = wire_name("third");

  wire_open_pair(&pair, "taken", conf, conf);
  CHECK_GIVES(shmem_int_timed_open(third, pair.names[0], &shm, &conf, MS(100)), -1, ETIMEDOUT);
  CHECK(strstr(shmem_last_error(), "busy with another peer") != NULL);
  CHECK(wire_nothing_left(third));
  CHECK(wire_exists(pair.names[0]));
  wire_send(&pair.ends[0], 1, 5);
  wire_receive(&pair.ends[1], 1, 5);
  wire_close_pair(&pair);
}

static void what_is_no_region_is_refused_and_stays(void)
{
  struct shmem_conf conf = small();
  struct shmem_int shm;
  struct stat file;

  /* Under its own name: refused, not removed. */
  const char *name = wire_name("garbage"), *other = wire_name("nobody");
  int fd = open(check_path(name), O_RDWR | O_CREAT | O_EXCL, 0600);
  char noise[4096];
  memset(noise, 0x5a, sizeof noise);
  CHECK(fd >= 0);
  CHECK_EQ(write(fd, noise, sizeof noise), sizeof noise);
  CHECK_EQ(close(fd), 0);
  CHECK_GIVES(shmem_int_timed_open(name, other, &shm, &conf, MS(50)), -1, EBADMSG);
  CHECK_GIVES(shmem_int_open(name, name, &shm, &conf), -1, EBADMSG);
  CHECK_EQ(stat(check_path(name), &file), 0);
  CHECK_EQ(file.st_size, sizeof noise);
  /* Under the other's: it waits for something better, and says what it found. */
  CHECK_GIVES(shmem_int_timed_open(other, name, &shm, &conf, MS(50)), -1, ETIMEDOUT);
  CHECK(strstr(shmem_last_error(), name) != NULL);
  CHECK(wire_nothing_left(other));

  /* A channel of the other layout. */
  struct pair native = check_open_pair("native", &conf);
  CHECK_GIVES(shmem_int_timed_open(native.name, other, &shm, &conf, MS(50)), -1, EBUSY);
  CHECK_GIVES(shmem_int_timed_open(other, native.name, &shm, &conf, MS(50)), -1, ETIMEDOUT);
  check_works(&native);
  check_close_pair(&native);

  /* No objects at all. */
  const char *directory = wire_name("directory");
  CHECK_EQ(mkdir(check_path(directory), 0700), 0);
  CHECK_GIVES(shmem_int_timed_open(directory, other, &shm, &conf, MS(50)), -1, EBADMSG);
  CHECK_GIVES(shmem_int_timed_open(other, directory, &shm, &conf, MS(50)), -1, ETIMEDOUT);
  CHECK_EQ(rmdir(check_path(directory)), 0);
  const char *fifo = wire_name("fifo");
  CHECK_EQ(mkfifo(check_path(fifo), 0600), 0);
  CHECK_GIVES(shmem_int_timed_open(fifo, other, &shm, &conf, MS(50)), -1, EBADMSG);
  CHECK_GIVES(shmem_int_timed_open(other, fifo, &shm, &conf, MS(50)), -1, ETIMEDOUT);
  CHECK_EQ(unlink(check_path(fifo)), 0);
  CHECK(wire_nothing_left(other));
}

static void what_is_no_semaphore_ends_no_process(void)
{
  static const size_t sizes[] = {0, 8, 31};

  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct shmem_conf conf = small();
    struct shmem_int shm;
    const char *one = wire_name("broken"), *other = wire_name("broken");
    char semaphore[CHECK_NAME_SIZE + 4];

    snprintf(semaphore, sizeof semaphore, "sem.%s", i % 2 ? one : other);
    leave_object(semaphore, sizes[i]);
    CHECK_GIVES(shmem_int_timed_open(one, other, &shm, &conf, MS(50)), -1, EBADMSG);
    CHECK(strstr(shmem_last_error(), semaphore) != NULL);
    CHECK(!wire_exists(one) && !wire_exists(other));
  }
}

/* As a VILLASnode program would. */
static void slashes_and_long_names_are_the_c_librarys(void)
{
  struct wire_pair pair = {.confs = {small(), small()}};
  pthread_t thread;
  char one[CHECK_NAME_SIZE + 1], other[CHECK_NAME_SIZE + 1];

  snprintf(one, sizeof one, "/%s", wire_name("slash"));
  snprintf(other, sizeof other, "/%s", wire_name("slash"));
  pair.names[0] = one;
  pair.names[1] = other + 1; /* the other leaves it out */
  CHECK_EQ(pthread_create(&thread, NULL, wire_open_other, &pair), 0);
  CHECK_EQ(shmem_int_timed_open(one + 1, other, &pair.ends[0], &pair.confs[0], PATIENT), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  wire_send(&pair.ends[0], 1, 2);
  wire_receive(&pair.ends[1], 1, 2);
  wire_close_pair(&pair);
}

static void on_usr1(int number)
{
  (void)number;
}

static void keep_signalling(void *arg)
{
  const pid_t *parent = arg;

  for (;;) {
    check_pause();
    kill(*parent, SIGUSR1);
  }
}

static void a_signal_handler_during_open_leaves_nothing_behind(void)
{
  const struct sigaction action = {.sa_handler = on_usr1};
  sigaction(SIGUSR1, &action, NULL);
  for (uint64_t round = 0; round < check_scaled(20); round++) {
    const char *one = wire_name("eintr"), *other = wire_name("eintr");
    struct shmem_conf conf = small();
    struct shmem_int shm;
    pid_t self = getpid(), pid = check_spawn(keep_signalling, &self);

    CHECK_GIVES(shmem_int_open(one, other, &shm, &conf), -1, EINTR);
    check_kill(pid);
    CHECK(wire_nothing_left(one) && wire_nothing_left(other));
  }
  signal(SIGUSR1, SIG_IGN);
}

int main(void)
{
  check_begin();
  RUN(semaphores_that_are_left_let_nobody_through);
  RUN(regions_that_are_left_let_nobody_through_and_are_replaced);
  RUN(what_this_library_leaves_when_it_is_killed_lets_nobody_through);
  RUN(a_name_that_is_held_is_busy_and_stays_what_it_is);
  RUN(a_region_that_has_its_reader_is_not_taken_by_a_third);
  RUN(what_is_no_region_is_refused_and_stays);
  RUN(slashes_and_long_names_are_the_c_librarys);
  RUN(a_signal_handler_during_open_leaves_nothing_behind);
  RUN(what_is_no_semaphore_ends_no_process);
  return 0;
}
