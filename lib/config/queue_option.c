/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/queue_option.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/suggest.h"
#include "lib/base/units.h"
#include "lib/wire/queue_key.h"

#define DAY_MS 86400000u

const struct mr_queue_option mr_queue_options[MR_QUEUE_OPTIONS_COUNT] = {
	{"policy", MRF_QUEUE_OPTION_POLICY, MR_QUEUE_OPTION_CHOICE,
		.choices = "lru|round-robin|least-outstanding|random|weighted|key-shared"},
	{"when_full", MRF_QUEUE_OPTION_WHEN_FULL, MR_QUEUE_OPTION_CHOICE,
		.choices = "wait|refuse|drop-oldest|dead-letter"},
	{"messages_max", MRF_QUEUE_OPTION_MESSAGES_MAX, MR_QUEUE_OPTION_COUNT, 1, UINT64_MAX / 4,
		"none", UINT32_MAX},
	{"bytes_max", MRF_QUEUE_OPTION_BYTES_MAX, MR_QUEUE_OPTION_BYTES, 1, UINT64_MAX / 4, "none",
		0},
	{"age_max", MRF_QUEUE_OPTION_AGE_MAX, MR_QUEUE_OPTION_MS, 1, INT32_MAX, "none", 0},
	{"ack_timeout", MRF_QUEUE_OPTION_ACK_TIMEOUT, MR_QUEUE_OPTION_MS, 10, DAY_MS},
	{"max_deliver", MRF_QUEUE_OPTION_MAX_DELIVER, MR_QUEUE_OPTION_COUNT, 1, UINT16_MAX},
	{"breaker_failures", MRF_QUEUE_OPTION_BREAKER_FAILURES, MR_QUEUE_OPTION_COUNT, 1,
		UINT16_MAX - 1, "never", UINT16_MAX, .service_only = true},
	{"breaker_reset", MRF_QUEUE_OPTION_BREAKER_RESET, MR_QUEUE_OPTION_MS, 10, DAY_MS,
		.service_only = true},
	{"breaker_probes", MRF_QUEUE_OPTION_BREAKER_PROBES, MR_QUEUE_OPTION_COUNT, 1, UINT16_MAX,
		.service_only = true},
	{"when_expired", MRF_QUEUE_OPTION_WHEN_EXPIRED, MR_QUEUE_OPTION_CHOICE,
		.choices = "discard|dead-letter", .queue_only = true},
	{"aging", MRF_QUEUE_OPTION_AGING, MR_QUEUE_OPTION_MS, 1, INT32_MAX, "none", 0,
		.queue_only = true},
	{"single_active", MRF_QUEUE_OPTION_SINGLE_ACTIVE, MR_QUEUE_OPTION_CHOICE,
		.choices = "no|yes", .queue_only = true},
	{"in_flight_per_key", MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY, MR_QUEUE_OPTION_COUNT, 1,
		MR_QUEUE_IN_FLIGHT_PER_KEY_MAX, .queue_only = true},
	{"key_from", MRF_QUEUE_OPTION_KEY_FROM, MR_QUEUE_OPTION_KEY_FROM, .word = "none",
		.queue_only = true},
	{"retry_min", MRF_QUEUE_OPTION_RETRY_MIN, MR_QUEUE_OPTION_MS, 1, DAY_MS, "none", 0,
		.queue_only = true},
	{"retry_max", MRF_QUEUE_OPTION_RETRY_MAX, MR_QUEUE_OPTION_MS, 1, DAY_MS,
		.queue_only = true},
	{"retry_factor", MRF_QUEUE_OPTION_RETRY_FACTOR, MR_QUEUE_OPTION_FACTOR, 100, 10000,
		.queue_only = true},
	{"retry_jitter", MRF_QUEUE_OPTION_RETRY_JITTER, MR_QUEUE_OPTION_PERCENT, 0, 100,
		.queue_only = true},
};

void mr_queue_option_set(struct mrf_queue_options *o, uint32_t option, uint64_t value)
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
	case MRF_QUEUE_OPTION_WHEN_EXPIRED: o->when_expired = (uint8_t)value; break;
	case MRF_QUEUE_OPTION_AGING: o->aging_ms = (uint32_t)value; break;
	case MRF_QUEUE_OPTION_SINGLE_ACTIVE: o->single_active = (uint8_t)value; break;
	case MRF_QUEUE_OPTION_IN_FLIGHT_PER_KEY: o->in_flight_per_key = (uint16_t)value; break;
	case MRF_QUEUE_OPTION_KEY_FROM:
		o->key_from = mrf_str((const char *)(uintptr_t)value);
		break;
	case MRF_QUEUE_OPTION_RETRY_MIN: o->retry_min_ms = (uint32_t)value; break;
	case MRF_QUEUE_OPTION_RETRY_MAX: o->retry_max_ms = (uint32_t)value; break;
	case MRF_QUEUE_OPTION_RETRY_FACTOR: o->retry_factor = (uint16_t)value; break;
	case MRF_QUEUE_OPTION_RETRY_JITTER: o->retry_jitter = (uint8_t)value; break;
	default: o->breaker_probes = (uint16_t)value; break;
	}
}

/* True if the text is the key's name. `queue show` has some names with a unit at the end. */
static bool is_named(const struct mr_queue_option *k, const char *text, size_t bytes)
{
	size_t own = strlen(k->name);

	if (bytes == own + 3 && k->unit == MR_QUEUE_OPTION_MS && memcmp(text + own, "_ms", 3) == 0)
		bytes = own;
	return bytes == own && memcmp(text, k->name, own) == 0;
}

const struct mr_queue_option *mr_queue_option_named(const char *text, size_t bytes)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(mr_queue_options); i++)
		if (is_named(&mr_queue_options[i], text, bytes))
			return &mr_queue_options[i];
	return NULL;
}

static bool choice(const struct mr_queue_option *k, const char *text, uint64_t *value)
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

bool mr_queue_option_factor(const char *text, uint64_t *hundredths)
{
	size_t whole = strspn(text, "0123456789");
	size_t decimals = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;

	if (whole == 0 || whole > 6 || decimals > 2 ||
		text[whole + (text[whole] == '.') + decimals] != '\0' ||
		(text[whole] == '.' && decimals == 0))
		return false;
	*hundredths = strtoul(text, NULL, 10) * 100;
	if (decimals > 0)
		*hundredths += strtoul(text + whole + 1, NULL, 10) * (decimals == 1 ? 10 : 1);
	return true;
}

static bool percent(const char *text, uint64_t *value)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || strcmp(text + digits + (text[digits] == '%'), "") != 0)
		return false;
	*value = strtoul(text, NULL, 10);
	return true;
}

static bool with_unit(const struct mr_queue_option *k, const char *text, uint64_t *value)
{
	switch (k->unit) {
	case MR_QUEUE_OPTION_MS: return mr_units_duration(text, MR_UNITS_MS, value) == 0;
	case MR_QUEUE_OPTION_FACTOR: return mr_queue_option_factor(text, value);
	case MR_QUEUE_OPTION_PERCENT: return percent(text, value);
	default: return mr_units_size(text, 1, value) == 0;
	}
}

static bool number(const struct mr_queue_option *k, const char *text, uint64_t *value)
{

	if (k->word && strcmp(text, k->word) == 0) {
		*value = k->word_value;
		return true;
	}
	return with_unit(k, text, value) && *value >= k->min && *value <= k->max;
}

static void expect_choice(
	const struct mr_queue_option *k, const char *text, char *out, size_t bytes)
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

static void expect_number(const struct mr_queue_option *k, char *out, size_t bytes)
{
	static const char *const forms[] = {
		[MR_QUEUE_OPTION_COUNT] = "",
		[MR_QUEUE_OPTION_BYTES] = " bytes, or a size such as 64MiB",
		[MR_QUEUE_OPTION_MS] = " ms, or a time such as 500ms, 2s or 1h",
		[MR_QUEUE_OPTION_FACTOR] = ", with up to two decimals",
		[MR_QUEUE_OPTION_PERCENT] = " percent",
	};
	uint64_t unit = k->unit == MR_QUEUE_OPTION_FACTOR ? 100 : 1;

	snprintf(out, bytes, "expected %" PRIu64 " to %" PRIu64 "%s%s%s", k->min / unit,
		k->max / unit, forms[k->unit], k->word ? "; or " : "", k->word ? k->word : "");
}

static bool key_from(const struct mr_queue_option *k, const char *text, uint64_t *value)
{
	struct mr_queue_key_from from;

	if (strcmp(text, k->word) == 0)
		text = "";
	else if (*text == '\0')
		return false;
	*value = (uintptr_t)text;
	return mr_queue_key_from_parse(text, strlen(text), &from);
}

bool mr_queue_option_parse(const struct mr_queue_option *o, const char *text, uint64_t *value)
{
	if (o->unit == MR_QUEUE_OPTION_KEY_FROM)
		return key_from(o, text, value);
	return o->unit == MR_QUEUE_OPTION_CHOICE ? choice(o, text, value) : number(o, text, value);
}

void mr_queue_option_expect(
	const struct mr_queue_option *o, const char *text, char *out, size_t out_bytes)
{
	if (o->unit == MR_QUEUE_OPTION_KEY_FROM)
		snprintf(out, out_bytes, "%s; or %s", MR_QUEUE_KEY_FROM_EXPECTED, o->word);
	else if (o->unit == MR_QUEUE_OPTION_CHOICE)
		expect_choice(o, text, out, out_bytes);
	else
		expect_number(o, out, out_bytes);
}
