/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/suggest.h"

static int fail(struct mr_cli_admin *a, int error, const char *what)
{
	a->refused = false;
	snprintf(a->error, sizeof(a->error), "%s: %s", what, strerror(-error));
	return error;
}

/* The directories that may have the admin socket of the bus. */
struct places {
	unsigned count;
	char dir[MR_BUS_ADDRESSES_MAX][MR_BUS_ADDRESS_BYTES];
};

/* Derives DIR from each shm:DIR/attach.sock, unless --run-dir names it. */
static int find_places(struct mr_cli_admin *a, const struct mr_cli *cli, struct places *p)
{
	struct mr_bus_addresses list;

	p->count = 0;
	if (cli->run_dir) {
		snprintf(p->dir[p->count++], sizeof(p->dir[0]), "%s/", cli->run_dir);
		return 0;
	}
	if (mr_bus_addresses(cli->server, &list, a->error, sizeof(a->error)) != 0)
		return -EINVAL;
	for (unsigned i = 0; i < list.count; i++) {
		const char *path = list.at[i] + 4;
		const char *slash = strrchr(path, '/');

		if (strncmp(list.at[i], "shm:", 4) == 0)
			snprintf(p->dir[p->count++], sizeof(p->dir[0]), "%.*s",
				slash ? (int)(slash - path) + 1 : 0, path);
	}
	return p->count > 0 ? 0 : fail(a, -EDESTADDRREQ, cli->server);
}

static int connect_to(struct mr_cli_admin *a, const char *dir)
{
	char path[MR_ADMIN_SOCKET_PATH_BYTES];
	int rc;

	if (snprintf(path, sizeof(path), "%sadmin.sock", dir) >= (int)sizeof(path))
		return fail(a, -ENAMETOOLONG, dir);
	rc = mr_admin_socket_open(&a->socket, path, mr_cli_interrupted);
	return rc ? fail(a, rc, path) : 0;
}

int mr_cli_admin_open(struct mr_cli_admin *a, const struct mr_cli *cli)
{
	struct places p;
	int rc;

	*a = (struct mr_cli_admin){.socket.fd = -1};
	rc = find_places(a, cli, &p);
	for (unsigned i = 0; i < p.count; i++) {
		rc = connect_to(a, p.dir[i]);
		if (rc == 0)
			break;
	}
	return rc;
}

void mr_cli_admin_close(struct mr_cli_admin *a)
{
	mr_admin_socket_close(&a->socket);
}

static int send_built(
	struct mr_cli_admin *a, struct mrf_builder *b, const struct mrf_admin_request *request)
{
	const void *data;
	size_t bytes;
	int rc = mrf_builder_finish(b, mrf_admin_request_write(b, request), &data, &bytes);

	if (rc)
		return fail(a, rc == -ENOSPC ? -ENAMETOOLONG : rc, "request");
	rc = mr_admin_socket_send(&a->socket, data, bytes);
	return rc ? fail(a, rc, "asking control") : 0;
}

static int send_request(struct mr_cli_admin *a, const struct mrf_admin_request *request,
	const struct mrf_queue_command *command, const struct mrf_queue_options *options)
{
	struct mrf_admin_request v = *request;
	uint8_t memory[1536];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	if (command) {
		struct mrf_queue_command with = *command;

		if (options)
			with.options = mrf_queue_options_write(&b, options);
		v.queue = mrf_queue_command_write(&b, &with);
	}
	return send_built(a, &b, &v);
}

static int refusal(struct mr_cli_admin *a, struct mrf_table result)
{
	int code = mrf_admin_result_code(result);
	struct mrf_string text = mrf_admin_result_text(result);

	if (code >= 0 || code < -4095)
		return fail(a, -EBADMSG, "control's answer");
	if (text.bytes)
		snprintf(a->error, sizeof(a->error), "%.*s", (int)text.bytes, text.data);
	else
		fail(a, code, "refused");
	a->refused = true;
	return code;
}

static int receive_body(struct mr_cli_admin *a, enum mrf_admin_body body, struct mrf_table *out)
{
	struct mrf_table response, result;
	int rc = mr_admin_socket_receive(&a->socket);

	if (rc)
		return fail(a, rc, "control's answer");
	if (mrf_admin_response_parse(a->socket.answer, a->socket.answer_bytes, &response) != 0)
		return fail(a, -EBADMSG, "control's answer");
	result = mrf_admin_response_body(response);
	if (mrf_admin_response_body_type(response) != (uint8_t)body) {
		if (mrf_admin_response_body_type(response) == MRF_ADMIN_BODY_ADMIN_RESULT)
			return refusal(a, result);
		return fail(a, -EBADMSG, "control's answer");
	}
	/* A plain result may also be an error, which control sends in place of any answer. */
	if (body == MRF_ADMIN_BODY_ADMIN_RESULT && mrf_admin_result_code(result) != 0)
		return refusal(a, result);
	*out = result;
	return 0;
}

int mr_cli_admin_ask(struct mr_cli_admin *a, enum mrf_admin_verb verb, uint64_t session,
	enum mrf_admin_body body, struct mrf_table *out)
{
	const struct mrf_admin_request request = {.verb = (uint8_t)verb, .session = session};
	int rc = send_request(a, &request, NULL, NULL);

	return rc ? rc : receive_body(a, body, out);
}

int mr_cli_admin_ask_queue(struct mr_cli_admin *a, enum mrf_admin_verb verb,
	const struct mrf_queue_command *command, enum mrf_admin_body body, struct mrf_table *out)
{
	const struct mrf_admin_request request = {.verb = (uint8_t)verb};
	int rc = send_request(a, &request, command, NULL);

	return rc ? rc : receive_body(a, body, out);
}

int mr_cli_admin_ask_edit(struct mr_cli_admin *a, const struct mrf_queue_command *command,
	const struct mrf_queue_options *options, struct mrf_table *out)
{
	const struct mrf_admin_request request = {.verb = MRF_ADMIN_VERB_QUEUE};
	int rc = send_request(a, &request, command, options);

	return rc ? rc : receive_body(a, MRF_ADMIN_BODY_ADMIN_QUEUES, out);
}

int mr_cli_admin_ask_bind(struct mr_cli_admin *a, enum mrf_admin_verb verb, const char *queue,
	const char *pattern, struct mrf_table *out)
{
	const struct mrf_queue_command command = {.name = mrf_str(queue)};
	const struct mrf_admin_request request = {
		.verb = (uint8_t)verb, .pattern = mrf_str(pattern)};
	int rc = send_request(a, &request, &command, NULL);

	return rc ? rc : receive_body(a, MRF_ADMIN_BODY_ADMIN_BOUND, out);
}

int mr_cli_admin_ask_port(struct mr_cli_admin *a, enum mrf_admin_verb verb,
	const struct mrf_port_edit *edit, enum mrf_admin_body body, struct mrf_table *out)
{
	struct mrf_admin_request request = {.verb = (uint8_t)verb};
	uint8_t memory[1024];
	struct mrf_builder b;
	int rc;

	mrf_builder_init(&b, memory, sizeof(memory));
	request.port = mrf_port_edit_write(&b, edit);
	rc = send_built(a, &b, &request);
	return rc ? rc : receive_body(a, body, out);
}

int mr_cli_admin_fail(const struct mr_cli *cli, const struct mr_cli_admin *a, int error)
{
	if (a->refused && error != -EACCES && error != -ENOTCONN && error != -ETIMEDOUT)
		return mr_cli_fail(cli, MR_EXIT_FAILED, "refused", a->error, NULL);
	switch (error) {
	case -EINVAL:
		return mr_cli_fail(cli, MR_EXIT_USAGE, a->error, "not an address",
			"give --server shm:PATH of the bus's attach.sock, or --run-dir");
	case -EDESTADDRREQ:
		return mr_cli_fail(cli, MR_EXIT_USAGE, cli->server,
			"this verb needs the admin socket of the bus, on the host of the bus",
			"name its directory with --run-dir");
	case -ENOENT:
	case -ECONNREFUSED:
		return mr_cli_fail(cli, MR_EXIT_UNREACHABLE, "no bus", a->error,
			"start a bus with `millrace up`, or name one with --server");
	case -ENOTCONN:
		return mr_cli_fail(cli, MR_EXIT_UNREACHABLE, "no data plane", a->error,
			"see the log of `millrace up`");
	case -ETIMEDOUT:
		return mr_cli_fail(cli, MR_EXIT_TIMEOUT, "no answer", a->error,
			"see the log of `millrace up`");
	case -EACCES:
		return mr_cli_fail(cli, MR_EXIT_UNREACHABLE, "refused", a->error,
			"run this as the user of the bus, or as root");
	default: return mr_cli_fail(cli, MR_EXIT_FAILED, "admin socket", a->error, NULL);
	}
}

/* True if control refused the name in the request. */
static bool refused_the_name(const struct mr_cli_admin *a, int error)
{
	return a->refused && error != -EACCES && error != -ENOTCONN && error != -ETIMEDOUT;
}

/* Finds a queue, or service, whose name is much like a name that does not exist. NULL: none; else
 * valid until the next ask. */
static const char *like(struct mr_cli_admin *a, uint8_t kind, struct mrf_string name)
{
	const struct mrf_queue_command all = {.kind = kind};
	struct mr_suggest s = mr_suggest_begin(name.data, name.bytes);
	struct mrf_table queues;

	if (mr_cli_admin_ask_queue(
		    a, MRF_ADMIN_VERB_QUEUES, &all, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues) != 0)
		return NULL;
	for (uint32_t i = 0; i < mrf_admin_queues_rows_count(queues); i++)
		mr_suggest_try(&s, mrf_queue_row_name(mrf_admin_queues_rows_at(queues, i)).data);
	return s.best;
}

int mr_cli_admin_fail_queue(const struct mr_cli *cli, struct mr_cli_admin *a,
	const struct mrf_queue_command *command, int error)
{
	const char *list = command->kind == MRF_QUEUE_KIND_SERVICE ? "services" : "queues";
	char what[256], why[sizeof(a->error)], hint[512];
	const char *best;

	if (!refused_the_name(a, error) || command->name.data == NULL)
		return mr_cli_admin_fail(cli, a, error);
	snprintf(what, sizeof(what), "%.*s", (int)command->name.bytes, command->name.data);
	memcpy(why, a->error, sizeof(why));
	if (error != -ENOENT)
		return mr_cli_fail(cli, MR_EXIT_FAILED, what, why,
			error == -EINVAL ? "expected: tokens with dots between, such as orders.eu"
					 : NULL);
	best = like(a, command->kind, command->name);
	snprintf(hint, sizeof(hint), "%s%s%s`millrace %s` lists those that exist",
		best ? "did you mean " : "", best ? best : "", best ? "? " : "", list);
	return mr_cli_fail(cli, MR_EXIT_FAILED, what, why, hint);
}

int mr_cli_admin_fail_session(
	const struct mr_cli *cli, const struct mr_cli_admin *a, uint64_t session, int error)
{
	char what[24];

	if (!refused_the_name(a, error) || session == 0)
		return mr_cli_admin_fail(cli, a, error);
	snprintf(what, sizeof(what), "0x%016" PRIx64, session);
	return mr_cli_fail(cli, MR_EXIT_FAILED, what, a->error,
		"`millrace clients` lists those that are connected");
}

int mr_cli_admin_query(const struct mr_cli *cli, struct mr_cli_admin *a, enum mrf_admin_verb verb,
	uint64_t session, enum mrf_admin_body body, struct mrf_table *out)
{
	int rc = mr_cli_admin_open(a, cli);

	rc = rc ? rc : mr_cli_admin_ask(a, verb, session, body, out);
	return rc ? mr_cli_admin_fail_session(cli, a, session, rc) : MR_EXIT_OK;
}

int mr_cli_admin_query_queue(const struct mr_cli *cli, struct mr_cli_admin *a,
	enum mrf_admin_verb verb, const struct mrf_queue_command *command, enum mrf_admin_body body,
	struct mrf_table *out)
{
	int rc = mr_cli_admin_open(a, cli);

	rc = rc ? rc : mr_cli_admin_ask_queue(a, verb, command, body, out);
	return rc ? mr_cli_admin_fail_queue(cli, a, command, rc) : MR_EXIT_OK;
}
