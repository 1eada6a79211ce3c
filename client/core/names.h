/* SPDX-License-Identifier: Apache-2.0 */
/* names: checks names by the bus's rules before they are sent.
 *
 * Errors    NULL, or a constant text that says what is wrong.
 */
#ifndef MILLRACE_CLIENT_CORE_NAMES_H
#define MILLRACE_CLIENT_CORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

const char *mr_name_subject_fault(const char *subject, size_t bytes);
const char *mr_name_pattern_fault(const char *pattern, size_t bytes, bool prefix);
const char *mr_name_group_fault(const char *group);
/* Makes a name for the client from a text that was not chosen as one, such as the program's name: 1
 * to out_bytes - 1 bytes of UTF-8, with '_' for each character that the bus does not take. */
void mr_name_fit(char *out, size_t out_bytes, const char *name);

#endif
