/* SPDX-License-Identifier: Apache-2.0 */
/* steer: the XDP program of an AF_XDP port. Packets for the bus go to the socket of the queue on
 * which they came, all others on to the kernel.
 *
 * libxdp adopts an attached program by three names: the function xsk_def_prog, the map xsks_map,
 * and xsk_prog_version in the section xdp_metadata. DPDK's driver then puts its sockets there. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/port/xdp/classify.h"

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

	if (!s)
		return XDP_PASS;
	verdict = mr_xdp_classify(s, at, end);
	if (verdict == MR_XDP_BUS) {
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
