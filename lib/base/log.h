/* SPDX-License-Identifier: Apache-2.0 */
/* log: structured events on standard error, one a line, as text or JSON.
 *
 *   mr_log(MR_LOG_INFO, "session opened", MR_LOG_HEX("session", id), MR_LOG_STR("name", name));
 *
 * An event is logged once, where it stops travelling. Strings from outside are escaped. A line that
 * an outsider can cause at will is rate-limited with mr_log_limited.
 *
 * After mr_log_start no call waits for standard error: see outlet.h. Before it, and in programs
 * that never call it (tests), each line is one write.
 *
 * Threads   Any; mr_log_init, _start and _stop: one.
 * Hot path  Never: it formats, and takes a mutex.
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
/* The text of a negative errno. */
#define MR_LOG_ERR(e) MR_LOG_STR("error", mr_log_errno_text(e))

/* `program` appears in each line; the pointer is kept. */
void mr_log_init(const char *program, enum mr_log_level level, bool json);
void mr_log_write(enum mr_log_level level, const char *event, const struct mr_log_field *fields,
	size_t count);
const char *mr_log_errno_text(int error);

/* Starts a thread that writes the log, and redirects stderr (which libraries use) to it. At exit
 * the rest is flushed, for half a second at most. Call it before other threads exist. 0 or -errno.
 */
int mr_log_start(void);
/* Flushes and stops the thread as at exit; for programs that leave with _exit. */
void mr_log_stop(void);

/* Rate limit of one log statement. Lines above it are counted; a second later the count is logged
 * as the same event with a field `not_logged`. */
#define MR_LOG_LINES_PER_SECOND 5u
struct mr_log_limit {
	uint64_t second; /* the second in which `lines` were logged */
	uint32_t lines;
	uint64_t held_back;
	enum mr_log_level level;
	const char *event; /* a string literal */
	struct mr_log_limit *next;
};
bool mr_log_allowed(struct mr_log_limit *limit, enum mr_log_level level, const char *event);
/* Logs the counts of suppressed lines. */
void mr_log_limits_tell(void);

#define mr_log_limited(level, event, ...)                                                          \
	do {                                                                                       \
		static struct mr_log_limit mr_log_limit_;                                          \
		if (mr_log_allowed(&mr_log_limit_, (level), (event)))                              \
			mr_log((level), (event), __VA_ARGS__);                                     \
	} while (0)

#define mr_log(level, ...) mr_log_(level, __VA_ARGS__, MR_LOG_END_)
#define MR_LOG_END_        ((struct mr_log_field){NULL, MR_LOG_TYPE_STR, NULL, 0})
#define mr_log_(level, event, ...)                                                                 \
	mr_log_write((level), (event), (const struct mr_log_field[]){__VA_ARGS__},                 \
		sizeof((const struct mr_log_field[]){__VA_ARGS__}) / sizeof(struct mr_log_field) - \
			1)

#endif
