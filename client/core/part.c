/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/part.h"

uint64_t mr_parts_due_ns(const struct mr_client *c)
{
	uint64_t due = MR_NEVER_NS;

	for (unsigned i = 0; i < c->parts->count; i++) {
		const struct mr_part *part = c->parts->parts[i];
		uint64_t own = part->due_ns != NULL ? part->due_ns(c) : MR_NEVER_NS;

		due = own < due ? own : due;
	}
	return due;
}

void mr_parts_step(struct mr_client *c, uint64_t now_ns)
{
	for (unsigned i = 0; i < c->parts->count; i++) {
		const struct mr_part *part = c->parts->parts[i];

		if (part->step != NULL && (!part->outermost || c->depth == 0))
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
