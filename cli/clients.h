/* SPDX-License-Identifier: Apache-2.0 */
/* clients: the clients with their counts and rates, as a table; names of sessions.
 *
 * Owns      A reading keeps the last counts, for rates; names keeps copies. fini frees them.
 * Errors    Out of memory ends the program, as in table.h.
 */
#ifndef MILLRACE_CLI_CLIENTS_H
#define MILLRACE_CLI_CLIENTS_H

#include "cli/table.h"
#include "flatbuf/admin.h"

/* The counts of an AdminClients, by session. */
struct mr_cli_clients_reading {
	uint64_t read_ns;
	struct mr_cli_client_counts *rows;
	uint32_t rows_count;
};

void mr_cli_clients_reading_take(struct mr_cli_clients_reading *r, struct mrf_table clients);
void mr_cli_clients_reading_fini(struct mr_cli_clients_reading *r);

/* Makes the table of an AdminClients. Rates are those since the reading `was`, or since each
 * client connected if it is NULL. `date_ns`: CLOCK_REALTIME now. */
void mr_cli_clients_table(struct mr_cli_table *t, struct mrf_table clients,
	const struct mr_cli_clients_reading *was, uint64_t date_ns);

/* Adds the cells of a peer: the user of a local client, the address of one over UDP. */
void mr_cli_user_cell(struct mr_cli_table *t, bool local, uint32_t uid);
void mr_cli_address_cell(struct mr_cli_table *t, bool local, const struct mrf_network_path *path);

/* The names of clients, by session. */
struct mr_cli_names {
	struct mr_cli_name *rows;
	uint32_t rows_count;
};

void mr_cli_names_take(struct mr_cli_names *n, struct mrf_table clients);
void mr_cli_names_fini(struct mr_cli_names *n);
/* Returns the name of a session; NULL: there is no such session. */
const char *mr_cli_names_find(const struct mr_cli_names *n, uint64_t session, size_t *bytes);

#endif
