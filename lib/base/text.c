/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/text.h"

#include <stdbool.h>

/* Code points that are not printable, beyond C0 and DEL; in ascending order. */
static const struct {
	uint32_t first, last;
} hidden[] = {
	{0x80, 0x9f},       /* C1 controls */
	{0xad, 0xad},       /* soft hyphen */
	{0x61c, 0x61c},     /* Arabic letter mark */
	{0x180e, 0x180e},   /* Mongolian vowel separator */
	{0x200b, 0x200b},   /* zero-width space */
	{0x200e, 0x200f},   /* left-to-right and right-to-left marks */
	{0x2028, 0x202e},   /* separators; bidirectional embeddings and overrides */
	{0x2060, 0x206f},   /* word joiner, invisible operators, bidirectional isolates */
	{0xfeff, 0xfeff},   /* byte-order mark */
	{0xfff9, 0xfffb},   /* interlinear annotation */
	{0xe0000, 0xe007f}, /* tags */
};

size_t mr_text_utf8_bytes(const uint8_t *p, size_t bytes)
{
	size_t need = p[0] < 0x80   ? 1
		      : p[0] < 0xc2 ? 0
		      : p[0] < 0xe0 ? 2
		      : p[0] < 0xf0 ? 3
		      : p[0] < 0xf5 ? 4
				    : 0;

	if (need == 0 || need > bytes)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return need;
}

uint32_t mr_text_code_point(const uint8_t *p, size_t bytes)
{
	uint32_t c = bytes == 1 ? p[0] : p[0] & (0x7fu >> bytes);

	for (size_t i = 1; i < bytes; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

static bool is_hidden(uint32_t c)
{
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (c <= hidden[i].last)
			return c >= hidden[i].first;
	}
	return false;
}

size_t mr_text_printable_bytes(const uint8_t *p, size_t bytes)
{
	size_t n = mr_text_utf8_bytes(p, bytes);

	if (n == 0 || p[0] < 0x20 || p[0] == 0x7f)
		return 0;
	return n > 1 && is_hidden(mr_text_code_point(p, n)) ? 0 : n;
}
