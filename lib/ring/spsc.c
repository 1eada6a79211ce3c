/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ring/spsc.h"

#include <errno.h>
#include <stdlib.h>

int mr_spsc_init(struct mr_spsc *r, uint32_t entries, uint32_t first)
{
	if (entries < 2 || entries > 1u << 30 || (entries & (entries - 1)) != 0)
		return -EINVAL;
	r->slots = aligned_alloc(MR_CACHE_LINE, (size_t)entries * sizeof(*r->slots));
	if (r->slots == NULL)
		return -ENOMEM;
	r->mask = entries - 1;
	atomic_init(&r->tail, first);
	atomic_init(&r->head, first);
	atomic_init(&r->done, first);
	r->head_seen = first;
	r->tail_seen = first;
	return 0;
}

void mr_spsc_fini(struct mr_spsc *r)
{
	free(r->slots);
	r->slots = NULL;
}
