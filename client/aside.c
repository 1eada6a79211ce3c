/* SPDX-License-Identifier: Apache-2.0 */
/* aside: messages that came while they could not be handed out, in the order of their coming. */
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"

struct mr_aside *mr_aside_new(const void *record, uint32_t bytes, uint32_t subscription)
{
	struct mr_aside *a = malloc(sizeof(*a) + mr_message_stride(bytes));

	if (a == NULL)
		return NULL;
	a->next = NULL;
	a->subscription = subscription;
	a->bytes = bytes;
	a->whole = false;
	memcpy(a->record, record, bytes);
	return a;
}

/* A message that is larger than all that may be set aside may be there alone. */
static bool room_for(const struct mr_client *c, uint32_t bytes)
{
	return c->aside_count < MR_ASIDE_MESSAGES_MAX &&
	       (c->aside_bytes + bytes <= MR_ASIDE_BYTES_MAX || c->aside_bytes == 0);
}

static void append(struct mr_client *c, struct mr_aside *a)
{
	struct mr_subscription *s = mr_subscription_find(c, a->subscription);

	*c->aside_end = a;
	c->aside_end = &a->next;
	c->aside_count++;
	c->aside_bytes += a->bytes;
	if (s != NULL)
		s->aside++;
}

bool mr_aside_push(struct mr_client *c, const void *record, uint32_t bytes, uint32_t subscription)
{
	struct mr_aside *a = room_for(c, bytes) ? mr_aside_new(record, bytes, subscription) : NULL;

	if (a == NULL)
		return false;
	append(c, a);
	return true;
}

bool mr_aside_keep(struct mr_client *c, struct mr_aside *a)
{
	if (!room_for(c, a->bytes)) {
		free(a);
		return false;
	}
	append(c, a);
	return true;
}

bool mr_aside_parse(struct mr_client *c, const struct mr_aside *a, struct mr_message_view *m)
{
	if (a->whole) {
		*m = a->view;
		return true;
	}
	m->header = mr_message_header_load(a->record);
	/* Its header may have been changed while the record was copied. */
	if (mr_message_fits(&m->header, mr_message_stride(a->bytes)) &&
		m->header.bytes <= a->bytes && mr_message_parse(a->record, m->header, m))
		return true;
	c->malformed++;
	return false;
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

bool mr_aside_drop(struct mr_client *c, uint32_t subscription, uint64_t bus_tag)
{
	struct mr_subscription *s = mr_subscription_find(c, subscription);
	struct mr_message_view m;

	for (struct mr_aside **at = &c->aside_first; *at != NULL; at = &(*at)->next) {
		struct mr_aside *a = *at;

		if (a->subscription != subscription || !mr_aside_parse(c, a, &m) ||
			m.header.kind != MRF_MESSAGE_KIND_DELIVER ||
			m.extra.delivery.tag != bus_tag)
			continue;
		*at = a->next;
		if (a->next == NULL)
			c->aside_end = at;
		c->aside_count--;
		c->aside_bytes -= a->bytes;
		if (s != NULL)
			s->aside--;
		free(a);
		return true;
	}
	return false;
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
