/* SPDX-License-Identifier: Apache-2.0 */
/* queue_name: what a queue or service may be called, and at which worker it is at home.
 *
 * A name is a subject without wildcards, of at most 250 bytes. NAME.dead are the dead letters of
 * the queue NAME, and at home where that is: nobody makes them by name. Services whose names begin
 * with "mmi." are the bus's own (RFC 8).
 *
 * Owns      Nothing; texts have a length and need no terminating zero.
 * Threads   Any.
 */
#ifndef MILLRACE_WIRE_QUEUE_NAME_H
#define MILLRACE_WIRE_QUEUE_NAME_H

#include "lib/wire/subject.h"
#include "flatbuf/wire.h"

#define MR_QUEUE_DEAD           ".dead"
#define MR_QUEUE_DEAD_BYTES     (sizeof(MR_QUEUE_DEAD) - 1)
#define MR_QUEUE_NAME_BYTES_MAX (MR_SUBJECT_BYTES_MAX - MR_QUEUE_DEAD_BYTES)

/* Of a queue, a service, or dead letters. */
enum mr_subject_fault mr_queue_name_parse(const void *name, size_t bytes);
bool mr_queue_name_is_dead(const void *name, size_t bytes);
/* Of a service: answered by the bus itself. */
bool mr_queue_name_is_mmi(const void *name, size_t bytes);

/* The worker, 0 to workers - 1, at which the queue or service is at home. */
unsigned mr_queue_home(enum mrf_queue_kind kind, const void *name, size_t bytes, unsigned workers);
/* The same of a queue's number, which says so; it may be no worker's. */
static inline unsigned mr_queue_worker(uint32_t queue)
{
	return queue >> 27;
}

#endif
