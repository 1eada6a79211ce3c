/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/budget.h"

#include <errno.h>

/* Initial and largest number of peers' counts. Other limits bound them. */
#define PEERS_FIRST 64u
#define PEERS_MAX   (1u << 28)
#define USES_MAX    (1u << 28)

/* The counts of a peer: its items of each kind, and its uses of each item. */
enum peer_kind {
	PEER_SUBSCRIPTIONS,
	PEER_HOLDS,
	PEER_ALIASES,
	PEER_ALIAS,
	PEER_NODES,
	PEER_SHAPES,
	PEER_SHAPE,
	PEER_LENGTHS,
	PEER_LENGTH,
	PEER_GROUPS,
	PEER_GROUP,
	PEER_GROUPS_AT, /* groups on one pattern */
	PEER_GROUP_AT,
	PEER_IDENTICAL, /* subscriptions at one place, beyond the first of each session */
};

/* A peer may have this many times the limit of one session. */
#define IDENTICAL_OF_PEER 16u

/* Returns a bound of the uses: each subscription uses a pattern, and up to one shape or length for
 * each of its owner's. */
static uint32_t uses_max(const struct mr_table *t)
{
	uint64_t most = (uint64_t)t->limits.subscriptions_max * 2 + MR_TABLE_SHAPES_MAX;

	return most < USES_MAX ? (uint32_t)most : USES_MAX;
}

int mr_budget_init(struct mr_table *t)
{
	const struct mr_table_limits *l = &t->limits;
	int rc = mr_uses_init(&t->uses, uses_max(t), &t->nodes.hash_key);

	if (rc != 0)
		return rc;
	t->bounds = (struct mr_table_bounds){
		.subscriptions = mr_share_bound(l->subscriptions_max, l->peer_percent),
		.aliases = mr_share_bound(l->aliases_max, l->peer_percent),
		.holds = mr_share_bound(l->alias_holds_max, l->peer_percent),
		.nodes = mr_share_bound(l->nodes_max, l->peer_percent),
		.shapes = mr_share_bound(MR_TABLE_SHAPES_DEEP, l->peer_percent),
		.lengths = mr_share_bound(MR_SUBJECT_BYTES_MAX + 1, l->peer_percent),
		.groups = mr_share_bound(MR_TABLE_GROUPS_MAX, l->peer_percent),
		.groups_at = mr_share_bound(MR_TABLE_GROUPS_PER_PATTERN, l->peer_percent),
	};
	rc = mr_shares_init(&t->peers, PEERS_FIRST, PEERS_MAX);
	if (rc != 0)
		mr_uses_fini(&t->uses);
	return rc;
}

void mr_budget_fini(struct mr_table *t)
{
	mr_shares_fini(&t->peers);
	mr_uses_fini(&t->uses);
}

size_t mr_budget_memory_bytes(const struct mr_table *t)
{
	return mr_uses_memory_bytes(&t->uses) + mr_shares_memory_bytes(&t->peers);
}

static uint64_t peer_of(const struct mr_table *t, const struct mr_record *rec)
{
	return mr_owner_at(&t->records, rec->owner)->peer;
}

static int refuse_with(struct mr_table *t, int error, const char *why)
{
	t->refusal = why;
	return error;
}

/* Counts one more; `why` is the refusal if the peer has its share. */
static int peer_take(
	struct mr_table *t, uint64_t peer, uint64_t of, uint64_t share, const char *why)
{
	int rc = mr_share_take(&t->peers, peer, of, 1, share);

	return rc == -EDQUOT ? refuse_with(t, rc, why) : rc;
}

/* Counts one more use of an item. The first use also takes one of the peer's share of all such
 * items. */
static int item_take(struct mr_table *t, uint64_t peer, uint64_t item, uint64_t all,
	const struct mr_share_bound *bound, const char *why)
{
	bool first = mr_share_count(&t->peers, peer, item) == 0;
	int rc = first ? peer_take(t, peer, all, bound->share, why) : 0;

	if (rc != 0)
		return rc;
	rc = mr_share_take(&t->peers, peer, item, 1, UINT64_MAX);
	if (rc != 0 && first)
		mr_share_give(&t->peers, peer, all, 1);
	return rc;
}

static void item_give(struct mr_table *t, uint64_t peer, uint64_t item, uint64_t all)
{
	mr_share_give(&t->peers, peer, item, 1);
	if (mr_share_count(&t->peers, peer, item) == 0)
		mr_share_give(&t->peers, peer, all, 1);
}

int mr_budget_subscription_take(struct mr_table *t, uint64_t peer)
{
	t->refusal = "no room for another subscription (tables.subscriptions_max)";
	if (mr_share_none_left(&t->bounds.subscriptions, peer, t->subscriptions))
		return -ENOSPC;
	return peer_take(t, peer, MR_SHARE_OF(PEER_SUBSCRIPTIONS, 0), t->bounds.subscriptions.share,
		"this host or user has its share of the subscriptions (peers.share_percent of"
		" tables.subscriptions_max)");
}

void mr_budget_subscription_give(struct mr_table *t, uint64_t peer)
{
	mr_share_give(&t->peers, peer, MR_SHARE_OF(PEER_SUBSCRIPTIONS, 0), 1);
}

#define ALIASES_USED_UP                                                                            \
	"this host or user has its share of the aliases (peers.share_percent of tables.aliases_max)"

int mr_budget_alias_check(struct mr_table *t, uint64_t peer, uint32_t number)
{
	uint64_t in_use = t->limits.aliases_max - mr_aliases_left(&t->aliases);
	uint64_t have = mr_share_count(&t->peers, peer, MR_SHARE_OF(PEER_ALIASES, 0));

	if (mr_share_none_left(&t->bounds.holds, peer, t->alias_holds) ||
		(number == 0 && mr_share_none_left(&t->bounds.aliases, peer, in_use)))
		return -ENOSPC;
	if (number == 0 && have >= t->bounds.aliases.share)
		return refuse_with(t, -EDQUOT, ALIASES_USED_UP);
	return 0;
}

int mr_budget_alias_take(struct mr_table *t, uint64_t peer, uint32_t number)
{
	int rc = peer_take(t, peer, MR_SHARE_OF(PEER_HOLDS, 0), t->bounds.holds.share,
		"the sessions of this host or user hold too many aliases (peers.share_percent of"
		" 16 times tables.aliases_max)");

	if (rc != 0)
		return rc;
	rc = item_take(t, peer, MR_SHARE_OF(PEER_ALIAS, number), MR_SHARE_OF(PEER_ALIASES, 0),
		&t->bounds.aliases, ALIASES_USED_UP);
	if (rc != 0)
		mr_share_give(&t->peers, peer, MR_SHARE_OF(PEER_HOLDS, 0), 1);
	return rc;
}

void mr_budget_alias_give(struct mr_table *t, uint64_t peer, uint32_t number)
{
	item_give(t, peer, MR_SHARE_OF(PEER_ALIAS, number), MR_SHARE_OF(PEER_ALIASES, 0));
	mr_share_give(&t->peers, peer, MR_SHARE_OF(PEER_HOLDS, 0), 1);
}

static uint32_t place_id(const struct mr_record *rec)
{
	return rec->node << 1 | rec->tail;
}

static bool is_starred(const struct mr_table *t, const struct mr_node *node)
{
	return node->kind != MR_NODE_FLAT && t->nodes.shapes.at[node->shape].starred;
}

#define SHAPES_USED_UP                                                                             \
	"the patterns of this host or user have '*' in too many different places"                  \
	" (peers.share_percent of 1,024)"
#define LENGTHS_USED_UP                                                                            \
	"the prefixes of this host or user have too many different lengths (peers.share_percent"   \
	" of 256)"
#define NODES_USED_UP                                                                              \
	"the patterns of this host or user have too many tokens (peers.share_percent of 4 times"   \
	" tables.subscriptions_max)"

/* Counts a use of a shape or length by the owner; the first use counts for the owner's peer too. */
static int use_add(struct mr_table *t, uint32_t owner, enum mr_use_kind kind, uint32_t id)
{
	bool shape = kind == MR_USE_SHAPE;
	uint32_t count = mr_uses_add(&t->uses, owner, kind, id);
	int rc;

	if (count != 1)
		return count == 0 ? -ENOMEM : 0;
	rc = item_take(t, mr_owner_at(&t->records, owner)->peer,
		MR_SHARE_OF(shape ? PEER_SHAPE : PEER_LENGTH, id),
		MR_SHARE_OF(shape ? PEER_SHAPES : PEER_LENGTHS, 0),
		shape ? &t->bounds.shapes : &t->bounds.lengths,
		shape ? SHAPES_USED_UP : LENGTHS_USED_UP);
	if (rc != 0)
		(void)mr_uses_drop(&t->uses, owner, kind, id);
	return rc;
}

/* Uncounts a use. True if the owner has no other use of the item. */
static bool use_drop(struct mr_table *t, uint32_t owner, enum mr_use_kind kind, uint32_t id)
{
	bool shape = kind == MR_USE_SHAPE;

	if (mr_uses_drop(&t->uses, owner, kind, id) > 0)
		return false;
	item_give(t, mr_owner_at(&t->records, owner)->peer,
		MR_SHARE_OF(shape ? PEER_SHAPE : PEER_LENGTH, id),
		MR_SHARE_OF(shape ? PEER_SHAPES : PEER_LENGTHS, 0));
	return true;
}

/* Uncounts the shapes of the path from `node` up to, not including, `end`. */
static void drop_shapes(struct mr_table *t, uint32_t owner, uint32_t node, uint32_t end)
{
	for (; node != end; node = mr_node_at(&t->nodes, node)->parent) {
		const struct mr_node *at = mr_node_at(&t->nodes, node);

		if (is_starred(t, at) && use_drop(t, owner, MR_USE_SHAPE, at->shape))
			mr_owner_at(&t->records, owner)->shapes--;
	}
}

/* Counts a shape for the owner; mr_budget_path_check has compared it with the limits. */
static int use_shape(struct mr_table *t, uint32_t owner, uint16_t shape)
{
	bool first = mr_uses_count(&t->uses, owner, MR_USE_SHAPE, shape) == 0;
	int rc = use_add(t, owner, MR_USE_SHAPE, shape);

	if (rc == 0 && first)
		mr_owner_at(&t->records, owner)->shapes++;
	return rc;
}

static int use_shapes(struct mr_table *t, uint32_t owner, uint32_t first)
{
	uint32_t node = first;

	for (; node != MR_NODE_ROOT; node = mr_node_at(&t->nodes, node)->parent) {
		const struct mr_node *at = mr_node_at(&t->nodes, node);
		int rc = is_starred(t, at) ? use_shape(t, owner, at->shape) : 0;

		if (rc != 0) {
			drop_shapes(t, owner, first, node);
			return rc;
		}
	}
	return 0;
}

static int use_length(struct mr_table *t, uint32_t owner, uint32_t bytes)
{
	struct mr_owner_record *own = mr_owner_at(&t->records, owner);
	bool first = mr_uses_count(&t->uses, owner, MR_USE_LENGTH, bytes) == 0;
	int rc;

	if (first && own->lengths >= t->limits.lengths_max)
		return refuse_with(t, -ENOSPC,
			"this client's prefixes have too many different lengths"
			" (tables.prefix_lengths_per_client_max)");
	rc = use_add(t, owner, MR_USE_LENGTH, bytes);
	if (rc == 0)
		own->lengths += first;
	return rc;
}

static int use_path(struct mr_table *t, uint32_t owner, uint32_t node)
{
	const struct mr_node *at = mr_node_at(&t->nodes, node);

	if (at->kind != MR_NODE_FLAT)
		return use_shapes(t, owner, node);
	return at->parent == MR_NODE_PREFIXES ? use_length(t, owner, at->bytes) : 0;
}

static void drop_path(struct mr_table *t, uint32_t owner, uint32_t node)
{
	const struct mr_node *at = mr_node_at(&t->nodes, node);

	if (at->kind != MR_NODE_FLAT)
		drop_shapes(t, owner, node, MR_NODE_ROOT);
	else if (at->parent == MR_NODE_PREFIXES && use_drop(t, owner, MR_USE_LENGTH, at->bytes))
		mr_owner_at(&t->records, owner)->lengths--;
}

/* The cost of a new path. */
struct path_cost {
	uint32_t tokens;
	uint32_t own_shapes;  /* starred shapes new to the owner */
	uint32_t peer_shapes; /* starred shapes new to its peer */
};

static struct path_cost cost_of(
	const struct mr_table *t, const struct mr_record *rec, const char *text, size_t bytes)
{
	struct path_cost cost = {0};
	uint16_t shape = MR_SHAPE_ROOT;
	bool starred = false;

	for (const char *end = text + bytes; text < end;) {
		size_t token = mr_table_token_bytes(text, (size_t)(end - text));
		bool star = token == 1 && *text == '*';

		if (token == 1 && *text == '>')
			break;
		starred |= star;
		if (shape != 0)
			shape = mr_shape_child(mr_shapes_below(&t->nodes.shapes, shape), star);
		cost.tokens++;
		if (starred && mr_uses_count(&t->uses, rec->owner, MR_USE_SHAPE, shape) == 0)
			cost.own_shapes++;
		if (starred && mr_share_count(&t->peers, peer_of(t, rec),
				       MR_SHARE_OF(PEER_SHAPE, shape)) == 0)
			cost.peer_shapes++;
		text += token + 1;
	}
	return cost;
}

/* Checks the limits of a peer other than the bus's own. */
static int peer_path_check(struct mr_table *t, uint64_t peer, const struct path_cost *cost)
{
	const struct mr_share_bound *nodes = &t->bounds.nodes;

	if (mr_share_count(&t->peers, peer, MR_SHARE_OF(PEER_NODES, 0)) + cost->tokens >
		nodes->share)
		return refuse_with(t, -EDQUOT, NODES_USED_UP);
	if (mr_share_count(&t->peers, peer, MR_SHARE_OF(PEER_SHAPES, 0)) + cost->peer_shapes >
		t->bounds.shapes.share)
		return refuse_with(t, -EDQUOT, SHAPES_USED_UP);
	if (t->nodes.pool.used + cost->tokens + nodes->reserve > nodes->max)
		return refuse_with(t, -ENOSPC,
			"no room for the tokens of another pattern (4 times"
			" tables.subscriptions_max)");
	return 0;
}

int mr_budget_path_check(
	struct mr_table *t, const struct mr_record *rec, const char *text, size_t bytes, bool wild)
{
	struct path_cost cost = {.tokens = 1};
	uint64_t peer = peer_of(t, rec);

	if (wild)
		cost = cost_of(t, rec, text, bytes);
	if (mr_owner_at(&t->records, rec->owner)->shapes + cost.own_shapes > t->limits.shapes_max)
		return refuse_with(t, -ENOSPC,
			"this client's patterns have '*' in too many different places"
			" (tables.shapes_per_client_max)");
	return peer == MR_PEER_OWN ? 0 : peer_path_check(t, peer, &cost);
}

uint16_t mr_budget_shapes_deep(const struct mr_table *t, uint64_t peer)
{
	const struct mr_share_bound *b = &t->bounds.shapes;

	return (uint16_t)(b->max - (peer == MR_PEER_OWN ? 0 : b->reserve));
}

static uint32_t depth_of(const struct mr_table *t, uint32_t node)
{
	const struct mr_node *at = mr_node_at(&t->nodes, node);

	return at->kind == MR_NODE_FLAT ? 1 : t->nodes.shapes.at[at->shape].depth;
}

static uint64_t identical_at(const struct mr_record *rec)
{
	return MR_SHARE_OF(PEER_IDENTICAL, place_id(rec));
}

/* Counts a further subscription of a session at one place: each is one more copy of every message,
 * and a peer may have many sessions. */
static int use_identical(struct mr_table *t, const struct mr_record *rec)
{
	return peer_take(t, peer_of(t, rec), identical_at(rec),
		(uint64_t)t->limits.identical_max * IDENTICAL_OF_PEER,
		"the sessions of this host or user have too many subscriptions to this pattern"
		" beside the first of each (16 times tables.identical_per_client_max)");
}

/* Uncounts one; `identical`: it was not the first of its session. */
static void drop_pattern(struct mr_table *t, const struct mr_record *rec, bool identical)
{
	(void)mr_uses_drop(&t->uses, rec->owner, MR_USE_PATTERN, place_id(rec));
	if (identical)
		mr_share_give(&t->peers, peer_of(t, rec), identical_at(rec), 1);
}

static int use_pattern(struct mr_table *t, const struct mr_record *rec)
{
	uint32_t count = mr_uses_add(&t->uses, rec->owner, MR_USE_PATTERN, place_id(rec));
	int rc = 0;

	if (count == 0)
		return -ENOMEM;
	if (count > t->limits.identical_max)
		rc = refuse_with(t, -ENOSPC,
			"this client has too many subscriptions to this pattern"
			" (tables.identical_per_client_max)");
	else if (count > 1)
		rc = use_identical(t, rec);
	if (rc != 0) {
		drop_pattern(t, rec, false);
		return rc;
	}
	rc = use_path(t, rec->owner, rec->node);
	if (rc != 0)
		drop_pattern(t, rec, count > 1);
	return rc;
}

/* Counts the whole path for the peer, including nodes that other paths share. */
int mr_budget_take(struct mr_table *t, const struct mr_record *rec)
{
	uint64_t nodes = depth_of(t, rec->node);
	int rc = mr_share_take(&t->peers, peer_of(t, rec), MR_SHARE_OF(PEER_NODES, 0), nodes,
		t->bounds.nodes.share);

	if (rc != 0)
		return rc;
	rc = use_pattern(t, rec);
	if (rc != 0)
		mr_share_give(&t->peers, peer_of(t, rec), MR_SHARE_OF(PEER_NODES, 0), nodes);
	return rc;
}

void mr_budget_give(struct mr_table *t, const struct mr_record *rec)
{
	uint32_t count = mr_uses_count(&t->uses, rec->owner, MR_USE_PATTERN, place_id(rec));

	drop_path(t, rec->owner, rec->node);
	drop_pattern(t, rec, count > 1);
	mr_share_give(
		&t->peers, peer_of(t, rec), MR_SHARE_OF(PEER_NODES, 0), depth_of(t, rec->node));
}

static uint64_t groups_at(const struct mr_record *rec)
{
	return MR_SHARE_OF(PEER_GROUPS_AT, place_id(rec));
}

static uint64_t group_at(const struct mr_record *rec, uint16_t group)
{
	return MR_SHARE_OF(PEER_GROUP_AT, (uint64_t)place_id(rec) << 16 | group);
}

#define GROUPS_USED_UP                                                                             \
	"this host or user has its share of the queue groups (peers.share_percent of 65,534)"
#define GROUPS_AT_USED_UP                                                                          \
	"this host or user has its share of the queue groups on this pattern (peers.share_percent" \
	" of 64)"

/* True if the item is new to the peer and its share is used up. */
static bool has_share(const struct mr_table *t, uint64_t peer, uint64_t item, uint64_t all,
	const struct mr_share_bound *bound)
{
	return mr_share_count(&t->peers, peer, item) == 0 &&
	       mr_share_count(&t->peers, peer, all) >= bound->share;
}

int mr_budget_group_check(struct mr_table *t, const struct mr_record *rec, uint16_t group)
{
	uint64_t peer = peer_of(t, rec);

	if (has_share(t, peer, MR_SHARE_OF(PEER_GROUP, group), MR_SHARE_OF(PEER_GROUPS, 0),
		    &t->bounds.groups))
		return refuse_with(t, -EDQUOT, GROUPS_USED_UP);
	if (has_share(t, peer, group_at(rec, group), groups_at(rec), &t->bounds.groups_at))
		return refuse_with(t, -EDQUOT, GROUPS_AT_USED_UP);
	if (group == 0 && mr_share_none_left(&t->bounds.groups, peer, t->groups.pool.used))
		return refuse_with(t, -ENOSPC, "no room for another queue group (65,534 names)");
	return 0;
}

int mr_budget_group_take(struct mr_table *t, const struct mr_record *rec)
{
	uint64_t peer = peer_of(t, rec);
	uint64_t item = MR_SHARE_OF(PEER_GROUP, rec->group), all = MR_SHARE_OF(PEER_GROUPS, 0);
	int rc = item_take(t, peer, item, all, &t->bounds.groups, GROUPS_USED_UP);

	if (rc != 0)
		return rc;
	rc = item_take(t, peer, group_at(rec, rec->group), groups_at(rec), &t->bounds.groups_at,
		GROUPS_AT_USED_UP);
	if (rc != 0)
		item_give(t, peer, item, all);
	return rc;
}

void mr_budget_group_give(struct mr_table *t, const struct mr_record *rec)
{
	uint64_t peer = peer_of(t, rec);

	item_give(t, peer, group_at(rec, rec->group), groups_at(rec));
	item_give(t, peer, MR_SHARE_OF(PEER_GROUP, rec->group), MR_SHARE_OF(PEER_GROUPS, 0));
}

unsigned mr_budget_groups_at(const struct mr_table *t, uint64_t peer)
{
	const struct mr_share_bound *b = &t->bounds.groups_at;

	return (unsigned)(b->max - (peer == MR_PEER_OWN ? 0 : b->reserve));
}
