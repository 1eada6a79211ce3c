/* SPDX-License-Identifier: Apache-2.0 */
/* admin: questions to the bus's admin socket, which is in the directory of its attach socket.
 *
 * Owns      open makes a descriptor. The struct keeps the last answer: its tables are valid until
 *           the next ask or close.
 * Threads   One at a time.
 * Errors    -errno; `error` describes it in words. -EBADMSG: a malformed answer.
 */
#ifndef MILLRACE_CLI_ADMIN_H
#define MILLRACE_CLI_ADMIN_H

#include "cli/cli.h"
#include "flatbuf/admin.h"
#include "lib/base/admin_socket.h"

struct mr_cli_admin {
	struct mr_admin_socket socket;
	bool refused; /* control itself answered the last request with an error */
	char error[256];
};

/* Connects to the bus of --server or --run-dir. -EINVAL: not an address; -EDESTADDRREQ: an address
 * over UDP, from which no socket can be derived. */
int mr_cli_admin_open(struct mr_cli_admin *a, const struct mr_cli *cli);
void mr_cli_admin_close(struct mr_cli_admin *a);

/* Sends a request and waits up to 8 s. Returns the answer's body if it is of type `body`
 * (MRF_ADMIN_BODY_*). Otherwise fails with the code of the AdminResult that came instead. */
int mr_cli_admin_ask(struct mr_cli_admin *a, enum mrf_admin_verb verb, uint64_t session,
	enum mrf_admin_body body, struct mrf_table *out);
/* Sends a request with a command, for the verbs about queues. */
int mr_cli_admin_ask_queue(struct mr_cli_admin *a, enum mrf_admin_verb verb,
	const struct mrf_queue_command *command, enum mrf_admin_body body, struct mrf_table *out);
/* Sends a command with options, to change those of a queue. */
int mr_cli_admin_ask_edit(struct mr_cli_admin *a, const struct mrf_queue_command *command,
	const struct mrf_queue_options *options, struct mrf_table *out);
/* Binds a queue to a pattern, or unbinds it; NULL: from all. The answer is an AdminBound. */
int mr_cli_admin_ask_bind(struct mr_cli_admin *a, enum mrf_admin_verb verb, const char *queue,
	const char *pattern, struct mrf_table *out);
/* Sends a request about the limits and prefixes of a port. */
int mr_cli_admin_ask_port(struct mr_cli_admin *a, enum mrf_admin_verb verb,
	const struct mrf_port_edit *edit, enum mrf_admin_body body, struct mrf_table *out);

/* Opens and asks, for a verb: reports a failure and returns an exit code. Call close in any
 * case. */
int mr_cli_admin_query(const struct mr_cli *cli, struct mr_cli_admin *a, enum mrf_admin_verb verb,
	uint64_t session, enum mrf_admin_body body, struct mrf_table *out);
int mr_cli_admin_query_queue(const struct mr_cli *cli, struct mr_cli_admin *a,
	enum mrf_admin_verb verb, const struct mrf_queue_command *command, enum mrf_admin_body body,
	struct mrf_table *out);
/* Reports a failure of ask. Returns an exit code. */
int mr_cli_admin_fail(const struct mr_cli *cli, const struct mr_cli_admin *a, int error);
/* Reports a failure of ask_queue, and asks for the names that exist if there is no such queue or
 * service. Returns an exit code. */
int mr_cli_admin_fail_queue(const struct mr_cli *cli, struct mr_cli_admin *a,
	const struct mrf_queue_command *command, int error);
/* Reports a failure of an ask about a session; 0: about none. Returns an exit code. */
int mr_cli_admin_fail_session(
	const struct mr_cli *cli, const struct mr_cli_admin *a, uint64_t session, int error);

#endif
