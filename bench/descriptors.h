/* For descriptors.c: what both processes have, and one end of whatever kind. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <villas/shmem.h>

/* The ends: 100 channels, 100 rings, one channel in VILLASnode's layout, and the yardstick. */
enum { CHANNELS = 100, RINGS = CHANNELS + 100, WIRE = RINGS, BARE, ENDS };
enum { BATCH = 64, VALUES = 8 };
/* What the peer can be asked to do. */
enum work { WAKE, ECHO_BY_EPOLL, ECHO_BY_READ, STREAM };

static const int64_t MS = 1000000;

static struct end {
	struct shmem_shared *channel;
	struct shmem_ring *ring;
	struct shmem_int wire;
	int fd;
} ends[ENDS];

/* What both processes share besides the library's memory. */
static struct {
	_Alignas(128) _Atomic uint32_t order, finished;
	enum work work;
	int first, step;
	_Alignas(128) _Atomic uint32_t asleep; /* sleeps of the loop that have begun */
	_Atomic uint32_t stop;
	_Alignas(128) _Atomic int64_t sent; /* when */
	_Alignas(128) _Atomic uint32_t bare; /* the word of the yardstick */
} *shared;

static pid_t loop_pid;
static int cpus[2] = {0, 1}; /* the loop's and the peer's; -1: any */
static int is_peer, epoll;

static void name_of(char name[64], int at, int direction) {
	(void)snprintf(name, 64, "villas-bench-descriptors-%ld-%d-%d", (long)loop_pid, at, direction);
}

/* Async-signal-safe in practice: snprintf formats integers only. */
static void clean(void) {
	char name[64], path[80];
	for (int at = 0; at < ENDS && !is_peer; at++)
		for (int direction = 0; direction < 2; direction++) {
			name_of(name, at, direction);
			(void)snprintf(path, sizeof path, "/dev/shm/%s", name);
			(void)unlink(path);
			if (at == WIRE) {
				(void)snprintf(path, sizeof path, "/dev/shm/sem.%s", name);
				(void)unlink(path);
			}
		}
}

static void end_by_signal(int number) {
	clean();
	_exit(128 + number);
}

static _Noreturn void fail(const char *what) {
	fprintf(stderr, "descriptors, %s: %s (%s; %s)\n", is_peer ? "peer" : "loop", what, strerror(errno),
		shmem_last_error());
	clean();
	_exit(1);
}

static int64_t clock_ns(clockid_t clock) {
	struct timespec now;
	(void)clock_gettime(clock, &now);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}
static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static void rest(int64_t ns) {
	(void)nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t limit) {
	struct timespec timeout = {.tv_sec = limit / (1000 * MS), .tv_nsec = limit % (1000 * MS)};
	(void)syscall(SYS_futex, word, FUTEX_WAIT, seen, limit ? &timeout : NULL, NULL, 0);
}
static void futex_wake(_Atomic uint32_t *word) {
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static void pin(int cpu) {
	cpu_set_t set;
	CPU_ZERO(&set);
	if (cpu >= 0)
		CPU_SET((size_t)cpu, &set);
	if (cpu >= 0 && sched_setaffinity(0, sizeof set, &set) != 0)
		fail("no such processor");
}

/* ---- one end, whatever its kind ------------------------------------------------------------- */

static void *hand_over(void *arg) {
	uint32_t seen = *(const uint32_t *)arg;
	for (uint64_t one = 1;;) {
		futex_wait(&shared->bare, seen, 0);
		uint32_t now = shared->bare;
		if (now != seen && write(ends[BARE].fd, &one, sizeof one) != sizeof one)
			fail("eventfd");
		seen = now;
	}
	return NULL;
}

static void open_end(int at) {
	struct end *end = &ends[at];
	struct shmem_conf conf = {.size = sizeof conf, .samplelen = VALUES, .queuelen = 16, .spare = 16};
	char name[64], back[64];
	name_of(name, at, 0);
	name_of(back, at, 1);
	if (at == 0 || at == WIRE)
		conf.queuelen = 512, conf.spare = 2 * BATCH;
	if (at < CHANNELS && !(end->channel = is_peer ? shmem_shared_create(name, &conf)
						     : shmem_shared_open(name, NULL)))
		fail("no channel");
	if (at >= CHANNELS && at < RINGS &&
	    !(end->ring = shmem_ring_open(name, SHMEM_SPSC, is_peer ? SHMEM_PRODUCER : SHMEM_CONSUMER, 8, 64)))
		fail("no ring");
	if (at == WIRE && shmem_int_timed_open(is_peer ? name : back, is_peer ? back : name, &end->wire, &conf,
					       &(struct timespec){.tv_sec = 5}) != 0)
		fail("no channel in VILLASnode's layout");
	if (at == BARE && !is_peer) {
		static const uint32_t none = 0;
		pthread_t thread;
		end->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (end->fd < 0 || pthread_create(&thread, NULL, hand_over, (void *)&none) != 0)
			fail("no yardstick");
	}
}

/* Adds the end to the loop. */
static void watch_end(int at) {
	struct end *end = &ends[at];
	if (at != BARE)
		end->fd = at < CHANNELS ? shmem_shared_fd(end->channel, SHMEM_FD_READ)
			: at < RINGS	? shmem_ring_fd(end->ring)
					: shmem_int_fd(&end->wire, SHMEM_FD_READ);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = at};
	if (end->fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, end->fd, &event) != 0)
		fail("no descriptor");
}

static void forget_end(int at) {
	if (epoll_ctl(epoll, EPOLL_CTL_DEL, ends[at].fd, NULL) != 0)
		fail("not in the loop");
}

static void close_end(int at) {
	if (at < CHANNELS ? shmem_shared_close(ends[at].channel, NULL) : shmem_ring_close(ends[at].ring))
		fail("close");
}

/* One call that takes what has come, at most a batch. Returns how many. */
static int take_once(int at) {
	struct end *end = &ends[at];
	struct sample *smps[BATCH];
	uint64_t messages[BATCH];
	int got;
	if (at == BARE)
		got = read(end->fd, messages, sizeof *messages) == sizeof *messages;
	else if (at >= CHANNELS && at < RINGS)
		got = shmem_ring_pop_many(end->ring, messages, BATCH);
	else {
		got = at == WIRE ? shmem_int_try_read(&end->wire, smps, BATCH)
				 : shmem_shared_try_read(end->channel, smps, BATCH);
		if (got > 0 && sample_put_many(smps, (unsigned int)got) != got)
			fail("put");
	}
	if (got < 0)
		fail("nothing can be read");
	return got;
}

/* What an event is for: takes a batch, and until nothing is left if the batch was not full. */
static int take(int at) {
	int got = take_once(at), all = got;
	while (at != BARE && got > 0 && all < BATCH)
		all += got = take_once(at);
	return all;
}

/* Sends one, and notes when. */
static void send_one(int at) {
	struct end *end = &ends[at];
	struct sample *smp = NULL;
	int done = 1;
	if (at == WIRE)
		done = shmem_int_alloc(&end->wire, &smp, 1);
	else if (at < CHANNELS)
		done = sample_alloc(&end->channel->pool, &smp, 1);
	if (done != 1)
		fail("no sample to send");
	if (smp) {
		smp->length = VALUES;
		memset(smp->data, 0, SAMPLE_DATA_LENGTH(VALUES));
	}
	shared->sent = now_ns();
	if (at == BARE) {
		shared->bare++;
		futex_wake(&shared->bare);
	} else if (at == WIRE)
		done = shmem_int_write(&end->wire, &smp, 1);
	else if (at < CHANNELS)
		done = shmem_shared_write(end->channel, &smp, 1);
	else
		done = shmem_ring_push(end->ring, &(uint64_t){1}) == 0;
	if (done != 1)
		fail("nothing can be sent");
}

/* The end that has something, or -1 after `limit` milliseconds. */
static int await(int limit) {
	struct epoll_event event;
	int count = epoll_wait(epoll, &event, 1, limit);
	if (count < 0 && errno != EINTR)
		fail("epoll_wait");
	return count > 0 ? event.data.fd : -1;
}

#endif
