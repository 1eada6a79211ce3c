/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

bool mr_cli_text_is_printable(const char *data, size_t bytes)
{
	const uint8_t *p = (const uint8_t *)data;

	for (size_t at = 0, n; at < bytes; at += n) {
		n = mr_text_printable_bytes(p + at, bytes - at);
		if (n == 0)
			return false;
	}
	return true;
}

bool mr_cli_text_count(const char *data, size_t bytes, uint64_t *count)
{
	uint64_t n = 0;

	for (size_t i = 0; i < bytes; i++) {
		unsigned digit = (unsigned char)data[i] - (unsigned)'0';

		if (digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, digit, &n))
			return false;
	}
	if (bytes == 0)
		return false;
	*count = n;
	return true;
}

/* Escapes one character of `p` into at most 4 bytes. *taken gets the bytes that it stands for. */
static size_t show(char out[5], const uint8_t *p, size_t bytes, size_t *taken)
{
	size_t n = p[0] == '\\' ? 0 : mr_text_printable_bytes(p, bytes);

	*taken = n ? n : 1;
	if (n) {
		memcpy(out, p, n);
		return n;
	}
	switch (p[0]) {
	case '\n': memcpy(out, "\\n", 2); return 2;
	case '\r': memcpy(out, "\\r", 2); return 2;
	case '\t': memcpy(out, "\\t", 2); return 2;
	case '\\': memcpy(out, "\\\\", 2); return 2;
	default: snprintf(out, 5, "\\x%02x", p[0]); return 4;
	}
}

void mr_cli_text_print(FILE *out, const void *data, size_t bytes)
{
	const uint8_t *p = data;
	char shown[5];

	for (size_t at = 0, taken; at < bytes; at += taken) {
		size_t n = show(shown, p + at, bytes - at, &taken);

		fwrite(shown, 1, n, out);
	}
}

void mr_cli_text_print_message(FILE *out, const char *text)
{
	for (size_t bytes; *text; text += bytes) {
		bytes = strcspn(text, "\\");
		mr_cli_text_print(out, text, bytes);
		if (text[bytes])
			fputc(text[bytes++], out);
	}
}

size_t mr_cli_text_escape(char *out, size_t out_bytes, const void *data, size_t bytes)
{
	const uint8_t *p = data;
	size_t used = 0;
	char shown[5];

	for (size_t at = 0, taken; at < bytes; at += taken) {
		size_t n = show(shown, p + at, bytes - at, &taken);

		if (used + n >= out_bytes)
			break;
		memcpy(out + used, shown, n);
		used += n;
	}
	out[used] = '\0';
	return used;
}

char *mr_cli_text_escaped(const void *data, size_t bytes)
{
	/* A byte becomes at most four. */
	char *out = malloc(4 * bytes + 1);

	if (out != NULL)
		mr_cli_text_escape(out, 4 * bytes + 1, data, bytes);
	return out;
}

char *mr_cli_text_base64(const void *data, size_t bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = data;
	char *out = malloc((bytes + 2) / 3 * 4 + 1);
	char *to = out;

	if (!out)
		return NULL;
	for (size_t at = 0; at < bytes; at += 3, to += 4) {
		size_t left = bytes - at;
		uint32_t bits = (uint32_t)p[at] << 16 | (left > 1 ? (uint32_t)p[at + 1] << 8 : 0) |
				(left > 2 ? p[at + 2] : 0);

		to[0] = digits[bits >> 18];
		to[1] = digits[bits >> 12 & 63];
		to[2] = left > 1 ? digits[bits >> 6 & 63] : '=';
		to[3] = left > 2 ? digits[bits & 63] : '=';
	}
	*to = '\0';
	return out;
}

static int set_base64(json_t *object, const char *key, const void *data, size_t bytes)
{
	char *text = mr_cli_text_base64(data, bytes);
	char name[64];
	int rc;

	if (!text)
		return -ENOMEM;
	snprintf(name, sizeof(name), "%s_base64", key);
	rc = json_object_set_new(object, name, json_string(text));
	free(text);
	return rc ? -ENOMEM : 0;
}

/* Returns the value of a base64 digit; -1: it is none. */
static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes four digits, the last ones of which may be padding if `last`. Returns the bytes; 0: these
 * are no such digits. */
static size_t decode_four(const char *digits, bool last, uint8_t out[3])
{
	size_t padding = last ? (digits[3] == '=') + (digits[3] == '=' && digits[2] == '=') : 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - padding ? digit_value(digits[i]) : 0;

		if (value < 0)
			return 0;
		bits = bits << 6 | (uint32_t)value;
	}
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
	return 3 - padding;
}

void *mr_cli_text_unbase64(const char *text, size_t *bytes)
{
	size_t length = strlen(text);
	uint8_t *out = length % 4 == 0 ? malloc(length / 4 * 3 + 1) : NULL;

	*bytes = 0;
	for (size_t at = 0; out && at < length; at += 4) {
		size_t n = decode_four(text + at, at + 4 == length, out + *bytes);

		*bytes += n;
		if (n == 0) {
			free(out);
			return NULL;
		}
	}
	return out;
}

bool mr_cli_text_is_utf8(const void *data, size_t bytes)
{
	const uint8_t *p = data;

	for (size_t at = 0, n; at < bytes; at += n) {
		n = mr_text_utf8_bytes(p + at, bytes - at);
		if (n == 0)
			return false;
	}
	return true;
}

size_t mr_cli_text_whole(const char *data, size_t bytes)
{
	const uint8_t *p = (const uint8_t *)data;

	for (size_t back = 1; back <= 3 && back <= bytes; back++) {
		uint8_t first = p[bytes - back];

		if ((first & 0xc0) == 0x80)
			continue; /* continues a character */
		return (first >= 0xf0          ? 4
			       : first >= 0xe0 ? 3
			       : first >= 0xc0 ? 2
					       : 1) > back
			       ? bytes - back
			       : bytes;
	}
	return bytes;
}

int mr_cli_text_json(json_t *object, const char *key, const void *data, size_t bytes)
{
	if (!mr_cli_text_is_utf8(data, bytes))
		return set_base64(object, key, data, bytes);
	return json_object_set_new(object, key, json_stringn(bytes ? data : "", bytes)) ? -ENOMEM
											: 0;
}

void mr_cli_text_address(
	char out[MR_CLI_TEXT_ADDRESS_BYTES], const uint8_t address[16], uint16_t udp_port)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool ip4 = memcmp(address, mapped, sizeof(mapped)) == 0;
	char text[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(ip4 ? AF_INET : AF_INET6, ip4 ? address + sizeof(mapped) : address, text,
		sizeof(text));
	snprintf(out, MR_CLI_TEXT_ADDRESS_BYTES, ip4 ? "%s:%u" : "[%s]:%u", text, udp_port);
}

/* Largest integer that a double holds exactly with all below it (RFC 8259 §6). */
#define JSON_SAFE_MAX ((UINT64_C(1) << 53) - 1)

/* Set once, before anything is printed. */
static bool json_safe;

void mr_cli_text_json_safe(void)
{
	json_safe = true;
}

static void print_integer(uint64_t value)
{
	const char *quote = json_safe && value > JSON_SAFE_MAX ? "\"" : "";

	printf("%s%" PRIu64 "%s", quote, value, quote);
}

static void print_real(const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));

	fputs(text ? text : "null", stdout);
	free(text);
}

/* Prints a character as an escape of RFC 8259 §7. */
static void print_escape(uint32_t c)
{
	static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *at = shorts; *at; at += 2) {
		if ((uint32_t)*at == c) {
			printf("\\%c", at[1]);
			return;
		}
	}
	if (c >= 0x10000)
		printf("\\u%04x\\u%04x", 0xd800u + ((c - 0x10000) >> 10),
			0xdc00u + ((c - 0x10000) & 0x3ff));
	else
		printf("\\u%04x", c);
}

/* Prints a string in quotes. Characters that are not printable are escaped. */
static void print_string(const char *text, size_t bytes)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t from = 0;

	putchar('"');
	for (size_t at = 0, n; at < bytes; at += n) {
		bool plain = p[at] != '"' && p[at] != '\\';

		n = mr_text_utf8_bytes(p + at, bytes - at);
		if (plain && n > 0 && mr_text_printable_bytes(p + at, n) > 0)
			continue;
		fwrite(p + from, 1, at - from, stdout);
		/* jansson checks its strings; U+FFFD keeps the line JSON all the same. */
		print_escape(n > 0 ? mr_text_code_point(p + at, n) : 0xfffd);
		n += n == 0;
		from = at + n;
	}
	fwrite(p + from, 1, bytes - from, stdout);
	putchar('"');
}

static void print_value(json_t *value);

static void print_array(const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i > 0)
			putchar(',');
		print_value(json_array_get(array, i));
	}
}

static void print_object(json_t *object)
{
	const char *key, *before = "";
	json_t *value;

	json_object_foreach(object, key, value)
	{
		fputs(before, stdout);
		print_string(key, strlen(key));
		putchar(':');
		print_value(value);
		before = ",";
	}
}

static void print_value(json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		putchar('{');
		print_object(value);
		putchar('}');
		break;
	case JSON_ARRAY:
		putchar('[');
		print_array(value);
		putchar(']');
		break;
	case JSON_STRING: print_string(json_string_value(value), json_string_length(value)); break;
	case JSON_INTEGER: print_integer((uint64_t)json_integer_value(value)); break;
	case JSON_REAL: print_real(value); break;
	case JSON_TRUE: fputs("true", stdout); break;
	case JSON_FALSE: fputs("false", stdout); break;
	case JSON_NULL: fputs("null", stdout); break;
	}
}

void mr_cli_text_json_line(json_t *value)
{
	if (value)
		print_value(value);
	putchar('\n');
	json_decref(value);
}

void mr_cli_text_json_count(const char *key, uint64_t count)
{
	json_t *o = json_object();

	json_object_set_new(o, key, json_integer((json_int_t)count));
	mr_cli_text_json_line(o);
}
