/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_store: the entries of an outbox in order, and their memory. The memory is a ring that
 * grows only when it must, so that a steady flow stays in the processor's cache. Large messages
 * have memory of their own. */
#include <stdlib.h>
#include <string.h>

#include "client/core/ring_out.h"
#include "client/publish/outbox.h"

#define ENTRIES_MIN      64u
#define MEMORY_BYTES_MIN (16u << 10)
#define MEMORY_BYTES_MAX (8u << 20)
#define LARGE_BYTES_MAX  (32u << 20) /* a single larger message is always taken */

int mr_outbox_store_init(struct mr_outbox *o)
{
	o->entries = calloc(ENTRIES_MIN, sizeof(*o->entries));
	o->memory = malloc(MEMORY_BYTES_MIN);
	if (o->entries == NULL || o->memory == NULL) {
		free(o->entries);
		free(o->memory);
		return -ENOMEM;
	}
	o->entries_room = ENTRIES_MIN;
	o->memory_bytes = MEMORY_BYTES_MIN;
	return 0;
}

static void free_large(struct mr_outbox *o, struct mr_outbox_entry *k)
{
	o->large_bytes -= k->bytes;
	free(k->large);
	k->place = MR_ENTRY_RING;
}

void mr_outbox_store_fini(struct mr_outbox *o)
{
	for (; o->head != o->tail; o->head++) {
		struct mr_outbox_entry *k = mr_outbox_entry_at(o, o->head);

		if (k->state != MR_ENTRY_DONE)
			mr_outbox_closed(o, k->count);
		if (k->place == MR_ENTRY_LARGE)
			free_large(o, k);
	}
	free(o->entries);
	free(o->memory);
}

static bool entries_grow(struct mr_outbox *o)
{
	struct mr_outbox_entry *grown = calloc(2 * (size_t)o->entries_room, sizeof(*grown));

	if (grown == NULL)
		return false;
	for (uint32_t p = o->head; p != o->tail; p++)
		grown[p & (2 * o->entries_room - 1)] = *mr_outbox_entry_at(o, p);
	free(o->entries);
	o->entries = grown;
	o->entries_room *= 2;
	return true;
}

bool mr_outbox_store_make_room(struct mr_outbox *o)
{
	if (o->by_mark)
		mr_outbox_finish_taken(o);
	if (o->open >= o->window)
		return false;
	/* Entries that are done behind an open one take places too; this bounds their number. */
	return o->tail - o->head < o->entries_room ||
	       (o->entries_room < 4 * o->window && entries_grow(o));
}

/* Returns a position where `bytes` do not wrap around. */
static uint64_t memory_at(const struct mr_outbox *o, uint32_t bytes)
{
	uint64_t left = o->memory_bytes - (o->memory_tail & (o->memory_bytes - 1));

	return left >= bytes ? o->memory_tail : o->memory_tail + left;
}

static bool memory_fits(const struct mr_outbox *o, uint32_t bytes)
{
	return memory_at(o, bytes) + bytes - o->memory_head <= o->memory_bytes;
}

/* Copies the entries, without gaps, into twice the memory. */
static bool memory_grow(struct mr_outbox *o)
{
	uint8_t *grown = o->memory_bytes < MEMORY_BYTES_MAX ? malloc(2 * o->memory_bytes) : NULL;
	uint64_t at = 0;

	if (grown == NULL)
		return false;
	for (uint32_t p = o->head; p != o->tail; p++) {
		struct mr_outbox_entry *k = mr_outbox_entry_at(o, p);

		if (k->place != MR_ENTRY_MEMORY)
			continue;
		memcpy(grown + at, o->memory + (k->at & (o->memory_bytes - 1)), k->bytes);
		k->at = at;
		at += k->bytes;
	}
	free(o->memory);
	o->memory = grown;
	o->memory_bytes *= 2;
	o->memory_head = 0;
	o->memory_tail = at;
	return true;
}

static bool take_large(struct mr_outbox *o, struct mr_outbox_entry *k, uint32_t bytes)
{
	if (o->large_bytes > 0 && o->large_bytes + bytes > LARGE_BYTES_MAX)
		return false;
	k->large = malloc(bytes);
	if (k->large == NULL)
		return false;
	k->place = MR_ENTRY_LARGE;
	o->large_bytes += bytes;
	return true;
}

int mr_outbox_store_fits(struct mr_outbox *o, uint32_t count, uint64_t bytes)
{
	/* Whichever memory they take: each of them stays below half of what it can be. */
	bool empty = o->head == o->tail;

	if (count > o->window)
		return -E2BIG;
	if (count > 1 && bytes > MEMORY_BYTES_MAX / 2)
		return -EMSGSIZE;
	if (o->window - o->open < count || o->tail - o->head + count > 2 * o->window + ENTRIES_MIN)
		return -EAGAIN;
	if (!empty && (o->memory_tail - o->memory_head + bytes > MEMORY_BYTES_MAX / 2 ||
			      o->large_bytes + bytes > LARGE_BYTES_MAX))
		return -EAGAIN;
	return 0;
}

bool mr_outbox_store_make_memory(struct mr_outbox *o, struct mr_outbox_entry *k, uint32_t bytes)
{
	if (bytes > MR_OUTBOX_LARGE_BYTES)
		return take_large(o, k, bytes);
	if (mr_unlikely(!memory_fits(o, bytes)) && o->by_mark)
		mr_outbox_finish_taken(o);
	while (mr_unlikely(!memory_fits(o, bytes))) {
		if (!memory_grow(o))
			return false;
	}
	k->place = MR_ENTRY_MEMORY;
	k->at = memory_at(o, bytes);
	o->memory_tail = k->at + bytes;
	return true;
}

void mr_outbox_store_advance(struct mr_outbox *o)
{
	while (o->head != o->tail) {
		struct mr_outbox_entry *k = mr_outbox_entry_at(o, o->head);

		if (k->state != MR_ENTRY_DONE || (o->writing && o->writing_at == o->head))
			break;
		if (k->place == MR_ENTRY_LARGE)
			free_large(o, k);
		else if (k->place == MR_ENTRY_MEMORY)
			o->memory_head = k->at + k->bytes;
		o->head++;
	}
	if (o->head == o->tail)
		o->memory_head = o->memory_tail;
}

/* Returns the padded length of the record at `at`; 0: not a record of ours. The bus can write to
 * the ring too. */
static uint32_t salvaged_bytes(const uint8_t *at, uint32_t left)
{
	struct mrf_message_header h = mr_message_header_load(at);

	if (h.kind != MRF_MESSAGE_KIND_PUBLISH || (h.flags & MRF_MESSAGE_FLAG_FRAGMENT) != 0 ||
		h.bytes < sizeof(h) || mr_message_stride(h.bytes) > left)
		return 0;
	return mr_message_stride(h.bytes);
}

/* Counts the messages of a copy. Those that are not in it any more were taken. */
static int count_left(struct mr_outbox *o, struct mr_outbox_entry *k)
{
	uint32_t bytes, found = 0;

	for (uint32_t at = 0; at < k->bytes; at += bytes, found++) {
		bytes = salvaged_bytes(k->large + at, k->bytes - at);
		if (bytes == 0)
			return -EPROTO;
	}
	if (found > k->count)
		return -EPROTO;
	mr_outbox_closed(o, k->count - found);
	k->count = found;
	return 0;
}

/* Copies what the bus has not taken. What it has taken may be overwritten, or given back to the
 * system. */
static int salvage_one(struct mr_outbox *o, struct mr_outbox_entry *k, uint64_t taken)
{
	const struct mr_bytes_producer *ring = o->client->promised;
	uint64_t from = k->at, end = from + k->bytes;
	uint8_t *copy;

	if ((int64_t)(taken - from) > 0)
		from = (int64_t)(taken - end) < 0 ? taken : end;
	copy = malloc(end - from + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, ring->data + (from & (ring->capacity - 1)), end - from);
	k->large = copy;
	k->place = MR_ENTRY_LARGE;
	k->bytes = (uint32_t)(end - from);
	o->large_bytes += k->bytes;
	return count_left(o, k);
}

void mr_outbox_store_salvage(struct mr_outbox *o)
{
	uint64_t taken = mr_ring_promised_taken(o->client);
	uint32_t end = o->tail;

	for (uint32_t p = o->head; p != end; p++) {
		struct mr_outbox_entry *k = mr_outbox_entry_at(o, p);
		int error;

		if (k->place != MR_ENTRY_RING || k->state == MR_ENTRY_DONE)
			continue;
		error = salvage_one(o, k, taken);
		if (error != 0)
			mr_outbox_done(o, p, error);
	}
}
