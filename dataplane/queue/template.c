/* SPDX-License-Identifier: Apache-2.0 */
/* template: options that the configuration gives to the queues whose names match a pattern. They
 * hold whatever a client asks for, as an operator's edit does. */
#include "dataplane/queue/engine.h"

#include "lib/wire/subject.h"

const struct mr_queue_template *mr_queue_template_of(
	const struct mr_queues *q, enum mrf_queue_kind kind, struct mrf_string name)
{
	if (kind == MRF_QUEUE_KIND_SERVICE)
		return NULL;
	for (uint32_t i = 0; i < q->c.templates_count; i++) {
		const struct mr_queue_template *t = &q->c.templates[i];

		if (mr_pattern_matches(t->pattern, t->pattern_bytes, name.data, name.bytes))
			return t;
	}
	return NULL;
}

uint32_t mr_queue_template_apply(const struct mr_queues *q, enum mrf_queue_kind kind,
	struct mrf_string name, struct mrf_queue_options *options)
{
	const struct mr_queue_template *t = mr_queue_template_of(q, kind, name);

	if (t == NULL)
		return 0;
	mr_queue_options_set(options, t->options, &t->values);
	return t->options;
}
