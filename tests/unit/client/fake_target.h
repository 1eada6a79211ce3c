/* SPDX-License-Identifier: Apache-2.0 */
/* fake_target: the common part of queues and services of the fake bus: a name, the number that
 * pushes go to, and the consumers.
 *
 * Owns      Nothing; it begins each struct fake_queue and each struct fake_service.
 * Threads   As those.
 */
#ifndef MILLRACE_TESTS_UNIT_CLIENT_FAKE_TARGET_H
#define MILLRACE_TESTS_UNIT_CLIENT_FAKE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_CONSUMERS_MAX 8

struct bus;
struct bus_session;

struct fake_consumer {
	uint64_t session; /* 0: free */
	uint32_t subscription;
	uint32_t prefetch;
	uint32_t outstanding;
};

struct fake_target {
	char name[256]; /* empty: free */
	uint32_t number;
	struct fake_consumer consumers[FAKE_CONSUMERS_MAX];
};

/* All queues, or all services: `count` of them, of `bytes` each. */
struct fake_targets {
	void *first;
	size_t count;
	size_t bytes;
};

struct fake_target *fake_target_at(const struct fake_targets *all, size_t index);
/* Finds one by its name; NULL: there is none. */
struct fake_target *fake_target_by_name(const struct fake_targets *all, const char *name);
struct fake_target *fake_target_by_number(const struct fake_targets *all, uint32_t number);
/* Gives a free one the name; the caller gives it a number. NULL: none is free. */
struct fake_target *fake_target_new(const struct fake_targets *all, const char *name);
/* Frees its name, and forgets its consumers. */
void fake_target_forget(struct fake_target *t);

/* Finds the session's consumer of that number; below, in any of the targets. NULL: there is
 * none. */
struct fake_consumer *fake_consumer_find(
	struct fake_target *t, uint64_t session, uint32_t subscription);
struct fake_target *fake_target_of(const struct fake_targets *all, uint64_t session,
	uint32_t subscription, struct fake_consumer **consumer);
void fake_consumer_add(
	struct fake_target *t, uint64_t session, uint32_t subscription, uint32_t prefetch);
/* Returns the first consumer that has room for another message. NULL: none has. */
struct fake_consumer *fake_consumer_with_room(struct fake_target *t);

/* Returns the session of that number, if it still exists. */
struct bus_session *fake_session_of(struct bus *b, uint64_t id);
/* Tells a session that the bus has ended its consumer of that number. */
void fake_disconnect(struct bus *b, uint64_t session, uint32_t subscription);

#endif
