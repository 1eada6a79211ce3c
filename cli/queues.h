/* SPDX-License-Identifier: Apache-2.0 */
/* queues: tables of queues and of services.
 *
 * Owns      A reading keeps counts of the last answer, for rates; fini frees them.
 * Errors    Out of memory ends the program, as in table.h.
 */
#ifndef MILLRACE_CLI_QUEUES_H
#define MILLRACE_CLI_QUEUES_H

#include "cli/table.h"
#include "flatbuf/admin.h"

#define MR_CLI_QUEUE_COLUMNS 64

struct mr_cli_queue_counts {
	uint32_t queue;
	uint64_t pushed;
	uint64_t delivered;
	uint64_t acked;
};

/* The counts of an AdminQueues, by queue number. */
struct mr_cli_queue_reading {
	uint64_t read_ns;
	struct mr_cli_queue_counts *rows;
	uint32_t rows_count;
};

/* Returns where the dead letters of a queue go: a queue, "none", or "default". */
const char *mr_cli_queues_dead_letter(struct mrf_table row);

void mr_cli_queue_reading_take(struct mr_cli_queue_reading *r, struct mrf_table queues);
void mr_cli_queue_reading_fini(struct mr_cli_queue_reading *r);

/* Makes the table of an AdminQueues. Fills in `columns`, which must live as long as the table. With
 * `was` (may be NULL) it shows rates since that reading instead of counts. */
void mr_cli_queues_table(struct mr_cli_table *t, struct mr_cli_column columns[MR_CLI_QUEUE_COLUMNS],
	enum mrf_queue_kind kind, struct mrf_table queues, const struct mr_cli_queue_reading *was);

#endif
