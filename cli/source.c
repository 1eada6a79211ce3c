/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/priority.h"
#include "lib/wire/queue_name.h"

#define WAIT_MS 100
/* Time without a delivery from a queue that has messages, before it gives up. */
#define EMPTY_ROUNDS_MAX 100u
/* Messages that are asked for at once before they are due. */
#define EARLY_MAX 64u

/* True if messages come in the order of their ages: without keys, and with one priority. */
static bool is_in_order(struct mrf_table row)
{
	struct mrf_table o = mrf_queue_row_options(row);
	uint32_t levels = 0;

	for (uint32_t i = 0; i < mrf_queue_row_ready_by_level_count(row); i++)
		levels += mrf_queue_row_ready_by_level_at(row, i) > 0;
	return mrf_queue_options_policy(o) != MRF_QUEUE_POLICY_KEY_SHARED && levels == 1;
}

int mr_cli_source_ask(
	const struct mr_cli *cli, const char *queue, struct mr_cli_source_state *state)
{
	const struct mrf_queue_command command = {
		.verb = MRF_QUEUE_VERB_SHOW, .name = mrf_str(queue)};
	struct mr_cli_admin admin;
	struct mrf_table queues;
	bool paused = false;
	int code = mr_cli_admin_query_queue(
		cli, &admin, MRF_ADMIN_VERB_QUEUE, &command, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);

	if (code == MR_EXIT_OK) {
		struct mrf_table row = mrf_admin_queues_rows_at(queues, 0);

		paused = mrf_queue_row_paused(row);
		*state = (struct mr_cli_source_state){
			.ready = mrf_queue_row_ready(row),
			.hold_ms = mrf_queue_options_ack_timeout_ms(mrf_queue_row_options(row)) / 2,
			.in_order = is_in_order(row),
		};
	}
	mr_cli_admin_close(&admin);
	if (paused)
		return mr_cli_fail(cli, MR_EXIT_FAILED, queue, "the queue is paused",
			"`millrace queue resume` it");
	return code;
}

static void drop_batch(struct mr_cli_source *s)
{
	for (unsigned i = 0; i < s->count; i++)
		mr_message_free(s->kept[i]);
	s->count = s->next = 0;
}

int mr_cli_source_open(struct mr_cli_source *s, unsigned prefetch)
{
	const struct mr_consume_options options = {
		.prefetch = (uint32_t)prefetch, .manual = true, .tag = s->tag};
	int rc = mr_cli_admin_open(&s->admin, s->cli);

	if (rc)
		return mr_cli_admin_fail(s->cli, &s->admin, rc);
	snprintf(s->tag, sizeof(s->tag), "queue-%d-%" PRIx64, (int)getpid(), mr_cli_now_ns());
	rc = mr_consume(s->client, s->queue, &options, NULL, NULL, &s->consumer);
	if (rc == 0)
		return MR_EXIT_OK;
	mr_cli_admin_close(&s->admin);
	return mr_cli_fail_call(s->cli, s->client, rc, s->queue);
}

void mr_cli_source_close(struct mr_cli_source *s)
{
	drop_batch(s);
	if (!s->consumer)
		return;
	mr_consumer_close(s->consumer);
	mr_cli_admin_close(&s->admin);
	s->consumer = NULL;
}

/* Asks; an older bus, which does not know the command, has no answer. */
static int ask(struct mr_cli_source *s, const struct mrf_queue_command *command,
	enum mrf_admin_body body, struct mrf_table *out, bool *known)
{
	int rc = mr_cli_admin_ask_queue(&s->admin, MRF_ADMIN_VERB_QUEUE, command, body, out);

	*known = rc != -ENOSYS;
	if (rc == 0 || rc == -ENOSYS)
		return MR_EXIT_OK;
	return mr_cli_admin_fail_queue(s->cli, &s->admin, command, rc);
}

static uint64_t unix_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void set_details(struct mr_push *p, struct mrf_table row)
{
	uint64_t ttl_ms = mrf_queue_message_row_ttl_ms(row);
	uint64_t delay_ms = mrf_queue_message_row_delay_ms(row);

	p->ttl_ms = ttl_ms < UINT32_MAX ? (uint32_t)ttl_ms : UINT32_MAX;
	p->at_ms = mrf_queue_message_row_at_ms(row);
	if (delay_ms <= UINT32_MAX)
		p->delay_ms = (uint32_t)delay_ms;
	else
		p->at_ms = unix_ms() + delay_ms;
	if (p->delay_ms == 0 && p->at_ms == 0)
		return;
	p->ticket = mrf_queue_message_row_ticket(row);
	p->attempts = 0;
}

static struct mr_push push_of(const struct mr_cli_source *s, const struct mr_delivery *d)
{
	/* A letter that leaves the dead begins anew, as with redrive. */
	bool dead = mr_queue_name_is_dead(s->queue, strlen(s->queue));

	return (struct mr_push){.headers = d->message.header_bytes ? d->message.headers : NULL,
		.header_bytes = d->message.header_bytes,
		.payload = d->message.payload,
		.bytes = d->message.payload_bytes,
		.priority = mr_cli_priority_of(d),
		.attempts = dead ? 0 : mr_delivery_attempts(d)};
}

/* Completes the batch with what deliveries do not say. */
static int complete(struct mr_cli_source *s)
{
	uint64_t tags[MR_CLI_SOURCE_BATCH];
	const struct mrf_queue_command command = {.verb = MRF_QUEUE_VERB_DETAILS,
		.name = mrf_str(s->queue),
		.tags = tags,
		.tags_count = s->count,
		.match_older_ms = s->older_ms};
	struct mrf_table rows;
	bool known;
	int code;

	for (unsigned i = 0; i < s->count; i++)
		tags[i] = mr_delivery_number(&s->batch[i]);
	code = ask(s, &command, MRF_ADMIN_BODY_ADMIN_MESSAGES, &rows, &known);
	for (uint32_t r = 0;
		code == MR_EXIT_OK && known && r < mrf_admin_messages_messages_count(rows); r++) {
		struct mrf_table row = mrf_admin_messages_messages_at(rows, r);

		for (unsigned i = 0; i < s->count; i++)
			if (tags[i] == mrf_queue_message_row_tag(row)) {
				set_details(&s->pushes[i], row);
				s->ages[i] = mrf_queue_message_row_age_ms(row);
			}
	}
	if (code == MR_EXIT_OK && s->older_ms != 0 &&
		(!known || mrf_admin_messages_messages_count(rows) == 0))
		return mr_cli_fail(s->cli, MR_EXIT_FAILED, "--older",
			"the bus does not tell the ages of messages",
			"it is older than this command: restart it");
	/* Nor does that bus know of earlier attempts. */
	for (unsigned i = 0; i < s->count && !known; i++)
		s->pushes[i].attempts = 0;
	return code;
}

/* Asks for messages that are not due; *count: how many come. */
static int ask_early(struct mr_cli_source *s, uint64_t *count)
{
	const struct mrf_queue_command command = {.verb = MRF_QUEUE_VERB_DELIVER_EARLY,
		.name = mrf_str(s->queue),
		.tag = mrf_str(s->tag),
		.count = EARLY_MAX};
	struct mrf_table result;
	bool known;
	int code;

	*count = 0;
	if (s->ready_only)
		return MR_EXIT_OK;
	code = ask(s, &command, MRF_ADMIN_BODY_ADMIN_RESULT, &result, &known);
	if (code == MR_EXIT_OK && known)
		*count = strtoull(mrf_admin_result_text(result).data, NULL, 10);
	return code;
}

/* Pulls one more delivery into the batch, and keeps what is known of it until the next. 0 or
 * -errno. */
static int pull_one(struct mr_cli_source *s, int wait_ms)
{
	struct mr_delivery *d = &s->batch[s->count];
	int rc = mr_pull(s->consumer, d, wait_ms);
	struct mr_message *kept = rc == 0 ? mr_message_dup(&d->message) : NULL;

	if (rc)
		return rc;
	if (!kept)
		return -ENOMEM;
	d->message = *kept;
	s->kept[s->count] = kept;
	s->pushes[s->count] = push_of(s, d);
	s->ages[s->count] = 0;
	s->count++;
	return 0;
}

/* Pulls what has come, at most a batch. Returns how many, or -errno. */
static int pull_some(struct mr_cli_source *s)
{
	int rc;

	drop_batch(s);
	rc = pull_one(s, WAIT_MS);
	while (rc == 0 && s->count < MR_CLI_SOURCE_BATCH)
		rc = pull_one(s, 0);
	if (s->count > 0 && (rc == -ETIMEDOUT || rc == -EINTR))
		rc = 0;
	return rc == 0 ? (int)s->count : rc;
}

/* Pulls a batch. 0 or as mr_cli_source_next. */
static int pull(struct mr_cli_source *s, int *code)
{
	struct mr_cli_source_state state = {0};
	uint64_t early = 0;

	for (unsigned round = 0; round < EMPTY_ROUNDS_MAX && !mr_cli_interrupted(); round++) {
		int rc = pull_some(s);

		if (rc > 0) {
			*code = complete(s);
			return *code == MR_EXIT_OK ? 0 : -ENODATA;
		}
		if (rc != -ETIMEDOUT)
			return rc == -EINTR ? -ENODATA : rc;
		*code = mr_cli_source_ask(s->cli, s->queue, &state);
		if (*code == MR_EXIT_OK && state.ready == 0)
			*code = ask_early(s, &early);
		if (*code != MR_EXIT_OK || (state.ready == 0 && early == 0))
			return -ENODATA;
	}
	return mr_cli_interrupted() ? -ENODATA : -ETIMEDOUT;
}

int mr_cli_source_next(struct mr_cli_source *s, const struct mr_delivery **d,
	const struct mr_push **push, int *code)
{
	int rc = s->next < s->count ? 0 : pull(s, code);

	if (rc)
		return rc;
	*d = &s->batch[s->next];
	s->age_ms = s->ages[s->next];
	*push = &s->pushes[s->next++];
	return 0;
}
