/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/program.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#define MAPS_MAX 16

uint32_t mr_program_attached(unsigned ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)ifindex, 0, &q) != 0)
		return 0;
	if (q.drv_prog_id != 0)
		return q.drv_prog_id;
	return q.skb_prog_id != 0 ? q.skb_prog_id : q.hw_prog_id;
}

void mr_program_name(uint32_t id, char *out, size_t bytes)
{
	struct bpf_prog_info info = {0};
	uint32_t info_bytes = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	snprintf(out, bytes, "?");
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_bytes) == 0)
		snprintf(out, bytes, "%.*s", (int)sizeof(info.name), info.name);
	close(fd);
}

static bool is_settings(uint32_t map_id)
{
	struct bpf_map_info info = {0};
	uint32_t bytes = sizeof(info);
	int fd = bpf_map_get_fd_by_id(map_id), error;

	if (fd < 0)
		return false;
	error = bpf_obj_get_info_by_fd(fd, &info, &bytes);
	close(fd);
	return error == 0 && strcmp(info.name, "mr_xdp_settings") == 0;
}

bool mr_program_is_ours(uint32_t id)
{
	uint32_t maps[MAPS_MAX];
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)maps};
	uint32_t bytes = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id), error;

	if (fd < 0)
		return false;
	error = bpf_obj_get_info_by_fd(fd, &info, &bytes);
	close(fd);
	for (uint32_t i = 0; error == 0 && i < info.nr_map_ids && i < MAPS_MAX; i++)
		if (is_settings(maps[i]))
			return true;
	return false;
}
