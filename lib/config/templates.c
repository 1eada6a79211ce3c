/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/templates.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/suggest.h"
#include "lib/config/queue_option.h"
#include "lib/wire/queue_about.h"
#include "lib/wire/queue_name.h"

#define TEXT_BYTES_MAX 1024u
#define DESCRIPTION    "description"

static int expect(struct mr_config_fault *f, const char *text)
{
	snprintf(f->expected, sizeof(f->expected), "%s", text);
	return -EINVAL;
}

static int parse_pattern(struct mr_config_template *t, const char *text, struct mr_config_fault *f)
{
	size_t bytes = strlen(text);

	mr_config_printable(f->found, sizeof(f->found), text, bytes);
	if (strchr(text, '=') != NULL || mr_pattern_parse(text, bytes) != MR_SUBJECT_OK)
		return expect(f, "a pattern for names of queues first, such as jobs.*; then "
				 ",key=value,...");
	memcpy(t->pattern, text, bytes + 1);
	return 0;
}

/* dead_letter=QUEUE|none|default */
static int parse_dead_letter(
	struct mr_config_template *t, const char *name, struct mr_config_fault *f)
{
	size_t bytes = strlen(name);

	if (mr_queue_name_parse(name, bytes) != MR_SUBJECT_OK || mr_queue_name_is_dead(name, bytes))
		return expect(f, "none, default, or the name of a queue");
	memcpy(t->dead_letter, name, bytes + 1);
	return 0;
}

static int parse_owner(struct mr_config_template *t, const char *text, struct mr_config_fault *f)
{
	if (!mr_queue_about_is_valid(text, strlen(text), MR_QUEUE_OWNER_BYTES_MAX))
		return expect(f, "at most 64 bytes of printable UTF-8");
	memcpy(t->owner, text, strlen(text) + 1);
	return 0;
}

static int parse_description(
	struct mr_config_template *t, const char *text, struct mr_config_fault *f)
{
	if (!mr_queue_about_is_valid(text, strlen(text), MR_QUEUE_DESCRIPTION_BYTES_MAX))
		return expect(f, "at most 200 bytes of printable UTF-8");
	memcpy(t->description, text, strlen(text) + 1);
	return 0;
}

/* bind=SUBJECT, which may be repeated. */
static int parse_bind(struct mr_config_template *t, const char *text, struct mr_config_fault *f)
{
	char *to = t->binds;

	if (mr_pattern_parse(text, strlen(text)) != MR_SUBJECT_OK)
		return expect(f, "a subject or pattern, such as orders.*.created");
	for (uint32_t i = 0; i < t->binds_count; i++, to += strlen(to) + 1)
		if (strcmp(to, text) == 0)
			return expect(f, "each subject once");
	if (t->binds_count == MR_CONFIG_TEMPLATE_BINDS_MAX)
		return expect(f, "at most 16 subjects");
	memcpy(to, text, strlen(text) + 1); /* less than the text of the template */
	t->binds_count++;
	return 0;
}

/* Options that are texts. */
static const struct text_option {
	const char *name;
	uint32_t option;
	int (*parse)(struct mr_config_template *t, const char *text, struct mr_config_fault *f);
} text_options[] = {
	{"dead_letter", MRF_QUEUE_OPTION_DEAD_LETTER, parse_dead_letter},
	{"bind", 0, parse_bind},
	{"owner", MRF_QUEUE_OPTION_OWNER, parse_owner},
	{DESCRIPTION, MRF_QUEUE_OPTION_DESCRIPTION, parse_description},
};

static const struct text_option *text_option_named(const char *name, size_t bytes)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(text_options); i++)
		if (strlen(text_options[i].name) == bytes &&
			memcmp(text_options[i].name, name, bytes) == 0)
			return &text_options[i];
	return NULL;
}

/* Names the options that a template may have, or the one that was probably meant. */
static int expect_name(struct mr_config_fault *f, const char *name, size_t bytes)
{
	struct mr_suggest s = mr_suggest_begin(name, bytes);
	const size_t room = sizeof(f->expected);
	size_t used = (size_t)snprintf(f->expected, room, "an option: ");

	for (size_t i = 0; i < MR_QUEUE_OPTIONS_COUNT; i++) {
		const struct mr_queue_option *o = &mr_queue_options[i];

		if (o->service_only || used >= room)
			continue;
		mr_suggest_try(&s, o->name);
		used += (size_t)snprintf(f->expected + used, room - used, "%s, ", o->name);
	}
	for (size_t i = 0; i < MR_ARRAY_COUNT(text_options); i++) {
		mr_suggest_try(&s, text_options[i].name);
		if (used < room)
			used += (size_t)snprintf(f->expected + used, room - used, "%s%s",
				i > 0 ? ", " : "", text_options[i].name);
	}
	if (s.best != NULL)
		snprintf(f->expected, room, "an option; did you mean %s?", s.best);
	return -EINVAL;
}

static int parse_text(struct mr_config_template *t, const struct text_option *o, const char *text,
	struct mr_config_fault *f)
{
	size_t bytes = strlen(o->name);

	if (text[bytes] == '\0')
		return expect(f, "KEY=VALUE");
	if ((t->options & o->option) != 0)
		return expect(f, "each option once");
	t->options |= o->option;
	return o->parse(t, text + bytes + 1, f);
}

static int parse_option(struct mr_config_template *t, const char *text, struct mr_config_fault *f)
{
	size_t bytes = strcspn(text, "=");
	const struct mr_queue_option *o = mr_queue_option_named(text, bytes);
	uint64_t value;

	mr_config_printable(f->found, sizeof(f->found), text, strlen(text));
	if (text_option_named(text, bytes) != NULL)
		return parse_text(t, text_option_named(text, bytes), text, f);
	if (o == NULL)
		return expect_name(f, text, bytes);
	if (o->service_only)
		return expect(f, "options of queues: only services have a circuit breaker");
	if (text[bytes] == '\0')
		return expect(f, "KEY=VALUE");
	if ((t->options & o->option) != 0)
		return expect(f, "each option once");
	if (!mr_queue_option_parse(o, text + bytes + 1, &value)) {
		char what[160];

		mr_queue_option_expect(o, text + bytes + 1, what, sizeof(what));
		return expect(f, what + strlen("expected "));
	}
	t->options |= o->option;
	if (o->unit == MR_QUEUE_OPTION_KEY_FROM)
		snprintf(t->key_from, sizeof(t->key_from), "%s", (const char *)(uintptr_t)value);
	else
		mr_queue_option_set(&t->values, o->option, value);
	return 0;
}

/* Options of one template that contradict each other would make each open of a queue fail. */
static int check_pairs(const struct mr_config_template *t, struct mr_config_fault *f)
{
	bool by_key = t->values.policy == MRF_QUEUE_POLICY_KEY_SHARED;

	if (t->key_from[0] != '\0' && !by_key)
		return expect(f, "policy=key-shared with key_from");
	if (by_key && t->values.when_full > MRF_QUEUE_FULL_REFUSE)
		return expect(f, "when_full=wait or when_full=refuse with policy=key-shared");
	return 0;
}

/* Cuts off the part before the next comma. A description takes all that is left. */
static char *next_part(char **rest)
{
	char *part = *rest;

	if (part == NULL || strncmp(part, DESCRIPTION "=", sizeof(DESCRIPTION)) != 0)
		return strsep(rest, ",");
	*rest = NULL;
	return part;
}

int mr_config_template_parse(
	const char *text, struct mr_config_template *t, struct mr_config_fault *f)
{
	char copy[TEXT_BYTES_MAX], *rest = copy, *part;
	int error;

	memset(t, 0, sizeof(*t));
	mr_config_printable(f->found, sizeof(f->found), text, strlen(text));
	if (strlen(text) >= sizeof(copy))
		return expect(f, "at most 1,023 bytes");
	memcpy(copy, text, strlen(text) + 1);
	error = parse_pattern(t, strsep(&rest, ","), f);
	while (error == 0 && (part = next_part(&rest)) != NULL)
		error = parse_option(t, part, f);
	if (error == 0 && t->options == 0 && t->binds_count == 0)
		return expect(f, "also an option, such as messages_max=10000");
	if (error == 0)
		mr_config_printable(f->found, sizeof(f->found), text, strlen(text));
	return error == 0 ? check_pairs(t, f) : error;
}
