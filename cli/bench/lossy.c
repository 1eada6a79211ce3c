/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/lossy.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench/relay.h"

#define PORT_DEFAULT "7400"
#define STEP_MS      50
#define SEED         1

struct mr_lossy {
	struct mr_relay *relay;
	pthread_t thread;
	_Atomic bool stop;
	char address[64];
};

/* Splits "[::1]:7400", "host:7400" or "host" into host and port. */
static bool split(const char *text, char host[256], char port[8])
{
	const char *from = text[0] == '[' ? text + 1 : text;
	size_t bytes = strcspn(from, text[0] == '[' ? "]" : ":");
	const char *rest = from + bytes + (text[0] == '[' && from[bytes] == ']');

	if (bytes == 0 || bytes > 255 || (*rest != '\0' && *rest != ':'))
		return false;
	snprintf(host, 256, "%.*s", (int)bytes, from);
	return snprintf(port, 8, "%s", *rest == ':' ? rest + 1 : PORT_DEFAULT) < 8;
}

static int resolve(const char *server, struct sockaddr_storage *out)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	char host[256], port[8];
	struct addrinfo *found;

	if (strncmp(server, "udp://", 6) != 0 || !split(server + 6, host, port) ||
		getaddrinfo(host, port, &hints, &found) != 0)
		return -EINVAL;
	memcpy(out, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

static void *run(void *arg)
{
	struct mr_lossy *l = arg;
	int rc = 0;

	while (!atomic_load_explicit(&l->stop, memory_order_relaxed) && (rc == 0 || rc == -EINTR))
		rc = mr_relay_step(l->relay, STEP_MS);
	return NULL;
}

int mr_lossy_open(const char *server, double percent, struct mr_lossy **out)
{
	struct mr_relay_options options = {.seed = SEED};
	struct sockaddr_in here = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct mr_lossy *l = calloc(1, sizeof(*l));
	int rc = l ? resolve(server, &options.bus) : -ENOMEM;

	*out = NULL;
	memcpy(&options.listen, &here, sizeof(here));
	for (unsigned i = 0; i < MR_RELAY_DIRECTIONS; i++)
		options.faults[i].drop = percent;
	if (rc == 0)
		rc = mr_relay_open(&options, &l->relay);
	if (rc == 0)
		rc = -pthread_create(&l->thread, NULL, run, l);
	if (rc) {
		if (l)
			mr_relay_close(l->relay);
		free(l);
		return rc;
	}
	snprintf(l->address, sizeof(l->address), "udp://127.0.0.1:%u", mr_relay_port(l->relay));
	*out = l;
	return 0;
}

const char *mr_lossy_address(const struct mr_lossy *l)
{
	return l->address;
}

void mr_lossy_close(struct mr_lossy *l)
{
	if (!l)
		return;
	atomic_store_explicit(&l->stop, true, memory_order_relaxed);
	pthread_join(l->thread, NULL);
	mr_relay_close(l->relay);
	free(l);
}
