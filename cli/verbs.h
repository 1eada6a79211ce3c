/* SPDX-License-Identifier: Apache-2.0 */
/* verbs: one object for each verb, defined in the verb's file and listed in main.c. */
#ifndef MILLRACE_CLI_VERBS_H
#define MILLRACE_CLI_VERBS_H

#include "cli/cli.h"

extern const struct mr_cli_verb mr_cli_up;
extern const struct mr_cli_verb mr_cli_pub;
extern const struct mr_cli_verb mr_cli_sub;
extern const struct mr_cli_verb mr_cli_request;
extern const struct mr_cli_verb mr_cli_reply;
extern const struct mr_cli_verb mr_cli_push;
extern const struct mr_cli_verb mr_cli_pull;
extern const struct mr_cli_verb mr_cli_serve;
extern const struct mr_cli_verb mr_cli_call;
extern const struct mr_cli_verb mr_cli_status;
extern const struct mr_cli_verb mr_cli_workers;
extern const struct mr_cli_verb mr_cli_clients;
extern const struct mr_cli_verb mr_cli_sessions;
extern const struct mr_cli_verb mr_cli_subjects;
extern const struct mr_cli_verb mr_cli_queues;
extern const struct mr_cli_verb mr_cli_queue;
extern const struct mr_cli_verb mr_cli_services;
extern const struct mr_cli_verb mr_cli_service;
extern const struct mr_cli_verb mr_cli_ports;
extern const struct mr_cli_verb mr_cli_counters;
extern const struct mr_cli_verb mr_cli_top;
extern const struct mr_cli_verb mr_cli_who;
extern const struct mr_cli_verb mr_cli_kick;
extern const struct mr_cli_verb mr_cli_ping;
extern const struct mr_cli_verb mr_cli_bench;
extern const struct mr_cli_verb mr_cli_latency;
extern const struct mr_cli_verb mr_cli_context;
extern const struct mr_cli_verb mr_cli_cheat;
extern const struct mr_cli_verb mr_cli_completion;
extern const struct mr_cli_verb mr_cli_version;
extern const struct mr_cli_verb mr_cli_help_of;

#endif
