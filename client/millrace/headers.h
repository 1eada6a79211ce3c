/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_HEADERS_H
#define MILLRACE_HEADERS_H

/** @file headers.h
 * Header blocks of messages. */

/** @defgroup headers Header blocks
 * Writing and reading header blocks (NATS ADR-4). Manual page: mr_headers(3).
 *
 * A block is `NATS/1.0`, lines of the form `Name: value`, and an empty line; each line ends with
 * CR LF. The bus passes it through untouched. The calls that send a block check it and return
 * -EINVAL for a malformed one. mr_error() describes failures of mr_headers_add() too.
 * @{ */

/** A header block under construction, in memory of the caller. */
struct mr_headers {
	char *data;      /**< pass it as `headers` */
	size_t bytes;    /**< bytes in use, pass it as `header_bytes`; 0: empty */
	size_t capacity; /**< bytes of the memory */
};

/** Starts an empty header block.
 * @param h         the block
 * @param memory    memory of the caller, which must outlive the block
 * @param capacity  bytes of the memory */
MR_API void mr_headers_init(struct mr_headers *h, void *memory, size_t capacity);

/** Adds a header. After a failure the block is as before.
 * @param h      the block
 * @param name   at least 1 byte, no colon, space or control byte
 * @param value  no CR or LF
 * @retval 0        added
 * @retval -EINVAL  malformed name or value
 * @retval -ENOSPC  the memory is full */
MR_API int mr_headers_add(struct mr_headers *h, const char *name, const char *value);

/** Adds a header whose value is formatted, as by printf(). After a failure the block is as before.
 *
 * The value goes straight into the block's memory. The bytes of that memory behind the block are
 * used as room, also in a call that fails.
 *
 * @param h       the block
 * @param name    at least 1 byte, no colon, space or control byte
 * @param format  as for printf(); the result has no CR, LF or zero byte
 * @retval 0        added
 * @retval -EINVAL  malformed name or value, or printf() refuses the format
 * @retval -ENOSPC  the memory is full; nothing is cut off */
MR_API int mr_headers_addf(struct mr_headers *h, const char *name, const char *format, ...)
	MR_PRINTF(3, 4);

/** One header of a block. The texts point into the block and do not end with a zero byte. */
struct mr_header {
	const char *name;   /**< case kept */
	size_t name_bytes;  /**< at least 1 */
	const char *value;  /**< without leading and trailing spaces and tabs */
	size_t value_bytes; /**< may be 0 */
};

/** Reads the next header of a block. Skips lines that are not headers: other clients may send
 * them.
 * @param block        the block; NULL: none
 * @param block_bytes  bytes of the block
 * @param cursor       0 before the first call; moved on by each
 * @param out          the header
 * @return false at the end of the block */
MR_API bool mr_headers_next(
	const char *block, size_t block_bytes, size_t *cursor, struct mr_header *out);

/** Finds the first header of a name, compared without case.
 * @param block        the block; NULL: none
 * @param block_bytes  bytes of the block
 * @param name         the name
 * @param out          the header
 * @return false: there is none */
MR_API bool mr_headers_find(
	const char *block, size_t block_bytes, const char *name, struct mr_header *out);

/** Finds the value of the first header of a name in a message, compared without case.
 * @param m      the message
 * @param name   the name
 * @param bytes  length of the value; 0 if there is none; may be NULL
 * @return the value, without leading and trailing spaces and tabs. It points into the message, is
 *         valid as long, and does not end with a zero byte. NULL: there is no such header. */
MR_API const char *mr_message_header(const struct mr_message *m, const char *name, size_t *bytes);

/** Reads the next header of a message, as mr_headers_next().
 * @param m       the message
 * @param cursor  0 before the first call; moved on by each
 * @param out     the header
 * @return false: there are no more */
MR_API bool mr_message_header_next(
	const struct mr_message *m, size_t *cursor, struct mr_header *out);

/** @} */

#endif
