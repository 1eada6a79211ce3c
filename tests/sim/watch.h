/* SPDX-License-Identifier: Apache-2.0 */
/* watch: properties of the queues' limits and of their progress, checked on the engine's own
 * figures. The model knows messages; this knows how many there are.
 *
 *   A push beyond the limits is taken only by a queue that waits, and only a few for each client.
 *   A queue that refuses, or makes room by old messages, never has more than its limits.
 *   A push is accepted only while the queue is within its limits, those of an edit included.
 *   Where there is room, withheld pushes are accepted soon; too old messages leave soon.
 *   A queue holds no message that is settled or whose time to live is over.
 *   A queue that has ready messages and a ready consumer is in the list that run serves.
 *
 * Threads   The world's.
 */
#ifndef MILLRACE_TESTS_SIM_WATCH_H
#define MILLRACE_TESTS_SIM_WATCH_H

#include <stdbool.h>

void watch_open(void);
/* True if the queue, and the place that may be named for its dead letters, have no message. */
bool watch_is_empty(unsigned queue);
/* The limits of the model's queue were edited. */
void watch_edited(unsigned queue);
/* A message of the queue has grown by a line of the bus. */
void watch_grown(unsigned queue);
/* The queue took a push; `late`: it was checked against the limits earlier, with its first
 * fragment. */
void watch_taken(unsigned queue, bool late);
/* The queue took a publish, whose publisher does not wait for room in the same way. */
void watch_published(unsigned queue);
/* Call it after each event of the bus. */
void watch_all(void);
/* Call it when the bus has handled what was due. */
void watch_depths(void);

#endif
