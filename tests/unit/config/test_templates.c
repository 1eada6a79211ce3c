/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of queues.templates: parsed values, refused ones, and the texts of refusals. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "flatbuf/link.h"
#include "lib/config/templates.h"

static struct mr_config config;

static void refuse(const char *text, const char *found, const char *expected)
{
	struct mr_config_template t;
	struct mr_config_fault f = {0};

	assert_int_not_equal(mr_config_template_parse(text, &t, &f), 0);
	assert_string_equal(f.found, found);
	if (strstr(f.expected, expected) == NULL)
		fail_msg("%s: expected \"%s\", which is not in \"%s\"", text, expected, f.expected);
}

static void a_text_becomes_a_pattern_and_options(void **state)
{
	struct mr_config_template t;
	struct mr_config_fault f;

	(void)state;
	assert_int_equal(mr_config_template_parse(
				 "orders.*.new,messages_max=10k,bytes_max=64MiB,age_max=1h,"
				 "ack_timeout=2s,max_deliver=3,policy=weighted,when_full=refuse",
				 &t, &f),
		0);
	assert_string_equal(t.pattern, "orders.*.new");
	assert_int_equal(t.options, MRF_QUEUE_OPTION_MESSAGES_MAX | MRF_QUEUE_OPTION_BYTES_MAX |
					    MRF_QUEUE_OPTION_AGE_MAX |
					    MRF_QUEUE_OPTION_ACK_TIMEOUT |
					    MRF_QUEUE_OPTION_MAX_DELIVER | MRF_QUEUE_OPTION_POLICY |
					    MRF_QUEUE_OPTION_WHEN_FULL);
	assert_int_equal(t.values.messages_max, 10000);
	assert_int_equal(t.values.bytes_max, 64u << 20);
	assert_int_equal(t.values.age_max_ms, 3600000);
	assert_int_equal(t.values.ack_timeout_ms, 2000);
	assert_int_equal(t.values.max_deliver, 3);
	assert_int_equal(t.values.policy, MRF_QUEUE_POLICY_WEIGHTED);
	assert_int_equal(t.values.when_full, MRF_QUEUE_FULL_REFUSE);
	assert_int_equal(mr_config_template_parse(">,bytes_max=none", &t, &f), 0);
	assert_string_equal(t.pattern, ">");
	assert_int_equal(t.options, MRF_QUEUE_OPTION_BYTES_MAX);
	assert_int_equal(t.values.bytes_max, 0);
}

static void a_template_names_a_place_for_dead_letters(void **state)
{
	struct mr_config_template t;
	struct mr_config_fault f;

	(void)state;
	assert_int_equal(mr_config_template_parse("jobs.*,dead_letter=failed.jobs", &t, &f), 0);
	assert_int_equal(t.options, MRF_QUEUE_OPTION_DEAD_LETTER);
	assert_string_equal(t.dead_letter, "failed.jobs");
	assert_int_equal(mr_config_template_parse("jobs.*,dead_letter=none", &t, &f), 0);
	refuse("jobs,dead_letter=", "dead_letter=", "none, default, or the name of a queue");
	refuse("jobs,dead_letter=a..b", "dead_letter=a..b", "the name of a queue");
	refuse("jobs,dead_letter=a.dead", "dead_letter=a.dead", "the name of a queue");
	refuse("jobs,dead_letter=a,dead_letter=b", "dead_letter=b", "each option once");
	refuse("jobs,dead_leter=b", "dead_leter=b", "did you mean dead_letter?");
	refuse("jobs,dead_letter", "dead_letter", "KEY=VALUE");
	refuse("jobs,policy=key-shared,when_full=drop-oldest",
		"jobs,policy=key-shared,when_full=drop-oldest",
		"when_full=wait or when_full=refuse with policy=key-shared");
}

static void a_template_binds_and_says_who_and_what_for(void **state)
{
	struct mr_config_template t;
	struct mr_config_fault f;

	(void)state;
	assert_int_equal(
		mr_config_template_parse(
			"jobs.*,bind=orders.>,owner=shop team,bind=a.b,description=one, two", &t,
			&f),
		0);
	assert_int_equal(t.binds_count, 2);
	assert_string_equal(t.binds, "orders.>");
	assert_string_equal(t.binds + sizeof("orders.>"), "a.b");
	assert_string_equal(t.owner, "shop team");
	assert_string_equal(t.description, "one, two");
	assert_int_equal(t.options, MRF_QUEUE_OPTION_OWNER | MRF_QUEUE_OPTION_DESCRIPTION);
	assert_int_equal(mr_config_template_parse("jobs.*,bind=a", &t, &f), 0);
	assert_int_equal(t.options, 0);
	refuse("jobs,bind=a..b", "bind=a..b", "a subject or pattern, such as orders.*.created");
	refuse("jobs,bind=", "bind=", "a subject or pattern");
	refuse("jobs,bind=a,bind=a", "bind=a", "each subject once");
	refuse("jobs,bnd=a", "bnd=a", "did you mean bind?");
	refuse("jobs,bind=a,bind=b,bind=c,bind=d,bind=e,bind=f,bind=g,bind=h,bind=i,bind=j,bind=k,"
	       "bind=l,bind=m,bind=n,bind=o,bind=p,bind=q",
		"bind=q", "at most 16 subjects");
	refuse("jobs,owner=a\tb", "owner=a?b", "at most 64 bytes of printable UTF-8");
	refuse("jobs,owner=a,owner=b", "owner=b", "each option once");
	refuse("jobs,description=\xff", "description=\xff", "at most 200 bytes of printable UTF-8");
}

static void bad_texts_are_refused_by_the_part_that_is_wrong(void **state)
{
	struct mr_config_template t;
	struct mr_config_fault f;
	char longest[1100];

	(void)state;
	refuse("", "nothing", "a pattern for names of queues first");
	refuse("max_deliver=3", "max_deliver=3", "a pattern for names of queues first");
	refuse("a..b,max_deliver=3", "a..b", "a pattern");
	refuse(">.a,max_deliver=3", ">.a", "a pattern");
	refuse("a b,max_deliver=3", "a b", "a pattern");
	refuse("jobs", "jobs", "also an option");
	refuse("jobs,", "nothing", "an option: policy, when_full, messages_max");
	refuse("jobs,max_delivr=3", "max_delivr=3", "did you mean max_deliver?");
	refuse("jobs,max_deliver", "max_deliver", "KEY=VALUE");
	refuse("jobs,max_deliver=", "max_deliver=", "1 to 65535");
	refuse("jobs,max_deliver=0", "max_deliver=0", "1 to 65535");
	refuse("jobs,max_deliver=65536", "max_deliver=65536", "1 to 65535");
	refuse("jobs,max_deliver=3,max_deliver=4", "max_deliver=4", "once");
	refuse("jobs,when_full=refus", "when_full=refus", "did you mean refuse?");
	refuse("jobs,ack_timeout=9", "ack_timeout=9", "10 to 86400000");
	refuse("jobs,breaker_probes=1", "breaker_probes=1", "only services");
	refuse("jobs,retry_factor=0.5", "retry_factor=0.5", "1 to 100, with up to two decimals");
	refuse("jobs,retry_factor=2.125", "retry_factor=2.125", "1 to 100");
	refuse("jobs,retry_factor=1.", "retry_factor=1.", "1 to 100");
	refuse("jobs,retry_factor=100.01", "retry_factor=100.01", "1 to 100");
	refuse("jobs,retry_jitter=101", "retry_jitter=101", "0 to 100 percent");
	refuse("jobs,retry_jitter=1%%", "retry_jitter=1%%", "0 to 100 percent");
	refuse("jobs,retry_max=0", "retry_max=0", "1 to 86400000 ms");
	memset(longest, 'a', sizeof(longest));
	memcpy(longest + sizeof(longest) - 16, ",max_deliver=3", 15);
	assert_int_equal(mr_config_template_parse(longest, &t, &f), -EINVAL);
	assert_string_equal(f.expected, "at most 1,023 bytes");
}

static int load(const char *set, char *error, size_t bytes)
{
	return mr_config_load(&config, NULL, &set, 1, error, bytes);
}

static void set_takes_templates_parted_by_semicolons(void **state)
{
	char error[512], many[2048] = "queues.templates=";

	(void)state;
	assert_int_equal(load("queues.templates=a.*,max_deliver=1;b,bytes_max=1MiB,when_full=wait",
				 error, sizeof(error)),
		0);
	assert_int_equal(config.queues.templates_count, 2);
	assert_string_equal(config.queues.templates[0].pattern, "a.*");
	assert_string_equal(config.queues.templates[1].pattern, "b");
	assert_int_equal(load("queues.templates=a,max_deliver=x", error, sizeof(error)), -EINVAL);
	assert_string_equal(
		error, "--set: queues.templates: found max_deliver=x; expected 1 to 65535");
	for (unsigned i = 0; i < MR_CONFIG_TEMPLATES_MAX + 1; i++)
		strcat(many, "a,max_deliver=1;");
	assert_int_equal(load(many, error, sizeof(error)), -EINVAL);
	assert_string_equal(
		error, "--set: queues.templates: found 33 entries; expected at most 32");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_becomes_a_pattern_and_options),
		cmocka_unit_test(a_template_names_a_place_for_dead_letters),
		cmocka_unit_test(a_template_binds_and_says_who_and_what_for),
		cmocka_unit_test(bad_texts_are_refused_by_the_part_that_is_wrong),
		cmocka_unit_test(set_takes_templates_parted_by_semicolons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
