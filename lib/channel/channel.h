/* SPDX-License-Identifier: Apache-2.0 */
/* channel: a pair of byte rings in a sealed memfd of their own, and the bells beside them.
 *
 * The data plane makes one for each local client and, as hand-off, one for each worker and control.
 * "Up" is from clients to workers, and from workers to control. The layout of the memory is
 * ChannelHeader of flatbuf/schemas/attach.fbs: a page with the header and the shared parts of both
 * rings, then the data of up and of down.
 *
 * A worker sleeps for all its channels at once, so its "I sleep" flag is not in the channel but in
 * the worker page, which others can map only to read it.
 *
 * The worker's bell is an eventfd, on which the worker polls (edge-triggered) and which it never
 * reads or writes. The peer's bell is a stream socket pair, of which the worker keeps one end, shut
 * for reading, and which it rings with MSG_DONTWAIT. Not an eventfd: whoever holds one can clear
 * O_NONBLOCK for all its holders and fill its counter, and the next one to ring it sleeps in write.
 * Nor a pipe: a reader holds its lock for as long as the page that it reads into takes to be there.
 *
 * Owns      struct mr_channel owns its mapping and its descriptors.
 * Threads   Making and closing: one thread. Rings: as bytes.h says.
 * Errors    0 or -errno. A memory that is not what it should be: -EBADMSG.
 */
#ifndef MILLRACE_CHANNEL_CHANNEL_H
#define MILLRACE_CHANNEL_CHANNEL_H

#include <linux/futex.h>

#include "lib/ring/bytes.h"

#define MR_CHANNEL_MAGIC 0x31304e414843524dull /* "MRCHAN01" */
/* Room for two of the largest messages at least. */
#define MR_CHANNEL_RING_BYTES_MIN (256u << 10)
#define MR_CHANNEL_RING_BYTES_MAX (1u << 30)

/* Order of the descriptors that go with an attach response. */
enum mr_channel_fd {
	MR_CHANNEL_FD_MEMORY,
	MR_CHANNEL_FD_WORKER_PAGE,
	MR_CHANNEL_FD_WORKER_BELL, /* rung for the worker */
	MR_CHANNEL_FD_PEER_BELL,   /* rung by the worker */
	MR_CHANNEL_FD_LIVENESS,
	MR_CHANNEL_FDS,
};

/* In a page of its own, writable by the worker's process alone. */
struct mr_worker_page {
	alignas(MR_CACHE_LINE) _Atomic uint32_t asleep; /* w: worker, r: whoever rings its bell */
	/* The worker's thread while it runs, as a robust futex has it; MR_WORKER_PAGE_GONE when it is over. Should
	 * the thread die, by whatever means, the kernel writes that. w: worker, kernel, r: clients */
	_Atomic uint32_t owner;
};

_Static_assert(offsetof(struct mr_worker_page, owner) == 4, "shared between processes");

/* FUTEX_OWNER_DIED */
#define MR_WORKER_PAGE_GONE 0x40000000u

/* What the kernel looks at when a worker's thread dies: its list of robust futexes, with the one. In memory that no
 * other process sees. */
struct mr_worker_page_owner {
	struct robust_list_head list;
	struct robust_list entry;
	struct robust_list_head *before; /* the C library's */
	size_t before_bytes;
};

struct mr_channel {
	int memory_fd;
	int worker_bell_fd;
	int peer_bell_fd;     /* this side's end: the worker writes it, the peer reads it */
	int peer_bell_far_fd; /* worker's side: the end to send to the peer; -1 on the peer's side
			       */
	void *header_map;     /* a page */
	void *up_map;         /* twice up_bytes */
	void *down_map;
	uint32_t up_bytes;
	uint32_t down_bytes;
	struct mr_bytes_shared *up_shared;
	struct mr_bytes_shared *down_shared;
};

/* Makes memory and bells. Ring sizes: powers of two from MR_CHANNEL_RING_BYTES_MIN up. -EINVAL,
 * -ENOMEM, -EMFILE. The memory is sealed against growing and shrinking. */
int mr_channel_new(struct mr_channel *ch, const char *name, uint32_t up_bytes, uint32_t down_bytes);

/* The same for two sides within one process, which needs neither bells nor a descriptor. It takes memory as it is
 * touched. */
int mr_channel_new_private(struct mr_channel *ch, uint32_t up_bytes, uint32_t down_bytes);
/* Gives back the memory of rings in which nothing stands. System calls. */
void mr_channel_trim(struct mr_channel *ch);

/* Maps a memory that came from elsewhere, and takes over the three descriptors, also on failure.
 * -EBADMSG: too small, not sealed against shrinking, or a header that does not describe it. */
int mr_channel_map(struct mr_channel *ch, int memory_fd, int worker_bell_fd, int peer_bell_fd);

/* Unmaps and closes. Safe on what mr_channel_none() made, after a failure, and a second time. */
void mr_channel_close(struct mr_channel *ch);

/* A channel with nothing to close. */
struct mr_channel mr_channel_none(void);

/* The worker's side of a client's rings. */
void mr_channel_worker_side(
	const struct mr_channel *ch, struct mr_bytes_consumer *up, struct mr_bytes_producer *down);

/* The other side. `page` is the worker's, whose flag says whether it sleeps. */
void mr_channel_peer_side(const struct mr_channel *ch, const struct mr_worker_page *page,
	struct mr_bytes_producer *up, struct mr_bytes_consumer *down);

/* The worker page: made writable by its owner, whose mapping stays the only writable one; mapped
 * read-only by everyone else. */
int mr_worker_page_new(int *fd, struct mr_worker_page **page);
int mr_worker_page_map(int fd, const struct mr_worker_page **page);
void mr_worker_page_unmap(const struct mr_worker_page *page);
/* The calling thread is the page's worker from here on, until it says that it is over or dies. */
void mr_worker_page_own(struct mr_worker_page *page, struct mr_worker_page_owner *o);
void mr_worker_page_disown(struct mr_worker_page *page, struct mr_worker_page_owner *o);

/* Rings the worker's bell, or another eventfd. A bell that is rung already stays so. */
void mr_bell_ring(int fd);
/* Rings the peer's bell, from the worker's side. Never blocks, whatever the peer does. */
void mr_peer_bell_ring(int fd);
/* Takes the ring back, however often it was rung. True if it was. For the peer's bell, and for
 * bells of which all holders are trusted: on another's eventfd it may block. */
bool mr_bell_clear(int fd);

#endif
