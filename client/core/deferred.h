/* SPDX-License-Identifier: Apache-2.0 */
/* deferred: messages that arrived while they could not be handed out, in the order of arrival.
 *
 * Owns      The client owns the list; a popped message belongs to the caller, who frees it with
 *           free().
 * Threads   The client's.
 * Errors    A message for which there is no room or memory is refused; the caller counts it as
 *           missed.
 */
#ifndef MILLRACE_CLIENT_CORE_DEFERRED_H
#define MILLRACE_CLIENT_CORE_DEFERRED_H

#include "client/core/state.h"

/* A copied record, or a reassembled message: its body follows, and the view points to it. */
struct mr_deferred {
	struct mr_deferred *next;
	uint32_t subscription; /* 0: not a delivery, or its subscription is closed */
	uint32_t bytes;
	bool whole;                  /* reassembled */
	uint8_t stamp_bytes;         /* before the subject; set by mr_deferred_parse for a record */
	struct mr_message_view view; /* set for a reassembled message */
	alignas(MR_MESSAGE_ALIGN) uint8_t record[];
};

/* Appends a copy of a record. False: no room. */
bool mr_deferred_push(
	struct mr_client *c, const void *record, uint32_t bytes, uint32_t subscription);
/* Appends a reassembled message. False: no room, and it was freed. */
bool mr_deferred_keep(struct mr_client *c, struct mr_deferred *a);
/* Returns a copy of a record that is in no list; NULL: no memory. */
struct mr_deferred *mr_deferred_new(const void *record, uint32_t bytes, uint32_t subscription);
/* Parses the message. False: it is malformed, which is counted. */
bool mr_deferred_parse(struct mr_client *c, struct mr_deferred *a, struct mr_message_view *m);
/* True if a record of that size can be deferred now. */
bool mr_deferred_has_room(const struct mr_client *c, uint32_t bytes);
/* Takes the oldest of one of the client's two lists; NULL: it is empty. */
struct mr_deferred *mr_deferred_pop(struct mr_client *c, struct mr_deferred_list *list);
/* Drops all messages of a subscription. */
void mr_deferred_forget(struct mr_client *c, uint32_t subscription);
/* Drops the delivery with this tag. False: there is none. */
bool mr_deferred_drop(struct mr_client *c, uint32_t subscription, uint64_t bus_tag);
/* Frees the message that mr_receive gave out. */
void mr_deferred_free_out(struct mr_client *c);
void mr_deferred_clear(struct mr_client *c);

#endif
