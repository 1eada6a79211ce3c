/* SPDX-License-Identifier: Apache-2.0 */
/* Failed attempts: the back-off of the queue, and the error text that a consumer gave. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/bus.h"
#include "tests/sim/cover.h"
#include "tests/sim/model_message.h"
#include "tests/sim/world.h"

#define DAY_MS 86400000u /* the longest delay */

/* Returns the delay after so many failed attempts, without its random part. */
static double delay_ms(const struct mrf_queue_options *o, uint32_t attempts)
{
	double delay = o->retry_min_ms, max = o->retry_max_ms ?: DAY_MS;

	for (uint32_t n = 1; n < attempts && delay < max; n++)
		delay *= (o->retry_factor ?: 200) / 100.0;
	return delay < max ? delay : max;
}

void model_retry_failed(struct message *m, uint32_t own_delay_ms)
{
	const struct mrf_queue_options *o = &model_queue_with(m)->holds;
	double least, most;

	m->fails++;
	if (own_delay_ms != 0 || o->retry_min_ms == 0 || m->state == DEAD)
		return;
	cover(COVER_RETRY);
	/* There was at most one attempt with each delivery. */
	least = delay_ms(o, m->fails) * (100 - o->retry_jitter) / 100;
	most = delay_ms(o, m->sends);
	m->state = PUT_OFF;
	m->since_ms = bus_queues_ms() + (uint64_t)(least >= 1 ? least : 1);
	m->late_ms = (uint32_t)(most - least) + 1;
}

void model_error_kept(struct message *m, uint32_t error, bool sure)
{
	if (error == 0)
		return;
	if (!sure) {
		m->error_unsure = true;
		return;
	}
	cover(COVER_ERROR_TEXT);
	m->error = error;
	m->error_unsure = false;
}

uint32_t model_error_of(const void *block, size_t bytes)
{
	static const char name[] = "Millrace-Error: error ";
	const char *at = bytes == 0 ? NULL : memmem(block, bytes, name, sizeof(name) - 1);
	uint32_t error = 0;

	if (at == NULL)
		return 0;
	for (at += sizeof(name) - 1; at < (const char *)block + bytes && *at >= '0' && *at <= '9';
		at++)
		error = error * 10 + (uint32_t)(*at - '0');
	return error;
}

void model_error_check(const struct message *m, uint32_t error)
{
	if (!m->error_unsure && model_queue_with(m)->exactly_once)
		model_check(error == m->error, m, "it has another error text than its last one");
}
