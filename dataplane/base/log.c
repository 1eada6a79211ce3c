/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A write of at most so many bytes to a pipe is never mixed with another's. */
#define LINE_BYTES_MAX 4096u
/* Kept free for what ends a line. */
#define END_BYTES 24u

static struct {
	const char *program;
	enum mr_log_level level;
	bool json;
} log_to = {.program = "millrace", .level = MR_LOG_INFO};

static const char *const level_names[] = {
	[MR_LOG_ERROR] = "error",
	[MR_LOG_WARN] = "warn",
	[MR_LOG_INFO] = "info",
	[MR_LOG_DEBUG] = "debug",
};

/* A line in the making. What does not fit sets `full` and is taken back by whoever began it. */
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

/* Bytes of the UTF-8 character at `s`, 0 if there is none. */
static unsigned utf8_bytes(const unsigned char *s)
{
	unsigned count = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] > 0xf4)
		return 0;
	for (unsigned i = 1; i < count; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return count;
}

/* Quoted such that neither form of line can be broken or forged by what is in it. */
static void put_quoted(struct line *l, const char *text)
{
	const unsigned char *s = (const unsigned char *)(text != NULL ? text : "");

	put(l, "\"");
	while (*s != '\0' && !l->full) {
		unsigned count = utf8_bytes(s);

		if (count == 0)
			put(l, "\\ufffd");
		else if (*s == '"' || *s == '\\')
			put_format(l, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			put_format(l, "\\u%04x", *s);
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
		/* A JSON number cannot hold 64 bits everywhere. */
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

static void put_head(struct line *l, enum mr_log_level level, const char *event, bool json)
{
	put(l, json ? "{\"time\":\"" : "");
	put_time(l);
	put(l, json ? "\",\"level\":\"" : " ");
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

void mr_log_init(const char *program, enum mr_log_level level, bool json)
{
	log_to.program = program;
	log_to.level = level;
	log_to.json = json;
}

void mr_log_write(
	enum mr_log_level level, const char *event, const struct mr_log_field *fields, size_t count)
{
	int saved = errno;
	struct line l;

	if (level > log_to.level)
		return;
	l.bytes = 0;
	l.full = false;
	put_head(&l, level, event, log_to.json);
	for (size_t i = 0; i < count; i++)
		put_field(&l, &fields[i], log_to.json);
	if (l.full) {
		const char *cut = log_to.json ? ",\"truncated\":true" : " truncated=true";

		memcpy(l.text + l.bytes, cut, strlen(cut));
		l.bytes += strlen(cut);
	}
	if (log_to.json)
		l.text[l.bytes++] = '}';
	l.text[l.bytes++] = '\n';
	/* Nowhere to report that a report failed. */
	while (write(STDERR_FILENO, l.text, l.bytes) < 0 && errno == EINTR)
		;
	errno = saved;
}

const char *mr_log_errno_text(int error)
{
	const char *text = strerrordesc_np(error < 0 ? -error : error);

	return text != NULL ? text : "unknown error";
}
