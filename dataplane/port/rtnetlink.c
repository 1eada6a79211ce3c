/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/rtnetlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTRIBUTES_BYTES 512
#define ANSWER_BYTES     16384
#define MAC_BYTES        6
#define MAPPED_BITS      96 /* of an IPv4 address within IPv6 */

struct request {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
	};
	char attributes[ATTRIBUTES_BYTES];
};

static void begin(struct request *r, uint16_t type, uint16_t flags, size_t body_bytes)
{
	memset(r, 0, sizeof(*r));
	r->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_bytes);
	r->header.nlmsg_type = type;
	r->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
}

/* The callers' attributes fit: they are few and of fixed size. */
static void add(struct request *r, uint16_t type, const void *data, size_t bytes)
{
	struct rtattr a = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(bytes)};
	char *at = (char *)r + NLMSG_ALIGN(r->header.nlmsg_len);

	memcpy(at, &a, sizeof(a));
	memcpy(at + RTA_LENGTH(0), data, bytes);
	r->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->header.nlmsg_len) + RTA_ALIGN(a.rta_len));
}

/* Sends the request and receives one answer. Returns its bytes or -errno. */
static ssize_t exchange(const struct request *r, void *answer, size_t bytes)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = send(fd, r, r->header.nlmsg_len, 0);
	if (n >= 0)
		n = recv(fd, answer, bytes, 0);
	n = n < 0 ? -errno : n;
	close(fd);
	return n;
}

/* Returns the error that the answer carries; 0 if it carries none. */
static int error_of(const char *answer, ssize_t bytes)
{
	struct nlmsghdr h;
	struct nlmsgerr e;

	if (bytes < (ssize_t)sizeof(h))
		return bytes < 0 ? (int)bytes : -EBADMSG;
	memcpy(&h, answer, sizeof(h));
	if (h.nlmsg_type != NLMSG_ERROR)
		return 0;
	if (bytes < (ssize_t)NLMSG_LENGTH(sizeof(e)))
		return -EBADMSG;
	memcpy(&e, answer + NLMSG_HDRLEN, sizeof(e));
	return e.error;
}

static int carry_out(const struct request *r)
{
	char answer[ANSWER_BYTES];

	return error_of(answer, exchange(r, answer, sizeof(answer)));
}

int mr_rtnetlink_set(const struct mr_rtnetlink_link *l)
{
	struct request r;

	begin(&r, RTM_NEWLINK, NLM_F_ACK, sizeof(r.link));
	r.link.ifi_index = (int)l->index;
	r.link.ifi_flags = r.link.ifi_change = IFF_UP;
	add(&r, IFLA_ADDRESS, l->mac, MAC_BYTES);
	add(&r, IFLA_MTU, &l->mtu, sizeof(l->mtu));
	add(&r, IFLA_IFALIAS, l->alias, strlen(l->alias));
	return carry_out(&r);
}

int mr_rtnetlink_address(unsigned index, const uint8_t *address, uint8_t prefix_bits)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool ip4 = prefix_bits >= MAPPED_BITS && memcmp(address, mapped, sizeof(mapped)) == 0;
	const uint8_t *at = ip4 ? address + sizeof(mapped) : address;
	size_t bytes = ip4 ? 4 : 16;
	struct request r;

	begin(&r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sizeof(r.address));
	r.address.ifa_family = ip4 ? AF_INET : AF_INET6;
	r.address.ifa_prefixlen = (uint8_t)(ip4 ? prefix_bits - MAPPED_BITS : prefix_bits);
	r.address.ifa_flags = ip4 ? 0 : IFA_F_NODAD; /* usable at once */
	r.address.ifa_index = index;
	add(&r, IFA_LOCAL, at, bytes);
	add(&r, IFA_ADDRESS, at, bytes);
	return carry_out(&r);
}

/* Finds the alias among the attributes of an answer. */
static void find_alias(const char *answer, size_t bytes, char out[static MR_RTNETLINK_ALIAS_BYTES])
{
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct ifinfomsg));
	struct rtattr a;

	while (at + sizeof(a) <= bytes) {
		memcpy(&a, answer + at, sizeof(a));
		if (a.rta_len < RTA_LENGTH(0) || a.rta_len > bytes - at)
			return;
		if (a.rta_type == IFLA_IFALIAS)
			snprintf(out, MR_RTNETLINK_ALIAS_BYTES, "%.*s",
				(int)(a.rta_len - RTA_LENGTH(0)), answer + at + RTA_LENGTH(0));
		at += RTA_ALIGN(a.rta_len);
	}
}

int mr_rtnetlink_alias(const char *name, char out[static MR_RTNETLINK_ALIAS_BYTES])
{
	char answer[ANSWER_BYTES];
	struct request r;
	ssize_t bytes;
	int error;

	out[0] = '\0';
	begin(&r, RTM_GETLINK, 0, sizeof(r.link));
	add(&r, IFLA_IFNAME, name, strlen(name) + 1);
	bytes = exchange(&r, answer, sizeof(answer));
	error = error_of(answer, bytes);
	if (error == 0)
		find_alias(answer, (size_t)bytes, out);
	return error;
}
