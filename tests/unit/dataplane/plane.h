/* SPDX-License-Identifier: Apache-2.0 */
/* plane: the common part of the data plane's test programs: a plane for each test, sessions
 * on it. */
#ifndef MILLRACE_TESTS_UNIT_DATAPLANE_PLANE_H
#define MILLRACE_TESTS_UNIT_DATAPLANE_PLANE_H

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/link.h"

/* The data plane's program comes from the environment that meson sets. */
static inline void start(struct mr_test_plane *p, const char *const *sets)
{
	const char *program = getenv("MILLRACE_DATAPLANE");

	assert_non_null(program);
	mr_test_plane_start(p, program, sets);
}

static inline void subscribe(struct mr_test_plane *p, const struct mr_test_session *s, uint32_t id,
	const char *pattern, const char *group)
{
	assert_int_equal(
		mr_test_subscribe(p, s, id, MRF_SUBSCRIPTION_KIND_PATTERN, pattern, group), 0);
}

static inline void publish(struct mr_test_session *s, const char *subject, const char *text)
{
	mr_test_publish(s, 0, subject, NULL, NULL, text);
	mr_test_flush(s);
}

static inline void expect(struct mr_test_session *s, enum mrf_message_kind kind, uint32_t target,
	const char *subject, const char *text)
{
	struct mr_message_view m = mr_test_next(s);

	assert_int_equal(m.header.kind, kind);
	assert_int_equal(m.header.target, target);
	assert_int_equal(m.subject_bytes, strlen(subject));
	assert_memory_equal(m.subject, subject, m.subject_bytes);
	assert_int_equal(m.payload_bytes, strlen(text));
	assert_memory_equal(m.payload, text, m.payload_bytes);
}

#endif
