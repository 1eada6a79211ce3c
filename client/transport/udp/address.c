/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of a bus: "udp://HOST", "udp://HOST:PORT", "udp://[IPV6]:PORT". */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/error.h"
#include "client/core/pages.h"
#include "client/transport/udp/udp.h"

#define HOST_BYTES_MAX 255u
#define PORT_DEFAULT   "7400"

struct parts {
	char host[HOST_BYTES_MAX + 1];
	char port[6];
};

static bool port_is_valid(const char *port)
{
	size_t bytes = strlen(port);

	if (bytes == 0 || bytes > 5 || strspn(port, "0123456789") != bytes)
		return false;
	return atoi(port) >= 1 && atoi(port) <= 65535;
}

/* Splits an address. An IPv6 address without brackets is refused: its port would be ambiguous. */
static bool split(const char *from, struct parts *out)
{
	const char *host = from[0] == '[' ? from + 1 : from;
	size_t bytes = strcspn(host, from[0] == '[' ? "]" : ":/");
	const char *rest = host + bytes;

	if (from[0] == '[' && *rest++ != ']')
		return false;
	if (bytes == 0 || bytes > HOST_BYTES_MAX)
		return false;
	memcpy(out->host, host, bytes);
	out->host[bytes] = '\0';
	if (*rest == '\0') {
		memcpy(out->port, PORT_DEFAULT, sizeof(PORT_DEFAULT));
		return true;
	}
	if (*rest != ':' || !port_is_valid(rest + 1))
		return false;
	memcpy(out->port, rest + 1, strlen(rest + 1) + 1);
	return true;
}

static int resolve(struct mr_client *c, struct mr_udp *u, const struct parts *p)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(p->host, p->port, &hints, &found);

	if (rc != 0)
		return mr_failf(c, -ECONNREFUSED, "%s: no such host (%s)", u->text,
			rc == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(rc));
	for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
		if (u->addresses_count == MR_UDP_ADDRESSES_MAX)
			break;
		memcpy(&u->addresses[u->addresses_count].at, a->ai_addr, a->ai_addrlen);
		u->addresses[u->addresses_count++].bytes = a->ai_addrlen;
	}
	freeaddrinfo(found);
	return 0;
}

int mr_udp_init(struct mr_client *c, const char *address)
{
	struct mr_udp *u;
	struct parts parts;

	if (!split(address + 6, &parts))
		return mr_failf(c, -EINVAL,
			"address \"%s\": expected udp://HOST:PORT, with IPv6 addresses in brackets",
			address);
	u = mr_pages_new(sizeof(*u));
	if (u == NULL)
		return mr_fail(c, -ENOMEM, NULL);
	u->buffers = mr_pages_new(MR_UDP_RECEIVES * MR_UDP_BUFFER);
	if (u->buffers == NULL) {
		mr_pages_free(u, sizeof(*u));
		return mr_fail(c, -ENOMEM, NULL);
	}
	u->fd = -1;
	u->groups_fd = -1;
	u->rings = mr_channel_none();
	u->reliable.ring = mr_channel_none();
	snprintf(u->text, sizeof(u->text), "%s", address);
	c->udp = u;
	c->transport = &mr_transport_udp;
	return resolve(c, u, &parts);
}
