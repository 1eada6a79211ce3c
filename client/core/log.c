/* SPDX-License-Identifier: Apache-2.0 */
/* Messages are discarded on hot paths, which only count. Housekeeping compares the counters with
 * those that it has seen. */
#include "client/core/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "client/core/error.h"

#define WINDOW_NS 1000000000ull

/* True if the event may pass now; *left_out: lines before it that did not. */
static bool may_pass(struct mr_event_limit *l, uint64_t now_ns, uint32_t *left_out)
{
	*left_out = 0;
	if (now_ns - l->window_ns >= WINDOW_NS) {
		l->window_ns = now_ns;
		*left_out = l->left_out;
		l->count = 0;
		l->left_out = 0;
	}
	if (l->count >= MR_EVENT_BURST) {
		l->left_out++;
		return false;
	}
	l->count++;
	return true;
}

/* The hook must not use the client; with the depth of a callback it cannot process. */
static void call_hook(
	struct mr_client *c, enum mr_severity severity, enum mr_event event, const char *text)
{
	c->log.busy = true;
	c->depth++;
	c->log.hook(c, severity, event, text, c->log.arg);
	c->depth--;
	c->log.busy = false;
}

void mr_event_write(struct mr_client *c, enum mr_severity severity, enum mr_event event,
	const char *format, ...)
{
	uint32_t left_out;
	char text[320];
	va_list args;
	int n;

	if (c->log.busy || !may_pass(&c->log.limits[event], mr_now_ns(), &left_out))
		return;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (left_out > 0 && n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, " (%" PRIu32 " more were left out)",
			left_out);
	mr_error_printable(text);
	call_hook(c, severity, event, text);
}

/* Tells of a counter that has grown. */
static void compare(
	struct mr_client *c, uint64_t *seen, uint64_t now, enum mr_event event, const char *what)
{
	uint64_t more = now - *seen;

	*seen = now;
	if (more > 0)
		mr_event_log(c, MR_SEVERITY_WARNING, event, "%" PRIu64 " %s", more, what);
}

static void step(struct mr_client *c, uint64_t now_ns)
{
	struct mr_event_log *l = &c->log;

	(void)now_ns;
	if (l->hook == NULL)
		return;
	compare(c, &l->malformed, c->malformed, MR_EVENT_MALFORMED,
		"malformed messages from the bus dropped");
	compare(c, &l->unmatched, c->unmatched, MR_EVENT_UNMATCHED,
		"messages dropped for requests and subscriptions that have ended");
	compare(c, &l->missed, c->missed, MR_EVENT_MISSED,
		"deliveries missed: no room to defer them, or fragments were lost");
	compare(c, &l->lost, c->lost, MR_EVENT_LOST, "publishes lost while the bus was away");
}

void mr_log_hook(struct mr_client *c, enum mr_severity severity, mr_log_fn *hook, void *arg)
{
	if (c == NULL)
		return;
	c->log = (struct mr_event_log){
		.hook = hook,
		.severity = severity,
		.arg = arg,
		.busy = c->log.busy,
		.malformed = c->malformed,
		.unmatched = c->unmatched,
		.missed = c->missed,
		.lost = c->lost,
	};
}

const struct mr_part mr_log_part = {.step = step};
