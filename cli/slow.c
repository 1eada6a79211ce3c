/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/slow.h"

#include <inttypes.h>
#include <string.h>

#include "cli/text.h"
#include "lib/base/compiler.h"
#include "lib/base/stats.h"

#define NS_PER_S 1000000000u
/* A session that missed nothing for this time keeps up again. */
#define LATELY_NS  (10ull * NS_PER_S)
#define TEXT_BYTES 256
/* Publishers named in a row; of more only the number is shown. */
#define NAMED_MAX 4u
/* Bytes of each name. */
#define NAME_BYTES 32u

static const struct mr_cli_column columns[] = {
	{"SESSION", "session"},
	{"NAME", "name", .rank = 2, .least = 10},
	{"TRANSPORT", "transport", .rank = 9},
	{"STATE", "state"},
	{"FOR", "seconds", .right = true, .unit = MR_CLI_UNIT_SECONDS},
	{"WHY", "why", .rank = 1, .least = 14, .elision = MR_CLI_ELIDE_END},
	{"SUBJECT", "subject", .rank = 3, .least = 10},
	{NULL, "blocked_by"},
	{"BLOCKS", "blocks", .rank = 4, .least = 14, .elision = MR_CLI_ELIDE_END},
	{"BACKLOG", "backlog_bytes", .right = true, .rank = 5, .unit = MR_CLI_UNIT_BYTES},
	{"HELD", "held_messages", .right = true, .rank = 6, .unit = MR_CLI_UNIT_COUNT},
	{NULL, "held_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
	{NULL, "backlog_bytes_max", .right = true, .unit = MR_CLI_UNIT_BYTES},
	{"MISSED", "missed", .right = true, .rank = 7, .unit = MR_CLI_UNIT_COUNT, .alarm = true},
};

enum state { KEEPS_UP, FULL, PASSED_OVER, HELD_UP, MISSING };

static enum state state_of(const struct mrf_session_stats *s, uint64_t read_ns)
{
	if (s->full_since_ns & MR_FULL_PASSED_OVER)
		return PASSED_OVER;
	if (s->full_since_ns != 0 || s->held_messages != 0)
		return FULL;
	if (s->blocked_since_ns != 0)
		return HELD_UP;
	if (s->missed_last_ns != 0 && s->missed_last_ns + LATELY_NS > read_ns)
		return MISSING;
	return KEEPS_UP;
}

static bool is_udp(struct mrf_table client)
{
	return mrf_session_row_transport(mrf_admin_client_row(client)) == MRF_TRANSPORT_UDP;
}

static void text_cell(struct mr_cli_table *t, const char *text)
{
	mr_cli_table_text(t, text, strlen(text));
}

static void seconds_cell(struct mr_cli_table *t, uint64_t since_ns, uint64_t read_ns)
{
	if (since_ns == 0)
		mr_cli_table_none(t);
	else
		mr_cli_table_real(
			t, read_ns > since_ns ? (double)(read_ns - since_ns) / NS_PER_S : 0);
}

static void state_cells(struct mr_cli_table *t, enum state state, const struct mrf_session_stats *s,
	bool udp, uint64_t read_ns)
{
	char why[TEXT_BYTES];

	switch (state) {
	case FULL:
		text_cell(t, "full");
		seconds_cell(t, s->full_since_ns, read_ns);
		text_cell(t, udp ? "does not acknowledge: its log is full"
				 : "does not read: its ring is full");
		return;
	case PASSED_OVER:
		text_cell(t, "passed over");
		seconds_cell(t, s->full_since_ns & ~MR_FULL_PASSED_OVER, read_ns);
		text_cell(t, "was full for sessions.block_ms_max: misses messages");
		return;
	case HELD_UP:
		text_cell(t, "held up");
		seconds_cell(t, s->blocked_since_ns, read_ns);
		if (s->blocked_by != 0)
			snprintf(why, sizeof(why), "waits for 0x%016" PRIx64, s->blocked_by);
		else
			snprintf(why, sizeof(why), "waits for a queue group, or for memory");
		text_cell(t, why);
		return;
	default:
		text_cell(t, "missing");
		seconds_cell(t, s->missed_last_ns, read_ns);
		text_cell(t, udp ? "there was no buffer" : "its ring was full");
		return;
	}
}

static void subject_cell(
	struct mr_cli_table *t, enum state state, const struct mrf_session_stats *s)
{
	const uint64_t words[] = {s->slow_subject_0, s->slow_subject_1, s->slow_subject_2,
		s->slow_subject_3, s->slow_subject_4};
	char text[sizeof(words) + 4];
	size_t bytes;

	if (state == MISSING || words[0] == 0) {
		mr_cli_table_none(t);
		return;
	}
	memcpy(text, words, sizeof(words));
	bytes = strnlen(text, sizeof(words));
	/* The statistics hold only the beginning of a long subject, to the byte. */
	if (bytes == sizeof(words)) {
		bytes = mr_cli_text_whole(text, bytes);
		memcpy(text + bytes, "...", 3);
		bytes += 3;
	}
	mr_cli_table_text(t, text, bytes);
}

static size_t name_bytes(struct mrf_string name)
{
	return name.bytes <= NAME_BYTES ? name.bytes : mr_cli_text_whole(name.data, NAME_BYTES);
}

/* Adds the publishers that wait for a session. */
static void blocks_cell(struct mr_cli_table *t, struct mrf_table clients, uint64_t session)
{
	char text[TEXT_BYTES] = "";
	size_t bytes = 0;
	unsigned count = 0;

	for (uint32_t i = 0; i < mrf_admin_clients_rows_count(clients); i++) {
		struct mrf_table client = mrf_admin_clients_rows_at(clients, i);
		struct mrf_table row = mrf_admin_client_row(client);
		struct mrf_session_stats s = mrf_admin_client_stats(client);
		struct mrf_string name = mrf_session_row_name(row);

		if (s.blocked_by != session || ++count > NAMED_MAX)
			continue;
		bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes,
			"%s0x%016" PRIx64 " (%.*s)", count > 1 ? ", " : "",
			mrf_session_row_session(row), (int)name_bytes(name), name.data);
	}
	if (count > NAMED_MAX)
		snprintf(text + bytes, sizeof(text) - bytes, ", %u more", count - NAMED_MAX);
	if (count == 0)
		mr_cli_table_none(t);
	else
		text_cell(t, text);
}

static void add_row(struct mr_cli_table *t, struct mrf_table clients, struct mrf_table client,
	enum state state, const struct mrf_session_stats *s)
{
	struct mrf_table row = mrf_admin_client_row(client);
	bool udp = is_udp(client);

	mr_cli_table_id(t, mrf_session_row_session(row));
	mr_cli_table_string(t, mrf_session_row_name(row));
	text_cell(t, udp ? "udp" : "shm");
	state_cells(t, state, s, udp, mrf_admin_clients_read_ns(clients));
	subject_cell(t, state, s);
	if (s->blocked_by != 0)
		mr_cli_table_id(t, s->blocked_by);
	else
		mr_cli_table_none(t);
	blocks_cell(t, clients, mrf_session_row_session(row));
	mr_cli_table_count(t, s->backlog_bytes);
	mr_cli_table_count(t, s->held_messages);
	mr_cli_table_count(t, s->held_bytes);
	mr_cli_table_count(t, s->backlog_bytes_max);
	mr_cli_table_count(t, s->missed);
}

void mr_cli_slow_table(struct mr_cli_table *t, struct mrf_table clients)
{
	uint64_t read_ns = mrf_admin_clients_read_ns(clients);

	mr_cli_table_init(t, columns, MR_ARRAY_COUNT(columns));
	t->sort = "-seconds,session";
	for (uint32_t i = 0; i < mrf_admin_clients_rows_count(clients); i++) {
		struct mrf_table client = mrf_admin_clients_rows_at(clients, i);
		struct mrf_session_stats s = mrf_admin_client_stats(client);
		enum state state = state_of(&s, read_ns);

		if (state != KEEPS_UP)
			add_row(t, clients, client, state, &s);
	}
}
