/* SPDX-License-Identifier: Apache-2.0 */
/* record: a message of a queue as a line of JSON, for files.
 *
 *   {"version":2,"priority":"normal","headers":"NATS/1.0\r\n...","payload":"text"}
 *
 * `headers` is the header block, absent if there is none. Bytes that are not UTF-8 are in
 * `headers_base64` and `payload_base64` instead. Absent if they are 0: `attempts`, `ttl_ms`,
 * `delay_ms`, `at_ms`, `ticket`, as in struct mr_push; ttl_ms and delay_ms are what was left. A
 * line without a version is of version 1, which has none of these.
 *
 * Owns      A parsed record owns its bytes, until free.
 * Errors    parse: false, and a text that says what is wrong with the line.
 */
#ifndef MILLRACE_CLI_RECORD_H
#define MILLRACE_CLI_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "client/millrace.h"

struct mr_cli_record {
	struct mr_push push;
	void *headers, *payload; /* memory of its members */
};

/* Prints the line of a message. */
void mr_cli_record_print(const struct mr_push *p);

bool mr_cli_record_parse(
	struct mr_cli_record *r, const char *line, size_t bytes, char *error, size_t error_bytes);
void mr_cli_record_free(struct mr_cli_record *r);

#endif
