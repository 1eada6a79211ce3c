/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/share.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RESERVE_SHARE 16u

/* IPv6 networks below 100::/8 are not assigned to anyone (RFC 4291 §2.4), so numbers below 2^56
 * name other peers. */
#define PEER_IP4  (UINT64_C(1) << 32)
#define PEER_USER (UINT64_C(2) << 32)

struct mr_share_bound mr_share_bound(uint64_t max, uint32_t percent)
{
	uint64_t share = max / 100 * percent + max % 100 * percent / 100;
	uint64_t reserve = max / RESERVE_SHARE;

	return (struct mr_share_bound){
		.max = max,
		.share = share > 0 ? share : 1,
		.reserve = reserve > 0 ? reserve : max >= 2,
	};
}

uint64_t mr_peer_of_user(uint32_t uid, uint32_t own_uid)
{
	return uid == 0 || uid == own_uid ? MR_PEER_OWN : PEER_USER | uid;
}

uint64_t mr_peer_of_address(const uint8_t address[16], uint32_t ip6_bits)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint64_t peer = 0;
	uint32_t from = memcmp(address, mapped, sizeof(mapped)) == 0 ? 12 : 0;

	for (uint32_t i = from; i < (from == 0 ? 8u : 16u); i++)
		peer = peer << 8 | address[i];
	if (from != 0)
		return PEER_IP4 | peer;
	peer &= UINT64_MAX << (64 - ip6_bits);
	return peer >> 56 != 0 ? peer : MR_PEER_UNKNOWN;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t *bucket_of(const struct mr_shares *s, uint64_t peer, uint64_t of)
{
	uint64_t hash = fold(fold(peer ^ s->key[0], of ^ s->key[1]) ^ s->key[2], s->key[3]);

	return &s->buckets[hash & s->mask];
}

/* Returns the link that holds the entry's number, or the end of its chain. */
static uint32_t *find(const struct mr_shares *s, uint64_t peer, uint64_t of)
{
	uint32_t *at = bucket_of(s, peer, of);

	while (*at != 0 && (s->entries[*at].peer != peer || s->entries[*at].of != of))
		at = &s->entries[*at].next;
	return at;
}

static uint32_t buckets_for(uint32_t entries)
{
	uint32_t buckets = 1;

	while (buckets < entries)
		buckets *= 2;
	return buckets;
}

static void chain_all(struct mr_shares *s)
{
	for (uint32_t i = 1; i < s->fresh; i++) {
		struct mr_share_entry *e = &s->entries[i];
		uint32_t *at;

		if (e->count == 0 && e->held == 0)
			continue; /* free: its link belongs to the free list */
		at = bucket_of(s, e->peer, e->of);
		e->next = *at;
		*at = i;
	}
}

static int resize(struct mr_shares *s, uint32_t room)
{
	uint32_t buckets_count = buckets_for(room);
	uint32_t *buckets = calloc(buckets_count, sizeof(*buckets));
	struct mr_share_entry *entries =
		buckets == NULL ? NULL : realloc(s->entries, ((size_t)room + 1) * sizeof(*entries));

	if (entries == NULL) {
		free(buckets);
		return -ENOMEM;
	}
	free(s->buckets);
	s->buckets = buckets;
	s->mask = buckets_count - 1;
	s->entries = entries;
	s->room = room;
	chain_all(s);
	return 0;
}

int mr_shares_init(struct mr_shares *s, uint32_t entries_first, uint32_t entries_max)
{
	assert(entries_first > 0 && entries_first <= entries_max && entries_max <= 1u << 30);
	memset(s, 0, sizeof(*s));
	if (getrandom(s->key, sizeof(s->key), 0) != (ssize_t)sizeof(s->key))
		return -EIO;
	s->fresh = 1;
	s->entries_max = entries_max;
	return resize(s, entries_first);
}

void mr_shares_fini(struct mr_shares *s)
{
	free(s->entries);
	free(s->buckets);
	s->entries = NULL;
	s->buckets = NULL;
}

uint64_t mr_share_count(const struct mr_shares *s, uint64_t peer, uint64_t of)
{
	uint32_t at = peer == MR_PEER_OWN ? 0 : *find(s, peer, of);

	return at != 0 ? s->entries[at].count : 0;
}

static uint32_t entry_new(struct mr_shares *s)
{
	uint32_t at = s->freed;

	if (at != 0) {
		s->freed = s->entries[at].next;
		return at;
	}
	if (s->fresh > s->room) {
		uint32_t twice = s->room < s->entries_max / 2 ? 2 * s->room : s->entries_max;

		if (s->room == s->entries_max || resize(s, twice) != 0)
			return 0;
	}
	return s->fresh++;
}

static int add(struct mr_shares *s, uint64_t peer, uint64_t of, uint64_t amount)
{
	uint32_t number = entry_new(s);
	uint32_t *bucket;

	if (number == 0)
		return -ENOMEM;
	bucket = bucket_of(s, peer, of);
	s->entries[number] =
		(struct mr_share_entry){.peer = peer, .of = of, .count = amount, .next = *bucket};
	*bucket = number;
	s->used++;
	return 0;
}

int mr_share_take(struct mr_shares *s, uint64_t peer, uint64_t of, uint64_t amount, uint64_t share)
{
	uint32_t at;

	if (peer == MR_PEER_OWN || amount == 0)
		return 0;
	at = *find(s, peer, of);
	if (amount > share || (at != 0 && s->entries[at].count > share - amount))
		return -EDQUOT;
	if (at == 0)
		return add(s, peer, of, amount);
	s->entries[at].count += amount;
	return 0;
}

/* Frees the entry at the link if nothing needs it. */
static void free_unused(struct mr_shares *s, uint32_t *link)
{
	uint32_t number = *link;
	struct mr_share_entry *e = &s->entries[number];

	if (e->count > 0 || e->held > 0)
		return;
	*link = e->next;
	e->next = s->freed;
	s->freed = number;
	s->used--;
}

void mr_share_give(struct mr_shares *s, uint64_t peer, uint64_t of, uint64_t amount)
{
	uint32_t *link;

	if (peer == MR_PEER_OWN || amount == 0)
		return;
	link = find(s, peer, of);
	assert(*link != 0 && s->entries[*link].count >= amount);
	s->entries[*link].count -= amount;
	free_unused(s, link);
}

void mr_share_release(struct mr_shares *s, uint32_t number)
{
	struct mr_share_entry *e = &s->entries[number];

	assert(e->held > 0);
	if (--e->held == 0 && e->count == 0)
		free_unused(s, find(s, e->peer, e->of));
}

uint32_t mr_share_number(const struct mr_shares *s, uint64_t peer, uint64_t of)
{
	return peer == MR_PEER_OWN ? 0 : *find(s, peer, of);
}

void mr_shares_clear(struct mr_shares *s)
{
	memset(s->buckets, 0, ((size_t)s->mask + 1) * sizeof(*s->buckets));
	s->fresh = 1;
	s->freed = 0;
	s->used = 0;
}

size_t mr_shares_memory_bytes(const struct mr_shares *s)
{
	return ((size_t)s->room + 1) * sizeof(*s->entries) +
	       ((size_t)s->mask + 1) * sizeof(*s->buckets);
}
