/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#include "dataplane/subject/budget.h"
#include "dataplane/subject/table_impl.h"

/* A change also reclaims when this many pieces wait, at most once in as many changes. */
#define RECLAIM_PENDING 1024u

#define SUBSCRIPTIONS_DEFAULT (1u << 20)
#define ALIASES_DEFAULT       (1u << 16)
#define NODES_PER_SUB_DEFAULT 4u
#define HOLDS_PER_ALIAS       16u
/* Keeps every number and its derived limits within 32 bits. */
#define LIMIT_MAX (1u << 28)

enum reclaim_kind { RECLAIM_BLOCK, RECLAIM_NODE, RECLAIM_MAP, RECLAIM_GROUP, RECLAIM_ALIAS };

static void release_item(void *arg, unsigned kind, uintptr_t value)
{
	struct mr_table *t = arg;

	switch ((enum reclaim_kind)kind) {
	case RECLAIM_BLOCK:
		t->block_bytes -= mr_block_bytes((struct mr_block *)value);
		free((struct mr_block *)value);
		break;
	case RECLAIM_NODE: mr_nodes_release(&t->nodes, (uint32_t)value); break;
	case RECLAIM_MAP: mr_nodes_release_map(&t->nodes, (struct mr_node_map *)value); break;
	case RECLAIM_GROUP: mr_groups_release(&t->groups, (uint16_t)value); break;
	case RECLAIM_ALIAS: mr_aliases_release(&t->aliases, (struct mr_alias *)value); break;
	}
}

/* Updates the record of a sink that moved when its block was copied. */
static void sink_moved(void *arg, const struct mr_sink *sink, uint32_t position)
{
	struct mr_table *t = arg;
	uint32_t flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
	struct mr_owner o = {.worker = (uint16_t)(flags >> MR_SINK_WORKER_SHIFT),
		.slot = sink->slot,
		.generation = sink->generation};
	uint32_t owner = mr_records_owner(&t->records, &o);
	uint32_t record = mr_records_find(&t->records, owner, MR_RECORD_SUBSCRIPTION, sink->sub_id);

	assert(record != 0);
	mr_record_at(&t->records, record)->position = position;
}

static uint32_t or_default(uint32_t value, uint64_t fallback)
{
	if (value == 0)
		return fallback < LIMIT_MAX ? (uint32_t)fallback : LIMIT_MAX;
	return value;
}

static int limits_parse(const struct mr_table_limits *in, const struct rte_rcu_qsbr *qsbr,
	struct mr_table_limits *out)
{
	if (in->workers == 0 || in->workers > MR_TABLE_WORKERS_MAX ||
		qsbr->max_threads < in->workers)
		return -EINVAL;
	out->workers = in->workers;
	out->subscriptions_max = or_default(in->subscriptions_max, SUBSCRIPTIONS_DEFAULT);
	out->aliases_max = or_default(in->aliases_max, ALIASES_DEFAULT);
	out->nodes_max = or_default(
		in->nodes_max, (uint64_t)NODES_PER_SUB_DEFAULT * out->subscriptions_max + 1024);
	out->alias_holds_max =
		or_default(in->alias_holds_max, (uint64_t)HOLDS_PER_ALIAS * out->aliases_max);
	out->copies_max = or_default(in->copies_max, LIMIT_MAX);
	out->identical_max = or_default(in->identical_max, LIMIT_MAX);
	out->shapes_max = or_default(in->shapes_max, LIMIT_MAX);
	out->lengths_max = or_default(in->lengths_max, LIMIT_MAX);
	out->peer_percent = or_default(in->peer_percent, 100);
	if (out->subscriptions_max > LIMIT_MAX || out->aliases_max > LIMIT_MAX ||
		out->nodes_max > LIMIT_MAX || out->alias_holds_max > LIMIT_MAX)
		return -EINVAL;
	return 0;
}

/* True if a worker holds a route from before the token. Ask only after all workers have
 * reported. */
static bool is_held(const void *table, uint64_t token)
{
	const struct mr_table *t = table;

	for (unsigned i = 0; i < t->limits.workers; i++) {
		uint64_t held =
			atomic_load_explicit(&t->held[i], memory_order_acquire); /* [table.held] */

		if (held != 0 && held < token)
			return true;
	}
	return false;
}

static int open_parts(struct mr_table *t)
{
	const struct mr_hash_key *key = &t->nodes.hash_key;
	uint32_t records_max = t->limits.subscriptions_max + t->limits.alias_holds_max;
	int rc = mr_reclaim_init(&t->reclaim, t->qsbr, release_item, t);

	if (rc != 0)
		return rc;
	t->reclaim.held = is_held;
	rc = mr_nodes_init(&t->nodes, t->limits.nodes_max, &t->reclaim, RECLAIM_NODE, RECLAIM_MAP);
	if (rc != 0)
		goto fini_reclaim;
	rc = mr_groups_init(&t->groups, key, &t->reclaim, RECLAIM_GROUP);
	if (rc != 0)
		goto fini_nodes;
	rc = mr_aliases_init(&t->aliases, t->limits.aliases_max, key, &t->reclaim, RECLAIM_ALIAS);
	if (rc != 0)
		goto fini_groups;
	rc = mr_records_init(&t->records, records_max, key);
	if (rc != 0)
		goto fini_aliases;
	rc = mr_budget_init(t);
	if (rc == 0)
		return 0;
	mr_records_fini(&t->records);
fini_aliases:
	mr_aliases_fini(&t->aliases);
fini_groups:
	mr_groups_fini(&t->groups);
fini_nodes:
	mr_nodes_fini(&t->nodes);
fini_reclaim:
	mr_reclaim_fini(&t->reclaim);
	return rc;
}

bool mr_table_passed(const struct mr_table *t, uint64_t token)
{
	/* [table.grace] [table.held] */
	return rte_rcu_qsbr_check(t->qsbr, token, false) == 1 && !is_held(t, token);
}

int mr_table_new(
	const struct mr_table_limits *limits, struct rte_rcu_qsbr *qsbr, struct mr_table **out)
{
	struct mr_table_limits checked;
	int rc = limits_parse(limits, qsbr, &checked);

	if (rc != 0)
		return rc;
	struct mr_table *t = aligned_alloc(MR_CACHE_LINE, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	memset(t, 0, sizeof(*t));
	t->limits = checked;
	t->qsbr = qsbr;
	atomic_init(&t->version_all, 1);
	rc = open_parts(t);
	if (rc != 0) {
		free(t);
		return rc;
	}
	t->refusal = "";
	t->block_ops = (struct mr_block_ops){.reclaim = &t->reclaim,
		.reclaim_kind = RECLAIM_BLOCK,
		.moved = sink_moved,
		.arg = t,
		.memory_bytes = &t->block_bytes};
	*out = t;
	return 0;
}

void mr_table_free(struct mr_table *t)
{
	if (t == NULL)
		return;
	mr_reclaim_fini(&t->reclaim);
	mr_budget_fini(t);
	mr_records_fini(&t->records);
	mr_aliases_fini(&t->aliases);
	mr_groups_fini(&t->groups);
	mr_nodes_fini(&t->nodes);
	free(t);
}

/* A subscription, parsed once. */
struct spec {
	enum mr_sub_kind kind;
	const char *text;
	size_t bytes;
	bool wild;
	const void *group;
	size_t group_bytes;
	uint32_t asks; /* subset of MR_SINK_ASKS */
};

/* The name of a queue's own group: a byte that no client's name has, and the queue's number. */
struct queue_group {
	char name[1 + sizeof(uint32_t)];
};

static void name_queue_group(struct queue_group *g, const struct mr_owner *o, struct spec *s)
{
	if (o->slot != MR_OWNER_QUEUE)
		return;
	g->name[0] = 1;
	memcpy(g->name + 1, &o->generation, sizeof(o->generation));
	s->group = g->name;
	s->group_bytes = sizeof(g->name);
}

static bool has_wildcard(const char *text, size_t bytes)
{
	return mr_subject_parse(text, bytes) != MR_SUBJECT_OK;
}

static int spec_parse(struct spec *s)
{
	if (s->group_bytes > 0 && mr_group_parse(s->group, s->group_bytes) != MR_SUBJECT_OK)
		return -EINVAL;
	switch (s->kind) {
	case MR_SUB_PREFIX:
		return mr_prefix_parse(s->text, s->bytes) == MR_SUBJECT_OK ? 0 : -EINVAL;
	case MR_SUB_PATTERN:
		if (mr_pattern_parse(s->text, s->bytes) != MR_SUBJECT_OK)
			return -EINVAL;
		s->wild = has_wildcard(s->text, s->bytes);
		return 0;
	}
	return -EINVAL;
}

static void raise_version(_Atomic uint64_t *version)
{
	/* There is one writer, so no read-modify-write is needed. */
	uint64_t now = atomic_load_explicit(version, memory_order_relaxed);

	atomic_store_explicit(version, now + 1, memory_order_release); /* [table.version] */
}

static void raise_text(struct mr_table *t, const char *text, size_t bytes)
{
	uint64_t hash = mr_hash_text(&t->nodes.hash_key, text, bytes);

	raise_version(&t->versions[mr_table_bucket(hash)]);
}

/* Tells the routers which routes may be stale: those of one subject, of a first token, or all. */
static void raise_pattern(struct mr_table *t, const char *text, size_t bytes, bool prefix)
{
	size_t first = mr_table_token_bytes(text, bytes);
	bool first_wild = first == 1 && (text[0] == '*' || text[0] == '>');

	if (prefix || first_wild)
		raise_version(&t->version_all);
	else if (has_wildcard(text, bytes))
		raise_text(t, text, first);
	else
		raise_text(t, text, bytes);
}

/* Follows a path in the trie to its end. With `make`, missing nodes are made; on failure the caller
 * prunes `*node`, the last existing node. Without it, false: there is no such path. */
static bool follow_path(struct mr_table *t, const char *text, size_t bytes, bool make,
	uint32_t *node, bool *tail, int *rc)
{
	const char *end = text + bytes;
	uint32_t next = MR_NODE_ROOT;

	*tail = false;
	for (*node = next; text < end; *node = next) {
		size_t token = mr_table_token_bytes(text, (size_t)(end - text));
		if (token == 1 && *text == '>') {
			*tail = true;
			return true;
		}
		enum mr_node_kind kind = token == 1 && *text == '*' ? MR_NODE_STAR : MR_NODE_TOKEN;
		next = make ? mr_nodes_child(&t->nodes, *node, kind, text, token, rc)
			    : mr_nodes_find(&t->nodes, *node, text, token);
		if (next == 0)
			return false;
		text += token + 1;
	}
	return true;
}

static bool place_find(struct mr_table *t, const struct spec *s, uint32_t *node, bool *tail)
{
	int rc;

	*tail = false;
	if (s->wild)
		return follow_path(t, s->text, s->bytes, false, node, tail, &rc);
	*node = mr_nodes_find(&t->nodes,
		s->kind == MR_SUB_PREFIX ? MR_NODE_PREFIXES : MR_NODE_LITERALS, s->text, s->bytes);
	return *node != 0;
}

static int place_make(struct mr_table *t, const struct spec *s, uint32_t *node, bool *tail)
{
	int rc = 0;

	*tail = false;
	if (s->wild) {
		if (follow_path(t, s->text, s->bytes, true, node, tail, &rc))
			return 0;
		mr_nodes_prune(&t->nodes, *node);
		return rc;
	}
	*node = mr_nodes_child(&t->nodes,
		s->kind == MR_SUB_PREFIX ? MR_NODE_PREFIXES : MR_NODE_LITERALS, MR_NODE_FLAT,
		s->text, s->bytes, &rc);
	return *node != 0 ? 0 : rc;
}

static mr_block_link *list_of(struct mr_table *t, uint32_t node, bool tail)
{
	struct mr_node *at = mr_node_at(&t->nodes, node);

	return tail ? &at->tail : &at->exact;
}

/* Compares a subscription with the owner's existing one of the same sub_id: 0 if they are equal. */
static int same_again(struct mr_table *t, const struct mr_record *rec, const struct spec *s)
{
	uint32_t node;
	bool tail;
	uint16_t group = 0;

	if (s->group_bytes > 0) {
		group = mr_groups_find(&t->groups, s->group, s->group_bytes);
		if (group == 0)
			return -EEXIST;
	}
	if (!place_find(t, s, &node, &tail))
		return -EEXIST;
	return rec->node == node && rec->tail == tail && rec->group == group ? 0 : -EEXIST;
}

static void count_change(struct mr_table *t)
{
	t->changes++;
	if (t->reclaim.count >= RECLAIM_PENDING && t->changes % RECLAIM_PENDING == 0)
		mr_reclaim_run(&t->reclaim);
}

const char *mr_table_refusal(const struct mr_table *t)
{
	return t->refusal;
}

static void leave_group(struct mr_table *t, const struct mr_record *rec)
{
	mr_budget_group_give(t, rec);
	mr_groups_drop(&t->groups, rec->group);
}

static int join_group(struct mr_table *t, const struct spec *s, struct mr_record *rec)
{
	uint16_t group = mr_groups_find(&t->groups, s->group, s->group_bytes);
	int rc = mr_budget_group_check(t, rec, group);

	if (rc != 0)
		return rc;
	rec->group = mr_groups_take(&t->groups, s->group, s->group_bytes);
	if (rec->group == 0)
		return -ENOMEM;
	rc = mr_budget_group_take(t, rec);
	if (rc != 0)
		mr_groups_drop(&t->groups, rec->group);
	return rc;
}

static int add_sink(struct mr_table *t, const struct mr_block_new_sink *sink, struct mr_record *rec)
{
	int rc = mr_block_add(&t->block_ops, list_of(t, rec->node, rec->tail), sink, rec->group,
		mr_budget_groups_at(t, sink->owner->peer), &rec->position);

	if (rc == -ENOSPC)
		t->refusal = "no room for another queue group on this pattern (64)";
	return rc;
}

static int make_place(
	struct mr_table *t, const struct mr_owner *o, const struct spec *s, struct mr_record *rec)
{
	int rc;

	t->nodes.shapes.deep_max = mr_budget_shapes_deep(t, o->peer);
	rc = place_make(t, s, &rec->node, &rec->tail);
	if (rc == -ENOSPC)
		t->refusal =
			t->nodes.pool.used >= t->nodes.pool.items_max
				? "no room for the tokens of another pattern (4 times"
				  " tables.subscriptions_max)"
				: "no room for another place of '*' behind the eighth token of a"
				  " pattern (1,024)";
	return rc;
}

static int attach_record(struct mr_table *t, const struct mr_owner *o, uint32_t sub_id,
	const struct spec *s, struct mr_record *rec)
{
	int rc = mr_budget_path_check(t, rec, s->text, s->bytes, s->wild);

	if (rc == 0)
		rc = make_place(t, o, s, rec);
	if (rc != 0)
		return rc;
	rc = mr_budget_take(t, rec);
	if (rc != 0)
		goto prune_node;
	rc = s->group_bytes > 0 ? join_group(t, s, rec) : 0;
	if (rc != 0)
		goto give_back;
	rc = add_sink(t, &(struct mr_block_new_sink){o, sub_id, s->asks}, rec);
	if (rc == 0)
		return 0;
	if (rec->group != 0)
		leave_group(t, rec);
give_back:
	mr_budget_give(t, rec);
prune_node:
	mr_nodes_prune(&t->nodes, rec->node);
	return rc;
}

static int record_subscription(
	struct mr_table *t, const struct mr_owner *o, uint32_t sub_id, const struct spec *s)
{
	uint32_t record = mr_records_add(&t->records, o, MR_RECORD_SUBSCRIPTION, sub_id);
	int rc;

	if (record == 0)
		return -ENOMEM;
	rc = attach_record(t, o, sub_id, s, mr_record_at(&t->records, record));
	if (rc != 0)
		mr_records_remove(&t->records, record);
	return rc;
}

int mr_table_subscribe(struct mr_table *t, const struct mr_owner *o, uint32_t sub_id,
	enum mr_sub_kind kind, const void *text, size_t bytes, const void *group,
	size_t group_bytes)
{
	return mr_table_subscribe_row(t, &(struct mr_table_row){.owner = *o,
						 .sub_id = sub_id,
						 .kind = kind,
						 .text = text,
						 .text_bytes = bytes,
						 .group = group,
						 .group_bytes = group_bytes});
}

int mr_table_subscribe_row(struct mr_table *t, const struct mr_table_row *row)
{
	const struct mr_owner *o = &row->owner;
	uint32_t sub_id = row->sub_id;
	struct spec s = {row->kind, row->text, row->text_bytes, false, row->group, row->group_bytes,
		row->asks & MR_SINK_ASKS};
	uint32_t owner = mr_records_owner(&t->records, o);
	struct queue_group own;
	int rc = spec_parse(&s);

	name_queue_group(&own, o, &s);
	if (rc != 0 || o->worker >= t->limits.workers)
		return -EINVAL;
	uint32_t record =
		owner == 0 ? 0
			   : mr_records_find(&t->records, owner, MR_RECORD_SUBSCRIPTION, sub_id);
	if (record != 0)
		return same_again(t, mr_record_at(&t->records, record), &s);
	rc = mr_budget_subscription_take(t, o->peer);
	if (rc != 0)
		return rc;
	rc = record_subscription(t, o, sub_id, &s);
	if (rc != 0) {
		mr_budget_subscription_give(t, o->peer);
		return rc;
	}
	t->subscriptions++;
	raise_pattern(t, s.text, s.bytes, row->kind == MR_SUB_PREFIX);
	count_change(t);
	return 0;
}

static struct mr_sink *sink_of(struct mr_table *t, const struct mr_record *rec)
{
	return mr_block_sink(list_of(t, rec->node, rec->tail),
		mr_owner_at(&t->records, rec->owner)->worker, rec->group, rec->position);
}

int mr_table_high_water(
	struct mr_table *t, const struct mr_owner *o, uint32_t sub_id, uint8_t high_water)
{
	uint32_t owner = mr_records_owner(&t->records, o);
	uint32_t record =
		owner == 0 ? 0
			   : mr_records_find(&t->records, owner, MR_RECORD_SUBSCRIPTION, sub_id);
	struct mr_sink *sink;
	uint32_t flags;

	if (record == 0)
		return -ENOENT;
	if (high_water > MR_HIGH_WATER_MAX)
		return -EINVAL;
	sink = sink_of(t, mr_record_at(&t->records, record));
	flags = atomic_load_explicit(&sink->flags, memory_order_relaxed);
	flags &= ~(0xffu << MR_SINK_HIGH_WATER_SHIFT);
	/* The table writer is the only writer of flags. */
	atomic_store_explicit(&sink->flags,
		flags | (uint32_t)high_water << MR_SINK_HIGH_WATER_SHIFT, memory_order_relaxed);
	return 0;
}

static void detach_record(struct mr_table *t, const struct mr_record *rec)
{
	char text[MR_SUBJECT_BYTES_MAX];
	size_t bytes = mr_nodes_text(&t->nodes, rec->node, rec->tail, text);
	bool prefix = mr_node_at(&t->nodes, rec->node)->parent == MR_NODE_PREFIXES;
	const struct mr_owner_record *own = mr_owner_at(&t->records, rec->owner);

	mr_budget_give(t, rec);
	mr_budget_subscription_give(t, own->peer);
	if (mr_block_remove(&t->block_ops, list_of(t, rec->node, rec->tail), own->worker,
		    rec->group, rec->position)) {
		mr_nodes_prune(&t->nodes, rec->node);
		raise_pattern(t, text, bytes, prefix);
	}
	if (rec->group != 0)
		leave_group(t, rec);
	t->subscriptions--;
}

bool mr_table_is_member(const struct mr_table *t, const struct mr_owner *o, uint32_t sub_id)
{
	uint32_t owner = mr_records_owner(&t->records, o);
	uint32_t record =
		owner == 0 ? 0
			   : mr_records_find(&t->records, owner, MR_RECORD_SUBSCRIPTION, sub_id);

	return record != 0 && mr_record_at(&t->records, record)->group != 0;
}

int mr_table_unsubscribe(struct mr_table *t, const struct mr_owner *o, uint32_t sub_id)
{
	uint32_t owner = mr_records_owner(&t->records, o);
	uint32_t record =
		owner == 0 ? 0
			   : mr_records_find(&t->records, owner, MR_RECORD_SUBSCRIPTION, sub_id);

	if (record == 0)
		return -ENOENT;
	detach_record(t, mr_record_at(&t->records, record));
	mr_records_remove(&t->records, record);
	count_change(t);
	return 0;
}

static void alias_drop(struct mr_table *t, uint32_t number)
{
	struct mr_alias *alias = mr_alias_at(&t->aliases, number);

	if (alias->holds > 0)
		return;
	mr_aliases_unassign(&t->aliases, alias);
	raise_version(&t->versions[mr_table_bucket(alias->hash)]);
	mr_reclaim_defer(&t->reclaim, RECLAIM_ALIAS, (uintptr_t)alias);
}

static void alias_release_hold(struct mr_table *t, const struct mr_record *rec)
{
	mr_budget_alias_give(t, mr_owner_at(&t->records, rec->owner)->peer, rec->id);
	t->alias_holds--;
	mr_alias_at(&t->aliases, rec->id)->holds--;
	alias_drop(t, rec->id);
}

unsigned mr_table_drop_owner(struct mr_table *t, const struct mr_owner *o)
{
	uint32_t owner = mr_records_owner(&t->records, o);
	unsigned count = 0;

	while (owner != 0) {
		uint32_t record = mr_owner_at(&t->records, owner)->first;
		const struct mr_record *rec = mr_record_at(&t->records, record);
		bool last = rec->after == 0;
		if (rec->kind == MR_RECORD_SUBSCRIPTION)
			detach_record(t, rec);
		else
			alias_release_hold(t, rec);
		mr_records_remove(&t->records, record);
		count_change(t);
		count++;
		if (last)
			break;
	}
	return count;
}

unsigned mr_table_drop_subscriptions(struct mr_table *t, const struct mr_owner *o)
{
	uint32_t owner = mr_records_owner(&t->records, o);
	uint32_t record = owner != 0 ? mr_owner_at(&t->records, owner)->first : 0;
	unsigned count = 0;

	/* The owner ends with its last record, so it is not read again. */
	while (record != 0) {
		const struct mr_record *rec = mr_record_at(&t->records, record);
		uint32_t after = rec->after;

		if (rec->kind == MR_RECORD_SUBSCRIPTION) {
			detach_record(t, rec);
			mr_records_remove(&t->records, record);
			count_change(t);
			count++;
		}
		record = after;
	}
	return count;
}

static int alias_hold(struct mr_table *t, const struct mr_owner *o, uint32_t number)
{
	int rc = mr_budget_alias_take(t, o->peer, number);

	if (rc != 0)
		return rc;
	if (mr_records_add(&t->records, o, MR_RECORD_ALIAS, number) == 0) {
		mr_budget_alias_give(t, o->peer, number);
		return -ENOMEM;
	}
	mr_alias_at(&t->aliases, number)->holds++;
	t->alias_holds++;
	return 0;
}

int mr_table_alias_acquire(struct mr_table *t, const struct mr_owner *o, const void *subject,
	size_t bytes, uint32_t *alias)
{
	uint32_t owner = mr_records_owner(&t->records, o);
	int rc = 0;

	if (mr_subject_parse(subject, bytes) != MR_SUBJECT_OK || o->worker >= t->limits.workers)
		return -EINVAL;
	t->refusal = "no room for another alias (tables.aliases_max)";
	uint32_t number = mr_aliases_find(&t->aliases, subject, bytes);
	if (number != 0 && owner != 0 &&
		mr_records_find(&t->records, owner, MR_RECORD_ALIAS, number) != 0) {
		*alias = number;
		return 0;
	}
	rc = mr_budget_alias_check(t, o->peer, number);
	if (rc != 0)
		return rc;
	number = mr_aliases_take(&t->aliases, subject, bytes, &rc);
	if (number == 0)
		return rc;
	count_change(t);
	rc = alias_hold(t, o, number);
	if (rc != 0)
		alias_drop(t, number);
	*alias = number;
	return rc;
}

int mr_table_alias_release(struct mr_table *t, const struct mr_owner *o, uint32_t alias)
{
	uint32_t owner = mr_records_owner(&t->records, o);
	uint32_t record =
		owner == 0 ? 0 : mr_records_find(&t->records, owner, MR_RECORD_ALIAS, alias);

	if (record == 0)
		return -ENOENT;
	alias_release_hold(t, mr_record_at(&t->records, record));
	mr_records_remove(&t->records, record);
	count_change(t);
	return 0;
}

unsigned mr_table_reclaim(struct mr_table *t)
{
	return mr_reclaim_run(&t->reclaim);
}

static void row_fill(struct mr_table *t, const struct mr_record *rec,
	char text[static MR_SUBJECT_BYTES_MAX], struct mr_table_row *row)
{
	const struct mr_owner_record *own = mr_owner_at(&t->records, rec->owner);
	const struct mr_node *node = mr_node_at(&t->nodes, rec->node);

	*row = (struct mr_table_row){
		.owner = {.worker = own->worker, .slot = own->slot, .generation = own->generation},
		.sub_id = rec->id,
		.kind = node->parent == MR_NODE_PREFIXES ? MR_SUB_PREFIX : MR_SUB_PATTERN,
		.text = text,
		.text_bytes = mr_nodes_text(&t->nodes, rec->node, rec->tail, text),
		.high_water = (uint8_t)mr_sink_high_water(
			atomic_load_explicit(&sink_of(t, rec)->flags, memory_order_relaxed)),
	};
	if (rec->group != 0 && own->slot != MR_OWNER_QUEUE) {
		const struct mr_group *group = mr_group_at(&t->groups, rec->group);
		row->group = group->name;
		row->group_bytes = group->bytes;
	}
}

void mr_table_each(
	struct mr_table *t, bool (*visit)(void *arg, const struct mr_table_row *row), void *arg)
{
	char text[MR_SUBJECT_BYTES_MAX];
	struct mr_table_row row;

	for (uint32_t i = 1; i < t->records.records.fresh; i++) {
		const struct mr_record *rec = mr_record_at(&t->records, i);
		if (rec->kind != MR_RECORD_SUBSCRIPTION)
			continue;
		row_fill(t, rec, text, &row);
		if (!visit(arg, &row))
			return;
	}
}

static size_t memory_bytes(const struct mr_table *t)
{
	return sizeof(*t) + mr_pool_memory_bytes(&t->nodes.pool) + t->nodes.memory_bytes +
	       mr_records_memory_bytes(&t->records) + mr_budget_memory_bytes(t) +
	       mr_pool_memory_bytes(&t->groups.pool) + mr_index_memory_bytes(&t->groups.index) +
	       t->aliases.memory_bytes + mr_index_memory_bytes(&t->aliases.index) + t->block_bytes +
	       mr_reclaim_memory_bytes(&t->reclaim);
}

void mr_table_stats_get(const struct mr_table *t, struct mr_table_stats *out)
{
	*out = (struct mr_table_stats){
		.subscriptions = t->subscriptions,
		.owners = t->records.owner_index.count,
		.nodes = t->nodes.pool.used - 1,
		.shapes = t->nodes.shapes.used,
		.groups = t->groups.index.count,
		.aliases = t->aliases.used,
		.alias_holds = t->alias_holds,
		.pending_reclaim = t->reclaim.count,
		.reclaimed = t->reclaim.released,
		.leaked = t->reclaim.leaked,
		.changes = t->changes,
		.memory_bytes = memory_bytes(t),
	};
}
