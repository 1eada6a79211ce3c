/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/channel/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flatbuf/attach.h"

#define PAGE_BYTES 4096u
/* MFD_NOEXEC_SEAL, from Linux 6.3; older headers lack it. */
#define MR_MFD_NOEXEC_SEAL 8u
/* The first page holds the header, then the shared parts of the two rings. */
#define UP_SHARED_OFFSET   256u
#define DOWN_SHARED_OFFSET 512u

_Static_assert(sizeof(struct mrf_channel_header) <= UP_SHARED_OFFSET, "layout");
_Static_assert(UP_SHARED_OFFSET + sizeof(struct mr_bytes_shared) <= DOWN_SHARED_OFFSET, "layout");

static bool ring_bytes_valid(uint32_t bytes)
{
	return bytes >= MR_CHANNEL_RING_BYTES_MIN && bytes <= MR_CHANNEL_RING_BYTES_MAX &&
	       (bytes & (bytes - 1)) == 0;
}

/* Maps `bytes` at `offset` twice in a row, so that a record that wraps reads straight on. `flags`:
 * MAP_POPULATE or 0. */
static int map_twice(int fd, uint32_t offset, uint32_t bytes, int flags, void **out)
{
	uint8_t *base =
		mmap(NULL, 2 * (size_t)bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		void *half = mmap(base + (size_t)i * bytes, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_FIXED | flags, fd, (off_t)offset);

		if (half == MAP_FAILED) {
			int error = -errno;

			munmap(base, 2 * (size_t)bytes);
			return error;
		}
	}
	*out = base;
	return 0;
}

struct mr_channel mr_channel_none(void)
{
	return (struct mr_channel){
		.memory_fd = -1,
		.worker_bell_fd = -1,
		.peer_bell_fd = -1,
		.peer_bell_far_fd = -1,
	};
}

static int map_parts(struct mr_channel *ch, const struct mrf_channel_header *h, int flags)
{
	int error;

	error = map_twice(ch->memory_fd, h->up_offset, h->up_bytes, flags, &ch->up_map);
	if (error != 0)
		return error;
	ch->up_bytes = h->up_bytes;
	error = map_twice(ch->memory_fd, h->down_offset, h->down_bytes, flags, &ch->down_map);
	if (error != 0)
		return error;
	ch->down_bytes = h->down_bytes;
	ch->up_shared = (void *)((uint8_t *)ch->header_map + UP_SHARED_OFFSET);
	ch->down_shared = (void *)((uint8_t *)ch->header_map + DOWN_SHARED_OFFSET);
	return 0;
}

static int map_header(struct mr_channel *ch)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		ch->memory_fd, 0);

	if (page == MAP_FAILED)
		return -errno;
	ch->header_map = page;
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Makes memory whose size nobody can change. It is not executable where the kernel supports that
 * flag: a host may refuse any other memory. `now` allocates all pages. */
static int make_memory(const char *name, off_t bytes, int seals, bool now, int *out)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MR_MFD_NOEXEC_SEAL);
	int error;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Shared pages are allocated here or refused here: a worker must not fault on one later. */
	if (ftruncate(fd, bytes) < 0 || (now && fallocate(fd, 0, 0, bytes) < 0) ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | seals) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	*out = fd;
	return 0;
}

static int make_bells(struct mr_channel *ch)
{
	int ends[2], least = 0;

	ch->worker_bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ch->worker_bell_fd < 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	ch->peer_bell_far_fd = ends[0];
	ch->peer_bell_fd = ends[1];
	/* This end never reads, so nothing may queue up here. A few pending rings are as good as
	 * many, so the send buffer is least. */
	if (shutdown(ends[1], SHUT_RD) < 0 ||
		setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) < 0)
		return -errno;
	return 0;
}

static int make_rings(
	struct mr_channel *ch, const char *name, uint32_t up_bytes, uint32_t down_bytes, bool now)
{
	struct mrf_channel_header h = {
		.magic = MR_CHANNEL_MAGIC,
		.up_offset = PAGE_BYTES,
		.up_bytes = up_bytes,
		.down_offset = PAGE_BYTES + up_bytes,
		.down_bytes = down_bytes,
	};
	int error;

	*ch = mr_channel_none();
	if (!ring_bytes_valid(up_bytes) || !ring_bytes_valid(down_bytes))
		return -EINVAL;
	error = make_memory(
		name, (off_t)h.down_offset + down_bytes, F_SEAL_SEAL, now, &ch->memory_fd);
	if (error != 0)
		return error;
	error = map_header(ch);
	if (error != 0)
		return error;
	memcpy(ch->header_map, &h, sizeof(h));
	return map_parts(ch, &h, now ? MAP_POPULATE : 0);
}

int mr_channel_new(struct mr_channel *ch, const char *name, uint32_t up_bytes, uint32_t down_bytes)
{
	int error = make_rings(ch, name, up_bytes, down_bytes, true);

	if (error == 0)
		error = make_bells(ch);
	if (error != 0)
		mr_channel_close(ch);
	return error;
}

int mr_channel_new_private(struct mr_channel *ch, uint32_t up_bytes, uint32_t down_bytes)
{
	int error = make_rings(ch, "millrace-rings", up_bytes, down_bytes, false);

	if (error != 0)
		mr_channel_close(ch);
	else
		close_fd(&ch->memory_fd);
	return error;
}

void mr_channel_trim(struct mr_channel *ch)
{
	if (ch->header_map == NULL)
		return;
	/* Releases the pages of the memory, not only of the mapping, so both halves lose them. */
	(void)madvise(ch->up_map, ch->up_bytes, MADV_REMOVE);
	(void)madvise(ch->down_map, ch->down_bytes, MADV_REMOVE);
}

static bool ring_within(uint32_t offset, uint32_t bytes, uint64_t memory_bytes)
{
	return ring_bytes_valid(bytes) && offset % PAGE_BYTES == 0 && offset >= PAGE_BYTES &&
	       (uint64_t)offset + bytes <= memory_bytes;
}

static bool header_valid(const struct mrf_channel_header *h, uint64_t memory_bytes)
{
	bool apart = (uint64_t)h->up_offset + h->up_bytes <= h->down_offset ||
		     (uint64_t)h->down_offset + h->down_bytes <= h->up_offset;

	return h->magic == MR_CHANNEL_MAGIC && apart &&
	       ring_within(h->up_offset, h->up_bytes, memory_bytes) &&
	       ring_within(h->down_offset, h->down_bytes, memory_bytes);
}

/* Returns the size of memory that holds at least a page and can never shrink under a mapping. */
static int memory_size(int fd, uint64_t *bytes)
{
	struct stat st;
	int seals;

	if (fstat(fd, &st) < 0)
		return -errno;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || st.st_size < (off_t)PAGE_BYTES)
		return -EBADMSG;
	*bytes = (uint64_t)st.st_size;
	return 0;
}

int mr_channel_map(struct mr_channel *ch, int memory_fd, int worker_bell_fd, int peer_bell_fd)
{
	struct mrf_channel_header h;
	uint64_t memory_bytes = 0;
	int error;

	*ch = mr_channel_none();
	ch->memory_fd = memory_fd;
	ch->worker_bell_fd = worker_bell_fd;
	ch->peer_bell_fd = peer_bell_fd;
	error = memory_size(memory_fd, &memory_bytes);
	if (error != 0)
		goto close;
	error = map_header(ch);
	if (error != 0)
		goto close;
	memcpy(&h, ch->header_map, sizeof(h));
	if (!header_valid(&h, memory_bytes)) {
		error = -EBADMSG;
		goto close;
	}
	error = map_parts(ch, &h, MAP_POPULATE);
	if (error != 0)
		goto close;
	return 0;
close:
	mr_channel_close(ch);
	return error;
}

void mr_channel_close(struct mr_channel *ch)
{
	if (ch->up_map != NULL)
		munmap(ch->up_map, 2 * (size_t)ch->up_bytes);
	if (ch->down_map != NULL)
		munmap(ch->down_map, 2 * (size_t)ch->down_bytes);
	if (ch->header_map != NULL)
		munmap(ch->header_map, PAGE_BYTES);
	close_fd(&ch->memory_fd);
	close_fd(&ch->worker_bell_fd);
	close_fd(&ch->peer_bell_fd);
	close_fd(&ch->peer_bell_far_fd);
	*ch = mr_channel_none();
}

void mr_channel_worker_side(
	const struct mr_channel *ch, struct mr_bytes_consumer *up, struct mr_bytes_producer *down)
{
	mr_bytes_consumer_init(up, ch->up_shared, ch->up_map, ch->up_bytes);
	mr_bytes_producer_init(down, ch->down_shared, ch->down_map, ch->down_bytes);
}

void mr_channel_peer_side(const struct mr_channel *ch, const struct mr_worker_page *page,
	struct mr_bytes_producer *up, struct mr_bytes_consumer *down)
{
	mr_bytes_producer_init(up, ch->up_shared, ch->up_map, ch->up_bytes);
	up->asleep = &page->asleep;
	mr_bytes_consumer_init(down, ch->down_shared, ch->down_map, ch->down_bytes);
}

int mr_worker_page_new(int *fd, struct mr_worker_page **page)
{
	int error = make_memory("millrace-worker", PAGE_BYTES, 0, true, fd);
	void *map;

	if (error != 0)
		return error;
	map = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (map == MAP_FAILED) {
		error = -errno;
		goto close;
	}
	/* From now on a holder of the descriptor can map the page only for reading. */
	if (fcntl(*fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
		error = -errno;
		goto unmap;
	}
	*page = map;
	return 0;
unmap:
	munmap(map, PAGE_BYTES);
close:
	close_fd(fd);
	return error;
}

int mr_worker_page_map(int fd, const struct mr_worker_page **page)
{
	uint64_t bytes = 0;
	void *map;
	int error;

	error = memory_size(fd, &bytes);
	if (error != 0)
		return error;
	map = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*page = map;
	return 0;
}

void mr_worker_page_unmap(const struct mr_worker_page *page)
{
	if (page != NULL)
		munmap((void *)(uintptr_t)page, PAGE_BYTES);
}

/* The kernel's list of a thread has one offset from entry to futex. So the entry can stand outside
 * the page, where others would read addresses of this process. own saves the C library's list and
 * disown restores it; the thread locks no robust mutex in between. */
void mr_worker_page_own(struct mr_worker_page *page, struct mr_worker_page_owner *o)
{
	o->list = (struct robust_list_head){
		.list = {.next = &o->entry},
		.futex_offset = (long)((uintptr_t)&page->owner - (uintptr_t)&o->entry),
	};
	o->entry.next = &o->list.list;
	if (syscall(SYS_get_robust_list, 0, &o->before, &o->before_bytes) < 0 ||
		syscall(SYS_set_robust_list, &o->list, sizeof(o->list)) < 0)
		o->before_bytes = 0;
	atomic_store_explicit(&page->owner, (uint32_t)gettid(), memory_order_relaxed);
}

void mr_worker_page_disown(struct mr_worker_page *page, struct mr_worker_page_owner *o)
{
	atomic_store_explicit(&page->owner, MR_WORKER_PAGE_GONE, memory_order_relaxed);
	if (o->before_bytes > 0)
		(void)syscall(SYS_set_robust_list, o->before, o->before_bytes);
}

void mr_bell_ring(int fd)
{
	uint64_t one = 1;
	ssize_t n;

	/* EAGAIN: the counter is full, so the doorbell was rung already. */
	do {
		n = write(fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

void mr_peer_bell_ring(int fd)
{
	ssize_t n;

	/* A full buffer: the doorbell was rung already. A closed peer: nobody to wake. */
	do {
		n = send(fd, "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
}

bool mr_bell_clear(int fd)
{
	uint64_t rings[64];
	bool rung = false;
	ssize_t n;

	/* An eventfd returns one number, a socket all bytes that were sent. */
	do {
		n = read(fd, rings, sizeof(rings));
		rung = rung || n > 0;
	} while (n == (ssize_t)sizeof(rings) || (n < 0 && errno == EINTR));
	return rung;
}
