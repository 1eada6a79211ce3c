/* SPDX-License-Identifier: Apache-2.0 */
/* fragment: reassembles pushed messages that arrive in fragments. */
#include "dataplane/queue/engine.h"
#include "dataplane/queue/bind.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/push.h"
#include "dataplane/queue/ttl.h"
#include "dataplane/queue/work.h"

#define CLIENT_ASSEMBLIES_MAX 16u
/* Least size of a fragment that is not the last: smaller ones would cost more memory than they
 * carry. */
#define FRAGMENT_BYTES_MIN 256u
#define DROP_STEPS         4u  /* work of giving one up */
#define LOOKS              64u /* at a client's reassemblies, in one sweep */

/* A message being reassembled. */
struct mr_queue_assembly {
	struct mr_queue_assembly *next; /* list of the client's */
	struct mr_queue_assembly *prev;
	struct mr_queue_assembly *chain; /* see chain_of */
	struct mr_queue_client *client;
	struct mr_queue *queue;
	struct mr_queue_entry *entry;
	struct mrf_message_origin origin;
	uint32_t message;
	uint32_t total_bytes;
	uint32_t heard_ms; /* low bits of the time of its last fragment */
	bool promised;
	bool bound;  /* a publish, for a queue bound to its subject */
	bool held;   /* its other fragments may be held at their publisher for any time */
	bool unpaid; /* see struct mr_push_facts */
};

/* Reassemblies are found by client and bound queue: a publish is reassembled once for each. Pushes
 * of a client, for whatever queue, are in one chain. A chain has the youngest first. */
static struct mr_queue_assembly **chain_of(const struct mr_queues *q,
	const struct mr_queue_client *client, const struct mr_queue *queue, bool bound)
{
	uint64_t hash = mr_hash_pair(&q->name_key, client->session, bound ? queue->number : 0);

	return &q->assemblies[hash % MR_QUEUE_ASSEMBLY_CHAINS];
}

static bool is_of(const struct mr_queue_assembly *a, const struct mr_queue_client *client,
	const struct mr_queue *queue, bool bound)
{
	return a->client == client && a->bound == bound && (!bound || a->queue == queue);
}

static struct mr_queue_assembly *find_assembly(const struct mr_queues *q,
	const struct mr_queue_client *client, const struct mr_queue *queue,
	const struct mr_message_view *m)
{
	bool bound = m->subject_bytes != 0;
	struct mr_queue_assembly *a = *chain_of(q, client, queue, bound);

	while (a != NULL &&
		!(a->message == m->extra.fragment.message && is_of(a, client, queue, bound)))
		a = a->chain;
	return a;
}

static void link_last(struct mr_queue_assembly *a)
{
	struct mr_queue_client *client = a->client;

	a->next = NULL;
	a->prev = client->assemblies == NULL ? NULL : client->assemblies_tail;
	if (a->prev == NULL)
		client->assemblies = a;
	else
		a->prev->next = a;
	client->assemblies_tail = a;
}

static void unlink(struct mr_queue_assembly *a)
{
	if (a->prev == NULL)
		a->client->assemblies = a->next;
	else
		a->prev->next = a->next;
	if (a->next == NULL)
		a->client->assemblies_tail = a->prev;
	else
		a->next->prev = a->prev;
}

/* Removes a reassembly; its entry becomes the caller's. */
static struct mr_queue_entry *end_assembly(
	struct mr_queues *q, struct mr_queue_client *client, struct mr_queue_assembly *a)
{
	struct mr_queue_assembly **at = chain_of(q, client, a->queue, a->bound);
	struct mr_queue_entry *e = a->entry;

	while (*at != a)
		at = &(*at)->chain;
	*at = a->chain;
	unlink(a);
	client->assemblies_count--;
	client->assemblies_bytes -= e->body_bytes;
	a->queue->assemblies--;
	mr_purge_assembled(q, a->queue);
	mr_slab_release(q->store, a, (uint32_t)sizeof(*a));
	return e;
}

static void drop_assembly(
	struct mr_queues *q, struct mr_queue_client *client, struct mr_queue_assembly *a)
{
	mr_entry_free(q, end_assembly(q, client, a));
}

/* Gives up a reassembly; the sender is told to try again. */
static void give_up(
	struct mr_queues *q, struct mr_queue_client *client, struct mr_queue_assembly *a)
{
	struct mrf_accepted_range range = {.publisher = a->origin.publisher,
		.first = a->origin.id,
		.count = 1,
		.status = MRF_STATUS_CODE_OVERLOADED};

	mr_count(q->c.stats->drop_bad_fragment, 1);
	if (a->promised)
		mr_client_accept(q, client->session, a->queue->number, &range);
	if (a->entry->flags & MR_ENTRY_CALL)
		mr_client_status(q, client->session, mr_entry_call(a->entry)->correlation,
			MRF_STATUS_CODE_OVERLOADED);
	drop_assembly(q, client, a);
}

bool mr_fragment_drop_all(struct mr_queues *q, struct mr_queue_client *client)
{
	while (client->assemblies != NULL) {
		if (!mr_work_left(q))
			return false;
		mr_work(q, DROP_STEPS);
		drop_assembly(q, client, client->assemblies);
	}
	return true;
}

/* A promised publish waits for room in each queue bound to its subject, here or elsewhere. It ends
 * with its session or its binding. */
static bool is_late(const struct mr_queues *q, const struct mr_queue_assembly *a)
{
	return (uint32_t)q->now_ms - a->heard_ms >= a->queue->options.ack_timeout_ms &&
	       (!a->held || mr_bind_count(q, a->queue) == 0);
}

void mr_fragment_expire(struct mr_queues *q, struct mr_queue_client *client)
{
	uint32_t left = client->assemblies_count;

	for (left = left < LOOKS ? left : LOOKS; left > 0 && mr_work_left(q); left--) {
		struct mr_queue_assembly *a = client->assemblies;

		unlink(a);
		link_last(a); /* the others have their turn */
		if (!a->queue->purge.removed && !is_late(q, a))
			continue;
		mr_work(q, DROP_STEPS);
		if (a->queue->purge.removed)
			drop_assembly(q, client, a);
		else
			give_up(q, client, a);
	}
}

/* Returns the oldest reassembly that a new one needs the place of; NULL: there is room. */
static struct mr_queue_assembly *one_too_many(const struct mr_queues *q,
	const struct mr_queue_client *client, const struct mr_queue *queue, bool bound)
{
	struct mr_queue_assembly *oldest = NULL, *a;
	uint32_t count = 0;

	if (mr_likely(client->assemblies_count < CLIENT_ASSEMBLIES_MAX))
		return NULL;
	for (a = *chain_of(q, client, queue, bound); a != NULL; a = a->chain)
		if (is_of(a, client, queue, bound)) {
			oldest = a;
			count++;
		}
	return count < CLIENT_ASSEMBLIES_MAX ? NULL : oldest;
}

static struct mr_queue_assembly *assembly_new(struct mr_queues *q, struct mr_queue_client *client,
	struct mr_queue *queue, const struct mr_message_view *m, struct mr_queue_entry *e)
{
	struct mr_queue_assembly *a = one_too_many(q, client, queue, m->subject_bytes != 0);
	struct mr_queue_assembly **chain;

	if (a != NULL)
		give_up(q, client, a);
	a = mr_slab_alloc(q->store, (uint32_t)sizeof(*a));
	if (a == NULL)
		return NULL;
	*a = (struct mr_queue_assembly){
		.client = client,
		.queue = queue,
		.entry = e,
		.message = m->extra.fragment.message,
		.total_bytes = m->extra.fragment.total_bytes,
		.promised =
			(m->header.flags & MRF_MESSAGE_FLAG_ORIGIN) != 0 && m->subject_bytes == 0,
		.bound = m->subject_bytes != 0,
		.held = m->subject_bytes != 0 && mr_bind_is_promised(m),
	};
	if (m->header.flags & MRF_MESSAGE_FLAG_ORIGIN)
		a->origin = m->extra.origin;
	link_last(a);
	chain = chain_of(q, client, queue, a->bound);
	a->chain = *chain;
	*chain = a;
	client->assemblies_count++;
	queue->assemblies++;
	return a;
}

static void report_known(struct mr_queues *q, const struct mr_queue_client *client,
	struct mr_queue *queue, bool bound, const struct mrf_message_origin *origin)
{
	if (bound)
		mr_bind_known(q, queue);
	else
		mr_push_known(q, client->session, queue, origin);
}

/* Starts a reassembly with the first fragment, and refuses what can be refused before more are
 * stored. NULL: refused, or a duplicate. */
static struct mr_queue_assembly *begin_assembly(struct mr_queues *q, struct mr_queue_client *client,
	struct mr_queue *queue, const struct mr_message_view *m,
	const struct mrf_push_options *options, uint32_t *status)
{
	const struct mrf_message_fragment *f = &m->extra.fragment;
	struct mr_queue_assembly *a;
	struct mr_push_facts facts;
	struct mr_queue_entry *e;

	*status = f->total_bytes > q->c.message_bytes_max
			  ? MRF_STATUS_CODE_BAD
			  : mr_push_check(q, client->session, queue, m, f->total_bytes, &facts);
	if (*status != MRF_STATUS_CODE_OK)
		return NULL;
	if (facts.known) {
		report_known(q, client, queue, m->subject_bytes != 0, facts.origin);
		return NULL;
	}
	if (options != NULL && mr_options_has_time(options)) {
		facts.entry_flags |= MR_ENTRY_TIME;
		/* A message that repeats must fit one message: it is copied in one step. */
		*status = mr_options_repeat(options)
				  ? (uint32_t)MRF_STATUS_CODE_BAD
				  : mr_options_prepare(q, queue, options, client->account);
		if (*status != MRF_STATUS_CODE_OK)
			return NULL;
	}
	*status = MRF_STATUS_CODE_NO_MEMORY;
	facts.entry_flags |= MR_ENTRY_CHAIN;
	e = mr_unlikely(facts.unpaid)
		    ? mr_entry_new(q, 0, facts.entry_flags, &m->extra.origin, m->header_bytes, 0)
		    : mr_push_entry(q, client->session, m, facts.entry_flags, 0);
	if (e == NULL)
		return NULL;
	mr_options_apply(q, queue, e, options);
	mr_key_charge(q, queue, e);
	/* The options of a PushOptions were a part of the first fragment. */
	*(struct mr_queue_chain *)mr_entry_body(e) = (struct mr_queue_chain){.session = f->session,
		.message = f->message,
		.fragment_bytes = m->header_bytes + m->payload_bytes +
				  (m->header.kind == MRF_MESSAGE_KIND_PUSH_OPTIONS
						  ? (uint32_t)sizeof(*options)
						  : 0)};
	a = assembly_new(q, client, queue, m, e);
	if (a == NULL)
		mr_entry_free(q, e);
	else
		a->unpaid = facts.unpaid;
	return a;
}

/* True if the fragment follows without a gap. All fragments but the last have one size. */
static bool fragment_fits(const struct mr_queue_assembly *a, const struct mr_queue *queue,
	const struct mr_message_view *m)
{
	const struct mrf_message_fragment *f = &m->extra.fragment;
	const struct mr_queue_chain *chain = mr_entry_body(a->entry);
	uint32_t bytes = m->header_bytes + m->payload_bytes;
	uint32_t left = a->total_bytes - a->entry->body_bytes;

	if (bytes < left && (bytes < FRAGMENT_BYTES_MIN || bytes % MR_MESSAGE_ALIGN != 0))
		return false;
	return a->queue == queue && f->total_bytes == a->total_bytes &&
	       f->offset == a->entry->body_bytes && bytes > 0 &&
	       (bytes == left ||
		       (bytes < left && (f->offset == 0 || bytes == chain->fragment_bytes))) &&
	       (f->offset == 0 || m->header_bytes == 0);
}

static void complete_assembly(struct mr_queues *q, struct mr_queue_client *client,
	struct mr_queue_assembly *a, const struct mr_message_view *last)
{
	struct mrf_message_origin origin = a->origin;
	struct mr_queue *queue = a->queue;
	bool promised = a->promised, bound = a->bound;
	struct mr_queue_entry *e = end_assembly(q, client, a);

	/* Meanwhile the message may have arrived whole, or by another session. */
	if ((e->flags & MR_ENTRY_ORIGIN) &&
		mr_window_look(q, client->session, queue, &origin) == MR_WINDOW_KNOWN) {
		report_known(q, client, queue, bound, &origin);
		mr_entry_free(q, e);
		return;
	}
	if (bound) {
		mr_bind_finish(q, queue, e, last);
		return;
	}
	mr_push_finish(q, client->session, queue, e, promised ? &origin : NULL);
}

void mr_fragment_push(struct mr_queues *q, uint64_t session, struct mr_queue *queue,
	const struct mr_message_view *m, const struct mrf_push_options *options)
{
	struct mr_queue_client *client = mr_client_of(q, session);
	struct mr_queue_assembly *a;
	uint32_t status = MRF_STATUS_CODE_OVERLOADED;

	if (client == NULL)
		goto refuse;
	a = find_assembly(q, client, queue, m);
	if (m->extra.fragment.offset == 0) {
		if (a != NULL)
			drop_assembly(q, client, a); /* the sender starts again */
		a = begin_assembly(q, client, queue, m, options, &status);
		if (a == NULL && status == MRF_STATUS_CODE_OK)
			return;
		if (a == NULL)
			goto refuse;
	} else if (a == NULL) { /* rest of a message refused with its first fragment */
		mr_count(q->c.stats->drop_fragment_rest, 1);
		return;
	}
	status = MRF_STATUS_CODE_BAD;
	if (!fragment_fits(a, queue, m))
		goto drop_and_refuse;
	status = mr_push_memory(q, client, m->header_bytes + m->payload_bytes);
	if (status == MRF_STATUS_CODE_SHARE_USED && a->unpaid)
		status = MRF_STATUS_CODE_OK;
	if (status != MRF_STATUS_CODE_OK)
		goto drop_and_refuse;
	status = MRF_STATUS_CODE_NO_MEMORY;
	if (mr_share_used_up(client->assemblies_bytes, mr_queue_store_left(q)) ||
		!mr_entry_append(q, a->entry, m->headers, m->header_bytes + m->payload_bytes))
		goto drop_and_refuse;
	client->assemblies_bytes += m->header_bytes + m->payload_bytes;
	a->heard_ms = (uint32_t)q->now_ms;
	if (a->entry->body_bytes == a->total_bytes)
		complete_assembly(q, client, a, m);
	return;
drop_and_refuse:
	drop_assembly(q, client, a);
refuse:
	mr_push_refuse(q, session, queue, m->header.target, m, status);
}
