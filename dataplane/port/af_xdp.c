/* SPDX-License-Identifier: Apache-2.0 */
/* af_xdp: a kernel interface; the DPDK driver's XDP program passes its packets to the workers.
 *
 * The driver sees only one queue of a veth, so each queue is opened as a device of its own. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "lib/base/log.h"
#include "dataplane/port/driver.h"
#include "dataplane/port/interface.h"
#include "dataplane/port/program.h"

/* The program that libxdp attaches for AF_XDP sockets, or reuses if it is attached already. */
#define PROGRAM_NAME "xsk_def_prog"
/* The driver's limit: a page, less the buffer's headers and the kernel's headroom. */
#define MTU_MAX 3520u

/* Accepts an attached XDP program only if an earlier run of this data plane has noted it. */
static int check_program(const struct mr_port *p)
{
	uint32_t id = mr_program_attached(p->ifindex);
	char name[32];

	if (id == 0)
		return 0;
	mr_program_name(id, name, sizeof(name));
	if (strcmp(name, PROGRAM_NAME) == 0 &&
		id == mr_program_noted(p->run_dir, p->config->device)) {
		mr_log(MR_LOG_WARN, "took over the XDP program that a killed run left attached",
			MR_LOG_STR("port", p->name), MR_LOG_U64("id", id));
		return 0;
	}
	mr_log(MR_LOG_ERROR,
		"another XDP program is attached; to remove it: ip link set dev IFACE xdp off",
		MR_LOG_STR("port", p->name), MR_LOG_STR("interface", p->config->device),
		MR_LOG_STR("program", name), MR_LOG_U64("id", id));
	return -EBUSY;
}

static int check_queues(const struct mr_port *p, const struct mr_interface *i, unsigned workers)
{
	if (i->rx_queues == workers && i->tx_queues >= workers)
		return 0;
	mr_log(MR_LOG_ERROR,
		i->combined ? "the interface needs one queue for each worker: ethtool -L IFACE "
			      "combined WORKERS, or change workers.count"
			    : "the interface needs one queue for each worker: ethtool -L IFACE "
			      "rx WORKERS tx WORKERS, or change workers.count",
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
	memcpy(p->mac, i.mac, sizeof(p->mac));
	error = check_queues(p, &i, workers);
	if (error == 0)
		error = choose_mtu(p, &i);
	return error != 0 ? error : check_program(p);
}

/* Selects copy mode without busy polling: an empty receive then only reads memory. Any other mode
 * makes a system call, which may block for a second if the interface's driver wants to be woken. */
static void arguments(const struct mr_port *p, unsigned worker, char *out, size_t bytes)
{
	snprintf(out, bytes, "iface=%s,start_queue=%u,queue_count=1,force_copy=1,busy_budget=0",
		p->config->device, worker);
}

static void opened(struct mr_port *p)
{
	p->xdp_program = mr_program_attached(p->ifindex);
	mr_program_note(p->run_dir, p->config->device, p->xdp_program);
}

static void closed(struct mr_port *p)
{
	/* libxdp leaves the program attached if its count of users is wrong, or if it may not read
	 * programs any more. */
	if (mr_program_detach(p->ifindex, p->xdp_program) != 0)
		mr_log(MR_LOG_WARN, "the XDP program is still attached",
			MR_LOG_STR("port", p->name), MR_LOG_STR("interface", p->config->device));
	else if (p->xdp_program != 0)
		mr_program_forget(p->run_dir, p->config->device);
}

const struct mr_port_driver mr_port_af_xdp = {
	.vdev = "net_af_xdp",
	.needs = "AF_XDP needs the capabilities CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, an "
		 "interface that takes XDP programs, and memory that may be locked; "
		 "log.level=debug shows more",
	.device_per_worker = true,
	.held_buffers = 4, /* receive, fill, transmit and completion ring */
	.prepare = prepare,
	.arguments = arguments,
	.start = mr_port_start_device,
	.opened = opened,
	.link_up = mr_port_interface_up,
	.closed = closed,
};
