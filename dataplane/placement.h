/* SPDX-License-Identifier: Apache-2.0 */
/* placement: chooses the CPUs of the workers from a description of the machine.
 *
 * Threads   Before the workers start. mr_placement_choose is a pure function.
 */
#ifndef MILLRACE_DATAPLANE_PLACEMENT_H
#define MILLRACE_DATAPLANE_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config/config.h"

#define MR_MACHINE_CPUS_MAX  1024u
#define MR_MACHINE_NODES_MAX 64u

struct mr_machine_cpu {
	bool allowed;    /* this process may run on it */
	bool isolated;   /* the scheduler gives it nothing by itself */
	bool interrupts; /* serves interrupts of a port's network card */
	uint16_t node;   /* NUMA node */
	uint16_t core;   /* the physical core: its lowest CPU */
};

struct mr_machine {
	struct mr_machine_cpu cpus[MR_MACHINE_CPUS_MAX];
	int nic_node; /* NUMA node of the first port's network card; -1: none, or unknown */
};

struct mr_placement_wish {
	unsigned workers;
	const int *cpus; /* one for each worker, or NULL: choose them */
	enum mr_config_pin pin;
};

struct mr_placement {
	bool pinned;
	int cpus[MR_CONFIG_WORKERS_MAX]; /* by worker, if pinned */
	bool on[MR_MACHINE_CPUS_MAX];    /* otherwise: CPUs on which all workers may run */
	bool shares_core;                /* there are fewer cores than workers */
	bool on_interrupts;              /* no CPU is free of the network card's interrupts */
};

/* Chooses. In this order: isolated CPUs, CPUs of the network card's node, cores that serve no
 * interrupts of the card, cores other than that of CPU 0. A CPU that serves them is taken only if
 * all allowed ones do. Each worker has a core of its own while there is one. */
void mr_placement_choose(
	const struct mr_machine *m, const struct mr_placement_wish *wish, struct mr_placement *out);

#endif
