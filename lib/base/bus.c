/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/bus.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/contexts.h"

#define SYSTEM_RUN_DIR "/run/millrace"

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* Returns the comma before the next address, or the end of the text. A comma within a path is none:
 * an address must follow. */
static const char *end_of(const char *text)
{
	for (; *text != '\0'; text++) {
		const char *next = text + 1 + strspn(text + (*text != '\0'), " ");

		if (*text == ',' && (starts_with(next, "shm:") || starts_with(next, "udp://") ||
					    *next == '/' || starts_with(next, "./")))
			break;
	}
	return text;
}

static bool ends_with(const char *text, const char *end)
{
	size_t bytes = strlen(text), end_bytes = strlen(end);

	return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* True if the path is a directory, or can only be meant as one. */
static bool is_run_dir(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode);
	return !ends_with(path, ".sock");
}

/* Completes one address of `bytes` at `text` into `out`. -EINVAL: none, or too long. */
static int complete(const char *text, size_t bytes, char out[MR_BUS_ADDRESS_BYTES])
{
	char copy[MR_BUS_ADDRESS_BYTES];
	const char *path = copy;
	size_t path_bytes;
	int n;

	if (bytes == 0 || bytes >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	if (starts_with(copy, "udp://"))
		return strcpy(out, copy), 0;
	if (starts_with(copy, "shm:"))
		path = copy + 4;
	else if (strchr(copy, '/') == NULL || strstr(copy, "://") != NULL)
		return -EINVAL;
	path_bytes = strlen(path);
	if (path_bytes == 0)
		return -EINVAL;
	while (path_bytes > 1 && path[path_bytes - 1] == '/')
		path_bytes--;
	n = snprintf(out, MR_BUS_ADDRESS_BYTES, "shm:%.*s%s", (int)path_bytes, path,
		is_run_dir(path) ? "/attach.sock" : "");
	return n < MR_BUS_ADDRESS_BYTES ? 0 : -EINVAL;
}

int mr_bus_addresses(
	const char *text, struct mr_bus_addresses *out, char *error, size_t error_bytes)
{
	out->count = 0;
	for (;;) {
		const char *end = end_of(text);

		if (out->count == MR_BUS_ADDRESSES_MAX) {
			snprintf(
				error, error_bytes, "more than %d addresses", MR_BUS_ADDRESSES_MAX);
			return -EINVAL;
		}
		if (complete(text, (size_t)(end - text), out->at[out->count]) != 0) {
			snprintf(error, error_bytes,
				"address \"%.*s\": neither shm:PATH nor udp://HOST:PORT nor a path",
				(int)(end - text < 200 ? end - text : 200), text);
			return -EINVAL;
		}
		out->count++;
		if (*end == '\0')
			return 0;
		text = end + 1 + strspn(end + 1, " ");
	}
}

int mr_bus_run_dir(char *out, size_t out_bytes)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int n;

	if (geteuid() == 0)
		n = snprintf(out, out_bytes, SYSTEM_RUN_DIR);
	else if (runtime != NULL && runtime[0] == '/')
		n = snprintf(out, out_bytes, "%s/millrace", runtime);
	else
		n = snprintf(out, out_bytes, "/tmp/millrace-%u", (unsigned)geteuid());
	return n < (int)out_bytes ? 0 : -ENAMETOOLONG;
}

/* True if the directory is this user's and has an attach socket. Another user may have created one
 * of this name in /tmp. */
static bool is_ours(const char *dir)
{
	char socket_path[256];
	struct stat st;

	if (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return false;
	snprintf(socket_path, sizeof(socket_path), "%s/attach.sock", dir);
	return access(socket_path, F_OK) == 0;
}

static int by_run_dir(struct mr_bus *out, char *error, size_t error_bytes)
{
	char dir[108];

	if (mr_bus_run_dir(dir, sizeof(dir)) != 0) {
		snprintf(error, error_bytes, "XDG_RUNTIME_DIR is longer than 98 bytes");
		return -EINVAL;
	}
	if (!is_ours(dir) && access(SYSTEM_RUN_DIR "/attach.sock", F_OK) == 0)
		strcpy(dir, SYSTEM_RUN_DIR);
	snprintf(out->server, sizeof(out->server), "shm:%s/attach.sock", dir);
	return 0;
}

int mr_bus_context(const char *name, struct mr_bus *out, char *error, size_t error_bytes)
{
	char path[MR_CONTEXTS_PATH_BYTES];
	struct mr_contexts *contexts = NULL;
	const struct mr_context *x;
	int rc = mr_contexts_path(path, sizeof(path));

	*out = (struct mr_bus){0};
	if (rc == 0)
		rc = mr_contexts_load(path, &contexts, error, error_bytes);
	if (rc == 0 && name == NULL && contexts->current[0] == '\0')
		rc = -ENOENT;
	if (rc == -ENOENT && name == NULL) {
		mr_contexts_free(contexts);
		return -ENOENT;
	}
	if (rc == -ENOENT) {
		snprintf(error, error_bytes, "context %s: there are no contexts", name);
		return -EINVAL;
	}
	if (rc != 0)
		return -EINVAL;
	if (name == NULL)
		name = contexts->current;
	x = mr_contexts_find(contexts, name);
	if (x == NULL || x->server[0] == '\0') {
		snprintf(error, error_bytes, "context %s: %s in %s", name,
			x == NULL ? "not" : "has no server", path);
		mr_contexts_free(contexts);
		return -EINVAL;
	}
	snprintf(out->server, sizeof(out->server), "%s", x->server);
	snprintf(out->run_dir, sizeof(out->run_dir), "%s", x->run_dir);
	snprintf(out->context, sizeof(out->context), "%s", x->name);
	mr_contexts_free(contexts);
	return 0;
}

int mr_bus_default(struct mr_bus *out, char *error, size_t error_bytes)
{
	const char *environment = getenv("MILLRACE_SERVER");
	int rc;

	*out = (struct mr_bus){0};
	if (environment != NULL && environment[0] != '\0') {
		if (strlen(environment) >= sizeof(out->server)) {
			snprintf(error, error_bytes, "MILLRACE_SERVER has more than %zu bytes",
				sizeof(out->server) - 1);
			return -EINVAL;
		}
		strcpy(out->server, environment);
		return 0;
	}
	rc = mr_bus_context(NULL, out, error, error_bytes);
	return rc == -ENOENT ? by_run_dir(out, error, error_bytes) : rc;
}
