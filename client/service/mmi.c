/* SPDX-License-Identifier: Apache-2.0 */
/* mmi: questions about services that the bus answers itself (Majordomo Management Interface, ZeroMQ
 * RFC 8). To callers they look like any other call. */
#include <stdio.h>
#include <string.h>

#include "client/core/control_request.h"
#include "client/core/error.h"
#include "client/service/call.h"

void mr_mmi_tell(struct mr_client *c, struct mr_call *r)
{
	char text[sizeof(c->calls->mmi_text)];
	struct mr_message reply = {.subject = "", .payload = text, .payload_bytes = r->bytes};

	/* The reply to a waiting call must outlive the call. */
	if (r->callback == NULL)
		reply.payload = c->calls->mmi_text;
	memcpy((char *)reply.payload, r->request, r->bytes);
	c->received++;
	mr_call_finish(c, r, &reply, 0);
}

/* Stores the answer: the figure that was asked for, else the status. */
static void store_answer(struct mr_call *r, const struct mr_control_answer *a)
{
	char text[sizeof(((struct mr_calls *)0)->mmi_text)];

	if (a->status == 200 && a->text[0] != '\0')
		snprintf(text, sizeof(text), "%s", a->text);
	else
		snprintf(text, sizeof(text), "%u", a->status);
	r->bytes = (uint32_t)strlen(text);
	memcpy(r->request, text, r->bytes);
	r->state = MR_CALL_ENDED;
	r->error = 0;
}

static void answered(
	struct mr_client *c, const struct mr_control_answer *a, void *arg, uint32_t object)
{
	struct mr_call *r = mr_call_find(c, (uint64_t)(uintptr_t)arg);

	(void)object;
	if (r == NULL || r->state != MR_CALL_MMI)
		return;
	if (a->code != 0) {
		mr_call_finish(c, r, NULL, a->code);
		return;
	}
	store_answer(r, a);
	if (r->callback == NULL || c->depth == 0)
		mr_mmi_tell(c, r);
	else
		mr_call_set_due(c, r, 0);
}

static uint32_t encode(const char *name, const char *body, uint8_t *to, uint32_t room)
{
	struct mrf_mmi_request request = {.name = mrf_str(name), .body = mrf_str(body)};
	uint8_t memory[MR_CONTROL_REQUEST_BYTES_MAX];
	struct mrf_builder b;

	mrf_builder_init(&b, memory, sizeof(memory));
	return mr_control_request_encode(
		&b, MRF_CLIENT_BODY_MMI_REQUEST, mrf_mmi_request_write(&b, &request), to, room);
}

int mr_mmi_ask(struct mr_client *c, struct mr_call *r, const char *name)
{
	char body[MR_SUBJECT_BYTES + 1];
	uint32_t bytes = r->bytes - r->header_bytes;
	struct mr_control_request *request;

	if (strlen(name) > MR_SUBJECT_BYTES || bytes > MR_SUBJECT_BYTES)
		return mr_fail(c, -EINVAL, "mmi: a name and a body of at most 255 bytes");
	memcpy(body, r->request + r->header_bytes, bytes);
	body[bytes] = '\0';
	request = mr_control_request_new(c, answered, (void *)(uintptr_t)r->correlation, 0);
	if (request == NULL)
		return mr_control_request_none(c);
	r->state = MR_CALL_MMI;
	request->bytes = encode(name, body, request->body, sizeof(request->body));
	mr_call_set_due(c, r, mr_now_ns() + r->timeout_ms * MR_NS_PER_MS);
	mr_control_request_send(c, request, r->due_ns);
	return 0;
}
