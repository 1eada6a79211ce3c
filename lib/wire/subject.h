/* SPDX-License-Identifier: Apache-2.0 */
/* subject: what a subject, a pattern, a byte prefix and a queue group's name may be.
 *
 * A subject is 1..255 bytes: tokens parted by '.', none of them empty, no control byte, no space,
 * no token that is exactly "*" or ">". A pattern is a subject in which a token may be "*" (any one
 * token) and the last one may be ">" (one or more tokens). A byte prefix is 0..255 bytes that may
 * begin a subject. A group's name is 1..63 bytes without wildcards, control bytes and spaces.
 * Bytes from 0x80 on are taken as they come; nobody checks that they are UTF-8.
 *
 * Owns      Nothing; texts have a length and need no terminating zero.
 * Threads   Any.
 * Errors    The parsers name what is wrong; mr_subject_check says it as -errno.
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

/* A subject to publish to. */
enum mr_subject_fault mr_subject_parse(const void *s, size_t bytes);

/* A pattern to subscribe with; every subject is one. */
enum mr_subject_fault mr_pattern_parse(const void *s, size_t bytes);

/* A byte prefix to subscribe with; it may be empty, and may end within a token. */
enum mr_subject_fault mr_prefix_parse(const void *s, size_t bytes);

/* The name of a queue group. */
enum mr_subject_fault mr_group_parse(const void *s, size_t bytes);

/* 0, -E2BIG for a subject that is too long, -EINVAL for any other fault. */
int mr_subject_check(const char *s, size_t bytes);

/* A sentence's worth without a full stop, for people; never NULL. */
const char *mr_subject_fault_text(enum mr_subject_fault fault);

#endif
