/* SPDX-License-Identifier: Apache-2.0 */
/* text: decides which bytes from outside may be shown unchanged.
 *
 * Threads   Any.
 */
#ifndef MILLRACE_BASE_TEXT_H
#define MILLRACE_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Returns the bytes of the UTF-8 sequence at `p`; 0: it is malformed (Unicode 15, table 3-7). */
size_t mr_text_utf8_bytes(const uint8_t *p, size_t bytes);

/* Returns the bytes of the UTF-8 sequence at `p`; 0: malformed, or a character that could mislead
 * the reader. Refused are C0, DEL and C1 controls, line and paragraph separators, bidirectional
 * controls, and invisible formats (zero-width space, word joiner, byte-order mark, tags). Joiners
 * of scripts and emoji are accepted. */
size_t mr_text_printable_bytes(const uint8_t *p, size_t bytes);

/* Returns the code point of the well-formed sequence of `bytes` at `p`. */
uint32_t mr_text_code_point(const uint8_t *p, size_t bytes);

#endif
