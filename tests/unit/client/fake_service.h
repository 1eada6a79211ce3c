/* SPDX-License-Identifier: Apache-2.0 */
/* fake_service: services of the fake bus: requests go to the first worker that has room, replies
 * back to the caller, and parts and credits between the two. It counts what it receives, and
 * refuses, swallows or dies on request.
 *
 * Owns      The bus owns it; waiting requests are freed by fake_services_fini.
 * Threads   The bus thread's, and anyone's between bus_lock and bus_unlock.
 */
#ifndef MILLRACE_TESTS_UNIT_CLIENT_FAKE_SERVICE_H
#define MILLRACE_TESTS_UNIT_CLIENT_FAKE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/message.h"
#include "tests/unit/client/fake_target.h"

#define FAKE_SERVICES_MAX 4
#define FAKE_CALLS_MAX    256

struct fake_call {
	uint8_t *body; /* NULL: none */
	uint32_t header_bytes;
	uint32_t payload_bytes;
	uint64_t caller;
	uint64_t correlation;
	uint64_t holder; /* session that has the call; 0: none */
	uint32_t subscription;
	uint64_t tag;
	uint16_t redelivered;
	bool more;
};

struct fake_service {
	struct fake_target target; /* must be the first member; consumers: workers */
	struct fake_call calls[FAKE_CALLS_MAX];
};

struct fake_services {
	struct fake_service services[FAKE_SERVICES_MAX];
	uint64_t tag;
	uint32_t number;
	/* Settings. */
	unsigned swallow; /* this many calls disappear */
	unsigned refuse;  /* this many get refuse_status */
	uint32_t refuse_status;
	bool deaf; /* heartbeats are not answered */
	int open_code;
	uint32_t heartbeat_ms; /* 0: 1000 */
	/* Counters. */
	unsigned opens;
	unsigned calls;
	unsigned replies;
	unsigned parts;
	unsigned credits;
	unsigned beats;
	unsigned rejected;
	unsigned requeued;
	unsigned bad_tags;
	uint64_t last_tag;
	uint64_t last_caller;
	uint64_t last_correlation;
};

void fake_services_fini(struct fake_services *f);
/* True if the request to control was about a service; then the answer is in *body and *type. */
bool fake_service_act(struct bus *b, struct bus_session *s, struct mrf_table message,
	struct mrf_builder *out, uint8_t *type, uint32_t *body);
/* True if the message belonged to a call. */
bool fake_service_handle(struct bus *b, struct bus_session *s, const struct mr_message_view *m);

/* These send as the bus would. The caller has the lock. */
void fake_service_reply(struct bus *b, uint64_t caller, uint64_t correlation, uint64_t tag,
	bool more, const char *text);
void fake_service_status(struct bus *b, uint64_t caller, uint64_t correlation, uint32_t code);
/* Forgets the service, as the bus does with one that is not used. */
void fake_service_forget(struct bus *b, const char *name);
/* Ends the workers of a service with a Disconnect; their calls go to the next worker. */
void fake_service_disconnect(struct bus *b, const char *name);
unsigned fake_service_workers(struct bus *b, const char *name);

#endif
