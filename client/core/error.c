/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/core/state.h"
#include "lib/base/text.h"

/* The last failure of a call that has no client, and whether no client of this thread has failed
 * since. */
static _Thread_local char thread_error[256];
static _Thread_local bool thread_failed_last;

static const struct {
	int code;
	const char *text;
} texts[] = {
	{0, "no error"},
	{-EINVAL, "an argument is malformed"},
	{-EMSGSIZE, "headers and payload together are too large for this call"},
	{-EAGAIN, "the ring to the bus is full"},
	{-ETIMEDOUT, "no answer within the time-out"},
	{-ENOTCONN, "not connected to the bus"},
	{-ECONNREFUSED, "no bus listens at the address"},
	{-EACCES, "the bus refuses this user or this subject"},
	{-ENOSPC, "a table of the bus, or the caller's memory, is full"},
	{-EDQUOT, "this host or user has used its share of a table of the bus, or of queue memory"},
	{-EHOSTUNREACH, "the request found no responder"},
	{-EBUSY, "every responder is full, or the queue stayed full"},
	{-EDEADLK, "not allowed within a callback or while a claim is open"},
	{-E2BIG, "the library is older than the program and does not know all of its options"},
	{-ENOBUFS, "the memory of all queues of the bus is full"},
	{-EPROTO, "the bus has another version, or sent a malformed message"},
	{-EINTR, "a signal, or mr_client_wake, ended the call"},
	{-ENOMEM, "out of memory"},
	{-EMFILE, "too many open files"},
	{-EREMOTEIO, "the worker gave up on the message, or died while it had it"},
	{-ECONNABORTED, "the circuit breaker is open: the service failed too often"},
	{-ENOENT, "it does not exist any more"},
	{-ESTALE, "older than what the bus remembers"},
	{-EEXIST, "it exists already, with other options"},
};

const char *mr_error_text(int code)
{
	if (code > 0)
		return texts[0].text;
	for (size_t i = 0; i < MR_ARRAY_COUNT(texts); i++) {
		if (texts[i].code == code)
			return texts[i].text;
	}
	return strerrordesc_np(-code) != NULL ? strerrordesc_np(-code) : "unknown error";
}

int mr_status_error(uint32_t code)
{
	switch (code) {
	case MRF_STATUS_CODE_BAD: return -EINVAL;
	case MRF_STATUS_CODE_NOT_FOUND: return -ENOENT;
	case MRF_STATUS_CODE_TOO_OLD: return -ESTALE;
	case MRF_STATUS_CODE_OVERLOADED: return -EBUSY;
	case MRF_STATUS_CODE_NO_MEMORY: return -ENOBUFS;
	case MRF_STATUS_CODE_SHARE_USED: return -EDQUOT;
	case MRF_STATUS_CODE_FAILED:
	case MRF_STATUS_CODE_WORKER_LOST: return -EREMOTEIO;
	case MRF_STATUS_CODE_NO_RESPONDERS:
	case MRF_STATUS_CODE_EXPIRED: return -EHOSTUNREACH;
	case MRF_STATUS_CODE_CIRCUIT_OPEN: return -ECONNABORTED;
	default: return -EPROTO;
	}
}

const char *mr_error(const struct mr_client *c)
{
	if (c == NULL || thread_failed_last)
		return thread_error[0] != '\0' ? thread_error : texts[0].text;
	return c->error != NULL ? c->error : texts[0].text;
}

void mr_connect_error_set(const char *text)
{
	snprintf(thread_error, sizeof(thread_error), "%s", text);
}

int mr_fail(struct mr_client *c, int code, const char *text)
{
	thread_failed_last = c == NULL;
	if (c == NULL) {
		mr_connect_error_set(text != NULL ? text : mr_error_text(code));
		return code;
	}
	c->error = text != NULL ? text : mr_error_text(code);
	return code;
}

/* Replaces what could mislead a reader or move a cursor: part of a text may come from the bus, and
 * most texts end on a terminal. */
void mr_error_printable(char *text)
{
	size_t left = strlen(text);

	for (uint8_t *p = (uint8_t *)text; left > 0;) {
		size_t bytes = mr_text_printable_bytes(p, left);

		if (bytes == 0) {
			*p = '?';
			bytes = 1;
		}
		p += bytes;
		left -= bytes;
	}
}

int mr_failf(struct mr_client *c, int code, const char *format, ...)
{
	char text[256];
	char *to = c != NULL ? c->error_text : text;
	va_list args;

	va_start(args, format);
	vsnprintf(to, sizeof(text), format, args);
	va_end(args);
	mr_error_printable(to);
	return mr_fail(c, code, to);
}
