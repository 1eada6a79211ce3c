/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/eal.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "dataplane/base/compiler.h"
#include "dataplane/base/log.h"

#define LCORES_BYTES 2048

/* "(0,1,5)": the CPUs that this process may run on. */
static int allowed_cpus(char *out, size_t bytes)
{
	cpu_set_t set;
	size_t used = 0;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && used + 8 < bytes)
			used += (size_t)snprintf(
				out + used, bytes - used, "%c%d", used == 0 ? '(' : ',', cpu);
	snprintf(out + used, bytes - used, ")");
	return 0;
}

/* Lcores are numbered by what they do, and run where the configuration says, else anywhere. */
static int lcores(const struct mr_config *config, char *out, size_t bytes)
{
	char anywhere[LCORES_BYTES / 2];
	int error = allowed_cpus(anywhere, sizeof(anywhere));
	size_t used;

	if (error != 0)
		return error;
	used = (size_t)snprintf(out, bytes, "0@%s", anywhere);
	for (uint32_t i = 0; i < config->workers.count && used < bytes; i++) {
		char cpu[16];

		snprintf(cpu, sizeof(cpu), "%d",
			i < config->workers.cpus_count ? config->workers.cpus[i] : 0);
		used += (size_t)snprintf(out + used, bytes - used, ",%u@%s", 1 + i,
			i < config->workers.cpus_count ? cpu : anywhere);
	}
	return used < bytes ? 0 : -E2BIG;
}

/* EAL makes a directory even when it has nothing to put there. */
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
		rmdir(path); /* fails, as it should, where others have theirs */
	}
}

int mr_eal_open(const struct mr_config *config)
{
	char map[LCORES_BYTES] = "";
	char prefix[32];
	char *argv[] = {"millrace-dataplane", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry",
		"--no-shconf", "--file-prefix", prefix, "--lcores", map, "--log-level",
		"lib.*:error", NULL};
	int error = lcores(config, map, sizeof(map));

	snprintf(prefix, sizeof(prefix), "millrace-%d", (int)getpid());
	if (error == 0 && rte_eal_init((int)MR_ARRAY_COUNT(argv) - 1, argv) < 0)
		error = rte_errno != 0 ? -rte_errno : -EIO;
	if (error != 0) {
		mr_log(MR_LOG_ERROR, "DPDK's environment did not start", MR_LOG_STR("lcores", map),
			MR_LOG_ERR(error));
		return error;
	}
	remove_runtime_dir();
	return 0;
}

void mr_eal_close(void)
{
	rte_eal_cleanup();
}
