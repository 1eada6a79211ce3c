/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/exception.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "lib/base/log.h"
#include "lib/wire/checksum.h"
#include "dataplane/port/driver.h"
#include "dataplane/port/interface.h"
#include "dataplane/port/rtnetlink.h"

#define FRAGMENTED 0x3fff /* more fragments, or an offset */

static const char device_path[] = "/dev/net/tun";
static const char alias_prefix[] = "millrace: TAP device of port ";
static const char rights[] =
	"start the data plane as root, or with the capability CAP_NET_ADMIN; or leave out tap=";
static const char taken[] = "choose a name that `ip link` does not list: tap= in ports.open";

/* True if the interface is there and was made by a data plane for its exception path. */
static bool is_ours(const char *name)
{
	char alias[MR_RTNETLINK_ALIAS_BYTES];

	return mr_rtnetlink_alias(name, alias) == 0 &&
	       strncmp(alias, alias_prefix, sizeof(alias_prefix) - 1) == 0;
}

static int check_name(const struct mr_port *p)
{
	struct mr_interface i;

	if (mr_interface_look(p->config->tap, &i) != 0)
		return 0;
	if (!is_ours(p->config->tap))
		return mr_port_refuse(p, -EEXIST,
			"the TAP device's name belongs to another interface already", taken);
	mr_log(MR_LOG_INFO, "takes over the TAP device that another run left",
		MR_LOG_STR("port", p->name), MR_LOG_STR("tap", p->config->tap));
	return 0;
}

static int refuse_attach(const struct mr_port *p, int error)
{
	if (error == -EBUSY)
		return mr_port_refuse(
			p, error, "another program uses the TAP device of that name", taken);
	if (error == -EINVAL)
		return mr_port_refuse(p, error,
			"the interface of that name is no TAP device, or one of several queues",
			taken);
	return mr_port_refuse(p, error, "the TAP device cannot be made", rights);
}

/* Opens the device, or makes it. */
static int attach(struct mr_port *p)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int error;

	p->tap_fd = open(device_path, O_RDWR | O_CLOEXEC);
	if (p->tap_fd < 0)
		return mr_port_refuse(p, -errno, "/dev/net/tun cannot be opened",
			"load its module (modprobe tun), and start the data plane as root");
	p->has_tap = true;
	memcpy(r.ifr_name, p->config->tap, sizeof(r.ifr_name));
	if (ioctl(p->tap_fd, TUNSETIFF, &r) == 0 && ioctl(p->tap_fd, TUNSETOFFLOAD, 0) == 0 &&
		ioctl(p->tap_fd, TUNSETPERSIST, 1) == 0)
		return 0;
	error = refuse_attach(p, -errno);
	/* Without the descriptor the kernel removes a device that was made just now, and leaves
	 * another program's alone. */
	close(p->tap_fd);
	p->has_tap = false;
	return error;
}

static int set_up(const struct mr_port *p)
{
	char alias[MR_RTNETLINK_ALIAS_BYTES];
	struct mr_rtnetlink_link l = {
		.index = if_nametoindex(p->config->tap),
		.mac = p->mac,
		.mtu = p->mtu,
		.alias = alias,
	};
	int error;

	snprintf(alias, sizeof(alias), "%s%s", alias_prefix, p->name);
	error = mr_rtnetlink_set(&l);
	if (error != 0)
		return mr_port_refuse(p, error, "the TAP device cannot be brought up", rights);
	for (uint32_t i = 0; error == 0 && i < p->addresses_count; i++)
		error = mr_rtnetlink_address(
			l.index, p->addresses[i].address.bytes, p->addresses[i].prefix_bits);
	return error == 0
		       ? 0
		       : mr_port_refuse(p, error, "the TAP device does not take an address",
				 "see address= of the port; for IPv6 addresses the host must have "
				 "IPv6 (sysctl net.ipv6.conf.all.disable_ipv6)");
}

static void set_limit(struct mr_exception_limit *l, const struct mr_config_port *c)
{
	l->packets_per_second = c->tap_packets_per_second;
	l->bytes_per_second = c->tap_bytes_per_second;
}

int mr_exception_open(struct mr_port *p)
{
	int error;

	if (p->config->tap[0] == '\0')
		return 0;
	set_limit(&p->exception_in, p->config);
	set_limit(&p->exception_out, p->config);
	error = check_name(p);
	if (error == 0)
		error = attach(p);
	return error == 0 ? set_up(p) : error;
}

void mr_exception_close(struct mr_port *p)
{
	if (!p->has_tap)
		return;
	p->has_tap = false;
	(void)ioctl(p->tap_fd, TUNSETPERSIST, 0);
	close(p->tap_fd);
}

bool mr_exception_left_mac(const struct mr_config_port *c, uint8_t mac[static MR_ETHER_BYTES])
{
	struct mr_interface i;

	if (c->tap[0] == '\0' || mr_interface_look(c->tap, &i) != 0 || !is_ours(c->tap))
		return false;
	memcpy(mac, i.mac, MR_ETHER_BYTES);
	return true;
}

/* Finds the TCP or UDP packet in an IPv4 packet of `*bytes`; lowers these to its length. Returns
 * its protocol, or 0. */
static uint8_t find_in_ip4(uint8_t **at, uint32_t *bytes)
{
	struct rte_ipv4_hdr h;
	uint32_t header_bytes, total;

	if (*bytes < sizeof(h))
		return 0;
	memcpy(&h, *at, sizeof(h));
	header_bytes = rte_ipv4_hdr_len(&h);
	total = rte_be_to_cpu_16(h.total_length);
	if (header_bytes < sizeof(h) || total < header_bytes || total > *bytes ||
		(h.fragment_offset & rte_cpu_to_be_16(FRAGMENTED)) != 0)
		return 0;
	*at += header_bytes;
	*bytes = total - header_bytes;
	return h.next_proto_id;
}

/* The same in an IPv6 packet. With extension headers it finds none: hosts compute these sums. */
static uint8_t find_in_ip6(uint8_t **at, uint32_t *bytes)
{
	struct rte_ipv6_hdr h;
	uint32_t payload;

	if (*bytes < sizeof(h))
		return 0;
	memcpy(&h, *at, sizeof(h));
	payload = rte_be_to_cpu_16(h.payload_len);
	if (payload > *bytes - sizeof(h))
		return 0;
	*at += sizeof(h);
	*bytes = payload;
	return h.proto;
}

void mr_exception_finish_checksum(uint8_t *frame, uint32_t bytes)
{
	uint8_t *at = frame + sizeof(struct rte_ether_hdr), protocol = 0;
	uint32_t field;
	uint16_t type, sum;

	if (bytes < sizeof(struct rte_ether_hdr))
		return;
	bytes -= (uint32_t)sizeof(struct rte_ether_hdr);
	memcpy(&type, at - sizeof(type), sizeof(type));
	if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
		protocol = find_in_ip4(&at, &bytes);
	else if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6))
		protocol = find_in_ip6(&at, &bytes);
	if (protocol == IPPROTO_TCP && bytes >= sizeof(struct rte_tcp_hdr))
		field = offsetof(struct rte_tcp_hdr, cksum);
	else if (protocol == IPPROTO_UDP && bytes >= sizeof(struct rte_udp_hdr))
		field = offsetof(struct rte_udp_hdr, dgram_cksum);
	else
		return;
	sum = mr_checksum_finish(mr_checksum_sum(at, bytes));
	if (sum == 0 && protocol == IPPROTO_UDP)
		sum = 0xffff; /* 0 would say that there is none (RFC 768) */
	memcpy(at + field, &sum, sizeof(sum));
}

static bool take(_Atomic uint64_t *until, uint64_t cost, uint64_t hz, uint64_t now)
{
	uint64_t start = now - (cost > hz / 10 ? cost : hz / 10);
	uint64_t old = atomic_load_explicit(until, memory_order_relaxed), at;

	do {
		at = (int64_t)(old - start) < 0 ? start : old;
		if ((int64_t)(at + cost - now) > 0)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		until, &old, at + cost, memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool mr_exception_limit_take(
	struct mr_exception_limit *l, uint64_t hz, uint64_t now, uint32_t bytes)
{
	return take(&l->packets_until, hz / l->packets_per_second, hz, now) &&
	       take(&l->bytes_until, bytes * hz / l->bytes_per_second, hz, now);
}
