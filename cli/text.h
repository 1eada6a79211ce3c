/* SPDX-License-Identifier: Apache-2.0 */
/* text: shows bytes from other programs to people and JSON readers, without harm to the terminal.
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

/* True for well-formed UTF-8 without control characters and hidden formats (lib/base/text.h). */
bool mr_cli_text_is_printable(const char *data, size_t bytes);

/* Prints a text on one line. Bytes that are not printable UTF-8 are shown as \n, \t, \\ or \xNN. */
void mr_cli_text_print(FILE *out, const void *data, size_t bytes);

/* Prints a message of ours, which may quote such bytes: as above, but a backslash stays. */
void mr_cli_text_print_message(FILE *out, const char *text);

/* Escapes into memory, NUL-terminated and cut to fit. Returns the length. */
size_t mr_cli_text_escape(char *out, size_t out_bytes, const void *data, size_t bytes);
/* Returns the escaped text, which the caller frees; NULL: no memory. */
char *mr_cli_text_escaped(const void *data, size_t bytes);

/* Parses a decimal number, which need not end with a NUL. False if it is none. */
bool mr_cli_text_count(const char *data, size_t bytes, uint64_t *count);

/* Returns base64 (RFC 4648 §4), NUL-terminated; the caller frees it. NULL: no memory. */
char *mr_cli_text_base64(const void *data, size_t bytes);

/* Decodes base64 (RFC 4648 §4, with padding). Returns the bytes, which the caller frees; NULL: not
 * base64, or no memory. */
void *mr_cli_text_unbase64(const char *text, size_t *bytes);

/* Sets object[key] to the bytes as a string if they are UTF-8, else object[key + "_base64"]. */
int mr_cli_text_json(json_t *object, const char *key, const void *data, size_t bytes);

/* True if the bytes are UTF-8. */
bool mr_cli_text_is_utf8(const void *data, size_t bytes);
/* Returns the bytes without a character at the end that was cut in two. */
size_t mr_cli_text_whole(const char *data, size_t bytes);

/* Formats "10.0.0.1:7400" or "[fd77::1]:7400" from 16 bytes in network order, IPv4 mapped. */
#define MR_CLI_TEXT_ADDRESS_BYTES 64
void mr_cli_text_address(
	char out[MR_CLI_TEXT_ADDRESS_BYTES], const uint8_t address[16], uint16_t udp_port);

/* From now on JSON has integers above 2^53 - 1 as strings (--json-safe). All JSON of a command is
 * printed in one way, so this holds for the process. */
void mr_cli_text_json_safe(void);

/* Prints a JSON value on one line and frees it. Characters that are not printable become \uXXXX.
 * Integers have no sign: jansson's negative ones are those from 2^63 on. */
void mr_cli_text_json_line(json_t *value);
/* Prints {"key":count} on one line. */
void mr_cli_text_json_count(const char *key, uint64_t count);

#endif
