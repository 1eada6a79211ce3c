/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_ABI_H
#define MILLRACE_ABI_H

/** @file abi.h
 * Versions, initialisers, structs that grow. */

/** @defgroup abi Versions and growing structs
 * Programs and library of different releases. Manual page: mr_abi(3).
 *
 * A program that was built with one release runs with the library of every later release of the
 * same major number:
 * - Exported functions stay, and so do the layouts that they take. A function without size, such
 *   as the symbol mr_connect, means the layout of release 0.1.0.
 * - A struct that the program passes, and one that the library fills in, may grow at its end. Its
 *   size is a parameter of the functions ending in `_sized`. The names without that ending are
 *   also macros, which pass `sizeof`: programs write mr_connect().
 * - The library reads at most the bytes that the caller's struct has; missing fields are 0. It
 *   writes at most the bytes that the caller has room for.
 * - -E2BIG: the caller's struct is longer than the library's, and not 0 there. The library is
 *   older than the header, and does not know an option that the program sets.
 * - A struct that the library passes to a callback may grow at its end too. Do not copy it with an
 *   older `sizeof` to hand it on; use mr_message_dup().
 * - struct mr_queue_options, struct mr_buffer, struct mr_headers, struct mr_header and struct
 *   mr_output keep their size: they are parts of other structs or of arrays, or complete. So do
 *   struct mr_message and struct mr_delivery while other structs contain them. Reserved fields are
 *   0.
 *
 * The address of a function without size, `&mr_connect`, is that of the symbol of release 0.1.0.
 * Bindings of other languages use the functions ending in `_sized`.
 * @{ */

/** @name Version
 * @{ */
/** Major number of this header: programs built with another one do not run. */
#define MR_VERSION_MAJOR 0
/** Minor number of this header: a higher one has more functions and fields. */
#define MR_VERSION_MINOR 2
/** Patch number of this header: a higher one has repairs. */
#define MR_VERSION_PATCH 0
/** Makes one number of three, each 0 to 999, for comparisons. */
#define MR_VERSION_MAKE(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))
/** Version of this header as one number. */
#define MR_VERSION_NUMBER MR_VERSION_MAKE(MR_VERSION_MAJOR, MR_VERSION_MINOR, MR_VERSION_PATCH)

/** Returns the version of the library as one number.
 * @return number, as MR_VERSION_MAKE() makes it */
MR_API unsigned mr_version_number(void);

/** Checks that the library has all that a program was built for.
 *
 * @param header  MR_VERSION_NUMBER
 * @retval 0        the library is as new as the header, or newer
 * @retval -EPROTO  the library is older than the header, or has another major number; mr_error()
 *                  with NULL gives both versions */
MR_API int mr_version_check(unsigned header);
/** @} */

/** @name Initialisers
 * Each gives all fields the value that NULL in place of the options means.
 * `struct mr_options options = MR_OPTIONS_INIT;`
 * @{ */
/* clang-format off */
#ifdef __cplusplus
/** Initialises any struct of this library to zeros. */
#define MR_INIT {}
/** Initialises struct mr_push_options. */
#define MR_PUSH_OPTIONS_INIT                                                                       \
	{MR_AT_LEAST_ONCE, NULL, 0, MR_INIT, NULL, NULL, NULL, MR_INIT, NULL}
#else
/** Initialises any struct of this library to zeros. */
#define MR_INIT {0}
/** Initialises struct mr_push_options: at least once. */
#define MR_PUSH_OPTIONS_INIT {.promise = MR_AT_LEAST_ONCE}
#endif
/* clang-format on */
/** Initialises struct mr_options. */
#define MR_OPTIONS_INIT MR_INIT
/** Initialises struct mr_publisher_options: best effort. */
#define MR_PUBLISHER_OPTIONS_INIT MR_INIT
/** Initialises struct mr_subscribe_options. */
#define MR_SUBSCRIBE_OPTIONS_INIT MR_INIT
/** Initialises struct mr_queue_options. */
#define MR_QUEUE_OPTIONS_INIT MR_INIT
/** Initialises struct mr_push: an empty message. */
#define MR_PUSH_INIT MR_INIT
/** Initialises struct mr_consume_options. */
#define MR_CONSUME_OPTIONS_INIT MR_INIT
/** Initialises struct mr_settle_options. */
#define MR_SETTLE_OPTIONS_INIT MR_INIT
/** Initialises struct mr_serve_options. */
#define MR_SERVE_OPTIONS_INIT MR_INIT
/** Initialises struct mr_request_many_options. */
#define MR_REQUEST_MANY_OPTIONS_INIT MR_INIT
/** Initialises struct mr_call_options. */
#define MR_CALL_OPTIONS_INIT MR_INIT
/** @} */

/** @name Copies of messages
 * @{ */
/** Copies a message into memory of its own. The texts of the copy end with a zero byte, which
 * their lengths do not count. `reply_token` stays good for mr_reply().
 *
 * @param m  the message; NULL: returns NULL
 * @return the copy, NULL without memory; free it with mr_message_free(). `subscription` is valid
 *         as long as the subscription. */
MR_API struct mr_message *mr_message_dup(const struct mr_message *m);

/** Copies a message whose size is given.
 * @copydetails mr_message_dup
 * @param message_bytes  sizeof(struct mr_message) of the caller */
MR_API struct mr_message *mr_message_dup_sized(const struct mr_message *m, size_t message_bytes);

/** Frees a copy that mr_message_dup() made.
 * @param m  the copy; NULL is ignored */
MR_API void mr_message_free(struct mr_message *m);
/** @} */

/** @name Functions with sizes
 * For bindings of other languages; C and C++ programs use the names without `_sized`.
 * @{ */

/** mr_connect() with the size of its options.
 * @copydetails mr_connect
 * @param options_bytes  sizeof(struct mr_options) of the caller */
MR_API int mr_connect_sized(const char *address, const struct mr_options *options,
	struct mr_client **out, size_t options_bytes);

/** mr_client_stats() with the size of its result.
 * @copydetails mr_client_stats
 * @param out_bytes  sizeof(struct mr_client_stats) of the caller */
MR_API void mr_client_stats_sized(
	const struct mr_client *c, struct mr_client_stats *out, size_t out_bytes);

/** mr_publisher_open_with() with the size of its options.
 * @copydetails mr_publisher_open_with
 * @param options_bytes  sizeof(struct mr_publisher_options) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_publisher_open_with_sized(struct mr_client *c, const char *subject,
	const struct mr_publisher_options *options, struct mr_publisher **out,
	size_t options_bytes);

/** mr_subscribe() with the size of its options.
 * @copydetails mr_subscribe
 * @param options_bytes  sizeof(struct mr_subscribe_options) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_subscribe_sized(struct mr_client *c, const char *pattern,
	const struct mr_subscribe_options *options, mr_message_fn *callback, void *arg,
	struct mr_subscription **out, size_t options_bytes);

/** mr_receive() with the size of its result.
 * @copydetails mr_receive
 * @param out_bytes  sizeof(struct mr_message) of the caller */
MR_API int mr_receive_sized(
	struct mr_client *c, struct mr_message *out, int timeout_ms, size_t out_bytes);

/** mr_request() with the size of its result.
 * @copydetails mr_request
 * @param reply_bytes  sizeof(struct mr_message) of the caller */
MR_API int mr_request_sized(struct mr_client *c, const char *subject, const void *payload,
	size_t bytes, int timeout_ms, struct mr_message *reply, size_t reply_bytes);

/** mr_request_with() with the size of its result.
 * @copydetails mr_request_with
 * @param reply_bytes  sizeof(struct mr_message) of the caller */
MR_API int mr_request_with_sized(struct mr_client *c, const char *subject, const char *headers,
	size_t header_bytes, const void *payload, size_t bytes, int timeout_ms,
	struct mr_message *reply, size_t reply_bytes);

/** mr_request_many() with the size of its options.
 * @copydetails mr_request_many
 * @param options_bytes  sizeof(struct mr_request_many_options) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_request_many_sized(struct mr_client *c, const char *subject, const void *payload,
	size_t bytes, const struct mr_request_many_options *options, mr_reply_fn *callback,
	void *arg, size_t options_bytes);

/** mr_request_many_async() with the size of its options.
 * @copydetails mr_request_many_async
 * @param options_bytes  sizeof(struct mr_request_many_options) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_request_many_async_sized(struct mr_client *c, const char *subject,
	const void *payload, size_t bytes, const struct mr_request_many_options *options,
	mr_reply_fn *callback, void *arg, size_t options_bytes);

/** mr_queue_open() with the size of its options.
 * @copydetails mr_queue_open
 * @param options_bytes  sizeof(struct mr_push_options) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_queue_open_sized(struct mr_client *c, const char *name,
	const struct mr_push_options *options, struct mr_queue **out, size_t options_bytes);

/** mr_push_with() with the size of the push.
 * @copydetails mr_push_with
 * @param push_bytes  sizeof(struct mr_push) of the caller
 * @retval -E2BIG  unknown fields, see above */
MR_API int mr_push_with_sized(
	struct mr_queue *q, const struct mr_push *push, uint64_t *id, size_t push_bytes);

/** mr_consume() with the size of its options.
 * @copydetails mr_consume
 * @param options_bytes  sizeof(struct mr_consume_options) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_consume_sized(struct mr_client *c, const char *queue,
	const struct mr_consume_options *options, mr_delivery_fn *callback, void *arg,
	struct mr_consumer **out, size_t options_bytes);

/** mr_pull() with the size of its result.
 * @copydetails mr_pull
 * @param out_bytes  sizeof(struct mr_delivery) of the caller */
MR_API int mr_pull_sized(
	struct mr_consumer *consumer, struct mr_delivery *out, int timeout_ms, size_t out_bytes);

/** mr_admin_edit_with() with the size of its values.
 * @copydetails mr_admin_edit_with
 * @param values_bytes  size of the caller's struct mr_admin_options
 * @retval -E2BIG  an unknown option is set */
MR_API int mr_admin_edit_with_sized(struct mr_admin *a, const char *queue, bool service,
	unsigned edits, const struct mr_admin_options *values, size_t values_bytes);

/** mr_settle_and_push() with the sizes of its options and of each push. Unknown options are -E2BIG
 * too.
 * @copydetails mr_settle_and_push
 * @param options_bytes  sizeof(struct mr_settle_options) of the caller
 * @param push_bytes     sizeof(struct mr_push) of the caller */
MR_API int mr_settle_and_push_sized(const struct mr_delivery *input,
	const struct mr_output *outputs, size_t count, const struct mr_settle_options *options,
	size_t options_bytes, size_t push_bytes);

/** mr_settle_and_push_async() with the sizes of its options and of each push.
 * @copydetails mr_settle_and_push_async
 * @param options_bytes  sizeof(struct mr_settle_options) of the caller
 * @param push_bytes     sizeof(struct mr_push) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_settle_and_push_async_sized(const struct mr_delivery *input,
	const struct mr_output *outputs, size_t count, const struct mr_settle_options *options,
	mr_settle_fn *callback, void *arg, size_t options_bytes, size_t push_bytes);

/** mr_pull_batch() with the size of its results.
 * @copydetails mr_pull_batch
 * @param out_bytes  sizeof(struct mr_delivery) of the caller */
MR_API int mr_pull_batch_sized(struct mr_consumer *consumer, struct mr_delivery *out, unsigned max,
	int wait_ms, size_t out_bytes);

/** mr_serve() with the size of its options.
 * @copydetails mr_serve
 * @param options_bytes  sizeof(struct mr_serve_options) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_serve_sized(struct mr_client *c, const char *service,
	const struct mr_serve_options *options, mr_work_fn *callback, void *arg,
	struct mr_service **out, size_t options_bytes);

/** mr_call() with the sizes of its options and of its result.
 * @copydetails mr_call
 * @param options_bytes  sizeof(struct mr_call_options) of the caller
 * @param reply_bytes    sizeof(struct mr_message) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_call_sized(struct mr_client *c, const char *service, const void *payload,
	size_t bytes, const struct mr_call_options *options, struct mr_message *reply,
	size_t options_bytes, size_t reply_bytes);

/** mr_call_async() with the size of its options.
 * @copydetails mr_call_async
 * @param options_bytes  sizeof(struct mr_call_options) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_call_async_sized(struct mr_client *c, const char *service, const void *payload,
	size_t bytes, const struct mr_call_options *options, mr_call_fn *callback, void *arg,
	size_t options_bytes);

/** mr_stream_open() with the size of its options.
 * @copydetails mr_stream_open
 * @param options_bytes  sizeof(struct mr_call_options) of the caller
 * @retval -E2BIG  unknown options, see above */
MR_API int mr_stream_open_sized(struct mr_client *c, const char *service, const void *payload,
	size_t bytes, const struct mr_call_options *options, mr_call_fn *callback, void *arg,
	struct mr_stream **out, size_t options_bytes);
/** @} */

/** @} */

/** @cond */
/* Each passes the sizes that the structs have for this program. The names keep their arguments
 * together, so that these may contain compound literals. */
#define mr_message_dup(...)  mr_message_dup_sized(__VA_ARGS__, sizeof(struct mr_message))
#define mr_connect(...)      mr_connect_sized(__VA_ARGS__, sizeof(struct mr_options))
#define mr_client_stats(...) mr_client_stats_sized(__VA_ARGS__, sizeof(struct mr_client_stats))
#define mr_publisher_open_with(...)                                                                \
	mr_publisher_open_with_sized(__VA_ARGS__, sizeof(struct mr_publisher_options))
#define mr_subscribe(...)    mr_subscribe_sized(__VA_ARGS__, sizeof(struct mr_subscribe_options))
#define mr_receive(...)      mr_receive_sized(__VA_ARGS__, sizeof(struct mr_message))
#define mr_request(...)      mr_request_sized(__VA_ARGS__, sizeof(struct mr_message))
#define mr_request_with(...) mr_request_with_sized(__VA_ARGS__, sizeof(struct mr_message))
#define mr_request_many(...)                                                                       \
	mr_request_many_sized(__VA_ARGS__, sizeof(struct mr_request_many_options))
#define mr_request_many_async(...)                                                                 \
	mr_request_many_async_sized(__VA_ARGS__, sizeof(struct mr_request_many_options))
#define mr_admin_edit_with(...)                                                                    \
	mr_admin_edit_with_sized(__VA_ARGS__, sizeof(struct mr_admin_options))
#define mr_queue_open(...) mr_queue_open_sized(__VA_ARGS__, sizeof(struct mr_push_options))
#define mr_push_with(...)  mr_push_with_sized(__VA_ARGS__, sizeof(struct mr_push))
#define mr_consume(...)    mr_consume_sized(__VA_ARGS__, sizeof(struct mr_consume_options))
#define mr_pull(...)       mr_pull_sized(__VA_ARGS__, sizeof(struct mr_delivery))
#define mr_pull_batch(...) mr_pull_batch_sized(__VA_ARGS__, sizeof(struct mr_delivery))
#define mr_settle_and_push(...)                                                                    \
	mr_settle_and_push_sized(                                                                  \
		__VA_ARGS__, sizeof(struct mr_settle_options), sizeof(struct mr_push))
#define mr_settle_and_push_async(...)                                                              \
	mr_settle_and_push_async_sized(                                                            \
		__VA_ARGS__, sizeof(struct mr_settle_options), sizeof(struct mr_push))
#define mr_serve(...) mr_serve_sized(__VA_ARGS__, sizeof(struct mr_serve_options))
#define mr_call(...)                                                                               \
	mr_call_sized(__VA_ARGS__, sizeof(struct mr_call_options), sizeof(struct mr_message))
#define mr_call_async(...)  mr_call_async_sized(__VA_ARGS__, sizeof(struct mr_call_options))
#define mr_stream_open(...) mr_stream_open_sized(__VA_ARGS__, sizeof(struct mr_call_options))
/** @endcond */

#endif
