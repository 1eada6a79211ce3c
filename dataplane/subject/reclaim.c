/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/subject/reclaim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#include "lib/base/compiler.h"

#define ITEMS_FIRST 1024

struct mr_reclaim_item {
	uint64_t token;
	uintptr_t value;
	unsigned kind;
};

int mr_reclaim_init(struct mr_reclaim *q, struct rte_rcu_qsbr *qsbr,
	void (*release)(void *arg, unsigned kind, uintptr_t value), void *arg)
{
	*q = (struct mr_reclaim){.qsbr = qsbr, .release = release, .arg = arg};
	q->items = calloc(ITEMS_FIRST, sizeof(*q->items));
	if (q->items == NULL)
		return -ENOMEM;
	q->capacity = ITEMS_FIRST;
	return 0;
}

static struct mr_reclaim_item *item_at(const struct mr_reclaim *q, uint32_t i)
{
	return &q->items[(q->head + i) & (q->capacity - 1)];
}

static void release_oldest(struct mr_reclaim *q)
{
	struct mr_reclaim_item item = *item_at(q, 0);

	q->head = (q->head + 1) & (q->capacity - 1);
	q->count--;
	q->released++;
	q->release(q->arg, item.kind, item.value);
}

void mr_reclaim_fini(struct mr_reclaim *q)
{
	while (q->count > 0)
		release_oldest(q);
	free(q->items);
	q->items = NULL;
}

static int grow_queue(struct mr_reclaim *q)
{
	struct mr_reclaim_item *bigger = NULL;

	if (q->capacity <= UINT32_MAX / 2)
		bigger = malloc(2 * (size_t)q->capacity * sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->count; i++)
		bigger[i] = *item_at(q, i);
	free(q->items);
	q->items = bigger;
	q->capacity *= 2;
	q->head = 0;
	return 0;
}

void mr_reclaim_defer(struct mr_reclaim *q, unsigned kind, uintptr_t value)
{
	if (q->count == q->capacity && grow_queue(q) != 0) {
		q->leaked++;
		return;
	}
	*item_at(q, q->count) = (struct mr_reclaim_item){.value = value, .kind = kind};
	q->count++;
	q->unstarted++;
}

/* Takes one token for all pieces deferred since the last one. */
static void start_grace_period(struct mr_reclaim *q)
{
	if (q->unstarted == 0)
		return;
	uint64_t token = rte_rcu_qsbr_start(q->qsbr); /* [table.grace] */
	for (uint32_t i = q->count - q->unstarted; i < q->count; i++)
		item_at(q, i)->token = token;
	q->unstarted = 0;
}

static bool is_over(const struct mr_reclaim *q, uint64_t token)
{
	/* [table.grace] */
	return rte_rcu_qsbr_check(q->qsbr, token, false) == 1 &&
	       (q->held == NULL || !q->held(q->arg, token));
}

uint32_t mr_reclaim_run(struct mr_reclaim *q)
{
	uint64_t passed = 0;

	start_grace_period(q);
	while (q->count > 0) {
		uint64_t token = item_at(q, 0)->token;
		if (token == 0)
			break; /* deferred by a release in this loop */
		if (token != passed && !is_over(q, token))
			break;
		passed = token;
		release_oldest(q);
	}
	return q->count;
}

size_t mr_reclaim_memory_bytes(const struct mr_reclaim *q)
{
	return q->capacity * sizeof(*q->items);
}
