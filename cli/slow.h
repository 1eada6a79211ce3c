/* SPDX-License-Identifier: Apache-2.0 */
/* slow: the sessions that do not keep up, or wait for one that does not, as a table. */
#ifndef MILLRACE_CLI_SLOW_H
#define MILLRACE_CLI_SLOW_H

#include "cli/table.h"
#include "flatbuf/admin.h"

/* Those of an AdminClients that are full, are held up, or missed something a short while ago. */
void mr_cli_slow_table(struct mr_cli_table *t, struct mrf_table clients);

#endif
