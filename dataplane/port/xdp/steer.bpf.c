/* SPDX-License-Identifier: Apache-2.0 */
/* steer: the XDP program of an AF_XDP port. Packets for the bus go to the socket of the queue on
 * which they came, as far as the port's limits allow, all others on to the kernel.
 *
 * libxdp adopts an attached program by three names: the function xsk_def_prog, the map xsks_map,
 * and xsk_prog_version in the section xdp_metadata. DPDK's driver then puts its sockets there. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/port/xdp/classify.h"
#include "dataplane/port/xdp/guard.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MR_XDP_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mr_xdp_settings);
} mr_xdp_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MR_XDP_QUEUES_MAX + 1);
	__type(key, __u32);
	__type(value, struct mr_xdp_counts);
} mr_xdp_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MR_XDP_PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mr_xdp_prefix);
	__type(value, __u32); /* enum mr_xdp_access */
} mr_xdp_access SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MR_XDP_PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mr_xdp_prefix);
	__type(value, struct mr_xdp_limit);
} mr_xdp_limits SEC(".maps");

/* The key is a hash of the source. An array, because the kernel looks it up without a call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << MR_XDP_SETS_BITS);
	__type(key, __u32);
	__type(value, struct mr_xdp_set);
} mr_xdp_sources SEC(".maps");

/* The bucket of sources that have none: when it is full. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} mr_xdp_unknown SEC(".maps");

/* Decides by the prefixes that are allowed and denied. */
static __always_inline enum mr_xdp_verdict admit(
	const struct mr_xdp_guard *g, const struct mr_xdp_prefix *source)
{
	const __u32 *access = bpf_map_lookup_elem(&mr_xdp_access, source);

	if (access)
		return *access == MR_XDP_DENY ? MR_XDP_DENIED : MR_XDP_BUS;
	return g->allowed_count > 0 ? MR_XDP_NOT_ALLOWED : MR_XDP_BUS;
}

/* The kernel's ticks a second; libbpf fills it in, or leaves 0 if the kernel does not tell. */
extern unsigned long CONFIG_HZ __kconfig __weak;

/* Returns the length of a jiffy, or 0 if it is not known. The verifier knows CONFIG_HZ, and leaves
 * one case. */
static __always_inline __u64 tick_ns(void)
{
	switch (CONFIG_HZ) {
	case 100: return 10000000;
	case 250: return 4000000;
	case 300: return 3333333;
	case 1000: return 1000000;
	default: return 0;
	}
}

/* Returns a time that advances with the kernel's tick. Jiffies are read without a call. */
static __always_inline __u64 read_clock(void)
{
	__u64 tick = tick_ns();

	return tick > 0 ? bpf_jiffies64() * tick : bpf_ktime_get_coarse_ns();
}

/* Takes from the bucket of sources that are not remembered. Returns 0 if it is empty. */
static __always_inline int take_unknown(const struct mr_xdp_guard *g, __u64 now)
{
	__u32 zero = 0;
	__u64 *bucket = bpf_map_lookup_elem(&mr_xdp_unknown, &zero);

	return g->unknown.interval_ns == 0 || !bucket || mr_xdp_take(bucket, &g->unknown, now);
}

static __always_inline enum mr_xdp_verdict limit_source(
	const struct mr_xdp_guard *g, const struct mr_xdp_prefix *source, __u64 now)
{
	__u64 key = mr_xdp_source_key(source);
	__u32 index = mr_xdp_set_of(g, key), at;
	struct mr_xdp_set *set = bpf_map_lookup_elem(&mr_xdp_sources, &index);

	if (!set)
		return MR_XDP_BUS;
	at = mr_xdp_find(set, key);
	if (at >= MR_XDP_WAYS) {
		if (!take_unknown(g, now))
			return MR_XDP_LIMITED_NEW;
		mr_xdp_remember(set, key, now + g->source.interval_ns);
		return MR_XDP_BUS;
	}
	if (g->source.interval_ns > 0)
		return mr_xdp_take(&set->due_ns[at], &g->source, now) ? MR_XDP_BUS : MR_XDP_LIMITED;
	set->due_ns[at] = now;
	return MR_XDP_BUS;
}

static __always_inline enum mr_xdp_verdict limit_prefix(
	const struct mr_xdp_prefix *source, __u64 now)
{
	struct mr_xdp_limit *l = bpf_map_lookup_elem(&mr_xdp_limits, source);

	return !l || mr_xdp_take(&l->due_ns, &l->rate, now) ? MR_XDP_BUS : MR_XDP_LIMITED_PREFIX;
}

/* Decides whether the bus gets a packet that is for it. A source takes from its own bucket first,
 * so one that sends too fast does not empty the bucket of its prefix. */
static __always_inline enum mr_xdp_verdict guard(
	const struct mr_xdp_guard *g, const __u8 *at, const __u8 *end)
{
	int sources = g->source.interval_ns > 0 || g->unknown.interval_ns > 0;
	enum mr_xdp_verdict verdict = MR_XDP_BUS;
	struct mr_xdp_prefix source;
	__u64 now;

	if (!sources && g->access_count == 0 && g->limits_count == 0)
		return MR_XDP_BUS;
	if (!mr_xdp_source(at, end, &source))
		return MR_XDP_BUS;
	if (g->access_count > 0)
		verdict = admit(g, &source);
	if (verdict != MR_XDP_BUS || (!sources && g->limits_count == 0))
		return verdict;
	now = read_clock();
	if (sources)
		verdict = limit_source(g, &source, now);
	return verdict == MR_XDP_BUS && g->limits_count > 0 ? limit_prefix(&source, now) : verdict;
}

static __always_inline void count(__u32 queue, enum mr_xdp_verdict verdict)
{
	__u32 key = queue < MR_XDP_QUEUES_MAX ? queue : MR_XDP_QUEUES_MAX;
	struct mr_xdp_counts *c = bpf_map_lookup_elem(&mr_xdp_counts, &key);

	if (c)
		c->packets[verdict]++;
}

SEC("xdp")
int xsk_def_prog(struct xdp_md *context)
{
	const __u8 *at = (const __u8 *)(long)context->data;
	const __u8 *end = (const __u8 *)(long)context->data_end;
	__u32 zero = 0, queue = context->rx_queue_index;
	const struct mr_xdp_settings *s = bpf_map_lookup_elem(&mr_xdp_settings, &zero);
	enum mr_xdp_verdict verdict;
	int action = XDP_PASS;

	if (!s || s->version != MR_XDP_VERSION)
		return XDP_PASS;
	verdict = mr_xdp_classify(s, at, end);
	if (verdict == MR_XDP_BUS)
		verdict = guard(&s->guard, at, end);
	if (verdict >= MR_XDP_DENIED) {
		action = XDP_DROP;
	} else if (verdict == MR_XDP_BUS) {
		action = (int)bpf_redirect_map(&xsks_map, queue, XDP_PASS);
		if (action != XDP_REDIRECT)
			verdict = MR_XDP_NO_SOCKET;
	}
	count(queue, verdict);
	return action;
}

/* The kernel asks for a license's name; no helper here is for GPL programs only. */
char program_license[] SEC("license") = "Apache-2.0";

/* The type `int (*)[1]` says 1, the version of libxdp's default program. */
__uint(xsk_prog_version, 1) SEC("xdp_metadata");
