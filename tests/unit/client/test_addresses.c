/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: several with fail-over, paths, and the default bus. */
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/client/fixture.h"

#define NOWHERE "shm:/nonexistent/attach.sock"

struct two {
	struct bus near; /* over shared memory */
	struct bus far;  /* over UDP */
	char both[300];  /* near, far */
	struct fixture events;
};

static int setup_two(void **state)
{
	struct two *t = calloc(1, sizeof(*t));

	bus_init(&t->near);
	bus_init_udp(&t->far);
	snprintf(t->both, sizeof(t->both), "%s,%s", t->near.address, t->far.address);
	*state = t;
	return 0;
}

static int teardown_two(void **state)
{
	struct two *t = *state;

	bus_fini(&t->near);
	bus_fini(&t->far);
	free(t);
	return 0;
}

static bool expect_service(struct mr_client *c, struct inbox *in)
{
	unsigned before = in->count;

	assert_int_equal(mr_publish(c, "a", "x", 1), 0);
	PROCESS_UNTIL(c, in->count > before);
	return true;
}

/* Frames are sent over UDP alone. */
static bool is_over_udp(struct mr_client *c)
{
	struct mr_client_stats stats;

	assert_int_equal(mr_publish(c, "a", "x", 1), 0);
	assert_int_equal(mr_drain(c, PATIENCE_MS), 0);
	mr_client_stats(c, &stats);
	return stats.frames_sent > 0;
}

static void the_next_address_is_used_if_the_first_has_no_bus(void **state)
{
	struct two *t = *state;
	char list[300];
	struct mr_client *c;

	snprintf(list, sizeof(list), NOWHERE ", %s", t->far.address);
	assert_int_equal(mr_connect(list, NULL, &c), 0);
	assert_true(is_over_udp(c));
	mr_close(c);
	snprintf(list, sizeof(list), "%s,%s", t->far.address, t->near.address);
	bus_kill(&t->far, NULL);
	assert_int_equal(mr_connect(list, NULL, &c), 0);
	mr_close(c);
}

static void if_no_address_has_a_bus_the_text_names_all(void **state)
{
	struct mr_client *c;

	(void)state;
	assert_int_equal(mr_connect(NOWHERE ",shm:/nowhere/else.sock", NULL, &c), -ECONNREFUSED);
	assert_non_null(strstr(mr_error(NULL), "/nonexistent/attach.sock: no bus listens there"));
	assert_non_null(strstr(mr_error(NULL), "/nowhere/else.sock: no bus listens there"));
}

static void a_malformed_address_is_refused_among_good_ones(void **state)
{
	struct two *t = *state;
	struct mr_client *c;
	char list[400];

	snprintf(list, sizeof(list), "%s,udp://a b:c", t->near.address);
	assert_int_equal(mr_connect(list, NULL, &c), -EINVAL);
	assert_int_equal(mr_connect("nothing", NULL, &c), -EINVAL);
	assert_string_equal(mr_error(NULL),
		"address \"nothing\": neither shm:PATH nor udp://HOST:PORT nor a path");
	assert_int_equal(mr_connect("/a,/b,/c,/d,/e,/f,/g,/h,/i", NULL, &c), -EINVAL);
	assert_string_equal(mr_error(NULL), "more than 8 addresses");
}

/* The session moves from shared memory to UDP and back, with all that the client has made. */
static void a_lost_bus_is_replaced_by_the_next(void **state)
{
	struct two *t = *state;
	struct mr_options options = fixture_options(&t->events);
	struct mr_client_stats stats;
	struct inbox in = {0};
	struct mr_publisher *p;
	struct mr_client *c;

	options.connect_timeout_ms = 2000;
	assert_int_equal(mr_connect(t->both, &options, &c), 0);
	assert_int_equal(mr_subscribe(c, "a", NULL, keep_message, &in, NULL), 0);
	assert_int_equal(mr_publisher_open(c, "a", &p), 0);
	expect_service(c, &in);
	for (unsigned round = 1; round <= 2; round++) {
		bus_kill(&t->near, NULL);
		PROCESS_UNTIL(c, t->events.ups == 2 * round - 1);
		expect_service(c, &in);
		assert_int_equal(mr_publisher_send(p, "far", 3), 0);
		PROCESS_UNTIL(c, strcmp(in.last, "far") == 0);
		bus_revive(&t->near);
		bus_kill(&t->far, NULL);
		PROCESS_UNTIL(c, t->events.ups == 2 * round);
		expect_service(c, &in);
		assert_int_equal(mr_publisher_send(p, "near", 4), 0);
		PROCESS_UNTIL(c, strcmp(in.last, "near") == 0);
		bus_revive(&t->far);
	}
	mr_client_stats(c, &stats);
	assert_int_equal(stats.reconnects, 4);
	assert_true(stats.frames_sent > 0);
	mr_close(c);
}

static void an_event_loop_fails_over_by_the_descriptor_alone(void **state)
{
	struct two *t = *state;
	struct mr_options options = fixture_options(&t->events);
	uint64_t give_up = now_ms() + PATIENCE_MS;
	struct pollfd p = {.events = POLLIN};
	struct mr_client *c;

	options.connect_timeout_ms = 2000;
	assert_int_equal(mr_connect(t->both, &options, &c), 0);
	p.fd = mr_fd(c);
	bus_kill(&t->near, NULL);
	while (t->events.ups == 0 && now_ms() < give_up) {
		assert_true(poll(&p, 1, PATIENCE_MS) == 1);
		while (mr_process(c, 16) > 0)
			continue;
	}
	assert_int_equal(t->events.ups, 1);
	mr_close(c);
}

static void a_path_is_an_address(void **state)
{
	struct two *t = *state;
	struct mr_client *c;
	char path[300];

	snprintf(path, sizeof(path), "%s", t->near.address + 4);
	assert_int_equal(mr_connect(path, NULL, &c), 0);
	mr_close(c);
	assert_int_equal(mr_connect(t->near.dir, NULL, &c), 0);
	mr_close(c);
	snprintf(path, sizeof(path), "shm:%s/", t->near.dir);
	assert_int_equal(mr_connect(path, NULL, &c), 0);
	mr_close(c);
	snprintf(path, sizeof(path), "/nonexistent,%s", t->near.dir);
	assert_int_equal(mr_connect(path, NULL, &c), 0);
	mr_close(c);
}

static void write_contexts(const struct bus *b, const char *text)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/millrace", b->dir);
	(void)mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/millrace/contexts.yaml", b->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void remove_contexts(const struct bus *b)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/millrace/contexts.yaml", b->dir);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/millrace", b->dir);
	assert_int_equal(rmdir(path), 0);
	unsetenv("XDG_CONFIG_HOME");
}

static void without_an_address_the_current_context_counts(void **state)
{
	struct two *t = *state;
	struct mr_client *c;
	char text[600];

	unsetenv("MILLRACE_SERVER");
	setenv("XDG_CONFIG_HOME", t->near.dir, 1);
	snprintf(text, sizeof(text),
		"# comment\ncurrent: far\ncontexts:\n  near:\n    server: %s\n"
		"  far:\n    credentials:\n      token: abc\n    server: \"%s\"\n",
		t->near.address, t->far.address);
	write_contexts(&t->near, text);
	assert_int_equal(mr_connect(NULL, NULL, &c), 0);
	assert_true(is_over_udp(c));
	mr_close(c);
	/* The environment goes first. */
	setenv("MILLRACE_SERVER", t->near.address, 1);
	assert_int_equal(mr_connect(NULL, NULL, &c), 0);
	assert_false(is_over_udp(c));
	mr_close(c);
	unsetenv("MILLRACE_SERVER");
	remove_contexts(&t->near);
}

static void expect_refusal(const struct bus *b, const char *contexts, const char *why)
{
	struct mr_client *c;

	write_contexts(b, contexts);
	assert_int_equal(mr_connect(NULL, NULL, &c), -EINVAL);
	if (strstr(mr_error(NULL), why) == NULL)
		fail_msg("'%s' does not say '%s'", mr_error(NULL), why);
}

static void malformed_contexts_are_refused_with_their_line(void **state)
{
	struct two *t = *state;

	unsetenv("MILLRACE_SERVER");
	setenv("XDG_CONFIG_HOME", t->near.dir, 1);
	expect_refusal(&t->near, "current: lab\n", "context lab: not in ");
	expect_refusal(&t->near, "current: lab\ncontexts:\n  lab:\n", "context lab: has no server");
	expect_refusal(&t->near, "contexts\n", "contexts.yaml:1: expected KEY: VALUE");
	expect_refusal(&t->near, "contexts:\n  a b:\n", ":2: expected the name of a context");
	expect_refusal(
		&t->near, "contexts:\n  a:\n   server: x\n", ":3: expected an indent of two");
	expect_refusal(&t->near, "contexts:\n  a:\n    server: \"x\n", ":3: the value is too long");
	expect_refusal(&t->near, "contexts:\n  a:\n  a:\n", ":3: the context is there already");
	expect_refusal(&t->near, "other: 1\n", ":1: expected current or contexts");
	remove_contexts(&t->near);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_next_address_is_used_if_the_first_has_no_bus, setup_two, teardown_two),
		cmocka_unit_test(if_no_address_has_a_bus_the_text_names_all),
		cmocka_unit_test_setup_teardown(
			a_malformed_address_is_refused_among_good_ones, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(
			a_lost_bus_is_replaced_by_the_next, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(
			an_event_loop_fails_over_by_the_descriptor_alone, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(a_path_is_an_address, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(
			without_an_address_the_current_context_counts, setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(
			malformed_contexts_are_refused_with_their_line, setup_two, teardown_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
