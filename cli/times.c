/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/times.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Reads "2026-12-01T08:00:00", with a fraction of milliseconds if there is one, and Z or an offset
 * such as +01:00. False: it is something else. */
static bool parse_at(const char *text, uint64_t *at_ms)
{
	struct tm t = {0};
	const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
	unsigned hours, minutes, ms = 0;
	char sign = '+', end;
	int64_t seconds;
	int bytes = 0;

	if (at == NULL)
		return false;
	if (*at == '.') {
		if (sscanf(at, ".%3u%n", &ms, &bytes) != 1 || bytes != 4)
			return false;
		at += bytes;
	}
	if (strcmp(at, "Z") == 0)
		hours = minutes = 0;
	else if (sscanf(at, "%c%2u:%2u%c", &sign, &hours, &minutes, &end) != 3 ||
		 (sign != '+' && sign != '-') || hours > 14 || minutes > 59)
		return false;
	seconds = (int64_t)(hours * 60 + minutes) * 60;
	seconds = (int64_t)timegm(&t) + (sign == '-' ? seconds : -seconds);
	*at_ms = (uint64_t)seconds * 1000 + ms;
	return seconds > 0;
}

static bool is_zone(const char *zone)
{
	char text[MR_CRON_BYTES_MAX];
	struct mr_cron parsed;
	int bytes = snprintf(text, sizeof(text), "* * * * * %s", zone);

	return zone[0] != '\0' && bytes < (int)sizeof(text) &&
	       mr_cron_parse(text, (size_t)bytes, &parsed) == NULL;
}

/* Writes the expression with its zone. The rule of a named one is read here: the bus knows no
 * names. */
static int add_zone(const struct mr_cli *cli, struct mr_cli_times *t)
{
	char rule[MR_ZONE_RULE_BYTES_MAX + 1] = "";

	if (t->zone == NULL) {
		snprintf(t->cron_text, sizeof(t->cron_text), "%s", t->cron);
		return MR_EXIT_OK;
	}
	if (!is_zone(t->zone) && mr_zone_find(t->zone, rule) != 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, t->zone,
			"is no time zone that is known here",
			"expected UTC, an offset such as +0100, or a name such as Europe/Berlin "
			"(package tzdata)");
	snprintf(t->cron_text, sizeof(t->cron_text), "%s %s%s%s", t->cron, rule,
		rule[0] != '\0' ? " " : "", t->zone);
	return MR_EXIT_OK;
}

static int take_cron(const struct mr_cli *cli, struct mr_cli_times *t, struct mr_push *out)
{
	struct mr_cron parsed;
	const char *why;
	int code;

	if (t->zone != NULL && t->cron == NULL)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "--tz", "is for --cron alone",
			"--at takes an offset: 2026-12-01T08:00:00+01:00");
	if (t->cron == NULL)
		return MR_EXIT_OK;
	code = add_zone(cli, t);
	if (code != MR_EXIT_OK)
		return code;
	why = mr_cron_parse(t->cron_text, strlen(t->cron_text), &parsed);
	if (why != NULL)
		return mr_cli_fail(cli, MR_EXIT_USAGE, t->cron_text, why,
			"for example: --cron '0 8 * * mon-fri' --tz Europe/Berlin");
	out->cron = t->cron_text;
	return MR_EXIT_OK;
}

int mr_cli_times_take(const struct mr_cli *cli, struct mr_cli_times *t, struct mr_push *out)
{
	unsigned given =
		(t->delay_ms != 0) + (t->at != NULL) + (t->every_ms != 0) + (t->cron != NULL);

	out->delay_ms = (uint32_t)t->delay_ms;
	out->every_ms = (uint32_t)t->every_ms;
	out->ticket = t->ticket;
	if (given > 1)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "--delay, --at, --every and --cron",
			"more than one is given", "leave all but one out");
	if (t->ticket != 0 && given == 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "--ticket", "the message does not wait",
			"add --delay, --at, --every or --cron");
	if (t->at != NULL && !parse_at(t->at, &out->at_ms))
		return mr_cli_fail(cli, MR_EXIT_USAGE, t->at, "is no time for --at",
			"write it as 2026-12-01T08:00:00Z or 2026-12-01T08:00:00+01:00");
	return take_cron(cli, t, out);
}
