/* SPDX-License-Identifier: Apache-2.0 */
/* text: bytes that others chose, shown to people and to JSON readers without harm.
 *
 * Threads   Any.
 * Errors    -ENOMEM.
 */
#ifndef MILLRACE_CLI_TEXT_H
#define MILLRACE_CLI_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Well-formed UTF-8 without control characters and hidden formats: lib/base/text.h. */
bool mr_cli_text_is_printable(const char *data, size_t bytes);

/* On one line, and with nothing that steers a terminal: what is no printable UTF-8 is shown as
 * \n, \t, \\ or \xNN. */
void mr_cli_text_print(FILE *out, const void *data, size_t bytes);

/* The same into memory, NUL-terminated; cut where it does not fit. Returns its length. */
size_t mr_cli_text_escape(char *out, size_t out_bytes, const void *data, size_t bytes);
/* The same of any length, for the caller to free; NULL: no memory. */
char *mr_cli_text_escaped(const void *data, size_t bytes);

/* The decimal number that the bytes are, which need not end with a NUL; false: they are none. */
bool mr_cli_text_count(const char *data, size_t bytes, uint64_t *count);

/* RFC 4648 §4, NUL-terminated; the caller frees it. NULL: no memory. */
char *mr_cli_text_base64(const void *data, size_t bytes);

/* Sets object[key] to the bytes as a string where they are UTF-8, else object[key + "_base64"]. */
int mr_cli_text_json(json_t *object, const char *key, const void *data, size_t bytes);

/* "10.0.0.1:7400" or "[fd77::1]:7400" of 16 bytes in network order, IPv4 mapped. */
#define MR_CLI_TEXT_ADDRESS_BYTES 64
void mr_cli_text_address(
	char out[MR_CLI_TEXT_ADDRESS_BYTES], const uint8_t address[16], uint16_t udp_port);

/* Prints a JSON value on one line and frees it. What is not printable is escaped as \uXXXX. */
void mr_cli_text_json_line(json_t *value);

#endif
