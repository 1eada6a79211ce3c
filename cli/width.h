/* SPDX-License-Identifier: Apache-2.0 */
/* width: columns that a text takes on a terminal, and texts cut to fit.
 *
 * Combining marks and invisible formats take no column, East Asian wide characters and emoji two
 * (Unicode 14, UAX #11), any other character one. Texts are printable UTF-8, as
 * mr_cli_text_escape makes them.
 *
 * Threads   Any.
 */
#ifndef MILLRACE_CLI_WIDTH_H
#define MILLRACE_CLI_WIDTH_H

#include <stdbool.h>
#include <stddef.h>

enum mr_cli_elision {
	MR_CLI_ELIDE_MIDDLE, /* keeps two thirds of the beginning and a third of the end */
	MR_CLI_ELIDE_END,
};

/* Returns the columns of a text. */
size_t mr_cli_width(const char *text);

/* Returns the bytes of the first character of a text with its marks; 0 at the end. *width gets its
 * columns. */
size_t mr_cli_width_first(const char *text, size_t *width);

/* Copies a text, cut to at most `width` columns; an ellipsis takes the place of the rest. Cuts at
 * whole characters with their marks. Returns the columns of the result. */
size_t mr_cli_elide(
	char *out, size_t out_bytes, const char *text, size_t width, enum mr_cli_elision elision);

/* Returns the bytes of the longest beginning that ends before a blank, or with the text, and takes
 * at most `width` columns. A first word that is longer is not divided. */
size_t mr_cli_wrap(const char *text, size_t width);

#endif
