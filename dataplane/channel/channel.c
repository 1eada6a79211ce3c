/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/channel/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flatbuf/attach.h"

#define PAGE_BYTES 4096u
/* In the first page: the header, then the shared parts of the two rings. */
#define UP_SHARED_OFFSET   256u
#define DOWN_SHARED_OFFSET 512u

_Static_assert(sizeof(struct mrf_channel_header) <= UP_SHARED_OFFSET, "layout");
_Static_assert(UP_SHARED_OFFSET + sizeof(struct mr_bytes_shared) <= DOWN_SHARED_OFFSET, "layout");

static bool ring_bytes_valid(uint32_t bytes)
{
	return bytes >= MR_CHANNEL_RING_BYTES_MIN && bytes <= MR_CHANNEL_RING_BYTES_MAX &&
	       (bytes & (bytes - 1)) == 0;
}

/* Maps `bytes` at `offset` twice in a row, so that a record that wraps reads straight on. */
static int map_twice(int fd, uint32_t offset, uint32_t bytes, void **out)
{
	uint8_t *base =
		mmap(NULL, 2 * (size_t)bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		void *half = mmap(base + (size_t)i * bytes, bytes, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, (off_t)offset);

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
	return (struct mr_channel){.memory_fd = -1, .worker_bell_fd = -1, .peer_bell_fd = -1};
}

static int map_parts(struct mr_channel *ch, const struct mrf_channel_header *h)
{
	int error;

	error = map_twice(ch->memory_fd, h->up_offset, h->up_bytes, &ch->up_map);
	if (error != 0)
		return error;
	ch->up_bytes = h->up_bytes;
	error = map_twice(ch->memory_fd, h->down_offset, h->down_bytes, &ch->down_map);
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

int mr_channel_new(struct mr_channel *ch, const char *name, uint32_t up_bytes, uint32_t down_bytes)
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
	ch->memory_fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ch->worker_bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ch->peer_bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ch->memory_fd < 0 || ch->worker_bell_fd < 0 || ch->peer_bell_fd < 0) {
		error = -errno;
		goto close;
	}
	/* Pages are had now or refused now: a worker that touches one later must not fail on it. */
	if (ftruncate(ch->memory_fd, (off_t)h.down_offset + down_bytes) < 0 ||
		fallocate(ch->memory_fd, 0, 0, (off_t)h.down_offset + down_bytes) < 0 ||
		fcntl(ch->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		error = -errno;
		goto close;
	}
	error = map_header(ch);
	if (error != 0)
		goto close;
	memcpy(ch->header_map, &h, sizeof(h));
	error = map_parts(ch, &h);
	if (error != 0)
		goto close;
	return 0;
close:
	mr_channel_close(ch);
	return error;
}

static bool header_valid(const struct mrf_channel_header *h, uint64_t memory_bytes)
{
	return h->magic == MR_CHANNEL_MAGIC && ring_bytes_valid(h->up_bytes) &&
	       ring_bytes_valid(h->down_bytes) && h->up_offset % PAGE_BYTES == 0 &&
	       h->down_offset % PAGE_BYTES == 0 && h->up_offset >= PAGE_BYTES &&
	       h->down_offset >= PAGE_BYTES &&
	       (uint64_t)h->up_offset + h->up_bytes <= memory_bytes &&
	       (uint64_t)h->down_offset + h->down_bytes <= memory_bytes;
}

int mr_channel_map(struct mr_channel *ch, int memory_fd, int worker_bell_fd, int peer_bell_fd)
{
	struct mrf_channel_header h;
	struct stat st;
	int error;

	*ch = mr_channel_none();
	ch->memory_fd = memory_fd;
	ch->worker_bell_fd = worker_bell_fd;
	ch->peer_bell_fd = peer_bell_fd;
	if (fstat(memory_fd, &st) < 0) {
		error = -errno;
		goto close;
	}
	if (st.st_size < (off_t)PAGE_BYTES) {
		error = -EBADMSG;
		goto close;
	}
	error = map_header(ch);
	if (error != 0)
		goto close;
	memcpy(&h, ch->header_map, sizeof(h));
	if (!header_valid(&h, (uint64_t)st.st_size)) {
		error = -EBADMSG;
		goto close;
	}
	error = map_parts(ch, &h);
	if (error != 0)
		goto close;
	return 0;
close:
	mr_channel_close(ch);
	return error;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
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
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
	int error;
	void *map;

	*fd = memfd_create("millrace-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, PAGE_BYTES) < 0)
		goto close;
	map = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (map == MAP_FAILED)
		goto close;
	/* Whoever gets the descriptor after this can map it only to read. */
	if (fcntl(*fd, F_ADD_SEALS, seals) < 0) {
		munmap(map, PAGE_BYTES);
		goto close;
	}
	*page = map;
	return 0;
close:
	error = -errno;
	close_fd(fd);
	return error;
}

int mr_worker_page_map(int fd, const struct mr_worker_page **page)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)PAGE_BYTES)
		return -EBADMSG;
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

void mr_bell_ring(int fd)
{
	uint64_t one = 1;
	ssize_t n;

	/* Full (EAGAIN) means that it has been rung: nothing more to do. */
	do {
		n = write(fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

bool mr_bell_clear(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}
