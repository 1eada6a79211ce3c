/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/interface.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum order { IP4, IP6, IP6_LINK, ORDER_COUNT };

/* The kernel may name an IPv4 address INTERFACE:LABEL. */
static bool is_on(const struct ifaddrs *a, const char *interface)
{
	size_t bytes = strlen(interface);

	return a->ifa_addr != NULL && a->ifa_netmask != NULL &&
	       strncmp(a->ifa_name, interface, bytes) == 0 &&
	       (a->ifa_name[bytes] == '\0' || a->ifa_name[bytes] == ':');
}

/* Returns the bits set at the start of a netmask. */
static uint8_t prefix_bits(const uint8_t *mask, unsigned bytes)
{
	uint8_t bits = 0;

	for (unsigned i = 0; i < bytes; i++)
		bits = (uint8_t)(bits + __builtin_popcount(mask[i]));
	return bits;
}

static struct mr_config_network network_4(const struct ifaddrs *a)
{
	struct mr_config_network n = {.address = {[10] = 0xff, [11] = 0xff}};
	struct sockaddr_in address, mask;

	memcpy(&address, a->ifa_addr, sizeof(address));
	memcpy(&mask, a->ifa_netmask, sizeof(mask));
	memcpy(&n.address[12], &address.sin_addr, 4);
	n.prefix_bits = (uint8_t)(96 + prefix_bits((const uint8_t *)&mask.sin_addr, 4));
	return n;
}

static struct mr_config_network network_6(const struct ifaddrs *a)
{
	struct mr_config_network n;
	struct sockaddr_in6 address, mask;

	memcpy(&address, a->ifa_addr, sizeof(address));
	memcpy(&mask, a->ifa_netmask, sizeof(mask));
	memcpy(n.address, &address.sin6_addr, sizeof(n.address));
	n.prefix_bits = prefix_bits((const uint8_t *)&mask.sin6_addr, 16);
	return n;
}

/* Reads one entry. Returns its place in the order, or ORDER_COUNT if it is no IP address. */
static enum order read_entry(const struct ifaddrs *a, struct mr_config_network *out)
{
	if (a->ifa_addr->sa_family == AF_INET) {
		*out = network_4(a);
		return IP4;
	}
	if (a->ifa_addr->sa_family != AF_INET6)
		return ORDER_COUNT;
	*out = network_6(a);
	return out->address[0] == 0xfe && (out->address[1] & 0xc0) == 0x80 ? IP6_LINK : IP6;
}

uint32_t mr_interface_networks(const char *interface, struct mr_config_network *out, uint32_t max)
{
	struct mr_config_network n;
	struct ifaddrs *all;
	uint32_t count = 0;

	if (getifaddrs(&all) != 0)
		return 0;
	for (enum order order = IP4; order < ORDER_COUNT; order++) {
		for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
			if (count < max && is_on(a, interface) && read_entry(a, &n) == order)
				out[count++] = n;
		}
	}
	freeifaddrs(all);
	return count;
}
