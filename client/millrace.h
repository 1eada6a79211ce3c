/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#define MILLRACE_H

/** @file millrace.h
 * libmillrace: the client library of the millrace message bus. Programs include this file alone. */

/** @mainpage libmillrace
 *
 * The client library of the millrace message bus. A program includes millrace.h alone and links
 * with `-lmillrace`; `pkg-config --cflags --libs millrace` prints both options.
 *
 * @code
 *   struct mr_client *c;
 *
 *   if (mr_connect("shm:/run/millrace/attach.sock", NULL, &c) == 0) {
 *           mr_publish(c, "orders.eu.created", "{}", 2);
 *           mr_close(c);
 *   }
 * @endcode
 *
 * | theme           | header                 | for                                               |
 * |-----------------|------------------------|---------------------------------------------------|
 * | @ref message    | millrace/message.h     | messages, promises, sizes                         |
 * | @ref connect    | millrace/connect.h     | connecting, closing, error texts, counters        |
 * | @ref publish    | millrace/publish.h     | publishing: one, many, in place, promised         |
 * | @ref subscribe  | millrace/subscribe.h   | subscribing to subjects                           |
 * | @ref receive    | millrace/receive.h     | processing, waiting, event loops                  |
 * | @ref timer      | millrace/timer.h       | timers on the client's loop                       |
 * | @ref log        | millrace/log.h         | events of the library, for the program's log      |
 * | @ref admin      | millrace/admin.h       | administration of a bus of this host              |
 * | @ref request    | millrace/request.h     | requests and replies by subject                   |
 * | @ref headers    | millrace/headers.h     | header blocks of messages                         |
 * | @ref queue      | millrace/queue.h       | pushing to queues, consuming from them            |
 * | @ref service    | millrace/service.h     | serving a service                                 |
 * | @ref call       | millrace/call.h        | calling a service, streams                        |
 * | @ref abi        | millrace/abi.h         | versions, initialisers, structs that grow         |
 *
 * @section ownership Ownership and lifetime
 * The library frees the objects that it makes: the program closes them, and never calls free().
 * The memory that a struct mr_message points to belongs to the library. A message given to a
 * callback is valid until the callback returns. A message returned by mr_receive(), mr_pull(),
 * mr_request() or mr_call() is valid until the next call of mr_receive(), mr_pull(),
 * mr_process(), mr_wait(), mr_request() or mr_call() on the same client. When mr_request() or
 * mr_call() is called within a callback, its reply is valid until that callback returns. The
 * texts of a message do not end with a zero byte, so use the lengths. The exceptions are payload
 * and subject of a message that came in fragments, as all do that are larger than
 * mr_body_bytes_max(), and the copies of mr_message_dup(): a zero byte follows there.
 *
 * @section threads Threads
 * A client and everything made from it belongs to one thread at a time. Different threads may use
 * different clients freely. mr_client_wake() and mr_client_post() are the exceptions: any thread
 * may call them. The library starts no threads. After fork() the child must not use a client of
 * its parent, not even to close it. A client of a local bus ends with the process that connected,
 * so a daemon connects after daemon().
 *
 * @section callbacks Callbacks
 * Callbacks run only within calls on their client, never at another time. "Processes" below
 * means: a call that hands out messages and does the client's other work, such as mr_process()
 * and mr_wait(). A callback may publish, reply, request, subscribe and unsubscribe. Within a
 * callback mr_process(), mr_wait(), mr_receive() and mr_pull() return -EDEADLK, and mr_close() does
 * nothing.
 *
 * @section deferred Deferred messages
 * A call that waits for one answer (mr_request(), mr_call(), mr_subscribe(), mr_unsubscribe(),
 * mr_publisher_open(), mr_ping()) serves callbacks while it waits. It cannot hand out messages
 * for mr_receive(), and within a callback it can run no other callback. It copies such messages
 * into a list of deferred messages; the next mr_process(), mr_wait() or mr_receive() hands them
 * out. mr_process() and mr_wait() defer messages for mr_receive() that stand in front of others,
 * as long as there is room. The list holds at most 4096 messages and 16 MiB. The library counts
 * messages beyond that as missed. The order within a subscription stays.
 *
 * @section units Units
 * Times are in milliseconds unless a name ends in another unit. Sizes are in bytes.
 *
 * @section errors Errors
 * Functions that return `int` return 0 or a count >= 0 on success, else a negative errno value.
 * mr_error() describes the last failed call on a client. A NULL argument where something is needed
 * is -EINVAL; functions without error ignore it, or return 0, false or an empty text.
 *
 * | code             | meaning                                                                  |
 * |------------------|--------------------------------------------------------------------------|
 * | -EINVAL          | malformed argument: subject, pattern, group, address, headers            |
 * | -EMSGSIZE        | over mr_message_bytes_max(); in batches, claims over mr_body_bytes_max() |
 * | -EAGAIN          | no room now and the call does not wait: the ring, a window, credit, or   |
 * |                  | the 64 requests to control are used up                                   |
 * | -ETIMEDOUT       | no answer, or no room, within the time given                             |
 * | -EINTR           | a signal handler ran while the call slept                                |
 * | -ENOTCONN        | no connection; calls reconnect the client, except within callbacks       |
 * | -ECONNREFUSED    | no bus listens at the address, or there is no such host                  |
 * | -EACCES          | the bus refuses this user, this subject or this name                     |
 * | -ENOSPC          | a table of the bus or of the client, or memory for headers, is full      |
 * | -EDQUOT          | this host or user has used its share of a table or of queue memory       |
 * | -EHOSTUNREACH    | a request or call found no responder                                     |
 * | -EBUSY           | the receiving side is full: every responder, or a service or queue       |
 * | -EDEADLK         | the call may not run within a callback, or while a claim is open         |
 * | -ENOBUFS         | the memory of all queues of the bus is full                              |
 * | -EREMOTEIO       | the worker of a service gave the call up, or died with it                |
 * | -ECONNABORTED    | the circuit breaker of a service is open: too many calls failed          |
 * | -ENOENT          | the named object, request or delivery does not exist any more            |
 * | -EEXIST          | it exists already, with other options                                    |
 * | -ESTALE          | a message is older than the numbers that the bus remembers               |
 * | -EPROTO          | the bus or the library has another version, or the bus sent a malformed  |
 * |                  | message                                                                  |
 * | -E2BIG           | the library is older than the program, see @ref abi                      |
 * | -ENOMEM, -EMFILE | and the like: as from the system calls below                             |
 *
 * Programs that were built with release 0.1.0 get -EBUSY in place of -EDEADLK, and of -EAGAIN for
 * requests to control. So do programs that connect through the address `&mr_connect`.
 *
 * @section example_programs Examples
 * Small complete programs, one per task: @ref publish.c "publish", @ref subscribe.c "subscribe",
 * @ref request.c "request", @ref reply.c "reply", @ref eventloop.c "eventloop", @ref threads.c
 * "threads", @ref zero_copy.c "zero_copy", @ref batch.c "batch", @ref promise.c "promise",
 * @ref push.c "push", @ref pull.c "pull", @ref remind.c "remind", @ref ordered.c "ordered",
 * @ref retry.c "retry", @ref settle_and_push.c "settle_and_push", @ref serve.c "serve",
 * @ref call.c "call", @ref stream.c "stream", @ref admin.c "admin". Manual pages:
 * libmillrace(3) and the pages that it names.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @cond */
#if defined(__GNUC__)
#define MR_API __attribute__((visibility("default")))
#else
#define MR_API
#endif

/* For the compiler: an argument that is a format of printf(). */
#if defined(__GNUC__)
#define MR_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define MR_PRINTF(at, first)
#endif
/** @endcond */

#include "millrace/message.h"
#include "millrace/connect.h"
#include "millrace/publish.h"
#include "millrace/subscribe.h"
#include "millrace/receive.h"
#include "millrace/timer.h"
#include "millrace/log.h"
#include "millrace/request.h"
#include "millrace/headers.h"
#include "millrace/queue.h"
#include "millrace/admin.h"
#include "millrace/handover.h"
#include "millrace/service.h"
#include "millrace/call.h"
#include "millrace/abi.h"

#ifdef __cplusplus
}
#endif

#endif
