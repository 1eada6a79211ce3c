/* SPDX-License-Identifier: Apache-2.0 */
/* queues: commands for one queue, and its dead letters. */
#include "client/admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/sized.h"
#include "lib/wire/message.h"
#include "lib/wire/queue_name.h"

static int check(const struct mr_admin *a, const char *queue)
{
	return a != NULL && queue != NULL
		       ? 0
		       : mr_fail(NULL, -EINVAL, "mr_admin: the connection or the name is NULL");
}

static int command(struct mr_admin *a, enum mrf_queue_verb verb, const char *queue, unsigned count,
	uint64_t *done)
{
	struct mrf_queue_command command = {.verb = (uint8_t)verb, .count = count};
	struct mrf_table result;
	int error = check(a, queue);

	if (error != 0)
		return error;
	command.name = mrf_str(queue);
	error = mr_admin_ask(
		a, MRF_ADMIN_VERB_QUEUE, &command, MRF_ADMIN_BODY_ADMIN_RESULT, &result);
	if (error == 0 && done != NULL) {
		struct mrf_string text = mrf_admin_result_text(result);

		*done = text.bytes > 0 ? strtoull(text.data, NULL, 10) : 0;
	}
	return error;
}

int mr_admin_purge(struct mr_admin *a, const char *queue, uint64_t *dropped)
{
	return command(a, MRF_QUEUE_VERB_PURGE, queue, 0, dropped);
}

int mr_admin_redrive(struct mr_admin *a, const char *queue, unsigned count, uint64_t *moved)
{
	return command(a, MRF_QUEUE_VERB_REDRIVE, queue, count, moved);
}

/* The public bits and values are those of the schema. */
_Static_assert(MR_ADMIN_POLICY == (int)MRF_QUEUE_OPTION_POLICY &&
		       MR_ADMIN_WHEN_FULL == (int)MRF_QUEUE_OPTION_WHEN_FULL &&
		       MR_ADMIN_MESSAGES_MAX == (int)MRF_QUEUE_OPTION_MESSAGES_MAX &&
		       MR_ADMIN_BYTES_MAX == (int)MRF_QUEUE_OPTION_BYTES_MAX &&
		       MR_ADMIN_AGE_MAX == (int)MRF_QUEUE_OPTION_AGE_MAX &&
		       MR_ADMIN_ACK_TIMEOUT == (int)MRF_QUEUE_OPTION_ACK_TIMEOUT &&
		       MR_ADMIN_MAX_DELIVER == (int)MRF_QUEUE_OPTION_MAX_DELIVER &&
		       MR_ADMIN_BREAKER_FAILURES == (int)MRF_QUEUE_OPTION_BREAKER_FAILURES &&
		       MR_ADMIN_BREAKER_RESET == (int)MRF_QUEUE_OPTION_BREAKER_RESET &&
		       MR_ADMIN_BREAKER_PROBES == (int)MRF_QUEUE_OPTION_BREAKER_PROBES &&
		       MR_ADMIN_WHEN_EXPIRED == (int)MRF_QUEUE_OPTION_WHEN_EXPIRED &&
		       MR_ADMIN_AGING == (int)MRF_QUEUE_OPTION_AGING &&
		       MR_ADMIN_SINGLE_ACTIVE == (int)MRF_QUEUE_OPTION_SINGLE_ACTIVE &&
		       MR_ADMIN_IN_FLIGHT_PER_KEY == (int)MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY,
	"the same bits");

_Static_assert(MR_ADMIN_KEY_FROM == (int)MRF_QUEUE_OPTION_KEY_FROM &&
		       MR_ADMIN_RETRY_MIN == (int)MRF_QUEUE_OPTION_RETRY_MIN &&
		       MR_ADMIN_RETRY_MAX == (int)MRF_QUEUE_OPTION_RETRY_MAX &&
		       MR_ADMIN_RETRY_FACTOR == (int)MRF_QUEUE_OPTION_RETRY_FACTOR &&
		       MR_ADMIN_RETRY_JITTER == (int)MRF_QUEUE_OPTION_RETRY_JITTER &&
		       MR_ADMIN_DEAD_LETTER == (int)MRF_QUEUE_OPTION_DEAD_LETTER &&
		       MR_ADMIN_OWNER == (int)MRF_QUEUE_OPTION_OWNER &&
		       MR_ADMIN_DESCRIPTION == (int)MRF_QUEUE_OPTION_DESCRIPTION,
	"the same bits");

/* `retry` and `key_from` are NULL if they are not among the values. */
static int edit(struct mr_admin *a, struct mrf_queue_command *command,
	const struct mr_queue_options *values, const struct mr_queue_retry *retry,
	const char *key_from)
{
	struct mrf_queue_options options = {
		.policy = mr_sized_choice(values->policy),
		.when_full = mr_sized_choice(values->when_full),
		.messages_max = values->messages_max,
		.bytes_max = values->bytes_max,
		.age_max_ms = values->age_max_ms,
		.ack_timeout_ms = values->ack_timeout_ms,
		.max_deliver = values->max_deliver,
		.breaker_failures = values->breaker_failures,
		.breaker_reset_ms = values->breaker_reset_ms,
		.breaker_probes = values->breaker_probes,
		.when_expired = values->when_expired,
		.aging_ms = values->aging_s * 1000u,
		.single_active = values->single_active,
		.in_flight_per_key = values->in_flight_per_key,
	};

	if (key_from != NULL && key_from[0] != '\0')
		options.key_from = mrf_str(key_from);
	if (retry != NULL) {
		options.retry_min_ms = retry->min_ms;
		options.retry_max_ms = retry->max_ms;
		options.retry_factor = retry->factor;
		options.retry_jitter = retry->jitter;
	}
	return mr_admin_ask_edit(a, command, &options);
}

static struct mrf_queue_command edit_of(const char *queue, bool service, unsigned edits)
{
	return (struct mrf_queue_command){
		.verb = MRF_QUEUE_VERB_EDIT,
		.kind = service ? MRF_QUEUE_KIND_SERVICE : MRF_QUEUE_KIND_QUEUE,
		.name = mrf_str(queue),
		.edits = edits,
	};
}

int mr_admin_edit(struct mr_admin *a, const char *queue, bool service, unsigned edits,
	const struct mr_queue_options *values)
{
	struct mrf_queue_command command = edit_of(queue, service, edits);

	if (a == NULL || queue == NULL || values == NULL)
		return mr_fail(NULL, -EINVAL,
			"mr_admin_edit: the connection, the name or the values are NULL");
	if (edits >= MR_ADMIN_KEY_FROM)
		return mr_fail(
			NULL, -EINVAL, "mr_admin_edit: mr_admin_edit_with() changes this option");
	return edit(a, &command, values, NULL, NULL);
}

int mr_admin_edit_with_sized(struct mr_admin *a, const char *queue, bool service, unsigned edits,
	const struct mr_admin_options *values, size_t values_bytes)
{
	struct mrf_queue_command command = edit_of(queue, service, edits);
	struct mr_admin_options own;
	int error;

	if (a == NULL || queue == NULL || values == NULL)
		return mr_fail(NULL, -EINVAL,
			"mr_admin_edit_with: the connection, the name or the values are NULL");
	error = mr_sized_read(NULL, "mr_admin_edit_with", &own, sizeof(own), values, values_bytes);
	if (error != 0)
		return error;
	if ((edits & MR_ADMIN_DEAD_LETTER) && own.dead_letter == NULL)
		return mr_fail(NULL, -EINVAL, "mr_admin_edit_with: dead_letter is NULL");
	command.dead_letter = mrf_str(own.dead_letter);
	command.owner = mrf_str(own.owner);
	command.description = mrf_str(own.description);
	return edit(a, &command, &own.queue, &own.retry, own.key_from);
}

static int change_binding(struct mr_admin *a, enum mrf_admin_verb verb, const char *queue,
	const char *subject, unsigned *bindings)
{
	struct mrf_table bound;
	int error = check(a, queue);

	if (error == 0)
		error = mr_admin_ask_bind(a, verb, mrf_str(queue), mrf_str(subject), &bound);
	if (error == 0 && bindings != NULL)
		*bindings = mrf_admin_bound_bindings(bound);
	return error;
}

int mr_admin_bind(struct mr_admin *a, const char *queue, const char *subject, unsigned *bindings)
{
	if (subject == NULL)
		return mr_fail(NULL, -EINVAL, "mr_admin_bind: the subject is NULL");
	return change_binding(a, MRF_ADMIN_VERB_BIND, queue, subject, bindings);
}

int mr_admin_unbind(struct mr_admin *a, const char *queue, const char *subject, unsigned *bindings)
{
	if (subject != NULL && subject[0] == '\0')
		return mr_fail(NULL, -EINVAL, "mr_admin_unbind: the subject is empty");
	return change_binding(a, MRF_ADMIN_VERB_UNBIND, queue, subject, bindings);
}

/* Reads the oldest dead letters. Without a dead-letter queue there are none, if the queue itself
 * exists. */
static int peek(struct mr_admin *a, const char *queue, const char *dead, unsigned count,
	struct mrf_table *out)
{
	struct mrf_queue_command peek = {
		.verb = MRF_QUEUE_VERB_PEEK, .count = count, .name = mrf_str(dead)};
	struct mrf_table found;
	int error =
		mr_admin_ask(a, MRF_ADMIN_VERB_QUEUE, &peek, MRF_ADMIN_BODY_ADMIN_MESSAGES, out);

	if (error != -ENOENT)
		return error;
	*out = (struct mrf_table){0};
	peek.verb = MRF_QUEUE_VERB_SHOW;
	peek.name = mrf_str(queue);
	return mr_admin_ask(a, MRF_ADMIN_VERB_QUEUE, &peek, MRF_ADMIN_BODY_ADMIN_QUEUES, &found);
}

static void hand_out(struct mrf_table t, mr_admin_dead_letter_fn *row, void *arg)
{
	struct mrf_bytes headers = mrf_queue_message_row_headers(t);
	struct mrf_bytes payload = mrf_queue_message_row_payload(t);
	const struct mr_admin_dead_letter letter = {
		.age_ms = mrf_queue_message_row_age_ms(t),
		.bytes = mrf_queue_message_row_bytes(t),
		.headers = headers.bytes > 0 ? (const char *)headers.data : NULL,
		.header_bytes = headers.bytes,
		.payload = payload.data,
		.payload_bytes = payload.bytes,
	};

	row(&letter, arg);
}

int mr_admin_dead_letters(struct mr_admin *a, const char *queue, unsigned count,
	mr_admin_dead_letter_fn *row, void *arg)
{
	char dead[MR_SUBJECT_BYTES_MAX + sizeof(MR_QUEUE_DEAD)];
	struct mrf_table list;
	int error = check(a, row != NULL ? queue : NULL);
	uint32_t found;
	void *kept;
	bool is_dead;

	if (error != 0)
		return error;
	is_dead = mr_queue_name_is_dead(queue, strlen(queue));
	if (snprintf(dead, sizeof(dead), "%s%s", queue, is_dead ? "" : MR_QUEUE_DEAD) >=
		(int)sizeof(dead))
		return mr_fail(NULL, -ENAMETOOLONG, "mr_admin_dead_letters: the name is too long");
	error = peek(a, queue, dead, count, &list);
	if (error != 0)
		return error;
	/* `row` may use the connection, and may close it. */
	kept = mr_admin_socket_keep(&a->socket);
	found = mrf_admin_messages_messages_count(list);
	for (uint32_t i = 0; i < found; i++)
		hand_out(mrf_admin_messages_messages_at(list, i), row, arg);
	free(kept);
	return (int)found;
}
