/* SPDX-License-Identifier: Apache-2.0 */
/* Services: workers, replies, heartbeats, giving up, malformed requests. */
#include "tests/unit/client/fixture.h"

#define HANDS 16

/* The requests that a worker has, and its behaviour. */
struct worker {
	struct mr_service *service;
	unsigned count;
	uint64_t tags[HANDS];
	unsigned redelivered;
	bool hold;  /* keeps requests unanswered */
	int giving; /* 0: answers; 1: gives up; 2: gives up for another */
	int error;  /* result of the last answer */
	bool close;
};

static void on_work(struct mr_client *c, const struct mr_work *work, void *arg)
{
	struct worker *w = arg;
	const struct mr_delivery *d = &work->delivery;

	(void)c;
	w->tags[w->count++ % HANDS] = d->tag;
	w->redelivered = d->redelivered;
	if (w->close) {
		assert_int_equal(mr_service_close(w->service), 0);
		w->service = NULL;
	} else if (w->giving > 0) {
		w->error = mr_respond_failed(w->service, d->tag, w->giving == 2);
		w->giving = 0;
	} else if (!w->hold) {
		w->error = mr_respond(
			w->service, d->tag, d->message.payload, d->message.payload_bytes);
	}
}

struct outcome {
	unsigned calls;
	unsigned partial;
	int error;
	char last[64];
};

static void note(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg)
{
	struct outcome *o = arg;

	(void)c, (void)correlation;
	o->calls += !more;
	o->partial += more;
	o->error = error;
	if (reply != NULL)
		snprintf(o->last, sizeof(o->last), "%.*s", (int)reply->payload_bytes,
			(const char *)reply->payload);
}

static void serve(struct fixture *f, struct worker *w, unsigned prefetch)
{
	struct mr_serve_options o = {.prefetch = prefetch};

	assert_int_equal(mr_serve(f->client, "svc", &o, on_work, w, &w->service), 0);
}

static void call(struct fixture *f, const char *text, struct outcome *out)
{
	assert_int_equal(mr_call_async(f->client, "svc", text, strlen(text), NULL, note, out), 0);
}

static unsigned bad_tags(struct fixture *f)
{
	unsigned count;

	bus_lock(&f->bus);
	count = f->bus.services.bad_tags;
	bus_unlock(&f->bus);
	return count;
}

static void requests_are_answered_in_any_order(void **state)
{
	struct fixture *f = *state;
	struct worker w = {.hold = true};
	struct outcome out[3] = {0};

	serve(f, &w, 3);
	call(f, "a", &out[0]);
	call(f, "b", &out[1]);
	call(f, "c", &out[2]);
	PROCESS_UNTIL(f->client, w.count == 3);
	assert_int_equal(mr_respond(w.service, w.tags[2], "C", 1), 0);
	assert_int_equal(mr_respond(w.service, w.tags[0], "A", 1), 0);
	assert_int_equal(mr_respond(w.service, w.tags[1], "B", 1), 0);
	PROCESS_UNTIL(f->client, out[0].calls + out[1].calls + out[2].calls == 3);
	assert_string_equal(out[0].last, "A");
	assert_string_equal(out[1].last, "B");
	assert_string_equal(out[2].last, "C");
}

static void a_request_is_answered_once(void **state)
{
	struct fixture *f = *state;
	struct worker w = {0};
	struct outcome out = {0};

	serve(f, &w, 1);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_int_equal(mr_respond(w.service, w.tags[0], "again", 5), -ENOENT);
	assert_int_equal(mr_respond_failed(w.service, w.tags[0], true), -ENOENT);
	assert_int_equal(mr_respond(w.service, 0, "x", 1), -ENOENT);
	assert_int_equal(mr_respond(w.service, UINT64_MAX, "x", 1), -ENOENT);
	assert_int_equal(mr_respond_room(w.service, w.tags[0]), 0);
	/* Nothing is sent to the bus. */
	assert_int_equal(bad_tags(f), 0);
}

static void old_tags_do_not_name_new_requests(void **state)
{
	struct fixture *f = *state;
	struct worker w = {0};
	struct outcome out = {0};

	serve(f, &w, 1);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, out.calls == 1);
	w.hold = true;
	call(f, "b", &out);
	PROCESS_UNTIL(f->client, w.count == 2);
	assert_int_equal(mr_respond(w.service, w.tags[0], "wrong", 5), -ENOENT);
	assert_int_equal(mr_respond(w.service, w.tags[1], "right", 5), 0);
	PROCESS_UNTIL(f->client, out.calls == 2);
	assert_string_equal(out.last, "right");
}

static void many_unanswered_requests_are_all_found(void **state)
{
	enum { MANY = 200 };
	struct mr_serve_options o = {.prefetch = MANY};
	static struct outcome out[MANY];
	struct fixture *f = *state;
	struct worker w = {0};
	unsigned done;

	memset(out, 0, sizeof(out));
	assert_int_equal(mr_serve(f->client, "svc", &o, on_work, &w, &w.service), 0);
	for (unsigned i = 0; i < MANY; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", i);
		call(f, text, &out[i]);
	}
	PROCESS_UNTIL(f->client, ({
		done = 0;
		for (unsigned i = 0; i < MANY; i++)
			done += out[i].calls;
		done == MANY;
	}));
	assert_int_equal(w.count, MANY);
	assert_int_equal(bad_tags(f), 0);
}

static void request_that_is_given_up_fails_at_the_caller(void **state)
{
	struct fixture *f = *state;
	struct worker w = {.giving = 1};
	struct outcome out = {0};

	serve(f, &w, 1);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_int_equal(out.error, -EREMOTEIO);
	assert_int_equal(w.error, 0);
}

static void request_given_up_for_another_is_redelivered(void **state)
{
	struct fixture *f = *state;
	struct worker w = {.giving = 2};
	struct outcome out = {0};

	serve(f, &w, 1);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_int_equal(out.error, 0);
	assert_string_equal(out.last, "a");
	assert_int_equal(w.count, 2);
	assert_int_equal(w.redelivered, 1);
}

static void partial_replies_come_in_order_before_the_final_one(void **state)
{
	struct fixture *f = *state;
	struct worker w = {.hold = true};
	struct outcome out = {0};
	struct mr_message reply;

	serve(f, &w, 1);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, w.count == 1);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(
			mr_respond_with(w.service, w.tags[0], true, NULL, 0, "part", 4), 0);
	PROCESS_UNTIL(f->client, out.partial == 5);
	assert_string_equal(out.last, "part");
	assert_int_equal(mr_respond(w.service, w.tags[0], "end", 3), 0);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_string_equal(out.last, "end");
	/* A call that waits skips them. */
	w.hold = false;
	assert_int_equal(mr_call(f->client, "svc", "b", 1, NULL, &reply), 0);
	assert_memory_equal(reply.payload, "b", 1);
}

static void partial_replies_wait_for_the_callers_credit(void **state)
{
	struct fixture *f = *state;
	struct worker w = {.hold = true};
	struct outcome out = {0};
	unsigned sent = 0;

	serve(f, &w, 1);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, w.count == 1);
	assert_int_equal(mr_respond_room(w.service, w.tags[0]), 64);
	while (mr_respond_with(w.service, w.tags[0], true, NULL, 0, "p", 1) == 0)
		sent++;
	assert_int_equal(sent, 64);
	assert_int_equal(mr_respond_room(w.service, w.tags[0]), 0);
	/* The caller takes them, and grants more. */
	PROCESS_UNTIL(f->client, out.partial == 64);
	PROCESS_UNTIL(f->client, mr_respond_room(w.service, w.tags[0]) == 64);
	for (; sent < 1000; sent++) {
		PROCESS_UNTIL(f->client, mr_respond_room(w.service, w.tags[0]) > 0);
		assert_int_equal(mr_respond_with(w.service, w.tags[0], true, NULL, 0, "p", 1), 0);
	}
	assert_int_equal(mr_respond(w.service, w.tags[0], "end", 3), 0);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_int_equal(out.partial, 1000);
}

static void second_ready_for_a_service_is_refused(void **state)
{
	struct fixture *f = *state;
	struct worker w = {0}, second = {0};

	serve(f, &w, 1);
	assert_int_equal(
		mr_serve(f->client, "svc", NULL, on_work, &second, &second.service), -EEXIST);
	assert_null(second.service);
	assert_int_equal(
		mr_serve(f->client, "mmi.service", NULL, on_work, &w, &second.service), -EACCES);
	assert_int_equal(mr_serve(f->client, "a b", NULL, on_work, &w, &second.service), -EINVAL);
	assert_int_equal(mr_serve(f->client, "svc2", NULL, NULL, &w, &second.service), -EINVAL);
}

static void closing_gives_its_deliveries_to_others(void **state)
{
	struct mr_options options = {.name = "second"};
	struct fixture *f = *state;
	struct worker w = {.hold = true}, other = {0};
	struct outcome out = {0};
	struct mr_client *second;

	serve(f, &w, 1);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, w.count == 1);
	assert_int_equal(mr_connect(f->bus.address, &options, &second), 0);
	assert_int_equal(mr_serve(second, "svc", NULL, on_work, &other, &other.service), 0);
	assert_int_equal(mr_service_close(w.service), 0);
	PROCESS_UNTIL(second, other.count == 1);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_int_equal(out.error, 0);
	assert_int_equal(other.redelivered, 1);
	mr_close(second);
}

static void a_service_may_be_closed_from_its_callback(void **state)
{
	struct fixture *f = *state;
	struct worker w = {.close = true}, next = {0};
	struct outcome out = {0};

	serve(f, &w, 1);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, w.count == 1);
	assert_null(w.service);
	serve(f, &next, 1);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_int_equal(next.count, 1);
}

static void after_a_disconnect_it_serves_again(void **state)
{
	struct fixture *f = *state;
	struct worker w = {.hold = true};
	struct outcome out = {0};
	unsigned workers;

	serve(f, &w, 1);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, w.count == 1);
	bus_lock(&f->bus);
	fake_service_disconnect(&f->bus, "svc");
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, w.count == 2);
	bus_lock(&f->bus);
	workers = fake_service_workers(&f->bus, "svc");
	bus_unlock(&f->bus);
	assert_int_equal(workers, 1);
	/* Delivered anew: the first delivery is no longer valid. */
	assert_int_equal(mr_respond(w.service, w.tags[0], "old", 3), -ENOENT);
	assert_int_equal(mr_respond(w.service, w.tags[1], "new", 3), 0);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_string_equal(out.last, "new");
}

static void after_a_reconnection_it_serves_again(void **state)
{
	struct fixture *f = *state;
	struct worker w = {.hold = true};
	struct outcome out = {0};

	serve(f, &w, 2);
	call(f, "a", &out);
	PROCESS_UNTIL(f->client, w.count == 1);
	bus_kill(&f->bus, NULL);
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_int_equal(mr_respond(w.service, w.tags[0], "x", 1), -ENOTCONN);
	bus_lock(&f->bus);
	fake_service_forget(&f->bus, "svc");
	fake_services_fini(&f->bus.services);
	bus_unlock(&f->bus);
	bus_revive(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
	assert_int_equal(mr_respond(w.service, w.tags[0], "x", 1), -ENOENT);
	w.hold = false;
	out = (struct outcome){0};
	call(f, "b", &out);
	PROCESS_UNTIL(f->client, out.calls == 1);
	assert_string_equal(out.last, "b");
}

static unsigned heartbeats_seen(struct fixture *f)
{
	unsigned beats;

	bus_lock(&f->bus);
	beats = f->bus.services.beats;
	bus_unlock(&f->bus);
	return beats;
}

/* Over UDP the session has heartbeats of its own. */
#ifndef FIXTURE_UDP

static void worker_of_a_service_sends_heartbeats(void **state)
{
	struct fixture *f = *state;
	struct worker w = {0};

	/* The bus may be silent for three of them. */
	bus_lock(&f->bus);
	f->bus.services.heartbeat_ms = 500;
	bus_unlock(&f->bus);
	/* A client that only calls sends none. */
	assert_int_equal(mr_call(f->client, "mmi.service", "svc", 3, NULL, NULL), 0);
	mr_wait(f->client, 600);
	assert_int_equal(heartbeats_seen(f), 0);
	serve(f, &w, 1);
	PROCESS_UNTIL(f->client, heartbeats_seen(f) >= 4);
	assert_int_equal(f->downs, 0);
	assert_int_equal(mr_service_close(w.service), 0);
}

static void a_bus_without_heartbeats_is_left(void **state)
{
	struct fixture *f = *state;
	uint64_t give_up_ms = now_ms() + PATIENCE_MS;
	struct worker w = {0};

	bus_lock(&f->bus);
	f->bus.services.heartbeat_ms = 20;
	f->bus.services.deaf = true;
	bus_unlock(&f->bus);
	serve(f, &w, 1);
	PROCESS_UNTIL(f->client, f->downs == 1);
	assert_non_null(strstr(f->why, "heartbeats"));
	/* The client asks no more, and the bus reads what stands in its ring. */
	while (heartbeats_seen(f) < 3)
		assert_true(now_ms() < give_up_ms);
	bus_lock(&f->bus);
	f->bus.services.deaf = false;
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, f->ups == 1);
}

#endif

static void a_program_that_was_busy_does_not_blame_the_bus(void **state)
{
	struct fixture *f = *state;
	uint64_t until, give_up_ms = now_ms() + PATIENCE_MS;
	struct worker w = {0};
#ifdef FIXTURE_UDP
	const bool over_udp = true;
#else
	const bool over_udp = false;
#endif

	bus_lock(&f->bus);
	f->bus.services.heartbeat_ms = 5;
	bus_unlock(&f->bus);
	serve(f, &w, 1);
	for (unsigned i = 0; i < 5; i++) {
		/* Busy for far longer than the bus may be silent, which has answered. */
		for (until = now_ms() + 40; now_ms() < until;)
			continue;
		while (!over_udp && heartbeats_seen(f) < i && now_ms() < give_up_ms)
			continue;
		mr_process(f->client, 100);
	}
	assert_int_equal(f->downs, 0);
}

static void hostile_deliveries_are_counted(void **state)
{
	struct fixture *f = *state;
	struct worker w = {.hold = true};
	struct mr_message_extra extra = {.flags = MRF_MESSAGE_FLAG_DELIVERY};
	struct mrf_reply_token token = {0};
	struct mr_client_stats before, after;
	struct mr_message_plan plan;

	serve(f, &w, 1);
	mr_client_stats(f->client, &before);
	bus_lock(&f->bus);
	/* Parts and credits for other calls, of no service, without a tag, truncated. */
	for (uint32_t target = 0; target < 5; target++) {
		extra.delivery.tag = target;
		plan = mr_message_plan(MRF_MESSAGE_KIND_PART, &token, "", 0, "x", 0, 1);
		mr_message_plan_extra(&plan, &extra);
		bus_send_plan(&f->bus.sessions[0], &plan, target);
		plan = mr_message_plan(MRF_MESSAGE_KIND_CREDIT, &token, "", 0, "x", 0, 1);
		mr_message_plan_extra(&plan, &extra);
		bus_send_plan(&f->bus.sessions[0], &plan, target);
		plan = mr_message_plan(MRF_MESSAGE_KIND_PART, NULL, "", 0, "x", 0, 1);
		bus_send_plan(&f->bus.sessions[0], &plan, target);
	}
	/* A delivery of a service that does not exist. */
	plan = mr_message_plan(MRF_MESSAGE_KIND_DELIVER, NULL, "", 0, "x", 0, 1);
	bus_send_plan(&f->bus.sessions[0], &plan, 1);
	bus_unlock(&f->bus);
	PROCESS_UNTIL(f->client, ({
		mr_client_stats(f->client, &after);
		after.unmatched - before.unmatched + after.malformed - before.malformed == 16;
	}));
	assert_int_equal(w.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_are_answered_in_any_order),
		TEST(a_request_is_answered_once),
		TEST(old_tags_do_not_name_new_requests),
		TEST(many_unanswered_requests_are_all_found),
		TEST(request_that_is_given_up_fails_at_the_caller),
		TEST(request_given_up_for_another_is_redelivered),
		TEST(partial_replies_come_in_order_before_the_final_one),
		TEST(partial_replies_wait_for_the_callers_credit),
		TEST(second_ready_for_a_service_is_refused),
		TEST(closing_gives_its_deliveries_to_others),
		TEST(a_service_may_be_closed_from_its_callback),
		TEST(after_a_disconnect_it_serves_again),
		TEST(after_a_reconnection_it_serves_again),
#ifndef FIXTURE_UDP
		TEST(worker_of_a_service_sends_heartbeats),
		TEST(a_bus_without_heartbeats_is_left),
#endif
		TEST(a_program_that_was_busy_does_not_blame_the_bus),
		TEST(hostile_deliveries_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
