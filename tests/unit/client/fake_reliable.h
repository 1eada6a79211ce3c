/* SPDX-License-Identifier: Apache-2.0 */
/* fake_reliable: the bus's end of the reliable flow of a session of the fake bus.
 *
 * Owns      Log and slots, from open to close.
 * Threads   The bus's.
 */
#ifndef MILLRACE_TESTS_UNIT_CLIENT_FAKE_RELIABLE_H
#define MILLRACE_TESTS_UNIT_CLIENT_FAKE_RELIABLE_H

#include "lib/wire/reliable.h"

#define FAKE_RELIABLE_FRAMES 64u

struct bus;
struct bus_session;

struct fake_reliable {
	bool on; /* the client has announced that it has the flow */
	struct mr_reliable_tx tx;
	struct mr_reliable_frame frames[FAKE_RELIABLE_FRAMES];
	struct mr_reliable_rx rx;
	uint8_t *memory; /* log, then slots */
	uint32_t kept_bytes[FAKE_RELIABLE_FRAMES];
};

void fake_reliable_open(struct bus_session *s, uint32_t credit);
void fake_reliable_close(struct bus_session *s);
/* True if there is room for another frame. */
bool fake_reliable_has_room(const struct bus_session *s);
/* Sends a frame of the flow; its messages stand behind the room for a header. */
void fake_reliable_send(
	struct bus *b, struct bus_session *s, uint8_t *frame, uint32_t bytes, uint16_t messages);
/* Takes a frame with any flag, or of sequence 0. */
void fake_reliable_take(struct bus *b, struct bus_session *s, const uint8_t *at, size_t bytes,
	const struct mrf_frame_header *frame);
/* Once a round: retransmits due frames, and sends acks. */
void fake_reliable_turn(struct bus *b, struct bus_session *s);
bool fake_reliable_is_out(const struct bus_session *s);

#endif
