/* SPDX-License-Identifier: Apache-2.0 */
/* packet: one datagram with descriptors over a unix SOCK_SEQPACKET socket.
 *
 * Owns      Sent descriptors stay the sender's. Received ones become the caller's.
 * Errors    Bytes moved or -errno. -EAGAIN: the socket is not ready. 0 received: the peer closed.
 *           -EMSGSIZE: the packet or its descriptors exceeded the caller's room; both are dropped,
 *           descriptors closed.
 */
#ifndef MILLRACE_CHANNEL_PACKET_H
#define MILLRACE_CHANNEL_PACKET_H

#include <stddef.h>
#include <sys/types.h>

/* Most descriptors in one packet: the kernel's own limit. */
#define MR_PACKET_FDS_MAX 253u

ssize_t mr_packet_send(
	int socket_fd, const void *data, size_t bytes, const int *fds, unsigned fds_count);

/* *fds_count: room on the way in, received on the way out. Received descriptors close on exec. */
ssize_t mr_packet_receive(
	int socket_fd, void *data, size_t capacity_bytes, int *fds, unsigned *fds_count);

#endif
