/* poll: two channels, a timer and the keyboard in one loop, in one thread. Once a second it prints
 * what came last from each of two nodes. A number that is typed is sent to both as their set point.
 * It survives every restart of a node, and ends after "quit" or the end of its input.
 *
 *     cc poll.c -lvillas_shm -o poll && ./poll NAME NAME
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <villas/shmem.h>

enum { CHANNELS = 2, TIMER = CHANNELS, INPUT, POLLED, BATCH = 64 };

static const char *const *names;
static struct shmem_shared *channels[CHANNELS]; /* NULL: not open */
static struct pollfd polled[POLLED]; /* poll leaves out what has a negative number */
static double values[CHANNELS];

static void fail(const char *what, const char *why)
{
  fprintf(stderr, "poll: %s: %s\n", what, why);
  exit(1);
}

/* After a call that failed. The descriptor stays readable at an end, so it must not be polled. */
static void rest(int i)
{
  polled[i].fd = -1;
  if (errno == EPIPE) { /* the channel goes on when the next node attaches */
    printf("%s: the node has gone\n", names[i]);
  } else if (errno == ESTALE) { /* nobody can come to that region any more */
    printf("%s: the region has gone\n", names[i]);
    shmem_shared_close(channels[i], NULL);
    channels[i] = NULL;
  } else {
    fail(names[i], shmem_last_error());
  }
}

/* Reads once: if there is more, the next poll returns at once. */
static void receive(int i)
{
  struct sample *smps[BATCH];
  int count = shmem_shared_try_read(channels[i], smps, BATCH);

  if (count < 0)
    rest(i);
  if (count <= 0) /* 0: woken without a reason */
    return;
  if (smps[count - 1]->length > 0)
    values[i] = smps[count - 1]->data[0].f;
  sample_put_many(smps, (unsigned int)count);
}

/* Whether there is a node. Does not wait. */
static int finds_node(int i)
{
  static const struct timespec now;

  if (channels[i])
    return shmem_shared_wait(channels[i], &now) == 0;
  return (channels[i] = shmem_shared_open(names[i], NULL)) != NULL;
}

static void connect_again(int i)
{
  if (finds_node(i) && (polled[i].fd = shmem_shared_fd(channels[i], SHMEM_FD_READ)) >= 0) {
    printf("%s: connected\n", names[i]);
  } else if (errno != ENOENT && errno != EAGAIN && errno != ETIMEDOUT && errno != EINTR) {
    rest(i);
  }
}

static void send_to(int i, double value)
{
  struct sample *smp;

  if (polled[i].fd < 0 || sample_alloc(&channels[i]->pool, &smp, 1) != 1)
    return; /* no node, or it has not read for long: set points are not queued up */
  smp->length = 1;
  smp->data[0].f = value;
  smp->flags = SAMPLE_HAS_TS_ORIGIN | SAMPLE_HAS_DATA;
  clock_gettime(CLOCK_REALTIME, &smp->ts.origin);
  if (shmem_shared_write(channels[i], &smp, 1) != 1)
    sample_put(smp); /* the next read tells whether the node has gone */
}

/* One letter a call, not by stdio: poll knows nothing of what that has in its buffers. Returns 0 at
 * the end. */
static int type(void)
{
  static char line[32];
  static size_t used;
  char letter;
  ssize_t got = read(polled[INPUT].fd, &letter, 1);

  if (got != 1)
    return got < 0 && (errno == EINTR || errno == EAGAIN);
  if (letter != '\n') {
    if (used < sizeof line - 1)
      line[used++] = letter;
    return 1;
  }
  line[used] = '\0';
  used = 0;
  if (strcmp(line, "quit") == 0)
    return 0;
  for (int i = 0; i < CHANNELS; i++)
    send_to(i, strtod(line, NULL));
  return 1;
}

static void tick(void)
{
  uint64_t ticks;

  if (read(polled[TIMER].fd, &ticks, sizeof ticks) != sizeof ticks)
    return;
  for (int i = 0; i < CHANNELS; i++)
    if (polled[i].fd < 0)
      connect_again(i);
  printf("%s %g, %s %g\n", names[0], values[0], names[1], values[1]);
  fflush(stdout);
}

int main(int argc, char *argv[])
{
  const struct itimerspec each_second = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_nsec = 1}};

  if (argc != 1 + CHANNELS)
    return fprintf(stderr, "usage: poll NAME NAME\n"), 1;
  names = (const char *const *)argv + 1;
  for (int i = 0; i < POLLED; i++)
    polled[i] = (struct pollfd){.fd = -1, .events = POLLIN};
  polled[INPUT].fd = STDIN_FILENO;
  polled[TIMER].fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timerfd_settime(polled[TIMER].fd, 0, &each_second, NULL) == -1)
    fail("timer", strerror(errno));
  for (;;) {
    if (poll(polled, POLLED, -1) == -1) { /* EINTR: a signal, for instance SIGCONT */
      if (errno != EINTR)
        fail("poll", strerror(errno));
      continue;
    }
    for (int i = 0; i < CHANNELS; i++)
      if (polled[i].revents)
        receive(i);
    if (polled[TIMER].revents)
      tick();
    if (polled[INPUT].revents && !type())
      break;
  }
  for (int i = 0; i < CHANNELS; i++)
    if (channels[i])
      shmem_shared_close(channels[i], NULL); /* and its descriptor */
  return 0;
}
