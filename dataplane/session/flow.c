/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/session/flow.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* The log has one entry for this many bytes. Frames that are smaller use up the entries first. */
#define BYTES_AN_ENTRY  256u
#define LOG_BYTES_LEAST 4096u
/* Slots for early frames, in multiples of the log: a lost frame must not use up the credit of those
 * behind it. */
#define SLOT_SHARE 4u

/* Rounds up to a power of two, at most MR_RELIABLE_WINDOW_MAX. */
static uint32_t rounded(uint32_t count)
{
	uint32_t power = 1;

	while (power < count && power < MR_RELIABLE_WINDOW_MAX)
		power *= 2;
	return power;
}

/* Maps small pages: a large page would take memory that the session does not touch. */
static uint8_t *map(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	(void)madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

int mr_flow_open(struct mr_flow *f, uint32_t log_bytes, uint32_t frame_bytes)
{
	uint32_t entries = rounded(log_bytes / BYTES_AN_ENTRY);
	uint64_t entries_bytes = (uint64_t)entries * sizeof(struct mr_reliable_frame);
	uint32_t slot_bytes = (uint32_t)mr_align_up(frame_bytes, MR_CACHE_LINE);
	uint32_t slots = rounded(SLOT_SHARE * (log_bytes / slot_bytes));

	memset(f, 0, sizeof(*f));
	if (log_bytes == 0)
		return 0;
	/* The entries count as part of log_bytes if a frame still fits beside them. */
	f->log_bytes = log_bytes - (uint32_t)entries_bytes;
	if (f->log_bytes < frame_bytes)
		f->log_bytes = (uint32_t)mr_align_up(frame_bytes, LOG_BYTES_LEAST);
	f->slot_bytes = slot_bytes;
	f->memory_bytes = entries_bytes + f->log_bytes + slot_bytes + slots * sizeof(f->kept[0]);
	f->memory = map(f->memory_bytes);
	if (f->memory == NULL)
		return -ENOMEM;
	f->log = f->memory + entries_bytes;
	f->kept = (struct mr_flow_slot **)(void *)(f->log + f->log_bytes + slot_bytes);
	mr_reliable_tx_init(&f->tx, (struct mr_reliable_frame *)f->memory, entries, 0);
	mr_reliable_rx_init(&f->rx, slots, MR_FLOW_CREDIT_FIRST);
	return 0;
}

void mr_flow_close(struct mr_flow *f)
{
	if (f->memory != NULL)
		munmap(f->memory, f->memory_bytes);
	f->memory = NULL;
}

/* Returns the offset of the oldest frame, or of the next one if the log is empty. */
static uint32_t tail_of(const struct mr_flow *f)
{
	if (mr_reliable_tx_drained(&f->tx))
		return f->head;
	return (uint32_t)mr_reliable_tx_frame(&f->tx, f->tx.first)->at;
}

uint8_t *mr_flow_claim(struct mr_flow *f, uint32_t bytes)
{
	bool empty = mr_reliable_tx_drained(&f->tx);
	uint32_t tail = tail_of(f);

	if (empty)
		f->head = 0;
	else if (f->head <= tail)
		return bytes < tail - f->head ? f->log + f->head : NULL;
	if (bytes <= f->log_bytes - f->head)
		return f->log + f->head;
	if (empty || bytes >= tail)
		return NULL;
	f->head = 0;
	return f->log;
}

uint32_t mr_flow_push(struct mr_flow *f, uint32_t bytes, uint32_t messages, uint64_t now_ns)
{
	uint32_t at = f->head;

	assert(bytes <= f->log_bytes - f->head);
	f->head += (uint32_t)mr_align_up(bytes, MR_MESSAGE_ALIGN);
	return mr_reliable_tx_sent(&f->tx, at, bytes, messages, now_ns);
}

uint32_t mr_flow_backlog(const struct mr_flow *f)
{
	uint32_t tail = tail_of(f);
	uint32_t open = f->open_room > 0 ? f->open_used : 0;

	if (f->head >= tail)
		return f->head - tail + open;
	return f->log_bytes - (tail - f->head) + open;
}

void mr_flow_keep(struct mr_flow *f, struct mr_flow_slot *slot, uint32_t sequence,
	const uint8_t *messages_at, uint32_t offset, uint32_t bytes, uint32_t messages)
{
	assert(sizeof(*slot) + offset + bytes <= f->slot_bytes);
	slot->bytes = bytes;
	slot->offset = offset;
	slot->messages = (uint16_t)messages;
	slot->waits = true;
	memcpy((uint8_t *)(slot + 1) + offset, messages_at + offset, bytes);
	f->kept[mr_reliable_slot(&f->rx, sequence)] = slot;
}

struct mr_flow_slot *mr_flow_let_go(struct mr_flow *f, uint32_t sequence)
{
	struct mr_flow_slot **at = &f->kept[mr_reliable_slot(&f->rx, sequence)];
	struct mr_flow_slot *slot = *at;

	*at = NULL;
	slot->waits = false;
	return slot != mr_flow_own(f) ? slot : NULL;
}
