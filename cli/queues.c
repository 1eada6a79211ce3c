/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/queues.h"

#include <stdlib.h>
#include <string.h>

#include "cli/edit.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "cli/watch.h"
#include "lib/base/compiler.h"

#define NS_PER_S 1e9

struct settings {
	struct mr_cli_view view;
	bool watch;
	uint64_t interval_ms;
	uint64_t count;
};

/* Queues and services have the same cells under the same keys, but different columns on a terminal.
 * `rate` says in which mode a column is shown. */
enum rate { ALWAYS, COUNT, RATE };

struct column {
	const char *queue;
	const char *service;
	const char *key;
	enum rate rate;
	bool left;
	uint8_t rank;
	enum mr_cli_unit unit;
	bool alarm;
	const char *good;
	const char *section;
	uint8_t least;
};

#define COUNTED .unit = MR_CLI_UNIT_COUNT

static const struct column all_columns[] = {
	{"QUEUE", "SERVICE", "name", .left = true},
	{NULL, NULL, "queue"},
	{NULL, NULL, "kind", .left = true},
	{"WORKER", "WORKER", "worker", .rank = 14},
	{"PAUSED", "PAUSED", "paused", .left = true, .rank = 5, .good = "no"},
	{NULL, "CIRCUIT", "breaker", .left = true, .rank = 1, .good = "closed"},
	{"READY", "WAITING", "ready", COUNTED},
	{"DELAYED", NULL, "delayed", .rank = 9, COUNTED},
	{"OUT", "IN-HAND", "outstanding", .rank = 2, COUNTED},
	{"BYTES", NULL, "bytes", .rank = 7, .unit = MR_CLI_UNIT_BYTES},
	{"OLDEST", "OLDEST", "oldest_ms", .rank = 3, .unit = MR_CLI_UNIT_MS},
	{"CONSUMERS", "WORKERS", "consumers", .rank = 2},
	{"CREDIT", NULL, "credit", .rank = 13, COUNTED},
	{"BOUND", NULL, "bindings", .rank = 15, COUNTED},
	{NULL, NULL, "keys", COUNTED},
	{NULL, NULL, "keys_held", COUNTED},
	{NULL, NULL, "keys_moved", COUNTED},
	{"PUSHED", "CALLS", "pushed", COUNT, .rank = 10, COUNTED},
	{NULL, NULL, "accepted"},
	{"REFUSED", "REFUSED", "refused", .rank = 4, COUNTED, .alarm = true},
	{NULL, NULL, "duplicates"},
	{"DELIVERED", NULL, "delivered", COUNT, .rank = 12, COUNTED},
	{"ACKED", NULL, "acked", COUNT, .rank = 11, COUNTED},
	{"REDELIVERED", "AGAIN", "redelivered", .rank = 8, COUNTED},
	{NULL, NULL, "dead"},
	{NULL, NULL, "dropped"},
	{NULL, "EXPIRED", "expired", .rank = 6, COUNTED},
	{"DEAD", NULL, "dead_ready", .rank = 1, COUNTED, .alarm = true},
	{NULL, "REPLIES", "replies", .rank = 11, COUNTED},
	{NULL, "FAILURES", "failures", .rank = 4, COUNTED, .alarm = true},
	{"IN/s", "CALLS/s", "pushed_per_s", RATE, .rank = 1, COUNTED},
	{"OUT/s", NULL, "delivered_per_s", RATE, .rank = 2, COUNTED},
	{"ACKED/s", "REPLIES/s", "acked_per_s", RATE, .rank = 3, COUNTED},
	{NULL, NULL, "policy", .left = true, .section = "Settings of queues and services:"},
	{NULL, NULL, "when_full", .left = true},
	{NULL, NULL, "messages_max"},
	{NULL, NULL, "bytes_max", .unit = MR_CLI_UNIT_BYTES},
	{NULL, NULL, "age_max_ms", .unit = MR_CLI_UNIT_MS},
	{NULL, NULL, "ack_timeout_ms", .unit = MR_CLI_UNIT_MS},
	{NULL, NULL, "max_deliver"},
	{NULL, NULL, "when_expired", .left = true},
	{NULL, NULL, "aging_ms", .unit = MR_CLI_UNIT_MS},
	{NULL, NULL, "single_active", .left = true},
	{NULL, NULL, "in_flight_per_key"},
	{NULL, NULL, "key_from", .left = true},
	{NULL, NULL, "retry_min_ms", .unit = MR_CLI_UNIT_MS},
	{NULL, NULL, "retry_max_ms", .unit = MR_CLI_UNIT_MS},
	{NULL, NULL, "retry_factor"},
	{NULL, NULL, "retry_jitter"},
	{NULL, NULL, "dead_letter", .left = true},
	{NULL, NULL, "edited", .left = true},
	{"OWNER", NULL, "owner", .left = true, .rank = 16},
	{"DESCRIPTION", NULL, "description", .left = true, .rank = 17, .least = 12},
	{NULL, NULL, "not_idempotent", .left = true, .section = "Settings of services only:"},
	{NULL, NULL, "breaker_failures"},
	{NULL, NULL, "breaker_reset_ms", .unit = MR_CLI_UNIT_MS},
	{NULL, NULL, "breaker_probes"},
};

_Static_assert(MR_ARRAY_COUNT(all_columns) <= MR_CLI_QUEUE_COLUMNS, "room for all of them");

/* The CLI's words for the schema's values. */
static const char *policy_text(uint8_t policy)
{
	switch (policy) {
	case MRF_QUEUE_POLICY_DEFAULT: return "default";
	case MRF_QUEUE_POLICY_LEAST_RECENTLY_USED: return "lru";
	case MRF_QUEUE_POLICY_ROUND_ROBIN: return "round-robin";
	case MRF_QUEUE_POLICY_LEAST_OUTSTANDING: return "least-outstanding";
	case MRF_QUEUE_POLICY_RANDOM: return "random";
	case MRF_QUEUE_POLICY_WEIGHTED: return "weighted";
	case MRF_QUEUE_POLICY_KEY_SHARED: return "key-shared";
	default: return "unknown";
	}
}

static const char *full_text(uint8_t when_full)
{
	switch (when_full) {
	case MRF_QUEUE_FULL_DEFAULT: return "default";
	case MRF_QUEUE_FULL_WAIT: return "wait";
	case MRF_QUEUE_FULL_REFUSE: return "refuse";
	case MRF_QUEUE_FULL_DROP_OLDEST: return "drop-oldest";
	case MRF_QUEUE_FULL_DEAD_LETTER: return "dead-letter";
	default: return "unknown";
	}
}

static const char *expired_text(uint8_t when_expired)
{
	switch (when_expired) {
	case MRF_QUEUE_EXPIRED_DEFAULT: return "default";
	case MRF_QUEUE_EXPIRED_DISCARD: return "discard";
	case MRF_QUEUE_EXPIRED_DEAD_LETTER: return "dead-letter";
	default: return "unknown";
	}
}

static const char *breaker_text(uint8_t state)
{
	switch (state) {
	case MRF_BREAKER_STATE_CLOSED: return "closed";
	case MRF_BREAKER_STATE_OPEN: return "open";
	case MRF_BREAKER_STATE_HALF_OPEN: return "half-open";
	default: return "unknown";
	}
}

static void state_cells(struct mr_cli_table *t, struct mrf_table row)
{
	bool service = mrf_queue_row_kind(row) == MRF_QUEUE_KIND_SERVICE;

	mr_cli_table_string(t, mrf_queue_row_name(row));
	mr_cli_table_count(t, mrf_queue_row_queue(row));
	mr_cli_table_string(t, mrf_str(service ? "service" : "queue"));
	mr_cli_table_count(t, mrf_queue_row_worker(row));
	mr_cli_table_bool(t, mrf_queue_row_paused(row));
	if (service)
		mr_cli_table_string(t, mrf_str(breaker_text(mrf_queue_row_breaker(row))));
	else
		mr_cli_table_none(t);
	mr_cli_table_count(t, mrf_queue_row_ready(row));
	mr_cli_table_count(t, mrf_queue_row_delayed(row));
	mr_cli_table_count(t, mrf_queue_row_outstanding(row));
	mr_cli_table_count(t, mrf_queue_row_bytes(row));
	mr_cli_table_count(t, mrf_queue_row_oldest_ms(row));
	mr_cli_table_count(t, mrf_queue_row_consumers(row));
	mr_cli_table_count(t, mrf_queue_row_credit(row));
	mr_cli_table_count(t, mrf_queue_row_bindings(row));
	mr_cli_table_count(t, mrf_queue_row_keys(row));
	mr_cli_table_count(t, mrf_queue_row_keys_held(row));
	mr_cli_table_count(t, mrf_queue_row_keys_moved(row));
}

static void count_cells(struct mr_cli_table *t, struct mrf_table row)
{
	mr_cli_table_count(t, mrf_queue_row_pushed(row));
	mr_cli_table_count(t, mrf_queue_row_accepted(row));
	mr_cli_table_count(t, mrf_queue_row_refused(row));
	mr_cli_table_count(t, mrf_queue_row_duplicates(row));
	mr_cli_table_count(t, mrf_queue_row_delivered(row));
	mr_cli_table_count(t, mrf_queue_row_acked(row));
	mr_cli_table_count(t, mrf_queue_row_redelivered(row));
	mr_cli_table_count(t, mrf_queue_row_dead(row));
	mr_cli_table_count(t, mrf_queue_row_dropped(row));
	mr_cli_table_count(t, mrf_queue_row_expired(row));
	mr_cli_table_count(t, mrf_queue_row_dead_ready(row));
	mr_cli_table_count(t, mrf_queue_row_replies(row));
	mr_cli_table_count(t, mrf_queue_row_failures(row));
}

const char *mr_cli_queues_dead_letter(struct mrf_table row)
{
	struct mrf_string name = mrf_queue_row_dead_letter(row);

	return name.bytes > 0 ? name.data : "default";
}

static void edited_cell(struct mr_cli_table *t, uint32_t edited)
{
	char names[MR_CLI_EDIT_NAMES_BYTES];

	mr_cli_edit_names(names, edited);
	mr_cli_table_string(t, mrf_str(names));
}

/* Options of queues that go by keys. */
static void key_cells(struct mr_cli_table *t, struct mrf_table row)
{
	struct mrf_table o = mrf_queue_row_options(row);
	struct mrf_string from = mrf_queue_options_key_from(o);

	if (mrf_queue_options_policy(o) != MRF_QUEUE_POLICY_KEY_SHARED) {
		mr_cli_table_none(t);
		mr_cli_table_none(t);
		return;
	}
	mr_cli_table_count(t, mrf_queue_options_in_flight_per_key(o));
	mr_cli_table_string(t, from.bytes > 0 ? from : mrf_str("none"));
}

static void option_cells(struct mr_cli_table *t, struct mrf_table row)
{
	struct mrf_table o = mrf_queue_row_options(row);

	mr_cli_table_string(t, mrf_str(policy_text(mrf_queue_options_policy(o))));
	mr_cli_table_string(t, mrf_str(full_text(mrf_queue_options_when_full(o))));
	mr_cli_table_limit(t, mrf_queue_options_messages_max(o), UINT32_MAX);
	mr_cli_table_limit(t, mrf_queue_options_bytes_max(o), 0);
	mr_cli_table_limit(t, mrf_queue_options_age_max_ms(o), 0);
	mr_cli_table_count(t, mrf_queue_options_ack_timeout_ms(o));
	mr_cli_table_count(t, mrf_queue_options_max_deliver(o));
	mr_cli_table_string(t, mrf_str(expired_text(mrf_queue_options_when_expired(o))));
	mr_cli_table_limit(t, mrf_queue_options_aging_ms(o), 0);
	mr_cli_table_bool(t, mrf_queue_options_single_active(o) == MRF_SINGLE_ACTIVE_YES);
	key_cells(t, row);
	mr_cli_table_limit(t, mrf_queue_options_retry_min_ms(o), 0);
	mr_cli_table_count(t, mrf_queue_options_retry_max_ms(o));
	mr_cli_table_real(t, mrf_queue_options_retry_factor(o) / 100.0);
	mr_cli_table_count(t, mrf_queue_options_retry_jitter(o));
	mr_cli_table_string(t, mrf_str(mr_cli_queues_dead_letter(row)));
	edited_cell(t, mrf_queue_row_edited(row));
	mr_cli_table_string(t, mrf_queue_row_owner(row));
	mr_cli_table_string(t, mrf_queue_row_description(row));
	mr_cli_table_bool(t, mrf_queue_options_not_idempotent(o));
	mr_cli_table_limit(t, mrf_queue_options_breaker_failures(o), UINT16_MAX);
	mr_cli_table_count(t, mrf_queue_options_breaker_reset_ms(o));
	mr_cli_table_count(t, mrf_queue_options_breaker_probes(o));
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = ((const struct mr_cli_queue_counts *)a)->queue;
	uint32_t y = ((const struct mr_cli_queue_counts *)b)->queue;

	return (x > y) - (x < y);
}

static void rate_cells(struct mr_cli_table *t, struct mrf_table row,
	const struct mr_cli_queue_reading *was, uint64_t read_ns)
{
	static const struct mr_cli_queue_counts none;
	const struct mr_cli_queue_counts key = {.queue = mrf_queue_row_queue(row)};
	const struct mr_cli_queue_counts *before = NULL;
	double seconds = was ? (double)(read_ns - was->read_ns) / NS_PER_S : 0;

	if (was && was->rows_count > 0)
		before = bsearch(&key, was->rows, was->rows_count, sizeof(key), by_number);
	if (!before)
		before = &none;
	mr_cli_table_real(t, mr_cli_rate(mrf_queue_row_pushed(row), before->pushed, seconds));
	mr_cli_table_real(t, mr_cli_rate(mrf_queue_row_delivered(row), before->delivered, seconds));
	mr_cli_table_real(t, mr_cli_rate(mrf_queue_row_acked(row), before->acked, seconds));
}

static void choose_columns(
	struct mr_cli_column columns[MR_CLI_QUEUE_COLUMNS], enum mrf_queue_kind kind, bool rates)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(all_columns); i++) {
		const struct column *c = &all_columns[i];
		const char *title = kind == MRF_QUEUE_KIND_SERVICE ? c->service : c->queue;

		columns[i] = (struct mr_cli_column){
			.title = c->rate == (rates ? COUNT : RATE) ? NULL : title,
			.key = c->rate == RATE && !rates ? NULL : c->key,
			.right = !c->left,
			.rank = c->rank,
			.least = strcmp(c->key, "name") == 0 ? 24 : c->least,
			.identifies = strcmp(c->key, "name") == 0,
			.unit = c->unit,
			.alarm = c->alarm,
			.good = c->good,
			.section = c->section,
		};
	}
}

void mr_cli_queues_table(struct mr_cli_table *t, struct mr_cli_column columns[MR_CLI_QUEUE_COLUMNS],
	enum mrf_queue_kind kind, struct mrf_table queues, const struct mr_cli_queue_reading *was)
{
	choose_columns(columns, kind, was != NULL);
	mr_cli_table_init(t, columns, MR_ARRAY_COUNT(all_columns));
	t->sort = kind == MRF_QUEUE_KIND_SERVICE ? "-breaker,-ready,-outstanding,name"
						 : "-ready,-outstanding,-dead_ready,name";
	for (uint32_t i = 0; i < mrf_admin_queues_rows_count(queues); i++) {
		struct mrf_table row = mrf_admin_queues_rows_at(queues, i);

		state_cells(t, row);
		count_cells(t, row);
		rate_cells(t, row, was, mrf_admin_queues_read_ns(queues));
		option_cells(t, row);
	}
}

void mr_cli_queue_reading_take(struct mr_cli_queue_reading *r, struct mrf_table queues)
{
	uint32_t count = mrf_admin_queues_rows_count(queues);

	r->rows = mr_cli_must(reallocarray(r->rows, count + 1, sizeof(*r->rows)));
	for (uint32_t i = 0; i < count; i++) {
		struct mrf_table row = mrf_admin_queues_rows_at(queues, i);

		r->rows[i] = (struct mr_cli_queue_counts){
			.queue = mrf_queue_row_queue(row),
			.pushed = mrf_queue_row_pushed(row),
			.delivered = mrf_queue_row_delivered(row),
			.acked = mrf_queue_row_acked(row),
		};
	}
	qsort(r->rows, count, sizeof(*r->rows), by_number);
	r->rows_count = count;
	r->read_ns = mrf_admin_queues_read_ns(queues);
}

void mr_cli_queue_reading_fini(struct mr_cli_queue_reading *r)
{
	free(r->rows);
	*r = (struct mr_cli_queue_reading){0};
}

/* State of --watch between readings. */
struct watching {
	enum mrf_queue_kind kind;
	const struct mr_cli_view *view;
	struct mr_cli_queue_reading was;
	struct mr_cli_column columns[MR_CLI_QUEUE_COLUMNS];
	struct mr_cli_table table; /* the last reading */
};

static int ask(struct mr_cli_admin *a, enum mrf_queue_kind kind, struct mrf_table *queues)
{
	const struct mrf_queue_command command = {.kind = (uint8_t)kind};

	return mr_cli_admin_ask_queue(
		a, MRF_ADMIN_VERB_QUEUES, &command, MRF_ADMIN_BODY_ADMIN_QUEUES, queues);
}

static int take(const struct mr_cli_watch *w, struct mr_cli_admin *a)
{
	struct watching *x = w->arg;
	struct mrf_table queues;
	int rc = mr_cli_admin_open(a, w->cli);

	rc = rc ? rc : ask(a, x->kind, &queues);
	if (rc)
		return rc;
	mr_cli_table_fini(&x->table);
	mr_cli_queues_table(&x->table, x->columns, x->kind, queues, &x->was);
	mr_cli_queue_reading_take(&x->was, queues);
	return 0;
}

static int show(const struct mr_cli_watch *w, bool in_place)
{
	struct watching *x = w->arg;
	char head[64];

	snprintf(head, sizeof(head), "%u %s", x->was.rows_count,
		x->kind == MRF_QUEUE_KIND_SERVICE ? "services" : "queues");
	return mr_cli_watch_show(w, in_place, head, x->view, &x->table);
}

static int watch(const struct mr_cli *cli, const struct settings *set, enum mrf_queue_kind kind)
{
	struct watching x = {.kind = kind, .view = &set->view};
	const struct mr_cli_watch w = {
		.interval_ms = set->interval_ms,
		.count = set->count,
		.take = take,
		.show = show,
		.cli = cli,
		.arg = &x,
	};
	int code = mr_cli_watch(&w);

	mr_cli_table_fini(&x.table);
	mr_cli_queue_reading_fini(&x.was);
	return code;
}

static int list(const struct mr_cli *cli, const struct settings *set, enum mrf_queue_kind kind)
{
	const struct mrf_queue_command command = {.kind = (uint8_t)kind};
	struct mr_cli_column columns[MR_CLI_QUEUE_COLUMNS];
	struct mr_cli_admin admin;
	struct mr_cli_table t;
	struct mrf_table queues;
	int code = mr_cli_admin_query_queue(
		cli, &admin, MRF_ADMIN_VERB_QUEUES, &command, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);

	if (code == MR_EXIT_OK) {
		mr_cli_queues_table(&t, columns, kind, queues, NULL);
		code = mr_cli_view_show(cli, &set->view, &t);
	}
	mr_cli_admin_close(&admin);
	return code;
}

static int run_queues(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;

	(void)w;
	return set->watch ? watch(cli, set, MRF_QUEUE_KIND_QUEUE)
			  : list(cli, set, MRF_QUEUE_KIND_QUEUE);
}

static int run_services(
	const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;

	(void)w;
	return set->watch ? watch(cli, set, MRF_QUEUE_KIND_SERVICE)
			  : list(cli, set, MRF_QUEUE_KIND_SERVICE);
}

static const struct mr_cli_option options[] = {
	MR_CLI_VIEW_OPTIONS,
	MR_CLI_WATCH_OPTION("repeat, with rates instead of counts"),
	MR_CLI_INTERVAL_OPTION("with --watch: time between readings (default 1s)"),
	MR_CLI_COUNT_OPTION(0, 1e9, "with --watch: stop after COUNT readings (default 0: never)"),
	{0},
};

static const struct settings defaults = {.interval_ms = 1000};

const struct mr_cli_verb mr_cli_queues = {
	.name = "queues",
	.summary = "list the queues",
	.operands = "",
	.details = "All values are counted since the queue was opened.\n"
		   "\n"
		   "READY      messages that wait for a consumer\n"
		   "DELAYED    messages that wait for their time\n"
		   "OUT        messages with consumers, not settled yet\n"
		   "OLDEST     time that the oldest message has waited\n"
		   "CREDIT     messages that the consumers would still take\n"
		   "DEAD       dead letters: `millrace queue dead NAME` shows them\n"
		   "\n"
		   "--json has all fields, under the names in flatbuf/schemas/link.fbs\n"
		   "(QueueRow, QueueOptions); with --watch also pushed_per_s, delivered_per_s\n"
		   "and acked_per_s.",
	.examples = "  millrace queues\n"
		    "  millrace queues --watch --interval 500\n"
		    "  millrace queues --filter 'oldest_ms>1m' --sort -oldest_ms\n"
		    "  millrace queues --json | jq '.[] | select(.oldest_ms > 60000) | .name'",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.run = run_queues,
};

const struct mr_cli_verb mr_cli_services = {
	.name = "services",
	.summary = "list the services",
	.operands = "",
	.details = "WAITING   calls that no worker has taken yet\n"
		   "IN-HAND   calls that workers have taken\n"
		   "AGAIN     calls that were given to another worker\n"
		   "FAILURES  consecutive failures; enough of them open the circuit\n"
		   "CIRCUIT   the circuit breaker; while it is open, calls are refused at once\n"
		   "\n"
		   "--json has all fields, as `millrace queues` does.",
	.examples = "  millrace services\n"
		    "  millrace services --json | jq '.[] | select(.breaker != \"closed\")'",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.run = run_services,
};
