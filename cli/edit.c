/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/edit.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/suggest.h"
#include "lib/config/queue_option.h"

#define DEAD_LETTER "dead_letter"

static uint64_t option_value(uint32_t option, struct mrf_table t)
{
	switch (option) {
	case MRF_QUEUE_OPTION_POLICY: return mrf_queue_options_policy(t);
	case MRF_QUEUE_OPTION_WHEN_FULL: return mrf_queue_options_when_full(t);
	case MRF_QUEUE_OPTION_MESSAGES_MAX: return mrf_queue_options_messages_max(t);
	case MRF_QUEUE_OPTION_BYTES_MAX: return mrf_queue_options_bytes_max(t);
	case MRF_QUEUE_OPTION_AGE_MAX: return mrf_queue_options_age_max_ms(t);
	case MRF_QUEUE_OPTION_ACK_TIMEOUT: return mrf_queue_options_ack_timeout_ms(t);
	case MRF_QUEUE_OPTION_MAX_DELIVER: return mrf_queue_options_max_deliver(t);
	case MRF_QUEUE_OPTION_BREAKER_FAILURES: return mrf_queue_options_breaker_failures(t);
	case MRF_QUEUE_OPTION_BREAKER_RESET: return mrf_queue_options_breaker_reset_ms(t);
	case MRF_QUEUE_OPTION_WHEN_EXPIRED: return mrf_queue_options_when_expired(t);
	case MRF_QUEUE_OPTION_AGING: return mrf_queue_options_aging_ms(t);
	case MRF_QUEUE_OPTION_SINGLE_ACTIVE: return mrf_queue_options_single_active(t);
	case MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY: return mrf_queue_options_in_flight_per_key(t);
	case MRF_QUEUE_OPTION_KEY_FROM: return (uintptr_t)mrf_queue_options_key_from(t).data;
	case MRF_QUEUE_OPTION_RETRY_MIN: return mrf_queue_options_retry_min_ms(t);
	case MRF_QUEUE_OPTION_RETRY_MAX: return mrf_queue_options_retry_max_ms(t);
	case MRF_QUEUE_OPTION_RETRY_FACTOR: return mrf_queue_options_retry_factor(t);
	case MRF_QUEUE_OPTION_RETRY_JITTER: return mrf_queue_options_retry_jitter(t);
	default: return mrf_queue_options_breaker_probes(t);
	}
}

static bool may_have(const struct mr_queue_option *k, enum mrf_queue_kind kind)
{
	return kind == MRF_QUEUE_KIND_SERVICE ? !k->queue_only : !k->service_only;
}

static int fail_key(
	const struct mr_cli *cli, enum mrf_queue_kind kind, const char *text, size_t bytes)
{
	struct mr_suggest s = mr_suggest_begin(text, bytes);
	char name[64], known[512] = "expected: ";

	for (size_t i = 0; i < MR_ARRAY_COUNT(mr_queue_options); i++) {
		if (!may_have(&mr_queue_options[i], kind))
			continue;
		mr_suggest_try(&s, mr_queue_options[i].name);
		if (i > 0)
			strcat(known, ", ");
		strcat(known, mr_queue_options[i].name);
	}
	snprintf(name, sizeof(name), "%.*s", (int)(bytes < 60 ? bytes : 60), text);
	if (s.best)
		snprintf(known, sizeof(known), "did you mean %s?", s.best);
	return mr_cli_fail(cli, MR_EXIT_USAGE, name, "no such option", known);
}

static int fail_value(const struct mr_cli *cli, const struct mr_queue_option *k, const char *text)
{
	char what[128], expected[256];

	snprintf(what, sizeof(what), "%s=%s", k->name, text);
	mr_queue_option_expect(k, text, expected, sizeof(expected));
	return mr_cli_fail(cli, MR_EXIT_USAGE, what, "no such value", expected);
}

/* Options that are texts. The bus checks them. */
static const struct text_option {
	const char *name;
	uint32_t option;
	size_t offset; /* in struct mr_cli_edit */
	bool queue_only;
	bool may_be_empty;
	const char *hint;
} text_options[] = {
	{DEAD_LETTER, MRF_QUEUE_OPTION_DEAD_LETTER, offsetof(struct mr_cli_edit, dead_letter),
		.queue_only = true, .hint = "write dead_letter=QUEUE, none or default"},
	{"owner", MRF_QUEUE_OPTION_OWNER, offsetof(struct mr_cli_edit, owner), .may_be_empty = true,
		.hint = "write owner=TEXT; without TEXT there is none"},
	{"description", MRF_QUEUE_OPTION_DESCRIPTION, offsetof(struct mr_cli_edit, description),
		.may_be_empty = true, .hint = "write description=TEXT; without TEXT there is none"},
};

static const struct text_option *text_option_named(
	const char *name, size_t bytes, enum mrf_queue_kind kind)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(text_options); i++) {
		const struct text_option *o = &text_options[i];

		if (strlen(o->name) == bytes && memcmp(name, o->name, bytes) == 0 &&
			(kind == MRF_QUEUE_KIND_QUEUE || !o->queue_only))
			return o;
	}
	return NULL;
}

static int set_text(const struct mr_cli *cli, const struct text_option *o, const char *value,
	struct mr_cli_edit *out)
{
	if (!value || (value[0] == '\0' && !o->may_be_empty))
		return mr_cli_fail(cli, MR_EXIT_USAGE, o->name, "needs a value", o->hint);
	if (out->edits & o->option)
		return mr_cli_fail(cli, MR_EXIT_USAGE, o->name, "is given twice", NULL);
	memcpy((char *)out + o->offset, &value, sizeof(value));
	out->edits |= o->option;
	return MR_EXIT_OK;
}

int mr_cli_edit_text(
	const struct mr_cli *cli, const char *name, const char *value, struct mr_cli_edit *out)
{
	if (!value)
		return MR_EXIT_OK;
	return set_text(
		cli, text_option_named(name, strlen(name), MRF_QUEUE_KIND_QUEUE), value, out);
}

static int parse_word(const struct mr_cli *cli, enum mrf_queue_kind kind, const char *word,
	struct mr_cli_edit *out)
{
	size_t bytes = strcspn(word, "=");
	const struct mr_queue_option *k = mr_queue_option_named(word, bytes);
	const char *text = word + bytes + 1;
	uint64_t value;

	if (text_option_named(word, bytes, kind))
		return set_text(cli, text_option_named(word, bytes, kind),
			word[bytes] == '=' ? text : NULL, out);
	if (!k)
		return fail_key(cli, kind, word, bytes);
	if (!may_have(k, kind) && k->queue_only)
		return mr_cli_fail(cli, MR_EXIT_USAGE, k->name, "only queues have this option",
			"see `millrace help queue`");
	if (!may_have(k, kind))
		return mr_cli_fail(cli, MR_EXIT_USAGE, k->name,
			"only services have a circuit breaker", "see `millrace help service`");
	if (word[bytes] == '\0')
		return mr_cli_fail(cli, MR_EXIT_USAGE, k->name, "needs a value", "write KEY=VALUE");
	if (out->edits & k->option)
		return mr_cli_fail(cli, MR_EXIT_USAGE, k->name, "is given twice", NULL);
	if (!mr_queue_option_parse(k, text, &value))
		return fail_value(cli, k, text);
	out->edits |= k->option;
	mr_queue_option_set(&out->values, k->option, value);
	return MR_EXIT_OK;
}

int mr_cli_edit_parse(const struct mr_cli *cli, enum mrf_queue_kind kind, const char *const *words,
	unsigned count, struct mr_cli_edit *out)
{
	int code = MR_EXIT_OK;

	if (count == 0 && out->edits == 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "edit", "needs an option",
			"write KEY=VALUE, such as max_deliver=5");
	for (unsigned i = 0; code == MR_EXIT_OK && i < count; i++)
		code = parse_word(cli, kind, words[i], out);
	return code;
}

static void print_value(const struct mr_queue_option *k, uint64_t value)
{
	static const char *const units[] = {[MR_QUEUE_OPTION_COUNT] = "",
		[MR_QUEUE_OPTION_BYTES] = "B",
		[MR_QUEUE_OPTION_MS] = "ms",
		[MR_QUEUE_OPTION_PERCENT] = "%"};
	const char *at = k->choices;

	if (k->unit == MR_QUEUE_OPTION_KEY_FROM) {
		const char *text = (const char *)(uintptr_t)value;

		fputs(*text != '\0' ? text : k->word, stdout);
		return;
	}
	if (k->unit != MR_QUEUE_OPTION_CHOICE) {
		if (k->word && value == k->word_value)
			fputs(k->word, stdout);
		else if (k->unit == MR_QUEUE_OPTION_FACTOR)
			printf("%.4g", (double)value / 100);
		else
			printf("%" PRIu64 "%s", value, units[k->unit]);
		return;
	}
	for (; *at && value > 1; value--) {
		at += strcspn(at, "|");
		at += *at == '|';
	}
	printf("%.*s", (int)strcspn(at, "|"), at);
}

void mr_cli_edit_print(
	const struct mr_cli_edit *edit, struct mrf_table before, struct mrf_table after)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(mr_queue_options); i++) {
		const struct mr_queue_option *k = &mr_queue_options[i];

		if (!(edit->edits & k->option))
			continue;
		printf("%s=", k->name);
		print_value(k, option_value(k->option, after));
		fputs(", was ", stdout);
		print_value(k, option_value(k->option, before));
		putchar('\n');
	}
}

void mr_cli_edit_names(char out[MR_CLI_EDIT_NAMES_BYTES], uint32_t edited)
{
	*out = '\0';
	for (size_t i = 0; i < MR_ARRAY_COUNT(mr_queue_options); i++) {
		if (!(edited & mr_queue_options[i].option))
			continue;
		if (*out)
			strcat(out, ",");
		strcat(out, mr_queue_options[i].name);
	}
	for (size_t i = 0; i < MR_ARRAY_COUNT(text_options); i++)
		if (edited & text_options[i].option)
			strcat(strcat(out, *out ? "," : ""), text_options[i].name);
}

void mr_cli_edit_complete(
	enum mrf_queue_kind kind, void (*add)(void *arg, const char *word), void *arg)
{
	char word[64];

	for (size_t i = 0; i < MR_ARRAY_COUNT(mr_queue_options); i++) {
		const struct mr_queue_option *k = &mr_queue_options[i];

		if (!may_have(k, kind))
			continue;
		snprintf(word, sizeof(word), "%s=", k->name);
		if (k->unit != MR_QUEUE_OPTION_CHOICE)
			add(arg, word);
		for (const char *at = k->choices; at && *at; at += *at == '|') {
			snprintf(word, sizeof(word), "%s=%.*s", k->name, (int)strcspn(at, "|"), at);
			add(arg, word);
			at += strcspn(at, "|");
		}
	}
	if (kind == MRF_QUEUE_KIND_QUEUE) {
		add(arg, DEAD_LETTER "=");
		add(arg, DEAD_LETTER "=none");
		add(arg, DEAD_LETTER "=default");
	}
	add(arg, "owner=");
	add(arg, "description=");
}
