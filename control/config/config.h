/* SPDX-License-Identifier: Apache-2.0 */
/* config: what the operator asked for, parsed from YAML and --set, checked once, constant from then.
 *
 * Both processes read the same file; docs/millrace.yaml says every key with its default, its range
 * and what it is for. The defaults stand in config.c and nowhere else.
 *
 * Owns      The caller owns struct mr_config; it points to nothing outside itself.
 * Errors    -errno, and a text "FILE:LINE: key: what was found; what was expected".
 */
#ifndef MILLRACE_CONTROL_CONFIG_H
#define MILLRACE_CONTROL_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MR_CONFIG_WORKERS_MAX 32
#define MR_CONFIG_IDS_MAX     64

enum mr_config_poll {
	MR_CONFIG_POLL_ADAPTIVE, /* spin for spin_us without work, then sleep on the doorbells */
	MR_CONFIG_POLL_BUSY,     /* never sleep */
};

struct mr_config {
	char file[PATH_MAX]; /* read from; empty: defaults alone */
	char run_dir[80]; /* sockets live here; short enough for sun_path with a name behind it */
	struct {
		uint32_t count;                  /* 1 .. 32, default 1 */
		int cpus[MR_CONFIG_WORKERS_MAX]; /* one a worker */
		uint32_t cpus_count;             /* 0: not pinned; else == count */
		enum mr_config_poll poll;        /* default adaptive */
		uint32_t spin_us;                /* 0 .. 1,000,000, default 20 */
	} workers;
	struct {
		uint32_t clients_max;        /* per worker, 1 .. 65,536, default 256 */
		uint32_t up_ring_bytes;      /* power of two, 256 KiB .. 1 GiB, default 1 MiB */
		uint32_t down_ring_bytes;    /* power of two, 256 KiB .. 1 GiB, default 4 MiB */
		uint32_t handoff_ring_bytes; /* power of two, 256 KiB .. 1 GiB, default 1 MiB */
	} channels;
	struct {
		uint32_t subscriptions_max;            /* 1 .. 16,777,216, default 1,048,576 */
		uint32_t subscriptions_per_client_max; /* 1 .. 16,777,216, default 131,072 */
		uint32_t aliases_max;                  /* 1 .. 1,048,576, default 65,536 */
		uint32_t aliases_per_client_max;       /* 1 .. 1,048,576, default 4,096 */
		uint32_t
			route_cache_entries; /* per worker, power of two 64 .. 1,048,576, default 8,192 */
	} tables;
	struct {
		uint32_t
			ring_entries; /* descriptors per ordered pair of workers, power of two, default 1,024 */
		uint32_t
			blocks; /* 64 KiB buffers shared by all workers, 16 .. 8,192, default 256 */
	} mesh;
	struct {
		bool anyone;                    /* any local user may attach; default false */
		uid_t users[MR_CONFIG_IDS_MAX]; /* besides root and the bus's own user */
		uint32_t users_count;
		gid_t groups[MR_CONFIG_IDS_MAX];
		uint32_t groups_count;
	} access;
	struct {
		int level; /* enum mr_log_level, default info */
		bool json; /* one JSON object a line instead of text; default false */
	} log;
};

/* The defaults. */
void mr_config_default(struct mr_config *c);

/* Reads `path` (NULL: none) over the defaults, then applies `sets`, each "key.path=value" with the
 * keys of the file, then checks the whole. On failure `error` tells where and what, and *c is
 * undefined. -ENOENT, -EACCES, -EINVAL. */
int mr_config_load(struct mr_config *c, const char *path, const char *const *sets,
	size_t sets_count, char *error, size_t error_bytes);

#endif
