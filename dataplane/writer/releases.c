/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps released aliases until no message by them is under way: a passage for each (passage.c). */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define SLOTS_FIRST 64u

static struct mr_writer_release *at(const struct mr_writer_releases *r, uint32_t number)
{
	return &r->slots[number - 1];
}

static uint32_t *chain(void *releases, uint32_t number)
{
	return &at(releases, number)->chain;
}

static uint64_t hash_of(const struct mr_writer_releases *r, uint64_t session, uint32_t alias)
{
	return mr_hash_pair(&r->key, session, alias);
}

static uint64_t stored_hash(void *releases, uint32_t number)
{
	const struct mr_writer_release *e = at(releases, number);

	return hash_of(releases, e->session, e->alias);
}

int mr_writer_releases_open(struct mr_writer *wr)
{
	struct mr_writer_releases *r = &wr->releases;

	if (getrandom(&r->key, sizeof(r->key), 0) != (ssize_t)sizeof(r->key))
		return -errno;
	return mr_index_init(&r->by_alias, chain, stored_hash, r);
}

void mr_writer_releases_close(struct mr_writer *wr)
{
	mr_index_fini(&wr->releases.by_alias);
	free(wr->releases.slots);
	wr->releases.slots = NULL;
}

static int grow(struct mr_writer_releases *r)
{
	uint32_t count = r->slots_count != 0 ? 2 * r->slots_count : SLOTS_FIRST;
	struct mr_writer_release *slots = realloc(r->slots, count * sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	r->slots = slots;
	while (r->slots_count < count) {
		slots[r->slots_count++].chain = r->free;
		r->free = r->slots_count;
	}
	return 0;
}

/* Returns the number of the alias's release; 0: it is not being released. */
static uint32_t find_release(const struct mr_writer_releases *r, uint64_t session, uint32_t alias)
{
	uint32_t number = mr_index_first(&r->by_alias, hash_of(r, session, alias));

	while (number != 0 && (at(r, number)->session != session || at(r, number)->alias != alias))
		number = at(r, number)->chain;
	return number;
}

static void append_release(struct mr_writer_releases *r, uint32_t number)
{
	at(r, number)->before = r->last;
	if (r->last != 0)
		at(r, r->last)->after = number;
	else
		r->first = number;
	r->last = number;
	mr_index_add(&r->by_alias, number);
}

static void unlink_release(struct mr_writer_releases *r, uint32_t number)
{
	struct mr_writer_release *e = at(r, number);

	mr_index_remove(&r->by_alias, number);
	if (e->before != 0)
		at(r, e->before)->after = e->after;
	else
		r->first = e->after;
	if (e->after != 0)
		at(r, e->after)->before = e->before;
	else
		r->last = e->before;
	e->chain = r->free;
	r->free = number;
}

int mr_writer_release_begin(struct mr_writer *wr, const struct mr_session *s, uint32_t alias)
{
	struct mr_writer_releases *r = &wr->releases;
	uint32_t number;

	if (r->free == 0 && grow(r) != 0)
		return -ENOMEM;
	number = r->free;
	r->free = at(r, number)->chain;
	*at(r, number) = (struct mr_writer_release){
		.session = s->id, .alias = alias, .due = mr_writer_passage_next(wr)};
	append_release(r, number);
	return 0;
}

bool mr_writer_release_waits(const struct mr_writer *wr, const struct mr_session *s, uint32_t alias)
{
	return find_release(&wr->releases, s->id, alias) != 0;
}

void mr_writer_release_cancel(struct mr_writer *wr, const struct mr_session *s, uint32_t alias)
{
	uint32_t number = find_release(&wr->releases, s->id, alias);

	if (number != 0)
		unlink_release(&wr->releases, number);
}

/* Frees the alias for other subjects. If its session is closed, the table may have done so already.
 * */
static void end_release(struct mr_writer *wr, const struct mr_writer_release *e)
{
	struct mr_owner owner = {.worker = (uint16_t)mr_session_worker(e->session),
		.slot = mr_session_slot(e->session),
		.generation = mr_session_generation(e->session)};
	struct mr_session *s = mr_writer_session_find(wr, e->session);

	(void)mr_table_alias_release(wr->table, &owner, e->alias);
	if (s != NULL)
		s->aliases_count--;
}

bool mr_writer_releases_tick(struct mr_writer *wr)
{
	struct mr_writer_releases *r = &wr->releases;

	while (r->first != 0 && mr_writer_passage_over(wr, at(r, r->first)->due)) {
		end_release(wr, at(r, r->first));
		unlink_release(r, r->first);
	}
	return r->first != 0;
}
