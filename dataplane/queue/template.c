/* SPDX-License-Identifier: Apache-2.0 */
/* template: options that the configuration gives to the queues whose names match a pattern. They
 * hold whatever a client asks for, as an operator's edit does. */
#include <stdio.h>

#include "dataplane/queue/dead.h"
#include "dataplane/queue/key.h"
#include "lib/wire/subject.h"

#define PATTERN_SHOWN 32
#define VALUE_SHOWN   40

/* Options that may contradict each other. */
static const uint32_t related[] = {
	MRF_QUEUE_OPTION_POLICY, MRF_QUEUE_OPTION_WHEN_FULL, MRF_QUEUE_OPTION_KEY_FROM};

const struct mr_queue_template *mr_queue_template_of(
	const struct mr_queues *q, enum mrf_queue_kind kind, struct mrf_string name)
{
	if (kind == MRF_QUEUE_KIND_SERVICE)
		return NULL;
	for (uint32_t i = 0; i < q->c.templates_count; i++) {
		const struct mr_queue_template *t = &q->c.templates[i];

		if (mr_pattern_matches(t->pattern, t->pattern_bytes, name.data, name.bytes))
			return t;
	}
	return NULL;
}

/* True if the template wants the dead letters of the queue in the queue itself: it is the place for
 * those of others, and its own go to NAME.dead. */
static bool is_own_place(const struct mr_queue_template *t, struct mrf_string name)
{
	return (t->options & MRF_QUEUE_OPTION_DEAD_LETTER) != 0 &&
	       t->dead_letter.bytes == name.bytes &&
	       memcmp(t->dead_letter.data, name.data, name.bytes) == 0;
}

struct mrf_string mr_queue_template_dead_letter(
	const struct mr_queues *q, enum mrf_queue_kind kind, struct mrf_string name)
{
	const struct mr_queue_template *t = mr_queue_template_of(q, kind, name);

	if (t == NULL || (t->options & MRF_QUEUE_OPTION_DEAD_LETTER) == 0 || is_own_place(t, name))
		return (struct mrf_string){0};
	return t->dead_letter;
}

uint32_t mr_queue_template_apply(const struct mr_queues *q, enum mrf_queue_kind kind,
	struct mrf_string name, struct mrf_queue_options *options)
{
	const struct mr_queue_template *t = mr_queue_template_of(q, kind, name);

	if (t == NULL)
		return 0;
	mr_queue_options_set(options, t->options, &t->values);
	return is_own_place(t, name) ? t->options & ~(uint32_t)MRF_QUEUE_OPTION_DEAD_LETTER
				     : t->options;
}

/* Writes KEY=VALUE of a related option. */
static void write_option(
	char *to, size_t bytes, uint32_t option, const struct mrf_queue_options *values)
{
	static const char *const policies[] = {"default", "lru", "round-robin", "least-outstanding",
		"random", "weighted", "key-shared"};
	static const char *const fulls[] = {
		"default", "wait", "refuse", "drop-oldest", "dead-letter"};

	if (option == MRF_QUEUE_OPTION_POLICY)
		snprintf(to, bytes, "policy=%s",
			values->policy < MR_ARRAY_COUNT(policies) ? policies[values->policy] : "?");
	else if (option == MRF_QUEUE_OPTION_WHEN_FULL)
		snprintf(to, bytes, "when_full=%s",
			values->when_full < MR_ARRAY_COUNT(fulls) ? fulls[values->when_full] : "?");
	else
		snprintf(to, bytes, "key_from=%.*s", (int)values->key_from.bytes,
			values->key_from.bytes > 0 ? values->key_from.data : "");
}

/* Returns one of the options `among` that, with the value of `instead`, would end the
 * contradiction; 0: none does. */
static uint32_t culprit(const struct mrf_queue_options *has, uint32_t among,
	const struct mrf_queue_options *instead, enum mrf_queue_kind kind)
{
	for (size_t i = 0; i < MR_ARRAY_COUNT(related); i++) {
		struct mrf_queue_options o = *has;

		mr_queue_options_set(&o, related[i], instead);
		if ((related[i] & among) != 0 && mr_key_options_check(&o, kind) == NULL)
			return related[i];
	}
	return 0;
}

static void write_pattern(char *to, size_t bytes, const struct mr_queue_template *t)
{
	bool whole = t->pattern_bytes <= PATTERN_SHOWN;

	snprintf(to, bytes, "%.*s%s", whole ? (int)t->pattern_bytes : PATTERN_SHOWN, t->pattern,
		whole ? "" : "...");
}

const char *mr_queue_template_blame(struct mr_queues *q, enum mrf_queue_kind kind,
	struct mrf_string name, const struct mrf_queue_options *wants, const char *why)
{
	const struct mr_queue_template *t = mr_queue_template_of(q, kind, name);
	struct mrf_queue_options has = *wants;
	char pattern[PATTERN_SHOWN + 4], set[VALUE_SHOWN], asked[VALUE_SHOWN];
	uint32_t its, other;

	if (t == NULL || mr_key_options_check(wants, kind) != NULL)
		return why;
	mr_queue_options_set(&has, t->options, &t->values);
	its = culprit(&has, t->options, wants, kind);
	other = culprit(&has, ~t->options, &q->c.queue, kind);
	if (its == 0 || other == 0)
		return why;
	write_pattern(pattern, sizeof(pattern), t);
	write_option(set, sizeof(set), its, &has);
	write_option(asked, sizeof(asked), other, &has);
	snprintf(q->why_text, sizeof(q->why_text),
		"the template %s (queues.templates) sets %s, which does not go with %s: "
		"ask without %.*s, or change the template",
		pattern, set, asked, (int)strcspn(asked, "="), asked);
	return q->why_text;
}

const char *mr_queue_template_blame_dead(
	struct mr_queues *q, enum mrf_queue_kind kind, struct mrf_string name, const char *why)
{
	const struct mr_queue_template *t = mr_queue_template_of(q, kind, name);
	char pattern[PATTERN_SHOWN + 4], text[168];

	if (why == NULL || t == NULL)
		return why;
	write_pattern(pattern, sizeof(pattern), t);
	snprintf(text, sizeof(text), "%s", why);
	snprintf(q->why_text, sizeof(q->why_text),
		"the template %s (queues.templates) cannot hold: %s", pattern, text);
	return q->why_text;
}
