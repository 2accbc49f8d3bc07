/*
 * villas/shm.hpp: the C++17 interface over villas/shmem.h. Link with -lvillas_shm.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Namespace villas::shm has channels, rings and endpoints as classes whose destructors clean up.
 * The classes are in the header alone. They call the C functions.
 *
 * Namespace villas::node has the names that a C++ program for VILLASnode's libvillas uses for
 * shared memory. They are the types and functions of the C header. Such a program compiles with its
 * include lines changed: docs/migration.md.
 */
#ifndef VILLAS_SHM_HPP
#define VILLAS_SHM_HPP

/* Programs that were written for join use these headers and do not include them. */
#include <cstring>
#include <iostream>

#include <villas/shm_channel.hpp>
#include <villas/shm_error.hpp>
#include <villas/shm_memory.hpp>
#include <villas/shm_ring.hpp>
#include <villas/shm_typed.hpp>
#include <villas/shmem.h>

namespace villas::node {

using Pool = ::pool;
using Sample = ::sample;
using SignalData = ::signal_data;
using ShmemInterface = ::shmem_int;
using ShmemConfig = ::shmem_conf;

using ::shmem_int_alloc;
using ::shmem_int_close;
using ::shmem_int_open;
using ::shmem_int_read;
using ::shmem_int_timed_open;
using ::shmem_int_write;
using ::shmem_total_size;

using ::sample_alloc;
using ::sample_alloc_many;
using ::sample_clone;
using ::sample_copy;
using ::sample_decref;
using ::sample_decref_many;
using ::sample_incref;
using ::sample_incref_many;

/* The flags of a sample: `smp->flags |= (int)SampleFlags::HAS_DATA`. */
enum class SampleFlags {
  HAS_TS_ORIGIN = SAMPLE_HAS_TS_ORIGIN,
  HAS_TS_RECEIVED = SAMPLE_HAS_TS_RECEIVED,
  HAS_OFFSET = SAMPLE_HAS_OFFSET,
  HAS_SEQUENCE = SAMPLE_HAS_SEQUENCE,
  HAS_DATA = SAMPLE_HAS_DATA,
  HAS_TS = SAMPLE_HAS_TS_ORIGIN | SAMPLE_HAS_TS_RECEIVED,
  HAS_ALL = SAMPLE_HAS_ALL,
  NEW_FRAME = SAMPLE_IS_FIRST,
  NEW_SIMULATION = SAMPLE_IS_NEW_SIMULATION,
  ALL = -1
};

/* Allocates one empty sample of a channel's pool, `&shm.write.shared->pool`. The caller owns one
 * reference. nullptr with errno EAGAIN: no block is free; EINVAL: not a pool. */
inline Sample *sample_alloc(Pool *pool)
{
  Sample *smp;
  return ::sample_alloc(pool, &smp, 1) == 1 ? smp : nullptr;
}

/* Copies sample after sample. Stops at the first that cannot be copied (errno EINVAL). Returns how
 * many were copied. */
inline int sample_copy_many(Sample *const dsts[], const Sample *const srcs[], int cnt)
{
  int done = 0;
  while (done < cnt && ::sample_copy(dsts[done], srcs[done]) == 0)
    done++;
  return done;
}

/* Sends samples as ::shmem_int_write does. Takes an array of constant samples, as libvillas does.
 * Those that were sent belong to the reader. */
inline int shmem_int_write(ShmemInterface *shm, const Sample *const smps[], unsigned int cnt)
{
  return ::shmem_int_write(shm, const_cast<Sample **>(smps), cnt);
}

} /* namespace villas::node */

#endif
