/* Endpoints: two rings seen from two sides. */
#include "check.h"

static const int policies[] = {SHMEM_SPSC, SHMEM_MPSC, SHMEM_MPMC};

static struct shmem_endpoint *a, *b;

/* Removed at the end under the names of its rings. */
static const char *endpoint_name(void)
{
  static char name[CHECK_NAME_SIZE];
  const char *first = check_name("end");
  strcpy(name, first);
  sprintf(check_names[check_name_count++], "%s_AB", name);
  sprintf(check_names[check_name_count++], "%s_BA", name);
  return name;
}

static const char *open_both(int policy)
{
  const char *name = endpoint_name();
  CHECK_HANDLE(a = shmem_endpoint_open(name, policy, SHMEM_SIDE_A, 8, 3));
  CHECK_HANDLE(b = shmem_endpoint_open(name, policy, SHMEM_SIDE_B, 8, 3));
  return name;
}

static void messages_cross_in_both_directions(void)
{
  for (int p = 0; p < 3; p++) {
    const char *name = open_both(policies[p]);
    uint64_t n, many[4] = {1, 2, 3, 4}, got[4];

    for (n = 1; n <= 20; n++) {
      uint64_t back = n + 100, in;
      CHECK_EQ(shmem_endpoint_send(a, &n), 0);
      CHECK_EQ(shmem_endpoint_pending(b), 1);
      CHECK_EQ(shmem_endpoint_empty(a), 1);
      CHECK_EQ(shmem_endpoint_receive(b, &in), 0);
      CHECK_EQ(in, n);
      CHECK_EQ(shmem_endpoint_timed_send(b, &back, MS(100)), 0);
      CHECK_EQ(shmem_endpoint_timed_receive(a, &in, MS(100)), 0);
      CHECK_EQ(in, n + 100);
    }
    CHECK_EQ(shmem_endpoint_send_many(a, many, 4), 3);
    CHECK_EQ(shmem_endpoint_full(a), 1);
    CHECK_EQ(shmem_endpoint_available(a), 0);
    CHECK_EQ(shmem_endpoint_available(b), 3);
    CHECK_GIVES(shmem_endpoint_try_send(a, many), -1, EAGAIN);
    CHECK_GIVES(shmem_endpoint_timed_send(a, many, MS(1)), -1, ETIMEDOUT);
    CHECK_EQ(shmem_endpoint_receive_many(b, got, 4), 3);
    CHECK(memcmp(many, got, 3 * sizeof *got) == 0);
    CHECK_GIVES(shmem_endpoint_try_receive(b, got), -1, EAGAIN);
    CHECK_GIVES(shmem_endpoint_timed_receive(b, got, MS(1)), -1, ETIMEDOUT);
    CHECK_EQ(shmem_endpoint_close(a), 0);
    CHECK_EQ(shmem_endpoint_close(b), 0);
    CHECK_EQ(shmem_endpoint_unlink(name), 0);
    CHECK_GIVES(shmem_endpoint_unlink(name), -1, ENOENT);
  }
}

static void all_that_rings_can_do_can_be_done_with_its_rings(void)
{
  const char *name = open_both(SHMEM_SPSC);
  struct shmem_ring *out = shmem_endpoint_outgoing(a), *in = shmem_endpoint_incoming(b);

  uint64_t *slot = shmem_ring_reserve(out);
  CHECK(slot);
  *slot = 6;
  CHECK_EQ(shmem_ring_commit(out, slot), 0);
  const uint64_t *message = shmem_ring_peek(in);
  CHECK(message && *message == 6);
  CHECK_EQ(shmem_ring_release(in, message), 0);
  CHECK_EQ(shmem_endpoint_close(a), 0);
  CHECK_GIVES(shmem_ring_try_push(out, &(uint64_t){1}), -1, EPIPE);
  CHECK_EQ(shmem_endpoint_close(b), 0);
  CHECK_EQ(shmem_endpoint_unlink(name), 0);
}

static void a_plain_unlink_removes_one_ring(void)
{
  const char *name = open_both(SHMEM_MPSC);
  char one[CHECK_NAME_SIZE + 8];

  sprintf(one, "/%s_BA", name);
  CHECK_EQ(shmem_ring_unlink(one), 0);
  CHECK_GIVES(shmem_ring_unlink(one), -1, ENOENT);
  CHECK_EQ(shmem_endpoint_unlink(name), 0); /* the other one */
  sprintf(one, "%s_AB", name);
  CHECK_GIVES(shmem_ring_unlink(one), -1, ENOENT);
  CHECK_EQ(shmem_endpoint_close(a), 0);
  CHECK_EQ(shmem_endpoint_close(b), 0);
}

static void what_cannot_be_is_refused(void)
{
  const char *name = endpoint_name();
  char ring_name[CHECK_NAME_SIZE + 8];
  struct shmem_ring *ring;
  uint64_t n = 0;

  CHECK_REFUSED(shmem_endpoint_open(name, SHMEM_SPSC, 0, 8, 3), EINVAL);
  CHECK_REFUSED(shmem_endpoint_open(name, SHMEM_SPSC, 3, 8, 3), EINVAL);
  CHECK_REFUSED(shmem_endpoint_open("", SHMEM_SPSC, SHMEM_SIDE_A, 8, 3), EINVAL);
  CHECK_REFUSED(shmem_endpoint_open("/", SHMEM_SPSC, SHMEM_SIDE_A, 8, 3), EINVAL);
  CHECK_REFUSED(shmem_endpoint_open(NULL, SHMEM_SPSC, SHMEM_SIDE_A, 8, 3), EINVAL);
  CHECK_REFUSED(shmem_endpoint_open(name, 0, SHMEM_SIDE_A, 8, 3), EINVAL);
  CHECK_GIVES(shmem_endpoint_send(NULL, &n), -1, EINVAL);
  CHECK_GIVES(shmem_endpoint_receive((struct shmem_endpoint *)&n, &n), -1, EINVAL);
  CHECK_GIVES(shmem_endpoint_close(NULL), -1, EINVAL);
  CHECK_GIVES(shmem_endpoint_unlink(""), -1, EINVAL);
  /* One of the two is taken: the other is let go. */
  sprintf(ring_name, "%s_BA", name);
  CHECK_HANDLE(ring = shmem_ring_open(ring_name, SHMEM_SPSC, SHMEM_CONSUMER, 8, 3));
  CHECK_REFUSED(shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, 8, 3), EBUSY);
  CHECK_EQ(shmem_ring_close(ring), 0);
  CHECK_HANDLE(a = shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, 8, 3));
  CHECK_REFUSED(shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, 8, 3), EBUSY);
  CHECK_REFUSED(shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_B, 9, 3), EPROTO);
  /* Closed by itself, its handle would soon be some other ring's, to which the endpoint would send. */
  CHECK_GIVES(shmem_ring_close(shmem_endpoint_outgoing(a)), -1, EINVAL);
  CHECK_GIVES(shmem_ring_close(shmem_endpoint_incoming(a)), -1, EINVAL);
  CHECK_EQ(shmem_endpoint_send(a, &n), 0);
  CHECK_EQ(shmem_endpoint_close(a), 0);
  CHECK_GIVES(shmem_endpoint_close(a), -1, EINVAL);
  CHECK_GIVES(shmem_endpoint_send(a, &n), -1, EPIPE);
  CHECK_EQ(shmem_endpoint_unlink(name), 0);
}

static void *receive_thread(void *arg)
{
  uint64_t n;
  _Atomic int *error = arg;
  int result = shmem_endpoint_receive(a, &n);
  atomic_store(error, result ? errno : -1);
  return NULL;
}

static void an_interruption_and_a_close_end_a_wait(void)
{
  const char *name = open_both(SHMEM_SPSC);

  for (int closes = 0; closes < 2; closes++) {
    _Atomic int error = 0;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, receive_thread, (void *)&error), 0);
    if (closes) {
      CHECK_EQ(shmem_endpoint_close(a), 0);
      WAIT_UNTIL(atomic_load(&error), 2);
      CHECK_EQ(atomic_load(&error), EPIPE);
    } else {
      /* Also if it has not yet begun to wait. */
      CHECK_EQ(shmem_endpoint_interrupt(a), 0);
      WAIT_UNTIL(atomic_load(&error), 10);
      CHECK_EQ(atomic_load(&error), EINTR);
    }
    pthread_join(thread, NULL);
  }
  CHECK_EQ(shmem_endpoint_close(b), 0);
  CHECK_EQ(shmem_endpoint_unlink(name), 0);
}

/* The second of its rings is there, and another one than is asked for. */
static void an_endpoint_that_cannot_be_opened_leaves_no_ring(void)
{
  const char *name = check_name("half");
  struct shmem_ring *other;
  char path[300];

  snprintf(path, sizeof path, "%s_BA", name);
  CHECK_HANDLE(other = shmem_ring_open(path, SHMEM_SPSC, SHMEM_PRODUCER, 8, 64));
  CHECK_REFUSED(shmem_endpoint_open(name, SHMEM_SPSC, SHMEM_SIDE_A, 8, 4), EPROTO);
  snprintf(path, sizeof path, "%s_AB", check_path(name));
  CHECK_EQ(access(path, F_OK), -1);
  CHECK_EQ(shmem_ring_close(other), 0);
  CHECK_EQ(shmem_endpoint_unlink(name), 0);
}

int main(void)
{
  check_begin();
  RUN(messages_cross_in_both_directions);
  RUN(all_that_rings_can_do_can_be_done_with_its_rings);
  RUN(a_plain_unlink_removes_one_ring);
  RUN(what_cannot_be_is_refused);
  RUN(an_interruption_and_a_close_end_a_wait);
  RUN(an_endpoint_that_cannot_be_opened_leaves_no_ring);
  return 0;
}
