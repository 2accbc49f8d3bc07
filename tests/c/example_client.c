/* The example client, clients/shmem/villas-shmem.c, as a user runs it. Its path is in the
 * environment variable VILLAS_SHMEM. */
#include "check.h"

#include <poll.h>

struct run {
  pid_t pid;
  int out, err; /* what it writes */
};

static const char *client_path;

static struct run start(const char *const args[])
{
  struct run run;
  int out[2], err[2];
  pid_t parent = getpid();

  CHECK_EQ(pipe2(out, O_CLOEXEC), 0);
  CHECK_EQ(pipe2(err, O_CLOEXEC), 0);
  fflush(NULL);
  run.pid = fork();
  CHECK(run.pid >= 0);
  if (run.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(out[1], STDOUT_FILENO) < 0 || dup2(err[1], STDERR_FILENO) < 0)
      _exit(126);
    execv(client_path, (char *const *)args);
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  run.out = out[0];
  run.err = err[0];
  return run;
}

#define START(...) start((const char *const[]){"villas-shmem", __VA_ARGS__, NULL})

static void read_all(int fd, char *text, size_t size)
{
  size_t length = 0;
  ssize_t got;

  while (length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0)
    length += (size_t)got;
  text[length] = '\0';
  close(fd);
}

/* Waits for the end; what it wrote is in out and err then. */
static char out[4096], err[4096];

static int end_within(struct run *run, double seconds)
{
  int status = check_wait(run->pid, seconds);

  read_all(run->out, out, sizeof out);
  read_all(run->err, err, sizeof err);
  if (!WIFEXITED(status))
    check_fail(__FILE__, __LINE__, "the client ended by signal %d", WTERMSIG(status));
  return WEXITSTATUS(status);
}

static int end(struct run *run)
{
  return end_within(run, 10);
}

static struct shmem_shared *create(const char *name, int polling)
{
  struct shmem_conf conf = check_conf(polling, 8, 8, 8);
  struct shmem_shared *node;

  CHECK_HANDLE(node = shmem_shared_create(name, &conf));
  return node;
}

static void help_goes_to_standard_output(void)
{
  struct run run = START("-h");

  CHECK_EQ(end(&run), 0);
  CHECK(strstr(out, "VECTORIZE") && strstr(out, "-w SECONDS"));
  CHECK_EQ(err[0], '\0');
}

static void bad_usage_is_explained(void)
{
  static const struct {
    const char *args[6];
    const char *named;
  } bad[] = {
    {{"villas-shmem"}, "NAME"},
    {{"villas-shmem", "a", "b", "1", "2"}, "WNAME"},
    {{"villas-shmem", "a", "0"}, "0"},
    {{"villas-shmem", "a", "b", "-3"}, "-3"},
    {{"villas-shmem", "a", "b", "five"}, "five"},
    {{"villas-shmem", "a", "b", "5x"}, "5x"},
    {{"villas-shmem", "a", "b", ""}, "VECTORIZE"},
    {{"villas-shmem", "-s", "0", "a", "b"}, "-s"},
    {{"villas-shmem", "-s", "65537", "a", "b"}, "65537"},
    {{"villas-shmem", "-s", "many", "a", "b"}, "many"},
    {{"villas-shmem", "a", "4097"}, "4097"},
    {{"villas-shmem", "a", "99999999999999999999"}, "99999999999999999999"},
    {{"villas-shmem", "-w", "soon", "a"}, "soon"},
    {{"villas-shmem", "-w", "-1", "a"}, "-1"},
    {{"villas-shmem", "-w", "nan", "a"}, "nan"},
    {{"villas-shmem", "-w"}, "-w"},
    {{"villas-shmem", "-x", "a"}, "usage"},
  };

  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct run run = start(bad[i].args);
    CHECK_EQ(end(&run), 1);
    CHECK(strstr(err, bad[i].named) && strstr(err, "usage"));
    CHECK_EQ(out[0], '\0');
  }
}

static void a_missing_region_is_said_so(void)
{
  struct run run = START("villas-check-nowhere");

  CHECK_EQ(end(&run), 1);
  CHECK(strstr(err, "villas-check-nowhere"));

  double begin = check_clock();
  run = START("-w", "0.2", "villas-check-nowhere");
  CHECK_EQ(end(&run), 1);
  CHECK(check_clock() - begin >= 0.2);
  CHECK(strstr(err, "villas-check-nowhere"));
}

/* Waits until the client has written this to standard error, which is in err then. */
static void said(struct run *run, const char *text)
{
  size_t length = 0;
  ssize_t got;

  while (err[length] = '\0', !strstr(err, text)) {
    struct pollfd ready = {.fd = run->err, .events = POLLIN};
    CHECK_EQ(poll(&ready, 1, 20000), 1);
    CHECK(length < sizeof err - 1);
    CHECK((got = read(run->err, err + length, sizeof err - 1 - length)) > 0);
    length += (size_t)got;
  }
}

static void it_says_what_it_waits_for(void)
{
  struct run run = START("-w", "1000", "villas-check-nowhere");

  said(&run, "waiting for the region \"villas-check-nowhere\": no node has created it yet");
  kill(run.pid, SIGTERM);
  CHECK_EQ(end(&run), 0);
  CHECK(strstr(err, "Terminated") && !strstr(err, "waiting"));

  run = START("villas-check-nowhere-in", "villas-check-nowhere-out");
  said(&run, "\"in.name\" is \"villas-check-nowhere-in\"");
  CHECK(strstr(err, "\"out.name\" is \"villas-check-nowhere-out\""));
  kill(run.pid, SIGTERM);
  CHECK_EQ(end(&run), 0);
}

static void it_waits_for_the_region_and_echoes_until_the_node_closes(void)
{
  static const char *const vectorize[] = {"1", "5", "64"};

  for (int i = 0; i < 6; i++) {
    const char *name = check_name("wait");
    const uint64_t count = check_scaled(1000);
    char words[120];

    struct run run = START("-w", "10.5", name, vectorize[i % 3]);
    WAIT_UNTIL(check_asleep(run.pid, run.pid), 5);
    struct shmem_shared *node = create(name, i / 3);
    for (uint64_t number = 1; number <= count; number += 4) {
      check_send(node, number, number + 3);
      check_receive(node, number, number + 3);
    }
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_EQ(end(&run), 0);
    const uint64_t rounded = (count + 3) / 4 * 4;
    snprintf(words, sizeof words, "%llu samples read (0 marked redelivered), %llu written back",
             (unsigned long long)rounded, (unsigned long long)rounded);
    CHECK(strstr(err, words) && strstr(err, "node"));
    CHECK_EQ(shmem_shared_unlink(name), 0);
  }
}

static void a_signal_ends_it_with_a_summary(void)
{
  for (int i = 0; i < 8; i++) {
    const int number = i & 1 ? SIGTERM : SIGINT;
    const char *name = check_name("signal");
    struct shmem_shared *node = create(name, i & 2 ? 1 : 0);
    struct run run = START(name);

    CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
    check_send(node, 1, 3);
    check_receive(node, 1, 3); /* its handlers are set by now */
    if (!(i & 2))
      WAIT_UNTIL(check_asleep(run.pid, run.pid), 5);
    CHECK_EQ(kill(run.pid, number), 0);
    CHECK_EQ(end_within(&run, 1), 0);
    CHECK(strstr(err, "3 samples read (0 marked redelivered), 3 written back"));
    CHECK(strstr(err, strsignal(number)));
    if (!check_valgrind()) /* which has lines of its own */
      CHECK(strchr(err, '\n') && strchr(err, '\n')[1] == '\0');
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_EQ(shmem_shared_unlink(name), 0);
  }
}

/* The client's queue is full, since the node does not read; then it is told to end. */
static void a_full_queue_loses_nothing(void)
{
  for (int signalled = 0; signalled < 2; signalled++) {
    const char *name = check_name("full");
    struct shmem_shared *node = create(name, 0);
    struct run run = START(name, "1");
    uint64_t sent = 0;

    CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
    /* All sixteen blocks are out: eight on the way back, one in its hand, the rest queued. */
    for (struct sample *smp; sent < 16; sent++) {
      smp = check_make(node, sent + 1);
      CHECK_EQ(shmem_shared_timed_write(node, &smp, 1, PATIENT), 1);
    }
    struct shmem_stats stats = SHMEM_STATS_INIT;
    WAIT_UNTIL(shmem_shared_stats(node, &stats) == 0 && stats.queued_in == 8 &&
                 stats.queued_out == 7,
               5);
    if (signalled) {
      CHECK_EQ(kill(run.pid, SIGTERM), 0);
      CHECK_EQ(end(&run), 0);
      CHECK(strstr(err, "9 samples read (0 marked redelivered), 8 written back"));
      run = START(name, "64");
      CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
    }
    for (uint64_t number = 1; number <= 16; number++) {
      struct sample *smp;
      CHECK_EQ(shmem_shared_timed_read(node, &smp, 1, PATIENT), 1);
      check_is(smp, number);
      CHECK_EQ((smp->flags & SAMPLE_REDELIVERED) != 0, signalled && number == 9);
      CHECK_EQ(sample_put(smp), 0);
    }
    CHECK_EQ(check_count_free(node), 16);
    CHECK_EQ(shmem_shared_close(node, NULL), 0);
    CHECK_EQ(end(&run), 0);
    CHECK(strstr(err, signalled ? "8 samples read (1 marked redelivered), 8 written back"
                                : "16 samples read (0 marked redelivered), 16 written back"));
    CHECK_EQ(shmem_shared_unlink(name), 0);
  }
}

static void die(void *arg)
{
  struct shmem_shared *node = create(arg, 0);

  CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
  check_send(node, 1, 2);
  check_receive(node, 1, 2);
  raise(SIGKILL);
}

static void the_death_of_the_node_ends_it(void)
{
  char *name = strdup(check_name("dies"));
  struct run run = START("-w", "10", name);
  pid_t pid = check_spawn(die, name);

  CHECK(WIFSIGNALED(check_wait(pid, 10)));
  CHECK_EQ(end(&run), 0);
  CHECK(strstr(err, "2 samples read (0 marked redelivered), 2 written back"));
  CHECK(strstr(err, "died"));
  free(name);
}

/* ---- two regions, as VILLASnode has them ------------------------------------------------------ */

struct names {
  char in[64], out[64]; /* of the node */
};

static struct names make_names(const char *what)
{
  struct names names;

  snprintf(names.in, sizeof names.in, "%s", check_name(what));
  snprintf(names.out, sizeof names.out, "%s", check_name(what));
  return names;
}

static void exchange(struct shmem_int *node, uint64_t number, unsigned int values)
{
  struct sample *smp;

  CHECK_EQ(shmem_int_alloc(node, &smp, 1), 1);
  smp->sequence = number;
  smp->length = values;
  for (unsigned int v = 0; v < values; v++)
    smp->data[v].f = (double)number + v;
  CHECK_EQ(shmem_int_write(node, &smp, 1), 1);
  CHECK_EQ(shmem_int_timed_read(node, &smp, 1, PATIENT), 1);
  CHECK_EQ(smp->sequence, number);
  CHECK_EQ(smp->length, values);
  CHECK(smp->data[values - 1].f == (double)number + values - 1);
  CHECK_EQ(sample_put(smp), 0);
}

static void with_two_names_it_echoes_between_two_regions(void)
{
  for (int i = 0; i < 8; i++) {
    struct names names = make_names("two");
    struct shmem_conf conf = check_conf(i & 1, 8, 80, 0);
    struct shmem_int node;
    const char *args[] = {"villas-shmem", "-s", "80", names.in, names.out, i & 2 ? "5" : NULL, NULL};

    struct run run = {0};
    if (i & 4) { /* the client is first, or the node */
      run = start(args);
      WAIT_UNTIL(check_asleep(run.pid, run.pid), 5);
      CHECK_EQ(shmem_int_timed_open(names.out, names.in, &node, &conf, PATIENT), 0);
    } else {
      CHECK_EQ(shmem_int_timed_open(names.out, names.in, &node, &conf, MS(1)), -1);
      CHECK_EQ(errno, ETIMEDOUT);
      run = start(args);
      CHECK_EQ(shmem_int_timed_open(names.out, names.in, &node, &conf, PATIENT), 0);
    }
    for (uint64_t number = 1; number <= 100; number++)
      exchange(&node, number, 80);
    CHECK_EQ(shmem_int_close(&node), 0);
    CHECK_EQ(end(&run), 0);
    CHECK(strstr(err, "100 samples read (0 marked redelivered), 100 written back"));
    CHECK(strstr(err, "the node has closed or died"));
  }
}

static void samples_that_do_not_fit_into_its_region_end_it_with_a_reason(void)
{
  struct names names = make_names("large");
  struct shmem_conf conf = check_conf(0, 8, 200, 0);
  struct shmem_int node;
  struct sample *smp;

  struct run run = START(names.in, names.out);
  CHECK_EQ(shmem_int_timed_open(names.out, names.in, &node, &conf, PATIENT), 0);
  CHECK_EQ(shmem_int_alloc(&node, &smp, 1), 1);
  smp->length = 100;
  CHECK_EQ(shmem_int_write(&node, &smp, 1), 1);
  CHECK_EQ(end(&run), 1);
  CHECK(strstr(err, "100 values do not fit into a sample of 69"));
  CHECK_EQ(shmem_int_close(&node), 0);
}

static void a_signal_ends_it_while_it_waits_for_the_node_and_nothing_is_left(void)
{
  for (int i = 0; i < 4; i++) {
    const int number = i & 1 ? SIGTERM : SIGINT;
    struct names names = make_names("alone");
    struct run run = START(names.in, names.out);
    char path[100];

    snprintf(path, sizeof path, "/dev/shm/%s", names.in);
    WAIT_UNTIL(access(path, F_OK) == 0 && check_asleep(run.pid, run.pid), 5);
    CHECK_EQ(kill(run.pid, number), 0);
    CHECK_EQ(end(&run), 0);
    CHECK(strstr(err, strsignal(number)));
    CHECK_EQ(access(path, F_OK), -1);
    snprintf(path, sizeof path, "/dev/shm/sem.%s", names.in);
    CHECK_EQ(access(path, F_OK), -1);
    snprintf(path, sizeof path, "/dev/shm/sem.%s", names.out);
    CHECK_EQ(access(path, F_OK), -1);
  }
}

static void a_name_that_is_held_is_said_with_who_holds_it(void)
{
  struct names names = make_names("held");
  struct shmem_int node;
  char pid[20];

  CHECK_EQ(shmem_int_open(names.in, names.in, &node, NULL), 0);
  struct run run = START(names.in, names.out);
  CHECK_EQ(end(&run), 1);
  snprintf(pid, sizeof pid, "process %d ", (int)getpid());
  CHECK(strstr(err, names.in) && strstr(err, pid));
  CHECK_EQ(shmem_int_close(&node), 0);
}

static void with_v_it_prints_what_the_values_are(void)
{
  static const struct shmem_signal written[] = {{"u_a", "V", SHMEM_SIGNAL_FLOAT}, {"Größe", NULL, SHMEM_SIGNAL_COMPLEX}},
                                   read[] = {{"switch", "", SHMEM_SIGNAL_BOOLEAN}};
  struct shmem_conf conf = check_conf(0, 8, 8, 0);
  const char *name = check_name("verbose");
  struct names names = make_names("verbose");
  struct shmem_shared *node;
  struct shmem_int two;

  conf.out_signals = written;
  conf.out_count = 2;
  conf.in_signals = read;
  conf.in_count = 1;
  CHECK_HANDLE(node = shmem_shared_create(name, &conf));
  struct run run = START("-v", name);
  CHECK_EQ(shmem_shared_wait(node, PATIENT), 0);
  CHECK_EQ(shmem_shared_close(node, NULL), 0);
  CHECK_EQ(end(&run), 0);
  CHECK(strcmp(out, "reads value 0: u_a [V], float\nreads value 1: Größe, complex\n"
                    "writes value 0: switch, boolean\n") == 0);

  run = START("-v", names.in, names.out);
  CHECK_EQ(shmem_int_timed_open(names.out, names.in, &two, &conf, PATIENT), 0);
  /* A client that has not opened the region yet would wait for the next one after a close. */
  exchange(&two, 1, 8);
  CHECK_EQ(shmem_int_close(&two), 0);
  CHECK_EQ(end(&run), 0);
  CHECK(strcmp(out, "reads value 0: u_a [V], float\nreads value 1: Größe, complex\n"
                    "writes values without names\n") == 0);
}

int main(void)
{
  check_begin();
  client_path = getenv("VILLAS_SHMEM");
  if (!client_path)
    check_skip("VILLAS_SHMEM does not name the built client");
  RUN(help_goes_to_standard_output);
  RUN(bad_usage_is_explained);
  RUN(a_missing_region_is_said_so);
  RUN(it_says_what_it_waits_for);
  RUN(it_waits_for_the_region_and_echoes_until_the_node_closes);
  RUN(a_signal_ends_it_with_a_summary);
  RUN(a_full_queue_loses_nothing);
  RUN(the_death_of_the_node_ends_it);
  RUN(with_two_names_it_echoes_between_two_regions);
  RUN(samples_that_do_not_fit_into_its_region_end_it_with_a_reason);
  RUN(a_signal_ends_it_while_it_waits_for_the_node_and_nothing_is_left);
  RUN(a_name_that_is_held_is_said_with_who_holds_it);
  RUN(with_v_it_prints_what_the_values_are);
  return 0;
}
