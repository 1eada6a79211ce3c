/* SPDX-License-Identifier: Apache-2.0 */
/* version: the version of the library, and whether a program may run with it. */
#include "client/core/error.h"
#include "client/core/state.h"

const char *mr_version(void)
{
	return MR_VERSION;
}

unsigned mr_version_number(void)
{
	return MR_VERSION_NUMBER;
}

int mr_version_check(unsigned header)
{
	unsigned major = header / MR_VERSION_MAKE(1, 0, 0);

	if (major == MR_VERSION_MAJOR && header <= MR_VERSION_NUMBER)
		return 0;
	return mr_failf(NULL, -EPROTO,
		"the program was built for millrace %u.%u.%u, and the library is %s", major,
		header / MR_VERSION_MAKE(0, 1, 0) % 1000, header % 1000, MR_VERSION);
}
