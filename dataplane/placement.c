/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/placement.h"

#include <string.h>

/* Ranks: the lower, the better. The first criterion outweighs all that follow. */
#define NOT_ISOLATED    8u
#define OTHER_NODE      4u
#define CORE_INTERRUPTS 2u
#define CORE_0          1u

static bool core_has_interrupts(const struct mr_machine *m, uint16_t core)
{
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		if (m->cpus[i].interrupts && m->cpus[i].core == core)
			return true;
	return false;
}

static unsigned rank(const struct mr_machine *m, unsigned cpu)
{
	const struct mr_machine_cpu *c = &m->cpus[cpu];

	return (c->isolated ? 0 : NOT_ISOLATED) +
	       (m->nic_node >= 0 && c->node != m->nic_node ? OTHER_NODE : 0) +
	       (core_has_interrupts(m, c->core) ? CORE_INTERRUPTS : 0) +
	       (c->core == m->cpus[0].core ? CORE_0 : 0);
}

/* True if a worker may have the CPU. */
static bool is_candidate(const struct mr_machine *m, const struct mr_placement *p, unsigned cpu)
{
	return m->cpus[cpu].allowed && (p->on_interrupts || !m->cpus[cpu].interrupts);
}

static bool has_candidates(const struct mr_machine *m, const struct mr_placement *p)
{
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++)
		if (is_candidate(m, p, i))
			return true;
	return false;
}

/* Returns how many of the first `count` workers are on the CPU, and how many on its core. */
static unsigned workers_on(const struct mr_machine *m, const struct mr_placement *p, unsigned count,
	unsigned cpu, unsigned *on_core)
{
	unsigned on_cpu = 0;

	*on_core = 0;
	for (unsigned i = 0; i < count; i++) {
		on_cpu += p->cpus[i] == (int)cpu;
		*on_core += m->cpus[p->cpus[i]].core == m->cpus[cpu].core;
	}
	return on_cpu;
}

/* Returns the best CPU for the next worker: on the core with the fewest workers, and of these the
 * one with the fewest; -1: there is none. */
static int next_cpu(const struct mr_machine *m, const struct mr_placement *p, unsigned count)
{
	uint64_t least = UINT64_MAX;
	int best = -1;

	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++) {
		unsigned on_cpu, on_core;
		uint64_t cost;

		if (!is_candidate(m, p, i))
			continue;
		on_cpu = workers_on(m, p, count, i, &on_core);
		cost = (uint64_t)on_core << 32 | (uint64_t)on_cpu << 16 | rank(m, i);
		if (cost < least) {
			least = cost;
			best = (int)i;
		}
	}
	return best;
}

static bool share_cores(const struct mr_machine *m, const struct mr_placement *p, unsigned workers)
{
	unsigned on_core;

	for (unsigned i = 1; i < workers; i++) {
		(void)workers_on(m, p, i, (unsigned)p->cpus[i], &on_core);
		if (on_core > 0)
			return true;
	}
	return false;
}

/* Chooses a CPU for each worker; true if all are isolated. */
static bool choose_each(const struct mr_machine *m, struct mr_placement *p, unsigned workers)
{
	bool isolated = true;

	for (unsigned i = 0; i < workers; i++) {
		int cpu = next_cpu(m, p, i);

		if (cpu < 0)
			return false;
		p->cpus[i] = cpu;
		isolated &= m->cpus[cpu].isolated;
	}
	return isolated;
}

/* Fills `on` with the candidates of one kind; returns the number of their cores. */
static unsigned let_float(
	const struct mr_machine *m, struct mr_placement *p, bool own_node, bool no_interrupts)
{
	bool cores[MR_MACHINE_CPUS_MAX] = {false};
	unsigned count = 0;

	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX; i++) {
		const struct mr_machine_cpu *c = &m->cpus[i];

		p->on[i] = c->allowed && !c->isolated &&
			   (!own_node || m->nic_node < 0 || c->node == m->nic_node) &&
			   (!no_interrupts || !c->interrupts);
		count += p->on[i] && !cores[c->core];
		cores[c->core] |= p->on[i];
	}
	return count;
}

/* Lets the workers run where they have the best memory and are not interrupted, as far as there are
 * cores enough. */
static void choose_set(const struct mr_machine *m, struct mr_placement *p, unsigned workers)
{
	unsigned cores = let_float(m, p, true, true);

	if (cores < workers)
		cores = let_float(m, p, false, true);
	if (cores < workers)
		cores = let_float(m, p, false, false);
	for (unsigned i = 0; i < MR_MACHINE_CPUS_MAX && cores == 0; i++)
		p->on[i] = m->cpus[i].allowed; /* all are isolated */
	p->shares_core = cores < workers;
}

void mr_placement_choose(
	const struct mr_machine *m, const struct mr_placement_wish *wish, struct mr_placement *out)
{
	bool isolated;

	memset(out, 0, sizeof(*out));
	if (wish->cpus != NULL) {
		memcpy(out->cpus, wish->cpus, wish->workers * sizeof(out->cpus[0]));
		out->pinned = true;
		out->shares_core = share_cores(m, out, wish->workers);
		return;
	}
	out->on_interrupts = !has_candidates(m, out);
	isolated = choose_each(m, out, wish->workers);
	out->pinned =
		wish->pin == MR_CONFIG_PIN_ALWAYS || (wish->pin == MR_CONFIG_PIN_AUTO && isolated);
	out->shares_core = share_cores(m, out, wish->workers);
	if (!out->pinned)
		choose_set(m, out, wish->workers);
}
