/* A process that has write access to shared memory and keeps to no rule: it maps the objects of these names, and stores into them as fast as it
 * can, until it is killed. An object that gets another in its place is mapped anew. */
#ifndef ATTACKER_H
#define ATTACKER_H

#include "check.h"

#include <linux/futex.h>
#include <stddef.h>

enum plan {
  NOISE,      /* any value anywhere */
  HEAD_NOISE, /* the same in the head, where all says something */
  NEAR,       /* words are counted up and down, by little */
  EDGES,      /* 0, 1, all ones, the sign: everywhere in the head and behind it */
  BELLS,      /* futex words: sleepers that are none, wake-ups that are none */
  TOGGLE,     /* incarnations that change at every look */
  PIDS,       /* who is there: other processes, this one, none; incarnations, closed or not */
  WORDS,      /* states, laps and owners of slots, phases of entries: what makes others begin again */
  TABLE,      /* lengths, types and texts in the table of signals at the end of an object */
  PLANS
};

struct attacker {
  enum plan plan;
  const char *names[4];
  int count;
  size_t head;            /* bytes until the queues, slots or samples begin */
  const uint16_t *bells;  /* offsets of futex words, 0 at the end */
  const uint16_t *slots;  /* offsets of who is there, 0 at the end */
  const uint16_t *spared; /* offsets of words of 32 bits that it leaves alone, 0 at the end; or NULL */
  size_t table;           /* bytes at the end in which the table of signals lies; 0: none */
  pid_t bystander;        /* named in their place; must live on */
  _Atomic uint64_t stores;
};

struct target {
  unsigned char *bytes;
  size_t size;
  ino_t inode;
};

static void attacker_map(struct target *target, const char *name)
{
  struct stat file;
  int fd = open(check_path(name), O_RDWR | O_CLOEXEC);

  if (fd < 0)
    return;
  if (fstat(fd, &file) == 0 && file.st_size >= 64 && (!target->bytes || file.st_ino != target->inode)) {
    void *bytes = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bytes != MAP_FAILED);
    if (target->bytes)
      munmap(target->bytes, target->size);
    *target = (struct target){bytes, (size_t)file.st_size, file.st_ino};
  }
  close(fd);
}

static const uint16_t *spared_words;

/* Whether one of the bytes is of a word that is left alone. */
static bool is_spared(size_t at, size_t size)
{
  for (const uint16_t *word = spared_words; word && *word; word++)
    if (at < *word + 4u && *word < at + size)
      return true;
  return false;
}

static void put64(const struct target *target, size_t at, uint64_t value)
{
  at &= ~(size_t)7;
  if (at + 8 <= target->size && !is_spared(at, 8))
    *(volatile uint64_t *)(target->bytes + at) = value;
}

static uint64_t get64(const struct target *target, size_t at)
{
  at &= ~(size_t)7;
  return at + 8 <= target->size ? *(volatile uint64_t *)(target->bytes + at) : 0;
}

static void put32(const struct target *target, size_t at, uint32_t value)
{
  at &= ~(size_t)3;
  if (at + 4 <= target->size && !is_spared(at, 4))
    *(volatile uint32_t *)(target->bytes + at) = value;
}

static void attacker_step(const struct attacker *attacker, const struct target *target)
{
  static const uint64_t edges[] = {0, 1, UINT64_MAX, 1ull << 63, INT64_MAX, UINT32_MAX, 1ull << 32, UINT64_MAX - 1};
  const size_t head = attacker->head < target->size ? attacker->head : target->size;
  size_t in_head = check_chance(head), anywhere = check_chance(target->size);

  spared_words = attacker->spared;
  switch (attacker->plan) {
  case NOISE:
    put64(target, anywhere, check_chance(0) ^ check_chance(UINT64_MAX));
    break;
  case HEAD_NOISE:
    put64(target, in_head, check_chance(UINT64_MAX));
    break;
  case NEAR:
    put64(target, check_chance(2) ? in_head : anywhere, get64(target, in_head) + check_chance(5) - 2);
    break;
  case EDGES:
    if (check_chance(2))
      put64(target, check_chance(2) ? in_head : anywhere, edges[check_chance(8)]);
    else
      put32(target, check_chance(2) ? in_head : anywhere, (uint32_t)edges[check_chance(8)]);
    break;
  case BELLS:
    for (const uint16_t *bell = attacker->bells; *bell; bell++) {
      put32(target, *bell, (uint32_t)check_chance(UINT32_MAX) | (uint32_t)check_chance(2));
      if (check_chance(16) == 0 && *bell + 4u <= target->size)
        syscall(SYS_futex, target->bytes + *bell, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    }
    break;
  case TOGGLE:
    /* One after the other without a pause, so that none is there twice. */
    for (int i = 0; i < 200; i++)
      for (const uint16_t *slot = attacker->slots; *slot; slot++)
        put64(target, *slot, get64(target, *slot) % 1000 + 1);
    break;
  case PIDS:
    for (const uint16_t *slot = attacker->slots; *slot; slot++) {
      const pid_t pids[] = {attacker->bystander, getppid(), getpid(), 1, 0, -1, INT32_MAX, INT32_MIN};
      uint64_t incarnation = get64(target, *slot);
      /* incarnation, closed, pid and role, start time, namespace */
      switch (check_chance(6)) {
      case 0:
        put64(target, *slot, incarnation + check_chance(3) - 1);
        break;
      case 1:
        put64(target, *slot, check_chance(UINT64_MAX) >> check_chance(64));
        break;
      case 2:
        put64(target, *slot + 8u, check_chance(2) ? incarnation : 0);
        break;
      case 3:
        put32(target, *slot + 16u, (uint32_t)pids[check_chance(8)]);
        break;
      case 4:
        put32(target, *slot + 20u, (uint32_t)check_chance(4));
        break;
      default:
        put64(target, *slot + 24u + 8 * check_chance(2), check_chance(2) ? 0 : check_chance(UINT64_MAX));
      }
    }
    break;
  case TABLE:
    if (attacker->table && attacker->table < target->size) {
      static const unsigned char bytes[] = {0, 1, 2, 3, 4, 'a', 'b', 0x7f, 0x80, 0xc3, 0xff};
      size_t at = target->size - 1 - check_chance(attacker->table);
      *(volatile unsigned char *)(target->bytes + at) = bytes[check_chance(sizeof bytes)];
      break;
    } /* fall through */
  default: {
    /* A slot's word of a ring is lap, state (from bit 10), owner; an entry of a channel block and phase. */
    size_t at = head + check_chance(target->size - head);
    uint64_t word = get64(target, at);
    switch (check_chance(4)) {
    case 0:
      put64(target, at, (word & ~0x1fffull) | check_chance(5) << 10 | check_chance(300));
      break;
    case 1:
      put64(target, at, word + ((uint64_t)check_chance(3) - 1) * 0x2000);
      break;
    case 2:
      put32(target, at, (uint32_t)(word ^ 1));
      break;
    default:
      put32(target, at, (uint32_t)check_chance(64));
    }
  }
  }
}

static void attacker_run(void *arg)
{
  struct attacker *attacker = arg;
  struct target targets[4] = {{0}};

  for (;;) {
    for (int i = 0; i < attacker->count; i++)
      attacker_map(&targets[i], attacker->names[i]);
    for (int step = 0; step < 2000; step++) {
      const struct target *target = &targets[check_chance((uint64_t)attacker->count)];
      if (target->bytes && target->size > 64)
        attacker_step(attacker, target);
      attacker->stores++;
    }
  }
}

#endif
