/* SPDX-License-Identifier: Apache-2.0 */
/* attacks: attacks of a hostile local program on the bus, one function for each.
 *
 * `path` is the socket that it uses, `count` the number of attacks. Each returns 0 if the attack
 * was made as planned and the bus answered correctly; otherwise -errno, after printing the reason.
 */
#ifndef MILLRACE_TESTS_HOSTILE_ATTACKS_H
#define MILLRACE_TESTS_HOSTILE_ATTACKS_H

typedef int mr_attack_fn(const char *path, unsigned count);

/* Attacks through the channel's memory. */
mr_attack_fn mr_attack_garbage_records;
mr_attack_fn mr_attack_tail_jump;
mr_attack_fn mr_attack_tail_misaligned;
mr_attack_fn mr_attack_tail_back;
mr_attack_fn mr_attack_head_jump;
mr_attack_fn mr_attack_record_changes;
mr_attack_fn mr_attack_memory_shrinks;
mr_attack_fn mr_attack_die_mid_write;
mr_attack_fn mr_attack_stop_reading;
mr_attack_fn mr_attack_bells;

/* Attacks through well-formed records. */
mr_attack_fn mr_attack_unknown_kinds;
mr_attack_fn mr_attack_bus_kinds;
mr_attack_fn mr_attack_bad_aliases;
mr_attack_fn mr_attack_bad_subjects;
mr_attack_fn mr_attack_bad_sections;
mr_attack_fn mr_attack_stale_tokens;
mr_attack_fn mr_attack_forged_replies;
mr_attack_fn mr_attack_unknown_queues;
mr_attack_fn mr_attack_forged_tags;
mr_attack_fn mr_attack_forged_fragments;
mr_attack_fn mr_attack_control_garbage;
mr_attack_fn mr_attack_control_flood;
mr_attack_fn mr_attack_subscriptions_hoard;
mr_attack_fn mr_attack_aliases_hoard;

/* Attacks through the promises of queues and services. */
mr_attack_fn mr_attack_double_acks;
mr_attack_fn mr_attack_stolen_tags;
mr_attack_fn mr_attack_wrong_worker;
mr_attack_fn mr_attack_ready_twice;
mr_attack_fn mr_attack_mmi_worker;
mr_attack_fn mr_attack_queues_hoard;
mr_attack_fn mr_attack_publishers_hoard;
mr_attack_fn mr_attack_store_hoard;
mr_attack_fn mr_attack_never_acks;
mr_attack_fn mr_attack_half_fragments;
mr_attack_fn mr_attack_lying_fragments;
mr_attack_fn mr_attack_unread_answers;
mr_attack_fn mr_attack_answers_hoard;
mr_attack_fn mr_attack_parts_without_credit;
mr_attack_fn mr_attack_requests_flood;
mr_attack_fn mr_attack_bad_options;
mr_attack_fn mr_attack_hostile_requests;

/* Attacks through the sockets. */
mr_attack_fn mr_attack_attach_garbage;
mr_attack_fn mr_attack_attach_flood;
mr_attack_fn mr_attack_attach_refused;
mr_attack_fn mr_attack_attach_silent;
mr_attack_fn mr_attack_sessions_hoard;
mr_attack_fn mr_attack_admin_garbage;
mr_attack_fn mr_attack_admin_silent;
mr_attack_fn mr_attack_link_garbage;

#endif
