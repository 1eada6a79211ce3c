/* SPDX-License-Identifier: Apache-2.0 */
/* counters: what control counts about itself; shown with scope "control" by `millrace counters`.
 *
 * Threads   The loop's.
 */
#ifndef MILLRACE_LINK_COUNTERS_H
#define MILLRACE_LINK_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* name, what it counts */
#define MR_CONTROL_COUNTERS(X)                                                                     \
	X(link_connects, "Times that a data plane was found and greeted.")                         \
	X(link_losses, "Times that the data plane went away.")                                     \
	X(link_requests, "Requests sent to the data plane.")                                       \
	X(link_refused, "Requests not sent: no data plane, or too many outstanding.")              \
	X(link_malformed, "Packets of the data plane that made no sense.")                         \
	X(link_unmatched, "Answers of the data plane whose asker had gone.")                       \
	X(attach_accepted, "Clients attached.")                                                    \
	X(attach_connections, "Connections to the attach socket.")                                 \
	X(attach_refused_access, "Attach refused: user or group not allowed.")                     \
	X(attach_refused_busy, "Attach given up for newer ones: too many in progress.")            \
	X(attach_refused_malformed, "Attach refused: request malformed, or of another version.")   \
	X(attach_refused_full, "Attach refused by the data plane: no room, or out of resources.")  \
	X(attach_refused_away, "Attach refused: no data plane within the time.")                   \
	X(attach_timeouts, "Attach connections that sent no request in time.")                     \
	X(attach_hangups, "Attach connections closed by the peer before their answer.")            \
	X(hello_received, "Hellos of clients over UDP that workers handed over.")                  \
	X(hello_welcomed, "Hellos answered with a session.")                                       \
	X(hello_waiting, "Hellos dropped: asked already and not answered, or too many open.")      \
	X(hello_malformed, "Hellos dropped: they made no sense, and had no nonce to answer with.") \
	X(hello_refused, "Hellos refused: malformed, of another version, or of another network.")  \
	X(hello_refused_full, "Hellos refused by the data plane: no room, or out of resources.")   \
	X(handoff_records, "Records taken from the hand-off rings.")                               \
	X(handoff_control, "Control messages of clients among them.")                              \
	X(handoff_unknown, "Messages of unknown kinds among them, dropped.")                       \
	X(handoff_malformed, "Control messages that made no sense; answered if they could be.")    \
	X(handoff_invalid, "Requests of clients refused: a bad name, number or choice.")           \
	X(handoff_pings, "Pings of clients answered.")                                             \
	X(handoff_answers, "Answers to clients put into the hand-off rings.")                      \
	X(handoff_answers_dropped,                                                                 \
		"Answers and commands dropped, ring full: they are asked again.")                  \
	X(handoff_corrupt, "Hand-off rings that made no sense; the link was cut.")                 \
	X(queue_commands, "Commands for queues put to their home workers.")                        \
	X(queue_commands_again, "Commands put again after a second without an answer.")            \
	X(queue_answers, "Answers of home workers.")                                               \
	X(queue_unmatched, "Answers of home workers whose asker had gone, or had its answer.")     \
	X(queue_unanswered, "Commands for queues given up after five seconds.")                    \
	X(queue_refused_busy,                                                                      \
		"Commands for queues not put: too many open, in all or of a client.")              \
	X(handoff_sleeps, "Times that control went to sleep on the bells.")                        \
	X(handoff_bells, "Bells of workers rung.")                                                 \
	X(admin_connections, "Connections to the admin socket.")                                   \
	X(admin_requests, "Admin requests handled.")                                               \
	X(admin_refused_access, "Admin connections refused: neither root nor the bus's user.")     \
	X(admin_refused_busy, "Idle admin connections closed for newer ones.")                     \
	X(admin_malformed, "Admin connections closed: request malformed or too large.")            \
	X(admin_timeouts, "Admin connections closed: idle, or not reading their answer.")

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
