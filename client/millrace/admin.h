/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_ADMIN_H
#define MILLRACE_ADMIN_H

/** @file admin.h
 * Administration of a bus of this host. */

/** @defgroup admin Administration
 * Lists, counters, purging and dead letters over the admin socket of a bus of this host. Manual
 * page: mr_admin(3).
 *
 * A connection needs no client. It may be used by one thread at a time. Calls wait at most 8 s for
 * the answer, and for each further part of it. After a failure mr_error(NULL) describes it, for the
 * thread that called. A call whose answer does not come whole closes the connection, and later
 * calls return -ENOTCONN.
 *
 * The lists call a function for each row. The structs belong to the library, and are valid with
 * their texts until the function returns. It may use the connection, and may close it. Later
 * versions may add fields at their ends, so do not copy them as a whole. All texts end with a zero
 * byte.
 * @{ */

/** A connection to the admin socket of a bus. */
struct mr_admin;
struct mr_queue_options;

/** Connects to the admin socket.
 *
 * @param address  as for mr_connect(): the run directory of the bus, such as `/run/millrace`, or
 *                 `shm:PATH` of its attach socket; of several addresses the first of this host.
 *                 NULL: the default of mr_connect().
 * @param out      the connection; NULL after a failure. Close it with mr_admin_close().
 * @retval 0              connected
 * @retval -EINVAL        not a path of this host, such as an address over UDP
 * @retval -ENOENT        there is no such bus
 * @retval -ECONNREFUSED  the bus does not run
 * @retval -EACCES        this user may not administer the bus
 * @retval -ENAMETOOLONG  the path is too long
 * @retval -ENOMEM        no memory */
MR_API int mr_admin_open(const char *address, struct mr_admin **out);

/** Closes a connection.
 * @param a  must not be used afterwards; NULL is ignored */
MR_API void mr_admin_close(struct mr_admin *a);

/** @name Lists
 * Each returns the number of rows, or a negative errno value: -EINVAL for NULL, -ETIMEDOUT without
 * an answer, -ENOTCONN while control has no data plane, -ECONNRESET when control ends, -EPROTO for
 * a malformed answer. After -ETIMEDOUT, -ECONNRESET and -EPROTO close the connection and open
 * another.
 * @{ */

/** A queue or a service. Counters count since it was made. */
struct mr_admin_queue {
	const char *name;     /**< its name */
	bool service;         /**< false: a queue */
	bool paused;          /**< true: it delivers nothing */
	bool circuit_open;    /**< service: calls are refused, or some are tried */
	unsigned worker;      /**< its home worker */
	unsigned consumers;   /**< consumers, or workers of the service */
	uint64_t ready;       /**< messages that are ready */
	uint64_t delayed;     /**< messages that wait for a redelivery delay */
	uint64_t outstanding; /**< messages delivered and not settled */
	uint64_t bytes;       /**< bytes of these three */
	uint64_t oldest_ms;   /**< age of the oldest of them, ms */
	uint64_t dead_ready;  /**< messages in its dead letters now, and in the queue that is
			      * named for them */
	uint64_t pushed;      /**< pushes and calls that arrived */
	uint64_t accepted;    /**< those that were accepted */
	uint64_t refused;     /**< those that were refused */
	uint64_t duplicates;  /**< those that were dropped as duplicates */
	uint64_t delivered;   /**< deliveries */
	uint64_t redelivered; /**< deliveries after the first of a message */
	uint64_t acked;       /**< messages done */
	uint64_t dead;        /**< messages that became dead letters */
	uint64_t expired;     /**< messages that became too old */
	uint64_t replies;     /**< service: replies */
	uint64_t failures;    /**< service: failed calls */
	unsigned bindings;    /**< subjects that it is bound to, see mr_admin_bind() */
};
/** Receives one row. */
typedef void mr_admin_queue_fn(const struct mr_admin_queue *row, void *arg);
/** Lists the queues or the services.
 * @param a         the connection
 * @param services  false: queues
 * @param row       called for each
 * @param arg       passed to it
 * @return rows, or a negative errno value, see above */
MR_API int mr_admin_queues(struct mr_admin *a, bool services, mr_admin_queue_fn *row, void *arg);

/** A client. Counters count since it connected. */
struct mr_admin_client {
	const char *name;       /**< as given to mr_connect() */
	uint64_t session;       /**< id of its session */
	uint64_t opened_ns;     /**< CLOCK_REALTIME when it connected */
	bool remote;            /**< true: over UDP */
	unsigned worker;        /**< the worker that serves it */
	unsigned subscriptions; /**< subscriptions */
	unsigned uid;           /**< its user, if it is local */
	unsigned gid;           /**< its group, if it is local */
	unsigned pid;           /**< its process, if it is local */
	uint64_t rx_messages;   /**< messages from it */
	uint64_t rx_bytes;      /**< their bytes */
	uint64_t tx_messages;   /**< messages to it */
	uint64_t tx_bytes;      /**< their bytes */
	uint64_t missed;        /**< deliveries that it missed because it was full */
	uint64_t rejected;      /**< messages from it that were malformed */
	uint64_t backlog_bytes; /**< bytes in its ring */
	uint64_t held_messages; /**< promised messages that wait for room in its ring */
};
/** Receives one row. */
typedef void mr_admin_client_fn(const struct mr_admin_client *row, void *arg);
/** Lists the clients.
 * @param a    the connection
 * @param row  called for each
 * @param arg  passed to it
 * @return rows, or a negative errno value, see above */
MR_API int mr_admin_clients(struct mr_admin *a, mr_admin_client_fn *row, void *arg);

/** A subscription. */
struct mr_admin_subject {
	const char *pattern; /**< its pattern or prefix */
	const char *group;   /**< its queue group; empty: none */
	uint64_t session;    /**< the session of its client */
	bool prefix;         /**< true: `pattern` is a byte prefix */
	const char *queue;   /**< the bound queue, see mr_admin_bind(); its session is 0. Empty: a
	                          client's subscription */
};
/** Receives one row. */
typedef void mr_admin_subject_fn(const struct mr_admin_subject *row, void *arg);
/** Lists the subscriptions.
 * @param a    the connection
 * @param row  called for each
 * @param arg  passed to it
 * @return rows, or a negative errno value, see above */
MR_API int mr_admin_subjects(struct mr_admin *a, mr_admin_subject_fn *row, void *arg);

/** A worker. Counters count since the bus started; mr_admin_counters() has all of them. */
struct mr_admin_worker {
	unsigned worker;      /**< its number */
	int cpu;              /**< the processor that it is pinned to; -1: none */
	unsigned silent_ms;   /**< time without a round though it does not sleep, ms; 0: it works */
	uint64_t rx_messages; /**< messages from sessions */
	uint64_t rx_bytes;    /**< their bytes */
	uint64_t tx_messages; /**< messages to sessions */
	uint64_t tx_bytes;    /**< their bytes */
	uint64_t published;   /**< publishes routed */
	uint64_t delivered;   /**< copies sent to subscribers */
};
/** Receives one row. */
typedef void mr_admin_worker_fn(const struct mr_admin_worker *row, void *arg);
/** Lists the workers.
 * @param a    the connection
 * @param row  called for each
 * @param arg  passed to it
 * @return rows, or a negative errno value, see above */
MR_API int mr_admin_workers(struct mr_admin *a, mr_admin_worker_fn *row, void *arg);

/** A counter of the statistics segment. */
struct mr_admin_counter {
	const char *scope; /**< worker, table, port or control */
	unsigned index;    /**< number of the worker or port; 0 elsewhere */
	const char *name;  /**< its name, as `millrace counters` shows it */
	uint64_t value;    /**< its value */
	const char *text;  /**< its meaning */
};
/** Receives one row. */
typedef void mr_admin_counter_fn(const struct mr_admin_counter *row, void *arg);
/** Reads all counters of the bus.
 * @param a    the connection
 * @param row  called for each
 * @param arg  passed to it
 * @return rows, or a negative errno value, see above */
MR_API int mr_admin_counters(struct mr_admin *a, mr_admin_counter_fn *row, void *arg);

/** A dead letter. */
struct mr_admin_dead_letter {
	uint64_t age_ms;      /**< its age, ms */
	uint64_t bytes;       /**< bytes of its header block and payload */
	const char *headers;  /**< header block, or the part of it that is shown; or NULL. With the
	                           notes of the bus: Millrace-Dead-Reason, Millrace-Dead-Count */
	size_t header_bytes;  /**< bytes shown */
	const void *payload;  /**< payload, or the part of it that is shown */
	size_t payload_bytes; /**< bytes shown */
};
/** Receives one row. */
typedef void mr_admin_dead_letter_fn(const struct mr_admin_dead_letter *row, void *arg);
/** Lists the oldest dead letters of a queue, and leaves them there.
 * @param a      the connection
 * @param queue  name of the queue that they come from
 * @param count  at most so many; the bus shows at most 16
 * @param row    called for each
 * @param arg    passed to it
 * @return rows, 0 also for a queue that never had any; -ENOENT: there is no such queue; or another
 *         negative errno value, see above */
MR_API int mr_admin_dead_letters(struct mr_admin *a, const char *queue, unsigned count,
	mr_admin_dead_letter_fn *row, void *arg);

/** @} */

/** Drops the messages of a queue that are not delivered.
 * @param a        the connection
 * @param queue    its name
 * @param dropped  number of messages; may be NULL
 * @return 0; -ENOENT: there is no such queue; or another negative errno value */
MR_API int mr_admin_purge(struct mr_admin *a, const char *queue, uint64_t *dropped);

/** Moves dead letters back into the queue that they come from.
 * @param a      the connection
 * @param queue  name of the queue
 * @param count  at most so many, the oldest first; 0: all
 * @param moved  number of messages that go back, in the following rounds of the bus; may be NULL
 * @return 0; -ENOENT: there is no such queue; or another negative errno value */
MR_API int mr_admin_redrive(struct mr_admin *a, const char *queue, unsigned count, uint64_t *moved);

/** Options that mr_admin_edit() changes, as bits. */
enum mr_admin_option {
	MR_ADMIN_POLICY = 1,                /**< mr_queue_options::policy */
	MR_ADMIN_WHEN_FULL = 2,             /**< mr_queue_options::when_full */
	MR_ADMIN_MESSAGES_MAX = 4,          /**< mr_queue_options::messages_max */
	MR_ADMIN_BYTES_MAX = 8,             /**< mr_queue_options::bytes_max; 0: no limit */
	MR_ADMIN_AGE_MAX = 16,              /**< mr_queue_options::age_max_ms; 0: no limit */
	MR_ADMIN_ACK_TIMEOUT = 32,          /**< mr_queue_options::ack_timeout_ms */
	MR_ADMIN_MAX_DELIVER = 64,          /**< mr_queue_options::max_deliver */
	MR_ADMIN_BREAKER_FAILURES = 256,    /**< mr_queue_options::breaker_failures; services */
	MR_ADMIN_BREAKER_RESET = 512,       /**< mr_queue_options::breaker_reset_ms; services */
	MR_ADMIN_BREAKER_PROBES = 1024,     /**< mr_queue_options::breaker_probes; services */
	MR_ADMIN_WHEN_EXPIRED = 2048,       /**< mr_queue_options::when_expired; queues */
	MR_ADMIN_AGING = 4096,              /**< mr_queue_options::aging_s; queues; 0: none */
	MR_ADMIN_SINGLE_ACTIVE = 8192,      /**< mr_queue_options::single_active; queues */
	MR_ADMIN_IN_FLIGHT_PER_KEY = 16384, /**< mr_queue_options::in_flight_per_key; queues */
	MR_ADMIN_KEY_FROM = 32768,          /**< mr_admin_options::key_from; as those below */
	MR_ADMIN_RETRY_MIN = 65536,         /**< mr_queue_retry::min_ms; queues; 0: no back-off */
	MR_ADMIN_RETRY_MAX = 131072,        /**< mr_queue_retry::max_ms; queues */
	MR_ADMIN_RETRY_FACTOR = 262144,     /**< mr_queue_retry::factor; queues */
	MR_ADMIN_RETRY_JITTER = 524288,     /**< mr_queue_retry::jitter; queues */
	MR_ADMIN_DEAD_LETTER = 1048576,     /**< mr_admin_options::dead_letter; queues */
	MR_ADMIN_OWNER = 2097152,           /**< mr_admin_options::owner */
	MR_ADMIN_DESCRIPTION = 4194304,     /**< mr_admin_options::description */
};

/** Changes options of a queue or service, as `millrace queue edit` does. They stay until the next
 * change: the queue is not removed for idleness, and a client that asks for other values when it
 * opens the queue gets these.
 *
 * A lower limit drops no message, unless `when_full` makes room by old ones. Unsettled deliveries
 * take the new acknowledgement time-out.
 * @param a        the connection
 * @param queue    its name
 * @param service  true: a service, false: a queue
 * @param edits    bits of enum mr_admin_option
 * @param values   holds the new values of these options; the others are ignored
 * @return 0; -ENOENT: there is no such queue; -EINVAL: a value is not allowed, and nothing was
 *         changed; -ENOSYS: the bus is older; or another negative errno value */
MR_API int mr_admin_edit(struct mr_admin *a, const char *queue, bool service, unsigned edits,
	const struct mr_queue_options *values);

/** New values of options for mr_admin_edit_with(). */
struct mr_admin_options {
	struct mr_queue_options queue; /**< as for mr_admin_edit() */
	struct mr_queue_retry retry;   /**< back-off of a queue */
	const char *key_from;          /**< as mr_push_options::key_from; NULL or empty: no key */
	const char *dead_letter;       /**< name of a queue, "none" or "default": as
				  * mr_push_options::dead_letter */
	const char *owner;             /**< for people, at most 64 bytes; NULL or empty: none */
	const char *description;       /**< for people, at most 200 bytes; NULL or empty: none */
};

/** Changes options as mr_admin_edit() does, also those that struct mr_queue_options lacks.
 * @param a        the connection
 * @param queue    its name
 * @param service  true: a service, false: a queue
 * @param edits    bits of enum mr_admin_option
 * @param values   holds the new values of these options; the others are ignored
 * @return as mr_admin_edit(); -E2BIG: the library is older, and does not know an option */
MR_API int mr_admin_edit_with(struct mr_admin *a, const char *queue, bool service, unsigned edits,
	const struct mr_admin_options *values);

/** Binds a queue to a subject or pattern, as `millrace queue bind` does: each message that is
 * published to a matching subject goes into the queue, once however many bindings of the queue
 * match. The queue is made if there is none. It is not removed while it is bound.
 *
 * A full queue does not get plain publishes; promised ones wait at their publishers. The first
 * header of a message is `Millrace-Subject`. The bindings last as long as the data plane.
 * @param a         the connection
 * @param queue     its name
 * @param subject   subject or pattern
 * @param bindings  number of subjects that the queue is bound to now; may be NULL
 * @retval 0        bound, also if it was before
 * @retval -EINVAL  the name or the pattern is malformed, or names dead letters
 * @retval -ENOSPC  a limit, which mr_error(NULL) names
 * @retval -ENOSYS  the bus is older
 * @return another negative errno value, see above */
MR_API int mr_admin_bind(
	struct mr_admin *a, const char *queue, const char *subject, unsigned *bindings);

/** Removes a binding, or all of a queue. When it returns, nothing more goes into the queue by it.
 * @param a         the connection
 * @param queue     name of the queue, which need not exist any more
 * @param subject   as given to mr_admin_bind(); NULL: all
 * @param bindings  number of subjects that the queue is bound to now; may be NULL
 * @return 0; -ENOENT: the queue is not bound to the subject; or another negative errno value */
MR_API int mr_admin_unbind(
	struct mr_admin *a, const char *queue, const char *subject, unsigned *bindings);

/** @} */

#endif
