/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/xdp/steer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "dataplane/port/xdp/steer.skel.h"

struct mr_steer {
	struct mr_xdp_steer *skeleton;
	int link_fd; /* -1: not attached */
	uint32_t id;
	int processors;               /* that may ever be there */
	struct mr_xdp_counts *counts; /* room to read one queue: a value for each processor */
};

static int read_id(struct mr_steer *s)
{
	struct bpf_prog_info info = {0};
	uint32_t bytes = sizeof(info);
	int error = bpf_obj_get_info_by_fd(mr_steer_program_fd(s), &info, &bytes);

	s->id = info.id;
	return error;
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

int mr_steer_set(struct mr_steer *s, const struct mr_xdp_settings *settings)
{
	uint32_t key = 0;

	return bpf_map_update_elem(
		bpf_map__fd(s->skeleton->maps.mr_xdp_settings), &key, settings, BPF_ANY);
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
