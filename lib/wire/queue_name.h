/* SPDX-License-Identifier: Apache-2.0 */
/* queue_name: the rules for names of queues and services, their home workers, and limits of their
 * consumers.
 *
 * A name is a subject without wildcards, of at most 250 bytes. NAME.dead holds the dead letters of
 * the queue NAME and has the same home worker. Clients can consume from it by name, but not open it
 * to push. Services whose names begin with "mmi." belong to the bus itself (ZeroMQ RFC 8).
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
/* Limits of a consumer. */
#define MR_QUEUE_PREFETCH_MAX  65535u
#define MR_QUEUE_WEIGHT_MAX    65535u
#define MR_QUEUE_TAG_BYTES_MAX 64u

/* Check a name of a queue, a service or dead letters. */
enum mr_subject_fault mr_queue_name_parse(const void *name, size_t bytes);
bool mr_queue_name_is_dead(const void *name, size_t bytes);
/* True for a service that the bus itself answers. */
bool mr_queue_name_is_mmi(const void *name, size_t bytes);

/* Returns what is wrong with a consumer's tag, or NULL. */
const char *mr_queue_tag_fault(const void *tag, size_t bytes);

/* Returns the home worker of the queue or service, 0 to workers - 1. */
unsigned mr_queue_home(enum mrf_queue_kind kind, const void *name, size_t bytes, unsigned workers);
/* Returns the home worker in a queue's number; a foreign number may name no worker. */
static inline unsigned mr_queue_worker(uint32_t queue)
{
	return queue >> 27;
}

#endif
