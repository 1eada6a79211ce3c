/* SPDX-License-Identifier: Apache-2.0 */
/* hostile: hostile ATTACK SOCKET [COUNT] makes one attack of attacks.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/hostile/attacks.h"

static const struct {
	const char *name;
	mr_attack_fn *make;
	unsigned count;
} attacks[] = {
	{"garbage-records", mr_attack_garbage_records, 6},
	{"tail-jump", mr_attack_tail_jump, 6},
	{"tail-misaligned", mr_attack_tail_misaligned, 3},
	{"tail-back", mr_attack_tail_back, 3},
	{"head-jump", mr_attack_head_jump, 100000},
	{"record-changes", mr_attack_record_changes, 2000000},
	{"memory-shrinks", mr_attack_memory_shrinks, 1000},
	{"die-mid-write", mr_attack_die_mid_write, 60},
	{"stop-reading", mr_attack_stop_reading, 1},
	{"bells", mr_attack_bells, 100000},
	{"unknown-kinds", mr_attack_unknown_kinds, 50000},
	{"bus-kinds", mr_attack_bus_kinds, 50000},
	{"bad-aliases", mr_attack_bad_aliases, 50000},
	{"bad-subjects", mr_attack_bad_subjects, 50000},
	{"bad-sections", mr_attack_bad_sections, 50000},
	{"stale-tokens", mr_attack_stale_tokens, 50000},
	{"forged-replies", mr_attack_forged_replies, 50000},
	{"unknown-queues", mr_attack_unknown_queues, 50000},
	{"forged-tags", mr_attack_forged_tags, 50000},
	{"forged-fragments", mr_attack_forged_fragments, 50000},
	{"control-garbage", mr_attack_control_garbage, 20000},
	{"control-flood", mr_attack_control_flood, 100000},
	{"subscriptions-hoard", mr_attack_subscriptions_hoard, 100000},
	{"aliases-hoard", mr_attack_aliases_hoard, 100000},
	{"double-acks", mr_attack_double_acks, 10000},
	{"stolen-tags", mr_attack_stolen_tags, 1000},
	{"wrong-worker", mr_attack_wrong_worker, 1000},
	{"ready-twice", mr_attack_ready_twice, 100},
	{"mmi-worker", mr_attack_mmi_worker, 100},
	{"queues-hoard", mr_attack_queues_hoard, 1000000},
	{"publishers-hoard", mr_attack_publishers_hoard, 10000},
	{"store-hoard", mr_attack_store_hoard, 1000000},
	{"never-acks", mr_attack_never_acks, 200000},
	{"half-fragments", mr_attack_half_fragments, 1000},
	{"lying-fragments", mr_attack_lying_fragments, 7000},
	{"unread-answers", mr_attack_unread_answers, 1000000},
	{"answers-hoard", mr_attack_answers_hoard, 12800000},
	{"parts-without-credit", mr_attack_parts_without_credit, 200000},
	{"requests-flood", mr_attack_requests_flood, 100000},
	{"bad-options", mr_attack_bad_options, 1900},
	{"hostile-requests", mr_attack_hostile_requests, 10000},
	{"attach-garbage", mr_attack_attach_garbage, 200},
	{"attach-flood", mr_attack_attach_flood, 10000},
	{"attach-refused", mr_attack_attach_refused, 5000},
	{"attach-silent", mr_attack_attach_silent, 200},
	{"sessions-hoard", mr_attack_sessions_hoard, 5000},
	{"admin-garbage", mr_attack_admin_garbage, 200},
	{"admin-silent", mr_attack_admin_silent, 100},
	{"link-garbage", mr_attack_link_garbage, 20},
};

#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

static int usage(void)
{
	fprintf(stderr, "usage: hostile ATTACK SOCKET [COUNT]; attacks:\n");
	for (size_t i = 0; i < ATTACKS; i++)
		fprintf(stderr, "  %s\n", attacks[i].name);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4)
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ATTACKS; i++) {
		unsigned count =
			argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : attacks[i].count;
		int error;

		if (strcmp(argv[1], attacks[i].name) != 0)
			continue;
		error = attacks[i].make(argv[2], count);
		if (error != 0)
			fprintf(stderr, "hostile %s: %s\n", argv[1], strerror(-error));
		return error != 0;
	}
	return usage();
}
