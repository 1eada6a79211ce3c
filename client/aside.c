/* SPDX-License-Identifier: Apache-2.0 */
/* aside: messages that came while they could not be handed out, in the order of their coming. */
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"

bool mr_aside_push(struct mr_client *c, const void *record, uint32_t bytes, uint32_t subscription)
{
	struct mr_subscription *s = mr_subscription_find(c, subscription);
	struct mr_aside *a;

	if (c->aside_count >= MR_ASIDE_MESSAGES_MAX || c->aside_bytes + bytes > MR_ASIDE_BYTES_MAX)
		return false;
	a = malloc(sizeof(*a) + mr_message_stride(bytes));
	if (a == NULL)
		return false;
	a->next = NULL;
	a->subscription = subscription;
	a->bytes = bytes;
	memcpy(a->record, record, bytes);
	*c->aside_end = a;
	c->aside_end = &a->next;
	c->aside_count++;
	c->aside_bytes += bytes;
	if (s != NULL)
		s->aside++;
	return true;
}

struct mr_aside *mr_aside_pop(struct mr_client *c)
{
	struct mr_aside *a = c->aside_first;
	struct mr_subscription *s;

	if (a == NULL)
		return NULL;
	c->aside_first = a->next;
	if (c->aside_first == NULL)
		c->aside_end = &c->aside_first;
	c->aside_count--;
	c->aside_bytes -= a->bytes;
	s = mr_subscription_find(c, a->subscription);
	if (s != NULL)
		s->aside--;
	return a;
}

/* Its id may be given to another one day. */
void mr_aside_forget(struct mr_client *c, uint32_t subscription)
{
	struct mr_aside **at = &c->aside_first;

	while (*at != NULL) {
		struct mr_aside *a = *at;

		if (a->subscription != subscription) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		c->aside_count--;
		c->aside_bytes -= a->bytes;
		free(a);
	}
	c->aside_end = at;
}

void mr_aside_free_out(struct mr_client *c)
{
	free(c->aside_out);
	c->aside_out = NULL;
}

void mr_aside_clear(struct mr_client *c)
{
	struct mr_aside *a;

	while ((a = mr_aside_pop(c)) != NULL)
		free(a);
	mr_aside_free_out(c);
}
