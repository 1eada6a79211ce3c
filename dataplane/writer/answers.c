/* SPDX-License-Identifier: Apache-2.0 */
/* Delays the answer to an unsubscribe from a queue group, or to an unbind, until a passage is over.
 * After the answer the client may use the subscription's number again, and nothing more goes into
 * the queue; until then the mesh may carry messages for the old member. */
#include "dataplane/writer/writer.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64u
/* More than control ever has pending at once. */
#define ROOM_MAX 65536u

static bool grow(struct mr_writer_answers *a)
{
	uint32_t room = a->room != 0 ? 2 * a->room : ROOM_FIRST;
	void *items = room <= ROOM_MAX ? realloc(a->items, room * sizeof(*a->items)) : NULL;

	if (items == NULL)
		return false;
	a->items = items;
	a->room = room;
	return true;
}

static bool has_place(struct mr_writer *wr)
{
	struct mr_writer_answers *a = &wr->answers;

	return wr->workers_count > 1 && (a->count < a->room || grow(a));
}

bool mr_writer_answer_later(struct mr_writer *wr, uint64_t id)
{
	struct mr_writer_answers *a = &wr->answers;

	if (!has_place(wr))
		return false;
	a->items[a->count].id = id;
	a->items[a->count].unbound = false;
	a->items[a->count++].due = mr_writer_passage_next(wr);
	return true;
}

bool mr_writer_answer_bound_later(
	struct mr_writer *wr, uint64_t id, uint32_t bindings, uint32_t changed)
{
	struct mr_writer_answers *a = &wr->answers;

	if (!mr_writer_answer_later(wr, id))
		return false;
	a->items[a->count - 1].unbound = true;
	a->items[a->count - 1].bindings = bindings;
	a->items[a->count - 1].changed = changed;
	return true;
}

static void send_answer(struct mr_writer *wr, uint32_t i)
{
	struct mr_writer_answers *a = &wr->answers;

	if (a->items[i].unbound)
		mr_writer_answer_bound(
			wr, a->items[i].id, a->items[i].bindings, a->items[i].changed);
	else
		mr_writer_link_result(wr, a->items[i].id, 0, "");
}

void mr_writer_answers_forget(struct mr_writer *wr)
{
	wr->answers.count = 0;
}

bool mr_writer_answers_tick(struct mr_writer *wr)
{
	struct mr_writer_answers *a = &wr->answers;
	uint32_t over = 0;

	/* Sending may close the link, which drops all waiting answers. */
	while (over < a->count && mr_writer_passage_over(wr, a->items[over].due))
		send_answer(wr, over++);
	if (over > 0 && over <= a->count) {
		a->count -= over;
		memmove(a->items, a->items + over, a->count * sizeof(*a->items));
	}
	return a->count > 0;
}

void mr_writer_answers_close(struct mr_writer *wr)
{
	free(wr->answers.items);
	wr->answers.items = NULL;
}
