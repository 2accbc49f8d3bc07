/* Measures the descriptors to poll, beside a bare hand-over, and with and without idle neighbours.
 * usage: descriptors [--slices 2 to 100] [--cpus LOOP,PEER]
 *
 * Two processes: the loop and its peer, forked before anything is opened. What is compared takes
 * turns in short slices, the yardstick before and after each. A slice counts when the two agree
 * within a quarter. Prints tables for docs/performance.md.
 *
 * As in make bench, each process has a processor of its own. With --cpus -1,-1 the kernel places
 * them. It may put the peer and the helper on one processor, where a wake-up takes a few us instead
 * of some 30, for one row and not for another. Then look at times, not at ratios. */
#include "descriptors.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { WAKES = 40, MOST_SLICES = 100, MOST_ROWS = 8 };

/* ---- the peer ------------------------------------------------------------------------------- */

/* Returns 50 us after the loop has begun another sleep, and the kernel says that it sleeps. */
static void await_sleep(uint32_t number, int stat) {
	char text[256], *end;
	for (;; rest(20000)) {
		if (shared->asleep != number)
			continue;
		ssize_t length = pread(stat, text, sizeof text - 1, 0);
		text[length > 0 ? length : 0] = 0;
		if ((end = strrchr(text, ')')) && end[2] == 'S')
			break;
	}
	for (int64_t begin = now_ns(); now_ns() < begin + 50000;)
		;
}

static void serve(int stat) {
	const struct timespec short_time = {.tv_nsec = 20 * MS};
	struct shmem_shared *const channel = ends[0].channel;
	struct sample *smps[BATCH];
	if (shared->work == WAKE) {
		for (uint32_t wake = 0; wake < WAKES; wake++) {
			await_sleep(wake + 1, stat);
			send_one(shared->first + (int)wake * shared->step);
		}
		return;
	}
	if (shmem_shared_wait(channel, &(struct timespec){.tv_sec = 5}) != 0)
		fail("no loop");
	while (!shared->stop) {
		if (shared->work == STREAM) {
			int made = shmem_shared_timed_alloc(channel, smps, BATCH, &short_time);
			for (int i = 0; i < made; i++)
				smps[i]->length = VALUES, memset(smps[i]->data, 0, SAMPLE_DATA_LENGTH(VALUES));
			int sent = 0;
			while (sent < made && !shared->stop) {
				int more = shmem_shared_timed_write(channel, smps + sent, (unsigned int)(made - sent), &short_time);
				if (more < 0)
					fail("no stream");
				sent += more;
			}
			if (made < 0 || sample_put_many(smps + sent, (unsigned int)(made - sent)) != made - sent)
				fail("no stream");
			continue;
		}
		int got = 0;
		if (shared->work == ECHO_BY_READ) {
			got = shmem_shared_timed_read(channel, smps, BATCH, &short_time);
			if (got < 0 || (got > 0 && sample_put_many(smps, (unsigned int)got) != got))
				fail("no echo");
		} else if (await(20) >= 0)
			got = take(0);
		while (got-- > 0)
			send_one(0);
	}
}

static _Noreturn void peer(void) {
	char path[64];
	is_peer = 1;
	pin(cpus[1]);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	for (int at = 0; at < RINGS; at++)
		open_end(at);
	watch_end(0);
	(void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)loop_pid);
	int stat = open(path, O_RDONLY | O_CLOEXEC);
	shared->finished = 1;
	futex_wake(&shared->finished);
	open_end(WIRE);
	for (uint32_t served = 0;; served++) {
		while (shared->order == served)
			futex_wait(&shared->order, served, 0);
		serve(stat);
		shared->finished = served + 2;
		futex_wake(&shared->finished);
	}
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void order(enum work work, int first, int step) {
	shared->work = work, shared->first = first, shared->step = step;
	shared->stop = 0;
	shared->asleep = 0;
	shared->order++;
	futex_wake(&shared->order);
}

static void await_peer(void) {
	for (uint32_t seen; (seen = shared->finished) != shared->order + 1;)
		futex_wait(&shared->finished, seen, 10 * 1000 * MS);
}

static int by_size(const void *one, const void *other) {
	double a = *(const double *)one, b = *(const double *)other;
	return (a > b) - (a < b);
}
static double median(double *of, int count) {
	qsort(of, (size_t)count, sizeof *of, by_size);
	return count % 2 ? of[count / 2] : (of[count / 2 - 1] + of[count / 2]) / 2;
}

/* What is measured in a slice. */
struct row {
	const char *name;
	enum work work;
	int first, step;     /* the end that the peer sends to; the next is so many ends further */
	int channels, rings; /* idle neighbours in the loop */
};

static void neighbours(const struct row *row, void (*action)(int)) {
	for (int at = 1; at <= row->channels; at++)
		action(at);
	for (int at = CHANNELS; at < CHANNELS + row->rings; at++)
		action(at);
}

/* Nanoseconds of a wake-up: the median of the slice. */
static double wake_ups(const struct row *row) {
	static double times[WAKES];
	int count = 0;
	order(WAKE, row->first, row->step);
	for (uint32_t wake = 0; wake < WAKES;) {
		shared->asleep = wake + 1;
		int at = await(2000);
		int64_t now = now_ns(), sent = shared->sent;
		if (at < 0)
			fail("a wake-up was lost");
		/* Readable without a reason: again. */
		if (take(at) == 0)
			continue;
		if (now > sent)
			times[count++] = (double)(now - sent);
		wake++;
	}
	if (count < WAKES / 2)
		fail("the loop did not sleep");
	return median(times, count);
}

/* Round trips, or samples, a second: for 200 ms, after 150 ms in which helpers find who rings. */
static double traffic(const struct row *row) {
	int64_t begin = now_ns() + 150 * MS, end = begin + 200 * MS, now;
	uint64_t count = 0;
	order(row->work, 0, 0);
	if (row->work != STREAM)
		send_one(0);
	while ((now = now_ns()) < end) {
		int at = await(2000), got;
		if (at < 0)
			fail("an event was lost");
		got = take(at);
		if (now >= begin)
			count += (uint64_t)got;
		if (row->work != STREAM && got > 0)
			send_one(0);
	}
	double rate = (double)count * 1e9 / (double)(now - begin);
	/* The last one on its way comes back. */
	while (row->work != STREAM && take(0) == 0)
		(void)await(20);
	shared->stop = 1;
	await_peer();
	while (take(0) > 0)
		;
	return rate;
}

static double measure(const struct row *row) {
	double result;
	/* The channel comes last, where the helpers have the worst place for it. */
	neighbours(row, open_end), neighbours(row, watch_end);
	if (row->work == WAKE) {
		if (!row->step)
			watch_end(row->first);
		result = wake_ups(row);
		await_peer();
		if (!row->step)
			forget_end(row->first);
	} else {
		open_end(0), watch_end(0);
		result = traffic(row);
		forget_end(0), close_end(0);
	}
	neighbours(row, forget_end), neighbours(row, close_end);
	return result;
}

/* Measures rows in turn; the first is the yardstick. */
static void compare(const char *what, const char *unit, double scale, const struct row *rows, int count, int slices,
		    const char *goal) {
	static double ratios[MOST_ROWS][MOST_SLICES], values[MOST_ROWS][MOST_SLICES * MOST_ROWS];
	int counted[MOST_ROWS] = {0}, measured[MOST_ROWS] = {0};
	double before = measure(&rows[0]), earlier = 0;
	for (int slice = 0; slice < slices; slice++)
		for (int row = 1; row < count; row++) {
			double value = measure(&rows[row]), after = measure(&rows[0]);
			values[row][measured[row]++] = value;
			values[0][measured[0]++] = before;
			if (before < 1.25 * after && after < 1.25 * before)
				ratios[row][counted[row]++] = value / ((before + after) / 2);
			/* The yardstick beside itself. */
			if (row == 1 && earlier > 0)
				ratios[0][counted[0]++] = before / ((earlier + after) / 2);
			earlier = before, before = after;
		}
	printf("| %s | ratio | lowest, highest | counted | %s | goal |\n|---|---:|---:|---:|---:|---:|\n", what, unit);
	for (int row = 0; row < count; row++) {
		double middle = counted[row] ? median(ratios[row], counted[row]) : 0;
		printf("| %s | %.2f | %.2f, %.2f | %d/%d | %.1f | %s |\n", rows[row].name, middle,
		       counted[row] ? ratios[row][0] : 0, counted[row] ? ratios[row][counted[row] - 1] : 0, counted[row],
		       slices, median(values[row], measured[row]) / scale, row ? goal : "");
	}
	printf("\n");
	fflush(stdout);
}

/* Entries of a directory of /proc/self; `prefix`: of threads with such a name. */
static int entries(const char *path, const char *prefix) {
	char name[300], text[32] = "";
	struct dirent *entry;
	int count = 0;
	DIR *directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof name, "%s/%s/comm", path, entry->d_name);
		FILE *file = prefix ? fopen(name, "r") : NULL;
		count += !prefix || (file && fgets(text, sizeof text, file) && strncmp(text, prefix, strlen(prefix)) == 0);
		if (file)
			(void)fclose(file);
	}
	if (directory)
		(void)closedir(directory);
	return count;
}

static double cpu_ms(const struct rusage *of) {
	return (double)(of->ru_utime.tv_sec + of->ru_stime.tv_sec) * 1e3 +
	       (double)(of->ru_utime.tv_usec + of->ru_stime.tv_usec) / 1e3;
}

/* 100 channels and 100 rings in the loop, and nothing happens. */
static void idle(int seconds) {
	const struct row all = {.channels = CHANNELS - 1, .rings = RINGS - CHANNELS};
	struct rusage whole[2], thread[2];
	int descriptors = entries("/proc/self/fd", NULL), events = 0;
	open_end(0), watch_end(0);
	neighbours(&all, open_end), neighbours(&all, watch_end);
	/* The first look at each finds nothing. */
	for (int64_t end = now_ns() + 500 * MS, at; now_ns() < end;)
		if ((at = await(100)) >= 0)
			(void)take((int)at);
	int64_t begin = now_ns(), end = begin + seconds * 1000 * MS;
	(void)getrusage(RUSAGE_SELF, &whole[0]), (void)getrusage(RUSAGE_THREAD, &thread[0]);
	for (int64_t now; (now = now_ns()) < end;) {
		int at = await((int)((end - now) / MS) + 1);
		if (at >= 0)
			(void)take(at), events++;
	}
	(void)getrusage(RUSAGE_SELF, &whole[1]), (void)getrusage(RUSAGE_THREAD, &thread[1]);
	double cpu = cpu_ms(&whole[1]) - cpu_ms(&whole[0]);
	long switches = whole[1].ru_nvcsw - whole[0].ru_nvcsw - (thread[1].ru_nvcsw - thread[0].ru_nvcsw);
	printf("| 100 channels and 100 rings, idle for %d s | | goal |\n|---|---:|---:|\n", seconds);
	printf("| processor time of the process | %.2f %% | ≤ 1 %% |\n", cpu / (10.0 * seconds));
	printf("| wake-ups of the helper threads | %.0f/s | |\n", (double)switches / seconds);
	printf("| helper threads | %d | |\n", entries("/proc/self/task", "villas-shm"));
	printf("| descriptors, of which 200 to poll | %d | |\n", entries("/proc/self/fd", NULL) - descriptors);
	printf("| events without a reason | %d | |\n\n", events);
	forget_end(0), close_end(0);
	neighbours(&all, forget_end), neighbours(&all, close_end);
}

/* Nanoseconds of processor time of a call that finds nothing. */
static void empty(int slices) {
	enum { CALLS = 2000 };
	static double times[4][MOST_SLICES];
	const int of[4] = {0, 1, CHANNELS, CHANNELS + 1};
	for (int i = 0; i < 4; i++)
		open_end(of[i]);
	watch_end(1), watch_end(CHANNELS + 1);
	for (int slice = 0; slice < slices; slice++)
		for (int i = 0; i < 4; i++) {
			int64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
			for (int call = 0; call < CALLS; call++)
				(void)take_once(of[i]);
			times[i][slice] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / CALLS;
		}
	printf("| processor time of a call that finds nothing, ns | without descriptor | with one, lowest, highest |\n"
	       "|---|---:|---:|\n");
	for (int i = 0; i < 4; i += 2) {
		double without = median(times[i], slices), with = median(times[i + 1], slices);
		printf("| %s | %.0f | %.0f, %.0f, %.0f |\n", i ? "`shmem_ring_pop_many`" : "`shmem_shared_try_read`", without,
		       with, times[i + 1][0], times[i + 1][slices - 1]);
	}
	forget_end(1), forget_end(CHANNELS + 1);
	for (int i = 0; i < 4; i++)
		close_end(of[i]);
}

int main(int argc, char **argv) {
	int slices = 15;
	for (int i = 1; i < argc; i += 2)
		if (i + 1 == argc || (strcmp(argv[i], "--slices") == 0
					      ? (slices = (int)strtol(argv[i + 1], NULL, 10)) < 2 || slices > MOST_SLICES
					      : sscanf(argv[i + 1], "%d,%d", &cpus[0], &cpus[1]) != 2))
			return fprintf(stderr, "usage: %s [--slices 2 to 100] [--cpus LOOP,PEER; -1: any]\n", argv[0]), 2;
	loop_pid = getpid();
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		fail("no memory");
	/* The peer's failure ends the loop, too. */
	const int ends_by[] = {SIGCHLD, SIGALRM, SIGINT, SIGTERM};
	for (size_t i = 0; i < sizeof ends_by / sizeof *ends_by; i++)
		(void)signal(ends_by[i], end_by_signal);
	pid_t child = fork();
	if (child == 0)
		peer();
	(void)alarm(1200);
	/* Before there are threads, which inherit it. */
	pin(cpus[0]);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	await_peer();
	open_end(WIRE), open_end(BARE);

	/* One channel and one ring stay open for these; the idle ones come and go. */
	const struct row wakes[] = {
		{"bare hand-over: futex, thread, eventfd", WAKE, BARE, 0, 0, 0},
		{"channel", WAKE, 0, 0, 0, 0},
		{"SPSC ring", WAKE, RINGS - 1, 0, 0, 0},
		{"VILLASnode's layout", WAKE, WIRE, 0, 0, 0},
		{"channel beside 99 and 99 rings", WAKE, 0, 0, 99, 99},
		{"another channel each time, of 99 and 99 rings", WAKE, 1, 1, 99, 99},
	};
	open_end(0), open_end(RINGS - 1);
	compare("Waking a loop that sleeps", "µs", 1e3, wakes, 6, slices, "≤ 1.5");
	close_end(0), close_end(RINGS - 1);

	static const char *const names[] = {"Round trips, epoll at both ends", "Round trips, epoll in the loop only",
					    "Stream, batches of 64"};
	static const enum work works[] = {ECHO_BY_EPOLL, ECHO_BY_READ, STREAM};
	for (int i = 0; i < 3; i++) {
		const struct row rows[] = {
			{"channel alone", works[i], 0, 0, 0, 0},
			{"beside 99 idle channels", works[i], 0, 0, 99, 0},
			{"beside 99 idle channels, 100 idle rings", works[i], 0, 0, 99, 100},
		};
		compare(names[i], "thousand/s", 1e3, rows, 3, slices, "≥ 0.8");
	}
	idle(5);
	empty(slices);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)kill(child, SIGKILL);
	clean();
	return 0;
}
