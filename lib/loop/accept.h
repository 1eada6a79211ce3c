/* SPDX-License-Identifier: Apache-2.0 */
/* accept: a listening unix socket at a path.
 *
 * A socket file that is there already is replaced: whoever opens this holds the run directory's lock,
 * so nobody alive listens behind it.
 *
 * Owns      The socket and its file, until stop.
 * Threads   The loop's.
 * Errors    -EADDRINUSE: something else than a socket is there. -ENAMETOOLONG: the path does not fit an address.
 */
#ifndef MILLRACE_LIB_LOOP_ACCEPT_H
#define MILLRACE_LIB_LOOP_ACCEPT_H

#include <sys/types.h>
#include <sys/un.h>

#include "lib/loop/loop.h"

struct mr_accept {
	struct mr_op op;
	struct mr_loop_timer again; /* after a shortage of descriptors or memory */
	struct mr_loop *loop;
	int fd;
	bool stopping;
	bool paused;
	struct sockaddr_un at;
	/* Takes over `fd`. */
	void (*accepted)(struct mr_accept *a, int fd);
};

/* `type`: SOCK_STREAM or SOCK_SEQPACKET. */
int mr_accept_open(struct mr_accept *a, struct mr_loop *l, const char *path, int type, mode_t mode);
/* For an owner without room: those who connect wait, in the kernel's bounded queue. */
void mr_accept_pause(struct mr_accept *a);
void mr_accept_resume(struct mr_accept *a);
/* Removes the file. The operation ends with the loop's next steps. */
void mr_accept_close(struct mr_accept *a);

#endif
