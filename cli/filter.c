/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/filter.h"

#include <string.h>
#include <strings.h>

int mr_cli_filter_check(const struct mr_cli *cli, const struct mr_cli_filter *f)
{
	for (unsigned i = 0; i < f->headers.count; i++) {
		const char *colon = strchr(f->headers.at[i], ':');

		if (colon == NULL || colon == f->headers.at[i])
			return mr_cli_fail(cli, MR_EXIT_USAGE, f->headers.at[i], "is no header",
				"expected NAME:VALUE");
	}
	if (f->first != 0 && f->last != 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "--last", "does not go with --first",
			"give one of them");
	return MR_EXIT_OK;
}

bool mr_cli_filter_looks(const struct mr_cli_filter *f)
{
	return f->headers.count > 0 || f->priority != NULL || f->grep != NULL;
}

static const char *skip_spaces(const char *text)
{
	return text + strspn(text, " ");
}

/* True if the block has the header. Names are compared without regard to case, as elsewhere. */
static bool has_header(const struct mr_push *m, const char *word)
{
	size_t name_bytes = (size_t)(strchr(word, ':') - word), cursor = 0;
	const char *value = skip_spaces(word + name_bytes + 1);
	struct mr_header h;

	while (m->header_bytes > 0 && mr_headers_next(m->headers, m->header_bytes, &cursor, &h))
		if (h.name_bytes == name_bytes && strncasecmp(h.name, word, name_bytes) == 0 &&
			h.value_bytes == strlen(value) &&
			memcmp(h.value, value, h.value_bytes) == 0)
			return true;
	return false;
}

static bool has_priority(const struct mr_push *m, const char *text)
{
	enum mr_priority priority;

	return mr_cli_priority_parse(text, &priority) && priority == m->priority;
}

static bool has_text(const struct mr_push *m, const char *text)
{
	size_t bytes = strlen(text);

	return bytes == 0 || (m->bytes > 0 && memmem(m->payload, m->bytes, text, bytes) != NULL);
}

bool mr_cli_filter_takes(const struct mr_cli_filter *f, const struct mr_push *m)
{
	for (unsigned i = 0; i < f->headers.count; i++)
		if (!has_header(m, f->headers.at[i]))
			return false;
	return (f->priority == NULL || has_priority(m, f->priority)) &&
	       (f->grep == NULL || has_text(m, f->grep));
}
