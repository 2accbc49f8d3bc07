/* Names are bytes, as file names are: any but '/' and zero, with any number of slashes in front, as
 * the C library's `shm_open` takes them. */
#include "wire.h"

static const char *const slashes[] = {"", "/", "//", "////"};

/* "größe" as ISO 8859-1 has it, bytes that are UTF-8 nowhere, and what a terminal would take for a
 * command. */
static const char *const words[] = {"gr\xf6\xdf" "e", "\xff\xfe\x80", "\x1b[2J\x07", "gr\xc3\xb6\xc3\x9f" "e", " \\\"'$(x)\n"};

enum { WORDS = sizeof words / sizeof *words, SLASHES = sizeof slashes / sizeof *slashes };

/* The name with so many slashes. */
static const char *with(const char *slash, const char *name)
{
  static char text[8][300];
  static int next;
  char *to = text[next++ % 8];

  snprintf(to, sizeof text[0], "%s%s", slash, name);
  return to;
}

static bool is_there(const char *name)
{
  return access(check_path(name), F_OK) == 0;
}

static void try_kinds(const char *first, const char *second, const char *bare)
{
  const struct shmem_conf conf = check_conf(0, 4, 2, 2);
  struct shmem_shared *node, *program;
  struct shmem_ring *producer, *consumer;
  struct shmem_endpoint *a, *b;
  struct shmem_segment *segment, *again;
  struct shmem_int wire;
  char path[300];

  CHECK_HANDLE(node = shmem_shared_create(first, &conf));
  CHECK(is_there(bare));
  CHECK_HANDLE(program = shmem_shared_timed_open(second, NULL, PATIENT));
  check_send(node, 1, 1);
  check_receive(program, 1, 1);
  CHECK_EQ(shmem_shared_close(program, NULL), 0);
  CHECK_HANDLE(program = shmem_shared_open(second, NULL));
  CHECK_EQ(shmem_shared_close(program, NULL), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(shmem_shared_unlink(second), 0);

  CHECK_HANDLE(producer = shmem_ring_open(first, SHMEM_MPMC, SHMEM_PRODUCER, 8, 4));
  CHECK_HANDLE(consumer = shmem_ring_open(second, SHMEM_MPMC, SHMEM_CONSUMER, 8, 4));
  CHECK(is_there(bare));
  CHECK_EQ(shmem_ring_close(producer), 0);
  CHECK_EQ(shmem_ring_close(consumer), 0);
  CHECK_EQ(shmem_ring_unlink(second), 0);

  CHECK_HANDLE(a = shmem_endpoint_open(first, SHMEM_SPSC, SHMEM_SIDE_A, 8, 4));
  CHECK_HANDLE(b = shmem_endpoint_open(second, SHMEM_SPSC, SHMEM_SIDE_B, 8, 4));
  snprintf(path, sizeof path, "%s_AB", bare);
  CHECK(is_there(path));
  CHECK_EQ(shmem_endpoint_send(a, "7 bytes"), 0);
  CHECK_EQ(shmem_endpoint_receive(b, path), 0);
  CHECK_EQ(shmem_endpoint_close(a), 0);
  CHECK_EQ(shmem_endpoint_close(b), 0);
  CHECK_EQ(shmem_endpoint_unlink(second), 0);

  CHECK_HANDLE(segment = shmem_segment_open(first, 100, SHMEM_SEGMENT_CREATE, 0600));
  CHECK_HANDLE(again = shmem_segment_open(second, 0, 0, 0));
  CHECK_EQ(shmem_segment_close(segment), 0);
  CHECK_EQ(shmem_segment_close(again), 0);
  /* The same object as the C library's. */
  int fd = shm_open(with("/", bare), O_RDWR, 0);
  CHECK(fd >= 0);
  CHECK_EQ(close(fd), 0);
  CHECK_EQ(shmem_segment_unlink(second), 0);

  /* Other slashes make no other name: it reads what it writes. */
  if (shmem_int_open(first, second, &wire, &conf) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
  CHECK(is_there(bare));
  CHECK_EQ(shmem_int_close(&wire), 0);
  CHECK(wire_nothing_left(bare));
}

static void a_name_may_have_any_bytes(void)
{
  for (int i = 0; i < WORDS; i++) {
    const char *name = check_name(words[i]);

    try_kinds(name, name, name);
  }
}

static void slashes_in_front_make_no_difference(void)
{
  const char *name = check_name("slashes");

  for (int i = 0; i < SLASHES; i++)
    for (int k = 0; k < SLASHES; k++)
      try_kinds(with(slashes[i], name), with(slashes[k], name), name);
}

static void *open_other(void *arg)
{
  struct wire_pair *pair = arg;

  if (shmem_int_timed_open(with("//", pair->names[1]), with("/", pair->names[0]), &pair->ends[1], &pair->confs[1], PATIENT) != 0)
    check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
  return NULL;
}

/* By way of semaphores with these names, too. */
static void a_handshake_finds_its_peer_by_such_names(void)
{
  const struct shmem_conf conf = check_conf(0, 4, 2, 0);

  for (int i = 0; i < WORDS; i++) {
    struct wire_pair pair = {.names = {wire_name(words[i]), wire_name(words[(i + 1) % WORDS])}, .confs = {conf, conf}};
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, open_other, &pair), 0);
    if (shmem_int_timed_open(pair.names[0], pair.names[1], &pair.ends[0], &conf, PATIENT) != 0)
      check_fail(__FILE__, __LINE__, "open gave \"%s\"", shmem_last_error());
    CHECK_EQ(pthread_join(thread, NULL), 0);
    wire_close_pair(&pair);
  }
}

/* As long as a file's name may be, and a byte more. */
static void names_have_at_most_255_bytes(void)
{
  char name[258];

  memset(name, '\xf6', sizeof name);
  memcpy(name, "//", 2);
  memcpy(name + 2, check_name(""), strlen(check_name("")));
  name[257] = '\0';
  struct shmem_segment *segment;
  CHECK_HANDLE(segment = shmem_segment_open(name, 100, SHMEM_SEGMENT_CREATE, 0600));
  CHECK_EQ(shmem_segment_close(segment), 0);
  CHECK_EQ(shmem_segment_unlink(name), 0);
  name[1] = 'x';
  CHECK_REFUSED(shmem_segment_open(name, 100, SHMEM_SEGMENT_CREATE, 0600), EINVAL);
  CHECK(strstr(shmem_last_error(), "256") && strstr(shmem_last_error(), "255"));
}

/* A sentence is for a terminal. */
static void a_sentence_has_no_bytes_that_are_no_text(void)
{
  for (int i = 0; i < WORDS; i++) {
    const char *name = check_name(words[i]), *text;

    CHECK_REFUSED(shmem_shared_open(name, NULL), ENOENT);
    for (text = shmem_last_error(); *text; text++)
      CHECK((unsigned char)*text >= ' ' && *text != '\xf6' && *text != '\xff');
    /* What is text is shown as it is. */
    CHECK(!strstr(words[i], "\xc3\xb6") || strstr(shmem_last_error(), words[i]));
  }
  CHECK_REFUSED(shmem_shared_open("gr\xf6\xdf" "e", NULL), ENOENT);
  CHECK(strstr(shmem_last_error(), "gr\\xf6\\xdfe"));
}

/* Of a file by any name, too. */
static void a_key_is_made_of_a_file_by_any_name(void)
{
  const char *name = check_name("k\xf6y");
  struct shmem_segment *segment;

  CHECK_HANDLE(segment = shmem_segment_open(name, 1, SHMEM_SEGMENT_CREATE, 0600));
  CHECK(shmem_segment_key(check_path(name), 1) != -1);
  CHECK_EQ(shmem_segment_close(segment), 0);
  CHECK_EQ(shmem_segment_unlink(name), 0);
}

int main(void)
{
  check_begin();
  RUN(a_name_may_have_any_bytes);
  RUN(slashes_in_front_make_no_difference);
  RUN(a_handshake_finds_its_peer_by_such_names);
  RUN(names_have_at_most_255_bytes);
  RUN(a_sentence_has_no_bytes_that_are_no_text);
  RUN(a_key_is_made_of_a_file_by_any_name);
  return 0;
}
