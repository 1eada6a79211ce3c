/* SPDX-License-Identifier: Apache-2.0 */
/* text: tells what of bytes that others chose may be shown as it is.
 *
 * Threads   Any.
 */
#ifndef MILLRACE_BASE_TEXT_H
#define MILLRACE_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the UTF-8 sequence at `p`, 0 if there is none (Unicode 15, table 3-7). */
size_t mr_text_utf8_bytes(const uint8_t *p, size_t bytes);

/* The same, but 0 for what changes how other text is read or where it is shown: C0, DEL and C1
 * controls, line and paragraph separators, bidirectional controls, and formats that nobody sees
 * (zero-width space, word joiner, byte-order mark, tags). Joiners of scripts and emoji stay. */
size_t mr_text_printable_bytes(const uint8_t *p, size_t bytes);

/* The code point of the sequence of `bytes` at `p`, which is well-formed. */
uint32_t mr_text_code_point(const uint8_t *p, size_t bytes);

#endif
