/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/edit.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/suggest.h"
#include "lib/base/units.h"

#define DAY_MS 86400000u

enum unit { COUNT, BYTES, MS, CHOICE };

struct key {
	const char *name;
	uint32_t option;
	enum unit unit;
	uint64_t min, max;
	const char *word; /* stands for word_value; NULL: none does */
	uint64_t word_value;
	const char *choices; /* of CHOICE: the words for 1, 2, ... */
	bool service_only;
};

static const struct key keys[] = {
	{"policy", MRF_QUEUE_OPTION_POLICY, CHOICE,
		.choices = "lru|round-robin|least-outstanding|random|weighted"},
	{"when_full", MRF_QUEUE_OPTION_WHEN_FULL, CHOICE, .choices = "wait|refuse"},
	{"messages_max", MRF_QUEUE_OPTION_MESSAGES_MAX, COUNT, 1, UINT64_MAX / 4, "none",
		UINT32_MAX},
	{"bytes_max", MRF_QUEUE_OPTION_BYTES_MAX, BYTES, 1, UINT64_MAX / 4, "none", 0},
	{"age_max", MRF_QUEUE_OPTION_AGE_MAX, MS, 1, INT32_MAX, "none", 0},
	{"ack_timeout", MRF_QUEUE_OPTION_ACK_TIMEOUT, MS, 10, DAY_MS},
	{"max_deliver", MRF_QUEUE_OPTION_MAX_DELIVER, COUNT, 1, UINT16_MAX},
	{"breaker_failures", MRF_QUEUE_OPTION_BREAKER_FAILURES, COUNT, 1, UINT16_MAX - 1, "never",
		UINT16_MAX, .service_only = true},
	{"breaker_reset", MRF_QUEUE_OPTION_BREAKER_RESET, MS, 10, DAY_MS, .service_only = true},
	{"breaker_probes", MRF_QUEUE_OPTION_BREAKER_PROBES, COUNT, 1, UINT16_MAX,
		.service_only = true},
};

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
	default: return mrf_queue_options_breaker_probes(t);
	}
}

static void set_value(struct mrf_queue_options *o, uint32_t option, uint64_t value)
{
	switch (option) {
	case MRF_QUEUE_OPTION_POLICY: o->policy = (uint8_t)value; break;
	case MRF_QUEUE_OPTION_WHEN_FULL: o->when_full = (uint8_t)value; break;
	case MRF_QUEUE_OPTION_MESSAGES_MAX: o->messages_max = value; break;
	case MRF_QUEUE_OPTION_BYTES_MAX: o->bytes_max = value; break;
	case MRF_QUEUE_OPTION_AGE_MAX: o->age_max_ms = (uint32_t)value; break;
	case MRF_QUEUE_OPTION_ACK_TIMEOUT: o->ack_timeout_ms = (uint32_t)value; break;
	case MRF_QUEUE_OPTION_MAX_DELIVER: o->max_deliver = (uint16_t)value; break;
	case MRF_QUEUE_OPTION_BREAKER_FAILURES: o->breaker_failures = (uint16_t)value; break;
	case MRF_QUEUE_OPTION_BREAKER_RESET: o->breaker_reset_ms = (uint32_t)value; break;
	default: o->breaker_probes = (uint16_t)value; break;
	}
}

/* True if the text is the key's name. `queue show` has some names with a unit at the end. */
static bool is_named(const struct key *k, const char *text, size_t bytes)
{
	size_t own = strlen(k->name);

	if (bytes == own + 3 && k->unit == MS && memcmp(text + own, "_ms", 3) == 0)
		bytes = own;
	return bytes == own && memcmp(text, k->name, own) == 0;
}

static const struct key *key_named(const char *text, size_t bytes)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(keys); i++)
		if (is_named(&keys[i], text, bytes))
			return &keys[i];
	return NULL;
}

static bool may_have(const struct key *k, enum mrf_queue_kind kind)
{
	return kind == MRF_QUEUE_KIND_SERVICE || !k->service_only;
}

static int fail_key(
	const struct mr_cli *cli, enum mrf_queue_kind kind, const char *text, size_t bytes)
{
	struct mr_suggest s = mr_suggest_begin(text, bytes);
	char name[64], known[256] = "expected: ";

	for (size_t i = 0; i < MR_ARRAY_COUNT(keys); i++) {
		if (!may_have(&keys[i], kind))
			continue;
		mr_suggest_try(&s, keys[i].name);
		if (i > 0)
			strcat(known, ", ");
		strcat(known, keys[i].name);
	}
	snprintf(name, sizeof(name), "%.*s", (int)(bytes < 60 ? bytes : 60), text);
	if (s.best)
		snprintf(known, sizeof(known), "did you mean %s?", s.best);
	return mr_cli_fail(cli, MR_EXIT_USAGE, name, "no such option", known);
}

static bool choice(const struct key *k, const char *text, uint64_t *value)
{
	uint64_t at_value = 1;

	for (const char *at = k->choices; *at; at_value++) {
		size_t bytes = strcspn(at, "|");

		if (bytes == strlen(text) && memcmp(at, text, bytes) == 0) {
			*value = at_value;
			return true;
		}
		at += bytes + (at[bytes] == '|');
	}
	return false;
}

static bool number(const struct key *k, const char *text, uint64_t *value)
{
	int rc;

	if (k->word && strcmp(text, k->word) == 0) {
		*value = k->word_value;
		return true;
	}
	rc = k->unit == MS ? mr_units_duration(text, MR_UNITS_MS, value)
			   : mr_units_size(text, 1, value);
	return rc == 0 && *value >= k->min && *value <= k->max;
}

static void expect_choice(const struct key *k, const char *text, char *out, size_t bytes)
{
	struct mr_suggest s = mr_suggest_begin(text, strlen(text));
	int n = snprintf(out, bytes, "expected ");

	for (const char *at = k->choices; *at; at += *at == '|') {
		size_t of_this = strcspn(at, "|");

		mr_suggest_try_as(&s, at, of_this, at);
		n += snprintf(out + n, bytes - (size_t)n, "%s%.*s", at == k->choices ? "" : ", ",
			(int)of_this, at);
		at += of_this;
	}
	if (s.best)
		snprintf(out + n, bytes - (size_t)n, "; did you mean %.*s?",
			(int)strcspn(s.best, "|"), s.best);
}

static void expect_number(const struct key *k, char *out, size_t bytes)
{
	static const char *const forms[] = {
		[COUNT] = "",
		[BYTES] = " bytes, or a size such as 64MiB",
		[MS] = " ms, or a time such as 500ms, 2s or 1h",
	};

	snprintf(out, bytes, "expected %" PRIu64 " to %" PRIu64 "%s%s%s", k->min, k->max,
		forms[k->unit], k->word ? "; or " : "", k->word ? k->word : "");
}

static int fail_value(const struct mr_cli *cli, const struct key *k, const char *text)
{
	char what[128], expected[256];

	snprintf(what, sizeof(what), "%s=%s", k->name, text);
	if (k->unit == CHOICE)
		expect_choice(k, text, expected, sizeof(expected));
	else
		expect_number(k, expected, sizeof(expected));
	return mr_cli_fail(cli, MR_EXIT_USAGE, what, "no such value", expected);
}

static int parse_word(const struct mr_cli *cli, enum mrf_queue_kind kind, const char *word,
	struct mr_cli_edit *out)
{
	size_t bytes = strcspn(word, "=");
	const struct key *k = key_named(word, bytes);
	const char *text = word + bytes + 1;
	uint64_t value;

	if (!k)
		return fail_key(cli, kind, word, bytes);
	if (!may_have(k, kind))
		return mr_cli_fail(cli, MR_EXIT_USAGE, k->name,
			"only services have a circuit breaker", "see `millrace help service`");
	if (word[bytes] == '\0')
		return mr_cli_fail(cli, MR_EXIT_USAGE, k->name, "needs a value", "write KEY=VALUE");
	if (out->edits & k->option)
		return mr_cli_fail(cli, MR_EXIT_USAGE, k->name, "is given twice", NULL);
	if (k->unit == CHOICE ? !choice(k, text, &value) : !number(k, text, &value))
		return fail_value(cli, k, text);
	out->edits |= k->option;
	set_value(&out->values, k->option, value);
	return MR_EXIT_OK;
}

int mr_cli_edit_parse(const struct mr_cli *cli, enum mrf_queue_kind kind, const char *const *words,
	unsigned count, struct mr_cli_edit *out)
{
	int code = MR_EXIT_OK;

	*out = (struct mr_cli_edit){0};
	if (count == 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "edit", "needs an option",
			"write KEY=VALUE, such as max_deliver=5");
	for (unsigned i = 0; code == MR_EXIT_OK && i < count; i++)
		code = parse_word(cli, kind, words[i], out);
	return code;
}

static void print_value(const struct key *k, uint64_t value)
{
	static const char *const units[] = {[COUNT] = "", [BYTES] = "B", [MS] = "ms"};
	const char *at = k->choices;

	if (k->unit != CHOICE) {
		if (k->word && value == k->word_value)
			fputs(k->word, stdout);
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
	for (size_t i = 0; i < MR_ARRAY_COUNT(keys); i++) {
		const struct key *k = &keys[i];

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
	for (size_t i = 0; i < MR_ARRAY_COUNT(keys); i++) {
		if (!(edited & keys[i].option))
			continue;
		if (*out)
			strcat(out, ",");
		strcat(out, keys[i].name);
	}
}

void mr_cli_edit_complete(
	enum mrf_queue_kind kind, void (*add)(void *arg, const char *word), void *arg)
{
	char word[64];

	for (size_t i = 0; i < MR_ARRAY_COUNT(keys); i++) {
		const struct key *k = &keys[i];

		if (!may_have(k, kind))
			continue;
		snprintf(word, sizeof(word), "%s=", k->name);
		if (k->unit != CHOICE)
			add(arg, word);
		for (const char *at = k->choices; at && *at; at += *at == '|') {
			snprintf(word, sizeof(word), "%s=%.*s", k->name, (int)strcspn(at, "|"), at);
			add(arg, word);
			at += strcspn(at, "|");
		}
	}
}
