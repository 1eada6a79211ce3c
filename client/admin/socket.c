/* SPDX-License-Identifier: Apache-2.0 */
/* socket: the connection to the admin socket: a length, then a request or an answer. */
#include "client/admin/admin.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/core/error.h"
#include "lib/base/bus.h"

#define ANSWER_SECONDS   8 /* longer than control waits for a worker */
#define ANSWER_BYTES_MAX (64u << 20)

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

static int set_path(struct sockaddr_un *out, const char *dir, int bytes)
{
	int n = snprintf(out->sun_path, sizeof(out->sun_path), "%.*s/admin.sock", bytes, dir);

	return n < (int)sizeof(out->sun_path) ? 0 : fail(-ENAMETOOLONG, "admin socket");
}

static int find_socket(const char *address, struct sockaddr_un *out)
{
	struct mr_bus_addresses list;
	struct mr_bus bus;
	const char *dir;
	char error[200];
	int bytes;

	out->sun_family = AF_UNIX;
	if (address == NULL || address[0] == '\0') {
		if (mr_bus_default(&bus, error, sizeof(error)) != 0)
			return mr_failf(NULL, -EINVAL, "%s", error);
		if (bus.run_dir[0] != '\0')
			return set_path(out, bus.run_dir, (int)strlen(bus.run_dir));
		address = bus.server;
	}
	if (mr_bus_addresses(address, &list, error, sizeof(error)) != 0)
		return mr_failf(NULL, -EINVAL, "%s", error);
	bytes = find_dir(&list, &dir);
	if (bytes < 0)
		return mr_failf(
			NULL, -EINVAL, "address \"%s\": not of a bus of this host", address);
	return set_path(out, dir, bytes);
}

static int open_socket(const struct sockaddr_un *address)
{
	struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return fail(-errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return fail(error, address->sun_path);
}

int mr_admin_open(const char *address, struct mr_admin **out)
{
	struct sockaddr_un path = {0};
	int fd;

	if (out == NULL)
		return mr_fail(NULL, -EINVAL, "mr_admin_open: no place for the connection: NULL");
	*out = NULL;
	fd = find_socket(address, &path);
	if (fd == 0)
		fd = open_socket(&path);
	if (fd < 0)
		return fd;
	*out = calloc(1, sizeof(**out));
	if (*out == NULL) {
		close(fd);
		return mr_fail(NULL, -ENOMEM, NULL);
	}
	(*out)->fd = fd;
	return 0;
}

void mr_admin_close(struct mr_admin *a)
{
	if (a == NULL)
		return;
	close(a->fd);
	free(a->answer);
	free(a);
}

static int send_all(struct mr_admin *a, const void *data, size_t bytes)
{
	for (size_t sent = 0; sent < bytes;) {
		ssize_t n = send(a->fd, (const char *)data + sent, bytes - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(errno == EAGAIN ? -ETIMEDOUT : -errno, "asking control");
		sent += (size_t)n;
	}
	return 0;
}

static int receive_all(struct mr_admin *a, void *data, size_t bytes)
{
	for (size_t got = 0; got < bytes;) {
		ssize_t n = recv(a->fd, (char *)data + got, bytes - got, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return fail(-ECONNRESET, "control's answer");
		if (n < 0)
			return fail(errno == EAGAIN ? -ETIMEDOUT : -errno, "control's answer");
		got += (size_t)n;
	}
	return 0;
}

static int send_request(
	struct mr_admin *a, enum mrf_admin_verb verb, const struct mrf_queue_command *command)
{
	struct mrf_admin_request request = {.verb = (uint8_t)verb};
	uint8_t memory[768];
	struct mrf_builder b;
	const void *data;
	uint32_t length;
	size_t bytes;
	int error;

	mrf_builder_init(&b, memory, sizeof(memory));
	if (command != NULL)
		request.queue = mrf_queue_command_write(&b, command);
	if (mrf_builder_finish(&b, mrf_admin_request_write(&b, &request), &data, &bytes) != 0)
		return fail(-ENAMETOOLONG, "name");
	length = htole32((uint32_t)bytes);
	error = send_all(a, &length, sizeof(length));
	return error != 0 ? error : send_all(a, data, bytes);
}

static int receive_answer(struct mr_admin *a, size_t *bytes)
{
	uint32_t length;
	int error = receive_all(a, &length, sizeof(length));

	if (error != 0)
		return error;
	*bytes = le32toh(length);
	if (*bytes > ANSWER_BYTES_MAX)
		return fail(-EPROTO, "control's answer");
	if (*bytes > a->answer_room) {
		free(a->answer);
		a->answer_room = 0;
		a->answer = malloc(*bytes);
		if (a->answer == NULL)
			return fail(-ENOMEM, "control's answer");
		a->answer_room = *bytes;
	}
	return receive_all(a, a->answer, *bytes);
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
	size_t bytes;
	int error = receive_answer(a, &bytes);

	if (error != 0)
		return error;
	if (mrf_admin_response_parse(a->answer, bytes, &response) != 0)
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
	int error = send_request(a, verb, command);

	return error != 0 ? error : receive_body(a, body, out);
}
