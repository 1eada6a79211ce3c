/* SPDX-License-Identifier: Apache-2.0 */
/* making: options of push and pull for a queue that they make. */
#ifndef MILLRACE_CLI_MAKING_H
#define MILLRACE_CLI_MAKING_H

#include "client/millrace.h"
#include "cli/cli.h"

struct mr_cli_making {
	const char *policy;
	const char *key_from;
	uint64_t in_flight_per_key;
	uint64_t aging_ms;
	const char *dead_letter;
};

/* Options of a verb whose settings have a struct mr_cli_making `making`. */
/* clang-format off */
#define MR_CLI_MAKING_OPTIONS                                                                      \
	{.name = "policy", .type = MR_CLI_TEXT, .value = "POLICY",                                 \
		.offset = offsetof(struct settings, making.policy),                                \
		.choices = "lru|round-robin|least-outstanding|random|weighted|key-shared",         \
		.help = "for a new queue, to choose the next consumer: lru, "                      \
			"round-robin (default), least-outstanding, random, weighted or "           \
			"key-shared"},                                                             \
	{.name = "key-from", .type = MR_CLI_TEXT, .value = "WHAT",                                 \
		.offset = offsetof(struct settings, making.key_from),                              \
		.help = "for a new queue with --policy key-shared: the key of a message "          \
			"without --key, 'header NAME' or 'token N' of its subject"},               \
	{.name = "in-flight-per-key", .type = MR_CLI_COUNT, .value = "COUNT",                      \
		.offset = offsetof(struct settings, making.in_flight_per_key),                     \
		.min = 1, .max = 250,                                                              \
		.help = "for a new queue with --policy key-shared: messages of one key "           \
			"that may be unsettled at once (default 1)"},                              \
	{.name = "aging", .type = MR_CLI_MS, .value = "TIME",                                      \
		.offset = offsetof(struct settings, making.aging_ms),                              \
		.min = 1000, .max = 65535000,                                                      \
		.help = "for a new queue: a waiting message counts as one level of "               \
			"priority higher for each TIME, in whole seconds (default: none)"},        \
	{.name = "dead-letter", .type = MR_CLI_TEXT, .value = "QUEUE",                             \
		.offset = offsetof(struct settings, making.dead_letter),                           \
		.help = "for a new queue: dead letters go to QUEUE, or are discarded (none), "     \
			"or go to NAME.dead (default)"}
/* clang-format on */

/* Writes the options. MR_EXIT_OK, or reports one that is malformed. */
int mr_cli_making_take(const struct mr_cli *cli, const struct mr_cli_making *making,
	struct mr_queue_options *queue);

#endif
