/* SPDX-License-Identifier: Apache-2.0 */
/* names: the bus's rules for names, asked before a name is sent.
 *
 * Errors    NULL, or what is wrong, for people; the text is constant.
 */
#ifndef MILLRACE_CLIENT_NAMES_H
#define MILLRACE_CLIENT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

const char *mr_name_subject_fault(const char *subject, size_t bytes);
const char *mr_name_pattern_fault(const char *pattern, size_t bytes, bool prefix);
const char *mr_name_group_fault(const char *group);

#endif
