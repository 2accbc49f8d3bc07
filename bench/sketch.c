/* The channel's layout without the library: a contender that shows what the layout itself costs.
 *
 * Samples, positions in their headers and entries with a phase bit are those of the library's own
 * layout. There are no checks, no threads, no sleep, no repair, and the loops that use it are
 * compiled into it. Values are written and added up as `fill` and `sum` of `contender.rs` do, by
 * moves of 16 bytes. A queue must hold more than LAZY samples.
 *
 * `sketch.rs` calls it, on memory of zeros that both processes share. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* How many blocks ahead an allocation fetches for writing, as the library does; 0: none. */
#ifndef AHEAD
#define AHEAD 8
#endif

enum {
	ENTRIES = 2048, /* of a queue: a power of two */
	QUEUE = 1024,   /* samples that a queue holds */
	HOME = 1088,    /* blocks at home on each side: those of a queue, and 64 in hand */
	LAZY = 32,      /* `head` is published when this many samples have been taken */
	MOST = 64,      /* samples in a batch */
	FLAGS = 25,     /* origin, sequence and data are valid */
};

/* Of one side: the queue positions at which it sent a block, and up to which it is done with it. */
struct positions {
	_Atomic uint64_t sent, done;
};

struct sample {
	uint64_t sequence;
	uint32_t length, capacity;
	int32_t flags;
	struct positions of[2];
	struct timespec origin, received;
	uint64_t values[];
};

struct queue {
	_Alignas(128) _Atomic uint64_t head;             /* the reader's */
	_Alignas(128) _Atomic uint64_t taken;            /* the reader's, stored once for each batch */
	_Alignas(128) _Atomic uint32_t entries[ENTRIES]; /* the writer's: block number, then the phase */
};

/* What a process knows of its side. */
struct sketch {
	int side, peer;
	unsigned values, block_size;
	struct queue *out, *in;
	char *blocks;
	uint64_t written, read, head; /* positions: the next to write, the next to read, the peer's `head` as last seen */
	uint32_t used[2 * ENTRIES];   /* home blocks in use, that which was handed out longest ago first */
	unsigned oldest, newest;
	uint32_t fresh, end; /* home blocks that were never used */
	uint16_t references[2 * HOME];
	uint64_t got[2 * HOME]; /* the position at which a held block was received */
};

#define INLINE static inline __attribute__((always_inline))

INLINE struct sample *block(const struct sketch *s, uint32_t number, unsigned size) {
	return (struct sample *)(s->blocks + (size_t)number * size);
}

/* The phase that an entry has at this position. It changes with each turn; zeroed entries have none. */
INLINE uint32_t phase(uint64_t position) {
	return ((position / ENTRIES) & 1) ^ 1;
}

INLINE unsigned bytes_of(unsigned values) {
	return (sizeof(struct sample) + 8 * values + 63) / 64 * 64;
}

INLINE int is_free(const struct sketch *s, uint32_t number, unsigned size) {
	struct sample *smp = block(s, number, size);
	if (s->references[number] ||
	    atomic_load_explicit(&smp->of[s->peer].done, memory_order_acquire) !=
	        atomic_load_explicit(&smp->of[s->side].sent, memory_order_acquire))
		return 0;
	return atomic_load_explicit(&smp->of[s->peer].sent, memory_order_acquire) ==
	       atomic_load_explicit(&smp->of[s->side].done, memory_order_acquire);
}

/* The peer has read these lines: without this, a store to each waits for it to come back. */
INLINE void fetch_to_write(const char *at, unsigned size) {
	for (unsigned line = 0; line < size; line += 64)
#ifdef __x86_64__
		__asm__ volatile("prefetchw %0" : : "m"(at[line]));
#else
		__builtin_prefetch(at + line, 1);
#endif
}

INLINE unsigned allocate(struct sketch *s, uint32_t *numbers, unsigned count, unsigned size) {
	unsigned got = 0;
	for (; got < count; got++) {
		uint32_t number;
		if (s->oldest != s->newest && is_free(s, s->used[s->oldest % (2 * ENTRIES)], size))
			number = s->used[s->oldest++ % (2 * ENTRIES)];
		else if (s->fresh < s->end)
			number = s->fresh++;
		else
			break;
		if (AHEAD > 0 && s->newest - s->oldest > AHEAD)
			fetch_to_write((char *)block(s, s->used[(s->oldest + AHEAD) % (2 * ENTRIES)], size), size);
		s->used[s->newest++ % (2 * ENTRIES)] = number;
		s->references[number] = 1;
		struct sample *smp = block(s, number, size);
		smp->capacity = s->values;
		smp->length = 0;
		numbers[got] = number;
	}
	return got;
}

INLINE unsigned write_some(struct sketch *s, const uint32_t *numbers, unsigned count, unsigned size) {
	if (s->written + count - s->head > QUEUE) {
		s->head = atomic_load_explicit(&s->out->head, memory_order_acquire);
		if (s->written + count - s->head > QUEUE)
			count = QUEUE - (unsigned)(s->written - s->head);
	}
	for (unsigned i = 0; i < count; i++) {
		s->references[numbers[i]]--;
		atomic_store_explicit(&block(s, numbers[i], size)->of[s->side].sent, s->written + i + 1, memory_order_relaxed);
	}
	for (unsigned i = 0; i < count; i++) {
		uint64_t at = s->written + i;
		atomic_store_explicit(&s->out->entries[at % ENTRIES], numbers[i] << 1 | phase(at), memory_order_release);
	}
	s->written += count;
	return count;
}

INLINE unsigned read_some(struct sketch *s, uint32_t *numbers, unsigned most, unsigned size) {
	uint64_t at = s->read;
	unsigned count = 0;
	for (; count < most; count++, at++) {
		uint32_t entry = atomic_load_explicit(&s->in->entries[at % ENTRIES], memory_order_acquire);
		if ((entry & 1) != phase(at))
			break;
		numbers[count] = entry >> 1;
		__builtin_prefetch(block(s, entry >> 1, size));
		__builtin_prefetch((char *)block(s, entry >> 1, size) + 64);
	}
	for (unsigned i = 0; i < count; i++) {
		s->references[numbers[i]]++;
		s->got[numbers[i]] = s->read + i + 1;
	}
	if (count)
		atomic_store_explicit(&s->in->taken, at, memory_order_release);
	if (at / LAZY != s->read / LAZY)
		atomic_store_explicit(&s->in->head, at, memory_order_release);
	s->read = at;
	return count;
}

INLINE void put(struct sketch *s, uint32_t number, unsigned size) {
	if (--s->references[number] == 0)
		atomic_store_explicit(&block(s, number, size)->of[s->side].done, s->got[number], memory_order_release);
}

/* Sends the samples `first` to `end - 1`, so many at a time. */
INLINE void send_batches(struct sketch *s, uint64_t first, uint64_t end, unsigned batch, unsigned values) {
	const unsigned size = bytes_of(values);
	uint32_t numbers[MOST];
	while (first < end) {
		unsigned got = allocate(s, numbers, end - first < batch ? (unsigned)(end - first) : batch, size);
		for (unsigned i = 0; i < got; i++, first++) {
			struct sample *smp = block(s, numbers[i], size);
			smp->sequence = first;
			smp->flags = FLAGS;
			smp->origin.tv_sec = (time_t)first;
			smp->origin.tv_nsec = 0;
			smp->length = values;
			for (unsigned j = 0; j < values; j++)
				smp->values[j] = first;
		}
		for (unsigned sent = 0; sent < got;)
			sent += write_some(s, numbers + sent, got - sent, size);
	}
}

/* Receives the samples `first` to `end - 1`; returns the sum of their values. */
INLINE uint64_t receive_batches(struct sketch *s, uint64_t first, uint64_t end, unsigned batch, unsigned values) {
	const unsigned size = bytes_of(values);
	uint32_t numbers[MOST];
	uint64_t sum = 0;
	while (first < end) {
		unsigned count = read_some(s, numbers, batch, size);
		for (unsigned i = 0; i < count; i++, first++) {
			const struct sample *smp = block(s, numbers[i], size);
			if (smp->sequence != first || smp->length != values)
				abort();
			for (unsigned j = 0; j < values; j++)
				sum += smp->values[j];
		}
		for (unsigned i = 0; i < count; i++)
			put(s, numbers[i], size);
	}
	return sum;
}

INLINE uint64_t trips(struct sketch *s, uint64_t first, uint64_t end, unsigned values) {
	uint64_t sum = 0;
	for (; first < end; first++) {
		send_batches(s, first, first + 1, 1, values);
		sum += receive_batches(s, first, first + 1, 1, values);
	}
	return sum;
}

INLINE uint64_t echoes(struct sketch *s, uint64_t first, uint64_t end, unsigned values) {
	uint64_t sum = 0;
	for (; first < end; first++) {
		sum += receive_batches(s, first, first + 1, 1, values);
		send_batches(s, first, first + 1, 1, values);
	}
	return sum;
}

size_t sketch_bytes(unsigned values) {
	return 2 * sizeof(struct queue) + (size_t)2 * HOME * bytes_of(values);
}

/* One side of a sketch, 0 or 1, in zeroed memory on a page of its own. */
struct sketch *sketch_open(void *memory, int side, unsigned values) {
	struct sketch *s = calloc(1, sizeof *s);
	struct queue *queues = memory;
	if (!s || (values != 1 && values != 8))
		abort();
	s->side = side;
	s->peer = !side;
	s->values = values;
	s->out = &queues[side];
	s->in = &queues[!side];
	s->blocks = (char *)&queues[2];
	s->fresh = side ? HOME : 0;
	s->end = s->fresh + HOME;
	return s;
}

void sketch_close(struct sketch *s) {
	free(s);
}

/* The loops that are measured, for each number of values that the compiler knows. */
uint64_t sketch_trips(struct sketch *s, uint64_t first, uint64_t end) {
	return s->values == 1 ? trips(s, first, end, 1) : trips(s, first, end, 8);
}

uint64_t sketch_echoes(struct sketch *s, uint64_t first, uint64_t end) {
	return s->values == 1 ? echoes(s, first, end, 1) : echoes(s, first, end, 8);
}

void sketch_send(struct sketch *s, uint64_t first, uint64_t end, unsigned batch) {
	s->values == 1 ? send_batches(s, first, end, batch, 1) : send_batches(s, first, end, batch, 8);
}

uint64_t sketch_receive(struct sketch *s, uint64_t first, uint64_t end, unsigned batch) {
	return s->values == 1 ? receive_batches(s, first, end, batch, 1) : receive_batches(s, first, end, batch, 8);
}
