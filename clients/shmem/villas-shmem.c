/* villas-shmem: the example client. It reads samples from a node through shared memory and
 * writes every one of them back.
 *
 * Copy this file to begin a program of your own: what your program computes goes where the
 * comment "your computation" stands. Build it with
 *
 *     cc -std=c11 -pthread villas-shmem.c -lvillas_shm -o villas-shmem
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <villas/shmem.h>

enum { MAX_VECTORIZE = 4096 };

static const char usage[] =
  "usage: villas-shmem [OPTION]... NAME [VECTORIZE]           one region, created by a node\n"
  "       villas-shmem [OPTION]... WNAME RNAME [VECTORIZE]    two regions, as VILLASnode has\n"
  "Reads samples from shared memory and writes them back.\n"
  "  NAME        the region, as the node's \"name\"\n"
  "  WNAME       the region that is written, as the node's \"in.name\"\n"
  "  RNAME       the region that is read, as the node's \"out.name\"\n"
  "  VECTORIZE   read up to that many samples at a time, 1 to 4096 (default 1); of two arguments,\n"
  "              an all-digit second one is VECTORIZE\n"
  "  -w SECONDS  wait that long for the node (2.5 is two and a half); by default not at all for\n"
  "              NAME, and without limit for WNAME and RNAME\n"
  "  -s VALUES   values that a sample in WNAME can have (default 64)\n"
  "  -v          print the name, unit and type of each value that is read or written\n"
  "Ends at SIGINT or SIGTERM, and when the node closes or dies.\n";

/* One of the two is open. */
static struct shmem_shared *one;
static struct shmem_int two;
static volatile sig_atomic_t stopped_by;

static void on_signal(int number)
{
  int saved = errno;

  if (number != SIGALRM)
    stopped_by = number;
  /* Allowed in a signal handler; ends a read or a write that waits, or else the next one. */
  if (one)
    shmem_shared_interrupt(one);
  else if (two.channel)
    shmem_int_interrupt(&two);
  else
    alarm(1); /* a signal just before the open waits does not end that: again in a second */
  errno = saved;
}

static int read_some(struct sample *smps[], long cnt)
{
  return one ? shmem_shared_read(one, smps, (unsigned int)cnt)
             : shmem_int_read(&two, smps, (unsigned int)cnt);
}

static int write_some(struct sample *smps[], int cnt, const struct timespec *timeout)
{
  return one ? shmem_shared_timed_write(one, smps, (unsigned int)cnt, timeout)
             : shmem_int_timed_write(&two, smps, (unsigned int)cnt, timeout);
}

/* Prints what the values of the samples are, as far as the region says. */
static void print_signals(int direction)
{
  static const char *const types[] = {"", "float", "integer", "boolean", "complex"};
  const char *what = direction == SHMEM_IN ? "reads" : "writes";
  size_t count = 0;
  const struct shmem_signal *list = one ? shmem_shared_signals(one, direction, &count)
                                        : shmem_int_signals(&two, direction, &count);

  if (count == 0)
    printf("%s values without names\n", what);
  for (size_t i = 0; i < count; i++) {
    printf("%s value %zu: %s", what, i, list[i].name);
    if (*list[i].unit)
      printf(" [%s]", list[i].unit);
    printf(", %s\n", types[list[i].type]);
  }
}

static int bad_usage(const char *what, const char *value)
{
  fprintf(stderr, "villas-shmem: %s%s\n%s", what, value, usage);
  return EXIT_FAILURE;
}

/* Writes all samples; waits while the queue is full. Returns how many the node's queue took: fewer
 * than cnt only when a signal stopped us, or with errno when the channel has ended. */
static int write_all(struct sample *smps[], int cnt)
{
  const struct timespec slice = {.tv_nsec = 100000000}; /* so that stopped_by is seen in any case */
  int written = 0;

  while (written < cnt && !stopped_by) {
    int more = write_some(smps + written, cnt - written, &slice);
    if (more < 0)
      break;
    written += more;
  }
  return written;
}

/* Says after a second what is waited for. It is a thread, as a signal would end the wait. */
static void *say_what_is_waited_for(void *arg)
{
  const struct timespec second = {.tv_sec = 1};
  char **names = arg;

  nanosleep(&second, NULL);
  if (names[1])
    fprintf(stderr,
            "villas-shmem: waiting for a node whose \"in.name\" is \"%s\" and whose \"out.name\" is "
            "\"%s\" (\"villas-shm pipe\" starts one)\n",
            names[0], names[1]);
  else
    fprintf(stderr,
            "villas-shmem: waiting for the region \"%s\": no node has created it yet (\"villas-shm "
            "pipe\" starts one)\n",
            names[0]);
  return NULL;
}

/* Starts that thread; all signals remain this one's. */
static bool start_to_say(pthread_t *thread, char *names[2])
{
  sigset_t all, before;
  bool started;

  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  started = pthread_create(thread, NULL, say_what_is_waited_for, names) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return started;
}

static bool is_number(const char *text)
{
  return *text && strspn(text, "0123456789") == strlen(text);
}

int main(int argc, char *argv[])
{
  static struct sample *smps[MAX_VECTORIZE];
  struct shmem_conf conf = SHMEM_CONF_INIT;
  long vectorize = 1;
  double seconds = -1; /* none given */
  bool verbose = false;
  char *end;
  void *base = NULL;
  int option;

  while ((option = getopt(argc, argv, "hs:vw:")) != -1) {
    switch (option) {
    case 'h':
      return fputs(usage, stdout) < 0 || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
    case 's':
      conf.samplelen = is_number(optarg) && strlen(optarg) < 6 ? atoi(optarg) : 0;
      if (conf.samplelen < 1 || conf.samplelen > 65536)
        return bad_usage("-s wants a number of values from 1 to 65536, not ", optarg);
      break;
    case 'v':
      verbose = true;
      break;
    case 'w':
      seconds = strtod(optarg, &end);
      if (end == optarg || *end != '\0' || !isfinite(seconds) || seconds < 0 || seconds > 1e9)
        return bad_usage("-w wants a number of seconds from 0 to 1e9, not ", optarg);
      break;
    default:
      return bad_usage("see below", "");
    }
  }
  char **names = argv + optind;
  int count = argc - optind;
  bool has_two = count == 3 || (count == 2 && !is_number(names[1]));
  if (count < 1 || count > 3)
    return bad_usage("one NAME is wanted, or WNAME and RNAME, and at most one number after it", "");
  if (count == 2 + has_two) {
    const char *text = names[1 + has_two];
    vectorize = is_number(text) && strlen(text) < 6 ? atol(text) : 0;
    if (vectorize < 1 || vectorize > MAX_VECTORIZE)
      return bad_usage("VECTORIZE must be a number from 1 to 4096, not ", text);
  }

  /* Without SA_RESTART, so that a signal ends what waits. */
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGALRM, &action, NULL);

  struct timespec timeout = {.tv_sec = (time_t)(seconds < 0 ? 0 : seconds)};
  if (seconds > 0)
    timeout.tv_nsec = (long)((seconds - (double)timeout.tv_sec) * 1e9);
  char *waited_for[2] = {names[0], has_two ? names[1] : NULL};
  pthread_t thread;
  bool waits = (has_two || seconds > 0) && start_to_say(&thread, waited_for);
  if (has_two)
    shmem_int_timed_open(names[0], names[1], &two, &conf, seconds < 0 ? NULL : &timeout);
  else
    one = seconds < 0 ? shmem_shared_open(names[0], &base)
                      : shmem_shared_timed_open(names[0], &base, &timeout);
  if (waits) {
    pthread_cancel(thread);
    pthread_join(thread, NULL);
  }
  if (!one && !two.channel) {
    if (stopped_by)
      fprintf(stderr, "villas-shmem: no samples read; ended: %s\n", strsignal(stopped_by));
    else
      fprintf(stderr, "villas-shmem: cannot open %s%s%s: %s\n", names[0], has_two ? " and " : "",
              has_two ? names[1] : "", shmem_last_error());
    return stopped_by ? EXIT_SUCCESS : EXIT_FAILURE;
  }

  if (verbose) {
    print_signals(SHMEM_IN);
    print_signals(SHMEM_OUT);
    fflush(stdout);
  }

  unsigned long long read = 0, written = 0, redelivered = 0;
  int failure = 0;

  while (!stopped_by && !failure) {
    int cnt = read_some(smps, vectorize);
    if (cnt < 0) {
      failure = errno;
      break;
    }

    /* 0 means "nothing yet": a signal came, or 100 ms have passed; the loop looks again. */
    for (int i = 0; i < cnt; i++) {
      if (smps[i]->flags & SAMPLE_REDELIVERED)
        redelivered++; /* a predecessor of ours had read it, too, and was killed */
      /* your computation: smps[i]->data[0].f to data[smps[i]->length - 1].f */
    }
    read += (unsigned long long)cnt;

    /* A written sample belongs to the node. One that you do not write back: sample_put(smps[i]).
     * One that is neither written nor put when we end is not lost: our successor gets it. */
    errno = 0;
    int taken = write_all(smps, cnt);
    if (taken < cnt && !stopped_by)
      failure = errno;
    written += (unsigned long long)taken;
  }

  const char *why = failure == EPIPE ? "the node has closed or died"
                    : failure        ? shmem_last_error()
                                     : strsignal(stopped_by);
  fprintf(stderr,
          "villas-shmem: %llu samples read (%llu marked redelivered), %llu written back; ended: %s\n",
          read, redelivered, written, why);
  if (one)
    shmem_shared_close(one, base);
  else
    shmem_int_close(&two);
  return failure && failure != EPIPE ? EXIT_FAILURE : EXIT_SUCCESS;
}
