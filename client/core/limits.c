/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/limits.h"

#include <string.h>

#include "client/core/state.h"

void mr_publisher_limit(struct mr_publisher *p)
{
	const struct mr_client *c = p->client;

	p->body_bytes_max =
		(uint32_t)(c->body_bytes_max - (strlen(p->subject) & c->body_subject_mask));
}

void mr_client_limits(struct mr_client *c, size_t body_bytes_max, bool with_subject)
{
	c->body_bytes_max = body_bytes_max;
	c->body_subject_mask = with_subject ? SIZE_MAX : 0;
	for (uint32_t i = 0; i < c->publishers_count; i++) {
		if (c->publishers[i] != NULL)
			mr_publisher_limit(c->publishers[i]);
	}
}

size_t mr_body_bytes_max(const struct mr_client *c, const char *subject)
{
	size_t subject_bytes = subject != NULL ? strlen(subject) : 0;

	return c != NULL ? c->body_bytes_max - (subject_bytes & c->body_subject_mask) : 0;
}

size_t mr_message_bytes_max(const struct mr_client *c)
{
	if (c == NULL)
		return 0;
	return c->whole_bytes_max > c->body_bytes_max ? c->whole_bytes_max : c->body_bytes_max;
}
