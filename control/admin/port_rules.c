/* SPDX-License-Identifier: Apache-2.0 */
/* Changes and lists limits of ports, and prefixes that they allow or deny. The data plane checks
 * and keeps them. */
#include "control/admin/admin.h"

#include <errno.h>

#include "lib/base/log.h"

static int copy_row(struct mr_admin_slot *s, struct mrf_table t)
{
	const struct mrf_port_rule row = {
		.kind = mrf_port_rule_kind(t),
		.network = mrf_port_rule_network(t),
		.rate = mrf_port_rule_rate(t),
		.burst = mrf_port_rule_burst(t),
	};

	return mr_admin_row(s, mrf_port_rule_write(&s->builder, &row));
}

static int copy_rows(struct mr_admin_slot *s, struct mrf_table part)
{
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < mrf_link_port_rules_rows_count(part); i++)
		error = copy_row(s, mrf_link_port_rules_rows_at(part, i));
	return error;
}

/* Answers with the data plane's result, or that there is none. */
static void forward(struct mr_admin_slot *s, struct mrf_table message)
{
	struct mrf_table result = mrf_link_message_body_as_link_result(message);

	s->request_id = 0;
	if (mrf_table_is_empty(result))
		mr_admin_result(s, -ENOTCONN, "the data plane went away");
	else
		mr_admin_result(s, mrf_link_result_code(result), mrf_link_result_text(result).data);
}

static bool edited(const struct mr_link_asker *asker, const struct mr_link_answer *answer)
{
	forward(asker->owner, answer->message);
	return false;
}

static bool listed(const struct mr_link_asker *asker, const struct mr_link_answer *answer)
{
	struct mr_admin_slot *s = asker->owner;
	struct mrf_table part = mrf_link_message_body_as_link_port_rules(answer->message);
	struct mrf_admin_port_rules v;
	int error;

	if (mrf_table_is_empty(part)) {
		forward(s, answer->message);
		return false;
	}
	error = copy_rows(s, part);
	if (error != 0) {
		/* The link discards the parts that are still to come. */
		mr_link_forget(s->admin->link, s->request_id);
		s->request_id = 0;
		mr_admin_fail(s, error);
		return !mrf_link_port_rules_last(part);
	}
	if (!mrf_link_port_rules_last(part))
		return true;
	s->request_id = 0;
	v = (struct mrf_admin_port_rules){.rows = s->rows, .rows_count = s->rows_count};
	mr_admin_answer(
		s, MRF_ADMIN_BODY_ADMIN_PORT_RULES, mrf_admin_port_rules_write(&s->builder, &v));
	return false;
}

static void ask(struct mr_admin_slot *s, struct mrf_builder *b, enum mrf_link_body type,
	uint32_t body, mr_link_answered *fn)
{
	const struct mr_link_asker asker = {.answered = fn, .owner = s};
	int error = mr_link_ask(s->admin->link, b, type, body, &asker, &s->request_id);

	if (error != 0)
		mr_admin_result(s, error, mr_log_errno_text(error));
}

void mr_admin_edit_port(struct mr_admin_slot *s, struct mrf_table edit)
{
	const struct mrf_port_edit v = {
		.port = mrf_port_edit_port(edit),
		.kind = mrf_port_edit_kind(edit),
		.network = mrf_port_edit_network(edit),
		.rate = mrf_port_edit_rate(edit),
		.burst = mrf_port_edit_burst(edit),
		.remove = mrf_port_edit_remove(edit),
	};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	ask(s, &b, MRF_LINK_BODY_PORT_EDIT, mrf_port_edit_write(&b, &v), edited);
}

void mr_admin_list_port_rules(struct mr_admin_slot *s, struct mrf_table edit)
{
	const struct mrf_link_list_port_rules v = {.port = mrf_port_edit_port(edit)};
	struct mrf_builder b;
	uint64_t memory[128];

	mrf_builder_init(&b, memory, sizeof(memory));
	ask(s, &b, MRF_LINK_BODY_LINK_LIST_PORT_RULES, mrf_link_list_port_rules_write(&b, &v),
		listed);
}
