/* SPDX-License-Identifier: Apache-2.0 */
#include "client/names.h"

#include <string.h>

#include "dataplane/wire/subject.h"

static const char *text(enum mr_subject_fault fault)
{
	return fault == MR_SUBJECT_OK ? NULL : mr_subject_fault_text(fault);
}

const char *mr_name_subject_fault(const char *subject, size_t bytes)
{
	return text(mr_subject_parse(subject, bytes));
}

const char *mr_name_pattern_fault(const char *pattern, size_t bytes, bool prefix)
{
	return text(prefix ? mr_prefix_parse(pattern, bytes) : mr_pattern_parse(pattern, bytes));
}

const char *mr_name_group_fault(const char *group)
{
	return text(mr_group_parse(group, strlen(group)));
}
