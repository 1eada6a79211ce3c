/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/clients.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/options.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "cli/watch.h"
#include "lib/base/compiler.h"

#define NS_PER_S       1e9
#define USER_BYTES     64
#define PASSWORD_BYTES 4096

struct settings {
	struct mr_cli_view view;
	bool watch;
	uint64_t interval_ms;
	uint64_t count;
};

static const struct mr_cli_column columns[] = {
	{"SESSION", "session"},
	{"NAME", "name", .least = 18},
	{"USER", "user", .rank = 5, .least = 6},
	{"ADDRESS", "address", .rank = 7, .least = 12},
	{"TRANSPORT", "transport", .rank = 10},
	{"WORKER", "worker", .right = true, .rank = 11},
	{"PID", "pid", .right = true, .rank = 8},
	{NULL, "uid", .right = true},
	{NULL, "gid", .right = true},
	{NULL, "opened_ns", .right = true},
	{"AGE", "age_s", .right = true, .rank = 9, .unit = MR_CLI_UNIT_SECONDS},
	{"SUBS", "subscriptions", .right = true, .rank = 6},
	{"IN/s", "rx_per_s", .right = true, .rank = 1, .unit = MR_CLI_UNIT_COUNT},
	{"OUT/s", "tx_per_s", .right = true, .rank = 1, .unit = MR_CLI_UNIT_COUNT},
	{NULL, "messages_per_s", .right = true, .screen_only = true},
	{"IN-B/s", "rx_bytes_per_s", .right = true, .rank = 12, .unit = MR_CLI_UNIT_BYTES},
	{"OUT-B/s", "tx_bytes_per_s", .right = true, .rank = 12, .unit = MR_CLI_UNIT_BYTES},
	{"IN", "rx_messages", .right = true, .rank = 13, .unit = MR_CLI_UNIT_COUNT},
	{NULL, "rx_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
	{"OUT", "tx_messages", .right = true, .rank = 13, .unit = MR_CLI_UNIT_COUNT},
	{NULL, "tx_bytes", .right = true, .unit = MR_CLI_UNIT_BYTES},
	{"MISSED", "missed", .right = true, .rank = 2, .unit = MR_CLI_UNIT_COUNT, .alarm = true},
	{NULL, "missed_per_s", .right = true, .unit = MR_CLI_UNIT_COUNT, .alarm = true},
	{"REJECTED", "rejected", .right = true, .rank = 4, .unit = MR_CLI_UNIT_COUNT,
		.alarm = true},
	{"BACKLOG", "backlog_bytes", .right = true, .rank = 3, .unit = MR_CLI_UNIT_BYTES},
};

struct mr_cli_client_counts {
	uint64_t session;
	uint64_t rx_messages, tx_messages;
	uint64_t rx_bytes, tx_bytes;
	uint64_t missed;
};

struct mr_cli_name {
	uint64_t session;
	char *name;
	size_t bytes;
};

/* Orders counts and names, which both begin with the session. */
static int by_session(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static struct mr_cli_client_counts counts_of(uint64_t session, const struct mrf_session_stats *s)
{
	return (struct mr_cli_client_counts){
		.session = session,
		.rx_messages = s->rx_messages,
		.tx_messages = s->tx_messages,
		.rx_bytes = s->rx_bytes,
		.tx_bytes = s->tx_bytes,
		.missed = s->missed,
	};
}

void mr_cli_clients_reading_take(struct mr_cli_clients_reading *r, struct mrf_table clients)
{
	uint32_t count = mrf_admin_clients_rows_count(clients);

	r->rows = mr_cli_must(reallocarray(r->rows, count + 1, sizeof(*r->rows)));
	for (uint32_t i = 0; i < count; i++) {
		struct mrf_table client = mrf_admin_clients_rows_at(clients, i);
		struct mrf_session_stats stats = mrf_admin_client_stats(client);

		r->rows[i] =
			counts_of(mrf_session_row_session(mrf_admin_client_row(client)), &stats);
	}
	qsort(r->rows, count, sizeof(*r->rows), by_session);
	r->rows_count = count;
	r->read_ns = mrf_admin_clients_read_ns(clients);
}

void mr_cli_clients_reading_fini(struct mr_cli_clients_reading *r)
{
	free(r->rows);
	*r = (struct mr_cli_clients_reading){0};
}

void mr_cli_names_take(struct mr_cli_names *n, struct mrf_table clients)
{
	n->rows_count = mrf_admin_clients_rows_count(clients);
	n->rows = mr_cli_must(calloc(n->rows_count + 1, sizeof(*n->rows)));
	for (uint32_t i = 0; i < n->rows_count; i++) {
		struct mrf_table row = mrf_admin_client_row(mrf_admin_clients_rows_at(clients, i));
		struct mrf_string name = mrf_session_row_name(row);

		n->rows[i].session = mrf_session_row_session(row);
		n->rows[i].bytes = name.bytes;
		n->rows[i].name = mr_cli_must(malloc(name.bytes + 1));
		memcpy(n->rows[i].name, name.bytes ? name.data : "", name.bytes);
	}
	qsort(n->rows, n->rows_count, sizeof(*n->rows), by_session);
}

void mr_cli_names_fini(struct mr_cli_names *n)
{
	for (uint32_t i = 0; i < n->rows_count; i++)
		free(n->rows[i].name);
	free(n->rows);
	*n = (struct mr_cli_names){0};
}

const char *mr_cli_names_find(const struct mr_cli_names *n, uint64_t session, size_t *bytes)
{
	const struct mr_cli_name *found =
		n->rows_count > 0
			? bsearch(&session, n->rows, n->rows_count, sizeof(*n->rows), by_session)
			: NULL;

	*bytes = found ? found->bytes : 0;
	return found ? found->name : NULL;
}

/* Returns the name of a user; its number if the system knows none. */
static void user_name(uint32_t uid, char out[USER_BYTES])
{
	char memory[PASSWORD_BYTES];
	struct passwd entry, *found = NULL;

	if (getpwuid_r(uid, &entry, memory, sizeof(memory), &found) == 0 && found)
		snprintf(out, USER_BYTES, "%s", found->pw_name);
	else
		snprintf(out, USER_BYTES, "%u", uid);
}

void mr_cli_user_cell(struct mr_cli_table *t, bool local, uint32_t uid)
{
	/* Most clients of a bus have the same user, and a look-up may ask the network. */
	static char name[USER_BYTES];
	static uint32_t name_uid;

	if (!local) {
		mr_cli_table_none(t);
		return;
	}
	if (!*name || uid != name_uid)
		user_name(uid, name);
	name_uid = uid;
	mr_cli_table_text(t, name, strlen(name));
}

void mr_cli_address_cell(struct mr_cli_table *t, bool local, const struct mrf_network_path *path)
{
	char text[MR_CLI_TEXT_ADDRESS_BYTES];
	uint8_t address[16];

	if (local) {
		mr_cli_table_none(t);
		return;
	}
	memcpy(address, &path->peer_0, 8);
	memcpy(address + 8, &path->peer_1, 8);
	mr_cli_text_address(text, address, path->peer_udp_port);
	mr_cli_table_text(t, text, strlen(text));
}

/* Adds a process or user id; a client of another host has none. */
static void local_cell(struct mr_cli_table *t, bool local, uint32_t id)
{
	if (local)
		mr_cli_table_count(t, id);
	else
		mr_cli_table_none(t);
}

static void peer_cells(struct mr_cli_table *t, struct mrf_table client, uint64_t age_ns)
{
	struct mrf_table row = mrf_admin_client_row(client);
	bool local = mrf_session_row_transport(row) == MRF_TRANSPORT_SHM;
	struct mrf_network_path path = mrf_session_row_path(row);

	mr_cli_table_id(t, mrf_session_row_session(row));
	mr_cli_table_string(t, mrf_session_row_name(row));
	mr_cli_user_cell(t, local, mrf_session_row_uid(row));
	mr_cli_address_cell(t, local, &path);
	mr_cli_table_string(t, mrf_str(local ? "shm" : "udp"));
	mr_cli_table_count(t, mrf_admin_client_worker(client));
	local_cell(t, local, mrf_session_row_pid(row));
	local_cell(t, local, mrf_session_row_uid(row));
	local_cell(t, local, mrf_session_row_gid(row));
	mr_cli_table_count(t, mrf_session_row_opened_ns(row));
	mr_cli_table_count(t, (uint64_t)((double)age_ns / NS_PER_S));
	mr_cli_table_count(t, mrf_session_row_subscriptions(row));
}

/* Adds a rate without its fraction, which would be noise in a list. */
static void rate_cell(struct mr_cli_table *t, uint64_t now, uint64_t was, double seconds)
{
	mr_cli_table_count(t, (uint64_t)(mr_cli_rate(now, was, seconds) + 0.5));
}

static void count_cells(struct mr_cli_table *t, const struct mrf_session_stats *s,
	const struct mr_cli_client_counts *was, double seconds)
{
	rate_cell(t, s->rx_messages, was->rx_messages, seconds);
	rate_cell(t, s->tx_messages, was->tx_messages, seconds);
	mr_cli_table_real(t, mr_cli_rate(s->rx_messages, was->rx_messages, seconds) +
				     mr_cli_rate(s->tx_messages, was->tx_messages, seconds));
	rate_cell(t, s->rx_bytes, was->rx_bytes, seconds);
	rate_cell(t, s->tx_bytes, was->tx_bytes, seconds);
	mr_cli_table_count(t, s->rx_messages);
	mr_cli_table_count(t, s->rx_bytes);
	mr_cli_table_count(t, s->tx_messages);
	mr_cli_table_count(t, s->tx_bytes);
	mr_cli_table_count(t, s->missed);
	rate_cell(t, s->missed, was->missed, seconds);
	mr_cli_table_count(t, s->rejected);
	mr_cli_table_count(t, s->backlog_bytes);
}

static void client_row(struct mr_cli_table *t, struct mrf_table client,
	const struct mr_cli_clients_reading *was, double seconds, uint64_t date_ns)
{
	static const struct mr_cli_client_counts none;
	struct mrf_table row = mrf_admin_client_row(client);
	struct mrf_session_stats stats = mrf_admin_client_stats(client);
	uint64_t session = mrf_session_row_session(row), opened_ns = mrf_session_row_opened_ns(row);
	uint64_t age_ns = date_ns > opened_ns ? date_ns - opened_ns : 0;
	double age_s = (double)age_ns / NS_PER_S;
	const struct mr_cli_client_counts *before = NULL;

	if (was && was->rows_count > 0)
		before = bsearch(
			&session, was->rows, was->rows_count, sizeof(*was->rows), by_session);
	if (!before && (!was || age_s < seconds))
		seconds = age_s; /* since it connected, after the reading before */
	peer_cells(t, client, age_ns);
	count_cells(t, &stats, before ? before : &none, seconds);
}

void mr_cli_clients_table(struct mr_cli_table *t, struct mrf_table clients,
	const struct mr_cli_clients_reading *was, uint64_t date_ns)
{
	double seconds = 0;

	if (was)
		seconds = (double)(mrf_admin_clients_read_ns(clients) - was->read_ns) / NS_PER_S;
	mr_cli_table_init(t, columns, MR_ARRAY_COUNT(columns));
	t->sort = "-messages_per_s,-backlog_bytes,session";
	for (uint32_t i = 0; i < mrf_admin_clients_rows_count(clients); i++)
		client_row(t, mrf_admin_clients_rows_at(clients, i), was, seconds, date_ns);
}

/* State of --watch between readings. */
struct watching {
	const struct settings *set;
	struct mr_cli_clients_reading was;
	struct mr_cli_table table; /* the last reading */
};

static int take(const struct mr_cli_watch *w, struct mr_cli_admin *a)
{
	struct watching *x = w->arg;
	struct mrf_table clients;
	int rc = mr_cli_admin_open(a, w->cli);

	rc = rc ? rc
		: mr_cli_admin_ask(
			  a, MRF_ADMIN_VERB_CLIENTS, 0, MRF_ADMIN_BODY_ADMIN_CLIENTS, &clients);
	if (rc)
		return rc;
	mr_cli_table_fini(&x->table);
	mr_cli_clients_table(&x->table, clients, x->was.read_ns ? &x->was : NULL, mr_cli_date_ns());
	mr_cli_clients_reading_take(&x->was, clients);
	return 0;
}

static int show(const struct mr_cli_watch *w, bool in_place)
{
	struct watching *x = w->arg;
	char head[64];

	snprintf(head, sizeof(head), "%u clients", x->was.rows_count);
	return mr_cli_watch_show(w, in_place, head, &x->set->view, &x->table);
}

static int watch(const struct mr_cli *cli, const struct settings *set)
{
	struct watching x = {.set = set};
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
	mr_cli_clients_reading_fini(&x.was);
	return code;
}

static int run_clients(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;
	struct mr_cli_admin admin;
	struct mrf_table clients;
	struct mr_cli_table t;
	int code;

	(void)w;
	if (set->watch)
		return watch(cli, set);
	code = mr_cli_admin_query(
		cli, &admin, MRF_ADMIN_VERB_CLIENTS, 0, MRF_ADMIN_BODY_ADMIN_CLIENTS, &clients);
	if (code == MR_EXIT_OK) {
		mr_cli_clients_table(&t, clients, NULL, mr_cli_date_ns());
		code = mr_cli_view_show(cli, &set->view, &t);
	}
	mr_cli_admin_close(&admin);
	return code;
}

static const struct mr_cli_option options[] = {
	MR_CLI_VIEW_OPTIONS,
	MR_CLI_WATCH_OPTION("repeat, with the rates since the reading before"),
	MR_CLI_INTERVAL_OPTION("with --watch: time between readings (default 1s)"),
	MR_CLI_COUNT_OPTION(0, 1e9, "with --watch: stop after COUNT readings (default 0: never)"),
	{0},
};

static const struct settings defaults = {.interval_ms = 1000};

const struct mr_cli_verb mr_cli_clients = {
	.name = "clients",
	.summary = "list the clients",
	.operands = "",
	.details = "USER           user of a client on this host\n"
		   "ADDRESS        address of a client over UDP\n"
		   "IN/s, OUT/s    messages a second from and to the client: the mean since it\n"
		   "               connected; with --watch since the reading before\n"
		   "IN-B/s, OUT-B/s  the same in bytes\n"
		   "MISSED         deliveries dropped because the client was too slow\n"
		   "REJECTED       malformed messages of the client\n"
		   "BACKLOG        bytes that the client has not read yet\n"
		   "\n"
		   "The busiest come first. `millrace sessions` shows more about clients over\n"
		   "UDP (TRANSPORT udp), `millrace who SESSION` all about one.",
	.examples = "  millrace clients\n"
		    "  millrace clients --watch --sort -rx_per_s --limit 10\n"
		    "  millrace clients --filter 'missed>0' --columns session,name,missed\n"
		    "  millrace clients --json | jq '.[] | select(.missed > 0)'",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.run = run_clients,
};
