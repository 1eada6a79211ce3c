/* SPDX-License-Identifier: Apache-2.0 */
/* priority: the ten levels of priority of messages in queues, 0 to 9: a higher one goes first.
 *
 * Three of them have names and are what a Push says by its flags: low is 1, normal 4, high 7. On
 * the wire, Delivery.priority is a Priority for these, else MR_PRIORITY_LEVEL + the level.
 *
 * Owns      Nothing.
 * Threads   Any.
 */
#ifndef MILLRACE_WIRE_PRIORITY_H
#define MILLRACE_WIRE_PRIORITY_H

#include "flatbuf/wire.h"

#define MR_LEVEL_LOW    1u
#define MR_LEVEL_NORMAL 4u
#define MR_LEVEL_HIGH   7u
#define MR_LEVEL_MAX    9u
#define MR_LEVELS       (MR_LEVEL_MAX + 1u)

#define MR_PRIORITY_LEVEL 16u

/* Ranks: an index for each level. The values of enum mrf_priority come first. */
#define MR_QUEUE_RANKS MR_LEVELS

/* `level`: at most MR_LEVEL_MAX. */
static inline unsigned mr_rank_of_level(unsigned level)
{
	static const uint8_t ranks[MR_LEVELS] = {
		3, MRF_PRIORITY_LOW, 4, 5, MRF_PRIORITY_NORMAL, 6, 7, MRF_PRIORITY_HIGH, 8, 9};

	return ranks[level];
}

static inline unsigned mr_level_of_rank(unsigned rank)
{
	static const uint8_t levels[MR_QUEUE_RANKS] = {
		MR_LEVEL_NORMAL, MR_LEVEL_HIGH, MR_LEVEL_LOW, 0, 2, 3, 5, 6, 8, 9};

	return levels[rank];
}

/* Returns Delivery.priority for a level. */
static inline uint8_t mr_priority_of_level(unsigned level)
{
	unsigned rank = mr_rank_of_level(level);

	return (uint8_t)(rank <= MRF_PRIORITY_LOW ? rank : MR_PRIORITY_LEVEL + level);
}

/* Returns the level that Delivery.priority says; normal if it is malformed. */
static inline unsigned mr_level_of_priority(unsigned priority)
{
	if (priority <= MRF_PRIORITY_LOW)
		return mr_level_of_rank(priority);
	return priority - MR_PRIORITY_LEVEL <= MR_LEVEL_MAX ? priority - MR_PRIORITY_LEVEL
							    : MR_LEVEL_NORMAL;
}

#endif
