/* survivor: smooths the values of a node and sends them back. It survives every restart of its
 * node, and its successor goes on where it was killed. Copy it for a program that runs for months.
 *
 *     cc survivor.c -lvillas_shm -o survivor && ./survivor NAME
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <villas/shmem.h>

enum { BATCH = 16, SIGNALS = 64 };

static const struct timespec second = {.tv_sec = 1};
static volatile sig_atomic_t stopped; /* the signal that says so */
static struct shmem_shared *volatile shm; /* NULL while no channel is open */

static void on_signal(int number)
{
  int saved = errno;

  stopped = number;
  if (shm)
    shmem_shared_interrupt(shm); /* ends the current wait, or else the next one */
  errno = saved;
}

/* Your computation. */
static void smooth(struct sample *smp)
{
  static double level[SIGNALS];

  for (unsigned int i = 0; i < smp->length && i < SIGNALS; i++)
    smp->data[i].f = level[i] += 0.2 * (smp->data[i].f - level[i]);
}

/* Whether to repeat the call that has just moved nothing. After EPIPE, waits for the next node. */
static int again(void)
{
  if (errno == EPIPE && shmem_shared_wait(shm, &second) == 0)
    return !stopped;
  return !stopped && (errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR);
}

/* Sends the result for one sample: 1, or 0 if it cannot be sent. The result is a sample of its own:
 * if this process is killed here, its successor gets the input as the node sent it. */
static int answer(const struct sample *in)
{
  struct sample *out;

  while (shmem_shared_timed_alloc(shm, &out, 1, &second) != 1)
    if (!again())
      return 0;
  sample_copy(out, in); /* also the timestamps, the number, and the mark SAMPLE_REDELIVERED */
  smooth(out);
  while (shmem_shared_timed_write(shm, &out, 1, &second) != 1)
    if (!again())
      return sample_put(out), 0;
  return 1;
}

/* Works on the open channel for as long as that is of use. Returns the errno that has ended it. */
static int run(void)
{
  struct sample *in[BATCH];
  int count;

  while (!stopped && ((count = shmem_shared_read(shm, in, BATCH)) > 0 || again()))
    for (int i = 0; i < count; i++) {
      if (!answer(in[i])) {
        int error = errno;
        while (!stopped && i < count) /* after a stop, the successor gets what was not put */
          sample_put(in[i++]);
        return error;
      }
      sample_put(in[i]);
    }
  return errno;
}

int main(int argc, char *argv[])
{
  struct sigaction action = {.sa_handler = on_signal};

  if (argc != 2)
    return fprintf(stderr, "usage: survivor NAME\n"), 1;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  while (!stopped) {
    shm = shmem_shared_timed_open(argv[1], NULL, &second); /* waits for a node */
    int error = shm ? run() : again() ? 0 : errno;
    struct shmem_shared *closing = shm;
    shm = NULL; /* the handler leaves it alone from here on */
    if (closing)
      shmem_shared_close(closing, NULL);
    if (!stopped && error && error != ESTALE) /* ESTALE: nobody can come to that region any more */
      return fprintf(stderr, "survivor: %s\n", shmem_last_error()), 1;
  }
  return 0;
}
