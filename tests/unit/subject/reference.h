/* SPDX-License-Identifier: Apache-2.0 */
/* reference: the meaning of subscriptions in the plainest code, to compare the tables with. */
#ifndef MILLRACE_TESTS_SUBJECT_REFERENCE_H
#define MILLRACE_TESTS_SUBJECT_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline size_t reference_token(const char *s, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && s[n] != '.')
		n++;
	return n;
}

/* Both must be well-formed. */
static inline bool reference_pattern_matches(
	const char *pattern, size_t pattern_bytes, const char *subject, size_t bytes)
{
	while (pattern_bytes > 0 && bytes > 0) {
		size_t p = reference_token(pattern, pattern_bytes);
		size_t s = reference_token(subject, bytes);
		bool star = p == 1 && pattern[0] == '*';

		if (p == 1 && pattern[0] == '>')
			return true;
		if (!star && (p != s || memcmp(pattern, subject, p) != 0))
			return false;
		p += p < pattern_bytes;
		s += s < bytes;
		pattern += p;
		pattern_bytes -= p;
		subject += s;
		bytes -= s;
	}
	return pattern_bytes == 0 && bytes == 0;
}

static inline bool reference_prefix_matches(
	const char *prefix, size_t prefix_bytes, const char *subject, size_t bytes)
{
	return prefix_bytes <= bytes &&
	       (prefix_bytes == 0 || memcmp(prefix, subject, prefix_bytes) == 0);
}

/* xorshift: the same numbers from the same seed everywhere. */
static inline uint32_t reference_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

#endif
