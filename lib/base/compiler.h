/* SPDX-License-Identifier: Apache-2.0 */
/* compiler: what the language leaves to the compiler, spelt once.
 *
 * Hot path  Everything here is a hint or a constant.
 */
#ifndef MILLRACE_BASE_COMPILER_H
#define MILLRACE_BASE_COMPILER_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

/* Two writers' lines are kept this far apart: the unit of coherence on every CPU we build for. */
#define MR_CACHE_LINE 64

#define mr_likely(x)   __builtin_expect(!!(x), 1)
#define mr_unlikely(x) __builtin_expect(!!(x), 0)

/* For the steps of a hot loop whose arguments are to live in registers, however often they stand. */
#define MR_ALWAYS_INLINE static inline __attribute__((always_inline))

/* Statistics: one writer, readers elsewhere: no read-modify-write is needed, only that the store is
 * whole. */
#define mr_count(field, n) __atomic_store_n(&(field), (field) + (uint64_t)(n), __ATOMIC_RELAXED)
#define mr_gauge(field, v) __atomic_store_n(&(field), (uint64_t)(v), __ATOMIC_RELAXED)

#define MR_ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define mr_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Rounds up to a power of two `align`. */
static inline uint64_t mr_align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

/* Asks for the line at `at`, to be read or to be written soon. Any address will do: none faults. For
 * writing, because a line that another core has read takes a way of its own to become this core's,
 * and that builtin leaves it shared on x86 unless it is built for newer machines than ours. */
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

/* All lines of the first 4 KiB of `bytes`: more would push out what came first. */
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

/* Tells the core that this is a spin, so that a sibling thread or the hypervisor may run. */
static inline void mr_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
