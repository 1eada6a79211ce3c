/* SPDX-License-Identifier: Apache-2.0 */
/* The bindings of queues to patterns: subscriptions of the table whose owner is a queue. They live
 * here, not in control, so they outlive it, as queues do.
 *
 * A queue is known by name and number. When a queue was removed and made anew, its number differs;
 * the next bind drops the old one's bindings. */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/queue/queue.h"

struct mr_writer_binding {
	struct mr_writer_binding *next;
	uint32_t id; /* of the table's subscription */
	uint32_t bytes;
	char pattern[];
};

struct mr_writer_bound_queue {
	struct mr_writer_bound_queue *next;    /* in the list of all */
	struct mr_writer_bound_queue *chained; /* in the chain of its number */
	struct mr_writer_binding *bindings;
	uint32_t number;
	uint32_t count;
	uint32_t last_id;
	uint32_t name_bytes;
	char name[MR_QUEUE_NAME_BYTES_MAX];
};

static struct mr_writer_bound_queue **chain_of(struct mr_writer *wr, uint32_t number)
{
	return &wr->bindings.by_number[number % MR_WRITER_BOUND_QUEUES_MAX];
}

static struct mr_writer_bound_queue *find_queue(const struct mr_writer *wr, struct mrf_string name)
{
	struct mr_writer_bound_queue *q = wr->bindings.first;

	while (q != NULL &&
		(q->name_bytes != name.bytes || memcmp(q->name, name.data, name.bytes) != 0))
		q = q->next;
	return q;
}

struct mrf_string mr_writer_bound_name(struct mr_writer *wr, uint32_t number)
{
	const struct mr_writer_bound_queue *q =
		wr->bindings.by_number != NULL ? *chain_of(wr, number) : NULL;

	while (q != NULL && q->number != number)
		q = q->chained;
	return q != NULL ? mrf_str_n(q->name, q->name_bytes) : (struct mrf_string){0};
}

static struct mr_owner owner_of(const struct mr_writer_bound_queue *q)
{
	return (struct mr_owner){.worker = (uint16_t)mr_queue_worker(q->number),
		.slot = MR_OWNER_QUEUE,
		.generation = q->number,
		.peer = MR_PEER_OWN};
}

static struct mr_writer_binding **find_binding(
	struct mr_writer_bound_queue *q, struct mrf_string pattern)
{
	struct mr_writer_binding **at = &q->bindings;

	while (*at != NULL && ((*at)->bytes != pattern.bytes ||
				      memcmp((*at)->pattern, pattern.data, pattern.bytes) != 0))
		at = &(*at)->next;
	return at;
}

/* Tells the queue's home worker how many bindings it has. Publishers may wait for the queue by a
 * binding that has gone. */
static void tell_home(const struct mr_writer *wr, const struct mr_writer_bound_queue *q)
{
	struct mr_worker *home = wr->workers[mr_queue_worker(q->number)];

	mr_queues_bind(home->queues.engine, q->number, q->count);
	mr_worker_wake(home);
}

static void remove_binding(
	struct mr_writer *wr, struct mr_writer_bound_queue *q, struct mr_writer_binding **at)
{
	struct mr_owner owner = owner_of(q);
	struct mr_writer_binding *b = *at;

	(void)mr_table_unsubscribe(wr->table, &owner, b->id);
	*at = b->next;
	free(b);
	q->count--;
	tell_home(wr, q);
}

static uint32_t remove_all(struct mr_writer *wr, struct mr_writer_bound_queue *q)
{
	uint32_t removed = q->count;

	while (q->bindings != NULL)
		remove_binding(wr, q, &q->bindings);
	return removed;
}

static void forget_queue(struct mr_writer *wr, struct mr_writer_bound_queue *q)
{
	struct mr_writer_bound_queue **at = &wr->bindings.first;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	for (at = chain_of(wr, q->number); *at != q;)
		at = &(*at)->chained;
	*at = q->chained;
	wr->bindings.count--;
	free(q);
}

static int add_queue(struct mr_writer *wr, struct mrf_string name, uint32_t number,
	struct mr_writer_bound_queue **out)
{
	struct mr_writer_bindings *all = &wr->bindings;
	struct mr_writer_bound_queue *q;

	if (all->count == MR_WRITER_BOUND_QUEUES_MAX)
		return -ENOSPC;
	if (all->by_number == NULL)
		all->by_number = calloc(MR_WRITER_BOUND_QUEUES_MAX, sizeof(*all->by_number));
	q = calloc(1, sizeof(*q));
	if (q == NULL || all->by_number == NULL) {
		free(q);
		return -ENOMEM;
	}
	q->number = number;
	q->name_bytes = name.bytes;
	memcpy(q->name, name.data, name.bytes);
	q->next = all->first;
	all->first = q;
	q->chained = *chain_of(wr, number);
	*chain_of(wr, number) = q;
	all->count++;
	*out = q;
	return 0;
}

static int add_binding(
	struct mr_writer *wr, struct mr_writer_bound_queue *q, struct mrf_string pattern)
{
	struct mr_writer_binding *b = malloc(sizeof(*b) + pattern.bytes);
	struct mr_owner owner = owner_of(q);
	int error;

	if (b == NULL)
		return -ENOMEM;
	b->id = ++q->last_id;
	b->bytes = pattern.bytes;
	memcpy(b->pattern, pattern.data, pattern.bytes);
	error = mr_table_subscribe(
		wr->table, &owner, b->id, MR_SUB_PATTERN, pattern.data, pattern.bytes, NULL, 0);
	if (error != 0) {
		free(b);
		return error;
	}
	b->next = q->bindings;
	q->bindings = b;
	q->count++;
	tell_home(wr, q);
	return 0;
}

void mr_writer_answer_bound(struct mr_writer *wr, uint64_t id, uint32_t bindings, uint32_t changed)
{
	const struct mrf_link_bound v = {.bindings = bindings, .changed = changed};
	struct mrf_builder b;
	uint64_t memory[32];

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_writer_link_send(
		wr, &b, id, MRF_LINK_BODY_LINK_BOUND, mrf_link_bound_write(&b, &v), NULL, 0);
}

static void refuse(struct mr_writer *wr, uint64_t id, int error, const char *full)
{
	const char *text = error == -ENOMEM   ? "no memory"
			   : error == -EINVAL ? "malformed queue or pattern"
					      : full;

	if (error == -ENOSPC || error == -EDQUOT)
		mr_count(wr->stats->refused_subscriptions, 1);
	mr_writer_link_result(wr, id, error, text);
}

/* Returns the queue of that name and number, and makes it if there is none. */
static int bound_queue(struct mr_writer *wr, struct mrf_string name, uint32_t number,
	struct mr_writer_bound_queue **q)
{
	if (name.bytes == 0 || name.bytes > MR_QUEUE_NAME_BYTES_MAX ||
		mr_queue_worker(number) >= wr->workers_count)
		return -EINVAL;
	*q = find_queue(wr, name);
	if (*q != NULL && (*q)->number != number) {
		(void)remove_all(wr, *q);
		forget_queue(wr, *q);
		*q = NULL;
	}
	return *q != NULL ? 0 : add_queue(wr, name, number, q);
}

/* Adds a binding unless there is one. -E2BIG: the queue has too many. */
static int bind_one(struct mr_writer *wr, struct mr_writer_bound_queue *q,
	struct mrf_string pattern, uint32_t *changed)
{
	int error;

	if (*find_binding(q, pattern) != NULL)
		return 0;
	if (q->count == MR_WRITER_BINDINGS_MAX)
		return -E2BIG;
	error = add_binding(wr, q, pattern);
	*changed += error == 0;
	return error;
}

static int bind_all(struct mr_writer *wr, struct mr_writer_bound_queue *q, struct mrf_table t,
	uint32_t *changed)
{
	uint32_t count = mrf_link_bind_patterns_count(t);
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < count; i++)
		error = bind_one(wr, q, mrf_link_bind_patterns_at(t, i), changed);
	if (error == 0 && (count == 0 || mrf_link_bind_pattern(t).bytes > 0)) {
		*changed = 0; /* of the subject that was asked for */
		error = bind_one(wr, q, mrf_link_bind_pattern(t), changed);
	}
	return error;
}

void mr_writer_bind(struct mr_writer *wr, uint64_t id, struct mrf_table t)
{
	struct mr_writer_bound_queue *q = NULL;
	int error = bound_queue(wr, mrf_link_bind_name(t), mrf_link_bind_queue(t), &q);
	uint32_t changed = 0;

	if (error != 0) {
		refuse(wr, id, error, "no room for another bound queue (4,096)");
		return;
	}
	error = bind_all(wr, q, t, &changed);
	if (error == 0)
		mr_queues_bound(wr->workers[mr_queue_worker(q->number)]->queues.engine, q->number);
	if (error == 0)
		mr_writer_answer_bound(wr, id, q->count, changed);
	else if (error == -E2BIG)
		refuse(wr, id, -ENOSPC, "this queue has too many bindings (256)");
	else
		refuse(wr, id, error, mr_table_refusal(wr->table));
	if (q->count == 0)
		forget_queue(wr, q);
}

void mr_writer_unbind(struct mr_writer *wr, uint64_t id, struct mrf_table t)
{
	struct mrf_string pattern = mrf_link_unbind_pattern(t);
	struct mr_writer_bound_queue *q = find_queue(wr, mrf_link_unbind_name(t));
	struct mr_writer_binding **at = q != NULL ? find_binding(q, pattern) : NULL;
	uint32_t removed = 1, left;

	if (q == NULL || (pattern.bytes > 0 && *at == NULL)) {
		mr_writer_link_result(wr, id, -ENOENT,
			q == NULL ? "it is not bound to any subject"
				  : "it is not bound to this subject");
		return;
	}
	if (pattern.bytes > 0)
		remove_binding(wr, q, at);
	else
		removed = remove_all(wr, q);
	left = q->count;
	if (left == 0)
		forget_queue(wr, q);
	if (!mr_writer_answer_bound_later(wr, id, left, removed))
		mr_writer_answer_bound(wr, id, left, removed);
}

void mr_writer_bindings_close(struct mr_writer *wr)
{
	struct mr_writer_bound_queue *q;
	struct mr_writer_binding *b;

	while ((q = wr->bindings.first) != NULL) {
		while ((b = q->bindings) != NULL) {
			q->bindings = b->next;
			free(b);
		}
		wr->bindings.first = q->next;
		free(q);
	}
	free(wr->bindings.by_number);
	wr->bindings.by_number = NULL;
}
