/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/ports.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config/address.h"
#include "lib/config/port_rule.h"

#define TEXT_BYTES_MAX 1024
/* Frames of sessions are never smaller on any path; IPv6 requires this MTU of every link (RFC 8200
 * §5). */
#define MTU_MIN      1280u
#define MTU_MAX      9216u
#define MEMIF_ID_MAX 65535u
/* 2 Gbit/s each way, and enough packets for as many of a common size. */
#define TAP_PACKETS_PER_SECOND 250000u
#define TAP_BYTES_PER_SECOND   250000000u

enum {
	FOR_AF_XDP = 1 << MR_CONFIG_DRIVER_AF_XDP,
	FOR_MEMIF = 1 << MR_CONFIG_DRIVER_MEMIF,
	FOR_TAP = 1 << MR_CONFIG_DRIVER_TAP,
	FOR_PCI = 1 << MR_CONFIG_DRIVER_PCI,
	FOR_ALL = FOR_AF_XDP | FOR_MEMIF | FOR_TAP | FOR_PCI
};

static const char *const drivers[] = {
	[MR_CONFIG_DRIVER_AF_XDP] = "af_xdp",
	[MR_CONFIG_DRIVER_MEMIF] = "memif",
	[MR_CONFIG_DRIVER_TAP] = "tap",
	[MR_CONFIG_DRIVER_PCI] = "pci",
};

#define DRIVERS_COUNT (sizeof(drivers) / sizeof(drivers[0]))

const char *mr_config_driver_name(enum mr_config_driver driver)
{
	return drivers[driver];
}

static int expect(struct mr_config_fault *f, const char *what)
{
	snprintf(f->expected, sizeof(f->expected), "%s", what);
	return -EINVAL;
}

static int set_text(char *to, size_t to_bytes, const char *value, struct mr_config_fault *f,
	const char *expected)
{
	size_t bytes = strlen(value);

	if (bytes == 0 || bytes >= to_bytes)
		return expect(f, expected);
	memcpy(to, value, bytes + 1);
	return 0;
}

static int set_number(
	uint32_t *to, const char *value, uint32_t min, uint32_t max, struct mr_config_fault *f)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end != '\0' || n < min || n > max) {
		snprintf(f->expected, sizeof(f->expected), "a number from %u to %u", min, max);
		return -EINVAL;
	}
	*to = (uint32_t)n;
	return 0;
}

static int set_number_16(
	uint16_t *to, const char *value, uint32_t min, uint32_t max, struct mr_config_fault *f)
{
	uint32_t n;
	int error = set_number(&n, value, min, max, f);

	if (error == 0)
		*to = (uint16_t)n;
	return error;
}

/* Accepts the kernel's interface names, without bytes that would end an argument of a DPDK
 * driver. */
static int set_interface(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	if (strlen(value) >= IFNAMSIZ || strpbrk(value, "/: \t\"'[]()") != NULL ||
		strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return expect(f, "the name of an interface, at most 15 bytes");
	return set_text(p->device, sizeof(p->device), value, f, "the name of an interface");
}

static int set_tap(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	if (strlen(value) >= sizeof(p->tap) || strpbrk(value, "/: \t\"'[]()%") != NULL ||
		strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return expect(f, "the name of a TAP device, at most 15 bytes");
	return set_text(p->tap, sizeof(p->tap), value, f, "the name of a TAP device");
}

static int set_tap_packets(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	return set_number(&p->tap_packets_per_second, value, 1, 100000000, f);
}

static int set_tap_bytes(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	/* A packet of the largest size must fit the burst. */
	return set_number(&p->tap_bytes_per_second, value, 100000, UINT32_MAX, f);
}

static int set_socket(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	if (value[0] != '/' || strpbrk(value, " \t\"'[]()") != NULL)
		return expect(f, "the full path of a socket, without blanks, brackets and quotes");
	return set_text(p->device, sizeof(p->device), value, f, "a path of at most 107 bytes");
}

/* True for a unicast address of one host. Workers discard packets from other sources: "this" host,
 * loopback, multicast, reserved. */
static bool is_of_one_host(const struct mr_config_network *n)
{
	static const uint8_t zeroes[10];
	const uint8_t *a = n->address;

	if (mr_config_network_is_ipv4(n))
		return n->prefix_bits >= 96 && a[12] != 0 && a[12] != 127 && a[12] < 224;
	return a[0] != 0xff && memcmp(a, zeroes, sizeof(zeroes)) != 0;
}

/* Reads a PCI address, as lspci prints it, with or without the domain. */
static bool read_pci_address(const char *value, char *out, size_t bytes)
{
	unsigned domain = 0, bus, device, function;
	int used = 0;

	if (sscanf(value, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &used) != 4) {
		domain = 0;
		used = 0;
		if (sscanf(value, "%2x:%2x.%1x%n", &bus, &device, &function, &used) != 3)
			return false;
	}
	if (value[used] != '\0' || device > 31 || function > 7)
		return false;
	snprintf(out, bytes, "%04x:%02x:%02x.%x", domain, bus, device, function);
	return true;
}

/* The address of a PCI port names the card, or is one of the port's own: only these have a
 * prefix. */
static int set_card(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	char text[sizeof("0000:00:00.0") + 8];

	if (!read_pci_address(value, text, sizeof(text)))
		return expect(f, "a PCI address such as 0000:03:00.0, as `lspci -D` prints it, or "
				 "the address of a host with its network's prefix");
	if (p->device[0] != '\0')
		return expect(f, "one PCI address for each port");
	return set_text(p->device, sizeof(p->device), text, f, "a PCI address");
}

static int set_address(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	struct mr_config_network n;

	if (p->driver == MR_CONFIG_DRIVER_PCI && strchr(value, '/') == NULL)
		return set_card(p, value, f);
	if (p->addresses_count == MR_CONFIG_PORT_ADDRESSES_MAX)
		return expect(f, "at most 8 addresses for each port");
	if (mr_config_network_parse(value, &n) != 0 || !is_of_one_host(&n))
		return expect(
			f, "the address of a host with its network's prefix, such as 10.0.0.1/24");
	p->addresses[p->addresses_count++] = n;
	return 0;
}

static int set_mac(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	const char *wanted = "the unicast address of a device, such as 02:00:00:00:00:01";
	uint8_t *m = p->mac;
	int used = 0;

	if (sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &m[0], &m[1], &m[2], &m[3],
		    &m[4], &m[5], &used) != 6 ||
		value[used] != '\0' || used != 17)
		return expect(f, wanted);
	/* Neither a multicast address nor 00:00:00:00:00:00. */
	return (m[0] & 1) != 0 || memcmp(m, "\0\0\0\0\0", 6) == 0 ? expect(f, wanted) : 0;
}

static int set_role(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	p->memif_server = strcmp(value, "server") == 0;
	return p->memif_server || strcmp(value, "client") == 0 ? 0 : expect(f, "server or client");
}

static int set_trusted(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	p->memif_trusted = strcmp(value, "yes") == 0;
	return p->memif_trusted || strcmp(value, "no") == 0 ? 0 : expect(f, "yes or no");
}

static int set_name(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	return set_text(p->name, sizeof(p->name), value, f, "a name of 1 to 31 bytes");
}

static int set_udp_port(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	return set_number_16(&p->udp_port, value, 1, UINT16_MAX, f);
}

static int set_mtu(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	return set_number_16(&p->mtu, value, MTU_MIN, MTU_MAX, f);
}

static int set_id(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	return set_number(&p->memif_id, value, 0, MEMIF_ID_MAX, f);
}

static int set_queue_entries(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	int error = set_number(&p->queue_entries, value, 256, 16384, f);

	if (error == 0 && (p->queue_entries & (p->queue_entries - 1)) != 0)
		error = expect(f, "a power of two from 256 to 16384");
	return error;
}

/* Adds a rule of the port. */
static int add_rule(
	struct mr_config_port *p, const struct mr_config_rule *r, struct mr_config_fault *f)
{
	for (uint32_t i = 0; i < p->rules_count; i++)
		if (mr_config_rule_same(&p->rules[i], r))
			return expect(f, "each limit and prefix of a port once");
	if (p->rules_count == MR_CONFIG_PORT_RULES_MAX)
		return expect(f, "at most 32 limits and prefixes for each port");
	p->rules[p->rules_count++] = *r;
	return 0;
}

static int set_limit(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	struct mr_config_rule r;
	const char *expected;

	if (mr_config_limit_parse(value, &r, &expected) != 0)
		return expect(f, expected);
	return add_rule(p, &r, f);
}

static int set_access(struct mr_config_port *p, const char *value, enum mrf_port_rule_kind kind,
	struct mr_config_fault *f)
{
	struct mr_config_rule r = {.kind = kind};
	const char *expected;

	if (mr_config_rule_network(value, &r, &expected) != 0)
		return expect(f, expected);
	return add_rule(p, &r, f);
}

static int set_allow(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	return set_access(p, value, MRF_PORT_RULE_KIND_ALLOW, f);
}

static int set_deny(struct mr_config_port *p, const char *value, struct mr_config_fault *f)
{
	return set_access(p, value, MRF_PORT_RULE_KIND_DENY, f);
}

static const struct {
	const char *name;
	unsigned drivers;
	int (*set)(struct mr_config_port *p, const char *value, struct mr_config_fault *f);
	bool repeats;
} options[] = {
	{"interface", FOR_AF_XDP | FOR_TAP, set_interface},
	{"socket", FOR_MEMIF, set_socket},
	{"role", FOR_MEMIF, set_role},
	{"id", FOR_MEMIF, set_id},
	{"trusted", FOR_MEMIF, set_trusted},
	{"address", FOR_ALL, set_address, true},
	{"name", FOR_ALL, set_name},
	{"udp_port", FOR_ALL, set_udp_port},
	{"mtu", FOR_ALL, set_mtu},
	{"mac", FOR_MEMIF | FOR_TAP, set_mac},
	{"queue_entries", FOR_ALL, set_queue_entries},
	{"limit", FOR_AF_XDP, set_limit, true},
	{"allow", FOR_AF_XDP, set_allow, true},
	{"deny", FOR_AF_XDP, set_deny, true},
	{"tap", FOR_MEMIF | FOR_TAP | FOR_PCI, set_tap},
	{"tap_packets_per_second", FOR_MEMIF | FOR_TAP | FOR_PCI, set_tap_packets},
	{"tap_bytes_per_second", FOR_MEMIF | FOR_TAP | FOR_PCI, set_tap_bytes},
};

#define OPTIONS_COUNT (sizeof(options) / sizeof(options[0]))

static int expect_option(const struct mr_config_port *p, struct mr_config_fault *f)
{
	size_t used = (size_t)snprintf(
		f->expected, sizeof(f->expected), "one of the keys of %s:", drivers[p->driver]);

	for (size_t i = 0; i < OPTIONS_COUNT; i++)
		if ((options[i].drivers & 1u << p->driver) != 0)
			used += (size_t)snprintf(f->expected + used, sizeof(f->expected) - used,
				" %s=", options[i].name);
	return -EINVAL;
}

/* Parses one key=value. */
static int parse_option(
	struct mr_config_port *p, char *text, unsigned *seen, struct mr_config_fault *f)
{
	char *equals = strchr(text, '=');

	mr_config_printable(f->found, sizeof(f->found), text, strlen(text));
	if (equals == NULL)
		return expect_option(p, f);
	*equals = '\0';
	for (size_t i = 0; i < OPTIONS_COUNT; i++) {
		if (strcmp(options[i].name, text) != 0 ||
			(options[i].drivers & 1u << p->driver) == 0)
			continue;
		if ((*seen & 1u << i) != 0 && !options[i].repeats)
			return expect(f, "each key of a port once, except address, limit, allow "
					 "and deny");
		*seen |= 1u << i;
		return options[i].set(p, equals + 1, f);
	}
	return expect_option(p, f);
}

static int parse_driver(struct mr_config_port *p, const char *text, struct mr_config_fault *f)
{
	for (size_t i = 0; i < DRIVERS_COUNT; i++) {
		if (strcmp(text, drivers[i]) == 0) {
			p->driver = (enum mr_config_driver)i;
			return 0;
		}
	}
	mr_config_printable(f->found, sizeof(f->found), text, strlen(text));
	return expect(f, "a driver first: af_xdp, memif, tap or pci; then ,key=value,...");
}

static const char *const needs_device[] = {
	[MR_CONFIG_DRIVER_AF_XDP] = "also interface=NAME",
	[MR_CONFIG_DRIVER_MEMIF] = "also socket=PATH",
	[MR_CONFIG_DRIVER_TAP] = "also interface=NAME",
	[MR_CONFIG_DRIVER_PCI] = "also address=PCI-ADDRESS, such as address=0000:03:00.0",
};

static int check_port(const struct mr_config_port *p, const char *text, struct mr_config_fault *f)
{
	mr_config_printable(f->found, sizeof(f->found), text, strlen(text));
	if (p->device[0] == '\0')
		return expect(f, needs_device[p->driver]);
	/* On an interface of the kernel the port may have the kernel's addresses. */
	if (p->addresses_count == 0 && p->driver != MR_CONFIG_DRIVER_AF_XDP)
		return expect(f, "also address=ADDRESS/PREFIX, once or more");
	if (p->driver != MR_CONFIG_DRIVER_MEMIF && strcmp(p->tap, p->device) == 0)
		return expect(f, "another name for tap= than for interface=");
	return 0;
}

int mr_config_port_parse(
	const char *text, uint32_t index, struct mr_config_port *p, struct mr_config_fault *f)
{
	char copy[TEXT_BYTES_MAX], *rest = copy, *part;
	unsigned seen = 0;
	int error;

	memset(p, 0, sizeof(*p));
	p->udp_port = MR_CONFIG_UDP_PORT;
	p->queue_entries = MR_CONFIG_QUEUE_ENTRIES;
	p->tap_packets_per_second = TAP_PACKETS_PER_SECOND;
	p->tap_bytes_per_second = TAP_BYTES_PER_SECOND;
	mr_config_printable(f->found, sizeof(f->found), text, strlen(text));
	if (strlen(text) >= sizeof(copy))
		return expect(f, "at most 1,023 bytes");
	memcpy(copy, text, strlen(text) + 1);
	part = strsep(&rest, ",");
	error = parse_driver(p, part, f);
	while (error == 0 && (part = strsep(&rest, ",")) != NULL)
		error = parse_option(p, part, &seen, f);
	if (error != 0)
		return error;
	if (p->name[0] == '\0')
		snprintf(p->name, sizeof(p->name), "%s%u", drivers[p->driver], index);
	return check_port(p, text, f);
}

/* Returns the address of `b` that `a` has, too, or NULL. */
static const struct mr_config_network *shared_address(
	const struct mr_config_port *a, const struct mr_config_port *b)
{
	for (uint32_t i = 0; i < a->addresses_count; i++)
		for (uint32_t j = 0; j < b->addresses_count; j++)
			if (memcmp(a->addresses[i].address, b->addresses[j].address, 16) == 0)
				return &b->addresses[j];
	return NULL;
}

/* True if both ports use one device. Memif ports may share a socket if their ids differ; a port
 * takes one id for each worker. */
static bool share_device(
	const struct mr_config_port *a, const struct mr_config_port *b, uint32_t workers)
{
	bool memif = a->driver == MR_CONFIG_DRIVER_MEMIF;

	return strcmp(a->device, b->device) == 0 &&
	       memif == (b->driver == MR_CONFIG_DRIVER_MEMIF) &&
	       (!memif || (a->memif_id < b->memif_id + workers &&
				  b->memif_id < a->memif_id + workers));
}

/* True if `a` is the name of an interface that `b` makes or opens. */
static bool names_interface(const char *a, const struct mr_config_port *b)
{
	return a[0] != '\0' && (strcmp(a, b->tap) == 0 || (b->driver != MR_CONFIG_DRIVER_MEMIF &&
								  strcmp(a, b->device) == 0));
}

/* Returns the name of an interface that both make or open, one of them as its TAP device; NULL:
 * there is none. */
static const char *shared_tap(const struct mr_config_port *a, const struct mr_config_port *b)
{
	if (names_interface(a->tap, b))
		return a->tap;
	return names_interface(b->tap, a) ? b->tap : NULL;
}

#define SHARED_BYTES 120

/* Finds what two ports share, and writes it and what each of them needs of its own. */
static bool find_shared(const struct mr_config_port *a, const struct mr_config_port *b,
	uint32_t workers, char shared[static SHARED_BYTES], const char **what)
{
	const struct mr_config_network *address = shared_address(a, b);

	if (strcmp(a->name, b->name) == 0) {
		snprintf(shared, SHARED_BYTES, "name=%s", b->name);
		*what = "a name";
	} else if (share_device(a, b, workers)) {
		snprintf(shared, SHARED_BYTES, "%s", b->device);
		*what = "a PCI address, an interface, or a socket and ids (one for each worker),";
	} else if (shared_tap(a, b) != NULL) {
		snprintf(shared, SHARED_BYTES, "%s", shared_tap(a, b));
		*what = "a TAP device";
	} else if (address != NULL) {
		mr_config_network_text(address, shared, SHARED_BYTES);
		*what = "addresses";
	} else {
		return false;
	}
	return true;
}

int mr_config_ports_check(const struct mr_config_port *ports, uint32_t count, uint32_t workers,
	struct mr_config_fault *f)
{
	const char *what;
	char shared[SHARED_BYTES];

	for (uint32_t j = 1; j < count; j++) {
		for (uint32_t i = 0; i < j; i++) {
			if (!find_shared(&ports[i], &ports[j], workers, shared, &what))
				continue;
			snprintf(f->found, sizeof(f->found), "%s twice", shared);
			snprintf(f->expected, sizeof(f->expected),
				"%s of its own for each port; see %s and %s", what, ports[i].name,
				ports[j].name);
			return -EINVAL;
		}
	}
	return 0;
}
