/* SPDX-License-Identifier: Apache-2.0 */
/* memif: the sockets and interfaces of a port whose packets go through memory shared with another
 * process. See memif_link.h and memif_ring.h. */
#ifndef MILLRACE_PORT_MEMIF_H
#define MILLRACE_PORT_MEMIF_H

#include "dataplane/port/memif_link.h"

/* Connections that have not said yet which interface they want. */
#define MR_MEMIF_WAITING_MAX 8u

struct mr_memif {
	int events_fd; /* epoll set of all sockets */
	int listen_fd; /* server; -1: none */
	bool listens;  /* listen_fd is in the set */
	bool warned;   /* about a peer that wants doorbells */
	const char *path;
	struct {
		int fd; /* -1: none */
		uint64_t since;
	} waiting[MR_MEMIF_WAITING_MAX];
	uint32_t links_count;
	struct mr_memif_link links[]; /* one for each worker */
};

#endif
