/* SPDX-License-Identifier: Apache-2.0 */
/* queue_about: texts for people about a queue: its owner and a description.
 *
 * Threads   Any; pure functions.
 */
#ifndef MILLRACE_WIRE_QUEUE_ABOUT_H
#define MILLRACE_WIRE_QUEUE_ABOUT_H

#include <stdbool.h>

#include "lib/base/text.h"

#define MR_QUEUE_OWNER_BYTES_MAX       64u
#define MR_QUEUE_DESCRIPTION_BYTES_MAX 200u

#define MR_QUEUE_OWNER_EXPECTED       "owner: expected at most 64 bytes of printable UTF-8"
#define MR_QUEUE_DESCRIPTION_EXPECTED "description: expected at most 200 bytes of printable UTF-8"

/* True if the text is printable, and has at most `bytes_max` bytes. It may be empty. */
static inline bool mr_queue_about_is_valid(const char *text, size_t bytes, size_t bytes_max)
{
	size_t at = 0, step = 1;

	for (; at < bytes && step > 0; at += step)
		step = mr_text_printable_bytes((const uint8_t *)text + at, bytes - at);
	return bytes <= bytes_max && step > 0;
}

#endif
