/* SPDX-License-Identifier: Apache-2.0 */
/* status, kick, ping: the whole bus, or one client of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/millrace.h"
#include "cli/admin.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/view.h"

struct settings {
	struct mr_cli_view view; /* wide and colour */
	bool json;
	uint64_t timeout_ms;
	uint64_t count;
};

static const struct mr_cli_option status_options[] = {
	MR_CLI_JSON_OPTION("print one JSON object"),
	MR_CLI_WIDE_OPTION,
	MR_CLI_COLOUR_OPTION,
	{0},
};

/* How the lines of the status are printed. */
struct lines {
	size_t width; /* columns of the terminal; 0: unlimited */
	bool colour;
};

#define TITLE_WIDTH 14
#define LINE_BYTES  1024

/* Prints a line, cut to the terminal. */
static void print_line(const struct lines *l, bool wrong, const char *title, const char *text)
{
	size_t room = l->width > TITLE_WIDTH + 1 ? l->width - TITLE_WIDTH - 1 : 1;
	char shown[LINE_BYTES + 4];

	mr_cli_elide(shown, sizeof(shown), text, l->width ? room : SIZE_MAX, MR_CLI_ELIDE_MIDDLE);
	printf("%-*s %s%s%s\n", TITLE_WIDTH, title, wrong && l->colour ? "\033[31m" : "", shown,
		wrong && l->colour ? "\033[0m" : "");
}

static void print_count(
	const struct lines *l, const char *title, const char *before, uint64_t count)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%" PRIu64, before, count);
	print_line(l, false, title, text);
}

static void print_age(const struct lines *l, const char *title, uint64_t started_ns)
{
	uint64_t now_ns = mr_cli_date_ns();
	uint64_t s = started_ns && now_ns > started_ns ? (now_ns - started_ns) / 1000000000u : 0;
	char text[64];

	snprintf(text, sizeof(text), "%" PRIu64 "d %02u:%02u:%02u", s / 86400,
		(unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	print_line(l, false, title, text);
}

static void print_string(const struct lines *l, const char *title, struct mrf_string text)
{
	char escaped[LINE_BYTES] = "-";

	if (text.bytes > 0)
		mr_cli_text_escape(escaped, sizeof(escaped), text.data, text.bytes);
	print_line(l, false, title, escaped);
}

/* Prints a trouble on as many lines as it takes: its end is as important as its beginning. */
static void print_trouble(const struct lines *l, struct mrf_table t)
{
	uint64_t since_ns = mrf_admin_trouble_since_ns(t), now_ns = mr_cli_date_ns();
	struct mrf_string text = mrf_admin_trouble_text(t);
	int worker = mrf_admin_trouble_worker(t);
	char line[LINE_BYTES], escaped[LINE_BYTES / 2], where[64] = "";
	const char *title = "trouble";
	size_t room = l->width > TITLE_WIDTH + 20 ? l->width - TITLE_WIDTH - 1 : SIZE_MAX;

	mr_cli_text_escape(escaped, sizeof(escaped), text.data, text.bytes);
	if (worker >= 0)
		snprintf(where, sizeof(where), "; worker %d", worker);
	if (mrf_admin_trouble_session(t) != 0)
		snprintf(where + strlen(where), sizeof(where) - strlen(where),
			", session 0x%016" PRIx64, mrf_admin_trouble_session(t));
	snprintf(line, sizeof(line), "%s%s; for %" PRIu64 " s", escaped, where,
		now_ns > since_ns ? (now_ns - since_ns) / 1000000000u : 0);
	for (char *at = line; at; title = "") {
		size_t bytes = mr_cli_wrap(at, room);
		char *next = at[bytes] ? at + bytes + 1 : NULL;

		at[bytes] = '\0';
		print_line(l, true, title, at);
		at = next;
	}
}

static void print_dataplane(const struct lines *l, struct mrf_table s)
{
	char text[64];

	print_count(l, "data plane", "pid ", mrf_admin_status_dataplane_pid(s));
	print_age(l, "  up", mrf_admin_status_dataplane_started_ns(s));
	print_string(l, "  version", mrf_admin_status_dataplane_version(s));
	print_count(l, "workers", "", mrf_admin_status_workers(s));
	snprintf(text, sizeof(text), "%" PRIu64 " (%" PRIu64 " over UDP)",
		mrf_admin_status_sessions(s), mrf_admin_status_remote_sessions(s));
	print_line(l, false, "clients", text);
	print_count(l, "subscriptions", "", mrf_admin_status_subscriptions(s));
}

static void print_status(struct mrf_table s, bool colour, size_t width)
{
	const struct lines l = {.width = width, .colour = colour};

	print_string(&l, "version", mrf_admin_status_version(s));
	print_string(&l, "run dir", mrf_admin_status_run_dir(s));
	print_string(&l, "config", mrf_admin_status_config_file(s));
	print_count(&l, "control", "pid ", mrf_admin_status_control_pid(s));
	print_age(&l, "  up", mrf_admin_status_control_started_ns(s));
	if (!mrf_admin_status_dataplane_connected(s)) {
		print_line(&l, true, "data plane", "not connected");
		return;
	}
	print_dataplane(&l, s);
	for (uint32_t i = 0; i < mrf_admin_status_troubles_count(s); i++)
		print_trouble(&l, mrf_admin_status_troubles_at(s, i));
}

static void set_string(json_t *object, const char *key, struct mrf_string text)
{
	mr_cli_text_json(object, key, text.data, text.bytes);
}

static void set_count(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *troubles_json(struct mrf_table s)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < mrf_admin_status_troubles_count(s); i++) {
		struct mrf_table t = mrf_admin_status_troubles_at(s, i);
		int worker = mrf_admin_trouble_worker(t);
		json_t *o = json_object();

		set_string(o, "name", mrf_admin_trouble_name(t));
		set_string(o, "text", mrf_admin_trouble_text(t));
		set_count(o, "since_ns", mrf_admin_trouble_since_ns(t));
		json_object_set_new(o, "worker", worker >= 0 ? json_integer(worker) : json_null());
		json_object_set_new(o, "session",
			mrf_admin_trouble_session(t) != 0
				? json_sprintf("0x%016" PRIx64, mrf_admin_trouble_session(t))
				: json_null());
		json_array_append_new(rows, o);
	}
	return rows;
}

static void print_status_json(struct mrf_table s)
{
	json_t *o = json_object();

	set_string(o, "version", mrf_admin_status_version(s));
	set_string(o, "run_dir", mrf_admin_status_run_dir(s));
	set_string(o, "config_file", mrf_admin_status_config_file(s));
	set_count(o, "control_pid", mrf_admin_status_control_pid(s));
	set_count(o, "control_started_ns", mrf_admin_status_control_started_ns(s));
	json_object_set_new(
		o, "dataplane_connected", json_boolean(mrf_admin_status_dataplane_connected(s)));
	set_count(o, "dataplane_pid", mrf_admin_status_dataplane_pid(s));
	set_count(o, "dataplane_started_ns", mrf_admin_status_dataplane_started_ns(s));
	set_string(o, "dataplane_version", mrf_admin_status_dataplane_version(s));
	set_count(o, "workers", mrf_admin_status_workers(s));
	set_count(o, "clients", mrf_admin_status_sessions(s));
	set_count(o, "clients_udp", mrf_admin_status_remote_sessions(s));
	set_count(o, "subscriptions", mrf_admin_status_subscriptions(s));
	set_count(o, "dataplane_silent_ms", mrf_admin_status_dataplane_silent_ms(s));
	set_count(o, "workers_silent", mrf_admin_status_workers_silent(s));
	json_object_set_new(o, "troubles", troubles_json(s));
	mr_cli_text_json_line(o);
}

static int run_status(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;
	struct mr_cli_admin admin;
	struct mrf_table status;
	int code = mr_cli_admin_query(
		cli, &admin, MRF_ADMIN_VERB_STATUS, 0, MRF_ADMIN_BODY_ADMIN_STATUS, &status);

	(void)w;
	if (code == MR_EXIT_OK) {
		if (set->json)
			print_status_json(status);
		else
			print_status(status, mr_cli_view_colour(cli, &set->view),
				set->view.wide ? 0 : mr_cli_terminal_size().columns);
		if (!mrf_admin_status_dataplane_connected(status) ||
			mrf_admin_status_dataplane_silent_ms(status) > 0 ||
			mrf_admin_status_workers_silent(status) > 0)
			code = MR_EXIT_UNREACHABLE;
	}
	mr_cli_admin_close(&admin);
	return code;
}

const struct mr_cli_verb mr_cli_status = {
	.name = "status",
	.summary = "show the state of the bus",
	.operands = "",
	.details = "Prints the version, the processes, the number of workers, clients and\n"
		   "subscriptions, and the current troubles: threads that make no rounds, slow\n"
		   "receivers, paused publishers, full queues and tables.\n"
		   "\n"
		   "The exit code is 3 if control runs without a data plane, or if the data\n"
		   "plane or one of its workers makes no rounds.",
	.examples = "  millrace status\n  millrace status --json | jq '.clients, .troubles[].name'",
	.options = status_options,
	.settings_bytes = sizeof(struct settings),
	.run = run_status,
};

static void print_kicked(uint64_t session)
{
	json_t *o = json_object();

	json_object_set_new(o, "session", json_sprintf("0x%016" PRIx64, session));
	json_object_set_new(o, "closed", json_true());
	mr_cli_text_json_line(o);
}

static int run_kick(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;
	char *end;
	uint64_t session = strtoull(w->at[0], &end, 0);
	struct mr_cli_admin admin;
	struct mrf_table result;
	int code;

	if (end == w->at[0] || *end != '\0' || session == 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, w->at[0], "not a session id",
			"`millrace clients` lists them");
	code = mr_cli_admin_query(
		cli, &admin, MRF_ADMIN_VERB_KICK, session, MRF_ADMIN_BODY_ADMIN_RESULT, &result);
	mr_cli_admin_close(&admin);
	if (code == MR_EXIT_OK && set->json)
		print_kicked(session);
	return code;
}

static const struct mr_cli_option kick_options[] = {
	MR_CLI_JSON_OPTION("print one JSON object"),
	{0},
};

const struct mr_cli_verb mr_cli_kick = {
	.name = "kick",
	.summary = "close the session of a client",
	.operands = "SESSION",
	.details = "SESSION is the id that `millrace clients` and `millrace sessions` show. The\n"
		   "client gets the reason, and may connect again at once.",
	.examples = "  millrace kick 0x0000000300000001",
	.options = kick_options,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 1,
	.run = run_kick,
};

static void print_ping(uint64_t handled_ns, uint64_t round_ns, bool json)
{
	json_t *o;

	if (!json) {
		printf("control answered in %.1f us; handled after %.1f us\n",
			(double)round_ns / 1000.0, (double)handled_ns / 1000.0);
		return;
	}
	o = json_object();
	set_count(o, "handled_ns", handled_ns);
	set_count(o, "round_ns", round_ns);
	mr_cli_text_json_line(o);
}

static int run_ping(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct settings *set = settings;
	struct mr_client *c;
	int code = mr_cli_connect(cli, NULL, &c);

	(void)w;
	if (code)
		return code;
	mr_cli_catch_interrupts();
	for (uint64_t i = 0; i < set->count && code == MR_EXIT_OK; i++) {
		uint64_t handled_ns, round_ns;
		int rc = mr_ping(c, (int)set->timeout_ms, &handled_ns, &round_ns);

		if (mr_cli_interrupted())
			code = MR_EXIT_INTERRUPTED;
		else if (rc)
			code = mr_cli_fail_call(cli, c, rc, "control");
		else
			print_ping(handled_ns, round_ns, set->json);
		if (!mr_cli_flush())
			break;
	}
	mr_close(c);
	return code;
}

static const struct mr_cli_option ping_options[] = {
	MR_CLI_COUNT_OPTION(1, 1e9, "send COUNT requests, one after the other (default 1)"),
	MR_CLI_TIMEOUT_OPTION("wait TIME for each answer (default 5s)"),
	MR_CLI_JSON_OPTION("print one JSON object per line"),
	{0},
};

static const struct settings ping_defaults = {.timeout_ms = 5000, .count = 1};

const struct mr_cli_verb mr_cli_ping = {
	.name = "ping",
	.summary = "measure the round-trip time to control",
	.operands = "",
	.details = "The request goes through the worker of this client and the hand-off to\n"
		   "control; the answer takes the same way back. So an answer shows that all\n"
		   "parts of the bus are alive.",
	.examples = "  millrace ping\n  millrace ping -n 5",
	.options = ping_options,
	.defaults = &ping_defaults,
	.settings_bytes = sizeof(struct settings),
	.run = run_ping,
};
