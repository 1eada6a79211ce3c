/* SPDX-License-Identifier: Apache-2.0 */
/* inside: the common part of tests with the table writer in their own process. No worker runs
 * unless a test plays one. */
#ifndef MILLRACE_TESTS_UNIT_DATAPLANE_INSIDE_H
#define MILLRACE_TESTS_UNIT_DATAPLANE_INSIDE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "dataplane/eal.h"
#include "dataplane/writer/writer.h"

#define WORKERS 2u
#define CLIENTS 4u

static struct mr_config config;
static struct mr_writer writer;
static char run_dir[] = "/tmp/millrace-inside-XXXXXX";

/* Call it once a program; false: it cannot go on. */
static inline bool inside_open(void)
{
	if (mkdtemp(run_dir) == NULL)
		return false;
	mr_config_default(&config);
	snprintf(config.run_dir, sizeof(config.run_dir), "%s", run_dir);
	config.workers.count = WORKERS;
	config.channels.clients_max = CLIENTS;
	mr_log_init("test", MR_LOG_ERROR, false);
	return mr_eal_open(&config) == 0;
}

static inline void inside_close(void)
{
	mr_eal_close();
	rmdir(run_dir);
}

/* Returns the body of a request as it comes from control. */
static inline struct mrf_table inside_request(
	struct mrf_builder *b, enum mrf_link_body type, uint32_t body)
{
	struct mrf_link_message m = {.id = 1, .body_type = type, .body = body};
	const void *data;
	size_t bytes;
	struct mrf_table t;

	assert_int_equal(mrf_builder_finish(b, mrf_link_message_write(b, &m), &data, &bytes), 0);
	assert_int_equal(mrf_link_message_parse(data, bytes, &t), 0);
	return mrf_link_message_body(t);
}

#endif
