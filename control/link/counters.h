/* SPDX-License-Identifier: Apache-2.0 */
/* counters: control's own counters, which `millrace counters` shows with scope "control".
 *
 * Threads   The loop's.
 */
#ifndef MILLRACE_LINK_COUNTERS_H
#define MILLRACE_LINK_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* name, explanation */
#define MR_CONTROL_COUNTERS(X)                                                                     \
	X(link_connects, "Connections made to a data plane.")                                      \
	X(link_losses, "Connections to a data plane lost.")                                        \
	X(link_requests, "Requests sent to the data plane.")                                       \
	X(link_refused, "Requests not sent: no data plane, or too many open.")                     \
	X(link_refused_share, "Requests not sent: their peer has its share of the open ones.")     \
	X(link_malformed, "Malformed packets from the data plane.")                                \
	X(link_unmatched, "Answers of the data plane that nobody waits for any more.")             \
	X(attach_accepted, "Clients attached.")                                                    \
	X(attach_connections, "Connections to the attach socket.")                                 \
	X(attach_refused_access, "Attach refused: user or group not allowed.")                     \
	X(attach_refused_busy, "Attach refused in favour of newer clients: too many at once.")     \
	X(attach_refused_malformed, "Attach refused: request malformed, or of another version.")   \
	X(attach_refused_full, "Attach refused by the data plane: no room, or out of resources.")  \
	X(attach_refused_away, "Attach refused: no data plane within 2 seconds.")                  \
	X(attach_timeouts, "Attach connections without a request within 2 seconds.")               \
	X(attach_hangups, "Attach connections that the client closed before the answer.")          \
	X(hello_received, "Hellos of clients over UDP, received from workers.")                    \
	X(hello_welcomed, "Hellos answered with a session.")                                       \
	X(hello_waiting,                                                                           \
		"Hellos dropped: the same is open already, or too many are, of one host or all.")  \
	X(hello_malformed, "Hellos dropped: malformed, without a nonce for an answer.")            \
	X(hello_refused, "Hellos refused: malformed, of another version, or of another network.")  \
	X(hello_refused_full, "Hellos refused by the data plane: no room, or out of resources.")   \
	X(handoff_records, "Records received through the hand-off rings.")                         \
	X(handoff_control, "Records with a control message of a client.")                          \
	X(handoff_unknown, "Records dropped: a message of an unknown kind.")                       \
	X(handoff_malformed, "Malformed control messages; answered if possible.")                  \
	X(handoff_invalid, "Requests of clients refused: a bad name, number or choice.")           \
	X(handoff_pings, "Pings of clients answered.")                                             \
	X(handoff_answers, "Answers to clients written into the hand-off rings.")                  \
	X(handoff_answers_dropped, "Answers and commands dropped, ring full; they are repeated.")  \
	X(handoff_corrupt, "Hand-off rings that were malformed; control closed the link.")         \
	X(queue_commands, "Commands for queues sent to their home workers.")                       \
	X(queue_commands_again, "Commands sent again after a second without an answer.")           \
	X(queue_answers, "Answers received from home workers.")                                    \
	X(queue_unmatched, "Answers of home workers that nobody waits for, or that came twice.")   \
	X(queue_unanswered, "Commands for queues without an answer after five seconds.")           \
	X(queue_refused_busy,                                                                      \
		"Commands for queues refused: too many open, in all or for one client.")           \
	X(queue_refused_share,                                                                     \
		"Commands for queues refused: their peer has its share of the open ones.")         \
	X(handoff_sleeps, "Times that control went to sleep until a doorbell wakes it.")           \
	X(handoff_bells, "Times that control woke a sleeping worker by its doorbell.")             \
	X(admin_connections, "Connections to the admin socket.")                                   \
	X(admin_requests, "Admin requests handled.")                                               \
	X(admin_refused_access,                                                                    \
		"Admin connections refused: neither root nor the user of the bus.")                \
	X(admin_refused_busy, "Idle admin connections closed in favour of newer ones.")            \
	X(admin_malformed, "Admin connections closed: request malformed or too large.")            \
	X(admin_timeouts, "Admin connections closed: idle, or the answer was not read.")

struct mr_control_counters {
#define MEMBER(name, text) uint64_t name;
	MR_CONTROL_COUNTERS(MEMBER)
#undef MEMBER
};

struct mr_control_counter {
	const char *name;
	const char *text;
	size_t offset;
};

extern const struct mr_control_counter mr_control_counter_list[];
extern const size_t mr_control_counter_list_count;

#endif
