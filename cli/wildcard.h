/* SPDX-License-Identifier: Apache-2.0 */
/* wildcard: remarks about patterns in which a wildcard was perhaps meant, but is none.
 *
 * Such patterns are valid: * and > are plain characters within a token. A remark changes nothing.
 */
#ifndef MILLRACE_CLI_WILDCARD_H
#define MILLRACE_CLI_WILDCARD_H

#include "cli/cli.h"

#define MR_CLI_WILDCARD_BYTES 512

/* Writes the remark about a pattern, or about a prefix. Returns false if there is none. */
bool mr_cli_wildcard_remark(
	const char *pattern, bool prefix, char out[static MR_CLI_WILDCARD_BYTES]);
/* Prints the remark, if there is one, on standard error. */
void mr_cli_wildcard_note(const struct mr_cli *cli, const char *pattern, bool prefix);

#endif
