/* SPDX-License-Identifier: Apache-2.0 */
/* admin_socket: the asking side of the admin socket: bytes with their length in front, one request
 * and one answer at a time. What they mean is said in flatbuf/schemas/admin.fbs.
 *
 * Owns      A descriptor, and the last answer, which the next receive replaces.
 * Threads   One at a time.
 * Errors    -errno. -ETIMEDOUT: nothing for 8 s, signals or not; -ECONNRESET: the other side has
 *           closed; -EBADMSG: an answer of more than 64 MiB; -EINTR: `stop` said so. After any
 *           error of send or receive the descriptor is closed, and further calls return -ENOTCONN.
 */
#ifndef MILLRACE_BASE_ADMIN_SOCKET_H
#define MILLRACE_BASE_ADMIN_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MR_ADMIN_SOCKET_PATH_BYTES 108 /* as of sockaddr_un, with the final 0 */

struct mr_admin_socket {
	int fd;              /* -1: none */
	bool (*stop)(void);  /* true: a signal ends a wait for the answer; NULL: none does */
	uint8_t *answer;     /* the last answer */
	size_t answer_bytes; /* of it */
	size_t answer_room;  /* of the memory behind `answer` */
};

/* Connects to the socket at `path`. On failure nothing is to be closed. -ENAMETOOLONG: the path
 * has more than MR_ADMIN_SOCKET_PATH_BYTES. */
int mr_admin_socket_open(struct mr_admin_socket *s, const char *path, bool (*stop)(void));
void mr_admin_socket_close(struct mr_admin_socket *s);
int mr_admin_socket_send(struct mr_admin_socket *s, const void *request, size_t bytes);
int mr_admin_socket_receive(struct mr_admin_socket *s);
/* Returns the last answer, which is the caller's to free from then on. */
void *mr_admin_socket_keep(struct mr_admin_socket *s);

#endif
