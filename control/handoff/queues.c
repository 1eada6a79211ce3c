/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about queues and services: checks them, and sends them to the home worker; MMI. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/handoff/request.h"
#include "lib/base/log.h"
#include "lib/wire/queue_name.h"

/* Status codes of MMI, ZeroMQ RFC 8. */
#define MMI_OK              200u
#define MMI_NOT_FOUND       404u
#define MMI_NOT_IMPLEMENTED 501u

static struct mrf_queue_response response_of(
	const struct mr_request *q, enum mrf_queue_kind kind, struct mrf_table answer)
{
	uint32_t window = mrf_queue_answer_window(answer);
	const struct mr_config *c = q->handoff->config;
	bool service = kind == MRF_QUEUE_KIND_SERVICE;

	return (struct mrf_queue_response){
		.queue = mrf_queue_answer_queue(answer),
		.window = window != 0 ? window : c->queues.window,
		.waits = mrf_queue_answer_waits(answer),
		.heartbeat_ms = service ? c->services.heartbeat_ms : 0,
		.missed_max = service ? c->services.missed_max : 0,
		.ack_timeout_ms = mrf_queue_answer_ack_timeout_ms(answer),
		.max_deliver = mrf_queue_answer_max_deliver(answer),
		.push_options = mrf_queue_answer_push_options(answer),
		.consume_options = mrf_queue_answer_consume_options(answer),
		.settle_options = mrf_queue_answer_settle_options(answer),
	};
}

static void answer_queue(const struct mr_request *q, const struct mrf_queue_response *r)
{
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_handoff_answer(q->handoff, q->session, q->correlation, &b,
		MRF_CLIENT_BODY_QUEUE_RESPONSE, mrf_queue_response_write(&b, r));
}

static void answer_mmi(const struct mr_request *q, uint32_t status, const char *body)
{
	struct mrf_mmi_response r = {.status = status, .body = mrf_str(body)};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_handoff_answer(q->handoff, q->session, q->correlation, &b, MRF_CLIENT_BODY_MMI_RESPONSE,
		mrf_mmi_response_write(&b, &r));
}

/* True if the command failed. Then the client has its answer, or its session is closed. */
static bool failed(const struct mr_request *q, int error, struct mrf_table answer)
{
	char text[256];

	if (error == -ENOTCONN)
		return true; /* the link was lost, and the client's session with it */
	if (error != 0) {
		mr_request_result(q, error, "the worker of this queue does not answer");
		return true;
	}
	if (mrf_queue_answer_code(answer) == 0)
		return false;
	snprintf(text, sizeof(text), "%s", mrf_queue_answer_text(answer).data);
	mr_request_result(q, mrf_queue_answer_code(answer), text);
	return true;
}

static struct mr_request request_of(const struct mr_queue_command_asker *a)
{
	return (struct mr_request){a->owner, a->session, a->peer, a->correlation};
}

/* A queue that is bound before its client gets the answer. */
struct opening {
	struct mr_request request;
	struct mrf_queue_response response;
};

/* Without an answer the link was lost, and the client's session with it. */
static bool bound(const struct mr_link_asker *asker, const struct mr_link_answer *answer)
{
	struct opening *o = asker->owner;
	struct mrf_table bound = mrf_link_message_body_as_link_bound(answer->message);
	struct mrf_table result = mrf_link_message_body_as_link_result(answer->message);
	char text[256];

	if (!mrf_table_is_empty(bound)) {
		answer_queue(&o->request, &o->response);
	} else if (!mrf_table_is_empty(result)) {
		snprintf(text, sizeof(text), "bind of its template (queues.templates): %s",
			mrf_link_result_text(result).data);
		mr_request_result(&o->request, mrf_link_result_code(result), text);
	}
	free(o);
	return false;
}

/* Binds a queue to the subjects of its template. The client repeats a request that is dropped. */
static void bind_first(const struct mr_request *q, const struct mrf_queue_response *response,
	struct mrf_table answer)
{
	struct opening *o = malloc(sizeof(*o));
	const struct mr_link_asker asker = {.answered = bound, .owner = o};
	struct mrf_string binds[MR_CONFIG_TEMPLATE_BINDS_MAX];
	const struct mrf_link_bind v = {
		.queue = response->queue,
		.name = mrf_queue_answer_name(answer),
		.patterns = binds,
		.patterns_count = mr_queue_command_binds(answer, binds),
	};
	struct mrf_builder b;
	uint64_t memory[320];

	if (o == NULL)
		return;
	*o = (struct opening){*q, *response};
	mrf_builder_init(&b, memory, sizeof(memory));
	if (mr_link_ask(q->handoff->link, &b, MRF_LINK_BODY_LINK_BIND, mrf_link_bind_write(&b, &v),
		    &asker, NULL) != 0)
		free(o);
}

static void opened(const struct mr_queue_command_asker *a, int error, struct mrf_table answer)
{
	const struct mr_request q = request_of(a);
	struct mrf_queue_response response;

	if (failed(&q, error, answer))
		return;
	response = response_of(&q, a->detail, answer);
	if (mrf_queue_answer_binds_count(answer) > 0)
		bind_first(&q, &response, answer);
	else
		answer_queue(&q, &response);
}

static void cancelled(const struct mr_queue_command_asker *a, int error, struct mrf_table answer)
{
	const struct mr_request q = request_of(a);

	if (!failed(&q, error, answer))
		mr_request_result(&q, 0, "");
}

/* Sends the command to the worker. If control cannot pass it on now, it drops it, as the client
 * repeats its request. Other errors go to the client. */
static void ask(const struct mr_request *q, unsigned worker, const struct mrf_queue_command *v,
	const struct mrf_queue_options *options, mr_queue_command_answered *answered)
{
	const struct mr_queue_command_asker asker = {
		.answered = answered,
		.owner = q->handoff,
		.session = q->session,
		.peer = q->peer,
		.correlation = q->correlation,
		.detail = v->kind,
	};
	int error =
		mr_queue_command_send(q->handoff->queue_commands, worker, v, options, &asker, NULL);

	if (error != 0 && error != -EBUSY && error != -EDQUOT && error != -EALREADY &&
		error != -ENOTCONN)
		mr_request_result(
			q, error, error == -ENOENT ? "no such queue" : mr_log_errno_text(error));
}

static unsigned home_of(const struct mr_request *q, const struct mrf_queue_command *v)
{
	return mr_queue_home(v->kind, v->name.data, v->name.bytes, q->handoff->workers_count);
}

static const char *what_is(enum mrf_queue_kind kind)
{
	return kind == MRF_QUEUE_KIND_SERVICE ? "service" : "queue";
}

/* Refuses a name that the client may not use; true if so. Clients may consume dead letters, but
 * only the queue that they belong to creates them. */
static bool refuse_name(const struct mr_request *q, const struct mrf_queue_command *v)
{
	bool service = v->kind == MRF_QUEUE_KIND_SERVICE;
	const char *name = v->name.data;
	size_t bytes = v->name.bytes;

	if (!service && v->kind != MRF_QUEUE_KIND_QUEUE)
		return mr_request_invalid(q, -EINVAL, "queue", "this bus does not know its kind");
	if (mr_request_fault(q, what_is(v->kind), mr_queue_name_parse(name, bytes)))
		return true;
	if (service && mr_queue_name_is_mmi(name, bytes))
		return mr_request_invalid(q, -EACCES, "service",
			"names that begin with mmi. are reserved for the bus");
	if (mr_queue_name_is_dead(name, bytes) && (service || v->verb != MRF_QUEUE_VERB_CONSUME))
		return mr_request_invalid(q, -EINVAL, what_is(v->kind),
			"names that end in .dead are reserved for dead letters");
	return false;
}

/* Copies the options and checks their choices. True if the request was refused. */
static bool refuse_options(
	const struct mr_request *q, struct mrf_table t, struct mrf_queue_options *out)
{
	*out = mr_queue_command_options(t);
	if (out->policy > MRF_QUEUE_POLICY_KEY_SHARED)
		return mr_request_invalid(q, -EINVAL, "policy", "this bus does not know it");
	if (out->when_full > MRF_QUEUE_FULL_DEAD_LETTER)
		return mr_request_invalid(
			q, -EINVAL, "when full", "this bus does not know the choice");
	if (out->when_expired > MRF_QUEUE_EXPIRED_DEAD_LETTER)
		return mr_request_invalid(
			q, -EINVAL, "when expired", "this bus does not know the choice");
	if (out->single_active > MRF_SINGLE_ACTIVE_YES)
		return mr_request_invalid(
			q, -EINVAL, "single active", "this bus does not know the choice");
	return false;
}

void mr_request_queue_open(const struct mr_request *q, struct mrf_table t)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_OPEN,
		.kind = mrf_queue_request_kind(t),
		.name = mrf_queue_request_name(t),
		.session = q->session,
		.served = mrf_queue_request_kind(t) == MRF_QUEUE_KIND_SERVICE &&
			  mrf_queue_request_served(t),
		.knows_memory = mrf_queue_request_knows_memory(t),
		.knows_share = mrf_queue_request_knows_share(t),
		.dead_letter = mrf_queue_request_dead_letter(t),
	};
	struct mrf_queue_options options;

	if (!refuse_name(q, &v) && !refuse_options(q, mrf_queue_request_options(t), &options))
		ask(q, home_of(q, &v), &v, &options, opened);
}

/* Checks the numbers of a consumer. True if the request was refused. */
static bool refuse_consumer(const struct mr_request *q, const struct mrf_queue_command *v)
{
	const char *fault;

	if (v->subscription == 0)
		return mr_request_invalid(q, -EINVAL, "subscription", "its number is 0");
	if (v->prefetch > MR_QUEUE_PREFETCH_MAX)
		return mr_request_invalid(q, -EINVAL, "prefetch", "more than 65535");
	if (v->weight > MR_QUEUE_WEIGHT_MAX)
		return mr_request_invalid(q, -EINVAL, "weight", "more than 65535");
	fault = mr_queue_tag_fault(v->tag.data, v->tag.bytes);
	if (fault != NULL)
		return mr_request_invalid(q, -EINVAL, "tag", fault);
	return false;
}

void mr_request_queue_consume(const struct mr_request *q, struct mrf_table t)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_CONSUME,
		.kind = mrf_consume_request_kind(t),
		.name = mrf_consume_request_name(t),
		.session = q->session,
		.subscription = mrf_consume_request_subscription(t),
		.prefetch = mrf_consume_request_prefetch(t),
		.weight = mrf_consume_request_weight(t),
		.says_handed = mrf_consume_request_says_handed(t),
		.recalls = mrf_consume_request_recalls(t),
		.tag = mrf_consume_request_tag(t),
		.rate = mrf_consume_request_rate(t),
		.prefetch_bytes = mrf_consume_request_prefetch_bytes(t),
		.paused = mrf_consume_request_paused(t),
		.dead_letter = mrf_consume_request_dead_letter(t),
	};
	struct mrf_queue_options options;

	if (!refuse_name(q, &v) && !refuse_consumer(q, &v) &&
		!refuse_options(q, mrf_consume_request_options(t), &options))
		ask(q, home_of(q, &v), &v, &options, opened);
}

void mr_request_queue_cancel(const struct mr_request *q, struct mrf_table t)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_CANCEL,
		.session = q->session,
		.subscription = mrf_unsubscribe_request_subscription(t),
		.queue = mrf_unsubscribe_request_queue(t),
	};

	ask(q, mr_queue_worker(v.queue), &v, NULL, cancelled);
}

void mr_request_queue_withdraw(const struct mr_request *q, struct mrf_table t)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_WITHDRAW,
		.kind = MRF_QUEUE_KIND_QUEUE,
		.name = mrf_cancel_request_queue(t),
		.session = q->session,
		.ticket = mrf_cancel_request_ticket(t),
	};

	if (!refuse_name(q, &v))
		ask(q, home_of(q, &v), &v, NULL, cancelled);
}

/* Returns the number of workers of a service; 0 if there is no such service, which is no error. */
static uint64_t workers_of(struct mrf_table answer)
{
	return mrf_queue_answer_code(answer) == 0 ? mrf_queue_answer_count(answer) : 0;
}

static void service_found(
	const struct mr_queue_command_asker *a, int error, struct mrf_table answer)
{
	const struct mr_request q = request_of(a);

	if (error != 0)
		(void)failed(&q, error, answer);
	else
		answer_mmi(&q, workers_of(answer) > 0 ? MMI_OK : MMI_NOT_FOUND, "");
}

static void workers_counted(
	const struct mr_queue_command_asker *a, int error, struct mrf_table answer)
{
	const struct mr_request q = request_of(a);
	char body[24];

	if (error != 0) {
		(void)failed(&q, error, answer);
		return;
	}
	snprintf(body, sizeof(body), "%" PRIu64, workers_of(answer));
	answer_mmi(&q, MMI_OK, body);
}

/* Asks for a service by Open with `lookup`, not by Show: any client may ask often, and Show costs
 * the worker a row for each consumer. */
static void look_up(
	const struct mr_request *q, struct mrf_string name, mr_queue_command_answered *found)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_OPEN,
		.kind = MRF_QUEUE_KIND_SERVICE,
		.name = name,
		.lookup = true,
	};

	if (mr_queue_name_parse(name.data, name.bytes) != MR_SUBJECT_OK)
		answer_mmi(q, MMI_NOT_FOUND, "");
	else
		ask(q, home_of(q, &v), &v, NULL, found);
}

static bool named(struct mrf_string name, const char *text)
{
	struct mrf_string wanted = mrf_str(text);

	return name.bytes == wanted.bytes && memcmp(name.data, wanted.data, wanted.bytes) == 0;
}

void mr_request_mmi(const struct mr_request *q, struct mrf_table t)
{
	struct mrf_string name = mrf_mmi_request_name(t);
	char body[16];

	if (named(name, "mmi.service")) {
		look_up(q, mrf_mmi_request_body(t), service_found);
	} else if (named(name, "mmi.workers")) {
		look_up(q, mrf_mmi_request_body(t), workers_counted);
	} else if (named(name, "mmi.heartbeat")) {
		snprintf(body, sizeof(body), "%" PRIu32, q->handoff->config->services.heartbeat_ms);
		answer_mmi(q, MMI_OK, body);
	} else {
		answer_mmi(q, MMI_NOT_IMPLEMENTED, "");
	}
}
