/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench/window.h"

#include <sys/socket.h>
#include <unistd.h>

#define WINDOW_MAX 32768u
/* Bytes of a subscriber's ring in use with the default ring of 4 MiB, with a reserve; bytes that a
 * delivery adds to its payload: header, lengths, subject, padding. */
#define RING_BYTES     3700000u
#define DELIVERY_BYTES 46u
/* Socket buffer that libmillrace requests; the kernel's cost of an Ethernet frame; and roughly the
 * bytes of messages in a frame. */
#define SOCKET_BYTES   (4 << 20)
#define FRAME_COST     2304u
#define FRAME_MESSAGES 1300u
/* Over UDP nobody waits for room: the receive rings of ports hold about 2,000 frames. */
#define PORT_BYTES 1800000u
#define BATCH_SHM  32u
#define BATCH_UDP  512u /* large enough that the kernel gets frames in dozens */

/* Returns the bytes of messages that our socket's buffer holds; privileged users get a larger
 * one. */
static uint64_t socket_room(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int bytes = SOCKET_BYTES;
	socklen_t size = sizeof(bytes);
	uint64_t room;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, size) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, size);
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size) != 0)
		bytes = 0;
	close(fd);
	room = (uint64_t)bytes / FRAME_COST * FRAME_MESSAGES;
	return room < PORT_BYTES ? room : PORT_BYTES;
}

uint64_t mr_bench_window(bool udp, uint64_t bytes)
{
	uint64_t fits = (udp ? socket_room() : RING_BYTES) / (bytes + DELIVERY_BYTES);

	return fits < WINDOW_MAX ? fits : WINDOW_MAX;
}

/* Over UDP at most a quarter of the window, so that the bus works while the next batch is made. */
uint32_t mr_bench_batch(bool udp, uint64_t window)
{
	uint64_t quarter = window >= 4 ? window / 4 : 1;

	if (!udp)
		return BATCH_SHM;
	return quarter < BATCH_UDP ? (uint32_t)quarter : BATCH_UDP;
}
