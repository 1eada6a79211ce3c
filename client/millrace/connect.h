/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_CONNECT_H
#define MILLRACE_CONNECT_H

/** @file connect.h
 * Connections, their errors and their counters. */

/** @defgroup connect Connections
 * Connecting, closing, error texts and counters. Manual page: mr_connect(3).
 * @{ */

/** Selects the fate of best-effort publishes while the bus is away.
 *
 * Applies to mr_publish(), mr_publish_with(), and to the send calls of publishers without a
 * promise. The client keeps such messages, up to `away_bytes_max`, and sends them in their order
 * when it is connected again. */
enum mr_when_away {
	/** Keep; when the room is used up: -ENOTCONN. The default. */
	MR_AWAY_KEEP,
	/** Calls that wait first wait for the bus, up to `request_timeout_ms`; then as
	 * MR_AWAY_KEEP. */
	MR_AWAY_WAIT,
	/** Keep; when the room is used up, drop the oldest and count it in `lost`. */
	MR_AWAY_DROP_OLDEST,
	/** Keep none: -ENOTCONN at once. */
	MR_AWAY_FAIL,
};

/** Options of mr_connect(). A field that is 0 has its default. */
struct mr_options {
	/** Name shown by `millrace clients`, at most 63 bytes. Default: the program's name;
	 * characters that the bus does not take become `_`. */
	const char *name;
	/** Limit of mr_connect(), ms; default 5000. Several addresses share it equally, with at
	 * least 100 ms for each. */
	unsigned connect_timeout_ms;
	/** Limit for answers of the bus itself (to a subscription and the like) and for room in
	 * the ring to the bus, ms; default 5000. */
	unsigned request_timeout_ms;
	/** Time that a waiting call polls before it sleeps, us; default 50. UINT32_MAX: never
	 * sleep. */
	unsigned spin_us;
	/** True: stay disconnected after the connection is lost. */
	bool no_reconnect;
	/** Called when the connection is lost (`connected` false, `error` -ENOTCONN, mr_error()
	 * gives the cause). Called again when it is restored (`connected` true, `error` 0): all
	 * subscriptions and publishers are in place, and mr_error() gives the number of lost
	 * publishes, if any. Runs within any call on the client except mr_close(). */
	void (*on_state)(struct mr_client *c, bool connected, int error, void *arg);
	/** Called when deliveries were dropped because this client was too slow: `missed` since
	 * the last call, `missed_total` over the client's life. */
	void (*on_gap)(struct mr_client *c, uint64_t missed, uint64_t missed_total, void *arg);
	/** Passed to `on_state` and `on_gap`. */
	void *arg;
	/** Fate of publishes while the bus is away; default MR_AWAY_KEEP. */
	enum mr_when_away when_away;
	/** Memory for publishes kept while the bus is away, bytes; default 1 MiB. Each message
	 * takes about 80 bytes beside its subject, headers and payload. */
	size_t away_bytes_max;
};

/** Connects to a bus.
 *
 * Temporary refusals (a full backlog, control just starting) are retried until
 * `connect_timeout_ms`.
 *
 * Over UDP:
 * - Messages may be lost in both directions, except promised ones. `frames_lost` of
 *   mr_client_stats() counts the frames lost on the way from the bus.
 * - The client must send heartbeats. It sends them while it is processed (mr_process(),
 *   mr_wait(), mr_receive()) or publishes. Do one of these at least once per heartbeat interval
 *   of the bus, 2.5 s by default. The bus closes a session that is silent for three intervals.
 * - An uncorked publish is one system call and one packet. With mr_cork() a frame holds many
 *   messages.
 *
 * An address is one of:
 * - `shm:PATH` of the attach socket of a local bus, or of the run directory that it is in
 * - a path with a slash: the same without `shm:`
 * - `udp://HOST[:PORT]` of a port of any bus. PORT is 7400 by default; IPv6 addresses stand in
 *   brackets; a host name is resolved once, in this call.
 *
 * Several addresses, up to 8, are separated by commas. The first one that has a bus is used. When
 * that connection is lost, the client tries it again, then the others in turn, and stays with the
 * first that answers. The addresses should lead to one bus: each bus has messages, queues and
 * exactly-once memories of its own. A host that cannot be resolved is left out.
 *
 * Without an address the first of these counts: the environment variable MILLRACE_SERVER; the
 * current context of the user (`millrace context`); the user's own run directory, if a bus is in
 * it; /run/millrace, if a bus is in it; the user's own run directory. That is /run/millrace for
 * root, else $XDG_RUNTIME_DIR/millrace, else /tmp/millrace-UID.
 *
 * @param address  one or several addresses; NULL or empty: the default, as above
 * @param options  copied; NULL: all defaults
 * @param out      the client; NULL after a failure. Close it with mr_close().
 * @retval 0              connected
 * @retval -EINVAL        malformed address, name or file of contexts
 * @retval -E2BIG         options that the library does not know
 * @retval -ECONNREFUSED  no bus listens there, or there is no such host; of several addresses the
 *                        first one's error is returned, and mr_error() tells of all
 * @retval -ETIMEDOUT     no answer within `connect_timeout_ms`
 * @retval -EACCES        the bus refuses this user
 * @retval -ENOSPC        the table of clients is full
 * @retval -EDQUOT        this host or user has used its share of the clients
 * @retval -EPROTO        the bus speaks another version, or its answer is malformed
 * @retval -ENOTCONN      the bus has no data plane at the moment
 * @retval -EMSGSIZE      over UDP: the path or the bus's port takes no frames of 1,200 bytes
 * @retval -ENOMEM        no memory
 * @retval -EMFILE        too many open files */
MR_API int mr_connect(
	const char *address, const struct mr_options *options, struct mr_client **out);

/** Closes a client, and frees it with all of its publishers, subscriptions, queues and services.
 *
 * Waits up to 1 s for the bus to take the published messages and to accept the promised ones. If
 * publishes are kept because the bus is away, waits up to 1 s for the bus before that. Does not
 * call the callbacks of open requests. Does nothing within a callback.
 *
 * @param c  the client, must not be used afterwards; NULL is ignored */
MR_API void mr_close(struct mr_client *c);

/** Returns true while the client has a session with all subscriptions and publishers in place.
 * @param c  the client
 * @return false while the bus is away, and while the session is being restored */
MR_API bool mr_connected(const struct mr_client *c);

/** Describes the last failed call.
 *
 * The last failed call on the client, or a later one of this thread that has no client, such as
 * mr_headers_add().
 *
 * @param c  the client; NULL: the last failed call of the calling thread that has no client, such
 *           as mr_connect()
 * @return text, never NULL; valid until the next call on the client (with NULL: until the next
 *         failed call of this thread without client) */
MR_API const char *mr_error(const struct mr_client *c);

/** Describes a return value of this library.
 * @param code  0, a count or a negative errno value
 * @return text, never NULL; constant */
MR_API const char *mr_error_text(int code);

/** Returns the version of the library, such as "0.2.0".
 * @return constant text */
MR_API const char *mr_version(void);

/** Counters of a client, since mr_connect(), for tools. */
struct mr_client_stats {
	/** Messages written into the ring: publishes, requests, replies, pushes. */
	uint64_t published;
	/** Messages, deliveries and replies of services handed out. */
	uint64_t received;
	/** Deliveries dropped because this client was slow. */
	uint64_t missed;
	/** Replies, answers and deliveries for requests and subscriptions that have ended. */
	uint64_t unmatched;
	/** Malformed messages from the bus; dropped. */
	uint64_t malformed;
	/** Restored connections. */
	uint64_t reconnects;
	/** Id of the session at the bus; 0 while disconnected. */
	uint64_t session;
	/** Number of the worker that serves this client. */
	unsigned worker;

	/** @name Over UDP: all frames
	 * @{ */
	uint64_t frames_sent;      /**< frames sent */
	uint64_t frames_received;  /**< frames received */
	uint64_t frames_lost;      /**< gaps in the frame numbers from the bus */
	uint64_t frames_duplicate; /**< received twice, or too late; dropped */
	uint64_t frames_strange;   /**< from another session; dropped */
	uint64_t unsent; /**< messages dropped: the path takes no frames so large any more */
	/** @} */

	/** @name Over UDP: the reliable flow, part of the frames above
	 * @{ */
	uint64_t reliable_sent;       /**< frames sent, without retransmits */
	uint64_t reliable_received;   /**< frames received */
	uint64_t retransmits;         /**< frames sent again */
	uint64_t retransmit_timeouts; /**< among them, for want of an acknowledgement in time */
	uint64_t frames_held;         /**< received out of order, or before there was room */
	uint64_t rtt_us; /**< smoothed round-trip time, us (RFC 6298); 0: not measured */
	/** @} */

	/** Exactly once: deliveries that were received before; dropped. */
	uint64_t duplicates;
	/** Best-effort publishes that did not reach the bus, as far as the client can tell: not
	 * taken from the ring when the connection ended, dropped for newer ones while the bus was
	 * away, or refused afterwards. */
	uint64_t lost;
	/** Publishes that wait for the connection now. */
	uint64_t kept;

	/** @name Over UDP: multicast groups
	 * @{ */
	uint64_t multicast_frames; /**< frames received */
	uint64_t multicast_lost;   /**< gaps in the frame numbers of the groups */
	/** Frames that were not from the bus, or malformed; dropped. */
	uint64_t multicast_refused;
	/** @} */
};

/** Copies the counters of a client.
 * @param c    the client
 * @param out  filled in; the UDP counters are 0 on a local bus */
MR_API void mr_client_stats(const struct mr_client *c, struct mr_client_stats *out);

/** Measures the round trip to the control process, for diagnosis. Serves callbacks meanwhile.
 * @param c           the client
 * @param timeout_ms  limit, ms; < 0: `request_timeout_ms`
 * @param handled_ns  time until control handled the request, ns; may be NULL
 * @param round_ns    time until the answer was here, ns; may be NULL
 * @retval 0           answered
 * @retval -ETIMEDOUT  control did not answer in time
 * @retval -ENOTCONN   no connection
 * @retval -EAGAIN     64 requests to control are under way
 * @retval -EDEADLK    a claim is open */
MR_API int mr_ping(struct mr_client *c, int timeout_ms, uint64_t *handled_ns, uint64_t *round_ns);

/** @} */

#endif
