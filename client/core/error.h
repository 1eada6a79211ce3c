/* SPDX-License-Identifier: Apache-2.0 */
/* error: the text of a client's last error, and the texts of error codes.
 *
 * Owns      The client keeps a pointer to a constant text, or a copy of a formatted one.
 * Threads   The client's. The text of a failed call without client belongs to the thread, and is
 *           what mr_error says of any client until one of the thread's clients fails.
 */
#ifndef MILLRACE_CLIENT_CORE_ERROR_H
#define MILLRACE_CLIENT_CORE_ERROR_H

#include <stdint.h>

struct mr_client;

/* Stores the error and returns `code`. `text` is constant; NULL: the text of the code. `c` is NULL
 * for a call without client. */
int mr_fail(struct mr_client *c, int code, const char *text);
/* Formats the text into the client, then as mr_fail. */
int mr_failf(struct mr_client *c, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Replaces control characters. */
void mr_error_printable(char *text);
/* Stores the text that mr_error(NULL) returns after a failed mr_connect. */
void mr_connect_error_set(const char *text);
/* Returns -errno for the code of a Status message. */
int mr_status_error(uint32_t code);

#endif
