/* SPDX-License-Identifier: Apache-2.0 */
/* share: how much of each table every peer has, so that no peer can take all of it.
 *
 * A peer is a host (its IPv4 address, or the network of its IPv6 address) or a local user. Root and the
 * bus's own user are one peer, MR_PEER_OWN: it has no share to keep within, and a part of each table
 * is kept for it.
 *
 *   table of `max` | reserve: for MR_PEER_OWN alone | the rest: for everybody, each up to a share |
 *
 * Counts are exact: they are found by the whole key, (peer, of). `of` tells tables apart that have one
 * struct mr_shares, or parts of a table: see MR_SHARE_OF. A count of 0 takes no memory.
 *
 * Owns      Its counts. There are at most entries_max of them that are not 0.
 * Threads   One at a time.
 * Units     Whatever the caller counts: items, bytes.
 * Errors    -EDQUOT: the peer has its share. -ENOMEM: no room for another count. Nothing changed.
 * Hot path  take and give take constant time; take allocates when it grows, which one that starts with
 *           all its entries never does.
 */
#ifndef MILLRACE_BASE_SHARE_H
#define MILLRACE_BASE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Root, and the user that the bus runs as. */
#define MR_PEER_OWN 0u
/* Not known any more. */
#define MR_PEER_UNKNOWN (UINT64_C(3) << 32)

/* Names a count: `kind` below 256, `part` below 2^56. */
#define MR_SHARE_OF(kind, part) ((uint64_t)(kind) << 56 | (uint64_t)(part))

struct mr_share_entry {
	uint64_t peer;
	uint64_t of;
	uint64_t count;
	uint32_t next; /* of its chain, or of the free ones; 0: none */
};

struct mr_shares {
	struct mr_share_entry *entries; /* numbered from 1 on */
	uint32_t *buckets;
	uint32_t mask;
	uint32_t room;
	uint32_t entries_max;
	uint32_t fresh;
	uint32_t freed;
	uint32_t used;
	uint64_t key[4]; /* random: nobody can choose peers whose chains are one */
};

/* What a table of `max` gives to whom. */
struct mr_share_bound {
	uint64_t max;
	uint64_t share;   /* of one peer */
	uint64_t reserve; /* for MR_PEER_OWN */
};

/* `percent` of 1 .. 100 for each peer, at least one item. The reserve is a sixteenth, at least one item
 * of two or more. */
struct mr_share_bound mr_share_bound(uint64_t max, uint32_t percent);

/* True if a table of which `used` are taken has none left for that peer. */
static inline bool mr_share_none_left(const struct mr_share_bound *b, uint64_t peer, uint64_t used)
{
	return used + (peer == MR_PEER_OWN ? 0 : b->reserve) >= b->max;
}

/* Local users, and hosts by their address in network order, IPv4 mapped into IPv6. An IPv6 host is the network of
 * `ip6_bits` in which it may choose any address, 8 to 64. */
uint64_t mr_peer_of_user(uint32_t uid, uint32_t own_uid);
uint64_t mr_peer_of_address(const uint8_t address[16], uint32_t ip6_bits);

/* Begins with room for `entries_first` counts, and grows up to entries_max. -ENOMEM, -EIO. */
int mr_shares_init(struct mr_shares *s, uint32_t entries_first, uint32_t entries_max);
void mr_shares_fini(struct mr_shares *s);

/* Of MR_PEER_OWN: 0. */
uint64_t mr_share_count(const struct mr_shares *s, uint64_t peer, uint64_t of);
/* Takes `amount` if the peer has no more than `share` then. MR_PEER_OWN is not counted. */
int mr_share_take(struct mr_shares *s, uint64_t peer, uint64_t of, uint64_t amount, uint64_t share);
/* Gives back what was taken. */
void mr_share_give(struct mr_shares *s, uint64_t peer, uint64_t of, uint64_t amount);

/* Number of a count that is not 0, and stays so while the number is used; 0: there is none. */
uint32_t mr_share_number(const struct mr_shares *s, uint64_t peer, uint64_t of);
/* The same as take and give of what was taken before, by the number: without looking it up. */
static inline void mr_share_add(struct mr_shares *s, uint32_t number, uint64_t amount)
{
	s->entries[number].count += amount;
}

static inline void mr_share_less(struct mr_shares *s, uint32_t number, uint64_t amount)
{
	struct mr_share_entry *e = &s->entries[number];

	if (e->count > amount)
		e->count -= amount;
	else
		mr_share_give(s, e->peer, e->of, amount);
}

size_t mr_shares_memory_bytes(const struct mr_shares *s);

#endif
