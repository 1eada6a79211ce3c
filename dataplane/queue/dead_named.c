/* SPDX-License-Identifier: Apache-2.0 */
/* dead_named: dead letters of queues that have named another place for them than NAME.dead. */
#include <errno.h>
#include <stdio.h>

#include "dataplane/queue/about.h"
#include "dataplane/queue/dead.h"
#include "dataplane/queue/full.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/lines.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/work.h"

/* Dead letters of dead letters: at most this many queues in a row. */
#define CHAIN_MAX 16u
#define KIND      MRF_QUEUE_KIND_QUEUE
#define CIRCLE    "dead_letter: the dead letters would come back to this queue"

/* True if dead letters of `to` would come to the queue, or to too many queues. */
static bool leads_to(const struct mr_queue *to, const struct mr_queue *queue)
{
	for (unsigned i = 0; i < CHAIN_MAX; i++, to = to->dead_to) {
		if (to == NULL)
			return false;
		if (to == queue)
			return true;
	}
	return true;
}

/* Returns the home of a queue by its name. */
static unsigned home_of(const struct mr_queues *q, struct mrf_string name)
{
	return q->c.workers < 2 ? q->c.worker
				: mr_queue_home(KIND, name.data, name.bytes, q->c.workers);
}

/* Says that the queue is at another worker, with a name that would be at this one. */
static const char *refused_home(struct mr_queues *q, struct mrf_string to)
{
	char *text = q->why_text;
	int said = snprintf(text, sizeof(q->why_text),
		"dead_letter: that queue is at worker %u, and this one at worker %u, where its "
		"dead letters stay; take another name",
		home_of(q, to), q->c.worker);
	char name[80];

	for (unsigned i = 2; to.bytes < sizeof(name) - 12 && i < 1000; i++) {
		int bytes = snprintf(name, sizeof(name), "%.*s-%u", (int)to.bytes, to.data, i);

		if (home_of(q, mrf_str_n(name, (uint32_t)bytes)) != q->c.worker)
			continue;
		snprintf(text + said, sizeof(q->why_text) - (size_t)said, ", such as %s", name);
		break;
	}
	return text;
}

const char *mr_dead_name_refused(struct mr_queues *q, struct mrf_string own, struct mrf_string to)
{
	if (mr_dead_is_word(to, "none") || mr_dead_is_word(to, "default"))
		return NULL;
	if (mr_queue_name_parse(to.data, to.bytes) != MR_SUBJECT_OK ||
		mr_queue_name_is_dead(to.data, to.bytes))
		return "dead_letter: expected none, default, or the name of a queue";
	if (to.bytes == own.bytes && memcmp(to.data, own.data, to.bytes) == 0)
		return CIRCLE;
	return home_of(q, to) == q->c.worker ? NULL : refused_home(q, to);
}

const char *mr_dead_refused(struct mr_queues *q, const struct mr_queue *queue, struct mrf_string to)
{
	const char *why;

	if (queue->kind != KIND || queue->is_dead)
		return "only queues have dead letters";
	why = mr_dead_name_refused(q, mrf_str_n(queue->name, queue->name_bytes), to);
	if (why != NULL)
		return why;
	return leads_to(mr_queue_by_name(q, KIND, to.data, to.bytes), queue) ? CIRCLE : NULL;
}

/* Finds the named queue, or makes it for the client, or for the operator. Its own dead letters go
 * to NAME.dead, whatever its template says. */
static int find_or_make(struct mr_queues *q, struct mrf_string name, struct mr_queue_client *client,
	struct mr_queue **out)
{
	struct mrf_queue_options options = q->c.queue;
	uint32_t fixed = mr_queue_template_apply(q, KIND, name, &options);
	int rc;

	*out = mr_queue_by_name(q, KIND, name.data, name.bytes);
	if (*out != NULL)
		return 0;
	q->limits.why = mr_key_options_check(&options, KIND);
	rc = q->limits.why != NULL ? -EINVAL : mr_limit_make(q, client);
	if (rc == 0)
		rc = mr_queue_make(q, KIND, name.data, name.bytes, &options, out);
	if (rc != 0)
		return rc;
	(*out)->edited = fixed & ~(uint32_t)MRF_QUEUE_OPTION_DEAD_LETTER;
	if (client != NULL)
		mr_limit_made_by(q, *out, client);
	else
		mr_limit_made(q, *out, MR_PEER_OWN);
	rc = mr_about_template(q, *out);
	if (rc != 0)
		mr_queue_remove(q, *out);
	return rc;
}

void mr_dead_unname(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue *named = queue->dead_to;

	queue->dead_to = NULL;
	queue->dead_discards = false;
	if (named == NULL)
		return;
	named->dead_from--;
	mr_limit_idle(q, named);
}

int mr_dead_name(struct mr_queues *q, struct mr_queue *queue, struct mrf_string to,
	struct mr_queue_client *client)
{
	struct mr_queue *named = NULL;
	int rc = 0;

	queue->used_ms = q->now_ms; /* it is not removed to make room for the other */
	if (!mr_dead_is_word(to, "none") && !mr_dead_is_word(to, "default"))
		rc = find_or_make(q, to, client, &named);
	if (rc != 0)
		return rc;
	mr_dead_unname(q, queue);
	queue->dead_discards = mr_dead_is_word(to, "none");
	queue->dead_to = named;
	queue->is_set = true;
	queue->kept |= client == NULL;
	if (named != NULL) { /* not removed for idleness: others send there */
		named->is_set = true;
		named->kept |= client == NULL;
		named->dead_from++;
	}
	return 0;
}

int mr_dead_edit(struct mr_queues *q, struct mr_queue *queue, uint32_t edits,
	const struct mrf_queue_options *values, struct mrf_string to)
{
	uint32_t rest = edits & ~(uint32_t)MRF_QUEUE_OPTION_DEAD_LETTER;
	int rc = 0;

	q->limits.why = edits != rest ? mr_dead_refused(q, queue, to) : NULL;
	if (q->limits.why != NULL)
		return -EINVAL;
	if (rest != 0 || edits == 0)
		rc = mr_queue_edit(q, queue, rest, values);
	if (rc != 0 || edits == rest)
		return rc;
	queue->edited |= MRF_QUEUE_OPTION_DEAD_LETTER;
	return mr_dead_name(q, queue, to, NULL);
}

struct mrf_string mr_dead_name_of(const struct mr_queue *queue)
{
	if (queue->dead_discards)
		return mrf_str("none");
	return queue->dead_to == NULL ? (struct mrf_string){0}
				      : mrf_str_n(queue->dead_to->name, queue->dead_to->name_bytes);
}

static void discard(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, uint64_t *counter)
{
	queue->dead_count++;
	mr_count(*counter, 1);
	mr_queue_done(q, queue, e);
}

/* A queue that makes room by its oldest messages takes more: it does so in its next tick. An empty
 * queue takes one, however little memory is left: the move itself takes none, and otherwise a queue
 * that holds all of the memory could never give up a dead letter. */
static bool takes(
	const struct mr_queues *q, const struct mr_queue *to, const struct mr_queue_entry *e)
{
	return (!mr_push_is_full(to, e->body_bytes) || mr_full_displaces(to)) &&
	       (mr_queue_depth(to) == 0 || !mr_push_share_used_up(q, to));
}

bool mr_dead_has_room(struct mr_queues *q, struct mr_queue *queue, const struct mr_queue_entry *e)
{
	struct mr_queue *to = queue->dead_to;

	if (queue->dead_discards)
		return true;
	if (to != NULL)
		return takes(q, to, e) || to->options.when_full == MRF_QUEUE_FULL_REFUSE;
	to = mr_dead_of(q, queue);
	return to != NULL && !mr_push_is_full(to, e->body_bytes);
}

/* A full queue takes no more dead letters: by its option they wait in their own queue, or are
 * discarded. */
static void refuse(struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e)
{
	if (queue->dead_to->options.when_full == MRF_QUEUE_FULL_REFUSE)
		discard(q, queue, e, &q->c.stats->drop_dead_full);
	else
		mr_dead_keep(q, queue, e);
}

bool mr_dead_to_named(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, const char *reason)
{
	struct mr_queue *to = queue->dead_to;

	if (queue->dead_discards) {
		discard(q, queue, e, &q->c.stats->drop_dead);
		return true;
	}
	if (to == NULL)
		return false;
	if (!takes(q, to, e)) {
		refuse(q, queue, e);
		return true;
	}
	mr_work(q, MR_WORK_DEAD + (e->body_bytes >> MR_WORK_LARGE));
	if (e->flags & MR_ENTRY_TIME)
		mr_key_leave(q, queue, e);
	queue->body_bytes -= e->body_bytes;
	queue->dead_count++;
	mr_count(q->c.stats->queue_dead, 1);
	mr_dead_forget_times(e);
	if (!mr_dead_tell(q, queue, &e, reason)) {
		mr_count(q->c.stats->queue_dead_bare, 1);
		mr_lines_rename_forged(e);
	}
	e->attempts = 0; /* it has all attempts of the other queue */
	e->spared = 0;
	to->body_bytes += e->body_bytes;
	to->used_ms = q->now_ms;
	mr_queue_put(q, to, e);
	if (mr_full_exceeds(to))
		mr_queue_arm(q, to);
	mr_queue_has_room(q, queue);
	return true;
}

/* Returns the queue where the letter died, by the bus's line; NULL: none that has room. */
static struct mr_queue *origin_of(const struct mr_queues *q, struct mr_queue_entry *e)
{
	struct mrf_string name = {0};
	struct mr_queue *queue;

	if (e->flags & MR_ENTRY_TOLD)
		name = mr_lines_value(mr_lines_of(e), e->header_bytes, MR_LINE_DEAD "Queue");
	if (name.bytes == 0)
		return NULL;
	queue = mr_queue_by_name(q, KIND, name.data, name.bytes);
	return queue != NULL && !mr_push_is_full(queue, e->body_bytes) ? queue : NULL;
}

void mr_dead_redrive_each(struct mr_queues *q, struct mr_queue *queue, uint32_t floor)
{
	struct mr_queue_entry *e;

	while (q->work > floor && queue->redriving > 0) {
		struct mr_queue *to = NULL;

		e = mr_queue_next(q, queue);
		if (e == NULL) {
			queue->redriving = 0;
			break;
		}
		queue->redriving--;
		mr_work(q, MR_WORK_DEAD + (e->body_bytes >> MR_WORK_LARGE));
		to = origin_of(q, e);
		mr_queue_take(q, queue, e);
		queue->body_bytes -= e->body_bytes;
		if (to != NULL && to != queue) {
			if (e->flags & MR_ENTRY_TIME)
				mr_key_leave(q, queue, e);
			(void)mr_lines_take(q, &e);
			e->attempts = 0;
			e->spared = 0;
		} else {
			to = queue;
		}
		to->body_bytes += e->body_bytes;
		mr_queue_put(q, to, e);
	}
	mr_queue_has_room(q, queue);
}
