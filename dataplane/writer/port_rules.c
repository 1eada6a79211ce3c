/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of ports, and prefixes that they allow or deny: changes and lists them for control. */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/config/address.h"
#include "lib/config/port_rule.h"

#define ROWS_MAX 400u /* of at most 150 bytes, in a packet */

static struct mr_port *find_port(struct mr_writer *wr, struct mrf_string name)
{
	for (unsigned i = 0; i < wr->ports_count; i++) {
		struct mr_port *p = &wr->ports[i];

		if (strlen(p->name) == name.bytes && memcmp(p->name, name.data, name.bytes) == 0)
			return p;
	}
	return NULL;
}

static int parse(struct mrf_table t, struct mr_config_rule *r, const char **expected)
{
	struct mrf_string network = mrf_port_edit_network(t);

	*r = (struct mr_config_rule){
		.kind = mrf_port_edit_kind(t),
		.rate = mrf_port_edit_rate(t),
		.burst = mrf_port_edit_burst(t),
	};
	/* A removal needs no rate. */
	if (mrf_port_edit_remove(t))
		r->rate = r->burst = 1;
	if (r->kind >= MRF_PORT_RULE_KIND_PREFIX &&
		mr_config_rule_network(network.bytes > 0 ? network.data : "", r, expected) != 0)
		return -EINVAL;
	return mr_config_rule_check(r, expected);
}

static const char *text_of(int error)
{
	switch (error) {
	case 0: return "";
	case -ENOENT: return "the port has no such limit or prefix";
	case -ENOSPC: return "the port has 4,096 prefixes of this kind, and no room for more";
	case -EOPNOTSUPP: return "only AF_XDP ports have limits, and allow or deny prefixes";
	default: return mr_log_errno_text(error);
	}
}

void mr_writer_port_edit(struct mr_writer *wr, uint64_t id, struct mrf_table request)
{
	struct mr_port *p = find_port(wr, mrf_port_edit_port(request));
	const char *expected = "";
	struct mr_config_rule r;
	char text[160];
	int error;

	if (p == NULL) {
		mr_writer_link_result(wr, id, -ENOENT, "no such port");
		return;
	}
	if (parse(request, &r, &expected) != 0) {
		snprintf(text, sizeof(text), "malformed; expected: %s", expected);
		mr_writer_link_result(wr, id, -EINVAL, text);
		return;
	}
	error = mrf_port_edit_remove(request) ? mr_port_rule_remove(p, &r)
					      : mr_port_rule_set(p, &r);
	mr_writer_link_result(wr, id, error, text_of(error));
}

static uint32_t row_of(struct mrf_builder *b, const struct mr_config_rule *r)
{
	char text[MR_CONFIG_NETWORK_TEXT_BYTES] = "";
	struct mrf_port_rule row = {.kind = r->kind};

	if (r->kind >= MRF_PORT_RULE_KIND_PREFIX)
		mr_config_network_text(&r->network, text, sizeof(text));
	if (mr_config_rule_is_limit(r)) {
		row.rate = r->rate;
		row.burst = r->burst;
	}
	row.network = mrf_str(text);
	return mrf_port_rule_write(b, &row);
}

void mr_writer_port_rules_list(struct mr_writer *wr, uint64_t id, struct mrf_table request)
{
	static uint64_t memory[MR_WRITER_LINK_BYTES_MAX / sizeof(uint64_t)];
	const struct mr_port *p = find_port(wr, mrf_link_list_port_rules_port(request));
	const struct mr_config_rule *rules;
	uint32_t rows[ROWS_MAX], count, done = 0;
	struct mrf_link_port_rules v = {.rows = rows};
	struct mrf_builder b;

	if (p == NULL) {
		mr_writer_link_result(wr, id, -ENOENT, "no such port");
		return;
	}
	rules = mr_port_rules(p, &count);
	do {
		mrf_builder_init(&b, memory, sizeof(memory));
		for (v.rows_count = 0; v.rows_count < ROWS_MAX && done < count; done++)
			rows[v.rows_count++] = row_of(&b, &rules[done]);
		v.last = done == count;
		mr_writer_link_send(wr, &b, id, MRF_LINK_BODY_LINK_PORT_RULES,
			mrf_link_port_rules_write(&b, &v), NULL, 0);
	} while (!v.last && wr->link_fd >= 0);
}
