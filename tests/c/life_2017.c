/* A program in the manner of libvillas' 2017 clients: open by name, then read, allocate from
 * &shm->pool, copy header and values, put, write; its signal handler closes while main reads. */
#include "check.h"

/* ---- the program ----------------------------------------------------------------------------- */

enum { MAX_VECTORIZE = 64 };

struct client {
  const char *name;
  unsigned int vectorize;
  bool close_again; /* main closes too, after its loop */
  _Atomic uint64_t written;
};

static struct shmem_shared *client_shm;
static void *client_base;

static void quit(int number)
{
  (void)number;
  shmem_shared_close(client_shm, client_base);
}

static void run_client(void *arg)
{
  struct client *client = arg;
  struct sample *insmps[MAX_VECTORIZE], *outsmps[MAX_VECTORIZE];
  int readcnt, avail, writecnt;

  client_shm = shmem_shared_open(client->name, &client_base);
  CHECK_HANDLE(client_shm);
  signal(SIGINT, quit);
  signal(SIGTERM, quit);

  while ((readcnt = shmem_shared_read(client_shm, insmps, client->vectorize)) != -1) {
    avail = sample_alloc(&client_shm->pool, outsmps, (unsigned int)readcnt);
    if (avail < 0) {
      CHECK_EQ(errno, EPIPE); /* closed in between */
      avail = 0;
    } else {
      CHECK_EQ(avail, readcnt); /* the node keeps few enough under way */
    }
    for (int i = 0; i < avail; i++) {
      outsmps[i]->sequence = insmps[i]->sequence;
      outsmps[i]->flags = insmps[i]->flags;
      outsmps[i]->ts = insmps[i]->ts;
      unsigned int length = insmps[i]->length;
      if (length > outsmps[i]->capacity)
        length = outsmps[i]->capacity;
      memcpy(outsmps[i]->data, insmps[i]->data, SAMPLE_DATA_LEN(length));
      outsmps[i]->length = length;
    }
    for (int i = 0; i < readcnt; i++)
      CHECK_EQ(sample_put(insmps[i]), 0);

    writecnt = shmem_shared_write(client_shm, outsmps, (unsigned int)avail);
    if (writecnt < 0) {
      CHECK_EQ(errno, EPIPE);
      writecnt = 0;
    } else if (writecnt < avail) { /* never full: the node keeps few enough under way */
      CHECK_GIVES(shmem_shared_try_read(client_shm, insmps, 1), -1, EPIPE);
    }
    for (int i = writecnt; i < avail; i++)
      CHECK_EQ(sample_put(outsmps[i]), 0);
    client->written += (uint64_t)writecnt;
  }
  CHECK_EQ(errno, EPIPE);
  if (client->close_again)
    shmem_shared_close(client_shm, client_base); /* harmless after the handler's */
}

/* ---- the node -------------------------------------------------------------------------------- */

static void make(struct sample *smp, uint64_t number)
{
  smp->sequence = number;
  smp->flags = SAMPLE_HAS_ALL;
  smp->length = 1 + (unsigned int)(number % 8);
  smp->ts.origin = (struct timespec){(time_t)number, 5};
  smp->ts.received = (struct timespec){(time_t)number, 6};
  for (unsigned int i = 0; i < smp->length; i++)
    smp->data[i].f = (double)number + 0.1 * i;
}

static void compare(const struct sample *smp, uint64_t number)
{
  CHECK_EQ(smp->sequence, number);
  CHECK_EQ(smp->flags, SAMPLE_HAS_ALL);
  CHECK_EQ(smp->length, 1 + number % 8);
  CHECK_EQ(smp->ts.origin.tv_sec, number);
  CHECK_EQ(smp->ts.origin.tv_nsec, 5);
  CHECK_EQ(smp->ts.received.tv_nsec, 6);
  for (unsigned int i = 0; i < smp->length; i++)
    CHECK(smp->data[i].f == (double)number + 0.1 * i);
}

/* Sends all, at most 64 of them under way, and compares what comes back. Ends early, when that is
 * allowed, as the client closes. Gives how many came back. */
static uint64_t exchange(struct shmem_shared *shm, uint64_t count, bool may_close, pid_t stop_when,
                         uint64_t stop_at)
{
  struct sample *smp, *smps[16];
  uint64_t sent = 0, back = 0;

  while (back < count) {
    if (sent < count && sent - back < 64) {
      CHECK_EQ(shmem_shared_timed_alloc(shm, &smp, 1, NULL), 1);
      make(smp, sent);
      if (shmem_shared_write(shm, &smp, 1) == 1) {
        sent++;
        if (sent == stop_at)
          CHECK_EQ(kill(stop_when, SIGTERM), 0);
      } else {
        CHECK(may_close && errno == EPIPE);
        CHECK_EQ(sample_put(smp), 0);
      }
    }
    int got = sent < count && sent - back < 64 ? shmem_shared_try_read(shm, smps, 16)
                                               : shmem_shared_read(shm, smps, 16);
    if (got < 0) {
      CHECK(may_close && errno == EPIPE);
      return back;
    }
    for (int i = 0; i < got; i++) {
      compare(smps[i], back++);
      CHECK_EQ(sample_put(smps[i]), 0);
    }
  }
  return back;
}

static struct client *new_client(const char *name, unsigned int vectorize, bool close_again)
{
  struct client *client = check_shared(sizeof *client);

  client->name = name;
  client->vectorize = vectorize;
  client->close_again = close_again;
  return client;
}

static void the_client_ends_when_the_node_closes(void)
{
  for (int polling = 0; polling < 2; polling++) {
    for (unsigned int vectorize = 1; vectorize <= MAX_VECTORIZE; vectorize *= 8) {
      struct shmem_conf conf = check_conf(polling, 512, 8, 0);
      const uint64_t count = check_scaled(polling ? 4000 : 20000);
      struct client *client = new_client(check_name("node-closes"), vectorize, true);
      struct shmem_shared *node;

      CHECK_HANDLE(node = shmem_shared_create(client->name, &conf));
      pid_t pid = check_spawn(run_client, client);
      CHECK_EQ(exchange(node, count, false, 0, 0), count);
      CHECK_EQ(shmem_shared_close(node, NULL), 0);
      CHECK_CHILD_ENDS_WELL(pid, 5);
      CHECK_EQ(client->written, count);
    }
  }
}

static void a_close_in_the_handler_ends_the_read_that_main_sits_in(void)
{
  for (int round = 0; round < 30; round++) {
    struct shmem_conf conf = check_conf(round % 2, 16, 8, 64);
    struct client *client = new_client(check_name("handler"), 1, round & 2);
    struct shmem_shared *node;
    struct sample *smp;

    CHECK_HANDLE(node = shmem_shared_create(client->name, &conf));
    pid_t pid = check_spawn(run_client, client);
    CHECK_EQ(exchange(node, 10, false, 0, 0), 10);
    if (!conf.polling)
      WAIT_UNTIL(check_asleep(pid, pid), 5);
    CHECK_EQ(kill(pid, round & 1 ? SIGINT : SIGTERM), 0);
    CHECK_CHILD_ENDS_WELL(pid, 2);
    CHECK_GIVES(shmem_shared_read(node, &smp, 1), -1, EPIPE);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(client->name), 0);
    check_name_count--;
  }
}

static void a_close_in_the_handler_amid_traffic_loses_nothing_written(void)
{
  for (uint64_t round = 0; round < check_scaled(150); round++) {
    struct shmem_conf conf = check_conf((int)(round % 2), 128, 8, 64);
    const unsigned int vectorize = 1 + (unsigned int)check_chance(8);
    struct client *client = new_client(check_name("traffic"), vectorize, round & 2);
    struct shmem_shared *node;

    CHECK_HANDLE(node = shmem_shared_create(client->name, &conf));
    pid_t pid = check_spawn(run_client, client);
    CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
    CHECK_EQ(exchange(node, 1, false, 0, 0), 1); /* its handler is set by now */
    uint64_t back = exchange(node, 1u << 30, true, pid, 1 + check_chance(500));
    CHECK_CHILD_ENDS_WELL(pid, 5);
    CHECK_EQ(back + 1, client->written);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(client->name), 0);
    check_name_count--;
  }
}

int main(void)
{
  check_begin();
  RUN(the_client_ends_when_the_node_closes);
  RUN(a_close_in_the_handler_ends_the_read_that_main_sits_in);
  RUN(a_close_in_the_handler_amid_traffic_loses_nothing_written);
  return 0;
}
