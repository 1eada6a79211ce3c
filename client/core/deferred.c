/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/deferred.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX 4096u
#define BYTES_MAX    (16u << 20)

struct mr_deferred *mr_deferred_new(const void *record, uint32_t bytes, uint32_t subscription)
{
	struct mr_deferred *a = malloc(sizeof(*a) + mr_message_stride(bytes));

	if (a == NULL)
		return NULL;
	a->next = NULL;
	a->subscription = subscription;
	a->bytes = bytes;
	a->whole = false;
	a->stamp_bytes = 0;
	memcpy(a->record, record, bytes);
	return a;
}

/* One message larger than the limit is taken if it is alone. */
bool mr_deferred_has_room(const struct mr_client *c, uint32_t bytes)
{
	return c->deferred_count < MESSAGES_MAX &&
	       (c->deferred_bytes + bytes <= BYTES_MAX || c->deferred_bytes == 0);
}

static void append_deferred(struct mr_client *c, struct mr_deferred *a)
{
	struct mr_subscription *s = mr_subscription_find(c, a->subscription);
	struct mr_deferred_list *list =
		s != NULL && mr_subscription_is_pulled(s) ? &c->deferred_pulled : &c->deferred;

	*list->end = a;
	list->end = &a->next;
	c->deferred_count++;
	c->deferred_bytes += a->bytes;
	if (s != NULL)
		s->deferred++;
}

bool mr_deferred_push(
	struct mr_client *c, const void *record, uint32_t bytes, uint32_t subscription)
{
	struct mr_deferred *a = mr_deferred_has_room(c, bytes)
					? mr_deferred_new(record, bytes, subscription)
					: NULL;

	if (a == NULL)
		return false;
	append_deferred(c, a);
	return true;
}

bool mr_deferred_keep(struct mr_client *c, struct mr_deferred *a)
{
	if (!mr_deferred_has_room(c, a->bytes)) {
		free(a);
		return false;
	}
	append_deferred(c, a);
	return true;
}

bool mr_deferred_parse(struct mr_client *c, struct mr_deferred *a, struct mr_message_view *m)
{
	uint32_t stamp_bytes;

	if (a->whole) {
		*m = a->view;
		return true;
	}
	m->header = mr_message_header_load(a->record);
	/* A hostile bus may have changed the header while the record was copied. */
	if (mr_message_fits(&m->header, mr_message_stride(a->bytes)) &&
		m->header.bytes <= a->bytes &&
		mr_message_parse_stamped(a->record, m->header, m, &stamp_bytes)) {
		a->stamp_bytes = (uint8_t)stamp_bytes;
		return true;
	}
	c->malformed++;
	return false;
}

struct mr_deferred *mr_deferred_pop(struct mr_client *c, struct mr_deferred_list *list)
{
	struct mr_deferred *a = list->first;
	struct mr_subscription *s;

	if (a == NULL)
		return NULL;
	list->first = a->next;
	if (list->first == NULL)
		list->end = &list->first;
	c->deferred_count--;
	c->deferred_bytes -= a->bytes;
	s = mr_subscription_find(c, a->subscription);
	if (s != NULL)
		s->deferred--;
	return a;
}

static void forget_in(struct mr_client *c, struct mr_deferred_list *list, uint32_t subscription)
{
	struct mr_deferred **at = &list->first;

	while (*at != NULL) {
		struct mr_deferred *a = *at;

		if (a->subscription != subscription) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		c->deferred_count--;
		c->deferred_bytes -= a->bytes;
		free(a);
	}
	list->end = at;
}

/* The id may be given to another subscription later. */
void mr_deferred_forget(struct mr_client *c, uint32_t subscription)
{
	forget_in(c, &c->deferred, subscription);
	forget_in(c, &c->deferred_pulled, subscription);
}

bool mr_deferred_drop(struct mr_client *c, uint32_t subscription, uint64_t bus_tag)
{
	struct mr_subscription *s = mr_subscription_find(c, subscription);
	struct mr_message_view m;

	for (struct mr_deferred **at = &c->deferred.first; *at != NULL; at = &(*at)->next) {
		struct mr_deferred *a = *at;

		if (a->subscription != subscription || !mr_deferred_parse(c, a, &m) ||
			m.header.kind != MRF_MESSAGE_KIND_DELIVER ||
			m.extra.delivery.tag != bus_tag)
			continue;
		*at = a->next;
		if (a->next == NULL)
			c->deferred.end = at;
		c->deferred_count--;
		c->deferred_bytes -= a->bytes;
		if (s != NULL)
			s->deferred--;
		free(a);
		return true;
	}
	return false;
}

void mr_deferred_free_out(struct mr_client *c)
{
	free(c->deferred_out);
	c->deferred_out = NULL;
}

void mr_deferred_clear(struct mr_client *c)
{
	struct mr_deferred *a;

	while ((a = mr_deferred_pop(c, &c->deferred)) != NULL ||
		(a = mr_deferred_pop(c, &c->deferred_pulled)) != NULL)
		free(a);
	mr_deferred_free_out(c);
}
