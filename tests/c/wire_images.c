/* Regions that VILLASnode wrote, as the peer's: a process that has such an image as its region plays VILLASnode, does the
 * handshake, and stays. Read through the interface; then with damaged ones. */
#include "wire.h"

#include <dirent.h>

enum { IMAGES = 64, ROOM = 1 << 20 };

static char paths[IMAGES][512];
static int path_count;

static void find_images(const char *directory)
{
  DIR *entries = opendir(directory);
  struct dirent *entry;

  if (!entries)
    check_fail(__FILE__, __LINE__, "no directory %s", directory);
  while ((entry = readdir(entries))) {
    const char *end = strrchr(entry->d_name, '.');
    if (!end || strcmp(end, ".img") != 0)
      continue;
    CHECK(path_count < IMAGES);
    CHECK(snprintf(paths[path_count++], sizeof paths[0], "%s/%s", directory, entry->d_name) <
          (int)sizeof paths[0]);
  }
  closedir(entries);
}

/* What the children share with the test. */
struct node {
  const char *names[2]; /* the node writes names[0] */
  _Atomic bool posted;
  size_t size;
  unsigned char bytes[ROOM];
};

static struct node *node;

static void load(const char *path)
{
  int fd = open(path, O_RDONLY);

  CHECK(fd >= 0);
  ssize_t size = read(fd, node->bytes, ROOM);
  CHECK(size > 800 && size < ROOM);
  node->size = (size_t)size;
  CHECK_EQ(close(fd), 0);
}

static sem_t *semaphore(const char *name)
{
  char path[CHECK_NAME_SIZE + 1];

  snprintf(path, sizeof path, "/%s", name);
  sem_t *found = sem_open(path, O_CREAT, 0600, 0);
  CHECK(found != SEM_FAILED);
  return found;
}

/* The image as the region of a process that lives. */
static void *publish_image(void)
{
  int fd = open(check_path(node->names[0]), O_RDWR | O_CREAT | O_EXCL, 0600);

  CHECK(fd >= 0);
  CHECK_EQ(ftruncate(fd, (off_t)node->size), 0);
  void *mapped = mmap(NULL, node->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(mapped != MAP_FAILED);
  CHECK_EQ(close(fd), 0);
  memcpy(mapped, node->bytes, node->size);
  return mapped;
}

static void play_villasnode(void *arg)
{
  (void)arg;
  sem_t *own = semaphore(node->names[0]), *other = semaphore(node->names[1]);
  publish_image();
  CHECK_EQ(sem_post(own), 0);
  node->posted = true;
  CHECK_EQ(sem_wait(other), 0);
  int fd = open(check_path(node->names[1]), O_RDWR);
  CHECK(fd >= 0 || errno == ENOENT); /* and stays open; or the other has given up meanwhile */
  sem_unlink(check_names[check_name_count - 1] + 4);
  for (;;)
    pause();
}

static pid_t start_node(void)
{
  node->names[0] = wire_name("node");
  node->names[1] = wire_name("program");
  node->posted = false;
  pid_t pid = check_spawn(play_villasnode, NULL);
  WAIT_UNTIL(node->posted, 20);
  return pid;
}

static void open_beside(struct shmem_int *shm)
{
  struct shmem_conf conf = check_conf(0, 8, 4, 0);

  if (shmem_int_timed_open(node->names[1], node->names[0], shm, &conf, PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
}

static void check_sample(const struct sample *smp, unsigned int k)
{
  CHECK_EQ(smp->sequence, 1000 + k);
  CHECK_EQ(smp->length, k + 1);
  CHECK(smp->capacity >= 5);
  CHECK_EQ(smp->flags, SAMPLE_HAS_TS_ORIGIN | SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_DATA |
                           (k == 4 ? SAMPLE_IS_FIRST : 0));
  CHECK_EQ(smp->ts.origin.tv_sec, 1700000000 + k);
  CHECK_EQ(smp->ts.origin.tv_nsec, 123456789);
  CHECK(smp->ts.received.tv_sec == 0 && smp->ts.received.tv_nsec == 0);
  for (unsigned int v = 0; v < smp->length; v++)
    CHECK(smp->data[v].f == k + v / 10.0);
}

/* How many blocks of the image are in its pool: what its pool's queue says. */
static uint64_t free_blocks(const struct shmem_int *shm)
{
  const char *pool_queue = (const char *)shm->read.base + WIRE_POOL + 40;
  uint64_t tail, head;

  memcpy(&tail, pool_queue + 152, sizeof tail);
  memcpy(&head, pool_queue + 224, sizeof head);
  return tail - head;
}

static void each_image_is_read_from_a_process_that_lives(void)
{
  for (int i = 0; i < path_count; i++) {
    bool taken = strstr(paths[i], "1-held") || strstr(paths[i], "closed");
    unsigned int first = strstr(paths[i], "fresh") ? 5 : taken ? 2 : 0;
    struct sample *smps[6];
    struct shmem_int shm;

    load(paths[i]);
    pid_t pid = start_node();
    open_beside(&shm);
    CHECK_EQ(shm.read.len, node->size);
    CHECK_EQ(shm.read.shared->polling, strstr(paths[i], "polling") != NULL);
    CHECK_EQ(shmem_int_peer_alive(&shm), !strstr(paths[i], "closed"));
    CHECK_EQ(wire_stats(&shm).queued_in, 5 - first);
    uint64_t before = free_blocks(&shm);
    for (unsigned int k = first; k < 5; k++) {
      CHECK_EQ(shmem_int_timed_read(&shm, smps, 1, PATIENT), 1);
      check_sample(smps[0], k);
      CHECK_EQ(sample_put(smps[0]), 0);
    }
    /* Blocks go back to their pool together, at the latest when there is nothing to read. */
    if (strstr(paths[i], "closed")) {
      CHECK_GIVES(shmem_int_timed_read(&shm, smps, 6, NULL), -1, EPIPE);
      CHECK_EQ(free_blocks(&shm), before + 5 - first);
    } else {
      CHECK_GIVES(shmem_int_try_read(&shm, smps, 6), 0, EAGAIN);
      CHECK_EQ(free_blocks(&shm), before + 5 - first);
      check_kill(pid);
      CHECK_GIVES(shmem_int_timed_read(&shm, smps, 6, NULL), -1, EPIPE);
    }
    if (strstr(paths[i], "closed"))
      check_kill(pid);
    CHECK_EQ(shmem_int_close(&shm), 0);
    CHECK(wire_nothing_left(node->names[1]));
  }
}

/* ---- damaged ones ---------------------------------------------------------------------------- */

static void damage(void)
{
  static const uint64_t words[] = {0, 1, 2, 3, 5, 8, UINT64_MAX, UINT64_MAX - 7, 1ull << 63, 1ull << 32, 3216};
  uint64_t count = 1 + check_chance(4);

  for (uint64_t i = 0; i < count; i++) {
    /* The head, the cells and the first blocks, or anywhere. */
    size_t at = 8 * (check_chance(3) ? 10 + check_chance(160) : check_chance(node->size / 8));
    uint64_t word;
    memcpy(&word, node->bytes + at, 8);
    switch (check_chance(3)) {
    case 0:
      word = words[check_chance(sizeof words / sizeof *words)];
      break;
    case 1:
      word ^= 1ull << check_chance(64);
      break;
    default:
      word += check_chance(129) - 64;
    }
    /* glibc's condition is taken on trust: see shmem.h. */
    if (at < 392 || at >= 440)
      memcpy(node->bytes + at, &word, 8);
  }
}

/* Every call ends, and says something that it may say. */
static void use_all(struct shmem_int *shm)
{
  struct sample *smps[3], *own;

  for (int i = 0; i < 30; i++) {
    errno = 0;
    int got = i % 10 ? shmem_int_try_read(shm, smps, 3) : shmem_int_timed_read(shm, smps, 3, MS(2));
    CHECK(got >= -1 && got <= 3);
    CHECK(got >= 0 || errno == EBADMSG || errno == EPIPE);
    for (int k = 0; k < got; k++) {
      volatile double last = 0;
      for (unsigned int v = 0; v < smps[k]->length && v < smps[k]->capacity; v++)
        last = smps[k]->data[v].f;
      (void)last;
      if (k % 2 || shmem_int_write(shm, &smps[k], 1) != 1)
        CHECK(sample_put(smps[k]) >= 0);
    }
    if (shmem_int_alloc(shm, &own, 1) == 1 && shmem_int_write(shm, &own, 1) != 1)
      CHECK_EQ(sample_put(own), 0);
  }
  shmem_int_peer_alive(shm);
  wire_stats(shm);
}

static void a_damaged_region_is_refused_or_used_and_ends_nobody(void)
{
  uint64_t opened = 0, waited = 0;

  for (uint64_t round = 0; round < check_scaled(150); round++) {
    struct shmem_conf conf = check_conf(0, 8, 4, 0);
    struct shmem_int shm;

    load(paths[check_chance((uint64_t)path_count)]);
    if (node->size > 100000)
      continue;
    damage();
    pid_t pid = start_node();
    errno = 0;
    if (shmem_int_timed_open(node->names[1], node->names[0], &shm, &conf, MS(60)) == 0) {
      opened++;
      use_all(&shm);
      check_kill(pid);
      shmem_int_peer_alive(&shm); /* so that a close does not wait for it */
      CHECK_EQ(shmem_int_close(&shm), 0);
    } else {
      CHECK_EQ(errno, ETIMEDOUT);
      waited++;
      check_kill(pid);
    }
    CHECK(!wire_exists(node->names[1]));
    check_cleanup();
    check_name_count -= 4;
  }
  CHECK(check_valgrind() || (opened > 0 && waited > 0));
}

int main(void)
{
  const char *more = getenv("VILLASNODE_IMAGES");

  check_begin();
  node = check_shared(sizeof *node);
  find_images("tests/wire/images");
  if (more && *more)
    find_images(more);
  CHECK(path_count >= 12);
  RUN(each_image_is_read_from_a_process_that_lives);
  RUN(a_damaged_region_is_refused_or_used_and_ends_nobody);
  return 0;
}
