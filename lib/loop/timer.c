/* SPDX-License-Identifier: Apache-2.0 */
/* Timers are in an unsorted list: there are at most a hundred, and it is searched only when one is
 * due. */
#include <stddef.h>

#include "lib/loop/loop.h"

void mr_loop_timer_start(struct mr_loop *l, struct mr_loop_timer *t, uint64_t after_ns)
{
	mr_loop_timer_stop(l, t);
	t->at_ns = mr_loop_now_ns() + after_ns;
	t->previous = NULL;
	t->next = l->timers;
	if (t->next != NULL)
		t->next->previous = t;
	l->timers = t;
	if (t->at_ns < l->next_ns)
		l->next_ns = t->at_ns;
}

void mr_loop_timer_stop(struct mr_loop *l, struct mr_loop_timer *t)
{
	if (t->at_ns == 0)
		return;
	if (t->previous != NULL)
		t->previous->next = t->next;
	else
		l->timers = t->next;
	if (t->next != NULL)
		t->next->previous = t->previous;
	t->at_ns = 0;
	/* next_ns may be too early now; the wait that ends for nothing corrects it. */
}

static struct mr_loop_timer *find_due(struct mr_loop *l, uint64_t now_ns)
{
	struct mr_loop_timer *first = NULL;

	for (struct mr_loop_timer *t = l->timers; t != NULL; t = t->next) {
		if (first == NULL || t->at_ns < first->at_ns)
			first = t;
	}
	l->next_ns = first != NULL ? first->at_ns : UINT64_MAX;
	return first != NULL && first->at_ns <= now_ns ? first : NULL;
}

unsigned mr_loop_timers_run(struct mr_loop *l, uint64_t now_ns)
{
	struct mr_loop_timer *t;
	unsigned count = 0;

	if (now_ns < l->next_ns)
		return 0;
	/* Ends, because a timer that starts itself again is due later than now. */
	while ((t = find_due(l, now_ns)) != NULL) {
		mr_loop_timer_stop(l, t);
		t->fire(t);
		count++;
	}
	return count;
}
