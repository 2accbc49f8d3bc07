/* A process that talks over the wire layout with this library: what villasnode-peer is for VILLASnode's side, with the same
 * samples and, where both do the same, the same words. See HELP.
 *
 * Exit status 1: something went wrong, which is said on standard error. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <villas/shmem.h>

static const char HELP[] =
    "usage: ours WNAME RNAME [OPTION]... COMMAND [ARGUMENT]\n"
    "  echo             write back what is read, until the other ends\n"
    "  send N           write N samples, waiting for room\n"
    "  receive N|all    read N samples, or until the other ends\n"
    "  send-receive N   write N samples and read them back\n"
    "  open-only        no more than that\n"
    "  hold N           read N samples and keep them, print \"ready\", stay until SIGTERM\n"
    "  fill             write until the other ends, without ever waiting, as VILLASnode does\n"
    "  read-end         read until the other ends, looking at nothing\n"
    "  -q N queuelen  -s N samplelen  -p polling  -k N first sample  -e N|any flags of what is read [25]\n"
    "  -b on SIGUSR2, begin (prints \"ready\" before)  -t MS time to open\n"
    "  -c WHEN close: now, signal, never, handler (in the signal handler of SIGTERM)\n";

enum { BATCH = 16, FLAGS = SAMPLE_HAS_TS_ORIGIN | SAMPLE_HAS_SEQUENCE | SAMPLE_HAS_DATA };

static struct shmem_int channel;
static struct shmem_conf conf = SHMEM_CONF_INIT;
static uint64_t from;
static int expected = FLAGS;
static const char *when = "now";
static volatile sig_atomic_t stopped, begun, opened;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  putchar('\n');
  fflush(stdout);
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
  va_list arguments;

  fprintf(stderr, "ours: ");
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, " (%s; \"%s\")\n", strerror(errno), shmem_last_error());
  exit(1);
}

static void on_signal(int number)
{
  int before = errno;

  if (number == SIGUSR2) {
    begun = 1;
  } else if (number != SIGUSR1) {
    stopped = 1;
    if (opened && !strcmp(when, "handler"))
      shmem_int_close(&channel);
  }
  errno = before;
}

static void stay_until_signal(int begin)
{
  sigset_t mask, before;

  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGUSR2);
  sigprocmask(SIG_BLOCK, &mask, &before);
  say("ready");
  while (!stopped && !(begin && begun))
    sigsuspend(&before);
  sigprocmask(SIG_SETMASK, &before, NULL);
}

static void pause_shortly(void)
{
  nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* ---- samples: as in contents.hpp ------------------------------------------------------------- */

static unsigned int length_of(uint64_t k)
{
  return 1 + (unsigned int)(k % (uint64_t)conf.samplelen);
}

static void fill_sample(struct sample *smp, uint64_t k)
{
  smp->sequence = 1000 + k;
  smp->length = length_of(k);
  smp->flags = FLAGS;
  smp->ts.origin = (struct timespec){.tv_sec = (time_t)(1700000000 + k), .tv_nsec = 123456789};
  for (unsigned int v = 0; v < smp->length; v++)
    smp->data[v].f = (double)k + v / 10.0;
}

static void check_sample(const struct sample *smp, uint64_t k)
{
  errno = 0;
  if (smp->sequence != 1000 + k)
    fail("sample %llu: sequence is %llu", (unsigned long long)k, (unsigned long long)smp->sequence);
  if (smp->length != length_of(k))
    fail("sample %llu: length is %u", (unsigned long long)k, smp->length);
  if (expected >= 0 && smp->flags != expected)
    fail("sample %llu: flags is %d", (unsigned long long)k, smp->flags);
  if (smp->ts.origin.tv_sec != (time_t)(1700000000 + k) || smp->ts.origin.tv_nsec != 123456789)
    fail("sample %llu: origin is another", (unsigned long long)k);
  for (unsigned int v = 0; v < smp->length; v++)
    if (smp->data[v].f != (double)k + v / 10.0)
      fail("sample %llu: value %u is %g", (unsigned long long)k, v, smp->data[v].f);
}

/* ---- commands -------------------------------------------------------------------------------- */

static int ended; /* the other has: EPIPE */

/* 1 to most; 0: nothing yet; -1: the end. */
static int read_some(struct sample *smps[], unsigned int most)
{
  int got = shmem_int_read(&channel, smps, most);

  if (got < 0 && errno != EPIPE)
    fail("read");
  if (got < 0 && !ended) {
    ended = 1;
    say("the other has ended");
  }
  return got;
}

/* Whether it was taken; else the other has ended, or this process was told to stop. */
static int write_one(uint64_t k)
{
  struct sample *smp;
  int got;

  while ((got = shmem_int_alloc(&channel, &smp, 1)) == 0 && !stopped)
    pause_shortly();
  if (got < 0 && errno == EPIPE)
    return 0;
  if (got < 0)
    fail("alloc");
  if (got == 0)
    return 0;
  fill_sample(smp, k);
  do {
    got = shmem_int_timed_write(&channel, &smp, 1, NULL);
  } while (got == 0 && !stopped);
  if (got == 1)
    return 1;
  if (got < 0 && errno != EPIPE)
    fail("write");
  sample_put(smp);
  return 0;
}

static void send_all(uint64_t n)
{
  uint64_t sent = 0;

  while (sent < n && !stopped && write_one(from + sent))
    sent++;
  say("sent %llu", (unsigned long long)sent);
}

static uint64_t receive_checked(uint64_t k, uint64_t most)
{
  struct sample *smps[BATCH];
  int got = read_some(smps, most < BATCH ? (unsigned int)most : BATCH);

  for (int i = 0; i < got; i++, k++) {
    check_sample(smps[i], k);
    sample_put(smps[i]);
    if (k == from)
      say("received the first");
  }
  return got > 0 ? (uint64_t)got : 0;
}

static void receive_all(uint64_t n)
{
  uint64_t received = 0;

  while (received < n && !stopped && !ended)
    received += receive_checked(from + received, n - received);
  say("received %llu", (unsigned long long)received);
}

static void send_receive(uint64_t n)
{
  uint64_t sent = 0, received = 0;

  while (received < n && !stopped && !ended) {
    while (sent < n && sent - received < BATCH && sent - received < (uint64_t)conf.queuelen) {
      if (!write_one(from + sent))
        fail("only %llu were sent", (unsigned long long)sent);
      sent++;
    }
    received += receive_checked(from + received, sent - received);
  }
  say("sent and received %llu", (unsigned long long)received);
}

static void echo(uint64_t n)
{
  struct sample *smps[BATCH];
  unsigned long long echoed = 0;
  int got = 0;

  (void)n;
  while (!stopped && (got = read_some(smps, BATCH)) >= 0) {
    int done = 0;
    while (done < got) {
      int wrote = shmem_int_timed_write(&channel, smps + done, (unsigned int)(got - done), NULL);
      if (wrote < 0 && errno != EPIPE)
        fail("write");
      if (wrote < 0 || stopped)
        break;
      done += wrote;
    }
    for (int i = done; i < got; i++)
      sample_put(smps[i]);
    echoed += (unsigned long long)done;
  }
  if (stopped)
    say("stopped");
  say("echoed %llu", echoed);
}

static void hold(uint64_t n)
{
  static struct sample *smps[4096];
  uint64_t held = 0;

  while (held < n && !stopped && !ended) {
    int got = read_some(smps + held, (unsigned int)(n - held));
    held += got > 0 ? (uint64_t)got : 0;
  }
  say("holds %llu", (unsigned long long)held);
  stay_until_signal(0);
}

/* The loop of a program written for libvillas: allocate, write what there is, put the rest. */
static void fill(uint64_t n)
{
  struct sample *smp;
  uint64_t sent = 0;
  int got, was_full = 0;

  (void)n;
  while (!stopped) {
    got = shmem_int_alloc(&channel, &smp, 1);
    if (got > 0) {
      fill_sample(smp, from + sent);
      if ((got = shmem_int_write(&channel, &smp, 1)) != 1)
        sample_put(smp);
      else
        sent++;
    }
    if (got < 0 && errno == EPIPE)
      break;
    if (got < 0)
      fail("write or alloc");
    if (got == 0 && !was_full) {
      say("full after %llu", (unsigned long long)sent);
      was_full = 1;
    }
    if (got == 0)
      pause_shortly();
  }
  if (!stopped)
    say("the other has ended");
}

static void read_end(uint64_t n)
{
  struct sample *smps[BATCH];
  int got;

  (void)n;
  while (!stopped && (got = read_some(smps, BATCH)) >= 0)
    for (int i = 0; i < got; i++)
      sample_put(smps[i]);
  say("done");
}

static void open_only(uint64_t n)
{
  (void)n;
}

static const struct command {
  const char *name;
  int arguments;
  void (*run)(uint64_t n);
} COMMANDS[] = {
    {"echo", 0, echo},         {"send", 1, send_all}, {"receive", 1, receive_all}, {"send-receive", 1, send_receive},
    {"open-only", 0, open_only}, {"hold", 1, hold},   {"fill", 0, fill},           {"read-end", 0, read_end},
};

/* ---- the run --------------------------------------------------------------------------------- */

__attribute__((noreturn)) static void usage(void)
{
  fputs(HELP, stderr);
  exit(2);
}

static void catch_signals(void)
{
  struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */

  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGUSR2, &action, NULL);
}

static void finish(void)
{
  if (!strcmp(when, "never")) {
    say("left open");
    _exit(0);
  }
  if (!strcmp(when, "signal") && !stopped)
    stay_until_signal(0);
  if (!strcmp(when, "handler"))
    return;
  if (shmem_int_close(&channel) != 0)
    fail("close");
  say("closed");
}

int main(int argc, char *argv[])
{
  const struct timespec *timeout = NULL;
  struct timespec time;
  int begin = 0;

  conf.queuelen = 512;
  conf.samplelen = 64;
  for (int letter; (letter = getopt(argc, argv, "q:s:pk:e:bt:c:")) != -1;) {
    switch (letter) {
    case 'q': conf.queuelen = atoi(optarg); break;
    case 's': conf.samplelen = atoi(optarg); break;
    case 'p': conf.polling = 1; break;
    case 'k': from = strtoull(optarg, NULL, 0); break;
    case 'e': expected = strcmp(optarg, "any") ? atoi(optarg) : -1; break;
    case 'b': begin = 1; break;
    case 't':
      time = (struct timespec){.tv_sec = atoi(optarg) / 1000, .tv_nsec = atoi(optarg) % 1000 * 1000000L};
      timeout = &time;
      break;
    case 'c': when = optarg; break;
    default: usage();
    }
  }
  if (argc - optind < 3)
    usage();
  const struct command *command = NULL;
  for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
    if (!strcmp(argv[optind + 2], COMMANDS[i].name) && argc - optind - 3 == COMMANDS[i].arguments)
      command = &COMMANDS[i];
  if (!command)
    usage();
  const char *count = command->arguments ? argv[optind + 3] : "0";

  catch_signals();
  say("waits for %s", argv[optind + 1]);
  if (shmem_int_timed_open(argv[optind], argv[optind + 1], &channel, &conf, timeout) != 0)
    fail("open");
  opened = 1;
  say("opened %s", argv[optind + 1]);
  if (begin)
    stay_until_signal(1);
  command->run(strcmp(count, "all") ? strtoull(count, NULL, 0) : UINT64_MAX);
  finish();
  return 0;
}
