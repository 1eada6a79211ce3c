/* SPDX-License-Identifier: Apache-2.0 */
#include "client/queue/ticket.h"

#include <string.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/core/names.h"
#include "client/core/random.h"
#include "client/core/wait.h"
#include "lib/base/cron.h"

#define TICKET_BITS  48u
#define EVERY_MS_MIN 100u

static const char first_line[] = "NATS/1.0\r\n";
static const char name[] = "Millrace-Cron: ";
static const char line_end[] = "\r\n";

#define TEXT_BYTES(text) (sizeof(text) - 1)

static int check_repeat(const struct mr_queue *q, const struct mr_push *push)
{
	struct mr_cron cron;
	const char *why;

	if (push->ticket == 0)
		return mr_fail(q->client, -EINVAL, "push: what repeats needs a ticket");
	if (push->delay_ms != 0 || push->at_ms != 0 || (push->every_ms != 0 && push->cron != NULL))
		return mr_fail(q->client, -EINVAL,
			"push: only one of delay_ms, at_ms, every_ms and cron may be set");
	if (push->cron == NULL)
		return push->every_ms >= EVERY_MS_MIN
			       ? 0
			       : mr_failf(q->client, -EINVAL, "push: every_ms is below %u",
					 EVERY_MS_MIN);
	why = mr_cron_parse(push->cron, strlen(push->cron), &cron);
	return why == NULL ? 0 : mr_failf(q->client, -EINVAL, "cron: %s", why);
}

static bool waits(const struct mr_push *push)
{
	return push->ticket != 0 || push->delay_ms != 0 || push->at_ms != 0 ||
	       push->every_ms != 0 || push->cron != NULL;
}

int mr_ticket_check(const struct mr_queue *q, const struct mr_push *push)
{
	if (push->attempts != 0 && waits(push))
		return mr_fail(q->client, -EINVAL,
			"push: attempts are of a message that is due at once, without a ticket");
	if (push->ticket >> TICKET_BITS != 0)
		return mr_failf(
			q->client, -EINVAL, "push: a ticket has at most %u bits", TICKET_BITS);
	if (push->every_ms != 0 || push->cron != NULL)
		return check_repeat(q, push);
	if (push->ticket != 0 && push->delay_ms == 0 && push->at_ms == 0)
		return mr_fail(q->client, -EINVAL, "push: a ticket needs delay_ms or at_ms");
	return 0;
}

void mr_ticket_options(const struct mr_push *push, struct mrf_push_options *out)
{
	out->ticket_high = (uint16_t)(push->ticket >> 32);
	out->ticket_low = (uint32_t)push->ticket;
	if (push->cron != NULL)
		out->repeat = MRF_PUSH_REPEAT_CRON;
	if (push->attempts != 0) {
		out->repeat = MRF_PUSH_REPEAT_RESTORED;
		out->ticket_low = push->attempts;
	}
	if (push->every_ms == 0)
		return;
	out->repeat = MRF_PUSH_REPEAT_EVERY;
	out->delay_ms = push->every_ms;
}

size_t mr_ticket_header_bytes(const struct mr_push *push)
{
	size_t bytes;

	if (push->cron == NULL)
		return 0;
	bytes = TEXT_BYTES(name) + strlen(push->cron) + TEXT_BYTES(line_end);
	return push->header_bytes != 0 ? bytes
				       : TEXT_BYTES(first_line) + bytes + TEXT_BYTES(line_end);
}

static char *append(char *to, const char *text, size_t bytes)
{
	memcpy(to, text, bytes);
	return to + bytes;
}

bool mr_ticket_header_write(const struct mr_push *push, char *to)
{
	const char *headers = push->headers, *rest;
	size_t bytes = push->header_bytes;

	if (bytes == 0) {
		headers = first_line;
		bytes = TEXT_BYTES(first_line);
	}
	rest = memchr(headers, '\n', bytes);
	if (rest == NULL)
		return false;
	rest++;
	to = append(to, headers, (size_t)(rest - headers));
	to = append(to, name, TEXT_BYTES(name));
	to = append(to, push->cron, strlen(push->cron));
	to = append(to, line_end, TEXT_BYTES(line_end));
	bytes -= (size_t)(rest - headers);
	if (push->header_bytes == 0)
		(void)append(to, line_end, TEXT_BYTES(line_end));
	else
		(void)append(to, rest, bytes);
	return true;
}

uint64_t mr_queue_ticket(struct mr_queue *q)
{
	uint64_t ticket = 0;

	while (q != NULL && ticket == 0)
		ticket = ((uint64_t)mr_random(q->client) << 32 | mr_random(q->client)) >>
			 (64 - TICKET_BITS);
	return ticket;
}

static uint32_t cancel_encode(const char *queue, uint64_t ticket, uint8_t *to, uint32_t room)
{
	const struct mrf_cancel_request request = {.queue = mrf_str(queue), .ticket = ticket};
	uint8_t memory[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	return mr_control_request_encode(&b, MRF_CLIENT_BODY_CANCEL_REQUEST,
		mrf_cancel_request_write(&b, &request), to, room);
}

int mr_queue_cancel(struct mr_client *c, const char *queue, uint64_t ticket)
{
	uint8_t body[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mr_control_ask ask = {.body = body, .timeout_ms = -1};
	struct mr_control_answer answer;
	const char *fault;
	int error;

	if (c == NULL || queue == NULL || ticket == 0)
		return mr_fail(c, -EINVAL, "mr_queue_cancel: an argument is NULL, or the ticket 0");
	error = mr_ready(c, true);
	if (error != 0)
		return error;
	fault = mr_name_subject_fault(queue, strlen(queue));
	if (fault != NULL)
		return mr_failf(c, -EINVAL, "queue: %s", fault);
	ask.bytes = cancel_encode(queue, ticket, body, sizeof(body));
	return mr_control_request_wait(c, &ask, &answer);
}
