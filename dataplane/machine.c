/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/machine.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "dataplane/port/interface.h"

#define LINE_BYTES 4096

typedef void (*set_function)(struct mr_machine *m, unsigned cpu, unsigned value);

/* Reads the first line of a file; false: it cannot be read. */
static bool read_line(const char *path, char line[LINE_BYTES])
{
	FILE *f = fopen(path, "re");
	bool ok = f != NULL && fgets(line, LINE_BYTES, f) != NULL;

	if (f != NULL)
		fclose(f);
	return ok;
}

/* Calls `set` for each CPU of a list such as "0-3,8". Ends at the first thing that is none. */
static void each_cpu(struct mr_machine *m, const char *list, set_function set, unsigned value)
{
	while (isdigit((unsigned char)*list)) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long i = first; i <= last && i < MR_MACHINE_CPUS_MAX; i++)
			set(m, (unsigned)i, value);
		list = *end == ',' ? end + 1 : end;
	}
}

__attribute__((format(printf, 4, 5))) static bool each_cpu_of(
	struct mr_machine *m, set_function set, unsigned value, const char *format, ...)
{
	char path[PATH_MAX], line[LINE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (!read_line(path, line))
		return false;
	each_cpu(m, line, set, value);
	return true;
}

static void set_isolated(struct mr_machine *m, unsigned cpu, unsigned value)
{
	m->cpus[cpu].isolated = value != 0;
}

static void set_interrupts(struct mr_machine *m, unsigned cpu, unsigned value)
{
	m->cpus[cpu].interrupts = value != 0;
}

static void set_node(struct mr_machine *m, unsigned cpu, unsigned node)
{
	m->cpus[cpu].node = (uint16_t)node;
}

/* Marks a CPU as online. Offline ones are not allowed, whatever the affinity says. */
static void set_online(struct mr_machine *m, unsigned cpu, unsigned value)
{
	m->cpus[cpu].allowed = value != 0;
}

/* Sets the core of a CPU's siblings, unless a lower one has done it. */
static void set_core(struct mr_machine *m, unsigned cpu, unsigned core)
{
	if (core < m->cpus[cpu].core)
		m->cpus[cpu].core = (uint16_t)core;
}

static void read_cpus(const char *root, struct mr_machine *m)
{
	const char *cpus = "/sys/devices/system/cpu", *nodes = "/sys/devices/system/node";

	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		m->cpus[i].core = (uint16_t)i;
	if (!each_cpu_of(m, set_online, true, "%s%s/online", root, cpus))
		for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
			m->cpus[i].allowed = true;
	(void)each_cpu_of(m, set_isolated, true, "%s%s/isolated", root, cpus);
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		if (m->cpus[i].allowed)
			(void)each_cpu_of(m, set_core, i,
				"%s%s/cpu%u/topology/thread_siblings_list", root, cpus, i);
	for (unsigned n = 0; n < MR_MACHINE_NODES_MAX; n++)
		(void)each_cpu_of(m, set_node, n, "%s%s/node%u/cpulist", root, nodes, n);
}

/* Keeps the CPUs that the process may use. */
static void restrict_to(struct mr_machine *m, const cpu_set_t *affinity)
{
	bool unrestricted = true;

	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		unrestricted &= !m->cpus[i].allowed || m->cpus[i].isolated ||
				(i < CPU_SETSIZE && CPU_ISSET(i, affinity));
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		m->cpus[i].allowed &= (i < CPU_SETSIZE && CPU_ISSET(i, affinity)) ||
				      (unrestricted && m->cpus[i].isolated);
}

/* The device of a virtio interface is a child of the PCI device. */
static const char *const places[] = {"", "/.."};

static void read_interrupt(const char *root, struct mr_machine *m, const char *number)
{
	if (!isdigit((unsigned char)number[0]))
		return;
	if (!each_cpu_of(m, set_interrupts, true, "%s/proc/irq/%s/effective_affinity_list", root,
		    number))
		(void)each_cpu_of(
			m, set_interrupts, true, "%s/proc/irq/%s/smp_affinity_list", root, number);
}

static void read_interrupts(const char *root, struct mr_machine *m, const char *nic)
{
	char device[PATH_MAX / 2], path[PATH_MAX];
	const struct dirent *e;
	DIR *d = NULL;

	mr_interface_device(root, nic, device, sizeof(device));
	for (size_t i = 0; d == NULL && i < MR_ARRAY_COUNT(places); i++) {
		snprintf(path, sizeof(path), "%s%s/msi_irqs", device, places[i]);
		d = opendir(path);
	}
	while (d != NULL && (e = readdir(d)) != NULL)
		read_interrupt(root, m, e->d_name);
	if (d != NULL)
		closedir(d);
}

void mr_machine_read(const char *root, const cpu_set_t *affinity, const char *const *nics,
	unsigned nics_count, struct mr_machine *out)
{
	memset(out, 0, sizeof(*out));
	out->nic_node = -1;
	read_cpus(root, out);
	restrict_to(out, affinity);
	for (unsigned i = 0; i < nics_count; i++) {
		read_interrupts(root, out, nics[i]);
		if (out->nic_node < 0)
			out->nic_node = mr_interface_node(root, nics[i]);
	}
}
