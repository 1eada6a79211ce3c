/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/priority.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/wire/priority.h"

static const char *const names[MR_LEVELS] = {
	"0", "low", "2", "3", "normal", "5", "6", "high", "8", "9"};

const char *mr_cli_priority_text(unsigned level)
{
	return level < MR_LEVELS ? names[level] : names[MR_LEVEL_NORMAL];
}

bool mr_cli_priority_parse(const char *text, enum mr_priority *out)
{
	for (unsigned level = 0; level < MR_LEVELS; level++) {
		bool digit = text[0] == (char)('0' + level) && text[1] == '\0';

		if (!digit && strcmp(text, names[level]) != 0)
			continue;
		*out = (enum mr_priority)mr_priority_of_level(level);
		return true;
	}
	return false;
}

enum mr_priority mr_cli_priority_of(const struct mr_delivery *d)
{
	return (enum mr_priority)mr_priority_of_level(mr_delivery_priority(d));
}

void mr_cli_priority_counts_print(struct mrf_table row)
{
	uint32_t count = mrf_queue_row_ready_by_level_count(row);
	bool some = false;

	for (uint32_t level = 0; level < count; level++)
		some |= level != MR_LEVEL_NORMAL && mrf_queue_row_ready_by_level_at(row, level) > 0;
	if (!some)
		return;
	puts("\nReady by priority:");
	for (uint32_t level = count; level-- > 0;) {
		uint64_t ready = mrf_queue_row_ready_by_level_at(row, level);
		const char *name = mr_cli_priority_text(level);

		if (ready > 0)
			printf("  %" PRIu32 "%s%-7s %" PRIu64 "\n", level, name[1] ? " " : "  ",
				name[1] ? name : "", ready);
	}
}

json_t *mr_cli_priority_counts_json(struct mrf_table row)
{
	json_t *o = json_object();
	char key[16];

	for (uint32_t level = mrf_queue_row_ready_by_level_count(row); level-- > 0;) {
		uint64_t ready = mrf_queue_row_ready_by_level_at(row, level);

		snprintf(key, sizeof(key), "%" PRIu32, level);
		if (ready > 0)
			json_object_set_new(o, key, json_integer((json_int_t)ready));
	}
	return o;
}
