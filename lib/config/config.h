/* SPDX-License-Identifier: Apache-2.0 */
/* config: the operator's configuration, parsed from YAML and --set, checked once, then constant.
 *
 * All daemons read the same file. docs/millrace.yaml describes every key with its default, range
 * and purpose. config.c is the only place of the defaults.
 *
 * Owns      The caller owns struct mr_config; it points to nothing outside itself.
 * Errors    -errno, and a text "FILE:LINE: key: found ...; expected ...".
 */
#ifndef MILLRACE_LIB_CONFIG_H
#define MILLRACE_LIB_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/wire/queue_about.h"
#include "lib/wire/queue_key.h"
#include "flatbuf/link.h"
#include "flatbuf/wire.h"

#define MR_CONFIG_WORKERS_MAX 32
#define MR_CONFIG_IDS_MAX     64

#define MR_CONFIG_PORTS_MAX          8
#define MR_CONFIG_PORT_ADDRESSES_MAX 8
#define MR_CONFIG_NETWORKS_MAX       32
#define MR_CONFIG_PORT_RULES_MAX     32
#define MR_CONFIG_MULTICAST_MAX      8
#define MR_CONFIG_TEMPLATES_MAX      32
#define MR_CONFIG_TEMPLATE_BINDS_MAX 16

/* The driver of a port, the first word of its text DRIVER,key=value,... */
enum mr_config_driver {
	MR_CONFIG_DRIVER_AF_XDP,
	MR_CONFIG_DRIVER_MEMIF,
	MR_CONFIG_DRIVER_TAP,
	MR_CONFIG_DRIVER_PCI,
};

/* Addresses in network byte order, IPv4 mapped into IPv6; prefix_bits counts in 128. */
struct mr_config_network {
	uint8_t address[16];
	uint8_t prefix_bits;
};

/* A limit of an AF_XDP port, or a prefix that it allows or denies. */
struct mr_config_rule {
	enum mrf_port_rule_kind kind;
	struct mr_config_network network; /* prefixes only */
	uint32_t rate;                    /* packets a second, 1 .. 10,000,000; limits only */
	uint32_t burst;                   /* packets, at least 10 ms of the rate; limits only */
};

struct mr_config_port {
	enum mr_config_driver driver;
	char name[32];    /* default: driver and number, "af_xdp0" */
	char device[108]; /* af_xdp, tap: interface; memif: path of the socket; pci: address */
	struct mr_config_network addresses[MR_CONFIG_PORT_ADDRESSES_MAX];
	uint32_t addresses_count; /* af_xdp: 0 for those of the interface */
	uint16_t udp_port;        /* default 7400 */
	uint16_t mtu;             /* 0: the device's own */
	uint8_t mac[6];           /* all 0: the device's own, or a generated one */
	bool memif_server;        /* default: client */
	bool memif_trusted;       /* default: no */
	uint32_t memif_id;
	uint32_t queue_entries; /* each receive and transmit ring, default 2,048 */
	char tap[16];           /* TAP device of the exception path; empty: none */
	/* limits of the exception path, each way */
	uint32_t tap_packets_per_second;
	uint32_t tap_bytes_per_second;
	struct mr_config_rule rules[MR_CONFIG_PORT_RULES_MAX]; /* af_xdp */
	uint32_t rules_count;
};

/* Multicast groups for subscriptions whose pattern begins with the prefix. */
struct mr_config_multicast {
	struct mr_config_network range;
	char prefix[128]; /* empty: all */
	uint8_t hops;     /* 1 .. 255, default 1 */
};

/* Options for new queues whose names match the pattern. */
struct mr_config_template {
	char pattern[256];
	uint32_t options; /* enum mrf_queue_option, as bits: those in `values` */
	struct mrf_queue_options values;
	char key_from[MR_QUEUE_KEY_FROM_MAX + 1]; /* in place of values.key_from */
	char dead_letter[256];                    /* a queue, "none" or "default" */
	char owner[MR_QUEUE_OWNER_BYTES_MAX + 1];
	char description[MR_QUEUE_DESCRIPTION_BYTES_MAX + 1];
	char binds[1024]; /* subjects, each with NUL at its end */
	uint32_t binds_count;
};

/* The fate of a full receiver for which publishers have waited block_ms_max. */
enum mr_config_block_over {
	MR_CONFIG_BLOCK_GAP,   /* misses messages until it has caught up */
	MR_CONFIG_BLOCK_EXPEL, /* is closed */
};

enum mr_config_poll {
	MR_CONFIG_POLL_AUTO,     /* adaptive */
	MR_CONFIG_POLL_ADAPTIVE, /* spin for spin_us without work, then sleep until there is some */
	MR_CONFIG_POLL_BUSY,     /* never sleep */
};

enum mr_config_pin {
	MR_CONFIG_PIN_AUTO,   /* pin to isolated CPUs if there are enough */
	MR_CONFIG_PIN_ALWAYS, /* pin to CPUs that the data plane chooses */
	MR_CONFIG_PIN_NEVER,  /* the scheduler chooses, among CPUs that suit */
};

struct mr_config {
	char file[PATH_MAX]; /* the file that was read; empty: defaults only */
	/* directory of the sockets; short enough for sun_path with a name behind it */
	char run_dir[80];
	struct {
		uint32_t count;                  /* 1 .. 32, default 1 */
		int cpus[MR_CONFIG_WORKERS_MAX]; /* one for each worker */
		uint32_t cpus_count;             /* 0: see pin; else == count */
		enum mr_config_pin pin;          /* default auto */
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
		uint32_t subscriptions_max;             /* 1 .. 16,777,216, default 1,048,576 */
		uint32_t subscriptions_per_client_max;  /* 1 .. 16,777,216, default 131,072 */
		uint32_t identical_per_client_max;      /* 1 .. 16,777,216, default 16 */
		uint32_t copies_per_client_max;         /* 1 .. 16,777,216, default 6 */
		uint32_t shapes_per_client_max;         /* 1 .. 16,777,216, default 64 */
		uint32_t prefix_lengths_per_client_max; /* 1 .. 256, default 16 */
		uint32_t aliases_max;                   /* 1 .. 1,048,576, default 65,536 */
		uint32_t aliases_per_client_max;        /* 1 .. 1,048,576, default 4,096 */
		/* per worker, power of two 64 .. 1,048,576, default 8,192 */
		uint32_t route_cache_entries;
	} tables;
	struct {
		/* descriptors per ordered pair of workers, power of two, default 1,024 */
		uint32_t ring_entries;
		/* 64 KiB buffers shared by all workers, 16 .. 8,192, default 256 */
		uint32_t blocks;
	} mesh;
	struct {
		struct mr_config_port open[MR_CONFIG_PORTS_MAX];
		uint32_t open_count; /* 0: no ports, only shared memory */
	} ports;
	struct {
		struct mr_config_multicast ranges[MR_CONFIG_MULTICAST_MAX];
		uint32_t ranges_count; /* 0: no multicast */
	} multicast;
	struct {
		uint32_t sessions_max; /* over UDP, per worker, 1 .. 1,048,576, default 16,384 */
		/* for one host, 0 .. 33,554,432, default 0: peers.share_percent */
		uint32_t per_address_max;
		uint32_t heartbeat_ms;      /* 100 .. 60,000, default 2,500 */
		uint32_t missed_max;        /* 1 .. 100, default 3 */
		uint32_t hellos_per_second; /* per worker, 1 .. 1,000,000, default 10,000 */
		uint32_t log_bytes;         /* power of two, 16 KiB .. 16 MiB, default 128 KiB */
		/* all sessions together, 1 .. 1,048,576, default 1,024 */
		uint32_t logs_mib;
		uint32_t high_water; /* percent, 1 .. 100, default 50 */
		/* for one session, power of two, 64 KiB .. 1 GiB, default 16 MiB */
		uint32_t held_bytes_max;
		/* per worker, power of two, 4 MiB .. 1 GiB, default 64 MiB */
		uint32_t early_bytes_max;
		uint32_t block_ms_max; /* 0 .. 86,400,000, default 30,000; 0: no limit */
		enum mr_config_block_over block_over; /* default gap */
		bool show_sender; /* subscriptions may ask who sent a message, default false */
	} sessions;
	struct {
		/* largest part of a table for one host or user, 1 .. 100, default 25 */
		uint32_t share_percent;
		uint32_t ip6_prefix_bits; /* prefix length of one host, 16 .. 64, default 64 */
	} peers;
	struct {
		/* a whole message with all its fragments, power of two, 64 KiB .. 64 MiB, default 1
		 * MiB */
		uint32_t bytes_max;
	} messages;
	struct {
		uint32_t memory_mib;     /* queues of all workers, 1 .. 1,048,576, default 256 */
		uint32_t queues_max;     /* per worker, 1 .. 1,048,576, default 16,384 */
		uint32_t per_client_max; /* opened by one client, 1 .. 1,048,576, default 1,024 */
		uint32_t messages_max;   /* for one queue, 1 .. 2^32 - 1, default 2^32 - 1 */
		/* unanswered pushes of one client, 1 .. 65,536, default 1,024 */
		uint32_t window;
		uint32_t prefetch;       /* default of consumers, 1 .. 65,535, default 10 */
		uint32_t ack_timeout_ms; /* 10 .. 86,400,000, default 30,000 */
		uint32_t max_deliver;    /* 1 .. 65,535, default 5 */
		/* until an unused empty queue is removed, 1,000 .. 86,400,000, default 600,000 */
		uint32_t idle_ms;
		/* known exactly-once publishers, per worker, 1 .. 1,048,576, default 4,096 */
		uint32_t publishers_max;
		struct mr_config_template templates[MR_CONFIG_TEMPLATES_MAX];
		uint32_t templates_count; /* 0: none */
	} queues;
	struct {
		uint32_t heartbeat_ms; /* 100 .. 60,000, default 2,500 */
		uint32_t missed_max;   /* 1 .. 100, default 3 */
		/* for calls that no worker has begun, 10 .. 86,400,000, default 30,000 */
		uint32_t expiry_ms;
		uint32_t retries; /* 0 .. 100, default 2 */
		/* consecutive failures, 0 .. 65,534, default 5; 0: never opens */
		uint32_t breaker_failures;
		uint32_t breaker_reset_ms; /* 10 .. 86,400,000, default 10,000 */
		uint32_t breaker_probes;   /* 1 .. 65,535, default 1 */
	} services;
	struct {
		/* Networks whose hosts may open sessions over UDP; none: the networks of the
		 * ports. */
		struct mr_config_network networks[MR_CONFIG_NETWORKS_MAX];
		uint32_t networks_count;
		bool bind_mac; /* sessions over UDP keep their source MAC; default false */
		bool anyone;   /* any local user may attach; default false */
		uid_t users[MR_CONFIG_IDS_MAX]; /* besides root and the user of the bus */
		uint32_t users_count;
		gid_t groups[MR_CONFIG_IDS_MAX];
		uint32_t groups_count;
	} access;
	struct {
		int level; /* enum mr_log_level, default info */
		bool json; /* one JSON object per line instead of text; default false */
	} log;
};

/* Sets the defaults. */
void mr_config_default(struct mr_config *c);

/* Reads `path` (NULL: none) over the defaults, applies `sets` ("key.path=value", with the keys of
 * the file), and checks the whole. Returns -ENOENT, -EACCES or -EINVAL on failure; then `error`
 * says where and what, and *c is undefined. */
int mr_config_load(struct mr_config *c, const char *path, const char *const *sets,
	size_t sets_count, char *error, size_t error_bytes);

#endif
