/* SPDX-License-Identifier: Apache-2.0 */
/* admin: one request at a time to the admin socket, and its answer.
 *
 * Owns      A connection owns its descriptor and the last answer, to which tables point.
 * Threads   One at a time.
 * Errors    -errno, with the text for mr_error(NULL).
 */
#ifndef MILLRACE_CLIENT_ADMIN_ADMIN_H
#define MILLRACE_CLIENT_ADMIN_ADMIN_H

#include "client/millrace.h"
#include "flatbuf/admin.h"
#include "lib/base/admin_socket.h"

struct mr_admin {
	struct mr_admin_socket socket;
};

/* Sends a request, with a command unless that is NULL, and waits for an answer of this type. */
int mr_admin_ask(struct mr_admin *a, enum mrf_admin_verb verb,
	const struct mrf_queue_command *command, enum mrf_admin_body body, struct mrf_table *out);
/* Sends a command with options, and waits for the row of the queue. */
int mr_admin_ask_edit(struct mr_admin *a, const struct mrf_queue_command *command,
	const struct mrf_queue_options *options);
/* Asks to bind a queue to a pattern, or to unbind it, and waits for the number of its bindings. */
int mr_admin_ask_bind(struct mr_admin *a, enum mrf_admin_verb verb, struct mrf_string queue,
	struct mrf_string pattern, struct mrf_table *out);

#endif
