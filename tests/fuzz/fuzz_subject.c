/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_subject: the parsers, and the tables against the plain reference.
 *
 * The input is a program of lines, each an operation letter and a text:
 *   sTEXT  subscribe to a pattern      gTEXT  the same in a queue group
 *   pTEXT  subscribe to a byte prefix  uB     unsubscribe the subscription of this byte's number
 *   qTEXT  publish: the route must equal the reference's
 *   aTEXT  take an alias and look it up    .  quiescent report and reclamation
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#include "lib/base/compiler.h"
#include "dataplane/subject/router.h"
#include "dataplane/subject/table.h"
#include "tests/unit/subject/reference.h"

#define SUBS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct sub {
	const char *text;
	size_t bytes;
	bool live;
	bool prefix;
	bool grouped;
};

struct rig {
	struct rte_rcu_qsbr *qsbr;
	struct mr_table *table;
	struct mr_router *router;
	struct sub subs[SUBS_MAX];
	uint32_t count;
};

static const struct mr_owner owner = {.worker = 0, .slot = 3, .generation = 4};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void rig_open(struct rig *rig)
{
	struct mr_table_limits limits = {.workers = 1, .subscriptions_max = 256, .aliases_max = 8};

	rig->qsbr = aligned_alloc(MR_CACHE_LINE, rte_rcu_qsbr_get_memsize(1));
	check(rig->qsbr != NULL && rte_rcu_qsbr_init(rig->qsbr, 1) == 0);
	check(mr_table_new(&limits, rig->qsbr, &rig->table) == 0);
	check(mr_router_new(rig->table, 0, 8, &rig->router) == 0);
	mr_router_online(rig->router);
}

static void rig_close(struct rig *rig)
{
	mr_router_free(rig->router);
	mr_table_free(rig->table);
	free(rig->qsbr);
}

static void check_parsers(const char *text, size_t bytes)
{
	enum mr_subject_fault subject = mr_subject_parse(text, bytes);

	check((mr_subject_check(text, bytes) == 0) == (subject == MR_SUBJECT_OK));
	check(mr_subject_fault_text(subject) != NULL);
	/* Every subject is also a pattern, and a prefix of itself. */
	if (subject == MR_SUBJECT_OK) {
		check(mr_pattern_parse(text, bytes) == MR_SUBJECT_OK);
		check(mr_prefix_parse(text, bytes) == MR_SUBJECT_OK);
	}
	if (subject == MR_SUBJECT_WILDCARD)
		check(mr_pattern_parse(text, bytes) != MR_SUBJECT_WILDCARD);
	mr_group_parse(text, bytes);
}

static void subscribe(struct rig *rig, char op, const char *text, size_t bytes)
{
	struct sub s = {text, bytes, true, op == 'p', op == 'g'};
	enum mr_sub_kind kind = s.prefix ? MR_SUB_PREFIX : MR_SUB_PATTERN;
	enum mr_subject_fault fault =
		s.prefix ? mr_prefix_parse(text, bytes) : mr_pattern_parse(text, bytes);

	if (rig->count == SUBS_MAX)
		return;
	int rc = mr_table_subscribe(
		rig->table, &owner, rig->count, kind, text, bytes, "group", s.grouped ? 5 : 0);
	check((rc == -EINVAL) == (fault != MR_SUBJECT_OK));
	if (rc != 0)
		return;
	check(mr_table_subscribe(rig->table, &owner, rig->count, kind, text, bytes, "group",
		      s.grouped ? 5 : 0) == 0);
	rig->subs[rig->count++] = s;
}

static void unsubscribe(struct rig *rig, uint8_t byte)
{
	uint32_t id = byte % SUBS_MAX;
	bool live = id < rig->count && rig->subs[id].live;

	check(mr_table_unsubscribe(rig->table, &owner, id) == (live ? 0 : -ENOENT));
	if (live)
		rig->subs[id].live = false;
}

static uint64_t found_in(const struct mr_sink_span *spans, uint32_t count)
{
	uint64_t found = 0;

	for (uint32_t s = 0; s < count; s++) {
		for (uint32_t i = 0; i < spans[s].count; i++) {
			const struct mr_sink *sink = &spans[s].sinks[i];
			uint64_t bit = UINT64_C(1) << sink->sub_id;
			check(sink->sub_id < SUBS_MAX && sink->slot == owner.slot);
			if (!mr_sink_live(sink))
				continue;
			check(!(found & bit));
			found |= bit;
		}
	}
	return found;
}

static void check_route(
	const struct rig *rig, const struct mr_route *route, const char *text, size_t bytes)
{
	uint64_t plain = 0, grouped = 0;

	check(route->bytes == bytes && memcmp(route->subject, text, bytes) == 0);
	for (uint32_t i = 0; i < rig->count; i++) {
		const struct sub *s = &rig->subs[i];
		bool match = s->prefix ? reference_prefix_matches(s->text, s->bytes, text, bytes)
				       : reference_pattern_matches(s->text, s->bytes, text, bytes);
		if (s->live && match)
			*(s->grouped ? &grouped : &plain) |= UINT64_C(1) << i;
	}
	check(found_in(route->spans, route->span_count) == plain);
	check(route->group_count == (grouped != 0));
	check(route->workers == 0 && route->interest == ((plain | grouped) != 0));
	if (grouped == 0)
		return;
	struct mr_member m;
	check(found_in(route->members, route->groups[0].span_count) == grouped);
	check(mr_route_group_pick(route, 0, (uint32_t)bytes, &m));
	check(grouped >> m.sub_id & 1);
}

static void publish(struct rig *rig, const char *text, size_t bytes)
{
	enum mr_subject_fault fault = MR_SUBJECT_OK;

	for (int again = 0; again < 2; again++) {
		const struct mr_route *route = mr_router_subject(rig->router, text, bytes, &fault);
		check((route != NULL) == (mr_subject_parse(text, bytes) == MR_SUBJECT_OK));
		if (route != NULL)
			check_route(rig, route, text, bytes);
		else
			check(fault == mr_subject_parse(text, bytes));
	}
}

static void alias(struct rig *rig, const char *text, size_t bytes)
{
	uint32_t number;
	int rc = mr_table_alias_acquire(rig->table, &owner, text, bytes, &number);

	check((rc == -EINVAL) == (mr_subject_parse(text, bytes) != MR_SUBJECT_OK));
	if (rc != 0)
		return;
	check_route(rig, mr_router_alias(rig->router, number), text, bytes);
	if (bytes % 2 != 0) {
		check(mr_table_alias_release(rig->table, &owner, number) == 0);
		check(mr_router_alias(rig->router, number) == NULL);
	}
}

static void run_line(struct rig *rig, char op, const char *text, size_t bytes)
{
	check_parsers(text, bytes);
	switch (op) {
	case 's':
	case 'g':
	case 'p': subscribe(rig, op, text, bytes); break;
	case 'u': unsubscribe(rig, bytes > 0 ? (uint8_t)text[0] : 0); break;
	case 'q': publish(rig, text, bytes); break;
	case 'a': alias(rig, text, bytes); break;
	case '.':
		mr_router_quiescent(rig->router);
		mr_table_reclaim(rig->table);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *at = (const char *)data, *end = at + bytes;
	struct rig rig = {0};

	rig_open(&rig);
	/* A route may be refused only when very many are held, not within so few lines. */
	for (int lines = 0; at < end && lines < 256; lines++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		if (stop == NULL)
			stop = end;
		if (stop > at)
			run_line(&rig, *at, at + 1, (size_t)(stop - at) - 1);
		at = stop + (stop < end);
	}
	rig_close(&rig);
	return 0;
}
