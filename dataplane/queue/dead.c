/* SPDX-License-Identifier: Apache-2.0 */
/* dead: dead letters: the queue NAME.dead, the lines in their header blocks, and redrive. */
#include <stdio.h>
#include <strings.h>

#include "dataplane/queue/engine.h"
#include "dataplane/queue/key.h"
#include "dataplane/queue/work.h"

#define VERSION_LINE    "NATS/1.0\r\n"
#define DEAD_PREFIX     "Millrace-Dead-"
#define FORGED_PREFIX   "Producer-Dead-"
#define RETRY_MS        1000u
#define LINES_BYTES_MAX 512u /* all added lines together */
#define BLOCK_BYTES_MIN (sizeof(VERSION_LINE) - 1 + 2)
/* Room for a first line, an end of the last line and the empty line, where a block lacks them. */
#define BLOCK_SLACK (BLOCK_BYTES_MIN + 2)
/* Size of the fragments of a message that was whole and is too large with its lines. */
#define FRAGMENT_BYTES 49152u
_Static_assert(sizeof(DEAD_PREFIX) == sizeof(FORGED_PREFIX), "renamed in place");

struct block {
	char text[MR_BODY_BYTES_MAX];
	uint32_t bytes;
};

/* Returns the bytes of the line at `text`, with its CR LF if it has one. */
static uint32_t line_bytes(const char *text, uint32_t bytes)
{
	const char *end = memmem(text, bytes, "\r\n", 2);

	return end == NULL ? bytes : (uint32_t)(end - text) + 2;
}

/* Returns the bytes of the first line; 0: the block does not begin like a header block. */
static uint32_t first_line_bytes(const char *block, uint32_t bytes)
{
	uint32_t n;

	if (bytes < BLOCK_BYTES_MIN || memcmp(block, "NATS/1.0", 8) != 0)
		return 0;
	n = line_bytes(block, bytes);
	return memcmp(block + n - 2, "\r\n", 2) == 0 ? n : 0;
}

static void append_text(struct block *b, const char *text, uint32_t bytes)
{
	memcpy(b->text + b->bytes, text, bytes);
	b->bytes += bytes;
}

/* True for a line that only the bus may write. */
static bool line_is_of_bus(const char *line, uint32_t bytes)
{
	return bytes >= sizeof(DEAD_PREFIX) - 1 &&
	       strncasecmp(line, DEAD_PREFIX, sizeof(DEAD_PREFIX) - 1) == 0;
}

/* True for a line of the bus, and for an empty line, which would end the block too early. */
static bool line_is_dropped(const char *line, uint32_t bytes)
{
	return (bytes == 2 && memcmp(line, "\r\n", 2) == 0) || line_is_of_bus(line, bytes);
}

/* Appends the producer's lines, but for lines that only the bus may write. */
static void append_rest(struct block *b, const char *old, uint32_t old_bytes)
{
	for (uint32_t at = 0, n; at < old_bytes; at += n) {
		n = line_bytes(old + at, old_bytes - at);
		if (line_is_dropped(old + at, n))
			continue;
		append_text(b, old + at, n);
		if (n < 2 || memcmp(old + at + n - 2, "\r\n", 2) != 0)
			append_text(b, "\r\n", 2);
	}
	append_text(b, "\r\n", 2);
}

/* Writes the block with the bus's lines first, where no malformed line of the producer can hide
 * them. False: no room. */
static bool add_lines(struct block *b, const char *old, uint32_t old_bytes,
	const struct mr_queue *queue, const char *reason, unsigned count)
{
	uint32_t first_bytes = first_line_bytes(old, old_bytes);
	char lines[LINES_BYTES_MAX];
	int bytes = snprintf(lines, sizeof(lines),
		DEAD_PREFIX "Reason: %s\r\n" DEAD_PREFIX "Queue: %.*s\r\n" DEAD_PREFIX
			    "Count: %u\r\n",
		reason, (int)queue->name_bytes, queue->name, count);

	if (bytes < 0 || (size_t)bytes >= sizeof(lines) ||
		old_bytes + (uint32_t)bytes + BLOCK_SLACK > MR_BODY_BYTES_MAX)
		return false;
	if (first_bytes == 0)
		append_text(b, VERSION_LINE, sizeof(VERSION_LINE) - 1);
	append_text(b, old, first_bytes);
	append_text(b, lines, (uint32_t)bytes);
	append_rest(b, old + first_bytes, old_bytes - first_bytes);
	return true;
}

/* Writes the block without the lines that add_lines added; empty if there were no others. */
static bool take_lines(struct block *b, const char *old, uint32_t old_bytes)
{
	uint32_t first_bytes = first_line_bytes(old, old_bytes);

	if (first_bytes == 0 || old_bytes + BLOCK_SLACK > MR_BODY_BYTES_MAX)
		return false;
	append_text(b, old, first_bytes);
	append_rest(b, old + first_bytes, old_bytes - first_bytes);
	if (b->bytes == BLOCK_BYTES_MIN)
		b->bytes = 0;
	return true;
}

/* Replaces the header block in the first fragment. False: it does not fit, or no memory. */
static bool change_chain(struct mr_queues *q, struct mr_queue_entry *e, const struct block *b)
{
	struct mr_queue_chain *chain = mr_entry_body(e);
	struct mr_queue_fragment *old = chain->first, *p;
	uint32_t payload_bytes = old->bytes - e->header_bytes;
	uint32_t bytes = b->bytes + payload_bytes;

	if (b->bytes > FRAGMENT_BYTES ||
		sizeof(*p) + b->bytes + payload_bytes > MR_SLAB_CHUNK_BYTES_MAX)
		return false;
	p = mr_entry_first_replace(q, e, bytes);
	if (p == NULL)
		return false;
	memcpy(p->body, b->text, b->bytes);
	memcpy(p->body + b->bytes, old->body + e->header_bytes, payload_bytes);
	/* The header block must fit one fragment. */
	if (b->bytes > chain->fragment_bytes)
		chain->fragment_bytes = (uint32_t)mr_align_up(b->bytes, MR_MESSAGE_ALIGN);
	e->body_bytes += b->bytes - e->header_bytes;
	e->header_bytes = (uint16_t)b->bytes;
	mr_entry_fragment_release(q, e, old);
	return true;
}

static void copy_facts(struct mr_queue_entry *to, struct mr_queue_entry *from)
{
	to->attempts = from->attempts;
	to->spared = from->spared;
	mr_entry_priority_copy(to, from);
	if (from->flags & MR_ENTRY_TIME)
		mr_entry_time(to)->key = mr_entry_time(from)->key;
}

/* Turns a whole message, too large with its new header block, into fragments. Returns the old entry
 * if that fails. */
static struct mr_queue_entry *change_to_chain(
	struct mr_queues *q, struct mr_queue_entry *e, const struct block *b)
{
	struct mr_queue_entry *n = NULL;
	const uint8_t *payload = (const uint8_t *)mr_entry_body(e) + e->header_bytes;
	struct mr_queue_chain *chain;

	if (b->bytes <= FRAGMENT_BYTES)
		n = mr_entry_new(q, mr_entry_account(e), e->flags | MR_ENTRY_CHAIN,
			mr_entry_origin(e), b->bytes, 0);
	if (n == NULL)
		return e;
	chain = mr_entry_body(n);
	chain->fragment_bytes = FRAGMENT_BYTES;
	if (!mr_entry_append(q, n, b->text, b->bytes) ||
		!mr_entry_append(q, n, payload, e->body_bytes - e->header_bytes)) {
		mr_entry_free(q, n);
		return e;
	}
	copy_facts(n, e);
	mr_entry_free(q, e);
	return n;
}

/* Returns the entry with another header block; unchanged if there is no memory or no room. */
static struct mr_queue_entry *replace_header_block(
	struct mr_queues *q, struct mr_queue_entry *e, const struct block *b)
{
	uint32_t payload_bytes = e->body_bytes - e->header_bytes;
	struct mr_queue_entry *n;
	uint8_t *body;

	if (e->flags & MR_ENTRY_CHAIN) {
		(void)change_chain(q, e, b);
		return e;
	}
	if (b->bytes + payload_bytes > MR_BODY_BYTES_MAX)
		return change_to_chain(q, e, b);
	n = mr_entry_new(q, mr_entry_account(e), e->flags, mr_entry_origin(e), b->bytes,
		b->bytes + payload_bytes);
	if (n == NULL)
		return e;
	copy_facts(n, e);
	body = mr_entry_body(n);
	memcpy(body, b->text, b->bytes);
	memcpy(body + b->bytes, (uint8_t *)mr_entry_body(e) + e->header_bytes, payload_bytes);
	mr_entry_free(q, e);
	return n;
}

static char *headers_of(struct mr_queue_entry *e)
{
	struct mr_queue_chain *chain = mr_entry_body(e);

	return (char *)(e->flags & MR_ENTRY_CHAIN ? chain->first->body
						  : (uint8_t *)mr_entry_body(e));
}

struct mr_queue_entry *mr_entry_add_line(
	struct mr_queues *q, struct mr_queue_entry *e, const char *line, uint32_t bytes)
{
	const char *old = headers_of(e);
	uint32_t first_bytes = first_line_bytes(old, e->header_bytes);
	struct block b;

	b.bytes = 0;
	if ((first_bytes == 0 && e->header_bytes > 0) ||
		e->header_bytes + bytes + BLOCK_SLACK > MR_BODY_BYTES_MAX)
		return e;
	if (first_bytes == 0)
		append_text(&b, VERSION_LINE, sizeof(VERSION_LINE) - 1);
	append_text(&b, old, first_bytes);
	append_text(&b, line, bytes);
	if (first_bytes == 0)
		append_text(&b, "\r\n", 2);
	append_text(&b, old + first_bytes, e->header_bytes - first_bytes);
	return replace_header_block(q, e, &b);
}

/* Renames the producer's lines that look like the bus's: a letter without lines of the bus must not
 * have forged ones. Takes no memory. */
static void rename_forged(struct mr_queue_entry *e)
{
	char *block = headers_of(e);

	for (uint32_t at = 0, n; at < e->header_bytes; at += n) {
		n = line_bytes(block + at, e->header_bytes - at);
		if (line_is_of_bus(block + at, n))
			memcpy(block + at, FORGED_PREFIX, sizeof(FORGED_PREFIX) - 1);
	}
}

void mr_dead_join(struct mr_queues *q, struct mr_queue *queue, struct mr_queue *dead)
{
	mr_limit_uncount(q, dead);
	queue->dead = dead;
	dead->dead = queue;
}

static bool is_needed(const struct mr_queue *dead)
{
	return mr_queue_in_use(dead) || dead->paused || dead->is_set || dead->kept ||
	       dead->maker != 0;
}

void mr_dead_part(struct mr_queues *q, struct mr_queue *queue)
{
	struct mr_queue *other = queue->dead;

	if (other == NULL)
		return;
	queue->dead = other->dead = NULL;
	if (queue->is_dead)
		return;
	if (is_needed(other))
		mr_limit_made(q, other, other->peer);
	else
		mr_queue_remove(q, other);
}

/* Dead letters count with their queue against the largest part of the store
 * (mr_push_share_used_up), and have a slot beside it: there is one for each possible queue. */
struct mr_queue *mr_dead_of(struct mr_queues *q, struct mr_queue *queue)
{
	char name[MR_SUBJECT_BYTES_MAX];
	struct mrf_queue_options options = q->c.queue;
	uint32_t bytes = queue->name_bytes + (uint32_t)MR_QUEUE_DEAD_BYTES;
	struct mr_queue *dead;

	if (queue->dead != NULL)
		return queue->dead;
	assert(bytes <= MR_SUBJECT_BYTES_MAX); /* names leave room for it */
	memcpy(name, queue->name, queue->name_bytes);
	memcpy(name + queue->name_bytes, MR_QUEUE_DEAD, MR_QUEUE_DEAD_BYTES);
	dead = mr_queue_by_name(q, MRF_QUEUE_KIND_QUEUE, name, bytes);
	options.messages_max = UINT64_MAX / 2;
	options.bytes_max = 0;
	options.age_max_ms = 0;
	options.aging_ms = 0;
	if (dead == NULL) {
		if (mr_queue_make(q, MRF_QUEUE_KIND_QUEUE, name, bytes, &options, &dead) != 0)
			return NULL;
		dead->peer = queue->peer;
	}
	mr_dead_join(q, queue, dead);
	return dead;
}

/* Dead letters have neither a time to live nor a delay. A delayed message is not due yet, if it
 * finds no room in a full queue. */
static void forget_times(struct mr_queue_entry *e)
{
	mr_entry_time(e)->ends_ms = MR_TIME_NEVER;
	mr_entry_time(e)->place = MR_TIME_OUT;
}

void mr_dead_letter(
	struct mr_queues *q, struct mr_queue *queue, struct mr_queue_entry *e, const char *reason)
{
	struct mr_queue *dead = mr_dead_of(q, queue);
	struct block b = {.bytes = 0};
	bool told;

	if (dead == NULL) { /* no memory for another queue: keep the message */
		if (!mr_delivery_delay(q, queue, e, RETRY_MS))
			mr_queue_put_back(q, queue, e);
		return;
	}
	mr_work(q, MR_WORK_DEAD);
	if (e->flags & MR_ENTRY_TIME)
		mr_key_leave(q, queue, e);
	queue->body_bytes -= e->body_bytes;
	queue->dead_count++;
	mr_count(q->c.stats->queue_dead, 1);
	/* The move itself takes no memory, the lines do. */
	told = !mr_push_share_used_up(q, queue) &&
	       add_lines(&b, headers_of(e), e->header_bytes, queue, reason, e->attempts);
	if (told)
		e = replace_header_block(q, e, &b);
	if (e->flags & MR_ENTRY_TIME)
		forget_times(e);
	if (mr_unlikely(!told || e->header_bytes != b.bytes)) {
		mr_count(q->c.stats->queue_dead_bare, 1);
		rename_forged(e);
	}
	dead->body_bytes += e->body_bytes;
	mr_queue_put(q, dead, e);
	mr_queue_has_room(q, queue);
}

static void move_back(struct mr_queues *q, struct mr_queue *dead, struct mr_queue *queue)
{
	struct mr_queue_entry *e = mr_queue_next(q, dead);
	struct block b = {.bytes = 0};

	mr_work(q, MR_WORK_DEAD);
	mr_queue_take(q, dead, e);
	dead->body_bytes -= e->body_bytes;
	if (take_lines(&b, headers_of(e), e->header_bytes))
		e = replace_header_block(q, e, &b);
	e->attempts = 0;
	e->spared = 0;
	queue->body_bytes += e->body_bytes;
	mr_queue_put(q, queue, e);
}

void mr_dead_redrive(struct mr_queues *q, struct mr_queue *queue, uint32_t floor)
{
	while (q->work > floor && queue->redriving > 0) {
		if (queue->dead == NULL || queue->dead->ready_count == 0) {
			queue->redriving = 0;
			break;
		}
		/* The redrive continues when an entry has left the queue. */
		if (mr_push_is_full(queue, mr_queue_next(q, queue->dead)->body_bytes)) {
			queue->redrive_waits = true;
			break;
		}
		move_back(q, queue->dead, queue);
		queue->redriving--;
	}
}
