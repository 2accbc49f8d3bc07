/* Moves COUNT samples or messages through the library, one by one, within one process: for instructions.sh.
 * usage: instructions channel|history|spsc|mpmc COUNT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <villas/shmem.h>

static int fail(const char *what) {
	fprintf(stderr, "instructions: %s: %s\n", what, shmem_last_error());
	return 1;
}

static int channel(const char *name, long count, int history) {
	struct shmem_conf conf = {.size = sizeof conf, .polling = 1, .queuelen = 64, .samplelen = 1, .history = history};
	struct shmem_shared *node = shmem_shared_create(name, &conf);
	struct shmem_shared *program = node ? shmem_shared_open(name, NULL) : NULL;
	if (!program)
		return fail("no channel");
	(void)shmem_shared_unlink(name);
	for (long i = 0; i < count; i++) {
		struct sample *smp = NULL;
		if (sample_alloc(&node->pool, &smp, 1) != 1 || shmem_shared_write(node, &smp, 1) != 1 ||
		    shmem_shared_read(program, &smp, 1) != 1 || sample_put(smp) != 0)
			return fail("a sample");
	}
	return shmem_shared_close(program, NULL) || shmem_shared_close(node, NULL) ? fail("close") : 0;
}

static int ring(const char *name, long count, int policy) {
	unsigned long long message = 0;
	struct shmem_ring *producer = shmem_ring_open(name, policy, SHMEM_PRODUCER, sizeof message, 64);
	struct shmem_ring *consumer = producer ? shmem_ring_open(name, policy, SHMEM_CONSUMER, sizeof message, 64) : NULL;
	if (!consumer)
		return fail("no ring");
	(void)shmem_ring_unlink(name);
	for (long i = 0; i < count; i++)
		if (shmem_ring_push(producer, &message) || shmem_ring_pop(consumer, &message))
			return fail("a message");
	return shmem_ring_close(consumer) || shmem_ring_close(producer) ? fail("close") : 0;
}

int main(int argc, char **argv) {
	char name[64];
	if (argc != 3)
		return fprintf(stderr, "usage: %s channel|history|spsc|mpmc COUNT\n", argv[0]), 2;
	long count = strtol(argv[2], NULL, 10);
	(void)snprintf(name, sizeof name, "villas-bench-instructions-%ld", (long)getpid());
	if (strcmp(argv[1], "channel") == 0)
		return channel(name, count, 0);
	if (strcmp(argv[1], "history") == 0)
		return channel(name, count, 64);
	return ring(name, count, strcmp(argv[1], "spsc") == 0 ? SHMEM_SPSC : SHMEM_MPMC);
}
