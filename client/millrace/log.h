/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_LOG_H
#define MILLRACE_LOG_H

/** @file log.h
 * A hook for events of the library. */

/** @defgroup log Log hook
 * Events of the library as text, for the program's log. Manual page: mr_log_hook(3).
 * @{ */

/** How important an event is. */
enum mr_severity {
	MR_SEVERITY_ERROR,   /**< something does not work */
	MR_SEVERITY_WARNING, /**< messages are lost, or a request is refused */
	MR_SEVERITY_INFO,    /**< the normal course: reconnections */
};

/** The kind of an event. Later versions may have more. */
enum mr_event {
	MR_EVENT_DISCONNECTED, /**< error: the connection is lost */
	MR_EVENT_CONNECTED,    /**< info: the connection is restored */
	MR_EVENT_RETRY,        /**< info: an attempt to connect again has failed */
	MR_EVENT_GAP,          /**< warning: the bus dropped deliveries, as this client was slow */
	MR_EVENT_REFUSED,      /**< warning: the bus refuses a request of this client */
	MR_EVENT_MALFORMED,    /**< warning: malformed messages from the bus were dropped */
	MR_EVENT_UNMATCHED,    /**< warning: messages came for what has ended, and were dropped */
	MR_EVENT_MISSED,       /**< warning: this library dropped deliveries for want of room */
	MR_EVENT_LOST,         /**< warning: publishes were lost while the bus was away */
	MR_EVENT_MULTICAST,    /**< info: a subscription began or ceased to receive by multicast */
};

/** Receives one event. Runs within calls on the client, never in a signal handler. It must not
 * call functions on the client.
 * @param c         the client
 * @param severity  how important it is
 * @param event     its kind
 * @param text      one line without control characters, valid until the hook returns
 * @param arg       as given to mr_log_hook() */
typedef void mr_log_fn(struct mr_client *c, enum mr_severity severity, enum mr_event event,
	const char *text, void *arg);

/** Sets the hook for events of a client. Without one, the default, the library reports nothing.
 *
 * Five events of a kind pass each second; the next one tells how many were left out.
 *
 * @param c         the client; NULL is ignored
 * @param severity  the least important one that is wanted
 * @param hook      NULL: none
 * @param arg       passed to it */
MR_API void mr_log_hook(struct mr_client *c, enum mr_severity severity, mr_log_fn *hook, void *arg);

/** @} */

#endif
