/* SPDX-License-Identifier: Apache-2.0 */
/* channel: a pair of byte rings in a sealed memfd of their own, and the doorbells beside them.
 *
 * The data plane makes one for each local client and, as hand-off, one for each worker and control.
 * "Up" is from clients to workers, and from workers to control. The layout of the memory is
 * ChannelHeader of flatbuf/schemas/attach.fbs: a page with the header and the shared parts of both
 * rings, then the data of up and of down.
 *
 * A worker sleeps for all its channels at once. Its sleep flag is therefore not in the channel but
 * in the worker page, which others can map only for reading.
 *
 * The worker's doorbell is an eventfd. The worker polls it (edge-triggered) and never reads or
 * writes it. The peer's doorbell is a stream socket pair. The worker keeps one end, shut for
 * reading, and rings it with MSG_DONTWAIT. An eventfd would not do: any holder can clear O_NONBLOCK
 * for all holders and fill the counter, and the next write blocks. Nor would a pipe: a reader holds
 * its lock until the page that it reads into is present.
 *
 * Owns      struct mr_channel owns its mapping and its descriptors.
 * Threads   Making and closing: one thread. Rings: see bytes.h.
 * Ordering  The worker page's asleep flag is one of the flags of [bytes.sleep].
 * Errors    0 or -errno. Foreign memory that is too small, unsealed or malformed: -EBADMSG.
 */
#ifndef MILLRACE_CHANNEL_CHANNEL_H
#define MILLRACE_CHANNEL_CHANNEL_H

#include <linux/futex.h>

#include "lib/ring/bytes.h"

#define MR_CHANNEL_MAGIC 0x31304e414843524dull /* "MRCHAN01" */
/* Room for at least two messages of maximum size. */
#define MR_CHANNEL_RING_BYTES_MIN (256u << 10)
#define MR_CHANNEL_RING_BYTES_MAX (1u << 30)

/* Order of the descriptors that go with an attach response. */
enum mr_channel_fd {
	MR_CHANNEL_FD_MEMORY,
	MR_CHANNEL_FD_WORKER_PAGE,
	MR_CHANNEL_FD_WORKER_BELL, /* wakes the worker */
	MR_CHANNEL_FD_PEER_BELL,   /* the worker wakes its peer */
	MR_CHANNEL_FD_LIVENESS,
	MR_CHANNEL_FDS,
};

/* One page, writable only by the worker's process. */
struct mr_worker_page {
	alignas(MR_CACHE_LINE) _Atomic uint32_t asleep; /* w: worker, r: its peers */
	/* The worker's thread id while it runs, in the form of a robust futex. MR_WORKER_PAGE_GONE
	 * once the worker has stopped; if the thread dies for any reason the kernel writes that
	 * value. w: worker, kernel, r: clients */
	_Atomic uint32_t owner;
};

_Static_assert(offsetof(struct mr_worker_page, owner) == 4, "shared between processes");

/* FUTEX_OWNER_DIED */
#define MR_WORKER_PAGE_GONE 0x40000000u

/* The robust futex list of a worker's thread, with the page's futex as its one entry. The kernel
 * walks it when the thread dies. It is in memory that no other process sees. */
struct mr_worker_page_owner {
	struct robust_list_head list;
	struct robust_list entry;
	struct robust_list_head *before; /* the C library's list */
	size_t before_bytes;
};

struct mr_channel {
	int memory_fd;
	int worker_bell_fd;
	int peer_bell_fd;     /* this side's end: the worker writes, the peer reads */
	int peer_bell_far_fd; /* the end to send to the peer; -1 on the peer's side */
	void *header_map;     /* one page */
	void *up_map;         /* twice up_bytes */
	void *down_map;
	uint32_t up_bytes;
	uint32_t down_bytes;
	struct mr_bytes_shared *up_shared;
	struct mr_bytes_shared *down_shared;
};

/* Makes the memory, sealed against growing and shrinking, and the doorbells. Ring sizes: powers of
 * two from MR_CHANNEL_RING_BYTES_MIN up. -EINVAL, -ENOMEM, -EMFILE. */
int mr_channel_new(struct mr_channel *ch, const char *name, uint32_t up_bytes, uint32_t down_bytes);

/* Makes a channel within one process, without doorbells or descriptor. Memory is taken as it is
 * touched. */
int mr_channel_new_private(struct mr_channel *ch, uint32_t up_bytes, uint32_t down_bytes);
/* Releases the memory of empty rings. Makes system calls. */
void mr_channel_trim(struct mr_channel *ch);

/* Maps memory received from elsewhere. Takes over the three descriptors, also on failure. -EBADMSG:
 * too small, not sealed against shrinking, or a header that does not describe it. */
int mr_channel_map(struct mr_channel *ch, int memory_fd, int worker_bell_fd, int peer_bell_fd);

/* Unmaps and closes. Safe on a value of mr_channel_none(), after a failure, and a second time. */
void mr_channel_close(struct mr_channel *ch);

/* Returns a channel with nothing to close. */
struct mr_channel mr_channel_none(void);

/* Initializes the worker's side of a client's rings. */
void mr_channel_worker_side(
	const struct mr_channel *ch, struct mr_bytes_consumer *up, struct mr_bytes_producer *down);

/* Initializes the peer's side. `page` holds the worker's sleep flag. */
void mr_channel_peer_side(const struct mr_channel *ch, const struct mr_worker_page *page,
	struct mr_bytes_producer *up, struct mr_bytes_consumer *down);

/* The worker page. new: made by its owner, whose mapping stays the only writable one. map:
 * read-only, for everyone else. */
int mr_worker_page_new(int *fd, struct mr_worker_page **page);
int mr_worker_page_map(int fd, const struct mr_worker_page **page);
void mr_worker_page_unmap(const struct mr_worker_page *page);
/* Make the calling thread the page's worker, until it disowns the page or dies. */
void mr_worker_page_own(struct mr_worker_page *page, struct mr_worker_page_owner *o);
void mr_worker_page_disown(struct mr_worker_page *page, struct mr_worker_page_owner *o);

/* Rings the worker's doorbell, or another eventfd. A second ring before the wake changes
 * nothing. */
void mr_bell_ring(int fd);
/* Rings the peer's doorbell, from the worker's side. Never blocks, whatever the peer does. */
void mr_peer_bell_ring(int fd);
/* Clears a doorbell, however often it was rung. True if it was. For the peer's doorbell, and for
 * doorbells whose holders are all trusted: it may block on another process's eventfd. */
bool mr_bell_clear(int fd);

#endif
