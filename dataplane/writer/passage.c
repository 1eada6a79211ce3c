/* SPDX-License-Identifier: Apache-2.0 */
/* Runs passages. A passage ends when all messages that were under way between workers at its
 * beginning have been dealt with. Its steps:
 *
 *   round   each worker ends its round, or sleeps, and ends the fan-outs that it had begun: all
 *           that it took is in the mesh, or waits for room there
 *   held    all that waited for room in the mesh has found it
 *   flush   each worker ends a round: the other workers have been told of that
 *   read    each worker has dealt with all that was in its rings
 *
 * Grace periods alone are not enough: a worker that sleeps, or whose thread does not run, reports
 * quiescence though its rings are full. A passage waits for such a worker. One passage serves all
 * that asked before it began.
 */
#include "dataplane/writer/writer.h"

#include <rte_rcu_qsbr.h>

static bool round_is_over(const struct mr_writer *wr)
{
	return mr_table_passed(wr->table, wr->passage.grace_token);
}

static void await_round(struct mr_writer *wr, enum mr_passage_step step)
{
	wr->passage.step = step;
	wr->passage.grace_token = rte_rcu_qsbr_start(wr->qsbr); /* [table.grace] */
}

static uint64_t queued_out(const struct mr_worker *w)
{
	return atomic_load_explicit(&w->mesh.queued_out, memory_order_acquire); /* [mesh.queued] */
}

/* Notes how much each worker has waiting for room in the mesh; true if there is any. */
static bool note_held(struct mr_writer *wr)
{
	bool any = false;

	for (unsigned i = 0; i < wr->workers_count; i++) {
		struct mr_worker *w = wr->workers[i];

		/* [mesh.queued] */
		wr->passage.queued[i] =
			atomic_load_explicit(&w->mesh.queued_in, memory_order_acquire);
		any |= wr->passage.queued[i] != queued_out(w);
	}
	return any;
}

static bool held_is_out(const struct mr_writer *wr)
{
	for (unsigned i = 0; i < wr->workers_count; i++)
		if (queued_out(wr->workers[i]) < wr->passage.queued[i])
			return false;
	return true;
}

/* NULL if `from` is `to`. */
static struct mr_spsc *ring_of(const struct mr_writer *wr, unsigned from, unsigned to)
{
	return wr->workers[from]->mesh_out[to];
}

static void note_tails(struct mr_writer *wr)
{
	for (unsigned from = 0; from < wr->workers_count; from++)
		for (unsigned to = 0; to < wr->workers_count; to++)
			if (ring_of(wr, from, to) != NULL)
				wr->passage.tails[from][to] = mr_spsc_tail(ring_of(wr, from, to));
	wr->passage.step = MR_PASSAGE_READ;
}

static bool rings_are_read(const struct mr_writer *wr)
{
	for (unsigned from = 0; from < wr->workers_count; from++)
		for (unsigned to = 0; to < wr->workers_count; to++)
			if (ring_of(wr, from, to) != NULL && !mr_spsc_is_done(ring_of(wr, from, to),
								     wr->passage.tails[from][to]))
				return false;
	return true;
}

/* Takes the next step; false if it has to wait. */
static bool take_step(struct mr_writer *wr)
{
	switch (wr->passage.step) {
	case MR_PASSAGE_REST: await_round(wr, MR_PASSAGE_ROUND); return true;
	case MR_PASSAGE_ROUND:
		if (!round_is_over(wr))
			return false;
		if (note_held(wr))
			wr->passage.step = MR_PASSAGE_HELD;
		else
			note_tails(wr);
		return true;
	case MR_PASSAGE_HELD:
		if (!held_is_out(wr))
			return false;
		await_round(wr, MR_PASSAGE_FLUSH);
		return true;
	case MR_PASSAGE_FLUSH:
		if (!round_is_over(wr))
			return false;
		note_tails(wr);
		return true;
	case MR_PASSAGE_READ:
		if (!rings_are_read(wr))
			return false;
		wr->passage.step = MR_PASSAGE_REST;
		wr->passage.number++;
		return true;
	}
	return false;
}

uint64_t mr_writer_passage_next(struct mr_writer *wr)
{
	wr->passage.wanted = wr->passage.number + (wr->passage.step != MR_PASSAGE_REST);
	return wr->passage.wanted;
}

bool mr_writer_passage_over(const struct mr_writer *wr, uint64_t number)
{
	return number < wr->passage.number;
}

bool mr_writer_passages_tick(struct mr_writer *wr)
{
	while (wr->passage.step != MR_PASSAGE_REST || wr->passage.wanted >= wr->passage.number)
		if (!take_step(wr))
			return true;
	return false;
}
