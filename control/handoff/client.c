/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of clients: checks them, and forwards them to the data plane. */
#include "control/handoff/request.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/log.h"

void mr_request_result(const struct mr_request *q, int code, const char *text)
{
	struct mrf_result r = {.code = code, .text = mrf_str(text)};
	struct mrf_builder b;
	uint64_t memory[96];

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_handoff_answer(q->handoff, q->session, q->correlation, &b, MRF_CLIENT_BODY_RESULT,
		mrf_result_write(&b, &r));
}

static void answer_alias(const struct mr_request *q, uint32_t alias)
{
	struct mrf_alias_response r = {.alias = alias};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_handoff_answer(q->handoff, q->session, q->correlation, &b,
		MRF_CLIENT_BODY_ALIAS_RESPONSE, mrf_alias_response_write(&b, &r));
}

/* Tells the client the group, and sends the same into the group: the client hears whether the
 * network brings it the group's frames. */
static void answer_multicast(const struct mr_request *q, struct mrf_table t)
{
	struct mrf_multicast_response r = {
		.channel = mrf_link_multicast_channel(t),
		.group_0 = mrf_link_multicast_group_0(t),
		.group_1 = mrf_link_multicast_group_1(t),
		.udp_port = mrf_link_multicast_udp_port(t),
		.frame_bytes = mrf_link_multicast_frame_bytes(t),
	};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_handoff_answer(q->handoff, q->session, q->correlation, &b,
		MRF_CLIENT_BODY_MULTICAST_RESPONSE, mrf_multicast_response_write(&b, &r));
	if (!mrf_link_multicast_probe(t))
		return;
	mrf_builder_init(&b, memory, sizeof(memory));
	mr_handoff_probe(q->handoff, r.channel, &b, mrf_multicast_response_write(&b, &r));
}

/* Forwards the data plane's answer to the client. */
static bool answered(const struct mr_link_asker *a, const struct mr_link_answer *answer)
{
	const struct mr_request q = {a->owner, a->session, a->peer, a->correlation};
	struct mrf_table result = mrf_link_message_body_as_link_result(answer->message);
	struct mrf_table alias = mrf_link_message_body_as_link_alias_acquired(answer->message);
	struct mrf_table group = mrf_link_message_body_as_link_multicast(answer->message);

	/* The link was lost, so the client's session is closed too: nobody is left to answer. */
	if (mrf_table_is_empty(answer->message))
		return false;
	if (!mrf_table_is_empty(alias)) {
		answer_alias(&q, mrf_link_alias_acquired_alias(alias));
	} else if (!mrf_table_is_empty(group)) {
		answer_multicast(&q, group);
	} else if (!mrf_table_is_empty(result)) {
		/* Texts of the data plane are short; a longer one is truncated. */
		char text[256];

		snprintf(text, sizeof(text), "%s", mrf_link_result_text(result).data);
		mr_request_result(&q, mrf_link_result_code(result), text);
	}
	return false;
}

/* Sends the question to the data plane. If control cannot pass it on now (-EBUSY, -ENOTCONN), it
 * drops it, as the client repeats its request. Other errors go to the client. */
static void ask(
	const struct mr_request *q, struct mrf_builder *b, enum mrf_link_body type, uint32_t body)
{
	const struct mr_link_asker asker = {
		answered, q->handoff, q->session, q->peer, q->correlation};
	int error = mr_link_ask(q->handoff->link, b, type, body, &asker, NULL);

	if (error != 0 && error != -EBUSY && error != -ENOTCONN)
		mr_request_result(q, error, mr_log_errno_text(error));
}

bool mr_request_invalid(const struct mr_request *q, int code, const char *what, const char *why)
{
	char text[160];

	snprintf(text, sizeof(text), "%s: %s", what, why);
	q->handoff->counters->handoff_invalid++;
	mr_request_result(q, code, text);
	return true;
}

bool mr_request_fault(const struct mr_request *q, const char *what, enum mr_subject_fault fault)
{
	return fault != MR_SUBJECT_OK &&
	       mr_request_invalid(q, -EINVAL, what, mr_subject_fault_text(fault));
}

static void subscribe(const struct mr_request *q, struct mrf_table t)
{
	struct mrf_string pattern = mrf_subscribe_request_pattern(t);
	struct mrf_string group = mrf_subscribe_request_group(t);
	bool prefix = mrf_subscribe_request_kind(t) == MRF_SUBSCRIPTION_KIND_PREFIX;
	struct mrf_link_subscribe v = {
		.session = q->session,
		.subscription = mrf_subscribe_request_subscription(t),
		.kind = mrf_subscribe_request_kind(t),
		.pattern = pattern,
		.group = group,
		.when_full = mrf_subscribe_request_when_full(t),
		.high_water = mrf_subscribe_request_high_water(t),
		.time = mrf_subscribe_request_time(t),
		.sender = mrf_subscribe_request_sender(t),
		.multicast = mrf_subscribe_request_multicast(t) &&
			     mrf_subscribe_request_when_full(t) == MRF_WHEN_FULL_DROP &&
			     group.bytes == 0,
	};
	struct mrf_builder b;
	uint64_t memory[128];

	if (v.subscription == 0) {
		(void)mr_request_invalid(q, -EINVAL, "subscription", "its number is 0");
		return;
	}
	if (v.kind != MRF_SUBSCRIPTION_KIND_PREFIX && v.kind != MRF_SUBSCRIPTION_KIND_PATTERN) {
		(void)mr_request_invalid(
			q, -EINVAL, "subscription", "this bus does not know its kind");
		return;
	}
	if (v.when_full != MRF_WHEN_FULL_DROP && v.when_full != MRF_WHEN_FULL_BLOCK) {
		(void)mr_request_invalid(q, -EINVAL, "subscription",
			"this bus does not know its choice for a full receiver");
		return;
	}
	if (v.high_water > 100) {
		(void)mr_request_invalid(
			q, -EINVAL, "subscription", "its high-water mark is above 100 percent");
		return;
	}
	if (mr_request_fault(q, prefix ? "prefix" : "pattern",
		    prefix ? mr_prefix_parse(pattern.data, pattern.bytes)
			   : mr_pattern_parse(pattern.data, pattern.bytes)) ||
		(mrf_subscribe_request_has_group(t) &&
			mr_request_fault(q, "group", mr_group_parse(group.data, group.bytes))))
		return;
	mrf_builder_init(&b, memory, sizeof(memory));
	ask(q, &b, MRF_LINK_BODY_LINK_SUBSCRIBE, mrf_link_subscribe_write(&b, &v));
}

static void unsubscribe(const struct mr_request *q, struct mrf_table t)
{
	struct mrf_link_unsubscribe v = {
		.session = q->session,
		.subscription = mrf_unsubscribe_request_subscription(t),
	};
	struct mrf_builder b;
	uint64_t memory[64];

	if (mrf_unsubscribe_request_queue(t) != 0) {
		mr_request_queue_cancel(q, t);
		return;
	}
	mrf_builder_init(&b, memory, sizeof(memory));
	ask(q, &b, MRF_LINK_BODY_LINK_UNSUBSCRIBE, mrf_link_unsubscribe_write(&b, &v));
}

static void alias_acquire(const struct mr_request *q, struct mrf_table t)
{
	struct mrf_string subject = mrf_alias_request_subject(t);
	struct mrf_link_alias_acquire v = {.session = q->session, .subject = subject};
	struct mrf_builder b;
	uint64_t memory[128];

	if (mr_request_fault(q, "subject", mr_subject_parse(subject.data, subject.bytes)))
		return;
	mrf_builder_init(&b, memory, sizeof(memory));
	ask(q, &b, MRF_LINK_BODY_LINK_ALIAS_ACQUIRE, mrf_link_alias_acquire_write(&b, &v));
}

static void alias_release(const struct mr_request *q, struct mrf_table t)
{
	struct mrf_link_alias_release v = {
		.session = q->session,
		.alias = mrf_alias_release_alias(t),
	};
	struct mrf_builder b;
	uint64_t memory[64];

	mrf_builder_init(&b, memory, sizeof(memory));
	ask(q, &b, MRF_LINK_BODY_LINK_ALIAS_RELEASE, mrf_link_alias_release_write(&b, &v));
}

static void ping(const struct mr_request *q, struct mrf_table t)
{
	struct mrf_pong v = {
		.sent_ns = mrf_ping_sent_ns(t),
		.handled_ns = mr_loop_now_ns(),
	};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	q->handoff->counters->handoff_pings++;
	mr_handoff_answer(q->handoff, q->session, q->correlation, &b, MRF_CLIENT_BODY_PONG,
		mrf_pong_write(&b, &v));
}

void mr_handoff_client(
	struct mr_handoff *h, uint64_t session, uint64_t peer, const struct mr_message_view *m)
{
	const struct mr_request q = {h, session, peer, m->header.target};
	struct mrf_table message, body;

	if (mrf_client_message_parse(m->payload, m->payload_bytes, &message) != 0) {
		h->counters->handoff_malformed++;
		if (q.correlation != 0)
			mr_request_result(&q, -EBADMSG, "not a request that this bus understands");
		return;
	}
	body = mrf_client_message_body(message);
	switch (mrf_client_message_body_type(message)) {
	case MRF_CLIENT_BODY_SUBSCRIBE_REQUEST: subscribe(&q, body); break;
	case MRF_CLIENT_BODY_UNSUBSCRIBE_REQUEST: unsubscribe(&q, body); break;
	case MRF_CLIENT_BODY_ALIAS_REQUEST: alias_acquire(&q, body); break;
	case MRF_CLIENT_BODY_ALIAS_RELEASE: alias_release(&q, body); break;
	case MRF_CLIENT_BODY_PING: ping(&q, body); break;
	case MRF_CLIENT_BODY_QUEUE_REQUEST: mr_request_queue_open(&q, body); break;
	case MRF_CLIENT_BODY_CONSUME_REQUEST: mr_request_queue_consume(&q, body); break;
	case MRF_CLIENT_BODY_CANCEL_REQUEST: mr_request_queue_withdraw(&q, body); break;
	case MRF_CLIENT_BODY_MMI_REQUEST: mr_request_mmi(&q, body); break;
	default:
		h->counters->handoff_malformed++;
		if (q.correlation != 0)
			mr_request_result(&q, -ENOSYS, "this bus does not know the request");
	}
}
