/* SPDX-License-Identifier: Apache-2.0 */
/* sub_report: what `sub` prints in place of messages: their number, rate, counts by subject, or the
 * last one of each subject.
 *
 * Threads   The main one.
 */
#ifndef MILLRACE_CLI_SUB_REPORT_H
#define MILLRACE_CLI_SUB_REPORT_H

#include "cli/tally.h"

enum mr_cli_sub_mode {
	MR_CLI_SUB_MESSAGES, /* prints each message; needs no report */
	MR_CLI_SUB_COUNT,
	MR_CLI_SUB_RATE,
	MR_CLI_SUB_LAST,
	MR_CLI_SUB_REPORT,
};

struct mr_cli_sub_report {
	enum mr_cli_sub_mode mode;
	bool json;
	bool raw;
	bool colour;
	struct mr_cli_tally *tally;
	uint64_t interval_ns; /* 0: print at the end alone */
	uint64_t next_ns;     /* of the next print; UINT64_MAX: never */
	uint64_t printed_ns;  /* of the last one, or the start */
	uint64_t messages_before;
	uint64_t bytes_before;
};

/* Starts counting. 0 or -ENOMEM. */
int mr_cli_sub_report_begin(struct mr_cli_sub_report *r, uint64_t now_ns);
/* Prints if it is time to. */
void mr_cli_sub_report_tick(struct mr_cli_sub_report *r, uint64_t now_ns);
/* Prints the last report, and frees. */
void mr_cli_sub_report_end(struct mr_cli_sub_report *r, uint64_t now_ns);

#endif
