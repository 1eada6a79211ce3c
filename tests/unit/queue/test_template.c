/* SPDX-License-Identifier: Apache-2.0 */
/* Queues whose names match a template of the configuration have its options. */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/queue/rig.h"

static struct rig r;

static const struct mrf_string subjects[] = {{"orders.*.created", 16}, {"orders.retry", 12}};

static const struct mr_queue_template templates[] = {
	{"jobs.*", 6,
		MRF_QUEUE_OPTION_MESSAGES_MAX | MRF_QUEUE_OPTION_WHEN_FULL |
			MRF_QUEUE_OPTION_MAX_DELIVER,
		{.messages_max = 3, .when_full = MRF_QUEUE_FULL_REFUSE, .max_deliver = 7}},
	{"jobs.>", 6, MRF_QUEUE_OPTION_MESSAGES_MAX | MRF_QUEUE_OPTION_BYTES_MAX,
		{.messages_max = 5, .bytes_max = 0}},
	{"mail.*", 6, MRF_QUEUE_OPTION_DEAD_LETTER, .dead_letter = {"mail", 4}},
	{"about.*", 7, MRF_QUEUE_OPTION_OWNER | MRF_QUEUE_OPTION_DESCRIPTION, .owner = {"shop", 4},
		.description = {"orders to pack", 14}},
	{"bound.*", 7, .binds = subjects, .binds_count = 2},
	{"keys.*", 6, MRF_QUEUE_OPTION_POLICY, {.policy = MRF_QUEUE_POLICY_KEY_SHARED}},
	{"drop.*", 6, MRF_QUEUE_OPTION_WHEN_FULL, {.when_full = MRF_QUEUE_FULL_DROP_OLDEST}},
	{"turns.*", 7, MRF_QUEUE_OPTION_POLICY, {.policy = MRF_QUEUE_POLICY_ROUND_ROBIN}},
	{"lost.>", 6, MRF_QUEUE_OPTION_DEAD_LETTER, .dead_letter = {"lost.all", 8}},
	{"mail", 4, MRF_QUEUE_OPTION_DEAD_LETTER | MRF_QUEUE_OPTION_MESSAGES_MAX,
		{.messages_max = 9}, .dead_letter = {"none", 4}},
};

static void with_templates(struct mr_queues_config *c)
{
	c->templates = templates;
	c->templates_count = MR_ARRAY_COUNT(templates);
}

static void with_two_workers(struct mr_queues_config *c)
{
	with_templates(c);
	c->workers = 2;
}

static int setup(void **state)
{
	(void)state;
	rig_open(&r, with_templates);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static struct mrf_table options(const char *name)
{
	return mrf_queue_row_options(rig_show(&r, MRF_QUEUE_KIND_QUEUE, name));
}

static void the_first_template_that_matches_counts(void **state)
{
	struct mrf_table o;

	(void)state;
	(void)rig_make(&r, "jobs.a");
	(void)rig_make(&r, "jobs.a.b");
	(void)rig_make(&r, "jobs");
	o = options("jobs.a");
	assert_int_equal(mrf_queue_options_messages_max(o), 3);
	assert_int_equal(mrf_queue_options_max_deliver(o), 7);
	o = options("jobs.a.b");
	assert_int_equal(mrf_queue_options_messages_max(o), 5);
	assert_int_equal(mrf_queue_options_max_deliver(o), r.c.queue.max_deliver);
	assert_int_equal(mrf_queue_options_messages_max(options("jobs")), r.c.queue.messages_max);
}

static void a_template_holds_whatever_a_client_asks_for(void **state)
{
	struct mrf_table row;

	(void)state;
	r.options.messages_max = 1000;
	r.options.ack_timeout_ms = 1234;
	(void)rig_make(&r, "jobs.a");
	row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "jobs.a");
	assert_int_equal(mrf_queue_row_edited(row), templates[0].options);
	assert_int_equal(mrf_queue_options_messages_max(mrf_queue_row_options(row)), 3);
	assert_int_equal(mrf_queue_options_ack_timeout_ms(mrf_queue_row_options(row)), 1234);
	/* Another client that asks for something else is let in, and gets the template's. */
	r.options.messages_max = 2000;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "jobs.a", 2, 0, 0), 0);
	assert_int_equal(mrf_queue_options_messages_max(options("jobs.a")), 3);
}

static void the_limit_of_a_template_is_kept(void **state)
{
	uint32_t q = rig_make(&r, "jobs.a");

	(void)state;
	for (uint64_t id = 1; id <= 5; id++)
		rig_push(&r, &(struct rig_push){.queue = q, .client = 1, .text = "x", .id = id});
	rig_run(&r);
	assert_int_equal(mrf_queue_row_ready(rig_show(&r, MRF_QUEUE_KIND_QUEUE, "jobs.a")), 3);
}

static void services_have_no_template(void **state)
{
	(void)state;
	(void)rig_make_service(&r, "jobs.a");
	assert_int_equal(mrf_queue_options_messages_max(mrf_queue_row_options(
				 rig_show(&r, MRF_QUEUE_KIND_SERVICE, "jobs.a"))),
		r.c.service.messages_max);
}

static void a_queue_of_a_template_is_removed_when_idle(void **state)
{
	(void)state;
	(void)rig_make(&r, "jobs.a");
	r.gone[0] = r.gone[1] = true;
	rig_pass(&r, 2 * (uint64_t)r.c.idle_ms + 2000);
	assert_int_not_equal(
		rig_command(&r, MRF_QUEUE_VERB_SHOW, MRF_QUEUE_KIND_QUEUE, "jobs.a", 0, 0, 0), 0);
}

static void a_template_names_the_place_of_dead_letters(void **state)
{
	struct mrf_table row;

	(void)state;
	r.dead_letter = "none"; /* the template's counts */
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, "mail.a", 1, 0, 0), 0);
	r.dead_letter = NULL;
	row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "mail.a");
	assert_string_equal(mrf_queue_row_dead_letter(row).data, "mail");
	assert_int_equal(mrf_queue_row_edited(row), MRF_QUEUE_OPTION_DEAD_LETTER);
	/* The named queue has the options of its own template, but for its dead letters. */
	row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "mail");
	assert_int_equal(mrf_queue_options_messages_max(mrf_queue_row_options(row)), 9);
	assert_int_equal(mrf_queue_row_dead_letter(row).bytes, 0);
	/* An operator changes it. */
	r.dead_letter = "default";
	r.edits = MRF_QUEUE_OPTION_DEAD_LETTER;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "mail.a", 0, 0, 0), 0);
	row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "mail.a");
	assert_int_equal(mrf_queue_row_dead_letter(row).bytes, 0);
}

static const char *refused(const char *name)
{
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, 1, 0, 0), -EINVAL);
	return mrf_queue_answer_text(r.table).data;
}

static void an_open_that_a_template_contradicts_is_told_so(void **state)
{
	(void)state;
	r.options.when_full = MRF_QUEUE_FULL_DROP_OLDEST;
	assert_string_equal(refused("keys.a"),
		"the template keys.* (queues.templates) sets policy=key-shared, which does not go "
		"with when_full=drop-oldest: ask without when_full, or change the template");
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	assert_string_equal(refused("drop.a"),
		"the template drop.* (queues.templates) sets when_full=drop-oldest, which does not "
		"go with policy=key-shared: ask without policy, or change the template");
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	r.options.key_from = mrf_str("header Customer");
	assert_string_equal(refused("turns.a"),
		"the template turns.* (queues.templates) sets policy=round-robin, which does not "
		"go with key_from=header Customer: ask without key_from, or change the template");
	/* Options that contradict each other without the template are the client's own fault. */
	r.options.policy = MRF_QUEUE_POLICY_KEY_SHARED;
	r.options.when_full = MRF_QUEUE_FULL_DROP_OLDEST;
	assert_null(strstr(refused("jobs.a.b"), "template"));
	(void)rig_make(&r, "keys.a");
	(void)rig_make(&r, "drop.a");
}

static void a_place_of_a_template_at_another_worker_is_told_so(void **state)
{
	char name[16];
	unsigned away = 0;

	(void)state;
	rig_close(&r);
	rig_open(&r, with_two_workers);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "lost.%u", i);
		if (rig_command(&r, MRF_QUEUE_VERB_OPEN, MRF_QUEUE_KIND_QUEUE, name, 1, 0, 0) == 0)
			continue;
		away++;
		assert_ptr_equal(
			strstr(refused(name), "the template lost.> (queues.templates) cannot hold: "
					      "dead_letter: that queue is at worker "),
			mrf_queue_answer_text(r.table).data);
	}
	assert_in_range(away, 1, 8);
}

/* Its own dead letters go to NAME.dead. */
static void the_place_itself_may_match_the_template(void **state)
{
	struct mrf_table row;

	(void)state;
	(void)rig_make(&r, "lost.all");
	row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "lost.all");
	assert_int_equal(mrf_queue_row_dead_letter(row).bytes, 0);
	assert_int_equal(mrf_queue_row_edited(row), 0);
	(void)rig_make(&r, "lost.a");
	row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "lost.a");
	assert_string_equal(mrf_queue_row_dead_letter(row).data, "lost.all");
}

static void edit(uint32_t edits, int code)
{
	r.edits = edits;
	assert_int_equal(
		rig_command(&r, MRF_QUEUE_VERB_EDIT, MRF_QUEUE_KIND_QUEUE, "about.a", 0, 0, 0),
		code);
	r.edits = 0;
	r.owner = r.description = NULL;
}

static void expect_about(const char *owner, const char *description)
{
	struct mrf_table row = rig_show(&r, MRF_QUEUE_KIND_QUEUE, "about.a");

	assert_int_equal(mrf_queue_row_owner(row).bytes, strlen(owner));
	assert_memory_equal(mrf_queue_row_owner(row).data, owner, strlen(owner));
	assert_int_equal(mrf_queue_row_description(row).bytes, strlen(description));
	assert_memory_equal(mrf_queue_row_description(row).data, description, strlen(description));
}

static void a_template_names_owner_and_description_and_an_operator_changes_them(void **state)
{
	(void)state;
	(void)rig_make(&r, "about.a");
	expect_about("shop", "orders to pack");
	r.owner = "mail";
	edit(MRF_QUEUE_OPTION_OWNER, 0);
	expect_about("mail", "orders to pack");
	r.description = "";
	edit(MRF_QUEUE_OPTION_DESCRIPTION, 0);
	expect_about("mail", "");
	/* If one option is refused none is changed. */
	r.owner = "other";
	r.options.max_deliver = 0;
	edit(MRF_QUEUE_OPTION_OWNER | MRF_QUEUE_OPTION_MAX_DELIVER, -EINVAL);
	r.owner = "a\nb";
	edit(MRF_QUEUE_OPTION_OWNER, -EINVAL);
	assert_string_equal(mrf_queue_answer_text(r.table).data,
		"owner: expected at most 64 bytes of printable UTF-8");
	expect_about("mail", "");
	r.owner = "";
	edit(MRF_QUEUE_OPTION_OWNER, 0);
	expect_about("", "");
}

static uint32_t binds_of(const char *name)
{
	(void)rig_make(&r, name);
	return mrf_queue_answer_binds_count(r.table);
}

static void subjects_of_a_template_are_told_until_the_queue_was_bound_once(void **state)
{
	(void)state;
	assert_int_equal(binds_of("jobs.a"), 0);
	assert_int_equal(binds_of("bound.a"), 2);
	assert_string_equal(mrf_queue_answer_name(r.table).data, "bound.a");
	assert_string_equal(mrf_queue_answer_binds_at(r.table, 0).data, "orders.*.created");
	/* A part of the bindings is not enough. */
	mr_queues_bind(r.queues, r.queue, 1);
	assert_int_equal(binds_of("bound.a"), 2);
	mr_queues_bind(r.queues, r.queue, 2);
	mr_queues_bound(r.queues, r.queue);
	assert_int_equal(binds_of("bound.a"), 0);
	/* A subject that an operator has unbound stays unbound. */
	mr_queues_bind(r.queues, r.queue, 0);
	assert_int_equal(binds_of("bound.a"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(the_first_template_that_matches_counts),
		RIG_TEST(a_template_holds_whatever_a_client_asks_for),
		RIG_TEST(the_limit_of_a_template_is_kept),
		RIG_TEST(services_have_no_template),
		RIG_TEST(a_queue_of_a_template_is_removed_when_idle),
		RIG_TEST(a_template_names_the_place_of_dead_letters),
		RIG_TEST(an_open_that_a_template_contradicts_is_told_so),
		RIG_TEST(a_place_of_a_template_at_another_worker_is_told_so),
		RIG_TEST(the_place_itself_may_match_the_template),
		RIG_TEST(a_template_names_owner_and_description_and_an_operator_changes_them),
		RIG_TEST(subjects_of_a_template_are_told_until_the_queue_was_bound_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
