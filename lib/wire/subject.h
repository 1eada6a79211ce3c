/* SPDX-License-Identifier: Apache-2.0 */
/* subject: the rules for subjects, patterns, byte prefixes and names of queue groups.
 *
 * A subject is 1..255 bytes: non-empty tokens separated by '.', without control bytes and spaces;
 * no token is exactly "*" or ">". A pattern is a subject in which a token may be "*" (any one
 * token) and the last may be ">" (one or more tokens). A byte prefix is 0..255 bytes that may begin
 * a subject. A group's name is 1..63 bytes without wildcards, control bytes and spaces. Bytes from
 * 0x80 on are accepted without a check for UTF-8.
 *
 * Owns      Nothing; texts have a length and need no terminating zero.
 * Threads   Any.
 * Errors    The parsers name the fault; mr_subject_check returns it as -errno.
 * Hot path  No allocation, no system call.
 */
#ifndef MILLRACE_WIRE_SUBJECT_H
#define MILLRACE_WIRE_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MR_SUBJECT_BYTES_MAX  255
#define MR_SUBJECT_TOKENS_MAX 128
#define MR_GROUP_BYTES_MAX    63

enum mr_subject_fault {
	MR_SUBJECT_OK,
	MR_SUBJECT_EMPTY,
	MR_SUBJECT_TOO_LONG,
	MR_SUBJECT_EMPTY_TOKEN,
	MR_SUBJECT_BAD_BYTE,
	MR_SUBJECT_WILDCARD,
	MR_SUBJECT_TAIL_NOT_LAST,
	MR_SUBJECT_FAULTS
};

/* Checks a subject to publish to. */
enum mr_subject_fault mr_subject_parse(const void *s, size_t bytes);

/* Checks a pattern to subscribe with; every subject is a pattern. */
enum mr_subject_fault mr_pattern_parse(const void *s, size_t bytes);

/* True if the subject matches the pattern; both must be valid. */
bool mr_pattern_matches(
	const char *pattern, size_t pattern_bytes, const char *subject, size_t subject_bytes);

/* Checks a byte prefix to subscribe with; it may be empty, and may end within a token. */
enum mr_subject_fault mr_prefix_parse(const void *s, size_t bytes);

/* Checks the name of a queue group. */
enum mr_subject_fault mr_group_parse(const void *s, size_t bytes);

/* Checks a subject. 0; -E2BIG: too long; -EINVAL: any other fault. */
int mr_subject_check(const char *s, size_t bytes);

/* Returns a phrase for people, without a full stop; never NULL. */
const char *mr_subject_fault_text(enum mr_subject_fault fault);

#endif
