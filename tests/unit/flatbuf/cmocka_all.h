/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka_all: cmocka's header after the ones that it needs. */
#ifndef MILLRACE_TESTS_FLATBUF_CMOCKA_ALL_H
#define MILLRACE_TESTS_FLATBUF_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
