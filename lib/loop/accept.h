/* SPDX-License-Identifier: Apache-2.0 */
/* accept: a listening unix socket at a path.
 *
 * Open replaces an existing socket file: its caller holds the lock of the run directory, so no
 * running process listens behind that file.
 *
 * Owns      The socket and its file, until close.
 * Threads   The loop's.
 * Errors    -EADDRINUSE: the path is not a socket. -ENAMETOOLONG: the path does not fit an address.
 */
#ifndef MILLRACE_LIB_LOOP_ACCEPT_H
#define MILLRACE_LIB_LOOP_ACCEPT_H

#include <sys/types.h>
#include <sys/un.h>

#include "lib/loop/loop.h"

struct mr_accept {
	struct mr_op op;
	struct mr_loop_timer retry; /* retries after a shortage of descriptors or memory */
	struct mr_loop *loop;
	int fd;
	bool stopping;
	bool paused;
	struct sockaddr_un at;
	/* Called for each connection; takes over `fd`. */
	void (*accepted)(struct mr_accept *a, int fd);
};

/* `type`: SOCK_STREAM or SOCK_SEQPACKET. */
int mr_accept_open(struct mr_accept *a, struct mr_loop *l, const char *path, int type, mode_t mode);
/* Stops accepting while the owner has no room: clients wait in the kernel's bounded queue. */
void mr_accept_pause(struct mr_accept *a);
void mr_accept_resume(struct mr_accept *a);
/* Removes the file. The operation ends in one of the loop's next rounds. */
void mr_accept_close(struct mr_accept *a);

#endif
