/* SPDX-License-Identifier: Apache-2.0 */
/* log: structured events on standard error, one a line, as text or JSON.
 *
 *   mr_log(MR_LOG_INFO, "session opened", MR_LOG_HEX("session", id), MR_LOG_STR("name", name));
 *
 * An event is logged once, where it stops travelling. Strings from outside are escaped.
 *
 * Threads   Any; a line is one write.
 * Hot path  Never: it formats and makes a system call.
 */
#ifndef MILLRACE_BASE_LOG_H
#define MILLRACE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mr_log_level { MR_LOG_ERROR, MR_LOG_WARN, MR_LOG_INFO, MR_LOG_DEBUG };

enum mr_log_type { MR_LOG_TYPE_STR, MR_LOG_TYPE_U64, MR_LOG_TYPE_I64, MR_LOG_TYPE_HEX };

struct mr_log_field {
	const char *key;
	enum mr_log_type type;
	const char *str;
	uint64_t number;
};

#define MR_LOG_STR(k, v) ((struct mr_log_field){(k), MR_LOG_TYPE_STR, (v), 0})
#define MR_LOG_U64(k, v) ((struct mr_log_field){(k), MR_LOG_TYPE_U64, NULL, (uint64_t)(v)})
#define MR_LOG_I64(k, v) ((struct mr_log_field){(k), MR_LOG_TYPE_I64, NULL, (uint64_t)(int64_t)(v)})
#define MR_LOG_HEX(k, v) ((struct mr_log_field){(k), MR_LOG_TYPE_HEX, NULL, (uint64_t)(v)})
/* A negative errno as its text. */
#define MR_LOG_ERR(e) MR_LOG_STR("error", mr_log_errno_text(e))

/* `program` is said in each line; kept by pointer. */
void mr_log_init(const char *program, enum mr_log_level level, bool json);
void mr_log_write(enum mr_log_level level, const char *event, const struct mr_log_field *fields,
	size_t count);
const char *mr_log_errno_text(int error);

#define mr_log(level, ...) mr_log_(level, __VA_ARGS__, MR_LOG_END_)
#define MR_LOG_END_        ((struct mr_log_field){NULL, MR_LOG_TYPE_STR, NULL, 0})
#define mr_log_(level, event, ...)                                                                 \
	mr_log_write((level), (event), (const struct mr_log_field[]){__VA_ARGS__},                 \
		sizeof((const struct mr_log_field[]){__VA_ARGS__}) / sizeof(struct mr_log_field) - \
			1)

#endif
