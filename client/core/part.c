/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/part.h"

static bool may_run(const struct mr_client *c, const struct mr_part *part)
{
	return !part->outermost || c->depth == 0;
}

/* Returns when the first part is due; `all`: also of those that do not run now. */
static uint64_t first_due_ns(const struct mr_client *c, bool all)
{
	uint64_t due = MR_NEVER_NS;

	for (unsigned i = 0; i < c->parts->count; i++) {
		const struct mr_part *part = c->parts->parts[i];
		uint64_t own = MR_NEVER_NS;

		if (part->due_ns != NULL && (all || may_run(c, part)))
			own = part->due_ns(c);
		due = own < due ? own : due;
	}
	return due;
}

uint64_t mr_parts_due_ns(const struct mr_client *c)
{
	return first_due_ns(c, true);
}

uint64_t mr_parts_wake_ns(const struct mr_client *c)
{
	return first_due_ns(c, false);
}

void mr_parts_step(struct mr_client *c, uint64_t now_ns)
{
	for (unsigned i = 0; i < c->parts->count; i++) {
		const struct mr_part *part = c->parts->parts[i];

		if (part->step != NULL && may_run(c, part))
			part->step(c, now_ns);
	}
}

void mr_parts_flush_all(struct mr_client *c)
{
	for (unsigned i = 0; i < c->parts->count; i++) {
		if (c->parts->parts[i]->flush != NULL)
			c->parts->parts[i]->flush(c);
	}
}

void mr_parts_sweep(struct mr_client *c)
{
	for (unsigned i = 0; i < c->parts->count; i++) {
		if (c->parts->parts[i]->sweep != NULL)
			c->parts->parts[i]->sweep(c);
	}
}

void mr_parts_lost(struct mr_client *c)
{
	for (unsigned i = 0; i < c->parts->count; i++) {
		if (c->parts->parts[i]->lost != NULL)
			c->parts->parts[i]->lost(c);
	}
}

void mr_parts_fail(struct mr_client *c)
{
	for (unsigned i = 0; i < c->parts->count; i++) {
		if (c->parts->parts[i]->fail != NULL)
			c->parts->parts[i]->fail(c);
	}
}
