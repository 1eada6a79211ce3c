/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bind.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verbs.h"

/* Sends one request; adds the number of bindings that it made or removed to *changed. */
static int ask(const struct mr_cli_bind *b, struct mr_cli_admin *a, enum mrf_admin_verb verb,
	const char *pattern, uint32_t *bindings, uint32_t *changed)
{
	struct mrf_table bound;
	char what[600];
	int rc = mr_cli_admin_ask_bind(a, verb, b->queue, pattern, &bound);

	if (rc == 0) {
		*bindings = mrf_admin_bound_bindings(bound);
		*changed += mrf_admin_bound_changed(bound);
		return MR_EXIT_OK;
	}
	if (a->refused && rc == -ENOENT)
		return mr_cli_fail(b->cli, MR_EXIT_FAILED, pattern ? pattern : b->queue, a->error,
			"`millrace subjects` lists the bindings");
	if (a->refused && rc == -EINVAL) {
		snprintf(what, sizeof(what), "%s%s%s", b->queue, pattern ? " " : "",
			pattern ? pattern : "");
		return mr_cli_fail(b->cli, MR_EXIT_FAILED, what, a->error,
			"expected: a queue, and subjects such as 'orders.*.created'");
	}
	return mr_cli_admin_fail(b->cli, a, rc);
}

static void print_json(const struct mr_cli_bind *b, uint32_t bindings, uint32_t changed)
{
	json_t *o = json_object();

	mr_cli_text_json(o, "queue", b->queue, strlen(b->queue));
	json_object_set_new(o, "bindings", json_integer(bindings));
	json_object_set_new(o, "changed", json_integer(changed));
	mr_cli_text_json_line(o);
}

static void print(const struct mr_cli_bind *b, uint32_t bindings, uint32_t changed)
{
	if (b->json)
		print_json(b, bindings, changed);
	else if (bindings == 0)
		printf("%s is not bound to any subject\n", b->queue);
	else
		printf("%s is bound to %" PRIu32 " subject%s\n", b->queue, bindings,
			bindings == 1 ? "" : "s");
}

static int change(const struct mr_cli_bind *b, enum mrf_admin_verb verb)
{
	struct mr_cli_admin admin;
	uint32_t bindings = 0, changed = 0;
	int code = mr_cli_admin_open(&admin, b->cli);

	if (code != 0)
		code = mr_cli_admin_fail(b->cli, &admin, code);
	else if (b->all)
		code = ask(b, &admin, verb, NULL, &bindings, &changed);
	for (unsigned i = 0; code == MR_EXIT_OK && i < b->count; i++)
		code = ask(b, &admin, verb, b->patterns[i], &bindings, &changed);
	mr_cli_admin_close(&admin);
	if (code == MR_EXIT_OK)
		print(b, bindings, changed);
	return code;
}

int mr_cli_bind(const struct mr_cli_bind *b)
{
	if (b->count == 0)
		return mr_cli_fail(b->cli, MR_EXIT_USAGE, "bind", "needs a subject",
			"for example: millrace queue bind jobs 'orders.*.created'");
	return change(b, MRF_ADMIN_VERB_BIND);
}

int mr_cli_unbind(const struct mr_cli_bind *b)
{
	if (b->all == (b->count > 0))
		return mr_cli_fail(b->cli, MR_EXIT_USAGE, "unbind",
			b->all ? "takes subjects or --all, not both" : "needs a subject",
			"name the subjects, or add --all");
	return change(b, MRF_ADMIN_VERB_UNBIND);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct mrf_string *)a)->data, ((const struct mrf_string *)b)->data);
}

static json_t *sorted(struct mrf_string *patterns, uint32_t count)
{
	json_t *list = json_array();

	qsort(patterns, count, sizeof(*patterns), compare);
	for (uint32_t i = 0; i < count; i++) {
		char *text = mr_cli_must(mr_cli_text_escaped(patterns[i].data, patterns[i].bytes));

		json_array_append_new(list, json_string(text));
		free(text);
	}
	return list;
}

/* Returns the patterns of the rows that are bindings of the queue. */
static json_t *patterns_of(struct mrf_table subjects, const char *queue)
{
	uint32_t rows = mrf_admin_subjects_rows_count(subjects), count = 0;
	struct mrf_string *patterns = mr_cli_must(calloc(rows + 1, sizeof(*patterns)));
	json_t *list;

	for (uint32_t i = 0; i < rows; i++) {
		struct mrf_table row = mrf_admin_subjects_rows_at(subjects, i);

		if (mrf_subscription_row_queue(row).bytes > 0 &&
			strcmp(mrf_subscription_row_queue(row).data, queue) == 0)
			patterns[count++] = mrf_subscription_row_pattern(row);
	}
	list = sorted(patterns, count);
	free(patterns);
	return list;
}

json_t *mr_cli_bind_subjects(const struct mr_cli *cli, const char *queue)
{
	struct mr_cli_admin admin;
	struct mrf_table subjects;
	json_t *list = NULL;

	if (mr_cli_admin_query(cli, &admin, MRF_ADMIN_VERB_SUBJECTS, 0,
		    MRF_ADMIN_BODY_ADMIN_SUBJECTS, &subjects) == MR_EXIT_OK)
		list = patterns_of(subjects, queue);
	mr_cli_admin_close(&admin);
	return list;
}
