/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/xdp/steer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "lib/config/address.h"
#include "lib/config/port_rule.h"
#include "dataplane/port/xdp/steer.skel.h"

#define NS_PER_SECOND 1000000000ull

struct mr_steer {
	struct mr_xdp_steer *skeleton;
	int link_fd; /* -1: not attached */
	uint32_t id;
	int processors;               /* that may ever be there */
	struct mr_xdp_counts *counts; /* room to read one queue: a value for each processor */
	struct mr_xdp_settings settings;
	struct mr_config_rule *rules; /* those in the maps */
	uint32_t rules_count;
	uint32_t rules_room;
};

static int read_id(struct mr_steer *s)
{
	struct bpf_prog_info info = {0};
	uint32_t bytes = sizeof(info);
	int error = bpf_obj_get_info_by_fd(mr_steer_program_fd(s), &info, &bytes);

	s->id = info.id;
	return error;
}

/* Gives the guard the secret of its hash. */
static int prepare_guard(struct mr_steer *s)
{
	struct mr_xdp_guard *g = &s->settings.guard;

	if (getrandom(g->seeds, sizeof(g->seeds), 0) != (ssize_t)sizeof(g->seeds))
		return -EIO;
	g->seeds[1] |= 1;
	return 0;
}

static int load(struct mr_steer *s, const struct mr_xdp_settings *settings)
{
	int error;

	s->processors = libbpf_num_possible_cpus();
	if (s->processors < 0)
		return s->processors;
	s->counts = calloc((size_t)s->processors, sizeof(*s->counts));
	s->skeleton = mr_xdp_steer__open();
	if (s->counts == NULL || s->skeleton == NULL)
		return errno != 0 ? -errno : -ENOMEM;
	error = mr_xdp_steer__load(s->skeleton);
	if (error == 0)
		error = read_id(s);
	if (error == 0)
		error = prepare_guard(s);
	return error != 0 ? error : mr_steer_set(s, settings);
}

int mr_steer_open(const struct mr_xdp_settings *settings, struct mr_steer **out)
{
	struct mr_steer *s = calloc(1, sizeof(*s));
	int error;

	if (s == NULL)
		return -ENOMEM;
	s->link_fd = -1;
	error = load(s, settings);
	if (error != 0) {
		mr_steer_close(s);
		return error;
	}
	*out = s;
	return 0;
}

static int attach(struct mr_steer *s, unsigned ifindex, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
	int fd = bpf_link_create(mr_steer_program_fd(s), (int)ifindex, BPF_XDP, &options);

	if (fd < 0)
		return fd;
	s->link_fd = fd;
	return 0;
}

int mr_steer_attach(struct mr_steer *s, unsigned ifindex, bool *native)
{
	int error = attach(s, ifindex, XDP_FLAGS_DRV_MODE);

	*native = error == 0;
	if (error == 0 || error == -EBUSY || error == -EEXIST || error == -EPERM)
		return error;
	return attach(s, ifindex, XDP_FLAGS_SKB_MODE);
}

void mr_steer_close(struct mr_steer *s)
{
	if (s == NULL)
		return;
	if (s->link_fd >= 0)
		close(s->link_fd);
	mr_xdp_steer__destroy(s->skeleton);
	free(s->counts);
	free(s->rules);
	free(s);
}

uint32_t mr_steer_id(const struct mr_steer *s)
{
	return s->id;
}

int mr_steer_program_fd(const struct mr_steer *s)
{
	return bpf_program__fd(s->skeleton->progs.xsk_def_prog);
}

int mr_steer_sockets_fd(const struct mr_steer *s)
{
	return bpf_map__fd(s->skeleton->maps.xsks_map);
}

static int write_settings(struct mr_steer *s)
{
	uint32_t key = 0;

	return bpf_map_update_elem(
		bpf_map__fd(s->skeleton->maps.mr_xdp_settings), &key, &s->settings, BPF_ANY);
}

int mr_steer_set(struct mr_steer *s, const struct mr_xdp_settings *settings)
{
	struct mr_xdp_guard guard = s->settings.guard;

	s->settings = *settings;
	s->settings.version = MR_XDP_VERSION;
	s->settings.guard = guard;
	return write_settings(s);
}

/* ---- limits and prefixes */

static struct mr_xdp_rate rate_of(const struct mr_config_rule *r)
{
	uint64_t interval_ns = r->rate > 0 ? NS_PER_SECOND / r->rate : 0;

	return (struct mr_xdp_rate){
		.interval_ns = interval_ns,
		.burst_ns = r->burst > 0 ? (r->burst - 1) * interval_ns : 0,
	};
}

static struct mr_xdp_prefix prefix_of(const struct mr_config_rule *r)
{
	const struct mr_config_network *n = &r->network;
	bool is_ipv4 = mr_config_network_is_ipv4(n) && n->prefix_bits >= 96;
	struct mr_xdp_prefix p = {
		.family = is_ipv4 ? 4 : 6,
		.bits = MR_XDP_FAMILY_BITS + n->prefix_bits - (is_ipv4 ? 96u : 0u),
	};

	memcpy(p.address, n->address + (is_ipv4 ? 12 : 0), is_ipv4 ? 4 : 16);
	return p;
}

static int write_prefix(struct mr_steer *s, const struct mr_config_rule *r)
{
	uint32_t access = r->kind == MRF_PORT_RULE_KIND_DENY ? MR_XDP_DENY : MR_XDP_ALLOW;
	struct mr_xdp_limit limit = {.rate = rate_of(r)};
	struct mr_xdp_prefix key = prefix_of(r);

	if (r->kind == MRF_PORT_RULE_KIND_PREFIX)
		return bpf_map_update_elem(
			bpf_map__fd(s->skeleton->maps.mr_xdp_limits), &key, &limit, BPF_ANY);
	return bpf_map_update_elem(
		bpf_map__fd(s->skeleton->maps.mr_xdp_access), &key, &access, BPF_ANY);
}

static int remove_prefix(struct mr_steer *s, const struct mr_config_rule *r)
{
	struct mr_xdp_prefix key = prefix_of(r);

	return bpf_map_delete_elem(
		bpf_map__fd(r->kind == MRF_PORT_RULE_KIND_PREFIX ? s->skeleton->maps.mr_xdp_limits
								 : s->skeleton->maps.mr_xdp_access),
		&key);
}

/* Adds to the guard what a rule changes there, or takes it away. */
static void account(struct mr_xdp_guard *g, const struct mr_config_rule *r, bool there)
{
	const struct mr_xdp_rate none = {0};
	uint32_t change = there ? 1 : UINT32_MAX; /* less one */

	switch (r->kind) {
	case MRF_PORT_RULE_KIND_SOURCES: g->source = there ? rate_of(r) : none; break;
	case MRF_PORT_RULE_KIND_NEW: g->unknown = there ? rate_of(r) : none; break;
	case MRF_PORT_RULE_KIND_PREFIX: g->limits_count += change; break;
	case MRF_PORT_RULE_KIND_ALLOW: g->allowed_count += change; /* fall through */
	case MRF_PORT_RULE_KIND_DENY: g->access_count += change; break;
	default: break;
	}
}

static bool has_prefix(const struct mr_config_rule *r)
{
	return r->kind >= MRF_PORT_RULE_KIND_PREFIX;
}

static uint32_t find_rule(const struct mr_steer *s, const struct mr_config_rule *r)
{
	uint32_t i = 0;

	while (i < s->rules_count && !mr_config_rule_same(&s->rules[i], r))
		i++;
	return i;
}

static int make_room(struct mr_steer *s)
{
	uint32_t room = s->rules_room > 0 ? s->rules_room * 2 : 16;
	struct mr_config_rule *rules;

	if (s->rules_count < s->rules_room)
		return 0;
	rules = realloc(s->rules, room * sizeof(*rules));
	if (rules == NULL)
		return -ENOMEM;
	s->rules = rules;
	s->rules_room = room;
	return 0;
}

int mr_steer_rule_set(struct mr_steer *s, const struct mr_config_rule *rule)
{
	uint32_t at = find_rule(s, rule);
	int error = make_room(s);

	if (error == 0 && has_prefix(rule))
		error = write_prefix(s, rule);
	if (error != 0)
		return error;
	if (at < s->rules_count)
		account(&s->settings.guard, &s->rules[at], false);
	else
		s->rules_count++;
	s->rules[at] = *rule;
	account(&s->settings.guard, rule, true);
	return write_settings(s);
}

int mr_steer_rule_remove(struct mr_steer *s, const struct mr_config_rule *rule)
{
	uint32_t at = find_rule(s, rule);
	struct mr_config_rule r;
	int error = 0;

	if (at == s->rules_count || s->rules[at].kind != rule->kind)
		return -ENOENT;
	r = s->rules[at];
	if (has_prefix(&r))
		error = remove_prefix(s, &r);
	if (error != 0)
		return error;
	account(&s->settings.guard, &r, false);
	memmove(&s->rules[at], &s->rules[at + 1], (--s->rules_count - at) * sizeof(*s->rules));
	return write_settings(s);
}

const struct mr_config_rule *mr_steer_rules(const struct mr_steer *s, uint32_t *count)
{
	*count = s->rules_count;
	return s->rules;
}

int mr_steer_counts(const struct mr_steer *s, uint32_t queue, struct mr_xdp_counts *out)
{
	int error = bpf_map_lookup_elem(
		bpf_map__fd(s->skeleton->maps.mr_xdp_counts), &queue, s->counts);

	memset(out, 0, sizeof(*out));
	for (int i = 0; error == 0 && i < s->processors; i++)
		for (unsigned v = 0; v < MR_XDP_VERDICTS_COUNT; v++)
			out->packets[v] += s->counts[i].packets[v];
	return error;
}
