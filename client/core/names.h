/* SPDX-License-Identifier: Apache-2.0 */
/* names: the bus's rules for names, asked before a name is sent.
 *
 * Errors    NULL, or what is wrong, for people; the text is constant.
 */
#ifndef MILLRACE_CLIENT_CORE_NAMES_H
#define MILLRACE_CLIENT_CORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

const char *mr_name_subject_fault(const char *subject, size_t bytes);
const char *mr_name_pattern_fault(const char *pattern, size_t bytes, bool prefix);
const char *mr_name_group_fault(const char *group);
/* A name for the client out of one that nobody chose for that, as the program's: at most out_bytes - 1 bytes of UTF-8,
 * not empty, with '_' for what the bus does not take. */
void mr_name_fit(char *out, size_t out_bytes, const char *name);

#endif
