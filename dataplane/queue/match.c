/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/match.h"

#include <strings.h>

/* Bytes read in one request: a quarter of a millisecond. */
#define MATCH_BYTES_MAX (256u << 10)

struct mr_queue_match mr_queue_match_of(struct mrf_table command)
{
	return (struct mr_queue_match){
		.headers = mrf_queue_command_match_headers(command),
		.grep = mrf_queue_command_match_text(command),
		.level = mrf_queue_command_match_level(command),
		.older_ms = mrf_queue_command_match_older_ms(command),
		.bytes_left = MATCH_BYTES_MAX,
	};
}

/* A part of a text: a line, a name, a value. */
struct part {
	const char *at;
	size_t bytes;
};

/* Cuts off the part before the first `end`, which goes too; all of it without one. */
static struct part cut(struct part *rest, char end)
{
	const char *found = memchr(rest->at, end, rest->bytes);
	size_t bytes = found == NULL ? rest->bytes : (size_t)(found - rest->at);
	struct part first = {rest->at, bytes};

	rest->at += bytes + (found != NULL);
	rest->bytes -= bytes + (found != NULL);
	return first;
}

static struct part trim(struct part p)
{
	for (; p.bytes > 0 && (*p.at == ' ' || *p.at == '\t'); p.bytes--)
		p.at++;
	while (p.bytes > 0 && (p.at[p.bytes - 1] == ' ' || p.at[p.bytes - 1] == '\t' ||
				      p.at[p.bytes - 1] == '\r'))
		p.bytes--;
	return p;
}

/* True if a line `name: value` of the block is the wanted one, NAME:VALUE. */
static bool has_header(struct part block, struct part wanted)
{
	struct part wanted_name = cut(&wanted, ':');

	wanted = trim(wanted);
	while (block.bytes > 0) {
		struct part value = cut(&block, '\n');
		struct part name = cut(&value, ':');

		value = trim(value);
		if (name.bytes == wanted_name.bytes &&
			strncasecmp(name.at, wanted_name.at, name.bytes) == 0 &&
			value.bytes == wanted.bytes &&
			memcmp(value.at, wanted.at, value.bytes) == 0)
			return true;
	}
	return false;
}

/* Reads the block once for each wanted header, as far as the request may still read. */
static bool has_headers(struct mr_queue_match *m, struct part block)
{
	struct part rest = {m->headers.data, m->headers.bytes};

	while (rest.bytes > 0) {
		bool reads = block.bytes <= m->bytes_left;

		m->bytes_left -= reads ? block.bytes : m->bytes_left;
		if (!reads || !has_header(block, cut(&rest, '\n')))
			return false;
	}
	return true;
}

/* Searches a piece of a payload, as far as the request may still read. */
static bool has_text(struct mr_queue_match *m, const uint8_t *piece, uint64_t bytes)
{
	if (bytes > m->bytes_left)
		bytes = m->bytes_left;
	m->bytes_left -= bytes;
	return bytes > 0 && memmem(piece, bytes, m->grep.data, m->grep.bytes) != NULL;
}

/* The header block is in the first fragment. */
static bool chain_has_text(struct mr_queue_match *m, struct mr_queue_entry *e)
{
	const struct mr_queue_chain *chain = mr_entry_body(e);
	uint32_t skip = e->header_bytes;

	for (const struct mr_queue_fragment *p = chain->first; p != NULL && m->bytes_left > 0;
		p = p->next, skip = 0)
		if (has_text(m, p->body + skip, p->bytes - skip))
			return true;
	return false;
}

static bool payload_has_text(struct mr_queue_match *m, struct mr_queue_entry *e)
{
	if (m->grep.bytes == 0)
		return true;
	if (e->flags & MR_ENTRY_CHAIN)
		return chain_has_text(m, e);
	return has_text(m, (const uint8_t *)mr_entry_body(e) + e->header_bytes,
		e->body_bytes - e->header_bytes);
}

static struct part headers_of(struct mr_queue_entry *e)
{
	const struct mr_queue_chain *chain = mr_entry_body(e);

	return (struct part){e->flags & MR_ENTRY_CHAIN ? (const char *)chain->first->body
						       : (const char *)mr_entry_body(e),
		e->header_bytes};
}

bool mr_queue_matches(const struct mr_queues *q, struct mr_queue_match *m, struct mr_queue_entry *e)
{
	if (m->level != 0 && mr_level_of_rank(mr_entry_rank(e)) + 1u != m->level)
		return false;
	if ((uint32_t)q->now_ms - e->born_ms < m->older_ms)
		return false;
	return (m->headers.bytes == 0 || has_headers(m, headers_of(e))) && payload_has_text(m, e);
}
