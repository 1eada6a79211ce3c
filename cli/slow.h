/* SPDX-License-Identifier: Apache-2.0 */
/* slow: slow sessions, and the publishers that wait for them, as a table. */
#ifndef MILLRACE_CLI_SLOW_H
#define MILLRACE_CLI_SLOW_H

#include "cli/table.h"
#include "flatbuf/admin.h"

/* Lists the sessions of an AdminClients that are full, wait for a full one, or missed messages
 * recently. */
void mr_cli_slow_table(struct mr_cli_table *t, struct mrf_table clients);

#endif
