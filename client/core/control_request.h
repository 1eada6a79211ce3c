/* SPDX-License-Identifier: Apache-2.0 */
/* control_request: requests to control, inside messages of kind Control. Control may be killed
 * while it handles one, and then says nothing, so a request is sent again each second until it is
 * answered. All requests are idempotent.
 *
 * Owns      The client owns the MR_CONTROL_REQUESTS_MAX places. A request is freed before its
 *           `done` is called.
 * Threads   The client's.
 */
#ifndef MILLRACE_CLIENT_CORE_CONTROL_REQUEST_H
#define MILLRACE_CLIENT_CORE_CONTROL_REQUEST_H

#include "client/core/state.h"

#define MR_CONTROL_REQUESTS_MAX 64u
#define MR_CONTROL_REQUEST_BYTES_MAX                                                               \
	1024u /* a consume request with the longest names, key_from and tag */
#define MR_CONTROL_RESEND_NS 1000000000ull

struct mr_part;

/* Control's answer. */
struct mr_control_answer {
	int code; /* 0 or -errno */
	const char *text;
	uint32_t alias;
	uint64_t handled_ns;
	/* For a queue or service. */
	uint32_t queue;
	uint32_t window;
	bool waits;
	uint32_t heartbeat_ms;
	uint32_t missed_max;
	uint32_t ack_timeout_ms;
	uint16_t max_deliver;
	uint32_t push_options;    /* bits of enum mrf_push_option */
	uint32_t consume_options; /* bits of enum mrf_consume_option */
	uint32_t settle_options;  /* bits of enum mrf_settle_option */
	/* For an MMI request; `text` is the body. */
	uint32_t status;
	/* For a subscription; channel 0: none. */
	struct mr_group_offer group;
};

typedef void mr_control_answer_fn(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object);

/* A request that is kept until it is answered. */
struct mr_control_request {
	uint32_t correlation; /* 0: free */
	uint32_t bytes;
	uint64_t resend_ns;
	uint64_t deadline_ns;
	mr_control_answer_fn *done;
	void *arg;
	uint32_t object;
	uint8_t body[MR_CONTROL_REQUEST_BYTES_MAX];
};

/* A request that a call waits for. */
struct mr_control_ask {
	const uint8_t *body;
	uint32_t bytes;
	int timeout_ms; /* < 0: the client's request_timeout_ms */
	/* If set, a time-out does not end the request: it continues in the background, and this
	 * function gets the answer with `object`. */
	mr_control_answer_fn *late;
	uint32_t object;
};

/* Wraps a body into a ClientMessage; `b` is finished into memory of its own. Returns the bytes; 0:
 * no room. */
uint32_t mr_control_request_encode(struct mrf_builder *b, enum mrf_client_body type, uint32_t body,
	uint8_t *to, uint32_t room);
/* Returns a request to fill in and send; NULL when all places are taken. */
struct mr_control_request *mr_control_request_new(
	struct mr_client *c, mr_control_answer_fn *done, void *arg, uint32_t object);
static inline bool mr_control_request_any(const struct mr_client *c)
{
	return c->control_requests_open < MR_CONTROL_REQUESTS_MAX;
}

/* Returns -EAGAIN (release 0.1.0: -EBUSY): all places are taken. */
int mr_control_request_none(struct mr_client *c);
void mr_control_request_send(
	struct mr_client *c, struct mr_control_request *request, uint64_t deadline_ns);
/* Sends the request, waits for the answer and returns its code. `found` may be NULL. */
int mr_control_request_wait(
	struct mr_client *c, const struct mr_control_ask *ask, struct mr_control_answer *found);
/* Handles a Control message. True: control has closed a consumer; *subscription is its id. */
bool mr_control_request_answered(
	struct mr_client *c, const struct mr_message_view *m, uint32_t *subscription);

/* Encodes a ping. */
uint32_t mr_ping_encode(uint64_t sent_ns, uint8_t *to, uint32_t room);

extern const struct mr_part mr_control_request_part;

#endif
