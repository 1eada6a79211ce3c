/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/lines.h"

#include <strings.h>

#include "lib/base/text.h"

#define VERSION_LINE    "NATS/1.0\r\n"
#define ERROR_LINE      MR_LINE_ERROR ": "
#define FORGED_DEAD     "Producer-Dead-"
#define FORGED_ERROR    "Producer-Error"
#define BLOCK_BYTES_MIN (sizeof(VERSION_LINE) - 1 + 2)
/* Room for a first line, an end of the last line and the empty line, where a block lacks them. */
#define BLOCK_SLACK (BLOCK_BYTES_MIN + 2)
/* Size of the fragments of a message that was whole and is too large with its lines. */
#define FRAGMENT_BYTES 49152u
_Static_assert(sizeof(MR_LINE_DEAD) == sizeof(FORGED_DEAD), "renamed in place");
_Static_assert(sizeof(MR_LINE_ERROR) == sizeof(FORGED_ERROR), "renamed in place");

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

/* Lines of the bus, as bits. */
enum {
	DEAD_LINES = 1,
	ERROR_LINES = 2,
};

static bool begins(const char *line, uint32_t bytes, const char *with, size_t with_bytes)
{
	return bytes >= with_bytes && strncasecmp(line, with, with_bytes) == 0;
}

/* Returns which of the bus's lines it is; 0: none. */
static unsigned line_of_bus(const char *line, uint32_t bytes)
{
	if (begins(line, bytes, MR_LINE_DEAD, sizeof(MR_LINE_DEAD) - 1))
		return DEAD_LINES;
	return begins(line, bytes, MR_LINE_ERROR, sizeof(MR_LINE_ERROR) - 1) ? ERROR_LINES : 0;
}

/* True for an empty line, which would end the block too early. */
static bool line_is_empty(const char *line, uint32_t bytes)
{
	return bytes == 2 && memcmp(line, "\r\n", 2) == 0;
}

/* Appends the lines of a block, but for those of the bus in `without`. */
static void append_rest(struct block *b, const char *old, uint32_t old_bytes, unsigned without)
{
	for (uint32_t at = 0, n; at < old_bytes; at += n) {
		n = line_bytes(old + at, old_bytes - at);
		if (line_is_empty(old + at, n) || (line_of_bus(old + at, n) & without) != 0)
			continue;
		append_text(b, old + at, n);
		if (n < 2 || memcmp(old + at + n - 2, "\r\n", 2) != 0)
			append_text(b, "\r\n", 2);
	}
	append_text(b, "\r\n", 2);
}

/* Returns the lines of the bus that must go: those that are replaced, and the forged ones. */
static unsigned lines_to_drop(const struct mr_queue_entry *e, unsigned replaced)
{
	return e->flags & MR_ENTRY_TOLD ? replaced : DEAD_LINES | ERROR_LINES;
}

/* Writes the block with `lines` first, where no malformed line of the producer can hide them.
 * False: no room. */
static bool write_block(struct block *b, struct mr_queue_entry *e, const char *lines,
	uint32_t bytes, unsigned without)
{
	const char *old = mr_lines_of(e);
	uint32_t first_bytes = first_line_bytes(old, e->header_bytes);

	b->bytes = 0;
	if (e->header_bytes + bytes + BLOCK_SLACK > MR_BODY_BYTES_MAX)
		return false;
	if (first_bytes == 0)
		append_text(b, VERSION_LINE, sizeof(VERSION_LINE) - 1);
	append_text(b, old, first_bytes);
	append_text(b, lines, bytes);
	append_rest(b, old + first_bytes, e->header_bytes - first_bytes, without);
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

/* Makes `n` the entry in place of *e. */
static void take_place(struct mr_queues *q, struct mr_queue_entry **e, struct mr_queue_entry *n)
{
	n->attempts = (*e)->attempts;
	n->spared = (*e)->spared;
	mr_entry_priority_copy(n, *e);
	n->born_ms = (*e)->born_ms;
	n->order = (*e)->order;
	if (n->flags & MR_ENTRY_TIME) {
		*mr_entry_time(n) = *mr_entry_time(*e);
		n->ticket = (*e)->ticket;
	}
	mr_entry_free(q, *e);
	*e = n;
}

/* Turns a whole message, too large with its new header block, into fragments. False: it does not
 * fit, or no memory. */
static bool change_to_chain(struct mr_queues *q, struct mr_queue_entry **e, const struct block *b)
{
	const uint8_t *payload = (const uint8_t *)mr_entry_body(*e) + (*e)->header_bytes;
	struct mr_queue_entry *n = NULL;
	struct mr_queue_chain *chain;

	if (b->bytes <= FRAGMENT_BYTES)
		n = mr_entry_new(q, mr_entry_account(*e), (*e)->flags | MR_ENTRY_CHAIN,
			mr_entry_origin(*e), b->bytes, 0);
	if (n == NULL)
		return false;
	chain = mr_entry_body(n);
	chain->fragment_bytes = FRAGMENT_BYTES;
	if (!mr_entry_append(q, n, b->text, b->bytes) ||
		!mr_entry_append(q, n, payload, (*e)->body_bytes - (*e)->header_bytes)) {
		mr_entry_free(q, n);
		return false;
	}
	take_place(q, e, n);
	return true;
}

/* Gives the entry another header block. False: no memory or no room. */
static bool replace_header_block(
	struct mr_queues *q, struct mr_queue_entry **e, const struct block *b)
{
	uint32_t payload_bytes = (*e)->body_bytes - (*e)->header_bytes;
	struct mr_queue_entry *n;
	uint8_t *body;

	if ((*e)->flags & MR_ENTRY_CHAIN)
		return change_chain(q, *e, b);
	if (b->bytes + payload_bytes > MR_BODY_BYTES_MAX)
		return change_to_chain(q, e, b);
	n = mr_entry_new(q, mr_entry_account(*e), (*e)->flags, mr_entry_origin(*e), b->bytes,
		b->bytes + payload_bytes);
	if (n == NULL)
		return false;
	body = mr_entry_body(n);
	memcpy(body, b->text, b->bytes);
	memcpy(body + b->bytes, (uint8_t *)mr_entry_body(*e) + (*e)->header_bytes, payload_bytes);
	take_place(q, e, n);
	return true;
}

char *mr_lines_of(struct mr_queue_entry *e)
{
	struct mr_queue_chain *chain = mr_entry_body(e);

	return (char *)(e->flags & MR_ENTRY_CHAIN ? chain->first->body
						  : (uint8_t *)mr_entry_body(e));
}

struct mr_queue_entry *mr_entry_add_line(
	struct mr_queues *q, struct mr_queue_entry *e, const char *line, uint32_t bytes)
{
	const char *old = mr_lines_of(e);
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
	(void)replace_header_block(q, &e, &b);
	return e;
}

/* Writes the bus's lines of one kind in place of earlier ones. */
static bool tell(struct mr_queues *q, struct mr_queue_entry **e, const char *lines, uint32_t bytes,
	unsigned kind)
{
	struct block b;

	if (!write_block(&b, *e, lines, bytes, lines_to_drop(*e, kind)) ||
		!replace_header_block(q, e, &b))
		return false;
	(*e)->flags |= MR_ENTRY_TOLD;
	return true;
}

bool mr_lines_dead(
	struct mr_queues *q, struct mr_queue_entry **e, const char *lines, uint32_t bytes)
{
	return tell(q, e, lines, bytes, DEAD_LINES);
}

/* Copies printable UTF-8 and replaces each other byte; returns the bytes written. */
static uint32_t copy_text(char *to, uint32_t room, const uint8_t *text, uint32_t bytes)
{
	uint32_t used = 0;

	for (uint32_t at = 0, step; at < bytes; at += step) {
		uint32_t n = (uint32_t)mr_text_printable_bytes(text + at, bytes - at);

		step = n == 0 ? 1 : n;
		if (used + step > room)
			break;
		if (n == 0)
			to[used] = '?';
		else
			memcpy(to + used, text + at, n);
		used += step;
	}
	return used;
}

bool mr_lines_error(
	struct mr_queues *q, struct mr_queue_entry **e, const uint8_t *text, uint32_t bytes)
{
	char line[sizeof(ERROR_LINE) + MR_ERROR_BYTES_MAX + 2];
	uint32_t n = sizeof(ERROR_LINE) - 1;

	memcpy(line, ERROR_LINE, n);
	n += copy_text(line + n, MR_ERROR_BYTES_MAX, text, bytes);
	memcpy(line + n, "\r\n", 2);
	return tell(q, e, line, n + 2, ERROR_LINES);
}

bool mr_lines_take(struct mr_queues *q, struct mr_queue_entry **e)
{
	uint32_t first_bytes = first_line_bytes(mr_lines_of(*e), (*e)->header_bytes);
	struct block b;

	if (first_bytes == 0 || !write_block(&b, *e, "", 0, DEAD_LINES | ERROR_LINES))
		return false;
	if (b.bytes == BLOCK_BYTES_MIN)
		b.bytes = 0;
	if (!replace_header_block(q, e, &b))
		return false;
	(*e)->flags &= (uint8_t)~MR_ENTRY_TOLD;
	return true;
}

void mr_lines_rename_forged(struct mr_queue_entry *e)
{
	char *block = mr_lines_of(e);

	if (e->flags & MR_ENTRY_TOLD) /* none is forged */
		return;
	for (uint32_t at = 0, n; at < e->header_bytes; at += n) {
		unsigned kind;

		n = line_bytes(block + at, e->header_bytes - at);
		kind = line_of_bus(block + at, n);
		if (kind == DEAD_LINES)
			memcpy(block + at, FORGED_DEAD, sizeof(FORGED_DEAD) - 1);
		else if (kind == ERROR_LINES)
			memcpy(block + at, FORGED_ERROR, sizeof(FORGED_ERROR) - 1);
	}
}

struct mrf_string mr_lines_value(const char *block, uint32_t bytes, const char *name)
{
	uint32_t name_bytes = (uint32_t)strlen(name);

	for (uint32_t at = 0, n; at < bytes; at += n) {
		const char *value = block + at + name_bytes + 1;
		uint32_t end;

		n = line_bytes(block + at, bytes - at);
		if (n < name_bytes + 3 || !begins(block + at, n, name, name_bytes) ||
			block[at + name_bytes] != ':')
			continue;
		for (end = n - name_bytes - 3; end > 0 && *value == ' '; end--)
			value++;
		return (struct mrf_string){value, end};
	}
	return (struct mrf_string){0};
}
