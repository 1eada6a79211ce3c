/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters: the lines that the bus adds, and the places that an operator names for them. A
 * place may have no room: then they wait in their queue, are discarded, or make room themselves. */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/bus.h"
#include "tests/sim/cover.h"
#include "tests/sim/model_message.h"
#include "tests/sim/world.h"

static uint64_t missing;

void model_letters_open(void)
{
	missing = 0;
}

static bool is_text(const char *text, size_t bytes, const char *other)
{
	return bytes == strlen(other) && memcmp(text, other, bytes) == 0;
}

static void count(const struct model_letter *l)
{
	static const char *const reasons[] = {"rejected", "max-deliver", "expired", "full"};
	static const enum cover verbs[] = {
		COVER_DEAD_REJECTED, COVER_DEAD_MAX_DELIVER, COVER_DEAD_EXPIRED, COVER_DEAD_FULL};

	for (unsigned i = 0; i < MR_ARRAY_COUNT(reasons); i++)
		if (is_text(l->reason, l->reason_bytes, reasons[i]))
			cover(verbs[i]);
	cover(l->named ? COVER_LETTER_NAMED : COVER_LETTER);
	if (l->error != 0)
		cover(COVER_LETTER_ERROR);
}

void model_letter_check(const struct message *m, const struct model_letter *l)
{
	const struct model_queue *q = model_queue_with(m);

	count(l);
	if (l->reason_bytes == 0) /* there was no memory for the lines */
		return;
	model_check(is_text(l->queue, l->queue_bytes, q->name), m, "dead, of another queue");
	model_check(l->has_time, m, "dead, without a time");
	if (!q->exactly_once)
		return;
	model_check(l->attempts <= m->sends, m, "dead, with more attempts than deliveries");
	model_check(l->attempts >= m->fails || m->error_unsure, m,
		"dead, with fewer attempts than it was nacked");
	model_error_check(m, l->error);
}

bool model_letters_wait(unsigned queue)
{
	return (model_queues[queue].letters & (LETTERS_WAIT | LETTERS_DROP)) != 0;
}

bool model_letter_missing(const struct message *m)
{
	if (!(model_queue_with(m)->letters & (LETTERS_NONE | LETTERS_REFUSE | LETTERS_DROP)))
		return false;
	world_trace("the dead letter of %u is missing", (unsigned)(m - messages));
	missing++;
	return true;
}

void model_letters_finish(uint64_t lost)
{
	if (missing > lost)
		world_fail("%" PRIu64 " dead letters are missing, and %" PRIu64 " were discarded",
			missing, lost);
}
