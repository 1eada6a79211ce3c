/* SPDX-License-Identifier: Apache-2.0 */
/* bus: the bus that all verbs use, chosen from options, environment and contexts. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"

static int refuse(char *error, size_t error_bytes, const char *why)
{
	snprintf(error, error_bytes, "%s", why);
	return -EINVAL;
}

/* Joins completed addresses to a list again. */
static int join(const struct mr_bus_addresses *list, char out[MR_BUS_TEXT_BYTES])
{
	size_t used = 0;

	for (unsigned i = 0; i < list->count && used < MR_BUS_TEXT_BYTES; i++)
		used += (size_t)snprintf(out + used, MR_BUS_TEXT_BYTES - used, "%s%s",
			i > 0 ? "," : "", list->at[i]);
	return used < MR_BUS_TEXT_BYTES ? 0 : -EINVAL;
}

static int set_server(struct mr_cli_bus *to, const char *text, char *error, size_t error_bytes)
{
	struct mr_bus_addresses list;
	int rc = mr_bus_addresses(text, &list, error, error_bytes);

	if (rc == 0 && join(&list, to->server) != 0)
		rc = refuse(error, error_bytes, "the addresses have more than 1023 bytes");
	return rc;
}

/* A directory as its files' paths name it: without slashes at its end. */
static int set_run_dir(struct mr_cli_bus *to, const char *dir, char *error, size_t error_bytes)
{
	size_t bytes = strlen(dir);

	while (bytes > 1 && dir[bytes - 1] == '/')
		bytes--;
	if (bytes == 0 || bytes >= sizeof(to->run_dir) - sizeof("/attach.sock"))
		return refuse(
			error, error_bytes, "the run directory: expected a path of 1 to 94 bytes");
	memcpy(to->run_dir, dir, bytes);
	to->run_dir[bytes] = '\0';
	return 0;
}

/* With --server and --run-dir both name one bus: over UDP the directory is that of its admin
 * socket, and otherwise the attach socket is in it. */
static int check_both(const struct mr_cli_bus *b, char *error, size_t error_bytes)
{
	char expected[MR_BUS_TEXT_BYTES];
	int n = snprintf(expected, sizeof(expected), "shm:%s/attach.sock", b->run_dir);

	if (strncmp(b->server, "udp://", 6) == 0 || strcmp(b->server, expected) == 0)
		return 0;
	snprintf(error, error_bytes,
		"--server %.80s and --run-dir %s name different buses; leave one of them out",
		b->server, n > 0 ? b->run_dir : "");
	return -EINVAL;
}

static int by_options(struct mr_cli_bus *to, const struct mr_cli_bus_options *options, char *error,
	size_t error_bytes)
{
	int rc = 0;

	if (options->run_dir != NULL)
		rc = set_run_dir(to, options->run_dir, error, error_bytes);
	if (rc == 0 && options->server != NULL)
		rc = set_server(to, options->server, error, error_bytes);
	else if (rc == 0)
		snprintf(to->server, sizeof(to->server), "shm:%s/attach.sock", to->run_dir);
	if (rc == 0 && options->server != NULL && options->run_dir != NULL)
		rc = check_both(to, error, error_bytes);
	return rc;
}

static int by_default(struct mr_cli_bus *to, const char *context, char *error, size_t error_bytes)
{
	struct mr_bus bus;
	int rc = context != NULL ? mr_bus_context(context, &bus, error, error_bytes)
				 : mr_bus_default(&bus, error, error_bytes);

	if (rc != 0)
		return rc;
	if (bus.run_dir[0] != '\0')
		rc = set_run_dir(to, bus.run_dir, error, error_bytes);
	if (rc != 0)
		return rc;
	snprintf(to->context, sizeof(to->context), "%s", bus.context);
	return set_server(to, bus.server, error, error_bytes);
}

int mr_cli_bus_choose(struct mr_cli *cli, const struct mr_cli_bus_options *options,
	struct mr_cli_bus *memory, char *error, size_t error_bytes)
{
	bool named = options->server != NULL || options->run_dir != NULL;
	int rc;

	*memory = (struct mr_cli_bus){0};
	if (named && options->context != NULL)
		return refuse(error, error_bytes,
			options->server != NULL
				? "--context and --server both name a bus; leave one of them out"
				: "--context and --run-dir both name a bus; leave one of them out");
	rc = named ? by_options(memory, options, error, error_bytes)
		   : by_default(memory, options->context, error, error_bytes);
	if (rc != 0)
		return rc;
	cli->server = memory->server;
	cli->run_dir = memory->run_dir[0] != '\0' ? memory->run_dir : NULL;
	cli->context = memory->context[0] != '\0' ? memory->context : NULL;
	return 0;
}
