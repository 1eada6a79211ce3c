/* SPDX-License-Identifier: Apache-2.0 */
/* compiler: compiler hints, cache-line size, counter macros and prefetches, each defined once.
 *
 * Hot path  Everything here is a hint, a constant or a few instructions.
 */
#ifndef MILLRACE_BASE_COMPILER_H
#define MILLRACE_BASE_COMPILER_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

/* The unit of coherence on every CPU we build for. Data of two writers must not share a line. */
#define MR_CACHE_LINE 64

#define mr_likely(x)   __builtin_expect(!!(x), 1)
#define mr_unlikely(x) __builtin_expect(!!(x), 0)

/* Inlines a step of a hot loop at every call, so that its arguments stay in registers. */
#define MR_ALWAYS_INLINE static inline __attribute__((always_inline))

/* Statistics have one writer and readers elsewhere. They need no read-modify-write, only a store
 * that is not torn. */
#define mr_count(field, n) __atomic_store_n(&(field), (field) + (uint64_t)(n), __ATOMIC_RELAXED)
#define mr_gauge(field, v) __atomic_store_n(&(field), (uint64_t)(v), __ATOMIC_RELAXED)

#define MR_ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define mr_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Rounds up to a power of two `align`. */
static inline uint64_t mr_align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

/* Prefetches the line at `at` for a read or a write. Any address is allowed: a prefetch never
 * faults. A line that another core has read must become this core's before a write. On x86 the
 * builtin asks for that only when built for newer machines than ours, so the write prefetch names
 * the instruction. */
static inline void mr_prefetch(const void *at)
{
	__builtin_prefetch(at);
}

static inline void mr_prefetch_write(const void *at)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
	__builtin_prefetch(at, 1);
#endif
}

/* Limit of a prefetch of many lines. More would evict the lines that were fetched first. */
#define MR_PREFETCH_BYTES_MAX 4096u

static inline void mr_prefetch_lines(const void *from, size_t bytes)
{
	for (size_t at = 0; at < bytes && at < MR_PREFETCH_BYTES_MAX; at += MR_CACHE_LINE)
		mr_prefetch((const char *)from + at);
}

static inline void mr_prefetch_lines_write(const void *from, size_t bytes)
{
	for (size_t at = 0; at < bytes && at < MR_PREFETCH_BYTES_MAX; at += MR_CACHE_LINE)
		mr_prefetch_write((const char *)from + at);
}

/* Tells the core that this is a spin loop, so that a sibling thread or the hypervisor may run. */
static inline void mr_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
