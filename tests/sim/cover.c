/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cover.h"

#include <inttypes.h>
#include <stdio.h>

#define TEXT(id, text) [COVER_##id] = text,
static const char *const texts[COVER_COUNT] = {COVER_VERBS(TEXT)};
#undef TEXT
static uint64_t counts[COVER_COUNT];

void cover(enum cover verb)
{
	counts[verb]++;
}

void cover_many(enum cover verb, uint64_t times)
{
	counts[verb] += times;
}

bool cover_is_whole(void)
{
	for (unsigned i = 0; i < COVER_COUNT; i++)
		if (counts[i] == 0)
			return false;
	return true;
}

void cover_print(void)
{
	for (unsigned i = 0; i < COVER_COUNT; i++)
		printf("%12" PRIu64 "  %s%s\n", counts[i], texts[i],
			counts[i] == 0 ? ": never" : "");
}
