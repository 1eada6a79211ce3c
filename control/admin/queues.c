/* SPDX-License-Identifier: Apache-2.0 */
/* Queues and services: questions and commands of the operator, answered by home workers. */
#include "control/admin/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/wire/priority.h"
#include "lib/wire/queue_name.h"

/* Upper limits, larger than one answer can hold. */
#define CONSUMERS_MAX 2048u
#define MESSAGES_MAX  2048u
#define KEYS_MAX      32u
#define TAGS_MAX      16u

static uint32_t copy_consumer(struct mrf_builder *b, struct mrf_table t)
{
	const struct mrf_queue_consumer_row v = {
		.session = mrf_queue_consumer_row_session(t),
		.subscription = mrf_queue_consumer_row_subscription(t),
		.prefetch = mrf_queue_consumer_row_prefetch(t),
		.weight = mrf_queue_consumer_row_weight(t),
		.outstanding = mrf_queue_consumer_row_outstanding(t),
		.delivered = mrf_queue_consumer_row_delivered(t),
		.acked = mrf_queue_consumer_row_acked(t),
		.redelivered = mrf_queue_consumer_row_redelivered(t),
		.tag = mrf_queue_consumer_row_tag(t),
		.state = mrf_queue_consumer_row_state(t),
		.rate = mrf_queue_consumer_row_rate(t),
		.prefetch_bytes = mrf_queue_consumer_row_prefetch_bytes(t),
		.outstanding_bytes = mrf_queue_consumer_row_outstanding_bytes(t),
	};

	return mrf_queue_consumer_row_write(b, &v);
}

static void copy_counts(struct mrf_queue_row *v, struct mrf_table t)
{
	v->ready = mrf_queue_row_ready(t);
	v->delayed = mrf_queue_row_delayed(t);
	v->outstanding = mrf_queue_row_outstanding(t);
	v->bytes = mrf_queue_row_bytes(t);
	v->oldest_ms = mrf_queue_row_oldest_ms(t);
	v->consumers = mrf_queue_row_consumers(t);
	v->credit = mrf_queue_row_credit(t);
	v->pushed = mrf_queue_row_pushed(t);
	v->accepted = mrf_queue_row_accepted(t);
	v->refused = mrf_queue_row_refused(t);
	v->duplicates = mrf_queue_row_duplicates(t);
	v->delivered = mrf_queue_row_delivered(t);
	v->acked = mrf_queue_row_acked(t);
	v->redelivered = mrf_queue_row_redelivered(t);
	v->dead = mrf_queue_row_dead(t);
	v->expired = mrf_queue_row_expired(t);
	v->dead_ready = mrf_queue_row_dead_ready(t);
	v->failures = mrf_queue_row_failures(t);
	v->replies = mrf_queue_row_replies(t);
	v->dropped = mrf_queue_row_dropped(t);
	v->keys = mrf_queue_row_keys(t);
	v->keys_held = mrf_queue_row_keys_held(t);
	v->keys_moved = mrf_queue_row_keys_moved(t);
}

static uint32_t copy_row(struct mrf_builder *b, struct mrf_table t)
{
	uint32_t consumers[CONSUMERS_MAX];
	uint64_t by_level[MR_LEVELS];
	const struct mrf_queue_options options = mr_queue_command_options(mrf_queue_row_options(t));
	struct mrf_queue_row v = {
		.queue = mrf_queue_row_queue(t),
		.kind = mrf_queue_row_kind(t),
		.name = mrf_queue_row_name(t),
		.worker = mrf_queue_row_worker(t),
		.paused = mrf_queue_row_paused(t),
		.breaker = mrf_queue_row_breaker(t),
		.consumer_rows_count = mrf_queue_row_consumer_rows_count(t),
		.edited = mrf_queue_row_edited(t),
		.bindings = mrf_queue_row_bindings(t),
		.dead_letter = mrf_queue_row_dead_letter(t),
		.owner = mrf_queue_row_owner(t),
		.description = mrf_queue_row_description(t),
	};

	if (mrf_queue_row_ready_by_level_count(t) == MR_LEVELS) {
		for (uint32_t i = 0; i < MR_LEVELS; i++)
			by_level[i] = mrf_queue_row_ready_by_level_at(t, i);
		v.ready_by_level = by_level;
		v.ready_by_level_count = MR_LEVELS;
	}
	if (v.consumer_rows_count > CONSUMERS_MAX)
		v.consumer_rows_count = CONSUMERS_MAX;
	for (uint32_t i = 0; i < v.consumer_rows_count; i++)
		consumers[i] = copy_consumer(b, mrf_queue_row_consumer_rows_at(t, i));
	if (v.consumer_rows_count > 0)
		v.consumer_rows = consumers;
	v.options = mrf_queue_options_write(b, &options);
	copy_counts(&v, t);
	return mrf_queue_row_write(b, &v);
}

static uint32_t copy_message(struct mrf_builder *b, struct mrf_table t)
{
	const struct mrf_queue_message_row v = {
		.age_ms = mrf_queue_message_row_age_ms(t),
		.redelivered = mrf_queue_message_row_redelivered(t),
		.priority = mrf_queue_message_row_priority(t),
		.bytes = mrf_queue_message_row_bytes(t),
		.headers = mrf_queue_message_row_headers(t),
		.payload = mrf_queue_message_row_payload(t),
		.ticket = mrf_queue_message_row_ticket(t),
		.every_ms = mrf_queue_message_row_every_ms(t),
		.next_ms = mrf_queue_message_row_next_ms(t),
		.fired = mrf_queue_message_row_fired(t),
		.skipped = mrf_queue_message_row_skipped(t),
		.tag = mrf_queue_message_row_tag(t),
		.ttl_ms = mrf_queue_message_row_ttl_ms(t),
		.delay_ms = mrf_queue_message_row_delay_ms(t),
		.at_ms = mrf_queue_message_row_at_ms(t),
	};

	return mrf_queue_message_row_write(b, &v);
}

static int add_rows(struct mr_admin_slot *s, struct mrf_table answer)
{
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < mrf_queue_answer_rows_count(answer); i++) {
		struct mrf_table row = mrf_queue_answer_rows_at(answer, i);

		if (mrf_queue_row_kind(row) == s->queues.kind)
			error = mr_admin_row(s, copy_row(&s->builder, row));
	}
	return error;
}

static void answer_rows(struct mr_admin_slot *s)
{
	const struct mrf_admin_queues v = {
		.rows = s->rows, .rows_count = s->rows_count, .read_ns = mr_loop_now_ns()};

	mr_admin_answer(s, MRF_ADMIN_BODY_ADMIN_QUEUES, mrf_admin_queues_write(&s->builder, &v));
}

static void answer_messages(struct mr_admin_slot *s, struct mrf_table answer)
{
	uint32_t messages[MESSAGES_MAX];
	struct mrf_admin_messages v = {
		.messages_count = mrf_queue_answer_messages_count(answer),
		.looked = mrf_queue_answer_looked(answer),
		.ready = mrf_queue_answer_count(answer),
	};

	if (v.messages_count > MESSAGES_MAX)
		v.messages_count = MESSAGES_MAX;
	for (uint32_t i = 0; i < v.messages_count; i++)
		messages[i] = copy_message(&s->builder, mrf_queue_answer_messages_at(answer, i));
	if (v.messages_count > 0)
		v.messages = messages;
	mr_admin_answer(
		s, MRF_ADMIN_BODY_ADMIN_MESSAGES, mrf_admin_messages_write(&s->builder, &v));
}

static uint32_t copy_key(struct mrf_builder *b, struct mrf_table t)
{
	const struct mrf_queue_key_row v = {
		.key = mrf_queue_key_row_key(t),
		.text = mrf_queue_key_row_text(t),
		.ready = mrf_queue_key_row_ready(t),
		.unsettled = mrf_queue_key_row_unsettled(t),
		.delayed = mrf_queue_key_row_delayed(t),
		.session = mrf_queue_key_row_session(t),
		.subscription = mrf_queue_key_row_subscription(t),
		.held_ms = mrf_queue_key_row_held_ms(t),
		.oldest_ms = mrf_queue_key_row_oldest_ms(t),
	};

	return mrf_queue_key_row_write(b, &v);
}

static void answer_keys(struct mr_admin_slot *s, struct mrf_table answer)
{
	uint32_t keys[KEYS_MAX];
	struct mrf_admin_keys v = {
		.rows_count = mrf_queue_answer_keys_count(answer),
		.cursor = (uint32_t)mrf_queue_answer_count(answer),
	};

	if (v.rows_count > KEYS_MAX)
		v.rows_count = KEYS_MAX;
	for (uint32_t i = 0; i < v.rows_count; i++)
		keys[i] = copy_key(&s->builder, mrf_queue_answer_keys_at(answer, i));
	if (v.rows_count > 0)
		v.rows = keys;
	mr_admin_answer(s, MRF_ADMIN_BODY_ADMIN_KEYS, mrf_admin_keys_write(&s->builder, &v));
}

/* Sends the error result if the command failed. True if it did. */
static bool failed(struct mr_admin_slot *s, int error, struct mrf_table answer)
{
	char text[256];

	s->queues.id = 0;
	if (error == 0 && mrf_queue_answer_code(answer) == 0)
		return false;
	if (error == 0) {
		error = mrf_queue_answer_code(answer);
		snprintf(text, sizeof(text), "%s", mrf_queue_answer_text(answer).data);
	} else {
		snprintf(text, sizeof(text), "%s",
			error == -ENOTCONN ? "the data plane went away"
					   : "the worker of the queue does not answer");
	}
	mr_admin_result(s, error, text);
	return true;
}

static void ask(struct mr_admin_slot *s, unsigned worker, const struct mrf_queue_command *v,
	const struct mrf_queue_options *options, mr_queue_command_answered *answered)
{
	const struct mr_queue_command_asker asker = {
		.answered = answered, .owner = s, .detail = v->verb};
	int error = mr_queue_command_send(
		s->admin->queue_commands, worker, v, options, &asker, &s->queues.id);

	if (error != 0)
		mr_admin_result(s, error, mr_log_errno_text(error));
}

static void listed(const struct mr_queue_command_asker *a, int error, struct mrf_table answer);

static void list_on(struct mr_admin_slot *s)
{
	const struct mrf_queue_command v = {
		.verb = MRF_QUEUE_VERB_LIST, .kind = s->queues.kind, .cursor = s->queues.cursor};

	if (s->queues.worker < s->admin->link->dataplane.workers_count)
		ask(s, s->queues.worker, &v, NULL, listed);
	else
		answer_rows(s);
}

/* Adds one part of a worker's list, then asks for the next part or the next worker. */
static void listed(const struct mr_queue_command_asker *a, int error, struct mrf_table answer)
{
	struct mr_admin_slot *s = a->owner;
	uint64_t cursor;

	if (failed(s, error, answer))
		return;
	cursor = mrf_queue_answer_count(answer);
	error = add_rows(s, answer);
	if (error == 0 && cursor != 0 && (cursor <= s->queues.cursor || cursor > UINT32_MAX))
		error = -EBADMSG; /* a cursor that does not advance would never end */
	if (error != 0) {
		mr_admin_fail(s, error);
		return;
	}
	s->queues.worker += cursor == 0;
	s->queues.cursor = (uint32_t)cursor;
	list_on(s);
}

void mr_admin_list_queues(struct mr_admin_slot *s, struct mrf_table command)
{
	s->queues.kind = mrf_queue_command_kind(command);
	s->queues.worker = s->queues.cursor = 0;
	list_on(s);
}

static void done(const struct mr_queue_command_asker *a, int error, struct mrf_table answer)
{
	struct mr_admin_slot *s = a->owner;
	char text[32];

	if (failed(s, error, answer))
		return;
	if (a->detail == MRF_QUEUE_VERB_PEEK || a->detail == MRF_QUEUE_VERB_SCHEDULES ||
		a->detail == MRF_QUEUE_VERB_DETAILS) {
		answer_messages(s, answer);
	} else if (a->detail == MRF_QUEUE_VERB_KEYS) {
		answer_keys(s, answer);
	} else if (a->detail == MRF_QUEUE_VERB_SHOW || a->detail == MRF_QUEUE_VERB_EDIT) {
		error = add_rows(s, answer);
		if (error == 0)
			answer_rows(s);
		else
			mr_admin_fail(s, error);
	} else if (a->detail == MRF_QUEUE_VERB_PURGE_OLDER) {
		snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu32, mrf_queue_answer_count(answer),
			mrf_queue_answer_looked(answer));
		mr_admin_result(s, 0, text);
	} else {
		snprintf(text, sizeof(text), "%" PRIu64, mrf_queue_answer_count(answer));
		mr_admin_result(s, 0, text);
	}
}

static bool is_operators(unsigned verb)
{
	return (verb >= MRF_QUEUE_VERB_SHOW && verb <= MRF_QUEUE_VERB_KEYS &&
		       verb != MRF_QUEUE_VERB_LIST) ||
	       (verb >= MRF_QUEUE_VERB_SCHEDULES && verb <= MRF_QUEUE_VERB_PURGE_OLDER);
}

static uint32_t copy_tags(uint64_t tags[TAGS_MAX], struct mrf_table command)
{
	uint32_t count = mrf_queue_command_tags_count(command);

	count = count < TAGS_MAX ? count : TAGS_MAX;
	for (uint32_t i = 0; i < count; i++)
		tags[i] = mrf_queue_command_tags_at(command, i);
	return count;
}

void mr_admin_queue(struct mr_admin_slot *s, struct mrf_table command)
{
	uint64_t tags[TAGS_MAX];
	const struct mrf_queue_command v = {
		.verb = mrf_queue_command_verb(command),
		.kind = mrf_queue_command_kind(command),
		.name = mrf_queue_command_name(command),
		.count = mrf_queue_command_count(command),
		.cursor = mrf_queue_command_cursor(command),
		.lookup = true,
		.edits = mrf_queue_command_edits(command),
		.session = mrf_queue_command_session(command),
		.tag = mrf_queue_command_tag(command),
		.match_headers = mrf_queue_command_match_headers(command),
		.match_text = mrf_queue_command_match_text(command),
		.match_level = mrf_queue_command_match_level(command),
		.match_older_ms = mrf_queue_command_match_older_ms(command),
		.match_first = mrf_queue_command_match_first(command),
		.dead_letter = mrf_queue_command_dead_letter(command),
		.owner = mrf_queue_command_owner(command),
		.description = mrf_queue_command_description(command),
		.tags = tags,
		.tags_count = copy_tags(tags, command),
	};
	const struct mrf_queue_options options =
		mr_queue_command_options(mrf_queue_command_options(command));
	enum mr_subject_fault fault = mr_queue_name_parse(v.name.data, v.name.bytes);

	s->queues.kind = v.kind;
	if (!is_operators(v.verb))
		mr_admin_result(s, -ENOSYS, "this bus does not know the command");
	else if (fault != MR_SUBJECT_OK)
		mr_admin_result(s, -EINVAL, mr_subject_fault_text(fault));
	else
		ask(s,
			mr_queue_home(v.kind, v.name.data, v.name.bytes,
				s->admin->link->dataplane.workers_count),
			&v, &options, done);
}
