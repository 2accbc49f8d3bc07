/* Whatever bytes a peer or a broken region holds: an error, never a crash, an endless loop, or a
 * sample that leads outside. */
#include "check.h"

#include <sched.h>
#include <sys/mount.h>

enum { SAMPLELEN = 8, PAGE = 4096 };

struct attack {
  const char *name, *copy;
  _Atomic uint64_t step;    /* how far it came */
  _Atomic uint64_t refused; /* EBADMSG */
  _Atomic bool attached, scribbled;
};

static unsigned char *map_file(const char *name, size_t *size)
{
  int fd = open(check_path(name), O_RDWR);
  struct stat file;

  CHECK(fd >= 0);
  CHECK_EQ(fstat(fd, &file), 0);
  *size = (size_t)file.st_size;
  unsigned char *bytes = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(bytes != MAP_FAILED);
  CHECK_EQ(close(fd), 0);
  return bytes;
}

/* Every call ends, and says something that it may say. */
static void use_all(struct shmem_shared *shm, struct attack *attack)
{
  struct sample *smps[4];
  struct shmem_stats stats = SHMEM_STATS_INIT;

  for (int i = 0; i < 20; i++) {
    errno = 0;
    int got = i % 4 ? shmem_shared_try_read(shm, smps, 4)
                    : shmem_shared_timed_read(shm, smps, 4, MS(5));
    CHECK(got >= -1 && got <= 4);
    if (got == -1) {
      CHECK(errno == EBADMSG || errno == EPIPE || errno == ESTALE);
      attack->refused += errno == EBADMSG;
    }
    for (int k = 0; k < got; k++) {
      CHECK(smps[k]->length <= SAMPLELEN);
      if (k % 2)
        shmem_shared_write(shm, &smps[k], 1);
      else
        sample_put(smps[k]);
    }
    int alloced = sample_alloc(&shm->pool, smps, 2);
    CHECK(alloced >= -1 && alloced <= 2);
    for (int k = 0; k < alloced; k++) {
      smps[k]->length = 1;
      smps[k]->data[0].i = 1;
      if (shmem_shared_write(shm, &smps[k], 1) != 1)
        sample_put(smps[k]);
    }
  }
  shmem_shared_timed_alloc(shm, smps, 2, MS(5));
  shmem_shared_peer_alive(shm);
  shmem_shared_stats(shm, &stats);
  shmem_shared_wait(shm, MS(5));
  shmem_shared_interrupt(shm);
}

/* ---- a region that is scribbled over while it is in use -------------------------------------- */

static void use_what_is_scribbled(void *arg)
{
  struct attack *attack = arg;
  struct shmem_shared *shm;
  void *base;

  CHECK_HANDLE(shm = shmem_shared_open(attack->name, &base));
  check_receive(shm, 1, 2);
  attack->attached = true;
  WAIT_UNTIL(attack->scribbled, 20);
  use_all(shm, attack);
  CHECK_EQ(shmem_shared_close(shm, base), 0);
}

static void a_region_that_is_scribbled_over_kills_nobody(void)
{
  const uint64_t rounds = check_valgrind() ? 16 : 64;
  uint64_t refused = 0;

  for (uint64_t round = 0; round < rounds; round++) {
    struct shmem_conf conf = check_conf((int)(round / 4 % 2), 16, SAMPLELEN, 8);
    struct attack *attack = check_shared(sizeof *attack);
    struct shmem_shared *node;
    size_t size;

    attack->name = check_name("scribble");
    CHECK_HANDLE(node = shmem_shared_create(attack->name, &conf));
    check_send(node, 1, 12);
    pid_t pid = check_spawn(use_what_is_scribbled, attack);
    WAIT_UNTIL(attack->attached || !check_running(pid), 10);
    unsigned char *bytes = map_file(attack->name, &size);
    /* In half of the rounds all of it; in the others the first page, which says who is there, is
     * spared, so that the queues and the samples are what is wrong. */
    for (size_t at = round / 8 % 2 ? 0 : 4096; at < size; at++) {
      unsigned char any = (unsigned char)check_chance(256);
      switch (round % 4) {
      case 0:
        bytes[at] = 0xff;
        break;
      case 1:
        bytes[at] = 0;
        break;
      case 2:
        bytes[at] = any;
        break;
      default:
        bytes[at] ^= any & 1;
      }
    }
    attack->scribbled = true;
    CHECK_CHILD_ENDS_WELL(pid, 30);
    refused += attack->refused;
    use_all(node, attack); /* its own side is spoilt, too */
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    munmap(bytes, size);
    munmap(attack, sizeof *attack);
    CHECK_EQ(shmem_shared_unlink(check_names[--check_name_count]), 0);
  }
  CHECK(refused > 0); /* EBADMSG from a read, for real */
}

/* ---- a region whose header was tampered with ------------------------------------------------- */

static void open_each(void *arg)
{
  struct attack *attack = arg;
  size_t size;
  unsigned char *whole = map_file(attack->name, &size);
  const char *name = attack->copy;
  unsigned char *copy = malloc(size);
  CHECK(copy);
  for (size_t at = 0; at < 4096; at += 4) {
    static const uint32_t evil[] = {0xffffffff, 0x7fffffff, 0x80000000, 0, 1, 4096, 0x01000000};
    for (size_t k = 0; k < sizeof evil / sizeof *evil; k++) {
      struct shmem_shared *shm;
      void *base;

      if (check_valgrind() && (at / 4 + k) % 40)
        continue;
      attack->step = at;
      memcpy(copy, whole, size);
      if (memcmp(copy + at, &evil[k], 4) == 0)
        continue;
      memcpy(copy + at, &evil[k], 4);
      int fd = open(check_path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
      CHECK(fd >= 0);
      CHECK_EQ(write(fd, copy, size), (ssize_t)size);
      CHECK_EQ(close(fd), 0);
      errno = 0;
      shm = shmem_shared_open(name, &base);
      if (shm) {
        struct sample *smp;
        for (int i = 0; i < 20; i++) {
          if (shmem_shared_try_read(shm, &smp, 1) == 1)
            sample_put(smp);
        }
        CHECK_EQ(shmem_shared_close(shm, base), 0);
      } else {
        CHECK(errno == EBADMSG || errno == EPROTO || errno == ENOENT || errno == EAGAIN);
        attack->refused += errno == EBADMSG;
      }
    }
  }
  unlink(check_path(name));
}

static void a_header_that_was_tampered_with_kills_nobody(void)
{
  struct shmem_conf conf = check_conf(0, 8, SAMPLELEN, 8);
  struct attack *attack = check_shared(sizeof *attack);
  struct shmem_shared *node;

  attack->name = check_name("tampered");
  attack->copy = check_name("copy");
  CHECK_HANDLE(node = shmem_shared_create(attack->name, &conf));
  check_send(node, 1, 5);
  pid_t pid = check_spawn(open_each, attack);
  int status = check_wait(pid, 45);
  if (status != 0)
    check_fail(__FILE__, __LINE__, "open fell over a word at offset %llu",
               (unsigned long long)attack->step);
  CHECK(attack->refused > 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
}

/* ---- a region that nobody holds, and whose header is broken ---------------------------------- */

/* All of its words, the first excepted, which says that it is a region. */
static void create_replaces_a_broken_region_that_nobody_holds(void)
{
  static const uint64_t evil[] = {UINT64_MAX, UINT64_MAX - 1, 1ull << 63, 1ull << 60};
  struct shmem_conf conf = check_conf(0, 8, SAMPLELEN, 8);
  struct pair pair = check_open_pair("broken", &conf);

  for (size_t at = 8; at < PAGE; at += 8) {
    for (size_t k = 0; k < sizeof evil / sizeof *evil; k++) {
      if (check_valgrind() && (at / 8 + k) % 40)
        continue;
      CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
      CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
      int fd = open(check_path(pair.name), O_RDWR);
      CHECK(fd >= 0);
      CHECK_EQ(pwrite(fd, &evil[k], 8, (off_t)at), 8);
      CHECK_EQ(close(fd), 0);
      pair.node = shmem_shared_create(pair.name, &conf);
      if (!pair.node)
        check_fail(__FILE__, __LINE__, "create fell over the word %#llx at offset %#zx: \"%s\"",
                   (unsigned long long)evil[k], at, shmem_last_error());
      CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
      check_works(&pair);
    }
  }
  check_close_pair(&pair);
}

/* ---- a region without memory behind it ------------------------------------------------------- */

/* An object of the size of a region, with its first page, and with nothing behind the others. */
static void write_sparse(const char *name, const unsigned char *page, size_t size)
{
  int fd = open(check_path(name), O_RDWR | O_CREAT | O_EXCL, 0600);

  CHECK(fd >= 0);
  CHECK_EQ(ftruncate(fd, (off_t)size), 0);
  CHECK_EQ(pwrite(fd, page, PAGE, 0), PAGE);
  CHECK_EQ(close(fd), 0);
}

/* Of a region whose blocks have all been used, and with samples to read, so that who comes looks at
 * all of it. */
static size_t take_page(unsigned char *page)
{
  struct shmem_conf conf = check_conf(0, 512, 64, 64);
  struct pair pair = check_open_pair("whole", &conf);
  size_t size;

  CHECK_EQ(check_count_free(pair.node), 576);
  CHECK_EQ(check_count_free(pair.program), 576);
  check_send(pair.node, 1, 100);
  unsigned char *bytes = map_file(pair.name, &size);
  memcpy(page, bytes, PAGE);
  munmap(bytes, size);
  check_close_pair(&pair);
  return size;
}

static void a_region_with_holes_is_refused(void)
{
  struct shmem_conf conf = check_conf(0, 8, SAMPLELEN, 8);
  unsigned char page[PAGE];
  size_t size = take_page(page);
  struct pair pair = {.name = check_name("holes")};

  write_sparse(pair.name, page, size);
  CHECK_REFUSED(shmem_shared_open(pair.name, &pair.base), EBADMSG);
  CHECK_REFUSED(shmem_shared_timed_open(pair.name, &pair.base, MS(10)), EBADMSG);
  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf)); /* nobody holds it */
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_works(&pair);
  check_close_pair(&pair);
}

static void open_without_room(void *arg)
{
  _Atomic bool *mounted = arg;
  unsigned char page[PAGE];
  size_t size = take_page(page);
  struct shmem_conf conf = check_conf(0, 8, SAMPLELEN, 8);
  struct pair pair = {.name = "villas-check-holes"};

  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
      mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=64k,mode=1777") != 0)
    return;
  *mounted = true;
  write_sparse(pair.name, page, size);
  CHECK_REFUSED(shmem_shared_open(pair.name, &pair.base), EBADMSG);
  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_works(&pair);
  check_close_pair(&pair);
}

/* Where there is no room, a look into a hole is SIGBUS. */
static void a_region_with_holes_kills_nobody_in_a_full_dev_shm(void)
{
  _Atomic bool *mounted = check_shared(sizeof *mounted);

  if (geteuid() != 0)
    return; /* a small /dev/shm cannot be mounted */
  CHECK_CHILD_ENDS_WELL(check_spawn(open_without_room, (void *)mounted), 20);
  if (!*mounted)
    printf("no small /dev/shm can be mounted here\n");
}

/* ---- a peer that lies about its samples ------------------------------------------------------ */

static void a_forged_length_or_capacity_leads_nowhere(void)
{
  for (int round = 0; round < 4; round++) {
    struct shmem_conf conf = check_conf(0, 4, SAMPLELEN, 4);
    struct pair pair = check_open_pair("forged", &conf);
    struct sample *smp = check_make(pair.program, 1), *got = NULL;
    const unsigned int capacity = smp->capacity;

    /* Before the write: refused; the true capacity counts, not the one that the header says. */
    smp->capacity = 1u << 30;
    smp->length = capacity + 1;
    CHECK_GIVES(shmem_shared_write(pair.program, &smp, 1), -1, EINVAL);
    smp->capacity = capacity;
    smp->length = 1;
    CHECK_EQ(sample_get(smp), 2);
    CHECK_EQ(shmem_shared_write(pair.program, &smp, 1), 1);

    /* After it: the reader gets an error, or a sample that is within bounds. */
    if (round & 1)
      smp->capacity = 1u << 31;
    smp->length = round & 2 ? 0xffffffff : capacity + 1;
    errno = 0;
    int result = shmem_shared_try_read(pair.node, &got, 1);
    CHECK((result == 1 && got->length <= capacity) || (result == -1 && errno == EBADMSG));
    if (result == 1)
      CHECK_EQ(sample_put(got), 0);
    check_close_pair(&pair);
    /* The program's reference is left: a put after the close is legal. */
    CHECK_EQ(sample_put(smp), 0);
  }
}

int main(void)
{
  check_begin();
  RUN(a_region_that_is_scribbled_over_kills_nobody);
  RUN(a_header_that_was_tampered_with_kills_nobody);
  RUN(create_replaces_a_broken_region_that_nobody_holds);
  RUN(a_region_with_holes_is_refused);
  RUN(a_region_with_holes_kills_nobody_in_a_full_dev_shm);
  RUN(a_forged_length_or_capacity_leads_nowhere);
  return 0;
}
