/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/port/program.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

static uint32_t query(unsigned ifindex, uint32_t *flags)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)ifindex, 0, &q) != 0)
		return 0;
	*flags = XDP_FLAGS_DRV_MODE;
	if (q.drv_prog_id != 0)
		return q.drv_prog_id;
	*flags = XDP_FLAGS_SKB_MODE;
	if (q.skb_prog_id != 0)
		return q.skb_prog_id;
	*flags = XDP_FLAGS_HW_MODE;
	return q.hw_prog_id;
}

uint32_t mr_program_attached(unsigned ifindex)
{
	uint32_t flags;

	return query(ifindex, &flags);
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

int mr_program_detach(unsigned ifindex, uint32_t id)
{
	uint32_t flags;

	if (id == 0 || query(ifindex, &flags) != id)
		return 0;
	return bpf_xdp_detach((int)ifindex, flags, NULL);
}

static void note_path(const char *dir, const char *interface, char *out, size_t bytes)
{
	snprintf(out, bytes, "%s/xdp-%s", dir, interface);
}

void mr_program_note(const char *dir, const char *interface, uint32_t id)
{
	char path[PATH_MAX];
	int fd;

	note_path(dir, interface, path, sizeof(path));
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	dprintf(fd, "%u\n", id);
	close(fd);
}

uint32_t mr_program_noted(const char *dir, const char *interface)
{
	char path[PATH_MAX];
	unsigned id = 0;
	FILE *f;

	note_path(dir, interface, path, sizeof(path));
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%u", &id) != 1)
		id = 0;
	fclose(f);
	return id;
}

void mr_program_forget(const char *dir, const char *interface)
{
	char path[PATH_MAX];

	note_path(dir, interface, path, sizeof(path));
	unlink(path);
}
