/* SPDX-License-Identifier: Apache-2.0 */
/* socket: the connection to the admin socket. */
#include "client/admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "lib/base/bus.h"

static int fail(int error, const char *what)
{
	return mr_failf(NULL, error, "%s: %s", what, strerrordesc_np(-error));
}

/* Returns the bytes of the directory of the first local address; -1: all are over UDP. */
static int find_dir(const struct mr_bus_addresses *list, const char **dir)
{
	for (unsigned i = 0; i < list->count; i++) {
		const char *slash = strrchr(list->at[i], '/');

		if (strncmp(list->at[i], "shm:", 4) != 0 || slash == NULL)
			continue;
		*dir = list->at[i] + 4;
		return (int)(slash - *dir);
	}
	return -1;
}

static int set_path(char path[MR_ADMIN_SOCKET_PATH_BYTES], const char *dir, int bytes)
{
	int n = snprintf(path, MR_ADMIN_SOCKET_PATH_BYTES, "%.*s/admin.sock", bytes, dir);

	return n < MR_ADMIN_SOCKET_PATH_BYTES ? 0 : fail(-ENAMETOOLONG, "admin socket");
}

static int find_socket(const char *address, char path[MR_ADMIN_SOCKET_PATH_BYTES])
{
	struct mr_bus_addresses list;
	struct mr_bus bus;
	const char *dir;
	char error[200];
	int bytes;

	if (address == NULL || address[0] == '\0') {
		if (mr_bus_default(&bus, error, sizeof(error)) != 0)
			return mr_failf(NULL, -EINVAL, "%s", error);
		if (bus.run_dir[0] != '\0')
			return set_path(path, bus.run_dir, (int)strlen(bus.run_dir));
		address = bus.server;
	}
	if (mr_bus_addresses(address, &list, error, sizeof(error)) != 0)
		return mr_failf(NULL, -EINVAL, "%s", error);
	bytes = find_dir(&list, &dir);
	if (bytes < 0)
		return mr_failf(
			NULL, -EINVAL, "address \"%s\": not of a bus of this host", address);
	return set_path(path, dir, bytes);
}

int mr_admin_open(const char *address, struct mr_admin **out)
{
	struct mr_admin *a;
	char path[MR_ADMIN_SOCKET_PATH_BYTES];
	int error;

	if (out == NULL)
		return mr_fail(NULL, -EINVAL, "mr_admin_open: no place for the connection: NULL");
	*out = NULL;
	error = find_socket(address, path);
	if (error != 0)
		return error;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return mr_fail(NULL, -ENOMEM, NULL);
	error = mr_admin_socket_open(&a->socket, path, NULL);
	if (error != 0) {
		free(a);
		return fail(error, path);
	}
	*out = a;
	return 0;
}

void mr_admin_close(struct mr_admin *a)
{
	if (a == NULL)
		return;
	mr_admin_socket_close(&a->socket);
	free(a);
}

static int send_request(struct mr_admin *a, const struct mrf_admin_request *with_pattern,
	const struct mrf_queue_command *command, const struct mrf_queue_options *options)
{
	struct mrf_admin_request request = *with_pattern;
	uint8_t memory[1536];
	struct mrf_builder b;
	const void *data;
	size_t bytes;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	if (command != NULL) {
		struct mrf_queue_command with = *command;

		if (options != NULL)
			with.options = mrf_queue_options_write(&b, options);
		request.queue = mrf_queue_command_write(&b, &with);
	}
	if (mrf_builder_finish(&b, mrf_admin_request_write(&b, &request), &data, &bytes) != 0)
		return fail(-ENAMETOOLONG, "name");
	error = mr_admin_socket_send(&a->socket, data, bytes);
	return error != 0 ? fail(error, "asking control") : 0;
}

static int refusal(struct mrf_table result)
{
	struct mrf_string text = mrf_admin_result_text(result);
	int code = mrf_admin_result_code(result);

	if (code >= 0 || code < -4095)
		return fail(-EPROTO, "control's answer");
	if (text.bytes == 0)
		return fail(code, "refused");
	return mr_failf(NULL, code, "refused: %.*s", (int)text.bytes, text.data);
}

static int receive_body(struct mr_admin *a, enum mrf_admin_body body, struct mrf_table *out)
{
	struct mrf_table response;
	uint8_t type;
	int error = mr_admin_socket_receive(&a->socket);

	if (error != 0)
		return fail(error == -EBADMSG ? -EPROTO : error, "control's answer");
	if (mrf_admin_response_parse(a->socket.answer, a->socket.answer_bytes, &response) != 0)
		return fail(-EPROTO, "control's answer");
	type = mrf_admin_response_body_type(response);
	*out = mrf_admin_response_body(response);
	/* A result with an error stands for any answer. */
	if (type == MRF_ADMIN_BODY_ADMIN_RESULT &&
		(body != MRF_ADMIN_BODY_ADMIN_RESULT || mrf_admin_result_code(*out) != 0))
		return refusal(*out);
	return type == (uint8_t)body ? 0 : fail(-EPROTO, "control's answer");
}

int mr_admin_ask(struct mr_admin *a, enum mrf_admin_verb verb,
	const struct mrf_queue_command *command, enum mrf_admin_body body, struct mrf_table *out)
{
	const struct mrf_admin_request request = {.verb = (uint8_t)verb};
	int error = send_request(a, &request, command, NULL);

	return error != 0 ? error : receive_body(a, body, out);
}

int mr_admin_ask_edit(struct mr_admin *a, const struct mrf_queue_command *command,
	const struct mrf_queue_options *options)
{
	const struct mrf_admin_request request = {.verb = MRF_ADMIN_VERB_QUEUE};
	int error = send_request(a, &request, command, options);
	struct mrf_table row;

	return error != 0 ? error : receive_body(a, MRF_ADMIN_BODY_ADMIN_QUEUES, &row);
}

int mr_admin_ask_bind(struct mr_admin *a, enum mrf_admin_verb verb, struct mrf_string queue,
	struct mrf_string pattern, struct mrf_table *out)
{
	const struct mrf_queue_command command = {.name = queue};
	const struct mrf_admin_request request = {.verb = (uint8_t)verb, .pattern = pattern};
	int error = send_request(a, &request, &command, NULL);

	return error != 0 ? error : receive_body(a, MRF_ADMIN_BODY_ADMIN_BOUND, out);
}
