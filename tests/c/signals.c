/* What the values of samples are: names, units and types in the region, seen by either side, found by name, compared with
 * what is expected; in both layouts. */
#include "wire.h"

#include <limits.h>

static const struct shmem_signal MEASURED[] = {
  {"u_a", "V", SHMEM_SIGNAL_FLOAT},
  {"i_a", "A", SHMEM_SIGNAL_FLOAT},
  {"Größe ⌀", "m²", SHMEM_SIGNAL_COMPLEX},
};
static const struct shmem_signal COMMANDS[] = {
  {"switch", NULL, SHMEM_SIGNAL_BOOLEAN},
  {"tap", "", SHMEM_SIGNAL_INTEGER},
};

/* A node that writes MEASURED and reads COMMANDS. */
static struct shmem_conf of_node(void)
{
  struct shmem_conf conf = check_conf(0, 8, 4, 4);

  conf.out_signals = MEASURED;
  conf.out_count = 3;
  conf.in_signals = COMMANDS;
  conf.in_count = 2;
  return conf;
}

static void check_same(const struct shmem_signal *found, size_t count, const struct shmem_signal *wanted, size_t wanted_count)
{
  CHECK(found);
  CHECK_EQ(count, wanted_count);
  for (size_t i = 0; i < count; i++) {
    CHECK(strcmp(found[i].name, wanted[i].name) == 0);
    CHECK(strcmp(found[i].unit, wanted[i].unit ? wanted[i].unit : "") == 0);
    CHECK_EQ(found[i].type, wanted[i].type);
  }
}

static void check_has(struct shmem_shared *shm, int direction, const struct shmem_signal *wanted, size_t wanted_count)
{
  size_t count = 99;
  const struct shmem_signal *found = shmem_shared_signals(shm, direction, &count);

  check_same(found, count, wanted, wanted_count);
  CHECK(found == shmem_shared_signals(shm, direction, &count));
  for (size_t i = 0; i < count; i++)
    CHECK_EQ(shmem_shared_signal_index(shm, direction, wanted[i].name), (int)i);
}

static void check_node(struct shmem_shared *node)
{
  check_has(node, SHMEM_OUT, MEASURED, 3);
  check_has(node, SHMEM_IN, COMMANDS, 2);
}

static void check_program(struct shmem_shared *program)
{
  check_has(program, SHMEM_IN, MEASURED, 3);
  check_has(program, SHMEM_OUT, COMMANDS, 2);
}

/* The sentence of the last failure has this in it. */
static void check_says(const char *part)
{
  if (!strstr(shmem_last_error(), part))
    check_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", shmem_last_error(), part);
}

static void both_sides_see_what_the_node_names(void)
{
  struct shmem_conf conf = of_node();
  struct pair pair = check_open_pair("names", &conf);
  struct shmem_stats stats = SHMEM_STATS_INIT;
  struct stat file;

  check_node(pair.node);
  check_program(pair.program);
  CHECK_EQ(shmem_shared_stats(pair.node, &stats), 0);
  CHECK_EQ(stat(check_path(pair.name), &file), 0);
  CHECK_EQ(stats.region_size, file.st_size);
  check_works(&pair);
  check_close_pair(&pair);
}

static void a_list_is_read_during_the_call_only(void)
{
  char name[] = "once", unit[] = "s";
  struct shmem_signal one = {name, unit, SHMEM_SIGNAL_INTEGER};
  struct shmem_conf conf = SHMEM_CONF_INIT;

  conf.out_signals = &one;
  conf.out_count = 1;
  struct pair pair = check_open_pair("during", &conf);
  memset(name, 'x', sizeof name);
  memset(unit, 'x', sizeof unit);
  memset(&one, 0xff, sizeof one);
  const struct shmem_signal wanted = {"once", "s", SHMEM_SIGNAL_INTEGER};
  check_has(pair.node, SHMEM_OUT, &wanted, 1);
  check_has(pair.program, SHMEM_IN, &wanted, 1);
  check_close_pair(&pair);
}

static void a_region_without_signals_gives_an_empty_list(void)
{
  struct pair pair = check_open_pair("empty", NULL);

  for (int direction = SHMEM_IN; direction <= SHMEM_OUT; direction++) {
    check_has(pair.node, direction, NULL, 0);
    check_has(pair.program, direction, NULL, 0);
    CHECK_GIVES(shmem_shared_signal_index(pair.node, direction, "u_a"), -1, ENOENT);
    check_says("names none");
    CHECK_EQ(shmem_shared_expect_signals(pair.node, direction, NULL, 0), 0);
    CHECK_GIVES(shmem_shared_expect_signals(pair.node, direction, MEASURED, 3), -1, EPROTO);
    check_says("none is named; 3 expected");
  }
  check_close_pair(&pair);
}

static void a_name_that_is_not_there_gives_enoent_and_the_names_that_are(void)
{
  struct shmem_conf conf = of_node();
  struct pair pair = check_open_pair("enoent", &conf);

  CHECK_GIVES(shmem_shared_signal_index(pair.program, SHMEM_IN, "u_b"), -1, ENOENT);
  check_says("\"u_b\"");
  check_says("\"u_a\", \"i_a\", \"Größe ⌀\"");
  CHECK_GIVES(shmem_shared_signal_index(pair.program, SHMEM_IN, "U_A"), -1, ENOENT);
  check_says("is \"u_a\" meant?");
  CHECK_GIVES(shmem_shared_signal_index(pair.program, SHMEM_OUT, "u_a"), -1, ENOENT);
  check_says("\"switch\", \"tap\"");
  CHECK_GIVES(shmem_shared_signal_index(pair.program, SHMEM_IN, ""), -1, ENOENT);
  check_close_pair(&pair);
}

static void check_differs(struct shmem_shared *shm, const struct shmem_signal *wanted, size_t count, const char *sentence)
{
  CHECK_GIVES(shmem_shared_expect_signals(shm, SHMEM_IN, wanted, count), -1, EPROTO);
  check_says(sentence);
}

static void the_first_difference_from_what_is_expected_is_told(void)
{
  struct shmem_conf conf = of_node();
  struct pair pair = check_open_pair("expected", &conf);
  struct shmem_signal wanted[4];

  CHECK_EQ(shmem_shared_expect_signals(pair.program, SHMEM_IN, MEASURED, 3), 0);
  CHECK_EQ(shmem_shared_expect_signals(pair.node, SHMEM_OUT, MEASURED, 3), 0);
  memcpy(wanted, MEASURED, sizeof MEASURED);
  for (int i = 0; i < 3; i++) {
    wanted[i].unit = NULL;
    wanted[i].type = 0;
  }
  CHECK_EQ(shmem_shared_expect_signals(pair.program, SHMEM_IN, wanted, 3), 0);
  wanted[1] = (struct shmem_signal){"u_b", "V", SHMEM_SIGNAL_INTEGER};
  check_differs(pair.program, wanted, 3, "signal 1 is \"i_a\" [A], float; expected \"u_b\" [V], integer");
  wanted[1] = (struct shmem_signal){"i_a", "", 0};
  check_differs(pair.program, wanted, 3, "signal 1 is \"i_a\" [A], float; expected \"i_a\"");
  wanted[1] = (struct shmem_signal){"i_a", NULL, SHMEM_SIGNAL_COMPLEX};
  check_differs(pair.program, wanted, 3, "expected \"i_a\", complex");
  check_differs(pair.program, MEASURED, 2, "there are 3, of which signal 2 is \"Größe ⌀\" [m²], complex; expected 2");
  memcpy(wanted, MEASURED, sizeof MEASURED);
  wanted[3] = (struct shmem_signal){"more", NULL, 0};
  check_differs(pair.program, wanted, 4, "there are 3; expected 4, of which signal 3 is \"more\"");
  check_differs(pair.program, NULL, 0, "expected 0");
  check_works(&pair);
  check_close_pair(&pair);
}

static void check_bad_list(const struct shmem_signal *list, size_t count, const char *sentence)
{
  const char *name = check_name("bad");
  struct shmem_conf conf = check_conf(0, 8, 4, 4);
  struct shmem_int shm;
  int fd = -7;

  conf.in_signals = list;
  conf.in_count = count;
  CHECK_REFUSED(shmem_shared_create(name, &conf), EINVAL);
  check_says("in_signals");
  check_says(sentence);
  conf = check_conf(0, 8, 4, 4);
  conf.out_signals = list;
  conf.out_count = count;
  CHECK_REFUSED(shmem_shared_create(name, &conf), EINVAL);
  check_says("out_signals");
  check_says(sentence);
  CHECK_REFUSED(shmem_shared_create_fd(&conf, &fd), EINVAL);
  CHECK_EQ(fd, -7);
  CHECK_GIVES(shmem_int_timed_open(name, name, &shm, &conf, MS(0)), -1, EINVAL);
  CHECK_EQ(access(check_path(name), F_OK), -1);
  check_name_count--;
}

static void einval_for_a_list_that_cannot_be(void)
{
  char longest[257], unit[65];
  const struct {
    struct shmem_signal signal;
    const char *sentence;
  } bad[] = {
    {{NULL, NULL, 1}, "signal 1: its name is a null pointer"},
    {{"", NULL, 1}, "signal 1 has no name"},
    {{longest, NULL, 1}, "signal 1 has a name of 256 bytes"},
    {{"a", unit, 1}, "signal 1 has a unit of 64 bytes"},
    {{"a\n", NULL, 1}, "signal 1 has a control character in its name"},
    {{"a", "\177", 1}, "signal 1 has a control character in its unit"},
    {{"\302\205", NULL, 1}, "signal 1 has a control character in its name"},
    {{"\377", NULL, 1}, "\\xff\" is not UTF-8"},
    {{"a", "\300\200", 1}, "is not UTF-8"},
    {{"a", NULL, 0}, "its type is 0"},
    {{"a", NULL, 5}, "its type is 5"},
    {{"a", NULL, INT_MIN}, "its type is -2147483648"},
    {{"first", NULL, 1}, "signals 0 and 1 have one name, \"first\""},
  };

  memset(longest, 'n', 256);
  longest[256] = '\0';
  memset(unit, 'u', 64);
  unit[64] = '\0';
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct shmem_signal list[2] = {{"first", "V", 1}, bad[i].signal};
    check_bad_list(list, 2, bad[i].sentence);
  }
  check_bad_list(NULL, 1, "null pointer");
  check_bad_list(MEASURED, SIZE_MAX, "there are 18446744073709551615 signals");
  struct shmem_signal five[5] = {{"a", NULL, 1}, {"b", NULL, 1}, {"c", NULL, 1}, {"d", NULL, 1}, {"e", NULL, 1}};
  struct shmem_conf conf = check_conf(0, 8, 4, 4);
  conf.out_signals = five;
  conf.out_count = 5;
  CHECK_REFUSED(shmem_shared_create(check_name("bad"), &conf), EINVAL);
  check_says("out_signals: there are 5, more than the 4 values of a sample");

  /* The longest that can be. */
  longest[255] = unit[63] = '\0';
  struct shmem_signal most = {longest, unit, SHMEM_SIGNAL_COMPLEX};
  conf.out_signals = &most;
  conf.out_count = 1;
  struct pair pair = check_open_pair("most", &conf);
  check_has(pair.program, SHMEM_IN, &most, 1);
  check_close_pair(&pair);
}

static void a_conf_of_an_older_size_has_no_signals(void)
{
  struct shmem_conf conf = of_node();

  conf.size = offsetof(struct shmem_conf, in_signals);
  for (int i = 0; i < 2; i++, conf.size = 0) {
    struct pair pair = check_open_pair("older", &conf);
    check_has(pair.program, SHMEM_IN, NULL, 0);
    check_close_pair(&pair);
  }
  /* Before it had a history. */
  conf.size = offsetof(struct shmem_conf, history);
  conf.history = INT_MAX;
  struct pair with_signals = check_open_pair("older", &conf);
  check_program(with_signals.program);
  check_close_pair(&with_signals);
  conf.size = offsetof(struct shmem_conf, out_signals);
  CHECK_REFUSED(shmem_shared_create(check_name("older"), &conf), EINVAL);
}

static void wrong_arguments_are_told(void)
{
  struct shmem_conf conf = of_node();
  struct pair pair = check_open_pair("arguments", &conf);
  size_t count = 7;

  CHECK_REFUSED(shmem_shared_signals(pair.node, 2, &count), EINVAL);
  CHECK_REFUSED(shmem_shared_signals(pair.node, -1, &count), EINVAL);
  CHECK_REFUSED(shmem_shared_signals(pair.node, SHMEM_IN, NULL), EINVAL);
  CHECK_REFUSED(shmem_shared_signals(NULL, SHMEM_IN, &count), EINVAL);
  CHECK_EQ(count, 7);
  CHECK_GIVES(shmem_shared_signal_index(pair.node, 2, "tap"), -1, EINVAL);
  CHECK_GIVES(shmem_shared_signal_index(pair.node, SHMEM_IN, NULL), -1, EINVAL);
  CHECK_GIVES(shmem_shared_signal_index(pair.node, SHMEM_IN, "\377"), -1, EINVAL);
  CHECK_GIVES(shmem_shared_signal_index(NULL, SHMEM_IN, "tap"), -1, EINVAL);
  CHECK_GIVES(shmem_shared_expect_signals(pair.node, 2, MEASURED, 3), -1, EINVAL);
  CHECK_GIVES(shmem_shared_expect_signals(pair.node, SHMEM_OUT, NULL, 3), -1, EINVAL);
  CHECK_GIVES(shmem_shared_expect_signals(pair.node, SHMEM_OUT, MEASURED, SIZE_MAX), -1, EINVAL);
  struct shmem_signal bad = {"u_a", "\377", 1};
  CHECK_GIVES(shmem_shared_expect_signals(pair.node, SHMEM_OUT, &bad, 1), -1, EINVAL);
  bad = (struct shmem_signal){"u_a", NULL, 5};
  CHECK_GIVES(shmem_shared_expect_signals(pair.node, SHMEM_OUT, &bad, 1), -1, EINVAL);

  /* While a sample is held, a closed handle is told from none. */
  struct sample *held = check_make(pair.node, 1);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  CHECK_REFUSED(shmem_shared_signals(pair.node, SHMEM_IN, &count), EPIPE);
  CHECK_GIVES(shmem_shared_signal_index(pair.node, SHMEM_IN, "tap"), -1, EPIPE);
  CHECK_GIVES(shmem_shared_expect_signals(pair.node, SHMEM_OUT, MEASURED, 3), -1, EPIPE);
  CHECK_EQ(sample_put(held), 0);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_EQ(shmem_shared_unlink(pair.name), 0);
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void node_until_killed(void *name)
{
  struct shmem_conf conf = of_node();
  struct shmem_shared *node;

  CHECK_HANDLE(node = shmem_shared_create(name, &conf));
  for (;;)
    pause();
}

static void a_node_that_comes_back_must_name_what_its_predecessor_named(void)
{
  const char *name = check_name("comes-back");
  struct shmem_conf conf = of_node();
  struct pair pair = {.name = name};
  pid_t pid = check_spawn(node_until_killed, (void *)name);

  CHECK_HANDLE(pair.program = shmem_shared_timed_open(name, &pair.base, PATIENT));
  check_program(pair.program);
  struct shmem_conf other = conf;
  other.out_count = 2;
  CHECK_REFUSED(shmem_shared_create(name, &other), EPROTO); /* also while the node lives */
  check_kill(pid);

  CHECK_REFUSED(shmem_shared_create(name, &other), EPROTO);
  check_says("out_signals: there are 3, of which signal 2 is \"Größe ⌀\" [m²], complex; expected 2");
  other = conf;
  struct shmem_signal changed[2] = {COMMANDS[0], {"tap", "1", SHMEM_SIGNAL_INTEGER}};
  other.in_signals = changed;
  CHECK_REFUSED(shmem_shared_create(name, &other), EPROTO);
  check_says("in_signals: signal 1 is \"tap\", integer; expected \"tap\" [1], integer");
  other = check_conf(0, 8, 4, 4);
  CHECK_REFUSED(shmem_shared_create(name, &other), EPROTO);
  other.queuelen = 9;
  CHECK_REFUSED(shmem_shared_create(name, &other), EPROTO);
  check_says("queuelen is 8 there, 9 was asked for");
  check_says("in_signals: there are 2");

  CHECK_HANDLE(pair.node = shmem_shared_create(name, &conf));
  check_node(pair.node);
  check_program(pair.program);
  check_works(&pair);
  /* The program comes back. */
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_HANDLE(pair.program = shmem_shared_open(name, &pair.base));
  check_program(pair.program);
  check_works(&pair);
  check_close_pair(&pair);
}

static void a_region_that_nobody_uses_is_replaced_by_one_with_other_signals(void)
{
  struct shmem_conf conf = of_node();
  struct pair pair = check_open_pair("replaced", &conf);

  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  conf.out_count = 1;
  CHECK_HANDLE(pair.node = shmem_shared_create(pair.name, &conf));
  CHECK_HANDLE(pair.program = shmem_shared_open(pair.name, &pair.base));
  check_has(pair.program, SHMEM_IN, MEASURED, 1);
  check_has(pair.program, SHMEM_OUT, COMMANDS, 2);
  check_works(&pair);
  check_close_pair(&pair);
}

static void a_region_of_a_descriptor_has_signals(void)
{
  struct shmem_conf conf = of_node(), other = check_conf(0, 8, 4, 4);
  struct pair pair = {.name = "no name"};
  int fd;

  CHECK_HANDLE(pair.node = shmem_shared_create_fd(&conf, &fd));
  CHECK_HANDLE(pair.program = shmem_shared_open_fd(fd, &pair.base));
  check_node(pair.node);
  check_program(pair.program);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  CHECK_REFUSED(shmem_shared_recreate_fd(fd, &other), EPROTO);
  check_says("signal 0 is \"u_a\"");
  CHECK_HANDLE(pair.node = shmem_shared_recreate_fd(fd, &conf));
  check_node(pair.node);
  check_works(&pair);
  CHECK_EQ(shmem_shared_close(pair.program, pair.base), 0);
  CHECK_EQ(shmem_shared_close(pair.node, NULL), 0);
  CHECK_EQ(close(fd), 0);
}

static void as_many_as_can_be_are_named_in_well_under_a_second(void)
{
  enum { MOST = 65536 };
  struct shmem_signal *all = calloc(MOST, sizeof *all);
  char *names = calloc(MOST, 16);
  struct shmem_conf conf = check_conf(0, 1, MOST, 1);

  CHECK(all && names);
  for (int i = 0; i < MOST; i++) {
    snprintf(names + 16 * i, 16, "signal_%d", i);
    all[i] = (struct shmem_signal){names + 16 * i, "V", SHMEM_SIGNAL_FLOAT};
  }
  conf.in_signals = conf.out_signals = all;
  conf.in_count = conf.out_count = MOST;
  double begin = check_clock();
  struct pair pair = check_open_pair("most", &conf);
  if (!check_slow())
    CHECK(check_clock() < begin + 2); /* of 0.1 s; compared in pairs: a minute */
  check_has(pair.program, SHMEM_IN, all, MOST);
  check_has(pair.program, SHMEM_OUT, all, MOST);
  CHECK_EQ(shmem_shared_expect_signals(pair.program, SHMEM_IN, all, MOST), 0);
  CHECK_GIVES(shmem_shared_signal_index(pair.program, SHMEM_IN, "signal_65536"), -1, ENOENT);
  check_says("\"signal_19\" and 65516 more");
  check_close_pair(&pair);
  free(names);
  free(all);
}

/* ---- VILLASnode's layout --------------------------------------------------------------------- */

static void check_wire_has(struct shmem_int *shm, int direction, const struct shmem_signal *wanted, size_t wanted_count)
{
  size_t count = 99;
  const struct shmem_signal *found = shmem_int_signals(shm, direction, &count);

  check_same(found, count, wanted, wanted_count);
  for (size_t i = 0; i < count; i++)
    CHECK_EQ(shmem_int_signal_index(shm, direction, wanted[i].name), (int)i);
}

static struct shmem_conf wire_conf(const struct shmem_signal *in, size_t in_count, const struct shmem_signal *out, size_t out_count)
{
  struct shmem_conf conf = check_conf(0, 8, 4, 0);

  conf.in_signals = in;
  conf.in_count = in_count;
  conf.out_signals = out;
  conf.out_count = out_count;
  return conf;
}

static void each_end_of_the_wire_layout_names_what_it_writes(void)
{
  const struct shmem_conf nothing = wire_conf(NULL, 0, NULL, 0), full = wire_conf(COMMANDS, 2, MEASURED, 3),
                          other = wire_conf(MEASURED, 3, COMMANDS, 2), quiet = wire_conf(MEASURED, 3, NULL, 0);
  struct wire_pair pair;
  size_t count;

  wire_open_pair(&pair, "both", full, other);
  check_wire_has(&pair.ends[0], SHMEM_OUT, MEASURED, 3);
  check_wire_has(&pair.ends[0], SHMEM_IN, COMMANDS, 2);
  check_wire_has(&pair.ends[1], SHMEM_OUT, COMMANDS, 2);
  check_wire_has(&pair.ends[1], SHMEM_IN, MEASURED, 3);
  CHECK_EQ(shmem_int_expect_signals(&pair.ends[1], SHMEM_IN, MEASURED, 3), 0);
  CHECK_GIVES(shmem_int_expect_signals(&pair.ends[1], SHMEM_IN, COMMANDS, 2), -1, EPROTO);
  check_says("signal 0 is \"u_a\" [V], float; expected \"switch\", boolean");
  CHECK_GIVES(shmem_int_signal_index(&pair.ends[1], SHMEM_IN, "u_b"), -1, ENOENT);
  CHECK_REFUSED(shmem_int_signals(&pair.ends[1], 3, &count), EINVAL);
  CHECK_REFUSED(shmem_int_signals(NULL, SHMEM_IN, &count), EINVAL);
  struct stat file;
  CHECK_EQ(stat(check_path(pair.names[0]), &file), 0);
  CHECK_EQ(file.st_size, wire_stats(&pair.ends[0]).region_size);
  for (int i = 0; i < 2; i++) {
    wire_send(&pair.ends[i], 1, 8);
    wire_receive(&pair.ends[1 - i], 1, 8);
  }
  wire_close_pair(&pair);

  /* An expectation of a peer that says nothing. */
  wire_open_pair(&pair, "quiet", full, quiet);
  check_wire_has(&pair.ends[0], SHMEM_IN, NULL, 0);
  CHECK_GIVES(shmem_int_expect_signals(&pair.ends[0], SHMEM_IN, COMMANDS, 2), -1, EPROTO);
  wire_close_pair(&pair);
  wire_open_pair(&pair, "nothing", nothing, other);
  check_wire_has(&pair.ends[0], SHMEM_IN, COMMANDS, 2);
  wire_close_pair(&pair);
}

static int is_near_refused;

/* Stays until the near end has looked. */
static void *open_far(void *arg)
{
  struct wire_pair *pair = arg;

  if (shmem_int_timed_open(pair->names[1], pair->names[0], &pair->ends[1], &pair->confs[1], PATIENT) == 0) {
    WAIT_UNTIL(__atomic_load_n(&is_near_refused, __ATOMIC_ACQUIRE), 60);
    shmem_int_close(&pair->ends[1]);
  }
  return NULL;
}

static void the_wire_layout_is_not_opened_with_a_peer_that_writes_something_else(void)
{
  struct wire_pair pair = {.confs = {wire_conf(COMMANDS, 2, NULL, 0), wire_conf(NULL, 0, MEASURED, 3)}};
  pthread_t thread;

  for (int i = 0; i < 2; i++)
    pair.names[i] = wire_name("else");
  CHECK_EQ(pthread_create(&thread, NULL, open_far, &pair), 0);
  CHECK_GIVES(shmem_int_timed_open(pair.names[0], pair.names[1], &pair.ends[0], &pair.confs[0], PATIENT), -1, EPROTO);
  check_says("in_signals: signal 0 is \"u_a\" [V], float; expected \"switch\", boolean");
  CHECK(!wire_exists(pair.names[0]));
  __atomic_store_n(&is_near_refused, 1, __ATOMIC_RELEASE);
  /* The far end may still wait: an end that does not mind comes. */
  if (shmem_shared_unlink(pair.names[1]) != 0)
    CHECK_EQ(errno, ENOENT); /* it took this end for its peer, and has closed */
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void a_loop_reads_the_signals_that_it_writes(void)
{
  struct wire_pair pair;

  wire_open_loop(&pair, "loop", wire_conf(MEASURED, 3, MEASURED, 3));
  check_wire_has(&pair.ends[0], SHMEM_IN, MEASURED, 3);
  check_wire_has(&pair.ends[0], SHMEM_OUT, MEASURED, 3);
  wire_close_pair(&pair);
  struct shmem_conf conf = wire_conf(COMMANDS, 2, MEASURED, 3);
  CHECK_GIVES(shmem_int_open(pair.names[0], pair.names[0], &pair.ends[0], &conf), -1, EPROTO);
  CHECK(wire_nothing_left(pair.names[0]));
}

/* Makes a region as VILLASnode does: without what this library appends. */
static void *villas_region(const char *name, size_t *size)
{
  struct shmem_conf conf = wire_conf(NULL, 0, NULL, 0);
  struct shmem_int shm;

  CHECK_EQ(shmem_int_open(name, name, &shm, &conf), 0);
  *size = shm.read.len - 128;
  void *copy = malloc(*size);
  CHECK(copy);
  memcpy(copy, shm.read.base, *size);
  CHECK_EQ(shmem_int_close(&shm), 0);
  int fd = open(check_path(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  CHECK_EQ(ftruncate(fd, (off_t)*size), 0);
  void *region = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(region != MAP_FAILED);
  memcpy(region, copy, *size);
  free(copy);
  close(fd);
  return region;
}

static void a_villasnode_names_none_and_nothing_is_expected_of_it(void)
{
  const char *mine = wire_name("ours"), *theirs = wire_name("theirs");
  struct shmem_conf conf = wire_conf(COMMANDS, 2, MEASURED, 3);
  struct shmem_int shm;
  char slashed[CHECK_NAME_SIZE + 1];
  size_t size;
  void *region = villas_region(theirs, &size);

  snprintf(slashed, sizeof slashed, "/%s", theirs);
  sem_t *sem = sem_open(slashed, O_CREAT, 0600, 1);
  CHECK(sem != SEM_FAILED);
  CHECK_EQ(shmem_int_timed_open(mine, theirs, &shm, &conf, PATIENT), 0);
  check_wire_has(&shm, SHMEM_IN, NULL, 0);
  check_wire_has(&shm, SHMEM_OUT, MEASURED, 3);
  CHECK_GIVES(shmem_int_signal_index(&shm, SHMEM_IN, "switch"), -1, ENOENT);
  check_says("names none");
  CHECK_EQ(shmem_int_close(&shm), 0);
  CHECK_EQ(sem_close(sem), 0);
  munmap(region, size);
}

int main(void)
{
  check_begin();
  RUN(both_sides_see_what_the_node_names);
  RUN(a_list_is_read_during_the_call_only);
  RUN(a_region_without_signals_gives_an_empty_list);
  RUN(a_name_that_is_not_there_gives_enoent_and_the_names_that_are);
  RUN(the_first_difference_from_what_is_expected_is_told);
  RUN(einval_for_a_list_that_cannot_be);
  RUN(a_conf_of_an_older_size_has_no_signals);
  RUN(wrong_arguments_are_told);
  RUN(a_node_that_comes_back_must_name_what_its_predecessor_named);
  RUN(a_region_that_nobody_uses_is_replaced_by_one_with_other_signals);
  RUN(a_region_of_a_descriptor_has_signals);
  RUN(as_many_as_can_be_are_named_in_well_under_a_second);
  RUN(each_end_of_the_wire_layout_names_what_it_writes);
  RUN(the_wire_layout_is_not_opened_with_a_peer_that_writes_something_else);
  RUN(a_loop_reads_the_signals_that_it_writes);
  RUN(a_villasnode_names_none_and_nothing_is_expected_of_it);
  return 0;
}
