/* SPDX-License-Identifier: Apache-2.0 */
/* Channels: layout, hand-over of descriptors, hostile memory, doorbells. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/channel/channel.h"
#include "flatbuf/attach.h"

#define PAGE       4096u
#define RING_BYTES MR_CHANNEL_RING_BYTES_MIN

static int setup(void **state)
{
	static struct mr_channel ch;

	*state = &ch;
	return mr_channel_new(&ch, "test", RING_BYTES, 4 * RING_BYTES);
}

static int teardown(void **state)
{
	mr_channel_close(*state);
	return 0;
}

static int copy_of(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	assert_true(copy >= 0);
	return copy;
}

/* Maps the channel as its peer does, with duplicates of the descriptors that the peer gets. */
static int map_far_side(const struct mr_channel *ch, struct mr_channel *far)
{
	return mr_channel_map(far, copy_of(ch->memory_fd), copy_of(ch->worker_bell_fd),
		copy_of(ch->peer_bell_far_fd));
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Makes a memory as a stranger might send it: any size, any header. */
static int foreign_memory(const struct mrf_channel_header *h, off_t bytes, int seals)
{
	int fd = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	if (bytes >= (off_t)sizeof(*h))
		assert_int_equal(pwrite(fd, h, sizeof(*h), 0), sizeof(*h));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int map_foreign(const struct mrf_channel_header *h, off_t bytes, int seals)
{
	unsigned before = open_descriptors();
	struct mr_channel ch;
	int error = mr_channel_map(&ch, foreign_memory(h, bytes, seals),
		eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	mr_channel_close(&ch);
	assert_int_equal(open_descriptors(), before);
	return error;
}

static struct mrf_channel_header good_header(void)
{
	return (struct mrf_channel_header){
		.magic = MR_CHANNEL_MAGIC,
		.up_offset = PAGE,
		.up_bytes = RING_BYTES,
		.down_offset = PAGE + RING_BYTES,
		.down_bytes = RING_BYTES,
	};
}

#define GOOD_BYTES ((off_t)(PAGE + 2 * RING_BYTES))

static int map_header(struct mrf_channel_header h)
{
	return map_foreign(&h, GOOD_BYTES, F_SEAL_SHRINK);
}

static void well_made_foreign_memory_is_taken(void **state)
{
	(void)state;
	assert_int_equal(map_header(good_header()), 0);
}

static void memory_too_small_is_refused(void **state)
{
	static const off_t sizes[] = {0, 1, PAGE - 1, PAGE, PAGE + RING_BYTES, GOOD_BYTES - 1};
	struct mrf_channel_header h = good_header();

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_COUNT(sizes); i++)
		assert_int_equal(map_foreign(&h, sizes[i], F_SEAL_SHRINK), -EBADMSG);
}

static void memory_that_may_shrink_is_refused(void **state)
{
	struct mrf_channel_header h = good_header();

	(void)state;
	assert_int_equal(map_foreign(&h, GOOD_BYTES, 0), -EBADMSG);
	assert_int_equal(map_foreign(&h, GOOD_BYTES, F_SEAL_GROW), -EBADMSG);
}

static void memory_that_is_no_memory_is_refused(void **state)
{
	struct mr_channel ch;

	(void)state;
	assert_int_equal(mr_channel_map(&ch, eventfd(0, EFD_CLOEXEC), -1, -1), -EBADMSG);
	assert_int_equal(
		mr_channel_map(&ch, open("/dev/null", O_RDWR | O_CLOEXEC), -1, -1), -EBADMSG);
	assert_int_equal(mr_channel_map(&ch, -1, -1, -1), -EBADF);
}

static void wrong_magic_is_refused(void **state)
{
	struct mrf_channel_header h = good_header();

	(void)state;
	h.magic ^= 1;
	assert_int_equal(map_header(h), -EBADMSG);
	h.magic = 0;
	assert_int_equal(map_header(h), -EBADMSG);
}

static void ring_sizes_that_no_ring_has_are_refused(void **state)
{
	static const uint32_t sizes[] = {0, 1, PAGE, RING_BYTES / 2, RING_BYTES - 1, RING_BYTES + 8,
		3 * RING_BYTES, 1u << 31, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_COUNT(sizes); i++) {
		struct mrf_channel_header h = good_header();
		struct mr_channel ch;

		h.up_bytes = sizes[i];
		assert_int_equal(map_header(h), -EBADMSG);
		h = good_header();
		h.down_bytes = sizes[i];
		assert_int_equal(map_header(h), -EBADMSG);
		assert_int_equal(mr_channel_new(&ch, "t", sizes[i], RING_BYTES), -EINVAL);
		assert_int_equal(mr_channel_new(&ch, "t", RING_BYTES, sizes[i]), -EINVAL);
	}
}

static void ring_offsets_out_of_range_are_refused(void **state)
{
	static const uint32_t offsets[] = {0, 1, 8, PAGE - 8, PAGE + 8, 2 * PAGE + RING_BYTES,
		PAGE + 2 * RING_BYTES, UINT32_MAX - PAGE + 1, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < MR_ARRAY_COUNT(offsets); i++) {
		struct mrf_channel_header h = good_header();

		h.up_offset = offsets[i];
		assert_int_equal(map_header(h), -EBADMSG);
		h = good_header();
		h.down_offset = offsets[i];
		assert_int_equal(map_header(h), -EBADMSG);
	}
}

static void rings_that_overlap_are_refused(void **state)
{
	struct mrf_channel_header h = good_header();

	(void)state;
	h.down_offset = h.up_offset;
	assert_int_equal(map_header(h), -EBADMSG);
	h.down_offset = h.up_offset + PAGE;
	assert_int_equal(map_header(h), -EBADMSG);
	h.up_offset = PAGE + RING_BYTES;
	h.down_offset = PAGE;
	assert_int_equal(map_header(h), 0);
}

static void message_goes_each_way_between_the_two_sides(void **state)
{
	struct mr_channel *ch = *state, far;
	struct mr_worker_page page = {.asleep = 0};
	struct mr_bytes_consumer up, down;
	struct mr_bytes_producer up_in, down_in;
	void *to;

	assert_int_equal(map_far_side(ch, &far), 0);
	mr_channel_worker_side(ch, &up, &down_in);
	mr_channel_peer_side(&far, &page, &up_in, &down);
	to = mr_bytes_claim(&up_in, 5);
	assert_non_null(to);
	memcpy(to, "query", 5);
	mr_bytes_push(&up_in, 5);
	assert_false(mr_bytes_publish(&up_in));
	assert_int_equal(mr_bytes_readable(&up), 8);
	assert_memory_equal(mr_bytes_peek(&up), "query", 5);
	to = mr_bytes_claim(&down_in, 6);
	assert_non_null(to);
	memcpy(to, "answer", 6);
	mr_bytes_push(&down_in, 6);
	assert_false(mr_bytes_publish(&down_in));
	assert_int_equal(mr_bytes_readable(&down), 8);
	assert_memory_equal(mr_bytes_peek(&down), "answer", 6);
	mr_channel_close(&far);
}

static void peer_wakes_the_worker_only_while_its_page_says_asleep(void **state)
{
	struct mr_channel *ch = *state;
	struct mr_worker_page page = {.asleep = 1};
	struct mr_bytes_producer up;
	struct mr_bytes_consumer down;

	mr_channel_peer_side(ch, &page, &up, &down);
	assert_true(mr_bytes_publish(&up));
	atomic_store(&page.asleep, 0);
	assert_false(mr_bytes_publish(&up));
}

static void record_across_the_seam_is_whole_on_the_other_side(void **state)
{
	struct mr_channel *ch = *state, far;
	uint64_t start = RING_BYTES - 8;
	struct mr_worker_page page = {.asleep = 0};
	struct mr_bytes_consumer up, down;
	struct mr_bytes_producer up_in, down_in;

	atomic_store(&ch->up_shared->tail, start);
	atomic_store(&ch->up_shared->head, start);
	assert_int_equal(map_far_side(ch, &far), 0);
	mr_channel_worker_side(ch, &up, &down_in);
	mr_channel_peer_side(&far, &page, &up_in, &down);
	memcpy(mr_bytes_claim(&up_in, 24), "across the seam of both", 24);
	mr_bytes_push(&up_in, 24);
	mr_bytes_publish(&up_in);
	assert_int_equal(mr_bytes_readable(&up), 24);
	assert_memory_equal(mr_bytes_peek(&up), "across the seam of both", 24);
	mr_channel_close(&far);
}

static void peer_cannot_change_the_memory_size(void **state)
{
	struct mr_channel *ch = *state;
	int fd = copy_of(ch->memory_fd);

	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, GOOD_BYTES * 100), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

static void peer_cannot_add_seals(void **state)
{
	struct mr_channel *ch = *state;
	int fd = copy_of(ch->memory_fd);

	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

static void header_changed_after_mapping_changes_nothing(void **state)
{
	struct mr_channel *ch = *state, far;

	assert_int_equal(map_far_side(ch, &far), 0);
	memset(far.header_map, 0xff, sizeof(struct mrf_channel_header));
	assert_int_equal(ch->up_bytes, RING_BYTES);
	assert_int_equal(far.down_bytes, 4 * RING_BYTES);
	mr_channel_close(&far);
	((uint8_t *)ch->down_map)[8u * RING_BYTES - 1] = 1;
}

static void holes_punched_by_the_peer_read_as_an_empty_ring(void **state)
{
	struct mr_channel *ch = *state;
	struct mr_bytes_consumer up;
	struct mr_bytes_producer down;
	int fd = copy_of(ch->memory_fd);

	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				 (off_t)PAGE + 5 * RING_BYTES),
		0);
	mr_channel_worker_side(ch, &up, &down);
	assert_int_equal(mr_bytes_readable(&up), 0);
	assert_int_equal(*mr_bytes_peek(&up), 0);
	memset(mr_bytes_claim(&down, 4 * RING_BYTES), 1, 4 * RING_BYTES);
	close(fd);
}

static void worker_page_shows_the_flag_to_its_readers(void **state)
{
	const struct mr_worker_page *seen;
	struct mr_worker_page *page;
	int fd;

	(void)state;
	assert_int_equal(mr_worker_page_new(&fd, &page), 0);
	assert_int_equal(mr_worker_page_map(fd, &seen), 0);
	assert_int_equal(atomic_load(&seen->asleep), 0);
	atomic_store(&page->asleep, 1);
	assert_int_equal(atomic_load(&seen->asleep), 1);
	mr_worker_page_unmap(seen);
	mr_worker_page_unmap(page);
	mr_worker_page_unmap(NULL);
	close(fd);
}

static void expect_no_way_to_write(int fd)
{
	const struct mr_worker_page *seen;
	uint32_t one = 1;

	assert_ptr_equal(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	assert_int_equal(pwrite(fd, &one, sizeof(one), 0), -1);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(mr_worker_page_map(fd, &seen), 0);
	assert_int_equal(mprotect((void *)(uintptr_t)seen, PAGE, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	mr_worker_page_unmap(seen);
}

static void worker_page_cannot_be_written_by_its_readers(void **state)
{
	struct mr_worker_page *page;
	char path[32];
	int fd, again;

	(void)state;
	assert_int_equal(mr_worker_page_new(&fd, &page), 0);
	expect_no_way_to_write(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_true(again >= 0);
	expect_no_way_to_write(again);
	/* Its owner can still write. */
	atomic_store(&page->asleep, 1);
	mr_worker_page_unmap(page);
	close(again);
	close(fd);
}

static void worker_page_that_is_too_small_is_refused(void **state)
{
	const struct mr_worker_page *seen;
	int fd = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(mr_worker_page_map(fd, &seen), -EBADMSG);
	close(fd);
}

static void doorbell_wakes_the_peer_once_however_often(void **state)
{
	struct mr_channel *ch = *state, far;

	assert_int_equal(map_far_side(ch, &far), 0);
	assert_false(mr_bell_clear(far.peer_bell_fd));
	for (unsigned i = 0; i < 1000; i++)
		mr_peer_bell_ring(ch->peer_bell_fd);
	assert_int_equal(poll(&(struct pollfd){far.peer_bell_fd, POLLIN, 0}, 1, 0), 1);
	assert_true(mr_bell_clear(far.peer_bell_fd));
	assert_false(mr_bell_clear(far.peer_bell_fd));
	mr_channel_close(&far);
}

/* Whatever the peer does to the flags and content of its end, waking it must not block. */
static void ringing_never_blocks_whatever_the_peer_does_to_its_end(void **state)
{
	struct mr_channel *ch = *state, far;

	assert_int_equal(map_far_side(ch, &far), 0);
	assert_int_equal(fcntl(far.peer_bell_fd, F_SETFL, 0), 0);
	/* Rings more often than the doorbell holds: one that could block would hang here until the
	 * alarm. */
	alarm(30);
	for (unsigned i = 0; i < 20000; i++)
		mr_peer_bell_ring(ch->peer_bell_fd);
	mr_channel_close(&far);
	/* A closed peer must not kill this process either. */
	mr_peer_bell_ring(ch->peer_bell_fd);
	alarm(0);
}

struct slow_read {
	int fd;
	void *page;
	ssize_t n;
};

static void *read_slowly(void *arg)
{
	struct slow_read *r = arg;

	r->n = read(r->fd, r->page, PAGE);
	return NULL;
}

/* Makes a page that arrives only when its owner allows it; -1 if this process lacks the rights for
 * that. */
static int page_in_waiting(void **page)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register r = {.mode = UFFDIO_REGISTER_MODE_MISSING};

	if (fd < 0)
		return -1;
	*page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(*page != MAP_FAILED);
	r.range = (struct uffdio_range){(uintptr_t)*page, PAGE};
	assert_int_equal(ioctl(fd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(fd, UFFDIO_REGISTER, &r), 0);
	return fd;
}

/* The peer can delay the kernel in the middle of its read for as long as it likes. */
static void ringing_never_waits_for_a_peer_that_reads_slowly(void **state)
{
	struct mr_channel *ch = *state, far;
	struct slow_read slow;
	struct uffdio_zeropage come;
	struct uffd_msg fault;
	pthread_t thread;
	int fd = page_in_waiting(&slow.page);

	if (fd < 0)
		skip();
	assert_int_equal(map_far_side(ch, &far), 0);
	slow.fd = far.peer_bell_fd;
	mr_peer_bell_ring(ch->peer_bell_fd);
	assert_int_equal(pthread_create(&thread, NULL, read_slowly, &slow), 0);
	assert_int_equal(read(fd, &fault, sizeof(fault)), sizeof(fault));
	alarm(30);
	for (unsigned i = 0; i < 100; i++)
		mr_peer_bell_ring(ch->peer_bell_fd);
	alarm(0);
	come = (struct uffdio_zeropage){.range = {(uintptr_t)slow.page, PAGE}};
	assert_int_equal(ioctl(fd, UFFDIO_ZEROPAGE, &come), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(slow.n > 0);
	munmap(slow.page, PAGE);
	close(fd);
	mr_channel_close(&far);
}

static void peer_cannot_send_into_its_doorbell_and_may_close_it(void **state)
{
	struct mr_channel *ch = *state, far;

	assert_int_equal(map_far_side(ch, &far), 0);
	assert_int_equal(send(far.peer_bell_fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(shutdown(far.peer_bell_fd, SHUT_RDWR), 0);
	mr_peer_bell_ring(ch->peer_bell_fd);
	mr_channel_close(&far);
}

static void worker_wakes_at_every_signal_without_reading_its_doorbell(void **state)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	struct mr_channel *ch = *state, far;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	assert_int_equal(map_far_side(ch, &far), 0);
	assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ch->worker_bell_fd, &e), 0);
	assert_int_equal(epoll_wait(epoll_fd, &e, 1, 0), 0);
	for (unsigned i = 0; i < 100; i++) {
		mr_bell_ring(far.worker_bell_fd);
		assert_int_equal(epoll_wait(epoll_fd, &e, 1, 0), 1);
		assert_int_equal(epoll_wait(epoll_fd, &e, 1, 0), 0);
	}
	close(epoll_fd);
	mr_channel_close(&far);
}

static void closing_gives_back_every_descriptor(void **state)
{
	unsigned before = open_descriptors();
	struct mr_channel ch;

	(void)state;
	assert_int_equal(mr_channel_new(&ch, "test", RING_BYTES, RING_BYTES), 0);
	assert_true(open_descriptors() > before);
	mr_channel_close(&ch);
	assert_int_equal(open_descriptors(), before);
}

static void closing_twice_closes_once(void **state)
{
	struct mr_channel ch;
	int innocent;

	(void)state;
	assert_int_equal(mr_channel_new(&ch, "test", RING_BYTES, RING_BYTES), 0);
	mr_channel_close(&ch);
	/* Takes a number that belonged to the channel. */
	innocent = copy_of(STDERR_FILENO);
	mr_channel_close(&ch);
	assert_true(fcntl(innocent, F_GETFD) >= 0);
	close(innocent);
	ch = mr_channel_none();
	mr_channel_close(&ch);
}

static void without_descriptors_left_nothing_is_made_and_nothing_leaks(void **state)
{
	struct rlimit was, few;
	int error = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	for (unsigned left = 0; left < 4; left++) {
		unsigned before = open_descriptors();
		int lowest = copy_of(STDERR_FILENO);
		struct mr_channel ch;

		close(lowest);
		few = was;
		few.rlim_cur = (rlim_t)lowest + left;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		error = mr_channel_new(&ch, "test", RING_BYTES, RING_BYTES);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		assert_int_equal(error, -EMFILE);
		assert_int_equal(open_descriptors(), before);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_made_foreign_memory_is_taken),
		cmocka_unit_test(memory_too_small_is_refused),
		cmocka_unit_test(memory_that_may_shrink_is_refused),
		cmocka_unit_test(memory_that_is_no_memory_is_refused),
		cmocka_unit_test(wrong_magic_is_refused),
		cmocka_unit_test(ring_sizes_that_no_ring_has_are_refused),
		cmocka_unit_test(ring_offsets_out_of_range_are_refused),
		cmocka_unit_test(rings_that_overlap_are_refused),
		T(message_goes_each_way_between_the_two_sides),
		T(peer_wakes_the_worker_only_while_its_page_says_asleep),
		T(record_across_the_seam_is_whole_on_the_other_side),
		T(peer_cannot_change_the_memory_size),
		T(peer_cannot_add_seals),
		T(header_changed_after_mapping_changes_nothing),
		T(holes_punched_by_the_peer_read_as_an_empty_ring),
		cmocka_unit_test(worker_page_shows_the_flag_to_its_readers),
		cmocka_unit_test(worker_page_cannot_be_written_by_its_readers),
		cmocka_unit_test(worker_page_that_is_too_small_is_refused),
		T(doorbell_wakes_the_peer_once_however_often),
		T(ringing_never_blocks_whatever_the_peer_does_to_its_end),
		T(ringing_never_waits_for_a_peer_that_reads_slowly),
		T(peer_cannot_send_into_its_doorbell_and_may_close_it),
		T(worker_wakes_at_every_signal_without_reading_its_doorbell),
		cmocka_unit_test(closing_gives_back_every_descriptor),
		cmocka_unit_test(closing_twice_closes_once),
		cmocka_unit_test(without_descriptors_left_nothing_is_made_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
