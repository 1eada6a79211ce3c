/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/eal.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "lib/base/compiler.h"
#include "lib/base/hint.h"
#include "lib/base/log.h"
#include "dataplane/machine.h"

/* Room for the list of every second of CPU_SETSIZE CPUs. */
#define SET_BYTES 3584
/* Room for two such lists, or one and 32 pinned workers. */
#define LCORES_BYTES 8192

#define ARGUMENTS_FIXED 12
#define ARGUMENTS_MAX   (ARGUMENTS_FIXED + 2 * MR_CONFIG_PORTS_MAX + 2)

/* Writes the CPUs of a set, as in "(0-3,6)". */
static void format_cpus(const cpu_set_t *set, char *out, size_t bytes)
{
	size_t used = 0;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		int last = cpu;

		if (!CPU_ISSET(cpu, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		if (used + 16 < bytes)
			used += (size_t)snprintf(out + used, bytes - used,
				last > cpu ? "%c%d-%d" : "%c%d", used == 0 ? '(' : ',', cpu, last);
		cpu = last;
	}
	snprintf(out + used, bytes - used, ")");
}

/* Reports a CPU that the process may not run on: EAL would print two pages of usage instead. */
static int check_cpus(const struct mr_config *config, const cpu_set_t *allowed)
{
	char cpus[512];

	for (uint32_t i = 0; i < config->workers.cpus_count; i++) {
		uint32_t cpu = (uint32_t)config->workers.cpus[i];

		if (cpu < CPU_SETSIZE && CPU_ISSET(cpu, allowed))
			continue;
		format_cpus(allowed, cpus, sizeof(cpus));
		mr_log(MR_LOG_ERROR, "workers.cpus names a CPU that this process may not run on",
			MR_LOG_U64("cpu", cpu), MR_LOG_STR("allowed", cpus),
			MR_LOG_STR("hint", "choose CPUs that are allowed, or allow this one: "
					   "taskset, or AllowedCPUs= of the service"));
		return -EINVAL;
	}
	return 0;
}

/* Writes EAL's --lcores argument. Lcore numbers name roles (eal.h): the table writer runs on any
 * allowed CPU, workers where they were placed. */
static int format_lcores(const struct mr_config *config, const struct mr_placement *p,
	const cpu_set_t *allowed, char *out, size_t bytes)
{
	char set[SET_BYTES];
	cpu_set_t on;
	size_t used;

	format_cpus(allowed, set, sizeof(set));
	used = (size_t)snprintf(out, bytes, "0@%s", set);
	CPU_ZERO(&on);
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		if (p->on[i])
			CPU_SET(i, &on);
	format_cpus(&on, set, sizeof(set));
	if (!p->pinned)
		used += (size_t)snprintf(
			out + used, bytes - used, ",(1-%u)@%s", config->workers.count, set);
	for (uint32_t i = 0; p->pinned && i < config->workers.count && used < bytes; i++)
		used += (size_t)snprintf(out + used, bytes - used, ",%u@%d", 1 + i, p->cpus[i]);
	return used < bytes ? 0 : -E2BIG;
}

/* Collects the network cards of the ports; returns their number. */
static unsigned list_nics(const struct mr_config *config, const char *nics[MR_CONFIG_PORTS_MAX])
{
	unsigned count = 0;

	for (uint32_t i = 0; i < config->ports.open_count; i++) {
		const struct mr_config_port *p = &config->ports.open[i];

		if (p->driver != MR_CONFIG_DRIVER_MEMIF && p->driver != MR_CONFIG_DRIVER_TAP)
			nics[count++] = p->device;
	}
	return count;
}

/* Forbids isolated CPUs that a cpuset keeps from this process. */
static void check_isolated(struct mr_machine *m, const cpu_set_t *allowed)
{
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++) {
		cpu_set_t one;

		if (!m->cpus[i].allowed || !m->cpus[i].isolated)
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		if (sched_setaffinity(0, sizeof(one), &one) < 0)
			m->cpus[i].allowed = false;
		(void)sched_setaffinity(0, sizeof(*allowed), allowed);
	}
}

static void warn_of_placement(const struct mr_placement *p, const char *map)
{
	if (p->shares_core)
		mr_log(MR_LOG_WARN, "workers share a core, which makes each of them slower",
			MR_LOG_STR("lcores", map),
			MR_LOG_STR("hint", "lower workers.count, or choose CPUs of different cores "
					   "with workers.cpus"));
	if (p->on_interrupts)
		mr_log(MR_LOG_WARN,
			"all allowed CPUs serve interrupts of a port's network card, which delay "
			"the workers",
			MR_LOG_STR("hint", "write CPUs for other work into "
					   "/proc/irq/N/smp_affinity_list"));
}

static void place_workers(
	const struct mr_config *config, const cpu_set_t *allowed, struct mr_placement *out)
{
	static struct mr_machine machine;
	const char *nics[MR_CONFIG_PORTS_MAX];
	const struct mr_placement_wish wish = {
		.workers = config->workers.count,
		.cpus = config->workers.cpus_count > 0 ? config->workers.cpus : NULL,
		.pin = config->workers.pin,
	};

	mr_machine_read("", allowed, nics, list_nics(config, nics), &machine);
	check_isolated(&machine, allowed);
	mr_placement_choose(&machine, &wish, out);
}

/* Removes the empty directory that EAL makes even with --no-shconf. */
static void remove_runtime_dir(void)
{
	char path[256];
	char *slash;

	snprintf(path, sizeof(path), "%s", rte_eal_get_runtime_dir());
	if (rmdir(path) < 0)
		return;
	slash = strrchr(path, '/');
	if (slash != NULL) {
		*slash = '\0';
		rmdir(path); /* fails, rightly, while another process has a directory there */
	}
}

/* Writes a line of DPDK's log to ours. */
static ssize_t log_line(void *cookie, const char *text, size_t bytes)
{
	char line[256];

	(void)cookie;
	snprintf(line, sizeof(line), "%.*s", (int)bytes, text);
	line[strcspn(line, "\n")] = '\0';
	if (line[0] != '\0')
		mr_log_limited(
			rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR ? MR_LOG_WARN : MR_LOG_DEBUG,
			"DPDK message", MR_LOG_STR("text", line));
	return (ssize_t)bytes;
}

static void redirect_log(void)
{
	static const cookie_io_functions_t functions = {.write = log_line};
	FILE *f = fopencookie(NULL, "w", functions);

	if (f == NULL)
		return;
	setvbuf(f, NULL, _IOLBF, 0);
	(void)rte_openlog_stream(f);
}

/* Adds the cards of PCI ports: EAL probes these and no others. Without any it reads no bus.
 * Returns the number of arguments. */
static int add_cards(const struct mr_config *config, char **argv)
{
	int n = 0;

	for (uint32_t i = 0; i < config->ports.open_count; i++) {
		if (config->ports.open[i].driver != MR_CONFIG_DRIVER_PCI)
			continue;
		argv[n++] = "-a";
		argv[n++] = (char *)config->ports.open[i].device;
	}
	argv[n] = n > 0 ? "--iova-mode=va" : "--no-pci";
	return n + 1;
}

int mr_eal_open(const struct mr_config *config)
{
	static struct mr_placement placement;
	char map[LCORES_BYTES] = "";
	char prefix[32];
	char *argv[ARGUMENTS_MAX] = {"millrace-dataplane", "--no-huge", "-m", "64",
		"--no-telemetry", "--no-shconf", "--file-prefix", prefix, "--lcores", map,
		"--log-level", "lib.*:error"};
	int argc = ARGUMENTS_FIXED + add_cards(config, argv + ARGUMENTS_FIXED);
	cpu_set_t allowed;
	int error = sched_getaffinity(0, sizeof(allowed), &allowed) < 0 ? -errno : 0;

	if (error == 0 && check_cpus(config, &allowed) != 0)
		return -EINVAL;
	if (error == 0) {
		place_workers(config, &allowed, &placement);
		error = format_lcores(config, &placement, &allowed, map, sizeof(map));
		warn_of_placement(&placement, map);
	}
	snprintf(prefix, sizeof(prefix), "millrace-%d", (int)getpid());
	redirect_log();
	if (error == 0 && rte_eal_init(argc, argv) < 0)
		error = rte_errno != 0 ? -rte_errno : -EIO;
	if (error != 0) {
		mr_log(MR_LOG_ERROR, "DPDK's environment did not start", MR_LOG_STR("lcores", map),
			MR_LOG_ERR(error), MR_LOG_STR("hint", mr_hint_start(error)));
		return error;
	}
	remove_runtime_dir();
	return 0;
}

void mr_eal_close(void)
{
	rte_eal_cleanup();
}
