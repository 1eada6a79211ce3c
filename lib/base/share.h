/* SPDX-License-Identifier: Apache-2.0 */
/* share: limits the part of each table that one peer may take, so that no peer can take all of it.
 *
 * A peer is a host (its IPv4 address, or the network of its IPv6 address) or a local user. Root and
 * the bus's own user are one peer, MR_PEER_OWN. It has no limit, and a part of each table is
 * reserved for it.
 *
 *   table of `max` | reserve: for MR_PEER_OWN alone | the rest: for everybody, each up to a share |
 *
 * Counts are exact: a count is found by its whole key (peer, of). `of` distinguishes the tables
 * that share one struct mr_shares, or the parts of a table: see MR_SHARE_OF. A count of 0 takes no
 * memory, unless it is held.
 *
 * Owns      Its counts; at most entries_max of them are not 0 or are held.
 * Threads   One at a time.
 * Units     The caller's: items or bytes.
 * Errors    -EDQUOT: the peer has its share. -ENOMEM: no room for another count. Nothing changed.
 * Hot path  take and give take constant time. take allocates only when it grows; it never grows if
 *           init made room for all entries.
 */
#ifndef MILLRACE_BASE_SHARE_H
#define MILLRACE_BASE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Root, and the user that runs the bus. */
#define MR_PEER_OWN 0u
/* A peer that is no longer known. */
#define MR_PEER_UNKNOWN (UINT64_C(3) << 32)

/* Names a count: `kind` below 256, `part` below 2^56. */
#define MR_SHARE_OF(kind, part) ((uint64_t)(kind) << 56 | (uint64_t)(part))

struct mr_share_entry {
	uint64_t peer;
	uint64_t of;
	uint64_t count;
	uint32_t next; /* link of the hash chain or the free list; 0: none */
	uint32_t held; /* mr_share_hold without mr_share_release so far */
};

struct mr_shares {
	struct mr_share_entry *entries; /* numbered from 1 */
	uint32_t *buckets;
	uint32_t mask;
	uint32_t room;
	uint32_t entries_max;
	uint32_t fresh;
	uint32_t freed;
	uint32_t used;
	uint64_t key[4]; /* random, so that no peer can choose keys that collide */
};

/* The limits of a table of `max` items. */
struct mr_share_bound {
	uint64_t max;
	uint64_t share;   /* for one peer */
	uint64_t reserve; /* for MR_PEER_OWN */
};

/* Gives each peer `percent` (1 .. 100) of the table, at least one item. The reserve is a sixteenth
 * of the table, at least one item of two or more. */
struct mr_share_bound mr_share_bound(uint64_t max, uint32_t percent);

/* True if a table with `used` items taken has none left for that peer. */
static inline bool mr_share_none_left(const struct mr_share_bound *b, uint64_t peer, uint64_t used)
{
	return used + (peer == MR_PEER_OWN ? 0 : b->reserve) >= b->max;
}

/* Return the peer of a local user, or of a host by its address in network order (IPv4 mapped into
 * IPv6). An IPv6 host is identified by the network prefix of `ip6_bits` (8 .. 64) within which it
 * can choose any address. */
uint64_t mr_peer_of_user(uint32_t uid, uint32_t own_uid);
uint64_t mr_peer_of_address(const uint8_t address[16], uint32_t ip6_bits);

/* Makes room for `entries_first` counts; it grows up to entries_max. -ENOMEM, -EIO. */
int mr_shares_init(struct mr_shares *s, uint32_t entries_first, uint32_t entries_max);
void mr_shares_fini(struct mr_shares *s);

/* Returns 0 for MR_PEER_OWN. */
uint64_t mr_share_count(const struct mr_shares *s, uint64_t peer, uint64_t of);
/* Adds `amount` if the peer's count stays within `share`. MR_PEER_OWN is not counted. */
int mr_share_take(struct mr_shares *s, uint64_t peer, uint64_t of, uint64_t amount, uint64_t share);
/* Subtracts `amount`, which was taken before. */
void mr_share_give(struct mr_shares *s, uint64_t peer, uint64_t of, uint64_t amount);

/* Returns the number of a count that is not 0 or is held; the number is valid that long. 0: there
 * is no such count. */
uint32_t mr_share_number(const struct mr_shares *s, uint64_t peer, uint64_t of);
/* Holds a count that is not 0, so that its number is not given to another peer when it becomes 0;
 * and the reverse, once for each time. */
static inline void mr_share_hold(struct mr_shares *s, uint32_t number)
{
	s->entries[number].held++;
}
void mr_share_release(struct mr_shares *s, uint32_t number);
/* Add to or subtract from a count by its number, without the look-up of take and give. */
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

/* Sets all counts to 0. */
void mr_shares_clear(struct mr_shares *s);

size_t mr_shares_memory_bytes(const struct mr_shares *s);

#endif
