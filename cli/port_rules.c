/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/port_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/table.h"
#include "lib/base/compiler.h"

static const struct mr_cli_column columns[] = {
	{"RULE", "rule", .identifies = true},
	{"NETWORK", "network", .least = 12},
	{"RATE", "rate", .right = true, .unit = MR_CLI_UNIT_COUNT},
	{"BURST", "burst", .right = true, .unit = MR_CLI_UNIT_COUNT},
};

static const char *const names[] = {
	[MRF_PORT_RULE_KIND_SOURCES] = "sources",
	[MRF_PORT_RULE_KIND_NEW] = "new",
	[MRF_PORT_RULE_KIND_PREFIX] = "prefix",
	[MRF_PORT_RULE_KIND_ALLOW] = "allow",
	[MRF_PORT_RULE_KIND_DENY] = "deny",
};

static const char *word(const struct mr_cli_port_rules *r, unsigned i)
{
	return i < r->words->count ? r->words->at[i] : "";
}

static int fail(const struct mr_cli_port_rules *r, const struct mr_cli_admin *a, int error)
{
	if (a->refused && error != -EACCES && error != -ENOTCONN && error != -ETIMEDOUT)
		return mr_cli_fail(r->cli, MR_EXIT_FAILED, word(r, 1), a->error,
			error == -ENOENT ? "`millrace ports` lists the ports, and `millrace ports "
					   "limit|allow|deny PORT` what each has"
					 : NULL);
	return mr_cli_admin_fail(r->cli, a, error);
}

static int edit(
	const struct mr_cli_port_rules *r, struct mr_cli_admin *a, const struct mrf_port_edit *e)
{
	struct mrf_table result;
	int error = mr_cli_admin_ask_port(
		a, MRF_ADMIN_VERB_EDIT_PORT, e, MRF_ADMIN_BODY_ADMIN_RESULT, &result);

	return error ? fail(r, a, error) : MR_EXIT_OK;
}

static bool is_limit(unsigned kind)
{
	return kind <= MRF_PORT_RULE_KIND_PREFIX;
}

static void rate_cell(struct mr_cli_table *t, unsigned kind, uint32_t value)
{
	if (is_limit(kind))
		mr_cli_table_count(t, value);
	else
		mr_cli_table_none(t);
}

static void rule_row(struct mr_cli_table *t, struct mrf_table row)
{
	unsigned kind = mrf_port_rule_kind(row);
	struct mrf_string network = mrf_port_rule_network(row);

	mr_cli_table_string(t,
		mrf_str(kind < MR_ARRAY_COUNT(names) && names[kind] != NULL ? names[kind] : "?"));
	if (network.bytes > 0)
		mr_cli_table_string(t, network);
	else
		mr_cli_table_none(t);
	rate_cell(t, kind, mrf_port_rule_rate(row));
	rate_cell(t, kind, mrf_port_rule_burst(row));
}

/* True if the two are listed together. */
static bool listed_with(unsigned a, unsigned b)
{
	return is_limit(a) ? is_limit(b) : a == b;
}

static int list(const struct mr_cli_port_rules *r, struct mr_cli_admin *a, unsigned kind)
{
	const struct mrf_port_edit e = {.port = mrf_str(word(r, 1))};
	struct mrf_table rules;
	struct mr_cli_table t;
	int error = mr_cli_admin_ask_port(
		a, MRF_ADMIN_VERB_PORT_RULES, &e, MRF_ADMIN_BODY_ADMIN_PORT_RULES, &rules);

	if (error)
		return fail(r, a, error);
	mr_cli_table_init(&t, columns, MR_ARRAY_COUNT(columns));
	for (uint32_t i = 0; i < mrf_admin_port_rules_rows_count(rules); i++) {
		struct mrf_table row = mrf_admin_port_rules_rows_at(rules, i);

		if (listed_with(kind, mrf_port_rule_kind(row)))
			rule_row(&t, row);
	}
	return mr_cli_view_show(r->cli, r->view, &t);
}

/* Sends `count` edits, then lists. */
static int change(const struct mr_cli_port_rules *r, const struct mrf_port_edit *edits,
	unsigned count, unsigned kind)
{
	struct mr_cli_admin a;
	int code = mr_cli_admin_open(&a, r->cli);

	if (code != 0)
		code = mr_cli_admin_fail(r->cli, &a, code);
	for (unsigned i = 0; code == MR_EXIT_OK && i < count; i++)
		code = edit(r, &a, &edits[i]);
	if (code == MR_EXIT_OK)
		code = list(r, &a, kind);
	mr_cli_admin_close(&a);
	return code;
}

/* Reads a rate, or "off". */
static bool read_rate(const char *text, struct mrf_port_edit *e)
{
	char *end;
	unsigned long rate = strtoul(text, &end, 10);

	if (strcmp(text, "off") == 0)
		return e->remove = true;
	if (*end == 'k' || *end == 'M')
		rate *= *end++ == 'k' ? 1000 : 1000000;
	e->rate = (uint32_t)rate;
	return *text >= '0' && *text <= '9' && *end == '\0' && rate <= 10000000;
}

int mr_cli_port_limit(const struct mr_cli_port_rules *r)
{
	const char *target = word(r, 2);
	struct mrf_port_edit e = {
		.port = mrf_str(word(r, 1)),
		.kind = MRF_PORT_RULE_KIND_PREFIX,
		.burst = (uint32_t)r->burst,
		.remove = r->remove,
	};

	if (r->words->count == 2)
		return change(r, NULL, 0, MRF_PORT_RULE_KIND_PREFIX);
	if (strcmp(target, "sources") == 0)
		e.kind = MRF_PORT_RULE_KIND_SOURCES;
	else if (strcmp(target, "new") == 0)
		e.kind = MRF_PORT_RULE_KIND_NEW;
	else
		e.network = mrf_str(target);
	if (r->words->count != (r->remove ? 3u : 4u) || (!r->remove && !read_rate(word(r, 3), &e)))
		return mr_cli_fail(r->cli, MR_EXIT_USAGE, "limit",
			"needs sources, new or a network, and a rate up to 10M or off",
			"for example: millrace ports limit af_xdp0 sources 10000");
	return change(r, &e, 1, MRF_PORT_RULE_KIND_PREFIX);
}

static int access_rules(const struct mr_cli_port_rules *r, enum mrf_port_rule_kind kind)
{
	struct mrf_port_edit edits[MR_CLI_WORDS_MAX];
	unsigned count = 0;

	if (r->remove && r->words->count == 2)
		return mr_cli_fail(r->cli, MR_EXIT_USAGE, "--remove", "needs a network",
			"for example: millrace ports deny af_xdp0 10.9.0.0/16 --remove");
	for (unsigned i = 2; i < r->words->count; i++)
		edits[count++] = (struct mrf_port_edit){
			.port = mrf_str(word(r, 1)),
			.kind = kind,
			.network = mrf_str(word(r, i)),
			.remove = r->remove,
		};
	return change(r, edits, count, kind);
}

int mr_cli_port_allow(const struct mr_cli_port_rules *r)
{
	return access_rules(r, MRF_PORT_RULE_KIND_ALLOW);
}

int mr_cli_port_deny(const struct mr_cli_port_rules *r)
{
	return access_rules(r, MRF_PORT_RULE_KIND_DENY);
}
