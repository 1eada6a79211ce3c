/* SPDX-License-Identifier: Apache-2.0 */
/* subjects: the subscriptions with their clients, or their patterns with the number of
 * subscriptions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/clients.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "lib/base/compiler.h"

/* Names of clients in a row of --patterns; of more only the number is shown. */
#define NAMED_MAX   8u
#define NAMES_BYTES 1024

struct settings {
	struct mr_cli_view view;
	bool patterns;
};

static const struct mr_cli_column subscription_columns[] = {
	{"PATTERN", "pattern", .least = 24, .identifies = true},
	{"KIND", "kind", .rank = 5},
	{"GROUP", "group", .rank = 2, .least = 8},
	{"QUEUE", "queue", .rank = 6, .least = 8},
	{"CLIENT", "client", .least = 16},
	{"SESSION", "session", .rank = 1},
	{"SUBSCRIPTION", "subscription", .right = true, .rank = 7},
	{"ALIKE", "alike", .right = true, .rank = 3, .unit = MR_CLI_UNIT_COUNT},
	{"WHEN-FULL", "when_full", .rank = 4},
	{NULL, "high_water", .right = true},
	{"MULTICAST", "multicast", .rank = 2, .least = 9},
};

static const struct mr_cli_column pattern_columns[] = {
	{"PATTERN", "pattern", .least = 24, .identifies = true},
	{"KIND", "kind", .rank = 3},
	{"SUBSCRIPTIONS", "subscriptions", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"GROUPS", "groups", .right = true, .rank = 2},
	{"CLIENTS", "clients", .rank = 1, .least = 14, .elision = MR_CLI_ELIDE_END},
};

/* The subscriptions, ordered by pattern, kind and group. */
struct subscriptions {
	struct mrf_table *rows;
	uint32_t count;
	struct mr_cli_names names;
};

static int compare_strings(struct mrf_string a, struct mrf_string b)
{
	uint32_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
	int order = bytes ? memcmp(a.data, b.data, bytes) : 0;

	return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static int compare_patterns(struct mrf_table a, struct mrf_table b)
{
	int kind = mrf_subscription_row_kind(a) - mrf_subscription_row_kind(b);

	return compare_strings(mrf_subscription_row_pattern(a), mrf_subscription_row_pattern(b))
		       ?: kind;
}

static int compare_rows(const void *a, const void *b)
{
	const struct mrf_table *x = a, *y = b;
	uint64_t s = mrf_subscription_row_session(*x), t = mrf_subscription_row_session(*y);
	int order = compare_patterns(*x, *y);

	if (order == 0)
		order = compare_strings(
			mrf_subscription_row_group(*x), mrf_subscription_row_group(*y));
	return order ? order : (s > t) - (s < t);
}

/* Returns the row behind the last one with the pattern of row `first`. */
static uint32_t end_of_pattern(const struct subscriptions *s, uint32_t first)
{
	uint32_t end = first + 1;

	while (end < s->count && compare_patterns(s->rows[first], s->rows[end]) == 0)
		end++;
	return end;
}

static void kind_cell(struct mr_cli_table *t, struct mrf_table row)
{
	bool prefix = mrf_subscription_row_kind(row) == MRF_SUBSCRIPTION_KIND_PREFIX;

	mr_cli_table_string(t, prefix ? mrf_str("prefix") : mrf_str("pattern"));
}

/* Adds a text; an empty one is none. */
static void text_cell(struct mr_cli_table *t, const char *text, size_t bytes)
{
	if (bytes > 0)
		mr_cli_table_text(t, text, bytes);
	else
		mr_cli_table_none(t);
}

static void full_cells(struct mr_cli_table *t, struct mrf_table row)
{
	bool blocks = mrf_subscription_row_when_full(row) == MRF_WHEN_FULL_BLOCK;

	mr_cli_table_string(t, blocks ? mrf_str("block") : mrf_str("drop"));
	if (blocks && mrf_subscription_row_queue(row).bytes == 0)
		mr_cli_table_count(t, mrf_subscription_row_high_water(row));
	else
		mr_cli_table_none(t);
}

static void subscription_row(
	struct mr_cli_table *t, const struct subscriptions *s, struct mrf_table row, uint32_t alike)
{
	uint64_t session = mrf_subscription_row_session(row);
	struct mrf_string group = mrf_subscription_row_group(row);
	struct mrf_string queue = mrf_subscription_row_queue(row);
	size_t name_bytes;
	const char *name = mr_cli_names_find(&s->names, session, &name_bytes);

	mr_cli_table_string(t, mrf_subscription_row_pattern(row));
	kind_cell(t, row);
	text_cell(t, group.data, group.bytes);
	text_cell(t, queue.data, queue.bytes);
	text_cell(t, name, name_bytes);
	mr_cli_table_id(t, session);
	mr_cli_table_count(t, mrf_subscription_row_subscription(row));
	mr_cli_table_count(t, alike);
	full_cells(t, row);
	text_cell(t, mrf_subscription_row_multicast(row).data,
		mrf_subscription_row_multicast(row).bytes);
}

static void fill_subscriptions(struct mr_cli_table *t, const struct subscriptions *s)
{
	mr_cli_table_init(t, subscription_columns, MR_ARRAY_COUNT(subscription_columns));
	t->sort = "pattern,group,client,session,subscription";
	for (uint32_t first = 0, end; first < s->count; first = end) {
		end = end_of_pattern(s, first);
		for (uint32_t i = first; i < end; i++)
			subscription_row(t, s, s->rows[i], end - first);
	}
}

/* Adds a name to those of a row, unless it has just been added. */
static void add_name(char out[NAMES_BYTES], const char *name, size_t bytes, unsigned *count)
{
	size_t used = strlen(out);

	if (!name || bytes == 0 || ++*count > NAMED_MAX || used + bytes + 3 > NAMES_BYTES)
		return;
	snprintf(out + used, NAMES_BYTES - used, "%s%.*s", used ? ", " : "", (int)bytes, name);
}

/* Names the clients of the rows `first` to `end`, each run of equal names once. */
static void names_cell(
	struct mr_cli_table *t, const struct subscriptions *s, uint32_t first, uint32_t end)
{
	char text[NAMES_BYTES] = "";
	const char *last = NULL;
	size_t last_bytes = 0, bytes;
	unsigned count = 0;

	for (uint32_t i = first; i < end; i++) {
		const char *name = mr_cli_names_find(
			&s->names, mrf_subscription_row_session(s->rows[i]), &bytes);

		if (!name || (last && bytes == last_bytes && memcmp(name, last, bytes) == 0))
			continue;
		add_name(text, name, bytes, &count);
		last = name;
		last_bytes = bytes;
	}
	bytes = strlen(text);
	if (count > NAMED_MAX)
		snprintf(text + bytes, sizeof(text) - bytes, ", %u more", count - NAMED_MAX);
	text_cell(t, text, strlen(text));
}

static uint32_t count_groups(const struct subscriptions *s, uint32_t first, uint32_t end)
{
	uint32_t count = 0;

	for (uint32_t i = first; i < end; i++) {
		struct mrf_string group = mrf_subscription_row_group(s->rows[i]);

		if (group.bytes > 0 &&
			(i == first || compare_strings(group,
					       mrf_subscription_row_group(s->rows[i - 1])) != 0))
			count++;
	}
	return count;
}

static void fill_patterns(struct mr_cli_table *t, const struct subscriptions *s)
{
	mr_cli_table_init(t, pattern_columns, MR_ARRAY_COUNT(pattern_columns));
	t->sort = "-subscriptions,pattern";
	for (uint32_t first = 0, end; first < s->count; first = end) {
		end = end_of_pattern(s, first);
		mr_cli_table_string(t, mrf_subscription_row_pattern(s->rows[first]));
		kind_cell(t, s->rows[first]);
		mr_cli_table_count(t, end - first);
		mr_cli_table_count(t, count_groups(s, first, end));
		names_cell(t, s, first, end);
	}
}

/* Asks for the names of the clients first; the answer about subscriptions stays in `a`. */
static int ask(const struct mr_cli *cli, struct mr_cli_admin *a, struct subscriptions *s)
{
	struct mrf_table answer;
	int rc = mr_cli_admin_open(a, cli);

	rc = rc ? rc
		: mr_cli_admin_ask(
			  a, MRF_ADMIN_VERB_CLIENTS, 0, MRF_ADMIN_BODY_ADMIN_CLIENTS, &answer);
	if (rc)
		return rc;
	mr_cli_names_take(&s->names, answer);
	rc = mr_cli_admin_ask(
		a, MRF_ADMIN_VERB_SUBJECTS, 0, MRF_ADMIN_BODY_ADMIN_SUBJECTS, &answer);
	if (rc)
		return rc;
	s->count = mrf_admin_subjects_rows_count(answer);
	s->rows = calloc(s->count + 1, sizeof(*s->rows));
	if (!s->rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->count; i++)
		s->rows[i] = mrf_admin_subjects_rows_at(answer, i);
	qsort(s->rows, s->count, sizeof(*s->rows), compare_rows);
	return 0;
}

static int run_subjects(
	const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;
	struct subscriptions s = {0};
	struct mr_cli_admin admin = {.socket.fd = -1};
	struct mr_cli_table t;
	int code = ask(cli, &admin, &s);

	(void)w;
	if (code) {
		code = mr_cli_admin_fail(cli, &admin, code);
	} else {
		if (set->patterns)
			fill_patterns(&t, &s);
		else
			fill_subscriptions(&t, &s);
		code = mr_cli_view_show(cli, &set->view, &t);
	}
	free(s.rows);
	mr_cli_names_fini(&s.names);
	mr_cli_admin_close(&admin);
	return code;
}

static const struct mr_cli_option options[] = {
	MR_CLI_VIEW_OPTIONS,
	{.name = "patterns",
		.letter = 'p',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, patterns),
		.help = "one row for each pattern, with the number of its subscriptions"},
	{0},
};

const struct mr_cli_verb mr_cli_subjects = {
	.name = "subjects",
	.summary = "list the subscriptions",
	.operands = "",
	.details = "QUEUE      the queue that is bound to the pattern; its session is 0\n"
		   "CLIENT     name of the client that subscribed\n"
		   "ALIKE      subscriptions with the same pattern, this one included\n"
		   "MULTICAST  the group that carries its deliveries\n"
		   "WHEN-FULL  a full receiver of promised messages: the publisher waits\n"
		   "           (block), or the message is dropped for it (drop)\n"
		   "\n"
		   "With --patterns the most subscribed come first:\n"
		   "\n"
		   "SUBSCRIPTIONS, GROUPS  how many the pattern has; a message goes to one\n"
		   "                       member of each group\n"
		   "CLIENTS                names of the first of its clients",
	.examples = "  millrace subjects\n"
		    "  millrace subjects --patterns --limit 20\n"
		    "  millrace subjects --filter 'client~^orders'\n"
		    "  millrace subjects --json | jq -r '.[].pattern' | sort -u",
	.options = options,
	.settings_bytes = sizeof(struct settings),
	.run = run_subjects,
};
