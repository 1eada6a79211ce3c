/* SPDX-License-Identifier: Apache-2.0 */
/* af_xdp: a kernel interface. Our XDP program passes packets for the bus to the workers, and leaves
 * all others to the kernel.
 *
 * The driver sees only one queue of a veth, so each queue is opened as a device of its own. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <bpf/libbpf.h>
#include <rte_byteorder.h>
#include <rte_log.h>
#include <xdp/libxdp.h>

#include "lib/base/log.h"
#include "lib/config/interface.h"
#include "dataplane/port/driver.h"
#include "dataplane/port/interface.h"
#include "dataplane/port/program.h"
#include "dataplane/port/xdp/steer.h"
#include "dataplane/port/xsk.h"

/* The driver's limit: a page, less the buffer's headers and the kernel's headroom. */
#define MTU_MAX 3520u
/* Addresses of an interface that are looked at. */
#define KERNEL_ADDRESSES_MAX 256u

/* Refuses an interface that has an XDP program: it is somebody else's. One of ours ends with its
 * process. */
static int check_program(const struct mr_port *p)
{
	uint32_t id = mr_program_attached(p->ifindex);
	char name[32];

	if (id == 0)
		return 0;
	mr_program_name(id, name, sizeof(name));
	mr_log(MR_LOG_ERROR,
		mr_program_is_ours(id)
			? "another bus has a port on this interface"
			: "another XDP program is attached; to remove it: ip link set dev IFACE "
			  "xdp off, or bpftool link detach",
		MR_LOG_STR("port", p->name), MR_LOG_STR("interface", p->config->device),
		MR_LOG_STR("program", name), MR_LOG_U64("id", id));
	return -EBUSY;
}

/* ---- addresses */

/* Gives the port the interface's addresses, as it has none of its own. */
static int take_addresses(struct mr_port *p)
{
	struct mr_config_network found[KERNEL_ADDRESSES_MAX];
	uint32_t count;

	if (p->config->addresses_count > 0)
		return 0;
	count = mr_interface_networks(p->config->device, found, KERNEL_ADDRESSES_MAX);
	if (count == 0)
		return mr_port_refuse(p, -EADDRNOTAVAIL, "the interface has no address",
			"give it one (ip address add), or give the port one of its own with "
			"address=");
	if (count > MR_PORT_ADDRESSES_MAX) {
		mr_log(MR_LOG_WARN, "the port takes the first 8 addresses of the interface",
			MR_LOG_STR("port", p->name), MR_LOG_U64("addresses", count));
		count = MR_PORT_ADDRESSES_MAX;
	}
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&p->addresses[i].address, found[i].address, sizeof(struct mr_address));
		p->addresses[i].prefix_bits = found[i].prefix_bits;
	}
	p->addresses_count = (uint16_t)count;
	return 0;
}

static bool is_among(
	const struct mr_port_address *a, const struct mr_config_network *networks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (memcmp(&a->address, networks[i].address, sizeof(a->address)) == 0)
			return true;
	return false;
}

/* Adds an address to the program's settings. */
static void add_address(struct mr_xdp_settings *s, const struct mr_port_address *a, bool own)
{
	const uint8_t *bytes = a->address.bytes;
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		s->own4 = (uint16_t)(s->own4 | own << s->ip4_count);
		memcpy(&s->ip4[s->ip4_count++], bytes + sizeof(mapped), sizeof(s->ip4[0]));
	} else {
		s->own6 = (uint16_t)(s->own6 | own << s->ip6_count);
		memcpy(&s->ip6[s->ip6_count++], bytes, sizeof(s->ip6[0]));
	}
}

/* Makes the program's settings from the port and the addresses that the kernel has now. */
static void make_settings(const struct mr_port *p, struct mr_xdp_settings *out)
{
	struct mr_config_network kernel[KERNEL_ADDRESSES_MAX];
	uint32_t count = mr_interface_networks(p->config->device, kernel, KERNEL_ADDRESSES_MAX);

	memset(out, 0, sizeof(*out));
	out->udp_port = rte_cpu_to_be_16(p->udp_port);
	memcpy(out->mac, p->mac, sizeof(out->mac));
	for (uint32_t i = 0; i < p->addresses_count; i++)
		add_address(out, &p->addresses[i], !is_among(&p->addresses[i], kernel, count));
}

/* ---- opening */

/* Each queue needs a worker: packets of others would go to the kernel, and sessions whose flow
 * falls there would never open. Workers without a queue are fine. */
static int check_queues(struct mr_port *p, const struct mr_interface *i, unsigned workers)
{
	p->queues_count = (uint16_t)i->rx_queues;
	if (i->rx_queues <= workers && i->tx_queues >= i->rx_queues)
		return 0;
	mr_log(MR_LOG_ERROR,
		i->combined ? "the interface has more queues than there are workers: ethtool -L "
			      "IFACE combined WORKERS, or change workers.count"
			    : "the interface has more receive queues than workers or transmit "
			      "queues: ethtool -L IFACE rx WORKERS tx WORKERS, or change "
			      "workers.count",
		MR_LOG_STR("port", p->name), MR_LOG_STR("interface", p->config->device),
		MR_LOG_U64("rx_queues", i->rx_queues), MR_LOG_U64("tx_queues", i->tx_queues),
		MR_LOG_U64("workers", workers));
	return -EINVAL;
}

static int choose_mtu(struct mr_port *p, const struct mr_interface *i)
{
	uint32_t mtu = p->config->mtu != 0 ? p->config->mtu : i->mtu;
	uint32_t most = i->mtu < MTU_MAX ? i->mtu : MTU_MAX;
	char hint[64];

	p->mtu = (uint16_t)mtu;
	if (mtu <= most)
		return 0;
	snprintf(hint, sizeof(hint), "set mtu=%u or less for this port in ports.open", most);
	mr_log(MR_LOG_ERROR,
		mtu > i->mtu ? "mtu is above the interface's mtu"
			     : "mtu is above the limit of AF_XDP",
		MR_LOG_STR("port", p->name), MR_LOG_STR("interface", p->config->device),
		MR_LOG_U64("mtu", mtu), MR_LOG_U64("interface_mtu", i->mtu),
		MR_LOG_U64("af_xdp_mtu", MTU_MAX), MR_LOG_STR("hint", hint));
	return -EINVAL;
}

/* Logs a library's message at debug level: many of its warnings are harmless, and the caller of a
 * failed function logs the error itself. */
__attribute__((format(printf, 1, 0))) static int log_library(const char *format, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	mr_log_limited(MR_LOG_DEBUG, "libbpf or libxdp message", MR_LOG_STR("text", text));
	return 0;
}

__attribute__((format(printf, 2, 0))) static int log_libbpf(
	enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : log_library(format, args);
}

__attribute__((format(printf, 2, 0))) static int log_libxdp(
	enum libxdp_print_level level, const char *format, va_list args)
{
	return level == LIBXDP_DEBUG ? 0 : log_library(format, args);
}

/* Turns libxdp's dispatcher off. With a bpf file system, libxdp would chain programs and leave pins
 * there; without one it attaches the program directly. Attaching directly works everywhere and
 * leaves no pins. */
static void configure_libraries(void)
{
	(void)setenv("LIBXDP_SKIP_DISPATCHER", "1", 0);
	(void)libbpf_set_print(log_libbpf);
	(void)libxdp_set_print(log_libxdp);
}

static int attach(struct mr_port *p)
{
	struct mr_xdp_settings settings;
	int error;

	make_settings(p, &settings);
	error = mr_steer_open(&settings, &p->steer);
	if (error != 0)
		return mr_port_refuse(
			p, error, "the kernel refuses the XDP program", mr_port_af_xdp.needs);
	error = mr_port_rules_configure(p);
	if (error != 0)
		return error;
	error = mr_steer_attach(p->steer, p->ifindex, &p->xdp_native);
	if (error != 0)
		return mr_port_refuse(
			p, error, "the XDP program cannot be attached", mr_port_af_xdp.needs);
	mr_log(MR_LOG_INFO, "XDP program is attached", MR_LOG_STR("port", p->name),
		MR_LOG_STR("interface", p->config->device),
		MR_LOG_STR("mode", p->xdp_native ? "native" : "generic"),
		MR_LOG_U64("id", mr_steer_id(p->steer)));
	return 0;
}

static int check(struct mr_port *p, const struct mr_interface *i, unsigned workers)
{
	int error = check_queues(p, i, workers);

	if (error == 0)
		error = choose_mtu(p, i);
	if (error == 0)
		error = check_program(p);
	return error != 0 ? error : take_addresses(p);
}

static int prepare(struct mr_port *p, unsigned workers)
{
	struct mr_interface i;
	int error = mr_interface_look(p->config->device, &i);

	if (error != 0)
		return mr_port_refuse(p, error,
			error == -ENODEV ? "there is no such interface"
					 : "the interface cannot be read",
			"choose one that `ip link` lists: interface= in ports.open");
	if (geteuid() != 0)
		return mr_port_refuse(p, -EPERM, "AF_XDP needs root",
			"start the data plane as root: it drops its privileges when the ports are "
			"open");
	configure_libraries();
	p->ifindex = i.index;
	p->rx_queues = i.rx_queues;
	memcpy(p->mac, i.mac, sizeof(p->mac));
	error = check(p, &i, workers);
	return error != 0 ? error : attach(p);
}

/* Selects copy mode without busy polling: an empty receive then only reads memory. Any other mode
 * makes a system call, which may block for a second if the interface's driver wants to be woken. */
static void arguments(const struct mr_port *p, unsigned worker, char *out, size_t bytes)
{
	snprintf(out, bytes, "iface=%s,start_queue=%u,queue_count=1,force_copy=1,busy_budget=0",
		p->config->device, worker);
}

/* Tells the program which addresses the kernel has now. A port keeps its addresses until it is
 * closed; one that the kernel gives up is the bus's alone from then on. */
static void looked(struct mr_port *p)
{
	struct mr_xdp_settings settings;

	make_settings(p, &settings);
	(void)mr_steer_set(p->steer, &settings);
}

_Static_assert(MR_PORT_XDP_MAX == MR_XDP_QUEUES_MAX, "each queue that the program counts");
_Static_assert(MRF_PORT_XDP_MEMBERS_COUNT == MR_XDP_VERDICTS_COUNT, "a count for each verdict");

uint32_t mr_port_xdp(const struct mr_port *p, struct mrf_port_xdp out[static MR_PORT_XDP_MAX])
{
	uint32_t queues = p->rx_queues < MR_PORT_XDP_MAX ? p->rx_queues : MR_PORT_XDP_MAX;
	struct mr_xdp_counts c;

	for (uint32_t q = 0; p->steer != NULL && q < queues; q++) {
		(void)mr_steer_counts(p->steer, q, &c);
		out[q] = (struct mrf_port_xdp){
			.xdp_bus = c.packets[MR_XDP_BUS],
			.xdp_no_socket = c.packets[MR_XDP_NO_SOCKET],
			.xdp_not_ip = c.packets[MR_XDP_NOT_IP],
			.xdp_tagged = c.packets[MR_XDP_TAGGED],
			.xdp_malformed = c.packets[MR_XDP_MALFORMED],
			.xdp_fragment = c.packets[MR_XDP_FRAGMENT],
			.xdp_other = c.packets[MR_XDP_OTHER],
			.xdp_denied = c.packets[MR_XDP_DENIED],
			.xdp_not_allowed = c.packets[MR_XDP_NOT_ALLOWED],
			.xdp_limited = c.packets[MR_XDP_LIMITED],
			.xdp_limited_new = c.packets[MR_XDP_LIMITED_NEW],
			.xdp_limited_prefix = c.packets[MR_XDP_LIMITED_PREFIX],
		};
	}
	return p->steer != NULL ? queues : 0;
}

uint32_t mr_port_xdp_program(const struct mr_port *p)
{
	return p->steer != NULL ? mr_steer_id(p->steer) : 0;
}

/* The socket is readable while its receive ring has packets, so it needs no arming. */
static int wake_fd(const struct mr_port *p, unsigned queue)
{
	int fd = mr_xsk_take();

	if (fd < 0)
		mr_log(MR_LOG_WARN,
			"the socket of a queue is not found: its worker looks for packets every "
			"half millisecond instead of sleeping until one comes",
			MR_LOG_STR("port", p->name), MR_LOG_U64("queue", queue));
	return fd;
}

/* When a device closes, the driver tries to detach any program, whoever attached it. The kernel
 * refuses, because ours is attached by a link; the driver's error messages say nothing new. */
static void closing(struct mr_port *p)
{
	for (unsigned i = 0; i < p->devices_count; i++)
		mr_xsk_forget(p->queues[i].wake_fd);
	(void)rte_log_set_level_pattern("pmd.net.af_xdp", RTE_LOG_CRIT);
}

static void closed(struct mr_port *p)
{
	mr_steer_close(p->steer);
	p->steer = NULL;
}

const struct mr_port_driver mr_port_af_xdp = {
	.vdev = "net_af_xdp",
	.needs = "AF_XDP needs the capabilities CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, an "
		 "interface that takes XDP programs, and memory that may be locked; "
		 "log.level=debug shows more",
	.device_per_queue = true,
	.held_buffers = 4, /* receive, fill, transmit and completion ring */
	.prepare = prepare,
	.arguments = arguments,
	.start = mr_port_start_device,
	.link_up = mr_port_interface_up,
	.looked = looked,
	.wake_fd = wake_fd,
	.closing = closing,
	.closed = closed,
};
