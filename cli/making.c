/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/making.h"

#include <string.h>

static enum mr_policy policy_of(const char *text)
{
	static const struct {
		const char *name;
		enum mr_policy policy;
	} policies[] = {
		{"lru", MR_POLICY_LEAST_RECENTLY_USED},
		{"round-robin", MR_POLICY_ROUND_ROBIN},
		{"least-outstanding", MR_POLICY_LEAST_OUTSTANDING},
		{"random", MR_POLICY_RANDOM},
		{"weighted", MR_POLICY_WEIGHTED},
		{"key-shared", MR_POLICY_KEY_SHARED},
	};

	for (size_t i = 0; text != NULL && i < sizeof(policies) / sizeof(policies[0]); i++)
		if (strcmp(text, policies[i].name) == 0)
			return policies[i].policy;
	return MR_POLICY_DEFAULT;
}

int mr_cli_making_take(const struct mr_cli *cli, const struct mr_cli_making *making,
	struct mr_queue_options *queue)
{
	if (making->aging_ms % 1000 != 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, "--aging",
			"is not a whole number of seconds", "expected 1s to 65535s");
	queue->policy = policy_of(making->policy);
	queue->in_flight_per_key = (uint8_t)making->in_flight_per_key;
	queue->aging_s = (uint16_t)(making->aging_ms / 1000);
	return MR_EXIT_OK;
}
