/* SPDX-License-Identifier: Apache-2.0 */
/* The real data plane against misbehaving clients and controls. Each test has a bystander, which
 * must notice nothing. */
#include "tests/unit/dataplane/plane.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/channel/packet.h"
#include "flatbuf/attach.h"

static struct mr_test_plane p;
static struct mr_test_session bad, bystander;

static int setup(void **state)
{
	static const char *const sets[] = {"channels.clients_max=4",
		"channels.down_ring_bytes=262144", "tables.subscriptions_max=8",
		"tables.aliases_max=4", NULL};

	(void)state;
	start(&p, sets);
	mr_test_session_open(&p, &bad, "bad");
	mr_test_session_open(&p, &bystander, "bystander");
	subscribe(&p, &bystander, 1, "calm", NULL);
	return 0;
}

/* The bystander still gets its own messages, and the data plane ends correctly. */
static int teardown(void **state)
{
	(void)state;
	publish(&bystander, "calm", "still here");
	expect(&bystander, MRF_MESSAGE_KIND_DELIVER, 1, "calm", "still here");
	mr_test_session_close(&bystander);
	mr_test_plane_stop(&p);
	return 0;
}

static const struct mrf_worker_stats *stats(void)
{
	return mr_test_worker_stats(&p, 0);
}

/* Waits until the data plane closes the session; returns its notice's code, 0 without one. */
static int wait_expelled(struct mr_test_session *s)
{
	struct pollfd ready = {.fd = s->liveness_fd, .events = POLLIN};
	uint64_t packet[64];
	unsigned fds = 0;
	struct mrf_table t;
	int code = 0;
	ssize_t n;

	do {
		assert_int_equal(poll(&ready, 1, 10000), 1);
		n = mr_packet_receive(s->liveness_fd, packet, sizeof(packet), NULL, &fds);
		if (n > 0 && mrf_session_notice_parse(packet, (size_t)n, &t) == 0)
			code = mrf_session_notice_code(t);
	} while (n > 0);
	return code;
}

static void push_raw(struct mr_test_session *s, struct mrf_message_header h, uint32_t bytes)
{
	void *to = mr_bytes_claim(&s->up, bytes);

	if (to == NULL)
		abort();
	memset(to, 0xa5, bytes);
	memcpy(to, &h, sizeof(h));
	mr_bytes_push(&s->up, bytes);
	mr_test_flush(s);
}

static void length_that_exceeds_the_ring_expels(void **state)
{
	(void)state;
	push_raw(&bad, (struct mrf_message_header){.bytes = 60000, .kind = 1}, 64);
	assert_int_equal(wait_expelled(&bad), -EPROTO);
	mr_test_wait_count(&stats()->channel_corrupt, 1, "corrupt");
	mr_test_wait_count(&mr_test_table_stats(&p)->sessions_expelled, 1, "expelled");
	mr_test_session_close(&bad);
}

static void length_below_the_header_expels(void **state)
{
	(void)state;
	push_raw(&bad, (struct mrf_message_header){.bytes = 3, .kind = 1}, 64);
	assert_int_equal(wait_expelled(&bad), -EPROTO);
	mr_test_session_close(&bad);
}

static void jumping_tail_expels(void **state)
{
	(void)state;
	atomic_store(&bad.channel.up_shared->tail, UINT64_C(1) << 40);
	mr_bell_ring(bad.channel.worker_bell_fd);
	assert_int_equal(wait_expelled(&bad), -EPROTO);
	mr_test_session_close(&bad);
}

static void misaligned_tail_expels(void **state)
{
	(void)state;
	atomic_store(&bad.channel.up_shared->tail, 13);
	mr_bell_ring(bad.channel.worker_bell_fd);
	assert_int_equal(wait_expelled(&bad), -EPROTO);
	mr_test_session_close(&bad);
}

/* More sessions in one round than a burst has messages, and none of their bytes enters the
 * burst. */
static void nonsense_of_many_clients_at_once_is_refused(void **state)
{
	static const char *const sets[] = {"channels.clients_max=256",
		"channels.up_ring_bytes=262144", "channels.down_ring_bytes=262144", NULL};
	static struct mr_test_session many[200];
	static struct mr_test_plane wide;
	const struct mrf_message_header h = {.bytes = 16, .kind = 1, .flags = 0x80};

	(void)state;
	start(&wide, sets);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(many); i++)
		mr_test_session_open(&wide, &many[i], "one of many");
	subscribe(&wide, &many[0], 1, "calm", NULL);
	/* The worker sees all of it at once when it goes on, with valid messages among it. */
	assert_int_equal(kill(wide.pid, SIGSTOP), 0);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(many); i++)
		push_raw(&many[i], h, 16);
	for (unsigned i = 0; i < MR_ARRAY_COUNT(many); i++)
		publish(&many[i], "calm", "still here");
	assert_int_equal(kill(wide.pid, SIGCONT), 0);
	mr_test_wait_count(&mr_test_worker_stats(&wide, 0)->drop_bad_message, MR_ARRAY_COUNT(many),
		"bad message");
	for (unsigned i = 0; i < MR_ARRAY_COUNT(many); i++)
		expect(&many[0], MRF_MESSAGE_KIND_DELIVER, 1, "calm", "still here");
	for (unsigned i = 0; i < MR_ARRAY_COUNT(many); i++)
		mr_test_session_close(&many[i]);
	mr_test_plane_stop(&wide);
}

static void malformed_messages_are_counted_each_by_its_reason(void **state)
{
	const uint64_t correlation = 5;
	struct mr_message_view m;

	(void)state;
	/* Flags that do not exist; a token that does not fit; sections longer than the message. */
	push_raw(&bad, (struct mrf_message_header){.bytes = 16, .kind = 1, .flags = 0x80}, 16);
	push_raw(&bad, (struct mrf_message_header){.bytes = 16, .kind = 1, .flags = 1}, 16);
	push_raw(&bad, (struct mrf_message_header){.bytes = 16, .kind = 1, .flags = 2}, 16);
	mr_test_wait_count(&stats()->drop_bad_message, 3, "bad message");
	/* Kinds that only the bus may send. */
	push_raw(&bad, (struct mrf_message_header){.bytes = 16, .kind = MRF_MESSAGE_KIND_DELIVER},
		16);
	push_raw(&bad, (struct mrf_message_header){.bytes = 16, .kind = MRF_MESSAGE_KIND_GAP}, 16);
	mr_test_wait_count(&stats()->drop_bad_message, 5, "bad message");
	push_raw(&bad, (struct mrf_message_header){.bytes = 16, .kind = 1, .target = 999999}, 16);
	push_raw(&bad, (struct mrf_message_header){.bytes = 16, .kind = 1, .target = 3}, 16);
	mr_test_wait_count(&stats()->drop_bad_alias, 2, "bad alias");
	publish(&bad, "a..b", "");
	publish(&bad, "a.*", "");
	publish(&bad, "a\001b", "");
	push_raw(&bad, (struct mrf_message_header){.bytes = 16, .kind = 1}, 16); /* no subject */
	mr_test_wait_count(&stats()->drop_bad_subject, 4, "bad subject");
	mr_test_wait_count(&mr_test_session_stats(&p, &bad)->rejected, 11, "rejected");
	/* The channel still works. */
	mr_test_publish(&bad, 0, "nobody", &correlation, NULL, "");
	mr_test_flush(&bad);
	m = mr_test_next(&bad);
	assert_int_equal(m.header.kind, MRF_MESSAGE_KIND_STATUS);
	mr_test_session_close(&bad);
}

static void alias_of_another_session_is_not_a_right(void **state)
{
	uint32_t alias = 0;

	(void)state;
	assert_int_equal(mr_test_alias(&p, &bystander, "calm", &alias), 0);
	mr_test_publish(&bad, alias, "", NULL, NULL, "not mine");
	mr_test_flush(&bad);
	mr_test_wait_count(&stats()->drop_bad_alias, 1, "bad alias");
	mr_test_publish(&bystander, alias, "", NULL, NULL, "mine");
	mr_test_flush(&bystander);
	expect(&bystander, MRF_MESSAGE_KIND_DELIVER, 1, "calm", "mine");
	assert_int_equal(mr_test_alias(&p, &bad, "calm", &alias), 0);
	mr_test_publish(&bad, alias, "", NULL, NULL, "mine too");
	mr_test_flush(&bad);
	expect(&bystander, MRF_MESSAGE_KIND_DELIVER, 1, "calm", "mine too");
	mr_test_session_close(&bad);
}

static void stale_and_forged_tokens_are_counted(void **state)
{
	struct mrf_reply_token tokens[] = {
		{.session = bystander.id + 1, .correlation = 1}, /* wrong generation */
		{.session = mr_session_id(0, 0xffffff, 1)},      /* no such slot */
		{.session = mr_session_id(77, 0, 1)},            /* no such worker */
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint8_t *to = mr_bytes_claim(&bad.up, 24);

		assert_non_null(to);
		mr_message_begin(to, MRF_MESSAGE_KIND_REPLY, 0, &tokens[i], 0, 0, 0);
		mr_bytes_push(&bad.up, 24);
	}
	mr_test_flush(&bad);
	mr_test_wait_count(&stats()->drop_stale_token, 3, "stale token");
	mr_test_session_close(&bad);
}

static void reader_that_stops_misses_and_gets_a_gap(void **state)
{
	static char text[1024];
	struct mr_message_view m;
	struct mrf_gap gap = {0};
	uint64_t got = 0, told = 0;

	(void)state;
	memset(text, 'q', sizeof(text) - 1);
	subscribe(&p, &bad, 1, "flood", NULL);
	for (int i = 0; i < 1000; i++)
		mr_test_publish(&bystander, 0, "flood", NULL, NULL, text);
	mr_test_flush(&bystander);
	mr_test_wait_count(&stats()->published, 1000, "published");
	while (got + gap.missed_total < 1000) {
		m = mr_test_next(&bad);
		if (m.header.kind == MRF_MESSAGE_KIND_GAP) {
			assert_int_equal(m.payload_bytes, sizeof(gap));
			told += gap.missed;
			memcpy(&gap, m.payload, sizeof(gap));
		} else {
			got++;
		}
	}
	assert_int_equal(got + gap.missed_total, 1000);
	assert_int_equal(gap.missed_total, told + gap.missed);
	assert_true(gap.missed_total > 500);
	assert_int_equal(stats()->drop_receiver_full, gap.missed_total);
	publish(&bystander, "flood", "after");
	expect(&bad, MRF_MESSAGE_KIND_DELIVER, 1, "flood", "after");
	mr_test_session_close(&bad);
}

static void messages_published_before_death_arrive(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		mr_test_publish(&bad, 0, "calm", NULL, NULL, "last words");
	mr_test_flush(&bad);
	/* One more was pushed but never published, as when the writer is killed. */
	mr_test_publish(&bad, 0, "calm", NULL, NULL, "never said");
	mr_test_session_close(&bad);
	for (int i = 0; i < 100; i++)
		expect(&bystander, MRF_MESSAGE_KIND_DELIVER, 1, "calm", "last words");
	mr_test_wait_count(&mr_test_table_stats(&p)->sessions_closed, 1, "closed");
	assert_true(mr_test_nothing(&p, &bystander));
}

static void messages_published_by_alias_before_death_arrive(void **state)
{
	uint32_t alias;

	(void)state;
	assert_int_equal(mr_test_alias(&p, &bad, "calm", &alias), 0);
	/* The death is known before the worker has read: it reads when it goes on, as the writer
	 * does. */
	assert_int_equal(kill(p.pid, SIGSTOP), 0);
	for (int i = 0; i < 2000; i++)
		mr_test_publish(&bad, alias, NULL, NULL, NULL, "last words");
	mr_test_flush(&bad);
	mr_test_session_close(&bad);
	assert_int_equal(kill(p.pid, SIGCONT), 0);
	for (int i = 0; i < 2000; i++)
		expect(&bystander, MRF_MESSAGE_KIND_DELIVER, 1, "calm", "last words");
	mr_test_wait_count(&mr_test_table_stats(&p)->sessions_closed, 1, "closed");
	assert_int_equal(stats()->drop_bad_alias, 0);
}

static void tables_that_are_full_say_so(void **state)
{
	struct mr_test_session more[3];
	char pattern[16];
	uint32_t alias;

	(void)state;
	mr_test_session_open(&p, &more[0], "third");
	mr_test_session_open(&p, &more[1], "fourth");
	assert_int_equal(mr_test_session_try(&p, &more[2], "fifth"), -ENOSPC);
	assert_int_equal(mr_test_table_stats(&p)->refused_sessions, 1);
	for (uint32_t i = 2; i <= 8; i++) {
		snprintf(pattern, sizeof(pattern), "p.%u", i);
		subscribe(&p, &bad, i, pattern, NULL);
	}
	assert_int_equal(mr_test_subscribe(&p, &bad, 9, MRF_SUBSCRIPTION_KIND_PATTERN, "p.9", NULL),
		-ENOSPC);
	assert_int_equal(mr_test_table_stats(&p)->refused_subscriptions, 1);
	for (uint32_t i = 0; i < 4; i++) {
		snprintf(pattern, sizeof(pattern), "a.%u", i);
		assert_int_equal(mr_test_alias(&p, &bad, pattern, &alias), 0);
	}
	assert_int_equal(mr_test_alias(&p, &bad, "a.5", &alias), -ENOSPC);
	/* Sessions that close free their places. */
	mr_test_session_close(&bad);
	mr_test_wait_count(&mr_test_table_stats(&p)->sessions_closed, 1, "closed");
	for (int error = -1; error != 0;)
		error = mr_test_session_try(&p, &more[2], "fifth");
	subscribe(&p, &more[2], 1, "p.9", NULL);
	for (int i = 0; i < 3; i++)
		mr_test_session_close(&more[i]);
}

static void client_that_hoards_leaves_room_for_others(void **state)
{
	static const char *const sets[] = {"tables.subscriptions_per_client_max=3",
		"tables.aliases_per_client_max=2", "tables.identical_per_client_max=1",
		"tables.shapes_per_client_max=2", "tables.prefix_lengths_per_client_max=1", NULL};
	static struct mr_test_plane own;
	struct mr_test_session greedy, modest;
	char subject[16];
	uint32_t alias;

	(void)state;
	mr_test_session_close(&bad);
	start(&own, sets);
	mr_test_session_open(&own, &greedy, "greedy");
	mr_test_session_open(&own, &modest, "modest");
	for (uint32_t i = 1; i <= 4; i++) {
		snprintf(subject, sizeof(subject), "s.%u", i);
		assert_int_equal(mr_test_subscribe(&own, &greedy, i, MRF_SUBSCRIPTION_KIND_PATTERN,
					 subject, NULL),
			i <= 3 ? 0 : -ENOSPC);
		assert_int_equal(
			mr_test_alias(&own, &greedy, subject, &alias), i <= 2 ? 0 : -ENOSPC);
	}
	/* A held alias may be requested again; the refused one was assigned to nobody. */
	subscribe(&own, &greedy, 3, "s.3", NULL);
	assert_int_equal(mr_test_alias(&own, &greedy, "s.1", &alias), 0);
	assert_int_equal(mr_test_table_stats(&own)->refused_subscriptions, 1);
	assert_int_equal(mr_test_table_stats(&own)->refused_aliases, 2);
	subscribe(&own, &modest, 1, "s.4", NULL);
	/* Subscriptions that make the work of others longer are bounded, too. */
	assert_int_equal(
		mr_test_subscribe(&own, &modest, 2, MRF_SUBSCRIPTION_KIND_PATTERN, "s.4", NULL),
		-ENOSPC);
	subscribe(&own, &modest, 2, "*.a", NULL);
	assert_int_equal(
		mr_test_subscribe(&own, &modest, 3, MRF_SUBSCRIPTION_KIND_PATTERN, "a.*", NULL),
		-ENOSPC);
	assert_int_equal(
		mr_test_subscribe(&own, &modest, 3, MRF_SUBSCRIPTION_KIND_PREFIX, "p", NULL), 0);
	assert_int_equal(
		mr_test_subscribe(&own, &modest, 4, MRF_SUBSCRIPTION_KIND_PREFIX, "pq", NULL),
		-ENOSPC);
	assert_int_equal(mr_test_alias(&own, &modest, "s.4", &alias), 0);
	mr_test_publish(&modest, alias, "", NULL, NULL, "x");
	mr_test_flush(&modest);
	expect(&modest, MRF_MESSAGE_KIND_DELIVER, 1, "s.4", "x");
	mr_test_session_close(&greedy);
	mr_test_session_close(&modest);
	mr_test_plane_stop(&own);
}

static void unknown_kinds_and_control_go_to_control(void **state)
{
	struct mr_bytes_consumer *ring = &p.handoff[0].from_worker;
	struct mrf_handoff_header h;

	(void)state;
	push_raw(&bad, (struct mrf_message_header){.bytes = 32, .kind = 200, .target = 4}, 32);
	mr_test_wait_count(&stats()->handoff_tx, 1, "hand-off");
	while (mr_bytes_readable(ring) == 0)
		;
	memcpy(&h, mr_bytes_peek(ring), sizeof(h));
	assert_int_equal(h.reason, MRF_HANDOFF_REASON_UNKNOWN_KIND);
	assert_int_equal(h.session, bad.id);
	assert_int_equal(h.bytes, sizeof(h) + 32);
	mr_bytes_skip(ring, h.bytes);
	mr_bytes_release(ring);
	mr_test_session_close(&bad);
}

static void handoff_that_nobody_reads_is_bounded_and_counted(void **state)
{
	uint64_t passed;

	(void)state;
	for (int i = 0; i < 40000; i++) {
		void *to;

		while ((to = mr_bytes_claim(&bad.up, 64)) == NULL)
			mr_test_flush(&bad);
		memset(to, 0, 64);
		memcpy(to, &(struct mrf_message_header){.bytes = 64, .kind = 99}, 8);
		mr_bytes_push(&bad.up, 64);
	}
	mr_test_flush(&bad);
	mr_test_wait_count(&stats()->rx_messages, 40000, "taken");
	mr_test_wait_count(&stats()->drop_handoff_full, 1, "hand-off full");
	/* There is room for the requests of others. */
	passed = stats()->handoff_tx;
	for (int i = 0; i < 8; i++)
		push_raw(&bystander,
			(struct mrf_message_header){.bytes = 64, .kind = MRF_MESSAGE_KIND_CONTROL},
			64);
	mr_test_wait_count(&stats()->handoff_tx, passed + 8, "passed on");
	mr_test_session_close(&bad);
}

static void garbage_from_control_ends_the_link_alone(void **state)
{
	static const char garbage[] = "this is not a FlatBuffer at all, sorry";
	struct mr_bytes_producer *ring = &p.handoff[0].to_worker;
	void *to = mr_bytes_claim(ring, 64);

	(void)state;
	/* Into the hand-off ring: a record with a malformed length. */
	memset(to, 0xff, 64);
	mr_bytes_push(ring, 64);
	if (mr_bytes_publish(ring))
		mr_bell_ring(p.handoff[0].channel.worker_bell_fd);
	mr_test_wait_count(&stats()->drop_bad_handoff, 1, "bad hand-off");
	assert_true(mr_packet_send(p.link_fd, garbage, sizeof(garbage), NULL, 0) > 0);
	mr_test_wait_count(&mr_test_table_stats(&p)->bad_link_messages, 1, "bad link message");
	mr_test_plane_leave(&p);
	mr_test_plane_join(&p);
	mr_test_session_close(&bad);
}

static void control_may_come_and_go_while_messages_flow(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		publish(&bad, "calm", "between");
		mr_test_plane_leave(&p);
		publish(&bad, "calm", "without control");
		expect(&bystander, MRF_MESSAGE_KIND_DELIVER, 1, "calm", "between");
		expect(&bystander, MRF_MESSAGE_KIND_DELIVER, 1, "calm", "without control");
		mr_test_plane_join(&p);
	}
	/* The new control can go on with sessions that the old one opened. */
	subscribe(&p, &bad, 3, "new", NULL);
	publish(&bystander, "new", "x");
	expect(&bad, MRF_MESSAGE_KIND_DELIVER, 3, "new", "x");
	mr_test_session_close(&bad);
}

static void kick_tells_the_client_why(void **state)
{
	(void)state;
	assert_int_equal(mr_test_kick(&p, bad.id, "enough"), 0);
	assert_int_equal(wait_expelled(&bad), -ECONNABORTED);
	assert_int_equal(mr_test_kick(&p, bad.id, "enough"), -ENOENT);
	mr_test_session_close(&bad);
}

static void fill_with_clients(const char *ulimit, int expected, unsigned count_min)
{
	static const char *const sets[] = {"channels.clients_max=60",
		"channels.up_ring_bytes=262144", "channels.down_ring_bytes=262144", NULL};
	static struct mr_test_session many[61];
	static struct mr_test_plane tight;
	char wrapper[] = "/tmp/millrace-test-XXXXXX";
	int fd = mkstemp(wrapper);
	unsigned count = 0;
	int error;

	/* Limits only the data plane: this process has each client's descriptors too. */
	assert_true(dprintf(fd, "#!/bin/sh\nulimit %s\nexec '%s' \"$@\"\n", ulimit,
			    getenv("MILLRACE_DATAPLANE")) > 0);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	mr_test_plane_start(&tight, wrapper, sets);
	unlink(wrapper);
	while ((error = mr_test_session_try(&tight, &many[count], "one of many")) == 0)
		count++;
	assert_int_equal(error, expected);
	assert_true(count >= count_min);
	mr_test_plane_leave(&tight);
	mr_test_plane_join(&tight);
	subscribe(&tight, &many[0], 1, "calm", NULL);
	publish(&many[count - 1], "calm", "still here");
	expect(&many[0], MRF_MESSAGE_KIND_DELIVER, 1, "calm", "still here");
	for (unsigned i = 0; i < count; i++)
		mr_test_session_close(&many[i]);
	mr_test_plane_stop(&tight);
}

static void clients_find_room_until_descriptors_run_out_and_control_comes_back(void **state)
{
	(void)state;
	fill_with_clients("-S -n 128", -ENOSPC, 60);
	fill_with_clients("-n 256", -EMFILE, 10);
}

/* Counts the descriptors that the data plane's epoll sets watch. */
static unsigned watched(void)
{
	char path[64], line[256];
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)p.pid, fd);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		while (fgets(line, sizeof(line), f) != NULL)
			count += strncmp(line, "tfd:", 4) == 0;
		fclose(f);
	}
	return count;
}

static void doorbell_of_an_expelled_client_is_not_watched_any_more(void **state)
{
	unsigned with_it = watched();

	(void)state;
	assert_int_equal(mr_test_kick(&p, bad.id, "enough"), 0);
	mr_test_wait_count(&mr_test_table_stats(&p)->sessions_closed, 1, "closed");
	/* The client still has its doorbell; the worker and the table writer have closed theirs. */
	assert_int_equal(watched(), with_it - 2);
	mr_test_session_close(&bad);
}

static void channel_memory_cannot_be_shrunk(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(bad.channel.memory_fd, 0), -1);
	assert_int_equal(errno, EPERM);
	mr_test_session_close(&bad);
}

/* The child rewrites the same records while the worker reads them. */
static void changing_records_under_the_reader(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		for (uint32_t i = 0;; i++) {
			struct mrf_message_header h = {
				.bytes = (uint16_t)(i * 2654435761u >> 20),
				.kind = (uint8_t)(1 + i % 2),
				.flags = (uint8_t)(i % 4),
			};

			memcpy((char *)bad.channel.up_map + (i % 1024) * 64, &h, sizeof(h));
		}
	}
	for (int i = 0; i < 20000; i++) {
		void *to = mr_bytes_claim(&bad.up, 64);

		if (to == NULL)
			continue;
		memcpy(to, &(struct mrf_message_header){.bytes = 64, .kind = 1}, 8);
		mr_bytes_push(&bad.up, 64);
		mr_test_flush(&bad);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	mr_test_session_close(&bad);
}

/* The kernel sets a word of the worker page, which a client reads with one load. */
static void death_of_the_data_plane_is_seen_in_the_worker_page(void **state)
{
	static struct mr_test_plane other;
	struct mr_test_session s;
	char path[128];

	(void)state;
	start(&other, NULL);
	mr_test_session_open(&other, &s, "witness");
	/* The worker's thread runs. */
	publish(&s, "a", "x");
	mr_test_wait_count(&mr_test_worker_stats(&other, 0)->published, 1, "published");
	assert_int_equal(atomic_load(&s.page->owner) & MR_WORKER_PAGE_GONE, 0);
	kill(other.pid, SIGKILL);
	assert_int_equal(waitpid(other.pid, NULL, 0), other.pid);
	assert_int_equal(atomic_load(&s.page->owner) & MR_WORKER_PAGE_GONE, MR_WORKER_PAGE_GONE);
	assert_int_equal(atomic_load(&s.channel.up_shared->closed), 0);
	mr_test_session_close(&s);
	mr_test_plane_leave(&other);
	snprintf(path, sizeof(path), "rm -r '%s'", other.run_dir);
	assert_int_equal(system(path), 0);
}

static void end_of_the_data_plane_is_seen_in_the_worker_page(void **state)
{
	static struct mr_test_plane other;
	struct mr_test_session s;

	(void)state;
	start(&other, NULL);
	mr_test_session_open(&other, &s, "witness");
	mr_test_plane_stop(&other);
	assert_int_equal(atomic_load(&s.page->owner), MR_WORKER_PAGE_GONE);
	assert_int_equal(atomic_load(&s.channel.up_shared->closed), 1);
	mr_test_session_close(&s);
}

#define FAULT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT(length_that_exceeds_the_ring_expels),
		FAULT(length_below_the_header_expels),
		FAULT(jumping_tail_expels),
		FAULT(misaligned_tail_expels),
		cmocka_unit_test(nonsense_of_many_clients_at_once_is_refused),
		FAULT(malformed_messages_are_counted_each_by_its_reason),
		FAULT(alias_of_another_session_is_not_a_right),
		FAULT(stale_and_forged_tokens_are_counted),
		FAULT(reader_that_stops_misses_and_gets_a_gap),
		FAULT(messages_published_before_death_arrive),
		FAULT(messages_published_by_alias_before_death_arrive),
		FAULT(tables_that_are_full_say_so),
		FAULT(client_that_hoards_leaves_room_for_others),
		FAULT(unknown_kinds_and_control_go_to_control),
		FAULT(handoff_that_nobody_reads_is_bounded_and_counted),
		FAULT(garbage_from_control_ends_the_link_alone),
		FAULT(control_may_come_and_go_while_messages_flow),
		FAULT(kick_tells_the_client_why),
		cmocka_unit_test(death_of_the_data_plane_is_seen_in_the_worker_page),
		cmocka_unit_test(end_of_the_data_plane_is_seen_in_the_worker_page),
		cmocka_unit_test(
			clients_find_room_until_descriptors_run_out_and_control_comes_back),
		FAULT(doorbell_of_an_expelled_client_is_not_watched_any_more),
		FAULT(channel_memory_cannot_be_shrunk),
		FAULT(changing_records_under_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
