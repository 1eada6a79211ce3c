/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/outlet.h"
#include "lib/base/text.h"

#define LINE_BYTES_MAX MR_OUTLET_WRITE_BYTES_MAX
/* Room reserved for the end of a line. */
#define END_BYTES      24u
#define STOP_FLUSH_MS  500
#define ABORT_FLUSH_MS 200

static struct {
	const char *program;
	enum mr_log_level level;
	bool json;
	bool journal; /* standard error is the journal, which adds the time */
} log_to = {.program = "millrace", .level = MR_LOG_INFO};

static struct mr_outlet log_outlet;
static bool log_started; /* never reset: lines logged after the stop must not block either */

static const char *const level_names[] = {
	[MR_LOG_ERROR] = "error",
	[MR_LOG_WARN] = "warn",
	[MR_LOG_INFO] = "info",
	[MR_LOG_DEBUG] = "debug",
};

/* A line under construction. A part that does not fit sets `full`; its caller removes the
 * incomplete part. */
struct line {
	char text[LINE_BYTES_MAX];
	size_t bytes;
	bool full;
};

static void put_bytes(struct line *l, const char *data, size_t bytes)
{
	if (l->full || l->bytes + bytes > LINE_BYTES_MAX - END_BYTES) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->bytes, data, bytes);
	l->bytes += bytes;
}

static void put(struct line *l, const char *text)
{
	put_bytes(l, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(
	struct line *l, const char *format, ...)
{
	char small[64];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(small, sizeof(small), format, args);
	va_end(args);
	put_bytes(l, small, n < 0 ? 0 : (size_t)n < sizeof(small) ? (size_t)n : sizeof(small) - 1);
}

/* Writes \uXXXX; above the basic plane two surrogates (RFC 8259 §7). */
static void put_escape(struct line *l, uint32_t c)
{
	if (c >= 0x10000) {
		put_format(l, "\\u%04x", 0xd800u + ((c - 0x10000) >> 10));
		c = 0xdc00u + ((c - 0x10000) & 0x3ff);
	}
	put_format(l, "\\u%04x", c);
}

/* Quotes `text` so that its content can neither break nor forge a line, as text or JSON. */
static void put_quoted(struct line *l, const char *text)
{
	const unsigned char *s = (const unsigned char *)(text != NULL ? text : "");

	put(l, "\"");
	while (*s != '\0' && !l->full) {
		/* Bytes of a UTF-8 sequence are never NUL, so none is read beyond the end. */
		size_t count = mr_text_utf8_bytes(s, 4);

		if (count == 0)
			put(l, "\\ufffd");
		else if (*s == '"' || *s == '\\')
			put_format(l, "\\%c", *s);
		else if (mr_text_printable_bytes(s, count) == 0)
			put_escape(l, mr_text_code_point(s, count));
		else
			put_bytes(l, (const char *)s, count);
		s += count != 0 ? count : 1;
	}
	put(l, "\"");
}

static bool plain(const char *text)
{
	if (text == NULL || *text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text >= 0x7f || *text == '"' || *text == '\\' || *text == '=')
			return false;
	}
	return true;
}

static void put_value(struct line *l, const struct mr_log_field *f, bool json)
{
	switch (f->type) {
	case MR_LOG_TYPE_STR:
		if (!json && plain(f->str))
			put(l, f->str);
		else
			put_quoted(l, f->str);
		break;
	case MR_LOG_TYPE_U64: put_format(l, "%llu", (unsigned long long)f->number); break;
	case MR_LOG_TYPE_I64: put_format(l, "%lld", (long long)(int64_t)f->number); break;
	case MR_LOG_TYPE_HEX:
		/* Not every JSON reader holds 64 bits in a number. */
		put_format(l, json ? "\"0x%llx\"" : "0x%llx", (unsigned long long)f->number);
		break;
	}
}

static void put_time(struct line *l)
{
	struct timespec now;
	struct tm utc;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	put_format(l, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

/* Writes the priority that the journal reads at the beginning of a line, see sd-daemon(3). */
static void put_priority(struct line *l, enum mr_log_level level)
{
	static const int priorities[] = {
		[MR_LOG_ERROR] = LOG_ERR,
		[MR_LOG_WARN] = LOG_WARNING,
		[MR_LOG_INFO] = LOG_INFO,
		[MR_LOG_DEBUG] = LOG_DEBUG,
	};

	put_format(l, "<%d>", priorities[level]);
}

static void put_head(struct line *l, enum mr_log_level level, const char *event, bool json)
{
	if (log_to.journal)
		put_priority(l, level);
	put(l, json ? "{\"time\":\"" : "");
	if (json || !log_to.journal)
		put_time(l);
	put(l, json ? "\",\"level\":\"" : log_to.journal ? "" : " ");
	put(l, level_names[level]);
	put(l, json ? "\",\"program\":" : " ");
	if (json)
		put_quoted(l, log_to.program);
	else
		put(l, log_to.program);
	put(l, json ? ",\"event\":" : ": ");
	if (json)
		put_quoted(l, event);
	else
		put(l, event);
}

static void put_field(struct line *l, const struct mr_log_field *f, bool json)
{
	size_t before = l->bytes;

	if (l->full)
		return;
	put(l, json ? ",\"" : " ");
	put(l, f->key);
	put(l, json ? "\":" : "=");
	put_value(l, f, json);
	if (l->full)
		l->bytes = before;
}

/* True if standard error is the stream of the journal that systemd names in the environment. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void mr_log_init(const char *program, enum mr_log_level level, bool json)
{
	log_to.program = program;
	log_to.level = level;
	log_to.json = json;
	log_to.journal = is_journal();
}

static void make_line(struct line *l, enum mr_log_level level, const char *event,
	const struct mr_log_field *fields, size_t count)
{
	l->bytes = 0;
	l->full = false;
	put_head(l, level, event, log_to.json);
	for (size_t i = 0; i < count; i++)
		put_field(l, &fields[i], log_to.json);
	if (l->full) {
		const char *cut = log_to.json ? ",\"truncated\":true" : " truncated=true";

		memcpy(l->text + l->bytes, cut, strlen(cut));
		l->bytes += strlen(cut);
	}
	if (log_to.json)
		l->text[l->bytes++] = '}';
	l->text[l->bytes++] = '\n';
}

void mr_log_write(
	enum mr_log_level level, const char *event, const struct mr_log_field *fields, size_t count)
{
	int saved = errno;
	struct line l;

	if (level > log_to.level)
		return;
	make_line(&l, level, event, fields, count);
	if (log_started)
		(void)mr_outlet_put(&log_outlet, l.text, l.bytes);
	else /* A failed log write has nowhere to be reported. */
		while (write(STDERR_FILENO, l.text, l.bytes) < 0 && errno == EINTR)
			;
	errno = saved;
}

static size_t say_dropped(char *out, size_t bytes, uint64_t dropped)
{
	const struct mr_log_field field = MR_LOG_U64("lines", dropped);
	struct line l;

	make_line(
		&l, MR_LOG_WARN, "log lines dropped: standard error did not take them", &field, 1);
	memcpy(out, l.text, l.bytes < bytes ? l.bytes : bytes);
	return l.bytes < bytes ? l.bytes : bytes;
}

/* Flushes the log on SIGABRT, so that the text of a failed assertion can be read. */
static void aborted(int number)
{
	(void)number;
	(void)mr_outlet_flush(&log_outlet, ABORT_FLUSH_MS);
}

int mr_log_start(void)
{
	const struct sigaction abort_action = {.sa_handler = aborted, .sa_flags = SA_RESETHAND};
	FILE *stream;
	int error;

	log_outlet.say_dropped = say_dropped;
	log_outlet.tick = mr_log_limits_tell;
	error = mr_outlet_open(&log_outlet, STDERR_FILENO);
	if (error != 0)
		return error;
	log_started = true;
	sigaction(SIGABRT, &abort_action, NULL);
	atexit(mr_log_stop);
	/* Libraries write to stderr directly and must not block either. */
	stream = mr_outlet_stream(&log_outlet);
	if (stream != NULL)
		stderr = stream;
	return 0;
}

void mr_log_stop(void)
{
	if (!log_outlet.open)
		return;
	mr_log_limits_tell();
	fflush(stderr);
	mr_outlet_close(&log_outlet, STOP_FLUSH_MS);
}

/* Limits that have suppressed lines, newest first. */
static struct {
	pthread_mutex_t mutex;
	struct mr_log_limit *first;
} limits = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static uint64_t second(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec;
}

bool mr_log_allowed(struct mr_log_limit *limit, enum mr_log_level level, const char *event)
{
	uint64_t now = second();
	bool allowed;

	if (level > log_to.level)
		return false;
	pthread_mutex_lock(&limits.mutex);
	if (limit->second != now) {
		limit->second = now;
		limit->lines = 0;
	}
	allowed = limit->lines < MR_LOG_LINES_PER_SECOND;
	limit->lines += allowed;
	if (!allowed && limit->held_back++ == 0) {
		limit->level = level;
		limit->event = event;
		limit->next = limits.first;
		limits.first = limit;
	}
	pthread_mutex_unlock(&limits.mutex);
	if (!allowed && log_started)
		mr_outlet_tick_ask(&log_outlet);
	return allowed;
}

void mr_log_limits_tell(void)
{
	pthread_mutex_lock(&limits.mutex);
	while (limits.first != NULL) {
		struct mr_log_limit *l = limits.first;

		limits.first = l->next;
		mr_log(l->level, l->event, MR_LOG_U64("not_logged", l->held_back));
		l->held_back = 0;
	}
	pthread_mutex_unlock(&limits.mutex);
}

const char *mr_log_errno_text(int error)
{
	const char *text = strerrordesc_np(error < 0 ? -error : error);

	return text != NULL ? text : "unknown error";
}
