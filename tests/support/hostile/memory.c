/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks through the channel's memory: records, positions, doorbells. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/hostile/attacks.h"
#include "tests/support/hostile/raw.h"

/* The actions of one session over its whole life. */
typedef int once_fn(struct mr_raw *c, unsigned round);

/* Runs each round as a session of its own, which the bus must expel. */
static int rounds_until_expelled(const char *path, unsigned count, const char *name, once_fn *once)
{
	for (unsigned i = 0; i < count; i++) {
		struct mr_raw c;
		int error = mr_raw_attach(&c, path, name);

		if (error == 0)
			error = once(&c, i);
		if (error == 0)
			error = mr_raw_wait_expelled(&c);
		mr_raw_close(&c);
		if (error != 0) {
			printf("round %u\n", i);
			return error;
		}
	}
	return 0;
}

/* Random bytes whose first record claims less than a header: the next one cannot be found. */
static int garbage(struct mr_raw *c, unsigned round)
{
	const size_t bytes = 65536;
	uint8_t *to = mr_raw_claim(c, bytes);

	if (to == NULL)
		return -ENOTCONN;
	mr_raw_random_fill(to, bytes);
	if (round % 2 == 0)
		memcpy(to, "\x07\x00", 2);
	mr_bytes_push(&c->up, bytes);
	mr_raw_show(c);
	if (round % 2 == 1) {
		/* If the random lengths end exactly with the bytes, one that is impossible
		 * follows. */
		to = mr_raw_claim(c, 8);
		if (to != NULL) {
			memset(to, 0, 8);
			mr_bytes_push(&c->up, 8);
			mr_raw_show(c);
		}
	}
	return 0;
}

int mr_attack_garbage_records(const char *path, unsigned count)
{
	return rounds_until_expelled(path, count, "garbage", garbage);
}

static void set_tail(struct mr_raw *c, uint64_t tail)
{
	atomic_store_explicit(&c->channel.up_shared->tail, tail, memory_order_seq_cst);
	mr_bell_ring(c->channel.worker_bell_fd);
}

static int tail_jump(struct mr_raw *c, unsigned round)
{
	static const uint64_t jumps[] = {
		8, 4096, 1ull << 31, 1ull << 32, 1ull << 63, UINT64_MAX - 7};

	set_tail(c, c->up.tail + c->channel.up_bytes + jumps[round % (sizeof(jumps) / 8)] / 8 * 8);
	return 0;
}

int mr_attack_tail_jump(const char *path, unsigned count)
{
	return rounds_until_expelled(path, count, "tail-jump", tail_jump);
}

static int tail_misaligned(struct mr_raw *c, unsigned round)
{
	set_tail(c, c->up.tail + 1 + round % 7);
	return 0;
}

int mr_attack_tail_misaligned(const char *path, unsigned count)
{
	return rounds_until_expelled(path, count, "tail-misaligned", tail_misaligned);
}

static int tail_back(struct mr_raw *c, unsigned round)
{
	int error = mr_raw_send(c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, "hostile.x", 9, "abc", 3);

	if (error == 0)
		error = mr_raw_drain(c);
	if (error == 0)
		set_tail(c, c->up.tail - 8 * (1 + round % 3));
	return error;
}

int mr_attack_tail_back(const char *path, unsigned count)
{
	return rounds_until_expelled(path, count, "tail-back", tail_back);
}

/* A receiver that lies about its position, with its own messages. */
int mr_attack_head_jump(const char *path, unsigned count)
{
	struct mr_raw c;
	int error = mr_raw_attach(&c, path, "head-jump");

	if (error == 0)
		error = mr_raw_subscribe(&c, 1, "hostile.head");
	for (unsigned i = 0; error == 0 && i < count; i++) {
		uint64_t lie =
			i % 3 == 0 ? mr_raw_random() : c.down.head + 8 * (mr_raw_random() % 99);

		atomic_store_explicit(&c.channel.down_shared->head, lie, memory_order_release);
		atomic_store_explicit(&c.channel.down_shared->asleep, i & 1, memory_order_seq_cst);
		error = mr_raw_send(
			&c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, "hostile.head", 12, "abc", 3);
		mr_raw_show(&c);
	}
	if (error == 0)
		error = mr_raw_drain(&c);
	mr_raw_close(&c);
	/* ^The bus may also expel such a session. */
	return error == -ENOTCONN ? 0 : error;
}

struct spoiler {
	struct mr_raw *client;
	_Atomic bool stop;
};

/* Changes bytes of the up ring at random, above those of headers and sections. */
static void *spoil(void *arg)
{
	struct spoiler *s = arg;
	uint8_t *data = s->client->channel.up_map;
	uint64_t mask = s->client->channel.up_bytes - 1;

	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		for (unsigned i = 0; i < 64; i++) {
			uint64_t r = mr_raw_random();
			uint64_t at = (r & mask) / 64 * 64 + (r >> 40) % 40;

			/* Lengths stay: without them the session would be closed at once. The low
			 * bytes of targets stay too: a small one is the number of a subject,
			 * perhaps of a client that must notice nothing, and publishing is no
			 * attack. */
			if (at % 64 >= 2 && (at % 64 < 4 || at % 64 >= 7))
				__atomic_store_n(&data[at], (uint8_t)(r >> 50), __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

int mr_attack_record_changes(const char *path, unsigned count)
{
	struct spoiler s = {0};
	struct mr_raw c;
	pthread_t thread;
	int error = mr_raw_attach(&c, path, "record-changes");

	if (error != 0)
		return error;
	s.client = &c;
	if (pthread_create(&thread, NULL, spoil, &s) != 0) {
		mr_raw_close(&c);
		return -EAGAIN;
	}
	/* 64 bytes each: 8 header, 4 sections, 16 subject, 36 payload. */
	for (unsigned i = 0; error == 0 && i < count; i++) {
		char payload[36] = "changes while it is read";

		error = mr_raw_send(&c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, "hostile.changing", 16,
			payload, sizeof(payload));
		if (i % 32 == 0)
			mr_raw_show(&c);
	}
	if (error == 0)
		error = mr_raw_drain(&c);
	atomic_store_explicit(&s.stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	mr_raw_close(&c);
	return error == -ENOTCONN ? 0 : error;
}

/* Tries to remove the memory under the worker. */
int mr_attack_memory_shrinks(const char *path, unsigned count)
{
	struct mr_raw c;
	int error = mr_raw_attach(&c, path, "memory-shrinks");

	if (error != 0)
		return error;
	if (ftruncate(c.channel.memory_fd, 0) == 0) {
		printf("the memory could be shrunk\n");
		error = -EPROTO;
	}
	/* Holes are allowed: they read as zeros. */
	for (unsigned i = 0; error == 0 && i < count; i++) {
		error = mr_raw_send(
			&c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, "hostile.hole", 12, "abc", 3);
		mr_raw_show(&c);
		fallocate(c.channel.memory_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096,
			(off_t)c.channel.up_bytes);
	}
	mr_raw_close(&c);
	return error == -ENOTCONN ? 0 : error;
}

/* Dies like a program in the middle of an action; `round` selects the point. */
static _Noreturn void die_in_child(const char *path, unsigned round)
{
	struct mr_raw c;
	uint8_t *to;

	if (mr_raw_attach(&c, path, "dies") != 0)
		_exit(1);
	if (round % 4 == 3 && mr_raw_subscribe(&c, 1, ">") != 0)
		_exit(1);
	to = mr_raw_claim(&c, 64);
	if (to == NULL)
		_exit(1);
	memcpy(mr_message_begin(to, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, 12, 0, 36), "hostile.dies",
		12);
	mr_bytes_push(&c.up, 60);
	if (round % 4 == 1) /* publishes more than it wrote */
		mr_bytes_push(&c.up, 4096);
	if (round % 4 != 0)
		mr_bytes_publish_quiet(&c.up);
	if (round % 8 >= 4)
		mr_bell_ring(c.channel.worker_bell_fd);
	kill(getpid(), SIGKILL);
	_exit(1);
}

int mr_attack_die_mid_write(const char *path, unsigned count)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < count; i++) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			return -errno;
		if (pid == 0)
			die_in_child(path, i);
		if (waitpid(pid, &status, 0) < 0)
			return -errno;
		failed += !WIFSIGNALED(status);
	}
	printf("%u died, %u could not attach\n", count - failed, failed);
	return failed > 0 ? -EPROTO : 0;
}

/* Subscribes to everything and reads nothing until it is killed. */
int mr_attack_stop_reading(const char *path, unsigned count)
{
	struct mr_raw c;
	int error = mr_raw_attach(&c, path, "stop-reading");

	(void)count;
	if (error == 0)
		error = mr_raw_subscribe(&c, 1, ">");
	if (error != 0)
		return error;
	printf("subscribed\n");
	for (;;)
		pause();
}

/* Misuses the doorbells: rings without need, reads both, makes them block, fills them. */
int mr_attack_bells(const char *path, unsigned count)
{
	uint64_t most = UINT64_MAX - 1;
	struct mr_raw c;
	int error = mr_raw_attach(&c, path, "bells");

	if (error != 0)
		return error;
	if (mr_raw_subscribe(&c, 1, "hostile.bells") != 0)
		return -EPROTO;
	for (unsigned i = 0; i < count; i++) {
		mr_bell_ring(c.channel.worker_bell_fd);
		if (i % 3 == 0)
			mr_bell_clear(c.channel.worker_bell_fd);
	}
	/* A worker that wrote to or read from these without care would now hang. */
	fcntl(c.channel.worker_bell_fd, F_SETFL, 0);
	fcntl(c.channel.peer_bell_fd, F_SETFL, 0);
	mr_bell_ring(c.channel.worker_bell_fd);
	mr_bell_clear(c.channel.worker_bell_fd);
	if (write(c.channel.worker_bell_fd, &most, sizeof(most)) < 0)
		printf("the worker's bell takes no more\n");
	for (unsigned i = 0; error == 0 && i < count / 10; i++) {
		/* Claims to be asleep and never reads its doorbell: the worker wakes it each
		 * time. */
		atomic_store_explicit(&c.channel.down_shared->asleep, 1, memory_order_seq_cst);
		error = mr_raw_send(
			&c, MRF_MESSAGE_KIND_PUBLISH, 0, NULL, "hostile.bells", 13, "abc", 3);
		mr_bytes_publish_quiet(&c.up);
	}
	mr_raw_close(&c);
	return error == -ENOTCONN ? 0 : error;
}
