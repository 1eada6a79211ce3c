/* SPDX-License-Identifier: Apache-2.0 */
/* names: schema names as C names. */
#ifndef MILLRACE_FLATBUF_GEN_NAMES_H
#define MILLRACE_FLATBUF_GEN_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* "millrace.MessageHeader" -> "message_header", "HTTPPort" -> "http_port". False if it does not fit
 * in `bytes` or is no identifier.
 */
bool gen_name_snake(const char *name, char *out, size_t bytes);

/* "message_header" -> "MESSAGE_HEADER" */
void gen_name_upper(const char *name, char *out, size_t bytes);

bool gen_name_is_keyword(const char *name);

#endif
