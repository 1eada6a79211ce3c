/* SPDX-License-Identifier: Apache-2.0 */
/* The hook for events of the library. */
#include "tests/unit/client/fixture.h"

struct lines {
	unsigned count[MR_EVENT_LOST + 1];
	enum mr_severity severity;
	char last[400];
};

static void keep_line(struct mr_client *c, enum mr_severity severity, enum mr_event event,
	const char *text, void *arg)
{
	struct lines *l = arg;

	assert_int_equal(mr_process(c, 1), -EDEADLK);
	for (const char *at = text; *at != '\0'; at++)
		assert_true((unsigned char)*at >= ' ');
	l->count[event]++;
	l->severity = severity;
	snprintf(l->last, sizeof(l->last), "%s", text);
}

static void reconnection_is_reported(void **state)
{
	struct fixture *f = *state;
	struct lines l = {0};

	mr_log_hook(f->client, MR_SEVERITY_INFO, keep_line, &l);
	bus_kill(&f->bus, "stopped\nby hand");
	PROCESS_UNTIL(f->client, l.count[MR_EVENT_DISCONNECTED] == 1);
	assert_string_equal(l.last, "disconnected: stopped?by hand");
	assert_int_equal(l.severity, MR_SEVERITY_ERROR);
	PROCESS_UNTIL(f->client, l.count[MR_EVENT_RETRY] > 0);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(l.count[MR_EVENT_CONNECTED], 1);
	assert_non_null(strstr(l.last, "connected again"));
}

static void severity_limits_what_is_reported(void **state)
{
	struct fixture *f = *state;
	struct lines l = {0};

	mr_log_hook(f->client, MR_SEVERITY_ERROR, keep_line, &l);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(l.count[MR_EVENT_DISCONNECTED], 1);
	assert_int_equal(l.count[MR_EVENT_RETRY] + l.count[MR_EVENT_CONNECTED], 0);
}

static void refused_request_is_reported(void **state)
{
	struct fixture *f = *state;
	struct lines l = {0};

	mr_log_hook(f->client, MR_SEVERITY_WARNING, keep_line, &l);
	bus_lock(&f->bus);
	f->bus.refuse_control = -EACCES;
	bus_unlock(&f->bus);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL), -EACCES);
	assert_int_equal(l.count[MR_EVENT_REFUSED], 1);
	assert_non_null(strstr(l.last, "the bus refuses"));
	/* Without a hook nothing is reported. */
	mr_log_hook(f->client, MR_SEVERITY_INFO, NULL, NULL);
	assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL), -EACCES);
	assert_int_equal(l.count[MR_EVENT_REFUSED], 1);
}

static void events_of_a_kind_are_limited(void **state)
{
	struct fixture *f = *state;
	struct lines l = {0};
	uint64_t start_ms;

	mr_log_hook(f->client, MR_SEVERITY_WARNING, keep_line, &l);
	bus_lock(&f->bus);
	f->bus.refuse_control = -EACCES;
	bus_unlock(&f->bus);
	start_ms = now_ms();
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL), -EACCES);
	assert_in_range(l.count[MR_EVENT_REFUSED], 5, 5 + 5 * (now_ms() - start_ms) / 1000);
	/* The first line of the next second tells how many were left out. */
	while (strstr(l.last, "more were left out") == NULL) {
		assert_true(now_ms() < start_ms + PATIENCE_MS);
		mr_wait(f->client, 50);
		(void)mr_subscribe(f->client, "a", NULL, NULL, NULL, NULL);
	}
}

static void discarded_messages_are_reported_with_their_number(void **state)
{
	static const uint8_t junk[8];
	struct fixture *f = *state;
	struct lines l = {0};

	mr_log_hook(f->client, MR_SEVERITY_WARNING, keep_line, &l);
	bus_lock(&f->bus);
	for (unsigned i = 0; i < 3; i++)
		bus_send(&f->bus, MRF_MESSAGE_KIND_DELIVER, 77, NULL, "a", junk, sizeof(junk));
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, l.count[MR_EVENT_MALFORMED] > 0);
	assert_non_null(strstr(l.last, "malformed messages from the bus dropped"));
	assert_int_equal(l.severity, MR_SEVERITY_WARNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reconnection_is_reported),
		TEST(severity_limits_what_is_reported),
		TEST(refused_request_is_reported),
		TEST(events_of_a_kind_are_limited),
		TEST(discarded_messages_are_reported_with_their_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
