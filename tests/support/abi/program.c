/* SPDX-License-Identifier: Apache-2.0 */
/* program: one small program for every header of libmillrace: it is compiled with that of release
 * 0.1.0, with the present one, and with one that has an unknown field at the end of each struct of
 * options. All run with the present library.
 *
 *   abi_* [ADDRESS]   does one of each: publish, receive, push, pull, call; prints "all done"
 *
 * With MILLRACE_UNKNOWN set, the one with unknown fields sets one of them: -E2BIG is expected. */
#include <errno.h>
#include <millrace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, mr_error(c));   \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define WAIT_MS 30000

static struct mr_client *c;
static unsigned replied;

static int is(const struct mr_message *m, const char *text)
{
	return m->payload_bytes == strlen(text) && memcmp(m->payload, text, strlen(text)) == 0;
}

static void on_message(struct mr_client *client, const struct mr_message *m, void *arg)
{
	(void)arg;
	CHECK(client == c && is(m, "ask") && m->wants_reply);
	CHECK(mr_reply(c, m->reply_token, "answer", 6) == 0);
	replied++;
}

static void on_work(struct mr_client *client, const struct mr_work *work, void *arg)
{
	struct mr_service **service = arg;

	CHECK(client == c && is(&work->delivery.message, "work") && !work->more);
	CHECK(mr_respond(*service, work->delivery.tag, "done", 4) == 0);
}

static void subjects(void)
{
	struct mr_subscribe_options options = {.prefix = true};
	struct mr_publisher_options promised = {.promise = MR_AT_LEAST_ONCE};
	struct mr_subscription *s;
	struct mr_publisher *p;
	struct mr_message m;

	CHECK(mr_subscribe(c, "abi.", &options, NULL, NULL, &s) == 0);
	CHECK(mr_publish(c, "abi.one", "hello", 5) == 0);
	CHECK(mr_receive(c, &m, WAIT_MS) == 0 && is(&m, "hello") && m.subscription == s);
	CHECK(mr_publisher_open_with(c, "abi.two", &promised, &p) == 0);
	CHECK(mr_publisher_send(p, "again", 5) == 0);
	CHECK(mr_receive(c, &m, WAIT_MS) == 0 && is(&m, "again") && !m.wants_reply);
	CHECK(mr_settle(c, WAIT_MS) == 0);
	CHECK(mr_unsubscribe(s) == 0);
	CHECK(mr_subscribe(c, "ask", NULL, on_message, NULL, NULL) == 0);
	CHECK(mr_request(c, "ask", "ask", 3, WAIT_MS, &m) == 0 && is(&m, "answer"));
	CHECK(replied == 1);
}

static void queues(void)
{
	struct mr_push_options options = {
		.promise = MR_EXACTLY_ONCE, .queue = {.messages_max = 100}};
	struct mr_consume_options how = {.prefetch = 4, .queue = {.messages_max = 100}};
	struct mr_push push = {.payload = "job", .bytes = 3, .priority = MR_PRIORITY_HIGH, .id = 7};
	struct mr_consumer *k;
	struct mr_delivery d;
	struct mr_queue *q;
	uint64_t id;

	CHECK(mr_queue_open(c, "abi-jobs", &options, &q) == 0);
	CHECK(mr_push_with(q, &push, &id) == 0 && id == 7);
	CHECK(mr_settle(c, WAIT_MS) == 0);
	CHECK(mr_consume(c, "abi-jobs", &how, NULL, NULL, &k) == 0);
	CHECK(mr_pull(k, &d, WAIT_MS) == 0 && is(&d.message, "job"));
	CHECK(d.id == 7 && d.priority == MR_PRIORITY_HIGH && d.consumer == k);
	CHECK(mr_consumer_close(k) == 0);
	mr_queue_close(q);
}

static void services(void)
{
	struct mr_serve_options how = {.prefetch = 2, .window = 8};
	struct mr_call_options options = {.timeout_ms = WAIT_MS, .breaker_reset_ms = 1};
	struct mr_service *s;
	struct mr_message m;

	CHECK(mr_serve(c, "abi-work", &how, on_work, &s, &s) == 0);
	CHECK(mr_call(c, "abi-work", "work", 4, &options, &m) == 0 && is(&m, "done"));
	CHECK(mr_service_close(s) == 0);
}

int main(int count, char **arguments)
{
	struct mr_options options = {
		.name = "abi", .request_timeout_ms = WAIT_MS, .away_bytes_max = 4096};
	struct mr_client_stats stats;

#ifdef UNKNOWN_FIELDS
	options.unknown = getenv("MILLRACE_UNKNOWN") != NULL;
#endif
	if (mr_connect(count > 1 ? arguments[1] : NULL, &options, &c) != 0) {
		fprintf(stderr, "%s\n", mr_error(NULL));
		return 1;
	}
	subjects();
	queues();
	services();
	memset(&stats, 0xff, sizeof(stats));
	mr_client_stats(c, &stats);
	CHECK(stats.published >= 5 && stats.received >= 5 && stats.kept == 0);
#ifdef UNKNOWN_FIELDS
	/* The library writes zeros where it knows nothing. */
	CHECK(stats.unknown == 0);
#endif
	mr_close(c);
	puts("all done");
	return 0;
}
