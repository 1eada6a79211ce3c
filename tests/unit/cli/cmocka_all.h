/* SPDX-License-Identifier: Apache-2.0 */
/* Headers that cmocka needs before its own. */
#ifndef MILLRACE_TESTS_UNIT_CLI_CMOCKA_ALL_H
#define MILLRACE_TESTS_UNIT_CLI_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#endif
