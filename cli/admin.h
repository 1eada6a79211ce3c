/* SPDX-License-Identifier: Apache-2.0 */
/* admin: questions to the bus's admin socket, which stands beside its attach socket.
 *
 * Owns      open takes a descriptor, ask keeps the last answer: tables that it gave out are valid
 *           until the next ask or close.
 * Threads   One at a time.
 * Errors    -errno; `error` says in words what happened. -EBADMSG: an answer made no sense.
 */
#ifndef MILLRACE_CLI_ADMIN_H
#define MILLRACE_CLI_ADMIN_H

#include "cli/cli.h"
#include "flatbuf/admin.h"

#define MR_CLI_ADMIN_ANSWER_BYTES_MAX (64u << 20)

struct mr_cli_admin {
	int fd;
	uint8_t *answer;
	size_t answer_capacity;
	bool refused; /* the last failure was control's own answer */
	char error[256];
};

/* The bus of --server or --run-dir. -EINVAL: not an address; -EDESTADDRREQ: an address over UDP, which
 * says nothing of the socket. */
int mr_cli_admin_open(struct mr_cli_admin *a, const struct mr_cli *cli);
void mr_cli_admin_close(struct mr_cli_admin *a);

/* Asks and waits up to 8 s. The answer's body is of type `body` (MRF_ADMIN_BODY_*), or the call
 * fails with the code of the AdminResult that came in its place. */
int mr_cli_admin_ask(struct mr_cli_admin *a, enum mrf_admin_verb verb, uint64_t session,
	enum mrf_admin_body body, struct mrf_table *out);
/* The same of the verbs about queues, whose request has a command. */
int mr_cli_admin_ask_queue(struct mr_cli_admin *a, enum mrf_admin_verb verb,
	const struct mrf_queue_command *command, enum mrf_admin_body body, struct mrf_table *out);

/* Open and ask for a verb: what goes wrong is told, and an exit code returned. Close in any case. */
int mr_cli_admin_query(const struct mr_cli *cli, struct mr_cli_admin *a, enum mrf_admin_verb verb,
	uint64_t session, enum mrf_admin_body body, struct mrf_table *out);
int mr_cli_admin_query_queue(const struct mr_cli *cli, struct mr_cli_admin *a,
	enum mrf_admin_verb verb, const struct mrf_queue_command *command, enum mrf_admin_body body,
	struct mrf_table *out);
/* Tells a failure of ask. */
int mr_cli_admin_fail(const struct mr_cli *cli, const struct mr_cli_admin *a, int error);

#endif
