/* SPDX-License-Identifier: Apache-2.0 */
/* Administration, against a socket that answers as the test says. */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "flatbuf/admin.h"
#include "tests/unit/client/fixture.h"

struct server {
	char dir[64];
	char path[96];
	int listen_fd;
	pthread_t thread;
	uint8_t answers[4][2048]; /* each with its length in front */
	size_t bytes[4];
	unsigned count;
	/* The requests. */
	uint8_t verbs[4];
	uint8_t queue_verbs[4];
	uint32_t edits[4];
	uint64_t messages_max[4];
	uint32_t age_max_ms[4];
	uint8_t policies[4];
	char names[4][300];
	char patterns[4][300];
	char texts[4][300]; /* options with fields of their own */
};

static bool read_all(int fd, void *to, size_t bytes)
{
	return recv(fd, to, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static void note_request(struct server *s, unsigned i, const uint8_t *data, size_t bytes)
{
	struct mrf_table request, command, options;

	assert_int_equal(mrf_admin_request_parse(data, bytes, &request), 0);
	command = mrf_admin_request_queue(request);
	s->verbs[i] = mrf_admin_request_verb(request);
	s->queue_verbs[i] = mrf_queue_command_verb(command);
	s->edits[i] = mrf_queue_command_edits(command);
	s->messages_max[i] = mrf_queue_options_messages_max(mrf_queue_command_options(command));
	s->policies[i] = mrf_queue_options_policy(mrf_queue_command_options(command));
	s->age_max_ms[i] = mrf_queue_options_age_max_ms(mrf_queue_command_options(command));
	snprintf(s->names[i], sizeof(s->names[i]), "%.*s",
		(int)mrf_queue_command_name(command).bytes, mrf_queue_command_name(command).data);
	options = mrf_queue_command_options(command);
	snprintf(s->texts[i], sizeof(s->texts[i]), "%u %u %u %u %s %s %s %s",
		mrf_queue_options_retry_min_ms(options), mrf_queue_options_retry_max_ms(options),
		mrf_queue_options_retry_factor(options), mrf_queue_options_retry_jitter(options),
		mrf_queue_options_key_from(options).data,
		mrf_queue_command_dead_letter(command).data, mrf_queue_command_owner(command).data,
		mrf_queue_command_description(command).data);
	snprintf(s->patterns[i], sizeof(s->patterns[i]), "%s",
		mrf_admin_request_pattern(request).data);
}

/* Answers one request after the other, then hangs up. */
static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->listen_fd, NULL, NULL);
	alignas(8) uint8_t data[2048];
	uint32_t bytes;

	for (unsigned i = 0; i < s->count; i++) {
		if (!read_all(fd, &bytes, sizeof(bytes)) || bytes > sizeof(data) ||
			!read_all(fd, data, bytes))
			break;
		note_request(s, i, data, bytes);
		if (send(fd, s->answers[i], s->bytes[i], MSG_NOSIGNAL) < 0)
			break;
	}
	close(fd);
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(s->dir, sizeof(s->dir), "/tmp/millrace-admin-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/admin.sock", s->dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", s->path);
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->listen_fd, 1), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	unlink(s->path);
	rmdir(s->dir);
}

static void add_answer(struct server *s, struct mrf_builder *b, uint8_t type, uint32_t body)
{
	struct mrf_admin_response response = {.body_type = type, .body = body};
	const void *data;
	uint32_t length;
	size_t bytes;

	assert_int_equal(
		mrf_builder_finish(b, mrf_admin_response_write(b, &response), &data, &bytes), 0);
	length = (uint32_t)bytes;
	memcpy(s->answers[s->count], &length, sizeof(length));
	memcpy(s->answers[s->count] + sizeof(length), data, bytes);
	s->bytes[s->count++] = sizeof(length) + bytes;
}

static void add_result(struct server *s, int code, const char *text)
{
	struct mrf_admin_result result = {.code = code, .text = mrf_str(text)};
	uint8_t memory[1024];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	add_answer(s, &b, MRF_ADMIN_BODY_ADMIN_RESULT, mrf_admin_result_write(&b, &result));
}

static void keep_queue(const struct mr_admin_queue *q, void *arg)
{
	assert_string_equal(q->name, "jobs");
	assert_int_equal(q->ready, 7);
	assert_true(q->paused);
	assert_false(q->service);
	++*(unsigned *)arg;
}

static void ignore_letter(const struct mr_admin_dead_letter *d, void *arg)
{
	(void)d;
	++*(unsigned *)arg;
}

static void add_queues(struct server *s)
{
	struct mrf_queue_row row = {.name = mrf_str("jobs"), .ready = 7, .paused = true};
	struct mrf_admin_queues list = {0};
	uint8_t memory[1024];
	struct mrf_builder b;
	uint32_t at;

	mrf_builder_init(&b, memory, sizeof(memory));
	at = mrf_queue_row_write(&b, &row);
	list.rows = &at;
	list.rows_count = 1;
	add_answer(s, &b, MRF_ADMIN_BODY_ADMIN_QUEUES, mrf_admin_queues_write(&b, &list));
}

static void queues_are_listed(void **state)
{
	struct server s = {0};
	struct mr_admin *a;
	unsigned count = 0;
	char address[128];

	(void)state;
	add_queues(&s);
	server_start(&s);
	/* The attach socket names the directory. */
	snprintf(address, sizeof(address), "shm:%s/attach.sock", s.dir);
	assert_int_equal(mr_admin_open(address, &a), 0);
	assert_int_equal(mr_admin_queues(a, false, keep_queue, &count), 1);
	assert_int_equal(count, 1);
	/* The server has hung up. */
	assert_in_set(mr_admin_queues(a, false, keep_queue, &count),
		((uintmax_t[]){(uintmax_t)-ECONNRESET, (uintmax_t)-EPIPE}), 2);
	mr_admin_close(a);
	server_stop(&s);
	assert_int_equal(s.verbs[0], MRF_ADMIN_VERB_QUEUES);
}

static void purge_and_redrive_return_the_number(void **state)
{
	struct server s = {0};
	struct mr_admin *a;
	uint64_t count = 0;

	(void)state;
	add_result(&s, 0, "12");
	add_result(&s, 0, "3");
	add_result(&s, -ENOENT, "no queue x");
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &a), 0);
	assert_int_equal(mr_admin_purge(a, "jobs", &count), 0);
	assert_int_equal(count, 12);
	assert_int_equal(mr_admin_redrive(a, "jobs", 5, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(mr_admin_purge(a, "x", NULL), -ENOENT);
	assert_string_equal(mr_error(NULL), "refused: no queue x");
	mr_admin_close(a);
	server_stop(&s);
	assert_int_equal(s.queue_verbs[0], MRF_QUEUE_VERB_PURGE);
	assert_int_equal(s.queue_verbs[1], MRF_QUEUE_VERB_REDRIVE);
	assert_string_equal(s.names[1], "jobs");
}

/* The queue is there, its dead letters are not. */
static void queue_without_dead_letters_has_none(void **state)
{
	struct server s = {0};
	struct mr_admin *a;
	unsigned count = 0;

	(void)state;
	add_result(&s, -ENOENT, "no queue jobs.dead");
	add_queues(&s);
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &a), 0);
	assert_int_equal(mr_admin_dead_letters(a, "jobs", 16, ignore_letter, &count), 0);
	mr_admin_close(a);
	server_stop(&s);
	assert_string_equal(s.names[0], "jobs.dead");
	assert_string_equal(s.names[1], "jobs");
	assert_int_equal(count, 0);
}

struct nested {
	struct mr_admin *a;
	uint64_t purged;
	unsigned rows;
};

static void purge_and_close(const struct mr_admin_queue *q, void *arg)
{
	struct nested *n = arg;

	if (n->rows++ == 0)
		assert_int_equal(mr_admin_purge(n->a, q->name, &n->purged), 0);
	assert_string_equal(q->name, "jobs");
	mr_admin_close(n->a);
	n->a = NULL;
}

static void function_for_rows_may_use_and_close_the_connection(void **state)
{
	struct nested n = {0};
	struct server s = {0};

	(void)state;
	add_queues(&s);
	add_result(&s, 0, "12");
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &n.a), 0);
	assert_int_equal(mr_admin_queues(n.a, false, purge_and_close, &n), 1);
	assert_int_equal(n.purged, 12);
	assert_int_equal(n.rows, 1);
	server_stop(&s);
	assert_string_equal(s.names[1], "jobs");
}

/* Otherwise the next call would take the rest of this answer for its own. */
static void answer_that_does_not_come_whole_closes_the_connection(void **state)
{
	struct server s = {0};
	struct mr_admin *a;
	uint64_t count = 0;

	(void)state;
	add_result(&s, 0, "12");
	s.answers[0][3] = 0xff; /* more than 64 MiB */
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &a), 0);
	assert_int_equal(mr_admin_purge(a, "jobs", &count), -EPROTO);
	assert_int_equal(mr_admin_purge(a, "jobs", &count), -ENOTCONN);
	assert_int_equal(mr_admin_purge(a, "jobs", &count), -ENOTCONN);
	mr_admin_close(a);
	server_stop(&s);
}

static void on_alarm(int number)
{
	(void)number;
}

/* A control that accepts and never answers: nobody takes connections of this socket. */
static void wait_for_an_answer_ends_in_spite_of_signals(void **state)
{
	const struct itimerval often = {{0, 200000}, {0, 200000}}, never = {{0, 0}, {0, 0}};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char dir[64] = "/tmp/millrace-admin-XXXXXX";
	struct mr_admin *a;
	uint64_t count = 0, began_ms = now_ms();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/admin.sock", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(mr_admin_open(dir, &a), 0);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(mr_admin_purge(a, "jobs", &count), -ETIMEDOUT);
	setitimer(ITIMER_REAL, &never, NULL);
	assert_true(now_ms() - began_ms >= 7900);
	mr_admin_close(a);
	close(fd);
	unlink(at.sun_path);
	rmdir(dir);
}

static void texts_of_the_bus_move_no_cursor(void **state)
{
	struct server s = {0};
	struct mr_admin *a;

	(void)state;
	add_result(&s, -ENOENT,
		"no \x1b[2J \xc2\x9b[2J \x9b[2J \xe2\x80\xae"
		"evil \xc3\xa4");
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &a), 0);
	assert_int_equal(mr_admin_purge(a, "x", NULL), -ENOENT);
	assert_string_equal(mr_error(NULL), "refused: no ?[2J ??[2J ?[2J ???evil \xc3\xa4");
	mr_admin_close(a);
	server_stop(&s);
}

static void edit_sends_the_values_and_hears_of_a_refusal(void **state)
{
	const struct mr_queue_options values = {.messages_max = 1000, .age_max_ms = 50};
	struct server s = {0};
	struct mr_admin *a;

	(void)state;
	add_queues(&s);
	add_result(&s, -EINVAL, "dead letters have no options: edit their queue");
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &a), 0);
	assert_int_equal(
		mr_admin_edit(a, "jobs", false, MR_ADMIN_MESSAGES_MAX | MR_ADMIN_AGE_MAX, &values),
		0);
	assert_int_equal(mr_admin_edit(a, "jobs.dead", false, MR_ADMIN_AGE_MAX, &values), -EINVAL);
	assert_non_null(strstr(mr_error(NULL), "edit their queue"));
	assert_int_equal(mr_admin_edit(a, "jobs", false, MR_ADMIN_AGE_MAX, NULL), -EINVAL);
	mr_admin_close(a);
	server_stop(&s);
	assert_int_equal(s.queue_verbs[0], MRF_QUEUE_VERB_EDIT);
	assert_string_equal(s.names[0], "jobs");
	assert_int_equal(s.edits[0], MRF_QUEUE_OPTION_MESSAGES_MAX | MRF_QUEUE_OPTION_AGE_MAX);
	assert_int_equal(s.messages_max[0], 1000);
	assert_int_equal(s.age_max_ms[0], 50);
}

/* Options that struct mr_queue_options lacks. */
static void edit_with_sends_the_other_values_too(void **state)
{
	const struct mr_admin_options values = {.queue = {.messages_max = 7},
		.retry = {.min_ms = 100, .max_ms = 900, .factor = 150, .jitter = 20},
		.key_from = "token 2",
		.dead_letter = "errors",
		.owner = "shop",
		.description = "orders"};
	const unsigned edits = MR_ADMIN_MESSAGES_MAX | MR_ADMIN_RETRY_MIN | MR_ADMIN_RETRY_MAX |
			       MR_ADMIN_RETRY_FACTOR | MR_ADMIN_RETRY_JITTER | MR_ADMIN_KEY_FROM |
			       MR_ADMIN_DEAD_LETTER | MR_ADMIN_OWNER | MR_ADMIN_DESCRIPTION;
	const struct mr_admin_options none = {0};
	struct server s = {0};
	struct mr_admin *a;

	(void)state;
	add_queues(&s);
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &a), 0);
	assert_int_equal(mr_admin_edit_with(a, "jobs", false, edits, &values), 0);
	assert_int_equal(
		mr_admin_edit_with(a, "jobs", false, MR_ADMIN_DEAD_LETTER, &none), -EINVAL);
	assert_int_equal(
		mr_admin_edit(a, "jobs", false, MR_ADMIN_RETRY_MIN, &values.queue), -EINVAL);
	assert_non_null(strstr(mr_error(NULL), "mr_admin_edit_with()"));
	assert_int_equal(mr_admin_edit_with(a, "jobs", false, edits, NULL), -EINVAL);
	mr_admin_close(a);
	server_stop(&s);
	assert_int_equal(s.edits[0], edits);
	assert_int_equal(s.messages_max[0], 7);
	assert_string_equal(s.texts[0], "100 900 150 20 token 2 errors shop orders");
}

/* 257 must not become 1, the first policy. */
static void edit_sends_no_other_choice_than_the_one_given(void **state)
{
	const struct mr_queue_options values = {.policy = (enum mr_policy)257};
	struct server s = {0};
	struct mr_admin *a;

	(void)state;
	add_result(&s, -EINVAL, "policy: this bus does not know it");
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &a), 0);
	assert_int_equal(mr_admin_edit(a, "jobs", false, MR_ADMIN_POLICY, &values), -EINVAL);
	mr_admin_close(a);
	server_stop(&s);
	assert_int_equal(s.policies[0], UINT8_MAX);
}

static void add_bound(struct server *s, uint32_t bindings)
{
	struct mrf_admin_bound bound = {.bindings = bindings, .changed = 1};
	uint8_t memory[256];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	add_answer(s, &b, MRF_ADMIN_BODY_ADMIN_BOUND, mrf_admin_bound_write(&b, &bound));
}

static void bind_and_unbind_return_the_number_of_bindings(void **state)
{
	struct server s = {0};
	unsigned bindings = 0;
	struct mr_admin *a;

	(void)state;
	add_bound(&s, 2);
	add_bound(&s, 0);
	add_result(&s, -ENOENT, "it is not bound to this subject");
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &a), 0);
	assert_int_equal(mr_admin_bind(a, "jobs", "orders.*", &bindings), 0);
	assert_int_equal(bindings, 2);
	assert_int_equal(mr_admin_unbind(a, "jobs", NULL, &bindings), 0);
	assert_int_equal(bindings, 0);
	assert_int_equal(mr_admin_unbind(a, "jobs", "a", NULL), -ENOENT);
	assert_string_equal(mr_error(NULL), "refused: it is not bound to this subject");
	assert_int_equal(mr_admin_bind(a, "jobs", NULL, NULL), -EINVAL);
	assert_int_equal(mr_admin_unbind(a, "jobs", "", NULL), -EINVAL);
	mr_admin_close(a);
	server_stop(&s);
	assert_int_equal(s.verbs[0], MRF_ADMIN_VERB_BIND);
	assert_int_equal(s.verbs[1], MRF_ADMIN_VERB_UNBIND);
	assert_string_equal(s.names[0], "jobs");
	assert_string_equal(s.patterns[0], "orders.*");
	assert_string_equal(s.patterns[1], "");
	assert_string_equal(s.patterns[2], "a");
}

static void malformed_answers_are_refused(void **state)
{
	static const uint8_t junk[20] = {16, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t huge[4] = {0xff, 0xff, 0xff, 0xff};
	struct server s = {0};
	struct mr_admin *a;
	unsigned count = 0;

	(void)state;
	memcpy(s.answers[0], junk, sizeof(junk));
	s.bytes[0] = sizeof(junk);
	s.count = 1;
	/* Another type than the one that was asked for. */
	add_queues(&s);
	memcpy(s.answers[2], huge, sizeof(huge));
	s.bytes[2] = sizeof(huge);
	s.count = 3;
	server_start(&s);
	assert_int_equal(mr_admin_open(s.dir, &a), 0);
	assert_int_equal(mr_admin_queues(a, false, keep_queue, &count), -EPROTO);
	assert_int_equal(mr_admin_purge(a, "jobs", NULL), -EPROTO);
	assert_int_equal(mr_admin_purge(a, "jobs", NULL), -EPROTO);
	mr_admin_close(a);
	server_stop(&s);
	assert_int_equal(count, 0);
}

static void addresses_that_name_no_bus_of_this_host_are_refused(void **state)
{
	struct mr_admin *a;
	char name[400];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(mr_admin_open("udp://host:1", &a), -EINVAL);
	assert_null(a);
	assert_int_equal(mr_admin_open("/nowhere/at/all", &a), -ENOENT);
	assert_true(mr_admin_open(name, &a) < 0);
	assert_null(a);
	assert_int_equal(mr_admin_open("/tmp", NULL), -EINVAL);
	assert_int_equal(mr_admin_purge(NULL, "jobs", NULL), -EINVAL);
	assert_int_equal(mr_admin_clients(NULL, NULL, NULL), -EINVAL);
	mr_admin_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_are_listed),
		cmocka_unit_test(purge_and_redrive_return_the_number),
		cmocka_unit_test(queue_without_dead_letters_has_none),
		cmocka_unit_test(function_for_rows_may_use_and_close_the_connection),
		cmocka_unit_test(answer_that_does_not_come_whole_closes_the_connection),
		cmocka_unit_test(wait_for_an_answer_ends_in_spite_of_signals),
		cmocka_unit_test(texts_of_the_bus_move_no_cursor),
		cmocka_unit_test(edit_sends_the_values_and_hears_of_a_refusal),
		cmocka_unit_test(edit_with_sends_the_other_values_too),
		cmocka_unit_test(edit_sends_no_other_choice_than_the_one_given),
		cmocka_unit_test(bind_and_unbind_return_the_number_of_bindings),
		cmocka_unit_test(malformed_answers_are_refused),
		cmocka_unit_test(addresses_that_name_no_bus_of_this_host_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
