/* SPDX-License-Identifier: Apache-2.0 */
/* guard: sources and token buckets of the XDP program. Compiled for the program and, for tests, for
 * user space.
 *
 * A bucket is one number, the time at which it will be full again (the generic cell rate algorithm,
 * ITU-T I.371). Two processors that take at once may both read the old time: then one token is
 * taken for two packets. Packets of one source mostly come on one queue.
 *
 * Threads   Pure functions over their arguments.
 * Hot path  All of it.
 */
#ifndef MILLRACE_PORT_XDP_GUARD_H
#define MILLRACE_PORT_XDP_GUARD_H

#include "dataplane/port/xdp/classify.h"

/* Takes a token from the bucket that is full at *due_ns. Returns 0 if there is none. */
MR_XDP_INLINE int mr_xdp_take(__u64 *due_ns, const struct mr_xdp_rate *rate, __u64 now_ns)
{
	__u64 due = *due_ns;

	if (due < now_ns)
		due = now_ns;
	/* No bucket of this rate is further from full: the rate has changed. */
	if (due - now_ns > rate->burst_ns + rate->interval_ns)
		due = now_ns + rate->burst_ns;
	if (due - now_ns > rate->burst_ns)
		return 0;
	*due_ns = due + rate->interval_ns;
	return 1;
}

/* Reads the source of an untagged packet. Returns 0 if it is neither IPv4 nor IPv6. */
MR_XDP_INLINE int mr_xdp_source(const __u8 *at, const __u8 *end, struct mr_xdp_prefix *out)
{
	const __u8 *ip = at + sizeof(struct ethhdr);
	__u16 type;

	if (ip + sizeof(struct iphdr) > end)
		return 0;
	__builtin_memcpy(&type, at + 12, sizeof(type));
	if (type == MR_XDP_BE16(ETH_P_IP)) {
		out->bits = MR_XDP_FAMILY_BITS + 32;
		out->family = 4;
		__builtin_memcpy(&out->address[0], ip + 12, 4);
		out->address[1] = out->address[2] = out->address[3] = 0;
		return 1;
	}
	if (type != MR_XDP_BE16(ETH_P_IPV6) || ip + sizeof(struct ipv6hdr) > end)
		return 0;
	out->bits = MR_XDP_FAMILY_BITS + 128;
	out->family = 6;
	__builtin_memcpy(out->address, ip + 8, sizeof(out->address));
	return 1;
}

/* Returns the key of a source's bucket, never 0. No IPv6 source is in 0:4::/32, except
 * forged ones: those may share the bucket of an IPv4 address, whose packets could as well be
 * forged. */
MR_XDP_INLINE __u64 mr_xdp_source_key(const struct mr_xdp_prefix *source)
{
	__u64 key = (__u64)source->family << 32 | source->address[0];

	if (source->family == 6)
		key = (__u64)source->address[1] << 32 | source->address[0];
	return key != 0 ? key : 6;
}

/* Returns the set of a source: a multiplicative hash with a secret factor. All bits of the key
 * reach the first bits of the product. */
MR_XDP_INLINE __u32 mr_xdp_set_of(const struct mr_xdp_guard *g, __u64 key)
{
	return (__u32)(((key ^ g->seeds[0]) * g->seeds[1]) >> (64 - MR_XDP_SETS_BITS));
}

/* Returns the place of a source in its set, or MR_XDP_WAYS. */
MR_XDP_INLINE __u32 mr_xdp_find(const struct mr_xdp_set *set, __u64 key)
{
	for (__u32 i = 0; i < MR_XDP_WAYS; i++)
		if (set->keys[i] == key)
			return i;
	return MR_XDP_WAYS;
}

/* Puts a source into the set, in place of the one whose time is the oldest. */
MR_XDP_INLINE void mr_xdp_remember(struct mr_xdp_set *set, __u64 key, __u64 due_ns)
{
	__u32 at = 0;

	for (__u32 i = 1; i < MR_XDP_WAYS; i++)
		if (set->due_ns[i] < set->due_ns[at & (MR_XDP_WAYS - 1)])
			at = i;
	at &= MR_XDP_WAYS - 1;
	set->keys[at] = key;
	set->due_ns[at] = due_ns;
}

#endif
