/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/slab.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/base/compiler.h"
#include "lib/base/memory.h"

#define SLAB_SHIFT 17
#define SLAB_BYTES (1u << SLAB_SHIFT)
#define STEP_BYTES 16u
#define STEP_SHIFT 4
#define SMALL_MAX  2048u
#define MIDDLE_MAX 16384u
#define RANKS      158u
#define RANK_SMALL (SMALL_MAX / STEP_BYTES) /* ranks in steps of 16 bytes */
#define RANK_LARGE (RANK_SMALL + 24)        /* first rank above the eighths */
#define NONE       UINT32_MAX
/* Slabs that an owner may take beyond its part, for sizes of which it has few chunks. */
#define OWNER_SPARE 8u
#define NO_CHUNK    UINT16_MAX

struct slab {
	uint32_t prev; /* in the list of its rank, or of empty slabs */
	uint32_t next;
	uint16_t used;
	uint16_t fresh; /* chunks that were ever in use; later ones were never touched */
	uint16_t free;  /* first free chunk below `fresh`, in steps from the slab's start */
	uint8_t rank;
	bool listed;
	uint32_t owner; /* took it; 0: nobody */
};

_Static_assert(SLAB_BYTES / STEP_BYTES < NO_CHUNK, "a chunk's place fits 16 bits");

struct mr_slab {
	uint8_t *map;
	struct slab *slabs;
	uint32_t slabs_max;
	uint32_t slabs_fresh; /* slabs that were ever in use */
	uint32_t slabs_used;
	struct mr_shares *owners; /* hold as many counts as there are slabs; NULL: not counted */
	uint32_t owned_max;
	uint32_t empty;           /* list of free slabs below slabs_fresh */
	uint32_t partial[RANKS];  /* lists of slabs with a free chunk */
	uint32_t size[RANKS];     /* bytes of a chunk */
	uint16_t capacity[RANKS]; /* chunks of a slab */
};

static void set_sizes(struct mr_slab *s)
{
	unsigned rank = 0;

	for (uint32_t bytes = STEP_BYTES; bytes <= SMALL_MAX; bytes += STEP_BYTES)
		s->size[rank++] = bytes;
	for (uint32_t octave = SMALL_MAX; octave < MIDDLE_MAX; octave *= 2)
		for (uint32_t eighth = 1; eighth <= 8; eighth++)
			s->size[rank++] = octave + octave / 8 * eighth;
	for (uint32_t chunks = 7; chunks >= 2; chunks--)
		s->size[rank++] = SLAB_BYTES / chunks / STEP_BYTES * STEP_BYTES;
	assert(rank == RANKS && s->size[RANKS - 1] == MR_SLAB_CHUNK_BYTES_MAX);
	for (rank = 0; rank < RANKS; rank++) {
		s->capacity[rank] = (uint16_t)(SLAB_BYTES / s->size[rank]);
		s->partial[rank] = NONE;
	}
}

int mr_slab_new(uint64_t bytes_max, struct mr_slab **out)
{
	uint64_t most = bytes_max < MR_SLAB_BYTES_MAX ? bytes_max : MR_SLAB_BYTES_MAX;
	uint64_t bytes = most < MR_SLAB_BYTES_MIN ? MR_SLAB_BYTES_MIN : most;
	uint64_t slabs = (bytes + SLAB_BYTES - 1) >> SLAB_SHIFT;
	struct mr_slab *s = calloc(1, sizeof(*s));

	if (s == NULL || slabs >= NONE)
		goto free_slab;
	s->slabs_max = (uint32_t)slabs;
	s->empty = NONE;
	set_sizes(s);
	s->map = mr_memory_map(slabs << SLAB_SHIFT, true);
	if (s->map == NULL)
		goto free_slab;
	s->slabs = mr_memory_map(slabs * sizeof(*s->slabs), false);
	if (s->slabs == NULL)
		goto unmap;
	*out = s;
	return 0;
unmap:
	mr_memory_unmap(s->map, slabs << SLAB_SHIFT);
free_slab:
	free(s);
	return -ENOMEM;
}

void mr_slab_free(struct mr_slab *s)
{
	if (s == NULL)
		return;
	mr_memory_unmap(s->slabs, s->slabs_max * sizeof(*s->slabs));
	mr_memory_unmap(s->map, (uint64_t)s->slabs_max << SLAB_SHIFT);
	free(s);
}

void mr_slab_owners(struct mr_slab *s, struct mr_shares *owners, uint64_t bytes_max)
{
	uint64_t most = ((bytes_max + bytes_max / 8) >> SLAB_SHIFT) + OWNER_SPARE;

	s->owners = owners;
	s->owned_max = most < s->slabs_max ? (uint32_t)most : s->slabs_max;
}

static inline unsigned rank_of(uint32_t bytes)
{
	if (mr_likely(bytes <= SMALL_MAX))
		return bytes == 0 ? 0 : (bytes - 1) >> STEP_SHIFT;
	if (bytes <= MIDDLE_MAX) {
		unsigned log = 31u - (unsigned)__builtin_clz(bytes - 1);

		return RANK_SMALL + (log - 11) * 8 + (((bytes - 1) >> (log - 3)) & 7);
	}
	return NONE;
}

static inline unsigned rank_for(const struct mr_slab *s, uint32_t bytes)
{
	unsigned rank = rank_of(bytes);

	if (mr_unlikely(rank == NONE))
		for (rank = RANK_LARGE; s->size[rank] < bytes;)
			rank++;
	return rank;
}

static void list_add(struct mr_slab *s, uint32_t *head, uint32_t index)
{
	struct slab *slab = &s->slabs[index];

	slab->prev = NONE;
	slab->next = *head;
	if (*head != NONE)
		s->slabs[*head].prev = index;
	*head = index;
	slab->listed = true;
}

static void list_remove(struct mr_slab *s, uint32_t *head, uint32_t index)
{
	struct slab *slab = &s->slabs[index];

	if (slab->prev != NONE)
		s->slabs[slab->prev].next = slab->next;
	else
		*head = slab->next;
	if (slab->next != NONE)
		s->slabs[slab->next].prev = slab->prev;
	slab->listed = false;
}

static bool may_take_slab(const struct mr_slab *s, uint32_t owner)
{
	return owner == 0 || s->owners == NULL || s->owners->entries[owner].held < s->owned_max;
}

/* Puts an empty slab in the list of this rank; NONE: a limit is reached. */
static uint32_t take_slab(struct mr_slab *s, unsigned rank, uint32_t owner)
{
	uint32_t index = s->empty;

	if (!may_take_slab(s, owner))
		return NONE;
	if (index != NONE)
		list_remove(s, &s->empty, index);
	else if (s->slabs_fresh < s->slabs_max)
		index = s->slabs_fresh++;
	else
		return NONE;
	s->slabs[index] = (struct slab){.rank = (uint8_t)rank, .free = NO_CHUNK, .owner = owner};
	if (s->owners != NULL && owner != 0)
		mr_share_hold(s->owners, owner);
	s->slabs_used++;
	list_add(s, &s->partial[rank], index);
	return index;
}

/* Takes a chunk of a slab that has one. */
static inline uint8_t *take_chunk(struct mr_slab *s, uint32_t index, unsigned rank)
{
	struct slab *slab = &s->slabs[index];
	uint8_t *chunk = s->map + ((uint64_t)index << SLAB_SHIFT);

	slab->used++;
	if (mr_unlikely(slab->free == NO_CHUNK))
		return chunk + slab->fresh++ * s->size[rank];
	chunk += (uint32_t)slab->free << STEP_SHIFT;
	slab->free = *(uint16_t *)chunk;
	return chunk;
}

/* Allocates where the fast path does not: the chunk is large, its size has no slab with a free
 * chunk, or it is the last one of its slab. */
static void *__attribute__((noinline)) alloc_rare(struct mr_slab *s, uint32_t bytes, uint32_t owner)
{
	unsigned rank;
	uint32_t index;
	uint8_t *chunk;

	if (bytes > MR_SLAB_CHUNK_BYTES_MAX)
		return NULL;
	rank = rank_for(s, bytes);
	index = s->partial[rank];
	if (index == NONE) {
		index = take_slab(s, rank, owner);
		if (index == NONE)
			return NULL;
	}
	chunk = take_chunk(s, index, rank);
	if (s->slabs[index].used == s->capacity[rank])
		list_remove(s, &s->partial[rank], index);
	return chunk;
}

/* The usual case needs no stack frame. */
MR_ALWAYS_INLINE void *alloc_for(struct mr_slab *s, uint32_t bytes, uint32_t owner)
{
	unsigned rank = bytes == 0 ? 0 : (bytes - 1) >> STEP_SHIFT;
	uint32_t index;

	if (mr_unlikely(bytes > SMALL_MAX))
		return alloc_rare(s, bytes, owner);
	index = s->partial[rank];
	if (mr_unlikely(index == NONE || s->slabs[index].used + 1 == s->capacity[rank]))
		return alloc_rare(s, bytes, owner);
	return take_chunk(s, index, rank);
}

void *mr_slab_alloc(struct mr_slab *s, uint32_t bytes)
{
	return alloc_for(s, bytes, 0);
}

void *mr_slab_alloc_for(struct mr_slab *s, uint32_t bytes, uint32_t owner)
{
	return alloc_for(s, bytes, owner);
}

bool mr_slab_owner_full(const struct mr_slab *s, uint32_t bytes, uint32_t owner)
{
	if (bytes > MR_SLAB_CHUNK_BYTES_MAX)
		bytes = MR_SLAB_CHUNK_BYTES_MAX;
	return !may_take_slab(s, owner) && s->partial[rank_for(s, bytes)] == NONE;
}

void mr_slab_release(struct mr_slab *s, void *chunk, uint32_t bytes)
{
	uint64_t offset = (uint64_t)((uint8_t *)chunk - s->map);
	uint32_t index = (uint32_t)(offset >> SLAB_SHIFT);
	struct slab *slab = &s->slabs[index];

	assert(index < s->slabs_fresh && slab->used > 0);
	assert(slab->rank == rank_for(s, bytes));
	(void)bytes;
	*(uint16_t *)chunk = slab->free;
	slab->free = (uint16_t)((offset & (SLAB_BYTES - 1)) >> STEP_SHIFT);
	if (mr_unlikely(!slab->listed))
		list_add(s, &s->partial[slab->rank], index);
	if (mr_unlikely(--slab->used == 0)) {
		list_remove(s, &s->partial[slab->rank], index);
		list_add(s, &s->empty, index);
		s->slabs_used--;
		if (s->owners != NULL && slab->owner != 0)
			mr_share_release(s->owners, slab->owner);
	}
}

uint32_t mr_slab_chunk_bytes(const struct mr_slab *s, uint32_t bytes)
{
	return s->size[rank_for(s, bytes)];
}

uint8_t *mr_slab_base(const struct mr_slab *s)
{
	return s->map;
}

uint64_t mr_slab_bytes(const struct mr_slab *s)
{
	return (uint64_t)s->slabs_used << SLAB_SHIFT;
}

uint64_t mr_slab_bytes_max(const struct mr_slab *s)
{
	return (uint64_t)s->slabs_max << SLAB_SHIFT;
}

uint32_t mr_slab_count_max(const struct mr_slab *s)
{
	return s->slabs_max;
}
