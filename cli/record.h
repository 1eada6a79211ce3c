/* SPDX-License-Identifier: Apache-2.0 */
/* record: a message of a queue as a line of JSON, for files.
 *
 *   {"priority":"normal","headers":"NATS/1.0\r\n...","payload":"text"}
 *
 * `headers` is the header block, absent if there is none. Bytes that are not UTF-8 are in
 * `headers_base64` and `payload_base64` instead.
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

/* Prints the line of a delivery. */
void mr_cli_record_print(const struct mr_delivery *d);

bool mr_cli_record_parse(
	struct mr_cli_record *r, const char *line, size_t bytes, char *error, size_t error_bytes);
void mr_cli_record_free(struct mr_cli_record *r);

#endif
