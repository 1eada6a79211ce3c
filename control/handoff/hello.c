/* SPDX-License-Identifier: Apache-2.0 */
#include "control/handoff/hello.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "control/handoff/handoff.h"
#include "control/session/access.h"
#include "lib/base/log.h"
#include "lib/wire/path.h"

#define PROTOCOL_VERSION 1u
/* odd, without pattern (2^64 divided by the golden ratio) */
#define SPREAD 0x9e3779b97f4a7c15ull

/* A parsed hello. */
struct hello {
	unsigned worker;
	struct mrf_network_path path;
	struct mrf_hello_head head;
	struct mrf_table request;
};

int mr_hello_init(struct mr_hello *h, struct mr_link *link, struct mr_handoff *handoff,
	const struct mr_config *config, struct mr_control_counters *counters)
{
	h->link = link;
	h->handoff = handoff;
	h->config = config;
	h->counters = counters;
	/* Without a random seed others can predict the places. Then they can only delay hellos. */
	(void)!getrandom(&h->seed, sizeof(h->seed), GRND_NONBLOCK);
	for (unsigned i = 0; i < MR_HELLO_QUESTIONS_MAX; i++)
		h->questions[i].hello = h;
	return mr_in_flight_init(&h->in_flight, MR_HELLO_QUESTIONS_MAX, MR_HELLO_QUESTIONS_MAX,
		config->peers.share_percent);
}

void mr_hello_fini(struct mr_hello *h)
{
	mr_in_flight_fini(&h->in_flight);
}

static void refuse(struct mr_hello *h, unsigned worker, const struct mrf_network_path *path,
	uint64_t nonce, int code, const char *text)
{
	struct mrf_refusal v = {.nonce = nonce, .code = code, .text = mrf_str(text)};
	struct mrf_builder b;
	uint64_t memory[96];

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_handoff_refuse(h->handoff, worker, path, &b, mrf_refusal_write(&b, &v));
}

static void welcome(struct mr_hello *h, uint64_t nonce, struct mrf_table opened)
{
	struct mrf_welcome v = {
		.nonce = nonce,
		.session = mrf_link_session_opened_session(opened),
		.secret = mrf_link_session_opened_secret(opened),
		.worker = mrf_link_session_opened_worker(opened),
		.frame_bytes = mrf_link_session_opened_frame_bytes(opened),
		.heartbeat_ms = h->config->sessions.heartbeat_ms,
		.missed_max = h->config->sessions.missed_max,
		.server_version = mrf_str(MR_VERSION),
		.credit = mrf_link_session_opened_credit(opened),
		.message_bytes_max = h->config->messages.bytes_max,
	};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	h->counters->hello_welcomed++;
	mr_handoff_welcome(h->handoff, v.session, &b, mrf_welcome_write(&b, &v));
}

static bool answered(const struct mr_link_asker *a, const struct mr_link_answer *answer)
{
	struct mr_hello_question *q = a->owner;
	struct mr_hello *h = q->hello;
	struct mrf_table opened = mrf_link_message_body_as_link_session_opened(answer->message);
	struct mrf_table result = mrf_link_message_body_as_link_result(answer->message);
	uint64_t nonce = q->nonce;

	mr_in_flight_give(&h->in_flight, a->peer, 0);
	q->nonce = 0;
	if (!mrf_table_is_empty(opened)) {
		welcome(h, nonce, opened);
	} else if (!mrf_table_is_empty(result)) {
		char text[256];

		snprintf(text, sizeof(text), "%s", mrf_link_result_text(result).data);
		h->counters->hello_refused_full++;
		refuse(h, a->correlation, &q->path, nonce, mrf_link_result_code(result), text);
	}
	return false;
}

static bool same_question(const struct mr_hello_question *q, const struct hello *x)
{
	struct mrf_network_path path = x->path;

	/* Routers between the hosts may have changed since. */
	path.peer_mac = q->path.peer_mac;
	return q->nonce == x->head.nonce && memcmp(&q->path, &path, sizeof(path)) == 0;
}

/* Returns a free place for the question. NULL if the same question is open already, or if all
 * places of its set are taken. */
static struct mr_hello_question *place(struct mr_hello *h, const struct hello *x)
{
	uint64_t mix = (x->head.nonce ^ x->path.peer_1 ^ h->seed) * SPREAD;
	struct mr_hello_question *set =
		&h->questions[(mix >> 32) % (MR_HELLO_QUESTIONS_MAX / MR_HELLO_SET) * MR_HELLO_SET];
	struct mr_hello_question *found = NULL;

	for (unsigned i = 0; i < MR_HELLO_SET; i++) {
		if (same_question(&set[i], x))
			return NULL;
		if (set[i].nonce == 0)
			found = &set[i];
	}
	return found;
}

static void ask(struct mr_hello *h, const struct hello *x)
{
	struct mr_hello_question *q = place(h, x);
	struct mrf_link_open_remote v = {
		.worker = x->worker,
		.path = &x->path,
		.nonce = x->head.nonce,
		.frame_bytes = x->head.frame_bytes,
		.name = mrf_hello_request_name(x->request),
	};
	const struct mr_link_asker asker = {
		.answered = answered,
		.owner = q,
		.peer = mr_path_peer(&x->path, h->config->peers.ip6_prefix_bits),
		.correlation = x->worker,
	};
	struct mrf_builder b;
	uint64_t memory[96];

	if (q == NULL || mr_in_flight_take(&h->in_flight, asker.peer, 0) != 0) {
		h->counters->hello_waiting++;
		return;
	}
	mrf_builder_init(&b, memory, sizeof(memory));
	if (mr_link_ask(h->link, &b, MRF_LINK_BODY_LINK_OPEN_REMOTE,
		    mrf_link_open_remote_write(&b, &v), &asker, NULL) != 0) {
		mr_in_flight_give(&h->in_flight, asker.peer, 0);
		return; /* counted by the link */
	}
	q->nonce = x->head.nonce;
	q->path = x->path;
}

/* Returns 0, or the error with which to refuse the client, and its text. */
static int check(struct mr_hello *h, const struct hello *x, const char **text)
{
	struct mrf_string name = mrf_hello_request_name(x->request);

	if (mrf_hello_request_version(x->request) != PROTOCOL_VERSION) {
		*text = "bus " MR_VERSION " speaks version 1 of the protocol";
		return -EPROTO;
	}
	if (!mr_access_name_valid(name.data, name.bytes)) {
		*text = "name: longer than 63 bytes, or with control bytes";
		return -EINVAL;
	}
	if (!mr_access_network(h->config, &h->networks, mr_loop_now_ns(), &x->path)) {
		*text = "hosts of this network may not open sessions (access.networks in the "
			"configuration)";
		return -EACCES;
	}
	return 0;
}

/* Parses a hello. False if it has no nonce, so that it cannot be answered. */
static bool parse(const uint8_t *at, size_t bytes, struct hello *x, int *error)
{
	const uint8_t *message = at + sizeof(x->path);
	struct mrf_message_header header;
	struct mr_message_view m;
	struct mrf_table t;

	if (bytes < sizeof(x->path) + sizeof(header))
		return false;
	memcpy(&x->path, at, sizeof(x->path));
	header = mr_message_header_load(message);
	if (header.kind != MRF_MESSAGE_KIND_HELLO ||
		!mr_message_fits(&header, bytes - sizeof(x->path)) ||
		!mr_message_parse(message, header, &m) || m.payload_bytes < sizeof(x->head))
		return false;
	memcpy(&x->head, m.payload, sizeof(x->head));
	*error = mrf_client_message_parse(
		m.payload + sizeof(x->head), m.payload_bytes - sizeof(x->head), &t);
	if (*error == 0)
		x->request = mrf_client_message_body_as_hello_request(t);
	if (*error == 0 && mrf_table_is_empty(x->request))
		*error = -EBADMSG;
	return x->head.nonce != 0;
}

void mr_hello_take(struct mr_hello *h, unsigned worker, const uint8_t *at, size_t bytes)
{
	struct hello x = {.worker = worker};
	const char *text = "not a hello that this bus understands";
	int error;

	h->counters->hello_received++;
	if (!parse(at, bytes, &x, &error)) {
		h->counters->hello_malformed++;
		return;
	}
	if (error != 0)
		error = -EBADMSG;
	else
		error = check(h, &x, &text);
	if (error == 0) {
		ask(h, &x);
		return;
	}
	h->counters->hello_refused++;
	refuse(h, worker, &x.path, x.head.nonce, error, text);
}
