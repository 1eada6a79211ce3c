/* SPDX-License-Identifier: Apache-2.0 */
/* cheat: a page of examples by topic. A test checks that the verbs and options in it exist. */
#include <string.h>

#include "cli/verbs.h"
#include "lib/base/compiler.h"
#include "lib/base/suggest.h"

static const struct topic {
	const char *name;
	const char *summary;
	const char *text;
} topics[] = {
	{"messages", "publish and subscribe",
		"millrace sub 'orders.>'                        # all subjects below orders\n"
		"millrace pub orders.eu hello -H trace:abc\n"
		"millrace sub jobs --group workers              # each message goes to one member\n"
		"millrace pub orders.eu hello --promise at-least-once\n"
		"tail -f app.log | millrace pub logs.app --stdin-lines\n"
		"millrace pub load 'n={{count}}' --template -n 1k --rate 50\n"
		"millrace sub '>' --report -t 10s               # which subjects, and how many\n"
		"millrace sub 'orders.>' --rate\n"},
	{"requests", "requests, replies and services",
		"millrace reply time.now --exec date\n"
		"millrace request time.now -t 500ms\n"
		"millrace serve upper --exec 'tr a-z A-Z' --jobs 4\n"
		"millrace call upper hello\n"
		"millrace services\n"},
	{"queues", "work that must not be lost",
		"seq 1000 | millrace push jobs --stdin-lines\n"
		"millrace pull jobs --exec ./work --jobs 4\n"
		"millrace pull raw --exec ./cook --to cooked    # one stage of a pipeline\n"
		"millrace queues --watch\n"
		"millrace queue show jobs\n"
		"millrace queue dead jobs -n 5                  # why messages failed\n"
		"millrace queue redrive jobs                    # try them again\n"},
	{"buses", "start a bus, and choose one",
		"millrace up --run-dir /tmp/mr\n"
		"millrace up --set queues.memory_mib=2GiB --set log.level=debug\n"
		"millrace status --server /tmp/mr\n"
		"millrace context add lab udp://lab1,udp://lab2 # two ways to one bus\n"
		"millrace context use lab\n"
		"millrace context show                          # which bus, and why\n"},
	{"watching", "look into a bus",
		"millrace top\n"
		"millrace clients --sort -missed --limit 10\n"
		"millrace sessions --slow\n"
		"millrace subjects\n"
		"millrace counters --all --json | jq '.[] | select(.value > 0)'\n"
		"millrace ping -n 5\n"},
	{"measuring", "load and latency",
		"millrace bench\n"
		"millrace bench --pattern request --seconds 2s\n"
		"millrace bench --rate 100k --size 1KiB         # latency at a steady rate\n"
		"millrace bench --pattern queue --json\n"
		"millrace latency --rate 1k --seconds 1m        # percentiles of each second\n"},
};

static void print(const struct topic *t)
{
	printf("%s: %s\n\n", t->name, t->summary);
	for (const char *at = t->text; *at; at += strcspn(at, "\n") + 1)
		printf("  %.*s\n", (int)strcspn(at, "\n"), at);
}

static int run_cheat(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const char *name = w->count > 0 ? w->at[0] : NULL;
	struct mr_suggest s = mr_suggest_begin(name ? name : "", name ? strlen(name) : 0);
	char hint[64] = "see `millrace cheat` for all";
	bool found = false;

	(void)settings;
	for (size_t i = 0; i < MR_ARRAY_COUNT(topics); i++) {
		mr_suggest_try(&s, topics[i].name);
		if (name && strcmp(topics[i].name, name) != 0)
			continue;
		if (found)
			putchar('\n');
		print(&topics[i]);
		found = true;
	}
	if (found)
		return MR_EXIT_OK;
	if (s.best)
		snprintf(hint, sizeof(hint), "did you mean %s?", s.best);
	return mr_cli_fail(cli, MR_EXIT_USAGE, name, "no such topic", hint);
}

const struct mr_cli_verb mr_cli_cheat = {
	.name = "cheat",
	.summary = "print examples by topic",
	.operands = "[TOPIC]",
	.details = "TOPIC is messages, requests, queues, buses, watching or measuring; without it\n"
		   "all are printed.",
	.examples = "  millrace cheat\n  millrace cheat queues",
	.operands_max = 1,
	.bus = MR_CLI_BUS_NONE,
	.run = run_cheat,
};
