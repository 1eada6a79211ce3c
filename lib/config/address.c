/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 4291 §2.5.5.2: ::ffff:a.b.c.d */
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
#define MAPPED_BITS 96u

bool mr_config_network_is_ipv4(const struct mr_config_network *n)
{
	return memcmp(n->address, mapped, sizeof(mapped)) == 0;
}

static int parse_prefix(const char *text, unsigned max, unsigned *out)
{
	unsigned value = 0;

	if (*text == '\0' || strlen(text) > 3)
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*out = value;
	return value <= max ? 0 : -EINVAL;
}

int mr_config_network_parse(const char *text, struct mr_config_network *out)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	bool is_ipv4 = strchr(text, ':') == NULL;
	unsigned bits;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(address) ||
		parse_prefix(slash + 1, is_ipv4 ? 32 : 128, &bits) != 0)
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	memcpy(out->address, mapped, sizeof(mapped));
	out->prefix_bits = (uint8_t)(is_ipv4 ? bits + MAPPED_BITS : bits);
	if (is_ipv4)
		return inet_pton(AF_INET, address, out->address + sizeof(mapped)) == 1 ? 0
										       : -EINVAL;
	return inet_pton(AF_INET6, address, out->address) == 1 ? 0 : -EINVAL;
}

void mr_config_network_text(const struct mr_config_network *n, char *out, size_t bytes)
{
	bool is_ipv4 = mr_config_network_is_ipv4(n) && n->prefix_bits >= MAPPED_BITS;
	char address[INET6_ADDRSTRLEN];

	inet_ntop(is_ipv4 ? AF_INET : AF_INET6, n->address + (is_ipv4 ? sizeof(mapped) : 0),
		address, sizeof(address));
	snprintf(out, bytes, "%s/%u", address, n->prefix_bits - (is_ipv4 ? MAPPED_BITS : 0));
}
