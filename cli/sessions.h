/* SPDX-License-Identifier: Apache-2.0 */
/* sessions: the sessions over UDP, as a table. */
#ifndef MILLRACE_CLI_SESSIONS_H
#define MILLRACE_CLI_SESSIONS_H

#include "cli/table.h"
#include "flatbuf/admin.h"

/* Lists the sessions over UDP of an AdminClients. `date_ns`: CLOCK_REALTIME now, for their age. */
void mr_cli_sessions_table(struct mr_cli_table *t, struct mrf_table clients, uint64_t date_ns);

#endif
