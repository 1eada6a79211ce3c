/* SPDX-License-Identifier: Apache-2.0 */
/* Binds queues to subjects. A bind asks twice: the home worker for the queue's number, then the
 * table writer, which keeps the bindings. Both steps may be repeated, so one that was interrupted
 * is done again. */
#include "control/admin/admin.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/wire/queue_name.h"

static struct mrf_string queue_of(const struct mr_admin_slot *s)
{
	return mrf_str_n(s->bind.queue, s->bind.queue_bytes);
}

static struct mrf_string pattern_of(const struct mr_admin_slot *s)
{
	return mrf_str_n(s->bind.pattern, s->bind.pattern_bytes);
}

/* Reads the request. True if it was refused. */
static bool refuse(struct mr_admin_slot *s, struct mrf_table request, bool all)
{
	struct mrf_string name = mrf_queue_command_name(mrf_admin_request_queue(request));
	struct mrf_string pattern = mrf_admin_request_pattern(request);
	enum mr_subject_fault fault = mr_queue_name_parse(name.data, name.bytes);
	const char *why = NULL;

	if (mrf_queue_command_kind(mrf_admin_request_queue(request)) != MRF_QUEUE_KIND_QUEUE)
		why = "only queues can be bound";
	else if (fault != MR_SUBJECT_OK)
		why = mr_subject_fault_text(fault);
	else if (mr_queue_name_is_dead(name.data, name.bytes))
		why = "dead letters cannot be bound";
	else if (all && pattern.bytes == 0)
		why = NULL;
	else if ((fault = mr_pattern_parse(pattern.data, pattern.bytes)) != MR_SUBJECT_OK)
		why = mr_subject_fault_text(fault);
	if (why != NULL) {
		mr_admin_result(s, -EINVAL, why);
		return true;
	}
	memcpy(s->bind.queue, name.data, name.bytes);
	s->bind.queue_bytes = (uint8_t)name.bytes;
	memcpy(s->bind.pattern, pattern.data, pattern.bytes);
	s->bind.pattern_bytes = (uint8_t)pattern.bytes;
	return false;
}

static bool answered(const struct mr_link_asker *asker, const struct mr_link_answer *answer)
{
	struct mr_admin_slot *s = asker->owner;
	struct mrf_table bound = mrf_link_message_body_as_link_bound(answer->message);
	struct mrf_table result = mrf_link_message_body_as_link_result(answer->message);
	const struct mrf_admin_bound v = {.bindings = mrf_link_bound_bindings(bound),
		.changed = mrf_link_bound_changed(bound)};

	s->request_id = 0;
	if (!mrf_table_is_empty(bound))
		mr_admin_answer(
			s, MRF_ADMIN_BODY_ADMIN_BOUND, mrf_admin_bound_write(&s->builder, &v));
	else if (!mrf_table_is_empty(result))
		mr_admin_result(s, mrf_link_result_code(result), mrf_link_result_text(result).data);
	else
		mr_admin_result(s, -ENOTCONN, "the data plane went away");
	return false;
}

static void ask_writer(
	struct mr_admin_slot *s, struct mrf_builder *b, enum mrf_link_body type, uint32_t body)
{
	const struct mr_link_asker asker = {.answered = answered, .owner = s};
	int error = mr_link_ask(s->admin->link, b, type, body, &asker, &s->request_id);

	if (error != 0)
		mr_admin_result(s, error, mr_log_errno_text(error));
}

/* Binds to the subject that was asked for, and first to those of the queue's template. */
static void bind_number(struct mr_admin_slot *s, struct mrf_table answer)
{
	struct mrf_string binds[MR_CONFIG_TEMPLATE_BINDS_MAX];
	const struct mrf_link_bind v = {
		.queue = mrf_queue_answer_queue(answer),
		.name = queue_of(s),
		.pattern = pattern_of(s),
		.patterns = binds,
		.patterns_count = mr_queue_command_binds(answer, binds),
	};
	struct mrf_builder b;
	uint64_t memory[320];

	mrf_builder_init(&b, memory, sizeof(memory));
	ask_writer(s, &b, MRF_LINK_BODY_LINK_BIND, mrf_link_bind_write(&b, &v));
}

static void opened(const struct mr_queue_command_asker *a, int error, struct mrf_table answer)
{
	struct mr_admin_slot *s = a->owner;
	char text[256];

	s->queues.id = 0;
	if (error == 0 && mrf_queue_answer_code(answer) == 0) {
		bind_number(s, answer);
		return;
	}
	snprintf(text, sizeof(text), "%s",
		error == 0           ? mrf_queue_answer_text(answer).data
		: error == -ENOTCONN ? "the data plane went away"
				     : "the worker of the queue does not answer");
	mr_admin_result(s, error != 0 ? error : mrf_queue_answer_code(answer), text);
}

void mr_admin_bind(struct mr_admin_slot *s, struct mrf_table request)
{
	const struct mr_queue_command_asker asker = {.answered = opened, .owner = s};
	struct mrf_queue_command v = {.verb = MRF_QUEUE_VERB_OPEN, .kind = MRF_QUEUE_KIND_QUEUE};
	int error;

	if (refuse(s, request, false))
		return;
	v.name = queue_of(s);
	error = mr_queue_command_send(s->admin->queue_commands,
		mr_queue_home(MRF_QUEUE_KIND_QUEUE, v.name.data, v.name.bytes,
			s->admin->link->dataplane.workers_count),
		&v, NULL, &asker, &s->queues.id);
	if (error != 0)
		mr_admin_result(s, error, mr_log_errno_text(error));
}

void mr_admin_unbind(struct mr_admin_slot *s, struct mrf_table request)
{
	struct mrf_link_unbind v = {0};
	struct mrf_builder b;
	uint64_t memory[128];

	if (refuse(s, request, true))
		return;
	v.name = queue_of(s);
	v.pattern = pattern_of(s);
	mrf_builder_init(&b, memory, sizeof(memory));
	ask_writer(s, &b, MRF_LINK_BODY_LINK_UNBIND, mrf_link_unbind_write(&b, &v));
}
